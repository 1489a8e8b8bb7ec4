/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/io: what an implementation of the store interface provides. io.c checks arguments,
 * continues short writes, keeps first errors and orders syncs, so that an implementation only moves
 * bytes.
 */
#ifndef COF_IO_IMPL_H
#define COF_IO_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/io/io.h"

enum { COF_IO_CREATE = 2 }; /* open: with COF_IO_RDWR, the name must be new */

/* Relative, without empty, "." or ".." components, not too long: 0, -EINVAL or -ENAMETOOLONG. */
int cof_path_check(const char *path);

struct cof_names { /* of a directory, while it is read */
	char **name;
	size_t len, cap;
};
int cof_names_add(struct cof_names *names, const char *name);

struct cof_io_ops {
	const char *name;
	bool side_by_side; /* syncs of several files may go on at once; else they come in their order, in the caller's thread */
	void (*free)(struct cof_io *io); /* everything but where and the struct itself */
	/* Allocates *ret; io.c fills the part that all files share. */
	int (*open)(struct cof_io *io, const char *path, int mode, struct cof_file **ret);
	void (*close)(struct cof_file *f); /* everything but the struct itself */

	/* Bytes moved from the start of iov (never 0, may be fewer than asked), or -errno. */
	ssize_t (*writev)(struct cof_file *f, const struct iovec *iov, int count, uint64_t off);
	ssize_t (*read)(struct cof_file *f, void *p, size_t n, uint64_t off); /* 0: the end */
	int (*sync)(struct cof_file *f);
	void (*push)(struct cof_file *f, uint64_t off, uint64_t n); /* may be NULL */
	int (*allocate)(struct cof_file *f, uint64_t off, uint64_t n);
	int (*truncate)(struct cof_file *f, uint64_t size);
	int (*punch)(struct cof_file *f, uint64_t off, uint64_t n); /* NULL: it cannot */
	int (*size)(struct cof_file *f, uint64_t *ret);
	void (*forget)(struct cof_file *f, uint64_t off, uint64_t n); /* NULL: nothing is cached */
	void (*expect)(struct cof_file *f, uint64_t off, uint64_t n); /* may be NULL */
	void (*map)(struct cof_file *f);    /* may be NULL */

	int (*mkdir)(struct cof_io *io, const char *path);
	int (*rename)(struct cof_io *io, const char *from, const char *to);
	int (*unlink)(struct cof_io *io, const char *path);
	int (*rmdir)(struct cof_io *io, const char *path);
	int (*sync_dir)(struct cof_io *io, const char *path);
	int (*exists)(struct cof_io *io, const char *path);
	int (*list)(struct cof_io *io, const char *path, struct cof_names *names); /* any order */

	/* holder NULL: shared, for reading; nothing is written. *ret_holder: what the lock's text says when somebody else has it (-EBUSY). */
	int (*lock)(struct cof_io *io, const char *holder, char *ret_holder, size_t cap);
	void (*unlock)(struct cof_io *io);
	int (*locked)(struct cof_io *io, char *ret_holder, size_t cap);
	int (*guard)(struct cof_io *io, const char *dir, int *ret); /* NULL: nobody else is there */
	int (*space)(struct cof_io *io, uint64_t *ret_free, uint64_t *ret_total);
};

struct cof_io {
	const struct cof_io_ops *ops;
	char *where;
};

struct cof_file {
	struct cof_io *io;
	bool writable;
	_Atomic int failed;        /* the first error of a write or sync; never cleared */
	pthread_mutex_t sync_lock; /* of two syncs at once the kernel tells only one of an error */
	pthread_t settler;	   /* that was started by cof_io_settle, and is joined by who starts the next, or closes */
	bool settles;
	atomic_bool settled; /* the thread has nothing left to do */
};

void cof_io_settle_end(struct cof_file *f); /* together.c */

/* ---- stores in a directory of the host (posix.c, path.c, lock.c) ---- */

struct cof_posix {
	struct cof_io base;
	int dir;
	uid_t owner; /* of the directory, and so of what is made in it */
	gid_t group;
	pthread_mutex_t lock_mutex; /* guards the next two */
	int lock_fd;                /* -1: not ours */
	bool lock_shared;	    /* ours, for reading */
	pthread_mutex_t spare_mutex; /* guards spare */
	int spare[6];		     /* -1: in use */
};

