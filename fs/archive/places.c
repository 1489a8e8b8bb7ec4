/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reads found out last, a bounded number of it: runs of stretches as the index gave them, and
 * the headers of frames with several chunks. A read that goes on where another ended, or that hits
 * the same frame, asks neither the index nor the log for them again.
 *
 * Nothing here is trusted more than where it came from: a stretch is compared with its frame's
 * header, a header is bound to each chunk as associated data. What is known of a file only grows
 * at its end, so an entry stays right until the index is built anew; then all go.
 */
#include "fs/archive/internal.h"

#define RUNS 64
#define RUN 256
#define HEADS 2048

struct run {
	size_t n;
	struct cof_stretch s[RUN];
};

struct cof_places {
	pthread_mutex_t lock; /* guards what follows; a leaf */
	uint64_t tick;
	struct { /* of the run with the same number; apart, to be looked through quickly */
		uint64_t ino; /* 0: empty */
		uint64_t from, to, used;
	} key[RUNS];
	struct run *run[RUNS];
	struct {
		uint64_t address; /* with used */
		bool used;
		struct cof_head head;
	} heads[HEADS];
};

int cof_places_new(struct cof_places **ret)
{
	struct cof_places *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	*ret = p;
	return 0;
}

void cof_places_free(struct cof_places *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < RUNS; i++)
		free(p->run[i]);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void cof_places_clear(struct cof_places *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < RUNS; i++)
		p->key[i].ino = 0;
	for (size_t i = 0; i < HEADS; i++)
		p->heads[i].used = false;
	pthread_mutex_unlock(&p->lock);
}

/* The first stretch of the run that ends above position; n when none does. */
static size_t find(const struct run *r, uint64_t position)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->s[mid].position + r->s[mid].length > position)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

size_t cof_places_stretches(struct cof_places *p, uint64_t ino, uint64_t position, uint64_t end,
			    struct cof_stretch *ret, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < RUNS && !n; i++) {
		struct run *r = p->run[i];

		if (p->key[i].ino != ino || position < p->key[i].from || position >= p->key[i].to)
			continue;
		for (size_t k = find(r, position); k < r->n && n < max; k++) {
			if (n && r->s[k].position >= end)
				break;
			ret[n++] = r->s[k];
		}
		if (n)
			p->key[i].used = ++p->tick;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* lock held. The number of the run used longest ago. */
static size_t oldest(const struct cof_places *p)
{
	size_t at = 0;

	for (size_t i = 0; i < RUNS; i++) {
		if (!p->key[i].ino)
			return i;
		if (p->key[i].used < p->key[at].used)
			at = i;
	}
	return at;
}

void cof_places_learn(struct cof_places *p, uint64_t ino, const struct cof_stretch *s, size_t n)
{
	size_t at;

	n = COF_MIN(n, (size_t)RUN);
	if (!n || !ino)
		return;
	pthread_mutex_lock(&p->lock);
	at = oldest(p);
	if (!p->run[at])
		p->run[at] = calloc(1, sizeof(struct run));
	if (p->run[at]) { /* no memory costs only time */
		p->key[at].ino = ino;
		p->key[at].from = s[0].position;
		p->key[at].to = s[n - 1].position + s[n - 1].length;
		p->key[at].used = ++p->tick;
		p->run[at]->n = n;
		memcpy(p->run[at]->s, s, n * sizeof(*s));
	}
	pthread_mutex_unlock(&p->lock);
}

static size_t slot(uint64_t address)
{
	return (size_t)((address * 0x9e3779b97f4a7c15ull) >> 40) % HEADS;
}

bool cof_places_head(struct cof_places *p, uint64_t address, struct cof_head *ret)
{
	size_t i = slot(address);
	bool there;

	pthread_mutex_lock(&p->lock);
	there = p->heads[i].used && p->heads[i].address == address;
	if (there)
		*ret = p->heads[i].head;
	pthread_mutex_unlock(&p->lock);
	return there;
}

void cof_places_learn_head(struct cof_places *p, uint64_t address, const struct cof_head *h)
{
	size_t i = slot(address);

	pthread_mutex_lock(&p->lock);
	p->heads[i].used = true;
	p->heads[i].address = address;
	p->heads[i].head = *h;
	pthread_mutex_unlock(&p->lock);
}
