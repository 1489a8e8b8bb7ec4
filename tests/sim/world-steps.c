/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks for, in the archive and in the model at once. */
#include "tests/sim/world-private.h"

const struct cof_who world_root = {0, 0, 0, false};

static struct cof_who somebody(const struct world *w)
{
	return (struct cof_who){1000 + w->client, 1000, 0, false};
}

/* ---- steps ---- */

static void unblock(void *user, int err)
{
	*(int *)user = err;
}

int world_sync_to(struct world *w, uint64_t sequence, size_t state)
{
	int err = -EINPROGRESS;

	cof_archive_sync_async(w->archive, sequence, unblock,
			       &err); /* no threads: answered at once */
	ck_assert_int_ne(err, -EINPROGRESS);
	if (err < 0)
		w->down = true;
	else
		w->durable = COF_MAX(w->durable, state);
	return err;
}

/* No room: nothing of it happened, or its first frames did. The model takes what is there. */
static void settle_full(struct world *w)
{
	char *found = world_text(w);
	size_t k = w->acked;

	while (k < w->states && strcmp(w->state[k], found))
		k++;
	if (k == w->states)
		fprintf(stderr, "%s: found:\n%s", world_doing, found);
	ck_assert_msg(k < w->states, "%s: no room, and not a state from %zu to %zu", world_doing,
		      w->acked, w->states - 1);
	free(found);
	while (w->states > k + 1)
		free(w->state[--w->states]);
	w->acked = k;
}

/* Does it; the model's states for it were pushed before. */
int world_act(struct world *w, const struct cof_who *who, const struct cof_op *op,
		  struct cof_reply *reply)
{
	int r = cof_archive_do(w->archive, who, op, reply);

	ck_assert_msg(r != -EPERM && r != -EINVAL && r != -EXDEV && r != -EDQUOT,
		      "%s: %s is refused: %s", world_doing, cof_op_name(op->kind), strerror(-r));
	if (r == -ENOSPC && w->full_disk) {
		settle_full(w);
		return r;
	}
	if (r == 0 && reply->durable)
		r = world_sync_to(w, reply->sequence, w->states - 1);
	if (r < 0) {
		w->down = true;
		return r;
	}
	w->acked = w->states - 1;
	if (reply->wrote)
		w->ret_acked = cof_clock_retention(&w->archive->clock);
	return r;
}

static int act(struct world *w, const struct cof_op *op, struct cof_reply *reply)
{
	struct cof_who who = somebody(w);

	return world_act(w, &who, op, reply);
}

/* More than the shelf may hold: refused before anything is written. */
static bool refused_by_quota(struct world *w, struct node *node, size_t more)
{
	struct node *audit = world_node(w, "audit");
	struct cof_op op = {.kind = COF_OP_TRUNCATE, .ino = node->ino, .length = node->size + more};
	struct cof_who who = somebody(w);
	struct cof_reply reply = {0};
	uint64_t files;

	if (!audit || !audit->quota || !world_in_shelf(node, "audit") ||
	    world_held(w, "audit", &files) + more <= (uint64_t)audit->quota << 20)
		return false;
	ck_assert_int_eq(cof_archive_do(w->archive, &who, &op, &reply), -EDQUOT);
	return true;
}

uint64_t world_parent_of(struct world *w, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[WORLD_PATH];
	struct node *n;

	if (!slash) {
		*ret_name = path;
		return COF_ROOT_INO;
	}
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	n = world_node(w, dir);
	ck_assert_msg(n != NULL, "%s: no directory for %s", world_doing, path);
	*ret_name = slash + 1;
	return n->ino;
}

int world_create(struct world *w, const char *path, uint8_t kind)
{
	struct cof_op op = {
	    .kind = COF_OP_CREATE, .node_kind = kind, .mode = kind == COF_KIND_DIR ? 0755 : 0644};
	struct cof_reply reply = {0};
	struct node *n;
	int r;

	if (w->down)
		return -ESHUTDOWN;
	op.parent = world_parent_of(w, path, &op.name);
	n = world_add_node(w, path, kind, 0);
	world_push(w, n);
	r = act(w, &op, &reply);
	if (r == 0) {
		for (size_t i = 0; i < w->nodes; i++)
			ck_assert_uint_gt(reply.attr.ino, w->node[i].ino);
		n->ino = reply.attr.ino;
	}
	return r;
}

