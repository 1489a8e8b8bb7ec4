/* SPDX-License-Identifier: Apache-2.0 */
/* Items: packed into pages and found again by terms, over pages, feedings, tree sizes and repeated frames. */
#include "test-index.h"

#include <stdio.h>

#define MANY 3000
#define KIND_NAME 1
#define KIND_GROUP 2

struct text { /* an item: "item SEQUENCE.NUMBER", its own text and its group as terms */
	char own[32], group[32], value[300];
	struct cof_index_item item;
};

static void make(struct text *t, uint64_t sequence, unsigned number, size_t fill)
{
	snprintf(t->own, sizeof(t->own), "item %llu.%u", (unsigned long long)sequence, number);
	snprintf(t->group, sizeof(t->group), "group %llu", (unsigned long long)sequence % 10);
	memset(t->value, '.', sizeof(t->value));
	memcpy(t->value, t->own, strlen(t->own) + 1);
	t->item = (struct cof_index_item){
	    .p = t->value,
	    .n = strlen(t->own) + 1 + fill,
	    .term = {{KIND_NAME, t->own, strlen(t->own)}, {KIND_GROUP, t->group, strlen(t->group)}},
	    .n_terms = 2,
	};
}

static void add(struct cof_index *ix, uint64_t sequence, unsigned n, size_t fill)
{
	struct cof_index_item items[64];
	struct text *t = calloc(64, sizeof(*t));

	SURE(t && n <= 64);
	for (unsigned i = 0; i < n; i++) {
		make(&t[i], sequence, i, fill);
		items[i] = t[i].item;
	}
	SURE(!cof_index_add_items(ix, sequence, items, n));
	free(t);
}

struct seen {
	uint64_t n, stop, sequence; /* sequence: of the last one */
	unsigned number;
	int give;
};

static int see(void *user, const struct cof_index_item *i)
{
	struct seen *s = user;
	unsigned long long sequence;
	unsigned number;

	SURE(sscanf(i->p, "item %llu.%u", &sequence, &number) == 2);
	SURE(sequence == i->sequence && strlen(i->p) + 1 <= i->n);
	SURE(sequence > s->sequence ? number == 0 : sequence == s->sequence && number == s->number + 1);
	s->sequence = sequence;
	s->number = number;
	return ++s->n == s->stop ? s->give : 0;
}

static uint64_t count(struct cof_index *ix, uint64_t at)
{
	struct seen s = {.number = UINT32_MAX};

	ck_assert_int_eq(cof_index_items(ix, at, see, &s), 0);
	return s.n;
}

static uint64_t count_with(struct cof_index *ix, uint64_t at, uint64_t kind, const char *term)
{
	struct cof_index_term t = {kind, term, strlen(term)};
	struct seen s = {.number = UINT32_MAX};

	ck_assert_int_eq(cof_index_items_with(ix, at, &t, see, &s), 0);
	return s.n;
}

/* In the database, in memory, and over both; and again once it was closed. */
START_TEST(found_again)
{
	struct cof_index *ix = open_here(NULL);

	ck_assert_uint_eq(count(ix, COF_INDEX_NOW), 0);
	for (uint64_t i = 1; i <= MANY; i++) {
		add(ix, i, 1, 100);
		if (i == MANY / 3 || i == MANY / 3 + 5)
			feed(ix, i + 1);
	}
	for (int again = 0; again < 2; again++) {
		ck_assert_uint_eq(count(ix, COF_INDEX_NOW), MANY);
		ck_assert_uint_eq(count(ix, 101), 100); /* frames 1 to 100 */
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_NAME, "item 77.0"), 1);
		ck_assert_uint_eq(count_with(ix, 78, KIND_NAME, "item 77.0"), 1);
		ck_assert_uint_eq(count_with(ix, 77, KIND_NAME, "item 77.0"), 0);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_GROUP, "item 77.0"), 0);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_GROUP, "group 7"), MANY / 10);
		ck_assert_uint_eq(count_with(ix, 1001, KIND_GROUP, "group 7"), 100);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_GROUP, "group"), 0);
		feed(ix, MANY + 1);
		if (again)
			break;
		cof_index_close(ix);
		ix = open_here(NULL);
	}
	/* what fn returns */
	struct seen s = {.number = UINT32_MAX, .stop = 5, .give = 1};
	ck_assert_int_eq(cof_index_items(ix, COF_INDEX_NOW, see, &s), 0);
	ck_assert_uint_eq(s.n, 5);
	s = (struct seen){.number = UINT32_MAX, .stop = 5, .give = -EIO};
	ck_assert_int_eq(cof_index_items(ix, COF_INDEX_NOW, see, &s), -EIO);
	cof_index_close(ix);
}
END_TEST

