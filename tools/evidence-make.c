/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer evidence make: what the daemon lists, records and gives away becomes a bundle. The record that names recipient,
 * basis and files is durable before any key is given; the one that names the manifest before the bundle is complete.
 */
#include "tools/evidence-make.h"
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/vaults.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

struct noted { /* what vaults said last */
	const char *note[EVIDENCE_VAULTS];
	struct cof_vkey vault[EVIDENCE_VAULTS];
	size_t n;
};

/* ---- which files ---- */

static int keep_line(void *user, struct cof_json *line)
{
	struct cof_json *copy = NULL;
	int r = store_keep_last(&copy, line);

	if (r == 0)
		cof_json_append(user, copy);
	return r;
}

static int list(struct making *m, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();

	m->files = cof_json_array();
	cof_json_set(args, "paths", cof_json_ref(m->paths));
	if (m->hold_case)
		cof_json_set_str(args, "case", m->hold_case);
	if (m->incident_id)
		cof_json_set_str(args, "incident", m->incident_id);
	return people_ask(&m->ask, "evidence-list", args, keep_line, m->files, diag);
}

/* Frames that a head has to cover, so that each file is in it as it is. */
static uint64_t needed(const struct making *m)
{
	uint64_t need = 1;

	for (size_t i = 0; i < cof_json_count(m->files); i++) {
		const struct cof_json *f = cof_json_at(m->files, i);
		int64_t created = 0, committed = 0;

		(void)cof_json_int(f, "created", &created);
		(void)cof_json_int(f, "committed", &committed);
		need = COF_MAX(need, (uint64_t)COF_MAX(created, committed) + 1);
	}
	return need;
}

/* ---- what proofs lead to ---- */

static int keep_note(void *user, struct vault_entry *e)
{
	struct noted *n = user;

	if (!e->note || n->n == EVIDENCE_VAULTS)
		return 0;
	n->note[n->n] = strdup(e->note);
	if (!n->note[n->n])
		return -ENOMEM;
	n->vault[n->n++] = e->vkey;
	return 0;
}

static int open_source(struct making *m, int fd, struct evidence_maker **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *head = NULL;
	struct evidence_source s = {.io = m->ask.store.io, .need = needed(m)};
	struct noted noted = {.n = 0};
	int r = people_ask_one(&m->ask, "head", args, &head, diag);

	if (r == 0)
		r = vault_entries(&m->ask.store, keep_note, &noted, diag);
	s.notes = noted.note;
	s.vaults = noted.vault;
	s.n_notes = noted.n;
	if (r == 0)
		r = evidence_maker_new(&s, fd, ret, diag);
	for (size_t i = 0; i < noted.n; i++)
		free((void *)noted.note[i]);
	return r;
}

/* ---- on record ---- */

static void set_texts(const struct making *m, struct cof_json *o)
{
	if (m->to.len)
		cof_json_set_str(o, "to", (const char *)m->to.data);
	if (m->basis)
		cof_json_set_str(o, "basis", m->basis);
	if (m->hold_case)
		cof_json_set_str(o, "case", m->hold_case);
	if (m->incident_id)
		cof_json_set_str(o, "incident", m->incident_id);
	if (m->rehearsal)
		cof_json_set_bool(o, "rehearsal", true);
}

static int by_number(const void *x, const void *y)
{
	const int64_t *p = x, *q = y;

	return *p < *q ? -1 : *p > *q;
}

/* As ranges of first and count: a request has no room for many single ones. */
static struct cof_json *inodes_of(const struct making *m)
{
	size_t n = cof_json_count(m->files);
	cof_autofree int64_t *all = calloc(n + 1, sizeof(*all));
	struct cof_json *list = cof_json_array();

	for (size_t i = 0; all && i < n; i++)
		(void)cof_json_int(cof_json_at(m->files, i), "ino", &all[i]);
	if (all)
		qsort(all, n, sizeof(*all), by_number);
	for (size_t i = 0, k; all && i < n; i = k) {
		struct cof_json *range = cof_json_array();

		for (k = i + 1; k < n && all[k] <= all[k - 1] + 1; k++)
			;
		cof_json_append(range, cof_json_new_uint((uint64_t)all[i]));
		cof_json_append(range, cof_json_new_uint((uint64_t)(all[k - 1] - all[i]) + 1));
		cof_json_append(list, range);
	}
	return list;
}

