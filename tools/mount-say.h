/* SPDX-License-Identifier: Apache-2.0 */
/* The command that mounts an archive, as verbs that made an opener propose it. Strings are the caller's to free. */
#ifndef COFFER_MOUNT_SAY_H
#define COFFER_MOUNT_SAY_H

#include "tools/opener.h"

/* /mnt and the store's name; NULL: no memory. */
char *mount_point_of(const char *store);
/* What -o says of the opener, maybe nothing; key: its key file, absolute, or NULL. -ENOMEM */
int mount_option(const struct opener_args *a, bool tpm2, const char *key, char **ret);
/* "mount -t coffer STORE POINT -o ...", in the shell's words, of an opener that was made with a; NULL: no memory. */
char *mount_command(const struct opener_args *a, const char *store);

#endif
