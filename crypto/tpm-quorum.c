/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed object under a quorum. The policy, computed here as the TPM will (Part 3: PolicySigned 23.3, PolicyOR 23.6,
 * PolicyNV 23.9), since a trial session would want signatures: for each set, in the order of the persons, PolicySigned(key,
 * reference); of several sets PolicyOR; then PolicyNV(counter eq value). The counter comes last so that it is looked at when
 * the secret is, not when the signatures came.
 *
 * A nonce is its session's: the session lives from the question to the answer, within one round of the connection.
 */
#include "crypto/quorum.h"
#include "crypto/tpm-private.h"

/* ---- names and digests ---- */

static TPM2B_PUBLIC public_of(const uint8_t point[COF_P256_POINT])
{
	TPM2B_PUBLIC p = {
	    .publicArea = {.type = TPM2_ALG_ECC,
			   .nameAlg = TPM2_ALG_SHA256,
			   .objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
			   .parameters.eccDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
						    .scheme.scheme = TPM2_ALG_NULL,
						    .curveID = TPM2_ECC_NIST_P256,
						    .kdf.scheme = TPM2_ALG_NULL},
			   .unique.ecc = {.x.size = 32, .y.size = 32}}};

	memcpy(p.publicArea.unique.ecc.x.buffer, point, 32);
	memcpy(p.publicArea.unique.ecc.y.buffer, point + 32, 32);
	return p;
}

static int name_of(const uint8_t point[COF_P256_POINT], uint8_t ret[COF_TPM_NAME])
{
	TPM2B_PUBLIC p = public_of(point);
	uint8_t area[sizeof(TPMT_PUBLIC)];
	size_t n = 0;

	if (Tss2_MU_TPMT_PUBLIC_Marshal(&p.publicArea, area, sizeof(area), &n) != TSS2_RC_SUCCESS)
		return -EIO;
	ret[0] = TPM2_ALG_SHA256 >> 8;
	ret[1] = TPM2_ALG_SHA256 & 0xff;
	cof_sha256(area, n, ret + 2);
	return 0;
}

/* policy ← H(policy ‖ command ‖ more) */
static void extend(uint8_t policy[COF_HASH], TPM2_CC command, const void *more, size_t n)
{
	uint8_t code[4];
	struct iovec iov[3] = {{policy, COF_HASH}, {code, 4}, {(void *)(uintptr_t)more, n}};

	cof_put_be32(code, command);
	cof_sha256v(iov, 3, policy);
}

static int set_digest(const struct cof_quorum *q, uint32_t set, uint8_t policy[COF_HASH])
{
	memset(policy, 0, COF_HASH);
	for (unsigned i = 0; i < q->n_persons; i++) {
		uint8_t name[COF_TPM_NAME];
		struct iovec iov[2] = {{policy, COF_HASH}, {(void *)(uintptr_t)q->ref, COF_HASH}};
		int r = set >> i & 1 ? name_of(q->person[i].point, name) : 0;

		if (r < 0)
			return r;
		if (!(set >> i & 1))
			continue;
		extend(policy, TPM2_CC_PolicySigned, name, sizeof(name));
		cof_sha256v(iov, 2, policy);
	}
	return 0;
}

static int set_digests(const struct cof_quorum *q, TPML_DIGEST *ret)
{
	int r = 0;

	*ret = (TPML_DIGEST){.count = q->n_sets};
	for (unsigned i = 0; r == 0 && i < q->n_sets; i++) {
		ret->digests[i].size = COF_HASH;
		r = set_digest(q, q->set[i], ret->digests[i].buffer);
	}
	return r;
}

static int policy_digest(const struct cof_quorum *q, const TPM2B_NAME *counter, TPM2B_DIGEST *ret)
{
	uint8_t args[12] = {0}, more[COF_HASH + sizeof(counter->name)], all[COF_QUORUM_SETS * COF_HASH];
	TPML_DIGEST sets;
	int r = set_digests(q, &sets);

	if (r < 0)
		return r;
	*ret = sets.digests[0];
	for (unsigned i = 0; i < sets.count; i++)
		memcpy(all + i * COF_HASH, sets.digests[i].buffer, COF_HASH);
	if (sets.count > 1) {
		memset(ret->buffer, 0, COF_HASH);
		extend(ret->buffer, TPM2_CC_PolicyOR, all, sets.count * COF_HASH);
	}
	cof_put_be64(args, q->object.value); /* offset 0, operation eq: 0 */
	cof_sha256(args, sizeof(args), more);
	memcpy(more + COF_HASH, counter->name, counter->size);
	extend(ret->buffer, TPM2_CC_PolicyNV, more, COF_HASH + (size_t)counter->size);
	return 0;
}

