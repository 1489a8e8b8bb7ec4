/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of age: the header of a file, and keys in Bech32 (BIP 173 without its limit of length).
 * Both are read strictly: there is one way to write each, and anything else is refused.
 */
#include "crypto/age-private.h"

#define LINE 64	    /* columns of a stanza's body; a shorter line, an empty one too, ends it */
#define LINE_BYTES 48
#define KEY_CHARS 43

static const char version_line[] = "age-encryption.org/v1\n";

/* ---- Bech32 ---- */

static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const char recipient_prefix[] = "age", identity_prefix[] = "age-secret-key-";

#define VALUES 52 /* 256 bits in groups of five */
#define CHECK 6

static uint32_t polymod(uint32_t sum, uint8_t value)
{
	static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = sum >> 25;

	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (int i = 0; i < 5; i++)
		sum ^= top >> i & 1 ? generator[i] : 0;
	return sum;
}

static uint32_t checksum(const char *prefix, const uint8_t *values, size_t n)
{
	uint32_t sum = 1;

	for (const char *p = prefix; *p; p++)
		sum = polymod(sum, (uint8_t)*p >> 5);
	sum = polymod(sum, 0);
	for (const char *p = prefix; *p; p++)
		sum = polymod(sum, *p & 31);
	for (size_t i = 0; i < n; i++)
		sum = polymod(sum, values[i]);
	return sum;
}

static char upper(char c, bool wanted)
{
	return wanted && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void encode(const char *prefix, bool big, const uint8_t key[COF_AGE_KEY], char *out)
{
	uint8_t values[VALUES + CHECK] = {0};
	uint32_t sum;

	for (unsigned bit = 0; bit < 8 * COF_AGE_KEY; bit++)
		if (key[bit / 8] & 0x80 >> bit % 8)
			values[bit / 5] |= (uint8_t)(0x10 >> bit % 5);
	sum = checksum(prefix, values, sizeof(values)) ^ 1;
	for (int i = 0; i < CHECK; i++)
		values[VALUES + i] = sum >> 5 * (CHECK - 1 - i) & 31;
	for (const char *p = prefix; *p; p++)
		*out++ = upper(*p, big);
	*out++ = '1';
	for (size_t i = 0; i < sizeof(values); i++)
		*out++ = upper(charset[values[i]], big);
	*out = '\0';
	cof_wipe(values, sizeof(values));
}

/* -1: not of the alphabet, or in the other case. */
static int value_of(char c, bool big)
{
	for (int i = 0; i < 32; i++)
		if (upper(charset[i], big) == c)
			return i;
	return -1;
}

static int decode(const char *prefix, bool big, const char *text, size_t n, uint8_t ret[COF_AGE_KEY])
{
	size_t head = strlen(prefix);
	uint8_t values[VALUES + CHECK], key[COF_AGE_KEY] = {0};
	int err = 0;

	if (n != head + 1 + sizeof(values) || text[head] != '1')
		return -EINVAL;
	for (size_t i = 0; i < head; i++)
		if (text[i] != upper(prefix[i], big))
			return -EINVAL;
	for (size_t i = 0; i < sizeof(values); i++) {
		int v = value_of(text[head + 1 + i], big);

		if (v < 0)
			err = -EINVAL;
		values[i] = (uint8_t)v;
	}
	/* 260 bits: the last four are filling, and zero */
	if (!err && (checksum(prefix, values, sizeof(values)) != 1 || values[VALUES - 1] & 0x0f))
		err = -EINVAL;
	for (unsigned bit = 0; bit < 8 * COF_AGE_KEY; bit++)
		if (values[bit / 5] & 0x10 >> bit % 5)
			key[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (!err)
		memcpy(ret, key, sizeof(key));
	cof_wipe(values, sizeof(values));
	cof_wipe(key, sizeof(key));
	return err;
}

int cof_age_recipient_parse(const char *text, size_t n, uint8_t ret[COF_AGE_KEY])
{
	return decode(recipient_prefix, false, text, n, ret);
}

int cof_age_identity_parse(const char *text, size_t n, uint8_t ret[COF_AGE_KEY])
{
	return decode(identity_prefix, true, text, n, ret);
}

void cof_age_recipient_text(const uint8_t key[COF_AGE_KEY], char out[COF_AGE_RECIPIENT])
{
	encode(recipient_prefix, false, key, out);
}

void cof_age_identity_text(const uint8_t key[COF_AGE_KEY], char out[COF_AGE_IDENTITY])
{
	encode(identity_prefix, true, key, out);
}

int cof_age_identities_parse(const char *text, size_t n, uint8_t (*ret)[COF_AGE_KEY], size_t cap,
			     size_t *ret_n)
{
	size_t count = 0;

	for (size_t at = 0; at < n;) {
		const char *line = text + at, *end = memchr(line, '\n', n - at);
		size_t len = end ? (size_t)(end - line) : n - at;
		int err;

		at += len + 1;
		if (len && line[len - 1] == '\r')
			len--;
		if (!len || line[0] == '#')
			continue;
		if (count == cap)
			return -E2BIG;
		err = cof_age_identity_parse(line, len, ret[count]);
		if (err)
			return err;
		count++;
	}
	if (!count)
		return -EINVAL;
	*ret_n = count;
	return 0;
}

/* ---- base64 without padding ---- */

void cof_age_base64(const uint8_t key[32], char out[45])
{
	cof_base64(key, 32, out);
	out[KEY_CHARS] = '\0'; /* the padding goes */
}

/* One line of at most 64 characters; how many bytes it has must come out as n. */
static int unbase64(const char *s, size_t chars, uint8_t out[LINE_BYTES], size_t *ret_n)
{
	char padded[LINE + 4];
	size_t pad = (4 - chars % 4) % 4;

	*ret_n = 0;
	if (!chars)
		return 0;
	if (pad == 3 || memchr(s, '=', chars))
		return -EUCLEAN;
	memcpy(padded, s, chars);
	memset(padded + chars, '=', pad);
	return cof_unbase64(padded, chars + pad, out, LINE_BYTES, ret_n) ? -EUCLEAN : 0;
}

static int key_from(const char *s, size_t chars, uint8_t ret[32])
{
	uint8_t bytes[LINE_BYTES];
	size_t n = 0;

	if (chars != KEY_CHARS || unbase64(s, chars, bytes, &n) || n != 32)
		return -EUCLEAN;
	memcpy(ret, bytes, 32);
	return 0;
}

/* ---- the header ---- */

struct cursor {
	const char *at;
	size_t left;
};

/* The next line, without its end. A line without one is none. */
static int take_line(struct cursor *c, const char **ret, size_t *ret_n)
{
	const char *end = memchr(c->at, '\n', c->left);

	if (!end)
		return -EUCLEAN;
	*ret = c->at;
	*ret_n = (size_t)(end - c->at);
	c->left -= *ret_n + 1;
	c->at = end + 1;
	return 0;
}

/* Arguments: one space between them, each of one printable character at least. Of X25519: the second. */
static int take_args(const char *line, size_t n, bool *ret_ours, uint8_t ephemeral[COF_AGE_KEY])
{
	size_t count = 0, from = 0;

	*ret_ours = false;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && line[i] != ' ') {
			if (line[i] < 33 || line[i] > 126)
				return -EUCLEAN;
			continue;
		}
		if (i == from)
			return -EUCLEAN;
		count++;
		if (count == 1)
			*ret_ours = i == 6 && !memcmp(line, "X25519", 6);
		else if (*ret_ours && (count > 2 || key_from(line + from, i - from, ephemeral)))
			return -EUCLEAN;
		from = i + 1;
	}
	return *ret_ours && count != 2 ? -EUCLEAN : 0;
}

