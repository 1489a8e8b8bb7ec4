/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle, checked from its first byte to its last: that it is a bag in which nothing is missing, added or changed, that its
 * frames give the content and lead to the checkpoint, and whose signatures stand under that. Nothing in it is believed
 * before; the keys in it are only claimed.
 */
#include "tools/evidence/checker.h"

#include <stdio.h>
#include <sys/stat.h>

const char *evidence_verdict_name(enum evidence_verdict v)
{
	switch (v) {
	case EVIDENCE_PROVEN:
		return "proven";
	case EVIDENCE_SELF_SIGNED:
		return "self-signed";
	case EVIDENCE_CLAIMED:
		return "keys only claimed";
	case EVIDENCE_TAMPERED:
		return "tampered";
	case EVIDENCE_WRONG_KEY:
		return "wrong key";
	case EVIDENCE_NO_BUNDLE:
		return "no bundle";
	case EVIDENCE_COULD_NOT:
		break;
	}
	return "could not be checked";
}

/* ---- entries ---- */

int check_entry_end(struct checking *c)
{
	cof_autobuf struct cof_buf line = {0};
	const char *name = c->s.entry.name + strlen(BAG);
	bool payload = !strncmp(name, "data/", 5);
	int r = scan_end(&c->s, &c->diag);

	if (r < 0)
		return r;
	evidence_line(c->s.digest, name, payload ? &line : &c->tags);
	if (line.failed || c->tags.failed)
		return -ENOMEM;
	if (payload) {
		cof_sha256_update(c->manifest, line.data, line.len);
		c->octets += c->s.entry.size;
		c->count++;
	}
	return 0;
}

static int take_text(struct checking *c, const char *name, uint64_t most, struct cof_buf *ret)
{
	int r = scan_next(&c->s, name, &c->diag);

	if (r == 0)
		r = scan_text(&c->s, most, ret, &c->diag);
	return r == 0 ? check_entry_end(c) : r;
}

/* The text that has to stand there, byte for byte. */
static int take_exactly(struct checking *c, const char *name, const void *p, size_t n)
{
	cof_autobuf struct cof_buf text = {0};
	int r = take_text(c, name, n, &text);

	if (r == 0 && (text.len != n || memcmp(text.data, p, n) != 0))
		r = cof_fail(&c->diag, -EUCLEAN, "%s: it is not what follows from the rest", c->s.entry.name);
	return r;
}

int check_json(struct checking *c, const char *name, uint64_t most, struct cof_json **ret)
{
	cof_autobuf struct cof_buf text = {0}, again = {0};
	cof_autojson struct cof_json *o = NULL;
	int r = take_text(c, name, most, &text);

	if (r < 0)
		return r;
	if (cof_json_parse((const char *)text.data, text.len, &o) < 0 || cof_json_canonical(o, &again) < 0 || again.len != text.len ||
	    (text.len && memcmp(again.data, text.data, text.len) != 0))
		return cof_fail(&c->diag, -EUCLEAN, "%s: it is no JSON in the one form", c->s.entry.name);
	*ret = o;
	o = NULL;
	return 0;
}

/* ---- what it says of itself, and its head ---- */

static int wrong(struct checking *c, const char *what)
{
	return cof_fail(&c->diag, -EUCLEAN, "%s: %s", c->s.entry.name, what);
}

static int take_about(struct checking *c)
{
	struct cof_json *o = NULL;
	const char *format, *archive, *log, *origin;
	int64_t tree = 0, files = 0, disclosure = 0;
	int r = check_json(c, "data/bundle.json", TEXT_MOST, &o);

	if (r < 0)
		return r;
	c->ret->about = o;
	format = cof_json_str(o, "format");
	archive = cof_json_str(o, "archive");
	log = cof_json_str(o, "log");
	origin = cof_json_str(o, "origin");
	if (!format || strcmp(format, EVIDENCE_FORMAT) != 0)
		return cof_fail(&c->diag, -EOPNOTSUPP, "the bundle is of a format that this program does not know: %.40s", format ? format : "?");
	if (!archive || strlen(archive) != 32 || cof_unhex(archive, 32, c->archive) < 0 || !log || cof_vkey_parse(log, &c->log) < 0 ||
	    !origin || strcmp(origin, c->log.name) != 0)
		return wrong(c, "archive, origin or log's key is missing or cannot be");
	if (cof_json_int(o, "tree", &tree) < 0 || tree < 1 || cof_json_int(o, "files", &files) < 0 || files < 1 || files > FILES_MOST ||
	    cof_json_int(o, "disclosure", &disclosure) < 0 || disclosure < 1)
		return wrong(c, "tree, files or disclosure is missing or cannot be");
	c->ret->tree = (uint64_t)tree;
	c->ret->files = (uint64_t)files;
	c->ret->disclosure = (uint64_t)disclosure;
	return 0;
}

