/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed notes, cosignatures and verifier keys: files made with another implementation come out
 * byte for byte, every flipped bit shows, and what is no note is refused.
 */
#include "test-note.h"

#include <stdio.h>

void make_keys(struct keys *k)
{
	for (int i = 0; i < 32; i++) {
		k->log_seed[i] = (uint8_t)i;
		k->wit_seed[i] = (uint8_t)(32 + i);
	}
	ck_assert_int_eq(cof_ed25519_public(k->log_seed, k->key[0].public_key), 0);
	ck_assert_int_eq(cof_ed25519_public(k->wit_seed, k->key[1].public_key), 0);
	ck_assert_int_eq(cof_vkey_make("coffer.example/log1", COF_NOTE_ED25519,
				       k->key[0].public_key, &k->key[0]),
			 0);
	ck_assert_int_eq(
	    cof_vkey_make("witness.example/w1", COF_NOTE_COSIG, k->key[1].public_key, &k->key[1]),
	    0);
}

/* ---- verifier keys ---- */

#define LOG_VKEY "coffer.example/log1+ee681436+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define WIT_VKEY "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"

START_TEST(vkeys_known)
{
	static const char *const text[] = {
	    LOG_VKEY, WIT_VKEY,
	    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
	    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"};
	char out[COF_VKEY_MAX];
	struct cof_vkey key;
	struct keys k;

	make_keys(&k);
	cof_vkey_text(&k.key[0], out);
	ck_assert_str_eq(out, LOG_VKEY);
	cof_vkey_text(&k.key[1], out);
	ck_assert_str_eq(out, WIT_VKEY);
	for (size_t i = 0; i < COF_COUNT(text); i++) {
		ck_assert_int_eq(cof_vkey_parse(text[i], &key), 0);
		cof_vkey_text(&key, out);
		ck_assert_str_eq(out, text[i]);
	}
}
END_TEST

START_TEST(vkeys_every_bit)
{
	char text[] = LOG_VKEY;
	struct cof_vkey key = {.name = "untouched"};

	for (size_t bit = 0; bit < 8 * (sizeof(text) - 1); bit++) {
		text[bit / 8] ^= (char)(1u << bit % 8);
		must(cof_vkey_parse(text, &key) == -EUCLEAN);
		text[bit / 8] ^= (char)(1u << bit % 8);
	}
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char c = text[n];

		text[n] = 0;
		must(cof_vkey_parse(text, &key) == -EUCLEAN);
		text[n] = c;
	}
	ck_assert_str_eq(key.name, "untouched");
	ck_assert_int_eq(cof_vkey_parse(text, &key), 0);
}
END_TEST

START_TEST(vkeys_refused)
{
	static const char *const bad[] = {
	    "",
	    "+",
	    "++",
	    "a+",
	    "a+00000000",
	    "a+00000000+",
	    "+ee681436+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
	    "coffer.example/log1+EE681436+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
	    LOG_VKEY "\n",
	    LOG_VKEY " ",
	    LOG_VKEY "AAAA",
	    " " LOG_VKEY,
	    "coffer.example/log1 +ee681436+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
	};
	struct cof_vkey key;

	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_vkey_parse(bad[i], &key) == -EUCLEAN, "%s", bad[i]);
}
END_TEST

START_TEST(names)
{
	static const char *const good[] = {"a", "coffer.example/log1",
					   "Pr\xc3\xbc"
					   "fer",
					   "\xf0\x9f\x94\x92", "=:~\"'"};
	static const char *const bad[] = {"",
					  "a b",
					  "a+b",
					  "a\tb",
					  "a\nb",
					  "a\x7f",
					  "a\xc2\x85",
					  "a\xc2\xa0"
					  "b",
					  "a\xe2\x80\xa8",
					  "\xe3\x80\x80",
					  "\xe2\x80\x83",
					  "a\x80",
					  "a\xc3",
					  "\xc0\xaf",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\xe0\x80\xaf",
					  "\xff",
					  "\xf8\x88\x80\x80\x80"};
	uint8_t public_key[32] = {1};
	char name[COF_NOTE_NAME + 1], text[COF_VKEY_MAX];
	struct cof_vkey key, back;

	for (size_t i = 0; i < COF_COUNT(good); i++) {
		ck_assert_int_eq(cof_vkey_make(good[i], COF_NOTE_COSIG, public_key, &key), 0);
		cof_vkey_text(&key, text);
		ck_assert_int_eq(cof_vkey_parse(text, &back), 0);
		ck_assert_str_eq(back.name, good[i]);
	}
	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_vkey_make(bad[i], COF_NOTE_COSIG, public_key, &key) == -EINVAL,
			      "%zu", i);
	memset(name, 'n', sizeof(name));
	name[COF_NOTE_NAME] = 0; /* one too many */
	ck_assert_int_eq(cof_vkey_make(name, COF_NOTE_COSIG, public_key, &key), -EINVAL);
	name[COF_NOTE_NAME - 1] = 0;
	ck_assert_int_eq(cof_vkey_make(name, COF_NOTE_COSIG, public_key, &key), 0);
	cof_vkey_text(&key, text);
	ck_assert_int_eq(cof_vkey_parse(text, &back), 0);
	ck_assert_str_eq(back.name, name);
}
END_TEST

