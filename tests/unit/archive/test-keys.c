/* SPDX-License-Identifier: Apache-2.0 */
/* keys/ and seal/: made, opened again, refused with a sentence, never with a wrong key. */
#include <stdio.h>

#include "crypto/keytree.h"
#include "fs/archive/archive.h"
#include "fs/archive/keys-box.h"
#include "fs/archive/keys-nv.h"
#include "support.h"

static struct store s;
static uint8_t id[16];
static struct cof_keys *made;
static uint8_t auditor[32], public_key[32];

static void setup(void)
{
	struct cof_diag diag = {""};
	int r;

	store_new(&s, STORE_SIM);
	memset(id, 0x5a, sizeof(id));
	ck_assert_int_eq(cof_io_mkdir(s.io, "keys"), 0);
	ck_assert_int_eq(cof_io_mkdir(s.io, "seal"), 0);
	ck_assert_int_eq(cof_io_sync_dir(s.io, ""), 0);
	r = cof_keys_make(s.io, id, &s.secret, NULL, 0, auditor, public_key, &made, &diag);
	ck_assert_msg(r == 0, "%s", diag.text);
}

static void teardown(void)
{
	cof_keys_free(made);
	made = NULL;
	store_done(&s);
}

static struct cof_keys *must_open(void)
{
	struct cof_keys *k = NULL;
	struct cof_diag diag = {""};
	int r = cof_keys_open(s.io, id, &s.secret, &k, &diag);

	ck_assert_msg(r == 0, "%s", diag.text);
	return k;
}

static void cannot_open(int error, const char *word)
{
	struct cof_keys *k = NULL;
	struct cof_diag diag = {""};
	int r = cof_keys_open(s.io, id, &s.secret, &k, &diag);

	ck_assert_msg(r == error, "%d: %s", r, diag.text);
	ck_assert_ptr_null(k);
	ck_assert_msg(strstr(diag.text, word) != NULL, "no '%s' in: %s", word, diag.text);
}

static void payload(const struct cof_keys *k, uint64_t object, uint8_t out[COF_KEY])
{
	static const uint8_t salt[32] = {1, 2, 3};

	ck_assert_int_eq(cof_keys_payload(k, object, 4, salt, out), 0);
}

START_TEST(opened_again)
{
	struct cof_keys *k = must_open();
	uint8_t a[COF_KEY], b[COF_KEY];
	struct cof_log_secrets l;

	ck_assert_mem_eq(cof_keys_index(k), cof_keys_index(made), 32);
	ck_assert_uint_eq(cof_keys_epoch(k), 1);
	ck_assert_uint_eq(cof_keys_lineage(k), 1);
	cof_keys_log_secrets(k, &l);
	ck_assert_mem_eq(l.epoch_secret, auditor, 32);
	ck_assert_int_eq(cof_ed25519_public(l.signing_seed, a), 0);
	ck_assert_mem_eq(a, public_key, 32);
	payload(made, 7, a);
	payload(k, 7, b);
	ck_assert_mem_eq(a, b, COF_KEY);
	payload(k, 8, b);
	ck_assert_mem_ne(a, b, COF_KEY);
	cof_keys_free(k);
}
END_TEST

/* Recomputed from docs/format.md 7.3 and 7.4 with the primitives alone. */
START_TEST(payload_key_as_specified)
{
	static const uint8_t salt[32] = {1, 2, 3};
	uint8_t part[2 * COF_KEY], object_key[COF_KEY], want[COF_KEY], got[COF_KEY], info[64];
	const uint64_t object = 0x123456789abcull;
	size_t n;

	ck_assert_int_eq(cof_keytree_derive(made->tree[0], object, part), 0);
	ck_assert_int_eq(cof_keytree_derive(made->tree[1], object, part + COF_KEY), 0);
	n = strlen("coffer/1 file key");
	memcpy(info, "coffer/1 file key", n);
	cof_put_le64(info + n, object);
	ck_assert_int_eq(cof_hkdf(NULL, 0, part, sizeof(part), info, n + 8, object_key, 32), 0);
	n = strlen("coffer/1 payload key");
	memcpy(info, "coffer/1 payload key", n);
	memcpy(info + n, id, 16);
	cof_put_le64(info + n + 16, object);
	cof_put_le32(info + n + 24, 4);
	ck_assert_int_eq(cof_hkdf(salt, 32, object_key, 32, info, n + 28, want, 32), 0);
	payload(made, object, got);
	ck_assert_mem_eq(got, want, COF_KEY);
}
END_TEST

