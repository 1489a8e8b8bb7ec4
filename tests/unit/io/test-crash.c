/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What survives: of data and names not synced everything, nothing or any part; of what was synced,
 * always all. And that a file is replaced whole, whenever the power goes.
 */
#include "test-io.h"

#include <stdio.h>

enum { SECTOR = 512, SECTORS = 8, SIZE = SECTOR * SECTORS };

static struct cof_sim *new_disk(uint64_t seed, struct cof_io **io)
{
	struct cof_sim *s = cof_sim_new(seed);

	ck_assert_ptr_nonnull(s);
	ok(cof_sim_open(s, io));
	return s;
}

static void restart(struct cof_sim *s, struct cof_io **io, enum cof_sim_loss loss)
{
	cof_sim_reboot(s, loss);
	cof_io_free(*io);
	ok(cof_sim_open(s, io));
}

/* Makes names of every state of durability, then loses power. */
static struct cof_sim *names_then(enum cof_sim_loss loss, uint64_t seed, bool lie,
				  struct cof_io **io)
{
	struct cof_sim *s = new_disk(seed, io);
	struct cof_file *f = NULL;

	put_file(*io, "kept", "kept");
	put_file(*io, "old", "old");
	put_file(*io, "gone", "gone");
	ok(cof_io_mkdir(*io, "d"));
	ok(cof_io_sync_dir(*io, ""));
	cof_sim_lie(s, lie);
	put_file(*io, "d/synced", "x");
	ok(cof_io_sync_dir(*io, "d"));
	put_file(*io, "unsynced name", "x");
	ok(cof_io_rename(*io, "old", "new"));
	ok(cof_io_unlink(*io, "gone"));
	ok(cof_io_open(*io, "kept", COF_IO_RDWR, &f));
	ok(cof_io_write(f, "KEPT and longer", 15, 0));
	cof_io_close(f);
	restart(s, io, loss);
	return s;
}

START_TEST(lose_and_keep)
{
	struct cof_io *io;
	struct cof_sim *s = names_then(COF_SIM_LOSE, 1, false, &io);

	ck_assert(holds(io, "kept", "kept"));
	ck_assert(holds(io, "old", "old"));
	ck_assert(holds(io, "new", NULL));
	ck_assert(holds(io, "gone", "gone"));
	ck_assert(holds(io, "unsynced name", NULL));
	ck_assert(holds(io, "d/synced", "x"));
	cof_io_free(io);
	cof_sim_free(s);

	s = names_then(COF_SIM_KEEP, 1, false, &io);
	ck_assert(holds(io, "kept", "KEPT and longer"));
	ck_assert(holds(io, "old", NULL));
	ck_assert(holds(io, "new", "old"));
	ck_assert(holds(io, "gone", NULL));
	ck_assert(holds(io, "unsynced name", "x"));
	restart(s, &io, COF_SIM_LOSE); /* a killed process synced nothing */
	ck_assert(holds(io, "kept", "kept"));
	ck_assert(holds(io, "unsynced name", NULL));
	cof_io_free(io);
	cof_sim_free(s);
}
END_TEST

/* A disk that ignores flushes: neither data nor names that were synced meanwhile are there. */
START_TEST(lies)
{
	struct cof_file *f = NULL;
	struct cof_io *io;
	struct cof_sim *s = names_then(COF_SIM_LOSE, 1, true, &io);

	ck_assert(holds(io, "kept", "kept"));
	ck_assert(holds(io, "d/synced", NULL));
	cof_sim_lie(s, true);
	ok(cof_io_open(io, "kept", COF_IO_RDWR, &f));
	ok(cof_io_write(f, "KEPT", 4, 0));
	ok(cof_io_sync(f));
	cof_io_close(f);
	restart(s, &io, COF_SIM_LOSE); /* which also makes it honest again */
	ck_assert(holds(io, "kept", "kept"));
	ok(cof_io_open(io, "kept", COF_IO_RDWR, &f));
	ok(cof_io_write(f, "KEPT", 4, 0));
	ok(cof_io_sync(f));
	cof_io_close(f);
	restart(s, &io, COF_SIM_LOSE);
	ck_assert(holds(io, "kept", "KEPT"));
	cof_io_free(io);
	cof_sim_free(s);
}
END_TEST

