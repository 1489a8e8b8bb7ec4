/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time stamps in the chain. That the note which was stamped is a checkpoint of this log, and that its root is
 * the one that the frames give, is looked at here; the token itself by whoever verifies, who knows whom to
 * trust. A record time that lies before a proof chained before it, or after one that covers it, shows that the
 * host's clock was wrong, or was set: a note, since proof and not record time says when.
 *
 * What a proof covers is known only when it comes. Until then the latest time of each stretch is kept, and
 * the stretches are made longer when there are too many: the last one before the end of what is covered is
 * then not compared, at most a 2,048th of the frames since the last proof.
 */
#include "fs/log/verify.h"

#define TOLERANCE (5 * COF_NSEC) /* two right clocks may be so far apart */

bool cof_verify_stamped(struct verify *v, uint64_t size, const uint8_t root[COF_HASH], const char *what, struct place place)
{
	int r = cof_verify_root(v, size, root);

	if (r == -EBADMSG && !v->root_wrong)
		cof_verify_say(v, COF_TAMPERED, place, "the frames below %llu do not give the root that this %s is for",
			       (unsigned long long)size, what);
	else if (r < 0 && r != -EBADMSG) /* whoever took the hashes away shall gain nothing by it */
		cof_verify_say(v, COF_INTACT, place,
			       "the root that this %s is for, of %llu frames, could not be compared with them, since hashes in "
			       "tile/ are missing: it counts as no proof",
			       what, (unsigned long long)size);
	return r == 0;
}

/* The note, signed by this log and for as many frames as the header says. */
static bool is_checkpoint(struct verify *v, const struct cof_frame *f, const uint8_t *fields, size_t n,
			  struct place place)
{
	struct cof_checkpoint cp;
	struct cof_field note;
	int r = -EUCLEAN;

	if (cof_field_find(fields, n, COF_T_NOTE, &note) == 0)
		r = cof_checkpoint_open(note.value, note.len, &v->out.conf.vkey, &cp);
	if (r < 0 || cp.size != f->position || cp.size > f->sequence) {
		cof_verify_say(v, cof_verify_weigh(v, v->sequence - 1), place,
			       "what this time stamp is for is no checkpoint of this log");
		return false;
	}
	return cof_verify_stamped(v, cp.size, cp.root, "time stamp", place);
}

/* ---- record times after a proof ---- */

static void halve(struct highs *h)
{
	h->shift++;
	for (uint32_t i = 0; i < h->n; i += 2) {
		struct high a = h->at[i], b = i + 1 < h->n ? h->at[i + 1] : a;

		h->at[i / 2] = b.time > a.time ? b : a;
	}
	h->n = (h->n + 1) / 2;
}

static void remember(struct highs *h, uint64_t sequence, int64_t time)
{
	uint64_t i;

	if (!h->n) {
		h->from = sequence;
		h->shift = 0;
	}
	if (sequence < h->from)
		return;
	while ((i = (sequence - h->from) >> h->shift) >= VERIFY_HIGHS)
		halve(h);
	while (h->n <= i)
		h->at[h->n++] = (struct high){.time = INT64_MIN, .sequence = sequence};
	if (time > h->at[i].time)
		h->at[i] = (struct high){time, sequence};
}

static void compare_covered(struct verify *v, uint64_t size, int64_t to)
{
	struct highs *h = &v->highs;
	int64_t limit = to > INT64_MAX - TOLERANCE ? INT64_MAX : to + TOLERANCE;
	uint32_t i = 0;

	for (; i < h->n && size >= h->from && (size - h->from) >> h->shift > i; i++) {
		if (h->at[i].time <= limit)
			continue;
		if (!v->out.too_late++)
			v->first_late = h->at[i].sequence;
	}
	h->n -= i;
	h->from += (uint64_t)i << h->shift;
	memmove(h->at, h->at + i, h->n * sizeof(h->at[0]));
}

void cof_verify_stamp(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place)
{
	struct cof_diag why = {""};
	struct cof_when when = {INT64_MIN, INT64_MAX};
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);
	int r;

	v->out.stamps++;
	if (!is_checkpoint(v, f, fields, n, place) || !v->p->stamp)
		return;
	r = v->p->stamp(v->p->user, f, fields, n, &when, &why);
	if (r < 0)
		cof_verify_say(v, cof_verify_weigh(v, v->sequence - 1), place, "this time stamp does not hold: %s",
			       why.text[0] ? why.text : strerror(-r));
	if (r == 0 && why.text[0])
		cof_verify_say(v, COF_INTACT, place, "this time stamp counts as no proof: %s", why.text);
	if (r <= 0)
		return;
	v->out.stamps_proven++;
	cof_verify_proven(v, f->position, when.from, when.to);
}

void cof_verify_proven(struct verify *v, uint64_t size, int64_t from, int64_t to)
{
	v->out.proven_frames = COF_MAX(v->out.proven_frames, size);
	v->out.proven_from = COF_MAX(v->out.proven_from, from);
	compare_covered(v, size, to);
}

void cof_verify_time(struct verify *v, const struct cof_frame *f)
{
	if (v->p->stamp || v->p->cosign)
		remember(&v->highs, f->sequence, f->record_time);
	if (v->out.proven_from == INT64_MIN || f->record_time >= v->out.proven_from - TOLERANCE)
		return;
	if (!v->out.too_early++)
		v->first_early = f->sequence;
}

void cof_verify_times(struct verify *v)
{
	struct place place = NOWHERE("log");

	if (v->out.too_late) {
		place.sequence = (int64_t)v->first_late;
		cof_verify_say(v, COF_INTACT, place,
			       "%llu frames at least, this one first, carry a record time after a proof that covers "
			       "them: the host's clock was wrong, or was set. They are not younger than that proof",
			       (unsigned long long)v->out.too_late);
	}
	if (!v->out.too_early)
		return;
	place.sequence = (int64_t)v->first_early;
	cof_verify_say(v, COF_INTACT, place,
		       "%llu frames, this one first, carry a record time before a proof that was chained before "
		       "them: the host's clock was wrong, or was set. They are not older than that proof",
		       (unsigned long long)v->out.too_early);
}
