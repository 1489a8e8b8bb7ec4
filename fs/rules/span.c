/* SPDX-License-Identifier: Apache-2.0 */
/* Spans ("10y") and ends ("2031-01-02T03:04:05Z") of retentions as text. */
#include "fs/rules/rules.h"

#include <stdio.h>

static const struct {
	const char *name;
	int64_t seconds;
} units[] = {{"y", 365 * 86400}, {"w", 7 * 86400}, {"d", 86400},
	     {"h", 3600},        {"min", 60},      {"s", 1}};

int cof_span_parse(const char *text, int64_t *ret)
{
	int64_t v = 0;

	if (!strcmp(text, "infinite")) {
		*ret = COF_RETAIN_INFINITE;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
		    __builtin_add_overflow(v, (int64_t)(*text - '0'), &v))
			return -EINVAL;
	}
	for (size_t i = 0; i < COF_COUNT(units); i++) {
		if (strcmp(text, units[i].name))
			continue;
		if (__builtin_mul_overflow(v, units[i].seconds, &v) ||
		    __builtin_mul_overflow(v, (int64_t)COF_NSEC, &v))
			return -EINVAL;
		*ret = v;
		return 0;
	}
	return -EINVAL;
}

void cof_span_text(int64_t span, char out[32])
{
	int64_t seconds = span / COF_NSEC;
	size_t i = 0;

	if (span == COF_RETAIN_INFINITE) {
		memcpy(out, "infinite", sizeof("infinite"));
		return;
	}
	while (i + 1 < COF_COUNT(units) && (seconds == 0 || seconds % units[i].seconds))
		i++;
	snprintf(out, 32, "%lld%s", (long long)(seconds / units[i].seconds), units[i].name);
}

/* Only years above 2262 do not fit; whatever else is wrong with them, they are no time then. */
static int far_year(char *text, int64_t *ret)
{
	int64_t ignored;

	if (strlen(text) < 4 || memcmp(text, "2262", 4) < 0)
		return -EINVAL;
	memcpy(text, "2236", 4); /* a leap year that fits, for the rest of it to be checked */
	if (cof_time_parse(text, &ignored) < 0)
		return -EINVAL;
	*ret = COF_RETAIN_INFINITE - 1;
	return 0;
}

int cof_retain_parse(const void *value, size_t n, int64_t *ret)
{
	char text[48];
	int64_t v;

	if (n && (((const char *)value)[n - 1] == '\n' || ((const char *)value)[n - 1] == '\0'))
		n--;
	if (!n || n >= sizeof(text) - 1 || memchr(value, '\0', n))
		return -EINVAL;
	memcpy(text, value, n);
	text[n] = '\0';
	if (!strcmp(text, "infinite")) {
		*ret = COF_RETAIN_INFINITE;
		return 0;
	}
	if (n == 19 && text[10] == ' ') { /* as backup programs write user.immutable.until */
		text[10] = 'T';
		memcpy(text + 19, "Z", 2);
	}
	if (cof_time_parse(text, &v) < 0)
		return far_year(text, ret);
	*ret = COF_MIN(v, COF_RETAIN_INFINITE - 1);
	return 0;
}
