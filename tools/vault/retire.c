/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault destroys what it has of an archive, and signs that it did. It does so only at its own operator's word, never at a
 * host's: who conquers a host shall not empty its vaults. What was begun is noted before the first byte goes, in
 * DIR/retired, so that after a crash it is gone on with and never taken for damage.
 *
 *   coffer-vault-receipt/1
 *   archive ID, origin NAME, vault VKEY, size N, root HEX, bytes N, files N, asked yes|no, begun TIME, ended TIME: a line each
 *   signature BASE64         Ed25519 by the vault's key over all lines before
 */
#include <stdio.h>
#include <time.h>

#include "tools/vault/internal.h"

#define FIRST "coffer-vault-receipt/1\n"
#define PIECE 65536u
#define DEPTH 8u
#define COUNT_KEYS 10
#define RECORD_RETIRING 6u /* docs/format.md 4.2 */

struct destroying {
	const struct vault_place *v;
	struct cof_diag *diag;
	char id[33], copy[48], begun[64], receipt[64];
	struct cof_conf conf;
	struct cof_checkpoint head;
	bool asked;
	uint64_t bytes, files;
	char since[32];
};

/* ---- receipts ---- */

static const char *const keys[] = {"archive", "origin", "vault",  "size",  "root",
				   "bytes",   "files",	"asked", "begun", "ended"};

static int line_of(const char **at, const char *key, char *out, size_t cap)
{
	size_t n = strlen(key), len;

	if (strncmp(*at, key, n) != 0 || (*at)[n] != ' ')
		return -EUCLEAN;
	*at += n + 1;
	len = strcspn(*at, "\n");
	if ((*at)[len] != '\n' || !len || len >= cap)
		return -EUCLEAN;
	memcpy(out, *at, len);
	out[len] = 0;
	*at += len + 1;
	return 0;
}

static int number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *end || errno || *text < '0' || *text > '9' ? -EUCLEAN : 0;
}

static int parse(const char *text, struct vault_receipt *r, uint8_t signature[64], size_t *ret_signed)
{
	char value[COUNT_KEYS][COF_VKEY_MAX];
	const char *at = text + strlen(FIRST);
	char signature_text[128];
	size_t n = 0;
	int err = strncmp(text, FIRST, strlen(FIRST)) != 0 ? -EUCLEAN : 0;

	_Static_assert(COF_COUNT(keys) == COUNT_KEYS, "a value for each key");
	for (size_t i = 0; err == 0 && i < COF_COUNT(keys); i++)
		err = line_of(&at, keys[i], value[i], sizeof(value[i]));
	*ret_signed = (size_t)(at - text);
	if (err == 0)
		err = line_of(&at, "signature", signature_text, sizeof(signature_text));
	if (err < 0 || *at)
		return -EUCLEAN;
	if (strlen(value[0]) != 32 || cof_unhex(value[0], 32, r->id) < 0 ||
	    cof_vkey_parse(value[2], &r->vkey) < 0 || number(value[3], &r->size) < 0 ||
	    strlen(value[4]) != (size_t)2 * COF_HASH ||
	    cof_unhex(value[4], (size_t)2 * COF_HASH, r->root) < 0 || number(value[5], &r->bytes) < 0 ||
	    number(value[6], &r->files) < 0 || cof_time_parse(value[9], &r->ended) < 0)
		return -EUCLEAN;
	r->asked = !strcmp(value[7], "yes");
	return cof_unbase64(signature_text, strlen(signature_text), signature, 64, &n) < 0 || n != 64
		   ? -EUCLEAN
		   : 0;
}

int vault_receipt_read(const char *text, struct vault_receipt *ret, struct cof_diag *diag)
{
	struct vault_receipt r = {.size = 0};
	uint8_t signature[64];
	size_t n = 0;
	int err = parse(text, &r, signature, &n);

	if (err < 0)
		return cof_fail(diag, err, "this is no receipt of a vault, or it was cut");
	if (cof_ed25519_verify(r.vkey.public_key, text, n, signature) < 0)
		return cof_fail(diag, -EKEYREJECTED,
				"the receipt is not signed with the key that it names: it was altered");
	*ret = r;
	return 0;
}

static int sign(const struct destroying *d, struct cof_buf *b)
{
	char vkey[COF_VKEY_MAX], root[2 * COF_HASH + 1], now[32], text[96];
	uint8_t signature[64];
	int err;

	cof_vkey_text(&d->v->vkey, vkey);
	cof_hex(d->head.root, COF_HASH, root);
	cof_time_text(cof_now(CLOCK_REALTIME), now);
	cof_buf_printf(b,
		       FIRST "archive %s\norigin %s\nvault %s\nsize %llu\nroot %s\nbytes %llu\nfiles "
			     "%llu\nasked %s\nbegun %s\nended %s\n",
		       d->id, d->conf.vkey.name, vkey, (unsigned long long)d->head.size, root,
		       (unsigned long long)d->bytes, (unsigned long long)d->files,
		       d->asked ? "yes" : "no", d->since, now);
	if (b->failed)
		return -ENOMEM;
	err = cof_ed25519_sign(d->v->seed, b->data, b->len, signature);
	if (err < 0)
		return err;
	cof_base64(signature, sizeof(signature), text);
	cof_buf_printf(b, "signature %s\n", text);
	return b->failed ? -ENOMEM : 0;
}

