/* SPDX-License-Identifier: Apache-2.0 */
/* How the log of a store grew, and how long the disk lasts at this rate. */
#ifndef COFFER_SPACE_H
#define COFFER_SPACE_H

#include "tools/store.h"

struct space {
	uint64_t bytes;	      /* of the log, as far as it is used */
	uint64_t free_bytes;  /* that somebody without privilege could still use */
	int64_t since;	      /* the rate is that from then on; INT64_MAX: nothing is there */
	uint64_t recent;      /* bytes since then */
	int64_t bytes_a_day;  /* 0: not known, the log is younger than a day */
	int64_t days;	      /* until the disk is full; INT64_MAX: never at this rate, or not known */
};
#define SPACE_WINDOW (90 * 86400 * COF_NSEC) /* what counts as the rate now */

/* fn: for each segment its first frame's time and its bytes. Headers only: no key, no lock, one read a segment. */
int space_look(const struct store *s, int64_t now, void (*fn)(void *user, int64_t time, uint64_t bytes), void *user,
	       struct space *ret, struct cof_diag *diag);
/* Pure: bytes_a_day and days from what else it has. */
void space_judge(struct space *s, int64_t now);

#endif
