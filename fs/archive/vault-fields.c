/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of VAULT frames by their names: one table for writing and showing. docs/format.md 4.2. */
#include "fs/archive/vaults.h"

#include <stdio.h>

#define TEXT_MAX 512
#define LONG_MAX 16384
#define COUNTS_MAX 16

enum form { WHAT, NUMBER32, NUMBER, PAIR, OUTCOME, NUMBERS, DIGEST, TIME, TEXT, LONG };

static const struct known {
	const char *name, *second; /* second: of a pair */
	uint8_t tag;
	enum form form;
	bool is_private;
} known[] = {
    {"what", NULL, COF_T_RECORD, WHAT, false},
    {"name", NULL, COF_T_RECORD_NAME, TEXT, false},
    {"from", "to", COF_T_RECORD_RANGE, PAIR, false},
    {"bytes", NULL, COF_T_RECORD_BYTES, NUMBER, false},
    {"outcome", NULL, COF_T_RECORD_OUTCOME, OUTCOME, false},
    {"basis", NULL, COF_T_RECORD_BASIS, TEXT, false},
    {"counted", NULL, COF_T_RECORD_COUNTS, NUMBERS, false},
    {"document", NULL, COF_T_RECORD_DOCUMENT, LONG, false},
    {"detail", NULL, COF_T_RECORD_DETAIL, LONG, true},
    {"took_ns", "promised_ns", COF_T_RECORD_TIMES, PAIR, false},
    {"vault", NULL, COF_T_VAULT, TEXT, false},
    {"vault_place", NULL, COF_T_VAULT_PLACE, TEXT, false},
    {"jurisdiction", NULL, COF_T_JURISDICTION, TEXT, false},
    {"administration", NULL, COF_T_ADMINISTRATION, TEXT, false},
    {"distance_km", NULL, COF_T_DISTANCE, NUMBER32, false},
    {"sha256", NULL, COF_T_ESCROW_SHA256, DIGEST, false},
    {"claimed_time", NULL, COF_T_CLAIMED_TIME, TIME, false},
    {"request", NULL, COF_T_REQUEST, DIGEST, false},
};

static const char *const whats[] = {
    [COF_VR_MET] = "met",	    [COF_VR_TRANSFER] = "transfer", [COF_VR_BUCKET] = "bucket",
    [COF_VR_CHECKED] = "checked",   [COF_VR_DRILL] = "drill",	    [COF_VR_RETIRING] = "retiring",
    [COF_VR_RETIRED] = "retired",   [COF_VR_BUNDLED] = "bundled",   [COF_VR_ENROLLED] = "enrolled",
    [COF_VR_RELEASED] = "released", [COF_VR_PUNCTURED] = "punctured", [COF_VR_HANDED_OVER] = "handed-over",
};

const char *cof_vault_what_name(uint8_t what)
{
	return what < COF_COUNT(whats) && whats[what] ? whats[what] : "unknown";
}

static uint8_t what_of(const char *text)
{
	for (uint8_t i = 1; text && i < COF_COUNT(whats); i++)
		if (!strcmp(whats[i], text))
			return i;
	return 0;
}

/* ---- showing ---- */

static bool show_numbers(struct cof_json *o, const struct known *k, const struct cof_field *f)
{
	struct cof_json *list = cof_json_array();

	for (size_t i = 0; i + 8 <= f->len; i += 8)
		cof_json_append(list, cof_json_new_uint(cof_get_le64(f->value + i)));
	cof_json_set(o, k->name, list);
	return f->len % 8 == 0 && f->len <= COUNTS_MAX * 8;
}

static bool show_one(struct cof_json *o, const struct known *k, const struct cof_field *f)
{
	static const uint16_t sizes[] = {[WHAT] = 1, [NUMBER32] = 4, [NUMBER] = 8, [PAIR] = 16, [OUTCOME] = 1};

	if (k->form <= OUTCOME && f->len != sizes[k->form])
		return false;
	switch (k->form) {
	case WHAT:
		cof_json_set_str(o, k->name, cof_vault_what_name(f->value[0]));
		return true;
	case NUMBER:
		cof_json_set_uint(o, k->name, cof_get_le64(f->value));
		return true;
	case PAIR:
		cof_json_set_uint(o, k->name, cof_get_le64(f->value));
		cof_json_set_uint(o, k->second, cof_get_le64(f->value + 8));
		return true;
	case OUTCOME:
		cof_json_set_str(o, k->name, f->value[0] == 1 ? "success" : "failure");
		return true;
	case NUMBERS:
		return show_numbers(o, k, f);
	default:
		cof_json_set_bytes(o, k->name, f->value, f->len);
		return true;
	}
}

bool cof_vault_field_show(struct cof_json *o, const struct cof_field *f)
{
	for (size_t i = 0; i < COF_COUNT(known); i++)
		if (known[i].tag == f->tag)
			return show_one(o, &known[i], f);
	return true;
}

/* ---- taking ---- */

