/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leak guard in the write path: state across writes, remounts, evictions, holes and times without it; what is
 * refused leaves nothing; large writes, with and without somebody to help; writes sent again; a flood.
 */
#include <stdio.h>

#include "crypto/leaves.h"
#include "entries.h"
#include "fs/archive/leak.h"

static const char wif[] = "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn"; /* the key of 1 */
#define WIF (sizeof(wif) - 1)

static struct store s;
static uint64_t file;

static void guard(const char *mode)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "leak_guard = %s\n", mode);
	struct cof_op op = {.kind = COF_OP_SHELF_SET, .ino = AUDIT, .data = text, .length = (uint64_t)n};

	ck_assert_int_eq(do_op(&s, &root_user, op), 0);
}

static void setup(void)
{
	store_make(&s, STORE_SIM);
	file = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
}

static void teardown(void)
{
	store_done(&s);
}

static void remount(void)
{
	store_close(&s);
	store_open(&s);
}

/* Events with this in their detail, and that none says anything of the key. */
static unsigned count(const char *event, const char *field, const char *text)
{
	struct cof_json *list = entries_of(&s, "event");
	unsigned n = 0;

	for (size_t i = 0; i < cof_json_count(list); i++) {
		struct cof_json *e = cof_json_at(list, i);
		const char *is = cof_json_str(e, "event"), *said = cof_json_str(e, field);

		n += is && !strcmp(is, event) && said && strstr(said, text);
		ck_assert(!strstr(cof_json_text(e, false), "BgGbjEhK"));
	}
	cof_json_free(list);
	return n;
}

static unsigned leaks(const char *text)
{
	return count("leak", "detail", text);
}

static uint64_t size_of(uint64_t ino)
{
	struct cof_attr attr;

	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	return attr.size;
}

static void write_bytes(uint64_t ino, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		must_write(&s, ino, size_of(ino), p + i, 1);
}

/* What may happen between two parts of a key. */
static void nothing(void)
{
}

static void evict(void)
{
	for (unsigned i = 0; i < 1500; i++) {
		char name[16];

		snprintf(name, sizeof(name), "e%u", i);
		must_write(&s, must_create(&s, AUDIT, name, COF_KIND_FILE), 0, "x", 1);
	}
}

static void without(void) /* a byte that the guard does not see */
{
	ck_assert_int_eq(s.archive->leaks != NULL, 1);
	cof_leaks_free(s.archive->leaks);
	ck_assert_int_eq(cof_leaks_new(&s.archive->leaks), 0);
}

static const struct {
	void (*run)(void);
	const char *name;
} between[] = {{nothing, "nothing"}, {remount, "a remount"}, {evict, "an eviction"}, {without, "a fresh table"}};

START_TEST(reported_across)
{
	guard("report");
	must_write(&s, file, 0, "a line\n", 7);
	write_bytes(file, wif, 30);
	between[_i].run();
	ck_assert_uint_eq(leaks(""), 0);
	write_bytes(file, wif + 30, WIF - 30);
	ck_assert_msg(leaks("wif, 52 bytes at offset 7") == 1, "%s", between[_i].name);
	must_write(&s, file, 7 + WIF, "\n", 1); /* said once */
	ck_assert_uint_eq(leaks(""), 1);
	remount();
	must_write(&s, file, 8 + WIF, "next\n", 5);
	ck_assert_uint_eq(leaks(""), 1);
}
END_TEST

START_TEST(refused_across)
{
	struct cof_json *o = cof_json_object();

	guard("refuse");
	write_bytes(file, wif, WIF - 1);
	between[_i].run();
	ck_assert_int_eq(do_write(&s, file, WIF - 1, wif + WIF - 1, 1), -EPERM);
	ck_assert_int_eq(do_write(&s, file, WIF - 1, wif + WIF - 1, 1), -EPERM); /* it does not go away */
	ck_assert_uint_eq(size_of(file), WIF - 1);
	ck_assert_uint_eq(leaks("of which 51 were appended before the rest was refused"), 2);
	ck_assert_uint_eq(count("refused", "detail", "leak-guard wif"), 1);
	must_write(&s, file, WIF - 1, "?", 1); /* now it is none */
	must_write(&s, file, WIF, "n\n", 2);
	cof_leaks_status(s.archive->leaks, o);
	ck_assert_ptr_nonnull(strstr(cof_json_text(o, false), "\"refused\":2"));
	cof_json_free(o);
}
END_TEST

