/* SPDX-License-Identifier: Apache-2.0 */
/* The pages' files in keys/ while a renewal, or a recovery, is under way: they have an ending until its top counts. */
#include <stdio.h>

#include "fs/archive/keys-box.h"

struct pages {
	struct cof_io *io;
	const char *end;
	bool keep;
	struct cof_buf names; /* NUL behind each */
};

/* "h-0000000a" and the ending: anything else is not ours. */
static bool is_page(const char *name, const char *end)
{
	return (name[0] == 'h' || name[0] == 'r') && name[1] == '-' && strspn(name + 2, "0123456789abcdef") == 8 &&
	       !strcmp(name + 10, end);
}

static int one(void *user, const char *name)
{
	struct pages *p = user;

	if (is_page(name, p->end))
		cof_buf_add(&p->names, name, strlen(name) + 1);
	return p->names.failed ? -ENOMEM : 0;
}

static int settle(struct pages *p)
{
	int err = cof_io_list(p->io, "keys", one, p);

	if (err == -ENOENT)
		return 0;
	for (size_t at = 0; !err && at < p->names.len; at += strlen((char *)p->names.data + at) + 1) {
		char from[64], to[64];

		snprintf(from, sizeof(from), "keys/%s", (char *)p->names.data + at);
		snprintf(to, sizeof(to), "keys/%.10s", (char *)p->names.data + at);
		err = p->keep ? cof_io_rename(p->io, from, to) : cof_io_unlink(p->io, from);
	}
	if (!err && p->names.len)
		err = cof_io_sync_dir(p->io, "keys");
	cof_buf_done(&p->names);
	return err;
}

int cof_keys_pages_forward(struct cof_io *io, const char *end)
{
	return settle(&(struct pages){.io = io, .end = end, .keep = true});
}

int cof_keys_pages_drop(struct cof_io *io, const char *end)
{
	return settle(&(struct pages){.io = io, .end = end});
}
