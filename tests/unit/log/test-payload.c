/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads and derived keys. The vectors were made by another program from docs/format.md. */
#include "test-log.h"

#define PLAIN 65636u /* two chunks */
#define PUBLIC 40u
#define STORED (PLAIN + 2 * COF_TAG + PUBLIC)

struct sealed {
	struct cof_frame f;
	struct cof_aead *aead;
	uint8_t id[16], public_part[PUBLIC], public_hash[COF_HASH];
	uint8_t *plain, *stored;
};

static void begin(struct sealed *s)
{
	uint8_t key[COF_KEY];

	memset(s, 0, sizeof(*s));
	s->plain = malloc(PLAIN);
	s->stored = malloc(STORED);
	for (unsigned i = 0; i < 16; i++)
		s->id[i] = (uint8_t)i;
	for (unsigned i = 0; i < COF_KEY; i++)
		key[i] = (uint8_t)i;
	for (unsigned i = 0; i < PUBLIC; i++)
		s->public_part[i] = (uint8_t)(7 + i);
	for (unsigned i = 0; i < PLAIN; i++)
		s->plain[i] = (uint8_t)(i * 7 + 3);
	s->f = (struct cof_frame){.type = COF_APPEND,
				  .version = 1,
				  .flags = COF_FRAME_COMMITMENT,
				  .object = 0x1112131415161718,
				  .position = 0x2122232425262728,
				  .length = PLAIN,
				  .counter = 0x3132333435363738,
				  .mount = 0x41424344};
	cof_sha256(s->public_part, PUBLIC, s->public_hash);
	ck_assert_int_eq(cof_aead_new(key, &s->aead), 0);
	ck_assert_int_eq(
	    cof_payload_seal(&s->f, s->aead, s->id, s->public_part, PUBLIC, s->plain, s->stored),
	    0);
}

static void end(struct sealed *s)
{
	cof_aead_free(s->aead);
	free(s->plain);
	free(s->stored);
}

START_TEST(known_payload)
{
	uint8_t hash[COF_HASH];
	struct sealed s;

	begin(&s);
	ck_assert_uint_eq(s.f.stored, STORED);
	ck_assert_uint_eq(s.f.public_length, PUBLIC);
	cof_sha256(s.stored, STORED, hash);
	CHECK_HEX(hash, COF_HASH,
		  "c7d7a18c7ff5490aef612ba7d7cfff37b830d60be9ef86d8fb69c93f0a4d980c");
	CHECK_HEX(s.f.payload_hash, COF_HASH,
		  "09d5aa33e8aade49530a3634646c789f72482c0724432a77b9d079ac3bd06fb2");
	end(&s);
}
END_TEST

