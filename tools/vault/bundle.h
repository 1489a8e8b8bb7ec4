/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles: what a sender would say in one session, as files that are carried by hand (docs/vault-protocol.md 6). Each part is
 * a tar by itself, says which it is, and ends with the digest of what it holds. Nothing in it is believed by whoever takes
 * it: it goes through the session as bytes from a line do.
 */
#ifndef COFFER_VAULT_BUNDLE_H
#define COFFER_VAULT_BUNDLE_H

#include "tools/vault/vault.h"

#define BUNDLE_PARTS 1000u	     /* 999 and none */
#define BUNDLE_SPLIT_MIN (1u << 20) /* bytes of a part, at least */

struct bundle_about {
	uint8_t archive[16];
	uint64_t from, to; /* frames that whoever takes it has, and will have */
	char vault[256];   /* verifier key of whom it is for; "": of whoever */
};

/* ---- writing (bundle-write.c) ---- */

struct bundle_out;
/* split: bytes of a part, 0: one part, which is path itself; else path.001 and so on. -EEXIST: something is there. */
int bundle_create(const char *path, uint64_t split, const struct bundle_about *about, struct bundle_out **ret, struct cof_diag *diag);
int bundle_add(struct bundle_out *b, const void *p, size_t n, struct cof_diag *diag);
/* The last part is closed and durable; *ret_parts may be NULL. */
int bundle_finish(struct bundle_out *b, unsigned *ret_parts, struct cof_diag *diag);
/* NULL is fine. Of one that was not finished the parts are removed. */
void bundle_free(struct bundle_out *b);

/* A session of a store with somebody who has `from` frames, as a bundle. */
int bundle_write(struct cof_io *store, const char *path, uint64_t split, const struct bundle_about *about,
		 const struct vault_sending *sending, unsigned *ret_parts, struct vault_sent *ret, struct cof_diag *diag);

/* ---- reading (bundle-read.c) ---- */

struct bundle_in;
/* Those of the n files that are its parts, in any order; path alone also stands for path.001 and so on. All of them are
 * read once: -ENOENT with what is missing, -EBADMSG with what is cut short or altered. */
int bundle_open(const char *const *paths, unsigned n, struct bundle_in **ret, struct cof_diag *diag);
const struct bundle_about *bundle_about(const struct bundle_in *b);
/* The next bytes; 0 at the end. */
ssize_t bundle_read(struct bundle_in *b, void *buf, size_t n, struct cof_diag *diag);
void bundle_close(struct bundle_in *b);

/* What the vault signed last of this archive: the note with its cosignature (the caller's), and what else of it the host does
 * not have yet, added to receipts, an array. -ENOENT: nothing was signed. */
int vault_signed_last(const struct vault_place *v, const uint8_t archive[16], char **ret_note, struct cof_json *receipts,
		      struct cof_diag *diag);
/* A vault takes it: the note that it signed (the caller's) is the receipt. -ESTALE: made for another state than the vault's
 * · -EXDEV: for another vault· -EACCES, -EBADMSG and so on as vault_take_log. What it
 * signed besides is added to receipts, an array. */
int bundle_receive(const struct vault_place *v, const struct vault_serve *p, struct bundle_in *b, char **ret_note,
		   char **ret_notices, struct cof_json *receipts, struct cof_diag *diag);
/* Gives it to whoever restores, over a wire, as a vault would. -ESTALE: it does not begin with the first frame. */
int bundle_give(struct bundle_in *b, struct vault_wire *w, struct cof_diag *diag);

#endif