static uint8_t frame_key[COF_KEY] = {4, 2};
static const struct cof_mixing mount = {.key = frame_key, .sequence = 17};

START_TEST(epochs)
{
	uint8_t want[COF_KEY];
	struct cof_log_secrets l;
	struct cof_keys *k = must_open();

	ck_assert_uint_eq(cof_keys_mixed_at(k), COF_NOT_MIXED);
	ck_assert_int_eq(cof_keys_advance(k, s.io, NULL, &mount, NULL), 0);
	ck_assert_uint_eq(cof_keys_epoch(k), 2);
	cof_keys_free(k);
	k = must_open();
	ck_assert_uint_eq(cof_keys_epoch(k), 2);
	ck_assert_int_eq(cof_seal_epoch_next(auditor, want), 0);
	cof_keys_log_secrets(k, &l);
	ck_assert_mem_eq(l.epoch_secret, want, 32);
	ck_assert_uint_eq(cof_keys_mixed_at(k), 17);
	ck_assert_int_eq(cof_hkdf(NULL, 0, frame_key, 32, "coffer/1 seal mix", 17, want, 32), 0);
	ck_assert_mem_eq(k->next.mix, want, 32);
	cof_keys_free(k);
}
END_TEST

/* As docs/format.md 7.5 has it; once for each frame, and only behind the one before. */
START_TEST(mixed)
{
	uint8_t key[COF_KEY] = {7}, want[COF_KEY], start[COF_KEY];
	struct cof_mixing m = {.on = 17, .key = key, .sequence = 21}, again = {.on = 17, .key = key, .sequence = 25};
	enum cof_tpm_cause cause;
	struct cof_keys *k = must_open();
	uint64_t found = 0;

	ck_assert_int_eq(cof_keys_advance(k, s.io, NULL, &mount, NULL), 0);
	memcpy(start, k->next.mix, 32);
	ck_assert_int_eq(cof_keys_mix(k, s.io, NULL, &m, &found, &cause, NULL), 0);
	ck_assert_int_eq(cof_hkdf(key, 32, start, 32, "coffer/1 seal mix", 17, want, 32), 0);
	ck_assert_int_eq(cof_keys_mix(k, s.io, NULL, &again, &found, &cause, NULL), -ESTALE);
	ck_assert_uint_eq(found, 21);
	cof_keys_free(k);
	k = must_open();
	ck_assert_int_eq(cof_keys_mix(k, s.io, NULL, &m, &found, &cause, NULL), 0);
	ck_assert_mem_eq(k->next.mix, want, 32);
	ck_assert_uint_eq(cof_keys_epoch(k), 2);
	cof_keys_free(k);
}
END_TEST

/* A power cut at each operation of the step: the epoch before or the one behind, never none. */
START_TEST(epoch_over_a_power_cut)
{
	for (uint64_t n = 1; n < 12; n++) {
		struct cof_keys *k = must_open();
		uint64_t epoch = cof_keys_epoch(k);
		int r;

		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + n);
		r = cof_keys_advance(k, s.io, NULL, &mount, NULL);
		ck_assert_uint_eq(cof_keys_epoch(k), epoch + (r == 0));
		cof_keys_free(k);
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, n % 2 ? COF_SIM_TEAR : COF_SIM_LOSE);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		k = must_open();
		ck_assert(cof_keys_epoch(k) == epoch || cof_keys_epoch(k) == epoch + 1);
		ck_assert(r < 0 || cof_keys_epoch(k) == epoch + 1);
		cof_keys_free(k);
	}
}
END_TEST

