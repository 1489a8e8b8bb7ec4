/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transcripts of ceremonies that were held elsewhere, on record: the transcript in clear, so that whoever has the chain can
 * judge it; the sheet with places, reasons and names of custodians stays private. The judge says whether it counts.
 */
#include "fs/archive/ceremony.h"

#include "fs/rules/ceremony.h"

#define SHEET_MAX 60000

/* The transcript, and which epoch it is about. */
static bool show_transcript(struct cof_json *o, const struct cof_field *f)
{
	struct cof_ceremony c;
	char hex[65];
	int r = cof_ceremony_parse(f->value, f->len, &c, NULL);

	cof_json_set_bytes(o, "transcript", f->value, f->len);
	if (r == 0) {
		cof_json_set_uint(o, "epoch", c.epoch);
		cof_hex(c.epoch_key, sizeof(c.epoch_key), hex);
		cof_json_set_str(o, "epoch_key", hex);
		if (cof_ceremony_made(&c))
			cof_json_set_str(o, "document", cof_ceremony_made(&c));
	}
	cof_ceremony_done(&c);
	return r == 0;
}

bool cof_ceremony_show(struct cof_json *o, const struct cof_field *f)
{
	char hex[65];

	switch (f->tag) {
	case COF_T_CEREMONY:
		return show_transcript(o, f);
	case COF_T_CEREMONY_ID:
		if (f->len != 32)
			return false;
		cof_hex(f->value, 32, hex);
		cof_json_set_str(o, "ceremony", hex);
		return true;
	case COF_T_CEREMONY_KIND:
		if (f->len != 1 || f->value[0] < COF_CEREMONY_CREATION || f->value[0] > COF_CEREMONY_DESTRUCTION)
			return false;
		cof_json_set_str(o, "ceremony_kind", cof_ceremony_kind_name((enum cof_ceremony_kind)f->value[0]));
		return true;
	case COF_T_CEREMONY_FLAGS:
		if (f->len != 1)
			return false;
		cof_json_set_bool(o, "rehearsal", f->value[0] & COF_CEREMONY_REHEARSAL);
		cof_json_set_bool(o, "abandoned", f->value[0] & COF_CEREMONY_ABANDONED);
		return true;
	default:
		return true;
	}
}

/* ---- one is brought ---- */

static int check_sheet(const struct cof_ceremony *c, const struct cof_buf *sheet, struct cof_diag *diag)
{
	uint8_t digest[COF_HASH];

	cof_sha256(sheet->data, sheet->len, digest);
	return memcmp(digest, c->sheet, sizeof(digest)) == 0
		   ? 0
		   : cof_fail(diag, -EPERM, "this sheet is not the one that the transcript names: its SHA-256 is another");
}

static void tell(const struct cof_ceremony *c, struct cof_json *into)
{
	char hex[65];

	cof_hex(c->id, sizeof(c->id), hex);
	cof_json_set_str(into, "ceremony", hex);
	cof_json_set_str(into, "kind", cof_ceremony_kind_name(c->kind));
	cof_json_set_bool(into, "rehearsal", c->rehearsal);
	cof_json_set_bool(into, "abandoned", c->abandoned);
}

int cof_ceremony_put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		     struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, sheet = {0}, fields = {0}, private_part = {0};
	struct cof_ceremony c = {.n_lines = 0};
	struct cof_diag why = {""};
	struct cof_judgement w;
	uint64_t sequence = 0;
	int r = cof_people_bytes(args, "transcript", COF_CEREMONY_MAX, &text, diag);

	if (r == 0)
		r = cof_people_bytes(args, "sheet", SHEET_MAX, &sheet, diag);
	if (r < 0)
		return r;
	r = cof_ceremony_parse(text.data, text.len, &c, &why);
	if (r == -EUCLEAN || r == -E2BIG)
		r = cof_people_refused(a, who, "ceremony", "altered", why.text, diag);
	else if (r == 0 && check_sheet(&c, &sheet, &why) < 0)
		r = cof_people_refused(a, who, "ceremony", "other-sheet", why.text, diag);
	if (r == 0)
		r = cof_ceremony_fields(&c, text.data, text.len, &fields);
	cof_field_put(&private_part, COF_T_SHEET, sheet.data, sheet.len);
	if (r == 0)
		r = cof_people_put(a, who, COF_CEREMONY, &fields, &private_part, &w, &sequence, diag);
	if (r == 0) {
		tell(&c, into);
		cof_json_set_uint(into, "sequence", sequence);
	}
	cof_ceremony_done(&c);
	return r;
}

/* ---- those that are there ---- */

static int list_one(void *user, const struct cof_frame *f, const struct cof_buf *fields)
{
	struct cof_json *o;
	struct cof_ceremony c;
	struct cof_field text;
	char hex[65];
	int r;

	if (f->type != COF_CEREMONY)
		return 0;
	if (cof_field_find(fields->data, fields->len, COF_T_CEREMONY, &text) < 0)
		return -EUCLEAN;
	r = cof_ceremony_parse(text.value, text.len, &c, NULL);
	if (r == 0) {
		o = cof_json_object();
		tell(&c, o);
		cof_json_set_uint(o, "epoch", c.epoch);
		cof_hex(c.epoch_key, sizeof(c.epoch_key), hex);
		cof_json_set_str(o, "epoch_key", hex);
		if (cof_ceremony_made(&c))
			cof_json_set_str(o, "document", cof_ceremony_made(&c));
		cof_json_set_time(o, "held", c.line[0].time);
		cof_json_set_time(o, "ended", c.line[c.n_lines - 1].time);
		cof_json_set_uint(o, "sequence", f->sequence);
		cof_json_set_time(o, "time", f->record_time);
		cof_json_set_bytes(o, "transcript", text.value, text.len);
		cof_json_append(user, o);
	}
	cof_ceremony_done(&c);
	return r;
}

/* Anew each time it is tried. */
static int collect(struct cof_archive *a, struct cof_json **all)
{
	cof_json_free(*all);
	*all = cof_json_array();
	return cof_people_each(a, list_one, *all);
}

int cof_ceremony_list(struct cof_archive *a, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = NULL;
	int r;

	COF_GATED(a, r, collect(a, &all));
	for (size_t i = 0; r == 0 && i < cof_json_count(all); i++)
		r = fn(user, cof_json_at(all, i));
	return r == -EUCLEAN || r == -EBADMSG ? cof_fail(diag, r, "a ceremony's frame is damaged: coffer verify names the place") : r;
}
