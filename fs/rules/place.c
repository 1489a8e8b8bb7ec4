/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/rules/place.h"

#include <math.h>

#define EARTH_KM 6371.0088 /* mean radius (IUGG) */
#define RADIANS (3.14159265358979323846 / 180)

int cof_place_parse(const char *text, struct cof_place *ret, struct cof_diag *diag)
{
	struct cof_place p;
	char *end = NULL;

	p.lat = strtod(text, &end);
	if (end == text || *end != ',' || !(fabs(p.lat) <= 90))
		return cof_fail(diag, -EINVAL, "a place is LAT,LON,NAME in degrees, such as 22.62,120.30,Kaohsiung");
	text = end + 1;
	p.lon = strtod(text, &end);
	if (end == text || *end != ',' || !(fabs(p.lon) <= 180) || !end[1])
		return cof_fail(diag, -EINVAL, "a place is LAT,LON,NAME in degrees, such as 22.62,120.30,Kaohsiung");
	if (strlen(text) > 100 || strpbrk(text, "\n\r;#\""))
		return cof_fail(diag, -EINVAL, "a place's name is at most 80 bytes without line ends, ; # and quotes");
	p.name = end + 1;
	*ret = p;
	return 0;
}

/* The haversine: right for near places too. */
double cof_place_distance(const struct cof_place *a, const struct cof_place *b)
{
	double x = sin((b->lat - a->lat) * RADIANS / 2), y = sin((b->lon - a->lon) * RADIANS / 2),
	       h = x * x + cos(a->lat * RADIANS) * cos(b->lat * RADIANS) * y * y;

	return 2 * EARTH_KM * asin(sqrt(h < 0 ? 0 : h > 1 ? 1 : h));
}

int cof_jurisdiction_check(const char *text, struct cof_diag *diag)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789");

	if (text[n] || n > 6 || n == 1)
		return cof_fail(diag, -EINVAL, "a jurisdiction is a code of ISO 3166, such as TW or US-CA");
	return 0;
}

bool cof_jurisdiction_allowed(const char *list, const char *jurisdiction)
{
	size_t n = strcspn(jurisdiction, "-");

	return !*list || cof_profile_has(list, jurisdiction) || (n && cof_profile_word(list, jurisdiction, n));
}

bool cof_jurisdiction_forbidden(const char *list, const char *jurisdiction)
{
	size_t n = strcspn(jurisdiction, "-");

	if (!*list)
		return false;
	if (!n || cof_profile_has(list, jurisdiction) || cof_profile_word(list, jurisdiction, n))
		return true;
	for (const char *w = list; !jurisdiction[n] && *w; w += strspn(w, " ")) {
		if (!strncmp(w, jurisdiction, n) && w[n] == '-')
			return true;
		w += strcspn(w, " ");
	}
	return false;
}
