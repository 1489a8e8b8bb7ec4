/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether keys belong to a log: each MOUNT frame carries a commitment to the metadata key of its mount,
 * the first APPEND of each file and mount one to that file's key (docs/format.md 7.4). Nothing is
 * written, and no other key is needed.
 */
#include <stdio.h>

#include "fs/archive/envelope.h"
#include "fs/archive/internal.h"
#include "fs/archive/show.h"

struct checking {
	const struct cof_keys *keys;
	const struct cof_conf *conf;
	struct cof_reader *reader;
	uint8_t *key; /* secure memory */
	uint32_t mount;
	uint8_t salt[32];
	struct cof_keys_checked out;
	struct cof_diag *diag;
};

static int same_signing(const struct cof_keys *k, const struct cof_conf *conf, struct cof_diag *diag)
{
	uint8_t public_key[32];
	int r = cof_ed25519_public(k->signing, public_key);

	if (r < 0)
		return cof_fail(diag, r, "the log signing key cannot be used: %s", strerror(-r));
	if (!cof_equal(public_key, conf->vkey.public_key, sizeof(public_key)))
		return cof_fail(diag, -EKEYREJECTED,
				"the log signing key is not the one that archive.conf names: one of the two is "
				"of another archive");
	return 0;
}

/* 0: as committed · -EKEYREJECTED */
static int committed(struct checking *c, uint64_t object, const uint8_t commitment[COF_HASH])
{
	uint8_t want[COF_HASH];
	int r = cof_keys_payload(c->keys, object, c->mount, c->salt, c->key);

	if (r == -ENOKEY || r == -EINVAL)
		return -EKEYREJECTED;
	if (r < 0)
		return r;
	cof_key_commitment(c->key, c->conf->id, object, c->mount, want);
	return cof_equal(want, commitment, COF_HASH) ? 0 : -EKEYREJECTED;
}

static int check_mount(struct checking *c, const struct cof_frame *f, uint64_t address)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t commitment[COF_HASH];
	uint64_t epoch = 0;
	uint32_t lineage = 0;
	int r = cof_frame_read(c->reader, NULL, c->conf->id, address, f, &fields, NULL);

	if (r == -ENOMEM || r == -EIO)
		return r;
	if (r < 0 || cof_field_bytes(fields.data, fields.len, COF_T_SALT, c->salt, 32) < 0 ||
	    cof_field_bytes(fields.data, fields.len, COF_T_COMMITMENT, commitment, COF_HASH) < 0 ||
	    cof_field_u64(fields.data, fields.len, COF_T_EPOCH, &epoch) < 0 ||
	    cof_field_u32(fields.data, fields.len, COF_T_LINEAGE, &lineage) < 0)
		return 0; /* damaged: verify tells */
	c->mount = f->mount;
	r = committed(c, 0, commitment);
	if (r == -EKEYREJECTED)
		return cof_fail(c->diag, r,
				"mount %u of the log was not written under these keys: they are of another "
				"archive, or the log is",
				f->mount);
	if (r < 0)
		return r;
	c->out.mounts++;
	c->out.epoch = epoch;
	c->out.lineage = lineage;
	return 0;
}

static int check_append(struct checking *c, const struct cof_frame *f, uint64_t address)
{
	uint8_t commitment[COF_HASH];
	int r;

	if (!(f->flags & COF_FRAME_COMMITMENT) || f->mount != c->mount)
		return 0;
	if (cof_keys_destroyed(c->keys, f->object))
		return 0; /* whether that was right, its DESTROY frame says */
	r = cof_reader_payload(c->reader, address, f, 0, commitment, sizeof(commitment));
	if (r == 0)
		r = committed(c, f->object, commitment);
	if (r == -EKEYREJECTED || r == -EUCLEAN) {
		c->out.unlike++;
		return 0;
	}
	c->out.files += r == 0;
	return r;
}

