/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate that something may be released to: read by GnuTLS, and judged before anything is encrypted to its key. */
#include "crypto/cms-private.h"

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
	cof_buf_done(&r->point);
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

static int take_rsa(gnutls_x509_crt_t crt, struct cof_cms_recipient *ret)
{
	gnutls_datum_t d = {NULL, 0}, e = {NULL, 0};
	int r = gnutls_x509_crt_get_pk_rsa_raw(crt, &d, &e);

	if (r < 0)
		return r;
	r = keep(0, &d, &ret->modulus);
	if (r == 0)
		r = keep(0, &e, &ret->exponent);
	gnutls_free(e.data);
	return r;
}

/* A coordinate with as many bytes as the curve has; GnuTLS may put a zero before it, or leave zeros out. */
static bool take_coordinate(const gnutls_datum_t *d, size_t bytes, uint8_t *out)
{
	const uint8_t *p = d->data;
	size_t n = d->size;

	for (; n && !*p; n--)
		p++;
	if (n > bytes)
		return false;
	memset(out, 0, bytes - n);
	memcpy(out + bytes - n, p, n);
	return true;
}

static int take_point(gnutls_x509_crt_t crt, struct cof_cms_recipient *ret)
{
	gnutls_datum_t x = {NULL, 0}, y = {NULL, 0};
	gnutls_ecc_curve_t curve;
	uint8_t point[1 + 2 * COF_CMS_COORDINATE] = {4};
	size_t bytes;
	int r = gnutls_x509_crt_get_pk_ecc_raw(crt, &curve, &x, &y);

	if (r < 0)
		return r;
	ret->curve = curve == GNUTLS_ECC_CURVE_SECP256R1 ? 256 : curve == GNUTLS_ECC_CURVE_SECP384R1 ? 384 : 0;
	bytes = ret->curve / 8;
	if (ret->curve && take_coordinate(&x, bytes, point + 1) && take_coordinate(&y, bytes, point + 1 + bytes))
		cof_buf_add(&ret->point, point, 1 + 2 * bytes);
	gnutls_free(x.data);
	gnutls_free(y.data);
	return ret->point.failed ? GNUTLS_E_MEMORY_ERROR : 0;
}

static int take_parts(gnutls_x509_crt_t crt, struct cof_cms_recipient *ret)
{
	gnutls_datum_t d = {NULL, 0};
	uint8_t serial[COF_CERT_SERIAL_MAX];
	size_t n = sizeof(serial);
	int kind, r = keep(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &d), &d, &ret->der);

	if (r == 0)
		r = keep(gnutls_x509_crt_get_raw_issuer_dn(crt, &d), &d, &ret->issuer);
	if (r == 0)
		r = gnutls_x509_crt_get_serial(crt, serial, &n);
	if (r == 0)
		cof_buf_add(&ret->serial, serial, n);
	kind = gnutls_x509_crt_get_pk_algorithm(crt, &ret->bits);
	if (r == 0 && kind == GNUTLS_PK_RSA)
		r = take_rsa(crt, ret);
	else if (r == 0 && kind == GNUTLS_PK_ECDSA)
		r = take_point(crt, ret);
	ret->short_curve = kind == GNUTLS_PK_ECDSA && ret->bits < COF_CMS_CURVE_MIN;
	return r == 0 && ret->serial.failed ? GNUTLS_E_MEMORY_ERROR : r;
}

static int one(void *user, const struct cof_cert *c)
{
	struct cof_cms_recipient *ret = user;

	ret->cert = *c;
	return c->kind == COF_CERT_CERTIFICATE ? 1 : 0;
}

/* ---- whether something may be encrypted to it ---- */

static bool is_odd(const struct cof_buf *number)
{
	return number->len && (number->data[number->len - 1] & 1);
}

static bool is_one(const struct cof_buf *number)
{
	for (size_t i = 0; i + 1 < number->len; i++)
		if (number->data[i])
			return false;
	return number->len && number->data[number->len - 1] == 1;
}

static int judge_key(const struct cof_cms_recipient *c, struct cof_diag *diag)
{
	if (c->short_curve)
		return cof_fail(diag, -EKEYREJECTED, "the certificate's key is on a curve of %u bits; %d is the least", c->bits, COF_CMS_CURVE_MIN);
	if (!c->modulus.len && !c->curve)
		return cof_fail(diag, -EOPNOTSUPP, "the certificate's key is neither RSA nor on the curve P-256 or P-384, and only to those can be "
						   "encrypted here: name an age recipient, or another certificate");
	if (c->curve)
		return cms_point_ok(c) ? 0 : cof_fail(diag, -EUCLEAN, "the certificate's key is no point of its curve: what is encrypted to it could be "
								      "read by others");
	if (c->bits < COF_CMS_BITS_MIN)
		return cof_fail(diag, -EKEYREJECTED, "the certificate's key has %u bits; %d is the least", c->bits, COF_CMS_BITS_MIN);
	if (is_one(&c->exponent))
		return cof_fail(diag, -EKEYREJECTED, "the certificate's RSA key has 1 as public exponent: what is encrypted to it everybody reads");
	if (!is_odd(&c->exponent) || !is_odd(&c->modulus))
		return cof_fail(diag, -EKEYREJECTED, "the certificate's RSA key has an even %s: it is none that anybody can decrypt with",
				is_odd(&c->modulus) ? "public exponent" : "modulus");
	return 0;
}

static int judge_usage(gnutls_x509_crt_t crt, const struct cof_cms_recipient *c, struct cof_diag *diag)
{
	unsigned usage = 0, wanted = c->curve ? GNUTLS_KEY_KEY_AGREEMENT : GNUTLS_KEY_KEY_ENCIPHERMENT;

	if (gnutls_x509_crt_get_key_usage(crt, &usage, NULL) < 0)
		return cof_fail(diag, -EKEYREJECTED, "the certificate does not say what its key is for (keyUsage): to its key nothing is encrypted");
	if (!(usage & wanted))
		return cof_fail(diag, -EKEYREJECTED, "the certificate is not for %s (keyUsage): to its key nothing is encrypted",
				c->curve ? "keyAgreement" : "keyEncipherment");
	if (c->curve && (usage & GNUTLS_KEY_ENCIPHER_ONLY))
		return cof_fail(diag, -EKEYREJECTED, "the certificate's key may only encipher (keyUsage encipherOnly): its owner could not read it");
	return 0;
}

static int judge(gnutls_x509_crt_t crt, int64_t now, struct cof_cms_recipient *ret, struct cof_diag *diag)
{
	int r = judge_key(ret, diag);

	if (r == 0)
		r = judge_usage(crt, ret, diag);
	if (r == 0 && (now < ret->cert.not_before || now > ret->cert.not_after))
		r = cof_fail(diag, -EKEYEXPIRED, "the certificate is not valid %s", now < ret->cert.not_before ? "yet" : "any more");
	return r;
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
