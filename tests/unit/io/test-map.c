/* SPDX-License-Identifier: Apache-2.0 */
/* Small writes through a mapping: that they go there, arrive, outlive the process, and fail as others do. */
#include "test-io.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { HOST_KINDS = SIM };

#define SIZE 65536u

static const char *path_of(const struct place *p)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/a", p->dir);
	return path;
}

static struct cof_file *mapped(struct place *p)
{
	struct cof_file *f = NULL;

	ok(cof_io_create(p->io, "a", &f));
	ok(cof_io_allocate(f, 0, SIZE));
	cof_io_map(f);
	return f;
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i + seed) * 2654435761u >> 11);
}

/* Through another descriptor, past the store. */
static void there(const struct place *p, const void *want, size_t n, uint64_t off)
{
	cof_autoclose int fd = open(path_of(p), O_RDONLY | O_CLOEXEC);
	cof_autofree uint8_t *have = malloc(n);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, have, n, (off_t)off), (ssize_t)n);
	must(!memcmp(have, want, n));
}

/* A limit on file sizes stops write(2), and no copy: so it tells which way was taken. */
START_TEST(goes_there)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	uint8_t data[600], large[2000];
	struct iovec parts[3] = {{data, 100}, {data + 100, 0}, {data + 100, 500}};
	struct cof_file *f, *plain = NULL;
	struct place p;

	place_begin(&p, (enum kind)_i);
	f = mapped(&p);
	ok(cof_io_create(p.io, "b", &plain));
	ok(cof_io_allocate(plain, 0, SIZE));
	fill(data, sizeof(data), 1);
	fill(large, sizeof(large), 2);
	ok(setrlimit(RLIMIT_FSIZE, &none));
	for (uint64_t off = 0; off + sizeof(data) <= SIZE; off += 3001)
		ok(cof_io_writev(f, parts, 3, off));
	ok(cof_io_write(f, data, 1, SIZE - 1));
	for (uint64_t off = 0; off + sizeof(data) <= SIZE; off += 3001)
		there(&p, data, sizeof(data), off);
	there(&p, data, 1, SIZE - 1);
	ck_assert_int_eq(cof_io_write(plain, data, 1, 0), -EFBIG); /* not asked for */
	ok(cof_io_sync(f));
	ck_assert_int_eq(cof_io_write(f, large, sizeof(large), 0), -EFBIG); /* too large for it */
	cof_io_close(f);
	cof_io_close(plain);
	place_end(&p);
}
END_TEST

START_TEST(beyond_it)
{
	uint8_t data[600];
	struct cof_file *f;
	struct place p;

	place_begin(&p, (enum kind)_i);
	f = mapped(&p);
	fill(data, sizeof(data), 3);
	ok(cof_io_write(f, data, sizeof(data), SIZE - 1)); /* in part */
	ok(cof_io_write(f, data, sizeof(data), 3 * SIZE));
	there(&p, data, sizeof(data), SIZE - 1);
	there(&p, data, sizeof(data), 3 * SIZE);
	cof_io_close(f);
	place_end(&p);
}
END_TEST

/* Cut behind our back: the bytes go by the other way, as they would have without a mapping. */
START_TEST(cut_away)
{
	uint8_t data[600];
	struct cof_file *f;
	struct place p;

	place_begin(&p, (enum kind)_i);
	f = mapped(&p);
	fill(data, sizeof(data), 4);
	ok(cof_io_write(f, data, sizeof(data), 0));
	ok(truncate(path_of(&p), 100));
	ok(cof_io_write(f, data, sizeof(data), 8000));
	ok(cof_io_write(f, data, sizeof(data), 30000));
	there(&p, data, 100, 0);
	there(&p, data, sizeof(data), 8000);
	there(&p, data, sizeof(data), 30000);
	ok(cof_io_sync(f));
	cof_io_close(f);
	place_end(&p);
}
END_TEST

/* And where that way fails too, its error is the answer, for good. */
START_TEST(cut_away_and_limited)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct cof_file *f;
	struct place p;

	place_begin(&p, (enum kind)_i);
	f = mapped(&p);
	ok(cof_io_write(f, "x", 1, 0));
	ok(truncate(path_of(&p), 0));
	ok(setrlimit(RLIMIT_FSIZE, &none));
	ck_assert_int_eq(cof_io_write(f, "x", 1, 8000), -EFBIG);
	ck_assert_int_eq(cof_io_sync(f), -EFBIG);
	cof_io_close(f);
	place_end(&p);
}
END_TEST

