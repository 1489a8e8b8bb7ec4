/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The openers' files: named, tried one after the other, and what an unfinished renewal left of them
 * settled (docs/format.md 7.6).
 *
 * A renewal writes keys/top.next first, then seal/….next for each opener, raises the counter, and
 * brings all of it into force, the top first. So what is found tells how far it came:
 *   no keys/top.next, some seal/….next: the top is in force, the rest follows;
 *   keys/top.next, an opener tpm2: the counter decides, for it alone says which file opens;
 *   keys/top.next, no opener tpm2: nothing of it is in force, it is taken back.
 */
#include <stdio.h>

#include "fs/archive/door.h"
#include "fs/archive/keys-seal.h"

/* ---- names ---- */

static bool decimal(const char **at, uint32_t *ret)
{
	uint64_t n = 0;

	if (**at < '1' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9' && n <= UINT32_MAX; (*at)++)
		n = n * 10 + (uint64_t)(**at - '0');
	*ret = (uint32_t)n;
	return n <= UINT32_MAX;
}

bool cof_seal_name(const char *name, struct cof_seal_file *ret)
{
	for (unsigned kind = COF_OPENER_PASSPHRASE; kind <= COF_OPENER_TPM2; kind++) {
		const char *word = cof_opener_name(kind), *at;
		size_t len = strlen(word);
		struct cof_seal_file f = {.kind = kind};

		if (strncmp(name, word, len) || name[len] != '-')
			continue;
		at = name + len + 1;
		if (!decimal(&at, &f.n))
			return false;
		f.next = !strcmp(at, ".next");
		if (*at && !f.next)
			return false;
		*ret = f;
		return true;
	}
	return false;
}

void cof_seal_path(const struct cof_seal_file *f, char out[64])
{
	snprintf(out, 64, COF_SEAL_DIR "/%s-%u%s", cof_opener_name(f->kind), f->n,
		 f->staged ? COF_KEYS_STAGED : f->next ? ".next" : "");
}

static int found(void *user, const char *name)
{
	struct cof_seal_files *files = user;
	struct cof_seal_file f;

	if (!cof_seal_name(name, &f))
		return 0;
	if (files->n == COF_SEAL_FILES)
		return -E2BIG;
	files->file[files->n++] = f;
	return 0;
}

int cof_seal_list(struct cof_io *io, struct cof_seal_files *ret)
{
	ret->n = 0;
	return cof_io_list(io, COF_SEAL_DIR, found, ret);
}

int cof_seal_tpm2_load(struct cof_io *io, const uint8_t archive_id[16], const struct cof_seal_file *f,
		       struct cof_tpm_sealed *ret, uint64_t *ret_generation)
{
	cof_autofree uint8_t *blob = NULL;
	char path[64];
	size_t len = 0;
	int err;

	cof_seal_path(f, path);
	err = cof_io_load(io, path, COF_SEAL_TPM2_MAX, &blob, &len);
	if (err == -EFBIG)
		return -EUCLEAN;
	return err ? err : cof_seal_tpm2_read(archive_id, blob, len, ret, ret_generation);
}

/* ---- trying ---- */

struct attempt { /* the search for an opener that takes the secret */
	struct cof_io *io;
	const struct cof_opener_secret *secret;
	struct cof_keys *keys;
	struct cof_tpm *tpm; /* reached once */
	bool wrong;	     /* a passphrase or PIN was judged, and is not the one */
	int err;	     /* the most telling failure so far */
	struct cof_diag about; /* and its sentence */
};

/* A wrong secret says more than a damaged file, since another file may be the one that was meant; that
 * something is missing to the file that opened says most. */
static int telling(int err)
{
	return err == -ENOENT ? 4 : err == -EKEYREJECTED || err == -EACCES ? 3 : err == -EXDEV ? 2 : err ? 1 : 0;
}

static void attempt_failed(struct attempt *at, int err, const char *path,
			   const struct cof_diag *said)
{
	if (telling(err) <= telling(at->err))
		return;
	at->err = err;
	if (at->secret->kind == COF_OPENER_TPM2)
		cof_fail(&at->about, err, "%s/%s: %s", cof_io_where(at->io), path,
			 said->text[0] ? said->text : strerror(-err));
	else if (err == -EKEYREJECTED && at->secret->kind == COF_OPENER_PASSPHRASE)
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

static int open_tpm2(struct attempt *at, const uint8_t *blob, size_t len, struct cof_diag *said)
{
	cof_autosecret uint8_t *auth = NULL;
	struct cof_keys *k = at->keys;
	int err = 0;

	if (at->secret->len) {
		auth = cof_secret_alloc(COF_TPM_AUTH);
		err = auth ? cof_seal_tpm2_auth(k->archive_id, at->secret->data, at->secret->len, auth)
			   : -ENOMEM;
	}
	if (!err && !at->tpm)
		err = cof_tpm_open(at->secret->tpm, &at->tpm, said);
	return err ? err
		   : cof_seal_tpm2_open(at->tpm, auth, k->archive_id, blob, len, k->root,
					&k->generation, said);
}

/* Which top goes with the root key that was opened. -ENOENT: none. */
static int find_top(struct attempt *at, struct cof_diag *said)
{
	for (int next = 0; next < 2; next++) {
		uint64_t generation = 0;
		int err = cof_keys_top_generation(at->io, next, &generation);

		if (err && err != -ENOENT && err != -EUCLEAN)
			return cof_fail(said, err, "keys/top%s could not be read: %s", next ? ".next" : "",
					err == -ELOOP || err == -EINVAL ? "it is no regular file"
									: strerror(-err));
		if (!err && generation == at->keys->generation) {
			at->keys->top_next = next;
			return 0;
		}
	}
	at->keys->top_next = false;
	return cof_fail(said, -ENOENT, "no top in keys/ goes with it");
}

/* 0: opened · 1: another file may. */
static int attempt_one(struct attempt *at, const struct cof_seal_file *f, bool last)
{
	bool tpm2 = f->kind == COF_OPENER_TPM2;
	cof_autofree uint8_t *blob = NULL;
	struct cof_diag said = {""};
	size_t len = 0;
	char path[64];
	int err;

	cof_seal_path(f, path);
	err = cof_io_load(at->io, path, tpm2 ? COF_SEAL_TPM2_MAX : COF_SEAL_SIZE, &blob, &len);
	if (!err && tpm2)
		err = open_tpm2(at, blob, len, &said);
	else if (!err)
		err = cof_seal_open(at->secret, at->keys->archive_id, blob, len, at->keys->root,
				    &at->keys->generation, &said);
	at->wrong |= err == -EKEYREJECTED && (tpm2 ? at->tpm && cof_tpm_cause(at->tpm) == COF_TPM_PIN
						    : f->kind == COF_OPENER_PASSPHRASE);
	if (err == -EFBIG || (err == -EINVAL && !tpm2)) /* too long, or not the kind that the name says */
		err = -EUCLEAN;
	if (!err) {
		err = find_top(at, &said);
		if (!err || (err == -ENOENT && last))
			return 0; /* without a top: reading it says which file is missing */
	}
	attempt_failed(at, err, path, &said);
	return 1;
}

static int no_opener(struct attempt *at, const struct cof_seal_files *files, struct cof_diag *diag)
{
	if (at->err)
		return cof_fail(diag, at->err, "%s", at->about.text);
	if (!files->n)
		return cof_fail(diag, -ENOKEY,
				"%s/" COF_SEAL_DIR " holds no opener: without it the archive's keys cannot "
				"be reached; restore " COF_SEAL_DIR "/ from a copy",
				cof_io_where(at->io));
	for (size_t i = 0; i < files->n && at->secret->kind == COF_OPENER_PASSPHRASE; i++)
		if (files->file[i].kind == COF_OPENER_TPM2)
			return cof_fail(diag, -ENOKEY,
					"this archive has no passphrase, but a TPM's opener: for its PIN name that too "
					"(--seal tpm2, or -o seal=tpm2)");
	return cof_fail(diag, -ENOKEY,
			"this archive has no opener of the kind \"%s\": use another kind "
			"(coffer status names them)",
			cof_opener_name(at->secret->kind));
}

static int check_secret(const struct cof_opener_secret *s, struct cof_diag *diag)
{
	const char *kind = cof_opener_name(s->kind);
	size_t least = s->kind == COF_OPENER_FILE ? 32 : s->kind == COF_OPENER_TPM2 ? 0 : 1;
	size_t most = s->kind == COF_OPENER_FILE ? 4096 : 1024;

	if (!kind)
		return cof_fail(diag, -EINVAL, "this kind of opener is not known");
	if (s->len < least || s->len > most)
		return cof_fail(diag, -EKEYREJECTED, "a %s has %zu to %zu bytes, this one has %zu",
				s->kind == COF_OPENER_FILE   ? "key file"
				: s->kind == COF_OPENER_TPM2 ? "PIN"
							     : kind,
				least, most, s->len);
	return 0;
}

/* 0: opened · 1: by none of them */
static int try_all(struct attempt *at, const struct cof_seal_files *files)
{
	size_t last = 0;
	int err = 1;

	for (size_t i = 0; i < files->n; i++)
		last = files->file[i].kind == at->secret->kind ? i : last;
	for (int next = 0; next < 2 && err; next++)
		for (size_t i = 0; i < files->n && err; i++)
			if (files->file[i].kind == at->secret->kind && files->file[i].next == next)
				err = attempt_one(at, &files->file[i], i == last);
	return err;
}

/* Whether it is something that a person types, and that somebody could guess. */
static bool can_be_guessed(const struct attempt *at, const struct cof_seal_files *files)
{
	const struct cof_opener_secret *s = at->secret;

	if (s->kind != COF_OPENER_PASSPHRASE && !(s->kind == COF_OPENER_TPM2 && s->len))
		return false;
	for (size_t i = 0; i < files->n; i++)
		if (files->file[i].kind == s->kind)
			return true;
	return false;
}

int cof_keys_open_root(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret,
		       struct cof_diag *diag)
{
	struct attempt at = {.io = io, .secret = secret, .keys = k};
	struct cof_seal_files files;
	struct cof_door door;
	bool guarded;
	int err = check_secret(secret, diag);

	if (err)
		return err;
	err = cof_seal_list(io, &files);
	if (err && err != -ENOENT)
		return cof_fail(diag, err, "%s/" COF_SEAL_DIR " could not be read: %s",
				cof_io_where(io), strerror(-err));
	guarded = can_be_guessed(&at, &files);
	if (guarded)
		err = cof_door_begin(io, k->archive_id, secret->kind, k->waited, &door, diag);
	if (guarded && err)
		return err;
	err = try_all(&at, &files);
	if (err)
		err = no_opener(&at, &files, diag);
	if (guarded)
		cof_door_end(&door, !err ? COF_DOOR_OPENED : at.wrong ? COF_DOOR_WRONG : COF_DOOR_NOT_JUDGED,
			     diag);
	cof_tpm_free(at.tpm);
	return err;
}

/* ---- an unfinished renewal ---- */

static int settle_fail(struct cof_io *io, int err, struct cof_diag *diag)
{
	return cof_fail(diag, err, "%s: an unfinished renewal of the seal could not be settled: %s",
			cof_io_where(io), strerror(-err));
}

int cof_keys_forward(struct cof_io *io, struct cof_diag *diag)
{
	struct cof_seal_files files;
	int err = cof_io_rename(io, "keys/top.next", "keys/top");

	if (err == -ENOENT)
		err = 0; /* done before */
	if (!err)
		err = cof_io_sync_dir(io, "keys");
	if (!err) /* before the openers' files: while one of those waits, all of this is done again */
		err = cof_keys_pages_forward(io, COF_KEYS_NEXT);
	if (!err)
		err = cof_seal_list(io, &files);
	for (size_t i = 0; !err && i < files.n; i++) {
		struct cof_seal_file in_force = files.file[i];
		char from[64], to[64];

		if (!in_force.next)
			continue;
		cof_seal_path(&in_force, from);
		in_force.next = false;
		cof_seal_path(&in_force, to);
		err = cof_io_rename(io, from, to);
	}
	if (!err)
		err = cof_io_sync_dir(io, COF_SEAL_DIR);
	return err ? settle_fail(io, err, diag) : 0;
}

/* The top last: as long as it is there the rest is known not to be in force. */
static int back(struct cof_io *io, const struct cof_seal_files *files, struct cof_diag *diag)
{
	int err = 0;

	for (size_t i = 0; !err && i < files->n; i++) {
		char path[64];

		if (!files->file[i].next)
			continue;
		cof_seal_path(&files->file[i], path);
		err = cof_io_unlink(io, path);
	}
	if (!err)
		err = cof_io_sync_dir(io, COF_SEAL_DIR);
	if (!err)
		err = cof_keys_pages_drop(io, COF_KEYS_NEXT);
	if (!err)
		err = cof_io_unlink(io, "keys/top.next");
	if (!err)
		err = cof_io_sync_dir(io, "keys");
	return err ? settle_fail(io, err, diag) : 0;
}

/* 1: the counter was raised for this file · 0: it was not, or the file is dead for good · -EAGAIN */
static int raised(struct cof_io *io, const uint8_t archive_id[16], const struct cof_seal_file *f,
		  const char *where, struct cof_diag *diag)
{
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autotpm struct cof_tpm *t = NULL;
	uint64_t generation = 0, now = 0;
	int err = s ? cof_seal_tpm2_load(io, archive_id, f, s, &generation) : -ENOMEM;

	if (err == -EUCLEAN || err == -EXDEV)
		return 0; /* it could never open */
	if (err)
		return settle_fail(io, err, diag);
	err = cof_tpm_open(where, &t, diag);
	if (!err)
		err = cof_tpm_counter_read(t, s->index, COF_TPM_NORMAL, &now, diag);
	if (err == -ENOENT || err == -EUCLEAN)
		return 0; /* no such counter here: no tpm2 file opens, old or new */
	if (err)
		return -EAGAIN;
	return now == s->value;
}

int cof_keys_settle_as_opened(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag)
{
	int top = cof_io_exists(io, "keys/top.next");
	struct cof_seal_files files;
	int err = top < 0 ? top : cof_seal_list(io, &files);

	if (err)
		return settle_fail(io, err, diag);
	err = top && !k->top_next ? back(io, &files, diag) : cof_keys_forward(io, diag);
	if (!err)
		k->top_next = false;
	return err;
}

int cof_keys_settle(struct cof_io *io, const uint8_t archive_id[16], const char *tpm,
		    struct cof_diag *diag)
{
	const struct cof_seal_file *tpm2 = NULL;
	struct cof_seal_files files;
	int top = cof_io_exists(io, "keys/top.next"), err = cof_seal_list(io, &files);
	bool pending = false;

	if (top < 0 || err)
		return settle_fail(io, top < 0 ? top : err, diag);
	for (size_t i = 0; i < files.n; i++) {
		pending |= files.file[i].next;
		if (files.file[i].next && files.file[i].kind == COF_OPENER_TPM2)
			tpm2 = &files.file[i];
	}
	if (!top && !pending)
		return 0;
	err = 1;
	if (top)
		err = tpm2 ? raised(io, archive_id, tpm2, tpm, diag) : 0;
	if (err < 0)
		return err;
	if (!err)
		return back(io, &files, diag);
	err = cof_keys_forward(io, diag);
	return err ? err : 1;
}
