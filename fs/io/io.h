/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/io: every byte of log, keys, seal and checkpoint reaches a disk through here. A store is a
 * directory; paths are relative to it, with '/' and without "..". Two implementations behind one
 * interface: plain, and simulated (for tests: sim.h).
 *
 * Thread-safety: all functions may be called from any thread; operations on one file may run
 * concurrently (the caller orders writes that overlap).
 *
 * Errors are final: once a write or a sync of a file failed, every later write or sync of that file
 * fails with the same code (a retry was seen to return 0 with the data lost). Only sync makes
 * anything durable; a new or renamed name lasts once its directory was synced.
 */
#ifndef COF_IO_H
#define COF_IO_H

#include "base/base.h"

struct cof_io;	 /* a store directory */
struct cof_file; /* an open file in it */

/* VITAL, with RDONLY: takes one of the descriptors kept back when no others are left (-EMFILE,
 * -ENFILE otherwise); what writes always may. Close it soon. */
enum { COF_IO_RDONLY = 0, COF_IO_RDWR = 1, COF_IO_VITAL = 4 };

/* The directory must exist. Descriptors are O_CLOEXEC; nothing follows symbolic links. Opening sets
 * SIGXFSZ to be ignored where it had its default action: a write beyond a limit is -EFBIG. */
int cof_io_plain(const char *dir, struct cof_io **ret, struct cof_diag *diag);
void cof_io_free(struct cof_io *io); /* close its files before; NULL is fine */
const char *cof_io_name(const struct cof_io *io); /* "plain", "simulated" */
const char *cof_io_where(const struct cof_io *io); /* the directory, for messages */

int cof_io_create(struct cof_io *io, const char *path, struct cof_file **ret); /* -EEXIST; mode 0600 */
int cof_io_open(struct cof_io *io, const char *path, int mode, struct cof_file **ret); /* -ENOENT */
void cof_io_close(struct cof_file *f); /* persists nothing */
void cof_io_closep(struct cof_file **f);
#define cof_autofile COF_CLEANUP(cof_io_closep)

/* All or an error: short writes are continued. count at most 1024. */
int cof_io_writev(struct cof_file *f, const struct iovec *iov, int count, uint64_t off);
int cof_io_write(struct cof_file *f, const void *p, size_t n, uint64_t off);
/* *ret_n < n only at the end of the file. */
int cof_io_read(struct cof_file *f, void *p, size_t n, uint64_t off, size_t *ret_n);
int cof_io_sync(struct cof_file *f); /* data and size durable */
/* As cof_io_sync of each, NULL is passed over, and cof_io_sync_dir of dir (NULL: of none); side by side where the store
 * can. The error of the first in this order; the others were tried as well. */
#define COF_IO_TOGETHER 16 /* the most */
int cof_io_sync_together(struct cof_io *io, struct cof_file *const *f, size_t n, const char *dir);
/* Bytes that were written are to go to the disk by now, so that a later sync finds little left. Promises
 * nothing and waits for nothing; what fails is told by the next sync. */
void cof_io_push(struct cof_file *f, uint64_t off, uint64_t n);
/* Begins to make durable what was written, in a thread of its own, where none is at it yet: as cof_io_push, and the disk's
 * own cache empties as well. By one thread; who closes the file waits for it. */
void cof_io_settle(struct cof_file *f);
/* Preallocates with zeros and grows the file to off + n: space is then certain. -ENOSPC; where the
 * filesystem cannot (-EOPNOTSUPP) the file is grown by truncation after a check against statfs. */
int cof_io_allocate(struct cof_file *f, uint64_t off, uint64_t n);
int cof_io_truncate(struct cof_file *f, uint64_t size);
/* The blocks that lie wholly in these bytes go back to the filesystem; they read as zeros, the size stays. Where the
 * filesystem cannot, -EOPNOTSUPP: nothing changed. What was there before is for who needs to have overwritten it. */
int cof_io_punch(struct cof_file *f, uint64_t off, uint64_t n);
int cof_io_size(struct cof_file *f, uint64_t *ret);
/* What the system cached of these bytes (n = 0: of all from off on) and takes for written goes. After
 * a sync that failed that may be wrong: who forgets then has a copy and writes it again. Cached pieces
 * are up to 2 MiB and aligned; one that lies in the range in part only stays. */
void cof_io_forget(struct cof_file *f, uint64_t off, uint64_t n);
/* These bytes are read soon: the system may fetch them meanwhile. Promises nothing. */
void cof_io_expect(struct cof_file *f, uint64_t off, uint64_t n);
/* From here on small writes below the file's present size may be copies into a mapping; that space
 * has to be allocated. Before the first write of another thread. Promises nothing: where it cannot
 * be, writes go on as they did. */
void cof_io_map(struct cof_file *f);

int cof_io_mkdir(struct cof_io *io, const char *path);
int cof_io_rename(struct cof_io *io, const char *from, const char *to); /* replaces */
int cof_io_unlink(struct cof_io *io, const char *path);
int cof_io_rmdir(struct cof_io *io, const char *path); /* -ENOTEMPTY */
int cof_io_sync_dir(struct cof_io *io, const char *path); /* "" is the store itself */
int cof_io_exists(struct cof_io *io, const char *path);	  /* 1, 0, or -errno */
/* Names in a directory in ascending byte order, without "." and "..". fn returns 0 or -errno. */
typedef int (*cof_io_list_fn)(void *user, const char *name);
int cof_io_list(struct cof_io *io, const char *path, cof_io_list_fn fn, void *user);

/* path.new, sync, rename, directory sync. After an error the old content is there; only when the
 * directory's sync failed it may be either, whole (as after a crash at that moment). */
int cof_io_replace(struct cof_io *io, const char *path, const void *p, size_t n);
/* The same; before path has the new content, this other file is durable too. NULL: there is none. */
int cof_io_replace_behind(struct cof_io *io, const char *path, const void *p, size_t n, struct cof_file *other);
/* Zeros over all of it, durable, then it goes. -ENOENT */
int cof_io_wipe(struct cof_io *io, const char *path);
/* The whole of a file of at most cap bytes: -EFBIG. *ret is malloc'ed, one NUL behind it. */
int cof_io_load(struct cof_io *io, const char *path, size_t cap, uint8_t **ret, size_t *ret_n);

/* Takes STORE/lock (flock, exclusive) and writes holder ("pid 123 on host") into it. -EBUSY with the other holder in diag;
 * -ESTALE: the directory was removed or replaced since it was opened. Released by unlock or the death of the process. */
int cof_io_lock(struct cof_io *io, const char *holder, struct cof_diag *diag);
/* As cof_io_lock on a read-only filesystem: shared with others who only read, nothing is written. */
int cof_io_lock_shared(struct cof_io *io, struct cof_diag *diag);
void cof_io_unlock(struct cof_io *io);
/* 1 and the holder's text when somebody else holds it, 0 when nobody does. */
int cof_io_locked(struct cof_io *io, char *ret_holder, size_t cap);

/* Keeps out whoever else asks for the same directory of the store, in this process or another; the lock
 * above may be held or not. Waits for up to a minute: -EBUSY. *ret is for cof_io_unguard. A read-only
 * filesystem is fine; where directories cannot be locked (NFS) nobody is kept out. */
int cof_io_guard(struct cof_io *io, const char *dir, int *ret);
void cof_io_unguard(int guard); /* -1 is fine */

int cof_io_space(struct cof_io *io, uint64_t *ret_free, uint64_t *ret_total); /* bytes; 0: unknown */

#endif
