/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from where nobody can make a proof. A frame says nothing of the one before it, so anybody can write a log that goes on
 * with any frame; but the archive signed what it had, again and again: the chain repeats each checkpoint (docs/format.md 6), and
 * a root that was computed here has to be the one that was signed for so many frames.
 */
#include "tools/vault/internal.h"

#define OFTEN 16u /* checkpoints of a full segment that are looked at, at most */

void vault_copy_blind(struct vault_copy *c)
{
	c->blind = true;
}

bool copy_blind_full(const struct vault_copy *c)
{
	return c->blind && c->coming.size && c->tree.frontier.size == c->coming.size;
}

/* end: 0: not known, so that nothing more is proven by it. */
static int compare(struct vault_copy *c, const struct cof_checkpoint *s, uint64_t end, struct cof_diag *diag)
{
	uint8_t root[COF_HASH];
	int r = copy_tree_root(&c->tree, s->size, root);

	if (r < 0)
		return cof_fail(diag, r, "%s/tile cannot be read: %s", cof_io_where(c->io), strerror(-r));
	if (!cof_equal(root, s->root, COF_HASH))
		return cof_fail(diag, -EBADMSG, "the first %llu frames that came are not those that the archive signed",
				(unsigned long long)s->size);
	if (end && s->size > c->proven) {
		c->proven = s->size;
		c->proven_end = end;
	}
	return 0;
}

int copy_blind_frame(struct vault_copy *c, const struct cof_frame *f, const uint8_t *payload, struct cof_diag *diag)
{
	uint64_t size = c->tree.frontier.size;
	const struct copy_end *e;
	struct cof_checkpoint s;
	struct cof_field note;

	c->ends[size % COPY_ENDS] = (struct copy_end){size, c->boundary};
	if (size == c->coming.size)
		return compare(c, &c->coming, c->boundary, diag);
	if (f->type != COF_CHECKPOINT || c->boundary - c->proven_end < c->conf.segment_size / OFTEN ||
	    cof_field_find(payload, f->public_length, COF_T_NOTE, &note) < 0 ||
	    cof_checkpoint_open(note.value, note.len, &c->conf.vkey, &s) < 0 || s.size > f->sequence)
		return 0;
	e = &c->ends[s.size % COPY_ENDS];
	return compare(c, &s, e->size == s.size ? e->address : 0, diag);
}

/* What is there of no head goes. */
int copy_blind_head(struct vault_copy *c, struct cof_diag *diag)
{
	uint64_t size = c->tree.frontier.size, end = c->boundary;
	int r = 0;

	c->unproven = 0;
	if (size == c->coming.size)
		r = compare(c, &c->coming, end, diag);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r == -EBADMSG || size > c->coming.size) {
		bool within = c->proven < c->coming.size;

		size = within ? c->proven : c->head.size;
		end = within ? c->proven_end : c->head_end;
	}
	return size < c->tree.frontier.size || c->part_len ? vault_copy_back(c, size, end, diag) : 0;
}

int vault_copy_whole(const struct vault_copy *c, struct cof_diag *diag)
{
	return c->part_len ? cof_fail(diag, -EBADMSG, "what came ends within frame %llu", (unsigned long long)c->tree.frontier.size)
			   : 0;
}

int vault_copy_back(struct vault_copy *c, uint64_t size, uint64_t address, struct cof_diag *diag)
{
	int r = copy_back_to(c, size, address);

	return r < 0 ? cof_fail(diag, r, "%s: what came cannot be dropped: %s", cof_io_where(c->io), strerror(-r)) : 0;
}
