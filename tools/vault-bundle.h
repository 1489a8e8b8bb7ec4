/* SPDX-License-Identifier: Apache-2.0 */
/* Private to coffer-vault: its verbs receive, give, release and reseal, with the words behind the verb; exit codes. */
#ifndef COFFER_VAULT_BUNDLE_VERBS_H
#define COFFER_VAULT_BUNDLE_VERBS_H

#include "tools/coffer.h"

int bundle_receive_main(int argc, char **argv);
int bundle_give_main(int argc, char **argv);
int vault_release_main(int argc, char **argv);
int vault_reseal_main(int argc, char **argv);

#endif
