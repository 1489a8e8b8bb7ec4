/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a log, and opening one: docs/format.md section 8.
 *
 * What the checkpoint covers is proven before anything is trusted: its signature, the root over the
 * stored hashes, the last covered leaf by an inclusion proof, and the frame that gives that leaf,
 * in its place. Behind it frames are walked one by one. Below it nothing may be missing; behind it
 * a torn tail is cut (cut.c). Nothing is written before all of that is known.
 */
#include <stdio.h>

#include "fs/log/chained.h"
#include "fs/log/cut.h"
#include "fs/log/heads.h"
#include "fs/log/scan.h"

static int make_layout(const struct cof_log_params *p, struct cof_diag *diag)
{
	static const char *const dirs[] = {"log", "aside", "tile"};
	struct cof_buf text COF_CLEANUP(cof_buf_done) = {0};
	int r;

	for (size_t i = 0; i < COF_COUNT(dirs); i++) {
		r = cof_io_mkdir(p->io, dirs[i]);
		if (r < 0 && r != -EEXIST)
			return cof_fail(diag, r, "%s/%s cannot be made: %s", cof_io_where(p->io),
					dirs[i], strerror(-r));
	}
	r = cof_conf_text(p->conf, &text);
	if (!r)
		r = cof_io_replace(p->io, "archive.conf", text.data, text.len);
	if (!r)
		r = cof_io_sync_dir(p->io, "");
	if (r < 0)
		return cof_fail(diag, r, "%s/archive.conf cannot be written: %s",
				cof_io_where(p->io), strerror(-r));
	return 0;
}

/* Frame 0: archive.conf in its public part, sealed as if by a mount at epoch 1 without a salt. */
static int append_archive(struct cof_log *log)
{
	static const uint8_t no_salt[32];
	struct cof_buf text COF_CLEANUP(cof_buf_done) = {0};
	struct cof_frame f = {.type = COF_ARCHIVE};
	int r;

	r = cof_conf_text(&log->conf, &text);
	if (r < 0)
		return r;
	r = cof_seal_mount_key(LOG_EPOCH(log), no_salt, log->conf.id, LOG_SEAL(log));
	if (r < 0)
		return r;
	r = cof_log_append_public(log, &f, text.data, (uint32_t)text.len, NULL, NULL);
	return r < 0 ? r : cof_log_sync(log, 0);
}

int cof_log_create(const struct cof_log_params *p, const struct cof_log_secrets *s,
		   struct cof_log **ret, struct cof_diag *diag)
{
	struct cof_log *log;
	int r = make_layout(p, diag);

	if (r < 0)
		return r;
	log = cof_log_alloc(p, s, diag);
	if (!log)
		return -ENOMEM;
	r = cof_tiles_open(log, diag);
	if (!r)
		r = cof_segment_new(log, 0, &log->current);
	if (!r)
		r = append_archive(log);
	if (r < 0) {
		cof_log_abandon(log);
		if (diag && !diag->text[0])
			cof_fail(diag, r, "the first frame cannot be written in %s: %s",
				 cof_io_where(p->io), strerror(-r));
		return r;
	}
	*ret = log;
	return 0;
}

static int damaged(struct cof_log *log, struct cof_diag *diag, const char *what)
{
	return cof_fail(diag, -EUCLEAN,
			"%s: %s; nothing will be written to this archive. Run: coffer verify %s",
			cof_io_where(log->p.io), what, cof_io_where(log->p.io));
}

/*
 * archive.conf says how the log is laid out: a changed one would have frames written where no
 * reader looks. Frame 0 repeats it.
 */