/* Each name changes by itself, a rename as one; synced ones always. */
START_TEST(torn_names)
{
	unsigned seen[4] = {0}, renamed = 0, both = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct cof_io *io;
		struct cof_sim *s = names_then(COF_SIM_TEAR, seed, false, &io);
		bool is_new = cof_io_exists(io, "new"), is_old = cof_io_exists(io, "old");
		bool made = cof_io_exists(io, "unsynced name"), gone = !cof_io_exists(io, "gone");

		must(is_new != is_old); /* never both, never neither */
		must(holds(io, is_new ? "new" : "old", "old"));
		must(!made || holds(io, "unsynced name", "x")); /* its data was synced */
		must(holds(io, "d/synced", "x"));
		must(cof_io_exists(io, "kept") == 1);
		seen[made * 2 + gone]++;
		renamed += is_new;
		both += is_new && !made;
		cof_io_free(io);
		cof_sim_free(s);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_uint_gt(seen[i], 20); /* every combination, about 50 each */
	ck_assert(renamed > 60 && renamed < 140);
	ck_assert_uint_gt(both, 20); /* the later change without the earlier one */
}
END_TEST

/* Two writes over synced data: each sector of each is kept or lost by itself. */
START_TEST(torn_sectors)
{
	static uint8_t block[SIZE];
	unsigned of[3] = {0}, later_alone = 0, mixed = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct cof_file *f = NULL;
		struct cof_io *io;
		struct cof_sim *s = new_disk(seed, &io);
		bool has_1 = false, has_2 = false, lost_1 = false;
		const uint8_t *p;
		size_t n;

		ok(cof_io_create(io, "a", &f));
		ok(cof_io_sync_dir(io, ""));
		for (int version = 0; version < 3; version++) {
			memset(block, version, SIZE);
			/* the second begins within a sector and covers the upper half */
			if (version == 2)
				ok(cof_io_write(f, block, SIZE / 2 - 100, SIZE / 2 + 100));
			else
				ok(cof_io_write(f, block, SIZE, 0));
			if (!version)
				ok(cof_io_sync(f));
		}
		cof_io_close(f);
		restart(s, &io, COF_SIM_TEAR);
		ok(cof_sim_peek(s, "a", &p, &n));
		must(n == SIZE);
		for (int i = 0; i < SECTORS; i++) {
			const uint8_t *sector = p + i * SECTOR;
			/* the border lies in sector 4: its first 100 bytes are another's */
			int from = i == SECTORS / 2 ? 100 : 0;

			for (int k = from; k < SECTOR; k++)
				must(sector[k] == sector[from]);
			must(sector[from] < 3 && (i >= SECTORS / 2 || sector[from] < 2));
			of[sector[from]]++;
			has_1 |= sector[from] == 1;
			lost_1 |= sector[from] == 0;
			has_2 |= sector[from] == 2;
		}
		later_alone += has_2 && !memchr(p, 1, SIZE / 2);
		mixed += has_1 && lost_1;
		cof_io_free(io);
		cof_sim_free(s);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_uint_gt(of[i], 100);
	ck_assert_uint_gt(later_alone, 0); /* reordered */
	ck_assert_uint_gt(mixed, 50);      /* torn */
}
END_TEST

