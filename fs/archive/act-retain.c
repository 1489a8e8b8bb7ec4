/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The actions on files by approval: retention-end (an earlier end), event-declare (an event that retentions
 * wait for has happened) and remove (of what has expired). Each file is judged by the same rules as ever, told
 * that there is an approval; one that they refuse does not hinder the others, but then the request has failed.
 */
#include "fs/archive/people.h"

#include <stdio.h>

struct acting { /* one request over its objects */
	struct cof_archive *a;
	const struct cof_grant *g; /* NULL: only asked */
	struct cof_op op;
	struct cof_diag *diag;
	int err; /* of the first that was refused */
	size_t n; /* files for which it was done */
	uint64_t last; /* of these */
};

static int refused(struct acting *w, uint64_t ino, int err, const struct cof_ruling *rl)
{
	cof_autobuf struct cof_buf path = {0};

	if (w->err == 0) {
		(void)cof_archive_path(w->a, ino, &path);
		w->err = cof_fail(w->diag, err, "%.200s: %s", path.data ? (const char *)path.data : "a file that is gone",
				  err == -ECANCELED	  ? "it was promised for longer since that was approved"
				  : rl->error && rl->reason ? rl->reason : strerror(-err));
	}
	return 0;
}

/* ---- what the rules say of each ---- */

static int ask_one(void *user, uint64_t ino)
{
	static const struct cof_who daemon = {.daemon = true};
	struct acting *w = user;
	struct cof_ruling rl = {0};
	int r;

	w->op.ino = ino;
	r = cof_archive_explain(w->a, &daemon, &w->op, &rl, NULL);
	return r < 0 || rl.error ? refused(w, ino, r < 0 ? r : rl.error, &rl) : 0;
}

static int ask(struct cof_archive *a, const struct cof_json *doc, const struct cof_op *op, struct cof_diag *diag)
{
	struct acting w = {.a = a, .op = *op, .diag = diag};
	int r = cof_action_each_object(doc, ask_one, &w);

	/* The rules of a shelf may say EROFS; who requests is told that it is not permitted. */
	return r < 0 ? r : w.err == -EROFS ? -EPERM : w.err;
}

/* ---- retentions ---- */

static int retain_one(void *user, uint64_t ino)
{
	struct acting *w = user;
	struct cof_reply reply = {0};
	struct cof_ruling rl = {0};
	int r;

	w->op.ino = ino;
	COF_GATED(w->a, r, cof_retain_approved(w->a, w->g->who, &w->op, w->g->request, w->g->approval, &reply, &rl));
	if (reply.changed && w->a->p.changed)
		w->a->p.changed(w->a->p.user, ino);
	if (r == -ENOSPC || r == -EIO || r == -ENOMEM || (r == -EROFS && !rl.error))
		return r; /* another try may mend it */
	if (r == 0) {
		w->n++;
		w->last = ino;
	}
	return r < 0 ? refused(w, ino, r, &rl) : 0;
}

static int remove_one(void *user, uint64_t ino)
{
	struct acting *w = user;
	struct cof_reply reply = {0};
	struct cof_ruling rl = {0};
	char name[COF_NAME_MAX + 1] = "";
	uint64_t parent = 0;
	int r;

	COF_GATED(w->a, r, cof_name_remove(w->a, w->g->who, ino, w->g->request, &reply, &rl, &parent, name));
	if (r == -ENOENT) /* before a crash */
		return 0;
	if (r == 0 && w->a->p.removed)
		w->a->p.removed(w->a->p.user, parent, name);
	if (r == 0 && w->a->p.changed)
		w->a->p.changed(w->a->p.user, ino);
	if (r == -ENOSPC || r == -EIO || r == -ENOMEM || (r == -EROFS && !rl.error))
		return r;
	return r < 0 ? refused(w, ino, r, &rl) : 0;
}

/* One event for all of them; each has a frame of its own. */
static void tell(const struct acting *w)
{
	bool ends = w->op.kind == COF_OP_RETENTION_END;
	cof_autobuf struct cof_buf path = {0};
	char text[128], when[32];
	const struct cof_event e = {.type = ends ? COF_EV_RETENTION_ENDED : COF_EV_EVENT_DECLARED,
				    .who = w->g->who,
				    .object = w->n == 1 ? w->last : 0,
				    .path = w->n == 1 && cof_archive_path(w->a, w->last, &path) == 0
						? (const char *)path.data
						: NULL,
				    .detail = text,
				    .request = w->g->request};

	cof_time_text(w->op.retain, when);
	snprintf(text, sizeof(text), "%s%.31s%s at %s, of %zu file%s", ends ? "it ends" : "", ends ? "" : w->op.name,
		 ends ? "" : " happened", when, w->n, w->n == 1 ? "" : "s");
	cof_gate_enter(w->a);
	(void)cof_event_emit(w->a, &e, NULL); /* the frames themselves are on record */
	cof_gate_leave(w->a);
}