static int check_conf(struct cof_log *log, uint8_t *payload, struct cof_diag *diag)
{
	struct cof_buf text COF_CLEANUP(cof_buf_done) = {0};
	struct cof_frame f;
	int r = cof_conf_text(&log->conf, &text);

	if (r < 0)
		return r;
	r = cof_reader_header(log->reader, 0, &f, NULL, NULL);
	if (!r && (f.type != COF_ARCHIVE || f.sequence))
		r = -EUCLEAN;
	if (!r)
		r = cof_reader_payload(log->reader, 0, &f, 0, payload, f.stored);
	if (r == -EUCLEAN || r == -ENODATA || r == -EOPNOTSUPP)
		return damaged(log, diag,
			       "log/00000000.seg at offset 0: frame 0 is missing or damaged");
	if (r < 0)
		return cof_fail(diag, r, "%s/log/00000000.seg cannot be read: %s",
				cof_io_where(log->p.io), strerror(-r));
	if (f.public_length != text.len || f.stored != text.len ||
	    memcmp(payload, text.data, text.len) != 0)
		return damaged(log, diag,
			       "archive.conf is not what frame 0 says it was when the archive was "
			       "made");
	return 0;
}

/* The file is missing: what the chain repeats does as well, if all below it is there. */
static int newest_chained(struct scan *s, struct cof_recovered *rec, struct cof_checkpoint *ret,
			  struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	int r = cof_chained_find(log, s->payload, ret, log->checkpoint_text);

	if (r == -ENOENT)
		return damaged(log, diag,
			       "the file checkpoint is missing, and none is repeated in the log");
	if (r < 0)
		return cof_fail(diag, r, "%s/log cannot be read: %s", cof_io_where(log->p.io),
				strerror(-r));
	log->checkpoint_size = ret->size;
	rec->checkpoint = COF_CHECKPOINT_MISSING;
	return 0;
}

static int load_checkpoint(struct scan *s, struct cof_recovered *rec, struct cof_checkpoint *ret,
			   struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	cof_autofree uint8_t *note = NULL;
	uint8_t public_key[32];
	size_t n;
	int r;

	r = cof_ed25519_public(LOG_SEED(log), public_key);
	if (r < 0)
		return r;
	if (!cof_equal(public_key, log->conf.vkey.public_key, 32))
		return damaged(log, diag,
			       "keys/ does not belong to the log that archive.conf names");
	r = cof_io_load(log->p.io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r == -ENOENT)
		return newest_chained(s, rec, ret, diag);
	if (r == -EFBIG)
		return damaged(log, diag, "the file checkpoint is too large to be one");
	if (r == -ELOOP || r == -EINVAL || r == -EISDIR || r == -ENXIO)
		return damaged(log, diag, "checkpoint is no regular file");
	if (r < 0)
		return cof_fail(diag, r, "%s/checkpoint cannot be read: %s",
				cof_io_where(log->p.io), strerror(-r));
	if (cof_checkpoint_open(note, n, &log->conf.vkey, ret) < 0 || !ret->size)
		return damaged(log, diag, "the file checkpoint does not carry the log's signature");
	memcpy(log->checkpoint_text, note, COF_MIN(n, sizeof(log->checkpoint_text) - 1));
	log->checkpoint_size = ret->size;
	return 0;
}

static bool gives_root(struct cof_log *log, const struct cof_checkpoint *cp)
{
	uint8_t root[COF_HASH];

	cof_frontier_root(&log->tiles.frontier, root);
	return cof_equal(root, cp->root, COF_HASH);
}

/* The stored hashes give the signed root: the frontier is theirs. Otherwise they are made anew. */
static bool tiles_hold(struct cof_log *log, const struct cof_checkpoint *cp)
{
	return cof_tiles_reset(log, cp->size) == 0 &&
	       cof_frontier_load(&log->tiles.frontier, cp->size, cof_tiles_get, log) == 0 &&
	       gives_root(log, cp);
}

/* The last covered leaf, proven against the signed root. */
static bool prove_leaf(struct cof_log *log, const struct cof_checkpoint *cp, uint8_t leaf[COF_HASH],
		       uint8_t before[COF_HASH])
{
	uint8_t proof[COF_PROOF_MAX][COF_HASH];
	uint64_t last = cp->size - 1;
	size_t n;

	memset(before, 0, COF_HASH);
	if (cof_tiles_get(log, 0, last, leaf) < 0 ||
	    (last && cof_tiles_get(log, 0, last - 1, before) < 0) ||
	    cof_merkle_inclusion(last, cp->size, cof_tiles_get, log, proof, &n) < 0)
		return false;
	return !cof_merkle_verify_inclusion(last, cp->size, leaf, (const void *)proof, n, cp->root);
}

