/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to coffer restore: an archive's log comes back from vaults, is judged, opened with keys
 * of a recovery envelope in a scratch place, and its files are copied out or compared. Nothing of
 * what files hold leaves before all of that held.
 */
#ifndef COFFER_RESTORE_H
#define COFFER_RESTORE_H

#include "tools/auditor.h"
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/recovery.h"
#include "tools/s3/s3.h"
#include "tools/vault/vault.h"

#define RESTORE_SOURCES 8u
#define RESTORE_KEYS 16u
#define RESTORE_HEADS 8u
#define RESTORE_NAMES 64u

struct restore_source {
	const char *url;
	char *note; /* its newest head; NULL: it did not answer */
	struct cof_conf conf; /* what it says that the archive is */
	struct cof_checkpoint head;
	uint32_t signers; /* which of the given keys signed it, as bits */
	uint64_t time;    /* the latest of those signatures, s */
	struct vault_line line; /* on which it said so: a log that is not begun yet comes by the same */
	struct cof_buf said;	/* HEAD */
};

struct restoring {
	/* asked for */
	const char *dir; /* NEWSTORE */
	uint8_t id[16];
	struct cof_vkey vkey[RESTORE_KEYS], log;
	unsigned n_vkeys;
	bool log_given;
	struct restore_source source[RESTORE_SOURCES],
	    head[RESTORE_HEADS]; /* head: url is the file */
	unsigned n_sources, n_heads;
	bool from_bucket; /* source[0] is one, alone: it signs nothing */
	struct s3_target bucket;
	bool again; /* of a bucket: what is whole in dir already is taken as it is */
	/* come */
	struct cof_io *io;
	struct vault_copy *copy;
	struct cof_conf conf; /* that the log is read by */
	uint64_t newest;      /* frames of the newest head of those who say so */
	bool log_known;	      /* a head was signed with `log` */
	struct progress progress;
};

/* ---- the place, of vaults and of buckets (restore-place.c) ---- */

/* Made where it is not there. 0: it is empty · 1: this very restoring was cut off there, a log without keys, of this archive ·
 * -EEXIST: it is another archive. *ret is to be freed by then also where it fails. */
int restore_place(const char *dir, const uint8_t id[16], struct cof_io **ret, struct cof_diag *diag);
int restore_keep_envelope(struct cof_io *io, const void *p, size_t n, struct cof_diag *diag);
/* Where it came from, for the first mount. */
int restore_note_source(struct cof_io *io, const char *url, uint64_t size, struct cof_diag *diag);
void restore_say_next(struct cof_io *io, const char *dir);

/* ---- fetching (restore-fetch.c) ---- */

/* From each source what the others could not give, until the newest head that one of them has is
 * whole in dir; goes on where one before was cut off. 0: that head · 1: only an older one, which is
 * whole. */
int restore_fetch(struct restoring *r, struct cof_diag *diag);
/* The same out of a bucket (bucket-restore.c): all of its newest head, or nothing counts. Says what lay over it. */
int restore_fetch_bucket(struct restoring *r, struct cof_diag *diag);
void restore_done(struct restoring *r);

/* ---- freshness (restore-heads.c) ---- */

enum restore_fresh {
	RESTORE_UNPROVEN, /* nobody else's head was seen */
	RESTORE_CLAIMED,  /* another source says the same, and its key was not given */
	RESTORE_PROVEN,   /* somebody else's head is the same */
	RESTORE_BEHIND,   /* somebody has a newer one */
};
struct restore_freshness {
	enum restore_fresh verdict;
	uint64_t newest; /* frames of the newest head that was seen */
	char by[256];    /* whose head says so */
};
/* A file with a head that somebody kept. -EBADMSG: it is not this archive's. Called behind
 * restore_fetch. */
int restore_heads(struct restoring *r, struct restore_freshness *ret,
		  struct cof_diag *diag); /* -ENOTUNIQ: a fork */

/* ---- opening (restore-open.c) ---- */

