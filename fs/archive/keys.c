/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys/ and seal/ of a store, in memory: making, opening, deriving (docs/format.md section 7).
 *
 * Everything secret, plaintext of the boxes included, lies in secure memory from the moment it is
 * drawn or opened until it is wiped. What the boxes hold is coded in keys-box.c. Destroying an
 * object (puncturing) is not here yet: it comes with the renewal of the root key, whose order of
 * writes it has to share.
 */
#include <stdio.h>

#include "fs/archive/keys-box.h"

#define SEAL_DIR "seal"

void cof_keys_free(struct cof_keys *k)
{
	if (!k)
		return;
	for (int t = 0; t < 2; t++) {
		cof_keytree_free(k->tree[t]);
		cof_secret_free(k->pages[t]);
	}
	cof_secret_free(k->wraps);
	cof_secret_free(k);
}

void cof_keys_freep(struct cof_keys **k)
{
	cof_keys_free(*k);
}

static struct cof_keys *keys_new(const uint8_t archive_id[16])
{
	struct cof_keys *k = cof_secret_alloc(sizeof(*k));

	if (!k)
		return NULL;
	memcpy(k->archive_id, archive_id, sizeof(k->archive_id));
	for (int t = 0; t < 2; t++) {
		k->tree[t] = cof_keytree_new();
		if (!k->tree[t]) {
			cof_keys_free(k);
			return NULL;
		}
	}
	return k;
}

/* ---- the openers' files ---- */

/* "passphrase-12" -> passphrase, 12. False for anything else, "passphrase-012" and ".new" too. */
static bool seal_name(const char *name, enum cof_opener_kind *ret_kind, uint32_t *ret_n)
{
	for (unsigned kind = COF_OPENER_PASSPHRASE; kind <= COF_OPENER_TPM2; kind++) {
		const char *word = cof_opener_name(kind);
		size_t len = word ? strlen(word) : 0;
		const char *digits;
		uint64_t n = 0;

		if (!word || strncmp(name, word, len) || name[len] != '-')
			continue;
		digits = name + len + 1;
		if (*digits < '1' || *digits > '9')
			return false;
		for (; *digits >= '0' && *digits <= '9' && n <= UINT32_MAX; digits++)
			n = n * 10 + (uint64_t)(*digits - '0');
		if (*digits || n > UINT32_MAX)
			return false;
		*ret_kind = kind;
		*ret_n = (uint32_t)n;
		return true;
	}
	return false;
}

struct attempt { /* the search for an opener that takes the secret */
	struct cof_io *io;
	const struct cof_opener_secret *secret;
	struct cof_keys *keys;
	bool opened;
	unsigned files, same_kind;
	int err;	       /* the most telling failure so far */
	struct cof_diag about; /* and its sentence */
};

/* A wrong secret says more than a damaged file, since another file may be the one that was meant. */
static int telling(int err)
{
	return err == -EKEYREJECTED ? 3 : err == -EXDEV ? 2 : err ? 1 : 0;
}

static void attempt_failed(struct attempt *at, int err, const char *path,
			   const struct cof_diag *said)
{
	if (telling(err) <= telling(at->err))
		return;
	at->err = err;
	if (err == -EKEYREJECTED && at->secret->kind == COF_OPENER_PASSPHRASE)
		cof_fail(&at->about, err,
			 "wrong passphrase: it does not open %s/%s; try again, and mind the "
			 "keyboard layout and the end of the line",
			 cof_io_where(at->io), path);
	else if (err == -EKEYREJECTED)
		cof_fail(&at->about, err,
			 "wrong key file: it does not open %s/%s; name the key file that this archive "
			 "was made with",
			 cof_io_where(at->io), path);
	else if (err == -EXDEV)
		cof_fail(&at->about, err,
			 "%s/%s belongs to another archive than archive.conf names: put back this "
			 "archive's own seal/, or its archive.conf",
			 cof_io_where(at->io), path);
	else if (err == -EUCLEAN)
		cof_fail(&at->about, err, "%s/%s is damaged: %s; restore it from a copy",
			 cof_io_where(at->io), path,
			 said->text[0] ? said->text : "not the form of an opener");
	else
		cof_fail(&at->about, err, "%s/%s could not be opened: %s", cof_io_where(at->io), path,
			 said->text[0] ? said->text : strerror(-err));
}

