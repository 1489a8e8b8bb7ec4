/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate shelves: whatever door a file is committed through, it is kept as long as it says and found by what it
 * says, also by an index built anew; what cannot be read is an ordinary file. And shelves that follow them.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/archive/certs.h"
#include "support.h"

#define DAY (86400 * COF_NSEC)
#define YEAR (365 * DAY)

static struct store s;
static char dir[64];

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void make(void)
{
	strcpy(dir, "/tmp/coffer-certs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	run("python3 %s %s d2049.pem d2050.der d2300.pem d9999.der ca.pem crl.pem request.pem bundle.pem chain.pem high.pem old.pem",
	    getenv("COFFER_CERTS"), dir);
}

static void clear(void)
{
	run("rm -rf %s", dir);
}

static void setup(void)
{
	store_make(&s, STORE_SIM);
	s.archive->clock.testing = true;
}

static void teardown(void)
{
	store_done(&s);
}

/* The index is in the simulated store's memory: built from the log each time. */
static void reopen(void)
{
	int64_t ahead = atomic_load(&s.archive->clock.test_ns);

	store_close(&s);
	store_open(&s);
	s.archive->clock.testing = true;
	s.archive->clock.base_boottime += ahead;
	atomic_store(&s.archive->clock.test_ns, ahead);
}

static int64_t now(void)
{
	return cof_clock_retention(&s.archive->clock);
}

static void pass(int64_t ns)
{
	atomic_fetch_add(&s.archive->clock.test_ns, ns);
}

static int64_t when(const char *text)
{
	int64_t t;

	ck_assert_int_eq(cof_time_parse(text, &t), 0);
	return t;
}

static uint64_t shelf_with(const char *name, const char *policy)
{
	struct cof_op op = {
	    .kind = COF_OP_SHELF_ADD, .name = name, .data = policy, .length = strlen(policy)};
	struct cof_reply reply = {0};

	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &reply), 0);
	return reply.attr.ino;
}

/* A file of those that were made, or with that text. */
static uint64_t file_in(uint64_t shelf, const char *name, const char *text)
{
	static uint8_t buf[(1 << 20) + 4096];
	size_t n = text ? strlen(text) : 0;
	uint64_t ino = must_create(&s, shelf, name, COF_KIND_FILE);
	char path[128];
	FILE *f;

	if (text) {
		ck_assert_uint_le(n, sizeof(buf));
		memcpy(buf, text, n);
	} else {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		f = fopen(path, "re");
		ck_assert_msg(f != NULL, "%s", path);
		n = fread(buf, 1, sizeof(buf), f);
		fclose(f);
	}
	must_write(&s, ino, 0, buf, n);
	return ino;
}

static uint64_t committed(uint64_t shelf, const char *name, const char *text)
{
	uint64_t ino = file_in(shelf, name, text);

	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	return ino;
}

static struct cof_attr attr_of(uint64_t ino)
{
	struct cof_attr attr;

	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	return attr;
}

static int64_t end_of(uint64_t ino)
{
	return attr_of(ino).atime;
}

static void near(int64_t t, int64_t want)
{
	ck_assert_msg(t >= want && t < want + 3600 * COF_NSEC, "%lld ns away", (long long)(t - want));
}

struct hits {
	unsigned n;
	char paths[1024], last[4096], print[2 * COF_HASH + 1];
};

static int see(void *user, struct cof_json *o)
{
	struct hits *h = user;

	h->n++;
	strcat(h->paths, cof_json_str(o, "path"));
	strcat(h->paths, " ");
	snprintf(h->print, sizeof(h->print), "%s", cof_json_str(o, "fingerprint"));
	snprintf(h->last, sizeof(h->last), "%s %s %s %s %s", cof_json_str(o, "kind"),
		 cof_json_str(o, "state"), cof_json_str(o, "serial") ?: "-", cof_json_str(o, "not_after") ?: "-",
		 cof_json_str(o, "subject") ?: "-");
	return 0;
}

