/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for the owners of certificates, which openssl makes and opens; and certificates to which nothing is encrypted, each with
 * its reason. What openssl does not make is one of its certificates with a byte changed: nobody checks who signed it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "test-crypto.h"

#include "crypto/cms.h"

#define DAY (86400 * COF_NSEC)

static char dir[64];

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static void set_up(void)
{
	strcpy(dir, "/tmp/test-cms.XXXXXX");
	ck_assert(mkdtemp(dir));
}

static void tear_down(void)
{
	(void)shell("rm -r %s", dir);
}

/* NAME.pem and NAME.crt. key: as openssl genpkey takes it. */
static void make(const char *name, const char *key, const char *usage)
{
	ck_assert_int_eq(shell("cd %s && printf '[req]\\ndistinguished_name=d\\n[d]\\n[x]\\n%s\\n' > conf && openssl genpkey %s -out %s.pem 2> /dev/null && "
			       "openssl req -x509 -new -key %s.pem -subj '/CN=of %s' -days 9 -config conf -extensions x -outform DER -out %s.crt",
			       dir, usage, key, name, name, name, name),
			 0);
}

static size_t load(const char *name, uint8_t *ret, size_t room)
{
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	ck_assert(f);
	n = fread(ret, 1, room, f);
	fclose(f);
	return n;
}

static void store(const char *name, const struct cof_buf *b)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	ck_assert(f);
	ck_assert_uint_eq(fwrite(b->data, 1, b->len, f), b->len);
	fclose(f);
}

#define RSA "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"
#define EC(curve) "-algorithm EC -pkeyopt ec_paramgen_curve:" curve

static const struct {
	const char *name, *key, *usage;
} good[] = {{"rsa", RSA, "keyUsage=keyEncipherment"},
	    {"p256", EC("P-256"), "keyUsage=keyAgreement"},
	    {"p384", EC("P-384"), "keyUsage=digitalSignature,keyAgreement"}};

/* By whoever has the key, with openssl; by nobody else; and nothing of it altered. */
START_TEST(a_stranger_opens_it)
{
	static const size_t sizes[] = {1, 2000};
	uint8_t crt[4096];
	struct cof_diag why;

	for (size_t i = 0; i < COF_COUNT(good); i++) {
		struct cof_cms_recipient to;

		make(good[i].name, good[i].key, good[i].usage);
		make("other", good[i].key, good[i].usage);
		ck_assert_msg(cof_cms_recipient_read(crt, load("other.crt", crt, sizeof(crt)), cof_now(CLOCK_REALTIME), &to, &why) == 0, "%s", why.text);
		cof_cms_recipient_done(&to);
		for (size_t k = 0; k < COF_COUNT(sizes) * 3; k++) { /* several: a coordinate may begin with a zero */
			cof_autobuf struct cof_buf plain = {0}, sealed = {0};
			cof_autosecret uint8_t *secret = cof_secret_alloc(sizes[k % 2]);
			char name[32];
			int r;

			snprintf(name, sizeof(name), "%s.crt", good[i].name);
			r = cof_cms_recipient_read(crt, load(name, crt, sizeof(crt)), cof_now(CLOCK_REALTIME), &to, &why);
			ck_assert_msg(r == 0, "%s: %s", name, why.text);
			cof_random(secret, sizes[k % 2]);
			cof_buf_add(&plain, secret, sizes[k % 2]);
			r = cof_cms_encrypt(&to, secret, sizes[k % 2], &sealed, &why);
			ck_assert_msg(r == 0, "%s: %s", name, why.text);
			cof_cms_recipient_done(&to);
			store("plain", &plain);
			store("sealed", &sealed);
			ck_assert_msg(shell("cd %s && openssl cms -decrypt -inform DER -in sealed -inkey %s.pem -recip %s -out back && cmp back plain", dir,
					    good[i].name, name) == 0,
				      "openssl does not open what is for %s", good[i].name);
			if (k)
				continue;
			ck_assert_int_ne(shell("cd %s && openssl cms -decrypt -inform DER -in sealed -inkey other.pem -out back 2> /dev/null && cmp -s back plain",
					       dir),
					 0);
			sealed.data[sealed.len - 1] ^= 1;
			store("sealed", &sealed);
			ck_assert_int_ne(shell("cd %s && openssl cms -decrypt -inform DER -in sealed -inkey %s.pem -out back 2> /dev/null", dir, good[i].name), 0);
		}
	}
}
END_TEST

/* ---- refused ---- */

