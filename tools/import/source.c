/* SPDX-License-Identifier: Apache-2.0 */
/* A source as text: an INI with a section [source] and a section for each rule. */
#include "tools/import/internal.h"

#include "fs/rules/rules.h"

#include <stdio.h>

struct reading {
	struct import_source *source;
	import_known_fn known;
	struct cof_diag *diag;
	int rule_line; /* where the rule being read began */
};

static const char *const formats[] = {
    [IMPORT_PLAIN] = "plain", [IMPORT_SYSLOG] = "syslog", [IMPORT_AUDIT] = "audit",
    [IMPORT_LOG4J] = "log4j", [IMPORT_JSON] = "json",	  [IMPORT_LOGFMT] = "logfmt",
};

static const char *const severities[] = {"debug", "info", "notice", "warning",
					 "err",	  "crit", "alert",  "emerg"};

static int wrong(struct reading *r, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int wrong(struct reading *r, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cof_fail(r->diag, -EUCLEAN, "source, line %d: %s", line, text);
}

static int take_text(struct reading *r, char **at, const char *key, const char *value, int line)
{
	if (*at)
		return wrong(r, line, "%s is given twice", key);
	*at = strdup(value);
	return *at ? 0 : cof_fail(r->diag, -ENOMEM, "out of memory");
}

/* Lower-case letters, digits and '-', a letter first: what names events and sources. */
static bool is_name(const char *s, size_t most)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n <= most && !s[n] && s[0] >= 'a';
}

static pcre2_code *compile(struct reading *r, const char *pattern, int line)
{
	PCRE2_UCHAR text[160];
	PCRE2_SIZE at = 0;
	int code = 0;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_DOLLAR_ENDONLY, &code,
				       &at, NULL);

	if (!re) {
		if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
			text[0] = 0;
		wrong(r, line, "the pattern does not compile: %s, at character %zu", (char *)text, at + 1);
		return NULL;
	}
	(void)pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* without it is slower, and the same */
	return re;
}

/* ---- [source] ---- */

static int source_key(struct reading *r, const char *key, const char *value, int line)
{
	struct import_source *s = r->source;

	if (!strcmp(key, "name"))
		return is_name(value, 31) ? take_text(r, &s->name, key, value, line)
					  : wrong(r, line, "a name is 1 to 31 of a-z, 0-9 and '-', a letter first");
	if (!strcmp(key, "about"))
		return take_text(r, &s->about, key, value, line);
	if (!strcmp(key, "program"))
		return take_text(r, &s->program, key, value, line);
	if (!strcmp(key, "silence"))
		return cof_span_parse(value, &s->silence) == 0 && s->silence != COF_RETAIN_INFINITE
			   ? 0
			   : wrong(r, line, "'%s' is no span such as 10min", value);
	if (strcmp(key, "format") != 0)
		return wrong(r, line, "no key '%s' in [source]; known are name, about, format, program and silence",
			     key);
	for (size_t i = 0; i < COF_COUNT(formats); i++)
		if (!strcmp(value, formats[i])) {
			s->format = (enum import_format)i;
			return 0;
		}
	return wrong(r, line, "no format '%s'; known are plain, syslog, audit, log4j, json and logfmt", value);
}

/* ---- rules ---- */

static int field_key(struct reading *r, struct rule *rule, const char *key, const char *value, int line)
{
	struct condition *c;

	if (rule->n_conditions == RULE_CONDITIONS)
		return wrong(r, line, "more than %d fields in one rule", RULE_CONDITIONS);
	c = &rule->conditions[rule->n_conditions];
	c->re = compile(r, value, line);
	if (!c->re)
		return -EUCLEAN;
	rule->n_conditions++;
	c->key = strdup(key + strlen("field."));
	return c->key ? 0 : cof_fail(r->diag, -ENOMEM, "out of memory");
}

static int rule_key(struct reading *r, const char *key, const char *value, int line)
{
	struct rule *rule = &r->source->rules[r->source->n_rules - 1];

	for (size_t i = 0; i < TEXT_COUNT; i++)
		if (!strcmp(key, import_texts[i]))
			return take_text(r, &rule->texts[i], key, value, line);
	if (!strncmp(key, "field.", 6) && key[6])
		return field_key(r, rule, key, value, line);
	if (!strcmp(key, "ignore")) {
		rule->ignore = !strcmp(value, "yes");
		return rule->ignore || !strcmp(value, "no") ? 0 : wrong(r, line, "ignore takes yes or no");
	}
	if (strcmp(key, "match") != 0)
		return wrong(r, line,
			     "no key '%s' in a rule; known are match, field.NAME, ignore, catalogue, outcome, "
			     "severity, actor, place, object and detail",
			     key);
	if (rule->re)
		return wrong(r, line, "match is given twice");
	rule->re = compile(r, value, line);
	return rule->re ? 0 : -EUCLEAN;
}

