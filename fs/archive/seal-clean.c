/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer seal clean: indices that a removal left in the TPM, since it did not answer then, or since the keys that
 * named them were lost. Which of those in the archive's range are still used, keys/top and the openers' files
 * say; that the others are this archive's nobody can say for sure, so each is removed by its number only.
 */
#include <stdio.h>

#include "fs/archive/archive.h"
#include "fs/archive/keys-seal.h"

struct cleaning {
	struct cof_io *io;
	struct cof_keys *keys;
	struct cof_seal_files files;
	struct cof_tpm_index found[COF_TPM_INDEX_RANGE];
	char used[COF_TPM_INDEX_RANGE][64]; /* "": by nothing */
	size_t n;
};

static void note(struct cleaning *c, uint32_t index, const char *by)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->found[i].index == index)
			snprintf(c->used[i], sizeof(c->used[i]), "%s", by);
}

/* -EUCLEAN: a file that cannot be read may name any of them. */
static int note_files(struct cleaning *c, struct cof_diag *diag)
{
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	uint64_t generation;
	char path[64];

	for (size_t i = 0; s && i < c->files.n; i++) {
		int r;

		if (c->files.file[i].kind != COF_OPENER_TPM2)
			continue;
		cof_seal_path(&c->files.file[i], path);
		r = cof_seal_tpm2_load(c->io, c->keys->archive_id, &c->files.file[i], s, &generation);
		if (r < 0)
			return cof_fail(diag, r, "%s/%s cannot be read, and may name any of them: %s", cof_io_where(c->io),
					path, strerror(-r));
		note(c, s->index, path + strlen(COF_SEAL_DIR "/"));
	}
	return s ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

static void show(const struct cleaning *c, struct cof_json *array)
{
	static const char *const kinds[] = {"counter", "anchor", "secret"};

	for (size_t i = 0; i < c->n; i++) {
		struct cof_json *o = cof_json_object();
		char index[16];

		snprintf(index, sizeof(index), "0x%08x", c->found[i].index);
		cof_json_set_str(o, "index", index);
		cof_json_set_str(o, "kind", kinds[c->found[i].kind]);
		if (c->used[i][0])
			cof_json_set_str(o, "used", c->used[i]);
		cof_json_append(array, o);
	}
}

static int may_remove(const struct cleaning *c, uint32_t index, struct cof_diag *diag)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->found[i].index != index)
			continue;
		return c->used[i][0] ? cof_fail(diag, -EPERM, "NV index 0x%08x is in use (%s)", index, c->used[i]) : 0;
	}
	return cof_fail(diag, -EPERM, "NV index 0x%08x is none that this archive may have left", index);
}

static int clean(struct cleaning *c, const char *where, const uint32_t *remove, size_t n, struct cof_json *array,
		 struct cof_diag *diag)
{
	cof_autotpm struct cof_tpm *t = NULL;
	int r = cof_tpm_open(where, &t, diag);

	if (r == 0)
		r = cof_tpm_index_list(t, c->keys->archive_id, c->found, &c->n, diag);
	if (r == 0)
		r = note_files(c, diag);
	if (r < 0)
		return r;
	if (c->keys->nv.here) {
		note(c, c->keys->nv.seal, "seal");
		note(c, c->keys->nv.anchor, "anchor");
	}
	show(c, array);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = may_remove(c, remove[i], diag);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = cof_tpm_undefine(t, remove[i], diag);
	return r;
}

int cof_store_seal_clean(struct cof_io *io, const struct cof_opener_secret *secret, const uint32_t *remove, size_t n,
			 struct cof_json *array, struct cof_diag *diag)
{
	cof_autofree struct cleaning *c = calloc(1, sizeof(*c));
	struct cof_conf conf;
	char holder[64];
	int r = c ? cof_conf_load(io, &conf, diag) : cof_fail(diag, -ENOMEM, "out of memory");

	if (r < 0 || !c)
		return r;
	snprintf(holder, sizeof(holder), "coffer seal, pid %ld", (long)getpid());
	r = cof_io_lock(io, holder, diag);
	if (r < 0)
		return r;
	c->io = io;
	r = cof_keys_open_settled(io, conf.id, secret, &c->keys, diag);
	if (r == 0 && cof_seal_list(io, &c->files) < 0)
		r = cof_fail(diag, -EUCLEAN, "%s/" COF_SEAL_DIR " cannot be read", cof_io_where(io));
	if (r == 0)
		r = clean(c, secret->tpm, remove, n, array, diag);
	cof_keys_free(c->keys);
	cof_io_unlock(io);
	return r;
}
