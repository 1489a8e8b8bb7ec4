/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge over a store as it lies there, without keys and without its daemon: of every frame that people's
 * rules are about, whether it was permitted. Two passes over the headers: the first finds which objects are worth
 * following, the second judges. That the frames are those of the chain is coffer verify's business, which tells
 * what it met on its way, so that only frames that matter are read again.
 */
#include "fs/archive/judge.h"
#include "fs/archive/people.h"

#include <stdio.h>

struct judging {
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_reader *reader;
	struct cof_judge *judge;
	int64_t proven_from;
	const struct cof_judge_store *p;
	struct cof_judged *ret;
	bool first; /* pass */
	bool by_frames; /* heads are looked up in the frames themselves, not in the stored hashes */
	struct chained { /* the tree by the frames themselves, up to its size */
		struct cof_reader *reader;
		struct cof_frontier tree;
		uint64_t size, at;
		uint8_t leaf[COF_HASH];
	} chained;
};

static int get_tile(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct cof_io *io = user;
	struct cof_file *f;
	char path[16];
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), "tile/%u", level);
	r = cof_io_open(io, path, COF_IO_RDONLY, &f);
	if (r < 0)
		return r;
	r = cof_io_read(f, out, COF_HASH, index * COF_HASH, &n);
	cof_io_close(f);
	return r == 0 && n != COF_HASH ? -ENODATA : r;
}

int cof_tree_head(struct cof_io *io, uint64_t size, uint8_t ret[COF_HASH])
{
	int r = size ? cof_merkle_range(0, size, get_tile, io, ret) : -ENOENT;

	return r == -ENODATA || r == -EUCLEAN ? -ENOENT : r;
}

static int chain_on(struct chained *c)
{
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_frame f;
	int r = cof_reader_header(c->reader, c->at, &f, raw, NULL);

	if (r < 0)
		return r;
	cof_frame_leaf(raw, c->leaf, c->leaf);
	cof_frontier_add(&c->tree, c->leaf, NULL, NULL);
	c->size++;
	return cof_reader_next(c->reader, c->at, &f, &c->at);
}

static int head_of_frames(struct judging *w, uint64_t size, uint8_t ret[COF_HASH])
{
	struct chained *c = &w->chained;
	int r = c->reader ? 0 : cof_reader_new(w->io, &w->conf, &c->reader);

	if (r < 0)
		return r;
	if (!c->size || c->size > size) {
		cof_frontier_init(&c->tree);
		memset(c->leaf, 0, sizeof(c->leaf));
		c->size = c->at = 0;
		cof_reader_walk(c->reader, true);
	}
	while (r == 0 && c->size < size)
		r = chain_on(c);
	if (c->size < size)
		return r == -ENODATA || r == -EUCLEAN ? -ENOENT : r;
	cof_frontier_root(&c->tree, ret);
	return 0;
}

static int head_of(void *user, uint64_t size, uint8_t ret[COF_HASH])
{
	struct judging *w = user;

	return w->by_frames && size ? head_of_frames(w, size, ret) : cof_tree_head(w->io, size, ret);
}

/* ---- judging ---- */

static void take_proof(struct judging *w, const struct cof_frame *f, uint64_t address, const struct cof_buf *fields)
{
	struct cof_proof proof;

	if (cof_proof_read(f, address, fields->data, fields->len, &proof) == 0 && proof.trusted)
		w->proven_from = COF_MAX(w->proven_from, cof_proof_from(&proof));
}

/* Of a cosignature that holds. */
static bool take_cosign(struct judging *w, const struct cof_frame *f, const struct cof_buf *fields, struct cof_judge_cosign *ret)
{
	struct cof_cosign c;

	if (cof_cosign_read(fields->data, fields->len, f->position, &w->conf.vkey, &c, NULL) < 0)
		return false;
	memcpy(ret->key, c.vkey.public_key, sizeof(ret->key));
	memcpy(ret->administration, c.administration, sizeof(ret->administration));
	ret->time = c.time;
	return true;
}

static int judged(struct judging *w, const struct cof_frame *f, const struct cof_judge_frame *jf)
{
	struct cof_judgement said;
	int r = cof_judge_take(w->judge, jf, &said);

	if (r == -EPERM && !strcmp(said.rule, "wrong-head")) {
		/* After an unclean end the stored hashes may be less than the frames, until the next mount. */
		w->by_frames = true;
		r = cof_judge_take(w->judge, jf, &said);
		w->by_frames = false;
	}
	if (r != -EPERM)
		return r;
	w->ret->not_permitted++;
	w->p->finding(w->p->user, f->sequence, cof_frame_type_name(f->type), said.rule, said.reason);
	return 0;
}

