/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays seed after seed as a test each, so that a failure does not hide the others, in two processes beside each
 * other; of each that failed the command that repeats it is printed. COFFER_SEED=N plays that one, COFFER_SEEDS=N-M
 * those, COFFER_LONG=1 as many as are said for it.
 */
#ifndef COF_TEST_SEEDS_H
#define COF_TEST_SEEDS_H

#include <check.h>
#include <stdint.h>

struct seeds {
	const char *name; /* of the suite */
	void (*play)(uint64_t seed);
	uint64_t few, many; /* in the normal run, in the long one */
	const TTest *more;  /* a test behind them; NULL: none */
};
int seeds_main(const struct seeds *s, char **argv); /* the exit code */

#endif
