/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of a bundle: its frames, each in its place of the tree, opened with the keys that are given for it, have to give
 * the content byte for byte. What they say in clear is what is proven of its life.
 */
#include "tools/evidence/checker.h"

#include <stdio.h>

struct mount_key {
	uint32_t mount;
	bool used;
	uint8_t key[COF_KEY];
};

struct filed {
	struct checking *c;
	struct evidence_seen seen;
	struct cof_json *about;
	struct mount_key *keys;
	size_t n_keys;
	struct cof_aead *aead;
	uint32_t mount; /* of aead */
	struct cof_sha256 *content; /* of what the frames give */
	uint64_t position, last; /* of the next byte; sequence of the last frame */
	bool begun, archive;	 /* a frame was met; and the archive's own */
	uint64_t create, commit; /* sequences */
	uint8_t leaf[COF_HASH], create_leaf[COF_HASH], commit_leaf[COF_HASH];
	struct cof_conf conf;
	char prefix[64];
};

static int bad(struct filed *g, const struct cof_frame *f, const char *what)
{
	return cof_fail(&g->c->diag, -EUCLEAN, "%s: frame %llu %s", g->c->s.entry.name + strlen(BAG), (unsigned long long)f->sequence, what);
}

static int wrong(struct filed *g, const char *what)
{
	return cof_fail(&g->c->diag, -EUCLEAN, "%s: %s", g->c->s.entry.name + strlen(BAG), what);
}

/* ---- file.json ---- */

static int take_keys(struct filed *g)
{
	const struct cof_json *all = cof_json_get(g->about, "keys");

	g->keys = calloc(cof_json_count(all) + 1, sizeof(*g->keys));
	if (!g->keys)
		return -ENOMEM;
	for (size_t i = 0; i < cof_json_count(all); i++) {
		const char *hex = cof_json_str(cof_json_at(all, i), "key");
		int64_t mount = 0;

		if (cof_json_int(cof_json_at(all, i), "mount", &mount) < 0 || mount < 1 || mount > UINT32_MAX || !hex ||
		    strlen(hex) != 2 * COF_KEY || cof_unhex(hex, 2 * COF_KEY, g->keys[i].key) < 0 ||
		    (i && mount <= g->keys[i - 1].mount))
			return wrong(g, "its keys are malformed");
		g->keys[i].mount = (uint32_t)mount;
		g->n_keys++;
	}
	return 0;
}

static int take_about(struct filed *g)
{
	char name[128];
	int64_t ino = 0, size = 0;
	int r;

	snprintf(name, sizeof(name), "%sfile.json", g->prefix);
	r = check_json(g->c, name, FILE_JSON_MOST, &g->about);
	if (r < 0)
		return r;
	if (cof_json_int(g->about, "ino", &ino) < 0 || ino < 2 || cof_json_int(g->about, "size", &size) < 0 || size < 0 ||
	    !cof_json_str(g->about, "path"))
		return wrong(g, "inode, size or path is missing or cannot be");
	g->seen.ino = (uint64_t)ino;
	g->seen.size = (uint64_t)size;
	g->seen.about = g->about;
	return take_keys(g);
}

static int take_content(struct filed *g)
{
	struct scan *s = &g->c->s;
	char want[128];
	int r = scan_next(s, NULL, &g->c->diag);

	if (r < 0)
		return r;
	snprintf(want, sizeof(want), BAG "%scontent/", g->prefix);
	if (strncmp(s->entry.name, want, strlen(want)) != 0 || !evidence_label_ok(s->entry.name + strlen(want)))
		return wrong(g, "the content should stand here");
	if (s->entry.size != g->seen.size)
		return wrong(g, "it has another size than file.json says");
	r = check_entry_end(g->c);
	memcpy(g->seen.sha256, s->digest, COF_HASH);
	return r;
}

/* ---- frames ---- */

