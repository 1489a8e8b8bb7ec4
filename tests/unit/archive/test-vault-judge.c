/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that takes back what was promised, and a vault that does not follow: what comes is kept and not signed, both heads
 * stay, whoever runs the vault decides. And a host that is allowed to do what it does.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "support.h"
#include "fs/archive/internal.h"
#include "tools/vault/vault.h"

static struct store s;
static struct vault_place place;
static char dir[64], id[33], told[4096];
static struct cof_diag diag;
static uint64_t file; /* committed, and on the vault */

static void on_told(void *user COF_UNUSED, const char *line)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s\n", line);
}

static void *vault_side(void *arg)
{
	struct vault_wire w = {.in = *(int *)arg, .out = *(int *)arg, .timeout_ms = 20000};
	struct vault_serve p = {.told = on_told};
	struct cof_diag why = {""};

	(void)vault_serve(&place, &w, &p, &why);
	close(*(int *)arg);
	return NULL;
}

/* One session; *ret is the caller's. */
static int session(struct vault_sent *ret)
{
	struct vault_sending p = {.envelope = NULL};
	struct vault_source *source = NULL;
	struct vault_wire w = {.timeout_ms = 20000};
	uint8_t random[16];
	pthread_t vault;
	int fd[2], r;

	diag.text[0] = told[0] = 0;
	(void)cof_archive_checkpoint(s.archive);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ck_assert_int_eq(pthread_create(&vault, NULL, vault_side, &fd[1]), 0);
	w.in = w.out = fd[0];
	ck_assert_int_eq(vault_source_open(s.io, &source, &diag), 0);
	ck_assert_int_eq(vault_hello_send(&w, VAULT_SENDS, s.archive_id, vault_source_conf_text(source), random), 0);
	r = vault_send_log(&w, source, &p, ret, &diag);
	vault_source_free(source);
	close(fd[0]);
	ck_assert_int_eq(pthread_join(vault, NULL), 0);
	return r;
}

static void must_sign(void)
{
	struct vault_sent sent;

	ck_assert_msg(session(&sent) == 0, "%s", diag.text);
	vault_sent_done(&sent);
}

static struct cof_io *copy(void)
{
	struct cof_io *io = NULL;

	ck_assert_int_eq(vault_place_archive(&place, s.archive_id, &io, &diag), 0);
	return io;
}

static void on_finding(void *user COF_UNUSED, const struct cof_finding *f)
{
	size_t n = strlen(diag.text);

	snprintf(diag.text + n, sizeof(diag.text) - n, "%.200s; ", f->text);
}

/* Frames of the head that the vault stands by, and whether its copy is whole. */
static uint64_t signed_size(void)
{
	struct cof_verify_params p = {.finding = on_finding};
	struct cof_io *io = copy();
	struct cof_verified v;
	struct cof_checkpoint head;
	uint8_t *note = NULL;
	size_t n = 0;

	p.io = io;
	ck_assert_int_eq(cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n), 0);
	ck_assert_int_eq(cof_checkpoint_open(note, n, &s.archive->conf.vkey, &head), 0);
	diag.text[0] = 0;
	ck_assert_int_eq(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_msg(v.verdict <= COF_INCOMPLETE, "%s: %s", cof_verdict_name(v.verdict), diag.text);
	free(note);
	cof_io_free(io);
	return head.size;
}

static int count(void *user, const char *name COF_UNUSED)
{
	++*(unsigned *)user;
	return 0;
}

static unsigned kept(const char *where)
{
	struct cof_io *io = copy();
	unsigned n = 0;

	(void)cof_io_list(io, where, count, &n);
	cof_io_free(io);
	return n;
}

static void put(uint8_t type, uint64_t object, const struct cof_buf *fields)
{
	struct cof_draft d = {.type = type, .object = object, .system = true, .public_part = fields->data, .public_len = (uint32_t)fields->len};

	cof_gate_enter(s.archive);
	ck_assert_int_eq(cof_archive_put(s.archive, &d, NULL, NULL), 0);
	cof_gate_leave(s.archive);
}

static void setup(void)
{
	diag = (struct cof_diag){""};
	snprintf(dir, sizeof(dir), "/dev/shm/coffer-judge.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	store_make(&s, STORE_SIM);
	cof_hex(s.archive_id, 16, id);
	ck_assert_int_eq(vault_place_init(dir, "vault.example/b", "", "", 0, NULL, &diag), 0);
	ck_assert_int_eq(vault_place_open(dir, &place, &diag), 0);
	file = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, file, 0, "one", 3);
	ck_assert_int_eq(do_chmod(&s, file, 0444), 0);
	must_sign();
}

