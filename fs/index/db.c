/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite, and nothing else: one table of blobs, kv(k, v), in index.db. Only this file and
 * db-check.c include sqlite3.h; its codes become errno here. What is read is not trusted: the
 * schema must be ours to the letter, sizes of cells are checked, lengths are limited, nothing is
 * mapped into memory (a file that is cut while mapped kills the process): "unix-excl" keeps the
 * index of the write-ahead log on the heap and keeps other processes out.
 *
 * The caller serialises everything but ix_db_checkpoint, which has a connection of its own so that
 * its waiting for the disk holds up nobody.
 */
#include "fs/index/internal.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#define NAME "index.db"
#define SCHEMA "CREATE TABLE kv(k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID"
#define APPLICATION 0x436f4649 /* "CoFI" */
#define VERSION 5
#define VALUE_MAX (1 << 17) /* bytes of one value: 64 KiB, and what sealing and coding add */
#define WAL_PAGES 1000      /* a checkpoint is worth while */
/* Reading all of a database takes about a second a gibibyte; a mount should take less. */
#define CHECK_MAX (256LL << 20)

struct ix_db {
	sqlite3 *main, *keeper; /* keeper: for checkpoints */
	sqlite3_stmt *at_most, *above, *put, *hold;
	struct ix_check *check;
	char *path; /* NULL: in memory */
	atomic_int wal_pages;
};

static int code(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_TOOBIG: /* a length beyond our limit: nothing we wrote */
	case SQLITE_MISMATCH:
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR: /* our statements are right: the schema is not */
		return -EBADMSG;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CANTOPEN:
		return rc == SQLITE_CANTOPEN_SYMLINK ? -EBADMSG : -EIO;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_NOMEM)
			return -ENOMEM;
		if (rc == SQLITE_IOERR_SHORT_READ || rc == SQLITE_IOERR_CORRUPTFS ||
		    rc == SQLITE_IOERR_DATA)
			return -EBADMSG;
		return -EIO;
	default:
		return -EIO;
	}
}

static int wal_grew(void *user, sqlite3 *h COF_UNUSED, const char *name COF_UNUSED, int pages)
{
	struct ix_db *db = user;
	atomic_store(&db->wal_pages, pages);
	return SQLITE_OK;
}

static int exec(sqlite3 *h, const char *sql)
{
	return code(sqlite3_exec(h, sql, NULL, NULL, NULL));
}

/* The one text that a statement gives: 0, or -EBADMSG when it gives anything but one row. */
static int one_text(sqlite3 *h, const char *sql, char *out, size_t cap, unsigned *ret_rows)
{
	sqlite3_stmt *s = NULL;
	unsigned rows = 0;
	int rc = sqlite3_prepare_v2(h, sql, -1, &s, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_ROW)
			break;
		const char *text = (const char *)sqlite3_column_text(s, 0);
		snprintf(out, cap, "%s", text ? text : "");
		rows++;
	}
	sqlite3_finalize(s);
	if (rc != SQLITE_DONE)
		return code(rc) ? code(rc) : -EIO;
	*ret_rows = rows;
	return 0;
}

