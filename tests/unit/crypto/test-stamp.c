/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time-stamp tokens, of an authority that the test makes with openssl (tests/support/tsa.sh): right ones, and
 * ones that are wrong in one place each.
 */
#include "test-crypto.h"

#include <stdio.h>
#include <time.h>

#include "crypto/stamp.h"

static char dir[64];
static uint8_t imprint[COF_HASH], nonce[COF_STAMP_NONCE] = {0xf1, 2, 3, 4, 5, 6, 7, 8};
static struct cof_stamp s;
static struct cof_diag diag;

struct bytes {
	uint8_t data[COF_STAMP_RESPONSE_MAX + 4096];
	size_t n;
};
static struct bytes answer, ca, other_ca;

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void load(const char *name, struct bytes *ret)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s", path);
	ret->n = fread(ret->data, 1, sizeof(ret->data), f);
	fclose(f);
}

static void save(const char *name, const void *p, size_t n)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	ck_assert(f && fwrite(p, 1, n, f) == n);
	fclose(f);
}

static void setup(void)
{
	struct cof_diag d = {""};
	struct cof_buf query = {0};

	ck_assert_int_eq(cof_crypto_init(1 << 20, &d), 0);
	strcpy(dir, "/tmp/coffer-tsa-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	run("%s make %s", getenv("COFFER_TSA"), dir);
	memset(imprint, 0x5a, sizeof(imprint));
	ck_assert_int_eq(cof_stamp_query(imprint, nonce, &query), 0);
	save("query", query.data, query.len);
	cof_buf_done(&query);
	run("%s answer %s %s/query %s/answer", getenv("COFFER_TSA"), dir, dir, dir);
	load("answer", &answer);
	load("ca.pem", &ca);
	load("other-ca.pem", &other_ca);
	diag.text[0] = '\0';
}

static void teardown(void)
{
	run("rm -rf %s", dir);
}

static void token_of(const struct bytes *from, struct bytes *ret)
{
	const uint8_t *p = NULL;

	ck_assert_msg(cof_stamp_token(from->data, from->n, &p, &ret->n, &diag) == 0, "%s", diag.text);
	memmove(ret->data, p, ret->n);
}

static int open_it(const struct bytes *token, const struct bytes *with)
{
	return cof_stamp_open(token->data, token->n, with ? with->data : NULL, with ? with->n : 0, &s, &diag);
}

START_TEST(right)
{
	static struct bytes token;

	token_of(&answer, &token);
	ck_assert_uint_gt(answer.n, token.n);
	ck_assert_msg(open_it(&token, &ca) == 0, "%s", diag.text);
	ck_assert_mem_eq(s.imprint, imprint, COF_HASH);
	ck_assert_uint_eq(s.nonce_len, sizeof(nonce));
	ck_assert_mem_eq(s.nonce, nonce, sizeof(nonce));
	ck_assert_int_eq(s.accuracy, 1250 * 1000000LL);
	ck_assert_uint_eq(s.serial_len, 1);
	ck_assert(s.trusted);
	ck_assert_ptr_nonnull(strstr(s.authority, "CN=tsa"));
	ck_assert_int_lt(llabs(cof_now(CLOCK_REALTIME) - s.time), 300 * COF_NSEC);
	/* openssl knows the same */
	run("openssl ts -verify -in %s/answer -queryfile %s/query -CAfile %s/ca.pem > /dev/null 2>&1", dir, dir, dir);
	/* a token is taken as it is, too; and without a CA it is nobody's */
	ck_assert_msg(open_it(&token, NULL) == 0, "%s", diag.text);
	ck_assert(!s.trusted);
	save("token", token.data, token.n);
	token_of(&token, &token);
	ck_assert_msg(open_it(&token, &ca) == 0, "%s", diag.text);
}
END_TEST

START_TEST(another_authority)
{
	static struct bytes token, both;

	token_of(&answer, &token);
	ck_assert_int_eq(open_it(&token, &other_ca), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "does not lead to"));
	both = other_ca;
	memcpy(both.data + both.n, ca.data, ca.n);
	both.n += ca.n;
	ck_assert_msg(open_it(&token, &both) == 0, "%s", diag.text);
	/* the signer's own certificate may be what is trusted */
	load("tsa.pem", &both);
	ck_assert_msg(open_it(&token, &both) == 0, "%s", diag.text);
	ck_assert_int_eq(cof_stamp_open(token.data, token.n, "no PEM", 6, &s, &diag), -EINVAL);
}
END_TEST

