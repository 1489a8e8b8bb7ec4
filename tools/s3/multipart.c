/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long object goes up in parts. Nothing is noted here about how far that is: the server is asked
 * for an upload of this name that was begun, and for its parts; those that are what they should be
 * by size and digest are not sent again.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/internal.h"

#define PARTS_MAX 10000u
#define UPLOAD_MAX 512

struct part {
	char etag[S3_ETAG_MAX];
	uint64_t size;
	uint8_t md5[16];
};

struct uploading {
	struct s3 *s;
	const char *key;
	const struct s3_body *body;
	char id[UPLOAD_MAX];
	struct part *part;
	unsigned n;
	uint64_t part_size;
	struct cof_diag *diag;
	bool has_md5;
};

static uint64_t size_of(const struct uploading *u, unsigned i)
{
	return i + 1 < u->n ? u->part_size : u->body->size - (uint64_t)i * u->part_size;
}

/* ---- what was begun before ---- */

struct begun {
	const char *key;
	char seen_key[S3_KEY_MAX + 1], seen_id[UPLOAD_MAX], *id;
};

static int one_upload(void *user, const char *path, const char *text)
{
	struct begun *b = user;

	if (!strcmp(path, "ListMultipartUploadsResult/Upload/Key"))
		return snprintf(b->seen_key, sizeof(b->seen_key), "%s", text) <
			       (int)sizeof(b->seen_key)
			   ? 0
			   : -EBADMSG;
	if (!strcmp(path, "ListMultipartUploadsResult/Upload/UploadId"))
		return snprintf(b->seen_id, sizeof(b->seen_id), "%s", text) <
			       (int)sizeof(b->seen_id)
			   ? 0
			   : -EBADMSG;
	if (!strcmp(path, "ListMultipartUploadsResult/Upload")) {
		if (!strcmp(b->seen_key, b->key) && *b->seen_id)
			memcpy(b->id, b->seen_id, UPLOAD_MAX);
		b->seen_key[0] = b->seen_id[0] = 0;
	}
	return 0;
}

static int find_begun(struct uploading *u)
{
	struct s3_request q = {.method = "GET"};
	struct begun b = {.key = u->key, .id = u->id};
	struct s3_answer a;
	int r;

	s3_request_query(&q, "uploads", "");
	s3_request_query(&q, "prefix", u->key);
	r = s3_do(u->s, &q, &a, u->diag);
	if (r == 0 && s3_xml_parse(a.body.data ? (const char *)a.body.data : "", a.body.len,
				   one_upload, &b) < 0)
		u->id[0] = 0;
	s3_answer_done(&a);
	return r == -EACCES || r == -ENOTSUP ? 0 : r; /* who may not list begins anew */
}

struct parts {
	struct uploading *u;
	uint64_t number, size;
	char etag[S3_ETAG_MAX];
};

static int one_part(void *user, const char *path, const char *text)
{
	struct parts *p = user;
	struct uploading *u = p->u;

	if (!strcmp(path, "ListPartsResult/Part/PartNumber"))
		p->number = strtoull(text, NULL, 10);
	else if (!strcmp(path, "ListPartsResult/Part/Size"))
		p->size = strtoull(text, NULL, 10);
	else if (!strcmp(path, "ListPartsResult/Part/ETag"))
		snprintf(p->etag, sizeof(p->etag), "%s", text);
	if (!strcmp(path, "ListPartsResult/Part")) {
		size_t n = strlen(p->etag);

		if (p->number >= 1 && p->number <= u->n && n == 34 && p->etag[0] == '"') {
			memcpy(u->part[p->number - 1].etag, p->etag + 1, 32);
			u->part[p->number - 1].size = p->size;
		}
		memset(p->etag, 0, sizeof(p->etag));
		p->number = p->size = 0;
	}
	return 0;
}

/* At most 1,000 are told, which are more than a segment has. */
static int find_parts(struct uploading *u)
{
	struct s3_request q = {.method = "GET", .key = u->key};
	struct parts p = {.u = u};
	struct s3_answer a;
	int r;

	s3_request_query(&q, "uploadId", u->id);
	r = s3_do(u->s, &q, &a, u->diag);
	if (r == 0 && s3_xml_parse(a.body.data ? (const char *)a.body.data : "", a.body.len,
				   one_part, &p) < 0)
		memset(u->part, 0, u->n * sizeof(*u->part));
	s3_answer_done(&a);
	if (r == -ENOENT || r == -EACCES) {
		if (r == -ENOENT)
			u->id[0] = 0;
		r = 0;
	}
	return r;
}

static int begin(struct uploading *u, const struct s3_lock *lock)
{
	struct s3_request q = {.method = "POST", .key = u->key};
	struct s3_put_headers h;
	struct s3_answer a;
	int r;

	s3_request_query(&q, "uploads", "");
	s3_put_headers(&q, u->body, lock, &h);
	r = s3_do(u->s, &q, &a, u->diag);
	if (r == 0 &&
	    (s3_xml_find(a.body.data ? (const char *)a.body.data : "", a.body.len,
			 "InitiateMultipartUploadResult/UploadId", u->id, sizeof(u->id)) < 0 ||
	     !*u->id))
		r = cof_fail(u->diag, -EPROTO, "%s begins an upload in parts and does not name it",
			     s3_target_of(u->s)->endpoint);
	s3_answer_done(&a);
	return r;
}

