/* SPDX-License-Identifier: Apache-2.0 */
/* How lines begin: time, host, program; and the fields of those that have any. */
#include "tools/import/import.h"

#include "base/json.h"

#include <stdio.h>
#include <time.h>

#define DAY (86400 * COF_NSEC)

struct cursor {
	const char *p, *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `width` digits. */
static bool digits(struct cursor *c, int width, int *ret)
{
	int v = 0;

	if (c->end - c->p < width)
		return false;
	for (int i = 0; i < width; i++) {
		if (!is_digit(c->p[i]))
			return false;
		v = 10 * v + c->p[i] - '0';
	}
	c->p += width;
	*ret = v;
	return true;
}

static bool one(struct cursor *c, char want)
{
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

/* Up to the next blank, which is passed over. */
static bool word(struct cursor *c, struct import_piece *ret)
{
	const char *start = c->p;

	while (c->p < c->end && *c->p != ' ')
		c->p++;
	*ret = (struct import_piece){start, (size_t)(c->p - start)};
	while (c->p < c->end && *c->p == ' ')
		c->p++;
	return ret->len > 0;
}

static struct import_piece rest(const struct cursor *c)
{
	return (struct import_piece){c->p, (size_t)(c->end - c->p)};
}

/* ---- times ---- */

struct stamp {
	struct tm tm;
	int64_t ns;
};

static int64_t whole(struct stamp *s, bool local, int64_t offset)
{
	time_t t;

	s->tm.tm_isdst = -1;
	t = local ? mktime(&s->tm) : timegm(&s->tm);
	if (t < -8000000000 || t > 8000000000)
		return INT64_MIN;
	return ((int64_t)t - offset) * COF_NSEC + s->ns;
}

/* Digits behind a point or comma; what is below a ns is dropped. */
static void fraction(struct cursor *c, int64_t *ret)
{
	int64_t unit = COF_NSEC / 10;

	*ret = 0;
	if (c->end - c->p < 2 || (*c->p != '.' && *c->p != ',') || !is_digit(c->p[1]))
		return;
	for (c->p++; c->p < c->end && is_digit(*c->p); c->p++, unit /= 10)
		*ret += (*c->p - '0') * unit;
}

static bool date_and_time(struct cursor *c, struct stamp *s)
{
	memset(s, 0, sizeof(*s));
	if (!digits(c, 4, &s->tm.tm_year) || !one(c, '-') || !digits(c, 2, &s->tm.tm_mon) || !one(c, '-') ||
	    !digits(c, 2, &s->tm.tm_mday) || (!one(c, 'T') && !one(c, ' ')) || !digits(c, 2, &s->tm.tm_hour) ||
	    !one(c, ':') || !digits(c, 2, &s->tm.tm_min) || !one(c, ':') || !digits(c, 2, &s->tm.tm_sec))
		return false;
	s->tm.tm_year -= 1900;
	s->tm.tm_mon--;
	fraction(c, &s->ns);
	return s->tm.tm_mon >= 0 && s->tm.tm_mon < 12 && s->tm.tm_mday >= 1 && s->tm.tm_mday <= 31 &&
	       s->tm.tm_hour < 24 && s->tm.tm_min < 60 && s->tm.tm_sec <= 60;
}

/* Z, +02:00, +0200, or nothing: local time. */
static bool zone(struct cursor *c, bool *ret_local, int64_t *ret_offset)
{
	int sign = 1, h = 0, m = 0;

	*ret_local = false;
	*ret_offset = 0;
	if (one(c, 'Z'))
		return true;
	if (c->p == c->end || (*c->p != '+' && *c->p != '-')) {
		*ret_local = true;
		return true;
	}
	if (*c->p++ == '-')
		sign = -1;
	if (!digits(c, 2, &h))
		return false;
	(void)one(c, ':');
	if (!digits(c, 2, &m))
		return false;
	*ret_offset = sign * (3600 * (int64_t)h + 60 * m);
	return true;
}

static bool iso_time(struct cursor *c, int64_t *ret)
{
	struct cursor at = *c;
	struct stamp s;
	int64_t offset;
	bool local;

	if (!date_and_time(&at, &s) || !zone(&at, &local, &offset))
		return false;
	*ret = whole(&s, local, offset);
	*c = at;
	return true;
}

/* "Jan  2 03:04:05", local time; the year is the one that puts it nearest below tomorrow. */
static bool old_time(struct cursor *c, int64_t now, int64_t *ret)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct cursor at = *c;
	struct stamp s = {0};
	const char *month;
	time_t today = (time_t)(now / COF_NSEC);
	struct tm year;

	if (at.end - at.p < 15)
		return false;
	for (month = months; *month && memcmp(month, at.p, 3) != 0;)
		month += 3;
	if (!*month || !localtime_r(&today, &year))
		return false;
	at.p += 3;
	s.tm.tm_mon = (int)(month - months) / 3;
	s.tm.tm_year = year.tm_year;
	if (!one(&at, ' '))
		return false;
	if (one(&at, ' ') ? !digits(&at, 1, &s.tm.tm_mday) : !digits(&at, 2, &s.tm.tm_mday))
		return false;
	if (!one(&at, ' ') || !digits(&at, 2, &s.tm.tm_hour) || !one(&at, ':') || !digits(&at, 2, &s.tm.tm_min) ||
	    !one(&at, ':') || !digits(&at, 2, &s.tm.tm_sec) || !one(&at, ' '))
		return false;
	*ret = whole(&(struct stamp){.tm = s.tm}, true, 0);
	if (*ret > now + DAY) {
		s.tm.tm_year--;
		*ret = whole(&s, true, 0);
	}
	*c = at;
	return true;
}

/* Seconds since 1970 with a fraction. */
static bool epoch_time(struct cursor *c, int64_t *ret)
{
	struct cursor at = *c;
	int64_t seconds = 0, ns;

	while (at.p < at.end && is_digit(*at.p) && seconds < 8000000000)
		seconds = 10 * seconds + (*at.p++ - '0');
	if (at.p == c->p || seconds >= 8000000000)
		return false;
	fraction(&at, &ns);
	*ret = seconds * COF_NSEC + ns;
	*c = at;
	return true;
}

/* ---- syslog ---- */

static void priority(struct cursor *c)
{
	struct cursor at = *c;
	int n = 0;

	if (!one(&at, '<'))
		return;
	while (at.p < at.end && is_digit(*at.p) && n < 3) {
		at.p++;
		n++;
	}
	if (n && one(&at, '>'))
		*c = at;
}

/* program[pid]: message */
static bool tag(struct cursor *c, struct import_line *ret)
{
	const char *start = c->p, *stop = start;

	while (stop < c->end && *stop != ' ' && *stop != ':' && *stop != '[')
		stop++;
	ret->program = (struct import_piece){start, (size_t)(stop - start)};
	c->p = stop;
	if (one(c, '[')) {
		const char *pid = c->p;

		while (c->p < c->end && *c->p != ']' && *c->p != ' ')
			c->p++;
		ret->pid = (struct import_piece){pid, (size_t)(c->p - pid)};
		if (!one(c, ']'))
			return false;
	}
	if (!one(c, ':'))
		return false;
	(void)one(c, ' ');
	ret->message = rest(c);
	return ret->program.len > 0;
}

/* Structured data: '-' or [id name="value" …]…; values escape quote, backslash and bracket. */
static bool structured(struct cursor *c)
{
	if (one(c, '-'))
		return true;
	while (one(c, '[')) {
		bool quoted = false;

		for (; c->p < c->end && (quoted || *c->p != ']'); c->p++) {
			if (quoted && *c->p == '\\' && c->end - c->p > 1)
				c->p++;
			else if (*c->p == '"')
				quoted = !quoted;
		}
		if (!one(c, ']'))
			return false;
	}
	return true;
}

static bool rfc5424(struct cursor *c, struct import_line *ret)
{
	struct import_piece id;

	if (!one(c, '1') || !one(c, ' ') || !iso_time(c, &ret->time) || !one(c, ' ') || !word(c, &ret->host) ||
	    !word(c, &ret->program) || !word(c, &ret->pid) || !word(c, &id) || !structured(c))
		return false;
	(void)one(c, ' ');
	if (c->end - c->p >= 3 && memcmp(c->p, "\xef\xbb\xbf", 3) == 0)
		c->p += 3;
	ret->message = rest(c);
	return true;
}

static bool syslog_line(struct cursor c, int64_t now, struct import_line *ret)
{
	struct cursor at;

	priority(&c);
	at = c;
	if (rfc5424(&at, ret))
		return true;
	if (iso_time(&c, &ret->time) ? !one(&c, ' ') : !old_time(&c, now, &ret->time))
		return false;
	return word(&c, &ret->host) && tag(&c, ret);
}

/* ---- fields ---- */

static void add_field(struct import_line *ret, struct import_piece key, struct import_piece value)
{
	if (ret->n_fields < IMPORT_FIELDS_MAX)
		ret->fields[ret->n_fields++] = (struct import_field){key, value};
}

/* Where a value without quotes ends: words without '=' behind it are of it (op=adding user id=0). */
static const char *value_end(const struct cursor *c)
{
	const char *end = c->p, *next;

	while (end < c->end && *end != ' ' && *end != '\x1d')
		end++;
	while (end < c->end && *end == ' ') {
		for (next = end + 1; next < c->end && *next != ' ' && *next != '=' && *next != '\x1d';)
			next++;
		if (next == end + 1 || (next < c->end && *next == '='))
			break;
		end = next;
	}
	return end;
}

static const char *quoted_end(const struct cursor *c, char quote)
{
	const char *end = c->p;

	while (end < c->end && *end != quote)
		end += quote == '"' && *end == '\\' && c->end - end > 1 ? 2 : 1;
	return end;
}

/* key=value, key="value with \" in it", key='audit: key=value …' (taken apart too). */
static void key_values(struct cursor c, struct import_line *ret, int depth)
{
	while (c.p < c.end) {
		struct import_piece key, value;
		const char *start = c.p;
		char quote = 0;

		while (c.p < c.end && *c.p != '=' && *c.p != ' ')
			c.p++;
		key = (struct import_piece){start, (size_t)(c.p - start)};
		if (!one(&c, '=')) {
			while (c.p < c.end && *c.p == ' ')
				c.p++;
			continue;
		}
		if (c.p < c.end && (*c.p == '"' || *c.p == '\''))
			quote = *c.p++;
		start = c.p;
		c.p = quote ? quoted_end(&c, quote) : value_end(&c);
		value = (struct import_piece){start, (size_t)(c.p - start)};
		if (quote && c.p < c.end)
			c.p++;
		if (quote == '\'' && depth == 0)
			key_values((struct cursor){value.text, value.text + value.len}, ret, 1);
		else if (key.len)
			add_field(ret, key, value);
		while (c.p < c.end && (*c.p == ' ' || *c.p == '\x1d')) /* 0x1d: auditd's own translations follow */
			c.p++;
	}
}

static const struct import_piece *field(const struct import_line *l, const char *key)
{
	for (size_t i = 0; i < l->n_fields; i++)
		if (l->fields[i].key.len == strlen(key) && !memcmp(l->fields[i].key.text, key, strlen(key)))
			return &l->fields[i].value;
	return NULL;
}

static void time_of_fields(struct import_line *l)
{
	static const char *const keys[] = {"time", "ts", "timestamp"};

	for (size_t i = 0; i < COF_COUNT(keys) && l->time == INT64_MIN; i++) {
		const struct import_piece *v = field(l, keys[i]);
		struct cursor c;

		if (!v)
			continue;
		c = (struct cursor){v->text, v->text + v->len};
		if (!iso_time(&c, &l->time))
			(void)epoch_time(&c, &l->time);
	}
}

static bool audit_line(struct cursor c, struct import_line *ret)
{
	struct import_piece first, at;
	struct cursor in;

	if (!word(&c, &first))
		return false;
	if (first.len > 5 && !memcmp(first.text, "node=", 5)) {
		ret->host = (struct import_piece){first.text + 5, first.len - 5};
		if (!word(&c, &first))
			return false;
	}
	if (first.len <= 5 || memcmp(first.text, "type=", 5) != 0 || !word(&c, &at) || at.len < 12 ||
	    memcmp(at.text, "msg=audit(", 10) != 0)
		return false;
	ret->program = (struct import_piece){first.text + 5, first.len - 5};
	in = (struct cursor){at.text + 10, at.text + at.len};
	if (!epoch_time(&in, &ret->time) || !one(&in, ':'))
		return false;
	add_field(ret, (struct import_piece){"type", 4}, ret->program);
	key_values(c, ret, 0);
	ret->message = rest(&c);
	return true;
}

static bool logfmt_line(struct cursor c, struct import_line *ret)
{
	key_values(c, ret, 0);
	time_of_fields(ret);
	ret->message = rest(&c);
	return ret->n_fields > 0;
}

struct members { /* into `own` first, which moves while it grows: fields point there at the end */
	struct import_line *line;
	struct {
		size_t key, key_len, value, value_len;
	} at[IMPORT_FIELDS_MAX];
	size_t n;
};

static void on_member(void *user, const char *key, const char *text)
{
	struct members *m = user;
	struct cof_buf *own = &m->line->own;

	if (!text || m->n == IMPORT_FIELDS_MAX)
		return;
	m->at[m->n].key = own->len;
	m->at[m->n].key_len = strlen(key);
	cof_buf_add(own, key, strlen(key));
	m->at[m->n].value = own->len;
	m->at[m->n++].value_len = strlen(text);
	cof_buf_add(own, text, strlen(text));
}

static bool json_line(struct cursor c, struct import_line *ret)
{
	cof_autojson struct cof_json *o = NULL;
	struct members m = {.line = ret};
	const char *own;

	ret->message = rest(&c);
	if (c.p == c.end || *c.p != '{' || cof_json_parse(c.p, (size_t)(c.end - c.p), &o) < 0)
		return false;
	cof_json_each(o, on_member, &m);
	if (ret->own.failed)
		return false;
	own = (const char *)ret->own.data;
	for (size_t i = 0; i < m.n; i++)
		add_field(ret, (struct import_piece){own + m.at[i].key, m.at[i].key_len},
			  (struct import_piece){own + m.at[i].value, m.at[i].value_len});
	time_of_fields(ret);
	return true;
}

static bool log4j_line(struct cursor c, struct import_line *ret)
{
	if (!iso_time(&c, &ret->time) || !one(&c, ' '))
		return false;
	ret->message = rest(&c);
	return true;
}

static bool take_apart(enum import_format format, struct cursor c, int64_t now, struct import_line *ret)
{
	switch (format) {
	case IMPORT_SYSLOG:
		return syslog_line(c, now, ret);
	case IMPORT_AUDIT:
		return audit_line(c, ret);
	case IMPORT_LOG4J:
		return log4j_line(c, ret);
	case IMPORT_JSON:
		return json_line(c, ret);
	case IMPORT_LOGFMT:
		return logfmt_line(c, ret);
	default:
		return true;
	}
}

bool import_line_read(enum import_format format, const char *text, size_t n, int64_t now, struct import_line *ret)
{
	struct cursor c = {text, text + COF_MIN(n, (size_t)IMPORT_LINE_MAX)};

	memset(ret, 0, sizeof(*ret));
	ret->time = INT64_MIN;
	ret->message = rest(&c);
	if (take_apart(format, c, now, ret))
		return true;
	import_line_done(ret);
	memset(ret, 0, sizeof(*ret));
	ret->time = INT64_MIN;
	ret->message = rest(&c);
	return false;
}

void import_line_done(struct import_line *line)
{
	cof_buf_done(&line->own);
}
