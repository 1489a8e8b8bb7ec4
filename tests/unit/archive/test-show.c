/* SPDX-License-Identifier: Apache-2.0 */
/* What an archive shows: its log, who wrote what, its state; open, and as a store without a daemon. */
#include <stdio.h>
#include <time.h>

#include "entries.h"
#include "fs/archive/internal.h"

static struct store s;

static void setup(void)
{
	store_make(&s, STORE_SIM);
}

static void teardown(void)
{
	store_done(&s);
}

static struct cof_who me(void)
{
	return (struct cof_who){1000, 1001, (uint32_t)getpid(), false};
}

static void write_as(const struct cof_who *who, uint64_t ino, uint64_t off, const char *text)
{
	ck_assert_int_eq(do_op(&s, who,
			       (struct cof_op){.kind = COF_OP_WRITE,
					       .ino = ino,
					       .offset = off,
					       .length = strlen(text),
					       .data = text}),
			 0);
}

/* ---- the log ---- */

struct seen {
	struct cof_json *array;
	uint64_t expect; /* next sequence */
	int stop_after;	 /* entries; 0: never */
	int answer;	 /* of the last one */
};

static int see(void *user, struct cof_json *entry)
{
	struct seen *seen = user;
	struct cof_json *copy = NULL;
	const char *text = cof_json_text(entry, false);

	ck_assert_int_eq(number_of(entry, "sequence"), (int64_t)seen->expect);
	seen->expect++;
	ck_assert_int_eq(cof_json_parse(text, strlen(text), &copy), 0);
	cof_json_append(seen->array, copy);
	if (seen->stop_after && --seen->stop_after == 0)
		return seen->answer;
	return 0;
}

static void fill(uint64_t *ret_file)
{
	struct cof_who who = me();
	uint64_t file = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);

	write_as(&who, file, 0, "secret one\n");
	ck_assert_int_eq(do_rename(&s, AUDIT, "a.log", AUDIT, "b.log"), 0);
	must_create(&s, AUDIT, "gone", COF_KIND_FILE);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "gone"), 0);
	must_create(&s, AUDIT, "link", COF_KIND_SYMLINK);
	ck_assert_int_eq(do_op(&s, &who,
			       (struct cof_op){.kind = COF_OP_CHOWN,
					       .ino = file,
					       .uid = 77,
					       .valid = COF_SET_UID}),
			 0);
	ck_assert_int_eq(do_op(&s, &who,
			       (struct cof_op){.kind = COF_OP_TRUNCATE,
					       .ino = file,
					       .length = 1 << 20}),
			 0);
	ck_assert_int_eq(do_chmod(&s, file, 0440), 0);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "b.log"), -EPERM);
	*ret_file = file;
}

static struct cof_json *first(struct cof_json *all, const char *type)
{
	struct cof_json *e = entry_with(all, "type", type);

	ck_assert_msg(e, "no %s", type);
	return e;
}

