/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on records of escrow: which of them count only with an approved request, that each does what its request
 * says, and once, and what it accepts (approve-judge-proposal.c); and that a recovery follows a release, of the same key, which is for one. What the records otherwise mean is
 * not its affair.
 */
#include "fs/rules/approve-judge.h"

#include "crypto/crypto.h"

enum { T_WHAT = 190, T_SHELF = 191, T_KEY = 194, T_FACTS = 197, T_OF = 199, T_TO = 204 };
enum { RELEASE = 7, ATTEMPT = 8, RECOVERED = 9, FAILED = 10 };
enum { FACTS_FLAGS = 4, FACTS_SIZE = 8, REHEARSAL = 2, EPOCH_VALID = 3 };

/* What a request of the action escrow-accept names them, as in fs/archive/escrow-fields.c. */
static const struct {
	uint8_t what;
	const char *name;
} accepted[] = {{EPOCH_VALID, "epoch-valid"}, {4, "custodian"}, {5, "custodian-revoked"}, {12, "revoked"}, {20, "tpm-key"}, {21, "tpm-key-revoked"}, {22, "tpm-ended"}};

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

/* ---- releases ---- */

static struct judged_release *release_of(const struct cof_judge *j, const struct cof_judge_frame *f)
{
	uint64_t of = 0, shelf = 0;
	uint8_t key[16];

	if (cof_field_u64(f->fields, f->n, T_OF, &of) < 0 || cof_field_u64(f->fields, f->n, T_SHELF, &shelf) < 0 ||
	    cof_field_bytes(f->fields, f->n, T_KEY, key, sizeof(key)) < 0)
		return NULL;
	for (size_t i = j->n_releases; i-- > 0;)
		if (j->release[i].sequence == of)
			return j->release[i].shelf == shelf && !memcmp(j->release[i].key, key, sizeof(key)) ? &j->release[i] : NULL;
	return NULL;
}

/* For whom the frame says; zeros: for nobody. */
static void read_to(const struct cof_judge_frame *f, uint8_t ret[32])
{
	struct cof_field to;

	memset(ret, 0, 32);
	if (cof_field_find(f->fields, f->n, T_TO, &to) == 0)
		cof_sha256(to.value, to.len, ret);
}

static int keep_release(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_release *q = realloc(j->release, (j->n_releases + 1) * sizeof(*q)), *v;

	if (!q)
		return -ENOMEM;
	j->release = q;
	v = &q[j->n_releases];
	*v = (struct judged_release){.sequence = f->sequence};
	(void)cof_field_u64(f->fields, f->n, T_SHELF, &v->shelf);
	(void)cof_field_bytes(f->fields, f->n, T_KEY, v->key, sizeof(v->key));
	read_to(f, v->to);
	j->n_releases++;
	return 0;
}

/* An attempt, and how it ended. One that failed may be told of after another one that did not. */
static int judge_recovery(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply, struct cof_judgement *ret)
{
	struct judged_release *v = j->p.partial ? NULL : release_of(j, f);
	uint8_t to[32];
	int r;

	if (j->p.partial) /* whoever writes it looks himself */
		return 0;
	if (!v)
		return judge_no(ret, "not-released", "a recovery of a key that no release before it, which counts, is of");
	if (v->recovered && what != FAILED)
		return judge_no(ret, "finished", "the release %llu was used: it is for one recovery", (unsigned long long)v->sequence);
	r = what != FAILED ? judge_kept_valid(j, f, ret) : 0;
	if (r < 0)
		return r;
	read_to(f, to);
	if (what == RECOVERED && memcmp(to, v->to, sizeof(to)) != 0)
		return judge_no(ret, "wrong-recipient", "the key went to somebody else than release %llu was for", (unsigned long long)v->sequence);
	v->recovered |= apply && what == RECOVERED;
	return 0;
}

/* ---- one ---- */

static int judge_approved(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, struct judged_request *q, bool apply,
			  struct cof_judgement *ret)
{
	const char *name = name_of(what);
	int r;

	if (what != RELEASE && !name)
		return judge_no(ret, "wrong-action", "nothing of that kind is approved");
	if (q->used)
		return judge_no(ret, "finished", "the request that it names permitted one record, which is there");
	if (!of_shelf(f, q->q.doc) ||
	    (what == RELEASE ? !same_key(f, q->q.doc) || !same_text(f, T_TO, q->q.doc, "recipient")
			     : !same_number(f, T_OF, q->q.doc, "record") || !cof_json_str(q->q.doc, "what") ||
				       strcmp(cof_json_str(q->q.doc, "what"), name) != 0))
		return judge_no(ret, "wrong-document", "something else of escrow was approved");
	if (what == RELEASE && f->retention_time < q->until)
		return judge_no(ret, "too-early", "the release waits for a veto, and its delay is not over yet");
	r = what == RELEASE ? judge_kept_valid(j, f, ret) : what == EPOCH_VALID ? judge_epoch_made(j, f, ret) : 0;
	if (r == 0)
		r = what == RELEASE ? judge_release_made(j, f, ret) : judge_accepted(j, f, what, ret);
	if (r < 0)
		return r;
	q->used |= apply;
	if (apply && what == RELEASE)
		return keep_release(j, f);
	r = judge_tpm(j, f, what, apply, ret);
	return r == 0 ? judge_epoch(j, f, what, apply, ret) : r;
}

int judge_escrow(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_request *q;
	const char *name;
	uint8_t what;
	int r;

	if (cof_field_u8(f->fields, f->n, T_WHAT, &what) < 0)
		return judge_no(ret, "malformed", "a record of escrow that does not say what it is");
	name = name_of(what);
	r = judge_act(j, f, what == RELEASE ? "escrow-release" : "escrow-accept", NULL, &q, ret);
	if (r < 0)
		return r;
	if (q)
		return judge_approved(j, f, what, q, apply, ret);
	if (what == RELEASE || (name && !is_rehearsal(f, what)))
		return judge_no(ret, "not-approved", "%s of escrow needs an approved request (coffer request)",
				what == RELEASE ? "a release" : name);
	if (what == ATTEMPT || what == RECOVERED || what == FAILED)
		return judge_recovery(j, f, what, apply, ret);
	r = judge_tpm(j, f, what, apply, ret);
	if (r == 0)
		r = judge_proposal(j, f, what, apply);
	return r == 0 ? judge_epoch(j, f, what, apply, ret) : r;
}
