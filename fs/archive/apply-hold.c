/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What frames mean for holds, events and modes, beside apply.c.
 *
 * In the index an inode that was ever held has the value "holds", the ids of its holds, u64 each (bit 63: the
 * hold names it itself); which of them are in force is a matter of the hold alone, so that one frame ends it
 * for a hundred thousand files. Values of the root: "holds", the ids in force; "hold:ID" for each hold ever,
 * as struct cof_hold_record says; "hold-last", the newest.
 */
#include "fs/archive/apply.h"
#include "fs/archive/hold.h"
#include "fs/rules/approve.h"

static int optional(int r)
{
	return r == -ENOENT ? 0 : r;
}

static int get(const struct cof_parts *p, uint64_t ino, const char *key, struct cof_buf *ret)
{
	ret->len = 0;
	return optional(cof_index_get_value(p->a->ix, p->a->load_at, ino, key, ret));
}

static int put(const struct cof_parts *p, uint64_t ino, const char *key, const struct cof_buf *b)
{
	return b->failed ? -ENOMEM
			 : cof_index_put_value(p->a->ix, p->f->sequence, ino, key, b->data, b->len);
}

static void add_u64(struct cof_buf *b, uint64_t v)
{
	uint8_t bytes[8];

	cof_put_le64(bytes, v);
	cof_buf_add(b, bytes, sizeof(bytes));
}

/* ---- the list of an inode ---- */

/* One more; a hold that names it counts as more than one that only covers it. */
static void list_add(struct cof_buf *list, uint64_t id)
{
	for (size_t i = 0; i + 8 <= list->len; i += 8) {
		uint64_t there = cof_get_le64(list->data + i);

		if ((there & ~COF_HOLD_NAMED) != (id & ~COF_HOLD_NAMED))
			continue;
		cof_put_le64(list->data + i, there | id);
		return;
	}
	add_u64(list, id);
}

static int hold_add(const struct cof_parts *p, struct cof_node *n, const uint64_t *ids, size_t count)
{
	cof_autobuf struct cof_buf list = {0};
	int r = n->held ? get(p, n->ino, "holds", &list) : 0;

	for (size_t i = 0; i < count; i++)
		list_add(&list, ids[i]);
	if (r == 0)
		r = put(p, n->ino, "holds", &list);
	if (r == 0)
		n->held = true;
	return r;
}

int cof_apply_held(const struct cof_parts *p, struct cof_node *n)
{
	cof_autofree uint64_t *ids = NULL;
	struct cof_field field;
	int r = cof_field_find(p->public_part, p->public_len, COF_T_HOLDS, &field);

	/* A new name may lie below a tree that is being covered. */
	if (p->f->type == COF_RENAME && cof_holds_any(p->a))
		cof_holds_changed(p->a);
	if (r < 0)
		return optional(r);
	if (!field.len || field.len % 8)
		return -EUCLEAN;
	ids = malloc(field.len);
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < field.len / 8; i++)
		ids[i] = cof_get_le64(field.value + 8 * i) & ~COF_HOLD_NAMED;
	r = hold_add(p, n, ids, field.len / 8);
	cof_holds_changed(p->a);
	return r;
}

/* ---- HOLD ---- */

static int cover_one(const struct cof_parts *p, struct cof_obj *o, uint64_t id)
{
	int r = hold_add(p, &o->node, &id, 1);

	if (r < 0)
		return r;
	o->last_sequence = p->f->sequence;
	return cof_index_put_node(p->a->ix, p->f->sequence, &o->node);
}

/* Of a replay: what cannot be found was not there to be held, or its frame is damaged and told of. */
static int cover_found(const struct cof_parts *p, uint64_t ino, uint64_t id)
{
	struct cof_obj *o;
	int r = cof_obj_get(p->a, ino, &o);

	if (r < 0)
		return optional(r);
	r = cover_one(p, o, id);
	cof_obj_put(p->a, o);
	return r;
}

