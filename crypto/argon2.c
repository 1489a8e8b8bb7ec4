/* SPDX-License-Identifier: Apache-2.0 */
/* Argon2id (RFC 9106, version 0x13), lanes computed one after the other. */
#include "crypto/private.h"

/*
 * libgcrypt 1.10 computes the size of its working memory in 32 bits: at 4 GiB it would allocate
 * nothing and write everywhere. So that much is refused, and the allocation that it makes is
 * compared with what it must be.
 */
#define MEMORY_LIMIT_KIB (4u << 20)

int cof_argon2id_full(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
		      uint32_t memory_kib, uint32_t passes, uint32_t lanes,
		      const struct cof_argon2_extra *extra, uint8_t out[32])
{
	const unsigned long param[4] = {32, passes, memory_kib, lanes};
	static const struct cof_argon2_extra none;
	gcry_kdf_hd_t kdf;
	uint8_t tag[32];

	if (!extra)
		extra = &none;
	if (!pass_len || salt_len < 8 || !passes || !lanes || lanes > 0xffffff ||
	    memory_kib / 8 < lanes)
		return -EINVAL;
	if (memory_kib >= MEMORY_LIMIT_KIB)
		return -ENOMEM;
	cof_pool_arm_large((size_t)(memory_kib / (4 * lanes) * (4 * lanes)) << 10);
	gcry_error_t e =
	    gcry_kdf_open(&kdf, GCRY_KDF_ARGON2, GCRY_KDF_ARGON2ID, param, 4, pass, pass_len, salt,
			  salt_len, extra->secret, extra->secret_len, extra->ad, extra->ad_len);
	bool made = cof_pool_disarm_large();
	if (e)
		return cof_gcry_errno(e);
	if (!made) {
		/* kdf is not closed: that would wipe memory that may not be there. Leaks once. */
		return -EIO;
	}
	e = gcry_kdf_compute(kdf, NULL);
	if (!e)
		e = gcry_kdf_final(kdf, sizeof(tag), tag);
	gcry_kdf_close(kdf);
	if (!e)
		memcpy(out, tag, sizeof(tag));
	cof_wipe(tag, sizeof(tag));
	return cof_gcry_errno(e);
}

int cof_argon2id(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
		 uint32_t memory_kib, uint32_t passes, uint32_t lanes, uint8_t out[32])
{
	return cof_argon2id_full(pass, pass_len, salt, salt_len, memory_kib, passes, lanes, NULL,
				 out);
}
