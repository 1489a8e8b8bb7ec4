/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy has become another one: what each key was and is, as an event (A.1.1 of the catalogue). */
#include "fs/archive/note.h"

/* The value of this key, a line "key = value" of text; NULL: it has none. */
static const char *value_of(const char *text, const char *key, size_t key_len, size_t *ret_len)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n > key_len + 3 && !strncmp(text, key, key_len) && !strncmp(text + key_len, " = ", 3)) {
			*ret_len = n - key_len - 3;
			return text + key_len + 3;
		}
		text += n + (text[n] == '\n');
	}
	*ret_len = 0;
	return NULL;
}

static void compare(const char *text, const char *other, bool back, struct cof_buf *out)
{
	while (*text) {
		size_t n = strcspn(text, "\n"), key = strcspn(text, " "), value_len, other_len;
		const char *value = value_of(text, text, key, &value_len);
		const char *was = value_of(other, text, key, &other_len);

		if (value && back && !was)
			cof_buf_printf(out, "%s%.*s: %.*s -> (none)", out->len ? "\n" : "", (int)key, text, (int)value_len, value);
		else if (value && !back && !was)
			cof_buf_printf(out, "%s%.*s: (none) -> %.*s", out->len ? "\n" : "", (int)key, text, (int)value_len, value);
		else if (value && !back && (other_len != value_len || memcmp(was, value, value_len)))
			cof_buf_printf(out, "%s%.*s: %.*s -> %.*s", out->len ? "\n" : "", (int)key, text, (int)other_len, was,
				       (int)value_len, value);
		text += n + (text[n] == '\n');
	}
}

void cof_shelf_changed(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who, const char *before,
		       const char *after, const uint8_t *request, struct cof_reply *ret)
{
	cof_autobuf struct cof_buf detail = {0};
	struct cof_event e = {
	    .type = COF_EV_POLICY_CHANGED, .path = o->node.name, .who = who, .object = o->node.ino, .request = request};
	uint64_t sequence;

	compare(after, before, false, &detail);
	compare(before, after, true, &detail);
	if (!detail.len || detail.failed)
		return; /* the SHELF frames themselves say all of it */
	e.detail = (const char *)detail.data;
	if (cof_event_emit(a, &e, &sequence) == 0)
		ret->sequence = sequence; /* durable with it */
}
