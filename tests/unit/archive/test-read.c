/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: the right bytes or an error, at any place, in any pieces, whatever happened to the disk. */
#include "fs/archive/internal.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct store s;

static uint64_t state;

static uint64_t draw(uint64_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

struct model { /* what a file must hold */
	uint64_t ino;
	size_t n;
	uint8_t *data;
};

#define MODEL_MAX (4u << 20)

static void model_new(struct model *m, const char *name)
{
	m->ino = must_create(&s, AUDIT, name, COF_KIND_FILE);
	m->n = 0;
	m->data = calloc(1, MODEL_MAX);
}

static void model_append(struct model *m, size_t n)
{
	ck_assert_uint_le(m->n + n, MODEL_MAX);
	for (size_t i = 0; i < n; i++)
		m->data[m->n + i] = (uint8_t)draw(256);
	must_write(&s, m->ino, m->n, m->data + m->n, n);
	m->n += n;
}

static void model_check(const struct model *m, uint64_t off, size_t n)
{
	size_t want = off >= m->n ? 0 : COF_MIN(n, m->n - (size_t)off), got = 0;
	uint8_t *buf = malloc(n + 1);
	int r = cof_archive_read(s.archive, COF_INDEX_NOW, m->ino, buf, n, off, &got);

	ck_assert_msg(r == 0, "read of %zu at %llu: %d, %s", n, (unsigned long long)off, r, s.alarm);
	ck_assert_uint_eq(got, want);
	if (want)
		ck_assert_mem_eq(buf, m->data + off, want);
	free(buf);
}

static void reopen(void)
{
	store_close(&s);
	store_open(&s);
}

/* ---- sizes ---- */

static const size_t sizes[] = {
    0,	    1,	    15,	     16,      127,     128,	   4096,      65535,	  65536,
    65537,  131071, 131072,  131073,  200000,  (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3000000,
};

START_TEST(one_write)
{
	struct model m;

	store_make(&s, STORE_SIM);
	state = (uint64_t)_i;
	model_new(&m, "f");
	model_append(&m, sizes[_i]);
	for (int again = 0; again < 2; again++) {
		must_hold(&s, m.ino, m.data, m.n);
		for (int i = 0; i < 40; i++)
			model_check(&m, draw(m.n + 10), draw(m.n + 100));
		/* Each border of a chunk, from both sides. */
		for (uint64_t at = 0; at < m.n + COF_CHUNK; at += COF_CHUNK) {
			model_check(&m, at, 1);
			model_check(&m, at ? at - 1 : 0, 2);
			model_check(&m, at, COF_CHUNK);
			model_check(&m, at + 1, COF_CHUNK);
		}
		reopen();
	}
	free(m.data);
	store_done(&s);
}
END_TEST

START_TEST(lines_of_many_files)
{
	struct model m[5];
	char name[16];

	store_make(&s, (enum store_kind)_i);
	state = 99;
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		model_new(&m[i], name);
	}
	for (int i = 0; i < 3000; i++) {
		struct model *one = &m[draw(5)];

		model_append(one, draw(50) ? 1 + draw(260) : 60000 + draw(80000));
		if (draw(20) == 0) /* what was just written is there */
			model_check(one, one->n - 1, 10);
	}
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 5; i++) {
			must_hold(&s, m[i].ino, m[i].data, m[i].n);
			for (int k = 0; k < 100; k++)
				model_check(&m[i], draw(m[i].n), draw(40000));
		}
		reopen();
	}
	for (int i = 0; i < 5; i++)
		free(m[i].data);
	store_done(&s);
}
END_TEST

/* Each mount has its own payload key; one read goes over all of them. */
START_TEST(several_mounts)
{
	struct model m;

	store_make(&s, STORE_SIM);
	state = 3;
	model_new(&m, "f");
	for (int i = 0; i < 6; i++) {
		for (int k = 0; k < 5; k++)
			model_append(&m, k == 3 ? 70000 : 100);
		reopen();
	}
	must_hold(&s, m.ino, m.data, m.n);
	for (int i = 0; i < 50; i++)
		model_check(&m, draw(m.n), draw(200000));
	free(m.data);
	store_done(&s);
}
END_TEST

/* More neighbouring small frames in one read than a window holds, in one segment. */
START_TEST(one_long_run)
{
	struct model m;

	store_new(&s, STORE_SIM);
	s.segment_size = 8 << 20;
	ck_assert_int_eq(store_init(&s, NULL), 0);
	store_open(&s);
	model_new(&m, "f");
	for (int i = 0; i < 50; i++)
		model_append(&m, 60000);
	must_hold(&s, m.ino, m.data, m.n);
	free(m.data);
	store_done(&s);
}
END_TEST