static struct hits hits;

static const char *find(struct cof_cert_query q)
{
	hits = (struct hits){0};
	if (!q.ends_before)
		q.ends_before = INT64_MAX;
	if (!q.ends_from)
		q.ends_from = INT64_MIN;
	if (!q.at)
		q.at = COF_INDEX_NOW;
	ck_assert_int_eq(cof_archive_find_certs(s.archive, &q, see, &hits), 0);
	return hits.paths;
}

struct counting {
	const char *event;
	char *why;
	unsigned n;
};

static int count_one(void *user, struct cof_json *e)
{
	struct counting *c = user;

	if (cof_json_str(e, "event") && !strcmp(cof_json_str(e, "event"), c->event)) {
		c->n++;
		snprintf(c->why, 256, "%s: %s", cof_json_str(e, "path"), cof_json_str(e, "reason"));
	}
	return 0;
}

static unsigned events(const char *event, char why[256])
{
	struct counting c = {event, why, 0};
	uint64_t next = 0;

	why[0] = '\0';
	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, count_one, &c, &next), 0);
	return c.n;
}

#define KEPT "certificates = yes\nretention = 10d\nretain_margin = 3d\n"

START_TEST(kept_as_long_as_they_say)
{
	uint64_t shelf = shelf_with("certs", KEPT "retention_max = 20d\nautocommit = 1h\n");
	uint64_t by_chmod = committed(shelf, "d2049.pem", NULL), by_flag = file_in(shelf, "d2050.der", NULL);
	uint64_t by_verb = file_in(shelf, "bundle.pem", NULL), idle = file_in(shelf, "chain.pem", NULL);
	uint64_t beyond = committed(shelf, "d2300.pem", NULL), asked = file_in(shelf, "ca.pem", NULL);
	uint64_t request = committed(shelf, "request.pem", NULL);

	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_SETFLAGS,
					       .ino = by_flag,
					       .flags = FS_APPEND_FL | FS_IMMUTABLE_FL}),
			 0);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_COMMIT, .ino = by_verb, .retain = COF_RETAIN_NONE}),
			 0);
	/* asked for by the access time, and for less than it says */
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_UTIMES,
					       .ino = asked,
					       .valid = COF_SET_ATIME,
					       .atime = now() + 2 * DAY}),
			 0);
	ck_assert_int_eq(do_chmod(&s, asked, 0444), 0);
	pass(2 * 3600 * COF_NSEC);
	cof_archive_tick(s.archive); /* the keeper commits what is idle */
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(end_of(by_chmod), when("2049-12-31T23:59:59Z") + 3 * DAY);
		ck_assert_int_eq(end_of(by_flag), when("2050-01-01T00:00:00Z") + 3 * DAY);
		ck_assert_int_eq(end_of(by_verb), when("2035-06-07T08:09:10Z") + 3 * DAY);
		ck_assert_int_eq(end_of(idle), when("2040-01-01T00:00:00Z") + 3 * DAY);
		ck_assert_int_eq(end_of(asked), when("2040-01-01T00:00:00Z") + 3 * DAY);
		ck_assert_int_eq(end_of(beyond), COF_RETAIN_INFINITE - 1);
		near(end_of(request), now() - 2 * 3600 * COF_NSEC - COF_NSEC + 10 * DAY); /* says nothing: the default */
		ck_assert_uint_eq(attr_of(idle).state, COF_STATE_COMMITTED);
		reopen();
	}
}
END_TEST

