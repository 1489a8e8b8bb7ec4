/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transcript of a ceremony: a text of lines, each one object of canonical JSON with the SHA-256 of the line before
 * it. Lines are only ever added; what was signed names the digest of the line that it is about, and so all lines up to it.
 * docs/format.md 10.2 has every key.
 *
 *   opened    what it is for, of which archive, who is expected; its digest is the ceremony's id
 *   present   somebody answered the roll call: a signature
 *   told      what comes next, before it happens
 *   agreed    somebody confirms that it is to happen: a signature; two persons for each step
 *   begun, failed, made, confirmed, valid, delivered, destroyed: what happened
 *   closing   how it ended
 *   signed    each who was present signs that; then the transcript is complete
 *
 * No line has free text, a share or a secret: reasons, places and names of custodians are in a sheet beside it, of
 * which the first line has the SHA-256. A rehearsal says so in each statement that is signed, and is signed for another
 * purpose: nothing of it can be put into a ceremony that is none.
 *
 * Pure. A struct belongs to one thread at a time.
 */
#ifndef COF_CEREMONY_H
#define COF_CEREMONY_H

#include "fs/rules/approve.h"

#define COF_CEREMONY_MAX 60000 /* bytes of a transcript: it is one field of a frame */
#define COF_CEREMONY_LINES 512
#define COF_CEREMONY_ROLL 24 /* persons */
#define COF_CEREMONY_HOLDERS 256
#define COF_CEREMONY_STATEMENT_MAX 1024

#define COF_SIGN_CEREMONY "coffer-ceremony"
#define COF_SIGN_REHEARSAL "coffer-rehearsal"

enum cof_ceremony_kind {
	COF_CEREMONY_CREATION = 1, COF_CEREMONY_RESHARING, COF_CEREMONY_RECOVERY, COF_CEREMONY_DESTRUCTION
};
enum cof_ceremony_what {
	COF_CER_OPENED, COF_CER_PRESENT, COF_CER_TOLD, COF_CER_AGREED, COF_CER_BEGUN, COF_CER_FAILED, COF_CER_MADE, COF_CER_CONFIRMED,
	COF_CER_VALID, COF_CER_DELIVERED, COF_CER_DESTROYED, COF_CER_CLOSING, COF_CER_SIGNED, COF_CER_WHATS
};
enum cof_ceremony_step { COF_STEP_PLAN, COF_STEP_MAKE, COF_STEP_CONFIRM, COF_STEP_DELIVER, COF_STEP_DESTROY, COF_CEREMONY_STEPS };

const char *cof_ceremony_kind_name(enum cof_ceremony_kind k); /* "creation" */
int cof_ceremony_kind_find(const char *name);		      /* -ENOENT */
const char *cof_ceremony_what_name(enum cof_ceremony_what w);
const char *cof_ceremony_step_name(enum cof_ceremony_step s);
/* The i-th step of that kind; -ENOENT behind the last. */
int cof_ceremony_step(enum cof_ceremony_kind k, unsigned i);

struct cof_ceremony_line {
	enum cof_ceremony_what what;
	enum cof_ceremony_step step; /* to which it belongs */
	int64_t time;
	unsigned number; /* attempt, or holder */
	unsigned person; /* index in the roll: of a signature */
	uint8_t digest[32];
	uint8_t head[32]; /* of a signature: the line that it is about */
	struct cof_json *o;
};
struct cof_ceremony {
	uint8_t id[32]; /* digest of the first line */
	enum cof_ceremony_kind kind;
	bool rehearsal, has_archive;
	uint8_t archive[16], people[32], sheet[32];
	uint32_t epoch;	     /* that is made, opened or ended */
	uint8_t epoch_key[32]; /* all zero until it is known */
	unsigned n_roll, holders;
	char roll[COF_CEREMONY_ROLL][COF_PRINCIPAL];
	bool present[COF_CEREMONY_ROLL], agreed[COF_CEREMONY_ROLL] /* to the step that was told last */, has_signed[COF_CEREMONY_ROLL];
	bool holder[COF_CEREMONY_HOLDERS]; /* of the steps confirm and destroy: there is a line of it */
	struct cof_ceremony_line *line;
	size_t n_lines;
	/* where it is */
	unsigned steps_done, n_agreed;
	bool told;	  /* the step steps_done was told */
	unsigned attempt; /* of that step; 0: not begun */
	bool open;	  /* that attempt has neither failed nor succeeded */
	bool closing, abandoned, complete;
};

