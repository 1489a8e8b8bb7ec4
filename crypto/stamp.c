/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token is a signed message (CMS) with the certificate of its signer. GnuTLS reads both; which of the
 * certificates is the signer's, whether it may stamp, and whether it leads to one that is trusted is
 * looked at here, by RFC 3161 2.3 and 2.4.2.
 *
 * The system's configuration of GnuTLS (/etc/gnutls/config, GNUTLS_SYSTEM_PRIORITY_FILE) can make it take what it
 * should not, and refuse what is right. So what is weak is refused here too, whatever that says; and what it
 * refuses to look at is told apart from a signature that does not hold.
 */
#include "crypto/stamp-private.h"

#include <gnutls/pkcs7.h>
#include <gnutls/x509.h>
#include <stdio.h>

#define OID_TST_INFO "1.2.840.113549.1.9.16.1.4"
#define OID_SIGNING_CERTIFICATE "1.2.840.113549.1.9.16.2.12"
#define OID_SIGNING_CERTIFICATE_V2 "1.2.840.113549.1.9.16.2.47"
#define CERTIFICATES 16 /* that a token may carry */
#define CHAIN 8

struct opening {
	gnutls_pkcs7_t message;
	gnutls_pkcs7_signature_info_st info;
	bool has_info;
	gnutls_datum_t content;
	gnutls_x509_crt_t crt[CERTIFICATES];
	int crts, signer;
	gnutls_x509_crt_t *ca;
	unsigned cas;
};

static void opening_done(struct opening *o)
{
	for (int i = 0; i < o->crts; i++)
		gnutls_x509_crt_deinit(o->crt[i]);
	for (unsigned i = 0; i < o->cas; i++)
		gnutls_x509_crt_deinit(o->ca[i]);
	gnutls_free(o->ca);
	gnutls_free(o->content.data);
	if (o->has_info)
		gnutls_pkcs7_signature_info_deinit(&o->info);
	if (o->message)
		gnutls_pkcs7_deinit(o->message);
}

static bool not_here(int r)
{
	return r == GNUTLS_E_INSUFFICIENT_SECURITY || r == GNUTLS_E_ECC_UNSUPPORTED_CURVE ||
	       r == GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM || r == GNUTLS_E_UNKNOWN_HASH_ALGORITHM ||
	       r == GNUTLS_E_UNKNOWN_PK_ALGORITHM || r == GNUTLS_E_UNIMPLEMENTED_FEATURE;
}

static int unsupported(int r, struct cof_diag *diag)
{
	return cof_fail(diag, -EOPNOTSUPP,
			"the token cannot be checked here (%s): GnuTLS does not know what it was signed with, or "
			"this system's configuration of it (/etc/gnutls/config) forbids it",
			gnutls_strerror(r));
}

static int malformed(int r, const char *what, struct cof_diag *diag)
{
	if (not_here(r))
		return unsupported(r, diag);
	if (r == GNUTLS_E_MEMORY_ERROR)
		return cof_fail(diag, -ENOMEM, "out of memory");
	return cof_fail(diag, -EUCLEAN, "the token %s (%s)", what, gnutls_strerror(r));
}

/* ---- reading ---- */

static int read_certificates(struct opening *o, struct cof_diag *diag)
{
	int n = gnutls_pkcs7_get_crt_count(o->message);

	if (n <= 0)
		return cof_fail(diag, -EUCLEAN,
				"the token does not carry its signer's certificate: ask for it with the query");
	if (n > CERTIFICATES)
		return cof_fail(diag, -EUCLEAN, "the token carries %d certificates, more than %d", n, CERTIFICATES);
	while (o->crts < n) {
		gnutls_datum_t raw = {NULL, 0};
		int r = gnutls_pkcs7_get_crt_raw2(o->message, (unsigned)o->crts, &raw);

		if (r >= 0)
			r = gnutls_x509_crt_init(&o->crt[o->crts]);
		if (r >= 0)
			r = gnutls_x509_crt_import(o->crt[o->crts++], &raw, GNUTLS_X509_FMT_DER);
		gnutls_free(raw.data);
		if (r < 0)
			return malformed(r, "carries a certificate that cannot be read", diag);
	}
	return 0;
}

