/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of log and blame, made from the JSON that the daemon or the store gives. */
#include "test-tools.h"

#include "tools/entry.h"

static void shows(void (*fn)(const struct cof_json *, struct cof_buf *), const char *json,
		  const char *want)
{
	struct cof_json *o = NULL;
	struct cof_buf b = {0};

	ck_assert_msg(cof_json_parse(json, strlen(json), &o) == 0, "%s", json);
	fn(o, &b);
	ck_assert(!b.failed);
	ck_assert_str_eq((char *)b.data, want);
	cof_buf_done(&b);
	cof_json_free(o);
}

#define TIME "\"record_time\":\"2026-01-02T03:04:05.678Z\""

START_TEST(appends)
{
	shows(entry_line,
	      "{\"sequence\":11,\"type\":\"append\",\"object\":9,\"position\":6,\"length\":5," TIME
	      ",\"path\":\"audit/"
	      "a.log\",\"actor\":{\"ordinal\":1,\"uid\":0,\"login_uid\":1000,\"pid\":42,"
	      "\"command\":\"my cmd\"}}",
	      "      11  2026-01-02 03:04:05.678  append audit/a.log +5 at 6  by uid 0 (login "
	      "1000) pid 42 "
	      "\"my cmd\"\n");
}
END_TEST

START_TEST(events)
{
	shows(entry_line,
	      "{\"sequence\":30,\"type\":\"event\"," TIME
	      ",\"event\":\"refused\",\"operation\":\"unlink\","
	      "\"path\":\"audit/a\",\"errno\":\"EPERM\",\"reason\":\"no\",\"detail\":\"rule "
	      "x\",\"count\":12}",
	      "      30  2026-01-02 03:04:05.678  event refused unlink audit/a: EPERM, no (rule "
	      "x), 12 times\n");
	shows(entry_line,
	      "{\"sequence\":31,\"type\":\"event\"," TIME
	      ",\"event\":\"alarm\",\"detail\":\"d\",\"count\":1}",
	      "      31  2026-01-02 03:04:05.678  event alarm: d\n");
}
END_TEST

START_TEST(names_are_escaped)
{
	shows(entry_line,
	      "{\"sequence\":1,\"type\":\"rename\"," TIME
	      ",\"name\":\"a\\u001b[2J\",\"path\":\"b c\"}",
	      "       1  2026-01-02 03:04:05.678  rename a\\x1b[2J -> \"b c\"\n");
	shows(entry_line,
	      "{\"sequence\":1,\"type\":\"create\"," TIME
	      ",\"path\":\"l\",\"kind\":\"symlink\",\"mode\":\"0777\",\"target\":\"\\u202ex\"}",
	      "       1  2026-01-02 03:04:05.678  create l symlink mode 0777 -> \\u{202e}x\n");
	shows(entry_line, "{\"sequence\":1,\"type\":\"\\u009b\",\"record_time\":\"\\u001bT\"}",
	      "       1  \\x1b   \\u{9b}\n");
}
END_TEST

START_TEST(what_is_not_known)
{
	shows(entry_line, "{}", "      -1  -  ?\n");
	shows(entry_line,
	      "{\"sequence\":5,\"type\":\"append\",\"object\":9,\"position\":0,\"length\":1," TIME
	      ",\"actor\":{\"ordinal\":7},\"opaque\":true,\"damaged\":true}",
	      "       5  2026-01-02 03:04:05.678  append inode 9 +1 at 0  by actor 7  [damaged]\n");
	shows(entry_line, "{\"sequence\":6,\"type\":\"hold\"," TIME ",\"opaque\":true}",
	      "       6  2026-01-02 03:04:05.678  hold  [opaque]\n");
	shows(entry_line, "{\"sequence\":\"x\",\"type\":3,\"path\":[],\"actor\":\"y\"}",
	      "      -1  -  ?\n");
}
END_TEST

START_TEST(blame_lines)
{
	struct cof_buf b = {0};
	const char *head, *line;

	blame_head(&b);
	head = (char *)b.data;
	shows(blame_line,
	      "{\"offset\":0,\"length\":11,\"time\":\"2026-01-02T03:04:05.678Z\",\"uid\":0,\"login_"
	      "uid\":1000,"
	      "\"pid\":42,\"command\":\"bash\",\"unit\":\"cron.service\"}",
	      "           0         11  2026-01-02 03:04:05.678      0   1000       42  bash "
	      "(cron.service)\n");
	shows(
	    blame_line,
	    "{\"offset\":11,\"length\":4096,\"hole\":true,\"time\":\"2026-01-02T03:04:05.678Z\","
	    "\"uid\":65534,"
	    "\"pid\":7,\"command\":\"\",\"unit\":\"/\"}",
	    "          11       4096  2026-01-02 03:04:05.678  65534      -        7  (hole)  -\n");
	/* the head stands over its columns */
	line = "           0         11  2026-01-02 03:04:05.678      0   1000       42  bash";
	ck_assert_int_eq(strstr(head, "OFFSET") + 6 - head, strchr(line, '0') + 1 - line);
	ck_assert_int_eq(strstr(head, "TIME") - head, strstr(line, "2026") - line);
	ck_assert_int_eq(strstr(head, "LOGIN") + 5 - head, strstr(line, "1000") + 4 - line);
	ck_assert_int_eq(strstr(head, "COMMAND") - head, strstr(line, "bash") - line);
	cof_buf_done(&b);
}
END_TEST

TCase *entry_case(void)
{
	TCase *t = tcase_create("entry");

	tcase_add_test(t, appends);
	tcase_add_test(t, events);
	tcase_add_test(t, names_are_escaped);
	tcase_add_test(t, what_is_not_known);
	tcase_add_test(t, blame_lines);
	return t;
}
