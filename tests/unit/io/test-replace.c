/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the three stores: whole small files, the lock, the space. */
#include "test-io.h"

#include <stdio.h>

START_TEST(replaces)
{
	struct place p;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_mkdir(p.io, "keys"));
	ok(cof_io_replace(p.io, "keys/top", "one", 3));
	ck_assert(holds(p.io, "keys/top", "one"));
	ok(cof_io_replace(p.io, "keys/top", "longer two", 10));
	ck_assert(holds(p.io, "keys/top", "longer two"));
	ok(cof_io_replace(p.io, "keys/top", "", 0));
	ck_assert(holds(p.io, "keys/top", ""));
	ck_assert(holds(p.io, "keys/top.new", NULL));
	put_file(p.io, "keys/top.new", "left by a crash, longer than what is to come");
	ok(cof_io_replace(p.io, "keys/top", "three", 5));
	ck_assert(holds(p.io, "keys/top", "three"));
	ck_assert(holds(p.io, "keys/top.new", NULL));
	ck_assert_int_eq(cof_io_replace(p.io, "no/top", "x", 1), -ENOENT);
	ok(cof_io_mkdir(p.io, "keys/dir.new")); /* in the way: the old content stays */
	ok(cof_io_replace(p.io, "keys/other", "x", 1));
	ck_assert_int_lt(cof_io_replace(p.io, "keys/dir", "x", 1), 0);
	ck_assert_int_eq(cof_io_exists(p.io, "keys/dir"), 0);
	place_end(&p);
}
END_TEST

START_TEST(loads)
{
	struct place p;
	uint8_t *data = NULL;
	size_t n = 77;

	place_begin(&p, (enum kind)_i);
	put_file(p.io, "a", "0123456789");
	ck_assert_int_eq(cof_io_load(p.io, "a", 9, &data, &n), -EFBIG);
	ck_assert_int_eq(cof_io_load(p.io, "a", 0, &data, &n), -EFBIG);
	ck_assert_int_eq(cof_io_load(p.io, "b", 9, &data, &n), -ENOENT);
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(n, 77);
	ok(cof_io_load(p.io, "a", 10, &data, &n));
	ck_assert_uint_eq(n, 10);
	ck_assert_str_eq((char *)data, "0123456789"); /* one NUL behind it */
	free(data);
	put_file(p.io, "e", "");
	ok(cof_io_load(p.io, "e", 0, &data, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(data[0], 0);
	free(data);
	ok(cof_io_mkdir(p.io, "d"));
	ck_assert_int_eq(cof_io_load(p.io, "d", 10, &data, &n), -EISDIR);
	place_end(&p);
}
END_TEST

TCase *replace_case(void)
{
	TCase *t = io_case("replace");

	tcase_add_loop_test(t, replaces, 0, KINDS);
	tcase_add_loop_test(t, loads, 0, KINDS);
	return t;
}

/* ---- the lock ---- */

START_TEST(one_holder)
{
	struct cof_diag d = {""};
	struct cof_io *other;
	char holder[64] = "untouched";
	struct place p;

	place_begin(&p, (enum kind)_i);
	other = place_open(&p);
	ck_assert_int_eq(cof_io_locked(p.io, holder, sizeof(holder)), 0);
	ok(cof_io_lock(p.io, "pid 123 on host", &d));
	ck_assert_int_eq(cof_io_locked(p.io, holder, sizeof(holder)), 0); /* our own */
	ck_assert_str_eq(holder, "untouched");
	ck_assert_int_eq(cof_io_locked(other, holder, sizeof(holder)), 1);
	ck_assert_str_eq(holder, "pid 123 on host");
	ck_assert_int_eq(cof_io_locked(other, holder, 4), 1);
	ck_assert_str_eq(holder, "pid");
	ck_assert_int_eq(cof_io_lock(other, "pid 456", &d), -EBUSY);
	ck_assert_ptr_nonnull(strstr(d.text, "pid 123 on host"));
	ck_assert_int_eq(cof_io_lock(p.io, "again", &d), -EALREADY);
	cof_io_unlock(other); /* of another: nothing happens */
	ck_assert_int_eq(cof_io_lock(other, "pid 456", NULL), -EBUSY);
	cof_io_unlock(p.io);
	cof_io_unlock(p.io);
	ok(cof_io_lock(other, "pid 456", &d));
	ck_assert_int_eq(cof_io_locked(p.io, holder, sizeof(holder)), 1);
	ck_assert_str_eq(holder, "pid 456");
	cof_io_free(other); /* releases it */
	ok(cof_io_lock(p.io, "the last", &d));
	place_end(&p);
}
END_TEST

START_TEST(space)
{
	uint64_t free_bytes = 1, total = 1;
	struct place p;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_space(p.io, &free_bytes, &total));
	ck_assert_uint_le(free_bytes, total);
	if (p.kind == SIM) {
		ck_assert_uint_eq(total, 0); /* no limit, so unknown */
		cof_sim_limit(p.sim, 1000);
		put_file(p.io, "a", "0123456789");
		ok(cof_io_space(p.io, &free_bytes, &total));
		ck_assert_uint_eq(total, 1000);
		ck_assert_uint_eq(free_bytes, 990);
	} else {
		ck_assert_uint_gt(total, 0);
	}
	place_end(&p);
}
END_TEST

TCase *lock_case(void)
{
	TCase *t = io_case("lock");

	tcase_add_loop_test(t, one_holder, 0, KINDS);
	tcase_add_loop_test(t, space, 0, KINDS);
	return t;
}
