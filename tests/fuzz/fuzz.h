/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz target offers. One file, fuzz-NAME.c, for each parser; meson.build lists them.
 *
 * Built plainly, fuzz-main.c runs the seeds, the files of corpus/NAME/ and a fixed number of
 * mutations of both: the same inputs each time, so that a failure can be seen again. Built with
 * -Dfuzz=true by clang, libFuzzer drives the same function:
 *
 *   tests/fuzz/long.sh note
 *
 * which tests/run.sh --long does for all of them.
 *
 * An input that once broke something is kept in corpus/NAME/ under the name of the defect.
 */
#ifndef COF_FUZZ_H
#define COF_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* One input. Returns 0; a broken promise ends the process, see fuzz_check. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Hands good inputs to fuzz_seed, a few of each kind: mutations begin with them. */
void fuzz_seeds(void);
void fuzz_seed(const void *data, size_t n);
void fuzz_seed_text(const char *text);

/* Mutations in an ordinary test, for about a second without sanitizers; 20000 if not defined. */
extern const unsigned fuzz_runs;

/* A promise of the parser's header: that it does not hold is as bad as a crash. */
#define fuzz_check(x) ((x) ? (void)0 : fuzz_broken(#x, __FILE__, __LINE__))
void fuzz_broken(const char *what, const char *file, int line) __attribute__((noreturn));

#endif
