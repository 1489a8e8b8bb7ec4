/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated store's faults, one by one. */
#include "test-io.h"

#include <stdio.h>

/* A disk with one file "a" that holds "old", durable; open in *f. */
static struct cof_sim *disk_with_a(uint64_t seed, struct cof_io **io, struct cof_file **f)
{
	struct cof_sim *s = cof_sim_new(seed);

	ck_assert_ptr_nonnull(s);
	ok(cof_sim_open(s, io));
	put_file(*io, "a", "old");
	ok(cof_io_sync_dir(*io, ""));
	ok(cof_io_open(*io, "a", COF_IO_RDWR, f));
	return s;
}

static struct cof_io *reboot(struct cof_sim *s, struct cof_io *io, struct cof_file *f,
			     enum cof_sim_loss loss)
{
	struct cof_io *now;

	cof_sim_reboot(s, loss);
	cof_io_close(f);
	cof_io_free(io);
	ok(cof_sim_open(s, &now));
	return now;
}

START_TEST(operations_are_counted)
{
	struct cof_io *io;
	struct cof_file *f;
	struct cof_sim *s = disk_with_a(1, &io, &f);
	uint64_t ops = cof_sim_ops(s);
	uint8_t b[8];
	size_t n;

	ck_assert_uint_eq(ops, 4); /* create, write, sync, sync_dir */
	ok(cof_io_read(f, b, 8, 0, &n));
	ok(cof_io_exists(io, "x"));
	ck_assert_uint_eq(cof_sim_ops(s), ops);
	ok(cof_io_write(f, "x", 1, 0));
	ok(cof_io_allocate(f, 0, 9));
	ok(cof_io_truncate(f, 3));
	ok(cof_io_mkdir(io, "d"));
	ok(cof_io_rmdir(io, "d"));
	ok(cof_io_rename(io, "a", "b"));
	ok(cof_io_unlink(io, "b"));
	ck_assert_uint_eq(cof_sim_ops(s), ops + 7);
	ck_assert_str_eq(cof_io_name(io), "simulated");
	cof_io_close(f);
	cof_io_free(io);
	cof_sim_free(s);
	cof_sim_free(NULL);
}
END_TEST

START_TEST(write_error_is_final)
{
	struct cof_io *io;
	struct cof_file *f, *g = NULL, *h = NULL;
	struct cof_sim *s = disk_with_a(2, &io, &f);
	uint64_t ops = cof_sim_ops(s);

	ok(cof_io_create(io, "b", &h));
	cof_sim_plan(s, COF_SIM_EIO, ops + 2);
	ck_assert_int_eq(cof_io_write(f, "new", 3, 0), -EIO);
	ck_assert_int_eq(cof_io_write(f, "new", 3, 0), -EIO);
	ck_assert_int_eq(cof_io_sync(f), -EIO);
	ck_assert_uint_eq(cof_sim_ops(s), ops + 2); /* the disk was not asked again */
	ok(cof_io_write(h, "x", 1, 0));
	ok(cof_io_open(io, "a", COF_IO_RDWR, &g));
	ok(cof_io_write(g, "new", 3, 0));
	ok(cof_io_sync(g));
	ck_assert(holds(io, "a", "new"));
	cof_io_close(g);
	cof_io_close(h);
	cof_io_close(f);
	cof_io_free(io);
	cof_sim_free(s);
}
END_TEST

/* After a failed sync each descriptor that was open is told of it once; through a later one a sync returns 0,
 * and the data is gone. */
START_TEST(sync_error_loses_data)
{
	int lost = 0, kept = 0;

	for (uint64_t seed = 0; seed < 40; seed++) {
		struct cof_io *io;
		struct cof_file *f, *g = NULL, *beside = NULL;
		struct cof_sim *s = disk_with_a(seed, &io, &f);

		ok(cof_io_open(io, "a", COF_IO_RDONLY, &beside));
		ok(cof_io_write(f, "new", 3, 0));
		cof_sim_plan(s, COF_SIM_EIO, cof_sim_ops(s) + 1);
		ck_assert_int_eq(cof_io_sync(f), -EIO);
		ck_assert_int_eq(cof_io_sync(f), -EIO);
		ck_assert_int_eq(cof_io_write(f, "x", 1, 0), -EIO);
		ok(cof_io_open(io, "a", COF_IO_RDWR, &g));
		ok(cof_io_sync(g));
		cof_io_close(g);
		ck_assert_int_eq(cof_io_sync(beside), -EIO);
		cof_io_close(beside);
		io = reboot(s, io, f, COF_SIM_LOSE);
		if (holds(io, "a", "old"))
			lost++;
		else
			kept += holds(io, "a", "new");
		cof_io_free(io);
		cof_sim_free(s);
	}
	ck_assert_int_eq(lost + kept, 40);
	ck_assert_int_gt(lost, 5);
	ck_assert_int_gt(kept, 5);
}
END_TEST

