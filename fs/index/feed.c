/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving what is pending into the database. While nobody is inside enter/leave, `active` becomes
 * `frozen`, and a new one takes its place: so what is frozen is whole frames, all below the size
 * that was asked for at that moment. It is written in one transaction beside readers and writers,
 * and dropped once that is committed. When it fails, it stays, and the next call begins with it.
 */
#include "fs/index/internal.h"

/* A rebuild's transactions: sorted, the more at once the faster, at some 40 MiB of memory. */
#define BULK_UNITS 131072
#define ROWS_AT_ONCE 32 /* under one hold of db_lock */

void ix_part_free(struct ix_part *part)
{
	if (!part)
		return;
	ix_overlay_done(&part->rows);
	ix_pending_done(&part->files);
	free(part);
}

/* ---- who writes frames ---- */

/* Waits here, before anything is held. After a failure nobody waits: who writes asks
 * cof_index_pending and refuses. */
void cof_index_enter(struct cof_index *ix)
{
	if (atomic_load(&ix->waiting) >= ix->limit) {
		ix_lock(&ix->mem_lock);
		while (atomic_load(&ix->waiting) >= ix->limit && !atomic_load(&ix->failed) &&
		       !atomic_load(&ix->bulk))
			pthread_cond_wait(&ix->room, &ix->mem_lock);
		ix_unlock(&ix->mem_lock);
	}
	pthread_rwlock_rdlock(&ix->gate);
}

void cof_index_leave(struct cof_index *ix)
{
	pthread_rwlock_unlock(&ix->gate);
}

uint32_t cof_index_pending(struct cof_index *ix)
{
	uint64_t n = atomic_load(&ix->waiting);
	/* What is on its way into the database counts only when it does not get there. */
	if (atomic_load(&ix->failed))
		n += atomic_load(&ix->held);
	return (uint32_t)COF_MIN(n, UINT32_MAX);
}

uint64_t cof_index_fed(struct cof_index *ix)
{
	return atomic_load(&ix->fed);
}

void cof_index_bulk(struct cof_index *ix, bool on)
{
	ix_lock(&ix->mem_lock);
	atomic_store(&ix->bulk, on);
	pthread_cond_broadcast(&ix->room);
	ix_unlock(&ix->mem_lock);
	if (on)
		return;
	ix_lock(&ix->db_lock);
	ix_db_shrink(ix->db);
	ix_unlock(&ix->db_lock);
}

/* ---- writing out ---- */

struct file_key {
	struct ix_key prefix;
	const struct ix_file *file;
};

static int by_key(const void *a, const void *b)
{
	return ix_key_compare(&((const struct file_key *)a)->prefix,
			      &((const struct file_key *)b)->prefix);
}

static int write_files(struct cof_index *ix, const struct ix_pending *p)
{
	int r = 0;
	uint32_t n = 0;
	if (!p->files)
		return 0;
	cof_autofree struct file_key *list = malloc(p->files * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->buckets; i++)
		for (const struct ix_file *f = p->bucket[i]; f; f = f->chain) {
			list[n].file = f;
			ix_row_prefix(ix, IX_STRETCH, f->ino, NULL, 0, &list[n++].prefix);
		}
	qsort(list, n, sizeof(*list), by_key);
	for (uint32_t i = 0; !r && i < n; i++)
		r = ix_stretch_write(ix, &list[i].prefix, list[i].file);
	return r;
}

static int write_rows(struct cof_index *ix, const struct ix_overlay *o)
{
	const struct ix_cell *c = ix_overlay_first(o);
	int r = 0;
	while (c && !r) {
		ix_lock(&ix->db_lock);
		for (int i = 0; c && !r && i < ROWS_AT_ONCE; i++, c = c->next[0])
			r = ix_row_write(ix, &c->key, c->value, c->n);
		ix_unlock(&ix->db_lock);
	}
	return r;
}

static int begin(struct cof_index *ix)
{
	ix_lock(&ix->db_lock);
	int r = ix->db ? ix_db_begin(ix->db) : -EIO;
	ix_unlock(&ix->db_lock);
	return r;
}

/* Commits, or rolls back when something went wrong before or now. */
static int finish(struct cof_index *ix, uint64_t size, int r)
{
	ix_lock(&ix->db_lock);
	if (!r)
		r = ix_meta_write(ix, size, atomic_load(&ix->last_ino));
	if (!r)
		r = ix_db_commit(ix->db);
	if (r < 0)
		ix_db_rollback(ix->db);
	ix_unlock(&ix->db_lock);
	return r;
}

/* feed_lock held: nobody else changes frozen, and its content is constant. */
static int write_frozen(struct cof_index *ix)
{
	struct ix_part *part = ix->frozen;
	int r = ix->durable ? ix->durable(ix->user, part->size) : 0;
	if (!r)
		r = begin(ix);
	if (!r) {
		r = write_rows(ix, &part->rows);
		if (!r)
			r = write_files(ix, &part->files);
		r = finish(ix, part->size, r);
	}
	if (r < 0)
		return r;
	ix_lock(&ix->mem_lock);
	ix->frozen = NULL;
	atomic_store(&ix->fed, part->size);
	atomic_store(&ix->held, 0);
	ix_unlock(&ix->mem_lock);
	ix_part_free(part);
	return 0;
}

static int freeze(struct cof_index *ix, uint64_t (*size)(void *user), void *user)
{
	struct ix_part *empty = calloc(1, sizeof(*empty));
	if (!empty)
		return -ENOMEM;
	pthread_rwlock_wrlock(&ix->gate);
	uint64_t below = COF_MAX(size(user), atomic_load(&ix->fed));
	ix_lock(&ix->mem_lock);
	struct ix_part *part = ix->active;
	if (below != atomic_load(&ix->fed) || part->rows.count || part->files.stretches) {
		part->size = below;
		ix->frozen = part;
		ix->active = empty;
		empty = NULL;
		atomic_store(&ix->held, atomic_load(&ix->waiting));
		atomic_store(&ix->waiting, 0);
		pthread_cond_broadcast(&ix->room);
	}
	ix_unlock(&ix->mem_lock);
	pthread_rwlock_unlock(&ix->gate);
	free(empty);
	return 0;
}

static void set_failed(struct cof_index *ix, bool failed)
{
	ix_lock(&ix->mem_lock);
	atomic_store(&ix->failed, failed);
	pthread_cond_broadcast(&ix->room);
	ix_unlock(&ix->mem_lock);
}

int cof_index_feed(struct cof_index *ix, uint64_t (*size)(void *user), void *user)
{
	int r = 0;
	ix_lock(&ix->feed_lock);
	if (atomic_load(&ix->bulk) && !ix->frozen && atomic_load(&ix->waiting) < BULK_UNITS) {
		ix_unlock(&ix->feed_lock);
		return 0;
	}
	if (ix->frozen)
		r = write_frozen(ix);
	if (!r)
		r = freeze(ix, size, user);
	if (!r && ix->frozen)
		r = write_frozen(ix);
	set_failed(ix, r < 0);
	/* What is committed is safe where it is; only the space is not given back. */
	if (!r && ix->db)
		r = ix_db_checkpoint(ix->db);
	ix_unlock(&ix->feed_lock);
	return r;
}
