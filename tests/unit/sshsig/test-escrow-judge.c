/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on records of escrow: what needs an approved request, and that each does what its request says. */
#include "tests/unit/sshsig/judged.h"

#include <stdio.h>

enum { ESCROW = 30, T_WHAT = 190, T_SHELF = 191, T_EPOCH = 192, T_EPOCH_KEY = 193, T_KEY = 194, T_SHA256 = 195, T_FACTS = 197, T_OF = 199, T_OUTCOME = 200,
       T_TO = 204, T_TPM = 254 };
enum { EPOCH_VALID = 3, CUSTODIAN = 4, CUSTODIAN_REVOKED = 5, KEY = 6, RELEASE = 7, ATTEMPT = 8, RECOVERED = 9, FAILED = 10,
       ROTATED = 11, REVOKED = 12, DRILL = 13, TPM_KEY = 20, TPM_KEY_REVOKED = 21, TPM_ENDED = 22, TPM_RAISED = 23, LAST = 23 };

struct row {
	uint8_t what;
	uint64_t shelf, of; /* 0: 2 and 77 */
	const char *to;	    /* NULL: ESCROW_TO */
	uint8_t key, rehearsal, tpm, outcome;
	int64_t later, ahead; /* than NOW; by which the wall clock is set ahead besides */
};

/* As take, with the two clocks apart. */
static int take_at(unsigned type, const struct row *v, const struct cof_buf *fields, struct cof_judgement *w)
{
	struct cof_judge_frame f = {.type = type, .sequence = sequence++, .record_time = NOW + v->later + v->ahead,
				    .retention_time = NOW - DAY + v->later, .proven_from = INT64_MIN, .fields = fields->data, .n = fields->len};
	struct cof_judgement asked;
	int r = cof_judge_ask(judge, &f, &asked);

	ck_assert_int_eq(cof_judge_take(judge, &f, w), r);
	return r;
}

static int record(const struct row *v, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t key[16], facts[8] = {0}, id[32], tpm[32];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i + 1 + v->key);
	facts[4] = v->rehearsal;
	cof_field_put_u8(&fields, T_WHAT, v->what);
	cof_field_put_u64(&fields, T_SHELF, v->shelf ? v->shelf : 2);
	cof_field_put(&fields, T_KEY, key, sizeof(key));
	cof_field_put(&fields, T_FACTS, facts, sizeof(facts));
	cof_field_put_u64(&fields, T_OF, v->of ? v->of : 77);
	cof_field_put_str(&fields, T_TO, v->to ? v->to : ESCROW_TO);
	memset(tpm, v->tpm, sizeof(tpm));
	cof_field_put(&fields, T_TPM, tpm, sizeof(tpm));
	if (v->outcome)
		cof_field_put_u8(&fields, T_OUTCOME, v->outcome);
	if (doc && v->what != RELEASE)
		proposed_escrow(&fields);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take_at(ESCROW, v, &fields, w);
}

START_TEST(without_a_request)
{
	static const bool needs[LAST + 1] = {
	    [EPOCH_VALID] = true, [CUSTODIAN] = true, [CUSTODIAN_REVOKED] = true, [RELEASE] = true, [REVOKED] = true,
	    [TPM_KEY] = true, [TPM_KEY_REVOKED] = true, [TPM_ENDED] = true};
	cof_autobuf struct cof_buf none = {0};
	struct cof_judgement w;
	int r;

	for (uint8_t what = 1; what <= LAST; what++) {
		r = record(&(struct row){.what = what}, NULL, &w);
		if (needs[what])
			REFUSED(r, w, "not-approved");
		else if (what >= ATTEMPT && what <= FAILED)
			REFUSED(r, w, "not-released");
		else if (what == KEY || what == ROTATED || what == DRILL)
			REFUSED(r, w, "no-epoch");
		else if (what == TPM_RAISED)
			REFUSED(r, w, "not-approved");
		else
			PERMITTED(r, w);
		r = record(&(struct row){.what = what, .rehearsal = 2}, NULL, &w);
		ck_assert_int_eq(r, (needs[what] && what != EPOCH_VALID) || (what >= ATTEMPT && what <= FAILED) || what == KEY ||
						    what == ROTATED || what == DRILL || what == TPM_RAISED
					    ? -EPERM
					    : 0);
	}
	r = take(ESCROW, 0, NOW, &none, &w);
	REFUSED(r, w, "malformed");
}
END_TEST

