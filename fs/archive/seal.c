/* SPDX-License-Identifier: Apache-2.0 */
/* The seal of an archive that nobody has mounted: shown, renewed, openers added and removed. */
#include <stdio.h>

#include "fs/archive/archive.h"
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

int cof_store_seal_add(struct cof_io *io, const struct cof_opener_secret *secret,
		       const struct cof_opener_secret *added, uint32_t pcrs, uint32_t *ret_n,
		       struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int r = begin(io, secret, &k, diag);

	if (r < 0)
		return r;
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
	cof_io_unlock(io);
	return r;
}
