/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on signed events: reviews, none of a frame that was reviewed, none that leaves one out, none by anybody; steps of
 * changes that nobody asked for; and where nobody is enrolled. */
#include "tests/unit/sshsig/judged.h"

#include <stdio.h>

struct review { /* zero: as it should be */
	const char *signer, *key, *purpose, *type;
	uint64_t from, to, field, size; /* to is as given */
	uint8_t root;
	bool no_range, no_field, no_version, capitals, null; /* capitals: in the root; null: a `to` that is */
	const uint8_t *change; /* a step of that one; its form begins it where the type says so */
	struct cof_buf *again; /* what was given to be judged, for once more */
};

static uint8_t form_id[32]; /* of the form that was signed last */

static int review(const struct review *v, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf doc = {0}, armored = {0}, fields = {0};
	cof_autojson struct cof_json *o = cof_json_object();
	const char *signer = v->signer ? v->signer : "carol", *key = v->key ? v->key : signer;
	struct cof_json *h = cof_json_object();
	uint8_t archive[16], root[32], nonce[16];

	memset(archive, 1, 16);
	memset(root, v->root ? v->root : HEAD, 32);
	cof_random(nonce, sizeof(nonce));
	hex(o, "archive", archive, 16);
	hex(o, "nonce", nonce, 16);
	cof_json_set_str(o, "event", v->type ? v->type : "review");
	cof_json_set_str(o, "signer", signer);
	hex(h, "root", root, 32);
	if (v->capitals)
		cof_json_set_str(h, "root", "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB");
	if (!v->no_version)
		cof_json_set_int(o, "version", 1);
	cof_json_set_uint(h, "size", v->size ? v->size : v->to + 1);
	cof_json_set(o, "head", h);
	if (!v->no_range) {
		cof_json_set_uint(o, "from", v->from);
		cof_json_set_uint(o, "to", v->to);
	}
	if (v->change && strcmp(v->type, "change-requested") != 0)
		hex(o, "change", v->change, 32);
	if (v->null)
		cof_json_set_time(o, "to", INT64_MAX);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_sha256(doc.data, doc.len, form_id);
	store("doc", doc.data, doc.len);
	run("ssh-keygen -q -Y sign -n %s -f %s/%s < %s/doc > %s/sig 2> /dev/null", v->purpose ? v->purpose : COF_SIGN_REVIEW, dir,
	    key, dir, dir);
	slurp("sig", &armored);
	cof_field_put(&fields, 148, doc.data, doc.len);
	cof_field_put(&fields, 147, armored.data, armored.len);
	if (v->change)
		cof_field_put(&fields, 155, strcmp(v->type, "change-requested") ? v->change : form_id, 32);
	if (!v->no_field)
		cof_field_put_u64(&fields, 149, v->field ? v->field : v->to);
	if (v->again)
		cof_buf_add(v->again, fields.data, fields.len);
	return take(EVENT, 0, NOW, &fields, w);
}

START_TEST(reviews_one_behind_the_other)
{
	static const struct {
		struct review v;
		const char *rule; /* NULL: it counts */
	} rows[] = {
	    {{.from = 1, .to = 40}, "range"}, /* skips */
	    {{.signer = "erin", .key = "both", .to = 40}, "role"},
	    {{.key = "alice", .to = 40}, "wrong-key"},
	    {{.purpose = COF_SIGN_EVENT, .to = 40}, "wrong-purpose"},
	    {{.root = 9, .to = 40}, "wrong-head"},
	    {{.size = 42, .to = 40}, "range"},
	    {{.field = 41, .to = 40}, "form"},
	    {{.no_field = true, .to = 40}, "form"},
	    {{.no_range = true, .purpose = COF_SIGN_EVENT, .to = 40}, "form"}, /* the field alone */
	    {{.type = "audit", .to = 40}, "form"},
	    {{.no_version = true, .to = 40}, "form"},
	    {{.null = true, .no_range = true, .no_field = true, .purpose = COF_SIGN_EVENT}, "form"},
	    {{.capitals = true, .to = 40}, "form"}, /* there is one text of a digest */
	    {{.from = 41, .to = 40}, "form"},
	    {{.to = 1000}, "range"}, /* of what is not there */
	    {{.no_range = true, .no_field = true, .purpose = COF_SIGN_EVENT}, NULL}, /* an event of that name, which reviews nothing */
	    {{.to = 40}, NULL},
	    {{.to = 40}, "range"},		/* twice */
	    {{.from = 40, .to = 50}, "range"},	/* a frame twice */
	    {{.from = 42, .to = 50}, "range"},	/* a frame never */
	    {{.from = 41, .to = 50, .type = "failed-logins"}, "range"}, /* each kind for itself */
	    {{.to = 30, .type = "failed-logins"}, NULL},
	    {{.from = 41, .to = 50, .signer = "bob"}, NULL},
	    {{.from = 31, .to = 60, .type = "failed-logins", .signer = "alice"}, NULL},
	};
	uint64_t to = 0, at = 0;

	sequence = 100;
	ck_assert_int_eq(cof_judge_reviewed(judge, COF_REVIEW_EVENTS, &to, &at), -ENOENT);
	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		struct cof_judgement w;
		int r = review(&rows[i].v, &w);

		if (rows[i].rule)
			REFUSED(r, w, rows[i].rule);
		else
			PERMITTED(r, w);
	}
	ck_assert_int_eq(cof_judge_reviewed(judge, COF_REVIEW_EVENTS, &to, &at), 0);
	ck_assert_uint_eq(to, 50);
	ck_assert_uint_eq(at, sequence - 2);
	ck_assert_int_eq(cof_judge_reviewed(judge, COF_REVIEW_LOGINS, &to, &at), 0);
	ck_assert_uint_eq(to, 60);
}
END_TEST

