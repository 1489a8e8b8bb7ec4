/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and SHA-512 (FIPS 180-4 examples), HMAC (RFC 4231) and HKDF (RFC 5869). */
#include "test-crypto.h"

#include <stdio.h>

static const struct {
	const char *text, *sha256, *sha512;
} sha_known[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
     "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
     "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445"},
};

START_TEST(sha_known_answers)
{
	uint8_t out[64];

	for (size_t i = 0; i < COF_COUNT(sha_known); i++) {
		cof_sha256(sha_known[i].text, strlen(sha_known[i].text), out);
		assert_hex(out, 32, sha_known[i].sha256);
		cof_sha512(sha_known[i].text, strlen(sha_known[i].text), out);
		assert_hex(out, 64, sha_known[i].sha512);
	}
}
END_TEST

START_TEST(sha_million)
{
	static char a[1000];
	struct cof_sha256 *h = cof_sha256_new();
	uint8_t out[COF_HASH];

	ck_assert_ptr_nonnull(h);
	memset(a, 'a', sizeof(a));
	for (int round = 0; round < 2; round++) { /* the second after a reset */
		for (int i = 0; i < 1000; i++)
			cof_sha256_update(h, a, sizeof(a));
		cof_sha256_final(h, out);
		assert_hex(out, 32,
			   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
		cof_sha256_reset(h);
	}
	cof_sha256_final(h, out);
	assert_hex(out, 32, sha_known[0].sha256);
	cof_sha256_free(h);
	cof_sha256_free(NULL);
}
END_TEST

/* Any division of a message into vectors or updates gives the hash of the whole. */
START_TEST(sha_in_parts)
{
	uint8_t msg[300], whole[COF_HASH], out[COF_HASH];
	struct cof_sha256 *h = cof_sha256_new();
	struct iovec v[64];
	uint64_t state = 0;

	for (size_t i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)draw(&state);
	for (int round = 0; round < 200; round++) {
		size_t n = draw(&state) % (sizeof(msg) + 1), at = 0;
		int count = 1 + (int)(draw(&state) % 64);

		cof_sha256(msg, n, whole);
		cof_sha256_reset(h);
		for (int i = 0; i < count; i++) {
			size_t len = i == count - 1 ? n - at : draw(&state) % (n - at + 1);

			v[i] = (struct iovec){msg + at, len};
			cof_sha256_update(h, msg + at, len);
			at += len;
		}
		cof_sha256v(v, count, out);
		ck_assert_mem_eq(out, whole, COF_HASH);
		cof_sha256_final(h, out);
		ck_assert_mem_eq(out, whole, COF_HASH);
	}
	cof_sha256v(v, 0, out);
	assert_hex(out, 32, sha_known[0].sha256);
	cof_sha256_free(h);
}
END_TEST

static const struct { /* a key or text in hex, or one byte repeated */
	const char *key, *text, *mac;
	int key_fill, key_len, text_fill, text_len;
} hmac_known[] = {
    {NULL, "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
     0x0b, 20, 0, 0},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", 0, 0, 0, 0},
    {NULL, NULL, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe", 0xaa, 20, 0xdd,
     50},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819", NULL,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b", 0, 0, 0xcd, 50},
    {NULL, "546573742057697468205472756e636174696f6e", "a3b6167473100ee06e0c796c2955552b", 0x0c, 20,
     0, 0},
    {NULL,
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d20486173682"
     "04b6579204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 0xaa, 131, 0, 0},
    {NULL,
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a6"
     "5206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e2054686520"
     "6b6579206e6565647320746f20626520686173686564206265666f7265206265696e672075736564206279207"
     "46865204"
     "84d414320616c676f726974686d2e",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2", 0xaa, 131, 0, 0},
};

static size_t fill_or_hex(const char *hex, int byte, int len, uint8_t *out, size_t cap)
{
	if (hex)
		return from_hex(hex, out, cap);
	ck_assert_uint_le((size_t)len, cap);
	memset(out, byte, (size_t)len);
	return (size_t)len;
}

START_TEST(hmac_rfc4231)
{
	for (size_t i = 0; i < COF_COUNT(hmac_known); i++) {
		uint8_t key[200], text[200], out[COF_HASH];
		size_t k = fill_or_hex(hmac_known[i].key, hmac_known[i].key_fill,
				       hmac_known[i].key_len, key, sizeof(key));
		size_t n = fill_or_hex(hmac_known[i].text, hmac_known[i].text_fill,
				       hmac_known[i].text_len, text, sizeof(text));
		struct iovec v[8];

		for (int j = 0; j < 8; j++) /* eight parts, some of them empty */
			v[j] = (struct iovec){text + n * (size_t)j / 8,
					      n * (size_t)(j + 1) / 8 - n * (size_t)j / 8};
		cof_hmac(key, k, v, 8, out);
		assert_hex(out, strlen(hmac_known[i].mac) / 2, hmac_known[i].mac);
		v[0] = (struct iovec){text, n};
		memset(out, 0, sizeof(out));
		cof_hmac(key, k, v, 1, out);
		assert_hex(out, strlen(hmac_known[i].mac) / 2, hmac_known[i].mac);
	}
}
END_TEST

/* Keys of 0, 63, 64 and 65 bytes, no message; and a result that replaces its own key. */
START_TEST(hmac_edges)
{
	uint8_t key[65], hashed[64] = {0}, a[COF_HASH], b[COF_HASH], c[COF_HASH];

	memset(key, 0x5a, sizeof(key));
	cof_hmac(NULL, 0, NULL, 0, a);
	assert_hex(a, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	cof_hmac(key, 63, NULL, 0, a);
	cof_hmac(key, 64, NULL, 0, b);
	ck_assert_mem_ne(a, b, COF_HASH);
	cof_sha256(key, 65, hashed); /* RFC 2104: a key above the block is hashed first */
	cof_hmac(key, 65, NULL, 0, a);
	cof_hmac(hashed, COF_HASH, NULL, 0, b);
	cof_hmac(hashed, 64, NULL, 0, c);
	ck_assert_mem_eq(a, b, COF_HASH);
	ck_assert_mem_eq(a, c, COF_HASH);

	struct iovec v = {hashed, COF_HASH};

	cof_hmac(key, COF_HASH, &v, 1, a);
	cof_hmac(key, COF_HASH, &v, 1, key);
	ck_assert_mem_eq(a, key, COF_HASH);
}
END_TEST

static const char okm_1[] = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
			    "34007208d5b887185865";
static const char okm_2[] = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
			    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
			    "cc30c58179ec3e87c14c01d5c1f3434f1d87";
static const char okm_3[] = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
			    "9d201395faa4b61a96c8";

START_TEST(hkdf_rfc5869)
{
	uint8_t ikm[80], salt[80], info[80], out[82];

	memset(ikm, 0x0b, 22);
	for (int i = 0; i < 13; i++)
		salt[i] = (uint8_t)i;
	for (int i = 0; i < 10; i++)
		info[i] = (uint8_t)(0xf0 + i);
	ck_assert_int_eq(cof_hkdf(salt, 13, ikm, 22, info, 10, out, 42), 0);
	assert_hex(out, 42, okm_1);
	ck_assert_int_eq(cof_hkdf(NULL, 0, ikm, 22, NULL, 0, out, 42), 0);
	assert_hex(out, 42, okm_3);
	ck_assert_int_eq(cof_hkdf(salt, 0, ikm, 22, NULL, 0, out, 42), 0);
	assert_hex(out, 42, okm_3);
	for (int i = 0; i < 80; i++) {
		ikm[i] = (uint8_t)i;
		salt[i] = (uint8_t)(0x60 + i);
		info[i] = (uint8_t)(0xb0 + i);
	}
	ck_assert_int_eq(cof_hkdf(salt, 80, ikm, 80, info, 80, out, 82), 0);
	assert_hex(out, 82, okm_2);
}
END_TEST

/* Every length up to the limit is the beginning of the longest; one byte more is refused. */
START_TEST(hkdf_lengths)
{
	static uint8_t longest[255 * COF_HASH + 1], out[255 * COF_HASH + 1];
	const size_t max = 255 * COF_HASH;

	ck_assert_int_eq(cof_hkdf(NULL, 0, "k", 1, "i", 1, longest, max), 0);
	for (size_t n = 0; n <= max; n += 1 + n / 7) {
		memset(out, 0x77, sizeof(out));
		ck_assert_int_eq(cof_hkdf(NULL, 0, "k", 1, "i", 1, out, n), 0);
		ck_assert_int_eq(memcmp(out, longest, n), 0);
		ck_assert_uint_eq(out[n], 0x77);
	}
	memset(out, 0x77, sizeof(out));
	ck_assert_int_eq(cof_hkdf(NULL, 0, "k", 1, "i", 1, out, max + 1), -EINVAL);
	ck_assert_uint_eq(out[0], 0x77);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("hash");
	TCase *t = crypto_case("hash");

	tcase_add_test(t, sha_known_answers);
	tcase_add_test(t, sha_million);
	tcase_add_test(t, sha_in_parts);
	tcase_add_test(t, hmac_rfc4231);
	tcase_add_test(t, hmac_edges);
	tcase_add_test(t, hkdf_rfc5869);
	tcase_add_test(t, hkdf_lengths);
	suite_add_tcase(s, t);
	return s;
}