/* ---- was it asked for? ---- */

static bool is_asking(struct cof_reader *reader, const struct cof_frame *f, uint64_t at, const char *vkey)
{
	uint8_t fields[4096];
	struct cof_field what, vault;
	size_t n = 0;

	return f->public_length <= sizeof(fields) &&
	       cof_reader_bytes(reader, at + COF_FRAME_HEADER, fields, f->public_length, &n) == 0 &&
	       n == f->public_length && cof_field_find(fields, n, COF_T_RECORD, &what) == 0 &&
	       what.len == 1 && what.value[0] == RECORD_RETIRING &&
	       cof_field_find(fields, n, COF_T_VAULT, &vault) == 0 && vault.len == strlen(vkey) &&
	       !memcmp(vault.value, vkey, vault.len);
}

/* A record in the log that this vault verified says that its archive retires it. */
static int find_asking(struct destroying *d, struct cof_io *copy)
{
	struct cof_reader *reader = NULL;
	char vkey[COF_VKEY_MAX];
	struct cof_frame f;
	uint64_t at = 0;
	int err = cof_reader_new(copy, &d->conf, &reader);

	cof_vkey_text(&d->v->vkey, vkey);
	while (err == 0 && !d->asked && cof_reader_header(reader, at, &f, NULL, NULL) == 0 &&
	       f.sequence < d->head.size) {
		if (f.type == COF_VAULT_RECORD)
			d->asked = is_asking(reader, &f, at, vkey);
		if (cof_reader_next(reader, at, &f, &at) < 0)
			break;
	}
	cof_reader_free(reader);
	return err;
}

/* ---- destroying ---- */

static int overwrite(struct destroying *d, const char *path)
{
	cof_autofree uint8_t *zeros = calloc(1, PIECE);
	cof_autofile struct cof_file *f = NULL;
	uint64_t size = 0;
	int err = zeros ? cof_io_open(d->v->io, path, COF_IO_RDWR, &f) : -ENOMEM;

	if (err == 0)
		err = cof_io_size(f, &size);
	for (uint64_t at = 0; err == 0 && at < size; at += PIECE)
		err = cof_io_write(f, zeros, (size_t)COF_MIN((uint64_t)PIECE, size - at), at);
	if (err == 0)
		err = cof_io_sync(f);
	if (err == 0) {
		d->bytes += size;
		d->files++;
	}
	return err;
}

struct below {
	struct destroying *d;
	const char *path;
	unsigned depth;
};

