/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated disk: bytes, files with their changes, tables of names. No faults here. */
#include "fs/io/sim-impl.h"

#define FILE_MAX (UINT64_C(1) << 36) /* memory is what is simulated with */

bool sim_grow_array(void *array, size_t *cap, size_t len, size_t size)
{
	void **p = array, *more;
	size_t want = *cap ? 2 * *cap : 16;

	if (len < *cap)
		return true;
	more = reallocarray(*p, want, size);
	if (!more)
		return false;
	*p = more;
	*cap = want;
	return true;
}

/* ---- bytes ---- */

int sim_bytes_resize(struct sim_bytes *b, uint64_t len)
{
	if (len > FILE_MAX)
		return -EFBIG;
	if (len > b->cap) {
		size_t cap = COF_MAX((size_t)len, b->cap + b->cap / 2);
		uint8_t *p = realloc(b->data, cap);
		if (!p)
			return -ENOMEM;
		memset(p + b->cap, 0, cap - b->cap);
		b->data = p;
		b->cap = cap;
	}
	if (len < b->len)
		memset(b->data + len, 0, b->len - (size_t)len);
	b->len = (size_t)len;
	return 0;
}

int sim_bytes_write(struct sim_bytes *b, uint64_t off, const uint8_t *p, size_t n)
{
	int r;

	if (!n)
		return 0;
	if (off > FILE_MAX || n > FILE_MAX - off)
		return -EFBIG;
	r = off + n > b->len ? sim_bytes_resize(b, off + n) : 0;
	if (!r)
		memcpy(b->data + off, p, n);
	return r;
}

/* ---- files ---- */

struct sim_node *sim_node_new(bool dir)
{
	struct sim_node *node = calloc(1, sizeof(*node));
	if (node) {
		node->refs = 1;
		node->dir = dir;
	}
	return node;
}

struct sim_node *sim_node_ref(struct sim_node *node)
{
	node->refs++;
	return node;
}

void sim_node_forget(struct sim_node *node)
{
	for (size_t i = 0; i < node->n_change; i++)
		free(node->change[i].data);
	node->n_change = 0;
}

void sim_node_unref(struct sim_node *node)
{
	if (!node || --node->refs)
		return;
	sim_node_forget(node);
	free(node->change);
	free(node->now.data);
	free(node->durable.data);
	free(node);
}

int sim_node_change(struct sim_node *node, int kind, uint64_t off, const void *p, size_t n)
{
	struct sim_change c = {.kind = kind, .off = off, .n = n};

	if (!sim_grow_array(&node->change, &node->cap_change, node->n_change, sizeof(c)))
		return -ENOMEM;
	if (n) {
		c.data = malloc(n);
		if (!c.data)
			return -ENOMEM;
		memcpy(c.data, p, n);
	}
	node->change[node->n_change++] = c;
	return 0;
}

int sim_change_apply(const struct sim_change *c, struct sim_bytes *to)
{
	if (c->kind == CHANGE_WRITE)
		return sim_bytes_write(to, c->off, c->data, c->n);
	if (c->kind == CHANGE_GROW && c->off <= to->len)
		return 0;
	return sim_bytes_resize(to, c->off);
}

int sim_node_sync(struct sim_node *node)
{
	for (size_t i = 0; i < node->n_change; i++) {
		int r = sim_change_apply(&node->change[i], &node->durable);
		if (r)
			return r;
	}
	sim_node_forget(node);
	return 0;
}

/* ---- names ---- */

static struct sim_name *find_name(const struct sim_table *t, const char *path)
{
	for (size_t i = 0; i < t->len; i++)
		if (!strcmp(t->name[i].path, path))
			return &t->name[i];
	return NULL;
}

struct sim_node *sim_find(const struct sim_table *t, const char *path)
{
	struct sim_name *name = find_name(t, path);
	return name ? name->node : NULL;
}

int sim_table_set(struct sim_table *t, const char *path, struct sim_node *node)
{
	struct sim_name *name = find_name(t, path);
	char *copy;

	if (name) {
		sim_node_ref(node); /* first: it may be the same */
		sim_node_unref(name->node);
		name->node = node;
		return 0;
	}
	if (!sim_grow_array(&t->name, &t->cap, t->len, sizeof(*t->name)))
		return -ENOMEM;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	t->name[t->len++] = (struct sim_name){.path = copy, .node = sim_node_ref(node)};
	return 0;
}

void sim_table_remove(struct sim_table *t, const char *path)
{
	struct sim_name *name = find_name(t, path);
	if (!name)
		return;
	free(name->path);
	sim_node_unref(name->node);
	*name = t->name[--t->len];
}

void sim_table_free(struct sim_table *t)
{
	for (size_t i = 0; i < t->len; i++) {
		free(t->name[i].path);
		sim_node_unref(t->name[i].node);
	}
	free(t->name);
	*t = (struct sim_table){0};
}

/* Directly in it; "" is the store itself. */
bool sim_in_dir(const char *path, const char *dir)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	return strlen(dir) == n && !memcmp(path, dir, n);
}

bool sim_has_parent(const struct sim_table *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return true;
	for (size_t i = 0; i < t->len; i++)
		if (t->name[i].node->dir && sim_in_dir(path, t->name[i].path))
			return true;
	return false;
}

void sim_name_change_free(struct sim_name_change *c)
{
	free(c->add);
	free(c->remove);
	sim_node_unref(c->node);
}

int sim_name_change(struct cof_sim *s, const char *add, struct sim_node *node, const char *remove)
{
	struct sim_name_change c = {0};

	if (!sim_grow_array(&s->change, &s->cap_change, s->n_change, sizeof(c)))
		return -ENOMEM;
	c.add = add ? strdup(add) : NULL;
	c.remove = remove ? strdup(remove) : NULL;
	c.node = node ? sim_node_ref(node) : NULL;
	if ((add && !c.add) || (remove && !c.remove)) {
		sim_name_change_free(&c);
		return -ENOMEM;
	}
	s->change[s->n_change++] = c;
	return 0;
}

int sim_name_apply(const struct sim_name_change *c, struct sim_table *t)
{
	int r = c->add ? sim_table_set(t, c->add, c->node) : 0;
	if (!r && c->remove)
		sim_table_remove(t, c->remove);
	return r;
}

/* Bytes of all files with a name now. */
uint64_t sim_used(const struct cof_sim *s)
{
	uint64_t used = 0;
	for (size_t i = 0; i < s->now.len; i++)
		used += s->now.name[i].node->now.len;
	return used;
}