/* The key that approved_escrow releases is taken in on shelf 2, of an epoch to practise with. */
static void keeps_key(void)
{
	static const uint8_t facts[8] = {[4] = 2};
	uint8_t epoch_key[32] = {99}, key[16];

	ck_assert_int_eq(cof_unhex(ESCROW_KEY, 32, key), 0);
	for (uint8_t what = EPOCH_VALID; what <= KEY; what += KEY - EPOCH_VALID) {
		cof_autobuf struct cof_buf fields = {0};
		struct cof_judgement w;
		int r;

		cof_field_put_u8(&fields, T_WHAT, what);
		cof_field_put_u64(&fields, T_SHELF, 2);
		cof_field_put_u32(&fields, T_EPOCH, 9);
		cof_field_put(&fields, T_EPOCH_KEY, epoch_key, sizeof(epoch_key));
		cof_field_put(&fields, T_FACTS, facts, sizeof(facts));
		if (what == KEY) {
			cof_field_put(&fields, T_KEY, key, sizeof(key));
			cof_field_put(&fields, T_SHA256, epoch_key, sizeof(epoch_key));
		} else {
			cof_field_put_u64(&fields, T_OF, 77);
		}
		r = take(ESCROW, what == KEY ? 9 : 0, NOW, &fields, &w);
		PERMITTED(r, w);
	}
}

START_TEST(a_release_as_it_was_approved)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	approved_escrow("escrow-release", NULL, &doc);
	r = record(&(struct row){.what = RELEASE}, &doc, &w); /* of no key that is here */
	REFUSED(r, w, "no-key");
	keeps_key();
	r = record(&(struct row){.what = RELEASE, .key = 1}, &doc, &w);
	REFUSED(r, w, "wrong-document");
	r = record(&(struct row){.what = RELEASE, .to = "age1thief"}, &doc, &w);
	REFUSED(r, w, "wrong-document");
	r = record(&(struct row){.what = RELEASE, .shelf = 3}, &doc, &w);
	REFUSED(r, w, "wrong-document");
	r = record(&(struct row){.what = EPOCH_VALID}, &doc, &w);
	REFUSED(r, w, "wrong-action");
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	PERMITTED(r, w);
}
END_TEST

/* Of the same key and shelf, once; and the request is for one release, before the archive says that it is done too. */
START_TEST(a_recovery_as_it_was_released)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	uint64_t at;
	int r;

	keeps_key();
	approved_escrow("escrow-release", NULL, &doc);
	at = sequence;
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	PERMITTED(r, w);
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	REFUSED(r, w, "finished");
	for (uint8_t what = ATTEMPT; what <= FAILED; what++) {
		r = record(&(struct row){.what = what, .of = at, .key = 1}, NULL, &w);
		REFUSED(r, w, "not-released");
		r = record(&(struct row){.what = what, .of = at, .shelf = 3}, NULL, &w);
		REFUSED(r, w, "not-released");
		r = record(&(struct row){.what = what, .of = at + 1}, NULL, &w);
		REFUSED(r, w, "not-released");
	}
	r = record(&(struct row){.what = ATTEMPT, .of = at}, NULL, &w);
	PERMITTED(r, w);
	r = record(&(struct row){.what = RECOVERED, .of = at}, NULL, &w);
	PERMITTED(r, w);
	for (uint8_t what = ATTEMPT; what <= RECOVERED; what++) {
		r = record(&(struct row){.what = what, .of = at}, NULL, &w);
		REFUSED(r, w, "finished");
	}
	r = record(&(struct row){.what = FAILED, .of = at}, NULL, &w);
	PERMITTED(r, w);
}
END_TEST

