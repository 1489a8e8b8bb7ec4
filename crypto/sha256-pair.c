/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of two messages at once (FIPS 180-4), for what is public: sealed chunks and hashes of them.
 *
 * The SHA instructions of x86 have a latency of four cycles and begin anew each second one, so that one message alone
 * leaves half of their time unused; libgcrypt hashes one. Two independent ones side by side take hardly longer than the
 * longer of them. Where the processor has no such instructions, libgcrypt does both, one after the other.
 *
 * Neither branches nor addresses depend on what is hashed. What was hashed stays on the stack: not for secrets.
 */
#include "crypto/private.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define BLOCK 64u
#define INLINE __attribute__((always_inline, target("sha,sse4.1"))) static inline
#define TARGET __attribute__((target("sha,sse4.1")))

static const uint32_t K[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The state as the instructions want it: words A B E F and C D G H, highest first. */
struct state {
	__m128i abef, cdgh;
};

struct run { /* of blocks that follow each other */
	const uint8_t *p;
	size_t n;
};

struct message { /* a first block with the prefix, those that stay in place, one or two last ones */
	struct run run[3];
	uint8_t first[BLOCK], last[2 * BLOCK];
};

INLINE __m128i load(const uint8_t *p) /* four big-endian words */
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), swap);
}

INLINE void four_rounds(struct state *s, __m128i words, unsigned i)
{
	__m128i w = _mm_add_epi32(words, _mm_load_si128((const __m128i *)(const void *)&K[4 * i]));

	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, w);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(w, 0x0e));
}

/* Words i + 16 to i + 19 from words i to i + 15. */
INLINE __m128i schedule(__m128i w0, __m128i w4, __m128i w8, __m128i w12)
{
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8(w12, w8, 4));

	return _mm_sha256msg2_epu32(sum, w12);
}

