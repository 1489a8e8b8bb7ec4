/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated store: the interface of fs/io over the disk of sim-disk.c. */
#include <stdio.h>

#include "fs/io/sim-impl.h"

struct sim_store {
	struct cof_io base;
	struct cof_sim *sim;
	uint64_t boot;
};

struct sim_file {
	struct cof_file base;
	struct cof_sim *sim;
	uint64_t boot;
	uint64_t errors; /* of the node, that this open file was told of or is too young for */
	struct sim_node *node;
};

static void unlock_sim(struct cof_sim **s)
{
	pthread_mutex_unlock(&(*s)->mutex);
}
#define HOLD(s)                                                                                    \
	COF_UNUSED COF_CLEANUP(unlock_sim)                                                         \
	struct cof_sim *held = (s);                                                                \
	pthread_mutex_lock(&held->mutex)

static struct cof_sim *sim_of(struct cof_io *io)
{
	return ((struct sim_store *)io)->sim;
}

/* A store that was open when the power went is dead, like the process that had it. */
static bool dead(struct cof_io *io)
{
	return ((struct sim_store *)io)->boot != sim_of(io)->boot;
}

static int step(struct cof_io *io)
{
	return dead(io) ? -ESHUTDOWN : sim_step(sim_of(io), NULL);
}

/* ---- files ---- */

static int create(struct cof_io *io, const char *path, struct sim_node **ret)
{
	struct cof_sim *s = sim_of(io);
	struct sim_node *node;
	int r = step(io);

	if (r)
		return r;
	if (sim_find(&s->now, path))
		return -EEXIST;
	if (!sim_has_parent(&s->now, path))
		return -ENOENT;
	node = sim_node_new(false);
	if (!node)
		return -ENOMEM;
	r = sim_table_set(&s->now, path, node);
	if (!r)
		r = sim_name_change(s, path, node, NULL);
	if (!r)
		*ret = node;
	sim_node_unref(node); /* the table has it */
	return r;
}

static int sim_open(struct cof_io *io, const char *path, int mode, struct cof_file **ret)
{
	struct cof_sim *s = sim_of(io);
	struct sim_node *node = NULL;
	struct sim_file *f;
	int r = 0;
	HOLD(s);

	if (dead(io))
		return -ESHUTDOWN;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	if (mode & COF_IO_CREATE)
		r = create(io, path, &node);
	else if (!(node = sim_find(&s->now, path)))
		r = -ENOENT;
	else if (node->dir)
		r = -EISDIR;
	if (r) {
		free(f);
		return r;
	}
	f->sim = s;
	f->boot = s->boot;
	f->node = sim_node_ref(node);
	f->errors = node->errors;
	*ret = &f->base;
	return 0;
}

static void sim_close(struct cof_file *file)
{
	struct sim_file *f = (struct sim_file *)file;
	HOLD(f->sim);
	sim_node_unref(f->node);
}

static int file_step(struct sim_file *f, bool *ret_short)
{
	return f->boot != f->sim->boot ? -ESHUTDOWN : sim_step(f->sim, ret_short);
}

/* The growth fits the disk. */
static bool fits(const struct sim_file *f, uint64_t size)
{
	const struct cof_sim *s = f->sim;
	uint64_t more = size > f->node->now.len ? size - f->node->now.len : 0;
	uint64_t used = s->limit ? sim_used(s) : 0;
	return !s->limit || !more || (used <= s->limit && more <= s->limit - used);
}

static int change(struct sim_file *f, int kind, uint64_t off, const void *p, size_t n)
{
	struct sim_node *node = f->node;
	int r = sim_node_change(node, kind, off, p, n);
	return r ? r : sim_change_apply(&node->change[node->n_change - 1], &node->now);
}

/* Where a failing or short write stops: anywhere before its end. */
static size_t part_of(struct cof_sim *s, size_t n)
{
	return n ? (size_t)(sim_random(s) % n) : 0;
}

static ssize_t sim_writev(struct cof_file *file, const struct iovec *iov, int count, uint64_t off)
{
	struct sim_file *f = (struct sim_file *)file;
	cof_autobuf struct cof_buf all = {0};
	bool in_part = false;
	size_t n;
	int r, err;
	HOLD(f->sim);

	for (int i = 0; i < count; i++)
		cof_buf_add(&all, iov[i].iov_base, iov[i].iov_len);
	if (all.failed)
		return -ENOMEM;
	if (f->sim->seen)
		cof_buf_add(f->sim->seen, all.data, all.len);
	if (f->boot != f->sim->boot || f->sim->down)
		return file_step(f, NULL);
	err = file_step(f, &in_part);
	n = all.len;
	if (!err && !fits(f, off + n))
		return -ENOSPC;
	if (err)
		n = part_of(f->sim, n);
	else if (in_part && n > 1)
		n = 1 + part_of(f->sim, n - 1);
	if (err && !fits(f, off + n))
		n = 0;
	r = n ? change(f, CHANGE_WRITE, off, all.data, n) : 0;
	if (err || r)
		return err ? err : r;
	return (ssize_t)n;
}

