/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mark of three bytes leads to: the other literals, and the tokens that begin with one. Of a token its
 * prefix, alphabet and length are verified, and that it ends there; none has a checksum that its
 * maker has published.
 */
#include <strings.h>

#include "fs/leak/internal.h"

/* 1: text stands at `at` · 0: it does not · -1: the bytes end before that is known. */
static int stands(const struct scan *s, size_t at, const char *text)
{
	size_t n = strlen(text), have = at < s->n ? COF_MIN(n, s->n - at) : 0;

	if (memcmp(s->p + at, text, have))
		return 0;
	return have == n ? 1 : -1;
}

/* The same, `back` bytes before `at`; waits where that is not known yet. */
static bool literal(struct scan *s, size_t at, size_t back, const char *text)
{
	int r;

	if (at < back)
		return false;
	r = stands(s, at - back, text);
	if (r < 0)
		scan_wait(s, at - back);
	return r > 0;
}

/* Letters, digits and what else is in base64 for URLs: "-" and "_". */
#define C_URL (C_ALNUM | C_UNDER | 0x100u)

static bool in_token(uint8_t c, unsigned classes)
{
	return is_class(c, classes & 0xff) || (classes & 0x100 && c == '-');
}

static size_t over(const struct scan *s, size_t at, unsigned classes)
{
	while (at < s->n && in_token(s->p[at], classes))
		at++;
	return at;
}

/*
 * A token from start: its body, from body on, is min to max characters of these classes. Waits where the
 * bytes end too early.
 */
static bool token(struct scan *s, enum cof_leak_kind kind, size_t start, size_t body, unsigned classes,
		  size_t min, size_t max)
{
	size_t end = over(s, body, classes);

	if (!scan_wanted(s, start))
		return false;
	if (end - body < min && end == s->n)
		scan_wait(s, start);
	if (end - body < min || end - body > max || (end == s->n && !s->last))
		return false;
	cof_leak_found(s, kind, start, end - start);
	return true;
}

/* Nothing of an identifier before it; an escaped line end is none. */
static bool fresh(const struct scan *s, size_t at)
{
	return scan_begins(s, at, C_ALNUM | C_UNDER) ||
	       (at >= 2 && escape_ends(s->p + at - 1));
}

/* ---- AWS: the id of a key is no secret, the key beside it is ---- */

#define AWS_SECRET 40
#define AWS_LOOK 256 /* bytes behind the id in which the secret begins */

static bool aws_char(uint8_t c)
{
	return is_class(c, C_ALNUM) || c == '/' || c == '+';
}

/* 40 characters of base64 that are not hex and mix cases and digits, with nothing else of a token beside. */
static bool aws_secret(const struct scan *s, size_t at, size_t end)
{
	bool digit = false, upper = false, lower = false, beyond = false;

	if (end - at != AWS_SECRET || !scan_begins(s, at, C_RUN) || !scan_ends(s, end, C_RUN) ||
	    (end < s->n && s->p[end] == '='))
		return false;
	for (size_t i = at; i < end; i++) {
		uint8_t c = s->p[i], low = c | 0x20;

		digit |= is_class(c, C_DIGIT) || c == '+' || c == '/';
		upper |= c >= 'A' && c <= 'Z';
		lower |= c >= 'a' && c <= 'z';
		beyond |= low > 'f' && low <= 'z';
	}
	return digit && upper && lower && beyond;
}

static bool says_secret(const struct scan *s, size_t at, size_t back)
{
	for (size_t i = at - COF_MIN(at, back); i + 6 <= at; i++)
		if (!strncasecmp((const char *)s->p + i, "secret", 6))
			return true;
	return false;
}

/*
 * The secret in the bytes from `at` on, at most `look` of them away; reported with what is before it. On
 * another line it has to be called one.
 */
static bool aws_find(struct scan *s, size_t start, size_t at, size_t look)
{
	size_t stop = COF_MIN(s->n, at + look);

	while (at < stop) {
		size_t end = at;

		while (end < s->n && aws_char(s->p[end]))
			end++;
		if (aws_secret(s, at, end) &&
		    (!memchr(s->p + start, '\n', at - start) || says_secret(s, at, 32))) {
			cof_leak_found(s, COF_LEAK_AWS, start, end - start);
			return true;
		}
		at = end + (end == at);
	}
	return false;
}

