/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the secret that opens an archive comes from: a key file, the terminal, a descriptor, or a
 * systemd credential. Never the command line, never the environment. It goes straight into secure
 * memory: call cof_crypto_init before.
 */
#ifndef COFFER_OPENER_H
#define COFFER_OPENER_H

#include "crypto/passphrase.h"
#include "fs/archive/archive.h"
#include "tools/coffer.h"

struct opener_args { /* at most one is set; none: the TPM where the archive has one, else the terminal */
	const char *key_file, *new_key_file, *credential;
	int passphrase_fd; /* of a TPM's seal: its PIN */
	const char *seal;  /* "passphrase", "file" or "tpm2", NULL: as above */
	const char *tpm;   /* where the TPM is; NULL: COFFER_TPM, else the device */
	bool pin;	   /* of a new seal: it asks for a PIN */
	uint32_t pcrs;	   /* of a new seal, as bits; 0: not said */
};
#define OPENER_ARGS_INIT                                                                           \
	{                                                                                          \
		.passphrase_fd = -1                                                                \
	}

struct opener {
	struct cof_opener_secret secret;
	char *made; /* the key file that was made just now, or NULL */
};

/* ---- options (opener-options.c) ---- */

extern const struct tool_option opener_options[];     /* of what opens an archive that is there */
extern const struct tool_option opener_new_options[]; /* of what shall open it */
/* Takes what option_next gave (OPTION_MORE and on) for a verb with one of the two tables. EXIT_OK, or
 * what misuse gives. */
int opener_take(struct opener_args *a, int option);
bool opener_is_tpm2(const struct opener_args *a);
uint32_t opener_pcrs(const struct opener_args *a); /* of a new seal: 7 where none are said, 0 of others */

/* A descriptor's number from an option's value: -EINVAL. */
int opener_fd(const char *text, int *ret);
/* The value of an option that was just read (optarg): EXIT_OK, or what misuse gives. option: its name, as typed. */
int opener_take_fd(const char *option, int *ret);
int opener_take_pcrs(uint32_t *ret);
/* "" or what is wrong with the combination. */
const char *opener_conflict(const struct opener_args *a);
const char *opener_new_conflict(const struct opener_args *a); /* of opener_new_options */

/* ---- secrets (opener.c) ---- */

/* Sets seal where the arguments leave it open and the archive (of which this is the store) decides:
 * a TPM's opener wins, and nothing weaker is tried in its place. -ENOKEY: only a key file opens it. */
int opener_choose(struct opener_args *a, struct cof_io *io, struct cof_diag *diag);

/* store: where a key file may not lie, and what the prompt names. twice: the passphrase is new. */
int opener_get(const struct opener_args *a, const char *store, bool twice, struct opener *ret,
	       struct cof_diag *diag);
/* Both, of an archive that is there: its store's io and path. */
int opener_find(struct opener_args *a, struct cof_io *io, const char *store, struct opener *ret, struct cof_diag *diag);
/* And from here on as the store's owner (owner.h): tries of a passphrase are counted in the store. ret is to be done
 * also after an error. */
int opener_find_as_owner(struct opener_args *a, struct cof_io *io, const char *store, struct opener *ret,
			 struct cof_diag *diag);
void opener_done(struct opener *o);   /* wipes */
void opener_unmake(struct opener *o); /* removes the key file that was made: nothing uses it */

#define OPENER_LOCKOUT_SAID 200
/* What status and seal show say of "lockout"; "": nothing. */
void opener_lockout_said(const struct cof_json *o, char out[OPENER_LOCKOUT_SAID]);

/* The directory that a name lies in, without symbolic links; "a", "./a", "/x/a". NULL with errno. */
char *parent_of(const char *path);
/* Whether path (its last name may be missing) lies in dir: -errno when it cannot be told. */
int path_inside(const char *path, const char *dir);
/* A new file with mode 0400, for a secret; never replaces. -EEXIST */
int secret_file_make(const char *path, const char *what, int *ret_fd, struct cof_diag *diag);
/* Content and name durable. */
int secret_file_sync(int fd, const char *path);
/* Both, and what goes into it; after an error there is none. */
int secret_file_write(const char *path, const char *what, const void *p, size_t n, struct cof_diag *diag);

#endif
