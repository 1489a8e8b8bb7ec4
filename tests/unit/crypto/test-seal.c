/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Openers and sealed boxes: blobs made by another implementation open, every flipped byte is
 * refused, and costs are checked before they are spent.
 */
#include "test-crypto.h"

#include <stdio.h>

#include "crypto/seal.h"

#define GENERATION UINT64_C(0x0102030405060708)

static uint8_t archive[16], root[COF_KEY], file_key[64], box_key[COF_KEY];
static const struct cof_argon2_cost cheap = {64, 2, 2};
static const char phrase[] = "correct horse";

static struct cof_opener_secret by_phrase = {COF_OPENER_PASSPHRASE, phrase, sizeof(phrase) - 1};
static struct cof_opener_secret by_file = {COF_OPENER_FILE, file_key, sizeof(file_key)};

static void fixture(void)
{
	for (size_t i = 0; i < sizeof(archive); i++)
		archive[i] = (uint8_t)(0x40 + i);
	for (size_t i = 0; i < sizeof(file_key); i++)
		file_key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(box_key); i++)
		box_key[i] = (uint8_t)i;
	memset(root, 0x22, sizeof(root));
}

/* ---- openers ---- */

static const char file_blob[] =
    "434f465345414c3102010000000000000000000000000000404142434445464748494a4b4c4d4e4f"
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7fa0a1a2a3a4a5a6a7"
    "a8a9aaab94db73b4f82319f302e7fd14fcf8b107329bf183a040182b2396d1a576267257bfc51c67"
    "121d36fa4b1c5576390082260807060504030201b0b1b2b3b4b5b6b7b8b9babba06f8fa123a00d0a"
    "74fc1b1c4678f6c0a0a70f8b28bebab141d1693bfe831d84071bdfbbb253f4cffb1f839dac2e1cc5";
static const char phrase_blob[] =
    "434f465345414c3101010000400000000200000002000000404142434445464748494a4b4c4d4e4f"
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7fa0a1a2a3a4a5a6a7"
    "a8a9aaab4f8ac730aaec74edcec1e9920fe7eb93e2ec7351b6d6b8e2a87689518513bb16a2543d2f"
    "ecdfef02867ed4e9f57bf7a80807060504030201b0b1b2b3b4b5b6b7b8b9babba06f8fa123a00d0a"
    "74fc1b1c4678f6c0a0a70f8b28bebab141d1693bfe831d8449fb4aef1fc12d31659c3fede1442103";

/* Opens, and gives the code; the outputs must be right, or untouched. */
static int try_open(const struct cof_opener_secret *s, const uint8_t *blob, size_t len)
{
	uint8_t got[COF_KEY] = {0x77};
	struct cof_diag d = {""};
	uint64_t generation = 77;
	int err = cof_seal_open(s, archive, blob, len, got, &generation, &d);

	if (err == 0) {
		must(memcmp(got, root, COF_KEY) == 0);
		must(generation == GENERATION);
	} else {
		must(got[0] == 0x77 && generation == 77);
		must(d.text[0] != 0);
	}
	return err;
}

START_TEST(seals_of_another)
{
	uint8_t blob[COF_SEAL_SIZE];
	enum cof_opener_kind kind;

	ck_assert_uint_eq(from_hex(file_blob, blob, sizeof(blob)), COF_SEAL_SIZE);
	ck_assert_int_eq(cof_seal_kind(blob, sizeof(blob), &kind), 0);
	ck_assert_int_eq(kind, COF_OPENER_FILE);
	ck_assert_int_eq(try_open(&by_file, blob, sizeof(blob)), 0);
	ck_assert_int_eq(try_open(&by_phrase, blob, sizeof(blob)), -EINVAL);
	ck_assert_uint_eq(from_hex(phrase_blob, blob, sizeof(blob)), COF_SEAL_SIZE);
	ck_assert_int_eq(cof_seal_kind(blob, sizeof(blob), &kind), 0);
	ck_assert_int_eq(kind, COF_OPENER_PASSPHRASE);
	ck_assert_int_eq(try_open(&by_phrase, blob, sizeof(blob)), 0);
	ck_assert_int_eq(try_open(&by_file, blob, sizeof(blob)), -EINVAL);
}
END_TEST

/* Where in the blob a change shows, and as what. */
static int code_at(size_t at)
{
	if (at < 12)
		return -EUCLEAN; /* magic, kind, version, zero */
	if (at >= 24 && at < 40)
		return -EXDEV;
	return -EKEYREJECTED;
}

