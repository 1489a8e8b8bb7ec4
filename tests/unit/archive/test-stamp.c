/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time stamps in the chain: which bounds they give to which frames, which are refused, and a wall clock that
 * is set back behind them. The authority is openssl's (tests/support/tsa.sh).
 */
#include <stdio.h>
#include <time.h>

#include "entries.h"
#include "fs/archive/internal.h"
#include "support.h"

#define YEAR (INT64_C(365) * 86400 * COF_NSEC)

int64_t __real_cof_now(clockid_t clock);
int64_t __wrap_cof_now(clockid_t clock);

static int64_t set_by; /* by how much the wall clock was set */
static struct store s;
static char dir[64];
static struct cof_diag diag;
static char ca[4096];
static size_t ca_len;

int64_t __wrap_cof_now(clockid_t clock)
{
	return __real_cof_now(clock) + (clock == CLOCK_REALTIME ? set_by : 0);
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static size_t load(const char *name, void *out, size_t cap)
{
	char path[128];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s", path);
	n = fread(out, 1, cap, f);
	fclose(f);
	return n;
}

static void setup(void)
{
	strcpy(dir, "/tmp/coffer-tsa-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	run("%s make %s", getenv("COFFER_TSA"), dir);
	ca_len = load("ca.pem", ca, sizeof(ca));
	set_by = 0;
	store_make(&s, STORE_PLAIN);
}

static void teardown(void)
{
	store_done(&s);
	run("rm -rf %s", dir);
}

struct answer {
	uint8_t data[COF_STAMP_RESPONSE_MAX];
	size_t n;
};

static void ask_with(const struct cof_buf *query, struct answer *ret)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/query", dir);
	f = fopen(path, "we");
	ck_assert(f && fwrite(query->data, 1, query->len, f) == query->len);
	fclose(f);
	run("%s answer %s %s/query %s/answer precise", getenv("COFFER_TSA"), dir, dir, dir);
	ret->n = load("answer", ret->data, sizeof(ret->data));
}

static void ask(struct answer *ret)
{
	struct cof_buf query = {0};

	ck_assert_msg(cof_archive_stamp_query(s.archive, &query, &diag) == 0, "%s", diag.text);
	ask_with(&query, ret);
	cof_buf_done(&query);
}

static void ask_about(const uint8_t *note, size_t n, const uint8_t nonce[COF_STAMP_NONCE], struct answer *ret)
{
	struct cof_buf query = {0};
	uint8_t imprint[COF_HASH];

	cof_sha256(note, n, imprint);
	ck_assert_int_eq(cof_stamp_query(imprint, nonce, &query), 0);
	ask_with(&query, ret);
	cof_buf_done(&query);
}

/* The checkpoint that was asked about last, by somebody else: another nonce. */
static void ask_as_another(struct answer *ret)
{
	static const uint8_t nonce[COF_STAMP_NONCE] = {0x99};
	uint8_t *note = NULL;
	size_t n = 0;

	ck_assert_int_eq(cof_io_load(s.io, "checkpoint", COF_NOTE_MAX, &note, &n), 0);
	ask_about(note, n, nonce, ret);
	free(note);
}

/* The query that was made last is rewritten: another note, which somebody has stamped for it with its nonce. */
static void alter_query(struct answer *ret)
{
	uint8_t *note = NULL, *all = NULL, *at;
	size_t n = 0, len = 0;

	ck_assert_int_eq(cof_io_load(s.io, "checkpoint", COF_NOTE_MAX, &note, &n), 0);
	ck_assert_int_eq(cof_io_load(s.io, "stamps", 1u << 20, &all, &len), 0);
	at = memmem(all, len, note, n);
	ck_assert_ptr_nonnull(at);
	note[0] ^= 1;
	memcpy(at, note, n);
	ck_assert_int_eq(cof_io_replace(s.io, "stamps", all, len), 0);
	ask_about(note, n, at + n + 3, ret); /* behind the next field's tag and length */
	free(note);
	free(all);
}

static int give(const struct answer *a, bool trusted, struct cof_stamped *ret)
{
	return cof_archive_stamp(s.archive, &root_user, a->data, a->n, trusted ? ca : NULL, trusted ? ca_len : 0, ret,
				 &diag);
}

static void stamp(struct cof_stamped *ret)
{
	struct answer a;

	ask(&a);
	ck_assert_msg(give(&a, true, ret) == 0, "%s", diag.text);
	ck_assert(ret->stamp.trusted);
}

static uint64_t file(const char *name)
{
	uint64_t ino = must_create(&s, AUDIT, name, COF_KIND_FILE);

	must_write(&s, ino, 0, "text", 4);
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	return ino;
}

static void bounds_are(uint64_t ino, const struct cof_stamped *from, const struct cof_stamped *to)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *not_before, *not_after;
	char text[32];

	ck_assert_int_eq(cof_archive_info(s.archive, ino, o), 0);
	not_before = cof_json_str(o, "not_before");
	not_after = cof_json_str(o, "not_after");
	ck_assert_int_eq(!not_before, !from);
	ck_assert_int_eq(!not_after, !to);
	if (from) {
		cof_time_text(from->stamp.time - from->stamp.accuracy, text);
		ck_assert_str_eq(not_before, text);
	}
	if (to) {
		cof_time_text(to->stamp.time + to->stamp.accuracy, text);
		ck_assert_str_eq(not_after, text);
	}
}

