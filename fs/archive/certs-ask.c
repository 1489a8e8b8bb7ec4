/* SPDX-License-Identifier: Apache-2.0 */
/* A search for certificates as a request says it: the same for the control socket and for who opened the store. */
#include "fs/archive/certs.h"

struct asked {
	struct cof_cert_query q;
	uint8_t serial[COF_CERT_SERIAL_MAX], fingerprint[COF_HASH];
};

/* Hexadecimal, as openssl and browsers write it: colons, blanks and 0x do not count, an odd digit gets a zero. */
static int read_hex(const char *text, uint8_t *out, size_t cap, size_t *ret_n)
{
	char digits[2 * COF_CERT_SERIAL_MAX + 2] = "0";
	size_t n = 1, skip;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (; *text; text++) {
		if (*text == ':' || *text == ' ')
			continue;
		if (n + 1 >= sizeof(digits))
			return -EINVAL;
		digits[n++] = *text;
	}
	skip = n % 2; /* the zero in front */
	if (n == 1 || (n - skip) / 2 > cap || cof_unhex(digits + skip, n - skip, out) < 0)
		return -EINVAL;
	*ret_n = (n - skip) / 2;
	return 0;
}

static int take_bytes(const struct cof_json *args, struct asked *as, struct cof_diag *diag)
{
	const char *serial = cof_json_str(args, "serial"), *print = cof_json_str(args, "fingerprint");
	size_t n = 0;

	if (serial && read_hex(serial, as->serial, sizeof(as->serial), &as->q.serial_len) < 0)
		return cof_fail(diag, -EINVAL, "'%.80s' is no serial number in hexadecimal of at most %d bytes", serial,
				COF_CERT_SERIAL_MAX);
	if (print && (read_hex(print, as->fingerprint, COF_HASH, &n) < 0 || n != COF_HASH))
		return cof_fail(diag, -EINVAL, "'%.80s' is no SHA-256 of a certificate in hexadecimal (64 digits)", print);
	as->q.serial = serial ? as->serial : NULL;
	as->q.fingerprint = print ? as->fingerprint : NULL;
	return 0;
}

static int take_time(const struct cof_json *args, const char *key, int64_t *ret, struct cof_diag *diag)
{
	const char *text = cof_json_str(args, key);

	if (text && cof_retain_parse(text, strlen(text), ret) < 0)
		return cof_fail(diag, -EINVAL, "'%.40s' is no time such as 2031-01-02T03:04:05Z", text);
	return 0;
}

static int take_kind(const struct cof_json *args, struct asked *as, struct cof_diag *diag)
{
	const char *kind = cof_json_str(args, "kind");

	if (!kind)
		return 0;
	if (!strcmp(kind, "certificate"))
		as->q.kinds = 1u << COF_CERT_CERTIFICATE;
	else if (!strcmp(kind, "crl"))
		as->q.kinds = 1u << COF_CERT_CRL;
	else if (!strcmp(kind, "request"))
		as->q.kinds = 1u << COF_CERT_REQUEST;
	else
		return cof_fail(diag, -EINVAL, "a kind is certificate, crl or request");
	return 0;
}

static int take_number(const struct cof_json *args, const char *key, uint64_t *ret, struct cof_diag *diag)
{
	int64_t v = 0;

	if (!cof_json_get(args, key))
		return 0;
	if (cof_json_int(args, key, &v) < 0 || v < 1)
		return cof_fail(diag, -EINVAL, "\"%s\" is a number, from 1 on", key);
	*ret = (uint64_t)v;
	return 0;
}

int cof_archive_certs(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user,
		      struct cof_diag *diag)
{
	struct asked as = {.q = {.ends_before = INT64_MAX, .ends_from = INT64_MIN, .at = COF_INDEX_NOW}};
	int r = take_bytes(args, &as, diag);

	if (r == 0)
		r = take_time(args, "ends_before", &as.q.ends_before, diag);
	if (r == 0)
		r = take_time(args, "ends_from", &as.q.ends_from, diag);
	if (r == 0)
		r = take_kind(args, &as, diag);
	if (r == 0)
		r = take_number(args, "at", &as.q.at, diag);
	if (r == 0)
		r = take_number(args, "below", &as.q.below, diag);
	as.q.subject = cof_json_str(args, "subject");
	as.q.issuer = cof_json_str(args, "issuer");
	return r < 0 ? r : cof_archive_find_certs(a, &as.q, fn, user);
}
