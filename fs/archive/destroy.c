/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file's sealed bytes off the disk. The key is gone before that; this is what a medium that overwrites in place gives
 * besides. Headers and public parts stay as they are: the chain is theirs. Each step may be repeated after a crash.
 */
#include "fs/archive/destroy.h"

#define AT_ONCE 256

int cof_destroyed_by(struct cof_archive *a, uint64_t ino, uint8_t ret[32])
{
	cof_autobuf struct cof_buf b = {0};
	int r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, ino, COF_VALUE_DESTROYED, &b));

	if (r == 0 && b.len != 32)
		return -COF_EINDEX;
	if (r == 0)
		memcpy(ret, b.data, 32);
	return r;
}

int cof_destroyed_at(struct cof_archive *a, uint64_t ino, uint64_t *ret)
{
	return cof_ix(a, cof_index_value_since(a->ix, COF_INDEX_NOW, ino, COF_VALUE_DESTROYED, ret));
}

static int stretches(struct cof_archive *a, uint64_t ino, uint64_t position, struct cof_stretch *ret, size_t *ret_n)
{
	return cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, ino, position, ret, AT_ONCE, ret_n));
}

static uint64_t sealed(const struct cof_stretch *s)
{
	return s->length + (uint64_t)COF_TAG * cof_frame_chunks((uint32_t)s->length);
}

int cof_destroy_count(struct cof_archive *a, uint64_t ino, uint64_t end, struct cof_erasing *ret)
{
	cof_autofree struct cof_stretch *s = calloc(AT_ONCE, sizeof(*s));
	uint64_t position = 0;
	size_t n = 1;
	int r = s ? 0 : -ENOMEM;

	while (r == 0 && n && position < end) {
		r = stretches(a, ino, position, s, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			position = s[i].position + s[i].length;
			if (s[i].hole)
				continue;
			ret->frames++;
			ret->bytes += sealed(&s[i]);
		}
	}
	return r;
}

/* ---- bytes ---- */

struct erase {
	struct cof_archive *a;
	uint64_t ino;
	struct cof_erasing *sum;
	struct cof_eraser *eraser;
};

/* What the index says of a frame is only where to look. */
static int erase_one(struct erase *e, const struct cof_stretch *s)
{
	struct cof_frame f;
	int r = cof_reader_header(e->a->reader, s->address, &f, NULL, NULL);

	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EIO)
		return r;
	if (r < 0 || f.type != COF_APPEND || f.object != e->ino || f.sequence != s->sequence) {
		e->sum->missing++;
		return 0;
	}
	e->sum->frames++;
	e->sum->bytes += f.stored - f.public_length;
	return cof_eraser_frame(e->eraser, &e->a->conf, s->address, &f);
}

int cof_destroy_erase(struct cof_archive *a, uint64_t ino, struct cof_erasing *sum, struct cof_diag *diag)
{
	COF_CLEANUP(cof_eraser_freep) struct cof_eraser *eraser = NULL;
	cof_autofree struct cof_stretch *s = calloc(AT_ONCE, sizeof(*s));
	struct erase e = {.a = a, .ino = ino, .sum = sum};
	uint64_t position = 0, erased = 0, punched = 0;
	size_t n = 1;
	int r = s ? cof_eraser_new(a->io, diag, &eraser) : -ENOMEM;

	e.eraser = eraser;
	while (r == 0 && n) {
		COF_GATED(a, r, stretches(a, ino, position, s, &n));
		for (size_t i = 0; r == 0 && i < n; i++) {
			position = s[i].position + s[i].length;
			if (!s[i].hole)
				r = erase_one(&e, &s[i]);
		}
	}
	if (r == 0)
		r = cof_eraser_finish(eraser, &erased, &punched);
	sum->erased += erased;
	sum->punched += punched;
	return r;
}
