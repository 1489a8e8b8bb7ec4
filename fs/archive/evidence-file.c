/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of one file goes into an evidence bundle: which frames, where they lie, the payload keys of (file, mount), and who
 * wrote as far as the archive knows. Never a file's or a tree's key, nor one of the metadata: what those open is more than
 * this file. Given only by the number of a record that names the file.
 *
 * The keys pass through memory that is not locked: they are on their way to somebody else.
 */
#include "fs/archive/evidence.h"
#include "fs/archive/show.h"

#define AT_ONCE 256
#define RELATED_MAX 65536 /* frames beside the content: commits, extensions, holds */
#define MANY 65536	  /* mounts and actors of one file */

struct pair {
	uint32_t mount, actor;
};

struct giving {
	struct cof_archive *a;
	uint64_t ino, at;
	cof_show_fn fn;
	void *user;
	uint64_t *related; /* sequences, ascending, each once */
	size_t n_related, next;
	struct pair *pair; /* who wrote, ascending */
	size_t n_pairs;
	struct cof_json *frames; /* of the line that is made */
	uint64_t position;
	size_t n;
	struct cof_stretch stretch[AT_ONCE];
};

static void giving_done(struct giving *g)
{
	free(g->related);
	free(g->pair);
	cof_json_free(g->frames);
}

/* ---- frames beside the content ---- */

