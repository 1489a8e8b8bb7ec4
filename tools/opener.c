/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of an opener's secret, and files that hold one. */
#include "tools/opener.h"
#include "tools/owner.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define KEY_FILE_MIN 32
#define KEY_FILE_MAX 4096
#define ROOM (KEY_FILE_MAX + 2)

/* ---- files ---- */

char *parent_of(const char *path)
{
	cof_autofree char *copy = strdup(path);
	size_t n = copy ? strlen(copy) : 0;

	if (!copy)
		return NULL;
	while (n > 1 && copy[n - 1] == '/')
		n--;
	while (n > 0 && copy[n - 1] != '/')
		n--;
	copy[n] = '\0';
	return realpath(n ? copy : ".", NULL);
}

/* By identity, not by name: a second mount of the same directory does not hide it. */
int path_inside(const char *path, const char *dir)
{
	cof_autofree char *at = realpath(path, NULL);
	struct stat want, st;

	if (!at && errno == ENOENT)
		at = parent_of(path);
	if (!at || stat(dir, &want) < 0)
		return -errno;
	for (size_t n = strlen(at);;) {
		if (stat(at, &st) < 0)
			return -errno;
		if (st.st_dev == want.st_dev && st.st_ino == want.st_ino)
			return 1;
		if (n <= 1)
			return 0;
		while (n > 1 && at[n - 1] != '/')
			n--;
		if (n > 1)
			n--;
		at[n] = '\0';
	}
}

int secret_file_make(const char *path, const char *what, int *ret_fd, struct cof_diag *diag)
{
	int err, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);

	if (fd < 0) {
		err = -errno;
		if (err == -EEXIST)
			cof_fail(diag, err, "%s exists already; a new %s never replaces a file",
				 path, what);
		else
			cof_fail(diag, err, "cannot make the %s %s: %s", what, path,
				 strerror(-err));
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int secret_file_sync(int fd, const char *path)
{
	cof_autofree char *dir = parent_of(path);
	cof_autoclose int dir_fd = -1;

	if (fd < 0 || fsync(fd) < 0)
		return fd < 0 ? -EBADF : -errno;
	dir_fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir_fd < 0 || fsync(dir_fd) < 0)
		return -errno;
	return 0;
}

int secret_file_write(const char *path, const char *what, const void *p, size_t n, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	int r = secret_file_make(path, what, &fd, diag);

	if (r < 0)
		return r;
	r = cof_write_all(fd, p, n);
	if (r == 0)
		r = secret_file_sync(fd, path);
	if (r < 0) {
		unlink(path);
		return cof_fail(diag, r, "cannot write %s: %s", path, strerror(-r));
	}
	return 0;
}

static int outside(const char *path, const char *store, const char *what, struct cof_diag *diag)
{
	int r = path_inside(path, store);

	if (r < 0)
		return cof_fail(diag, r, "cannot find the %s %s: %s", what, path, strerror(-r));
	if (r > 0)
		return cof_fail(diag, -EINVAL,
				"the %s %s lies in the store %s: a key beside what it locks is no "
				"lock; put it elsewhere",
				what, path, store);
	return 0;
}

/* ---- sources ---- */

static int read_whole(int fd, bool is_file, const char *name, char *data, size_t *ret_n,
		      struct cof_diag *diag)
{
	/* a passphrase may have its newline behind it */
	size_t n = 0, max = is_file ? KEY_FILE_MAX : COF_PASSPHRASE_MAX + 1;
	int r = cof_read_all(fd, data, max, &n);

	if (r < 0)
		return cof_fail(diag, r, "%s cannot be read: %s", name,
				r == -EFBIG ? "it is too long" : strerror(-r));
	if (!is_file && n > 0 && data[n - 1] == '\n')
		n--;
	if (is_file && n < KEY_FILE_MIN)
		return cof_fail(
		    diag, -EINVAL,
		    "%s has %zu bytes; a key file has %d to %d (--new-key-file of coffer "
		    "init makes one)",
		    name, n, KEY_FILE_MIN, KEY_FILE_MAX);
	if (!is_file && (n < 1 || n > COF_PASSPHRASE_MAX))
		return cof_fail(diag, -EINVAL, "%s: a passphrase has 1 to %d bytes", name,
				COF_PASSPHRASE_MAX);
	*ret_n = n;
	return 0;
}

