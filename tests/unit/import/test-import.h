/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_IMPORT_H
#define TEST_IMPORT_H

#include "tools/import/import.h"

#include <check.h>

TCase *file_case(void);

#endif
