/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NV indices: counters, and a small store that only the bearer of its authorisation reads.
 *
 * A counter proves something only if its index is a counter: an ordinary index that root defined in
 * its place can hold any number. So attributes and size of the public area are checked at each use
 * (and the policy of a sealed object holds the index's name, which is their hash).
 */
#include <stdio.h>

#include "crypto/tpm-private.h"

#define INDEX_FIRST 0x01800000u /* the owner's range: TCG registry of reserved handles, 2.2.2 */
#define INDEX_MASK 0x003fffffu
#define STORE_MAX 128

#define COUNTER_FLAGS                                                                              \
	(TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | TPMA_NV_NO_DA | \
	 (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT))
#define STORE_FLAGS (TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA)

static uint32_t counter_flags(enum cof_tpm_counter_kind kind)
{
	return COUNTER_FLAGS | (kind == COF_TPM_ORDERLY ? TPMA_NV_ORDERLY : 0u);
}

/* Parent and an HMAC session: what every command here begins with. */
static int begin(struct cof_tpm *t, ESYS_TR *ret_session, struct cof_diag *diag)
{
	struct cof_tpm_parent parent;
	int r = cof_tpm_parent_get(t, NULL, &parent, diag);

	return r < 0 ? r : cof_tpm_session(t, &parent, TPM2_SE_HMAC, ret_session, diag);
}

/* The index as it is; -ENOENT with the cause NO_INDEX. */
static int find(struct cof_tpm *t, uint32_t index, ESYS_TR *ret, TPMS_NV_PUBLIC *ret_public,
		struct cof_diag *diag)
{
	TPM2B_NV_PUBLIC *public_area = NULL;
	ESYS_TR nv = ESYS_TR_NONE;
	TSS2_RC rc =
	    Esys_TR_FromTPMPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv);

	if (rc == TSS2_RC_SUCCESS) {
		cof_tpm_hold(t, nv, false);
		rc = Esys_NV_ReadPublic(t->esys, nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					&public_area, NULL);
	}
	if (cof_tpm_is(rc, TPM2_RC_HANDLE))
		return cof_tpm_because(
		    t, COF_TPM_NO_INDEX, diag,
		    "the TPM at %s has no NV index 0x%08x: it was removed, the TPM was cleared, or it is another "
		    "TPM. If it is another one, put the archive's own back; else what was sealed with it is "
		    "dead, and if nobody can say why, treat the host as compromised: coffer recover STORE",
		    t->where, index);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "an NV index cannot be read", diag);
	*ret_public = public_area->nvPublic;
	Esys_Free(public_area);
	*ret = nv;
	return 0;
}

static int check_form(struct cof_tpm *t, const TPMS_NV_PUBLIC *p, uint32_t index, uint32_t flags,
		      size_t size, bool *ret_written, struct cof_diag *diag)
{
	if (p->nvIndex != index || p->nameAlg != TPM2_ALG_SHA256 || p->dataSize != size ||
	    p->authPolicy.size || (p->attributes & ~TPMA_NV_WRITTEN) != flags)
		return cof_tpm_because(
		    t, COF_TPM_FOREIGN, diag,
		    "NV index 0x%08x of the TPM at %s is not what was defined there (%u bytes, "
		    "attributes 0x%x): somebody put another in its place; treat the host as "
		    "compromised: coffer recover STORE",
		    index, t->where, p->dataSize, p->attributes);
	*ret_written = p->attributes & TPMA_NV_WRITTEN;
	return 0;
}

/* ---- a free index ---- */

struct free_args {
	uint32_t start;
	uint32_t *ret;
};

static int free_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct free_args *a = arg;

	for (uint32_t i = 0; i < 64; i++) {
		uint32_t index = INDEX_FIRST | ((a->start + i) & INDEX_MASK);
		ESYS_TR nv = ESYS_TR_NONE;
		TSS2_RC rc = Esys_TR_FromTPMPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE,
						   ESYS_TR_NONE, &nv);

		if (cof_tpm_is(rc, TPM2_RC_HANDLE)) {
			*a->ret = index;
			return 0;
		}
		if (rc != TSS2_RC_SUCCESS)
			return cof_tpm_rc(t, rc, "its NV indices cannot be read", diag);
		rc = Esys_TR_Close(t->esys, &nv);
		if (rc != TSS2_RC_SUCCESS)
			return cof_tpm_rc(t, rc, "its NV indices cannot be read", diag);
	}
	return cof_tpm_because(t, COF_TPM_FULL, diag, "64 NV indices in a row are taken in the TPM at %s",
			       t->where);
}