int check_signers(struct checking *c, const char *note, size_t n, int64_t *ret_time, char by[COF_NOTE_NAME])
{
	struct cof_vkey keys[1 + EVIDENCE_VAULTS] = {c->log};
	size_t n_vaults = COF_MIN(c->keys->n_vaults, (size_t)EVIDENCE_VAULTS);
	struct cof_note opened;
	int r;

	for (size_t i = 0; i < n_vaults; i++)
		keys[1 + i] = c->keys->vaults[i];
	r = cof_note_open(note, n, keys, 1 + n_vaults, &opened);
	if (r < 0 || !(opened.verified & 1))
		return -EBADMSG;
	*ret_time = 0;
	for (size_t i = 0; i < n_vaults; i++) {
		int64_t time = (int64_t)opened.time[1 + i] * COF_NSEC;

		if (!(opened.verified & 1u << (1 + i)) || keys[1 + i].algorithm != COF_NOTE_COSIG ||
		    opened.time[1 + i] > (uint64_t)INT64_MAX / COF_NSEC || time <= *ret_time)
			continue;
		*ret_time = time;
		snprintf(by, COF_NOTE_NAME, "%s", keys[1 + i].name);
	}
	return 0;
}

/* Keys that the bundle names have to have signed, as claimed. */
static int claimed_vaults(struct checking *c)
{
	const struct cof_json *all = cof_json_get(c->ret->about, "vaults");

	for (size_t i = 0; i < cof_json_count(all); i++) {
		const char *text = cof_json_value_str(cof_json_at(all, i));
		struct cof_vkey key;
		struct cof_note opened;

		if (!text || cof_vkey_parse(text, &key) < 0 ||
		    cof_note_open(c->note.data, c->note.len, &key, 1, &opened) < 0)
			return -EBADMSG;
	}
	return 0;
}

static int take_head(struct checking *c)
{
	struct cof_checkpoint head;
	int r = take_text(c, "data/checkpoint", TEXT_MOST, &c->note);

	if (r < 0)
		return r;
	if (cof_checkpoint_open(c->note.data, c->note.len, &c->log, &head) < 0)
		return wrong(c, "it is not signed by the log that bundle.json names");
	if (head.size != c->ret->tree)
		return wrong(c, "it is of another size than bundle.json says");
	if (check_signers(c, (const char *)c->note.data, c->note.len, &c->ret->at, c->ret->by) < 0 || claimed_vaults(c) < 0)
		return wrong(c, "a signature under it does not hold");
	c->head = head;
	return 0;
}

/* ---- the end of the bag ---- */

/* The manifest is not that of the entries: which is the first that it has otherwise? */
static void name_changed(struct checking *c, uint64_t manifest_at, uint64_t manifest_size)
{
	struct scan entries = {.fd = c->s.fd, .size = c->s.size, .mtime = -1, .hash = c->s.hash};
	struct scan lines = {.fd = c->s.fd, .at = manifest_at, .size = c->s.size, .hash = c->manifest, .left = manifest_size};
	struct cof_diag ignored;

	cof_sha256_reset(c->manifest);
	while (scan_next(&entries, NULL, &ignored) == 0) {
		const char *name = entries.entry.name + strlen(BAG);
		cof_autobuf struct cof_buf want = {0};
		char have[2 * COF_HASH + NAME_MAX_TAR + 8];

		if (scan_end(&entries, &ignored) < 0)
			break;
		if (strncmp(name, "data/", 5) != 0)
			continue;
		evidence_line(entries.digest, name, &want);
		if (want.failed)
			return;
		if (want.len > lines.left || scan_read(&lines, have, want.len, &ignored) < 0 || memcmp(have, want.data, want.len) != 0) {
			cof_fail(&c->diag, -EUCLEAN, "%s: its digest is not the one in the manifest", name);
			return;
		}
	}
}

static int take_manifest(struct checking *c)
{
	uint64_t at, size;
	int r = scan_next(&c->s, "manifest-sha256.txt", &c->diag);

	at = c->s.at;
	size = c->s.entry.size;
	if (r == 0)
		r = check_entry_end(c);
	if (r < 0)
		return r;
	cof_sha256_final(c->manifest, c->ret->manifest);
	if (cof_equal(c->ret->manifest, c->s.digest, COF_HASH))
		return 0;
	wrong(c, "it is not the manifest of what is there");
	name_changed(c, at, size);
	return -EUCLEAN;
}

static int take_tags(struct checking *c)
{
	cof_autobuf struct cof_buf info = {0}, tags = {0};
	int r = evidence_bag_info(c->ret->about, c->octets, c->count, &info);

	if (r < 0)
		return cof_fail(&c->diag, r, "data/bundle.json: what the bag is about is missing");
	r = take_exactly(c, "bag-info.txt", info.data, info.len);
	if (r == 0) {
		cof_buf_add(&tags, c->tags.data, c->tags.len);
		r = tags.failed ? -ENOMEM : take_exactly(c, "tagmanifest-sha256.txt", tags.data, tags.len);
	}
	return r == 0 ? scan_finish(&c->s, &c->diag) : r;
}

/* ---- all of it ---- */