/* It is idle, and its shelf's retention is over: what asks for it finds that it is kept. */
START_TEST(idle_and_late)
{
	uint64_t shelf = shelf_with("certs", KEPT "autocommit = 1h\n"), ino = file_in(shelf, "d2049.pem", NULL);
	char why[256];

	pass(30 * DAY);
	ck_assert_uint_eq(attr_of(ino).state, COF_STATE_COMMITTED);
	ck_assert_int_eq(do_unlink(&s, shelf, "d2049.pem"), -EPERM);
	cof_archive_tick(s.archive);
	ck_assert_uint_eq(events("refused", why), 1);
	ck_assert_msg(strstr(why, "A committed file cannot be removed") != NULL, "%s", why);
	ck_assert_uint_eq(attr_of(ino).state, COF_STATE_COMMITTED);
	ck_assert_int_eq(end_of(ino), when("2049-12-31T23:59:59Z") + 3 * DAY);
	/* and what would extend it by its shelf alone would shorten it */
	ino = file_in(shelf, "d2050.der", NULL);
	pass(DAY);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_RETAIN, .ino = ino, .retain = now() + YEAR}),
			 -EPERM);
	ck_assert_int_eq(end_of(ino), when("2050-01-01T00:00:00Z") + 3 * DAY);
}
END_TEST

START_TEST(never_ending)
{
	uint64_t shelf = shelf_with("certs", "certificates = yes\n"), ino = committed(shelf, "d2049.pem", NULL);
	struct cof_op op = {.kind = COF_OP_COMMIT, .ino = file_in(shelf, "ca.pem", NULL)};
	struct cof_ruling rl;

	/* Without a retention nothing ends by itself, whatever it says. */
	ck_assert_int_eq(attr_of(ino).atime, attr_of(ino).mtime);
	ck_assert_int_eq(cof_archive_explain(s.archive, &root_user, &op, &rl, NULL), 0);
	ck_assert_int_eq(rl.retain_until, COF_RETAIN_NONE);
}
END_TEST

START_TEST(explained)
{
	uint64_t shelf = shelf_with("certs", KEPT);
	struct cof_op op = {.kind = COF_OP_COMMIT, .ino = file_in(shelf, "d2049.pem", NULL)};
	struct cof_ruling rl;

	ck_assert_int_eq(cof_archive_explain(s.archive, &root_user, &op, &rl, NULL), 0);
	ck_assert_int_eq(rl.retain_until, when("2049-12-31T23:59:59Z") + 3 * DAY);
	ck_assert_str_eq(rl.rule, "least");
	ck_assert_uint_eq(attr_of(op.ino).state, COF_STATE_OPEN);
}
END_TEST

START_TEST(what_cannot_be_read)
{
	static char large[COF_CERT_FILE_MAX + 2];
	uint64_t shelf = shelf_with("certs", KEPT), other = shelf_with("other", "retention = 10d\n"), ino;
	char why[256];

	near(end_of(committed(shelf, "notes", "nothing of the kind\n")), now() - COF_NSEC + 10 * DAY);
	ck_assert_uint_eq(events("certificate-malformed", why), 1);
	ck_assert_ptr_nonnull(strstr(why, "certs/notes: has no certificate"));
	near(end_of(committed(shelf, "bad", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
	     now() - COF_NSEC + 10 * DAY);
	ck_assert_uint_eq(events("certificate-malformed", why), 2);
	ck_assert_ptr_nonnull(strstr(why, "cannot be read as such"));
	memset(large, '\n', sizeof(large) - 1);
	committed(shelf, "large", large);
	ck_assert_uint_eq(events("certificate-malformed", why), 3);
	ck_assert_ptr_nonnull(strstr(why, "more than the 1048576"));
	/* An empty one says nothing, and neither does another shelf's. */
	ino = must_create(&s, shelf, "empty", COF_KIND_FILE);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_COMMIT, .ino = ino, .retain = COF_RETAIN_NONE}),
			 0);
	near(end_of(committed(other, "d2049.pem", NULL)), now() - COF_NSEC + 10 * DAY);
	ck_assert_uint_eq(events("certificate-malformed", why), 3);
	ck_assert_str_eq(find((struct cof_cert_query){0}), "");
}
END_TEST

