/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives one fuzz target without libFuzzer.
 *
 *   fuzz-NAME [--runs N] [--from N] [--write DIR] [FILE|DIR ...]
 *
 * Runs the target's seeds, then the files given, then mutations of both: number n is made from n
 * alone, so that "--from n --runs 1" repeats it. --write stores the seeds as files and ends.
 * COFFER_LONG=1 makes a hundred times as many mutations. A file or directory that is not there is
 * no corpus yet.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (256u << 10)
#define PIECE_MAX 64
#define SECONDS_MAX 60 /* for one input */

static struct {
	struct input {
		uint8_t *data;
		size_t n;
	} * list;
	size_t len, cap;
} corpus;

static char current[300] = "before the first input"; /* for the report */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, why);
	exit(1);
}

static void *must_alloc(void *p)
{
	if (!p)
		die("memory", "used up");
	return p;
}

void fuzz_seed(const void *data, size_t n)
{
	struct input in = {must_alloc(malloc(n + 1)), n};

	if (n)
		memcpy(in.data, data, n);
	if (corpus.len == corpus.cap) {
		corpus.cap = 2 * corpus.cap + 16;
		corpus.list = must_alloc(reallocarray(corpus.list, corpus.cap, sizeof(in)));
	}
	corpus.list[corpus.len++] = in;
}

/* ---- corpus files ---- */

static void add_file(const char *path)
{
	uint8_t *data = must_alloc(malloc(INPUT_MAX));
	FILE *f = fopen(path, "re");

	if (!f)
		die(path, strerror(errno));
	fuzz_seed(data, fread(data, 1, INPUT_MAX, f));
	if (ferror(f))
		die(path, "cannot be read");
	fclose(f);
	free(data);
}

static void add_path(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st))
		return;
	if (!S_ISDIR(st.st_mode)) {
		add_file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		die(path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			add_file(file);
		free(names[i]);
	}
	free(names);
}

static void write_seeds(const char *dir)
{
	for (size_t i = 0; i < corpus.len; i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%03zu", dir, i);
		f = fopen(path, "we");
		if (!f || fwrite(corpus.list[i].data, 1, corpus.list[i].n, f) != corpus.list[i].n ||
		    fclose(f))
			die(path, strerror(errno));
	}
}

/* ---- mutations ---- */

static uint64_t random_state;

static uint64_t draw(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return n ? (size_t)(draw() % n) : 0;
}

/* Numbers at which lengths and counts go wrong, in 1, 2, 4 or 8 bytes of either order. */
static void put_number(uint8_t *p, size_t n)
{
	static const uint64_t odd[] = {0,          1,          0x7f,      0x80,      0xff,
				       0x100,      0x7fff,     0xffff,    0x10000,   0x7fffffff,
				       0x80000000, 0xffffffff, INT64_MAX, INT64_MIN, UINT64_MAX};
	uint64_t v = odd[below(sizeof(odd) / sizeof(odd[0]))] + below(3) - 1;
	size_t width = (size_t)1 << below(4), at;
	bool big = draw() & 1;

	if (n < width)
		return;
	at = below(n - width + 1);
	for (size_t i = 0; i < width; i++)
		p[at + i] = (uint8_t)(v >> 8 * (big ? width - 1 - i : i));
}

/* Replaces cut bytes at a place by other ones; what does not fit is left out. */
static size_t replace(uint8_t *p, size_t n, size_t at, size_t cut, const uint8_t *by, size_t len)
{
	if (n - cut + len > INPUT_MAX)
		return n;
	memmove(p + at + len, p + at + cut, n - at - cut);
	if (len)
		memmove(p + at, by, len);
	return n - cut + len;
}

/* The same for numbers in text: a zero or a sign before one, or another one in its place. */
static size_t put_digits(uint8_t *p, size_t n, size_t at)
{
	static const char *const by[] = {
	    "0", "-", "+", "9", "18446744073709551615", "9223372036854775808", "4294967296"};
	const char *text = by[below(sizeof(by) / sizeof(by[0]))];
	size_t end;

	while (at < n && (p[at] < '0' || p[at] > '9'))
		at++;
	for (end = at; end < n && p[end] >= '0' && p[end] <= '9';)
		end++;
	return replace(p, n, at, draw() & 1 ? end - at : 0, (const uint8_t *)text, strlen(text));
}

