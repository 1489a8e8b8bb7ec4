/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer means: whether it may pass, which error it is, and what to do about it. */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "tools/s3/internal.h"

/* What the server named the error, and the sentence for it. %s: the bucket. */
static const struct {
	const char *code;
	int err;
	const char *text;
} known[] = {
    {"InvalidAccessKeyId", -EACCES,
     "the server does not know the access key: is it the one of this endpoint?"},
    {"SignatureDoesNotMatch", -EACCES,
     "the secret key does not belong to the access key, or something on the way changes requests"},
    {"ExpiredToken", -EACCES, "the session token is over: get new credentials"},
    {"InvalidToken", -EACCES, "the session token is not valid"},
    {"AccountProblem", -EACCES, "the account has a problem that its owner has to solve"},
    {"NoSuchBucket", -ENOENT, "there is no such bucket: make it, with Object Lock"},
    {"NoSuchUpload", -ENOENT, "the upload in parts is no longer there"},
    {"PermanentRedirect", -EPROTO,
     "the bucket is at another endpoint: --endpoint and --region have to be its own"},
    {"AuthorizationHeaderMalformed", -EPROTO, "the bucket is in another region: --region"},
    {"IllegalLocationConstraintException", -EPROTO, "the bucket is in another region: --region"},
    {"ObjectLockConfigurationNotFoundError", -ENOTSUP,
     "the bucket has no Object Lock: it has to be made with it"},
    {"InvalidBucketState", -ENOTSUP, "the bucket has no Object Lock, or its versions are not kept"},
    {"InvalidRetentionPeriod", -EINVAL,
     "the server takes no lock of that length: its policy allows less"},
    {"BadDigest", -EBADMSG, "what arrived is not what was sent"},
    {"XAmzContentSHA256Mismatch", -EBADMSG, "what arrived is not what was sent"},
    {"XAmzContentChecksumMismatch", -EBADMSG, "what arrived is not what was sent"},
    {"EntityTooLarge", -EFBIG,
     "the server takes no object of that size: make parts smaller (--part)"},
    {"EntityTooSmall", -EINVAL, "the server wants larger parts (--part)"},
    {"QuotaExceeded", -EDQUOT, "the bucket's quota is used up"},
    {"TooManyBuckets", -EDQUOT, "the account's quota is used up"},
    {"InsufficientCapacity", -ENOSPC, "the server has no room"},
    {"PreconditionFailed", -EEXIST, "an object of this name is there already"},
    {"NotImplemented", -ENOTSUP, "the server does not know this part of S3"},
};

static bool passes(const struct s3_answer *a)
{
	static const char *const code[] = {
	    "SlowDown",         "InternalError", "RequestTimeout",      "ServiceUnavailable",
	    "OperationAborted", "Throttling",    "RequestLimitExceeded"};

	for (unsigned i = 0; i < COF_COUNT(code); i++)
		if (!strcmp(a->code, code[i]))
			return true;
	return a->status == 429 || a->status == 500 || a->status == 502 || a->status == 503 ||
	       a->status == 504 || a->status == 408;
}

static int by_status(long status)
{
	switch (status) {
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
	case 412:
		return -EEXIST;
	case 501:
	case 405:
		return -ENOTSUP;
	case 507:
		return -ENOSPC;
	default:
		return status >= 500 ? -EAGAIN : -EPROTO;
	}
}

/* What was asked, for people. */
static void what(const struct s3_target *t, const struct s3_request *r, char out[200])
{
	snprintf(out, 200, "%s of %s%s%.120s", r->method, t->bucket, r->key ? "/" : "",
		 r->key ? r->key : "");
}

static int skewed(const struct s3_target *t, const struct s3_answer *a, struct cof_diag *diag)
{
	char here[32], there[32];

	cof_time_text(cof_now(CLOCK_REALTIME), here);
	cof_time_text(a->date, there);
	return cof_fail(diag, -EACCES,
			"%s refuses: its clock (%s) and this host's (%s) are too far apart; set "
			"the one that is wrong",
			t->endpoint, a->date ? there : "it did not say", here);
}

/* Text of the server may go to a terminal; who prints escapes it, here only its length is bounded.
 */
int s3_judge(const struct s3_target *t, const struct s3_request *r, const struct s3_answer *a,
	     struct cof_diag *diag)
{
	char asked[200];
	int err;