static int read_message(struct opening *o, const void *token, size_t n, struct cof_diag *diag)
{
	gnutls_datum_t data = {(void *)token, (unsigned)n};
	const char *oid;
	int r = gnutls_pkcs7_init(&o->message);

	if (r >= 0)
		r = gnutls_pkcs7_import(o->message, &data, GNUTLS_X509_FMT_DER);
	if (r < 0)
		return malformed(r, "is no signed message", diag);
	oid = gnutls_pkcs7_get_embedded_data_oid(o->message);
	if (!oid || strcmp(oid, OID_TST_INFO) != 0)
		return cof_fail(diag, -EUCLEAN, "this is a signed message, but no time-stamp token");
	if (gnutls_pkcs7_get_signature_count(o->message) != 1)
		return cof_fail(diag, -EUCLEAN, "a time-stamp token has one signature, this has %d",
				gnutls_pkcs7_get_signature_count(o->message));
	r = gnutls_pkcs7_get_signature_info(o->message, 0, &o->info);
	o->has_info = r >= 0;
	if (r >= 0)
		r = gnutls_pkcs7_get_embedded_data(o->message, 0, &o->content);
	if (r < 0)
		return malformed(r, "cannot be taken apart", diag);
	return read_certificates(o, diag);
}

/* ---- who signed ---- */

static bool same(const gnutls_datum_t *a, const void *p, size_t n)
{
	return a->size == n && (!n || !memcmp(a->data, p, n));
}

static bool is_named(const struct opening *o, gnutls_x509_crt_t crt)
{
	uint8_t serial[64], keyid[64];
	size_t n = sizeof(serial), k = sizeof(keyid);
	gnutls_datum_t dn = {NULL, 0};
	bool yes;

	if (!o->info.signer_serial.size) /* by the key's identifier */
		return o->info.issuer_keyid.size && !gnutls_x509_crt_get_subject_key_id(crt, keyid, &k, NULL) &&
		       same(&o->info.issuer_keyid, keyid, k);
	if (gnutls_x509_crt_get_serial(crt, serial, &n) < 0 ||
	    gnutls_x509_crt_get_raw_issuer_dn(crt, &dn) < 0)
		return false;
	yes = same(&o->info.signer_serial, serial, n) && same(&o->info.issuer_dn, dn.data, dn.size);
	gnutls_free(dn.data);
	return yes;
}

/* Which certificate the signature itself names. -ENOENT: none. */
static int bound_to(const struct opening *o, struct cof_signing_certificate *ret)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT; i++) {
		gnutls_datum_t data = {NULL, 0};
		char *oid = NULL; /* the list's own */
		bool v1, v2;

		if (gnutls_pkcs7_get_attr(o->info.signed_attrs, i, &oid, &data, 0) < 0)
			break;
		v1 = !strcmp(oid, OID_SIGNING_CERTIFICATE);
		v2 = !strcmp(oid, OID_SIGNING_CERTIFICATE_V2);
		if (v1 || v2)
			r = cof_signing_certificate(data.data, data.size, v2, ret);
		gnutls_free(data.data);
	}
	return r;
}

/* 1: it is this one, 0: another, or -errno. */
static int is_bound(const struct opening *o, gnutls_x509_crt_t crt)
{
	struct cof_signing_certificate named = {0};
	uint8_t print[COF_HASH];
	size_t n = sizeof(print);
	int r = bound_to(o, &named);

	if (r < 0)
		return r;
	if (gnutls_x509_crt_get_fingerprint(crt, named.sha1 ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256, print, &n) < 0)
		return -EIO;
	return n == (named.sha1 ? 20 : COF_HASH) && !memcmp(print, named.hash, n);
}

static int find_signer(struct opening *o, struct cof_diag *diag)
{
	int r;

	for (o->signer = 0; o->signer < o->crts && !is_named(o, o->crt[o->signer]); o->signer++)
		;
	if (o->signer == o->crts)
		return cof_fail(diag, -EUCLEAN, "the token does not carry the certificate of its signer");
	r = is_bound(o, o->crt[o->signer]);
	if (r < 0)
		return cof_fail(diag, -EUCLEAN,
				"the token does not say, as it has to, which certificate it was signed with "
				"(SigningCertificate)");
	if (!r)
		return cof_fail(diag, -EBADMSG, "the token was signed with another certificate than it carries");
	return 0;
}

/* ---- strength ---- */