static int cover(const struct cof_parts *p, const struct cof_applied *on, uint64_t id)
{
	struct cof_field field;
	size_t off = 0, at = 0;
	int r, more;

	while ((more = cof_field_next(p->public_part, p->public_len, &off, &field)) > 0) {
		if (field.tag != COF_T_INODES)
			continue;
		if (field.len % 16)
			return -EUCLEAN;
		for (size_t i = 0; i < field.len; i += 16) {
			uint64_t first = cof_get_le64(field.value + i);
			uint64_t count = cof_get_le64(field.value + i + 8);

			if (count > COF_HOLD_BATCH || !first || first + count < first)
				return -EUCLEAN;
			for (uint64_t k = 0; k < count; k++) {
				if (!on->many)
					r = cover_found(p, first + k, id);
				else if (at < on->n_many && on->many[at]->node.ino == first + k)
					r = cover_one(p, on->many[at++], id);
				else
					r = -EUCLEAN;
				if (r < 0)
					return r;
			}
		}
	}
	return more;
}

/* The ids in force, with one more or one less. */
static int in_force(const struct cof_parts *p, uint64_t id, bool there)
{
	cof_autobuf struct cof_buf list = {0}, next = {0};
	int r = get(p, COF_ROOT_INO, "holds", &list);

	for (size_t i = 0; r == 0 && i + 8 <= list.len; i += 8)
		if (cof_get_le64(list.data + i) != id)
			cof_buf_add(&next, list.data + i, 8);
	if (there)
		add_u64(&next, id);
	return r < 0 ? r : put(p, COF_ROOT_INO, "holds", &next);
}

static int put_record(const struct cof_parts *p, uint64_t id, const struct cof_hold_record *h)
{
	cof_autobuf struct cof_buf b = {0};
	char key[COF_HOLD_KEY];

	cof_hold_key(id, key);
	cof_hold_encode(h, &b);
	return put(p, COF_ROOT_INO, key, &b);
}

static int begin(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_hold_record h = {.begun = p->f->record_time, .laying = true};
	cof_autobuf struct cof_buf last = {0}, text = {0};
	uint64_t id = p->f->sequence;
	struct cof_field named = {0};
	int r = get(p, COF_ROOT_INO, "hold-last", &last);

	if (cof_field_find(p->public_part, p->public_len, COF_T_INODES, &named) < 0)
		return -EUCLEAN;
	cof_buf_add(&text, p->private_part, p->private_len);
	cof_field_put(&text, COF_T_INODES, named.value, named.len);
	if (text.failed)
		return -ENOMEM;
	h.text = text.data;
	h.text_len = text.len;

	if (r == 0 && last.len == 8)
		h.previous = cof_get_le64(last.data);
	last.len = 0;
	add_u64(&last, id);
	if (r == 0)
		r = put(p, COF_ROOT_INO, "hold-last", &last);
	if (r == 0)
		r = put_record(p, id, &h);
	if (r == 0)
		r = in_force(p, id, true);
	return r < 0 ? r : cover(p, on, id | COF_HOLD_NAMED);
}

static int counted(const struct cof_parts *p, struct cof_hold_record *h)
{
	const uint8_t *b = p->public_part;

	if (optional(cof_field_u64(b, p->public_len, COF_T_PROCESSED, &h->processed)) < 0 ||
	    optional(cof_field_u64(b, p->public_len, COF_T_SKIPPED, &h->skipped)) < 0 ||
	    optional(cof_field_u64(b, p->public_len, COF_T_FAILED, &h->failed)) < 0)
		return -EUCLEAN;
	return 0;
}

static int changed(const struct cof_parts *p, uint64_t id, uint8_t what)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	char key[COF_HOLD_KEY];
	int r;

	cof_hold_key(id, key);
	r = cof_index_get_value(p->a->ix, p->a->load_at, COF_ROOT_INO, key, &b);
	if (r == 0)
		r = cof_hold_decode(&b, &h);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	if (what == COF_HOLD_LAID) {
		h.laying = false;
		r = counted(p, &h);
	} else {
		h.ended = p->f->record_time;
		h.laying = false;
		r = in_force(p, id, false);
	}
	return r < 0 ? r : put_record(p, id, &h);
}

