/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: put, looked at, read, locked for longer, listed. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/internal.h"

#define PIECE 262144u

/* ---- bodies ---- */

static int read_memory(void *user, uint64_t offset, void *buf, size_t n)
{
	const struct s3_memory *m = user;

	if (offset > m->n || n > m->n - offset)
		return -EIO;
	memcpy(buf, m->p + offset, n);
	return 0;
}

struct s3_body s3_memory_body(struct s3_memory *m, const void *p, size_t n)
{
	struct s3_body b = {.read = read_memory, .user = m, .size = n};

	*m = (struct s3_memory){p, n};
	cof_sha256(p, n, b.sha256);
	return b;
}

static int digest_run(const struct s3_body *body, uint64_t offset, uint64_t n,
		      struct cof_sha256 *sha, struct cof_md5 *md5)
{
	cof_autofree uint8_t *buf = malloc(PIECE);
	int r = buf ? 0 : -ENOMEM;

	for (uint64_t done = 0; r == 0 && done < n;) {
		size_t k = (size_t)COF_MIN((uint64_t)PIECE, n - done);

		r = body->read(body->user, offset + done, buf, k);
		if (r == 0) {
			cof_sha256_update(sha, buf, k);
			if (md5)
				cof_md5_update(md5, buf, k);
		}
		done += k;
	}
	return r;
}

int s3_digest(const struct s3_body *body, uint64_t offset, uint64_t n, struct s3_digest *ret)
{
	struct cof_sha256 *sha = cof_sha256_new();
	struct cof_md5 *md5 = cof_md5_new();
	int r = sha ? digest_run(body, offset, n, sha, md5) : -ENOMEM;

	memset(ret, 0, sizeof(*ret));
	if (r == 0) {
		cof_sha256_final(sha, ret->sha256);
		cof_hex(ret->sha256, COF_HASH, ret->hex);
		cof_base64(ret->sha256, COF_HASH, ret->base64);
	}
	if (r == 0 && md5) {
		cof_md5_final(md5, ret->md5_raw);
		cof_base64(ret->md5_raw, 16, ret->md5);
		ret->has_md5 = true;
	}
	cof_sha256_free(sha);
	cof_md5_free(md5);
	return r;
}

/* ---- what is there ---- */

static void unquote(char etag[S3_ETAG_MAX])
{
	size_t n = strlen(etag);

	if (n >= 2 && etag[0] == '"' && etag[n - 1] == '"') {
		memmove(etag, etag + 1, n - 2);
		etag[n - 2] = 0;
	}
}

int s3_head(struct s3 *s, const char *key, const char *version, struct s3_object *ret,
	    bool *ret_marker, struct cof_diag *diag)
{
	struct s3_request q = {.method = "HEAD", .key = key};
	struct s3_answer a;
	int r;

	if (version)
		s3_request_query(&q, "versionId", version);
	r = s3_do(s, &q, &a, diag);
	if (ret_marker)
		*ret_marker = a.marker;
	if (r == 0) {
		unquote(a.object.etag);
		*ret = a.object;
	}
	s3_answer_done(&a);
	return r;
}

/* ---- locks ---- */

void s3_put_headers(struct s3_request *r, const struct s3_body *body, const struct s3_lock *lock,
		    struct s3_put_headers *h)
{
	cof_hex(body->sha256, COF_HASH, h->hex);
	s3_request_header(r, "x-amz-meta-sha256", h->hex);
	if (lock->until) {
		s3_time_iso(lock->until, h->until);
		s3_request_header(r, "x-amz-object-lock-mode", "COMPLIANCE");
		s3_request_header(r, "x-amz-object-lock-retain-until-date", h->until);
	}
	if (lock->hold)
		s3_request_header(r, "x-amz-object-lock-legal-hold", "ON");
}

