/* SPDX-License-Identifier: Apache-2.0 */
/* What else may lead to the content of destroyed files: each copy and opener with what is known of it. */
#ifndef COFFER_DESTROY_COPIES_H
#define COFFER_DESTROY_COPIES_H

#include "tools/escrow-ledger.h"
#include "tools/people.h"

struct destruction {
	struct people_asking ask;
	bool tpm_physical;  /* as who asks says */
	uint64_t sequence, certified; /* of the DESTROY frames' event, and of the newest certificate; 0: not yet */
	const char *request; /* hex; NULL: nothing is destroyed yet */
	uint64_t *ino;	     /* what is, or would be, destroyed */
	size_t n;
	struct ledger ledger;
	struct cof_json *done;	   /* the event of the destruction; NULL: none */
	struct cof_json *vaults;   /* events of vaults: enrolled, released, punctured, retired */
	struct cof_json *listed;   /* names of vaults that copies has */
	uint64_t envelope_renewed; /* sequence; 0: never */
	struct cof_json *disclosures; /* events: keys of files that were given away in evidence bundles */
	struct cof_json *copies;   /* kind, name, verdict (PASS, FAILED, UNKNOWN), why, open */
	size_t keys;		   /* of escrow among the files */
};
/* The events of the archive, once. */
int destruction_look(struct destruction *d, struct cof_diag *diag);
/* Fills copies. ino is there. */
int destruction_list(struct destruction *d, struct cof_diag *diag);
void destruction_done(struct destruction *d);
int destruction_add_ino(struct destruction *d, uint64_t ino);

#endif
