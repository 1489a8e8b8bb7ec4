/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The passphrase from the terminal. It goes from there into locked memory and on into a pipe, whose
 * reading end the daemon inherits: never an argument, never the environment.
 */
#include "crypto/passphrase.h"
#include "fs/mount-helper.h"

#include <fcntl.h>

#define SECURE_BYTES 65536

int cof_helper_passphrase(const char *store, int *ret_fd, struct cof_diag *diag)
{
	cof_autosecret char *text = NULL;
	int fds[2], err;
	size_t n = 0;

	err = cof_crypto_init(SECURE_BYTES, diag);
	if (err < 0)
		return err;
	text = cof_secret_alloc(COF_PASSPHRASE_ROOM);
	if (!text)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the passphrase");
	err = cof_passphrase_ask(store, false, text, &n, diag);
	if (err == -ENOTTY)
		return cof_fail(diag, err,
				"there is no terminal to ask for the passphrase: use keyfile=FILE, "
				"credential=NAME or passfd=N");
	if (err < 0)
		return err;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cof_fail(diag, -errno, "no pipe: %s", strerror(errno));
	err = cof_write_all(fds[1], text, n); /* fits the pipe: does not wait */
	close(fds[1]);
	if (err < 0) {
		close(fds[0]);
		return cof_fail(diag, err, "the passphrase's pipe: %s", strerror(-err));
	}
	*ret_fd = fds[0];
	return 0;
}
