/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: what is refused does not count, what lies across writes and across streams is found, all sieves agree. */
#include <check.h>
#include <pthread.h>

#include "../../support/leak-made.h"
#include "fs/leak/internal.h"
#include "test-leak.h"

#define PHRASE "legal winner thank year wave sausage worth useful legal winner thank yellow"

static unsigned scan(struct cof_leak_stream *t, const char *text)
{
	return cof_leak_scan(leak_db, t, text, strlen(text), NULL, NULL);
}

static void put(struct cof_leak_stream *t, const char *text)
{
	cof_leak_accept(t, text, strlen(text));
}

static struct cof_leak_stream *fresh(uint64_t at, const char *tail)
{
	struct cof_leak_stream *t;

	ck_assert_int_eq(cof_leak_stream_new(leak_db, at, tail, tail ? strlen(tail) : 0, &t), 0);
	return t;
}

START_TEST(refused)
{
	struct cof_leak_stream *t = fresh(0, NULL);

	ck_assert_uint_eq(scan(t, "legal winner thank year wave sausage "), 0);
	put(t, "legal winner thank year wave sausage ");
	for (int i = 0; i < 3; i++) /* never accepted: found each time */
		ck_assert_uint_eq(scan(t, "worth useful legal winner thank yellow\n"), 1);
	ck_assert_uint_eq(scan(t, "worth nothing\n"), 0);
	put(t, "worth nothing\n");
	ck_assert_uint_eq(scan(t, "worth useful legal winner thank yellow\n"), 0);
	cof_leak_stream_free(t);
}
END_TEST

START_TEST(said_once)
{
	struct cof_leak_stream *t = fresh(0, NULL);

	ck_assert_uint_eq(scan(t, "a: " PHRASE), 1);
	put(t, "a: " PHRASE);
	ck_assert_uint_eq(scan(t, "\n"), 0);
	put(t, "\n");
	ck_assert_uint_eq(scan(t, "b: " PHRASE "\n"), 1);
	cof_leak_stream_free(t);
}
END_TEST

/* A stream that was dropped, with the file's last bytes and without. */
START_TEST(resumed)
{
	struct cof_leak_stream *t = fresh(500, "log\nlegal winner thank year wave sausage ");

	ck_assert_uint_eq(scan(t, "worth useful legal winner thank yellow\n"), 1);
	cof_leak_stream_free(t);
	t = fresh(500, NULL);
	ck_assert_uint_eq(scan(t, "worth useful legal winner thank yellow\n"), 0);
	cof_leak_stream_free(t);
	t = fresh(500, "log\n" PHRASE "\n");
	ck_assert_uint_eq(scan(t, "more\n"), 0); /* what the tail held was said before */
	cof_leak_stream_free(t);
}
END_TEST

START_TEST(empty)
{
	struct cof_leak_stream *t = fresh(0, NULL);

	ck_assert_uint_eq(cof_leak_scan(leak_db, t, NULL, 0, NULL, NULL), 0);
	cof_leak_accept(t, NULL, 0);
	ck_assert_uint_eq(scan(t, PHRASE), 1);
	cof_leak_stream_free(t);
	cof_leak_stream_free(NULL);
}
END_TEST

/* Two phrases in one line, and many, one a line: all of them. */
START_TEST(many)
{
	struct cof_leak_stream *t = fresh(0, NULL);
	char text[4000] = "";

	ck_assert_uint_eq(scan(t, PHRASE " / " PHRASE), 2);
	for (int i = 0; i < 20; i++)
		strcat(text, PHRASE "\n");
	ck_assert_uint_eq(scan(t, text), 20);
	cof_leak_stream_free(t);
}
END_TEST

/* The list itself, a word a line or all in one, holds mnemonics by chance only: none is said. */
START_TEST(the_list)
{
	extern const char *const cof_leak_lists[];
	struct cof_leak_stream *t = fresh(0, NULL);
	cof_autofree char *line = strdup(cof_leak_lists[LIST_ENGLISH]);

	ck_assert_uint_eq(scan(t, cof_leak_lists[LIST_ENGLISH]), 0);
	put(t, cof_leak_lists[LIST_ENGLISH]);
	for (char *c = line; *c; c++)
		if (*c == '\n')
			*c = ' ';
	ck_assert_uint_eq(scan(t, line), 0);
	cof_leak_stream_free(t);
}
END_TEST

struct list {
	struct cof_leak l[4000];
	unsigned n;
};

static void keep(void *user, const struct cof_leak *leak)
{
	struct list *s = user;

	ck_assert_uint_lt(s->n, COF_COUNT(s->l));
	s->l[s->n++] = *leak;
}

