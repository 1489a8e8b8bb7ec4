/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge without keys on DESTROY and RECEIPT frames: a chain whose people and shelves a real archive wrote goes on with frames that no
 * archive would write, and of each it has to say whether it was permitted, and if not by which rule.
 */
#include <stdio.h>

#include "fs/archive/people.h"
#include "fs/rules/receipt.h"
#include "tests/sim/rules-sign.h"
#include "tests/sim/rules-world.h"

enum { OFFICER = 0, OTHER_OFFICER = 1, AUDITOR = 2 };
enum { COMMIT = 10, REMOVE = 13, REQUEST = 20, APPROVAL = 21, HOLD = 22, DESTROY = 23, RECEIPT = 24, ESCROW = 30, VAULT = 31, MEDIUM = 14 };
enum { RETAIN_UNTIL = 24, HOLD_WHAT = 96, HOLD_RANGES = 98, EVENT_NAME = 101, LEAST = 103, MODE = 104, WHAT = 190, SHELF = 191 };
enum { NOT_NAMED = 1000, OVER, RUNNING, HELD, OPEN, REMOVED, ESCROWED, KEPT, WAITS, GOVERNED, GOVERNED_LEAST, ENDLESS, LAST };
#define DAY (86400 * COF_NSEC)

struct trial {
	struct rules_world w;
	struct cof_judge *judge;
	uint64_t sequence;
	bool watch; /* the first pass */
	struct cof_buf doc;
	uint8_t id[32];
	const char *rule;
	uint64_t first, last; /* DESTROY frames that counted */
	unsigned counted;
};

static int feed(struct trial *t, unsigned type, uint64_t ino, const struct cof_buf *fields)
{
	const struct cof_judge_frame f = {.type = type,
					  .sequence = t->sequence++,
					  .object = ino,
					  .record_time = t->w.m.now,
					  .retention_time = t->w.m.now,
					  .proven_from = INT64_MIN,
					  .fields = fields && fields->data ? fields->data : (const uint8_t *)"",
					  .n = fields ? fields->len : 0};
	struct cof_judgement said = {.rule = NULL};
	int r = t->watch ? cof_judge_watch(t->judge, &f) : cof_judge_take(t->judge, &f, &said);

	t->rule = said.rule;
	return r;
}

static void right(struct trial *t, unsigned type, uint64_t ino, const struct cof_buf *fields)
{
	int r = feed(t, type, ino, fields);

	ck_assert_msg(r == 0, "frame of type %u of %llu: %s", type, (unsigned long long)ino, t->rule ? t->rule : "?");
}

static int one_frame(void *user, const struct cof_frame *f, const struct cof_buf *fields)
{
	struct trial *t = user;

	t->sequence = f->sequence;
	right(t, f->type, f->object, fields);
	return 0;
}

/* ---- the files ---- */

static void committed(struct trial *t, uint64_t ino, int64_t until, int64_t least, uint8_t mode, bool waits)
{
	cof_autobuf struct cof_buf b = {0};

	if (until != COF_RETAIN_NONE)
		cof_field_put_i64(&b, RETAIN_UNTIL, until);
	if (least)
		cof_field_put_i64(&b, LEAST, least);
	cof_field_put_u8(&b, MODE, mode);
	if (waits)
		cof_field_put_str(&b, EVENT_NAME, "closed");
	right(t, COMMIT, ino, &b);
}

static void escrowed(struct trial *t, uint64_t ino)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put_u8(&b, WHAT, MEDIUM);
	cof_field_put_u64(&b, SHELF, t->w.m.node[0].ino);
	right(t, ESCROW, ino, &b);
}

static void hold(struct trial *t, uint64_t ino)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t range[16];

	cof_put_le64(range, ino);
	cof_put_le64(range + 8, 1);
	cof_field_put_u8(&b, HOLD_WHAT, 1);
	cof_field_put(&b, HOLD_RANGES, range, sizeof(range));
	right(t, HOLD, 0, &b);
}

