/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The action destroy: the content of files whose retention is over, for good. In this order, each step durable before the
 * next, and all of it once more behind a crash (what is done already changes nothing):
 *   1. a DESTROY frame for each file, and a checkpoint that covers them: from here on nobody reads the files, and a
 *      payload that is not what its header says is no damage;
 *   2. what leads to their keys out of both trees, with a new root key (keys-destroy.c);
 *      and out of what waits to be brought to vaults (vault-enroll.c);
 *   3. keys and plaintext out of memory and caches;
 *   4. the sealed bytes overwritten, given back, read again (destroy.c).
 * Then the APPROVAL frame says that it is done (grant.c).
 */
#include "fs/archive/destroy.h"
#include "fs/archive/envelope.h"
#include "fs/archive/escrow.h"
#include "fs/archive/keys-box.h"
#include "fs/archive/vaults.h"

#include <stdio.h>

struct ending { /* one request over its objects */
	struct cof_archive *a;
	const struct cof_grant *g; /* NULL: only asked */
	uint64_t *escrow;	   /* objects that records of escrow are about, ascending */
	size_t n_escrow;
	uint64_t *ino; /* that are destroyed by this request, in order */
	size_t n;
	uint64_t last; /* sequence of the last frame; 0: none was written */
	struct cof_diag *diag;
	int err; /* of the first that was refused */
};

/* ---- lists of inodes ---- */

