/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base: errors, diagnostics, buffers, little-endian bytes, fields, cleanup. Knows nothing else.
 *
 * Conventions of the whole tree: functions return 0 or a negative errno; outputs (ret_x) stay
 * untouched on failure; libraries never print, log or exit. All of base is thread-safe in the sense
 * that it has no state; objects belong to one thread at a time.
 */
#ifndef COF_BASE_H
#define COF_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define COF_VERSION "0.1.0"

/* ---- diagnostics: the sentence for people that goes with an error code ---- */

struct cof_diag {
	char text[768]; /* what, where, what to do; empty when nothing was said */
};

/* Fills diag (may be NULL) and returns err, so that "return cof_fail(d, -EIO, ...)" reads well.
 * diag->text itself may be one of the arguments. */
int cof_fail(struct cof_diag *diag, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- cleanup attributes ---- */

#define COF_CLEANUP(fn) __attribute__((cleanup(fn)))
#define COF_UNUSED __attribute__((unused))

static inline void cof_freep(void *p)
{
	free(*(void **)p);
}
static inline void cof_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define cof_autofree COF_CLEANUP(cof_freep)
#define cof_autoclose COF_CLEANUP(cof_closep)

/* These evaluate one argument twice: no calls in them that do something. */
#define COF_MIN(a, b) ((a) < (b) ? (a) : (b))
#define COF_MAX(a, b) ((a) > (b) ? (a) : (b))
#define COF_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The error, or 0 for what says more than that it went well. */
static inline int cof_err(int r)
{
	return r < 0 ? r : 0;
}

#define COF_NSEC 1000000000LL

/* ---- bytes in a fixed order ---- */

static inline uint16_t cof_get_le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t cof_get_le32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t cof_get_le64(const void *p)
{
	return (uint64_t)cof_get_le32(p) | (uint64_t)cof_get_le32((const uint8_t *)p + 4) << 32;
}
static inline void cof_put_le16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void cof_put_le32(void *p, uint32_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> 8 * i);
}
static inline void cof_put_le64(void *p, uint64_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> 8 * i);
}
static inline uint32_t cof_get_be32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[3] | (uint32_t)b[2] << 8 | (uint32_t)b[1] << 16 | (uint32_t)b[0] << 24;
}
static inline uint64_t cof_get_be64(const void *p)
{
	return (uint64_t)cof_get_be32((const uint8_t *)p + 4) | (uint64_t)cof_get_be32(p) << 32;
}
static inline void cof_put_be32(void *p, uint32_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> 8 * (3 - i));
}
static inline void cof_put_be64(void *p, uint64_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> 8 * (7 - i));
}

/* ---- growing buffer ---- */

struct cof_buf {
	uint8_t *data; /* one NUL behind the content (NULL while empty): usable as a string */
	size_t len, cap;
	bool failed; /* an allocation failed: everything since is lost; check once at the end */
};

void cof_buf_done(struct cof_buf *b); /* frees; b may be reused */
void cof_buf_wipe(struct cof_buf *b); /* explicit_bzero, then as done: for secrets in transit */
void cof_buf_add(struct cof_buf *b, const void *p, size_t n);
void cof_buf_printf(struct cof_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define cof_autobuf COF_CLEANUP(cof_buf_done)

/* ---- fields: tag u8, length u16, value (docs/format.md section 4) ---- */

void cof_field_put(struct cof_buf *b, uint8_t tag, const void *value, size_t n); /* n <= 65535 or failed */
void cof_field_put_str(struct cof_buf *b, uint8_t tag, const char *s);
void cof_field_put_u8(struct cof_buf *b, uint8_t tag, uint8_t v);
void cof_field_put_u32(struct cof_buf *b, uint8_t tag, uint32_t v);
void cof_field_put_u64(struct cof_buf *b, uint8_t tag, uint64_t v);
void cof_field_put_i64(struct cof_buf *b, uint8_t tag, int64_t v);

struct cof_field {
	uint8_t tag;
	uint16_t len;
	const uint8_t *value; /* inside the buffer that is read */
};

/* Steps through fields; *off starts at 0. 1: one more in *ret; 0: the end; -EUCLEAN: malformed. */
int cof_field_next(const void *buf, size_t n, size_t *off, struct cof_field *ret);
/* The first field with this tag. 0, -ENOENT, or -EUCLEAN when anything before it is malformed. */
int cof_field_find(const void *buf, size_t n, uint8_t tag, struct cof_field *ret);
/* As find, and the length must match: else -EUCLEAN. */
int cof_field_u8(const void *buf, size_t n, uint8_t tag, uint8_t *ret);
int cof_field_u32(const void *buf, size_t n, uint8_t tag, uint32_t *ret);
int cof_field_u64(const void *buf, size_t n, uint8_t tag, uint64_t *ret);
int cof_field_i64(const void *buf, size_t n, uint8_t tag, int64_t *ret);
int cof_field_bytes(const void *buf, size_t n, uint8_t tag, void *out, size_t want);

/* ---- text forms ---- */

void cof_hex(const void *p, size_t n, char *out); /* 2n + 1 bytes, lower case */
int cof_unhex(const char *s, size_t chars, void *out); /* chars even; -EUCLEAN; either case */
size_t cof_base64_len(size_t n); /* characters, without terminator */
void cof_base64(const void *p, size_t n, char *out); /* standard alphabet, padded, terminated */
/* Canonical padded base64 only (no line ends, unused bits zero). *ret_n bytes written, at most cap. */
int cof_unbase64(const char *s, size_t chars, void *out, size_t cap, size_t *ret_n);

/* RFC 3339 UTC with nanoseconds trimmed to milliseconds, "2026-01-02T03:04:05.678Z": 32 bytes suffice */
void cof_time_text(int64_t ns, char out[32]);
int cof_time_parse(const char *s, int64_t *ret_ns); /* what cof_time_text writes; fraction optional */
int64_t cof_now(clockid_t clock); /* ns */
void cof_test_wall(int64_t off); /* only in a build with a test clock: the wall clock that this process sees is off by it */
void cof_duration_text(int64_t ns, char out[32]); /* "1.250 s", "4 min 10 s", "3 h 20 min", "12 d 4 h" */

/* "64M", "1G", "4096": bytes. -EINVAL */
int cof_size_parse(const char *s, uint64_t *ret);
void cof_size_text(uint64_t n, char out[24]); /* "64.0 MiB" */

/* ---- checks and small codings ---- */

uint32_t cof_crc32c(uint32_t crc, const void *p, size_t n); /* start with 0; SSE4.2 where present */

/* LEB128, shortest form only. put returns bytes written (at most 10); get returns bytes read or -EUCLEAN. */
size_t cof_varint_put(uint8_t *out, uint64_t v);
int cof_varint_get(const uint8_t *p, size_t n, uint64_t *ret);

/* ---- INI text (inih behind it) ---- */

/* Calls fn for every key in order; fn returns 0 or -errno (which ends it). line is 1-based. A line
 * that is no INI: -EUCLEAN with the line in diag. */
typedef int (*cof_ini_fn)(void *user, const char *section, const char *key, const char *value,
			  int line);
int cof_ini_parse(const char *text, size_t n, cof_ini_fn fn, void *user, struct cof_diag *diag);

/* ---- whole descriptors ---- */

int cof_write_all(int fd, const void *p, size_t n);
/* Reads to the end, at most cap bytes: -EFBIG when there is more. */
int cof_read_all(int fd, void *p, size_t cap, size_t *ret_n);

#endif
