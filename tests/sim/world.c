/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>

#include "fs/archive/internal.h"

char world_doing[256];

#define WORLD_QUOTA 1 /* MiB, of audit at first */

static const struct cof_who somebody = {1000, 1000, 0, false}, root = {0, 0, 0, false};

/* ---- the model ---- */

struct node *world_node(struct world *w, const char *path)
{
	for (size_t i = 0; i < w->nodes; i++)
		if (!strcmp(w->node[i].path, path))
			return &w->node[i];
	return NULL;
}

static uint8_t byte_at(uint64_t ino, uint64_t off)
{
	return (uint8_t)((ino * 131 + off) * 2654435761u >> 11);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

static void add_line(struct cof_buf *b, const struct node *n)
{
	uint8_t hash[32];
	char hex[65];

	cof_sha256(n->data, n->size, hash);
	cof_hex(hash, 8, hex);
	cof_buf_printf(b, "%s kind %u %s %zu bytes %s until %lld asked %lld quota %u\n", n->path,
		       n->kind, n->committed ? "committed" : "open", n->size, hex,
		       (long long)n->until, (long long)n->asked, n->quota);
}

static char *model_text(struct world *w)
{
	struct cof_buf b = {0};
	struct node *sorted = malloc(sizeof(w->node));

	memcpy(sorted, w->node, sizeof(w->node));
	qsort(sorted, w->nodes, sizeof(sorted[0]), by_path);
	for (size_t i = 0; i < w->nodes; i++)
		add_line(&b, &sorted[i]);
	free(sorted);
	return b.data ? (char *)b.data : strdup("");
}

static void push(struct world *w, struct node *n)
{
	w->state = realloc(w->state, (w->states + 1) * sizeof(char *));
	w->state[w->states] = model_text(w);
	if (n)
		n->state = w->states;
	w->states++;
}

static void forget_states(struct world *w)
{
	for (size_t i = 0; i < w->states; i++)
		free(w->state[i]);
	w->states = 0;
	w->acked = w->durable = 0;
}

static void forget_nodes(struct world *w)
{
	for (size_t i = 0; i < w->nodes; i++)
		free(w->node[i].data);
	w->nodes = 0;
}

static struct node *add_node(struct world *w, const char *path, uint8_t kind, uint64_t ino)
{
	struct node *n = &w->node[w->nodes++];

	ck_assert_uint_le(w->nodes, WORLD_NODES);
	memset(n, 0, sizeof(*n));
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->kind = kind;
	n->ino = ino;
	n->until = n->asked = COF_RETAIN_NONE;
	return n;
}

static void drop_node(struct world *w, struct node *n)
{
	free(n->data);
	*n = w->node[--w->nodes];
}

static void grow(struct node *n, size_t more, bool zeros)
{
	n->data = realloc(n->data, n->size + more + 1);
	for (size_t i = 0; i < more; i++)
		n->data[n->size + i] = zeros ? 0 : byte_at(n->ino, n->size + i);
	n->size += more;
}

/* ---- the archive as text ---- */

struct walk {
	struct world *w;
	struct cof_buf names; /* ino u64, kind u8, name NUL */
};

static int on_entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		    uint8_t kind)
{
	struct walk *walk = user;
	uint8_t head[9];

	(void)cookie;
	cof_put_le64(head, ino);
	head[8] = kind;
	cof_buf_add(&walk->names, head, 9);
	cof_buf_add(&walk->names, name, len);
	cof_buf_add(&walk->names, "", 1);
	return 0;
}

static bool in_shelf(const struct node *n, const char *shelf)
{
	size_t len = strlen(shelf);

	return !strncmp(n->path, shelf, len) && n->path[len] == '/';
}

/* What is kept and asked for, and a shelf's quota. */
static void read_promises(struct world *w, struct node *n)
{
	struct cof_facts facts;
	struct cof_obj *o;

	ck_assert_int_eq(cof_facts_get(w->archive, n->ino, &facts), 0);
	n->until = facts.node.retain_until;
	n->asked = facts.node.asked_until;
	if (facts.node.parent != COF_ROOT_INO)
		return;
	ck_assert_int_eq(cof_obj_get(w->archive, n->ino, &o), 0);
	n->quota = (unsigned)(cof_obj_policy(o)->quota_bytes >> 20);
	cof_obj_put(w->archive, o);
}

