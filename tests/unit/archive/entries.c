/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

struct wanted {
	struct cof_json *array;
	const char *type;
};

static int keep(void *user, struct cof_json *entry)
{
	struct wanted *w = user;
	const char *type = cof_json_str(entry, "type"), *text;
	struct cof_json *copy = NULL;

	if (w->type && (!type || strcmp(type, w->type)))
		return 0;
	text = cof_json_text(entry, false);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(cof_json_parse(text, strlen(text), &copy), 0);
	cof_json_append(w->array, copy);
	return 0;
}

struct cof_json *entries_of(struct store *s, const char *type)
{
	struct wanted w = {cof_json_array(), type};
	uint64_t next = 0;

	ck_assert_ptr_nonnull(w.array);
	ck_assert_int_eq(cof_archive_show_log(s->archive, 0, keep, &w, &next), 0);
	return w.array;
}

struct cof_json *entry_with(struct cof_json *entries, const char *key, const char *value)
{
	for (size_t i = 0; i < cof_json_count(entries); i++) {
		struct cof_json *e = cof_json_at(entries, i);
		const char *text = cof_json_str(e, key);

		if (text && !strcmp(text, value))
			return e;
	}
	return NULL;
}

int64_t number_of(struct cof_json *entry, const char *key)
{
	int64_t n = 0;

	(void)cof_json_int(entry, key, &n);
	return n;
}
