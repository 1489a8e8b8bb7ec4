/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of characters of one alphabet: WIF and extended keys (Base58Check), and 32 bytes in hex or base64 where a
 * telling word stands before; and age identities (Bech32), which a mark leads to.
 */
#include "crypto/age.h"
#include "fs/leak/internal.h"

#define TELL 24	     /* bytes between a telling word and what it tells of */
#define HEX_BEFORE 3 /* of "\\n0x": what of it is letters and digits */

/* ---- telling words ---- */

struct telling {
	uint8_t len;
	char text[15];
};
#define W(text) {sizeof(text) - 1, text}

static const struct telling tells[] = {W("key"), W("secret"), W("seed"), W("private"), W("priv"),
				       W("mnemonic"), W("passphrase"), W("password"), W("passwd"),
				       W("entropy")};
/* What turns them into something else, when it stands near */
static const struct telling vetoes[] = {
    W("pub"), W("hash"), W("digest"), W("finger"), W("sha1"), W("sha2"), W("sha3"), W("sha5"), W("sha-"),
    W("thumb"), W("etag"), W("cache"), W("object"), W("merkle"), W("idempot"), W("checksum"),
    W("signature")};
/* What may stand between the telling word and the value */
static const struct telling fillers[] = {
    W("is"), W("was"), W("hex"), W("base64"), W("base"), W("b64"), W("64"), W("raw"), W("bytes"),
    W("byte"), W("32"), W("256"), W("bit"), W("bits"), W("value"), W("in"), W("as"), W("of"), W("0x"),
    W("be"), W("set"), W("to"), W("the"), W("data"), W("material")};

static bool same_text(const uint8_t *p, const char *text, size_t n) /* text in lower case */
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] | 0x20) != text[i])
			return false;
	return true;
}

/* Which of the list ends at p[0], with no more than n bytes before: its length, or 0. */
static size_t ends_with(const uint8_t *p, size_t n, const struct telling *list, size_t count)
{
	uint8_t last = p[-1] | 0x20;

	for (size_t i = 0; i < count; i++) {
		size_t len = list[i].len;

		if (last == list[i].text[len - 1] && len <= n && same_text(p - len, list[i].text, len))
			return len;
	}
	return 0;
}

static uint32_t veto_ends; /* bit c & 31: a veto ends in c */

void cof_leak_run_init(void)
{
	for (size_t i = 0; i < COF_COUNT(vetoes); i++)
		veto_ends |= UINT32_C(1) << (vetoes[i].text[vetoes[i].len - 1] & 31);
}

static bool vetoed(const uint8_t *p, size_t n)
{
	for (size_t end = 1; end <= n; end++)
		if (veto_ends >> (p[end - 1] & 31) & 1 && ends_with(p + end, end, vetoes, COF_COUNT(vetoes)))
			return true;
	return false;
}

static bool word_begins(const uint8_t *p, size_t back)
{
	return back == 0 || !is_class(p[-1], C_ALNUM) ||
	       (p[0] >= 'A' && p[0] <= 'Z' && p[-1] >= 'a' && p[-1] <= 'z');
}

/*
 * Whether a telling word stands before p[at] on its line, with nothing between but marks and fillers. Words
 * of camel case count as words: "secretKeyHex" tells.
 */
static bool told(const struct scan *s, size_t at)
{
	const uint8_t *p = s->p;
	size_t least = at - COF_MIN(at, BACK), end = at;

	for (;;) {
		size_t len;

		while (end > least && p[end - 1] != '\n' && !is_class(p[end - 1], C_ALNUM))
			end--;
		if (end == least || p[end - 1] == '\n' || at - end > TELL)
			return false;
		if (ends_with(p + end, end - least, tells, COF_COUNT(tells)))
			break;
		len = ends_with(p + end, end - least, fillers, COF_COUNT(fillers));
		if (!len || !word_begins(p + end - len, end - len))
			return false;
		end -= len;
	}
	while (least < end && memchr(p + least, '\n', end - least))
		least++;
	return !vetoed(p + least, at - least);
}

/* ---- letters and digits alone ---- */

/* One digit 64 times, or two in turn, is a filler and no key. */
static bool varied(const uint8_t *p, size_t n)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < n; i++)
		seen |= 1ull << (p[i] & 63);
	return __builtin_popcountll(seen) >= 8;
}

static bool all_hex(const uint8_t *p, size_t n)
{
	bool all = true;

	for (size_t i = 0; i < n; i++)
		all &= is_class(p[i], C_DIGIT) || ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f');
	return all;
}