START_TEST(wrong_secrets)
{
	s.key[0] ^= 1;
	cannot_open(-EKEYREJECTED, "wrong key file");
	s.key[0] ^= 1;
	s.secret.len = 47;
	cannot_open(-EKEYREJECTED, "wrong key file");
	s.secret.len = 20;
	cannot_open(-EKEYREJECTED, "32 to 4096");
	s.secret.len = 48;
	s.secret.kind = COF_OPENER_PASSPHRASE;
	cannot_open(-ENOKEY, "passphrase");
	s.secret.kind = COF_OPENER_FILE;
	id[0] ^= 1;
	cannot_open(-EXDEV, "another archive");
}
END_TEST

static const char *const files[] = {"seal/file-1", "keys/top", "keys/epoch"};

/* Any flipped bit in any of the files is noticed; nothing crashes. */
START_TEST(flipped_bits)
{
	const uint8_t *p;
	size_t n;

	ck_assert_int_eq(cof_sim_peek(s.sim, files[_i], &p, &n), 0);
	for (size_t off = 0; off < n; off++) {
		struct cof_keys *k = NULL;
		struct cof_diag diag = {""};
		int r;

		ck_assert_int_eq(cof_sim_flip(s.sim, files[_i], off, off % 8), 0);
		r = cof_keys_open(s.io, id, &s.secret, &k, &diag);
		ck_assert_msg(r < 0 && !k, "%s, byte %zu", files[_i], off);
		ck_assert_uint_gt(strlen(diag.text), 10);
		ck_assert_int_eq(cof_sim_flip(s.sim, files[_i], off, off % 8), 0);
	}
	cof_keys_free(must_open());
}
END_TEST

START_TEST(cut_files)
{
	cof_autofree uint8_t *whole = NULL;
	size_t n;

	ck_assert_int_eq(cof_io_load(s.io, files[_i], 4096, &whole, &n), 0);
	for (size_t len = 0; len < n; len += len < 8 ? 1 : 13) {
		ck_assert_int_eq(cof_io_replace(s.io, files[_i], whole, len), 0);
		cannot_open(-EUCLEAN, "damaged");
	}
	ck_assert_int_eq(cof_io_unlink(s.io, files[_i]), 0);
	if (_i == 0)
		cannot_open(-ENOKEY, "holds no opener");
	else
		cannot_open(-ENOENT, "missing");
}
END_TEST

/* Several openers, some of them not for us, and files that are none. */
START_TEST(several_openers)
{
	cof_autofree uint8_t *blob = NULL;
	struct cof_json *names = cof_json_array();
	struct cof_keys *k;
	size_t n;

	ck_assert_int_eq(cof_io_load(s.io, "seal/file-1", 4096, &blob, &n), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "seal/file-12", blob, n), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "seal/file-01", "x", 1), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "seal/file-", "x", 1), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "seal/notes", "x", 1), 0);
	blob[100] ^= 1;
	ck_assert_int_eq(cof_io_replace(s.io, "seal/file-1", blob, n), 0);
	k = must_open(); /* by file-12 */
	cof_keys_free(k);
	ck_assert_int_eq(cof_keys_openers(s.io, names), 0);
	ck_assert_uint_eq(cof_json_count(names), 2);
	cof_json_free(names);
	ck_assert_int_eq(cof_io_unlink(s.io, "seal/file-12"), 0);
	cannot_open(-EKEYREJECTED, "wrong key file");
}
END_TEST

START_TEST(passphrase)
{
	static const struct cof_argon2_cost cheap = {64, 1, 1};
	struct cof_keys *k = NULL, *again = NULL;
	struct cof_diag diag = {""};
	uint8_t pub[32];
	char *text = cof_secret_alloc(16);

	ck_assert_int_eq(cof_io_unlink(s.io, "seal/file-1"), 0);
	memcpy(text, "open sesame", 11);
	s.secret = (struct cof_opener_secret){COF_OPENER_PASSPHRASE, text, 11};
	ck_assert_int_eq(cof_keys_make(s.io, id, &s.secret, &cheap, 0, NULL, pub, &k, &diag), 0);
	ck_assert_int_eq(cof_keys_open(s.io, id, &s.secret, &again, &diag), 0);
	ck_assert_mem_eq(cof_keys_index(again), cof_keys_index(k), 32);
	cof_keys_free(again);
	cof_keys_free(k);
	text[0] = 'O';
	cannot_open(-EKEYREJECTED, "wrong passphrase");
	s.secret.len = 0;
	cannot_open(-EKEYREJECTED, "1 to 1024");
	cof_secret_free(text);
}
END_TEST

