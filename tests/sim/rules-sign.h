/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of the simulation's people: in the form that OpenSSH gives them, but what stands in the place of the
 * signature proper is a hash, so that ten thousand of them cost nothing and are the same for each seed.
 */
#ifndef COF_TEST_RULES_SIGN_H
#define COF_TEST_RULES_SIGN_H

#include "fs/rules/approve.h"

#define SIGN_PERSONS 7
extern const char *const sign_name[SIGN_PERSONS];

void sign_public(unsigned who, char out[128]); /* "ssh-ed25519 AAAA…" */
/* False signatures are over something else. */
void sign_document(unsigned who, const char *purpose, const void *doc, size_t n, bool good, struct cof_buf *armored);
/* Of type cof_verify_signature. */
int sign_verify(void *user, const struct cof_signature *s, struct cof_diag *diag);

#endif
