/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sieve: one pass over all bytes, 64 at a time, that leaves few places to the judges.
 *
 * For each byte a class by its two nibbles (two shuffles of a table of 16), and for each three bytes in a row
 * whether they fit a mark: the intersection, over six nibbles, of the marks that have this nibble
 * there (Teddy's algorithm, of Hyperscan). The answers are bit masks of 64, on which runs are found by
 * counting zeros (steps.h): first the masks of several blocks, with the tables in registers, then what they tell, with
 * few branches, for in logs nobody can guess them, or nothing where no stretch is long. What passes the marks by
 * chance the judges refuse at their first look.
 *
 * The same with AVX-512 (VBMI), AVX2 and byte by byte; what is found is the same (a test compares it).
 */
#include <pthread.h>

#include "fs/leak/internal.h"
#include "fs/leak/steps.h"

#define BATCH 8 /* blocks */
/* Of ASCII, what is of C_WORD, C_RUN or C_ALNUM has a class of at least */
#define LEAST_WORD C_ALPHA_2
#define LEAST_RUN C_BASE64
#define LEAST_ALNUM C_DIGIT

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

uint8_t cof_leak_class[256] __attribute__((aligned(64)));
/* What AVX-512 asks of a byte, in one table */
#define S_WORD 0x01
#define S_TEXT 0x02
#define S_RUN 0x04
#define S_ALNUM 0x08
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
		sieve_class[c] = (is_class((uint8_t)c, C_WORD) ? S_WORD : 0) |
				 (is_class((uint8_t)c, C_TEXT) ? S_TEXT : 0) |
				 (is_class((uint8_t)c, C_RUN) ? S_RUN : 0) |
				 (is_class((uint8_t)c, C_ALNUM) ? S_ALNUM : 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned c = 0; c < 128; c++)
			mark_of[i][c] = mark_low[i][c & 15] & mark_high[i][c >> 4];
}

/* ---- the three ways to the same masks; p has BLOCK + 2 bytes ---- */

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
		m.alnum |= (uint64_t)!!(class & C_ALNUM) << i;
		m.mark |= (uint64_t)!!mark << i;
		m.high |= (uint64_t)(p[i] >> 7) << i;
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

/* The same for ASCII: a byte of 0x80 and above finds 0 in every table of low nibbles. */
AVX2 INLINE __m256i ascii_avx2(__m256i v, __m256i high_nibbles, const uint8_t low[16], const uint8_t high[16])
{
	return _mm256_and_si256(_mm256_shuffle_epi8(twice(low), v),
				_mm256_shuffle_epi8(twice(high), high_nibbles));
}

AVX2 INLINE __m256i high_nibbles_avx2(__m256i v)
{
	return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}

/* Which bytes are at least this: one more addition and they would be 0x80. */
AVX2 INLINE uint32_t least_avx2(__m256i v, unsigned least)
{
	return (uint32_t)_mm256_movemask_epi8(_mm256_adds_epu8(v, _mm256_set1_epi8((char)(0x80 - least))));
}

AVX2 INLINE struct masks half_avx2(const uint8_t *p)
{
	const __m256i v0 = _mm256_loadu_si256((const void *)p), high0 = high_nibbles_avx2(v0);
	const __m256i v1 = _mm256_loadu_si256((const void *)(p + 1)), high1 = high_nibbles_avx2(v1);
	const __m256i v2 = _mm256_loadu_si256((const void *)(p + 2)), high2 = high_nibbles_avx2(v2);
	const __m256i class = ascii_avx2(v0, high0, class_low, class_high);
	const __m256i mark = _mm256_and_si256(ascii_avx2(v0, high0, mark_low[0], mark_high[0]),
					      _mm256_and_si256(ascii_avx2(v1, high1, mark_low[1], mark_high[1]),
							       ascii_avx2(v2, high2, mark_low[2], mark_high[2])));
	const uint32_t above = (uint32_t)_mm256_movemask_epi8(v0);

	return (struct masks){
	    .word = least_avx2(class, LEAST_WORD) | above,
	    .text = some_avx2(class, C_TEXT) | above,
	    .run = least_avx2(class, LEAST_RUN),
	    .alnum = least_avx2(class, LEAST_ALNUM),
	    .mark = some_avx2(mark, 0xff),
	    .high = above,
	};
}

