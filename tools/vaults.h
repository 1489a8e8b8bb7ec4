/* SPDX-License-Identifier: Apache-2.0 */
/* The vaults of an archive, as its store names them: STORE/vaults/NAME.conf, and NAME.note, what each said last. */
#ifndef COFFER_VAULTS_H
#define COFFER_VAULTS_H

#include "tools/store.h"
#include "tools/vault/vault.h"

struct vault_entry {
	char name[64]; /* a-z, 0-9, '-' */
	char url[512], place[128], jurisdiction[8];
	char administration[64]; /* who runs it, as the operator says; "" */
	char basis[256];	 /* what a transfer there rests on, likewise (R42) */
	char ca[256];		 /* of a witness: certificates that its server's has to lead to; "": the system's */
	unsigned grade;		 /* of its protection, as it states it; 0: it states none */
	char scrubbed[VAULT_SCRUBBED]; /* when it read its copy last, and the verdict, as it says; "" */
	char retiring[32];	 /* since when nothing more shall go there; "" */
	struct cof_vkey vkey;
	char recipient[VAULT_RECIPIENT]; /* to which R is sealed for it, as it signed; "": it said none */
	char *note;	/* what it said last, or NULL */
	uint64_t size;	/* of that */
	uint64_t time;	/* seconds; 0: it said nothing yet */
};
bool vault_name_ok(const char *name);
/* What STATE said of a vault: its key, place and jurisdiction, recipient, grade and last scrub. -EUCLEAN */
int vault_about_read(const char *about, struct vault_entry *ret);
/* One thing of it that may change: grade, scrubbed; others are passed over. -EUCLEAN */
int vault_take_said(struct vault_entry *e, const char *key, const char *value);
int vault_entry_load(const struct store *s, const char *name, struct vault_entry *ret, struct cof_diag *diag); /* -ENOENT */
int vault_entry_there(const struct store *s, const char *name, struct cof_diag *diag); /* -ENOENT; nothing of it is looked at */
int vault_entry_remove(const struct store *s, const char *name, struct cof_diag *diag);
int vault_entry_save(const struct store *s, const struct vault_entry *e, struct cof_diag *diag);
/* What the vault says of itself at each meeting and may change: grade and last scrub, into e, and STORE/vaults/NAME.says where that is
 * new. A file of its own: NAME.conf may be changed by others meanwhile. */
int vault_entry_says(const struct store *s, struct vault_entry *e, const struct vault_entry *says, struct cof_diag *diag);
/* A file of the store's folder vaults/, which is made when it is not there; as the store's owner, whoever runs this. */
int vaults_write(const struct store *s, const char *path, const void *p, size_t n, struct cof_diag *diag);
/* Judges and keeps a note that came back: signed by archive and vault, of this head or a later one. */
int vault_entry_note(const struct store *s, struct vault_entry *e, const char *note, struct cof_diag *diag);
/* Keeps a head that a vault or copy shows and this store has not: as long as it is there, nothing is appended. It goes with what
 * the vault signs next. */
int vault_newer_keep(const struct store *s, const char *name, const char *note, struct cof_diag *diag);
int vault_newer_drop(const struct store *s, const char *name, struct cof_diag *diag);
bool vault_administration_ok(const char *name);
bool vault_basis_ok(const char *text);
/* Fields of a record (docs/format.md 4.2) that say which vault it is about. */
void vault_entry_record(const struct store *s, const struct vault_entry *e, struct cof_json *record);
/* Where the host itself stands: STORE/vaults/host. "": not said. */
struct vault_host {
	char place[128], jurisdiction[8];
};
int vault_host_load(const struct store *s, struct vault_host *ret, struct cof_diag *diag);
int vault_host_save(const struct store *s, const struct vault_host *h, struct cof_diag *diag);
/* The tree R that waits to be brought there, sealed to the vault. -ENOENT: none does, and diag says nothing. */
int vault_entry_keys(const struct store *s, const struct vault_entry *e, uint8_t **ret, size_t *ret_n, struct cof_diag *diag);
/* The tree R came there: what waited for it in vaults/NAME.keys goes, and its bytes are overwritten. */
int vault_entry_has_keys(const struct store *s, const struct vault_entry *e, struct cof_diag *diag);
void vault_entry_done(struct vault_entry *e);
/* In the order of their names. */
int vault_entries(const struct store *s, int (*fn)(void *user, struct vault_entry *e), void *user, struct cof_diag *diag);
/* Appends an object for each: vault, url, place, jurisdiction, size, behind (frames), confirmed (when; missing: never), grade and scrubbed (missing: it
 * says none). */
int vault_entries_json(const struct store *s, struct cof_json *array, struct cof_diag *diag);
/* Behind what is told of such an object, up to the end of the line: what the vault says of itself. */
void vault_say_more(const struct cof_json *v);
/* Goes once over what came to the log, so that nobody reads all of it to know its policy and its end: STORE/known. */
void vaults_look(const struct store *s);
/* coffer vault check of a vault: what it confirmed is asked for, sample frames drawn at random or (0) all. Different ones are printed, an
 * alarm, and *ret_findings. */
int vault_check(const struct store *s, const struct vault_entry *e, uint64_t sample, bool json, uint64_t *ret_findings, struct cof_diag *diag);
/* The session's first message, on this line, which is opened where its pid is 0. */
int vault_hello_to(const struct store *s, enum vault_role role, const char *url, struct vault_line *line, struct cof_diag *diag);

#endif