static int unreadable(struct scan *s, int err, struct cof_diag *diag)
{
	return cof_fail(diag, err, "%s/log cannot be read: %s", cof_io_where(s->log->p.io),
			strerror(-err));
}

/* The frame that gives that leaf is in its place, payload and all: the scan starts behind it. */
static int start_at_checkpoint(struct scan *s, const struct cof_checkpoint *cp, bool *ret_proven,
			       struct cof_diag *diag)
{
	uint8_t leaf[COF_HASH], before[COF_HASH], got[COF_HASH], raw[COF_FRAME_HEADER];
	struct cof_log *log = s->log;
	uint64_t good = 0;
	struct cof_frame f;
	int r;

	*ret_proven = false;
	if (!prove_leaf(log, cp, leaf, before))
		return 0;
	r = cof_reader_find(log->reader, cp->size - 1, &s->address, diag);
	if (!r)
		r = cof_reader_header(log->reader, s->address, &f, raw, diag);
	if (!r)
		r = cof_reader_payload(log->reader, s->address, &f, 0, s->payload, f.stored);
	if (r == -ENOMEM || r == -EIO || r == -EMFILE || r == -ENFILE)
		return r;
	if (r)
		return 0; /* the walk from the start says exactly what is missing */
	cof_frame_leaf(raw, before, got);
	r = cof_scan_payload(log, &f, s->payload);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r < 0 || !cof_equal(got, leaf, COF_HASH))
		return 0;
	memcpy(s->previous, leaf, COF_HASH);
	s->sequence = cp->size;
	s->address += COF_FRAME_HEADER + f.stored;
	s->mount = f.mount;
	s->retention = f.retention_time;
	s->record = f.record_time;
	s->significant = f.type;
	if (f.type != COF_UNMOUNT) { /* not closed: did all of the hashes reach the disk? */
		r = cof_tiles_good(log, cp->size, &good);
		if (r < 0)
			return unreadable(s, r, diag);
		if (good < cp->size)
			return 0;
	}
	*ret_proven = true;
	return 0;
}

/* How many leaves the stored hashes have for certain, when they are behind the checkpoint. */
static uint64_t tiles_have(struct cof_log *log, uint64_t limit)
{
	uint64_t n = limit;

	for (unsigned l = 0; l < COF_TILE_LEVELS; l++) {
		uint64_t bytes, have;

		if (cof_io_size(log->tiles.file[l], &bytes) < 0)
			return 0;
		have = bytes / COF_HASH;
		if (have < n >>
		    (8 * l)) /* then no more than what makes `have` subtrees and a rest */
			n = ((have + 1) << (8 * l)) - 1;
	}
	return n;
}

/*
 * The hashes were not all on disk (a power cut): start from those that are. They are believed only
 * because the walk from there gives the signed root in the end.
 */
static bool start_behind(struct scan *s, uint64_t size)
{
	struct cof_log *log = s->log;
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_frame f;

	if (!size || cof_tiles_reset(log, size) < 0 ||
	    cof_frontier_load(&log->tiles.frontier, size, cof_tiles_get, log) < 0 ||
	    cof_tiles_get(log, 0, size - 1, s->previous) < 0 ||
	    cof_reader_find(log->reader, size - 1, &s->address, NULL) < 0 ||
	    cof_reader_header(log->reader, s->address, &f, raw, NULL) < 0)
		return false;
	s->sequence = size;
	s->address += COF_FRAME_HEADER + f.stored;
	s->mount = f.mount;
	s->retention = f.retention_time;
	s->record = f.record_time;
	s->significant = f.type;
	return true;
}

