/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy is made, opened, recovered. What was finished is trusted as far as the stored hashes give its head; what lies
 * behind was on its way when a session ended, and is looked at again frame by frame. Nothing of it counts before the
 * next head proves it.
 */
#include <stdio.h>

#include "tools/vault/internal.h"

int vault_copy_create(struct cof_io *io, const void *conf, size_t n, struct cof_diag *diag)
{
	struct cof_conf c;
	int r = cof_conf_parse(conf, n, &c, diag);

	if (r < 0)
		return r;
	r = cof_io_mkdir(io, "log");
	if (r == 0 || r == -EEXIST)
		r = cof_io_mkdir(io, "tile");
	if (r == 0 || r == -EEXIST)
		r = cof_io_exists(io, "archive.conf");
	if (r == 0) { /* else both were durable before it was */
		r = cof_io_sync_dir(io, "");
		if (r == 0)
			r = cof_io_replace(io, "archive.conf", conf, n);
	}
	if (r < 0)
		return cof_fail(diag, r, "%s: a copy cannot be made: %s", cof_io_where(io), strerror(-r));
	return 0;
}

/* ---- going back ---- */

struct later {
	uint64_t from; /* segments */
	struct cof_io *io;
};

static int remove_later(void *user, const char *name)
{
	const struct later *l = user;
	char *end = NULL, path[32];
	unsigned long long number = strtoull(name, &end, 16);

	if (end != name + 8 || strcmp(end, ".seg") || number < l->from)
		return 0;
	copy_segment_path(number, path);
	return cof_io_unlink(l->io, path);
}

int copy_back_to(struct vault_copy *c, uint64_t size, uint64_t address)
{
	uint64_t number = address / c->conf.segment_size, offset = address % c->conf.segment_size;
	struct later later = {.from = offset ? number + 1 : number, .io = c->io};
	cof_autofile struct cof_file *f = NULL;
	char path[32];
	int r;

	copy_close_segments(c);
	c->part_len = c->part_want = 0;
	c->unproven = 0;
	if (c->known.size > size)
		c->known = (struct cof_known){.size = 0};
	c->came = c->came && c->known.size;
	cof_reader_free(c->reader); /* it may have files open that go */
	c->reader = NULL;
	r = cof_reader_new(c->io, &c->conf, &c->reader);
	if (r == 0)
		r = cof_io_list(c->io, "log", remove_later, &later);
	copy_segment_path(number, path);
	if (r == 0 && offset) {
		r = cof_io_open(c->io, path, COF_IO_RDWR, &f);
		if (r == 0)
			r = cof_io_truncate(f, offset);
		if (r == 0)
			r = cof_io_sync(f);
	}
	if (r == 0)
		r = copy_tree_back(&c->tree, size);
	if (r == 0 && size)
		r = copy_tree_leaf(&c->tree, size - 1, c->previous);
	if (r < 0)
		return r;
	if (!size)
		memset(c->previous, 0, COF_HASH);
	c->boundary = address;
	if (!c->blind || c->proven > size) {
		c->proven = size;
		c->proven_end = address;
	}
	return 0;
}

/* ---- what lies there ---- */

enum scanned { SCAN_WHOLE, SCAN_PART, SCAN_END, SCAN_WRONG };

/* The frame at the boundary, taken when it is whole and right. */
static int scan_one(struct vault_copy *c, struct cof_file *f, enum scanned *ret)
{
	uint64_t offset = c->boundary % c->conf.segment_size, bytes;
	struct cof_frame frame;
	size_t n = 0, want = COF_FRAME_HEADER;
	int r = cof_io_size(f, &bytes);

	*ret = SCAN_END;
	if (r < 0 || bytes <= offset)
		return r;
	r = cof_io_read(f, c->part, want, offset, &n);
	if (r < 0)
		return r;
	if (n == want) {
		*ret = SCAN_WRONG;
		if (copy_judge_header(c, c->part, &frame, NULL) < 0)
			return 0;
		want += frame.stored;
		c->part_want = want;
		r = cof_io_read(f, c->part, want, offset, &n);
		if (r < 0)
			return r;
	}
	if (n < want) {
		*ret = SCAN_PART;
		c->part_len = n;
		return 0;
	}
	c->part_want = 0;
	r = copy_take_frame(c, c->part, NULL);
	*ret = r < 0 ? SCAN_WRONG : SCAN_WHOLE;
	return r == -EBADMSG || r == -EUCLEAN ? 0 : r;
}

