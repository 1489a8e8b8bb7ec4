/* SPDX-License-Identifier: Apache-2.0 */
/* The records of key escrow: written, found by the index, and read back. */
#include "fs/archive/escrow.h"

#include <stdio.h>

#define ESCROW_FRAMES ((UINT64_C(1) << 63) + 190) /* above all inode numbers */
#define LISTS (UINT64_C(3) << 62)
#define AT_ONCE 64

void cof_escrow_record_done(struct cof_escrow_record *r)
{
	cof_buf_done(&r->public_part);
	cof_buf_done(&r->private_part);
}

uint8_t cof_escrow_what(const struct cof_escrow_record *r)
{
	uint8_t what = 0;

	return cof_field_u8(r->public_part.data, r->public_part.len, COF_T_ESCROW, &what) < 0 ? 0 : what;
}

/* ---- which lists a record is in ---- */

/* Frames are looked at again by who reads a list: two of the same number do no harm. */
uint64_t cof_escrow_list(enum cof_escrow_list_of what, const void *value, size_t n)
{
	uint8_t in[2 + 32], digest[COF_HASH];

	if (what == COF_ESCROW_ALL || !value)
		return ESCROW_FRAMES;
	in[0] = COF_ESCROW;
	in[1] = (uint8_t)what;
	memcpy(in + 2, value, COF_MIN(n, (size_t)32));
	cof_sha256(in, 2 + COF_MIN(n, (size_t)32), digest);
	return LISTS | cof_get_le64(digest);
}

static int add_to(struct cof_archive *a, uint64_t list, const struct cof_frame *f, uint64_t address)
{
	struct cof_stretch s = {.address = address, .sequence = f->sequence};
	int r = cof_index_end(a->ix, COF_INDEX_NOW, list, &s.position);

	if (r < 0 || s.position >= f->sequence) /* is there already */
		return r;
	s.length = f->sequence - s.position;
	return cof_index_add_stretch(a->ix, list, &s);
}

int cof_escrow_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address, const void *public_part, size_t public_len)
{
	uint8_t key[16], digest[COF_HASH], what = 0;
	int r = add_to(a, ESCROW_FRAMES, f, address);

	if (r == 0 && cof_field_bytes(public_part, public_len, COF_T_ESCROW_KEY, key, sizeof(key)) == 0)
		r = add_to(a, cof_escrow_list(COF_ESCROW_OF_KEY, key, sizeof(key)), f, address);
	else if (r == 0)
		r = add_to(a, cof_escrow_list(COF_ESCROW_NO_KEY, NULL, 0), f, address);
	(void)cof_field_u8(public_part, public_len, COF_T_ESCROW, &what);
	if (r == 0 && what == COF_ESC_KEY && cof_field_bytes(public_part, public_len, COF_T_ESCROW_PUBLIC_KEY, digest, sizeof(digest)) == 0)
		r = add_to(a, cof_escrow_list(COF_ESCROW_OF_PUBLIC_KEY, digest, sizeof(digest)), f, address);
	if (r == 0 && (what == COF_ESC_KEY || what == COF_ESC_ROTATED) &&
	    cof_field_bytes(public_part, public_len, COF_T_ESCROW_SHA256, digest, sizeof(digest)) == 0)
		r = add_to(a, cof_escrow_list(COF_ESCROW_OF_FILE, digest, sizeof(digest)), f, address);
	return r;
}

/* ---- reading ---- */

/* What the index says of a frame is only where to look. */
static int read_record(struct cof_archive *a, const struct cof_stretch *s, struct cof_escrow_record *ret)
{
	struct cof_frame f;
	int r = cof_reader_header(a->reader, s->address, &f, NULL, NULL);

	if (r == -ENODATA || r == -EUCLEAN || (r == 0 && (f.sequence != s->sequence || f.type != COF_ESCROW)))
		return -COF_EINDEX;
	if (r < 0)
		return r;
	ret->sequence = f.sequence;
	ret->object = f.object;
	ret->time = f.record_time;
	ret->retention = f.retention_time;
	return cof_frame_read(a->reader, a->ring, a->conf.id, s->address, &f, &ret->public_part, &ret->private_part);
}

