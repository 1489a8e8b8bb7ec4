/* SPDX-License-Identifier: Apache-2.0 */
/* Dates and spans as people give them on the command line. Pure. */
#ifndef COFFER_WHEN_H
#define COFFER_WHEN_H

#include "fs/rules/rules.h"

/* "2031-01-02", "2031-01-02T03:04:05Z", "2031-01-02 03:04:05", all UTC, or "infinite". -EINVAL */
int when_parse(const char *text, int64_t *ret);
/* An end as the attributes take it: RFC 3339 or "infinite". */
void when_text(int64_t end, char out[32]);

/* What --until, --for and --infinite say; at most one may be given. */
struct end_args {
	const char *until, *span;
	bool infinite;
};
/* "" or what is wrong with them, a sentence. */
const char *end_conflict(const struct end_args *a);
/* now: what a span counts from. COF_RETAIN_NONE when none was given. */
int64_t end_of(const struct end_args *a, int64_t now);

#endif