int cof_tpm_index_free(struct cof_tpm *t, const uint8_t seed[16], uint32_t *ret_index,
		       struct cof_diag *diag)
{
	struct free_args a = {cof_get_le32(seed), ret_index};

	return cof_tpm_round(t, free_round, &a, true, diag);
}

/* ---- all that look like ours ---- */

struct list_args {
	uint32_t start;
	struct cof_tpm_index *ret;
	size_t n;
};

static bool of_our_form(const TPMS_NV_PUBLIC *p, enum cof_tpm_index_kind *ret)
{
	uint32_t flags = p->attributes & ~TPMA_NV_WRITTEN;

	if (p->nameAlg != TPM2_ALG_SHA256 || p->authPolicy.size)
		return false;
	*ret = flags == counter_flags(COF_TPM_NORMAL)	 ? COF_TPM_INDEX_NORMAL
	       : flags == counter_flags(COF_TPM_ORDERLY) ? COF_TPM_INDEX_ORDERLY
							 : COF_TPM_INDEX_STORE;
	return *ret == COF_TPM_INDEX_STORE ? flags == STORE_FLAGS && p->dataSize <= STORE_MAX : p->dataSize == 8;
}

static int list_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct list_args *a = arg;

	a->n = 0;
	for (uint32_t i = 0; i < COF_TPM_INDEX_RANGE; i++) {
		struct cof_tpm_index *at = &a->ret[a->n];
		TPMS_NV_PUBLIC public_area = {0};
		ESYS_TR nv = ESYS_TR_NONE;
		int r;

		at->index = INDEX_FIRST | ((a->start + i) & INDEX_MASK);
		r = find(t, at->index, &nv, &public_area, diag);
		if (r == 0) {
			cof_tpm_release(t, nv);
			a->n += of_our_form(&public_area, &at->kind);
		} else if (t->cause != COF_TPM_NO_INDEX) {
			return r;
		}
		t->cause = COF_TPM_OK;
	}
	return 0;
}

int cof_tpm_index_list(struct cof_tpm *t, const uint8_t seed[16], struct cof_tpm_index ret[COF_TPM_INDEX_RANGE],
		       size_t *ret_n, struct cof_diag *diag)
{
	struct list_args a = {.start = cof_get_le32(seed), .ret = ret};
	struct cof_diag said = {""};
	int r = cof_tpm_round(t, list_round, &a, true, &said);

	if (r < 0)
		return cof_fail(diag, r, "%s", said.text);
	*ret_n = a.n;
	return 0;
}

/* ---- defining ---- */

static int define(struct cof_tpm *t, ESYS_TR session, uint32_t index, uint32_t flags, size_t size,
		  const uint8_t *auth, ESYS_TR *ret, struct cof_diag *diag)
{
	TPM2B_NV_PUBLIC public_area = {.nvPublic = {.nvIndex = index,
						    .nameAlg = TPM2_ALG_SHA256,
						    .attributes = flags,
						    .dataSize = (uint16_t)size}};
	TPM2B_AUTH value = {0};
	ESYS_TR nv = ESYS_TR_NONE;
	TSS2_RC rc;
	int r;

	if (auth) {
		value.size = COF_TPM_AUTH;
		memcpy(value.buffer, auth, COF_TPM_AUTH);
	}
	r = cof_tpm_session_crypt(t, session, true, false, diag);
	if (r < 0)
		return r;
	rc = Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, session, ESYS_TR_NONE, ESYS_TR_NONE,
				 &value, &public_area, &nv);
	cof_wipe(&value, sizeof(value));
	if (cof_tpm_is(rc, TPM2_RC_BAD_AUTH) || cof_tpm_is(rc, TPM2_RC_AUTH_FAIL))
		return cof_tpm_because(t, COF_TPM_OWNER, diag,
				       "the TPM at %s has a password on its owner hierarchy, so that "
				       "no NV index can be defined: empty it for this command "
				       "(tpm2_changeauth -c owner -p PASSWORD), and set it again after",
				       t->where);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "an NV index cannot be defined", diag);
	cof_tpm_hold(t, nv, false);
	*ret = nv;
	return 0;
}

struct counter_args {
	uint32_t index;
	enum cof_tpm_counter_kind kind;
	uint64_t target, *ret_value;
};

