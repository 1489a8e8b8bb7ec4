/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 (RFC 7748), and age v1: keys as text, files both ways with the program age, altered files. */
#include "test-crypto.h"

#include <stdio.h>

#include "crypto/age.h"

/* ---- X25519 ---- */

static const struct {
	const char *scalar, *point, *out;
} x25519_known[] = {
    /* RFC 7748 5.2, both (of the second the point's highest bit is set, which does not count) */
    {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
    {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    /* 6.1, both sides */
    {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    {"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
     "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
};

START_TEST(x25519_known_answers)
{
	uint8_t scalar[32], point[32], out[32];

	for (size_t i = 0; i < COF_COUNT(x25519_known); i++) {
		from_hex(x25519_known[i].scalar, scalar, 32);
		from_hex(x25519_known[i].point, point, 32);
		ck_assert_int_eq(cof_x25519(scalar, point, out), 0);
		assert_hex(out, 32, x25519_known[i].out);
	}
	from_hex(x25519_known[2].scalar, scalar, 32);
	ck_assert_int_eq(cof_x25519_public(scalar, out), 0);
	assert_hex(out, 32, x25519_known[3].point);
}
END_TEST

/* RFC 7748 5.2: k and u begin as the base point; after each step u is the old k and k the result. */
START_TEST(x25519_repeated)
{
	uint8_t k[32] = {9}, u[32] = {9}, out[32];

	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(cof_x25519(k, u, out), 0);
		memcpy(u, k, 32);
		memcpy(k, out, 32);
		if (i == 0)
			assert_hex(k, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
	}
	assert_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}
END_TEST

/* The seven points of small order, and p, p + 1 that stand for 0 and 1. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

START_TEST(x25519_low_order)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t scalar[32], point[1][32], out[32];

	for (size_t i = 0; i < COF_COUNT(low_order); i++) {
		cof_random(scalar, sizeof(scalar));
		from_hex(low_order[i], point[0], 32);
		ck_assert_int_eq(cof_x25519(scalar, point[0], out), -EBADMSG);
		ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])point, 1, "x", 1, NULL, &b), -EINVAL);
	}
}
END_TEST

/* ---- keys as text ---- */

/* Made by age-keygen. */
static const char identity_1[] = "AGE-SECRET-KEY-1ESFMFUUXXTKDLKD0CZ758YSHG629H88Y9EWM5Y37YD5E75KYN95SYSXKDR", recipient_1[] = "age1jtmkmpwezf9ywacrksup0h7w5kmtykxwm40a8egvs8k874kcwewqaqdq6d";
static const char identity_2[] = "AGE-SECRET-KEY-1VXS7RJ58MV3C5TPKAUJVVYNAQPK2D2RCZRDVFL28DLQ89MXETF7Q9WK0TD", recipient_2[] = "age14nrmcy9z5599tp6aheqt5jk36k88rxp2v805wsswcpxn6qk2hfwq4c3mkh";

static void key_pair(const char *identity, const char *recipient, uint8_t secret[32], uint8_t public_key[32])
{
	uint8_t derived[32];

	ck_assert_int_eq(cof_age_identity_parse(identity, strlen(identity), secret), 0);
	ck_assert_int_eq(cof_age_recipient_parse(recipient, strlen(recipient), public_key), 0);
	ck_assert_int_eq(cof_x25519_public(secret, derived), 0);
	ck_assert_mem_eq(derived, public_key, 32);
}

START_TEST(keys_as_text)
{
	uint8_t secret[32], public_key[32];
	char text[COF_AGE_IDENTITY];

	key_pair(identity_1, recipient_1, secret, public_key);
	cof_age_recipient_text(public_key, text);
	ck_assert_str_eq(text, recipient_1);
	cof_age_identity_text(secret, text);
	ck_assert_str_eq(text, identity_1);
	key_pair(identity_2, recipient_2, secret, public_key);
}
END_TEST

START_TEST(keys_refused)
{
	size_t n = strlen(recipient_1);
	uint8_t key[32];
	char text[128];

	for (size_t i = 0; i < n; i++) { /* each character counts */
		memcpy(text, recipient_1, n + 1);
		text[i] = text[i] == 'q' ? 'p' : 'q';
		ck_assert_int_eq(cof_age_recipient_parse(text, n, key), -EINVAL);
		memcpy(text, recipient_1, n + 1);
		text[i] = (char)(text[i] >= 'a' ? text[i] - 32 : '\xc3');
		ck_assert_int_eq(cof_age_recipient_parse(text, n, key), -EINVAL);
		ck_assert_int_eq(cof_age_recipient_parse(recipient_1, i, key), -EINVAL);
	}
	ck_assert_int_eq(cof_age_recipient_parse(identity_1, strlen(identity_1), key), -EINVAL);
	ck_assert_int_eq(cof_age_identity_parse(recipient_1, n, key), -EINVAL);
	ck_assert_int_eq(cof_age_recipient_parse("age1", 4, key), -EINVAL);
	snprintf(text, sizeof(text), "%s ", recipient_1);
	ck_assert_int_eq(cof_age_recipient_parse(text, n + 1, key), -EINVAL);
}
END_TEST

START_TEST(identity_files)
{
	cof_autosecret uint8_t(*keys)[32] = cof_secret_alloc(2 * 32);
	char text[512];
	size_t n = 0;

	snprintf(text, sizeof(text), "# created: now\n# public key: %s\n%s\n\n%s", recipient_1, identity_1,
		 identity_2);
	ck_assert_int_eq(cof_age_identities_parse(text, strlen(text), keys, 2, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(cof_age_identities_parse(text, strlen(text), keys, 1, &n), -E2BIG);
	ck_assert_int_eq(cof_age_identities_parse("# nothing\n", 10, keys, 2, &n), -EINVAL);
	ck_assert_int_eq(cof_age_identities_parse("", 0, keys, 2, &n), -EINVAL);
	snprintf(text, sizeof(text), "%s\n%s\n", identity_1, recipient_1);
	ck_assert_int_eq(cof_age_identities_parse(text, strlen(text), keys, 2, &n), -EINVAL);
}
END_TEST

/* ---- files ---- */

#define CHUNK 65536
static const size_t sizes[] = {0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17, 8 * CHUNK};

struct pair {
	uint8_t (*secrets)[32]; /* two of them */
	uint8_t public_keys[2][32];
};

static void pair_open(struct pair *p)
{
	p->secrets = cof_secret_alloc(2 * 32);
	key_pair(identity_1, recipient_1, p->secrets[0], p->public_keys[0]);
	key_pair(identity_2, recipient_2, p->secrets[1], p->public_keys[1]);
}

static void fill(uint8_t *p, size_t n)
{
	uint64_t state = n;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)draw(&state);
}

static int opens(const struct pair *p, int which, const void *file, size_t len, const void *plain, size_t n)
{
	void *got = NULL;
	size_t got_n = 0;
	int err = cof_age_decrypt((const uint8_t(*)[32])p->secrets + which, 1, file, len, &got, &got_n);

	if (err) {
		ck_assert_ptr_null(got);
		return err;
	}
	ck_assert_uint_eq(got_n, n);
	ck_assert_int_eq(memcmp(got, plain, n), 0);
	cof_secret_free(got);
	return 0;
}

START_TEST(there_and_back)
{
	uint8_t *plain = malloc(COF_AGE_PLAIN_MAX + 1);
	struct pair p;

	pair_open(&p);
	for (size_t i = 0; i < COF_COUNT(sizes); i++) {
		cof_autobuf struct cof_buf b = {0};
		uint8_t file_key[16];
		void *got = NULL;
		size_t n = 0;

		fill(plain, sizes[i]);
		ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p.public_keys, 2, plain, sizes[i],
						 file_key, &b), 0);
		ck_assert_int_eq(opens(&p, 0, b.data, b.len, plain, sizes[i]), 0);
		ck_assert_int_eq(opens(&p, 1, b.data, b.len, plain, sizes[i]), 0);
		ck_assert_int_eq(cof_age_decrypt_by_key(file_key, b.data, b.len, &got, &n), 0);
		ck_assert_uint_eq(n, sizes[i]);
		cof_secret_free(got);
		file_key[0] ^= 1;
		ck_assert_int_eq(cof_age_decrypt_by_key(file_key, b.data, b.len, &got, &n), -EBADMSG);
		ck_assert_int_eq(cof_age_recipients(b.data, b.len, &n, NULL), 0);
		ck_assert_uint_eq(n, 2);
	}
	cof_autobuf struct cof_buf b = {0};
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p.public_keys, 2, plain, COF_AGE_PLAIN_MAX + 1,
					 NULL, &b), -EFBIG);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p.public_keys, 0, plain, 1, NULL, &b), -EINVAL);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p.public_keys, 1, plain, 1, NULL, &b), 0);
	ck_assert_int_eq(opens(&p, 1, b.data, b.len, plain, 1), -EKEYREJECTED);
	cof_secret_free(p.secrets);
	free(plain);
}
END_TEST

