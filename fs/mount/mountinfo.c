/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of mountinfo, see proc(5):
 *   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *   id parent major:minor root mountpoint options [optional fields …] - type source superoptions
 * Blanks, tabs, newlines and backslashes inside a field are written as octal escapes.
 */
#include "fs/mount/point.h"

static int octal(const char *s)
{
	int v = 0;

	for (int i = 0; i < 3; i++) {
		if (s[i] < '0' || s[i] > '7')
			return -1;
		v = v * 8 + (s[i] - '0');
	}
	return v <= 255 ? v : -1;
}

/* Copies the field at *s, escapes undone, and steps behind the blank after it. */
static int take(const char **s, char *out, size_t cap)
{
	const char *p = *s;
	size_t n = 0;

	if (!*p)
		return -EUCLEAN;
	while (*p && *p != ' ') {
		int c = (unsigned char)*p;

		if (c == '\\' && octal(p + 1) > 0) {
			c = octal(p + 1);
			p += 3;
		}
		p++;
		if (n + 1 >= cap)
			return -ENAMETOOLONG;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	*s = *p ? p + 1 : p;
	return 0;
}

static int device(const char *text, struct cof_mountinfo *ret)
{
	char end;

	return sscanf(text, "%u:%u%c", &ret->major, &ret->minor, &end) == 2 ? 0 : -EUCLEAN;
}

int cof_mountinfo_parse(const char *line, struct cof_mountinfo *ret)
{
	struct cof_mountinfo info;
	char field[PATH_MAX];
	const char *s = line;
	int err = 0;

	for (int i = 0; i < 2 && err == 0; i++) /* id, parent */
		err = take(&s, field, sizeof(field));
	if (err == 0)
		err = take(&s, field, sizeof(field));
	if (err == 0)
		err = device(field, &info);
	if (err == 0)
		err = take(&s, field, sizeof(field)); /* root */
	if (err == 0)
		err = take(&s, info.mountpoint, sizeof(info.mountpoint));
	do { /* options, optional fields */
		if (err == 0)
			err = take(&s, field, sizeof(field));
	} while (err == 0 && strcmp(field, "-") != 0);
	if (err == 0)
		err = take(&s, info.type, sizeof(info.type));
	if (err == 0)
		err = take(&s, info.source, sizeof(info.source));
	if (err < 0)
		return err;
	*ret = info;
	return 0;
}

/* The last one that is wanted: the kernel lists mounts in the order they were made, so it is on
 * top. */
typedef bool (*wanted_fn)(const struct cof_mountinfo *info, const void *what);

static int find_last(FILE *f, wanted_fn wanted, const void *what, struct cof_mountinfo *ret)
{
	struct cof_mountinfo info;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int found = -ENOENT;

	while ((n = getline(&line, &cap, f)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (cof_mountinfo_parse(line, &info) < 0 || !wanted(&info, what))
			continue;
		*ret = info;
		found = 0;
	}
	free(line);
	return ferror(f) ? -EIO : found;
}

static bool is_at(const struct cof_mountinfo *info, const void *mountpoint)
{
	return strcmp(info->mountpoint, mountpoint) == 0;
}

static bool has_device(const struct cof_mountinfo *info, const void *what)
{
	const unsigned *device = what;

	return info->major == device[0] && info->minor == device[1] &&
	       strcmp(info->type, COF_MOUNT_TYPE) == 0;
}

int cof_mountinfo_find(FILE *f, const char *mountpoint, struct cof_mountinfo *ret)
{
	return find_last(f, is_at, mountpoint, ret);
}

int cof_mountinfo_device(FILE *f, unsigned major, unsigned minor, struct cof_mountinfo *ret)
{
	return find_last(f, has_device, (const unsigned[]){major, minor}, ret);
}

int cof_mountinfo_top(const char *mountpoint, struct cof_mountinfo *ret)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int err;

	if (!f)
		return -errno;
	err = cof_mountinfo_find(f, mountpoint, ret);
	if (fclose(f) != 0 && err == 0)
		err = -EIO;
	return err;
}