static int child_of(void (*act)(struct place *p, struct cof_file *f), struct place *p)
{
	pid_t pid = fork();
	int status = 0;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		act(p, mapped(p));
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void write_and_die(struct place *p, struct cof_file *f)
{
	uint8_t data[600];

	(void)p;
	fill(data, sizeof(data), 5);
	if (cof_io_write(f, data, sizeof(data), 4000) == 0)
		kill(getpid(), SIGKILL);
}

START_TEST(outlives_the_process)
{
	uint8_t data[600];
	struct place p;
	int status;

	place_begin(&p, (enum kind)_i);
	status = child_of(write_and_die, &p);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fill(data, sizeof(data), 5);
	there(&p, data, sizeof(data), 4000);
	place_end(&p);
}
END_TEST

static void fault_elsewhere(struct place *p, struct cof_file *f)
{
	cof_autoclose int fd = open(path_of(p), O_RDWR | O_CLOEXEC);
	volatile uint8_t *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)f;
	if (m != MAP_FAILED && ftruncate(fd, 0) == 0)
		m[0] = 1;
}

/* Nothing else that faults is taken for a write of ours. */
START_TEST(not_ours)
{
	struct place p;
	int status;

	place_begin(&p, (enum kind)_i);
	status = child_of(fault_elsewhere, &p);
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	place_end(&p);
}
END_TEST

/* Bytes of the file that are in our page tables. */
static unsigned long mapped_now(const struct place *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long kib = 0, all = 0;
	bool inside = false;
	char line[1024];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (strchr("0123456789abcdef", line[0]))
			inside = strstr(line, path_of(p)) != NULL;
		else if (inside && sscanf(line, "Rss: %lu kB", &kib) == 1)
			all += kib << 10;
	}
	fclose(f);
	return all;
}

/* A sync of many pages takes them out of the page tables, so that it need not protect each; those that were not
 * full, and what is written to the others nevertheless, are as they were. */
START_TEST(settles)
{
	uint8_t all[SIZE], again[200];
	struct cof_file *f;
	struct place p;

	place_begin(&p, (enum kind)_i);
	f = mapped(&p);
	fill(all, SIZE, 3);
	for (uint32_t at = 0; at < 30000; at += 300)
		ok(cof_io_write(f, all + at, 300, at));
	ck_assert_uint_ge(mapped_now(&p), 7 * 4096);
	ok(cof_io_sync(f)); /* too few */
	ck_assert_uint_ge(mapped_now(&p), 7 * 4096);
	for (uint32_t at = 30000; at + 300 <= SIZE; at += 300)
		ok(cof_io_write(f, all + at, 300, at));
	ck_assert_uint_ge(mapped_now(&p), 15 * 4096);
	ok(cof_io_sync(f));
	ck_assert_uint_le(mapped_now(&p), 4096);
	there(&p, all, SIZE / 300 * 300, 0);
	fill(again, sizeof(again), 8);
	ok(cof_io_write(f, again, sizeof(again), 5000));
	ok(cof_io_write(f, all + 60300, 300, 60300));
	memcpy(all + 5000, again, sizeof(again));
	ok(cof_io_sync(f));
	there(&p, all, SIZE / 300 * 300, 0);
	cof_io_close(f);
	place_end(&p);
}
END_TEST

TCase *map_case(void)
{
	TCase *t = io_case("map");

	tcase_add_loop_test(t, goes_there, 0, HOST_KINDS);
	tcase_add_loop_test(t, beyond_it, 0, HOST_KINDS);
	tcase_add_loop_test(t, cut_away, 0, HOST_KINDS);
	tcase_add_loop_test(t, cut_away_and_limited, 0, HOST_KINDS);
	tcase_add_loop_test(t, outlives_the_process, 0, HOST_KINDS);
	tcase_add_loop_test(t, not_ours, 0, HOST_KINDS);
	tcase_add_loop_test(t, settles, 0, HOST_KINDS);
	return t;
}
