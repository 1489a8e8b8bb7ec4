/* SPDX-License-Identifier: Apache-2.0 */
/* The Merkle tree of RFC 6962: hashes, the incremental frontier, and what is made from stored
 * levels. */
#include <assert.h>

#include "crypto/merkle.h"

#define SIZE_LIMIT (UINT64_C(1) << 63)

/* ---- hashes ---- */

void cof_merkle_empty(uint8_t out[COF_HASH])
{
	cof_sha256(NULL, 0, out);
}

void cof_merkle_leaf(const void *entry, size_t n, uint8_t out[COF_HASH])
{
	static const uint8_t prefix = 0x00;
	const struct iovec v[] = {{(void *)&prefix, 1}, {(void *)entry, n}};

	cof_sha256v(v, 2, out);
}

void cof_merkle_node(const uint8_t left[COF_HASH], const uint8_t right[COF_HASH],
		     uint8_t out[COF_HASH])
{
	uint8_t block[1 + 2 * COF_HASH] = {0x01};

	memcpy(block + 1, left, COF_HASH);
	memcpy(block + 1 + COF_HASH, right, COF_HASH);
	cof_sha256(block, sizeof(block), out);
}

/* ---- incremental ---- */

void cof_frontier_init(struct cof_frontier *f)
{
	memset(f, 0, sizeof(*f));
}

/* A complete subtree of 2^h leaves behind the others; h is a multiple of 8. */
static void add(struct cof_frontier *f, unsigned h, const uint8_t root[COF_HASH], cof_tile_fn fn,
		void *user)
{
	uint64_t leaves = UINT64_C(1) << h;
	uint8_t carry[COF_HASH];

	memcpy(carry, root, COF_HASH);
	if (fn)
		fn(user, h / 8, f->size >> h, carry);
	for (; f->size >> h & 1; h++) {
		cof_merkle_node(f->node[h], carry, carry);
		if (fn && (h + 1) % 8 == 0)
			fn(user, (h + 1) / 8, f->size >> (h + 1), carry);
	}
	memcpy(f->node[h], carry, COF_HASH);
	f->size += leaves;
}

void cof_frontier_add(struct cof_frontier *f, const uint8_t leaf[COF_HASH], cof_tile_fn fn,
		      void *user)
{
	assert(f->size < SIZE_LIMIT - 1);
	add(f, 0, leaf, fn, user);
}

void cof_frontier_add_tile(struct cof_frontier *f, const uint8_t root[COF_HASH], cof_tile_fn fn,
			   void *user)
{
	assert(f->size < SIZE_LIMIT - COF_TILE && f->size % COF_TILE == 0);
	add(f, 8, root, fn, user);
}

/* Folds the complete subtrees of a size, smallest first, into its root. size is not 0. */
static void fold(uint64_t size, const uint8_t (*node)[COF_HASH], uint8_t out[COF_HASH])
{
	unsigned h = (unsigned)__builtin_ctzll(size);
	uint8_t r[COF_HASH];

	memcpy(r, node[h], COF_HASH);
	for (h++; h < 64 && size >> h; h++)
		if (size >> h & 1)
			cof_merkle_node(node[h], r, r);
	memcpy(out, r, COF_HASH);
}

void cof_frontier_root(const struct cof_frontier *f, uint8_t out[COF_HASH])
{
	if (f->size == 0)
		cof_merkle_empty(out);
	else
		fold(f->size, f->node, out);
}

void cof_merkle_root(const uint8_t (*leaves)[COF_HASH], uint64_t n, uint8_t out[COF_HASH])
{
	struct cof_frontier f;

	f.size = 0; /* that alone is read of a frontier of size 0 */
	for (uint64_t i = 0; i < n; i++)
		cof_frontier_add(&f, leaves[i], NULL, NULL);
	cof_frontier_root(&f, out);
}

/* ---- stored levels ---- */

/* The complete subtree of 2^height leaves from start on, which is a multiple of 2^height: at most
 * 128 stored hashes of one level. */
static int complete(uint64_t start, unsigned height, cof_tile_get get, void *user,
		    uint8_t out[COF_HASH])
{
	unsigned level = height / 8, shift = 8 * level;
	uint64_t count = UINT64_C(1) << (height - shift);
	uint8_t stack[9][COF_HASH];

	for (uint64_t i = 0; i < count; i++) {
		unsigned h = 0;
		uint8_t carry[COF_HASH];
		int err = get(user, level, (start >> shift) + i, carry);
		if (err < 0)
			return err;
		for (; i >> h & 1; h++)
			cof_merkle_node(stack[h], carry, carry);
		memcpy(stack[h], carry, COF_HASH);
	}
	memcpy(out, stack[height - shift], COF_HASH);
	return 0;
}

/* The complete subtrees of which [start, start + n) consists: node[h] where bit h of n is set. */
static int load(uint64_t start, uint64_t n, cof_tile_get get, void *user, uint8_t (*node)[COF_HASH])
{
	for (unsigned h = 64; h-- > 0;) {
		if (!(n >> h & 1))
			continue;
		int err = complete(start, h, get, user, node[h]);
		if (err < 0)
			return err;
		start += UINT64_C(1) << h;
	}
	return 0;
}

int cof_frontier_load(struct cof_frontier *ret, uint64_t size, cof_tile_get get, void *user)
{
	struct cof_frontier f;

	if (size >= SIZE_LIMIT)
		return -EINVAL;
	cof_frontier_init(&f);
	f.size = size;
	int err = load(0, size, get, user, f.node);
	if (err == 0)
		*ret = f;
	return err;
}

/* The largest power of two below n; n is at least 2. */
static uint64_t split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