/* From the boundary on; ends where nothing whole and right follows. limit: frames, or UINT64_MAX. */
static int scan(struct vault_copy *c, uint64_t limit, enum scanned *ret)
{
	uint64_t size = c->conf.segment_size, number = UINT64_MAX;
	cof_autofile struct cof_file *f = NULL;
	int r = 0;

	*ret = SCAN_END;
	while (r == 0 && c->tree.frontier.size < limit) {
		char path[32];

		if (number != c->boundary / size) {
			cof_io_closep(&f);
			f = NULL;
			number = c->boundary / size;
			copy_segment_path(number, path);
			r = cof_io_open(c->io, path, COF_IO_RDONLY, &f);
			if (r == -ENOENT)
				return 0;
			if (r < 0)
				return r;
		}
		r = scan_one(c, f, ret);
		if (r < 0 || *ret == SCAN_PART || *ret == SCAN_WRONG)
			return r;
		if (*ret == SCAN_END && c->boundary % size == 0)
			return 0;
		if (*ret == SCAN_END) {
			copy_segment_path(number + 1, path);
			if (cof_io_exists(c->io, path) != 1)
				return 0;
			c->boundary = (number + 1) * size;
		}
	}
	return r;
}

static int load_head(struct vault_copy *c, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	size_t n = 0;
	int r = cof_io_load(c->io, "checkpoint", COF_NOTE_MAX, &note, &n);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = cof_checkpoint_open(note, n, &c->conf.vkey, &c->head);
	if (r < 0)
		return cof_fail(diag, r == -EIO || r == -ENOMEM ? r : -EUCLEAN,
				"%s/checkpoint is damaged: it is not signed with the archive's key", cof_io_where(c->io));
	c->note = (char *)note;
	note = NULL;
	return 0;
}

/* Where the head's last frame begins: where it was found before, if the stored hashes say that it is that one; else it is
 * looked for. */
static bool find_last(struct vault_copy *c, struct cof_frame *f, uint64_t *ret)
{
	uint8_t raw[COF_FRAME_HEADER], previous[COF_HASH] = {0}, leaf[COF_HASH];
	struct cof_known known = {.size = 0};
	uint64_t size = c->head.size;

	if (cof_known_load(c->io, &c->conf, &known) == 0 && known.size == size &&
	    cof_reader_header(c->reader, known.last, f, raw, NULL) == 0 &&
	    (size == 1 || copy_tree_leaf(&c->tree, size - 2, previous) == 0)) {
		cof_frame_leaf(raw, previous, leaf);
		if (cof_equal(leaf, c->previous, COF_HASH)) {
			c->known = known;
			*ret = known.last;
			return true;
		}
	}
	return cof_reader_find(c->reader, size - 1, ret, NULL) == 0 && cof_reader_header(c->reader, *ret, f, NULL, NULL) == 0;
}

/* By the stored hashes and the last frame of the head: false where they do not lead there. */
static bool find_quickly(struct vault_copy *c)
{
	uint8_t root[COF_HASH];
	struct cof_frame f = {.stored = 0};
	uint64_t at = 0;

	if (c->anew || copy_tree_back(&c->tree, c->head.size) < 0)
		return false;
	cof_frontier_root(&c->tree.frontier, root);
	if (!cof_equal(root, c->head.root, COF_HASH) || copy_tree_leaf(&c->tree, c->head.size - 1, c->previous) < 0 ||
	    !find_last(c, &f, &at))
		return false;
	c->boundary = at + COF_FRAME_HEADER + f.stored;
	return true;
}

