/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file destroyed by approval, with a crash at each operation of the store from the last approval on, and with another one
 * while the next mount goes on with it: killed, power cut, power cut with torn writes. Behind it the request is open and
 * nothing has changed, or it is done: the content gives ENODATA, no tree leads to its key, its sealed bytes are nowhere in the
 * log, nothing of a renewal is left over, everything else reads, and verification and the judge find nothing wrong. And a log that
 * came back with the sealed bytes: recovered, with a crash at each operation, it has none of them behind the next mount.
 */
#include <stdio.h>

#include "fs/archive/keys.h"
#include "fs/archive/people.h"
#include "tests/sim/clocks.h"
#include "tests/sim/rules-sign.h"
#include "tests/sim/rules-world.h"
#include "tests/sim/seeds.h"

#define BYTES 70000u /* of a file, in several frames and two segments */
#define DAY (86400 * COF_NSEC)
enum { OFFICER = 0, AUDITOR = 2 };
enum { VICTIM, NEIGHBOUR, EARLIER, FILES }; /* EARLIER: destroyed before, so that there are pages of both trees */

static const struct cof_who root = {0, 0, 0, false};

struct base { /* an archive in which one signature is wanting */
	struct rules_world w;
	uint64_t ino[FILES];
	struct cof_buf doc, sealed; /* sealed: bytes of the victim's first frame */
	uint8_t id[32];
};

struct world { /* a copy of it that goes on */
	struct cof_sim *sim;
	struct cof_io *io;
	struct cof_archive *archive;
	struct cof_opened opened;
	const uint8_t *key; /* of another opener; NULL: that of the base */
};

/* ---- asking ---- */

static void set_base64(struct cof_json *o, const char *key, const struct cof_buf *b)
{
	char *text = malloc(cof_base64_len(b->len) + 1);

	ck_assert_ptr_nonnull(text);
	cof_base64(b->data, b->len, text);
	cof_json_set_str(o, key, text);
	free(text);
}

static void take_base64(const struct cof_json *o, const char *key, struct cof_buf *ret)
{
	const char *text = cof_json_str(o, key);
	uint8_t *raw = malloc(strlen(text ? text : "") + 1);
	size_t n = 0;

	ck_assert(text && raw);
	ck_assert_int_eq(cof_unbase64(text, strlen(text), raw, strlen(text), &n), 0);
	cof_buf_add(ret, raw, n);
	free(raw);
}

static int keep(void *user, struct cof_json *o)
{
	cof_json_free(*(struct cof_json **)user);
	*(struct cof_json **)user = cof_json_ref(o);
	return 0;
}

static int ask(struct cof_archive *a, const char *verb, struct cof_json *args, struct cof_json **ret, struct cof_diag *diag)
{
	struct cof_json *last = NULL;
	int r = cof_archive_people(a, &root, verb, args, keep, &last, diag);

	if (ret)
		*ret = last;
	else
		cof_json_free(last);
	return r;
}

static int sign_and_ask(struct cof_archive *a, const char *verb, const char *purpose, unsigned who, const struct cof_buf *doc,
			const struct cof_buf *sheet, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	cof_autobuf struct cof_buf armored = {0};

	sign_document(who, purpose, doc->data, doc->len, true, &armored);
	set_base64(args, "document", doc);
	set_base64(args, "signature", &armored);
	cof_json_set_str(args, "principal", sign_name[who]);
	if (sheet)
		set_base64(args, "sheet", sheet);
	else
		cof_json_set_str(args, "verdict", "approve");
	return ask(a, verb, args, NULL, diag);
}

/* ---- the archive before ---- */

static uint8_t byte_at(unsigned file, size_t i)
{
	return (uint8_t)(i * 31 + i / 251 + file * 77);
}