/* It goes to whom it was released to, and to nobody once the key was revoked. */
START_TEST(a_recovery_for_whom_it_was_released)
{
	cof_autobuf struct cof_buf doc = {0}, end = {0}, later = {0};
	struct cof_judgement w;
	uint64_t at;
	int r;

	keeps_key();
	approved_escrow("escrow-release", NULL, &doc);
	at = sequence;
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	PERMITTED(r, w);
	r = record(&(struct row){.what = ATTEMPT, .of = at}, NULL, &w);
	PERMITTED(r, w);
	r = record(&(struct row){.what = RECOVERED, .of = at, .to = "age1thief"}, NULL, &w);
	REFUSED(r, w, "wrong-recipient");
	approved_escrow("escrow-release", NULL, &later);
	approved_escrow("escrow-accept", "revoked", &end);
	r = record(&(struct row){.what = REVOKED, .key = 1}, &end, &w); /* another key */
	PERMITTED(r, w);
	r = record(&(struct row){.what = ATTEMPT, .of = at}, NULL, &w);
	PERMITTED(r, w);
	cof_buf_done(&end);
	approved_escrow("escrow-accept", "revoked", &end);
	r = record(&(struct row){.what = REVOKED}, &end, &w);
	PERMITTED(r, w);
	r = record(&(struct row){.what = RELEASE}, &later, &w);
	REFUSED(r, w, "revoked");
	for (uint8_t what = ATTEMPT; what <= RECOVERED; what++) {
		r = record(&(struct row){.what = what, .of = at}, NULL, &w);
		REFUSED(r, w, "revoked");
	}
	r = record(&(struct row){.what = FAILED, .of = at}, NULL, &w);
	PERMITTED(r, w);
}
END_TEST

/* ---- releases that wait ---- */

static int refuse(const struct cof_buf *doc, const char *who, int64_t later, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_sha256(doc->data, doc->len, id);
	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, COF_VERDICT_REFUSE);
	sign(&fields, who, strcmp(who, "erin") ? who : "both", COF_SIGN_REFUSE, doc);
	return take_at(APPROVAL, &(struct row){.later = later}, &fields, w);
}

static enum cof_request_state state_of(const struct cof_buf *doc, int64_t *ret_until)
{
	struct cof_request_view v;
	uint8_t id[32];

	cof_sha256(doc->data, doc->len, id);
	ck_assert_int_eq(cof_judge_request(judge, id, &v), 0);
	*ret_until = v.until;
	return v.state;
}

/* By retention time, whatever the wall clock says; and a policy that is weaker later, or stronger, changes nothing of it. */
START_TEST(a_release_waits)
{
	cof_autobuf struct cof_buf doc = {0}, other = {0};
	struct cof_judgement w;
	int64_t until;
	int r;

	keeps_key();
	policy_is("retention = 10d\nrelease_delay = 2d\n");
	approved_escrow("escrow-release", NULL, &doc);
	ck_assert_int_eq(state_of(&doc, &until), COF_REQUEST_MET);
	ck_assert_int_eq(until, NOW + DAY);
	policy_is("retention = 10d\nrelease_delay = 9d\n");
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	REFUSED(r, w, "too-early");
	r = record(&(struct row){.what = RELEASE, .ahead = 365 * DAY}, &doc, &w);
	REFUSED(r, w, "too-early");
	r = record(&(struct row){.what = RELEASE, .later = 2 * DAY - 1}, &doc, &w);
	REFUSED(r, w, "too-early");
	r = record(&(struct row){.what = RELEASE, .later = 2 * DAY}, &doc, &w);
	PERMITTED(r, w);
	r = refuse(&doc, "bob", 2 * DAY, &w); /* it is out */
	REFUSED(r, w, "finished");
	/* What is no release does not wait. */
	approved_escrow("escrow-accept", "epoch-valid", &other);
	ck_assert_int_eq(state_of(&other, &until), COF_REQUEST_MET);
	ck_assert_int_eq(until, COF_RETAIN_NONE);
	r = record(&(struct row){.what = EPOCH_VALID}, &other, &w);
	PERMITTED(r, w);
}
END_TEST

/* An officer where the rule names nobody, and not any operator; by a signature for that, also once the request expired; for good. */
START_TEST(a_release_is_vetoed)
{
	cof_autobuf struct cof_buf doc = {0}, named = {0};
	struct cof_judgement w;
	int64_t until;
	int r;

	keeps_key();
	policy_is("retention = 10d\nrelease_delay = 3d\n");
	approved_escrow("escrow-release", NULL, &doc);
	r = refuse(&doc, "erin", 0, &w);
	REFUSED(r, w, "role");
	r = refuse(&doc, "carol", 0, &w);
	REFUSED(r, w, "role");
	ck_assert_int_eq(state_of(&doc, &until), COF_REQUEST_MET);
	r = refuse(&doc, "bob", 2 * DAY, &w);
	PERMITTED(r, w);
	ck_assert_int_eq(state_of(&doc, &until), COF_REQUEST_REFUSED);
	ck_assert_int_eq(until, COF_RETAIN_NONE);
	r = record(&(struct row){.what = RELEASE, .later = 9 * DAY}, &doc, &w);
	REFUSED(r, w, "finished");
	r = refuse(&doc, "bob", 2 * DAY, &w);
	REFUSED(r, w, "finished");
	policy_is("retention = 10d\nrelease_delay = 3d\napprove_escrow = 2 officer\n");
	approved_escrow("escrow-release", NULL, &named);
	policy_is("retention = 10d\nrelease_delay = 3d\napprove_escrow = 2 auditor officer\n"); /* the rule of now */
	r = refuse(&named, "carol", 0, &w);
	PERMITTED(r, w);
}
END_TEST

