/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the two files that test notes. */
#ifndef TEST_NOTE_H
#define TEST_NOTE_H

#include "crypto/note.h"
#include "test-crypto.h"

struct keys { /* of the test data: the log's, the witness's */
	uint8_t log_seed[32], wit_seed[32];
	struct cof_vkey key[2];
};
void make_keys(struct keys *k);

TCase *checkpoint_case(void);

#endif
