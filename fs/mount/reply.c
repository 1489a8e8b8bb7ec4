/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies: what the archive answered, in FUSE's words. A reply that has to wait for the disk is
 * parked: no worker waits, whoever completes the sync sends it (group commit). A reply to what
 * committed a file is sent once the kernel's pages of it were dropped.
 */
#include "fs/mount/internal.h"

#include <sys/stat.h>

void cof_reply_error(fuse_req_t req, int err)
{
	switch (err) {
	case -EBADMSG: /* authentication failed, or malformed: for a program that is an I/O error */
	case -EUCLEAN:
	case -ENOKEY:
		err = -EIO;
		break;
	case -ENOSYS: /* would switch the operation off for good in the kernel */
		err = -EOPNOTSUPP;
		break;
	default:
		/* The kernel discards replies with other codes, and the caller would hang. */
		if (err > 0 || err <= -512)
			err = -EIO;
		break;
	}
	/* Fails only when the request is gone (connection aborted): nobody is left to tell. */
	(void)fuse_reply_err(req, -err);
}

static mode_t kind_bits(uint8_t kind)
{
	switch (kind) {
	case COF_KIND_DIR:
		return S_IFDIR;
	case COF_KIND_SYMLINK:
		return S_IFLNK;
	default:
		return S_IFREG;
	}
}

static struct timespec to_timespec(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / COF_NSEC, .tv_nsec = ns % COF_NSEC};

	if (ns == COF_RETAIN_INFINITE)
		return (struct timespec){.tv_sec = COF_FOREVER_SECOND};
	if (t.tv_nsec < 0) {
		t.tv_nsec += COF_NSEC;
		t.tv_sec--;
	}
	return t;
}

void cof_fill_stat(const struct cof_attr *a, struct stat *ret)
{
	*ret = (struct stat){
	    .st_ino = a->ino,
	    .st_mode = kind_bits(a->kind) | (a->mode & 07777),
	    .st_nlink = a->nlink,
	    .st_uid = a->uid,
	    .st_gid = a->gid,
	    .st_size = (off_t)COF_MIN(a->size, (uint64_t)INT64_MAX),
	    .st_blksize = COF_BLOCK,
	    .st_blocks = (blkcnt_t)(a->size / 512 + (a->size % 512 != 0)),
	    .st_atim = to_timespec(a->atime),
	    .st_mtim = to_timespec(a->mtime),
	    .st_ctim = to_timespec(a->ctime),
	};
}

double cof_cache_seconds(struct cof_mount *m)
{
	return atomic_load_explicit(&m->inval.lost, memory_order_relaxed) ? 0 : COF_CACHE_SECONDS;
}

void cof_fill_entry(struct cof_mount *m, const struct cof_attr *a, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){
	    .ino = a->ino,
	    .generation = a->ino == COF_ROOT_INO ? 0 : 1, /* numbers are never reused */
	    .attr_timeout = cof_cache_seconds(m),
	    .entry_timeout = cof_cache_seconds(m),
	};
	cof_fill_stat(a, &ret->attr);
}

struct cof_who cof_who_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);

	return (struct cof_who){
	    .uid = c->uid, .gid = c->gid, .pid = c->pid > 0 ? (uint32_t)c->pid : 0};
}

/* ---- tasks ---- */

static struct cof_task *task_new(fuse_req_t req, enum cof_shape shape)
{
	struct cof_task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->mount = cof_mount_of(req);
	t->req = req;
	t->shape = shape;
	atomic_fetch_add_explicit(&t->mount->parked, 1, memory_order_relaxed);
	return t;
}

static void task_free(struct cof_task *t)
{
	struct cof_mount *m = t->mount;
	unsigned long long n = atomic_load_explicit(&m->parked, memory_order_relaxed);

	if (t->may_commit)
		atomic_fetch_sub(&m->inval.committing, 1);
	free(t);
	while (n > 1)
		if (atomic_compare_exchange_weak(&m->parked, &n, n - 1))
			return;
	/* To 0 under the lock only: whoever waits for that may free the mount at once. */
	pthread_mutex_lock(&m->lock);
	if (atomic_fetch_sub(&m->parked, 1) == 1)
		pthread_cond_broadcast(&m->drained); /* free of cost while nobody waits */
	pthread_mutex_unlock(&m->lock);
}

static void send_open(struct cof_task *t)
{
	uint64_t ino = t->reply.attr.ino; /* 0: not of the archive */

	t->fi.direct_io = !ino || t->reply.attr.state == COF_STATE_OPEN;
	/* Pages from before the commit that are yet to be dropped must not be kept. */
	t->fi.keep_cache = !t->fi.direct_io && !cof_inval_pending(t->mount, ino);
	/* An open that was given up meanwhile (-ENOENT) is never released. */
	if (fuse_reply_open(t->req, &t->fi) != 0 && cof_opens_for_writing(&t->fi))
		cof_archive_release(t->mount->archive, ino);
}