/* Whatever is cut off, appended or altered is noticed: each byte of a small file, and each length. */
static int gather(void *user, const void *p, size_t n)
{
	cof_buf_add(user, p, n);
	return 0;
}

static int full(void *user, const void *p, size_t n)
{
	(void)p;
	(void)n;
	return --*(int *)user ? 0 : -ENOSPC;
}

/* In pieces of any size, ends of chunks among them. */
START_TEST(streams)
{
	static const size_t pieces[] = {1, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK};
	cof_autofree uint8_t *plain = malloc(8 * CHUNK);
	struct cof_age_stream *s;
	struct pair p;
	int room = 2;

	pair_open(&p);
	fill(plain, 8 * CHUNK);
	for (size_t i = 0; i < COF_COUNT(sizes); i++)
		for (size_t k = sizes[i] > CHUNK; k < COF_COUNT(pieces); k++) {
			cof_autobuf struct cof_buf file = {0};

			ck_assert_int_eq(cof_age_stream_new((const void *)p.public_keys, 2, gather, &file, &s), 0);
			for (size_t at = 0; at < sizes[i]; at += pieces[k])
				ck_assert_int_eq(cof_age_stream_write(s, plain + at, COF_MIN(pieces[k], sizes[i] - at)), 0);
			ck_assert_int_eq(cof_age_stream_end(s), 0);
			cof_age_stream_free(s);
			ck_assert_int_eq(opens(&p, 0, file.data, file.len, plain, sizes[i]), 0);
			ck_assert_int_eq(opens(&p, 1, file.data, file.len, plain, sizes[i]), 0);
		}
	ck_assert_int_eq(cof_age_stream_new((const void *)p.public_keys, 0, gather, NULL, &s), -EINVAL);
	ck_assert_int_eq(cof_age_stream_new((const void *)p.public_keys, 1, full, &room, &s), 0);
	ck_assert_int_eq(cof_age_stream_write(s, plain, CHUNK + 1), -ENOSPC);
	cof_age_stream_free(s);
	cof_secret_free(p.secrets);
}
END_TEST

