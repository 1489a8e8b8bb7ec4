/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Openers: the root key wrapped under a wrap key, that under a key made from the opener's secret.
 *
 *   0 "COFSEAL1" · 8 kind · 9 version 1 · 10 zero · 12 Argon2id memory KiB, passes, lanes ·
 *   24 archive id · 40 salt · 72 nonce a · 84 wrap key sealed under the KEK, associated data 0 to
 * 71 · 132 generation · 140 nonce b · 152 root key sealed under the wrap key, associated data 0 to
 * 71 and 132 to 139
 *
 * Valid when every bound holds and both seals open; the costs are checked before they are spent.
 */
#include "crypto/seal-blob.h"

#define MEMORY_MAX (4u << 20) /* KiB */
#define PASSES_MAX 64
#define LANES_MAX 64

static const struct cof_argon2_cost default_cost = {256u << 10, 3, 4};

const char *cof_opener_name(enum cof_opener_kind kind)
{
	switch (kind) {
	case COF_OPENER_PASSPHRASE:
		return "passphrase";
	case COF_OPENER_FILE:
		return "file";
	case COF_OPENER_TPM2:
		return "tpm2";
	}
	return NULL;
}

bool cof_opener_is_weak(enum cof_opener_kind kind)
{
	return kind == COF_OPENER_FILE; /* whoever copies the file has the archive */
}

static bool secret_ok(const struct cof_opener_secret *s)
{
	if (s->kind == COF_OPENER_PASSPHRASE)
		return s->len >= 1 && s->len <= 1024;
	return s->kind == COF_OPENER_FILE && s->len >= 32 && s->len <= 4096;
}

static bool cost_ok(const struct cof_argon2_cost *c)
{
	return c->passes >= 1 && c->passes <= PASSES_MAX && c->lanes >= 1 &&
	       c->lanes <= LANES_MAX && c->memory_kib >= 8 * c->lanes &&
	       c->memory_kib <= MEMORY_MAX;
}

/* The key-encryption key, from the parameters in the blob. */
static int make_kek(const struct cof_opener_secret *secret, const uint8_t *blob,
		    uint8_t kek[COF_KEY])
{
	static const char label[] = "coffer/1 opener file";

	if (secret->kind == COF_OPENER_FILE)
		return cof_hkdf(blob + AT_SALT, SALT, secret->data, secret->len, label,
				sizeof(label) - 1, kek, COF_KEY);
	return cof_argon2id(secret->data, secret->len, blob + AT_SALT, SALT,
			    cof_get_le32(blob + AT_COST), cof_get_le32(blob + AT_COST + 4),
			    cof_get_le32(blob + AT_COST + 8), kek);
}

/* Associated data of the root key's seal. */
static void root_ad(const uint8_t *blob, uint8_t out[AD_B])
{
	memcpy(out, blob, AT_NONCE_A);
	memcpy(out + AT_NONCE_A, blob + AT_GENERATION, 8);
}

/* keys: KEK, wrap key; secure memory. */
int cof_seal_wrap(uint8_t *blob, const uint8_t (*keys)[COF_KEY], const uint8_t root[COF_KEY])
{
	cof_autoaead struct cof_aead *a = NULL, *b = NULL;
	uint8_t ad[AD_B];

	int err = cof_aead_new(keys[0], &a);
	if (err == 0)
		err = cof_aead_seal(a, blob + AT_NONCE_A, blob, AD_A, keys[1], COF_KEY,
				    blob + AT_WRAP);
	if (err == 0)
		err = cof_aead_new(keys[1], &b);
	root_ad(blob, ad);
	if (err == 0)
		err = cof_aead_seal(b, blob + AT_NONCE_B, ad, AD_B, root, COF_KEY, blob + AT_ROOT);
	return err;
}

void cof_seal_begin(uint8_t blob[COF_SEAL_SIZE], enum cof_opener_kind kind,
		    const uint8_t archive_id[16], uint64_t generation)
{
	memset(blob, 0, COF_SEAL_SIZE);
	memcpy(blob, COF_SEAL_MAGIC, 8);
	blob[AT_KIND] = (uint8_t)kind;
	blob[AT_VERSION] = 1;
	memcpy(blob + AT_ARCHIVE, archive_id, 16);
	cof_random(blob + AT_SALT, SALT);
	cof_random(blob + AT_NONCE_A, COF_NONCE);
	cof_put_le64(blob + AT_GENERATION, generation);
	cof_random(blob + AT_NONCE_B, COF_NONCE);
}

int cof_seal_rewrap(uint8_t blob[COF_SEAL_SIZE], const uint8_t wrap[COF_KEY],
		    const uint8_t root[COF_KEY], uint64_t generation)
{
	cof_autoaead struct cof_aead *a = NULL;
	uint8_t ad[AD_B];
	int err = cof_aead_new(wrap, &a);

	if (err < 0)
		return err;
	cof_put_le64(blob + AT_GENERATION, generation);
	cof_random(blob + AT_NONCE_B, COF_NONCE);
	root_ad(blob, ad);
	return cof_aead_seal(a, blob + AT_NONCE_B, ad, AD_B, root, COF_KEY, blob + AT_ROOT);
}