static ssize_t sim_read(struct cof_file *file, void *p, size_t n, uint64_t off)
{
	struct sim_file *f = (struct sim_file *)file;
	const struct sim_bytes *now = &f->node->now;
	HOLD(f->sim);

	if (f->boot != f->sim->boot)
		return -ESHUTDOWN;
	if (off >= now->len)
		return 0;
	n = COF_MIN(n, now->len - (size_t)off);
	memcpy(p, now->data + off, n);
	return (ssize_t)n;
}

static int sim_sync(struct cof_file *file)
{
	struct sim_file *f = (struct sim_file *)file;
	int r;
	HOLD(f->sim);

	r = file_step(f, NULL);
	if (!r)
		r = sim_due(f->sim, COF_SIM_EIO_SYNC);
	/* As kernels do: pages that could not be written count as clean, and a later sync returns 0
	 * without them, but once through each descriptor that was open when it happened. */
	if (r == -EIO) {
		int torn = sim_tear(f->sim, f->node);

		f->errors = ++f->node->errors;
		return torn ? torn : r;
	}
	if (!r && f->errors != f->node->errors) {
		f->errors = f->node->errors;
		return -EIO;
	}
	return r || f->sim->lie ? r : sim_node_sync(f->node);
}

static int sim_allocate(struct cof_file *file, uint64_t off, uint64_t n)
{
	struct sim_file *f = (struct sim_file *)file;
	int r;
	HOLD(f->sim);

	r = file_step(f, NULL);
	if (!r && !fits(f, off + n))
		r = -ENOSPC;
	return r ? r : change(f, CHANGE_GROW, off + n, NULL, 0);
}

static int sim_truncate(struct cof_file *file, uint64_t size)
{
	struct sim_file *f = (struct sim_file *)file;
	int r;
	HOLD(f->sim);

	r = file_step(f, NULL);
	if (!r && !fits(f, size))
		r = -ENOSPC;
	return r ? r : change(f, CHANGE_SIZE, size, NULL, 0);
}

static int sim_size(struct cof_file *file, uint64_t *ret)
{
	struct sim_file *f = (struct sim_file *)file;
	HOLD(f->sim);

	if (f->boot != f->sim->boot)
		return -ESHUTDOWN;
	*ret = f->node->now.len;
	return 0;
}

/* ---- names ---- */

static int sim_mkdir(struct cof_io *io, const char *path)
{
	struct cof_sim *s = sim_of(io);
	struct sim_node *node;
	int r;
	HOLD(s);

	r = step(io);
	if (r)
		return r;
	if (sim_find(&s->now, path))
		return -EEXIST;
	if (!sim_has_parent(&s->now, path))
		return -ENOENT;
	node = sim_node_new(true);
	if (!node)
		return -ENOMEM;
	r = sim_table_set(&s->now, path, node);
	if (!r)
		r = sim_name_change(s, path, node, NULL);
	sim_node_unref(node);
	return r;
}

/* Files only: nothing here renames a directory. */
static int sim_rename(struct cof_io *io, const char *from, const char *to)
{
	struct cof_sim *s = sim_of(io);
	struct sim_node *node, *there;
	int r;
	HOLD(s);

	r = step(io);
	if (r)
		return r;
	node = sim_find(&s->now, from);
	there = sim_find(&s->now, to);
	if (!node || !sim_has_parent(&s->now, to))
		return -ENOENT;
	if (node->dir || (there && there->dir))
		return -EISDIR;
	if (node == there)
		return 0;
	r = sim_name_change(s, to, node, from);
	if (!r)
		r = sim_table_set(&s->now, to, node);
	if (!r)
		sim_table_remove(&s->now, from);
	return r;
}

static int sim_unlink(struct cof_io *io, const char *path)
{
	struct cof_sim *s = sim_of(io);
	struct sim_node *node;
	int r;
	HOLD(s);

	r = step(io);
	if (r)
		return r;
	node = sim_find(&s->now, path);
	if (!node)
		return -ENOENT;
	if (node->dir)
		return -EISDIR;
	r = sim_name_change(s, NULL, NULL, path);
	if (!r)
		sim_table_remove(&s->now, path);
	return r;
}

static int sim_rmdir(struct cof_io *io, const char *path)
{
	struct cof_sim *s = sim_of(io);
	struct sim_node *node;
	int r;
	HOLD(s);

	r = step(io);
	if (r)
		return r;
	node = sim_find(&s->now, path);
	if (!node)
		return -ENOENT;
	if (!node->dir)
		return -ENOTDIR;
	for (size_t i = 0; i < s->now.len; i++)
		if (sim_in_dir(s->now.name[i].path, path))
			return -ENOTEMPTY;
	r = sim_name_change(s, NULL, NULL, path);
	if (!r)
		sim_table_remove(&s->now, path);
	return r;
}

static bool is_dir(const struct cof_sim *s, const char *path)
{
	struct sim_node *node = *path ? sim_find(&s->now, path) : NULL;
	return !*path || (node && node->dir);
}

