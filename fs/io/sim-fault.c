/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of the simulated disk: planned errors, the ways to lose power, rot, copies. */
#include "fs/io/sim-impl.h"

uint64_t sim_random(struct cof_sim *s)
{
	/* The counter of Weyl with a finaliser: any seed will do, zero too. */
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A fault that waits for the first operation of its kind: -EIO, once. */
int sim_due(struct cof_sim *s, enum cof_sim_fault fault)
{
	for (size_t i = 0; i < s->n_plan; i++)
		if (s->plan[i].fault == fault && s->plan[i].n && s->plan[i].n <= s->ops) {
			s->plan[i].n = 0;
			return -EIO;
		}
	return 0;
}

int sim_step(struct cof_sim *s, bool *ret_short)
{
	int r = 0;

	s->ops++;
	if (s->down)
		return -ESHUTDOWN;
	for (size_t i = 0; i < s->n_plan; i++) {
		if (s->plan[i].n != s->ops)
			continue;
		if (s->plan[i].fault == COF_SIM_CRASH) {
			s->down = true;
			r = -ESHUTDOWN;
		} else if (s->plan[i].fault == COF_SIM_EIO && !r) {
			r = -EIO;
		} else if (s->plan[i].fault == COF_SIM_SHORT && ret_short) {
			*ret_short = true;
		}
	}
	return r ? r : ret_short ? sim_due(s, COF_SIM_EIO_WRITE) : 0;
}

void cof_sim_plan(struct cof_sim *s, enum cof_sim_fault fault, uint64_t n)
{
	pthread_mutex_lock(&s->mutex);
	/* Out of memory: the fault would be missing from a test, which then must not pass. */
	if (!sim_grow_array(&s->plan, &s->cap_plan, s->n_plan, sizeof(*s->plan)))
		s->down = true;
	else
		s->plan[s->n_plan++] = (struct sim_plan){.fault = fault, .n = n};
	pthread_mutex_unlock(&s->mutex);
}

void cof_sim_limit(struct cof_sim *s, uint64_t bytes)
{
	pthread_mutex_lock(&s->mutex);
	s->limit = bytes;
	pthread_mutex_unlock(&s->mutex);
}

void cof_sim_lie(struct cof_sim *s, bool ignore_syncs)
{
	pthread_mutex_lock(&s->mutex);
	s->lie = ignore_syncs;
	pthread_mutex_unlock(&s->mutex);
}

/* ---- losing power ---- */

static bool coin(struct cof_sim *s)
{
	return sim_random(s) >> 63;
}

/* A write reaches the disk in sectors, each kept or lost. */
static int tear_write(struct cof_sim *s, const struct sim_change *c, struct sim_bytes *to)
{
	size_t done = 0;

	while (done < c->n) {
		uint64_t at = c->off + done;
		size_t n = COF_MIN(c->n - done, SECTOR - (size_t)(at % SECTOR));
		int r = coin(s) ? sim_bytes_write(to, at, c->data + done, n) : 0;
		if (r)
			return r;
		done += n;
	}
	return 0;
}

/* Of what was not synced some becomes durable, the rest never will. */
int sim_tear(struct cof_sim *s, struct sim_node *node)
{
	for (size_t i = 0; i < node->n_change; i++) {
		const struct sim_change *c = &node->change[i];
		int r = 0;
		if (c->kind == CHANGE_WRITE)
			r = tear_write(s, c, &node->durable);
		else if (coin(s))
			r = sim_change_apply(c, &node->durable);
		if (r)
			return r;
	}
	sim_node_forget(node);
	return 0;
}

/* A program that starts now sees what is durable. */
static int show_durable(struct sim_node *node)
{
	int r;

	sim_node_forget(node);
	r = sim_bytes_resize(&node->now, 0);
	if (!r)
		r = sim_bytes_resize(&node->now, node->durable.len);
	if (!r && node->durable.len)
		memcpy(node->now.data, node->durable.data, node->durable.len);
	return r;
}

/* Names whose directory did not survive are gone with it; a round may uncover more of them. */
static void drop_orphans(struct sim_table *t)
{
	bool again = true;
	while (again) {
		again = false;
		for (size_t i = 0; i < t->len; i++) {
			if (sim_has_parent(t, t->name[i].path))
				continue;
			sim_table_remove(t, t->name[i].path);
			again = true;
			break;
		}
	}
}

static int lose_names(struct cof_sim *s, enum cof_sim_loss loss)
{
	int r = 0;

	for (size_t i = 0; i < s->n_change; i++) {
		if (!r && loss == COF_SIM_TEAR && coin(s))
			r = sim_name_apply(&s->change[i], &s->durable);
		sim_name_change_free(&s->change[i]);
	}
	s->n_change = 0;
	drop_orphans(&s->durable);
	return r;
}

static int lose(struct cof_sim *s, enum cof_sim_loss loss)
{
	int r = lose_names(s, loss);

	sim_table_free(&s->now);
	for (size_t i = 0; !r && i < s->durable.len; i++) {
		struct sim_node *node = s->durable.name[i].node;
		if (loss == COF_SIM_TEAR)
			r = sim_tear(s, node);
		if (!r)
			r = show_durable(node);
		if (!r)
			r = sim_table_set(&s->now, s->durable.name[i].path, node);
	}
	return r;
}

void cof_sim_reboot(struct cof_sim *s, enum cof_sim_loss loss)
{
	int r = 0;

	pthread_mutex_lock(&s->mutex);
	if (loss != COF_SIM_KEEP)
		r = lose(s, loss);
	s->boot++;
	s->n_plan = 0;
	s->limit = 0;
	s->lie = false;
	s->lock_owner = NULL;
	s->down = r != 0; /* out of memory: nothing works, rather than something wrong */
	pthread_mutex_unlock(&s->mutex);
}

/* ---- rot and copies ---- */

int cof_sim_flip(struct cof_sim *s, const char *path, uint64_t off, unsigned bit)
{
	struct sim_node *node;
	int r = 0;

	pthread_mutex_lock(&s->mutex);
	node = sim_find(&s->now, path);
	if (!node || node->dir)
		r = -ENOENT;
	else if (off >= node->now.len || bit > 7)
		r = -ERANGE;
	if (!r) {
		node->now.data[off] ^= (uint8_t)(1u << bit);
		if (off < node->durable.len)
			node->durable.data[off] ^= (uint8_t)(1u << bit);
	}
	pthread_mutex_unlock(&s->mutex);
	return r;
}

int cof_sim_peek(struct cof_sim *s, const char *path, const uint8_t **ret, size_t *ret_n)
{
	struct sim_node *node;

	pthread_mutex_lock(&s->mutex);
	node = sim_find(&s->now, path);
	if (node && !node->dir) {
		*ret = node->now.data;
		*ret_n = node->now.len;
	}
	pthread_mutex_unlock(&s->mutex);
	return node && !node->dir ? 0 : -ENOENT;
}