static void teardown(void)
{
	char command[96];

	vault_place_close(&place);
	store_done(&s);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- what nobody permitted ---- */

static void hold(uint8_t what, uint64_t hold_id, const uint8_t *request)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t range[16];

	cof_put_le64(range, file);
	cof_put_le64(range + 8, 1);
	cof_field_put_u8(&b, COF_T_HOLD_WHAT, what);
	if (hold_id)
		cof_field_put_u64(&b, COF_T_HOLD_ID, hold_id);
	if (what == 1)
		cof_field_put(&b, COF_T_INODES, range, sizeof(range));
	if (request)
		cof_field_put(&b, COF_T_REQUEST, request, 32);
	put(COF_HOLD, 0, &b);
}

static void text_frame(uint8_t type, uint64_t object, uint8_t tag, const char *text)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put_str(&b, tag, text);
	put(type, object, &b);
}

static const uint8_t invented[32] = {7};

static void ends_a_retention(void)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put_i64(&b, COF_T_RETAIN_UNTIL, 1);
	cof_field_put(&b, COF_T_REQUEST, invented, 32);
	put(COF_EXTEND, file, &b);
}

static void removes(void)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put(&b, COF_T_REQUEST, invented, 32);
	put(COF_REMOVE, file, &b);
}

static void ends_a_hold(void)
{
	hold(3, 5, NULL);
}

static void weakens_the_shelf(void)
{
	text_frame(COF_SHELF, AUDIT, COF_T_POLICY, "durability = none\n");
}

static void weakens_the_policy(void)
{
	text_frame(COF_POLICY, 0, COF_T_POLICY, "[archive]\nplaces = 2\n");
	text_frame(COF_POLICY, 0, COF_T_POLICY, "[archive]\nplaces = 1\n");
}

static void sets_people(void)
{
	text_frame(COF_PEOPLE, 0, COF_T_PEOPLE, "mallory ssh-ed25519 AAAA roles=officer\n");
}

static void turns_the_clock_on(void)
{
	cof_autobuf struct cof_buf b = {0};
	int64_t wall, retention;

	cof_clock_now(&s.archive->clock, &wall, &retention);
	cof_field_put_i64(&b, COF_T_RETENTION_BEFORE, retention);
	cof_field_put_i64(&b, COF_T_RETENTION_AFTER, retention + 100 * COF_NSEC);
	put(COF_CLOCK, 0, &b);
}

static const struct row {
	void (*act)(void);
	const char *said;
} rows[] = {
    {ends_a_retention, "extend frame"}, {removes, "remove frame"},	    {ends_a_hold, "hold frame"},
    {weakens_the_shelf, "shelf frame"}, {weakens_the_policy, "policy frame"}, {sets_people, "people frame"},
    {turns_the_clock_on, "clock frame"},
};

START_TEST(does_not_follow)
{
	const struct row *row = &rows[_i];
	uint64_t before = signed_size();
	struct vault_judged judged;
	struct vault_sent sent;
	struct cof_io *io;

	row->act();
	for (unsigned again = 0; again < 2; again++) {
		ck_assert_int_eq(session(&sent), -ECONNABORTED);
		ck_assert_uint_eq(sent.refusal, VAULT_R_RULES);
		ck_assert_msg(strstr(diag.text, row->said) && strstr(diag.text, "not signed"), "%s", diag.text);
		ck_assert_ptr_nonnull(strstr(told, row->said)); /* at the vault as well */
		vault_sent_done(&sent);
		ck_assert_uint_eq(signed_size(), before);
	}
	ck_assert_uint_ge(kept("refused"), 1);
	/* what comes later is kept too, and not signed either */
	must_write(&s, must_create(&s, AUDIT, "b", COF_KIND_FILE), 0, "two", 3);
	ck_assert_int_eq(session(&sent), -ECONNABORTED);
	vault_sent_done(&sent);
	ck_assert_uint_eq(signed_size(), before);
	/* its operator decides */
	io = copy();
	ck_assert_int_eq(vault_judged_follow(io, &judged, &diag), 0);
	cof_io_free(io);
	must_sign();
	ck_assert_uint_gt(signed_size(), before);
	/* of what was found until then, not of what comes */
	before = signed_size();
	row->act();
	ck_assert_int_eq(session(&sent), -ECONNABORTED);
	vault_sent_done(&sent);
	ck_assert_uint_eq(signed_size(), before);
}
END_TEST

/* Its whole history comes at once: nothing of it was signed before. */
START_TEST(the_first_time)
{
	char command[128];
	struct vault_sent sent;

	snprintf(command, sizeof(command), "rm -r %s/archives/%s", dir, id);
	ck_assert_int_eq(system(command), 0);
	ends_a_hold();
	ck_assert_int_eq(session(&sent), -ECONNABORTED);
	ck_assert_uint_eq(sent.refusal, VAULT_R_RULES);
	vault_sent_done(&sent);
}
END_TEST

