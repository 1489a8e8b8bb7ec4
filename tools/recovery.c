/* SPDX-License-Identifier: Apache-2.0 */
/* Options about the recovery envelope: recipients, and identity files. */
#include "tools/recovery.h"
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define FILE_MAX (64u << 10)

int recovery_add(struct recovery *r, const char *option, const char *text)
{
	cof_autofree char *shown = escaped(text);

	if (!strncmp(text, "AGE-SECRET-KEY-", 15))
		return misuse("%s takes a recipient (age1...), not an identity: that one is now in the list of "
			      "processes and perhaps in your shell's history",
			      option);
	if (r->n == COF_AGE_RECIPIENTS)
		return misuse("at most %d recipients can open one file", COF_AGE_RECIPIENTS);
	if (cof_age_recipient_parse(text, strlen(text), r->recipients[r->n]) < 0)
		return misuse("'%s' is no age recipient: age1 and 58 characters, as age-keygen -y prints it",
			      shown ? shown : "?");
	for (size_t i = 0; i < r->n; i++)
		if (!memcmp(r->recipients[i], r->recipients[r->n], COF_AGE_KEY))
			return misuse("the recipient %s is named twice", shown ? shown : "?");
	r->n++;
	return EXIT_OK;
}

int recovery_add_or_epoch(struct recovery *r, const char *option, const char *text)
{
	int code;

	if (strncmp(text, "age1", 4) != 0 && strncmp(text, "AGE-", 4) != 0 && access(text, F_OK) == 0) {
		if (r->epoch)
			return misuse("%s: one epoch", option);
		r->epoch = text;
		code = EXIT_OK;
	} else {
		code = recovery_add(r, option, text);
	}
	if (code == EXIT_OK && r->epoch && r->n)
		return misuse("%s: an epoch's shares, or persons of whom each opens it alone, not both", option);
	return code;
}

const char *recovery_conflict(const struct recovery *r, bool none)
{
	if (recovery_given(r) && none)
		return "--recovery and --no-recovery contradict each other";
	if (r->test && !r->n)
		return "--recovery-test goes with --recovery RECIPIENT";
	return "";
}

int identities_load(const char *path, const char *store, uint8_t (**ret)[COF_AGE_KEY], size_t *ret_n,
		    struct cof_diag *diag)
{
	cof_autosecret char *text = cof_secret_alloc(FILE_MAX);
	cof_autosecret uint8_t(*keys)[COF_AGE_KEY] = cof_secret_alloc(IDENTITIES_MAX * COF_AGE_KEY);
	cof_autoclose int fd = -1;
	size_t n = 0;
	int r = store ? path_inside(path, store) : 0;