/* All of the log up to the head, frame by frame: whether it leads there. */
static int read_through(struct vault_copy *c)
{
	uint8_t root[COF_HASH];
	enum scanned how;
	int r;

	memset(c->previous, 0, COF_HASH);
	c->boundary = 0;
	c->part_len = c->part_want = 0;
	r = scan(c, c->head.size, &how);
	cof_frontier_root(&c->tree.frontier, root);
	return r < 0 ? r : c->tree.frontier.size == c->head.size && cof_equal(root, c->head.root, COF_HASH) ? 0 : -EUCLEAN;
}

/*
 * Where the head's frames end. All of the log is read where stored hashes are missing, or where a session ended within
 * the first header of a segment, which no search by sequence gets past. The stored hashes are what damaged frames are
 * mended by: they are written anew only once it is known that the log gives all of them.
 */
static int find_head(struct vault_copy *c, struct cof_diag *diag)
{
	int r = 0;

	if (!c->head.size) {
		r = copy_tree_back(&c->tree, 0);
	} else if (!find_quickly(c)) {
		copy_tree_dry(&c->tree);
		r = read_through(c);
		if (r < 0)
			return cof_fail(diag, r == -ENOMEM || r == -EIO ? r : -EUCLEAN,
					"%s: of %llu frames that were confirmed only %llu are there and right",
					cof_io_where(c->io), (unsigned long long)c->head.size,
					(unsigned long long)c->tree.frontier.size);
		r = copy_tree_back(&c->tree, 0);
		if (r == 0)
			r = read_through(c);
	}
	if (r < 0)
		return cof_fail(diag, r, "%s/tile cannot be written: %s", cof_io_where(c->io), strerror(-r));
	c->weakening = 0;
	c->head_end = c->proven_end = c->boundary;
	c->proven = c->head.size;
	return 0;
}

static int recover(struct vault_copy *c, struct cof_diag *diag)
{
	enum scanned how = SCAN_END;
	uint64_t size, end;
	int r = find_head(c, diag);

	if (r < 0)
		return r;
	r = scan(c, UINT64_MAX, &how);
	if (r == 0 && how == SCAN_WRONG) {
		size = c->tree.frontier.size;
		end = c->boundary;
		r = copy_back_to(c, size, end);
	}
	/* nothing behind the head is proven yet */
	c->proven = c->head.size;
	c->proven_end = c->head_end;
	if (r < 0)
		return cof_fail(diag, r, "%s cannot be read: %s", cof_io_where(c->io), strerror(-r));
	return 0;
}

static int open_copy(struct cof_io *io, bool anew, struct vault_copy **ret, struct cof_diag *diag)
{
	struct vault_copy *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return cof_fail(diag, -ENOMEM, "out of memory");
	c->io = io;
	c->anew = anew;
	c->part = malloc(FRAME_MAX);
	r = c->part ? cof_conf_load(io, &c->conf, diag) : -ENOMEM;
	if (r == 0)
		r = cof_reader_new(io, &c->conf, &c->reader);
	if (r == 0)
		r = copy_tree_open(&c->tree, io, diag);
	if (r == 0)
		r = load_head(c, diag);
	if (r == 0)
		r = recover(c, diag);
	if (r < 0) {
		vault_copy_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int vault_copy_open(struct cof_io *io, struct vault_copy **ret, struct cof_diag *diag)
{
	return open_copy(io, false, ret, diag);
}

int vault_copy_mend_hashes(struct cof_io *io, struct cof_diag *diag)
{
	struct vault_copy *c = NULL;
	int r = open_copy(io, true, &c, diag);

	if (r == 0) {
		r = copy_tree_sync(&c->tree);
		if (r < 0)
			cof_fail(diag, r, "%s/tile cannot be written: %s", cof_io_where(io), strerror(-r));
	}
	vault_copy_free(c);
	return r;
}

void vault_copy_free(struct vault_copy *c)
{
	if (!c)
		return;
	copy_close_segments(c);
	copy_tree_done(&c->tree);
	cof_reader_free(c->reader);
	cof_erased_free(c->ended);
	cof_erased_free(c->coming_ended);
	cof_buf_done(&c->told);
	free(c->note);
	free(c->part);
	free(c);
}
