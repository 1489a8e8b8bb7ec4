/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LEAK_H
#define TEST_LEAK_H

#include <check.h>

#include "fs/leak/leak.h"

extern struct cof_leak_db *leak_db; /* one for all */

TCase *corpus_case(void);
TCase *kinds_case(void);
TCase *stream_case(void);

#endif
