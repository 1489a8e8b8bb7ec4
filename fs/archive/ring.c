/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payload key handles, a bounded number: each holds a key schedule in the locked pool. A handle belongs to
 * one thread between take and give, so several readers of one file get a handle each; what is idle is
 * evicted in the order of last use.
 */
#include "fs/archive/internal.h"

struct entry {
	struct cof_ring_key key; /* first: give() gets this */
	struct entry *next;	 /* hash chain */
	struct entry *newer, *older; /* idle list */
	uint64_t object;
	uint32_t mount;
	bool busy, doomed; /* doomed: in no chain any more */
};

struct cof_ring {
	const struct cof_keys *keys;
	uint8_t archive_id[16];
	cof_salt_fn salt;
	void *user;
	pthread_mutex_t lock;
	pthread_cond_t idle_cond;
	size_t capacity, count, n_buckets;
	struct entry **buckets;
	struct entry idle; /* sentinel; idle.newer is the oldest */
};

static size_t bucket_of(const struct cof_ring *r, uint64_t object, uint32_t mount)
{
	uint64_t h = (object ^ (uint64_t)mount << 48) * 0x9e3779b97f4a7c15ull;

	return (size_t)(h >> 32) & (r->n_buckets - 1);
}

int cof_ring_new(const struct cof_keys *keys, const uint8_t archive_id[16], size_t capacity,
		 cof_salt_fn salt, void *user, struct cof_ring **ret)
{
	struct cof_ring *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->n_buckets = 64;
	while (r->n_buckets < capacity)
		r->n_buckets *= 2;
	r->buckets = calloc(r->n_buckets, sizeof(struct entry *));
	if (!r->buckets) {
		free(r);
		return -ENOMEM;
	}
	r->keys = keys;
	memcpy(r->archive_id, archive_id, 16);
	r->capacity = COF_MAX(capacity, (size_t)2);
	r->salt = salt;
	r->user = user;
	r->idle.newer = r->idle.older = &r->idle;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->idle_cond, NULL);
	*ret = r;
	return 0;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	cof_aead_free(e->key.aead);
	free(e);
}

void cof_ring_free(struct cof_ring *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_buckets; i++)
		for (struct entry *e = r->buckets[i], *next; e; e = next) {
			next = e->next;
			entry_free(e);
		}
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->idle_cond);
	free(r->buckets);
	free(r);
}

static void idle_remove(struct entry *e)
{
	e->newer->older = e->older;
	e->older->newer = e->newer;
}

static void idle_add(struct cof_ring *r, struct entry *e) /* as the newest */
{
	e->older = r->idle.older;
	e->newer = &r->idle;
	e->older->newer = e;
	r->idle.older = e;
}

/* Takes the oldest idle one out, or NULL. Ring lock held. */
static struct entry *evict(struct cof_ring *r)
{
	struct entry *e = r->idle.newer, **at;

	if (e == &r->idle)
		return NULL;
	idle_remove(e);
	for (at = &r->buckets[bucket_of(r, e->object, e->mount)]; *at != e; at = &(*at)->next)
		;
	*at = e->next;
	r->count--;
	return e;
}

static int derive(struct cof_ring *r, struct entry *e)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	uint8_t salt[32];
	int err;

	if (!key)
		return -ENOMEM;
	err = r->salt(r->user, e->mount, salt);
	if (err < 0)
		return err;
	err = cof_keys_payload(r->keys, e->object, e->mount, salt, key);
	if (err < 0)
		return err;
	cof_key_commitment(key, r->archive_id, e->object, e->mount, e->key.commitment);
	return cof_aead_new(key, &e->key.aead);
}

static struct entry *find_idle(struct cof_ring *r, uint64_t object, uint32_t mount)
{
	for (struct entry *e = r->buckets[bucket_of(r, object, mount)]; e; e = e->next)
		if (!e->busy && e->object == object && e->mount == mount)
			return e;
	return NULL;
}