/* A later frame failed, and with it perhaps the log: then what it would have made may be there after the next
 * mount, which says so on record. Refused for want of space it never was. */
static void shorten(struct world *w, struct node *node, size_t from, size_t n, size_t max,
		    size_t written)
{
	size_t missing = (n + max - 1) / max - written / max;
	struct cof_log_status st;

	ck_assert_uint_eq(written % max, 0);
	ck_assert_uint_gt(written, 0);
	cof_log_status(w->archive->log, &st);
	w->down = st.failed != 0;
	node->size = from + written;
	node->state = w->acked = w->states - 1 - missing;
	w->durable = COF_MIN(w->durable, w->acked);
	while (!w->down && missing--)
		free(w->state[--w->states]);
}

int world_append(struct world *w, const char *path, size_t n)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_WRITE, .length = n};
	size_t max, from;
	int r;

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, path);
	ck_assert_ptr_nonnull(node);
	if (refused_by_quota(w, node, n))
		return 0;
	max = cof_log_max_length(w->archive->log);
	from = node->size;
	for (size_t done = 0; done < n;) { /* a frame each */
		size_t step = COF_MIN(n - done, max);

		world_grow(node, step, false);
		done += step;
		world_push(w, node);
	}
	op.ino = node->ino;
	op.offset = from;
	op.data = node->data + from;
	r = act(w, &op, &reply);
	if (r == 0 && reply.length < n)
		shorten(w, node, from, n, max, reply.length);
	if (r == 0)
		ck_assert_uint_eq(reply.attr.size, node->size);
	return r;
}

int world_hole(struct world *w, const char *path, uint64_t size)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_TRUNCATE, .length = size};

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, path);
	if (refused_by_quota(w, node, size - node->size))
		return 0;
	op.ino = node->ino;
	world_grow(node, size - node->size, true);
	world_push(w, node);
	return act(w, &op, &reply);
}

int world_write_far(struct world *w, const char *path, size_t gap, size_t n)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_WRITE, .length = n};

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, path);
	if (refused_by_quota(w, node, gap + n))
		return 0;
	op.ino = node->ino;
	world_grow(node, gap, true);
	world_push(w, node);
	op.offset = node->size;
	world_grow(node, n, false);
	world_push(w, node);
	op.data = node->data + op.offset;
	return act(w, &op, &reply);
}

int world_rename(struct world *w, const char *from, const char *to)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_RENAME};

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, from);
	op.parent = world_parent_of(w, from, &op.name);
	op.new_parent = world_parent_of(w, to, &op.new_name);
	snprintf(node->path, sizeof(node->path), "%s", to);
	world_push(w, node);
	return act(w, &op, &reply);
}

int world_rename_over(struct world *w, const char *from, const char *to)
{
	struct node *target = w->down ? NULL : world_node(w, to);

	if (target)
		world_drop_node(w, target);
	return world_rename(w, from, to);
}

void world_read(struct world *w, const char *path, uint64_t off, size_t n)
{
	struct node *node = w->down ? NULL : world_node(w, path);
	size_t got = 0, want;
	uint8_t *buf;
	int r;

	if (!node)
		return;
	want = off < node->size ? COF_MIN(n, node->size - (size_t)off) : 0;
	buf = malloc(n + 1);
	r = cof_archive_read(w->archive, COF_INDEX_NOW, node->ino, buf, n, off, &got);
	ck_assert_msg(r == 0 && got == want && (!want || !memcmp(buf, node->data + off, want)),
		      "%s: reading %zu bytes of %s from %llu: %s, %zu", world_doing, n, path,
		      (unsigned long long)off, strerror(-r), got);
	free(buf);
}

int world_remove(struct world *w, const char *path)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_UNLINK};

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, path);
	op.parent = world_parent_of(w, path, &op.name);
	if (node->kind == COF_KIND_DIR)
		op.kind = COF_OP_RMDIR;
	world_drop_node(w, node);
	world_push(w, NULL);
	return act(w, &op, &reply);
}

int world_commit(struct world *w, const char *path)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_CHMOD, .mode = 0444};

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, path);
	op.ino = node->ino;
	node->committed = true;
	if (world_in_shelf(node, "audit"))
		node->until = node->asked != COF_RETAIN_NONE ? node->asked : COF_RETAIN_INFINITE;
	world_push(w, node);
	return act(w, &op, &reply);
}

