/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the log and of blame, as lines for people. Pure. */
#ifndef COFFER_ENTRY_H
#define COFFER_ENTRY_H

#include "base/json.h"

/* Adds one line with its newline, nothing in it unescaped; check ret->failed. */
void entry_line(const struct cof_json *entry, struct cof_buf *ret);
void blame_head(struct cof_buf *ret);
void blame_line(const struct cof_json *run, struct cof_buf *ret);

#endif