static int add(uint64_t **list, size_t *n, uint64_t v)
{
	uint64_t *more = *list;

	if ((*n & (*n - 1)) == 0) { /* at each power of two room for the next */
		more = realloc(*list, (*n ? 2 * *n : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
	}
	*list = more;
	more[(*n)++] = v;
	return 0;
}

static int by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static bool has(const uint64_t *list, size_t n, uint64_t v)
{
	return n && bsearch(&v, list, n, sizeof(v), by_number);
}

static int one_record(void *user, const struct cof_escrow_record *r)
{
	struct ending *w = user;

	return r->object ? add(&w->escrow, &w->n_escrow, r->object) : 0;
}

static int look_escrow(struct ending *w)
{
	int r = cof_escrow_each(w->a, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, one_record, w);

	if (w->n_escrow)
		qsort(w->escrow, w->n_escrow, sizeof(*w->escrow), by_number);
	return r;
}

static void done(struct ending *w)
{
	free(w->escrow);
	free(w->ino);
}

/* ---- one file ---- */

static int refused(struct ending *w, uint64_t ino, int err, const struct cof_ruling *rl)
{
	cof_autobuf struct cof_buf path = {0};

	if (w->err)
		return 0;
	if (cof_archive_path(w->a, ino, &path) < 0 || !path.data)
		cof_buf_printf(&path, "inode %llu", (unsigned long long)ino);
	w->err = cof_fail(w->diag, err, "%.200s: %s", path.data ? (const char *)path.data : "a file",
			  rl->error && rl->reason ? rl->reason : strerror(-err));
	return 0;
}

/* What the rules say, the object held. */
static int judge(struct ending *w, struct cof_obj *o, struct cof_reply *reply, struct cof_ruling *rl)
{
	static const struct cof_who daemon = {.daemon = true};
	struct cof_op op = {COF_OP_DESTROY, .ino = o->node.ino, .approved = true};
	struct cof_object view;
	uint8_t by[32];
	int r = cof_destroyed_by(w->a, o->node.ino, by);

	if (r < 0 && r != -ENOENT)
		return r;
	cof_obj_rule_view(w->a, o, &view);
	view.destroyed = r == 0;
	view.escrow = has(w->escrow, w->n_escrow, o->node.ino);
	return cof_judge(w->a, o, &view, &op, w->g ? w->g->who : &daemon, reply, rl);
}

/* The path, as far as there is one: what was removed has none any more. */
static void fill_private(struct ending *w, uint64_t ino, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf path = {0};

	if (cof_archive_path(w->a, ino, &path) == 0 && path.data && path.len <= UINT16_MAX)
		cof_field_put(ret, COF_T_PATH, path.data, path.len - (path.data[path.len - 1] == '\0'));
}

static int put_frame(struct ending *w, struct cof_obj *o, const struct cof_buf *path)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_erasing count = {.frames = 0};
	struct cof_applied on = {.o = o};
	struct cof_append ap = {0};
	struct cof_draft d = {.type = COF_DESTROY,
			      .object = o->node.ino,
			      .position = o->size,
			      .plain = path->data,
			      .length = (uint32_t)path->len,
			      .system = true};
	int r = cof_destroy_count(w->a, o->node.ino, o->size, &count);

	if (r == 0)
		r = cof_actor_use(w->a, w->g->who, true, &d.actor);
	if (r < 0)
		return r;
	cof_field_put(&fields, COF_T_REQUEST, w->g->request, 32);
	cof_field_put_u64(&fields, COF_T_DESTROYED_FRAMES, count.frames);
	cof_field_put_u64(&fields, COF_T_DESTROYED_BYTES, count.bytes);
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	r = fields.failed || path->failed ? -ENOMEM : cof_archive_put(w->a, &d, &on, &ap);
	if (r == 0)
		w->last = ap.ret_sequence;
	return r;
}

/* 1: a frame of this request, before a crash, said so already. The tree is locked: a hold on a directory above takes it. */
static int end_locked(struct ending *w, uint64_t ino, const struct cof_buf *path, struct cof_ruling *rl)
{
	struct cof_reply reply = {0};
	uint8_t by[32];
	struct cof_obj *o;
	int r = cof_obj_get(w->a, ino, &o);

	if (r < 0)
		return r;
	r = cof_destroyed_by(w->a, ino, by);
	if (r == 0 && w->g && !memcmp(by, w->g->request, sizeof(by)))
		r = 1;
	else if (r == 0 || r == -ENOENT)
		r = judge(w, o, w->g ? &reply : NULL, rl);
	if (r == 0 && w->g)
		r = put_frame(w, o, path);
	cof_obj_put(w->a, o);
	return r;
}

/* A hold that begins comes before, and is asked of, or behind. */
static int end_one(struct ending *w, uint64_t ino, const struct cof_buf *path, struct cof_ruling *rl)
{
	int r;

	pthread_rwlock_rdlock(&w->a->tree);
	r = end_locked(w, ino, path, rl);
	pthread_rwlock_unlock(&w->a->tree);
	return r;
}

static int each(void *user, uint64_t ino)
{
	cof_autobuf struct cof_buf path = {0};
	struct ending *w = user;
	struct cof_ruling rl = {0};
	int r;

	if (w->g)
		fill_private(w, ino, &path);
	COF_GATED(w->a, r, end_one(w, ino, &path, &rl));
	if (r == -ENOSPC || r == -EIO || r == -ENOMEM || (r == -EROFS && !rl.error))
		return r; /* another try may mend it */
	return r < 0 ? refused(w, ino, r, &rl) : add(&w->ino, &w->n, ino);
}

/* ---- all of them ---- */

/* Durable, and under a checkpoint: whoever recovers the log takes no overwritten payload for a torn one. */
static int settle_frames(struct ending *w)
{
	int r = w->last ? cof_log_sync(w->a->log, w->last) : 0;

	return r < 0 ? r : cof_log_checkpoint(w->a->log);
}

struct with_tpm {
	struct cof_archive *a;
	const uint64_t *ino;
	size_t n;
	struct cof_renewal r;
};

static int take_keys(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct with_tpm *p = arg;

	p->r.open = t;
	return cof_keys_destroy(p->a->keys, p->a->io, p->ino, p->n, &p->r, diag);
}

static int out_of_trees(struct cof_archive *a, const uint64_t *ino, size_t n, struct cof_diag *diag)
{
	struct with_tpm p = {.a = a, .ino = ino, .n = n};
	bool gone = true;

	for (size_t i = 0; i < n && gone; i++)
		gone = cof_keys_destroyed(a->keys, ino[i]);
	if (gone) /* before a crash: no TPM has to be there */
		return 0;
	return a->tpm ? cof_tpm_link_use(a->tpm, take_keys, &p, NULL, diag) : take_keys(NULL, &p, diag);
}

int cof_destroy_keys(struct cof_archive *a, const struct cof_who *who, const uint64_t *ino, size_t n, struct cof_diag *diag)
{
	int r = out_of_trees(a, ino, n, diag);

	return r == 0 ? cof_vault_waiting_anew(a, who, diag) : r;
}

static void forget(struct ending *w)
{
	for (size_t i = 0; i < w->n; i++)
		cof_ring_forget(w->a->ring, w->ino[i]);
	cof_chunks_clear(w->a->chunks);
	for (size_t i = 0; i < w->n && w->a->p.changed; i++)
		w->a->p.changed(w->a->p.user, w->ino[i]);
}

static int erase(struct ending *w, struct cof_erasing *sum)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = cof_destroy_erase(w->a, w->ino[i], sum, w->diag);
	return r;
}