static void check_entries(struct cof_json *all, uint64_t file)
{
	struct cof_json *e = first(all, "archive");

	ck_assert_ptr_nonnull(strstr(cof_json_str(e, "conf"), "origin = test.example/archive"));
	e = first(all, "mount");
	ck_assert_int_eq(number_of(e, "epoch"), 1);
	ck_assert_uint_eq(strlen(cof_json_str(e, "salt")), 64);
	e = first(all, "shelf");
	ck_assert_str_eq(cof_json_str(e, "name"), "audit");
	ck_assert_ptr_nonnull(strstr(cof_json_str(e, "policy"), "durability = sync"));
	e = entry_with(all, "name", "a.log");
	ck_assert_str_eq(cof_json_str(e, "type"), "create");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/a.log");
	ck_assert_str_eq(cof_json_str(e, "kind"), "file");
	ck_assert_str_eq(cof_json_str(e, "mode"), "0644");
	ck_assert_int_eq(number_of(e, "parent"), AUDIT);
	ck_assert_int_eq(number_of(e, "object"), (int64_t)file);
	e = first(all, "append");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/a.log");
	ck_assert_int_eq(number_of(e, "length"), 11);
	ck_assert_int_eq(number_of(cof_json_get(e, "actor"), "uid"), 1000);
	ck_assert_int_eq(number_of(cof_json_get(e, "actor"), "gid"), 1001);
	ck_assert_int_eq(number_of(cof_json_get(e, "actor"), "pid"), getpid());
	e = first(all, "rename");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/b.log");
	ck_assert_str_eq(cof_json_str(e, "name"), "a.log");
	ck_assert_str_eq(cof_json_str(e, "new_name"), "b.log");
	e = first(all, "remove");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/gone");
	e = entry_with(all, "kind", "symlink");
	ck_assert_str_eq(cof_json_str(e, "target"), "some/where");
	e = first(all, "attr");
	ck_assert_int_eq(number_of(e, "uid"), 77);
	e = first(all, "hole");
	ck_assert_int_eq(number_of(e, "hole"), (1 << 20) - 11);
	e = first(all, "commit");
	ck_assert_str_eq(cof_json_str(e, "mode"), "0440");
	ck_assert_str_eq(cof_json_str(e, "retain_until"), "none");
	ck_assert_int_eq(number_of(e, "position"), 1 << 20);
	e = first(all, "event");
	ck_assert_str_eq(cof_json_str(e, "event"), "refused");
	ck_assert_str_eq(cof_json_str(e, "operation"), "unlink");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/b.log");
	ck_assert_int_eq(number_of(e, "object"), (int64_t)file);
	first(all, "checkpoint");
}

START_TEST(log_of_an_open_archive)
{
	struct seen seen = {.array = cof_json_array()};
	uint64_t file, next = 0, more = 0;

	fill(&file);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, see, &seen, &next), 0);
	ck_assert_uint_eq(next, seen.expect);
	check_entries(seen.array, file);
	ck_assert_ptr_null(strstr(cof_json_text(seen.array, false), "secret one"));
	/* Going on finds only what is new. */
	ck_assert_int_eq(cof_archive_show_log(s.archive, next, see, &seen, &more), 0);
	ck_assert_uint_eq(more, next);
	must_create(&s, AUDIT, "new", COF_KIND_FILE);
	ck_assert_int_eq(cof_archive_show_log(s.archive, next, see, &seen, &more), 0);
	ck_assert_uint_eq(more, next + 1);
	cof_json_free(seen.array);
}
END_TEST

START_TEST(log_of_a_store)
{
	struct seen live = {.array = cof_json_array()}, alone = {.array = cof_json_array()};
	uint64_t file, next = 0, end = 0;
	struct cof_diag diag = {""};

	fill(&file);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, see, &live, &next), 0);
	store_close(&s);
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &alone, &end, &diag), 0);
	ck_assert_uint_gt(end, next); /* UNMOUNT too */
	check_entries(alone.array, file);
	for (size_t i = 0; i < cof_json_count(live.array); i++) {
		struct cof_json *one = cof_json_at(live.array, i);
		struct cof_json *other = cof_json_at(alone.array, i);

		ck_assert_str_eq(cof_json_text(one, false), cof_json_text(other, false));
	}
	cof_json_free(live.array);
	cof_json_free(alone.array);
}
END_TEST

/* ---- what persons signed ---- */

static const char form_text[] = "{\"event\":\"audit\",\"outcome\":\"failure\",\"sheet\":\"%s\",\"signer\":\"carol\",\"time\":\"2026-01-02T03:04:05Z\"}\n";
static const char sheet_text[] = "{\"object\":\"cabinet\",\"text\":\"open\"}\n";

struct event { /* NULL: as the form and the sheet have it; "": not there */
	const char *event, *outcome, *outcome_again, *signer, *source, *detail, *reason, *sheet;
	bool no_form;
};

static void put(struct cof_buf *fields, uint8_t tag, const char *text, const char *else_text)
{
	text = text ? text : else_text;
	if (text && *text)
		cof_field_put_str(fields, tag, text);
}

static struct cof_json *shown(const struct event *e, struct seen *seen)
{
	cof_autobuf struct cof_buf in_clear = {0}, plain = {0}, form = {0};
	struct cof_draft d = {.type = COF_EVENT};
	struct cof_append done;
	uint8_t digest[COF_HASH];
	uint64_t next;
	char hex[65];
	int r;

