/* SPDX-License-Identifier: Apache-2.0 */
/* One case per file; put together by test-log.c. */
#ifndef TEST_LOG_H
#define TEST_LOG_H

#include <check.h>

#include "fs/log/log.h"

TCase *frame_case(void);
TCase *payload_case(void);
TCase *conf_case(void);
TCase *reader_case(void);

/* The bytes equal these lower-case hex digits. */
#define CHECK_HEX(p, n, hex)                                                                       \
	do {                                                                                       \
		char text_[2 * 256 + 1];                                                           \
		ck_assert_uint_le(n, 256);                                                         \
		cof_hex(p, n, text_);                                                              \
		ck_assert_str_eq(text_, hex);                                                      \
	} while (0)

#endif
