/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on records of escrow: what needs an approved request, and that each does what its request says. */
#include "tests/unit/sshsig/judged.h"

#include <stdio.h>

enum { ESCROW = 30, T_WHAT = 190, T_SHELF = 191, T_EPOCH = 192, T_EPOCH_KEY = 193, T_KEY = 194, T_FACTS = 197, T_OF = 199, T_OUTCOME = 200,
       T_TO = 204 };
enum { EPOCH_VALID = 3, CUSTODIAN = 4, CUSTODIAN_REVOKED = 5, KEY = 6, RELEASE = 7, ATTEMPT = 8, RECOVERED = 9, FAILED = 10,
       ROTATED = 11, REVOKED = 12, DRILL = 13, LAST = 19 };
#define KEY_HEX "0102030405060708090a0b0c0d0e0f10"
#define TO "age1recipient"

/* A document of this action for shelf 2, made by alice and approved by bob. */
static void approved(const char *action, const char *what, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf plain = {0}, fields = {0}, vote = {0};
	cof_autojson struct cof_json *o = NULL;
	struct cof_json *shelves = cof_json_array();
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	document(&(struct spec){.action = action}, &plain);
	ck_assert_int_eq(cof_json_parse((const char *)plain.data, plain.len, &o), 0);
	cof_json_append(shelves, cof_json_new_uint(2));
	cof_json_set(o, "shelves", shelves);
	if (what) {
		cof_json_set_uint(o, "record", 77);
		cof_json_set_str(o, "what", what);
	} else {
		cof_json_set_str(o, "key", KEY_HEX);
		cof_json_set_str(o, "recipient", TO);
	}
	ck_assert_int_eq(cof_json_canonical(o, ret), 0);
	cof_field_put(&fields, COF_T_DOCUMENT, ret->data, ret->len);
	sign(&fields, "alice", "alice", COF_SIGN_REQUEST, ret);
	r = take(REQUEST, 0, NOW, &fields, &w);
	PERMITTED(r, w);
	cof_sha256(ret->data, ret->len, id);
	cof_field_put(&vote, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&vote, COF_T_VERDICT, COF_VERDICT_APPROVE);
	sign(&vote, "bob", "bob", COF_SIGN_APPROVE, ret);
	r = take(APPROVAL, 0, NOW, &vote, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
}

struct row {
	uint8_t what;
	uint64_t shelf, of; /* 0: 2 and 77 */
	const char *to;	    /* NULL: TO */
	uint8_t key, rehearsal;
};

static int record(const struct row *v, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t key[16], facts[8] = {0}, id[32];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i + 1 + v->key);
	facts[4] = v->rehearsal;
	cof_field_put_u8(&fields, T_WHAT, v->what);
	cof_field_put_u64(&fields, T_SHELF, v->shelf ? v->shelf : 2);
	cof_field_put(&fields, T_KEY, key, sizeof(key));
	cof_field_put(&fields, T_FACTS, facts, sizeof(facts));
	cof_field_put_u64(&fields, T_OF, v->of ? v->of : 77);
	cof_field_put_str(&fields, T_TO, v->to ? v->to : TO);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take(ESCROW, 0, NOW, &fields, w);
}

START_TEST(without_a_request)
{
	static const bool needs[LAST + 1] = {
	    [EPOCH_VALID] = true, [CUSTODIAN] = true, [CUSTODIAN_REVOKED] = true, [RELEASE] = true, [REVOKED] = true};
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
		else
			PERMITTED(r, w);
		r = record(&(struct row){.what = what, .rehearsal = 2}, NULL, &w);
		ck_assert_int_eq(r, (needs[what] && what != EPOCH_VALID) || (what >= ATTEMPT && what <= FAILED) || what == KEY ||
						    what == ROTATED || what == DRILL
					    ? -EPERM
					    : 0);
	}
	r = take(ESCROW, 0, NOW, &none, &w);
	REFUSED(r, w, "malformed");
}
END_TEST

START_TEST(a_release_as_it_was_approved)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	approved("escrow-release", NULL, &doc);
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

	approved("escrow-release", NULL, &doc);
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

START_TEST(what_a_record_proposed)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	approved("escrow-accept", "epoch-valid", &doc);
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

/* ---- epochs ---- */

struct of_epoch {
	uint8_t what;
	uint32_t number; /* 0: 1 */
	uint8_t key, rehearsal, outcome;
	uint64_t of, shelf, object; /* of 0: none */
	bool about_key;
};

static int epoch_record(const struct of_epoch *v, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t key[32] = {v->key}, facts[8] = {0}, id[32];

	facts[4] = v->rehearsal;
	cof_field_put_u8(&fields, T_WHAT, v->what);
	cof_field_put_u64(&fields, T_SHELF, v->shelf ? v->shelf : 2);
	cof_field_put_u32(&fields, T_EPOCH, v->number ? v->number : 1);
	cof_field_put(&fields, T_EPOCH_KEY, key, sizeof(key));
	if (v->about_key)
		cof_field_put(&fields, T_KEY, key, 16);
	cof_field_put(&fields, T_FACTS, facts, sizeof(facts));
	if (v->of)
		cof_field_put_u64(&fields, T_OF, v->of);
	if (v->outcome)
		cof_field_put_u8(&fields, T_OUTCOME, v->outcome);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take(ESCROW, v->object, NOW, &fields, w);
}
#define EPOCH_RECORD(...) epoch_record(&(struct of_epoch){__VA_ARGS__}, NULL, &w)

START_TEST(keys_go_to_an_approved_epoch)
{
	static const struct of_epoch others[] = {{.key = 1}, {.number = 2}, {.rehearsal = 2}, {.shelf = 3}};
	cof_autobuf struct cof_buf doc = {0}, end = {0};
	struct cof_judgement w;
	int r = EPOCH_RECORD(.what = KEY, .about_key = true, .object = 9);

	REFUSED(r, w, "no-epoch");
	approved("escrow-accept", "epoch-valid", &doc);
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
	approved("escrow-accept", "revoked", &end);
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
	tcase_set_timeout(c, 30);
	tcase_add_test(c, what_a_record_proposed);
	tcase_add_test(c, keys_go_to_an_approved_epoch);
	tcase_add_test(c, drills_end_once_and_as_they_began);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_keys();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