START_TEST(file_every_bit)
{
	uint8_t blob[COF_SEAL_SIZE];

	from_hex(file_blob, blob, sizeof(blob));
	for (size_t bit = 0; bit < 8 * sizeof(blob); bit++) {
		size_t at = bit / 8;
		/* no costs with a file; kind 2 with a bit more or less is kind 3, 0, 6 … */
		int want = at >= 12 && at < 24 ? -EUCLEAN : code_at(at);

		blob[at] ^= (uint8_t)(1u << bit % 8);
		must(try_open(&by_file, blob, sizeof(blob)) == want);
		blob[at] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < sizeof(blob); n++)
		must(try_open(&by_file, blob, n) == -EUCLEAN);
	must(try_open(&by_file, blob, sizeof(blob)) == 0);
	file_key[63] ^= 1;
	must(try_open(&by_file, blob, sizeof(blob)) == -EKEYREJECTED);
	file_key[63] ^= 1;
	by_file.len = 63;
	must(try_open(&by_file, blob, sizeof(blob)) == -EKEYREJECTED);
	by_file.len = 31;
	must(try_open(&by_file, blob, sizeof(blob)) == -EINVAL);
}
END_TEST

START_TEST(phrase_every_byte)
{
	uint8_t blob[COF_SEAL_SIZE];

	from_hex(phrase_blob, blob, sizeof(blob));
	for (size_t at = 0; at < sizeof(blob); at++) {
		int err;

		if (at == 13 || at == 14)
			continue; /* more memory, within bounds: allowed, and not for a unit test */
		blob[at] ^= 1;
		err = try_open(&by_phrase, blob, sizeof(blob));
		if (at == 8)
			must(err == -EUCLEAN); /* kind 0 */
		else if (at >= 12 && at < 24)
			must(err == -EKEYREJECTED || err == -EUCLEAN);
		else
			must(err == code_at(at));
		blob[at] ^= 1;
	}
	must(try_open(&by_phrase, blob, sizeof(blob)) == 0);
	by_phrase.len--;
	must(try_open(&by_phrase, blob, sizeof(blob)) == -EKEYREJECTED);
}
END_TEST

/* A kind cannot be changed into another, whatever the costs say. */
START_TEST(kinds_are_bound)
{
	struct cof_opener_secret phrase_of_file = {COF_OPENER_PASSPHRASE, file_key, 64};
	uint8_t blob[COF_SEAL_SIZE];
	enum cof_opener_kind kind = COF_OPENER_FILE;

	from_hex(file_blob, blob, sizeof(blob));
	blob[8] = COF_OPENER_PASSPHRASE;
	must(try_open(&phrase_of_file, blob, sizeof(blob)) == -EUCLEAN);
	cof_put_le32(blob + 12, 8);
	cof_put_le32(blob + 16, 1);
	cof_put_le32(blob + 20, 1);
	must(try_open(&phrase_of_file, blob, sizeof(blob)) == -EKEYREJECTED);
	blob[8] = COF_OPENER_TPM2;
	must(try_open(&phrase_of_file, blob, sizeof(blob)) == -EUCLEAN);
	must(cof_seal_kind(blob, sizeof(blob), &kind) == -EUCLEAN);
	must(kind == COF_OPENER_FILE);
	ck_assert_str_eq(cof_opener_name(COF_OPENER_PASSPHRASE), "passphrase");
	ck_assert_str_eq(cof_opener_name(COF_OPENER_FILE), "file");
	ck_assert_str_eq(cof_opener_name(COF_OPENER_TPM2), "tpm2");
	ck_assert_ptr_null(cof_opener_name((enum cof_opener_kind)9));
	ck_assert(cof_opener_is_weak(COF_OPENER_FILE));
	ck_assert(!cof_opener_is_weak(COF_OPENER_PASSPHRASE));
}
END_TEST

static const struct cof_argon2_cost costly[] = {
    {(4u << 20) + 1, 3, 4}, {UINT32_MAX, 3, 4},          {64, 65, 2}, {64, UINT32_MAX, 2},
    {1u << 20, 1, 65},      {UINT32_MAX, 1, UINT32_MAX}, {15, 1, 2},  {7, 1, 1},
    {8, 1, 0x20000000}};