	if (a->status >= 200 && a->status < 300)
		return 0;
	what(t, r, asked);
	if (!strcmp(a->code, "RequestTimeTooSkewed"))
		return skewed(t, a, diag);
	if (passes(a)) {
		cof_fail(diag, -EAGAIN,
			 "%s is overloaded or out of order: %s was answered with %ld%s%.60s; the "
			 "same command goes on later",
			 t->endpoint, asked, a->status, *a->code ? " " : "", a->code);
		return 1;
	}
	for (unsigned i = 0; i < COF_COUNT(known); i++)
		if (!strcmp(a->code, known[i].code))
			return cof_fail(diag, known[i].err, "%s refuses %s: %s", t->endpoint, asked,
					known[i].text);
	err = by_status(a->status);
	if (a->status >= 300 && a->status < 400)
		return cof_fail(diag, err,
				"%s leads elsewhere (%ld) for %s, which is not followed: name the "
				"bucket's own endpoint and "
				"region",
				t->endpoint, a->status, asked);
	if (err == -EACCES)
		return cof_fail(diag, err,
				"%s refuses %s: these credentials may not do that, or what it is "
				"about is locked "
				"(%.60s%s%.100s)",
				t->endpoint, asked, *a->code ? a->code : "no reason given",
				*a->message ? ": " : "", a->message);
	return cof_fail(diag, err, "%s answers %s with %ld%s%.60s%s%.200s", t->endpoint, asked,
			a->status, *a->code ? " " : "", a->code, *a->message ? ": " : "",
			a->message);
}

/* ---- heads of answers ---- */

struct head {
	const char *value;
	size_t n;
};

static bool is(const char *line, size_t n, const char *name, struct head *ret)
{
	size_t k = strlen(name);

	if (n <= k || line[k] != ':' || strncasecmp(line, name, k))
		return false;
	line += k + 1;
	n -= k + 1;
	while (n && (*line == ' ' || *line == '\t'))
		line++, n--;
	while (n && strchr(" \t\r\n", line[n - 1]))
		n--;
	*ret = (struct head){line, n};
	return true;
}

/* Printable and without blanks, or not said. */
static void text(const struct head *h, char *out, size_t cap)
{
	if (h->n >= cap)
		return;
	for (size_t i = 0; i < h->n; i++)
		if (h->value[i] <= ' ' || h->value[i] > '~')
			return;
	memcpy(out, h->value, h->n);
	out[h->n] = 0;
}

static uint64_t number(const struct head *h)
{
	uint64_t v = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (h->value[i] < '0' || h->value[i] > '9' || v > UINT64_MAX / 10 - 1)
			return 0;
		v = v * 10 + (uint64_t)(h->value[i] - '0');
	}
	return v;
}

static int64_t http_date(const char *s)
{
	struct tm tm = {.tm_isdst = 0};
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4] = "";
	const char *at;

	if (sscanf(s, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return 0;
	at = strlen(month) == 3 ? strstr(months, month) : NULL;
	if (!at || (at - months) % 3 || tm.tm_year < 1970 || tm.tm_year > 9000)
		return 0;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	return (int64_t)timegm(&tm) > INT64_MAX / COF_NSEC ? 0 : (int64_t)timegm(&tm) * COF_NSEC;
}

static void take_until(const struct head *h, struct s3_answer *a)
{
	char t[64] = "";
	int64_t ns;

	text(h, t, sizeof(t));
	if (cof_time_parse(t, &ns) == 0)
		a->object.lock.until = ns;
}

void s3_take_header(struct s3_answer *a, const char *line, size_t n)
{
	struct head h;
	char date[64] = "";

	if (n > 5 && !strncmp(line, "HTTP/", 5)) { /* another head begins: of an answer to come */
		struct cof_buf body = a->body;

		memset(a, 0, sizeof(*a));
		a->body = body;
	} else if (is(line, n, "etag", &h)) {
		text(&h, a->object.etag, sizeof(a->object.etag));
	} else if (is(line, n, "x-amz-version-id", &h)) {
		text(&h, a->object.version, sizeof(a->object.version));
	} else if (is(line, n, "x-amz-meta-sha256", &h)) {
		text(&h, a->object.sha256, sizeof(a->object.sha256));
	} else if (is(line, n, "x-amz-object-lock-mode", &h)) {
		a->object.lock.governance = h.n != 10 || strncmp(h.value, "COMPLIANCE", 10);
	} else if (is(line, n, "x-amz-object-lock-retain-until-date", &h)) {
		take_until(&h, a);
	} else if (is(line, n, "x-amz-object-lock-legal-hold", &h)) {
		a->object.lock.hold = h.n == 2 && !strncmp(h.value, "ON", 2);
	} else if (is(line, n, "x-amz-delete-marker", &h)) {
		a->marker = h.n == 4 && !strncmp(h.value, "true", 4);
	} else if (is(line, n, "x-amz-server-side-encryption", &h)) {
		a->kms = h.n >= 7 && !strncmp(h.value, "aws:kms", 7);
	} else if (is(line, n, "content-length", &h)) {
		a->length = a->object.size = number(&h);
	} else if (is(line, n, "retry-after", &h)) {
		a->retry_after = (long)COF_MIN(number(&h), (uint64_t)60);
	} else if (is(line, n, "date", &h) && h.n < sizeof(date)) {
		memcpy(date, h.value, h.n);
		a->date = http_date(date);
	}
}