static void files(struct trial *t)
{
	int64_t now = t->w.m.now;

	committed(t, NOT_NAMED, now - DAY, 0, COF_COMPLIANCE, false);
	committed(t, OVER, now - DAY, 0, COF_COMPLIANCE, false);
	committed(t, RUNNING, now + DAY, 0, COF_GOVERNANCE, false);
	committed(t, HELD, now - DAY, 0, COF_COMPLIANCE, false);
	hold(t, HELD);
	right(t, REMOVE, REMOVED, NULL);
	committed(t, ESCROWED, COF_RETAIN_NONE, 0, COF_COMPLIANCE, false);
	committed(t, KEPT, now + DAY, 0, COF_COMPLIANCE, false);
	committed(t, WAITS, now - DAY, 0, COF_COMPLIANCE, true);
	committed(t, GOVERNED, COF_RETAIN_INFINITE, 0, COF_GOVERNANCE, false);
	committed(t, GOVERNED_LEAST, COF_RETAIN_INFINITE, now + DAY, COF_GOVERNANCE, false);
	committed(t, ENDLESS, COF_RETAIN_NONE, 0, COF_GOVERNANCE, false);
	escrowed(t, ESCROWED);
	escrowed(t, KEPT);
	escrowed(t, GOVERNED);
	escrowed(t, GOVERNED_LEAST);
}

/* ---- the request ---- */

static void write_document(struct trial *t)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *head = cof_json_object(), *objects = cof_json_array(), *range = cof_json_array(), *shelves = cof_json_array();
	char hex[65], zeros[65];

	memset(zeros, '0', 64);
	zeros[64] = '\0';
	cof_hex(t->w.archive->conf.id, 16, hex);
	cof_json_set_str(o, "archive", hex);
	cof_json_set_str(o, "action", "destroy");
	cof_json_set_str(o, "author", sign_name[OFFICER]);
	cof_json_set_time(o, "created", t->w.m.now / COF_NSEC * COF_NSEC);
	cof_json_set_time(o, "expires", (t->w.m.now + 7 * DAY) / COF_NSEC * COF_NSEC);
	cof_json_set_str(head, "root", zeros);
	cof_json_set_uint(head, "size", t->sequence);
	cof_json_set(o, "head", head);
	cof_json_set_str(o, "sheet", zeros);
	zeros[32] = '\0';
	cof_json_set_str(o, "nonce", zeros);
	cof_json_append(range, cof_json_new_uint(OVER));
	cof_json_append(range, cof_json_new_uint(LAST - OVER));
	cof_json_append(objects, range);
	cof_json_set(o, "objects", objects);
	cof_json_append(shelves, cof_json_new_uint(t->w.m.node[0].ino));
	cof_json_set(o, "shelves", shelves);
	cof_json_set_uint(o, "version", 1);
	ck_assert_int_eq(cof_json_canonical(o, &t->doc), 0);
	cof_sha256(t->doc.data, t->doc.len, t->id);
}

static void add_signature(struct trial *t, struct cof_buf *b, unsigned who, const char *purpose)
{
	cof_autobuf struct cof_buf armored = {0}, value = {0};

	sign_document(who, purpose, t->doc.data, t->doc.len, true, &armored);
	cof_buf_add(&value, sign_name[who], strlen(sign_name[who]) + 1);
	cof_buf_add(&value, armored.data, armored.len);
	cof_field_put(b, COF_T_SIGNATURE, value.data, value.len);
}

static void submit(struct trial *t)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put(&b, COF_T_REQUEST, t->id, 32);
	cof_field_put(&b, COF_T_DOCUMENT, t->doc.data, t->doc.len);
	add_signature(t, &b, OFFICER, COF_SIGN_REQUEST);
	right(t, REQUEST, 0, &b);
}

static void approve(struct trial *t, unsigned who)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put(&b, COF_T_REQUEST, t->id, 32);
	cof_field_put_u8(&b, COF_T_VERDICT, COF_VERDICT_APPROVE);
	add_signature(t, &b, who, COF_SIGN_APPROVE);
	right(t, APPROVAL, 0, &b);
}

