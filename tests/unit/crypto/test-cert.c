/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, CRLs and requests that other programs made (tests/support/certs.py), and ones that are wrong. */
#include "test-crypto.h"

#include <stdio.h>

#include "crypto/cert.h"

#define KEPT 8

static char dir[64];
static uint8_t file[COF_CERT_FILE_MAX + 16];
static size_t len;
static struct cof_cert kept[KEPT];
static unsigned n_kept;
static struct cof_cert_sum sum;
static struct cof_diag diag;

static void run(const char *what)
{
	char command[512];

	snprintf(command, sizeof(command), "python3 %s %s %s", getenv("COFFER_CERTS"), dir, what);
	ck_assert_msg(system(command) == 0, "%s", command);
}

/* Once for all tests: what they read does not change. */
static void make(void)
{
	strcpy(dir, "/tmp/coffer-certs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	run("");
}

static void clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void init(void)
{
	ck_assert_int_eq(cof_crypto_init(1 << 20, &diag), 0);
}

static int keep(void *user, const struct cof_cert *c)
{
	int *end = user;

	if (n_kept < KEPT)
		kept[n_kept] = *c;
	n_kept++;
	return end ? *end : 0;
}

static int read_it(void)
{
	n_kept = 0;
	memset(kept, 0, sizeof(kept));
	diag.text[0] = '\0';
	return cof_cert_read(file, len, keep, NULL, &sum, &diag);
}

static int load(const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s", path);
	len = fread(file, 1, sizeof(file), f);
	fclose(f);
	return read_it();
}

static const struct cof_cert *one(const char *name)
{
	ck_assert_msg(load(name) == 0, "%s: %s", name, diag.text);
	ck_assert_uint_eq(n_kept, 1);
	ck_assert_uint_eq(sum.items, 1);
	ck_assert_uint_eq(sum.unread, 0);
	return &kept[0];
}

static void assert_time(int64_t t, const char *text)
{
	int64_t want;

	ck_assert_int_eq(cof_time_parse(text, &want), 0);
	ck_assert_int_eq(t, want);
}

START_TEST(fields)
{
	struct cof_cert c = *one("ecdsa.pem");
	uint8_t digest[COF_HASH];

	ck_assert_int_eq(c.kind, COF_CERT_CERTIFICATE);
	ck_assert_uint_eq(c.flags, 0);
	assert_hex(c.serial, c.serial_len, "4a11");
	assert_time(c.not_before, "2020-01-01T00:00:00Z");
	assert_time(c.not_after, "2030-01-02T03:04:05Z");
	ck_assert_int_eq(sum.not_after, c.not_after);
	ck_assert_int_eq(sum.longest, c.not_after - c.not_before);
	ck_assert_ptr_nonnull(strstr(c.subject, "CN=ecdsa"));
	ck_assert_ptr_nonnull(strstr(c.subject, "O=Made"));
	ck_assert_ptr_nonnull(strstr(c.issuer, "CN=test ca"));
	one("ecdsa.der"); /* another one, of the same key and number */
	cof_sha256(file, len, digest);
	ck_assert_mem_eq(kept[0].fingerprint, digest, COF_HASH);
	ck_assert_mem_ne(kept[0].fingerprint, c.fingerprint, COF_HASH);
}
END_TEST

START_TEST(keys_of_every_kind)
{
	ck_assert_ptr_nonnull(strstr(one("rsa.pem")->subject, "CN=rsa"));
	ck_assert_ptr_nonnull(strstr(one("pss.pem")->subject, "CN=pss"));
	ck_assert_uint_eq(one("ed25519.pem")->flags, COF_CERT_SELF_ISSUED);
	ck_assert_uint_eq(one("ca.pem")->flags, COF_CERT_CA | COF_CERT_SELF_ISSUED);
	ck_assert_uint_eq(one("sub.pem")->flags, COF_CERT_CA);
}
END_TEST

START_TEST(dates)
{
	assert_time(one("d2049.pem")->not_after, "2049-12-31T23:59:59Z"); /* the last UTCTime */
	assert_time(one("d2050.der")->not_after, "2050-01-01T00:00:00Z"); /* the first GeneralizedTime */
	ck_assert_int_eq(one("d2300.pem")->not_after, INT64_MAX - 1);
	ck_assert_int_eq(one("d9998.pem")->not_after, INT64_MAX - 1);
	ck_assert_uint_eq(kept[0].flags, 0);
	ck_assert_int_eq(one("d9999.der")->not_after, INT64_MAX - 1);
	ck_assert_uint_eq(kept[0].flags, COF_CERT_NO_END);
	ck_assert_int_eq(one("d1969.pem")->not_after, 0); /* what was before counts as 1970 */
	ck_assert_int_eq(kept[0].not_before, 0);
	ck_assert_int_eq(sum.longest, 0);
}
END_TEST

START_TEST(serials)
{
	assert_hex(one("negative.pem")->serial, 1, "fb");
	ck_assert_uint_eq(kept[0].serial_len, 1);
	ck_assert_uint_eq(one("long.pem")->serial_len, 64);
	ck_assert_int_eq(load("longer.pem"), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "cannot be read"));
}
END_TEST

