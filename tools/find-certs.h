/* SPDX-License-Identifier: Apache-2.0 */
/* The part of coffer find that looks for certificates by what they say. */
#ifndef COFFER_FIND_CERTS_H
#define COFFER_FIND_CERTS_H

#include "tools/source.h"

struct cert_finding {
	struct source source;
	struct cof_json *args; /* of cof_archive_certs */
	bool zero, json;
	uint64_t found;
};
/* path: a store, or anything on a mounted archive: what lies there and below. */
int find_certs(struct cert_finding *f, const char *path, struct cof_diag *diag);

#endif
