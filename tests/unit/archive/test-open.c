/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing: what each leaves in the log, what an unclean end leaves, what an index that
 * is old, gone or wrong costs, and that a log that was tampered with is only read.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#include "entries.h"
#include "fs/archive/internal.h"

static struct store s;

static void setup(void)
{
	store_make(&s, STORE_SIM);
}

/* The store as after the death of the process: nothing lost, nothing said goodbye. */
static void kill_and_reopen(enum cof_sim_loss loss)
{
	cof_archive_abandon(s.archive);
	s.archive = NULL;
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, loss);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
	store_open(&s);
}

static struct cof_json *last_of(struct cof_json *entries)
{
	ck_assert_uint_gt(cof_json_count(entries), 0);
	return cof_json_at(entries, cof_json_count(entries) - 1);
}

START_TEST(clean)
{
	static const char text[] = "a line\n";
	struct cof_json *mounts, *all;
	uint64_t ino;

	store_make(&s, _i);
	ck_assert(s.opened.recovered.clean);
	ck_assert_str_eq(s.opened.text, "");
	ck_assert(!s.opened.index_rebuilt && !s.opened.read_only);
	ino = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
	must_write(&s, ino, 0, text, sizeof(text) - 1);
	must_hold(&s, ino, text, sizeof(text) - 1);
	for (int i = 0; i < 3; i++) {
		store_close(&s);
		store_open(&s);
		ck_assert(s.opened.recovered.clean);
		must_hold(&s, ino, text, sizeof(text) - 1);
	}
	ck_assert_uint_gt(must_create(&s, AUDIT, "b.log", COF_KIND_FILE), ino);

	mounts = entries_of(&s, "mount");
	ck_assert_uint_eq(cof_json_count(mounts), 5); /* one by init */
	for (size_t i = 0; i < 5; i++) {
		struct cof_json *m = cof_json_at(mounts, i);

		ck_assert_int_eq(number_of(m, "mount"), (int64_t)i + 1);
		ck_assert_int_eq(number_of(m, "epoch"), (int64_t)i + 1);
		ck_assert_uint_eq(strlen(cof_json_str(m, "salt")), 64);
		if (i) {
			ck_assert_str_ne(cof_json_str(m, "salt"),
					 cof_json_str(cof_json_at(mounts, i - 1), "salt"));
			ck_assert_str_ne(cof_json_str(m, "commitment"),
					 cof_json_str(cof_json_at(mounts, i - 1), "commitment"));
		}
		ck_assert_str_eq(cof_json_str(m, "software"), "coffer " COF_VERSION);
	}
	cof_json_free(mounts);
	all = entries_of(&s, "recovery");
	ck_assert_uint_eq(cof_json_count(all), 0);
	cof_json_free(all);
	store_done(&s);
}
END_TEST

/* Killed: everything accepted is there, synced or not, and the next mount says what happened. */
START_TEST(killed)
{
	static const char text[] = "accepted, never synced";
	struct cof_json *list;
	uint64_t ino;

	setup();
	ino = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
	must_write(&s, ino, 0, text, sizeof(text));
	kill_and_reopen(COF_SIM_KEEP);
	ck_assert(!s.opened.recovered.clean);
	ck_assert_ptr_nonnull(strstr(s.opened.text, "not closed cleanly"));
	must_hold(&s, ino, text, sizeof(text));
	list = entries_of(&s, "recovery");
	ck_assert_uint_eq(cof_json_count(list), 1);
	ck_assert_int_ge(number_of(last_of(list), "count"), 3); /* MOUNT, CREATE, APPEND, ... */
	ck_assert_int_eq(number_of(last_of(list), "torn_bytes"), 0);
	cof_json_free(list);
	/* and it is said once */
	store_close(&s);
	store_open(&s);
	ck_assert(s.opened.recovered.clean);
	store_done(&s);
}
END_TEST

START_TEST(durable_survives_a_power_cut)
{
	static const char text[] = "synced", more[] = "not synced";
	uint64_t ino, sequence;

	setup();
	ino = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
	must_write(&s, ino, 0, text, sizeof(text));
	ck_assert_int_eq(cof_archive_fsync_sequence(s.archive, ino, &sequence), 0);
	ck_assert_int_eq(cof_log_sync(s.archive->log, sequence), 0);
	must_write(&s, ino, sizeof(text), more, sizeof(more));
	kill_and_reopen(COF_SIM_LOSE);
	must_hold(&s, ino, text, sizeof(text));
	store_done(&s);
}
END_TEST

/* ---- the index ---- */

struct disk { /* a store in a directory with a real index */
	struct cof_archive_params p;
	char index[128];
};