START_TEST(names)
{
	ck_assert_ptr_nonnull(strstr(one("utf8.pem")->subject, "\xc5\xbb\xc3\xb3\xc5\x82w \xe9\xb7\xb2"));
	ck_assert_ptr_nonnull(strstr(one("teletex.pem")->subject, "CN=tele tex"));
	ck_assert_str_eq(one("nameless.pem")->subject, "");
}
END_TEST

START_TEST(crls_and_requests)
{
	static const char *const crls[] = {"crl.pem", "crl.der"}, *const requests[] = {"request.pem", "request.der"};

	for (size_t i = 0; i < 2; i++) {
		const struct cof_cert *c = one(crls[i]);

		ck_assert_int_eq(c->kind, COF_CERT_CRL);
		assert_time(c->not_before, "2026-01-01T00:00:00Z");
		assert_time(c->not_after, "2026-01-02T12:00:00Z");
		ck_assert_int_eq(sum.not_after, c->not_after);
		ck_assert_int_eq(sum.longest, 0); /* nothing is issued by it */
		assert_hex(c->serial, c->serial_len, "1234");
		ck_assert_ptr_nonnull(strstr(c->issuer, "CN=test ca"));
		ck_assert_str_eq(c->subject, "");
		c = one(requests[i]);
		ck_assert_int_eq(c->kind, COF_CERT_REQUEST);
		ck_assert_int_eq(sum.not_after, COF_CERT_NO_TIME);
		ck_assert_uint_eq(c->serial_len, 0);
		ck_assert_ptr_nonnull(strstr(c->subject, "CN=asks"));
		ck_assert_str_eq(c->issuer, "");
	}
	ck_assert_uint_eq(one("bare.pem")->serial_len, 0);
}
END_TEST

START_TEST(several)
{
	static const char *const chains[] = {"chain.pem", "chain.der"};

	for (size_t i = 0; i < 2; i++) {
		ck_assert_msg(load(chains[i]) == 0, "%s", diag.text);
		ck_assert_uint_eq(sum.items, 2);
		ck_assert_uint_eq(n_kept, 2);
		assert_time(sum.not_after, "2040-01-01T00:00:00Z");
	}
	/* of certificates and CRLs, whichever lasts longer */
	ck_assert_msg(load("crls.pem") == 0, "%s", diag.text);
	ck_assert_uint_eq(sum.items, 2);
	ck_assert_int_eq(kept[1].kind, COF_CERT_CRL);
	assert_time(sum.not_after, "2026-01-03T00:00:00Z");
	ck_assert_uint_eq(kept[0].flags, 0); /* another name, as long as its issuer's */
	/* text and a private key around them */
	ck_assert_msg(load("bundle.pem") == 0, "%s", diag.text);
	ck_assert_uint_eq(sum.items, 3);
	ck_assert_uint_eq(sum.unread, 0);
	ck_assert_int_eq(kept[2].kind, COF_CERT_CRL);
	assert_time(sum.not_after, "2035-06-07T08:09:10Z");
	ck_assert_int_eq(sum.longest, kept[1].not_after - kept[1].not_before);
}
END_TEST

