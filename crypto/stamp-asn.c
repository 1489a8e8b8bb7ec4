/* SPDX-License-Identifier: Apache-2.0 */
/* ASN.1 of time stamps, by libtasn1 after stamp.asn: queries written, answers and tokens read. */
#include "crypto/stamp-private.h"

#include <libtasn1.h>
#include <stdio.h>

#define OID_SHA256 "2.16.840.1.101.3.4.2.1"
#define STATUS_TEXT 200
#define ACCURACY_MAX 86400 /* s */

extern const asn1_static_node cof_stamp_asn1[]; /* made of stamp.asn while building */

/* ---- one value of a module that is there for as long as it is read ---- */

struct value {
	asn1_node module, node;
};

static void value_done(struct value *v)
{
	asn1_delete_structure(&v->node);
	asn1_delete_structure(&v->module);
}
#define autovalue COF_CLEANUP(value_done)

static int value_new(const char *type, struct value *ret)
{
	char name[64];

	snprintf(name, sizeof(name), "COFFER-STAMP.%s", type);
	if (asn1_array2tree(cof_stamp_asn1, &ret->module, NULL) != ASN1_SUCCESS ||
	    asn1_create_element(ret->module, name, &ret->node) != ASN1_SUCCESS)
		return -ENOMEM;
	return 0;
}

/* All n bytes, in DER and nothing else. */
static int value_read(const char *type, const uint8_t *p, size_t n, struct value *ret)
{
	int len, r = n > INT32_MAX ? -EUCLEAN : value_new(type, ret);

	if (r < 0)
		return r;
	len = (int)n;
	return asn1_der_decoding2(&ret->node, p, &len, ASN1_DECODE_FLAG_STRICT_DER, NULL) == ASN1_SUCCESS
		       ? 0
		       : -EUCLEAN;
}

/* -ENOENT: it is not there. */
static int get(const struct value *v, const char *name, void *out, size_t cap, size_t *ret_n)
{
	int len = (int)cap, r = asn1_read_value(v->node, name, out, &len);

	if (r == ASN1_ELEMENT_NOT_FOUND || r == ASN1_VALUE_NOT_FOUND)
		return -ENOENT;
	if (r != ASN1_SUCCESS || len < 0 || (size_t)len > cap)
		return -EUCLEAN;
	*ret_n = (size_t)len;
	return 0;
}

/* A number of at most 4 bytes, not below 0. */
static int get_number(const struct value *v, const char *name, uint32_t *ret)
{
	uint8_t b[8];
	size_t n = 0;
	int r = get(v, name, b, sizeof(b), &n);
	uint32_t sum = 0;

	if (r < 0)
		return r;
	if (!n || n > 4 || b[0] & 0x80)
		return -EUCLEAN;
	for (size_t i = 0; i < n; i++)
		sum = sum << 8 | b[i];
	*ret = sum;
	return 0;
}

/* A number as bytes without leading zeros; below 0 is malformed. */
static int get_bytes(const struct value *v, const char *name, uint8_t *out, size_t cap, size_t *ret_n)
{
	uint8_t b[64];
	size_t n = 0, skip = 0;
	int r = get(v, name, b, sizeof(b), &n);

	if (r < 0)
		return r;
	if (!n || b[0] & 0x80)
		return -EUCLEAN;
	while (skip + 1 < n && !b[skip])
		skip++;
	if (n - skip > cap)
		return -EUCLEAN;
	memcpy(out, b + skip, n - skip);
	*ret_n = n - skip;
	return 0;
}

bool cof_der_sequence(const uint8_t *p, size_t n, size_t *ret_n)
{
	int bytes = 0;
	signed long len;

	if (n < 2 || n > INT32_MAX || p[0] != 0x30)
		return false;
	len = asn1_get_length_der(p + 1, (int)n - 1, &bytes);
	if (len < 0 || (unsigned long)len > n - 1 - (size_t)bytes)
		return false;
	*ret_n = 1 + (size_t)bytes + (size_t)len;
	return true;
}

/* ---- queries ---- */

int cof_stamp_query(const uint8_t imprint[COF_HASH], const uint8_t nonce[COF_STAMP_NONCE],
		    struct cof_buf *ret)
{
	static const uint8_t null_parameters[] = {0x05, 0x00};
	autovalue struct value v = {0};
	uint8_t out[256], number[COF_STAMP_NONCE + 1] = {0};
	int len = sizeof(out), r = value_new("TimeStampReq", &v);

