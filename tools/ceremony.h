/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ceremony as a directory, on any host: the transcript, what it is about, and what is signed. No archive is needed.
 *
 *   transcript     its lines (fs/rules/ceremony.h); each is durable before the next thing happens
 *   sheet.json     reason, place, names of custodians, salt: what is not for strangers
 *   people         the people file, which says whose signatures count
 *   scheme.ini, document.json, input.age   what it is about, as its kind has it
 *   sign/NN-NAME   statements to be signed, about line NN; ssh-keygen -Y sign puts NN-NAME.sig beside it
 *   kit-N/         what the N-th attempt made: shares encrypted to custodians, the epoch's document, challenges
 *   delivered-N.age  what the N-th attempt delivered
 *   challenges.json  which challenges the custodians were given before their shares are destroyed
 *
 * Only what the transcript tells is done. What lies there besides is of an attempt that did not come to its end, and is removed
 * when the ceremony goes on.
 */
#ifndef COFFER_CEREMONY_H
#define COFFER_CEREMONY_H

#include "escrow/sheet.h"
#include "fs/rules/ceremony.h"
#include "tools/share-gather.h"

struct ceremony {
	const char *dir;
	struct cof_ceremony c;
	struct cof_buf text;	 /* of the transcript */
	struct cof_people people;
	bool has_people;
	size_t judged; /* lines */
	int fd, lock; /* of the transcript, behind its end */
};
#define CEREMONY_INIT {.fd = -1, .lock = -1}

/* ---- ceremony-file.c ---- */

struct ceremony_asked {
	enum cof_ceremony_kind kind;
	bool rehearsal;
	const char *dir, *archive, *people, *scheme, *document, *input, *to, *reason, *place;
	const char *with[COF_CEREMONY_ROLL]; /* who is expected; none: all of the people file but vaults */
	unsigned n_with;
	const char *custodian[COF_CEREMONY_HOLDERS]; /* destruction; none: all */
	unsigned n_custodians;
	uint32_t number;
};
/* The directory, whole or not at all. */
int ceremony_new(const struct ceremony_asked *a, struct cof_diag *diag);
/* For going on: locked against another session, a torn last line cut off. Done with ceremony_done, also after an error. */
int ceremony_open(const char *dir, struct ceremony *ret, struct cof_diag *diag);
/* For looking: a directory, or a transcript; people: NULL: those beside it, if there are any. */
int ceremony_load(const char *path, const char *people, struct ceremony *ret, struct cof_diag *diag);
void ceremony_done(struct ceremony *w);
/* A line, durable. Takes own. */
int ceremony_line(struct ceremony *w, enum cof_ceremony_what what, struct cof_json *own, struct cof_diag *diag);
/* The signature by one of the roll of what is asked now, where it counts. -EKEYREJECTED: it does not, diag says why. */
int ceremony_sign(struct ceremony *w, enum cof_ceremony_what what, unsigned person, const struct cof_buf *armored, struct cof_diag *diag);
/* Whether what was signed counts, by people; whole: and it is complete. -EPERM with the reason. */
int ceremony_judge(const struct ceremony *w, bool whole, struct cof_diag *diag);

char *ceremony_path(const struct ceremony *w, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* below dir; the caller's, NULL */
/* The directory that this lies in, durable: what is new in it, and what is not there any more. */
int ceremony_sync(const char *path);
/* A new file in its place, durable; a directory's entries. */
int ceremony_put(const char *path, const void *p, size_t n, struct cof_diag *diag);
int ceremony_digest(const char *path, size_t most, uint8_t ret[COF_HASH], struct cof_diag *diag);
int ceremony_epoch(const char *path, struct cof_epoch *ret, struct cof_diag *diag);
/* Removes the directory with the files that an attempt makes; the document first. Nothing there: 0. */
int ceremony_remove(const char *dir, struct cof_diag *diag);

/* ---- ceremony-session.c ---- */

struct ceremony_session {
	struct ceremony *w;
	enum cof_language language;
	int sheets_fd;
	bool html;
	int fds[COF_CUSTODIANS_MAX], passphrase_fd;
	unsigned n_fds, idle;
};
/* Goes on until it is complete. -ECANCELED: it was stopped before, and may go on later. */
int ceremony_run(struct ceremony_session *s, struct cof_diag *diag);
/* One line typed, without its end; what may be typed anywhere is looked at first. -ECANCELED: stop. */
int ceremony_ask(struct ceremony_session *s, char *line, size_t n, struct cof_diag *diag);

/* ---- ceremony-act.c: what a step does; 0 when it is done, and on record. -EAGAIN: it failed, that is on record, and it may be tried again. ---- */

int ceremony_make(struct ceremony_session *s, struct cof_diag *diag);
int ceremony_confirm(struct ceremony_session *s, struct cof_diag *diag);
int ceremony_deliver(struct ceremony_session *s, struct cof_diag *diag);
int ceremony_destroy(struct ceremony_session *s, struct cof_diag *diag);

/* ---- ceremony-text.c ---- */

enum ceremony_text {
	CT_HEAD, CT_REHEARSAL, CT_ROLL, CT_SIGN, CT_SIGN_ASK, CT_SIGN_ROLL, CT_TAKEN, CT_STILL, CT_WRONG, CT_AGREE, CT_STEP, CT_TRY, CT_AGAIN, CT_MADE,
	CT_PROOFS, CT_PROVE, CT_PROVED, CT_DESTROY_NOW, CT_CLOSE, CT_COMPLETE, CT_STOPPED, CT_FEW, CT_WHAT, CT_LEFT, CT_SURE, CT_DELIVERED, CT_ABANDON,
	CEREMONY_TEXTS
};
/* The sentence in that language. */
const char *ceremony_say(enum cof_language l, enum ceremony_text t);
void ceremony_tell(const struct ceremony_session *s, enum ceremony_text t, ...);
const char *ceremony_kind_text(enum cof_language l, enum cof_ceremony_kind k);
/* What happens in the step, before it happens. */
const char *ceremony_step_text(enum cof_language l, enum cof_ceremony_kind k, enum cof_ceremony_step s);

#endif