static void refused(const uint8_t *crt, size_t n, int64_t now, int err, const char *text)
{
	struct cof_cms_recipient to;
	struct cof_diag why = {""};
	int r = cof_cms_recipient_read(crt, n, now, &to, &why);

	ck_assert_msg(r == err && strstr(why.text, text), "%d, \"%s\", not %d, \"%s\"", r, why.text, err, text);
	cof_cms_recipient_done(&to);
}

START_TEST(not_to_such_a_key)
{
	static const struct {
		const char *key, *usage;
		int err;
		const char *text;
	} rows[] = {
	    {"-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "keyUsage=keyEncipherment", -EKEYREJECTED, "has 1024 bits; 2048 is the least"},
	    {RSA, "keyUsage=digitalSignature", -EKEYREJECTED, "is not for keyEncipherment"},
	    {RSA, "keyUsage=keyAgreement", -EKEYREJECTED, "is not for keyEncipherment"},
	    {EC("P-224"), "keyUsage=keyAgreement", -EKEYREJECTED, "on a curve of 224 bits; 256 is the least"},
	    {EC("P-521"), "keyUsage=keyAgreement", -EOPNOTSUPP, "neither RSA nor on the curve P-256 or P-384"},
	    {EC("P-256"), "keyUsage=keyEncipherment", -EKEYREJECTED, "is not for keyAgreement"},
	    {EC("P-256"), "keyUsage=keyAgreement,encipherOnly", -EKEYREJECTED, "may only encipher"},
	    {EC("P-256"), "basicConstraints=CA:FALSE", -EKEYREJECTED, "does not say what its key is for"},
	    {"-algorithm ED25519", "keyUsage=digitalSignature", -EOPNOTSUPP, "neither RSA nor"},
	};
	uint8_t crt[4096];

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		make("one", rows[i].key, rows[i].usage);
		refused(crt, load("one.crt", crt, sizeof(crt)), cof_now(CLOCK_REALTIME), rows[i].err, rows[i].text);
	}
	refused((const uint8_t *)"PEM", 3, 0, -EUCLEAN, "no certificate");
}
END_TEST

START_TEST(not_out_of_its_time)
{
	uint8_t crt[4096];
	size_t n;

	for (size_t i = 0; i < 2; i++) {
		make(good[i].name, good[i].key, good[i].usage);
		n = load(i ? "p256.crt" : "rsa.crt", crt, sizeof(crt));
		refused(crt, n, cof_now(CLOCK_REALTIME) - 2 * DAY, -EKEYEXPIRED, "not valid yet");
		refused(crt, n, cof_now(CLOCK_REALTIME) + 10 * DAY, -EKEYEXPIRED, "not valid any more");
	}
}
END_TEST

/* Keys that look like keys: what is encrypted to them anybody reads, or nobody. */
START_TEST(not_to_a_false_key)
{
	static const uint8_t exponent[] = {0x02, 3, 1, 0, 1}, point[] = {0x03, 66, 0, 4};
	uint8_t crt[4096], *at;
	size_t n;

	make("rsa", RSA, good[0].usage);
	n = load("rsa.crt", crt, sizeof(crt));
	at = memmem(crt, n, exponent, sizeof(exponent));
	ck_assert(at);
	at[2] = 0;
	refused(crt, n, cof_now(CLOCK_REALTIME), -EKEYREJECTED, "has 1 as public exponent");
	at[2] = 1;
	at[4] = 0;
	refused(crt, n, cof_now(CLOCK_REALTIME), -EKEYREJECTED, "an even public exponent");
	at[4] = 1;
	at[-1] ^= 1; /* the modulus ends before it */
	refused(crt, n, cof_now(CLOCK_REALTIME), -EKEYREJECTED, "an even modulus");
	make("p256", EC("P-256"), good[1].usage);
	n = load("p256.crt", crt, sizeof(crt));
	at = memmem(crt, n, point, sizeof(point));
	ck_assert(at);
	at[67] ^= 1;
	refused(crt, n, cof_now(CLOCK_REALTIME), -EUCLEAN, "");
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("cms");
	TCase *t = crypto_case("cms");

	if (access("/usr/bin/openssl", X_OK) < 0)
		exit(77);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_stranger_opens_it);
	tcase_add_test(t, not_to_such_a_key);
	tcase_add_test(t, not_out_of_its_time);
	tcase_add_test(t, not_to_a_false_key);
	suite_add_tcase(s, t);
	return s;
}