/* 64 digits with nothing of a word beside them but "0x" or an escaped line end: [at, end) if these are digits. */
static void judge_hex(struct scan *s, size_t at, size_t end)
{
	size_t start = at;

	if (!scan_begins(s, at, C_ALNUM)) {
		if (at >= 2 && s->p[at - 2] == '0' && (s->p[at - 1] | 0x20) == 'x')
			start = at - 2;
		if (!(at >= 2 && escape_ends(s->p + at - 1)) &&
		    (start == at || (!scan_begins(s, start, C_ALNUM) &&
				     !(start >= 2 && escape_ends(s->p + start - 1)))))
			return;
	}
	if (scan_wanted(s, start) && scan_ends(s, end, C_ALNUM) && told(s, at) && varied(s->p + at, HEX_RUN) &&
	    all_hex(s->p + at, HEX_RUN)) /* few come so far */
		cof_leak_found(s, COF_LEAK_RAW, at, HEX_RUN);
}

/* Version 0x80, 0xef (test networks) or Litecoin's 0xb0, then 32 bytes, and 01 for a compressed key. */
static void judge_wif(struct scan *s, size_t at, size_t n)
{
	uint8_t key[34];
	bool ok;

	if (!strchr("5KL9c6T", s->p[at]))
		return;
	ok = n == 52 ? cof_leak_base58check(s->p + at, n, key, 34) && key[33] == 1
		     : cof_leak_base58check(s->p + at, n, key, 33);
	if (ok && (key[0] == 0x80 || key[0] == 0xef || key[0] == 0xb0))
		cof_leak_found(s, COF_LEAK_WIF, at, n);
	explicit_bzero(key, sizeof(key));
}

/* 78 bytes: version, depth, parent, number, chain code, 00 and the key. */
static void judge_bip32(struct scan *s, size_t at, size_t n)
{
	uint8_t key[78];

	if (memcmp(s->p + at + 1, "prv", 3) || !strchr("xyztuvYZUV", s->p[at]))
		return;
	if (cof_leak_base58check(s->p + at, n, key, sizeof(key)) && key[45] == 0)
		cof_leak_found(s, COF_LEAK_BIP32, at, n);
	explicit_bzero(key, sizeof(key));
}

/* Letters and digits that may be of Base58 as a whole. */
static void judge_base58(struct scan *s, size_t at, size_t end)
{
	size_t n;

	if (!scan_wanted(s, at) || !scan_begins(s, at, C_ALNUM) || !scan_ends(s, end, C_ALNUM))
		return;
	if (at > 0 && escape_ends(s->p + at))
		at++; /* "\n" before it, in a text with escapes */
	n = end - at;
	if (n == 51 || n == 52)
		judge_wif(s, at, n);
	else if (n >= 110 && n <= 112)
		judge_bip32(s, at, n);
}

void cof_leak_judge_alnum(struct scan *s, size_t at, size_t end)
{
	judge_base58(s, at, end);
	if (end - at >= HEX_RUN && end - at <= HEX_RUN + HEX_BEFORE)
		judge_hex(s, end - HEX_RUN, end);
}

void cof_leak_judge_age(struct scan *s, size_t at)
{
	size_t end = scan_over(s, at + sizeof("AGE-SECRET-KEY-") - 1, C_ALNUM);
	uint8_t key[COF_AGE_KEY];

	if (!scan_wanted(s, at))
		return;
	if (end == s->n && end - at < COF_AGE_IDENTITY)
		scan_wait(s, at);
	if (end - at != COF_AGE_IDENTITY - 1 || !scan_ends(s, end, C_ALNUM))
		return;
	if (!cof_age_identity_parse((const char *)s->p + at, COF_AGE_IDENTITY - 1, key))
		cof_leak_found(s, COF_LEAK_AGE, at, COF_AGE_IDENTITY - 1);
	explicit_bzero(key, sizeof(key));
}

/* ---- base64 ---- */

/* 32 bytes are 43 characters, the last one with two bits unused, and "=". */
void cof_leak_judge_base64(struct scan *s, size_t at, size_t end)
{
	const uint8_t *p = s->p + at;
	bool digit = false, upper = false, lower = false;
	size_t n;

	if (!scan_wanted(s, at) || !scan_begins(s, at, C_RUN) || !scan_ends(s, end, C_RUN))
		return;
	if (at > 0 && end - at == 44 && escape_ends(p))
		at++, p++;
	n = end - at;
	if (n != 43 || cof_leak_base64_value(p[42]) & 3 || !told(s, at))
		return;
	for (size_t i = 0; i < n; i++) {
		digit |= is_class(p[i], C_DIGIT);
		upper |= p[i] >= 'A' && p[i] <= 'Z';
		lower |= p[i] >= 'a' && p[i] <= 'z';
	}
	if (digit && upper && lower)
		cof_leak_found(s, COF_LEAK_RAW, at, n + (end < s->n && s->p[end] == '='));
}
