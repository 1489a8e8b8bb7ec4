/* SPDX-License-Identifier: Apache-2.0 */
/* A vault's directory: vault.conf, its key, and archives/ID for each copy. */
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/rules/place.h"
#include "tools/vault/internal.h"

#define CONF_MAX 4096
#define MORE (VAULT_SCRUBBED + 32) /* bytes of all lines of about behind the fourth */
#define LOCK_TRIES 64 /* each is another session that made the copy and went */

int vault_place_check(const char *place, struct cof_diag *diag)
{
	struct cof_place p;

	for (const char *at = place; *at; at++) /* C1 too: 0xc2 0x80 to 0x9f */
		if ((uint8_t)*at < 32 || *at == 127 || ((uint8_t)*at == 0xc2 && (uint8_t)at[1] < 0xa0))
			return cof_fail(diag, -EINVAL, "a place's name has no control characters");
	return *place ? cof_place_parse(place, &p, diag) : 0;
}

int vault_grade_read(const char *text, unsigned *ret)
{
	if (*text < '1' || *text > '4' || text[1])
		return -EINVAL;
	*ret = (unsigned)(*text - '0');
	return 0;
}

bool vault_scrubbed_ok(const char *text)
{
	const char *verdict = strchr(text, ' ');
	char when[32];
	int64_t at;

	return verdict && verdict[1] && strspn(verdict + 1, "abcdefghijklmnopqrstuvwxyz -") == strlen(verdict + 1) &&
	       strlen(text) < VAULT_SCRUBBED && snprintf(when, sizeof(when), "%.*s", (int)(verdict - text), text) < (int)sizeof(when) &&
	       cof_time_parse(when, &at) == 0;
}

int place_write_conf(struct cof_io *io, const struct vault_place *v)
{
	cof_autobuf struct cof_buf b = {0};
	char text[COF_VKEY_MAX], created[32];

	cof_vkey_text(&v->vkey, text);
	cof_time_text(v->created, created);
	cof_buf_printf(&b, "[vault]\nformat = 1\nvkey = %s\nplace = %s\njurisdiction = %s\ncreated = %s\n", text, v->place,
		       v->jurisdiction, created);
	if (*v->tpm)
		cof_buf_printf(&b, "tpm = %s\n", v->tpm);
	if (v->grade)
		cof_buf_printf(&b, "grade = %u\n", v->grade);
	return b.failed ? -ENOMEM : cof_io_replace(io, "vault.conf", b.data, b.len);
}

static int first_conf(struct cof_io *io, const struct cof_vkey *vkey, const char *place, const char *jurisdiction, unsigned grade,
		      const struct vault_sealing *seal)
{
	struct vault_place v = {.vkey = *vkey, .grade = grade, .created = cof_now(CLOCK_REALTIME)};

	snprintf(v.place, sizeof(v.place), "%s", place);
	snprintf(v.jurisdiction, sizeof(v.jurisdiction), "%s", jurisdiction);
	if (seal)
		snprintf(v.tpm, sizeof(v.tpm), "%s", seal->tpm ? seal->tpm : COF_TPM_DEVICE);
	return place_write_conf(io, &v);
}

int vault_place_init(const char *dir, const char *name, const char *place, const char *jurisdiction, unsigned grade,
		     const struct vault_sealing *seal, struct cof_diag *diag)
{
	uint8_t *seed cof_autosecret = cof_secret_alloc(COF_KEY);
	struct cof_io *io = NULL;
	struct cof_vkey vkey;
	uint8_t pub[32];
	int r = vault_place_check(place, diag);

	if (r == 0)
		r = cof_jurisdiction_check(jurisdiction, diag);
	if (r < 0)
		return r;
	if (!seed)
		return cof_fail(diag, -ENOMEM, "out of secure memory");
	cof_random(seed, COF_KEY);
	r = cof_ed25519_public(seed, pub);
	if (r == 0 && cof_vkey_make(name, COF_NOTE_COSIG, pub, &vkey) < 0)
		return cof_fail(diag, -EINVAL, "'%s' is no name of a vault: no blank, no plus sign, such as vault.example/b", name);
	if (r == 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return cof_fail(diag, -errno, "cannot make %s: %s", dir, strerror(errno));
	if (r == 0)
		r = cof_io_plain(dir, &io, diag);
	if (r < 0)
		return r;
	if (cof_io_exists(io, "vault.conf") != 0 || cof_io_exists(io, "key") != 0 || cof_io_exists(io, "key.tpm2") != 0) {
		cof_io_free(io);
		return cof_fail(diag, -EEXIST, "%s is a vault already: coffer-vault status %s", dir, dir);
	}
	r = cof_io_mkdir(io, "archives");
	if (r == -EEXIST)
		r = 0;
	if (r == 0 && seal) {
		r = place_seal(io, &vkey, seed, seal, diag);
		if (r < 0) {
			(void)cof_io_rmdir(io, "archives");
			cof_io_free(io);
			(void)rmdir(dir);
			return r;
		}
	}
	if (r == 0 && !seal)
		r = cof_io_replace(io, "key", seed, COF_KEY);
	if (r == 0)
		r = first_conf(io, &vkey, place, jurisdiction, grade, seal);
	cof_io_free(io);
	return r < 0 ? cof_fail(diag, r, "cannot write in %s: %s", dir, strerror(-r)) : 0;
}

static int take_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct vault_place *v = user;

	(void)line;
	if (strcmp(section, "vault"))
		return 0;
	if (!strcmp(key, "format"))
		return strcmp(value, "1") ? -EUCLEAN : 0;
	if (!strcmp(key, "vkey"))
		return cof_vkey_parse(value, &v->vkey);
	if (!strcmp(key, "place"))
		return snprintf(v->place, sizeof(v->place), "%s", value) < (int)sizeof(v->place) ? 0 : -EUCLEAN;
	if (!strcmp(key, "jurisdiction"))
		return snprintf(v->jurisdiction, sizeof(v->jurisdiction), "%s", value) < (int)sizeof(v->jurisdiction) ? 0
														    : -EUCLEAN;
	if (!strcmp(key, "tpm"))
		return snprintf(v->tpm, sizeof(v->tpm), "%s", value) < (int)sizeof(v->tpm) ? 0 : -EUCLEAN;
	if (!strcmp(key, "grade"))
		return vault_grade_read(value, &v->grade) < 0 ? -EUCLEAN : 0;
	if (!strcmp(key, "created"))
		return cof_time_parse(value, &v->created);
	return 0;
}

