/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal/attempts, coded and decoded (docs/format.md 7.11):
 *   0 "COFDOOR1" · 8 version 1, 3 zero bytes · 12 length of the fields · 16 archive id · 32 fields ·
 *   SHA-256 of all before. The hash is for damage; against people it is nothing.
 */
#include "fs/archive/door.h"

#define HEAD 32
#define FIXED (HEAD + COF_HASH)
#define FILE_MAX 4096

enum { TAG_FAILURES = 1, TAG_LOCKED, TAG_LOCKINGS, TAG_TRYING, TAG_EVENT };

static const char magic[8] = "COFDOOR1";

static void put_event(struct cof_buf *b, uint8_t tag, const struct cof_opener_event *e)
{
	uint8_t out[COF_OPENER_EVENT_LEN + COF_OPENER_COMMAND];

	cof_field_put(b, tag, out, cof_opener_event_store(e, out));
}

static void encode(const struct cof_door *d, struct cof_buf *b)
{
	uint8_t head[HEAD] = {0}, hash[COF_HASH];

	cof_buf_add(b, head, HEAD);
	cof_field_put_u32(b, TAG_FAILURES, d->failures);
	if (d->locked)
		cof_field_put_i64(b, TAG_LOCKED, d->locked);
	cof_field_put_u32(b, TAG_LOCKINGS, d->lockings);
	if (d->trying)
		put_event(b, TAG_TRYING, &d->attempt);
	for (size_t i = 0; i < d->events.n; i++)
		put_event(b, TAG_EVENT, &d->events.event[i]);
	if (b->failed)
		return;
	memcpy(b->data, magic, sizeof(magic));
	b->data[8] = 1;
	cof_put_le32(b->data + 12, (uint32_t)(b->len - HEAD));
	memcpy(b->data + 16, d->archive_id, 16);
	cof_sha256(b->data, b->len, hash);
	cof_buf_add(b, hash, sizeof(hash));
}

static int take(struct cof_door *d, const struct cof_field *f)
{
	switch (f->tag) {
	case TAG_FAILURES:
	case TAG_LOCKINGS:
		if (f->len != 4)
			return -EUCLEAN;
		*(f->tag == TAG_FAILURES ? &d->failures : &d->lockings) = cof_get_le32(f->value);
		return 0;
	case TAG_LOCKED:
		if (f->len != 8)
			return -EUCLEAN;
		d->locked = (int64_t)cof_get_le64(f->value);
		return 0;
	case TAG_TRYING:
		d->trying = true;
		return cof_opener_event_load(f->value, f->len, &d->attempt);
	case TAG_EVENT:
		if (d->events.n == COF_OPENER_EVENTS)
			return -EUCLEAN;
		return cof_opener_event_load(f->value, f->len, &d->events.event[d->events.n++]);
	default:
		return 0;
	}
}

int cof_door_load(const uint8_t archive_id[16], const void *p, size_t n, struct cof_door *ret)
{
	const uint8_t *at = p;
	uint8_t hash[COF_HASH];
	struct cof_door d = {.guard = -1};
	struct cof_field f;
	size_t off = 0;
	int more;

	if (n < FIXED || memcmp(at, magic, sizeof(magic)) || at[8] != 1 || at[9] || at[10] || at[11] ||
	    cof_get_le32(at + 12) != n - FIXED)
		return -EUCLEAN;
	cof_sha256(p, n - COF_HASH, hash);
	if (memcmp(hash, at + n - COF_HASH, COF_HASH))
		return -EUCLEAN;
	if (memcmp(at + 16, archive_id, 16))
		return -EXDEV;
	while ((more = cof_field_next(at + HEAD, n - FIXED, &off, &f)) > 0) {
		more = take(&d, &f);
		if (more < 0)
			return more;
	}
	if (more < 0)
		return more;
	memcpy(d.archive_id, archive_id, 16);
	*ret = d;
	return 0;
}

int cof_door_read(struct cof_io *io, const uint8_t archive_id[16], struct cof_door *ret)
{
	cof_autofree uint8_t *file = NULL;
	struct cof_door d = {.guard = -1};
	struct cof_opener_event lost;
	size_t n = 0;
	int err = cof_io_load(io, COF_DOOR_FILE, FILE_MAX, &file, &n);

	memcpy(d.archive_id, archive_id, 16);
	if (!err)
		err = cof_door_load(archive_id, file, n, &d);
	if (err == -EUCLEAN || err == -EXDEV || err == -EFBIG) {
		/* Whoever can damage it can remove it, so a lock here would only hurt who did not. */
		lost = cof_opener_event_now(COF_OPENER_LOST);
		lost.uid = lost.login = UINT32_MAX;
		cof_opener_events_add(&d.events, &lost);
		err = 0;
	}
	d.io = io;
	if (!err || err == -ENOENT)
		*ret = d;
	return err;
}

int cof_door_hold(struct cof_io *io, const uint8_t archive_id[16], struct cof_door *ret)
{
	int guard = -1, err = cof_io_guard(io, "seal", &guard);

	if (err)
		return err;
	err = cof_door_read(io, archive_id, ret);
	if (err) {
		cof_io_unguard(guard);
		return err;
	}
	ret->guard = guard;
	return 0;
}

int cof_door_write(struct cof_door *d)
{
	cof_autobuf struct cof_buf b = {0};
	int err;

	if (!d->failures && !d->lockings && !d->locked && !d->trying && !d->events.n) {
		err = cof_io_unlink(d->io, COF_DOOR_FILE);
		return err == -ENOENT ? 0 : err ? err : cof_io_sync_dir(d->io, "seal");
	}
	encode(d, &b);
	return b.failed ? -ENOMEM : cof_io_replace(d->io, COF_DOOR_FILE, b.data, b.len);
}

void cof_door_release(struct cof_door *d)
{
	cof_io_unguard(d->guard);
	d->guard = -1;
}
