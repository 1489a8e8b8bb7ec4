/* SPDX-License-Identifier: Apache-2.0 */
/* Events as lines, for people and of RFC 5424: whatever a name or a text holds, it stays one line and one value. */
#include "test-tools.h"

#include "tools/event-line.h"

static void is_line(const char *json, const char *want, bool syslog)
{
	struct cof_json *o = NULL;
	struct cof_buf b = {0};

	ck_assert_msg(cof_json_parse(json, strlen(json), &o) == 0, "%s", json);
	if (syslog)
		event_syslog(o, "ca.example/log", "0123", &b);
	else
		event_line(o, &b);
	ck_assert(!b.failed);
	ck_assert_str_eq((char *)b.data, want);
	cof_buf_done(&b);
	cof_json_free(o);
}

#define REFUSED                                                                                                    \
	"{\"sequence\":11,\"event\":\"refused\",\"catalogue\":\"A.1.2\",\"outcome\":\"failure\",\"severity\":\"warning\"," \
	"\"source\":\"coffer\",\"time\":\"2026-01-02T03:04:05.678Z\",\"operation\":\"unlink\",\"path\":\"audit/a b\","   \
	"\"errno\":\"EPERM\",\"reason\":\"no\",\"count\":3,\"actor\":{\"uid\":7,\"login_uid\":8,\"pid\":9,\"command\":\"rm\"}}"

START_TEST(for_people)
{
	is_line(REFUSED,
		"      11  2026-01-02T03:04:05.678Z  warning A.1.2   refused failure unlink \"audit/a b\": EPERM, no, 3 times"
		"  by uid 7 (login 8) pid 9 rm\n",
		false);
	is_line("{\"sequence\":2,\"event\":\"x\",\"detail\":\"a\\nb\",\"source\":\"ca\",\"place\":\"room 2\",\"signer\":\"alice\"}",
		"       2    -       -       x; a\\nb  from ca  at \"room 2\"  of alice\n", false);
	is_line("{\"sequence\":2,\"event\":\"x\",\"source\":\"person\",\"signer\":\"alice\"}",
		"       2    -       -       x  from person  signed by alice\n", false);
}
END_TEST

START_TEST(for_syslog)
{
	is_line(REFUSED,
		"<108>1 2026-01-02T03:04:05.678Z ca.example/log coffer - A.1.2 [coffer@32473 archive=\"0123\" sequence=\"11\" "
		"event=\"refused\" catalogue=\"A.1.2\" outcome=\"failure\" source=\"coffer\" operation=\"unlink\" "
		"path=\"audit/a b\" error=\"EPERM\" count=\"3\" uid=\"7\" loginUid=\"8\" pid=\"9\" command=\"rm\"] no\n",
		true);
}
END_TEST

/* What would end a value, a line, or begin another message. */
START_TEST(hostile)
{
	is_line("{\"event\":\"refused\",\"severity\":\"alert\",\"time\":\"a b\",\"place\":\"x y\",\"path\":\"a\\\"]\\\\\\n<9>1 \\u0085z\","
		"\"detail\":\"1\\r\\n<0>1 - - \\u001b[2J\",\"reason\":\"\\u00e9\"}",
		"<105>1 - - coffer - refused [coffer@32473 archive=\"0123\" event=\"refused\" path=\"a\\\"\\]\\\\ <9>1  z\"] "
		"\xef\xbb\xbf\xc3\xa9: 1  <0>1 - -  [2J\n",
		true);
}
END_TEST

TCase *event_line_case(void)
{
	TCase *c = tcase_create("event-line");

	tcase_add_test(c, for_people);
	tcase_add_test(c, for_syslog);
	tcase_add_test(c, hostile);
	return c;
}
