/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount promises: epochs that rise by one, seal tags under the auditor's secret
 * (docs/format.md 7.5), and nonce counters that are used once.
 */
#include "fs/log/verify.h"

#define EPOCH_SKIP (1u << 20) /* epochs that are stepped over after a loss */
#define FRAME_SKIP (1u << 26) /* frames, likewise */

#define SECRET(v) ((v)->seal.secret)
#define TAG_KEY(v) ((v)->seal.secret + COF_KEY)

/* The secret with which a lineage began; false: nobody gave it. */
static bool take_lineage(struct verify *v, uint32_t lineage)
{
	const struct cof_verify_params *p = v->p;
	struct seal *s = &v->seal;

	if (lineage == 1 && p->auditor_secret) {
		memcpy(SECRET(v), p->auditor_secret, COF_KEY);
		s->secret_epoch = s->secret_lineage = 1;
		return true;
	}
	for (size_t i = 0; i < p->n_auditors; i++) {
		if (p->auditors[i].lineage != lineage)
			continue;
		memcpy(SECRET(v), p->auditors[i].secret, COF_KEY);
		s->secret_epoch = p->auditors[i].epoch;
		s->secret_lineage = lineage;
		return true;
	}
	return false;
}

int cof_seal_start(struct verify *v)
{
	static const uint8_t no_salt[32];

	if (!v->p->auditor_secret && !v->p->n_auditors)
		return 0;
	v->seal.secret = cof_secret_alloc(5 * COF_KEY);
	if (!v->seal.secret)
		return cof_fail(v->diag, -ENOMEM, "out of memory that can be locked");
	cof_mix_lose(v);
	v->out.seal_checked = take_lineage(v, 1);
	v->seal.lost = !v->out.seal_checked;
	return v->seal.lost ? 0 : cof_seal_mount_key(SECRET(v), no_salt, v->out.conf.id, TAG_KEY(v));
}

void cof_seal_lose(struct verify *v)
{
	if (!v->seal.secret)
		return;
	v->seal.lost = true;
	v->out.seal_checked = false;
}

/* The key of a mount at this epoch, if it can be reached from where the secret is. */
static void enter_epoch(struct verify *v, uint64_t epoch, const uint8_t salt[32])
{
	struct seal *s = &v->seal;

	if (!s->secret)
		return;
	if (s->anew || s->secret_lineage != s->lineage) {
		cof_seal_lose(v);
		return;
	}
	if (epoch < s->secret_epoch || epoch - s->secret_epoch > EPOCH_SKIP) {
		cof_seal_lose(v);
		return;
	}
	while (s->secret_epoch < epoch) {
		if (cof_seal_epoch_next(SECRET(v), SECRET(v)) < 0) {
			cof_seal_lose(v);
			return;
		}
		s->secret_epoch++;
	}
	s->lost = cof_seal_mount_key(SECRET(v), salt, v->out.conf.id, TAG_KEY(v)) < 0;
	if (s->lost)
		v->out.seal_checked = false;
}

bool cof_seal_enter(struct verify *v, uint64_t epoch, uint32_t lineage, const uint8_t salt[32])
{
	struct seal *s = &v->seal;

	if (s->secret_lineage != lineage && !take_lineage(v, lineage))
		return false;
	s->lost = false;
	s->lineage = lineage;
	s->epoch = epoch;
	enter_epoch(v, epoch, salt);
	v->out.seal_checked = !s->lost;
	return !s->lost;
}

static void check_epoch(struct verify *v, uint64_t epoch, struct place place)
{
	uint64_t last = v->seal.epoch;

	if (epoch == last + 1 || (epoch == last && last && v->last_type == COF_MOUNT))
		return;
	if (v->resumed && epoch > last) /* mounts are among what is missing */
		return;
	if (v->since.epoch_unknown)
		return;
	cof_verify_say(v, cof_verify_weigh(v, v->sequence), place,
		       "this mount is at epoch %llu, the one before it was at %llu: a mount is "
		       "missing, or an old copy of keys/ was put back",
		       (unsigned long long)epoch, (unsigned long long)last);
}

/* A recovery of the keys draws a new secret, and counts the lineage up by one. */
static void check_lineage(struct verify *v, uint32_t lineage, struct place place)
{
	uint32_t last = v->seal.lineage;
	bool known = v->mount > 1 && !v->since.epoch_unknown;

	v->seal.lineage = lineage;
	if (v->seal.secret && v->seal.secret_lineage != lineage)
		v->seal.anew = !take_lineage(v, lineage);
	if (!known || lineage == last)
		return;
	if (lineage == last + 1 || (v->resumed && lineage > last))
		cof_verify_say(v, COF_INTACT, place,
			       "the keys were recovered before this mount, or its seal was begun anew (lineage "
			       "%u)%s",
			       lineage,
			       v->seal.secret && !v->seal.anew
				   ? ": another auditor secret holds from here on"
				   : ": an auditor secret from before leads up to here only");
	else
		cof_verify_say(v, cof_verify_weigh(v, v->sequence), place,
			       "this mount is of lineage %u, the one before it was of %u: no recovery does that",
			       lineage, last);
}