static int use_key(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	struct mount_key *k = NULL;
	uint8_t commitment[COF_HASH];

	for (size_t i = 0; i < g->n_keys; i++)
		if (g->keys[i].mount == f->mount)
			k = &g->keys[i];
	if (!k)
		return bad(g, f, "is under a key that is not there");
	if (!k->used && !(f->flags & COF_FRAME_COMMITMENT))
		return bad(g, f, "is the first of its mount, and does not commit to its key");
	k->used = true;
	if (f->flags & COF_FRAME_COMMITMENT) {
		cof_key_commitment(k->key, g->c->archive, g->seen.ino, f->mount, commitment);
		if (f->public_length < COF_HASH || !cof_equal(body, commitment, COF_HASH))
			return bad(g, f, "commits to another key than the one that is given");
	}
	if (g->aead && g->mount == f->mount)
		return 0;
	cof_aead_free(g->aead);
	g->aead = NULL;
	g->mount = f->mount;
	return cof_aead_new(k->key, &g->aead);
}

static int take_append(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	const uint8_t *sealed = body + f->public_length;
	uint8_t public_hash[COF_HASH];
	int r = use_key(g, f, body);

	cof_sha256(body, f->public_length, public_hash);
	for (uint32_t k = 0, done = 0; r == 0 && done < f->length; k++) {
		uint32_t n = COF_MIN(f->length - done, COF_CHUNK);

		if (cof_payload_open_chunk(f, g->aead, g->c->archive, public_hash, k, sealed, g->c->plain) < 0)
			return bad(g, f, "does not open with the key that is given");
		cof_sha256_update(g->content, g->c->plain, n);
		sealed += n + COF_TAG;
		done += n;
	}
	g->seen.appends++;
	return r;
}

static int take_hole(struct filed *g, const struct cof_frame *f, uint64_t n)
{
	(void)f;
	memset(g->c->plain, 0, COF_CHUNK);
	while (n) {
		size_t k = (size_t)COF_MIN(n, (uint64_t)COF_CHUNK);

		cof_sha256_update(g->content, g->c->plain, k);
		n -= k;
	}
	g->seen.holes++;
	return 0;
}

static int take_piece(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	uint64_t n = f->type == COF_APPEND ? f->length : f->public_length == 8 ? cof_get_le64(body) : 0;

	if (f->object != g->seen.ino || !g->create || g->commit)
		return bad(g, f, "is not of this file, or not of the time when it could grow");
	if (f->position != g->position || !n || n > g->seen.size - g->position)
		return bad(g, f, "does not go on where the one before ended");
	g->position += n;
	if (g->seen.first == INT64_MIN)
		g->seen.first = f->record_time;
	g->seen.last = f->record_time;
	return f->type == COF_APPEND ? take_append(g, f, body) : take_hole(g, f, n);
}

static int take_archive(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	if (f->type != COF_ARCHIVE || f->sequence ||
	    cof_conf_parse((const char *)body, f->public_length, &g->conf, NULL) < 0)
		return bad(g, f, "should be the archive's first");
	if (memcmp(g->conf.id, g->c->archive, 16) != 0 || strcmp(g->conf.vkey.name, g->c->log.name) != 0 ||
	    memcmp(g->conf.vkey.public_key, g->c->log.public_key, 32) != 0)
		return bad(g, f, "names another archive or key than bundle.json");
	g->archive = true;
	return 0;
}

static int take_commit(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	int64_t until;

	if (f->object != g->seen.ino || !g->create || g->commit || f->position != g->position)
		return bad(g, f, "commits another file, or at another size");
	g->commit = f->sequence;
	memcpy(g->commit_leaf, g->leaf, COF_HASH);
	g->seen.committed = f->record_time;
	if (cof_field_i64(body, f->public_length, COF_T_RETAIN_UNTIL, &until) == 0)
		g->seen.retain_until = until;
	return 0;
}

static int take_hold(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	uint8_t what = 0;

	if (cof_field_u8(body, f->public_length, COF_T_HOLD_WHAT, &what) < 0)
		return bad(g, f, "is a hold that says nothing");
	g->seen.holds_begun += what == 1;
	g->seen.holds_ended += what == 3;
	return 0;
}

/* A vault's signature that is chained before the file: the file is not older. */
static int take_cosign(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	struct cof_cosign s;

	if (cof_cosign_read(body, f->public_length, f->position, &g->c->log, &s, NULL) < 0)
		return bad(g, f, "has a cosignature that does not hold");
	for (size_t i = 0; !g->create && i < g->c->keys->n_vaults; i++) {
		const struct cof_vkey *k = &g->c->keys->vaults[i];

		if (strcmp(k->name, s.vkey.name) != 0 || memcmp(k->public_key, s.vkey.public_key, 32) != 0)
			continue;
		g->seen.not_before = s.time - COF_COSIGN_ACCURACY;
		snprintf(g->seen.not_before_by, sizeof(g->seen.not_before_by), "%s", k->name);
	}
	return 0;
}