/* ---- sealing ---- */

struct seal_args {
	struct cof_quorum *q;
	const uint8_t *secret;
};

static int seal_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct seal_args *a = arg;
	struct cof_tpm_sealed s = {.index = a->q->object.index, .value = a->q->object.value};
	struct cof_tpm_parent parent = {0};
	TPM2B_NAME *counter = NULL;
	TPM2B_DIGEST policy = {0};
	ESYS_TR hmac = ESYS_TR_NONE, nv = ESYS_TR_NONE;
	uint64_t now = 0;
	int r = cof_tpm_identity(t, s.identity, diag);

	if (r == 0)
		r = cof_tpm_parent_get(t, NULL, &parent, diag);
	if (r == 0)
		r = cof_tpm_session(t, &parent, TPM2_SE_HMAC, &hmac, diag);
	if (r == 0)
		r = cof_tpm_counter_get(t, hmac, s.index, COF_TPM_NORMAL, &nv, &now, diag);
	if (r == 0)
		r = cof_tpm_rc(t, Esys_TR_GetName(t->esys, nv, &counter), "a counter's name cannot be read", diag);
	if (r < 0 || !counter)
		return r < 0 ? r : -EIO;
	r = policy_digest(a->q, counter, &policy);
	Esys_Free(counter);
	memcpy(s.parent_name, parent.name, sizeof(s.parent_name));
	s.parent = parent.handle;
	if (r == 0)
		r = cof_tpm_object_make(t, &parent, hmac, NULL, a->secret, &policy, &s, diag);
	if (r == 0)
		a->q->object = s;
	return r;
}

int cof_quorum_seal(struct cof_tpm *t, struct cof_quorum *q, const uint8_t secret[COF_TPM_SECRET], struct cof_diag *diag)
{
	struct seal_args a = {q, secret};
	int r = cof_quorum_check(q, diag);

	for (unsigned i = 0; r == 0 && i < q->n_persons; i++) /* a point that no signature fits would be lost for good */
		if (!cof_p256_on_curve(q->person[i].point))
			r = cof_fail(diag, -EINVAL, "%s: this is no key of P-256", q->person[i].name);
	return r < 0 ? r : cof_tpm_round(t, seal_round, &a, true, diag);
}

/* ---- opening ---- */

struct open_args {
	const struct cof_quorum *q;
	uint32_t seconds;
	cof_quorum_collect collect;
	void *user;
	uint8_t *ret;
};

static int late(struct cof_diag *diag)
{
	return cof_fail(diag, -ETIME, "it took too long: the TPM takes these signatures no more. Ask anew, with more seconds");
}

/* The session's nonce. */
static int ask(struct cof_tpm *t, const struct open_args *a, ESYS_TR session, struct cof_quorum_call *c, TPM2B_NONCE *ret_nonce,
	       struct cof_diag *diag)
{
	TPM2B_NONCE *nonce = NULL;
	uint8_t cphash[COF_HASH];
	int r = cof_tpm_rc(t, Esys_TRSess_GetNonceTPM(t->esys, session, &nonce), "its nonce cannot be read", diag);

	if (r == 0 && nonce->size != COF_HASH)
		r = cof_fail(diag, -EIO, "the TPM's nonce has %u bytes", nonce->size);
	if (r == 0)
		*ret_nonce = *nonce;
	Esys_Free(nonce);
	if (r == 0 && cof_quorum_cphash(a->q, cphash) < 0)
		r = cof_fail(diag, -EUCLEAN, "the object is damaged");
	if (r < 0)
		return r;
	cof_quorum_message(ret_nonce->buffer, a->seconds, cphash, a->q->ref, c->message);
	r = a->collect(a->user, c, diag);
	return r == 0 && cof_quorum_ready(c) < 0 ? cof_fail(diag, -EAGAIN, "not enough have signed") : r;
}

