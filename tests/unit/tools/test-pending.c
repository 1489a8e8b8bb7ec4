/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in STORE/vaults/pending while an archive is not mounted. */
#include "test-tools.h"

#include "tools/vault-pending.h"

#include <stdio.h>

static struct cof_json *record(const char *vault, const char *document)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", document ? "punctured" : "transfer");
	cof_json_set_str(o, "name", vault);
	if (document)
		cof_json_set_str(o, "document", document);
	return o;
}

/* What pending_join gives; where that is 0, the file is then so. */
static int add(struct cof_buf *file, const char *vault, const char *document)
{
	cof_autojson struct cof_json *o = record(vault, document);
	cof_autobuf struct cof_buf next = {0};
	int r = pending_join(file->data, file->len, o, &next);

	if (r == 0) {
		file->len = 0;
		cof_buf_add(file, next.data, next.len);
	}
	return r;
}

START_TEST(a_text_waits_once)
{
	cof_autobuf struct cof_buf file = {0};

	ck_assert_int_eq(add(&file, "b", "one\n\"text\"\n"), 0);
	ck_assert_int_eq(add(&file, "b", "another"), 0);
	ck_assert_int_eq(add(&file, "b", "one\n\"text\"\n"), 1);
	ck_assert_int_eq(add(&file, "b", "another"), 1);
	ck_assert_int_eq(add(&file, "c", "another"), 0); /* of another vault it is another */
	ck_assert_int_eq(add(&file, "b", NULL), 0);
	ck_assert_int_eq(add(&file, "b", NULL), 0); /* what happened twice is there twice */
	cof_buf_add(&file, "no record", 9); /* torn, without its end */
	ck_assert_int_eq(add(&file, "b", "another"), 1);
}
END_TEST

/* Vaults that sign much leave room for what else happens. */
START_TEST(texts_have_a_bound_of_their_own)
{
	static char text[60000];
	cof_autobuf struct cof_buf file = {0};
	unsigned n = 0, more = 0;
	int r;

	memset(text, 'x', sizeof(text) - 1);
	do {
		snprintf(text, 8, "%06u", n);
		text[6] = 'x';
		r = add(&file, "b", text);
		n += r == 0;
	} while (r == 0);
	ck_assert_int_eq(r, -ENOBUFS);
	ck_assert_uint_eq(n, PENDING_RECEIPTS_MAX / 60000);
	ck_assert_int_eq(add(&file, "b", NULL), 0);
	text[sizeof(text) - 2] = '\n';
	while (file.len + 2 * sizeof(text) < PENDING_MAX) /* other records, long ones */
		cof_buf_add(&file, text, sizeof(text) - 1);
	while ((r = add(&file, "b", NULL)) == 0)
		more++;
	ck_assert_int_eq(r, -EDQUOT);
	ck_assert_uint_gt(more, 100);
}
END_TEST

TCase *pending_case(void)
{
	TCase *t = tcase_create("pending");

	tcase_set_timeout(t, 60); /* hundreds of records, each after a look at all before it, under the sanitizers */
	tcase_add_test(t, a_text_waits_once);
	tcase_add_test(t, texts_have_a_bound_of_their_own);
	return t;
}
