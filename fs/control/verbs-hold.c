/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs about legal holds. */
#include "fs/control/verbs.h"

struct beginning {
	cof_show_fn fn;
	void *user;
	int err;
};

static int on_progress(void *user, uint64_t processed)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct beginning *b = user;

	cof_json_set_uint(o, "processed", processed);
	/* A client that went away does not hinder the hold. */
	if (b->err == 0)
		b->err = b->fn(b->user, o);
	return 0;
}

static void on_failed(void *user, const char *path, const char *why)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct beginning *b = user;

	cof_json_set_str(o, "failed_path", path);
	cof_json_set_str(o, "why", why);
	if (b->err == 0)
		b->err = b->fn(b->user, o);
}

int cof_verb_hold_begin(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
			cof_show_fn fn, void *user, struct cof_diag *diag)
{
	size_t n = r->paths ? cof_json_count(r->paths) : 0;
	cof_autofree const char **paths = calloc(n + 1, sizeof(*paths));
	cof_autojson struct cof_json *o = cof_json_object();
	struct beginning b = {fn, user, 0};
	struct cof_hold_params p = {.name = r->hold_case, .n_paths = n, .reason = r->reason,
				    .progress = on_progress, .failed = on_failed, .user = &b};
	struct cof_hold_begun begun;
	int err;

	if (!paths || !o)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		paths[i] = cof_json_value_str(cof_json_at(r->paths, i));
	p.paths = paths;
	err = cof_archive_hold_begin(a, who, &p, &begun, diag);
	if (begun.sequence) {
		int r2 = cof_verb_wait_durable(a, begun.sequence);

		err = err ? err : r2;
	}
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	cof_json_set_uint(o, "hold", begun.id);
	cof_json_set_str(o, "case", r->hold_case);
	cof_json_set_uint(o, "processed", begun.processed);
	cof_json_set_uint(o, "skipped", begun.skipped);
	cof_json_set_uint(o, "failed", begun.failed);
	return b.err ? b.err : fn(user, o);
}

/* Nobody ends a hold so; that it was tried is on record, of what the hold names first. */
int cof_verb_hold_end(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
		      struct cof_diag *diag)
{
	struct cof_op op = {COF_OP_HOLD_END};
	struct cof_reply reply = {0};
	int err = cof_archive_hold_object(a, r->hold_case, &op.ino);

	if (err == -ENOENT) /* which would say that no daemon is there */
		return cof_fail(diag, -ESRCH, "no hold in force has the case or number '%.200s'", r->hold_case);
	if (!err)
		err = cof_archive_do(a, who, &op, &reply);
	return cof_fail(diag, err ? err : -EPERM,
			"a hold ends by request and approval only: coffer request hold-end %.200s, on the mount or store",
			r->hold_case);
}
