/* SPDX-License-Identifier: Apache-2.0 */
/* Where sources are: those that ship beside the program's data, an operator's by path. */
#include "tools/importer.h"

#include "fs/rules/catalogue.h"
#include "tools/file.h"

#include <stdio.h>

#define SOURCE_MAX (256u << 10)

/* Where those that ship are: beside a build that is not installed they are named by the environment. */
static const char *directory(void)
{
	const char *set = secure_getenv("COFFER_SOURCES");

	return set && *set ? set : COFFER_SOURCE_DIR;
}

static bool known(const char *id)
{
	return cof_catalogue_find(id) != NULL;
}

/* sshd.ini's sample lines are sshd.lines beside it. */
static char *lines_of(const char *path)
{
	size_t n = strlen(path);
	char *ret = NULL;

	if (n > 4 && !strcmp(path + n - 4, ".ini") && asprintf(&ret, "%.*s.lines", (int)(n - 4), path) < 0)
		return NULL;
	return ret;
}

static int load(const char *path, const char *arg, struct import_source **ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_diag why = {""};
	int r = file_load(path, SOURCE_MAX, &text, diag);

	if (r == -ENOENT && !strchr(arg, '/'))
		return cof_fail(diag, r, "no source '%s' ships (%s); a file of your own is given with its path: ./%s", arg, path,
				arg);
	if (r < 0)
		return r;
	r = import_source_parse((const char *)text.data, text.len, known, ret, &why);
	return r < 0 ? cof_fail(diag, r, "%s: %s", path, why.text) : 0;
}

int import_load(const char *arg, struct import_source **ret, struct cof_buf *ret_lines, struct cof_diag *diag)
{
	cof_autofree char *path = NULL, *lines = NULL;
	int r;

	if (strchr(arg, '/'))
		path = strdup(arg);
	else if (asprintf(&path, "%s/%s.ini", directory(), arg) < 0)
		path = NULL;
	if (!path)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = load(path, arg, ret, diag);
	if (r < 0 || !ret_lines)
		return r;
	lines = lines_of(path);
	return lines ? file_load(lines, SOURCE_MAX, ret_lines, diag)
		     : cof_fail(diag, -ENOENT, "%s has no sample lines beside it: a file NAME.lines", path);
}