static int from_key_file(const char *path, const char *store, char *data, size_t *ret_n,
			 struct cof_diag *diag)
{
	cof_autofree char *name = NULL;
	cof_autoclose int fd = -1;
	struct stat st;
	int r;

	/* looked at before it is opened: opening a device or a pipe does things */
	if (stat(path, &st) < 0) {
		r = -errno;
		return cof_fail(diag, r, "cannot open the key file %s: %s", path, strerror(-r));
	}
	if (!S_ISREG(st.st_mode))
		return cof_fail(diag, -EINVAL, "the key file %s is no regular file", path);
	r = outside(path, store, "key file", diag);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return cof_fail(diag, -errno, "key file %s: %s", path, strerror(errno));
	if (asprintf(&name, "the key file %s", path) < 0) {
		name = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	return read_whole(fd, true, name, data, ret_n, diag);
}

static int make_key_file(const char *path, const char *store, char *data, size_t *ret_n,
			 char **ret_made, struct cof_diag *diag)
{
	cof_autofree char *made = NULL;
	cof_autoclose int fd = -1;
	int r = outside(path, store, "key file", diag);

	if (r == 0)
		r = secret_file_make(path, "key file", &fd, diag);
	if (r)
		return r;
	made = realpath(path, NULL);
	cof_random(data, KEY_FILE_MIN);
	r = made ? cof_write_all(fd, data, KEY_FILE_MIN) : -errno;
	if (r == 0)
		r = secret_file_sync(fd, path);
	if (r < 0) {
		unlink(path);
		return cof_fail(diag, r, "cannot write the key file %s: %s", path, strerror(-r));
	}
	*ret_n = KEY_FILE_MIN;
	*ret_made = made;
	made = NULL;
	return 0;
}

static int from_credential(const char *name, char *data, size_t *ret_n, struct cof_diag *diag)
{
	const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
	cof_autofree char *path = NULL;
	cof_autoclose int fd = -1;

	if (!*name || *name == '.' || strchr(name, '/'))
		return cof_fail(diag, -EINVAL, "'%s' is not a credential's name", name);
	if (!dir)
		return cof_fail(diag, -ENOENT,
				"systemd passed no credentials (CREDENTIALS_DIRECTORY is not set)");
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return cof_fail(diag, -errno, "credential %s: %s", path, strerror(errno));
	return read_whole(fd, false, "the credential", data, ret_n, diag);
}

int opener_choose(struct opener_args *a, struct cof_io *io, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = cof_json_array();
	bool passphrase = false, file = false;
	int r;

	if (a->key_file || a->new_key_file || (!a->seal && (a->credential || a->passphrase_fd >= 0)))
		return 0;
	if (a->seal && !opener_is_tpm2(a))
		return 0;
	r = cof_store_seal_show(io, all, diag);
	for (size_t i = 0; r == 0 && i < cof_json_count(all); i++) {
		const struct cof_json *o = cof_json_at(all, i);
		const char *kind = cof_json_str(o, "kind");

		passphrase |= kind && !strcmp(kind, "passphrase");
		file |= kind && !strcmp(kind, "file");
		if (!kind || strcmp(kind, "tpm2") != 0)
			continue;
		a->seal = "tpm2";
		a->pin |= cof_json_bool(o, "pin");
	}
	/* nobody is asked for a passphrase that could not open it */
	if (r == 0 && !a->seal && file && !passphrase)
		return cof_fail(diag, -ENOKEY,
				"%s is not mounted, and opening it takes its key file: name it with "
				"--key-file FILE",
				cof_io_where(io));
	return r;
}

/* A PIN: from where a passphrase comes from; and none where none is asked for. */
static int tpm_secret(const struct opener_args *a, const char *store, bool twice, char *data,
		      size_t *ret_n, struct cof_diag *diag)
{
	if (!a->pin)
		return 0;
	if (a->credential)
		return from_credential(a->credential, data, ret_n, diag);
	if (a->passphrase_fd >= 0)
		return read_whole(a->passphrase_fd, false, "the PIN's descriptor", data, ret_n, diag);
	return cof_pin_ask(store, twice, data, ret_n, diag);
}

int opener_get(const struct opener_args *a, const char *store, bool twice, struct opener *ret,
	       struct cof_diag *diag)
{
	cof_autosecret char *data = cof_secret_alloc(ROOM);
	cof_autofree char *made = NULL;
	bool is_file = a->key_file || a->new_key_file;
	bool is_tpm = opener_is_tpm2(a);
	size_t n = 0;
	int r;

