/* SPDX-License-Identifier: Apache-2.0 */
/* A key that is to be taken in: read, judged, told. What check, seal and put of coffer escrow share. */
#ifndef COFFER_ESCROW_TAKE_H
#define COFFER_ESCROW_TAKE_H

#include "base/json.h"
#include "escrow/epoch.h"
#include "escrow/intake.h"

/* The first options of each of these verbs, in this order. */
enum { TAKE_OWNER, TAKE_LEVEL, TAKE_BACKUP, TAKE_CERT, TAKE_USAGE, TAKE_RAW, TAKE_WRAPPED, TAKE_TOKEN, TAKE_REASON, TAKE_WIPE,
       TAKE_PASSPHRASE_FD, TAKE_JSON, TAKE_COUNT };
#define TAKE_OPTIONS(passphrase_option, wipe_help)                                                                               \
	[TAKE_OWNER] = {"owner", "ca|subscriber", "whose key it is"},                                                            \
	[TAKE_LEVEL] = {"level", "N", "the assurance level that it is used at, 1 to 4"},                                         \
	[TAKE_BACKUP] = {"backup", NULL, "kept for its owner's own recovery: the only way for a CA's key"},                      \
	[TAKE_CERT] = {"cert", "FILE", "its certificate, or its request (PKCS#10): has to be of the same key, and says its use", \
		       true},                                                                                                    \
	[TAKE_USAGE] = {"usage", "sign|encrypt",                                                                                 \
			"somebody's decision on its use, where neither certificate nor algorithm says it"},                      \
	[TAKE_RAW] = {"raw", NULL, "KEY is the bytes of a secret key (level 1 only)"},                                           \
	[TAKE_WRAPPED] = {"wrapped", NULL,                                                                                       \
			  "KEY is what a hardware module wrapped: kept as it is. Takes --token and --reason"},                   \
	[TAKE_TOKEN] = {"token", "NAME", "wrapped: the module's entry in the inventory"},                                        \
	[TAKE_REASON] = {"reason", "recovery|rekey|replacement", "wrapped: why it left its module"},                             \
	[TAKE_WIPE] = {"wipe", NULL, wipe_help},                                                                                 \
	[TAKE_PASSPHRASE_FD] = {passphrase_option, "N",                                                                          \
				"reads KEY's own passphrase from descriptor N instead of the terminal"},                         \
	[TAKE_JSON] = {"json", NULL, "prints one JSON object"}

struct taking {
	const char *path, *cert_path;
	int passphrase_fd; /* -1: the terminal */
	bool raw, wrapped, wipe, json;
	struct cof_intake in; /* persons: 2 until an epoch says it */
	struct cof_private_key key;
	struct cof_public_use public;
	struct cof_intake_ruling ruling;
	uint8_t *file, *pkcs8; /* secure memory */
	size_t file_n, pkcs8_n;
	const uint8_t *content; /* what is encrypted: one of these two */
	size_t content_n;
};
#define TAKING_INIT                                                                                \
	{                                                                                          \
		.passphrase_fd = -1, .in = {.persons = 2}                                          \
	}
/* One of the options above (optarg): EXIT_OK, or what misuse gives. */
int escrow_take_option(struct taking *t, int option);
int escrow_take_conflict(const struct taking *t); /* as take_option */
/* Certificate and key into secure memory; the key is read by a process of its own. Before an archive is opened. */
int escrow_take_load(struct taking *t, struct cof_diag *diag);
void escrow_take_done(struct taking *t); /* wipes */
/* -EPERM: refused, in t->ruling and diag. */
int escrow_take_judge(struct taking *t, struct cof_diag *diag);
/* An age file of it to this recipient. file_key: secure memory, COF_AGE_FILE_KEY bytes. */
int escrow_take_encrypt(const struct taking *t, const char *recipient, uint8_t *file_key, struct cof_buf *ret, struct cof_diag *diag);
/* Whether these bytes give the key again. -EIO */
int escrow_take_try(const struct taking *t, const uint8_t *file_key, const void *age, size_t n);
/* The input overwritten and removed; and what that is worth, in a sentence. */
int escrow_take_wipe(const struct taking *t, struct cof_diag *diag);
void escrow_take_say_wiped(const struct taking *t);
/* What was judged, for --json: permitted, rule, clause, reason, owner, level, purpose, form, algorithm, bits, public_key, … */
void escrow_take_tell(const struct taking *t, struct cof_json *into);
void escrow_take_say(const struct taking *t); /* one line */

#endif