START_TEST(follows_what_is_permitted)
{
	cof_autobuf struct cof_buf longer = {0};

	cof_field_put_i64(&longer, COF_T_RETAIN_UNTIL, INT64_C(4000000000) * COF_NSEC);
	put(COF_EXTEND, file, &longer);
	hold(1, 0, NULL);
	must_sign();
	text_frame(COF_POLICY, 0, COF_T_POLICY, "[archive]\nplaces = 1\n");
	must_sign();
	text_frame(COF_POLICY, 0, COF_T_POLICY, "[archive]\nplaces = 2\n");
	must_sign();
	ck_assert_uint_eq(kept("refused"), 0);
}
END_TEST

/* Places that were kept for a head are the judge's again; what they lack is looked for. */
START_TEST(places_are_kept)
{
	struct vault_sent sent;
	struct cof_io *io;

	hold(1, 0, NULL);
	must_sign();
	io = copy();
	ck_assert_int_eq(cof_io_exists(io, "places"), 1);
	cof_io_free(io);
	must_write(&s, must_create(&s, AUDIT, "b", COF_KIND_FILE), 0, "two", 3); /* nothing to judge: they stay behind */
	must_sign();
	ends_a_hold();
	ck_assert_int_eq(session(&sent), -ECONNABORTED);
	vault_sent_done(&sent);
	io = copy();
	ck_assert_int_eq(cof_io_replace(io, "places", "nonsense", 8), 0);
	cof_io_free(io);
	ck_assert_int_eq(session(&sent), -ECONNABORTED);
	ck_assert_uint_eq(sent.refusal, VAULT_R_RULES);
	vault_sent_done(&sent);
}
END_TEST

/* One bit of the copy's segment, in the payload of its first HOLD frame. */
static void flip_hold(void)
{
	struct cof_io *io = copy();
	struct cof_reader *reader = NULL;
	struct cof_file *segment = NULL;
	struct cof_frame f = {.sequence = 0};
	uint64_t at = 0;
	uint8_t byte = 0;
	size_t n = 0;

	ck_assert_int_eq(cof_reader_new(io, &s.archive->conf, &reader), 0);
	cof_reader_walk(reader, true);
	while (f.type != COF_HOLD) {
		ck_assert_int_eq(f.sequence || f.type ? cof_reader_next(reader, at, &f, &at) : 0, 0);
		ck_assert_int_eq(cof_reader_header(reader, at, &f, NULL, NULL), 0);
	}
	ck_assert_uint_lt(at, s.archive->conf.segment_size);
	ck_assert_int_eq(cof_io_open(io, "log/00000000.seg", COF_IO_RDWR, &segment), 0);
	ck_assert_int_eq(cof_io_read(segment, &byte, 1, at + COF_FRAME_HEADER, &n), 0);
	byte ^= 1;
	ck_assert_int_eq(cof_io_write(segment, &byte, 1, at + COF_FRAME_HEADER), 0);
	cof_io_close(segment);
	cof_reader_free(reader);
	cof_io_free(io);
}

static bool waits(void)
{
	struct cof_io *io = copy();
	bool is = vault_unjudged(io);

	cof_io_free(io);
	return is;
}

/* A hold that cannot be read: it is said, the head is signed, nothing is destroyed, and it is judged again with the next. */
START_TEST(damaged)
{
	hold(1, 0, NULL);
	must_sign();
	ck_assert(!waits() && !strstr(told, "cannot be read"));
	flip_hold();
	text_frame(COF_POLICY, 0, COF_T_POLICY, "[archive]\nplaces = 1\n");
	must_sign();
	ck_assert_msg(strstr(told, "frames cannot be read") && strstr(told, "coffer-vault scrub"), "%s", told);
	ck_assert(waits());
	must_write(&s, must_create(&s, AUDIT, "b", COF_KIND_FILE), 0, "two", 3);
	must_sign();
	ck_assert(waits());
	flip_hold();
	must_write(&s, must_create(&s, AUDIT, "c", COF_KIND_FILE), 0, "three", 5); /* nothing that weakens */
	must_sign();
	ck_assert_msg(!waits() && !strstr(told, "cannot be read"), "%s", told);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vault-judge");
	TCase *t = tcase_create("judge");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, does_not_follow, 0, (int)COF_COUNT(rows));
	tcase_add_test(t, the_first_time);
	tcase_add_test(t, follows_what_is_permitted);
	tcase_add_test(t, places_are_kept);
	tcase_add_test(t, damaged);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