/* Logs and leaks and noise, by each sieve, in large writes and in small ones: the same places. */
START_TEST(sieves_agree)
{
	static struct list lists[SIEVES];
	cof_autobuf struct cof_buf all = {0};
	char text[3000];
	struct logs l;

	logs_init(&l, 11);
	for (unsigned i = 0; i < 400; i++) {
		struct made m;

		logs_fill(&l, text, 1 + logs_below(&l, sizeof(text) - 1));
		cof_buf_add(&all, text, strlen("x") + logs_below(&l, sizeof(text) - 1));
		for (unsigned j = 0; j < 200; j++)
			text[j] = (char)logs_random(&l);
		cof_buf_add(&all, text, 200);
		made_leak(&l, i % COF_LEAK_KINDS, i, &m);
		cof_buf_add(&all, "\n", 1);
		cof_buf_add(&all, m.text.data, m.text.len);
		made_done(&m);
	}
	for (int way = 0; way < SIEVES; way++) {
		const size_t pieces[] = {all.len, 100000, 1000, 64};

		if (!cof_leak_use_sieve(way))
			continue;
		for (unsigned p = 0; p < COF_COUNT(pieces); p++) {
			struct cof_leak_stream *t = fresh(0, NULL);
			struct list *now = &lists[way];

			now->n = 0;
			for (size_t at = 0; at < all.len; at += pieces[p]) {
				size_t n = COF_MIN(pieces[p], all.len - at);

				cof_leak_scan(leak_db, t, all.data + at, n, keep, now);
				cof_leak_accept(t, all.data + at, n);
			}
			cof_leak_stream_free(t);
			ck_assert_uint_ge(now->n, 400);
			if (p == 0 && way > 0) {
				ck_assert_uint_eq(now->n, lists[0].n);
				for (unsigned i = 0; i < now->n; i++) {
					ck_assert_uint_eq(now->l[i].offset, lists[0].l[i].offset);
					ck_assert_uint_eq(now->l[i].len, lists[0].l[i].len);
				}
			}
			if (p == 0 && way == 0)
				lists[0] = *now;
			if (way == 0)
				break; /* byte by byte is slow */
		}
	}
}
END_TEST

/* ---- what the sieves have to find at each place: stretches as long as a secret is, a little more, a little less ---- */

static unsigned some_length(struct logs *l)
{
	switch (logs_below(l, 8)) {
	case 0:
		return 110 + logs_below(l, 4);
	case 1:
		return 1 + logs_below(l, 700);
	case 2:
	case 3:
		return 1 + logs_below(l, 20);
	default:
		return 40 + logs_below(l, 31);
	}
}

static void add_words(struct logs *l, struct cof_buf *text)
{
	static const char *const gaps[] = {" ", " ", " ", ", ", "-", "\n", "  12 ", "\xc3\xa9 ", " (", "=", "\xe3\x80\x80"};

	for (unsigned i = 1 + logs_below(l, 16); i > 0; i--) {
		char word[12];
		unsigned n = logs_below(l, 8) ? 3 + logs_below(l, 6) : 1 + logs_below(l, sizeof(word));
		const char *gap = gaps[logs_below(l, logs_below(l, 4) ? 3 : COF_COUNT(gaps))];

		logs_chars(l, "abcdefghijklmnopqrstuvwxyz", word, n);
		cof_buf_add(text, word, n);
		cof_buf_add(text, gap, strlen(gap));
	}
}

/* Far from the next one, so that nothing else leads to it */
static void add_space(struct logs *l, struct cof_buf *text)
{
	char run[1200];
	unsigned n = 1 + logs_below(l, sizeof(run));

	logs_chars(l, "=;<>?@!", run, n);
	cof_buf_add(text, run, n);
}

static void add_part(struct logs *l, struct cof_buf *text)
{
	static const char *const alphabets[] = {LOGS_ALNUM,  LOGS_HEX,	       LOGS_BASE58, LOGS_BASE64,
						LOGS_BASE64URL, "\x01\x80\xff =", "a", "Aa1 "};
	static const char *const between[] = {"\n", " ", "=", "key=", "secret: ", "key \"", "\"", "\\n", "seed 0x",
					      "\\n0x", ".", "/", "-", "_", "\xe2\x82\xac", "key:\\n"};
	const char *next = between[logs_below(l, COF_COUNT(between))];
	unsigned what = logs_below(l, 4), n = some_length(l);
	struct made m;
	char run[700];

	if (what == 0) {
		add_words(l, text);
	} else if (what == 1) {
		made_leak(l, logs_below(l, COF_LEAK_KINDS), logs_below(l, 100), &m);
		cof_buf_add(text, m.text.data + (n & 1 ? m.at : 0), n & 1 ? m.len : m.text.len);
		made_done(&m);
	} else {
		logs_chars(l, alphabets[logs_below(l, COF_COUNT(alphabets))], run, n);
		cof_buf_add(text, run, n);
	}
	cof_buf_add(text, next, strlen(next));
}

