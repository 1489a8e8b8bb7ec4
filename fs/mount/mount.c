/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session: mounting, what is agreed with the kernel, the end.
 *
 * What needs root is asked of whoever has it (struct cof_mount_root). Requests come through
 * /dev/fuse or over io_uring (transport.c). All workers share one /dev/fuse descriptor, so that one
 * descriptor is all that a restarted daemon would have to take over.
 *
 * The end, whichever way it comes (umount, cof_mount_stop, connection aborted): workers finish what
 * they have, parked requests get their replies, only then cof_mount_run returns. The session's
 * descriptor is closed by cof_mount_free; whoever still has a file open gets ENOTCONN from then on.
 */
#include "fs/mount/internal.h"
#include "fs/mount/worker.h"

#include <stdio.h>

static void init_session(void *user, struct fuse_conn_info *conn)
{
	struct cof_mount *m = user;

	/*
	 * Not wanted, on purpose: WRITEBACK_CACHE (a refusal has to reach the writer, and the
	 * writer's identity has to be true), ASYNC_DIO (large aio appends arrive out of order),
	 * AUTO_INVAL_DATA (we invalidate), ATOMIC_O_TRUNC (truncation is judged as such), SPLICE_…
	 * (pages of the user that change under the hash), HANDLE_KILLPRIV (the kernel asks for the
	 * change, as for any other), POSIX_ACL, locks (left to the kernel).
	 */
	conn->want = conn->capable &
		     (FUSE_CAP_ASYNC_READ | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_IOCTL_DIR |
		      FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS |
		      FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA);
	conn->max_write = COF_MIN(conn->max_write, COF_MAX_WRITE);
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;
	atomic_store(&m->init_seen, true);
}

/* No flush, opendir, access, lseek, poll, lock or copy_file_range handler: the kernel does
 * without them by itself, as wanted. No forget: nothing is counted. */
static const struct fuse_lowlevel_ops operations = {
    .init = init_session,
    .lookup = cof_ops_lookup,
    .getattr = cof_ops_getattr,
    .setattr = cof_ops_setattr,
    .readlink = cof_ops_readlink,
    .mknod = cof_ops_mknod,
    .mkdir = cof_ops_mkdir,
    .unlink = cof_ops_unlink,
    .rmdir = cof_ops_rmdir,
    .symlink = cof_ops_symlink,
    .rename = cof_ops_rename,
    .link = cof_ops_link,
    .open = cof_ops_open,
    .release = cof_ops_release,
    .read = cof_ops_read,
    .write = cof_ops_write,
    .fsync = cof_ops_fsync,
    .readdir = cof_ops_readdir,
    .readdirplus = cof_ops_readdirplus,
    .fsyncdir = cof_ops_fsyncdir,
    .statfs = cof_ops_statfs,
    .setxattr = cof_ops_setxattr,
    .getxattr = cof_ops_getxattr,
    .listxattr = cof_ops_listxattr,
    .removexattr = cof_ops_removexattr,
    .create = cof_ops_create,
    .ioctl = cof_ops_ioctl,
    .fallocate = cof_ops_fallocate,
};

/* Libraries never print; what matters comes back as an error code. */
static void discard_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
}

static int new_session(struct cof_mount *m, struct cof_diag *diag)
{
	char *argv[] = {"coffer", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	fuse_set_log_func(discard_log);
	m->session = fuse_session_new(&args, &operations, sizeof(operations), m);
	fuse_opt_free_args(&args);
	return m->session ? 0 : cof_fail(diag, -ENOMEM, "libfuse could not make a session");
}

/* The descriptor is the session's from then on. */
static int attach(struct cof_mount *m, bool read_only, struct cof_diag *diag)
{
	int fd = -1, err = m->root.attach(m->root.user, read_only, &fd, diag);
	char name[32];

	if (err < 0)
		return err;
	/* libfuse takes over a descriptor that is mounted already under this name. */
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	if (fuse_session_mount(m->session, name) == 0)
		return 0;
	m->root.detach(m->root.user, true);
	close(fd);
	return cof_fail(diag, -EIO, "libfuse did not accept the mount");
}

static int init_sync(struct cof_mount *m)
{
	int err = -pthread_mutex_init(&m->lock, NULL);

	if (err < 0)
		return err;
	err = -pthread_cond_init(&m->changed, NULL);
	if (err < 0)
		goto out_lock;
	err = -pthread_cond_init(&m->drained, NULL);
	if (err < 0)
		goto out_changed;
	err = -pthread_key_create(&m->worker_key, NULL);
	if (err < 0)
		goto out_drained;
	err = cof_inval_init(&m->inval);
	if (err == 0) {
		cof_syncer_init(&m->syncer);
		return 0;
	}
	pthread_key_delete(m->worker_key);
out_drained:
	pthread_cond_destroy(&m->drained);
out_changed:
	pthread_cond_destroy(&m->changed);
out_lock:
	pthread_mutex_destroy(&m->lock);
	return err;
}

static unsigned default_threads(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)COF_MIN(COF_MAX(2 * cpus, 4), 16);
}

