/* SPDX-License-Identifier: Apache-2.0 */
/* A key that is to be taken in: read into secure memory, judged, encrypted, told. */
#include "tools/escrow-take.h"
#include "tools/file.h"
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"

#include "crypto/age.h"
#include "crypto/passphrase.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- reading ---- */

/* Into secure memory only. */
static int load_secret(struct taking *t, struct cof_diag *diag)
{
	cof_autoclose int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st = {0};
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (r == 0 && !S_ISREG(st.st_mode))
		return cof_fail(diag, -EINVAL, "%s is no regular file", t->path);
	if (r == 0)
		r = cof_read_all(fd, t->file, COF_PRIVATE_KEY_MAX, &t->file_n);
	if (r == 0 && !t->file_n)
		r = -ENODATA;
	return r < 0 ? cof_fail(diag, r, "%s: %s", t->path,
				r == -EFBIG ? "larger than any key" : r == -ENODATA ? "it is empty" : strerror(-r))
		     : 0;
}

static int get_passphrase(const struct taking *t, char *out, struct cof_diag *diag)
{
	size_t n = 0;
	int r;

	if (t->passphrase_fd < 0)
		return cof_passphrase_ask(t->path, false, out, &n, diag);
	r = cof_read_all(t->passphrase_fd, out, COF_PASSPHRASE_MAX, &n);
	if (r < 0)
		return cof_fail(diag, r, "the passphrase's descriptor: %s", strerror(-r));
	out[n] = '\0';
	if (n && out[n - 1] == '\n')
		out[n - 1] = '\0';
	return 0;
}

/* A key with a passphrase is kept without it: nobody will know it when the shares come together. */
static int read_key(struct taking *t, struct cof_diag *diag)
{
	cof_autosecret char *passphrase = cof_secret_alloc(COF_PASSPHRASE_ROOM);
	struct cof_diag why = {""};
	int r = passphrase ? 0 : -ENOMEM;

	if (r == 0)
		r = cof_intake_read(t->file, t->file_n, NULL, &t->key, t->pkcs8, &t->pkcs8_n, &why);
	if (r == -ENOKEY) {
		r = get_passphrase(t, passphrase, diag);
		if (r < 0)
			return r;
		r = cof_intake_read(t->file, t->file_n, passphrase, &t->key, t->pkcs8, &t->pkcs8_n, &why);
		t->content = t->pkcs8;
		t->content_n = t->pkcs8_n;
	}
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", t->path, *why.text ? why.text : strerror(-r));
	t->in.key = &t->key;
	return 0;
}

static int read_certificate(struct taking *t, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0};
	struct cof_diag why = {""};
	int r = file_load(t->cert_path, COF_PRIVATE_KEY_MAX, &file, diag);

	if (r < 0)
		return r;
	r = cof_public_use_read(file.data ? (void *)file.data : "", file.len, &t->public, &why);
	t->in.public = &t->public;
	return r < 0 ? cof_fail(diag, r, "%s: %s", t->cert_path, why.text) : 0;
}

int escrow_take_load(struct taking *t, struct cof_diag *diag)
{
	int r = t->cert_path ? read_certificate(t, diag) : 0;

	t->file = cof_secret_alloc(COF_PRIVATE_KEY_MAX);
	t->pkcs8 = cof_secret_alloc(COF_PRIVATE_KEY_MAX);
	if (r == 0 && (!t->file || !t->pkcs8))
		r = cof_fail(diag, -ENOMEM, "no secure memory is left");
	if (r == 0)
		r = load_secret(t, diag);
	t->content = t->file;
	t->content_n = t->in.bytes = t->file_n;
	t->in.material = t->raw ? COF_MATERIAL_RAW : t->wrapped ? COF_MATERIAL_WRAPPED : COF_MATERIAL_KEY;
	return r == 0 && t->in.material == COF_MATERIAL_KEY ? read_key(t, diag) : r;
}

void escrow_take_done(struct taking *t)
{
	cof_secret_free(t->file);
	cof_secret_free(t->pkcs8);
	t->file = t->pkcs8 = NULL;
}

/* ---- judging and encrypting ---- */

int escrow_take_judge(struct taking *t, struct cof_diag *diag)
{
	cof_intake_judge(&t->in, &t->ruling);
	return t->ruling.rule ? cof_fail(diag, -EPERM, "refused (%s): %s [%s]", t->ruling.rule, t->ruling.reason, t->ruling.clause) : 0;
}

int escrow_take_encrypt(const struct taking *t, const char *recipient, uint8_t *file_key, struct cof_buf *ret, struct cof_diag *diag)
{
	uint8_t to[1][COF_AGE_KEY];
	int r = cof_age_recipient_parse(recipient, strlen(recipient), to[0]);

	if (r == 0)
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])to, 1, t->content, t->content_n, file_key, ret);
	return r < 0 ? cof_fail(diag, r, "it cannot be encrypted: %s", strerror(-r)) : 0;
}

int escrow_take_try(const struct taking *t, const uint8_t *file_key, const void *age, size_t n)
{
	void *plain = NULL;
	size_t plain_n = 0;
	int r = cof_age_decrypt_by_key(file_key, age, n, &plain, &plain_n);

	if (r == 0 && (plain_n != t->content_n || !cof_equal(plain, t->content, plain_n)))
		r = -EIO;
	cof_secret_free(plain);
	return r;
}

