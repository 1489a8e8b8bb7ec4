/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target needs, whoever drives it. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

void fuzz_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

void fuzz_seed_text(const char *text)
{
	fuzz_seed(text, strlen(text));
}

/* What a target, or libFuzzer's driver, does not bring itself. */
const unsigned fuzz_runs __attribute__((weak)) = 20000;

__attribute__((weak)) void fuzz_seeds(void)
{
}

__attribute__((weak)) void fuzz_seed(const void *data, size_t n)
{
	(void)data;
	(void)n;
}
