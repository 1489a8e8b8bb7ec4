/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people destroyed is off the segments of a recovered archive as well (docs/format.md 7.8): its log may have come from a copy
 * that had not carried that out yet. keys/ended says from before the new keys are in force that this is due, and then what was done,
 * until a mount has put it on record; so who was cut off goes on, and whoever mounts finishes it.
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

struct again {
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_checkpoint head; /* size 0: none that the archive's key signed */
	struct cof_reader *reader;
	struct cof_erased *counts;
	struct cof_eraser *eraser;
	struct cof_ended_again *ret;
	uint8_t leaf[COF_HASH];
	struct cof_frontier tree;
};

int cof_ended_due(struct cof_io *io)
{
	return cof_io_replace(io, COF_KEYS_ENDED, DUE, strlen(DUE));
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

	if (sequence >= g->head.size)
		return 0;
	g->ret->files++;
	g->ret->left--;
	return cof_erased_add(g->counts, &f);
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
static int judge(struct again *g, cof_verify_signature verify, void *verify_user, bool *ret_early, struct cof_diag *diag)
{
	struct cof_judge_store p = {.verify = verify, .verify_user = verify_user, .finding = no_matter, .user = g, .behind = counted};
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

	return cof_io_replace(g->io, COF_KEYS_ENDED, text, (size_t)n);
}

static int carry_out(struct again *g, cof_verify_signature verify, void *verify_user, struct cof_diag *diag)
{
	bool early = false;
	int r = proven(g);

	if (r == 0)
		r = judge(g, verify, verify_user, &early, diag);
	if (r == -EUCLEAN) { /* stays due */
		g->ret->unread = true;
		g->ret->files = g->ret->left = 0;
		return 0;
	}
	if (r == 0)
		r = erase(g, diag);
	if (r == 0 && !(early && g->ret->left))
		r = done(g);
	return r;
}

int cof_ended_carry_out(struct cof_io *io, cof_verify_signature verify, void *verify_user, struct cof_ended_again *ret,
			struct cof_diag *diag)
{
	struct cof_ended_again made = {.files = 0};
	struct again g = {.io = io, .ret = &made};
	cof_autofree uint8_t *mark = NULL;
	struct cof_diag why = {""};
	size_t n = 0;
	int r = cof_io_load(io, COF_KEYS_ENDED, TEXT_MAX, &mark, &n);

	*ret = made;
	if (r == -ENOENT || (r == 0 && (n != strlen(DUE) || memcmp(mark, DUE, n) != 0)))
		return 0;
	if (r == 0)
		r = cof_conf_load(io, &g.conf, &why);
	if (r == 0)
		r = cof_reader_new(io, &g.conf, &g.reader);
	if (r == 0)
		r = cof_erased_new(&g.counts);
	if (r == 0) {
		cof_reader_walk(g.reader, true);
		r = carry_out(&g, verify, verify_user, &why);
	}
	cof_eraser_free(g.eraser);
	cof_erased_free(g.counts);
	cof_reader_free(g.reader);
	if (r < 0)
		return cof_fail(diag, r, "what the log destroyed is not gone from this copy yet: %s", *why.text ? why.text : strerror(-r));
	*ret = made;
	return 0;
}

/* ---- on record ---- */

/* 1: it is still due. */
static int load_text(struct cof_io *io, char *ret, size_t cap)
{
	cof_autofree uint8_t *mark = NULL;
	size_t n = 0;
	int r = cof_io_load(io, COF_KEYS_ENDED, TEXT_MAX, &mark, &n);

	if (r == 0)
		snprintf(ret, cap, "%.*s", (int)strnlen((char *)mark, n), (char *)mark);
	return r < 0 ? r : !strcmp(ret, DUE);
}

/* What keeps it from being done keeps nobody from reading the archive. */
static void try_again(struct cof_archive *a)
{
	struct cof_ended_again made;
	struct cof_diag why = {""};
	int r = a->p.verify_signature ? cof_ended_carry_out(a->io, a->p.verify_signature, a->p.verify_user, &made, &why) : -EAGAIN;

	if (r < 0 && r != -EAGAIN)
		cof_fault(a, "%s. The next mount tries it again", why.text);
	else if (r == 0 && made.unread)
		cof_fault(a, "What the log destroyed is not gone from this copy yet: frames cannot be read, and a hold may be among them. coffer "
			     "verify names the place; the next mount tries it again");
}

int cof_ended_record(struct cof_archive *a)
{
	char text[TEXT_MAX];
	uint64_t sequence = 0;
	int r = load_text(a->io, text, sizeof(text));

	if (r == 1) {
		try_again(a);
		r = load_text(a->io, text, sizeof(text));
	}
	if (r)
		return r == 1 || r == -ENOENT ? 0 : r;
	r = cof_event_emit(a, &(struct cof_event){.type = COF_EV_RESTORE, .detail = text}, &sequence);
	if (r == 0)
		r = cof_log_sync(a->log, sequence);
	if (r == 0)
		r = cof_io_unlink(a->io, COF_KEYS_ENDED);
	return r;
}
