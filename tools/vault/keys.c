/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree R at a vault (docs/vault-protocol.md 7): taken from hosts, sealed to the vault, given out to whom a request
 * names. A vault alone reads nothing by it, since it never has H. What guards it is what guards the vault's key.
 */
#include <stdio.h>

#include "crypto/age.h"
#include "tools/vault/internal.h"

#define DIR_NAME "keys"
#define NEWEST DIR_NAME "/newest"
#define BEFORE ".before" /* of what is in the place of one, until that one is overwritten */
#define KEPT 16u /* of one archive */
#define PATH_LEN (2u * COF_HASH + 32u)
#define INFO "coffer-vault/1 identity"
#define STATEMENT "coffer-vault-recipient/1\n"
#define HAS "coffer-vault-keys/1\n"

static int vault_identity(const struct vault_place *v, uint8_t ret[COF_AGE_KEY])
{
	return cof_hkdf(NULL, 0, v->seed, COF_KEY, INFO, sizeof(INFO) - 1, ret, COF_AGE_KEY);
}

/* ---- who it is sealed to ---- */

static void statement(const char *recipient, char out[128])
{
	snprintf(out, 128, STATEMENT "%s\n", recipient);
}

int vault_recipient_line(const struct vault_place *v, struct cof_buf *ret)
{
	cof_autosecret uint8_t *identity = cof_secret_alloc(COF_AGE_KEY);
	char recipient[COF_AGE_RECIPIENT], text[128], said[100];
	uint8_t key[COF_AGE_KEY], signature[64];
	int r = identity ? vault_identity(v, identity) : -ENOMEM;

	if (r == 0)
		r = cof_x25519_public(identity, key);
	if (r < 0)
		return r;
	cof_age_recipient_text(key, recipient);
	statement(recipient, text);
	r = cof_ed25519_sign(v->seed, text, strlen(text), signature);
	if (r < 0)
		return r;
	cof_base64(signature, sizeof(signature), said);
	cof_buf_printf(ret, "%s %s\n", recipient, said);
	return 0;
}

int vault_recipient_read(const char *line, const struct cof_vkey *vkey, char ret[VAULT_RECIPIENT])
{
	const char *blank = strchr(line, ' ');
	uint8_t key[COF_AGE_KEY], signature[64];
	char recipient[VAULT_RECIPIENT], text[128];
	size_t n = 0;

	if (!blank || blank - line >= VAULT_RECIPIENT)
		return -EUCLEAN;
	snprintf(recipient, sizeof(recipient), "%.*s", (int)(blank - line), line);
	if (cof_age_recipient_parse(recipient, strlen(recipient), key) < 0 ||
	    cof_unbase64(blank + 1, strlen(blank + 1), signature, sizeof(signature), &n) < 0 || n != sizeof(signature))
		return -EUCLEAN;
	statement(recipient, text);
	if (cof_ed25519_verify(vkey->public_key, text, strlen(text), signature) < 0)
		return -EKEYREJECTED;
	memcpy(ret, recipient, sizeof(recipient));
	return 0;
}

/* ---- taken ---- */

static int count_one(void *user, const char *name)
{
	*(unsigned *)user += strchr(name, '.') != NULL;
	return 0;
}

static int open_part(const struct vault_place *v, const uint8_t id[16], const void *p, size_t n, void **ret, size_t *ret_n,
		     struct cof_diag *diag)
{
	cof_autosecret uint8_t(*identity)[COF_AGE_KEY] = cof_secret_alloc(COF_AGE_KEY);
	uint64_t from;
	int r = identity ? vault_identity(v, identity[0]) : -ENOMEM;

	if (r == 0)
		r = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])identity, 1, p, n, ret, ret_n);
	if (r == 0) {
		r = cof_keys_vault_check(id, *ret, *ret_n, &from);
		if (r < 0) {
			cof_secret_free(*ret);
			*ret = NULL;
		}
	}
	switch (r) {
	case 0:
		return 0;
	case -EKEYREJECTED:
		return cof_fail(diag, r, "the tree R that came is not sealed to this vault: coffer vault enroll at the host makes it anew");
	case -EXDEV:
		return cof_fail(diag, r, "the tree R that came is another archive's");
	case -ENOMEM:
		return cof_fail(diag, r, "out of secure memory");
	default:
		return cof_fail(diag, -EBADMSG, "what came as the tree R is none: %s", strerror(-r));
	}
}

