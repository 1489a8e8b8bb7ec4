/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge, with signatures that ssh-keygen makes and judges: each thing that must not count, by its name, and
 * what must. Time is the frames' own. Also the process that judges for the daemon.
 */
#include "tests/unit/sshsig/judged.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int request(const struct spec *s, const char *name, const char *key, const char *purpose, struct cof_buf *doc,
		   int64_t at, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	struct spec full = *s;

	if (!full.action) {
		full.policy = full.policy ? full.policy : weaker_text;
		if (!full.has_before)
			cof_sha256(policy_text, strlen(policy_text), full.before);
		full.has_before = true;
	}
	document(&full, doc);
	cof_field_put(&fields, COF_T_DOCUMENT, doc->data, doc->len);
	sign(&fields, name, key, purpose, doc);
	return take(REQUEST, 0, at, &fields, w);
}

static int vote(const struct cof_buf *doc, const char *name, const char *key, const char *purpose, uint8_t verdict, int64_t at,
		struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_sha256(doc->data, doc->len, id);
	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, verdict);
	if (name)
		sign(&fields, name, key, purpose, doc);
	return take(APPROVAL, 0, at, &fields, w);
}
#define APPROVE(doc, who, at, w) vote(doc, who, who, COF_SIGN_APPROVE, COF_VERDICT_APPROVE, at, w)

static int act(const struct cof_buf *doc, const char *policy, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_field_put_str(&fields, 27, policy);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take(SHELF, 2, NOW, &fields, w);
}

START_TEST(request_and_approval_once)
{
	cof_autobuf struct cof_buf doc = {0}, again = {0};
	struct cof_judgement w;
	int r = act(NULL, weaker_text, &w);

	REFUSED(r, w, "not-approved");
	r = request(&(struct spec){0}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	PERMITTED(r, w);
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "not-approved");
	r = APPROVE(&doc, "alice", NOW, &w);
	REFUSED(r, w, "author");
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
	r = APPROVE(&doc, "carol", NOW, &w);
	REFUSED(r, w, "finished");
	r = act(&doc, "retention = 1d\n", &w);
	REFUSED(r, w, "wrong-document");
	r = act(&doc, weaker_text, &w);
	PERMITTED(r, w);
	policy_is(policy_text); /* also where all is as it was again: it permitted that once */
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "finished");
	r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_DONE, NOW, &w);
	PERMITTED(r, w);
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "finished");
	r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_DONE, NOW, &w);
	REFUSED(r, w, "not-approved");
	cof_field_put(&again, COF_T_DOCUMENT, doc.data, doc.len);
	sign(&again, "alice", "alice", COF_SIGN_REQUEST, &doc);
	r = take(REQUEST, 0, NOW, &again, &w);
	REFUSED(r, w, "replay");
}
END_TEST

static int people_by(const struct cof_buf *doc, const char *text, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_sha256(doc->data, doc->len, id);
	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_str(&fields, COF_T_PEOPLE, text);
	return take(PEOPLE, 0, NOW, &fields, w);
}

/* Two requests that others approved: when one was carried out, the other one is about people that there are no more. */
START_TEST(what_was_approved_and_kept_back)
{
	const struct cof_people *now = cof_judge_people(judge);
	struct iovec iov[] = {{now->text, now->text_len}, {(void *)(uintptr_t)"", 1}, {now->revoked, now->revoked_len}};
	struct cof_buf doc[2] = {{0}}, text[2] = {{0}};
	struct spec s = {.action = "people-set", .has_before = true};
	struct cof_judgement w;
	int r;

	cof_sha256v(iov, 3, s.before);
	for (unsigned i = 0; i < 2; i++) {
		cof_buf_printf(&text[i], "alice %s roles=officer\nbob %s roles=officer\n%s %s roles=auditor\n", pub("alice"), pub("bob"),
			       i ? "carol" : "hana", pub(i ? "carol" : "hana"));
		s.people = (const char *)text[i].data;
		r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &doc[i], NOW, &w);
		PERMITTED(r, w);
		r = APPROVE(&doc[i], "bob", NOW, &w);
		PERMITTED(r, w);
		ck_assert(w.met);
	}
	r = people_by(&doc[0], (char *)text[0].data, &w);
	PERMITTED(r, w);
	r = people_by(&doc[1], (char *)text[1].data, &w);
	REFUSED(r, w, "changed-object");
	r = people_by(&doc[0], (char *)text[0].data, &w);
	REFUSED(r, w, "finished");
	for (unsigned i = 0; i < 2; i++) {
		cof_buf_done(&doc[i]);
		cof_buf_done(&text[i]);
	}
}
END_TEST

