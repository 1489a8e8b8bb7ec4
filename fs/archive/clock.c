/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks. Record time is the wall clock as it is, which may step. Retention time only goes forward:
 * within a boot with CLOCK_BOOTTIME, across boots by nothing. It goes on from the log's last frame; when the
 * last mount was in this same boot, the time since then counts as well, whatever the wall clock did.
 */
#include "fs/archive/internal.h"

#include <fcntl.h>
#include <time.h>

int cof_boot_id(uint8_t ret[16])
{
	cof_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[64], hex[33];
	uint8_t id[16];
	size_t n = 0, digits = 0;
	int r;

	if (fd < 0)
		return -errno;
	r = cof_read_all(fd, text, sizeof(text), &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && digits < 32; i++)
		if (text[i] != '-' && text[i] != '\n')
			hex[digits++] = text[i];
	if (digits != 32)
		return -EUCLEAN;
	r = cof_unhex(hex, 32, id);
	if (r < 0)
		return r;
	memcpy(ret, id, sizeof(id));
	return 0;
}

static int64_t wall_offset(void)
{
	return cof_now(CLOCK_REALTIME) - cof_now(CLOCK_BOOTTIME);
}

static void start(struct cof_clock *c, int64_t base)
{
	c->base_boottime = cof_now(CLOCK_BOOTTIME);
	c->base_retention = base;
	c->offset = wall_offset();
}

void cof_clock_start_new(struct cof_clock *c)
{
	if (cof_boot_id(c->boot_id) < 0)
		memset(c->boot_id, 0, sizeof(c->boot_id));
	start(c, cof_now(CLOCK_REALTIME));
}

void cof_clock_start(struct cof_clock *c, int64_t last_retention, int64_t mount_retention,
		     int64_t mount_boottime, const uint8_t *mount_boot_id)
{
	static const uint8_t unknown[16];
	int64_t base = last_retention;
	int64_t now = cof_now(CLOCK_BOOTTIME);
	int64_t since;

	if (cof_boot_id(c->boot_id) < 0)
		memset(c->boot_id, 0, sizeof(c->boot_id));
	/* A boot id that could not be read proves nothing about the time in between. */
	if (mount_boot_id && memcmp(c->boot_id, unknown, 16) &&
	    !memcmp(c->boot_id, mount_boot_id, 16) && mount_boottime >= 0 && now >= mount_boottime &&
	    !__builtin_add_overflow(mount_retention, now - mount_boottime, &since))
		base = COF_MAX(base, since);
	start(c, base);
}

int64_t cof_clock_retention(const struct cof_clock *c)
{
	int64_t elapsed = cof_now(CLOCK_BOOTTIME) - c->base_boottime, sum;

	/* The end of time is a place to stop, not to wrap. */
	return __builtin_add_overflow(c->base_retention, COF_MAX(elapsed, 0), &sum) ? INT64_MAX : sum;
}

void cof_clock_now(void *clock, int64_t *ret_record, int64_t *ret_retention)
{
	*ret_record = cof_now(CLOCK_REALTIME);
	*ret_retention = cof_clock_retention(clock);
}

bool cof_clock_stepped(struct cof_clock *c, int64_t *ret_before, int64_t *ret_after)
{
	int64_t offset = wall_offset();
	int64_t step = offset - c->offset;

	if (step <= COF_NSEC && step >= -COF_NSEC) {
		c->offset = offset; /* slewing is no step */
		return false;
	}
	*ret_after = cof_now(CLOCK_REALTIME);
	*ret_before = *ret_after - step;
	c->offset = offset;
	return true;
}
