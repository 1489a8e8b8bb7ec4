/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule a line fits, and the event that it is. */
#include "tools/import/internal.h"

#include <stdio.h>

/* Steps of backtracking, and KiB of heap, that a pattern may take on one line: hostile lines are short work. */
#define STEPS_MAX 20000
#define HEAP_KIB_MAX 256

const char *const import_texts[TEXT_COUNT] = {"catalogue", "outcome", "severity", "actor",
					      "place",	   "object",  "detail"};

struct matching {
	struct import_source *s;
	const struct import_line *line;
	const struct rule *rule;
	uint64_t costly;
};

int import_match_prepare(struct import_source *s, struct cof_diag *diag)
{
	s->match = pcre2_match_data_create(32, NULL);
	s->limits = pcre2_match_context_create(NULL);
	if (!s->match || !s->limits)
		return cof_fail(diag, -ENOMEM, "out of memory");
	(void)pcre2_set_match_limit(s->limits, STEPS_MAX);
	(void)pcre2_set_heap_limit(s->limits, HEAP_KIB_MAX);
	return 0;
}

void import_match_done(struct import_source *s)
{
	pcre2_match_data_free(s->match);
	pcre2_match_context_free(s->limits);
	cof_buf_done(&s->out);
}

static bool fits(struct matching *m, const pcre2_code *re, struct import_piece in)
{
	int r = pcre2_match(re, (PCRE2_SPTR)(in.len ? in.text : ""), in.len, 0, 0, m->s->match, m->s->limits);

	if (r < 0 && r != PCRE2_ERROR_NOMATCH)
		m->costly++;
	return r >= 0;
}

static bool same(struct import_piece a, const char *b)
{
	return a.len == strlen(b) && !memcmp(a.text, b, a.len);
}

static const struct import_piece *find_field(const struct import_line *l, const char *key)
{
	for (size_t i = 0; i < l->n_fields; i++)
		if (same(l->fields[i].key, key))
			return &l->fields[i].value;
	return NULL;
}

/* The message last: its captures are those that texts may name. */
static bool rule_fits(struct matching *m)
{
	for (size_t i = 0; i < m->rule->n_conditions; i++) {
		const struct condition *c = &m->rule->conditions[i];
		const struct import_piece *value = find_field(m->line, c->key);

		if (!value || !fits(m, c->re, *value))
			return false;
	}
	return !m->rule->re || fits(m, m->rule->re, m->line->message);
}

/* ---- texts ---- */

static struct import_piece capture(const struct matching *m, const char *name)
{
	PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->s->match);
	int n = m->rule->re ? pcre2_substring_number_from_name(m->rule->re, (PCRE2_SPTR)name) : -1;

	/* More groups than there is room for, or one that took no part: nothing. */
	if (n < 0 || (uint32_t)n >= pcre2_get_ovector_count(m->s->match) || at[2 * n] == PCRE2_UNSET ||
	    at[2 * n + 1] < at[2 * n])
		return (struct import_piece){"", 0};
	return (struct import_piece){m->line->message.text + at[2 * n], at[2 * n + 1] - at[2 * n]};
}

static struct import_piece named(const struct matching *m, const char *name)
{
	const struct import_line *l = m->line;
	const struct import_piece *f = find_field(l, name);

	if (!strcmp(name, "message"))
		return l->message;
	if (!strcmp(name, "host"))
		return l->host;
	if (!strcmp(name, "program"))
		return l->program;
	if (!strcmp(name, "pid"))
		return l->pid;
	return f ? *f : capture(m, name);
}

