/* SPDX-License-Identifier: Apache-2.0 */
/* One case per file of fs/mount that works without a kernel; put together by test-mount.c. */
#ifndef TEST_MOUNT_H
#define TEST_MOUNT_H

#include <check.h>

TCase *options_case(void);
TCase *mountinfo_case(void);
TCase *point_case(void);
TCase *cookie_case(void);
TCase *invalidate_case(void);

#endif