/* A new handle, counted but in no chain yet; waits while all are busy. Ring lock held, given up meanwhile. */
static int make(struct cof_ring *r, uint64_t object, uint32_t mount, struct entry **ret)
{
	struct entry *e = calloc(1, sizeof(*e)), *old;
	int err;

	if (!e)
		return -ENOMEM;
	e->object = object;
	e->mount = mount;
	e->busy = true;
	for (;;) {
		old = r->count < r->capacity ? NULL : evict(r);
		if (old || r->count < r->capacity)
			break;
		pthread_cond_wait(&r->idle_cond, &r->lock);
	}
	r->count++;
	do {
		pthread_mutex_unlock(&r->lock);
		entry_free(old);
		err = derive(r, e);
		pthread_mutex_lock(&r->lock);
		/* The pool is used up: what is idle makes room. */
		old = err == -ENOMEM ? evict(r) : NULL;
	} while (old);
	if (err < 0) {
		r->count--;
		pthread_cond_signal(&r->idle_cond);
		entry_free(e);
		return err;
	}
	*ret = e;
	return 0;
}

int cof_ring_take(struct cof_ring *r, uint64_t object, uint32_t mount, struct cof_ring_key **ret)
{
	struct entry *e, **bucket;
	int err = 0;

	pthread_mutex_lock(&r->lock);
	e = find_idle(r, object, mount);
	if (e) {
		idle_remove(e);
		e->busy = true;
	} else {
		err = make(r, object, mount, &e);
		if (!err) {
			bucket = &r->buckets[bucket_of(r, object, mount)];
			e->next = *bucket;
			*bucket = e;
		}
	}
	pthread_mutex_unlock(&r->lock);
	if (!err)
		*ret = &e->key;
	return err;
}

void cof_ring_give(struct cof_ring *r, struct cof_ring_key *k)
{
	struct entry *e = (struct entry *)k;

	if (!k)
		return;
	pthread_mutex_lock(&r->lock);
	e->busy = false;
	if (e->doomed)
		r->count--;
	else
		idle_add(r, e);
	pthread_cond_signal(&r->idle_cond);
	pthread_mutex_unlock(&r->lock);
	if (e->doomed)
		entry_free(e);
}

void cof_ring_forget(struct cof_ring *r, uint64_t object)
{
	struct entry *gone = NULL;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_buckets; i++)
		for (struct entry **at = &r->buckets[i]; *at;) {
			struct entry *e = *at;

			if (e->object != object) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			e->doomed = true;
			if (e->busy)
				continue;
			idle_remove(e);
			r->count--;
			e->next = gone;
			gone = e;
		}
	pthread_cond_broadcast(&r->idle_cond);
	pthread_mutex_unlock(&r->lock);
	while (gone) {
		struct entry *next = gone->next;

		entry_free(gone);
		gone = next;
	}
}

/* ---- whole frames ---- */

uint64_t cof_frame_key_object(const struct cof_frame *f)
{
	return f->type == COF_APPEND ? f->object : 0;
}

static int open_chunks(struct cof_ring *ring, const uint8_t archive_id[16], const struct cof_frame *f,
		       const uint8_t *stored, uint8_t *out)
{
	struct cof_ring_key *key;
	uint8_t public_hash[COF_HASH];
	const uint8_t *sealed = stored + f->public_length;
	int r = cof_ring_take(ring, cof_frame_key_object(f), f->mount, &key);

	if (r)
		return r;
	cof_sha256(stored, f->public_length, public_hash);
	for (uint32_t k = 0, done = 0; done < f->length && r == 0; k++) {
		uint32_t n = COF_MIN(f->length - done, COF_CHUNK);

		r = cof_payload_open_chunk(f, key->aead, archive_id, public_hash, k, sealed,
					   out + done);
		sealed += n + COF_TAG;
		done += n;
	}
	cof_ring_give(ring, key);
	return r;
}

int cof_frame_read(struct cof_reader *reader, struct cof_ring *ring, const uint8_t archive_id[16],
		   uint64_t address, const struct cof_frame *f, struct cof_buf *public_part,
		   struct cof_buf *private_part)
{
	cof_autofree uint8_t *stored = malloc(f->stored ? f->stored : 1);
	cof_autofree uint8_t *plain = malloc(f->length ? f->length : 1);
	int r;

	if (!stored || !plain)
		return -ENOMEM;
	r = cof_reader_payload(reader, address, f, 0, stored, f->stored);
	if (r == 0)
		r = cof_payload_check(f, stored);
	if (r == 0 && private_part && f->length)
		r = open_chunks(ring, archive_id, f, stored, plain);
	if (r < 0)
		return r;
	if (public_part) {
		public_part->len = 0;
		cof_buf_add(public_part, stored, f->public_length);
	}
	if (private_part) {
		private_part->len = 0;
		cof_buf_add(private_part, plain, f->length);
	}
	if ((public_part && public_part->failed) || (private_part && private_part->failed))
		return -ENOMEM;
	return 0;
}