static uint64_t make_file(struct cof_archive *a, uint64_t dir, unsigned file)
{
	struct cof_reply reply = {0};
	uint8_t piece[20000];
	char name[16];
	struct cof_op op = {.kind = COF_OP_CREATE, .node_kind = COF_KIND_FILE, .mode = 0644, .parent = dir, .name = name};
	uint64_t ino;

	(void)snprintf(name, sizeof(name), "f%u", file);
	ck_assert_int_eq(cof_archive_do(a, &root, &op, &reply), 0);
	ino = reply.attr.ino;
	for (size_t at = 0; at < BYTES; at += sizeof(piece)) {
		size_t n = COF_MIN(sizeof(piece), BYTES - at);

		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(file, at + i);
		op = (struct cof_op){.kind = COF_OP_WRITE, .ino = ino, .offset = at, .length = n, .data = piece};
		ck_assert_int_eq(cof_archive_do(a, &root, &op, &reply), 0);
	}
	op = (struct cof_op){.kind = COF_OP_COMMIT, .ino = ino};
	ck_assert_int_eq(cof_archive_do(a, &root, &op, &reply), 0);
	return ino;
}

static void take_sealed(struct base *b)
{
	struct cof_reader *reader = NULL;
	struct cof_frame f;
	uint64_t at = 0;
	uint8_t raw[256];

	ck_assert_int_eq(cof_reader_new(b->w.io, &b->w.archive->conf, &reader), 0);
	while (cof_reader_header(reader, at, &f, NULL, NULL) == 0 && (f.type != COF_APPEND || f.object != b->ino[VICTIM]))
		ck_assert_int_eq(cof_reader_next(reader, at, &f, &at), 0);
	ck_assert_int_eq(cof_reader_payload(reader, at, &f, f.public_length, raw, sizeof(raw)), 0);
	cof_buf_add(&b->sealed, raw, sizeof(raw));
	cof_reader_free(reader);
}

static void request(struct base *b, unsigned file, struct cof_buf *doc)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	struct cof_json *words = cof_json_array();
	cof_autobuf struct cof_buf sheet = {0};
	struct cof_diag diag = {""};
	char path[32];

	(void)snprintf(path, sizeof(path), "free/f%u", file);
	cof_json_append(words, cof_json_new_str(path));
	cof_json_set(args, "words", words);
	cof_json_set_str(args, "action", "destroy");
	cof_json_set_str(args, "author", sign_name[OFFICER]);
	ck_assert_msg(ask(b->w.archive, "request-make", args, &o, &diag) == 0, "%s", diag.text);
	take_base64(o, "document", doc);
	take_base64(o, "sheet", &sheet);
	ck_assert_msg(sign_and_ask(b->w.archive, "request", COF_SIGN_REQUEST, OFFICER, doc, &sheet, &diag) == 0, "%s", diag.text);
}

static void make(struct base *b, uint64_t seed)
{
	cof_autobuf struct cof_buf before = {0};
	struct cof_diag diag = {""};

	memset(b, 0, sizeof(*b));
	rules_new(&b->w, seed);
	for (unsigned i = 0; i < FILES; i++)
		b->ino[i] = make_file(b->w.archive, b->w.m.node[1].ino, i);
	take_sealed(b);
	rules_pass(&b->w, 30 * DAY);
	request(b, EARLIER, &before);
	ck_assert_msg(sign_and_ask(b->w.archive, "approve", COF_SIGN_APPROVE, AUDITOR, &before, NULL, &diag) == 0, "%s", diag.text);
	request(b, VICTIM, &b->doc);
	cof_sha256(b->doc.data, b->doc.len, b->id);
	ck_assert_int_eq(cof_archive_close(b->w.archive, &diag), 0);
	b->w.archive = NULL;
}

/* ---- going on, and crashing ---- */

static int open_it(struct base *b, struct world *w, struct cof_diag *diag)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key ? w->key : b->w.key, 48};
	struct cof_archive_params p = {.io = w->io,
				       .secret = &secret,
				       .index_dir = "",
				       .seal_interval = INT64_MAX,
				       .heartbeat = -1,
				       .verify_signature = sign_verify,
				       .no_threads = true};
	int r = cof_archive_open(&p, &w->archive, &w->opened, diag);

	if (r < 0)
		w->archive = NULL;
	return r;
}

