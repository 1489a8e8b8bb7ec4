/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be refused, of many kinds: with its errno, nothing changed, and counted. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "tests/sim/world-private.h"

enum about { OPEN_WITH_CONTENT, WITH_CONTENT, COMMITTED, OF_AUDIT, SOME_FILE, SHELF, FULL_DIR, ROOT };

struct kind {
	enum cof_op_kind op;
	enum about about;
	int error;
	uint32_t flags;
	bool by_root, named; /* named: parent and name say what, not ino */
	const char *name, *text;
};

static const struct kind kinds[WORLD_REFUSALS] = {
    {COF_OP_WRITE, OPEN_WITH_CONTENT, -EPERM, .text = "!"},
    {COF_OP_WRITE, COMMITTED, -EPERM, .text = "!"},
    {COF_OP_TRUNCATE, OPEN_WITH_CONTENT, -EPERM},
    {COF_OP_OPEN, WITH_CONTENT, -EPERM, .flags = O_WRONLY | O_TRUNC},
    {COF_OP_FALLOCATE, OPEN_WITH_CONTENT, -EPERM, .flags = FALLOC_FL_ZERO_RANGE},
    {COF_OP_UNLINK, WITH_CONTENT, -EPERM, .named = true},
    {COF_OP_RMDIR, SHELF, -EPERM, .named = true},
    {COF_OP_RENAME, FULL_DIR, -EPERM, .named = true},
    {COF_OP_RENAME, SHELF, -EPERM, .named = true},
    {COF_OP_LINK, SOME_FILE, -EPERM, .name = "hard"},
    {COF_OP_MMAP_WRITE, SOME_FILE, -ENODEV},
    {COF_OP_SHELF_SET, OF_AUDIT, -EPERM, .by_root = true, .text = "durability = sync\n"},
    {COF_OP_SHELF_ADD, ROOT, -EPERM, .name = "mine", .text = "durability = sync\n"},
    {COF_OP_CREATE, ROOT, -EPERM, .name = "outside"},
};

static bool is_full(const struct world *w, const struct node *n)
{
	size_t len = strlen(n->path);

	for (size_t i = 0; i < w->nodes; i++)
		if (!strncmp(w->node[i].path, n->path, len) && w->node[i].path[len] == '/')
			return true;
	return false;
}

static bool fits(const struct world *w, const struct node *n, enum about about)
{
	bool file = n->kind == COF_KIND_FILE, shelf = !strchr(n->path, '/');

	switch (about) {
	case OPEN_WITH_CONTENT:
		return file && !n->committed && n->size;
	case WITH_CONTENT:
		return file && n->size;
	case COMMITTED:
		return file && n->committed;
	case SOME_FILE:
		return file;
	case OF_AUDIT:
		return !strcmp(n->path, "audit");
	case SHELF:
		return shelf;
	case FULL_DIR:
		return !file && !shelf && is_full(w, n);
	default:
		return false;
	}
}

static const struct node *find(const struct world *w, enum about about, size_t from)
{
	for (size_t i = 0; i < w->nodes; i++) {
		const struct node *n = &w->node[(from + i) % w->nodes];

		if (fits(w, n, about))
			return n;
	}
	return NULL;
}

static void ask(struct world *w, const struct kind *k, const struct cof_op *op)
{
	struct cof_who who = {1000 + w->client, 1000, 0, false};
	struct cof_reply reply = {0};
	int r = cof_archive_do(w->archive, k->by_root ? &world_root : &who, op, &reply);

	w->refused += r == k->error;
	if (r == -ESHUTDOWN || r == -EIO || r == -EROFS)
		w->down = true; /* the disk failed before the rules were asked */
	else
		ck_assert_msg(r == k->error || (r == -ENOSPC && w->full_disk),
			      "%s: %s, which has to be refused with %s: %s", world_doing,
			      cof_op_name(op->kind), strerror(-k->error), strerror(-r));
}

bool world_refuse(struct world *w, unsigned kind, size_t from)
{
	const struct kind *k = &kinds[kind];
	const struct node *n = k->about == ROOT ? NULL : find(w, k->about, from);
	struct cof_op op = {.kind = k->op,
			    .name = k->name,
			    .flags = k->flags,
			    .data = k->text,
			    .length = k->text ? strlen(k->text) : 0,
			    .node_kind = COF_KIND_FILE,
			    .mode = 0644};

	if (w->down || (!n && k->about != ROOT))
		return false;
	op.ino = n ? n->ino : COF_ROOT_INO;
	op.parent = op.new_parent = COF_ROOT_INO;
	if (n && k->named)
		op.parent = world_parent_of(w, n->path, &op.name);
	if (k->op == COF_OP_RENAME) {
		op.new_parent = op.parent;
		op.new_name = "elsewhere";
	}
	if (k->op == COF_OP_LINK) {
		op.new_parent = world_parent_of(w, n->path, &(const char *){NULL});
		op.new_name = "hard";
	}
	ask(w, k, &op);
	return true;
}

int world_overwrite(struct world *w, const char *path)
{
	struct cof_op op = {.kind = COF_OP_WRITE, .length = 1, .data = "!"};

	if (w->down)
		return -ESHUTDOWN;
	op.ino = world_node(w, path)->ino;
	ask(w, &kinds[0], &op);
	return w->down ? -EIO : 0;
}
