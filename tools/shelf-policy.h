/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy from a file and from options that say single keys. */
#ifndef COFFER_SHELF_POLICY_H
#define COFFER_SHELF_POLICY_H

#include "fs/rules/rules.h"

enum policy_key { /* in the order of policy_keys */
		  KEY_RETENTION,
		  KEY_RETENTION_MIN,
		  KEY_RETENTION_MAX,
		  KEY_STRICT,
		  KEY_AUTOCOMMIT,
		  KEY_DURABILITY,
		  KEY_REFUSE,
		  KEY_QUOTA,
		  KEY_QUOTA_FILES,
		  KEY_STAGING,
		  KEY_RECORD_KIND,
		  KEY_MODE,
		  KEY_COOLING_OFF,
		  KEY_RETAIN_EVENT,
		  KEY_RETAIN_FOLLOWS,
		  KEY_CERTIFICATES,
		  KEY_RETAIN_MARGIN,
		  KEY_READ_EVENTS,
		  KEY_SILENCE,
		  KEY_LEAK_GUARD,
		  KEY_APPROVE_HOLD_END,
		  KEY_APPROVE_REMOVE,
		  KEY_APPROVE_RETENTION_END,
		  KEY_APPROVE_POLICY,
		  KEY_APPROVE_ESCROW,
		  KEY_REMOVE,
		  KEY_RELEASE_DELAY,
		  KEY_COUNT,
};
extern const char *const policy_keys[KEY_COUNT];

struct policy_args {
	const char *file;             /* or NULL */
	const char *value[KEY_COUNT]; /* what an option says, or NULL */
};
static inline bool policy_given(const struct policy_args *a)
{
	bool given = a->file != NULL;

	for (int k = 0; k < KEY_COUNT; k++)
		given |= a->value[k] != NULL;
	return given;
}

/* The text of a file of policy; -errno with a sentence that names it. */
int policy_load(const char *file, struct cof_buf *ret, struct cof_diag *diag);
/* base (may be NULL) is where keys come from that nothing else says: the file if one is given. ret:
 * canonical. */
int policy_make(const struct policy_args *a, const char *base, struct cof_buf *ret,
		struct cof_diag *diag);

#endif
