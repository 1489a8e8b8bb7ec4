/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM (NIST's examples and what every flipped bit does), Ed25519 (RFC 8032) and Argon2id
 * (RFC 9106).
 */
#include "test-crypto.h"

#include "crypto/private.h"

/* ---- AES-256-GCM ---- */

#define GCM_KEY "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define GCM_TEXT                                                                                   \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                         \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_SEALED                                                                                 \
	"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"                         \
	"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"

/* The tests 13 to 16 of the GCM specification, and the first of NIST's CAVS file for 256 bits. */
static const struct {
	const char *key, *nonce, *aad, *text, *sealed;
} gcm_known[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {GCM_KEY, "cafebabefacedbaddecaf888", "", GCM_TEXT "1aafd255",
     GCM_SEALED "898015adb094dac5d93471bdec1a502270e3cc6c"},
    {GCM_KEY, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", GCM_TEXT,
     GCM_SEALED "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4", "516c33929df5a3284ff463d7",
     "", "", "bdc1ac884d332457a1d2664f168c76f0"},
};

START_TEST(gcm_known_answers)
{
	for (size_t i = 0; i < COF_COUNT(gcm_known); i++) {
		cof_autoaead struct cof_aead *a = NULL;
		uint8_t key[COF_KEY], nonce[COF_NONCE], aad[32], text[64], box[80], out[64];

		from_hex(gcm_known[i].key, key, sizeof(key));
		from_hex(gcm_known[i].nonce, nonce, sizeof(nonce));
		size_t ad = from_hex(gcm_known[i].aad, aad, sizeof(aad));
		size_t n = from_hex(gcm_known[i].text, text, sizeof(text));

		ck_assert_int_eq(cof_aead_new(key, &a), 0);
		for (int round = 0; round < 2; round++) { /* one object, several messages */
			ck_assert_int_eq(cof_aead_seal(a, nonce, aad, ad, text, n, box), 0);
			assert_hex(box, n + COF_TAG, gcm_known[i].sealed);
			ck_assert_int_eq(cof_aead_open(a, nonce, aad, ad, box, n, out), 0);
			ck_assert_int_eq(memcmp(out, text, n), 0);
		}
		memcpy(box, text, n); /* in place, both ways */
		ck_assert_int_eq(cof_aead_seal(a, nonce, aad, ad, box, n, box), 0);
		assert_hex(box, n + COF_TAG, gcm_known[i].sealed);
		ck_assert_int_eq(cof_aead_open(a, nonce, aad, ad, box, n, box), 0);
		ck_assert_int_eq(memcmp(box, text, n), 0);
	}
	cof_aead_free(NULL);
}
END_TEST

static void count_up(uint8_t *p, size_t n, unsigned step)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * step);
}

/* Computed with another implementation (OpenSSL): longer than one call of any inner loop. */
START_TEST(gcm_chunk)
{
	static uint8_t text[65536], box[65536 + COF_TAG];
	uint8_t key[COF_KEY], nonce[COF_NONCE], aad[200], hash[COF_HASH];
	cof_autoaead struct cof_aead *a = NULL;

	count_up(key, sizeof(key), 1);
	count_up(nonce, sizeof(nonce), 1);
	count_up(aad, sizeof(aad), 1);
	count_up(text, sizeof(text), 7);
	ck_assert_int_eq(cof_aead_new(key, &a), 0);
	ck_assert_int_eq(cof_aead_seal(a, nonce, aad, sizeof(aad), text, sizeof(text), box), 0);
	cof_sha256(box, sizeof(box), hash);
	assert_hex(hash, 32, "2c7da7e817b477cccc48096cf882a1f0f65b54786ffc6ace989614dcfcadeb1c");
	ck_assert_int_eq(cof_aead_seal(a, nonce, NULL, 0, text, 1000, box), 0);
	cof_sha256(box, 1000 + COF_TAG, hash);
	assert_hex(hash, 32, "81b2a7530de5cc604173961c2b58a700a3f481bd281af9f804e5f205a1a5b56c");
}
END_TEST

/* Refused, and nothing of the plaintext is left behind. */
static void assert_refused(struct cof_aead *a, const uint8_t *nonce, const uint8_t *aad, size_t ad,
			   const uint8_t *box, size_t n)
{
	uint8_t out[64], zero[64] = {0};

	memset(out, 0x77, sizeof(out));
	ck_assert_int_eq(cof_aead_open(a, nonce, aad, ad, box, n, out), -EBADMSG);
	ck_assert_int_eq(memcmp(out, zero, n), 0);
	ck_assert_uint_eq(out[n], 0x77);
}

