/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The action clock-catch-up: retention time goes on to a time that people vouch for, after the host was off or
 * its clock stood still. The document has both clocks' values; it never goes beyond the wall clock of now.
 */
#include "fs/archive/people.h"

#include <stdio.h>

static int target(const struct cof_json *doc, int64_t *ret)
{
	const char *text = cof_json_str(doc, "to");

	return text && cof_time_parse(text, ret) == 0 ? 0 : -EUCLEAN;
}

static void set_time(struct cof_json *doc, const char *key, int64_t ns)
{
	char text[32];

	cof_time_text(ns, text);
	cof_json_set_str(doc, key, text);
}

static int fill(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		struct cof_diag *diag)
{
	const char *word = cof_action_word(args, 0);
	int64_t wall, retention, to;

	cof_clock_now(&a->clock, &wall, &retention);
	to = wall;
	if (word && cof_time_parse(word, &to) < 0)
		return cof_fail(diag, -EINVAL, "%.64s is no time (2031-01-02T03:04:05Z); without one it is the wall clock's", word);
	set_time(doc, "retention", retention);
	set_time(doc, "wall", wall);
	set_time(doc, "to", to);
	cof_buf_printf(sheet, "retention time is %s, the wall clock says %s.\nIt would go on to %s.\n"
			      "Whoever signs says by a clock of their own that it is not earlier than that.\n",
		       cof_json_str(doc, "retention"), cof_json_str(doc, "wall"), cof_json_str(doc, "to"));
	return sheet->failed ? -ENOMEM : 0;
}

static int check(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	int64_t wall, retention, to;

	cof_clock_now(&a->clock, &wall, &retention);
	if (target(doc, &to) < 0)
		return cof_fail(diag, -EINVAL, "the request does not say to which time");
	if (to > wall + cof_policy_deviation(a))
		return cof_fail(diag, -EPERM, "retention time would be ahead of the wall clock");
	if (to <= retention)
		return cof_fail(diag, -EPERM, "retention time is there already");
	return 0;
}

static int apply(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	static const struct cof_applied nothing;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_CLOCK, .system = true};
	struct cof_append done;
	int64_t wall, before, to;
	int r;

	if (target(doc, &to) < 0)
		return cof_fail(diag, -EUCLEAN, "the request does not say to which time");
	cof_clock_now(&a->clock, &wall, &before);
	cof_field_put(&fields, COF_T_REQUEST, g->request, sizeof(g->request));
	cof_field_put_i64(&fields, COF_T_RETENTION_BEFORE, before);
	cof_field_put_i64(&fields, COF_T_RETENTION_AFTER, to);
	if (fields.failed)
		return -ENOMEM;
	cof_clock_catch_up(&a->clock, to);
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	cof_gate_enter(a);
	r = cof_actor_use(a, g->who, true, &d.actor);
	if (r == 0)
		r = cof_archive_put(a, &d, &nothing, &done);
	cof_gate_leave(a);
	return r < 0 ? cof_fail(diag, r, "the clock's frame could not be written: %s", strerror(-r)) : 0;
}

const struct cof_action cof_act_clock_catch_up = {.name = "clock-catch-up", .fill = fill, .check = check, .apply = apply};
