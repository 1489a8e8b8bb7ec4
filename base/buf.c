/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing buffer. One NUL always stands behind the content, so that text can be used as a string.
 * Old copies are wiped when it grows: a buffer may hold a secret in transit.
 */
#include "base/base.h"

#include <stdio.h>

void cof_buf_done(struct cof_buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void cof_buf_wipe(struct cof_buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	cof_buf_done(b);
}

/* Room for n more bytes and a NUL. */
static bool reserve(struct cof_buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *data;

	if (b->failed)
		return false;
	if (n >= SIZE_MAX / 4 - b->len) {
		b->failed = true;
		return false;
	}
	want = b->len + n + 1;
	if (want <= b->cap)
		return true;
	cap = COF_MAX(COF_MAX(want, 2 * b->cap), (size_t)64);
	data = malloc(cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	if (b->data) {
		memcpy(data, b->data, b->len);
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	data[b->len] = '\0';
	b->data = data;
	b->cap = cap;
	return true;
}

void cof_buf_add(struct cof_buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void cof_buf_printf(struct cof_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	if (vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap) != n)
		b->failed = true;
	else
		b->len += (size_t)n;
	va_end(ap);
	b->data[b->len] = '\0';
}
