/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process is made of: the SHA-256 of its program and of each library that it has mapped to
 * execute, from the files that the mappings are of. A file that was exchanged since (an update
 * under a running daemon) cannot be hashed any more by its name, and is called replaced.
 */
#include "fs/guard/internal.h"

#include "crypto/crypto.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MAPPED_MAX 128

static int hash(int fd, size_t n, uint8_t ret[32])
{
	void *p = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;

	if (n && p == MAP_FAILED)
		return -errno;
	cof_sha256(n ? p : "", n, ret);
	if (n)
		munmap(p, n);
	return 0;
}

static void name_it(struct cof_measured *m)
{
	const char *slash = strrchr(m->path, '/');

	snprintf(m->name, sizeof(m->name), "%.*s", COF_MEASURED_NAME - 1, slash ? slash + 1 : m->path);
}

/* device and inode of the mapping; 0: whatever is there. */
static int measure(struct cof_measured *m, dev_t device, ino_t inode)
{
	cof_autoclose int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	name_it(m);
	if (fd < 0 && inode) {
		m->replaced = true;
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (inode && (st.st_dev != device || st.st_ino != inode)) {
		m->replaced = true;
		return 0;
	}
	return hash(fd, (size_t)st.st_size, m->digest);
}

int cof_guard_measure_file(const char *path, struct cof_measured *ret, struct cof_diag *diag)
{
	int r;

	*ret = (struct cof_measured){.replaced = false};
	if (strlen(path) >= sizeof(ret->path))
		return cof_fail(diag, -ENAMETOOLONG, "%s: too long", path);
	memcpy(ret->path, path, strlen(path) + 1);
	r = measure(ret, 0, 0);
	return r < 0 ? cof_fail(diag, r, "%s: %s", path, strerror(-r)) : 0;
}

/* A line of /proc/self/maps that is of a file and executable. */
static bool executed(const char *line, char path[PATH_MAX], dev_t *ret_device, ino_t *ret_inode)
{
	unsigned major, minor;
	unsigned long long inode;
	char rights[8];
	int at = 0;
	size_t n;

	if (sscanf(line, "%*x-%*x %7s %*x %x:%x %llu %n", rights, &major, &minor, &inode, &at) != 4 || !at ||
	    rights[2] != 'x' || line[at] != '/')
		return false;
	n = strcspn(line + at, "\n");
	if (n >= PATH_MAX)
		return false;
	memcpy(path, line + at, n);
	path[n] = '\0';
	*ret_device = makedev(major, minor);
	*ret_inode = (ino_t)inode;
	return inode != 0;
}

static bool is_known(const struct cof_measured *all, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].path, path))
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cof_measured *)a)->name, ((const struct cof_measured *)b)->name);
}

/* One line of maps; *n grows with what is new. */
static int measure_line(const char *line, struct cof_measured *all, size_t *n)
{
	char path[PATH_MAX];
	dev_t device;
	ino_t inode;
	int r;

	if (!executed(line, path, &device, &inode) || is_known(all, *n, path))
		return 0;
	if (*n == MAPPED_MAX)
		return -E2BIG;
	memcpy(all[*n].path, path, sizeof(path));
	r = measure(&all[*n], device, inode);
	*n += r == 0;
	return r;
}

/* The program to the front, and what is behind it by name. */
static int arrange(struct cof_measured *all, size_t n)
{
	char self[PATH_MAX] = "";
	struct cof_measured program;
	size_t first = 0;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].path, self))
			first = i;
	program = all[first];
	memmove(all + 1, all, first * sizeof(*all));
	all[0] = program;
	qsort(all + 1, n - 1, sizeof(*all), by_name);
	return 0;
}

static int measure_all(FILE *maps, struct cof_measured *all, size_t *ret_n)
{
	char line[PATH_MAX + 128];
	size_t n = 0;
	int r = 0;

	while (r == 0 && fgets(line, sizeof(line), maps))
		r = measure_line(line, all, &n);
	if (r == 0 && n == 0)
		r = -ENOENT;
	if (r == 0)
		r = arrange(all, n);
	if (r == 0)
		*ret_n = n;
	return r;
}

int cof_guard_measure(struct cof_measured **ret, size_t *ret_n, struct cof_diag *diag)
{
	struct cof_measured *all = calloc(MAPPED_MAX, sizeof(*all));
	FILE *maps = fopen("/proc/self/maps", "re");
	int r = !all ? -ENOMEM : !maps ? -errno : measure_all(maps, all, ret_n);

	if (maps)
		(void)fclose(maps);
	if (r < 0) {
		free(all);
		return cof_fail(diag, r, "the program and its libraries cannot be hashed: %s", strerror(-r));
	}
	*ret = all;
	return 0;
}