static uint64_t held(const struct world *w, const char *shelf, uint64_t *ret_files)
{
	uint64_t bytes = 0;

	*ret_files = 0;
	for (size_t i = 0; i < w->nodes; i++)
		if (in_shelf(&w->node[i], shelf)) {
			bytes += w->node[i].size;
			++*ret_files;
		}
	return bytes;
}

/* What quotas go by is what is there. */
static void check_use(struct world *w)
{
	for (size_t i = 0; i < w->nodes; i++) {
		uint64_t bytes, files, b, f;
		struct cof_obj *o;

		if (strchr(w->node[i].path, '/'))
			continue;
		bytes = held(w, w->node[i].path, &files);
		ck_assert_int_eq(cof_obj_get(w->archive, w->node[i].ino, &o), 0);
		cof_shelf_use(o->shelf, &b, &f);
		cof_obj_put(w->archive, o);
		ck_assert_msg(b == bytes && f == files,
			      "%s: %s holds %llu bytes in %llu, counted are %llu in %llu",
			      world_doing, w->node[i].path, (unsigned long long)bytes,
			      (unsigned long long)files, (unsigned long long)b,
			      (unsigned long long)f);
	}
}

static void read_node(struct world *w, const char *path, uint64_t ino, uint8_t kind)
{
	struct cof_attr attr;
	struct node *n = add_node(w, path, kind, ino);
	size_t got = 0;
	int r = cof_archive_getattr(w->archive, COF_INDEX_NOW, ino, &attr);

	ck_assert_msg(r == 0, "%s: getattr of %s: %s", world_doing, path, strerror(-r));
	read_promises(w, n);
	n->committed = attr.state == COF_STATE_COMMITTED;
	n->size = kind == COF_KIND_FILE ? attr.size : 0;
	n->data = malloc(n->size + 1);
	if (kind != COF_KIND_FILE)
		return;
	r = cof_archive_read(w->archive, COF_INDEX_NOW, ino, n->data, n->size + 1, 0, &got);
	ck_assert_msg(r == 0 && got == n->size, "%s: reading %s: %s, %zu of %zu", world_doing, path,
		      strerror(-r), got, n->size);
}

static void read_tree(struct world *w, uint64_t dir, const char *prefix)
{
	struct walk walk = {.w = w};
	int r = cof_archive_readdir(w->archive, COF_INDEX_NOW, dir, 0, on_entry, &walk);

	ck_assert_msg(r == 0, "%s: listing %s: %s", world_doing, prefix, strerror(-r));
	for (size_t at = 0; at < walk.names.len;) {
		uint64_t ino = cof_get_le64(walk.names.data + at);
		uint8_t kind = walk.names.data[at + 8];
		const char *name = (char *)walk.names.data + at + 9;
		char path[2 * WORLD_PATH];

		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "/" : "", name);
		read_node(w, path, ino, kind);
		if (kind == COF_KIND_DIR)
			read_tree(w, ino, path);
		at += 10 + strlen(name);
	}
	cof_buf_done(&walk.names);
}

/* The model becomes what is there. */
static void take_over(struct world *w)
{
	forget_nodes(w);
	read_tree(w, COF_ROOT_INO, "");
	check_use(w);
}

char *world_text(struct world *w)
{
	take_over(w);
	return model_text(w);
}

/* ---- making and opening ---- */

void world_new(struct world *w, uint64_t seed, const char *index_dir)
{
	struct cof_diag diag = {""};

	memset(w, 0, sizeof(*w));
	ck_assert_int_eq(cof_crypto_init(4u << 20, &diag), 0);
	w->index_dir = index_dir ? index_dir : "";
	w->key = cof_secret_alloc(48);
	memset(w->key, 42, 48);
	w->sim = cof_sim_new(seed);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
}

