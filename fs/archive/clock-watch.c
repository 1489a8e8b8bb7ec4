/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks looked at once a second: the TPM's bound of retention time, steps of the wall clock, which
 * go on record, and what somebody has to look after.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fs/archive/internal.h"
#include "fs/archive/keys-nv.h"
#include "fs/archive/note.h"

#define SILENT 3 /* readings that fail in a row before it is a fault: a TPM may be busy once */
#define PROVEN_FOR (10 * COF_NSEC) /* as often as the anchor asks the same */
#define JUMP (2 * COF_NSEC)
#define MSEC INT64_C(1000000)

/* ---- the TPM's clock ---- */

struct reading {
	const struct cof_archive *a;
	const struct cof_pace *pace;
	struct cof_tpm_clock *now;
	bool doubted; /* the last use of the TPM, whosever it was, failed */
	bool proven;  /* that the TPM is the archive's was seen with this reading */
};

/* Against the boot-time clock: one that was started earlier, say. */
static bool jumped(const struct reading *g)
{
	int64_t boot = cof_clock_boottime(&g->a->clock) - g->pace->last_boot;
	int64_t ms = (int64_t)(COF_MIN(g->now->time_ms - g->pace->last.time_ms, (uint64_t)INT64_MAX / MSEC));

	return ms * MSEC > boot + JUMP || ms * MSEC < boot - JUMP;
}

/* Between two proofs lie seconds of readings that go on as one clock does, while nothing else fails; else it is
 * proven at once. */
static bool to_be_proven(const struct reading *g)
{
	const struct cof_clock *c = &g->a->clock;
	enum cof_pace_event event = COF_PACE_ANEW;

	if (g->pace->seen)
		(void)cof_pace_passed(&g->pace->last, g->now, &event);
	if (event == COF_PACE_GOES_ON && jumped(g))
		event = COF_PACE_FORWARD;
	return event != COF_PACE_GOES_ON || g->doubted || c->silent ||
	       cof_now(CLOCK_MONOTONIC) - c->proven_tpm >= PROVEN_FOR;
}

/* On one connection: the clock, then whose it is. */
static int reading_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct reading *g = arg;
	int r = cof_tpm_clock_read(t, g->now, diag);

	if (r < 0 || !to_be_proven(g))
		return r;
	r = cof_nv_prove(g->a->keys, t, diag);
	g->proven = r == 0;
	return r;
}

/* -ENOTSUP: no opener of this archive is a TPM. *ret_other: the TPM that answers is not the archive's. */
static int read_clock(struct cof_archive *a, struct cof_tpm_clock *ret, bool *ret_other, struct cof_diag *diag)
{
	const struct cof_clock_source *s = a->p.tpm_clock;
	struct reading g = {.a = a, .pace = &a->clock.pace, .now = ret};
	enum cof_tpm_cause cause = COF_TPM_OK;
	struct cof_diag before;
	int r;

	*ret_other = false;
	if (s)
		return s->read(s->user, ret, diag);
	if (!a->tpm)
		return -ENOTSUP;
	g.doubted = cof_tpm_link_said(a->tpm, &before) < 0;
	r = cof_tpm_link_use(a->tpm, reading_use, &g, &cause, diag);
	if (g.proven)
		a->clock.proven_tpm = cof_now(CLOCK_MONOTONIC);
	*ret_other = r < 0 && (cause == COF_TPM_NO_INDEX || cause == COF_TPM_FOREIGN);
	return r;
}

int cof_clock_tpm(struct cof_archive *a, struct cof_tpm_clock *ret, struct cof_diag *diag)
{
	bool other;

	return read_clock(a, ret, &other, diag);
}

/* On record, told to people, and shown by status until somebody has looked. Inside the gate. */
static void say(struct cof_archive *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct cof_archive *a, const char *fmt, ...)
{
	char text[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)cof_event_emit(a, &(struct cof_event){.type = "clock", .detail = text}, NULL);
	cof_fault_note(a, text);
}