	if (!text || !keys)
		return cof_fail(diag, -ENOMEM, "no locked memory left for an identity");
	if (r > 0)
		return cof_fail(diag, -EINVAL,
				"the identity file %s may not lie in the store: whoever takes the store would "
				"have both",
				path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the identity file %s: %s", path, strerror(errno));
	r = cof_read_all(fd, text, FILE_MAX, &n);
	if (r < 0)
		return cof_fail(diag, r, "cannot read the identity file %s: %s", path,
				r == -EFBIG ? "it is too long" : strerror(-r));
	r = cof_age_identities_parse(text, n, keys, IDENTITIES_MAX, ret_n);
	if (r < 0)
		return cof_fail(diag, r,
				r == -E2BIG ? "%s holds more identities than are tried at once"
					    : "%s is no identity file: a line AGE-SECRET-KEY-1..., as age-keygen "
					      "writes it (one that is locked by a passphrase is opened by age -d)",
				path);
	*ret = keys;
	keys = NULL;
	return 0;
}

static int load_epoch(struct recovery *r, struct cof_diag *diag)
{
	struct cof_epoch e = {0};
	int err = file_load(r->epoch, COF_EPOCH_MAX, &r->epoch_text, diag);

	if (err == 0 && !r->epoch_text.len)
		err = cof_fail(diag, -EUCLEAN, "%s is empty", r->epoch);
	if (err == 0)
		err = cof_epoch_parse((const char *)r->epoch_text.data, r->epoch_text.len, &e, diag);
	if (err < 0)
		return err;
	if (!cof_epoch_valid(&e) && !e.rehearsal)
		err = cof_fail(diag, -EPERM, "epoch %u is not valid yet: not every custodian has confirmed to have the share", e.number);
	else
		err = cof_age_recipient_parse(e.recipient, strlen(e.recipient), r->recipients[0]);
	r->n = err == 0;
	cof_epoch_done(&e);
	return err;
}

int recovery_load(struct recovery *r, const char *store, struct cof_diag *diag)
{
	int err = r->epoch ? load_epoch(r, diag) : 0;

	return err == 0 && r->test ? identities_load(r->test, store, &r->identities, &r->n_identities, diag) : err;
}

/* ---- what a vault released ---- */

const char *released_conflict(const struct released *r)
{
	if (r->path && r->without)
		return "either --vault-keys or --without-vaults";
	if (r->identity && !r->path)
		return "--vault-identity goes with --vault-keys";
	return "";
}

int released_load(struct released *r, const char *store, struct cof_recover_params *p, struct cof_diag *diag)
{
	int err = r->path ? file_load(r->path, COF_AGE_FILE_MAX, &r->file, diag) : 0;

	if (err == 0 && r->path && !r->file.len)
		err = cof_fail(diag, -EUCLEAN, "%s is empty: no vault released that", r->path);
	if (err == 0 && r->identity)
		err = identities_load(r->identity, store, &r->identities, &p->n_vault_identities, diag);
	p->vault_keys = r->path ? r->file.data : NULL;
	p->vault_keys_len = r->file.len;
	p->vault_identities = (const uint8_t(*)[COF_AGE_KEY])r->identities;
	p->without_vaults = r->without;
	return err;
}

void released_done(struct released *r)
{
	cof_secret_free(r->identities);
	cof_buf_done(&r->file);
	*r = (struct released){.path = NULL};
}

void recovery_say_unlike(const struct cof_recovered_keys *k, const struct released *r, const char *store)
{
	cof_autofree char *word = store ? shell_word(store) : NULL;

	if (!k->unlike || k->lost_from)
		return;
	printf("Warning: %" PRIu64 " first writes to files do not fit; that is damage, or forgery%s%s\n", k->unlike, store ? ": coffer verify " : "",
	       word ? word : "");
	if (!r->path)
		printf("Or else the envelope is of before a vault was enrolled: coffer-vault release at one of the vaults, then --vault-keys FILE.\n");
}

/* ---- the epoch beside the envelope ---- */

#define EPOCH_NOTE "seal/recovery-epoch.json"
#define NOTE_MAX (4 * COF_EPOCH_MAX)

/* The envelope that is there, in 64 digits. */
static int envelope_digest(struct cof_io *io, char hex[2 * COF_HASH + 1])
{
	cof_autofree uint8_t *file = NULL;
	uint8_t digest[COF_HASH];
	size_t n = 0;
	int r = cof_io_load(io, "seal/recovery.age", COF_AGE_FILE_MAX, &file, &n);

	if (r < 0)
		return r;
	cof_sha256(file, n, digest);
	cof_hex(digest, sizeof(digest), hex);
	return 0;
}

int recovery_note(const struct recovery *r, struct cof_io *io, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	char hex[2 * COF_HASH + 1];
	int err = r->epoch ? envelope_digest(io, hex) : -ENOENT;

	if (!r->epoch)
		return 0;
	if (err == 0) {
		cof_json_set_str(o, "envelope", hex);
		cof_json_set_str(o, "epoch", (const char *)r->epoch_text.data);
		cof_json_set_str(o, "format", "coffer-recovery-epoch/1");
		err = cof_json_canonical(o, &text);
	}
	if (err == 0)
		err = cof_io_replace(io, EPOCH_NOTE, text.data, text.len);
	return err < 0 ? cof_fail(diag, err,
				  "the envelope is sealed to the epoch, but %s/" EPOCH_NOTE " cannot be written (%s): give coffer recover "
				  "the document with --epoch",
				  cof_io_where(io), strerror(-err))
		       : 0;
}

int recovery_find_epoch(struct cof_io *io, struct cof_epoch *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autofree uint8_t *file = NULL;
	char hex[2 * COF_HASH + 1];
	const char *text;
	size_t n = 0;
	int err = cof_io_load(io, EPOCH_NOTE, NOTE_MAX, &file, &n);

	if (err == 0)
		err = envelope_digest(io, hex);
	if (err == 0)
		err = cof_json_parse((const char *)file, n, &o);
	if (err < 0)
		return cof_fail(diag, err, err == -ENOENT ? "the archive has no note of an epoch" : EPOCH_NOTE ": %s", strerror(-err));
	text = cof_json_str(o, "epoch");
	if (!cof_json_str(o, "envelope") || !text)
		return cof_fail(diag, -EUCLEAN, EPOCH_NOTE " is damaged");
	if (strcmp(cof_json_str(o, "envelope"), hex) != 0)
		return cof_fail(diag, -ENOENT, EPOCH_NOTE " is of another envelope than the one that is there");
	return cof_epoch_parse(text, strlen(text), ret, diag);
}

void recovery_tell_shares(struct cof_io *io, struct cof_json *recovery)
{
	struct cof_epoch e = {0};
	struct cof_json *o;

	if (!recovery || recovery_find_epoch(io, &e, NULL) < 0)
		return;
	o = cof_json_object();
	cof_json_set_uint(o, "epoch", e.number);
	cof_json_set_str(o, "scheme", e.scheme.name);
	cof_json_set_uint(o, "persons", cof_scheme_fewest(&e.scheme));
	cof_json_set_uint(o, "custodians", e.scheme.n_custodians);
	cof_json_set_bool(o, "rehearsal", e.rehearsal);
	cof_json_set(recovery, "shares", o);
	cof_epoch_done(&e);
}

struct cof_recovery recovery_params(const struct recovery *r)
{
	return (struct cof_recovery){
	    .recipients = (const uint8_t(*)[COF_AGE_KEY])r->recipients,
	    .n_recipients = r->n,
	    .identities = (const uint8_t(*)[COF_AGE_KEY])r->identities,
	    .n_identities = r->n_identities,
	};
}

void recovery_done(struct recovery *r)
{
	cof_secret_free(r->identities);
	cof_buf_done(&r->epoch_text);
	memset(r, 0, sizeof(*r));
}

void recovery_said(const struct cof_json *o, char out[RECOVERY_SAID])
{
	const struct cof_json *shares = cof_json_get(o, "shares");
	int64_t n = 0, persons = 0, epoch = 0;

	if (!o)
		snprintf(out, RECOVERY_SAID, "none: with every opener lost, all is lost");
	else if (cof_json_str(o, "error") || cof_json_int(o, "recipients", &n) < 0 || n < 1)
		snprintf(out, RECOVERY_SAID, "seal/recovery.age is damaged: coffer seal recovery-renew");
	else if (cof_json_bool(o, "before_vaults"))
		snprintf(out, RECOVERY_SAID, "the envelope is of before the first vault was enrolled: coffer seal recovery-renew");
	else if (shares && n == 1 && cof_json_int(shares, "persons", &persons) == 0 && cof_json_int(shares, "epoch", &epoch) == 0)
		snprintf(out, RECOVERY_SAID, "%lld persons at the fewest open the envelope, with shares of epoch %lld%s (coffer recover --shares)",
			 (long long)persons, (long long)epoch, cof_json_bool(shares, "rehearsal") ? ", a REHEARSAL" : "");
	else if (n == 1)
		snprintf(out, RECOVERY_SAID, "one person opens the envelope");
	else
		snprintf(out, RECOVERY_SAID, "one person opens the envelope, any of %lld", (long long)n);
}

void recovery_say_ended(const struct cof_ended_again *e)
{
	char size[24];

	cof_size_text(e->bytes, size);
	if (e->unread)
		printf("Warning: of what the log destroyed no byte was overwritten in this copy, since not all of its frames can be read and\n"
		       "proven, and a hold may be among them, or one that destroys: coffer verify names the place. Once the log is whole,\n"
		       "coffer recover once more.\n");
	else if (e->files)
		printf("What people destroyed is gone from this copy too: %" PRIu64 " file%s, %" PRIu64 " frame%s (%s) overwritten and read back.\n",
		       e->files, plural(e->files), e->frames, plural(e->frames), size);
	if (e->behind)
		printf("What %" PRIu64 " frame%s behind the checkpoint destroy%s keeps its bytes until the next mount, which goes on with that.\n", e->behind,
		       plural(e->behind), e->behind == 1 ? "s" : "");
	if (e->left)
		printf("Warning: %" PRIu64 " frame%s of the log end%s files and %s permitted by nobody, or not yet by this host's clock: their bytes\n"
		       "stay (coffer verify).\n", e->left, plural(e->left), e->left == 1 ? "s" : "", e->left == 1 ? "was" : "were");
}
