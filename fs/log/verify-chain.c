/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One frame after the other: what its header must say where it stands, what particular types of
 * frames promise, and its link to the chain. The payload's hash is the workers' matter.
 */
#include <stdio.h>

#include "fs/log/verify.h"

static void wrong(struct verify *v, struct place place, const char *what)
{
	cof_verify_say(v, cof_verify_weigh(v, v->sequence), place, "%s", what);
}

static void check_first(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
			struct place place)
{
	if (f->type != COF_ARCHIVE || f->length) {
		wrong(v, place, "the first frame is no archive frame");
		return;
	}
	if (!v->archive_conf)
		return; /* said before */
	if (f->public_length != v->archive_conf_len ||
	    memcmp(payload, v->archive_conf, v->archive_conf_len) != 0) {
		struct place at = NOWHERE("archive.conf");

		cof_verify_say(v, COF_TAMPERED, at,
			       "is not what frame 0 says it was when the archive was made");
	}
}

static void check_mount(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
			struct place place)
{
	uint32_t expected = v->mount + (f->type == COF_MOUNT);
	char what[128];

	if (f->mount != expected && !(v->resumed && f->mount > v->mount)) {
		snprintf(what, sizeof(what), "this frame is of mount %u where %u belongs", f->mount,
			 expected);
		wrong(v, place, what);
	}
	if (f->mount != v->mount || f->type == COF_MOUNT) { /* also of a mount whose own frame is damaged */
		v->counters.n = 0;
		v->counters.next = 0;
	}
	v->mount = f->mount;
	if (f->type != COF_MOUNT)
		return;
	v->out.mounts++;
	if (cof_payload_check(f, payload) < 0) { /* its fields are used here, not only its hash */
		cof_seal_lose(v); /* the workers report it; what was torn is no forgery */
		return;
	}
	cof_seal_mount(v, f, payload, place);
}

const uint8_t *cof_verify_fields(const struct cof_frame *f, const uint8_t *payload, size_t *ret_n)
{
	size_t skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0; /* decode saw that it fits */

	*ret_n = f->public_length - skip;
	return payload + skip;
}

int cof_verify_root(struct verify *v, uint64_t size, const uint8_t root[COF_HASH])
{
	uint8_t got[COF_HASH];
	int r = cof_tree_root_at(v, size, got);

	if (r < 0)
		return r;
	return memcmp(got, root, COF_HASH) ? -EBADMSG : 0;
}

/* The signature is the workers' matter, except where this frame knows more than the file does. */
static void check_root(struct verify *v, const struct cof_checkpoint *cp,
		       const struct cof_field *note, struct place place)
{
	struct cof_checkpoint signed_one;
	int r = cof_verify_root(v, cp->size, cp->root);

	if (r == -EBADMSG && !v->root_wrong) {
		v->root_wrong = true; /* all later ones are wrong with it */
		cof_verify_say(v, COF_TAMPERED, place,
			       "the frames below %llu do not give the root of the checkpoint that "
			       "was chained here; up to %llu they did",
			       (unsigned long long)cp->size,
			       (unsigned long long)v->chained_checkpoint);
	}
	if (r == -ERANGE)
		cof_verify_say(v, COF_INTACT, place,
			       "the root of this checkpoint, %llu frames back, was not compared",
			       (unsigned long long)(v->sequence - cp->size));
	if (r || cp->size <= v->covered ||
	    cof_checkpoint_open(note->value, note->len, &v->out.conf.vkey, &signed_one) < 0)
		return;
	if (v->checkpoint.size)
		cof_verify_say(v, COF_INCOMPLETE, NOWHERE("checkpoint"),
			       "is for %llu frames, older than the one for %llu in frame %llu: an "
			       "old copy was put back",
			       (unsigned long long)v->checkpoint.size, (unsigned long long)cp->size,
			       (unsigned long long)v->sequence);
	v->covered = cp->size;
	if (v->loose < v->covered)
		cof_verify_say(v, COF_TAMPERED, place,
			       "frame %llu and what follows it were durable when this checkpoint "
			       "was made, and are damaged now",
			       (unsigned long long)v->loose);
}

static void check_checkpoint(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
			     struct place place)
{
	struct cof_checkpoint cp;
	struct cof_field note;
	const uint8_t *fields;
	const char *blank;
	size_t n;