static int read_value(struct cof_tpm *t, ESYS_TR session, ESYS_TR nv, uint64_t *ret,
		      struct cof_diag *diag)
{
	TPM2B_MAX_NV_BUFFER *data = NULL;
	int r = cof_tpm_session_crypt(t, session, false, true, diag);
	TSS2_RC rc;

	if (r < 0)
		return r;
	rc = Esys_NV_Read(t->esys, nv, nv, session, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0, &data);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "the counter cannot be read", diag);
	if (data->size == 8)
		*ret = cof_get_be64(data->buffer);
	else
		r = cof_tpm_because(t, COF_TPM_ALTERED, diag,
				    "the TPM at %s answered with a counter of %u bytes", t->where,
				    data->size);
	Esys_Free(data);
	return r;
}

static int increment(struct cof_tpm *t, ESYS_TR session, ESYS_TR nv, struct cof_diag *diag)
{
	int r = cof_tpm_session_crypt(t, session, false, false, diag);

	return r < 0 ? r
		     : cof_tpm_rc(t,
				  Esys_NV_Increment(t->esys, nv, nv, session, ESYS_TR_NONE,
						    ESYS_TR_NONE),
				  "the counter cannot be raised", diag);
}

static int define_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct counter_args *a = arg;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = begin(t, &session, diag);

	if (r == 0)
		r = define(t, session, a->index, counter_flags(a->kind), 8, NULL, &nv, diag);
	if (r < 0)
		return r;
	r = increment(t, session, nv, diag);
	return r < 0 ? r : read_value(t, session, nv, a->ret_value, diag);
}

int cof_tpm_counter_define(struct cof_tpm *t, uint32_t index, enum cof_tpm_counter_kind kind,
			   uint64_t *ret_value, struct cof_diag *diag)
{
	struct counter_args a = {.index = index, .kind = kind, .ret_value = ret_value};

	return cof_tpm_round(t, define_round, &a, false, diag);
}

/* ---- reading and raising ---- */

int cof_tpm_counter_get(struct cof_tpm *t, ESYS_TR session, uint32_t index,
			enum cof_tpm_counter_kind kind, ESYS_TR *ret, uint64_t *ret_value,
			struct cof_diag *diag)
{
	TPMS_NV_PUBLIC public_area = {0};
	bool written = false;
	int r = find(t, index, ret, &public_area, diag);

	if (r == 0)
		r = check_form(t, &public_area, index, counter_flags(kind), 8, &written, diag);
	if (r < 0)
		return r;
	if (!written) /* ours is, since it was defined: this one was put in its place */
		return cof_tpm_because(t, COF_TPM_NO_INDEX, diag,
				       "the counter 0x%08x of the TPM at %s was removed and defined "
				       "anew: what was sealed with it is dead; treat the host as "
				       "compromised: coffer recover STORE",
				       index, t->where);
	return read_value(t, session, *ret, ret_value, diag);
}

static int read_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct counter_args *a = arg;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = begin(t, &session, diag);

	return r < 0 ? r
		     : cof_tpm_counter_get(t, session, a->index, a->kind, &nv, a->ret_value, diag);
}

int cof_tpm_counter_read(struct cof_tpm *t, uint32_t index, enum cof_tpm_counter_kind kind,
			 uint64_t *ret_value, struct cof_diag *diag)
{
	struct counter_args a = {.index = index, .kind = kind, .ret_value = ret_value};

	return cof_tpm_round(t, read_round, &a, true, diag);
}

static int raise_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct counter_args *a = arg;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = begin(t, &session, diag);

	if (r == 0)
		r = cof_tpm_counter_get(t, session, a->index, a->kind, &nv, a->ret_value, diag);
	if (r < 0 || *a->ret_value == a->target)
		return r;
	if (*a->ret_value != a->target - 1)
		return cof_tpm_because(t, COF_TPM_COUNTER, diag,
				       "the counter 0x%08x of the TPM at %s is %llu and cannot become "
				       "%llu: somebody else raised it, or this store is an old copy",
				       a->index, t->where, (unsigned long long)*a->ret_value,
				       (unsigned long long)a->target);
	r = increment(t, session, nv, diag);
	return r < 0 ? r : read_value(t, session, nv, a->ret_value, diag);
}

