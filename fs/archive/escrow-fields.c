/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of ESCROW frames by their names: one table for writing and showing. docs/format.md 10.1. */
#include "fs/archive/escrow.h"

#include <stdio.h>

#define TEXT_MAX 512
#define DETAIL_MAX 16384

enum form { WHAT = 1, U32, U64, HEX16, HEX32, FACTS, OUTCOME, TEXT, DETAIL };

struct known {
	uint8_t tag;
	const char *name;
	enum form form;
	bool is_private;
};

static const struct known known[] = {
    {COF_T_ESCROW, "what", WHAT, false},
    {COF_T_ESCROW_SHELF, "shelf", U64, false},
    {COF_T_ESCROW_EPOCH, "epoch", U32, false},
    {COF_T_ESCROW_EPOCH_KEY, "epoch_key", HEX32, false},
    {COF_T_ESCROW_KEY, "key", HEX16, false},
    {COF_T_ESCROW_SHA256, "sha256", HEX32, false},
    {COF_T_ESCROW_PUBLIC_KEY, "public_key", HEX32, false},
    {COF_T_ESCROW_FACTS, "facts", FACTS, false},
    {COF_T_ESCROW_CERTIFICATE, "certificate", HEX32, false},
    {COF_T_ESCROW_OF, "of", U64, false},
    {COF_T_ESCROW_OUTCOME, "outcome", OUTCOME, false},
    {COF_T_ESCROW_NAME, "name", TEXT, true},
    {COF_T_ESCROW_REASON, "reason", TEXT, true},
    {COF_T_ESCROW_DETAIL, "detail", DETAIL, true},
    {COF_T_ESCROW_TO, "to", TEXT, false},
    {COF_T_ESCROW_PROPOSES, "proposes", WHAT, false},
    {COF_T_ESCROW_PROMISED, "promised_ns", U64, false},
    {COF_T_ESCROW_TOOK, "took_ns", U64, false},
    {COF_T_ESCROW_CHALLENGE, "challenge", TEXT, true},
    {COF_T_ESCROW_PROOF, "proof", TEXT, true},
    {COF_T_ESCROW_TPM, "tpm_epoch", HEX32, false},
};

static const struct known *known_of(uint8_t tag)
{
	for (size_t i = 0; i < COF_COUNT(known); i++)
		if (known[i].tag == tag)
			return &known[i];
	return NULL;
}

bool cof_escrow_tag(uint8_t tag)
{
	return known_of(tag) != NULL;
}

static const char *const whats[] = {
    [COF_ESC_SCHEME] = "scheme",
    [COF_ESC_EPOCH] = "epoch",
    [COF_ESC_EPOCH_VALID] = "epoch-valid",
    [COF_ESC_CUSTODIAN] = "custodian",
    [COF_ESC_CUSTODIAN_REVOKED] = "custodian-revoked",
    [COF_ESC_KEY] = "key",
    [COF_ESC_RELEASE] = "release",
    [COF_ESC_ATTEMPT] = "attempt",
    [COF_ESC_RECOVERED] = "recovered",
    [COF_ESC_FAILED] = "failed",
    [COF_ESC_ROTATED] = "rotated",
    [COF_ESC_REVOKED] = "revoked",
    [COF_ESC_DRILL] = "drill",
    [COF_ESC_MEDIUM] = "medium",
    [COF_ESC_SHEET] = "sheet",
    [COF_ESC_SHARE_DESTROYED] = "share-destroyed",
    [COF_ESC_CONFIRMED] = "confirmed",
    [COF_ESC_PROPOSED] = "proposed",
    [COF_ESC_TOKEN] = "token",
    [COF_ESC_TPM_KEY] = "tpm-key",
    [COF_ESC_TPM_KEY_REVOKED] = "tpm-key-revoked",
    [COF_ESC_TPM_ENDED] = "tpm-ended",
    [COF_ESC_TPM_RAISED] = "tpm-raised",
};

const char *cof_escrow_name(uint8_t what)
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

bool cof_escrow_needs_request(uint8_t what)
{
	return what == COF_ESC_EPOCH_VALID || what == COF_ESC_CUSTODIAN || what == COF_ESC_CUSTODIAN_REVOKED ||
	       what == COF_ESC_RELEASE || what == COF_ESC_REVOKED || what == COF_ESC_TPM_KEY || what == COF_ESC_TPM_KEY_REVOKED ||
	       what == COF_ESC_TPM_ENDED;
}