START_TEST(requests_that_do_not_count)
{
	static const struct {
		struct spec spec;
		const char *name, *key, *purpose, *rule;
		int64_t at;
	} rows[] = {
	    {{.archive = 9}, "alice", "alice", COF_SIGN_REQUEST, "wrong-archive", NOW},
	    {{.root = 9}, "alice", "alice", COF_SIGN_REQUEST, "wrong-head", NOW},
	    {{.size = 1000}, "alice", "alice", COF_SIGN_REQUEST, "wrong-head", NOW},
	    {{0}, "alice", "alice", COF_SIGN_REQUEST, "expired", NOW + DAY},
	    {{.action = "fly"}, "alice", "alice", COF_SIGN_REQUEST, "unknown-action", NOW},
	    {{0}, "bob", "bob", COF_SIGN_REQUEST, "author", NOW},
	    {{0}, "alice", "bob", COF_SIGN_REQUEST, "wrong-key", NOW},
	    {{0}, "alice", "alice", COF_SIGN_APPROVE, "wrong-purpose", NOW},
	    {{.author = "nobody"}, "nobody", "alice", COF_SIGN_REQUEST, "unknown-person", NOW},
	    {{.author = "dan"}, "dan", "dan", COF_SIGN_REQUEST, "key-interval", NOW},
	    {{.author = "gina"}, "gina", "gina", COF_SIGN_REQUEST, "revoked", NOW},
	    {{.has_before = true}, "alice", "alice", COF_SIGN_REQUEST, "changed-object", NOW},
	};

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		cof_autobuf struct cof_buf doc = {0};
		struct cof_judgement w;
		int r = request(&rows[i].spec, rows[i].name, rows[i].key, rows[i].purpose, &doc, rows[i].at, &w);

		REFUSED(r, w, rows[i].rule);
	}
}
END_TEST

START_TEST(approvals_that_do_not_count)
{
	cof_autobuf struct cof_buf doc = {0}, other = {0}, fields = {0};
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	policy_is("retention = 10d\napprove_policy = 3\n");
	r = request(&(struct spec){.has_before = true}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	REFUSED(r, w, "changed-object");
	strcpy(policy_text, "retention = 10d\n");
	{
		struct spec s = {.has_before = true};

		cof_sha256("retention = 10d\napprove_policy = 3\n", 35, s.before);
		r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
		r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &other, NOW, &w);
		PERMITTED(r, w);
	}
	r = APPROVE(&doc, "bob", NOW + DAY, &w);
	REFUSED(r, w, "expired");
	/* a signature over the other request */
	cof_sha256(doc.data, doc.len, id);
	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, COF_VERDICT_APPROVE);
	sign(&fields, "bob", "bob", COF_SIGN_APPROVE, &other);
	r = take(APPROVAL, 0, NOW, &fields, &w);
	REFUSED(r, w, "wrong-signature");
	r = vote(&doc, "bob", "bob", COF_SIGN_REFUSE, COF_VERDICT_APPROVE, NOW, &w);
	REFUSED(r, w, "wrong-purpose");
	/* one key, certified for two names by one authority */
	r = vote(&doc, "erin", "both", COF_SIGN_APPROVE, COF_VERDICT_APPROVE, NOW, &w);
	PERMITTED(r, w);
	ck_assert(!w.met);
	r = vote(&doc, "frank", "both", COF_SIGN_APPROVE, COF_VERDICT_APPROVE, NOW, &w);
	REFUSED(r, w, "same-key");
	r = vote(&doc, "erin", "both", COF_SIGN_APPROVE, COF_VERDICT_APPROVE, NOW, &w);
	REFUSED(r, w, "same-person");
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
	/* and refused, by one */
	r = vote(&other, "carol", "carol", COF_SIGN_REFUSE, COF_VERDICT_REFUSE, NOW, &w);
	PERMITTED(r, w);
	r = APPROVE(&other, "bob", NOW, &w);
	REFUSED(r, w, "finished");
}
END_TEST

