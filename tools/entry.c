/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the log and of blame, as lines for people. */
#include "tools/entry.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>

static void add(struct cof_buf *b, const char *text)
{
	cof_buf_add(b, text, strlen(text));
}

static void add_word(struct cof_buf *b, const char *before, const char *value)
{
	cof_autofree char *word = value ? escaped_word(value) : NULL;

	if (!value)
		return;
	if (!word) {
		b->failed = true;
		return;
	}
	add(b, before);
	add(b, word);
}

static void add_text(struct cof_buf *b, const char *before, const char *value)
{
	cof_autofree char *text = value ? escaped(value) : NULL;

	if (!value)
		return;
	if (!text) {
		b->failed = true;
		return;
	}
	add(b, before);
	add(b, text);
}

static bool number(const struct cof_json *o, const char *key, int64_t *ret)
{
	return cof_json_int(o, key, ret) == 0;
}

static void add_number(struct cof_buf *b, const struct cof_json *o, const char *key,
		       const char *label)
{
	int64_t v;

	if (number(o, key, &v))
		cof_buf_printf(b, " %s %" PRId64, label, v);
}

/* "2026-01-02T03:04:05.678Z" without the T and the Z */
static void add_time(struct cof_buf *b, const char *time)
{
	char text[32];

	snprintf(text, sizeof(text), "%s", time ? time : "-");
	for (char *c = text; *c; c++) {
		if (*c == 'T' || *c == 'Z')
			*c = *c == 'T' ? ' ' : '\0';
	}
	add_text(b, "", text);
}

/* ---- log ---- */

static void add_actor(struct cof_buf *b, const struct cof_json *entry)
{
	const struct cof_json *a = cof_json_get(entry, "actor");
	int64_t v;

	if (!a)
		return;
	if (!number(a, "uid", &v)) { /* the frame that says who it is could not be read */
		add_number(b, a, "ordinal", " by actor");
		return;
	}
	cof_buf_printf(b, "  by uid %" PRId64, v);
	if (number(a, "login_uid", &v))
		cof_buf_printf(b, " (login %" PRId64 ")", v);
	add_number(b, a, "pid", "pid");
	add_word(b, " ", cof_json_str(a, "command"));
}

static void add_event(struct cof_buf *b, const struct cof_json *e)
{
	const char *event = cof_json_str(e, "event");
	struct cof_json *names = cof_json_get(e, "names");
	int64_t v;

	add_text(b, " ", event);
	add_text(b, " ", cof_json_str(e, "operation"));
	add_word(b, " ", cof_json_str(e, "path"));
	add_text(b, ": ", cof_json_str(e, "errno"));
	add_text(b, ", ", cof_json_str(e, "reason"));
	add_text(b, cof_json_str(e, "reason") ? " (" : ": ", cof_json_str(e, "detail"));
	if (cof_json_str(e, "detail") && cof_json_str(e, "reason"))
		add(b, ")");
	if (number(e, "count", &v) && v > 1)
		cof_buf_printf(b, ", %" PRId64 " times", v);
	if (names)
		cof_buf_printf(b, ", %zu names for the first time", cof_json_count(names));
}

static void add_rename(struct cof_buf *b, const struct cof_json *e)
{
	add_word(b, " ", cof_json_str(e, "name"));
	add_word(b, " -> ",
		 cof_json_str(e, "path") ? cof_json_str(e, "path") : cof_json_str(e, "new_name"));
}

static void add_what(struct cof_buf *b, const struct cof_json *e, const char *type)
{
	const char *path = cof_json_str(e, "path"), *until = cof_json_str(e, "retain_until");
	int64_t v;

	if (!strcmp(type, "event")) {
		add_event(b, e);
		return;
	}
	if (!strcmp(type, "rename")) {
		add_rename(b, e);
		return;
	}
	if (path)
		add_word(b, " ", path);
	else
		add_number(b, e, "object", "inode");
	if (!strcmp(type, "append") && number(e, "length", &v)) {
		cof_buf_printf(b, " +%" PRId64, v);
		add_number(b, e, "position", "at");
	}
	add_number(b, e, "hole", "of");
	add_text(b, " ", cof_json_str(e, "kind"));
	add_text(b, " mode ", cof_json_str(e, "mode"));
	add_word(b, " -> ", cof_json_str(e, "target"));
	add_word(b, " attribute ", cof_json_str(e, "xattr_name"));
	if (until && strcmp(until, "none"))
		add_text(b, " until ", until);
	add_number(b, e, "epoch", "epoch");
	add_number(b, e, "torn_bytes", "torn bytes");
	if (!strcmp(type, "actor"))
		add_number(b, e, "position", "ordinal");
	if (!strcmp(type, "actor") || !strcmp(type, "attr") || !strcmp(type, "create"))
		add_number(b, e, "uid", "uid");
	if (!strcmp(type, "actor")) {
		add_number(b, e, "pid", "pid");
		add_word(b, " ", cof_json_str(e, "command"));
	}
}

void entry_line(const struct cof_json *e, struct cof_buf *b)
{
	const char *type = cof_json_str(e, "type");
	int64_t sequence = -1;

	type = type ? type : "?";
	(void)number(e, "sequence", &sequence);
	cof_buf_printf(b, "%8" PRId64 "  ", sequence);
	add_time(b, cof_json_str(e, "record_time"));
	add(b, "  ");
	add_text(b, "", type);
	add_what(b, e, type);
	add_actor(b, e);
	if (cof_json_bool(e, "damaged"))
		add(b, "  [damaged]");
	else if (cof_json_bool(e, "malformed"))
		add(b, "  [malformed]");
	else if (cof_json_bool(e, "opaque"))
		add(b, "  [opaque]");
	add(b, "\n");
}

/* ---- blame ---- */

void blame_head(struct cof_buf *b)
{
	cof_buf_printf(b, "%12s %10s  %-23s %6s %6s %8s  %s\n", "OFFSET", "LENGTH", "TIME", "UID",
		       "LOGIN", "PID", "COMMAND");
}

static void column(struct cof_buf *b, const struct cof_json *o, const char *key, int width)
{
	int64_t v;

	if (number(o, key, &v))
		cof_buf_printf(b, "%*" PRId64, width, v);
	else
		cof_buf_printf(b, "%*s", width, "-");
}

void blame_line(const struct cof_json *run, struct cof_buf *b)
{
	const char *command = cof_json_str(run, "command"), *unit = cof_json_str(run, "unit");

	column(b, run, "offset", 12);
	column(b, run, "length", 11);
	add(b, "  ");
	add_time(b, cof_json_str(run, "time"));
	column(b, run, "uid", 7);
	column(b, run, "login_uid", 7);
	column(b, run, "pid", 9);
	if (cof_json_bool(run, "hole"))
		add(b, "  (hole)");
	add_word(b, "  ", command && *command ? command : "-");
	if (unit && *unit && strcmp(unit, "/")) { /* the root of the control groups says nothing */
		add_word(b, " (", unit);
		add(b, ")");
	}
	add(b, "\n");
}
