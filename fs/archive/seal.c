/* SPDX-License-Identifier: Apache-2.0 */
/* The seal of an archive that nobody has mounted: shown, renewed, openers added and removed. */
#include <stdio.h>

#include "fs/archive/archive.h"
#include "fs/archive/auditor.h"
#include "crypto/age.h"
#include "fs/archive/door.h"
#include "fs/archive/envelope.h"
#include "fs/archive/keys-seal.h"

static void show_tpm2(struct cof_json *o, const struct cof_tpm_sealed *s)
{
	char text[80];

	cof_json_set_bool(o, "pin", s->pin);
	cof_tpm_pcrs_text(s->branch[0].mask, text);
	cof_json_set_str(o, "pcrs", text);
	cof_json_set_uint(o, "sets", s->n_branches);
	snprintf(text, sizeof(text), "0x%08x", s->index);
	cof_json_set_str(o, "index", text);
	cof_json_set_uint(o, "value", s->value);
}

static void show_one(struct cof_io *io, const struct cof_conf *conf, const struct cof_seal_file *f,
		     struct cof_json *array)
{
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	struct cof_json *o = cof_json_object();
	uint64_t generation = 0;
	char path[64];
	int r = 0;

	cof_seal_path(f, path);
	cof_json_set_str(o, "name", path + strlen(COF_SEAL_DIR "/"));
	cof_json_set_str(o, "kind", cof_opener_name(f->kind));
	cof_json_set_bool(o, "pending", f->next);
	if (f->kind == COF_OPENER_TPM2)
		r = s ? cof_seal_tpm2_load(io, conf->id, f, s, &generation) : -ENOMEM;
	if (r < 0)
		cof_json_set_str(o, "error", r == -EXDEV ? "of another archive" : "damaged");
	else if (f->kind == COF_OPENER_TPM2)
		show_tpm2(o, s);
	cof_json_append(array, o);
}

int cof_store_seal_show(struct cof_io *io, struct cof_json *array, struct cof_diag *diag)
{
	struct cof_seal_files files;
	struct cof_conf conf;
	int r = cof_conf_load(io, &conf, diag);

	if (r < 0)
		return r;
	r = cof_seal_list(io, &files);
	if (r < 0)
		return cof_fail(diag, r, "%s/" COF_SEAL_DIR " could not be read: %s", cof_io_where(io),
				strerror(-r));
	for (size_t i = 0; i < files.n; i++)
		show_one(io, &conf, &files.file[i], array);
	return 0;
}

/* Lock and keys; the lock is held when it returns 0. */
static int begin_conf(struct cof_io *io, const struct cof_opener_secret *secret, struct cof_conf *ret_conf,
		      struct cof_keys **ret, struct cof_diag *diag)
{
	char holder[64];
	int r = cof_conf_load(io, ret_conf, diag);

	if (r < 0)
		return r;
	snprintf(holder, sizeof(holder), "coffer seal, pid %ld", (long)getpid());
	r = cof_io_lock(io, holder, diag);
	if (r < 0)
		return r;
	r = cof_keys_open_settled(io, ret_conf->id, secret, ret, diag);
	if (r < 0)
		cof_io_unlock(io);
	return r;
}

static int begin(struct cof_io *io, const struct cof_opener_secret *secret, struct cof_keys **ret,
		 struct cof_diag *diag)
{
	struct cof_conf conf;

	return begin_conf(io, secret, &conf, ret, diag);
}

int cof_store_seal_renew(struct cof_io *io, const struct cof_opener_secret *secret,
			 const struct cof_renewal *renewal, struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int r = begin(io, secret, &k, diag);

	if (r < 0)
		return r;
	r = cof_keys_renew(k, io, renewal, diag);
	cof_io_unlock(io);
	return r;
}