/* Without what leads to the keys of these inodes, sealed to this vault once more. */
static int punctured(const struct vault_place *v, const uint8_t id[16], const void *plain, size_t n, const struct vault_ranges *gone,
		     struct cof_buf *ret)
{
	cof_autosecret uint8_t *identity = cof_secret_alloc(COF_AGE_KEY);
	cof_autosecret void *left = NULL;
	uint8_t key[COF_AGE_KEY];
	size_t left_n = 0;
	void *made = NULL;
	int r = identity ? vault_identity(v, identity) : -ENOMEM;

	if (r == 0)
		r = cof_x25519_public(identity, key);
	if (r == 0)
		r = cof_keys_vault_puncture(id, plain, n, gone->at, gone->n, &made, &left_n);
	left = made;
	return r < 0 ? r : cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])&key, 1, left, left_n, NULL, ret);
}

/* What was destroyed before it came is not let in again, from whoever sends it. */
static int without_destroyed(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const void *plain, size_t n,
			     struct cof_buf *ret, struct cof_diag *diag)
{
	struct vault_ranges gone;
	int r = vault_destroyed_load(io, &gone);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = punctured(v, id, plain, n, &gone, ret);
	vault_ranges_done(&gone);
	return r < 0 ? cof_fail(diag, r, "the tree R cannot be kept without what was destroyed: %s", strerror(-r)) : 0;
}

int vault_keys_take(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const void *p, size_t n, struct cof_diag *diag)
{
	char name[2 * COF_HASH + 8], path[PATH_LEN], left[PATH_LEN + 4];
	cof_autobuf struct cof_buf less = {0};
	cof_autosecret void *plain = NULL;
	uint8_t digest[COF_HASH];
	size_t plain_n = 0;
	unsigned count = 0;
	int r = open_part(v, id, p, n, &plain, &plain_n, diag);

	if (r < 0)
		return r;
	r = without_destroyed(v, io, id, plain, plain_n, &less, diag);
	if (r < 0)
		return r;
	cof_sha256(p, n, digest); /* as it came: the host's record says that digest */
	cof_hex(digest, COF_HASH, name);
	strcpy(name + (size_t)2 * COF_HASH, ".age");
	snprintf(path, sizeof(path), DIR_NAME "/%s", name);
	r = cof_io_mkdir(io, DIR_NAME);
	if (r == 0)
		r = cof_io_sync_dir(io, "");
	if (r == 0 || r == -EEXIST)
		r = cof_io_list(io, DIR_NAME, count_one, &count);
	if (r == 0 && cof_io_exists(io, path) == 1)
		return cof_io_replace(io, NEWEST, name, strlen(name));
	if (r == 0 && count >= KEPT)
		return cof_fail(diag, -EDQUOT, "this vault was given the tree R %u times already: its operator has to see why", KEPT);
	snprintf(left, sizeof(left), "%s.new", path);
	if (r == 0)
		r = cof_io_wipe(io, left); /* of a session that was cut off: without a name nobody would find its bytes again */
	if (r == 0 || r == -ENOENT)
		r = less.len ? cof_io_replace(io, path, less.data, less.len) : cof_io_replace(io, path, p, n);
	if (r == 0)
		r = cof_io_replace(io, NEWEST, name, strlen(name));
	return r < 0 ? cof_fail(diag, r, "the tree R cannot be kept: %s", strerror(-r)) : 0;
}

/* ---- punctured ---- */

struct puncturing {
	const struct vault_place *v;
	struct cof_io *io;
	const uint8_t *id;
	const struct vault_ranges *gone;
	uint64_t *from; /* the least of all trees; 0: none yet */
	struct cof_diag *diag;
};

static int load_part(const struct puncturing *p, const char *path, void **ret, size_t *ret_n)
{
	cof_autofree uint8_t *file = NULL;
	size_t n = 0;
	int r = cof_io_load(p->io, path, COF_AGE_FILE_MAX, &file, &n);

	return r < 0 ? cof_fail(p->diag, r, "%s/%s cannot be read: %s", cof_io_where(p->io), path, strerror(-r))
		     : open_part(p->v, p->id, file, n, ret, ret_n, p->diag);
}

