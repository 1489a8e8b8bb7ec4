/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/clocks.h"

#include <time.h>

#include "crypto/crypto.h"

int64_t __wrap_cof_now(clockid_t clock);
int __wrap_cof_boot_id(uint8_t ret[16]);
void __wrap_cof_random(void *p, size_t n);

#define BEGIN (INT64_C(1767225600) * COF_NSEC) /* 2026 */

static int64_t wall = BEGIN, since_boot = COF_NSEC, monotonic = COF_NSEC;
static uint64_t boots = 1, drawn, seeded;
static int64_t passed; /* truly */
static struct {
	int64_t clock, time; /* ns */
	uint32_t resets;
	bool safe, silent;
} tpm;

void clocks_start(uint64_t seed)
{
	wall = BEGIN;
	since_boot = monotonic = COF_NSEC;
	boots = 1;
	drawn = 0;
	seeded = seed;
	passed = 0;
	memset(&tpm, 0, sizeof(tpm));
	tpm.safe = true;
}

void clocks_pass(int64_t ns)
{
	wall += ns;
	since_boot += ns;
	monotonic += ns;
	passed += ns;
	tpm.clock += ns;
	tpm.time += ns;
}

int64_t clocks_passed(void)
{
	return passed;
}

void clocks_step(int64_t ns)
{
	int64_t set = wall + ns;

	/* From the first half second of 1970 to the year 2200: a clock shows nothing else. */
	wall = COF_MIN(COF_MAX(set, COF_NSEC / 2), BEGIN + INT64_C(174) * 365 * 86400 * COF_NSEC);
}

void clocks_boot(void)
{
	boots++;
	since_boot = monotonic = COF_NSEC;
	clocks_tpm_reset();
}

void clocks_boot_lies(int64_t ns)
{
	since_boot += ns;
}

/* What was not in its flash yet is lost, which it says. */
void clocks_tpm_reset(void)
{
	tpm.clock -= COF_MIN(tpm.clock, 4 * COF_NSEC);
	tpm.time = 0;
	tpm.safe = false;
	tpm.resets++;
}

void clocks_tpm_clear(void)
{
	tpm.clock = 0;
	tpm.resets = 0;
	tpm.safe = true;
}

void clocks_tpm_forward(int64_t ns)
{
	tpm.clock += ns;
	tpm.safe = true;
}

void clocks_tpm_silent(bool silent)
{
	tpm.silent = silent;
}

static int read_tpm(void *user COF_UNUSED, struct cof_tpm_clock *ret, struct cof_diag *diag)
{
	if (tpm.silent)
		return cof_fail(diag, -ENODEV, "nobody answers");
	*ret = (struct cof_tpm_clock){.clock_ms = (uint64_t)tpm.clock / 1000000,
				      .time_ms = (uint64_t)tpm.time / 1000000,
				      .resets = tpm.resets,
				      .safe = tpm.safe};
	return 0;
}

const struct cof_clock_source clocks_tpm = {read_tpm, NULL};

int64_t clocks_boottime(void)
{
	return since_boot;
}

int64_t __wrap_cof_now(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
		return wall;
	case CLOCK_BOOTTIME:
		return since_boot;
	default:
		return monotonic += 1000; /* who waits for it waits for an end */
	}
}

int __wrap_cof_boot_id(uint8_t ret[16])
{
	memset(ret, 0x5a, 16);
	cof_put_le64(ret, boots);
	return 0;
}

/* Never the same twice in one process, and the same in each that has the seed. */
void __wrap_cof_random(void *p, size_t n)
{
	uint8_t *out = p, block[COF_HASH], state[16];

	for (size_t done = 0; done < n;) {
		size_t step = COF_MIN(n - done, sizeof(block));

		cof_put_le64(state, seeded);
		cof_put_le64(state + 8, drawn++);
		cof_sha256(state, sizeof(state), block);
		memcpy(out + done, block, step);
		done += step;
	}
}
