/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to coffer conform: the promises of docs/semantics.md as checks that run on any mount.
 * Every check makes its system calls directly, and looks afterwards whether the files that it must
 * not touch are what they were.
 */
#ifndef COFFER_CONFORM_H
#define COFFER_CONFORM_H

#include "base/json.h"

#include <sys/stat.h>

#define CONFORM_CONTENT 10000 /* bytes of the files that are watched */
#define CONFORM_WATCHED 16

enum conform_kind { CONFORM_OPEN, CONFORM_COMMITTED, CONFORM_EMPTY, CONFORM_DIRECTORY };

struct conform_watched {
	const char *name;
	enum conform_kind kind;
	struct stat st;
	uint32_t sum; /* of its content */
};

struct conform {
	/* set by who runs it */
	int dir;     /* an empty directory of its own */
	bool chattr; /* set the attributes a and i ourselves, as chattr would */
	bool json;
	struct cof_diag *diag;

	/* as it goes on */
	bool root;   /* uid 0: what the kernel refuses others first can be asked */
	int refusal; /* EPERM, or EROFS where the mount answers with that */
	int err;     /* it cannot go on: -errno, diag says why */
	unsigned number, passed, failed, skipped;
	struct conform_watched watched[CONFORM_WATCHED];
	int n_watched;
};

/* ---- reporting (conform.c) ---- */

void conform_report(struct conform *c, const char *what, bool ok, const char *why);
void conform_skip(struct conform *c, const char *what, const char *why);
/* want 0: has to succeed; else has to fail with it. Also looks at what is watched; what changed is
 * made anew, so that the next check does not suffer from it. */
void conform_judge(struct conform *c, const char *what, long result, int got, int want);

#define REFUSES(c, what, want, call)                                                               \
	do {                                                                                       \
		long result_;                                                                      \
                                                                                                   \
		errno = 0;                                                                         \
		result_ = (long)(call);                                                            \
		conform_judge(c, what, result_, errno, want);                                      \
	} while (0)
#define ALLOWS(c, what, call) REFUSES(c, what, 0, call)

/* ---- files ---- */

/* A new file with the content that its name gives, open as chattr +a has it if that is wanted. */
void conform_make(struct conform *c, const char *name);
int conform_open(struct conform *c, const char *name, int flags); /* -1: the run is over (err) */
int conform_try(struct conform *c, const char *name,
		int flags); /* opens and closes: 0, or -1 with errno */
/* Makes it, unless it is there. */
void conform_watch(struct conform *c, const char *name, enum conform_kind kind);
void conform_forget(struct conform *c); /* what is watched */
/* Commits by taking the write bits away, in a process of its own: it alone may rename it then. */
void conform_commit(struct conform *c, const char *name);
/* The attribute's text in value, "" when there is none. */
void conform_xattr(struct conform *c, const char *name, const char *attr, char *value, size_t cap);
int conform_flags(struct conform *c, const char *name, unsigned set, unsigned clear, unsigned *ret);
void conform_fail(struct conform *c, int err, const char *what, const char *name);

/* ---- the checks ---- */

void conform_append(struct conform *c);    /* what an open file accepts */
void conform_overwrite(struct conform *c); /* what it refuses */
void conform_names(struct conform *c);
void conform_attributes(struct conform *c);
void conform_committed(struct conform *c);
void conform_retention(struct conform *c);

#endif