/* ---- notes ---- */

/* From the documentation of Go's package, whose author signed it with a key nobody else has. */
START_TEST(note_of_another)
{
	static const char note[] =
	    "If you think cryptography is the answer to your problem,\n"
	    "then you don't know what your problem is.\n\n"
	    "\xe2\x80\x94 PeterNeumann "
	    "x08go/ZJkuBS9UG/"
	    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnA"
	    "M=\n";
	struct cof_vkey key;
	struct cof_note n;

	ck_assert_int_eq(
	    cof_vkey_parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
			   &key),
	    0);
	ck_assert_int_eq(cof_note_open(note, sizeof(note) - 1, &key, 1, &n), 0);
	ck_assert_uint_eq(n.verified, 1);
	ck_assert_uint_eq(n.time[0], 0);
	ck_assert_ptr_eq(n.text, note);
	ck_assert_uint_eq(n.text_len, strstr(note, "\n\n") + 1 - note);
}
END_TEST

START_TEST(notes_byte_for_byte)
{
	static const char *const files[] = {"checkpoints/size-0.note", "checkpoints/size-1.note",
					    "checkpoints/size-7.note", "checkpoints/size-8.note"};
	static const uint64_t sizes[] = {0, 1, 7, 8};
	struct cof_checkpoint cp;
	struct cof_note n;
	struct keys k;
	char file[1024];

	make_keys(&k);
	for (size_t i = 0; i < COF_COUNT(files); i++) {
		size_t len = load_data(files[i], file, sizeof(file));
		cof_autobuf struct cof_buf made = {0};

		ck_assert_int_eq(cof_note_open(file, len, k.key, 2, &n), 0);
		ck_assert_uint_eq(n.verified, 3);
		ck_assert_uint_eq(n.time[0], 0);
		ck_assert_uint_eq(n.time[1], 1679315147);
		ck_assert_int_eq(cof_checkpoint_open(file, len, &k.key[0], &cp), 0);
		ck_assert_uint_eq(cp.size, sizes[i]);
		ck_assert_int_eq(cof_checkpoint_sign(&cp, &k.key[0], k.log_seed, &made), 0);
		ck_assert_int_eq(cof_note_cosign(&made, &k.key[1], k.wit_seed, 1679315147), 0);
		ck_assert_uint_eq(made.len, len);
		ck_assert_mem_eq(made.data, file, len);
	}
}
END_TEST

START_TEST(every_bit)
{
	struct keys k;
	char note[1024];
	size_t len, second;

	make_keys(&k);
	len = load_data("checkpoints/size-8.note", note, sizeof(note) - 1);
	note[len] = 0;
	second = (size_t)(strstr(note, "\xe2\x80\x94 witness") - note);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		struct cof_note n = {.verified = 0xaa};
		int err;

		note[bit / 8] ^= (char)(1u << bit % 8);
		err = cof_note_open(note, len, k.key, 2, &n);
		/* A name or key id that became another's is ignored: then that key did not sign. */
		must(err ? n.verified == 0xaa : n.verified != 3);
		must(err == 0 || err == -EUCLEAN || err == -EBADMSG || err == -ENOKEY);
		if (bit / 8 < second)
			must(cof_note_open(note, len, k.key, 1, &n) != 0);
		note[bit / 8] ^= (char)(1u << bit % 8);
	}
	for (size_t n = 0; n < len; n++) { /* cut anywhere */
		struct cof_note opened;

		must(cof_note_open(note, n, &k.key[1], 1, &opened) != 0);
	}
}
END_TEST