static void judge_aws_id(struct scan *s, size_t at)
{
	size_t end = scan_over(s, at, C_ALNUM);

	if (!fresh(s, at) || !scan_wanted(s, at))
		return;
	for (size_t i = at; i < end; i++)
		if (s->p[i] >= 'a')
			return;
	if (end - at > 20 || (end - at < 20 && end < s->n))
		return;
	if (!aws_find(s, at, end, AWS_LOOK) && s->n < end + AWS_LOOK + AWS_SECRET)
		scan_wait(s, at);
}

/* "secret_access_key" and its spellings: the secret follows within a few bytes. */
static void judge_aws_name(struct scan *s, size_t t)
{
	static const char name[] = "secretaccesskey";
	size_t at, i = 5;

	if (t < 5 || !scan_wanted(s, t))
		return;
	for (unsigned j = 0; j < 5; j++)
		if ((s->p[t - 5 + j] | 0x20) != name[j])
			return;
	for (at = t; at < s->n && name[i]; at++) {
		if (s->p[at] == '_')
			continue;
		if ((s->p[at] | 0x20) != name[i])
			return;
		i++;
	}
	if (!aws_find(s, t - 5, at, 24) && s->n < at + 24 + AWS_SECRET)
		scan_wait(s, t - 5);
}

/* ---- chat ---- */

/* xoxb-, xoxp- and kin: numbers of a team, of a user, then letters and digits. */
static void judge_slack(struct scan *s, size_t at)
{
	size_t digits = at + 5, end;

	if (!fresh(s, at) || at + 5 > s->n || !strchr("abeoprs", s->p[at + 3]) || s->p[at + 4] != '-') {
		if (at + 5 > s->n)
			scan_wait(s, at);
		return;
	}
	if (stands(s, digits, "1-") > 0)
		digits += 2;
	end = scan_over(s, digits, C_DIGIT);
	if (end - digits >= 9 || end == s->n)
		token(s, COF_LEAK_SLACK, at, at + 5, C_URL, 35, 400);
}

static void judge_slack_hook(struct scan *s, size_t at)
{
	size_t body = at + strlen("hooks.slack.com/services/T"), slash = scan_over(s, body, C_ALNUM);

	if (slash + 1 < s->n && s->p[slash] == '/' && slash - body >= 6 && s->p[slash + 1] == 'B') {
		size_t last = scan_over(s, slash + 1, C_ALNUM);

		if (last < s->n && s->p[last] == '/') {
			token(s, COF_LEAK_SLACK, at, last + 1, C_ALNUM, 20, 32);
			return;
		}
		slash = last;
	}
	if (slash + 1 >= s->n)
		scan_wait(s, at);
}

/* Eight to ten digits, ":" and 35 characters, of which the first two are AA. */
static void judge_telegram(struct scan *s, size_t colon)
{
	size_t start = colon;

	while (start > 0 && colon - start < 11 && is_class(s->p[start - 1], C_DIGIT))
		start--;
	if (colon - start >= 8 && colon - start <= 10)
		token(s, COF_LEAK_TELEGRAM, start, colon + 1, C_URL, 35, 35);
}

/* BASE64(digits of an id) "." six characters "." 27 to 38. */
static void judge_discord(struct scan *s, size_t at)
{
	size_t first, second;
	uint8_t id[24];
	size_t n;

	if (!fresh(s, at) || (at > 0 && s->p[at - 1] == '-'))
		return;
	first = over(s, at, C_URL);
	if (first - at > 28)
		return;
	n = cof_leak_base64(s->p + at, first - at, id, sizeof(id));
	for (size_t i = 0; i < n; i++)
		if (id[i] < '0' || id[i] > '9')
			return;
	if (first == s->n) {
		scan_wait(s, at);
		return;
	}
	if (s->p[first] != '.' || n < 17 || n > 20)
		return;
	second = over(s, first + 1, C_URL);
	if (second == s->n)
		scan_wait(s, at);
	else if (s->p[second] == '.' && second - first - 1 >= 6 && second - first - 1 <= 7)
		token(s, COF_LEAK_DISCORD, at, second + 1, C_URL, 27, 38);
}

/* ---- JSON Web Tokens, signed ---- */

static bool jwt_header(const uint8_t *p, size_t n)
{
	uint8_t text[192];
	size_t len = cof_leak_base64(p, n, text, sizeof(text));
	const uint8_t *alg = memmem(text, len, "\"alg\":\"", 7);

	if (len < 12 || memcmp(text, "{\"", 2) || !alg || text + len - alg < 12)
		return false;
	return alg[7] >= 'A' && alg[7] <= 'Z' && alg[8] >= 'A'; /* HS256 and kin, EdDSA; not none */
}