#define STEP(step, who, id) ((struct review){.type = step, .signer = who, .purpose = COF_SIGN_CHANGE, .no_range = true, .no_field = true, .change = id})

/* A step of a change that nobody asked for: refused, also where another one was asked for, and that goes on as before. */
START_TEST(steps_of_no_change)
{
	static const char *const steps[] = {"change-approved", "change-declined", "change-done", "change-checked"};
	static const uint8_t none[32] = {9};
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	for (unsigned asked = 0; asked < 2; asked++) {
		for (size_t i = 0; i < COF_COUNT(steps); i++) {
			r = review(&STEP(steps[i], "alice", none), &w);
			REFUSED(r, w, "unknown-change");
		}
		if (!asked) {
			r = review(&STEP("change-requested", "bob", none), &w);
			PERMITTED(r, w);
			memcpy(id, form_id, 32);
		}
	}
	r = review(&STEP("change-approved", "alice", id), &w);
	PERMITTED(r, w);
}
END_TEST

/* A result that does not hold has to be done again: the form that said it was done the first time says nothing of that. */
START_TEST(a_step_once_more)
{
	cof_autobuf struct cof_buf once = {0};
	struct review done = STEP("change-done", "carol", form_id);
	struct cof_judgement w;
	uint8_t id[32] = {0};
	int r = review(&STEP("change-requested", "bob", id), &w);

	PERMITTED(r, w);
	memcpy(id, form_id, 32);
	done.change = id;
	r = review(&STEP("change-approved", "alice", id), &w);
	PERMITTED(r, w);
	done.again = &once;
	r = review(&done, &w);
	PERMITTED(r, w);
	r = review(&STEP("change-checked", "hana", id), &w); /* without an outcome it is none */
	PERMITTED(r, w);
	r = take(EVENT, 0, NOW, &once, &w);
	REFUSED(r, w, "repeated");
	done.again = NULL;
	r = review(&done, &w); /* is still to be done */
	PERMITTED(r, w);
}
END_TEST

START_TEST(where_nobody_is_enrolled)
{
	static const uint8_t none[32] = {9};
	struct cof_judgement w;
	int r;

	without_people();
	sequence = 100;
	r = review(&(struct review){.to = 40}, &w);
	REFUSED(r, w, "no-people");
	r = review(&(struct review){.no_range = true, .no_field = true, .purpose = COF_SIGN_EVENT, .type = "visit"}, &w);
	REFUSED(r, w, "no-people");
	r = review(&STEP("change-requested", "bob", none), &w);
	REFUSED(r, w, "no-people");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("review");
	TCase *t = tcase_create("judge");
	SRunner *runner;
	int failed;

	if (access("/usr/bin/ssh-keygen", X_OK) < 0)
		return 77;
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	make_keys();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, reviews_one_behind_the_other);
	tcase_add_test(t, steps_of_no_change);
	tcase_add_test(t, a_step_once_more);
	tcase_add_test(t, where_nobody_is_enrolled);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_keys();
	return failed ? 1 : 0;
}
