/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copies of an archive in buckets with Object Lock, as its store names them:
 * STORE/vaults/NAME.bucket, and NAME.objects, what was put there. They judge and sign nothing, and
 * are no vaults: vault_entries does not give them.
 */
#ifndef COFFER_BUCKETS_H
#define COFFER_BUCKETS_H

#include "base/json.h"
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/s3/copy.h"
#include "tools/store.h"
#include "tools/vault-record.h"

struct bucket {
	char name[64];
	char url[512], place[128], jurisdiction[8], basis[256];
	char retiring[32]; /* since when nothing more shall go there; "" */
	struct s3_target target;
	int64_t base; /* ns: lock of what nothing else locks */
	char abilities[160];
	int64_t probed;
};
/* -ENOENT: there is none of that name. */
int bucket_load(const struct store *s, const char *name, struct bucket *ret, struct cof_diag *diag);
int bucket_save(const struct store *s, const struct bucket *b, struct cof_diag *diag);
bool bucket_exists(const struct store *s, const char *name);
int bucket_entries(const struct store *s, int (*fn)(void *user, const struct bucket *b), void *user,
		   struct cof_diag *diag);
/* A descriptor: until it is closed nobody else writes its note. -EBUSY */
int bucket_lock(const struct store *s, const char *name, struct cof_diag *diag);
/* Its note: what is damaged or missing is begun anew. */
int bucket_copy_load(const struct store *s, const struct bucket *b, struct s3_copy **ret,
		     struct cof_diag *diag);
int bucket_copy_save(const struct store *s, const char *name, const struct cof_buf *text,
		     struct cof_diag *diag);
/* When something was sent there last; INT64_MIN: never. */
int bucket_sent(const struct store *s, const struct bucket *b, int64_t *ret, struct cof_diag *diag);
/* Appends an object for each: bucket, url, endpoint, place, jurisdiction, size, behind, sent,
 * objects, bytes, held, locked_until (the earliest end), abilities, bare, checked, findings, retiring (since when). */
int bucket_entries_json(const struct store *s, struct cof_json *array, struct cof_diag *diag);
/* Lines of status and of `coffer vault list`, from such objects. */
void bucket_say(const struct cof_json *array);

/* ---- what is done with them (bucket-verbs.c) ---- */

extern const struct tool_option bucket_options[],
    bucket_way_options[]; /* of vault add; of restore */
struct bucket_args {
	const char *endpoint, *region, *credentials, *ca, *place, *jurisdiction, *lock, *part, *basis;
	bool insecure_http;
};
int bucket_take(struct bucket_args *a,
		int option); /* an option's index there; EXIT_OK, or what misuse gives */
int bucket_target(const struct bucket_args *a, const char *url, struct s3_target *ret,
		  struct cof_diag *diag);
int bucket_add(const struct store *s, const char *name, const char *url,
	       const struct bucket_args *a, struct cof_diag *diag);
struct bucket_sync {
	const struct store *store;
	uint64_t limit;
	bool json;
	const void *envelope;
	size_t envelope_len;
	struct progress *progress;
	struct vault_recording *recording;
	struct cof_buf *newer; /* a head of this archive, as text, of more frames than the store has, where one is there */
};
/* Says what it did, and puts it on record. -ESTALE and -ENOTUNIQ as s3_push. */
int bucket_push(const struct bucket_sync *p, const struct bucket *b, struct cof_diag *diag);
/* It is left: an open item for ever, since nobody signs that what is locked there is gone. */
int bucket_retire(const struct store *s, const char *name, struct cof_diag *diag);
/* Says what was found. *ret_findings. */
int bucket_check(const struct store *s, const char *name, bool all, bool json,
		 uint64_t *ret_findings, struct cof_diag *diag);

#endif