START_TEST(found)
{
	uint64_t shelf = shelf_with("certs", KEPT), sub = must_create(&s, shelf, "sub", COF_KIND_DIR), at;
	static const uint8_t ca_serial[] = {9}, padded[] = {0, 0, 9}, crl_number[] = {0x12, 0x34};
	uint8_t print[COF_HASH];

	committed(shelf, "d2049.pem", NULL);
	committed(shelf, "crl.pem", NULL);
	at = cof_archive_size(s.archive);
	committed(sub, "ca.pem", NULL);
	committed(sub, "request.pem", NULL);
	committed(shelf, "bundle.pem", NULL);
	for (int again = 0; again < 2; again++) {
		ck_assert_str_eq(find((struct cof_cert_query){0}),
				 "certs/d2049.pem certs/crl.pem certs/sub/ca.pem certs/sub/request.pem "
				 "certs/bundle.pem certs/bundle.pem certs/bundle.pem ");
		ck_assert_str_eq(find((struct cof_cert_query){.serial = ca_serial, .serial_len = 1}), "certs/sub/ca.pem ");
		ck_assert_ptr_nonnull(strstr(hits.last, "certificate committed 09 2040-01-01T00:00:00.000Z"));
		find((struct cof_cert_query){.serial = padded, .serial_len = 3});
		ck_assert_uint_eq(hits.n, 1);
		find((struct cof_cert_query){.serial = crl_number, .serial_len = 2});
		ck_assert_ptr_nonnull(strstr(hits.last, "crl committed 1234 2026-01-02T12:00:00.000Z -"));
		ck_assert_str_eq(find((struct cof_cert_query){.subject = "D2049"}), "certs/d2049.pem ");
		ck_assert_str_eq(find((struct cof_cert_query){.subject = "cn=first"}), "certs/bundle.pem ");
		find((struct cof_cert_query){.issuer = "test ca"});
		ck_assert_uint_eq(hits.n, 6); /* not the request */
		find((struct cof_cert_query){.issuer = "test ca", .subject = "second"});
		ck_assert_uint_eq(hits.n, 1);
		ck_assert_str_eq(find((struct cof_cert_query){.ends_before = when("2035-01-01T00:00:00Z")}),
				 "certs/crl.pem certs/bundle.pem certs/bundle.pem ");
		find((struct cof_cert_query){.ends_from = when("2049-12-31T23:59:59Z")});
		ck_assert_uint_eq(hits.n, 1);
		find((struct cof_cert_query){.ends_before = when("2049-12-31T23:59:59Z"), .kinds = 1u << COF_CERT_CERTIFICATE});
		ck_assert_uint_eq(hits.n, 3);
		ck_assert_str_eq(find((struct cof_cert_query){.kinds = 1u << COF_CERT_CRL}), "certs/crl.pem certs/bundle.pem ");
		ck_assert_str_eq(find((struct cof_cert_query){.at = at}), "certs/d2049.pem certs/crl.pem ");
		ck_assert_str_eq(find((struct cof_cert_query){.below = sub}), "certs/sub/ca.pem certs/sub/request.pem ");
		reopen();
	}
	find((struct cof_cert_query){.serial = ca_serial, .serial_len = 1});
	memset(print, 0xee, sizeof(print));
	find((struct cof_cert_query){.fingerprint = print});
	ck_assert_uint_eq(hits.n, 0);
}
END_TEST