/* Without a delay there is nothing to veto. */
START_TEST(a_release_without_delay)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int64_t until;
	int r;

	keeps_key();
	approved_escrow("escrow-release", NULL, &doc);
	ck_assert_int_eq(state_of(&doc, &until), COF_REQUEST_MET);
	ck_assert_int_eq(until, COF_RETAIN_NONE);
	r = refuse(&doc, "bob", 0, &w);
	REFUSED(r, w, "finished");
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	PERMITTED(r, w);
}
END_TEST

START_TEST(what_a_record_proposed)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	approved_escrow("escrow-accept", "epoch-valid", &doc);
	r = record(&(struct row){.what = EPOCH_VALID, .of = 78}, &doc, &w);
	REFUSED(r, w, "wrong-document");
	r = record(&(struct row){.what = CUSTODIAN}, &doc, &w);
	REFUSED(r, w, "wrong-document");
	r = record(&(struct row){.what = RELEASE}, &doc, &w);
	REFUSED(r, w, "wrong-action");
	r = record(&(struct row){.what = KEY}, &doc, &w);
	REFUSED(r, w, "wrong-action");
	r = record(&(struct row){.what = EPOCH_VALID}, &doc, &w);
	PERMITTED(r, w);
}
END_TEST

/* Each public field, for each kind: none is changed, left out or added between what two had signed and what counts. */
enum change { CHANGED, LEFT_OUT, ADDED, CHANGES };

static void accepting(uint8_t what, unsigned tag, enum change change, struct cof_buf *ret)
{
	static const struct {
		uint8_t tag, size;
	} all[] = {{T_EPOCH, 4}, {T_EPOCH_KEY, 32}, {T_KEY, 16}, {T_SHA256, 32}, {196, 32}, {T_FACTS, 8}, {198, 32}, {T_OUTCOME, 1}, {T_TO, 9}, {206, 8}, {207, 8}, {T_TPM, 32}};

	cof_field_put_u8(ret, T_WHAT, what);
	cof_field_put_u64(ret, T_SHELF, 2);
	cof_field_put_u64(ret, T_OF, 77);
	for (size_t i = 0; i < COF_COUNT(all); i++) {
		uint8_t value[32] = {(uint8_t)(1 + (all[i].tag == tag && change == CHANGED))};

		if (all[i].tag != tag || change == CHANGED)
			cof_field_put(ret, all[i].tag, value, all[i].size);
	}
	if (change == ADDED)
		cof_field_put_u8(ret, (uint8_t)tag, 1);
}

START_TEST(what_counts_is_what_was_accepted)
{
	static const struct {
		uint8_t what;
		const char *name;
	} kinds[] = {{EPOCH_VALID, "epoch-valid"}, {CUSTODIAN, "custodian"}, {CUSTODIAN_REVOKED, "custodian-revoked"}, {REVOKED, "revoked"},
		     {TPM_KEY, "tpm-key"}, {TPM_KEY_REVOKED, "tpm-key-revoked"}, {TPM_ENDED, "tpm-ended"}};
	static const uint8_t tags[] = {T_EPOCH, T_EPOCH_KEY, T_KEY, T_SHA256, 196, T_FACTS, 198, T_OUTCOME, T_TO, 206, 207, T_TPM};
	struct cof_judgement w;
	char named[16];
	int r;

	for (size_t k = 0; k < COF_COUNT(kinds); k++) {
		cof_autobuf struct cof_buf doc = {0}, right = {0}, other = {0};
		uint8_t id[32];

		approved_escrow("escrow-accept", kinds[k].name, &doc);
		cof_sha256(doc.data, doc.len, id);
		accepting(kinds[(k + 1) % COF_COUNT(kinds)].what, 0, CHANGED, &other);
		if (k) /* what is there proposes another kind */
			proposed_escrow(&other);
		accepting(kinds[k].what, 0, CHANGED, &right);
		cof_field_put(&right, COF_T_REQUEST, id, 32);
		r = take(ESCROW, 0, NOW, &right, &w);
		REFUSED(r, w, "no-proposal");
		proposed_escrow(&right);
		for (size_t i = 0; i <= COF_COUNT(tags); i++)
			for (enum change change = CHANGED; change < CHANGES; change++) {
				unsigned tag = change == ADDED ? 210 : i < COF_COUNT(tags) ? tags[i] : 0;
				cof_autobuf struct cof_buf wrong = {0};

				if (!tag)
					continue;
				accepting(kinds[k].what, tag, change, &wrong);
				cof_field_put(&wrong, COF_T_REQUEST, id, 32);
				r = take(ESCROW, 0, NOW, &wrong, &w);
				REFUSED(r, w, "other-fields");
				snprintf(named, sizeof(named), "field %u (", tag);
				ck_assert_msg(strstr(w.reason, named) && strstr(w.reason, "record 77,"), "%s of %u", w.reason, tag);
			}
		r = take(ESCROW, 0, NOW, &right, &w);
		PERMITTED(r, w);
	}
}
END_TEST

