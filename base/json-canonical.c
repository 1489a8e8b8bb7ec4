/* SPDX-License-Identifier: Apache-2.0 */
/* The one text of a JSON value that signatures are made over (docs/format.md 9.2). */
#include "base/json.h"

#include <json-c/json.h>
#include <stdio.h>

#define DEPTH_MAX 16

static struct json_object *in(const struct cof_json *j)
{
	return (struct json_object *)(uintptr_t)j;
}

struct cof_json *cof_json_new_uint(uint64_t v)
{
	return (struct cof_json *)json_object_new_uint64(v);
}

struct cof_json *cof_json_new_str(const char *s)
{
	return (struct cof_json *)json_object_new_string(s);
}

int cof_json_value_uint(const struct cof_json *v, uint64_t *ret)
{
	int64_t n;

	if (!json_object_is_type(in(v), json_type_int))
		return -ENOENT;
	n = json_object_get_int64(in(v));
	if (n < 0 || json_object_get_uint64(in(v)) != (uint64_t)n)
		return -ENOENT;
	*ret = (uint64_t)n;
	return 0;
}

const char *cof_json_value_str(const struct cof_json *v)
{
	return json_object_is_type(in(v), json_type_string) ? json_object_get_string(in(v)) : NULL;
}

static void put_string(struct cof_buf *b, const char *s, size_t n)
{
	cof_buf_add(b, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c == '"' || c == '\\')
			cof_buf_printf(b, "\\%c", c);
		else if (c == '\n' || c == '\t' || c == '\r' || c == '\b' || c == '\f')
			cof_buf_printf(b, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c == '\b' ? 'b' : 'f');
		else if (c < 0x20)
			cof_buf_printf(b, "\\u%04x", c);
		else
			cof_buf_add(b, &c, 1);
	}
	cof_buf_add(b, "\"", 1);
}

static int put_value(struct json_object *j, unsigned depth, struct cof_buf *b);

static int by_name(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static int put_object(struct json_object *j, unsigned depth, struct cof_buf *b)
{
	size_t n = (size_t)json_object_object_length(j), i = 0;
	cof_autofree const char **keys = calloc(n + 1, sizeof(*keys));
	int r = 0;

	if (!keys)
		return -ENOMEM;
	json_object_object_foreach(j, key, value)
	{
		(void)value;
		keys[i++] = key;
	}
	qsort(keys, n, sizeof(*keys), by_name);
	cof_buf_add(b, "{", 1);
	for (i = 0; i < n && r == 0; i++) {
		struct json_object *child = NULL;

		if (i)
			cof_buf_add(b, ",", 1);
		put_string(b, keys[i], strlen(keys[i]));
		cof_buf_add(b, ":", 1);
		json_object_object_get_ex(j, keys[i], &child);
		r = put_value(child, depth + 1, b);
	}
	cof_buf_add(b, "}", 1);
	return r;
}

static int put_array(struct json_object *j, unsigned depth, struct cof_buf *b)
{
	int r = 0;

	cof_buf_add(b, "[", 1);
	for (size_t i = 0; i < json_object_array_length(j) && r == 0; i++) {
		if (i)
			cof_buf_add(b, ",", 1);
		r = put_value(json_object_array_get_idx(j, i), depth + 1, b);
	}
	cof_buf_add(b, "]", 1);
	return r;
}

static int put_value(struct json_object *j, unsigned depth, struct cof_buf *b)
{
	int64_t n;

	if (depth > DEPTH_MAX)
		return -EUCLEAN;
	switch (json_object_get_type(j)) {
	case json_type_null:
		cof_buf_add(b, "null", 4);
		return 0;
	case json_type_boolean:
		cof_buf_printf(b, "%s", json_object_get_boolean(j) ? "true" : "false");
		return 0;
	case json_type_int:
		n = json_object_get_int64(j);
		if (n > 0 && json_object_get_uint64(j) != (uint64_t)n)
			return -EUCLEAN;
		cof_buf_printf(b, "%lld", (long long)n);
		return 0;
	case json_type_string:
		put_string(b, json_object_get_string(j), (size_t)json_object_get_string_len(j));
		return 0;
	case json_type_object:
		return put_object(j, depth, b);
	case json_type_array:
		return put_array(j, depth, b);
	default:
		return -EUCLEAN;
	}
}

int cof_json_canonical(const struct cof_json *j, struct cof_buf *ret)
{
	int r = j && !cof_json_text((struct cof_json *)(uintptr_t)j, false) ? -ENOMEM : put_value(in(j), 0, ret);

	cof_buf_add(ret, "\n", 1);
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}
