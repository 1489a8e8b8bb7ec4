/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people ask about destruction: what a request would end and whether it may be; one that is approved and not done gone
 * on with; and that a certificate was made of what was done, put on record with its digest. Called with the people lock held.
 */
#include "fs/archive/destroy.h"

#include <stdio.h>

/* A request of this action, by its id in hexadecimal. */
static int find(struct cof_archive *a, const struct cof_json *args, uint8_t id[32], struct cof_request_view *ret, struct cof_diag *diag)
{
	const char *hex = cof_json_str(args, "id");

	if (!hex || strlen(hex) != 64 || cof_unhex(hex, 64, id) < 0)
		return cof_fail(diag, -EINVAL, "a request's id is 64 hex digits");
	if (cof_judge_request(cof_people_judge(a), id, ret) < 0)
		return cof_fail(diag, -ENOENT, "there is no such request in the chain: coffer requests lists them");
	return strcmp(ret->request->action, "destroy") ? cof_fail(diag, -EINVAL, "that request is for %s", ret->request->action) : 0;
}

/* ---- what would be ---- */

struct planning {
	struct cof_archive *a;
	cof_show_fn fn;
	void *user;
};

static int count(struct cof_archive *a, uint64_t ino, struct cof_erasing *ret, struct cof_attr *attr)
{
	int r = cof_obj_peek(a, ino, attr);

	return r == 0 && attr->kind == COF_KIND_FILE ? cof_destroy_count(a, ino, attr->size, ret) : r;
}

static int tell_by(struct cof_archive *a, uint64_t ino, struct cof_json *o)
{
	uint8_t by[32];
	char hex[65];
	int r;

	COF_GATED(a, r, cof_destroyed_by(a, ino, by));
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	cof_hex(by, sizeof(by), hex);
	cof_json_set_str(o, "destroyed_by", hex);
	return 0;
}

static int plan_one(void *user, uint64_t ino)
{
	static const struct cof_who daemon = {.daemon = true};
	const struct cof_op op = {COF_OP_DESTROY, .ino = ino, .approved = true};
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf path = {0};
	struct cof_erasing sum = {.frames = 0};
	struct planning *p = user;
	struct cof_object view = {.kind = 0};
	struct cof_attr attr = {.ino = ino};
	struct cof_ruling rl;
	int r = cof_archive_explain(p->a, &daemon, &op, &rl, &view);

	if (r == 0)
		COF_GATED(p->a, r, count(p->a, ino, &sum, &attr));
	if (r < 0)
		return r;
	cof_json_set_uint(o, "ino", ino);
	if (cof_archive_path(p->a, ino, &path) == 0 && path.data)
		cof_json_set_str(o, "path", (const char *)path.data);
	cof_json_set_str(o, "state", cof_state_name(view.state));
	cof_json_set_uint(o, "size", attr.size);
	cof_json_set_uint(o, "frames", sum.frames);
	cof_json_set_uint(o, "bytes", sum.bytes);
	cof_json_set_bool(o, "allowed", rl.error == 0);
	cof_json_set_bool(o, "escrow", view.escrow);
	if (tell_by(p->a, ino, o) < 0)
		return -EIO;
	if (rl.error) {
		cof_json_set_str(o, "rule", rl.rule);
		cof_json_set_str(o, "reason", rl.reason);
	}
	return p->fn(p->user, o);
}

/* Of what a request names, as it is now. */
static int plan_request(struct planning *p, const struct cof_json *args, struct cof_diag *diag)
{
	struct cof_request_view v = {.outcome = ""};
	uint8_t id[32];
	int r = find(p->a, args, id, &v, diag);

	if (r < 0 || !v.request)
		return r;
	r = cof_action_each_object(v.request->doc, plan_one, p);
	return r < 0 ? cof_fail(diag, r, "a file cannot be looked at: %s", strerror(-r)) : 0;
}

int cof_destroy_plan(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *doc = cof_json_object();
	cof_autobuf struct cof_buf sheet = {0};
	struct planning p = {a, fn, user};
	int r;

	if (cof_json_str(args, "id"))
		return plan_request(&p, args, diag);
	r = cof_json_bool(args, "expired") ? cof_action_add_expired(a, args, doc, &sheet, diag)
				       : cof_action_add_paths(a, args, 0, doc, &sheet, diag);
	if (r < 0)
		return r;
	cof_clock_look(&a->clock);
	r = cof_action_each_object(doc, plan_one, &p);
	return r < 0 ? cof_fail(diag, r, "a file cannot be looked at: %s", strerror(-r)) : 0;
}