#define ROUNDS(i, w0, w4, w8, w12)                                                                           \
	four_rounds(s, w0, i);                                                                               \
	four_rounds(t, w0##_t, i);                                                                           \
	w0 = schedule(w0, w4, w8, w12);                                                                      \
	w0##_t = schedule(w0##_t, w4##_t, w8##_t, w12##_t)

#define LAST_ROUNDS(i, w)                                                                                    \
	four_rounds(s, w, i);                                                                                \
	four_rounds(t, w##_t, i)

TARGET static void compress_two(struct state *sp, const uint8_t *p, struct state *tp, const uint8_t *q, size_t blocks)
{
	struct state sv = *sp, tv = *tp, *s = &sv, *t = &tv;

	for (; blocks; blocks--, p += BLOCK, q += BLOCK) {
		struct state s0 = sv, t0 = tv;
		__m128i a = load(p), b = load(p + 16), c = load(p + 32), d = load(p + 48);
		__m128i a_t = load(q), b_t = load(q + 16), c_t = load(q + 32), d_t = load(q + 48);

		ROUNDS(0, a, b, c, d);
		ROUNDS(1, b, c, d, a);
		ROUNDS(2, c, d, a, b);
		ROUNDS(3, d, a, b, c);
		ROUNDS(4, a, b, c, d);
		ROUNDS(5, b, c, d, a);
		ROUNDS(6, c, d, a, b);
		ROUNDS(7, d, a, b, c);
		ROUNDS(8, a, b, c, d);
		ROUNDS(9, b, c, d, a);
		ROUNDS(10, c, d, a, b);
		ROUNDS(11, d, a, b, c);
		LAST_ROUNDS(12, a);
		LAST_ROUNDS(13, b);
		LAST_ROUNDS(14, c);
		LAST_ROUNDS(15, d);
		sv.abef = _mm_add_epi32(sv.abef, s0.abef);
		sv.cdgh = _mm_add_epi32(sv.cdgh, s0.cdgh);
		tv.abef = _mm_add_epi32(tv.abef, t0.abef);
		tv.cdgh = _mm_add_epi32(tv.cdgh, t0.cdgh);
	}
	*sp = sv;
	*tp = tv;
}

/* What is behind the last whole block, and the length of all. */
static size_t pad(uint8_t last[2 * BLOCK], size_t at, uint64_t bytes)
{
	size_t blocks = at + 9 <= BLOCK ? 1 : 2;

	last[at++] = 0x80;
	memset(last + at, 0, blocks * BLOCK - 8 - at);
	cof_put_be64(last + blocks * BLOCK - 8, bytes * 8);
	return blocks;
}

static void cut(struct message *m, uint8_t prefix, const struct iovec *in)
{
	const uint8_t *p = in->iov_base;
	size_t n = in->iov_len, at = 0;

	m->run[0] = (struct run){m->first, n >= BLOCK - 1};
	if (m->run[0].n) {
		m->first[0] = prefix;
		memcpy(m->first + 1, p, BLOCK - 1);
		p += BLOCK - 1;
		n -= BLOCK - 1;
	} else {
		m->last[at++] = prefix;
	}
	m->run[1] = (struct run){p, n / BLOCK};
	if (n % BLOCK)
		memcpy(m->last + at, p + n / BLOCK * BLOCK, n % BLOCK);
	m->run[2] = (struct run){m->last, pad(m->last, at + n % BLOCK, (uint64_t)in->iov_len + 1)};
}

TARGET static void begin(struct state *s)
{
	s->abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
	s->cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
}

TARGET static void end(const struct state *s, uint8_t out[COF_HASH])
{
	uint32_t x[4], y[4]; /* F E B A, H G D C */

	_mm_storeu_si128((__m128i *)(void *)x, s->abef);
	_mm_storeu_si128((__m128i *)(void *)y, s->cdgh);
	const uint32_t word[8] = {x[3], x[2], y[3], y[2], x[1], x[0], y[1], y[0]};

	for (int i = 0; i < 8; i++)
		cof_put_be32(out + 4 * i, word[i]);
}

/* The next run that is not empty; NULL behind the last. */
static struct run *next(struct message *m, unsigned *i)
{
	while (*i < COF_COUNT(m->run) && !m->run[*i].n)
		(*i)++;
	return *i < COF_COUNT(m->run) ? &m->run[*i] : NULL;
}

static void forward(struct run *r, size_t blocks)
{
	r->p += blocks * BLOCK;
	r->n -= blocks;
}

static void both(uint8_t prefix, const struct iovec in[2], uint8_t (*out)[COF_HASH])
{
	struct message a, b;
	struct state s, t, spare;
	struct run *x, *y;
	unsigned i = 0, k = 0;

	cut(&a, prefix, &in[0]);
	cut(&b, prefix, &in[1]);
	begin(&s);
	begin(&t);
	begin(&spare);
	while ((x = next(&a, &i)) && (y = next(&b, &k))) {
		size_t n = COF_MIN(x->n, y->n);

		compress_two(&s, x->p, &t, y->p, n);
		forward(x, n);
		forward(y, n);
	}
	for (; (x = next(&a, &i)); x->n = 0) /* the longer one's rest */
		compress_two(&s, x->p, &spare, x->p, x->n);
	for (; (y = next(&b, &k)); y->n = 0)
		compress_two(&t, y->p, &spare, y->p, y->n);
	end(&s, out[0]);
	end(&t, out[1]);
}

static bool has_instructions(void)
{
	static _Atomic int known; /* 1: yes, -1: no */
	unsigned a, b = 0, c, d;

	if (!known)
		known = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & 1u << 29 &&
				__builtin_cpu_supports("sse4.1")
			    ? 1
			    : -1;
	return known > 0;
}
#else
static bool has_instructions(void)
{
	return false;
}

static void both(uint8_t prefix, const struct iovec in[2], uint8_t (*out)[COF_HASH])
{
	(void)prefix;
	(void)in;
	(void)out;
}
#endif

void cof_sha256_two(uint8_t prefix, const struct iovec in[2], uint8_t (*out)[COF_HASH])
{
	if (has_instructions()) {
		both(prefix, in, out);
		return;
	}
	for (int i = 0; i < 2; i++) {
		const struct iovec v[] = {{&prefix, 1}, in[i]};

		cof_sha256v(v, 2, out[i]);
	}
}
