/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs about files and shelves: what a request says becomes one operation, the archive judges it
 * as it judges any other, and records who asked.
 */
#include "fs/control/verbs.h"

#include <pthread.h>

/* A path in the archive, where no inode number is given. */
static int find(struct cof_archive *a, struct cof_control_request *r, struct cof_diag *diag)
{
	int err;

	if (r->op.ino || !r->path)
		return 0;
	err = cof_archive_resolve(a, r->path, &r->op.ino);
	return err ? cof_fail(diag, err, "%.200s: %s", r->path, strerror(-err)) : 0;
}

/* ---- acting ---- */

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
	int err;
};

static void durable(void *user, int err)
{
	struct waiting *w = user;

	pthread_mutex_lock(&w->lock);
	w->is_done = true;
	w->err = err;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

/* What an administrator was told is done survives a power cut. */
int cof_verb_wait_durable(struct cof_archive *a, uint64_t sequence)
{
	struct waiting w = {.is_done = false};

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.done, NULL);
	cof_archive_sync_async(a, sequence, durable, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.is_done)
		pthread_cond_wait(&w.done, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.done);
	pthread_mutex_destroy(&w.lock);
	return w.err;
}

static int refusal(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op, int err,
		   struct cof_diag *diag)
{
	struct cof_ruling rl = {0};

	/* The reason, once more from the rules, unless it is something else by now. */
	if (cof_archive_explain(a, who, op, &rl, NULL) == 0 && rl.error == err)
		return cof_fail(diag, err, "%s", rl.reason);
	return cof_fail(diag, err, "%s", strerror(-err));
}

int cof_verb_act(struct cof_archive *a, const struct cof_who *who, struct cof_control_request *r,
		 cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_reply reply = {0};
	int err = find(a, r, diag);

	if (err)
		return err;
	err = cof_archive_do(a, who, &r->op, &reply);
	if (err)
		return refusal(a, who, &r->op, err, diag);
	if (reply.wrote)
		err = cof_verb_wait_durable(a, reply.sequence);
	o = cof_json_object();
	if (!err)
		err = cof_archive_info(a, reply.attr.ino, o);
	return err ? err : fn(user, o);
}

int cof_verb_acknowledge(struct cof_archive *a, const struct cof_who *who, cof_show_fn fn, void *user,
			 struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	uint64_t faults = 0;
	int err = o ? cof_archive_acknowledge(a, who, &faults, diag) : -ENOMEM;

	if (err)
		return err;
	cof_json_set_uint(o, "faults", faults);
	return fn(user, o);
}

/* ---- explaining ---- */

static const char *effect_text(enum cof_effect effect)
{
	static const char *const texts[] = {
	    [COF_EFFECT_NONE] = "nothing changes",
	    [COF_EFFECT_APPEND] = "the bytes are added at the end",
	    [COF_EFFECT_HOLE] = "a hole is recorded up to there, and what follows it",
	    [COF_EFFECT_CREATE] = "it is made",
	    [COF_EFFECT_ATTR] = "the attribute is changed, and that on record",
	    [COF_EFFECT_COMMIT] = "the file is committed: it never changes again",
	    [COF_EFFECT_RENAME] = "it gets the new name",
	    [COF_EFFECT_REMOVE] = "the name is removed, and that on record",
	    [COF_EFFECT_EXTEND] = "it is kept longer",
	    [COF_EFFECT_ASK] = "the retention is asked for, and granted with the commit",
	    [COF_EFFECT_SHELF] = "the shelf gets the policy",
	    [COF_EFFECT_HOLD] = "the hold begins or ends, and that on record",
	    [COF_EFFECT_EVENT] = "its retention waits for the event, or counts from it",
	    [COF_EFFECT_END] = "its retention ends then",
	    [COF_EFFECT_ASK_REMOVE] = "that it shall go is put on record",
	    [COF_EFFECT_ECHO] = "it is acknowledged if the bytes are there already",
	};

	return (unsigned)effect < COF_COUNT(texts) ? texts[effect] : NULL;
}

static void set_until(struct cof_json *o, const char *key, int64_t until)
{
	if (until == COF_RETAIN_INFINITE)
		cof_json_set_str(o, key, "infinite");
	else if (until == COF_RETAIN_NONE)
		cof_json_set_str(o, key, "none");
	else
		cof_json_set_time(o, key, until);
}

/* What would have to change, as far as it follows from the state. */
static const char *change_text(const struct cof_ruling *rl, const struct cof_object *v)
{
	if (!rl->error || !rl->rule)
		return NULL;
	if (v->holds && !strcmp(rl->rule, "held"))
		return "each hold on it has to end first, by approval (coffer request hold-end)";
	if (!strcmp(rl->rule, "needs-approval"))
		return "a request for it has to be approved (coffer request)";
	if (v->event_due)
		return "the event that its retention waits for has to be declared first (coffer request event-declare)";
	if (v->kind == COF_KIND_FILE && v->state == COF_STATE_COMMITTED &&
	    (v->retain_until == COF_RETAIN_NONE || v->retain_until == COF_RETAIN_INFINITE))
		return "nothing can: the file is kept without an end";
	if (v->kind == COF_KIND_FILE && v->state == COF_STATE_COMMITTED)
		return "its retention has to be over first, and it stays immutable then";
	return NULL;
}

