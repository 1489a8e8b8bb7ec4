/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of segments off the disk: zeros over them, durable, their blocks given back, and read again. Each step may be repeated after
 * a crash. Only what lies behind a frame's public part is ever meant; headers and public parts are the chain's.
 */
#include "fs/log/log.h"

#include <stdio.h>

#define BLOCK (1u << 20)
#define ALIGN 4096u

struct range {
	uint64_t off, n;
};

struct cof_eraser { /* within one segment at a time */
	struct cof_io *io;
	struct cof_diag *diag;
	uint64_t segment; /* UINT64_MAX: none is open */
	struct cof_file *file;
	struct range *range; /* that were overwritten and not read back yet */
	size_t n_ranges, cap;
	uint64_t erased, punched;
	uint8_t *block;
};

int cof_eraser_new(struct cof_io *io, struct cof_diag *diag, struct cof_eraser **ret)
{
	struct cof_eraser *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->io = io;
	e->diag = diag;
	e->segment = UINT64_MAX;
	e->block = malloc(BLOCK);
	if (!e->block) {
		free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

void cof_eraser_free(struct cof_eraser *e)
{
	if (!e)
		return;
	cof_io_close(e->file);
	free(e->range);
	free(e->block);
	free(e);
}

void cof_eraser_freep(struct cof_eraser **e)
{
	cof_eraser_free(*e);
}

static int failed(struct cof_eraser *e, int err, const char *what)
{
	return cof_fail(e->diag, err, "%s/log/%08llx.seg: what was destroyed cannot be %s: %s", cof_io_where(e->io),
			(unsigned long long)e->segment, what, strerror(-err));
}

static int is_zero(struct cof_eraser *e, const struct range *g)
{
	for (uint64_t done = 0; done < g->n;) {
		size_t want = (size_t)COF_MIN(g->n - done, (uint64_t)BLOCK), n = 0;
		int r = cof_io_read(e->file, e->block, want, g->off + done, &n);

		if (r < 0 || n < want)
			return r < 0 ? r : -EIO;
		if (e->block[0] || memcmp(e->block, e->block + 1, n - 1) != 0)
			return 0;
		done += n;
	}
	return 1;
}

/* Behind the sync: nothing that is left of a block is needed for what was written over it to last. */
static int punch(struct cof_eraser *e, const struct range *g)
{
	uint64_t from = (g->off + ALIGN - 1) / ALIGN * ALIGN, to = (g->off + g->n) / ALIGN * ALIGN;
	int r = to > from ? cof_io_punch(e->file, from, to - from) : -EOPNOTSUPP;

	if (r == 0)
		e->punched += to - from;
	return r == -EOPNOTSUPP || r == -EINVAL || r == -EPERM ? 0 : r;
}

/* All that was written in this segment: on the disk, given back, and read again. */
static int settle(struct cof_eraser *e)
{
	int r = 0;

	if (!e->file)
		return 0;
	if (e->n_ranges)
		r = cof_io_sync(e->file);
	for (size_t i = 0; r == 0 && i < e->n_ranges; i++)
		r = punch(e, &e->range[i]);
	if (r == 0 && e->n_ranges)
		r = cof_io_sync(e->file);
	if (r < 0)
		r = failed(e, r, "overwritten durably");
	if (r == 0)
		cof_io_forget(e->file, 0, 0);
	for (size_t i = 0; r == 0 && i < e->n_ranges; i++) {
		r = is_zero(e, &e->range[i]);
		if (r == 0)
			r = -EIO;
		r = r < 0 ? failed(e, r, "read back as zeros") : 0;
		e->erased += r == 0;
	}
	cof_io_close(e->file);
	e->file = NULL;
	e->segment = UINT64_MAX;
	e->n_ranges = 0;
	return r;
}

static int enter(struct cof_eraser *e, uint64_t segment)
{
	char path[32];
	int r = e->segment == segment ? 0 : settle(e);

	if (r < 0 || e->segment == segment)
		return r;
	snprintf(path, sizeof(path), "log/%08llx.seg", (unsigned long long)segment);
	e->segment = segment;
	r = cof_io_open(e->io, path, COF_IO_RDWR, &e->file);
	return r < 0 ? failed(e, r, "opened") : 0;
}

/*
 * Also where zeros are read: a try before this one may have written them and been killed before its sync, or its sync failed, after
 * which a kernel takes those pages for clean and no later sync writes them. What is read tells of memory, not of the disk.
 */
static int overwrite(struct cof_eraser *e, const struct range *g)
{
	struct range *more;
	int r = 0;

	if (e->n_ranges == e->cap) {
		more = reallocarray(e->range, e->cap ? 2 * e->cap : 64, sizeof(*more));
		if (!more)
			return -ENOMEM;
		e->range = more;
		e->cap = e->cap ? 2 * e->cap : 64;
	}
	memset(e->block, 0, BLOCK);
	for (uint64_t done = 0; r == 0 && done < g->n; done += BLOCK)
		r = cof_io_write(e->file, e->block, (size_t)COF_MIN(g->n - done, (uint64_t)BLOCK), g->off + done);
	if (r < 0)
		return failed(e, r, "overwritten");
	e->range[e->n_ranges++] = *g;
	return 0;
}

int cof_eraser_frame(struct cof_eraser *e, const struct cof_conf *conf, uint64_t address, const struct cof_frame *f)
{
	struct range g = {.off = address % conf->segment_size + COF_FRAME_HEADER + f->public_length, .n = f->stored - f->public_length};
	int r = g.n ? enter(e, address / conf->segment_size) : 0;

	if (r < 0)
		return r;
	if (g.n)
		return overwrite(e, &g);
	e->erased++;
	return 0;
}

int cof_eraser_finish(struct cof_eraser *e, uint64_t *ret_erased, uint64_t *ret_punched)
{
	int r = settle(e);

	*ret_erased = e->erased;
	*ret_punched = e->punched;
	return r;
}