static int put_text(struct s3 *s, const char *key, const char *version, const char *what,
		    const char *text, struct cof_diag *diag)
{
	struct s3_request q = {.method = "PUT", .key = key, .text = text, .length = strlen(text)};
	struct s3_memory m;
	struct s3_body body = s3_memory_body(&m, text, strlen(text));
	struct s3_digest d;
	struct s3_answer a;
	int r = s3_digest(&body, 0, body.size, &d);

	if (r < 0)
		return cof_fail(diag, r, "out of memory");
	s3_request_query(&q, what, "");
	if (version)
		s3_request_query(&q, "versionId", version);
	if (d.has_md5)
		s3_request_header(&q, "content-md5", d.md5);
	s3_request_header(&q, "x-amz-checksum-sha256", d.base64);
	r = s3_do(s, &q, &a, diag);
	s3_answer_done(&a);
	return r;
}

int s3_extend(struct s3 *s, const char *key, const char *version, int64_t until,
	      struct cof_diag *diag)
{
	char when[32], text[256];

	s3_time_iso(until, when);
	snprintf(
	    text, sizeof(text),
	    "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode>"
	    "<RetainUntilDate>%s</RetainUntilDate></Retention>",
	    when);
	return put_text(s, key, version, "retention", text, diag);
}

int s3_set_hold(struct s3 *s, const char *key, const char *version, enum s3_hold hold,
		struct cof_diag *diag)
{
	char text[160];

	snprintf(
	    text, sizeof(text),
	    "<LegalHold "
	    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>%s</Status></LegalHold>",
	    hold == S3_HOLD_ON ? "ON" : "OFF");
	return put_text(s, key, version, "legal-hold", text, diag);
}

/* ---- put ---- */

/* A whole object in one request. */
static int put_whole(struct s3 *s, const char *key, const struct s3_body *body,
		     const struct s3_lock *lock, bool fresh, char etag[S3_ETAG_MAX],
		     struct cof_diag *diag)
{
	struct s3_request q = {.method = "PUT", .key = key, .body = body, .length = body->size};
	struct s3_put_headers h;
	struct s3_digest d;
	struct s3_answer a;
	char md5[33];
	int r = s3_digest(body, 0, body->size, &d);

	if (r < 0)
		return cof_fail(diag, r, "what is to be sent cannot be read: %s", strerror(-r));
	if (!cof_equal(d.sha256, body->sha256, COF_HASH))
		return cof_fail(diag, -EUCLEAN, "what was to be sent changed meanwhile");
	memcpy(q.payload, d.hex, sizeof(q.payload));
	s3_put_headers(&q, body, lock, &h);
	if (d.has_md5)
		s3_request_header(&q, "content-md5", d.md5);
	s3_request_header(&q, "x-amz-checksum-sha256", d.base64);
	if (fresh)
		s3_request_header(&q, "if-none-match", "*");
	r = s3_do(s, &q, &a, diag);
	if (r == 0) {
		unquote(a.object.etag);
		memcpy(etag, a.object.etag, S3_ETAG_MAX);
		cof_hex(d.md5_raw, 16, md5);
		if (d.has_md5 && !a.kms && strlen(etag) == 32 && strcmp(etag, md5))
			r = cof_fail(diag, -EPROTO,
				     "%s names by its ETag other bytes than were sent as %s",
				     s3_target_of(s)->endpoint, key);
	}
	s3_answer_done(&a);
	return r;
}

/* Compares what HEAD says; a lock that is shorter, or none, is said once more. */
static int settle(struct s3 *s, const char *key, const struct s3_body *body,
		  const struct s3_lock *lock, const char *etag, struct s3_object *o,
		  struct cof_diag *diag)
{
	const char *where = s3_target_of(s)->endpoint;
	char hex[65];
	int r = 0;

