/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: one text for one tree head, and nothing else is one. Paths of tiles. */
#include "test-note.h"

#include <stdio.h>

#define ORIGIN "coffer.example/log1\n"
#define ROOT "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"

START_TEST(round_trip)
{
	static const uint64_t sizes[] = {0, 1, 9, 10, 4294967296, INT64_MAX};
	struct cof_checkpoint cp = {.origin = "coffer.example/log1"}, back;

	for (size_t i = 0; i < COF_COUNT(sizes); i++) {
		cof_autobuf struct cof_buf text = {0};

		cp.size = sizes[i];
		memset(cp.root, (int)(0xf0 + i), sizeof(cp.root));
		ck_assert_int_eq(cof_checkpoint_text(&cp, &text), 0);
		ck_assert_int_eq(cof_checkpoint_parse((char *)text.data, text.len, &back), 0);
		ck_assert_str_eq(back.origin, cp.origin);
		ck_assert_uint_eq(back.size, cp.size);
		ck_assert_mem_eq(back.root, cp.root, COF_HASH);
	}
}
END_TEST

START_TEST(strict)
{
	static const char *const bad[] = {
	    "",
	    "\n\n\n",
	    ORIGIN,
	    ORIGIN "8\n",
	    ORIGIN "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=",
	    ORIGIN "8\n" ROOT "extension\n",
	    ORIGIN "8\n" ROOT "\n",
	    ORIGIN "\n" ROOT,
	    ORIGIN "08\n" ROOT,
	    ORIGIN "00\n" ROOT,
	    ORIGIN "+8\n" ROOT,
	    ORIGIN "-8\n" ROOT,
	    ORIGIN " 8\n" ROOT,
	    ORIGIN "8 \n" ROOT,
	    ORIGIN "0x8\n" ROOT,
	    ORIGIN "8\r\n" ROOT,
	    ORIGIN "9223372036854775808\n" ROOT,
	    ORIGIN "18446744073709551616\n" ROOT,
	    ORIGIN "99999999999999999999999\n" ROOT,
	    ORIGIN "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg\n",
	    ORIGIN "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyh=\n",
	    ORIGIN "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQw==\n",
	    ORIGIN "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQygA\n",
	    ORIGIN "8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz-Nw7_RgQyg=\n",
	    ORIGIN "8\n\n",
	    "\n8\n" ROOT,
	    "two words\n8\n" ROOT,
	    "a+b\n8\n" ROOT,
	};
	struct cof_checkpoint cp = {.size = 77};
	static const char good[] = ORIGIN "8\n" ROOT;

	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_checkpoint_parse(bad[i], strlen(bad[i]), &cp) == -EUCLEAN,
			      "case %zu", i);
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		must(cof_checkpoint_parse(good, n, &cp) == -EUCLEAN);
	ck_assert_uint_eq(cp.size, 77);
	ck_assert_int_eq(cof_checkpoint_parse(good, sizeof(good) - 1, &cp), 0);
	ck_assert_uint_eq(cp.size, 8);
	ck_assert_int_eq(cof_checkpoint_parse(ORIGIN "9223372036854775807\n" ROOT,
					      strlen(ORIGIN ROOT) + 20, &cp),
			 0);
	ck_assert_uint_eq(cp.size, INT64_MAX);
}
END_TEST

START_TEST(text_refuses)
{
	struct cof_checkpoint cp = {.origin = "coffer.example/log1", .size = UINT64_C(1) << 63};
	cof_autobuf struct cof_buf out = {0};

	ck_assert_int_eq(cof_checkpoint_text(&cp, &out), -EINVAL);
	cp.size = 1;
	strcpy(cp.origin, "two words");
	ck_assert_int_eq(cof_checkpoint_text(&cp, &out), -EINVAL);
	memset(cp.origin, 'o', sizeof(cp.origin)); /* not terminated */
	ck_assert_int_eq(cof_checkpoint_text(&cp, &out), -EINVAL);
	cp.origin[0] = 0;
	ck_assert_int_eq(cof_checkpoint_text(&cp, &out), -EINVAL);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* A log speaks for its own name only, both when it signs and when it is read. */
START_TEST(origin_is_the_key)
{
	static const char text[] = "coffer.example/other\n8\n" ROOT;
	struct cof_checkpoint cp = {.origin = "coffer.example/other", .size = 8},
			      out = {.size = 77};
	cof_autobuf struct cof_buf note = {0};
	struct cof_note opened;
	struct keys k;

	make_keys(&k);
	ck_assert_int_eq(cof_checkpoint_sign(&cp, &k.key[0], k.log_seed, &note), -EINVAL);
	ck_assert_uint_eq(note.len, 0);
	ck_assert_int_eq(cof_note_sign(text, sizeof(text) - 1, &k.key[0], k.log_seed, &note), 0);
	ck_assert_int_eq(cof_note_open(note.data, note.len, &k.key[0], 1, &opened), 0);
	ck_assert_int_eq(cof_checkpoint_open(note.data, note.len, &k.key[0], &out), -EBADMSG);
	ck_assert_int_eq(cof_checkpoint_open(note.data, note.len, &k.key[1], &out), -EINVAL);
	cof_buf_done(&note);
	ck_assert_int_eq(cof_note_sign("no checkpoint\n", 14, &k.key[0], k.log_seed, &note), 0);
	ck_assert_int_eq(cof_checkpoint_open(note.data, note.len, &k.key[0], &out), -EUCLEAN);
	ck_assert_uint_eq(out.size, 77);
}
END_TEST

START_TEST(tile_paths)
{
	static const struct {
		int level;
		uint64_t index;
		unsigned width;
		const char *path;
	} known[] = {
	    {0, 0, 256, "tile/0/000"},
	    {0, 1234067, 256, "tile/0/x001/x234/067"},
	    {0, 273, 112, "tile/0/273.p/112"},
	    {1, 1, 17, "tile/1/001.p/17"},
	    {2, 0, 1, "tile/2/000.p/1"},
	    {-1, 0, 256, "tile/entries/000"},
	    {-1, 1234067, 255, "tile/entries/x001/x234/067.p/255"},
	    {3, 999, 256, "tile/3/999"},
	    {3, 1000, 256, "tile/3/x001/000"},
	    {63, 1000000, 256, "tile/63/x001/x000/000"},
	    {7, UINT64_MAX, 256, "tile/7/x018/x446/x744/x073/x709/x551/615"},
	};
	static const struct {
		int level;
		unsigned width;
	} bad[] = {{-2, 256}, {64, 256}, {0, 0}, {0, 257}, {0, UINT32_MAX}};
	char out[96];

	for (size_t i = 0; i < COF_COUNT(known); i++) {
		size_t n = strlen(known[i].path);

		ck_assert_int_eq(
		    cof_tile_path(known[i].level, known[i].index, known[i].width, out, n + 1), 0);
		ck_assert_str_eq(out, known[i].path);
		ck_assert_int_eq(
		    cof_tile_path(known[i].level, known[i].index, known[i].width, out, n),
		    -ENAMETOOLONG);
	}
	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_int_eq(cof_tile_path(bad[i].level, 0, bad[i].width, out, sizeof(out)),
				 -EINVAL);
}
END_TEST

TCase *checkpoint_case(void)
{
	TCase *t = crypto_case("checkpoint");

	tcase_add_test(t, round_trip);
	tcase_add_test(t, strict);
	tcase_add_test(t, text_refuses);
	tcase_add_test(t, origin_is_the_key);
	tcase_add_test(t, tile_paths);
	return t;
}