START_TEST(bounds)
{
	struct cof_stamped one, two, many[12], claimed;
	static struct answer a;
	uint64_t before, between, after, last;

	before = file("before");
	bounds_are(before, NULL, NULL);
	ask(&a);
	ck_assert_int_eq(give(&a, false, &claimed), 0);
	bounds_are(before, NULL, NULL); /* a claim bounds nothing */
	ask(&a);
	between = file("between"); /* behind the checkpoint that is stamped, before the token is chained */
	ck_assert_msg(give(&a, true, &one) == 0, "%s", diag.text);
	bounds_are(before, NULL, &one);
	bounds_are(between, NULL, NULL); /* the token does not cover it, and is not before it */
	after = file("after");
	stamp(&two);
	bounds_are(between, NULL, &two);
	bounds_are(after, &one, &two);
	for (size_t i = 0; i < COF_COUNT(many); i++)
		stamp(&many[i]);
	last = file("last");
	for (int again = 0; again < 2; again++) {
		bounds_are(before, NULL, &one);
		bounds_are(between, NULL, &two);
		bounds_are(after, &one, &two);
		bounds_are(last, &many[11], NULL);
		store_close(&s);
		store_open(&s); /* its index is made anew */
	}
	ck_assert_uint_eq(s.archive->proofs.claimed.sequence, claimed.sequence);
	ck_assert_uint_eq(s.archive->proofs.newest.sequence, many[11].sequence);
}
END_TEST

/* A checkpoint that covers the frame of the one before it: the log's last frame is none that the archive wrote. */
START_TEST(own_frames)
{
	struct cof_stamped done;
	struct answer a;

	(void)file("one");
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_log_checkpoint_again(s.archive->log), 0);
	ask(&a);
	ck_assert_msg(give(&a, true, &done) == 0, "%s", diag.text);
}
END_TEST

START_TEST(refused)
{
	static struct answer early, late, other;
	struct cof_stamped done;
	uint64_t size = atomic_load(&s.archive->size);

	ask(&early);
	(void)file("one");
	ask(&late);
	ck_assert_msg(give(&late, true, &done) == 0, "%s", diag.text);
	size = atomic_load(&s.archive->size);
	/* dated before it, claimed or not; what is refused leaves no frame */
	ck_assert_int_eq(give(&early, true, &done), -ESTALE);
	ck_assert_ptr_nonnull(strstr(diag.text, "before the newest proof"));
	ck_assert_int_eq(give(&early, false, &done), -ESTALE);
	ck_assert_int_eq(give(&late, true, &done), -EEXIST);
	ck_assert_uint_eq(atomic_load(&s.archive->size), size);
	/* two queries for one checkpoint, and an answer to neither */
	ask(&early);
	ask(&other);
	ask_as_another(&late);
	ck_assert_int_eq(give(&late, true, &done), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "the nonce of the query") != NULL, "%s", diag.text);
	ck_assert_int_eq(cof_stamps_pending(s.io), 3);
	ck_assert_int_eq(give(&early, true, &done), 0);
	other.data[other.n - 1] ^= 1;
	ck_assert_int_eq(give(&other, true, &done), -EBADMSG);
	other.data[other.n - 1] ^= 1;
	/* queries are remembered over a mount */
	store_close(&s);
	store_open(&s);
	ck_assert_msg(give(&other, true, &done) == 0, "%s", diag.text);
	/* the file of queries altered: the note is not signed by this log */
	ask(&late);
	alter_query(&late);
	ck_assert_int_eq(give(&late, true, &done), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "was altered") != NULL, "%s", diag.text);
	ask(&late);
	(void)file("three");
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	run("sed -i 's/test.example/best.example/g' %s/stamps", s.dir);
	ck_assert_int_lt(give(&late, true, &done), 0);
}
END_TEST

static int on_stamp(void *user COF_UNUSED, const struct cof_frame *f COF_UNUSED, const void *fields, size_t n,
		    struct cof_when *ret, struct cof_diag *ret_diag COF_UNUSED)
{
	int r = cof_field_i64(fields, n, COF_T_PROOF_TIME, &ret->from);

	ret->to = ret->from;
	return r < 0 ? -EUCLEAN : 1;
}

static struct cof_finding last_finding;

static void on_finding(void *user COF_UNUSED, const struct cof_finding *f)
{
	last_finding = *f;
}

