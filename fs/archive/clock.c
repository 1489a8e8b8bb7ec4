/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks. Record time is the wall clock as it is, which may step. Retention time only goes forward:
 * within a boot with CLOCK_BOOTTIME, across boots by nothing. It goes on from the log's last frame; when the
 * last mount was in this same boot, the time since then counts as well, whatever the wall clock did.
 */
#include "fs/archive/internal.h"

#include <fcntl.h>
#include <time.h>

static int64_t wall_offset(void)
{
	return cof_now(CLOCK_REALTIME) - cof_now(CLOCK_BOOTTIME); /* the true one: this is about the wall */
}

/* ---- the test clock: only in builds made for it, and for archives that say so for ever ---- */

int64_t cof_clock_boottime(const struct cof_clock *c)
{
	int64_t now = cof_now(CLOCK_BOOTTIME), sum;

	if (!c->testing)
		return now;
	return __builtin_add_overflow(now, atomic_load(&c->test_ns), &sum) ? INT64_MAX : sum;
}

int cof_clock_check(const struct cof_conf *conf, struct cof_clock *c, struct cof_diag *diag)
{
	if (!(conf->flags & COF_ARCHIVE_TEST_CLOCK))
		return 0;
#ifdef COFFER_TEST_CLOCK
	(void)diag;
	c->testing = true;
	cof_clock_look(c);
	return 0;
#else
	(void)c;
	return cof_fail(diag, -EOPNOTSUPP,
			"an archive with a test clock is for tests of Coffer alone: its retention "
			"proves nothing, and this build does not have that clock");
#endif
}

void cof_clock_look(struct cof_clock *c)
{
#ifdef COFFER_TEST_CLOCK
	const char *path = c->testing ? secure_getenv("COFFER_TEST_CLOCK") : NULL;
	cof_autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	int_fast64_t seen = atomic_load(&c->test_ns);
	char text[32], *end;
	long long ns;
	size_t n = 0;

	if (fd < 0 || cof_read_all(fd, text, sizeof(text) - 1, &n) < 0 || !n)
		return;
	text[n] = 0;
	errno = 0;
	ns = strtoll(text, &end, 10);
	if (errno || end == text || (*end && *end != '\n'))
		return;
	while (seen < ns && !atomic_compare_exchange_weak(&c->test_ns, &seen, ns))
		; /* this clock too only goes forward */
#else
	(void)c;
#endif
}

static void start(struct cof_clock *c, int64_t base)
{
	c->base_boottime = cof_clock_boottime(c);
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
	int64_t now = cof_clock_boottime(c);
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
	int64_t elapsed = cof_clock_boottime(c) - c->base_boottime, sum;

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
