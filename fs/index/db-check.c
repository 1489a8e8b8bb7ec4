/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums of pages, between SQLite and its unix-excl VFS. Rows are sealed, so a damaged row
 * cannot pass; but a damaged page can hide rows, and "there is no such name" would be believed. So:
 *
 *   database  the last 8 bytes of each page (reserved for this by SQLite) are CRC-32C of page
 * number ‖ the bytes before them, and its complement; set when a page is written, checked when it
 * is read. WAL       frames carry checksums that SQLite checks at recovery only. The CRC-32C of
 * each frame's page is kept in memory from its writing, or its recovery, on and checked at each
 * reading.
 *
 * A page that fails gives SQLITE_IOERR_DATA. Against damage only: whoever can write can compute a
 * CRC, and is met by the seals of the rows and the check of each frame.
 *
 * Each database registers a VFS of its own, so that its connections share the table of frames.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "fs/index/internal.h"

#define PAGE IX_PAGE
#define BODY (PAGE - IX_PAGE_RESERVED)
#define WAL_HEADER 32
#define WAL_FRAME_HEADER 24
#define WAL_FRAME (WAL_FRAME_HEADER + PAGE)

struct ix_check {
	sqlite3_vfs vfs; /* the real one's functions, but xOpen */
	sqlite3_vfs *real;
	char name[40];
	pthread_mutex_t lock; /* what follows */
	uint32_t *crc;        /* of each frame of the WAL, 0: not known */
	size_t frames;
};

enum kind { OTHER, DATABASE, WAL };

struct file {
	sqlite3_file base;
	struct ix_check *check;
	enum kind kind;
	/* the real file follows */
};

static sqlite3_file *real(sqlite3_file *f)
{
	return (sqlite3_file *)((struct file *)(void *)f + 1);
}

/* ---- pages of the database ---- */

static void page_sum(const uint8_t *page, sqlite3_int64 offset, uint8_t out[IX_PAGE_RESERVED])
{
	uint8_t number[8];
	cof_put_le64(number, (uint64_t)offset / PAGE);
	uint32_t crc = cof_crc32c(cof_crc32c(0, number, sizeof(number)), page, BODY);
	cof_put_le32(out, crc);
	cof_put_le32(out + 4, ~crc);
}

static bool is_page(enum kind kind, int n, sqlite3_int64 offset)
{
	return kind == DATABASE && n == PAGE && offset % PAGE == 0;
}

static bool page_holds(const uint8_t *page, sqlite3_int64 offset)
{
	uint8_t sum[IX_PAGE_RESERVED];
	page_sum(page, offset, sum);
	if (!memcmp(sum, page + BODY, sizeof(sum)))
		return true;
	/* Never written: SQLite has grown the file past it. */
	for (int i = 0; i < PAGE; i++)
		if (page[i])
			return false;
	return true;
}

/* ---- frames of the WAL ---- */

/* Which frame's page lies there; -1: none, or not all of it. */
static int64_t frame_of(enum kind kind, int n, sqlite3_int64 offset, int header)
{
	sqlite3_int64 at = offset - WAL_HEADER - (WAL_FRAME_HEADER - header);
	if (kind != WAL || n != header + PAGE || at < 0 || at % WAL_FRAME)
		return -1;
	return at / WAL_FRAME;
}

static uint32_t frame_sum(const uint8_t *page)
{
	uint32_t crc = cof_crc32c(0, page, PAGE);
	return crc ? crc : 1;
}

static void remember(struct ix_check *c, int64_t frame, uint32_t crc)
{
	size_t i = (size_t)frame;
	pthread_mutex_lock(&c->lock);
	if (i >= c->frames && i < 1u << 24) {
		size_t n = COF_MAX(i + 1, c->frames * 2);
		uint32_t *more = realloc(c->crc, n * sizeof(*more));
		if (more) { /* else it is read unchecked */
			memset(more + c->frames, 0, (n - c->frames) * sizeof(*more));
			c->crc = more;
			c->frames = n;
		}
	}
	if (i < c->frames)
		c->crc[i] = crc;
	pthread_mutex_unlock(&c->lock);
}

static bool frame_holds(struct ix_check *c, int64_t frame, const uint8_t *page)
{
	size_t i = (size_t)frame;
	pthread_mutex_lock(&c->lock);
	uint32_t want = i < c->frames ? c->crc[i] : 0;
	pthread_mutex_unlock(&c->lock);
	return !want || want == frame_sum(page);
}

