/* SPDX-License-Identifier: Apache-2.0 */
/* Making an archive: what is in it, that it lasts, and that a failed attempt leaves nothing. */
#include "fs/archive/keys.h"
#include "support.h"

static struct store s;

static void finish(void)
{
	store_done(&s);
}

static void must_init(void)
{
	struct cof_diag diag = {""};
	int r = store_init(&s, &diag);

	ck_assert_msg(r == 0, "init: %s: %s", strerror(-r), diag.text);
}

/* ---- what is in it ---- */

static const struct {
	uint8_t type;
	uint64_t object;
} expected[] = {
    {COF_ARCHIVE, 0}, {COF_MOUNT, 0},	{COF_CREATE, 2},  {COF_SHELF, 2},
    {COF_CREATE, 3},  {COF_SHELF, 3},	{COF_UNMOUNT, 0}, {COF_CHECKPOINT, 0},
};

static void check_frames(void)
{
	struct cof_reader *reader;
	struct cof_conf conf;
	struct cof_frame f;
	uint64_t address = 0;

	ck_assert_int_eq(cof_conf_load(s.io, &conf, NULL), 0);
	ck_assert_mem_eq(conf.id, s.archive_id, 16);
	ck_assert_str_eq(conf.vkey.name, "test.example/archive");
	ck_assert_uint_eq(conf.segment_size, 1 << 20);
	ck_assert_int_eq(cof_reader_new(s.io, &conf, &reader), 0);
	for (size_t i = 0; i < COF_COUNT(expected); i++) {
		ck_assert_int_eq(cof_reader_header(reader, address, &f, NULL, NULL), 0);
		ck_assert_uint_eq(f.sequence, i);
		ck_assert_uint_eq(f.type, expected[i].type);
		ck_assert_uint_eq(f.object, expected[i].object);
		ck_assert_uint_eq(f.mount, i > 0);
		ck_assert_int_ge(f.retention_time, conf.created);
		ck_assert_int_eq(cof_reader_next(reader, address, &f, &address), 0);
	}
	ck_assert_int_eq(cof_reader_header(reader, address, &f, NULL, NULL), -ENODATA);
	cof_reader_free(reader);
}

/* The mount that made it used up the first epoch. */
static void check_epoch(void)
{
	struct cof_diag diag = {""};
	struct cof_keys *keys = NULL;

	ck_assert_int_eq(cof_keys_open(s.io, s.archive_id, &s.secret, &keys, &diag), 0);
	ck_assert_uint_eq(cof_keys_epoch(keys), 2);
	cof_keys_free(keys);
}

START_TEST(frames)
{
	store_new(&s, _i);
	must_init();
	check_frames();
	check_epoch();
	finish();
}
END_TEST

/* The policy lies in clear, the name does not lie anywhere. */
START_TEST(shelf_policy)
{
	const uint8_t *p;
	size_t n;

	store_new(&s, STORE_SIM);
	must_init();
	ck_assert_int_eq(cof_sim_peek(s.sim, "log/00000000.seg", &p, &n), 0);
	ck_assert_ptr_nonnull(memmem(p, n, "durability = write", 18));
	ck_assert_ptr_null(memmem(p, n, "audit", 5));
	finish();
}
END_TEST

START_TEST(seal_of_the_first_frame)
{
	static const uint8_t no_salt[32], first[COF_HASH];
	uint8_t raw[COF_FRAME_HEADER], k[COF_KEY], tag[16];
	struct cof_reader *reader;
	struct cof_conf conf;
	struct cof_frame f;

	store_new(&s, STORE_SIM);
	must_init();
	ck_assert_int_eq(cof_conf_load(s.io, &conf, NULL), 0);
	ck_assert_int_eq(cof_reader_new(s.io, &conf, &reader), 0);
	ck_assert_int_eq(cof_reader_header(reader, 0, &f, raw, NULL), 0);
	ck_assert_int_eq(cof_seal_mount_key(s.auditor, no_salt, conf.id, k), 0);
	cof_seal_tag(k, raw, first, tag);
	ck_assert_mem_eq(tag, f.seal_tag, 16);
	cof_reader_free(reader);
	finish();
}
END_TEST

