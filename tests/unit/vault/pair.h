/* SPDX-License-Identifier: Apache-2.0 */
/* A host and a vault, each on a simulated disk, with a line between them that can be cut or lie. */
#ifndef TEST_VAULT_PAIR_H
#define TEST_VAULT_PAIR_H

#include "../log/world.h"
#include "tools/vault/internal.h"

struct line {	      /* from the host to the vault */
	uint64_t cut; /* after so many bytes; 0: never */
	uint64_t flip; /* this byte (from 1 on) arrives changed; 0: none */
	uint64_t bytes; /* that the host sent */
	uint64_t cut_back, bytes_back; /* the same of what the vault says */
	uint64_t *boundary, *boundary_back; /* where messages end, at most LINE_MESSAGES; may be NULL */
	unsigned n_boundary, n_back;
};
#define LINE_MESSAGES 64u

struct far { /* the vault */
	struct cof_sim *sim;
	struct cof_io *io;
	uint64_t quota;
	uint64_t time; /* of the next cosignature, seconds */
	bool lists;    /* what it signs, in the file `list`: the time, a line each */
	struct cof_file *list;
	struct cof_vkey vkey;
	uint8_t seed[32];
	int err; /* of the last session */
	struct cof_diag diag;
	unsigned refused; /* what it told of: stale or fork */
	bool looks;	  /* at what is known of its copy once a session went well: */
	struct cof_known known, found; /* as it came, and as the log has it; of size 0: not */
	struct line *line;
};

void far_begin(struct far *f, const struct world *w);
void far_end(struct far *f);
/* One session of a world's newest checkpoint: what vault_send_log gave. A vault that cannot open its copy: -ENOLINK. */
int far_sync(struct far *f, struct cof_io *from, struct line *line, struct vault_sent *ret, struct cof_diag *diag);
/* Verifies the copy as any store: its verdict; *ret may be NULL. */
enum cof_verdict far_verify(struct far *f, struct cof_verified *ret);
/* The finished head's size, by opening the copy. */
uint64_t far_head(struct far *f);

#endif
