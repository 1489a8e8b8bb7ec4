/* SPDX-License-Identifier: Apache-2.0 */
/* What a vault says of itself: older ones less, later ones more. */
#include "tests/unit/tools/test-tools.h"
#include "tools/vaults.h"

static void setup(void)
{
	ck_assert_int_eq(cof_crypto_init(65536, NULL), 0);
}

static void vkey_line(char ret[COF_VKEY_MAX])
{
	uint8_t seed[32] = {7}, pub[32];
	struct cof_vkey key;

	ck_assert_int_eq(cof_ed25519_public(seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("vault.example/b", COF_NOTE_COSIG, pub, &key), 0);
	cof_vkey_text(&key, ret);
}

static void recipient_line(struct cof_buf *ret)
{
	uint8_t seed[32] = {7};
	struct vault_place v = {.seed = seed};
	uint8_t pub[32];

	ck_assert_int_eq(cof_ed25519_public(seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("vault.example/b", COF_NOTE_COSIG, pub, &v.vkey), 0);
	ck_assert_int_eq(vault_recipient_line(&v, ret), 0);
}

static const struct about {
	bool recipient;
	const char *more; /* behind that */
	int r;
	unsigned grade;
	const char *scrubbed;
} abouts[] = {
    {false, "", 0, 0, ""},
    {true, "", 0, 0, ""},
    {true, "grade: 3\n", 0, 3, ""},
    {true, "grade: 4\nscrubbed: 2026-11-27T02:00:00.000Z intact\n", 0, 4, "2026-11-27T02:00:00.000Z intact"},
    {true, "scrubbed: 2026-11-27T02:00:00.000Z unsealed tail\n", 0, 0, "2026-11-27T02:00:00.000Z unsealed tail"},
    {true, "colour: blue; \"and more\"\ngrade: 1\n", 0, 1, ""}, /* a later version's */
    {true, "grade: 0\n", -EUCLEAN, 0, ""},
    {true, "grade: 5\n", -EUCLEAN, 0, ""},
    {true, "grade: 3 or so\n", -EUCLEAN, 0, ""},
    {true, "grade: 3", -EUCLEAN, 0, ""},
    {true, "grade\n", -EUCLEAN, 0, ""},
    {true, "scrubbed: yesterday intact\n", -EUCLEAN, 0, ""},
    {true, "scrubbed: 2026-11-27T02:00:00.000Z\n", -EUCLEAN, 0, ""},
    {true, "scrubbed: 2026-11-27T02:00:00.000Z \033[31mintact\n", -EUCLEAN, 0, ""},
    {false, "grade: 3\n", -EUCLEAN, 0, ""},
};

START_TEST(about_is_read)
{
	const struct about *a = &abouts[_i];
	cof_autobuf struct cof_buf text = {0};
	struct vault_entry e = {.grade = 9};
	char vkey[COF_VKEY_MAX];

	vkey_line(vkey);
	cof_buf_printf(&text, "%s\n22.62,120.30,Kaohsiung\nTW\n", vkey);
	if (a->recipient)
		recipient_line(&text);
	cof_buf_printf(&text, "%s", a->more);
	ck_assert_msg(vault_about_read((const char *)text.data, &e) == a->r, "%d", _i);
	if (a->r < 0)
		return;
	ck_assert_str_eq(e.jurisdiction, "TW");
	ck_assert_int_eq(*e.recipient != 0, a->recipient);
	ck_assert_uint_eq(e.grade, a->grade);
	ck_assert_str_eq(e.scrubbed, a->scrubbed);
}
END_TEST

TCase *about_case(void)
{
	TCase *t = tcase_create("about");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, about_is_read, 0, (int)COF_COUNT(abouts));
	return t;
}
