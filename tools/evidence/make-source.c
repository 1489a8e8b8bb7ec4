/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which head of the log a bundle's proofs lead to: the newest that a vault signed, where that covers what the bundle is
 * about, since it is worth more than a newer one that only the host signed.
 */
#include "tools/evidence/maker.h"

static bool same_text(const char *a, const char *b)
{
	const char *end = strstr(a, "\n\n");

	return end && !strncmp(a, b, (size_t)(end - a + 2));
}

/* One note with the signatures of several that are of the same head: lines behind the text, each once. */
static int join(struct cof_buf *note, const char *more)
{
	const char *line = strstr(more, "\n\n");

	for (line += 2; *line; line += strcspn(line, "\n") + 1) {
		size_t n = strcspn(line, "\n") + 1;
		cof_autofree char *one = strndup(line, n);

		if (!one)
			return -ENOMEM;
		if (!strstr((const char *)note->data, one))
			cof_buf_add(note, one, n);
	}
	return note->failed ? -ENOMEM : 0;
}

struct candidate {
	struct cof_checkpoint head;
	bool good;
};

static bool judge(struct evidence_maker *m, const char *note, const struct cof_vkey *vault, struct cof_checkpoint *ret)
{
	struct cof_vkey keys[2] = {vault_source_conf(m->source)->vkey, *vault};
	struct cof_checkpoint newest;
	struct cof_note opened;
	uint8_t root[COF_HASH];

	(void)vault_source_note(m->source, &newest);
	return cof_note_open(note, strlen(note), keys, 2, &opened) == 0 && opened.verified == 3 &&
	       cof_checkpoint_open(note, strlen(note), &keys[0], ret) == 0 && ret->size && ret->size <= newest.size &&
	       vault_source_root(m->source, ret->size, root, NULL) == 0 && cof_equal(root, ret->root, COF_HASH);
}

static int take_cosigned(struct evidence_maker *m, const struct evidence_source *s)
{
	size_t best = s->n_notes;
	struct cof_checkpoint head, most = {.size = 0};
	int r = 0;

	for (size_t i = 0; i < s->n_notes; i++)
		if (judge(m, s->notes[i], &s->vaults[i], &head) && head.size >= s->need && head.size > most.size) {
			most = head;
			best = i;
		}
	if (best == s->n_notes)
		return 0;
	cof_buf_add(&m->note, s->notes[best], strlen(s->notes[best]));
	m->tree = most.size;
	memcpy(m->root, most.root, COF_HASH);
	for (size_t i = 0; r == 0 && i < s->n_notes && m->n_vaults < EVIDENCE_VAULTS; i++) {
		if (!same_text(s->notes[best], s->notes[i]) || !judge(m, s->notes[i], &s->vaults[i], &head))
			continue;
		m->vault[m->n_vaults++] = s->vaults[i];
		r = join(&m->note, s->notes[i]);
	}
	return r;
}

int maker_source(struct evidence_maker *m, const struct evidence_source *source, struct cof_diag *diag)
{
	struct cof_checkpoint newest;
	const char *note;
	int r = vault_source_open(source->io, &m->source, diag);

	if (r == 0)
		r = cof_reader_new(source->io, vault_source_conf(m->source), &m->reader);
	if (r < 0)
		return r;
	r = take_cosigned(m, source);
	if (r < 0)
		return cof_fail(diag, r, "out of memory");
	if (m->tree)
		return 0;
	note = vault_source_note(m->source, &newest);
	if (newest.size < source->need)
		return cof_fail(diag, -EAGAIN, "the newest checkpoint covers %llu frames, and %llu are needed: try again",
				(unsigned long long)newest.size, (unsigned long long)source->need);
	cof_buf_add(&m->note, note, strlen(note));
	m->tree = newest.size;
	memcpy(m->root, newest.root, COF_HASH);
	return m->note.failed ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
}