static int record(struct making *m, uint64_t tree, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *answer = NULL;
	int r;

	set_texts(m, args);
	cof_json_set(args, "inodes", inodes_of(m));
	cof_json_set_uint(args, "at", tree);
	r = people_ask_one(&m->ask, "evidence-begin", args, &answer, diag);
	return r == 0 && cof_json_int(answer, "disclosure", &m->disclosure) < 0 ? cof_fail(diag, -EPROTO, "nothing was put on record") : r;
}

static int record_made(struct making *m, struct evidence_maker *maker, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *answer = NULL;
	uint8_t digest[COF_HASH];
	int r = evidence_maker_manifest(maker, digest, diag);

	cof_hex(digest, sizeof(digest), m->manifest);
	cof_json_set_int(args, "disclosure", m->disclosure);
	cof_json_set_str(args, "manifest", m->manifest);
	return r == 0 ? people_ask_one(&m->ask, "evidence-done", args, &answer, diag) : r;
}

/* ---- the files ---- */

struct receiving {
	struct evidence_file f;
	FILE *frames;
	struct cof_json *head, *keys, *actors;
};

static int take_frames(struct receiving *g, const struct cof_json *frames)
{
	for (size_t i = 0; i < cof_json_count(frames); i++) {
		const struct cof_json *one = cof_json_at(frames, i);
		uint64_t sequence = 0, address = 0;
		uint8_t raw[16];

		if (cof_json_value_uint(cof_json_at(one, 0), &sequence) < 0 || cof_json_value_uint(cof_json_at(one, 1), &address) < 0)
			return -EPROTO;
		cof_put_le64(raw, sequence);
		cof_put_le64(raw + 8, address);
		if (fwrite(raw, 1, sizeof(raw), g->frames) != sizeof(raw))
			return -EIO;
		g->f.n_frames++;
	}
	return 0;
}

static int take_line(void *user, struct cof_json *line)
{
	struct receiving *g = user;
	const struct cof_json *proof = cof_json_get(line, "proof");
	int64_t proves = 0;
	int r = 0;

	if (cof_json_get(line, "frames"))
		return take_frames(g, cof_json_get(line, "frames"));
	if (cof_json_get(line, "ino"))
		r = store_keep_last(&g->head, line);
	else if (cof_json_get(line, "keys"))
		r = store_keep_last(&g->keys, line);
	else if (cof_json_get(line, "actors"))
		r = store_keep_last(&g->actors, line);
	if (proof && cof_json_int(line, "proves", &proves) == 0) {
		g->f.proves = (uint64_t)proves;
		(void)cof_json_value_uint(cof_json_at(proof, 0), &g->f.proof);
		(void)cof_json_value_uint(cof_json_at(proof, 1), &g->f.proof_address);
	}
	return r;
}

static int one_file(struct making *m, struct evidence_maker *maker, const struct cof_json *line, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct receiving g = {.frames = tmpfile()};
	int64_t ino = 0;
	int r = g.frames ? 0 : cof_fail(diag, -errno, "no temporary file: %s", strerror(errno));

	(void)cof_json_int(line, "ino", &ino);
	cof_json_set_int(args, "disclosure", m->disclosure);
	cof_json_set_int(args, "ino", ino);
	if (r == 0)
		r = people_ask(&m->ask, "evidence-file", args, take_line, &g, diag);
	if (r == 0 && (fflush(g.frames) || !g.head || !g.keys || !g.actors))
		r = cof_fail(diag, -EPROTO, "what the daemon gave of inode %" PRId64 " is not complete", ino);
	if (r == 0) {
		g.f.frames = fileno(g.frames);
		g.f.head = g.head;
		g.f.keys = cof_json_get(g.keys, "keys");
		g.f.actors = cof_json_get(g.actors, "actors");
		r = evidence_maker_file(maker, &g.f, diag);
	}
	cof_json_free(g.head);
	cof_json_free(g.keys);
	cof_json_free(g.actors);
	if (g.frames)
		fclose(g.frames);
	return r;
}

