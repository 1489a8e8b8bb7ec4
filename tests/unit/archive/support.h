/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of fs/archive share: a store on a simulated disk or in a temporary directory, made with
 * two shelves and a key file's bytes, quick to open.
 */
#ifndef COF_TEST_ARCHIVE_SUPPORT_H
#define COF_TEST_ARCHIVE_SUPPORT_H

#include <check.h>

#include "fs/archive/archive.h"
#include "fs/io/sim.h"

enum store_kind { STORE_SIM, STORE_PLAIN, STORE_KINDS };

struct store {
	enum store_kind kind;
	struct cof_sim *sim;
	char dir[64];
	uint64_t segment_size; /* 0: 1 MiB */
	const struct cof_recovery *recovery; /* of init: NULL: no envelope */
	uint32_t pcrs; /* of init with a TPM */
	struct cof_io *io;
	struct cof_opener_secret secret;
	uint8_t *key; /* secure: the key file's bytes */
	uint8_t archive_id[16], auditor[32];
	struct cof_archive *archive;
	struct cof_opened opened;
	char alarm[2048]; /* all alarms, a line each */
};

void store_new(struct store *s, enum store_kind kind); /* an empty directory */
/* Shelves "audit" (inode 2, mode 0777) and "keys" (inode 3, durability = write). */
int store_init(struct store *s, struct cof_diag *diag);
void store_open(struct store *s);
void store_close(struct store *s);
void store_make(struct store *s, enum store_kind kind); /* new, init, open */
void store_done(struct store *s);			/* closes what is open; removes all */

#define AUDIT 2
#define KEYS 3

extern const struct cof_who root_user, alice, bob;

/* Acting, one line each. All return cof_archive_do's result. */
int do_create(struct store *s, uint64_t dir, const char *name, uint8_t kind, uint64_t *ret);
int do_write(struct store *s, uint64_t ino, uint64_t off, const void *p, size_t n);
int do_chmod(struct store *s, uint64_t ino, uint32_t mode);
int do_rename(struct store *s, uint64_t dir, const char *name, uint64_t new_dir,
	      const char *new_name);
int do_unlink(struct store *s, uint64_t dir, const char *name);
int do_rmdir(struct store *s, uint64_t dir, const char *name);
int do_op(struct store *s, const struct cof_who *who, struct cof_op op);
uint64_t must_create(struct store *s, uint64_t dir, const char *name, uint8_t kind);
void must_write(struct store *s, uint64_t ino, uint64_t off, const void *p, size_t n);
/* Reads all of a file and compares. */
void must_hold(struct store *s, uint64_t ino, const void *p, size_t n);

#endif