static int add_related(struct giving *g, uint64_t sequence)
{
	uint64_t *grown;

	if (g->n_related == RELATED_MAX)
		return -EFBIG;
	grown = reallocarray(g->related, g->n_related + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	g->related = grown;
	g->related[g->n_related++] = sequence;
	return 0;
}

static int by_sequence(const void *x, const void *y)
{
	const uint64_t *p = x, *q = y;

	return *p < *q ? -1 : *p > *q;
}

static int find_related(struct giving *g)
{
	struct cof_proof before = {0}, after = {0};
	uint64_t at = g->at, sequence = 0, first = UINT64_MAX, keep = 1;
	int r;

	g->n_related = 0;
	r = add_related(g, 0); /* the archive itself: its name, key and id */
	while (r == 0 && (r = cof_ix(g->a, cof_index_node_since(g->a->ix, at, g->ino, &sequence))) == 0 && sequence) {
		r = add_related(g, sequence);
		first = at = sequence;
	}
	if (r == 0 || r == -ENOENT)
		r = first == UINT64_MAX ? -ENOENT : cof_proof_around(g->a, first, &before, &after);
	if (r == 0 && before.sequence)
		r = add_related(g, before.sequence);
	if (r < 0)
		return r;
	qsort(g->related, g->n_related, sizeof(*g->related), by_sequence);
	for (size_t i = 1; i < g->n_related; i++)
		if (g->related[i] != g->related[i - 1])
			g->related[keep++] = g->related[i];
	g->n_related = keep;
	return 0;
}

/* ---- lines ---- */

static int flush(struct giving *g)
{
	cof_autojson struct cof_json *o = NULL;

	if (!g->frames || !cof_json_count(g->frames))
		return 0;
	o = cof_json_object();
	cof_json_set(o, "frames", g->frames);
	g->frames = NULL;
	return o ? g->fn(g->user, o) : -ENOMEM;
}

static int tell_frame(struct giving *g, uint64_t sequence, uint64_t address)
{
	struct cof_json *place = cof_json_array();

	if (!g->frames)
		g->frames = cof_json_array();
	cof_json_append(place, cof_json_new_uint(sequence));
	cof_json_append(place, cof_json_new_uint(address));
	cof_json_append(g->frames, place);
	return cof_json_count(g->frames) >= AT_ONCE ? flush(g) : 0;
}

/* Those of a sequence below this, each where its header says that it is about the file. */
static int tell_related(struct giving *g, uint64_t below)
{
	for (; g->next < g->n_related && g->related[g->next] < below; g->next++) {
		uint64_t address = 0;
		struct cof_frame f;
		int r = cof_reader_find(g->a->reader, g->related[g->next], &address, NULL);

		if (r == 0)
			r = cof_reader_header(g->a->reader, address, &f, NULL, NULL);
		if (r == 0 && f.sequence != g->related[g->next])
			r = -EIO;
		if (r == 0 && f.type != COF_APPEND && f.type != COF_HOLE &&
		    (f.object == g->ino || f.type == COF_ARCHIVE || f.type == COF_HOLD || f.type == COF_COSIGN || f.type == COF_STAMP))
			r = tell_frame(g, f.sequence, address);
		if (r < 0)
			return r == -ENODATA || r == -ENOENT ? -EIO : r;
	}
	return 0;
}

static int note_pair(struct giving *g, uint32_t mount, uint32_t actor)
{
	struct pair *grown;
	size_t at = g->n_pairs;

	/* Most are of the one before; the rest in order. */
	while (at && (g->pair[at - 1].mount > mount || (g->pair[at - 1].mount == mount && g->pair[at - 1].actor > actor)))
		at--;
	if (at && g->pair[at - 1].mount == mount && g->pair[at - 1].actor == actor)
		return 0;
	if (g->n_pairs == MANY)
		return -EFBIG;
	grown = reallocarray(g->pair, g->n_pairs + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	g->pair = grown;
	memmove(grown + at + 1, grown + at, (g->n_pairs - at) * sizeof(*grown));
	grown[at] = (struct pair){mount, actor};
	g->n_pairs++;
	return 0;
}

static int load(struct giving *g)
{
	return cof_ix(g->a, cof_index_stretches(g->a->ix, g->at, g->ino, g->position, g->stretch, AT_ONCE, &g->n));
}

static int tell_content(struct giving *g)
{
	int r = 0;

	for (;;) {
		COF_GATED(g->a, r, load(g));
		if (r < 0 || !g->n)
			break;
		for (size_t i = 0; r == 0 && i < g->n; i++) {
			const struct cof_stretch *s = &g->stretch[i];
			struct cof_frame f;

			r = cof_reader_header(g->a->reader, s->address, &f, NULL, NULL);
			/* The index says where to look, the frame what is true. */
			if (r == 0 && (f.sequence != s->sequence || f.object != g->ino || f.position != s->position))
				r = -EIO;
			if (r == 0)
				r = tell_related(g, f.sequence);
			if (r == 0 && f.type == COF_APPEND)
				r = note_pair(g, f.mount, f.actor);
			if (r == 0)
				r = tell_frame(g, f.sequence, s->address);
			g->position = s->position + s->length;
		}
		if (r < 0)
			return r == -ENODATA ? -EIO : r;
	}
	return r < 0 ? r : tell_related(g, g->at);
}

/* ---- keys and writers ---- */

static int tell_keys(struct giving *g)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	struct cof_json *keys = cof_json_array();
	uint32_t last = 0;
	int r = key ? 0 : -ENOMEM;

	cof_json_set(o, "keys", keys);
	for (size_t i = 0; r == 0 && i < g->n_pairs; i++) {
		struct cof_json *one;
		char hex[2 * COF_KEY + 1];
		uint8_t salt[32];

		if (g->pair[i].mount == last)
			continue;
		last = g->pair[i].mount;
		r = cof_archive_salt(g->a, last, salt);
		if (r == 0)
			r = cof_keys_payload(g->a->keys, g->ino, last, salt, key);
		if (r < 0)
			break;
		cof_hex(key, COF_KEY, hex);
		one = cof_json_object();
		cof_json_set_uint(one, "mount", last);
		cof_json_set_str(one, "key", hex);
		cof_json_append(keys, one);
		explicit_bzero(hex, sizeof(hex));
	}
	return r < 0 ? r : g->fn(g->user, o);
}

static int tell_actors(struct giving *g)
{
	COF_CLEANUP(cof_show_freep) struct cof_show *show = cof_show_new(g->a);
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *actors = cof_json_array();
	int r = show ? 0 : -ENOMEM;

	cof_json_set(o, "actors", actors);
	for (size_t i = 0; r == 0 && i < g->n_pairs; i++) {
		struct cof_json *one = cof_json_object();

		cof_json_set_uint(one, "mount", g->pair[i].mount);
		cof_json_set_uint(one, "actor", g->pair[i].actor);
		COF_GATED(g->a, r, cof_show_actor_fields(show, g->pair[i].mount, g->pair[i].actor, one));
		cof_json_append(actors, one);
	}
	return r < 0 ? r : g->fn(g->user, o);
}

/* The first proof that covers the file as it is: the commit, or its last frame. */
static int tell_proof(struct giving *g, uint64_t last)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_proof before = {0}, after = {0};
	struct cof_json *place = cof_json_array();
	int r;

	COF_GATED(g->a, r, cof_proof_around(g->a, last, &before, &after));
	if (r < 0 || !after.sequence || !after.vault) {
		cof_json_free(place);
		return r < 0 ? r : 0;
	}
	cof_json_append(place, cof_json_new_uint(after.sequence));
	cof_json_append(place, cof_json_new_uint(after.address));
	cof_json_set(o, "proof", place);
	cof_json_set_uint(o, "proves", last);
	return g->fn(g->user, o);
}

