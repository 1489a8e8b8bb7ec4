/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources that ship against lines of the programs they are for (sources/NAME.lines: a line, then what it
 * has to become), heads of lines, and sources that are refused.
 *
 *     test-import SOURCES LINES
 */
#include "test-import.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#define NOW (1795600000 * COF_NSEC) /* 2026-11-25 */

static const char *sources_dir, *lines_dir;

static struct cof_buf load(const char *dir, const char *name, const char *suffix)
{
	char path[512];
	struct cof_buf b = {0};
	char part[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	while ((n = read(fd, part, sizeof(part))) > 0)
		cof_buf_add(&b, part, (size_t)n);
	close(fd);
	ck_assert(n == 0 && b.data);
	return b;
}

static struct import_source *shipped(const char *name)
{
	struct cof_buf text = load(sources_dir, name, ".ini");
	struct import_source *s = NULL;
	struct cof_diag diag = {""};

	ck_assert_msg(import_source_parse((char *)text.data, text.len, NULL, &s, &diag) == 0, "%s: %s", name,
		      diag.text);
	cof_buf_done(&text);
	ck_assert_str_eq(import_source_name(s), name);
	return s;
}

static void verdict_text(struct import_source *s, const char *line, size_t n, char *out, size_t cap)
{
	static const char *const words[] = {[IMPORT_IGNORED] = "ignored", [IMPORT_NO_RULE] = "no rule",
					    [IMPORT_OTHER] = "other program"};
	struct import_event e;
	uint64_t costly = 0;
	enum import_verdict v = import_match(s, line, n, NOW, &e, &costly);
	char time[32] = "-";

	ck_assert_uint_eq(costly, 0);
	if (v != IMPORT_EVENT) {
		snprintf(out, cap, "%s", words[v]);
		return;
	}
	if (e.time != INT64_MIN)
		cof_time_text(e.time, time);
	snprintf(out, cap, "%s.%s %s %s %s actor=%s place=%s object=%s at=%s", import_source_name(s), e.type, *e.catalogue ? e.catalogue : "-",
		 e.outcome, e.severity, e.actor, e.place, e.object, time);
	ck_assert(strlen(e.detail) > 0);
}

static void check_lines(const char *name)
{
	struct import_source *s = shipped(name);
	struct cof_buf text = load(lines_dir, name, ".lines");
	char *at = (char *)text.data, *end = at + text.len;
	unsigned lines = 0, number = 0;

	while (at < end) {
		char *nl = memchr(at, '\n', (size_t)(end - at)), *want, got[4096];

		ck_assert_ptr_nonnull(nl);
		number += 2;
		verdict_text(s, at, (size_t)(nl - at), got, sizeof(got));
		want = nl + 1;
		nl = memchr(want, '\n', (size_t)(end - want));
		ck_assert_ptr_nonnull(nl);
		ck_assert_msg(nl - want > 3 && !strncmp(want, "=> ", 3), "%s.lines:%u: no '=> '", name, number);
		*nl = 0;
		ck_assert_msg(!strcmp(want + 3, got), "%s.lines:%u: wanted %s\n got %s", name, number, want + 3, got);
		lines++;
		at = nl + 1;
	}
	ck_assert_uint_gt(lines, 3);
	cof_buf_done(&text);
	import_source_free(s);
}

/* Each rule has a line that it fits: a kind that comes out of none is never covered (coffer coverage --test). */
static void check_rules(const char *name)
{
	struct cof_buf rules = load(sources_dir, name, ".ini"), text = load(lines_dir, name, ".lines");
	unsigned n = 0;

	cof_buf_add(&rules, "", 1);
	cof_buf_add(&text, "", 1);
	for (char *at = (char *)rules.data, *next; (at = strstr(at, "\n[")); at = next) {
		char want[320], *end = strchr(at, ']');
		bool passed_over;

		ck_assert_ptr_nonnull(end);
		next = end + 1;
		*end = 0;
		snprintf(want, sizeof(want), "\n=> %s.%s ", name, at + 2);
		end = strstr(next, "\n[");
		if (end)
			*end = 0;
		passed_over = strstr(next, "ignore = yes");
		if (end)
			*end = '\n';
		if (!strcmp(at + 2, "source"))
			continue;
		ck_assert_msg(strstr((char *)text.data, passed_over ? "\n=> ignored" : want), "%s.ini: no line that [%s] fits", name, at + 2);
		n++;
	}
	ck_assert_uint_gt(n, 3);
	cof_buf_done(&rules);
	cof_buf_done(&text);
}

START_TEST(shipped_sources)
{
	DIR *d = opendir(sources_dir);
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		char name[256];
		size_t len = strlen(e->d_name);

		if (len < 5 || len >= sizeof(name) || strcmp(e->d_name + len - 4, ".ini") != 0)
			continue;
		memcpy(name, e->d_name, len - 4);
		name[len - 4] = 0;
		check_lines(name);
		check_rules(name);
		n++;
	}
	closedir(d);
	ck_assert_uint_ge(n, 5);
}
END_TEST