int escrow_take_wipe(const struct taking *t, struct cof_diag *diag)
{
	static const uint8_t zeros[4096];
	cof_autoclose int fd = open(t->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	int r = fd < 0 ? -errno : 0;

	for (size_t left = t->file_n; r == 0 && left;) {
		size_t n = COF_MIN(left, sizeof(zeros));

		r = cof_write_all(fd, zeros, n);
		left -= n;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && unlink(t->path) < 0)
		r = -errno;
	return r < 0 ? cof_fail(diag, r, "the key is sealed, but %s is still there: %s", t->path, strerror(-r)) : 0;
}

/* ---- telling ---- */

static const char *use_text(unsigned use)
{
	return use == COF_USE_SIGN ? "sign" : use == COF_USE_ENCRYPT ? "encrypt" : "";
}

static void set_digest(struct cof_json *o, const char *key, const uint8_t digest[COF_HASH])
{
	char hex[2 * COF_HASH + 1];

	cof_hex(digest, COF_HASH, hex);
	cof_json_set_str(o, key, hex);
}

void escrow_take_tell(const struct taking *t, struct cof_json *o)
{
	const struct cof_intake *in = &t->in;

	cof_json_set_bool(o, "permitted", !t->ruling.rule);
	if (t->ruling.rule) {
		cof_json_set_str(o, "rule", t->ruling.rule);
		cof_json_set_str(o, "clause", t->ruling.clause);
		cof_json_set_str(o, "reason", t->ruling.reason);
	}
	cof_json_set_str(o, "owner", in->owner == COF_OWNER_CA ? "ca" : "subscriber");
	cof_json_set_uint(o, "level", in->level);
	cof_json_set_str(o, "purpose", in->backup ? "backup" : "escrow");
	if (in->key) {
		cof_json_set_str(o, "form", cof_key_form_name(in->key->form));
		cof_json_set_str(o, "algorithm", in->key->algorithm);
		cof_json_set_uint(o, "bits", in->key->bits);
		set_digest(o, "public_key", in->key->public_id);
	} else {
		cof_json_set_str(o, "form", t->wrapped ? "wrapped" : "raw");
	}
	if (in->public)
		set_digest(o, in->public->request ? "request" : "certificate", in->public->fingerprint);
	if (t->wrapped) {
		cof_json_set_str(o, "token", in->token ? in->token : "");
		cof_json_set_str(o, "why", in->reason ? in->reason : "");
	}
	if (t->ruling.use)
		cof_json_set_str(o, "usage", use_text(t->ruling.use));
	cof_json_set_bool(o, "usage_decided", t->ruling.decided);
}

void escrow_take_say(const struct taking *t)
{
	cof_autofree char *path = escaped(t->path);

	printf("%s: ", path ? path : "?");
	if (t->in.key)
		printf("%s, %s, %u bits", cof_key_form_name(t->key.form), t->key.algorithm, t->key.bits);
	else
		printf("%s, %zu bytes", t->wrapped ? "wrapped by its module" : "raw", t->file_n);
	printf("; may be kept for %s, to %s%s\n", t->in.backup ? "backup" : "escrow", use_text(t->ruling.use),
	       t->ruling.decided ? " (as was decided, not as a document says)" : "");
}

void escrow_take_say_wiped(const struct taking *t)
{
	cof_autofree char *path = escaped(t->path);

	printf("%s was overwritten and removed. On an SSD, on a filesystem with a journal or snapshots, and in backups, older copies "
	       "of its blocks may still be there: a key that must not survive was never to be on that disk.\n",
	       path ? path : "?");
}

/* ---- options ---- */

static int take_word(struct taking *t, int option)
{
	if (option == TAKE_OWNER) {
		t->in.owner = !strcmp(optarg, "ca") ? COF_OWNER_CA : !strcmp(optarg, "subscriber") ? COF_OWNER_SUBSCRIBER : 0;
		return t->in.owner ? EXIT_OK : misuse("--owner is ca or subscriber");
	}
	if (option == TAKE_LEVEL) {
		t->in.level = optarg[0] >= '1' && optarg[0] <= '4' && !optarg[1] ? (unsigned)(optarg[0] - '0') : 0;
		return t->in.level ? EXIT_OK : misuse("--level is 1, 2, 3 or 4");
	}
	t->in.decided = !strcmp(optarg, "sign") ? COF_USE_SIGN : !strcmp(optarg, "encrypt") ? COF_USE_ENCRYPT : 0;
	return t->in.decided ? EXIT_OK : misuse("--usage is sign or encrypt");
}

int escrow_take_option(struct taking *t, int option)
{
	switch (option) {
	case TAKE_OWNER:
	case TAKE_LEVEL:
	case TAKE_USAGE:
		return take_word(t, option);
	case TAKE_PASSPHRASE_FD:
		return opener_take_fd("--passphrase-fd", &t->passphrase_fd);
	case TAKE_BACKUP:
	case TAKE_RAW:
	case TAKE_WRAPPED:
	case TAKE_WIPE:
	case TAKE_JSON:
		*(option == TAKE_BACKUP	   ? &t->in.backup
		  : option == TAKE_RAW	   ? &t->raw
		  : option == TAKE_WRAPPED ? &t->wrapped
		  : option == TAKE_WIPE	   ? &t->wipe
					   : &t->json) = true;
		return EXIT_OK;
	default:
		*(option == TAKE_CERT ? &t->cert_path : option == TAKE_TOKEN ? &t->in.token : &t->in.reason) = optarg;
		return EXIT_OK;
	}
}

int escrow_take_conflict(const struct taking *t)
{
	if (!t->in.owner || !t->in.level)
		return misuse("whose key is it, and at which level? --owner ca|subscriber --level N");
	if (t->raw && t->wrapped)
		return misuse("--raw and --wrapped exclude one another");
	if (!t->wrapped && (t->in.token || t->in.reason))
		return misuse("--token and --reason go with --wrapped");
	return EXIT_OK;
}