/* At most IMPORT_TEXT_MAX bytes, control characters as blanks, cut where a character of UTF-8 begins. */
static void add_clean(struct cof_buf *out, size_t start, struct import_piece p)
{
	size_t room = start + IMPORT_TEXT_MAX - COF_MIN(out->len, start + IMPORT_TEXT_MAX), n = COF_MIN(p.len, room);

	while (n < p.len && n > 0 && ((uint8_t)p.text[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++) {
		char c = (uint8_t)p.text[i] < 0x20 || p.text[i] == 0x7f ? ' ' : p.text[i];

		cof_buf_add(out, &c, 1);
	}
}

/* "a|b|c": the first that is not empty. names is cut up. */
static struct import_piece first_of(const struct matching *m, char *names)
{
	struct import_piece p = {"", 0};

	for (char *at = names, *next; at && !p.len; at = next) {
		next = strchr(at, '|');
		if (next)
			*next++ = 0;
		p = named(m, at);
	}
	return p;
}

/* The template with {names} filled in, terminated, behind what is in out. Returns where it begins. */
static size_t fill(const struct matching *m, const char *text)
{
	struct cof_buf *out = &m->s->out;
	size_t start = out->len;

	while (text && *text) {
		const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;
		char name[64];

		if (!close || (size_t)(close - open) > sizeof(name)) {
			add_clean(out, start, (struct import_piece){text, strlen(text)});
			break;
		}
		add_clean(out, start, (struct import_piece){text, (size_t)(open - text)});
		memcpy(name, open + 1, (size_t)(close - open - 1));
		name[close - open - 1] = 0;
		add_clean(out, start, first_of(m, name));
		text = close + 1;
	}
	cof_buf_add(out, "", 1);
	return start;
}

/* What programs call a success. Anything that is not known was an attempt. */
static const char *outcome_of(const char *word)
{
	static const char *const good[] = {"success", "yes", "ok", "accepted", "true", "granted", "1"};
	static const char *const bad[] = {"failure", "failed", "fail", "no", "denied", "error", "false", "0"};

	for (size_t i = 0; i < COF_COUNT(good); i++)
		if (!strcasecmp(word, good[i]))
			return "success";
	for (size_t i = 0; i < COF_COUNT(bad); i++)
		if (!strcasecmp(word, bad[i]))
			return "failure";
	return "attempt";
}

static bool make(const struct matching *m, struct import_event *ret)
{
	struct cof_buf *out = &m->s->out;
	size_t at[TEXT_COUNT];
	const char *texts;

	cof_buf_done(out);
	for (size_t i = 0; i < TEXT_COUNT; i++)
		at[i] = fill(m, i == TEXT_DETAIL && !m->rule->texts[i] ? "{message}" : m->rule->texts[i]);
	if (out->failed)
		return false;
	texts = (const char *)out->data;
	*ret = (struct import_event){
	    .type = m->rule->name,
	    .catalogue = texts + at[TEXT_CATALOGUE],
	    .outcome = outcome_of(texts + at[TEXT_OUTCOME]),
	    .severity = texts[at[TEXT_SEVERITY]] ? texts + at[TEXT_SEVERITY] : "notice",
	    .actor = texts + at[TEXT_ACTOR],
	    .place = texts + at[TEXT_PLACE],
	    .object = texts + at[TEXT_OBJECT],
	    .detail = texts + at[TEXT_DETAIL],
	    .time = m->line->time,
	};
	return true;
}

static enum import_verdict judge(struct matching *m, struct import_event *ret)
{
	const struct import_source *s = m->s;

	for (size_t i = 0; i < s->n_rules; i++) {
		m->rule = &s->rules[i];
		if (!rule_fits(m))
			continue;
		if (m->rule->ignore)
			return IMPORT_IGNORED;
		return make(m, ret) ? IMPORT_EVENT : IMPORT_NO_RULE;
	}
	return IMPORT_NO_RULE;
}

enum import_verdict import_match(struct import_source *s, const char *text, size_t n, int64_t now,
				 struct import_event *ret, uint64_t *ret_costly)
{
	struct import_line line;
	struct matching m = {.s = s, .line = &line};
	enum import_verdict verdict;

	(void)import_line_read(s->format, text, n, now, &line);
	if (s->program && line.program.len && !same(line.program, s->program))
		verdict = IMPORT_OTHER;
	else
		verdict = judge(&m, ret);
	*ret_costly += m.costly;
	import_line_done(&line);
	return verdict;
}