/* Nobody waits an hour, or loses 4 GiB of memory, for a file that somebody altered. */
START_TEST(cost_bounds)
{
	uint8_t blob[COF_SEAL_SIZE], made[COF_SEAL_SIZE] = {0x77}, wrap[COF_KEY] = {0x77};
	static const struct cof_argon2_cost none[] = {{0, 2, 2}, {64, 0, 2}, {64, 2, 0}};

	from_hex(phrase_blob, blob, sizeof(blob));
	for (size_t i = 0; i < COF_COUNT(costly) + COF_COUNT(none); i++) {
		const struct cof_argon2_cost *c =
		    i < COF_COUNT(costly) ? &costly[i] : &none[i - COF_COUNT(costly)];
		enum cof_opener_kind kind;

		cof_put_le32(blob + 12, c->memory_kib);
		cof_put_le32(blob + 16, c->passes);
		cof_put_le32(blob + 20, c->lanes);
		must(try_open(&by_phrase, blob, sizeof(blob)) == -EUCLEAN);
		must(cof_seal_kind(blob, sizeof(blob), &kind) == -EUCLEAN);
		if (i < COF_COUNT(costly))
			must(cof_seal_make(&by_phrase, archive, c, root, 1, made, wrap) == -EINVAL);
	}
	ck_assert_uint_eq(made[0], 0x77);
	ck_assert_uint_eq(wrap[0], 0x77);
}
END_TEST

/* What seal/ holds must open again, be new each time, and its wrap key must open the second half.
 */
START_TEST(make_and_open)
{
	const struct cof_opener_secret *secrets[] = {&by_phrase, &by_file};
	static const size_t parts[] = {40, 72, 84, 140, 152}; /* salt, nonces, sealed */

	for (size_t i = 0; i < 2; i++) {
		uint8_t a[COF_SEAL_SIZE], b[COF_SEAL_SIZE], wrap_a[COF_KEY], wrap_b[COF_KEY],
		    ad[80], got[COF_KEY];
		cof_autoaead struct cof_aead *aead = NULL;

		ck_assert_int_eq(
		    cof_seal_make(secrets[i], archive, &cheap, root, GENERATION, a, wrap_a), 0);
		ck_assert_int_eq(
		    cof_seal_make(secrets[i], archive, &cheap, root, GENERATION, b, wrap_b), 0);
		ck_assert_int_eq(try_open(secrets[i], a, sizeof(a)), 0);
		ck_assert_int_eq(try_open(secrets[i], b, sizeof(b)), 0);
		for (size_t k = 0; k < COF_COUNT(parts); k++)
			ck_assert_mem_ne(a + parts[k], b + parts[k], 12);
		ck_assert_mem_ne(wrap_a, wrap_b, COF_KEY);
		memcpy(ad, a, 72);
		memcpy(ad + 72, a + 132, 8);
		ck_assert_int_eq(cof_aead_new(wrap_a, &aead), 0);
		ck_assert_int_eq(
		    cof_aead_open(aead, a + 140, ad, sizeof(ad), a + 152, COF_KEY, got), 0);
		ck_assert_mem_eq(got, root, COF_KEY);
		/* neither half of one seal fits another */
		memcpy(a + 132, b + 132, COF_SEAL_SIZE - 132);
		ck_assert_int_eq(try_open(secrets[i], a, sizeof(a)), -EKEYREJECTED);
	}
}
END_TEST

START_TEST(make_refuses)
{
	static uint8_t bytes[5000];
	static const struct {
		enum cof_opener_kind kind;
		size_t len;
		int err;
	} cases[] = {{COF_OPENER_PASSPHRASE, 0, -EINVAL}, {COF_OPENER_PASSPHRASE, 1, 0},
		     {COF_OPENER_PASSPHRASE, 1024, 0},    {COF_OPENER_PASSPHRASE, 1025, -EINVAL},
		     {COF_OPENER_FILE, 31, -EINVAL},      {COF_OPENER_FILE, 32, 0},
		     {COF_OPENER_FILE, 4096, 0},          {COF_OPENER_FILE, 4097, -EINVAL},
		     {COF_OPENER_TPM2, 64, -EINVAL},      {(enum cof_opener_kind)0, 64, -EINVAL}};
	uint8_t blob[COF_SEAL_SIZE], wrap[COF_KEY];

	for (size_t i = 0; i < COF_COUNT(cases); i++) {
		const struct cof_opener_secret s = {cases[i].kind, bytes, cases[i].len};

		ck_assert_int_eq(cof_seal_make(&s, archive, &cheap, root, GENERATION, blob, wrap),
				 cases[i].err);
		if (!cases[i].err)
			ck_assert_int_eq(try_open(&s, blob, sizeof(blob)), 0);
	}
	/* costs that are left out are the defaults, and stand in the blob */
	by_file.len = 64;
	ck_assert_int_eq(cof_seal_make(&by_file, archive, NULL, root, 1, blob, wrap), 0);
	ck_assert_uint_eq(cof_get_le32(blob + 12), 0);
	ck_assert_int_eq(cof_seal_make(&by_phrase, archive, &(struct cof_argon2_cost){64, 0, 2},
				       root, 1, blob, wrap),
			 0);
	ck_assert_uint_eq(cof_get_le32(blob + 12), 64);
	ck_assert_uint_eq(cof_get_le32(blob + 16), 3);
	ck_assert_uint_eq(cof_get_le32(blob + 20), 2);
}
END_TEST