int world_ask(struct world *w, const char *path, int64_t until)
{
	struct cof_op op = {.kind = COF_OP_UTIMES, .valid = COF_SET_ATIME, .atime = until};
	struct node *node = w->down ? NULL : world_node(w, path);
	struct cof_reply reply = {0};

	if (!node)
		return -ESHUTDOWN;
	op.ino = node->ino;
	node->asked = until;
	world_push(w, node);
	return act(w, &op, &reply);
}

int world_extend(struct world *w, const char *path, int64_t until)
{
	struct cof_op op = {.kind = COF_OP_RETAIN, .retain = until};
	struct node *node = w->down ? NULL : world_node(w, path);
	struct cof_reply reply = {0};

	if (!node)
		return -ESHUTDOWN;
	op.ino = node->ino;
	node->until = node->asked = until;
	world_push(w, node);
	return world_act(w, &world_root, &op, &reply);
}

int world_raise_quota(struct world *w)
{
	struct cof_op op = {.kind = COF_OP_SHELF_SET};
	struct node *node = w->down ? NULL : world_node(w, "audit");
	struct cof_reply reply = {0};
	char text[64];

	if (!node)
		return -ESHUTDOWN;
	node->quota++;
	snprintf(text, sizeof(text), "retention = infinite\nquota = %uM\n", node->quota);
	op.ino = node->ino;
	op.data = text;
	op.length = strlen(text);
	world_push(w, node);
	return world_act(w, &world_root, &op, &reply);
}

int world_fsync(struct world *w, const char *path)
{
	struct node *node = path && !w->down ? world_node(w, path) : NULL;
	uint64_t sequence;
	int r;

	if (w->down)
		return -ESHUTDOWN;
	r = cof_archive_fsync_sequence(w->archive, node ? node->ino : 0, &sequence);
	if (r < 0) {
		w->down = true;
		return r;
	}
	r = world_sync_to(w, sequence, node ? node->state : w->states - 1);
	if (r == 0 && !node) {
		w->refused_durable = w->refused_flushed;
		w->ret_durable = w->ret_acked;
		world_promise(w);
	}
	return r;
}

int world_tick(struct world *w)
{
	struct cof_log_status st;

	if (w->down)
		return -ESHUTDOWN;
	cof_archive_tick(w->archive);
	cof_log_status(w->archive->log, &st);
	w->down = st.failed != 0;
	if (!w->down && !w->full_disk) /* there they may have to wait */
		w->refused_flushed = w->refused;
	return st.failed ? -EIO : 0;
}

int world_checkpoint(struct world *w)
{
	int r = w->down ? -ESHUTDOWN : cof_archive_checkpoint(w->archive);

	if (r < 0 && !(r == -ENOSPC && w->full_disk))
		w->down = true;
	return r;
}

/* Its directory, then its policy: a crash may come between the two. */
int world_shelf_add(struct world *w, const char *name, unsigned quota)
{
	struct cof_op op = {.kind = COF_OP_SHELF_ADD, .name = name};
	struct cof_reply reply = {0};
	struct node *n;
	char text[64];
	int r;

	if (w->down)
		return -ESHUTDOWN;
	snprintf(text, sizeof(text), "quota = %uM\n", quota);
	op.data = text;
	op.length = strlen(text);
	n = world_add_node(w, name, COF_KIND_DIR, 0);
	world_push(w, n);
	n->quota = quota;
	world_push(w, n);
	r = world_act(w, &world_root, &op, &reply);
	if (r == 0)
		n->ino = reply.attr.ino;
	return r;
}

void world_pass(struct world *w, int64_t ns)
{
	clocks_pass(ns);
	if (w->archive) {
		cof_clock_watch_tpm(w->archive);
		world_check_clock(w);
	}
	for (size_t i = 0; !w->down && w->archive && i < w->nodes; i++) {
		struct cof_attr attr;

		if (!world_in_shelf(&w->node[i], "idle") || w->node[i].kind != COF_KIND_FILE)
			continue;
		ck_assert_int_eq(
		    cof_archive_getattr(w->archive, COF_INDEX_NOW, w->node[i].ino, &attr), 0);
		w->node[i].committed = attr.state != COF_STATE_OPEN;
	}
}