START_TEST(gcm_every_bit)
{
	uint8_t key[COF_KEY], nonce[COF_NONCE], aad[16], text[37], box[37 + COF_TAG], out[37];
	cof_autoaead struct cof_aead *a = NULL, *other = NULL;
	struct {
		uint8_t *p;
		size_t n;
	} part[] = {{nonce, sizeof(nonce)}, {aad, sizeof(aad)}, {box, sizeof(box)}};
	const size_t n = sizeof(text);

	count_up(key, sizeof(key), 3);
	count_up(nonce, sizeof(nonce), 5);
	count_up(aad, sizeof(aad), 7);
	count_up(text, sizeof(text), 11);
	ck_assert_int_eq(cof_aead_new(key, &a), 0);
	ck_assert_int_eq(cof_aead_seal(a, nonce, aad, sizeof(aad), text, n, box), 0);
	for (size_t k = 0; k < COF_COUNT(part); k++)
		for (size_t bit = 0; bit < 8 * part[k].n; bit++) {
			part[k].p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_refused(a, nonce, aad, sizeof(aad), box, n);
			part[k].p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	assert_refused(a, nonce, aad, sizeof(aad) - 1, box, n);
	assert_refused(a, nonce, aad, sizeof(aad), box, n - 1); /* cut: the tag is elsewhere */
	for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(cof_aead_new(key, &other), 0);
		assert_refused(other, nonce, aad, sizeof(aad), box, n);
		cof_aead_free(other);
		other = NULL;
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(cof_aead_open(a, nonce, aad, sizeof(aad), box, n, out), 0);
	ck_assert_mem_eq(out, text, n);
}
END_TEST

/* ---- Ed25519 ---- */

static const struct { /* RFC 8032 7.1: tests 1 to 3 and SHA(abc), whose message is "hash" */
	const char *seed, *key, *msg, *sig;
} ed_known[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
     "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", NULL,
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
     "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

START_TEST(ed25519_rfc8032)
{
	for (size_t i = 0; i < COF_COUNT(ed_known); i++) {
		uint8_t seed[32], key[32], msg[64], sig[64];
		size_t n = sizeof(msg);

		from_hex(ed_known[i].seed, seed, sizeof(seed));
		if (ed_known[i].msg)
			n = from_hex(ed_known[i].msg, msg, sizeof(msg));
		else
			cof_sha512("abc", 3, msg);
		ck_assert_int_eq(cof_ed25519_public(seed, key), 0);
		assert_hex(key, 32, ed_known[i].key);
		ck_assert_int_eq(cof_ed25519_sign(seed, msg, n, sig), 0);
		assert_hex(sig, 64, ed_known[i].sig);
		ck_assert_int_eq(cof_ed25519_verify(key, msg, n, sig), 0);
	}
}
END_TEST

/* The signatures of another implementation (OpenSSL) over the first 0 to 299 bytes: none of them
 * may come out shorter because a number begins with zeros. */
START_TEST(ed25519_many)
{
	static uint8_t msg[300];
	struct cof_sha256 *h = cof_sha256_new();
	uint8_t seed[32], key[32], sig[64], hash[COF_HASH];

	ck_assert_ptr_nonnull(h);
	count_up(seed, sizeof(seed), 1);
	count_up(msg, sizeof(msg), 7);
	ck_assert_int_eq(cof_ed25519_public(seed, key), 0);
	assert_hex(key, 32, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
	for (size_t n = 0; n < 300; n++) {
		ck_assert_int_eq(cof_ed25519_sign(seed, msg, n, sig), 0);
		ck_assert_int_eq(cof_ed25519_verify(key, msg, n, sig), 0);
		cof_sha256_update(h, sig, sizeof(sig));
	}
	cof_sha256_final(h, hash);
	assert_hex(hash, 32, "6eceb3cc9709f8f22628aaf49859d9a115be8d47786718ef5f9a9405847bbc99");
	cof_sha256_free(h);
}
END_TEST

/* libgcrypt ends the process on messages of 64 KiB: they are refused before they reach it. */
START_TEST(ed25519_longest)
{
	static uint8_t msg[200000];
	uint8_t seed[32], key[32], sig[64], hash[COF_HASH];
	static const size_t too_long[] = {
	    COF_ED25519_MESSAGE_MAX + 1, 65500, 65535, 65536, 65600, 131072, sizeof(msg)};

	count_up(seed, sizeof(seed), 1);
	count_up(msg, sizeof(msg), 7);
	ck_assert_int_eq(cof_ed25519_public(seed, key), 0);
	ck_assert_int_eq(cof_ed25519_sign(seed, msg, COF_ED25519_MESSAGE_MAX, sig), 0);
	ck_assert_int_eq(cof_ed25519_verify(key, msg, COF_ED25519_MESSAGE_MAX, sig), 0);
	cof_sha256(sig, sizeof(sig), hash);
	assert_hex(hash, 32, "784eacc3ad0c34729c776627ac016f54a05bade1d3961b29a1a63491999dda0a");
	for (size_t i = 0; i < COF_COUNT(too_long); i++) {
		ck_assert_int_eq(cof_ed25519_verify(key, msg, too_long[i], sig), -EINVAL);
		ck_assert_int_eq(cof_ed25519_sign(seed, msg, too_long[i], sig), -EINVAL);
	}
}
END_TEST

START_TEST(ed25519_every_bit)
{
	static const char order[] = /* of the group, little-endian */
	    "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
	uint8_t seed[32], key[32], msg[] = "coffer", sig[64], l[32];
	unsigned carry = 0;

	count_up(seed, sizeof(seed), 9);
	ck_assert_int_eq(cof_ed25519_public(seed, key), 0);
	ck_assert_int_eq(cof_ed25519_sign(seed, msg, 6, sig), 0);
	for (size_t bit = 0; bit < 8 * 64; bit++) {
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(cof_ed25519_verify(key, msg, 6, sig), -EBADMSG);
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * 32; bit++) {
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(cof_ed25519_verify(key, msg, 6, sig), -EBADMSG);
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * 6; bit++) {
		msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(cof_ed25519_verify(key, msg, 6, sig), -EBADMSG);
		msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(cof_ed25519_verify(key, msg, 5, sig), -EBADMSG);
	ck_assert_int_eq(cof_ed25519_verify(key, msg, 6, sig), 0);
	/* The same signature with the order added to S: valid by the equation alone. */
	from_hex(order, l, sizeof(l));
	for (int i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + l[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	ck_assert_int_eq(cof_ed25519_verify(key, msg, 6, sig), -EBADMSG);
	memcpy(sig + 32, l, 32);
	ck_assert_int_eq(cof_ed25519_verify(key, msg, 6, sig), -EBADMSG);
}
END_TEST

/* ---- Argon2id ---- */

START_TEST(argon2id_rfc9106)
{
	uint8_t pass[32], salt[16], secret[8], ad[12], tag[32];
	const struct cof_argon2_extra extra = {secret, ad, sizeof(secret), sizeof(ad)};

	memset(pass, 1, sizeof(pass));
	memset(salt, 2, sizeof(salt));
	memset(secret, 3, sizeof(secret));
	memset(ad, 4, sizeof(ad));
	ck_assert_int_eq(cof_argon2id_full(pass, 32, salt, 16, 32, 3, 4, &extra, tag), 0);
	assert_hex(tag, 32, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}
END_TEST

START_TEST(argon2id_reference) /* answers of the reference implementation's own tests */
{
	static const struct {
		const char *pass;
		uint32_t memory, passes, lanes;
		const char *tag;
	} known[] = {
	    {"password", 256, 2, 1,
	     "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
	    {"password", 256, 2, 2,
	     "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"},
	    {"password", 65536, 2, 1,
	     "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"},
	};
	uint8_t tag[32];

	for (size_t i = 0; i < COF_COUNT(known); i++) {
		ck_assert_int_eq(cof_argon2id(known[i].pass, strlen(known[i].pass), "somesalt", 8,
					      known[i].memory, known[i].passes, known[i].lanes,
					      tag),
				 0);
		assert_hex(tag, 32, known[i].tag);
	}
}
END_TEST

START_TEST(argon2id_bounds)
{
	static const struct {
		size_t pass, salt;
		uint32_t memory, passes, lanes;
		int err;
	} bad[] = {
	    {0, 8, 64, 1, 1, -EINVAL},         {8, 7, 64, 1, 1, -EINVAL},
	    {8, 8, 64, 0, 1, -EINVAL},         {8, 8, 64, 1, 0, -EINVAL},
	    {8, 8, 7, 1, 1, -EINVAL},          {8, 8, 31, 1, 4, -EINVAL},
	    {8, 8, 4u << 20, 1, 1, -ENOMEM},   {8, 8, UINT32_MAX, 1, 1, -ENOMEM},
	    {8, 8, 64, 1, 0x1000000, -EINVAL},
	};
	uint8_t tag[32];

	for (size_t i = 0; i < COF_COUNT(bad); i++) {
		memset(tag, 0x77, sizeof(tag));
		ck_assert_int_eq(cof_argon2id("password", bad[i].pass, "somesalt", bad[i].salt,
					      bad[i].memory, bad[i].passes, bad[i].lanes, tag),
				 bad[i].err);
		ck_assert_uint_eq(tag[0], 0x77);
	}
	ck_assert_int_eq(cof_argon2id("password", 8, "somesalt", 8, 8, 1, 1, tag), 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("cipher");
	TCase *t = crypto_case("gcm");

	tcase_add_test(t, gcm_known_answers);
	tcase_add_test(t, gcm_chunk);
	tcase_add_test(t, gcm_every_bit);
	suite_add_tcase(s, t);
	t = crypto_case("ed25519");
	tcase_add_test(t, ed25519_rfc8032);
	tcase_add_test(t, ed25519_many);
	tcase_add_test(t, ed25519_longest);
	tcase_add_test(t, ed25519_every_bit);
	suite_add_tcase(s, t);
	t = crypto_case("argon2id");
	tcase_add_test(t, argon2id_rfc9106);
	tcase_add_test(t, argon2id_reference);
	tcase_add_test(t, argon2id_bounds);
	suite_add_tcase(s, t);
	return s;
}
