/* SPDX-License-Identifier: Apache-2.0 */
/* When an issuer had no CRL in force, by those that an archive keeps. */
#ifndef COFFER_CRL_GAPS_H
#define COFFER_CRL_GAPS_H

#include "tools/opener.h"

/* to: COF_GAP_OPEN where it goes on. */
typedef int (*crl_gap_fn)(void *user, const char *issuer, int64_t from, int64_t to);

/*
 * Calls fn with each interval between the end of an issuer's CRL, by itself or by the policy's key crl, whichever
 * is earlier, and the next CRL of that issuer; a CA whose last certificate has ended owes none. arg: store or mount point.
 */
int crl_gaps(const char *arg, const struct opener_args *opener, int64_t now, crl_gap_fn fn, void *user, struct cof_diag *diag);

#endif
