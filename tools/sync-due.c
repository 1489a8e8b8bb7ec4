/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sync-watch.h"

int64_t sync_next(const struct sync_due *d, int64_t every)
{
	if (d->began == COF_RETAIN_NONE)
		return 0;
	if (d->failures) {
		int64_t wait = every;

		for (unsigned i = 1; i < d->failures && wait < SYNC_RETRY_MAX; i++)
			wait *= 2;
		return d->began + COF_MAX(every, COF_MIN(wait, SYNC_RETRY_MAX));
	}
	return d->began + (d->is_new ? every : COF_MAX(every, SYNC_IDLE));
}