START_TEST(found_by_fingerprint)
{
	static const uint8_t high[] = {0xf0, 0x0d};
	static uint8_t der[4096];
	uint64_t shelf = shelf_with("certs", KEPT);
	uint8_t print[COF_HASH];
	char path[128];
	size_t n;
	FILE *f;

	committed(shelf, "d2050.der", NULL);
	committed(shelf, "ca.pem", NULL);
	committed(shelf, "bundle.pem", NULL);
	committed(shelf, "high.pem", NULL);
	snprintf(path, sizeof(path), "%s/d2050.der", dir);
	f = fopen(path, "re");
	n = fread(der, 1, sizeof(der), f);
	fclose(f);
	cof_sha256(der, n, print);
	ck_assert_str_eq(find((struct cof_cert_query){.fingerprint = print}), "certs/d2050.der ");
	ck_assert_str_eq(find((struct cof_cert_query){.fingerprint = print, .subject = "test"}), "");
	/* one of several in a file: it alone */
	ck_assert_str_eq(find((struct cof_cert_query){.subject = "CN=second"}), "certs/bundle.pem ");
	ck_assert_int_eq(cof_unhex(hits.print, strlen(hits.print), print), 0);
	ck_assert_str_eq(find((struct cof_cert_query){.fingerprint = print}), "certs/bundle.pem ");
	ck_assert_ptr_nonnull(strstr(hits.last, "CN=second"));
	/* a number with the first bit set has a zero before it in DER, which nobody writes */
	ck_assert_str_eq(find((struct cof_cert_query){.serial = high, .serial_len = 2}), "certs/high.pem ");
}
END_TEST

#define FOLLOWS "retain_follows = certificates\nretention = 10d\nretain_margin = 1d\n"

/* Log files are kept until the last certificate has ended, also one that is issued years later. */
START_TEST(followed)
{
	uint64_t certs = shelf_with("certs", KEPT), logs = shelf_with("logs", FOLLOWS);
	uint64_t first = committed(logs, "first", "x"), second, third;
	int64_t long_ago = now(), as_long;

	near(end_of(first), long_ago - COF_NSEC + 10 * DAY); /* no certificate yet */
	committed(certs, "bundle.pem", NULL);		  /* until 2035-06-07, issued 2020-01-01 */
	second = committed(logs, "second", "x");
	as_long = when("2035-06-07T08:09:10Z") - when("2020-01-01T00:00:00Z");
	for (int again = 0; again < 2; again++) {
		/* as long as that certificate was issued for, which is longer than until it ends */
		ck_assert_int_ge(end_of(first), long_ago - COF_NSEC + as_long);
		ck_assert_int_le(end_of(first), now() + as_long);
		ck_assert_int_ge(end_of(second), end_of(first));
		reopen();
	}
	pass(11 * DAY);
	ck_assert_uint_eq(attr_of(first).state, COF_STATE_COMMITTED); /* its own retention is over */
	/* One that lasts longer: all of them, with no frame of their own. */
	committed(certs, "d2050.der", NULL);
	third = committed(logs, "third", "x");
	for (int again = 0; again < 2; again++) {
		int64_t by_length = when("2050-01-01T00:00:00Z") - when("2020-01-01T00:00:00Z");

		near(end_of(first), long_ago - COF_NSEC + by_length);
		near(end_of(third), now() - COF_NSEC + by_length);
		reopen();
	}
	ck_assert_int_eq(do_unlink(&s, logs, "first"), -EPERM);
	pass(31 * YEAR);
	ck_assert_uint_eq(attr_of(first).state, COF_STATE_EXPIRED);
}
END_TEST

/* One that ends earlier comes later; and a file says itself that it follows, and since when. */
START_TEST(what_is_kept_of_it)
{
	uint64_t certs = shelf_with("certs", KEPT), logs = shelf_with("logs", FOLLOWS), ino;
	struct cof_node n;

	committed(certs, "d2050.der", NULL);
	committed(certs, "bundle.pem", NULL);
	committed(certs, "old.pem", NULL);
	ck_assert_int_eq(atomic_load(&s.archive->certs.latest), when("2050-01-01T00:00:00Z"));
	reopen();
	ck_assert_int_eq(atomic_load(&s.archive->certs.latest), when("2050-01-01T00:00:00Z"));
	ino = committed(logs, "a", "x");
	ck_assert_int_eq(cof_index_get_node(s.archive->ix, COF_INDEX_NOW, ino, &n), 0);
	near(n.follow_from, now() - COF_NSEC);
	ck_assert_int_eq(n.follow_margin, DAY);
}
END_TEST