struct cof_posix_file {
	struct cof_file base;
	int fd;
	uint8_t *map; /* NULL: none; set before the first write, gone with the file */
	uint64_t map_size;
	atomic_bool map_failed;
	_Atomic uint64_t map_end; /* of what was written through it last; one thread writes at a time */
	uint64_t map_settled;	  /* below, nothing of it is in the page tables; guarded by sync_lock */
};

/* Opens the directory; io is zeroed memory of the implementation's own struct. */
int cof_posix_init(struct cof_posix *io, const struct cof_io_ops *ops, const char *dir,
		   struct cof_diag *diag);
void cof_posix_free(struct cof_io *io);
/* What root has made in the store is its owner's, who the daemon is. fd: of what is new. */
int cof_posix_give(const struct cof_posix *p, int fd);
int cof_posix_open(struct cof_io *io, const char *path, int mode, struct cof_file **ret);
void cof_posix_close(struct cof_file *f);
ssize_t cof_posix_writev(struct cof_file *f, const struct iovec *iov, int count, uint64_t off);
ssize_t cof_posix_read(struct cof_file *f, void *p, size_t n, uint64_t off);
int cof_posix_sync(struct cof_file *f);
void cof_posix_push(struct cof_file *f, uint64_t off, uint64_t n);
int cof_posix_allocate(struct cof_file *f, uint64_t off, uint64_t n);
int cof_posix_truncate(struct cof_file *f, uint64_t size);
int cof_posix_punch(struct cof_file *f, uint64_t off, uint64_t n);
int cof_posix_size(struct cof_file *f, uint64_t *ret);
void cof_posix_forget(struct cof_file *f, uint64_t off, uint64_t n);
void cof_posix_expect(struct cof_file *f, uint64_t off, uint64_t n);

/* ---- small writes by copying (map.c) ---- */

void cof_posix_map(struct cof_file *f);
void cof_posix_unmap(struct cof_posix_file *f);
/* Bytes written: all, or 0 where it has to go by pwritev. */
ssize_t cof_map_write(struct cof_posix_file *f, const struct iovec *iov, int count, uint64_t off);
void cof_map_settle(struct cof_posix_file *f); /* before a sync */

int cof_posix_mkdir(struct cof_io *io, const char *path);
int cof_posix_rename(struct cof_io *io, const char *from, const char *to);
int cof_posix_unlink(struct cof_io *io, const char *path);
int cof_posix_rmdir(struct cof_io *io, const char *path);
int cof_posix_sync_dir(struct cof_io *io, const char *path);
int cof_posix_exists(struct cof_io *io, const char *path);
int cof_posix_list(struct cof_io *io, const char *path, struct cof_names *names);
int cof_posix_lock(struct cof_io *io, const char *holder, char *ret_holder, size_t cap);
void cof_posix_unlock(struct cof_io *io);
int cof_posix_locked(struct cof_io *io, char *ret_holder, size_t cap);
int cof_posix_guard(struct cof_io *io, const char *dir, int *ret);
int cof_posix_space(struct cof_io *io, uint64_t *ret_free, uint64_t *ret_total);

/* A descriptor of a path below dir, or -errno: nothing leaves dir, no symbolic link is followed. */
int cof_path_open(int dir, const char *path, int flags, mode_t mode);
/* The directory that holds path's last component, and that component (a part of path). */
int cof_path_parent(int dir, const char *path, const char **ret_name);

/* ---- descriptors for when there are no others (spare.c) ---- */

int cof_spare_init(struct cof_posix *p);
void cof_spare_done(struct cof_posix *p);
void cof_spare_fill(struct cof_posix *p); /* as far as there are any to be had */
/* Gives one up if that may help against err: true, try again. */
bool cof_spare_use(struct cof_posix *p, int err);
/* As cof_path_open and cof_path_parent; at the end of the descriptors out of the spare ones. */
int cof_spare_open(struct cof_posix *p, const char *path, int flags, mode_t mode);
int cof_spare_parent(struct cof_posix *p, const char *path, const char **ret_name);
void cof_spare_close(struct cof_posix *p, int fd); /* and fills up again; -1 is fine */

#endif
