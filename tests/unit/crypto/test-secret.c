/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret memory: what is in it is wiped, locked, fenced and not inherited; what happens when it is
 * used up. Also the small functions beside it.
 */
#include "test-crypto.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* How a child ends that runs fn: its exit code, or minus the signal. */
static int in_child(void (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		fn(arg);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool all_are(const uint8_t *p, size_t n, uint8_t mark)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != mark)
			return false;
	return true;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return all_are(p, n, 0);
}

START_TEST(zeroed_and_wiped)
{
	static const size_t sizes[] = {0, 1, 31, 32, 33, 64, 1000, 4096, 100000};

	for (size_t i = 0; i < COF_COUNT(sizes); i++) {
		uint8_t *p = cof_secret_alloc(sizes[i]);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 32, 0);
		ck_assert(all_zero(p, sizes[i]));
		memset(p, 0xa5, sizes[i]);
		cof_secret_free(p);
		ck_assert(all_zero(p, sizes[i])); /* still mapped: the pool never shrinks */
	}
	cof_secret_free(NULL);
}
END_TEST

START_TEST(cleanup_wipes)
{
	uint8_t *seen;
	{
		uint8_t *p cof_autosecret = cof_secret_alloc(64);

		ck_assert_ptr_nonnull(p);
		memset(p, 0xa5, 64);
		seen = p;
	}
	ck_assert(all_zero(seen, 64));
}
END_TEST

/* Allocations never overlap, and what is freed can be had again, in any order. */
START_TEST(random_use)
{
	enum { SLOTS = 200 };
	static struct {
		uint8_t *p, mark;
		size_t n;
	} slot[SLOTS];
	uint64_t state = 0;

	for (int round = 0; round < 20000; round++) {
		size_t i = draw(&state) % SLOTS;

		if (slot[i].p) {
			ck_assert(all_are(slot[i].p, slot[i].n, slot[i].mark));
			cof_secret_free(slot[i].p);
			slot[i].p = NULL;
			continue;
		}
		slot[i].n = draw(&state) % 3000;
		slot[i].mark = (uint8_t)(1 + draw(&state) % 255);
		slot[i].p = cof_secret_alloc(slot[i].n);
		ck_assert_ptr_nonnull(slot[i].p);
		ck_assert(all_zero(slot[i].p, slot[i].n));
		memset(slot[i].p, slot[i].mark, slot[i].n);
	}
	for (int i = 0; i < SLOTS; i++)
		cof_secret_free(slot[i].p);
}
END_TEST

/* Used up: an error for whoever asks, and what is short-lived still has its reserve. */
START_TEST(used_up)
{
	enum { MOST = 4096 };
	static void *p[MOST];
	cof_autoaead struct cof_aead *a = NULL;
	uint8_t key[32] = {1}, sig[64], public_key[32], tag[32];
	size_t n = 0;

	ck_assert_ptr_null(cof_secret_alloc(SIZE_MAX));
	ck_assert_ptr_null(cof_secret_alloc(64u << 20));
	while (n < MOST && (p[n] = cof_secret_alloc(1024)))
		n++;
	ck_assert_uint_ge(n, 1000); /* the 1 MiB that was asked for */
	ck_assert_uint_lt(n, MOST);
	ck_assert_int_eq(cof_aead_new(key, &a), -ENOMEM);
	ck_assert_ptr_null(a);
	ck_assert_int_eq(cof_ed25519_public(key, public_key), 0);
	ck_assert_int_eq(cof_ed25519_sign(key, "m", 1, sig), 0);
	ck_assert_int_eq(cof_ed25519_verify(public_key, "m", 1, sig), 0);
	ck_assert_int_eq(cof_argon2id("password", 8, "somesalt", 8, 64, 1, 1, tag), 0);
	while (n > 0)
		cof_secret_free(p[--n]);
	ck_assert_int_eq(cof_aead_new(key, &a), 0);
}
END_TEST

static void look(void *p)
{
	(void)*(volatile uint8_t *)p;
}

/* The child gets a pool of its own, empty. */
static void use_own(void *parent)
{
	uint8_t *p = cof_secret_alloc(64);

	if (!p || !all_zero(p, 64))
		_exit(1);
	memset(p, 1, 64);
	cof_secret_free(p);
	_exit(all_zero(p, 64) && parent ? 0 : 2);
}

