/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several files made durable at once. One after the other each waits for a commit of the filesystem's journal and for a
 * flush of the disk's cache; side by side they wait for the same ones.
 */
#include "fs/io/impl.h"

struct one {
	struct cof_io *io;
	struct cof_file *file; /* NULL: dir */
	const char *dir;
	int err;
	bool started;
	pthread_t thread;
};

static void *sync_one(void *user)
{
	struct one *o = user;

	o->err = o->file ? cof_io_sync(o->file) : cof_io_sync_dir(o->io, o->dir);
	return NULL;
}

int cof_io_sync_together(struct cof_io *io, struct cof_file *const *f, size_t n, const char *dir)
{
	struct one all[COF_IO_TOGETHER + 1];
	size_t count = 0;
	int r = 0;

	if (n > COF_IO_TOGETHER)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (f[i])
			all[count++] = (struct one){.io = io, .file = f[i]};
	if (dir)
		all[count++] = (struct one){.io = io, .dir = dir};
	/* Where no thread is to be had they go one after the other. */
	for (size_t i = 1; i < count && io->ops->side_by_side; i++)
		all[i].started = pthread_create(&all[i].thread, NULL, sync_one, &all[i]) == 0;
	for (size_t i = 0; i < count; i++)
		if (!all[i].started)
			sync_one(&all[i]);
	for (size_t i = 0; i < count; i++) {
		if (all[i].started)
			pthread_join(all[i].thread, NULL);
		r = r ? r : all[i].err;
	}
	return r;
}

/* ---- in the background ---- */

static void *settle(void *user)
{
	struct cof_file *f = user;

	(void)cof_io_sync(f); /* what fails stays with the file */
	atomic_store(&f->settled, true);
	return NULL;
}

void cof_io_settle_end(struct cof_file *f)
{
	if (f->settles)
		pthread_join(f->settler, NULL);
	f->settles = false;
}

void cof_io_settle(struct cof_file *f)
{
	if (!f->io->ops->side_by_side || (f->settles && !atomic_load(&f->settled)))
		return;
	cof_io_settle_end(f);
	atomic_store(&f->settled, false);
	f->settles = pthread_create(&f->settler, NULL, settle, f) == 0;
}