AVX2 INLINE struct masks masks_avx2(const uint8_t *p)
{
	const struct masks a = half_avx2(p), b = half_avx2(p + 32);

	return (struct masks){a.word | b.word << 32, a.text | b.text << 32, a.run | b.run << 32,
			      a.alnum | b.alnum << 32, a.mark | b.mark << 32, a.high | b.high << 32};
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
	    .alnum = _mm512_test_epi8_mask(class, _mm512_set1_epi8(S_ALNUM)) & ~high,
	    .mark = _mm512_test_epi8_mask(mark, mark),
	    .high = high,
	};
}
#endif

/* From pos on, where no batch is left, and what is open at the end. */
INLINE void sift_rest(struct scan *s, struct open *o, size_t from, size_t pos, struct masks (*masks)(const uint8_t *p))
{
	uint8_t rest[BLOCK + 2];
	struct masks m;

	for (; s->n - pos >= BLOCK + 2; pos += BLOCK) {
		m = masks(s->p + pos);
		step(s, o, pos, &m, ~0ull);
	}
	for (; pos < s->n; pos += COF_MIN(BLOCK, s->n - pos)) {
		size_t n = s->n - pos;

		memcpy(rest, s->p + pos, n);
		memset(rest + n, 0, sizeof(rest) - n);
		m = masks(rest);
		step(s, o, pos, &m, scan_bits(n));
		explicit_bzero(rest, n);
	}
	if (s->n - o->words >= WORDS_MIN && o->starts >= WORDS_LEAST)
		cof_leak_judge_words(s, o->words, s->n);
	if (s->n - o->run - RUN_MIN <= RUN_MAX - RUN_MIN)
		cof_leak_judge_base64(s, o->run, s->n);
	if (s->n - o->alnum - BASE58_MIN <= BASE58_MAX - BASE58_MIN)
		cof_leak_judge_alnum(s, o->alnum, s->n);
	scan_wait(s, COF_MIN(COF_MIN(o->words, o->run), s->n - COF_MIN(s->n - from, 2)));
}

static struct open open_at(const struct scan *s, size_t from)
{
	/* a word that began before `from` counts as long */
	return (struct open){from, from, from, 0, from && is_class(s->p[from - 1], C_WORD) ? ~0ull : 0};
}

static void sift_plain(struct scan *s, size_t from)
{
	struct open o = open_at(s, from);

	sift_rest(s, &o, from, from, masks_plain);
}

static uint64_t mask_plain(const uint8_t *p, unsigned classes)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < BLOCK; i++)
		m |= (uint64_t)is_class(p[i], classes) << i;
	return m;
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

/* ---- batches: looked at closely only where a stretch may be long enough ---- */

struct batch {
	uint64_t word[1 + BATCH]; /* [0]: of the block before */
	uint64_t text[BATCH], run[BATCH], alnum[BATCH], mark[BATCH], high[BATCH];
	uint64_t breaks[BATCH], starts[BATCH]; /* of words */
};

AVX2 INLINE __m256i four(const uint64_t *p)
{
	return _mm256_loadu_si256((const void *)p);
}

/* word_breaks and word_starts of four blocks */
AVX2 INLINE void four_words(struct batch *b, unsigned i)
{
	const __m256i before = four(b->word + i), word = four(b->word + i + 1);
	const __m256i letters = _mm256_andnot_si256(four(b->high + i), word);
	const __m256i of_2 = _mm256_and_si256(letters, _mm256_slli_epi64(letters, 1));
	const __m256i of_4 = _mm256_and_si256(of_2, _mm256_slli_epi64(of_2, 2));
	const __m256i of_10 = _mm256_and_si256(_mm256_and_si256(of_4, _mm256_slli_epi64(of_4, 4)),
					       _mm256_slli_epi64(of_2, 8));
	const __m256i one = _mm256_or_si256(_mm256_slli_epi64(word, 1), _mm256_srli_epi64(before, 63));
	const __m256i two = _mm256_or_si256(_mm256_slli_epi64(word, 2), _mm256_srli_epi64(before, 62));
	const __m256i three = _mm256_or_si256(_mm256_slli_epi64(word, 3), _mm256_srli_epi64(before, 61));
	const __m256i ends = _mm256_or_si256(_mm256_andnot_si256(_mm256_and_si256(two, three), one),
					     _mm256_slli_epi64(of_10, 1));
	const __m256i unbroken = _mm256_andnot_si256(_mm256_andnot_si256(word, ends), four(b->text + i));

	_mm256_storeu_si256((void *)(b->breaks + i), _mm256_xor_si256(unbroken, _mm256_set1_epi8(-1)));
	_mm256_storeu_si256((void *)(b->starts + i), _mm256_andnot_si256(one, word));
}