	if (r < 0)
		return r;
	memcpy(number + 1, nonce, COF_STAMP_NONCE);
	if (asn1_write_value(v.node, "version", "1", 0) != ASN1_SUCCESS ||
	    asn1_write_value(v.node, "messageImprint.hashAlgorithm.algorithm", OID_SHA256, 1) !=
		    ASN1_SUCCESS ||
	    asn1_write_value(v.node, "messageImprint.hashAlgorithm.parameters", null_parameters,
			     sizeof(null_parameters)) != ASN1_SUCCESS ||
	    asn1_write_value(v.node, "messageImprint.hashedMessage", imprint, COF_HASH) != ASN1_SUCCESS ||
	    asn1_write_value(v.node, "reqPolicy", NULL, 0) != ASN1_SUCCESS ||
	    asn1_write_value(v.node, "nonce", number, sizeof(number)) != ASN1_SUCCESS ||
	    asn1_write_value(v.node, "certReq", "TRUE", 1) != ASN1_SUCCESS ||
	    asn1_write_value(v.node, "extensions", NULL, 0) != ASN1_SUCCESS ||
	    asn1_der_coding(v.node, "", out, &len, NULL) != ASN1_SUCCESS)
		return -EIO;
	cof_buf_add(ret, out, (size_t)len);
	return ret->failed ? -ENOMEM : 0;
}

/* ---- answers ---- */

static int refused(const struct value *v, uint32_t status, struct cof_diag *diag)
{
	char said[STATUS_TEXT + 1] = "";
	uint8_t bits[8] = {0};
	unsigned reason = 0;
	size_t n = 0;

	if (get(v, "status.statusString.?1", said, STATUS_TEXT, &n) < 0)
		n = 0;
	said[n] = '\0';
	n = 0;
	(void)get(v, "status.failInfo", bits, sizeof(bits), &n);
	while (reason < 8 * sizeof(bits) && !(bits[reason / 8] & 0x80 >> reason % 8))
		reason++;
	if (reason < 8 * sizeof(bits))
		return cof_fail(diag, -EPERM,
				"the time-stamping authority refused: status %u, reason %u (RFC 3161, 2.4.2)%s%s",
				status, reason, *said ? ": " : "", said);
	return cof_fail(diag, -EPERM,
			"the time-stamping authority refused: status %u (RFC 3161, 2.4.2)%s%s", status,
			*said ? ": " : "", said);
}

int cof_stamp_token(const void *p, size_t n, const uint8_t **ret_token, size_t *ret_n,
		    struct cof_diag *diag)
{
	autovalue struct value v = {0};
	uint32_t status = 0;
	size_t whole = 0;
	int start = 0, end = 0, r;

	if (n > COF_STAMP_RESPONSE_MAX)
		return cof_fail(diag, -EFBIG, "a time stamp has at most %u bytes, this has %zu",
				COF_STAMP_RESPONSE_MAX, n);
	if (!cof_der_sequence(p, n, &whole))
		return cof_fail(diag, -EUCLEAN, "this is no time stamp: neither an answer nor a token in DER");
	if (whole != n)
		return cof_fail(diag, -EUCLEAN, "%zu bytes stand behind the time stamp", n - whole);
	r = value_read("TimeStampResp", p, n, &v);
	if (r == -ENOMEM)
		return r;
	if (r < 0) { /* a token, which who opens it looks at */
		*ret_token = p;
		*ret_n = n;
		return 0;
	}
	if (get_number(&v, "status.status", &status) < 0)
		return cof_fail(diag, -EUCLEAN, "the answer's status is no number");
	if (status > 1) /* 0 granted, 1 granted with modifications */
		return refused(&v, status, diag);
	if (asn1_der_decoding_startEnd(v.node, p, (int)n, "timeStampToken", &start, &end) !=
		    ASN1_SUCCESS ||
	    start <= 0 || end < start || (size_t)end >= n ||
	    !cof_der_sequence((const uint8_t *)p + start, n - (size_t)start, &whole) ||
	    whole != (size_t)(end - start) + 1)
		return cof_fail(diag, -EUCLEAN, "the answer says granted, and has no token");
	*ret_token = (const uint8_t *)p + start;
	*ret_n = whole;
	return 0;
}