/* A reply fails only when its request is gone with the connection; then nobody is left to tell. */
void cof_task_send(struct cof_task *t)
{
	struct fuse_entry_param entry;

	if (t->error) {
		/* Made, but not durable: nobody gets to use the handle. */
		if ((t->shape == COF_SHAPE_CREATE || t->shape == COF_SHAPE_OPEN) && t->reply.attr.ino && cof_opens_for_writing(&t->fi))
			cof_archive_release(t->mount->archive, t->reply.attr.ino);
		cof_reply_error(t->req, t->error);
		task_free(t);
		return;
	}
	if (t->shape == COF_SHAPE_ENTRY || t->shape == COF_SHAPE_CREATE || t->shape == COF_SHAPE_ATTR)
		cof_fill_entry(t->mount, &t->reply.attr, &entry);
	switch (t->shape) {
	case COF_SHAPE_ERROR:
		(void)fuse_reply_err(t->req, 0);
		break;
	case COF_SHAPE_ENTRY:
		(void)fuse_reply_entry(t->req, &entry);
		break;
	case COF_SHAPE_CREATE:
		/* One that was given up meanwhile is never released. */
		if (fuse_reply_create(t->req, &entry, &t->fi) != 0 && cof_opens_for_writing(&t->fi))
			cof_archive_release(t->mount->archive, t->reply.attr.ino);
		break;
	case COF_SHAPE_OPEN:
		send_open(t);
		break;
	case COF_SHAPE_ATTR:
		(void)fuse_reply_attr(t->req, &entry.attr, entry.attr_timeout);
		break;
	case COF_SHAPE_IOCTL:
		(void)fuse_reply_ioctl(t->req, 0, NULL, 0);
		break;
	case COF_SHAPE_WRITE:
		(void)fuse_reply_write(t->req, t->reply.length);
		break;
	}
	task_free(t);
}

/* Pages that a private mapping read while the file was open may end in zeros: they go first, so
 * that whoever sees the commit's success never sees them. */
static void send_or_drop_caches(struct cof_task *t)
{
	if (t->committed && !t->error && t->reply.attr.ino)
		cof_inval_queue(t->mount, t->reply.attr.ino, t);
	else
		cof_task_send(t);
}

void cof_task_synced(void *user, int err)
{
	struct cof_task *t = user;

	t->error = err;
	send_or_drop_caches(t);
}

static void finish(struct cof_task *t)
{
	if (!t->error && t->reply.durable && t->reply.wrote)
		cof_sync_task(t);
	else
		send_or_drop_caches(t);
}

/* ---- acting ---- */

/* The last reply counts, but what must be durable stays so, up to the highest sequence. */
static void merge(struct cof_reply *sum, const struct cof_reply *one)
{
	sum->attr = one->attr;
	sum->length = one->length;
	sum->durable |= one->durable;
	sum->wrote |= one->wrote;
	if (one->wrote)
		sum->sequence = one->sequence;
}

static void run(struct cof_task *t, const struct cof_op *ops, size_t n)
{
	struct cof_who who = cof_who_of(t->req);

	for (size_t i = 0; i < n && !t->error; i++) {
		struct cof_op op = ops[i];
		struct cof_reply one = {0};

		op.resent = cof_worker_self(t->req)->resent;
		t->error = cof_archive_do(t->mount->archive, &who, &op, &one);
		/* Also where it was refused, since the file had been idle for long enough. */
		t->committed |= one.committed;
		if (t->error)
			break;
		merge(&t->reply, &one);
	}
}

static bool may_commit(const struct cof_op *op)
{
	switch (op->kind) {
	case COF_OP_CHMOD:
		return (op->mode & 0222) == 0;
	case COF_OP_SETXATTR:
	case COF_OP_SETFLAGS:
		return true;
	default:
		return false; /* what was idle: nothing of it was cached since its last byte */
	}
}

void cof_act(fuse_req_t req, const struct cof_op *op, enum cof_shape shape,
	     const struct fuse_file_info *fi)
{
	struct cof_task *t = task_new(req, shape);

	if (!t) {
		cof_reply_error(req, -ENOMEM);
		return;
	}
	if (fi) {
		t->fi = *fi;
		t->fi.fh = 0;
	}
	t->may_commit = may_commit(op);
	if (t->may_commit)
		atomic_fetch_add(&t->mount->inval.committing, 1);
	run(t, op, 1);
	/* A part of a failed write may be in, then the kernel's size is too small. A refused one
	 * has no part that is in, and a flood of them must not cost the readers their cache. */
	if (t->error && t->error != -EPERM && t->error != -EROFS && op->kind == COF_OP_WRITE)
		cof_inval_queue(t->mount, op->ino, NULL);
	finish(t);
}

void cof_act_all(fuse_req_t req, const struct cof_op *ops, size_t n, enum cof_shape shape)
{
	struct cof_task *t = task_new(req, shape);

	if (!t) {
		cof_reply_error(req, -ENOMEM);
		return;
	}
	for (size_t i = 0; i < n; i++)
		t->may_commit |= may_commit(&ops[i]);
	if (t->may_commit)
		atomic_fetch_add(&t->mount->inval.committing, 1);
	run(t, ops, n);
	finish(t);
}

void cof_reply_synced(fuse_req_t req, uint64_t sequence)
{
	struct cof_task *t = task_new(req, COF_SHAPE_ERROR);

	if (!t) {
		cof_reply_error(req, -ENOMEM);
		return;
	}
	t->reply.sequence = sequence;
	cof_sync_task(t);
}
