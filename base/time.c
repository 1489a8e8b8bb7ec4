/* SPDX-License-Identifier: Apache-2.0 */
/* Times are nanoseconds since 1970 UTC; their text form is RFC 3339. */
#include "base/base.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef COFFER_TEST_CLOCK
static atomic_int_fast64_t wall_off;

void cof_test_wall(int64_t off)
{
	atomic_store(&wall_off, off);
}

/* COFFER_TEST_WALL: programs beside the daemon, vaults too, have the second number of that file as their wall clock's. */
__attribute__((constructor)) static void read_wall(void)
{
	const char *path = secure_getenv("COFFER_TEST_WALL");
	FILE *f = path ? fopen(path, "re") : NULL;
	long long passed, off;

	if (f && fscanf(f, "%lld %lld", &passed, &off) == 2)
		atomic_store(&wall_off, off);
	if (f)
		fclose(f);
}

static int64_t off_of(clockid_t clock)
{
	return clock == CLOCK_REALTIME ? atomic_load(&wall_off) : 0;
}
#else
static int64_t off_of(clockid_t clock COF_UNUSED)
{
	return 0;
}
#endif

int64_t cof_now(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (int64_t)ts.tv_sec * COF_NSEC + ts.tv_nsec + off_of(clock);
}

void cof_time_text(int64_t ns, char out[32])
{
	int64_t rest = ns % COF_NSEC;
	time_t sec = (time_t)(ns / COF_NSEC);
	struct tm tm;

	if (rest < 0) { /* before 1970: the fraction counts upwards all the same */
		rest += COF_NSEC;
		sec--;
	}
	if (!gmtime_r(&sec, &tm)) {
		memcpy(out, "?", 2);
		return;
	}
	/* the remainders change nothing (the year is between 1677 and 2262); the compiler knows by
	 * them that it fits */
	snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (tm.tm_year + 1900u) % 10000,
		 (tm.tm_mon + 1u) % 100, tm.tm_mday % 100u, tm.tm_hour % 100u, tm.tm_min % 100u,
		 tm.tm_sec % 100u, (unsigned)(rest / 1000000));
}

/* Exactly this many digits. */
static bool digits(const char **s, int count, int *ret)
{
	int v = 0;

	for (int i = 0; i < count; i++) {
		char c = (*s)[i];

		if (c < '0' || c > '9')
			return false;
		v = 10 * v + (c - '0');
	}
	*s += count;
	*ret = v;
	return true;
}

static bool mark(const char **s, char c)
{
	return *(*s)++ == c;
}

static int days_in(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool parse_fraction(const char **s, int64_t *ret_ns)
{
	int64_t unit = COF_NSEC / 10, ns = 0;
	int v;

	if (!digits(s, 1, &v))
		return false;
	for (;;) {
		ns += v * unit;
		unit /= 10;
		if (**s < '0' || **s > '9')
			break;
		if (!unit || !digits(s, 1, &v))
			return false;
	}
	*ret_ns = ns;
	return true;
}

int cof_time_parse(const char *s, int64_t *ret_ns)
{
	int year, month, day, hour, minute, second;
	int64_t fraction = 0, ns;
	struct tm tm = {0};

	if (!digits(&s, 4, &year) || !mark(&s, '-') || !digits(&s, 2, &month) || !mark(&s, '-') ||
	    !digits(&s, 2, &day) || !mark(&s, 'T') || !digits(&s, 2, &hour) || !mark(&s, ':') ||
	    !digits(&s, 2, &minute) || !mark(&s, ':') || !digits(&s, 2, &second))
		return -EUCLEAN;
	if (*s == '.') {
		s++;
		if (!parse_fraction(&s, &fraction))
			return -EUCLEAN;
	}
	if (s[0] != 'Z' || s[1])
		return -EUCLEAN;
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
	    minute > 59 || second > 59)
		return -EUCLEAN;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	if (__builtin_mul_overflow((int64_t)timegm(&tm), COF_NSEC, &ns) ||
	    __builtin_add_overflow(ns, fraction, &ns))
		return -EUCLEAN;
	*ret_ns = ns;
	return 0;
}

void cof_duration_text(int64_t ns, char out[32])
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t ms = (ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns) / 1000000, s = ms / 1000;

	if (s < 60)
		snprintf(out, 32, "%s%u.%03u s", sign, (unsigned)s, (unsigned)(ms % 1000));
	else if (s < 3600)
		snprintf(out, 32, "%s%u min %u s", sign, (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, 32, "%s%u h %u min", sign, (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	else
		snprintf(out, 32, "%s%llu d %u h", sign, (unsigned long long)(s / 86400),
			 (unsigned)(s / 3600 % 24));
}
