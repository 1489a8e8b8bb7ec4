/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The word lists of BIP-39 (ten languages) and SLIP-39 in one hash table. A word may be in several lists.
 * BIP-39 publishes its words decomposed (NFKD); people write them composed: both are taken.
 */
#include "fs/leak/internal.h"

#define SLOTS 65536u /* some 28,000 are used */
#define FILTER_BITS (1u << 18)

extern const char *const cof_leak_lists[LISTS]; /* made from lists/ by make-lists.c */

struct slot {
	uint32_t hash;
	uint32_t text; /* offset into texts; 0: empty */
	uint16_t index;
	uint8_t list, len;
};

struct cof_leak_db {
	struct slot slots[SLOTS];
	uint64_t filter[FILTER_BITS / 64]; /* most words that are in no list end here */
	struct cof_buf texts;
};

static uint8_t folded(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static uint32_t hash_of(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ folded(p[i])) * 16777619u;
	return h ^ h >> 15;
}

static bool same(const uint8_t *text, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] != folded(p[i]))
			return false;
	return true;
}

static void add(struct cof_leak_db *db, unsigned list, unsigned index, const char *text, size_t n)
{
	uint32_t h = hash_of((const uint8_t *)text, n), i = h % SLOTS;

	while (db->slots[i].text)
		i = (i + 1) % SLOTS;
	db->slots[i] = (struct slot){h, (uint32_t)db->texts.len, (uint16_t)index, (uint8_t)list,
				     (uint8_t)n};
	db->filter[h % FILTER_BITS / 64] |= 1ull << h % 64;
	cof_buf_add(&db->texts, text, n);
}

/* ---- composing (NFC), as far as the lists need it ---- */

static unsigned decode(const char **p)
{
	const uint8_t *b = (const uint8_t *)*p;

	if (b[0] < 0x80)
		return *p += 1, b[0];
	if (b[0] < 0xe0)
		return *p += 2, (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
	return *p += 3, (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
}

static char *encode(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* The composed character of two, or 0. */
static unsigned composed(unsigned a, unsigned b)
{
	static const struct {
		uint16_t base, mark, both;
	} latin[] = {
	    {'e', 0x300, 0xe8}, {'a', 0x301, 0xe1}, {'e', 0x301, 0xe9}, {'i', 0x301, 0xed},
	    {'o', 0x301, 0xf3}, {'u', 0x301, 0xfa}, {'n', 0x303, 0xf1},
	};

	for (unsigned i = 0; i < COF_COUNT(latin); i++)
		if (latin[i].base == a && latin[i].mark == b)
			return latin[i].both;
	if (b == 0x3099 || b == 0x309a) /* hiragana with a sound mark follow the plain one */
		return a + (b - 0x3098);
	if (a >= 0x1100 && a < 0x1113 && b >= 0x1161 && b < 0x1176) /* Hangul: lead and vowel */
		return 0xac00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28;
	if (a >= 0xac00 && a < 0xd7a4 && (a - 0xac00) % 28 == 0 && b > 0x11a7 && b < 0x11c3)
		return a + (b - 0x11a7);
	return 0;
}

static size_t compose(const char *word, size_t n, char out[WORD_BYTES])
{
	const char *p = word, *end = word + n;
	unsigned held = decode(&p);
	char *o = out;

	while (p < end) {
		unsigned c = decode(&p), both = composed(held, c);

		if (!both)
			o = encode(o, held);
		held = both ? both : c;
	}
	return (size_t)(encode(o, held) - out);
}

/* ---- the database ---- */

int cof_leak_db_new(struct cof_leak_db **ret)
{
	struct cof_leak_db *db = calloc(1, sizeof(*db));

	if (!db)
		return -ENOMEM;
	cof_leak_sieve_init();
	cof_buf_add(&db->texts, "", 1);
	for (unsigned list = 0; list < LISTS; list++) {
		unsigned index = 0;

		for (const char *w = cof_leak_lists[list], *e; (e = strchr(w, '\n')); w = e + 1, index++) {
			size_t n = (size_t)(e - w), m;
			char text[WORD_BYTES];

			add(db, list, index, w, n);
			m = compose(w, n, text);
			if (m != n)
				add(db, list, index, text, m);
		}
	}
	if (db->texts.failed) {
		cof_leak_db_free(db);
		return -ENOMEM;
	}
	*ret = db;
	return 0;
}

void cof_leak_db_free(struct cof_leak_db *db)
{
	if (!db)
		return;
	cof_buf_done(&db->texts);
	free(db);
}

static bool filtered(const struct cof_leak_db *db, uint32_t h)
{
	return db->filter[h % FILTER_BITS / 64] >> h % 64 & 1;
}

bool cof_leak_maybe_word(const struct cof_leak_db *db, const uint8_t *p, size_t n)
{
	return n <= WORD_BYTES && filtered(db, hash_of(p, n));
}

bool cof_leak_word(const struct cof_leak_db *db, const uint8_t *p, size_t n, struct word_hit *ret)
{
	uint32_t h = hash_of(p, COF_MIN(n, WORD_BYTES));

	ret->lists = 0;
	if (n > WORD_BYTES || !filtered(db, h))
		return false;
	for (uint32_t i = h % SLOTS; db->slots[i].text; i = (i + 1) % SLOTS) {
		const struct slot *slot = &db->slots[i];

		if (slot->hash != h || slot->len != n || !same(db->texts.data + slot->text, p, n))
			continue;
		ret->lists |= (uint16_t)(1u << slot->list);
		ret->index[slot->list] = slot->index;
	}
	return ret->lists != 0;
}
