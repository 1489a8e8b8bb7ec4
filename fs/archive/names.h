/* SPDX-License-Identifier: Apache-2.0 */
/* Private to names.c and names-rename.c: a request about names, under the exclusive tree lock. */
#ifndef COF_ARCHIVE_NAMES_H
#define COF_ARCHIVE_NAMES_H

#include "fs/archive/internal.h"

struct naming { /* one request */
	struct cof_archive *a;
	const struct cof_who *who;
	struct cof_op op; /* ino and target_ino filled in */
	struct cof_reply *reply;
	struct cof_ruling *rl;
	struct cof_buf public_part; /* of the frame to be: holds that go with it, the request that it carries out */
};

int cof_naming_check(const char *name); /* -EINVAL, -ENAMETOOLONG: no name that there can be */
/* As the index has it. -ENOENT */
int cof_naming_lookup(struct cof_archive *a, uint64_t dir, const char *name, uint64_t *ret);
/* Objects, held until cof_obj_put: a directory, or -ENOTDIR; what that name stands for, or -ENOENT. */
int cof_naming_dir(struct cof_archive *a, uint64_t ino, struct cof_obj **ret);
int cof_naming_named(struct cof_archive *a, uint64_t dir, const char *name, uint64_t ino, struct cof_obj **ret);
/* The frame, written and applied; its public part is n->public_part. */
int cof_naming_put(struct naming *n, uint8_t type, uint64_t object, const struct cof_buf *fields,
		   const struct cof_applied *on);
/* Holds that go with a place: added to ids, and set as the frame's public field. */
int cof_naming_inherit_holds(struct naming *n, struct cof_obj *from, struct cof_buf *ids);
void cof_naming_put_holds(struct naming *n, const struct cof_buf *ids);

int cof_do_rename(struct naming *n); /* names-rename.c */

#endif
