/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to frames: sizes, holes, resent writes, durability, no room, and many threads at once.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "entries.h"
#include "fs/archive/internal.h"

static struct store s;
static uint64_t file;

static void setup(void)
{
	store_make(&s, STORE_SIM);
	file = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
}

static void teardown(void)
{
	store_done(&s);
}

static uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	return p;
}

static struct cof_json *appends(void)
{
	return entries_of(&s, "append");
}

static const size_t sizes[] = {1, 127, 4096, 8000, 8192, 65535, 65536, 65537, 300000, 1200000};

/* Each in frames that fit, back to back, and read the same in the next mount. */
START_TEST(any_size)
{
	size_t n = sizes[_i], position = 0;
	uint8_t *data = pattern(n);
	struct cof_json *list;

	must_write(&s, file, 0, data, n);
	must_hold(&s, file, data, n);
	list = appends();
	for (size_t i = 0; i < cof_json_count(list); i++) {
		struct cof_json *e = cof_json_at(list, i);

		ck_assert_int_eq(number_of(e, "position"), (int64_t)position);
		ck_assert_int_le(number_of(e, "length"), cof_log_max_length(s.archive->log));
		position += (size_t)number_of(e, "length");
	}
	ck_assert_uint_eq(position, n);
	cof_json_free(list);
	store_close(&s);
	store_open(&s);
	must_hold(&s, file, data, n);
	free(data);
}
END_TEST

static size_t count_appends(void)
{
	struct cof_json *list = appends();
	size_t n = cof_json_count(list);

	cof_json_free(list);
	return n;
}

/* One frame while nobody else writes; smaller ones while lines come in between, and only then. */
START_TEST(large_beside_lines)
{
	size_t n = 300000, before;
	uint8_t *data = pattern(n);
	uint64_t line = must_create(&s, AUDIT, "lines.log", COF_KIND_FILE);

	ck_assert_uint_ge(cof_log_max_length(s.archive->log), n);
	for (unsigned i = 0; i < 3; i++) {
		for (uint64_t k = 0; i == 1 && k < 4; k++)
			must_write(&s, line, k * 2, "l\n", 2);
		before = count_appends();
		must_write(&s, file, i * n, data, n);
		ck_assert_uint_eq(count_appends() - before, i == 1 ? 2 : 1);
	}
	data = realloc(data, 3 * n);
	memcpy(data + n, data, n);
	memcpy(data + 2 * n, data, n);
	must_hold(&s, file, data, 3 * n);
	free(data);
}
END_TEST

static unsigned commitments(uint64_t ino, uint32_t mount)
{
	unsigned n = 0;
	uint64_t at = 0;
	struct cof_frame f;

	while (cof_reader_header(s.archive->reader, at, &f, NULL, NULL) == 0) {
		n += f.type == COF_APPEND && f.object == ino && f.mount == mount &&
		     (f.flags & COF_FRAME_COMMITMENT);
		if (cof_reader_next(s.archive->reader, at, &f, &at) < 0)
			break;
	}
	return n;
}

START_TEST(commitment)
{
	must_write(&s, file, 0, "one", 3);
	must_write(&s, file, 3, "two", 3);
	ck_assert_uint_eq(commitments(file, 2), 1);
	store_close(&s);
	store_open(&s);
	must_write(&s, file, 6, "three", 5);
	must_write(&s, file, 11, "four", 4);
	ck_assert_uint_eq(commitments(file, 2), 1);
	ck_assert_uint_eq(commitments(file, 3), 1);
	must_hold(&s, file, "onetwothreefour", 15);
}
END_TEST

