/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, boots and chance of the simulation, put in the place of the system's when the tests are
 * linked (--wrap): nothing but the seed decides, and a year passes at once.
 */
#ifndef COF_TEST_SIM_CLOCKS_H
#define COF_TEST_SIM_CLOCKS_H

#include "base/base.h"

void clocks_start(uint64_t seed);
void clocks_pass(int64_t ns); /* all of them go on */
void clocks_step(int64_t ns); /* the wall clock is set, by somebody or by the net */
void clocks_boot(void);	      /* the machine starts anew: time since then, and its id */
int64_t clocks_boottime(void);

#endif
