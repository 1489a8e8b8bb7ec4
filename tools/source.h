/* SPDX-License-Identifier: Apache-2.0 */
/* An archive that is only read: through its daemon, or, where it is not mounted, opened with its key and unchanged. */
#ifndef COFFER_SOURCE_H
#define COFFER_SOURCE_H

#include "tools/opener.h"
#include "tools/store.h"

struct source {
	struct opener_args opener;
	struct store store;
	struct cof_archive *archive; /* NULL while a daemon answers */
};
#define SOURCE_INIT                                                                                \
	{                                                                                          \
		.opener = OPENER_ARGS_INIT                                                         \
	}
int source_open(struct source *s, const char *arg, struct cof_diag *diag);
void source_close(struct source *s);
#define autosource COF_CLEANUP(source_close)

/* What cof_archive_certs finds for these arguments; args gets the key "verb". */
int source_certs(struct source *s, struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag);
/* cof_archive_info of every object below the root, in no order. */
int source_objects(struct source *s, cof_show_fn fn, void *user, struct cof_diag *diag);
int source_shelves(struct source *s, cof_show_fn fn, void *user, struct cof_diag *diag);
/* The policy of the archive in force; *ret_set: one was set. */
int source_policy(struct source *s, struct cof_profile *ret, bool *ret_set, struct cof_diag *diag);
/* What cof_archive_read gives, of a file that is small: -EFBIG where it has more than cap bytes. A mounted one is read
 * through its mount, as anybody would: where its shelf has read_events that is on record, so leave it. */
int source_content(struct source *s, uint64_t ino, const char *path, void *buf, size_t cap, size_t *ret_n);

#endif
