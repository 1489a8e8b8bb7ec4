/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small text and byte codings of base. The first byte of an input chooses one; what one of them
 * accepts must come out of its counterpart as it went in.
 */
#include "fuzz.h"

#include "base/base.h"

const unsigned fuzz_runs = 150000;

static void hex(const char *s, size_t n)
{
	cof_autofree uint8_t *bytes = malloc(n / 2 + 1);
	cof_autofree char *text = malloc(n + 2);

	if (!bytes || !text || n % 2 || cof_unhex(s, n, bytes) < 0)
		return;
	cof_hex(bytes, n / 2, text);
	for (size_t i = 0; i < n; i++) /* either case is read, lower case is written */
		fuzz_check((s[i] | 0x20) == (text[i] | 0x20));
}

static void base64(const char *s, size_t n)
{
	size_t cap = n / 4 * 3, got = 0;
	cof_autofree uint8_t *bytes = malloc(cap + 1);
	cof_autofree char *text = NULL;

	if (!bytes || cof_unbase64(s, n, bytes, cap, &got) < 0)
		return;
	fuzz_check(got <= cap && cof_base64_len(got) == n);
	text = malloc(n + 1);
	if (!text)
		return;
	cof_base64(bytes, got, text);
	fuzz_check(!memcmp(text, s, n)); /* canonical: one text for the bytes */
	if (got)
		fuzz_check(cof_unbase64(s, n, bytes, got - 1, &got) < 0);
}

static void when(const char *s)
{
	char text[32];
	int64_t ns, back;

	if (cof_time_parse(s, &ns) < 0)
		return;
	cof_time_text(ns, text);
	fuzz_check(cof_time_parse(text, &back) == 0);
	fuzz_check(back <= ns && ns - back < 1000000); /* milliseconds are written */
}

static void size(const char *s)
{
	char text[24];
	uint64_t v;

	if (cof_size_parse(s, &v) == 0)
		cof_size_text(v, text);
}

static void varint(const uint8_t *p, size_t n)
{
	uint8_t out[10];
	uint64_t v;
	int got = cof_varint_get(p, n, &v);

	if (got < 0)
		return;
	fuzz_check(got > 0 && (size_t)got <= n);
	fuzz_check(cof_varint_put(out, v) == (size_t)got && !memcmp(out, p, (size_t)got));
}

static void fields(const uint8_t *p, size_t n)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_field f, first;
	size_t off = 0;
	int r;

	while ((r = cof_field_next(p, n, &off, &f)) > 0) {
		fuzz_check(f.value >= p && (size_t)(f.value - p) + f.len <= n && off <= n);
		fuzz_check(cof_field_find(p, n, f.tag, &first) == 0 && first.value <= f.value);
		cof_field_put(&b, f.tag, f.value, f.len);
	}
	fuzz_check(r == 0 || r == -EUCLEAN);
	if (r == 0)
		fuzz_check(b.failed || (b.len == n && (!n || !memcmp(b.data, p, n))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autofree char *s = NULL;

	if (n == 0)
		return 0;
	s = malloc(n);
	if (!s)
		return 0;
	memcpy(s, data + 1, n - 1);
	s[n - 1] = 0;
	switch (data[0] % 6) {
	case 0:
		hex((const char *)data + 1, n - 1);
		break;
	case 1:
		base64((const char *)data + 1, n - 1);
		break;
	case 2:
		when(s);
		break;
	case 3:
		size(s);
		break;
	case 4:
		varint(data + 1, n - 1);
		break;
	default:
		fields(data + 1, n - 1);
	}
	return 0;
}

void fuzz_seeds(void)
{
	static const char many[] = "\6"
				   "00112233aAbBcCfF\0";

	fuzz_seed(many, sizeof(many) - 2);
	fuzz_seed_text("\1XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=");
	fuzz_seed_text("\1AAAA");
	fuzz_seed_text("\1AA==");
	fuzz_seed_text("\2"
		       "2026-01-02T03:04:05.678Z");
	fuzz_seed_text("\2"
		       "2024-02-29T23:59:59Z");
	fuzz_seed_text("\2"
		       "1677-09-21T00:12:44Z");
	fuzz_seed_text("\2"
		       "2262-04-11T23:47:16.854Z");
	fuzz_seed_text("\3"
		       "64M");
	fuzz_seed_text("\3"
		       "18446744073709551615");
	fuzz_seed("\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	fuzz_seed("\4\x80\x01", 3);
	fuzz_seed("\5\x01\x03\x00"
		  "abc"
		  "\x02\x00\x00"
		  "\x03\x08\x00"
		  "12345678",
		  21);
}