static void crash(struct world *w, enum cof_sim_loss loss)
{
	if (w->archive)
		cof_archive_abandon(w->archive);
	w->archive = NULL;
	cof_io_free(w->io);
	cof_sim_reboot(w->sim, loss);
	if (loss != COF_SIM_KEEP)
		clocks_boot();
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
}

/* ---- what has to be so ---- */

static bool reads(struct cof_archive *a, const struct base *b, unsigned file, int *ret)
{
	static uint8_t got[BYTES];
	size_t n = 0;

	*ret = cof_archive_read(a, COF_INDEX_NOW, b->ino[file], got, sizeof(got), 0, &n);
	for (size_t i = 0; *ret == 0 && i < BYTES; i++)
		if (n != BYTES || got[i] != byte_at(file, i))
			return false;
	return *ret == 0;
}

static int no_leftover(void *user, const char *name)
{
	ck_assert_msg(!strstr(name, ".next"), "%s: %s is left", (const char *)user, name);
	return 0;
}

static void check_bytes(const struct base *b, struct world *w, const char *doing)
{
	for (unsigned i = 0; i < 32; i++) {
		const uint8_t *p;
		char path[32];
		size_t n;

		(void)snprintf(path, sizeof(path), "log/%08x.seg", i);
		if (cof_sim_peek(w->sim, path, &p, &n) == 0)
			ck_assert_msg(!memmem(p, n, b->sealed.data, b->sealed.len), "%s: sealed bytes are in %s", doing, path);
	}
}

static void check_done(const struct base *b, struct world *w, const char *doing)
{
	int r;

	ck_assert_msg(!reads(w->archive, b, VICTIM, &r) && r == -ENODATA, "%s: it reads: %s", doing, strerror(-r));
	ck_assert_msg(cof_keys_destroyed(w->archive->keys, b->ino[VICTIM]), "%s: a tree leads to its key", doing);
	ck_assert_msg(!cof_keys_destroyed(w->archive->keys, b->ino[NEIGHBOUR]), "%s: another key is gone", doing);
	ck_assert_int_eq(cof_io_list(w->io, "keys", no_leftover, (void *)doing), 0);
	ck_assert_int_eq(cof_io_list(w->io, "seal", no_leftover, (void *)doing), 0);
	check_bytes(b, w, doing);
}

static bool check(const struct base *b, struct world *w, const char *doing)
{
	struct cof_request_view v;
	int r;

	ck_assert_msg(!w->opened.read_only, "%s: %s", doing, w->opened.text);
	ck_assert_int_eq(cof_judge_request(cof_people_judge(w->archive), b->id, &v), 0);
	ck_assert_msg(!reads(w->archive, b, EARLIER, &r) && r == -ENODATA && cof_keys_destroyed(w->archive->keys, b->ino[EARLIER]),
		      "%s: what was destroyed before is there again: %s", doing, strerror(-r));
	ck_assert_msg(reads(w->archive, b, NEIGHBOUR, &r), "%s: another file does not read: %s", doing, strerror(-r));
	if (v.state == COF_REQUEST_OPEN) {
		ck_assert_msg(reads(w->archive, b, VICTIM, &r), "%s: not approved, and it does not read: %s", doing, strerror(-r));
		return false;
	}
	ck_assert_msg(v.state == COF_REQUEST_DONE, "%s: the request is %s: %s", doing, cof_request_state_name(v.state), v.outcome);
	check_done(b, w, doing);
	return true;
}

static void on_finding(void *user, const struct cof_finding *f)
{
	ck_assert_msg(f->verdict == COF_INTACT, "%s: %s", (const char *)user, f->text);
}

