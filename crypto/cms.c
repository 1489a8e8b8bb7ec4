/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuTLS has no enveloped data, and a library that has would hold the plaintext in ordinary memory: what of CMS is needed here
 * is written, never read, and is a few pages of DER around libgcrypt's AES-GCM, RSA-OAEP and ECDH (docs/decisions.md).
 */
#include "crypto/cms-private.h"
#include "crypto/private.h"

/* ---- DER ---- */

static void head(struct cof_buf *b, uint8_t tag, size_t n)
{
	uint8_t h[6] = {tag};
	size_t k = 0;

	if (n < 128) {
		h[1] = (uint8_t)n;
		cof_buf_add(b, h, 2);
		return;
	}
	while (n >> (8 * k))
		k++;
	h[1] = (uint8_t)(0x80 | k);
	for (size_t i = 0; i < k; i++)
		h[2 + i] = (uint8_t)(n >> (8 * (k - 1 - i)));
	cof_buf_add(b, h, 2 + k);
}

void cms_put(struct cof_buf *b, uint8_t tag, const void *p, size_t n)
{
	head(b, tag, n);
	cof_buf_add(b, p, n);
}

void cms_put_buf(struct cof_buf *b, uint8_t tag, const struct cof_buf *v)
{
	cms_put(b, tag, v->data, v->len);
	b->failed |= v->failed;
}

static const uint8_t version_0[] = {0x02, 1, 0};
static const uint8_t id_data[] = {0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1};
static const uint8_t id_auth_enveloped[] = {0x06, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 0x17};
static const uint8_t oaep[] = {/* id-RSAES-OAEP; hash SHA-256; MGF1 with SHA-256 */
			       0x30, 0x3c, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7, 0x30, 0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 9,
			       0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7,
			       0x0d, 1, 1, 8, 0x30, 0x0d, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0};
static const uint8_t gcm_head[] = {/* id-aes256-GCM; nonce of 12 bytes; then the length of the tag */
				   0x30, 0x1e, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2e, 0x30, 0x11, 0x04, 0x0c};
static const uint8_t gcm_tail[] = {0x02, 1, 16};

/* ---- encrypting ---- */

/* The key for AES to the RSA key, as many bytes as the modulus has. */
static int wrap_key(const struct cof_cms_recipient *to, const uint8_t *key, struct cof_buf *ret)
{
	gcry_sexp_t public_key = NULL, plain = NULL, sealed = NULL, value = NULL;
	const uint8_t *skip = to->modulus.data;
	size_t bytes = to->modulus.len, n = 0;
	uint8_t zero[1024] = {0};
	const char *p;
	gcry_error_t e;

	while (bytes && !*skip) { /* DER's sign */
		skip++;
		bytes--;
	}
	cof_pool_confidential(true);
	e = gcry_sexp_build(&public_key, NULL, "(public-key(rsa(n %b)(e %b)))", (int)to->modulus.len, to->modulus.data,
			    (int)to->exponent.len, to->exponent.data);
	if (!e)
		e = gcry_sexp_build(&plain, NULL, "(data(flags oaep)(hash-algo sha256)(value %b))", COF_KEY, key);
	if (!e)
		e = gcry_pk_encrypt(&sealed, plain, public_key);
	cof_pool_confidential(false);
	value = e ? NULL : gcry_sexp_find_token(sealed, "a", 0);
	p = value ? gcry_sexp_nth_data(value, 1, &n) : NULL;
	while (p && n && !*p) {
		p++;
		n--;
	}
	if (p && n <= bytes && bytes - n < sizeof(zero)) {
		cof_buf_add(ret, zero, bytes - n);
		cof_buf_add(ret, p, n);
	}
	gcry_sexp_release(public_key);
	gcry_sexp_release(plain);
	gcry_sexp_release(sealed);
	gcry_sexp_release(value);
	return e ? cof_gcry_errno(e) : ret->failed ? -ENOMEM : ret->len == bytes && bytes ? 0 : -EIO;
}

static int put_recipient(const struct cof_cms_recipient *to, const uint8_t *key, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf id = {0}, wrapped = {0}, all = {0};
	int r = wrap_key(to, key, &wrapped);

	cof_buf_add(&id, to->issuer.data, to->issuer.len);
	cms_put_buf(&id, CMS_INTEGER, &to->serial);
	cof_buf_add(&all, version_0, sizeof(version_0));
	cms_put_buf(&all, CMS_SEQUENCE, &id);
	cof_buf_add(&all, oaep, sizeof(oaep));
	cms_put_buf(&all, CMS_OCTETS, &wrapped);
	cms_put_buf(ret, CMS_SEQUENCE, &all);
	return r;
}

static int put_content(const uint8_t *key, const void *plain, size_t n, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf all = {0};
	cof_autoaead struct cof_aead *aead = NULL;
	uint8_t nonce[COF_NONCE];
	uint8_t *sealed = malloc(n + 16);
	int r = sealed ? cof_aead_new(key, &aead) : -ENOMEM;

	cof_random(nonce, sizeof(nonce));
	if (r == 0)
		r = cof_aead_seal(aead, nonce, NULL, 0, plain, n, sealed);
	if (r == 0) {
		cof_buf_add(&all, id_data, sizeof(id_data));
		cof_buf_add(&all, gcm_head, sizeof(gcm_head));
		cof_buf_add(&all, nonce, sizeof(nonce));
		cof_buf_add(&all, gcm_tail, sizeof(gcm_tail));
		cms_put(&all, CMS_CONTEXT_0, sealed, n);
		cms_put_buf(ret, CMS_SEQUENCE, &all);
		cms_put(ret, CMS_OCTETS, sealed + n, 16);
	}
	free(sealed);
	return r;
}

int cof_cms_encrypt(const struct cof_cms_recipient *to, const void *plain, size_t n, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf recipient = {0}, all = {0}, enveloped = {0}, info = {0};
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	int r = key ? 0 : -ENOMEM;

	if (r == 0)
		cof_random(key, COF_KEY);
	if (r == 0)
		r = to->curve ? cms_put_agreed(to, key, &recipient) : put_recipient(to, key, &recipient);
	cof_buf_add(&all, version_0, sizeof(version_0));
	cms_put_buf(&all, CMS_SET, &recipient);
	if (r == 0)
		r = put_content(key, plain, n, &all);
	cms_put_buf(&enveloped, CMS_SEQUENCE, &all);
	cof_buf_add(&info, id_auth_enveloped, sizeof(id_auth_enveloped));
	cms_put_buf(&info, CMS_EXPLICIT_0, &enveloped);
	if (r == 0)
		cms_put_buf(ret, CMS_SEQUENCE, &info);
	if (r == 0 && ret->failed)
		r = -ENOMEM;
	return r < 0 ? cof_fail(diag, r, "it could not be encrypted to the certificate: %s", strerror(-r)) : 0;
}