START_TEST(holes)
{
	struct model m;

	store_make(&s, STORE_SIM);
	model_new(&m, "f");
	model_append(&m, 100);
	must_write(&s, m.ino, 5000, "x", 1); /* a hole and a byte */
	m.data[5000] = 'x';
	m.n = 5001;
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_TRUNCATE,
					       .ino = m.ino,
					       .length = 300000}),
			 0);
	m.n = 300000;
	model_append(&m, 70000);
	for (int again = 0; again < 2; again++) {
		must_hold(&s, m.ino, m.data, m.n);
		for (int i = 0; i < 100; i++)
			model_check(&m, draw(m.n), draw(100000));
		reopen();
	}
	free(m.data);
	store_done(&s);
}
END_TEST

START_TEST(not_a_file)
{
	uint64_t link, gone;
	uint8_t buf[4];
	size_t got = 7;

	store_make(&s, STORE_SIM);
	link = must_create(&s, AUDIT, "l", COF_KIND_SYMLINK);
	gone = must_create(&s, AUDIT, "g", COF_KIND_FILE);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "g"), 0);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, AUDIT, buf, 4, 0, &got),
			 -EISDIR);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, link, buf, 4, 0, &got),
			 -EINVAL);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, 999, buf, 4, 0, &got), -ENOENT);
	ck_assert_uint_eq(got, 7);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, gone, buf, 4, 0, &got), 0);
	ck_assert_uint_eq(got, 0);
	store_done(&s);
}
END_TEST

/* Each tree size has its own end of the file. */
START_TEST(earlier_sizes)
{
	uint64_t at[20];
	size_t end[20];
	struct model m;

	store_make(&s, STORE_SIM);
	state = 5;
	model_new(&m, "f");
	for (int i = 0; i < 20; i++) {
		struct cof_op op = {
		    .kind = COF_OP_WRITE, .ino = m.ino, .offset = m.n, .length = 1 + draw(90000)};
		struct cof_reply reply;

		for (size_t k = 0; k < op.length; k++)
			m.data[m.n + k] = (uint8_t)draw(256);
		op.data = m.data + m.n;
		ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &reply), 0);
		m.n += op.length;
		at[i] = reply.sequence + 1;
		end[i] = m.n;
	}
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 20; i++) {
			uint8_t *buf = malloc(MODEL_MAX);
			size_t got;

			ck_assert_int_eq(cof_archive_read(s.archive, at[i], m.ino, buf, MODEL_MAX,
							  0, &got),
					 0);
			ck_assert_uint_eq(got, end[i]);
			ck_assert_mem_eq(buf, m.data, got);
			free(buf);
		}
		reopen();
	}
	free(m.data);
	store_done(&s);
}
END_TEST

/* ---- damage ---- */

static int read_all(const struct model *m, uint8_t *buf)
{
	size_t got = 0;
	int r;

	memset(buf, 0xee, m->n);
	r = cof_archive_read(s.archive, COF_INDEX_NOW, m->ino, buf, m->n, 0, &got);
	return r < 0 ? r : got == m->n ? 0 : -ERANGE;
}