START_TEST(which_error)
{
	struct keys k;
	struct cof_vkey other;
	struct cof_note n;
	char note[1024];
	size_t len;

	make_keys(&k);
	len = load_data("checkpoints/size-8.note", note, sizeof(note) - 1);
	note[len] = 0;
	ck_assert_int_eq(cof_note_open(note, len, NULL, 0, &n), -ENOKEY);
	ck_assert_int_eq(
	    cof_vkey_make("coffer.example/log2", COF_NOTE_ED25519, k.key[0].public_key, &other), 0);
	ck_assert_int_eq(cof_note_open(note, len, &other, 1, &n), -ENOKEY);
	other = k.key[0]; /* the same name and id, another key: the signature cannot be right */
	other.public_key[0] ^= 1;
	ck_assert_int_eq(cof_note_open(note, len, &other, 1, &n), -EBADMSG);
	other = k.key[0]; /* kinds that are not known never verify anything */
	other.algorithm = 0x06;
	ck_assert_int_eq(cof_note_open(note, len, &other, 1, &n), -ENOKEY);
	note[0] = 'C'; /* a good cosignature does not help where the log's is wrong */
	ck_assert_int_eq(cof_note_open(note, len, k.key, 2, &n), -EBADMSG);
	note[0] = 'c';
	ck_assert_int_eq(cof_note_open(note, len, k.key, 33, &n), -EINVAL);
	note[0] = 'C'; /* what is malformed is called that, also behind a wrong signature */
	note[len - 2] = '!';
	ck_assert_int_eq(cof_note_open(note, len, k.key, 2, &n), -EUCLEAN);
}
END_TEST

#define DASH "\xe2\x80\x94 "
#define SIG DASH "x AAAAAAA=\n" /* of a key nobody knows: five bytes */

START_TEST(malformed)
{
	static const struct {
		const char *note;
		int err;
	} cases[] = {
	    {"", -EUCLEAN},
	    {"text\n", -EUCLEAN},
	    {"text\n\n", -EUCLEAN},
	    {"text\n" SIG, -EUCLEAN},
	    {"text\n\n" DASH "x AAAAAAA=", -EUCLEAN},
	    {"text\n\n" SIG "\n", -EUCLEAN},
	    {"text\n\n" SIG "more\n", -EUCLEAN},
	    {"text\n\n" DASH "x AAAAAA==\n", -EUCLEAN},
	    {"text\n\n" DASH "x AAAAAAA\n", -EUCLEAN},
	    {"text\n\n" DASH "x AAAAAAB=\n", -EUCLEAN},
	    {"text\n\n" DASH "x  AAAAAAA=\n", -EUCLEAN},
	    {"text\n\n" DASH "x AAAAAAA= \n", -EUCLEAN},
	    {"text\n\n" DASH " AAAAAAA=\n", -EUCLEAN},
	    {"text\n\n" DASH "x+y AAAAAAA=\n", -EUCLEAN},
	    {"text\n\n" DASH "x\n", -EUCLEAN},
	    {"text\n\n- x AAAAAAA=\n", -EUCLEAN},
	    {"text\n\n\xe2\x80\x94x AAAAAAA=\n", -EUCLEAN},
	    {"te\txt\n\n" SIG, -EUCLEAN},
	    {"te\rxt\n\n" SIG, -EUCLEAN},
	    {"te\xffxt\n\n" SIG, -EUCLEAN},
	    {"text\n\n" SIG, -ENOKEY},
	    {"two\n\nparts\n\n" SIG, -ENOKEY},
	    {"text\n\n" SIG "\n" SIG, -ENOKEY}, /* a signature line may be part of a text */
	    {"\n\n" SIG, -ENOKEY},
	};
	struct cof_note n;
	struct keys k;

	make_keys(&k);
	for (size_t i = 0; i < COF_COUNT(cases); i++) {
		int err = cof_note_open(cases[i].note, strlen(cases[i].note), k.key, 2, &n);

		ck_assert_msg(err == cases[i].err, "case %zu: %d", i, err);
	}
	ck_assert_int_eq(cof_note_open("te\0xt\n\n" SIG, 7 + strlen(SIG), k.key, 2, &n), -EUCLEAN);
}
END_TEST

