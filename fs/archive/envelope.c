/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery envelope (docs/format.md 7.7). Its plaintext, before age seals it:
 *
 *    0  8  "COFRECO1"
 *    8  1  version 1, then 3 zero bytes
 *   12  4  length of the fields
 *   16 16  archive id
 *   32     fields as in keys/top: entries of H and R at any depth (1, 2), log signing key (6), from which inode number
 *          on R is at vaults and not here (13), if so
 *
 * Nothing follows. Plaintext is in secure memory only.
 */
#include <stdio.h>

#include "crypto/age.h"
#include "fs/archive/envelope.h"

#define MAGIC "COFRECO1"
#define HEAD 32
#define FIELD 3
#define ENTRY_LEN (1 + 8 + COF_KEY)
enum { TAG_ENTRY_H = 1, TAG_ENTRY_R = 2, TAG_SIGNING = 6, TAG_ENROLLED = 13 };

/* ---- the plaintext ---- */

struct writer {
	uint8_t *at;
	uint8_t tag;
	uint64_t end; /* entries that begin here or behind are left out: vaults have them */
};

static uint8_t *put_field(struct writer *w, uint8_t tag, uint16_t len)
{
	uint8_t *value = w->at + FIELD;

	w->at[0] = tag;
	cof_put_le16(w->at + 1, len);
	w->at = value + len;
	return value;
}

static int put_entry(void *user, const struct cof_keytree_entry *e)
{
	struct writer *w = user;
	uint8_t *value;

	if (e->prefix << (COF_KEYTREE_BITS - 4 * e->depth) >= w->end)
		return 0;
	value = put_field(w, w->tag, ENTRY_LEN);
	value[0] = e->depth;
	cof_put_le64(value + 1, e->prefix);
	memcpy(value + 9, e->seed, COF_KEY);
	return 0;
}

int cof_envelope_plain(const struct cof_keys *k, void **ret, size_t *ret_n)
{
	size_t entries = cof_keytree_count(k->tree[0]) + cof_keytree_count(k->tree[1]);
	size_t n = HEAD + entries * (FIELD + ENTRY_LEN) + FIELD + COF_KEY + FIELD + 8;
	cof_autosecret uint8_t *plain = NULL;
	struct writer w;
	int r = 0;

	if (n > COF_AGE_PLAIN_MAX)
		return -EFBIG;
	plain = cof_secret_alloc(n);
	if (!plain)
		return -ENOMEM;
	memcpy(plain, MAGIC, 8);
	plain[8] = 1;
	memcpy(plain + 16, k->archive_id, 16);
	w.at = plain + HEAD;
	for (int t = 0; t < 2 && r == 0; t++) {
		w.tag = (uint8_t)(TAG_ENTRY_H + t);
		w.end = t && k->enrolled ? k->enrolled : UINT64_MAX;
		r = cof_keytree_each(k->tree[t], put_entry, &w);
	}
	if (r < 0)
		return r;
	memcpy(put_field(&w, TAG_SIGNING, COF_KEY), k->signing, COF_KEY);
	if (k->enrolled)
		cof_put_le64(put_field(&w, TAG_ENROLLED, 8), k->enrolled);
	cof_put_le32(plain + 12, (uint32_t)(w.at - plain - HEAD));
	*ret = plain;
	*ret_n = (size_t)(w.at - plain);
	plain = NULL;
	return 0;
}

static int take_entry(struct cof_keytree *tree, const struct cof_field *f)
{
	cof_autosecret struct cof_keytree_entry *e = cof_secret_alloc(sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	if (f->len != ENTRY_LEN)
		return -EUCLEAN;
	e->depth = f->value[0];
	e->prefix = cof_get_le64(f->value + 1);
	memcpy(e->seed, f->value + 9, COF_KEY);
	r = cof_keytree_add(tree, e);
	return r == -EEXIST ? -EUCLEAN : r;
}

static int take_enrolled(struct cof_keys *k, const struct cof_field *f)
{
	if (f->len != 8)
		return -EUCLEAN;
	k->enrolled = k->enveloped = cof_get_le64(f->value);
	return k->enrolled && k->enrolled < UINT64_C(1) << COF_KEYTREE_BITS && k->enrolled % COF_KEYTREE_CUT == 0 ? 0 : -EUCLEAN;
}

static int take_fields(struct cof_keys *k, const uint8_t *fields, size_t n)
{
	struct cof_field f;
	size_t off = 0;
	int more, r = cof_field_bytes(fields, n, TAG_SIGNING, k->signing, COF_KEY);

	if (r < 0)
		return -EUCLEAN;
	while (r == 0 && (more = cof_field_next(fields, n, &off, &f)) != 0) {
		if (more < 0)
			r = -EUCLEAN;
		else if (f.tag == TAG_ENTRY_H || f.tag == TAG_ENTRY_R)
			r = take_entry(k->tree[f.tag - TAG_ENTRY_H], &f);
		else if (f.tag == TAG_ENROLLED)
			r = take_enrolled(k, &f);
	}
	return r;
}

int cof_envelope_take(const uint8_t archive_id[16], const void *plain, size_t n, struct cof_keys **ret)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	const uint8_t *p = plain;
	int r;

	if (n < HEAD || memcmp(p, MAGIC, 8) || p[8] != 1 || p[9] || p[10] || p[11] ||
	    cof_get_le32(p + 12) != n - HEAD)
		return -EUCLEAN;
	if (memcmp(p + 16, archive_id, 16) != 0)
		return -EXDEV;
	k = cof_keys_new(archive_id);
	if (!k)
		return -ENOMEM;
	r = take_fields(k, p + HEAD, n - HEAD);
	if (r < 0)
		return r;
	*ret = k;
	k = NULL;
	return 0;
}

