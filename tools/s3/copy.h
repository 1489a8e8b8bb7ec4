/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of one archive in a bucket (docs/s3.md): full segments as objects named by content, the
 * tail as numbered pieces, heads behind what they cover. The host notes what it put there, with
 * version ids; nothing of that is secret, and all of it can be found again without the note.
 *
 * Not thread-safe: one thread for each object.
 */
#ifndef COFFER_S3_COPY_H
#define COFFER_S3_COPY_H

#include "fs/log/log.h"
#include "tools/s3/s3.h"

#define S3_BASE_LEAST (COF_NSEC * 60) /* shortest lock of what nothing else locks */
#define S3_BASE_DEFAULT (COF_NSEC * 86400 * 30)
#define S3_FOREVER (COF_NSEC * 86400 * 365 * 30) /* longest lock that is asked for at once */

/* ---- what was put there, as the host notes it (note.c) ---- */

struct s3_copy;

int s3_copy_new(const struct s3_target *t, const struct cof_conf *conf, struct s3_copy **ret);
void s3_copy_free(struct s3_copy *c); /* NULL is fine */
/* The text of a note. -EUCLEAN: damaged, and the copy is as new: what is there is found again. */
int s3_copy_load(struct s3_copy *c, const void *text, size_t n);
int s3_copy_text(const struct s3_copy *c, struct cof_buf *ret);

struct s3_copy_state {
	uint64_t size; /* frames of the newest head that is there; 0: none */
	int64_t time;  /* when it was put there, ns */
	uint64_t objects, bytes;
	uint64_t held;       /* objects under a legal hold */
	int64_t least, most; /* ends of locks of what counts, ns; 0: nothing is there */
	int64_t checked;     /* when a check ended last; 0: never */
	uint64_t findings;   /* of it */
};
void s3_copy_state(const struct s3_copy *c, struct s3_copy_state *ret);

/* ---- bringing it up to date (push.c) ---- */

struct s3_pushing {
	struct cof_io *io; /* the store; its daemon may go on */
	const void *envelope;
	size_t envelope_len; /* 0: none */
	int64_t
	    base; /* ns: everything that counts stays locked at least half of it from a push on */
	/* Before anything of the archive leaves, where frames are missing: an error ends it. May be NULL. */
	int (*may_leave)(void *user, struct cof_diag *diag);
	int (*save)(void *user, const struct cof_buf *note, struct cof_diag *diag);
	struct cof_buf *newer; /* of -ESTALE: that head, terminated, where it is still there; may be NULL */
	void (*progress)(void *user, uint64_t done, uint64_t total); /* bytes; may be NULL */
	void *user;
};
struct s3_pushed {
	uint64_t size, from;            /* of the head; frames that were there */
	uint64_t frames, bytes, objects; /* that were missing */
	uint64_t extended, held, released;     /* locks made longer, holds set and lifted */
	bool nothing;                          /* was missing */
};
/* -ESTALE: a head that this archive signed is there, with more frames than the store has ·
 * -ENOTUNIQ: one of another history. What is up when it fails is noted, and not sent again. */
int s3_push(struct s3 *s, struct s3_copy *c, const struct s3_pushing *p, struct s3_pushed *ret,
	    struct cof_diag *diag);

/* ---- looking at it (check.c) ---- */

struct s3_checking {
	struct cof_io *io; /* the store, whose bytes are compared with */
	bool all;          /* read everything, not a sample */
	void (*finding)(void *user, const char *text);
	void (*progress)(void *user, uint64_t done, uint64_t total); /* objects; may be NULL */
	void *user;
};
struct s3_checked {
	uint64_t objects, findings, gone, markers, foreign, unlocked,
	    read; /* read: bytes compared */
};
/* What is not as it was put there is told, one sentence each; what is gone is put there again by
 * the next push. 0 also with findings. */
int s3_check(struct s3 *s, struct s3_copy *c, const struct s3_checking *p, struct s3_checked *ret,
	     struct cof_diag *diag);

/* ---- the way back (fetch.c) ---- */

struct s3_fetching {
	struct cof_io *io; /* an empty directory, or one where this was cut off */
	const uint8_t *id; /* of the archive */
	const struct cof_vkey
	    *vkey; /* of the archive; NULL: what lies there is believed, where it is one */
	int (*envelope)(void *user, const void *p, size_t n,
			struct cof_diag *diag);     /* the newest; may be NULL */
	void (*told)(void *user, const char *line); /* what was passed over, and why; may be NULL */
	void (*progress)(void *user, uint64_t done, uint64_t total); /* bytes; may be NULL */
	void *user;
};
struct s3_fetched {
	uint64_t size, bytes, markers;
	int64_t time; /* when the head was put there, as its server says; 0: it did not */
};
/* Nothing counts as restored before all of it is there and gives the root that the archive signed.
 */
int s3_fetch(struct s3 *s, const struct s3_fetching *p, struct s3_fetched *ret,
	     struct cof_diag *diag);

#endif
