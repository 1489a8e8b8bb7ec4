/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C2SP signed notes, checkpoints, cosignature/v1 and tile paths (c2sp.org/signed-note,
 * /tlog-checkpoint, /tlog-cosignature, /tlog-tiles).
 */
#ifndef COF_NOTE_H
#define COF_NOTE_H

#include "crypto/crypto.h"

#define COF_NOTE_MAX 65536	 /* bytes of a whole note that is accepted */
#define COF_NOTE_TEXT 65024	 /* bytes of its text: leaves room for a signature line */
#define COF_NOTE_NAME 192	 /* bytes of a key name, terminator included */
#define COF_VKEY_MAX (COF_NOTE_NAME + 64)
#define COF_NOTE_SIGS 64	 /* signature lines that are accepted */

enum { COF_NOTE_ED25519 = 0x01, COF_NOTE_COSIG = 0x04 };

struct cof_vkey { /* a verifier key */
	char name[COF_NOTE_NAME];
	uint8_t algorithm; /* COF_NOTE_... ; others parse, and are never used to verify */
	uint8_t id[4];
	uint8_t public_key[32];
};

/* name: not empty, no space, no plus sign, valid UTF-8, no control character. -EINVAL */
int cof_vkey_make(const char *name, uint8_t algorithm, const uint8_t public_key[32],
		  struct cof_vkey *ret);
int cof_vkey_parse(const char *text, struct cof_vkey *ret); /* -EUCLEAN; checks the key id */
void cof_vkey_text(const struct cof_vkey *key, char out[COF_VKEY_MAX]);

/* The note: text (ending in a newline) and one signature line. COF_NOTE_ED25519 keys only. */
int cof_note_sign(const char *text, size_t n, const struct cof_vkey *key, const uint8_t seed[32],
		  struct cof_buf *ret);
/* One more line under an existing note: cosignature/v1 at this Unix time in seconds. */
int cof_note_cosign(struct cof_buf *note, const struct cof_vkey *key, const uint8_t seed[32],
		    uint64_t time);

struct cof_note { /* an opened note; text points into the buffer that was opened */
	const char *text;
	size_t text_len;
	uint32_t verified; /* bit i: keys[i] signed it (n at most 32) */
	uint64_t time[32]; /* of keys[i]'s cosignature, seconds; 0 otherwise */
};

/* -EUCLEAN malformed · -EBADMSG a known key's signature is wrong · -ENOKEY none of the keys signed */
int cof_note_open(const void *note, size_t len, const struct cof_vkey *keys, size_t n,
		  struct cof_note *ret);

struct cof_checkpoint {
	char origin[COF_NOTE_NAME];
	uint64_t size;
	uint8_t root[COF_HASH];
};

int cof_checkpoint_parse(const char *text, size_t n, struct cof_checkpoint *ret); /* strict; -EUCLEAN */
int cof_checkpoint_text(const struct cof_checkpoint *cp, struct cof_buf *ret);
int cof_checkpoint_sign(const struct cof_checkpoint *cp, const struct cof_vkey *key,
			const uint8_t seed[32], struct cof_buf *ret);
/* Opens the note with one log key; the origin must be the key's name (-EBADMSG otherwise). */
int cof_checkpoint_open(const void *note, size_t len, const struct cof_vkey *key,
			struct cof_checkpoint *ret);

/* "tile/0/x001/067" or with width 1 to 255 "….p/112"; width 256 is full. level -1: entries. */
int cof_tile_path(int level, uint64_t index, unsigned width, char *out, size_t cap);

#endif