START_TEST(people_files)
{
	static const char *const bad[] = {
	    "alice,bob KEY roles=officer\n", "a* KEY roles=officer\n", "alice KEY\n", "alice KEY roles=king\n",
	    "alice KEY roles=officer,auditor\n", "alice KEY roles=vault,officer\n", "alice KEY roles=officer",
	    "alice KEY roles=officer\nbob KEY roles=officer\n", "alice foo=\"x\" KEY roles=officer\n",
	    "\"alice\" KEY roles=officer\n", " alice KEY roles=officer\n", "alice KEY roles=officer verify-required\n", "",
	    "alice ssh-ed25519 AAAA roles=officer\n", "-alice KEY roles=officer\n", "alice KEY roles=officer roles=auditor\n",
	    "alice\tKEY roles=officer\n", "alice KEY roles=officer \xff\n",
	};

	for (size_t i = 0; i < COF_COUNT(bad); i++) {
		cof_autobuf struct cof_buf text = {0};
		struct cof_people p;
		struct cof_diag diag = {""};

		for (const char *at = bad[i]; *at;) {
			const char *key = strstr(at, "KEY");

			cof_buf_add(&text, at, key ? (size_t)(key - at) : strlen(at));
			if (key)
				cof_buf_printf(&text, "%s", pub("alice"));
			at = key ? key + 3 : at + strlen(at);
		}
		ck_assert_msg(cof_people_parse(text.data ? (char *)text.data : "", text.len, NULL, 0, NULL, &p, &diag) == -EUCLEAN,
			      "%s was taken", bad[i]);
		ck_assert_str_ne(diag.text, "");
	}
}
END_TEST

START_TEST(by_the_process_of_its_own)
{
	struct cof_sshsig *s;
	struct cof_diag diag = {""};

	ck_assert_int_eq(cof_sshsig_start(NULL, NULL, &s, &diag), 0);
	tear_down();
	verify = cof_sshsig_ask;
	verify_user = s;
	set_up();
	{
		cof_autobuf struct cof_buf doc = {0};
		struct cof_judgement w;
		int r = request(&(struct spec){.author = "gina"}, "gina", "gina", COF_SIGN_REQUEST, &doc, NOW, &w);

		REFUSED(r, w, "revoked");
		r = request(&(struct spec){0}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
	}
	cof_sshsig_end(s);
	verify = cof_sshsig_verify;
	verify_user = NULL;
}
END_TEST

static void commit(uint64_t ino, int64_t at, int64_t until, const struct cof_buf *more)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement w;
	int r;

	cof_field_put_i64(&fields, 24, until);
	cof_field_put_u64(&fields, COF_T_SHELF_INO, 2);
	cof_buf_add(&fields, more->data, more->len);
	r = take(COMMIT, ino, at, &fields, &w);
	PERMITTED(r, w);
}

