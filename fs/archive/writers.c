/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a file open for writing, and when the last one closed it: a file with a writer is not
 * committed for being idle, and its idle time begins with the last close.
 *
 * Counted by inode, in bounded memory. Beyond WRITERS_MAX files at once the opens are only counted
 * together, and while there are any, every file counts as having a writer: nothing is committed too
 * early. The times of past closes are kept as long as there is room; without one the last write counts.
 */
#include "fs/archive/internal.h"

#define WRITERS_MAX 65536u
#define BUCKETS 4096u

struct writer {
	struct writer *chain;
	struct writer *newer, *older; /* closed ones, by the time of closing */
	uint64_t ino;
	uint32_t open;
	int64_t closed; /* retention time; INT64_MIN: never */
};

struct cof_writers {
	pthread_mutex_t lock; /* a leaf */
	struct writer *bucket[BUCKETS];
	struct writer closed; /* sentinel */
	uint32_t n;
	uint64_t beyond; /* opens that found no place */
};

int cof_writers_new(struct cof_writers **ret)
{
	struct cof_writers *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->closed.newer = w->closed.older = &w->closed;
	*ret = w;
	return 0;
}

void cof_writers_free(struct cof_writers *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct writer *e = w->bucket[i], *next; e; e = next) {
			next = e->chain;
			free(e);
		}
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static struct writer **bucket_of(struct cof_writers *w, uint64_t ino)
{
	return &w->bucket[(ino * 0x9e3779b97f4a7c15u) >> 32 & (BUCKETS - 1)];
}

static struct writer *find(struct cof_writers *w, uint64_t ino)
{
	struct writer *e = *bucket_of(w, ino);

	while (e && e->ino != ino)
		e = e->chain;
	return e;
}

static void unlink_closed(struct writer *e)
{
	if (!e->newer)
		return;
	e->newer->older = e->older;
	e->older->newer = e->newer;
	e->newer = e->older = NULL;
}

static void forget(struct cof_writers *w, struct writer *e)
{
	struct writer **at = bucket_of(w, e->ino);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	unlink_closed(e);
	free(e);
	w->n--;
}

static struct writer *add(struct cof_writers *w, uint64_t ino)
{
	struct writer *oldest = w->closed.newer, *e, **bucket = bucket_of(w, ino);

	if (w->beyond)
		return NULL; /* later closes could not be told apart */
	if (w->n >= WRITERS_MAX && oldest != &w->closed)
		forget(w, oldest);
	e = w->n < WRITERS_MAX ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	e->ino = ino;
	e->closed = INT64_MIN;
	e->chain = *bucket;
	*bucket = e;
	w->n++;
	return e;
}

void cof_writers_opened(struct cof_writers *w, uint64_t ino)
{
	struct writer *e;

	pthread_mutex_lock(&w->lock);
	e = find(w, ino);
	if (!e)
		e = add(w, ino);
	if (e) {
		unlink_closed(e);
		e->open++;
	} else {
		w->beyond++;
	}
	pthread_mutex_unlock(&w->lock);
}

void cof_writers_closed(struct cof_writers *w, uint64_t ino, int64_t now)
{
	struct writer *e;

	pthread_mutex_lock(&w->lock);
	e = find(w, ino);
	if (e && e->open) {
		if (--e->open == 0) {
			e->closed = now;
			e->newer = &w->closed;
			e->older = w->closed.older;
			e->older->newer = e;
			w->closed.older = e;
		}
	} else if (w->beyond) {
		w->beyond--;
	}
	pthread_mutex_unlock(&w->lock);
}

bool cof_writers_any(struct cof_writers *w, uint64_t ino, int64_t *ret_closed)
{
	struct writer *e;
	bool any;

	pthread_mutex_lock(&w->lock);
	e = find(w, ino);
	any = w->beyond || (e && e->open);
	*ret_closed = e ? e->closed : INT64_MIN;
	pthread_mutex_unlock(&w->lock);
	return any;
}
