/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CMS to a key of an elliptic curve: a KeyAgreeRecipientInfo of RFC 5753. A key is made for this file alone, its secret half
 * multiplied with the recipient's point, and of the x of that, by the KDF of ANSI X9.63, comes a key that wraps the file's (RFC 3394).
 */
#include "crypto/cms-private.h"
#include "crypto/private.h"

#define WRAPPED (COF_KEY + 8)

static const uint8_t version_3[] = {CMS_INTEGER, 1, 3};
static const uint8_t id_ec_public_key[] = {CMS_SEQUENCE, 9, 0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1};
static const uint8_t agree_sha256[] = {/* dhSinglePass-stdDH-sha256kdf-scheme; aes256-wrap */
				       0x30, 0x15, 0x06, 6, 0x2b, 0x81, 4, 1, 0x0b, 1, 0x30, 0x0b, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2d};
/* ECC-CMS-SharedInfo: aes256-wrap; no ukm; 256 bits */
static const uint8_t shared_info[23] = {0x30, 0x15, 0x30, 0x0b, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2d,
					    0xa2, 0x06, 0x04, 4, 0, 0, 1, 0};

static const char *curve_name(const struct cof_cms_recipient *to)
{
	return to->curve == 384 ? "NIST P-384" : "NIST P-256";
}

/* The recipient's point; NULL: it is not on the curve. */
static gcry_mpi_point_t point_of(const struct cof_cms_recipient *to, gcry_ctx_t ctx)
{
	size_t bytes = to->curve / 8;
	gcry_mpi_point_t p = to->point.len == 1 + 2 * bytes ? gcry_mpi_point_new(0) : NULL;
	gcry_mpi_t x = NULL, y = NULL;

	if (p && !gcry_mpi_scan(&x, GCRYMPI_FMT_USG, to->point.data + 1, bytes, NULL) &&
	    !gcry_mpi_scan(&y, GCRYMPI_FMT_USG, to->point.data + 1 + bytes, bytes, NULL))
		gcry_mpi_point_set(p, x, y, GCRYMPI_CONST_ONE);
	if (p && (!x || !y || !gcry_mpi_ec_curve_point(p, ctx))) {
		gcry_mpi_point_release(p);
		p = NULL;
	}
	gcry_mpi_release(x);
	gcry_mpi_release(y);
	return p;
}

bool cms_point_ok(const struct cof_cms_recipient *to)
{
	gcry_ctx_t ctx = NULL;
	gcry_mpi_point_t p = gcry_mpi_ec_new(&ctx, NULL, curve_name(to)) ? NULL : point_of(to, ctx);
	bool ok = p != NULL;

	gcry_mpi_point_release(p);
	gcry_ctx_release(ctx);
	return ok;
}

/* The affine coordinates, each with all its bytes. y may be NULL. */
static int coordinates(gcry_mpi_point_t p, gcry_ctx_t ctx, size_t bytes, uint8_t *x, uint8_t *y)
{
	gcry_mpi_t mx = gcry_mpi_snew(0), my = gcry_mpi_snew(0);
	uint8_t *out[] = {x, y};
	gcry_mpi_t from[] = {mx, my};
	int r = gcry_mpi_ec_get_affine(mx, my, p, ctx) ? -EIO : 0;

	for (unsigned i = 0; i < 2 && r == 0 && out[i]; i++) {
		size_t n = (gcry_mpi_get_nbits(from[i]) + 7) / 8;

		memset(out[i], 0, bytes);
		if (n > bytes || (n && gcry_mpi_print(GCRYMPI_FMT_USG, out[i] + bytes - n, n, NULL, from[i])))
			r = -EIO;
	}
	gcry_mpi_release(mx);
	gcry_mpi_release(my);
	return r;
}

/* From 1 to the group's order: 64 bits more than the order has leave no bias that anybody could see (FIPS 186-5, A.2.1). */
static int make_secret(gcry_ctx_t ctx, size_t bytes, gcry_mpi_t *ret)
{
	cof_autosecret uint8_t *random = cof_secret_alloc(COF_CMS_COORDINATE + 8);
	gcry_mpi_t order = gcry_mpi_ec_get_mpi("n", ctx, 1), wide = NULL;
	int r = random && order ? 0 : -ENOMEM;

	if (r == 0) {
		cof_random(random, bytes + 8);
		*ret = gcry_mpi_snew((unsigned)(8 * bytes));
		r = gcry_mpi_scan(&wide, GCRYMPI_FMT_USG, random, bytes + 8, NULL) ? -ENOMEM : 0;
	}
	if (r == 0) {
		gcry_mpi_sub_ui(order, order, 1);
		gcry_mpi_mod(*ret, wide, order);
		gcry_mpi_add_ui(*ret, *ret, 1);
	}
	gcry_mpi_release(wide);
	gcry_mpi_release(order);
	return r;
}

