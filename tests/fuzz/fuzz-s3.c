/* SPDX-License-Identifier: Apache-2.0 */
/* What an S3 server answers: lists, other XML, heads; names of objects; files of credentials, and
 * the host's note. The first byte says which. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "tools/s3/items.h"

const unsigned fuzz_runs = 20000;

static unsigned met;

static int see(void *user, const struct s3_listed *v)
{
	(void)user;
	fuzz_check(*v->key && strlen(v->key) <= S3_FOUND_MAX && *v->version &&
		   strlen(v->version) < S3_VERSION_MAX);
	fuzz_check(strlen(v->etag) < S3_ETAG_MAX);
	return ++met > 5000 ? -E2BIG : 0;
}

static int element(void *user, const char *path, const char *text)
{
	(void)user;
	fuzz_check(strlen(path) < 256 && strlen(text) <= S3_XML_TEXT);
	return 0;
}

static void heads(const uint8_t *data, size_t n)
{
	struct s3_answer a = {.status = 0};

	while (n) {
		const uint8_t *end = memchr(data, '\n', n);
		size_t k = end ? (size_t)(end - data) + 1 : n;

		s3_take_header(&a, (const char *)data, k);
		data += k;
		n -= k;
	}
	fuzz_check(memchr(a.object.version, 0, S3_VERSION_MAX) &&
		   memchr(a.object.etag, 0, S3_ETAG_MAX));
	fuzz_check(memchr(a.object.sha256, 0, 65) && a.retry_after >= 0 && a.retry_after <= 60);
}

static void credentials(const uint8_t *data, size_t n)
{
	struct s3_credentials c = {.secret = NULL};
	struct cof_diag d = {""};
	int r;

	fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	r = s3_credentials_parse((const char *)data, n, &c, &d);
	fuzz_check(r == 0 || d.text[0]);
	fuzz_check(r < 0 || (c.access[0] && c.secret[0]));
	s3_credentials_done(&c);
}

static void note(const uint8_t *data, size_t n)
{
	struct s3_target t = {.bucket = "b"};
	struct cof_conf conf = {.segment_size = 65536};
	struct s3_copy *c = NULL;
	struct s3_item item;
	char name[256];

	snprintf(name, sizeof(name), "%.*s", (int)n, (const char *)data);
	(void)s3_item_parse(name, &item);
	fuzz_check(s3_copy_new(&t, &conf, &c) == 0);
	if (s3_copy_load(c, data, n) == 0) {
		fuzz_check(!c->scanned || c->needs > (c->scanned_end - 1) / conf.segment_size);
		for (size_t i = 0; i < c->items; i++)
			fuzz_check((c->item[i].kind != S3_SEGMENT && c->item[i].kind != S3_PIECE) ||
				   c->item[i].number < c->needs);
	} else {
		fuzz_check(!c->items && !c->needs && !c->size);
	}
	s3_copy_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct s3_page page;
	char code[64];
	int r;

	if (!n)
		return 0;
	met = 0;
	switch (data[0] % 5) {
	case 0:
		r = s3_page_parse(data + 1, n - 1, see, NULL, &page);
		fuzz_check(r == 0 || r == -EBADMSG || r == -E2BIG || r == -ENOMEM);
		fuzz_check(r < 0 || !page.more || page.key[0]);
		break;
	case 1:
		r = s3_xml_parse(data + 1, n - 1, element, NULL);
		fuzz_check(r == 0 || r == -EBADMSG || r == -ENOMEM);
		(void)s3_xml_find(data + 1, n - 1, "Error/Code", code, sizeof(code));
		fuzz_check(memchr(code, 0, sizeof(code)));
		break;
	case 2:
		heads(data + 1, n - 1);
		break;
	case 3:
		note(data + 1, n - 1);
		break;
	default:
		credentials(data + 1, n - 1);
	}
	return 0;
}

static void seed(char kind, const char *text)
{
	char buf[2048];

	buf[0] = kind;
	memcpy(buf + 1, text, strlen(text));
	fuzz_seed(buf, strlen(text) + 1);
}

void fuzz_seeds(void)
{
	seed(0, "<?xml version=\"1.0\"?><ListVersionsResult "
		"xmlns=\"x\"><IsTruncated>true</IsTruncated><NextKeyMarker>a%2F</NextKeyMarker>"
		"<NextVersionIdMarker>v</NextVersionIdMarker><Version><Key>a%2Fb</"
		"Key><VersionId>v1</VersionId><ETag>&quot;0&quot;</ETag>"
		"<Size>9</Size><IsLatest>true</IsLatest></Version><DeleteMarker><Key>c</"
		"Key><VersionId>w</VersionId></DeleteMarker>"
		"</ListVersionsResult>");
	seed(1, "<Error><Code>NoSuchKey</Code><Message>no &#120; "
		"&lt;</Message><Resource>/b/k</Resource></Error>");
	seed(2, "HTTP/1.1 200 OK\r\nETag: \"aa\"\r\nx-amz-version-id: v\r\nx-amz-object-lock-mode: "
		"COMPLIANCE\r\n"
		"x-amz-object-lock-retain-until-date: 2030-01-02T03:04:05Z\r\nDate: Fri, 24 May "
		"2013 00:00:00 GMT\r\n"
		"Content-Length: 12\r\nRetry-After: 3\r\n");
	seed(3, "coffer-s3 1\nhead 9 500 "
		"0000000000000000000000000000000000000000000000000000000000000000 7\n"
		"scan 9 500 1 0 -9223372036854775808 0\ncheck 5 0\nh 3 10 12\nn 0 500 10 12 77 -1 "
		"-1 -1 1\n"
		"o s 0 0 0 500 0 0000000000000000000000000000000000000000000000000000000000000000 "
		"e 99 1 v.1\n");
	seed(3, "piece/"
		"00000003-00001000-0000004d-"
		"0000000000000000000000000000000000000000000000000000000000000000");
	seed(4, "[default]\naws_access_key_id = AK\naws_secret_access_key = s\naws_session_token = "
		"t\n");
}
