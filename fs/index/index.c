/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, closing and emptying the index. Whatever is not a whole database of this archive, with
 * this key, is removed and begun anew: the log has everything.
 */
#include "fs/index/internal.h"

#include <limits.h>
#include <sys/stat.h>

#define PENDING_DEFAULT 65536

/* ---- the database ---- */

static int begin_anew(struct cof_index *ix)
{
	uint8_t salt[16];
	cof_random(salt, sizeof(salt));
	int r = ix_row_keys(ix, salt);
	if (!r)
		r = ix_db_begin(ix->db);
	if (r < 0)
		return r;
	atomic_store(&ix->fed, 0);
	atomic_store(&ix->last_ino, 1);
	r = ix_meta_write(ix, 0, 1);
	if (!r)
		r = ix_db_commit(ix->db);
	if (r < 0)
		ix_db_rollback(ix->db);
	return r;
}

static void drop_database(struct cof_index *ix)
{
	ix_db_close(ix->db);
	ix->db = NULL;
}

/* db_lock held, or nobody else there. */
static int open_database(struct cof_index *ix, bool *ret_fresh, struct cof_diag *diag)
{
	bool fresh = false;
	int r = ix_db_open(ix->dir, &ix->db, &fresh, diag);
	if (!r && !fresh) {
		r = ix_meta_read(ix);
		if (r < 0)
			drop_database(ix);
	}
	if (r == -EBADMSG) {
		r = ix_db_remove(ix->dir);
		if (r < 0)
			return cof_fail(diag, r,
					"index: cannot remove the damaged database in %s: %s. "
					"Remove it by hand; "
					"it is built again from the log.",
					ix->dir, strerror(-r));
		r = ix_db_open(ix->dir, &ix->db, &fresh, diag);
	}
	if (!r && fresh && (r = begin_anew(ix)) < 0)
		drop_database(ix);
	if (r < 0)
		return cof_fail(diag, r, "index: the database in %s cannot be used: %s",
				*ix->dir ? ix->dir : "memory",
				diag && *diag->text ? diag->text : strerror(-r));
	*ret_fresh = fresh;
	return 0;
}

/* ---- open and close ---- */

static int make_dir(const char *dir, char **ret, struct cof_diag *diag)
{
	if (!*dir) {
		*ret = strdup("");
		return *ret ? 0 : -ENOMEM;
	}
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		int err = -errno;
		return cof_fail(diag, err, "index: cannot make %s: %s", dir, strerror(-err));
	}
	/* Resolved: SQLite is told to follow no link, and the working directory may change. */
	*ret = realpath(dir, NULL);
	if (!*ret) {
		int err = -errno;
		return cof_fail(diag, err, "index: cannot find %s: %s", dir, strerror(-err));
	}
	return 0;
}

static void init_locks(struct cof_index *ix)
{
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	/* Else feeding would wait for as long as frames keep coming. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&ix->gate, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&ix->feed_lock, NULL);
	pthread_mutex_init(&ix->put_lock, NULL);
	pthread_mutex_init(&ix->db_lock, NULL);
	pthread_mutex_init(&ix->mem_lock, NULL);
	pthread_cond_init(&ix->room, NULL);
}

int cof_index_open(const struct cof_index_params *p, struct cof_index **ret, bool *ret_fresh,
		   struct cof_diag *diag)
{
	bool fresh = false;
	struct cof_index *ix = calloc(1, sizeof(*ix));
	if (!ix)
		return -ENOMEM;
	init_locks(ix);
	ix->limit = p->pending_max ? p->pending_max : PENDING_DEFAULT;
	memcpy(ix->archive_id, p->archive_id, sizeof(ix->archive_id));
	ix->durable = p->durable;
	ix->user = p->user;
	ix->active = calloc(1, sizeof(*ix->active));
	ix->secret = cof_secret_alloc(sizeof(*ix->secret));
	int r = ix->active && ix->secret ? 0 : -ENOMEM;
	if (!r) {
		memcpy(ix->secret->index_key, p->key, COF_KEY);
		r = ix_row_mac_key(ix);
	}
	if (!r)
		r = make_dir(p->dir, &ix->dir, diag);
	if (!r)
		r = open_database(ix, &fresh, diag);
	if (r < 0) {
		cof_index_close(ix);
		return r;
	}
	*ret = ix;
	*ret_fresh = fresh;
	return 0;
}

void cof_index_close(struct cof_index *ix)
{
	if (!ix)
		return;
	ix_db_close(ix->db);
	cof_aead_free(ix->aead);
	cof_secret_free(ix->secret);
	ix_part_free(ix->active);
	ix_part_free(ix->frozen);
	free(ix->dir);
	pthread_rwlock_destroy(&ix->gate);
	pthread_mutex_destroy(&ix->feed_lock);
	pthread_mutex_destroy(&ix->put_lock);
	pthread_mutex_destroy(&ix->db_lock);
	pthread_mutex_destroy(&ix->mem_lock);
	pthread_cond_destroy(&ix->room);
	free(ix);
}

/* ---- reset ---- */

/* All locks held. */
static int empty(struct cof_index *ix, struct ix_part *fresh_part)
{
	bool fresh = false;
	drop_database(ix);
	ix_part_free(ix->active);
	ix_part_free(ix->frozen);
	ix->active = fresh_part;
	ix->frozen = NULL;
	atomic_store(&ix->fed, 0);
	atomic_store(&ix->last_ino, 1);
	atomic_store(&ix->waiting, 0);
	atomic_store(&ix->held, 0);
	atomic_store(&ix->failed, false);
	pthread_cond_broadcast(&ix->room);
	/* The directory may be gone altogether. */
	if (*ix->dir && mkdir(ix->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	int r = ix_db_remove(ix->dir);
	return r < 0 ? r : open_database(ix, &fresh, NULL);
}

int cof_index_reset(struct cof_index *ix)
{
	struct ix_part *part = calloc(1, sizeof(*part));
	if (!part)
		return -ENOMEM;
	ix_lock(&ix->feed_lock);
	pthread_rwlock_wrlock(&ix->gate);
	ix_lock(&ix->put_lock);
	ix_lock(&ix->db_lock);
	ix_lock(&ix->mem_lock);
	int r = empty(ix, part);
	ix_unlock(&ix->mem_lock);
	ix_unlock(&ix->db_lock);
	ix_unlock(&ix->put_lock);
	pthread_rwlock_unlock(&ix->gate);
	ix_unlock(&ix->feed_lock);
	return r;
}
