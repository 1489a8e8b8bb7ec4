/* SPDX-License-Identifier: Apache-2.0 */
/* Private to apply.c and what stands beside it: the frame being applied, in parts. */
#ifndef COF_ARCHIVE_APPLY_H
#define COF_ARCHIVE_APPLY_H

#include "fs/archive/internal.h"

struct cof_parts {
	struct cof_archive *a;
	const struct cof_frame *f;
	uint64_t address;
	const uint8_t *public_part, *private_part;
	size_t public_len, private_len;
};

/* ---- apply-hold.c ---- */

int cof_apply_hold(const struct cof_parts *p, const struct cof_applied *on);
/* CREATE, RENAME: the holds that the frame's public part says go with the inode. */
int cof_apply_held(const struct cof_parts *p, struct cof_node *n);
/* COMMIT: mode, cooling-off, event and what certificates demand. */
int cof_apply_binding(const struct cof_parts *p, struct cof_node *n);
/* EXTEND: an event to wait for, or its declaration. */
int cof_apply_event(const struct cof_parts *p, struct cof_node *n);
/* EXTEND: an earlier end, by approval; and what it does. */
bool cof_is_ended(const struct cof_parts *p);
void cof_apply_end(struct cof_node *n, int64_t until);

#endif
