/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first pass over a chain: which inodes are worth following. Those that a request names are from the first approval
 * on: nothing is done by one that its author alone signed, and whoever may make requests could name all files there are,
 * until nothing could be judged any more.
 */
#include "fs/rules/approve-judge.h"

static size_t place_of(const struct judged_named *t, const uint8_t id[32])
{
	size_t at = (size_t)cof_get_le64(id) & (t->places - 1);

	while (t->by_id[at] && memcmp(t->request[t->by_id[at] - 1].id, id, 32) != 0)
		at = (at + 1) & (t->places - 1);
	return at;
}

static int grow(struct judged_named *t)
{
	size_t places = t->places ? 2 * t->places : 64;
	struct judged_names *q;
	uint32_t *by_id;

	if (t->n < t->places / 2)
		return 0;
	q = realloc(t->request, places * sizeof(*q));
	if (!q)
		return -ENOMEM;
	t->request = q;
	by_id = calloc(places, sizeof(*by_id));
	if (!by_id)
		return -ENOMEM;
	free(t->by_id);
	t->by_id = by_id;
	t->places = places;
	for (size_t i = 0; i < t->n; i++)
		by_id[place_of(t, q[i].id)] = (uint32_t)i + 1;
	return 0;
}

static int ranges_of(const struct cof_request *q, struct judged_names *ret)
{
	struct cof_inode_range one, *r;

	while (cof_request_range(q->doc, ret->n, &one.first, &one.count) == 0) {
		if ((ret->n & (ret->n - 1)) == 0) { /* at each power of two room for the next */
			r = realloc(ret->range, (ret->n ? 2 * ret->n : 1) * sizeof(*r));
			if (!r)
				return -ENOMEM;
			ret->range = r;
		}
		ret->range[ret->n++] = one;
	}
	return 0;
}

static int watch_request(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_named *t = &j->named;
	struct judged_names names = {.n = 0};
	struct cof_request q;
	struct cof_field doc;
	int r;

	if (cof_field_find(f->fields, f->n, COF_T_DOCUMENT, &doc) < 0 ||
	    cof_request_parse(doc.value, doc.len, &q, NULL) < 0)
		return 0; /* is refused when its turn comes */
	memcpy(names.id, q.id, sizeof(names.id));
	r = ranges_of(&q, &names);
	cof_request_done(&q);
	if (r == 0 && names.n)
		r = grow(t);
	if (r < 0 || !names.n || t->by_id[place_of(t, names.id)]) {
		free(names.range);
		return r;
	}
	t->request[t->n] = names;
	t->by_id[place_of(t, names.id)] = (uint32_t)++t->n;
	return 0;
}

static int watch_approval(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_names *names;
	uint8_t id[32], verdict;
	int r = 0;

	if (!j->named.n || cof_field_u8(f->fields, f->n, COF_T_VERDICT, &verdict) < 0 || verdict != COF_VERDICT_APPROVE ||
	    cof_field_bytes(f->fields, f->n, COF_T_REQUEST, id, sizeof(id)) < 0 || !j->named.by_id[place_of(&j->named, id)])
		return 0;
	names = &j->named.request[j->named.by_id[place_of(&j->named, id)] - 1];
	for (size_t i = 0; r == 0 && i < names->n; i++)
		for (uint64_t k = 0; r == 0 && k < names->range[i].count; k++)
			r = judge_object_add(j, names->range[i].first + k);
	free(names->range);
	names->range = NULL;
	names->n = 0;
	return r;
}

int cof_judge_watch(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct cof_field field;

	switch (f->type) {
	case TYPE_REQUEST:
		return watch_request(j, f);
	case TYPE_APPROVAL:
		return watch_approval(j, f);
	case TYPE_REMOVE:
		return cof_field_find(f->fields, f->n, COF_T_REQUEST, &field) == 0 ? judge_object_add(j, f->object)
										   : cof_inodes_add(&j->removed, f->object, COF_WATCHED_MAX);
	case TYPE_EXTEND:
		return cof_field_find(f->fields, f->n, COF_T_REQUEST, &field) == 0 ? judge_object_add(j, f->object) : 0;
	case TYPE_DESTROY:
		return judge_object_add(j, f->object);
	default:
		return 0;
	}
}

void judge_named_free(struct cof_judge *j)
{
	for (size_t i = 0; i < j->named.n; i++)
		free(j->named.request[i].range);
	free(j->named.request);
	free(j->named.by_id);
}
