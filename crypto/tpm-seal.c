/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing and unsealing.
 *
 * The policy of each branch: PolicyPCR(values), PolicyNV(counter eq value), with a PIN
 * PolicyAuthValue; of several branches PolicyOR. The counter stands inside each branch, so that an
 * increment kills all of them. userWithAuth and adminWithPolicy stay clear: an empty password
 * must open nothing. Without a PIN the object is noDA: a loop over a changed PCR must not lock
 * the TPM; with one it is not, so that the TPM counts wrong tries.
 *
 * PolicyNV is checked when it is executed, not at Unseal: so a session lives for one round only.
 */
#include <stdio.h>

#include "crypto/tpm-private.h"

static bool branches_ok(const struct cof_tpm_pcrs *b, unsigned n)
{
	if (!n || n > COF_TPM_BRANCHES)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!b[i].mask || b[i].mask >> COF_TPM_PCRS || b[i].mask & (1u << 16 | 1u << 23))
			return false;
	return true;
}

struct policy { /* of one branch */
	ESYS_TR session, hmac, nv;
	const struct cof_tpm_pcrs *pcrs;
	uint64_t value;
	bool pin;
};

int cof_tpm_policy_counter(struct cof_tpm *t, ESYS_TR session, ESYS_TR hmac, ESYS_TR nv,
			   uint64_t value, struct cof_diag *diag)
{
	TPM2B_OPERAND operand = {.size = 8};
	TSS2_RC rc;
	int r = cof_tpm_session_crypt(t, hmac, true, false, diag);

	if (r < 0)
		return r;
	cof_put_be64(operand.buffer, value);
	rc = Esys_PolicyNV(t->esys, nv, nv, session, hmac, ESYS_TR_NONE, ESYS_TR_NONE, &operand, 0,
			   TPM2_EO_EQ);
	if (cof_tpm_is(rc, TPM2_RC_POLICY))
		return cof_tpm_because(t, COF_TPM_COUNTER, diag,
				       "the TPM's counter has gone past this seal");
	return cof_tpm_rc(t, rc, "a policy over a counter cannot be made", diag);
}

/* trial: the values that are noted; else those that the PCRs have now. */
static int run_branch(struct cof_tpm *t, const struct policy *p, bool trial, struct cof_diag *diag)
{
	TPML_PCR_SELECTION selection;
	TPM2B_DIGEST digest = {0};
	TSS2_RC rc;
	int r;

	cof_tpm_pcrs_select(p->pcrs->mask, &selection);
	if (trial)
		cof_tpm_pcrs_digest(p->pcrs, &digest);
	rc = Esys_PolicyPCR(t->esys, p->session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
			    &selection);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "a policy over PCRs cannot be made", diag);
	r = cof_tpm_policy_counter(t, p->session, p->hmac, p->nv, p->value, diag);
	if (r == 0 && p->pin)
		r = cof_tpm_rc(t,
			       Esys_PolicyAuthValue(t->esys, p->session, ESYS_TR_NONE, ESYS_TR_NONE,
						    ESYS_TR_NONE),
			       "a policy over a PIN cannot be made", diag);
	return r;
}

/* The digest of each branch by a trial session. */
static int branch_digests(struct cof_tpm *t, const struct cof_tpm_parent *parent,
			  struct policy *p, const struct cof_tpm_pcrs *branches, unsigned n,
			  TPML_DIGEST *ret, struct cof_diag *diag)
{
	ret->count = n;
	for (unsigned i = 0; i < n; i++) {
		TPM2B_DIGEST *digest = NULL;
		int r = cof_tpm_session(t, parent, TPM2_SE_TRIAL, &p->session, diag);

		p->pcrs = &branches[i];
		if (r == 0)
			r = run_branch(t, p, true, diag);
		if (r == 0)
			r = cof_tpm_rc(t,
				       Esys_PolicyGetDigest(t->esys, p->session, ESYS_TR_NONE,
							    ESYS_TR_NONE, ESYS_TR_NONE, &digest),
				       "a policy cannot be read", diag);
		if (r != 0 || !digest)
			return r < 0 ? r : -EIO;
		ret->digests[i] = *digest;
		Esys_Free(digest);
		cof_tpm_release(t, p->session);
	}
	return 0;
}

