/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The passphrase from the terminal. It goes from there into locked memory and on into a pipe, whose
 * reading end the daemon inherits: never an argument, never the environment.
 */
#include "crypto/passphrase.h"
#include "crypto/seal.h"
#include "fs/mount-helper.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#define SECURE_BYTES 65536

int cof_helper_passphrase(const char *store, bool pin, int *ret_fd, struct cof_diag *diag)
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
	err = pin ? cof_pin_ask(store, false, text, &n, diag)
		  : cof_passphrase_ask(store, false, text, &n, diag);
	if (err == -ENOTTY && pin)
		return cof_fail(diag, err,
				"there is no terminal to ask for the PIN: use credential=NAME or passfd=N");
	if (err == -ENOTTY)
		return cof_fail(diag, err,
				"there is no terminal to ask for the passphrase: use key-file=FILE, "
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

/* A file that says nothing is left to the daemon, which says what is wrong with it. */
static bool asks_for_pin(const char *path)
{
	cof_autofree uint8_t *blob = malloc(COF_SEAL_TPM2_MAX + 1);
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint64_t generation;
	size_t n = 0;

	return blob && s && fd >= 0 && cof_read_all(fd, blob, COF_SEAL_TPM2_MAX, &n) == 0 && n > 40 &&
	       cof_seal_tpm2_read(blob + 24, blob, n, s, &generation) == 0 && s->pin;
}

int cof_helper_seal(const char *store, bool *ret_tpm2, bool *ret_pin, struct cof_diag *diag)
{
	char path[PATH_MAX + 300];
	struct dirent *e;
	DIR *dir;

	*ret_tpm2 = *ret_pin = false;
	snprintf(path, sizeof(path), "%s/seal", store);
	dir = opendir(path);
	if (!dir)
		return cof_fail(diag, -errno, "%s: %s", path, strerror(errno));
	while ((e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, "tpm2-", 5) != 0)
			continue;
		*ret_tpm2 = true;
		snprintf(path, sizeof(path), "%s/seal/%s", store, e->d_name);
		*ret_pin |= asks_for_pin(path);
	}
	closedir(dir);
	return 0;
}
