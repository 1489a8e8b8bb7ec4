/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people destroyed is off the segments of a recovered archive as well (docs/format.md 7.8): its log may have come from a copy
 * that had not carried that out yet. keys/ended says from before the new keys are in force that this is due, and then what was done,
 * until a mount has put it on record; so who was cut off goes on, and whoever mounts finishes it. What was done is believed only with
 * the tag of who has the keys: whatever else is there, it is due.
 *
 * Only what the judge counts, and only under a checkpoint whose root the frames that lie there give: bytes do not come back. Where
 * frames that rules are about cannot be read, a hold may be among them, and nothing is overwritten.
 */
#include <stdio.h>
#include <time.h>

#include "fs/archive/destroy.h"
#include "fs/archive/keys-box.h"

#define DUE "due\n"
#define TEXT_MAX 512
#define TAGGED_MAX (TEXT_MAX + 2 + 2 * COF_HASH)
#define INFO "coffer/1 ended"

struct again {
	struct cof_io *io;
	const struct cof_ended_params *p;
	struct cof_conf conf;
	struct cof_checkpoint head; /* size 0: none that the archive's key signed */
	struct cof_reader *reader;
	struct cof_erased *counts;
	struct cof_eraser *eraser;
	struct cof_ended_again *ret;
	struct cof_buf inodes; /* u64 of this machine: that count */
	uint8_t leaf[COF_HASH];
	struct cof_frontier tree;
};

/* ---- keys/ended ---- */

int cof_ended_due(struct cof_io *io)
{
	return cof_io_replace(io, COF_KEYS_ENDED, DUE, strlen(DUE));
}

static int tag(const struct cof_keys *k, const char *text, size_t n, char out[2 * COF_HASH + 1])
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	uint8_t info[sizeof(INFO) - 1 + sizeof(k->archive_id)], mac[COF_HASH];
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = n};
	int r;

	memcpy(info, INFO, sizeof(INFO) - 1);
	memcpy(info + sizeof(INFO) - 1, k->archive_id, sizeof(k->archive_id));
	r = key ? cof_hkdf(NULL, 0, k->state, COF_KEY, info, sizeof(info), key, COF_KEY) : -ENOMEM;
	if (r < 0)
		return r;
	cof_hmac(key, COF_KEY, &iov, 1, mac);
	cof_hex(mac, COF_HASH, out);
	return 0;
}

/* 1: what was done, into ret · 0: it is due · -ENOENT */
static int load_text(struct cof_io *io, const struct cof_keys *k, char ret[TEXT_MAX])
{
	cof_autofree uint8_t *mark = NULL;
	char want[2 * COF_HASH + 1];
	size_t n = 0, text;
	int r = cof_io_load(io, COF_KEYS_ENDED, TAGGED_MAX, &mark, &n);

	if (r < 0)
		return r == -EFBIG ? 0 : r;
	text = n > 2 * COF_HASH + 2 ? n - 2 * COF_HASH - 2 : 0;
	if (!text || text >= TEXT_MAX || mark[text] != '\n' || mark[n - 1] != '\n')
		return 0;
	r = tag(k, (char *)mark, text, want);
	if (r < 0 || !cof_equal(want, mark + text + 1, 2 * COF_HASH))
		return r;
	snprintf(ret, TEXT_MAX, "%.*s", (int)text, (char *)mark);
	return 1;
}

static int write_text(const struct again *g, const char *text, size_t n)
{
	char said[TAGGED_MAX + 1], mac[2 * COF_HASH + 1];
	int r = tag(g->p->keys, text, n, mac);

	snprintf(said, sizeof(said), "%.*s\n%s\n", (int)n, text, mac);
	return r < 0 ? r : cof_io_replace(g->io, COF_KEYS_ENDED, said, strlen(said));
}

/* ---- all frames under the checkpoint ---- */

typedef int (*frame_fn)(struct again *g, const struct cof_frame *f, uint64_t at, const uint8_t *raw);

/* -EUCLEAN: not all of them are there. */
static int each(struct again *g, frame_fn fn)
{
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_frame f;
	uint64_t at = 0;
	int r = 0;

	for (uint64_t n = 0; r == 0 && n < g->head.size; n++) {
		r = cof_reader_header(g->reader, at, &f, raw, NULL);
		if (r == 0 && f.sequence != n)
			r = -EUCLEAN;
		if (r == 0)
			r = fn(g, &f, at, raw);
		if (r == 0 && n + 1 < g->head.size)
			r = cof_reader_next(g->reader, at, &f, &at);
	}
	return r == -ENODATA ? -EUCLEAN : r;
}

static int chain(struct again *g, const struct cof_frame *f, uint64_t at COF_UNUSED, const uint8_t *raw)
{
	cof_frame_leaf(raw, g->leaf, g->leaf);
	cof_frontier_add(&g->tree, g->leaf, NULL, NULL);
	g->ret->left += f->type == COF_DESTROY;
	return 0;
}

