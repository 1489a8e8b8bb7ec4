/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of fs/index, and what they share: an index in a directory of its own. */
#ifndef TEST_INDEX_H
#define TEST_INDEX_H

#include <check.h>

#include "fs/index/index.h"

TCase *model_case(void);
TCase *names_case(void);
TCase *items_case(void);
TCase *feed_case(void);
TCase *damage_case(void);
TCase *threads_case(void);
TCase *many_case(void);

/* Each test has, from its fixture, a directory that is removed behind it. */
extern char test_dir[64];
TCase *index_case(const char *name);

struct cof_index *open_at(const char *dir, uint32_t pending_max, bool *ret_fresh);
struct cof_index *open_here(bool *ret_fresh); /* in test_dir */
uint64_t size_is(void *user);                 /* for cof_index_feed: *(uint64_t *)user */
void feed(struct cof_index *ix, uint64_t size);

/* As ck_assert, without writing to Check's file each time: for what is asserted by the million. */
#define SURE(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s:%d: not so: %s", __FILE__, __LINE__, #x);                 \
	} while (0)

/* xorshift: the same numbers for the same seed, everywhere. */
struct dice {
	uint64_t x;
};
uint64_t roll(struct dice *d, uint64_t below);
bool slow_tests(void); /* COF_TEST_SLOW is set */

#endif
