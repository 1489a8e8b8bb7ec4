/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 client without a server: signatures against the examples that AWS publishes, addresses,
 * credentials, answers in XML, heads of answers, what an error means.
 */
#include <check.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/s3/internal.h"

/* ---- signature version 4: "Examples: Signature Calculations in AWS Signature Version 4" of the S3
 * API reference ---- */

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DATE "20130524T000000Z"

static struct s3_credentials example(void)
{
	static char secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
	struct s3_credentials c = {.access = "AKIAIOSFODNN7EXAMPLE", .secret = secret};

	return c;
}

static void check_signature(struct s3_signing *p, const char *wanted)
{
	struct s3_credentials c = example();
	char auth[S3_SIGN_TEXT], end[100];

	memcpy(p->date, DATE, sizeof(p->date));
	p->region = "us-east-1";
	p->header[p->headers++] = (struct s3_pair){"x-amz-date", DATE};
	p->header[p->headers++] = (struct s3_pair){"x-amz-content-sha256", p->payload};
	p->header[p->headers++] = (struct s3_pair){"host", "examplebucket.s3.amazonaws.com"};
	ck_assert_int_eq(s3_sign(p, &c, auth), 0);
	snprintf(end, sizeof(end), "Signature=%s", wanted);
	ck_assert_str_eq(strstr(auth, "Signature="), end);
	ck_assert_ptr_nonnull(
	    strstr(auth, "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "));
	ck_assert_ptr_null(strstr(auth, c.secret));
}