static int overwrite(struct again *g, const struct cof_frame *f, uint64_t at, const uint8_t *raw COF_UNUSED)
{
	if (!cof_erased_covers(g->counts, f))
		return 0;
	g->ret->frames++;
	g->ret->bytes += f->stored - f->public_length;
	return cof_eraser_frame(g->eraser, &g->conf, at, f);
}

/* -EUCLEAN: what lies there is not what the archive signed, or not all of it can be read. */
static int proven(struct again *g)
{
	cof_autofree uint8_t *note = NULL;
	uint8_t root[COF_HASH];
	size_t n = 0;
	int r = cof_io_load(g->io, "checkpoint", COF_NOTE_MAX, &note, &n);

	if (r == 0 && cof_checkpoint_open(note, n, &g->conf.vkey, &g->head) < 0)
		r = -EUCLEAN;
	if (r < 0)
		return r == -ENOENT || r == -EFBIG ? -EUCLEAN : r;
	cof_frontier_init(&g->tree);
	r = each(g, chain);
	cof_frontier_root(&g->tree, root);
	return r < 0 ? r : cof_equal(root, g->head.root, COF_HASH) ? 0 : -EUCLEAN;
}

/* ---- what counts ---- */

static int count_one(void *user, uint64_t inode, uint64_t sequence, const uint8_t request[32] COF_UNUSED)
{
	struct cof_frame f = {.type = COF_DESTROY, .object = inode, .sequence = sequence};
	struct again *g = user;

	if (sequence >= g->head.size) {
		g->ret->behind++;
		return 0;
	}
	g->ret->files++;
	g->ret->left--;
	cof_buf_add(&g->inodes, &inode, sizeof(inode));
	return g->inodes.failed ? -ENOMEM : cof_erased_add(g->counts, &f);
}

static int counted(void *user, struct cof_judge *j)
{
	return cof_judge_destroyed(j, count_one, user);
}

static void no_matter(void *user COF_UNUSED, uint64_t sequence COF_UNUSED, const char *type COF_UNUSED, const char *rule COF_UNUSED,
		      const char *reason COF_UNUSED)
{
}

/* As a vault does: by the frames' times, and of what time ends by this host's clock as well. *ret_early: that one is behind them. */
static int judge(struct again *g, bool *ret_early, struct cof_diag *diag)
{
	struct cof_judge_store p = {.verify = g->p->verify, .verify_user = g->p->verify_user, .finding = no_matter, .user = g, .behind = counted};
	struct cof_judged seen;
	int r;

	if (!(g->conf.flags & COF_ARCHIVE_TEST_CLOCK)) /* its time is none */
		p.now = cof_now(CLOCK_REALTIME);
	r = cof_store_judge(g->io, &p, &seen, diag);
	if (r == 0 && (seen.unreadable || seen.end < g->head.size))
		r = -EUCLEAN;
	*ret_early = r == 0 && p.now && seen.last_retention > p.now;
	return r;
}

/* ---- doing it ---- */

static int erase(struct again *g, struct cof_diag *diag)
{
	uint64_t erased = 0, punched = 0;
	int r = cof_eraser_new(g->io, diag, &g->eraser);

	if (r == 0)
		r = each(g, overwrite);
	if (r == 0)
		r = cof_eraser_finish(g->eraser, &erased, &punched);
	return r == 0 && erased != g->ret->frames ? -EIO : r;
}

static int to_text(const struct cof_ended_again *e, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%llu destroyed files: %llu frames, %llu bytes of this copy overwritten and read back",
			 (unsigned long long)e->files, (unsigned long long)e->frames, (unsigned long long)e->bytes);

	if (e->left && n > 0 && (size_t)n < cap)
		n += snprintf(out + n, cap - (size_t)n, "; %llu more are destroyed by frames that nobody permitted, and keep their bytes",
			      (unsigned long long)e->left);
	return n;
}

static int done(struct again *g)
{
	char text[TEXT_MAX];
	int n = to_text(g->ret, text, sizeof(text));

	return write_text(g, text, (size_t)n);
}

static int keys_out(struct again *g, struct cof_diag *diag)
{
	return g->p->keys_out && g->ret->files
		       ? g->p->keys_out(g->p->user, (const uint64_t *)(const void *)g->inodes.data, (size_t)g->ret->files, diag)
		       : 0;
}

static int carry_out(struct again *g, struct cof_diag *diag)
{
	bool early = false;
	int r = proven(g);

	if (r == 0)
		r = judge(g, &early, diag);
	if (r == -EUCLEAN) { /* stays due */
		g->ret->unread = true;
		g->ret->files = g->ret->left = g->ret->behind = 0;
		return 0;
	}
	if (r == 0)
		r = keys_out(g, diag);
	if (r == 0)
		r = erase(g, diag);
	if (r == 0 && !(early && g->ret->left) && !g->ret->behind)
		r = done(g);
	return r;
}

