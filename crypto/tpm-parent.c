/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage key and sessions salted with it.
 *
 * A session is only as good as the key that its salt is encrypted to: whoever sits on the bus could
 * offer one of their own. So the key's public area is hashed here, the hash compared with the name
 * that was noted when the seal was made, and tss2's own copy of the key has to hold exactly these
 * bytes. (When a seal is made there is nothing to compare with yet: trust on first use; said in
 * SECURITY.md.)
 */
#include <stdio.h>

#include "crypto/tpm-private.h"

/* The standard ECC storage key: TCG TPM v2.0 Provisioning Guidance, 7.5.1, over the L-2 template. */
static const TPM2B_PUBLIC srk_template = {
    .publicArea = {
	.type = TPM2_ALG_ECC,
	.nameAlg = TPM2_ALG_SHA256,
	.objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |
			    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
			    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA,
	.parameters.eccDetail = {
	    .symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
	    .scheme.scheme = TPM2_ALG_NULL,
	    .curveID = TPM2_ECC_NIST_P256,
	    .kdf.scheme = TPM2_ALG_NULL,
	},
	.unique.ecc = {.x.size = 32, .y.size = 32},
    }};

/* Name of a public area, and whether tss2's object of it holds the same area. */
static int name_of(struct cof_tpm *t, ESYS_TR tr, const TPM2B_PUBLIC *public_area,
		   uint8_t ret[COF_TPM_NAME], struct cof_diag *diag)
{
	uint8_t area[sizeof(TPMT_PUBLIC)], *own = NULL;
	size_t n = 0, own_n = 0;
	bool same;
	TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&public_area->publicArea, area, sizeof(area), &n);

	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TR_Serialize(t->esys, tr, &own, &own_n);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "its storage key cannot be read", diag);
	same = memmem(own, own_n, area, n) != NULL;
	Esys_Free(own);
	if (!same || public_area->publicArea.nameAlg != TPM2_ALG_SHA256)
		return cof_tpm_because(t, COF_TPM_ALTERED, diag,
				       "the TPM at %s shows two different storage keys: something "
				       "between this program and the TPM alters its answers",
				       t->where);
	ret[0] = TPM2_ALG_SHA256 >> 8;
	ret[1] = TPM2_ALG_SHA256 & 0xff;
	cof_sha256(area, n, ret + 2);
	return 0;
}

static int make_primary(struct cof_tpm *t, ESYS_TR hierarchy, ESYS_TR *ret,
			uint8_t ret_name[COF_TPM_NAME], struct cof_diag *diag)
{
	TPM2B_SENSITIVE_CREATE sensitive = {0};
	TPM2B_DATA outside = {0};
	TPML_PCR_SELECTION pcrs = {0};
	TPM2B_PUBLIC *public_area = NULL;
	ESYS_TR tr = ESYS_TR_NONE;
	TSS2_RC rc =
	    Esys_CreatePrimary(t->esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			       &sensitive, &srk_template, &outside, &pcrs, &tr, &public_area, NULL,
			       NULL, NULL);
	int r;

	if (cof_tpm_is(rc, TPM2_RC_BAD_AUTH) || cof_tpm_is(rc, TPM2_RC_AUTH_FAIL))
		return cof_tpm_because(
		    t, COF_TPM_OWNER, diag,
		    "the TPM at %s has a password on its %s hierarchy, so that no storage key can "
		    "be made: keep one at 0x81000001 (tpm2_createprimary -C o -G ecc -c srk.ctx && "
		    "tpm2_evictcontrol -c srk.ctx 0x81000001)",
		    t->where, hierarchy == ESYS_TR_RH_OWNER ? "owner" : "endorsement");
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "its storage key cannot be made", diag);
	cof_tpm_hold(t, tr, true);
	r = name_of(t, tr, public_area, ret_name, diag);
	Esys_Free(public_area);
	if (r == 0)
		*ret = tr;
	return r;
}