START_TEST(short_writes_are_continued)
{
	static uint8_t data[10000];
	struct cof_io *io;
	struct cof_file *f;
	struct cof_sim *s = disk_with_a(3, &io, &f);
	struct iovec v[5] = {{data, 1}, {data + 1, 0}, {data + 1, 4999}, {data + 5000, 5000}, {0}};
	uint64_t ops = cof_sim_ops(s);
	const uint8_t *p;
	size_t n;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + 1);
	for (uint64_t i = 1; i <= 6; i++)
		cof_sim_plan(s, COF_SIM_SHORT, ops + i);
	ok(cof_io_writev(f, v, 5, 0));
	ck_assert_uint_eq(cof_sim_ops(s), ops + 7);
	ok(cof_sim_peek(s, "a", &p, &n));
	ck_assert_uint_eq(n, sizeof(data));
	ck_assert_mem_eq(p, data, n);
	cof_sim_plan(s, COF_SIM_SHORT, cof_sim_ops(s) + 1); /* and then an error: that one counts */
	cof_sim_plan(s, COF_SIM_EIO, cof_sim_ops(s) + 2);
	ck_assert_int_eq(cof_io_write(f, data, 100, 0), -EIO);
	ck_assert_int_eq(cof_io_sync(f), -EIO);
	cof_io_close(f);
	cof_io_free(io);
	cof_sim_free(s);
}
END_TEST

START_TEST(full_disk)
{
	static uint8_t data[2000];
	struct cof_io *io;
	struct cof_file *f, *g = NULL;
	struct cof_sim *s = disk_with_a(4, &io, &f);

	cof_sim_limit(s, 1003);
	ck_assert_int_eq(cof_io_allocate(f, 0, 1004), -ENOSPC); /* an answer, not a lost file */
	ck_assert_int_eq(cof_io_truncate(f, 1004), -ENOSPC);
	ok(cof_io_create(io, "b", &g));
	ok(cof_io_write(g, data, 1000, 0)); /* full */
	ok(cof_io_write(g, data, 1000, 0)); /* needs no more */
	ck_assert_int_eq(cof_io_write(f, "long", 4, 0), -ENOSPC);
	ck_assert_int_eq(cof_io_write(f, "o", 1, 0), -ENOSPC);
	ck_assert_int_eq(cof_io_sync(f), -ENOSPC);
	ok(cof_io_sync(g));
	ok(cof_io_unlink(io, "b")); /* room again, but not for f */
	ck_assert_int_eq(cof_io_write(f, "o", 1, 0), -ENOSPC);
	ok(cof_io_replace(io, "a", data, 990));
	ck_assert_int_eq(cof_io_replace(io, "a", data, 1000), -ENOSPC);
	ck_assert_int_eq(cof_io_exists(io, "a.new"), 0);
	cof_io_close(g);
	cof_io_close(f);
	cof_io_free(io);
	cof_sim_free(s);
}
END_TEST

START_TEST(crash_stops_everything)
{
	struct cof_io *io, *now = NULL;
	struct cof_file *f, *g = NULL;
	struct cof_sim *s = disk_with_a(5, &io, &f);
	uint64_t size;
	uint8_t b[8];
	size_t n;

	cof_sim_plan(s, COF_SIM_CRASH, cof_sim_ops(s) + 2);
	ok(cof_io_write(f, "new", 3, 0));
	ck_assert_int_eq(cof_io_sync(f), -ESHUTDOWN);
	ck_assert_int_eq(cof_io_write(f, "x", 1, 0), -ESHUTDOWN);
	ck_assert_int_eq(cof_io_create(io, "b", &g), -ESHUTDOWN);
	ck_assert_int_eq(cof_io_mkdir(io, "d"), -ESHUTDOWN);
	cof_sim_reboot(s, COF_SIM_LOSE);
	/* Whoever was open then never comes back: the process that had it is dead. */
	ck_assert_int_eq(cof_io_read(f, b, 8, 0, &n), -ESHUTDOWN);
	ck_assert_int_eq(cof_io_size(f, &size), -ESHUTDOWN);
	ck_assert_int_eq(cof_io_exists(io, "a"), -ESHUTDOWN);
	ck_assert_int_eq(cof_io_open(io, "a", COF_IO_RDWR, &g), -ESHUTDOWN);
	ok(cof_sim_open(s, &now));
	ck_assert(holds(now, "a", "old"));
	cof_io_close(f);
	cof_io_free(io);
	cof_io_free(now);
	cof_sim_free(s);
}
END_TEST

