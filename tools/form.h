/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forms that people sign and Coffer keeps as EVENT frames (docs/format.md 4.1): a line of canonical JSON that says
 * what and when, and a sheet beside it, of which the form has the SHA-256, with what is not for strangers.
 */
#ifndef COFFER_FORM_H
#define COFFER_FORM_H

#include "tools/people.h"

#define FORM_MAX 4096
#define FORM_SHEET_MAX 60000

struct forming {
	struct people_asking ask;
	const char *as, *dir, *signature, *key; /* who signs; where files go; NULL: as ssh-keygen and people sign have it */
	const char *end;     /* of the form's file: "event", "review" */
	const char *purpose; /* COF_SIGN_EVENT */
	const char *verb;    /* that brings it: "event submit" */
};

/* A new form with what all have: archive, created, event, nonce, outcome, signer, time, version. */
struct cof_json *form_new(const struct forming *f, const char *event, const char *outcome, int64_t time);
void form_set(struct cof_json *o, const char *key, const char *value); /* NULL: not at all */
/* Adds the salt to the sheet and its digest to the form, and writes both. *ret_path: of the form, the caller's. */
int form_write(const struct forming *f, struct cof_json *form, struct cof_json *sheet, char **ret_path, struct cof_diag *diag);
/* How it is signed and brought, for people. */
void form_say_next(const struct forming *f, const char *path);
/* The form, its sheet and its signature into the chain; the answer is said, as JSON if wanted. */
int form_submit(struct forming *f, const char *path, bool json, struct cof_diag *diag);
/* A form that was written: brought at once where a key was given, else said how it goes on. */
int form_made(struct forming *f, const char *path, bool json, struct cof_diag *diag);

/* ---- what the verbs that make forms have in common ---- */

/* As given, or NULL: --as, --output, --signature, --key. */
void form_words(struct forming *f, const char *as, const char *dir, const char *signature, const char *key);
/* Values of options: EXIT_OK, or what misuse gives. */
int form_take_time(const char *option, const char *text, int64_t *ret);
int form_take_catalogue(const char *id);

#endif