/* A frame with many items takes several pages, and a term of any of them leads to all. */
START_TEST(of_one_frame)
{
	struct cof_index *ix = open_here(NULL);

	for (uint64_t i = 1; i <= 20; i++)
		add(ix, i, 1, 200);
	add(ix, 21, 64, 250);
	add(ix, 22, 1, 10);
	for (int fed = 0; fed < 2; fed++) {
		ck_assert_uint_eq(count(ix, COF_INDEX_NOW), 85);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_NAME, "item 21.0"), 64);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_NAME, "item 21.63"), 64);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_GROUP, "group 1"), 66); /* 1, 11, 21 */
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_NAME, "item 22.0"), 1);
		feed(ix, 23);
	}
	cof_index_close(ix);
}
END_TEST

/* After a crash frames come again, also those that the database has. */
START_TEST(the_same_again)
{
	struct cof_index *ix = open_here(NULL);

	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 1; i <= 100; i++)
			add(ix, i, 1 + i % 3, 50);
		ck_assert_uint_eq(count(ix, COF_INDEX_NOW), 200);
		ck_assert_uint_eq(count_with(ix, COF_INDEX_NOW, KIND_GROUP, "group 5"), 21);
		if (round)
			continue;
		feed(ix, 51);
	}
	ck_assert(!cof_index_reset(ix));
	ck_assert_uint_eq(count(ix, COF_INDEX_NOW), 0);
	add(ix, 7, 1, 0);
	ck_assert_uint_eq(count(ix, COF_INDEX_NOW), 1);
	cof_index_close(ix);
}
END_TEST

START_TEST(limits)
{
	static uint8_t large[COF_INDEX_ITEM_MAX + 1];
	struct cof_index *ix = open_here(NULL);
	struct cof_index_item i = {.p = large, .n = COF_INDEX_ITEM_MAX, .term = {{1, "x", 1}}, .n_terms = 1};

	memcpy(large, "item 1.0", 9);
	ck_assert_int_eq(cof_index_add_items(ix, 1, &i, 1), 0);
	memcpy(large, "item 2.0", 9);
	ck_assert_int_eq(cof_index_add_items(ix, 2, &i, 1), 0);
	ck_assert_uint_eq(count(ix, COF_INDEX_NOW), 2);
	ck_assert_int_eq(cof_index_add_items(ix, 3, &i, 0), 0);
	i.n++;
	ck_assert_int_eq(cof_index_add_items(ix, 3, &i, 1), -EINVAL);
	i.n = 1;
	i.n_terms = 0;
	ck_assert_int_eq(cof_index_add_items(ix, 3, &i, 1), -EINVAL);
	i.n_terms = COF_INDEX_TERMS + 1;
	ck_assert_int_eq(cof_index_add_items(ix, 3, &i, 1), -EINVAL);
	cof_index_close(ix);
}
END_TEST

TCase *items_case(void)
{
	TCase *c = index_case("items");

	tcase_add_test(c, found_again);
	tcase_add_test(c, of_one_frame);
	tcase_add_test(c, the_same_again);
	tcase_add_test(c, limits);
	return c;
}
