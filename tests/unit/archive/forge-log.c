/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody can do who has an archive's opener at this moment: rewrites one frame of a log that nobody
 * has mounted, and all that follows from it. Every hash, stored hash and signature fits afterwards; the
 * seal tags stay, since the keys that made them are gone.
 *
 *   forge-log STORE KEYFILE SEQUENCE       that frame is a day older; the log is one segment
 */
#include <fcntl.h>
#include <stdio.h>

#include "fs/archive/keys-box.h"

#define DAY (86400 * COF_NSEC)

struct out {
	struct cof_conf conf;
	struct cof_keys *keys;
	struct cof_buf log, tile[8], note;
	struct cof_frontier tree;
	uint8_t previous[COF_HASH];
};

static void need(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "forge-log: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void tile(void *user, unsigned level, uint64_t index, const uint8_t hash[COF_HASH])
{
	struct out *o = user;

	(void)index;
	if (level < 8)
		cof_buf_add(&o->tile[level], hash, COF_HASH);
}

/* The note of today's tree, signed with today's key; the frame's other fields stay. */
static void sign_again(struct out *o, struct cof_frame *f, const uint8_t *payload, struct cof_buf *ret)
{
	struct cof_checkpoint cp = {.size = o->tree.size};
	struct cof_field field;
	size_t off = 0;

	memcpy(cp.origin, o->conf.vkey.name, sizeof(cp.origin));
	cof_frontier_root(&o->tree, cp.root);
	o->note.len = 0;
	need(cof_checkpoint_sign(&cp, &o->conf.vkey, o->keys->signing, &o->note), "a checkpoint");
	cof_field_put(ret, COF_T_NOTE, o->note.data, o->note.len);
	while (cof_field_next(payload, f->public_length, &off, &field) > 0)
		if (field.tag != COF_T_NOTE)
			cof_field_put(ret, field.tag, field.value, field.len);
	f->position = cp.size;
	f->public_length = f->stored = (uint32_t)ret->len;
}

static void put(struct out *o, struct cof_frame *f, const uint8_t *payload)
{
	cof_autobuf struct cof_buf pub = {0};
	uint8_t raw[COF_FRAME_HEADER], *copy;

	if (f->type == COF_CHECKPOINT) {
		sign_again(o, f, payload, &pub);
		payload = pub.data;
		copy = malloc(pub.len);
		need(copy ? cof_payload_seal(f, NULL, o->conf.id, payload, f->public_length, NULL, copy) : -ENOMEM,
		     "a payload");
		free(copy);
	}
	cof_frame_encode(f, raw);
	cof_frame_leaf(raw, o->previous, o->previous);
	cof_frontier_add(&o->tree, o->previous, tile, o);
	cof_buf_add(&o->log, raw, sizeof(raw));
	cof_buf_add(&o->log, payload, f->stored);
}

static void rewrite(struct out *o, struct cof_io *io, uint64_t sequence)
{
	cof_autofree uint8_t *log = NULL;
	size_t n = 0;

	need(cof_io_load(io, "log/00000000.seg", o->conf.segment_size, &log, &n), "the log");
	cof_frontier_init(&o->tree);
	for (size_t at = 0; at + COF_FRAME_HEADER <= n;) {
		struct cof_frame f;
		size_t payload = at + COF_FRAME_HEADER;

		if (cof_frame_decode(log + at, &f, NULL) < 0)
			break;
		at = payload + f.stored;
		if (f.sequence == sequence)
			f.record_time -= DAY;
		put(o, &f, log + payload);
	}
	need(cof_io_replace(io, "log/00000000.seg", o->log.data, o->log.len), "the log");
	need(cof_io_replace(io, "checkpoint", o->note.data, o->note.len), "the checkpoint");
	for (unsigned l = 0; l < 8; l++) {
		char path[16];

		snprintf(path, sizeof(path), "tile/%u", l);
		need(cof_io_replace(io, path, o->tile[l].len ? o->tile[l].data : (uint8_t *)"", o->tile[l].len),
		     path);
	}
}

int main(int argc, char **argv)
{
	struct cof_opener_secret secret = {.kind = COF_OPENER_FILE};
	struct cof_diag diag = {""};
	struct cof_io *io = NULL;
	struct out o = {0};
	char *key;
	int fd;

	if (argc != 4)
		return 2;
	need(cof_crypto_init(1u << 20, &diag), "start");
	key = cof_secret_alloc(4096);
	fd = open(argv[2], O_RDONLY);
	need(fd < 0 || !key ? -ENOENT : cof_read_all(fd, key, 4096, &secret.len), "the key file");
	secret.data = key;
	need(cof_io_plain(argv[1], &io, &diag), "the store");
	need(cof_conf_load(io, &o.conf, &diag), "the archive");
	need(cof_keys_open(io, o.conf.id, &secret, &o.keys, &diag), diag.text);
	rewrite(&o, io, strtoull(argv[3], NULL, 10));
	cof_keys_free(o.keys);
	cof_secret_free(key);
	cof_io_free(io);
	cof_buf_done(&o.log);
	cof_buf_done(&o.note);
	for (unsigned l = 0; l < 8; l++)
		cof_buf_done(&o.tile[l]);
	return 0;
}
