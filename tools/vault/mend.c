/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending: a scrub names the segments of a copy that are damaged, in the file `damaged`, a line each. The next host that
 * comes is asked for them. What it sends is written beside the copy, has to give the stored hashes frame by frame, and
 * only then takes the place of what was there.
 */
#include <stdio.h>

#include "tools/vault/internal.h"

#define LIST "damaged"
#define LIST_MAX (VAULT_MEND_MAX * 9u)
#define FRESH "mend.seg"

/* ---- the list ---- */

int vault_damage_load(struct cof_io *io, struct vault_damage *ret)
{
	cof_autofree uint8_t *text = NULL;
	size_t n = 0;
	int r = cof_io_load(io, LIST, LIST_MAX, &text, &n);

	ret->n = 0;
	for (size_t i = 0; r == 0 && i + 9 <= n && ret->n < VAULT_MEND_MAX; i += 9)
		ret->segment[ret->n++] = (uint32_t)strtoul((const char *)text + i, NULL, 16);
	return r == -ENOENT ? 0 : r;
}

int vault_damage_save(struct cof_io *io, const struct vault_damage *d)
{
	cof_autobuf struct cof_buf b = {0};
	int r;

	if (!d->n) {
		r = cof_io_unlink(io, LIST);
		return r == -ENOENT ? 0 : r;
	}
	for (unsigned i = 0; i < d->n; i++)
		cof_buf_printf(&b, "%08x\n", d->segment[i]);
	return b.failed ? -ENOMEM : cof_io_replace(io, LIST, b.data, b.len);
}

void vault_damage_add(struct vault_damage *d, uint32_t segment)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->segment[i] == segment)
			return;
	if (d->n < VAULT_MEND_MAX)
		d->segment[d->n++] = segment;
}

static bool listed(const struct vault_damage *d, uint32_t segment)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->segment[i] == segment)
			return true;
	return false;
}

/* ---- the vault's side ---- */

struct mending {
	struct vault_wire *w;
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_checkpoint head;
	struct vault_damage damage;
	struct cof_diag *diag;
	struct cof_buf note;
	struct cof_file *fresh;
	uint32_t segment; /* that is coming */
	uint64_t length;
	unsigned mended;
	struct cof_erased *ended; /* by the log that is here, once it was asked for */
	struct vault_ranges gone; /* what was destroyed here */
};

static int stored_leaf(struct cof_io *io, uint64_t sequence, uint8_t ret[COF_HASH])
{
	cof_autofile struct cof_file *f = NULL;
	size_t n = 0;
	int r = cof_io_open(io, "tile/0", COF_IO_RDONLY, &f);

	if (r == 0)
		r = cof_io_read(f, ret, COF_HASH, sequence * COF_HASH, &n);
	return r == 0 && n != COF_HASH ? -ENODATA : r;
}

/* What was destroyed at the host since is not given back: the frame that says so is among those that were confirmed. */
static int fresh_payload(struct mending *m, const struct cof_frame *f, const uint8_t *payload)
{
	int r = cof_payload_check(f, payload);

	if (r != -EBADMSG || f->type != COF_APPEND)
		return r;
	r = m->ended ? 0 : cof_erased_find(m->io, &m->conf, &m->ended);
	return r < 0 ? r : cof_erased_covers(m->ended, f) ? 0 : -EBADMSG;
}

/* A host that has not carried it out, or keeps no word, sends what was destroyed here and a receipt says is gone. */
static int without_destroyed(struct mending *m, const struct cof_frame *f, uint64_t at, uint8_t *room)
{
	uint32_t n = f->stored - f->public_length;

	if (f->type != COF_APPEND || !vault_ranges_has(&m->gone, f->object))
		return 0;
	memset(room, 0, n);
	return cof_io_write(m->fresh, room, n, at + COF_FRAME_HEADER + f->public_length);
}

/* The frame at this place of what came, whole and right: *ret_leaf is its leaf. -ENODATA: nothing more came. */
static int fresh_frame(struct mending *m, uint64_t at, uint8_t *room, struct cof_frame *ret, uint8_t leaf[COF_HASH])
{
	size_t n = 0;
	int r;

	if (at + COF_FRAME_HEADER > m->length)
		return -ENODATA;
	r = cof_io_read(m->fresh, room, COF_FRAME_HEADER, at, &n);
	if (r == 0 && (n != COF_FRAME_HEADER || cof_frame_decode(room, ret, NULL) < 0 ||
		       at + COF_FRAME_HEADER + ret->stored > m->length))
		r = -EBADMSG;
	if (r == 0)
		r = cof_io_read(m->fresh, room + COF_FRAME_HEADER, ret->stored, at + COF_FRAME_HEADER, &n);
	if (r == 0)
		r = n == ret->stored ? fresh_payload(m, ret, room + COF_FRAME_HEADER) : -EBADMSG;
	if (r == 0)
		cof_frame_leaf(room, leaf, leaf);
	if (r == 0)
		r = without_destroyed(m, ret, at, room + COF_FRAME_HEADER + ret->public_length);
	return r;
}

