/* SPDX-License-Identifier: Apache-2.0 */
/* Where things stand on the earth, and what a policy asks of the places of an archive's copies (R40 to R42). Pure. */
#ifndef COF_PLACE_H
#define COF_PLACE_H

#include "fs/rules/profile.h"

#define COF_PLACE_MAX 128 /* bytes of "LAT,LON,NAME", terminator included */

struct cof_place {
	double lat, lon; /* degrees */
	const char *name; /* within the text */
};
/* "LAT,LON,NAME" in degrees. -EINVAL with the reason. */
int cof_place_parse(const char *text, struct cof_place *ret, struct cof_diag *diag);
/* Along the surface, km. */
double cof_place_distance(const struct cof_place *a, const struct cof_place *b);
#define COF_JURISDICTION_MAX 8 /* bytes, terminator included */
/* ISO 3166, such as TW or US-CA; "": not said. -EINVAL */
int cof_jurisdiction_check(const char *text, struct cof_diag *diag);
/* Whether a policy's list has it: "US" has US-CA; an empty list has all. */
bool cof_jurisdiction_allowed(const char *list, const char *jurisdiction);
/* Whether a policy's list of those where nothing may go has it, a part of it, or it is not said: "US" has US-CA, and with US-CA who
 * says only US may stand there. An empty list has none. */
bool cof_jurisdiction_forbidden(const char *list, const char *jurisdiction);

#endif