static int begin(struct again *g, struct cof_diag *diag)
{
	int r = cof_conf_load(g->io, &g->conf, diag);

	if (r == 0)
		r = cof_reader_new(g->io, &g->conf, &g->reader);
	if (r == 0)
		r = cof_erased_new(&g->counts);
	if (r == 0)
		cof_reader_walk(g->reader, true);
	return r;
}

static void end(struct again *g)
{
	cof_eraser_free(g->eraser);
	cof_erased_free(g->counts);
	cof_reader_free(g->reader);
	cof_buf_done(&g->inodes);
}

int cof_ended_counted(const struct cof_ended_params *p, uint64_t **ret, size_t *ret_n, struct cof_diag *diag)
{
	struct cof_ended_again made = {.files = 0};
	struct again g = {.io = p->io, .p = p, .ret = &made};
	struct cof_diag why = {""};
	bool early;
	int r = begin(&g, &why);

	if (r == 0)
		r = proven(&g);
	if (r == 0)
		r = judge(&g, &early, &why);
	if (r == 0 || r == -EUCLEAN) {
		*ret_n = r == 0 ? (size_t)made.files : 0;
		*ret = (uint64_t *)(void *)g.inodes.data; /* of malloc */
		g.inodes = (struct cof_buf){0};
		r = 0;
	}
	end(&g);
	return r < 0 ? cof_fail(diag, r, "what people destroyed cannot be told from the log: %s", *why.text ? why.text : strerror(-r)) : 0;
}

int cof_ended_carry_out(const struct cof_ended_params *p, struct cof_ended_again *ret, struct cof_diag *diag)
{
	struct cof_ended_again made = {.files = 0};
	struct again g = {.io = p->io, .p = p, .ret = &made};
	struct cof_diag why = {""};
	char text[TEXT_MAX];
	int r = load_text(p->io, p->keys, text);

	*ret = made;
	if (r == 1 || r == -ENOENT)
		return 0;
	if (r == 0)
		r = begin(&g, &why);
	if (r == 0)
		r = carry_out(&g, &why);
	end(&g);
	if (r < 0)
		return cof_fail(diag, r, "what the log destroyed is not gone from this copy yet: %s", *why.text ? why.text : strerror(-r));
	*ret = made;
	return 0;
}

/* ---- on record ---- */

static int out_of_keys(void *user, const uint64_t *ino, size_t n, struct cof_diag *diag)
{
	struct cof_archive *a = user;
	int r;

	cof_people_lock(a);
	r = cof_destroy_keys(a, NULL, ino, n, diag);
	cof_people_unlock(a);
	return r;
}

/* What keeps it from being done keeps nobody from reading the archive. The frames of before are under a checkpoint then. */
static void try_again(struct cof_archive *a)
{
	struct cof_ended_params p = {.io = a->io,
				     .keys = a->keys,
				     .verify = a->p.verify_signature,
				     .verify_user = a->p.verify_user,
				     .keys_out = out_of_keys,
				     .user = a};
	struct cof_ended_again made = {.files = 0};
	struct cof_diag why = {""};
	int r = p.verify ? cof_log_checkpoint(a->log) : -EAGAIN;

	if (r == 0)
		r = cof_ended_carry_out(&p, &made, &why);
	if (r < 0 && r != -EAGAIN)
		cof_fault(a, "%s. The next mount tries it again", *why.text ? why.text : strerror(-r));
	else if (r == 0 && made.unread)
		cof_fault(a, "What the log destroyed is not gone from this copy yet: frames cannot be read, and a hold may be among them. coffer "
			     "verify names the place; the next mount tries it again");
}

int cof_ended_record(struct cof_archive *a, struct cof_diag *diag)
{
	char text[TEXT_MAX];
	uint64_t sequence = 0;
	int r = load_text(a->io, a->keys, text);

	if (r == 0) {
		try_again(a);
		r = load_text(a->io, a->keys, text);
	}
	if (r < 0 && r != -ENOENT)
		cof_fault(a, "STORE/" COF_KEYS_ENDED " cannot be read: %s. What the log destroyed may not be gone from this copy yet; the next mount "
			     "tries it again", strerror(-r));
	if (r != 1)
		return 0;
	r = cof_event_emit(a, &(struct cof_event){.type = COF_EV_RESTORE, .detail = text}, &sequence);
	if (r == 0)
		r = cof_log_sync(a->log, sequence);
	if (r == 0)
		r = cof_io_unlink(a->io, COF_KEYS_ENDED);
	return r < 0 ? cof_fail(diag, r, "%s: that what was destroyed is gone from this copy too cannot be recorded: %s", cof_io_where(a->io),
				strerror(-r))
		     : 0;
}