/* PolicyOR of the branches as the TPM will compute it (Part 3, 23.6): a computation, not a command. */
static void or_digest(const TPML_DIGEST *branches, TPM2B_DIGEST *ret)
{
	static const uint8_t zero[COF_HASH], code[4] = {0, 0, TPM2_CC_PolicyOR >> 8,
							TPM2_CC_PolicyOR & 0xff};
	struct iovec iov[2 + COF_TPM_BRANCHES] = {{(void *)zero, sizeof(zero)},
						  {(void *)code, sizeof(code)}};

	ret->size = COF_HASH;
	if (branches->count == 1) {
		*ret = branches->digests[0];
		return;
	}
	for (unsigned i = 0; i < branches->count; i++)
		iov[2 + i] = (struct iovec){(void *)branches->digests[i].buffer, COF_HASH};
	cof_sha256v(iov, 2 + (int)branches->count, ret->buffer);
}

/* ---- sealing ---- */

struct seal_args {
	const struct cof_tpm_seal_params *p;
	const uint8_t *secret;
	struct cof_tpm_sealed *ret;
};

int cof_tpm_object_make(struct cof_tpm *t, const struct cof_tpm_parent *parent, ESYS_TR hmac,
			const uint8_t *auth, const uint8_t *secret, const TPM2B_DIGEST *policy,
			struct cof_tpm_sealed *s, struct cof_diag *diag)
{
	TPM2B_SENSITIVE_CREATE sensitive = {.sensitive.data.size = COF_TPM_SECRET};
	TPM2B_PUBLIC template = {
	    .publicArea = {.type = TPM2_ALG_KEYEDHASH,
			   .nameAlg = TPM2_ALG_SHA256,
			   .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
					       (auth ? 0u : TPMA_OBJECT_NODA),
			   .authPolicy = *policy,
			   .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};
	TPM2B_DATA outside = {0};
	TPML_PCR_SELECTION none = {0};
	TPM2B_PRIVATE *private_area = NULL;
	TPM2B_PUBLIC *public_area = NULL;
	size_t at = 0;
	TSS2_RC rc;
	int r = cof_tpm_session_crypt(t, hmac, true, false, diag);

	if (r < 0)
		return r;
	memcpy(sensitive.sensitive.data.buffer, secret, COF_TPM_SECRET);
	if (auth) {
		sensitive.sensitive.userAuth.size = COF_TPM_AUTH;
		memcpy(sensitive.sensitive.userAuth.buffer, auth, COF_TPM_AUTH);
	}
	rc = Esys_Create(t->esys, parent->tr, hmac, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template,
			 &outside, &none, &private_area, &public_area, NULL, NULL, NULL);
	cof_wipe(&sensitive, sizeof(sensitive));
	cof_tpm_scrub(t, secret, COF_TPM_SECRET);
	if (auth)
		cof_tpm_scrub(t, auth, COF_TPM_AUTH);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "nothing can be sealed", diag);
	rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public_area, s->public_area, sizeof(s->public_area), &at);
	s->public_len = (uint16_t)at;
	at = 0;
	if (rc == TSS2_RC_SUCCESS)
		rc = Tss2_MU_TPM2B_PRIVATE_Marshal(private_area, s->private_area,
						   sizeof(s->private_area), &at);
	s->private_len = (uint16_t)at;
	Esys_Free(private_area);
	Esys_Free(public_area);
	return cof_tpm_rc(t, rc, "what it sealed is too long", diag);
}

