/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification with public keys alone: every byte of the log against docs/format.md, the chain, the
 * tree, the signed checkpoint, those chained in the log, the stored hashes and, with the auditor's
 * secret, each seal tag. Writes nothing.
 *
 * The verdict is the gravest of the findings; a finding of COF_INTACT is a note.
 */
#include <stdio.h>

#include "fs/log/verify.h"

#define LIVE_TAIL (1u << 20) /* frames behind a live checkpoint that are counted */

const char *cof_verdict_name(enum cof_verdict v)
{
	switch (v) {
	case COF_INTACT:
		return "intact";
	case COF_UNSEALED:
		return "unsealed tail";
	case COF_INCOMPLETE:
		return "incomplete";
	case COF_TRUNCATED:
		return "truncated";
	case COF_TAMPERED:
		return "tampered";
	case COF_WRONG_KEY:
		return "wrong key";
	case COF_NOT_AN_ARCHIVE:
		return "not an archive";
	case COF_COULD_NOT_RUN:
		return "could not run";
	}
	return "unknown";
}

void cof_verify_say(struct verify *v, enum cof_verdict verdict, struct place place, const char *fmt,
		    ...)
{
	struct cof_finding f = {.verdict = verdict,
				.segment = place.segment,
				.offset = place.offset,
				.sequence = place.sequence,
				.object = place.object};
	va_list ap;

	if (verdict > v->out.verdict)
		v->out.verdict = verdict;
	if (v->findings >= VERIFY_FINDINGS) {
		v->unlisted++;
		return;
	}
	v->findings++;
	if (!v->p->finding)
		return;
	if (place.file)
		snprintf(f.file, sizeof(f.file), "%s", place.file);
	else if (place.segment >= 0)
		snprintf(f.file, sizeof(f.file), "log/%08llx.seg",
			 (unsigned long long)place.segment);
	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	v->p->finding(v->p->user, &f);
}

enum cof_verdict cof_verify_weigh(struct verify *v, uint64_t sequence)
{
	if (sequence < v->covered)
		return COF_TAMPERED;
	v->loose = COF_MIN(v->loose, sequence);
	return v->p->live ? COF_INTACT : COF_UNSEALED;
}

/* Beside a daemon: what it appended since its checkpoint, counted and not judged. */
static void live_tail(struct verify *v)
{
	struct cof_reader *r;
	uint64_t at = v->stopped_at, seen = 0, next;
	struct cof_frame f;

	if (!v->stopped || cof_reader_new(v->p->io, &v->out.conf, &r) < 0)
		return;
	while (seen < LIVE_TAIL && cof_reader_header(r, at, &f, NULL, NULL) == 0 &&
	       f.sequence == v->covered + seen) {
		v->out.tail += cof_frame_significant(&f);
		seen++;
		if (cof_reader_next(r, at, &f, &next) < 0)
			break;
		at = next;
	}
	cof_reader_free(r);
	if (v->out.tail)
		cof_verify_say(v, COF_INTACT, NOWHERE("log"),
			       "%llu frames behind the newest checkpoint were not looked at, "
			       "since they are being written",
			       (unsigned long long)v->out.tail);
}

static void check_end(struct verify *v)
{
	struct place place = NOWHERE("log");

	if (v->out.frames) {
		place.file = NULL;
		place.segment = v->end_segment;
		place.offset = v->end_offset;
	}
	place.sequence = (int64_t)v->sequence;
	if (v->sequence < v->covered) {
		cof_verify_say(v, COF_TRUNCATED, place,
			       "frames %llu to %llu, which the checkpoint covers, are missing at "
			       "the end",
			       (unsigned long long)v->sequence,
			       (unsigned long long)(v->covered - 1));
		return;
	}
	if (!v->sequence) {
		cof_verify_say(v, COF_TRUNCATED, place, "there is no frame at all");
		return;
	}
	if (v->p->live) {
		live_tail(v);
		return;
	}
	v->out.tail = cof_tree_significant(v, v->covered);
	if (v->out.tail)
		cof_verify_say(v, COF_UNSEALED, place,
			       "%llu frames are behind the last checkpoint: the archive was not "
			       "closed, the next mount covers them",
			       (unsigned long long)v->out.tail);
}

static void summarise(struct verify *v)
{
	bool closed = v->significant_type == COF_UNMOUNT && !v->torn && !v->p->live && !v->out.tail;

	cof_tree_finish(v, closed);
	v->out.checkpoint_size = v->covered;
	if (v->checkpoint.size == v->covered)
		memcpy(v->out.root, v->checkpoint.root, COF_HASH);
	else if (!v->tree.broken)
		(void)cof_tree_root_at(v, v->covered,
				       v->out.root); /* zeros when it cannot be had */
	if (v->seal.lost)
		v->out.seal_checked = false;
	if (!v->out.since && v->out.destroyed_frames > v->out.erased)
		cof_verify_say(v, COF_INTACT, NOWHERE("log"),
			       "%llu frames of destroyed files have their sealed bytes still: the keys are gone first, and what is "
			       "left is overwritten by the next mount, or not at all where this is a copy",
			       (unsigned long long)(v->out.destroyed_frames - v->out.erased));
	if (v->unlisted) {
		v->findings = 0;
		cof_verify_say(v, COF_INTACT, NOWHERE("log"), "%llu more findings are not listed",
			       (unsigned long long)v->unlisted);
	}
}

static int run(struct verify *v)
{
	int r = cof_verify_start(v);

	if (r)
		return r;
	r = cof_tree_start(v);
	if (!r)
		r = cof_seal_start(v);
	if (!r)
		r = cof_since_start(v);
	if (r)
		return r;
	r = cof_pool_start(v);
	if (!r)
		r = cof_verify_walk(v);
	if (r < 0)
		return r;
	check_end(v);
	cof_verify_times(v);
	summarise(v);
	return 0;
}

int cof_log_verify(const struct cof_verify_params *p, struct cof_verified *ret,
		   struct cof_diag *diag)
{
	struct verify *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return cof_fail(diag, -ENOMEM, "out of memory");
	v->p = p;
	v->diag = diag;
	v->loose = UINT64_MAX;
	v->out.proven_from = INT64_MIN;
	pthread_mutex_init(&v->pool.lock, NULL);
	pthread_cond_init(&v->pool.work, NULL);
	pthread_cond_init(&v->pool.finished, NULL);
	r = run(v);
	cof_pool_stop(v);
	cof_tree_stop(v);
	cof_secret_free(v->seal.secret);
	pthread_mutex_destroy(&v->pool.lock);
	pthread_cond_destroy(&v->pool.work);
	pthread_cond_destroy(&v->pool.finished);
	if (r == -ENOMEM && diag && !diag->text[0])
		cof_fail(diag, r, "out of memory");
	if (r >= 0)
		*ret = v->out;
	cof_erased_free(v->ended);
	free(v->archive_conf);
	free(v->segment);
	free(v);
	return r < 0 ? r : 0;
}