int place_load_key(struct vault_place *v, struct cof_diag *diag)
{
	cof_autofile struct cof_file *f = NULL;
	uint8_t pub[32];
	size_t n = 0;
	int r;

	v->seed = cof_secret_alloc(COF_KEY);
	if (!v->seed)
		return cof_fail(diag, -ENOMEM, "out of secure memory");
	if (*v->tpm)
		return place_unseal(v->io, &v->vkey, v->tpm, v->seed, diag);
	r = cof_io_open(v->io, "key", COF_IO_RDONLY, &f);
	if (r == 0)
		r = cof_io_read(f, v->seed, COF_KEY, 0, &n);
	if (r == 0 && n != COF_KEY)
		r = -EUCLEAN;
	if (r == 0)
		r = cof_ed25519_public(v->seed, pub);
	if (r < 0)
		return cof_fail(diag, r, "%s/key cannot be read: %s", cof_io_where(v->io), strerror(-r));
	if (!cof_equal(pub, v->vkey.public_key, 32))
		return cof_fail(diag, -EKEYREJECTED, "%s/key is not the key that vault.conf names", cof_io_where(v->io));
	return 0;
}

int place_open(const char *dir, struct vault_place *ret, struct cof_diag *diag)
{
	struct vault_place v = {.io = NULL};
	cof_autofree uint8_t *text = NULL;
	struct cof_diag why = {""};
	size_t n = 0;
	int r = cof_io_plain(dir, &v.io, diag);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0)
		r = cof_io_load(v.io, "vault.conf", CONF_MAX, &text, &n);
	if (r == -ENOENT)
		r = cof_fail(diag, r, "%s is no vault: coffer-vault init %s --name NAME makes one", dir, dir);
	else if (r == 0 && (cof_ini_parse((const char *)text, n, take_key, &v, &why) < 0 ||
			    v.vkey.algorithm != COF_NOTE_COSIG))
		r = cof_fail(diag, -EUCLEAN, "%s/vault.conf is damaged%s%s", dir, *why.text ? ": " : "", why.text);
	else if (r < 0)
		r = cof_fail(diag, r, "%s/vault.conf cannot be read: %s", dir, strerror(-r));
	if (r < 0) {
		vault_place_close(&v);
		return r;
	}
	*ret = v;
	return 0;
}

int vault_place_open(const char *dir, struct vault_place *ret, struct cof_diag *diag)
{
	struct vault_place v;
	int r = place_open(dir, &v, diag);

	if (r < 0)
		return r;
	r = place_load_key(&v, diag);
	if (r < 0) {
		vault_place_close(&v);
		return r;
	}
	*ret = v;
	return 0;
}

void vault_place_close(struct vault_place *v)
{
	cof_secret_free(v->seed);
	cof_io_free(v->io);
	memset(v, 0, sizeof(*v));
}

void vault_place_about(const struct vault_place *v, struct cof_buf *ret)
{
	char text[COF_VKEY_MAX];

	cof_vkey_text(&v->vkey, text);
	cof_buf_printf(ret, "%s\n%s\n%s\n", text, v->place, v->jurisdiction);
	if (vault_recipient_line(v, ret) < 0)
		ret->failed = true;
}