	cof_sha256(sheet_text, strlen(sheet_text), digest);
	cof_hex(digest, sizeof(digest), hex);
	cof_buf_printf(&form, form_text, hex);
	if (!e->no_form) {
		cof_field_put(&in_clear, COF_T_FORM, form.data, form.len);
		cof_field_put_str(&in_clear, COF_T_EVENT_SIGNATURE, "as a judge has it");
	}
	put(&plain, COF_T_EVENT, e->event, "audit");
	put(&plain, COF_T_PATH, NULL, "cabinet");
	put(&plain, COF_T_REASON, e->reason, NULL);
	put(&plain, COF_T_DETAIL, e->detail, "open");
	put(&plain, COF_T_EVENT_OUTCOME, e->outcome, "failure");
	put(&plain, COF_T_EVENT_OUTCOME, e->outcome_again, NULL);
	put(&plain, COF_T_SOURCE, e->source, "person");
	put(&plain, COF_T_SIGNER, e->signer, "carol");
	cof_field_put_i64(&plain, COF_T_CLAIMED_TIME, INT64_C(1767323045) * COF_NSEC);
	put(&plain, COF_T_SHEET, e->sheet, sheet_text);
	d.public_part = in_clear.data;
	d.public_len = (uint32_t)in_clear.len;
	d.plain = plain.data;
	d.length = (uint32_t)plain.len;
	COF_GATED(s.archive, r, cof_archive_put(s.archive, &d, NULL, &done));
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(cof_archive_show_log(s.archive, seen->expect, see, seen, &next), 0);
	return cof_json_at(seen->array, cof_json_count(seen->array) - 1);
}

static bool is(const struct cof_json *e, const char *key, const char *want)
{
	const char *text = cof_json_str(e, key);

	return want ? text && !strcmp(text, want) : !text;
}

START_TEST(what_was_signed_is_shown)
{
	static const struct event rows[] = {
	    {.event = "change-checked"}, {.outcome = "success"}, {.outcome_again = "success"}, {.signer = "mallory"}, {.source = "coffer"},
	    {.source = ""}, {.detail = "shut"}, {.detail = ""}, {.reason = "nothing was found"}, {.sheet = "{\"text\":\"shut\"}\n"}, {.sheet = ""},
	};
	struct seen seen = {.array = cof_json_array()};
	const struct cof_json *e = shown(&(struct event){0}, &seen);

	ck_assert(!cof_json_bool(e, "malformed") && is(e, "detail", "open") && is(e, "signer", "carol"));
	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		e = shown(&rows[i], &seen);
		ck_assert_msg(cof_json_bool(e, "malformed"), "row %zu", i);
		ck_assert_msg(is(e, "event", "audit") && is(e, "outcome", "failure") && is(e, "signer", "carol") && is(e, "source", "person") &&
				  is(e, "detail", rows[i].sheet ? NULL : "open") && is(e, "reason", NULL) &&
				  is(e, "claimed_time", "2026-01-02T03:04:05.000Z"),
			      "row %zu: %s", i, cof_json_text((struct cof_json *)(uintptr_t)e, false));
	}
	e = shown(&(struct event){.no_form = true}, &seen);
	ck_assert(cof_json_bool(e, "malformed") && is(e, "signer", NULL) && is(e, "source", NULL));
	e = shown(&(struct event){.no_form = true, .source = ""}, &seen); /* what Coffer says of somebody's request */
	ck_assert(!cof_json_bool(e, "malformed") && is(e, "signer", "carol"));
	cof_json_free(seen.array);
}
END_TEST

START_TEST(from_somewhere)
{
	struct seen seen = {.array = cof_json_array(), .expect = 5};
	uint64_t file, next = 0;
	struct cof_diag diag = {""};

	fill(&file);
	ck_assert_int_eq(cof_archive_show_log(s.archive, 5, see, &seen, &next), 0);
	ck_assert_uint_gt(next, 10);
	store_close(&s);
	seen.expect = 12;
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 12, see, &seen, &next, &diag), 0);
	ck_assert_uint_eq(next, seen.expect);
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 9999, see, &seen, &next, &diag), 0);
	ck_assert_uint_eq(next, 9999);
	cof_json_free(seen.array);
}
END_TEST

