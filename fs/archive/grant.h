/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: what people request, and what is done once the rule is met. One row of the table
 * in grant.c for each action; its functions lie in act-NAME.c.
 *
 * Lock order: people -> stamp -> gate -> … (internal.h). The functions below are called with the people
 * lock held and without the gate: each takes the gate itself where it needs it.
 */
#ifndef COF_ARCHIVE_GRANT_H
#define COF_ARCHIVE_GRANT_H

#include "fs/archive/internal.h"
#include "fs/rules/approve.h"

struct cof_grant {
	uint8_t request[32];
	uint64_t approval; /* sequence of the APPROVAL frame that met the rule */
	const struct cof_who *who; /* whose call it was that met it; the daemon after a crash */
};

struct cof_action {
	const char *name;
	/* It is about objects: the document names them, the shelves in which they lie, and their state. */
	bool objects;
	/*
	 * From what the command line gave (args: "words", an array of strings; "reason", "case"; the CLI puts a
	 * file's content in the place of a word @FILE) to the document: adds the action's keys, and objects, shelves
	 * and before where they apply, and to the sheet one line for each thing that a person has to know (paths,
	 * names, old and new values). Core adds the rest. -EINVAL, -ENOENT with a sentence.
	 */
	int (*fill)(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc,
		    struct cof_buf *sheet, struct cof_diag *diag);
	/* What `before` has to be, where the document has one: SHA-256 over what is in force or the objects' state.
	 * NULL: cof_action_objects_state. */
	int (*state)(struct cof_archive *a, const struct cof_json *doc, uint8_t ret[32], struct cof_diag *diag);
	/* Which rule the request has to meet, beyond that of the judge (which knows the actions of docs/format.md 9
	 * by their names and the document's shelves). NULL: none. ret comes filled; it may only become stronger. */
	int (*rule)(struct cof_archive *a, const struct cof_json *doc, struct cof_approval_rule *ret,
		    struct cof_diag *diag);
	/* Whether it makes sense now: asked at the request, at each approval and right before apply. `before` was
	 * compared already. */
	int (*check)(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag);
	/* Once the rule is met. Idempotent: a crash between APPROVAL and the act's frames is finished by the next
	 * mount, which calls it again. Its frames carry the request id (public, COF_T_REQUEST). After an error the
	 * request has failed for good, so give one only where nothing was done or nothing more can be. */
	int (*apply)(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g,
		     struct cof_diag *diag);
};
extern const struct cof_action *const cof_actions[]; /* NULL behind the last */
const struct cof_action *cof_action_find(const char *name);

/* Whether the document names this shelf, whose rule then counts. */
bool cof_action_has_shelf(const struct cof_json *doc, uint64_t shelf);
/* Whether it names each shelf in which one of its objects lies: -EINVAL with a sentence, -ESTALE. */
int cof_action_check_shelves(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag);

/* For fill: the paths among the words ("inode:N" names what has no path any more), resolved: objects (committed files; of a directory its whole tree where
 * trees is set), their shelves and their state, and a line each in the sheet. */
int cof_action_add_paths(struct cof_archive *a, const struct cof_json *args, size_t first_word,
			 struct cof_json *doc, struct cof_buf *sheet, struct cof_diag *diag);
/* As cof_action_add_paths, of committed files only those that wait for this event; how many others there are goes
 * into the document ("skipped") and the sheet. */
int cof_action_add_waiting(struct cof_archive *a, const struct cof_json *args, size_t first_word, const char *event,
			   struct cof_json *doc, struct cof_buf *sheet, struct cof_diag *diag);
/* What rm asked to be removed (asked.c), as far as it has expired, is held by nothing and fits into one request. */
int cof_action_add_asked(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
			 struct cof_diag *diag);
/* As cof_action_add_paths, of files only those whose retention is over and that nothing holds. */
int cof_action_add_expired(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
			   struct cof_diag *diag);
/* Sets objects (in ascending order, ranges made), shelves and before from inode numbers. */
int cof_action_set_objects(struct cof_archive *a, const uint64_t *ino, size_t n, struct cof_json *doc,
			   struct cof_diag *diag);
/* SHA-256 over inode, state, retain_until, commit sequence and holds of each object, in order. */
int cof_action_objects_state(struct cof_archive *a, const struct cof_json *doc, uint8_t ret[32],
			     struct cof_diag *diag);
typedef int (*cof_action_object_fn)(void *user, uint64_t ino);
int cof_action_each_object(const struct cof_json *doc, cof_action_object_fn fn, void *user);
const char *cof_action_word(const struct cof_json *args, size_t i); /* NULL behind the last */

#endif