/* *ret_n: bytes of it, of which the first WRAPPED are in out. */
static int take_body(struct cursor *c, uint8_t out[COF_AGE_WRAPPED], size_t *ret_n)
{
	size_t total = 0;

	for (;;) {
		uint8_t bytes[LINE_BYTES];
		const char *line;
		size_t chars, n;

		if (take_line(c, &line, &chars) || chars > LINE || unbase64(line, chars, bytes, &n))
			return -EUCLEAN;
		if (!total)
			memcpy(out, bytes, COF_MIN(n, (size_t)COF_AGE_WRAPPED));
		total += n;
		if (chars < LINE)
			break;
	}
	*ret_n = total;
	return 0;
}

static int take_stanza(struct cursor *c, const char *args, size_t n, struct cof_age_header *h,
		       cof_age_stanza_fn fn, void *user)
{
	struct cof_age_stanza s = {0};
	size_t body = 0;
	bool ours;

	if (take_args(args, n, &ours, s.ephemeral) || take_body(c, s.wrapped, &body))
		return -EUCLEAN;
	if (!ours) {
		h->others++;
		return 0;
	}
	if (body != COF_AGE_WRAPPED) /* before anything is opened: another key could lie in it */
		return -EUCLEAN;
	h->recipients++;
	return fn ? fn(user, &s) : 0;
}

int cof_age_header_parse(const void *file, size_t n, struct cof_age_header *ret, cof_age_stanza_fn fn,
			 void *user)
{
	struct cof_age_header h = {.at = file};
	struct cursor c = {file, n};
	const char *line;
	size_t len;
	int err;

	if (n < sizeof(version_line) - 1 || memcmp(file, version_line, sizeof(version_line) - 1) != 0)
		return -EUCLEAN;
	c.at += sizeof(version_line) - 1;
	c.left -= sizeof(version_line) - 1;
	for (;;) {
		if (take_line(&c, &line, &len) || len < 3)
			return -EUCLEAN;
		if (!memcmp(line, "---", 3))
			break;
		if (memcmp(line, "-> ", 3) != 0)
			return -EUCLEAN;
		err = take_stanza(&c, line + 3, len - 3, &h, fn, user);
		if (err)
			return err;
	}
	if (len != 4 + KEY_CHARS || line[3] != ' ' || key_from(line + 4, KEY_CHARS, h.mac) ||
	    h.recipients + h.others == 0)
		return -EUCLEAN;
	h.mac_input = (size_t)(line + 3 - (const char *)file);
	h.len = (size_t)(c.at - (const char *)file);
	*ret = h;
	return 0;
}

void cof_age_stanza_put(struct cof_buf *b, const struct cof_age_stanza *s)
{
	char ephemeral[45], wrapped[45];

	cof_age_base64(s->ephemeral, ephemeral);
	cof_age_base64(s->wrapped, wrapped);
	cof_buf_printf(b, "-> X25519 %s\n%s\n", ephemeral, wrapped);
}

int cof_age_recipients(const void *file, size_t len, size_t *ret, size_t *ret_others)
{
	struct cof_age_header h;
	int err = cof_age_header_parse(file, len, &h, NULL, NULL);

	if (err)
		return err;
	*ret = h.recipients;
	if (ret_others)
		*ret_others = h.others;
	return 0;
}