/* ---- opening ---- */

static int taken(const struct cof_conf *conf, const char *where, const void *plain, size_t n,
		 struct cof_keys **ret, struct cof_diag *diag)
{
	int r = cof_envelope_take(conf->id, plain, n, ret);

	if (r == -EXDEV)
		return cof_fail(diag, r,
				"%s is the envelope of another archive than archive.conf names: give this "
				"archive's own",
				where);
	if (r == -EUCLEAN)
		return cof_fail(diag, r, "%s opens, but holds no archive's keys: it is another file", where);
	return r < 0 ? cof_fail(diag, r, "%s cannot be taken: %s", where, strerror(-r)) : 0;
}

static int not_opened(int r, const char *where, struct cof_diag *diag)
{
	switch (r) {
	case -EKEYREJECTED:
		return cof_fail(diag, r,
				"%s is not sealed to this identity: use that of a recipient to whom it was made",
				where);
	case -EUCLEAN:
		return cof_fail(diag, r, "%s is damaged: not the form of an age file; take another copy of it",
				where);
	case -EBADMSG:
		return cof_fail(diag, r, "%s is damaged: altered or cut off; take another copy of it", where);
	case -EFBIG:
		return cof_fail(diag, r, "%s is larger than an envelope can be: it is another file", where);
	default:
		return cof_fail(diag, r, "%s cannot be opened: %s", where, strerror(-r));
	}
}

int cof_envelope_open(const struct cof_conf *conf, const char *where, const void *file, size_t len,
		      const uint8_t (*identities)[32], size_t n, struct cof_keys **ret,
		      struct cof_diag *diag)
{
	cof_autosecret void *plain = NULL;
	void *opened = NULL;
	size_t plain_n = 0;
	int r = cof_age_decrypt(identities, n, file, len, &opened, &plain_n);

	plain = opened;
	return r < 0 ? not_opened(r, where, diag) : taken(conf, where, plain, plain_n, ret, diag);
}

/* ---- making and trying ---- */

struct trial {
	const struct cof_keys *keys;
	struct cof_io *io;
	const struct cof_conf *conf;
	const struct cof_recovery *r;
	const void *plain; /* what went in; secure memory */
	size_t n;
	uint8_t *secrets; /* secure memory: the file key, an identity for this trial only */
	struct cof_diag *diag;
};
#define FILE_KEY(t) ((t)->secrets)
#define TRIAL_KEY(t) ((t)->secrets + COF_AGE_FILE_KEY)

static int trial_failed(const struct trial *t, int r)
{
	return cof_fail(t->diag, r, "the recovery envelope %s/" COF_ENVELOPE_FILE " does not open as it should: %s",
			cof_io_where(t->io), strerror(-r));
}

/* What was opened is what went in, and is keys under which the log was begun. */
static int same(const struct trial *t, void *opened, size_t n)
{
	cof_autosecret void *plain = opened;
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int r;

	if (n != t->n || !cof_equal(plain, t->plain, n))
		return trial_failed(t, -EBADMSG);
	r = cof_envelope_take(t->conf->id, plain, n, &k);
	return r < 0 ? trial_failed(t, r) : cof_keys_check(k, t->io, t->conf, true, NULL, t->diag);
}

/* The same content sealed once more, to the recipients and to a key that is there for the trial: that
 * what is made for a recipient opens with an identity, on this machine. */
