/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of readers of other programs' logs, and of tools that tell what they did. */
#include "fs/control/verbs.h"

int cof_verb_import(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
		    cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	uint64_t sequence = 0;
	int err = cof_archive_import(a, who, r->json, &sequence, diag);

	/* Also when it failed midway: what came before is where the reader goes on. */
	if (sequence) {
		int durable = cof_verb_wait_durable(a, sequence);

		err = err ? err : durable;
	}
	if (err)
		return err;
	cof_json_set_uint(o, "sequence", sequence);
	return fn(user, o);
}

int cof_verb_import_state(struct cof_archive *a, const struct cof_control_request *r, cof_show_fn fn, void *user,
			  struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int err = cof_archive_import_state(a, r->json, o, diag);

	return err ? err : fn(user, o);
}

int cof_verb_note(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r, cof_show_fn fn,
		  void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	uint64_t sequence = 0;
	int err = cof_archive_note(a, who, r->json, &sequence, diag);

	if (!err)
		err = cof_verb_wait_durable(a, sequence);
	if (err)
		return err;
	cof_json_set_uint(o, "sequence", sequence);
	return fn(user, o);
}