static int seal_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct seal_args *a = arg;
	const struct cof_tpm_seal_params *q = a->p;
	struct policy p = {.value = q->value, .pin = q->auth};
	struct cof_tpm_sealed s = {.index = q->index,
				   .value = q->value,
				   .pin = q->auth,
				   .n_branches = q->n_branches};
	struct cof_tpm_parent parent = {0};
	TPML_DIGEST branches = {0};
	TPM2B_DIGEST policy;
	uint64_t now = 0;
	int r = cof_tpm_identity(t, s.identity, diag);

	if (r == 0)
		r = cof_tpm_parent_get(t, NULL, &parent, diag);
	if (r == 0)
		r = cof_tpm_session(t, &parent, TPM2_SE_HMAC, &p.hmac, diag);
	if (r == 0)
		r = cof_tpm_counter_get(t, p.hmac, q->index, COF_TPM_NORMAL, &p.nv, &now, diag);
	if (r == 0)
		r = branch_digests(t, &parent, &p, q->branches, q->n_branches, &branches, diag);
	if (r < 0)
		return r;
	or_digest(&branches, &policy);
	memcpy(s.branch, q->branches, q->n_branches * sizeof(s.branch[0]));
	memcpy(s.parent_name, parent.name, sizeof(s.parent_name));
	s.parent = parent.handle;
	r = cof_tpm_object_make(t, &parent, p.hmac, q->auth, a->secret, &policy, &s, diag);
	if (r == 0)
		*a->ret = s;
	return r;
}

int cof_tpm_seal(struct cof_tpm *t, const struct cof_tpm_seal_params *p,
		 const uint8_t secret[COF_TPM_SECRET], struct cof_tpm_sealed *ret,
		 struct cof_diag *diag)
{
	struct seal_args a = {p, secret, ret};

	if (!branches_ok(p->branches, p->n_branches))
		return cof_fail(diag, -EINVAL, "a seal has 1 to %d sets of PCRs, each with one at "
					       "least, never 16 or 23",
				COF_TPM_BRANCHES);
	return cof_tpm_round(t, seal_round, &a, true, diag);
}

/* ---- unsealing ---- */

struct unseal_args {
	const struct cof_tpm_sealed *s;
	const uint8_t *auth;
	uint8_t *ret;
};

static uint32_t differing(const struct cof_tpm_pcrs *noted, const struct cof_tpm_pcrs *now)
{
	uint32_t bits = 0;

	for (int i = 0; i < COF_TPM_PCRS; i++)
		if (noted->mask & 1u << i && memcmp(noted->value[i], now->value[i], COF_HASH) != 0)
			bits |= 1u << i;
	return bits;
}

/* The branch whose PCRs are as they are now; the one that differs least is named when none is. */
static int choose_branch(struct cof_tpm *t, const struct cof_tpm_sealed *s, unsigned *ret,
			 struct cof_diag *diag)
{
	struct cof_tpm_pcrs now;
	uint32_t all = 0, least = UINT32_MAX;
	char text[80];
	int r;

	for (unsigned i = 0; i < s->n_branches; i++)
		all |= s->branch[i].mask;
	r = cof_tpm_pcrs_get(t, all, &now, diag);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < s->n_branches; i++) {
		uint32_t bits = differing(&s->branch[i], &now);

		if (!bits) {
			*ret = i;
			return 0;
		}
		if (__builtin_popcount(bits) < __builtin_popcount(least))
			least = bits;
	}
	t->changed = least;
	cof_tpm_pcrs_text(least, text);
	return cof_tpm_because(
	    t, COF_TPM_CHANGED, diag,
	    "the machine did not start as it did when this seal was made: PCR %s changed (0-3 "
	    "firmware, 4-5 boot loader, 7 Secure Boot keys, 8-9, 11-12 kernel and its command line). "
	    "Start it the old way; or, if this change is meant, open the archive with another of its "
	    "openers and seal it anew (coffer seal renew STORE), or: coffer recover STORE",
	    text);
}

/* What the TPM's lockout says after a PIN was refused. judged: it was wrong; else it was not looked at. */
static int refused_pin(struct cof_tpm *t, bool judged, struct cof_diag *diag)
{
	struct cof_tpm_lockout l;
	int r = cof_tpm_lockout_get(t, &l, diag);

	if (r < 0)
		return r;
	if (!judged || l.locked || l.failures >= l.max)
		return cof_tpm_because(
		    t, judged ? COF_TPM_PIN : COF_TPM_LOCKED, diag,
		    "%sthe TPM at %s is locked out after %u wrong PINs: it takes the next one in at most "
		    "%u seconds, while it is powered; its owner can end that at once: "
		    "tpm2_dictionarylockout -c",
		    judged ? "wrong PIN, and " : "", t->where, l.failures, l.interval_s);
	return cof_tpm_because(t, COF_TPM_PIN, diag,
			       "wrong PIN: %u of %u wrong tries are counted by the TPM, %u are left "
			       "before it locks; one is forgotten every %u seconds",
			       l.failures, l.max, l.max - l.failures, l.interval_s);
}

