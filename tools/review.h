/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a review looks at, put together: events in groups, each with what it means; logins by day, with what is
 * conspicuous about them. Pure.
 */
#ifndef COFFER_REVIEW_H
#define COFFER_REVIEW_H

#include "base/json.h"

struct review;
/* logins: those of logins only, by day. */
struct review *review_new(bool logins);
void review_free(struct review *r);
/* One event (docs/format.md 4.1), in order. */
int review_add(struct review *r, const struct cof_json *event);
/* Sets events (all that were added), and groups, the worst first, and others (how many were not significant); or
 * logins and findings. few: names and places are left out of groups, so that there is room for many. */
int review_tell(const struct review *r, bool few, struct cof_json *into);
/* What review_tell made, as lines for people. */
void review_say(const struct cof_json *told, struct cof_buf *b);

#endif
