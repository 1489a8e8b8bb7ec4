/* SPDX-License-Identifier: Apache-2.0 */
/* One suite per file of base; put together by test-base.c. */
#ifndef TEST_BASE_H
#define TEST_BASE_H

#include <check.h>

TCase *bytes_case(void);
TCase *text_case(void);
TCase *ini_case(void);
TCase *json_case(void);

#endif
