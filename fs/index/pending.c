/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stretches that wait in memory, by inode: a hash table of growing arrays. Adding one is what an
 * append costs, so nothing here touches the database.
 */
#include "fs/index/internal.h"

#define BUCKETS 64

static uint32_t slot(const struct ix_pending *p, uint64_t ino)
{
	return (uint32_t)((ino * 0x9e3779b97f4a7c15u) >> 32) & (p->buckets - 1);
}

void ix_pending_done(struct ix_pending *p)
{
	for (uint32_t i = 0; i < p->buckets; i++)
		for (struct ix_file *f = p->bucket[i], *next; f; f = next) {
			next = f->chain;
			free(f->s);
			free(f);
		}
	free(p->bucket);
	memset(p, 0, sizeof(*p));
}

struct ix_file *ix_pending_find(const struct ix_pending *p, uint64_t ino)
{
	if (!p->buckets)
		return NULL;
	struct ix_file *f = p->bucket[slot(p, ino)];
	while (f && f->ino != ino)
		f = f->chain;
	return f;
}

/* Room for one more file. A table that cannot grow goes on with longer chains. */
static int widen(struct ix_pending *p)
{
	if (p->buckets && (p->files < p->buckets || p->buckets >= 1u << 24))
		return 0;
	struct ix_pending wide = {.buckets = p->buckets ? p->buckets * 2 : BUCKETS};
	wide.bucket = calloc(wide.buckets, sizeof(wide.bucket[0]));
	if (!wide.bucket)
		return p->buckets ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < p->buckets; i++)
		for (struct ix_file *f = p->bucket[i], *next; f; f = next) {
			next = f->chain;
			f->chain = wide.bucket[slot(&wide, f->ino)];
			wide.bucket[slot(&wide, f->ino)] = f;
		}
	free(p->bucket);
	p->bucket = wide.bucket;
	p->buckets = wide.buckets;
	return 0;
}

static struct ix_file *file(struct ix_pending *p, uint64_t ino)
{
	struct ix_file *f = ix_pending_find(p, ino);
	if (f)
		return f;
	if (widen(p) < 0 || !(f = calloc(1, sizeof(*f))))
		return NULL;
	f->ino = ino;
	f->chain = p->bucket[slot(p, ino)];
	p->bucket[slot(p, ino)] = f;
	p->files++;
	return f;
}

int ix_pending_add(struct ix_pending *p, uint64_t ino, const struct cof_stretch *s)
{
	struct ix_file *f = file(p, ino);
	if (!f)
		return -ENOMEM;
	if (f->n == f->cap) {
		uint32_t cap = f->cap ? f->cap * 2 : 2;
		struct cof_stretch *more = realloc(f->s, (size_t)cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		f->s = more;
		f->cap = cap;
	}
	f->s[f->n++] = *s;
	p->stretches++;
	return 0;
}

uint32_t ix_file_find(const struct ix_file *f, uint64_t position)
{
	uint32_t lo = 0, hi = f->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f->s[mid].position + f->s[mid].length > position)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

uint32_t ix_file_below(const struct ix_file *f, uint64_t at)
{
	uint32_t lo = 0, hi = f->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f->s[mid].sequence >= at)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}