int cof_tpm_counter_raise(struct cof_tpm *t, uint32_t index, enum cof_tpm_counter_kind kind,
			  uint64_t target, uint64_t *ret_value, struct cof_diag *diag)
{
	uint64_t value = 0;
	struct counter_args a = {index, kind, target, &value};
	int r = cof_tpm_round(t, raise_round, &a, true, diag);

	if (ret_value && (r == 0 || r == -ESTALE))
		*ret_value = value;
	if (r == 0 && value != target)
		r = cof_tpm_because(t, COF_TPM_COUNTER, diag,
				    "the counter 0x%08x of the TPM at %s was raised by somebody else in "
				    "the same moment",
				    index, t->where);
	return r;
}

/* ---- removing ---- */

static int undefine_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	uint32_t index = *(uint32_t *)arg;
	TPMS_NV_PUBLIC public_area = {0};
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = begin(t, &session, diag);

	if (r == 0)
		r = find(t, index, &nv, &public_area, diag);
	if (r < 0)
		return r;
	return cof_tpm_rc(t,
			  Esys_NV_UndefineSpace(t->esys, ESYS_TR_RH_OWNER, nv, session, ESYS_TR_NONE,
						ESYS_TR_NONE),
			  "an NV index cannot be removed", diag);
}

int cof_tpm_undefine(struct cof_tpm *t, uint32_t index, struct cof_diag *diag)
{
	return cof_tpm_round(t, undefine_round, &index, false, diag);
}

/* ---- the store ---- */

struct store_args {
	uint32_t index;
	const uint8_t *auth;
	const void *in;
	void *out;
	size_t n;
};

static int store_get(struct cof_tpm *t, struct store_args *a, ESYS_TR *ret_session, ESYS_TR *ret_nv,
		     bool *ret_written, struct cof_diag *diag)
{
	TPM2B_AUTH auth = {.size = COF_TPM_AUTH};
	TPMS_NV_PUBLIC public_area = {0};
	TSS2_RC rc;
	int r = begin(t, ret_session, diag);

	if (r == 0)
		r = find(t, a->index, ret_nv, &public_area, diag);
	if (r == 0)
		r = check_form(t, &public_area, a->index, STORE_FLAGS, a->n, ret_written, diag);
	if (r < 0)
		return r;
	memcpy(auth.buffer, a->auth, COF_TPM_AUTH);
	rc = Esys_TR_SetAuth(t->esys, *ret_nv, &auth);
	cof_wipe(&auth, sizeof(auth));
	return cof_tpm_rc(t, rc, "an authorisation cannot be set", diag);
}

/* Wrong authorisation: the index was put there by somebody who does not know ours. */
static int store_rc(struct cof_tpm *t, TSS2_RC rc, uint32_t index, const char *what,
		    struct cof_diag *diag)
{
	if (cof_tpm_is(rc, TPM2_RC_BAD_AUTH) || cof_tpm_is(rc, TPM2_RC_AUTH_FAIL))
		return cof_tpm_because(t, COF_TPM_FOREIGN, diag,
				       "NV index 0x%08x of the TPM at %s is not the archive's: somebody "
				       "put another in its place; treat the host as compromised: coffer "
				       "recover STORE",
				       index, t->where);
	return cof_tpm_rc(t, rc, what, diag);
}

static void forget_auth(struct cof_tpm *t, ESYS_TR nv)
{
	static const TPM2B_AUTH zero = {.size = COF_TPM_AUTH};

	(void)Esys_TR_SetAuth(t->esys, nv, &zero); /* overwrites tss2's copy */
}

static int store_define_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct store_args *a = arg;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = begin(t, &session, diag);

	if (r == 0)
		r = define(t, session, a->index, STORE_FLAGS, a->n, a->auth, &nv, diag);
	if (r == 0)
		forget_auth(t, nv);
	cof_tpm_scrub(t, a->auth, COF_TPM_AUTH);
	return r;
}

int cof_tpm_store_define(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH],
			 size_t n, struct cof_diag *diag)
{
	struct store_args a = {.index = index, .auth = auth, .n = n};

	if (!n || n > STORE_MAX)
		return cof_fail(diag, -EINVAL, "an NV store has 1 to %d bytes", STORE_MAX);
	return cof_tpm_round(t, store_define_round, &a, false, diag);
}