	if (f->position > f->sequence || f->position < v->chained_checkpoint) {
		wrong(v, place, "this checkpoint is for a size that the log did not have then");
		return;
	}
	/* what is malformed here, the workers report */
	fields = cof_verify_fields(f, payload, &n);
	if (cof_field_find(fields, n, COF_T_NOTE, &note) < 0)
		return;
	blank = memmem(note.value, note.len, "\n\n", 2);
	if (!blank ||
	    cof_checkpoint_parse((const char *)note.value,
				 (size_t)(blank + 1 - (const char *)note.value), &cp) < 0 ||
	    cp.size != f->position)
		return;
	check_root(v, &cp, &note, place);
	v->chained_checkpoint = cp.size;
}

static void check_order(struct verify *v, const struct cof_frame *f, struct place place)
{
	if (f->sequence && f->type == COF_ARCHIVE)
		wrong(v, place, "an archive frame that is not the first");
	if (f->sequence == 1 && f->type != COF_MOUNT && !v->resumed)
		wrong(v, place, "the second frame is no mount frame");
	if (f->sequence && f->retention_time < v->retention)
		wrong(v, place, "the retention time is earlier than in the frame before");
	v->retention = f->retention_time;
}

void cof_verify_resume(struct verify *v, const struct cof_frame *f)
{
	uint64_t missing = f->sequence - v->sequence;

	v->resumed = true;
	(void)cof_tree_bridge(v, f->sequence); /* tree.broken tells */
	cof_seal_skip(v, missing, f->mount != v->mount);
	v->sequence = f->sequence;
	v->last_type = 0;
}

void cof_verify_covered(struct verify *v)
{
	int r;

	if (!v->checkpoint.size || v->sequence < v->checkpoint.size || v->root_compared)
		return;
	v->root_compared = true;
	r = cof_verify_root(v, v->checkpoint.size, v->checkpoint.root);
	if (r == -EBADMSG) {
		v->root_wrong = true;
		cof_verify_say(v, COF_TAMPERED, NOWHERE("checkpoint"),
			       "the %llu frames that it covers do not give the root that it signs",
			       (unsigned long long)v->checkpoint.size);
	} else if (r < 0) {
		cof_verify_say(v, COF_INTACT, NOWHERE("checkpoint"),
			       "its root cannot be compared, since frames are missing");
	}
}

static void count_destroyed(struct verify *v, const struct cof_frame *f, const uint8_t *payload)
{
	uint64_t frames = 0;
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);

	(void)cof_field_u64(fields, n, COF_T_DESTROYED_FRAMES, &frames);
	v->out.destroyed++;
	v->out.destroyed_frames += COF_MIN(frames, v->sequence); /* of a forged one the sum stays a sum */
}

void cof_verify_frame(struct verify *v, const struct cof_frame *f, const uint8_t *raw,
		      struct place place)
{
	const uint8_t *payload = raw + COF_FRAME_HEADER;
	bool significant = cof_frame_significant(f);

	cof_tree_settle(v, raw);
	cof_verify_covered(v);
	cof_since_covered(v);
	if (v->p->live && v->sequence >= v->covered) {
		v->stopped = true;
		return;
	}
	check_order(v, f, place);
	if (f->sequence == 0)
		check_first(v, f, payload, place);
	check_mount(v, f, payload, place);
	cof_counters_check(v, f, place);
	cof_seal_check(v, f, raw, place);
	cof_seal_mixing(v, f, payload, place);
	cof_tree_link(v, raw, place, significant);
	v->sequence++;
	if (f->type == COF_CHECKPOINT && cof_payload_check(f, payload) == 0) /* else see the workers */
		check_checkpoint(v, f, payload, place);
	cof_verify_time(v, f);
	if (f->type == COF_STAMP && cof_payload_check(f, payload) == 0)
		cof_verify_stamp(v, f, payload, place);
	if (f->type == COF_COSIGN && cof_payload_check(f, payload) == 0)
		cof_verify_cosign(v, f, payload, place);
	if (f->type == COF_RECOVERY)
		v->out.recoveries++;
	if (f->type == COF_DESTROY && cof_payload_check(f, payload) == 0)
		count_destroyed(v, f, payload);
	cof_verify_anchor(v, f, payload, place);
	v->last_type = f->type;
	if (significant)
		v->significant_type = f->type;
	v->resumed = false;
	v->out.frames++;
}
