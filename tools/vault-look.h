/* SPDX-License-Identifier: Apache-2.0 */
/* Private to coffer-vault: its verbs that look at all archives of a vault. An exit code, or a negative errno with its sentence. */
#ifndef COFFER_VAULT_LOOK_H
#define COFFER_VAULT_LOOK_H

#include "base/base.h"

struct vault_look {
	const char *dir;
	bool scrub;	 /* read all of it back; else what is known is shown */
	bool json;
	int64_t silence; /* ns after which a host that says nothing is an alarm; 0: never */
};
int vault_look(const struct vault_look *w, struct cof_diag *diag);
int vault_archives(const char *dir, bool json, struct cof_diag *diag);

#endif
