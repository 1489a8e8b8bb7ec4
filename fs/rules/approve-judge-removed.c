/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which inodes are removed without a request: most are empty files that were never committed, and there may be millions.
 * A bit for each, in pages by number; one that turns out to be committed or held is followed from there on.
 */
#include "fs/rules/approve-judge.h"

#define PAGE_BITS 512u

static struct removed_page *place_of(const struct judged_removed *m, uint64_t number)
{
	size_t at = (size_t)(number * 0x9e3779b97f4a7c15u >> 20) & (m->places - 1);

	while (m->page[at].used && m->page[at].number != number)
		at = (at + 1) & (m->places - 1);
	return &m->page[at];
}

static int grow(struct judged_removed *m)
{
	struct judged_removed more = {.n = m->n, .places = m->places ? 2 * m->places : 64};

	if (m->n < m->places / 2)
		return 0;
	if (m->n >= COF_WATCHED_MAX)
		return -E2BIG;
	more.page = calloc(more.places, sizeof(*more.page));
	if (!more.page)
		return -ENOMEM;
	for (size_t i = 0; i < m->places; i++)
		if (m->page[i].used)
			*place_of(&more, m->page[i].number) = m->page[i];
	free(m->page);
	*m = more;
	return 0;
}

int judge_removed_add(struct judged_removed *m, uint64_t ino)
{
	struct removed_page *p;
	int r = grow(m);

	if (r < 0)
		return r;
	p = place_of(m, ino / PAGE_BITS);
	m->n += !p->used;
	p->used = true;
	p->number = ino / PAGE_BITS;
	p->bits[ino % PAGE_BITS / 64] |= UINT64_C(1) << ino % 64;
	return 0;
}

static bool has(const struct removed_page *p, uint64_t ino)
{
	return p->used && p->number == ino / PAGE_BITS && (p->bits[ino % PAGE_BITS / 64] >> ino % 64 & 1);
}

static int follow_page(struct cof_judge *j, const struct removed_page *p, uint64_t first, uint64_t count)
{
	int r = 0;

	for (uint64_t i = 0, ino = p->number * PAGE_BITS; r == 0 && i < PAGE_BITS; i++, ino++)
		if (ino >= first && ino - first < count && has(p, ino))
			r = judge_object_add(j, ino);
	return r;
}

int judge_removed_follow(struct cof_judge *j, uint64_t first, uint64_t count)
{
	const struct judged_removed *m = &j->removed;
	int r = 0;

	if (!m->places)
		return 0;
	/* By the pages of the range, or by all there are: whatever is less. */
	if (count / PAGE_BITS < m->places) {
		for (uint64_t n = first / PAGE_BITS, left = count / PAGE_BITS + 2; r == 0 && left; n++, left--)
			r = place_of(m, n)->used ? follow_page(j, place_of(m, n), first, count) : 0;
		return r;
	}
	for (size_t i = 0; r == 0 && i < m->places; i++)
		if (m->page[i].used)
			r = follow_page(j, &m->page[i], first, count);
	return r;
}
