/* SPDX-License-Identifier: Apache-2.0 */
/* A passphrase from the terminal: the one place where it is asked for, for the coffer command and mount.coffer. */
#ifndef COF_PASSPHRASE_H
#define COF_PASSPHRASE_H

#include "crypto/crypto.h"

#define COF_PASSPHRASE_MAX 1024
#define COF_PASSPHRASE_ROOM (COF_PASSPHRASE_MAX + 2)

/*
 * Asks on /dev/tty without echo, twice where a new one is chosen. out: COF_PASSPHRASE_ROOM bytes of
 * secure memory. store is named in the prompt. -ENOTTY no terminal · -EINTR interrupted (SIGINT,
 * SIGQUIT, SIGTERM, SIGHUP; the echo is back) · -EINVAL empty, or the two differ · -E2BIG too long.
 * One thread of a process at a time: it sets signal handlers and puts them back.
 */
int cof_passphrase_ask(const char *store, bool twice, char *out, size_t *ret_n,
		       struct cof_diag *diag);
/* The same for the PIN of a TPM's seal. */
int cof_pin_ask(const char *store, bool twice, char *out, size_t *ret_n, struct cof_diag *diag);
/* One line of another secret, as the words of a share; "what: " is the prompt. May be empty. -ETIMEDOUT: nothing was
 * typed for so many seconds (0: waits for ever). */
int cof_line_ask(const char *what, unsigned seconds, char *out, size_t *ret_n, struct cof_diag *diag);

#endif
