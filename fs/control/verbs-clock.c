/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs about time: the clocks, queries for time stamps and their answers, cosignatures of vaults. */
#include "fs/control/verbs.h"

void cof_verb_set_times(struct cof_archive *a, uint64_t ino, struct cof_json *into)
{
	static const char *const keys[] = {"time", "clock_said", "not_before", "not_after"};
	cof_autojson struct cof_json *o = cof_json_object();

	if (!ino || cof_archive_info(a, ino, o) < 0)
		return; /* of what is not there no time is known */
	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (cof_json_str(o, keys[i]))
			cof_json_set_str(into, keys[i], cof_json_str(o, keys[i]));
}

int cof_verb_clock(struct cof_archive *a, cof_show_fn fn, void *user)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int err = o ? cof_archive_clock(a, o) : -ENOMEM;

	return err ? err : fn(user, o);
}

int cof_verb_stamp_query(struct cof_archive *a, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf query = {0};
	cof_autofree char *text = NULL;
	int err = cof_archive_stamp_query(a, &query, diag);

	if (!err) {
		text = malloc(cof_base64_len(query.len) + 1);
		err = text ? 0 : -ENOMEM;
	}
	if (err)
		return err;
	cof_base64(query.data, query.len, text);
	cof_json_set_str(o, "query", text);
	return fn(user, o);
}

int cof_verb_stamp(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
		   cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autofree uint8_t *answer = malloc(COF_STAMP_RESPONSE_MAX + 1);
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_stamped done;
	size_t n = 0;
	int err = answer ? cof_unbase64(r->token, strlen(r->token), answer, COF_STAMP_RESPONSE_MAX + 1, &n)
			 : -ENOMEM;

	if (err)
		return cof_fail(diag, err, "stamp: \"token\" is no base64 of at most %u bytes", COF_STAMP_RESPONSE_MAX);
	err = cof_archive_stamp(a, who, answer, n, r->ca, r->ca ? strlen(r->ca) : 0, &done, diag);
	if (err)
		return err;
	cof_stamped_json(&done, o);
	return fn(user, o);
}

int cof_verb_cosign(struct cof_archive *a, const struct cof_control_request *r,
		    cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_cosigned done;
	int err = cof_archive_cosign(a, r->vault, r->note, strlen(r->note), r->began, &done, diag);

	if (err)
		return err;
	cof_cosigned_json(&done, o);
	return fn(user, o);
}
