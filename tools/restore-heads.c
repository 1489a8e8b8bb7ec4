/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is it the newest? Nobody proves that about themselves: a vault may be behind, or put back.
 * Somebody else's head that is the same says that nothing newer was seen there either; one that
 * does not fit says that there are two histories.
 */
#include "tools/restore.h"
#include "tools/file.h"

#include <inttypes.h>
#include <stdio.h>

static int load(struct restoring *r, struct restore_source *h, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	cof_autofree char *shown = escaped(h->url);
	struct cof_note n;
	int err = file_load(h->url, COF_NOTE_MAX, &text, diag);

	if (err < 0)
		return err;
	h->note = strndup(text.data ? (char *)text.data : "", text.len);
	if (!h->note)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (cof_checkpoint_open(h->note, strlen(h->note), &r->log, &h->head) < 0)
		return cof_fail(diag, -EBADMSG, "%s is no head that this archive signed",
				shown ? shown : "?");
	if (r->n_vkeys && cof_note_open(h->note, strlen(h->note), r->vkey, r->n_vkeys, &n) == 0) {
		h->signers = n.verified;
		for (unsigned i = 0; i < r->n_vkeys; i++)
			if (n.verified & (1u << i))
				h->time = COF_MAX(h->time, n.time[i]);
	}
	return 0;
}

/* The same tree as far as it goes. */
static int fits(struct vault_source *mine, uint64_t size, const struct restore_source *h,
		struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(h->url);
	uint8_t root[COF_HASH];
	int err = 0;

	if (h->head.size > size)
		return 0; /* nothing here says what its root would be */
	err = vault_source_root(mine, h->head.size, root, diag);
	if (err == 0 && !cof_equal(root, h->head.root, COF_HASH))
		err =
		    cof_fail(diag, -ENOTUNIQ,
			     "FORK: what came is not the history of which %s has a head of %" PRIu64
			     " frames: the archive's key "
			     "signed two histories. Keep both, and find out which of them is true",
			     shown ? shown : "?", h->head.size);
	return err;
}

static void name(struct restore_freshness *f, const struct restore_source *h)
{
	cof_autofree char *shown = escaped(h->url);
	char when[32];

	cof_time_text((int64_t)h->time * COF_NSEC, when);
	snprintf(f->by, sizeof(f->by), "%.200s%s%s", shown ? shown : "?",
		 h->time ? ", signed at " : "", h->time ? when : "");
}

/* given: by whoever restores, who vouches for it; unless only the vault signed it that gave the
 * log. */
static void weigh(struct restore_freshness *f, uint64_t size, const struct restore_source *h,
		  bool given, uint32_t others)
{
	enum restore_fresh says = RESTORE_UNPROVEN;
	bool another = h->signers && (h->signers | others) != others;

	if (!h->note)
		return;
	if (h->head.size > size)
		says = RESTORE_BEHIND;
	else if (h->head.size == size)
		says = another || (given && !h->signers) ? RESTORE_PROVEN : RESTORE_CLAIMED;
	if (says > f->verdict || (says == f->verdict && h->head.size > f->newest)) {
		f->verdict = says;
		name(f, h);
	}
	f->newest = COF_MAX(f->newest, h->head.size);
}

int restore_heads(struct restoring *r, struct restore_freshness *ret, struct cof_diag *diag)
{
	struct vault_copy_state s;
	struct vault_source *mine = NULL;
	uint32_t others = 0;
	bool first = true;
	int err = vault_source_open(r->io, &mine, diag);

	vault_copy_state(r->copy, &s);
	*ret = (struct restore_freshness){.verdict = RESTORE_UNPROVEN, .newest = s.head.size};
	for (unsigned i = 0; err == 0 && i < r->n_heads; i++)
		err = load(r, &r->head[i], diag);
	for (unsigned i = 0; err == 0 && i < r->n_sources; i++)
		if (r->source[i].note)
			err = fits(mine, s.head.size, &r->source[i], diag);
	for (unsigned i = 0; err == 0 && i < r->n_heads; i++)
		err = fits(mine, s.head.size, &r->head[i], diag);
	vault_source_free(mine);
	if (err < 0)
		return err;
	/* one of the sources' heads is what came: the next ones say whether it is the newest */
	for (unsigned i = 0; i < r->n_sources; i++) {
		bool it = first && r->source[i].note && r->source[i].head.size == s.head.size;

		if (!it)
			weigh(ret, s.head.size, &r->source[i], false, others);
		else
			others = r->source[i].signers;
		first &= !it;
	}
	for (unsigned i = 0; i < r->n_heads; i++)
		weigh(ret, s.head.size, &r->head[i], true, others);
	return 0;
}