/* A counter is raised for an end that was approved, of the same epoch; once, and as often as it failed. */
START_TEST(a_tpm_is_ended)
{
	static const struct row others[] = {{.tpm = 4}, {.tpm = 3, .shelf = 3}, {.tpm = 3, .of = 1}};
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	struct row v;
	uint64_t at;
	int r;

	approved_escrow("escrow-accept", "tpm-ended", &doc);
	r = record(&(struct row){.what = TPM_KEY, .tpm = 3}, &doc, &w);
	REFUSED(r, w, "wrong-document");
	at = sequence;
	r = record(&(struct row){.what = TPM_ENDED, .tpm = 3}, &doc, &w);
	PERMITTED(r, w);
	for (size_t i = 0; i < COF_COUNT(others); i++) {
		v = others[i];
		v.what = TPM_RAISED;
		v.outcome = 1;
		v.of = v.of ? v.of : at;
		r = record(&v, NULL, &w);
		REFUSED(r, w, "not-approved");
	}
	v = (struct row){.what = TPM_RAISED, .tpm = 3, .of = at};
	r = record(&v, NULL, &w); /* without an outcome */
	REFUSED(r, w, "not-approved");
	v.outcome = 2;
	r = record(&v, NULL, &w);
	PERMITTED(r, w);
	v.outcome = 1;
	r = record(&v, NULL, &w);
	PERMITTED(r, w);
	r = record(&v, NULL, &w);
	REFUSED(r, w, "finished");
}
END_TEST

/* ---- epochs ---- */

struct of_epoch {
	uint8_t what;
	uint32_t number; /* 0: 1 */
	uint8_t key, rehearsal, outcome;
	uint64_t of, shelf, object; /* of 0: none */
	bool about_key, no_file;
	uint8_t id, file; /* of the key; of its file, 0: one that was not there before */
};

static int epoch_record(const struct of_epoch *v, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	static uint8_t files;
	uint8_t key[32] = {v->key}, facts[8] = {0}, id[32], file[32] = {v->file, v->file ? 0 : ++files};
	bool with_file = (v->what == KEY || v->what == ROTATED) && !v->no_file;

	facts[4] = v->rehearsal;
	cof_field_put_u8(&fields, T_WHAT, v->what);
	cof_field_put_u64(&fields, T_SHELF, v->shelf ? v->shelf : 2);
	cof_field_put_u32(&fields, T_EPOCH, v->number ? v->number : 1);
	cof_field_put(&fields, T_EPOCH_KEY, key, sizeof(key));
	key[0] = v->id ? v->id : v->key;
	if (v->about_key)
		cof_field_put(&fields, T_KEY, key, 16);
	if (with_file)
		cof_field_put(&fields, T_SHA256, file, sizeof(file));
	cof_field_put(&fields, T_FACTS, facts, sizeof(facts));
	if (v->of)
		cof_field_put_u64(&fields, T_OF, v->of);
	if (v->outcome)
		cof_field_put_u8(&fields, T_OUTCOME, v->outcome);
	if (doc && v->what != RELEASE)
		proposed_escrow(&fields);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take(ESCROW, v->object || !with_file ? v->object : 9, NOW, &fields, w);
}
#define EPOCH_RECORD(...) epoch_record(&(struct of_epoch){__VA_ARGS__}, NULL, &w)

