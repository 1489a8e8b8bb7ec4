/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy takes bytes: each goes to its segment at once, so that a session that ends can be taken up at the byte; each
 * frame is checked once it is whole, and counts for nothing until a proof says that it is of the coming head.
 */
#include <stdio.h>

#include "tools/vault/internal.h"

#define PUSH (4u << 20) /* bytes after which the disk is to have them, so that the sync at the end finds little */

void copy_segment_path(uint64_t number, char ret[32])
{
	snprintf(ret, 32, "log/%08x.seg", (unsigned)number);
}

void vault_copy_state(const struct vault_copy *c, struct vault_copy_state *ret)
{
	ret->conf = c->conf;
	ret->head = c->head;
	ret->size = c->tree.frontier.size;
	ret->address = c->boundary + c->part_len;
	ret->bytes = ret->address; /* whole segments are nearly as large as what is in them */
	ret->unproven = c->unproven;
	ret->coming = c->coming;
	ret->weakening = c->weakening != 0;
	ret->proven = c->proven;
	ret->proven_end = c->proven_end;
}

const char *vault_copy_note(const struct vault_copy *c)
{
	return c->note ? c->note : "";
}

int copy_proof_check(uint64_t older, const uint8_t older_root[COF_HASH], const struct cof_checkpoint *newer,
		     const struct vault_proof *proof)
{
	if (!older)
		return proof->n ? -EBADMSG : 0;
	return cof_merkle_verify_consistency(older, newer->size, (const uint8_t(*)[COF_HASH])proof->hash, proof->n,
					     older_root, newer->root);
}

/* ---- the coming head ---- */

int vault_copy_head(struct vault_copy *c, const void *note, size_t len, const struct vault_proof *from_head,
		    const struct vault_proof *from_here, struct cof_diag *diag)
{
	struct cof_checkpoint coming;
	uint8_t root[COF_HASH];
	int r = cof_checkpoint_open(note, len, &c->conf.vkey, &coming);

	if (r == -ENOKEY || r == -EBADMSG)
		return cof_fail(diag, -EBADMSG, "the head is not signed with the key of archive %s", c->conf.vkey.name);
	if (r < 0)
		return cof_fail(diag, -EUCLEAN, "the head is no checkpoint (C2SP)");
	if (coming.size < c->head.size && copy_tree_root(&c->tree, coming.size, root) == 0 && !cof_equal(root, coming.root, COF_HASH))
		return cof_fail(diag, -ENOTUNIQ, "the head of %llu frames is none of those that the one of %llu frames extends, which was "
						 "seen before: these are two histories of one archive",
				(unsigned long long)coming.size, (unsigned long long)c->head.size);
	if (coming.size < c->head.size)
		return cof_fail(diag, -ESTALE, "the head has %llu frames, and %llu were seen before",
				(unsigned long long)coming.size, (unsigned long long)c->head.size);
	if (copy_proof_check(c->head.size, c->head.root, &coming, from_head) < 0)
		return cof_fail(diag, -ENOTUNIQ, "the head of %llu frames does not extend the one of %llu frames that was "
						 "seen before: these are two histories of one archive",
				(unsigned long long)coming.size, (unsigned long long)c->head.size);
	if (c->blind) {
		c->coming = coming;
		return copy_blind_head(c, diag);
	}
	cof_frontier_root(&c->tree.frontier, root);
	if (c->tree.frontier.size > coming.size ||
	    copy_proof_check(c->tree.frontier.size, root, &coming, from_here) < 0) {
		r = copy_back_to(c, c->head.size, c->head_end);
		if (r < 0)
			return cof_fail(diag, r, "%s: what was of no head cannot be dropped: %s", cof_io_where(c->io),
					strerror(-r));
	}
	c->coming = coming;
	c->proven = c->tree.frontier.size;
	c->proven_end = c->boundary;
	c->unproven = 0;
	return 0;
}

/* ---- frames ---- */

int copy_judge_header(const struct vault_copy *c, const uint8_t *raw, struct cof_frame *ret, struct cof_diag *diag)
{
	uint64_t left = c->conf.segment_size - c->boundary % c->conf.segment_size;
	int r = cof_frame_decode(raw, ret, diag);

	if (r == -ENODATA)
		return cof_fail(diag, -EUCLEAN, "zeros came where frame %llu begins",
				(unsigned long long)c->tree.frontier.size);
	if (r < 0)
		return r;
	if (ret->sequence != c->tree.frontier.size)
		return cof_fail(diag, -EUCLEAN, "frame %llu came where %llu belongs", (unsigned long long)ret->sequence,
				(unsigned long long)c->tree.frontier.size);
	if (COF_FRAME_HEADER + (uint64_t)ret->stored > left)
		return cof_fail(diag, -EUCLEAN, "frame %llu does not fit into its segment",
				(unsigned long long)ret->sequence);
	return 0;
}

