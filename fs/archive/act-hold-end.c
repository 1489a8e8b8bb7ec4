/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The action hold-end: a hold is over for all that it covers. The document names it by its number and by the
 * shelves in which lies what it names, whose rules count.
 */
#include "fs/archive/hold.h"
#include "fs/archive/people.h"

#include <stdio.h>

static int get_hold(struct cof_archive *a, uint64_t id, struct cof_buf *b, struct cof_hold_record *ret)
{
	int r;

	COF_GATED(a, r, cof_hold_get(a, id, b, ret));
	return r;
}

static int add_shelf(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED, size_t len COF_UNUSED,
		     uint64_t ino, uint8_t kind COF_UNUSED)
{
	struct cof_buf *list = user;
	uint8_t bytes[8];

	cof_put_le64(bytes, ino);
	cof_buf_add(list, bytes, sizeof(bytes));
	return list->failed ? -ENOMEM : 0;
}

static int shelf_of(struct cof_archive *a, uint64_t ino, struct cof_buf *list)
{
	struct cof_obj *o;
	uint64_t shelf = 0;
	int r;

	if (ino == COF_ROOT_INO) /* it covers all of them */
		return cof_archive_readdir(a, COF_INDEX_NOW, ino, 0, add_shelf, list);
	cof_gate_enter(a);
	r = cof_obj_get(a, ino, &o);
	if (r == 0) {
		shelf = o->node.shelf;
		cof_obj_put(a, o);
	}
	cof_gate_leave(a);
	return r == 0 && shelf ? add_shelf(list, 0, NULL, 0, shelf, 0) : r == -ENOENT ? 0 : r;
}

static int by_number(const void *x, const void *y)
{
	uint64_t a = cof_get_le64(x), b = cof_get_le64(y);

	return a < b ? -1 : a > b;
}

/* In which lies what it names, 8 bytes each, some more than once. */
static int shelves_of(struct cof_archive *a, const struct cof_hold_record *h, struct cof_buf *list)
{
	struct cof_field named = {0};
	int r = cof_field_find(h->text, h->text_len, COF_T_INODES, &named);

	for (size_t i = 0; r == 0 && i + 16 <= named.len; i += 16)
		for (uint64_t k = 0; r == 0 && k < cof_get_le64(named.value + i + 8); k++)
			r = shelf_of(a, cof_get_le64(named.value + i) + k, list);
	return r == 0 && list->failed ? -ENOMEM : r;
}

static int set_shelves(struct cof_archive *a, const struct cof_hold_record *h, struct cof_json *doc)
{
	cof_autobuf struct cof_buf list = {0};
	struct cof_json *shelves = cof_json_array();
	uint64_t last = 0;
	int r = shelves_of(a, h, &list);

	if (r == 0 && list.len)
		qsort(list.data, list.len / 8, 8, by_number);
	for (size_t i = 0; r == 0 && i + 8 <= list.len; i += 8) {
		uint64_t shelf = cof_get_le64(list.data + i);

		if (shelf != last)
			cof_json_append(shelves, cof_json_new_uint(shelf));
		last = shelf;
	}
	cof_json_set(doc, "shelves", shelves);
	return r;
}

static void tell(uint64_t id, const struct cof_hold_record *h, struct cof_buf *sheet)
{
	struct cof_field f;
	size_t off = 0;

	cof_buf_printf(sheet, "hold %llu, which covers %llu files\n", (unsigned long long)id,
		       (unsigned long long)h->processed);
	while (cof_field_next(h->text, h->text_len, &off, &f) > 0) {
		if (f.tag == COF_T_CASE)
			cof_buf_printf(sheet, "case %.*s\n", (int)f.len, (const char *)f.value);
		if (f.tag == COF_T_PATH)
			cof_buf_printf(sheet, "path %.*s\n", (int)f.len, (const char *)f.value);
	}
}

static int fill(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		struct cof_diag *diag)
{
	const char *name = cof_action_word(args, 0);
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	uint64_t id = 0;
	int r;

	if (!name)
		return cof_fail(diag, -EINVAL, "which hold? The name of its case, or its number");
	COF_GATED(a, r, cof_hold_find(a, name, &id));
	if (r == 0)
		r = get_hold(a, id, &b, &h);
	if (r == -ENOENT)
		return cof_fail(diag, -EINVAL, "no hold in force has the case or number '%.200s'", name);
	if (r == 0)
		r = set_shelves(a, &h, doc);
	if (r < 0)
		return r;
	cof_json_set_uint(doc, "hold", id);
	tell(id, &h, sheet);
	return sheet->failed ? -ENOMEM : 0;
}

static int hold_of(const struct cof_json *doc, uint64_t *ret, struct cof_diag *diag)
{
	int64_t v;

	if (cof_json_int(doc, "hold", &v) < 0 || v <= 0)
		return cof_fail(diag, -EINVAL, "the request does not say which hold");
	*ret = (uint64_t)v;
	return 0;
}

static int check_shelves(struct cof_archive *a, const struct cof_hold_record *h, const struct cof_json *doc, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf list = {0};
	int r = shelves_of(a, h, &list);

	for (size_t i = 0; r == 0 && i + 8 <= list.len; i += 8)
		if (!cof_action_has_shelf(doc, cof_get_le64(list.data + i)))
			return cof_fail(diag, -EINVAL, "what the hold names lies in shelf %llu, which the request does not name: its rule "
						       "would not be asked",
					(unsigned long long)cof_get_le64(list.data + i));
	return r;
}

static int check(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	uint64_t id = 0;
	int r = hold_of(doc, &id, diag);

	if (r == 0)
		r = get_hold(a, id, &b, &h);
	if (r == -ENOENT || (r == 0 && h.ended))
		return cof_fail(diag, -EPERM, "hold %llu is not in force", (unsigned long long)id);
	if (r == 0 && h.laying) /* what is listed behind its end would be taken for a hold of its own */
		return cof_fail(diag, -EBUSY, "hold %llu is still being laid on what lies below: wait for that (coffer hold list)",
				(unsigned long long)id);
	return r == 0 ? check_shelves(a, &h, doc, diag) : r;
}

static void told(struct cof_archive *a, const struct cof_grant *g, const struct cof_hold_frame *f, uint64_t sequence)
{
	char text[48];

	snprintf(text, sizeof(text), "hold %llu", (unsigned long long)f->id);
	cof_event_told(a, &(struct cof_event){.type = COF_EV_HOLD_END, .who = g->who, .detail = text}, sequence);
}

static int apply(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	struct cof_hold_frame f = {.what = COF_HOLD_END, .request = g->request};
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	uint64_t sequence;
	int r = hold_of(doc, &f.id, diag);

	if (r == 0)
		r = get_hold(a, f.id, &b, &h);
	if (r == 0 && h.ended) /* before a crash */
		return 0;
	if (r == 0)
		COF_GATED(a, r, cof_hold_put(a, g->who, &f, NULL, 0, &sequence));
	if (r == 0)
		told(a, g, &f, sequence);
	return r < 0 ? cof_fail(diag, r, "the end of the hold could not be written: %s", strerror(-r)) : 0;
}

const struct cof_action cof_act_hold_end = {.name = "hold-end", .fill = fill, .check = check, .apply = apply};