static void not_permitted(void *user, uint64_t sequence, const char *type, const char *rule, const char *reason)
{
	ck_abort_msg("%s: %s frame %llu: %s: %s", (const char *)user, type, (unsigned long long)sequence, rule, reason);
}

/* Nobody has it open. */
static void check_store(struct world *w, bool done, const char *doing)
{
	const struct cof_verify_params p = {.io = w->io, .threads = 1, .finding = on_finding, .user = (void *)doing};
	const struct cof_judge_store j = {.verify = sign_verify, .finding = not_permitted, .user = (void *)doing};
	struct cof_diag diag = {""};
	struct cof_verified v;
	struct cof_judged judged;

	ck_assert_msg(cof_log_verify(&p, &v, &diag) == 0 && v.verdict == COF_INTACT, "%s: %s %s", doing, cof_verdict_name(v.verdict), diag.text);
	ck_assert_msg(v.destroyed == (done ? 2 : 1) && v.erased == v.destroyed_frames, "%s: %llu of %llu frames are erased", doing,
		      (unsigned long long)v.erased, (unsigned long long)v.destroyed_frames);
	ck_assert_msg(cof_store_judge(w->io, &j, &judged, &diag) == 0, "%s: %s", doing, diag.text);
}

static void no_damage(void *user, const struct cof_finding *f)
{
	ck_assert_msg(f->verdict != COF_TAMPERED && f->verdict != COF_TRUNCATED, "%s, and nobody mounted it: %s", (const char *)user, f->text);
}

static bool has_sealed(const struct base *b, struct world *w)
{
	const uint8_t *p;
	size_t n;

	ck_assert_int_eq(cof_sim_peek(w->sim, "log/00000000.seg", &p, &n), 0);
	return memmem(p, n, b->sealed.data, b->sealed.len) != NULL;
}

/* As a crash left it: who verifies sees no tampering, and bytes go after keys. */
static void check_crashed(struct base *b, struct world *w, const char *doing)
{
	const struct cof_verify_params p = {.io = w->io, .threads = 1, .finding = no_damage, .user = (void *)doing};
	struct cof_opener_secret secret = {COF_OPENER_FILE, b->w.key, 48};
	struct cof_keys *keys = NULL;
	struct cof_diag diag = {""};
	struct cof_verified v;
	int r;

	ck_assert_msg(cof_log_verify(&p, &v, &diag) == 0, "%s: %s", doing, diag.text);
	r = cof_keys_open(w->io, v.conf.id, &secret, &keys, &diag);
	ck_assert_msg(r == 0, "%s: %s", doing, diag.text);
	ck_assert_msg(has_sealed(b, w) || cof_keys_destroyed(keys, b->ino[VICTIM]), "%s: bytes went before keys", doing);
	cof_keys_free(keys);
}

/* at: the operation from the approval on that does not come to its end; 0: none. Returns how many there are. */
static uint64_t play(struct base *b, uint64_t at, uint64_t again, enum cof_sim_loss loss)
{
	struct world w = {.sim = cof_sim_clone(b->w.sim)};
	struct cof_diag diag = {""};
	uint64_t before, ops;
	char doing[128];
	bool done;
	int r;

	(void)snprintf(doing, sizeof(doing), "crash at %llu, at %llu of the next mount, loss %d", (unsigned long long)at,
		       (unsigned long long)again, (int)loss);
	ck_assert_int_eq(cof_sim_open(w.sim, &w.io), 0);
	ck_assert_msg(open_it(b, &w, &diag) == 0, "%s: %s", doing, diag.text);
	before = cof_sim_ops(w.sim);
	if (at)
		cof_sim_plan(w.sim, COF_SIM_CRASH, before + at);
	r = sign_and_ask(w.archive, "approve", COF_SIGN_APPROVE, AUDITOR, &b->doc, NULL, &diag);
	ops = cof_sim_ops(w.sim) - before;
	ck_assert_msg(at || r == 0, "%s: %s", doing, diag.text);
	if (at) {
		crash(&w, loss);
		check_crashed(b, &w, doing);
	}
	if (at && again) {
		cof_sim_plan(w.sim, COF_SIM_CRASH, cof_sim_ops(w.sim) + again);
		(void)open_it(b, &w, &diag);
		crash(&w, loss);
		check_crashed(b, &w, doing);
	}
	if (!w.archive)
		ck_assert_msg(open_it(b, &w, &diag) == 0, "%s: %s", doing, diag.text);
	done = check(b, &w, doing);
	ck_assert_msg(done || r < 0, "%s: it was acknowledged, and is not done", doing);
	ck_assert_int_eq(cof_archive_close(w.archive, &diag), 0);
	check_store(&w, done, doing);
	ck_assert_msg(open_it(b, &w, &diag) == 0, "%s: %s", doing, diag.text);
	(void)check(b, &w, doing);
	ck_assert_int_eq(cof_archive_close(w.archive, &diag), 0);
	cof_io_free(w.io);
	cof_sim_free(w.sim);
	return ops;
}

