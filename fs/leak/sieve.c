/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sieve: one pass over all bytes, 64 at a time, that leaves few places to the judges.
 *
 * For each byte a class by its two nibbles (two shuffles of a table of 16), and for each three bytes in a row
 * whether they fit a mark: the intersection, over six nibbles, of the marks that have this nibble
 * there (Teddy's algorithm, of Hyperscan). The answers are bit masks of 64, on which runs are found by
 * counting zeros: first the masks of several blocks, with the tables in registers, then what they tell, with
 * few branches, for in logs nobody can guess them. What passes the marks by chance the judges refuse at their first look.
 *
 * The same with AVX-512 (VBMI), AVX2 and byte by byte; what is found is the same (a test compares it).
 */
#include <pthread.h>

#include "fs/leak/internal.h"

#define BLOCK 64
#define BATCH 8 /* blocks */

struct masks {
	uint64_t word, text, run, mark;
	uint64_t high, base58, hex;
};

static const uint8_t class_low[16] = {
    /* 0 */ C_ALPHA_2 | C_HIGH | C_DIGIT | C_GAP_1,
    /* 1 */ C_WORD | C_DIGIT,
    /* 2 */ C_WORD | C_DIGIT | C_GAP_1,
    /* 3 */ C_WORD | C_DIGIT,
    /* 4 */ C_WORD | C_DIGIT,
    /* 5 */ C_WORD | C_DIGIT,
    /* 6 */ C_WORD | C_DIGIT,
    /* 7 */ C_WORD | C_DIGIT | C_GAP_1,
    /* 8 */ C_WORD | C_DIGIT | C_GAP_1,
    /* 9 */ C_WORD | C_DIGIT | C_GAP_1 | C_GAP_2,
    /* a */ C_WORD | C_GAP_1 | C_GAP_2,
    /* b */ C_ALPHA_1 | C_HIGH | C_BASE64 | C_GAP_2,
    /* c */ C_ALPHA_1 | C_HIGH | C_GAP_1,
    /* d */ C_ALPHA_1 | C_HIGH | C_BASE64 | C_GAP_1 | C_GAP_2,
    /* e */ C_ALPHA_1 | C_HIGH | C_GAP_1,
    /* f */ C_ALPHA_1 | C_HIGH | C_BASE64 | C_UNDER,
};
static const uint8_t class_high[16] = {
    C_GAP_2,   0,      C_BASE64 | C_GAP_1, C_DIGIT, C_ALPHA_1, C_ALPHA_2 | C_UNDER | C_GAP_2,
    C_ALPHA_1, C_ALPHA_2, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH, C_HIGH,
};

/* The digits of Base58 in four rectangles of nibbles, those of hex in two */
#define D_BASE58 0x0f
#define D_HEX 0x30
static const uint8_t digit_low[16] = {
    /* 0 */ 0x04 | 0x10,
    /* 1 to 6 */ 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    /* 7, 8 */ 0x1f, 0x1f,
    /* 9: no I */ 0x1d,
    /* a */ 0x0e,
    /* b */ 0x0a,
    /* c: no l */ 0x02,
    /* d, e */ 0x0a, 0x0a,
    /* f: no O */ 0x08,
};
static const uint8_t digit_high[16] = {0, 0, 0, 0x01 | 0x10, 0x02 | 0x20, 0x04, 0x08 | 0x20, 0x04};

uint8_t cof_leak_class[256] __attribute__((aligned(64)));
static uint8_t digit_class[128];
/* What AVX-512 asks of a byte, in one table */
#define S_WORD 0x01
#define S_TEXT 0x02
#define S_RUN 0x04
#define S_BASE58 0x08
#define S_HEX 0x10
static uint8_t sieve_class[128] __attribute__((aligned(64)));

/* ---- marks: three bytes, each one of a few; eight groups, the marks of a group crossed ---- */

static const char *const marks[8][3] = {
    {"-\x02" "E", "B\x01-", "E\x01S"}, /* -----BEGIN, 02 01 00 or 02 01 01 of a DER key, AGE-SECRET-KEY-1 */
    {"A", "KS", "I"},		 /* AKIA, ASIA */
    {"h", "pousr", "_"},	 /* ghp_ and kin */
    {"lkb", "p_", "alp"},		 /* glpat-, sk_live_, rk_live_, github_pat_ */
    {":.", "As", "Al"},		 /* Telegram's :AA, hooks.slack.com */
    {"ex", "yo", "Jx"},		 /* eyJ, xox */
    {"tT", "_A", "aAc"},	 /* secret_access_key, SecretAccessKey, SECRET_ACCESS_KEY */
    {"MNO", "DTjz", "AEIMQUYcgk"}, /* three digits in base64: a Discord id */
};
static uint8_t mark_low[3][16], mark_high[3][16];
static uint8_t mark_of[3][128] __attribute__((aligned(64))); /* the same by byte, of ASCII */

static void tables_fill(void)
{
	for (unsigned g = 0; g < 8; g++)
		for (unsigned i = 0; i < 3; i++)
			for (const char *c = marks[g][i]; *c; c++) {
				mark_low[i][*c & 15] |= (uint8_t)(1u << g);
				mark_high[i][*c >> 4 & 15] |= (uint8_t)(1u << g);
			}
	mark_low[2][0] |= 1; /* the 00 of 02 01 00, which ends a string */
	mark_high[2][0] |= 1;
	for (unsigned c = 0; c < 256; c++)
		cof_leak_class[c] = class_low[c & 15] & class_high[c >> 4];
	for (unsigned c = 0; c < 128; c++)
		digit_class[c] = digit_low[c & 15] & digit_high[c >> 4];
	for (unsigned c = 0; c < 128; c++)
		sieve_class[c] = (is_class((uint8_t)c, C_WORD) ? S_WORD : 0) |
				 (is_class((uint8_t)c, C_TEXT) ? S_TEXT : 0) |
				 (is_class((uint8_t)c, C_RUN) ? S_RUN : 0) |
				 (digit_class[c] & D_BASE58 ? S_BASE58 : 0) | (digit_class[c] & D_HEX ? S_HEX : 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned c = 0; c < 128; c++)
			mark_of[i][c] = mark_low[i][c & 15] & mark_high[i][c >> 4];
}

/* ---- the three ways to the same masks; p has BLOCK + 2 bytes ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE struct masks masks_plain(const uint8_t *p)
{
	struct masks m = {0};

	for (unsigned i = 0; i < BLOCK; i++) {
		uint8_t class = cof_leak_class[p[i]], mark = 0xff;

		for (unsigned j = 0; j < 3; j++)
			mark &= mark_low[j][p[i + j] & 15] & mark_high[j][p[i + j] >> 4];
		m.word |= (uint64_t)!!(class & C_WORD) << i;
		m.text |= (uint64_t)!!(class & C_TEXT) << i;
		m.run |= (uint64_t)!!(class & C_RUN) << i;
		m.mark |= (uint64_t)!!mark << i;
		m.high |= (uint64_t)(p[i] >> 7) << i;
		m.base58 |= (uint64_t)(p[i] < 128 && digit_class[p[i]] & D_BASE58) << i;
		m.hex |= (uint64_t)(p[i] < 128 && digit_class[p[i]] & D_HEX) << i;
	}
	return m;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,lzcnt,popcnt")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi,bmi,lzcnt,popcnt")))

AVX2 INLINE __m256i twice(const uint8_t table[16])
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
}

AVX2 INLINE __m256i look_avx2(__m256i v, const uint8_t low[16], const uint8_t high[16])
{
	const __m256i nibble = _mm256_set1_epi8(15);

	return _mm256_and_si256(
		_mm256_shuffle_epi8(twice(low), _mm256_and_si256(v, nibble)),
		_mm256_shuffle_epi8(twice(high), _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
}

AVX2 INLINE uint32_t some_avx2(__m256i v, unsigned classes)
{
	v = _mm256_and_si256(v, _mm256_set1_epi8((char)classes));
	return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256()));
}

AVX2 INLINE struct masks masks_avx2(const uint8_t *p)
{
	struct masks m = {0};

	for (unsigned i = 0; i < BLOCK; i += 32) {
		__m256i v[3], class, digit, mark;

		for (unsigned j = 0; j < 3; j++)
			v[j] = _mm256_loadu_si256((const void *)(p + i + j));
		class = look_avx2(v[0], class_low, class_high);
		digit = look_avx2(v[0], digit_low, digit_high);
		mark = _mm256_and_si256(look_avx2(v[0], mark_low[0], mark_high[0]),
					_mm256_and_si256(look_avx2(v[1], mark_low[1], mark_high[1]),
							 look_avx2(v[2], mark_low[2], mark_high[2])));
		m.word |= (uint64_t)some_avx2(class, C_WORD) << i;
		m.text |= (uint64_t)some_avx2(class, C_TEXT) << i;
		m.run |= (uint64_t)some_avx2(class, C_RUN) << i;
		m.mark |= (uint64_t)some_avx2(mark, 0xff) << i;
		m.high |= (uint64_t)(uint32_t)_mm256_movemask_epi8(v[0]) << i;
		m.base58 |= (uint64_t)some_avx2(digit, D_BASE58) << i;
		m.hex |= (uint64_t)some_avx2(digit, D_HEX) << i;
	}
	return m;
}

/* All of ASCII in two registers; what lies above looks like what lies 0x80 below, and is told by its sign. */
AVX512 INLINE __m512i look_avx512(__m512i v, const uint8_t table[128])
{
	return _mm512_permutex2var_epi8(_mm512_loadu_si512(table), v, _mm512_loadu_si512(table + 64));
}

AVX512 INLINE struct masks masks_avx512(const uint8_t *p)
{
	__m512i v[3], class, mark;
	uint64_t high;

	for (unsigned j = 0; j < 3; j++)
		v[j] = _mm512_loadu_si512((const void *)(p + j));
	class = look_avx512(v[0], sieve_class);
	mark = _mm512_and_si512(look_avx512(v[0], mark_of[0]),
				_mm512_and_si512(look_avx512(v[1], mark_of[1]),
						 look_avx512(v[2], mark_of[2])));
	high = _mm512_movepi8_mask(v[0]);
	return (struct masks){
	    .word = _mm512_test_epi8_mask(class, _mm512_set1_epi8(S_WORD)) | high,
	    .text = _mm512_test_epi8_mask(class, _mm512_set1_epi8(S_TEXT)) | high,
	    .run = _mm512_test_epi8_mask(class, _mm512_set1_epi8(S_RUN)) & ~high,
	    .mark = _mm512_test_epi8_mask(mark, mark),
	    .high = high,
	    .base58 = _mm512_test_epi8_mask(class, _mm512_set1_epi8(S_BASE58)) & ~high,
	    .hex = _mm512_test_epi8_mask(class, _mm512_set1_epi8(S_HEX)) & ~high,
	};
}
#endif

/* ---- from masks to places ---- */

typedef void (*judge_fn)(struct scan *s, size_t at, size_t end);

struct open { /* what goes on from block to block */
	size_t words, run, base58, hex; /* where they began */
	unsigned starts; /* words that began since `words` */
	uint64_t before; /* which of the last bytes were of words */
};

/* A gap of min between two bits of one block covers these bits. */
#define MIDDLE(min) (~0ull << (BLOCK - 1 - (min)) & ~0ull >> (BLOCK - 1 - (min)))

/* The rare gap inside a block: at most one, as min is more than half of it. */
static __attribute__((noinline)) void gap_inside(struct scan *s, size_t pos, uint64_t breaks, unsigned min,
						 unsigned max, judge_fn judge)
{
	uint64_t lowest = MIDDLE(min) & -MIDDLE(min);
	uint64_t below = breaks & (lowest - 1), above = breaks & ~(below | MIDDLE(min));
	unsigned a, b;

	if (!below || !above)
		return;
	a = 63 - (unsigned)__builtin_clzll(below);
	b = (unsigned)__builtin_ctzll(above);
	if (b - a - 1 >= min && b - a - 1 <= max)
		judge(s, pos + a + 1, pos + b);
}

/* start: from there on no byte broke it, so far. Returns the next one. min of BLOCK or more fits in no block. */
INLINE size_t gap_step(struct scan *s, size_t start, size_t pos, uint64_t breaks, unsigned min, unsigned max,
		       judge_fn judge)
{
	size_t end;

	if (!breaks)
		return start;
	end = pos + (unsigned)__builtin_ctzll(breaks);
	if (__builtin_expect(end - start - min <= max - min, 0))
		judge(s, start, end);
	if (min < BLOCK - 1 && __builtin_expect(!(breaks & MIDDLE(min)), 0))
		gap_inside(s, pos, breaks, min, max, judge);
	return pos + BLOCK - (unsigned)__builtin_clzll(breaks);
}

/*
 * Which bytes end a stretch of words: what is no text, and what stands behind a word that is in no list, having one or two
 * letters or, of ASCII and in this block, more than LETTERS_MAX.
 */
INLINE uint64_t word_breaks(const struct masks *m, uint64_t before)
{
	uint64_t one = m->word << 1 | before >> 63, two = m->word << 2 | before >> 62;
	uint64_t three = m->word << 3 | before >> 61;
	uint64_t letters = m->word & ~m->high, of_2 = letters & letters << 1, of_4 = of_2 & of_2 << 2;
	uint64_t of_10 = of_4 & of_4 << 4 & of_2 << 8;

	_Static_assert(LETTERS_MAX == 9, "one more is ten");
	return ~m->text | (~m->word & ((one & ~(two & three)) | of_10 << 1));
}

/* As gap_step, and a stretch of fewer than twelve words is none. Which bytes of high ones are words is not asked. */
INLINE void words_step(struct scan *s, struct open *o, size_t pos, const struct masks *m, uint64_t valid)
{
	uint64_t breaks = word_breaks(m, o->before) & valid, starts = m->word & ~(m->word << 1 | o->before >> 63);
	unsigned more = m->high ? WORDS_LEAST : 0, last = 63 - (unsigned)__builtin_clzll(breaks | 1);
	uint64_t first = breaks & -breaks; /* 0: none, and all is before it */
	unsigned n = o->starts + more + (unsigned)__builtin_popcountll(starts & (first - 1));
	unsigned here = more + (unsigned)__builtin_popcountll(starts);

	if (__builtin_expect((n >= WORDS_LEAST) & (breaks != 0), 0) &&
	    pos + (unsigned)__builtin_ctzll(breaks) - o->words >= WORDS_MIN)
		cof_leak_judge_words(s, o->words, pos + (unsigned)__builtin_ctzll(breaks));
	if (__builtin_expect((here >= WORDS_LEAST) & !(breaks & MIDDLE(WORDS_MIN)) & (breaks != 0), 0))
		gap_inside(s, pos, breaks, WORDS_MIN, BLOCK, cof_leak_judge_words);
	o->words = breaks ? pos + last + 1 : o->words;
	o->starts = breaks ? more + (unsigned)__builtin_popcountll(starts >> last) : n;
}

static __attribute__((noinline)) void marks_step(struct scan *s, size_t pos, uint64_t mark)
{
	for (; mark; mark &= mark - 1)
		cof_leak_judge_literal(s, pos + (unsigned)__builtin_ctzll(mark));
}

INLINE void step(struct scan *s, struct open *o, size_t pos, const struct masks *m, uint64_t valid)
{
	if (__builtin_expect(m->mark & valid, 0))
		marks_step(s, pos, m->mark & valid);
	words_step(s, o, pos, m, valid);
	o->run = gap_step(s, o->run, pos, ~m->run & valid, RUN_MIN, RUN_MAX, cof_leak_judge_base64);
	o->base58 = gap_step(s, o->base58, pos, ~m->base58 & valid, BASE58_MIN, BASE58_MAX, cof_leak_judge_base58);
	o->hex = gap_step(s, o->hex, pos, ~m->hex & valid, HEX_RUN, HEX_RUN, cof_leak_judge_hex);
	o->before = m->word;
}

INLINE void sift(struct scan *s, size_t from, struct masks (*masks)(const uint8_t *p))
{
	/* a word that began before `from` counts as long */
	struct open o = {from, from, from, from, 0, from && is_class(s->p[from - 1], C_WORD) ? ~0ull : 0};
	struct masks m[BATCH];
	uint8_t rest[BLOCK + 2];
	size_t pos = from;

	for (; s->n - pos >= BATCH * BLOCK + 2; pos += BATCH * BLOCK) {
		for (unsigned i = 0; i < BATCH; i++)
			m[i] = masks(s->p + pos + i * BLOCK);
		for (unsigned i = 0; i < BATCH; i++)
			step(s, &o, pos + i * BLOCK, &m[i], ~0ull);
	}
	for (; s->n - pos >= BLOCK + 2; pos += BLOCK) {
		m[0] = masks(s->p + pos);
		step(s, &o, pos, &m[0], ~0ull);
	}
	for (; pos < s->n; pos += COF_MIN(BLOCK, s->n - pos)) {
		size_t n = s->n - pos;

		memcpy(rest, s->p + pos, n);
		memset(rest + n, 0, sizeof(rest) - n);
		m[0] = masks(rest);
		step(s, &o, pos, &m[0], scan_bits(n));
		explicit_bzero(rest, n);
	}
	if (s->n - o.words >= WORDS_MIN && o.starts >= WORDS_LEAST)
		cof_leak_judge_words(s, o.words, s->n);
	if (s->n - o.run - RUN_MIN <= RUN_MAX - RUN_MIN)
		cof_leak_judge_base64(s, o.run, s->n);
	if (s->n - o.base58 - BASE58_MIN <= BASE58_MAX - BASE58_MIN)
		cof_leak_judge_base58(s, o.base58, s->n);
	if (s->n - o.hex == HEX_RUN)
		cof_leak_judge_hex(s, o.hex, s->n);
	scan_wait(s, COF_MIN(COF_MIN(o.words, o.run), s->n - COF_MIN(s->n - from, 2)));
}

static uint64_t mask_plain(const uint8_t *p, unsigned classes)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < BLOCK; i++)
		m |= (uint64_t)is_class(p[i], classes) << i;
	return m;
}

