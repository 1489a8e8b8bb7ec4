/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a ceremony's transcript: which keys each has, and what form their values take. Nothing else may stand there. */
#include "fs/rules/ceremony-private.h"

#include "crypto/crypto.h"

#include <stdio.h>

#define PROOF_LEN 88
#define RECIPIENT_LEN 62

enum form {
	ARCHIVE = 1, HEX16, HEX32, NUMBER, COUNT, FLAG, NAME, NAMES, INDEXES, KIND, STEP, REASON, OUTCOME, FORMAT, ARMORED, RECIPIENT, CHALLENGE,
	PROOF
};
struct key {
	const char *name;
	enum form form;
};

#define KEYS_MAX 8
static const struct key own[COF_CER_WHATS][KEYS_MAX] = {
    [COF_CER_OPENED] = {{"archive", ARCHIVE}, {"format", FORMAT}, {"kind", KIND}, {"nonce", HEX16}, {"people", HEX32}, {"rehearsal", FLAG},
			{"roll", NAMES}, {"sheet", HEX32}},
    [COF_CER_PRESENT] = {{"by", NAME}, {"signature", ARMORED}},
    [COF_CER_TOLD] = {{"step", STEP}},
    [COF_CER_AGREED] = {{"by", NAME}, {"signature", ARMORED}},
    [COF_CER_BEGUN] = {{"attempt", NUMBER}},
    [COF_CER_FAILED] = {{"reason", REASON}},
    [COF_CER_MADE] = {{"document", HEX32}, {"epoch_key", HEX32}},
    [COF_CER_CONFIRMED] = {{"holder", COUNT}},
    [COF_CER_VALID] = {{"document", HEX32}},
    [COF_CER_DELIVERED] = {{"output", HEX32}},
    [COF_CER_DESTROYED] = {{"challenge", CHALLENGE}, {"commitment", HEX32}, {"holder", COUNT}, {"proof", PROOF}},
    [COF_CER_CLOSING] = {{"outcome", OUTCOME}},
    [COF_CER_SIGNED] = {{"by", NAME}, {"signature", ARMORED}},
};
static const struct key of_kind[COF_CEREMONY_DESTRUCTION + 1][KEYS_MAX] = {
    [COF_CEREMONY_CREATION] = {{"epoch", NUMBER}, {"holders", NUMBER}, {"scheme", HEX32}},
    [COF_CEREMONY_RESHARING] = {{"document", HEX32}, {"epoch", NUMBER}, {"epoch_key", HEX32}, {"holders", NUMBER}, {"old", NUMBER}, {"scheme", HEX32}},
    [COF_CEREMONY_RECOVERY] = {{"document", HEX32}, {"epoch", NUMBER}, {"epoch_key", HEX32}, {"input", HEX32}, {"to", RECIPIENT}},
    [COF_CEREMONY_DESTRUCTION] = {{"document", HEX32}, {"epoch", NUMBER}, {"epoch_key", HEX32}, {"holders", NUMBER}, {"which", INDEXES}},
};

/* ---- names ---- */

static const char *const kinds[] = {NULL, "creation", "resharing", "recovery", "destruction"};
static const char *const whats[] = {"opened", "present", "told", "agreed", "begun", "failed", "made", "confirmed",
				    "valid", "delivered", "destroyed", "closing", "signed"};
static const char *const steps[] = {"plan", "make", "confirm", "deliver", "destroy"};

static int find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; name && i < n; i++)
		if (names[i] && !strcmp(names[i], name))
			return (int)i;
	return -ENOENT;
}

const char *cof_ceremony_kind_name(enum cof_ceremony_kind k)
{
	return kinds[k];
}

int cof_ceremony_kind_find(const char *name)
{
	return find(kinds, COF_COUNT(kinds), name);
}

const char *cof_ceremony_what_name(enum cof_ceremony_what w)
{
	return whats[w];
}

int ceremony_what_find(const char *name)
{
	return find(whats, COF_COUNT(whats), name);
}

const char *cof_ceremony_step_name(enum cof_ceremony_step s)
{
	return steps[s];
}