/* ---- parts ---- */

static int put_part(struct uploading *u, unsigned i)
{
	struct s3_request q = {.method = "PUT",
			       .key = u->key,
			       .body = u->body,
			       .offset = (uint64_t)i * u->part_size,
			       .length = size_of(u, i)};
	struct part *p = &u->part[i];
	struct s3_digest d;
	struct s3_answer a;
	char number[12], hex[33];
	int r = s3_digest(u->body, q.offset, q.length, &d);

	if (r < 0)
		return cof_fail(u->diag, r, "what is to be sent cannot be read: %s", strerror(-r));
	u->has_md5 = d.has_md5;
	memcpy(p->md5, d.md5_raw, 16);
	cof_hex(d.md5_raw, 16, hex);
	if (d.has_md5 && p->size == q.length && !strcmp(p->etag, hex))
		return 0; /* is there */
	memcpy(q.payload, d.hex, sizeof(q.payload));
	snprintf(number, sizeof(number), "%u", i + 1);
	s3_request_query(&q, "partNumber", number);
	s3_request_query(&q, "uploadId", u->id);
	if (d.has_md5)
		s3_request_header(&q, "content-md5", d.md5);
	r = s3_do(u->s, &q, &a, u->diag);
	if (r == 0) {
		size_t n = strlen(a.object.etag);

		memset(p->etag, 0, sizeof(p->etag));
		if (n > 2 && a.object.etag[0] == '"')
			memcpy(p->etag, a.object.etag + 1, n - 2);
		else
			memcpy(p->etag, a.object.etag, n);
		if (d.has_md5 && !a.kms && strlen(p->etag) == 32 && strcmp(p->etag, hex))
			r = cof_fail(
			    u->diag, -EPROTO,
			    "%s names by its ETag other bytes than were sent as part %u of %s",
			    s3_target_of(u->s)->endpoint, i + 1, u->key);
		if (r == 0 && a.kms)
			u->has_md5 = false;
	}
	s3_answer_done(&a);
	return r;
}

static int finish(struct uploading *u)
{
	struct s3_request q = {.method = "POST", .key = u->key};
	cof_autobuf struct cof_buf b = {0};
	struct s3_answer a;
	char code[64];
	int r;

	cof_buf_printf(
	    &b, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < u->n; i++)
		cof_buf_printf(&b, "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag></Part>",
			       i + 1, u->part[i].etag);
	cof_buf_printf(&b, "</CompleteMultipartUpload>");
	if (b.failed)
		return cof_fail(u->diag, -ENOMEM, "out of memory");
	q.text = b.data;
	q.length = b.len;
	s3_request_query(&q, "uploadId", u->id);
	r = s3_do(u->s, &q, &a, u->diag);
	/* a server may begin with 200 before it knows */
	if (r == 0 &&
	    s3_xml_find(a.body.data ? (const char *)a.body.data : "", a.body.len, "Error/Code",
			code, sizeof(code)) == 0 &&
	    *code)
		r = cof_fail(
		    u->diag, -EIO,
		    "%s could not put the parts of %s together (%.60s); the same command goes on",
		    s3_target_of(u->s)->endpoint, u->key, code);
	s3_answer_done(&a);
	return r;
}

/* The whole's ETag: the MD5 of the parts' MD5s, and how many there are. */
static void whole_etag(const struct uploading *u, char ret[S3_ETAG_MAX])
{
	struct cof_md5 *h = u->has_md5 ? cof_md5_new() : NULL;
	uint8_t md5[16];
	char hex[33];

	ret[0] = 0;
	if (!h)
		return;
	for (unsigned i = 0; i < u->n; i++)
		cof_md5_update(h, u->part[i].md5, 16);
	cof_md5_final(h, md5);
	cof_md5_free(h);
	cof_hex(md5, 16, hex);
	snprintf(ret, S3_ETAG_MAX, "%s-%u", hex, u->n);
}

int s3_put_parts(struct s3 *s, const char *key, const struct s3_body *body,
		 const struct s3_lock *lock, char ret_etag[S3_ETAG_MAX],
		 void (*progress)(void *user, uint64_t done), void *user, struct cof_diag *diag)
{
	struct uploading u = {
	    .s = s, .key = key, .body = body, .part_size = s3_target_of(s)->part, .diag = diag};
	uint64_t n = (body->size + u.part_size - 1) / u.part_size;
	int r;

	if (n > PARTS_MAX)
		return cof_fail(diag, -EFBIG,
				"%s would be more than %u parts: make them larger (--part)", key,
				PARTS_MAX);
	u.n = (unsigned)n;
	u.part = calloc(u.n, sizeof(*u.part));
	if (!u.part)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = find_begun(&u);
	if (r == 0 && *u.id)
		r = find_parts(&u);
	if (r == 0 && !*u.id) {
		memset(u.part, 0, u.n * sizeof(*u.part));
		r = begin(&u, lock);
	}
	for (unsigned i = 0; r == 0 && i < u.n; i++) {
		r = put_part(&u, i);
		if (r == 0 && progress)
			progress(user, (uint64_t)i * u.part_size + size_of(&u, i));
	}
	if (r == 0)
		r = finish(&u);
	if (r == 0)
		whole_etag(&u, ret_etag);
	free(u.part);
	return r;
}
