/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mnemonics: BIP-39 (12, 15, 18, 21 or 24 words, the last bits a SHA-256 checksum) and shares of SLIP-39
 * (20 to 33 words, checksum RS1024).
 *
 * Twelve words in a row that are in one list hold one whose number is 11, 23, 35 …: only these are looked up,
 * and their neighbours where one is listed. The checksum of twelve words has four bits: what keeps
 * prose out is that twelve listed words follow each other, none of "the", "of", "and" between.
 */
#include "fs/leak/internal.h"

#define WORDS 256  /* of a stretch that are looked at together */
#define LONGEST 33 /* words of a mnemonic */
#define DENSE 64   /* more listed words in a row: a list of mnemonics, or of words */
#define GAP 8	   /* bytes between two words of one mnemonic */
#define UNKNOWN 0xffff

struct word {
	size_t at;
	uint32_t len;
	bool apart; /* too far from the one before */
	uint16_t lists; /* UNKNOWN: not looked up yet */
};

struct words {
	struct scan *s;
	bool later; /* the stretch began before these words */
	size_t n;
	struct word w[WORDS];
};

/* ---- checksums ---- */

bool cof_leak_bip39_ok(const uint16_t *index, unsigned words)
{
	uint8_t bytes[34] = {0}, sum[COF_HASH];
	unsigned check = words / 3, entropy = words * 11 - check;
	bool ok;

	for (unsigned bit = 0; bit < words * 11; bit++)
		if (index[bit / 11] >> (10 - bit % 11) & 1)
			bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	cof_sha256(bytes, entropy / 8, sum);
	ok = bytes[entropy / 8] >> (8 - check) == sum[0] >> (8 - check);
	explicit_bzero(bytes, sizeof(bytes));
	return ok;
}

static uint32_t rs1024(uint32_t sum, unsigned value)
{
	static const uint32_t generator[] = {0xe0e040,   0x1c1c080,  0x3838100,  0x7070200,  0xe0e0009,
					     0x1c0c2412, 0x38086c24, 0x3090fc48, 0x21b1f890, 0x3f3f120};
	uint32_t top = sum >> 20;

	sum = (sum & 0xfffff) << 10 ^ value;
	for (unsigned i = 0; i < 10; i++)
		sum ^= top >> i & 1 ? generator[i] : 0;
	return sum;
}

bool cof_leak_slip39_ok(const uint16_t *index, unsigned words)
{
	/* 15 bits of identifier, then the bit that says "extendable" */
	const char *custom = index[1] >> 4 & 1 ? "shamir_extendable" : "shamir";
	uint32_t sum = 1;

	for (const char *c = custom; *c; c++)
		sum = rs1024(sum, (uint8_t)*c);
	for (unsigned i = 0; i < words; i++)
		sum = rs1024(sum, index[i]);
	return sum == 1;
}

static bool checked(const struct words *t, size_t first, unsigned n, unsigned list)
{
	uint16_t index[LONGEST] = {0};
	struct word_hit hit;
	bool ok;

	for (unsigned i = 0; i < n; i++) {
		const struct word *w = &t->w[first + i];

		cof_leak_word(t->s->db, t->s->p + w->at, w->len, &hit);
		index[i] = hit.index[list];
	}
	ok = list == LIST_SLIP39 ? cof_leak_slip39_ok(index, n) : cof_leak_bip39_ok(index, n);
	explicit_bzero(index, sizeof(index));
	explicit_bzero(&hit, sizeof(hit));
	return ok;
}

/* ---- listed words in a row ---- */

static uint16_t lists_of(struct words *t, size_t i)
{
	struct word *w = &t->w[i];
	struct word_hit hit;

	if (w->lists == UNKNOWN)
		w->lists = cof_leak_word(t->s->db, t->s->p + w->at, w->len, &hit) ? hit.lists : 0;
	return w->lists;
}

static bool line_between(const struct words *t, size_t i)
{
	size_t end = t->w[i - 1].at + t->w[i - 1].len;

	return memchr(t->s->p + end, '\n', t->w[i].at - end) != NULL;
}

static const uint8_t bip39_sizes[] = {24, 21, 18, 15, 12};
static const uint8_t slip39_sizes[] = {33, 30, 27, 23, 20};

static size_t word_end(const struct words *t, size_t i)
{
	return t->w[i].at + t->w[i].len;
}

/* Words [a, b) are all in the list: the longest mnemonic first, then what is beside it. */
static void judge_row(struct words *t, size_t a, size_t b, unsigned list)
{
	enum cof_leak_kind kind = list == LIST_SLIP39 ? COF_LEAK_SLIP39 : COF_LEAK_BIP39;
	const uint8_t *sizes = list == LIST_SLIP39 ? slip39_sizes : bip39_sizes;

	for (unsigned i = 0; i < COF_COUNT(bip39_sizes); i++) {
		unsigned n = sizes[i];

		for (size_t first = a; first + n <= b; first++) {
			if (!checked(t, first, n, list))
				continue;
			if (scan_wanted(t->s, t->w[first].at) &&
			    !cof_leak_settled(t->s, word_end(t, first + n - 1)))
				cof_leak_found(t->s, kind, t->w[first].at,
					       word_end(t, first + n - 1) - t->w[first].at);
			judge_row(t, a, first, list);
			a = first + n;
			first = a - 1;
		}
	}
}

/*
 * Lines with twelve words or more stand for themselves; else the row is one mnemonic over several lines.
 * A row that is too long for that is a list of words, which holds mnemonics by chance.
 */