#define TOLD_MAX (4096u * COF_HASH)

void copy_note_told(struct vault_copy *c, const struct cof_frame *f, const uint8_t *payload)
{
	uint8_t tag = f->type == COF_RECEIPT ? COF_T_RECEIPT : COF_T_RECORD_DOCUMENT, digest[COF_HASH];
	struct cof_field text;

	if ((f->type != COF_RECEIPT && f->type != COF_VAULT_RECORD) || f->sequence < c->head.size || c->told.len >= TOLD_MAX ||
	    cof_field_find(payload, f->public_length, tag, &text) < 0)
		return;
	cof_sha256(text.value, text.len, digest);
	cof_buf_add(&c->told, digest, sizeof(digest)); /* one that is lost is sent once more */
}

static void note_known(struct vault_copy *c, const struct cof_frame *f, const uint8_t *raw)
{
	if (c->known.size != f->sequence)
		return;
	cof_known_add(&c->known, f, c->boundary);
	memcpy(c->last, raw, sizeof(c->last));
	c->came = true;
}

bool vault_copy_known(struct vault_copy *c, struct cof_known *ret)
{
	if (!c->head.size || c->known.size != c->head.size)
		return false;
	if (c->came)
		cof_known_end(&c->known, c->last);
	*ret = c->known;
	return true;
}

int copy_take_frame(struct vault_copy *c, const uint8_t *raw, struct cof_diag *diag)
{
	struct cof_frame f;
	uint8_t leaf[COF_HASH];
	int r = copy_judge_header(c, raw, &f, diag);

	if (r < 0)
		return r;
	r = copy_judge_payload(c, &f, raw + COF_FRAME_HEADER);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r < 0)
		return cof_fail(diag, -EBADMSG, "the payload of frame %llu is not what its header says",
				(unsigned long long)f.sequence);
	cof_frame_leaf(raw, c->previous, leaf);
	r = copy_tree_add(&c->tree, leaf);
	if (r < 0)
		return cof_fail(diag, r, "%s/tile cannot be written: %s", cof_io_where(c->io), strerror(-r));
	memcpy(c->previous, leaf, COF_HASH);
	note_known(c, &f, raw);
	c->boundary += COF_FRAME_HEADER + f.stored;
	copy_note_told(c, &f, raw + COF_FRAME_HEADER);
	if (c->blind)
		r = copy_blind_frame(c, &f, raw + COF_FRAME_HEADER, diag);
	c->weakening += f.sequence >= c->head.size && (f.public_length || f.type == COF_DESTROY) && vault_may_weaken(f.type);
	return r;
}

/* Takes whole frames from p; *ret_used: their bytes. */
static int take_whole(struct vault_copy *c, const uint8_t *p, size_t n, size_t *ret_used, struct cof_diag *diag)
{
	size_t used = 0;
	int r = 0;

	while (r == 0 && n - used >= COF_FRAME_HEADER && !copy_blind_full(c)) {
		uint64_t want = COF_FRAME_HEADER + (uint64_t)cof_get_le32(p + used + 36);

		if (want > n - used)
			break;
		r = copy_take_frame(c, p + used, diag);
		if (r == 0)
			used += want;
	}
	*ret_used = used;
	return r;
}

/* Adds to the frame that is there in part. *ret_used of p; it may be whole then. */
static int fill_part(struct vault_copy *c, const uint8_t *p, size_t n, size_t *ret_used, struct cof_diag *diag)
{
	size_t used = 0;

	for (;;) {
		size_t want = c->part_want ? c->part_want : COF_FRAME_HEADER;
		size_t k = COF_MIN(want - c->part_len, n - used);
		struct cof_frame f;
		int r;

		memcpy(c->part + c->part_len, p + used, k);
		c->part_len += k;
		used += k;
		*ret_used = used;
		if (c->part_len < want)
			return 0;
		if (!c->part_want) {
			r = copy_judge_header(c, c->part, &f, diag);
			if (r < 0)
				return r;
			c->part_want = COF_FRAME_HEADER + f.stored;
			if (c->part_want > want)
				continue;
		}
		r = copy_take_frame(c, c->part, diag);
		if (r == 0)
			c->part_len = c->part_want = 0;
		return r;
	}
}

