/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on records of escrow: which of them count only with an approved request, and that each does what its
 * request says. What the records themselves mean is not its affair.
 */
#include "fs/rules/approve-judge.h"

enum { T_WHAT = 190, T_SHELF = 191, T_KEY = 194, T_FACTS = 197, T_OF = 199, T_TO = 204 };
enum { RELEASE = 7, FACTS_FLAGS = 4, FACTS_SIZE = 8, REHEARSAL = 2, EPOCH_VALID = 3 };

/* What a request of the action escrow-accept names them, as in fs/archive/escrow-fields.c. */
static const struct {
	uint8_t what;
	const char *name;
} accepted[] = {{EPOCH_VALID, "epoch-valid"}, {4, "custodian"}, {5, "custodian-revoked"}, {12, "revoked"}};

static const char *name_of(uint8_t what)
{
	for (size_t i = 0; i < COF_COUNT(accepted); i++)
		if (accepted[i].what == what)
			return accepted[i].name;
	return NULL;
}

static bool same_number(const struct cof_judge_frame *f, uint8_t tag, const struct cof_json *doc, const char *key)
{
	uint64_t have = 0;
	int64_t said = -1;

	return cof_field_u64(f->fields, f->n, tag, &have) == 0 && cof_json_int(doc, key, &said) == 0 && said >= 0 &&
	       have == (uint64_t)said;
}

static bool same_text(const struct cof_judge_frame *f, uint8_t tag, const struct cof_json *doc, const char *key)
{
	const char *said = cof_json_str(doc, key);
	struct cof_field have;

	return said && cof_field_find(f->fields, f->n, tag, &have) == 0 && have.len == strlen(said) &&
	       !memcmp(have.value, said, have.len);
}

static bool same_key(const struct cof_judge_frame *f, const struct cof_json *doc)
{
	const char *said = cof_json_str(doc, "key");
	uint8_t have[16];
	char hex[33];

	if (!said || cof_field_bytes(f->fields, f->n, T_KEY, have, sizeof(have)) < 0)
		return false;
	cof_hex(have, sizeof(have), hex);
	return !strcmp(hex, said);
}

static bool of_shelf(const struct cof_judge_frame *f, const struct cof_json *doc)
{
	uint64_t have = 0, said = 0;

	return cof_field_u64(f->fields, f->n, T_SHELF, &have) == 0 && cof_request_shelf(doc, 0, &said) == 0 && have == said;
}

/* An epoch to practise with holds nothing that somebody could steal. */
static bool is_rehearsal(const struct cof_judge_frame *f, uint8_t what)
{
	uint8_t facts[FACTS_SIZE];

	return what == EPOCH_VALID && cof_field_bytes(f->fields, f->n, T_FACTS, facts, sizeof(facts)) == 0 &&
	       (facts[FACTS_FLAGS] & REHEARSAL);
}

int judge_escrow(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	struct judged_request *q;
	const char *name;
	uint8_t what;
	int r;

	if (cof_field_u8(f->fields, f->n, T_WHAT, &what) < 0)
		return judge_no(ret, "malformed", "a record of escrow that does not say what it is");
	name = name_of(what);
	r = judge_act(j, f, what == RELEASE ? "escrow-release" : "escrow-accept", NULL, &q, ret);
	if (r < 0 || (!q && ((what != RELEASE && !name) || is_rehearsal(f, what))))
		return r;
	if (!q)
		return judge_no(ret, "not-approved", "%s of escrow needs an approved request (coffer request)",
				what == RELEASE ? "a release" : name);
	if (what != RELEASE && !name)
		return judge_no(ret, "wrong-action", "nothing of that kind is approved");
	if (!of_shelf(f, q->q.doc) ||
	    (what == RELEASE ? !same_key(f, q->q.doc) || !same_text(f, T_TO, q->q.doc, "recipient")
			     : !same_number(f, T_OF, q->q.doc, "record") || !cof_json_str(q->q.doc, "what") ||
				       strcmp(cof_json_str(q->q.doc, "what"), name) != 0))
		return judge_no(ret, "wrong-document", "something else of escrow was approved");
	return 0;
}
