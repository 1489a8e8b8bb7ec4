/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/evidence: files of an archive for somebody who has neither the archive nor its keys. docs/evidence.md specifies
 * every byte of a bundle: a BagIt bag in a tar, of which nothing can be changed without its being noticed.
 *
 * Memory does not grow with files or bundle. Not thread-safe: one thread for each object.
 */
#ifndef COFFER_EVIDENCE_H
#define COFFER_EVIDENCE_H

#include "base/json.h"
#include "crypto/note.h"
#include "fs/io/io.h"

/* ---- making (make.c) ---- */

struct evidence_maker;

struct evidence_source { /* what proofs lead to */
	struct cof_io *io; /* of the store */
	/* Notes that vaults signed, each of this log; n may be 0. */
	const char *const *notes;
	size_t n_notes;
	const struct cof_vkey *vaults; /* their keys, as many as notes */
	uint64_t need;		       /* frames that it has to cover, for a cosigned one to be taken */
};

/* What is written to goes on only at the end, and was opened for reading too. tree: frames that the bundle is about; it is
 * of a note that a vault signed where one covers what is needed, else of the newest checkpoint, which must. */
int evidence_maker_new(const struct evidence_source *source, int fd, struct evidence_maker **ret, struct cof_diag *diag);
void evidence_maker_free(struct evidence_maker *m);
uint64_t evidence_maker_tree(const struct evidence_maker *m);
bool evidence_maker_cosigned(const struct evidence_maker *m);
/* Everything is encrypted to these age recipients, 32 bytes each. Before begin. */
int evidence_maker_encrypt(struct evidence_maker *m, const uint8_t (*recipients)[32], size_t n);
/* about: to, basis, disclosure, files and what else is to be said; archive, log key and vaults' keys are added. stix: NULL. */
int evidence_maker_begin(struct evidence_maker *m, struct cof_json *about, const char *stix, struct cof_diag *diag);

struct evidence_file { /* as cof_archive_people's evidence-file has it */
	struct cof_json *head, *keys, *actors; /* of the lines */
	int frames;	  /* a file: sequence u64, address u64 of each, little-endian */
	uint64_t n_frames;
	uint64_t proof, proof_address, proves; /* a COSIGN frame; 0: none */
};
int evidence_maker_file(struct evidence_maker *m, const struct evidence_file *f, struct cof_diag *diag);
/* SHA-256 of the manifest, which end writes. */
int evidence_maker_manifest(struct evidence_maker *m, uint8_t ret[COF_HASH], struct cof_diag *diag);
int evidence_maker_end(struct evidence_maker *m, uint64_t *ret_bytes, struct cof_diag *diag); /* all of it on disk */

/* ---- checking (check.c): no archive, no key of it ---- */

enum evidence_verdict { /* exit codes of coffer evidence check */
	EVIDENCE_PROVEN = 0,	 /* a vault whose key was given signed it */
	EVIDENCE_COULD_NOT = 1,
	EVIDENCE_SELF_SIGNED = 10, /* the log's key that was given signed it, and nobody else that is known */
	EVIDENCE_CLAIMED = 11,	 /* it fits together; whose keys these are nobody said */
	EVIDENCE_TAMPERED = 13,
	EVIDENCE_WRONG_KEY = 14, /* none of the keys that were given signed it */
	EVIDENCE_NO_BUNDLE = 15,
};
const char *evidence_verdict_name(enum evidence_verdict v);

struct evidence_keys {
	const struct cof_vkey *log; /* NULL: not given */
	const struct cof_vkey *vaults;
	size_t n_vaults; /* at most 16 */
};
#define EVIDENCE_VAULTS 16

struct evidence_seen { /* of one file: what its frames prove, and what is only claimed of it */
	uint64_t number, ino, size;
	const struct cof_json *about; /* file.json: claimed */
	uint8_t sha256[COF_HASH];
	uint64_t appends, holes, frames;
	int64_t created, first, last, committed; /* record time; INT64_MIN: there is none in it */
	int64_t retain_until;			 /* of the newest frame that says; INT64_MIN: none */
	uint64_t holds_begun, holds_ended;
	int64_t not_before; /* a given vault's cosignature is chained before; INT64_MIN: none */
	char not_before_by[COF_NOTE_NAME];
	int64_t existed_at; /* the first that a given vault signed; INT64_MAX: see the bundle's */
	char existed_by[COF_NOTE_NAME];
};
struct evidence_checked {
	enum evidence_verdict verdict;
	char text[1024]; /* what was found, in words */
	uint64_t tree, files, disclosure;
	int64_t at; /* when a given vault signed, the newest; 0 */
	char by[COF_NOTE_NAME];
	struct cof_json *about; /* bundle.json; free it */
	uint8_t manifest[COF_HASH];
};
/* fn (may be NULL) gets each file once it holds. Always fills ret; ret->text says what is wrong and where. */
void evidence_check(int fd, const struct evidence_keys *keys, void (*fn)(void *user, const struct evidence_seen *s), void *user,
		    struct evidence_checked *ret);

#endif