/* What a file is kept for is known without keys: what its own certificates ask, and what those of others do. */
START_TEST(removal_before_certificates_end)
{
	cof_autobuf struct cof_buf doc = {0}, none = {0}, least = {0}, certs = {0}, follows = {0}, removal = {0};
	struct cof_judge_frame f = {.type = REMOVE};
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	for (f.object = 5; f.object <= 7; f.object++)
		ck_assert_int_eq(cof_judge_watch(judge, &f), 0);
	cof_field_put_i64(&least, 103, NOW + 20 * DAY);
	cof_field_put_i64(&follows, 163, DAY);
	cof_field_put_i64(&certs, 161, NOW + 30 * DAY);
	cof_field_put_i64(&certs, 162, 50 * DAY);
	commit(5, NOW, NOW + DAY, &none);
	commit(6, NOW, NOW + DAY, &least);
	commit(7, NOW, NOW + DAY, &follows);
	for (uint64_t ino = 5; ino <= 7; ino++) {
		static const int64_t ends[] = {1, 20, 49}; /* days; of the last 50 from its commit, a day before NOW */

		doc.len = removal.len = 0;
		if (ino == 7) /* they come later, in another file's frame */
			commit(9, NOW + 2 * DAY, NOW + 90 * DAY, &certs);
		r = request(&(struct spec){.action = "remove", .ino = ino, .size = sequence, .expires = NOW + 80 * DAY}, "alice", "alice",
			    COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
		r = APPROVE(&doc, "carol", NOW, &w);
		PERMITTED(r, w);
		cof_sha256(doc.data, doc.len, id);
		cof_field_put(&removal, COF_T_REQUEST, id, 32);
		/* retention time is a day less than the time that is given */
		r = take(REMOVE, ino, NOW + (ends[ino - 5] + 1) * DAY - 1, &removal, &w);
		REFUSED(r, w, "retained");
		r = take(REMOVE, ino, NOW + (ends[ino - 5] + 1) * DAY, &removal, &w);
		PERMITTED(r, w);
	}
}
END_TEST

static int extend(uint64_t ino, int64_t until, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_field_put_i64(&fields, 24, until);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take(11, ino, NOW, &fields, w);
}

static int hold(uint8_t what, uint64_t id, uint64_t ino, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t range[16], request_id[32];

	cof_put_le64(range, ino);
	cof_put_le64(range + 8, 1);
	cof_field_put_u8(&fields, 96, what);
	cof_field_put_u64(&fields, 97, id);
	cof_field_put(&fields, 98, range, sizeof(range));
	if (doc) {
		cof_sha256(doc->data, doc->len, request_id);
		cof_field_put(&fields, COF_T_REQUEST, request_id, 32);
	}
	return take(22, 0, NOW, &fields, w);
}

/* An extension or a hold between the look at the objects and the frame: that request fails, and nobody is to blame. */
START_TEST(objects_that_change_before_the_frame)
{
	/* nothing, an extension, a hold, an approved other end comes in between */
	for (unsigned what = 0; what < 4; what++) {
		cof_autobuf struct cof_buf doc = {0}, removal = {0}, none = {0}, other = {0};
		struct spec s = {.action = "remove", .ino = 5 + what, .size = sequence, .expires = NOW + 80 * DAY};
		struct cof_judgement w;
		uint8_t id[32];
		int r;

		ck_assert_int_eq(cof_judge_watch(judge, &(struct cof_judge_frame){.type = REMOVE, .object = 5 + what}), 0);
		commit(5 + what, NOW - 4 * DAY, NOW - 3 * DAY, &none);
		s.size = sequence;
		r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
		r = what == 1 ? extend(6, NOW - 2 * DAY, NULL, &w) : what == 2 ? hold(1, 77, 7, NULL, &w) : 0;
		ck_assert_int_eq(r, 0);
		if (what == 3) {
			s.action = "retention-end";
			s.until = NOW - 2 * DAY;
			r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &other, NOW, &w);
			PERMITTED(r, w);
			r = APPROVE(&other, "bob", NOW, &w);
			PERMITTED(r, w);
			ck_assert(w.met);
			r = extend(8, NOW - 3 * DAY, &other, &w);
			REFUSED(r, w, "wrong-document");
			r = extend(8, NOW - 2 * DAY, &other, &w);
			PERMITTED(r, w);
		}
		r = APPROVE(&doc, "carol", NOW, &w);
		PERMITTED(r, w);
		ck_assert_int_eq(w.met, what == 0);
		cof_sha256(doc.data, doc.len, id);
		cof_field_put(&removal, COF_T_REQUEST, id, 32);
		r = take(REMOVE, 5 + what, NOW + DAY, &removal, &w);
		if (!what) {
			PERMITTED(r, w);
			continue;
		}
		REFUSED(r, w, "finished");
		r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_DONE, NOW, &w);
		REFUSED(r, w, "not-approved");
		r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_FAILED, NOW, &w);
		PERMITTED(r, w);
		r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_FAILED, NOW, &w);
		REFUSED(r, w, "not-approved");
	}
}
END_TEST

