/* SPDX-License-Identifier: Apache-2.0 */
/* Where a bucket is: its address, and whether the way there may be used. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "tools/s3/internal.h"

bool s3_is_url(const char *url)
{
	return !strncmp(url, "s3://", 5);
}

/* As S3 names buckets: 3 to 63 of a-z, 0-9, '.' and '-'. */
static bool bucket_ok(const char *p, size_t n)
{
	if (n < 3 || n > 63 || !isalnum((unsigned char)p[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= '0' && p[i] <= '9') && p[i] != '-' &&
		    p[i] != '.')
			return false;
	return true;
}

static bool prefix_ok(const char *p)
{
	if (*p == '/')
		return false;
	for (const char *c = p; *c; c++)
		if (!(isalnum((unsigned char)*c) && (unsigned char)*c < 128) && !strchr("-_./", *c))
			return false;
	return !strstr(p, "//") && !strstr(p, "..");
}

int s3_url_parse(const char *url, struct s3_target *t, struct cof_diag *diag)
{
	const char *bucket = s3_is_url(url) ? url + 5 : "", *prefix;
	size_t n = strcspn(bucket, "/"), k;

	if (!bucket_ok(bucket, n))
		return cof_fail(diag, -EINVAL,
				"'%.100s' names no bucket: s3://BUCKET or s3://BUCKET/PREFIX, "
				"where BUCKET is 3 to 63 "
				"letters a to z, digits, dots and dashes",
				url);
	prefix = bucket + n + (bucket[n] == '/');
	k = strlen(prefix);
	while (k && prefix[k - 1] == '/')
		k--;
	if (k >= sizeof(t->prefix) - 1 || !prefix_ok(prefix))
		return cof_fail(diag, -EINVAL,
				"the prefix of '%.100s' may have letters, digits, and of other "
				"characters - _ . and single "
				"slashes, and no ..",
				url);
	memcpy(t->bucket, bucket, n);
	t->bucket[n] = 0;
	memcpy(t->prefix, prefix, k);
	t->prefix[k] = 0;
	return 0;
}

/* Of an endpoint: the host without port. */
static void host_of(const char *endpoint, char out[256])
{
	const char *host = strstr(endpoint, "://"), *end;

	host = host ? host + 3 : endpoint;
	end = *host == '[' ? strchr(host, ']') : NULL;
	if (end)
		snprintf(out, 256, "%.*s", (int)(end - host + 1), host);
	else
		snprintf(out, 256, "%.*s", (int)strcspn(host, ":/"), host);
}

/* By what it is, not by what a resolver says of it. */
static bool is_here(const char *endpoint)
{
	char host[256];
	unsigned a, b, c, d;
	int used = 0;

	host_of(endpoint, host);
	if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]"))
		return true;
	return sscanf(host, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &used) == 4 && !host[used] &&
	       a == 127 && b < 256 && c < 256 && d < 256;
}

bool s3_is_bare(const struct s3_target *t)
{
	return !strncmp(t->endpoint, "http://", 7) && !is_here(t->endpoint);
}

int s3_endpoint_check(const struct s3_target *t, struct cof_diag *diag)
{
	const char *e = t->endpoint, *host = strstr(e, "://");
	char name[256];

	if (strncmp(e, "https://", 8) && strncmp(e, "http://", 7))
		return cof_fail(diag, -EINVAL,
				"an endpoint is https://HOST or https://HOST:PORT, not '%.100s'",
				e);
	host_of(e, name);
	host += 3;
	if (!*name || host[strcspn(host, "/?#@ \t\r\n\"'\\")])
		return cof_fail(
		    diag, -EINVAL,
		    "an endpoint has a host and perhaps a port, and nothing behind: '%.100s'", e);
	if (s3_is_bare(t) && !t->insecure_http)
		return cof_fail(
		    diag, -EINVAL,
		    "%s is plain HTTP: whoever is on the way reads and changes what goes there, "
		    "though it is "
		    "sealed and would show. Name the https endpoint, or say --insecure-http",
		    e);
	return 0;
}