/* A grown size and preallocation are changes too, lost or kept; a synced one stays. */
START_TEST(torn_sizes)
{
	unsigned kept = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct cof_file *f = NULL;
		struct cof_io *io;
		struct cof_sim *s = new_disk(seed, &io);
		const uint8_t *p;
		size_t n;

		ok(cof_io_create(io, "a", &f));
		ok(cof_io_allocate(f, 0, 1000));
		ok(cof_io_sync(f));
		ok(cof_io_sync_dir(io, ""));
		ok(cof_io_allocate(f, 0, 5000));
		cof_io_close(f);
		restart(s, &io, COF_SIM_TEAR);
		ok(cof_sim_peek(s, "a", &p, &n));
		must(n == 1000 || n == 5000);
		kept += n == 5000;
		cof_io_free(io);
		cof_sim_free(s);
	}
	ck_assert(kept > 25 && kept < 75);
}
END_TEST

/* ---- replacement ---- */

static char old_text[1500], new_text[3000];

/* Replaces under a crash at this operation. Whether it came to its end. */
static bool replace_and_crash(uint64_t seed, uint64_t op, enum cof_sim_loss loss, unsigned *ret_new)
{
	struct cof_io *io;
	struct cof_sim *s = new_disk(seed, &io);
	bool done, is_new;

	ok(cof_io_mkdir(io, "keys"));
	ok(cof_io_sync_dir(io, ""));
	ok(cof_io_replace(io, "keys/top", old_text, strlen(old_text)));
	if (seed % 2) { /* what an earlier crash left */
		struct cof_file *f = NULL;

		ok(cof_io_create(io, "keys/top.new", &f));
		ok(cof_io_write(f, "junk", 4, 0));
		cof_io_close(f);
	}
	cof_sim_plan(s, COF_SIM_CRASH, cof_sim_ops(s) + op);
	done = !cof_io_replace(io, "keys/top", new_text, strlen(new_text));
	restart(s, &io, loss);
	is_new = holds(io, "keys/top", new_text);
	must(is_new || holds(io, "keys/top", old_text)); /* one of them, whole */
	must(is_new || !done);                           /* once it said so, the new one */
	/* and it can always be replaced again */
	ok(cof_io_replace(io, "keys/top", "third", 5));
	must(holds(io, "keys/top", "third"));
	*ret_new += is_new;
	cof_io_free(io);
	cof_sim_free(s);
	return done;
}

START_TEST(replaced_whole)
{
	static const enum cof_sim_loss losses[] = {COF_SIM_KEEP, COF_SIM_LOSE, COF_SIM_TEAR};
	unsigned crashed = 0, became_new = 0;

	memset(old_text, 'o', sizeof(old_text) - 1);
	memset(new_text, 'n', sizeof(new_text) - 1);
	for (uint64_t seed = 0; seed < 64; seed++)
		for (size_t k = 0; k < COF_COUNT(losses); k++)
			for (uint64_t op = 1;; op++) {
				must(op < 20);
				if (replace_and_crash(seed, op, losses[k], &became_new))
					break;
				crashed++;
			}
	ck_assert_uint_ge(crashed, 64 * 3 * 5); /* create, write, sync, rename, sync_dir */
	ck_assert_uint_gt(became_new, 64 * 3);  /* some though the answer was an error */
}
END_TEST

/* An error at any operation, without a crash: the old content, or the new one whole. */
START_TEST(replace_errors)
{
	memset(old_text, 'o', sizeof(old_text) - 1);
	memset(new_text, 'n', sizeof(new_text) - 1);
	for (uint64_t op = 1;; op++) {
		struct cof_io *io;
		struct cof_sim *s = new_disk(op, &io);
		int err;

		ok(cof_io_replace(io, "top", old_text, strlen(old_text)));
		cof_sim_plan(s, COF_SIM_EIO, cof_sim_ops(s) + op);
		err = cof_io_replace(io, "top", new_text, strlen(new_text));
		must(err == 0 || err == -EIO);
		must(op < 5 ? holds(io, "top", old_text) : holds(io, "top", new_text));
		must(op == 5 || holds(io, "top.new", NULL));
		must((err == 0) == (op > 5)); /* the fifth is the directory's sync */
		cof_io_free(io);
		cof_sim_free(s);
		if (!err)
			break;
	}
}
END_TEST

