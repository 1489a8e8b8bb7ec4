/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rounds of coffer sync --watch say, on one terminal: several run at once, and one process alone writes there. Each round's
 * lines come whole, and below them one line has how far all of them are.
 */
#ifndef COFFER_SYNC_SCREEN_H
#define COFFER_SYNC_SCREEN_H

#include "base/base.h"

struct sync_round { /* what one of them says; all zero: nothing is read of it */
	int fd[2];	   /* its standard output and error, with .open */
	bool open;
	struct cof_buf got[2]; /* of a line that is not whole yet */
	uint64_t done, total;  /* bytes; total 0: it says nothing of that */
	int64_t began;	       /* when that began */
};

/* Whether there is a terminal to keep in order. Without one rounds write by themselves. */
bool sync_screen_is(void);
/* Before the fork: *ret_child, for that side of it. -errno */
int sync_round_open(struct sync_round *r, int ret_child[2]);
void sync_round_become(const int child[2]); /* in the child */
/* What came is printed; not more than is there is waited for. The line below has to be drawn anew. */
void sync_round_read(struct sync_round *r);
void sync_round_close(struct sync_round *r); /* what came until now first */

/* The line below: what it says of rounds. Pure; name[i] and round[i] belong together. "" where none has anything to say. */
void sync_screen_line(const char *const *name, const struct sync_round *const *round, size_t n, int64_t now, int width, char *out, size_t cap);
void sync_screen_draw(const char *line); /* "": it goes */

#endif
