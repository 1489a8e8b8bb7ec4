/* SPDX-License-Identifier: Apache-2.0 */
/* Shares as words: ten bits each, a checksum over all of them (RS1024). */
#include "escrow/slip39-private.h"

#include "crypto/crypto.h"

#include <ctype.h>
#include <stdio.h>

#define META_WORDS 4
#define CHECK_WORDS 3
#define LEAST_WORDS 20

extern const char *const cof_slip39_list[];

/* ---- the list ---- */

const char *cof_slip39_word(unsigned index)
{
	return cof_slip39_list[index % COF_SLIP39_LIST];
}

/* How word, lower-cased, compares with one of the list; four letters are enough. */
static int compare(const char *word, size_t n, const char *of_list)
{
	size_t len = strlen(of_list), most = n == 4 ? COF_MIN((size_t)4, len) : len;

	for (size_t i = 0; i < COF_MIN(n, most); i++) {
		int c = tolower((unsigned char)word[i]);

		if (c != of_list[i])
			return c < of_list[i] ? -1 : 1;
	}
	return n == most ? 0 : n < most ? -1 : 1;
}

int cof_slip39_index(const char *word, size_t n)
{
	int low = 0, high = COF_SLIP39_LIST - 1;

	while (low <= high) {
		int mid = (low + high) / 2, order = compare(word, n, cof_slip39_list[mid]);

		if (order == 0)
			return mid;
		if (order < 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

/* Letters changed, left out, put in or exchanged with the next, at least. */
static unsigned distance(const char *a, size_t n, const char *b)
{
	unsigned row[3][12];
	size_t m = strlen(b);

	if (n > 10)
		return 99;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *before = row[(i - 1) % 3], *earlier = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			unsigned d = before[j - 1] + (x != b[j - 1]);

			d = COF_MIN(d, COF_MIN(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && x == b[j - 2] && tolower((unsigned char)a[i - 2]) == b[j - 1])
				d = COF_MIN(d, earlier[j - 2] + 1);
			now[j] = d;
		}
	}
	return row[n % 3][m];
}

size_t cof_slip39_near(const char *word, size_t n, unsigned *ret, size_t max)
{
	size_t count = 0;

	for (unsigned want = 1; want <= 2; want++)
		for (unsigned i = 0; i < COF_SLIP39_LIST && count < max; i++)
			if (distance(word, n, cof_slip39_list[i]) == want)
				ret[count++] = i;
	return count;
}

/* ---- checksum ---- */

static uint32_t polymod(uint32_t chk, unsigned value)
{
	static const uint32_t gen[10] = {0xe0e040,  0x1c1c080,	0x3838100,  0x7070200,	0xe0e0009,
					 0x1c0c2412, 0x38086c24, 0x3090fc48, 0x21b1f890, 0x3f3f120};
	uint32_t b = chk >> 20;

	chk = (chk & 0xfffff) << 10 ^ value;
	for (int i = 0; i < 10; i++)
		chk ^= gen[i] & -(b >> i & 1);
	return chk;
}

static uint32_t checksum(const uint16_t *words, size_t n, bool extendable)
{
	const char *custom = extendable ? "shamir_extendable" : "shamir";
	uint32_t chk = 1;

	for (const char *c = custom; *c; c++)
		chk = polymod(chk, (uint8_t)*c);
	for (size_t i = 0; i < n; i++)
		chk = polymod(chk, words[i]);
	return chk;
}

/* ---- bits ---- */

static uint64_t meta_bits(const struct cof_slip39_share *s)
{
	uint64_t m = s->id;

	m = m << 1 | s->extendable;
	m = m << 4 | s->exponent;
	m = m << 4 | s->group;
	m = m << 4 | (uint64_t)(s->group_threshold - 1);
	m = m << 4 | (uint64_t)(s->groups - 1);
	m = m << 4 | s->member;
	return m << 4 | (uint64_t)(s->member_threshold - 1);
}

static void set_meta(uint64_t m, struct cof_slip39_share *ret)
{
	ret->member_threshold = (uint8_t)((m & 15) + 1);
	ret->member = m >> 4 & 15;
	ret->groups = (uint8_t)((m >> 8 & 15) + 1);
	ret->group_threshold = (uint8_t)((m >> 12 & 15) + 1);
	ret->group = m >> 16 & 15;
	ret->exponent = m >> 20 & 15;
	ret->extendable = m >> 24 & 1;
	ret->id = m >> 25 & 0x7fff;
}

static bool share_valid(const struct cof_slip39_share *s)
{
	return s->id < 1u << 15 && s->exponent <= COF_SLIP39_EXPONENT_MAX && s->groups >= 1 &&
	       s->groups <= COF_SLIP39_GROUPS && s->group < COF_SLIP39_GROUPS && s->group_threshold >= 1 &&
	       s->group_threshold <= s->groups && s->member < COF_SLIP39_MEMBERS && s->member_threshold >= 1 &&
	       s->member_threshold <= COF_SLIP39_MEMBERS && s->length >= COF_SLIP39_SECRET_MIN &&
	       s->length <= COF_SLIP39_SECRET_MAX && s->length % 2 == 0;
}

/* Ten bits of the value, which zero bits precede so that it fills words. */
static uint16_t value_word(const struct cof_slip39_share *s, size_t word, size_t words)
{
	size_t pad = 10 * words - 8 * (size_t)s->length;
	uint16_t v = 0;

	for (size_t bit = 10 * word; bit < 10 * word + 10; bit++) {
		size_t at = bit - pad;

		v = (uint16_t)(v << 1);
		if (bit >= pad)
			v |= s->value[at / 8] >> (7 - at % 8) & 1;
	}
	return v;
}

static void to_words(const struct cof_slip39_share *s, uint16_t *ret, size_t *ret_n)
{
	size_t words = (8 * (size_t)s->length + 9) / 10, n = META_WORDS + words;
	uint64_t meta = meta_bits(s);
	uint32_t chk;

	for (int i = 0; i < META_WORDS; i++)
		ret[i] = meta >> (30 - 10 * i) & 1023;
	for (size_t i = 0; i < words; i++)
		ret[META_WORDS + i] = value_word(s, i, words);
	memset(ret + n, 0, CHECK_WORDS * sizeof(*ret));
	chk = checksum(ret, n + CHECK_WORDS, s->extendable) ^ 1;
	for (int i = 0; i < CHECK_WORDS; i++)
		ret[n + (size_t)i] = chk >> (20 - 10 * i) & 1023;
	*ret_n = n + CHECK_WORDS;
}

int cof_slip39_write(const struct cof_slip39_share *share, char out[COF_SLIP39_TEXT])
{
	uint16_t words[COF_SLIP39_WORDS];
	size_t n, at = 0;

	if (!share_valid(share))
		return -EINVAL;
	to_words(share, words, &n);
	for (size_t i = 0; i < n; i++) {
		const char *w = cof_slip39_list[words[i]];

		if (i)
			out[at++] = ' ';
		memcpy(out + at, w, strlen(w));
		at += strlen(w);
	}
	out[at] = 0;
	cof_wipe(words, sizeof(words));
	return 0;
}

/* ---- reading ---- */

/* What is near to it would tell something of the share, and this may stay in a journal: who asks at a terminal says it there. */
static int unknown(unsigned number, struct cof_diag *diag)
{
	return cof_fail(diag, -EUCLEAN, "word %u is not of the list (compare it with the sheet)", number);
}

static int split_words(const char *text, size_t n, uint16_t *ret, size_t *ret_n, struct cof_diag *diag)
{
	size_t count = 0;

	for (size_t at = 0; at < n;) {
		size_t len = 0;
		int index;

		if (!isalpha((unsigned char)text[at])) {
			at++;
			continue;
		}
		while (at + len < n && isalpha((unsigned char)text[at + len]))
			len++;
		if (count == COF_SLIP39_WORDS)
			return cof_fail(diag, -E2BIG, "more than %d words: that is more than one share", COF_SLIP39_WORDS);
		index = cof_slip39_index(text + at, len);
		if (index < 0)
			return unknown((unsigned)count + 1, diag);
		ret[count++] = (uint16_t)index;
		at += len;
	}
	*ret_n = count;
	return 0;
}

static int from_words(const uint16_t *w, size_t n, struct cof_slip39_share *ret, struct cof_diag *diag)
{
	size_t words = n - META_WORDS - CHECK_WORDS, pad = 10 * words % 16;
	uint64_t meta = 0;

	if (n < LEAST_WORDS || pad > 8)
		return cof_fail(diag, -EUCLEAN, "%zu words: no share has that many; some are missing or too many", n);
	for (int i = 0; i < META_WORDS; i++)
		meta = meta << 10 | w[i];
	memset(ret, 0, sizeof(*ret));
	set_meta(meta, ret);
	if (checksum(w, n, ret->extendable) != 1)
		return cof_fail(diag, -EUCLEAN, "the words do not fit together: one or more is another one, or two are exchanged");
	ret->length = (uint8_t)((10 * words - pad) / 8);
	for (size_t bit = 0; bit < 10 * words; bit++) {
		unsigned one = w[META_WORDS + bit / 10] >> (9 - bit % 10) & 1;

		if (bit < pad) {
			if (one)
				return cof_fail(diag, -EUCLEAN, "the share's padding is not zero: it was made wrongly");
			continue;
		}
		ret->value[(bit - pad) / 8] |= (uint8_t)(one << (7 - (bit - pad) % 8));
	}
	if (!share_valid(ret))
		return cof_fail(diag, -EUCLEAN, "the share asks for %u of %u groups: it was made wrongly",
				ret->group_threshold, ret->groups);
	return 0;
}

int cof_slip39_read(const char *text, size_t n, struct cof_slip39_share *ret, struct cof_diag *diag)
{
	uint16_t words[COF_SLIP39_WORDS];
	size_t count = 0;
	int r = split_words(text, n, words, &count, diag);

	if (r == 0)
		r = from_words(words, count, ret, diag);
	if (r < 0)
		cof_wipe(ret, sizeof(*ret));
	cof_wipe(words, sizeof(words));
	return r;
}
