/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads: who writes frames waits for who feeds, readers see what was acknowledged before
 * they asked, at any moment of feeding.
 */
#include "test-index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define WRITERS 3
#define EACH 6000
#define LINKS 8 /* each so many frames is a name */

/* The assertions of Check may be used by one thread only. */
#undef SURE
#define SURE(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct shared {
	struct cof_index *ix;
	pthread_mutex_t number; /* stands for the log's lock: numbers and applies in order */
	uint64_t next;
	atomic_uint_fast64_t done[WRITERS]; /* stretches of each writer's file, acknowledged */
	atomic_uint_fast64_t most;          /* pending, as seen */
	atomic_bool stop;
};

struct writer {
	struct shared *s;
	unsigned who;
};

static uint64_t size(void *user)
{
	struct shared *s = user;
	pthread_mutex_lock(&s->number);
	uint64_t n = s->next;
	pthread_mutex_unlock(&s->number);
	return n;
}

static void *write_frames(void *user)
{
	struct writer *w = user;
	struct shared *s = w->s;
	uint64_t ino = 10 + w->who, position = 0;
	char name[32];
	for (uint64_t i = 0; i < EACH; i++) {
		cof_index_enter(s->ix);
		pthread_mutex_lock(&s->number);
		uint64_t q = s->next++;
		pthread_mutex_unlock(&s->number);
		int r;
		if (i % LINKS == 0) {
			int n =
			    snprintf(name, sizeof(name), "%u %llu", w->who, (unsigned long long)i);
			r = cof_index_link(s->ix, q, ino, name, (size_t)n, i + 100, COF_KIND_FILE);
		} else {
			struct cof_stretch x = {position, 3, q * 1000, q, false};
			position += 3;
			r = cof_index_add_stretch(s->ix, ino, &x);
		}
		cof_index_leave(s->ix);
		SURE(!r);
		atomic_store(&s->done[w->who], position);
		uint64_t pending = cof_index_pending(s->ix);
		if (pending > atomic_load(&s->most))
			atomic_store(&s->most, pending);
	}
	return NULL;
}

static void *read_all(void *user)
{
	struct shared *s = user;
	struct cof_stretch got[300];
	while (!atomic_load(&s->stop))
		for (unsigned w = 0; w < WRITERS; w++) {
			uint64_t sure = atomic_load(&s->done[w]), end = 0;
			size_t n = 0;
			SURE(!cof_index_end(s->ix, COF_INDEX_NOW, 10 + w, &end));
			SURE(end >= sure);
			if (!sure)
				continue;
			int r = cof_index_stretches(s->ix, COF_INDEX_NOW, 10 + w, sure / 2, got,
						    300, &n);
			SURE(!r);
			SURE(n > 0);
			for (size_t i = 0; i < n; i++)
				SURE(got[i].position == (sure / 2 / 3 + i) * 3);
			/* As it was at an earlier size. */
			uint64_t q = got[n - 1].sequence, old = 0;
			SURE(!cof_index_end(s->ix, q + 1, 10 + w, &old));
			SURE(old == got[n - 1].position + 3);
		}
	return NULL;
}

static int count(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED,
		 size_t len COF_UNUSED, uint64_t ino COF_UNUSED, uint8_t kind COF_UNUSED)
{
	++*(uint64_t *)user;
	return 0;
}

static void *list_all(void *user)
{
	struct shared *s = user;
	uint64_t before[WRITERS] = {0};
	while (!atomic_load(&s->stop))
		for (unsigned w = 0; w < WRITERS; w++) {
			uint64_t n = 0, ino;
			SURE(!cof_index_readdir(s->ix, COF_INDEX_NOW, 10 + w, 0, count, &n));
			SURE(n >= before[w]);
			before[w] = n;
			char name[32];
			int len = snprintf(name, sizeof(name), "%u %llu", w,
					   n ? (unsigned long long)(n - 1) * LINKS : 0);
			if (n)
				SURE(!cof_index_lookup(s->ix, COF_INDEX_NOW, 10 + w, name,
						       (size_t)len, &ino));
		}
	return NULL;
}

static void *feed_on(void *user)
{
	struct shared *s = user;
	while (!atomic_load(&s->stop)) {
		SURE(!cof_index_feed(s->ix, size, s));
		sched_yield();
	}
	return NULL;
}

static void check_end(struct shared *s)
{
	for (unsigned w = 0; w < WRITERS; w++) {
		uint64_t end = 0, n = 0;
		ck_assert(!cof_index_end(s->ix, COF_INDEX_NOW, 10 + w, &end));
		ck_assert_uint_eq(end, (EACH - (EACH + LINKS - 1) / LINKS) * 3);
		ck_assert(!cof_index_readdir(s->ix, COF_INDEX_NOW, 10 + w, 0, count, &n));
		ck_assert_uint_eq(n, (EACH + LINKS - 1) / LINKS);
	}
}

