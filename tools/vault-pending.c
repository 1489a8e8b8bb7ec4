/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/vault-pending.h"

static bool same(const struct cof_json *a, const struct cof_json *b, const char *key)
{
	const char *x = cof_json_str(a, key), *y = cof_json_str(b, key);

	return x && y && !strcmp(x, y);
}

/* A line that is none is for the mount to complain of. */
static bool waits(const char *there, size_t n, const struct cof_json *record)
{
	for (size_t at = 0, len; at < n; at += len + 1) {
		cof_autojson struct cof_json *line = NULL;
		const char *end = memchr(there + at, '\n', n - at);

		len = end ? (size_t)(end - (there + at)) : n - at;
		if (cof_json_parse(there + at, len, &line) == 0 && same(line, record, "document") && same(line, record, "name"))
			return true;
	}
	return false;
}

/* What a vault sends until it is on record. */
static bool comes_again(const struct cof_json *record)
{
	const char *what = cof_json_str(record, "what");

	return what && (!strcmp(what, "punctured") || !strcmp(what, "released"));
}

int pending_join(const void *there, size_t n, struct cof_json *record, struct cof_buf *ret)
{
	const char *line;

	if (cof_json_str(record, "document") && waits(there, n, record))
		return 1;
	line = cof_json_text(record, false);
	if (n)
		cof_buf_add(ret, there, n);
	cof_buf_printf(ret, "%s\n", line ? line : "");
	if (!line || ret->failed)
		return -ENOMEM;
	if (ret->len > PENDING_MAX)
		return -EDQUOT;
	return comes_again(record) && ret->len > PENDING_RECEIPTS_MAX ? -ENOBUFS : 0;
}
