/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C2SP signed notes and cosignature/v1: TEXT, a blank line, signature lines
 * "— name base64(key id ‖ signature)". Signed is TEXT with its last newline; a cosignature signs
 * "cosignature/v1\ntime SECONDS\n" ‖ TEXT and carries the 64-bit big-endian seconds before the
 * signature.
 */
#include <stdio.h>

#include "crypto/note.h"
#include "crypto/private.h"

#define DASH "\xe2\x80\x94 "
#define BLOB_MAX 8192 /* of a signature line: post-quantum signatures of others have 2 to 5 KiB */

struct line {
	const char *name;
	size_t name_len;
	uint8_t blob[BLOB_MAX]; /* key id, then the signature */
	size_t blob_len;
};

/* ---- reading ---- */

/* Splits at the last blank line. text keeps its newline; what follows ends in one. */
static int split(const char *note, size_t len, size_t *ret_text, size_t *ret_sigs)
{
	if (len > COF_NOTE_MAX || len < 4 || note[len - 1] != '\n' || !cof_note_text_ok(note, len))
		return -EUCLEAN;
	for (size_t i = len - 1; i > 0; i--)
		if (note[i] == '\n' && note[i - 1] == '\n') {
			if (i + 1 == len || i > COF_NOTE_TEXT)
				return -EUCLEAN; /* no signature line, or too much to verify */
			*ret_text = i;
			*ret_sigs = i + 1;
			return 0;
		}
	return -EUCLEAN;
}

static int parse_line(const char *s, size_t n, struct line *ret)
{
	const size_t dash = sizeof(DASH) - 1;

	if (n < dash || memcmp(s, DASH, dash) != 0)
		return -EUCLEAN;
	const char *space = memchr(s + dash, ' ', n - dash);
	if (!space)
		return -EUCLEAN;
	ret->name = s + dash;
	ret->name_len = (size_t)(space - ret->name);
	if (!cof_note_name_ok(ret->name, ret->name_len))
		return -EUCLEAN;
	size_t chars = n - (size_t)(space + 1 - s);
	if (cof_unbase64(space + 1, chars, ret->blob, sizeof(ret->blob), &ret->blob_len) < 0 ||
	    ret->blob_len < 5)
		return -EUCLEAN;
	return 0;
}

static int cosigned_message(const char *text, size_t n, uint64_t time, struct cof_buf *ret)
{
	cof_buf_printf(ret, "cosignature/v1\ntime %llu\n", (unsigned long long)time);
	cof_buf_add(ret, text, n);
	return ret->failed ? -ENOMEM : 0;
}

static bool names_key(const struct line *line, const struct cof_vkey *key)
{
	return (key->algorithm == COF_NOTE_ED25519 || key->algorithm == COF_NOTE_COSIG) &&
	       strnlen(key->name, COF_NOTE_NAME) == line->name_len &&
	       memcmp(key->name, line->name, line->name_len) == 0 &&
	       memcmp(key->id, line->blob, 4) == 0;
}

/* Of a line that names this key. *ret_time: of a cosignature, else 0. */
static int verify_line(const struct line *line, const struct cof_vkey *key, const char *text,
		       size_t n, uint64_t *ret_time)
{
	cof_autobuf struct cof_buf message = {0};

	*ret_time = 0;
	if (key->algorithm == COF_NOTE_ED25519)
		return line->blob_len == 4 + 64
			   ? cof_ed25519_verify(key->public_key, text, n, line->blob + 4)
			   : -EBADMSG;
	if (line->blob_len != 4 + 8 + 64)
		return -EBADMSG;
	uint64_t time = cof_get_be64(line->blob + 4);
	int err = cosigned_message(text, n, time, &message);
	if (err == 0)
		err =
		    cof_ed25519_verify(key->public_key, message.data, message.len, line->blob + 12);
	if (err == 0)
		*ret_time = time;
	return err;
}

/* Checks one line against all keys. Of two cosignatures by one key the later time counts: it made
 * both. */
static int check_line(const struct line *line, const struct cof_vkey *keys, size_t n,
		      struct cof_note *note)
{
	uint64_t time;

	for (size_t i = 0; i < n; i++) {
		if (!names_key(line, &keys[i]))
			continue;
		int err = verify_line(line, &keys[i], note->text, note->text_len, &time);
		if (err < 0)
			return err;
		note->verified |= UINT32_C(1) << i;
		note->time[i] = COF_MAX(note->time[i], time);
	}
	return 0;
}

/* Walks the signature lines. Without keys: only whether they are well formed. */
static int walk(const char *note, size_t from, size_t len, const struct cof_vkey *keys, size_t n,
		struct cof_note *ret, int *ret_lines)
{
	struct line line;
	int lines = 0;