void world_free(struct world *w)
{
	if (w->archive)
		cof_archive_abandon(w->archive);
	forget_states(w);
	free(w->state);
	forget_nodes(w);
	cof_io_free(w->io);
	cof_sim_free(w->sim);
	cof_secret_free(w->key);
}

int world_init(struct world *w)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key, 48};
	struct cof_shelf_spec shelf[2] = {{.name = "audit"}, {.name = "keys"}};
	struct cof_init_params p = {.origin = "test.example/sim",
				    .segment_size = WORLD_SEGMENT,
				    .secret = &secret,
				    .shelves = shelf,
				    .n_shelves = 2,
				    .ret_auditor_secret = w->auditor,
				    .ret_archive_id = w->archive_id};
	int r;

	cof_policy_default(&shelf[0].policy);
	cof_policy_default(&shelf[1].policy);
	shelf[1].policy.durability = COF_DURABLE_ON_WRITE;
	shelf[0].policy.retention = true;
	shelf[0].policy.retention_default = shelf[0].policy.retention_max = COF_RETAIN_INFINITE;
	shelf[0].policy.quota_bytes = (uint64_t)WORLD_QUOTA << 20;
	r = cof_archive_init(w->io, &p, NULL);
	w->made = r == 0;
	w->down |= r < 0;
	return r;
}

static void on_alarm(void *user, const char *text)
{
	struct world *w = user;

	w->alarms++;
	if (getenv("COF_SHOW"))
		fprintf(stderr, "%s: alarm: %s\n", world_doing, text);
}

static int try_open(struct world *w, struct cof_diag *diag)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key, 48};
	struct cof_archive_params p = {.io = w->io,
				       .secret = &secret,
				       .index_dir = w->index_dir,
				       .alarm = on_alarm,
				       .user = w,
				       .no_threads = true};

	return cof_archive_open(&p, &w->archive, &w->opened, diag);
}

int world_open(struct world *w)
{
	struct cof_diag diag = {""};
	int r;

	if (w->down)
		return -ESHUTDOWN;
	r = try_open(w, &diag);
	if (r < 0) {
		w->archive = NULL;
		w->down = true;
		return r;
	}
	forget_states(w);
	take_over(w);
	push(w, NULL);
	return 0;
}

int world_close(struct world *w)
{
	int r;

	if (w->down)
		return -ESHUTDOWN;
	r = cof_archive_close(w->archive, NULL);
	w->archive = NULL;
	if (r < 0)
		w->down = true;
	else
		w->durable = w->acked = w->states - 1;
	if (r == 0)
		w->refused_durable = w->refused_flushed = w->refused;
	return r;
}

/* ---- steps ---- */

static void unblock(void *user, int err)
{
	*(int *)user = err;
}

static int sync_to(struct world *w, uint64_t sequence, size_t state)
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
	ck_assert_msg(k < w->states, "%s: no room, and not a state from %zu to %zu:\n%s",
		      world_doing, w->acked, w->states - 1, found);
	free(found);
	while (w->states > k + 1)
		free(w->state[--w->states]);
	w->acked = k;
}

/* Does it; the model's states for it were pushed before. */
static int act_as(struct world *w, const struct cof_who *who, const struct cof_op *op,
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
		r = sync_to(w, reply->sequence, w->states - 1);
	if (r < 0)
		w->down = true;
	else
		w->acked = w->states - 1;
	return r;
}

static int act(struct world *w, const struct cof_op *op, struct cof_reply *reply)
{
	return act_as(w, &somebody, op, reply);
}

/* More than the shelf may hold: refused before anything is written. */
static bool refused_by_quota(struct world *w, struct node *node, size_t more)
{
	struct node *audit = world_node(w, "audit");
	struct cof_op op = {.kind = COF_OP_TRUNCATE, .ino = node->ino, .length = node->size + more};
	struct cof_reply reply = {0};
	uint64_t files;

	if (!audit || !audit->quota || !in_shelf(node, "audit") ||
	    held(w, "audit", &files) + more <= (uint64_t)audit->quota << 20)
		return false;
	ck_assert_int_eq(cof_archive_do(w->archive, &somebody, &op, &reply), -EDQUOT);
	return true;
}