START_TEST(writers_readers_feeder)
{
	struct shared s = {.ix = open_at(test_dir, 500, NULL), .next = 1};
	pthread_t writer[WRITERS], other[3];
	struct writer w[WRITERS];
	pthread_mutex_init(&s.number, NULL);
	pthread_create(&other[0], NULL, read_all, &s);
	pthread_create(&other[1], NULL, list_all, &s);
	pthread_create(&other[2], NULL, feed_on, &s);
	for (unsigned i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){&s, i};
		pthread_create(&writer[i], NULL, write_frames, &w[i]);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writer[i], NULL);
	atomic_store(&s.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(other[i], NULL);
	/* Bounded: the limit, and what each writer that had entered could add (a name is four
	 * rows). */
	ck_assert_uint_le(atomic_load(&s.most), 500 + 8 * WRITERS);
	check_end(&s);
	feed(s.ix, s.next);
	check_end(&s);
	cof_index_close(s.ix);
	s.ix = open_at(test_dir, 500, NULL);
	ck_assert_uint_eq(cof_index_fed(s.ix), s.next);
	check_end(&s);
	cof_index_close(s.ix);
}
END_TEST

/* Who is full waits until someone feeds. */
static void *one_more(void *user)
{
	struct shared *s = user;
	struct cof_stretch x = {30, 3, 30000, 30, false};
	cof_index_enter(s->ix);
	SURE(!cof_index_add_stretch(s->ix, 10, &x));
	cof_index_leave(s->ix);
	atomic_store(&s->done[0], 1);
	return NULL;
}

START_TEST(full_waits)
{
	struct shared s = {.ix = open_at(test_dir, 10, NULL)};
	pthread_t t;
	for (uint64_t i = 0; i < 10; i++) {
		struct cof_stretch x = {i * 3, 3, (i + 1) * 1000, i + 1, false};
		cof_index_enter(s.ix);
		ck_assert(!cof_index_add_stretch(s.ix, 10, &x));
		cof_index_leave(s.ix);
	}
	ck_assert_uint_eq(cof_index_pending(s.ix), 10);
	pthread_create(&t, NULL, one_more, &s);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	ck_assert_uint_eq(atomic_load(&s.done[0]), 0);
	feed(s.ix, 11);
	pthread_join(t, NULL);
	ck_assert_uint_eq(atomic_load(&s.done[0]), 1);
	ck_assert_uint_eq(cof_index_pending(s.ix), 1);
	cof_index_close(s.ix);
}
END_TEST

/* The size is asked for while nobody is inside: a frame that has a number is in with all its rows.
 */
static uint64_t asked(void *user)
{
	struct shared *s = user;
	atomic_store(&s->stop, true);
	return 8;
}

static void *feed_once(void *user)
{
	struct shared *s = user;
	atomic_store(&s->done[0], 1);
	SURE(!cof_index_feed(s->ix, asked, s));
	return NULL;
}

START_TEST(feeding_waits_for_who_is_inside)
{
	struct shared s = {.ix = open_at(test_dir, 0, NULL)};
	pthread_t t;
	uint64_t ino;
	cof_index_enter(s.ix);
	pthread_create(&t, NULL, feed_once, &s);
	while (!atomic_load(&s.done[0]))
		sched_yield();
	for (int i = 0; i < 1000; i++)
		sched_yield();
	bool early = atomic_load(&s.stop);
	int r = cof_index_link(s.ix, 7, 1, "name", 4, 5, COF_KIND_FILE);
	cof_index_leave(s.ix);
	pthread_join(t, NULL);
	SURE(!early && !r && atomic_load(&s.stop));
	cof_index_close(s.ix);
	s.ix = open_at(test_dir, 0, NULL);
	ck_assert_uint_eq(cof_index_fed(s.ix), 8);
	ck_assert(!cof_index_lookup(s.ix, COF_INDEX_NOW, 1, "name", 4, &ino));
	cof_index_close(s.ix);
}
END_TEST

#define LONG 400000

static void *feed_long(void *user)
{
	struct shared *s = user;
	uint64_t below = LONG + 1;
	SURE(!cof_index_feed(s->ix, size_is, &below));
	atomic_store(&s->stop, true);
	return NULL;
}

/* While hundreds of rows of one file are on their way, its older ends are known all the same. */
START_TEST(old_ends_while_feeding)
{
	struct shared s = {.ix = open_at(test_dir, 2 * LONG, NULL)};
	struct cof_stretch got[3];
	pthread_t t;
	uint64_t end = 0, asked_for = 0;
	size_t n = 0;
	for (uint64_t q = 1; q <= LONG; q++) {
		struct cof_stretch x = {(q - 1) * 3, 3, q * 1000, q, false};
		SURE(!cof_index_add_stretch(s.ix, 10, &x));
		if (q == 300)
			feed(s.ix, q + 1);
	}
	pthread_create(&t, NULL, feed_long, &s);
	do {
		uint64_t at = 1 + asked_for++ % 300;
		SURE(!cof_index_end(s.ix, at, 10, &end));
		SURE(end == (at - 1) * 3);
		SURE(!cof_index_stretches(s.ix, COF_INDEX_NOW, 10, at * 50, got, 3, &n));
		SURE(n == 3 && got[0].position == at * 50 / 3 * 3);
	} while (!atomic_load(&s.stop));
	pthread_join(t, NULL);
	cof_index_close(s.ix);
}
END_TEST

TCase *threads_case(void)
{
	TCase *c = index_case("threads");
	tcase_add_test(c, writers_readers_feeder);
	tcase_add_test(c, full_waits);
	tcase_add_test(c, old_ends_while_feeding);
	tcase_add_test(c, feeding_waits_for_who_is_inside);
	return c;
}