static void destroy(struct trial *t, uint64_t ino, const char *want)
{
	cof_autobuf struct cof_buf b = {0};
	int r;

	cof_field_put(&b, COF_T_REQUEST, t->id, 32);
	if (!want) {
		t->first = t->first ? t->first : t->sequence;
		t->last = t->sequence;
	}
	r = feed(t, DESTROY, ino, &b);
	if (t->watch)
		want = NULL;
	ck_assert_msg(r == (want ? -EPERM : 0), "%llu: %d, %s", (unsigned long long)ino, r, t->rule ? t->rule : "permitted");
	ck_assert_msg(!want || !strcmp(t->rule, want), "%llu: %s, not %s", (unsigned long long)ino, t->rule, want ? want : "");
}

/* ---- what vaults sign of it ---- */

static const uint8_t seed[2][32] = {{1}, {2}}; /* of a vault on record, and of one that is not */

static void key_of(unsigned vault, struct cof_vkey *ret)
{
	uint8_t key[32];

	ck_assert_int_eq(cof_ed25519_public(seed[vault], key), 0);
	ck_assert_int_eq(cof_vkey_make(vault ? "vault.example/c" : "vault.example/b", COF_NOTE_COSIG, key, ret), 0);
}

static void meet_vault(struct trial *t)
{
	cof_autobuf struct cof_buf b = {0};
	char text[COF_VKEY_MAX];
	struct cof_vkey key;

	key_of(0, &key);
	cof_vkey_text(&key, text);
	cof_field_put_u8(&b, COF_T_RECORD, 1);
	cof_field_put_str(&b, COF_T_RECORD_NAME, "b");
	cof_field_put_str(&b, COF_T_VAULT, text);
	right(t, VAULT, 0, &b);
}

struct lie {
	const char *rule; /* that it breaks; NULL: none */
	unsigned vault, named, signer; /* whose receipt it is, whom the frame names, who signed */
	uint64_t more; /* an inode besides; 0: none */
	uint64_t first, leaves; /* beyond what they are */
	bool archive, request, root, early;
};

static void receipt(struct trial *t, const struct lie *l)
{
	static const uint64_t gone[] = {OVER, REMOVED, ESCROWED, GOVERNED};
	struct cof_receipt r = {.size = t->last + 1, .first = t->first + l->first, .last = t->last, .from = REMOVED, .leaves = 3 + l->leaves,
				.frames = 4, .bytes = 400, .key = COF_RECEIPT_FILE, .begun = t->w.m.now, .ended = t->w.m.now};
	cof_autobuf struct cof_buf text = {0}, b = {0};
	char named[COF_VKEY_MAX];
	struct cof_vkey key;
	int e;

	memcpy(r.archive, t->w.archive->conf.id, 16);
	memcpy(r.request, t->id, 32);
	r.archive[0] ^= l->archive;
	r.request[0] ^= l->request;
	r.root[0] ^= l->root;
	r.size -= l->early;
	r.last -= l->early;
	key_of(l->vault, &r.vkey);
	if (l->more == NOT_NAMED)
		ck_assert_int_eq(cof_receipt_add(&r, NOT_NAMED), 0);
	for (size_t i = 0; i < COF_COUNT(gone); i++) {
		ck_assert_int_eq(cof_receipt_add(&r, gone[i]), 0);
		if (l->more == RUNNING && gone[i] == OVER)
			ck_assert_int_eq(cof_receipt_add(&r, RUNNING), 0);
	}
	ck_assert_int_eq(cof_receipt_sign(&r, seed[l->signer], &text), 0);
	cof_receipt_done(&r);
	key_of(l->named, &key);
	cof_vkey_text(&key, named);
	cof_field_put_str(&b, COF_T_VAULT, named);
	cof_field_put(&b, COF_T_REQUEST, r.request, 32);
	cof_field_put(&b, COF_T_RECEIPT, text.data, text.len);
	e = feed(t, RECEIPT, 0, &b);
	if (t->watch)
		return;
	ck_assert_msg(e == (l->rule ? -EPERM : 0), "%s: %d, %s", l->rule ? l->rule : "right", e, t->rule ? t->rule : "permitted");
	ck_assert_msg(!l->rule || !strcmp(t->rule, l->rule), "%s, not %s", t->rule, l->rule ? l->rule : "");
}