static bool strong_hash(gnutls_sign_algorithm_t algorithm)
{
	switch (gnutls_sign_get_hash_algorithm(algorithm)) {
	case GNUTLS_DIG_SHA256:
	case GNUTLS_DIG_SHA384:
	case GNUTLS_DIG_SHA512:
	case GNUTLS_DIG_SHA3_256:
	case GNUTLS_DIG_SHA3_384:
	case GNUTLS_DIG_SHA3_512:
		return true;
	case GNUTLS_DIG_UNKNOWN: /* Ed25519 and Ed448 hash by themselves */
		return algorithm == GNUTLS_SIGN_EDDSA_ED25519 || algorithm == GNUTLS_SIGN_EDDSA_ED448;
	default:
		return false;
	}
}

/* 112 bits and more; and no key that was made to keep who verifies busy. */
static bool strong_key(int kind, unsigned bits)
{
	if (kind == GNUTLS_PK_RSA || kind == GNUTLS_PK_RSA_PSS)
		return bits >= 2048 && bits <= 16384;
	return kind != GNUTLS_PK_DSA && bits >= 256;
}

/* A signature of this kind, by this certificate's key. */
static int judge_strength(int algorithm, gnutls_x509_crt_t crt, const char *whose, struct cof_diag *diag)
{
	unsigned bits = 0;
	int kind = gnutls_x509_crt_get_pk_algorithm(crt, &bits);

	if (algorithm <= GNUTLS_SIGN_UNKNOWN || kind <= GNUTLS_PK_UNKNOWN || !bits)
		return unsupported(GNUTLS_E_UNKNOWN_PK_ALGORITHM, diag);
	if (strong_hash((gnutls_sign_algorithm_t)algorithm) && strong_key(kind, bits))
		return 0;
	return cof_fail(diag, -EKEYREJECTED,
			"%s is too weak to prove anything: SHA-2, and RSA from 2048 to 16384 bits or curves from 256 "
			"bits on are wanted",
			whose);
}

/* For stamping alone, and that critical (RFC 3161, 2.3). */
static bool may_stamp(gnutls_x509_crt_t crt)
{
	char oid[128];
	unsigned critical = 0;
	size_t n = sizeof(oid);

	if (gnutls_x509_crt_get_key_purpose_oid(crt, 0, oid, &n, &critical) < 0 || !critical ||
	    strcmp(oid, GNUTLS_KP_TIME_STAMPING) != 0)
		return false;
	n = sizeof(oid);
	return gnutls_x509_crt_get_key_purpose_oid(crt, 1, oid, &n, &critical) ==
	       GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
}

static bool valid_at(gnutls_x509_crt_t crt, int64_t ns)
{
	time_t at = (time_t)(ns / COF_NSEC), from = gnutls_x509_crt_get_activation_time(crt),
	       to = gnutls_x509_crt_get_expiration_time(crt);

	return from != (time_t)-1 && to != (time_t)-1 && at >= from && at <= to;
}

static int judge_signer(struct opening *o, struct cof_stamp *ret, struct cof_diag *diag)
{
	gnutls_x509_crt_t crt = o->crt[o->signer];
	gnutls_datum_t name = {NULL, 0};
	int r;

	r = judge_strength(o->info.algo, crt, "the token's signature", diag);
	if (r < 0)
		return r;
	r = gnutls_pkcs7_verify_direct(o->message, crt, 0, NULL, 0);
	if (not_here(r))
		return unsupported(r, diag);
	if (r < 0)
		return cof_fail(diag, -EBADMSG, "the token's signature does not hold (%s)", gnutls_strerror(r));
	if (!may_stamp(crt))
		return cof_fail(diag, -EKEYREJECTED,
				"the token's signer has a certificate that is not for time stamping alone");
	if (!valid_at(crt, ret->time))
		return cof_fail(diag, -EKEYREJECTED,
				"the signer's certificate was not valid at the time that the token says");
	if (gnutls_x509_crt_get_dn3(crt, &name, 0) < 0)
		return cof_fail(diag, -EUCLEAN, "the signer's certificate has no name");
	snprintf(ret->authority, sizeof(ret->authority), "%.*s", (int)name.size, (char *)name.data);
	gnutls_free(name.data);
	return 0;
}

/* ---- whom it leads to ---- */