/* ---- what was approved ---- */

int cof_destroy_run(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag)
{
	struct cof_request_view v = {.state = COF_REQUEST_OPEN, .outcome = ""};
	uint8_t id[32];
	int r = find(a, args, id, &v, diag);

	if (r == 0 && v.state == COF_REQUEST_MET)
		r = cof_grant_run(a, who, id, true, diag);
	else if (r == 0 && v.state != COF_REQUEST_DONE)
		r = cof_fail(diag, -EPERM, "the request is %s%s%s: nothing more is destroyed by it", cof_request_state_name(v.state),
			     v.outcome[0] ? ", " : "", v.outcome);
	if (r == 0)
		r = cof_judge_request(cof_people_judge(a), id, &v);
	if (r == 0)
		cof_json_set_str(into, "state", cof_request_state_name(v.state));
	return r;
}

/* ---- certificates ---- */

#define FORM_MAX 60000

static int put_certificate(struct cof_archive *a, const struct cof_who *who, const uint8_t id[32], const char *form,
			   const char *digest, uint64_t *ret_sequence)
{
	cof_autobuf struct cof_buf fields = {0};
	char text[128];
	int r;

	cof_field_put(&fields, COF_T_FORM, form, strlen(form));
	snprintf(text, sizeof(text), "SHA-256 of the certificate %s", digest);
	r = fields.failed ? -ENOMEM
			  : cof_event_emit(a,
					   &(struct cof_event){.type = COF_EV_DESTRUCTION_CERTIFICATE,
							       .who = who,
							       .detail = text,
							       .request = id,
							       .fields = fields.data,
							       .fields_len = fields.len},
					   ret_sequence);
	return r;
}

struct ended {
	struct cof_archive *a;
	const uint8_t *request;
};

static int is_ended(void *user, uint64_t ino)
{
	const struct ended *e = user;
	uint8_t by[32];
	int r;

	COF_GATED(e->a, r, cof_destroyed_by(e->a, ino, by));
	return r == 0 ? !memcmp(by, e->request, sizeof(by)) : r == -ENOENT ? 0 : r;
}

/* One that failed for one of its files may have ended others. */
static int ended_some(struct cof_archive *a, const struct cof_request_view *v, struct cof_diag *diag)
{
	struct ended e = {a, v->request->id};
	int r = cof_action_each_object(v->request->doc, is_ended, &e);

	return r > 0 ? 0
	       : r   ? cof_fail(diag, r, "its files cannot be looked at: %s", strerror(-r))
		     : cof_fail(diag, -EPERM, "the request failed (%s) and nothing was destroyed by it: there is nothing to certify", v->outcome);
}

int cof_destroy_certificate(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
			    struct cof_diag *diag)
{
	const char *form = cof_json_str(args, "form"), *digest = cof_json_str(args, "sha256");
	struct cof_request_view v = {.state = COF_REQUEST_OPEN, .outcome = ""};
	uint64_t sequence = 0;
	uint8_t id[32];
	int r = find(a, args, id, &v, diag);

	if (r == 0 && v.state != COF_REQUEST_DONE && v.state != COF_REQUEST_FAILED)
		r = cof_fail(diag, -EPERM, "the request is %s: there is nothing to certify", cof_request_state_name(v.state));
	if (r == 0 && v.state == COF_REQUEST_FAILED)
		r = ended_some(a, &v, diag);
	if (r == 0 && (!form || strlen(form) > FORM_MAX || !digest || strlen(digest) != 64))
		r = cof_fail(diag, -EINVAL, "a certificate goes on record as \"form\" of at most %d bytes and \"sha256\"", FORM_MAX);
	if (r < 0 || !form || !digest)
		return r;
	COF_GATED(a, r, put_certificate(a, who, id, form, digest, &sequence));
	if (r == 0)
		r = cof_log_sync(a->log, sequence);
	if (r < 0)
		return cof_fail(diag, r, "the certificate cannot be put on record: %s", strerror(-r));
	cof_json_set_uint(into, "sequence", sequence);
	return 0;
}