static void open_with(struct disk *d)
{
	struct cof_diag diag = {""};

	snprintf(d->index, sizeof(d->index), "%s/index", s.dir);
	d->p = (struct cof_archive_params){.io = s.io, .secret = &s.secret, .no_threads = true};
	ck_assert_msg(cof_archive_open(&d->p, &s.archive, &s.opened, &diag) == 0, "%s", diag.text);
}

static void damage_index(const char *dir, int how)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 how == 0 ? "rm -r %s"
			  : "for f in %s/*; do dd if=/dev/zero of=$f bs=4096 seek=1 count=64 "
			    "conv=notrunc 2>/dev/null; done",
		 dir);
	ck_assert_int_eq(WEXITSTATUS(system(command)), 0);
}

/* How: 0 gone, 1 damaged. Either way the same tree is there again. */
START_TEST(index_rebuilt)
{
	struct cof_attr attr;
	struct disk d;
	uint8_t data[3000];
	uint64_t ino, dir;

	store_new(&s, STORE_PLAIN);
	ck_assert_int_eq(store_init(&s, NULL), 0);
	open_with(&d);
	ck_assert(!s.opened.index_rebuilt);
	memset(data, 7, sizeof(data));
	dir = must_create(&s, AUDIT, "d", COF_KIND_DIR);
	ino = must_create(&s, dir, "f", COF_KIND_FILE);
	for (size_t i = 0; i < 300; i++)
		must_write(&s, ino, i * 10, data + i * 10, 10);
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	store_close(&s);

	damage_index(d.index, _i);
	open_with(&d);
	ck_assert(s.opened.index_rebuilt);
	ck_assert_ptr_nonnull(strstr(s.opened.text, "index was built anew"));
	must_hold(&s, ino, data, sizeof(data));
	ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, dir, "f", &attr), 0);
	ck_assert_uint_eq(attr.ino, ino);
	ck_assert_uint_eq(attr.state, COF_STATE_COMMITTED);
	ck_assert_uint_gt(must_create(&s, dir, "g", COF_KIND_FILE), ino);
	store_close(&s);
	open_with(&d); /* and it is whole now */
	ck_assert(!s.opened.index_rebuilt);
	must_hold(&s, ino, data, sizeof(data));
	store_done(&s);
}
END_TEST

/* An index of a longer history than the log has (a store put back from a copy) is not believed. */
START_TEST(index_ahead)
{
	char command[1024];
	struct cof_attr attr;
	struct disk d;
	uint64_t ino;

	store_new(&s, STORE_PLAIN);
	ck_assert_int_eq(store_init(&s, NULL), 0);
	open_with(&d);
	ino = must_create(&s, AUDIT, "kept", COF_KIND_FILE);
	store_close(&s);
	snprintf(command, sizeof(command), "cp -a %s %s.old", s.dir, s.dir);
	ck_assert_int_eq(WEXITSTATUS(system(command)), 0);
	open_with(&d);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "lost-%d", i);
		must_create(&s, AUDIT, name, COF_KIND_FILE);
	}
	store_close(&s);
	cof_io_free(s.io);
	snprintf(command, sizeof(command),
		 "mv %s/index %s.new && rm -r %s && mv %s.old %s && rm -r %s/index && mv %s.new "
		 "%s/index",
		 s.dir, s.dir, s.dir, s.dir, s.dir, s.dir, s.dir, s.dir);
	ck_assert_int_eq(WEXITSTATUS(system(command)), 0);
	ck_assert_int_eq(cof_io_plain(s.dir, &s.io, NULL), 0);
	open_with(&d);
	ck_assert(s.opened.index_rebuilt);
	ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, "kept", &attr), 0);
	ck_assert_uint_eq(attr.ino, ino);
	ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, "lost-3", &attr),
			 -ENOENT);
	store_done(&s);
}
END_TEST

/* ---- refused and read-only ---- */

START_TEST(second_opener)
{
	struct cof_archive_params p = {.secret = &s.secret, .index_dir = "", .no_threads = true};
	struct cof_archive *other = NULL;
	struct cof_diag diag = {""};
	struct cof_io *io;

	store_make(&s, _i);
	if (_i == STORE_SIM)
		ck_assert_int_eq(cof_sim_open(s.sim, &io), 0);
	else
		ck_assert_int_eq(cof_io_plain(s.dir, &io, NULL), 0);
	p.io = io;
	ck_assert_int_eq(cof_archive_open(&p, &other, NULL, &diag), -EBUSY);
	ck_assert_ptr_nonnull(strstr(diag.text, "pid "));
	store_close(&s);
	ck_assert_int_eq(cof_archive_open(&p, &other, NULL, &diag), 0);
	ck_assert_int_eq(cof_archive_close(other, &diag), 0);
	cof_io_free(io);
	store_done(&s);
}
END_TEST