static int not_covered(struct scan *s, const struct cof_checkpoint *cp, struct cof_diag *diag)
{
	uint64_t size = s->log->conf.segment_size;
	char what[1024];

	snprintf(
	    what, sizeof(what),
	    "log/%08llx.seg at offset %llu: frame %llu of the %llu that the checkpoint covers is "
	    "missing or damaged%s%.300s",
	    (unsigned long long)(s->address / size), (unsigned long long)(s->address % size),
	    (unsigned long long)s->sequence, (unsigned long long)cp->size,
	    s->why.text[0] ? ": " : "", s->why.text);
	return damaged(s->log, diag, what);
}

/* From where the stored hashes end, or from frame 0. False: they do not help. */
static bool start_walk(struct scan *s, uint64_t size)
{
	*s = (struct scan){.log = s->log, .payload = s->payload};
	if (size)
		return start_behind(s, size);
	cof_frontier_init(&s->log->tiles.frontier);
	return cof_tiles_reset(s->log, 0) == 0;
}

/* Walks up to the checkpoint's size. *ret_proven: the frames are there and give its root. */
static int walk_from(struct scan *s, const struct cof_checkpoint *cp, uint64_t size,
		     bool *ret_proven)
{
	int r = 0;

	*ret_proven = false;
	s->log->tiles.dropped = false;
	if (!start_walk(s, size))
		return 0;
	r = cof_scan_run(s, cp->size);
	*ret_proven = r == 0 && s->sequence == cp->size && gives_root(s->log, cp);
	return r;
}

/* To the checkpoint, from as far as the stored hashes help, else from frame 0. */
static int walk_to_checkpoint(struct scan *s, const struct cof_checkpoint *cp,
			      struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	uint64_t from = 0;
	bool proven = false;
	int r = cof_tiles_good(log, tiles_have(log, cp->size - 1), &from);

	if (r == 0 && from)
		r = walk_from(s, cp, from, &proven);
	if (r == 0 && !proven) {
		from = 0;
		r = walk_from(s, cp, from, &proven);
	}
	if (r < 0)
		return unreadable(s, r, diag);
	if (s->sequence < cp->size)
		return not_covered(s, cp, diag);
	if (!proven)
		return damaged(log, diag,
			       "the frames do not give the root that the checkpoint signs");
	if (log->tiles.dropped) { /* proven, so now the hashes may be stored: once more */
		log->tiles.held = false;
		r = walk_from(s, cp, from, &proven);
		if (r == 0 && !proven)
			r = -EIO; /* other bytes than a moment ago */
		return r < 0 ? unreadable(s, r, diag) : 0;
	}
	return 0;
}

/* The writer stands where the scan ended. */
static int take_position(struct scan *s, struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	int r = cof_cut_position(s, diag);

	if (r < 0)
		return r;
	memcpy(log->previous, s->previous, COF_HASH);
	log->size = log->ring_start = s->sequence;
	log->mount = s->mount;
	log->last_retention = s->retention;
	atomic_store(&log->written, s->sequence);
	atomic_store(&log->durable, s->sequence);
	log->last_significant = s->sequence;
	return 0;
}

static void report(struct scan *s, struct cof_recovered *rec)
{
	struct cof_log *log = s->log;

	rec->checkpoint_size = log->checkpoint_size;
	rec->size = s->sequence;
	rec->kept = s->sequence - log->checkpoint_size;
	rec->clean = s->significant == COF_UNMOUNT && !rec->torn_segments &&
		     rec->checkpoint == COF_CHECKPOINT_THERE;
	rec->last_mount = s->mount;
	rec->end_address = s->address;
	rec->last_retention = s->retention;
	rec->last_record = s->record;
	rec->anchored = s->anchored;
	if (s->mount &&
	    cof_scan_find_mount(log, s->mount, log->current->number, &rec->last_mount_address) < 0)
		rec->last_mount_address = 0;
}

