/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM's clock as a brake. Anyone may set it forward and a power cut moves it back, so it never
 * speeds retention: of each stretch between two readings counts what passed on both clocks. Its time
 * since the last reset, which nobody can set, is looked at as well.
 */
#include "fs/archive/clock.h"

#define MSEC INT64_C(1000000)
#define FORWARD_MS 2000 /* its two counters come from one oscillator: more apart, and one was set */

static int64_t ms_to_ns(uint64_t ms)
{
	return ms > (uint64_t)(INT64_MAX / MSEC) ? INT64_MAX : (int64_t)ms * MSEC;
}

int64_t cof_pace_passed(const struct cof_tpm_clock *from, const struct cof_tpm_clock *to,
			enum cof_pace_event *ret_event)
{
	uint64_t clock, time;

	*ret_event = COF_PACE_ANEW;
	if (to->resets < from->resets ||
	    (to->resets == from->resets && to->restarts < from->restarts))
		return 0;
	*ret_event = COF_PACE_RESET;
	if (to->resets != from->resets || to->restarts != from->restarts)
		return 0;
	*ret_event = COF_PACE_ANEW;
	if (to->clock_ms < from->clock_ms || to->time_ms < from->time_ms)
		return 0;
	clock = to->clock_ms - from->clock_ms;
	time = to->time_ms - from->time_ms;
	*ret_event = clock > time && clock - time > FORWARD_MS ? COF_PACE_FORWARD : COF_PACE_GOES_ON;
	return ms_to_ns(COF_MIN(clock, time));
}

static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t cof_pace_take(struct cof_pace *p, const struct cof_tpm_clock *now, int64_t boot,
		      enum cof_pace_event *ret_event)
{
	int64_t tpm = 0, on;

	*ret_event = COF_PACE_GOES_ON;
	if (p->seen)
		tpm = cof_pace_passed(&p->last, now, ret_event);
	if (p->seen && boot > p->last_boot)
		p->boot_credit = add(p->boot_credit, boot - p->last_boot);
	p->tpm_credit = add(p->tpm_credit, tpm);
	on = COF_MIN(p->boot_credit, p->tpm_credit);
	p->boot_credit = COF_MIN(p->boot_credit - on, COF_PACE_CREDIT);
	p->tpm_credit = COF_MIN(p->tpm_credit - on, COF_PACE_CREDIT);
	p->last = *now;
	p->last_boot = p->seen ? COF_MAX(boot, p->last_boot) : boot;
	p->seen = true;
	return on;
}

void cof_tpm_clock_encode(const struct cof_tpm_clock *c, uint8_t out[COF_TPM_CLOCK_SIZE])
{
	cof_put_le64(out, c->clock_ms);
	cof_put_le64(out + 8, c->time_ms);
	cof_put_le32(out + 16, c->resets);
	cof_put_le32(out + 20, c->restarts);
	out[24] = c->safe;
}

void cof_tpm_clock_decode(const uint8_t in[COF_TPM_CLOCK_SIZE], struct cof_tpm_clock *ret)
{
	*ret = (struct cof_tpm_clock){.clock_ms = cof_get_le64(in),
				      .time_ms = cof_get_le64(in + 8),
				      .resets = cof_get_le32(in + 16),
				      .restarts = cof_get_le32(in + 20),
				      .safe = in[24] & 1};
}
