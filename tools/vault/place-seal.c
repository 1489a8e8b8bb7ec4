/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault's key that only this machine's TPM gives out. TPMs sign no Ed25519, which is what cosignatures are: the seed is
 * sealed, under PCRs and a counter of its own, and is in secure memory while a session lasts. Whoever is root on a vault that
 * runs can take it from there; a thief of its disk, or of a backup, cannot.
 */
#include "crypto/age.h"
#include "tools/vault/internal.h"

#define FILE_NAME "key.tpm2"

/* What stands in for an archive's id: the vault's name and key. */
static void id_of(const struct cof_vkey *vkey, uint8_t ret[16])
{
	char text[COF_VKEY_MAX];
	uint8_t digest[COF_HASH];

	cof_vkey_text(vkey, text);
	cof_sha256(text, strlen(text), digest);
	memcpy(ret, digest, 16);
}

static int unseal(struct cof_tpm *t, const struct cof_vkey *vkey, const uint8_t *blob, size_t n, uint8_t *seed,
		  struct cof_diag *diag)
{
	uint64_t generation = 0;
	uint8_t id[16], pub[32];
	int r;

	id_of(vkey, id);
	r = cof_seal_tpm2_open(t, NULL, id, blob, n, seed, &generation, diag);
	if (r == -EXDEV && !cof_tpm_cause(t))
		return cof_fail(diag, r, FILE_NAME " belongs to another vault");
	if (r == 0)
		r = cof_ed25519_public(seed, pub);
	if (r == 0 && !cof_equal(pub, vkey->public_key, 32))
		r = cof_fail(diag, -EKEYREJECTED, FILE_NAME " has not the key that vault.conf names");
	return r;
}

/* Opened again at once: one that does not open would be found out by the first host. */
static int seal(struct cof_tpm *t, const struct cof_vkey *vkey, const struct cof_tpm_seal_params *p, const uint8_t *seed,
		struct cof_buf *blob, struct cof_diag *diag)
{
	uint8_t *again cof_autosecret = cof_secret_alloc(COF_KEY);
	uint8_t id[16];
	int r;

	if (!again)
		return cof_fail(diag, -ENOMEM, "out of secure memory");
	id_of(vkey, id);
	r = cof_seal_tpm2_make(t, p, id, seed, 1, blob, diag);
	return r < 0 ? r : unseal(t, vkey, blob->data, blob->len, again, diag);
}

/* The counter of what it is sealed by now, where this TPM did that; 0: none. pcrs: under which. */
static uint32_t sealed_before(struct cof_io *io, struct cof_tpm *t, const struct cof_vkey *vkey, char pcrs[80])
{
	cof_autofree struct cof_tpm_sealed *before = calloc(1, sizeof(*before));
	uint8_t *seed cof_autosecret = cof_secret_alloc(COF_KEY);
	cof_autofree uint8_t *blob = NULL;
	uint64_t generation;
	uint8_t id[16];
	size_t n = 0;

	id_of(vkey, id);
	if (!before || !seed || cof_io_load(io, FILE_NAME, COF_SEAL_TPM2_MAX, &blob, &n) < 0 ||
	    cof_seal_tpm2_read(id, blob, n, before, &generation) < 0)
		return 0;
	cof_tpm_pcrs_text(before->branch[0].mask, pcrs);
	if (unseal(t, vkey, blob, n, seed, NULL) < 0 && cof_tpm_cause(t) != COF_TPM_CHANGED)
		return 0;
	return before->index;
}

static int make(struct cof_io *io, struct cof_tpm *t, const struct cof_vkey *vkey, const uint8_t *seed, struct cof_tpm_seal_params *p,
		struct cof_diag *diag)
{
	cof_autobuf struct cof_buf blob = {0};
	int r = seal(t, vkey, p, seed, &blob, diag);

	if (r < 0)
		return r;
	r = cof_io_replace(io, FILE_NAME, blob.data, blob.len);
	return r < 0 ? cof_fail(diag, r, "%s/" FILE_NAME " cannot be written: %s", cof_io_where(io), strerror(-r)) : 0;
}

/* For the day on which the TPM gives nothing out any more: to an identity that lies elsewhere. */
static int keep_for(struct cof_io *io, const uint8_t *recovery, const uint8_t *seed, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0};
	int r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recovery, 1, seed, COF_KEY, NULL, &file);

	if (r == 0)
		r = cof_io_replace(io, PLACE_KEPT, file.data, file.len);
	return r < 0 ? cof_fail(diag, r, "%s/" PLACE_KEPT " cannot be written: %s", cof_io_where(io), strerror(-r)) : 0;
}

