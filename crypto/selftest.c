/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known answers, computed at each start: that what is offered here gives what its standard says, on
 * this processor and with this build of the library. Some of it by code that takes several blocks at
 * once, so hashes and the cipher are tried with a long message too; those answers are OpenSSL's.
 */
#include "crypto/private.h"

#define LONG 4103

static void fill_long(uint8_t text[LONG])
{
	for (unsigned i = 0; i < LONG; i++)
		text[i] = (uint8_t)(i * 7 + i / 256);
}

static bool same_hex(const void *p, size_t n, const char *hex)
{
	char text[129];

	if (n > 64)
		return false;
	cof_hex(p, n, text);
	return strcmp(text, hex) == 0;
}

static bool hashes(void) /* FIPS 180-4, "abc"; RFC 4231 case 2; RFC 5869 case 3 */
{
	static const char msg[] = "what do ya want for nothing?";
	const struct iovec v = {(void *)msg, sizeof(msg) - 1};
	uint8_t out[64], ikm[22];

	cof_sha256("abc", 3, out);
	if (!same_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
		return false;
	cof_hmac("Jefe", 4, &v, 1, out);
	if (!same_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"))
		return false;
	memset(ikm, 0x0b, sizeof(ikm));
	return cof_hkdf(NULL, 0, ikm, sizeof(ikm), NULL, 0, out, 42) == 0 &&
	       same_hex(out, 42,
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
			"9d201395faa4b61a96c8");
}

static bool long_hashes(void)
{
	static const char want[] = "9f788751df6b62806078374a658f37e001aac4e425d57842ed72dad1fe970261";
	uint8_t text[LONG], out[COF_HASH];

	fill_long(text);
	cof_sha256(text, LONG, out);
	return same_hex(out, 32, want);
}

static bool long_aead(void)
{
	uint8_t key[32], nonce[COF_NONCE], aad[88], text[LONG], box[LONG + COF_TAG], out[COF_HASH];
	cof_autoaead struct cof_aead *a = NULL;

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	memcpy(nonce, key, sizeof(nonce));
	memset(aad, 1, sizeof(aad));
	fill_long(text);
	if (cof_aead_new(key, &a) < 0 || cof_aead_seal(a, nonce, aad, sizeof(aad), text, LONG, box) < 0)
		return false;
	cof_sha256(box, sizeof(box), out);
	if (!same_hex(out, 32, "634048046ad50b59ca63dfbd7b35884d76c368fbd457674956852aaf9789fed3"))
		return false;
	memset(text, 0, sizeof(text));
	if (cof_aead_open(a, nonce, aad, sizeof(aad), box, LONG, text) < 0)
		return false;
	cof_sha256(text, LONG, out);
	return same_hex(out, 32, "9f788751df6b62806078374a658f37e001aac4e425d57842ed72dad1fe970261");
}

static bool aead(void) /* McGrew and Viega, test case 14; and that a wrong tag is refused */
{
	static const uint8_t zero[32];
	cof_autoaead struct cof_aead *a = NULL;
	uint8_t box[32], plain[16];

	if (cof_aead_new(zero, &a) < 0 || cof_aead_seal(a, zero, NULL, 0, zero, 16, box) < 0)
		return false;
	if (!same_hex(box, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"))
		return false;
	if (cof_aead_open(a, zero, NULL, 0, box, 16, plain) < 0 || memcmp(plain, zero, 16) != 0)
		return false;
	box[31] ^= 0x80;
	return cof_aead_open(a, zero, NULL, 0, box, 16, plain) == -EBADMSG;
}

static bool ed25519(void) /* RFC 8032 7.1, test 2 */
{
	uint8_t seed[32], key[32], sig[64];

	/* First, since what libgcrypt keeps of the curve for ever must not be made in the pool (a signature's memory). */
	if (cof_unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", 64, key) < 0 ||
	    cof_unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00", 128, sig) < 0 ||
	    cof_ed25519_verify(key, "\x72", 1, sig) < 0)
		return false;
	if (cof_unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", 64,
		      seed) < 0 ||
	    cof_ed25519_public(seed, key) < 0 || cof_ed25519_sign(seed, "\x72", 1, sig) < 0)
		return false;
	if (!same_hex(key, 32,
		      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c") ||
	    !same_hex(sig, 64,
		      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"))
		return false;
	return cof_ed25519_verify(key, "\x73", 1, sig) == -EBADMSG; /* the right message was verified above */
}

static bool x25519(void) /* RFC 7748 6.1; and that a point of low order is refused */
{
	static const uint8_t zero[32];
	uint8_t a[32], b[32], out[32];

	if (cof_unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", 64, a) < 0 ||
	    cof_unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", 64, b) < 0 ||
	    cof_x25519(a, b, out) < 0)
		return false;
	return same_hex(out, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742") &&
	       cof_x25519(a, zero, out) == -EBADMSG;
}

static bool chacha(void) /* the first block of RFC 8439's zero key goes into the tag, the second out */
{
	static const uint8_t zero[32];
	uint8_t box[32], plain[16];

	if (cof_chacha_seal(zero, zero, zero, 16, box) < 0 ||
	    !same_hex(box, 32, "9f07e7be5551387a98ba977c732d080dc34a88047320f52aa2c6683ef8084d2f") ||
	    cof_chacha_open(zero, zero, box, 16, plain) < 0)
		return false;
	box[0] ^= 1;
	return cof_chacha_open(zero, zero, box, 16, plain) == -EBADMSG;
}

static bool argon2id(void) /* RFC 9106 5.3 */
{
	uint8_t pass[32], salt[16], secret[8], ad[12], tag[32];
	const struct cof_argon2_extra extra = {secret, ad, sizeof(secret), sizeof(ad)};

	memset(pass, 1, sizeof(pass));
	memset(salt, 2, sizeof(salt));
	memset(secret, 3, sizeof(secret));
	memset(ad, 4, sizeof(ad));
	return cof_argon2id_full(pass, sizeof(pass), salt, sizeof(salt), 32, 3, 4, &extra, tag) ==
		   0 &&
	       same_hex(tag, 32,
			"0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

int cof_crypto_selftest(struct cof_diag *diag)
{
	static const struct {
		const char *name;
		bool (*run)(void);
	} tests[] = {{"SHA-256, HMAC or HKDF", hashes},
		     {"SHA-256 of a long message", long_hashes},
		     {"AES-256-GCM", aead},
		     {"AES-256-GCM of a long message", long_aead},
		     {"Ed25519", ed25519},
		     {"X25519", x25519},
		     {"ChaCha20-Poly1305", chacha},
		     {"Argon2id", argon2id}};

	for (size_t i = 0; i < COF_COUNT(tests); i++)
		if (!tests[i].run())
			return cof_fail(diag, -EIO, "%s gives wrong answers on this machine",
					tests[i].name);
	return 0;
}