	cof_hex(body->sha256, COF_HASH, hex);
	if (!*o->version || !strcmp(o->version, "null"))
		return cof_fail(
		    diag, -ENOTSUP,
		    "%s keeps no versions of %s: versioning is off, and nothing there is safe",
		    where, key);
	if (o->size != body->size || strcmp(o->sha256, hex) || (*etag && strcmp(o->etag, etag)))
		return cof_fail(diag, -EPROTO,
				"%s took %s and shows something else: %" PRIu64 " bytes of %" PRIu64
				", digest %s, ETag %s",
				where, key, o->size, body->size,
				strcmp(o->sha256, hex) ? "another" : "the same",
				*etag && strcmp(o->etag, etag) ? "another" : "the same");
	if (lock->until && (o->lock.until < lock->until || o->lock.governance))
		r = s3_extend(s, key, o->version, lock->until, diag);
	if (r == 0 && lock->hold && !o->lock.hold)
		r = s3_set_hold(s, key, o->version, S3_HOLD_ON, diag);
	if (r == 0 && ((lock->until && (o->lock.until < lock->until || o->lock.governance)) ||
		       (lock->hold && !o->lock.hold)))
		r = s3_head(s, key, o->version, o, NULL, diag);
	if (r == 0 && ((lock->until && (o->lock.until < lock->until || o->lock.governance)) ||
		       (lock->hold && !o->lock.hold)))
		return cof_fail(
		    diag, -EPROTO,
		    "%s took the lock of %s and does not show it: what is there can be deleted",
		    where, key);
	return r;
}

static int hash_some(void *user, const void *p, size_t n)
{
	cof_sha256_update(user, p, n);
	return 0;
}

/* What lies there has the size and says that it has the digest: anybody who may write can say so. Its ETag is the server's own word;
 * where that is no MD5 of the whole, all of it is read. */
static int is_there(struct s3 *s, const char *key, const struct s3_body *body, const struct s3_object *o, bool *ret, struct cof_diag *diag)
{
	struct cof_sha256 *h;
	uint8_t digest[COF_HASH];
	struct s3_digest d;
	char md5[33];
	int r = s3_digest(body, 0, body->size, &d);

	*ret = false;
	if (r < 0)
		return cof_fail(diag, r, "what is to be sent cannot be read: %s", strerror(-r));
	cof_hex(d.md5_raw, 16, md5);
	if (d.has_md5 && !strcmp(o->etag, md5)) {
		*ret = true;
		return 0;
	}
	h = cof_sha256_new();
	if (!h)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = s3_get(s, key, o->version, 0, o->size, hash_some, h, diag);
	cof_sha256_final(h, digest);
	cof_sha256_free(h);
	*ret = r == 0 && cof_equal(digest, body->sha256, COF_HASH);
	return r == -ENOENT || r == -EACCES || r == -EPROTO ? 0 : r; /* then it is as good as not there */
}

int s3_put(struct s3 *s, const char *key, const struct s3_body *body, const struct s3_lock *lock,
	   struct s3_object *ret, void (*progress)(void *user, uint64_t done), void *user,
	   struct cof_diag *diag)
{
	struct s3_object o;
	char etag[S3_ETAG_MAX] = "", hex[65];
	bool fresh = true;
	int r = s3_head(s, key, NULL, &o, NULL, diag);

	cof_hex(body->sha256, COF_HASH, hex);
	if (r == 0 && o.size == body->size && !strcmp(o.sha256, hex)) { /* an answer was lost, or what was noted here */
		bool there = false;

		r = is_there(s, key, body, &o, &there, diag);
		if (r == 0 && there)
			r = settle(s, key, body, lock, "", &o, diag);
		if (r == 0 && there)
			*ret = o;
		if (r < 0 || there)
			return r;
	}
	if (r == 0)
		fresh = false; /* what somebody else put there stays, as an older version; a check
				  tells of it */
	if (r < 0 && r != -ENOENT)
		return r;
	r = body->size > s3_target_of(s)->part
		? s3_put_parts(s, key, body, lock, etag, progress, user, diag)
		: put_whole(s, key, body, lock, fresh, etag, diag);
	if (r == -EEXIST) { /* this very request may have come through before its answer was lost */
		etag[0] = 0;
		r = 0;
	}
	if (r == 0)
		r = s3_head(s, key, NULL, &o, NULL, diag);
	if (r == 0)
		r = settle(s, key, body, lock, etag, &o, diag);
	if (r == 0) {
		*ret = o;
		if (progress)
			progress(user, body->size);
	}
	return r;
}