/* ---- the signed content ---- */

/* "20260102030405.678Z" */
static int get_time(const struct value *v, int64_t *ret)
{
	char t[64], text[80];
	size_t n = 0;
	int r = get(v, "genTime", t, sizeof(t) - 1, &n);

	if (r < 0)
		return -EUCLEAN;
	t[n] = '\0';
	n = strlen(t);
	if (n < 15 || n > 30)
		return -EUCLEAN;
	snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%s", t, t + 4, t + 6, t + 8, t + 10, t + 12);
	r = cof_time_parse(text, ret);
	/* Accuracy can be added and taken away wherever that is needed. */
	return r == 0 && (*ret < 0 || *ret > INT64_MAX - 2 * ACCURACY_MAX * COF_NSEC) ? -EUCLEAN : r;
}

static int get_accuracy(const struct value *v, int64_t *ret)
{
	static const struct {
		const char *name;
		uint32_t max;
		int64_t ns;
	} part[] = {{"accuracy.seconds", ACCURACY_MAX, COF_NSEC},
		    {"accuracy.millis", 999, 1000000},
		    {"accuracy.micros", 999, 1000}};
	bool any = false;
	int64_t sum = 0;

	for (size_t i = 0; i < COF_COUNT(part); i++) {
		uint32_t n = 0;
		int r = get_number(v, part[i].name, &n);

		if (r == -ENOENT)
			continue;
		if (r < 0 || n > part[i].max)
			return -EUCLEAN;
		sum += n * part[i].ns;
		any = true;
	}
	*ret = any ? sum : COF_NSEC;
	return 0;
}

int cof_tst_info(const uint8_t *p, size_t n, struct cof_stamp *ret, struct cof_diag *diag)
{
	autovalue struct value v = {0};
	char algorithm[64] = "";
	uint32_t version = 0;
	size_t got = 0;
	int r = value_read("TSTInfo", p, n, &v);

	if (r == -ENOMEM)
		return r;
	if (r == 0 && get(&v, "messageImprint.hashAlgorithm.algorithm", algorithm, sizeof(algorithm) - 1,
			  &got) < 0)
		r = -EUCLEAN;
	if (r == 0 && strcmp(algorithm, OID_SHA256) != 0)
		return cof_fail(diag, -EOPNOTSUPP,
				"the token is for a hash of another kind (%s), SHA-256 was asked for", algorithm);
	if (r < 0 || get_number(&v, "version", &version) < 0 || version != 1 ||
	    get(&v, "messageImprint.hashedMessage", ret->imprint, COF_HASH, &got) < 0 || got != COF_HASH ||
	    get_bytes(&v, "serialNumber", ret->serial, sizeof(ret->serial), &ret->serial_len) < 0 ||
	    get_time(&v, &ret->time) < 0 || get_accuracy(&v, &ret->accuracy) < 0)
		return cof_fail(diag, -EUCLEAN, "what the token says is malformed (TSTInfo of RFC 3161)");
	r = get_bytes(&v, "nonce", ret->nonce, sizeof(ret->nonce), &ret->nonce_len);
	if (r == -ENOENT)
		ret->nonce_len = 0;
	else if (r < 0)
		return cof_fail(diag, -EUCLEAN, "the token's nonce is malformed");
	return 0;
}

int cof_signing_certificate(const uint8_t *p, size_t n, bool version2,
			    struct cof_signing_certificate *ret)
{
	autovalue struct value v = {0};
	char algorithm[64] = OID_SHA256;
	size_t got = 0, want = version2 ? COF_HASH : 20;
	int r = value_read(version2 ? "SigningCertificateV2" : "SigningCertificate", p, n, &v);

	if (r < 0)
		return r;
	if (version2) {
		r = get(&v, "certs.?1.hashAlgorithm.algorithm", algorithm, sizeof(algorithm) - 1, &got);
		if (r < 0 && r != -ENOENT)
			return r;
		if (strcmp(algorithm, OID_SHA256) != 0)
			return -EOPNOTSUPP;
	}
	r = get(&v, "certs.?1.certHash", ret->hash, COF_HASH, &got);
	if (r < 0 || got != want)
		return -EUCLEAN;
	ret->sha1 = !version2;
	return 0;
}
