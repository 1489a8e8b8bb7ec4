/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Armored private keys. A header alone (in documentation, in a program's text) is no leak: within LOOK bytes
 * behind it there has to be base64 that decodes to the beginning of what the header promises. Other
 * text may lie between, so that a key is found that was logged line by line, each with its prefix.
 */
#include "fs/leak/internal.h"

#define LABEL 48   /* bytes of "-----BEGIN LABEL-----", at most */
#define LOOK 640   /* bytes behind it in which the key begins */
#define TOKEN 20   /* characters of base64, at least */
#define REACH 16384 /* bytes in which its end is looked for */

static const char begin[] = "-----BEGIN ";

/* As memmem: by the character `rare` of the text, at this place in it, which logs have seldom. */
static const uint8_t *find(const uint8_t *p, size_t n, const char *text, size_t rare)
{
	size_t len = strlen(text);

	for (const uint8_t *at = p + rare, *end = p + n; n >= len && at < end; at++) {
		at = memchr(at, text[rare], (size_t)(end - at));
		if (!at)
			return NULL;
		if ((size_t)(end - at) >= len - rare && !memcmp(at - rare, text, len))
			return at - rare;
	}
	return NULL;
}

enum label { NONE, CUT, PLAIN, ENCRYPTED, OPENSSH, PGP };

static bool label_is(const uint8_t *p, size_t n, const char *text)
{
	return strlen(text) == n && !memcmp(p, text, n);
}

/* ret_end: behind the header. CUT: more bytes could make it one. */
static enum label label_of(const struct scan *s, size_t at, size_t *ret_end)
{
	size_t start = at + sizeof(begin) - 1, most = COF_MIN(s->n, at + LABEL);
	const uint8_t *p = s->p + start, *dashes;
	size_t n;

	if (start >= s->n)
		return CUT;
	dashes = find(p, most - start, "-----", 0);
	if (!dashes)
		return s->n < at + LABEL ? CUT : NONE;
	n = (size_t)(dashes - p);
	*ret_end = start + n + 5;
	if (label_is(p, n, "PRIVATE KEY") || label_is(p, n, "RSA PRIVATE KEY") ||
	    label_is(p, n, "EC PRIVATE KEY") || label_is(p, n, "DSA PRIVATE KEY"))
		return PLAIN;
	if (label_is(p, n, "ENCRYPTED PRIVATE KEY"))
		return ENCRYPTED;
	if (label_is(p, n, "OPENSSH PRIVATE KEY"))
		return OPENSSH;
	return label_is(p, n, "PGP PRIVATE KEY BLOCK") ? PGP : NONE;
}

/* Whether these first bytes are of such a key. */
static bool begins_key(enum label label, const uint8_t *p, size_t n)
{
	size_t head;

	if (n < 12)
		return false;
	if (label == OPENSSH)
		return !memcmp(p, "openssh-key-", 12);
	if (label == PGP) /* a secret key packet, in the old format or the new */
		return (p[0] & 0xfc) == 0x94 || p[0] == 0xc5;
	if (p[0] != 0x30) /* SEQUENCE; its length in one, two or three bytes */
		return false;
	head = p[1] < 0x80 ? 2 : p[1] == 0x81 ? 3 : p[1] == 0x82 ? 4 : 12;
	if (label == ENCRYPTED) /* of the algorithm: a SEQUENCE that begins with an OID */
		return head < 12 && p[head] == 0x30 && p[head + 2] == 0x06;
	return head < 12 && p[head] == 0x02 && p[head + 1] == 0x01 && p[head + 2] <= 1;
}

static size_t base64_end(const struct scan *s, size_t at, size_t stop)
{
	while (at < stop && is_class(s->p[at], C_RUN) && s->p[at] != '-' && s->p[at] != '_')
		at++;
	return at;
}

/* What base64 of such a key begins with: of 30, of "openssh", of 94 to 97 and c5. */
static const char *initials(enum label label)
{
	return label == OPENSSH ? "b" : label == PGP ? "lx" : "M";
}

/* The next token of TOKEN characters or more that begins with c, escaped line ends taken off; or 0. */
static size_t next_token(const struct scan *s, size_t at, size_t stop, int c)
{
	const uint8_t *p = s->p, *found;

	for (; (found = memchr(p + at, c, stop - at)); at++) {
		at = (size_t)(found - p);
		if (!is_class(p[at - 1], C_ALNUM) || escape_ends(p + at - 1))
			if (base64_end(s, at, COF_MIN(stop, at + TOKEN)) == at + TOKEN)
				return at;
	}
	return 0;
}

/* The old form of a passphrase shows no structure behind its header: any line of base64. */
static size_t find_locked(const struct scan *s, size_t at, size_t stop)
{
	while (at < stop) {
		size_t end = base64_end(s, at, stop);

		if (end - at >= 2 * TOKEN)
			return at;
		at = end + 1;
	}
	return 0;
}

/* The key's beginning in [at, stop), or 0. */
static size_t find_key(const struct scan *s, enum label label, size_t at, size_t stop)
{
	for (const char *c = initials(label); *c; c++)
		for (size_t t = at; (t = next_token(s, t, stop, *c)); t++) {
			uint8_t first[15];
			bool key;

			key = begins_key(label, first, cof_leak_base64(s->p + t, TOKEN, first, sizeof(first)));
			explicit_bzero(first, sizeof(first));
			if (key)
				return t;
		}
	if (label == PLAIN && find(s->p + at, stop - at, ",ENCRYPTED", 7))
		return find_locked(s, at, stop);
	return 0;
}

static enum cof_leak_kind kind_of(const struct scan *s, enum label label, size_t at, size_t key)
{
	static const char name[] = "private_key";
	size_t back = COF_MIN(at, 24);

	if (label == OPENSSH)
		return COF_LEAK_OPENSSH;
	if (label == PGP)
		return COF_LEAK_PGP;
	if (label == ENCRYPTED || memmem(s->p + at, key - at, ",ENCRYPTED", 10))
		return COF_LEAK_PEM_ENCRYPTED;
	return memmem(s->p + at - back, back, name, sizeof(name) - 1) ? COF_LEAK_GCP : COF_LEAK_PEM;
}

void cof_leak_judge_pem(struct scan *s, size_t at)
{
	size_t body, stop, key, end;
	const uint8_t *foot, *next;
	enum label label;

	if (!scan_wanted(s, at))
		return;
	label = label_of(s, at, &body);
	if (label == CUT)
		scan_wait(s, at);
	if (label == CUT || label == NONE)
		return;
	stop = COF_MIN(s->n, body + LOOK);
	next = find(s->p + body, stop - body, begin, 5);
	if (next) /* what is behind it is judged by itself */
		stop = (size_t)(next - s->p);
	key = find_key(s, label, body, stop);
	if (!key) {
		if (!next && stop < body + LOOK)
			scan_wait(s, at);
		return;
	}
	end = COF_MIN(s->n, key + REACH);
	foot = memmem(s->p + key, end - key, "-----END ", 9);
	if (foot) /* it is as long as the header, but for two characters */
		end = (size_t)(foot - s->p) + (body - at) - 2;
	cof_leak_found(s, kind_of(s, label, at, key), at, end - at);
}
