/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opener tpm2: the 200 bytes of every opener (costs zero), then the sealed object's fields
 * (tpm-blob.c). KEK = HKDF(salt, what the TPM unsealed, "coffer/1 opener tpm2" then SHA-256 of those
 * fields), so that whatever is altered in the file shows as such.
 */
#include "crypto/seal-blob.h"

static int make_kek(const uint8_t *blob, size_t len, const uint8_t unsealed[COF_TPM_SECRET],
		    uint8_t kek[COF_KEY])
{
	static const char label[] = "coffer/1 opener tpm2";
	uint8_t info[sizeof(label) - 1 + COF_HASH];

	memcpy(info, label, sizeof(label) - 1);
	cof_sha256(blob + COF_SEAL_SIZE, len - COF_SEAL_SIZE, info + sizeof(label) - 1);
	return cof_hkdf(blob + AT_SALT, SALT, unsealed, COF_TPM_SECRET, info, sizeof(info), kek,
			COF_KEY);
}

int cof_seal_tpm2_auth(const uint8_t archive_id[16], const void *pin, size_t n,
		       uint8_t ret[COF_TPM_AUTH])
{
	static const char label[] = "coffer/1 tpm2 pin";

	if (n < 1 || n > 1024)
		return -EINVAL;
	return cof_hkdf(archive_id, 16, pin, n, label, sizeof(label) - 1, ret, COF_TPM_AUTH);
}

int cof_seal_tpm2_make(struct cof_tpm *t, const struct cof_tpm_seal_params *p,
		       const uint8_t archive_id[16], const uint8_t root[COF_KEY],
		       uint64_t generation, struct cof_buf *ret, struct cof_diag *diag)
{
	/* what the TPM seals, KEK, wrap key */
	uint8_t(*keys)[COF_KEY] COF_CLEANUP(cof_secret_freep) = cof_secret_alloc(3 * COF_KEY);
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autobuf struct cof_buf blob = {0};
	uint8_t head[COF_SEAL_SIZE];
	int err;

	if (!keys || !s)
		return cof_fail(diag, -ENOMEM, "no secure memory left to make a seal");
	cof_random(keys[0], COF_KEY);
	cof_random(keys[2], COF_KEY);
	err = cof_tpm_seal(t, p, keys[0], s, diag);
	if (err < 0)
		return err;
	cof_seal_begin(head, COF_OPENER_TPM2, archive_id, generation);
	cof_buf_add(&blob, head, sizeof(head));
	err = cof_tpm_sealed_store(s, &blob);
	if (err == 0 && blob.len > COF_SEAL_TPM2_MAX)
		err = -EOVERFLOW;
	if (err == 0)
		err = make_kek(blob.data, blob.len, keys[0], keys[1]);
	if (err == 0)
		err = cof_seal_wrap(blob.data, (const uint8_t(*)[COF_KEY])keys + 1, root);
	if (err == 0)
		cof_buf_add(ret, blob.data, blob.len);
	if (err == 0 && ret->failed)
		err = -ENOMEM;
	return err < 0 ? cof_fail(diag, err, "the seal cannot be made: %s", strerror(-err)) : 0;
}

int cof_seal_tpm2_read(const uint8_t archive_id[16], const uint8_t *blob, size_t len,
		       struct cof_tpm_sealed *ret, uint64_t *ret_generation)
{
	static const uint8_t zero[AT_ARCHIVE - AT_VERSION - 1];
	int err;

	if (len <= COF_SEAL_SIZE || len > COF_SEAL_TPM2_MAX || memcmp(blob, COF_SEAL_MAGIC, 8) != 0 ||
	    blob[AT_KIND] != COF_OPENER_TPM2 || blob[AT_VERSION] != 1 ||
	    memcmp(blob + AT_VERSION + 1, zero, sizeof(zero)) != 0)
		return -EUCLEAN;
	if (memcmp(blob + AT_ARCHIVE, archive_id, 16) != 0)
		return -EXDEV;
	err = cof_tpm_sealed_load(blob + COF_SEAL_SIZE, len - COF_SEAL_SIZE, ret);
	if (err == 0)
		*ret_generation = cof_get_le64(blob + AT_GENERATION);
	return err;
}

int cof_seal_tpm2_open(struct cof_tpm *t, const uint8_t *auth, const uint8_t archive_id[16],
		       const uint8_t *blob, size_t len, uint8_t ret_root[COF_KEY],
		       uint64_t *ret_generation, struct cof_diag *diag)
{
	/* KEK, wrap key, root key, what was unsealed */
	uint8_t(*keys)[COF_KEY] COF_CLEANUP(cof_secret_freep) = cof_secret_alloc(4 * COF_KEY);
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	uint64_t generation = 0;
	int err;

	if (!keys || !s)
		return cof_fail(diag, -ENOMEM, "no secure memory left to open the seal");
	err = cof_seal_tpm2_read(archive_id, blob, len, s, &generation);
	if (err == -EXDEV)
		return cof_fail(diag, err, "the seal belongs to another archive");
	if (err < 0)
		return cof_fail(diag, err, "this is no seal of a TPM of version 1");
	err = cof_tpm_unseal(t, s, auth, keys[3], diag);
	if (err < 0)
		return err;
	err = make_kek(blob, len, keys[3], keys[0]);
	if (err == 0)
		err = cof_seal_unwrap(blob, keys);
	if (err < 0)
		return cof_fail(diag, err, "the seal was altered; restore seal/ from a copy, or: coffer "
					   "recover STORE");
	memcpy(ret_root, keys[2], COF_KEY);
	*ret_generation = generation;
	return 0;
}