static int attempt_one(void *user, const char *name)
{
	struct attempt *at = user;
	cof_autofree uint8_t *blob = NULL;
	struct cof_diag said = {""};
	enum cof_opener_kind kind;
	uint32_t number;
	size_t len = 0;
	char path[300];
	int err;

	if (!seal_name(name, &kind, &number))
		return 0;
	at->files++;
	if (kind != at->secret->kind || at->opened)
		return 0;
	at->same_kind++;
	snprintf(path, sizeof(path), SEAL_DIR "/%s", name);
	err = cof_io_load(at->io, path, COF_SEAL_SIZE, &blob, &len);
	if (!err)
		err = cof_seal_open(at->secret, at->keys->archive_id, blob, len, at->keys->root,
				    &at->keys->generation, &said);
	if (err == -EFBIG || err == -EINVAL) /* too long, or the kind is not what the name says */
		err = -EUCLEAN;
	if (err)
		attempt_failed(at, err, path, &said);
	else
		at->opened = true;
	return 0;
}

static int open_root(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret,
		     struct cof_diag *diag)
{
	struct attempt at = {.io = io, .secret = secret, .keys = k};
	const char *kind = cof_opener_name(secret->kind);
	size_t least = secret->kind == COF_OPENER_FILE ? 32 : 1;
	size_t most = secret->kind == COF_OPENER_FILE ? 4096 : 1024;
	int err;

	if (!kind)
		return cof_fail(diag, -EINVAL, "this kind of opener is not known");
	if (secret->len < least || secret->len > most)
		return cof_fail(diag, -EKEYREJECTED, "a %s has %zu to %zu bytes, this one has %zu",
				secret->kind == COF_OPENER_FILE ? "key file" : kind, least, most,
				secret->len);
	err = cof_io_list(io, SEAL_DIR, attempt_one, &at);
	if (at.opened)
		return 0;
	if (err && err != -ENOENT)
		return cof_fail(diag, err, "%s/" SEAL_DIR " could not be read: %s",
				cof_io_where(io), strerror(-err));
	if (!at.files)
		return cof_fail(diag, -ENOKEY,
				"%s/" SEAL_DIR " holds no opener: without it the archive's keys cannot "
				"be reached; restore " SEAL_DIR "/ from a copy",
				cof_io_where(io));
	if (!at.same_kind)
		return cof_fail(diag, -ENOKEY,
				"this archive has no opener of the kind \"%s\": use another kind "
				"(coffer status names them)",
				kind);
	return cof_fail(diag, at.err, "%s", at.about.text);
}

/* ---- making ---- */

static int draw(struct cof_keys *k, enum cof_opener_kind kind)
{
	cof_autosecret uint8_t *seed = cof_secret_alloc(COF_KEY);

	k->wraps = cof_secret_alloc(sizeof(*k->wraps));
	if (!seed || !k->wraps)
		return -ENOMEM;
	k->n_wraps = 1;
	k->wraps[0].kind = (uint8_t)kind;
	k->wraps[0].n = 1;
	k->generation = 1;
	k->epoch = 1;
	k->lineage = 1;
	cof_random(k->root, sizeof(k->root));
	cof_random(k->index, sizeof(k->index));
	cof_random(k->signing, sizeof(k->signing));
	cof_random(k->state, sizeof(k->state));
	cof_random(k->epoch_secret, sizeof(k->epoch_secret));
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
		  uint8_t *ret_auditor, uint8_t ret_public[32], struct cof_keys **ret,
		  struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = keys_new(archive_id);
	uint8_t blob[COF_SEAL_SIZE], public_key[32];
	char path[64];
	int err;

	if (!k)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the keys");
	if (!cof_opener_name(secret->kind))
		return cof_fail(diag, -EINVAL, "this kind of opener is not known");
	err = draw(k, secret->kind);
	if (!err)
		err = cof_ed25519_public(k->signing, public_key);
	if (err)
		return cof_fail(diag, err, "the keys could not be drawn: %s", strerror(-err));
	err = cof_seal_make(secret, archive_id, cost, k->root, k->generation, blob,
			    k->wraps[0].key);
	if (err)
		return cof_fail(diag, err, "the root key could not be sealed: %s",
				err == -EINVAL ? "a passphrase has 1 to 1024 bytes, a key file 32 to 4096"
					       : strerror(-err));
	snprintf(path, sizeof(path), SEAL_DIR "/%s-1", cof_opener_name(secret->kind));
	err = cof_io_replace(io, path, blob, sizeof(blob));
	if (err)
		return cof_fail(diag, err, "%s/%s could not be written: %s", cof_io_where(io), path,
				strerror(-err));
	err = cof_keys_write_top(k, io, diag);
	if (!err)
		err = cof_keys_write_epoch(k, io, k->epoch, k->epoch_secret, diag);
	if (err)
		return err;
	if (ret_auditor)
		memcpy(ret_auditor, k->epoch_secret, COF_KEY);
	memcpy(ret_public, public_key, sizeof(public_key));
	*ret = k;
	k = NULL;
	return 0;
}