/* In the place of the one before, which keeps a name until it is overwritten: whatever fails meanwhile, it is found again. */
static int replace(const struct puncturing *p, const char *path, const struct cof_buf *with)
{
	char before[PATH_LEN + sizeof(BEFORE)];
	int r;

	snprintf(before, sizeof(before), "%s" BEFORE, path);
	r = cof_io_rename(p->io, path, before);
	if (r == 0)
		r = cof_io_sync_dir(p->io, DIR_NAME);
	if (r == 0)
		r = cof_io_replace(p->io, path, with->data, with->len);
	if (r == 0)
		r = cof_io_wipe(p->io, before);
	return r < 0 ? cof_fail(p->diag, r, "%s/%s cannot be replaced: %s", cof_io_where(p->io), path, strerror(-r)) : 0;
}

/* Read again from the disk: it leads to none of them. */
static int leads_nowhere(const struct puncturing *p, const char *path)
{
	cof_autosecret void *plain = NULL;
	uint64_t left = 0;
	size_t n = 0;
	int r = load_part(p, path, &plain, &n);

	if (r == 0)
		r = cof_keys_vault_leads(p->id, plain, n, p->gone->at, p->gone->n, &left);
	if (r == 0 && left)
		r = cof_fail(p->diag, -EIO, "%s/%s still leads to %llu keys that were destroyed", cof_io_where(p->io), path, (unsigned long long)left);
	return r;
}

/* What a try before this one, or a session that brought a tree, was cut off at: no other file may lead to what is gone. */
static int clear_one(void *user, const char *name)
{
	const struct puncturing *p = user;
	size_t n = strlen(name), bare = n - COF_MIN(n, sizeof(BEFORE) - 1);
	char path[PATH_LEN], from[PATH_LEN];
	int r = 0;

	if (n >= PATH_LEN - sizeof(DIR_NAME))
		return 0;
	snprintf(from, sizeof(from), DIR_NAME "/%s", name);
	if (n > 4 && !strcmp(name + n - 4, ".new")) {
		r = cof_io_wipe(p->io, from);
	} else if (!strcmp(name + bare, BEFORE)) {
		snprintf(path, sizeof(path), DIR_NAME "/%.*s", (int)bare, name);
		r = cof_io_exists(p->io, path);
		if (r >= 0)
			r = r ? cof_io_wipe(p->io, from) : cof_io_rename(p->io, from, path);
	}
	return r < 0 ? cof_fail(p->diag, r, "%s/%s cannot be overwritten: %s", cof_io_where(p->io), from, strerror(-r)) : 0;
}

static int puncture_one(void *user, const char *name)
{
	const struct puncturing *p = user;
	cof_autobuf struct cof_buf less = {0};
	cof_autosecret void *plain = NULL;
	char path[2 * COF_HASH + 32];
	uint64_t left = 0, from = 0;
	size_t n = 0;
	int r;

	if (strlen(name) != (size_t)2 * COF_HASH + 4 || strcmp(name + (size_t)2 * COF_HASH, ".age") != 0)
		return 0;
	snprintf(path, sizeof(path), DIR_NAME "/%s", name);
	r = load_part(p, path, &plain, &n);
	if (r == 0)
		r = cof_keys_vault_check(p->id, plain, n, &from);
	if (r == 0)
		*p->from = *p->from ? COF_MIN(*p->from, from) : from;
	if (r == 0)
		r = cof_keys_vault_leads(p->id, plain, n, p->gone->at, p->gone->n, &left);
	if (r < 0 || !left)
		return r;
	r = punctured(p->v, p->id, plain, n, p->gone, &less);
	if (r == 0)
		r = replace(p, path, &less);
	return r < 0 ? r : leads_nowhere(p, path);
}

int vault_keys_puncture(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const struct vault_ranges *gone,
			uint64_t *ret_from, struct cof_diag *diag)
{
	struct puncturing p = {v, io, id, gone, ret_from, diag};
	int r = cof_io_exists(io, DIR_NAME);

	*ret_from = 0;
	if (r == 0)
		return 0;
	/* Names first: what was renamed by who was killed then is not on the disk because it is seen. */
	if (r > 0)
		r = cof_io_sync_dir(io, DIR_NAME);
	if (r == 0)
		r = cof_io_list(io, DIR_NAME, clear_one, &p);
	if (r == 0)
		r = cof_io_list(io, DIR_NAME, puncture_one, &p);
	if (r == 0)
		r = cof_io_sync_dir(io, DIR_NAME);
	return r < 0 && !*diag->text ? cof_fail(diag, r, "the tree R cannot be punctured: %s", strerror(-r)) : r;
}