/* Of 32, 48 or 64 bytes of HMAC; of ECDSA and EdDSA; of RSA with 2048, 3072 or 4096 bits. */
static bool jwt_signature(size_t n)
{
	static const uint16_t lengths[] = {43, 64, 86, 128, 176, 342, 512, 683};

	for (unsigned i = 0; i < COF_COUNT(lengths); i++)
		if (lengths[i] == n)
			return true;
	return false;
}

void cof_leak_judge_jwt(struct scan *s, size_t at)
{
	size_t first, second, end;

	if (!fresh(s, at) || !scan_wanted(s, at))
		return;
	first = over(s, at, C_URL);
	second = first < s->n && s->p[first] == '.' ? over(s, first + 1, C_URL) : first;
	end = second < s->n && s->p[second] == '.' && second > first ? over(s, second + 1, C_URL)
								       : second;
	if (end == s->n)
		scan_wait(s, at); /* said now if it is whole, else when it is */
	if (second <= first + 1 || end <= second || !jwt_header(s->p + at, first - at) ||
	    stands(s, first + 1, "eyJ") <= 0 || (end == s->n && !s->last) ||
	    !jwt_signature(end - second - 1))
		return;
	cof_leak_found(s, COF_LEAK_JWT, at, end - at);
}

/* github_pat_, 22 characters, "_", and 59. */
static void judge_github_pat(struct scan *s, size_t at)
{
	size_t body = at + strlen("github_pat_"), half = scan_over(s, body, C_ALNUM);

	if (half == s->n)
		scan_wait(s, at);
	else if (half - body == 22 && s->p[half] == '_')
		token(s, COF_LEAK_GITHUB, at, half + 1, C_ALNUM, 59, 59);
}

/* ---- from three bytes to what they may be ---- */

static void judge_prefixed(struct scan *s, size_t at)
{
	const uint8_t *p = s->p + at;

	if (p[2] == '_' && p[0] == 'h') { /* ghp_, gho_, ghs_, ghu_, ghr_ and 36 */
		if (at > 0 && p[-1] == 'g' && fresh(s, at - 1))
			token(s, COF_LEAK_GITHUB, at - 1, at + 3, C_ALNUM, 36, 36);
	} else if (p[0] == 'l') {
		if (literal(s, at, 1, "glpat-") && fresh(s, at - 1))
			token(s, COF_LEAK_GITLAB, at - 1, at + 5, C_URL, 20, 300);
	} else if (p[0] == 'k') {
		if ((literal(s, at, 1, "sk_live_") || literal(s, at, 1, "rk_live_")) && fresh(s, at - 1))
			token(s, COF_LEAK_STRIPE, at - 1, at + 7, C_ALNUM, 24, 250);
	} else if (p[0] == 'b') {
		if (literal(s, at, 5, "github_pat_"))
			judge_github_pat(s, at - 5);
	} else if (p[0] == '.') {
		if (literal(s, at, 5, "hooks.slack.com/services/T") && scan_wanted(s, at - 5))
			judge_slack_hook(s, at - 5);
	} else if (p[0] == 'A') {
		if (at + 3 >= s->n)
			scan_wait(s, at);
		else if (p[3] == 'A')
			judge_aws_id(s, at);
	}
}

void cof_leak_judge_literal(struct scan *s, size_t at)
{
	const uint8_t *p = s->p + at;

	if (at + 3 > s->n)
		return; /* the next scan begins before it */
	switch (p[0]) {
	case '-':
		if (p[1] == 'B' && literal(s, at, 4, "-----BEGIN "))
			cof_leak_judge_pem(s, at - 4);
		break;
	case 'E':
		if (p[1] == '-' && literal(s, at, 2, "AGE-SECRET-KEY-1"))
			cof_leak_judge_age(s, at - 2);
		break;
	case 2:
		if (p[1] == 1 && p[2] <= 1)
			cof_leak_judge_der(s, at);
		break;
	case ':':
		if (p[1] == 'A' && p[2] == 'A')
			judge_telegram(s, at);
		break;
	case 'e':
		if (p[1] == 'y' && p[2] == 'J')
			cof_leak_judge_jwt(s, at);
		break;
	case 'x':
		if (p[1] == 'o' && p[2] == 'x')
			judge_slack(s, at);
		break;
	case 't':
	case 'T':
		judge_aws_name(s, at);
		break;
	case 'M':
	case 'N':
	case 'O':
		judge_discord(s, at);
		break;
	default:
		judge_prefixed(s, at);
	}
}