static void tell(struct ending *w, const struct cof_erasing *sum)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "%zu files: keys out of both trees; %llu frames, %llu bytes overwritten and read back, %llu of them given back; %llu "
		 "frames not found",
		 w->n, (unsigned long long)sum->frames, (unsigned long long)sum->bytes, (unsigned long long)sum->punched,
		 (unsigned long long)sum->missing);
	cof_gate_enter(w->a);
	(void)cof_event_emit(w->a, &(struct cof_event){.type = COF_EV_DESTROYED, .detail = text, .request = w->g->request}, NULL);
	cof_gate_leave(w->a);
}

static int left_over(struct ending *w, int err)
{
	struct cof_diag why = *w->diag;

	return cof_fail(w->diag, -EIO, "it is destroyed on record, and not all of it is gone yet: %.400s",
			why.text[0] ? why.text : strerror(-err));
}

/* From the first DESTROY frame on there is no way back: what fails is tried again by the next mount. */
static int finish(struct ending *w)
{
	struct cof_erasing sum = {.frames = 0};
	int r = settle_frames(w);

	if (r == 0)
		r = cof_destroy_keys(w->a, w->g->who, w->ino, w->n, w->diag);
	if (r == 0) {
		forget(w);
		r = erase(w, &sum);
	}
	if (r == 0 && sum.erased + sum.missing < sum.frames)
		r = cof_fail(w->diag, -EIO, "%llu frames could not be overwritten",
			     (unsigned long long)(sum.frames - sum.erased - sum.missing));
	if (r == 0)
		tell(w, &sum);
	return r < 0 ? left_over(w, r) : 0;
}

static int apply(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	struct ending w = {.a = a, .g = g, .diag = diag};
	int r = look_escrow(&w);

	cof_clock_look(&a->clock);
	if (r == 0)
		r = cof_action_each_object(doc, each, &w);
	if (r < 0)
		r = cof_fail(diag, r, "a frame could not be written: %s", strerror(-r));
	else if (w.n)
		r = finish(&w);
	done(&w);
	return r < 0 ? r : w.err == -EROFS ? -EPERM : w.err; /* for good, whatever the shelf calls it */
}

/* Before anything is on record: what is destroyed on record has to find its keys, also by the next mount. */
static int check_room(struct ending *w)
{
	size_t seeds = 0;
	int r = cof_keys_room(w->a->keys, w->ino, w->n, &seeds);

	if (r == -E2BIG || r == -ENOMEM)
		return cof_fail(w->diag, -E2BIG,
				"the keys of what is left would be %zu seeds in a tree, and %d fit: destroy fewer of the files that lie scattered "
				"among others, or files whose inode numbers follow each other",
				seeds, COF_KEYS_SEEDS_MAX);
	return r;
}

/* An envelope of before the first vault was enrolled stands for a tree R that is no more: what its custodians are told that it
 * opens would be wrong, and whether the content is gone could not be said. */
static int check_envelope(const struct cof_archive *a, struct cof_diag *diag)
{
	if (!cof_keys_envelope_behind(a->keys) || cof_io_exists(a->io, COF_ENVELOPE_FILE) <= 0)
		return 0;
	return cof_fail(diag, -EPERM, "the recovery envelope is of before the first vault was enrolled: coffer seal recovery-renew comes first, "
				      "then content can be destroyed");
}

static int check(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	struct ending w = {.a = a, .diag = diag};
	int r = check_envelope(a, diag);

	if (r < 0)
		return r;
	r = look_escrow(&w);
	if (r == 0)
		r = cof_action_each_object(doc, each, &w);
	if (r == 0 && !w.err)
		r = check_room(&w);
	done(&w);
	return r < 0 ? r : w.err == -EROFS ? -EPERM : w.err;
}

static int fill(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		struct cof_diag *diag)
{
	cof_buf_printf(sheet, "the content of these files would be destroyed for good: keys, then bytes. Names and history stay:\n");
	return cof_json_bool(args, "expired") ? cof_action_add_expired(a, args, doc, sheet, diag)
					      : cof_action_add_paths(a, args, 0, doc, sheet, diag);
}

const struct cof_action cof_act_destroy = {.name = "destroy", .objects = true, .fill = fill, .check = check, .apply = apply};
