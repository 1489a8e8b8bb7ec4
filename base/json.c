/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON over json-c, which is included here only. A struct cof_json is a json_object under another
 * name; null is NULL in json-c, which suits "every function accepts NULL".
 *
 * An object that lost something for lack of memory is marked, and so is what it is added to, so
 * that the text of an incomplete value is never given out.
 */
#include "base/json.h"

#include <json-c/json.h>
#include <limits.h>

#define DEPTH_MAX 16

static char incomplete; /* its address is the mark */

static struct cof_json *string_of(const void *p, size_t n);

static struct json_object *in(const struct cof_json *j)
{
	return (struct json_object *)(uintptr_t)j;
}

static struct cof_json *out(struct json_object *o)
{
	return (struct cof_json *)o;
}

static void mark(struct json_object *o)
{
	json_object_set_userdata(o, &incomplete, NULL);
}

static bool is_marked(struct json_object *o)
{
	return json_object_get_userdata(o) == &incomplete;
}

struct cof_json *cof_json_object(void)
{
	return out(json_object_new_object());
}

struct cof_json *cof_json_array(void)
{
	return out(json_object_new_array());
}

struct cof_json *cof_json_string(const char *s)
{
	return string_of(s, strlen(s));
}

void cof_json_free(struct cof_json *j)
{
	if (j)
		json_object_put(in(j));
}

void cof_json_freep(struct cof_json **j)
{
	cof_json_free(*j);
}

void cof_json_set(struct cof_json *o, const char *key, struct cof_json *value)
{
	if (!o) {
		cof_json_free(value);
		return;
	}
	if (!value || is_marked(in(value)))
		mark(in(o));
	if (value && json_object_object_add(in(o), key, in(value)) < 0) {
		cof_json_free(value);
		mark(in(o));
	}
}

/* Bytes of the UTF-8 sequence at p, 0 when it is none (overlong, surrogate, beyond U+10FFFF, cut).
 */
static size_t utf8_len(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = p[0];
	size_t len;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		len = 2;
	else if (c >= 0xe0 && c <= 0xef)
		len = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > n)
		return 0;
	c &= 0xffu >> (len + 1);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	return len;
}

static struct cof_json *string_of(const void *p, size_t n)
{
	cof_autobuf struct cof_buf b = {0};
	const uint8_t *bytes = p;
	size_t len;

	for (size_t i = 0; i < n; i += COF_MAX(len, (size_t)1)) {
		len = utf8_len(bytes + i, n - i);
		if (len)
			cof_buf_add(&b, bytes + i, len);
		else
			cof_buf_add(&b, "\xef\xbf\xbd", 3);
	}
	if (b.failed || b.len > INT_MAX / 8)
		return NULL;
	return out(json_object_new_string_len(b.len ? (const char *)b.data : "", (int)b.len));
}

void cof_json_set_bytes(struct cof_json *o, const char *key, const void *p, size_t n)
{
	cof_json_set(o, key, string_of(p, n));
}

void cof_json_set_str(struct cof_json *o, const char *key, const char *s)
{
	cof_json_set_bytes(o, key, s, strlen(s));
}

void cof_json_set_int(struct cof_json *o, const char *key, int64_t v)
{
	cof_json_set(o, key, out(json_object_new_int64(v)));
}

void cof_json_set_uint(struct cof_json *o, const char *key, uint64_t v)
{
	cof_json_set(o, key, out(json_object_new_uint64(v)));
}

void cof_json_set_bool(struct cof_json *o, const char *key, bool v)
{
	cof_json_set(o, key, out(json_object_new_boolean(v)));
}

void cof_json_set_time(struct cof_json *o, const char *key, int64_t ns)
{
	char text[32];

	if (ns == INT64_MAX || ns == INT64_MIN) {
		if (o && json_object_object_add(in(o), key, NULL) < 0)
			mark(in(o));
		return;
	}
	cof_time_text(ns, text);
	cof_json_set_str(o, key, text);
}

struct cof_json *cof_json_ref(struct cof_json *j)
{
	return j ? out(json_object_get(in(j))) : NULL;
}

void cof_json_append(struct cof_json *a, struct cof_json *value)
{
	if (!a) {
		cof_json_free(value);
		return;
	}
	if (!value || is_marked(in(value)))
		mark(in(a));
	if (value && json_object_array_add(in(a), in(value)) < 0) {
		cof_json_free(value);
		mark(in(a));
	}
}

