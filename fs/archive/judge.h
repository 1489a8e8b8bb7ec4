/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: which frames of a log the judge reads, and where they are. */
#ifndef COF_ARCHIVE_JUDGE_H
#define COF_ARCHIVE_JUDGE_H

#include "fs/archive/archive.h"
#include "fs/rules/inodes.h"

struct cof_judge_places {
	struct cof_buf steps; /* varints: from one to the next */
	uint64_t at;	      /* of the one added last */
	uint64_t end;	      /* of the last frame met */
	struct cof_frame last;
	bool any, too_many;
	struct cof_inodes committed; /* whose further frames are judged as well */
	bool complete;		     /* that set: it is not kept from one judging to the next */
};
bool cof_judge_matters(const struct cof_frame *f);
/* It makes a file longer, which a committed one never becomes. */
bool cof_judge_grows(const struct cof_frame *f);
/* In the log's order; f is NULL where the header cannot be read any more. What is not 0 ends it. -EUCLEAN: these are no places. */
typedef int (*cof_judge_place_fn)(void *user, const struct cof_frame *f, uint64_t address);
int cof_judge_places_each(const struct cof_judge_places *p, struct cof_reader *reader, cof_judge_place_fn fn, void *user);
bool cof_judge_places_all(const struct cof_judge_places *p); /* NULL, or more than are kept: false */

#endif