START_TEST(altered)
{
	cof_autobuf struct cof_buf b = {0};
	struct pair p;
	uint8_t *copy;

	pair_open(&p);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p.public_keys, 2, "secret", 6, NULL, &b), 0);
	copy = malloc(b.len + 1);
	for (size_t i = 0; i < b.len; i++) {
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			memcpy(copy, b.data, b.len);
			copy[i] ^= (uint8_t)bit;
			must(opens(&p, 0, copy, b.len, "secret", 6) != 0);
		}
		must(opens(&p, 0, b.data, i, "secret", 6) != 0);
	}
	memcpy(copy, b.data, b.len);
	copy[b.len] = 0;
	ck_assert_int_eq(opens(&p, 0, copy, b.len + 1, "secret", 6), -EBADMSG);
	free(copy);
	cof_secret_free(p.secrets);
}
END_TEST

/* Cut off at the end of a chunk, chunks exchanged, an empty chunk behind the last. */
START_TEST(chunks)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t *plain = calloc(3, CHUNK), *copy;
	const size_t sealed = CHUNK + 16;
	struct pair p;
	size_t head;

	pair_open(&p);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p.public_keys, 1, plain, 3 * CHUNK, NULL, &b), 0);
	head = b.len - 3 * sealed;
	copy = malloc(b.len + 16);
	ck_assert_int_eq(opens(&p, 0, b.data, b.len, plain, 3 * CHUNK), 0);
	ck_assert_int_eq(opens(&p, 0, b.data, b.len - sealed, plain, 2 * CHUNK), -EBADMSG);
	ck_assert_int_eq(opens(&p, 0, b.data, head, plain, 0), -EBADMSG);
	memcpy(copy, b.data, b.len);
	memcpy(copy + head, b.data + head + sealed, sealed);
	memcpy(copy + head + sealed, b.data + head, sealed);
	ck_assert_int_eq(opens(&p, 0, copy, b.len, plain, 3 * CHUNK), -EBADMSG);
	memcpy(copy, b.data, b.len);
	memcpy(copy + b.len, b.data + b.len - 16, 16);
	ck_assert_int_eq(opens(&p, 0, copy, b.len + 16, plain, 3 * CHUNK), -EBADMSG);
	free(copy);
	free(plain);
	cof_secret_free(p.secrets);
}
END_TEST

#define E "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc"
#define B "EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U"
#define M "\n--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n"
#define V "age-encryption.org/v1\n"

