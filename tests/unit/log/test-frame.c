/* SPDX-License-Identifier: Apache-2.0 */
/* Frame headers. The vectors were made by another program from docs/format.md. */
#include "test-log.h"

#define HEADER                                                                                     \
	"434f46520701010008070605040302011817161514131211282726252423222164000100ac00010038373635" \
	"3433323144434241545352516867666564636261feffffffffffffff000102030405060708090a0b0c0d0e0f" \
	"101112131415161718191a1b1c1d1e1f6465666768696a6b6c6d6e6f70717273280000003bf25a09"

static struct cof_frame sample(void)
{
	struct cof_frame f = {.type = COF_APPEND,
			      .version = 1,
			      .flags = COF_FRAME_COMMITMENT,
			      .sequence = 0x0102030405060708,
			      .object = 0x1112131415161718,
			      .position = 0x2122232425262728,
			      .length = 65636,
			      .stored = 65636 + 2 * COF_TAG + 40,
			      .counter = 0x3132333435363738,
			      .mount = 0x41424344,
			      .actor = 0x51525354,
			      .retention_time = 0x6162636465666768,
			      .record_time = -2,
			      .public_length = 40};

	for (unsigned i = 0; i < COF_HASH; i++)
		f.payload_hash[i] = (uint8_t)i;
	for (unsigned i = 0; i < 16; i++)
		f.seal_tag[i] = (uint8_t)(100 + i);
	return f;
}

START_TEST(known_bytes)
{
	struct cof_frame f = sample(), back;
	uint8_t raw[COF_FRAME_HEADER], leaf[COF_HASH], previous[COF_HASH];

	cof_frame_encode(&f, raw);
	CHECK_HEX(raw, sizeof(raw), HEADER);
	ck_assert_int_eq(cof_frame_decode(raw, &back, NULL), 0);
	ck_assert_uint_eq(back.type, f.type);
	ck_assert_uint_eq(back.flags, f.flags);
	ck_assert_uint_eq(back.sequence, f.sequence);
	ck_assert_uint_eq(back.object, f.object);
	ck_assert_uint_eq(back.position, f.position);
	ck_assert_uint_eq(back.length, f.length);
	ck_assert_uint_eq(back.stored, f.stored);
	ck_assert_uint_eq(back.public_length, f.public_length);
	ck_assert_uint_eq(back.counter, f.counter);
	ck_assert_uint_eq(back.mount, f.mount);
	ck_assert_uint_eq(back.actor, f.actor);
	ck_assert_int_eq(back.retention_time, f.retention_time);
	ck_assert_int_eq(back.record_time, -2);
	ck_assert_mem_eq(back.payload_hash, f.payload_hash, COF_HASH);
	ck_assert_mem_eq(back.seal_tag, f.seal_tag, 16);
	for (unsigned i = 0; i < COF_HASH; i++)
		previous[i] = (uint8_t)(50 + i);
	cof_frame_leaf(raw, previous, leaf);
	CHECK_HEX(leaf, COF_HASH,
		  "9c4933198dc16d1bb714fd02032926f7863213d09091077187264b10315f38f7");
}
END_TEST

START_TEST(every_bit_counts)
{
	struct cof_frame f = sample(), back = {.sequence = 77};
	uint8_t raw[COF_FRAME_HEADER];

	cof_frame_encode(&f, raw);
	for (unsigned bit = 0; bit < 8 * COF_FRAME_HEADER; bit++) {
		struct cof_diag d = {{0}};

		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(cof_frame_decode(raw, &back, &d), -EUCLEAN);
		ck_assert_str_ne(d.text, "");
		ck_assert_uint_eq(back.sequence, 77); /* untouched */
		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memset(raw, 0, 4); /* nothing was ever written here */
	ck_assert_int_eq(cof_frame_decode(raw, &back, NULL), -ENODATA);
}
END_TEST

/* Headers with a right check that say what cannot be. */
struct lie {
	const char *what; /* in the diagnosis */
	int err;
	void (*tell)(struct cof_frame *f);
};

static void version(struct cof_frame *f)
{
	f->version = 2;
}
static void no_type(struct cof_frame *f)
{
	f->type = 0;
}
static void flags(struct cof_frame *f)
{
	f->flags |= 0x8000;
}
static void too_long(struct cof_frame *f)
{
	f->length = COF_FRAME_LENGTH_MAX + 1;
	f->stored = f->length + 17 * COF_TAG + f->public_length;
}
static void too_public(struct cof_frame *f)
{
	f->public_length = COF_FRAME_LENGTH_MAX + 1;
	f->stored = f->length + 2 * COF_TAG + f->public_length;
}
static void wraps(struct cof_frame *f)
{
	f->length = UINT32_MAX;
	f->stored = 39;
}
static void stored_more(struct cof_frame *f)
{
	f->stored++;
}
static void stored_less(struct cof_frame *f)
{
	f->stored -= COF_TAG;
}
static void no_room(struct cof_frame *f)
{
	f->public_length = 31;
	f->stored -= 9;
}
static void idle_counter(struct cof_frame *f)
{
	f->stored = f->public_length;
	f->length = 0;
}
static void counter_over(struct cof_frame *f)
{
	f->counter = UINT64_MAX - 1;
}

static const struct lie lies[] = {
    {"version", -EOPNOTSUPP, version},
    {"type 0", -EUCLEAN, no_type},
    {"flags", -EUCLEAN, flags},
    {"length", -EUCLEAN, too_long},
    {"public length", -EUCLEAN, too_public},
    {"length", -EUCLEAN, wraps},
    {"stored length", -EUCLEAN, stored_more},
    {"stored length", -EUCLEAN, stored_less},
    {"commitment", -EUCLEAN, no_room},
    {"counter", -EUCLEAN, idle_counter},
    {"counter", -EUCLEAN, counter_over},
};

START_TEST(a_lie_is_refused)
{
	struct cof_frame f = sample(), back;
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_diag d = {{0}};

	lies[_i].tell(&f);
	cof_frame_encode(&f, raw);
	ck_assert_int_eq(cof_frame_decode(raw, &back, &d), lies[_i].err);
	ck_assert_msg(strstr(d.text, lies[_i].what) != NULL, "%s", d.text);
}
END_TEST

START_TEST(what_is_not_known_passes)
{
	struct cof_frame f = {.type = 200,
			      .version = 1,
			      .length = COF_FRAME_LENGTH_MAX,
			      .public_length = COF_FRAME_LENGTH_MAX};
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_frame back;

	f.stored = 2 * COF_FRAME_LENGTH_MAX + 16 * COF_TAG;
	cof_frame_encode(&f, raw);
	ck_assert_int_eq(cof_frame_decode(raw, &back, NULL), 0);
	ck_assert_uint_eq(back.stored, f.stored);
	ck_assert_str_eq(cof_frame_type_name(200), "opaque");
	ck_assert_str_eq(cof_frame_type_name(COF_POLICY), "policy");
	ck_assert_str_eq(cof_frame_type_name(COF_APPEND), "append");
	ck_assert_str_eq(cof_frame_type_name(COF_SHELF), "shelf");
	ck_assert_int_eq(COF_SHELF, 29);
	ck_assert_int_eq(COF_CLOCK, 26);
}
END_TEST

TCase *frame_case(void)
{
	TCase *t = tcase_create("frame");

	tcase_add_test(t, known_bytes);
	tcase_add_test(t, every_bit_counts);
	tcase_add_loop_test(t, a_lie_is_refused, 0, (int)COF_COUNT(lies));
	tcase_add_test(t, what_is_not_known_passes);
	return t;
}
