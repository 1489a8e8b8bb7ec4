/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor secret's file: one line, "coffer-auditor-secret-1 <archive id> <secret>", both in hex
 * (docs/format.md section 7.5). With it verify recomputes every seal tag from the first frame on.
 */
#ifndef COFFER_AUDITOR_H
#define COFFER_AUDITOR_H

#include "crypto/crypto.h"

#define AUDITOR_LINE (24 + 32 + 1 + 64 + 1) /* bytes, newline included */

/* out: secure memory, AUDITOR_LINE bytes, not terminated. */
void auditor_line(const uint8_t archive_id[16], const uint8_t secret[COF_KEY], char *out);
/* n bytes of a file; the newline may be missing. -EUCLEAN */
int auditor_parse(const char *line, size_t n, uint8_t ret_archive_id[16],
		  uint8_t ret_secret[COF_KEY]);
/* ret_secret: secure memory. */
int auditor_load(const char *path, uint8_t ret_archive_id[16], uint8_t ret_secret[COF_KEY],
		 struct cof_diag *diag);

#endif
