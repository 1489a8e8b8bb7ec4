/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bucket can do is tried, not believed: servers were seen that answer 200 to a condition or
 * a wrong checksum and do nothing about it. An object is put, locked for some minutes; its lock is
 * to be shortened and its version deleted.
 */
#include <stdio.h>
#include <time.h>

#include "tools/s3/internal.h"

#define LOCK_S 900
#define SHORTER_S 600

static const char text[] = "coffer tries what this bucket can do\n";

static void prepare(struct s3_request *q, const char *key, struct s3_digest *d)
{
	static struct s3_memory m;
	struct s3_body b = s3_memory_body(&m, text, sizeof(text) - 1);

	*q = (struct s3_request){
	    .method = "PUT", .key = key, .text = text, .length = sizeof(text) - 1};
	if (s3_digest(&b, 0, b.size, d) < 0)
		memset(d, 0, sizeof(*d));
}

/* Refused with one of these: the ability is there. */
static int ask(struct s3 *s, struct s3_request *q, enum s3_ability *ret, struct cof_diag *diag)
{
	struct s3_answer a;
	int r = s3_do(s, q, &a, diag);

	if (r == 0)
		*ret = S3_IGNORED;
	else if (a.status >= 400 && a.status < 500)
		*ret = S3_KEPT;
	else if (a.status == 501)
		*ret = S3_ABSENT;
	s3_answer_done(&a);
	return r == 0 || *ret != S3_UNKNOWN ? 0 : r;
}

/* The first object: locked, and what HEAD says of it. */
static int put_locked(struct s3 *s, const char *key, int64_t until, struct s3_object *o,
		      struct s3_abilities *ret, struct cof_diag *diag)
{
	struct s3_request q;
	struct s3_digest d;
	struct s3_answer a;
	char when[32];
	int r;

	prepare(&q, key, &d);
	s3_time_iso(until, when);
	s3_request_header(&q, "x-amz-object-lock-mode", "COMPLIANCE");
	s3_request_header(&q, "x-amz-object-lock-retain-until-date", when);
	if (d.has_md5)
		s3_request_header(&q, "content-md5", d.md5);
	s3_request_header(&q, "x-amz-checksum-sha256", d.base64);
	r = s3_do(s, &q, &a, diag);
	if (r == -EACCES && !strcmp(a.code, "AccessDenied"))
		cof_fail(diag, r,
			 "%s refuses a locked object in %s: these credentials need s3:PutObject, "
			 "s3:PutObjectRetention and "
			 "s3:PutObjectLegalHold there",
			 s3_target_of(s)->endpoint, s3_target_of(s)->bucket);
	else if (r == -EPROTO && a.status == 400)
		r = cof_fail(diag, -ENOTSUP,
			     "%s takes no locked object in %s (%.60s): the bucket has to be made "
			     "with Object Lock",
			     s3_target_of(s)->endpoint, s3_target_of(s)->bucket, a.code);
	s3_answer_done(&a);
	if (r < 0)
		return r;
	r = s3_head(s, key, NULL, o, NULL, diag);
	if (r < 0)
		return r;
	ret->versions = *o->version && strcmp(o->version, "null") ? S3_KEPT : S3_ABSENT;
	ret->lock = o->lock.until >= until && !o->lock.governance ? S3_KEPT : S3_IGNORED;
	return 0;
}

static int try_lock(struct s3 *s, const char *key, int64_t shorter, const struct s3_object *o,
		    struct s3_abilities *ret, struct cof_diag *diag)
{
	struct s3_request q = {.method = "DELETE", .key = key};
	enum s3_ability shortened = S3_UNKNOWN, deleted = S3_UNKNOWN;
	struct s3_object now;
	int r = s3_extend(s, key, o->version, shorter, diag);

	shortened = r == 0 ? S3_IGNORED : r == -ENOENT ? S3_UNKNOWN : S3_KEPT;
	if (r == -EAGAIN || r == -ETIMEDOUT || r == -ECONNREFUSED || r == -EIO)
		return r;
	s3_request_query(&q, "versionId", o->version);
	r = ask(s, &q, &deleted, diag);
	if (r < 0)
		return r;
	r = s3_head(s, key, o->version, &now, NULL, diag);
	if (r < 0 && r != -ENOENT)
		return r;
	ret->lock =
	    r == 0 && shortened == S3_KEPT && deleted == S3_KEPT && now.lock.until >= o->lock.until
		? S3_KEPT
		: S3_IGNORED;
	return 0;
}

int s3_probe(struct s3 *s, const char *key, struct s3_abilities *ret, struct cof_diag *diag)
{
	int64_t now = cof_now(CLOCK_REALTIME) / COF_NSEC;
	struct s3_abilities a = {.lock = S3_UNKNOWN};
	struct s3_object o;
	struct s3_request q;
	struct s3_digest d;
	uint8_t wrong[32] = {1};
	char base64[48], md5[28];
	int r = put_locked(s, key, (now + LOCK_S) * COF_NSEC, &o, &a, diag);

	if (r < 0)
		return r;
	if (a.versions != S3_KEPT || a.lock != S3_KEPT)
		return cof_fail(diag, -ENOTSUP,
				"%s took a locked object into %s and shows it without %s: the "
				"bucket has to be made with "
				"Object Lock",
				s3_target_of(s)->endpoint, s3_target_of(s)->bucket,
				a.versions != S3_KEPT ? "a version of its own" : "its lock");
	r = try_lock(s, key, (now + SHORTER_S) * COF_NSEC, &o, &a, diag);
	if (r == 0 && a.lock != S3_KEPT)
		return cof_fail(diag, -ENOTSUP,
				"%s says that it locks, and let the lock be shortened or the "
				"version be deleted: nothing in %s "
				"is safe",
				s3_target_of(s)->endpoint, s3_target_of(s)->bucket);
	if (r == 0) {
		prepare(&q, key, &d);
		s3_request_header(&q, "if-none-match", "*");
		r = ask(s, &q, &a.condition, diag);
	}
	if (r == 0) {
		prepare(&q, key, &d);
		cof_base64(wrong, 32, base64);
		s3_request_header(&q, "x-amz-checksum-sha256", base64);
		r = ask(s, &q, &a.checksum, diag);
	}
	if (r == 0) {
		prepare(&q, key, &d);
		cof_base64(wrong, 16, md5);
		s3_request_header(&q, "content-md5", md5);
		r = ask(s, &q, &a.md5, diag);
	}
	if (r == 0)
		*ret = a;
	return r;
}

const char *s3_ability_name(enum s3_ability a)
{
	static const char *const name[] = {"unknown", "kept", "ignored", "absent"};

	return name[a];
}

void s3_abilities_text(const struct s3_abilities *a, struct cof_buf *ret)
{
	cof_buf_printf(ret, "lock=%s versions=%s condition=%s checksum=%s md5=%s",
		       s3_ability_name(a->lock), s3_ability_name(a->versions),
		       s3_ability_name(a->condition), s3_ability_name(a->checksum),
		       s3_ability_name(a->md5));
}