struct restored { /* an archive with keys, open to be read, in a scratch place within NEWSTORE */
	char *path;
	struct cof_io *io;
	struct cof_archive *archive;
	struct cof_recovered_keys keys;
	bool seals; /* were looked at */
	uint64_t cosignatures;
	struct cof_buf taken, ended; /* restore-taken.c: u64 each */
};
struct restore_keys {
	const char *identity; /* file of age identities; NULL: shares of a quorum open the envelope */
	const char *epoch;    /* the document of their epoch; NULL: that of epoch_of, a store that notes it */
	struct cof_io *epoch_of;
	int fds[COF_CUSTODIANS_MAX]; /* n_fds of them, a share from each; none: the terminal */
	unsigned n_fds, idle;
	const char *envelope; /* a copy of the envelope, or NULL */
	const char *auditor;  /* file of auditor secrets, or NULL: seals are not looked at */
	struct released released; /* of an archive that enrolled vaults */
};
/* Verifies all of the log (chain, tree, cosignatures, seals where an auditor's key was given),
 * recovers the keys, opens. */
int restore_open(struct restoring *r, struct restore_keys *k, struct restored *ret,
		 struct cof_diag *diag);
void restore_close(struct restored *s); /* and removes the scratch place */
/* Removes what restoring made in dir, and dir when nothing else is in it. */
int restore_destroy(const char *dir, struct cof_diag *diag);

/* ---- files (restore-out.c) ---- */

struct restore_wanted {
	const char *to;
	const char *shelf[RESTORE_NAMES], *file[RESTORE_NAMES], *first[RESTORE_NAMES];
	unsigned n_shelves, n_files, n_first; /* n_shelves and n_files 0: everything */
	uint64_t size;                        /* of the tree; COF_INDEX_NOW: the newest */
};
struct restore_counts {
	uint64_t files, bytes, there; /* there: of the files, those that were there already */
	uint64_t destroyed;	      /* besides: files whose content is no more */
	uint64_t unopened;	      /* and those that were written since vaults have a part of the keys, which nobody gave */
};
/* Shelves that come first: those of first, else of the policy. Goes on where one before was cut
 * off. */
int restore_out(struct restoring *r, struct restored *s, const struct restore_wanted *w,
		struct restore_counts *ret, struct cof_diag *diag);
typedef int (*restore_visit_fn)(void *user, const char *path, const struct cof_attr *attr);
/* Each object that is wanted, directories before what is in them. */
int restore_walk(struct cof_archive *a, const struct restore_wanted *w, restore_visit_fn fn,
		 void *user, struct cof_diag *diag);

/* ---- what nobody permitted to be taken out (restore-taken.c) ---- */

/* As the judge finds one and once it has judged all (of struct cof_judge_store). */
void restore_taken_add(struct restored *s, uint64_t sequence, const char *type);
int restore_taken_judged(void *user, struct cof_judge *j);
/* Names what is missing so of what is wanted, once all else was copied. -EPERM: something is. */
int restore_taken(const struct restored *s, const struct restore_wanted *w, struct cof_diag *diag);

/* ---- drills (restore-drill.c) ---- */

struct restore_drilled {
	uint64_t files, bytes, elsewhere, differ; /* elsewhere: moved or removed since, not compared */
	uint64_t destroyed;			  /* content that is no more, here and in the live archive */
	char first[300];			  /* of those that differ */
};
/* Every file that came with the live archive, mounted there. What differs is no error. */
int restore_compare(struct restoring *r, struct restored *s, struct cof_io *live, const char *mount,
		    struct restore_drilled *ret, struct cof_diag *diag);

/* A whole drill (restore-try.c): id and key are the live archive's, names of its vaults may stand for URLs; NEWSTORE is made,
 * and destroyed whatever came of it; the live archive, which has to be mounted, has it on record. 0: all is the same · 1: and it
 * took longer than the policy promises. */
int restore_try(struct restoring *r, struct restore_keys *k, const char *live,
		struct cof_diag *diag);

#endif