/* Each frame gives the stored hash, from the first one on. *ret_end: bytes of the head's frames; *ret_next: sequence. */
static int check_frames(struct mending *m, uint64_t *ret_end, uint64_t *ret_next)
{
	cof_autofree uint8_t *room = malloc(FRAME_MAX);
	uint8_t leaf[COF_HASH] = {0}, stored[COF_HASH];
	struct cof_frame f = {.sequence = 0};
	uint64_t at = 0, sequence = 0;
	size_t n = 0;
	int r = room ? cof_io_read(m->fresh, room, COF_FRAME_HEADER, 0, &n) : -ENOMEM;

	if (r == 0 && (n != COF_FRAME_HEADER || cof_frame_decode(room, &f, NULL) < 0))
		r = -EBADMSG;
	sequence = f.sequence;
	if (r == 0 && sequence)
		r = stored_leaf(m->io, sequence - 1, leaf);
	while (r == 0 && sequence < m->head.size) {
		r = fresh_frame(m, at, room, &f, leaf);
		if (r == -ENODATA) {
			r = 0;
			break;
		}
		if (r == 0 && f.sequence != sequence)
			r = -EBADMSG;
		if (r == 0)
			r = stored_leaf(m->io, sequence, stored);
		if (r == 0 && !cof_equal(leaf, stored, COF_HASH))
			r = -EBADMSG;
		if (r == 0) {
			at += COF_FRAME_HEADER + f.stored;
			sequence++;
		}
	}
	*ret_end = at;
	*ret_next = sequence;
	return r;
}

/* Nothing is missing up to where the next segment begins, as far as that one is right. */
static int check_end(struct mending *m, uint64_t next)
{
	struct cof_reader *reader = NULL;
	struct cof_frame f;
	int r;

	if (next >= m->head.size || listed(&m->damage, m->segment + 1))
		return 0;
	r = cof_reader_new(m->io, &m->conf, &reader);
	if (r == 0)
		r = cof_reader_header(reader, (m->segment + UINT64_C(1)) * m->conf.segment_size, &f, NULL, NULL);
	cof_reader_free(reader);
	return r == 0 && f.sequence != next ? -EBADMSG : r;
}

static int put_in_place(struct mending *m, uint64_t end)
{
	char path[32];
	int r = cof_io_truncate(m->fresh, end);

	if (r == 0)
		r = cof_io_sync(m->fresh);
	cof_io_close(m->fresh);
	m->fresh = NULL;
	copy_segment_path(m->segment, path);
	if (r == 0)
		r = cof_io_rename(m->io, FRESH, path);
	if (r == 0)
		r = cof_io_sync_dir(m->io, "log");
	return r;
}

static int finish_segment(struct mending *m)
{
	struct vault_damage left = {.n = 0};
	uint64_t end = 0, next = 0;
	int r;

	if (!m->fresh)
		return 0;
	r = check_frames(m, &end, &next);
	if (r == 0)
		r = check_end(m, next);
	if (r == -EBADMSG || r == -ENODATA || r == -EUCLEAN)
		return cof_fail(m->diag, -EBADMSG, "what came for segment %08x is not what this vault confirmed", m->segment);
	if (r == 0)
		r = put_in_place(m, end);
	for (unsigned i = 0; i < m->damage.n; i++)
		if (m->damage.segment[i] != m->segment)
			left.segment[left.n++] = m->damage.segment[i];
	m->damage = left;
	if (r == 0)
		r = vault_damage_save(m->io, &left);
	if (r < 0)
		return cof_fail(m->diag, r, "segment %08x cannot be written: %s", m->segment, strerror(-r));
	m->mended++;
	return 0;
}

/* With zeros over it first, where it may hold what was destroyed. */
int vault_mending_drop(struct cof_io *io)
{
	int r = vault_destroyed_any(io) ? cof_io_wipe(io, FRESH) : cof_io_unlink(io, FRESH);

	return r == -ENOENT ? 0 : r;
}

static int take_bytes(struct mending *m, const struct cof_buf *body)
{
	uint64_t address, size = m->conf.segment_size, offset;
	size_t n = body->len - 8;
	int r = 0;

	if (body->len <= 8 || body->len > 8 + VAULT_DATA)
		return cof_fail(m->diag, -EPROTO, "DATA is malformed");
	address = cof_get_le64(body->data);
	offset = address % size;
	if (m->fresh && address / size != m->segment)
		r = finish_segment(m);
	if (r < 0)
		return r;
	if (!m->fresh) {
		if (offset || address / size > UINT32_MAX || !listed(&m->damage, (uint32_t)(address / size)))
			return cof_fail(m->diag, -EPROTO, "bytes came that were not asked for");
		m->segment = (uint32_t)(address / size);
		m->length = 0;
		r = vault_mending_drop(m->io);
		if (r == 0)
			r = cof_io_create(m->io, FRESH, &m->fresh);
	}
	if (r == 0 && (offset != m->length || offset + n > size))
		return cof_fail(m->diag, -EPROTO, "bytes came out of order");
	if (r == 0)
		r = cof_io_write(m->fresh, body->data + 8, n, offset);
	m->length += n;
	return r < 0 ? cof_fail(m->diag, r, "%s cannot be written: %s", FRESH, strerror(-r)) : 0;
}