	while (from < len) {
		const char *s = note + from;
		const char *end = memchr(s, '\n', len - from);
		if (!end || ++lines > COF_NOTE_SIGS)
			return -EUCLEAN;
		int err = parse_line(s, (size_t)(end - s), &line);
		if (err == 0 && n > 0)
			err = check_line(&line, keys, n, ret);
		if (err < 0)
			return err;
		from += (size_t)(end - s) + 1;
	}
	*ret_lines = lines;
	return 0;
}

int cof_note_open(const void *note, size_t len, const struct cof_vkey *keys, size_t n,
		  struct cof_note *ret)
{
	struct cof_note opened = {.text = note};
	size_t sigs;
	int lines;

	if (n > 32)
		return -EINVAL;
	int err = split(note, len, &opened.text_len, &sigs);
	/* Form first: a malformed line is malformed wherever it stands. */
	if (err == 0)
		err = walk(note, sigs, len, NULL, 0, NULL, &lines);
	if (err == 0)
		err = walk(note, sigs, len, keys, n, &opened, &lines);
	if (err < 0)
		return err;
	if (!opened.verified)
		return -ENOKEY;
	*ret = opened;
	return 0;
}

/* ---- signing ---- */

/*
 * Signs, and checks the signature: none leaves here that does not verify with the key that it names
 * (a seed that belongs to another key, a bit that flipped while it was computed).
 */
static int sign(const struct cof_vkey *key, const uint8_t seed[32], const void *msg, size_t n,
		uint8_t sig[64])
{
	int err = cof_ed25519_sign(seed, msg, n, sig);

	if (err == 0)
		err = cof_ed25519_verify(key->public_key, msg, n, sig);
	return err == -EBADMSG ? -EINVAL : err;
}

static void add_line(struct cof_buf *b, const struct cof_vkey *key, const uint8_t *sig, size_t n)
{
	uint8_t blob[4 + 8 + 64];
	char base64[105];

	memcpy(blob, key->id, 4);
	memcpy(blob + 4, sig, n);
	cof_base64(blob, 4 + n, base64);
	cof_buf_printf(b, DASH "%s %s\n", key->name, base64);
}

static bool key_ok(const struct cof_vkey *key, uint8_t algorithm)
{
	return key->algorithm == algorithm &&
	       cof_note_name_ok(key->name, strnlen(key->name, COF_NOTE_NAME));
}

int cof_note_sign(const char *text, size_t n, const struct cof_vkey *key, const uint8_t seed[32],
		  struct cof_buf *ret)
{
	cof_autobuf struct cof_buf out = {0};
	uint8_t sig[64];

	if (!key_ok(key, COF_NOTE_ED25519) || n == 0 || text[n - 1] != '\n' ||
	    n > COF_NOTE_TEXT || !cof_note_text_ok(text, n))
		return -EINVAL;
	int err = sign(key, seed, text, n, sig);
	if (err < 0)
		return err;
	cof_buf_add(&out, text, n);
	cof_buf_add(&out, "\n", 1);
	add_line(&out, key, sig, sizeof(sig));
	if (!out.failed)
		cof_buf_add(ret, out.data, out.len);
	return out.failed || ret->failed ? -ENOMEM : 0;
}

int cof_note_cosign(struct cof_buf *note, const struct cof_vkey *key, const uint8_t seed[32],
		    uint64_t time)
{
	cof_autobuf struct cof_buf message = {0}, line = {0};
	struct cof_checkpoint cp;
	uint8_t sig[8 + 64];
	size_t text, sigs;
	int lines;

	if (!key_ok(key, COF_NOTE_COSIG) || time == 0)
		return -EINVAL;
	const char *s = (const char *)note->data;
	int err = split(s, note->len, &text, &sigs);
	if (err == 0)
		err = walk(s, sigs, note->len, NULL, 0, NULL, &lines);
	if (err == 0)
		err = cof_checkpoint_parse(s, text, &cp); /* a cosignature speaks of trees only */
	if (err == 0 && lines >= COF_NOTE_SIGS)
		err = -E2BIG;
	if (err == 0)
		err = cosigned_message(s, text, time, &message);
	if (err == 0)
		err = sign(key, seed, message.data, message.len, sig + 8);
	if (err < 0)
		return err;
	cof_put_be64(sig, time);
	add_line(&line, key, sig, sizeof(sig));
	if (line.failed)
		return -ENOMEM;
	if (note->len + line.len > COF_NOTE_MAX)
		return -E2BIG;
	cof_buf_add(note, line.data, line.len);
	return note->failed ? -ENOMEM : 0;
}
