/* SPDX-License-Identifier: Apache-2.0 */
/* What a certificate or a request says a key may be used for. */
#include "crypto/private-key.h"

#include <gnutls/x509.h>

#define SIGNS                                                                                      \
	(GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_NON_REPUDIATION | GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN)
#define ENCRYPTS (GNUTLS_KEY_KEY_ENCIPHERMENT | GNUTLS_KEY_DATA_ENCIPHERMENT | GNUTLS_KEY_KEY_AGREEMENT)

static unsigned use_of(unsigned usage)
{
	return (usage & SIGNS ? (unsigned)COF_USE_SIGN : 0) | (usage & ENCRYPTS ? (unsigned)COF_USE_ENCRYPT : 0);
}

/* GnuTLS's error; 0. */
static int of_certificate(gnutls_x509_crt_t crt, struct cof_public_use *ret)
{
	size_t n = COF_HASH, m = COF_HASH;
	unsigned usage = 0;
	int r = gnutls_x509_crt_get_key_usage(crt, &usage, NULL);

	ret->has_usage = r >= 0;
	if (r < 0 && r != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return r;
	ret->use = r < 0 ? 0 : use_of(usage);
	ret->ca = gnutls_x509_crt_get_ca_status(crt, NULL) > 0;
	r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, ret->public_id, &n);
	return r < 0 ? r : gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, ret->fingerprint, &m);
}

static int of_request(gnutls_x509_crq_t crq, const gnutls_datum_t *der, struct cof_public_use *ret)
{
	size_t n = COF_HASH;
	unsigned usage = 0;
	int r = gnutls_x509_crq_get_key_usage(crq, &usage, NULL);

	ret->request = true;
	ret->has_usage = r >= 0;
	if (r < 0 && r != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return r;
	ret->use = r < 0 ? 0 : use_of(usage);
	cof_sha256(der->data, der->size, ret->fingerprint);
	return gnutls_x509_crq_get_key_id(crq, GNUTLS_KEYID_USE_SHA256, ret->public_id, &n);
}

static int read_certificate(const gnutls_datum_t *d, gnutls_x509_crt_fmt_t fmt, struct cof_public_use *ret)
{
	gnutls_x509_crt_t crt;
	int r = gnutls_x509_crt_init(&crt);

	if (r < 0)
		return r;
	r = gnutls_x509_crt_import(crt, d, fmt);
	if (r >= 0)
		r = of_certificate(crt, ret);
	gnutls_x509_crt_deinit(crt);
	return r;
}

/* Its signature has to be good: a request proves that who made it had the key. */
static int read_request(const gnutls_datum_t *d, gnutls_x509_crt_fmt_t fmt, struct cof_public_use *ret)
{
	gnutls_x509_crq_t crq;
	gnutls_datum_t der = {NULL, 0};
	int r = gnutls_x509_crq_init(&crq);

	if (r < 0)
		return r;
	r = gnutls_x509_crq_import(crq, d, fmt);
	if (r >= 0)
		r = gnutls_x509_crq_verify(crq, 0);
	if (r >= 0)
		r = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_DER, &der);
	if (r >= 0)
		r = of_request(crq, &der, ret);
	gnutls_free(der.data);
	gnutls_x509_crq_deinit(crq);
	return r;
}

int cof_public_use_read(const void *p, size_t n, struct cof_public_use *ret, struct cof_diag *diag)
{
	gnutls_datum_t d = {(void *)p, (unsigned)n};
	struct cof_public_use u = {.request = false};
	gnutls_x509_crt_fmt_t fmt;
	int r;

	if (!n || n > COF_PRIVATE_KEY_MAX)
		return cof_fail(diag, -EUCLEAN, "it is empty, or too large for one");
	fmt = memmem(p, n, "-----BEGIN ", 11) ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER;
	r = read_certificate(&d, fmt, &u);
	if (r < 0) {
		u = (struct cof_public_use){.request = true};
		if (read_request(&d, fmt, &u) >= 0)
			r = 0;
	}
	if (r < 0)
		return cof_fail(diag, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EUCLEAN, "it is neither a certificate nor a good request: %s",
				gnutls_strerror(r));
	*ret = u;
	return 0;
}