START_TEST(keys_go_to_an_approved_epoch)
{
	static const struct of_epoch others[] = {{.key = 1}, {.number = 2}, {.rehearsal = 2}, {.shelf = 3}};
	cof_autobuf struct cof_buf doc = {0}, end = {0};
	struct cof_judgement w;
	int r = EPOCH_RECORD(.what = KEY, .about_key = true, .object = 9);

	REFUSED(r, w, "no-epoch");
	approved_escrow("escrow-accept", "epoch-valid", &doc);
	r = epoch_record(&(struct of_epoch){.what = EPOCH_VALID, .of = 77}, &doc, &w);
	PERMITTED(r, w);
	for (uint8_t what = KEY; what <= DRILL; what += ROTATED - KEY) { /* KEY, ROTATED */
		for (size_t i = 0; i < COF_COUNT(others); i++) {
			struct of_epoch v = others[i];

			v.what = what;
			v.about_key = true;
			r = epoch_record(&v, NULL, &w);
			REFUSED(r, w, "no-epoch");
		}
		r = EPOCH_RECORD(.what = what, .about_key = true, .object = 9);
		PERMITTED(r, w);
	}
	approved_escrow("escrow-accept", "revoked", &end);
	r = epoch_record(&(struct of_epoch){.what = REVOKED, .of = 77}, &end, &w);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .object = 9);
	REFUSED(r, w, "no-epoch");
	r = EPOCH_RECORD(.what = DRILL, .object = 9);
	REFUSED(r, w, "no-epoch");
	r = EPOCH_RECORD(.what = DRILL); /* who holds shares of an old one may still be asked */
	PERMITTED(r, w);
}
END_TEST

/* By its newest file is known whether a key's release needs a ceremony: neither a second first one, nor one that is encrypted anew
 * to an epoch to practise with, makes a key one of a rehearsal. */
START_TEST(a_key_is_taken_in_once)
{
	cof_autobuf struct cof_buf doc = {0}, end = {0};
	struct cof_judgement w;
	int r;

	approved_escrow("escrow-accept", "epoch-valid", &doc);
	r = epoch_record(&(struct of_epoch){.what = EPOCH_VALID, .of = 77}, &doc, &w);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = EPOCH_VALID, .rehearsal = 2, .of = 77);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = KEY);
	REFUSED(r, w, "malformed");
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true);
	REFUSED(r, w, "no-key");
	r = EPOCH_RECORD(.what = KEY, .about_key = true);
	PERMITTED(r, w);
	for (uint8_t rehearsal = 0; rehearsal <= 2; rehearsal += 2) {
		r = EPOCH_RECORD(.what = KEY, .about_key = true, .rehearsal = rehearsal);
		REFUSED(r, w, "repeated");
	}
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true, .rehearsal = 2);
	REFUSED(r, w, "rehearsal");
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true);
	PERMITTED(r, w);
	approved_escrow("escrow-accept", "revoked", &end);
	r = epoch_record(&(struct of_epoch){.what = REVOKED, .about_key = true, .of = 77}, &end, &w);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true);
	REFUSED(r, w, "revoked");
	r = EPOCH_RECORD(.what = KEY, .about_key = true);
	REFUSED(r, w, "repeated");
	/* Another shelf has its own. */
	r = EPOCH_RECORD(.what = EPOCH_VALID, .rehearsal = 2, .of = 77, .shelf = 3);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .rehearsal = 2, .shelf = 3);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true, .rehearsal = 2, .shelf = 3);
	PERMITTED(r, w);
}
END_TEST

/* A release of one key gives out what its newest record names: that is never the file of another. */
START_TEST(a_file_is_of_one_key)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	approved_escrow("escrow-accept", "epoch-valid", &doc);
	r = epoch_record(&(struct of_epoch){.what = EPOCH_VALID, .of = 77}, &doc, &w);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .id = 1, .no_file = true);
	REFUSED(r, w, "malformed");
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .id = 1, .file = 50);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .id = 2, .file = 50);
	REFUSED(r, w, "file-twice");
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .id = 2, .file = 51);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true, .id = 2, .file = 52);
	PERMITTED(r, w);
	for (uint8_t file = 50; file <= 52; file++) { /* its own, another's first, another's newest */
		r = EPOCH_RECORD(.what = ROTATED, .about_key = true, .id = 1, .file = file);
		REFUSED(r, w, "file-twice");
	}
	r = EPOCH_RECORD(.what = ROTATED, .about_key = true, .id = 1, .no_file = true);
	REFUSED(r, w, "malformed");
	/* The same key on another shelf has the same file; another's has not. */
	r = EPOCH_RECORD(.what = EPOCH_VALID, .rehearsal = 2, .of = 77, .shelf = 3);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .rehearsal = 2, .shelf = 3, .id = 1, .file = 52);
	REFUSED(r, w, "file-twice");
	r = EPOCH_RECORD(.what = KEY, .about_key = true, .rehearsal = 2, .shelf = 3, .id = 1, .file = 50);
	PERMITTED(r, w);
}
END_TEST

