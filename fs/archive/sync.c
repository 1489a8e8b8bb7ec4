/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to be durable, and waiting for it. The log answers; nobody here waits for a disk.
 */
#include "fs/archive/internal.h"

uint64_t cof_archive_frames(struct cof_archive *a)
{
	struct cof_log_status st = {.size = atomic_load(&a->size)};

	if (a->log)
		cof_log_status(a->log, &st);
	return st.size;
}

static uint64_t last_written(struct cof_archive *a)
{
	uint64_t size = atomic_load(&a->size);

	return size ? size - 1 : 0;
}

static int sequence_of(struct cof_archive *a, uint64_t ino, uint64_t *ret)
{
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r;
	/* Not known: never written in this mount, or it was written and left the cache since. */
	*ret = o->last_sequence ? o->last_sequence : last_written(a);
	cof_obj_put(a, o);
	return 0;
}

int cof_archive_fsync_sequence(struct cof_archive *a, uint64_t ino, uint64_t *ret_sequence)
{
	int r;

	if (!ino) {
		*ret_sequence = last_written(a);
		return 0;
	}
	COF_GATED(a, r, sequence_of(a, ino, ret_sequence));
	return r;
}

void cof_archive_sync_async(struct cof_archive *a, uint64_t sequence, cof_log_done done, void *user)
{
	if (a->log)
		cof_log_sync_async(a->log, sequence, done, user);
	else
		done(user, 0); /* read-only from the start: nothing waits to be written */
}

int cof_archive_checkpoint(struct cof_archive *a)
{
	return a->log ? cof_log_checkpoint(a->log) : -EROFS;
}
