/* SPDX-License-Identifier: Apache-2.0 */
/* What a quorum came together for: one age file opened, and written in clear or for other recipients. */
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/share-gather.h"

static int write_new(const char *path, const void *p, size_t n, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	int r = secret_file_make(path, "result", &fd, diag);

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

int share_deliver(const struct share_delivery *d, const uint8_t (*identity)[COF_AGE_KEY], struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0}, again = {0};
	void *plain = NULL;
	size_t n = 0;
	int r = file_load(d->input, COF_AGE_FILE_MAX, &file, diag);

	if (r < 0)
		return r;
	r = cof_age_decrypt(identity, 1, file.data, file.len, &plain, &n);
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", d->input,
				r == -EKEYREJECTED ? "it was not encrypted to this epoch"
				: r == -EBADMSG	   ? "it was altered or cut off"
						   : "it is no age file that can be read");
	if (d->n_to)
		r = cof_age_encrypt(d->to, d->n_to, plain, n, NULL, &again);
	if (r == 0)
		r = write_new(d->output, d->n_to ? again.data : plain, d->n_to ? again.len : n, diag);
	cof_secret_free(plain);
	return r;
}
