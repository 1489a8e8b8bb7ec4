/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/rules/inodes.h"

static struct cof_inodes_page *place_of(const struct cof_inodes *s, uint64_t number)
{
	size_t at = (size_t)(number * 0x9e3779b97f4a7c15u >> 20) & (s->places - 1);

	while (s->page[at].used && s->page[at].number != number)
		at = (at + 1) & (s->places - 1);
	return &s->page[at];
}

static int grow(struct cof_inodes *s, size_t most)
{
	struct cof_inodes more = {.n = s->n, .places = s->places ? 2 * s->places : 64};

	if (s->n < s->places / 2)
		return 0;
	if (s->n >= most)
		return -E2BIG;
	more.page = calloc(more.places, sizeof(*more.page));
	if (!more.page)
		return -ENOMEM;
	for (size_t i = 0; i < s->places; i++)
		if (s->page[i].used)
			*place_of(&more, s->page[i].number) = s->page[i];
	free(s->page);
	*s = more;
	return 0;
}

int cof_inodes_add(struct cof_inodes *s, uint64_t ino, size_t most)
{
	struct cof_inodes_page *p;
	int r = grow(s, most);

	if (r < 0)
		return r;
	p = place_of(s, ino / COF_INODES_PAGE);
	s->n += !p->used;
	p->used = true;
	p->number = ino / COF_INODES_PAGE;
	p->bits[ino % COF_INODES_PAGE / 64] |= UINT64_C(1) << ino % 64;
	return 0;
}

const struct cof_inodes_page *cof_inodes_page(const struct cof_inodes *s, uint64_t number)
{
	return place_of(s, number);
}

bool cof_inodes_page_has(const struct cof_inodes_page *p, uint64_t ino)
{
	return p->used && p->number == ino / COF_INODES_PAGE &&
	       (p->bits[ino % COF_INODES_PAGE / 64] >> ino % 64 & 1);
}

bool cof_inodes_has(const struct cof_inodes *s, uint64_t ino)
{
	return s->places && cof_inodes_page_has(place_of(s, ino / COF_INODES_PAGE), ino);
}

static bool page_any(const struct cof_inodes_page *p, uint64_t first, uint64_t count)
{
	for (uint64_t i = 0, ino = p->number * COF_INODES_PAGE; i < COF_INODES_PAGE; i++, ino++)
		if (ino >= first && ino - first < count && cof_inodes_page_has(p, ino))
			return true;
	return false;
}

bool cof_inodes_any(const struct cof_inodes *s, uint64_t first, uint64_t count)
{
	/* By the pages of the range, or by all there are: whatever is less. */
	if (s->places && count / COF_INODES_PAGE < s->places) {
		for (uint64_t n = first / COF_INODES_PAGE, left = count / COF_INODES_PAGE + 2; left; n++, left--)
			if (place_of(s, n)->used && page_any(place_of(s, n), first, count))
				return true;
		return false;
	}
	for (size_t i = 0; i < s->places; i++)
		if (s->page[i].used && page_any(&s->page[i], first, count))
			return true;
	return false;
}

void cof_inodes_done(struct cof_inodes *s)
{
	free(s->page);
	*s = (struct cof_inodes){.n = 0};
}
