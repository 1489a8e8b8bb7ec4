/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/rules: what its files share. */
#ifndef COF_RULES_INTERNAL_H
#define COF_RULES_INTERNAL_H

#include "fs/rules/rules.h"

/* The numbers of enum cof_kind and enum cof_state, which this folder may not include (it stands on
 * base alone). A unit test compares them. */
enum { RULE_FILE = 1, RULE_DIR = 2, RULE_SYMLINK = 3 };
enum { RULE_OPEN = 0, RULE_COMMITTED = 1, RULE_EXPIRED = 2, RULE_DESTROYED = 3, RULE_REMOVED = 4 };

static inline bool rule_is_fixed(uint8_t state) /* never to change again */
{
	return state == RULE_COMMITTED || state == RULE_EXPIRED || state == RULE_DESTROYED;
}

static inline void rule_accept(struct cof_ruling *rl, enum cof_effect effect)
{
	*rl = (struct cof_ruling){.effect = effect, .rule = "allowed", .reason = "allowed"};
}

/* An attempt against what the archive promises: goes on record. */
static inline void rule_refuse(struct cof_ruling *rl, int error, const char *rule,
			       const char *reason)
{
	*rl = (struct cof_ruling){.error = error, .record = true, .rule = rule, .reason = reason};
}

/* A request that makes no sense, or that this filesystem does not have: an error, no event. */
static inline void rule_error(struct cof_ruling *rl, int error, const char *rule,
			      const char *reason)
{
	*rl = (struct cof_ruling){.error = error, .rule = rule, .reason = reason};
}

void rule_open(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_write(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_truncate(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_fallocate(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_chmod(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_chown(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_utimes(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_commit(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_xattr(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_mmap(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);
void rule_reflink(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl);

#endif
