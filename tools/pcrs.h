/* SPDX-License-Identifier: Apache-2.0 */
/* Values of PCRs that are still to come, from a file: lines of a PCR's number, a blank and 64 hexadecimal digits. */
#ifndef COFFER_PCRS_H
#define COFFER_PCRS_H

#include "crypto/tpm.h"

int pcrs_load(const char *path, struct cof_tpm_pcrs *ret, struct cof_diag *diag);

#endif