static bool exists(const char *path)
{
	int r = cof_io_exists(s.io, path);

	ck_assert_int_ge(r, 0);
	return r == 1;
}

START_TEST(survives_a_power_cut)
{
	store_new(&s, STORE_SIM);
	must_init();
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, COF_SIM_LOSE);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
	check_frames();
	ck_assert(exists("checkpoint"));
	ck_assert(exists("seal/file-1"));
	ck_assert(exists("keys/top"));
	ck_assert(exists("keys/epoch"));
	ck_assert(exists("aside"));
	ck_assert(exists("tile/0"));
	store_open(&s);
	ck_assert(s.opened.recovered.clean);
	ck_assert_uint_eq(s.opened.recovered.size, COF_COUNT(expected));
	finish();
}
END_TEST

/* ---- what is refused ---- */

static int count_name(void *user, const char *name)
{
	(void)name;
	++*(int *)user;
	return 0;
}

static int names_in_store(void)
{
	int n = 0;

	ck_assert_int_eq(cof_io_list(s.io, "", count_name, &n), 0);
	return n;
}

START_TEST(not_empty)
{
	struct cof_diag diag = {""};

	store_new(&s, _i);
	ck_assert_int_eq(cof_io_replace(s.io, "mine", "x", 1), 0);
	ck_assert_int_eq(store_init(&s, &diag), -EEXIST);
	ck_assert_ptr_nonnull(strstr(diag.text, "not empty"));
	ck_assert_int_eq(names_in_store(), 1);
	finish();
}
END_TEST

START_TEST(a_second_time)
{
	struct cof_diag diag = {""};
	uint8_t id[16];
	int n;

	store_new(&s, _i);
	must_init();
	n = names_in_store();
	memcpy(id, s.archive_id, 16);
	ck_assert_int_eq(store_init(&s, &diag), -EEXIST);
	ck_assert_int_eq(names_in_store(), n);
	ck_assert_mem_eq(id, s.archive_id, 16);
	check_frames();
	finish();
}
END_TEST

static const struct {
	const char *what;
	struct cof_shelf_spec shelves[2];
	size_t n;
	const char *origin;
	uint64_t segment_size;
} refused[] = {
    {"no shelf", {{.name = "a"}}, 0, "o", 0},
    {"an empty name", {{.name = ""}}, 1, "o", 0},
    {"no name", {{.name = NULL}}, 1, "o", 0},
    {"a dot", {{.name = "."}}, 1, "o", 0},
    {"two dots", {{.name = ".."}}, 1, "o", 0},
    {"a slash", {{.name = "a/b"}}, 1, "o", 0},
    {"the same twice", {{.name = "a"}, {.name = "a"}}, 2, "o", 0},
    {"an origin with a space", {{.name = "a"}}, 1, "o o", 0},
    {"an empty origin", {{.name = "a"}}, 1, "", 0},
    {"no origin", {{.name = "a"}}, 1, NULL, 0},
    {"a small segment", {{.name = "a"}}, 1, "o", 4096},
    {"an odd segment", {{.name = "a"}}, 1, "o", 65537},
    {"a large segment", {{.name = "a"}}, 1, "o", (1ull << 30) + 4096},
};

START_TEST(impossible)
{
	struct cof_diag diag = {""};
	struct cof_init_params p = {
	    .origin = refused[_i].origin,
	    .segment_size = refused[_i].segment_size,
	    .shelves = refused[_i].shelves,
	    .n_shelves = refused[_i].n,
	};

	store_new(&s, STORE_PLAIN);
	p.secret = &s.secret;
	ck_assert_msg(cof_archive_init(s.io, &p, &diag) == -EINVAL, "%s: %s", refused[_i].what,
		      diag.text);
	ck_assert_uint_gt(strlen(diag.text), 10);
	ck_assert_int_eq(names_in_store(), 0);
	finish();
}
END_TEST

