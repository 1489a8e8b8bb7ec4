/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuTLS takes certificates, CRLs, requests and PKCS#7 apart; here the blocks of a PEM file are found, and
 * what was read is brought into one shape. A file is anybody's: all of it is bounded, and the search for the
 * ends of blocks goes over the file once for each label at most.
 */
#include "crypto/cert.h"
#include "crypto/stamp-private.h"

#include <gnutls/pkcs7.h>
#include <gnutls/x509.h>
#include <stdio.h>

/* RFC 5280's "no well-defined expiration date", 99991231235959Z. Where time_t is short GnuTLS has another. */
#define NO_END 253402300799

struct reading {
	cof_cert_fn fn;
	void *user;
	struct cof_cert_sum sum;
	struct cof_cert *c; /* the one item at hand */
	unsigned seen;	    /* items and unreadable ones */
	int error;	    /* of the first that cannot be read, GnuTLS's; 0: all could */
};

/* ---- one value at a time ---- */

static bool no_end(time_t t)
{
	return t == NO_END || t == GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION;
}

static int64_t time_of(time_t t)
{
	if (t < 0) /* GnuTLS says -1 for what it cannot read, and 0 for what lies before 1970 */
		return COF_CERT_NO_TIME;
	if (no_end(t) || t > INT64_MAX / COF_NSEC - 1)
		return INT64_MAX - 1;
	return (int64_t)t * COF_NSEC;
}

/* Cut between two characters. A NUL would hide what follows. */
static void take_name(gnutls_datum_t *d, int r, char out[COF_CERT_NAME_MAX + 1])
{
	size_t n = r < 0 ? 0 : d->size;

	if (n > COF_CERT_NAME_MAX)
		for (n = COF_CERT_NAME_MAX; n && (d->data[n] & 0xc0) == 0x80; n--)
			;
	for (size_t i = 0; i < n; i++)
		out[i] = d->data[i] ? (char)d->data[i] : '?';
	out[n] = '\0';
	if (r >= 0)
		gnutls_free(d->data);
}

static int finish(struct reading *rd, const gnutls_datum_t *der)
{
	struct cof_cert *c = rd->c;
	struct cof_cert_sum *s = &rd->sum;

	cof_sha256(der->data, der->size, c->fingerprint);
	s->items++;
	if (c->not_after != COF_CERT_NO_TIME)
		s->not_after = COF_MAX(s->not_after, c->not_after);
	if (c->kind == COF_CERT_CERTIFICATE) {
		int64_t from = COF_MAX(c->not_before, 0);

		s->longest = COF_MAX(s->longest, c->not_after - COF_MIN(from, c->not_after));
	}
	return rd->fn ? rd->fn(rd->user, c) : 0;
}

/* What follows gives 0, -errno of fn, or GnuTLS's error in *gnutls. */

static int read_crt(struct reading *rd, const gnutls_datum_t *der, int *gnutls)
{
	gnutls_datum_t name = {NULL, 0}, raw_subject = {NULL, 0}, raw_issuer = {NULL, 0};
	struct cof_cert *c = rd->c;
	gnutls_x509_crt_t crt;
	time_t end;
	int r = gnutls_x509_crt_init(&crt);

	if (r < 0) {
		*gnutls = r;
		return 0;
	}
	*c = (struct cof_cert){.kind = COF_CERT_CERTIFICATE, .serial_len = sizeof(c->serial)};
	r = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER);
	if (r >= 0)
		r = gnutls_x509_crt_get_serial(crt, c->serial, &c->serial_len);
	if (r >= 0) {
		end = gnutls_x509_crt_get_expiration_time(crt);
		c->not_before = time_of(gnutls_x509_crt_get_activation_time(crt));
		c->not_after = time_of(end);
		if (no_end(end))
			c->flags |= COF_CERT_NO_END;
		if (end < 0) /* nothing could be kept until then */
			r = GNUTLS_E_ASN1_DER_ERROR;
	}
	if (r >= 0) {
		take_name(&name, gnutls_x509_crt_get_dn3(crt, &name, 0), c->subject);
		take_name(&name, gnutls_x509_crt_get_issuer_dn3(crt, &name, 0), c->issuer);
		if (gnutls_x509_crt_get_ca_status(crt, NULL) > 0)
			c->flags |= COF_CERT_CA;
		if (gnutls_x509_crt_get_raw_dn(crt, &raw_subject) >= 0 &&
		    gnutls_x509_crt_get_raw_issuer_dn(crt, &raw_issuer) >= 0 &&
		    raw_subject.size == raw_issuer.size &&
		    !memcmp(raw_subject.data, raw_issuer.data, raw_issuer.size))
			c->flags |= COF_CERT_SELF_ISSUED;
		gnutls_free(raw_subject.data);
		gnutls_free(raw_issuer.data);
	}
	gnutls_x509_crt_deinit(crt);
	*gnutls = COF_MIN(r, 0);
	return r < 0 ? 0 : finish(rd, der);
}

