/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers, fields, varints, CRC-32C, fixed byte order, whole descriptors, the sentence of an error.
 */
#include "base/crc32c.c" /* for its table, which is not used where the processor has the instruction */
#include "test-base.h"

#include <fcntl.h>

START_TEST(crc_check_values)
{
	uint8_t bytes[32], header[48] = {0x01, 0xc0};

	ck_assert_uint_eq(cof_crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(cof_crc32c(0, "", 0), 0);
	/* RFC 3720, B.4 */
	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(cof_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(cof_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	ck_assert_uint_eq(cof_crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
	header[16] = 0x14;
	header[22] = 0x04;
	header[27] = 0x14;
	header[31] = 0x18;
	header[32] = 0x28;
	header[40] = 0x02;
	ck_assert_uint_eq(cof_crc32c(0, header, sizeof(header)), 0xd9963a56);
}
END_TEST

START_TEST(crc_continues)
{
	uint8_t bytes[300];
	uint32_t whole;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	whole = cof_crc32c(0, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		ck_assert_uint_eq(
		    cof_crc32c(cof_crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}
END_TEST

START_TEST(crc_both_ways)
{
	uint8_t bytes[128];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 101 + 7);
	ck_assert_uint_eq(~by_table(~0u, (const uint8_t *)"123456789", 9), 0xe3069283);
	for (size_t n = 0; n <= sizeof(bytes); n++)
		ck_assert_uint_eq(~by_table(~5u, bytes, n), cof_crc32c(5, bytes, n));
}
END_TEST

START_TEST(varint_round_trip)
{
	uint8_t out[10];
	uint64_t back;

	for (unsigned shift = 0; shift < 64; shift++) {
		for (int d = -1; d <= 1; d++) {
			uint64_t v = ((uint64_t)1 << shift) + (uint64_t)(int64_t)d;
			size_t n = cof_varint_put(out, v);

			ck_assert_int_eq(cof_varint_get(out, n, &back), (int)n);
			ck_assert(back == v);
			ck_assert_int_eq(cof_varint_get(out, n - 1, &back), -EUCLEAN);
		}
	}
	ck_assert_uint_eq(cof_varint_put(out, 300), 2);
	ck_assert_mem_eq(out, "\xac\x02", 2);
	ck_assert_uint_eq(cof_varint_put(out, UINT64_MAX), 10);
}
END_TEST

START_TEST(varint_malformed)
{
	uint64_t v = 7;

	/* too many bits, an eleventh byte, longer than needed, nothing */
	ck_assert_int_eq(
	    cof_varint_get((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &v),
	    -EUCLEAN);
	ck_assert_int_eq(
	    cof_varint_get((const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, &v),
	    -EUCLEAN);
	ck_assert_int_eq(cof_varint_get((const uint8_t *)"\x81\x00", 2, &v), -EUCLEAN);
	ck_assert_int_eq(cof_varint_get((const uint8_t *)"", 0, &v), -EUCLEAN);
	ck_assert_uint_eq(v, 7);
	ck_assert_int_eq(cof_varint_get((const uint8_t *)"\x00", 1, &v), 1);
	ck_assert_uint_eq(v, 0);
}
END_TEST

START_TEST(fixed_order)
{
	uint8_t b[8];

	cof_put_le64(b, 0x0102030405060708);
	ck_assert_mem_eq(b, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
	ck_assert(cof_get_le64(b) == 0x0102030405060708);
	ck_assert_uint_eq(cof_get_le16(b), 0x0708);
	cof_put_be64(b, 0xf102030405060708);
	ck_assert_mem_eq(b, "\xf1\x02\x03\x04\x05\x06\x07\x08", 8);
	ck_assert(cof_get_be64(b) == 0xf102030405060708);
	cof_put_be32(b, 0xfedcba98);
	ck_assert_mem_eq(b, "\xfe\xdc\xba\x98", 4);
	ck_assert_uint_eq(cof_get_le32(b), 0x98badcfe);
}
END_TEST

START_TEST(buffer_grows)
{
	cof_autobuf struct cof_buf b = {0};
	char expected[4] = "";

	for (int i = 0; i < 1000; i++)
		cof_buf_printf(&b, "%03d", i);
	ck_assert(!b.failed);
	ck_assert_uint_eq(b.len, 3000);
	ck_assert_uint_eq(strlen((char *)b.data), 3000);
	for (int i = 0; i < 1000; i++) {
		expected[0] = (char)('0' + i / 100);
		expected[1] = (char)('0' + i / 10 % 10);
		expected[2] = (char)('0' + i % 10);
		ck_assert_mem_eq(b.data + 3 * i, expected, 3);
	}
	cof_buf_wipe(&b);
	ck_assert_ptr_null(b.data);
	cof_buf_add(&b, "x", 1);
	ck_assert_str_eq((char *)b.data, "x");
}
END_TEST

START_TEST(buffer_fails_once_for_all)
{
	cof_autobuf struct cof_buf b = {0};

	cof_buf_add(&b, "a", 1);
	cof_buf_add(&b, "b", SIZE_MAX - 1);
	ck_assert(b.failed);
	cof_buf_add(&b, "c", 1);
	cof_buf_printf(&b, "d");
	ck_assert_uint_eq(b.len, 1);
}
END_TEST

START_TEST(fields_round_trip)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_field f;
	uint8_t u8, three[3];
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	size_t off = 0;

	cof_field_put_u8(&b, 3, 200);
	cof_field_put_u32(&b, 4, 0xdeadbeef);
	cof_field_put_u64(&b, 51, UINT64_MAX - 1);
	cof_field_put_i64(&b, 8, -5);
	cof_field_put_str(&b, 2, "a.log");
	cof_field_put(&b, 7, NULL, 0);
	cof_field_put(&b, 2, "two", 3);
	ck_assert(!b.failed);
	ck_assert_mem_eq(b.data, "\x03\x01\x00\xc8\x04\x04\x00\xef\xbe\xad\xde", 11);
	ck_assert_int_eq(cof_field_u8(b.data, b.len, 3, &u8), 0);
	ck_assert_uint_eq(u8, 200);
	ck_assert_int_eq(cof_field_u32(b.data, b.len, 4, &u32), 0);
	ck_assert_uint_eq(u32, 0xdeadbeef);
	ck_assert_int_eq(cof_field_u64(b.data, b.len, 51, &u64), 0);
	ck_assert(u64 == UINT64_MAX - 1);
	ck_assert_int_eq(cof_field_i64(b.data, b.len, 8, &i64), 0);
	ck_assert_int_eq(i64, -5);
	ck_assert_int_eq(cof_field_find(b.data, b.len, 2, &f), 0);
	ck_assert_uint_eq(f.len, 5);
	ck_assert_mem_eq(f.value, "a.log", 5);
	ck_assert_int_eq(cof_field_find(b.data, b.len, 7, &f), 0);
	ck_assert_uint_eq(f.len, 0);
	ck_assert_int_eq(cof_field_bytes(b.data, b.len, 2, three, 3), -EUCLEAN);
	ck_assert_int_eq(cof_field_u32(b.data, b.len, 51, &u32), -EUCLEAN);
	ck_assert_int_eq(cof_field_find(b.data, b.len, 99, &f), -ENOENT);
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(cof_field_next(b.data, b.len, &off, &f), 1);
	ck_assert_int_eq(cof_field_next(b.data, b.len, &off, &f), 0);
	ck_assert_uint_eq(f.tag, 2);
}
END_TEST

/* Every shorter form of a list is either a whole number of fields or malformed; nothing is read
 * beyond it (sanitizers watch the exact allocation). */
START_TEST(fields_cut)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_field f;

	cof_field_put_str(&b, 1, "four");
	cof_field_put_u32(&b, 2, 9);
	for (size_t n = 0; n <= b.len; n++) {
		cof_autofree uint8_t *exact = malloc(n + 1);
		size_t off = 0;
		int r, count = 0;

		ck_assert_ptr_nonnull(exact);
		memcpy(exact + 1, b.data, n);
		while ((r = cof_field_next(exact + 1, n, &off, &f)) > 0)
			count++;
		if (n == 0 || n == 7 || n == 14)
			ck_assert_int_eq(r, 0);
		else
			ck_assert_int_eq(r, -EUCLEAN);
		ck_assert_int_eq(count, n < 7 ? 0 : n < 14 ? 1 : 2);
	}
	ck_assert_int_eq(cof_field_find(b.data, 9, 2, &f), -EUCLEAN);
	ck_assert_int_eq(cof_field_find(b.data, 9, 1, &f), 0);
}
END_TEST

START_TEST(field_too_long)
{
	cof_autobuf struct cof_buf b = {0};
	cof_autofree uint8_t *value = calloc(1, 65536);

	ck_assert_ptr_nonnull(value);
	cof_field_put(&b, 1, value, 65535);
	ck_assert(!b.failed);
	cof_field_put(&b, 1, value, 65536);
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 65538);
}
END_TEST

START_TEST(sentence)
{
	struct cof_diag d = {"before"};

	errno = ENOTTY;
	ck_assert_int_eq(cof_fail(&d, -EIO, "cannot read %s: %s", "log", d.text), -EIO);
	ck_assert_str_eq(d.text, "cannot read log: before");
	ck_assert_int_eq(errno, ENOTTY);
	for (int i = 0; i < 200; i++)
		cof_fail(&d, -EIO, "longer %s", d.text);
	ck_assert_uint_eq(strlen(d.text), sizeof(d.text) - 1);
	ck_assert_int_eq(cof_fail(NULL, -ENOENT, "nobody listens"), -ENOENT);
}
END_TEST

START_TEST(whole_descriptor)
{
	cof_autoclose int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char back[8];
	size_t n = 77;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_write_all(fd, "12345678", 8), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(cof_read_all(fd, back, sizeof(back), &n), 0);
	ck_assert_uint_eq(n, 8);
	ck_assert_mem_eq(back, "12345678", 8);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	n = 77;
	ck_assert_int_eq(cof_read_all(fd, back, 7, &n), -EFBIG);
	ck_assert_uint_eq(n, 77);
	ck_assert_int_eq(cof_write_all(-1, "x", 1), -EBADF);
	ck_assert_int_eq(cof_read_all(-1, back, 1, &n), -EBADF);
}
END_TEST

TCase *bytes_case(void)
{
	TCase *t = tcase_create("bytes");

	tcase_add_test(t, crc_check_values);
	tcase_add_test(t, crc_continues);
	tcase_add_test(t, crc_both_ways);
	tcase_add_test(t, varint_round_trip);
	tcase_add_test(t, varint_malformed);
	tcase_add_test(t, fixed_order);
	tcase_add_test(t, buffer_grows);
	tcase_add_test(t, buffer_fails_once_for_all);
	tcase_add_test(t, fields_round_trip);
	tcase_add_test(t, fields_cut);
	tcase_add_test(t, field_too_long);
	tcase_add_test(t, sentence);
	tcase_add_test(t, whole_descriptor);
	return t;
}