static int get_number(const struct cof_json *record, const char *key, uint64_t max, uint64_t *ret, struct cof_diag *diag)
{
	if (cof_json_value_uint(cof_json_get(record, key), ret) < 0 || *ret > max)
		return cof_fail(diag, -EINVAL, "\"%s\" is a number", key);
	return 0;
}

static int take_pair(const struct cof_json *record, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	uint64_t one = 0, two = 0;
	uint8_t raw[16];
	int r = get_number(record, k->name, INT64_MAX, &one, diag);

	if (r == 0)
		r = get_number(record, k->second, INT64_MAX, &two, diag);
	cof_put_le64(raw, one);
	cof_put_le64(raw + 8, two);
	if (r == 0)
		cof_field_put(b, k->tag, raw, sizeof(raw));
	return r;
}

static int take_numbers(const struct cof_json *list, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	uint8_t raw[COUNTS_MAX * 8];
	size_t n = cof_json_count(list);
	uint64_t v;

	if (!n || n > COUNTS_MAX)
		return cof_fail(diag, -EINVAL, "\"%s\" is a list of at most %d numbers", k->name, COUNTS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (cof_json_value_uint(cof_json_at(list, i), &v) < 0)
			return cof_fail(diag, -EINVAL, "\"%s\" is a list of numbers", k->name);
		cof_put_le64(raw + i * 8, v);
	}
	cof_field_put(b, k->tag, raw, n * 8);
	return 0;
}

static int take_text(const char *text, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	size_t max = k->form == LONG ? LONG_MAX : TEXT_MAX;
	uint8_t digest[COF_HASH];
	int64_t time;

	if (!text || !*text || strlen(text) > max)
		return cof_fail(diag, -EINVAL, "\"%s\" is a text of at most %zu bytes", k->name, max);
	if (k->form == DIGEST && (strlen(text) != sizeof(digest) * 2 || cof_unhex(text, sizeof(digest) * 2, digest) < 0))
		return cof_fail(diag, -EINVAL, "\"%s\" is 64 hexadecimal digits", k->name);
	if (k->form == TIME && cof_time_parse(text, &time) < 0)
		return cof_fail(diag, -EINVAL, "\"%s\" is a time", k->name);
	if (k->form == DIGEST)
		cof_field_put(b, k->tag, digest, sizeof(digest));
	else if (k->form == TIME)
		cof_field_put_i64(b, k->tag, time);
	else
		cof_field_put_str(b, k->tag, text);
	return 0;
}

static int take_one(const struct cof_json *record, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	const char *text = cof_json_str(record, k->name);
	uint64_t v = 0;
	int r;

	switch (k->form) {
	case WHAT:
		if (!what_of(text))
			return cof_fail(diag, -EINVAL, "\"%s\" is no kind of record", k->name);
		cof_field_put_u8(b, k->tag, what_of(text));
		return 0;
	case NUMBER32:
	case NUMBER:
		r = get_number(record, k->name, k->form == NUMBER ? INT64_MAX : UINT32_MAX, &v, diag);
		if (r == 0 && k->form == NUMBER)
			cof_field_put_u64(b, k->tag, v);
		else if (r == 0)
			cof_field_put_u32(b, k->tag, (uint32_t)v);
		return r;
	case PAIR:
		return take_pair(record, k, b, diag);
	case OUTCOME:
		if (!text || (strcmp(text, "success") != 0 && strcmp(text, "failure") != 0))
			return cof_fail(diag, -EINVAL, "\"%s\" is success or failure", k->name);
		cof_field_put_u8(b, k->tag, strcmp(text, "success") != 0 ? 2 : 1);
		return 0;
	case NUMBERS:
		return take_numbers(cof_json_get(record, k->name), k, b, diag);
	default:
		return take_text(text, k, b, diag);
	}
}

static void see(void *user, const char *key, const char *text COF_UNUSED)
{
	const char **unknown = user;

	for (size_t i = 0; i < COF_COUNT(known); i++)
		if (!strcmp(known[i].name, key) || (known[i].second && !strcmp(known[i].second, key)))
			return;
	*unknown = key;
}

int cof_vault_fields(const struct cof_json *record, struct cof_buf *public_part, struct cof_buf *private_part,
		     uint64_t *ret_position, struct cof_diag *diag)
{
	const char *unknown = NULL;
	int r = 0;

	cof_json_each(record, see, &unknown);
	if (unknown)
		return cof_fail(diag, -EINVAL, "\"%.40s\" is no field of a record of vaults", unknown);
	if (!cof_json_get(record, "what") || !cof_json_get(record, "name"))
		return cof_fail(diag, -EINVAL, "the record does not say what happened (\"what\") and with which vault (\"name\")");
	for (size_t i = 0; r == 0 && i < COF_COUNT(known); i++)
		if (cof_json_get(record, known[i].name))
			r = take_one(record, &known[i], known[i].is_private ? private_part : public_part, diag);
	*ret_position = 0;
	if (r == 0 && what_of(cof_json_str(record, "what")) == COF_VR_TRANSFER)
		r = get_number(record, "to", INT64_MAX, ret_position, diag);
	return r < 0 ? r : public_part->failed || private_part->failed ? -ENOMEM : 0;
}
