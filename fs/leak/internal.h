/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/leak inside. The sieve (sieve.c) runs over a window once, 64 bytes at a time, and hands three
 * kinds of places to the judges, each of which looks at the bytes themselves:
 *
 *   literal  a place where three bytes fit one of a few marks     token.c, pem.c, der.c
 *   run      as many characters of one alphabet in a row as a secret has   run.c
 *   words    WORDS_MIN or more bytes that could be twelve listed words     mnemonic.c
 *
 * A judge that needs more bytes than there are calls scan_wait: the next scan begins there.
 */
#ifndef COF_LEAK_INTERNAL_H
#define COF_LEAK_INTERNAL_H

#include "crypto/crypto.h"
#include "fs/leak/leak.h"

#define RUN_MIN 43   /* 32 bytes in base64 without padding */
#define RUN_MAX 44   /* the same behind an escaped line end */
#define BASE58_MIN 51 /* a WIF key */
#define BASE58_MAX 113 /* an extended key, behind an escaped line end */
#define HEX_RUN 64
#define WORDS_LEAST 12
#define WORDS_MIN 47 /* twelve words of three letters */
#define LETTERS_MAX 9 /* of ASCII in a row, of a listed word */
#define BACK 64	     /* bytes before a candidate that a judge may look at */

/* Classes of bytes, as bits of class_of[]: those of C_RUN above the others of ASCII, letters above these */
#define C_ALPHA_1 0x80 /* letters of rows 4 and 6 */
#define C_ALPHA_2 0x40 /* of rows 5 and 7 */
#define C_DIGIT 0x20
#define C_UNDER 0x10
#define C_BASE64 0x08 /* + - / */
#define C_GAP_1 0x04  /* space " ' ( ) * , - . */
#define C_GAP_2 0x02  /* tab, line ends, [ ] */
#define C_HIGH 0x01   /* bytes of 0x80 and above */
#define C_WORD (C_ALPHA_1 | C_ALPHA_2 | C_HIGH)
#define C_ALNUM (C_ALPHA_1 | C_ALPHA_2 | C_DIGIT)
#define C_RUN (C_ALNUM | C_BASE64 | C_UNDER)
#define C_TEXT (C_WORD | C_DIGIT | C_UNDER | C_GAP_1 | C_GAP_2) /* what a mnemonic and its gaps are of */

extern uint8_t cof_leak_class[256]; /* filled by cof_leak_sieve_init */

static inline bool is_class(uint8_t c, unsigned classes)
{
	return (cof_leak_class[c] & classes) != 0;
}

/* What was found lately: a secret is said once, though it may be seen again or lie in another one. */
#define RECENT 8
struct recent {
	uint64_t end[RECENT]; /* 0: none */
	uint32_t len[RECENT];
	uint8_t kind[RECENT];
	uint32_t next;
};

/* One window of a stream: bytes [0, n), of which candidates that begin in [lo, hi) count. */
struct scan {
	const struct cof_leak_db *db;
	const uint8_t *p;
	size_t n, lo, hi;
	bool last;	 /* no bytes of the stream are known behind the window */
	uint64_t base;	 /* offset in the file of p[0] */
	uint64_t settled; /* the size of the file: earlier scans have seen what is before */
	struct recent *recent;
	size_t resume; /* where the next scan of this stream has to begin */
	unsigned found;
	cof_leak_fn fn;
	void *user;
};