/* A write of which nothing is said is one of a byte at the end. */
static int default_range(struct cof_archive *a, struct cof_control_request *r)
{
	struct cof_attr attr;
	int err = 0;

	if (r->op.kind != COF_OP_WRITE)
		return 0;
	if (!r->op.length)
		r->op.length = 1;
	if (r->at_end)
		err = cof_archive_getattr(a, COF_INDEX_NOW, r->op.ino, &attr);
	if (r->at_end && !err)
		r->op.offset = attr.size;
	return err;
}

int cof_verb_explain(struct cof_archive *a, struct cof_control_request *r, cof_show_fn fn,
		     void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_object v = {0};
	struct cof_ruling rl = {0};
	int err = find(a, r, diag);

	if (!err)
		err = default_range(a, r);
	if (!err)
		err = cof_archive_explain(a, &r->who, &r->op, &rl, &v);
	if (err)
		return err;
	o = cof_json_object();
	cof_json_set_str(o, "op", cof_op_name(r->op.kind));
	cof_json_set_bool(o, "allowed", !rl.error);
	cof_json_set_str(o, "rule", rl.rule ? rl.rule : "");
	cof_json_set_str(o, "reason", rl.reason ? rl.reason : "");
	if (rl.error) {
		cof_json_set_str(o, "errno", strerrorname_np(-rl.error));
		cof_json_set_bool(o, "recorded", rl.record);
	} else if (effect_text(rl.effect)) {
		cof_json_set_str(o, "effect", effect_text(rl.effect));
	}
	if (v.kind == COF_KIND_FILE) {
		cof_verb_set_times(a, v.ino, o);
		cof_json_set_str(o, "state", cof_state_name(v.state));
		set_until(o, "retain_until", v.state == COF_STATE_OPEN ? v.retain_until
					     : v.retain_until == COF_RETAIN_NONE ? COF_RETAIN_NONE
										  : cof_rule_end(&v));
		set_until(o, "asked_until", v.asked_until);
		if (v.event_due)
			cof_json_set_str(o, "event", v.event);
	}
	if (v.kind == COF_KIND_FILE || v.kind == COF_KIND_DIR)
		cof_json_set_uint(o, "holds", v.holds);
	if (rl.effect == COF_EFFECT_COMMIT || rl.effect == COF_EFFECT_EXTEND)
		set_until(o, "would_retain_until", rl.retain_until);
	if (change_text(&rl, &v))
		cof_json_set_str(o, "change", change_text(&rl, &v));
	return fn(user, o);
}

/* ---- listing ---- */

struct listing {
	struct cof_archive *archive;
	const struct cof_control_request *request;
	cof_show_fn fn;
	void *user;
	struct cof_buf below; /* directories that are yet to be listed: u64 each */
};

static int show_one(struct listing *l, uint64_t ino)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *state;
	int err = cof_archive_info(l->archive, ino, o);

	if (err == -ENOENT)
		return 0; /* removed meanwhile */
	if (err)
		return err;
	state = cof_json_str(o, "state");
	if (l->request->state && (!state || strcmp(state, l->request->state)))
		return 0;
	if (l->request->digest) {
		uint8_t digest[COF_HASH];
		char hex[2 * COF_HASH + 1];

		err = cof_archive_digest(l->archive, ino, digest);
		if (!err) {
			cof_hex(digest, sizeof(digest), hex);
			cof_json_set_str(o, "digest", hex);
		} else if (err != -ENODATA) {
			return err;
		}
	}
	return l->fn(l->user, o);
}

static int on_entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED,
		    size_t len COF_UNUSED, uint64_t ino, uint8_t kind)
{
	struct listing *l = user;
	uint8_t number[8];
	int err = show_one(l, ino);

	if (!err && kind == COF_KIND_DIR && l->request->recursive) {
		cof_put_le64(number, ino);
		cof_buf_add(&l->below, number, sizeof(number));
		err = l->below.failed ? -ENOMEM : 0;
	}
	return err;
}

int cof_verb_ls(struct cof_archive *a, struct cof_control_request *r, cof_show_fn fn, void *user,
		struct cof_diag *diag)
{
	struct listing l = {.archive = a, .request = r, .fn = fn, .user = user};
	struct cof_attr attr;
	uint64_t dir;
	int err = find(a, r, diag);

	dir = r->op.ino ? r->op.ino : COF_ROOT_INO;
	if (!err)
		err = cof_archive_getattr(a, COF_INDEX_NOW, dir, &attr);
	if (err)
		return err;
	if (attr.kind != COF_KIND_DIR)
		return show_one(&l, dir);
	for (;;) {
		err = cof_archive_readdir(a, COF_INDEX_NOW, dir, 0, on_entry, &l);
		if (err || !l.below.len)
			break;
		l.below.len -= 8;
		dir = cof_get_le64(l.below.data + l.below.len);
	}
	cof_buf_done(&l.below);
	return err;
}