static int ask(struct mending *m)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t number[8];

	for (unsigned i = 0; i < m->damage.n; i++) {
		cof_put_le64(number, m->damage.segment[i]);
		cof_buf_add(&b, number, sizeof(number));
	}
	return b.failed ? -ENOMEM : vault_send(m->w, VAULT_DAMAGE, &(struct iovec){.iov_base = b.data, .iov_len = b.len}, 1);
}

static int take_all(struct mending *m)
{
	cof_autobuf struct cof_buf body = {0};
	uint8_t type = 0;
	int r;

	while ((r = vault_receive(m->w, &type, &body, m->diag)) == 0) {
		if (type == VAULT_END)
			return finish_segment(m);
		r = type == VAULT_DATA_IS ? take_bytes(m, &body)
					  : cof_fail(m->diag, -EPROTO, "message %u does not belong here", type);
		if (r < 0)
			return r;
	}
	return r;
}

static int load_head(struct mending *m)
{
	cof_autofree uint8_t *note = NULL;
	size_t n = 0;
	int r = cof_conf_load(m->io, &m->conf, m->diag);

	if (r == 0)
		r = cof_io_load(m->io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r == 0)
		r = cof_checkpoint_open(note, n, &m->conf.vkey, &m->head);
	if (r == 0)
		cof_buf_add(&m->note, note, n);
	return r < 0 ? cof_fail(m->diag, r, "the head of the copy cannot be read: %s", strerror(-r)) : 0;
}

int vault_take_mending(struct vault_wire *w, struct cof_io *io, unsigned *ret_mended, struct cof_diag *diag)
{
	struct mending m = {.w = w, .io = io, .diag = diag};
	int r = load_head(&m), dropped;

	if (r == 0)
		r = vault_destroyed_load(io, &m.gone);
	if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = vault_damage_load(io, &m.damage);
	if (r == 0)
		r = ask(&m);
	if (r == 0)
		r = take_all(&m);
	cof_io_close(m.fresh);
	dropped = vault_mending_drop(io);
	if (r == 0 && dropped < 0)
		r = cof_fail(diag, dropped, "%s cannot be removed: %s", FRESH, strerror(-dropped));
	*ret_mended = m.mended;
	if (r == 0)
		r = vault_send(w, VAULT_DONE, &(struct iovec){.iov_base = m.note.data, .iov_len = m.note.len}, 1);
	else if (r != -ENOTCONN && r != -EPIPE && r != -ETIMEDOUT)
		(void)vault_refuse(w, r == -EBADMSG ? VAULT_R_DATA : r == -EPROTO ? VAULT_R_MALFORMED : VAULT_R_FAILED, diag->text);
	cof_buf_done(&m.note);
	cof_erased_free(m.ended);
	vault_ranges_done(&m.gone);
	return r;
}

/* ---- the host's side ---- */

static int send_segment(struct vault_wire *w, struct vault_source *s, uint64_t segment, uint8_t *buf, uint64_t *bytes,
			struct cof_diag *diag)
{
	uint64_t size = vault_source_conf(s)->segment_size;
	struct vault_piece piece = {.n = 0};
	uint8_t fixed[8];
	int r = vault_source_segment(s, segment, diag);

	while (r == 0) {
		r = vault_source_read(s, buf, VAULT_DATA, &piece, diag);
		if (r < 0 || !piece.n || piece.address / size != segment)
			break;
		cof_put_le64(fixed, piece.address);
		r = vault_send(w, VAULT_DATA_IS,
			       (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)}, {.iov_base = buf, .iov_len = piece.n}}, 2);
		*bytes += piece.n;
	}
	return r;
}

int vault_send_mending(struct vault_wire *w, struct vault_source *s, unsigned *ret_segments, uint64_t *ret_bytes,
		       struct cof_diag *diag)
{
	cof_autobuf struct cof_buf body = {0};
	cof_autofree uint8_t *buf = malloc(VAULT_DATA);
	int r = buf ? vault_expect(w, VAULT_DAMAGE, &body, NULL, diag) : cof_fail(diag, -ENOMEM, "out of memory");

	if (r == 0 && (body.len % 8 || body.len > (size_t)8 * VAULT_MEND_MAX))
		r = cof_fail(diag, -EPROTO, "DAMAGE is malformed");
	*ret_segments = (unsigned)(body.len / 8);
	*ret_bytes = 0;
	for (size_t i = 0; r == 0 && i < body.len / 8; i++)
		r = send_segment(w, s, cof_get_le64(body.data + 8 * i), buf, ret_bytes, diag);
	if (r == 0)
		r = vault_send(w, VAULT_END, NULL, 0);
	if (r == -EPIPE) /* it may have said why before it went */
		return vault_expect(w, VAULT_DONE, &body, NULL, diag);
	return r < 0 ? r : vault_expect(w, VAULT_DONE, &body, NULL, diag);
}