START_TEST(wrong_key)
{
	struct cof_archive *a = NULL;
	struct cof_diag diag = {""};
	struct cof_archive_params p = {.secret = &s.secret, .index_dir = "", .no_threads = true};
	uint64_t ops;

	setup();
	store_close(&s);
	p.io = s.io;
	s.key[3] ^= 1;
	ops = cof_sim_ops(s.sim);
	ck_assert_int_eq(cof_archive_open(&p, &a, NULL, &diag), -EKEYREJECTED);
	ck_assert_ptr_null(a);
	ck_assert_ptr_nonnull(strstr(diag.text, "wrong key file"));
	ck_assert_uint_eq(cof_sim_ops(s.sim), ops); /* nothing was written */
	s.key[3] ^= 1;
	store_open(&s);
	store_done(&s);
}
END_TEST

struct copy {
	uint8_t *data;
	size_t n;
};

static struct copy copy_of(const char *path)
{
	const uint8_t *p;
	struct copy c;

	ck_assert_int_eq(cof_sim_peek(s.sim, path, &p, &c.n), 0);
	c.data = malloc(c.n);
	memcpy(c.data, p, c.n);
	return c;
}

static void must_equal(const char *path, struct copy *c)
{
	const uint8_t *p;
	size_t n;

	ck_assert_int_eq(cof_sim_peek(s.sim, path, &p, &n), 0);
	ck_assert_uint_eq(n, c->n);
	ck_assert_mem_eq(p, c->data, n);
	free(c->data);
}

/* A bit of a durable frame below the checkpoint: read-only, said, and the rest still reads. */
START_TEST(tampered)
{
	static const char text[] = "what was written before";
	struct copy log, tile, checkpoint;
	uint64_t ino, other, sequence;
	struct cof_attr attr;

	setup();
	other = must_create(&s, AUDIT, "first", COF_KIND_FILE);
	must_write(&s, other, 0, text, sizeof(text));
	ino = must_create(&s, AUDIT, "second", COF_KIND_FILE);
	ck_assert_int_eq(cof_archive_fsync_sequence(s.archive, 0, &sequence), 0);
	store_close(&s);
	/* the last frames, which recovery looks at: cut them off */
	cof_io_free(s.io);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
	{
		struct cof_reader *reader;
		struct cof_conf conf;
		struct cof_frame f;
		uint64_t address;

		ck_assert_int_eq(cof_conf_load(s.io, &conf, NULL), 0);
		ck_assert_int_eq(cof_reader_new(s.io, &conf, &reader), 0);
		ck_assert_int_eq(cof_reader_find(reader, sequence, &address, NULL), 0);
		ck_assert_int_eq(cof_reader_header(reader, address, &f, NULL, NULL), 0);
		ck_assert_uint_eq(f.type, COF_CREATE);
		cof_reader_free(reader);
		ck_assert_int_eq(cof_sim_flip(s.sim, "log/00000000.seg", address + 30, 2), 0);
		/* without the stored hashes the walk has to meet it */
		ck_assert_int_eq(cof_sim_flip(s.sim, "tile/0", 40, 1), 0);
	}
	log = copy_of("log/00000000.seg");
	tile = copy_of("tile/0");
	checkpoint = copy_of("checkpoint");
	s.alarm[0] = 0;
	store_open(&s);
	ck_assert(s.opened.read_only);
	ck_assert_ptr_nonnull(strstr(s.opened.text, "read-only"));
	ck_assert_ptr_nonnull(strstr(s.alarm, "read-only"));
	ck_assert_int_eq(do_write(&s, other, sizeof(text), text, 1), -EROFS);
	ck_assert_int_eq(do_create(&s, AUDIT, "third", COF_KIND_FILE, &ino), -EROFS);
	must_hold(&s, other, text, sizeof(text));
	ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, "first", &attr), 0);
	store_close(&s);
	must_equal("log/00000000.seg", &log); /* what is left is evidence */
	must_equal("tile/0", &tile);
	must_equal("checkpoint", &checkpoint);
	store_done(&s);
}
END_TEST