START_TEST(each_operation)
{
	static const enum cof_sim_loss losses[] = {COF_SIM_KEEP, COF_SIM_LOSE, COF_SIM_TEAR};
	bool all = getenv("COFFER_LONG") != NULL;
	struct base b;
	uint64_t n;

	make(&b, 7);
	n = play(&b, 0, 0, COF_SIM_KEEP);
	ck_assert_uint_gt(n, 20);
	for (uint64_t at = 1; at <= n; at++)
		for (unsigned l = 0; l < COF_COUNT(losses); l++)
			if (all || l == at % COF_COUNT(losses))
				play(&b, at, at % 2 ? 1 + at * 7 % n : 0, losses[l]);
	printf("%llu operations\n", (unsigned long long)n);
	cof_buf_done(&b.doc);
	cof_buf_done(&b.sealed);
	rules_free(&b.w);
}
END_TEST

/* ---- a recovered copy ---- */

static uint8_t (*identity)[32]; /* of the envelope */
static uint8_t *other_key;

/* Destroyed, and the segments as a copy has them that did not follow. */
static void make_behind(struct base *b, struct world *w)
{
	uint8_t recipient[1][32];
	struct cof_recovery recovery = {.recipients = (const uint8_t(*)[32])recipient, .n_recipients = 1};
	struct cof_opener_secret secret = {COF_OPENER_FILE, b->w.key, 48};
	struct cof_diag diag = {""};

	*w = (struct world){.sim = cof_sim_clone(b->w.sim)};
	ck_assert_int_eq(cof_x25519_public(identity[0], recipient[0]), 0);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	ck_assert_msg(cof_store_seal_recovery(w->io, &secret, &recovery, &diag) == 0, "%s", diag.text);
	ck_assert_msg(open_it(b, w, &diag) == 0, "%s", diag.text);
	ck_assert_msg(sign_and_ask(w->archive, "approve", COF_SIGN_APPROVE, AUDITOR, &b->doc, NULL, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(cof_archive_close(w->archive, &diag), 0);
	w->archive = NULL;
	check_bytes(b, w, "destroyed");
	for (unsigned i = 0; i < 32; i++) {
		cof_autofile struct cof_file *f = NULL;
		const uint8_t *p;
		char path[32];
		size_t n;

		(void)snprintf(path, sizeof(path), "log/%08x.seg", i);
		if (cof_sim_peek(b->w.sim, path, &p, &n) < 0)
			continue;
		while (n && !p[n - 1]) /* behind its end there is more by now */
			n--;
		ck_assert_int_eq(cof_io_open(w->io, path, COF_IO_RDWR, &f), 0);
		ck_assert_int_eq(cof_io_write(f, p, n, 0), 0);
		ck_assert_int_eq(cof_io_sync(f), 0);
	}
	ck_assert(has_sealed(b, w));
	cof_io_free(w->io);
	w->io = NULL;
}

static int recover(struct world *w, struct cof_recovered_keys *done, struct cof_diag *diag)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, other_key, 48};
	struct cof_recover_params p = {
	    .identities = (const uint8_t(*)[32])identity, .n_identities = 1, .secret = &secret, .verify = sign_verify};

	return cof_store_recover(w->io, &p, done, diag);
}