int cof_apply_hold(const struct cof_parts *p, const struct cof_applied *on)
{
	uint64_t id = 0;
	uint8_t what;
	int r = cof_field_u8(p->public_part, p->public_len, COF_T_HOLD_WHAT, &what);

	if (r < 0 || (what != COF_HOLD_BEGIN &&
		      (cof_field_u64(p->public_part, p->public_len, COF_T_HOLD_ID, &id) < 0 ||
		       id >= p->f->sequence)))
		return -EUCLEAN;
	switch (what) {
	case COF_HOLD_BEGIN:
		r = begin(p, on);
		break;
	case COF_HOLD_ADD:
		r = cover(p, on, id);
		break;
	case COF_HOLD_END:
	case COF_HOLD_LAID:
		r = changed(p, id, what);
		break;
	default:
		r = -EUCLEAN;
	}
	cof_holds_changed(p->a);
	return r;
}

/* ---- commits and their ends ---- */

static int wait_for_event(const struct cof_parts *p, struct cof_node *n, const struct cof_field *name)
{
	if (!name->len || name->len >= COF_EVENT_NAME)
		return -EUCLEAN;
	if (optional(cof_field_i64(p->public_part, p->public_len, COF_T_EVENT_SPAN, &n->event_span)) < 0 ||
	    n->event_span < 0)
		return -EUCLEAN;
	n->event_due = true;
	return cof_index_put_value(p->a->ix, p->f->sequence, n->ino, "event", name->value, name->len);
}

int cof_apply_binding(const struct cof_parts *p, struct cof_node *n)
{
	const uint8_t *b = p->public_part;
	size_t len = p->public_len;
	struct cof_field name;
	int r;

	n->mode_kept = 0;
	n->binds_from = n->least_until = COF_RETAIN_NONE;
	n->event_span = 0;
	n->event_due = false;
	if (optional(cof_field_u8(b, len, COF_T_RETAIN_MODE, &n->mode_kept)) < 0 || n->mode_kept > 1 ||
	    optional(cof_field_i64(b, len, COF_T_BINDS_FROM, &n->binds_from)) < 0 ||
	    optional(cof_field_i64(b, len, COF_T_LEAST_UNTIL, &n->least_until)) < 0)
		return -EUCLEAN;
	r = cof_field_find(b, len, COF_T_EVENT_NAME, &name);
	return r < 0 ? optional(r) : wait_for_event(p, n, &name);
}

int cof_apply_event(const struct cof_parts *p, struct cof_node *n)
{
	const uint8_t *b = p->public_part;
	struct cof_field name, least;
	int64_t when;
	int r = cof_field_find(b, p->public_len, COF_T_LEAST_UNTIL, &least);

	if (r == 0 && least.len == 8)
		n->least_until = COF_MAX(n->least_until, (int64_t)cof_get_le64(least.value));
	r = cof_field_find(b, p->public_len, COF_T_EVENT_NAME, &name);
	if (r < 0)
		return optional(r);
	r = cof_field_i64(b, p->public_len, COF_T_EVENT_TIME, &when);
	if (r == -ENOENT)
		return wait_for_event(p, n, &name);
	if (r == 0)
		n->event_due = false;
	return r;
}

bool cof_is_ended(const struct cof_parts *p)
{
	struct cof_field field;

	return cof_field_find(p->public_part, p->public_len, COF_T_REQUEST, &field) == 0 &&
	       cof_field_find(p->public_part, p->public_len, COF_T_EVENT_NAME, &field) == -ENOENT;
}

void cof_apply_end(struct cof_node *n, int64_t until)
{
	n->retain_until = until;
	n->event_due = false;
}
