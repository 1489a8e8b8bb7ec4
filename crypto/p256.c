/* SPDX-License-Identifier: Apache-2.0 */
/* ECDSA over P-256 with SHA-256, as persons sign with a token or openssl: keys read by GnuTLS, signatures checked by libgcrypt. */
#include "crypto/private.h"
#include "crypto/quorum.h"

#include <gnutls/abstract.h>

int cof_p256_public(const void *p, size_t n, uint8_t ret[COF_P256_POINT], struct cof_diag *diag)
{
	const gnutls_datum_t d = {(void *)(uintptr_t)p, (unsigned)n};
	gnutls_datum_t x = {NULL, 0}, y = {NULL, 0};
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	gnutls_pubkey_t key;
	int r = !n || n > 8192 ? GNUTLS_E_ASN1_DER_ERROR : gnutls_pubkey_init(&key);

	if (r < 0)
		return cof_fail(diag, -EUCLEAN, "it is empty, or too large for a public key");
	r = gnutls_pubkey_import(key, &d, memmem(p, n, "-----BEGIN ", 11) ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER);
	if (r >= 0)
		r = gnutls_pubkey_export_ecc_raw2(key, &curve, &x, &y, GNUTLS_EXPORT_FLAG_NO_LZ);
	gnutls_pubkey_deinit(key);
	if (r >= 0 && curve == GNUTLS_ECC_CURVE_SECP256R1 && x.size <= 32 && y.size <= 32) {
		memset(ret, 0, COF_P256_POINT);
		memcpy(ret + 32 - x.size, x.data, x.size);
		memcpy(ret + 64 - y.size, y.data, y.size);
	} else {
		r = -1;
	}
	gnutls_free(x.data);
	gnutls_free(y.data);
	return r < 0 ? cof_fail(diag, -EUCLEAN, "it is no public key of P-256 (openssl pkey -pubout)") : 0;
}

/* INTEGER: positive, shortest, at most 32 bytes. */
static bool take_number(const uint8_t **p, const uint8_t *end, uint8_t ret[32])
{
	const uint8_t *at = *p;
	size_t n;

	if (end - at < 3 || at[0] != 0x02 || at[1] < 1 || at[1] > 33 || end - at - 2 < at[1])
		return false;
	n = at[1];
	at += 2;
	*p = at + n;
	if (at[0] & 0x80 || (n > 1 && !at[0] && !(at[1] & 0x80)))
		return false;
	if (!at[0]) {
		at++;
		n--;
	}
	if (n > 32)
		return false;
	memset(ret, 0, 32);
	memcpy(ret + 32 - n, at, n);
	return true;
}

int cof_p256_signature(const void *p, size_t n, uint8_t ret[COF_P256_SIGNATURE])
{
	const uint8_t *at = p, *end = at + n;

	if (n < 8 || n > 72 || at[0] != 0x30 || at[1] != n - 2)
		return -EUCLEAN;
	at += 2;
	return take_number(&at, end, ret) && take_number(&at, end, ret + 32) && at == end ? 0 : -EUCLEAN;
}

int cof_p256_verify(const uint8_t point[COF_P256_POINT], const void *msg, size_t n, const uint8_t sig[COF_P256_SIGNATURE])
{
	gcry_sexp_t key = NULL, data = NULL, value = NULL;
	uint8_t q[65] = {4}, hash[COF_HASH];
	gcry_error_t e;

	memcpy(q + 1, point, COF_P256_POINT);
	cof_sha256(msg, n, hash);
	e = gcry_sexp_build(&key, NULL, "(public-key(ecc(curve \"NIST P-256\")(q %b)))", (int)sizeof(q), q);
	if (!e)
		e = gcry_sexp_build(&data, NULL, "(data(flags raw)(hash sha256 %b))", COF_HASH, hash);
	if (!e)
		e = gcry_sexp_build(&value, NULL, "(sig-val(ecdsa(r %b)(s %b)))", 32, sig, 32, sig + 32);
	if (!e)
		e = gcry_pk_verify(value, data, key);
	gcry_sexp_release(key);
	gcry_sexp_release(data);
	gcry_sexp_release(value);
	return !e ? 0 : gcry_err_code(e) == GPG_ERR_ENOMEM ? -ENOMEM : -EBADMSG;
}

bool cof_p256_on_curve(const uint8_t point[COF_P256_POINT])
{
	gcry_mpi_point_t q = gcry_mpi_point_new(0);
	gcry_mpi_t x = NULL, y = NULL;
	gcry_ctx_t ctx = NULL;
	bool on = !gcry_mpi_ec_new(&ctx, NULL, "NIST P-256") && !gcry_mpi_scan(&x, GCRYMPI_FMT_USG, point, 32, NULL) &&
		  !gcry_mpi_scan(&y, GCRYMPI_FMT_USG, point + 32, 32, NULL);

	if (on) {
		gcry_mpi_point_set(q, x, y, GCRYMPI_CONST_ONE);
		on = gcry_mpi_ec_curve_point(q, ctx);
	}
	gcry_mpi_release(x);
	gcry_mpi_release(y);
	gcry_mpi_point_release(q);
	gcry_ctx_release(ctx);
	return on;
}
