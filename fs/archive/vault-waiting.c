/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STORE/vaults/NAME.keys, the tree R that waits to be brought to a vault (docs/format.md 7.12): put there, and gone. The bytes that
 * were there before keep a name, NAME.keys.before, until they are overwritten: whoever is cut off meanwhile leaves them to the next.
 */
#include "fs/archive/archive.h"

#include <stdio.h>

#define VAULTS "vaults"
#define PATH_LEN 96

struct names {
	char keys[PATH_LEN], before[PATH_LEN], unfinished[PATH_LEN], waits[PATH_LEN];
};

static int names_of(const char *name, struct names *ret)
{
	if (strlen(name) > 63)
		return -ENAMETOOLONG;
	snprintf(ret->keys, PATH_LEN, VAULTS "/%s.keys", name);
	snprintf(ret->before, PATH_LEN, VAULTS "/%s.keys" COF_VAULT_BEFORE, name);
	snprintf(ret->unfinished, PATH_LEN, VAULTS "/%s.keys.new", name); /* of cof_io_replace */
	snprintf(ret->waits, PATH_LEN, VAULTS "/%s" COF_VAULT_WAITS, name);
	return 0;
}

/* 1: it was there. */
static int wipe(struct cof_io *io, const char *path)
{
	int r = cof_io_wipe(io, path);

	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* 1: something has its name there, to be overwritten, or has it by now. */
static int set_aside(struct cof_io *io, const struct names *n)
{
	int r = wipe(io, n->unfinished), there = COF_MAX(r, 0), keys;

	keys = r < 0 ? r : cof_io_exists(io, n->keys);
	if (keys < 0)
		return keys;
	if (!keys) {
		r = cof_io_exists(io, n->before);
		return r < 0 ? r : r || there;
	}
	r = wipe(io, n->before);
	if (r >= 0)
		r = cof_io_rename(io, n->keys, n->before);
	if (r == 0)
		r = cof_io_sync_dir(io, VAULTS);
	return r < 0 ? r : 1;
}

int cof_vault_waiting_put(struct cof_io *io, const char *name, const void *p, size_t n)
{
	struct names names;
	int guard = -1, r = names_of(name, &names);

	if (r == 0)
		r = cof_io_guard(io, VAULTS, &guard);
	if (r == 0)
		r = cof_err(set_aside(io, &names));
	if (r == 0)
		r = cof_io_replace(io, names.keys, p, n);
	if (r == 0)
		r = cof_err(wipe(io, names.before));
	cof_io_unguard(guard);
	return r;
}

/* For whom it was made goes last: what waits is never there without it. */
int cof_vault_waiting_drop(struct cof_io *io, const char *name)
{
	struct names names;
	int guard = -1, there = 0, r = names_of(name, &names);

	if (r == 0)
		r = cof_io_guard(io, VAULTS, &guard);
	if (r == 0)
		r = there = set_aside(io, &names);
	if (r >= 0)
		r = wipe(io, names.before);
	if (r >= 0)
		r = cof_io_unlink(io, names.waits);
	if (r == 0 || r == -ENOENT)
		r = cof_io_sync_dir(io, VAULTS);
	cof_io_unguard(guard);
	return r < 0 ? r : there ? 0 : -ENOENT;
}