/* ---- given ---- */

int vault_keys_newest(struct cof_io *io, char ret[2 * COF_HASH + 1])
{
	cof_autofree uint8_t *name = NULL;
	size_t n = 0;
	int r = cof_io_load(io, NEWEST, (size_t)2 * COF_HASH + 8, &name, &n);

	if (r < 0)
		return r;
	if (n != (size_t)2 * COF_HASH + 4)
		return -EUCLEAN;
	memcpy(ret, name, (size_t)2 * COF_HASH);
	ret[2 * COF_HASH] = 0;
	return 0;
}

/* ---- said by hand, in a receipt ---- */

static void has(const uint8_t id[16], const char *digest, char out[160])
{
	char hex[33];

	cof_hex(id, 16, hex);
	snprintf(out, 160, HAS "%s %.64s\n", hex, digest);
}

int vault_keys_line(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], struct cof_buf *ret)
{
	char digest[2 * COF_HASH + 1], text[160], said[100];
	uint8_t signature[64];
	int r = vault_keys_newest(io, digest);

	if (r < 0)
		return r;
	has(id, digest, text);
	r = cof_ed25519_sign(v->seed, text, strlen(text), signature);
	if (r < 0)
		return r;
	cof_base64(signature, sizeof(signature), said);
	cof_buf_printf(ret, "%s %s", digest, said);
	return ret->failed ? -ENOMEM : 0;
}

int vault_keys_line_read(const char *line, const uint8_t id[16], const struct cof_vkey *vkey, char ret[2 * COF_HASH + 1])
{
	char digest[2 * COF_HASH + 1], text[160];
	uint8_t signature[64];
	size_t n = 0;

	if (strspn(line, "0123456789abcdef") != (size_t)2 * COF_HASH || line[2 * COF_HASH] != ' ' ||
	    cof_unbase64(line + 2 * COF_HASH + 1, strlen(line + 2 * COF_HASH + 1), signature, sizeof(signature), &n) < 0 ||
	    n != sizeof(signature))
		return -EUCLEAN;
	snprintf(digest, sizeof(digest), "%.64s", line);
	has(id, digest, text);
	if (cof_ed25519_verify(vkey->public_key, text, strlen(text), signature) < 0)
		return -EKEYREJECTED;
	memcpy(ret, digest, sizeof(digest));
	return 0;
}

int vault_keys_give(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const char *which, const uint8_t to[COF_AGE_KEY],
		    struct cof_buf *ret, struct cof_diag *diag)
{
	char newest[2 * COF_HASH + 1], path[2 * COF_HASH + 32];
	cof_autofree uint8_t *file = NULL;
	cof_autosecret void *held = NULL;
	size_t n = 0, plain_n = 0;
	void *plain = NULL;
	int r = which ? 0 : vault_keys_newest(io, newest);

	if (which && (strlen(which) != (size_t)2 * COF_HASH || strspn(which, "0123456789abcdef") != (size_t)2 * COF_HASH))
		return cof_fail(diag, -EINVAL, "'%s' is no SHA-256 of a tree R: coffer-vault status names them", which);
	snprintf(path, sizeof(path), DIR_NAME "/%s.age", which ? which : newest);
	if (r == 0)
		r = cof_io_load(io, path, COF_AGE_FILE_MAX, &file, &n);
	if (r == -ENOENT && (which || vault_keys_newest(io, newest) == 0)) { /* its puncturing was cut off */
		snprintf(path, sizeof(path), DIR_NAME "/%s.age" BEFORE, which ? which : newest);
		r = cof_io_load(io, path, COF_AGE_FILE_MAX, &file, &n);
	}
	if (r == -ENOENT)
		return cof_fail(diag, r, "this vault was not given the tree R of this archive%s", which ? " under that digest" : "");
	if (r < 0)
		return cof_fail(diag, r, "the tree R cannot be read: %s", strerror(-r));
	r = open_part(v, id, file, n, &plain, &plain_n, diag);
	if (r < 0)
		return r;
	held = plain;
	r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])to, 1, held, plain_n, NULL, ret);
	return r < 0 ? cof_fail(diag, r, "the tree R cannot be sealed: %s", strerror(-r)) : 0;
}