static int read_crl(struct reading *rd, const gnutls_datum_t *der, int *gnutls)
{
	gnutls_datum_t name = {NULL, 0};
	struct cof_cert *c = rd->c;
	gnutls_x509_crl_t crl;
	int r = gnutls_x509_crl_init(&crl);

	if (r < 0) {
		*gnutls = r;
		return 0;
	}
	*c = (struct cof_cert){.kind = COF_CERT_CRL, .serial_len = sizeof(c->serial)};
	r = gnutls_x509_crl_import(crl, der, GNUTLS_X509_FMT_DER);
	if (r >= 0) {
		if (gnutls_x509_crl_get_number(crl, c->serial, &c->serial_len, NULL) < 0)
			c->serial_len = 0;
		c->not_before = time_of(gnutls_x509_crl_get_this_update(crl));
		c->not_after = time_of(gnutls_x509_crl_get_next_update(crl));
		take_name(&name, gnutls_x509_crl_get_issuer_dn3(crl, &name, 0), c->issuer);
	}
	gnutls_x509_crl_deinit(crl);
	*gnutls = COF_MIN(r, 0);
	return r < 0 ? 0 : finish(rd, der);
}

static int read_crq(struct reading *rd, const gnutls_datum_t *der, int *gnutls)
{
	gnutls_datum_t name = {NULL, 0};
	struct cof_cert *c = rd->c;
	gnutls_x509_crq_t crq;
	int r = gnutls_x509_crq_init(&crq);

	if (r < 0) {
		*gnutls = r;
		return 0;
	}
	*c = (struct cof_cert){.kind = COF_CERT_REQUEST,
			       .not_before = COF_CERT_NO_TIME,
			       .not_after = COF_CERT_NO_TIME};
	r = gnutls_x509_crq_import(crq, der, GNUTLS_X509_FMT_DER);
	if (r >= 0) /* GnuTLS imports an empty sequence as well */
		r = gnutls_x509_crq_get_version(crq);
	if (r >= 0)
		take_name(&name, gnutls_x509_crq_get_dn3(crq, &name, 0), c->subject);
	gnutls_x509_crq_deinit(crq);
	*gnutls = COF_MIN(r, 0);
	return r < 0 ? 0 : finish(rd, der);
}

typedef int read_fn(struct reading *rd, const gnutls_datum_t *der, int *gnutls);

static int count_one(struct reading *rd)
{
	return ++rd->seen > COF_CERT_ITEMS_MAX ? -EFBIG : 0;
}

static void unreadable(struct reading *rd, int gnutls)
{
	rd->sum.unread++;
	if (!rd->error)
		rd->error = gnutls;
}

/* One item of a chain, whose DER is ours to free. */
static int one_of_chain(struct reading *rd, read_fn *read, int r, gnutls_datum_t *raw)
{
	int gnutls = r, err = count_one(rd);

	if (r >= 0 && !err)
		err = read(rd, raw, &gnutls);
	if (r >= 0)
		gnutls_free(raw->data);
	if (!err && gnutls < 0)
		unreadable(rd, gnutls);
	return err;
}

/* A chain is not an item itself; one of nothing gives nothing. */
static int read_pkcs7(struct reading *rd, const gnutls_datum_t *der, int *gnutls)
{
	gnutls_pkcs7_t chain;
	int err = 0, n, r = gnutls_pkcs7_init(&chain);

	if (r < 0) {
		*gnutls = r;
		return 0;
	}
	r = gnutls_pkcs7_import(chain, der, GNUTLS_X509_FMT_DER);
	n = r < 0 ? 0 : gnutls_pkcs7_get_crt_count(chain);
	for (int i = 0; i < n && !err; i++) {
		gnutls_datum_t raw = {NULL, 0};

		err = one_of_chain(rd, read_crt, gnutls_pkcs7_get_crt_raw2(chain, (unsigned)i, &raw), &raw);
	}
	n = r < 0 || err ? 0 : gnutls_pkcs7_get_crl_count(chain);
	for (int i = 0; i < n && !err; i++) {
		gnutls_datum_t raw = {NULL, 0};

		err = one_of_chain(rd, read_crl, gnutls_pkcs7_get_crl_raw2(chain, (unsigned)i, &raw), &raw);
	}
	gnutls_pkcs7_deinit(chain);
	*gnutls = COF_MIN(r, 0);
	return err;
}

/* ---- a file ---- */

/* One value, and nothing else. libtasn1 takes a length of which bytes are missing for a shorter one. */
static bool whole(const gnutls_datum_t *der)
{
	size_t n = 0;

	return der->size >= 8 && cof_der_sequence(der->data, der->size, &n) && n == der->size;
}

