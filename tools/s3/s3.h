/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/s3: copies of a log in a bucket with Object Lock. Such a copy cannot judge, cosign or hold
 * a key, and is no stronger than its server's root; docs/s3.md says what is put there and what is
 * checked.
 *
 * The client (request.c and what it stands on) speaks S3 with signature version 4 over libcurl. A
 * request that fails for a reason that may pass is repeated, with pauses that double; what comes
 * back is bounded. Secrets lie in secure memory; the library that carries the bytes sees signatures
 * only.
 *
 * Not thread-safe: one thread for each object.
 */
#ifndef COFFER_S3_H
#define COFFER_S3_H

#include "crypto/crypto.h"

/* ---- where (target.c) ---- */

#define S3_PART_MIN                                                                                \
	(5u << 20) /* bytes of a part of a multipart upload, but the last; what S3 asks for */
#define S3_PART_MAX (1u << 30)
#define S3_PART_DEFAULT (16u << 20)

struct s3_target {          /* what STORE/vaults/NAME.conf keeps of a bucket */
	char endpoint[256]; /* https://HOST[:PORT] */
	char bucket[64];
	char prefix[256]; /* "" or "a/b", without slashes at its ends */
	char region[40];
	char credentials[256]; /* a file's absolute path; "": the environment */
	char ca[256];          /* certificates that the server's has to lead to; "": the system's */
	bool insecure_http;    /* said explicitly: plain HTTP to a host that is not this one */
	uint64_t part;         /* bytes of a part; what is longer than one goes up in parts */
	unsigned tries;        /* of a request; 0: as many as there are by default */
	unsigned pause_ms;     /* before the second; 0: the default */
};
/* s3://BUCKET[/PREFIX]: -EINVAL with the reason. */
int s3_url_parse(const char *url, struct s3_target *t, struct cof_diag *diag);
bool s3_is_url(const char *url);
/* The endpoint as it may be used: https, or http to this host, or http with insecure_http. -EINVAL.
 */
int s3_endpoint_check(const struct s3_target *t, struct cof_diag *diag);
/* Its bytes travel in clear, beyond this host. */
bool s3_is_bare(const struct s3_target *t);

/* ---- a connection (request.c) ---- */

struct s3;

/* Reads the credentials; asks nothing of the server. -ENOENT, -EACCES, -EINVAL with a sentence. */
int s3_open(const struct s3_target *t, struct s3 **ret, struct cof_diag *diag);
void s3_close(struct s3 *s);          /* NULL is fine */
uint64_t s3_sent(const struct s3 *s); /* bytes of bodies so far, repeated ones too */
void s3_limit(struct s3 *s, uint64_t bytes_a_second); /* of bodies that are sent; 0: none */

/* ---- objects (object.c, upload.c) ---- */

#define S3_KEY_MAX 512 /* bytes of a key of ours, prefix included */
#define S3_FOUND_MAX 1024 /* of anybody's */
#define S3_VERSION_MAX 256
#define S3_ETAG_MAX 80

enum s3_hold { S3_HOLD_OFF, S3_HOLD_ON };

struct s3_lock {
	int64_t until;   /* ns since 1970, wall clock, whole seconds; 0: not locked */
	bool governance; /* found: a lock of the kind that can be lifted */
	bool hold;
};
struct s3_object { /* what the server says */
	char version[S3_VERSION_MAX], etag[S3_ETAG_MAX];
	uint64_t size;
	char sha256[65]; /* of x-amz-meta-sha256, as it was put: hex; or "" */
	struct s3_lock lock;
};
/* Where the bytes of a body come from: 0 with all n of them, or -errno. */
typedef int (*s3_read_fn)(void *user, uint64_t offset, void *buf, size_t n);
struct s3_body {
	s3_read_fn read;
	void *user;
	uint64_t size;
	uint8_t sha256[COF_HASH]; /* of all of it */
};
struct s3_memory { /* a body that lies in memory: s3_memory_body fills it */
	const uint8_t *p;
	size_t n;
};
struct s3_body s3_memory_body(struct s3_memory *m, const void *p, size_t n);

/*
 * Puts an object that is not there yet (by its bytes, as the server's ETag or its reading tells), locked from the beginning, in parts when it is longer than
 * one: parts that an earlier attempt left there are used. Afterwards HEAD is asked, and what it
 * says compared: size, digest, ETag, lock. A lock that came out shorter is extended. progress may
 * be NULL: bytes that are up. 0 with what is there · -EEXIST: an object of this name with other
 * content is there · -EPROTO: the server took it and shows something else · -EDQUOT · -EACCES ·
 * -ENOTSUP.
 */
int s3_put(struct s3 *s, const char *key, const struct s3_body *body, const struct s3_lock *lock,
	   struct s3_object *ret, void (*progress)(void *user, uint64_t done), void *user,
	   struct cof_diag *diag);
/* version may be NULL: the newest. -ENOENT: there is none, or a delete marker covers it
 * (*ret_marker, may be NULL). */
int s3_head(struct s3 *s, const char *key, const char *version, struct s3_object *ret,
	    bool *ret_marker, struct cof_diag *diag);
/* Bytes from an offset on, at most n of them, to fn; goes on by itself where the line broke. */
typedef int (*s3_write_fn)(void *user, const void *p, size_t n);
int s3_get(struct s3 *s, const char *key, const char *version, uint64_t offset, uint64_t n,
	   s3_write_fn fn, void *user, struct cof_diag *diag);
/* Later only: a server refuses to shorten. */
int s3_extend(struct s3 *s, const char *key, const char *version, int64_t until,
	      struct cof_diag *diag);
int s3_set_hold(struct s3 *s, const char *key, const char *version, enum s3_hold hold,
		struct cof_diag *diag);

struct s3_listed {
	const char *key, *version, *etag;
	uint64_t size;
	int64_t modified; /* as the server says, ns; 0: it does not */
	bool marker, latest;
};
/* Every version and delete marker whose key begins with prefix and is behind `after` (NULL: all),
 * in order of keys. */
typedef int (*s3_list_fn)(void *user, const struct s3_listed *v);
int s3_list(struct s3 *s, const char *prefix, const char *after, s3_list_fn fn, void *user,
	    struct cof_diag *diag);

/* ---- what a bucket can do (probe.c) ---- */

enum s3_ability { S3_UNKNOWN, S3_KEPT, S3_IGNORED, S3_ABSENT };
struct s3_abilities {
	enum s3_ability versions; /* every version is kept */
	enum s3_ability lock; /* a locked version could not be deleted, nor its lock shortened */
	enum s3_ability condition; /* If-None-Match was honoured */
	enum s3_ability checksum;  /* a wrong x-amz-checksum-sha256 was refused */
	enum s3_ability md5;       /* a wrong Content-MD5 was refused */
};
/* Puts a small object `key` that stays locked for some minutes. -ENOTSUP: no Object Lock, so no
 * place for a copy. */
int s3_probe(struct s3 *s, const char *key, struct s3_abilities *ret, struct cof_diag *diag);
/* "lock=kept versions=kept condition=ignored …", and back: what is not known is left out. */
void s3_abilities_text(const struct s3_abilities *a, struct cof_buf *ret);
const char *s3_ability_name(enum s3_ability a);

#endif