START_TEST(not_inherited)
{
	uint8_t *p = cof_secret_alloc(64);

	ck_assert_ptr_nonnull(p);
	memset(p, 0xa5, 64);
	ck_assert_int_eq(in_child(look, p), -SIGSEGV);
	ck_assert_int_eq(in_child(use_own, p), 0);
	ck_assert_uint_eq(p[63], 0xa5);
	cof_secret_free(p);
}
END_TEST

/* One line of the process's map: where it begins and ends, and "rw-s" or the like. */
struct mapping {
	uintptr_t from, to;
	char rights[5];
};

static bool next_mapping(FILE *f, struct mapping *m)
{
	char line[512];

	return fgets(line, sizeof(line), f) &&
	       sscanf(line, "%lx-%lx %4s", &m->from, &m->to, m->rights) == 3;
}

/* Below and above the pool is a page that nobody can touch. */
START_TEST(fenced)
{
	uint8_t *p = cof_secret_alloc(32);
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct mapping below = {0}, m, above = {0};
	FILE *f = fopen("/proc/self/maps", "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(p);
	while (next_mapping(f, &m) && (uintptr_t)p >= m.to)
		below = m;
	ck_assert(next_mapping(f, &above));
	fclose(f);
	ck_assert((uintptr_t)p >= m.from && (uintptr_t)p < m.to);
	ck_assert_uint_ge(m.to - m.from, 1 << 20);
	ck_assert_str_eq(below.rights, "---p");
	ck_assert_uint_eq(below.to, m.from);
	ck_assert_uint_ge(below.to - below.from, page);
	ck_assert_str_eq(above.rights, "---p");
	ck_assert_uint_eq(above.from, m.to);
	ck_assert_uint_ge(above.to - above.from, page);
	cof_secret_free(p);
}
END_TEST

START_TEST(hardened)
{
	struct rlimit core;
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
	ck_assert_uint_eq(core.rlim_cur, 0);
	ck_assert_uint_eq(core.rlim_max, 0);
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %ld kB", &kib) == 1)
			break;
	fclose(f);
	ck_assert_int_ge(kib, 1024);
	ck_assert_int_eq(cof_crypto_init(64u << 20, NULL), 0); /* a second call changes nothing */
}
END_TEST

START_TEST(equal_and_wipe)
{
	uint8_t a[100], b[100];

	memset(a, 0x11, sizeof(a));
	memset(b, 0x11, sizeof(b));
	ck_assert(cof_equal(a, b, sizeof(a)));
	for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(!cof_equal(a, b, sizeof(a)));
		ck_assert(cof_equal(a, b, bit / 8));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert(cof_equal(NULL, NULL, 0));
	cof_wipe(a, 99);
	ck_assert(all_zero(a, 99));
	ck_assert_uint_eq(a[99], 0x11);
	cof_wipe(NULL, 0);
}
END_TEST

/* Not a test of quality: that all bytes are filled, differently each time, beyond one system call.
 */
START_TEST(random_bytes)
{
	static uint8_t a[100000], b[100000];
	size_t count[256] = {0};

	for (size_t n = 1; n <= 600; n++) {
		memset(a, 0, n + 1);
		for (int i = 0; i < 50 && !a[n - 1]; i++)
			cof_random(a, n);
		ck_assert_uint_ne(a[n - 1], 0);
		ck_assert_uint_eq(a[n], 0);
	}
	cof_random(a, sizeof(a));
	cof_random(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		count[a[i]]++;
	for (int i = 0; i < 256; i++) /* 390 expected; twelve standard deviations */
		ck_assert(count[i] > 150 && count[i] < 630);
	cof_random(NULL, 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("secret");
	TCase *t = crypto_case("secret");

	tcase_add_test(t, zeroed_and_wiped);
	tcase_add_test(t, cleanup_wipes);
	tcase_add_test(t, random_use);
	tcase_add_test(t, used_up);
	tcase_add_test(t, not_inherited);
	tcase_add_test(t, fenced);
	tcase_add_test(t, hardened);
	tcase_add_test(t, equal_and_wipe);
	tcase_add_test(t, random_bytes);
	suite_add_tcase(s, t);
	return s;
}