/* ---- get ---- */

struct getting {
	s3_write_fn fn;
	void *user;
	uint64_t done, n;
};

static int got(void *user, const void *p, size_t n)
{
	struct getting *g = user;
	int r;

	if (n > g->n - g->done)
		return -EPROTO; /* more than was asked for */
	r = g->fn(g->user, p, n);
	g->done += r == 0 ? n : 0;
	return r;
}

int s3_get(struct s3 *s, const char *key, const char *version, uint64_t offset, uint64_t n,
	   s3_write_fn fn, void *user, struct cof_diag *diag)
{
	struct getting g = {.fn = fn, .user = user, .n = n};
	unsigned stuck = 0, tries = s3_target_of(s)->tries ? s3_target_of(s)->tries : 8;
	int r = 0;

	while (r == 0 && g.done < n) {
		struct s3_request q = {.method = "GET", .key = key, .sink = got, .sink_user = &g};
		uint64_t before = g.done;
		struct s3_answer a;
		char range[64];

		if (version)
			s3_request_query(&q, "versionId", version);
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset + g.done,
			 offset + n - 1);
		s3_request_header(&q, "range", range);
		q.once = true; /* what came must not come twice: this loop repeats */
		r = s3_do(s, &q, &a, diag);
		if (r == 0 && a.status != 206 && (offset || before))
			r = cof_fail(diag, -EPROTO, "%s does not give parts of %s",
				     s3_target_of(s)->endpoint, key);
		else if (r == -EPROTO && a.sink_error == -EPROTO)
			cof_fail(diag, r, "%s gave more of %s than was asked for",
				 s3_target_of(s)->endpoint, key);
		if ((r == 0 && g.done < n) || r == -EIO || r == -ETIMEDOUT || r == -ECONNREFUSED ||
		    r == -EAGAIN) {
			if (a.sink_error == 0) {
				stuck = g.done > before ? 0 : stuck + 1;
				r = stuck < tries ? 0
				    : r           ? r
					: cof_fail(diag, -EIO, "%s ends in the middle of %s",
						   s3_target_of(s)->endpoint, key);
				if (r == 0)
					s3_pause(s, stuck, a.retry_after);
			}
		}
		s3_answer_done(&a);
	}
	return r;
}

/* ---- lists ---- */

int s3_list(struct s3 *s, const char *prefix, const char *after, s3_list_fn fn, void *user,
	    struct cof_diag *diag)
{
	struct s3_page page = {.more = true};
	int r = 0;

	if (after)
		snprintf(page.key, sizeof(page.key), "%s", after);
	while (r == 0 && page.more) {
		struct s3_request q = {.method = "GET"};
		struct s3_page next = {.more = false};
		struct s3_answer a;

		s3_request_query(&q, "versions", "");
		s3_request_query(&q, "encoding-type", "url");
		s3_request_query(&q, "prefix", prefix);
		s3_request_query(&q, "max-keys", "500"); /* of the longest names, within S3_ANSWER_MAX */
		if (*page.key)
			s3_request_query(&q, "key-marker", page.key);
		if (*page.version)
			s3_request_query(&q, "version-id-marker", page.version);
		r = s3_do(s, &q, &a, diag);
		if (r == 0) {
			r = s3_page_parse(a.body.data ? (const char *)a.body.data : "", a.body.len,
					  fn, user, &next);
			if (r == -EBADMSG)
				cof_fail(diag, r, "%s answers with a list that is none",
					 s3_target_of(s)->endpoint);
		}
		if (r == 0 && next.more && !strcmp(next.key, page.key) &&
		    !strcmp(next.version, page.version))
			r = cof_fail(diag, -EPROTO,
				     "%s gives the same page of its list again and again",
				     s3_target_of(s)->endpoint);
		page = next;
		s3_answer_done(&a);
	}
	return r;
}
