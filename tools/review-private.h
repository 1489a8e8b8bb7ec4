/* SPDX-License-Identifier: Apache-2.0 */
/* Private to review*.c. */
#ifndef COFFER_REVIEW_PRIVATE_H
#define COFFER_REVIEW_PRIVATE_H

#include "tools/review.h"

struct login_table;
struct login_table *logins_new(void);
void logins_free(struct login_table *t);
int logins_add(struct login_table *t, const struct cof_json *event);
int logins_tell(const struct login_table *t, struct cof_json *into);
void logins_say(const struct cof_json *told, struct cof_buf *b);

/* Who it was, for people: the signer, or the account and command. "?" where nobody is named. */
void review_who(const struct cof_json *event, char *out, size_t size);
/* Record time, or when it happened as its source says. */
const char *review_time(const struct cof_json *event);
uint64_t review_sequence(const struct cof_json *event);
void review_add_text(struct cof_buf *b, const char *before, const char *text); /* escaped; NULL: nothing */
int64_t review_number(const struct cof_json *o, const char *key); /* 0 where there is none */

#endif
