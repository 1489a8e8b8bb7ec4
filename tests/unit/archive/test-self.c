/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon is made of, in MOUNT frames: a difference from the mount before is an event, and only that. */
#include "entries.h"

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

int main(void)
{
	Suite *suite = suite_create("archive-self");
	TCase *c = tcase_create("self");
	SRunner *r = srunner_create(suite);
	int bad;

	tcase_add_test(c, test_what_changed_is_an_event);
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
