/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct seeds *what;
static uint64_t first_seed = 1, seeds;
static uint8_t *done; /* of each seed; shared with the children that play */

START_TEST(one_seed)
{
	what->play(first_seed + (uint64_t)_i);
	done[_i] = 1;
}
END_TEST

static void choose_seeds(void)
{
	const char *one = getenv("COFFER_SEED"), *range = getenv("COFFER_SEEDS"), *many = getenv("COFFER_LONG");
	char *end;

	seeds = many && !strcmp(many, "1") ? what->many : what->few;
	if (range) {
		first_seed = strtoull(range, &end, 10);
		seeds = *end == '-' ? strtoull(end + 1, NULL, 10) - first_seed + 1 : 1;
	}
	if (one) {
		first_seed = strtoull(one, NULL, 10);
		seeds = 1;
	}
}

static int play_all(int from, int to)
{
	Suite *suite = suite_create(what->name);
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("seeds");
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, one_seed, from, to);
	if (what->more)
		tcase_add_test(c, what->more);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Halves beside each other. */
static int play_halves(void)
{
	int half = (int)(seeds / 2), failed, status = 0;
	pid_t pid = seeds > 20 ? fork() : -1;

	if (pid < 0)
		return play_all(0, (int)seeds);
	if (pid == 0)
		exit(play_all(half, (int)seeds));
	failed = play_all(0, half);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		failed = EXIT_FAILURE;
	return failed;
}

int seeds_main(const struct seeds *s, char **argv)
{
	int failed;

	what = s;
	choose_seeds();
	done = mmap(NULL, seeds, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (done == MAP_FAILED)
		return EXIT_FAILURE;
	failed = play_halves();
	for (uint64_t i = 0; i < seeds; i++)
		if (!done[i])
			printf("To repeat this: COFFER_SEED=%llu %s\n", (unsigned long long)(first_seed + i), argv[0]);
	return failed;
}
