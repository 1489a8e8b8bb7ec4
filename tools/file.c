/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/file.h"

#include <fcntl.h>

int file_load(const char *path, size_t most, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	cof_autofree uint8_t *data = malloc(most);
	size_t n = 0;
	int r = fd < 0 ? -errno : data ? cof_read_all(fd, data, most, &n) : -ENOMEM;

	if (r == -EFBIG)
		return cof_fail(diag, r, "%s has more than %zu bytes: that is not what is wanted here", path, most);
	if (r < 0)
		return cof_fail(diag, r, "cannot read %s: %s", path, strerror(-r));
	cof_buf_add(ret, data, n);
	return ret->failed ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
}