static int remove_one(uint64_t ino, struct cof_judgement *w)
{
	static const struct cof_buf nothing;

	return take(REMOVE, ino, NOW, &nothing, w);
}

/* What the document leaves out counts for all that: the rule of the shelf where the hold's files lie. */
START_TEST(end_of_a_hold_by_its_shelves)
{
	cof_autobuf struct cof_buf doc = {0}, none = {0};
	struct cof_judgement w;
	char policy[600];
	int r;

	snprintf(policy, sizeof(policy), "%sapprove_hold_end = 3\n", policy_text);
	policy_is(policy);
	ck_assert_int_eq(cof_judge_watch(judge, &(struct cof_judge_frame){.type = REMOVE, .object = 5}), 0);
	ck_assert_int_eq(hold(1, 77, 5, NULL, &w), 0);
	commit(5, NOW - 4 * DAY, NOW - 3 * DAY, &none);
	r = request(&(struct spec){.action = "hold-end", .hold = 77}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	PERMITTED(r, w);
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	ck_assert(!w.met);
	r = hold(3, 77, 0, &doc, &w);
	REFUSED(r, w, "not-approved");
	r = APPROVE(&doc, "carol", NOW, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
	r = hold(3, 77, 0, &doc, &w);
	PERMITTED(r, w);
}
END_TEST

/* Listing went on while the end was written. */
START_TEST(hold_that_lists_behind_its_end)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	for (uint64_t ino = 5; ino <= 7; ino++)
		ck_assert_int_eq(cof_judge_watch(judge, &(struct cof_judge_frame){.type = REMOVE, .object = ino}), 0);
	ck_assert_int_eq(hold(1, 77, 5, NULL, &w), 0);
	ck_assert_int_eq(hold(2, 77, 6, NULL, &w), 0);
	r = remove_one(6, &w);
	REFUSED(r, w, "held");
	r = request(&(struct spec){.action = "hold-end", .hold = 77}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	PERMITTED(r, w);
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	r = hold(3, 77, 0, &doc, &w);
	PERMITTED(r, w);
	ck_assert_int_eq(hold(2, 77, 7, NULL, &w), 0);
	for (uint64_t ino = 5; ino <= 7; ino++) {
		r = remove_one(ino, &w);
		PERMITTED(r, w);
	}
}
END_TEST

/* A clock that is ahead, or a date that somebody wrote, makes no request live for longer. */
START_TEST(made_later_than_now)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r = request(&(struct spec){.created = NOW + 3 * DAY, .expires = NOW + 93 * DAY}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);

	REFUSED(r, w, "created");
	r = request(&(struct spec){.created = NOW + DAY, .expires = NOW + 91 * DAY}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	PERMITTED(r, w);
	r = request(&(struct spec){.created = NOW + 3 * DAY, .expires = NOW + 80 * DAY}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	PERMITTED(r, w);
}
END_TEST

static int watch(uint64_t first, uint64_t count, bool approved)
{
	cof_autobuf struct cof_buf doc = {0}, request = {0}, approval = {0};
	struct cof_judge_frame f = {.type = REQUEST};
	uint8_t id[32];
	int r;

	document(&(struct spec){.action = "remove", .ino = first, .count = count}, &doc);
	cof_sha256(doc.data, doc.len, id);
	cof_field_put(&request, COF_T_DOCUMENT, doc.data, doc.len);
	f.fields = request.data;
	f.n = request.len;
	r = cof_judge_watch(judge, &f);
	if (r < 0 || !approved)
		return r;
	cof_field_put(&approval, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&approval, COF_T_VERDICT, COF_VERDICT_APPROVE);
	f = (struct cof_judge_frame){.type = APPROVAL, .fields = approval.data, .n = approval.len};
	return cof_judge_watch(judge, &f);
}

/* Whoever may make requests keeps nobody from judging by the files that they name. */
START_TEST(many_that_nobody_approves)
{
	cof_autobuf struct cof_buf none = {0};
	struct cof_judgement w;
	int r;

	for (uint64_t i = 0; i < 2 * COF_WATCHED_MAX / 100000; i++)
		ck_assert_int_eq(watch(1000 + i * 100000, 100000, false), 0);
	ck_assert_int_eq(watch(5, 1, true), 0);
	commit(5, NOW - 4 * DAY, NOW - 3 * DAY, &none);
	commit(1000, NOW - 4 * DAY, NOW - 3 * DAY, &none);
	r = remove_one(5, &w); /* is followed */
	REFUSED(r, w, "not-approved");
	r = remove_one(1000, &w);
	PERMITTED(r, w);
}
END_TEST

START_TEST(where_nobody_is_enrolled)
{
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	int r;

	without_people();
	r = request(&(struct spec){0}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	REFUSED(r, w, "no-people");
	r = APPROVE(&doc, "bob", NOW, &w);
	REFUSED(r, w, "unknown-request");
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "unknown-request");
}
END_TEST

static int verdict; /* of what judges signatures, where it is not 0 */

static int may_fail(void *user, const struct cof_signature *s, struct cof_diag *diag)
{
	return verdict ? cof_fail(diag, verdict, "there is no ssh-keygen here") : cof_sshsig_verify(user, s, diag);
}

/* What could not be looked at is neither refused nor taken: it may come again, and then it counts. */
START_TEST(not_judged)
{
	static const int errors[] = {-EIO, -ENOENT, -ETIMEDOUT, -ENOMEM};
	cof_autobuf struct cof_buf doc = {0}, fields = {0};
	struct spec s = {.has_before = true};
	struct cof_judgement w;
	int r;

	tear_down();
	verify = may_fail;
	set_up();
	cof_sha256(policy_text, strlen(policy_text), s.before);
	s.policy = weaker_text;
	document(&s, &doc);
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	sign(&fields, "alice", "alice", COF_SIGN_REQUEST, &doc);
	for (size_t i = 0; i < COF_COUNT(errors); i++) {
		verdict = errors[i];
		r = take(REQUEST, 0, NOW, &fields, &w);
		ck_assert_int_eq(r, errors[i]);
		ck_assert_str_eq(w.rule, "not-judged");
		ck_assert_msg(strstr(w.reason, "alice") && strstr(w.reason, "no ssh-keygen"), "%s", w.reason);
	}
	verdict = 0;
	r = take(REQUEST, 0, NOW, &fields, &w);
	PERMITTED(r, w);
	verdict = -EIO;
	r = APPROVE(&doc, "bob", NOW, &w);
	ck_assert_int_eq(r, -EIO);
	ck_assert_str_eq(w.rule, "not-judged");
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "not-approved");
	verdict = 0;
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
	verify = cof_sshsig_verify;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("approve");
	TCase *t = tcase_create("judge");
	SRunner *runner;
	int failed;

	if (access("/usr/bin/ssh-keygen", X_OK) < 0)
		return 77;
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	make_keys();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, request_and_approval_once);
	tcase_add_test(t, what_was_approved_and_kept_back);
	tcase_add_test(t, requests_that_do_not_count);
	tcase_add_test(t, approvals_that_do_not_count);
	tcase_add_test(t, people_files);
	tcase_add_test(t, where_nobody_is_enrolled);
	tcase_add_test(t, not_judged);
	tcase_add_test(t, removal_before_certificates_end);
	tcase_add_test(t, objects_that_change_before_the_frame);
	tcase_add_test(t, end_of_a_hold_by_its_shelves);
	tcase_add_test(t, hold_that_lists_behind_its_end);
	tcase_add_test(t, made_later_than_now);
	tcase_add_test(t, many_that_nobody_approves);
	tcase_add_test(t, by_the_process_of_its_own);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_keys();
	return failed ? 1 : 0;
}
