/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks looked at once a second: the TPM's bound of retention time, steps of the wall clock, which
 * go on record, and what somebody has to look after.
 */
#include <stdio.h>

#include "fs/archive/internal.h"

#define SILENT 3 /* readings that fail in a row before it is a fault: a TPM may be busy once */

/* ---- the TPM's clock ---- */

/* -ENOTSUP: no opener of this archive is a TPM. */
int cof_clock_tpm(struct cof_archive *a, struct cof_tpm_clock *ret, struct cof_diag *diag)
{
	const struct cof_clock_source *s = a->p.tpm_clock;

	if (s)
		return s->read(s->user, ret, diag);
	return a->tpm ? cof_tpm_link_clock(a->tpm, ret, diag) : -ENOTSUP;
}

static void tell(struct cof_archive *a, enum cof_pace_event event)
{
	switch (event) {
	case COF_PACE_RESET:
		cof_fault(a, "The TPM was reset while this host ran on: retention time did not count what "
			     "passed since the reading before. If nobody knows why, look at who can reset "
			     "it.");
		break;
	case COF_PACE_ANEW:
		cof_fault(a, "The TPM's clock went back: the TPM was cleared, or another one is in its "
			     "place. Retention time goes on from where it was, with that clock. Find out "
			     "who did it (coffer clock, coffer seal show).");
		break;
	case COF_PACE_FORWARD:
		cof_fault(a, "The TPM's clock was set forward, which ends no retention: retention time "
			     "goes by the slower clock. Find out who sets clocks here.");
		break;
	case COF_PACE_GOES_ON:
		break;
	}
}

void cof_clock_watch_tpm(struct cof_archive *a)
{
	struct cof_tpm_clock now;
	struct cof_diag why = {""};
	unsigned silent = a->clock.silent; /* only this thread changes it once the archive is open */

	if (!a->log || !a->clock.by_tpm || atomic_load(&a->failed))
		return;
	if (cof_clock_tpm(a, &now, &why) == 0) {
		tell(a, cof_clock_take(&a->clock, &now, NULL));
		if (silent >= SILENT)
			cof_alarm(a, "The TPM's clock answers again: retention time goes on.");
		return;
	}
	(void)cof_clock_take(&a->clock, NULL, &why);
	if (silent + 1 == SILENT)
		cof_fault(a,
			  "The TPM's clock cannot be read (%.300s): retention time stands still until it "
			  "can, so nothing expires meanwhile. If that TPM is gone for good: unmount, take "
			  "its opener away (coffer seal remove), mount again.",
			  why.text[0] ? why.text : "no answer");
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

/* A fault each time that it leaves what the policy allows. */
static void judge_deviation(struct cof_archive *a)
{
	int64_t limit = cof_policy_deviation(a);
	int64_t off = cof_clock_deviation(&a->clock);
	bool beyond = off > limit || off < -limit;
	char text[32];

	if (beyond && !a->clock.deviates) {
		cof_duration_text(off < 0 ? -off : off, text);
		cof_fault(a,
			  "The wall clock is %s %s of where it should be by the time since the mount: it "
			  "was set, or was wrong before. Records carry what it says; coffer clock shows "
			  "what bounds them.",
			  text, off < 0 ? "behind" : "ahead");
	}
	a->clock.deviates = beyond;
}

void cof_clock_watch(struct cof_archive *a)
{
	record_step(a);
	judge_deviation(a);
}