/* Whether p[at] exists and is of one of these classes. */
static inline bool scan_is(const struct scan *s, size_t at, unsigned classes)
{
	return at < s->n && is_class(s->p[at], classes);
}
/* Whether what begins at `at` is to be judged in this window. */
static inline bool scan_wanted(const struct scan *s, size_t at)
{
	return at >= s->lo && at < s->hi;
}
/* More bytes are needed to judge what begins at `at`. */
static inline void scan_wait(struct scan *s, size_t at)
{
	s->resume = COF_MIN(s->resume, at);
}
/* The first byte from `at` on that is of none of these classes, or n. */
static inline size_t scan_over(const struct scan *s, size_t at, unsigned classes)
{
	while (at < s->n && is_class(s->p[at], classes))
		at++;
	return at;
}
/* A token's end: the next byte is of another class, or there is none and none is known to follow. */
static inline bool scan_ends(const struct scan *s, size_t at, unsigned classes)
{
	return at < s->n ? !is_class(s->p[at], classes) : s->last;
}
static inline bool scan_begins(const struct scan *s, size_t at, unsigned classes)
{
	return at == 0 || !is_class(s->p[at - 1], classes);
}
/* Whether *p ends "\\n", "\\r" or "\\t", as in JSON: what follows begins a token. There is a p[-1]. */
static inline bool escape_ends(const uint8_t *p)
{
	return p[-1] == '\\' && (*p == 'n' || *p == 'r' || *p == 't');
}
/* Whether an earlier scan saw what ends at `end` and the end of its line, and so judged it. */
bool cof_leak_settled(const struct scan *s, size_t end);
/* len may reach beyond the window: it ends there for now. Says nothing where it was said before. */
void cof_leak_found(struct scan *s, enum cof_leak_kind kind, size_t at, size_t len);

/* sieve.c. init is done by cof_leak_db_new; from is at most n; sets s->resume. */
enum sieve { SIEVE_PLAIN, SIEVE_AVX2, SIEVE_AVX512, SIEVES };
void cof_leak_sieve_init(void);
void cof_leak_sieve(struct scan *s, size_t from);
/* Bit i: p[at + i] exists and is of these classes. */
uint64_t cof_leak_mask(const struct scan *s, size_t at, unsigned classes);
/* The first n bits. */
static inline uint64_t scan_bits(size_t n)
{
	return n < 64 ? ~(~0ull << n) : ~0ull;
}
/* For tests, between scans: false where this processor has it not. The best one is used else. */
bool cof_leak_use_sieve(enum sieve which);

void cof_leak_run_init(void); /* run.c, by sieve_init */

/* The judges */
void cof_leak_judge_literal(struct scan *s, size_t at); /* the three bytes are at, at + 1, at + 2 */
void cof_leak_judge_base64(struct scan *s, size_t at, size_t end);
void cof_leak_judge_alnum(struct scan *s, size_t at, size_t end); /* all letters and digits: Base58, hex */
void cof_leak_judge_age(struct scan *s, size_t at); /* of "AGE-SECRET-KEY-1" */
void cof_leak_judge_words(struct scan *s, size_t at, size_t end);
void cof_leak_judge_pem(struct scan *s, size_t at);   /* of "-----BEGIN " */
void cof_leak_judge_der(struct scan *s, size_t at);   /* of 02 01 00 or 02 01 01 */
void cof_leak_judge_jwt(struct scan *s, size_t at);   /* of "eyJ" */

/* ---- words.c ---- */

enum { LIST_SLIP39, LIST_ENGLISH, LISTS = 11 };
#define WORD_BYTES 40 /* no listed word is longer */

struct word_hit {
	uint16_t lists;	       /* bit l: in list l */
	uint16_t index[LISTS]; /* where the bit is set */
};
/* False: surely in no list. Cheap; true for one word in twenty that is in none. */
bool cof_leak_maybe_word(const struct cof_leak_db *db, const uint8_t *p, size_t n);
/* Words in either case (ASCII), composed or decomposed. False: in none. */
bool cof_leak_word(const struct cof_leak_db *db, const uint8_t *p, size_t n, struct word_hit *ret);

bool cof_leak_bip39_ok(const uint16_t *index, unsigned words);
bool cof_leak_slip39_ok(const uint16_t *index, unsigned words);

/* ---- codings ---- */

/* 0 to 61, + - to 62, / _ to 63; else -1 */
int cof_leak_base64_value(uint8_t c);
/* Decodes whole bytes from n characters, at most cap; returns how many. Stops at a foreign character. */
size_t cof_leak_base64(const uint8_t *p, size_t n, uint8_t *out, size_t cap);
/* Base58 with the checksum of four bytes: true, and the payload of exactly len bytes in out. */
bool cof_leak_base58check(const uint8_t *p, size_t n, uint8_t *out, size_t len);

#endif
