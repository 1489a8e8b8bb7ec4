/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM road by the records of its shelf: whose keys count, and what was ended. Pure. */
#ifndef COFFER_ESCROW_TPM_H
#define COFFER_ESCROW_TPM_H

#include "crypto/quorum.h"
#include "tools/escrow-ledger.h"

/* SHA-256 of a P-256 key's SubjectPublicKeyInfo, in hexadecimal, as its record has it. */
void escrow_tpm_digest(const uint8_t point[COF_P256_POINT], char ret[2 * COF_HASH + 1]);
/* The key that is enrolled for this custodian, by the newest record that was approved. False: none is, or it was revoked. */
bool escrow_tpm_key(const struct ledger *l, const char *name, uint8_t ret[COF_P256_POINT]);
/* Whether a person of a quorum signs with the key that is enrolled now. */
bool escrow_tpm_counts(const struct ledger *l, const struct cof_quorum_person *p);
/* One object for each custodian with a key: kind "tpm-key", name, state (enrolled, revoked), since, public_key. */
int escrow_tpm_list(const struct ledger *l, struct cof_json *ret_list);
/* The approved record by which what this opens is to end, borrowed; NULL: there is none. */
const struct cof_json *escrow_tpm_ended(const struct ledger *l, const struct cof_quorum *q);
bool escrow_tpm_raised(const struct ledger *l, const struct cof_json *ended); /* and was carried out */

#endif