static bool is_severity(const char *s)
{
	for (size_t i = 0; i < COF_COUNT(severities); i++)
		if (!strcmp(s, severities[i]))
			return true;
	return false;
}

static int rule_end_check(struct reading *r)
{
	struct rule *rule;
	const char *id, *severity;

	if (!r->source->n_rules)
		return 0;
	rule = &r->source->rules[r->source->n_rules - 1];
	id = rule->texts[TEXT_CATALOGUE];
	severity = rule->texts[TEXT_SEVERITY];
	if (!rule->re && !rule->n_conditions)
		return wrong(r, r->rule_line, "rule %s fits every line: it needs match or field.NAME", rule->name);
	if (id && r->known && !r->known(id))
		return wrong(r, r->rule_line, "rule %s: the catalogue has no event '%s'", rule->name, id);
	if (severity && !is_severity(severity))
		return wrong(r, r->rule_line, "rule %s: no severity '%s'; debug, info, notice, warning, err, crit, "
					      "alert or emerg", rule->name, severity);
	if (!rule->ignore && !rule->texts[TEXT_OUTCOME])
		return wrong(r, r->rule_line, "rule %s says no outcome: success, failure, attempt, or {a field}",
			     rule->name);
	return 0;
}

static int rule_begin(struct reading *r, const char *name, int line)
{
	struct import_source *s = r->source;
	int err = rule_end_check(r);

	if (err)
		return err;
	if (!is_name(name, 31))
		return wrong(r, line, "'%s' is no name of a rule: 1 to 31 of a-z, 0-9 and '-', a letter first", name);
	for (size_t i = 0; i < s->n_rules; i++)
		if (!strcmp(s->rules[i].name, name))
			return wrong(r, line, "there are two rules %s", name);
	if (s->n_rules == IMPORT_RULES_MAX)
		return wrong(r, line, "more than %d rules", IMPORT_RULES_MAX);
	r->rule_line = line;
	s->rules[s->n_rules].name = strdup(name);
	if (!s->rules[s->n_rules].name)
		return cof_fail(r->diag, -ENOMEM, "out of memory");
	s->n_rules++;
	return 0;
}

static int one_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct reading *r = user;
	struct import_source *s = r->source;
	int err = 0;

	if (!section || !*section)
		return wrong(r, line, "%s stands before the first section, which is [source]", key);
	if (!strcmp(section, "source"))
		return source_key(r, key, value, line);
	if (!s->n_rules || strcmp(s->rules[s->n_rules - 1].name, section) != 0)
		err = rule_begin(r, section, line);
	return err ? err : rule_key(r, key, value, line);
}

int import_source_parse(const char *text, size_t n, import_known_fn known, struct import_source **ret,
			struct cof_diag *diag)
{
	struct reading r = {.known = known, .diag = diag};
	int err;

	r.source = calloc(1, sizeof(*r.source));
	if (!r.source)
		return cof_fail(diag, -ENOMEM, "out of memory");
	err = cof_ini_parse(text, n, one_key, &r, diag);
	if (!err)
		err = rule_end_check(&r);
	if (!err && !r.source->name)
		err = cof_fail(diag, -EUCLEAN, "source: [source] has no name");
	if (!err && !r.source->n_rules)
		err = cof_fail(diag, -EUCLEAN, "source %s has no rules", r.source->name);
	if (!err)
		err = import_match_prepare(r.source, diag);
	if (err) {
		import_source_free(r.source);
		return err;
	}
	*ret = r.source;
	return 0;
}

static void rule_free(struct rule *rule)
{
	free(rule->name);
	pcre2_code_free(rule->re);
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free(rule->texts[i]);
	for (size_t i = 0; i < rule->n_conditions; i++) {
		free(rule->conditions[i].key);
		pcre2_code_free(rule->conditions[i].re);
	}
}

void import_source_free(struct import_source *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_rules; i++)
		rule_free(&s->rules[i]);
	import_match_done(s);
	free(s->name);
	free(s->about);
	free(s->program);
	free(s);
}

const char *import_source_name(const struct import_source *s)
{
	return s->name;
}

const char *import_source_about(const struct import_source *s)
{
	return s->about ? s->about : "";
}

int64_t import_source_silence(const struct import_source *s)
{
	return s->silence;
}

void import_source_kinds(const struct import_source *s, void (*fn)(void *user, const char *catalogue), void *user)
{
	for (size_t i = 0; i < s->n_rules; i++)
		if (!s->rules[i].ignore && s->rules[i].texts[TEXT_CATALOGUE])
			fn(user, s->rules[i].texts[TEXT_CATALOGUE]);
}