/* A write that fails is final: its caller is told, everything later is EROFS, an alarm says so. */
START_TEST(failed_write)
{
	static const char text[] = "before", more[] = "after";
	struct cof_diag diag = {""};
	uint64_t ino;

	setup();
	ino = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, ino, 0, text, sizeof(text));
	cof_sim_plan(s.sim, COF_SIM_EIO, cof_sim_ops(s.sim) + 1);
	ck_assert_int_eq(do_write(&s, ino, sizeof(text), more, sizeof(more)), -EIO);
	ck_assert_int_eq(do_write(&s, ino, sizeof(text), more, sizeof(more)), -EROFS);
	ck_assert_ptr_nonnull(strstr(s.alarm, "read-only from now on"));
	must_hold(&s, ino, text, sizeof(text));
	ck_assert_int_lt(cof_archive_close(s.archive, &diag), 0);
	ck_assert_ptr_nonnull(strstr(diag.text, "not closed cleanly"));
	s.archive = NULL;
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, COF_SIM_KEEP);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
	store_open(&s);
	ck_assert(!s.opened.recovered.clean);
	must_hold(&s, ino, text, sizeof(text));
	store_done(&s);
}
END_TEST

/* ---- clocks and the keeper ---- */

START_TEST(clock_step)
{
	struct cof_json *list;
	int64_t before;

	setup();
	before = cof_clock_retention(&s.archive->clock);
	s.archive->clock.offset -=
	    3600 * COF_NSEC; /* as if the wall clock had been an hour behind */
	cof_archive_tick(s.archive);
	cof_archive_tick(s.archive);
	list = entries_of(&s, "clock");
	ck_assert_uint_eq(cof_json_count(list), 1);
	ck_assert_ptr_nonnull(cof_json_str(last_of(list), "wall_before"));
	ck_assert_str_ne(cof_json_str(last_of(list), "wall_before"),
			 cof_json_str(last_of(list), "wall_after"));
	cof_json_free(list);
	ck_assert_ptr_nonnull(strstr(s.alarm, "wall clock stepped"));
	ck_assert_int_lt(cof_clock_retention(&s.archive->clock) - before, 60 * COF_NSEC);
	store_done(&s);
}
END_TEST

/* Retention goes on over mounts of one boot, by the boot's clock, and never back. */
START_TEST(retention)
{
	int64_t first, second;

	setup();
	first = cof_clock_retention(&s.archive->clock);
	store_close(&s);
	store_open(&s);
	second = cof_clock_retention(&s.archive->clock);
	ck_assert_int_ge(second, first);
	ck_assert_int_lt(second - first, 300 * COF_NSEC);
	store_done(&s);
}
END_TEST

START_TEST(another_boot)
{
	struct cof_clock c = {0};
	uint8_t other[16] = {1};
	int64_t boot = cof_now(CLOCK_BOOTTIME);
	struct cof_clock_start at = {.last_retention = 5000, .mount_retention = 4000, .mount_boottime = boot - 7000};

	cof_clock_start(&c, &at);
	ck_assert_int_eq(c.base_retention, 5000);
	at.mount_boot_id = other;
	cof_clock_start(&c, &at);
	ck_assert_int_eq(c.base_retention, 5000);
	at.mount_boot_id = c.boot_id;
	cof_clock_start(&c, &at);
	ck_assert_int_ge(c.base_retention, 11000);
	/* a boot time of the future proves nothing */
	at.mount_boottime = boot + 3600 * COF_NSEC;
	cof_clock_start(&c, &at);
	ck_assert_int_eq(c.base_retention, 5000);
	at.mount_retention = INT64_MAX;
	at.mount_boottime = 0;
	cof_clock_start(&c, &at);
	ck_assert_int_eq(c.base_retention, 5000);
}
END_TEST

/* With its threads: a checkpoint follows by itself, and the end does not hang. */
START_TEST(threads)
{
	struct cof_archive_params p = {.secret = &s.secret, .index_dir = ""};
	struct cof_diag diag = {""};
	struct cof_log_status st = {0};
	uint64_t ino, covered;

	setup();
	store_close(&s);
	p.io = s.io;
	ck_assert_int_eq(cof_archive_open(&p, &s.archive, &s.opened, &diag), 0);
	ino = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, ino, 0, "x", 1);
	covered = atomic_load(&s.archive->size);
	while (st.checkpoint_size < covered) { /* the suite's timeout ends it */
		sched_yield();
		cof_log_status(s.archive->log, &st);
	}
	store_done(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-open");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("open");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, clean, 0, STORE_KINDS);
	tcase_add_test(c, killed);
	tcase_add_test(c, durable_survives_a_power_cut);
	tcase_add_loop_test(c, index_rebuilt, 0, 2);
	tcase_add_test(c, index_ahead);
	tcase_add_loop_test(c, second_opener, 0, STORE_KINDS);
	tcase_add_test(c, wrong_key);
	tcase_add_test(c, tampered);
	tcase_add_test(c, failed_write);
	tcase_add_test(c, clock_step);
	tcase_add_test(c, retention);
	tcase_add_test(c, another_boot);
	tcase_add_test(c, threads);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
