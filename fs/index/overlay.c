/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that wait in memory, ordered by key as the database orders them: a skip list. Ordered, since
 * versions and listings are looked up by range; and the feeder writes in order, which is what makes
 * writing fast.
 */
#include "fs/index/internal.h"

int ix_key_compare(const struct ix_key *a, const struct ix_key *b)
{
	int c = memcmp(a->b, b->b, COF_MIN(a->len, b->len));
	return c ? c : (int)a->len - (int)b->len;
}

static void cell_free(struct ix_cell *c)
{
	free(c->value);
	free(c);
}

void ix_overlay_done(struct ix_overlay *o)
{
	struct ix_cell *c = o->head[0];
	while (c) {
		struct ix_cell *next = c->next[0];
		cell_free(c);
		c = next;
	}
	memset(o, 0, sizeof(*o));
}

static unsigned height(struct ix_overlay *o)
{
	unsigned h = 1;
	uint64_t x = o->dice ? o->dice : 0x9e3779b97f4a7c15u;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	o->dice = x;
	for (; h < IX_LEVELS && (x & 3) == 0; x >>= 2)
		h++;
	return h;
}

/* For each level the link that leads to the first cell at or above key. */
static struct ix_cell *find(struct ix_overlay *o, const struct ix_key *key,
			    struct ix_cell **link[IX_LEVELS])
{
	struct ix_cell **row = o->head;
	for (int l = IX_LEVELS - 1; l >= 0; l--) {
		while (row[l] && ix_key_compare(&row[l]->key, key) < 0)
			row = row[l]->next;
		link[l] = &row[l];
	}
	return *link[0];
}

int ix_overlay_put(struct ix_overlay *o, const struct ix_key *key, const void *a, size_t a_len,
		   const void *b, size_t b_len, bool *ret_new)
{
	struct ix_cell **link[IX_LEVELS];
	uint8_t *value = malloc(a_len + b_len + 1);
	if (!value)
		return -ENOMEM;
	if (a_len)
		memcpy(value, a, a_len);
	if (b_len)
		memcpy(value + a_len, b, b_len);

	struct ix_cell *c = find(o, key, link);
	if (c && !ix_key_compare(&c->key, key)) {
		free(c->value);
		c->value = value;
		c->n = (uint32_t)(a_len + b_len);
		*ret_new = false;
		return 0;
	}
	unsigned h = height(o);
	c = malloc(sizeof(*c) + h * sizeof(c->next[0]));
	if (!c) {
		free(value);
		return -ENOMEM;
	}
	c->key = *key;
	c->value = value;
	c->n = (uint32_t)(a_len + b_len);
	for (unsigned l = 0; l < h; l++) {
		c->next[l] = *link[l];
		*link[l] = c;
	}
	o->count++;
	*ret_new = true;
	return 0;
}

const struct ix_cell *ix_overlay_at_most(const struct ix_overlay *o, const struct ix_key *key)
{
	struct ix_cell *const *row = o->head;
	const struct ix_cell *at = NULL;
	for (int l = IX_LEVELS - 1; l >= 0; l--)
		while (row[l] && ix_key_compare(&row[l]->key, key) <= 0) {
			at = row[l];
			row = at->next;
		}
	return at;
}

const struct ix_cell *ix_overlay_above(const struct ix_overlay *o, const struct ix_key *key)
{
	const struct ix_cell *at = ix_overlay_at_most(o, key);
	return at ? at->next[0] : o->head[0];
}
