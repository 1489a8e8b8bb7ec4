/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out: the n-th allocation of an operation fails, for every n until it needs no
 * more. The answer is -ENOMEM or the operation is done; nothing is chained by half, the archive goes
 * on, and what was acknowledged is there after a remount. The allocator of this program is wrapped;
 * not under a sanitizer, which has one of its own.
 */
#include <stdio.h>

#include "entries.h"
#include "fs/archive/internal.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define WRAPPED 0
#else
#define WRAPPED 1
#endif

#define ENOUGH 3000 /* allocations that no operation here needs */

static __thread unsigned fail_at; /* 1: the next one; 0: none */
static __thread bool failed;

#if WRAPPED
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool fails(void)
{
	if (!fail_at || --fail_at)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
#endif

static struct store s;
static uint64_t file, durable;
static char content[1 << 20]; /* what was acknowledged */
static size_t size, durable_size;

static void setup(void)
{
	store_make(&s, STORE_PLAIN); /* the simulated disk needs memory itself */
	file = must_create(&s, AUDIT, "f", COF_KIND_FILE);
	durable = must_create(&s, KEYS, "d", COF_KIND_FILE);
	size = durable_size = 0;
}

static void teardown(void)
{
	store_done(&s);
}

/* ---- the operations; each answers 0 or -errno ---- */

static int append(void)
{
	static const char line[] = "a line that was acknowledged\n";
	int r = do_write(&s, file, size, line, sizeof(line) - 1);

	if (!r) {
		memcpy(content + size, line, sizeof(line) - 1);
		size += sizeof(line) - 1;
	}
	return r;
}

static int append_durable(void) /* the shelf says so */
{
	int r = do_write(&s, durable, durable_size, "durable\n", 8);

	if (!r)
		durable_size += 8;
	return r;
}

static int create(void)
{
	static unsigned n;
	char name[32];
	uint64_t ino;

	snprintf(name, sizeof(name), "new-%u", n++);
	return do_create(&s, AUDIT, name, COF_KIND_FILE, &ino);
}

static int create_and_commit(void)
{
	static unsigned n;
	unsigned armed = fail_at;
	char name[32];
	uint64_t ino;

	fail_at = 0;
	snprintf(name, sizeof(name), "fixed-%u", n++);
	ino = must_create(&s, AUDIT, name, COF_KIND_FILE);
	must_write(&s, ino, 0, "x", 1);
	fail_at = armed;
	return do_chmod(&s, ino, 0444);
}

/* A refusal stays one: it may be counted later, but is never an acceptance. */
static int refused(void)
{
	int r = do_unlink(&s, AUDIT, "f");

	fail_at = 0;
	ck_assert_int_ne(r, 0);
	return r == -EPERM ? 0 : r;
}

static int read_back(void)
{
	static char got[sizeof(content)];
	size_t n = 0;
	int r = cof_archive_read(s.archive, COF_INDEX_NOW, file, got, size, 0, &n);

	fail_at = 0;
	if (!r)
		ck_assert(n == size && !memcmp(got, content, n));
	return r;
}

/* For nobody who waits: it is tried again. libgcrypt has several codes for a want of memory. */
static int checkpoint(void)
{
	int r = cof_log_checkpoint(s.archive->log);

	return r < 0 && failed ? -ENOMEM : r;
}

static const struct {
	const char *name;
	int (*run)(void);
} operations[] = {{"append", append},
		  {"append_durable", append_durable},
		  {"create", create},
		  {"commit", create_and_commit},
		  {"refuse", refused},
		  {"read", read_back},
		  {"checkpoint", checkpoint}};

static void on_finding(void *user, const struct cof_finding *f)
{
	(void)user;
	if (f->verdict > COF_UNSEALED)
		fprintf(stderr, "%s at %llu: %s\n", f->file, (unsigned long long)f->offset, f->text);
}

static void chain_verifies(void)
{
	struct cof_verify_params p = {.io = s.io, .threads = 1, .finding = on_finding,
				      .auditor_secret = s.auditor,
				      .auditor_archive_id = s.archive_id};
	struct cof_verified v = {0};
	struct cof_diag diag = {""};

	ck_assert_msg(cof_log_verify(&p, &v, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(v.verdict, COF_INTACT);
}

START_TEST(every_allocation)
{
	const char *name = operations[_i].name;
	unsigned n = 0;

	if (!WRAPPED)
		return;
	ck_assert_int_eq(append(), 0);
	do {
		int r;

		failed = false;
		fail_at = ++n;
		r = operations[_i].run();
		fail_at = 0;
		ck_assert_msg(r == 0 || (failed && r == -ENOMEM), "%s, allocation %u: %s", name, n,
			      strerror(-r));
		ck_assert_msg(!atomic_load(&s.archive->failed), "%s, allocation %u ends the archive",
			      name, n);
		must_hold(&s, file, content, size);
		ck_assert_msg(append() == 0, "%s, allocation %u: nothing is taken afterwards", name,
			      n);
		ck_assert_uint_lt(n, ENOUGH);
	} while (failed);
	store_close(&s);
	chain_verifies();
	store_open(&s);
	must_hold(&s, file, content, size);
	for (size_t i = 0; i < durable_size; i++)
		content[i] = "durable\n"[i % 8];
	must_hold(&s, durable, content, durable_size);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-memory");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("memory");
	int left;

	tcase_set_timeout(c, 300);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, every_allocation, 0, (int)COF_COUNT(operations));
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	left = srunner_ntests_failed(runner);
	srunner_free(runner);
	return left ? EXIT_FAILURE : EXIT_SUCCESS;
}