static void receipts(struct trial *t)
{
	static const struct lie lies[] = {
		{.rule = "wrong-signature", .signer = 1},
		{.rule = "wrong-vault", .named = 1},
		{.rule = "unknown-vault", .vault = 1, .named = 1, .signer = 1},
		{.rule = "wrong-archive", .archive = true},
		{.rule = "unknown-request", .request = true},
		{.rule = "wrong-head", .root = true},
		{.rule = "not-destroyed", .early = true},
		{.rule = "not-destroyed", .more = RUNNING},
		{.rule = "wrong-document", .more = NOT_NAMED},
		{.rule = "wrong-frames", .first = 1},
		{.rule = "keys-left", .leaves = -UINT64_C(1)},
		{.rule = NULL},
		{.rule = "replay"},
	};

	for (size_t i = 0; i < COF_COUNT(lies); i++)
		receipt(t, &lies[i]);
}

/* Of the archive's own frames what they give; of those that it never wrote zeros. */
static int head(void *user, uint64_t size, uint8_t ret[32])
{
	struct trial *t = user;
	int r = cof_tree_head(t->w.archive->io, size, ret);

	if (r == -ENOENT)
		memset(ret, 0, 32);
	return r == -ENOENT ? 0 : r;
}

/* What a vault carries out: the four that counted, and nothing else. */
static int counted(void *user, uint64_t inode, uint64_t sequence, const uint8_t request[32])
{
	struct trial *t = user;

	ck_assert(inode == OVER || inode == REMOVED || inode == ESCROWED || inode == GOVERNED);
	ck_assert(sequence >= t->first && sequence <= t->last && !memcmp(request, t->id, 32));
	t->counted++;
	return 0;
}

static void play(struct trial *t)
{
	cof_autobuf struct cof_buf done = {0};

	ck_assert_int_eq(cof_people_each(t->w.archive, one_frame, t), 0);
	t->sequence++;
	files(t);
	if (t->watch)
		write_document(t);
	submit(t);
	destroy(t, OVER, "not-approved");
	approve(t, OTHER_OFFICER);
	destroy(t, OVER, "not-approved"); /* two persons, and no auditor */
	approve(t, AUDITOR);
	destroy(t, NOT_NAMED, "wrong-document");
	destroy(t, OVER, NULL);
	destroy(t, OVER, "finished");
	destroy(t, RUNNING, "retained");
	destroy(t, HELD, "held");
	destroy(t, OPEN, "not-committed");
	destroy(t, REMOVED, NULL);
	destroy(t, ESCROWED, NULL);
	destroy(t, KEPT, "retained");
	destroy(t, WAITS, "retained");
	destroy(t, GOVERNED, NULL);
	destroy(t, GOVERNED_LEAST, "retained");
	destroy(t, ENDLESS, "retained"); /* it never ends, and is no file of escrow */
	cof_field_put(&done, COF_T_REQUEST, t->id, 32);
	cof_field_put_u8(&done, COF_T_VERDICT, COF_VERDICT_DONE);
	right(t, APPROVAL, 0, &done);
	destroy(t, HELD, "finished");
	meet_vault(t);
	receipts(t);
	ck_assert_int_eq(cof_judge_destroyed(t->judge, counted, t), 0);
	ck_assert_uint_eq(t->counted, t->watch ? 0 : 4);
}

START_TEST(what_nobody_permitted)
{
	struct trial t = {.watch = true};
	struct cof_judge_params p = {.verify = sign_verify, .head = head, .head_user = &t};

	rules_new(&t.w, 3);
	memcpy(p.archive_id, t.w.archive->conf.id, 16);
	ck_assert_int_eq(cof_judge_new(&p, &t.judge), 0);
	play(&t);
	t.watch = false;
	t.first = 0;
	play(&t);
	cof_judge_free(t.judge);
	cof_buf_done(&t.doc);
	rules_close(&t.w);
	rules_free(&t.w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sim destroy, judged");
	TCase *c = tcase_create("frames");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_test(c, what_nobody_permitted);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
