/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the line again behind which reading goes on, also in files that were rotated away since. */
#include "tools/import/place.h"

#include "crypto/crypto.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define OLDER_MAX 64 /* files beside a log that are looked at */

void import_digest(const char *line, size_t n, uint8_t ret[32])
{
	size_t cut = n > IMPORT_DIGEST_BYTES ? n - IMPORT_DIGEST_BYTES : 0;

	cof_sha256(line + cut, n - cut, ret);
}

bool import_place_is(int fd, const struct import_place *place)
{
	char text[IMPORT_DIGEST_BYTES + 2]; /* a newline before, the line, its newline */
	size_t want = (size_t)COF_MIN(place->end, (uint64_t)sizeof(text)), got = 0;
	uint8_t digest[32];
	const char *start, *end;

	if (!place->end || place->end > INT64_MAX)
		return false;
	while (got < want) {
		ssize_t n = pread(fd, text + got, want - got, (off_t)(place->end - want + got));

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	end = text + got - 1;
	if (*end != '\n')
		return false;
	for (start = end; start > text && start[-1] != '\n';)
		start--;
	import_digest(start, (size_t)(end - start), digest);
	return !memcmp(digest, place->digest, sizeof(digest));
}

/* ---- files beside it ---- */

struct older {
	char *path;
	struct timespec mtime;
	ino_t ino;
};

static int by_age(const void *a, const void *b)
{
	const struct older *x = a, *y = b;

	if (x->mtime.tv_sec != y->mtime.tv_sec)
		return x->mtime.tv_sec < y->mtime.tv_sec ? -1 : 1;
	return x->mtime.tv_nsec < y->mtime.tv_nsec ? -1 : x->mtime.tv_nsec > y->mtime.tv_nsec;
}

/* "auth.log.1", "auth.log-20261125", "auth-2026.log": begins as path's last name does, up to its first dot. */
static bool like(const char *name, const char *base)
{
	size_t stem = strcspn(base, ".");

	return strcmp(name, base) != 0 && !strncmp(name, base, stem ? stem : strlen(base));
}

static size_t list(const char *path, struct older *ret)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	int len = slash ? (int)(slash - path) : 1;
	DIR *dir;
	char name[4096];
	struct stat self, st;
	size_t n = 0;
	int fd;

	snprintf(name, sizeof(name), "%.*s/", len, slash ? path : ".");
	dir = opendir(name);
	if (!dir)
		return 0;
	fd = dirfd(dir);
	if (fd < 0) {
		closedir(dir);
		return 0;
	}
	if (stat(path, &self) < 0)
		memset(&self, 0, sizeof(self));
	for (struct dirent *e; n < OLDER_MAX && (e = readdir(dir));) {
		if (!like(e->d_name, base) || fstatat(fd, e->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode) ||
		    st.st_ino == self.st_ino)
			continue;
		if (asprintf(&ret[n].path, "%.*s/%s", len, slash ? path : ".", e->d_name) < 0)
			break;
		ret[n].mtime = st.st_mtim;
		ret[n++].ino = st.st_ino;
	}
	closedir(dir);
	qsort(ret, n, sizeof(*ret), by_age);
	return n;
}

static bool has_place(const char *path, const struct import_place *place)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd >= 0 && import_place_is(fd, place);
}

int import_older(const char *path, const struct import_place *place, char ***ret, size_t *ret_n)
{
	struct older *all = calloc(OLDER_MAX, sizeof(*all));
	char **paths = calloc(OLDER_MAX, sizeof(*paths));
	size_t n, first, count = 0;

	if (!all || !paths) {
		free(all);
		free(paths);
		return -ENOMEM;
	}
	n = list(path, all);
	for (first = 0; first < n && !has_place(all[first].path, place);)
		first++;
	for (size_t i = 0; i < n; i++) {
		if (i >= first)
			paths[count++] = all[i].path;
		else
			free(all[i].path);
	}
	free(all);
	*ret = paths;
	*ret_n = count;
	return 0;
}