/*
 * A batch is lanes of eight bytes. The least of the stretches, of RUN_MIN bytes, has LANES of them in a row
 * without a break of its kind.
 */
#define LANE 8
#define LANES 4
_Static_assert((LANES + 1) * LANE - 1 <= RUN_MIN && RUN_MIN <= WORDS_MIN && RUN_MIN <= BASE58_MIN, "lanes");

struct lanes { /* of the batch before: bit i: lane i … */
	uint64_t clear; /* lacks breaks of words, or of a run */
	uint64_t full;	/* and so do those before it, LANES in all */
};

AVX2 INLINE uint64_t clear_lanes(const struct batch *b)
{
	uint64_t clear = 0;

	for (unsigned i = 0; i < BATCH; i += 4) {
		__m256i words = _mm256_cmpeq_epi8(four(b->breaks + i), _mm256_setzero_si256());
		__m256i run = _mm256_cmpeq_epi8(four(b->run + i), _mm256_set1_epi8(-1));

		clear |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(words, run)) << LANE * i;
	}
	return clear;
}

/* Whether a stretch may be in the batch, or end there. */
INLINE bool lanes_step(struct lanes *l, uint64_t clear)
{
	bool open = l->full >> 63;

	l->full = clear & (clear << 1 | l->clear >> 63) & (clear << 2 | l->clear >> 62) &
		  (clear << 3 | l->clear >> 61);
	l->clear = clear;
	return open | (l->full != 0);
}

/* Returns whether there is a mark. */
AVX2 INLINE bool batch_fill(struct batch *b, const uint8_t *p, struct masks (*masks)(const uint8_t *p))
{
	uint64_t mark = 0;

	b->word[0] = b->word[BATCH];
	for (unsigned i = 0; i < BATCH; i++) {
		struct masks m = masks(p + i * BLOCK);

		b->word[i + 1] = m.word;
		b->text[i] = m.text;
		b->run[i] = m.run;
		b->alnum[i] = m.alnum;
		b->mark[i] = m.mark;
		b->high[i] = m.high;
		mark |= m.mark;
	}
	for (unsigned i = 0; i < BATCH; i += 4)
		four_words(b, i);
	return mark;
}

INLINE void batch_steps(struct scan *s, struct open *o, size_t pos, const struct batch *b)
{
	for (unsigned i = 0; i < BATCH; i++, pos += BLOCK) {
		if (__builtin_expect(b->mark[i] != 0, 0))
			marks_step(s, pos, b->mark[i]);
		words_step(s, o, pos, b->starts[i], b->high[i], b->breaks[i]);
		o->run = run_step(s, o->run, pos, ~b->run[i]);
		o->alnum = alnum_step(s, o->alnum, pos, ~b->alnum[i]);
	}
}

/* What a batch leaves open in which no stretch is long: its last block has a break of each kind. */
INLINE void batch_skip(struct open *o, size_t end, const struct batch *b)
{
	unsigned behind = (unsigned)__builtin_clzll(b->breaks[BATCH - 1]);

	o->words = end - behind;
	o->starts = (b->high[BATCH - 1] ? WORDS_LEAST : 0) +
		    (unsigned)__builtin_popcountll(b->starts[BATCH - 1] >> (BLOCK - 1 - behind));
	o->run = end - (unsigned)__builtin_clzll(~b->run[BATCH - 1]);
	o->alnum = end - (unsigned)__builtin_clzll(~b->alnum[BATCH - 1]);
}

AVX2 INLINE void sift(struct scan *s, size_t from, struct masks (*masks)(const uint8_t *p))
{
	struct open o = open_at(s, from);
	struct batch b = {.word = {[BATCH] = o.before}};
	struct lanes lanes = {0}; /* what is before `from` counts as breaks */
	size_t pos = from;

	for (; s->n - pos >= BATCH * BLOCK + 2; pos += BATCH * BLOCK) {
		bool mark = batch_fill(&b, s->p + pos, masks);
		bool stretch = lanes_step(&lanes, clear_lanes(&b));

		if (mark | stretch)
			batch_steps(s, &o, pos, &b);
		else
			batch_skip(&o, pos + BATCH * BLOCK, &b);
		o.before = b.word[BATCH];
	}
	sift_rest(s, &o, from, pos, masks);
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
