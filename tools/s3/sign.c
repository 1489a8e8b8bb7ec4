/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS signature version 4, for the service s3: HMAC-SHA256 over a canonical form of the request,
 * with a key that is derived from the secret for one day, region and service. The keys on the way
 * lie in secure memory.
 */
#include <stdio.h>
#include <time.h>

#include "tools/s3/internal.h"

void s3_sign_date(int64_t ns, char ret[17])
{
	time_t t = (time_t)(ns / COF_NSEC);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, 17, "%Y%m%dT%H%M%SZ", &tm);
}

void s3_time_iso(int64_t ns, char ret[32])
{
	time_t t = (time_t)(ns / COF_NSEC);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void s3_encode(struct cof_buf *b, const char *text, bool slash)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-_.~", c) || (c == '/' && slash))
			cof_buf_add(b, &c, 1);
		else
			cof_buf_printf(b, "%%%02X", c);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct s3_pair *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->value, y->value);
}

void s3_query(struct cof_buf *b, struct s3_pair *pairs, int n)
{
	qsort(pairs, (size_t)n, sizeof(*pairs), by_name);
	for (int i = 0; i < n; i++) {
		if (i)
			cof_buf_add(b, "&", 1);
		s3_encode(b, pairs[i].name, false);
		cof_buf_add(b, "=", 1);
		s3_encode(b, pairs[i].value, false);
	}
}

/* A value without blanks at its ends, and with single ones within. */
static void add_trimmed(struct cof_buf *b, const char *value)
{
	bool blank = false, begun = false;

	for (; *value; value++) {
		if (*value == ' ' || *value == '\t') {
			blank = begun;
			continue;
		}
		if (blank)
			cof_buf_add(b, " ", 1);
		blank = false;
		begun = true;
		cof_buf_add(b, value, 1);
	}
}

static void names_of(const struct s3_signing *p, struct cof_buf *b)
{
	for (int i = 0; i < p->headers; i++)
		cof_buf_printf(b, "%s%s", i ? ";" : "", p->header[i].name);
}

static void canonical(const struct s3_signing *p, struct cof_buf *b)
{
	cof_buf_printf(b, "%s\n%s\n%s\n", p->method, p->path, p->query);
	for (int i = 0; i < p->headers; i++) {
		cof_buf_printf(b, "%s:", p->header[i].name);
		add_trimmed(b, p->header[i].value);
		cof_buf_add(b, "\n", 1);
	}
	cof_buf_add(b, "\n", 1);
	names_of(p, b);
	cof_buf_printf(b, "\n%s", p->payload);
}

static void step(const uint8_t *key, size_t n, const char *text, uint8_t *out)
{
	cof_hmac(key, n,
		 &(struct iovec){.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)}, 1,
		 out);
}

/* The day's key in k[1]; k is secure memory of two keys. */
static int derive(const struct s3_signing *p, const char *secret, uint8_t (*k)[COF_KEY])
{
	size_t n = strlen(secret);
	cof_autosecret uint8_t *first = cof_secret_alloc(n + 4);
	char day[9];

	if (!first)
		return -ENOMEM;
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, secret, n);
	snprintf(day, sizeof(day), "%.8s", p->date);
	step(first, n + 4, day, k[0]);
	step(k[0], COF_KEY, p->region, k[1]);
	step(k[1], COF_KEY, "s3", k[0]);
	step(k[0], COF_KEY, "aws4_request", k[1]);
	return 0;
}

int s3_sign(struct s3_signing *p, const struct s3_credentials *c, char ret[S3_SIGN_TEXT])
{
	cof_autobuf struct cof_buf b = {0}, names = {0};
	cof_autosecret uint8_t(*k)[COF_KEY] = cof_secret_alloc(2 * COF_KEY);
	uint8_t hash[COF_HASH];
	char hex[65], scope[96];
	int r;

	if (!k)
		return -ENOMEM;
	qsort(p->header, (size_t)p->headers, sizeof(*p->header), by_name);
	names_of(p, &names);
	canonical(p, &b);
	if (b.failed || names.failed)
		return -ENOMEM;
	cof_sha256(b.data, b.len, hash);
	cof_hex(hash, COF_HASH, hex);
	snprintf(scope, sizeof(scope), "%.8s/%.40s/s3/aws4_request", p->date, p->region);
	b.len = 0;
	cof_buf_printf(&b, "AWS4-HMAC-SHA256\n%s\n%s\n%s", p->date, scope, hex);
	r = derive(p, c->secret, k);
	if (r < 0 || b.failed)
		return r < 0 ? r : -ENOMEM;
	cof_hmac(k[1], COF_KEY, &(struct iovec){.iov_base = b.data, .iov_len = b.len}, 1, hash);
	cof_hex(hash, COF_HASH, hex);
	return snprintf(ret, S3_SIGN_TEXT,
			"AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			c->access, scope, (const char *)names.data, hex) < S3_SIGN_TEXT
		   ? 0
		   : -E2BIG;
}