int cof_merkle_range(uint64_t start, uint64_t n, cof_tile_get get, void *user,
		     uint8_t out[COF_HASH])
{
	uint8_t node[64][COF_HASH];

	if (start >= SIZE_LIMIT || n > SIZE_LIMIT - start)
		return -EINVAL;
	if (n == 0) {
		if (start)
			return -EINVAL;
		cof_merkle_empty(out);
		return 0;
	}
	/* A subtree of the RFC begins at a multiple of the power of two that it fills or tends to.
	 */
	if (n > 1 && start & (2 * split(n) - 1))
		return -EINVAL;
	int err = load(start, n, get, user, node);
	if (err == 0)
		fold(n, node, out);
	return err;
}

/* ---- proofs ---- */

/* Proofs are collected from the root down, and read from the leaf up. */
static void reverse(uint8_t (*proof)[COF_HASH], size_t n)
{
	uint8_t t[COF_HASH];

	for (size_t i = 0; i < n / 2; i++) {
		memcpy(t, proof[i], COF_HASH);
		memcpy(proof[i], proof[n - 1 - i], COF_HASH);
		memcpy(proof[n - 1 - i], t, COF_HASH);
	}
}

int cof_merkle_inclusion(uint64_t index, uint64_t size, cof_tile_get get, void *user,
			 uint8_t proof[COF_PROOF_MAX][COF_HASH], size_t *ret_n)
{
	uint64_t start = 0, n = size;
	size_t count = 0;

	if (size >= SIZE_LIMIT || index >= size)
		return -EINVAL;
	while (n > 1) {
		uint64_t k = split(n);
		bool left = index - start < k;
		int err = left ? cof_merkle_range(start + k, n - k, get, user, proof[count])
			       : cof_merkle_range(start, k, get, user, proof[count]);
		if (err < 0)
			return err;
		count++;
		start += left ? 0 : k;
		n = left ? k : n - k;
	}
	reverse(proof, count);
	*ret_n = count;
	return 0;
}

int cof_merkle_consistency(uint64_t old_size, uint64_t size, cof_tile_get get, void *user,
			   uint8_t proof[COF_PROOF_MAX][COF_HASH], size_t *ret_n)
{
	uint64_t start = 0, m = old_size, n = size;
	size_t count = 0;
	int err;

	if (size >= SIZE_LIMIT || old_size == 0 || old_size > size)
		return -EINVAL;
	while (m != n) {
		uint64_t k = split(n);
		bool left = m <= k;
		err = left ? cof_merkle_range(start + k, n - k, get, user, proof[count])
			   : cof_merkle_range(start, k, get, user, proof[count]);
		if (err < 0)
			return err;
		count++;
		start += left ? 0 : k;
		m -= left ? 0 : k;
		n = left ? k : n - k;
	}
	if (start > 0) { /* else it is the old tree itself, whose root the verifier has */
		err = cof_merkle_range(start, m, get, user, proof[count]);
		if (err < 0)
			return err;
		count++;
	}
	reverse(proof, count);
	*ret_n = count;
	return 0;
}

/* ---- verification ---- */

/* Whether the step up goes to the left sibling (RFC 9162 2.1.3.2, 4.b); then skips the levels at
 * which the last node of the tree has no sibling. */
static bool step_is_left(uint64_t *fn, uint64_t *sn)
{
	bool left = *fn & 1 || *fn == *sn;

	if (left)
		while (!(*fn & 1) && *fn != 0) {
			*fn >>= 1;
			*sn >>= 1;
		}
	*fn >>= 1;
	*sn >>= 1;
	return left;
}

int cof_merkle_verify_inclusion(uint64_t index, uint64_t size, const uint8_t leaf[COF_HASH],
				const uint8_t (*proof)[COF_HASH], size_t n,
				const uint8_t root[COF_HASH])
{
	uint64_t fn = index, sn = size - 1;
	uint8_t r[COF_HASH];

	if (index >= size)
		return -EBADMSG;
	memcpy(r, leaf, COF_HASH);
	for (size_t i = 0; i < n; i++) {
		if (sn == 0)
			return -EBADMSG;
		if (step_is_left(&fn, &sn))
			cof_merkle_node(proof[i], r, r);
		else
			cof_merkle_node(r, proof[i], r);
	}
	return sn == 0 && cof_equal(r, root, COF_HASH) ? 0 : -EBADMSG;
}

int cof_merkle_verify_consistency(uint64_t old_size, uint64_t size,
				  const uint8_t (*proof)[COF_HASH], size_t n,
				  const uint8_t old_root[COF_HASH], const uint8_t root[COF_HASH])
{
	uint64_t fn = old_size - 1, sn = size - 1;
	uint8_t fr[COF_HASH], sr[COF_HASH];
	size_t i = 0;

	if (old_size == 0 || old_size > size)
		return -EBADMSG;
	if (old_size == size)
		return n == 0 && cof_equal(old_root, root, COF_HASH) ? 0 : -EBADMSG;
	if (n == 0)
		return -EBADMSG;
	/* An old tree that is one complete subtree is its own first hash. */
	memcpy(fr, (old_size & (old_size - 1)) == 0 ? old_root : proof[i++], COF_HASH);
	memcpy(sr, fr, COF_HASH);
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	for (; i < n; i++) {
		if (sn == 0)
			return -EBADMSG;
		if (step_is_left(&fn, &sn)) {
			cof_merkle_node(proof[i], fr, fr);
			cof_merkle_node(proof[i], sr, sr);
		} else {
			cof_merkle_node(sr, proof[i], sr);
		}
	}
	return sn == 0 && cof_equal(fr, old_root, COF_HASH) && cof_equal(sr, root, COF_HASH)
		   ? 0
		   : -EBADMSG;
}