static int write_bundle(struct making *m, struct evidence_maker *maker, struct cof_diag *diag)
{
	cof_autojson struct cof_json *about = cof_json_object();
	int r = 0;

	set_texts(m, about);
	cof_json_set_int(about, "disclosure", m->disclosure);
	cof_json_set_uint(about, "files", cof_json_count(m->files));
	if (m->n_recipients)
		r = evidence_maker_encrypt(maker, (const void *)m->recipient, m->n_recipients);
	if (r < 0)
		return cof_fail(diag, r, "the bundle cannot be encrypted to these recipients: %s", strerror(-r));
	r = evidence_maker_begin(maker, about, m->stix, diag);
	for (size_t i = 0; r == 0 && i < cof_json_count(m->files); i++)
		r = one_file(m, maker, cof_json_at(m->files, i), diag);
	if (r == 0)
		r = record_made(m, maker, diag);
	return r == 0 ? evidence_maker_end(maker, &m->bytes, diag) : r;
}

/* ---- read back ---- */

static int check(struct making *m, int fd, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *answer = NULL;
	const struct evidence_keys keys = {.log = &m->ask.store.conf.vkey};
	bool good;

	if (m->n_recipients)
		return 0; /* only they can read it */
	evidence_check(fd, &keys, NULL, NULL, &m->checked);
	good = m->checked.verdict == EVIDENCE_PROVEN || m->checked.verdict == EVIDENCE_SELF_SIGNED;
	cof_json_set_int(args, "disclosure", m->disclosure);
	cof_json_set_str(args, "verdict", good ? "whole" : evidence_verdict_name(m->checked.verdict));
	cof_json_set_str(args, "outcome", good ? "success" : "failure");
	if (people_ask_one(&m->ask, "evidence-checked", args, &answer, diag) < 0)
		return -EIO;
	return good ? 0 : cof_fail(diag, -EIO, "%s was read back and does not hold: %s", m->out, m->checked.text);
}

static int into_file(struct making *m, const char *part, struct cof_diag *diag)
{
	cof_autoclose int fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	struct evidence_maker *maker = NULL;
	int r;

	if (fd < 0)
		return cof_fail(diag, -errno, "cannot write %s: %s", part, strerror(errno));
	r = open_source(m, fd, &maker, diag);
	if (r == 0)
		r = record(m, evidence_maker_tree(maker), diag);
	if (r == 0)
		r = write_bundle(m, maker, diag);
	if (r == 0 && !evidence_maker_cosigned(maker))
		complain("no vault has signed a head with all of this in it: the bundle is signed by the host alone. coffer sync first, "
			 "then make it again");
	evidence_maker_free(maker);
	if (r == 0)
		r = check(m, fd, diag);
	if (r == 0 && renameat2(AT_FDCWD, part, AT_FDCWD, m->out, RENAME_NOREPLACE) < 0)
		r = cof_fail(diag, -errno, "cannot rename %s to %s: %s", part, m->out, strerror(errno));
	if (r < 0)
		unlink(part);
	return r;
}

int evidence_make(struct making *m, struct cof_diag *diag)
{
	cof_autofree char *part = NULL;
	int r;

	if (access(m->out, F_OK) == 0)
		return cof_fail(diag, -EEXIST, "%s is there already", m->out);
	if (asprintf(&part, "%s.part", m->out) < 0)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = m->incident ? evidence_incident(m, diag) : 0;
	if (r == 0)
		r = list(m, diag);
	return r == 0 ? into_file(m, part, diag) : r;
}

void evidence_make_say(const struct making *m)
{
	size_t n = cof_json_count(m->files);
	char size[24];

	cof_size_text(m->bytes, size);
	if (m->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "file", m->out);
		cof_json_set_uint(o, "bytes", m->bytes);
		cof_json_set_uint(o, "files", n);
		cof_json_set_int(o, "disclosure", m->disclosure);
		cof_json_set_str(o, "manifest", m->manifest);
		cof_json_set_bool(o, "encrypted", m->n_recipients > 0);
		if (!m->n_recipients)
			cof_json_set_str(o, "read_back", "whole");
		(void)print_json(o, false);
		return;
	}
	printf("%s: %zu file%s, %s%s, on record as disclosure %" PRId64 ".\n", m->out, n, plural(n), size,
	       m->n_recipients ? ", encrypted" : ", read back and whole", m->disclosure);
	printf("SHA-256 of its manifest: %s\n", m->manifest);
	if (!m->n_recipients)
		printf("It opens these files to whoever has it.\n");
}

void evidence_making_done(struct making *m)
{
	cof_buf_done(&m->to);
	cof_json_free(m->paths);
	cof_json_free(m->files);
	cof_json_free(m->checked.about);
	free(m->incident_id);
	free(m->stix);
}
