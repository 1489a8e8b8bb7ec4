/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of drills: a nonce for a custodian, or a canary's file for a quorum, and answers that name it. What an answer says
 * was judged by who brings it, who has the epoch's document; here: that there is such a nonce, that it was not answered
 * before, that it is not too old, how long it took, and what was promised.
 */
#include "fs/archive/escrow.h"

#include <stdio.h>

struct drilling {
	uint64_t shelf, of;
	const struct cof_field *challenge; /* NULL: not looked for */
	bool answered, used;
};

static bool same(const struct cof_buf *part, uint8_t tag, const struct cof_field *want)
{
	struct cof_field have;

	return cof_field_find(part->data, part->len, tag, &have) == 0 && have.len == want->len && !memcmp(have.value, want->value, have.len);
}

static int look(void *user, const struct cof_escrow_record *r)
{
	struct drilling *w = user;
	struct cof_escrow_facts f;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.what != COF_ESC_DRILL || f.shelf != w->shelf)
		return 0;
	w->answered |= f.has_of && f.of == w->of && f.outcome == 1;
	w->used |= w->challenge && same(&r->private_part, COF_T_ESCROW_CHALLENGE, w->challenge);
	return 0;
}

static int read_all(struct cof_archive *a, struct drilling *w)
{
	return cof_escrow_each(a, cof_escrow_list(COF_ESCROW_NO_KEY, NULL, 0), 0, look, w);
}

/* ---- what begins ---- */

static int fits_nonce(struct cof_archive *a, struct drilling *w, const struct cof_buf *private_part, struct cof_diag *diag)
{
	struct cof_field challenge, name, detail;
	int r;

	if (cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_CHALLENGE, &challenge) < 0 ||
	    cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_NAME, &name) < 0 ||
	    cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_DETAIL, &detail) < 0 || detail.len != 64)
		return cof_fail(diag, -EINVAL, "a drill begins with a nonce for a custodian, or with a canary's file");
	w->challenge = &challenge;
	r = read_all(a, w);
	return r == 0 && w->used ? cof_fail(diag, -EPERM, "this nonce was given out before: each is for one answer") : r;
}

/* ---- what ends ---- */

/* docs/format.md 10: the signature over the nonce, by the key whose public half the nonce's record has as its detail. */
static bool proves(const struct cof_buf *begun, const struct cof_field *proof)
{
	char text[2 * 32 + 1], message[256];
	struct cof_field nonce, detail;
	uint8_t key[32], signature[64];
	size_t n = 0;
	int len;

	if (cof_field_find(begun->data, begun->len, COF_T_ESCROW_CHALLENGE, &nonce) < 0 ||
	    cof_field_find(begun->data, begun->len, COF_T_ESCROW_DETAIL, &detail) < 0 || detail.len != 2 * sizeof(key) || nonce.len > 128)
		return false;
	memcpy(text, detail.value, detail.len);
	text[detail.len] = '\0';
	len = snprintf(message, sizeof(message), "coffer/1 share proof\n%.*s\n", (int)nonce.len, (const char *)nonce.value);
	return len > 0 && cof_unhex(text, 2 * sizeof(key), key) == 0 &&
	       cof_unbase64((const char *)proof->value, proof->len, signature, sizeof(signature), &n) == 0 && n == sizeof(signature) &&
	       cof_ed25519_verify(key, message, (size_t)len, signature) == 0;
}

static int fits_answer(struct cof_archive *a, struct drilling *w, const struct cof_escrow_record *begun, bool canary, int64_t took,
		       const struct cof_buf *private_part, struct cof_diag *diag)
{
	struct cof_profile policy;
	struct cof_field name, proof;
	int r = read_all(a, w);

	if (r < 0)
		return r;
	if (w->answered)
		return cof_fail(diag, -EPERM, "this was answered already: a second answer to it shows nothing");
	if (canary)
		return 0;
	if (cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_PROOF, &proof) < 0 ||
	    cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_NAME, &name) < 0 ||
	    !same(&begun->private_part, COF_T_ESCROW_NAME, &name))
		return cof_fail(diag, -EPERM, "an answer has the proof, and is of the custodian who was asked");
	if (!proves(&begun->private_part, &proof))
		return cof_fail(diag, -EPERM, "the proof was not made with that share, or for another nonce");
	r = cof_archive_policy(a, &policy);
	if (r < 0)
		return r;
	return took > policy.escrow_answer ? cof_fail(diag, -EPERM, "this nonce is too old to be answered: a new one is wanted") : 0;
}

static int put_times(struct cof_archive *a, struct cof_buf *public_part, bool canary, int64_t took)
{
	struct cof_profile policy;
	int r = canary ? cof_archive_policy(a, &policy) : 0;

	if (r < 0)
		return r;
	if (canary && policy.escrow_time)
		cof_field_put_u64(public_part, COF_T_ESCROW_PROMISED, (uint64_t)policy.escrow_time);
	cof_field_put_u64(public_part, COF_T_ESCROW_TOOK, (uint64_t)took);
	return public_part->failed ? -ENOMEM : 0;
}

static int fits_end(struct cof_archive *a, const struct cof_escrow_facts *want, struct drilling *w, struct cof_buf *public_part,
		    const struct cof_buf *private_part, struct cof_diag *diag)
{
	struct cof_escrow_record begun;
	struct cof_escrow_facts f;
	int64_t took;
	int r = cof_escrow_get(a, want->of, &begun);

	if (r < 0)
		return r == -ENOENT ? cof_fail(diag, -EPERM, "no drill of this shelf was begun by that record") : r;
	cof_escrow_facts(begun.public_part.data, begun.public_part.len, &f);
	took = COF_MAX(cof_now(CLOCK_REALTIME) - begun.time, 0);
	if (f.what != COF_ESC_DRILL || f.shelf != want->shelf || f.has_of || f.epoch != want->epoch ||
	    memcmp(f.epoch_key, want->epoch_key, sizeof(f.epoch_key)) != 0)
		r = cof_fail(diag, -EPERM, "no drill of this shelf and epoch was begun by that record");
	else if (want->outcome == 1)
		r = fits_answer(a, w, &begun, begun.object != 0, took, private_part, diag);
	if (r == 0)
		r = put_times(a, public_part, begun.object != 0, took);
	cof_escrow_record_done(&begun);
	return r;
}

int cof_escrow_fit_drill(struct cof_archive *a, const struct cof_escrow_facts *want, struct cof_buf *public_part,
			 const struct cof_buf *private_part, bool with_file, struct cof_diag *diag)
{
	struct drilling w = {.shelf = want->shelf, .of = want->of};
	struct cof_field f;

	if (cof_field_find(public_part->data, public_part->len, COF_T_ESCROW_PROMISED, &f) == 0 ||
	    cof_field_find(public_part->data, public_part->len, COF_T_ESCROW_TOOK, &f) == 0)
		return cof_fail(diag, -EINVAL, "how long a drill took, and what was promised, the archive says itself");
	if (want->has_of != (want->outcome != 0) || (with_file && want->has_of))
		return cof_fail(diag, -EINVAL, "what ends a drill names what began it, and its outcome");
	if (want->has_of)
		return fits_end(a, want, &w, public_part, private_part, diag);
	return with_file ? 0 : fits_nonce(a, &w, private_part, diag);
}
