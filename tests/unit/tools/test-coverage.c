/* SPDX-License-Identifier: Apache-2.0 */
/* Coverage: who covers a kind of event, by what is on record, by age, and by who is among the people. */
#include "test-tools.h"

#include "tools/coverage.h"

#include <stdio.h>

#define DAY (86400 * COF_NSEC)
#define NOW (20000 * DAY)

static struct coverage *seen;
static struct cof_profile policy;

static void setup(void)
{
	seen = coverage_new();
	ck_assert_ptr_nonnull(seen);
	cof_profile_default(&policy);
}

static void teardown(void)
{
	coverage_free(seen);
}

/* More: further keys, as JSON. */
static void event(const char *type, const char *catalogue, const char *source, int64_t time, const char *more)
{
	cof_autojson struct cof_json *e = NULL;
	cof_autobuf struct cof_buf b = {0};
	char text[32];

	cof_time_text(time, text);
	cof_buf_printf(&b, "{\"event\":\"%s\",\"time\":\"%s\",\"source\":\"%s\"", type, text, source);
	if (catalogue)
		cof_buf_printf(&b, ",\"catalogue\":\"%s\"", catalogue);
	cof_buf_printf(&b, "%s}", more);
	ck_assert_int_eq(cof_json_parse((char *)b.data, b.len, &e), 0);
	coverage_take(seen, e);
}

static void tested(const char *source, int64_t time)
{
	event("source-tested", NULL, source, time, ",\"form\":\"{\\\"kinds\\\":[\\\"A.16.2\\\",\\\"A.14.7\\\",\\\"B.1\\\"]}\"");
}

/* It says that it will report within an hour. */
static void reports(const char *source, int64_t time)
{
	event("source-read", NULL, source, time, ",\"due\":{\"next_ns\":3600000000000,\"silence_ns\":0}");
}

static struct covered of(const char *id, const struct cof_people *people)
{
	const struct coverage_terms t = {.policy = &policy, .people = people, .now = NOW};
	static struct covered all[COVERAGE_KINDS];
	size_t n = coverage_kinds(seen, 4, &t, all);

	ck_assert_uint_eq(n, 60);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].id, id))
			return all[i];
	ck_abort_msg("no kind %s", id);
}

#define STATE(kind, want) ck_assert_str_eq(coverage_state_name(of(kind, NULL).state), want)

START_TEST(levels)
{
	const struct coverage_terms t = {.policy = &policy, .now = NOW};
	static struct covered all[COVERAGE_KINDS];
	static const size_t want[] = {0, 13, 44, 60, 60, 0};

	for (unsigned level = 0; level < COF_COUNT(want); level++)
		ck_assert_uint_eq(coverage_kinds(seen, level, &t, all), want[level]);
}
END_TEST

START_TEST(own)
{
	STATE("A.14.6", "missing");
	event("mount", "A.14.6", "coffer", NOW - 400 * DAY, "");
	STATE("A.14.6", "source");
	ck_assert_str_eq(of("A.14.6", NULL).by, "coffer");
	policy.coverage_within = 365 * DAY;
	STATE("A.14.6", "stale");
	event("mount", "A.14.6", "coffer", NOW - 365 * DAY, "");
	STATE("A.14.6", "source");
	ck_assert_uint_eq(of("A.14.6", NULL).count, 2);
	ck_assert_int_eq(of("A.14.6", NULL).first, NOW - 400 * DAY);
	ck_assert_int_eq(of("A.14.6", NULL).last, NOW - 365 * DAY);
}
END_TEST

START_TEST(source)
{
	event("login", "A.16.2", "sshd", NOW - DAY, "");
	STATE("A.16.2", "missing"); /* seen, and not tested */
	reports("sshd", NOW - COF_NSEC);
	STATE("A.16.2", "missing");
	tested("sshd", NOW - 10 * DAY);
	STATE("A.16.2", "source");
	STATE("A.14.7", "source"); /* none of it was ever seen: that it would be counts */
	STATE("A.14.8", "missing");
	ck_assert_str_eq(of("A.16.2", NULL).by, "sshd");
	policy.coverage_within = 9 * DAY;
	STATE("A.16.2", "stale");
	tested("sshd", NOW - 8 * DAY);
	STATE("A.16.2", "source");
	event("silence", "A.17.9", "sshd", NOW, "");
	STATE("A.16.2", "source");
}
END_TEST

START_TEST(silent)
{
	tested("sshd", NOW - DAY);
	STATE("A.16.2", "silent");
	reports("sshd", NOW - 2 * 3600 * COF_NSEC);
	STATE("A.16.2", "silent");
	event("silence", "A.17.9", "sshd", NOW - COF_NSEC, ""); /* the daemon says that of it */
	STATE("A.16.2", "silent");
	reports("auth", NOW - COF_NSEC); /* another one, live and not tested */
	STATE("A.16.2", "silent");
	reports("sshd", NOW - 2 * 3600 * COF_NSEC + COF_NSEC);
	STATE("A.16.2", "source");
}
END_TEST

static const char people_text[] =
    "alice ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsSxVhuRCyqfE7mLlYdJQgDhFmjPZVhO9xS7sSvQ7xb roles=officer\n";

START_TEST(person)
{
	struct cof_people people;
	struct cof_diag why = {""};

	ck_assert_msg(cof_people_parse(people_text, sizeof(people_text) - 1, NULL, 0, NULL, &people, &why) == 0, "%s",
		      why.text);
	snprintf(policy.coverage_by, sizeof(policy.coverage_by),
		 "A.14.3=officer A.14.4=alice A.14.5=guard A.16.1=auditor A.14.55=alice A.14.8=bob A.14.8=alice");
	ck_assert_str_eq(coverage_state_name(of("A.14.3", &people).state), "person");
	ck_assert_str_eq(of("A.14.3", &people).by, "officer");
	ck_assert_str_eq(coverage_state_name(of("A.14.4", &people).state), "person");
	ck_assert_str_eq(coverage_state_name(of("A.14.5", &people).state), "nobody");
	ck_assert_str_eq(of("A.14.5", &people).by, "guard");
	ck_assert_str_eq(coverage_state_name(of("A.16.1", &people).state), "nobody"); /* a role without a person */
	ck_assert_str_eq(coverage_state_name(of("A.14.8", &people).state), "person");
	ck_assert_str_eq(coverage_state_name(of("A.14.9", &people).state), "missing");
	STATE("A.14.4", "nobody"); /* without people */
	ck_assert(is_covered(COVERED_SOURCE) && is_covered(COVERED_PERSON) && !is_covered(COVERED_SILENT) &&
		  !is_covered(COVERED_STALE) && !is_covered(COVERED_NOBODY) && !is_covered(COVERED_MISSING));
	/* A source that has stopped is told, unless somebody stands for it. */
	tested("sshd", NOW - DAY);
	snprintf(policy.coverage_by, sizeof(policy.coverage_by), "A.16.2=guard A.14.7=alice");
	ck_assert_str_eq(coverage_state_name(of("A.16.2", &people).state), "silent");
	ck_assert_str_eq(coverage_state_name(of("A.14.7", &people).state), "person");
	cof_people_done(&people);
}
END_TEST

TCase *coverage_case(void)
{
	TCase *c = tcase_create("coverage");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, levels);
	tcase_add_test(c, own);
	tcase_add_test(c, source);
	tcase_add_test(c, silent);
	tcase_add_test(c, person);
	return c;
}
