/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What COMMIT frames say of certificates: into the index to be found, and how long all of them last.
 *
 * A shelf that follows certificates keeps its files until the latest end that is known, and each as long from
 * its commit as the longest certificate was issued for. Both only grow, and each COMMIT frame of certificates
 * tells them in its public part: so the end of a million log files moves with one frame, and whoever sees
 * public parts alone knows it as well.
 */
#include "fs/archive/certs.h"

#define KEY "certificates" /* of the root, in the index: latest end i64, longest validity i64 */

static int optional(int r)
{
	return r == -ENOENT ? 0 : r;
}

/* ---- how long they last ---- */

struct extent {
	int64_t latest, longest;
};

static int get_extent(struct cof_archive *a, struct extent *ret)
{
	cof_autobuf struct cof_buf b = {0};
	int r = cof_index_get_value(a->ix, COF_INDEX_NOW, COF_ROOT_INO, KEY, &b);

	*ret = (struct extent){COF_RETAIN_NONE, 0};
	if (r == -ENOENT)
		return 0;
	if (r == 0 && b.len != 16)
		return -EUCLEAN;
	if (r == 0)
		*ret = (struct extent){(int64_t)cof_get_le64(b.data), (int64_t)cof_get_le64(b.data + 8)};
	return r;
}

/* Frames may come in another order than their numbers: the newest row has all there was. */
static int put_extent(struct cof_archive *a, uint64_t sequence, const struct extent *e)
{
	uint8_t value[16];

	a->certs.sequence = COF_MAX(a->certs.sequence, sequence);
	cof_put_le64(value, (uint64_t)e->latest);
	cof_put_le64(value + 8, (uint64_t)e->longest);
	return cof_index_put_value(a->ix, a->certs.sequence, COF_ROOT_INO, KEY, value, sizeof(value));
}

static void set_extent(struct cof_archive *a, const struct extent *e)
{
	atomic_store(&a->certs.latest, e->latest);
	atomic_store(&a->certs.longest, e->longest);
}

/* certs.lock held. What the index has decides, not what is in memory: it may be new. */
static int raise_extent(struct cof_archive *a, uint64_t sequence, const struct extent *more)
{
	struct extent e;
	int r = get_extent(a, &e);

	if (r < 0 || (more->latest <= e.latest && more->longest <= e.longest))
		return r;
	e.latest = COF_MAX(e.latest, more->latest);
	e.longest = COF_MAX(e.longest, more->longest);
	r = put_extent(a, sequence, &e);
	if (r == 0)
		set_extent(a, &e);
	return r;
}

int cof_certs_load(struct cof_archive *a)
{
	struct extent e;
	int r = cof_ix(a, get_extent(a, &e));

	if (r == 0)
		set_extent(a, &e);
	return r;
}

int64_t cof_certs_follow(struct cof_archive *a, const struct cof_obj *o)
{
	const struct cof_policy *p = cof_obj_policy(o);
	const struct cof_node *n = &o->node;
	int64_t from = n->follow_from, margin = n->follow_margin;

	if (n->kind != COF_KIND_FILE)
		return COF_RETAIN_NONE;
	if (n->state == COF_STATE_OPEN) {
		from = cof_clock_retention(&a->clock);
		margin = 0;
	} else if (from == COF_RETAIN_NONE) { /* committed before its shelf followed them */
		from = n->committed;
		margin = 0;
	}
	if (n->follow_from == COF_RETAIN_NONE && !p->retain_certificates)
		return COF_RETAIN_NONE;
	if (p->retain_certificates)
		margin = COF_MAX(margin, p->retain_margin);
	return cof_rule_follow(atomic_load(&a->certs.latest), atomic_load(&a->certs.longest), from, margin);
}

/* ---- to be found ---- */

struct found {
	uint64_t ino;
	struct cof_index_item *items;
	struct cof_buf *values;
	size_t n, cap;
};

static void found_done(struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		cof_buf_done(&f->values[i]);
	free(f->values);
	free(f->items);
}

static int make_room(struct found *f)
{
	size_t cap = f->cap ? 2 * f->cap : 4;
	void *items, *values;

	if (f->n < f->cap)
		return 0;
	items = reallocarray(f->items, cap, sizeof(*f->items));
	if (!items)
		return -ENOMEM;
	f->items = items;
	values = reallocarray(f->values, cap, sizeof(*f->values));
	if (!values)
		return -ENOMEM;
	f->values = values;
	f->cap = cap;
	return 0;
}

/* A serial number leads to it whether or not somebody wrote its leading zeros. */
static size_t leading_zeros(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && !p[i]; i++)
		;
	return i;
}

static int add_found(struct found *f, const struct cof_field *field)
{
	struct cof_index_item *item;
	struct cof_buf *value;
	struct cof_cert c;
	uint8_t ino[8];
	size_t skip;
	int r = cof_cert_get(field->value, field->len, &c);

	if (r < 0)
		return r;
	r = make_room(f);
	if (r < 0)
		return r;
	value = &f->values[f->n];
	item = &f->items[f->n++];
	*value = (struct cof_buf){0};
	cof_put_le64(ino, f->ino);
	cof_buf_add(value, ino, sizeof(ino));
	cof_buf_add(value, field->value, field->len);
	if (value->failed)
		return -ENOMEM;
	*item = (struct cof_index_item){.p = value->data, .n = value->len, .n_terms = 1};
	item->term[0] = (struct cof_index_term){COF_CERT_TERM_FINGERPRINT, value->data + 8 + 18, COF_HASH};
	skip = leading_zeros(c.serial, c.serial_len);
	if (c.serial_len)
		item->term[item->n_terms++] = (struct cof_index_term){
		    COF_CERT_TERM_SERIAL, value->data + 8 + 51 + skip, c.serial_len - skip};
	return 0;
}

static int index_found(const struct cof_parts *p)
{
	struct found f COF_CLEANUP(found_done) = {.ino = p->f->object};
	struct cof_field field;
	size_t off = 0;
	int r;

	while ((r = cof_field_next(p->private_part, p->private_len, &off, &field)) > 0) {
		if (field.tag != COF_T_CERTIFICATE)
			continue;
		r = f.n < COF_CERT_ITEMS_MAX ? add_found(&f, &field) : -EUCLEAN;
		if (r < 0)
			return r;
	}
	return r < 0 || !f.n ? r : cof_index_add_items(p->a->ix, p->f->sequence, f.items, f.n);
}

int cof_apply_certs(const struct cof_parts *p, struct cof_node *n)
{
	struct extent more = {COF_RETAIN_NONE, 0};
	const uint8_t *b = p->public_part;
	int r = optional(cof_field_i64(b, p->public_len, COF_T_CERT_NOT_AFTER, &more.latest));

	if (r == 0)
		r = optional(cof_field_i64(b, p->public_len, COF_T_CERT_LONGEST, &more.longest));
	if (r < 0 || more.longest < 0)
		return -EUCLEAN;
	n->follow_from = COF_RETAIN_NONE;
	n->follow_margin = 0;
	r = cof_field_i64(b, p->public_len, COF_T_FOLLOWS, &n->follow_margin);
	if (r == 0)
		n->follow_from = p->f->retention_time;
	if (optional(r) < 0 || n->follow_margin < 0)
		return -EUCLEAN;
	r = index_found(p);
	if (r < 0 || (more.latest == COF_RETAIN_NONE && !more.longest))
		return r;
	pthread_mutex_lock(&p->a->certs.lock);
	r = raise_extent(p->a, p->f->sequence, &more);
	pthread_mutex_unlock(&p->a->certs.lock);
	return r;
}