int ceremony_step_find(const char *name)
{
	return find(steps, COF_COUNT(steps), name);
}

int cof_ceremony_step(enum cof_ceremony_kind k, unsigned i)
{
	static const int of[][3] = {
	    [COF_CEREMONY_CREATION] = {COF_STEP_PLAN, COF_STEP_MAKE, COF_STEP_CONFIRM},
	    [COF_CEREMONY_RESHARING] = {COF_STEP_PLAN, COF_STEP_MAKE, COF_STEP_CONFIRM},
	    [COF_CEREMONY_RECOVERY] = {COF_STEP_PLAN, COF_STEP_DELIVER, -ENOENT},
	    [COF_CEREMONY_DESTRUCTION] = {COF_STEP_PLAN, COF_STEP_DESTROY, -ENOENT},
	};

	return i < COF_COUNT(of[0]) ? of[k][i] : -ENOENT;
}

/* ---- forms ---- */

bool ceremony_plain_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if ((s[i] < 'a' || s[i] > 'z') && (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') && !strchr("._@+-", s[i]))
			return false;
	return n > 0 && n < COF_PRINCIPAL && s[0] != '-';
}

static bool only(const char *s, size_t n, const char *more)
{
	if (!s || strlen(s) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9') && !strchr(more, s[i]))
			return false;
	return true;
}

static bool is_hex(const char *s, size_t bytes)
{
	return only(s, 2 * bytes, "") && strspn(s, "0123456789abcdef") == 2 * bytes;
}

static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

/* "erase-a2b3-c4d5-…", six groups, as escrow/proof.h has it, or "destroy-…", of transcripts of before; whether it is the right one and
 * the proof holds is judged there. */
static bool is_challenge(const char *s)
{
	size_t n = s ? strcspn(s, "-") : 0;
	const char *at = s + n;

	if (!s || (strncmp(s, "erase-", n + 1) != 0 && strncmp(s, "destroy-", n + 1) != 0) || strlen(at) != 6 * 5)
		return false;
	for (; *at; at += 5)
		if (*at != '-' || strspn(at + 1, alphabet) < 4)
			return false;
	return true;
}

int cof_ceremony_challenge(const struct cof_ceremony *c, unsigned holder, char ret[COF_CEREMONY_CHALLENGE])
{
	const char *document = c->kind == COF_CEREMONY_DESTRUCTION && c->n_lines ? cof_json_str(c->line[0].o, "document") : NULL;
	char id[65], text[192];
	uint8_t digest[COF_HASH];
	size_t at = 5;

	if (!document)
		return -EINVAL;
	cof_hex(c->id, 32, id);
	snprintf(text, sizeof(text), "coffer/1 share erase\n%s\n%.64s\n%u\n", id, document, holder);
	cof_sha256(text, strlen(text), digest);
	memcpy(ret, "erase", at);
	for (unsigned bit = 0; bit < 120; bit += 5) {
		unsigned two = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		if (bit % 20 == 0)
			ret[at++] = '-';
		ret[at++] = alphabet[two >> (11 - bit % 8) & 31];
	}
	ret[at] = 0;
	return 0;
}

bool cof_ceremony_bound(const struct cof_ceremony_line *l)
{
	const char *challenge = l->what == COF_CER_DESTROYED ? cof_json_str(l->o, "challenge") : NULL;

	return challenge && !strncmp(challenge, "erase-", 6);
}

static bool is_base64(const char *s, size_t n)
{
	uint8_t room[PROOF_LEN]; /* more than it decodes to */
	size_t got;

	return s && strlen(s) == n && cof_unbase64(s, n, room, sizeof(room), &got) == 0;
}

/* Nothing but what ssh-keygen writes: the two lines, and base64 between them. */
static bool is_armored(const char *s)
{
	static const char begin[] = "-----BEGIN SSH SIGNATURE-----\n", end[] = "\n-----END SSH SIGNATURE-----\n";
	size_t n = s ? strlen(s) : 0, head = sizeof(begin) - 1, tail = sizeof(end) - 1;

	if (n < head + tail || n > COF_SIGNATURE_MAX || memcmp(s, begin, head) != 0 || memcmp(s + n - tail, end, tail) != 0)
		return false;
	return strspn(s + head, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n") == n - head - tail + 1;
}

static bool is_number(const struct cof_json *o, const char *key, int64_t least)
{
	int64_t v;

	return cof_json_int(o, key, &v) == 0 && v >= least && v <= INT32_MAX;
}

static bool are_names(const struct cof_json *a)
{
	size_t n = cof_json_count(a);

	if (n < 2 || n > COF_CEREMONY_ROLL)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *name = cof_json_value_str(cof_json_at(a, i));

		if (!ceremony_plain_name(name))
			return false;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(name, cof_json_value_str(cof_json_at(a, k))))
				return false;
	}
	return true;
}

static bool are_indexes(const struct cof_json *a)
{
	uint64_t last = 0, v;

	for (size_t i = 0; i < cof_json_count(a); i++) {
		if (cof_json_value_uint(cof_json_at(a, i), &v) < 0 || v >= COF_CEREMONY_HOLDERS || (i && v <= last))
			return false;
		last = v;
	}
	return cof_json_count(a) > 0;
}

static bool is_flag(const struct cof_json *o, const char *key)
{
	return cof_json_is_bool(cof_json_get(o, key));
}

static bool one_of(const char *s, const char *a, const char *b)
{
	return s && (!strcmp(s, a) || !strcmp(s, b));
}

static bool has_form(const struct cof_json *o, const struct key *k)
{
	const char *s = cof_json_str(o, k->name);

	switch (k->form) {
	case ARCHIVE:
		return s && (!strcmp(s, "none") || is_hex(s, 16));
	case HEX16:
		return is_hex(s, 16);
	case HEX32:
		return is_hex(s, 32);
	case NUMBER:
		return is_number(o, k->name, 1);
	case COUNT:
		return is_number(o, k->name, 0);
	case FLAG:
		return is_flag(o, k->name);
	case NAME:
		return ceremony_plain_name(s);
	case NAMES:
		return are_names(cof_json_get(o, k->name));
	case INDEXES:
		return are_indexes(cof_json_get(o, k->name));
	case KIND:
		return cof_ceremony_kind_find(s) > 0;
	case STEP:
		return ceremony_step_find(s) >= 0;
	case REASON:
		return one_of(s, "stopped", "refused");
	case OUTCOME:
		return one_of(s, "done", "abandoned");
	case FORMAT:
		return s && !strcmp(s, "coffer-ceremony/1");
	case ARMORED:
		return is_armored(s);
	case RECIPIENT:
		return only(s, RECIPIENT_LEN, "") && !strncmp(s, "age1", 4);
	case CHALLENGE:
		return is_challenge(s);
	case PROOF:
		return is_base64(s, PROOF_LEN);
	}
	return false;
}

/* ---- keys ---- */

static void count(void *user, const char *key COF_UNUSED, const char *text COF_UNUSED)
{
	++*(size_t *)user;
}

static int have(const struct cof_json *o, const struct key *keys, size_t *ret_n, struct cof_diag *diag)
{
	for (size_t i = 0; i < KEYS_MAX && keys[i].name; i++) {
		if (!has_form(o, &keys[i]))
			return cof_fail(diag, -EUCLEAN, "\"%s\" is missing, or has another form", keys[i].name);
		++*ret_n;
	}
	return 0;
}

int ceremony_keys(const struct cof_json *o, enum cof_ceremony_what what, struct cof_diag *diag)
{
	size_t expected = 4, there = 0; /* n, previous, time, what */
	int r = have(o, own[what], &expected, diag);

	if (r == 0 && what == COF_CER_OPENED)
		r = have(o, of_kind[cof_ceremony_kind_find(cof_json_str(o, "kind"))], &expected, diag);
	cof_json_each(o, count, &there);
	return r == 0 && there != expected ? ceremony_bad(diag, "it has a key that such a line does not have") : r;
}
