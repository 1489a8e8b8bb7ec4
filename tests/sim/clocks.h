/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, boots and chance of the simulation, put in the place of the system's when the tests are
 * linked (--wrap): nothing but the seed decides, and a year passes at once.
 */
#ifndef COF_TEST_SIM_CLOCKS_H
#define COF_TEST_SIM_CLOCKS_H

#include "fs/archive/archive.h"

void clocks_start(uint64_t seed);
void clocks_pass(int64_t ns); /* all of them go on */
void clocks_step(int64_t ns); /* the wall clock is set, by somebody or by the net */
void clocks_boot(void);	      /* the machine starts anew: time since then, and its id */
int64_t clocks_boottime(void);
int64_t clocks_passed(void); /* truly, since the start, whatever any clock was set to */

/* A boot-time clock that lies: for archives with a TPM, which does not believe it. */
void clocks_boot_lies(int64_t ns);
/* A TPM's clock, which a power cut moves back and anyone sets forward. */
extern const struct cof_clock_source clocks_tpm;
void clocks_tpm_reset(void);
void clocks_tpm_clear(void);
void clocks_tpm_forward(int64_t ns);
void clocks_tpm_silent(bool silent); /* it does not answer, and runs on */

#endif
