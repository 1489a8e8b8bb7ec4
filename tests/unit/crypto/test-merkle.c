/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree against published roots and against a naive model: RFC 6962's own recursive
 * definitions, which share nothing with the implementation but the hash of two nodes.
 */
#include "test-crypto.h"

#include <stdio.h>

#include "crypto/merkle.h"

typedef uint8_t hash_t[COF_HASH];

enum { SMALL = 131, LARGE = 70000 };

/* ---- the model ---- */

static hash_t leaves[LARGE]; /* of "entry 0", "entry 1", … */

static void make_leaves(void)
{
	char text[32];

	for (int i = 0; i < LARGE; i++)
		cof_merkle_leaf(text, (size_t)snprintf(text, sizeof(text), "entry %d", i),
				leaves[i]);
}

static uint64_t largest_below(uint64_t n)
{
	uint64_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

/* MTH of RFC 6962 2.1 over the leaves from start on. */
static void model_root(uint64_t start, uint64_t n, uint8_t *out)
{
	hash_t l, r;
	uint64_t k = largest_below(n);

	if (n == 0) {
		cof_sha256("", 0, out);
	} else if (n == 1) {
		memcpy(out, leaves[start], COF_HASH);
	} else {
		model_root(start, k, l);
		model_root(start + k, n - k, r);
		cof_merkle_node(l, r, out);
	}
}

/* PATH of 2.1.1. */
static size_t model_path(uint64_t m, uint64_t start, uint64_t n, hash_t *out)
{
	uint64_t k = largest_below(n);
	size_t len;

	if (n == 1)
		return 0;
	if (m < k) {
		len = model_path(m, start, k, out);
		model_root(start + k, n - k, out[len]);
	} else {
		len = model_path(m - k, start + k, n - k, out);
		model_root(start, k, out[len]);
	}
	return len + 1;
}

/* SUBPROOF of 2.1.2. */
static size_t model_subproof(uint64_t m, uint64_t start, uint64_t n, bool known, hash_t *out)
{
	uint64_t k = largest_below(n);
	size_t len;

	if (m == n) {
		if (!known)
			model_root(start, n, out[0]);
		return known ? 0 : 1;
	}
	if (m <= k) {
		len = model_subproof(m, start, k, known, out);
		model_root(start + k, n - k, out[len]);
	} else {
		len = model_subproof(m - k, start + k, n - k, false, out);
		model_root(start, k, out[len]);
	}
	return len + 1;
}

/* ---- stored levels ---- */

static struct {
	hash_t *level[4];
	uint64_t len[4], reads;
	int fail_at; /* the read that fails; 0: none */
} stored;

static void store_tile(void *user, unsigned level, uint64_t index, const uint8_t *hash)
{
	must(user == &stored);
	must(level < 4);
	must(index == stored.len[level]); /* rising, without a gap */
	must(index < LARGE);
	memcpy(stored.level[level][index], hash, COF_HASH);
	stored.len[level]++;
}

/* What store_tile put there comes once more, but for the leaves: they are counted. */
static void store_higher(void *user, unsigned level, uint64_t index, const uint8_t *hash)
{
	if (!level) {
		++*(uint64_t *)user;
		return;
	}
	must(index == stored.len[level]++);
	must(!memcmp(stored.level[level][index], hash, COF_HASH));
}

static int get_tile(void *user, unsigned level, uint64_t index, uint8_t *out)
{
	must(user == &stored);
	must(level < 4);
	must(index < stored.len[level]);
	if ((int)++stored.reads == stored.fail_at)
		return -EIO;
	memcpy(out, stored.level[level][index], COF_HASH);
	return 0;
}

static void store_all(struct cof_frontier *f)
{
	make_leaves();
	for (int i = 0; i < 4; i++) {
		stored.level[i] = calloc(LARGE, COF_HASH);
		ck_assert_ptr_nonnull(stored.level[i]);
	}
	cof_frontier_init(f);
	for (int i = 0; i < LARGE; i++)
		cof_frontier_add(f, leaves[i], store_tile, &stored);
}

/* ---- roots ---- */

START_TEST(published_roots)
{
	static const char *const classic[] = {"",
					      "00",
					      "10",
					      "2021",
					      "3031",
					      "40414243",
					      "5051525354555657",
					      "606162636465666768696a6b6c6d6e6f"};
	static const struct {
		uint64_t n;
		const char *root;
	} of_classic[] = {{0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
			  {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
			  {2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
			  {3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
			  {7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
			  {8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"}},
	  of_entries[] = {
	      {255, "cf66793e6329dff242eb3cee0a6f36ad3e3a196dcc573a1ec775e102be863f1c"},
	      {256, "da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e"},
	      {257, "5c1fdfe835358022f2392de478dbe053fc130cfe1d3a082879a90cf6bf14bf7e"},
	      {65536, "07b1a377960a4e12e3348d6e9329ae6316a95b02fb1c22e909231b3aa44861a7"},
	      {70000, "a3920fba7f239a071a9bd10721f1341addefbaededb41c7e24437a9d16bdf00a"}};
	hash_t hash[8], root;
	uint8_t data[16];

	for (int i = 0; i < 8; i++)
		cof_merkle_leaf(data, from_hex(classic[i], data, sizeof(data)), hash[i]);
	for (size_t i = 0; i < COF_COUNT(of_classic); i++) {
		cof_merkle_root((const hash_t *)hash, of_classic[i].n, root);
		assert_hex(root, COF_HASH, of_classic[i].root);
	}
	make_leaves();
	for (size_t i = 0; i < COF_COUNT(of_entries); i++) {
		cof_merkle_root((const hash_t *)leaves, of_entries[i].n, root);
		assert_hex(root, COF_HASH, of_entries[i].root);
	}
	cof_merkle_empty(root);
	assert_hex(root, COF_HASH, of_classic[0].root);
}
END_TEST

START_TEST(roots_of_the_model)
{
	struct cof_frontier f;
	hash_t want, got;

	make_leaves();
	cof_frontier_init(&f);
	for (uint64_t n = 0; n <= 600; n++) {
		model_root(0, n, want);
		cof_frontier_root(&f, got);
		ck_assert_mem_eq(got, want, COF_HASH);
		cof_merkle_root((const hash_t *)leaves, n, got);
		ck_assert_mem_eq(got, want, COF_HASH);
		cof_frontier_add(&f, leaves[n], NULL, NULL);
		ck_assert_uint_eq(f.size, n + 1);
	}
}
END_TEST

/* Whole tiles put in by their roots: the same levels and the same frontier. */
START_TEST(tiles_at_once)
{
	struct cof_frontier one, tiles;
	uint64_t lone = 0;
	hash_t root;

	store_all(&one);
	cof_frontier_init(&tiles);
	stored.len[1] = stored.len[2] = 0; /* made anew, in the same place */
	while (tiles.size < LARGE) {
		if (tiles.size % COF_TILE || tiles.size / COF_TILE % 5 == 4 ||
		    LARGE - tiles.size < COF_TILE) {
			cof_frontier_add(&tiles, leaves[tiles.size], store_higher, &lone);
			continue;
		}
		cof_merkle_root((const hash_t *)leaves + tiles.size, COF_TILE, root);
		cof_frontier_add_tile(&tiles, root, store_higher, &lone);
	}
	ck_assert_uint_eq(lone, LARGE - LARGE / COF_TILE / 5 * 4 * COF_TILE - LARGE / COF_TILE % 5 * COF_TILE);
	ck_assert_uint_eq(stored.len[1], LARGE / COF_TILE);
	ck_assert_uint_eq(stored.len[2], LARGE / COF_TILE / COF_TILE);
	ck_assert_uint_eq(tiles.size, one.size);
	for (unsigned h = 0; h < 17; h++)
		if (one.size >> h & 1)
			ck_assert_mem_eq(tiles.node[h], one.node[h], COF_HASH);
}
END_TEST

/* ---- proofs at every size ---- */

static const hash_t *ro(hash_t *p)
{
	return (const hash_t *)p;
}

/* Changed in any way, an inclusion proof no longer holds. proof has room for one more. */
static void spoil_inclusion(uint64_t i, uint64_t n, hash_t *proof, size_t len, const uint8_t *root)
{
	hash_t leaf, wrong;

	memcpy(leaf, leaves[i], COF_HASH);
	memcpy(wrong, root, COF_HASH);
	for (uint64_t k = 0; k < n + 2; k++) /* another index, beyond the end too */
		must(cof_merkle_verify_inclusion(k, n, leaf, ro(proof), len, root) ==
		     (k == i ? 0 : -EBADMSG));
	for (size_t k = 0; k < len; k++) {
		proof[k][(i + n) % COF_HASH] ^= (uint8_t)(1u << n % 8);
		must(cof_merkle_verify_inclusion(i, n, leaf, ro(proof), len, root) == -EBADMSG);
		proof[k][(i + n) % COF_HASH] ^= (uint8_t)(1u << n % 8);
		must(cof_merkle_verify_inclusion(i, n, leaf, ro(proof), k, root) == -EBADMSG);
	}
	if (len > 0)
		must(cof_merkle_verify_inclusion(i, n, leaf, ro(proof + 1), len - 1, root) ==
		     -EBADMSG);
	memcpy(proof[len], root, COF_HASH);
	must(cof_merkle_verify_inclusion(i, n, leaf, ro(proof), len + 1, root) == -EBADMSG);
	leaf[n % COF_HASH] ^= 1;
	must(cof_merkle_verify_inclusion(i, n, leaf, ro(proof), len, root) == -EBADMSG);
	leaf[n % COF_HASH] ^= 1;
	wrong[i % COF_HASH] ^= 0x80;
	must(cof_merkle_verify_inclusion(i, n, leaf, ro(proof), len, wrong) == -EBADMSG);
	must(cof_merkle_verify_inclusion(UINT64_MAX, n, leaf, ro(proof), len, root) == -EBADMSG);
	must(cof_merkle_verify_inclusion(i, 0, leaf, ro(proof), len, root) == -EBADMSG);
}

START_TEST(inclusion_everywhere)
{
	hash_t proof[COF_PROOF_MAX], want[COF_PROOF_MAX + 1], root;
	struct cof_frontier f;
	size_t len;

	store_all(&f);
	for (uint64_t n = 1; n < SMALL; n++) {
		model_root(0, n, root);
		for (uint64_t i = 0; i < n; i++) {
			size_t w = model_path(i, 0, n, want);

			must(cof_merkle_inclusion(i, n, get_tile, &stored, proof, &len) == 0);
			must(len == w);
			must(memcmp(proof, want, len * COF_HASH) == 0);
			spoil_inclusion(i, n, want, w, root);
		}
	}
	must(cof_merkle_inclusion(5, 5, get_tile, &stored, proof, &len) == -EINVAL);
	must(cof_merkle_inclusion(0, 0, get_tile, &stored, proof, &len) == -EINVAL);
	must(cof_merkle_inclusion(0, UINT64_C(1) << 63, get_tile, &stored, proof, &len) == -EINVAL);
}
END_TEST

static void spoil_consistency(uint64_t m, uint64_t n, hash_t *proof, size_t len, const uint8_t *old,
			      const uint8_t *root)
{
	hash_t wrong_old, wrong;

	memcpy(wrong_old, old, COF_HASH);
	memcpy(wrong, root, COF_HASH);
	wrong_old[m % COF_HASH] ^= 1;
	wrong[n % COF_HASH] ^= 1;
	for (uint64_t k = 0; k < n + 2; k++)
		must(cof_merkle_verify_consistency(k, n, ro(proof), len, old, root) ==
		     (k == m ? 0 : -EBADMSG));
	for (size_t k = 0; k < len; k++) {
		proof[k][n % COF_HASH] ^= (uint8_t)(1u << m % 8);
		must(cof_merkle_verify_consistency(m, n, ro(proof), len, old, root) == -EBADMSG);
		proof[k][n % COF_HASH] ^= (uint8_t)(1u << m % 8);
		must(cof_merkle_verify_consistency(m, n, ro(proof), k, old, root) == -EBADMSG);
	}
	memcpy(proof[len], root, COF_HASH);
	must(cof_merkle_verify_consistency(m, n, ro(proof), len + 1, old, root) == -EBADMSG);
	must(cof_merkle_verify_consistency(m, n, ro(proof), len, wrong_old, root) == -EBADMSG);
	must(cof_merkle_verify_consistency(m, n, ro(proof), len, old, wrong) == -EBADMSG);
	if (m < n)
		must(cof_merkle_verify_consistency(m, n, ro(proof), len, root, old) == -EBADMSG);
}

START_TEST(consistency_everywhere)
{
	hash_t proof[COF_PROOF_MAX], want[COF_PROOF_MAX + 1], old, root;
	struct cof_frontier f;
	size_t len;

	store_all(&f);
	for (uint64_t n = 1; n < SMALL; n++) {
		model_root(0, n, root);
		for (uint64_t m = 1; m <= n; m++) {
			size_t w = model_subproof(m, 0, n, true, want);

			model_root(0, m, old);
			must(cof_merkle_consistency(m, n, get_tile, &stored, proof, &len) == 0);
			must(len == w);
			must(memcmp(proof, want, len * COF_HASH) == 0);
			spoil_consistency(m, n, want, w, old, root);
		}
	}
	must(cof_merkle_consistency(0, 5, get_tile, &stored, proof, &len) == -EINVAL);
	must(cof_merkle_consistency(6, 5, get_tile, &stored, proof, &len) == -EINVAL);
	must(cof_merkle_verify_consistency(0, 0, ro(proof), 0, root, root) == -EBADMSG);
}
END_TEST

/* ---- stored levels ---- */

/* Every start and length: RFC 6962's subtrees give their root, everything else is refused. */
START_TEST(range_of_the_model)
{
	struct cof_frontier f;
	hash_t want, got;

	store_all(&f);
	for (uint64_t start = 0; start < 70; start++)
		for (uint64_t n = 0; n < 70; n++) {
			uint64_t full = n > 1 ? 2 * largest_below(n) : 1;
			bool good = n ? start % full == 0 : start == 0;

			ck_assert_int_eq(cof_merkle_range(start, n, get_tile, &stored, got),
					 good ? 0 : -EINVAL);
			if (!good)
				continue;
			model_root(start, n, want);
			ck_assert_mem_eq(got, want, COF_HASH);
		}
	ck_assert_int_eq(cof_merkle_range(UINT64_C(1) << 63, 1, get_tile, &stored, got), -EINVAL);
	ck_assert_int_eq(cof_merkle_range(0, UINT64_MAX, get_tile, &stored, got), -EINVAL);
	ck_assert_int_eq(cof_merkle_range(1, UINT64_MAX, get_tile, &stored, got), -EINVAL);
}
END_TEST

static void hash_of_level(unsigned level, uint64_t n, const char *hex)
{
	hash_t hash;

	cof_sha256(stored.level[level], n * COF_HASH, hash);
	assert_hex(hash, COF_HASH, hex);
}

START_TEST(levels)
{
	struct cof_frontier f;
	hash_t want;

	store_all(&f);
	ck_assert_uint_eq(stored.len[0], 70000);
	ck_assert_uint_eq(stored.len[1], 273); /* 273 full and 112 more */
	ck_assert_uint_eq(stored.len[2], 1);
	ck_assert_uint_eq(stored.len[3], 0);
	hash_of_level(0, 256, "b0f6ca2ff42508faf8c6bb4ea8bb9c74243b19d4174fdc4fd17bdad9099e605e");
	hash_of_level(1, 256, "44f879be76da41edaf37c0d67303fbd25f2ea44be93285b320561fbaaaaabbfa");
	for (uint64_t i = 0; i < 273; i++) {
		model_root(256 * i, 256, want);
		ck_assert_mem_eq(stored.level[1][i], want, COF_HASH);
	}
	model_root(0, 65536, want);
	ck_assert_mem_eq(stored.level[2][0], want, COF_HASH);
}
END_TEST

static const uint64_t borders[] = {1,     2,     3,     127,   128,   129,   255,   256,   257,
				   511,   512,   513,   32767, 32768, 32769, 65279, 65280, 65281,
				   65535, 65536, 65537, 65791, 65792, 65793, 69999, 70000};

/* Loaded from the stored levels, the frontier is the one that grew; and goes on as that one. */
START_TEST(frontier_loads)
{
	struct cof_frontier f, loaded, grown;
	uint64_t at = 0;
	hash_t want, got;

	store_all(&f);
	cof_frontier_init(&grown);
	ck_assert_int_eq(cof_frontier_load(&loaded, 0, get_tile, &stored), 0);
	ck_assert_uint_eq(loaded.size, 0);
	for (size_t i = 0; i < COF_COUNT(borders); i++) {
		while (at < borders[i])
			cof_frontier_add(&grown, leaves[at++], NULL, NULL);
		stored.reads = 0;
		ck_assert_int_eq(cof_frontier_load(&loaded, at, get_tile, &stored), 0);
		ck_assert_uint_le(stored.reads, 3 * 255);
		ck_assert_uint_eq(loaded.size, at);
		for (unsigned h = 0; h < 17; h++)
			if (at >> h & 1)
				ck_assert_mem_eq(loaded.node[h], grown.node[h], COF_HASH);
		model_root(0, at, want);
		cof_frontier_root(&loaded, got);
		ck_assert_mem_eq(got, want, COF_HASH);
		while (loaded.size < LARGE)
			cof_frontier_add(&loaded, leaves[loaded.size], NULL, NULL);
		cof_frontier_root(&loaded, got);
		cof_frontier_root(&f, want);
		ck_assert_mem_eq(got, want, COF_HASH);
	}
	loaded.size = 77;
	ck_assert_int_eq(cof_frontier_load(&loaded, UINT64_C(1) << 63, get_tile, &stored), -EINVAL);
	ck_assert_uint_eq(loaded.size, 77);
}
END_TEST

START_TEST(proofs_across_borders)
{
	hash_t proof[COF_PROOF_MAX], root[COF_COUNT(borders)];
	struct cof_frontier f;
	size_t len;

	store_all(&f);
	for (size_t j = 0; j < COF_COUNT(borders); j++)
		model_root(0, borders[j], root[j]);
	for (size_t j = 0; j < COF_COUNT(borders); j++)
		for (size_t i = 0; i <= j; i++) {
			uint64_t n = borders[j], at = borders[i] - 1;

			ck_assert_int_eq(
			    cof_merkle_inclusion(at, n, get_tile, &stored, proof, &len), 0);
			ck_assert_int_eq(
			    cof_merkle_verify_inclusion(at, n, leaves[at], ro(proof), len, root[j]),
			    0);
			ck_assert_int_eq(
			    cof_merkle_consistency(borders[i], n, get_tile, &stored, proof, &len),
			    0);
			ck_assert_int_eq(cof_merkle_verify_consistency(borders[i], n, ro(proof),
								       len, root[i], root[j]),
					 0);
		}
}
END_TEST

/* An error of any read is returned, and the outputs stay as they were. */
START_TEST(read_errors)
{
	struct cof_frontier f, loaded = {.size = 77};
	hash_t proof[COF_PROOF_MAX], out = {0x77};
	uint64_t reads;
	size_t len = 99;

	store_all(&f);
	stored.reads = 0;
	ck_assert_int_eq(cof_frontier_load(&f, 65793 + 300, get_tile, &stored), 0);
	reads = stored.reads;
	for (uint64_t i = 1; i <= reads; i++) {
		stored.reads = 0;
		stored.fail_at = (int)i;
		ck_assert_int_eq(cof_frontier_load(&loaded, 65793 + 300, get_tile, &stored), -EIO);
		ck_assert_uint_eq(loaded.size, 77);
	}
	stored.reads = 0;
	stored.fail_at = 3;
	ck_assert_int_eq(cof_merkle_inclusion(1, 7, get_tile, &stored, proof, &len), -EIO);
	stored.reads = 0;
	ck_assert_int_eq(cof_merkle_consistency(3, 7, get_tile, &stored, proof, &len), -EIO);
	ck_assert_uint_eq(len, 99);
	stored.reads = 0;
	ck_assert_int_eq(cof_merkle_range(0, 7, get_tile, &stored, out), -EIO);
	ck_assert_uint_eq(out[0], 0x77);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("merkle");
	TCase *t = crypto_case("merkle");

	tcase_add_test(t, published_roots);
	tcase_add_test(t, roots_of_the_model);
	tcase_add_test(t, tiles_at_once);
	tcase_add_test(t, inclusion_everywhere);
	tcase_add_test(t, consistency_everywhere);
	tcase_add_test(t, range_of_the_model);
	tcase_add_test(t, levels);
	tcase_add_test(t, frontier_loads);
	tcase_add_test(t, proofs_across_borders);
	tcase_add_test(t, read_errors);
	suite_add_tcase(s, t);
	return s;
}