/* What is written there in another way is no longer known. */
static void forget(struct ix_check *c, sqlite3_int64 from, sqlite3_int64 to)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->frames; i++) {
		sqlite3_int64 at = WAL_HEADER + (sqlite3_int64)i * WAL_FRAME + WAL_FRAME_HEADER;
		if (at < to && at + PAGE > from)
			c->crc[i] = 0;
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- what SQLite calls ---- */

static int check_read(sqlite3_file *f, void *p, int n, sqlite3_int64 offset)
{
	struct file *file = (struct file *)(void *)f;
	int rc = real(f)->pMethods->xRead(real(f), p, n, offset);
	if (rc != SQLITE_OK)
		return rc;
	if (is_page(file->kind, n, offset) && !page_holds(p, offset))
		return SQLITE_IOERR_DATA;
	int64_t frame = frame_of(file->kind, n, offset, 0);
	if (frame >= 0 && !frame_holds(file->check, frame, p))
		return SQLITE_IOERR_DATA;
	/* Whole frames are read by recovery, which checks them itself. */
	frame = frame_of(file->kind, n, offset, WAL_FRAME_HEADER);
	if (frame >= 0)
		remember(file->check, frame, frame_sum((const uint8_t *)p + WAL_FRAME_HEADER));
	return rc;
}

static int check_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 offset)
{
	struct file *file = (struct file *)(void *)f;
	uint8_t page[PAGE];
	int64_t frame = frame_of(file->kind, n, offset, 0);
	if (is_page(file->kind, n, offset)) {
		memcpy(page, p, BODY);
		page_sum(page, offset, page + BODY);
		p = page;
	}
	if (file->kind == WAL && frame < 0 && n != WAL_FRAME_HEADER)
		forget(file->check, offset, offset + n);
	int rc = real(f)->pMethods->xWrite(real(f), p, n, offset);
	if (frame >= 0)
		remember(file->check, frame, rc == SQLITE_OK ? frame_sum(p) : 0);
	return rc;
}

static int check_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct file *file = (struct file *)(void *)f;
	if (file->kind == WAL)
		forget(file->check, size, INT64_MAX);
	return real(f)->pMethods->xTruncate(real(f), size);
}

static int check_close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static int check_sync(sqlite3_file *f, int flags)
{
	return real(f)->pMethods->xSync(real(f), flags);
}

static int check_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return real(f)->pMethods->xFileSize(real(f), ret);
}

static int check_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int check_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int check_reserved(sqlite3_file *f, int *ret)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), ret);
}

static int check_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int check_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int check_device(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int check_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return real(f)->pMethods->xShmMap(real(f), page, size, extend, ret);
}

static int check_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void check_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int check_shm_unmap(sqlite3_file *f, int remove)
{
	return real(f)->pMethods->xShmUnmap(real(f), remove);
}

/* Version 2: without mapping the file into memory. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = check_close,
    .xRead = check_read,
    .xWrite = check_write,
    .xTruncate = check_truncate,
    .xSync = check_sync,
    .xFileSize = check_size,
    .xLock = check_lock,
    .xUnlock = check_unlock,
    .xCheckReservedLock = check_reserved,
    .xFileControl = check_control,
    .xSectorSize = check_sector,
    .xDeviceCharacteristics = check_device,
    .xShmMap = check_shm_map,
    .xShmLock = check_shm_lock,
    .xShmBarrier = check_shm_barrier,
    .xShmUnmap = check_shm_unmap,
};

static int check_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
		      int *ret_flags)
{
	struct ix_check *c = vfs->pAppData;
	struct file *file = (struct file *)(void *)f;
	file->check = c;
	file->kind = flags & SQLITE_OPEN_MAIN_DB ? DATABASE : flags & SQLITE_OPEN_WAL ? WAL : OTHER;
	file->base.pMethods = NULL;
	int rc = c->real->xOpen(c->real, name, real(f), flags, ret_flags);
	if (real(f)->pMethods) /* SQLite closes it then, even after an error */
		file->base.pMethods = &methods;
	return rc;
}

/* ---- one for each database ---- */

int ix_check_new(struct ix_check **ret)
{
	struct ix_check *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->real = sqlite3_vfs_find("unix-excl");
	if (!c->real) {
		free(c);
		return -EOPNOTSUPP;
	}
	snprintf(c->name, sizeof(c->name), "coffer-index-%p", (void *)c);
	c->vfs = *c->real;
	c->vfs.zName = c->name;
	c->vfs.pNext = NULL;
	c->vfs.pAppData = c;
	c->vfs.szOsFile = (int)sizeof(struct file) + c->real->szOsFile;
	c->vfs.xOpen = check_open;
	pthread_mutex_init(&c->lock, NULL);
	int rc = sqlite3_vfs_register(&c->vfs, 0);
	if (rc != SQLITE_OK) {
		pthread_mutex_destroy(&c->lock);
		free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

const char *ix_check_name(const struct ix_check *c)
{
	return c->name;
}

void ix_check_free(struct ix_check *c)
{
	if (!c)
		return;
	sqlite3_vfs_unregister(&c->vfs);
	pthread_mutex_destroy(&c->lock);
	free(c->crc);
	free(c);
}