START_TEST(lock_dies_with_power)
{
	struct cof_io *io, *now = NULL;
	struct cof_file *f;
	struct cof_sim *s = disk_with_a(6, &io, &f);

	ok(cof_io_lock(io, "before", NULL));
	cof_sim_reboot(s, COF_SIM_KEEP);
	ok(cof_sim_open(s, &now));
	ok(cof_io_lock(now, "after", NULL));
	cof_io_close(f);
	cof_io_free(io); /* must not take the new holder's lock away */
	ck_assert_int_eq(cof_io_lock(now, "again", NULL), -EALREADY);
	cof_io_free(now);
	cof_sim_free(s);
}
END_TEST

START_TEST(rot)
{
	struct cof_io *io;
	struct cof_file *f;
	struct cof_sim *s = disk_with_a(7, &io, &f);

	ck_assert_int_eq(cof_sim_flip(s, "no", 0, 0), -ENOENT);
	ck_assert_int_eq(cof_sim_flip(s, "a", 3, 0), -ERANGE);
	ck_assert_int_eq(cof_sim_flip(s, "a", 0, 8), -ERANGE);
	ok(cof_sim_flip(s, "a", 1, 0));
	ck_assert(holds(io, "a", "omd"));
	io = reboot(s, io, f, COF_SIM_LOSE); /* on the disk, not in a cache */
	ck_assert(holds(io, "a", "omd"));
	cof_io_free(io);
	cof_sim_free(s);
}
END_TEST

/* A copy has everything, plans and unsynced data too, and goes its own way. */
START_TEST(clones)
{
	struct cof_io *io, *io2 = NULL;
	struct cof_file *f;
	struct cof_sim *s = disk_with_a(8, &io, &f), *c;
	const uint8_t *p = NULL, *q = NULL;
	size_t n = 0, m = 0;

	ok(cof_io_write(f, "new", 3, 0));
	put_file(io, "b", "B"); /* its name is not durable */
	cof_sim_plan(s, COF_SIM_EIO, cof_sim_ops(s) + 2);
	c = cof_sim_clone(s);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(cof_sim_ops(c), cof_sim_ops(s));
	ok(cof_sim_open(c, &io2));
	ck_assert(holds(io2, "a", "new"));
	ok(cof_io_mkdir(io2, "d"));
	ck_assert_int_eq(cof_io_mkdir(io2, "e"), -EIO);
	ck_assert_int_eq(cof_io_exists(io, "d"), 0);
	ok(cof_sim_flip(c, "a", 0, 0));
	ck_assert(holds(io, "a", "new"));
	cof_io_free(io2);
	cof_sim_free(c);

	/* From the same state the same seed loses the same. */
	c = cof_sim_clone(s);
	io = reboot(s, io, f, COF_SIM_TEAR);
	cof_sim_reboot(c, COF_SIM_TEAR);
	ok(cof_sim_peek(s, "a", &p, &n));
	ok(cof_sim_peek(c, "a", &q, &m));
	ck_assert_uint_eq(n, m);
	ck_assert_mem_eq(p, q, n);
	ck_assert_int_eq(cof_sim_peek(s, "b", &p, &n), cof_sim_peek(c, "b", &q, &m));
	cof_io_free(io);
	cof_sim_free(s);
	cof_sim_free(c);
}
END_TEST

TCase *sim_case(void)
{
	TCase *t = io_case("sim");

	tcase_add_test(t, operations_are_counted);
	tcase_add_test(t, write_error_is_final);
	tcase_add_test(t, sync_error_loses_data);
	tcase_add_test(t, short_writes_are_continued);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, crash_stops_everything);
	tcase_add_test(t, lock_dies_with_power);
	tcase_add_test(t, rot);
	tcase_add_test(t, clones);
	return t;
}