START_TEST(signatures_are_those_of_the_published_examples)
{
	struct s3_signing get = {.method = "GET",
				 .path = "/test.txt",
				 .query = "",
				 .payload = EMPTY,
				 .headers = 1,
				 .header = {{"range", "bytes=0-9"}}};
	struct s3_signing put = {
	    .method = "PUT",
	    .path = "/test%24file.text",
	    .query = "",
	    .headers = 2,
	    .payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	    .header = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
		       {"date", "Fri, 24 May 2013 00:00:00 GMT"}}};
	struct s3_signing cycle = {
	    .method = "GET", .path = "/", .query = "lifecycle=", .payload = EMPTY};
	struct s3_signing list = {
	    .method = "GET", .path = "/", .query = "max-keys=2&prefix=J", .payload = EMPTY};

	check_signature(&get, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	check_signature(&put, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	check_signature(&cycle, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	check_signature(&list, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}
END_TEST

START_TEST(names_are_encoded_and_queries_are_sorted)
{
	struct s3_pair q[] = {
	    {"versionId", "a+b/c"}, {"prefix", "x y"}, {"acl", ""}, {"A", "\xc3\xa9"}};
	cof_autobuf struct cof_buf b = {0};

	s3_query(&b, q, 4);
	ck_assert_str_eq((char *)b.data, "A=%C3%A9&acl=&prefix=x%20y&versionId=a%2Bb%2Fc");
	b.len = 0;
	s3_encode(&b, "a/b~c*", true);
	ck_assert_str_eq((char *)b.data, "a/b~c%2A");
}
END_TEST

/* ---- addresses ---- */

static void refused(const char *url)
{
	struct s3_target t = {.part = 0};
	struct cof_diag d = {""};

	ck_assert_msg(s3_url_parse(url, &t, &d) == -EINVAL, "%s", url);
	ck_assert(d.text[0]);
}

START_TEST(addresses_of_buckets)
{
	struct s3_target t = {.part = 0};

	ck_assert_int_eq(s3_url_parse("s3://a-bucket", &t, NULL), 0);
	ck_assert_str_eq(t.bucket, "a-bucket");
	ck_assert_str_eq(t.prefix, "");
	ck_assert_int_eq(s3_url_parse("s3://a.bucket/far/away/", &t, NULL), 0);
	ck_assert_str_eq(t.prefix, "far/away");
	refused("s3://");
	refused("s3://ab");
	refused("s3://Bucket");
	refused("s3://bucket/a//b");
	refused("s3://bucket/../b");
	refused("s3://bucket//b");
	refused("s3://bucket/a b");
	refused("s3://bucket/a?b");
	refused("https://bucket");
}
END_TEST

static int endpoint(const char *e, bool insecure)
{
	struct s3_target t = {.insecure_http = insecure};
	struct cof_diag d = {""};
	int r;

	snprintf(t.endpoint, sizeof(t.endpoint), "%s", e);
	r = s3_endpoint_check(&t, &d);
	ck_assert(r == 0 || d.text[0]);
	return r;
}

START_TEST(plain_http_only_to_this_host_or_when_said)
{
	struct s3_target t = {.endpoint = "http://far.example", .insecure_http = true};

	ck_assert_int_eq(endpoint("https://s3.example", false), 0);
	ck_assert_int_eq(endpoint("https://s3.example:8443", false), 0);
	ck_assert_int_eq(endpoint("http://127.0.0.1:80", false), 0);
	ck_assert_int_eq(endpoint("http://localhost", false), 0);
	ck_assert_int_eq(endpoint("http://[::1]:7", false), 0);
	ck_assert_int_eq(endpoint("http://s3.example", false), -EINVAL);
	ck_assert_int_eq(endpoint("http://10.0.0.1", false), -EINVAL);
	ck_assert_int_eq(endpoint("http://127.0.0.1.example", false), -EINVAL);
	ck_assert_int_eq(endpoint("http://localhost.example", false), -EINVAL);
	ck_assert_int_eq(endpoint("http://127.0.0.1@far.example", true), -EINVAL);
	ck_assert_int_eq(endpoint("http://s3.example", true), 0);
	ck_assert_int_eq(endpoint("ftp://s3.example", true), -EINVAL);
	ck_assert_int_eq(endpoint("https://s3.example/path", true), -EINVAL);
	ck_assert_int_eq(endpoint("https://", true), -EINVAL);
	ck_assert(s3_is_bare(&t));
	memcpy(t.endpoint, "https://far", 12);
	ck_assert(!s3_is_bare(&t));
}
END_TEST

/* ---- credentials ---- */

static int parse(const char *text, struct s3_credentials *c)
{
	struct cof_diag d = {""};
	int r = s3_credentials_parse(text, strlen(text), c, &d);

	ck_assert(r == 0 || d.text[0]);
	ck_assert_ptr_null(strstr(d.text, "hush"));
	return r;
}

START_TEST(credentials_of_a_file)
{
	struct s3_credentials c = {.secret = NULL};

	ck_assert_int_eq(
	    parse("# a comment\n[other]\naws_secret_access_key=no\n[default]\naws_access_key_id = "
		  "AK\n"
		  " aws_secret_access_key=hush/+=\r\naws_session_token = tok\n",
		  &c),
	    0);
	ck_assert_str_eq(c.access, "AK");
	ck_assert_str_eq(c.secret, "hush/+=");
	ck_assert_str_eq(c.token, "tok");
	s3_credentials_done(&c);
	ck_assert_int_eq(parse("aws_access_key_id = AK\naws_secret_access_key = hush\n", &c), 0);
	s3_credentials_done(&c);
	ck_assert_int_eq(parse("aws_access_key_id = AK\n", &c), -EINVAL);
	ck_assert_int_eq(parse("aws_secret_access_key = hush\n", &c), -EINVAL);
	ck_assert_int_eq(parse("aws_access_key_id = A K\naws_secret_access_key = hush\n", &c),
			 -EINVAL);
	ck_assert_int_eq(parse("aws_access_key_id = AK\naws_secret_access_key = hush hush\n", &c),
			 -EINVAL);
	ck_assert_int_eq(parse("hush\n", &c), -EINVAL);
	ck_assert_int_eq(parse("", &c), -EINVAL);
}
END_TEST

START_TEST(credentials_that_others_can_read_are_refused)
{
	char path[] = "/tmp/coffer-s3.XXXXXX";
	struct s3_credentials c = {.secret = NULL};
	struct cof_diag d = {""};
	int fd = mkstemp(path);
	static const char text[] =
	    "[default]\naws_access_key_id = AK\naws_secret_access_key = hush\n";

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_write_all(fd, text, sizeof(text) - 1), 0);
	ck_assert_int_eq(fchmod(fd, 0640), 0);
	ck_assert_int_eq(s3_credentials_load(path, &c, &d), -EACCES);
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	ck_assert_int_eq(s3_credentials_load(path, &c, &d), 0);
	ck_assert_str_eq(c.secret, "hush");
	s3_credentials_done(&c);
	close(fd);
	unlink(path);
	ck_assert_int_eq(s3_credentials_load(path, &c, &d), -ENOENT);
}
END_TEST

START_TEST(credentials_leave_the_environment)
{
	struct s3_credentials c = {.secret = NULL};
	struct cof_diag d = {""};
	char *there;

	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	ck_assert_int_eq(s3_credentials_load("", &c, &d), -ENOENT);
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	there = getenv("AWS_SECRET_ACCESS_KEY");
	ck_assert_int_eq(s3_credentials_load("", &c, &d), 0);
	ck_assert_str_eq(c.secret, "hush");
	ck_assert_ptr_null(getenv("AWS_SECRET_ACCESS_KEY"));
	ck_assert_str_eq(there, ""); /* overwritten where it was */
	s3_credentials_done(&c);
	ck_assert_int_eq(s3_credentials_load("", &c, &d), 0); /* for the next bucket */
	s3_credentials_done(&c);
}
END_TEST

/* ---- answers ---- */

struct seen {
	char text[1024];
};

static int see(void *user, const struct s3_listed *v)
{
	struct seen *s = user;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s|%s|%s|%llu|%d%d\n", v->key, v->version,
		 v->etag, (unsigned long long)v->size, v->marker, v->latest);
	return 0;
}

#define LIST(body)                                                                                 \
	"<?xml version=\"1.0\"?><ListVersionsResult xmlns=\"http://s3.example/\">" body            \
	"</ListVersionsResult>"

START_TEST(a_list_of_versions)
{
	static const char text[] =
	    LIST("<IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</"
		 "NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>\n"
		 "<Version><Key>a%2Fb%20c</Key><VersionId>v1</VersionId><IsLatest>true</"
		 "IsLatest><ETag>&quot;e&quot;</ETag><Size>12</Size>"
		 "<Owner><ID>x</ID></Owner></Version>"
		 "<DeleteMarker><Key>d</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest></"
		 "DeleteMarker>");
	struct seen s = {""};
	struct s3_page page;

	ck_assert_int_eq(s3_page_parse(text, sizeof(text) - 1, see, &s, &page), 0);
	ck_assert_str_eq(s.text, "a/b c|v1|\"e\"|12|01\nd|v2||0|10\n");
	ck_assert(page.more);
	ck_assert_str_eq(page.key, "a/b");
	ck_assert_str_eq(page.version, "v9");
}
END_TEST

/* Anybody who may write to a bucket may give names that long: the list goes on behind them. */
START_TEST(the_longest_names)
{
	cof_autobuf struct cof_buf b = {0};
	struct seen s = {""};
	struct s3_page page;

	cof_buf_printf(&b, "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>");
	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < 1024; i++)
			cof_buf_printf(&b, "%%ff");
		cof_buf_printf(&b, n ? "</Key><VersionId>v</VersionId></Version></ListVersionsResult>" : "</NextKeyMarker><Version><Key>");
	}
	ck_assert_int_eq(s3_page_parse(b.data, b.len, see, &s, &page), 0);
	ck_assert_uint_eq(strlen(page.key), 1024);
	ck_assert_uint_ge(strlen(s.text), 1023);
}
END_TEST