void cof_seal_mount(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
		    struct place place)
{
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);
	uint8_t salt[32];
	uint64_t epoch;
	uint32_t lineage;

	v->counters.n = 0;
	v->counters.next = 0;
	if (cof_field_bytes(fields, n, COF_T_SALT, salt, sizeof(salt)) < 0 ||
	    cof_field_u64(fields, n, COF_T_EPOCH, &epoch) < 0) {
		cof_verify_say(v, cof_verify_weigh(v, f->sequence), place,
			       "this mount frame has no salt or no epoch");
		cof_seal_lose(v);
		return;
	}
	check_epoch(v, epoch, place);
	if (cof_field_u32(fields, n, COF_T_LINEAGE, &lineage) < 0)
		lineage = 0;
	check_lineage(v, lineage, place);
	cof_mix_mount(v, fields, n, epoch, lineage, salt, place);
	v->since.epoch_unknown = false;
	v->seal.epoch = epoch;
	enter_epoch(v, epoch, salt);
}

void cof_seal_check(struct verify *v, const struct cof_frame *f, const uint8_t *raw,
		    struct place place)
{
	uint8_t tag[16];
	bool right;

	if (!v->seal.secret)
		return;
	if (v->seal.lost) {
		v->out.seal_since = f->sequence + 1;
		v->out.seal_since_time = 0;
		return;
	}
	cof_seal_tag(TAG_KEY(v), raw, v->previous, tag);
	right = cof_equal(tag, f->seal_tag, sizeof(tag));
	if (!right && !v->seal.failing)
		cof_verify_say(v, COF_TAMPERED, place,
			       "the seal of frame %llu does not hold: it, or what it links to, was "
			       "not written by the archive in that mount",
			       (unsigned long long)f->sequence);
	v->seal.failing = !right;
	if (!right) {
		if (!v->out.seal_broken)
			v->out.seal_false = f->sequence;
		v->out.seal_broken = true;
		v->out.seal_since = f->sequence + 1;
		v->out.seal_since_time = 0;
	} else if (!v->out.seal_since_time) {
		v->out.seal_since_time = f->record_time;
	}
}

void cof_seal_skip(struct verify *v, uint64_t frames, bool mounts)
{
	if (!v->seal.secret || v->seal.lost)
		return;
	v->out.seal_checked = false;
	cof_mix_gap(v);
	if (mounts || v->tree.broken || frames > FRAME_SKIP) {
		v->seal.lost = true; /* until the next MOUNT frame */
		return;
	}
	while (frames--) /* only the ratchet matters */
		cof_seal_ratchet(TAG_KEY(v));
}

void cof_seal_mixing(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place)
{
	if (v->seal.secret && (f->type == COF_MOUNT || f->type == COF_CHECKPOINT) &&
	    cof_payload_check(f, payload) == 0)
		cof_mix_frame(v, f, payload, TAG_KEY(v), place);
}

/* ---- counters ---- */

static void drop_gap(struct counters *c, uint32_t i)
{
	memmove(&c->gap[i], &c->gap[i + 1], (c->n - i - 1) * sizeof(c->gap[0]));
	c->n--;
}

static void put_gap(struct counters *c, uint32_t i, struct gap g)
{
	if (c->n == VERIFY_GAPS) { /* the oldest is forgotten: who fills it still, is reported */
		if (!i)
			return;
		drop_gap(c, 0);
		i--;
	}
	memmove(&c->gap[i + 1], &c->gap[i], (c->n - i) * sizeof(c->gap[0]));
	c->gap[i] = g;
	c->n++;
}

/* The values lie in a gap that was left; what remains of it stays. */
static bool fill_gap(struct counters *c, uint64_t from, uint64_t to)
{
	for (uint32_t i = c->n; i > 0; i--) {
		struct gap g = c->gap[i - 1];

		if (g.from > from)
			continue;
		if (to > g.to)
			return false;
		drop_gap(c, i - 1);
		if (to < g.to)
			put_gap(c, i - 1, (struct gap){to, g.to});
		if (g.from < from)
			put_gap(c, i - 1, (struct gap){g.from, from});
		return true;
	}
	return false;
}

void cof_counters_check(struct verify *v, const struct cof_frame *f, struct place place)
{
	struct counters *c = &v->counters;
	uint32_t chunks = cof_frame_chunks(f->length);
	uint64_t from = f->counter, to = from + chunks;

	if (!chunks)
		return;
	if (from >= c->next) {
		if (from > c->next)
			put_gap(c, c->n, (struct gap){c->next, from});
		c->next = to;
		return;
	}
	if (fill_gap(c, from, to))
		return;
	cof_verify_say(v, cof_verify_weigh(v, f->sequence), place,
		       "nonce values %llu to %llu were used before in this mount",
		       (unsigned long long)from, (unsigned long long)(to - 1));
	c->next = COF_MAX(c->next, to);
}
