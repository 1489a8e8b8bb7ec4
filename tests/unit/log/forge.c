/* SPDX-License-Identifier: Apache-2.0 */
#include "forge.h"

#include <stdio.h>

struct out {
	struct world *w;
	struct cof_buf log, tile[8], note;
	struct cof_frontier tree;
	struct cof_checkpoint cp;
	int what;
	uint8_t previous[COF_HASH];
};

static void tile(void *user, unsigned level, uint64_t index, const uint8_t hash[COF_HASH])
{
	struct out *o = user;

	(void)index;
	if (level < 8)
		cof_buf_add(&o->tile[level], hash, COF_HASH);
}

static void sign(struct out *o)
{
	o->note.len = 0;
	memcpy(o->cp.origin, o->w->conf.vkey.name, sizeof(o->cp.origin));
	o->cp.size = o->tree.size;
	cof_frontier_root(&o->tree, o->cp.root);
	ck_assert_int_eq(
	    cof_checkpoint_sign(&o->cp, &o->w->conf.vkey, o->w->secrets.signing_seed, &o->note), 0);
}

static void put(struct out *o, struct forged *g)
{
	struct cof_buf pub COF_CLEANUP(cof_buf_done) = {0};
	uint8_t raw[COF_FRAME_HEADER];
	const uint8_t *payload = g->payload;

	if (g->f.type == COF_CHECKPOINT) {
		struct cof_field field;
		size_t off = 0;

		sign(o);
		cof_field_put(&pub, COF_T_NOTE, o->note.data, o->note.len);
		while (cof_field_next(payload, g->f.public_length, &off, &field) > 0)
			if (field.tag != COF_T_NOTE)
				cof_field_put(&pub, field.tag, field.value, field.len);
		if (o->what & FORGE_BAD_NOTE) /* within the signature's base64 */
			pub.data[pub.len - 20] = pub.data[pub.len - 20] == 'A' ? 'B' : 'A';
		payload = pub.data;
		g->f.position = o->cp.size;
		g->f.public_length = (uint32_t)pub.len;
		g->f.stored = (uint32_t)pub.len;
	}
	if (!g->f.length) { /* of what is sealed the hash stays as it is */
		uint8_t *copy = malloc(g->f.public_length + 1);

		ck_assert_int_eq(cof_payload_seal(&g->f, NULL, o->w->conf.id, payload,
						  g->f.public_length, NULL, copy),
				 0);
		free(copy);
	}
	cof_frame_encode(&g->f, raw);
	cof_frame_leaf(raw, o->previous, o->previous);
	cof_frontier_add(&o->tree, o->previous, tile, o);
	cof_buf_add(&o->log, raw, sizeof(raw));
	cof_buf_add(&o->log, payload, g->f.stored);
}

static void write_out(struct out *o, int what)
{
	world_replace(o->w, "log/00000000.seg", o->log.data, o->log.len);
	for (unsigned l = 0; l < 8 && what & FORGE_TILES; l++) {
		char path[16];

		snprintf(path, sizeof(path), "tile/%u", l);
		world_replace(o->w, path, o->tile[l].len ? o->tile[l].data : (uint8_t *)"",
			      o->tile[l].len);
	}
	if (what & FORGE_CHECKPOINT)
		world_replace(o->w, "checkpoint", o->note.data, o->note.len);
}

void forge(struct world *w, forge_fn fn, void *user, int what)
{
	struct out o = {.w = w, .what = what};
	cof_autofree uint8_t *log = NULL;
	size_t n;

	cof_frontier_init(&o.tree);
	ck_assert_int_eq(cof_io_load(w->io, "log/00000000.seg", WORLD_SEGMENT, &log, &n), 0);
	for (size_t at = 0; at + COF_FRAME_HEADER <= n;) {
		struct forged g = {0};

		if (cof_frame_decode(log + at, &g.f, NULL) < 0)
			break;
		g.payload = log + at + COF_FRAME_HEADER;
		at += COF_FRAME_HEADER + g.f.stored;
		fn(&g, user);
		if (!g.drop)
			put(&o, &g);
	}
	write_out(&o, what);
	cof_buf_done(&o.log);
	cof_buf_done(&o.note);
	for (unsigned l = 0; l < 8; l++)
		cof_buf_done(&o.tile[l]);
}
