/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks that were opened for a part of them, a few: a file that is open is not cached by the kernel, and
 * each small read of it would read and open the same 64 KiB again.
 *
 * A chunk gets here after it was authenticated, and by the second read of a part of it: reads here and there
 * do not pay for the copy. Bytes that were appended never change, so a chunk stays right until the
 * index is built anew. What is kept is content, as in the buffers of reads; it is wiped when it goes.
 */
#include "fs/archive/internal.h"

#define SLOTS 16 /* 1 MiB at most */

struct slot {
	struct cof_chunk_name name;
	uint64_t used; /* 0: empty */
	uint32_t n;    /* bytes that are there; 0: it was only asked for */
	uint8_t *data;
};

struct cof_chunks {
	pthread_mutex_t lock; /* guards what follows; a leaf */
	uint64_t tick;
	struct slot slot[SLOTS];
};

int cof_chunks_new(struct cof_chunks **ret)
{
	struct cof_chunks *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

static void wipe(struct slot *s)
{
	if (s->n)
		explicit_bzero(s->data, s->n);
	s->n = 0;
}

void cof_chunks_clear(struct cof_chunks *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < SLOTS; i++) {
		wipe(&c->slot[i]);
		c->slot[i].used = 0;
	}
	pthread_mutex_unlock(&c->lock);
}

void cof_chunks_free(struct cof_chunks *c)
{
	if (!c)
		return;
	cof_chunks_clear(c);
	for (size_t i = 0; i < SLOTS; i++)
		free(c->slot[i].data);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* lock held. NULL: it is not there. */
static struct slot *find(struct cof_chunks *c, const struct cof_chunk_name *name)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &c->slot[i];

		if (s->used && s->name.ino == name->ino && s->name.position == name->position &&
		    s->name.sequence == name->sequence)
			return s;
	}
	return NULL;
}

/* lock held. The slot used longest ago, for another chunk. */
static struct slot *oldest(struct cof_chunks *c)
{
	struct slot *s = &c->slot[0];

	for (size_t i = 1; i < SLOTS; i++)
		if (c->slot[i].used < s->used)
			s = &c->slot[i];
	wipe(s);
	return s;
}

bool cof_chunks_get(struct cof_chunks *c, const struct cof_chunk_name *name, uint32_t off, void *out,
		    uint32_t n)
{
	struct slot *s;
	bool there;

	pthread_mutex_lock(&c->lock);
	s = find(c, name);
	there = s && off <= s->n && n <= s->n - off && s->n;
	if (there) {
		s->used = ++c->tick;
		memcpy(out, s->data + off, n);
	}
	pthread_mutex_unlock(&c->lock);
	return there;
}

void cof_chunks_learn(struct cof_chunks *c, const struct cof_chunk_name *name, const void *plain,
		      uint32_t n)
{
	struct slot *s;

	if (n > COF_CHUNK)
		return;
	pthread_mutex_lock(&c->lock);
	s = find(c, name);
	if (!s) {
		s = oldest(c);
		s->name = *name;
	} else if (!s->n) {
		if (!s->data)
			s->data = malloc(COF_CHUNK);
		if (s->data) { /* no memory costs only time */
			memcpy(s->data, plain, n);
			s->n = n;
		}
	}
	s->used = ++c->tick;
	pthread_mutex_unlock(&c->lock);
}
