/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time stamps in the chain. That the note which was stamped is a checkpoint of this log, and that its root is
 * the one that the frames give, is looked at here; the token itself by whoever verifies, who knows whom to
 * trust. A record time that lies before a proof chained before it shows that the host's clock was wrong, or
 * was set: a note, since proof and not record time says when.
 */
#include "fs/log/verify.h"

#define TOLERANCE (5 * COF_NSEC) /* two right clocks may be so far apart */

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
	r = cof_verify_root(v, cp.size, cp.root);
	if (r == -EBADMSG && !v->root_wrong)
		cof_verify_say(v, COF_TAMPERED, place,
			       "the frames below %llu do not give the root of the checkpoint that was stamped",
			       (unsigned long long)cp.size);
	return r != -EBADMSG;
}

void cof_verify_stamp(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place)
{
	struct cof_diag why = {""};
	int64_t from = INT64_MIN;
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);
	int r;

	v->out.stamps++;
	if (!is_checkpoint(v, f, fields, n, place) || !v->p->stamp)
		return;
	r = v->p->stamp(v->p->user, f, fields, n, &from, &why);
	if (r < 0)
		cof_verify_say(v, cof_verify_weigh(v, v->sequence - 1), place, "this time stamp does not hold: %s",
			       why.text[0] ? why.text : strerror(-r));
	if (r <= 0)
		return;
	v->out.stamps_proven++;
	v->out.proven_frames = COF_MAX(v->out.proven_frames, f->position);
	v->out.proven_from = COF_MAX(v->out.proven_from, from);
}

void cof_verify_time(struct verify *v, const struct cof_frame *f)
{
	if (v->out.proven_from == INT64_MIN || f->record_time >= v->out.proven_from - TOLERANCE)
		return;
	if (!v->out.too_early++)
		v->first_early = f->sequence;
}

void cof_verify_times(struct verify *v)
{
	struct place place = NOWHERE("log");

	if (!v->out.too_early)
		return;
	place.sequence = (int64_t)v->first_early;
	cof_verify_say(v, COF_INTACT, place,
		       "%llu frames, this one first, carry a record time before a proof that was chained before "
		       "them: the host's clock was wrong, or was set. They are not older than that proof",
		       (unsigned long long)v->out.too_early);
}