static int one(struct judging *w, const struct cof_frame *f, uint64_t address)
{
	cof_autobuf struct cof_buf fields = {0};
	size_t skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;
	struct cof_judge_frame jf = {.type = f->type,
				     .sequence = f->sequence,
				     .object = f->object,
				     .position = f->position,
				     .record_time = f->record_time,
				     .retention_time = f->retention_time,
				     .proven_from = w->proven_from};
	struct cof_judge_cosign cosign;
	int r;

	if (cof_judge_grows(f) && !w->first) /* nothing of it is asked but whose it is */
		return judged(w, f, &jf);
	if (!cof_judge_matters(f))
		return 0;
	r = cof_frame_read(w->reader, NULL, w->conf.id, address, f, &fields, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0) { /* damage, which is found by who looks for it; who acts on what is judged has to know */
		w->ret->unreadable += !w->first;
		return 0;
	}
	if (f->type == COF_STAMP || f->type == COF_COSIGN)
		take_proof(w, f, address, &fields);
	if (f->type == COF_STAMP)
		return 0;
	if (f->type == COF_COSIGN && take_cosign(w, f, &fields, &cosign))
		jf.cosign = &cosign;
	jf.fields = fields.len > skip ? fields.data + skip : (const uint8_t *)"";
	jf.n = fields.len > skip ? fields.len - skip : 0;
	if (w->p->now && (f->type == COF_REMOVE || f->type == COF_DESTROY))
		jf.retention_time = COF_MIN(jf.retention_time, w->p->now);
	if (w->first)
		return cof_judge_watch(w->judge, &jf);
	w->ret->frames += f->type != COF_COSIGN;
	w->ret->last_retention = f->retention_time;
	return judged(w, f, &jf);
}

/* NULL: damaged since; not for us to say what it was. */
static int one_known(void *user, const struct cof_frame *f, uint64_t address)
{
	struct judging *w = user;

	if (f)
		return one(w, f, address);
	w->ret->unreadable += !w->first;
	return 0;
}

/* Those that were told of, and *ret: where to go on, at a frame of *ret_next or later. */
static int known(struct judging *w, const struct cof_judge_places *p, uint64_t *ret, uint64_t *ret_next)
{
	struct cof_frame f;
	int r = cof_judge_places_each(p, w->reader, one_known, w);

	if (r == 0 && cof_reader_header(w->reader, p->end, &f, NULL, NULL) == 0)
		*ret_next = f.sequence + 1;
	return r < 0 ? r : cof_reader_next(w->reader, p->end, &p->last, ret);
}

/* What stands where a later frame belongs is none of the chain: that it lies there is coffer verify's to say. */
static int pass(struct judging *w, bool first)
{
	struct cof_diag diag;
	struct cof_frame f;
	uint64_t at = 0, next = 0;
	int r = 0;

	w->first = first;
	w->proven_from = INT64_MIN;
	if (cof_judge_places_all(w->p->places))
		r = known(w, w->p->places, &at, &next);
	while (r == 0 && (r = cof_reader_header(w->reader, at, &f, NULL, &diag)) == 0) {
		if (f.sequence >= next) {
			r = one(w, &f, at);
			next = f.sequence + 1;
		}
		if (r == 0)
			r = cof_reader_next(w->reader, at, &f, &at);
	}
	w->ret->end = next;
	return r == -ENODATA || r == -EUCLEAN ? 0 : r;
}

int cof_store_judge(struct cof_io *io, const struct cof_judge_store *p, struct cof_judged *ret, struct cof_diag *diag)
{
	struct judging w = {.io = io, .p = p, .ret = ret};
	struct cof_judge_params jp = {
	    .verify = p->verify, .verify_user = p->verify_user, .head = head_of, .head_user = &w};
	struct cof_request_view v;
	int r = cof_conf_load(io, &w.conf, diag);

	*ret = (struct cof_judged){.last_retention = INT64_MIN};
	if (r < 0)
		return r;
	memcpy(jp.archive_id, w.conf.id, sizeof(jp.archive_id));
	r = cof_reader_new(io, &w.conf, &w.reader);
	if (r == 0)
		r = cof_judge_new(&jp, &w.judge);
	if (r == 0) {
		cof_reader_walk(w.reader, true);
		r = pass(&w, true);
	}
	if (r == 0)
		r = pass(&w, false);
	if (r == 0) {
		ret->people = cof_judge_people(w.judge) != NULL;
		while (cof_judge_request_at(w.judge, ret->requests, &v) == 0)
			ret->requests++;
	}
	if (r == 0 && p->behind)
		r = p->behind(p->user, w.judge);
	cof_judge_free(w.judge);
	cof_reader_free(w.chained.reader);
	cof_reader_free(w.reader);
	return r < 0 ? cof_fail(diag, r, "what people signed could not be judged: %s", strerror(-r)) : 0;
}