static const struct {
	const char *header;
	int recipients; /* -1: malformed */
} headers[] = {
    {V "-> X25519 " E "\n" B M, 1},
    {V "-> X25519 " E "\n" B "\n-> X25519 " E "\n" B M, 2},
    {V "-> other a b c\n\n-> X25519 " E "\n" B M, 1},
    {V "-> other\n" E B "\n" M, -1}, /* a line of more than 64 */
    {V "-> X25519 " E "\n" B "\n", -1},
    {V M, -1},
    {"age-encryption.org/v2\n-> X25519 " E "\n" B M, -1},
    {V "-> X25519\n" B M, -1},
    {V "-> X25519 " E " x\n" B M, -1},
    {V "-> X25519  " E "\n" B M, -1},
    {V "-> X25519 " E " \n" B M, -1},
    {V "->  X25519 " E "\n" B M, -1},
    {V "->X25519 " E "\n" B M, -1},
    {V "-> \n" B M, -1},
    {V "-> X25519 " E "\r\n" B M, -1},
    {V "-> X25519 " E "=\n" B M, -1},
    {V "-> X25519 " E "\n" B "=" M, -1},
    {V "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCd\n" B M, -1}, /* bits in the filling */
    {V "-> X25519 " E "\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7V" M, -1},
    {V "-> X25519 " E "\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7" M, -1},
    {V "-> X25519 " E "\n" B "\n" M, -1}, /* an empty line */
    {V "-> X25519 " E "\n" M, -1},
    {V "-> X25519 " E "\n" B "\n---Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n", -1},
    {V "-> X25519 " E "\n" B "\n--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI\n", -1},
    {V "-> X25519 " E "\n" B "\n--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0 \n", -1},
    {V "-> X25519 " E "\n" B "\n--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0", -1},
};

START_TEST(headers_strict)
{
	for (size_t i = 0; i < COF_COUNT(headers); i++) {
		size_t n = 77, others = 0;
		int err = cof_age_recipients(headers[i].header, strlen(headers[i].header), &n, &others);

		ck_assert_msg(err == (headers[i].recipients < 0 ? -EUCLEAN : 0), "header %zu: %d", i, err);
		ck_assert_msg(err || (int)n == headers[i].recipients, "header %zu: %zu recipients", i, n);
	}
}
END_TEST

/* ---- against the program ---- */

static void write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

static size_t read_file(const char *path, void *p, size_t cap)
{
	FILE *f = fopen(path, "re");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(p, 1, cap, f);
	ck_assert(feof(f));
	fclose(f);
	return n;
}

static void command(const char *text)
{
	ck_assert_msg(system(text) == 0, "failed: %s", text);
}

static void program_size(const struct pair *p, size_t n, uint8_t *plain, uint8_t *file)
{
	cof_autobuf struct cof_buf b = {0};
	size_t len;

	fill(plain, n);
	write_file("plain", plain, n);
	command("age -r \"$R1\" -r \"$R2\" -o theirs plain");
	len = read_file("theirs", file, COF_AGE_FILE_MAX + 1);
	ck_assert_int_eq(opens(p, 0, file, len, plain, n), 0);
	ck_assert_int_eq(opens(p, 1, file, len, plain, n), 0);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[32])p->public_keys, 2, plain, n, NULL, &b), 0);
	write_file("ours", b.data, b.len);
	command("age -d -i id1 ours | cmp -s - plain && age -d -i id2 ours | cmp -s - plain");
	command("rm theirs");
}

START_TEST(program_age)
{
	uint8_t *plain = malloc(COF_AGE_PLAIN_MAX), *file = malloc(COF_AGE_FILE_MAX + 1);
	const char *tmp = getenv("TMPDIR");
	char dir[4096];
	struct pair p;

	if (system("command -v age > /dev/null") != 0) {
		fprintf(stderr, "the program age is not installed: not compared\n");
		free(plain);
		free(file);
		return;
	}
	pair_open(&p);
	snprintf(dir, sizeof(dir), "%s/coffer-age.XXXXXX", tmp ? tmp : P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	write_file("id1", identity_1, strlen(identity_1));
	write_file("id2", identity_2, strlen(identity_2));
	setenv("R1", recipient_1, 1);
	setenv("R2", recipient_2, 1);
	for (size_t i = 0; i < COF_COUNT(sizes); i++)
		program_size(&p, sizes[i], plain, file);
	command("rm id1 id2 plain ours");
	ck_assert_int_eq(rmdir(dir), 0);
	cof_secret_free(p.secrets);
	free(plain);
	free(file);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("age");
	TCase *t = crypto_case("x25519");

	tcase_add_test(t, x25519_known_answers);
	tcase_add_test(t, x25519_repeated);
	tcase_add_test(t, x25519_low_order);
	suite_add_tcase(s, t);
	t = crypto_case("age");
	tcase_add_test(t, keys_as_text);
	tcase_add_test(t, keys_refused);
	tcase_add_test(t, identity_files);
	tcase_add_test(t, there_and_back);
	tcase_add_test(t, streams);
	tcase_add_test(t, altered);
	tcase_add_test(t, chunks);
	tcase_add_test(t, headers_strict);
	tcase_add_test(t, program_age);
	suite_add_tcase(s, t);
	return s;
}
