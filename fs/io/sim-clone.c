/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated disk is made, copied and freed. */
#include "fs/io/sim-impl.h"

struct cof_sim *cof_sim_new(uint64_t seed)
{
	struct cof_sim *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	if (pthread_mutex_init(&s->mutex, NULL)) {
		free(s);
		return NULL;
	}
	s->random = seed;
	return s;
}

void cof_sim_free(struct cof_sim *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_change; i++)
		sim_name_change_free(&s->change[i]);
	free(s->change);
	free(s->plan);
	sim_table_free(&s->now);
	sim_table_free(&s->durable);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

/* Files have several names (now, durable, in changes): each is copied once. */
struct copies {
	struct {
		const struct sim_node *from;
		struct sim_node *to;
	} * pair;
	size_t len, cap;
};

static int copy_bytes(const struct sim_bytes *from, struct sim_bytes *to)
{
	return from->len ? sim_bytes_write(to, 0, from->data, from->len) : 0;
}

static int copy_node(const struct sim_node *from, struct sim_node *to)
{
	int r = copy_bytes(&from->now, &to->now);
	if (!r)
		r = copy_bytes(&from->durable, &to->durable);
	for (size_t i = 0; !r && i < from->n_change; i++)
		r = sim_node_change(to, (int)from->change[i].kind, from->change[i].off,
				    from->change[i].data, from->change[i].n);
	return r;
}

/* The copy of a file; NULL when out of memory. It belongs to c. */
static struct sim_node *copy_of(struct copies *c, const struct sim_node *from)
{
	struct sim_node *to;

	for (size_t i = 0; i < c->len; i++)
		if (c->pair[i].from == from)
			return c->pair[i].to;
	if (!sim_grow_array(&c->pair, &c->cap, c->len, sizeof(*c->pair)))
		return NULL;
	to = sim_node_new(from->dir);
	if (!to)
		return NULL;
	c->pair[c->len].from = from;
	c->pair[c->len++].to = to;
	return copy_node(from, to) ? NULL : to;
}

static int copy_table(struct copies *c, const struct sim_table *from, struct sim_table *to)
{
	int r = 0;
	for (size_t i = 0; !r && i < from->len; i++) {
		struct sim_node *node = copy_of(c, from->name[i].node);
		r = node ? sim_table_set(to, from->name[i].path, node) : -ENOMEM;
	}
	return r;
}

static int copy_changes(struct copies *c, const struct cof_sim *from, struct cof_sim *to)
{
	int r = 0;
	for (size_t i = 0; !r && i < from->n_change; i++) {
		const struct sim_name_change *change = &from->change[i];
		struct sim_node *node = change->node ? copy_of(c, change->node) : NULL;
		if (change->node && !node)
			return -ENOMEM;
		r = sim_name_change(to, change->add, node, change->remove);
	}
	return r;
}

static int copy_plan(const struct cof_sim *from, struct cof_sim *to)
{
	for (size_t i = 0; i < from->n_plan; i++) {
		if (!sim_grow_array(&to->plan, &to->cap_plan, to->n_plan, sizeof(*to->plan)))
			return -ENOMEM;
		to->plan[to->n_plan++] = from->plan[i];
	}
	return 0;
}

struct cof_sim *cof_sim_clone(const struct cof_sim *from)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&from->mutex;
	struct cof_sim *to = cof_sim_new(0);
	struct copies copies = {0};
	int r;

	if (!to)
		return NULL;
	pthread_mutex_lock(mutex);
	to->random = from->random;
	to->ops = from->ops;
	to->limit = from->limit;
	to->lie = from->lie;
	to->down = from->down;
	r = copy_table(&copies, &from->now, &to->now);
	if (!r)
		r = copy_table(&copies, &from->durable, &to->durable);
	if (!r)
		r = copy_changes(&copies, from, to);
	if (!r)
		r = copy_plan(from, to);
	pthread_mutex_unlock(mutex);
	for (size_t i = 0; i < copies.len; i++)
		sim_node_unref(copies.pair[i].to);
	free(copies.pair);
	if (!r)
		return to;
	cof_sim_free(to);
	return NULL;
}