static uint64_t parent_of(struct world *w, const char *path, const char **ret_name)
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
	op.parent = parent_of(w, path, &op.name);
	n = add_node(w, path, kind, 0);
	push(w, n);
	r = act(w, &op, &reply);
	if (r == 0) {
		for (size_t i = 0; i < w->nodes; i++)
			ck_assert_uint_gt(reply.attr.ino, w->node[i].ino);
		n->ino = reply.attr.ino;
	}
	return r;
}

/* A later frame failed: the states that it would have made never were. */
static void shorten(struct world *w, struct node *node, size_t from, size_t n, size_t max,
		    size_t written)
{
	size_t missing = (n + max - 1) / max - written / max;

	ck_assert_uint_eq(written % max, 0);
	ck_assert_uint_gt(written, 0);
	node->size = from + written;
	while (missing--)
		free(w->state[--w->states]);
	node->state = w->acked = w->states - 1;
	w->durable = COF_MIN(w->durable, w->acked);
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

		grow(node, step, false);
		done += step;
		push(w, node);
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
	grow(node, size - node->size, true);
	push(w, node);
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
	grow(node, gap, true);
	push(w, node);
	op.offset = node->size;
	grow(node, n, false);
	push(w, node);
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
	op.parent = parent_of(w, from, &op.name);
	op.new_parent = parent_of(w, to, &op.new_name);
	snprintf(node->path, sizeof(node->path), "%s", to);
	push(w, node);
	return act(w, &op, &reply);
}

int world_rename_over(struct world *w, const char *from, const char *to)
{
	struct node *target = w->down ? NULL : world_node(w, to);

	if (target)
		drop_node(w, target);
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
	op.parent = parent_of(w, path, &op.name);
	if (node->kind == COF_KIND_DIR)
		op.kind = COF_OP_RMDIR;
	drop_node(w, node);
	push(w, NULL);
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
	if (in_shelf(node, "audit"))
		node->until = node->asked != COF_RETAIN_NONE ? node->asked : COF_RETAIN_INFINITE;
	push(w, node);
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
	push(w, node);
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
	push(w, node);
	return act_as(w, &root, &op, &reply);
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
	push(w, node);
	return act_as(w, &root, &op, &reply);
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
	r = sync_to(w, sequence, node ? node->state : w->states - 1);
	if (r == 0 && !node)
		w->refused_durable = w->refused_flushed;
	return r;
}

int world_overwrite(struct world *w, const char *path)
{
	struct node *node;
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_WRITE, .offset = 0, .length = 1, .data = "!"};
	int r;

	if (w->down)
		return -ESHUTDOWN;
	node = world_node(w, path);
	op.ino = node->ino;
	r = cof_archive_do(w->archive, &somebody, &op, &reply);
	if (r != -EPERM)
		w->down = true;
	else
		w->refused++;
	return r == -EPERM ? 0 : r;
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

/* ---- crash and after ---- */

void world_crash(struct world *w, enum cof_sim_loss loss)
{
	if (w->archive)
		cof_archive_abandon(w->archive);
	w->archive = NULL;
	cof_io_free(w->io);
	cof_sim_reboot(w->sim, loss);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	w->down = false;
}

/* An unclean end is told by the frame behind MOUNT, and nothing else is. */
static void check_recovery(struct world *w)
{
	const struct cof_recovered *rec = &w->opened.recovered;
	struct cof_frame f;
	uint64_t at;
	int r = cof_reader_find(w->archive->reader, rec->size, &at, NULL);

	if (r == 0)
		r = cof_reader_header(w->archive->reader, at, &f, NULL, NULL);
	ck_assert_msg(r == 0 && f.type == COF_MOUNT, "%s: no MOUNT frame", world_doing);
	if (rec->clean)
		return;
	r = cof_reader_next(w->archive->reader, at, &f, &at);
	if (r == 0)
		r = cof_reader_header(w->archive->reader, at, &f, NULL, NULL);
	ck_assert_msg(r == 0 && f.type == COF_RECOVERY && f.public_length,
		      "%s: the recovery is not on record", world_doing);
}

