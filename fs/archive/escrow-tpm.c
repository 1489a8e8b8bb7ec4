/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the TPM road: keys with which custodians sign for a TPM, and ends of what one opened. What they propose is whole before
 * anybody signs for it; that a counter was raised is said of an end that was approved, once. No TPM is asked here.
 */
#include "fs/archive/escrow.h"

struct fitting {
	const struct cof_escrow_facts *want;
	const struct cof_buf *public_part;
	const struct cof_field *name;
	bool ended, raised, other; /* other: the key is enrolled under another name */
};

static bool same(const struct cof_escrow_record *r, uint8_t tag, const struct cof_buf *with)
{
	struct cof_field a, b;

	return cof_field_find(r->public_part.data, r->public_part.len, tag, &a) == 0 &&
	       cof_field_find(with->data, with->len, tag, &b) == 0 && a.len == b.len && !memcmp(a.value, b.value, a.len);
}

static bool of_name(const struct cof_escrow_record *r, const struct cof_field *name)
{
	struct cof_field have;

	return name && cof_field_find(r->private_part.data, r->private_part.len, COF_T_ESCROW_NAME, &have) == 0 && have.len == name->len &&
	       !memcmp(have.value, name->value, name->len);
}

static int look(void *user, const struct cof_escrow_record *r)
{
	struct fitting *w = user;
	struct cof_escrow_facts f;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.shelf != w->want->shelf)
		return 0;
	if ((f.what == COF_ESC_TPM_KEY || f.what == COF_ESC_TPM_KEY_REVOKED) && same(r, COF_T_ESCROW_PUBLIC_KEY, w->public_part) &&
	    !of_name(r, w->name))
		w->other = f.what == COF_ESC_TPM_KEY;
	w->ended |= f.what == COF_ESC_TPM_ENDED && r->sequence == w->want->of && same(r, COF_T_ESCROW_TPM, w->public_part);
	w->raised |= f.what == COF_ESC_TPM_RAISED && f.of == w->want->of && f.outcome == 1;
	return 0;
}

static int fits_key(const struct fitting *w, const struct cof_buf *private_part, struct cof_diag *diag)
{
	struct cof_field f;

	if (!w->name || cof_field_find(w->public_part->data, w->public_part->len, COF_T_ESCROW_PUBLIC_KEY, &f) < 0 ||
	    cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_DETAIL, &f) < 0)
		return cof_fail(diag, -EINVAL, "a custodian's key for a TPM has a name, the key and its digest");
	return w->other ? cof_fail(diag, -EPERM, "this key is enrolled for another custodian: each signs with a key of their own") : 0;
}

static int fits_raised(const struct fitting *w, struct cof_diag *diag)
{
	if (!w->ended || !w->want->outcome)
		return cof_fail(diag, -EPERM, "nobody has approved the end of what this TPM opens: coffer escrow tpm-end --as comes first");
	return w->raised && w->want->outcome == 1 ? cof_fail(diag, -EPERM, "that end is on record as carried out already") : 0;
}

int cof_escrow_fit_tpm(struct cof_archive *a, const struct cof_escrow_facts *want, const struct cof_buf *public_part,
		       const struct cof_buf *private_part, struct cof_diag *diag)
{
	struct fitting w = {.want = want, .public_part = public_part};
	struct cof_field name, tpm;
	uint8_t proposes = 0;
	int r;

	if (want->what == COF_ESC_PROPOSED)
		(void)cof_field_u8(public_part->data, public_part->len, COF_T_ESCROW_PROPOSES, &proposes);
	if (proposes != COF_ESC_TPM_KEY && proposes != COF_ESC_TPM_KEY_REVOKED && proposes != COF_ESC_TPM_ENDED && want->what != COF_ESC_TPM_RAISED)
		return 0;
	if (cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_NAME, &name) == 0)
		w.name = &name;
	r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_NO_KEY, NULL, 0), 0, look, &w);
	if (r < 0)
		return r;
	if (want->what == COF_ESC_TPM_RAISED)
		return fits_raised(&w, diag);
	if (proposes != COF_ESC_TPM_ENDED)
		return fits_key(&w, private_part, diag);
	return cof_field_find(public_part->data, public_part->len, COF_T_ESCROW_TPM, &tpm) < 0
		       ? cof_fail(diag, -EINVAL, "what a TPM opened is named by its epoch (\"tpm_epoch\")")
		       : 0;
}