static int check_destroy(struct checking *c, const struct cof_frame *f, uint64_t address)
{
	cof_autobuf struct cof_buf fields = {0};
	uint64_t *more;
	size_t n = c->out.n_destroyed;
	int r = cof_frame_read(c->reader, NULL, c->conf->id, address, f, &fields, NULL);

	if (r == -ENOMEM || r == -EIO)
		return r;
	if (r < 0 || !f->object || f->object >> COF_KEYTREE_BITS) { /* verify tells */
		c->out.damaged = true;
		return 0;
	}
	if ((n & (n - 1)) == 0) {
		more = realloc(c->out.destroyed, (n ? 2 * n : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->out.destroyed = more;
	}
	c->out.destroyed[c->out.n_destroyed++] = f->object;
	return 0;
}

static int by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static int check_frame(struct checking *c, const struct cof_frame *f, uint64_t address)
{
	if (f->type == COF_CREATE)
		c->out.last_inode = COF_MAX(c->out.last_inode, f->object);
	switch (f->type) {
	case COF_MOUNT:
		return check_mount(c, f, address);
	case COF_APPEND:
		return check_append(c, f, address);
	case COF_DESTROY:
		return check_destroy(c, f, address);
	case COF_REDACT:
		return cof_fail(c->diag, -EOPNOTSUPP,
				"frame %llu ends a record, which this version of Coffer cannot follow: its keys "
				"would come back. Use the version that wrote it",
				(unsigned long long)f->sequence);
	default:
		return 0;
	}
}

/* How many frames there have to be; 0 where no checkpoint says so. */
static uint64_t covered(const struct checking *c, struct cof_io *io)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint head;
	size_t n;

	if (cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n) < 0 ||
	    cof_checkpoint_open(note, n, &c->conf->vkey, &head) < 0)
		return 0;
	return head.size;
}

/* From frame to frame; where one is damaged or missing, on with the next that is there. */
static int walk(struct checking *c, struct cof_io *io, bool first)
{
	uint64_t address = 0, next, frames = 0;
	struct cof_frame f;
	int r = 0;

	cof_reader_walk(c->reader, true);
	while (r == 0 && !(first && c->out.mounts)) {
		r = cof_reader_header(c->reader, address, &f, NULL, NULL);
		if (r == -ENODATA)
			break;
		if (r == 0) {
			c->out.damaged |= f.sequence != frames;
			frames = f.sequence + 1;
			r = check_frame(c, &f, address);
		} else if (r == -EUCLEAN) {
			address = (address / c->conf->segment_size + 1) * c->conf->segment_size;
			c->out.damaged = true;
			r = 0;
			continue;
		}
		if (r == 0)
			r = cof_show_next(c->reader, c->conf, address, &f, &next);
		if (r == 0)
			address = next;
	}
	if (!first && frames < covered(c, io))
		c->out.damaged = true;
	return r == -ENODATA || r == -EUCLEAN ? 0 : r;
}

int cof_keys_check(const struct cof_keys *k, struct cof_io *io, const struct cof_conf *conf, bool first,
		   struct cof_keys_checked *ret, struct cof_diag *diag)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	struct cof_diag why = {""};
	struct checking c = {.keys = k, .conf = conf, .key = key, .diag = &why};
	int r = key ? same_signing(k, conf, diag) : -ENOMEM;

	if (r == 0)
		r = cof_reader_new(io, conf, &c.reader);
	if (r < 0)
		return r == -EKEYREJECTED ? r : cof_fail(diag, r, "the log cannot be read: %s", strerror(-r));
	r = walk(&c, io, first);
	cof_reader_free(c.reader);
	if (c.out.n_destroyed)
		qsort(c.out.destroyed, c.out.n_destroyed, sizeof(*c.out.destroyed), by_number);
	if (r < 0 || !c.out.mounts || !ret) {
		free(c.out.destroyed);
		c.out.destroyed = NULL;
		c.out.n_destroyed = 0;
	}
	if (r < 0)
		return cof_fail(diag, r, "%s", why.text[0] ? why.text : strerror(-r));
	if (!c.out.mounts)
		return cof_fail(diag, -ENODATA,
				"%s/log has no MOUNT frame that can be read: nothing proves that these are its "
				"keys; run coffer verify %s",
				cof_io_where(io), cof_io_where(io));
	if (ret)
		*ret = c.out;
	return 0;
}