/* Each byte of the token altered: never a crash, and never a token that says something else. */
START_TEST(every_byte)
{
	static struct bytes token;
	struct cof_stamp good;
	unsigned opened = 0;

	token_of(&answer, &token);
	ck_assert_int_eq(open_it(&token, &ca), 0);
	good = s;
	for (size_t i = 0; i < token.n; i++) {
		token.data[i] ^= 1u << (i % 8);
		memset(&s, 0, sizeof(s));
		if (open_it(&token, &ca) == 0) {
			opened++; /* what the signature does not cover: a version, a parameter */
			ck_assert_mem_eq(s.imprint, good.imprint, COF_HASH);
			ck_assert_int_eq(s.time, good.time);
			ck_assert_int_eq(s.accuracy, good.accuracy);
			ck_assert_mem_eq(s.nonce, good.nonce, sizeof(nonce));
		} else {
			ck_assert_int_ne(diag.text[0], 0);
		}
		token.data[i] ^= 1u << (i % 8);
	}
	ck_assert_uint_lt(opened, 40);
}
END_TEST

START_TEST(shape)
{
	static struct bytes token, odd;
	const uint8_t *p;
	size_t n;

	token_of(&answer, &token);
	odd = token;
	odd.n++;
	ck_assert_int_eq(open_it(&odd, &ca), -EUCLEAN);
	ck_assert_int_eq(cof_stamp_token(odd.data, odd.n, &p, &n, &diag), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "1 bytes stand behind"));
	odd = answer;
	odd.n++;
	ck_assert_int_eq(cof_stamp_token(odd.data, odd.n, &p, &n, &diag), -EUCLEAN);
	odd.n = COF_STAMP_RESPONSE_MAX + 1;
	ck_assert_int_eq(cof_stamp_token(odd.data, odd.n, &p, &n, &diag), -EFBIG);
	ck_assert_int_eq(cof_stamp_open(odd.data, COF_STAMP_TOKEN_MAX + 1, NULL, 0, &s, &diag), -EFBIG);
	for (size_t i = 0; i < token.n; i += 7) {
		odd.n = i;
		memcpy(odd.data, token.data, i);
		ck_assert_int_lt(open_it(&odd, NULL), 0);
		ck_assert_int_lt(cof_stamp_token(odd.data, odd.n, &p, &n, &diag), 0);
	}
	ck_assert_int_eq(cof_stamp_token("HTTP/1.1 404", 12, &p, &n, &diag), -EUCLEAN);
}
END_TEST

START_TEST(refused_by_the_authority)
{
	const uint8_t *p;
	size_t n;

	/* a query for a hash that this authority does not take */
	run("openssl ts -query -data %s/config -sha512 -out %s/query 2> /dev/null", dir, dir);
	run("%s answer %s %s/query %s/answer || true", getenv("COFFER_TSA"), dir, dir, dir);
	load("answer", &answer);
	ck_assert_int_eq(cof_stamp_token(answer.data, answer.n, &p, &n, &diag), -EPERM);
	ck_assert_ptr_nonnull(strstr(diag.text, "refused: status 2, reason 0"));
}
END_TEST

START_TEST(without_certificate_or_for_another_hash)
{
	static struct bytes token;

	run("openssl ts -query -data %s/config -sha256 -out %s/query 2> /dev/null", dir, dir);
	run("%s answer %s %s/query %s/answer", getenv("COFFER_TSA"), dir, dir, dir);
	load("answer", &answer);
	token_of(&answer, &token);
	ck_assert_int_eq(open_it(&token, &ca), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "signer's certificate"));
	run("openssl ts -query -data %s/config -sha384 -cert -out %s/query 2> /dev/null", dir, dir);
	run("%s answer %s %s/query %s/answer", getenv("COFFER_TSA"), dir, dir, dir);
	load("answer", &answer);
	token_of(&answer, &token);
	ck_assert_int_eq(open_it(&token, &ca), -EOPNOTSUPP);
}
END_TEST