/* Proves what the checkpoint covers, then goes on to where the frames end. */
static int prove_and_scan(struct scan *s, const struct cof_checkpoint *cp,
			  struct cof_recovered *rec, struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	bool proven = false;
	int r = 0;

	log->tiles.held = true;
	if (tiles_hold(log, cp))
		r = start_at_checkpoint(s, cp, &proven, diag);
	if (r < 0)
		return r;
	if (!proven) {
		rec->tiles_rebuilt = true;
		r = walk_to_checkpoint(s, cp, diag);
		if (r < 0)
			return r;
	}
	r = cof_tiles_release(log, s->significant != COF_UNMOUNT);
	if (r < 0)
		return cof_fail(diag, r, "%s/tile cannot be written: %s", cof_io_where(log->p.io),
				strerror(-r));
	s->newer = 0;
	s->unsure = s->address;
	r = cof_scan_run(s, UINT64_MAX);
	return r < 0 ? unreadable(s, r, diag) : 0;
}

/* A CHECKPOINT frame comes after the file, so an older file was put back: the frame counts. */
static int take_newer(struct scan *s, struct cof_recovered *rec, struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	struct cof_checkpoint cp;
	char text[COF_CHAINED_TEXT];
	int r = cof_chained_load(log, s->newer, s->payload, &cp, text);

	if (r == -ENOENT || (!r && cp.size <= log->checkpoint_size))
		return 0; /* not the log's own: what the chain is worth is for verify to say */
	if (r < 0)
		return unreadable(s, r, diag);
	log->checkpoint_size = cp.size;
	memcpy(log->checkpoint_text, text, sizeof(text));
	rec->checkpoint = COF_CHECKPOINT_OLD;
	*s = (struct scan){.log = log, .payload = s->payload};
	return prove_and_scan(s, &cp, rec, diag);
}

static int write_checkpoint_again(struct cof_log *log, struct cof_diag *diag)
{
	const char *text = log->checkpoint_text;
	int r = cof_io_replace(log->p.io, "checkpoint", text, strlen(text));

	return r < 0 ? cof_fail(diag, r, "%s/checkpoint cannot be written: %s",
				cof_io_where(log->p.io), strerror(-r))
		     : 0;
}

static int recover(struct scan *s, struct cof_recovered *rec, struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	struct cof_checkpoint cp;
	int r = check_conf(log, s->payload, diag);

	if (!r)
		r = load_checkpoint(s, rec, &cp, diag);
	if (!r)
		r = cof_tiles_open(log, diag);
	if (!r)
		r = prove_and_scan(s, &cp, rec, diag);
	if (!r && s->newer)
		r = take_newer(s, rec, diag);
	if (!r)
		r = cof_heads_check(s, diag);
	if (!r)
		r = cof_cut_wanted(s, diag);
	cof_reader_walk(log->reader, false); /* what is cut is not what was read */
	if (r > 0)
		r = cof_cut_tail(s, rec, diag);
	cof_reader_walk(log->reader, true);
	if (!r)
		r = take_position(s, diag);
	if (!r && rec->checkpoint != COF_CHECKPOINT_THERE)
		r = write_checkpoint_again(log, diag);
	if (!r)
		report(s, rec);
	return r;
}

int cof_log_open(const struct cof_log_params *p, const struct cof_log_secrets *s,
		 struct cof_log **ret, struct cof_recovered *ret_recovered, struct cof_diag *diag)
{
	cof_autofree uint8_t *payload = malloc(COF_SCAN_PAYLOAD);
	struct cof_recovered rec = {0};
	struct cof_log *log;
	struct scan scan;
	int r;

	if (!payload)
		return -ENOMEM;
	log = cof_log_alloc(p, s, diag);
	if (!log)
		return -ENOMEM;
	scan = (struct scan){.log = log, .payload = payload};
	cof_reader_walk(log->reader, true); /* nobody writes yet */
	r = recover(&scan, &rec, diag);
	cof_reader_walk(log->reader, false);
	cof_erased_free(log->erased);
	log->erased = NULL;
	if (r < 0) {
		cof_log_abandon(log);
		return r;
	}
	log->was_clean = rec.clean;
	*ret = log;
	*ret_recovered = rec;
	return 0;
}
