/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/log: cutting a torn tail and setting the writer behind what is left. */
#ifndef COF_LOG_CUT_H
#define COF_LOG_CUT_H

#include "fs/log/scan.h"

/* 1: there is something to cut: a torn tail, bytes behind the end of a segment, segments behind a
 * gap. -EUCLEAN: more of it than recovery touches. */
int cof_cut_wanted(struct scan *s, struct cof_diag *diag);
/* Copies all of that to aside/, makes it durable there, then clears it from log/. */
int cof_cut_tail(struct scan *s, struct cof_recovered *rec, struct cof_diag *diag);
/* Opens the segment that the next frame goes to, and adopts or removes what lies behind it. */
int cof_cut_position(struct scan *s, struct cof_diag *diag);

#endif
