/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: what lies in keys/ and seal/ (docs/format.md section 7), in memory.
 */
#ifndef COF_ARCHIVE_KEYS_H
#define COF_ARCHIVE_KEYS_H

#include "base/json.h"
#include "crypto/keytree.h"
#include "crypto/seal.h"
#include "fs/archive/opener-event.h"
#include "fs/io/io.h"
#include "fs/log/log.h"

struct cof_renewal; /* archive.h */
struct cof_keys; /* everything in secure memory */

/* Draws everything, writes seal/<kind>-1, keys/top, keys/epoch (epoch 1); all durable. The auditor
 * secret (S1) is copied to ret_auditor when not NULL. signing public key to ret_public. pcrs: of tpm2,
 * which defines indices in the TPM too, and keeps the epoch there: cof_keys_unmake removes them when the
 * archive is not made. */
int cof_keys_make(struct cof_io *io, const uint8_t archive_id[16],
		  const struct cof_opener_secret *secret, const struct cof_argon2_cost *cost,
		  uint32_t pcrs, uint8_t *ret_auditor, uint8_t ret_public[32], struct cof_keys **ret,
		  struct cof_diag *diag);
void cof_keys_unmake(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret);
/* Tries every seal/ file of the secret's kind, those of an unfinished renewal too. -EKEYREJECTED with
 * a sentence that says what to do. Changes nothing. */
int cof_keys_open(struct cof_io *io, const uint8_t archive_id[16],
		  const struct cof_opener_secret *secret, struct cof_keys **ret,
		  struct cof_diag *diag);
/* As open, and finishes an unfinished renewal or takes it back, if the TPM that decides it can be
 * asked; else both pairs stay as they are. The store lock is held. */
int cof_keys_open_settled(struct cof_io *io, const uint8_t archive_id[16],
			  const struct cof_opener_secret *secret, struct cof_keys **ret,
			  struct cof_diag *diag);
/* Whether the secret opens it, for coffer unlock: also through a locked door whose wait is over. Changes
 * nothing but the count of tries. */
int cof_keys_try(struct cof_io *io, const uint8_t archive_id[16], const struct cof_opener_secret *secret,
		 struct cof_diag *diag);
void cof_keys_free(struct cof_keys *k);
void cof_keys_freep(struct cof_keys **k);

const uint8_t *cof_keys_index(const struct cof_keys *k);	 /* 32 bytes */
void cof_keys_log_secrets(const struct cof_keys *k, struct cof_log_secrets *ret); /* wipe after use */
uint64_t cof_keys_epoch(const struct cof_keys *k);
uint32_t cof_keys_lineage(const struct cof_keys *k);
/* After the MOUNT frame is durable: epoch + 1 and the next secret into the TPM's NV, or keys/epoch; the old
 * one is wiped. m: of the MOUNT frame. Before it cof_keys_fetch_epoch (keys-nv.h). l: NULL where the archive has no TPM. */
struct cof_tpm_link;
int cof_keys_advance(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l,
		     const struct cof_mixing *m, struct cof_diag *diag);
/* What the next MOUNT frame says of the frames before it: nothing, or which one it proves to follow on, and how. */
void cof_keys_mix_field(const struct cof_keys *k, const uint8_t salt[32], struct cof_buf *fields);
uint64_t cof_keys_mixed_at(const struct cof_keys *k);
/* Payload key of an object in a mount. -ENOKEY when punctured. Thread-safe. */
int cof_keys_payload(const struct cof_keys *k, uint64_t object, uint32_t mount,
		     const uint8_t salt[32], uint8_t ret[COF_KEY]);

/* ---- openers of an archive that is there (keys-renew.c); the store lock is held ---- */

/* Another root key, under which every opener's file and the top are made anew; with tpm2 every older
 * copy of them is dead afterwards. Power may fail at any step: what is there opens, by the old pair or
 * the new one. tpm: where the TPM is. */
int cof_keys_renew(struct cof_keys *k, struct cof_io *io, const struct cof_renewal *r,
		   struct cof_diag *diag);
/* What leads to the keys of these objects goes from both trees, with a renewal of the root key: once it returns 0, no
 * copy of keys/ and seal/ from before leads to them where the opener is a TPM. Others may derive meanwhile. Once more
 * for the same objects it changes nothing. Safe against power cuts as the renewal is. */
int cof_keys_destroy(struct cof_keys *k, struct cof_io *io, const uint64_t *inodes, size_t n, const struct cof_renewal *r,
		     struct cof_diag *diag);
/* Whether what is left of the trees then still fits into the locked memory that every program has, twice: -E2BIG, *ret the seeds of
 * a tree. Files whose inode numbers lie together cost next to nothing, scattered ones some thirty seeds each. */
#define COF_KEYS_SEEDS_MAX 16000
int cof_keys_room(const struct cof_keys *k, const uint64_t *inodes, size_t n, size_t *ret);
/* In memory only: for keys that are not in any file yet (recover.c). Their pages are in k->pages, and to be written. */
int cof_keys_puncture(struct cof_keys *k, const uint64_t *inodes, size_t n);
int cof_keys_list_pages(struct cof_keys *k); /* that each entry which belongs into a page has one listed */
/* Neither tree leads to it any more. */
bool cof_keys_destroyed(const struct cof_keys *k, uint64_t inode);
/* *ret_n: its number. -EEXIST: a second tpm2. */
int cof_keys_add_opener(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret,
			const struct cof_argon2_cost *cost, uint32_t pcrs, uint32_t *ret_n,
			struct cof_diag *diag);
/* Before the envelope, or the auditors' files, are other ones: the top with a note of it. */
int cof_keys_note(struct cof_keys *k, struct cof_io *io, enum cof_opener_what what, struct cof_diag *diag);
/* -ENOENT · -EBUSY: it is the last one. */
int cof_keys_remove_opener(struct cof_keys *k, struct cof_io *io, enum cof_opener_kind kind, uint32_t n,
			   const char *tpm, struct cof_diag *diag);

/* What happened to openers since the last mount; and the top without it. pending: a renewal was not
 * finished, and it is open which top counts. */
struct cof_opener_events;
const struct cof_opener_events *cof_keys_events(const struct cof_keys *k);
int cof_keys_events_drop(struct cof_keys *k, struct cof_io *io);
bool cof_keys_pending(const struct cof_keys *k);

/* ---- R at a vault (keys-enroll.c): docs/format.md 7.12 ---- */

/* From which inode number on vaults have R; 0: no vault was enrolled. */
uint64_t cof_keys_enrolled(const struct cof_keys *k);
/* The recovery envelope, if there is one, is of before that: it does not say that R is elsewhere. */
bool cof_keys_envelope_behind(const struct cof_keys *k);
/* The first time: other seeds of R from the first multiple of 2^16 on that is not below next, the number that the next
 * file would get; durable. Afterwards nothing changes. Others may derive meanwhile. */
int cof_keys_enroll(struct cof_keys *k, struct cof_io *io, uint64_t next, struct cof_diag *diag);
/* What a vault gets: R from there on, as it is now. Secure memory, for cof_secret_free. -ENODATA: none was enrolled. */
int cof_keys_vault_plain(const struct cof_keys *k, void **ret, size_t *ret_n);
/* Into keys that came out of an envelope: R from there on is the vault's. -EUCLEAN · -EXDEV · -ERANGE: the envelope says
 * that it begins elsewhere. */
int cof_keys_vault_take(struct cof_keys *k, const void *plain, size_t n);

/* Names of the openers in seal/ for status, without opening anything: "passphrase", "file (weak)". */
int cof_keys_openers(struct cof_io *io, struct cof_json *array);

#endif