/* Ten years back: what is shown is not before the proof, what the clock said is kept, and verify counts it. */
START_TEST(clock_set_back)
{
	struct cof_verify_params p = {.io = s.io, .stamp = on_stamp, .finding = on_finding};
	cof_autojson struct cof_json *o = cof_json_object(), *clock = cof_json_object();
	struct cof_verified v;
	struct cof_stamped done;
	struct cof_buf shown = {0};
	char from[32];
	uint64_t ino, first;
	int64_t off = 0;

	stamp(&done);
	cof_time_text(done.stamp.time - done.stamp.accuracy, from);
	set_by = -10 * YEAR;
	first = atomic_load(&s.archive->size);
	cof_archive_tick(s.archive);
	ino = file("set-back");
	ck_assert_int_eq(cof_archive_info(s.archive, ino, o), 0);
	ck_assert_str_eq(cof_json_str(o, "time"), from);
	ck_assert_str_lt(cof_json_str(o, "clock_said"), from);
	ck_assert_int_eq(cof_archive_getxattr(s.archive, ino, "user.coffer.time", &shown), 0);
	ck_assert_int_eq(strncmp((char *)shown.data, from, strlen(from)), 0);
	ck_assert_ptr_nonnull(strstr((char *)shown.data, "/..]"));
	cof_buf_done(&shown);
	ck_assert_int_eq(cof_archive_clock(s.archive, clock), 0);
	ck_assert_int_eq(cof_json_int(clock, "deviation_ms", &off), 0);
	ck_assert_int_lt(off, -9 * YEAR / 1000000);
	ck_assert_str_eq(cof_json_str(clock, "deviation_by"), "proof");
	store_close(&s);
	p.io = s.io;
	ck_assert_int_eq(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_int_eq(v.verdict, COF_INTACT);
	ck_assert_uint_eq(v.stamps_proven, 1);
	ck_assert_uint_ge(v.too_early, 3);
	ck_assert_ptr_nonnull(strstr(last_finding.text, "before a proof"));
	ck_assert_int_eq(last_finding.sequence, (int64_t)first);
	/* a store without a daemon tells the same */
	cof_json_free(clock);
	clock = cof_json_object();
	ck_assert_int_eq(cof_store_clock(s.io, clock, &diag), 0);
	ck_assert_str_eq(cof_json_str(clock, "not_before"), from);
	store_open(&s);
	ck_assert_int_lt(cof_clock_deviation(&s.archive->clock), -9 * YEAR);
}
END_TEST

/* A year ahead until the stamp comes: it covers what says that it is younger. */
START_TEST(clock_set_ahead)
{
	struct cof_verify_params p = {.io = s.io, .stamp = on_stamp, .finding = on_finding};
	struct cof_verified v;
	struct cof_stamped done;

	set_by = YEAR;
	for (int i = 0; i < 3; i++)
		must_create(&s, AUDIT, (char[]){'a' + i, '\0'}, COF_KIND_FILE);
	stamp(&done);
	set_by = 0;
	(void)file("behind");
	stamp(&done);
	store_close(&s);
	p.io = s.io;
	ck_assert_int_eq(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_int_eq(v.verdict, COF_INTACT);
	ck_assert_uint_eq(v.stamps_proven, 2);
	ck_assert_uint_ge(v.too_late, 3);
	ck_assert_uint_lt(v.too_late, 3 + done.covers / 2);
	ck_assert_uint_eq(v.too_early, 0);
	ck_assert_ptr_nonnull(strstr(last_finding.text, "after a proof that covers"));
	ck_assert_int_gt(last_finding.sequence, 0); /* what was there before the clock was set is none of them */
}
END_TEST

/* Who takes the stored hashes away does not make a proof of a stamp whose root nobody can compare. */
START_TEST(hashes_gone)
{
	struct cof_verify_params p = {.io = s.io, .stamp = on_stamp, .finding = on_finding};
	struct cof_stamped done;
	struct cof_verified v;
	struct answer a;

	ask(&a);
	for (int i = 0; i < 5; i++) {
		(void)file((char[]){'a' + i, '\0'});
		ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	}
	ck_assert_msg(give(&a, true, &done) == 0, "%s", diag.text);
	store_close(&s);
	p.io = s.io;
	ck_assert_int_eq(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_uint_eq(v.stamps_proven, 1);
	run("rm %s/tile/*", s.dir);
	ck_assert_int_eq(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_int_eq(v.verdict, COF_INCOMPLETE);
	ck_assert_uint_eq(v.stamps, 1);
	ck_assert_uint_eq(v.stamps_proven, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stamp");
	TCase *c = tcase_create("all");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, c);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, bounds);
	tcase_add_test(c, refused);
	tcase_add_test(c, own_frames);
	tcase_add_test(c, clock_set_back);
	tcase_add_test(c, clock_set_ahead);
	tcase_add_test(c, hashes_gone);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