static int take(struct vault_copy *c, const uint8_t *p, size_t n, struct cof_diag *diag)
{
	size_t used = 0;
	int r = 0;

	while (r == 0 && n && !copy_blind_full(c)) {
		if (c->part_len) {
			r = fill_part(c, p, n, &used, diag);
		} else {
			r = take_whole(c, p, n, &used, diag);
			if (r == 0 && used < n && n - used < COF_FRAME_HEADER && !copy_blind_full(c)) {
				memcpy(c->part, p + used, n - used);
				c->part_len = n - used;
				used = n;
			} else if (r == 0 && !used) {
				r = fill_part(c, p, n, &used, diag);
			}
		}
		p += used;
		n -= used;
	}
	return r;
}

/* After a sync that failed nothing that it was for is certain, and a later one may say that it is: those bytes go, to
 * come again. What cannot be dropped either is found wanting when it is opened. */
static int sync_failed(struct vault_copy *c, int err, struct cof_diag *diag)
{
	(void)copy_back_to(c, c->head.size, c->head_end);
	return cof_fail(diag, err, "%s cannot be made durable: %s", cof_io_where(c->io), strerror(-err));
}

void copy_close_segments(struct vault_copy *c)
{
	cof_io_close(c->segment);
	cof_io_close(c->before);
	c->segment = c->before = NULL;
	c->settled_from = c->settled_to = 0;
	c->pushed = 0;
}

static void note_settled(struct vault_copy *c, uint64_t number)
{
	if (c->settled_to != number)
		c->settled_from = number;
	c->settled_to = number + 1;
}

/* The disk writes one segment while the next one comes: the wait for it is a segment later. */
static int leave_segment(struct vault_copy *c, struct cof_diag *diag)
{
	int r = 0;

	if (!c->segment)
		return 0;
	cof_io_settle(c->segment);
	if (c->before)
		r = cof_io_sync(c->before);
	if (r < 0)
		return sync_failed(c, r, diag);
	if (c->before)
		note_settled(c, c->before_number);
	cof_io_close(c->before);
	c->before = c->segment;
	c->before_number = c->segment_number;
	c->segment = NULL;
	c->pushed = 0;
	return 0;
}

static int segment_for(struct vault_copy *c, uint64_t address, struct cof_diag *diag)
{
	uint64_t number = address / c->conf.segment_size;
	char path[32];
	int r = 0;

	if (c->segment && c->segment_number == number)
		return 0;
	r = leave_segment(c, diag);
	if (r < 0)
		return r;
	c->pushed = address % c->conf.segment_size;
	copy_segment_path(number, path);
	r = cof_io_open(c->io, path, COF_IO_RDWR, &c->segment);
	if (r == -ENOENT)
		r = cof_io_create(c->io, path, &c->segment);
	if (r < 0)
		return cof_fail(diag, r, "%s/%s cannot be written: %s", cof_io_where(c->io), path, strerror(-r));
	c->segment_number = number;
	return 0;
}

int vault_copy_feed(struct vault_copy *c, uint64_t address, const void *p, size_t n, struct cof_diag *diag)
{
	uint64_t size = c->conf.segment_size;
	int r;

	if (!c->coming.size)
		return cof_fail(diag, -EUCLEAN, "bytes came before a head");
	if (!c->part_len && address != c->boundary && address % size == 0 && c->boundary % size &&
	    address / size == c->boundary / size + 1)
		c->boundary = address; /* the next frame did not fit */
	if (address != c->boundary + c->part_len || n > size - address % size)
		return cof_fail(diag, -EUCLEAN, "bytes of address %llu came where %llu goes on",
				(unsigned long long)address, (unsigned long long)(c->boundary + c->part_len));
	if (c->unproven + n > VAULT_UNPROVEN && !c->blind)
		return cof_fail(diag, -EBADMSG, "more than %u MiB came without a proof", VAULT_UNPROVEN >> 20);
	r = segment_for(c, address, diag);
	if (r < 0)
		return r;
	r = cof_io_write(c->segment, p, n, address % size);
	if (r < 0)
		return cof_fail(diag, r, "%s cannot be written: %s", cof_io_where(c->io), strerror(-r));
	if (address % size + n - c->pushed >= PUSH) {
		copy_tree_push(&c->tree);
		cof_io_settle(c->segment);
		c->pushed = address % size + n;
	}
	c->unproven += n;
	r = take(c, p, n, diag);
	if (r == 0 && copy_blind_full(c) && address + n > c->boundary) /* bytes behind the head: no part of it */
		return vault_copy_back(c, c->tree.frontier.size, c->boundary, diag);
	if (r == 0 && !c->blind && c->tree.frontier.size > c->coming.size) {
		/* of no head: nothing of it may stay, or whoever has the true ones would seem to be behind */
		r = copy_back_to(c, c->proven, c->proven_end);
		return cof_fail(diag, r < 0 ? r : -EBADMSG, "more frames came than the head has");
	}
	if (r < 0) /* whole frames stay, to be proven with the next head: another vault may have what comes behind them */
		(void)copy_back_to(c, c->tree.frontier.size, c->boundary);
	return r;
}