static int give_one(struct cof_tpm *t, const struct open_args *a, ESYS_TR session, const struct cof_quorum_call *c, unsigned person,
		    const TPM2B_NONCE *nonce, struct cof_diag *diag)
{
	TPM2B_PUBLIC public_area = public_of(a->q->person[person].point);
	TPMT_SIGNATURE sig = {.sigAlg = TPM2_ALG_ECDSA,
			      .signature.ecdsa = {.hash = TPM2_ALG_SHA256, .signatureR.size = 32, .signatureS.size = 32}};
	TPM2B_DIGEST cphash = {.size = COF_HASH};
	TPM2B_NONCE ref = {.size = COF_HASH};
	TPM2B_TIMEOUT *timeout = NULL;
	TPMT_TK_AUTH *ticket = NULL;
	ESYS_TR key = ESYS_TR_NONE;
	TSS2_RC rc = Esys_LoadExternal(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, &public_area, ESYS_TR_RH_NULL, &key);

	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "a person's key cannot be loaded", diag);
	cof_tpm_hold(t, key, true);
	memcpy(sig.signature.ecdsa.signatureR.buffer, c->signature[person], 32);
	memcpy(sig.signature.ecdsa.signatureS.buffer, c->signature[person] + 32, 32);
	memcpy(cphash.buffer, c->message + 36, COF_HASH);
	memcpy(ref.buffer, a->q->ref, COF_HASH);
	rc = Esys_PolicySigned(t->esys, key, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nonce, &cphash, &ref, (INT32)a->seconds, &sig,
			       &timeout, &ticket);
	cof_tpm_release(t, key);
	Esys_Free(timeout);
	Esys_Free(ticket);
	if (cof_tpm_is(rc, TPM2_RC_EXPIRED))
		return late(diag);
	if (cof_tpm_is(rc, TPM2_RC_SIGNATURE) || cof_tpm_is(rc, TPM2_RC_NONCE) || cof_tpm_is(rc, TPM2_RC_CPHASH))
		return cof_fail(diag, -EKEYREJECTED, "the TPM refuses the signature of %s: it is not over this session's message",
				a->q->person[person].name);
	return cof_tpm_rc(t, rc, "a signature cannot be given to it", diag);
}

static int give(struct cof_tpm *t, const struct open_args *a, ESYS_TR session, const struct cof_quorum_call *c, const TPM2B_NONCE *nonce,
		struct cof_diag *diag)
{
	uint32_t set = a->q->set[cof_quorum_ready(c)];
	TPML_DIGEST sets;
	TSS2_RC rc;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < a->q->n_persons; i++)
		if (set >> i & 1)
			r = give_one(t, a, session, c, i, nonce, diag);
	if (r == 0 && a->q->n_sets > 1)
		r = set_digests(a->q, &sets);
	if (r < 0 || a->q->n_sets == 1)
		return r;
	rc = Esys_PolicyOR(t->esys, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &sets);
	return cof_tpm_is(rc, TPM2_RC_VALUE) ? cof_fail(diag, -EKEYREJECTED, "those who signed are no set of this quorum")
					     : cof_tpm_rc(t, rc, "the quorum cannot be shown to it", diag);
}

static int unseal(struct cof_tpm *t, const struct open_args *a, ESYS_TR object, ESYS_TR session, struct cof_diag *diag)
{
	TPM2B_SENSITIVE_DATA *data = NULL;
	TSS2_RC rc;
	int r = cof_tpm_session_crypt(t, session, false, true, diag);

	if (r < 0)
		return r;
	rc = Esys_Unseal(t->esys, object, session, ESYS_TR_NONE, ESYS_TR_NONE, &data);
	if (cof_tpm_is(rc, TPM2_RC_EXPIRED))
		return late(diag);
	if (cof_tpm_is(rc, TPM2_RC_POLICY_FAIL))
		return cof_fail(diag, -EKEYREJECTED, "the TPM at %s refuses: the object is of another quorum than is written beside it, or its "
						     "counter was defined anew", t->where);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "the object cannot be opened", diag);
	if (data->size == COF_TPM_SECRET)
		memcpy(a->ret, data->buffer, COF_TPM_SECRET);
	else
		r = cof_tpm_because(t, COF_TPM_ALTERED, diag, "the object holds %u bytes, not %d", data->size, COF_TPM_SECRET);
	cof_wipe(data, sizeof(*data));
	Esys_Free(data);
	if (r == 0)
		cof_tpm_scrub(t, a->ret, COF_TPM_SECRET);
	return r;
}