static void no_list(const char *text)
{
	struct seen s = {""};
	struct s3_page page;

	ck_assert_msg(s3_page_parse(text, strlen(text), see, &s, &page) == -EBADMSG, "%s", text);
}

START_TEST(what_is_no_list)
{
	cof_autobuf struct cof_buf b = {0};

	no_list("");
	no_list("<html><body>a proxy says hello</body></html>");
	no_list("<ListVersionsResult><Version>");
	no_list(LIST("<Version><Key>a</Key></Version>"));
	no_list(LIST("<Version><Key>a%00b</Key><VersionId>v</VersionId></Version>"));
	no_list(LIST("<Version><Key>a</Key><VersionId>v</VersionId><Size>-1</Size></Version>"));
	no_list(LIST("<IsTruncated>true</IsTruncated>"));
	no_list(
	    "<!DOCTYPE a [<!ENTITY x "
	    "\"y\">]><ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>");
	for (int i = 0; i < 20; i++)
		cof_buf_printf(&b, "<a>");
	no_list((char *)b.data);
	b.len = 0;
	cof_buf_printf(&b, "<ListVersionsResult><Prefix>");
	for (int i = 0; i < 500; i++)
		cof_buf_printf(&b, "0123456789");
	cof_buf_printf(&b, "</Prefix></ListVersionsResult>");
	no_list((char *)b.data);
}
END_TEST

static void line(struct s3_answer *a, const char *text)
{
	s3_take_header(a, text, strlen(text));
}

START_TEST(heads_of_answers)
{
	struct s3_answer a = {.status = 0};
	char when[32];

	line(&a, "HTTP/1.1 200 OK\r\n");
	line(&a, "x-amz-version-id: abc.DEF\r\n");
	line(&a, "X-Amz-Object-Lock-Mode: COMPLIANCE\r\n");
	line(&a, "x-amz-object-lock-retain-until-date: 2030-01-02T03:04:05.000Z\r\n");
	line(&a, "x-amz-object-lock-legal-hold: ON\r\n");
	line(&a, "Content-Length: 77\r\n");
	line(&a, "Date: Fri, 24 May 2013 00:00:00 GMT\r\n");
	line(&a, "Retry-After: 4000\r\n");
	ck_assert_str_eq(a.object.version, "abc.DEF");
	ck_assert(a.object.lock.hold && !a.object.lock.governance);
	cof_time_text(a.object.lock.until, when);
	ck_assert_str_eq(when, "2030-01-02T03:04:05.000Z");
	ck_assert_uint_eq(a.object.size, 77);
	cof_time_text(a.date, when);
	ck_assert_str_eq(when, "2013-05-24T00:00:00.000Z");
	ck_assert_int_eq(a.retry_after, 60);
	line(&a, "x-amz-object-lock-mode: GOVERNANCE\r\n");
	ck_assert(a.object.lock.governance);
	line(&a, "HTTP/1.1 200 OK\r\n"); /* that one was 100 Continue */
	ck_assert_str_eq(a.object.version, "");
	line(&a, "x-amz-version-id: with a blank\r\n");
	ck_assert_str_eq(a.object.version, "");
	line(&a, "x-amz-version-id: \x1b[31m\r\n");
	ck_assert_str_eq(a.object.version, "");
}
END_TEST

