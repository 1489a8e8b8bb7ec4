/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who approves: each rule ("2" to "4", with any of the four roles asked for) of each shelf's action, by each author
 * and each set of approvers, some twenty thousand cells, against J1 and J3 of approve.h written down here a second
 * time. Signatures are taken for good: that they are is test-approve.c's.
 */
#include "crypto/crypto.h"
#include "fs/rules/approve.h"

#include <check.h>
#include <stdio.h>

#define DAY (86400 * COF_NSEC)
#define NOW (INT64_C(1900000000) * COF_NSEC)
enum { SHELF = 29, PEOPLE = 19, REQUEST = 20, APPROVAL = 21, INO = 2 };
#define BLOB 51 /* an Ed25519 key on the wire */

static const struct {
	const char *name, *roles;
	unsigned has;
} persons[] = {
    {"alice", "officer", COF_ROLE_OFFICER},
    {"bob", "officer", COF_ROLE_OFFICER},
    {"carol", "auditor", COF_ROLE_AUDITOR},
    {"dan", "custodian,operator", COF_ROLE_CUSTODIAN | COF_ROLE_OPERATOR},
    {"erin", "custodian", COF_ROLE_CUSTODIAN},
    {"frank", "vault", COF_ROLE_VAULT},
};
#define PERSONS COF_COUNT(persons)

static const struct { /* an action of a shelf, and the policy's key for its rule */
	const char *action, *key;
} actions[] = {{"shelf-set", "approve_policy"}, {"remove", "approve_remove"}, {"retention-end", "approve_retention_end"}};

static uint64_t sequence;

static int good(void *user COF_UNUSED, const struct cof_signature *s COF_UNUSED, struct cof_diag *diag COF_UNUSED)
{
	return 0;
}

static int head(void *user COF_UNUSED, uint64_t size COF_UNUSED, uint8_t ret[32])
{
	memset(ret, 7, 32);
	return 0;
}

static void put_string(struct cof_buf *b, const void *p, size_t n)
{
	uint8_t len[4];

	cof_put_be32(len, (uint32_t)n);
	cof_buf_add(b, len, 4);
	cof_buf_add(b, p, n);
}

static void put_key(struct cof_buf *b, size_t person)
{
	uint8_t point[32];

	memset(point, (int)person + 1, sizeof(point));
	put_string(b, "ssh-ed25519", 11);
	put_string(b, point, sizeof(point));
}

static void add_signature(struct cof_buf *fields, size_t person, const char *purpose)
{
	cof_autobuf struct cof_buf key = {0}, raw = {0}, value = {0};
	char text[600];

	put_key(&key, person);
	cof_buf_add(&raw, "SSHSIG\0\0\0\1", 10);
	put_string(&raw, key.data, key.len);
	put_string(&raw, purpose, strlen(purpose));
	put_string(&raw, "", 0);
	put_string(&raw, "sha512", 6);
	put_string(&raw, "\0\0\0\13ssh-ed25519\0\0\0\1x", 20);
	ck_assert_uint_lt(cof_base64_len(raw.len), sizeof(text));
	cof_base64(raw.data, raw.len, text);
	cof_buf_add(&value, persons[person].name, strlen(persons[person].name) + 1);
	cof_buf_printf(&value, "-----BEGIN SSH SIGNATURE-----\n");
	for (const char *at = text; *at; at += COF_MIN(strlen(at), 70))
		cof_buf_printf(&value, "%.70s\n", at);
	cof_buf_printf(&value, "-----END SSH SIGNATURE-----\n");
	cof_field_put(fields, COF_T_SIGNATURE, value.data, value.len);
}

static int take(struct cof_judge *j, unsigned type, uint64_t object, const struct cof_buf *fields, struct cof_judgement *w)
{
	struct cof_judge_frame f = {.type = type, .sequence = sequence++, .object = object, .record_time = NOW,
				    .retention_time = NOW - DAY, .proven_from = INT64_MIN, .fields = fields->data,
				    .n = fields->len};

	return cof_judge_take(j, &f, w);
}

