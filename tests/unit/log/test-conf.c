/* SPDX-License-Identifier: Apache-2.0 */
/* archive.conf: one text for one identity. */
#include <stdio.h>

#include "fs/io/sim.h"
#include "test-log.h"

static struct cof_conf sample(void)
{
	struct cof_conf c = {.segment_size = 64u << 20,
			     .created = 1700000000123 * 1000000,
			     .flags = COF_ARCHIVE_TRIAL};
	uint8_t pub[32], seed[32] = {7};

	for (unsigned i = 0; i < 16; i++)
		c.id[i] = (uint8_t)(16 * i + i);
	ck_assert_int_eq(cof_ed25519_public(seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("example.org/log", COF_NOTE_ED25519, pub, &c.vkey), 0);
	return c;
}

static char *text_of(const struct cof_conf *c)
{
	struct cof_buf b = {0};

	ck_assert_int_eq(cof_conf_text(c, &b), 0);
	return (char *)b.data;
}

static int parse(const char *text, struct cof_diag *d)
{
	struct cof_conf c;

	return cof_conf_parse(text, strlen(text), &c, d);
}

START_TEST(there_and_back)
{
	struct cof_conf c = sample(), back;
	cof_autofree char *text = text_of(&c);
	char vkey[COF_VKEY_MAX], expect[1024];

	cof_vkey_text(&c.vkey, vkey);
	snprintf(expect, sizeof(expect),
		 "[archive]\nformat = 1\nid = 00112233445566778899aabbccddeeff\n"
		 "origin = example.org/log\nvkey = %s\nsegment_size = 67108864\n"
		 "created = 2023-11-14T22:13:20.123Z\nflags = 1\n",
		 vkey);
	ck_assert_str_eq(text, expect);
	ck_assert_int_eq(cof_conf_parse(text, strlen(text), &back, NULL), 0);
	ck_assert_mem_eq(back.id, c.id, 16);
	ck_assert_str_eq(back.vkey.name, c.vkey.name);
	ck_assert_mem_eq(back.vkey.public_key, c.vkey.public_key, 32);
	ck_assert_uint_eq(back.segment_size, c.segment_size);
	ck_assert_int_eq(back.created, c.created);
	ck_assert_uint_eq(back.flags, c.flags);
}
END_TEST

/* A changed byte gives another identity, or none: never the same one. */
START_TEST(every_byte_counts)
{
	struct cof_conf c = sample(), back;
	cof_autofree char *text = text_of(&c);
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1u << bit);
			if (cof_conf_parse(text, n, &back, NULL) == 0) {
				cof_autofree char *again = text_of(&back);

				ck_assert_str_eq(again, text);
			}
			text[i] ^= (char)(1u << bit);
		}
	}
	for (size_t i = 0; i < n; i++) /* nor is any beginning of it one */
		ck_assert_int_lt(cof_conf_parse(text, i, &back, NULL), 0);
}
END_TEST

struct change {
	const char *from, *to;
	int err;
};

static const struct change changes[] = {
    {"[archive]\n", "", -EUCLEAN},
    {"[archive]\n", "\n[archive]\n", -EUCLEAN},
    {"[archive]\n", "[archive] \n", -EUCLEAN},
    {"format = 1\n", "format = 2\n", -EOPNOTSUPP},
    {"format = 1\n", "format = 01\n", -EUCLEAN},
    {"format = 1\n", "format = 1\nformat = 1\n", -EUCLEAN},
    {"format = 1\n", "format =  1\n", -EUCLEAN},
    {"id = 00", "id = 0g", -EUCLEAN},
    {"id = 00", "id = ", -EUCLEAN},
    {"ff\norigin", "FF\norigin", -EUCLEAN},
    {"origin = example.org/log", "origin = example.org/lag", -EUCLEAN},
    {"segment_size = 67108864", "segment_size = 67108865", -EUCLEAN},
    {"segment_size = 67108864", "segment_size = 61440", -EUCLEAN},
    {"segment_size = 67108864", "segment_size = 2147483648", -EUCLEAN},
    {"segment_size = 67108864", "segment_size = 18446744073776660480", -EUCLEAN},
    {"segment_size = 67108864", "segment_size = -1", -EUCLEAN},
    {"created = 2023", "created = 20x3", -EUCLEAN},
    {"flags = 1\n", "flags = 4\n", -EUCLEAN},
    {"flags = 1\n", "flags = 1", -EUCLEAN},
    {"flags = 1\n", "flags = 1\n\n", -EUCLEAN},
    {"flags = 1\n", "flags = 1\nmore = 1\n", -EUCLEAN},
    {"flags = 1\n", "flags = 1\r\n", -EUCLEAN},
};

START_TEST(no_other_form)
{
	const struct change *ch = &changes[_i];
	struct cof_conf c = sample();
	cof_autofree char *text = text_of(&c);
	char *at = strstr(text, ch->from), out[1024];
	struct cof_diag d = {{0}};

	ck_assert_ptr_nonnull(at);
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, ch->to,
		 at + strlen(ch->from));
	ck_assert_int_eq(parse(out, &d), ch->err);
	ck_assert_ptr_nonnull(strstr(d.text, "archive.conf"));
}
END_TEST

START_TEST(not_written_wrong)
{
	struct cof_buf b COF_CLEANUP(cof_buf_done) = {0};
	struct cof_conf c = sample();

	c.segment_size = 65535;
	ck_assert_int_eq(cof_conf_text(&c, &b), -EINVAL);
	c = sample();
	c.flags = 8;
	ck_assert_int_eq(cof_conf_text(&c, &b), -EINVAL);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(loads_from_a_store)
{
	struct cof_conf c = sample(), back;
	cof_autofree char *text = text_of(&c);
	struct cof_sim *sim = cof_sim_new(1);
	cof_autofree char *big = malloc(5000);
	struct cof_diag d = {{0}};
	struct cof_io *io;

	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	ck_assert_int_eq(cof_conf_load(io, &back, &d), -ENOENT);
	ck_assert_ptr_nonnull(strstr(d.text, "not an archive"));
	memset(big, '#', 5000);
	ck_assert_int_eq(cof_io_replace(io, "archive.conf", big, 5000), 0);
	ck_assert_int_eq(cof_conf_load(io, &back, &d), -EUCLEAN);
	ck_assert_int_eq(cof_io_replace(io, "archive.conf", text, strlen(text)), 0);
	ck_assert_int_eq(cof_conf_load(io, &back, &d), 0);
	ck_assert_mem_eq(back.id, c.id, 16);
	cof_io_free(io);
	cof_sim_free(sim);
}
END_TEST

TCase *conf_case(void)
{
	TCase *t = tcase_create("conf");

	tcase_add_test(t, there_and_back);
	tcase_add_test(t, every_byte_counts);
	tcase_add_loop_test(t, no_other_form, 0, (int)COF_COUNT(changes));
	tcase_add_test(t, not_written_wrong);
	tcase_add_test(t, loads_from_a_store);
	return t;
}