START_TEST(callers_may_stop)
{
	struct seen seen = {.array = cof_json_array(), .stop_after = 3, .answer = 1};
	struct cof_diag diag = {""};
	uint64_t next = 99;

	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, see, &seen, &next), 0);
	ck_assert_uint_eq(next, 3);
	seen.stop_after = 2;
	seen.answer = -EPIPE;
	ck_assert_int_eq(cof_archive_show_log(s.archive, 3, see, &seen, &next), -EPIPE);
	ck_assert_uint_eq(next, 3);
	store_close(&s);
	seen.expect = 0;
	seen.stop_after = 2;
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &seen, &next, &diag), -EPIPE);
	seen.expect = 0;
	seen.stop_after = 2;
	seen.answer = 1;
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &seen, &next, &diag), 0);
	ck_assert_uint_eq(next, 2);
	cof_json_free(seen.array);
}
END_TEST

/* Over many segments, in pieces. */
START_TEST(long_log)
{
	struct seen seen = {.array = cof_json_array()};
	uint64_t ino = must_create(&s, AUDIT, "f", COF_KIND_FILE), next = 0, end = 0;
	uint8_t *data = calloc(1, 300000);
	struct cof_diag diag = {""};

	for (int i = 0; i < 12; i++)
		must_write(&s, ino, (uint64_t)i * 300000, data, 300000);
	for (int i = 0; i < 1000; i++) {
		seen.stop_after = 3;
		seen.answer = 1;
		ck_assert_int_eq(cof_archive_show_log(s.archive, next, see, &seen, &end), 0);
		if (end == next)
			break;
		next = end;
	}
	ck_assert_uint_gt(next, 20);
	store_close(&s);
	seen.expect = seen.stop_after = 0;
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &seen, &end, &diag), 0);
	ck_assert_uint_ge(end, next);
	cof_json_free(seen.array);
	free(data);
}
END_TEST

START_TEST(wrong_key)
{
	struct seen seen = {.array = cof_json_array()};
	struct cof_diag diag = {""};
	uint64_t next = 4;

	store_close(&s);
	s.key[3] ^= 1;
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &seen, &next, &diag),
			 -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "wrong key file"));
	ck_assert_uint_eq(next, 4);
	ck_assert_uint_eq(cof_json_count(seen.array), 0);
	cof_json_free(seen.array);
}
END_TEST

/* What does not open is shown as damaged, the rest as it is. */
START_TEST(damaged_entry)
{
	struct seen seen = {.array = cof_json_array()};
	struct cof_json *all, *create;
	struct cof_diag diag = {""};
	uint64_t file, next = 0, at;

	fill(&file);
	all = entries_of(&s, "create");
	create = entry_with(all, "name", "gone");
	at = (uint64_t)number_of(create, "offset") + COF_FRAME_HEADER + 3;
	ck_assert_int_eq(cof_sim_flip(s.sim, "log/00000000.seg", at, 2), 0);
	for (int alone = 0; alone < 2; alone++) {
		struct cof_json *damaged = NULL;

		seen.expect = 0;
		if (alone)
			ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &seen, &next,
							    &diag),
					 0);
		else
			ck_assert_int_eq(
			    cof_archive_show_log(s.archive, 0, see, &seen, &next), 0);
		for (size_t i = 0; i < cof_json_count(seen.array); i++) {
			struct cof_json *e = cof_json_at(seen.array, i);

			if (cof_json_bool(e, "damaged")) {
				ck_assert_ptr_null(damaged);
				damaged = e;
			}
		}
		ck_assert_ptr_nonnull(damaged);
		ck_assert_str_eq(cof_json_str(damaged, "type"), "create");
		ck_assert(cof_json_bool(damaged, "opaque"));
		ck_assert_ptr_null(cof_json_str(damaged, "name"));
		cof_json_free(seen.array);
		seen.array = cof_json_array();
		if (!alone) {
			cof_archive_abandon(s.archive);
			s.archive = NULL;
		}
	}
	cof_json_free(seen.array);
	cof_json_free(all);
}
END_TEST

