/* SPDX-License-Identifier: Apache-2.0 */
/* Private to coffer plan: what policies of shelves would lock. */
#ifndef COFFER_PLAN_H
#define COFFER_PLAN_H

#include "tools/source.h"

struct range { /* of ends */
	uint64_t files, bytes;
	int64_t from, to;	   /* of those that have one; from > to: none has */
	uint64_t for_ever, waiting; /* waiting: for an event */
};

struct planned { /* a shelf */
	char name[256];
	bool exists, named; /* in the archive; in what is planned */
	struct cof_policy old, policy; /* the same where nothing is planned for it */
	const char *weaker; /* why it is refused without approval, or NULL */
	struct range open;  /* what a commit of each open file would lock */
	uint64_t refused, unread; /* of these: not as asked (strict); content that could not be looked at */
	struct range committed;	  /* as it is */
	uint64_t longer;	  /* of these: would be kept longer, at most until longer_to */
	int64_t longer_to;
	uint64_t expired;
};

struct plan {
	struct source source;
	struct planned *shelf;
	size_t n;
	int64_t at;		 /* when the commits would be, in retention time */
	int64_t latest, longest; /* of all certificates, for shelves that follow them */
	/* Each open file with what its commit would say; may be NULL. */
	int (*file)(void *user, const char *path, const struct cof_ruling *rl);
	void *user;
};

struct planned *plan_shelf(struct plan *p, const char *name, bool add); /* NULL: none, or no memory */
int plan_shelves(struct plan *p, struct cof_diag *diag);		 /* those of the archive, as they are */
/* Goes through all files. */
int plan_files(struct plan *p, struct cof_diag *diag);
void plan_done(struct plan *p);

#endif