int cof_seal_make(const struct cof_opener_secret *secret, const uint8_t archive_id[16],
		  const struct cof_argon2_cost *cost, const uint8_t root[COF_KEY],
		  uint64_t generation, uint8_t ret_blob[COF_SEAL_SIZE], uint8_t ret_wrap[COF_KEY])
{
	struct cof_argon2_cost c = cost ? *cost : default_cost;
	uint8_t blob[COF_SEAL_SIZE];
	uint8_t(*keys)[COF_KEY] COF_CLEANUP(cof_secret_freep) = NULL;

	c.memory_kib = c.memory_kib ? c.memory_kib : default_cost.memory_kib;
	c.passes = c.passes ? c.passes : default_cost.passes;
	c.lanes = c.lanes ? c.lanes : default_cost.lanes;
	if (!secret_ok(secret) || (secret->kind == COF_OPENER_PASSPHRASE && !cost_ok(&c)))
		return -EINVAL;
	keys = cof_secret_alloc(2 * COF_KEY);
	if (!keys)
		return -ENOMEM;
	cof_seal_begin(blob, secret->kind, archive_id, generation);
	if (secret->kind == COF_OPENER_PASSPHRASE) {
		cof_put_le32(blob + AT_COST, c.memory_kib);
		cof_put_le32(blob + AT_COST + 4, c.passes);
		cof_put_le32(blob + AT_COST + 8, c.lanes);
	}
	int err = make_kek(secret, blob, keys[0]);
	if (err < 0)
		return err;
	cof_random(keys[1], COF_KEY);
	err = cof_seal_wrap(blob, (const uint8_t(*)[COF_KEY])keys, root);
	if (err < 0)
		return err;
	memcpy(ret_blob, blob, sizeof(blob));
	memcpy(ret_wrap, keys[1], COF_KEY);
	return 0;
}

/* Form and bounds: everything that can be said without the secret. */
static int check(const uint8_t *blob, size_t len)
{
	struct cof_argon2_cost c;

	if (len != COF_SEAL_SIZE || memcmp(blob, COF_SEAL_MAGIC, 8) != 0 || blob[AT_VERSION] != 1 ||
	    blob[10] != 0 || blob[11] != 0)
		return -EUCLEAN;
	c.memory_kib = cof_get_le32(blob + AT_COST);
	c.passes = cof_get_le32(blob + AT_COST + 4);
	c.lanes = cof_get_le32(blob + AT_COST + 8);
	switch (blob[AT_KIND]) {
	case COF_OPENER_PASSPHRASE:
		return cost_ok(&c) ? 0 : -EUCLEAN;
	case COF_OPENER_FILE:
		return c.memory_kib || c.passes || c.lanes ? -EUCLEAN : 0;
	default:
		return -EUCLEAN;
	}
}

int cof_seal_kind(const uint8_t *blob, size_t len, enum cof_opener_kind *ret)
{
	int err = check(blob, len);

	if (err == 0)
		*ret = (enum cof_opener_kind)blob[AT_KIND];
	return err;
}

int cof_seal_unwrap(const uint8_t *blob, uint8_t (*keys)[COF_KEY])
{
	cof_autoaead struct cof_aead *a = NULL, *b = NULL;
	uint8_t ad[AD_B];

	int err = cof_aead_new(keys[0], &a);
	if (err == 0)
		err = cof_aead_open(a, blob + AT_NONCE_A, blob, AD_A, blob + AT_WRAP, COF_KEY,
				    keys[1]);
	if (err == 0)
		err = cof_aead_new(keys[1], &b);
	root_ad(blob, ad);
	if (err == 0)
		err =
		    cof_aead_open(b, blob + AT_NONCE_B, ad, AD_B, blob + AT_ROOT, COF_KEY, keys[2]);
	return err;
}

int cof_seal_open(const struct cof_opener_secret *secret, const uint8_t archive_id[16],
		  const uint8_t *blob, size_t len, uint8_t ret_root[COF_KEY],
		  uint64_t *ret_generation, struct cof_diag *diag)
{
	uint8_t(*keys)[COF_KEY] COF_CLEANUP(cof_secret_freep) = NULL;

	if (check(blob, len) < 0)
		return cof_fail(diag, -EUCLEAN,
				"this is no seal of version 1, or its costs are out of "
				"bounds (4 GiB, 64 passes, 64 lanes)");
	if (memcmp(blob + AT_ARCHIVE, archive_id, 16) != 0)
		return cof_fail(diag, -EXDEV, "the seal belongs to another archive");
	if (secret->kind != blob[AT_KIND] || !secret_ok(secret))
		return cof_fail(diag, -EINVAL, "the seal asks for a %s, of the right length",
				cof_opener_name((enum cof_opener_kind)blob[AT_KIND]));
	keys = cof_secret_alloc(3 * COF_KEY);
	if (!keys)
		return cof_fail(diag, -ENOMEM, "no secure memory left to open the seal");
	int err = make_kek(secret, blob, keys[0]);
	if (err == 0)
		err = cof_seal_unwrap(blob, keys);
	if (err == -EBADMSG)
		return cof_fail(diag, -EKEYREJECTED, "wrong %s, or the seal was altered",
				cof_opener_name(secret->kind));
	if (err == -ENOMEM)
		return cof_fail(diag, err, "not enough memory for the seal's Argon2id (%u MiB)",
				cof_get_le32(blob + AT_COST) >> 10);
	if (err < 0)
		return cof_fail(diag, err, "the seal cannot be opened: %s", strerror(-err));
	memcpy(ret_root, keys[2], COF_KEY);
	*ret_generation = cof_get_le64(blob + AT_GENERATION);
	return 0;
}