static void judge_lines(struct words *t, size_t a, size_t b, unsigned list)
{
	bool whole = true;

	for (size_t at = a, end; at < b; at = end) {
		for (end = at + 1; end < b && !line_between(t, end);)
			end++;
		if (end - at >= 12 && end - at < b - a) {
			whole = false;
			if (end - at <= DENSE)
				judge_row(t, at, end, list);
		}
	}
	if (whole && b - a <= DENSE && !(t->later && a == 0))
		judge_row(t, a, b, list);
}

/* The bytes end within the row or within the word behind it, and not with a line: words may be missing, and
 * of those that are there twelve fit by chance too often. */
static bool cut_off(const struct words *t, size_t b)
{
	size_t end = word_end(t, b - 1), next = b < t->n ? t->w[b].at : t->s->n;

	if (memchr(t->s->p + end, '\n', next - end))
		return false;
	if (b < t->n)
		return b + 1 == t->n && word_end(t, b) == t->s->n;
	return t->s->n - end <= GAP;
}

static bool fits(const struct words *t, size_t a, size_t b, unsigned list)
{
	const uint8_t *sizes = list == LIST_SLIP39 ? slip39_sizes : bip39_sizes;

	return b - a <= LONGEST && memchr(sizes, (int)(b - a), COF_COUNT(bip39_sizes)) &&
	       checked(t, a, (unsigned)(b - a), list);
}

static void judge_listed(struct words *t, size_t a, size_t b, unsigned list)
{
	size_t last = b - 1; /* where the last line begins */

	if (cut_off(t, b)) {
		while (last > a && !line_between(t, last))
			last--;
		if (fits(t, last, b, list))
			judge_row(t, last, b, list);
		else if (fits(t, a, b, list))
			judge_row(t, a, b, list);
		b = last;
	}
	if (b - a >= 12)
		judge_lines(t, a, b, list);
}

static void judge_rows(struct words *t)
{
	size_t reached[LISTS] = {0};

	for (size_t i = 11; i < t->n; i += 12) {
		uint16_t lists = lists_of(t, i);

		for (unsigned l = 0; lists; l++, lists >>= 1) {
			size_t a = i, b = i + 1;

			if (!(lists & 1) || reached[l] > i)
				continue;
			while (a > 0 && !t->w[a].apart && lists_of(t, a - 1) >> l & 1)
				a--;
			while (b < t->n && !t->w[b].apart && lists_of(t, b) >> l & 1)
				b++;
			reached[l] = b;
			if (b - a >= 12)
				judge_listed(t, a, b, l);
		}
	}
}

/* ---- stretches into words ---- */

static void add_word(struct words *t, size_t at, size_t end)
{
	const struct word *before = t->n ? &t->w[t->n - 1] : NULL;

	t->w[t->n++] = (struct word){at, (uint32_t)(end - at),
				     before && at - (before->at + before->len) > GAP, UNKNOWN};
}

/* Japanese mnemonics are written with the ideographic space, U+3000. */
static void add_parts(struct words *t, size_t at, size_t end)
{
	const uint8_t *space;

	while (t->n < WORDS && t->s->p[at] >= 0x80 && (space = memmem(t->s->p + at, end - at, "\xe3\x80\x80", 3))) {
		size_t part = (size_t)(space - t->s->p);

		if (part > at)
			add_word(t, at, part);
		at = part + 3;
	}
	if (end > at && t->n < WORDS)
		add_word(t, at, end);
}

/* Words from at on, at most WORDS; returns where they end. */
static size_t take_words(struct words *t, size_t at, size_t end)
{
	size_t open = SIZE_MAX; /* where the word under way began */

	t->n = 0;
	for (; at < end && t->n < WORDS; at += 64) {
		size_t n = COF_MIN(end - at, 64);
		uint64_t word = cof_leak_mask(t->s, at, C_WORD);
		uint64_t turns = (word ^ (word << 1 | (open != SIZE_MAX))) & scan_bits(n);

		for (; turns && t->n < WORDS; turns &= turns - 1) {
			size_t turn = at + (unsigned)__builtin_ctzll(turns);

			if (open != SIZE_MAX)
				add_parts(t, open, turn);
			open = open == SIZE_MAX ? turn : SIZE_MAX;
		}
	}
	if (open != SIZE_MAX && t->n < WORDS)
		add_parts(t, open, end);
	return t->n < WORDS ? end : t->w[WORDS - 1].at;
}

/* The usual end: fewer than twelve words, or each twelfth is in no list. */
static bool hopeless(const struct scan *s, size_t at, size_t end)
{
	unsigned count = 0; /* words that began since the last twelfth */
	uint64_t before = 0;

	if (memchr(s->p + at, 0xe3, end - at)) /* maybe of an ideographic space */
		return false;
	for (; at < end; at += 64) {
		uint64_t word = cof_leak_mask(s, at, C_WORD) & scan_bits(end - at);
		uint64_t starts = word & ~(word << 1 | before >> 63);
		unsigned more = (unsigned)__builtin_popcountll(starts);

		before = word;
		while (count + more >= 12) {
			size_t first, over;

			for (; count < 11; count++, more--)
				starts &= starts - 1;
			first = at + (unsigned)__builtin_ctzll(starts);
			over = first;
			while (over < end && is_class(s->p[over], C_WORD))
				over++;
			if (cof_leak_maybe_word(s->db, s->p + first, over - first))
				return false;
			starts &= starts - 1;
			more--;
			count = 0;
		}
		count += more;
	}
	return true;
}

void cof_leak_judge_words(struct scan *s, size_t at, size_t end)
{
	struct words t;

	if (hopeless(s, at, end))
		return;
	t.s = s;
	t.later = false;
	for (;;) {
		size_t reached = take_words(&t, at, end);

		judge_rows(&t);
		if (reached >= end)
			return;
		at = t.w[WORDS - LONGEST - 1].at; /* a mnemonic may lie across */
		t.later = true;
	}
}
