/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Openers made, renewed, removed. The order of a renewal is what makes it safe (docs/format.md 7.6):
 * the new top and each opener's new file are durable before the counter is raised, and nothing old
 * is touched before that. Whatever happens in between, one of the two pairs opens.
 */
#include <stdio.h>

#include "fs/archive/archive.h"
#include "fs/archive/keys-nv.h"
#include "fs/archive/keys-seal.h"

static int write_seal(struct cof_io *io, const struct cof_seal_file *f, const void *p, size_t n,
		      struct cof_diag *diag)
{
	char path[64];
	int err;

	cof_seal_path(f, path);
	err = cof_io_replace(io, path, p, n);
	return err ? cof_fail(diag, err, "%s/%s could not be written: %s", cof_io_where(io), path,
			      strerror(-err))
		   : 0;
}

static struct cof_keys_wrap *wrap_of(const struct cof_keys *k, enum cof_opener_kind kind, uint32_t n)
{
	for (size_t i = 0; i < k->n_wraps; i++)
		if (k->wraps[i].kind == kind && k->wraps[i].n == n)
			return &k->wraps[i];
	return NULL;
}

/* ---- for the record ---- */

/* In memory; the top that is written next carries it. n 0: of no single opener. */
static void note(struct cof_keys *k, enum cof_opener_what what, uint8_t kind, uint32_t n, uint32_t pcrs,
		 uint8_t sets)
{
	struct cof_opener_event e = cof_opener_event_now(what);

	e.kind = kind;
	e.n = n;
	e.pcrs = pcrs;
	e.sets = sets;
	if (!k->making)
		cof_opener_events_add(&k->events, &e);
}

int cof_keys_note(struct cof_keys *k, struct cof_io *io, enum cof_opener_what what, struct cof_diag *diag)
{
	note(k, what, 0, 0, 0, 0);
	return cof_keys_write_top(k, io, false, diag);
}

/* ---- tpm2 ---- */

static int seal_tpm2(const struct cof_keys *k, struct cof_tpm *t, struct cof_tpm_seal_params *p,
		     const struct cof_tpm_pcrs *also, struct cof_buf *ret, uint32_t pcrs,
		     struct cof_diag *diag)
{
	struct cof_tpm_pcrs branch[2];
	int err = cof_tpm_pcrs_read(t, pcrs, &branch[0], diag);

	if (err)
		return err;
	if (also && also->mask & ~pcrs)
		return cof_fail(diag, -EINVAL, "values are given for PCRs that the seal does not measure");
	p->branches = branch;
	p->n_branches = 1;
	if (also) {
		branch[1] = branch[0];
		for (int i = 0; i < COF_TPM_PCRS; i++)
			if (also->mask & 1u << i)
				memcpy(branch[1].value[i], also->value[i], COF_HASH);
		p->n_branches = 2;
	}
	err = cof_seal_tpm2_make(t, p, k->archive_id, k->root, k->generation, ret, diag);
	p->branches = NULL;
	return err;
}

/*
 * The seal's secret moves into the TPM: there, then the top that says so, then keys/epoch goes. With both
 * there the TPM counts. From where the top may have reached the disk nothing is taken back.
 */
static int move_in(struct cof_keys *k, struct cof_io *io, struct cof_tpm *t, struct cof_diag *diag)
{
	bool defined = !k->nv.here;
	int err = defined ? cof_nv_define(k, t, diag) : 0;

	if (!err)
		err = cof_keys_write_top(k, io, false, diag);
	if (!err && !k->staged && defined)
		err = cof_nv_drop_file(io, diag);
	return err;
}

/* The other way round, before the top says so; k->nv stays until then. */
static int move_out(struct cof_keys *k, struct cof_io *io, struct cof_tpm *t, struct cof_diag *diag)
{
	int err = cof_nv_read(k, t, diag);

	return err ? err : cof_keys_write_epoch(k, io, &k->next, diag);
}