/* secret: x of the product. public_key: 4, x, y of the key that was made. */
static int agree(const struct cof_cms_recipient *to, uint8_t *secret, uint8_t *public_key)
{
	size_t bytes = to->curve / 8;
	gcry_mpi_point_t theirs = NULL, base = NULL, product = gcry_mpi_point_new(0);
	gcry_mpi_t k = NULL;
	gcry_ctx_t ctx = NULL;
	int r = gcry_mpi_ec_new(&ctx, NULL, curve_name(to)) ? -ENOMEM : 0;

	theirs = r == 0 ? point_of(to, ctx) : NULL;
	base = r == 0 ? gcry_mpi_ec_get_point("g", ctx, 1) : NULL;
	if (r == 0)
		r = theirs && base ? make_secret(ctx, bytes, &k) : -EUCLEAN;
	if (r == 0) {
		gcry_mpi_ec_mul(product, k, base, ctx);
		public_key[0] = 4;
		r = coordinates(product, ctx, bytes, public_key + 1, public_key + 1 + bytes);
	}
	if (r == 0) {
		gcry_mpi_ec_mul(product, k, theirs, ctx);
		r = coordinates(product, ctx, bytes, secret, NULL);
	}
	gcry_mpi_release(k);
	gcry_mpi_point_release(theirs);
	gcry_mpi_point_release(base);
	gcry_mpi_point_release(product);
	gcry_ctx_release(ctx);
	return r;
}

/* secret: room behind it for what the KDF hashes besides. */
static int wrap(const struct cof_cms_recipient *to, uint8_t *secret, const uint8_t *key, uint8_t wrapped[WRAPPED])
{
	cof_autosecret uint8_t *kek = cof_secret_alloc(48);
	gcry_cipher_hd_t aes = NULL;
	size_t n = to->curve / 8;
	gcry_error_t e;

	if (!kek)
		return -ENOMEM;
	memcpy(secret + n, "\0\0\0\1", 4);
	memcpy(secret + n + 4, shared_info, sizeof(shared_info));
	gcry_md_hash_buffer(to->curve == 384 ? GCRY_MD_SHA384 : GCRY_MD_SHA256, kek, secret, n + 4 + sizeof(shared_info));
	e = gcry_cipher_open(&aes, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_AESWRAP, GCRY_CIPHER_SECURE);
	if (!e)
		e = gcry_cipher_setkey(aes, kek, COF_KEY);
	if (!e)
		e = gcry_cipher_encrypt(aes, wrapped, WRAPPED, key, COF_KEY);
	gcry_cipher_close(aes);
	return e ? cof_gcry_errno(e) : 0;
}

static void put_originator(const struct cof_cms_recipient *to, const uint8_t *public_key, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf bits = {0}, key = {0}, choice = {0};

	cof_buf_add(&bits, "", 1); /* none of the last byte is unused */
	cof_buf_add(&bits, public_key, to->point.len);
	cof_buf_add(&key, id_ec_public_key, sizeof(id_ec_public_key));
	cms_put_buf(&key, CMS_BITS, &bits);
	cms_put_buf(&choice, CMS_EXPLICIT_1, &key);
	cms_put_buf(ret, CMS_EXPLICIT_0, &choice);
}

static void put_key(const struct cof_cms_recipient *to, const uint8_t wrapped[WRAPPED], struct cof_buf *ret)
{
	cof_autobuf struct cof_buf id = {0}, one = {0}, all = {0};

	cof_buf_add(&id, to->issuer.data, to->issuer.len);
	cms_put_buf(&id, CMS_INTEGER, &to->serial);
	cms_put_buf(&one, CMS_SEQUENCE, &id);
	cms_put(&one, CMS_OCTETS, wrapped, WRAPPED);
	cms_put_buf(&all, CMS_SEQUENCE, &one);
	cms_put_buf(ret, CMS_SEQUENCE, &all);
}

int cms_put_agreed(const struct cof_cms_recipient *to, const uint8_t *key, struct cof_buf *ret)
{
	cof_autosecret uint8_t *secret = cof_secret_alloc(COF_CMS_COORDINATE + 4 + sizeof(shared_info));
	uint8_t public_key[1 + 2 * COF_CMS_COORDINATE], wrapped[WRAPPED], scheme[sizeof(agree_sha256)];
	cof_autobuf struct cof_buf all = {0};
	int r = secret ? 0 : -ENOMEM;

	cof_pool_confidential(true);
	if (r == 0)
		r = agree(to, secret, public_key);
	if (r == 0)
		r = wrap(to, secret, key, wrapped);
	cof_pool_confidential(false);
	if (r < 0)
		return r;
	memcpy(scheme, agree_sha256, sizeof(scheme));
	scheme[9] = to->curve == 384 ? 2 : 1;
	cof_buf_add(&all, version_3, sizeof(version_3));
	put_originator(to, public_key, &all);
	cof_buf_add(&all, scheme, sizeof(scheme));
	put_key(to, wrapped, &all);
	cms_put_buf(ret, CMS_EXPLICIT_1, &all);
	return ret->failed ? -ENOMEM : 0;
}