/* ---- facts: owner, purpose, level, usage, flags, persons, u8 each; bits u16 ---- */

#define FACTS_SIZE 8
enum { DECIDED = 1, REHEARSAL = 2, WRAPPED = 4 };

static const struct choice {
	const char *key, *words[3]; /* 1 and 2 */
	unsigned at;
} choices[] = {{"owner", {NULL, "ca", "subscriber"}, 0},
	       {"purpose", {NULL, "escrow", "backup"}, 1},
	       {"usage", {NULL, "sign", "encrypt"}, 3}};

static const struct flag {
	const char *key;
	uint8_t bit;
} flags[] = {{"usage_decided", DECIDED}, {"rehearsal", REHEARSAL}, {"wrapped", WRAPPED}};

static const struct count {
	const char *key;
	unsigned at, max;
} counts[] = {{"level", 2, 4}, {"persons", 5, UINT8_MAX}, {"bits", 6, UINT16_MAX}};

static void show_facts(struct cof_json *o, const uint8_t *p)
{
	for (size_t i = 0; i < COF_COUNT(choices); i++)
		if (p[choices[i].at] == 1 || p[choices[i].at] == 2)
			cof_json_set_str(o, choices[i].key, choices[i].words[p[choices[i].at]]);
	if (p[2])
		cof_json_set_uint(o, "level", p[2]);
	if (p[5])
		cof_json_set_uint(o, "persons", p[5]);
	if (cof_get_le16(p + 6))
		cof_json_set_uint(o, "bits", cof_get_le16(p + 6));
	for (size_t i = 0; i < COF_COUNT(flags); i++)
		cof_json_set_bool(o, flags[i].key, p[4] & flags[i].bit);
}

static int take_count(const struct cof_json *record, const struct count *c, uint8_t *facts, struct cof_diag *diag)
{
	int64_t v;

	if (!cof_json_get(record, c->key))
		return 0;
	if (cof_json_int(record, c->key, &v) < 0 || v < 0 || v > c->max)
		return cof_fail(diag, -EINVAL, "\"%s\" is a number up to %u", c->key, c->max);
	if (c->max > UINT8_MAX)
		cof_put_le16(facts + c->at, (uint16_t)v);
	else
		facts[c->at] = (uint8_t)v;
	return 0;
}

static int take_facts(const struct cof_json *record, struct cof_buf *into, struct cof_diag *diag)
{
	uint8_t facts[FACTS_SIZE] = {0};
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < COF_COUNT(choices); i++) {
		const char *text = cof_json_str(record, choices[i].key);

		if (!text)
			continue;
		facts[choices[i].at] = !strcmp(text, choices[i].words[1]) ? 1 : !strcmp(text, choices[i].words[2]) ? 2 : 0;
		if (!facts[choices[i].at])
			return cof_fail(diag, -EINVAL, "\"%s\" is %s or %s", choices[i].key, choices[i].words[1], choices[i].words[2]);
	}
	for (size_t i = 0; i < COF_COUNT(flags); i++)
		if (cof_json_bool(record, flags[i].key))
			facts[4] |= flags[i].bit;
	for (size_t i = 0; r == 0 && i < COF_COUNT(counts); i++)
		r = take_count(record, &counts[i], facts, diag);
	for (size_t i = 0; i < sizeof(facts); i++) /* 0 is not said */
		any |= facts[i] != 0;
	if (r == 0 && any)
		cof_field_put(into, COF_T_ESCROW_FACTS, facts, sizeof(facts));
	return r;
}

/* ---- showing ---- */

static void show_hex(struct cof_json *o, const char *name, const struct cof_field *f)
{
	char hex[2 * 32 + 1];

	cof_hex(f->value, COF_MIN(f->len, 32), hex);
	cof_json_set_str(o, name, hex);
}

