/* SPDX-License-Identifier: Apache-2.0 */
/* The secret that opens the archive: from a key file, a descriptor or a systemd credential, straight
 * into secure memory; never from the command line or the environment. */
#include "fs/daemon.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define KEYFILE_MAX 4096
#define PASSPHRASE_MAX 1024

/* Keys beside what they lock would be no lock (and go into every copy of the store). */
static int open_keyfile(const struct cof_mount_options *o, const char *store, bool *ret_weak,
			struct cof_diag *diag)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!realpath(o->keyfile, path))
		return cof_fail(diag, -errno, "key file %s: %s", o->keyfile, strerror(errno));
	if (cof_point_inside(path, store))
		return cof_fail(diag, -EINVAL, "the key file %s may not lie in the store", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return cof_fail(diag, -errno, "key file %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return cof_fail(diag, -EINVAL, "key file %s: not a regular file", path);
	}
	*ret_weak = (st.st_mode & 077) != 0;
	return fd;
}

static int open_credential(const struct cof_mount_options *o, struct cof_diag *diag)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];
	int fd;

	if (!dir || strchr(o->credential, '/') || o->credential[0] == '.')
		return cof_fail(diag, -ENOENT, "credential %s: %s", o->credential,
				dir ? "not a credential's name"
				    : "systemd passed none (CREDENTIALS_DIRECTORY is not set)");
	snprintf(path, sizeof(path), "%s/%s", dir, o->credential);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? cof_fail(diag, -errno, "credential %s: %s", path, strerror(errno)) : fd;
}

static int read_secret(int fd, struct cof_opener_secret *s, uint8_t *data, struct cof_diag *diag)
{
	bool file = s->kind == COF_OPENER_FILE;
	/* One more than a passphrase may have: its newline. */
	size_t n, max = file ? KEYFILE_MAX : PASSPHRASE_MAX + 1;
	int err = cof_read_all(fd, data, max, &n);

	if (err < 0)
		return cof_fail(diag, err, "the %s cannot be read: %s",
				file ? "key file" : "passphrase",
				err == -EFBIG ? "it is too long" : strerror(-err));
	if (!file && n > 0 && data[n - 1] == '\n')
		n--;
	if (file && n < 32)
		return cof_fail(diag, -EINVAL, "the key file has %zu bytes, 32 to 4096 are wanted",
				n);
	if (!file && (n < 1 || n > PASSPHRASE_MAX))
		return cof_fail(diag, -EINVAL, "a passphrase has 1 to %d bytes", PASSPHRASE_MAX);
	s->data = data;
	s->len = n;
	return 0;
}

/* While it is still root's: the file may be nobody else's to read. */
int cof_daemon_secret_open(const struct cof_mount_options *o, const char *store, struct cof_daemon_secret *ret,
			   struct cof_diag *diag)
{
	bool tpm2 = !strcmp(o->seal, "tpm2");
	struct cof_daemon_secret s = {.secret.kind = tpm2 ? COF_OPENER_TPM2 : COF_OPENER_PASSPHRASE, .fd = -1};

	s.secret.tpm = o->tpm[0] ? o->tpm : secure_getenv("COFFER_TPM");
	if (tpm2 && !o->credential[0] && o->passfd < 0) { /* no PIN */
		*ret = s;
		return 0;
	}
	if (o->keyfile[0]) {
		s.secret.kind = COF_OPENER_FILE;
		s.fd = open_keyfile(o, store, &s.weak, diag);
	} else if (o->credential[0]) {
		s.fd = open_credential(o, diag);
	} else {
		s.fd = o->passfd;
	}
	if (s.fd < 0)
		return s.fd;
	*ret = s;
	return 0;
}

int cof_daemon_secret_read(struct cof_daemon_secret *s, struct cof_diag *diag)
{
	int err;

	if (s->fd < 0)
		return 0;
	s->data = cof_secret_alloc(KEYFILE_MAX);
	if (!s->data)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the secret");
	err = read_secret(s->fd, &s->secret, s->data, diag);
	close(s->fd);
	s->fd = -1;
	if (err < 0)
		cof_daemon_secret_wipe(s);
	return err;
}

void cof_daemon_secret_wipe(struct cof_daemon_secret *s)
{
	cof_secret_free(s->data);
	s->data = NULL;
}