static bool touches(const struct sim_name_change *c, const char *dir)
{
	return (c->add && sim_in_dir(c->add, dir)) || (c->remove && sim_in_dir(c->remove, dir));
}

static int sim_sync_dir(struct cof_io *io, const char *path)
{
	struct cof_sim *s = sim_of(io);
	size_t kept = 0;
	int r;
	HOLD(s);

	r = step(io);
	if (!r && !is_dir(s, path))
		r = -ENOENT;
	if (r || s->lie)
		return r;
	for (size_t i = 0; i < s->n_change; i++) {
		if (!r && touches(&s->change[i], path)) {
			r = sim_name_apply(&s->change[i], &s->durable);
			sim_name_change_free(&s->change[i]);
		} else {
			s->change[kept++] = s->change[i];
		}
	}
	s->n_change = kept;
	return r;
}

static int sim_exists(struct cof_io *io, const char *path)
{
	struct cof_sim *s = sim_of(io);
	HOLD(s);
	return dead(io) ? -ESHUTDOWN : sim_find(&s->now, path) != NULL;
}

static int sim_list(struct cof_io *io, const char *path, struct cof_names *names)
{
	struct cof_sim *s = sim_of(io);
	int r = 0;
	HOLD(s);

	if (dead(io))
		return -ESHUTDOWN;
	if (!is_dir(s, path))
		return sim_find(&s->now, path) ? -ENOTDIR : -ENOENT;
	for (size_t i = 0; !r && i < s->now.len; i++) {
		const char *name = s->now.name[i].path;
		if (sim_in_dir(name, path))
			r = cof_names_add(names, *path ? name + strlen(path) + 1 : name);
	}
	return r;
}

/* ---- lock and space: no operations, nothing of them is on the disk ---- */

static int sim_lock(struct cof_io *io, const char *holder, char *ret_holder, size_t cap)
{
	struct cof_sim *s = sim_of(io);
	HOLD(s);

	if (dead(io))
		return -ESHUTDOWN;
	if (s->lock_owner == io)
		return -EALREADY;
	if (s->lock_owner) {
		snprintf(ret_holder, cap, "%s", s->holder);
		return -EBUSY;
	}
	s->lock_owner = io;
	snprintf(s->holder, sizeof(s->holder), "%s", holder ? holder : "a reader");
	return 0;
}

static void sim_unlock(struct cof_io *io)
{
	struct cof_sim *s = sim_of(io);
	HOLD(s);
	if (s->lock_owner == io)
		s->lock_owner = NULL;
}

static int sim_locked(struct cof_io *io, char *ret_holder, size_t cap)
{
	struct cof_sim *s = sim_of(io);
	HOLD(s);

	if (dead(io))
		return -ESHUTDOWN;
	if (!s->lock_owner || s->lock_owner == io)
		return 0;
	snprintf(ret_holder, cap, "%s", s->holder);
	return 1;
}

static int sim_space(struct cof_io *io, uint64_t *ret_free, uint64_t *ret_total)
{
	struct cof_sim *s = sim_of(io);
	uint64_t used;
	HOLD(s);

	used = s->limit ? sim_used(s) : 0;
	*ret_free = s->limit > used ? s->limit - used : 0;
	*ret_total = s->limit;
	return 0;
}

static void sim_store_free(struct cof_io *io)
{
	sim_unlock(io);
}

static const struct cof_io_ops sim_ops = {
    .name = "simulated",
    .free = sim_store_free,
    .open = sim_open,
    .close = sim_close,
    .writev = sim_writev,
    .read = sim_read,
    .sync = sim_sync,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .size = sim_size,
    .mkdir = sim_mkdir,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .rmdir = sim_rmdir,
    .sync_dir = sim_sync_dir,
    .exists = sim_exists,
    .list = sim_list,
    .lock = sim_lock,
    .unlock = sim_unlock,
    .locked = sim_locked,
    .space = sim_space,
};

void cof_sim_watch(struct cof_sim *s, struct cof_buf *to)
{
	pthread_mutex_lock(&s->mutex);
	s->seen = to;
	pthread_mutex_unlock(&s->mutex);
}

int cof_sim_open(struct cof_sim *s, struct cof_io **ret)
{
	struct sim_store *io = calloc(1, sizeof(*io));
	if (!io)
		return -ENOMEM;
	io->base.where = strdup("simulated disk");
	if (!io->base.where) {
		free(io);
		return -ENOMEM;
	}
	io->base.ops = &sim_ops;
	io->sim = s;
	pthread_mutex_lock(&s->mutex);
	io->boot = s->boot;
	pthread_mutex_unlock(&s->mutex);
	*ret = &io->base;
	return 0;
}

uint64_t cof_sim_ops(const struct cof_sim *s)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&s->mutex;
	uint64_t ops;

	pthread_mutex_lock(mutex);
	ops = s->ops;
	pthread_mutex_unlock(mutex);
	return ops;
}