int vault_copy_prove(struct vault_copy *c, const struct vault_proof *proof, struct cof_diag *diag)
{
	uint8_t root[COF_HASH];
	uint64_t size = c->tree.frontier.size;
	int r = size > c->coming.size ? -EBADMSG : 0;

	cof_frontier_root(&c->tree.frontier, root);
	if (r == 0)
		r = copy_proof_check(size, root, &c->coming, proof);
	if (r < 0) {
		r = c->blind ? copy_back_to(c, c->head.size, c->head_end) : copy_back_to(c, c->proven, c->proven_end);
		return cof_fail(diag, r < 0 ? r : -EBADMSG, "frames up to %llu came that are not of the head",
				(unsigned long long)size);
	}
	c->proven = size;
	c->proven_end = c->boundary;
	c->unproven = c->part_len;
	return 0;
}

/* Whether this session has it open, or made it durable before it closed it. */
static bool is_ours(const struct vault_copy *c, uint64_t number)
{
	return (c->segment && c->segment_number == number) || (c->before && c->before_number == number) ||
	       (number >= c->settled_from && number < c->settled_to);
}

/* What came since the head in sessions that ended before they could. */
static int sync_others(struct vault_copy *c)
{
	uint64_t size = c->conf.segment_size;
	int r = 0;

	for (uint64_t n = c->head_end / size; r == 0 && n <= c->boundary / size; n++) {
		cof_autofile struct cof_file *f = NULL;
		char path[32];

		if (is_ours(c, n))
			continue;
		copy_segment_path(n, path);
		r = cof_io_open(c->io, path, COF_IO_RDWR, &f);
		if (r == 0)
			r = cof_io_sync(f);
		else if (r == -ENOENT && n * size == c->boundary)
			r = 0; /* the last one ended with its segment */
	}
	return r;
}

/* Log and stored hashes need no order among themselves: nothing counts before the head that covers both. */
static int sync_all(struct vault_copy *c)
{
	struct cof_file *all[2 + LEVELS] = {c->before, c->segment}; /* what failed before is told by the file that it failed in */
	int r = copy_tree_write(&c->tree, all + 2);

	if (r == 0)
		r = sync_others(c);
	if (r == 0)
		r = cof_io_sync_together(c->io, all, COF_COUNT(all), "log");
	if (r == 0)
		copy_tree_durable(&c->tree);
	return r;
}

int vault_copy_sync(struct vault_copy *c, struct cof_diag *diag)
{
	int r = 0;

	if (!c->coming.size || c->tree.frontier.size != c->coming.size || c->proven != c->coming.size || c->part_len)
		return cof_fail(diag, -EUCLEAN, "the head is of %llu frames, and %llu are there and proven",
				(unsigned long long)c->coming.size, (unsigned long long)c->proven);
	if (c->coming.size == c->head.size) /* nothing came, and what is there was made durable before */
		return 0;
	r = copy_judge_erased(c, diag);
	if (r < 0)
		return r;
	r = sync_all(c);
	return r < 0 ? sync_failed(c, r, diag) : 0;
}

int vault_copy_finish(struct vault_copy *c, const void *note, size_t len, struct cof_file *list, struct cof_diag *diag)
{
	struct cof_checkpoint head;
	char *kept;
	int r = cof_checkpoint_open(note, len, &c->conf.vkey, &head);

	if (r < 0 || head.size != c->coming.size || !cof_equal(head.root, c->coming.root, COF_HASH))
		return cof_fail(diag, -EUCLEAN, "a note of another head");
	kept = strndup(note, len);
	if (!kept)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = cof_io_replace_behind(c->io, "checkpoint", note, len, list);
	if (r < 0) {
		free(kept);
		return cof_fail(diag, r, "%s/checkpoint cannot be written: %s", cof_io_where(c->io), strerror(-r));
	}
	free(c->note);
	c->note = kept;
	c->head = head;
	c->head_end = c->boundary;
	c->weakening = 0;
	c->erased = false;
	c->judged = 0;
	cof_erased_free(c->ended);
	c->ended = NULL;
	memset(&c->coming, 0, sizeof(c->coming));
	return 0;
}