static int act(struct cof_archive *a, const struct cof_json *doc, const struct cof_op *op, const struct cof_grant *g,
	       cof_action_object_fn fn, struct cof_diag *diag)
{
	struct acting w = {.a = a, .g = g, .op = *op, .diag = diag};
	int r;

	cof_clock_look(&a->clock);
	r = cof_action_each_object(doc, fn, &w);
	if (w.n)
		tell(&w);
	if (r < 0)
		return cof_fail(diag, r, "a frame could not be written: %s", strerror(-r));
	return w.err == -EROFS ? -EPERM : w.err; /* for good, whatever the shelf calls it */
}

/* ---- words and documents ---- */

/* A time, or "now", in retention time. */
static int take_time(struct cof_archive *a, const char *word, const char *key, struct cof_json *doc,
		     struct cof_diag *diag)
{
	int64_t wall, v;
	char text[32];

	cof_clock_now(&a->clock, &wall, &v);
	if (!word || (strcmp(word, "now") && cof_time_parse(word, &v) < 0))
		return cof_fail(diag, -EINVAL, "%.64s is no time: 2031-01-02T03:04:05Z, or now", word ? word : "nothing");
	cof_time_text(v, text);
	cof_json_set_str(doc, key, text);
	return 0;
}

static int time_of(const struct cof_json *doc, const char *key, int64_t *ret, struct cof_diag *diag)
{
	const char *text = cof_json_str(doc, key);

	return text && cof_time_parse(text, ret) == 0 ? 0
						      : cof_fail(diag, -EINVAL, "the request does not say \"%s\"", key);
}

static int fill_end(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		    struct cof_diag *diag)
{
	int r = take_time(a, cof_action_word(args, 0), "until", doc, diag);

	if (r < 0)
		return r;
	cof_buf_printf(sheet, "retention would end already at %s of:\n", cof_json_str(doc, "until"));
	return cof_action_add_paths(a, args, 1, doc, sheet, diag);
}

static int op_end(const struct cof_json *doc, struct cof_op *ret, struct cof_diag *diag)
{
	*ret = (struct cof_op){COF_OP_RETENTION_END, .approved = true};
	return time_of(doc, "until", &ret->retain, diag);
}

static int fill_event(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		      struct cof_diag *diag)
{
	const char *name = cof_action_word(args, 0);
	int r;

	if (!name || !cof_event_name_ok(name))
		return cof_fail(diag, -EINVAL, "which event? A name of 1 to 31 of a-z, 0-9 and -");
	r = take_time(a, cof_action_word(args, 1), "happened", doc, diag);
	if (r < 0)
		return r;
	cof_json_set_str(doc, "event", name);
	cof_buf_printf(sheet, "the event %s happened at %s for:\n", name, cof_json_str(doc, "happened"));
	if (cof_json_bool(args, "waiting"))
		return cof_action_add_waiting(a, args, 2, name, doc, sheet, diag);
	return cof_action_add_paths(a, args, 2, doc, sheet, diag);
}

static int op_event(const struct cof_json *doc, struct cof_op *ret, struct cof_diag *diag)
{
	*ret = (struct cof_op){COF_OP_EVENT_DECLARE, .name = cof_json_str(doc, "event"), .approved = true};
	return ret->name ? time_of(doc, "happened", &ret->retain, diag)
			 : cof_fail(diag, -EINVAL, "the request does not say which event");
}

static int fill_remove(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		       struct cof_diag *diag)
{
	cof_buf_printf(sheet, "these files, whose retention is over, would be removed (names and sizes are gone from the\n"
			      "tree; the bytes stay in the log, encrypted):\n");
	if (cof_json_bool(args, "asked"))
		return cof_action_add_asked(a, args, doc, sheet, diag);
	return cof_action_add_paths(a, args, 0, doc, sheet, diag);
}

static const struct cof_op op_remove = {COF_OP_REMOVE, .approved = true};

static int check_end(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	struct cof_op op;
	int r = op_end(doc, &op, diag);

	return r < 0 ? r : ask(a, doc, &op, diag);
}

static int check_event(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	struct cof_op op;
	int r = op_event(doc, &op, diag);

	return r < 0 ? r : ask(a, doc, &op, diag);
}

static int check_remove(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	return ask(a, doc, &op_remove, diag);
}

static int apply_end(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	struct cof_op op;
	int r = op_end(doc, &op, diag);

	return r < 0 ? r : act(a, doc, &op, g, retain_one, diag);
}

static int apply_event(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	struct cof_op op;
	int r = op_event(doc, &op, diag);

	return r < 0 ? r : act(a, doc, &op, g, retain_one, diag);
}

static int apply_remove(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g,
			struct cof_diag *diag)
{
	return act(a, doc, &op_remove, g, remove_one, diag);
}

const struct cof_action cof_act_retention_end = {
    .name = "retention-end", .objects = true, .fill = fill_end, .check = check_end, .apply = apply_end};
const struct cof_action cof_act_event_declare = {
    .name = "event-declare", .objects = true, .fill = fill_event, .check = check_event, .apply = apply_event};
const struct cof_action cof_act_remove = {
    .name = "remove", .objects = true, .fill = fill_remove, .check = check_remove, .apply = apply_remove};