static int tell_head(struct giving *g, struct cof_facts *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf path = {0};
	uint64_t size = 0;
	int r;

	COF_GATED(g->a, r, cof_facts_get(g->a, g->ino, ret));
	if (r == 0)
		COF_GATED(g->a, r, cof_ix(g->a, cof_index_end(g->a->ix, g->at, g->ino, &size)));
	if (r == 0)
		r = cof_archive_path(g->a, g->ino, &path);
	if (r < 0)
		return r;
	cof_json_set_uint(o, "ino", g->ino);
	cof_json_set_bytes(o, "path", path.data, path.len);
	cof_json_set_uint(o, "size", size);
	cof_json_set_str(o, "state", cof_state_name(ret->state));
	return g->fn(g->user, o);
}

/* ---- one file ---- */

static bool is_named(const struct cof_json *form, uint64_t ino)
{
	const struct cof_json *all = cof_json_get(form, "inodes");

	for (size_t i = 0; i < cof_json_count(all); i++) {
		const struct cof_json *range = cof_json_at(all, i);
		uint64_t first = 0, count = 0;

		if (cof_json_value_uint(cof_json_at(range, 0), &first) == 0 && cof_json_value_uint(cof_json_at(range, 1), &count) == 0 &&
		    ino >= first && ino - first < count)
			return true;
	}
	return false;
}

static uint64_t last_of(const struct giving *g, const struct cof_facts *f)
{
	uint64_t commit = f->node.commit_sequence;

	return commit && commit < g->at ? commit : f->node.created_sequence;
}

int cof_evidence_file(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *form = NULL;
	struct giving *g;
	uint64_t of;
	int64_t ino = 0, at = 0;
	struct cof_facts facts;
	int r = cof_evidence_record(a, args, &of, &form, diag);

	if (r < 0)
		return r;
	if (cof_json_int(args, "ino", &ino) < 0 || ino < 2 || cof_json_int(form, "at", &at) < 0 || !is_named(form, (uint64_t)ino))
		return cof_fail(diag, -EPERM, "the record %llu does not name this file", (unsigned long long)of);
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	*g = (struct giving){.a = a, .ino = (uint64_t)ino, .at = (uint64_t)at, .fn = fn, .user = user};
	r = tell_head(g, &facts);
	if (r == 0)
		COF_GATED(a, r, find_related(g));
	if (r == 0)
		r = tell_content(g);
	if (r == 0)
		r = flush(g);
	if (r == 0)
		r = tell_keys(g);
	if (r == 0)
		r = tell_actors(g);
	if (r == 0)
		r = tell_proof(g, last_of(g, &facts));
	giving_done(g);
	free(g);
	return r < 0 ? cof_fail(diag, r == -ENOENT ? -ESRCH : r, "inode %lld: %s", (long long)ino,
				r == -ENOENT ? "it is not in the archive at that size: make a checkpoint first" : strerror(-r))
		     : 0;
}
