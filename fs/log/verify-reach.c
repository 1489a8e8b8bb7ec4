/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seal's key at the place where a verification begins that goes on from a checkpoint: from the MOUNT frame
 * before it on all frames are counted, by their headers, and those are read that the seal is mixed at. What
 * they say is not verified here; where it is false, seals do not hold behind the checkpoint.
 */
#include "fs/log/verify.h"

#define REACH (1u << 26) /* frames */

struct reach {
	struct verify *v;
	struct cof_reader *reader;
	uint64_t address;
	struct cof_frame f; /* there */
	uint8_t *payload;   /* COF_FRAME_LENGTH_MAX */
};

/* The first frame of a mount, between sequences. */
static bool find_mount(struct reach *r, uint32_t mount, uint64_t size)
{
	uint64_t low = 0, high = size - 1;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (cof_reader_find(r->reader, middle, &r->address, NULL) < 0 ||
		    cof_reader_header(r->reader, r->address, &r->f, NULL, NULL) < 0)
			return false;
		if (r->f.mount < mount)
			low = middle + 1;
		else
			high = middle;
	}
	return cof_reader_find(r->reader, low, &r->address, NULL) == 0 &&
	       cof_reader_header(r->reader, r->address, &r->f, NULL, NULL) == 0 && r->f.type == COF_MOUNT &&
	       r->f.mount == mount && size - low <= REACH;
}

static bool take_payload(struct reach *r)
{
	return !r->f.length && r->f.stored <= COF_FRAME_LENGTH_MAX &&
	       cof_reader_payload(r->reader, r->address, &r->f, 0, r->payload, r->f.stored) == 0 &&
	       cof_payload_check(&r->f, r->payload) == 0;
}

static bool enter(struct reach *r)
{
	struct verify *v = r->v;
	const uint8_t *fields;
	struct cof_field mixing;
	uint8_t salt[32];
	uint64_t epoch;
	uint32_t lineage;
	size_t n;

	if (!take_payload(r))
		return false;
	fields = cof_verify_fields(&r->f, r->payload, &n);
	if (cof_field_bytes(fields, n, COF_T_SALT, salt, sizeof(salt)) < 0 ||
	    cof_field_u64(fields, n, COF_T_EPOCH, &epoch) < 0 ||
	    cof_field_u32(fields, n, COF_T_LINEAGE, &lineage) < 0 || !cof_seal_enter(v, epoch, lineage, salt))
		return false;
	v->mix.epoch = epoch;
	v->mix.lineage = lineage;
	/* One that follows on none is of the first epoch; else that lies somewhere before. */
	v->mix.first_epoch = cof_field_find(fields, n, COF_T_MIXING, &mixing) < 0 ? epoch : epoch - 1;
	v->mix.first_known = true;
	return true;
}

/* The frame at hand is behind the key; and the next one's header. */
static bool pass(struct reach *r, bool last)
{
	struct verify *v = r->v;
	struct place place = NOWHERE("log");

	place.sequence = (int64_t)r->f.sequence;
	cof_seal_ratchet(v->seal.secret + COF_KEY);
	if (r->f.type == COF_MOUNT || r->f.type == COF_CHECKPOINT) {
		if (!take_payload(r))
			return false;
		cof_mix_frame(v, &r->f, r->payload, v->seal.secret + COF_KEY, place);
	}
	return last || (cof_reader_next(r->reader, r->address, &r->f, &r->address) == 0 &&
			cof_reader_header(r->reader, r->address, &r->f, NULL, NULL) == 0);
}

static bool walk(struct reach *r, uint32_t mount, uint64_t size)
{
	uint64_t sequence;

	if (!find_mount(r, mount, size))
		return false;
	sequence = r->f.sequence;
	if (!enter(r))
		return false;
	for (; sequence < size; sequence++)
		if (r->f.sequence != sequence || r->f.mount != mount || !pass(r, sequence + 1 == size))
			return false;
	return true;
}

bool cof_seal_reach(struct verify *v, struct cof_reader *reader, uint32_t mount, uint64_t size)
{
	struct reach r = {.v = v, .reader = reader};
	bool there = false;

	if (!v->seal.secret)
		return false;
	r.payload = malloc(COF_FRAME_LENGTH_MAX);
	if (r.payload && mount && size) {
		cof_reader_walk(reader, true);
		there = walk(&r, mount, size);
		cof_reader_walk(reader, false);
	}
	free(r.payload);
	if (!there) {
		cof_seal_lose(v);
		cof_mix_lose(v);
		v->mix.lineage = 0;
	}
	return there;
}
