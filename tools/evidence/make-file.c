/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of a bundle: what is claimed of it and its keys, its content, and its frames in runs that follow each other in
 * the log. The last frame of a run is proven by the tree, and the others by it: each leaf hash is of the one before.
 */
#include "tools/evidence/maker.h"

#include <stdio.h>
#include <unistd.h>

struct place {
	uint64_t sequence, address;
};

struct filing {
	struct evidence_maker *m;
	const struct evidence_file *f;
	struct cof_diag *diag;
	uint64_t number, ino, size, position;
	/* the key that was used last */
	struct cof_aead *aead;
	uint32_t mount;
};

static int place_at(const struct filing *g, uint64_t i, struct place *ret)
{
	uint8_t raw[16];

	if (pread(g->f->frames, raw, sizeof(raw), (off_t)(i * sizeof(raw))) != (ssize_t)sizeof(raw))
		return -EIO;
	*ret = (struct place){cof_get_le64(raw), cof_get_le64(raw + 8)};
	return 0;
}

/* Header and stored payload, as they lie there, checked. */
static int load(struct filing *g, const struct place *p, struct cof_frame *ret, uint8_t raw[COF_FRAME_HEADER])
{
	struct evidence_maker *m = g->m;
	int r = cof_reader_header(m->reader, p->address, ret, raw, g->diag);

	if (r == 0 && ret->sequence != p->sequence)
		r = -EUCLEAN;
	if (r == 0)
		r = cof_reader_payload(m->reader, p->address, ret, 0, m->stored, ret->stored);
	if (r == 0)
		r = cof_payload_check(ret, m->stored);
	return r < 0 ? cof_fail(g->diag, r == -ENODATA ? -EUCLEAN : r, "frame %llu is damaged: coffer verify tells more",
				(unsigned long long)p->sequence)
		     : 0;
}

/* ---- the content ---- */

static int use_key(struct filing *g, uint32_t mount)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);

	if (g->aead && g->mount == mount)
		return 0;
	cof_aead_free(g->aead);
	g->aead = NULL;
	if (!key)
		return -ENOMEM;
	for (size_t i = 0; i < cof_json_count(g->f->keys); i++) {
		const struct cof_json *one = cof_json_at(g->f->keys, i);
		const char *hex = cof_json_str(one, "key");
		int64_t of = 0;

		if (cof_json_int(one, "mount", &of) < 0 || of != mount || !hex || strlen(hex) != 2 * COF_KEY)
			continue;
		g->mount = mount;
		return cof_unhex(hex, 2 * COF_KEY, key) < 0 ? -EUCLEAN : cof_aead_new(key, &g->aead);
	}
	return -ENOKEY;
}

static int put_zeros(struct filing *g, uint64_t n)
{
	memset(g->m->plain, 0, COF_CHUNK);
	while (n) {
		size_t k = (size_t)COF_MIN(n, (uint64_t)COF_CHUNK);
		int r = maker_bytes(g->m, g->m->plain, k);

		if (r < 0)
			return r;
		n -= k;
	}
	return 0;
}

static int put_append(struct filing *g, const struct cof_frame *f)
{
	const uint8_t *sealed = g->m->stored + f->public_length;
	uint8_t public_hash[COF_HASH];
	int r = use_key(g, f->mount);

	cof_sha256(g->m->stored, f->public_length, public_hash);
	for (uint32_t k = 0, done = 0; r == 0 && done < f->length; k++) {
		uint32_t n = COF_MIN(f->length - done, COF_CHUNK);

		r = cof_payload_open_chunk(f, g->aead, vault_source_conf(g->m->source)->id, public_hash, k, sealed, g->m->plain);
		if (r == 0)
			r = maker_bytes(g->m, g->m->plain, n);
		sealed += n + COF_TAG;
		done += n;
	}
	return r;
}

