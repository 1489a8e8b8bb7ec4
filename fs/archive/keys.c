/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys/ and seal/ of a store, in memory: making, opening, deriving (docs/format.md section 7).
 *
 * Everything secret, plaintext of the boxes included, lies in secure memory from the moment it is
 * drawn or opened until it is wiped. What the boxes hold is coded in keys-box.c, the openers' files are
 * found in keys-seal.c and made in keys-renew.c. Destroying objects (keys-destroy.c) shares the renewal's order of
 * writes.
 */
#include <stdio.h>

#include "fs/archive/keys-seal.h"

void cof_keys_free(struct cof_keys *k)
{
	if (!k)
		return;
	for (int t = 0; t < 2; t++) {
		cof_keytree_free(k->tree[t]);
		cof_secret_free(k->pages[t]);
	}
	cof_secret_free(k->wraps);
	free(k->auditors);
	if (k->lock) {
		pthread_rwlock_destroy(k->lock);
		free(k->lock);
	}
	cof_secret_free(k);
}

void cof_keys_freep(struct cof_keys **k)
{
	cof_keys_free(*k);
}

struct cof_keys *cof_keys_new(const uint8_t archive_id[16])
{
	struct cof_keys *k = cof_secret_alloc(sizeof(*k));

	if (!k)
		return NULL;
	memcpy(k->archive_id, archive_id, sizeof(k->archive_id));
	k->lock = calloc(1, sizeof(*k->lock));
	if (!k->lock || pthread_rwlock_init(k->lock, NULL)) {
		free(k->lock);
		k->lock = NULL;
		cof_keys_free(k);
		return NULL;
	}
	for (int t = 0; t < 2; t++) {
		k->tree[t] = cof_keytree_new();
		if (!k->tree[t]) {
			cof_keys_free(k);
			return NULL;
		}
	}
	return k;
}

/* ---- making ---- */

void cof_keys_draw_epoch(struct cof_keys *k, uint64_t epoch, uint32_t lineage)
{
	cof_wipe(&k->next, sizeof(k->next));
	k->next.epoch = epoch;
	k->next.lineage = lineage;
	k->next.mixed_at = COF_NOT_MIXED;
	cof_random(k->next.secret, sizeof(k->next.secret));
}

static int draw(struct cof_keys *k)
{
	cof_autosecret uint8_t *seed = cof_secret_alloc(COF_KEY);

	if (!seed)
		return -ENOMEM;
	k->generation = 1;
	cof_random(k->root, sizeof(k->root));
	cof_random(k->index, sizeof(k->index));
	cof_random(k->signing, sizeof(k->signing));
	cof_random(k->state, sizeof(k->state));
	cof_keys_draw_epoch(k, 1, 1);
	for (int t = 0; t < 2; t++) {
		int err;

		cof_random(seed, COF_KEY);
		err = cof_keytree_add_root(k->tree[t], seed);
		if (err)
			return err;
	}
	return 0;
}

int cof_keys_make(struct cof_io *io, const uint8_t archive_id[16],
		  const struct cof_opener_secret *secret, const struct cof_argon2_cost *cost,
		  uint32_t pcrs, uint8_t *ret_auditor, uint8_t ret_public[32], struct cof_keys **ret,
		  struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = cof_keys_new(archive_id);
	uint8_t public_key[32];
	int err;

	if (!k)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the keys");
	if (!cof_opener_name(secret->kind))
		return cof_fail(diag, -EINVAL, "this kind of opener is not known");
	k->making = true;
	err = draw(k);
	if (!err)
		err = cof_ed25519_public(k->signing, public_key);
	if (err)
		return cof_fail(diag, err, "the keys could not be drawn: %s", strerror(-err));
	err = cof_keys_add_opener(k, io, secret, cost, pcrs, NULL, diag);
	if (!err && !k->nv.here)
		err = cof_keys_write_epoch(k, io, &k->next, diag);
	if (err) {
		cof_keys_unmake(k, io, secret);
		return err;
	}
	if (ret_auditor)
		memcpy(ret_auditor, k->next.secret, COF_KEY);
	memcpy(ret_public, public_key, sizeof(public_key));
	k->making = false;
	*ret = k;
	k = NULL;
	return 0;
}

int cof_keys_open(struct cof_io *io, const uint8_t archive_id[16],
		  const struct cof_opener_secret *secret, struct cof_keys **ret,
		  struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = cof_keys_new(archive_id);
	int err;

	if (!k)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the keys");
	err = cof_keys_recovered_check(io, diag);
	if (!err)
		err = cof_keys_open_root(k, io, secret, diag);
	if (!err)
		err = cof_keys_read_top(k, io, diag);
	if (!err)
		err = cof_keys_read_pages(k, io, diag);
	if (!err && !k->nv.here)
		err = cof_keys_read_epoch(k, io, diag);
	if (err)
		return err;
	*ret = k;
	k = NULL;
	return 0;
}