/* Those whose stretches hold `position`, and behind it. */
static int find(struct cof_archive *a, uint64_t list, uint64_t position, struct cof_stretch *ret, size_t max, size_t *ret_n)
{
	return cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, list, position, ret, max, ret_n));
}

int cof_escrow_each(struct cof_archive *a, uint64_t list, uint64_t from, cof_escrow_fn fn, void *user)
{
	struct cof_stretch s[AT_ONCE];
	uint64_t position = from ? from - 1 : 0; /* a frame's stretch ends with its sequence, which is not in it */
	int r, stop = 0;
	size_t n = 0;

	do {
		COF_GATED(a, r, find(a, list, position, s, AT_ONCE, &n));
		for (size_t i = 0; r == 0 && !stop && i < n; i++) {
			struct cof_escrow_record record = {0};

			COF_GATED(a, r, read_record(a, &s[i], &record));
			if (r == 0)
				stop = fn(user, &record);
			cof_escrow_record_done(&record);
			position = s[i].position + s[i].length;
		}
	} while (r == 0 && !stop && n == AT_ONCE);
	return r < 0 ? r : COF_MIN(stop, 0);
}

static int get(struct cof_archive *a, uint64_t sequence, struct cof_escrow_record *ret)
{
	struct cof_stretch s;
	size_t n = 0;
	int r = sequence ? find(a, ESCROW_FRAMES, sequence - 1, &s, 1, &n) : -ENOENT;

	return r < 0 ? r : n && s.sequence == sequence ? read_record(a, &s, ret) : -ENOENT;
}

int cof_escrow_get(struct cof_archive *a, uint64_t sequence, struct cof_escrow_record *ret)
{
	int r;

	*ret = (struct cof_escrow_record){.sequence = 0};
	COF_GATED(a, r, get(a, sequence, ret));
	return r;
}

/* ---- writing ---- */

static int write_frame(struct cof_archive *a, const struct cof_who *who, struct cof_draft *d, struct cof_append *done)
{
	static const struct cof_applied nothing;
	int r = cof_actor_use(a, who, true, &d->actor);

	return r == 0 ? cof_archive_put(a, d, &nothing, done) : r;
}

/* As `coffer events` names it: "escrow-recovered". */
static void told(struct cof_archive *a, const struct cof_who *who, const struct cof_buf *public_part, uint64_t sequence)
{
	uint8_t what = 0;
	char type[40];

	(void)cof_field_u8(public_part->data, public_part->len, COF_T_ESCROW, &what);
	snprintf(type, sizeof(type), "escrow-%.24s", cof_escrow_name(what));
	cof_event_told(a, &(struct cof_event){.type = type, .who = who}, sequence);
}

int cof_escrow_put(struct cof_archive *a, const struct cof_who *who, uint64_t object, struct cof_buf *public_part,
		   const struct cof_buf *private_part, const uint8_t *request, uint64_t *ret_sequence,
		   struct cof_diag *diag)
{
	struct cof_draft d = {.type = COF_ESCROW, .object = object, .system = true};
	struct cof_append done = {0};
	struct cof_judgement w;
	int r;

	if (request)
		cof_field_put(public_part, COF_T_REQUEST, request, 32);
	if (public_part->failed || private_part->failed)
		return -ENOMEM;
	r = cof_people_ask(a, COF_ESCROW, public_part, &w, diag);
	if (r == -EPERM)
		return cof_people_refused(a, who, "escrow", w.rule, w.reason, diag);
	if (r < 0)
		return r;
	d.public_part = public_part->data;
	d.public_len = (uint32_t)public_part->len;
	d.plain = private_part->data;
	d.length = (uint32_t)private_part->len;
	COF_GATED(a, r, write_frame(a, who, &d, &done));
	if (r == 0)
		r = cof_log_sync(a->log, done.ret_sequence);
	if (r < 0)
		return cof_fail(diag, r, "the record of escrow cannot be written: %s", strerror(-r));
	*ret_sequence = done.ret_sequence;
	told(a, who, public_part, done.ret_sequence);
	return 0;
}
