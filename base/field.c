/* SPDX-License-Identifier: Apache-2.0 */
/* Fields: tag u8, length u16, value (docs/format.md section 4). */
#include "base/base.h"

#define FIELD_HEAD 3

void cof_field_put(struct cof_buf *b, uint8_t tag, const void *value, size_t n)
{
	uint8_t head[FIELD_HEAD];

	if (n > UINT16_MAX) {
		b->failed = true;
		return;
	}
	head[0] = tag;
	cof_put_le16(head + 1, (uint16_t)n);
	cof_buf_add(b, head, sizeof(head));
	cof_buf_add(b, value, n);
}

void cof_field_put_str(struct cof_buf *b, uint8_t tag, const char *s)
{
	cof_field_put(b, tag, s, strlen(s));
}

void cof_field_put_u8(struct cof_buf *b, uint8_t tag, uint8_t v)
{
	cof_field_put(b, tag, &v, 1);
}

void cof_field_put_u32(struct cof_buf *b, uint8_t tag, uint32_t v)
{
	uint8_t value[4];

	cof_put_le32(value, v);
	cof_field_put(b, tag, value, sizeof(value));
}

void cof_field_put_u64(struct cof_buf *b, uint8_t tag, uint64_t v)
{
	uint8_t value[8];

	cof_put_le64(value, v);
	cof_field_put(b, tag, value, sizeof(value));
}

void cof_field_put_i64(struct cof_buf *b, uint8_t tag, int64_t v)
{
	cof_field_put_u64(b, tag, (uint64_t)v);
}

int cof_field_next(const void *buf, size_t n, size_t *off, struct cof_field *ret)
{
	const uint8_t *p = buf;
	uint16_t len;

	if (*off > n)
		return -EUCLEAN;
	if (*off == n)
		return 0;
	if (n - *off < FIELD_HEAD)
		return -EUCLEAN;
	p += *off;
	len = cof_get_le16(p + 1);
	if (n - *off - FIELD_HEAD < len)
		return -EUCLEAN;
	ret->tag = p[0];
	ret->len = len;
	ret->value = p + FIELD_HEAD;
	*off += FIELD_HEAD + (size_t)len;
	return 1;
}

int cof_field_find(const void *buf, size_t n, uint8_t tag, struct cof_field *ret)
{
	struct cof_field f;
	size_t off = 0;
	int r;

	while ((r = cof_field_next(buf, n, &off, &f)) > 0) {
		if (f.tag == tag) {
			*ret = f;
			return 0;
		}
	}
	return r < 0 ? r : -ENOENT;
}

static int find_sized(const void *buf, size_t n, uint8_t tag, size_t want, const uint8_t **ret)
{
	struct cof_field f;
	int r = cof_field_find(buf, n, tag, &f);

	if (r < 0)
		return r;
	if (f.len != want)
		return -EUCLEAN;
	*ret = f.value;
	return 0;
}

int cof_field_u8(const void *buf, size_t n, uint8_t tag, uint8_t *ret)
{
	const uint8_t *v;
	int r = find_sized(buf, n, tag, 1, &v);

	if (r < 0)
		return r;
	*ret = v[0];
	return 0;
}

int cof_field_u32(const void *buf, size_t n, uint8_t tag, uint32_t *ret)
{
	const uint8_t *v;
	int r = find_sized(buf, n, tag, 4, &v);

	if (r < 0)
		return r;
	*ret = cof_get_le32(v);
	return 0;
}

int cof_field_u64(const void *buf, size_t n, uint8_t tag, uint64_t *ret)
{
	const uint8_t *v;
	int r = find_sized(buf, n, tag, 8, &v);

	if (r < 0)
		return r;
	*ret = cof_get_le64(v);
	return 0;
}

int cof_field_i64(const void *buf, size_t n, uint8_t tag, int64_t *ret)
{
	uint64_t v;
	int r = cof_field_u64(buf, n, tag, &v);

	if (r < 0)
		return r;
	*ret = (int64_t)v;
	return 0;
}

int cof_field_bytes(const void *buf, size_t n, uint8_t tag, void *out, size_t want)
{
	const uint8_t *v;
	int r = find_sized(buf, n, tag, want, &v);

	if (r < 0)
		return r;
	if (want)
		memcpy(out, v, want);
	return 0;
}