const char *cof_json_text(struct cof_json *j, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (!j || is_marked(in(j)))
		return NULL;
	flags |=
	    pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;
	return json_object_to_json_string_ext(in(j), flags);
}

/* json-c takes single quotes and raw control characters even when strict; JSON has neither. */
static bool has_foreign_marks(const char *text, size_t n)
{
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted && text[i] == '\\')
			i++;
		else if (quoted ? (uint8_t)text[i] < 0x20 : text[i] == '\'')
			return true;
	}
	return false;
}

int cof_json_parse(const char *text, size_t n, struct cof_json **ret)
{
	struct json_tokener *tok;
	struct json_object *o;
	enum json_tokener_error err;

	if (!n || n > INT_MAX - 1 || memchr(text, '\0', n) || has_foreign_marks(text, n))
		return -EUCLEAN;
	/* json-c counts the scalars inside the innermost array or object as one level more */
	tok = json_tokener_new_ex(DEPTH_MAX + 1);
	if (!tok)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, (int)n);
	if (json_tokener_get_error(tok) == json_tokener_continue)
		o = json_tokener_parse_ex(tok, "", 1); /* the end, which a number waits for */
	err = json_tokener_get_error(tok);
	json_tokener_free(tok);
	if (err != json_tokener_success) {
		json_object_put(o);
		return -EUCLEAN;
	}
	*ret = out(o);
	return 0;
}

static struct json_object *get(const struct cof_json *o, const char *key)
{
	struct json_object *v;

	if (!o || !json_object_is_type(in(o), json_type_object) ||
	    !json_object_object_get_ex(in(o), key, &v))
		return NULL;
	return v;
}

struct cof_json *cof_json_get(const struct cof_json *o, const char *key)
{
	return out(get(o, key));
}

static const char *text_of(struct json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_string: /* one with a NUL inside would be another one to C */
		return strlen(json_object_get_string(v)) == (size_t)json_object_get_string_len(v)
			   ? json_object_get_string(v)
			   : NULL;
	case json_type_boolean:
	case json_type_int:
	case json_type_double:
		return json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN);
	default:
		return NULL;
	}
}

void cof_json_each(const struct cof_json *o, void (*fn)(void *user, const char *key, const char *text), void *user)
{
	if (!o || !json_object_is_type(in(o), json_type_object))
		return;
	json_object_object_foreach(in(o), key, value)
		fn(user, key, text_of(value));
}

const char *cof_json_str(const struct cof_json *o, const char *key)
{
	struct json_object *v = get(o, key);
	const char *s;

	if (!v || !json_object_is_type(v, json_type_string))
		return NULL;
	s = json_object_get_string(v);
	/* a string with a NUL inside would be another one to C */
	return s && strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

int cof_json_int(const struct cof_json *o, const char *key, int64_t *ret)
{
	struct json_object *v = get(o, key);

	if (!v || !json_object_is_type(v, json_type_int) ||
	    json_object_get_uint64(v) > (uint64_t)INT64_MAX)
		return -ENOENT;
	*ret = json_object_get_int64(v);
	return 0;
}

bool cof_json_bool(const struct cof_json *o, const char *key)
{
	struct json_object *v = get(o, key);

	return v && json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

bool cof_json_is_bool(const struct cof_json *v)
{
	return v && json_object_is_type(in(v), json_type_boolean);
}

bool cof_json_is_array(const struct cof_json *v)
{
	return v && json_object_is_type(in(v), json_type_array);
}

bool cof_json_has_null(const struct cof_json *o)
{
	if (!o || !json_object_is_type(in(o), json_type_object))
		return false;
	json_object_object_foreach(in(o), key, value)
	{
		(void)key;
		if (!value)
			return true;
	}
	return false;
}

size_t cof_json_count(const struct cof_json *a)
{
	if (!a || !json_object_is_type(in(a), json_type_array))
		return 0;
	return json_object_array_length(in(a));
}

struct cof_json *cof_json_at(const struct cof_json *a, size_t i)
{
	return i < cof_json_count(a) ? out(json_object_array_get_idx(in(a), i)) : NULL;
}
