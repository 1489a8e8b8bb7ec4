/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be there, as text; and what is there, as text. */
#include "tests/sim/world-private.h"

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
	if (world_in_shelf(n, "idle")) { /* commits itself: checked apart, by promises */
		cof_buf_printf(b, "%s kind %u %zu bytes %s\n", n->path, n->kind, n->size, hex);
		return;
	}
	cof_buf_printf(b, "%s kind %u %s %zu bytes %s until %lld asked %lld quota %u\n", n->path,
		       n->kind, n->committed ? "committed" : "open", n->size, hex,
		       (long long)n->until, (long long)n->asked, n->quota);
}

char *world_model_text(struct world *w)
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

void world_push(struct world *w, struct node *n)
{
	w->state = realloc(w->state, (w->states + 1) * sizeof(char *));
	w->state[w->states] = world_model_text(w);
	if (n)
		n->state = w->states;
	w->states++;
}

void world_forget_states(struct world *w)
{
	for (size_t i = 0; i < w->states; i++)
		free(w->state[i]);
	w->states = 0;
	w->acked = w->durable = 0;
}

void world_forget_nodes(struct world *w)
{
	for (size_t i = 0; i < w->nodes; i++)
		free(w->node[i].data);
	w->nodes = 0;
}

struct node *world_add_node(struct world *w, const char *path, uint8_t kind, uint64_t ino)
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

void world_drop_node(struct world *w, struct node *n)
{
	free(n->data);
	*n = w->node[--w->nodes];
}

void world_grow(struct node *n, size_t more, bool zeros)
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

bool world_in_shelf(const struct node *n, const char *shelf)
{
	size_t len = strlen(shelf);

	return !strncmp(n->path, shelf, len) && n->path[len] == '/';
}

static struct promise *promise_of(struct world *w, uint64_t ino)
{
	for (size_t i = 0; i < w->promises; i++)
		if (w->promise[i].ino == ino)
			return &w->promise[i];
	return NULL;
}

void world_promise(struct world *w)
{
	for (size_t i = 0; i < w->nodes; i++) {
		struct promise *p = promise_of(w, w->node[i].ino);
		struct cof_obj *o;

		ck_assert_int_eq(cof_obj_get(w->archive, w->node[i].ino, &o), 0);
		if (o->node.kind == COF_KIND_FILE && o->node.state != COF_STATE_OPEN) {
			if (!p)
				p = &w->promise[w->promises++];
			ck_assert_uint_le(w->promises, WORLD_NODES);
			*p = (struct promise){o->node.ino, o->node.retain_until};
		}
		cof_obj_put(w->archive, o);
	}
}

/* Once committed always committed, and never for a shorter time. */
static void check_promise(struct world *w, const struct node *n, const struct cof_facts *f)
{
	const struct promise *p = promise_of(w, n->ino);

	if (!p)
		return;
	ck_assert_msg(f->node.state != COF_STATE_OPEN && f->node.retain_until != COF_RETAIN_NONE
			  ? f->node.retain_until >= p->until
			  : f->node.state != COF_STATE_OPEN && p->until == COF_RETAIN_NONE,
		      "%s: %s was promised until %lld, now until %lld, state %u", world_doing,
		      n->path, (long long)p->until, (long long)f->node.retain_until,
		      f->node.state);
}

/* What is kept and asked for, and a shelf's quota. */
static void read_promises(struct world *w, struct node *n)
{
	struct cof_facts facts;
	struct cof_obj *o;

	ck_assert_int_eq(cof_facts_get(w->archive, n->ino, &facts), 0);
	n->until = facts.node.retain_until;
	n->asked = facts.node.asked_until;
	check_promise(w, n, &facts);
	if (facts.node.parent != COF_ROOT_INO)
		return;
	ck_assert_int_eq(cof_obj_get(w->archive, n->ino, &o), 0);
	n->quota = (unsigned)(cof_obj_policy(o)->quota_bytes >> 20);
	cof_obj_put(w->archive, o);
}

uint64_t world_held(const struct world *w, const char *shelf, uint64_t *ret_files)
{
	uint64_t bytes = 0;

	*ret_files = 0;
	for (size_t i = 0; i < w->nodes; i++)
		if (world_in_shelf(&w->node[i], shelf)) {
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
		bytes = world_held(w, w->node[i].path, &files);
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
	struct node *n = world_add_node(w, path, kind, ino);
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

struct attributes {
	struct world *w;
	const struct walk *walk;
	size_t at;
};

static bool same_attributes(const struct cof_attr *a, const struct cof_attr *b)
{
	return a->ino == b->ino && a->size == b->size && a->kind == b->kind && a->mode == b->mode &&
	       a->uid == b->uid && a->gid == b->gid && a->nlink == b->nlink && a->mtime == b->mtime &&
	       a->ctime == b->ctime && a->atime == b->atime && a->created == b->created;
}

/* A listing with attributes says what the one without says, and what each is asked for by itself. */
static int on_attributes(void *user, uint64_t cookie, const char *name, uint64_t ino, uint8_t kind,
			 const struct cof_attr *attr)
{
	struct attributes *t = user;
	const uint8_t *is = t->walk->names.data + t->at;
	struct cof_attr own;

	(void)cookie;
	ck_assert_msg(t->at < t->walk->names.len && cof_get_le64(is) == ino && is[8] == kind &&
			  !strcmp(name, (const char *)is + 9),
		      "%s: %s is listed with attributes only", world_doing, name);
	ck_assert_msg(attr != NULL, "%s: no attributes of %s", world_doing, name);
	ck_assert_int_eq(cof_archive_getattr(t->w->archive, COF_INDEX_NOW, ino, &own), 0);
	ck_assert_msg(same_attributes(attr, &own), "%s: other attributes of %s", world_doing, name);
	t->at += 10 + strlen(name);
	return 0;
}

static void read_tree(struct world *w, uint64_t dir, const char *prefix)
{
	struct walk walk = {.w = w};
	struct attributes all = {.w = w, .walk = &walk};
	int r = cof_archive_readdir(w->archive, COF_INDEX_NOW, dir, 0, on_entry, &walk);

	ck_assert_msg(r == 0, "%s: listing %s: %s", world_doing, prefix, strerror(-r));
	r = cof_archive_readdir_attr(w->archive, dir, 0, on_attributes, &all);
	ck_assert_msg(r == 0 && all.at == walk.names.len, "%s: listing %s with attributes: %s", world_doing, prefix,
		      strerror(-r));
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
void world_take_over(struct world *w)
{
	world_forget_nodes(w);
	read_tree(w, COF_ROOT_INO, "");
	check_use(w);
}

char *world_text(struct world *w)
{
	world_take_over(w);
	return world_model_text(w);
}