static void set_hex(struct cof_json *o, const char *key, int byte, size_t n)
{
	char text[65] = "";

	for (size_t i = 0; i < n; i++)
		sprintf(text + 2 * i, "%02x", (unsigned)byte);
	cof_json_set_str(o, key, text);
}

/* A document of this action by this author; extra: what the action has beside. */
static void document(const char *action, const char *author, void (*extra)(struct cof_json *o, const char *action),
		     struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *h = cof_json_object();

	cof_json_set_str(o, "action", action);
	set_hex(o, "archive", 1, 16);
	cof_json_set_str(o, "author", author);
	cof_json_set_time(o, "created", NOW);
	cof_json_set_time(o, "expires", NOW + DAY);
	set_hex(h, "root", 7, 32);
	cof_json_set_uint(h, "size", 1);
	cof_json_set(o, "head", h);
	set_hex(o, "nonce", 3, 16);
	set_hex(o, "sheet", 0, 32);
	cof_json_set_int(o, "version", 1);
	if (extra)
		extra(o, action);
	ck_assert_int_eq(cof_json_canonical(o, ret), 0);
}

static char people_text[2000], policy_text[200];

static void of_people(struct cof_json *o, const char *action COF_UNUSED)
{
	cof_json_set_str(o, "people", people_text);
}

static void of_shelf(struct cof_json *o, const char *action)
{
	struct cof_json *shelves = cof_json_array(), *range = cof_json_array(), *all = cof_json_array();

	cof_json_append(shelves, cof_json_new_uint(INO));
	cof_json_set(o, "shelves", shelves);
	cof_json_append(range, cof_json_new_uint(9));
	cof_json_append(range, cof_json_new_uint(1));
	cof_json_append(all, range);
	if (!strcmp(action, "shelf-set")) {
		uint8_t digest[32];
		char text[65];

		cof_sha256(policy_text, strlen(policy_text), digest);
		cof_hex(digest, sizeof(digest), text);
		cof_json_set_str(o, "before", text);
		cof_json_set_str(o, "policy", "retention = 5d\n");
	}
	if (!strcmp(action, "retention-end"))
		cof_json_set_time(o, "until", NOW + DAY);
	if (strcmp(action, "shelf-set") != 0)
		cof_json_set(o, "objects", all);
	else
		cof_json_free(all);
}

/* NULL: the shelf may not be. */
static struct cof_judge *archive(void)
{
	struct cof_judge_params p = {.verify = good, .head = head};
	cof_autobuf struct cof_buf shelf = {0}, people = {0}, doc = {0};
	struct cof_judge *j;
	struct cof_judgement w;

	memset(p.archive_id, 1, 16);
	sequence = 1;
	ck_assert_int_eq(cof_judge_new(&p, &j), 0);
	cof_field_put_str(&shelf, 27, policy_text);
	if (take(j, SHELF, INO, &shelf, &w) < 0) {
		cof_judge_free(j);
		return NULL;
	}
	document("people-first", "alice", of_people, &doc);
	cof_field_put_str(&people, COF_T_PEOPLE, people_text);
	cof_field_put(&people, COF_T_DOCUMENT, doc.data, doc.len);
	add_signature(&people, 0, COF_SIGN_PEOPLE);
	add_signature(&people, 1, COF_SIGN_PEOPLE);
	ck_assert_msg(take(j, PEOPLE, 0, &people, &w) == 0, "%s: %s", w.rule, w.reason);
	return j;
}

static int request(struct cof_judge *j, const char *action, size_t author, struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};

	document(action, persons[author].name, of_shelf, doc);
	cof_field_put(&fields, COF_T_DOCUMENT, doc->data, doc->len);
	add_signature(&fields, author, COF_SIGN_REQUEST);
	return take(j, REQUEST, 0, &fields, w);
}

