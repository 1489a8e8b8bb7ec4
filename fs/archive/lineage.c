/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer seal new-lineage: the seal begun anew by somebody who has an opener, since the TPM that held its
 * secret and the anchor is gone, or what they say no longer fits the log (docs/format.md 7.9). The log is
 * read and not touched. A break in the seal is meant to show: it stays in the chain for ever.
 *
 * The new lineage is in force once keys/top names the TPM's indices, or without a TPM once keys/epoch
 * holds it and the top names none. keys/lineage is there before that, and tells the next mount to put it
 * on record; that of a lineage that never came into force means nothing.
 */
#include <stdio.h>

#include "fs/archive/auditor.h"
#include "fs/archive/envelope.h"
#include "fs/archive/internal.h"
#include "fs/archive/keys-nv.h"
#include "fs/archive/keys-seal.h"

#define MARK "keys/lineage"

struct beginning {
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_keys *keys;
	struct cof_keys_checked log;
	struct cof_tpm *tpm; /* NULL: without */
	struct cof_diag *diag;
};

static int mark(struct beginning *b)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "lineage %u from epoch %llu on, not on record yet\n",
			 b->keys->next.lineage, (unsigned long long)b->keys->next.epoch);
	int r = cof_io_replace(b->io, MARK, text, (size_t)n);

	return r < 0 ? cof_fail(b->diag, r, "%s/" MARK " cannot be written: %s", cof_io_where(b->io),
				strerror(-r))
		     : 0;
}

/* The TPM's indices of the lineage before, where they are still ours. */
static void undefine_old(struct beginning *b, struct cof_keys_nv *old)
{
	cof_autosecret struct cof_keys *k = cof_secret_alloc(sizeof(*k));

	if (!k || !old->here)
		return;
	memcpy(k->archive_id, b->keys->archive_id, sizeof(k->archive_id));
	k->nv = *old;
	if (cof_nv_read(k, b->tpm, NULL) == 0)
		cof_nv_undefine(k, b->tpm);
}

static int into_tpm(struct beginning *b)
{
	struct cof_keys_nv old = b->keys->nv;
	int r = cof_nv_define(b->keys, b->tpm, b->diag);

	if (r == 0)
		r = mark(b);
	if (r == 0)
		r = cof_keys_write_top(b->keys, b->io, false, b->diag);
	if (r == 0)
		r = cof_nv_drop_file(b->io, b->diag);
	if (r == 0)
		undefine_old(b, &old);
	cof_wipe(&old, sizeof(old));
	return r;
}

static int into_file(struct beginning *b)
{
	struct cof_keys *k = b->keys;
	int r = mark(b);

	if (r == 0)
		r = cof_keys_write_epoch(k, b->io, &k->next, b->diag);
	if (r == 0 && k->nv.here) {
		cof_wipe(&k->nv, sizeof(k->nv));
		r = cof_keys_write_top(k, b->io, false, b->diag);
	}
	return r;
}

static int begin(struct beginning *b)
{
	struct cof_keys *k = b->keys;
	int r = cof_keys_check(k, b->io, &b->conf, false, &b->log, b->diag);

	if (r == 0 && (b->log.epoch >= UINT64_MAX - 1 || b->log.lineage == UINT32_MAX))
		r = cof_fail(b->diag, -EUCLEAN, "the log's last MOUNT frame is at an epoch that cannot be");
	if (r < 0)
		return r;
	cof_keys_draw_epoch(k, b->log.epoch + 1, b->log.lineage + 1);
	r = cof_auditor_write(k, b->io, k->next.epoch, k->next.secret, b->diag);
	if (r < 0)
		return r;
	return b->tpm ? into_tpm(b) : into_file(b);
}

static bool sealed_by_tpm(struct cof_io *io)
{
	struct cof_seal_files files;
	bool yes = false;

	if (cof_seal_list(io, &files) == 0)
		for (size_t i = 0; i < files.n; i++)
			yes |= files.file[i].kind == COF_OPENER_TPM2;
	return yes;
}

/* Never to the weaker place by itself. */
static int reach_tpm(struct beginning *b, const struct cof_opener_secret *secret, bool without)
{
	if (without || (!b->keys->nv.here && !sealed_by_tpm(b->io)))
		return 0;
	return cof_tpm_open(secret->tpm, &b->tpm, b->diag);
}

int cof_store_seal_lineage(struct cof_io *io, const struct cof_opener_secret *secret, bool without_tpm,
			   struct cof_new_lineage *ret, struct cof_diag *diag)
{
	struct beginning b = {.io = io, .diag = diag};
	char holder[64];
	int r = cof_conf_load(io, &b.conf, diag);

	if (r < 0)
		return r;
	if (without_tpm && secret->kind == COF_OPENER_TPM2)
		return cof_fail(diag, -EINVAL, "the TPM that opens the archive can hold the seal's secret too");
	snprintf(holder, sizeof(holder), "coffer seal, pid %ld", (long)getpid());
	r = cof_io_lock(io, holder, diag);
	if (r < 0)
		return r;
	r = cof_keys_open_settled(io, b.conf.id, secret, &b.keys, diag);
	if (r == 0 && without_tpm) /* or the TPM, when it comes back, would bring keys of another lineage into force */
		r = cof_keys_settle_as_opened(b.keys, io, diag);
	if (r == 0)
		r = reach_tpm(&b, secret, without_tpm);
	if (r == 0)
		r = begin(&b);
	if (r == 0)
		*ret = (struct cof_new_lineage){.lineage = b.keys->next.lineage, .auditors = b.keys->n_auditors,
						.in_tpm = b.tpm != NULL};
	cof_tpm_free(b.tpm);
	cof_keys_free(b.keys);
	cof_io_unlock(io);
	return r;
}

/* ---- on record ---- */

/* Whether a mark says that these keys begin their lineage with the next MOUNT frame. */
static bool begins(struct cof_io *io, const char *path, const struct cof_keys *k)
{
	cof_autofree uint8_t *text = NULL;
	unsigned long long epoch = 0;
	unsigned lineage = 0;
	char line[129] = "";
	size_t n = 0;

	if (cof_io_load(io, path, sizeof(line) - 1, &text, &n) < 0)
		return false;
	memcpy(line, text, n);
	return sscanf(line, "lineage %u from epoch %llu ", &lineage, &epoch) == 2 && lineage == k->next.lineage &&
	       epoch == k->next.epoch;
}

int cof_lineage_begin(struct cof_archive *a, struct cof_diag *diag)
{
	const struct cof_keys *k = a->keys;

	if (!begins(a->io, COF_KEYS_RECOVERED, k) && !begins(a->io, MARK, k))
		return 0;
	return cof_auditor_write(k, a->io, k->next.epoch, k->next.secret, diag);
}

int cof_lineage_due(struct cof_io *io, uint32_t lineage)
{
	cof_autofree uint8_t *text = NULL;
	unsigned marked = 0;
	size_t n = 0;
	int r = cof_io_load(io, MARK, 256, &text, &n);

	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG)
		return 1; /* somebody wrote there: one record too many says so */
	if (r < 0)
		return r;
	for (size_t i = sizeof("lineage ") - 1; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		marked = marked * 10 + (text[i] - '0');
	return marked == lineage ? 1 : 0;
}

int cof_lineage_done(struct cof_io *io)
{
	int r = cof_io_unlink(io, MARK);

	return r == -ENOENT ? 0 : r == 0 ? cof_io_sync_dir(io, "keys") : r;
}