/* A note signed by the log, and signature lines of others before and behind its own. */
START_TEST(lines_of_others)
{
	struct keys k;
	struct cof_note n;

	make_keys(&k);
	for (int others = 14; others <= 66; others++) {
		cof_autobuf struct cof_buf note = {0}, own = {0};
		const char *line;

		ck_assert_int_eq(cof_note_sign("t\n", 2, &k.key[0], k.log_seed, &own), 0);
		line = (const char *)own.data + 3;
		cof_buf_printf(&note, "t\n\n");
		for (int i = 0; i < others; i++)
			cof_buf_printf(&note, i == others / 2 ? "%s" SIG : SIG, line);
		ck_assert_int_eq(cof_note_open(note.data, note.len, k.key, 2, &n),
				 others + 1 <= COF_NOTE_SIGS ? 0 : -EUCLEAN);
	}
}
END_TEST

/* Post-quantum signatures of others are some KiB long; what is far beyond is refused. */
START_TEST(long_signatures_of_others)
{
	static const struct {
		size_t n;
		int err;
	} cases[] = {{4, -EUCLEAN}, {5, 0}, {2424, 0}, {8192, 0}, {8193, -EUCLEAN}};
	static uint8_t blob[9000];
	static char text[13000];
	struct cof_note n;
	struct keys k;

	make_keys(&k);
	for (size_t i = 0; i < COF_COUNT(cases); i++) {
		cof_autobuf struct cof_buf note = {0};

		ck_assert_int_eq(cof_note_sign("t\n", 2, &k.key[0], k.log_seed, &note), 0);
		cof_base64(blob, cases[i].n, text);
		cof_buf_printf(&note, DASH "pq %s\n", text);
		ck_assert_int_eq(cof_note_open(note.data, note.len, k.key, 1, &n), cases[i].err);
	}
}
END_TEST

START_TEST(sign_refuses)
{
	static char text[COF_NOTE_TEXT + 2];
	struct cof_note n;
	struct keys k;
	cof_autobuf struct cof_buf out = {0};

	make_keys(&k);
	ck_assert_int_eq(cof_note_sign("", 0, &k.key[0], k.log_seed, &out), -EINVAL);
	ck_assert_int_eq(cof_note_sign("t", 1, &k.key[0], k.log_seed, &out), -EINVAL);
	ck_assert_int_eq(cof_note_sign("a\tb\n", 4, &k.key[0], k.log_seed, &out), -EINVAL);
	ck_assert_int_eq(cof_note_sign("t\n", 2, &k.key[1], k.wit_seed, &out), -EINVAL);
	ck_assert_int_eq(cof_note_sign("t\n", 2, &k.key[0], k.wit_seed, &out), -EINVAL);
	memset(text, 'x', sizeof(text));
	text[COF_NOTE_TEXT] = '\n';
	ck_assert_int_eq(cof_note_sign(text, COF_NOTE_TEXT + 1, &k.key[0], k.log_seed, &out),
			 -EINVAL);
	ck_assert_uint_eq(out.len, 0);

	/* The longest text under the longest name is still a note. */
	memset(k.key[0].name, 'n', COF_NOTE_NAME - 1);
	ck_assert_int_eq(
	    cof_vkey_make(k.key[0].name, COF_NOTE_ED25519, k.key[0].public_key, &k.key[0]), 0);
	text[COF_NOTE_TEXT - 1] = '\n';
	ck_assert_int_eq(cof_note_sign(text, COF_NOTE_TEXT, &k.key[0], k.log_seed, &out), 0);
	ck_assert_uint_le(out.len, COF_NOTE_MAX);
	ck_assert_int_eq(cof_note_open(out.data, out.len, k.key, 1, &n), 0);
	ck_assert_uint_eq(n.text_len, COF_NOTE_TEXT);
}
END_TEST