/* ---- boxes ---- */

static const char known_box[] =
    "434f464b45595331030100000b000000404142434445464748494a4b4c4d4e4f0807060504030201"
    "feffffff00000000a0a1a2a3a4a5a6a7a8a9aaab8e7d10412aeb72de0500f4a22cad212474c56411"
    "7a2c496cf1e72c";
#define KNOWN_PAGE UINT64_C(0xfffffffe)

static int try_box(enum cof_box_kind kind, uint64_t page, const void *box, size_t len,
		   const void *want, size_t want_len)
{
	uint64_t generation = 77;
	void *plain = NULL;
	size_t n = 77;
	int err = cof_box_open(kind, box_key, archive, page, box, len, &generation, &plain, &n);

	if (err) {
		must(generation == 77 && !plain && n == 77);
		return err;
	}
	must(want && generation == GENERATION && n == want_len && memcmp(plain, want, n) == 0);
	cof_secret_free(plain); /* ends the process if it is not secure memory */
	return 0;
}

START_TEST(box_of_another)
{
	uint8_t box[256];
	size_t n = from_hex(known_box, box, sizeof(box));

	ck_assert_uint_eq(n, 11 + COF_BOX_OVERHEAD);
	ck_assert_int_eq(try_box(COF_BOX_PAGE_R, KNOWN_PAGE, box, n, "hello pages", 11), 0);
	ck_assert_int_eq(try_box(COF_BOX_PAGE_H, KNOWN_PAGE, box, n, NULL, 0), -EUCLEAN);
	ck_assert_int_eq(try_box(COF_BOX_PAGE_R, KNOWN_PAGE + 1, box, n, NULL, 0), -EUCLEAN);
	ck_assert_int_eq(try_box(COF_BOX_PAGE_R, UINT64_C(1) << 32, box, n, NULL, 0), -EINVAL);
	ck_assert_int_eq(try_box(COF_BOX_TOP, 1, box, n, NULL, 0), -EINVAL);
	ck_assert_int_eq(try_box((enum cof_box_kind)9, 0, box, n, NULL, 0), -EINVAL);
	archive[0] ^= 1;
	ck_assert_int_eq(try_box(COF_BOX_PAGE_R, KNOWN_PAGE, box, n, NULL, 0), -EXDEV);
	archive[0] ^= 1;
	box_key[0] ^= 1;
	ck_assert_int_eq(try_box(COF_BOX_PAGE_R, KNOWN_PAGE, box, n, NULL, 0), -EBADMSG);
}
END_TEST

START_TEST(box_every_bit)
{
	uint8_t box[256];
	size_t n = from_hex(known_box, box, sizeof(box));

	for (size_t bit = 0; bit < 8 * n; bit++) {
		size_t at = bit / 8;
		int want = at < 16 || (at >= 40 && at < 48) ? -EUCLEAN
			   : at < 32                        ? -EXDEV
							    : -EBADMSG;

		box[at] ^= (uint8_t)(1u << bit % 8);
		must(try_box(COF_BOX_PAGE_R, KNOWN_PAGE, box, n, NULL, 0) == want);
		box[at] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len <= sizeof(box); len++)
		if (len != n)
			must(try_box(COF_BOX_PAGE_R, KNOWN_PAGE, box, len, NULL, 0) == -EUCLEAN);
	/* shortened, with a length that says so */
	cof_put_le32(box + 12, 10);
	must(try_box(COF_BOX_PAGE_R, KNOWN_PAGE, box, n - 1, NULL, 0) == -EBADMSG);
}
END_TEST