void vault_place_about_more(const struct vault_place *v, struct cof_io *copy, struct cof_buf *ret)
{
	cof_autofree uint8_t *text = NULL;
	char *end;
	size_t n = 0;

	if (ret->len + MORE > VAULT_ABOUT_MAX) /* of a key with a very long name: an about that is too long is none */
		return;
	if (v->grade)
		cof_buf_printf(ret, "grade: %u\n", v->grade);
	if (cof_io_load(copy, "scrubbed", VAULT_SCRUBBED, &text, &n) < 0)
		return; /* none, or none that says anything */
	end = memchr(text, '\n', n);
	if (!end)
		return;
	*end = 0;
	if (vault_scrubbed_ok((const char *)text))
		cof_buf_printf(ret, "scrubbed: %s\n", (const char *)text);
}

static void archive_path(const uint8_t id[16], char ret[48])
{
	char hex[33];

	cof_hex(id, 16, hex);
	snprintf(ret, 48, "archives/%s", hex);
}

int vault_place_archive(const struct vault_place *v, const uint8_t id[16], struct cof_io **ret, struct cof_diag *diag)
{
	cof_autofree char *dir = NULL;
	char path[48];
	int r;

	archive_path(id, path);
	if (asprintf(&dir, "%s/%s", cof_io_where(v->io), path) < 0) {
		dir = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	r = cof_io_exists(v->io, path);
	if (r == 0)
		return cof_fail(diag, -ENOENT, "this vault has no copy of archive %s", path + 9);
	return r < 0 ? cof_fail(diag, r, "%s cannot be read: %s", dir, strerror(-r)) : cof_io_plain(dir, ret, diag);
}

/* Two first sessions at once: one of them makes it, and both wait until it is durable. */
static int make_directory(const struct vault_place *v, const uint8_t id[16], struct cof_diag *diag)
{
	char path[48], conf[64];
	int r;

	archive_path(id, path);
	snprintf(conf, sizeof(conf), "%s/archive.conf", path);
	r = cof_io_exists(v->io, conf);
	if (r == 0) {
		r = cof_io_mkdir(v->io, path);
		if (r == 0 || r == -EEXIST)
			r = cof_io_sync_dir(v->io, "archives");
	}
	return r < 0 ? cof_fail(diag, r, "%s/%s cannot be made: %s", cof_io_where(v->io), path, strerror(-r)) : 0;
}

static int count_name(void *user, const char *name)
{
	*(unsigned *)user += strcmp(name, "lock") != 0;
	return 0;
}

void vault_place_forget(const struct vault_place *v, const uint8_t id[16], struct cof_io *io)
{
	unsigned n = 0;
	char path[48];

	archive_path(id, path);
	if (cof_io_list(io, "", count_name, &n) < 0 || n)
		return;
	(void)cof_io_unlink(io, "lock");
	(void)cof_io_rmdir(v->io, path); /* -ENOTEMPTY: somebody has made his lock already, and begins */
}

static int not_retired(const struct vault_place *v, const uint8_t id[16], struct cof_diag *diag)
{
	char hex[33];
	int r = vault_retired(v, id);

	cof_hex(id, 16, hex);
	if (r > 0)
		return cof_fail(diag, -EOWNERDEAD, "this vault destroyed what it had of archive %s: DIR/retired has the receipt, and "
						   "stands in the way of taking it again", hex);
	return r < 0 ? cof_fail(diag, r, "%s/retired cannot be read: %s", cof_io_where(v->io), strerror(-r)) : 0;
}

/* -ESTALE: what was opened is gone, or another; it was made and removed meanwhile. */
static int lock_once(const struct vault_place *v, const uint8_t id[16], bool make, const char *holder, struct cof_io **ret,
		     struct cof_diag *diag)
{
	struct cof_io *io = NULL;
	int r = not_retired(v, id, diag);

	if (r == 0 && make)
		r = make_directory(v, id, diag);
	if (r < 0)
		return r;
	r = vault_place_archive(v, id, &io, diag);
	if (r == -ENOENT && make)
		return -ESTALE;
	if (r == 0)
		r = cof_io_lock(io, holder, diag);
	if (r == -ENOENT)
		r = -ESTALE;
	if (r == 0) {
		r = not_retired(v, id, diag); /* destroyed between the first look and the lock */
		if (r < 0)
			vault_place_forget(v, id, io);
	}
	if (r < 0) {
		cof_io_free(io);
		return r;
	}
	*ret = io;
	return 0;
}

int vault_place_lock(const struct vault_place *v, const uint8_t id[16], bool make, const char *holder, struct cof_io **ret,
		     struct cof_diag *diag)
{
	int r = -ESTALE;

	for (unsigned i = 0; i < LOCK_TRIES && r == -ESTALE; i++)
		r = lock_once(v, id, make, holder, ret, diag);
	return r == -ESTALE ? cof_fail(diag, -EBUSY, "the copy of this archive is made and removed all the time: try again") : r;
}

struct listing {
	vault_place_fn fn;
	void *user;
};

static int one_name(void *user, const char *name)
{
	const struct listing *l = user;
	uint8_t id[16];

	return strlen(name) == 32 && cof_unhex(name, 32, id) == 0 ? l->fn(l->user, id) : 0;
}

int vault_place_list(const struct vault_place *v, vault_place_fn fn, void *user)
{
	return cof_io_list(v->io, "archives", one_name, &(struct listing){fn, user});
}
