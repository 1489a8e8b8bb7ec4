/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks. Record time is the wall clock as it is, which may step. Retention time goes on from the
 * log's last frame; when the last mount was in this same boot, the time since then counts as well, whatever
 * the wall clock did. With a TPM it stands between two readings of its clock.
 */
#include "fs/archive/internal.h"

#include <fcntl.h>
#include <time.h>

#define TOGETHER (COF_NSEC / 10)

/* By the true boot-time clock: this is about the wall. Both are to be read at one moment. */
static int64_t wall_offset(void)
{
	int64_t before, wall, after;
	int tries = 5;

	do {
		before = cof_now(CLOCK_BOOTTIME);
		wall = cof_now(CLOCK_REALTIME);
		after = cof_now(CLOCK_BOOTTIME);
	} while (after - before > TOGETHER && --tries);
	return wall - before;
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

#ifdef COFFER_TEST_CLOCK
/* Up to n numbers of a line. */
static size_t numbers(const char *text, long long *ret, size_t n)
{
	size_t got = 0;
	char *end;

	for (errno = 0; got < n; got++, text = end) {
		ret[got] = strtoll(text, &end, 10);
		if (errno || end == text || (*end && *end != ' ' && *end != '\n'))
			break;
	}
	return got;
}
#endif

/* NANOSECONDS [WALL [BOOT]]: ahead of the boot-time clock, by how much the wall clock is off, which boot it is. */
void cof_clock_look(struct cof_clock *c)
{
#ifdef COFFER_TEST_CLOCK
	const char *path = c->testing ? secure_getenv("COFFER_TEST_CLOCK") : NULL;
	cof_autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	int_fast64_t seen = atomic_load(&c->test_ns);
	long long said[3] = {0};
	char text[80];
	size_t n = 0;

	if (fd < 0 || cof_read_all(fd, text, sizeof(text) - 1, &n) < 0 || !n)
		return;
	text[n] = 0;
	n = numbers(text, said, COF_COUNT(said));
	while (n && seen < said[0] && !atomic_compare_exchange_weak(&c->test_ns, &seen, said[0]))
		; /* this clock too only goes forward */
	if (n > 1)
		cof_test_wall(said[1]);
	if (n > 2)
		c->test_boot = (uint8_t)said[2];
#else
	(void)c;
#endif
}

static void take_boot_id(struct cof_clock *c)
{
	if (cof_boot_id(c->boot_id) < 0)
		memset(c->boot_id, 0, sizeof(c->boot_id));
	c->boot_id[0] ^= c->test_boot;
}

static void start(struct cof_clock *c, int64_t base)
{
	c->base_boottime = cof_clock_boottime(c);
	c->base_retention = base;
	c->base_offset = c->offset = wall_offset();
	c->floor = INT64_MIN;
	atomic_store(&c->reached, base);
}

void cof_clock_start_new(struct cof_clock *c)
{
	take_boot_id(c);
	start(c, cof_now(CLOCK_REALTIME));
}

/* What passed since the last MOUNT frame, for sure: 0 when that was in another boot. */
static int64_t since_mount(const struct cof_clock *c, const struct cof_clock_start *s)
{
	static const uint8_t unknown[16];
	int64_t now = cof_clock_boottime(c), passed;
	enum cof_pace_event event;

	/* A boot id that could not be read proves nothing about the time in between. */
	if (!s->mount_boot_id || !memcmp(c->boot_id, unknown, 16) ||
	    memcmp(c->boot_id, s->mount_boot_id, 16) || s->mount_boottime < 0 ||
	    now < s->mount_boottime)
		return 0;
	passed = now - s->mount_boottime;
	if (!s->by_tpm)
		return passed;
	if (!s->mount_tpm || !s->tpm)
		return 0;
	return COF_MIN(passed, cof_pace_passed(s->mount_tpm, s->tpm, &event));
}

void cof_clock_start(struct cof_clock *c, const struct cof_clock_start *s)
{
	enum cof_pace_event event;
	int64_t base;

	take_boot_id(c);
	if (__builtin_add_overflow(s->mount_retention, since_mount(c, s), &base))
		base = s->last_retention;
	start(c, COF_MAX(base, s->last_retention));
	c->by_tpm = s->by_tpm;
	if (s->by_tpm && s->tpm)
		(void)cof_pace_take(&c->pace, s->tpm, c->base_boottime, &event);
}

int64_t cof_clock_retention(const struct cof_clock *c)
{
	int64_t elapsed, sum;

	if (c->by_tpm)
		return atomic_load(&c->reached);
	elapsed = cof_clock_boottime(c) - c->base_boottime;
	/* The end of time is a place to stop, not to wrap. */
	if (__builtin_add_overflow(c->base_retention, COF_MAX(elapsed, 0), &sum) ||
	    __builtin_add_overflow(sum, atomic_load(&c->caught_up), &sum))
		return INT64_MAX;
	return sum;
}

void cof_clock_catch_up(struct cof_clock *c, int64_t to)
{
	int64_t now, more;

	pthread_mutex_lock(&c->lock);
	now = cof_clock_retention(c);
	if (to > now && !__builtin_sub_overflow(to, now, &more)) {
		if (c->by_tpm)
			atomic_store(&c->reached, to);
		else
			atomic_fetch_add(&c->caught_up, more);
	}
	pthread_mutex_unlock(&c->lock);
}

enum cof_pace_event cof_clock_take(struct cof_clock *c, const struct cof_tpm_clock *now,
				   const struct cof_diag *why)
{
	enum cof_pace_event event = COF_PACE_GOES_ON;
	int64_t reached, on;

	pthread_mutex_lock(&c->lock);
	if (!now) {
		c->silent++;
		c->why = *why;
	} else {
		reached = atomic_load(&c->reached);
		on = cof_pace_take(&c->pace, now, cof_clock_boottime(c), &event);
		atomic_store(&c->reached, on > INT64_MAX - COF_MAX(reached, 0) ? INT64_MAX : reached + on);
		c->silent = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return event;
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

	/* Slewing moves both clocks. What is less than a step is kept in mind: many make one. */
	if (step <= COF_NSEC && step >= -COF_NSEC)
		return false;
	*ret_after = cof_now(CLOCK_REALTIME);
	*ret_before = *ret_after - step;
	c->offset = offset;
	return true;
}

static int64_t minus(int64_t a, int64_t b)
{
	int64_t v;

	return __builtin_sub_overflow(a, b, &v) ? (a < 0 ? INT64_MIN : INT64_MAX) : v;
}

void cof_clock_proven(struct cof_clock *c, int64_t from, int64_t to, int64_t began, int64_t ended)
{
	pthread_mutex_lock(&c->lock);
	c->floor = COF_MAX(c->floor, from);
	c->proven = began != INT64_MIN;
	if (c->proven) {
		c->low = minus(from, ended);
		c->high = minus(to, began);
	}
	pthread_mutex_unlock(&c->lock);
}

bool cof_clock_by_proof(struct cof_clock *c)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = c->proven || c->floor != INT64_MIN;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

int64_t cof_clock_deviation(struct cof_clock *c)
{
	int64_t offset = wall_offset(), wall = cof_now(CLOCK_REALTIME), off;

	pthread_mutex_lock(&c->lock);
	if (!c->proven)
		off = minus(offset, c->base_offset);
	else
		off = offset < c->low    ? minus(offset, c->low)
		      : offset > c->high ? minus(offset, c->high)
					 : 0;
	if (c->floor != INT64_MIN && wall < c->floor)
		off = COF_MIN(off, minus(wall, c->floor));
	pthread_mutex_unlock(&c->lock);
	return off;
}