START_TEST(holes)
{
	uint8_t want[1000] = "begin";
	struct cof_json *list;

	must_write(&s, file, 0, "begin", 5);
	must_write(&s, file, 500, "middle", 6); /* beyond the end: a hole, then the bytes */
	memcpy(want + 500, "middle", 6);
	must_hold(&s, file, want, 506);
	ck_assert_int_eq(
	    do_op(&s, &root_user,
		  (struct cof_op){.kind = COF_OP_TRUNCATE, .ino = file, .length = 1000}),
	    0);
	must_hold(&s, file, want, 1000);
	list = entries_of(&s, "hole");
	ck_assert_uint_eq(cof_json_count(list), 2);
	ck_assert_int_eq(number_of(cof_json_at(list, 0), "hole"), 495);
	ck_assert_int_eq(number_of(cof_json_at(list, 1), "hole"), 494);
	cof_json_free(list);
	ck_assert_int_eq(
	    do_op(&s, &root_user,
		  (struct cof_op){.kind = COF_OP_TRUNCATE, .ino = file, .length = 999}),
	    -EPERM);
	must_hold(&s, file, want, 1000);
}
END_TEST

static int resend(uint64_t off, const char *text)
{
	return do_op(&s, &root_user,
		     (struct cof_op){.kind = COF_OP_WRITE,
				     .ino = file,
				     .offset = off,
				     .length = strlen(text),
				     .data = text,
				     .resent = true});
}

START_TEST(resent)
{
	struct cof_json *list;

	must_write(&s, file, 0, "abcdef", 6);
	ck_assert_int_eq(resend(0, "abcdef"), 0);
	ck_assert_int_eq(resend(2, "cd"), 0);
	ck_assert_int_eq(resend(4, "efgh"), 0); /* the second half never came */
	must_hold(&s, file, "abcdefgh", 8);
	ck_assert_int_eq(resend(0, "abcdeX"), -EPERM);
	ck_assert_int_eq(resend(6, "gX"), -EPERM);
	must_hold(&s, file, "abcdefgh", 8);
	list = appends();
	ck_assert_uint_eq(cof_json_count(list), 2);
	cof_json_free(list);
	list = entries_of(&s, "event"); /* two refusals of a kind: one at once */
	ck_assert_uint_eq(cof_json_count(list), 1);
	cof_json_free(list);
}
END_TEST

START_TEST(durable)
{
	uint64_t key = must_create(&s, KEYS, "k", COF_KIND_FILE);
	struct cof_op op = {.kind = COF_OP_WRITE, .ino = key, .length = 3, .data = "abc"};
	struct cof_reply reply = {0};

	ck_assert_int_eq(cof_archive_do(s.archive, &alice, &op, &reply), 0);
	ck_assert(reply.wrote && reply.durable); /* the shelf's policy */
	op.ino = file;
	reply = (struct cof_reply){0};
	ck_assert_int_eq(cof_archive_do(s.archive, &alice, &op, &reply), 0);
	ck_assert(reply.wrote && !reply.durable);
	op.offset = 3;
	op.durable = true; /* O_SYNC */
	ck_assert_int_eq(cof_archive_do(s.archive, &alice, &op, &reply), 0);
	ck_assert(reply.durable);
	ck_assert_uint_eq(reply.attr.size, 6);
}
END_TEST

/* No room: nothing of it is chained, reading goes on, and so does writing once there is room. */
START_TEST(no_room)
{
	uint8_t *data = pattern(100000);
	struct cof_attr before, after;
	uint64_t off = 0, size;
	int r;

	cof_sim_limit(s.sim, 5u << 20);
	while ((r = do_write(&s, file, off, data, 100000)) == 0)
		off += 100000;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_gt(off, 1000000);
	size = atomic_load(&s.archive->size);
	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, file, &before), 0);
	ck_assert_uint_eq(before.size, off);
	ck_assert_int_eq(do_write(&s, file, off, data, 100000), -ENOSPC);
	ck_assert_uint_eq(atomic_load(&s.archive->size), size);
	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, file, &after), 0);
	ck_assert_uint_eq(after.size, before.size);
	cof_sim_limit(s.sim, 0);
	while ((r = do_write(&s, file, off, data, 100000)) == -ENOSPC)
		sched_yield(); /* a new segment is tried five times a second */
	ck_assert_int_eq(r, 0);
	store_close(&s);
	store_open(&s);
	ck_assert(s.opened.recovered.clean);
	free(data);
}
END_TEST

