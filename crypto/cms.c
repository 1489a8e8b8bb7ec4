/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuTLS has no enveloped data, and a library that has would hold the plaintext in ordinary memory: what of CMS is needed here
 * is written, never read, and is a page of DER around libgcrypt's AES-GCM and RSA-OAEP (docs/decisions.md).
 */
#include "crypto/cms.h"
#include "crypto/private.h"

#include <gnutls/x509.h>
#include <stdio.h>

#define PREFIX "x509-sha256:"

bool cof_cms_name_ok(const char *name)
{
	return !strncmp(name, PREFIX, sizeof(PREFIX) - 1) && strlen(name) == COF_CMS_NAME - 1 &&
	       strspn(name + sizeof(PREFIX) - 1, "0123456789abcdef") == 64;
}

/* ---- the certificate ---- */

void cof_cms_recipient_done(struct cof_cms_recipient *r)
{
	cof_buf_done(&r->der);
	cof_buf_done(&r->issuer);
	cof_buf_done(&r->serial);
	cof_buf_done(&r->modulus);
	cof_buf_done(&r->exponent);
}

/* Takes d. GnuTLS's error; 0. */
static int keep(int r, gnutls_datum_t *d, struct cof_buf *ret)
{
	if (r < 0)
		return r;
	cof_buf_add(ret, d->data, d->size);
	gnutls_free(d->data);
	*d = (gnutls_datum_t){NULL, 0};
	return ret->failed ? GNUTLS_E_MEMORY_ERROR : 0;
}

static int take_parts(gnutls_x509_crt_t crt, struct cof_cms_recipient *ret)
{
	gnutls_datum_t d = {NULL, 0}, e = {NULL, 0};
	uint8_t serial[COF_CERT_SERIAL_MAX];
	size_t n = sizeof(serial);
	int r = keep(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &d), &d, &ret->der);

	if (r == 0)
		r = keep(gnutls_x509_crt_get_raw_issuer_dn(crt, &d), &d, &ret->issuer);
	if (r == 0)
		r = gnutls_x509_crt_get_serial(crt, serial, &n);
	if (r == 0)
		cof_buf_add(&ret->serial, serial, n);
	if (r == 0 && gnutls_x509_crt_get_pk_algorithm(crt, &ret->bits) == GNUTLS_PK_RSA) {
		r = gnutls_x509_crt_get_pk_rsa_raw(crt, &d, &e);
		if (r == 0)
			r = keep(r, &d, &ret->modulus);
		if (r == 0)
			r = keep(r, &e, &ret->exponent);
		gnutls_free(e.data);
	}
	return r == 0 && ret->serial.failed ? GNUTLS_E_MEMORY_ERROR : r;
}

static int one(void *user, const struct cof_cert *c)
{
	struct cof_cms_recipient *ret = user;

	ret->cert = *c;
	return c->kind == COF_CERT_CERTIFICATE ? 1 : 0;
}

static int judge(gnutls_x509_crt_t crt, int64_t now, struct cof_cms_recipient *ret, struct cof_diag *diag)
{
	unsigned usage = 0;
	int r = gnutls_x509_crt_get_key_usage(crt, &usage, NULL);

	if (!ret->modulus.len)
		return cof_fail(diag, -EOPNOTSUPP, "the certificate's key is not RSA, and only to RSA can be encrypted here: name an age "
						   "recipient, or another certificate");
	if (ret->bits < COF_CMS_BITS_MIN)
		return cof_fail(diag, -EKEYREJECTED, "the certificate's key has %u bits; %d is the least", ret->bits, COF_CMS_BITS_MIN);
	if (r < 0 || !(usage & GNUTLS_KEY_KEY_ENCIPHERMENT))
		return cof_fail(diag, -EKEYREJECTED, "the certificate %s: to its key nothing is encrypted",
				r < 0 ? "does not say what its key is for (keyUsage)" : "is not for keyEncipherment (keyUsage)");
	if (now < ret->cert.not_before || now > ret->cert.not_after)
		return cof_fail(diag, -EKEYEXPIRED, "the certificate is not valid %s", now < ret->cert.not_before ? "yet" : "any more");
	return 0;
}

static int take_certificate(gnutls_x509_crt_t crt, const void *p, size_t n, struct cof_cms_recipient *ret)
{
	const gnutls_datum_t d = {(void *)(uintptr_t)p, (unsigned)n};
	int r = gnutls_x509_crt_import(crt, &d, memmem(p, n, "-----BEGIN ", 11) ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER);

	return r < 0 ? r : take_parts(crt, ret);
}

int cof_cms_recipient_read(const void *p, size_t n, int64_t now, struct cof_cms_recipient *ret, struct cof_diag *diag)
{
	gnutls_x509_crt_t crt = NULL;
	struct cof_cert_sum sum;
	char hex[2 * COF_HASH + 1];
	int r;

	*ret = (struct cof_cms_recipient){.bits = 0};
	if (!n || n > COF_CMS_CERT_MAX)
		return cof_fail(diag, -EUCLEAN, "it is empty, or too large for a certificate");
	r = gnutls_x509_crt_init(&crt);
	if (r == 0)
		r = take_certificate(crt, p, n, ret);
	if (r < 0) {
		gnutls_x509_crt_deinit(crt);
		return cof_fail(diag, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EUCLEAN, "it is no certificate: %s", gnutls_strerror(r));
	}
	r = cof_cert_read(ret->der.data, ret->der.len, one, ret, &sum, diag); /* names and times as everywhere */
	if (r > 0)
		r = judge(crt, now, ret, diag);
	else if (r == 0)
		r = cof_fail(diag, -EUCLEAN, "it is no certificate");
	gnutls_x509_crt_deinit(crt);
	cof_hex(ret->cert.fingerprint, COF_HASH, hex);
	snprintf(ret->name, sizeof(ret->name), PREFIX "%s", hex);
	return r;
}

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

static void put(struct cof_buf *b, uint8_t tag, const void *p, size_t n)
{
	head(b, tag, n);
	cof_buf_add(b, p, n);
}

static void put_buf(struct cof_buf *b, uint8_t tag, const struct cof_buf *v)
{
	put(b, tag, v->data, v->len);
	b->failed |= v->failed;
}

enum { INTEGER = 0x02, OCTETS = 0x04, SEQUENCE = 0x30, SET = 0x31, CONTEXT_0 = 0x80, EXPLICIT_0 = 0xa0 };

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
	put_buf(&id, INTEGER, &to->serial);
	cof_buf_add(&all, version_0, sizeof(version_0));
	put_buf(&all, SEQUENCE, &id);
	cof_buf_add(&all, oaep, sizeof(oaep));
	put_buf(&all, OCTETS, &wrapped);
	put_buf(ret, SEQUENCE, &all);
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
		put(&all, CONTEXT_0, sealed, n);
		put_buf(ret, SEQUENCE, &all);
		put(ret, OCTETS, sealed + n, 16);
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
		r = put_recipient(to, key, &recipient);
	cof_buf_add(&all, version_0, sizeof(version_0));
	put_buf(&all, SET, &recipient);
	if (r == 0)
		r = put_content(key, plain, n, &all);
	put_buf(&enveloped, SEQUENCE, &all);
	cof_buf_add(&info, id_auth_enveloped, sizeof(id_auth_enveloped));
	put_buf(&info, EXPLICIT_0, &enveloped);
	if (r == 0)
		put_buf(ret, SEQUENCE, &info);
	if (r == 0 && ret->failed)
		r = -ENOMEM;
	return r < 0 ? cof_fail(diag, r, "it could not be encrypted to the certificate: %s", strerror(-r)) : 0;
}
