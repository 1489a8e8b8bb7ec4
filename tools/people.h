/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs people, request, approve, refuse and requests share. */
#ifndef COFFER_PEOPLE_H
#define COFFER_PEOPLE_H

#include "tools/opener.h"
#include "tools/store.h"

struct people_asking { /* the archive: through its daemon, or opened with its key */
	struct opener_args opener;
	struct store store;
	struct cof_archive *archive;
	bool reads; /* nothing is written: what is not mounted is opened to be read only */
};
#define PEOPLE_ASKING_INIT                                                                         \
	{                                                                                          \
		.opener = OPENER_ARGS_INIT                                                         \
	}
int people_open(struct people_asking *a, const char *arg, struct cof_diag *diag);
/* One of cof_archive_people's verbs. args gets the key "verb". */
int people_ask(struct people_asking *a, const char *verb, struct cof_json *args, cof_show_fn fn, void *user,
	       struct cof_diag *diag);
/* As people_ask, for an answer of one line. */
int people_ask_one(struct people_asking *a, const char *verb, struct cof_json *args, struct cof_json **ret,
		   struct cof_diag *diag);
/* Events that match, in order; through the daemon, or of the archive that was opened. */
int people_events(struct people_asking *a, const struct cof_events_query *q, cof_show_fn fn, void *user, struct cof_diag *diag);
int people_close(struct people_asking *a, int r, struct cof_diag *diag); /* r, or what closing says */

void people_set_bytes(struct cof_json *args, const char *key, const struct cof_buf *b);
/* document and sheet of an answer to ID.request and ID.sheet in dir. *ret_path: of the first, the caller's. */
int people_save(const struct cof_json *answer, const char *dir, char **ret_path, struct cof_diag *diag);
/* The signature of a document for a purpose: from a file, or made now by ssh-keygen with this key. */
int people_sign(const char *document, const char *purpose, const char *key, struct cof_buf *ret, struct cof_diag *diag);
/* "…/ID.request" → "…/ID.sheet"; the caller's. */
char *people_sheet_of(const char *request);
void people_say_request(const struct cof_json *o);

/* ---- cmd-request.c, for coffer retain declare ---- */

struct declaring {
	const char *event, *happened; /* NULL: now */
	const char *as, *reason, *key, *dir; /* all but the first may be NULL */
	char **paths; /* on a mounted archive, files or trees */
	size_t n_paths;
	bool json;
};
/* Requests the declaration for what waits for the event, and tells the counts. *ret_failed: paths that were told as
 * failed. */
int request_declare(const struct declaring *d, uint64_t *ret_failed, struct cof_diag *diag);

#endif
