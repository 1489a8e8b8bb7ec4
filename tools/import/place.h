/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/import: finding the line again behind which reading goes on. */
#ifndef COFFER_IMPORT_PLACE_H
#define COFFER_IMPORT_PLACE_H

#include "tools/import/import.h"

void import_digest(const char *line, size_t n, uint8_t ret[32]);
/* Whether the line that ends there is the one of this place. */
bool import_place_is(int fd, const struct import_place *place);
/* The files beside path, older than it and named like it, that hold what came behind that place, in order: the
 * first has the place. *ret: n paths, the caller's, each too. 0 of them: it is nowhere. */
int import_older(const char *path, const struct import_place *place, char ***ret, size_t *ret_n);

#endif