/* The lines so far; the text need not be complete. -EUCLEAN with line and reason. Done with cof_ceremony_done, also after an error. */
int cof_ceremony_parse(const void *text, size_t n, struct cof_ceremony *ret, struct cof_diag *diag);
void cof_ceremony_done(struct cof_ceremony *c); /* may be done twice */

/* ---- adding ---- */

/* A line of these own keys, which are taken over, added; ret gets its text. time is not before the line before. -EUCLEAN: such a line
 * cannot stand there, and nothing was changed. -E2BIG: it is too long as a whole. */
int cof_ceremony_add(struct cof_ceremony *c, enum cof_ceremony_what what, struct cof_json *own, int64_t time, struct cof_buf *ret,
		     struct cof_diag *diag);
/*
 * What somebody signs now: PRESENT while nothing was told, AGREED to the step that is told, SIGNED once it is closing.
 * {"by":NAME,"ceremony":ID,"does":"present","format":"coffer-ceremony-statement/1","head":HEX,"kind":…,"rehearsal":…}, and
 * "step" or "outcome" where it is about one. -EUCLEAN: there is nothing like it to sign.
 */
int cof_ceremony_statement(const struct cof_ceremony *c, enum cof_ceremony_what does, const char *by, struct cof_buf *ret);
const char *cof_ceremony_purpose(const struct cof_ceremony *c); /* for which it is signed */
/* What a holder's share signs before it is destroyed: of this ceremony, of the epoch's document and of the holder, so that it is good
 * for nothing else (docs/format.md 10.2). -EINVAL: nothing is destroyed in it. */
#define COF_CEREMONY_CHALLENGE 40
int cof_ceremony_challenge(const struct cof_ceremony *c, unsigned holder, char ret[COF_CEREMONY_CHALLENGE]);
/* The challenge of that line is that one; those of before were drawn, and bound to nothing. */
bool cof_ceremony_bound(const struct cof_ceremony_line *l);

/* ---- judging ---- */

/* Whether an epoch was made by it, and confirmed by all; in hex the SHA-256 of its document. NULL: none was, or it was abandoned. */
const char *cof_ceremony_made(const struct cof_ceremony *c);
/* What is missing until it is complete, in words: "cleo has not signed the end". Empty: nothing. */
void cof_ceremony_missing(const struct cof_ceremony *c, struct cof_buf *ret);
/*
 * Whether it counts under these people, whose keys are judged as of time: each signature; an auditor among those who were
 * present and two who are not, each with a key of their own; each step confirmed by two who are not auditors. whole: and it is complete. -EPERM:
 * not, ret says why. Which archive it is of, and that it counts once, is judged by who has an archive.
 */
struct cof_ceremony_judging {
	const struct cof_people *people;
	cof_verify_signature verify;
	void *verify_user;
	int64_t time; /* ns */
	bool whole;
	size_t trusted; /* so many lines were judged before: their signatures are not checked again */
};
int cof_ceremony_judge(const struct cof_ceremony *c, const struct cof_ceremony_judging *p, struct cof_judgement *ret);

/* Field tags of CEREMONY frames (docs/format.md 4). */
enum { COF_T_CEREMONY = 230, COF_T_CEREMONY_ID, COF_T_CEREMONY_KIND, COF_T_CEREMONY_FLAGS };
enum { COF_CEREMONY_REHEARSAL = 1, COF_CEREMONY_ABANDONED = 2 };
/* The public part of the frame: text is the whole transcript. */
int cof_ceremony_fields(const struct cof_ceremony *c, const void *text, size_t n, struct cof_buf *ret);

#endif
