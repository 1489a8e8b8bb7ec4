/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/s3: an archive comes back. */
#ifndef COFFER_S3_FETCH_H
#define COFFER_S3_FETCH_H

#include "tools/s3/items.h"
#include "tools/vault/vault.h"

#define FETCH_HEADS 8u /* that are signed, and are tried */

struct fetch_turn { /* where the copy stood when an object was chosen to go on with */
	uint64_t size, address;
	size_t tried; /* the one that was chosen last; SIZE_MAX: none yet */
	bool misled;  /* one could be read, and did not go on: what led here may be wrong */
};
struct fetch {
	struct s3 *s;
	const struct s3_fetching *p;
	struct s3_fetched *ret;
	char root[S3_KEY_MAX];
	struct s3_item *item; /* past: cannot be read, or is not what its name says */
	size_t n, room;
	struct cof_conf conf;
	struct vault_copy *copy;
	struct fetch_turn *turn; /* behind what is proven */
	size_t turns, turn_room;
	unsigned wrong;		 /* objects that were tried in vain */
	struct cof_checkpoint tried[FETCH_HEADS];
	unsigned n_tried;
	uint64_t begun; /* bytes that were there from an earlier run */
	struct cof_diag *diag;
};
void fetch_tell(struct fetch *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* May be had of another version, or done without. */
bool fetch_passable(int r);
/* fetch-log.c: what is missing of a head that vault_copy_head was told of. end: where it says that it ends, for who waits only.
 * -EBADMSG: it cannot be had. */
int fetch_log(struct fetch *f, const struct cof_checkpoint *head, uint64_t end);

#endif