static int take_stix(struct checking *c)
{
	cof_autobuf struct cof_buf text = {0};
	struct tar_entry next;

	if (scan_peek(&c->s, &next, NULL) < 0 || strcmp(next.name, BAG "data/stix.json") != 0)
		return 0;
	return take_text(c, "data/stix.json", STIX_MOST, &text);
}

static int check_all(struct checking *c)
{
	cof_autobuf struct cof_buf text = {0};
	int r = take_exactly(c, "bagit.txt", BAG_TEXT, strlen(BAG_TEXT));

	if (r == 0)
		r = take_text(c, "data/README.txt", TEXT_MOST, &text);
	if (r == 0)
		r = take_about(c);
	if (r == 0)
		r = take_head(c);
	if (r == 0)
		r = take_stix(c);
	for (uint64_t i = 1; r == 0 && i <= c->ret->files; i++)
		r = check_file(c, i);
	if (r == 0)
		r = take_manifest(c);
	return r == 0 ? take_tags(c) : r;
}

static bool is_bundle(struct checking *c)
{
	struct tar_entry first;

	return scan_peek(&c->s, &first, NULL) == 0 && !strcmp(first.name, BAG "bagit.txt");
}

static bool same_key(const struct cof_vkey *a, const struct cof_vkey *b)
{
	return !strcmp(a->name, b->name) && a->algorithm == b->algorithm && !memcmp(a->public_key, b->public_key, sizeof(a->public_key));
}

/* It fits together: who vouches for it? */
static void judge_keys(struct checking *c)
{
	struct evidence_checked *v = c->ret;
	bool given = c->keys->log || c->keys->n_vaults, log = c->keys->log && same_key(c->keys->log, &c->log);
	char when[32];

	cof_time_text(v->at, when);
	when[19] = '\0';
	if (c->keys->log && !log) {
		v->verdict = EVIDENCE_WRONG_KEY;
		snprintf(v->text, sizeof(v->text), "The log's key that was given is not the one that signed this: the bundle is of another "
						   "archive, or was made with another key.");
	} else if (v->at) {
		v->verdict = EVIDENCE_PROVEN;
		snprintf(v->text, sizeof(v->text), "Proven by an independent signature: at %sZ the vault %s had signed the log with all of "
						   "this in it.%s", when, v->by, log ? "" : " The log's own key is only claimed.");
	} else if (log) {
		v->verdict = EVIDENCE_SELF_SIGNED;
		snprintf(v->text, sizeof(v->text), "Self-signed: the host could have rewritten this. It fits together and the log's key signed "
						   "it; no vault whose key was given did.");
	} else if (given) {
		v->verdict = EVIDENCE_WRONG_KEY;
		snprintf(v->text, sizeof(v->text), "None of the keys that were given signed this.");
	} else {
		v->verdict = EVIDENCE_CLAIMED;
		snprintf(v->text, sizeof(v->text), "It fits together, but the keys in it are only claimed: whoever made it could have made up all "
						   "of it. Get the log's and the vaults' keys from somewhere else, and give them.");
	}
}

static void judge(struct checking *c, int r)
{
	struct evidence_checked *v = c->ret;
	bool changed = r == -EUCLEAN || r == -EBADMSG || r == -ENODATA || r == -EKEYREJECTED;

	if (r == 0) {
		judge_keys(c);
		return;
	}
	v->verdict = changed ? EVIDENCE_TAMPERED : EVIDENCE_COULD_NOT;
	snprintf(v->text, sizeof(v->text), "%s%s", changed ? "Tampered: " : "", c->diag.text[0] ? c->diag.text : strerror(-r));
}

void evidence_check(int fd, const struct evidence_keys *keys, void (*fn)(void *user, const struct evidence_seen *s), void *user,
		    struct evidence_checked *ret)
{
	struct checking c = {.keys = keys, .ret = ret, .fn = fn, .user = user, .s = {.fd = fd, .mtime = -1}};
	struct stat st;

	*ret = (struct evidence_checked){.verdict = EVIDENCE_COULD_NOT};
	c.s.hash = cof_sha256_new();
	c.manifest = cof_sha256_new();
	c.body = malloc(2 * COF_FRAME_LENGTH_MAX + COF_CHUNK);
	c.plain = malloc(COF_CHUNK);
	if (!c.s.hash || !c.manifest || !c.body || !c.plain) {
		snprintf(ret->text, sizeof(ret->text), "out of memory");
	} else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(ret->text, sizeof(ret->text), "it is no file that can be read from its beginning to its end");
	} else {
		c.s.size = (uint64_t)st.st_size;
		if (is_bundle(&c)) {
			judge(&c, check_all(&c));
		} else {
			ret->verdict = EVIDENCE_NO_BUNDLE;
			snprintf(ret->text, sizeof(ret->text), "It does not begin as an evidence bundle does. If it is encrypted: age -d FILE > "
							       "FILE.tar first.");
		}
	}
	cof_sha256_free(c.s.hash);
	cof_sha256_free(c.manifest);
	cof_buf_done(&c.note);
	cof_buf_done(&c.tags);
	free(c.body);
	if (c.plain)
		explicit_bzero(c.plain, COF_CHUNK);
	free(c.plain);
}
