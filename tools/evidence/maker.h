/* SPDX-License-Identifier: Apache-2.0 */
/* Private to make.c, make-file.c and make-source.c: a bundle that is being made. */
#ifndef COFFER_EVIDENCE_MAKER_H
#define COFFER_EVIDENCE_MAKER_H

#include "crypto/age.h"
#include "tools/evidence/internal.h"
#include "tools/vault/vault.h"

#include <stdio.h>

struct evidence_maker {
	int fd;
	struct cof_age_stream *age; /* NULL: in clear */
	uint8_t *out;		    /* what is not written yet */
	size_t out_len;
	uint64_t tar, written; /* bytes so far, of the tar and of the file */
	int64_t mtime;
	/* the entry that is written */
	char name[NAME_MAX_TAR + 1];
	uint64_t left, entry_size;
	struct cof_sha256 *hash;
	/* of the bag */
	FILE *manifest;
	struct cof_sha256 *manifest_hash;
	uint64_t manifest_len, octets, count, files;
	struct cof_buf tags;
	struct cof_json *about;
	/* what is proven to */
	struct vault_source *source;
	struct cof_reader *reader;
	struct cof_buf note;
	uint64_t tree;
	uint8_t root[COF_HASH];
	struct cof_vkey vault[EVIDENCE_VAULTS];
	size_t n_vaults;
	uint8_t *plain, *stored, *body; /* a chunk; a frame's payload; what is kept of it */
};

/* An entry of so many bytes, which come in pieces; below the bag. */
int maker_entry(struct evidence_maker *m, const char *name, uint64_t size);
int maker_bytes(struct evidence_maker *m, const void *p, size_t n);
int maker_entry_end(struct evidence_maker *m);
int maker_text(struct evidence_maker *m, const char *name, const void *p, size_t n);

/* make-source.c: opens the log, and takes the checkpoint. */
int maker_source(struct evidence_maker *m, const struct evidence_source *source, struct cof_diag *diag);

#endif