/* A counter of its own, then the file. What was defined is removed again if the rest fails. */
static int make_tpm2(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret,
		     uint32_t pcrs, struct cof_keys_wrap *w, struct cof_diag *diag)
{
	struct cof_seal_file f = {.kind = COF_OPENER_TPM2, .n = w->n, .staged = k->staged};
	struct cof_tpm_seal_params p = {.auth = secret->len ? w->key : NULL};
	cof_autotpm struct cof_tpm *t = NULL;
	cof_autobuf struct cof_buf blob = {0};
	int err = 0;

	if (!pcrs)
		return cof_fail(diag, -EINVAL, "a TPM's seal measures at least one PCR");
	if (secret->len)
		err = cof_seal_tpm2_auth(k->archive_id, secret->data, secret->len, w->key);
	if (err)
		return cof_fail(diag, err, "a PIN has 1 to 1024 bytes");
	err = cof_tpm_open(secret->tpm, &t, diag);
	if (!err)
		err = cof_tpm_index_free(t, k->archive_id, &p.index, diag);
	if (!err)
		err = cof_tpm_counter_define(t, p.index, COF_TPM_NORMAL, &p.value, diag);
	if (err)
		return err;
	err = seal_tpm2(k, t, &p, NULL, &blob, pcrs, diag);
	if (!err)
		err = move_in(k, io, t, diag);
	if (!err)
		err = write_seal(io, &f, blob.data, blob.len, diag);
	if (err)
		(void)cof_tpm_undefine(t, p.index, NULL);
	return err;
}

void cof_keys_unmake(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret)
{
	struct cof_seal_file f = {.kind = COF_OPENER_TPM2, .n = 1};
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autotpm struct cof_tpm *t = NULL;
	uint64_t generation;

	if (secret->kind != COF_OPENER_TPM2 || cof_tpm_open(secret->tpm, &t, NULL) < 0)
		return;
	if (s && cof_seal_tpm2_load(io, k->archive_id, &f, s, &generation) == 0)
		(void)cof_tpm_undefine(t, s->index, NULL);
	if (k->nv.here)
		cof_nv_undefine(k, t);
}

/* ---- adding and removing ---- */

static int make_by_secret(struct cof_keys *k, struct cof_io *io,
			  const struct cof_opener_secret *secret, const struct cof_argon2_cost *cost,
			  struct cof_keys_wrap *w, struct cof_diag *diag)
{
	struct cof_seal_file f = {.kind = secret->kind, .n = w->n, .staged = k->staged};
	uint8_t blob[COF_SEAL_SIZE];
	int err = cof_seal_make(secret, k->archive_id, cost, k->root, k->generation, blob, w->key);

	if (err)
		return cof_fail(diag, err, "the root key could not be sealed: %s",
				err == -EINVAL ? "a passphrase has 1 to 1024 bytes, a key file 32 to 4096"
					       : strerror(-err));
	/* The top first: a file without its wrap key there could never be renewed. */
	err = cof_keys_write_top(k, io, false, diag);
	return err ? err : write_seal(io, &f, blob, sizeof(blob), diag);
}

static int settled(struct cof_keys *k, struct cof_io *io, const char *tpm, struct cof_diag *diag)
{
	int err = k->staged ? 0 : cof_keys_settle(io, k->archive_id, tpm, diag);

	if (err > 0 || k->top_next) /* the caller opened it settled: somebody else was here */
		return cof_fail(diag, -EBUSY, "a renewal was finished just now: try again");
	if (err == -EAGAIN && diag)
		return cof_fail(diag, err, "a renewal of the seal was not finished, and only the TPM can "
					   "tell how it goes on: %.500s. If that TPM is gone for good: coffer "
					   "seal new-lineage STORE --without-tpm, with another opener",
				diag->text);
	return err;
}

int cof_keys_add_opener(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret,
			const struct cof_argon2_cost *cost, uint32_t pcrs, uint32_t *ret_n,
			struct cof_diag *diag)
{
	struct cof_keys_wrap *more = cof_secret_alloc((k->n_wraps + 1) * sizeof(*more)), *old = k->wraps;
	struct cof_opener_events before;
	uint32_t n = 0;
	int err = more ? settled(k, io, secret->tpm, diag) : -ENOMEM;

	for (size_t i = 0; i < k->n_wraps; i++)
		if (k->wraps[i].kind == secret->kind)
			n = COF_MAX(n, k->wraps[i].n);
	if (!err && secret->kind == COF_OPENER_TPM2 && n)
		err = cof_fail(diag, -EEXIST,
			       "this archive has the opener tpm2-%u: an archive has one TPM; remove that "
			       "opener first (coffer seal remove STORE tpm2-%u)",
			       n, n);
	if (err) {
		cof_secret_free(more);
		return err == -ENOMEM ? cof_fail(diag, err, "no secure memory left for an opener") : err;
	}
	if (old)
		memcpy(more, old, k->n_wraps * sizeof(*more));
	more[k->n_wraps] = (struct cof_keys_wrap){.kind = (uint8_t)secret->kind, .n = n + 1};
	k->wraps = more;
	k->n_wraps++;
	before = k->events;
	note(k, COF_OPENER_ADDED, (uint8_t)secret->kind, n + 1, secret->kind == COF_OPENER_TPM2 ? pcrs : 0, 1);
	if (secret->kind == COF_OPENER_TPM2)
		err = make_tpm2(k, io, secret, pcrs, &more[k->n_wraps - 1], diag);
	else
		err = make_by_secret(k, io, secret, cost, &more[k->n_wraps - 1], diag);
	if (err) { /* a wrap key too many in the top harms nobody; its note says that it was not finished */
		k->events = before;
		k->wraps = old;
		k->n_wraps--;
		cof_secret_free(more);
		return err;
	}
	cof_secret_free(old);
	if (ret_n)
		*ret_n = n + 1;
	return 0;
}

