/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as a line. RFC 5424: PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG. What an
 * event says may come from anybody who can make a file name: in a value of structured data ", \ and ] are
 * escaped, and no control character gets out, so that one event stays one line.
 */
#include "tools/event-line.h"

#include <inttypes.h>
#include <stdio.h>

#include "fs/rules/catalogue.h"
#include "tools/output.h"

#define FACILITY 13 /* log audit */
/* The enterprise number that RFC 5612 sets aside for examples: Coffer has none of its own. */
#define SD_ID "coffer@32473"

static bool number(const struct cof_json *o, const char *key, int64_t *ret)
{
	return o && cof_json_int(o, key, ret) == 0;
}

/* ---- for people ---- */

static void add_escaped(struct cof_buf *b, const char *before, const char *value, bool word)
{
	cof_autofree char *text = !value ? NULL : word ? escaped_word(value) : escaped(value);

	if (!value)
		return;
	b->failed |= !text;
	if (text)
		cof_buf_printf(b, "%s%s", before, text);
}

static void add_who(struct cof_buf *b, const struct cof_json *e)
{
	const struct cof_json *a = cof_json_get(e, "actor");
	const char *source = cof_json_str(e, "source");
	bool imported = source && strcmp(source, "coffer") != 0 && strcmp(source, "person") != 0;
	int64_t v;

	/* Whom a line of another program's log names has signed nothing. */
	add_escaped(b, imported ? "  of " : "  signed by ", cof_json_str(e, "signer"), true);
	if (!number(a, "uid", &v))
		return;
	cof_buf_printf(b, "  by uid %" PRId64, v);
	if (number(a, "login_uid", &v))
		cof_buf_printf(b, " (login %" PRId64 ")", v);
	if (number(a, "pid", &v))
		cof_buf_printf(b, " pid %" PRId64, v);
	add_escaped(b, " ", cof_json_str(a, "command"), true);
}

void event_line(const struct cof_json *e, struct cof_buf *b)
{
	const char *catalogue = cof_json_str(e, "catalogue"), *outcome = cof_json_str(e, "outcome");
	const char *source = cof_json_str(e, "source"), *severity = cof_json_str(e, "severity");
	int64_t v = -1;

	(void)number(e, "sequence", &v);
	cof_buf_printf(b, "%8" PRId64 "  ", v);
	add_escaped(b, "", cof_json_str(e, "time"), false);
	cof_buf_printf(b, "  %-7s %-7s ", severity ? severity : "-", catalogue ? catalogue : "-");
	add_escaped(b, "", cof_json_str(e, "event"), false);
	if (outcome && strcmp(outcome, "success"))
		add_escaped(b, " ", outcome, false);
	add_escaped(b, " ", cof_json_str(e, "operation"), false);
	add_escaped(b, " ", cof_json_str(e, "path"), true);
	add_escaped(b, ": ", cof_json_str(e, "errno"), false);
	add_escaped(b, ", ", cof_json_str(e, "reason"), false);
	add_escaped(b, "; ", cof_json_str(e, "detail"), false);
	if (number(e, "count", &v) && v != 1)
		cof_buf_printf(b, ", %" PRId64 " times", v);
	if (source && strcmp(source, "coffer"))
		add_escaped(b, "  from ", source, true);
	add_escaped(b, "  at ", cof_json_str(e, "place"), true);
	add_who(b, e);
	if (cof_json_bool(e, "malformed"))
		cof_buf_printf(b, "  [malformed]");
	cof_buf_printf(b, "\n");
}

/* ---- syslog ---- */

/* Printable ASCII without blanks, at most max. */
static void add_name(struct cof_buf *b, const char *name, size_t max)
{
	size_t n = name ? strlen(name) : 0;

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] >= 127)
			n = 0;
	if (n && n <= max)
		cof_buf_printf(b, " %s", name);
	else
		cof_buf_printf(b, " -");
}

/* One line: control characters, C1's too, become blanks. sd: as a value of structured data. */
static void add_clean(struct cof_buf *b, const char *text, bool sd)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;

		if (*c < ' ' || *c == 127 || c1) {
			cof_buf_add(b, " ", 1);
			c += c1;
			continue;
		}
		if (sd && strchr("\"\\]", *c))
			cof_buf_add(b, "\\", 1);
		cof_buf_add(b, c, 1);
	}
}

static void add_param(struct cof_buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	cof_buf_printf(b, " %s=\"", name);
	add_clean(b, value, true);
	cof_buf_printf(b, "\"");
}

static void add_number(struct cof_buf *b, const char *name, const struct cof_json *o, const char *key)
{
	int64_t v;

	if (number(o, key, &v))
		cof_buf_printf(b, " %s=\"%" PRId64 "\"", name, v);
}

static void add_data(struct cof_buf *b, const struct cof_json *e, const char *archive_id)
{
	static const struct {
		const char *name, *key;
	} texts[] = {{"event", "event"},	 {"catalogue", "catalogue"}, {"outcome", "outcome"}, {"source", "source"},
		     {"operation", "operation"}, {"path", "path"},	     {"error", "errno"},     {"signer", "signer"},
		     {"firstTime", "first_time"}, {"lastTime", "last_time"}, {"claimedTime", "claimed_time"},
		     {"request", "request"}};
	const struct cof_json *a = cof_json_get(e, "actor");

	cof_buf_printf(b, " [" SD_ID);
	add_param(b, "archive", archive_id);
	add_number(b, "sequence", e, "sequence");
	for (size_t i = 0; i < COF_COUNT(texts); i++)
		add_param(b, texts[i].name, cof_json_str(e, texts[i].key));
	add_number(b, "object", e, "object");
	add_number(b, "count", e, "count");
	add_number(b, "uid", a, "uid");
	add_number(b, "loginUid", a, "login_uid");
	add_number(b, "pid", a, "pid");
	add_param(b, "command", a ? cof_json_str(a, "command") : NULL);
	add_param(b, "unit", a ? cof_json_str(a, "unit") : NULL);
	cof_buf_printf(b, "]");
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 128)
			return false;
	return true;
}

void event_syslog(const struct cof_json *e, const char *host, const char *archive_id, struct cof_buf *b)
{
	const char *severity = cof_json_str(e, "severity"), *place = cof_json_str(e, "place");
	const char *reason = cof_json_str(e, "reason"), *detail = cof_json_str(e, "detail");
	int level = severity ? cof_severity(severity) : -1;

	cof_buf_printf(b, "<%d>1", FACILITY * 8 + (level < 0 ? 5 : level));
	add_name(b, cof_json_str(e, "time"), 64);
	add_name(b, place ? place : host, 255);
	cof_buf_printf(b, " coffer -");
	add_name(b, cof_json_str(e, "catalogue") ? cof_json_str(e, "catalogue") : cof_json_str(e, "event"), 32);
	add_data(b, e, archive_id);
	if (reason || detail)
		cof_buf_printf(b, is_ascii(reason ? reason : "") && is_ascii(detail ? detail : "") ? " " : " \xef\xbb\xbf");
	if (reason)
		add_clean(b, reason, false);
	if (reason && detail)
		cof_buf_printf(b, ": ");
	if (detail)
		add_clean(b, detail, false);
	cof_buf_printf(b, "\n");
}