static int store_write_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct store_args *a = arg;
	TPM2B_MAX_NV_BUFFER data = {.size = (uint16_t)a->n};
	bool written = false;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = store_get(t, a, &session, &nv, &written, diag);

	if (r == 0)
		r = cof_tpm_session_crypt(t, session, true, false, diag);
	if (r < 0)
		return r;
	memcpy(data.buffer, a->in, a->n);
	r = store_rc(t,
		     Esys_NV_Write(t->esys, nv, nv, session, ESYS_TR_NONE, ESYS_TR_NONE, &data, 0),
		     a->index, "an NV index cannot be written", diag);
	cof_wipe(&data, sizeof(data));
	forget_auth(t, nv);
	cof_tpm_scrub(t, a->in, a->n);
	cof_tpm_scrub(t, a->auth, COF_TPM_AUTH);
	return r;
}

int cof_tpm_store_write(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH],
			const void *p, size_t n, struct cof_diag *diag)
{
	struct store_args a = {.index = index, .auth = auth, .in = p, .n = n};

	if (!n || n > STORE_MAX)
		return cof_fail(diag, -EINVAL, "an NV store has 1 to %d bytes", STORE_MAX);
	return cof_tpm_round(t, store_write_round, &a, true, diag);
}

static int store_read_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct store_args *a = arg;
	TPM2B_MAX_NV_BUFFER *data = NULL;
	bool written = false;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = store_get(t, a, &session, &nv, &written, diag);

	if (r == 0 && !written)
		r = cof_fail(diag, -ENODATA, "NV index 0x%08x was never written", a->index);
	if (r == 0)
		r = cof_tpm_session_crypt(t, session, false, true, diag);
	if (r < 0)
		return r;
	r = store_rc(t,
		     Esys_NV_Read(t->esys, nv, nv, session, ESYS_TR_NONE, ESYS_TR_NONE,
				  (uint16_t)a->n, 0, &data),
		     a->index, "an NV index cannot be read", diag);
	forget_auth(t, nv);
	if (r == 0 && data->size != a->n)
		r = cof_tpm_because(t, COF_TPM_ALTERED, diag,
				    "the TPM at %s answered with %u bytes for %zu", t->where,
				    data->size, a->n);
	if (r == 0) {
		memcpy(a->out, data->buffer, a->n);
		cof_wipe(data, sizeof(*data));
		cof_tpm_scrub(t, a->out, a->n);
	}
	Esys_Free(data);
	cof_tpm_scrub(t, a->auth, COF_TPM_AUTH);
	return r;
}

int cof_tpm_store_read(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH],
		       void *out, size_t n, struct cof_diag *diag)
{
	struct store_args a = {.index = index, .auth = auth, .out = out, .n = n};

	if (!n || n > STORE_MAX)
		return cof_fail(diag, -EINVAL, "an NV store has 1 to %d bytes", STORE_MAX);
	return cof_tpm_round(t, store_read_round, &a, true, diag);
}

/* ---- which TPM it is ---- */

/* The session's key has the index's authorisation in it, so that nobody without it answers for the TPM. What is
 * read is the store's beginning, encrypted on the way, and forgotten. */
static int prove_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct store_args *a = arg;
	TPM2B_MAX_NV_BUFFER *data = NULL;
	bool written = false;
	ESYS_TR session = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	int r = store_get(t, a, &session, &nv, &written, diag);

	if (r == 0 && !written)
		r = cof_tpm_because(t, COF_TPM_FOREIGN, diag, "NV index 0x%08x of the TPM at %s was removed and defined anew",
				    a->index, t->where);
	if (r == 0)
		r = cof_tpm_session_crypt(t, session, false, true, diag);
	if (r == 0)
		r = store_rc(t,
			     Esys_NV_Read(t->esys, nv, nv, session, ESYS_TR_NONE, ESYS_TR_NONE, 1, 0, &data),
			     a->index, "an NV index cannot be read", diag);
	if (nv != ESYS_TR_NONE)
		forget_auth(t, nv);
	cof_tpm_scrub(t, a->auth, COF_TPM_AUTH);
	if (data)
		cof_wipe(data, sizeof(*data));
	Esys_Free(data);
	return r;
}

int cof_tpm_store_prove(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH], size_t n,
			struct cof_diag *diag)
{
	struct store_args a = {.index = index, .auth = auth, .n = n};

	if (!n || n > STORE_MAX)
		return cof_fail(diag, -EINVAL, "an NV store has 1 to %d bytes", STORE_MAX);
	return cof_tpm_round(t, prove_round, &a, true, diag);
}
