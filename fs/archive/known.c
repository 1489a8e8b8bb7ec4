/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody found who went through a store's log before, so that nobody has to again: where the frames up to a size
 * end, and where the newest POLICY frame of them is. Derived and small; what does not fit the log is as if it was not there.
 */
#include "fs/archive/internal.h"

#define PATH "known"
#define MAGIC "COFKNOWN"
#define BYTES (8 + 3 * 8 + 2 * COF_HASH)

static void pack(const struct cof_known *k, uint8_t out[BYTES])
{
	memcpy(out, MAGIC, 8);
	cof_put_le64(out + 8, k->size);
	cof_put_le64(out + 16, k->last);
	cof_put_le64(out + 24, k->policy);
	memcpy(out + 32, k->header, COF_HASH);
	cof_sha256(out, BYTES - COF_HASH, out + BYTES - COF_HASH);
}

static bool unpack(const uint8_t *in, struct cof_known *ret)
{
	uint8_t digest[COF_HASH];

	cof_sha256(in, BYTES - COF_HASH, digest);
	if (memcmp(in, MAGIC, 8) != 0 || !cof_equal(digest, in + BYTES - COF_HASH, COF_HASH))
		return false;
	ret->size = cof_get_le64(in + 8);
	ret->last = cof_get_le64(in + 16);
	ret->policy = cof_get_le64(in + 24);
	memcpy(ret->header, in + 32, COF_HASH);
	return ret->size > 0;
}

static int look(struct cof_reader *r, struct cof_known *k, struct cof_frame *f)
{
	uint8_t raw[COF_FRAME_HEADER], digest[COF_HASH];
	int err = cof_reader_header(r, k->last, f, raw, NULL);

	if (err < 0)
		return err;
	cof_sha256(raw, sizeof(raw), digest);
	return f->sequence == k->size - 1 && cof_equal(digest, k->header, COF_HASH) ? 0 : -ENOENT;
}

/* What is kept, if it is of this log. */
static int load(struct cof_io *io, struct cof_reader *r, struct cof_known *ret, struct cof_frame *f)
{
	uint8_t raw[BYTES];
	size_t n = 0;
	struct cof_file *file;
	int err = cof_io_open(io, PATH, COF_IO_RDONLY, &file);

	if (err < 0)
		return err;
	err = cof_io_read(file, raw, sizeof(raw), 0, &n);
	cof_io_close(file);
	if (err == 0 && (n != sizeof(raw) || !unpack(raw, ret)))
		err = -ENOENT;
	return err < 0 ? err : look(r, ret, f);
}

void cof_known_add(struct cof_known *k, const struct cof_frame *f, uint64_t address)
{
	if (!k->size)
		k->policy = COF_KNOWN_NONE;
	k->size = f->sequence + 1;
	k->last = address;
	if (f->type == COF_POLICY)
		k->policy = address;
}

void cof_known_end(struct cof_known *k, const uint8_t raw[COF_FRAME_HEADER])
{
	cof_sha256(raw, COF_FRAME_HEADER, k->header);
}

/* Over the frames behind what is known, which end where nothing follows that goes on. */
static int go_on(struct cof_reader *r, uint64_t size, struct cof_known *k, struct cof_frame *f)
{
	uint8_t raw[COF_FRAME_HEADER];
	uint64_t at = 0, had = k->size;
	int err = 0;

	cof_reader_walk(r, true);
	while (err == 0 && k->size < size) {
		if (k->size)
			err = cof_reader_next(r, k->last, f, &at);
		if (err == 0)
			err = cof_reader_header(r, at, f, raw, NULL);
		if (err == 0 && f->sequence != k->size)
			err = -ENODATA;
		if (err == 0)
			cof_known_add(k, f, at);
	}
	if (err == 0 && k->size > had) /* else raw may be of one that was not added */
		cof_known_end(k, raw);
	cof_reader_walk(r, false);
	return err;
}

int cof_known_up_to(struct cof_io *io, const struct cof_conf *conf, uint64_t size, struct cof_known *ret)
{
	struct cof_known k = {.size = 0};
	struct cof_reader *r = NULL;
	struct cof_frame f;
	int err = cof_reader_new(io, conf, &r);

	if (err == 0 && (load(io, r, &k, &f) < 0 || k.size > size))
		k = (struct cof_known){.size = 0};
	if (err == 0)
		err = go_on(r, size, &k, &f);
	cof_reader_free(r);
	if (err == 0)
		*ret = k;
	return err;
}

int cof_known_load(struct cof_io *io, const struct cof_conf *conf, struct cof_known *ret)
{
	struct cof_reader *r = NULL;
	struct cof_frame f;
	int err = cof_reader_new(io, conf, &r);

	if (err == 0)
		err = load(io, r, ret, &f);
	cof_reader_free(r);
	return err;
}

/* Not made durable: one that a power cut tore is none. */
int cof_known_save(struct cof_io *io, const struct cof_known *k)
{
	uint8_t raw[BYTES];
	struct cof_file *f;
	int err = cof_io_open(io, PATH, COF_IO_RDWR, &f);

	if (err == -ENOENT)
		err = cof_io_create(io, PATH, &f);
	if (err < 0)
		return err;
	pack(k, raw);
	err = cof_io_write(f, raw, sizeof(raw), 0);
	cof_io_close(f);
	return err;
}
