/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seal's secret and the anchor in a TPM's NV. What lies in the seal's index, little-endian:
 *
 *    0  8  epoch
 *    8  4  lineage
 *   12 32  epoch secret
 *   44  8  frame that it was mixed at
 *   52 32  what it is mixed with
 *   84  8  how often the index was written
 *   92 16  first bytes of SHA256("coffer/1 nv" ‖ archive id ‖ bytes 0 to 91)
 *
 * The check tells a write that was cut, and another archive's content; nobody else reads it.
 */
#include "fs/archive/keys-nv.h"

#define NV_LEN 108
#define NV_CHECK 92

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

static int write_epoch(const struct cof_keys *k, struct cof_tpm *t, struct cof_keys_epoch *e,
		       struct cof_diag *diag)
{
	cof_autosecret uint8_t *nv = cof_secret_alloc(NV_LEN);
	int r = nv ? 0 : -ENOMEM;

	e->writes++;
	if (r == 0) {
		cof_put_le64(nv, e->epoch);
		cof_put_le32(nv + 8, e->lineage);
		memcpy(nv + 12, e->secret, COF_KEY);
		cof_put_le64(nv + 44, e->mixed_at);
		memcpy(nv + 52, e->mix, COF_KEY);
		cof_put_le64(nv + 84, e->writes);
		r = check_of(k->archive_id, nv, nv + NV_CHECK);
	}
	return r < 0 ? cof_fail(diag, r, "no secure memory left for the seal's secret")
		     : cof_tpm_store_write(t, k->nv.seal, k->nv.auth, nv, NV_LEN, diag);
}

static int read_epoch(const struct cof_keys *k, struct cof_tpm *t, struct cof_keys_epoch *ret,
		      struct cof_diag *diag)
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
	ret->epoch = cof_get_le64(nv);
	ret->lineage = cof_get_le32(nv + 8);
	memcpy(ret->secret, nv + 12, COF_KEY);
	ret->mixed_at = cof_get_le64(nv + 44);
	memcpy(ret->mix, nv + 52, COF_KEY);
	ret->writes = cof_get_le64(nv + 84);
	return 0;
}

int cof_nv_read(struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag)
{
	return read_epoch(k, t, &k->next, diag);
}

int cof_nv_prove(const struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag)
{
	return cof_tpm_store_prove(t, k->nv.seal, k->nv.auth, NV_LEN, diag);
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
	k->next.writes = 0;
	r = write_epoch(k, t, &k->next, diag);
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

struct writing {
	struct cof_keys *k;
	struct cof_keys_epoch *e; /* secure memory */
	const struct cof_mixing *m;
	uint64_t found; /* what it was mixed at */
};

static int advance_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct writing *w = arg;

	return write_epoch(w->k, t, w->e, diag);
}

/* What the TPM holds is not kept here. */
static void written(struct cof_keys *k, const struct cof_keys_epoch *e)
{
	memcpy(&k->next, e, sizeof(k->next));
	if (!k->nv.here)
		return;
	cof_wipe(k->next.secret, sizeof(k->next.secret));
	cof_wipe(k->next.mix, sizeof(k->next.mix));
}

static int put_file(struct cof_keys *k, struct cof_io *io, const struct cof_keys_epoch *e,
		    struct cof_diag *diag)
{
	int r = cof_keys_write_epoch(k, io, e, NULL);

	return r < 0 ? cof_fail(diag, r, "%s/" COF_KEYS_EPOCH " cannot be replaced: %s", cof_io_where(io),
				strerror(-r))
		     : 0;
}

int cof_keys_advance(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l,
		     const struct cof_mixing *m, struct cof_diag *diag)
{
	cof_autosecret struct cof_keys_epoch *e = cof_secret_alloc(sizeof(*e));
	struct writing w = {.k = k, .e = e};
	int r = e ? 0 : -ENOMEM;

	if (r == 0 && k->next.epoch == UINT64_MAX)
		r = -EOVERFLOW;
	if (r == 0) {
		e->epoch = k->next.epoch + 1;
		e->lineage = k->next.lineage;
		e->mixed_at = m->sequence;
		e->writes = k->next.writes;
		r = cof_seal_epoch_next(k->next.secret, e->secret);
	}
	if (r == 0)
		r = cof_seal_mix_start(m->key, e->mix);
	if (r < 0)
		return cof_fail(diag, r, "the seal cannot move on: %s", strerror(-r));
	r = k->nv.here ? cof_tpm_link_use(l, advance_use, &w, NULL, diag) : put_file(k, io, e, diag);
	if (r == 0)
		written(k, e);
	return r;
}

/* ---- mixing ---- */

/* 0: to be written · 1: it was already */
static int mix_epoch(struct writing *w, struct cof_diag *diag)
{
	cof_autosecret uint8_t *mixed = cof_secret_alloc(COF_KEY);
	struct cof_keys_epoch *e = w->e;
	int r;

	w->found = e->mixed_at;
	if (e->epoch != w->k->next.epoch || e->lineage != w->k->next.lineage)
		return cof_fail(diag, -EUCLEAN, "the seal's secret is another one than this mount left there");
	if (e->mixed_at == w->m->sequence)
		return 1;
	if (e->mixed_at != w->m->on)
		return cof_fail(diag, -ESTALE, "the seal's secret was mixed at frame %llu, not at %llu",
				(unsigned long long)e->mixed_at, (unsigned long long)w->m->on);
	r = mixed ? cof_seal_mix(w->m->key, e->mix, mixed) : -ENOMEM;
	if (r < 0)
		return cof_fail(diag, r, "the seal cannot be mixed: %s", strerror(-r));
	memcpy(e->mix, mixed, COF_KEY);
	e->mixed_at = w->m->sequence;
	return 0;
}

static int mix_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct writing *w = arg;
	int r = read_epoch(w->k, t, w->e, diag);

	if (r == 0)
		r = mix_epoch(w, diag);
	return r ? r : write_epoch(w->k, t, w->e, diag);
}

int cof_keys_mix(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l, const struct cof_mixing *m,
		 uint64_t *ret_found, enum cof_tpm_cause *ret_cause, struct cof_diag *diag)
{
	cof_autosecret struct cof_keys_epoch *e = cof_secret_alloc(sizeof(*e));
	struct writing w = {.k = k, .e = e, .m = m, .found = m->on};
	int r;

	*ret_cause = COF_TPM_OK;
	if (!e)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the seal's secret");
	if (k->nv.here) {
		r = cof_tpm_link_use(l, mix_use, &w, ret_cause, diag);
	} else {
		memcpy(e, &k->next, sizeof(*e));
		r = mix_epoch(&w, diag);
		if (r == 0)
			r = put_file(k, io, e, diag);
	}
	if (r >= 0)
		written(k, e);
	*ret_found = w.found;
	return r < 0 ? r : 0;
}