/* Several frames, of which the disk takes some: a short write, and then the rest. */
START_TEST(room_for_a_part)
{
	size_t n = 12u << 20;
	uint8_t *data = pattern(n);
	struct cof_op op = {.kind = COF_OP_WRITE, .ino = file, .data = data, .length = n};
	struct cof_reply reply = {0};
	int r;

	cof_sim_limit(s.sim, 6u << 20);
	ck_assert_int_eq(cof_archive_do(s.archive, &alice, &op, &reply), 0);
	ck_assert_uint_gt(reply.length, 0);
	ck_assert_uint_lt(reply.length, n);
	ck_assert_uint_eq(reply.attr.size, reply.length);
	ck_assert(reply.wrote);
	op.offset = reply.length;
	op.data = data + reply.length;
	op.length = n - reply.length;
	ck_assert_int_eq(cof_archive_do(s.archive, &alice, &op, &reply), -ENOSPC);
	cof_sim_limit(s.sim, 0);
	while ((r = cof_archive_do(s.archive, &alice, &op, &reply)) == -ENOSPC)
		sched_yield(); /* a new segment is tried five times a second */
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(reply.length, op.length);
	must_hold(&s, file, data, n);
	free(data);
}
END_TEST

/* ---- threads ---- */

#define WRITERS 8
#define LINES 400

static int append_line(uint64_t ino, uint64_t *off, const char *line)
{
	int r = do_write(&s, ino, *off, line, strlen(line));

	*off += strlen(line);
	return r;
}

static void *write_own(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t ino, off = 0;
	char name[16], line[64];

	snprintf(name, sizeof(name), "t%u", me);
	if (do_create(&s, AUDIT, name, COF_KIND_FILE, &ino) < 0)
		return "create";
	for (unsigned i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "writer %u line %u\n", me, i);
		if (append_line(ino, &off, line) < 0)
			return "write";
		if (i % 50 == 49) {
			char buf[64] = "";
			size_t got = 0, n = strlen(line);

			if (cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, n, off - n, &got) <
				0 ||
			    got != n || memcmp(buf, line, n))
				return "read";
		}
	}
	return NULL;
}

/* All write beside the keeper's feeding, at a place where the index's pending part is fed again and
 * again. */
START_TEST(threads)
{
	struct cof_archive_params p = {.secret = &s.secret, .index_dir = ""};
	pthread_t id[WRITERS];
	struct cof_diag diag = {""};

	store_close(&s);
	p.io = s.io;
	ck_assert_int_eq(cof_archive_open(&p, &s.archive, &s.opened, &diag), 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&id[i], NULL, write_own, (void *)i), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(cof_archive_feed(s.archive), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		void *what;

		ck_assert_int_eq(pthread_join(id[i], &what), 0);
		ck_assert_msg(!what, "writer %u: %s", i, (const char *)what);
	}
	store_close(&s);
	store_open(&s);
	for (unsigned i = 0; i < WRITERS; i++) {
		cof_autobuf struct cof_buf want = {0};
		struct cof_attr attr;
		char name[16];

		for (unsigned k = 0; k < LINES; k++)
			cof_buf_printf(&want, "writer %u line %u\n", i, k);
		snprintf(name, sizeof(name), "t%u", i);
		ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, name, &attr),
				 0);
		must_hold(&s, attr.ino, want.data, want.len);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-write");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("write");
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, any_size, 0, COF_COUNT(sizes));
	tcase_add_test(c, large_beside_lines);
	tcase_add_test(c, commitment);
	tcase_add_test(c, holes);
	tcase_add_test(c, resent);
	tcase_add_test(c, durable);
	tcase_add_test(c, no_room);
	tcase_add_test(c, room_for_a_part);
	tcase_add_test(c, threads);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
