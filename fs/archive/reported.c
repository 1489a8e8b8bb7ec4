/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool beside the daemon did and the chain has to have: that the programs were checked, that a copy was
 * made. Only these types; who says so is the actor of the event.
 */
#include "fs/archive/note.h"

#define DETAIL_MAX 2000
#define FORM_MAX 60000 /* of a field's 65535 */

static const struct {
	const char *type;
	const char *catalogue, *severity; /* when it failed */
} may[] = {
    {COF_EV_SELF_CHECK, "A.17.2", "alert"},
    {COF_EV_BACKUP, NULL, "err"},
};

static int put_form(const struct cof_json *args, struct cof_buf *fields, struct cof_diag *diag)
{
	struct cof_json *form = cof_json_get(args, "form");
	const char *text = form ? cof_json_text(form, false) : NULL;

	if (!form)
		return 0;
	if (!text)
		return -ENOMEM;
	if (strlen(text) > FORM_MAX)
		return cof_fail(diag, -EINVAL, "note: \"form\" has more than %d bytes", FORM_MAX);
	cof_field_put_str(fields, COF_T_FORM, text);
	return fields->failed ? -ENOMEM : 0;
}

int cof_archive_note(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, uint64_t *ret_sequence,
		     struct cof_diag *diag)
{
	const char *type = cof_json_str(args, "type"), *outcome = cof_json_str(args, "outcome");
	struct cof_event e = {.type = type, .outcome = outcome, .who = who, .detail = cof_json_str(args, "detail")};
	cof_autobuf struct cof_buf fields = {0};
	size_t i = 0;
	int r;

	while (i < COF_COUNT(may) && !(type && !strcmp(type, may[i].type)))
		i++;
	if (i == COF_COUNT(may))
		return cof_fail(diag, -EINVAL, "note: \"type\" is none that a tool may say");
	if (!outcome || (strcmp(outcome, "success") != 0 && strcmp(outcome, "failure") != 0))
		return cof_fail(diag, -EINVAL, "note: \"outcome\" is success or failure");
	if (e.detail && strlen(e.detail) > DETAIL_MAX)
		return cof_fail(diag, -EINVAL, "note: \"detail\" has more than %d bytes", DETAIL_MAX);
	if (!strcmp(outcome, "failure")) {
		e.catalogue = may[i].catalogue;
		e.severity = may[i].severity;
	}
	r = put_form(args, &fields, diag);
	if (r < 0)
		return r;
	e.fields = fields.data;
	e.fields_len = fields.len;
	COF_GATED(a, r, cof_event_emit(a, &e, ret_sequence));
	return r < 0 ? cof_fail(diag, r, "it cannot be recorded: %s", strerror(-r)) : 0;
}