/* No key lies in the files in clear. */
START_TEST(destroyed)
{
	const struct cof_renewal renewal = {.tpm = NULL};
	const uint64_t gone[] = {7, 300, 70000};
	struct cof_diag diag = {""};
	struct cof_keys *k;

	for (unsigned round = 0; round < 2; round++) /* once more it changes nothing */
		ck_assert_msg(cof_keys_destroy(made, s.io, gone, COF_COUNT(gone), &renewal, &diag) == 0, "%s", diag.text);
	ck_assert_uint_eq(made->generation, 2);
	k = must_open();
	for (size_t i = 0; i < COF_COUNT(gone); i++) {
		ck_assert(cof_keys_destroyed(made, gone[i]) && cof_keys_destroyed(k, gone[i]));
		ck_assert(!cof_keys_destroyed(k, gone[i] + 1));
	}
	ck_assert_int_eq(cof_io_exists(s.io, "keys/h-00000000"), 1);
	ck_assert_int_eq(cof_io_exists(s.io, "keys/r-00000001"), 1);
	cof_keys_free(k);
}
END_TEST

START_TEST(too_many_to_destroy)
{
	enum { FEW = 400, MANY = 600 };
	uint64_t scattered[MANY], together[MANY];
	size_t seeds = 0;

	for (uint64_t i = 0; i < MANY; i++) {
		scattered[i] = 10 + 300 * i;
		together[i] = 10 + i;
	}
	ck_assert_int_eq(cof_keys_room(made, scattered, FEW, &seeds), 0);
	ck_assert_int_eq(cof_keys_room(made, together, MANY, &seeds), 0);
	ck_assert_int_eq(cof_keys_room(made, scattered, MANY, &seeds), -E2BIG);
	ck_assert_uint_gt(seeds, COF_KEYS_SEEDS_MAX);
	ck_assert(!cof_keys_destroyed(made, scattered[0]));
}
END_TEST

START_TEST(nothing_in_clear)
{
	uint8_t key[COF_KEY];

	payload(made, 7, key);
	for (size_t i = 0; i < COF_COUNT(files); i++) {
		const uint8_t *p;
		size_t n;

		ck_assert_int_eq(cof_sim_peek(s.sim, files[i], &p, &n), 0);
		ck_assert_ptr_null(memmem(p, n, auditor, 32));
		ck_assert_ptr_null(memmem(p, n, made->root, 32));
		ck_assert_ptr_null(memmem(p, n, made->signing, 32));
		ck_assert_ptr_null(memmem(p, n, made->state, 32));
		ck_assert_ptr_null(memmem(p, n, made->index, 32));
		ck_assert_ptr_null(memmem(p, n, made->wraps[0].key, 32));
		ck_assert_ptr_null(memmem(p, n, key, 32));
		ck_assert_ptr_null(memmem(p, n, s.key, 16));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-keys");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("keys");
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, opened_again);
	tcase_add_test(c, payload_key_as_specified);
	tcase_add_test(c, epochs);
	tcase_add_test(c, mixed);
	tcase_add_test(c, epoch_over_a_power_cut);
	tcase_add_test(c, wrong_secrets);
	tcase_add_loop_test(c, flipped_bits, 0, COF_COUNT(files));
	tcase_add_loop_test(c, cut_files, 0, COF_COUNT(files));
	tcase_add_test(c, several_openers);
	tcase_add_test(c, passphrase);
	tcase_add_test(c, destroyed);
	tcase_add_test(c, too_many_to_destroy);
	tcase_add_test(c, nothing_in_clear);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
