/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/s3: what the client is made of. */
#ifndef COFFER_S3_INTERNAL_H
#define COFFER_S3_INTERNAL_H

#include "tools/s3/s3.h"

/* ---- credentials (credentials.c) ---- */

struct s3_credentials {
	char access[129]; /* the key's name: not secret */
	char *secret;     /* secure memory, NUL-terminated */
	char *token;      /* secure memory, or NULL */
};
/* From an INI file that only its owner may read (keys aws_access_key_id, aws_secret_access_key,
 * aws_session_token of its [default], or of an only part), or of AWS_ACCESS_KEY_ID and so on, which
 * leave the environment. */
int s3_credentials_load(const char *file, struct s3_credentials *ret, struct cof_diag *diag);
/* The text of a file. -EINVAL with a sentence that never quotes it. */
int s3_credentials_parse(const char *text, size_t n, struct s3_credentials *ret,
			 struct cof_diag *diag);
void s3_credentials_done(struct s3_credentials *c);

/* ---- signature version 4 (sign.c) ---- */

struct s3_pair {
	const char *name, *value;
};
#define S3_HEADERS 20
#define S3_SIGN_TEXT 1600 /* bytes of an Authorization header's value */
struct s3_signing {
	const char *method, *path,
	    *query; /* both as they are sent: percent-encoded, the query sorted */
	struct s3_pair header[S3_HEADERS]; /* lower-case names, any order; host among them */
	int headers;
	const char *payload; /* 64 hex digits, as in x-amz-content-sha256 */
	char date[17];       /* 20130524T000000Z */
	const char *region;
};
/* -E2BIG: more than fits. Sorts the headers. */
int s3_sign(struct s3_signing *p, const struct s3_credentials *c, char ret[S3_SIGN_TEXT]);
void s3_sign_date(int64_t ns, char ret[17]);
/* Percent-encodes what is not unreserved; a slash stays where slash is true. */
void s3_encode(struct cof_buf *b, const char *text, bool slash);
/* a=b&c=d in the order that is signed. Sorts the pairs. */
void s3_query(struct cof_buf *b, struct s3_pair *pairs, int n);

/* ---- what comes back (xml.c) ---- */

#define S3_XML_DEPTH 8
#define S3_XML_TEXT 4096 /* a key of S3_FOUND_MAX bytes, each percent-encoded, fits */
#define S3_ANSWER_MAX (4u << 20) /* bytes of an answer that is no object */
/* path: names with slashes between them, without namespaces. Called at the end of each element;
 * text is what stood in it, without surrounding blanks, "" for one that has elements in it.
 * Non-zero ends the reading and is returned. */
typedef int (*s3_xml_fn)(void *user, const char *path, const char *text);
/* -EBADMSG: no XML, a document type or entities of its own, too deep, or a text that is too long.
 */
int s3_xml_parse(const void *p, size_t n, s3_xml_fn fn, void *user);

/* A page of a list of versions: calls fn for each; says where the next page begins. -EBADMSG */
struct s3_page {
	bool more;
	char key[S3_FOUND_MAX + 1], version[S3_VERSION_MAX];
};
int s3_page_parse(const void *p, size_t n, s3_list_fn fn, void *user, struct s3_page *ret);
/* The text of the first element of this path; "" without one. -EBADMSG */
int s3_xml_find(const void *p, size_t n, const char *path, char *out, size_t cap);

/* ---- requests (request.c, refusal.c) ---- */

struct s3_request {
	const char *method, *key; /* key NULL: the bucket itself */
	struct s3_pair query[8];
	int queries;
	struct s3_pair header[12]; /* lower-case names; all are signed */
	int headers;
	/* what is sent: a body's bytes from offset on, or text */
	const struct s3_body *body;
	uint64_t offset, length;
	const void *text; /* length bytes, or NULL */
	char payload[65]; /* digest of what is sent, hex; "" of text or nothing: is computed */
	/* what comes: to a function (for a 2xx answer), else kept up to S3_ANSWER_MAX */
	s3_write_fn sink;
	void *sink_user;
	bool once;    /* not to be repeated */
	bool probing; /* a refusal is what is looked for: no sentence needed */
};
struct s3_answer {
	long status;
	char code[64]; /* the error's name, or "" */
	char message[256];
	struct s3_object object;
	bool marker;         /* x-amz-delete-marker */
	bool kms;            /* encrypted there with a key of its own: the ETag is no digest then */
	uint64_t length;     /* of the body */
	int64_t date;        /* the server's, ns; 0: it did not say */
	long retry_after;    /* seconds; 0: not said */
	struct cof_buf body; /* what was kept */
	int sink_error;
};
void s3_answer_done(struct s3_answer *a);
void s3_request_query(struct s3_request *r, const char *name, const char *value);
void s3_request_header(struct s3_request *r, const char *name, const char *value);
/*
 * 0: a 2xx answer. What may pass is tried again. Else -errno with the sentence: -ENOENT 404 ·
 * -EEXIST 412 or 409 · -EACCES 403 · -EDQUOT · -ENOTSUP · -EAGAIN it stayed overloaded · -EIO,
 * -ETIMEDOUT, -ECONNREFUSED the line · -EPROTO. *a says what was answered, also then;
 * s3_answer_done in any case.
 */
int s3_do(struct s3 *s, struct s3_request *r, struct s3_answer *a, struct cof_diag *diag);
/* Before try n + 2: doubles, with a random share; at least as long as the server asked for. */
void s3_pause(const struct s3 *s, unsigned n, long retry_after);
const struct s3_target *s3_target_of(const struct s3 *s);
/* What an answer means. 1: worth another try. */
int s3_judge(const struct s3_target *t, const struct s3_request *r, const struct s3_answer *a,
	     struct cof_diag *diag);

/* One line of an answer's head, its end included. Bounded; what does not fit is dropped as if it
 * had not been said. */
void s3_take_header(struct s3_answer *a, const char *line, size_t n);

/* Hex and base64 digests of part of a body; md5 "" where the library gives none. -EIO from the
 * body. */
struct s3_digest {
	uint8_t sha256[COF_HASH];
	char hex[65], base64[48], md5[28];
	uint8_t md5_raw[16];
	bool has_md5;
};
int s3_digest(const struct s3_body *body, uint64_t offset, uint64_t n, struct s3_digest *ret);

void s3_time_iso(int64_t ns, char ret[32]); /* 2026-01-02T03:04:05Z */

/* In parts (multipart.c): the ETag that the whole will have. */
int s3_put_parts(struct s3 *s, const char *key, const struct s3_body *body,
		 const struct s3_lock *lock, char ret_etag[S3_ETAG_MAX],
		 void (*progress)(void *user, uint64_t done), void *user, struct cof_diag *diag);
/* What a new object is put with: its lock, and its digest as metadata. The text lives in *h. */
struct s3_put_headers {
	char until[32], hex[65];
};
void s3_put_headers(struct s3_request *r, const struct s3_body *body, const struct s3_lock *lock,
		    struct s3_put_headers *h);

#endif
