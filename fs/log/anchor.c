/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the chain says of the anchor, a counter in a TPM (docs/format.md 7.10), and what it means that the
 * counter says something else. The counter itself is somebody else's to ask.
 */
#include <stdio.h>

#include "fs/log/log.h"

#define ORDERLY_BLOCK 255u /* how far a counter of that kind may jump when the TPM loses power */

void cof_anchor_put(struct cof_buf *fields, const struct cof_anchored *a)
{
	cof_field_put_u64(fields, COF_T_ANCHOR, a->value);
	cof_field_put(fields, COF_T_COUNTER, a->counter, sizeof(a->counter));
	cof_field_put_u64(fields, COF_T_TPM_RESETS, (uint64_t)a->restarts << 32 | a->resets);
}

bool cof_anchored_take(struct cof_anchored *a, const struct cof_frame *f, const void *payload)
{
	size_t skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;
	struct cof_anchored got = {.there = true, .sequence = f->sequence};
	const uint8_t *fields = (const uint8_t *)payload + skip;
	uint64_t resets;
	size_t n;

	if (f->type != COF_MOUNT && f->type != COF_CHECKPOINT && f->type != COF_RECOVERY)
		return false;
	n = f->public_length - skip; /* decode saw that it fits */
	if (cof_field_u64(fields, n, COF_T_ANCHOR, &got.value) < 0 ||
	    cof_field_bytes(fields, n, COF_T_COUNTER, got.counter, sizeof(got.counter)) < 0 ||
	    cof_field_u64(fields, n, COF_T_TPM_RESETS, &resets) < 0)
		return false;
	got.resets = (uint32_t)resets;
	got.restarts = (uint32_t)(resets >> 32);
	*a = got;
	return true;
}

/* The last one of a segment from address on, as far as its headers lead. */
static int last_of(struct cof_reader *r, uint64_t size, uint64_t address, struct cof_anchored *ret)
{
	uint64_t end = (address / size + 1) * size;
	struct cof_frame f;
	int err = 0;

	while (address < end && (err = cof_reader_header(r, address, &f, NULL, NULL)) == 0) {
		if ((f.type == COF_MOUNT || f.type == COF_CHECKPOINT || f.type == COF_RECOVERY) &&
		    f.public_length) {
			cof_autofree uint8_t *payload = malloc(f.stored);

			if (!payload)
				return -ENOMEM;
			err = cof_reader_payload(r, address, &f, 0, payload, f.stored);
			if (err == 0 && cof_payload_check(&f, payload) == 0)
				(void)cof_anchored_take(ret, &f, payload);
			if (err < 0)
				break;
		}
		address += COF_FRAME_HEADER + f.stored;
	}
	return err == -ENOMEM || err == -EIO || err == -EMFILE || err == -ENFILE ? err : 0;
}

int cof_anchored_find(struct cof_reader *r, const struct cof_conf *conf, uint64_t from, uint64_t end,
		      struct cof_anchored *ret)
{
	uint64_t size = conf->segment_size;
	int err = 0;

	for (uint64_t segment = end / size; !err && !ret->there && segment + 1 > from / size; segment--) {
		err = last_of(r, size, COF_MAX(segment * size, from), ret);
		if (!segment)
			break;
	}
	return err;
}

enum cof_anchor_state cof_anchor_judge(uint64_t chain, uint64_t counter, bool reset, uint64_t *ret_n)
{
	*ret_n = 0;
	if (counter == chain)
		return COF_ANCHOR_EQUAL;
	if (counter < chain) {
		*ret_n = chain - counter;
		return *ret_n == 1 ? COF_ANCHOR_NEXT : COF_ANCHOR_WENT_BACK;
	}
	*ret_n = counter - chain;
	return reset && *ret_n <= ORDERLY_BLOCK ? COF_ANCHOR_UNPROVEN : COF_ANCHOR_TRUNCATED;
}

int cof_anchored_last(struct cof_io *io, const struct cof_conf *conf, struct cof_anchored *ret)
{
	struct cof_reader *r = NULL;
	uint64_t segments = 0;
	char path[32];
	int err = cof_reader_new(io, conf, &r);

	memset(ret, 0, sizeof(*ret));
	for (; !err && segments <= UINT32_MAX; segments++) {
		snprintf(path, sizeof(path), "log/%08llx.seg", (unsigned long long)segments);
		if (cof_io_exists(io, path) != 1)
			break;
	}
	if (!err && segments)
		err = cof_anchored_find(r, conf, 0, segments * conf->segment_size - 1, ret);
	cof_reader_free(r);
	return err;
}