static int not_moved(int err, struct cof_diag *diag)
{
	struct cof_diag why = diag ? *diag : (struct cof_diag){""};

	return cof_fail(diag, err,
			"the seal's secret lies in the TPM and cannot be taken back: %.600s. If it is gone for "
			"good, begin the seal anew first: coffer seal new-lineage STORE (--without-tpm where "
			"there is no TPM any more)",
			why.text);
}

int cof_keys_remove_opener(struct cof_keys *k, struct cof_io *io, enum cof_opener_kind kind, uint32_t n,
			   const char *tpm, struct cof_diag *diag)
{
	struct cof_seal_file f = {.kind = kind, .n = n};
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_keys_wrap *w = wrap_of(k, kind, n);
	struct cof_seal_files files;
	uint64_t generation;
	size_t others = 0;
	struct cof_keys_nv nv;
	bool here = false, counter;
	char path[64];
	int err = s ? settled(k, io, tpm, diag) : -ENOMEM;

	if (!err)
		err = cof_seal_list(io, &files);
	if (err)
		return err;
	for (size_t i = 0; i < files.n; i++) {
		if (files.file[i].kind == kind && files.file[i].n == n)
			here = true;
		else
			others++;
	}
	cof_seal_path(&f, path);
	if (!here && !w)
		return cof_fail(diag, -ENOENT, "%s/%s is not there", cof_io_where(io), path);
	if (!others)
		return cof_fail(diag, -EBUSY,
				"%s is the last opener of this archive: without one nobody opens it; add "
				"another first (coffer seal add)",
				path);
	counter = kind == COF_OPENER_TPM2 &&
		  cof_seal_tpm2_load(io, k->archive_id, &f, s, &generation) == 0;
	if (kind == COF_OPENER_TPM2 && k->nv.here) {
		err = cof_tpm_open(tpm, &t, diag);
		if (!err)
			err = move_out(k, io, t, diag);
		if (err)
			return not_moved(err, diag);
	}
	note(k, COF_OPENER_REMOVED, (uint8_t)kind, n, 0, 0);
	err = cof_keys_write_top(k, io, false, diag);
	if (err)
		return err;
	err = cof_io_unlink(io, path);
	if (!err || err == -ENOENT)
		err = cof_io_sync_dir(io, COF_SEAL_DIR);
	if (err)
		return cof_fail(diag, err, "%s cannot be removed: %s", path, strerror(-err));
	nv = k->nv;
	if (kind == COF_OPENER_TPM2)
		cof_wipe(&k->nv, sizeof(k->nv));
	if (w || nv.here) {
		if (w) {
			memmove(w, w + 1, (size_t)(k->wraps + k->n_wraps - (w + 1)) * sizeof(*w));
			k->n_wraps--;
		}
		err = cof_keys_write_top(k, io, false, diag);
	}
	if (!err && kind == COF_OPENER_TPM2 && (t || cof_tpm_open(tpm, &t, NULL) == 0)) {
		if (counter) /* elsewhere by now: nothing to remove */
			(void)cof_tpm_undefine(t, s->index, NULL);
		if (nv.here) {
			(void)cof_tpm_undefine(t, nv.seal, NULL);
			(void)cof_tpm_undefine(t, nv.anchor, NULL);
		}
	}
	cof_wipe(&nv, sizeof(nv));
	return err;
}

/* ---- renewal ---- */

struct renewing {
	struct cof_io *io;
	struct cof_keys *next; /* as the keys, with the new root key */
	const struct cof_renewal *r;
	struct cof_tpm *tpm;
	uint32_t index;
	uint64_t target; /* of the counter; 0: no opener is a TPM */
	struct cof_diag *diag;
};

