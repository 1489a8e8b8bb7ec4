/* SPDX-License-Identifier: Apache-2.0 */
/* Dates and spans as people give them on the command line. */
#include "tools/when.h"

#include <stdio.h>

int when_parse(const char *text, int64_t *ret)
{
	char whole[32];

	if (strlen(text) == 10) { /* a day: its beginning */
		snprintf(whole, sizeof(whole), "%sT00:00:00Z", text);
		text = whole;
	}
	return cof_retain_parse(text, strlen(text), ret);
}

void when_text(int64_t end, char out[32])
{
	if (end == COF_RETAIN_INFINITE)
		snprintf(out, 32, "infinite");
	else
		cof_time_text(end, out);
}

const char *end_conflict(const struct end_args *a)
{
	int64_t v;

	if ((a->until != NULL) + (a->span != NULL) + a->infinite > 1)
		return "only one of --until, --for and --infinite can be given";
	if (a->until && when_parse(a->until, &v) < 0)
		return "--until takes a date: 2031-01-02, or 2031-01-02T03:04:05Z (UTC)";
	if (a->span && cof_span_parse(a->span, &v) < 0)
		return "--for takes a number and a unit (s, min, h, d, w, y), such as 10y";
	return "";
}

int64_t end_of(const struct end_args *a, int64_t now)
{
	int64_t v = COF_RETAIN_NONE;

	if (a->infinite)
		return COF_RETAIN_INFINITE;
	if (a->until)
		return when_parse(a->until, &v) < 0 ? COF_RETAIN_NONE : v;
	if (!a->span || cof_span_parse(a->span, &v) < 0)
		return COF_RETAIN_NONE;
	if (v == COF_RETAIN_INFINITE)
		return v;
	return now > 0 && v > INT64_MAX - 1 - now ? INT64_MAX - 1 : now + v; /* far, not infinite */
}