/* A counter of its own, and the PCRs as they are now. */
static int prepare(struct cof_tpm *t, const uint8_t id[16], const char *list, struct cof_tpm_pcrs *pcrs, struct cof_tpm_seal_params *p,
		   struct cof_diag *diag)
{
	uint32_t mask = 0;
	int r = cof_tpm_pcrs_parse(list, &mask, diag);

	if (r == 0)
		r = cof_tpm_pcrs_read(t, mask, pcrs, diag);
	if (r == 0)
		r = cof_tpm_index_free(t, id, &p->index, diag);
	return r < 0 ? r : cof_tpm_counter_define(t, p->index, COF_TPM_NORMAL, &p->value, diag);
}

int place_seal(struct cof_io *io, const struct cof_vkey *vkey, const uint8_t *seed, const struct vault_sealing *s,
	       struct cof_diag *diag)
{
	cof_autofree struct cof_tpm_pcrs *pcrs = calloc(2, sizeof(*pcrs));
	struct cof_tpm_seal_params p = {.branches = pcrs, .n_branches = s->next ? 2 : 1};
	cof_autotpm struct cof_tpm *t = NULL;
	uint32_t before = 0;
	char list[80] = "7";
	uint8_t id[16];
	int r;

	if (!pcrs)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = cof_tpm_open(s->tpm, &t, diag);
	id_of(vkey, id);
	if (r == 0) {
		before = sealed_before(io, t, vkey, list);
		r = prepare(t, id, s->pcrs ? s->pcrs : list, pcrs, &p, diag);
	}
	if (r < 0)
		return r;
	if (s->next)
		pcrs[1] = *s->next;
	r = make(io, t, vkey, seed, &p, diag);
	if (r < 0) {
		(void)cof_tpm_undefine(t, p.index, NULL);
		return r;
	}
	if (before) /* an older copy of the file opens nothing any more */
		(void)cof_tpm_undefine(t, before, NULL);
	return s->recovery ? keep_for(io, s->recovery, seed, diag) : 0;
}

/* What the TPM says is meant for an archive's opener; here there is no other one. */
static const char *reason(const struct cof_tpm *t, int err, const struct cof_diag *why)
{
	switch (t ? cof_tpm_cause(t) : COF_TPM_GONE) {
	case COF_TPM_GONE:
		return "no TPM answers there";
	case COF_TPM_EXCHANGED:
		return "it is another TPM than the one that sealed it";
	case COF_TPM_CLEARED:
		return "it was cleared since";
	case COF_TPM_CHANGED:
		return "PCRs are not as they were, since firmware or boot changed";
	case COF_TPM_COUNTER:
	case COF_TPM_NO_INDEX:
	case COF_TPM_FOREIGN:
		return "the counter that it was sealed with is gone or went on";
	case COF_TPM_ALTERED:
		return FILE_NAME " was altered";
	case COF_TPM_OK:
		return err == -EKEYREJECTED || err == -EUCLEAN ? FILE_NAME " was altered" : why->text;
	default:
		return why->text;
	}
}

int place_unseal(struct cof_io *io, const struct cof_vkey *vkey, const char *tpm, uint8_t *seed, struct cof_diag *diag)
{
	cof_autotpm struct cof_tpm *t = NULL;
	cof_autofree uint8_t *blob = NULL;
	struct cof_diag why = {""};
	size_t n = 0;
	int r = cof_io_load(io, FILE_NAME, COF_SEAL_TPM2_MAX, &blob, &n);

	if (r < 0)
		return cof_fail(diag, r, "%s/" FILE_NAME " cannot be read: %s", cof_io_where(io), strerror(-r));
	r = cof_tpm_open(tpm, &t, &why);
	if (r == 0)
		r = unseal(t, vkey, blob, n, seed, &why);
	if (r == 0)
		return 0;
	if (cof_io_exists(io, PLACE_KEPT) == 1)
		return cof_fail(diag, r, "the TPM does not give out the key of this vault: %.300s. Who has the identity of " PLACE_KEPT
					 " seals it anew: coffer-vault reseal %s --identity FILE",
				reason(t, r, &why), cof_io_where(io));
	return cof_fail(diag, r, "the TPM does not give out the key of this vault: %.400s. Nobody else has it: without it the vault signs "
				 "nothing, and its hosts meet a new one (coffer-vault init, coffer vault add)",
			reason(t, r, &why));
}
