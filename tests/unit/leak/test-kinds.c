/* SPDX-License-Identifier: Apache-2.0 */
/* Published examples of each checksummed kind, and texts one step away from a secret, which are none. */
#include <check.h>

#include "fs/leak/internal.h"
#include "test-leak.h"

#define A11 "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
#define B58X "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
#define HEX64 "3f7a9c0b5d1e8f264a6b3c9d0e7f1a2b5c8d4e6f9a0b1c3d2e5f7a8b9c0d1e4f"
#define B64_32 "P3qcC10ejyZKazydDn8aK1yNTm+aCxw9Ll96i5wNHk8="
#define KANA11 "あいこくしん　あいこくしん　あいこくしん　あいこくしん　あいこくしん　あいこくしん　あいこくしん　" \
	       "あいこくしん　あいこくしん　あいこくしん　あいこくしん　"
#define SLIP "duckling enlarge academic academic agency result length solution fridge kidney coal piece deal " \
	     "husband erode duke ajar critical decision keyboard"

static const struct {
	const char *text, *secret; /* NULL: the text holds none */
	enum cof_leak_kind kind;
} texts[] = {
    /* BIP-39, its published vectors */
    {"phrase: " A11 "about\n", A11 "about", COF_LEAK_BIP39},
    {"legal winner thank year wave sausage worth useful legal winner thank yellow",
     "legal winner thank year wave sausage worth useful legal winner thank yellow", COF_LEAK_BIP39},
    {"x=letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor "
     "acoustic avoid letter advice cage absurd amount doctor acoustic bless=",
     "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor "
     "acoustic avoid letter advice cage absurd amount doctor acoustic bless", COF_LEAK_BIP39},
    {"jelly better achieve collect unaware mountain thought cargo oxygen act hood bridge",
     "jelly better achieve collect unaware mountain thought cargo oxygen act hood bridge", COF_LEAK_BIP39},
    {KANA11 "あおぞら", KANA11 "あおぞら", COF_LEAK_BIP39},
    /* the words "seed" and "word" are listed, too */
    {"seed word " A11 "about\n", A11 "about", COF_LEAK_BIP39},
    {"phrase: " A11 "abandon\n", NULL, 0}, /* checksum */
    {"legal winner thank year wave sausage worth useful legal winner thank zoo", NULL, 0},
    {"legal winner thank year wave sausage worth useful legal winner yellow", NULL, 0}, /* eleven */
    {"legal winner thank year wave sausage of worth useful legal winner thank yellow", NULL, 0},
    {"legal winner thank year wave sausage            worth useful legal winner thank yellow", NULL, 0},
    /* composed and decomposed */
    {"ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco abierto",
     "ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco abierto", COF_LEAK_BIP39},
    {"ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco "
     "abierto",
     "ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco "
     "abierto", COF_LEAK_BIP39},
    {"가격 가격 가격 가격 가격 가격 가격 가격 가격 가격 가격 가능",
     "가격 가격 가격 가격 가격 가격 가격 가격 가격 가격 가격 가능", COF_LEAK_BIP39},
    /* SLIP-39, the first of its official vectors, and the second: one word altered */
    {"share 1: " SLIP ".", SLIP, COF_LEAK_SLIP39},
    {"duckling enlarge academic academic agency result length solution fridge kidney coal piece deal "
     "husband erode duke ajar critical decision kidney", NULL, 0},
    /* BIP-32's first vector, BIP-84's, and a digit wrong */
    {"root " B58X "\n", B58X, COF_LEAK_BIP32},
    {"\"zprvAWgYBBk7JR8Gjrh4UJQ2uJdG1r3WNRRfURiABBE3RvMXYSrRJL62XuezvGdPvG6GFBZduosCc1YP5wixPox7zhZLfiUm8aunE96BBa4Kei5\"",
     "zprvAWgYBBk7JR8Gjrh4UJQ2uJdG1r3WNRRfURiABBE3RvMXYSrRJL62XuezvGdPvG6GFBZduosCc1YP5wixPox7zhZLfiUm8aunE96BBa4Kei5",
     COF_LEAK_BIP32},
    {"root xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHj",
     NULL, 0},
    {"xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
     NULL, 0},
    /* WIF, as the Bitcoin wiki has it */
    {"(5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ)",
     "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", COF_LEAK_WIF},
    {"import KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617",
     "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617", COF_LEAK_WIF},
    {"(5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTK)", NULL, 0},
    {"(x5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ)", NULL, 0}, /* part of a longer token */
    /* 32 bytes and what tells of them */
    {"private key: " HEX64 "\n", HEX64, COF_LEAK_RAW},
    {"{\"masterSecretHex\":\"" HEX64 "\"}", HEX64, COF_LEAK_RAW},
    {"seed 0x" HEX64, HEX64, COF_LEAK_RAW},
    {"passphrase=" B64_32, B64_32, COF_LEAK_RAW},
    {"file " HEX64, NULL, 0},
    {"key\n" HEX64, NULL, 0}, /* another line */
    {"public key: " HEX64, NULL, 0},
    {"private key hash: " HEX64, NULL, 0},
    {"key of some other thing " HEX64, NULL, 0},
    {"key: " HEX64 "00", NULL, 0}, /* longer */
    {"key: 0000000000000000000000000000000000000000000000000000000000000000", NULL, 0},
    {"id=" B64_32, NULL, 0},
    {"key=P3qcC10ejyZKazydDn8aK1yNTm+aCxw9Ll96i5wNHk9=", NULL, 0}, /* unused bits are set */
    /* armor without a key, and a public one */
    {"expected \"-----BEGIN PRIVATE KEY-----\" at the beginning of the file, found something else",
     NULL, 0},
    {"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
     "-----END PUBLIC KEY-----\n", NULL, 0},
    {"-----BEGIN PRIVATE KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n",
     NULL, 0},
    /* tokens: too short, too long, glued, an id alone */
    {"ghp_0123456789abcdefghijABCDEFGHIJ01234", NULL, 0},
    {"ghp_0123456789abcdefghijABCDEFGHIJ0123456", NULL, 0},
    {"xghp_0123456789abcdefghijABCDEFGHIJ012345", NULL, 0},
    {"accessKeyId: AKIAIOSFODNN7EXAMPLE, commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904", NULL, 0},
    {"bot12345:AAabcdefghijklmnopqrstuvwxyz0123456", NULL, 0},
    {"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0NTY3ODkwIn0.", NULL, 0},
    {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2hvcnQ", NULL, 0},
};

struct seen {
	struct cof_leak leak;
	unsigned count;
};

static void see(void *user, const struct cof_leak *leak)
{
	struct seen *s = user;

	s->leak = *leak;
	s->count++;
}

START_TEST(examples)
{
	const char *text = texts[_i].text, *secret = texts[_i].secret;

	for (int way = 0; way < SIEVES; way++) {
		struct cof_leak_stream *t;
		struct seen s = {.count = 0};

		if (!cof_leak_use_sieve(way))
			continue;
		ck_assert_int_eq(cof_leak_stream_new(leak_db, 1000, NULL, 0, &t), 0);
		ck_assert_uint_eq(cof_leak_scan(leak_db, t, text, strlen(text), see, &s), s.count);
		ck_assert_msg(s.count == (secret ? 1 : 0), "%u in: %s", s.count, text);
		if (secret) {
			ck_assert_str_eq(cof_leak_name(s.leak.kind), cof_leak_name(texts[_i].kind));
			ck_assert_uint_eq(s.leak.offset, 1000 + (uint64_t)(strstr(text, secret) - text));
			ck_assert_uint_eq(s.leak.len, strlen(secret));
			ck_assert_int_eq(s.leak.open_ended, !strcmp(strstr(text, secret), secret));
		}
		cof_leak_stream_free(t);
	}
}
END_TEST

/* The lists are the published ones. */
START_TEST(lists)
{
	static const char *const digests[] = {
	    "bcc4555340332d169718aed8bf31dd9d5248cb7da6e5d355140ef4f1e601eec3",
	    "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda",
	    "5c5942792bd8340cb8b27cd592f1015edf56a8c5b26276ee18a482428e7c5726",
	    "417b26b3d8500a4ae3d59717d7011952db6fc2fb84b807f3f94ac734e89c1b5f",
	    "7e80e161c3e93d9554c2efb78d4e3cebf8fc727e9c52e03b83b94406bdcc95fc",
	    "ebc3959ab7801a1df6bac4fa7d970652f1df76b683cd2f4003c941c63d517e59",
	    "d392c49fdb700a24cd1fceb237c1f65dcc128f6b34a8aacb58b59384b5c648c2",
	    "2eed0aef492291e061633d7ad8117f1a2b03eb80a29d0e4e3117ac2528d05ffd",
	    "9e95f86c167de88f450f0aaf89e87f6624a57f973c67b516e338e8e8b8897f60",
	    "2685e9c194c82ae67e10ba59d9ea5345a23dc093e92276fc5361f6667d79cd3f",
	    "46846a5a0139d1e3cb77293e521c2865f7bcdb82c44e8d0a06a2cd0ecba48c0b"};
	extern const char *const cof_leak_lists[];

	for (unsigned i = 0; i < LISTS; i++) {
		uint8_t sum[COF_HASH];
		char text[2 * COF_HASH + 1];

		cof_sha256(cof_leak_lists[i], strlen(cof_leak_lists[i]), sum);
		cof_hex(sum, sizeof(sum), text);
		ck_assert_str_eq(text, digests[i]);
	}
}
END_TEST

START_TEST(names)
{
	for (unsigned k = 0; k < COF_LEAK_KINDS; k++) {
		ck_assert_ptr_nonnull(cof_leak_name(k));
		ck_assert_uint_eq(strspn(cof_leak_name(k), "abcdefghijklmnopqrstuvwxyz0123456789-"),
				  strlen(cof_leak_name(k)));
	}
	ck_assert(cof_leak_checksummed(COF_LEAK_BIP39) && !cof_leak_checksummed(COF_LEAK_RAW));
}
END_TEST

TCase *kinds_case(void)
{
	TCase *t = tcase_create("kinds");

	tcase_add_loop_test(t, examples, 0, COF_COUNT(texts));
	tcase_add_test(t, lists);
	tcase_add_test(t, names);
	return t;
}