START_TEST(damaged_header)
{
	struct seen seen = {.array = cof_json_array()};
	struct cof_diag diag = {""};
	uint64_t file, next = 0, at;
	struct cof_json *all;

	fill(&file);
	all = entries_of(&s, "rename");
	at = (uint64_t)number_of(cof_json_at(all, 0), "offset") + 30;
	ck_assert_int_eq(cof_sim_flip(s.sim, "log/00000000.seg", at, 2), 0);
	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, see, &seen, &next), -EUCLEAN);
	cof_archive_abandon(s.archive);
	s.archive = NULL;
	seen.expect = 0;
	ck_assert_int_eq(cof_store_show_log(s.io, &s.secret, 0, see, &seen, &next, &diag),
			 -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "coffer verify"));
	ck_assert_uint_gt(seen.expect, 8);
	cof_json_free(seen.array);
	cof_json_free(all);
}
END_TEST

/* ---- blame ---- */

static int keep(void *user, struct cof_json *entry)
{
	const char *text = cof_json_text(entry, false);
	struct cof_json *copy = NULL;

	ck_assert_int_eq(cof_json_parse(text, strlen(text), &copy), 0);
	cof_json_append(user, copy);
	return 0;
}

START_TEST(blame)
{
	struct cof_who who = me(), other = {7, 7, 0, false};
	struct cof_json *runs = cof_json_array(), *r;
	uint64_t ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);

	for (unsigned i = 0; i < 600; i++)
		write_as(&who, ino, i * 5, "line\n");
	write_as(&other, ino, 3000, "other");
	write_as(&other, ino, 4000, "later");
	store_close(&s);
	store_open(&s);
	write_as(&who, ino, 4005, "again");
	ck_assert_int_eq(cof_archive_blame(s.archive, ino, keep, runs), 0);
	ck_assert_uint_eq(cof_json_count(runs), 5);
	r = cof_json_at(runs, 0);
	ck_assert_int_eq(number_of(r, "offset"), 0);
	ck_assert_int_eq(number_of(r, "length"), 3000);
	ck_assert_int_eq(number_of(r, "frames"), 600);
	ck_assert_int_eq(number_of(r, "uid"), 1000);
	ck_assert_int_eq(number_of(r, "pid"), getpid());
	ck_assert_ptr_nonnull(cof_json_str(r, "command"));
	ck_assert_ptr_nonnull(cof_json_str(r, "time"));
	r = cof_json_at(runs, 1);
	ck_assert_int_eq(number_of(r, "uid"), 7);
	ck_assert_int_eq(number_of(r, "offset"), 3000);
	r = cof_json_at(runs, 2);
	ck_assert(cof_json_bool(r, "hole"));
	ck_assert_int_eq(number_of(r, "length"), 995);
	r = cof_json_at(runs, 4);
	ck_assert_int_eq(number_of(r, "uid"), 1000);
	ck_assert_int_eq(number_of(r, "mount"), 3);
	cof_json_free(runs);
	ck_assert_int_eq(cof_archive_blame(s.archive, AUDIT, keep, NULL), -EISDIR);
	ck_assert_int_eq(cof_archive_blame(s.archive, 999, keep, NULL), -ENOENT);
}
END_TEST

START_TEST(blame_of_nothing)
{
	uint64_t ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);
	struct cof_json *runs = cof_json_array();

	ck_assert_int_eq(cof_archive_blame(s.archive, ino, keep, runs), 0);
	ck_assert_uint_eq(cof_json_count(runs), 0);
	cof_json_free(runs);
}
END_TEST

/* ---- status ---- */

