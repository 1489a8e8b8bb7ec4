/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/leak/sieve.c inside: from the masks of one block to the places that the judges look at. Inlined into each of
 * the ways that the sieve goes.
 */
#ifndef COF_LEAK_STEPS_H
#define COF_LEAK_STEPS_H

#include "fs/leak/internal.h"

#define BLOCK 64
#define INLINE static inline __attribute__((always_inline))

/* Bit i: byte i of a block is of this class; a mark begins there. */
struct masks {
	uint64_t word, text, run, alnum, mark, high;
};

typedef void (*judge_fn)(struct scan *s, size_t at, size_t end);

struct open { /* what goes on from block to block */
	size_t words, run, alnum; /* where they began */
	unsigned starts;   /* words that began since `words` */
	uint64_t before;   /* which of the last bytes were of words */
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

/* start: from there on no byte broke it, so far. Returns the next one. */
INLINE size_t gap_step(struct scan *s, size_t start, size_t pos, uint64_t breaks, unsigned min, unsigned max,
		       judge_fn judge)
{
	size_t end;

	if (!breaks)
		return start;
	end = pos + (unsigned)__builtin_ctzll(breaks);
	if (__builtin_expect(end - start - min <= max - min, 0))
		judge(s, start, end);
	if (__builtin_expect(!(breaks & MIDDLE(min)), 0))
		gap_inside(s, pos, breaks, min, max, judge);
	return pos + BLOCK - (unsigned)__builtin_clzll(breaks);
}

INLINE size_t run_step(struct scan *s, size_t start, size_t pos, uint64_t breaks)
{
	return gap_step(s, start, pos, breaks, RUN_MIN, RUN_MAX, cof_leak_judge_base64);
}

INLINE size_t alnum_step(struct scan *s, size_t start, size_t pos, uint64_t breaks)
{
	return gap_step(s, start, pos, breaks, BASE58_MIN, BASE58_MAX, cof_leak_judge_alnum);
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

INLINE uint64_t word_starts(uint64_t word, uint64_t before)
{
	return word & ~(word << 1 | before >> 63);
}

/* As gap_step, and a stretch of fewer than twelve words is none. Which bytes of high ones are words is not asked. */
INLINE void words_step(struct scan *s, struct open *o, size_t pos, uint64_t starts, bool high, uint64_t breaks)
{
	unsigned more = high ? WORDS_LEAST : 0, last = 63 - (unsigned)__builtin_clzll(breaks | 1);
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
	words_step(s, o, pos, word_starts(m->word, o->before), m->high, word_breaks(m, o->before) & valid);
	o->run = run_step(s, o->run, pos, ~m->run & valid);
	o->alnum = alnum_step(s, o->alnum, pos, ~m->alnum & valid);
	o->before = m->word;
}

#endif