static int take_frame(struct filed *g, const struct cof_frame *f, const uint8_t *body)
{
	int64_t until;

	if (!g->archive)
		return take_archive(g, f, body);
	g->seen.frames++;
	switch (f->type) {
	case COF_APPEND:
	case COF_HOLE:
		return take_piece(g, f, body);
	case COF_COMMIT:
		return take_commit(g, f, body);
	case COF_HOLD:
		return take_hold(g, f, body);
	case COF_COSIGN:
		return take_cosign(g, f, body);
	case COF_STAMP:
		return 0;
	}
	if (f->object != g->seen.ino)
		return bad(g, f, "is not of this file");
	if (f->type == COF_CREATE) {
		if (g->create)
			return bad(g, f, "makes the file once more");
		g->create = f->sequence;
		memcpy(g->create_leaf, g->leaf, COF_HASH);
		g->seen.created = f->record_time;
	} else if (f->type == COF_EXTEND && cof_field_i64(body, f->public_length, COF_T_RETAIN_UNTIL, &until) == 0) {
		g->seen.retain_until = until;
	}
	return 0;
}

static int take_one(struct filed *g, bool first)
{
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_diag why = {""};
	struct cof_frame f;
	int r = scan_read(&g->c->s, raw, sizeof(raw), &g->c->diag);

	if (r < 0)
		return r;
	if (cof_frame_decode(raw, &f, &why) < 0)
		return wrong(g, why.text[0] ? why.text : "no frame stands where one should");
	if (g->begun && (first ? f.sequence <= g->last : f.sequence != g->last + 1))
		return bad(g, &f, "is not in its place");
	if (f.sequence >= g->c->ret->tree)
		return bad(g, &f, "is behind the checkpoint");
	r = scan_read(&g->c->s, g->c->body, evidence_body(&f), &g->c->diag);
	if (r < 0)
		return r;
	if (evidence_body_check(&f, g->c->body) < 0)
		return bad(g, &f, "has a payload that is not the one of its header");
	cof_frame_leaf(raw, g->leaf, g->leaf);
	g->begun = true;
	g->last = f.sequence;
	return take_frame(g, &f, g->c->body);
}

/* ---- runs and their proofs ---- */

static int take_proof(struct filed *g)
{
	cof_autobuf struct cof_buf text = {0};
	struct evidence_proof proof;
	char name[128];
	int r;

	snprintf(name, sizeof(name), "%s%020llu.tlog-proof", g->prefix, (unsigned long long)g->last);
	r = scan_next(&g->c->s, name, &g->c->diag);
	if (r == 0)
		r = scan_text(&g->c->s, PROOF_MOST, &text, &g->c->diag);
	if (r < 0)
		return r;
	if (evidence_proof_parse((const char *)text.data, text.len, &proof) < 0 || proof.index != g->last)
		return wrong(g, "it is no proof for this frame");
	if (proof.note_len != g->c->note.len || memcmp(proof.note, g->c->note.data, proof.note_len) != 0)
		return wrong(g, "it leads to another head than the bundle's");
	if (cof_merkle_verify_inclusion(proof.index, g->c->head.size, g->leaf, (const void *)proof.hash, proof.n, g->c->head.root) < 0)
		return wrong(g, "the frames are not in the log at this place");
	return check_entry_end(g->c);
}

static int take_run(struct filed *g)
{
	char name[128];
	int r = scan_read(&g->c->s, g->leaf, COF_HASH, &g->c->diag);

	for (bool first = true; r == 0 && (first || g->c->s.left); first = false)
		r = take_one(g, first);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), BAG "%s%020llu.frames", g->prefix, (unsigned long long)g->last);
	if (strcmp(name, g->c->s.entry.name) != 0)
		return wrong(g, "it is named by another frame than its last");
	r = check_entry_end(g->c);
	return r == 0 ? take_proof(g) : r;
}

