/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether frames may be missing that the index never saw. Then nobody knows where an open file
 * ends: its end reads as an error, not as an end. A committed file says its length itself.
 *
 * An index that was built over a damaged log keeps that in a value of the root, since a later mount
 * would find the index up to date and look at the log no more.
 */
#include "fs/archive/internal.h"

#define KEY "log-incomplete"

int cof_incomplete_mark(struct cof_archive *a)
{
	if (atomic_exchange(&a->incomplete, true))
		return 0;
	return cof_index_put_value(a->ix, 0, COF_ROOT_INO, KEY, "1", 1);
}

bool cof_incomplete_marked(struct cof_archive *a)
{
	cof_autobuf struct cof_buf b = {0};

	return cof_index_get_value(a->ix, COF_INDEX_NOW, COF_ROOT_INO, KEY, &b) == 0 && b.len;
}

/* How many frames there were once, as far as a signature says so; 0: none does. */
uint64_t cof_signed_size(struct cof_archive *a)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint cp;
	size_t n;

	if (cof_io_load(a->io, "checkpoint", COF_NOTE_MAX, &note, &n) < 0 ||
	    cof_checkpoint_open(note, n, &a->conf.vkey, &cp) < 0)
		return 0;
	return cp.size;
}

void cof_incomplete_settle(struct cof_archive *a)
{
	uint64_t fed = cof_index_fed(a->ix), size;

	if (a->behind && fed <= a->opened.recovered.size)
		atomic_store(&a->incomplete, true);
	if (a->log || a->behind || !a->opened.read_only)
		return;
	size = cof_signed_size(a);
	if (size ? fed < size : a->fresh_index)
		atomic_store(&a->incomplete, true);
}
