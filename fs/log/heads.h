/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/log: whether the segments stand in their places, by their first frames. */
#ifndef COF_LOG_HEADS_H
#define COF_LOG_HEADS_H

#include "fs/log/scan.h"

/* Of the segments below the end of the scan. -EUCLEAN: one does not belong there, diag says which. */
int cof_heads_check(struct scan *s, struct cof_diag *diag);

#endif
