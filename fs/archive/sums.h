/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: what is counted, and told in one event for many (sums.c). */
#ifndef COF_ARCHIVE_SUMS_H
#define COF_ARCHIVE_SUMS_H

#include <pthread.h>

#include "base/base.h"

struct cof_archive;

enum cof_sum_kind { COF_SUM_NAMES, COF_SUM_CERTIFICATES, COF_SUMS };
struct cof_sum {
	uint64_t n[2]; /* of names: made, renamed */
	uint64_t from, to; /* frames */
	int64_t first, last; /* record time */
	int64_t told;	   /* boot time of the last event; 0: none yet */
};
struct cof_sums {
	pthread_mutex_t lock; /* a leaf */
	struct cof_sum of[COF_SUMS];
};

void cof_sum_name(struct cof_archive *a, bool renamed, uint64_t sequence);
void cof_sum_certificates(struct cof_archive *a, uint64_t n, uint64_t sequence);
/* Those that are due, or all; inside the gate, or before others have the archive and behind them. */
void cof_sums_tell(struct cof_archive *a, bool all);

#endif
