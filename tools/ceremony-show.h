/* SPDX-License-Identifier: Apache-2.0 */
/* Transcripts of ceremonies, to be read; and an archive's. */
#ifndef COFFER_CEREMONY_SHOW_H
#define COFFER_CEREMONY_SHOW_H

#include "tools/people.h"

/* path: a ceremony's directory, or a transcript. show checks the chain, verify the signatures too, and that it is complete. */
int ceremony_show(const char *path, bool json, struct cof_diag *diag);
int ceremony_verify(const char *path, const char *people, bool json, struct cof_diag *diag);
int ceremony_list(struct people_asking *ask, bool json, struct cof_diag *diag);
int ceremony_submit(struct people_asking *ask, const char *dir, bool json, struct cof_diag *diag);

#endif