	if (!data)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the secret");
	if (is_tpm)
		r = tpm_secret(a, store, twice, data, &n, diag);
	else if (a->key_file)
		r = from_key_file(a->key_file, store, data, &n, diag);
	else if (a->new_key_file)
		r = make_key_file(a->new_key_file, store, data, &n, &made, diag);
	else if (a->credential)
		r = from_credential(a->credential, data, &n, diag);
	else if (a->passphrase_fd >= 0)
		r = read_whole(a->passphrase_fd, false, "the passphrase's descriptor", data, &n,
			       diag);
	else
		r = cof_passphrase_ask(store, twice, data, &n, diag);
	if (r == -ENOTTY)
		return cof_fail(diag, r, "%s: use %s--passphrase-fd or --credential", diag->text,
				is_tpm	? ""
				: twice ? "--new-key-file, --key-file, "
					: "--key-file, ");
	if (r < 0)
		return r;
	ret->secret.kind = is_tpm    ? COF_OPENER_TPM2
			   : is_file ? COF_OPENER_FILE
				     : COF_OPENER_PASSPHRASE;
	ret->secret.tpm = a->tpm ? a->tpm : secure_getenv("COFFER_TPM");
	ret->secret.data = data;
	ret->secret.len = n;
	ret->made = made;
	data = made = NULL;
	return 0;
}

void opener_done(struct opener *o)
{
	cof_secret_free((void *)o->secret.data);
	free(o->made);
	memset(o, 0, sizeof(*o));
}

void opener_unmake(struct opener *o)
{
	if (o->made)
		unlink(o->made);
}

void opener_lockout_said(const struct cof_json *o, char out[OPENER_LOCKOUT_SAID])
{
	const char *since = cof_json_str(o, "since");
	int64_t failures = 0, max = 0, wait = 0;

	(void)cof_json_int(o, "failures", &failures);
	(void)cof_json_int(o, "max", &max);
	(void)cof_json_int(o, "wait_s", &wait);
	*out = '\0';
	if (cof_json_bool(o, "locked") && wait)
		snprintf(out, OPENER_LOCKOUT_SAID,
			 "locked for passphrases and PINs since %s; coffer unlock with another opener now, with the "
			 "right one in %lld min",
			 since ? since : "?", (long long)(wait + 59) / 60);
	else if (cof_json_bool(o, "locked"))
		snprintf(out, OPENER_LOCKOUT_SAID,
			 "locked for passphrases and PINs since %s; coffer unlock with any opener",
			 since ? since : "?");
	else if (failures)
		snprintf(out, OPENER_LOCKOUT_SAID, "%lld of %lld wrong passphrases or PINs in a row",
			 (long long)failures, (long long)max);
}

int opener_find(struct opener_args *a, struct cof_io *io, const char *store, struct opener *ret, struct cof_diag *diag)
{
	int r = opener_choose(a, io, diag);

	return r < 0 ? r : opener_get(a, store, false, ret, diag);
}

int opener_find_as_owner(struct opener_args *a, struct cof_io *io, const char *store, struct opener *ret,
			 struct cof_diag *diag)
{
	int r = opener_find(a, io, store, ret, diag);

	return r < 0 ? r : owner_take(store, diag);
}
