/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: which frames of a log the judge reads, and where they are. */
#ifndef COF_ARCHIVE_JUDGE_H
#define COF_ARCHIVE_JUDGE_H

#include "fs/archive/archive.h"

struct cof_judge_places {
	struct cof_buf steps; /* varints: from one to the next */
	uint64_t at;	      /* of the one added last */
	uint64_t end;	      /* of the last frame met */
	struct cof_frame last;
	bool any, too_many;
};
bool cof_judge_matters(const struct cof_frame *f);
bool cof_judge_places_all(const struct cof_judge_places *p); /* NULL, or more than are kept: false */

#endif