/* Signed rightly, by somebody who may not stamp; and content that is no TSTInfo, by one who may. */
START_TEST(who_may_not)
{
	static struct bytes token;

	token_of(&answer, &token);
	save("token", token.data, token.n);
	run("openssl cms -verify -noverify -inform DER -in %s/token -out %s/content 2> /dev/null", dir, dir);
	run("%s sign %s tsa %s/content %s/token", getenv("COFFER_TSA"), dir, dir, dir);
	load("token", &token);
	ck_assert_msg(open_it(&token, &ca) == 0, "%s", diag.text);
	run("%s sign %s plain %s/content %s/token", getenv("COFFER_TSA"), dir, dir, dir);
	load("token", &token);
	ck_assert_int_eq(open_it(&token, &ca), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "not for time stamping alone"));
	run("%s sign %s tsa %s/config %s/token", getenv("COFFER_TSA"), dir, dir, dir);
	load("token", &token);
	ck_assert_int_eq(open_it(&token, &ca), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "TSTInfo"));
	/* a signed message of another kind, and one that does not say which certificate */
	run("openssl cms -sign -nodetach -binary -outform DER -signer %s/tsa.pem -inkey %s/tsa.key -in %s/content "
	    "-out %s/token 2> /dev/null",
	    dir, dir, dir, dir);
	load("token", &token);
	ck_assert_int_eq(open_it(&token, &ca), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "no time-stamp token"));
	run("openssl cms -sign -nodetach -binary -outform DER -econtent_type 1.2.840.113549.1.9.16.1.4 -signer "
	    "%s/tsa.pem -inkey %s/tsa.key -in %s/content -out %s/token 2> /dev/null",
	    dir, dir, dir, dir);
	load("token", &token);
	ck_assert_int_eq(open_it(&token, &ca), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "SigningCertificate"));
}
END_TEST

/* Also where the system's GnuTLS takes SHA-1 (meson.build runs this with such a configuration too). */
START_TEST(too_weak)
{
	static struct bytes token;

	token_of(&answer, &token);
	save("token", token.data, token.n);
	run("openssl cms -verify -noverify -inform DER -in %s/token -out %s/content 2> /dev/null", dir, dir);
	run("%s sign %s short %s/content %s/token", getenv("COFFER_TSA"), dir, dir, dir);
	load("token", &token);
	ck_assert_int_eq(open_it(&token, NULL), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "too weak"));
	run("%s sign %s tsa %s/content %s/token sha1", getenv("COFFER_TSA"), dir, dir, dir);
	load("token", &token);
	ck_assert_int_eq(open_it(&token, NULL), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "too weak"));
}
END_TEST

/* In content whose time a signed 64-bit number of ns does not hold, or hardly. */
START_TEST(time_out_of_range)
{
	static const char *const times[] = {"22620411234716Z", "19691231235959Z", "99991231235959Z"};
	static struct bytes token, content;
	char *at;

	token_of(&answer, &token);
	save("token", token.data, token.n);
	run("openssl cms -verify -noverify -inform DER -in %s/token -out %s/content 2> /dev/null", dir, dir);
	load("content", &content);
	at = memmem(content.data, content.n, "\x18\x0f", 2);
	ck_assert_ptr_nonnull(at);
	for (size_t i = 0; i < COF_COUNT(times); i++) {
		memcpy(at + 2, times[i], 15);
		save("content", content.data, content.n);
		run("%s sign %s tsa %s/content %s/token", getenv("COFFER_TSA"), dir, dir, dir);
		load("token", &token);
		ck_assert_int_eq(open_it(&token, NULL), -EUCLEAN);
		ck_assert_ptr_nonnull(strstr(diag.text, "malformed"));
	}
}
END_TEST

/* A configuration that forbids what a token was signed with does not make a forgery of it. */
START_TEST(forbidden_here)
{
	static struct bytes token;
	const char *program = getenv("COFFER_STAMP_OPEN");

	if (!program || !*program)
		return;
	token_of(&answer, &token);
	save("token", token.data, token.n);
	run("printf '[global]\noverride-mode = allowlist\n[overrides]\nsecure-hash = sha256\n' > %s/gnutls", dir);
	run("GNUTLS_SYSTEM_PRIORITY_FILE=%s/gnutls %s %s/token > %s/said", dir, program, dir, dir);
	run("grep -q 'cannot be checked here' %s/said", dir);
}
END_TEST

Suite *suite(void)
{
	Suite *all = suite_create("stamp");
	TCase *t = tcase_create("tokens");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, right);
	tcase_add_test(t, another_authority);
	tcase_add_test(t, every_byte);
	tcase_add_test(t, shape);
	tcase_add_test(t, refused_by_the_authority);
	tcase_add_test(t, without_certificate_or_for_another_hash);
	tcase_add_test(t, who_may_not);
	tcase_add_test(t, too_weak);
	tcase_add_test(t, time_out_of_range);
	tcase_add_test(t, forbidden_here);
	suite_add_tcase(all, t);
	return all;
}
