/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping: what reaches the terminal cannot steer it, and what is said can be told apart. */
#include "test-tools.h"

#include "tools/coffer.h"
#include "tools/init.h"
#include "tools/output.h"

#include <stdio.h>

static void becomes(char *(*fn)(const char *), const char *in, const char *want)
{
	char *out = fn(in);

	ck_assert_ptr_nonnull(out);
	ck_assert_str_eq(out, want);
	free(out);
}

START_TEST(plain_text_stays)
{
	becomes(escaped, "", "");
	becomes(escaped, "audit/a.log", "audit/a.log");
	becomes(escaped,
		"gr\xc3\xb6\xc3\x9f"
		"e \xe2\x82\xac \xf0\x9f\x94\x91",
		"gr\xc3\xb6\xc3\x9f"
		"e \xe2\x82\xac \xf0\x9f\x94\x91");
}
END_TEST

START_TEST(controls_are_escaped)
{
	becomes(escaped, "a\nb\tc\rd", "a\\nb\\tc\\x0dd");
	becomes(escaped, "\033[31m\x7f\x01", "\\x1b[31m\\x7f\\x01");
	becomes(escaped, "back\\slash", "back\\\\slash");
	becomes(escaped,
		"\xc2\x9b"
		"2J",
		"\\u{9b}2J"); /* C1: one byte of an escape sequence */
	becomes(escaped,
		"\xe2\x80\xae"
		"gpj",
		"\\u{202e}gpj"); /* turns the text around */
	becomes(escaped, "\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c", "\\u{2066}\\u{2069}\\u{61c}");
	becomes(escaped, "\xef\xbb\xbf\xe2\x80\x8b\xe2\x80\xa8", "\\u{feff}\\u{200b}\\u{2028}");
	becomes(escaped, "\xf3\xa0\x81\x81", "\\u{e0041}"); /* a tag: invisible */
}
END_TEST

START_TEST(bytes_that_are_no_utf8)
{
	becomes(escaped, "\xff\xfe", "\\xff\\xfe");
	becomes(escaped, "\xc3", "\\xc3"); /* cut off */
	becomes(escaped, "\xe2\x82", "\\xe2\\x82");
	becomes(escaped, "\xc0\xaf", "\\xc0\\xaf"); /* overlong */
	becomes(escaped, "\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	becomes(escaped, "\xed\xa0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
	becomes(escaped, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	becomes(escaped,
		"\x9b"
		"x",
		"\\x9bx");
}
END_TEST

static void disarm(FILE *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_disarmed(f, fmt, ap);
	va_end(ap);
}

/* The last of what a message goes through: a peer's text that nobody escaped steers nothing, and what was escaped stays. */
START_TEST(a_message_steers_nothing)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	disarm(f, "vault %s: %s\n", "b", "\x1b[2J\r\x7f \xc2\x9b \xff \\x1b C:\\ \xe6\xad\xb7");
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_str_eq(text, "vault b: \\x1b[2J\\x0d\\x7f \\u{9b} \\xff \\x1b C:\\ \xe6\xad\xb7\n");
	free(text);
}
END_TEST

START_TEST(words)
{
	becomes(escaped_word, "a.log", "a.log");
	becomes(escaped_word, "", "\"\"");
	becomes(escaped_word, "two words", "\"two words\"");
	becomes(escaped_word, "say \"hi\"", "\"say \\\"hi\\\"\"");
	becomes(escaped_word, "a\nb", "a\\nb");
	becomes(escaped_word, "\" \\", "\"\\\" \\\\\"");
}
END_TEST

START_TEST(paths_for_shell_and_fstab)
{
	becomes(shell_word, "/srv/store", "/srv/store");
	becomes(shell_word, "/srv/my store", "'/srv/my store'");
	becomes(shell_word, "it's;rm", "'it'\\''s;rm'");
	becomes(shell_word, "$HOME", "'$HOME'");
	becomes(shell_word, "", "''");
	becomes(fstab_word, "/srv/store", "/srv/store");
	becomes(fstab_word, "/a b\tc\\d#", "/a\\040b\\011c\\134d\\043");
}
END_TEST

static char *wrapped(const char *text, int column, int indent, int width)
{
	struct cof_buf b = {0};

	wrap(&b, text, column, indent, width);
	ck_assert(!b.failed);
	return (char *)b.data;
}

START_TEST(wrapping)
{
	char *s = wrapped("one two three four", 0, 0, 9);

	ck_assert_str_eq(s, "one two\nthree\nfour\n");
	free(s);
	s = wrapped("one two three", 2, 4, 11); /* the first line begins behind something */
	ck_assert_str_eq(s, "  one two\n    three\n");
	free(s);
	s = wrapped("a longwordthatdoesnotfit b", 0, 0, 6);
	ck_assert_str_eq(s, "a\nlongwordthatdoesnotfit\nb\n");
	free(s);
	s = wrapped("text\n  kept   as it is, however long\nand on", 0, 0, 10);
	ck_assert_str_eq(s, "text\n  kept   as it is, however long\nand on\n");
	free(s);
	s = wrapped("a\n\nb", 0, 0, 10);
	ck_assert_str_eq(s, "a\n\nb\n");
	free(s);
}
END_TEST

/* What print_json writes, through a file in place of standard output. */
static char *printed(struct cof_json *j)
{
	FILE *f = tmpfile();
	int saved = dup(STDOUT_FILENO);
	char *out = calloc(1, 4096);
	size_t n;

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(out);
	fflush(stdout);
	ck_assert_int_ge(dup2(fileno(f), STDOUT_FILENO), 0);
	ck_assert_int_eq(print_json(j, false), 0);
	ck_assert_int_eq(fflush(stdout), 0);
	ck_assert_int_ge(dup2(saved, STDOUT_FILENO), 0);
	close(saved);
	rewind(f);
	n = fread(out, 1, 4095, f);
	ck_assert_uint_gt(n, 0);
	fclose(f);
	return out;
}

START_TEST(json_is_safe_and_the_same)
{
	static const char text[] = "a\033[2J\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81 \xc3\xb6 \\ \"";
	struct cof_json *j = cof_json_object(), *back = NULL;
	char *out;

	cof_json_set_str(j, "name", text);
	out = printed(j);
	ck_assert_str_eq(
	    out, "{\"name\":\"a\\u001b[2J\\u009b\\u202e\\udb40\\udc41 \xc3\xb6 \\\\ \\\"\"}\n");
	ck_assert_int_eq(cof_json_parse(out, strlen(out) - 1, &back), 0);
	ck_assert_str_eq(cof_json_str(back, "name"), text);
	cof_json_free(back);
	cof_json_free(j);
	free(out);
}
END_TEST

START_TEST(origins)
{
	char *s = default_origin("logs.example", "/srv/store");

	ck_assert_str_eq(s, "logs.example/store");
	free(s);
	s = default_origin("", "/srv/my store+1");
	ck_assert_str_eq(s, "localhost/my-store-1");
	free(s);
	s = default_origin("h", "/");
	ck_assert_str_eq(s, "h/archive");
	free(s);
}
END_TEST

TCase *output_case(void)
{
	TCase *t = tcase_create("output");

	tcase_add_test(t, plain_text_stays);
	tcase_add_test(t, controls_are_escaped);
	tcase_add_test(t, bytes_that_are_no_utf8);
	tcase_add_test(t, a_message_steers_nothing);
	tcase_add_test(t, words);
	tcase_add_test(t, paths_for_shell_and_fstab);
	tcase_add_test(t, wrapping);
	tcase_add_test(t, json_is_safe_and_the_same);
	tcase_add_test(t, origins);
	return t;
}
