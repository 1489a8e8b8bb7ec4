/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM road to an escrowed key (docs/escrow.md, docs/format.md 10.3): a file beside the archive with the key encrypted once more, to
 * a secret that the TPM of this machine gives to a quorum of custodians only, each of whom signs with a P-256 key of their own.
 */
#ifndef COFFER_TPM_ROAD_H
#define COFFER_TPM_ROAD_H

#include "crypto/age.h"
#include "crypto/quorum.h"
#include "tools/escrow-ledger.h"
#include "tools/escrow-take.h"

#define TPM_ROAD_ID 33

struct tpm_road { /* one file */
	char key[TPM_ROAD_ID], recipient[COF_AGE_RECIPIENT];
	struct cof_quorum quorum;
	struct cof_buf file; /* age */
};
void tpm_road_done(struct tpm_road *r);
int tpm_road_load(const char *path, struct tpm_road *ret, struct cof_diag *diag);

/* Who may open: [quorum] sets = alice bob, alice carol, … Their keys are those that the ledger's shelf has enrolled; where the INI
 * has [person alice] key = FILE (a public key, PEM, beside the INI), that has to be the same. */
int tpm_road_quorum(const char *path, const struct ledger *l, struct cof_quorum *ret, struct cof_diag *diag);
/* The key that was taken in, sealed to that quorum in the TPM at `where` (NULL: the device), as a new file. */
int tpm_road_make(const char *where, struct cof_quorum *q, const struct taking *take, const char *key, const char *path,
		  struct cof_diag *diag);

/*
 * A session of so many seconds. dir gets statement.json and message, new files; then NAME.sig of each custodian is looked for there
 * whenever a line comes from standard input, until a set has signed. to, release: told in the statement. identity: secure memory.
 */
struct tpm_road_asking {
	const char *where, *dir, *to;
	uint64_t release;
	uint32_t seconds;
	const struct ledger *ledger; /* whose keys count */
};
int tpm_road_open(const struct tpm_road *r, const struct tpm_road_asking *a, uint8_t identity[COF_AGE_KEY], struct cof_diag *diag);

/* What a custodian reads before signing: the statement is held against itself, shown, and the 100 bytes written to a new file. */
int tpm_road_show(const char *statement, const char *output, struct cof_diag *diag);

#endif