/* A peer's note as long as it can be, with a cosignature to check: an answer, not an abort. */
START_TEST(longest_cosigned)
{
	static const size_t lengths[] = {
	    COF_NOTE_TEXT - 1, COF_NOTE_TEXT, COF_NOTE_TEXT + 1, 65100, 65300, 65406};
	static uint8_t blob[76];
	struct cof_note n;
	struct keys k;

	make_keys(&k);
	for (size_t j = 0; j < COF_COUNT(lengths); j++) {
		size_t len = lengths[j];
		cof_autobuf struct cof_buf note = {0};
		char sig[105];

		memcpy(blob, k.key[1].id, 4);
		memset(blob + 4, 0xff, 8); /* the longest time */
		cof_base64(blob, sizeof(blob), sig);
		for (size_t i = 0; i + 1 < len; i++)
			cof_buf_add(&note, "x", 1);
		cof_buf_printf(&note, "\n\n" DASH "%s %s\n", k.key[1].name, sig);
		ck_assert_int_eq(cof_note_open(note.data, note.len, &k.key[1], 1, &n),
				 len <= COF_NOTE_TEXT ? -EBADMSG : -EUCLEAN);
	}
}
END_TEST

/* ---- cosignatures ---- */

START_TEST(cosign_twice)
{
	struct cof_checkpoint cp = {.origin = "coffer.example/log1", .size = 5};
	cof_autobuf struct cof_buf note = {0};
	struct cof_note n;
	struct keys k;

	make_keys(&k);
	ck_assert_int_eq(cof_checkpoint_sign(&cp, &k.key[0], k.log_seed, &note), 0);
	ck_assert_int_eq(cof_note_cosign(&note, &k.key[1], k.wit_seed, 2000), 0);
	ck_assert_int_eq(cof_note_cosign(&note, &k.key[1], k.wit_seed, 1000), 0);
	ck_assert_int_eq(cof_note_open(note.data, note.len, k.key, 2, &n), 0);
	ck_assert_uint_eq(n.verified, 3);
	ck_assert_uint_eq(n.time[1], 2000);
	for (int i = 3; i < COF_NOTE_SIGS; i++)
		ck_assert_int_eq(cof_note_cosign(&note, &k.key[1], k.wit_seed, UINT64_MAX), 0);
	ck_assert_int_eq(cof_note_open(note.data, note.len, k.key, 2, &n), 0);
	ck_assert_uint_eq(n.time[1], UINT64_MAX);

	size_t len = note.len;

	ck_assert_int_eq(cof_note_cosign(&note, &k.key[1], k.wit_seed, 1), -E2BIG);
	ck_assert_uint_eq(note.len, len);
}
END_TEST

START_TEST(cosign_refuses)
{
	struct cof_checkpoint cp = {.origin = "coffer.example/log1", .size = 5};
	cof_autobuf struct cof_buf note = {0}, plain = {0}, nothing = {0};
	struct keys k;
	size_t len;

	make_keys(&k);
	ck_assert_int_eq(cof_checkpoint_sign(&cp, &k.key[0], k.log_seed, &note), 0);
	len = note.len;
	ck_assert_int_eq(cof_note_cosign(&note, &k.key[1], k.wit_seed, 0), -EINVAL);
	ck_assert_int_eq(cof_note_cosign(&note, &k.key[0], k.log_seed, 1), -EINVAL);
	ck_assert_int_eq(cof_note_cosign(&note, &k.key[1], k.log_seed, 1), -EINVAL);
	ck_assert_uint_eq(note.len, len);
	ck_assert_int_eq(cof_note_sign("no checkpoint\n", 14, &k.key[0], k.log_seed, &plain), 0);
	ck_assert_int_eq(cof_note_cosign(&plain, &k.key[1], k.wit_seed, 1), -EUCLEAN);
	ck_assert_int_eq(cof_note_cosign(&nothing, &k.key[1], k.wit_seed, 1), -EUCLEAN);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("note");
	TCase *t = crypto_case("vkey");

	tcase_add_test(t, vkeys_known);
	tcase_add_test(t, vkeys_every_bit);
	tcase_add_test(t, vkeys_refused);
	tcase_add_test(t, names);
	suite_add_tcase(s, t);
	t = crypto_case("note");
	tcase_add_test(t, note_of_another);
	tcase_add_test(t, notes_byte_for_byte);
	tcase_add_test(t, every_bit);
	tcase_add_test(t, which_error);
	tcase_add_test(t, malformed);
	tcase_add_test(t, lines_of_others);
	tcase_add_test(t, long_signatures_of_others);
	tcase_add_test(t, sign_refuses);
	tcase_add_test(t, longest_cosigned);
	suite_add_tcase(s, t);
	t = crypto_case("cosign");
	tcase_add_test(t, cosign_twice);
	tcase_add_test(t, cosign_refuses);
	suite_add_tcase(s, t);
	suite_add_tcase(s, checkpoint_case());
	return s;
}
