/* SPDX-License-Identifier: Apache-2.0 */
/* The place that an archive comes back to, wherever from. */
#include "tools/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

int restore_place(const char *dir, const uint8_t id[16], struct cof_io **ret, struct cof_diag *diag)
{
	struct cof_io *io = NULL;
	struct cof_conf conf;
	int err;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return cof_fail(diag, -errno, "cannot make %s: %s", dir, strerror(errno));
	err = cof_io_plain(dir, &io, diag);
	if (err < 0)
		return err;
	*ret = io;
	err = cof_io_exists(io, "archive.conf");
	if (err != 1)
		return err;
	err = cof_conf_load(io, &conf, diag);
	if (err < 0)
		return err;
	if (memcmp(conf.id, id, 16) != 0 || cof_io_exists(io, "keys") != 0)
		return cof_fail(diag, -EEXIST, "%s is an archive already, and not one whose restoring was cut off", dir);
	return 1;
}

int restore_keep_envelope(struct cof_io *io, const void *p, size_t n, struct cof_diag *diag)
{
	int err = cof_io_mkdir(io, "seal");

	if (err == 0)
		err = cof_io_sync_dir(io, "");
	if (err == 0 || err == -EEXIST)
		err = cof_io_replace(io, "seal/recovery.age", p, n);
	return err < 0 ? cof_fail(diag, err, "seal/recovery.age cannot be written: %s", strerror(-err)) : 0;
}

int restore_note_source(struct cof_io *io, const char *url, uint64_t size, struct cof_diag *diag)
{
	char text[COF_RESTORED_MAX];
	int n = snprintf(text, sizeof(text), "%.900s, %" PRIu64 " frames", url, size);
	int err = cof_io_replace(io, COF_RESTORED, text, (size_t)n);

	return err < 0 ? cof_fail(diag, err, "where it came from cannot be noted: %s", strerror(-err)) : 0;
}

void restore_say_next(struct cof_io *io, const char *dir)
{
	cof_autofree char *store = shell_word(dir);

	if (cof_io_exists(io, "seal/recovery.age") == 1)
		printf("Next: coffer recover %s --identity FILE --new-key-file FILE   # opens the "
		       "recovery envelope that came along\n",
		       store ? store : "STORE");
	else
		printf("No recovery envelope came along. With a copy of it:\n"
		       "  coffer recover %s --envelope FILE --identity FILE --new-key-file FILE\n",
		       store ? store : "STORE");
}
