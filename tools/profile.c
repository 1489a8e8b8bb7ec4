/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles by name or file. */
#include "tools/profile.h"

#include <fcntl.h>
#include <stdio.h>

/* Where those that ship are: beside a build that is not installed they are named by the environment. */
static const char *directory(void)
{
	const char *set = secure_getenv("COFFER_PROFILES");

	return set && *set ? set : COFFER_PROFILE_DIR;
}

static char *path_of(const char *name)
{
	char *path = NULL;
	int n = strpbrk(name, "./") ? asprintf(&path, "%s", name) : asprintf(&path, "%s/%s.ini", directory(), name);

	return n < 0 ? NULL : path;
}

int profile_load(const char *name, struct cof_profile_file *ret, struct cof_buf *ret_text, struct cof_diag *diag)
{
	cof_autofree char *path = path_of(name), *text = malloc(COF_PROFILE_MAX);
	cof_autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	struct cof_diag why = {""};
	size_t n = 0;
	int r;

	if (!path || !text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the profile %s: %s; those that ship are gpki-1 to gpki-4, vasp, "
					      "securities, insurance and plain",
				path, strerror(errno));
	r = cof_read_all(fd, text, COF_PROFILE_MAX, &n);
	if (r < 0)
		return cof_fail(diag, r, "cannot read the profile %s: %s", path, strerror(-r));
	r = cof_profile_parse(text, n, ret, &why);
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", path, why.text);
	if (ret_text)
		cof_buf_add(ret_text, text, n);
	return 0;
}