START_TEST(hashes_of_little)
{
	struct cof_frame f = {.type = COF_PAD, .version = 1};
	uint8_t id[16] = {0}, out[PUBLIC];
	struct sealed s;

	begin(&s);
	ck_assert_int_eq(cof_payload_seal(&f, NULL, id, s.public_part, PUBLIC, NULL, out), 0);
	CHECK_HEX(f.payload_hash, COF_HASH,
		  "19f5a96291117a78e321898c6761c0604cf87c5a8f29e47e88cd28dfa24ba602");
	ck_assert_int_eq(cof_payload_check(&f, out), 0);
	ck_assert_int_eq(cof_payload_seal(&f, NULL, id, NULL, 0, NULL, out), 0);
	ck_assert_uint_eq(f.stored, 0);
	CHECK_HEX(f.payload_hash, COF_HASH,
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert_int_eq(cof_payload_check(&f, out), 0);
	end(&s);
}
END_TEST

START_TEST(opens_chunk_by_chunk)
{
	uint8_t *out = malloc(COF_CHUNK);
	struct sealed s;

	begin(&s);
	ck_assert_int_eq(
	    cof_payload_open_chunk(&s.f, s.aead, s.id, s.public_hash, 0, s.stored + PUBLIC, out),
	    0);
	ck_assert_mem_eq(out, s.plain, COF_CHUNK);
	ck_assert_int_eq(cof_payload_open_chunk(&s.f, s.aead, s.id, s.public_hash, 1,
						s.stored + PUBLIC + COF_CHUNK + COF_TAG, out),
			 0);
	ck_assert_mem_eq(out, s.plain + COF_CHUNK, PLAIN - COF_CHUNK);
	ck_assert_int_eq(
	    cof_payload_open_chunk(&s.f, s.aead, s.id, s.public_hash, 2, s.stored, out), -EINVAL);
	free(out);
	end(&s);
}
END_TEST

/* Whatever a chunk is bound to: with any of it changed it does not open. */
START_TEST(a_chunk_is_bound_to_its_place)
{
	uint8_t *out = malloc(COF_CHUNK);
	struct sealed s;

	begin(&s);
	for (unsigned i = 0; i < 11; i++) {
		struct cof_frame f = s.f;
		uint8_t id[16], hash[COF_HASH];

		memcpy(id, s.id, 16);
		memcpy(hash, s.public_hash, COF_HASH);
		f.type ^= i == 0;
		f.version += i == 1;
		f.flags ^= i == 2;
		f.mount += i == 3;
		f.object += i == 4;
		f.position += i == 5;
		f.length += i == 6;
		f.counter += i == 7;
		id[3] ^= i == 8;
		hash[3] ^= i == 9;
		ck_assert_int_eq(
		    cof_payload_open_chunk(&f, s.aead, id, hash, 0, s.stored + PUBLIC, out),
		    i == 10 ? 0 : -EBADMSG);
	}
	/* a chunk in the place of another */
	ck_assert_int_eq(
	    cof_payload_open_chunk(&s.f, s.aead, s.id, s.public_hash, 1, s.stored + PUBLIC, out),
	    -EBADMSG);
	free(out);
	end(&s);
}
END_TEST

START_TEST(any_changed_byte_is_found)
{
	struct sealed s;

	begin(&s);
	ck_assert_int_eq(cof_payload_check(&s.f, s.stored), 0);
	for (uint32_t at = 0; at < STORED; at += at < 200 || at > 65400 ? 61 : 4099) {
		s.stored[at] ^= 0x40;
		ck_assert_int_eq(cof_payload_check(&s.f, s.stored), -EBADMSG);
		s.stored[at] ^= 0x40;
	}
	s.f.stored++;
	ck_assert_int_eq(cof_payload_check(&s.f, s.stored), -EBADMSG);
	s.f.stored = 0;
	s.f.length = UINT32_MAX;
	ck_assert_int_eq(cof_payload_check(&s.f, s.stored), -EBADMSG);
	end(&s);
}
END_TEST

START_TEST(what_cannot_be_sealed)
{
	struct cof_frame f;
	struct sealed s;

	begin(&s);
	f = s.f; /* sealed text and no key */
	ck_assert_int_eq(cof_payload_seal(&f, NULL, s.id, s.public_part, PUBLIC, s.plain, s.stored),
			 -EINVAL);
	f.counter = UINT64_MAX - 1;
	ck_assert_int_eq(
	    cof_payload_seal(&f, s.aead, s.id, s.public_part, PUBLIC, s.plain, s.stored), -EINVAL);
	f = s.f; /* a commitment without its bytes */
	ck_assert_int_eq(cof_payload_seal(&f, s.aead, s.id, s.public_part, 31, s.plain, s.stored),
			 -EINVAL);
	f.length = COF_FRAME_LENGTH_MAX + 1;
	ck_assert_int_eq(
	    cof_payload_seal(&f, s.aead, s.id, s.public_part, PUBLIC, s.plain, s.stored), -EINVAL);
	end(&s);
}
END_TEST

/* ---- keys ---- */

START_TEST(known_keys)
{
	uint8_t h[32], r[32], salt[32], id[16], object[32], payload[32], commitment[32];

	memset(h, 1, 32);
	memset(r, 2, 32);
	memset(salt, 3, 32);
	for (unsigned i = 0; i < 16; i++)
		id[i] = (uint8_t)i;
	ck_assert_int_eq(cof_key_object(h, r, 0x123456, object), 0);
	CHECK_HEX(object, 32, "33d26e45d60f42b34c02fe4bc90f883635a44626638d230f7fa5bad63b58409b");
	ck_assert_int_eq(cof_key_payload(object, salt, id, 0x123456, 7, payload), 0);
	CHECK_HEX(payload, 32, "9dd782861d816d9258ae22414bd64ef6d55aae8abd5eca3853381ee833b58e6c");
	cof_key_commitment(payload, id, 0x123456, 7, commitment);
	CHECK_HEX(commitment, 32,
		  "c47538d3905403e81f1f9ea34fc8bc36e6976e41843fbf4b29c24cabedb52737");
}
END_TEST

START_TEST(known_seal)
{
	uint8_t secret[32], next[32], salt[32], id[16], k[32], tag[16], previous[32];
	uint8_t raw[COF_FRAME_HEADER];

	memset(secret, 4, 32);
	memset(salt, 3, 32);
	for (unsigned i = 0; i < 16; i++)
		id[i] = (uint8_t)i;
	for (unsigned i = 0; i < 32; i++)
		previous[i] = (uint8_t)(50 + i);
	ck_assert_int_eq(cof_seal_epoch_next(secret, next), 0);
	CHECK_HEX(next, 32, "9ac0099ac7602ea1839b1f55e98276368b628b5c33f3ac6221fc33d3e66eede8");
	ck_assert_int_eq(cof_seal_epoch_next(secret, secret), 0); /* in place, as verify does */
	ck_assert_mem_eq(secret, next, 32);
	memset(secret, 4, 32);
	ck_assert_int_eq(cof_seal_mount_key(secret, salt, id, k), 0);
	CHECK_HEX(k, 32, "fa1ab253eee63a0e3257e85523c951e95f0794e5d521e2668d1d4ce6315e3e14");

	struct cof_frame f = {.type = COF_APPEND,
			      .version = 1,
			      .flags = COF_FRAME_COMMITMENT,
			      .sequence = 0x0102030405060708,
			      .object = 0x1112131415161718,
			      .position = 0x2122232425262728,
			      .length = PLAIN,
			      .stored = STORED,
			      .counter = 0x3132333435363738,
			      .mount = 0x41424344,
			      .actor = 0x51525354,
			      .retention_time = 0x6162636465666768,
			      .record_time = -2,
			      .public_length = PUBLIC};

	for (unsigned i = 0; i < COF_HASH; i++)
		f.payload_hash[i] = (uint8_t)i;
	memset(f.seal_tag, 0xee, 16); /* tag and check do not count */
	cof_frame_encode(&f, raw);
	cof_seal_tag(k, raw, previous, tag);
	CHECK_HEX(tag, 16, "dee294b8e505df17821a81b8ade55354");
	CHECK_HEX(k, 32, "8e7df7f72e528a2d3007251f8aa20ac4727c283b90da468131f3b0ff3cfc2055");
}
END_TEST

TCase *payload_case(void)
{
	TCase *t = tcase_create("payload");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, known_payload);
	tcase_add_test(t, hashes_of_little);
	tcase_add_test(t, opens_chunk_by_chunk);
	tcase_add_test(t, a_chunk_is_bound_to_its_place);
	tcase_add_test(t, any_changed_byte_is_found);
	tcase_add_test(t, what_cannot_be_sealed);
	tcase_add_test(t, known_keys);
	tcase_add_test(t, known_seal);
	return t;
}