START_TEST(who_asks_ends_it)
{
	int end = -ECANCELED;

	load("bundle.pem");
	n_kept = 0;
	ck_assert_int_eq(cof_cert_read(file, len, keep, &end, &sum, &diag), -ECANCELED);
	ck_assert_uint_eq(n_kept, 1);
	ck_assert_int_eq(cof_cert_read(file, len, NULL, NULL, &sum, &diag), 0);
	ck_assert_uint_eq(sum.items, 3);
}
END_TEST

static int read_text(const char *text)
{
	len = strlen(text);
	memcpy(file, text, len);
	return read_it();
}

START_TEST(nothing_in_it)
{
	len = 0;
	ck_assert_int_eq(read_it(), -ENODATA);
	ck_assert_int_eq(read_text("0 notes"), -ENODATA);
	ck_assert_int_eq(read_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), -ENODATA);
	ck_assert_int_eq(read_text("see -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), -ENODATA);
	ck_assert_ptr_nonnull(strstr(diag.text, "has no certificate"));
}
END_TEST

START_TEST(malformed)
{
	size_t whole;

	ck_assert_int_eq(read_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), -EUCLEAN);
	ck_assert_uint_eq(sum.unread, 1);
	ck_assert_int_eq(read_text("-----BEGIN CERTIFICATE-----\nAAAA\n"), -EUCLEAN);
	ck_assert_int_eq(read_text("-----BEGIN CMS-----\n!\n-----END CMS-----\n"), -EUCLEAN);
	/* a block that is cut off, and the ones before it */
	load("bundle.pem");
	len -= 60;
	ck_assert_int_eq(read_it(), 0);
	ck_assert_uint_eq(sum.items, 2);
	ck_assert_uint_eq(sum.unread, 1);
	/* DER: cut off at every length, and with a byte behind */
	load("ecdsa.der");
	whole = len;
	file[len++] = 0;
	ck_assert_int_eq(read_it(), -EUCLEAN);
	for (len = 2; len < whole; len++)
		ck_assert_msg(read_it() == -EUCLEAN, "%zu of %zu bytes", len, whole);
	len = whole;
	ck_assert_int_eq(read_it(), 0);
}
END_TEST

START_TEST(bounds)
{
	static const char open[] = "-----BEGIN CERTIFICATE-----\n";
	char *one_block;
	size_t n;

	load("ecdsa.pem");
	n = len;
	one_block = malloc(n);
	memcpy(one_block, file, n);
	for (len = 0; len < n * COF_CERT_ITEMS_MAX; len += n)
		memcpy(file + len, one_block, n);
	ck_assert_int_eq(read_it(), 0);
	ck_assert_uint_eq(sum.items, COF_CERT_ITEMS_MAX);
	memcpy(file + len, one_block, n);
	len += n;
	ck_assert_int_eq(read_it(), -EFBIG);
	ck_assert_ptr_nonnull(strstr(diag.text, "more than 256"));
	/* beginnings without an end do not make it slow, and count */
	for (len = 0; len + sizeof(open) <= COF_CERT_FILE_MAX; len += sizeof(open) - 1)
		memcpy(file + len, open, sizeof(open) - 1);
	ck_assert_int_eq(read_it(), -EFBIG);
	memset(file, '\n', COF_CERT_FILE_MAX + 1);
	memcpy(file, one_block, n);
	len = COF_CERT_FILE_MAX;
	ck_assert_int_eq(read_it(), 0);
	len++;
	ck_assert_int_eq(read_it(), -EFBIG);
	free(one_block);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("cert");
	TCase *t = tcase_create("cert");

	tcase_add_unchecked_fixture(t, make, clear);
	tcase_add_checked_fixture(t, init, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, fields);
	tcase_add_test(t, keys_of_every_kind);
	tcase_add_test(t, dates);
	tcase_add_test(t, serials);
	tcase_add_test(t, names);
	tcase_add_test(t, crls_and_requests);
	tcase_add_test(t, several);
	tcase_add_test(t, who_asks_ends_it);
	tcase_add_test(t, nothing_in_it);
	tcase_add_test(t, malformed);
	tcase_add_test(t, bounds);
	suite_add_tcase(s, t);
	return s;
}
