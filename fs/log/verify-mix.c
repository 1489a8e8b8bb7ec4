/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the seal is mixed with (docs/format.md 7.5), which shows that the end of a mount was cut off before another
 * one began: its MOUNT frame names the last frame that the seal was mixed at, and proves that it knows what
 * came of it. Which frame is for everybody to see; the proof is for who has the auditor secret.
 */
#include "fs/log/verify.h"

/* In secure memory: what proves this epoch, what will prove the next one, and the one before that: the power may
 * have failed between a frame that is mixed at and what it was written for. */
#define BASE(v) ((v)->seal.secret + 2 * COF_KEY)
#define NEWEST(v) ((v)->seal.secret + 3 * COF_KEY)
#define BEFORE(v) ((v)->seal.secret + 4 * COF_KEY)

void cof_mix_lose(struct verify *v)
{
	struct mix *m = &v->mix;

	m->base = m->newest = m->before = COF_NOT_MIXED;
	m->gap = true;
}

void cof_mix_gap(struct verify *v)
{
	v->mix.gap = true;
}

/* ---- MOUNT ---- */

static void missing_end(struct verify *v, uint64_t at, struct place place)
{
	uint64_t first = v->sequence;

	if (v->mix.told == at)
		return;
	v->mix.told = at;
	cof_verify_say(v, COF_TRUNCATED, place,
		       "at least %llu frames are missing before this mount, %llu and those that followed it: its seal is "
		       "mixed with the one behind frame %llu, which the mount before had written",
		       (unsigned long long)(at - first + 1), (unsigned long long)first, (unsigned long long)at);
}

static void unknown(struct verify *v, struct place place)
{
	cof_verify_say(v, COF_INTACT, place,
		       "whether the mount before ended where its frames end was not checked: some of them are not there");
}

/* Takes what this mount has to prove into BASE. False: it is not known. */
static bool choose(struct verify *v, uint64_t at, bool again, struct place place)
{
	struct mix *m = &v->mix;

	if (again ? at == m->base : at == m->newest) {
		if (!again)
			memcpy(BASE(v), NEWEST(v), COF_KEY);
	} else if (!again && at == m->before) {
		memcpy(BASE(v), BEFORE(v), COF_KEY);
	} else {
		if (m->gap || (again && m->base == COF_NOT_MIXED))
			unknown(v, place);
		else
			cof_verify_say(v, cof_verify_weigh(v, v->sequence), place,
				       "this mount's seal is said to be mixed at frame %llu, and was at %llu: an old copy of "
				       "the seal's secret was put back",
				       (unsigned long long)at,
				       (unsigned long long)(again ? m->base : m->newest));
		return false;
	}
	m->base = at;
	return true;
}

static void prove(struct verify *v, const uint8_t *field, const uint8_t salt[32], bool again,
		  struct place place)
{
	uint64_t at = cof_get_le64(field);
	uint8_t want[COF_MIX_PROOF];

	if (!choose(v, at, again, place)) {
		v->mix.base = COF_NOT_MIXED;
		return;
	}
	cof_seal_mix_proof(BASE(v), v->out.conf.id, salt, at, want);
	if (cof_equal(want, field + 8, sizeof(want)))
		return;
	cof_verify_say(v, COF_TAMPERED, place,
		       "this mount does not prove that it followed on frame %llu: the end of the mount before was cut off, "
		       "and this one was not written by the archive",
		       (unsigned long long)at);
	if (!v->out.seal_broken)
		v->out.seal_false = v->sequence;
	v->out.seal_broken = true;
}

/* The first mounts of a lineage follow on nothing. */
static bool is_first(struct verify *v, uint64_t epoch, uint32_t lineage)
{
	struct mix *m = &v->mix;

	if (lineage != m->lineage || !m->first_epoch) {
		m->first_known = v->mount == 1 || (m->lineage && !v->resumed);
		m->first_epoch = epoch;
	}
	m->lineage = lineage;
	return m->first_epoch == epoch;
}

void cof_mix_mount(struct verify *v, const void *fields, size_t n, uint64_t epoch, uint32_t lineage,
		   const uint8_t salt[32], struct place place)
{
	bool first = is_first(v, epoch, lineage), again = epoch == v->mix.epoch;
	struct cof_field field;
	bool there = cof_field_find(fields, n, COF_T_MIXING, &field) == 0;

	v->mix.epoch = epoch;
	if (!there) {
		if (!first)
			cof_verify_say(v, cof_verify_weigh(v, v->sequence), place,
				       "this mount does not say at which frame its seal was mixed");
		return;
	}
	if (field.len != COF_MIX_FIELD || (first && v->mix.first_known)) {
		cof_verify_say(v, cof_verify_weigh(v, v->sequence), place,
			       "what this mount says of the seal's mixing makes no sense");
		return;
	}
	if (cof_get_le64(field.value) >= v->sequence)
		missing_end(v, cof_get_le64(field.value), place);
	else if (v->seal.secret && !v->seal.anew && v->seal.secret_lineage == lineage)
		prove(v, field.value, salt, again, place);
}

/* ---- frames that it is mixed at; the key is the one behind the frame ---- */

static bool begin(struct verify *v, const struct cof_frame *f, const uint8_t k[COF_KEY])
{
	struct mix *m = &v->mix;

	m->gap = false;
	m->newest = f->sequence;
	m->before = COF_NOT_MIXED;
	return cof_seal_mix_start(k, NEWEST(v)) == 0;
}

static bool mix(struct verify *v, const struct cof_frame *f, const uint8_t k[COF_KEY], uint64_t on,
		struct place place)
{
	struct mix *m = &v->mix;

	if (on == m->newest) {
		memcpy(BEFORE(v), NEWEST(v), COF_KEY);
		m->before = m->newest;
	} else if (on != m->before || on == COF_NOT_MIXED) {
		if (!m->gap)
			cof_verify_say(v, cof_verify_weigh(v, f->sequence), place,
				       "the seal is said to be mixed here behind frame %llu, where it was not",
				       (unsigned long long)on);
		return false;
	}
	m->newest = f->sequence;
	return cof_seal_mix(k, BEFORE(v), NEWEST(v)) == 0;
}

void cof_mix_frame(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
		   const uint8_t k[COF_KEY], struct place place)
{
	uint64_t on = 0;
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);
	bool right = true;

	if (!v->seal.secret)
		return;
	if (v->seal.lost) {
		cof_mix_lose(v);
		return;
	}
	if (f->type == COF_MOUNT)
		right = begin(v, f, k);
	else if (cof_field_u64(fields, n, COF_T_MIXING, &on) == 0)
		right = mix(v, f, k, on, place);
	if (!right)
		cof_mix_lose(v);
}