static int try_in_memory(const struct trial *t)
{
	uint8_t all[COF_AGE_RECIPIENTS + 1][COF_AGE_KEY];
	cof_autobuf struct cof_buf b = {0};
	void *opened = NULL;
	size_t n = 0, count = t->r->n_recipients;
	int r;

	if (count >= COF_AGE_RECIPIENTS)
		count = COF_AGE_RECIPIENTS - 1;
	memcpy(all, t->r->recipients, count * COF_AGE_KEY);
	cof_random(TRIAL_KEY(t), COF_AGE_KEY);
	r = cof_x25519_public(TRIAL_KEY(t), all[count]);
	if (r == 0)
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])all, count + 1, t->plain, t->n, NULL, &b);
	if (r == 0)
		r = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])TRIAL_KEY(t), 1, b.data, b.len, &opened, &n);
	return r < 0 ? trial_failed(t, r) : same(t, opened, n);
}

/* What is on the disk: under its own file key, and with the identities that were given. */
static int try_file(const struct trial *t)
{
	cof_autofree uint8_t *file = NULL;
	size_t len = 0, n = 0, recipients = 0, others = 0;
	void *opened = NULL;
	int r = cof_io_load(t->io, COF_ENVELOPE_NEXT, COF_AGE_FILE_MAX, &file, &len);

	if (r == 0)
		r = cof_age_recipients(file, len, &recipients, &others);
	if (r == 0 && (recipients != t->r->n_recipients || others))
		r = -EUCLEAN;
	if (r == 0)
		r = cof_age_decrypt_by_key(FILE_KEY(t), file, len, &opened, &n);
	if (r < 0)
		return trial_failed(t, r);
	r = same(t, opened, n);
	if (r < 0 || !t->r->n_identities)
		return r;
	opened = NULL;
	r = cof_age_decrypt(t->r->identities, t->r->n_identities, file, len, &opened, &n);
	if (r == -EKEYREJECTED)
		return cof_fail(t->diag, r,
				"the identity to try the recovery envelope with does not open it: it belongs to "
				"none of its recipients");
	return r < 0 ? trial_failed(t, r) : same(t, opened, n);
}

static int unwritten(struct cof_io *io, int r, struct cof_diag *diag)
{
	return cof_fail(diag, r, "%s/" COF_ENVELOPE_FILE " cannot be written: %s", cof_io_where(io), strerror(-r));
}

static int make(struct trial *t)
{
	cof_autobuf struct cof_buf b = {0};
	int r = cof_age_encrypt(t->r->recipients, t->r->n_recipients, t->plain, t->n, FILE_KEY(t), &b);

	if (r == -EINVAL)
		return cof_fail(t->diag, r, "an envelope is sealed to 1 to %d keys, each a true one",
				COF_AGE_RECIPIENTS);
	if (r == 0)
		r = try_in_memory(t);
	if (r < 0)
		return t->diag && t->diag->text[0] ? r : trial_failed(t, r);
	r = cof_io_replace(t->io, COF_ENVELOPE_NEXT, b.data, b.len);
	if (r < 0)
		return unwritten(t->io, r, t->diag);
	r = try_file(t);
	if (r < 0)
		(void)cof_io_unlink(t->io, COF_ENVELOPE_NEXT); /* why it is not used matters more */
	return r;
}

int cof_envelope_use(struct cof_io *io, struct cof_diag *diag)
{
	int r = cof_io_rename(io, COF_ENVELOPE_NEXT, COF_ENVELOPE_FILE);

	if (r == 0)
		r = cof_io_sync_dir(io, "seal");
	return r < 0 ? unwritten(io, r, diag) : 0;
}

int cof_envelope_make(const struct cof_keys *k, struct cof_io *io, const struct cof_conf *conf,
		      const struct cof_recovery *recovery, struct cof_diag *diag)
{
	cof_autosecret uint8_t *secrets = cof_secret_alloc(COF_AGE_FILE_KEY + COF_AGE_KEY);
	cof_autosecret void *plain = NULL;
	struct cof_diag why = {""};
	struct trial t = {k, io, conf, recovery, NULL, 0, secrets, &why};
	void *made = NULL;
	int r = secrets ? cof_envelope_plain(k, &made, &t.n) : -ENOMEM;

	plain = made;
	t.plain = plain;
	if (r == 0)
		r = make(&t);
	return r < 0 ? cof_fail(diag, r, "%s", why.text[0] ? why.text
				: r == -EFBIG ? "too much was destroyed one by one: the keys do not fit into an "
						"envelope"
					      : strerror(-r))
		     : 0;
}

int cof_envelope_status(struct cof_io *io, struct cof_json *into)
{
	cof_autofree uint8_t *file = NULL;
	struct cof_json *o;
	size_t len = 0, n = 0;
	int r = cof_io_load(io, COF_ENVELOPE_FILE, COF_AGE_FILE_MAX, &file, &len);

	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EFBIG)
		return r;
	if (r == 0)
		r = cof_age_recipients(file, len, &n, NULL);
	o = cof_json_object();
	cof_json_set_uint(o, "recipients", n);
	if (r < 0)
		cof_json_set_str(o, "error", "damaged");
	cof_json_set(into, "recovery", o);
	return 0;
}