/* Of each size nothing is left of what is refused; sealed with help, without, and in several frames. */
static const size_t sizes[] = {60, 8000, 65536, 131072, 1000000, 1048576, 1300000};

START_TEST(refused_whole)
{
	size_t n = sizes[_i];
	char *data = malloc(n);
	uint64_t before;

	guard("refuse");
	for (int help = 0; help < 2; help++) {
		if (help)
			ck_assert_int_eq(cof_leaves_new(2, &s.archive->leaves), 0);
		for (size_t at = 0; at <= n - WIF; at += COF_MAX((n - WIF) / 3, (size_t)1)) {
			memset(data, ' ', n);
			memcpy(data + at, wif, WIF);
			before = s.archive->size;
			ck_assert_int_eq(do_write(&s, file, 0, data, n), -EPERM);
			ck_assert_uint_eq(size_of(file), 0);
			/* an actor, events: no APPEND */
			ck_assert_uint_le(s.archive->size, before + 2);
		}
	}
	memset(data, ' ', n);
	must_write(&s, file, 0, data, n);
	must_hold(&s, file, data, n);
	free(data);
}
END_TEST

START_TEST(reported_large)
{
	size_t n = sizes[_i];
	char *data = malloc(n), text[64];

	guard("report");
	if (n % 2 == 0)
		ck_assert_int_eq(cof_leaves_new(2, &s.archive->leaves), 0);
	for (unsigned i = 0; i < 3; i++) {
		size_t at = (n - WIF) * i / 2;

		memset(data, ' ', n);
		memcpy(data + at, wif, WIF);
		must_write(&s, file, i * n, data, n);
		snprintf(text, sizeof(text), "wif, 52 bytes at offset %zu", i * n + at);
		ck_assert_uint_eq(leaks(text), 1);
	}
	ck_assert_uint_eq(leaks(""), 3);
	free(data);
}
END_TEST

/* A hole ends what was open, and is not made where what follows is refused. */
START_TEST(holes)
{
	guard("refuse");
	write_bytes(file, wif, 30);
	must_write(&s, file, 40, wif + 30, WIF - 30);
	ck_assert_int_eq(do_write(&s, file, 100, wif, WIF), -EPERM);
	ck_assert_uint_eq(size_of(file), 40 + WIF - 30);
	must_write(&s, file, 5000, wif, 20);
	ck_assert_int_eq(do_write(&s, file, 5020, wif + 20, WIF - 20), -EPERM);
	ck_assert_uint_eq(leaks("wif, 52 bytes at offset 5000, of which 20"), 1);
}
END_TEST

/* Of a write that is sent again only what is missing is new, and is judged behind what is there. */
START_TEST(sent_again)
{
	struct cof_op op = {.kind = COF_OP_WRITE, .ino = file, .data = wif, .length = WIF, .resent = true};

	guard("report");
	must_write(&s, file, 0, wif, 30);
	ck_assert_int_eq(do_op(&s, &alice, op), 0);
	ck_assert_uint_eq(size_of(file), WIF);
	ck_assert_uint_eq(leaks("wif, 52 bytes at offset 0"), 1);
	ck_assert_int_eq(do_op(&s, &alice, op), 0);
	ck_assert_uint_eq(leaks(""), 1);
}
END_TEST

/* Off, then on again: what was appended meanwhile is the beginning of what follows. */
START_TEST(turned_on)
{
	write_bytes(file, wif, 30);
	guard("report");
	write_bytes(file, wif + 30, WIF - 30);
	ck_assert_uint_eq(leaks("wif, 52 bytes at offset 0"), 1);
}
END_TEST

Suite *suite(void);
int main(void)
{
	Suite *suite = suite_create("archive-leak");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("leak");
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, reported_across, 0, COF_COUNT(between));
	tcase_add_loop_test(c, refused_across, 0, COF_COUNT(between));
	tcase_add_loop_test(c, refused_whole, 0, COF_COUNT(sizes));
	tcase_add_loop_test(c, reported_large, 0, COF_COUNT(sizes));
	tcase_add_test(c, holes);
	tcase_add_test(c, sent_again);
	tcase_add_test(c, turned_on);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
