/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on keys of escrow, for a whole chain: each is taken in once on its shelf, and what is encrypted anew stays what it
 * was, a key or one of a rehearsal. By the newest file of a key is known whether its release needs a ceremony: whoever could
 * bring it once more, as one of a rehearsal, would need none.
 */
#include "fs/rules/approve-judge.h"

enum { T_SHELF = 191, T_KEY = 194, T_SHA256 = 195, KEY = 6 };

static struct judged_kept *place_of(struct judged_kept *all, size_t places, uint64_t shelf, const uint8_t key[16])
{
	size_t at = (size_t)(cof_get_le64(key) ^ shelf) & (places - 1);

	while (all[at].there && (all[at].shelf != shelf || memcmp(all[at].key, key, sizeof(all[at].key)) != 0))
		at = (at + 1) & (places - 1);
	return &all[at];
}

/* NULL: it was neither taken in nor revoked. */
static struct judged_kept *kept_of(const struct cof_judge *j, uint64_t shelf, const uint8_t key[16])
{
	struct judged_kept *k = j->kept_places ? place_of(j->kept, j->kept_places, shelf, key) : NULL;

	return k && k->there ? k : NULL;
}

static int keep(struct cof_judge *j, const struct judged_kept *v)
{
	size_t places = j->kept_places ? 2 * j->kept_places : 64;
	struct judged_kept *more;

	if (j->n_kept >= j->kept_places / 2) {
		more = calloc(places, sizeof(*more));
		if (!more)
			return -ENOMEM;
		for (size_t i = 0; i < j->kept_places; i++)
			if (j->kept[i].there)
				*place_of(more, places, j->kept[i].shelf, j->kept[i].key) = j->kept[i];
		free(j->kept);
		j->kept = more;
		j->kept_places = places;
	}
	*place_of(j->kept, j->kept_places, v->shelf, v->key) = *v;
	j->n_kept++;
	return 0;
}

/* ---- their files ---- */

/* Where the file of this digest is, if it is one of v's shelf or of another key than v's; else a free place. */
static struct judged_file *file_of(struct judged_file *all, size_t places, const struct judged_file *v)
{
	size_t at = (size_t)cof_get_le64(v->digest) & (places - 1);

	while (all[at].there && (memcmp(all[at].digest, v->digest, sizeof(v->digest)) != 0 ||
				 (all[at].shelf != v->shelf && !memcmp(all[at].key, v->key, sizeof(v->key)))))
		at = (at + 1) & (places - 1);
	return &all[at];
}

static int keep_file(struct cof_judge *j, const struct judged_file *v)
{
	size_t places = j->file_places ? 2 * j->file_places : 64;
	struct judged_file *more;

	if (j->n_files >= j->file_places / 2) {
		more = calloc(places, sizeof(*more));
		if (!more)
			return -ENOMEM;
		for (size_t i = 0; i < j->file_places; i++)
			if (j->file[i].there)
				*file_of(more, places, &j->file[i]) = j->file[i];
		free(j->file);
		j->file = more;
		j->file_places = places;
	}
	*file_of(j->file, j->file_places, v) = *v;
	j->n_files++;
	return 0;
}

/* What a key's newest record says is what a release of it gives out: the file of one key is never another's, and none is said twice. */
static int judge_file(struct cof_judge *j, const struct cof_judge_frame *f, const struct judged_kept *k, bool apply, struct cof_judgement *ret)
{
	struct judged_file v = {.shelf = k->shelf, .there = true};

	if (!f->object || cof_field_bytes(f->fields, f->n, T_SHA256, v.digest, sizeof(v.digest)) < 0)
		return judge_no(ret, "malformed", "a record of a key without its file");
	memcpy(v.key, k->key, sizeof(v.key));
	if (j->file_places && file_of(j->file, j->file_places, &v)->there)
		return judge_no(ret, "file-twice", "that file was of a key before");
	return apply ? keep_file(j, &v) : 0;
}

/* False: the frame names none. */
static bool read_key(const struct cof_judge_frame *f, struct judged_kept *ret)
{
	*ret = (struct judged_kept){.there = true};
	return cof_field_u64(f->fields, f->n, T_SHELF, &ret->shelf) == 0 &&
	       cof_field_bytes(f->fields, f->n, T_KEY, ret->key, sizeof(ret->key)) == 0;
}

static int take_in(struct cof_judge *j, const struct judged_kept *v)
{
	struct judged_kept *k = kept_of(j, v->shelf, v->key);

	if (!k)
		return keep(j, v);
	k->taken = true; /* what was revoked before it came stays so */
	k->epoch = v->epoch;
	return 0;
}

int judge_kept(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, const struct judged_epoch *e, bool apply,
	       struct cof_judgement *ret)
{
	struct judged_kept v, *k;
	int r;

	if (!read_key(f, &v))
		return judge_no(ret, "malformed", "a file of a key that does not say of which");
	v.taken = true;
	v.epoch = (size_t)(e - j->epoch);
	k = kept_of(j, v.shelf, v.key);
	if (what == KEY && k && k->taken)
		return judge_no(ret, "repeated", "this key was taken in on its shelf before: each is once");
	if (what != KEY && (!k || !k->taken))
		return judge_no(ret, "no-key", "a key is encrypted anew that was never taken in on this shelf");
	if (what != KEY && j->epoch[k->epoch].rehearsal != e->rehearsal)
		return judge_no(ret, "rehearsal", "a key is encrypted anew to an epoch of %s, which it is none of",
				e->rehearsal ? "a rehearsal" : "keys");
	if (what != KEY && k->revoked)
		return judge_no(ret, "revoked", "a key is encrypted anew that was revoked before");
	r = judge_file(j, f, &v, apply, ret);
	return r == 0 && apply ? take_in(j, &v) : r;
}

int judge_kept_revoke(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_kept v, *k;

	if (!read_key(f, &v))
		return 0;
	k = kept_of(j, v.shelf, v.key);
	v.revoked = true;
	if (!k)
		return keep(j, &v);
	k->revoked = true;
	return 0;
}

int judge_kept_valid(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	const struct judged_kept *k;
	struct judged_kept v;

	if (j->p.partial || !read_key(f, &v)) /* whoever writes it looks himself */
		return 0;
	k = kept_of(j, v.shelf, v.key);
	return k && k->revoked ? judge_no(ret, "revoked", "the key was revoked before: nobody recovers it") : 0;
}

int judge_release_made(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	const struct judged_kept *k;
	const struct judged_epoch *e;
	struct judged_kept v;

	if (j->p.partial || !read_key(f, &v)) /* whoever writes it looks himself */
		return 0;
	k = kept_of(j, v.shelf, v.key);
	if (!k || !k->taken)
		return judge_no(ret, "no-key", "a release of a key that was never taken in on this shelf");
	e = &j->epoch[k->epoch];
	return e->rehearsal ? 0 : cof_judge_made(j, e->number, e->key, NULL, ret);
}