/* first.tlog-proof: that the file was there when a vault signed an older head. */
static int take_first(struct filed *g)
{
	cof_autobuf struct cof_buf text = {0};
	struct evidence_proof proof;
	struct cof_checkpoint head;
	int64_t time = 0;
	char by[COF_NOTE_NAME];
	const uint8_t *leaf;
	int r = scan_text(&g->c->s, PROOF_MOST, &text, &g->c->diag);

	if (r < 0)
		return r;
	if (evidence_proof_parse((const char *)text.data, text.len, &proof) < 0 ||
	    (proof.index != g->create && (!g->commit || proof.index != g->commit)))
		return wrong(g, "it is no proof for this file");
	leaf = proof.index == g->commit ? g->commit_leaf : g->create_leaf;
	if (cof_checkpoint_open(proof.note, proof.note_len, &g->c->log, &head) < 0 ||
	    check_signers(g->c, proof.note, proof.note_len, &time, by) < 0)
		return wrong(g, "a signature under its head does not hold");
	if (cof_merkle_verify_inclusion(proof.index, head.size, leaf, (const void *)proof.hash, proof.n, head.root) < 0)
		return wrong(g, "the file was not in the log at this place");
	if (time && proof.index == g->commit) {
		g->seen.existed_at = time;
		snprintf(g->seen.existed_by, sizeof(g->seen.existed_by), "%s", by);
	}
	return check_entry_end(g->c);
}

static int take_runs(struct filed *g)
{
	bool proven = false;
	size_t n;
	char prefix[128], *name;
	int r = 0;

	snprintf(prefix, sizeof(prefix), BAG "%s", g->prefix);
	n = strlen(prefix);
	while (r == 0) {
		struct tar_entry next;

		r = scan_peek(&g->c->s, &next, &g->c->diag);
		if (r < 0 || strncmp(next.name, prefix, n) != 0)
			break;
		name = next.name + n;
		r = scan_next(&g->c->s, NULL, &g->c->diag);
		if (r == 0 && proven)
			r = wrong(g, "nothing should stand behind the first proof");
		else if (r == 0 && !strcmp(name, "first.tlog-proof"))
			r = (proven = true, take_first(g));
		else if (r == 0)
			r = take_run(g);
	}
	return r == -ENODATA ? cof_fail(&g->c->diag, -EUCLEAN, "manifest-sha256.txt is missing") : r;
}

static int complete(struct filed *g)
{
	uint8_t digest[COF_HASH];

	cof_sha256_final(g->content, digest);
	if (!g->archive || !g->create)
		return cof_fail(&g->c->diag, -EUCLEAN, "%s: the frame that made it is missing", g->prefix);
	if (g->position != g->seen.size)
		return cof_fail(&g->c->diag, -EUCLEAN, "%s: frames are missing: they give %llu of %llu bytes", g->prefix,
				(unsigned long long)g->position, (unsigned long long)g->seen.size);
	if (!cof_equal(digest, g->seen.sha256, COF_HASH))
		return cof_fail(&g->c->diag, -EUCLEAN, "%scontent: it is not what the frames give", g->prefix);
	for (size_t i = 0; i < g->n_keys; i++)
		if (!g->keys[i].used)
			return cof_fail(&g->c->diag, -EUCLEAN, "%sfile.json: the key of mount %u opens nothing", g->prefix, g->keys[i].mount);
	return 0;
}

int check_file(struct checking *c, uint64_t number)
{
	struct filed g = {.c = c, .seen = {.number = number, .created = INT64_MIN, .first = INT64_MIN, .last = INT64_MIN,
					   .committed = INT64_MIN, .retain_until = INT64_MIN, .not_before = INT64_MIN,
					   .existed_at = INT64_MAX}};
	int r;

	snprintf(g.prefix, sizeof(g.prefix), "data/files/%llu/", (unsigned long long)number);
	g.content = cof_sha256_new();
	r = g.content ? take_about(&g) : -ENOMEM;
	if (r == 0)
		r = take_content(&g);
	if (r == 0)
		r = take_runs(&g);
	if (r == 0)
		r = complete(&g);
	if (r == 0 && c->fn)
		c->fn(c->user, &g.seen);
	if (g.keys)
		explicit_bzero(g.keys, g.n_keys * sizeof(*g.keys));
	free(g.keys);
	cof_aead_free(g.aead);
	cof_sha256_free(g.content);
	cof_json_free(g.about);
	return r;
}