int cof_keys_try(struct cof_io *io, const uint8_t archive_id[16], const struct cof_opener_secret *secret,
		 struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = cof_keys_new(archive_id);
	int err = k ? cof_keys_recovered_check(io, diag)
		    : cof_fail(diag, -ENOMEM, "no secure memory left for the keys");

	if (err)
		return err;
	k->waited = true;
	err = cof_keys_open_root(k, io, secret, diag);
	/* that it is this archive's key is for the top to say */
	return err ? err : cof_keys_read_top(k, io, diag);
}

int cof_keys_open_settled(struct cof_io *io, const uint8_t archive_id[16],
			  const struct cof_opener_secret *secret, struct cof_keys **ret,
			  struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int err = cof_keys_recovered_finish(io, diag);

	if (!err)
		err = cof_keys_open(io, archive_id, secret, &k, diag);
	if (err)
		return err;
	err = cof_keys_settle(io, archive_id, secret->tpm, diag);
	if (err < 0 && err != -EAGAIN)
		return err;
	if (err > 0) { /* the pair that was opened may be the old one */
		cof_keys_free(k);
		k = NULL;
		err = cof_keys_open(io, archive_id, secret, &k, diag);
		if (err)
			return err;
	}
	*ret = k;
	k = NULL;
	return 0;
}

/* ---- using ---- */

const uint8_t *cof_keys_index(const struct cof_keys *k)
{
	return k->index;
}

void cof_keys_log_secrets(const struct cof_keys *k, struct cof_log_secrets *ret)
{
	memcpy(ret->signing_seed, k->signing, sizeof(ret->signing_seed));
	ret->epoch = k->next.epoch;
	memcpy(ret->epoch_secret, k->next.secret, sizeof(ret->epoch_secret));
}

uint64_t cof_keys_epoch(const struct cof_keys *k)
{
	return k->next.epoch;
}

uint32_t cof_keys_lineage(const struct cof_keys *k)
{
	return k->next.lineage;
}

uint64_t cof_keys_mixed_at(const struct cof_keys *k)
{
	return k->next.mixed_at;
}

void cof_keys_mix_field(const struct cof_keys *k, const uint8_t salt[32], struct cof_buf *fields)
{
	uint8_t field[COF_MIX_FIELD];

	if (k->next.mixed_at == COF_NOT_MIXED)
		return;
	cof_put_le64(field, k->next.mixed_at);
	cof_seal_mix_proof(k->next.mix, k->archive_id, salt, k->next.mixed_at, field + 8);
	cof_field_put(fields, COF_T_MIXING, field, sizeof(field));
}

int cof_keys_payload(const struct cof_keys *k, uint64_t object, uint32_t mount,
		     const uint8_t salt[32], uint8_t ret[COF_KEY])
{
	/* H, R, and the object's key, in one allocation: this is asked for often. */
	cof_autosecret uint8_t *part = cof_secret_alloc(4 * COF_KEY);
	int err;

	if (!part)
		return -ENOMEM;
	pthread_rwlock_rdlock(k->lock);
	err = cof_keytree_derive(k->tree[0], object, part);
	if (!err)
		err = cof_keytree_derive(k->tree[1], object, part + COF_KEY);
	pthread_rwlock_unlock(k->lock);
	if (!err)
		err = cof_key_object(part, part + COF_KEY, object, part + 2 * COF_KEY);
	if (!err)
		err = cof_key_payload(part + 2 * COF_KEY, salt, k->archive_id, object, mount,
				      part + 3 * COF_KEY);
	if (!err)
		memcpy(ret, part + 3 * COF_KEY, COF_KEY);
	return err;
}

const struct cof_opener_events *cof_keys_events(const struct cof_keys *k)
{
	return &k->events;
}

bool cof_keys_pending(const struct cof_keys *k)
{
	return k->top_next;
}

int cof_keys_events_drop(struct cof_keys *k, struct cof_io *io)
{
	size_t n = k->events.n;
	int err;

	if (!n)
		return 0;
	k->events.n = 0;
	err = cof_keys_write_top(k, io, false, NULL);
	if (err)
		k->events.n = n;
	return err;
}

int cof_keys_openers(struct cof_io *io, struct cof_json *array)
{
	struct cof_seal_files files;
	int err = cof_seal_list(io, &files);

	for (size_t i = 0; i < files.n && !err; i++) {
		enum cof_opener_kind kind = files.file[i].kind;
		struct cof_json *text = NULL;
		char quoted[64];
		int n;

		if (files.file[i].next)
			continue;
		n = snprintf(quoted, sizeof(quoted), "\"%s%s\"", cof_opener_name(kind),
			     cof_opener_is_weak(kind) ? " (weak)" : "");
		err = cof_json_parse(quoted, (size_t)n, &text);
		if (!err)
			cof_json_append(array, text);
	}
	return err;
}
