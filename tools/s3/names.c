/* SPDX-License-Identifier: Apache-2.0 */
/* What objects are called: by what is in them, so that nothing is ever written over. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/items.h"

void s3_root(const struct s3_target *t, const uint8_t id[16], char ret[S3_KEY_MAX])
{
	char hex[33];

	cof_hex(id, 16, hex);
	snprintf(ret, S3_KEY_MAX, "%s%s%s/", t->prefix, *t->prefix ? "/" : "", hex);
}

void s3_item_key(const char *root, const struct s3_item *i, char ret[S3_KEY_MAX + 1])
{
	char hex[65];

	cof_hex(i->sha256, COF_HASH, hex);
	switch (i->kind) {
	case S3_CONF:
		snprintf(ret, S3_KEY_MAX + 1, "%sconf/%s", root, hex);
		break;
	case S3_SEGMENT:
		snprintf(ret, S3_KEY_MAX + 1, "%ssegment/%08" PRIx32 "-%s", root, i->number, hex);
		break;
	case S3_PIECE:
		snprintf(ret, S3_KEY_MAX + 1,
			 "%spiece/%08" PRIx32 "-%08" PRIx64 "-%08" PRIx64 "-%s", root, i->number,
			 i->offset, i->length, hex);
		break;
	case S3_HEAD:
		snprintf(ret, S3_KEY_MAX + 1, "%shead/%016" PRIx64 "-%016" PRIx64 "-%s", root,
			 i->frames, i->offset, hex);
		break;
	case S3_ENVELOPE:
		snprintf(ret, S3_KEY_MAX + 1, "%srecovery/%s.age", root, hex);
		break;
	case S3_PROBE:
		snprintf(ret, S3_KEY_MAX + 1, "%sprobe/%.32s", root, hex);
		break;
	}
}

/* So many lower-case hex digits, and the character behind them. */
static bool digits(const char **p, int n, uint64_t *ret, char behind)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		char c = **p;

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return *(*p)++ == behind;
}

static bool hash(const char *p, uint8_t ret[COF_HASH], const char *behind)
{
	return strspn(p, "0123456789abcdef") == 64 && !strcmp(p + 64, behind) &&
	       cof_unhex(p, 64, ret) == 0;
}

static bool part(const char **p, const char *dir)
{
	size_t n = strlen(dir);

	if (strncmp(*p, dir, n))
		return false;
	*p += n;
	return true;
}

int s3_item_parse(const char *p, struct s3_item *ret)
{
	struct s3_item i = {.kind = S3_CONF};
	uint64_t number = 0;
	bool ok = false;

	if (part(&p, "conf/")) {
		ok = hash(p, i.sha256, "");
	} else if (part(&p, "segment/")) {
		i.kind = S3_SEGMENT;
		ok = digits(&p, 8, &number, '-') && hash(p, i.sha256, "");
	} else if (part(&p, "piece/")) {
		i.kind = S3_PIECE;
		ok = digits(&p, 8, &number, '-') && digits(&p, 8, &i.offset, '-') &&
		     digits(&p, 8, &i.length, '-') && hash(p, i.sha256, "") && i.length;
	} else if (part(&p, "head/")) {
		i.kind = S3_HEAD;
		ok = digits(&p, 16, &i.frames, '-') && digits(&p, 16, &i.offset, '-') &&
		     hash(p, i.sha256, "") && i.frames;
	} else if (part(&p, "recovery/")) {
		i.kind = S3_ENVELOPE;
		ok = hash(p, i.sha256, ".age");
	} else if (part(&p, "probe/")) {
		i.kind = S3_PROBE;
		ok = strspn(p, "0123456789abcdef") == 32 && !p[32];
	}
	if (!ok)
		return -EUCLEAN;
	i.number = (uint32_t)number;
	*ret = i;
	return 0;
}

int s3_item_order(const void *a, const void *b)
{
	const struct s3_item *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->frames != y->frames)
		return x->frames < y->frames ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return memcmp(x->sha256, y->sha256, COF_HASH);
}