static void sift_plain(struct scan *s, size_t from)
{
	sift(s, from, masks_plain);
}

#if defined(__x86_64__)
AVX2 static uint64_t mask_avx2(const uint8_t *p, unsigned classes)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < BLOCK; i += 32)
		m |= (uint64_t)some_avx2(look_avx2(_mm256_loadu_si256((const void *)(p + i)), class_low,
						   class_high), classes) << i;
	return m;
}

AVX2 static void sift_avx2(struct scan *s, size_t from)
{
	sift(s, from, masks_avx2);
}

AVX512 static void sift_avx512(struct scan *s, size_t from)
{
	sift(s, from, masks_avx512);
}
#endif

/* ---- which of them ---- */

static const struct way {
	void (*sift)(struct scan *s, size_t from);
	uint64_t (*mask)(const uint8_t *p, unsigned classes);
} ways[SIEVES] = {
    [SIEVE_PLAIN] = {sift_plain, mask_plain},
#if defined(__x86_64__)
    [SIEVE_AVX2] = {sift_avx2, mask_avx2},
    [SIEVE_AVX512] = {sift_avx512, mask_avx2},
#endif
};
static const struct way *way;

static bool can(enum sieve which)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (which == SIEVE_AVX2)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
		       __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("popcnt");
	if (which == SIEVE_AVX512)
		return can(SIEVE_AVX2) && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512vbmi");
#endif
	return which == SIEVE_PLAIN;
}

static void choose(void)
{
	tables_fill();
	cof_leak_run_init();
	for (int i = 0; i < SIEVES; i++)
		cof_leak_use_sieve(i);
}

void cof_leak_sieve_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, choose);
}

bool cof_leak_use_sieve(enum sieve which)
{
	if (!can(which))
		return false;
	way = &ways[which];
	return true;
}

void cof_leak_sieve(struct scan *s, size_t from)
{
	s->resume = s->n;
	way->sift(s, from);
}

uint64_t cof_leak_mask(const struct scan *s, size_t at, unsigned classes)
{
	uint8_t rest[BLOCK];
	size_t n = s->n - at;
	uint64_t m;

	if (n >= BLOCK)
		return way->mask(s->p + at, classes);
	memcpy(rest, s->p + at, n);
	m = way->mask(rest, classes) & ~(~0ull << n);
	explicit_bzero(rest, n);
	return m;
}