/* By the archive's policy (R31). An archive for trials may have any. */
static int check_kind(struct cof_io *io, const struct cof_conf *conf, enum cof_opener_kind kind, struct cof_diag *diag)
{
	struct cof_profile p;
	int r = conf->flags & COF_ARCHIVE_TRIAL ? 1 : cof_store_policy(io, conf, &p);

	if (r > 0)
		return 0;
	if (r < 0)
		return cof_fail(diag, r, "the archive's policy cannot be read (%s): coffer verify says what is wrong", strerror(-r));
	return cof_profile_has(p.openers, cof_opener_name(kind))
		       ? 0
		       : cof_fail(diag, -EPERM, "the archive's policy allows these openers: %s; this would be one of kind %s", p.openers,
				  cof_opener_name(kind));
}

int cof_store_seal_add(struct cof_io *io, const struct cof_opener_secret *secret,
		       const struct cof_opener_secret *added, uint32_t pcrs, uint32_t *ret_n,
		       struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	struct cof_conf conf;
	int r = begin_conf(io, secret, &conf, &k, diag);

	if (r < 0)
		return r;
	r = check_kind(io, &conf, added->kind, diag);
	if (r == 0)
		r = cof_keys_add_opener(k, io, added, NULL, pcrs, ret_n, diag);
	cof_io_unlock(io);
	return r;
}

int cof_store_seal_remove(struct cof_io *io, const struct cof_opener_secret *secret,
			  enum cof_opener_kind kind, uint32_t n, struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int r = begin(io, secret, &k, diag);

	if (r < 0)
		return r;
	r = cof_keys_remove_opener(k, io, kind, n, secret->tpm, diag);
	cof_io_unlock(io);
	return r;
}

int cof_store_seal_recovery(struct cof_io *io, const struct cof_opener_secret *secret,
			    const struct cof_recovery *recovery, struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	struct cof_conf conf;
	int r = begin_conf(io, secret, &conf, &k, diag);

	if (r < 0)
		return r;
	r = cof_envelope_make(k, io, &conf, recovery, diag);
	k->enveloped = k->enrolled;
	if (r == 0)
		r = cof_keys_note(k, io, COF_OPENER_ENVELOPE, diag);
	if (r == 0)
		r = cof_envelope_use(io, diag);
	cof_io_unlock(io);
	return r;
}

int cof_store_seal_auditors(struct cof_io *io, const struct cof_opener_secret *secret,
			    const struct cof_auditor_renewal *renewal, struct cof_auditors_renewed *ret,
			    struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int r = begin(io, secret, &k, diag);

	if (r < 0)
		return r;
	r = cof_auditors_renew(k, io, renewal, ret, diag);
	cof_io_unlock(io);
	return r;
}

/* ---- the lock on the door ---- */

static int try_identity(struct cof_io *io, const struct cof_conf *conf, const struct cof_unlock *u,
			struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	cof_autofree uint8_t *file = NULL;
	char path[512];
	size_t len = 0;
	int r;

	snprintf(path, sizeof(path), "%s/" COF_ENVELOPE_FILE, cof_io_where(io));
	r = cof_io_load(io, COF_ENVELOPE_FILE, COF_AGE_FILE_MAX, &file, &len);
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", path,
				r == -ENOENT ? "this archive has no recovery envelope" : strerror(-r));
	r = cof_envelope_open(conf, path, file, len, u->identities, u->n_identities, &k, diag);
	return r < 0 ? r : cof_keys_check(k, io, conf, true, NULL, diag);
}

int cof_store_unlock(struct cof_io *io, const struct cof_unlock *u, struct cof_diag *diag)
{
	enum cof_opener_how how = COF_HOW_IDENTITY;
	enum cof_opener_kind kind = 0;
	struct cof_conf conf;
	int r = cof_conf_load(io, &conf, diag);

	if (r < 0)
		return r;
	if (u->secret) {
		kind = u->secret->kind;
		how = kind == COF_OPENER_PASSPHRASE || (kind == COF_OPENER_TPM2 && u->secret->len)
			  ? COF_HOW_WAITED
			  : COF_HOW_OPENER;
		r = cof_keys_try(io, conf.id, u->secret, diag);
	} else {
		r = try_identity(io, &conf, u, diag);
	}
	return r < 0 ? r : cof_door_lift(io, conf.id, how, kind, diag);
}