static int renew_tpm2(struct renewing *n, const struct cof_seal_file *f)
{
	const struct cof_keys_wrap *w = wrap_of(n->next, f->kind, f->n);
	struct cof_seal_file to = {.kind = f->kind, .n = f->n, .next = true};
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autobuf struct cof_buf blob = {0};
	struct cof_tpm_seal_params p = {0};
	uint64_t generation = 0, now = 0;
	int err = s && w ? cof_seal_tpm2_load(n->io, n->next->archive_id, f, s, &generation) : -ENOKEY;

	if (err)
		return cof_fail(n->diag, err,
				"seal/tpm2-%u cannot be read: remove that opener and add it anew (coffer "
				"seal remove, coffer seal add)",
				f->n);
	n->tpm = n->r->open;
	err = n->tpm ? 0 : cof_tpm_open(n->r->tpm, &n->tpm, n->diag);
	if (!err)
		err = cof_tpm_counter_read(n->tpm, s->index, COF_TPM_NORMAL, &now, n->diag);
	if (err)
		return err;
	n->index = p.index = s->index;
	n->target = p.value = now + 1; /* also when somebody else raised it: the seal lives again */
	p.auth = s->pin ? w->key : NULL;
	err = seal_tpm2(n->next, n->tpm, &p, n->r->also, &blob,
			n->r->pcrs ? n->r->pcrs : s->branch[0].mask, n->diag);
	return err ? err : write_seal(n->io, &to, blob.data, blob.len, n->diag);
}

static int renew_by_wrap(struct renewing *n, const struct cof_seal_file *f)
{
	const struct cof_keys_wrap *w = wrap_of(n->next, f->kind, f->n);
	struct cof_seal_file to = {.kind = f->kind, .n = f->n, .next = true};
	cof_autofree uint8_t *blob = NULL;
	size_t len = 0;
	char path[64];
	int err;

	cof_seal_path(f, path);
	err = cof_io_load(n->io, path, COF_SEAL_SIZE, &blob, &len);
	if (!err && (len != COF_SEAL_SIZE || !w))
		err = -EUCLEAN;
	if (!err)
		err = cof_seal_rewrap(blob, w->key, n->next->root, n->next->generation);
	if (err)
		return cof_fail(n->diag, err, "%s/%s cannot be renewed: %s", cof_io_where(n->io), path,
				strerror(-err));
	return write_seal(n->io, &to, blob, len, n->diag);
}

static int renew_all(struct renewing *n)
{
	struct cof_seal_files files;
	int err = cof_seal_list(n->io, &files);

	if (err)
		return cof_fail(n->diag, err, "%s/seal cannot be read: %s", cof_io_where(n->io),
				strerror(-err));
	err = cof_keys_write_top(n->next, n->io, true, n->diag);
	for (size_t i = 0; !err && i < files.n; i++)
		err = files.file[i].kind == COF_OPENER_TPM2 ? renew_tpm2(n, &files.file[i])
							    : renew_by_wrap(n, &files.file[i]);
	if (!err && n->target)
		err = cof_tpm_counter_raise(n->tpm, n->index, COF_TPM_NORMAL, n->target, NULL, n->diag);
	return err;
}

int cof_keys_renew_to(struct cof_keys *k, struct cof_keys *next, struct cof_io *io, const struct cof_renewal *r,
		      struct cof_diag *diag)
{
	struct renewing n = {.io = io, .next = next, .r = r, .diag = diag};
	struct cof_diag quiet;
	int err;

	next->generation++;
	cof_random(next->root, COF_KEY);
	note(next, COF_OPENER_RENEWED, 0, 0, r->pcrs ? r->pcrs : r->also ? r->also->mask : 0, r->also ? 2 : 1);
	err = renew_all(&n);
	if (!r->open)
		cof_tpm_free(n.tpm);
	/* After a failure it is taken back, unless the counter says that it is in force. */
	if (err && cof_keys_settle(io, k->archive_id, r->tpm, &quiet) <= 0)
		return err;
	err = cof_keys_forward(io, diag);
	if (err)
		return err;
	memcpy(k->root, next->root, COF_KEY);
	k->generation = next->generation;
	k->events = next->events;
	return 0;
}

int cof_keys_renew_begin(struct cof_keys *k, struct cof_io *io, const struct cof_renewal *r, struct cof_diag *diag)
{
	int err = settled(k, io, r->tpm, diag);

	if (err)
		return err;
	err = cof_keys_pages_drop(io, COF_KEYS_NEXT);
	return err ? cof_fail(diag, err, "%s/keys cannot be written to: %s", cof_io_where(io), strerror(-err)) : 0;
}

int cof_keys_renew(struct cof_keys *k, struct cof_io *io, const struct cof_renewal *r,
		   struct cof_diag *diag)
{
	cof_autosecret struct cof_keys *next = cof_secret_alloc(sizeof(*next));
	int err = next ? cof_keys_renew_begin(k, io, r, diag) : -ENOMEM;

	if (err)
		return err == -ENOMEM ? cof_fail(diag, err, "no secure memory left for a root key") : err;
	*next = *k; /* shares trees and lists */
	return cof_keys_renew_to(k, next, io, r, diag);
}
