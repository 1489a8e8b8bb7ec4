/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: the people of an archive, and the judge over its own chain (people.c, request.c). */
#ifndef COF_ARCHIVE_PEOPLE_H
#define COF_ARCHIVE_PEOPLE_H

#include "fs/archive/grant.h"
#include "fs/archive/note.h"

/* A PEOPLE, REQUEST, APPROVAL, CEREMONY, RECEIPT, SHELF or POLICY frame: remembered by the index, so that a mount finds them without
 * the log. Who writes one of the last two holds rules_lock for as long as it is written and applied. */
int cof_people_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address, const void *public_part,
		     size_t public_len);
/* Of EVENT frames, by their public part: those that what comes behind depends on, which are remembered so too. */
bool cof_people_judged_event(const void *public_part, size_t public_len);
/* Once the index is filled: the judge is told what the chain says. Then what a crash left unfinished. */
int cof_people_load(struct cof_archive *a);
int cof_people_resume(struct cof_archive *a);
void cof_people_free(struct cof_archive *a);
/* The frames that the index remembers so, in order, by their public parts; until fn returns not 0, which is returned. */
typedef int (*cof_people_fn)(void *user, const struct cof_frame *f, const struct cof_buf *fields);
int cof_people_each(struct cof_archive *a, cof_people_fn fn, void *user);
/* The same one by one, the walk all zero at first: 1 with the next one, if it is before that sequence, else 0. In the gate. */
struct cof_people_walk {
	struct cof_stretch stretch[64];
	uint64_t position;
	size_t i, n;
};
int cof_people_next(struct cof_archive *a, struct cof_people_walk *w, uint64_t before, struct cof_frame *ret, struct cof_buf *ret_fields);

/* With the people lock held: */
struct cof_judge *cof_people_judge(struct cof_archive *a);
/* A frame of these types is judged, written, durable, and the judge moves on. A refusal is an event. */
int cof_people_put(struct cof_archive *a, const struct cof_who *who, uint8_t type, const struct cof_buf *public_part,
		   const struct cof_buf *private_part, struct cof_judgement *ret, uint64_t *ret_sequence,
		   struct cof_diag *diag);
/* Judged only. Gives -EPERM with the reason in diag; nothing is recorded. */
int cof_people_ask(struct cof_archive *a, uint8_t type, const struct cof_buf *public_part, struct cof_judgement *ret,
		   struct cof_diag *diag);
/* An event that was asked about at the time `asked` (record time) and permitted: written, durable, and the judge moves
 * on. e->done is set by it. */
int cof_people_emit(struct cof_archive *a, struct cof_event *e, int64_t asked, struct cof_judgement *ret, uint64_t *ret_sequence,
		    struct cof_diag *diag);
/* Somebody's request or approval was refused: an EVENT, and the sentence. kind: of the catalogue, or NULL. */
int cof_people_refused(struct cof_archive *a, const struct cof_who *who, const char *what, const char *rule, const char *reason,
		       struct cof_diag *diag);
int cof_people_refused_as(struct cof_archive *a, const struct cof_who *who, const char *what, const char *kind, const char *rule,
			  const char *reason, struct cof_diag *diag);
/* "A.2.1" where a frame's public part is about roles: people, or a request for other ones; else NULL. */
const char *cof_people_kind(uint8_t type, const struct cof_buf *public_part);
bool cof_people_about_roles(const char *document, size_t n); /* of a request: canonical JSON */
/* Events for what a PEOPLE frame, that of this number, changed (people-told.c). before NULL: these are the first. request may be NULL. */
void cof_people_told(struct cof_archive *a, const struct cof_who *who, const uint8_t *request, const struct cof_people *before,
		     const struct cof_people *after, uint64_t sequence);
/* Who runs the vault with this key, by the people in force; lock held. NULL: nobody enrolled it, or what people signed
 * cannot all be read. */