/* In pieces of at most `most` bytes, the same ones for the same seed */
static void sift_pieces(const struct cof_buf *text, uint64_t seed, unsigned most, struct list *ret)
{
	struct cof_leak_stream *t = fresh(0, NULL);
	struct logs l;

	logs_init(&l, seed);
	ret->n = 0;
	for (size_t at = 0, n; at < text->len; at += n) {
		n = 1 + logs_below(&l, most);
		n = COF_MIN(n, text->len - at);
		cof_leak_scan(leak_db, t, text->data + at, n, keep, ret);
		cof_leak_accept(t, text->data + at, n);
	}
	cof_leak_stream_free(t);
}

START_TEST(stretches)
{
	static struct list lists[SIEVES];
	unsigned rounds = getenv("COFFER_LONG") ? 20000 : 1000, found = 0;
	struct logs l;

	logs_init(&l, 12);
	for (unsigned i = 0; i < rounds; i++) {
		unsigned most = i % 3 == 0 ? 1 : i % 3 == 1 ? 900 : 9000;
		size_t size = 1 + logs_below(&l, 12000);
		cof_autobuf struct cof_buf text = {0};

		while (text.len < size) {
			if (i & 1)
				add_space(&l, &text);
			add_part(&l, &text);
		}
		for (int way = 0; way < SIEVES; way++) {
			if (!cof_leak_use_sieve(way))
				continue;
			sift_pieces(&text, i, most == 1 ? UINT32_MAX : most, &lists[way]);
			ck_assert_msg(lists[way].n == lists[0].n, "round %u, sieve %d: %u for %u", i, way,
				      lists[way].n, lists[0].n);
			for (unsigned k = 0; k < lists[0].n; k++) {
				const struct cof_leak *a = &lists[way].l[k], *b = &lists[0].l[k];

				ck_assert_msg(a->kind == b->kind && a->offset == b->offset && a->len == b->len &&
					      a->open_ended == b->open_ended, "round %u, sieve %d, finding %u", i, way, k);
			}
		}
		found += lists[0].n;
	}
	ck_assert_uint_ge(found, 5 * rounds);
}
END_TEST

/* Each alone, at each place of a batch and across two: nothing else has the sieve look closely. */
START_TEST(alone)
{
	static const char *const secrets[] = {
	    "=<" PHRASE "<",
	    "key=wSxgPr0Vz3TqN8uYb5LhJ2mEo7KdQf9iXa1RcGt4BsU<",
	    "=5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ<",
	    "seed=5f1d3c0a97b2e8446ad0c1f37e92b58d04c6a1e9f3b7285d6e0a4c9182f7d3b5<",
	};
	char text[2000];

	for (unsigned k = 0; k < COF_COUNT(secrets); k++)
		for (unsigned at = 0; at < 1100; at++)
			for (int way = 0; way < SIEVES; way++) {
				struct cof_leak_stream *t = fresh(0, NULL);

				memset(text, '=', sizeof(text));
				memcpy(text + at, secrets[k], strlen(secrets[k]));
				if (cof_leak_use_sieve(way))
					ck_assert_msg(cof_leak_scan(leak_db, t, text, sizeof(text), NULL, NULL) == 1,
						      "%s at %u by sieve %d", secrets[k], at, way);
				cof_leak_stream_free(t);
			}
}
END_TEST

static void *scan_alone(void *user)
{
	struct cof_leak_stream *t = fresh(0, NULL);
	uintptr_t n = 0;

	for (int i = 0; i < 2000; i++) {
		n += scan(t, "phrase " PHRASE "\n");
		put(t, "phrase " PHRASE "\n");
	}
	cof_leak_stream_free(t);
	(void)user;
	return (void *)n;
}

START_TEST(threads)
{
	pthread_t thread[4];

	for (unsigned i = 0; i < COF_COUNT(thread); i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, scan_alone, NULL), 0);
	for (unsigned i = 0; i < COF_COUNT(thread); i++) {
		void *n;

		pthread_join(thread[i], &n);
		ck_assert_uint_eq((uintptr_t)n, 2000);
	}
}
END_TEST

TCase *stream_case(void)
{
	TCase *t = tcase_create("stream");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, refused);
	tcase_add_test(t, said_once);
	tcase_add_test(t, resumed);
	tcase_add_test(t, empty);
	tcase_add_test(t, many);
	tcase_add_test(t, the_list);
	tcase_add_test(t, sieves_agree);
	tcase_add_test(t, stretches);
	tcase_add_test(t, alone);
	tcase_add_test(t, threads);
	return t;
}