static int unseal_object(struct cof_tpm *t, const struct unseal_args *a, ESYS_TR object,
			 ESYS_TR session, struct cof_diag *diag)
{
	static const TPM2B_AUTH zero = {.size = COF_TPM_AUTH};
	TPM2B_AUTH auth = {.size = COF_TPM_AUTH};
	TPM2B_SENSITIVE_DATA *data = NULL;
	TSS2_RC rc = TSS2_RC_SUCCESS;
	int r = cof_tpm_session_crypt(t, session, false, true, diag);

	if (r < 0)
		return r;
	if (a->auth) {
		memcpy(auth.buffer, a->auth, COF_TPM_AUTH);
		rc = Esys_TR_SetAuth(t->esys, object, &auth);
		cof_wipe(&auth, sizeof(auth));
	}
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Unseal(t->esys, object, session, ESYS_TR_NONE, ESYS_TR_NONE, &data);
	if (a->auth)
		(void)Esys_TR_SetAuth(t->esys, object, &zero); /* overwrites tss2's copy */
	if (a->auth)
		cof_tpm_scrub(t, a->auth, COF_TPM_AUTH);
	if (cof_tpm_is(rc, TPM2_RC_AUTH_FAIL) || cof_tpm_is(rc, TPM2_RC_BAD_AUTH))
		return refused_pin(t, true, diag);
	if (cof_tpm_is(rc, TPM2_RC_LOCKOUT))
		return refused_pin(t, false, diag);
	if (cof_tpm_is(rc, TPM2_RC_POLICY_FAIL))
		return cof_tpm_because(t, COF_TPM_ALTERED, diag,
				       "the TPM at %s refuses this seal although PCRs and counter are "
				       "as noted: the seal was altered, or its counter was defined anew; "
				       "restore seal/ from a copy, or: coffer recover STORE",
				       t->where);
	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "the seal cannot be opened", diag);
	if (data->size == COF_TPM_SECRET)
		memcpy(a->ret, data->buffer, COF_TPM_SECRET);
	else
		r = cof_tpm_because(t, COF_TPM_ALTERED, diag, "the seal holds %u bytes, not %d",
				    data->size, COF_TPM_SECRET);
	cof_wipe(data, sizeof(*data));
	Esys_Free(data);
	if (r == 0)
		cof_tpm_scrub(t, a->ret, COF_TPM_SECRET);
	return r;
}

int cof_tpm_object_use(struct cof_tpm *t, const struct cof_tpm_parent *parent, ESYS_TR hmac,
		       const struct cof_tpm_sealed *s, ESYS_TR *ret, struct cof_diag *diag)
{
	TPM2B_PUBLIC public_area = {0}; /* a size that is set makes tss2 refuse */
	TPM2B_PRIVATE private_area = {0};
	size_t at = 0;
	ESYS_TR object = ESYS_TR_NONE;
	TSS2_RC rc =
	    Tss2_MU_TPM2B_PUBLIC_Unmarshal(s->public_area, s->public_len, &at, &public_area);
	int r;

	if (rc == TSS2_RC_SUCCESS && at == s->public_len) {
		at = 0;
		rc = Tss2_MU_TPM2B_PRIVATE_Unmarshal(s->private_area, s->private_len, &at,
						     &private_area);
	}
	if (rc != TSS2_RC_SUCCESS || at != s->private_len)
		return cof_tpm_because(t, COF_TPM_ALTERED, diag,
				       "the seal is damaged; restore seal/ from a copy");
	r = cof_tpm_session_crypt(t, hmac, false, false, diag);
	if (r < 0)
		return r;
	rc = Esys_Load(t->esys, parent->tr, hmac, ESYS_TR_NONE, ESYS_TR_NONE, &private_area,
		       &public_area, &object);
	if (rc == TSS2_RC_SUCCESS) {
		cof_tpm_hold(t, object, true);
		*ret = object;
		return 0;
	}
	if (rc & TPM2_RC_FMT1 && (rc & TSS2_RC_LAYER_MASK) == 0) /* of a parameter: it makes no sense of it */
		return cof_tpm_because(t, COF_TPM_ALTERED, diag,
				       "the TPM at %s does not take this seal (%x): it was altered; "
				       "restore seal/ from a copy, or: coffer recover STORE",
				       t->where, rc);
	return cof_tpm_rc(t, rc, "the seal cannot be loaded", diag);
}