const char *cof_people_vault_of(struct cof_archive *a, const uint8_t key[32]);
/* The root of the first `size` frames by the hashes in tile/ (judge-store.c). -ENOENT: there are not so many. */
int cof_tree_head(struct cof_io *io, uint64_t size, uint8_t ret[COF_HASH]);
void cof_people_lock(struct cof_archive *a);
void cof_people_unlock(struct cof_archive *a);
int cof_people_writable(struct cof_archive *a, struct cof_diag *diag);

/* grant.c: whether it may be asked for and approved as things are; and what is done once the rule is met. */
int cof_grant_check(struct cof_archive *a, const struct cof_request *q, struct cof_diag *diag);
/* resumed: it was begun before a crash. 0 when its outcome, good or bad, is on record. */
int cof_grant_run(struct cof_archive *a, const struct cof_who *who, const uint8_t id[32], bool resumed,
		  struct cof_diag *diag);

/* release.c: releases of escrow that wait for a veto. With the people lock held, but for the tick. told: by an earlier call. */
void cof_release_wait(struct cof_archive *a, const struct cof_who *who, const struct cof_request_view *v, bool told);
void cof_release_vetoed(struct cof_archive *a, const struct cof_who *who, const struct cof_request_view *v, const char *by);
void cof_release_due(struct cof_archive *a);
/* -EPERM: the release is on record already, so that nobody vetoes it any more. */
int cof_release_late(struct cof_archive *a, const struct cof_who *who, const struct cof_request_view *v, struct cof_diag *diag);
int64_t cof_release_until(struct cof_archive *a, uint64_t shelf, const uint8_t key[16]); /* COF_RETAIN_NONE: none waits */
void cof_release_tick(struct cof_archive *a); /* of the keeper, outside the gate */

/* profile.c, with the people lock held: writes what text says of the archive, unless it is so already. request: NULL:
 * nobody approved it. -EPERM with the key that would promise less. */
int cof_profile_put(struct cof_archive *a, const struct cof_who *who, const char *text, const uint8_t *request,
		    struct cof_diag *diag);
int cof_profile_show(struct cof_archive *a, struct cof_json *into);
int cof_profile_set(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag);

/* request-make.c: documents to be signed. */
#define COF_SHEET_MAX 60000
/* Whether officers' keys are as the policy asks (hardware_officers): -EPERM with a sentence. text: a people file. */
int cof_people_fit(struct cof_archive *a, const char *text, size_t n, struct cof_diag *diag);
extern const char cof_no_people[]; /* why nothing can be requested before there are people */
/* {root, size} of a checkpoint that is made for it. */
int cof_request_head(struct cof_archive *a, struct cof_json *into, struct cof_diag *diag);
int cof_request_make(struct cof_archive *a, const struct cof_json *args, struct cof_json *into, struct cof_diag *diag);
/* The document that makes people the first ones, or a request for later ones; then the signed one is put. */
int cof_people_set(struct cof_archive *a, const struct cof_json *args, struct cof_json *into, struct cof_diag *diag);
int cof_people_first(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		     struct cof_diag *diag);
int cof_people_show(struct cof_archive *a, struct cof_json *into, struct cof_diag *diag);
void cof_people_base64(struct cof_json *into, const char *key, const void *p, size_t n);
void cof_people_hex(struct cof_json *into, const char *key, const void *p, size_t n); /* 64 bytes at most */

/* request.c: the verbs. */
int cof_request_put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag);
int cof_request_vote(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		     struct cof_diag *diag);
int cof_request_list(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag);

/* human.c: an event that a person signed; which reviews there are; a head for a form to name. */
int cof_human_reviews(struct cof_archive *a, struct cof_json *into);
int cof_human_event(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag);

/* A string of args that is base64: -EINVAL with a sentence. */
int cof_people_bytes(const struct cof_json *args, const char *key, size_t max, struct cof_buf *ret, struct cof_diag *diag);
/* principal NUL armored, as field 115. principal NULL: by the key that signed. -EINVAL */
int cof_people_signature(const struct cof_people *people, const char *principal, const struct cof_buf *armored,
			 struct cof_buf *ret, struct cof_diag *diag);

#endif
