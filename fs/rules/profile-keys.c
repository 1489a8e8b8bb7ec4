/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the part [archive] of a profile: one table, and what each kind of value reads, says and promises. */
#include "fs/rules/place.h"
#include "fs/rules/profile-private.h"

#include <stdio.h>

#define TEXT(rule, name) {#name, rule, KEY_TEXT, offsetof(struct cof_profile, name), sizeof(((struct cof_profile *)0)->name), 0, 0, NULL}
#define LIST(rule, name, kind, least, words) \
	{#name, rule, kind, offsetof(struct cof_profile, name), sizeof(((struct cof_profile *)0)->name), least, 0, words}
#define RULE(rule, name) {#name, rule, KEY_RULE, offsetof(struct cof_profile, name), sizeof(((struct cof_profile *)0)->name), 0, 0, NULL}
#define NUMBER(rule, name, kind, least, most) {#name, rule, kind, offsetof(struct cof_profile, name), 0, least, most, NULL}
#define FLAG(rule, name, kind) {#name, rule, kind, offsetof(struct cof_profile, name), 0, 0, 0, NULL}
#define SPAN(rule, name, kind, least) {#name, rule, kind, offsetof(struct cof_profile, name), 0, least, 0, NULL}
#define WITHIN(rule, n) {"incident_within_" #n, rule, KEY_SHORTER, offsetof(struct cof_profile, incident_within[n - 1]), 0, 0, 0, NULL}

const struct profile_key profile_keys[] = {
    TEXT("", profile),
    LIST("", sources, KEY_LIST_MORE, 0, "gpki vasp sec ins cert"),
    NUMBER("", level, KEY_NUMBER_MORE, 0, 4),

    NUMBER("R2", coverage, KEY_NUMBER_MORE, 0, 4),
    LIST("R2", coverage_by, KEY_LIST_MORE, 0, NULL),
    SPAN("R2", coverage_within, KEY_SHORTER, 0),
    SPAN("R4", heartbeat, KEY_SHORTER, 0),
    SPAN("R4", silence, KEY_SHORTER, 0),
    FLAG("R4", immutable_point, KEY_YES),
    FLAG("R6", changes, KEY_YES),
    LIST("R6", change_signers, KEY_LIST_MORE, 0, NULL),
    SPAN("R6", change_open, KEY_SHORTER, 0),
    RULE("R7", approve_redact),
    SPAN("R8", deviation, KEY_SHORTER, 1),
    SPAN("R8", proof, KEY_SHORTER, 0),
    RULE("R8", approve_clock),

    SPAN("R10", archived_within, KEY_SHORTER, 0),
    NUMBER("R10", vault_grade, KEY_NUMBER_MORE, 0, 4),
    SPAN("R11", on_site, KEY_LONGER, 0),
    NUMBER("R12", record_kinds, KEY_NUMBER_MORE, 0, 4),
    NUMBER("R14", persons, KEY_NUMBER_MORE, 2, 16),
    LIST("R14", exclusive, KEY_LIST_MORE, 0, NULL),
    RULE("R14", approve_people),
    RULE("R14", approve_profile),
    NUMBER("R15", aes_bits, KEY_NUMBER_MORE, 128, 256),
    NUMBER("R15", rsa_bits, KEY_NUMBER_MORE, 2048, 16384),
    NUMBER("R15", ecc_bits, KEY_NUMBER_MORE, 256, 521),
    NUMBER("R15", hash_bits, KEY_NUMBER_MORE, 256, 512),
    FLAG("R15", tls, KEY_TLS),
    FLAG("R16", auditor_secret, KEY_YES),
    SPAN("R17", self_check, KEY_SHORTER, 0),
    FLAG("R17", measured_boot, KEY_YES),
    SPAN("R18", review, KEY_SHORTER, 0),
    SPAN("R18", failed_logins, KEY_SHORTER, 0),
    SPAN("R18", access_review, KEY_SHORTER, 0),
    SPAN("R18", report, KEY_SHORTER, 0),
    SPAN("R18", report_yearly, KEY_SHORTER, 0),
    SPAN("R18", audit, KEY_SHORTER, 0),
    FLAG("R19", disclosure_basis, KEY_YES),

    FLAG("R21", ca_key_backup, KEY_YES),
    FLAG("R21", subscriber_backup, KEY_NO),
    NUMBER("R22", key_persons, KEY_NUMBER_MORE, 2, 16),
    FLAG("R23", plaintext_keys, KEY_NO),
    NUMBER("R24", share_places, KEY_NUMBER_MORE, 0, 16),
    SPAN("R24", fire_rating, KEY_LONGER, 0),
    FLAG("R24", physical_backup, KEY_YES),
    FLAG("R25", ceremony_auditor, KEY_YES),
    FLAG("R25", escrow_ceremony, KEY_YES),
    NUMBER("R26", survive, KEY_NUMBER_MORE, 0, 16),
    SPAN("R27", escrow_drill, KEY_SHORTER, 0),
    SPAN("R27", escrow_full_drill, KEY_SHORTER, 0),
    SPAN("R27", escrow_answer, KEY_SHORTER, 1),
    SPAN("R27", escrow_time, KEY_SHORTER, 0),
    SPAN("R27", restore_drill, KEY_SHORTER, 0),
    SPAN("R27", restore_time, KEY_SHORTER, 0),
    NUMBER("R30", lockout, KEY_NUMBER_FEWER, 3, 100),
    LIST("R31", openers, KEY_LIST_FEWER, 1, "tpm2 passphrase file"),
    FLAG("R31", hardware_officers, KEY_YES),
    NUMBER("R31", module_root, KEY_NUMBER_MORE, 0, 4),
    NUMBER("R31", module_sub, KEY_NUMBER_MORE, 0, 4),
    SPAN("R32", key_life_root, KEY_SHORTER, 0),
    SPAN("R32", key_life_sub, KEY_SHORTER, 0),
    SPAN("R32", key_life_subscriber, KEY_SHORTER, 0),
    SPAN("R32", rekey_root, KEY_LONGER, 0),
    SPAN("R32", rekey_sub, KEY_LONGER, 0),
    SPAN("R32", crl, KEY_SHORTER, 0),

    SPAN("R40", backup_local, KEY_SHORTER, 0),
    SPAN("R40", backup_offsite, KEY_SHORTER, 0),
    NUMBER("R41", places, KEY_NUMBER_MORE, 0, 16),
    NUMBER("R41", distance, KEY_NUMBER_MORE, 0, 20000),
    LIST("R42", jurisdictions, KEY_LIST_FEWER, 0, NULL),
    LIST("R42", forbidden_jurisdictions, KEY_JURISDICTIONS, 0, NULL),
    FLAG("R42", transfer_basis, KEY_YES),
    FLAG("R43", retirement_statement, KEY_YES),
    FLAG("R45", network, KEY_NO),
    FLAG("R45", remote_access, KEY_NO),
    TEXT("R46", successor),

    RULE("R50", approve_destroy),
    FLAG("R50", destroy_agreement, KEY_YES),

    SPAN("R60", alarm_within, KEY_SHORTER, 1),
    NUMBER("R61", incident_least, KEY_OPTIONAL, 0, 4),
    NUMBER("R61", incident_pass_on, KEY_OPTIONAL, 0, 4),
    LIST("R61", incident_to, KEY_LIST_MORE, 0, NULL),
    LIST("R61", incident_pass_to, KEY_LIST_MORE, 0, NULL),
    WITHIN("R61", 1),
    WITHIN("R61", 2),
    WITHIN("R61", 3),
    WITHIN("R61", 4),
    FLAG("R62", incident_hold, KEY_YES),
    LIST("R62", evidence_exchange, KEY_LIST_MORE, 0, NULL),
    SPAN("R63", drill_emergency, KEY_SHORTER, 0),
    SPAN("R63", drill_compromise, KEY_SHORTER, 0),
    SPAN("R63", drill_resources, KEY_SHORTER, 0),
    SPAN("R63", drill_continuity, KEY_SHORTER, 0),
    SPAN("R63", drill_revocation, KEY_SHORTER, 0),
    LIST("R63", restore_first, KEY_LIST_MORE, 0, NULL),
    SPAN("R64", compromise_within, KEY_SHORTER, 0),
    LIST("R64", compromise_to, KEY_LIST_MORE, 0, NULL),
};
const size_t profile_n_keys = COF_COUNT(profile_keys);

static bool is_text(const struct profile_key *k)
{
	return k->kind <= KEY_RULE;
}

static bool is_number(const struct profile_key *k)
{
	return k->kind >= KEY_NUMBER_MORE && k->kind <= KEY_OPTIONAL;
}

static bool is_span(const struct profile_key *k)
{
	return k->kind >= KEY_SHORTER;
}

static char *text_of(const struct profile_key *k, const struct cof_profile *p)
{
	return (char *)p + k->at;
}

static uint32_t *number_of(const struct profile_key *k, const struct cof_profile *p)
{
	return (uint32_t *)(void *)((char *)p + k->at);
}

static bool *flag_of(const struct profile_key *k, const struct cof_profile *p)
{
	return (bool *)(void *)((char *)p + k->at);
}

static int64_t *span_of(const struct profile_key *k, const struct cof_profile *p)
{
	return (int64_t *)(void *)((char *)p + k->at);
}

/* ---- words ---- */

/* The next word of a list; its length, 0 at the end. */
static size_t next_word(const char **at, const char **ret)
{
	size_t n;

	*at += strspn(*at, " ");
	n = strcspn(*at, " ");
	*ret = *at;
	*at += n;
	return n;
}

bool cof_profile_word(const char *list, const char *word, size_t n)
{
	const char *w;
	size_t len;

	while ((len = next_word(&list, &w)))
		if (len == n && !memcmp(w, word, n))
			return true;
	return false;
}

static bool is_jurisdiction(const char *word, size_t n)
{
	char code[COF_JURISDICTION_MAX];

	return snprintf(code, sizeof(code), "%.*s", (int)n, word) < (int)sizeof(code) && cof_jurisdiction_check(code, NULL) == 0;
}

/* Words once each, with one blank between: the text that is kept. */
static bool read_list(const struct profile_key *k, const char *value, char *out)
{
	const char *w;
	size_t n, len = 0, words = 0;

	*out = '\0';
	while ((n = next_word(&value, &w))) {
		if (k->kind == KEY_JURISDICTIONS && !is_jurisdiction(w, n))
			return false;
		if (k->words && !cof_profile_word(k->words, w, n))
			return false;
		if (cof_profile_word(out, w, n) || len + n + 2 > k->size)
			return false;
		if (len)
			out[len++] = ' ';
		memcpy(out + len, w, n);
		len += n;
		out[len] = '\0';
		words++;
	}
	return words >= k->least;
}

/* Each word of list is in the other. */
static bool within(const char *list, const char *other)
{
	const char *w;
	size_t n;

	while ((n = next_word(&list, &w)))
		if (!cof_profile_word(other, w, n))
			return false;
	return true;
}

/* ---- rules: "2 auditor" ---- */

static bool digits(const char *s, size_t n, uint32_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = 10 * v + (uint64_t)(s[i] - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*ret = (uint32_t)v;
	return n != 0;
}

static uint32_t persons_of(const char *rule)
{
	uint32_t n = 0;

	(void)digits(rule, strcspn(rule, " "), &n);
	return n;
}

static const char *roles_of(const char *rule)
{
	return rule + strcspn(rule, " ");
}

/* Roles are names of small letters; as many persons as roles may be one less, since one may have two. */
static bool read_rule(const struct profile_key *k, const char *value, char *out)
{
	char roles[sizeof(((struct cof_profile *)0)->approve_redact)];
	struct profile_key list = {.size = sizeof(roles)};
	uint32_t n;

	if (!digits(value, strcspn(value, " "), &n) || n < 2 || n > 16)
		return false;
	if (!read_list(&list, roles_of(value), roles))
		return false;
	if (strspn(roles, "abcdefghijklmnopqrstuvwxyz0123456789- ") != strlen(roles))
		return false;
	return snprintf(out, k->size, "%u%s%s", n, *roles ? " " : "", roles) < (int)k->size;
}

/* ---- reading ---- */

static bool read_text(const struct profile_key *k, const char *value, char *out)
{
	if (strlen(value) >= k->size)
		return false;
	memcpy(out, value, strlen(value) + 1);
	return true;
}

static bool read_tls(const char *value, uint32_t *ret)
{
	if (strcmp(value, "1.2") && strcmp(value, "1.3"))
		return false;
	*ret = value[2] == '2' ? 12 : 13;
	return true;
}

static bool read_flag(const char *value, bool *ret)
{
	bool yes = !strcmp(value, "yes");

	if (!yes && strcmp(value, "no"))
		return false;
	*ret = yes;
	return true;
}

static bool printable(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	return true;
}

bool profile_read(const struct profile_key *k, const char *value, struct cof_profile *p)
{
	uint32_t n;
	int64_t span;

	if (!printable(value))
		return false;
	if (k->kind == KEY_TEXT)
		return read_text(k, value, text_of(k, p));
	if (k->kind == KEY_RULE)
		return read_rule(k, value, text_of(k, p));
	if (is_text(k))
		return read_list(k, value, text_of(k, p));
	if (k->kind == KEY_TLS)
		return read_tls(value, number_of(k, p));
	if (is_number(k)) {
		if (!digits(value, strlen(value), &n) || n < k->least || n > k->most)
			return false;
		*number_of(k, p) = n;
		return true;
	}
	if (!is_span(k))
		return read_flag(value, flag_of(k, p));
	if (cof_span_parse(value, &span) < 0 || span == COF_RETAIN_INFINITE || (k->least && !span))
		return false;
	*span_of(k, p) = span;
	return true;
}

void profile_write(const struct profile_key *k, const struct cof_profile *p, struct cof_buf *ret)
{
	char span[32];

	if (is_text(k)) {
		cof_buf_printf(ret, "%s", text_of(k, p));
	} else if (k->kind == KEY_TLS) {
		cof_buf_printf(ret, "1.%u", *number_of(k, p) % 10);
	} else if (is_number(k)) {
		cof_buf_printf(ret, "%u", *number_of(k, p));
	} else if (is_span(k)) {
		cof_span_text(*span_of(k, p), span);
		cof_buf_printf(ret, "%s", span);
	} else {
		cof_buf_printf(ret, "%s", *flag_of(k, p) ? "yes" : "no");
	}
}

/* ---- what is weaker ---- */

static bool rule_is_weaker(const char *old, const char *new_rule)
{
	return persons_of(new_rule) < persons_of(old) || !within(roles_of(old), roles_of(new_rule));
}

/* No word at all allows everything. */
static bool fewer_is_weaker(const char *old, const char *new_list)
{
	return *old && (!*new_list || !within(new_list, old));
}

bool profile_is_weaker(const struct profile_key *k, const struct cof_profile *old,
		       const struct cof_profile *new_one)
{
	const char *a = text_of(k, old), *b = text_of(k, new_one);

	switch (k->kind) {
	case KEY_TEXT:
		return *a && strcmp(a, b);
	case KEY_LIST_MORE:
	case KEY_JURISDICTIONS:
		return !within(a, b);
	case KEY_LIST_FEWER:
		return fewer_is_weaker(a, b);
	case KEY_RULE:
		return rule_is_weaker(a, b);
	case KEY_NUMBER_MORE:
	case KEY_TLS:
		return *number_of(k, new_one) < *number_of(k, old);
	case KEY_NUMBER_FEWER:
		return *number_of(k, new_one) > *number_of(k, old);
	case KEY_OPTIONAL:
		return *number_of(k, old) &&
		       (!*number_of(k, new_one) || *number_of(k, new_one) > *number_of(k, old));
	case KEY_YES:
		return *flag_of(k, old) && !*flag_of(k, new_one);
	case KEY_NO:
		return !*flag_of(k, old) && *flag_of(k, new_one);
	case KEY_SHORTER:
		return *span_of(k, old) &&
		       (!*span_of(k, new_one) || *span_of(k, new_one) > *span_of(k, old));
	case KEY_LONGER:
		return *span_of(k, new_one) < *span_of(k, old);
	}
	return true;
}

void profile_takes(const struct profile_key *k, struct cof_buf *ret)
{
	if (k->kind == KEY_TEXT)
		cof_buf_printf(ret, "a text of at most %zu bytes on one line", k->size - 1);
	else if (k->kind == KEY_RULE)
		cof_buf_printf(ret, "a number of persons from 2 to 16 and roles behind it, such as 2 auditor");
	else if (is_text(k) && k->words)
		cof_buf_printf(ret, "%swords out of %s, each once, with blanks between", k->least ? "one or more " : "",
			       k->words);
	else if (k->kind == KEY_JURISDICTIONS)
		cof_buf_printf(ret, "codes of ISO 3166 such as TW or US-CA, each once, with blanks between");
	else if (is_text(k))
		cof_buf_printf(ret, "words, each once, with blanks between, of at most %zu bytes in all", k->size - 1);
	else if (k->kind == KEY_TLS)
		cof_buf_printf(ret, "1.2 or 1.3");
	else if (is_number(k))
		cof_buf_printf(ret, "a number from %u to %u", k->least, k->most);
	else if (is_span(k))
		cof_buf_printf(ret, "a span such as 30d (s, min, h, d, w, y)%s", k->least ? ", not 0s" : "; 0s is none");
	else
		cof_buf_printf(ret, "yes or no");
}