/* ---- heads ---- */

static bool is(struct import_piece p, const char *want)
{
	return p.len == strlen(want) && !memcmp(p.text, want, p.len);
}

static struct import_line head(enum import_format f, const char *text, bool want)
{
	struct import_line l;

	ck_assert_msg(import_line_read(f, text, strlen(text), NOW, &l) == want, "%s", text);
	return l;
}

START_TEST(syslog_heads)
{
	struct import_line l = head(IMPORT_SYSLOG, "<38>1 2026-11-25T01:02:03.5Z h p 7 ID [a b=\"]\\\"\"][c] \xef\xbb\xbfhello", true);

	ck_assert(is(l.host, "h") && is(l.program, "p") && is(l.pid, "7") && is(l.message, "hello"));
	ck_assert_int_eq(l.time % COF_NSEC, COF_NSEC / 2);
	l = head(IMPORT_SYSLOG, "2026-11-25T03:02:03+02:00 h p[9]: x: y", true);
	ck_assert(is(l.program, "p") && is(l.pid, "9") && is(l.message, "x: y"));
	ck_assert_int_eq(l.time, 1795568523 * COF_NSEC);
	l = head(IMPORT_SYSLOG, "<86>Nov  5 04:46:12 h sudo:  root : x", true);
	ck_assert(is(l.message, " root : x"));
	ck_assert_int_eq(l.time / COF_NSEC, 1793853972);
	/* Without a year December is of last year, in November. */
	l = head(IMPORT_SYSLOG, "Dec 31 23:59:59 h p: x", true);
	ck_assert_int_eq(l.time / COF_NSEC, 1767225599);
	l = head(IMPORT_SYSLOG, "no head at all", false);
	ck_assert(is(l.message, "no head at all"));
	ck_assert_int_eq(l.time, INT64_MIN);
	(void)head(IMPORT_SYSLOG, "", false);
	(void)head(IMPORT_SYSLOG, "<38>1 2026-13-25T01:02:03Z h p 7 ID - x", false);
	(void)head(IMPORT_SYSLOG, "2026-11-25T03:02:03+02:00 h p[9 x", false);
}
END_TEST

static struct import_piece of(const struct import_line *l, const char *key)
{
	for (size_t i = 0; i < l->n_fields; i++)
		if (is(l->fields[i].key, key))
			return l->fields[i].value;
	return (struct import_piece){"", 0};
}

START_TEST(fields)
{
	struct import_line l = head(IMPORT_AUDIT, "node=n type=T msg=audit(1.25:9): a=1 msg='op=two words id=5 res=success'\x1d" "AUID=\"unset\"", true);

	ck_assert(is(l.host, "n") && is(of(&l, "type"), "T") && is(of(&l, "op"), "two words") && is(of(&l, "AUID"), "unset"));
	ck_assert_int_eq(l.time, 1250000000);
	(void)head(IMPORT_AUDIT, "type=T msg=audit(x:9): a=1", false);
	l = head(IMPORT_LOGFMT, "time=\"1970-01-01T00:00:02Z\" path=/sign error=\"a \\\"b\\\" c\" n=", true);
	ck_assert(is(of(&l, "error"), "a \\\"b\\\" c") && is(of(&l, "path"), "/sign"));
	ck_assert_int_eq(l.time, 2 * COF_NSEC);
	l = head(IMPORT_JSON, "{\"ts\":3.5,\"a\":\"b\",\"deep\":{\"x\":1},\"ok\":true}", true);
	ck_assert(is(of(&l, "a"), "b") && is(of(&l, "ok"), "true") && is(of(&l, "deep"), ""));
	ck_assert_int_eq(l.time, 3500000000);
	import_line_done(&l);
	(void)head(IMPORT_JSON, "{\"a\":", false);
	l = head(IMPORT_LOG4J, "2026-11-25 01:02:03,125 INFO x", true);
	ck_assert(is(l.message, "INFO x"));
	ck_assert_int_eq(l.time, 1795568523125 * 1000000);
}
END_TEST

/* ---- sources ---- */

#define HEAD "[source]\nname = x\n"

