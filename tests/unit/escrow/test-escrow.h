/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_ESCROW_H
#define TEST_ESCROW_H

#include <check.h>

extern const char *escrow_official, *escrow_foreign;

TCase *epoch_case(void), *survive_case(void), *intake_case(void), *scheme_case(void), *slip39_case(void), *slip39_official_case(void);

#endif