static int approve(struct cof_judge *j, const uint8_t id[32], size_t person, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};

	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, COF_VERDICT_APPROVE);
	add_signature(&fields, person, COF_SIGN_APPROVE);
	return take(j, APPROVAL, 0, &fields, w);
}

/* One cell, approver after approver, and what each has to be told. */
static void check_cell(const char *action, unsigned least, unsigned roles, size_t author, unsigned approvers)
{
	struct cof_judge *j = archive();
	cof_autobuf struct cof_buf doc = {0};
	struct cof_judgement w;
	struct cof_request_view view;
	unsigned signers = 1, held = persons[author].has;
	bool met = false;
	int r;

	ck_assert_msg(!j == (!strcmp(action, "remove") && !(roles & COF_ROLE_AUDITOR)),
		      "a removal without an auditor is no rule, all others are: %s %u %x", action, least, roles);
	if (!j)
		return;
	r = request(j, action, author, &doc, &w);
	if (persons[author].has == COF_ROLE_VAULT) {
		ck_assert_msg(r == -EPERM && !strcmp(w.rule, "role"), "a vault requests: %s", w.rule);
		cof_judge_free(j);
		return;
	}
	ck_assert_msg(r == 0, "%s by %s: %s: %s", action, persons[author].name, w.rule, w.reason);
	for (size_t i = 0; i < PERSONS; i++) {
		const char *rule = NULL;

		if (!(approvers >> i & 1))
			continue;
		if (met)
			rule = "finished";
		else if (i == author)
			rule = "author";
		else if (persons[i].has == COF_ROLE_VAULT)
			rule = "role";
		r = approve(j, w.request, i, &w);
		ck_assert_msg(rule ? r == -EPERM && !strcmp(w.rule, rule) : r == 0, "%s \"%u\"/%x by %s, %s: %s, not %s",
			      action, least, roles, persons[author].name, persons[i].name, r ? w.rule : "permitted",
			      rule ? rule : "permitted");
		if (rule)
			continue;
		signers++;
		held |= persons[i].has;
		met = signers >= least && (held & roles) == roles;
		ck_assert_msg(w.met == met, "%s \"%u\"/%x by %s with %x: %smet", action, least, roles, persons[author].name,
			      approvers, w.met ? "" : "not ");
	}
	ck_assert_int_eq(cof_judge_request(j, w.request, &view), 0);
	ck_assert_int_eq(view.state, met ? COF_REQUEST_MET : COF_REQUEST_OPEN);
	ck_assert_uint_eq(view.n_signers, signers);
	cof_judge_free(j);
}

START_TEST(who_approves)
{
	struct cof_approval_rule rule = {2 + (unsigned)_i / 16 % 3, (unsigned)_i % 16};
	const char *action = actions[_i / 48].action;
	char text[64];

	cof_approval_rule_text(&rule, text);
	snprintf(policy_text, sizeof(policy_text), "retention = 10d\nmode = governance\n%s = %s\n", actions[_i / 48].key, text);
	people_text[0] = '\0';
	for (size_t i = 0, n = 0; i < PERSONS; i++) {
		cof_autobuf struct cof_buf key = {0};
		char base64[2 * BLOB];

		put_key(&key, i);
		ck_assert_uint_eq(key.len, BLOB);
		cof_base64(key.data, key.len, base64);
		n += (size_t)snprintf(people_text + n, sizeof(people_text) - n, "%s ssh-ed25519 %s roles=%s\n",
				      persons[i].name, base64, persons[i].roles);
	}
	for (size_t author = 0; author < PERSONS; author++)
		for (unsigned approvers = 0; approvers < (author == PERSONS - 1 ? 1u : 1u << PERSONS); approvers++)
			check_cell(action, rule.persons, rule.roles, author, approvers);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("roles");
	TCase *c = tcase_create("table");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, who_approves, 0, (int)COF_COUNT(actions) * 48);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