static int or_branches(struct cof_tpm *t, const struct cof_tpm_parent *parent,
		       const struct cof_tpm_sealed *s, const struct policy *p,
		       struct cof_diag *diag)
{
	struct policy trial = *p;
	TPML_DIGEST branches = {0};
	int r;

	if (s->n_branches == 1)
		return 0;
	r = branch_digests(t, parent, &trial, s->branch, s->n_branches, &branches, diag);
	return r < 0 ? r
		     : cof_tpm_rc(t,
				  Esys_PolicyOR(t->esys, p->session, ESYS_TR_NONE, ESYS_TR_NONE,
						ESYS_TR_NONE, &branches),
				  "none of the seal's policies is met", diag);
}

static int unseal_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct unseal_args *a = arg;
	const struct cof_tpm_sealed *s = a->s;
	struct policy p = {.value = s->value, .pin = s->pin};
	struct cof_tpm_parent parent = {0};
	ESYS_TR object = ESYS_TR_NONE;
	uint64_t now = 0;
	unsigned branch = 0;
	int r = cof_tpm_parent_get(t, s, &parent, diag);

	if (r == 0)
		r = cof_tpm_session(t, &parent, TPM2_SE_HMAC, &p.hmac, diag);
	if (r == 0)
		r = cof_tpm_counter_get(t, p.hmac, s->index, COF_TPM_NORMAL, &p.nv, &now, diag);
	if (r < 0)
		return r;
	if (now != s->value)
		return cof_tpm_because(
		    t, COF_TPM_COUNTER, diag,
		    "this seal was made for the value %llu of the counter 0x%08x, which is %llu: %s",
		    (unsigned long long)s->value, s->index, (unsigned long long)now,
		    now > s->value
			? "it is an old copy from before a renewal, or somebody with root raised the "
			  "counter to kill it. Restore the newest seal/ and keys/; else open the archive "
			  "with another of its openers, or: coffer recover STORE"
			: "its renewal was not finished, or the TPM was put back to an older state. Open the "
			  "archive with another of its openers, or: coffer recover STORE");
	r = choose_branch(t, s, &branch, diag);
	if (r == 0)
		r = cof_tpm_object_use(t, &parent, p.hmac, s, &object, diag);
	if (r == 0)
		r = cof_tpm_session(t, &parent, TPM2_SE_POLICY, &p.session, diag);
	p.pcrs = &s->branch[branch];
	if (r == 0)
		r = run_branch(t, &p, false, diag);
	if (r == 0)
		r = or_branches(t, &parent, s, &p, diag);
	return r < 0 ? r : unseal_object(t, a, object, p.session, diag);
}

int cof_tpm_unseal(struct cof_tpm *t, const struct cof_tpm_sealed *s, const uint8_t *auth,
		   uint8_t ret_secret[COF_TPM_SECRET], struct cof_diag *diag)
{
	struct unseal_args a = {s, s->pin ? auth : NULL, ret_secret};

	if (s->pin && !auth)
		return cof_fail(diag, -EINVAL, "this seal asks for a PIN: type it, or name where it is read from "
				       "(--passphrase-fd, --credential; of a mount passfd=, credential=)");
	if (!branches_ok(s->branch, s->n_branches))
		return cof_fail(diag, -EUCLEAN, "the seal is damaged");
	/* With a PIN a second try would count as one: a dropped connection is told, not repeated. */
	return cof_tpm_round(t, unseal_round, &a, !s->pin, diag);
}