int cof_keys_open(struct cof_io *io, const uint8_t archive_id[16],
		  const struct cof_opener_secret *secret, struct cof_keys **ret,
		  struct cof_diag *diag)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = keys_new(archive_id);
	int err;

	if (!k)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the keys");
	err = open_root(k, io, secret, diag);
	if (!err)
		err = cof_keys_read_top(k, io, diag);
	if (!err)
		err = cof_keys_read_pages(k, io, diag);
	if (!err)
		err = cof_keys_read_epoch(k, io, diag);
	if (err)
		return err;
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
	ret->epoch = k->epoch;
	memcpy(ret->epoch_secret, k->epoch_secret, sizeof(ret->epoch_secret));
}

uint64_t cof_keys_epoch(const struct cof_keys *k)
{
	return k->epoch;
}

uint32_t cof_keys_lineage(const struct cof_keys *k)
{
	return k->lineage;
}

int cof_keys_advance(struct cof_keys *k, struct cof_io *io)
{
	cof_autosecret uint8_t *next = cof_secret_alloc(COF_KEY);
	int err;

	if (!next)
		return -ENOMEM;
	if (k->epoch == UINT64_MAX)
		return -EOVERFLOW;
	err = cof_seal_epoch_next(k->epoch_secret, next);
	if (!err)
		err = cof_keys_write_epoch(k, io, k->epoch + 1, next, NULL);
	if (err)
		return err;
	memcpy(k->epoch_secret, next, COF_KEY); /* the old one is overwritten in place */
	k->epoch++;
	return 0;
}

int cof_keys_payload(const struct cof_keys *k, uint64_t object, uint32_t mount,
		     const uint8_t salt[32], uint8_t ret[COF_KEY])
{
	/* H, R, and the object's key, in one allocation: this is asked for often. */
	cof_autosecret uint8_t *part = cof_secret_alloc(4 * COF_KEY);
	int err;

	if (!part)
		return -ENOMEM;
	err = cof_keytree_derive(k->tree[0], object, part);
	if (!err)
		err = cof_keytree_derive(k->tree[1], object, part + COF_KEY);
	if (!err)
		err = cof_key_object(part, part + COF_KEY, object, part + 2 * COF_KEY);
	if (!err)
		err = cof_key_payload(part + 2 * COF_KEY, salt, k->archive_id, object, mount,
				      part + 3 * COF_KEY);
	if (!err)
		memcpy(ret, part + 3 * COF_KEY, COF_KEY);
	return err;
}

static int opener_found(void *user, const char *name)
{
	struct cof_json *array = user, *text = NULL;
	enum cof_opener_kind kind;
	uint32_t number;
	char quoted[64];
	int n, err;

	if (!seal_name(name, &kind, &number))
		return 0;
	n = snprintf(quoted, sizeof(quoted), "\"%s%s\"", cof_opener_name(kind),
		     cof_opener_is_weak(kind) ? " (weak)" : "");
	err = cof_json_parse(quoted, (size_t)n, &text);
	if (!err)
		cof_json_append(array, text);
	return err;
}

int cof_keys_openers(struct cof_io *io, struct cof_json *array)
{
	return cof_io_list(io, SEAL_DIR, opener_found, array);
}
