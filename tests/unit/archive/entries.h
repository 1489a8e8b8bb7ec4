/* SPDX-License-Identifier: Apache-2.0 */
/* The log of an open archive as JSON, filtered by type, for tests that look at what was recorded. */
#ifndef COF_TEST_ARCHIVE_ENTRIES_H
#define COF_TEST_ARCHIVE_ENTRIES_H

#include "support.h"

/* All entries of one type ("event"), or all with NULL, in order; an array for the caller to free. */
struct cof_json *entries_of(struct store *s, const char *type);
/* One with a text field equal to value, or NULL; borrowed. */
struct cof_json *entry_with(struct cof_json *entries, const char *key, const char *value);
int64_t number_of(struct cof_json *entry, const char *key); /* 0 when absent */

#endif