/* A shelf that follows from some day on: what was committed before as well. */
START_TEST(followed_later)
{
	uint64_t certs = shelf_with("certs", KEPT), logs = shelf_with("logs", "retention = 10d\n");
	uint64_t ino = committed(logs, "a", "x");
	int64_t from = now();

	committed(certs, "d2049.pem", NULL);
	near(end_of(ino), from - COF_NSEC + 10 * DAY);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_SHELF_SET, .ino = logs, .data = FOLLOWS, .length = strlen(FOLLOWS)}),
			 0);
	ck_assert_int_gt(end_of(ino), when("2049-12-31T23:59:59Z"));
	reopen();
	ck_assert_int_gt(end_of(ino), when("2049-12-31T23:59:59Z"));
}
END_TEST

/* What a reader without keys sees: ends and validity of certificates, and which file follows them. */
START_TEST(told_in_public)
{
	uint64_t certs = shelf_with("certs", KEPT), logs = shelf_with("logs", FOLLOWS);
	struct cof_buf pub = {0};
	int64_t t = 0, least = 0;

	for (int which = 0; which < 2; which++) {
		uint64_t ino = which ? committed(logs, "a", "x") : committed(certs, "d2049.pem", NULL), address;
		struct cof_node n;
		struct cof_frame f;

		ck_assert_int_eq(cof_index_get_node(s.archive->ix, COF_INDEX_NOW, ino, &n), 0);
		ck_assert_int_eq(cof_reader_find(s.archive->reader, n.commit_sequence, &address, NULL), 0);
		ck_assert_int_eq(cof_reader_header(s.archive->reader, address, &f, NULL, NULL), 0);
		ck_assert_int_eq(cof_frame_read(s.archive->reader, s.archive->ring, s.archive_id, address, &f, &pub, NULL), 0);
		ck_assert_int_eq(cof_field_i64(pub.data, pub.len, COF_T_LEAST_UNTIL, &least), 0);
		if (which) {
			ck_assert_int_eq(cof_field_i64(pub.data, pub.len, COF_T_FOLLOWS, &t), 0);
			ck_assert_int_eq(t, DAY);
			ck_assert_int_eq(cof_field_i64(pub.data, pub.len, COF_T_CERT_NOT_AFTER, &t), -ENOENT);
			ck_assert_int_gt(least, when("2049-12-31T23:59:59Z") + DAY);
		} else {
			ck_assert_int_eq(cof_field_i64(pub.data, pub.len, COF_T_FOLLOWS, &t), -ENOENT);
			ck_assert_int_eq(cof_field_i64(pub.data, pub.len, COF_T_CERT_NOT_AFTER, &t), 0);
			ck_assert_int_eq(t, when("2049-12-31T23:59:59Z"));
			ck_assert_int_eq(cof_field_i64(pub.data, pub.len, COF_T_CERT_LONGEST, &t), 0);
			ck_assert_int_eq(t, when("2049-12-31T23:59:59Z") - when("2020-01-01T00:00:00Z"));
			ck_assert_int_eq(least, when("2049-12-31T23:59:59Z") + 3 * DAY);
		}
		cof_buf_done(&pub);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-certs");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("certs");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, make, clear);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, kept_as_long_as_they_say);
	tcase_add_test(c, idle_and_late);
	tcase_add_test(c, never_ending);
	tcase_add_test(c, explained);
	tcase_add_test(c, what_cannot_be_read);
	tcase_add_test(c, found);
	tcase_add_test(c, found_by_fingerprint);
	tcase_add_test(c, followed);
	tcase_add_test(c, what_is_kept_of_it);
	tcase_add_test(c, followed_later);
	tcase_add_test(c, told_in_public);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
