/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of an index between two openings: kept, deleted, put back from earlier, damaged. */
#ifndef COF_TEST_SIM_STALE_INDEX_H
#define COF_TEST_SIM_STALE_INDEX_H

#include "base/base.h"

struct stale_index {
	char dir[64], index[96], old[96];
	bool has_old;
	uint64_t (*dice)(void *user, uint64_t n); /* below n */
	void *user;
};

void stale_index_new(struct stale_index *x); /* dice and user are set */
void stale_index_free(struct stale_index *x);
const char *stale_index_treat(struct stale_index *x); /* tells what was done */

#endif