static bool is_anchor(const struct opening *o, gnutls_x509_crt_t crt)
{
	for (unsigned i = 0; i < o->cas; i++)
		if (gnutls_x509_crt_equals(o->ca[i], crt))
			return true;
	return false;
}

/* The next one up, by name; what the signatures say is looked at afterwards. */
static gnutls_x509_crt_t issuer_of(const struct opening *o, gnutls_x509_crt_t crt)
{
	for (unsigned i = 0; i < o->cas; i++)
		if (gnutls_x509_crt_check_issuer(crt, o->ca[i]))
			return o->ca[i];
	for (int i = 0; i < o->crts; i++)
		if (!gnutls_x509_crt_equals(crt, o->crt[i]) && gnutls_x509_crt_check_issuer(crt, o->crt[i]))
			return o->crt[i];
	return NULL;
}

static int judge_chain(struct opening *o, struct cof_stamp *ret, struct cof_diag *diag)
{
	gnutls_x509_crt_t chain[CHAIN] = {o->crt[o->signer]};
	unsigned n = 1, status = 0;
	size_t len = COF_HASH;
	int r;

	while (!is_anchor(o, chain[n - 1])) {
		chain[n] = n + 1 < CHAIN ? issuer_of(o, chain[n - 1]) : NULL;
		if (!chain[n])
			return cof_fail(diag, -EKEYREJECTED,
					"the token's signer, %s, does not lead to a certificate that was given "
					"as trusted",
					ret->authority);
		if (!valid_at(chain[n], ret->time))
			return cof_fail(diag, -EKEYREJECTED,
					"a certificate between the token's signer and the trusted one was not "
					"valid at the time that the token says");
		r = judge_strength(gnutls_x509_crt_get_signature_algorithm(chain[n - 1]), chain[n],
				   "a signature between the token's signer and the trusted certificate", diag);
		if (r < 0)
			return r;
		n++;
	}
	/* Dates were looked at, as of the token's time and not of today. */
	if (gnutls_x509_crt_list_verify(chain, n, &chain[n - 1], 1, NULL, 0, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
					&status) < 0 ||
	    status)
		return cof_fail(diag, -EKEYREJECTED,
				"the chain from the token's signer to the trusted certificate does not hold%s",
				status & GNUTLS_CERT_INSECURE_ALGORITHM
					? ", by what this system's configuration of GnuTLS allows"
					: "");
	if (gnutls_x509_crt_get_fingerprint(chain[n - 1], GNUTLS_DIG_SHA256, ret->anchor, &len) < 0)
		return -EIO;
	ret->trusted = true;
	return 0;
}

static int read_ca(struct opening *o, const void *ca, size_t n, struct cof_diag *diag)
{
	gnutls_datum_t data = {(void *)ca, (unsigned)n};

	if (!n || n > COF_STAMP_CA_MAX ||
	    gnutls_x509_crt_list_import2(&o->ca, &o->cas, &data, GNUTLS_X509_FMT_PEM, 0) < 0)
		return cof_fail(diag, -EINVAL, "what was given as trusted is no certificate in PEM");
	return 0;
}

int cof_stamp_open(const void *token, size_t n, const void *ca, size_t ca_len, struct cof_stamp *ret,
		   struct cof_diag *diag)
{
	struct opening o COF_CLEANUP(opening_done) = {0};
	struct cof_stamp s = {0};
	size_t whole = 0;
	int r;

	if (n > COF_STAMP_TOKEN_MAX)
		return cof_fail(diag, -EFBIG, "a token has at most %u bytes, this has %zu", COF_STAMP_TOKEN_MAX, n);
	if (!cof_der_sequence(token, n, &whole) || whole != n)
		return cof_fail(diag, -EUCLEAN, "this is no token: not one value in DER, and nothing else");
	r = ca ? read_ca(&o, ca, ca_len, diag) : 0;
	if (r == 0)
		r = read_message(&o, token, n, diag);
	if (r == 0)
		r = cof_tst_info(o.content.data, o.content.size, &s, diag);
	if (r == 0)
		r = find_signer(&o, diag);
	if (r == 0)
		r = judge_signer(&o, &s, diag);
	if (r == 0 && ca)
		r = judge_chain(&o, &s, diag);
	if (r == 0)
		*ret = s;
	return r;
}
