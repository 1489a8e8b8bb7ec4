/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person signed, as it is shown. A judge without keys sees the form and its signature; kind, outcome and words stand in the
 * private part once more, and there a daemon could write what nobody signed. So what is shown under a person's name is what the
 * form and its sheet say, and where the private part says otherwise that is said.
 */
#include "fs/archive/people.h"
#include "fs/archive/show.h"

#include "base/json.h"

#define PERSON "person"

struct said {
	uint8_t tag;
	const char *text; /* NULL: nothing */
};

static bool has(const struct cof_buf *part, size_t from, uint8_t tag, struct cof_field *ret)
{
	return part->len >= from && cof_field_find(part->data + from, part->len - from, tag, ret) == 0;
}

static int read_form(const struct cof_field *form, const struct cof_buf *plain, struct cof_json **ret_form, struct cof_json **ret_sheet)
{
	struct cof_field sheet;
	uint8_t digest[COF_HASH];
	const char *want;
	char hex[2 * COF_HASH + 1];
	int r = cof_json_parse((const char *)form->value, form->len, ret_form);

	if (r < 0 || !has(plain, 0, COF_T_SHEET, &sheet))
		return r == -ENOMEM ? r : 0;
	cof_sha256(sheet.value, sheet.len, digest);
	cof_hex(digest, sizeof(digest), hex);
	want = cof_json_str(*ret_form, "sheet");
	if (want && !strcmp(want, hex))
		r = cof_json_parse((const char *)sheet.value, sheet.len, ret_sheet);
	return r == -ENOMEM ? r : 0;
}

/* Each field once, of those that such an event has, and none that says another thing. */
static bool is_said(const struct said *all, size_t n, int64_t time, const struct cof_buf *plain)
{
	struct cof_field f;
	unsigned seen = 0, want = 0;
	size_t off = 0, i;
	int more;

	for (i = 0; i < n; i++)
		want |= all[i].text ? 1u << i : 0;
	while ((more = cof_field_next(plain->data, plain->len, &off, &f)) > 0) {
		if (f.tag == COF_T_SHEET || f.tag == COF_T_SEVERITY)
			continue;
		if (f.tag == COF_T_CLAIMED_TIME) {
			if (f.len != 8 || (int64_t)cof_get_le64(f.value) != time)
				return false;
			continue;
		}
		for (i = 0; i < n && all[i].tag != f.tag; i++)
			;
		if (i == n || !all[i].text || seen & 1u << i || strlen(all[i].text) != f.len || memcmp(all[i].text, f.value, f.len) != 0)
			return false;
		seen |= 1u << i;
	}
	return more == 0 && seen == want;
}

static void show_said(struct cof_json *o, const struct said *all, size_t n, int64_t time, bool same)
{
	cof_autobuf struct cof_buf fields = {0};

	for (size_t i = 0; i < n; i++)
		if (all[i].text)
			cof_field_put_str(&fields, all[i].tag, all[i].text);
	if (time)
		cof_field_put_i64(&fields, COF_T_CLAIMED_TIME, time);
	cof_field_put_str(&fields, COF_T_SEVERITY, "notice");
	cof_show_fields(o, fields.data, fields.len);
	if (!same || fields.failed)
		cof_json_set_bool(o, "malformed", true);
}

static int show_form(struct cof_json *o, const struct cof_field *text, const struct cof_buf *plain)
{
	cof_autojson struct cof_json *form = NULL, *sheet = NULL;
	const char *when;
	int64_t time = 0;
	int r = read_form(text, plain, &form, &sheet);

	if (r < 0)
		return r;
	const struct said all[] = {
	    {COF_T_EVENT, cof_json_str(form, "event")},	    {COF_T_CATALOGUE, cof_json_str(form, "catalogue")},
	    {COF_T_EVENT_OUTCOME, cof_json_str(form, "outcome")}, {COF_T_SIGNER, cof_json_str(form, "signer")},
	    {COF_T_SOURCE, PERSON},			    {COF_T_PATH, sheet ? cof_json_str(sheet, "object") : NULL},
	    {COF_T_PLACE, sheet ? cof_json_str(sheet, "place") : NULL}, {COF_T_DETAIL, sheet ? cof_json_str(sheet, "text") : NULL},
	};

	when = cof_json_str(form, "time");
	if (when && cof_time_parse(when, &time) < 0)
		time = 0;
	show_said(o, all, COF_COUNT(all), time, sheet && is_said(all, COF_COUNT(all), time, plain));
	return 0;
}

/* A person's event without a signature is nobody's. */
static void show_unsigned(struct cof_json *o, const struct cof_buf *plain)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(plain->data, plain->len, &off, &f) > 0)
		if (f.tag != COF_T_SOURCE && f.tag != COF_T_SIGNER)
			cof_field_put(&fields, f.tag, f.value, f.len);
	cof_show_fields(o, fields.data, fields.len);
	cof_json_set_bool(o, "malformed", true);
}

static bool by_person(const struct cof_buf *plain)
{
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(plain->data, plain->len, &off, &f) > 0)
		if (f.tag == COF_T_SOURCE && f.len == strlen(PERSON) && !memcmp(f.value, PERSON, f.len))
			return true;
	return false;
}

int cof_show_event(struct cof_json *o, const struct cof_frame *f, const struct cof_buf *in_clear, const struct cof_buf *plain)
{
	size_t from = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;
	struct cof_field form, signature;

	if (has(in_clear, from, COF_T_FORM, &form) && has(in_clear, from, COF_T_EVENT_SIGNATURE, &signature))
		return show_form(o, &form, plain);
	if (by_person(plain))
		show_unsigned(o, plain);
	else
		cof_show_fields(o, plain->data, plain->len);
	return 0;
}
