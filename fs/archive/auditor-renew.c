/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other auditors than before: what the present files hold is sealed to them, with the identity of an auditor who
 * opens those, for the host keeps no lineage's first secret. The order (docs/format.md 7.5): each new file
 * beside the old one and tried, the top with the recipients and the note, then the new files in their places.
 */
#include <stdio.h>

#include "fs/archive/auditor.h"
#include "fs/archive/keys-seal.h"

#define NEXT ".next"

struct renewing {
	struct cof_keys *k;
	struct cof_io *io;
	const struct cof_auditor_renewal *p;
	struct cof_auditor_files files; /* there before */
	bool made[COF_AUDITORS_MAX];
	struct cof_auditor *secret; /* one at a time; secure memory */
	struct cof_diag *diag;
};

static void next_of(uint32_t lineage, char out[80])
{
	char path[64];

	cof_auditor_path(lineage, path);
	snprintf(out, 80, "%s" NEXT, path);
}

static int make_next(struct renewing *n, struct cof_auditors_renewed *ret)
{
	char path[64], next[80];
	int r = 0;

	for (size_t i = 0; i < n->files.n && r == 0; i++) {
		cof_auditor_path(n->files.lineage[i], path);
		next_of(n->files.lineage[i], next);
		r = cof_auditor_open(n->io, n->k->archive_id, path, n->p->identities, n->p->n_identities,
				     n->secret, n->diag);
		if (r == -EKEYREJECTED) {
			ret->left++;
			r = 0;
			continue;
		}
		if (r == 0 && n->secret->lineage != n->files.lineage[i])
			r = cof_fail(n->diag, -EUCLEAN, "%s/%s holds the secret of lineage %u",
				     cof_io_where(n->io), path, n->secret->lineage);
		if (r == 0)
			r = cof_auditor_put(n->k, n->io, next, n->secret, n->diag);
		n->made[i] = r == 0;
		ret->passed += r == 0;
	}
	return r < 0 ? r : ret->passed ? 0 : -EKEYREJECTED;
}

static int use_next(struct renewing *n)
{
	char path[64], next[80];
	int r = 0;

	for (size_t i = 0; i < n->files.n && r == 0; i++) {
		cof_auditor_path(n->files.lineage[i], path);
		next_of(n->files.lineage[i], next);
		r = n->made[i] ? cof_io_rename(n->io, next, path) : cof_io_unlink(n->io, next);
		if (r == -ENOENT && !n->made[i]) /* else left by a renewal that was cut */
			r = 0;
	}
	if (r == 0)
		r = cof_io_sync_dir(n->io, "seal");
	return r < 0 ? cof_fail(n->diag, r, "%s/seal/auditor*.age cannot be replaced: %s", cof_io_where(n->io),
				strerror(-r))
		     : 0;
}

int cof_auditors_renew(struct cof_keys *k, struct cof_io *io, const struct cof_auditor_renewal *p,
		       struct cof_auditors_renewed *ret, struct cof_diag *diag)
{
	cof_autosecret struct cof_auditor *secret = cof_secret_alloc(sizeof(*secret));
	struct renewing n = {.k = k, .io = io, .p = p, .secret = secret, .diag = diag};
	struct cof_auditors_renewed done = {0};
	int r = secret ? 0 : -ENOMEM;

	if (r == 0)
		r = cof_auditors_set(k, p->auditors, p->n_auditors);
	if (r == 0)
		r = cof_auditor_list(io, &n.files);
	if (r < 0)
		return cof_fail(diag, r, "%s: the auditors cannot be changed: %s", cof_io_where(io), strerror(-r));
	done.left = p->n_identities ? 0 : n.files.n;
	if (p->n_identities && !n.files.n)
		return cof_fail(diag, -ENOENT,
				"%s/seal/auditor.age is not there: without an identity the new auditors get "
				"the secret of the next lineage",
				cof_io_where(io));
	if (p->n_identities)
		r = make_next(&n, &done);
	if (r == 0)
		r = cof_keys_note(k, io, COF_OPENER_AUDITORS, diag);
	if (r == 0)
		r = use_next(&n);
	if (r == 0)
		*ret = done;
	return r;
}

static int find_next(void *user, const char *name)
{
	size_t n = strlen(name);

	if (!strncmp(name, "auditor", 7) && n > sizeof(NEXT) && !strcmp(name + n - (sizeof(NEXT) - 1), NEXT))
		*(int *)user = 1;
	return 0;
}

int cof_auditors_unfinished(struct cof_io *io)
{
	int found = 0;

	return cof_io_list(io, "seal", find_next, &found) < 0 ? 0 : found;
}
