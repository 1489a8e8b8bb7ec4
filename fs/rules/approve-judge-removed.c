/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which inodes are removed without a request: most are empty files that were never committed, and there may be millions.
 * A bit for each; one that turns out to be committed or held is followed from there on.
 */
#include "fs/rules/approve-judge.h"

static int follow_page(struct cof_judge *j, const struct cof_inodes_page *p, uint64_t first, uint64_t count)
{
	int r = 0;

	for (uint64_t i = 0, ino = p->number * COF_INODES_PAGE; r == 0 && i < COF_INODES_PAGE; i++, ino++)
		if (ino >= first && ino - first < count && cof_inodes_page_has(p, ino))
			r = judge_object_add(j, ino);
	return r;
}

int judge_removed_follow(struct cof_judge *j, uint64_t first, uint64_t count)
{
	const struct cof_inodes *m = &j->removed;
	int r = 0;

	if (!m->places)
		return 0;
	/* By the pages of the range, or by all there are: whatever is less. */
	if (count / COF_INODES_PAGE < m->places) {
		for (uint64_t n = first / COF_INODES_PAGE, left = count / COF_INODES_PAGE + 2; r == 0 && left; n++, left--)
			r = cof_inodes_page(m, n)->used ? follow_page(j, cof_inodes_page(m, n), first, count) : 0;
		return r;
	}
	for (size_t i = 0; r == 0 && i < m->places; i++)
		if (m->page[i].used)
			r = follow_page(j, &m->page[i], first, count);
	return r;
}