/* What is there has to be there before anybody is asked to sign. */
static int look(struct cof_tpm *t, const struct cof_tpm_sealed *s, struct cof_tpm_parent *parent, ESYS_TR *hmac, ESYS_TR *nv,
		struct cof_diag *diag)
{
	uint64_t now = 0;
	int r = cof_tpm_parent_get(t, s, parent, diag);

	if (r == 0)
		r = cof_tpm_session(t, parent, TPM2_SE_HMAC, hmac, diag);
	if (r == 0)
		r = cof_tpm_counter_get(t, *hmac, s->index, COF_TPM_NORMAL, nv, &now, diag);
	if (r == 0 && now != s->value)
		r = cof_tpm_because(t, COF_TPM_COUNTER, diag, "this object was made for the value %llu of the counter 0x%08x, which is %llu: "
							      "it was ended, or is of an earlier epoch",
				    (unsigned long long)s->value, s->index, (unsigned long long)now);
	return r;
}

static int open_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct open_args *a = arg;
	struct cof_quorum_call call = {.q = a->q};
	struct cof_tpm_parent parent = {0};
	ESYS_TR hmac = ESYS_TR_NONE, nv = ESYS_TR_NONE, session = ESYS_TR_NONE, object = ESYS_TR_NONE;
	TPM2B_NONCE nonce = {0};
	int r = look(t, &a->q->object, &parent, &hmac, &nv, diag);

	if (r == 0)
		r = cof_tpm_session(t, &parent, TPM2_SE_POLICY, &session, diag);
	if (r == 0)
		r = ask(t, a, session, &call, &nonce, diag);
	if (r == 0)
		r = give(t, a, session, &call, &nonce, diag);
	if (r == 0)
		r = cof_tpm_policy_counter(t, session, hmac, nv, a->q->object.value, diag);
	if (r == 0)
		r = cof_tpm_object_use(t, &parent, hmac, &a->q->object, &object, diag);
	return r < 0 ? r : unseal(t, a, object, session, diag);
}

int cof_quorum_open(struct cof_tpm *t, const struct cof_quorum *q, uint32_t seconds, cof_quorum_collect collect, void *user,
		    uint8_t ret_secret[COF_TPM_SECRET], struct cof_diag *diag)
{
	struct open_args a = {q, seconds, collect, user, ret_secret};

	if (!seconds || seconds > COF_QUORUM_SECONDS)
		return cof_fail(diag, -EINVAL, "a session is of 1 to %d seconds", COF_QUORUM_SECONDS);
	if (cof_quorum_check(q, diag) < 0)
		return -EUCLEAN;
	/* Never again by itself: people have signed for one session. */
	return cof_tpm_round(t, open_round, &a, false, diag);
}

/* ---- ending ---- */

/* That it is the TPM which opens the object: an index of that number may be any other one's there. */
static int same_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct cof_tpm_parent parent = {0};

	return cof_tpm_parent_get(t, arg, &parent, diag);
}

int cof_quorum_end(struct cof_tpm *t, const struct cof_quorum *q, bool *ret_before, struct cof_diag *diag)
{
	struct cof_tpm_sealed object = q->object;
	uint64_t now = 0;
	int r = cof_tpm_round(t, same_round, &object, true, diag);

	if (r == 0)
		r = cof_tpm_counter_read(t, object.index, COF_TPM_NORMAL, &now, diag);
	if (r < 0)
		return r;
	*ret_before = now > object.value;
	return *ret_before ? 0 : cof_tpm_counter_raise(t, object.index, COF_TPM_NORMAL, object.value + 1, NULL, diag);
}