static size_t mutate_once(uint8_t *p, size_t n)
{
	static uint8_t piece[INPUT_MAX];
	static const char marks[] = "\n\r\t\0 =+-.:,;\"'\\{}[]#/%09AZaz\x7f\x80\xff";
	const struct input *other = &corpus.list[below(corpus.len)];
	size_t at = below(n + 1), len = below(PIECE_MAX);

	switch (draw() % 12) {
	case 0:
	case 1:
		if (n)
			p[below(n)] ^= (uint8_t)(1u << below(8));
		return n;
	case 2:
		if (n)
			p[below(n)] = (uint8_t)draw();
		return n;
	case 3:
		if (n)
			p[below(n)] = (uint8_t)marks[below(sizeof(marks) - 1)];
		return n;
	case 4:
		put_number(p, n);
		return n;
	case 5: /* taken out */
		return replace(p, n, at, len < n - at ? len : n - at, NULL, 0);
	case 6: /* said twice, or said elsewhere */
		len = len < n - at ? len : n - at;
		memcpy(piece, p + at, len);
		return replace(p, n, below(n + 1), 0, piece, len);
	case 7: /* noise */
		for (size_t i = 0; i < len; i++)
			piece[i] = (uint8_t)draw();
		return replace(p, n, at, 0, piece, len);
	case 8: /* a piece of another input */
		if (!other->n)
			return n;
		len = 1 + below(other->n);
		return replace(p, n, at, 0, other->data + below(other->n - len + 1), len);
	case 9:
		return put_digits(p, n, at);
	case 10: /* one more character */
		piece[0] = (uint8_t)marks[below(sizeof(marks) - 1)];
		return replace(p, n, at, 0, piece, 1);
	default: /* cut off */
		return at;
	}
}

/* ---- running ---- */

/* In memory of exactly its size, so that a sanitizer sees a byte read beyond it. */
static void run(const uint8_t *data, size_t n)
{
	uint8_t *copy = must_alloc(malloc(n ? n : 1));

	if (n)
		memcpy(copy, data, n);
	alarm(SECONDS_MAX);
	LLVMFuzzerTestOneInput(n ? copy : copy + 1, n);
	alarm(0);
	free(copy);
}

static void on_signal(int sig)
{
	(void)!write(2, current, strlen(current));
	signal(sig, SIG_DFL);
	raise(sig);
}

static void run_all(unsigned long from, unsigned long runs)
{
	static uint8_t input[INPUT_MAX];

	for (size_t i = 0; i < corpus.len; i++) {
		snprintf(current, sizeof(current), "fuzz: stopped by seed or file %zu\n", i);
		run(corpus.list[i].data, corpus.list[i].n);
	}
	for (unsigned long i = from; i < from + runs; i++) {
		const struct input *in;
		size_t n;

		random_state = i * UINT64_C(0xd1342543de82ef95);
		in = &corpus.list[below(corpus.len)];
		n = in->n;
		memcpy(input, in->data, n);
		for (size_t k = 1 + below(6); k > 0; k--)
			n = mutate_once(input, n);
		snprintf(current, sizeof(current),
			 "fuzz: stopped by mutation %lu: repeat with --from %lu --runs 1\n", i, i);
		run(input, n);
	}
}

int main(int argc, char **argv)
{
	unsigned long runs = fuzz_runs, from = 0;
	const char *longer = getenv("COFFER_LONG"), *write_to = NULL;
	static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGALRM};

	if (longer && *longer)
		runs *= 100;
	fuzz_seeds();
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (!strcmp(argv[i], "--runs") && more)
			runs = strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--from") && more)
			from = strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--write") && more)
			write_to = argv[++i];
		else if (argv[i][0] == '-')
			die(argv[i], "no such option; see the head of tests/fuzz/fuzz-main.c");
		else
			add_path(argv[i]);
	}
	if (!corpus.len)
		fuzz_seed("", 0);
	if (write_to) {
		write_seeds(write_to);
		return 0;
	}
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], on_signal);
	run_all(from, runs);
	printf("%zu seeds and files, %lu mutations\n", corpus.len, runs);
	for (size_t i = 0; i < corpus.len; i++)
		free(corpus.list[i].data);
	free(corpus.list);
	return 0;
}
