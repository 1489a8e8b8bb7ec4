/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon is made of, in MOUNT frames: a difference from the mount before is an event, and only that. */
#include "entries.h"
#include "fs/archive/internal.h"

#include <stdio.h>

static struct store s;

static void put_file(struct cof_buf *b, uint8_t fill, const char *name)
{
	cof_autobuf struct cof_buf v = {0};
	uint8_t digest[COF_HASH];

	memset(digest, fill, sizeof(digest));
	cof_buf_add(&v, digest, sizeof(digest));
	cof_buf_printf(&v, "%s", name);
	cof_field_put(b, COF_T_MEASURED, v.data, v.len);
}

/* One mount with these fields: the detail of its event "changed", or "". */
static void mount_with(const struct cof_buf *fields, char detail[2048])
{
	struct cof_archive_params p = {
	    .io = s.io, .secret = &s.secret, .index_dir = "", .no_threads = true, .self = fields->data, .self_len = fields->len};
	struct cof_diag diag = {""};
	struct cof_json *events;

	ck_assert_msg(cof_archive_open(&p, &s.archive, &s.opened, &diag) == 0, "%s", diag.text);
	events = entries_of(&s, "event");
	detail[0] = 0;
	for (size_t i = 0; i < cof_json_count(events); i++) {
		const struct cof_json *e = cof_json_at(events, i);
		const char *name = cof_json_str(e, "event"), *text = cof_json_str(e, "detail");

		if (name && !strcmp(name, "changed") && text)
			strncat(detail, text, 2047 - strlen(detail));
	}
	cof_json_free(events);
	store_close(&s);
}

START_TEST(test_what_changed_is_an_event)
{
	cof_autobuf struct cof_buf first = {0}, second = {0};
	char detail[2048];

	put_file(&first, 1, "cofferfs");
	put_file(&first, 2, "libold.so");
	cof_field_put_str(&first, COF_T_MODULE, "m 1: fine");
	put_file(&second, 3, "cofferfs");
	put_file(&second, 4, "libnew.so");
	cof_field_put_str(&second, COF_T_MODULE, "m 2: fine");
	store_new(&s, STORE_SIM);
	ck_assert_int_eq(store_init(&s, NULL), 0);
	mount_with(&first, detail);
	ck_assert_str_eq(detail, ""); /* init has nothing to compare with */
	mount_with(&first, detail);
	ck_assert_str_eq(detail, "");
	mount_with(&second, detail);
	ck_assert_str_eq(detail,
			 "cofferfs: SHA-256 was 0101010101010101010101010101010101010101010101010101010101010101, "
			 "is 0303030303030303030303030303030303030303030303030303030303030303\n"
			 "libnew.so: new, SHA-256 0404040404040404040404040404040404040404040404040404040404040404\n"
			 "m 2: fine: so the module is now\n"
			 "libold.so: no longer used");
	mount_with(&second, detail); /* told once: the same text, from the mount before */
	ck_assert_ptr_null(strstr(detail + 1, "cofferfs: SHA-256"));
	store_done(&s);
}
END_TEST

/* The digest as docs/format.md 4 has it, over shelves 2 and 3. */
static void expect_digest(char hex[2 * COF_HASH + 1])
{
	uint8_t text[2 * (8 + COF_HASH)], digest[COF_HASH];

	for (uint64_t i = 0; i < 2; i++) {
		cof_autobuf struct cof_buf policy = {0};

		ck_assert_int_eq(cof_index_get_value(s.archive->ix, COF_INDEX_NOW, AUDIT + i, "policy", &policy), 0);
		cof_put_le64(text + i * 40, AUDIT + i);
		cof_sha256(policy.data, policy.len, text + i * 40 + 8);
	}
	cof_sha256(text, sizeof(text), digest);
	cof_hex(digest, sizeof(digest), hex);
}

START_TEST(test_policies_in_force)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_archive_params p = {.io = s.io, .secret = &s.secret, .no_threads = true};
	char expected[2 * COF_HASH + 1], before[2 * COF_HASH + 1] = "", dir[64], command[80];

	put_file(&fields, 1, "cofferfs");
	store_new(&s, STORE_SIM);
	ck_assert_int_eq(store_init(&s, NULL), 0);
	p.io = s.io;
	p.secret = &s.secret;
	snprintf(dir, sizeof(dir), "/tmp/coffer-test-self-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	p.index_dir = dir;
	for (int mount = 0; mount < 4; mount++) { /* the last one has nothing new */
		struct cof_json *events;
		const char *found = NULL;
		unsigned n = 0;

		p.self = mount == 1 ? NULL : fields.data; /* a verb that opened the archive: nothing */
		p.self_len = mount == 1 ? 0 : fields.len;
		ck_assert_int_eq(cof_archive_open(&p, &s.archive, &s.opened, NULL), 0);
		events = entries_of(&s, "event");
		for (size_t i = 0; i < cof_json_count(events); i++) {
			const char *name = cof_json_str(cof_json_at(events, i), "event");

			if (name && !strcmp(name, "policies")) {
				found = cof_json_str(cof_json_at(events, i), "policies");
				n++;
			}
		}
		ck_assert_uint_eq(n, mount >= 2 ? 2 : 1);
		expect_digest(expected);
		ck_assert(mount != 1 ? !strcmp(found, expected) : 1);
		ck_assert(mount != 2 || strcmp(before, expected) != 0); /* the policy changed in between */
		strcpy(before, expected);
		if (mount == 1) {
			static const char policy[] = "durability = write\n";

			ck_assert_int_eq(do_op(&s, &root_user,
					       (struct cof_op){.kind = COF_OP_SHELF_SET,
							       .ino = AUDIT,
							       .data = policy,
							       .length = sizeof(policy) - 1}),
					 0);
		}
		cof_json_free(events);
		store_close(&s);
	}
	store_done(&s);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-self");
	TCase *c = tcase_create("self");
	SRunner *r = srunner_create(suite);
	int bad;

	tcase_add_test(c, test_what_changed_is_an_event);
	tcase_add_test(c, test_policies_in_force);
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