static void tell(struct cof_archive *a, enum cof_pace_event event)
{
	if (event == COF_PACE_GOES_ON)
		return;
	cof_gate_enter(a);
	switch (event) {
	case COF_PACE_RESET:
		say(a, "The TPM was reset while this host ran on: retention time did not count what "
			     "passed since the reading before. If nobody knows why, look at who can reset "
			     "it.");
		break;
	case COF_PACE_ANEW:
		say(a, "The TPM's clock went back, though it is the archive's TPM: it lost its power, or an "
			     "old state of a virtual TPM was put back. Retention time goes on from where it was, "
			     "with that clock. Find out who did it (coffer clock, coffer seal show).");
		break;
	case COF_PACE_FORWARD:
		say(a, "The TPM's clock was set forward, which ends no retention: retention time "
			     "goes by the slower clock. Find out who sets clocks here.");
		break;
	case COF_PACE_GOES_ON:
		break;
	}
	cof_gate_leave(a);
}

/* Another TPM, or a cleared one: once for each time that it happens. */
static void tell_other(struct cof_archive *a, const struct cof_diag *why)
{
	cof_gate_enter(a);
	say(a,
	    "The TPM that answers is not the archive's, or was cleared: retention time stands still until the archive's own "
	    "is back, so nothing expires meanwhile (%.400s).",
	    why->text);
	cof_gate_leave(a);
}

void cof_clock_watch_tpm(struct cof_archive *a)
{
	struct cof_tpm_clock now;
	struct cof_diag why = {""};
	struct cof_clock *c = &a->clock;
	unsigned silent = c->silent; /* only this thread changes it once the archive is open */
	bool other, was_other = c->other;

	if (!a->log || !c->by_tpm || atomic_load(&a->failed))
		return;
	if (read_clock(a, &now, &other, &why) == 0) {
		c->other = false;
		tell(a, cof_clock_take(c, &now, NULL));
		if (silent >= SILENT || was_other)
			cof_alarm(a, "The TPM's clock answers again: retention time goes on.");
		return;
	}
	(void)cof_clock_take(c, NULL, &why);
	if (other && !was_other)
		tell_other(a, &why);
	c->other |= other;
	if (silent + 1 != SILENT || c->other)
		return;
	cof_gate_enter(a);
	say(a,
	    "The TPM's clock cannot be read (%.300s): retention time stands still until it "
	    "can, so nothing expires meanwhile. If that TPM is gone for good: unmount, take "
	    "its opener away (coffer seal remove), mount again.",
	    why.text[0] ? why.text : "no answer");
	cof_gate_leave(a);
}

/* ---- the wall clock ---- */

static void record_step(struct cof_archive *a)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_CLOCK, .system = true};
	char before[32], after[32];
	struct cof_append done;
	int64_t from, to;
	int r;

	if (!cof_clock_stepped(&a->clock, &from, &to))
		return;
	cof_time_text(from, before);
	cof_time_text(to, after);
	cof_field_put_i64(&fields, COF_T_WALL_BEFORE, from);
	cof_field_put_i64(&fields, COF_T_WALL_AFTER, to);
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	r = fields.failed ? -ENOMEM : cof_archive_put(a, &d, NULL, &done);
	cof_alarm_event(a, &(struct cof_alarm_info){.event = "clock-reset", .sequence = r < 0 ? 0 : done.ret_sequence},
			"The wall clock stepped from %s to %s%s%s%s.", before, after,
		  r < 0 ? ", which could not be recorded (" : "", r < 0 ? strerror(-r) : "",
		  r < 0 ? ")" : "");
}

/* A fault each time that it leaves what the policy allows, and to which side. */
static void judge_deviation(struct cof_archive *a)
{
	int64_t limit = cof_policy_deviation(a);
	int64_t off = cof_clock_deviation(&a->clock);
	int side = off > limit ? 1 : off < -limit ? -1 : 0;
	bool proven = cof_clock_by_proof(&a->clock);
	char text[32];

	if (side && side != a->clock.deviates) {
		cof_duration_text(off < 0 ? -off : off, text);
		say(a,
		    "The wall clock is %s %s of where it should be by %s. Records carry what it says; coffer clock shows "
		    "what bounds them.",
		    text, off < 0 ? "behind" : "ahead",
		    proven ? "what vaults and time stamps have said: it is wrong, or one of theirs is"
			   : "the time since the mount: it was set, or was wrong before");
	}
	a->clock.deviates = side;
}

void cof_clock_watch(struct cof_archive *a)
{
	record_step(a);
	judge_deviation(a);
}