static uint64_t refusals_on_record(struct world *w)
{
	struct cof_archive *a = w->archive;
	uint64_t at = 0, sum = 0, count;
	struct cof_frame f;

	while (cof_reader_header(a->reader, at, &f, NULL, NULL) == 0) {
		struct cof_buf pub = {0}, fields = {0};

		if (f.type == COF_EVENT) {
			int r =
			    cof_frame_read(a->reader, a->ring, a->conf.id, at, &f, &pub, &fields);

			ck_assert_msg(r == 0, "%s: an event cannot be read", world_doing);
			ck_assert_int_eq(
			    cof_field_u64(fields.data, fields.len, COF_T_COUNT, &count), 0);
			sum += count;
		}
		cof_buf_done(&pub);
		cof_buf_done(&fields);
		if (cof_reader_next(a->reader, at, &f, &at) < 0)
			break;
	}
	return sum;
}

/* No refusal that was promised is missing, none is invented. */
static void check_refusals(struct world *w)
{
	uint64_t found = refusals_on_record(w);

	ck_assert_msg(found >= w->refused_durable && found <= w->refused,
		      "%s: %llu refusals on record, of %llu to %llu", world_doing,
		      (unsigned long long)found, (unsigned long long)w->refused_durable,
		      (unsigned long long)w->refused);
	w->refused = w->refused_flushed = w->refused_durable = found;
}

void world_reopen(struct world *w, enum cof_sim_loss loss)
{
	struct cof_diag diag = {""};
	size_t least = loss == COF_SIM_KEEP ? w->acked : w->durable, k;
	int r = try_open(w, &diag);
	char *found;

	ck_assert_msg(r == 0, "%s: open: %s: %s", world_doing, strerror(-r), diag.text);
	ck_assert_msg(!w->opened.read_only, "%s: %s", world_doing, w->opened.text);
	check_recovery(w);
	found = world_text(w);
	for (k = least; k < w->states; k++)
		if (!strcmp(w->state[k], found))
			break;
	ck_assert_msg(!w->states || k < w->states,
		      "%s: not a state from %zu to %zu:\n%s--- at least:\n%s--- at most:\n%s",
		      world_doing, least, w->states - 1, found, w->state[least],
		      w->state[w->states - 1]);
	free(found);
	check_refusals(w);
	forget_states(w);
	push(w, NULL);
}

static void on_finding(void *user, const struct cof_finding *f)
{
	struct cof_finding *worst = user;

	if (getenv("COF_SHOW"))
		fprintf(stderr, "%s: %s: %s segment %lld offset %llu sequence %lld: %s\n",
			world_doing, cof_verdict_name(f->verdict), f->file, (long long)f->segment,
			(unsigned long long)f->offset, (long long)f->sequence, f->text);
	if (f->verdict > worst->verdict || !worst->text[0])
		*worst = *f;
}

void world_verify(struct world *w, bool allow_tail)
{
	struct cof_finding worst = {0};
	struct cof_verify_params p = {.io = w->io,
				      .auditor_secret = w->auditor,
				      .auditor_archive_id = w->archive_id,
				      .threads = 1,
				      .finding = on_finding,
				      .user = &worst};
	struct cof_verified v = {0};
	struct cof_diag diag = {""};
	int r = cof_log_verify(&p, &v, &diag);
	bool fine = v.verdict == COF_INTACT ||
		    (allow_tail && (v.verdict == COF_UNSEALED || v.verdict == COF_INCOMPLETE));

	ck_assert_msg(r == 0, "%s: verify: %s: %s", world_doing, strerror(-r), diag.text);
	ck_assert_msg(fine, "%s: verify says %s: %s offset %llu, sequence %lld: %s", world_doing,
		      cof_verdict_name(v.verdict), worst.file, (unsigned long long)worst.offset,
		      (long long)worst.sequence, worst.text);
	ck_assert(v.seal_checked || v.verdict != COF_INTACT);
}
