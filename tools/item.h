/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a mounted archive as coffer ls and find see them: through the mount, with the rights of
 * who asks, by stat and by the attributes user.coffer.*.
 */
#ifndef COFFER_ITEM_H
#define COFFER_ITEM_H

#include "base/json.h"

#include <sys/stat.h>

#define ITEM_ATTR 96 /* bytes of an attribute's text, with its NUL */

struct item {
	const char *path; /* as the arguments led to it */
	const char *name; /* its last part; of an argument, all of it */
	int dir;          /* where name lies; AT_FDCWD for an argument */
	struct stat st;
	char state[ITEM_ATTR], until[ITEM_ATTR], time[ITEM_ATTR], leaf[ITEM_ATTR]; /* "" : none */
	char not_before[ITEM_ATTR], not_after[ITEM_ATTR]; /* of time; "": no proof bounds it there */
};

/* user.coffer.NAME as text: "" when there is none. */
void item_attr(const struct item *i, const char *attr, char out[ITEM_ATTR]);
/* Sets state, until, time with its bounds, and leaf. */
void item_attrs(struct item *i);
const char *item_base(const struct item *i); /* the last part of the name */
const char *item_kind(const struct item *i); /* "file", "directory", "symlink", "other" */

bool item_has_no_end(const struct item *i); /* no longer open, and kept for ever */

/* One line for people with its newline; and all that is known, for programs. */
void item_head(struct cof_buf *ret);
void item_line(const struct item *i, bool whole_path, struct cof_buf *ret);
void item_bounds(const struct item *i, struct cof_buf *ret); /* a further line: what proofs say of its time */
struct cof_json *item_json(const struct item *i, bool digest);

/* ---- walking ---- */

struct walk {
	bool recursive, sorted;
	/* 0: go on; else ends the walk with that. */
	int (*fn)(void *user, const struct item *i);
	/* What could not be read is told, and the walk goes on. */
	void (*failed)(void *user, const char *path, int err);
	void *user;
};
/* Calls fn for path itself when it is no directory or itself is set, else for what is in it. */
int walk_path(const struct walk *w, const char *path, bool itself);

#endif