START_TEST(box_sizes)
{
	static const size_t sizes[] = {0, 1, 16, 1000, 65537, 300000};
	static uint8_t plain[300000];
	static const struct {
		enum cof_box_kind kind;
		uint64_t page;
	} places[] = {{COF_BOX_TOP, 0},
		      {COF_BOX_PAGE_H, 0},
		      {COF_BOX_PAGE_R, UINT32_MAX},
		      {COF_BOX_EPOCH, 0}};

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 31);
	for (size_t i = 0; i < COF_COUNT(sizes); i++)
		for (size_t k = 0; k < COF_COUNT(places); k++) {
			cof_autobuf struct cof_buf a = {0}, b = {0};

			cof_buf_add(&a, "before", 6);
			ck_assert_int_eq(cof_box_seal(places[k].kind, box_key, archive, GENERATION,
						      places[k].page, plain, sizes[i], &a),
					 0);
			ck_assert_int_eq(cof_box_seal(places[k].kind, box_key, archive, GENERATION,
						      places[k].page, plain, sizes[i], &b),
					 0);
			ck_assert_uint_eq(a.len, 6 + sizes[i] + COF_BOX_OVERHEAD);
			ck_assert_uint_eq(b.len, sizes[i] + COF_BOX_OVERHEAD);
			ck_assert_mem_ne(a.data + 6 + 48, b.data + 48, 12); /* the nonces */
			ck_assert_int_eq(try_box(places[k].kind, places[k].page, a.data + 6,
						 a.len - 6, plain, sizes[i]),
					 0);
			for (size_t j = 0; j < COF_COUNT(places); j++)
				if (j != k)
					ck_assert_int_eq(try_box(places[j].kind, places[j].page,
								 b.data, b.len, NULL, 0),
							 -EUCLEAN);
		}
}
END_TEST

START_TEST(box_bounds)
{
	cof_autofree uint8_t *plain = calloc(1, COF_BOX_MAX + COF_BOX_OVERHEAD + 1);
	cof_autobuf struct cof_buf b = {0};
	uint64_t generation;
	void *out = NULL;
	size_t n;

	ck_assert_ptr_nonnull(plain);
	ck_assert_int_eq(
	    cof_box_seal(COF_BOX_TOP, box_key, archive, 1, 0, plain, COF_BOX_MAX + 1, &b), -EINVAL);
	ck_assert_int_eq(cof_box_seal(COF_BOX_TOP, box_key, archive, 1, 1, plain, 1, &b), -EINVAL);
	ck_assert_int_eq(cof_box_seal(COF_BOX_EPOCH, box_key, archive, 1, 1, plain, 1, &b),
			 -EINVAL);
	ck_assert_int_eq(
	    cof_box_seal(COF_BOX_PAGE_H, box_key, archive, 1, UINT64_C(1) << 32, plain, 1, &b),
	    -EINVAL);
	ck_assert_int_eq(cof_box_seal((enum cof_box_kind)0, box_key, archive, 1, 0, plain, 1, &b),
			 -EINVAL);
	ck_assert_uint_eq(b.len, 0);
	/* the largest is made; to open it the pool of this test is too small, which is no crash */
	ck_assert_int_eq(cof_box_seal(COF_BOX_TOP, box_key, archive, 1, 0, plain, COF_BOX_MAX, &b),
			 0);
	ck_assert_int_eq(
	    cof_box_open(COF_BOX_TOP, box_key, archive, 0, b.data, b.len, &generation, &out, &n),
	    -ENOMEM);
	ck_assert_ptr_null(out);
}
END_TEST

static TCase *sealed_case(const char *name)
{
	TCase *t = crypto_case(name);

	tcase_add_checked_fixture(t, fixture, NULL);
	return t;
}

Suite *suite(void)
{
	Suite *s = suite_create("seal");
	TCase *t = sealed_case("opener");

	tcase_add_test(t, seals_of_another);
	tcase_add_test(t, file_every_bit);
	tcase_add_test(t, phrase_every_byte);
	tcase_add_test(t, kinds_are_bound);
	tcase_add_test(t, cost_bounds);
	tcase_add_test(t, make_and_open);
	tcase_add_test(t, make_refuses);
	suite_add_tcase(s, t);
	t = sealed_case("box");
	tcase_add_test(t, box_of_another);
	tcase_add_test(t, box_every_bit);
	tcase_add_test(t, box_sizes);
	tcase_add_test(t, box_bounds);
	suite_add_tcase(s, t);
	return s;
}