static int judged(long status, const char *code, const char *says)
{
	struct s3_target t = {.endpoint = "https://s3.example", .bucket = "bucket"};
	struct s3_request q = {.method = "PUT", .key = "k"};
	struct s3_answer a = {.status = status};
	struct cof_diag d = {""};
	int r;

	snprintf(a.code, sizeof(a.code), "%s", code);
	r = s3_judge(&t, &q, &a, &d);
	ck_assert_msg(strstr(d.text, says) != NULL, "%ld %s: %s", status, code, d.text);
	return r;
}

START_TEST(each_refusal_has_a_sentence)
{
	ck_assert_int_eq(judged(200, "", ""), 0);
	ck_assert_int_eq(judged(503, "SlowDown", "overloaded"), 1);
	ck_assert_int_eq(judged(500, "", "goes on later"), 1);
	ck_assert_int_eq(judged(429, "", "goes on later"), 1);
	ck_assert_int_eq(judged(403, "SignatureDoesNotMatch", "secret key"), -EACCES);
	ck_assert_int_eq(judged(403, "InvalidAccessKeyId", "access key"), -EACCES);
	ck_assert_int_eq(judged(403, "RequestTimeTooSkewed", "clock"), -EACCES);
	ck_assert_int_eq(judged(403, "AccessDenied", "may not do that"), -EACCES);
	ck_assert_int_eq(judged(404, "NoSuchBucket", "no such bucket"), -ENOENT);
	ck_assert_int_eq(judged(400, "ObjectLockConfigurationNotFoundError", "Object Lock"),
			 -ENOTSUP);
	ck_assert_int_eq(judged(403, "QuotaExceeded", "quota"), -EDQUOT);
	ck_assert_int_eq(judged(301, "PermanentRedirect", "--endpoint"), -EPROTO);
	ck_assert_int_eq(judged(302, "", "leads elsewhere"), -EPROTO);
	ck_assert_int_eq(judged(400, "BadDigest", "not what was sent"), -EBADMSG);
	ck_assert_int_eq(judged(412, "PreconditionFailed", "already"), -EEXIST);
	ck_assert_int_eq(judged(418, "", "answers PUT of bucket/k with 418"), -EPROTO);
}
END_TEST

START_TEST(digests_of_a_part)
{
	struct s3_memory m;
	struct s3_body b = s3_memory_body(&m, "xWelcome to Amazon S3.y", 23);
	struct s3_digest d;

	ck_assert_int_eq(s3_digest(&b, 1, 21, &d), 0);
	ck_assert_str_eq(d.hex, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
	ck_assert_int_eq(s3_digest(&b, 0, 24, &d), -EIO);
	b = s3_memory_body(&m, "abc", 3);
	ck_assert_int_eq(s3_digest(&b, 0, 3, &d), 0);
	ck_assert_str_eq(d.md5, "kAFQmDzST7DWlj99KOF/cg=="); /* RFC 1321's MD5 ("abc") */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("s3");
	TCase *t = tcase_create("client");
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_fork_status(runner, CK_NOFORK); /* secrets do not pass a fork */
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	tcase_add_test(t, signatures_are_those_of_the_published_examples);
	tcase_add_test(t, names_are_encoded_and_queries_are_sorted);
	tcase_add_test(t, addresses_of_buckets);
	tcase_add_test(t, plain_http_only_to_this_host_or_when_said);
	tcase_add_test(t, credentials_of_a_file);
	tcase_add_test(t, credentials_that_others_can_read_are_refused);
	tcase_add_test(t, credentials_leave_the_environment);
	tcase_add_test(t, a_list_of_versions);
	tcase_add_test(t, the_longest_names);
	tcase_add_test(t, what_is_no_list);
	tcase_add_test(t, heads_of_answers);
	tcase_add_test(t, each_refusal_has_a_sentence);
	tcase_add_test(t, digests_of_a_part);
	suite_add_tcase(suite, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