/* More than there are places at first. */
START_TEST(each_of_many_keys_is_taken_in_once)
{
	struct cof_judgement w;
	int r = EPOCH_RECORD(.what = EPOCH_VALID, .rehearsal = 2, .of = 77);

	PERMITTED(r, w);
	for (unsigned i = 0; i < 400; i++) {
		for (unsigned again = 0; again < 2; again++) {
			cof_autobuf struct cof_buf fields = {0};
			uint8_t epoch_key[32] = {0}, key[16] = {(uint8_t)i}, facts[8] = {[4] = 2}, file[32] = {0};

			key[8] = (uint8_t)(i >> 8); /* some have the same first half */
			cof_field_put_u8(&fields, T_WHAT, KEY);
			cof_field_put_u64(&fields, T_SHELF, 2);
			cof_field_put_u32(&fields, T_EPOCH, 1);
			cof_field_put(&fields, T_EPOCH_KEY, epoch_key, sizeof(epoch_key));
			cof_field_put(&fields, T_KEY, key, sizeof(key));
			memcpy(file, key, sizeof(key));
			cof_field_put(&fields, T_SHA256, file, sizeof(file));
			cof_field_put(&fields, T_FACTS, facts, sizeof(facts));
			r = take(ESCROW, 9, NOW, &fields, &w);
			if (again)
				REFUSED(r, w, "repeated");
			else
				PERMITTED(r, w);
		}
	}
}
END_TEST

START_TEST(drills_end_once_and_as_they_began)
{
	struct cof_judgement w;
	uint64_t at;
	int r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2);

	REFUSED(r, w, "no-epoch");
	for (uint32_t number = 1; number <= 2; number++) {
		r = EPOCH_RECORD(.what = EPOCH_VALID, .rehearsal = 2, .number = number, .of = 77);
		PERMITTED(r, w);
	}
	at = sequence;
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .outcome = 1);
	REFUSED(r, w, "malformed");
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .of = at);
	REFUSED(r, w, "malformed");
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .of = at + 1, .outcome = 1);
	REFUSED(r, w, "no-drill");
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .number = 2, .of = at, .outcome = 1);
	REFUSED(r, w, "no-drill");
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .of = at, .outcome = 3);
	REFUSED(r, w, "no-drill");
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .of = at, .outcome = 2);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .of = at, .outcome = 1);
	PERMITTED(r, w);
	r = EPOCH_RECORD(.what = DRILL, .rehearsal = 2, .of = at, .outcome = 1);
	REFUSED(r, w, "finished");
}
END_TEST

int main(void)
{
	SRunner *runner;
	TCase *c = tcase_create("escrow");
	Suite *s = suite_create("escrow-judge");
	int failed;

	if (access("/usr/bin/ssh-keygen", X_OK) < 0)
		return 77;
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	make_keys();
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, without_a_request);
	tcase_add_test(c, a_release_as_it_was_approved);
	tcase_add_test(c, a_recovery_as_it_was_released);
	tcase_add_test(c, a_recovery_for_whom_it_was_released);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, a_release_waits);
	tcase_add_test(c, a_release_is_vetoed);
	tcase_add_test(c, a_release_without_delay);
	tcase_add_test(c, what_a_record_proposed);
	tcase_add_test(c, what_counts_is_what_was_accepted);
	tcase_add_test(c, a_tpm_is_ended);
	tcase_add_test(c, keys_go_to_an_approved_epoch);
	tcase_add_test(c, a_key_is_taken_in_once);
	tcase_add_test(c, a_file_is_of_one_key);
	tcase_add_test(c, each_of_many_keys_is_taken_in_once);
	tcase_add_test(c, drills_end_once_and_as_they_began);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_keys();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
