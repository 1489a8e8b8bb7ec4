/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames as a bundle has them. What the recipient can open is there whole; of what is sealed under the archive's metadata
 * key only the leaf hashes of its chunks are, which is all that a proof takes.
 */
#include "tools/evidence/internal.h"

uint32_t evidence_body(const struct cof_frame *f)
{
	return f->type == COF_APPEND ? f->stored : f->public_length + COF_HASH * cof_frame_chunks(f->length);
}

void evidence_shorten(const struct cof_frame *f, const uint8_t *stored, uint8_t *out)
{
	uint32_t left = f->length;

	if (f->type == COF_APPEND) {
		memcpy(out, stored, f->stored);
		return;
	}
	memcpy(out, stored, f->public_length);
	stored += f->public_length;
	out += f->public_length;
	while (left) {
		uint32_t n = COF_MIN(left, COF_CHUNK);

		cof_merkle_leaf(stored, n + COF_TAG, out);
		stored += n + COF_TAG;
		out += COF_HASH;
		left -= n;
	}
}

int evidence_body_check(const struct cof_frame *f, const uint8_t *body)
{
	uint8_t leaves[1 + COF_FRAME_LENGTH_MAX / COF_CHUNK][COF_HASH], root[COF_HASH];
	uint32_t chunks = cof_frame_chunks(f->length), n = 0;

	if (f->type == COF_APPEND)
		return cof_payload_check(f, body);
	if (f->public_length)
		cof_merkle_leaf(body, f->public_length, leaves[n++]);
	if (chunks)
		memcpy(leaves[n], body + f->public_length, (size_t)chunks * COF_HASH);
	cof_merkle_root((const void *)leaves, n + chunks, root);
	return cof_equal(root, f->payload_hash, COF_HASH) ? 0 : -EBADMSG;
}
