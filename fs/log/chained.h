/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/log: checkpoints as the chain repeats them. */
#ifndef COF_LOG_CHAINED_H
#define COF_LOG_CHAINED_H

#include "fs/log/internal.h"

#define COF_CHAINED_TEXT 512 /* as cof_log.checkpoint_text */

/* The note of a CHECKPOINT frame, if it carries the log's signature: -ENOENT otherwise. payload:
 * COF_SCAN_PAYLOAD bytes of scratch. */
int cof_chained_load(struct cof_log *log, uint64_t address, uint8_t *payload,
		     struct cof_checkpoint *ret, char ret_text[COF_CHAINED_TEXT]);
/* The newest in the chain. -ENOENT: none. */
int cof_chained_find(struct cof_log *log, uint8_t *payload, struct cof_checkpoint *ret,
		     char ret_text[COF_CHAINED_TEXT]);

#endif