static const char *refused_for(const char *text)
{
	static struct cof_diag diag;
	struct import_source *s = NULL;

	diag.text[0] = 0;
	ck_assert_int_eq(import_source_parse(text, strlen(text), NULL, &s, &diag), -EUCLEAN);
	ck_assert_ptr_null(s);
	return diag.text;
}

static bool no_id(const char *catalogue)
{
	return strcmp(catalogue, "A.9.9") != 0;
}

START_TEST(refused)
{
	struct import_source *s = NULL;
	struct cof_diag diag = {""};
	const char *unknown = HEAD "[a]\nmatch = x\noutcome = success\ncatalogue = A.9.9\n";

	ck_assert_ptr_nonnull(strstr(refused_for("name = x\n"), "line 1"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD), "no rules"));
	ck_assert_ptr_nonnull(strstr(refused_for("[a]\nmatch = x\noutcome = success\n"), "no name"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD "[a]\nmatch = (\noutcome = success\n"), "line 4: the pattern"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD "[a]\noutcome = success\n"), "fits every line"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD "[a]\nmatch = x\n"), "says no outcome"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD "[a]\nmatch = x\nmatch = y\noutcome = success\n"), "twice"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD "[a]\nmatch = x\nseverity = bad\noutcome = success\n"), "severity"));
	ck_assert_ptr_nonnull(strstr(refused_for(HEAD "[a]\nmatch = x\nignore = yes\n[b]\nmatch = x\nignore = yes\n[a]\nmatch = x\n"), "two rules a"));
	ck_assert_ptr_nonnull(strstr(refused_for("[source]\nname = X\n"), "line 2"));
	ck_assert_ptr_nonnull(strstr(refused_for("[source]\nformat = xml\n"), "xml"));
	ck_assert_int_eq(import_source_parse(unknown, strlen(unknown), no_id, &s, &diag), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "A.9.9"));
}
END_TEST

/* A pattern that would take for ever on a line does not: it counts, and the next rule is asked. */
START_TEST(hostile_line)
{
	const char *text = HEAD "[slow]\nmatch = ^(a+)+$\noutcome = success\n[next]\nmatch = a\noutcome = failure\n";
	struct import_source *s = NULL;
	struct import_event e;
	uint64_t costly = 0;
	char line[2000];

	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '!';
	ck_assert_int_eq(import_source_parse(text, strlen(text), NULL, &s, NULL), 0);
	ck_assert_int_eq(import_match(s, line, sizeof(line), NOW, &e, &costly), IMPORT_EVENT);
	ck_assert_str_eq(e.type, "next");
	ck_assert_uint_eq(costly, 1);
	ck_assert_uint_le(strlen(e.detail), IMPORT_TEXT_MAX);
	import_source_free(s);
}
END_TEST

/* Nothing of a line steers a terminal or breaks a character in two; names that nothing bears are empty. */
START_TEST(texts)
{
	const char *text = HEAD "[a]\nmatch = ^(?<w>\\S+) (?<none>z)?\noutcome = {w}\nactor = <{w}{none}{nobody}>\n";
	struct import_source *s = NULL;
	struct import_event e;
	uint64_t costly = 0;
	char line[3000];

	ck_assert_int_eq(import_source_parse(text, strlen(text), NULL, &s, NULL), 0);
	ck_assert_int_eq(import_match(s, "FAILED \x1b[2J", 11, NOW, &e, &costly), IMPORT_EVENT);
	ck_assert_str_eq(e.outcome, "failure");
	ck_assert_str_eq(e.actor, "<FAILED>");
	ck_assert_str_eq(e.detail, "FAILED  [2J");
	for (size_t i = 0; i + 2 < sizeof(line); i += 3)
		memcpy(line + i, "\xe9\x8d\xb5", 3);
	memcpy(line, "ok ", 3);
	ck_assert_int_eq(import_match(s, line, sizeof(line), NOW, &e, &costly), IMPORT_EVENT);
	ck_assert_str_eq(e.outcome, "success");
	ck_assert_uint_eq(strlen(e.detail), 3 + (IMPORT_TEXT_MAX - 3) / 3 * 3);
	import_source_free(s);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("import");
	TCase *t = tcase_create("import");
	SRunner *r;
	int failed;

	if (argc != 3)
		return 2;
	sources_dir = argv[1];
	lines_dir = argv[2];
	setenv("TZ", "UTC", 1);
	tzset();
	tcase_add_test(t, shipped_sources);
	tcase_add_test(t, syslog_heads);
	tcase_add_test(t, fields);
	tcase_add_test(t, refused);
	tcase_add_test(t, hostile_line);
	tcase_add_test(t, texts);
	suite_add_tcase(s, t);
	suite_add_tcase(s, file_case());
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