bool cof_escrow_show(struct cof_json *o, const struct cof_field *f)
{
	const struct known *k = known_of(f->tag);
	static const uint16_t sizes[] = {[WHAT] = 1, [U32] = 4, [U64] = 8, [HEX16] = 16, [HEX32] = 32, [FACTS] = FACTS_SIZE, [OUTCOME] = 1};

	if (!k || (k->form < TEXT && f->len != sizes[k->form]))
		return false;
	switch (k->form) {
	case WHAT:
		cof_json_set_str(o, k->name, cof_escrow_name(f->value[0]));
		break;
	case U32:
		cof_json_set_uint(o, k->name, cof_get_le32(f->value));
		break;
	case U64:
		cof_json_set_uint(o, k->name, cof_get_le64(f->value));
		break;
	case HEX16:
	case HEX32:
		show_hex(o, k->name, f);
		break;
	case FACTS:
		show_facts(o, f->value);
		break;
	case OUTCOME:
		cof_json_set_str(o, k->name, f->value[0] == 1 ? "success" : "failure");
		break;
	default:
		cof_json_set_bytes(o, k->name, f->value, f->len);
	}
	return true;
}

/* ---- taking ---- */

static int take_hex(const char *text, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	size_t n = k->form == HEX16 ? 16 : 32;
	uint8_t bytes[32];

	if (!text || strlen(text) != 2 * n || cof_unhex(text, 2 * n, bytes) < 0)
		return cof_fail(diag, -EINVAL, "\"%s\" is %zu hexadecimal digits", k->name, 2 * n);
	cof_field_put(b, k->tag, bytes, n);
	return 0;
}

static int take_text(const char *text, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	size_t max = k->form == DETAIL ? DETAIL_MAX : TEXT_MAX;

	if (!text || !*text || strlen(text) > max)
		return cof_fail(diag, -EINVAL, "\"%s\" is a text of at most %zu bytes", k->name, max);
	cof_field_put_str(b, k->tag, text);
	return 0;
}

static int take_one(const struct cof_json *record, const struct known *k, struct cof_buf *b, struct cof_diag *diag)
{
	const char *text = cof_json_str(record, k->name);
	int64_t v = -1;

	switch (k->form) {
	case WHAT:
		if (!what_of(text))
			return cof_fail(diag, -EINVAL, "\"%s\" is no kind of record", k->name);
		cof_field_put_u8(b, k->tag, what_of(text));
		return 0;
	case U32:
	case U64:
		if (cof_json_int(record, k->name, &v) < 0 || v < 0 || (k->form == U32 && v > INT32_MAX))
			return cof_fail(diag, -EINVAL, "\"%s\" is a number", k->name);
		if (k->form == U32)
			cof_field_put_u32(b, k->tag, (uint32_t)v);
		else
			cof_field_put_u64(b, k->tag, (uint64_t)v);
		return 0;
	case HEX16:
	case HEX32:
		return take_hex(text, k, b, diag);
	case OUTCOME:
		if (!text || (strcmp(text, "success") != 0 && strcmp(text, "failure") != 0))
			return cof_fail(diag, -EINVAL, "\"%s\" is success or failure", k->name);
		cof_field_put_u8(b, k->tag, strcmp(text, "success") != 0 ? 2 : 1);
		return 0;
	default:
		return take_text(text, k, b, diag);
	}
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < COF_COUNT(known); i++)
		if (known[i].form != FACTS && !strcmp(known[i].name, key))
			return true;
	for (size_t i = 0; i < COF_COUNT(choices); i++)
		if (!strcmp(choices[i].key, key) || !strcmp(flags[i].key, key) || !strcmp(counts[i].key, key))
			return true;
	return false;
}
_Static_assert(COF_COUNT(choices) == COF_COUNT(flags) && COF_COUNT(flags) == COF_COUNT(counts), "is_known walks all three");

static void see(void *user, const char *key, const char *text COF_UNUSED)
{
	const char **unknown = user;

	if (!is_known(key))
		*unknown = key;
}

int cof_escrow_fields(const struct cof_json *record, struct cof_buf *public_part, struct cof_buf *private_part,
		      struct cof_diag *diag)
{
	const char *unknown = NULL;
	int r = 0;

	cof_json_each(record, see, &unknown);
	if (unknown)
		return cof_fail(diag, -EINVAL, "\"%.40s\" is no field of a record of escrow", unknown);
	if (!cof_json_get(record, "what"))
		return cof_fail(diag, -EINVAL, "the record does not say what it is (\"what\")");
	for (size_t i = 0; r == 0 && i < COF_COUNT(known); i++) {
		if (known[i].form == FACTS)
			r = take_facts(record, public_part, diag);
		else if (cof_json_get(record, known[i].name))
			r = take_one(record, &known[i], known[i].is_private ? private_part : public_part, diag);
	}
	return r < 0 ? r : public_part->failed || private_part->failed ? -ENOMEM : 0;
}
