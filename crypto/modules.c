/* SPDX-License-Identifier: Apache-2.0 */
/* The modules that do cryptography here, and what state they are in. */
#include <stdio.h>

#include "crypto/private.h"

static void own(bool again, struct cof_module *m)
{
	struct cof_diag why = {""};

	m->ok = !again || cof_crypto_selftest(&why) == 0;
	snprintf(m->name, sizeof(m->name), "coffer");
	snprintf(m->version, sizeof(m->version), "%s", COF_VERSION);
	snprintf(m->status, sizeof(m->status), "%.120s", m->ok ? "known answers right" : why.text);
}

static void libgcrypt(bool again, struct cof_module *m)
{
	bool fips = gcry_fips_mode_active();

	m->ok = !again || gcry_control(GCRYCTL_SELFTEST, 0) == 0;
	snprintf(m->name, sizeof(m->name), "libgcrypt");
	snprintf(m->version, sizeof(m->version), "%s", gcry_check_version(NULL));
	snprintf(m->status, sizeof(m->status), "self-tests %s, %s", m->ok ? "passed" : "FAILED",
		 fips ? "FIPS mode" : "not in FIPS mode");
}

/* Talks to the TPM, and computes with OpenSSL's library what a session needs. */
static void tss2(struct cof_module *m)
{
	m->ok = true;
	snprintf(m->name, sizeof(m->name), "tpm2-tss");
	snprintf(m->version, sizeof(m->version), "%s", COFFER_TSS2);
	snprintf(m->status, sizeof(m->status), "has no self-tests; the TPM has its own");
}

void cof_crypto_modules(bool again, struct cof_module ret[COF_MODULES])
{
	own(again, &ret[0]);
	libgcrypt(again, &ret[1]);
	tss2(&ret[2]);
}