/* What a note says was written down elsewhere: where the note is seen, that is there too, whenever the power went. */
static bool list_and_crash(uint64_t seed, uint64_t op, enum cof_sim_loss loss, unsigned *ret_new)
{
	struct cof_io *io;
	struct cof_sim *s = new_disk(seed, &io);
	struct cof_file *list = NULL;
	bool done = false, is_new;

	ok(cof_io_replace(io, "top", old_text, strlen(old_text)));
	put_file(io, "list", "");
	ok(cof_io_sync_dir(io, ""));
	ok(cof_io_open(io, "list", COF_IO_RDWR, &list));
	cof_sim_plan(s, COF_SIM_CRASH, cof_sim_ops(s) + op);
	if (cof_io_write(list, "new", 3, 0) == 0)
		done = !cof_io_replace_behind(io, "top", new_text, strlen(new_text), list);
	cof_io_close(list);
	restart(s, &io, loss);
	is_new = holds(io, "top", new_text);
	must(is_new || holds(io, "top", old_text));
	must(is_new || !done);
	must(!is_new || holds(io, "list", "new"));
	*ret_new += is_new;
	cof_io_free(io);
	cof_sim_free(s);
	return done;
}

START_TEST(listed_before)
{
	static const enum cof_sim_loss losses[] = {COF_SIM_KEEP, COF_SIM_LOSE, COF_SIM_TEAR};
	unsigned crashed = 0, became_new = 0;

	memset(old_text, 'o', sizeof(old_text) - 1);
	memset(new_text, 'n', sizeof(new_text) - 1);
	for (uint64_t seed = 0; seed < 64; seed++)
		for (size_t k = 0; k < COF_COUNT(losses); k++)
			for (uint64_t op = 1;; op++) {
				must(op < 20);
				if (list_and_crash(seed, op, losses[k], &became_new))
					break;
				crashed++;
			}
	ck_assert_uint_ge(crashed, 64 * 3 * 7);
	ck_assert_uint_gt(became_new, 64 * 3);
}
END_TEST

/* Files and a name, all at once: each of them is there behind a power cut, and one that fails keeps no other back. */
START_TEST(together)
{
	static const char *const name[] = {"d/a", "d/b", "d/c"};

	for (uint64_t fails = 0; fails <= 4; fails++) { /* 4: the name's; 0: nothing does */
		struct cof_file *f[4] = {NULL};
		struct cof_io *io;
		struct cof_sim *s = new_disk(fails, &io);

		ok(cof_io_mkdir(io, "d"));
		ok(cof_io_sync_dir(io, ""));
		for (int i = 0; i < 3; i++) {
			ok(cof_io_create(io, name[i], &f[i + (i > 0)])); /* one place is empty */
			ok(cof_io_write(f[i + (i > 0)], "text", 4, 0));
		}
		if (fails)
			cof_sim_plan(s, COF_SIM_EIO, cof_sim_ops(s) + fails);
		ck_assert_int_eq(cof_io_sync_together(io, f, 4, "d"), fails ? -EIO : 0);
		for (int i = 0; i < 4; i++)
			cof_io_close(f[i]);
		restart(s, &io, COF_SIM_LOSE);
		for (uint64_t i = 0; i < 3 && fails != 4; i++)
			ck_assert(i + 1 == fails || holds(io, name[i], "text"));
		ck_assert(fails != 4 || holds(io, name[0], NULL));
		cof_io_free(io);
		cof_sim_free(s);
	}
}
END_TEST

TCase *crash_case(void)
{
	TCase *t = io_case("crash");

	tcase_add_test(t, lose_and_keep);
	tcase_add_test(t, lies);
	tcase_add_test(t, torn_names);
	tcase_add_test(t, torn_sectors);
	tcase_add_test(t, torn_sizes);
	tcase_add_test(t, replaced_whole);
	tcase_add_test(t, replace_errors);
	tcase_add_test(t, listed_before);
	tcase_add_test(t, together);
	return t;
}
