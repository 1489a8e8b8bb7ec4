/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/evidence: the tar, names in the bag, and what makers and checkers agree on (docs/evidence.md). */
#ifndef COFFER_EVIDENCE_INTERNAL_H
#define COFFER_EVIDENCE_INTERNAL_H

#include "fs/log/log.h"
#include "tools/evidence/evidence.h"

#define EVIDENCE_FORMAT "coffer-evidence/1"
#define BAG "coffer-evidence/" /* the directory that is the bag */
#define BAG_TEXT "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
#define TLOG_PROOF "c2sp.org/tlog-proof@v1\n"

#define TAR_BLOCK 512u
#define TAR_RECORD 10240u /* the whole is a multiple of it */
#define NAME_MAX_TAR 99
#define TEXT_MOST 65536u	  /* README, bundle.json, checkpoint */
#define FILE_JSON_MOST (16u << 20)
#define STIX_MOST (16u << 20)
#define PROOF_MOST (COF_NOTE_MAX + 8192u)
#define FILES_MOST 10000000u

/* ---- one header (tar.c) ---- */

struct tar_entry {
	char name[NAME_MAX_TAR + 1];
	uint64_t size;
	int64_t mtime; /* seconds */
};
/* The one form that a header has. -EINVAL: the name is too long, or not of characters that names here have. */
int tar_encode(const struct tar_entry *e, uint8_t out[TAR_BLOCK]);
/* -EUCLEAN: it is not byte for byte what encode gives. -ENODATA: all zeros. */
int tar_decode(const uint8_t in[TAR_BLOCK], struct tar_entry *ret);
uint64_t tar_padded(uint64_t size); /* up to whole blocks */

/* ---- texts (text.c) ---- */

/* The last part of a path as a name in a bag: letters, digits, '.', '_' and '-'; the rest becomes '_'. */
void evidence_label(const char *path, char out[64]);
bool evidence_label_ok(const char *label);
int evidence_readme(const struct cof_json *about, struct cof_buf *ret);
int evidence_bag_info(const struct cof_json *about, uint64_t octets, uint64_t count, struct cof_buf *ret); /* -EUCLEAN */
/* "c2sp.org/tlog-proof@v1", index, hashes, the note. */
int evidence_proof_text(uint64_t index, const uint8_t (*proof)[COF_HASH], size_t n, const char *note, struct cof_buf *ret);
struct evidence_proof {
	uint64_t index;
	uint8_t hash[COF_PROOF_MAX][COF_HASH];
	size_t n;
	const char *note; /* in the text that was read */
	size_t note_len;
};
int evidence_proof_parse(const char *text, size_t n, struct evidence_proof *ret); /* -EUCLEAN */
/* A line of a manifest: digest, two blanks, name below the bag, newline. */
void evidence_line(const uint8_t digest[COF_HASH], const char *name, struct cof_buf *ret);

/* ---- frames in a bundle (frame.c) ---- */

/* Bytes of a frame behind its header in a .frames file: an APPEND frame's whole payload; of others the public part and,
 * for each sealed chunk, its leaf hash. */
uint32_t evidence_body(const struct cof_frame *f);
/* From the stored payload. out: evidence_body bytes. */
void evidence_shorten(const struct cof_frame *f, const uint8_t *stored, uint8_t *out);
/* -EBADMSG: the body does not give the payload hash. */
int evidence_body_check(const struct cof_frame *f, const uint8_t *body);

/* ---- reading a bundle in order (scan.c) ---- */

struct scan {
	int fd;
	uint64_t at, size; /* of the tar */
	struct tar_entry entry; /* the one that is read */
	uint64_t left;
	int64_t mtime; /* all have the same; -1: none yet */
	struct cof_sha256 *hash;
	uint8_t digest[COF_HASH]; /* of the entry, behind scan_end */
	bool begun;
};
/* The next header, of an entry that has to have this name (below the bag); NULL: any. -EUCLEAN, -ENODATA: no more, or not it. */
int scan_next(struct scan *s, const char *name, struct cof_diag *diag);
/* What the next entry is called, without taking it. -ENODATA: the end is there. */
int scan_peek(struct scan *s, struct tar_entry *ret, struct cof_diag *diag);
int scan_read(struct scan *s, void *buf, size_t n, struct cof_diag *diag); /* all n, or -EUCLEAN */
/* All of the entry, at most so many bytes; a NUL behind it. */
int scan_text(struct scan *s, uint64_t most, struct cof_buf *ret, struct cof_diag *diag);
int scan_end(struct scan *s, struct cof_diag *diag); /* what is left is read, the padding is zero: digest */
int scan_finish(struct scan *s, struct cof_diag *diag); /* the end of the tar, and nothing behind it */

#endif