int cof_mount_new(const struct cof_mount_params *p, struct cof_mount **ret, struct cof_diag *diag)
{
	struct cof_mount *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return cof_fail(diag, -ENOMEM, "out of memory");
	err = init_sync(m);
	if (err < 0) {
		free(m);
		return cof_fail(diag, err, "no locks for the mount: %s", strerror(-err));
	}
	m->archive = p->archive;
	m->root = p->root;
	m->n_workers = p->threads > 0 ? COF_MIN(p->threads, 256u) : default_threads();
	m->workers = calloc(m->n_workers, sizeof(*m->workers));
	if (!m->workers)
		err = cof_fail(diag, -ENOMEM, "out of memory");
	if (err == 0)
		err = new_session(m, diag);
	if (err == 0)
		err = attach(m, p->read_only, diag);
	if (err == 0 && p->uring)
		cof_transport_prepare(m);
	if (err < 0) {
		cof_mount_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

void cof_mount_free(struct cof_mount *m)
{
	if (!m)
		return;
	cof_transport_end(m);
	if (m->session)
		fuse_session_destroy(m->session); /* closes /dev/fuse */
	cof_syncer_done(&m->syncer);
	cof_inval_done(&m->inval);
	pthread_key_delete(m->worker_key);
	pthread_cond_destroy(&m->drained);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m->workers);
	free(m);
}

static void wait_until_stopping(struct cof_mount *m)
{
	pthread_mutex_lock(&m->lock);
	while (!m->stopping)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
}

static void wait_for_parked(struct cof_mount *m)
{
	pthread_mutex_lock(&m->lock);
	while (atomic_load(&m->parked) > 0)
		pthread_cond_wait(&m->drained, &m->lock);
	pthread_mutex_unlock(&m->lock);
}

int cof_mount_run(struct cof_mount *m, void (*ready)(void *user), void *user)
{
	int err = cof_worker_first(m); /* until INIT was answered */

	if (err == 0)
		m->root.served(m->root.user); /* not before: the answer to INIT sets the read-ahead */
	if (err == 0)
		err = cof_inval_start(m);
	if (err == 0)
		err = cof_transport_start(m);
	if (err == 0)
		err = cof_workers_start(m);
	if (err == 0) {
		if (ready)
			ready(user);
		wait_until_stopping(m);
	}
	cof_workers_end(m);
	cof_transport_drain(m);
	wait_for_parked(m);
	cof_inval_stop(m);
	cof_transport_end(m);
	/* Aborted, or stopped before anybody unmounted: leave no dead mount behind. */
	m->root.detach(m->root.user, true);
	return err;
}

void cof_mount_stopping(struct cof_mount *m)
{
	pthread_mutex_lock(&m->lock);
	m->stopping = true;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void cof_mount_stop(struct cof_mount *m)
{
	/* While the workers still serve: a clean unmount, if nobody has anything open. */
	m->root.detach(m->root.user, false);
	cof_mount_stopping(m);
}

void cof_mount_changed(struct cof_mount *m, uint64_t ino)
{
	cof_inval_queue(m, ino, NULL);
}

void cof_mount_removed(struct cof_mount *m, uint64_t parent, const char *name)
{
	/* ENOENT: the kernel does not know it. Any other failure: the connection is gone. */
	(void)fuse_lowlevel_notify_inval_entry(m->session, parent, name, strlen(name));
	cof_inval_queue(m, parent, NULL);
}