/* A flipped bit anywhere in the log: the right bytes or -EIO, and the other places still read. */
START_TEST(flipped_bits)
{
	uint64_t eio = 0, tries = 0;
	struct cof_json *status;
	int64_t bytes = 0, last;
	struct model m[2];
	uint8_t *buf = malloc(MODEL_MAX);

	store_make(&s, STORE_SIM);
	state = 7;
	status = cof_json_object();
	ck_assert_int_eq(cof_archive_status(s.archive, status), 0);
	ck_assert_int_eq(cof_json_int(status, "bytes", &last), 0);
	cof_json_free(status);
	model_new(&m[0], "a");
	model_new(&m[1], "b");
	for (int i = 0; i < 12; i++)
		model_append(&m[i % 2], i % 5 ? 40 + draw(300) : 70000);
	status = cof_json_object();
	ck_assert_int_eq(cof_archive_status(s.archive, status), 0);
	ck_assert_int_eq(cof_json_int(status, "bytes", &bytes), 0);
	cof_json_free(status);
	for (int64_t off = last; off < bytes; off += off % 70000 < 1000 ? 7 : 1009) {
		unsigned bit = (unsigned)draw(8);

		ck_assert_int_eq(
		    cof_sim_flip(s.sim, "log/00000000.seg", (uint64_t)off, bit), 0);
		for (int i = 0; i < 2; i++) {
			int r = read_all(&m[i], buf);

			ck_assert_msg(r == 0 || r == -EIO, "offset %lld: %d", (long long)off, r);
			if (r == 0)
				ck_assert_mem_eq(buf, m[i].data, m[i].n);
			eio += r < 0;
		}
		tries++;
		ck_assert_int_eq(
		    cof_sim_flip(s.sim, "log/00000000.seg", (uint64_t)off, bit), 0);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(read_all(&m[i], buf), 0);
	ck_assert_uint_gt(eio, tries / 2);
	ck_assert_ptr_nonnull(strstr(s.alarm, "coffer verify"));
	free(buf);
	free(m[0].data);
	free(m[1].data);
	store_done(&s);
}
END_TEST

static void must_read_repaired(const struct model *m)
{
	uint8_t buf[64];
	size_t got = 0;

	ck_assert_int_eq(
	    cof_archive_read(s.archive, COF_INDEX_NOW, m->ino, buf, sizeof(buf), 0, &got), 0);
	ck_assert_uint_eq(got, m->n);
	ck_assert_mem_eq(buf, m->data, m->n);
}

/* An index that points to another file's frame is found out by the frame, and built anew. */
START_TEST(wrong_stretch)
{
	struct cof_json *status = cof_json_object();
	struct cof_stretch st;
	int64_t rebuilds = 0;
	size_t found = 0;
	struct model m, other;
	uint8_t buf[30];
	int64_t time;

	store_make(&s, STORE_SIM);
	state = 11;
	model_new(&m, "f");
	model_new(&other, "g");
	model_append(&m, 10);
	model_append(&other, 20);
	ck_assert_int_eq(
	    cof_index_stretches(s.archive->ix, COF_INDEX_NOW, other.ino, 0, &st, 1, &found), 0);
	ck_assert_uint_eq(found, 1);
	st.position = 10;
	cof_index_enter(s.archive->ix);
	ck_assert_int_eq(cof_index_add_stretch(s.archive->ix, m.ino, &st), 0);
	cof_index_leave(s.archive->ix);
	ck_assert_int_eq(cof_stretch_time(s.archive, &st, m.ino, &time, &time), -COF_EINDEX);
	ck_assert_int_eq(cof_read_range(s.archive, COF_INDEX_NOW, m.ino, 0, buf, 30), -COF_EINDEX);
	cof_obj_clear(s.archive); /* nobody holds one */
	must_read_repaired(&m);
	must_read_repaired(&other);
	ck_assert_int_eq(cof_archive_status(s.archive, status), 0);
	ck_assert_int_eq(cof_json_int(cof_json_get(status, "index"), "rebuilds", &rebuilds), 0);
	ck_assert_int_eq(rebuilds, 1);
	ck_assert_ptr_nonnull(strstr(s.alarm, "rebuilt"));
	cof_json_free(status);
	free(m.data);
	free(other.data);
	store_done(&s);
}
END_TEST

/* ---- beside writers ---- */

#define LINES 4000

struct polling {
	uint64_t ino;
	atomic_bool stop;
	uint64_t reads, bytes;
	const char *wrong;
};

static void line(unsigned i, char out[48])
{
	snprintf(out, 48, "line %08u of the tests here\n", i);
}

/* Polls the end of a growing file: never a byte that was not written, never a size without its bytes. */
static void *poll_end(void *user)
{
	struct polling *p = user;
	char want[48], buf[64];

	while (!atomic_load(&p->stop) && !p->wrong) {
		struct cof_attr attr;
		size_t len, got = 0;
		uint64_t last;

		line(0, want);
		len = strlen(want);
		if (cof_archive_getattr(s.archive, COF_INDEX_NOW, p->ino, &attr))
			p->wrong = "getattr";
		if (attr.size % len)
			p->wrong = "half a line";
		if (!attr.size || p->wrong)
			continue;
		last = attr.size / len - 1;
		if (cof_archive_read(s.archive, COF_INDEX_NOW, p->ino, buf, len, last * len, &got))
			p->wrong = "read";
		line((unsigned)last, want);
		if (got != len || memcmp(buf, want, len))
			p->wrong = "other bytes";
		p->reads++;
		p->bytes += got;
	}
	return NULL;
}

START_TEST(polling_readers)
{
	struct polling p[2] = {{.ino = 0}};
	pthread_t thread[2];
	char text[48];
	uint64_t ino;

	store_make(&s, STORE_SIM);
	ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);
	for (int i = 0; i < 2; i++) {
		p[i].ino = ino;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, poll_end, &p[i]), 0);
	}
	line(0, text);
	for (unsigned i = 0; i < LINES; i++) {
		size_t n = strlen(text);

		line(i, text);
		must_write(&s, ino, (uint64_t)i * n, text, n);
		if (i % 500 == 0)
			cof_archive_tick(s.archive); /* feeding beside reading */
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&p[i].stop, true);
		pthread_join(thread[i], NULL);
		ck_assert_msg(!p[i].wrong, "%s", p[i].wrong);
		ck_assert_uint_gt(p[i].reads, 0);
	}
	store_done(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-read");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("read");
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, one_write, 0, COF_COUNT(sizes));
	tcase_add_loop_test(c, lines_of_many_files, 0, STORE_KINDS);
	tcase_add_test(c, several_mounts);
	tcase_add_test(c, one_long_run);
	tcase_add_test(c, holes);
	tcase_add_test(c, not_a_file);
	tcase_add_test(c, earlier_sizes);
	tcase_add_test(c, flipped_bits);
	tcase_add_test(c, wrong_stretch);
	tcase_add_test(c, polling_readers);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
