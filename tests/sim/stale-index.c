/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/stale-index.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void shell(const char *command)
{
	int r = system(command);

	ck_assert_msg(WIFEXITED(r) && !WEXITSTATUS(r), "%s", command);
}

void stale_index_new(struct stale_index *x)
{
	const char *where = getenv("TMPDIR");

	/* In memory where there is such a place: what is durable of the index is not asked here. */
	if (!where)
		where = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(x->dir, sizeof(x->dir), "%.40s/coffer-sim-XXXXXX", where);
	ck_assert_ptr_nonnull(mkdtemp(x->dir));
	snprintf(x->index, sizeof(x->index), "%s/index", x->dir);
	snprintf(x->old, sizeof(x->old), "%s/old", x->dir);
}

void stale_index_free(struct stale_index *x)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s", x->dir);
	shell(command);
}

static void keep_copy(struct stale_index *x)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s; cp -a %s %s", x->old, x->index, x->old);
	shell(command);
	x->has_old = true;
}

static void put_back(struct stale_index *x)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s; cp -a %s %s", x->index, x->old, x->index);
	shell(command);
}

static void stale_index_delete(struct stale_index *x)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s", x->index);
	shell(command);
	x->has_old = false;
}

static void flip(struct stale_index *x, const char *path)
{
	FILE *f = fopen(path, "r+b");
	long size, at;
	int c;

	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	if (size > 0) {
		at = (long)x->dice(x->user, (uint64_t)size);
		fseek(f, at, SEEK_SET);
		c = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(c ^ (1 << x->dice(x->user, 8)), f);
	}
	fclose(f);
}

static void flip_index(struct stale_index *x)
{
	DIR *d = opendir(x->index);
	struct dirent *e;
	char path[400];

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", x->index, e->d_name);
			flip(x, path);
		}
	closedir(d);
}

const char *stale_index_treat(struct stale_index *x)
{
	switch (x->dice(x->user, 8)) {
	case 0:
		stale_index_delete(x);
		return "index deleted";
	case 1:
		if (!x->has_old)
			break;
		put_back(x);
		return "index put back";
	case 2:
		flip_index(x);
		return "index damaged";
	case 3:
		keep_copy(x);
		break;
	default:
		break;
	}
	return "index kept";
}