START_TEST(short_key_file)
{
	struct cof_diag diag = {""};

	store_new(&s, _i);
	s.secret.len = 31;
	ck_assert_int_eq(store_init(&s, &diag), -EINVAL);
	ck_assert_int_eq(names_in_store(), 0);
	finish();
}
END_TEST

/* ---- failures ---- */

/* Each operation fails once, in turn: init says so and leaves an empty directory. */
START_TEST(every_failure)
{
	uint64_t n = 0, last;
	uint8_t no_secret[32] = {0};

	store_new(&s, STORE_SIM);
	must_init();
	last = cof_sim_ops(s.sim);
	ck_assert_uint_gt(last, 20);
	finish();
	for (n = 1; n <= last; n++) {
		struct cof_diag diag = {""};

		store_new(&s, STORE_SIM);
		cof_sim_plan(s.sim, COF_SIM_EIO, n);
		if (store_init(&s, &diag) == 0) { /* only what is not part of the store failed */
			check_frames();
		} else {
			ck_assert_msg(names_in_store() == 0, "operation %llu: %s",
				      (unsigned long long)n, diag.text);
			ck_assert_uint_gt(strlen(diag.text), 10);
			ck_assert_mem_eq(s.auditor, no_secret, 32);
		}
		finish();
	}
}
END_TEST

/* After a power cut at any operation nothing crashes: the store opens, or the sentence says why not. */
START_TEST(every_crash)
{
	uint64_t last, kept_from_writing = 0;

	store_new(&s, STORE_SIM);
	must_init();
	last = cof_sim_ops(s.sim);
	finish();
	for (uint64_t n = 1; n <= last; n++) {
		struct cof_archive_params p = {.index_dir = "", .no_threads = true};
		struct cof_diag diag = {""};
		int r;

		store_new(&s, STORE_SIM);
		cof_sim_plan(s.sim, COF_SIM_CRASH, n);
		ck_assert_int_lt(store_init(&s, &diag), 0);
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, n % 2 ? COF_SIM_LOSE : COF_SIM_TEAR);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		p.io = s.io;
		p.secret = &s.secret;
		diag.text[0] = 0;
		r = cof_archive_open(&p, &s.archive, &s.opened, &diag);
		if (r < 0) {
			s.archive = NULL;
			ck_assert_uint_gt(strlen(diag.text), 10);
		}
		kept_from_writing += r < 0 || s.opened.read_only;
		finish();
	}
	/* Only what comes behind the checkpoint can be lost without harm. */
	ck_assert_uint_gt(kept_from_writing, last * 3 / 4);
}
END_TEST

START_TEST(no_space)
{
	static const uint64_t limits[] = {4096, 65536, 900 << 10, (1 << 20) + 8192};

	for (size_t i = 0; i < COF_COUNT(limits); i++) {
		struct cof_diag diag = {""};
		int r;

		store_new(&s, STORE_SIM);
		cof_sim_limit(s.sim, limits[i]);
		r = store_init(&s, &diag);
		ck_assert_msg(r < 0 || limits[i] > 1 << 20, "limit %llu",
			      (unsigned long long)limits[i]);
		if (r < 0)
			ck_assert_int_eq(names_in_store(), 0);
		else
			check_frames();
		finish();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-init");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("init");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, frames, 0, STORE_KINDS);
	tcase_add_test(c, shelf_policy);
	tcase_add_test(c, seal_of_the_first_frame);
	tcase_add_test(c, survives_a_power_cut);
	tcase_add_loop_test(c, not_empty, 0, STORE_KINDS);
	tcase_add_loop_test(c, a_second_time, 0, STORE_KINDS);
	tcase_add_loop_test(c, impossible, 0, COF_COUNT(refused));
	tcase_add_loop_test(c, short_key_file, 0, STORE_KINDS);
	tcase_add_test(c, every_failure);
	tcase_add_test(c, every_crash);
	tcase_add_test(c, no_space);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