static int connect(const struct ix_db *db, sqlite3 **ret)
{
	const char *path = db->path;
	int reserved = IX_PAGE_RESERVED;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
	sqlite3 *h = NULL;
	int rc = sqlite3_open_v2(path ? path : ":memory:", &h, flags,
				 path ? ix_check_name(db->check) : NULL);
	if (rc != SQLITE_OK) {
		sqlite3_close(h);
		return code(rc);
	}
	sqlite3_limit(h, SQLITE_LIMIT_LENGTH, 1 << 20);
	sqlite3_limit(h, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	int r = exec(h, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
			"PRAGMA temp_store=MEMORY; PRAGMA page_size=8192; PRAGMA cache_size=-16384;"
			"PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
			"PRAGMA journal_size_limit=67108864");
	if (!r && path)
		r = code(sqlite3_file_control(h, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved));
	if (r < 0) {
		sqlite3_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

/* Opened with the other, and its write-ahead log too: should the names go away while we run, both
 * still mean the same files. */
static int open_keeper(struct ix_db *db)
{
	char text[64];
	unsigned rows = 0;
	int r = connect(db, &db->keeper);
	if (!r)
		r = exec(db->keeper, "PRAGMA cache_size=-256");
	return r < 0 ? r
		     : one_text(db->keeper, "SELECT count(*) FROM sqlite_schema", text,
				sizeof(text), &rows);
}

static int create(sqlite3 *h)
{
	char sql[256];
	snprintf(sql, sizeof(sql),
		 "BEGIN IMMEDIATE; PRAGMA application_id=%d; PRAGMA user_version=%d; " SCHEMA
		 "; COMMIT",
		 APPLICATION, VERSION);
	return exec(h, sql);
}

/* Ours, of this version, and whole. *ret_fresh: it was empty and is now made. */
static int inspect(struct ix_db *db, bool *ret_fresh)
{
	char text[256] = "", want[32];
	unsigned rows = 0;
	int r = one_text(db->main, "SELECT sql FROM sqlite_schema", text, sizeof(text), &rows);
	if (r < 0)
		return r;
	if (!rows) {
		if ((r = create(db->main)) < 0)
			return r;
		*ret_fresh = true;
		return 0;
	}
	if (rows != 1 || strcmp(text, SCHEMA))
		return -EBADMSG;
	snprintf(want, sizeof(want), "%d", APPLICATION);
	r = one_text(db->main, "PRAGMA application_id", text, sizeof(text), &rows);
	if (r < 0 || rows != 1 || strcmp(text, want))
		return r < 0 ? r : -EBADMSG;
	snprintf(want, sizeof(want), "%d", VERSION);
	r = one_text(db->main, "PRAGMA user_version", text, sizeof(text), &rows);
	if (r < 0 || rows != 1 || strcmp(text, want))
		return r < 0 ? r : -EBADMSG;
	struct stat st;
	if (db->path && (stat(db->path, &st) < 0 || st.st_size > CHECK_MAX)) {
		*ret_fresh = false;
		return 0;
	}
	r = one_text(db->main, "PRAGMA quick_check(1)", text, sizeof(text), &rows);
	if (r < 0 || rows != 1 || strcmp(text, "ok"))
		return r < 0 ? r : -EBADMSG;
	*ret_fresh = false;
	return 0;
}

static int prepare(struct ix_db *db)
{
	static const char *const sql[] = {
	    "SELECT k, v FROM kv WHERE k <= ?1 ORDER BY k DESC LIMIT 1",
	    "SELECT k, v FROM kv WHERE k > ?1 ORDER BY k",
	    "INSERT OR REPLACE INTO kv(k, v) VALUES(?1, ?2)",
	    "SELECT k FROM kv LIMIT 1",
	};
	sqlite3_stmt **const s[] = {&db->at_most, &db->above, &db->put, &db->hold};
	for (size_t i = 0; i < COF_COUNT(sql); i++) {
		int rc =
		    sqlite3_prepare_v3(db->main, sql[i], -1, SQLITE_PREPARE_PERSISTENT, s[i], NULL);
		if (rc != SQLITE_OK)
			return code(rc);
	}
	return 0;
}

/* Made by us with the rights we want: SQLite gives its other files the same. */
static int touch(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;
	if (fd < 0)
		return errno == ELOOP || errno == EISDIR ? -EBADMSG : -errno;
	int r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EBADMSG;
	close(fd);
	return r;
}

static int set_up(struct ix_db *db, bool *ret_fresh)
{
	int r = db->path ? ix_check_new(&db->check) : 0;
	if (!r)
		r = connect(db, &db->main);
	if (r < 0)
		return r;
	if (db->path) {
		char mode[16] = "";
		unsigned rows = 0;
		r = one_text(db->main, "PRAGMA journal_mode=WAL", mode, sizeof(mode), &rows);
		if (r < 0 || strcmp(mode, "wal"))
			return r < 0 ? r : -EIO;
		sqlite3_wal_hook(db->main, wal_grew, db);
	}
	r = inspect(db, ret_fresh);
	if (!r)
		r = prepare(db);
	return r || !db->path ? r : open_keeper(db);
}

int ix_db_open(const char *dir, struct ix_db **ret, bool *ret_fresh, struct cof_diag *diag)
{
	bool fresh = false;
	struct ix_db *db = calloc(1, sizeof(*db));
	if (!db)
		return -ENOMEM;
	int r = 0;
	if (*dir) {
		if (asprintf(&db->path, "%s/" NAME, dir) < 0) {
			db->path = NULL;
			r = -ENOMEM;
		} else {
			r = touch(db->path);
		}
	}
	if (!r)
		r = set_up(db, &fresh);
	if (r < 0) {
		const char *why = db->main ? sqlite3_errmsg(db->main) : strerror(-r);
		cof_fail(diag, r, "index: cannot open %s: %s", db->path ? db->path : "memory", why);
		ix_db_close(db);
		return r;
	}
	*ret = db;
	*ret_fresh = fresh;
	return 0;
}

void ix_db_close(struct ix_db *db)
{
	if (!db)
		return;
	sqlite3_finalize(db->at_most);
	sqlite3_finalize(db->above);
	sqlite3_finalize(db->put);
	sqlite3_finalize(db->hold);
	sqlite3_close(db->keeper);
	sqlite3_close(db->main);
	ix_check_free(db->check);
	free(db->path);
	free(db);
}

int ix_db_remove(const char *dir)
{
	static const char *const suffix[] = {"-wal", "-shm", "-journal", ""};
	int r = 0;
	for (size_t i = 0; *dir && i < COF_COUNT(suffix); i++) {
		cof_autofree char *path = NULL;
		if (asprintf(&path, "%s/" NAME "%s", dir, suffix[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (unlink(path) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r;
}

static int take_key(sqlite3_stmt *s, struct ix_key *ret)
{
	int n = sqlite3_column_bytes(s, 0);
	const void *p = sqlite3_column_blob(s, 0);
	if (sqlite3_column_type(s, 0) != SQLITE_BLOB || !p || n < 1 || n > IX_KEY_MAX ||
	    sqlite3_column_type(s, 1) != SQLITE_BLOB)
		return -EBADMSG;
	ret->len = (uint8_t)n;
	memcpy(ret->b, p, (size_t)n);
	return 0;
}

int ix_db_at_most(struct ix_db *db, const struct ix_key *key, ix_db_fn fn, void *user)
{
	sqlite3_stmt *s = db->at_most;
	struct ix_key k = {0};
	int r = code(sqlite3_bind_blob(s, 1, key->b, key->len, SQLITE_STATIC));
	int rc = r < 0 ? SQLITE_OK : sqlite3_step(s);
	if (!r && rc != SQLITE_ROW)
		r = rc == SQLITE_DONE ? -ENOENT : code(rc);
	if (!r)
		r = take_key(s, &k);
	if (!r) {
		const void *p = sqlite3_column_blob(s, 1); /* before its length: may convert */
		int n = sqlite3_column_bytes(s, 1);
		r = !p || n < 0 || n > VALUE_MAX ? -EBADMSG : fn(user, &k, p, (size_t)n);
	}
	sqlite3_reset(s);
	return r;
}

int ix_db_above(struct ix_db *db, const struct ix_key *key, ix_db_fn fn, void *user)
{
	sqlite3_stmt *s = db->above;
	int r = code(sqlite3_bind_blob(s, 1, key->b, key->len, SQLITE_STATIC));
	while (!r) {
		int rc = sqlite3_step(s);
		if (rc != SQLITE_ROW) {
			r = code(rc);
			break;
		}
		struct ix_key k;
		const void *p = sqlite3_column_blob(s, 1);
		int n = sqlite3_column_bytes(s, 1);
		r = take_key(s, &k);
		if (!r && (!p || n < 0 || n > VALUE_MAX || ix_key_compare(&k, key) <= 0))
			r = -EBADMSG;
		if (!r)
			r = fn(user, &k, p, (size_t)n);
	}
	sqlite3_reset(s);
	return r;
}

/* A statement under way keeps the read transaction, which each of the others would begin and end by itself. */
void ix_db_hold(struct ix_db *db, bool on)
{
	if (on)
		(void)sqlite3_step(db->hold); /* should it fail, each has its own as ever */
	else
		sqlite3_reset(db->hold);
}

int ix_db_begin(struct ix_db *db)
{
	return exec(db->main, "BEGIN IMMEDIATE");
}

int ix_db_put(struct ix_db *db, const struct ix_key *key, const void *value, size_t n)
{
	sqlite3_stmt *s = db->put;
	if (n > VALUE_MAX)
		return -EFBIG;
	int rc = sqlite3_bind_blob(s, 1, key->b, key->len, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(s, 2, value, (int)n, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : code(rc) ? code(rc) : -EIO;
}

int ix_db_commit(struct ix_db *db)
{
	return exec(db->main, "COMMIT");
}

/* SQLite has rolled back by itself after some errors. */
void ix_db_rollback(struct ix_db *db)
{
	if (!sqlite3_get_autocommit(db->main))
		(void)exec(db->main, "ROLLBACK");
}

void ix_db_shrink(struct ix_db *db)
{
	if (db)
		sqlite3_db_release_memory(db->main);
}

int ix_db_checkpoint(struct ix_db *db)
{
	if (!db->path || atomic_load(&db->wal_pages) < WAL_PAGES)
		return 0;
	int rc = sqlite3_wal_checkpoint_v2(db->keeper, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (rc == SQLITE_OK)
		atomic_store(&db->wal_pages, 0);
	return rc == SQLITE_BUSY || rc == SQLITE_LOCKED ? 0 : code(rc);
}