/* -ENOENT without a word: there is none. */
static int find_persistent(struct cof_tpm *t, uint32_t handle, struct cof_tpm_parent *ret,
			   struct cof_diag *diag)
{
	TPM2B_PUBLIC *public_area = NULL;
	ESYS_TR tr = ESYS_TR_NONE;
	TSS2_RC rc = Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					   &tr);
	int r;

	if (cof_tpm_is(rc, TPM2_RC_HANDLE))
		return -ENOENT;
	if (rc == TSS2_RC_SUCCESS) {
		cof_tpm_hold(t, tr, false);
		rc = Esys_ReadPublic(t->esys, tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
				     &public_area, NULL, NULL);
	}
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "its storage key cannot be read", diag);
	r = name_of(t, tr, public_area, ret->name, diag);
	if (r == 0) {
		ret->tr = tr;
		ret->handle = handle;
	}
	Esys_Free(public_area);
	return r;
}

int cof_tpm_identity(struct cof_tpm *t, uint8_t ret[COF_TPM_NAME], struct cof_diag *diag)
{
	ESYS_TR tr = ESYS_TR_NONE;
	int r = make_primary(t, ESYS_TR_RH_ENDORSEMENT, &tr, ret, diag);

	if (r == 0)
		cof_tpm_release(t, tr);
	return r;
}

/* The storage key is not the one that was noted: why? */
static int not_the_one(struct cof_tpm *t, const struct cof_tpm_sealed *expected,
		       struct cof_diag *diag)
{
	uint8_t identity[COF_TPM_NAME];
	int r = cof_tpm_identity(t, identity, diag);

	if (r < 0)
		return r;
	if (!memcmp(identity, expected->identity, sizeof(identity)))
		return cof_tpm_because(
		    t, COF_TPM_CLEARED, diag,
		    "the TPM at %s was cleared since this seal was made (or its storage key at "
		    "0x%08x was replaced): what it sealed cannot be opened any more; open the archive "
		    "with another of its openers, or: coffer recover STORE",
		    t->where, expected->parent ? expected->parent : COF_TPM_SRK);
	return cof_tpm_because(t, COF_TPM_EXCHANGED, diag,
			       "the TPM at %s is not the one that this seal was made with: put that "
			       "one back (or the disk into its machine), open the archive with "
			       "another of its openers, or: coffer recover STORE",
			       t->where);
}

int cof_tpm_parent_get(struct cof_tpm *t, const struct cof_tpm_sealed *expected,
		       struct cof_tpm_parent *ret, struct cof_diag *diag)
{
	struct cof_tpm_parent p = {0};
	int r = -ENOENT;

	if (!expected || expected->parent)
		r = find_persistent(t, expected ? expected->parent : COF_TPM_SRK, &p, diag);
	if (r == -ENOENT) /* one that was made persistent and is so no more can be made again */
		r = make_primary(t, ESYS_TR_RH_OWNER, &p.tr, p.name, diag);
	if (r < 0)
		return r;
	if (expected && memcmp(p.name, expected->parent_name, sizeof(p.name)))
		return not_the_one(t, expected, diag);
	*ret = p;
	return 0;
}

int cof_tpm_session_crypt(struct cof_tpm *t, ESYS_TR session, bool there, bool back,
			  struct cof_diag *diag)
{
	TPMA_SESSION flags = TPMA_SESSION_CONTINUESESSION;

	flags |= there ? TPMA_SESSION_DECRYPT : 0;
	flags |= back ? TPMA_SESSION_ENCRYPT : 0;
	return cof_tpm_rc(t, Esys_TRSess_SetAttributes(t->esys, session, flags, 0xff),
			  "its session cannot be set up", diag);
}

int cof_tpm_session(struct cof_tpm *t, const struct cof_tpm_parent *parent, TPM2_SE type,
		    ESYS_TR *ret, struct cof_diag *diag)
{
	TPMT_SYM_DEF sym = {
	    .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
	ESYS_TR session = ESYS_TR_NONE;
	TSS2_RC rc = Esys_StartAuthSession(t->esys, parent->tr, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, ESYS_TR_NONE, NULL, type, &sym,
					   TPM2_ALG_SHA256, &session);
	int r;

	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "a session cannot be started", diag);
	cof_tpm_hold(t, session, true);
	r = cof_tpm_session_crypt(t, session, false, false, diag);
	if (r == 0)
		*ret = session;
	return r;
}
