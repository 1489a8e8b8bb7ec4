/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads: public part ‖ sealed chunks, and the hash over them (docs/format.md section 3).
 *
 * Everything here runs outside any lock and without an allocation: at most 17 hashes (the public
 * part and 16 chunks) lie on the stack. A chunk is hashed right after it was sealed, while it is
 * still in the processor's cache, or by a helper meanwhile (crypto/leaves.c).
 */
#include "fs/log/log.h"

#define ENTRIES (1 + COF_FRAME_LENGTH_MAX / COF_CHUNK)
#define AAD 88
#define SHARE_FROM 2 /* chunks: whoever helps comes while the first is sealed, and takes one */

/* The associated data; the chunk's number at 44 is put in for each. */
static void make_aad(const struct cof_frame *f, const uint8_t archive_id[16],
		     const uint8_t public_hash[COF_HASH], uint8_t out[AAD])
{
	memcpy(out, archive_id, 16);
	out[16] = f->type;
	out[17] = f->version;
	cof_put_le16(out + 18, f->flags);
	cof_put_le32(out + 20, f->mount);
	cof_put_le64(out + 24, f->object);
	cof_put_le64(out + 32, f->position);
	cof_put_le32(out + 40, f->length);
	cof_put_le32(out + 44, 0);
	cof_put_le64(out + 48, f->counter);
	memcpy(out + 56, public_hash, COF_HASH);
}

static void make_nonce(const struct cof_frame *f, uint32_t k, uint8_t out[COF_NONCE])
{
	cof_put_le32(out, f->mount);
	cof_put_le64(out + 4, f->counter + k);
}

static uint32_t chunk_length(uint32_t length, uint32_t k)
{
	return COF_MIN(length - k * COF_CHUNK, COF_CHUNK);
}

/* Each piece is handed over to be hashed as soon as it is sealed. */
static int seal_chunks(const struct cof_frame *f, struct cof_aead *aead,
		       const uint8_t archive_id[16], const void *public_part, uint32_t public_len,
		       const uint8_t *plain, uint8_t *out, struct cof_leaf_job *job)
{
	uint8_t aad[AAD], nonce[COF_NONCE], public_hash[COF_HASH];

	cof_sha256(public_part, public_len, public_hash);
	make_aad(f, archive_id, public_hash, aad);
	for (uint32_t k = 0; k < job->n; k++) {
		uint32_t n = chunk_length(f->length, k);
		int r;

		cof_put_le32(aad + 44, k);
		make_nonce(f, k, nonce);
		r = cof_aead_seal(aead, nonce, aad, sizeof(aad), plain + (size_t)k * COF_CHUNK, n,
				  out);
		if (r < 0)
			return r;
		cof_leaves_ready(job, out, n + COF_TAG);
		out += n + COF_TAG;
	}
	return 0;
}

int cof_payload_seal_shared(struct cof_frame *f, struct cof_aead *aead,
			    const uint8_t archive_id[16], const void *public_part,
			    uint32_t public_len, const void *plain, void *out,
			    struct cof_leaves *leaves, const struct cof_beside *beside)
{
	uint32_t chunks = cof_frame_chunks(f->length), entries = 0;
	uint8_t leaf[ENTRIES][COF_HASH];

	if (f->length > COF_FRAME_LENGTH_MAX || public_len > COF_FRAME_LENGTH_MAX ||
	    (f->flags & COF_FRAME_COMMITMENT && public_len < COF_HASH))
		return -EINVAL;
	if (chunks && (!aead || f->counter > UINT64_MAX - chunks))
		return -EINVAL;
	if (public_len) {
		memcpy(out, public_part, public_len);
		cof_merkle_leaf(public_part, public_len, leaf[entries++]);
	}
	if (chunks) {
		struct cof_leaf_job job;
		int r;

		if (chunks < SHARE_FROM)
			leaves = NULL;
		cof_leaves_begin(leaves, &job, chunks, leaf + entries, beside);
		r = seal_chunks(f, aead, archive_id, public_part, public_len, plain,
				(uint8_t *)out + public_len, &job);
		cof_leaves_end(leaves, &job);
		if (r < 0)
			return r;
	} else {
		f->counter = 0;
	}
	f->public_length = public_len;
	f->stored = public_len + f->length + chunks * COF_TAG;
	cof_merkle_root((const uint8_t(*)[COF_HASH])leaf, entries + chunks, f->payload_hash);
	return 0;
}

int cof_payload_seal(struct cof_frame *f, struct cof_aead *aead, const uint8_t archive_id[16],
		     const void *public_part, uint32_t public_len, const void *plain, void *out)
{
	return cof_payload_seal_shared(f, aead, archive_id, public_part, public_len, plain, out,
				       NULL, NULL);
}

int cof_payload_check(const struct cof_frame *f, const void *stored)
{
	uint8_t leaf[ENTRIES][COF_HASH], root[COF_HASH];
	uint32_t chunks = cof_frame_chunks(f->length), entries = 0;
	const uint8_t *p = stored;

	if (f->length > COF_FRAME_LENGTH_MAX || f->public_length > COF_FRAME_LENGTH_MAX ||
	    f->stored != f->public_length + f->length + chunks * COF_TAG)
		return -EBADMSG;
	if (f->public_length) {
		cof_merkle_leaf(p, f->public_length, leaf[entries++]);
		p += f->public_length;
	}
	for (uint32_t k = 0; k < chunks; k++) {
		uint32_t n = chunk_length(f->length, k) + COF_TAG;

		cof_merkle_leaf(p, n, leaf[entries++]);
		p += n;
	}
	cof_merkle_root((const uint8_t(*)[COF_HASH])leaf, entries, root);
	return memcmp(root, f->payload_hash, COF_HASH) ? -EBADMSG : 0;
}

int cof_payload_open_chunk(const struct cof_frame *f, struct cof_aead *aead,
			   const uint8_t archive_id[16], const uint8_t public_hash[COF_HASH],
			   uint32_t k, const void *sealed, void *out)
{
	uint8_t aad[AAD], nonce[COF_NONCE];

	if (f->length > COF_FRAME_LENGTH_MAX || k >= cof_frame_chunks(f->length))
		return -EINVAL;
	make_aad(f, archive_id, public_hash, aad);
	cof_put_le32(aad + 44, k);
	make_nonce(f, k, nonce);
	return cof_aead_open(aead, nonce, aad, sizeof(aad), sealed, chunk_length(f->length, k),
			     out);
}