static int put_piece(struct filing *g, const struct cof_frame *f)
{
	uint64_t n = f->length;

	if (f->type != COF_APPEND && f->type != COF_HOLE)
		return 0;
	if (f->type == COF_HOLE)
		n = f->public_length == 8 ? cof_get_le64(g->m->stored) : 0;
	if (f->object != g->ino || f->position != g->position || !n || n > g->size - g->position)
		return cof_fail(g->diag, -EUCLEAN, "frame %llu does not go on where the one before ended: coffer verify tells more",
				(unsigned long long)f->sequence);
	g->position += n;
	return f->type == COF_HOLE ? put_zeros(g, n) : put_append(g, f);
}

static int put_content(struct filing *g)
{
	const char *path = cof_json_str(g->f->head, "path");
	uint8_t raw[COF_FRAME_HEADER];
	char label[64], name[NAME_MAX_TAR];
	struct cof_frame f;
	struct place p;
	int r;

	evidence_label(path ? path : "", label);
	snprintf(name, sizeof(name), "data/files/%llu/content/%s", (unsigned long long)g->number, label);
	r = maker_entry(g->m, name, g->size);
	cof_reader_walk(g->m->reader, true);
	for (uint64_t i = 0; r == 0 && i < g->f->n_frames; i++) {
		r = place_at(g, i, &p);
		if (r == 0)
			r = load(g, &p, &f, raw);
		if (r == 0)
			r = put_piece(g, &f);
	}
	if (r == 0 && g->position != g->size)
		r = cof_fail(g->diag, -EUCLEAN, "its frames do not give all of it: coffer verify tells more");
	return r == 0 ? maker_entry_end(g->m) : r;
}

/* ---- the frames ---- */

static int put_proof(struct filing *g, const char *name, uint64_t sequence, uint64_t tree, const char *note)
{
	uint8_t hashes[COF_PROOF_MAX][COF_HASH];
	struct vault_proof proof = {.hash = hashes};
	cof_autobuf struct cof_buf text = {0};
	int r = vault_source_inclusion(g->m->source, sequence, tree, &proof, g->diag);

	if (r == 0)
		r = evidence_proof_text(sequence, (const void *)hashes, proof.n, note, &text);
	return r == 0 ? maker_text(g->m, name, text.data, text.len) : r;
}

/* Where the run that begins at frame i ends, and how long it is in a bundle. */
static int measure(struct filing *g, uint64_t i, uint64_t *ret_end, uint64_t *ret_bytes)
{
	struct place p, before = {0};
	struct cof_frame f;
	uint64_t at = i, bytes = COF_HASH;
	int r = 0;

	for (; at < g->f->n_frames; at++, before = p) {
		r = place_at(g, at, &p);
		if (r < 0)
			return r;
		if (p.sequence >= g->m->tree || (at > i && p.sequence != before.sequence + 1))
			break;
		r = cof_reader_header(g->m->reader, p.address, &f, NULL, g->diag);
		if (r < 0)
			return r;
		bytes += COF_FRAME_HEADER + evidence_body(&f);
	}
	*ret_end = at;
	*ret_bytes = bytes;
	return at > i ? 0 : -ERANGE;
}

static int put_run(struct filing *g, uint64_t i, uint64_t *ret_end)
{
	uint8_t raw[COF_FRAME_HEADER], leaf[COF_HASH] = {0}, told[COF_HASH];
	struct evidence_maker *m = g->m;
	struct place p = {0}, last = {0};
	char name[NAME_MAX_TAR];
	struct cof_frame f;
	uint64_t bytes = 0;
	int r = measure(g, i, ret_end, &bytes);

	if (r == 0)
		r = place_at(g, *ret_end - 1, &last);
	if (r == 0)
		r = place_at(g, i, &p);
	if (r == 0 && p.sequence)
		r = vault_source_leaf(m->source, p.sequence - 1, leaf, g->diag);
	snprintf(name, sizeof(name), "data/files/%llu/%020llu.frames", (unsigned long long)g->number, (unsigned long long)last.sequence);
	if (r == 0)
		r = maker_entry(m, name, bytes);
	if (r == 0)
		r = maker_bytes(m, leaf, COF_HASH);
	for (; r == 0 && i < *ret_end; i++) {
		r = place_at(g, i, &p);
		if (r == 0)
			r = load(g, &p, &f, raw);
		if (r < 0)
			break;
		cof_frame_leaf(raw, leaf, leaf);
		evidence_shorten(&f, m->stored, m->body);
		r = maker_bytes(m, raw, sizeof(raw));
		if (r == 0)
			r = maker_bytes(m, m->body, evidence_body(&f));
	}
	if (r == 0)
		r = maker_entry_end(m);
	if (r == 0)
		r = vault_source_leaf(m->source, last.sequence, told, g->diag);
	if (r == 0 && !cof_equal(told, leaf, COF_HASH))
		r = cof_fail(g->diag, -EBADMSG, "frame %llu is not the one of the tree: coffer verify tells more",
			     (unsigned long long)last.sequence);
	snprintf(name, sizeof(name), "data/files/%llu/%020llu.tlog-proof", (unsigned long long)g->number, (unsigned long long)last.sequence);
	return r == 0 ? put_proof(g, name, last.sequence, m->tree, (const char *)m->note.data) : r;
}

