/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault's key is sealed anew: before PCRs change, with the values to come; or after they did, from key.age, which only an
 * identity that lies elsewhere opens; or for the first time, where the key lay in a file. Each step leaves a vault whose key
 * opens: the new key.tpm2 replaces the old one before the old counter goes, and before a key file does.
 */
#include <stdio.h>

#include "crypto/age.h"
#include "tools/vault/internal.h"

/* v->seed: secure memory. */
static int kept_seed(struct vault_place *v, const uint8_t (*identities)[COF_AGE_KEY], size_t n_identities, struct cof_diag *diag)
{
	cof_autofree uint8_t *file = NULL;
	uint8_t pub[32];
	void *plain = NULL;
	size_t n = 0, len = 0;
	int r = cof_io_load(v->io, PLACE_KEPT, COF_AGE_FILE_MAX, &file, &n);

	if (r < 0)
		return cof_fail(diag, r, "%s/" PLACE_KEPT " cannot be read: %s", cof_io_where(v->io), strerror(-r));
	r = cof_age_decrypt(identities, n_identities, file, n, &plain, &len);
	if (r < 0)
		return cof_fail(diag, r, "%s/" PLACE_KEPT " does not open with that identity", cof_io_where(v->io));
	v->seed = plain; /* goes with the place */
	if (len != COF_KEY || cof_ed25519_public(v->seed, pub) < 0 || !cof_equal(pub, v->vkey.public_key, 32))
		return cof_fail(diag, -EKEYREJECTED, "%s/" PLACE_KEPT " has not the key that vault.conf names", cof_io_where(v->io));
	return 0;
}

/* The key lay in a file until now. */
static int drop_file(struct vault_place *v, bool *ret_filed, struct cof_diag *diag)
{
	static const uint8_t zero[COF_KEY];
	cof_autofile struct cof_file *f = NULL;
	int r = cof_io_open(v->io, "key", COF_IO_RDWR, &f);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = cof_io_write(f, zero, sizeof(zero), 0);
	if (r == 0)
		r = cof_io_sync(f);
	if (r == 0)
		r = cof_io_unlink(v->io, "key");
	if (r == 0)
		r = cof_io_sync_dir(v->io, "");
	*ret_filed = true;
	return r < 0 ? cof_fail(diag, r, "the key is sealed, but %s/key cannot be removed: %s", cof_io_where(v->io), strerror(-r)) : 0;
}

static int reseal(struct vault_place *v, const struct vault_sealing *seal, const uint8_t (*identities)[COF_AGE_KEY], size_t n,
		  bool *ret_filed, struct cof_diag *diag)
{
	struct vault_sealing s = *seal;
	char tpm[sizeof(v->tpm)];
	int r = n ? kept_seed(v, identities, n, diag) : place_load_key(v, diag);

	if (r < 0)
		return r;
	if (snprintf(tpm, sizeof(tpm), "%s", s.tpm ? s.tpm : *v->tpm ? v->tpm : COF_TPM_DEVICE) >= (int)sizeof(tpm))
		return cof_fail(diag, -EINVAL, "the name of the TPM is too long");
	s.tpm = tpm;
	r = place_seal(v->io, &v->vkey, v->seed, &s, diag);
	if (r < 0)
		return r;
	memcpy(v->tpm, tpm, sizeof(tpm));
	r = place_write_conf(v->io, v);
	return r < 0 ? cof_fail(diag, r, "%s/vault.conf cannot be written: %s", cof_io_where(v->io), strerror(-r)) : drop_file(v, ret_filed, diag);
}

int vault_place_reseal(const char *dir, const struct vault_sealing *seal, const uint8_t (*identities)[COF_KEY], size_t n,
		       bool *ret_filed, struct cof_diag *diag)
{
	struct vault_place v;
	bool filed = false;
	int r = place_open(dir, &v, diag);

	if (r < 0)
		return r;
	r = cof_io_lock(v.io, "coffer-vault reseal", diag);
	if (r == 0) {
		r = reseal(&v, seal, identities, n, &filed, diag);
		cof_io_unlock(v.io);
	}
	vault_place_close(&v);
	if (r == 0)
		*ret_filed = filed;
	return r;
}