/* Returns how many operations there are. */
static uint64_t play_recovery(struct base *b, const struct world *behind, uint64_t at, uint64_t again, enum cof_sim_loss loss)
{
	struct world w = {.sim = cof_sim_clone(behind->sim), .key = other_key};
	struct cof_recovered_keys done = {.mounts = 0};
	struct cof_diag diag = {""};
	uint64_t before, ops;
	char doing[128];
	int r;

	(void)snprintf(doing, sizeof(doing), "recovery: crash at %llu, at %llu of the next mount, loss %d", (unsigned long long)at,
		       (unsigned long long)again, (int)loss);
	ck_assert_int_eq(cof_sim_open(w.sim, &w.io), 0);
	before = cof_sim_ops(w.sim);
	if (at)
		cof_sim_plan(w.sim, COF_SIM_CRASH, before + at);
	r = recover(&w, &done, &diag);
	ops = cof_sim_ops(w.sim) - before;
	ck_assert_msg(at || (r == 0 && done.ended.files == 2 && done.ended.frames && !done.ended.left), "%s: %s", doing, diag.text);
	if (r == 0)
		check_bytes(b, &w, doing);
	if (at)
		crash(&w, loss);
	if (cof_io_exists(w.io, "keys/recovered") == 0 || at % 5 == 4)
		ck_assert_msg(recover(&w, &done, &diag) == 0, "%s: %s", doing, diag.text);
	if (again) {
		cof_sim_plan(w.sim, COF_SIM_CRASH, cof_sim_ops(w.sim) + again);
		(void)open_it(b, &w, &diag);
		crash(&w, loss);
	}
	ck_assert_msg(open_it(b, &w, &diag) == 0, "%s: %s", doing, diag.text);
	ck_assert_msg(check(b, &w, doing), "%s: it is not done", doing);
	ck_assert_msg(cof_io_exists(w.io, "keys/ended") == 0, "%s: it is due still", doing);
	ck_assert_int_eq(cof_archive_close(w.archive, &diag), 0);
	check_store(&w, true, doing);
	cof_io_free(w.io);
	cof_sim_free(w.sim);
	return ops;
}

START_TEST(recovered_copy)
{
	static const enum cof_sim_loss losses[] = {COF_SIM_KEEP, COF_SIM_LOSE, COF_SIM_TEAR};
	bool all = getenv("COFFER_LONG") != NULL;
	struct world behind;
	struct base b;
	uint64_t n;

	make(&b, 7);
	identity = cof_secret_alloc(32);
	other_key = cof_secret_alloc(48);
	cof_random(identity[0], 32);
	cof_random(other_key, 48);
	make_behind(&b, &behind);
	n = play_recovery(&b, &behind, 0, 0, COF_SIM_KEEP);
	ck_assert_uint_gt(n, 20);
	for (uint64_t at = 1; at <= n; at++)
		for (unsigned l = 0; l < COF_COUNT(losses); l++)
			if (all || l == at % COF_COUNT(losses))
				play_recovery(&b, &behind, at, at % 2 ? 1 + at * 7 % n : 0, losses[l]);
	printf("%llu operations of a recovery\n", (unsigned long long)n);
	cof_sim_free(behind.sim);
	cof_secret_free(identity);
	cof_secret_free(other_key);
	cof_buf_done(&b.doc);
	cof_buf_done(&b.sealed);
	rules_free(&b.w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sim destroy");
	TCase *c = tcase_create("crashes");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 600);
	tcase_add_test(c, each_operation);
	tcase_add_test(c, recovered_copy);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
