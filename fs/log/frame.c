/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame header, 128 bytes (docs/format.md section 3):
 *
 *   0 magic 4 | 4 type | 5 version | 6 flags 2 | 8 sequence 8 | 16 object 8 | 24 position 8 |
 *   32 length 4 | 36 stored 4 | 40 counter 8 | 48 mount 4 | 52 actor 4 | 56 retention time 8 |
 *   64 record time 8 | 72 payload hash 32 | 104 seal tag 16 | 120 public length 4 | 124 check 4
 *
 * A header is valid when its check is right, its version is known, its flags are known and its
 * three lengths are within their limits and fit each other. Whether it belongs where it stands
 * (sequence, mount, times, chain) is for the walker to say.
 */
#include "fs/log/log.h"

#define CHECKED 124u /* bytes that the check covers */

const char *cof_frame_type_name(unsigned type)
{
	static const char *const names[] = {
	    [COF_ARCHIVE] = "archive",
	    [COF_MOUNT] = "mount",
	    [COF_UNMOUNT] = "unmount",
	    [COF_RECOVERY] = "recovery",
	    [COF_ACTOR] = "actor",
	    [COF_CREATE] = "create",
	    [COF_APPEND] = "append",
	    [COF_HOLE] = "hole",
	    [COF_PAD] = "pad",
	    [COF_COMMIT] = "commit",
	    [COF_EXTEND] = "extend",
	    [COF_RENAME] = "rename",
	    [COF_REMOVE] = "remove",
	    [COF_ATTR] = "attr",
	    [COF_EVENT] = "event",
	    [COF_CHECKPOINT] = "checkpoint",
	    [COF_HEARTBEAT] = "heartbeat",
	    [COF_POLICY] = "policy",
	    [COF_PEOPLE] = "people",
	    [COF_REQUEST] = "request",
	    [COF_APPROVAL] = "approval",
	    [COF_COSIGN] = "cosign",
	    [COF_CLOCK] = "clock",
	    [COF_STAMP] = "stamp",
	    [COF_SHELF] = "shelf",
	    [COF_HOLD] = "hold",
    [COF_DESTROY] = "destroy",
    [COF_RECEIPT] = "receipt",
	    [COF_ESCROW] = "escrow",
	    [COF_CEREMONY] = "ceremony",
	    [COF_VAULT_RECORD] = "vault",
	};

	if (type >= COF_COUNT(names) || !names[type])
		return "opaque";
	return names[type];
}

void cof_frame_encode(const struct cof_frame *f, uint8_t out[COF_FRAME_HEADER])
{
	cof_put_le32(out, COF_FRAME_MAGIC);
	out[4] = f->type;
	out[5] = f->version;
	cof_put_le16(out + 6, f->flags);
	cof_put_le64(out + 8, f->sequence);
	cof_put_le64(out + 16, f->object);
	cof_put_le64(out + 24, f->position);
	cof_put_le32(out + 32, f->length);
	cof_put_le32(out + 36, f->stored);
	cof_put_le64(out + 40, f->counter);
	cof_put_le32(out + 48, f->mount);
	cof_put_le32(out + 52, f->actor);
	cof_put_le64(out + 56, (uint64_t)f->retention_time);
	cof_put_le64(out + 64, (uint64_t)f->record_time);
	memcpy(out + 72, f->payload_hash, COF_HASH);
	memcpy(out + 104, f->seal_tag, sizeof(f->seal_tag));
	cof_put_le32(out + 120, f->public_length);
	cof_put_le32(out + CHECKED, cof_crc32c(0, out, CHECKED));
}

void cof_frame_fields(const uint8_t in[COF_FRAME_HEADER], struct cof_frame *ret)
{
	ret->type = in[4];
	ret->version = in[5];
	ret->flags = cof_get_le16(in + 6);
	ret->sequence = cof_get_le64(in + 8);
	ret->object = cof_get_le64(in + 16);
	ret->position = cof_get_le64(in + 24);
	ret->length = cof_get_le32(in + 32);
	ret->stored = cof_get_le32(in + 36);
	ret->counter = cof_get_le64(in + 40);
	ret->mount = cof_get_le32(in + 48);
	ret->actor = cof_get_le32(in + 52);
	ret->retention_time = (int64_t)cof_get_le64(in + 56);
	ret->record_time = (int64_t)cof_get_le64(in + 64);
	memcpy(ret->payload_hash, in + 72, COF_HASH);
	memcpy(ret->seal_tag, in + 104, sizeof(ret->seal_tag));
	ret->public_length = cof_get_le32(in + 120);
}

static int check_lengths(const struct cof_frame *f, struct cof_diag *diag)
{
	uint32_t chunks;

	if (f->length > COF_FRAME_LENGTH_MAX)
		return cof_fail(diag, -EUCLEAN, "length %u is above the limit", f->length);
	if (f->public_length > COF_FRAME_LENGTH_MAX)
		return cof_fail(diag, -EUCLEAN, "public length %u is above the limit",
				f->public_length);
	chunks = cof_frame_chunks(f->length);
	if (f->stored != f->public_length + f->length + chunks * COF_TAG)
		return cof_fail(diag, -EUCLEAN,
				"stored length %u does not fit length %u and public length %u",
				f->stored, f->length, f->public_length);
	if (f->flags & COF_FRAME_COMMITMENT && f->public_length < COF_HASH)
		return cof_fail(diag, -EUCLEAN, "no room for the key commitment that is announced");
	if (!chunks && f->counter)
		return cof_fail(diag, -EUCLEAN, "a nonce counter without anything sealed");
	if (chunks && f->counter > UINT64_MAX - chunks)
		return cof_fail(diag, -EUCLEAN, "the nonce counter would run over");
	return 0;
}

int cof_frame_decode(const uint8_t in[COF_FRAME_HEADER], struct cof_frame *ret,
		     struct cof_diag *diag)
{
	uint32_t magic = cof_get_le32(in);
	struct cof_frame f;
	int r;

	if (!magic)
		return -ENODATA;
	if (magic != COF_FRAME_MAGIC)
		return cof_fail(diag, -EUCLEAN, "no frame begins here");
	if (cof_get_le32(in + CHECKED) != cof_crc32c(0, in, CHECKED))
		return cof_fail(diag, -EUCLEAN, "the header's check is wrong");
	cof_frame_fields(in, &f);
	if (f.version != 1)
		return cof_fail(diag, -EOPNOTSUPP,
				"frame version %u: made by a newer Coffer than this one",
				f.version);
	if (!f.type)
		return cof_fail(diag, -EUCLEAN, "frame type 0 does not exist");
	if (f.flags & ~COF_FRAME_COMMITMENT)
		return cof_fail(diag, -EUCLEAN, "unknown flags 0x%04x", f.flags);
	r = check_lengths(&f, diag);
	if (r < 0)
		return r;
	*ret = f;
	return 0;
}

void cof_frame_leaf(const uint8_t header[COF_FRAME_HEADER], const uint8_t previous[COF_HASH],
		    uint8_t out[COF_HASH])
{
	uint8_t entry[1 + COF_FRAME_HEADER + COF_HASH];

	entry[0] = 0x00;
	memcpy(entry + 1, header, COF_FRAME_HEADER);
	memcpy(entry + 1 + COF_FRAME_HEADER, previous, COF_HASH);
	cof_sha256(entry, sizeof(entry), out);
}