static int read_der(struct reading *rd, const void *p, size_t n)
{
	static read_fn *const all[] = {read_crt, read_crl, read_crq, read_pkcs7};
	gnutls_datum_t der = {(void *)p, (unsigned)n};
	int err = count_one(rd), first = GNUTLS_E_ASN1_DER_ERROR;
	bool is_whole = whole(&der);

	for (size_t i = 0; i < COF_COUNT(all) && !err && is_whole; i++) {
		int gnutls = 0;

		err = all[i](rd, &der, &gnutls);
		if (err || gnutls == 0 || gnutls == GNUTLS_E_MEMORY_ERROR)
			return err ? err : gnutls ? -ENOMEM : 0;
		if (!i)
			first = gnutls;
	}
	if (!err)
		unreadable(rd, first);
	return err;
}

static const struct label {
	const char *name;
	read_fn *read;
} labels[] = {
    {"CERTIFICATE", read_crt},	       {"X509 CERTIFICATE", read_crt},
    {"X509 CRL", read_crl},	       {"CERTIFICATE REQUEST", read_crq},
    {"NEW CERTIFICATE REQUEST", read_crq}, {"PKCS7", read_pkcs7},
    {"CMS", read_pkcs7},
};
#define BEGIN "-----BEGIN "
#define DASHES "-----"

/* The label at p, behind BEGIN; COF_COUNT(labels): none that is known here. */
static size_t find_label(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < COF_COUNT(labels); i++) {
		size_t len = strlen(labels[i].name);

		if (n >= len + sizeof(DASHES) - 1 && !memcmp(p, labels[i].name, len) &&
		    !memcmp(p + len, DASHES, sizeof(DASHES) - 1))
			break;
	}
	return i;
}

static int read_block(struct reading *rd, const struct label *label, const char *p, size_t n)
{
	gnutls_datum_t text = {(void *)p, (unsigned)n}, der = {NULL, 0};
	int gnutls, err = count_one(rd), r = err ? 0 : gnutls_pem_base64_decode2(label->name, &text, &der);

	if (err)
		return err;
	gnutls = COF_MIN(r, 0);
	if (r >= 0 && !whole(&der))
		gnutls = GNUTLS_E_ASN1_DER_ERROR;
	else if (r >= 0)
		err = label->read(rd, &der, &gnutls);
	gnutls_free(der.data);
	if (gnutls == GNUTLS_E_MEMORY_ERROR)
		return -ENOMEM;
	if (!err && gnutls < 0)
		unreadable(rd, gnutls);
	return err;
}

static int read_pem(struct reading *rd, const char *p, size_t n)
{
	const char *at = p, *end = p + n, *block;
	unsigned endless = 0; /* labels whose END does not come any more, as bits */
	int err = 0;

	while (!err && (block = memmem(at, (size_t)(end - at), BEGIN, sizeof(BEGIN) - 1))) {
		const char *name = block + sizeof(BEGIN) - 1, *close;
		size_t i = find_label(name, (size_t)(end - name));
		char last[64];
		int len;

		at = name;
		if (i == COF_COUNT(labels) || (block > p && block[-1] != '\n' && block[-1] != '\r'))
			continue;
		len = snprintf(last, sizeof(last), "-----END %s-----", labels[i].name);
		close = endless >> i & 1 ? NULL : memmem(at, (size_t)(end - at), last, (size_t)len);
		if (!close) {
			endless |= 1u << i;
			err = count_one(rd);
			if (!err)
				unreadable(rd, GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR);
			continue;
		}
		at = close + len;
		err = read_block(rd, &labels[i], block, (size_t)(at - block));
	}
	return err;
}

int cof_cert_read(const void *p, size_t n, cof_cert_fn fn, void *user, struct cof_cert_sum *ret,
		  struct cof_diag *diag)
{
	struct reading rd = {.fn = fn, .user = user, .sum = {.not_after = COF_CERT_NO_TIME}};
	const uint8_t *b = p;
	int err;

	if (n > COF_CERT_FILE_MAX)
		return cof_fail(diag, -EFBIG, "has %zu bytes, more than the %u of which certificates are read", n,
				COF_CERT_FILE_MAX);
	rd.c = malloc(sizeof(*rd.c));
	if (!rd.c)
		return cof_fail(diag, -ENOMEM, "cannot be read: out of memory");
	/* A constructed sequence, as DER begins: in text it would be the digit 0. */
	if (n > 1 && b[0] == 0x30 && (b[1] & 0x80))
		err = read_der(&rd, p, n);
	else
		err = read_pem(&rd, p, n);
	free(rd.c);
	*ret = rd.sum;
	if (err == -EFBIG)
		return cof_fail(diag, err, "has more than %d certificates, CRLs and requests", COF_CERT_ITEMS_MAX);
	if (err)
		return err;
	if (rd.sum.items)
		return 0;
	if (rd.sum.unread)
		return cof_fail(diag, -EUCLEAN, "has what should be a certificate, CRL or request, and cannot be read as such (%s)",
				gnutls_strerror(rd.error));
	return cof_fail(diag, -ENODATA, "has no certificate, CRL or request in it");
}
