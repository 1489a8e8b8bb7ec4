/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seal's secret and the anchor in a TPM's NV. What lies in the seal's index, little-endian:
 *
 *    0  8  epoch
 *    8  4  lineage
 *   12 32  epoch secret
 *   44 16  first bytes of SHA256("coffer/1 nv" ‖ archive id ‖ bytes 0 to 43)
 *
 * The check tells a write that was cut, and another archive's content; nobody else reads it.
 */
#include "fs/archive/keys-nv.h"

#define NV_LEN 60
#define NV_CHECK 44

static int check_of(const uint8_t id[16], const uint8_t *nv, uint8_t ret[16])
{
	static const char label[] = "coffer/1 nv";
	cof_autosecret uint8_t *text = cof_secret_alloc(sizeof(label) - 1 + 16 + NV_CHECK);
	uint8_t hash[COF_HASH];

	if (!text)
		return -ENOMEM;
	memcpy(text, label, sizeof(label) - 1);
	memcpy(text + sizeof(label) - 1, id, 16);
	memcpy(text + sizeof(label) - 1 + 16, nv, NV_CHECK);
	cof_sha256(text, sizeof(label) - 1 + 16 + NV_CHECK, hash);
	memcpy(ret, hash, 16);
	return 0;
}

int cof_nv_write(const struct cof_keys *k, struct cof_tpm *t, uint64_t epoch,
		 const uint8_t secret[COF_KEY], struct cof_diag *diag)
{
	cof_autosecret uint8_t *nv = cof_secret_alloc(NV_LEN);
	int r = nv ? 0 : -ENOMEM;

	if (r == 0) {
		cof_put_le64(nv, epoch);
		cof_put_le32(nv + 8, k->lineage);
		memcpy(nv + 12, secret, COF_KEY);
		r = check_of(k->archive_id, nv, nv + NV_CHECK);
	}
	return r < 0 ? cof_fail(diag, r, "no secure memory left for the seal's secret")
		     : cof_tpm_store_write(t, k->nv.seal, k->nv.auth, nv, NV_LEN, diag);
}

int cof_nv_read(struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag)
{
	cof_autosecret uint8_t *nv = cof_secret_alloc(NV_LEN);
	uint8_t check[16];
	int r;

	if (!nv)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the seal's secret");
	r = cof_tpm_store_read(t, k->nv.seal, k->nv.auth, nv, NV_LEN, diag);
	if (r == -ENODATA)
		return cof_fail(diag, -ENOENT, "NV index 0x%08x was removed and defined anew", k->nv.seal);
	if (r < 0)
		return r;
	r = check_of(k->archive_id, nv, check);
	if (r < 0)
		return cof_fail(diag, r, "no secure memory left for the seal's secret");
	if (!cof_equal(check, nv + NV_CHECK, sizeof(check)) || !cof_get_le64(nv))
		return cof_fail(diag, -EUCLEAN, "NV index 0x%08x does not hold this archive's secret",
				k->nv.seal);
	k->epoch = cof_get_le64(nv);
	k->lineage = cof_get_le32(nv + 8);
	memcpy(k->epoch_secret, nv + 12, COF_KEY);
	return 0;
}

/* ---- defining ---- */

static int define_anchor(struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag)
{
	int r = cof_tpm_index_free(t, k->archive_id, &k->nv.anchor, diag);

	cof_random(k->nv.anchor_id, sizeof(k->nv.anchor_id));
	return r < 0 ? r
		     : cof_tpm_counter_define(t, k->nv.anchor, COF_TPM_ORDERLY, &k->nv.anchor_base, diag);
}

int cof_nv_define(struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag)
{
	int r = cof_tpm_index_free(t, k->archive_id, &k->nv.seal, diag);

	cof_random(k->nv.auth, sizeof(k->nv.auth));
	if (r == 0)
		r = cof_tpm_store_define(t, k->nv.seal, k->nv.auth, NV_LEN, diag);
	if (r < 0)
		return r;
	r = cof_nv_write(k, t, k->epoch, k->epoch_secret, diag);
	if (r == 0)
		r = define_anchor(k, t, diag);
	if (r < 0) {
		(void)cof_tpm_undefine(t, k->nv.seal, NULL);
		return r;
	}
	k->nv.here = true;
	return 0;
}

void cof_nv_undefine(struct cof_keys *k, struct cof_tpm *t)
{
	/* Gone already: nothing to remove. */
	(void)cof_tpm_undefine(t, k->nv.seal, NULL);
	(void)cof_tpm_undefine(t, k->nv.anchor, NULL);
	cof_wipe(&k->nv, sizeof(k->nv));
}

/* ---- as a mount does it ---- */

static int read_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	return cof_nv_read(arg, t, diag);
}

int cof_nv_drop_file(struct cof_io *io, struct cof_diag *diag)
{
	int r = cof_io_unlink(io, COF_KEYS_EPOCH);

	if (r == 0)
		r = cof_io_sync_dir(io, "keys");
	return r == 0 || r == -ENOENT ? 0
				      : cof_fail(diag, r, "%s/" COF_KEYS_EPOCH " cannot be removed: %s",
						 cof_io_where(io), strerror(-r));
}

int cof_keys_fetch_epoch(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l,
			 bool *ret_lost, struct cof_diag *diag)
{
	enum cof_tpm_cause cause = COF_TPM_OK;
	int r;

	*ret_lost = false;
	if (!k->nv.here)
		return 0; /* cof_keys_open read it */
	r = cof_tpm_link_use(l, read_use, k, &cause, diag);
	if (r < 0) {
		*ret_lost = r == -ENOENT || r == -EUCLEAN;
		return r;
	}
	return cof_nv_drop_file(io, diag);
}

struct advance {
	struct cof_keys *k;
	const uint8_t *next;
};

static int advance_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct advance *a = arg;

	return cof_nv_write(a->k, t, a->k->epoch + 1, a->next, diag);
}

int cof_keys_advance(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l,
		     struct cof_diag *diag)
{
	cof_autosecret uint8_t *next = cof_secret_alloc(COF_KEY);
	struct advance a = {k, next};
	int r = next ? 0 : -ENOMEM;

	if (r == 0 && k->epoch == UINT64_MAX)
		r = -EOVERFLOW;
	if (r == 0)
		r = cof_seal_epoch_next(k->epoch_secret, next);
	if (r < 0)
		return cof_fail(diag, r, "the seal cannot move on: %s", strerror(-r));
	r = k->nv.here ? cof_tpm_link_use(l, advance_use, &a, NULL, diag)
		       : cof_keys_write_epoch(k, io, k->epoch + 1, next, NULL);
	if (r < 0 && !k->nv.here)
		return cof_fail(diag, r, "%s/" COF_KEYS_EPOCH " cannot be replaced: %s", cof_io_where(io),
				strerror(-r));
	if (r < 0)
		return r;
	/* The old one is overwritten in place; what the TPM holds is not kept here. */
	if (k->nv.here)
		cof_wipe(k->epoch_secret, COF_KEY);
	else
		memcpy(k->epoch_secret, next, COF_KEY);
	k->epoch++;
	return 0;
}