/* The first head that a vault signed with this file in it: a COSIGN frame has the note. */
static int put_first(struct filing *g)
{
	const struct place p = {g->f->proof, g->f->proof_address};
	struct cof_field note;
	uint8_t raw[COF_FRAME_HEADER];
	cof_autofree char *text = NULL;
	char name[NAME_MAX_TAR];
	struct cof_frame f;
	int r = load(g, &p, &f, raw);

	if (r == 0)
		r = f.type == COF_COSIGN ? cof_field_find(g->m->stored, f.public_length, COF_T_NOTE, &note) : -EUCLEAN;
	if (r == 0)
		text = strndup((const char *)note.value, note.len);
	if (r < 0 || !text || f.position <= g->f->proves)
		return r < 0 ? r : text ? -EUCLEAN : -ENOMEM;
	snprintf(name, sizeof(name), "data/files/%llu/first.tlog-proof", (unsigned long long)g->number);
	return put_proof(g, name, g->f->proves, f.position, text);
}

/* ---- one file ---- */

static int put_about(struct filing *g)
{
	static const char *const numbers[] = {"ino", "size"};
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	char name[NAME_MAX_TAR];
	int64_t v;
	int r;

	for (size_t i = 0; i < COF_COUNT(numbers); i++)
		if (cof_json_int(g->f->head, numbers[i], &v) == 0)
			cof_json_set_int(o, numbers[i], v);
	cof_json_set_str(o, "path", cof_json_str(g->f->head, "path"));
	cof_json_set_str(o, "state", cof_json_str(g->f->head, "state"));
	cof_json_set(o, "keys", cof_json_ref(g->f->keys));
	cof_json_set(o, "actors", cof_json_ref(g->f->actors));
	r = cof_json_canonical(o, &text);
	snprintf(name, sizeof(name), "data/files/%llu/file.json", (unsigned long long)g->number);
	if (r == 0)
		r = maker_text(g->m, name, text.data, text.len);
	explicit_bzero(text.data, text.len);
	return r;
}

int evidence_maker_file(struct evidence_maker *m, const struct evidence_file *file, struct cof_diag *diag)
{
	struct cof_diag why = {""};
	struct filing g = {.m = m, .f = file, .diag = &why, .number = ++m->files};
	const char *path = cof_json_str(file->head, "path");
	int64_t ino = 0, size = 0;
	int r = path && cof_json_int(file->head, "ino", &ino) == 0 && cof_json_int(file->head, "size", &size) == 0 && size >= 0 ? 0 : -EPROTO;

	g.ino = (uint64_t)ino;
	g.size = (uint64_t)size;
	if (r == 0)
		r = put_about(&g);
	if (r == 0)
		r = put_content(&g);
	for (uint64_t i = 0; r == 0 && i < file->n_frames;)
		r = put_run(&g, i, &i);
	if (r == 0 && file->proof)
		r = put_first(&g);
	cof_aead_free(g.aead);
	return r < 0 ? cof_fail(diag, r, "%s: %s", path ? path : "?", why.text[0] ? why.text : strerror(-r)) : 0;
}