static int destroy_one(void *user, const char *name)
{
	const struct below *b = user;
	cof_autofree char *path = NULL;
	struct below next = {.d = b->d, .depth = b->depth + 1};
	int err;

	if (asprintf(&path, "%s/%s", b->path, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	next.path = path;
	err = b->depth < DEPTH ? cof_io_list(b->d->v->io, path, destroy_one, &next) : -ELOOP;
	if (err == 0) {
		err = cof_io_rmdir(b->d->v->io, path);
	} else if (err == -ENOTDIR) {
		err = overwrite(b->d, path);
		if (err == 0)
			err = cof_io_unlink(b->d->v->io, path);
	}
	return err;
}

/* Overwritten, then its names go, then it is looked whether they went. */
static int destroy(struct destroying *d)
{
	struct below all = {.d = d, .path = d->copy};
	int err = cof_io_list(d->v->io, d->copy, destroy_one, &all);

	if (err == 0)
		err = cof_io_rmdir(d->v->io, d->copy);
	if (err == -ENOENT)
		err = 0;
	if (err == 0)
		err = cof_io_sync_dir(d->v->io, "archives");
	if (err == 0)
		err = cof_io_exists(d->v->io, d->copy);
	if (err > 0)
		err = -EBUSY;
	return err < 0 ? cof_fail(d->diag, err, "%s/%s cannot be destroyed: %s", cof_io_where(d->v->io),
				  d->copy, strerror(-err))
		       : 0;
}

/* ---- the notes in DIR/retired ---- */

static int note_begin(struct destroying *d)
{
	cof_autobuf struct cof_buf b = {0};
	char root[2 * COF_HASH + 1];
	int err = cof_io_mkdir(d->v->io, "retired");

	if (err == 0)
		err = cof_io_sync_dir(d->v->io, "");
	if (err < 0 && err != -EEXIST)
		return err;
	cof_hex(d->head.root, COF_HASH, root);
	cof_time_text(cof_now(CLOCK_REALTIME), d->since);
	cof_buf_printf(&b, "origin %s\nsize %llu\nroot %s\nasked %s\nbegun %s\n", d->conf.vkey.name,
		       (unsigned long long)d->head.size, root, d->asked ? "yes" : "no", d->since);
	return b.failed ? -ENOMEM : cof_io_replace(d->v->io, d->begun, b.data, b.len);
}

/* One that was cut off: what it had found before the first byte went. */
static int note_load(struct destroying *d)
{
	cof_autofree uint8_t *text = NULL;
	char size[32], root[2 * COF_HASH + 2], asked[8];
	const char *at;
	size_t n = 0;
	int err = cof_io_load(d->v->io, d->begun, 4096, &text, &n);

	if (err < 0)
		return err;
	at = (const char *)text;
	if (line_of(&at, "origin", d->conf.vkey.name, sizeof(d->conf.vkey.name)) < 0 ||
	    line_of(&at, "size", size, sizeof(size)) < 0 || number(size, &d->head.size) < 0 ||
	    line_of(&at, "root", root, sizeof(root)) < 0 ||
	    cof_unhex(root, strlen(root) & ~(size_t)1, d->head.root) < 0 ||
	    line_of(&at, "asked", asked, sizeof(asked)) < 0 ||
	    line_of(&at, "begun", d->since, sizeof(d->since)) < 0)
		return -EUCLEAN;
	d->asked = !strcmp(asked, "yes");
	return 0;
}

static int look_first(struct destroying *d, const uint8_t id[16], bool unasked)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_io *copy = NULL;
	size_t n = 0;
	int err = vault_place_archive(d->v, id, &copy, d->diag);

	if (err == 0)
		err = cof_io_lock(copy, "coffer-vault destroy", d->diag);
	if (err == 0)
		err = cof_conf_load(copy, &d->conf, d->diag);
	if (err == 0 && cof_io_load(copy, "checkpoint", COF_NOTE_MAX, &note, &n) == 0)
		(void)cof_checkpoint_open(note, n, &d->conf.vkey, &d->head);
	if (err == 0)
		err = find_asking(d, copy);
	if (err == 0 && !d->asked && !unasked)
		err = cof_fail(d->diag, -EPERM,
			       "the archive does not say in its own log that this vault is retired (coffer "
			       "vault retire there, then coffer sync); --unasked if it shall go all the same");
	if (err == 0 && note_begin(d) < 0)
		err = cof_fail(d->diag, -EIO, "%s/retired cannot be written", cof_io_where(d->v->io));
	cof_io_free(copy);
	return err;
}

int vault_destroy(const struct vault_place *v, const uint8_t id[16], bool unasked, struct cof_buf *ret,
		  struct cof_diag *diag)
{
	struct destroying d = {.v = v, .diag = diag};
	cof_autofree uint8_t *there = NULL;
	size_t n = 0;
	int err;

	cof_hex(id, 16, d.id);
	snprintf(d.copy, sizeof(d.copy), "archives/%s", d.id);
	snprintf(d.begun, sizeof(d.begun), "retired/%s.begun", d.id);
	snprintf(d.receipt, sizeof(d.receipt), "retired/%s.receipt", d.id);
	if (cof_io_load(v->io, d.receipt, VAULT_RECEIPT_MAX, &there, &n) == 0 &&
	    cof_io_exists(v->io, d.copy) == 0) {
		cof_buf_add(ret, there, n); /* done before: the same receipt */
		return ret->failed ? -ENOMEM : 0;
	}
	err = note_load(&d);
	if (err == -ENOENT)
		err = look_first(&d, id, unasked);
	else if (err < 0)
		return cof_fail(diag, err, "%s/%s is damaged", cof_io_where(v->io), d.begun);
	if (err == 0)
		err = destroy(&d);
	if (err < 0)
		return err;
	err = sign(&d, ret);
	if (err == 0)
		err = cof_io_replace(v->io, d.receipt, ret->data, ret->len);
	if (err == 0)
		err = cof_io_unlink(v->io, d.begun);
	return err < 0 ? cof_fail(diag, err, "the receipt cannot be written: %s", strerror(-err)) : 0;
}

int vault_retired(const struct vault_place *v, const uint8_t id[16])
{
	char hex[33], path[64];
	int err;

	cof_hex(id, 16, hex);
	snprintf(path, sizeof(path), "retired/%s.receipt", hex);
	err = cof_io_exists(v->io, path);
	if (err)
		return err;
	snprintf(path, sizeof(path), "retired/%s.begun", hex);
	return cof_io_exists(v->io, path);
}