static void check_identity(struct cof_json *o)
{
	struct cof_json *openers = cof_json_get(o, "openers");
	struct cof_vkey vkey;
	char id[33];

	cof_hex(s.archive_id, 16, id);
	ck_assert_str_eq(cof_json_str(o, "archive_id"), id);
	ck_assert_str_eq(cof_json_str(o, "origin"), "test.example/archive");
	ck_assert_int_eq(cof_vkey_parse(cof_json_str(o, "vkey"), &vkey), 0);
	ck_assert_uint_eq(cof_json_count(openers), 1);
	ck_assert_str_eq(cof_json_text(cof_json_at(openers, 0), false), "\"file (weak)\"");
	ck_assert(cof_json_bool(o, "weak_opener"));
	ck_assert_int_eq(number_of(o, "segment_size"), 1 << 20);
}

START_TEST(status_of_an_open_archive)
{
	struct cof_json *o = cof_json_object(), *cp;
	uint64_t file;

	fill(&file);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_archive_status(s.archive, o), 0);
	check_identity(o);
	ck_assert(cof_json_bool(o, "mounted"));
	ck_assert(!cof_json_bool(o, "read_only"));
	ck_assert_int_eq(number_of(o, "refused"), 1);
	ck_assert_int_eq(number_of(o, "mount"), 2);
	ck_assert_int_gt(number_of(o, "frames"), 15);
	cp = cof_json_get(o, "checkpoint");
	ck_assert(cof_json_bool(cp, "signed"));
	ck_assert_int_eq(number_of(cp, "size"), number_of(o, "frames") - 1);
	cof_json_free(o);
}
END_TEST

START_TEST(status_of_a_store)
{
	struct cof_json *o = cof_json_object(), *live = cof_json_object();
	struct cof_diag diag = {""};
	uint64_t file;

	fill(&file);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_archive_status(s.archive, live), 0);
	ck_assert_int_eq(cof_store_status(s.io, o, &diag), 0);
	check_identity(o);
	ck_assert_int_eq(number_of(o, "frames"), number_of(live, "frames"));
	ck_assert_int_eq(number_of(o, "bytes"), number_of(live, "bytes"));
	ck_assert(!cof_json_bool(o, "mounted"));
	ck_assert(!cof_json_bool(o, "clean"));
	cof_json_free(o);
	store_close(&s);
	o = cof_json_object();
	ck_assert_int_eq(cof_store_status(s.io, o, &diag), 0);
	ck_assert(cof_json_bool(o, "clean"));
	ck_assert(cof_json_bool(cof_json_get(o, "checkpoint"), "signed"));
	cof_json_free(o);
	cof_json_free(live);
}
END_TEST

START_TEST(status_of_no_archive)
{
	struct cof_json *o = cof_json_object();
	struct cof_diag diag = {""};

	store_close(&s);
	ck_assert_int_eq(cof_io_unlink(s.io, "archive.conf"), 0);
	ck_assert_int_eq(cof_store_status(s.io, o, &diag), -ENOENT);
	ck_assert_uint_gt(strlen(diag.text), 10);
	cof_json_free(o);
}
END_TEST

START_TEST(status_of_a_forged_checkpoint)
{
	struct cof_json *o = cof_json_object();
	struct cof_diag diag = {""};

	store_close(&s);
	ck_assert_int_eq(cof_sim_flip(s.sim, "checkpoint", 25, 0), 0);
	ck_assert_int_eq(cof_store_status(s.io, o, &diag), 0);
	ck_assert(!cof_json_bool(cof_json_get(o, "checkpoint"), "signed"));
	cof_json_free(o);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-show");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("show");
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, log_of_an_open_archive);
	tcase_add_test(c, log_of_a_store);
	tcase_add_test(c, what_was_signed_is_shown);
	tcase_add_test(c, from_somewhere);
	tcase_add_test(c, callers_may_stop);
	tcase_add_test(c, long_log);
	tcase_add_test(c, wrong_key);
	tcase_add_test(c, damaged_entry);
	tcase_add_test(c, damaged_header);
	tcase_add_test(c, blame);
	tcase_add_test(c, blame_of_nothing);
	tcase_add_test(c, status_of_an_open_archive);
	tcase_add_test(c, status_of_a_store);
	tcase_add_test(c, status_of_no_archive);
	tcase_add_test(c, status_of_a_forged_checkpoint);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
