/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault is left: from then on nothing goes there by itself, it counts for no place, and until its
 * signed receipt is on record, that it destroyed what it had, this is an open item in status and
 * due.
 */
#include "tools/vault-record.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static int record(const struct store *s, const struct vault_entry *e, const char *what,
		  const struct vault_receipt *receipt, const char *document, struct cof_diag *diag)
{
	struct vault_recording recording = {.store = s};
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", what);
	vault_entry_record(s, e, o);
	if (receipt) {
		cof_json_set_uint(o, "from", 0);
		cof_json_set_uint(o, "to", receipt->size);
		cof_json_set_uint(o, "bytes", receipt->bytes);
		cof_json_set_str(o, "outcome", "success");
		cof_json_set_str(o, "document", document);
	}
	return vault_recorded(&recording, o, diag);
}

static int begin(const struct store *s, struct vault_entry *e, struct cof_diag *diag)
{
	char id[33];
	int r = 0;

	cof_hex(s->conf.id, 16, id);
	if (!*e->retiring) {
		r = record(s, e, "retiring", NULL, NULL, diag);
		cof_time_text(cof_now(CLOCK_REALTIME), e->retiring);
		if (r == 0)
			r = vault_entry_save(s, e, diag);
		if (r < 0)
			return r;
	}
	printf(
	    "Vault %s is being retired since %s. coffer sync leaves it alone unless it is named.\n"
	    "Next: coffer sync %s %s   # once more, so that the vault has it from the archive "
	    "itself\n"
	    "Then whoever runs the vault: coffer-vault destroy DIR --archive %s > FILE\n"
	    "And the receipt here: coffer vault retire %s %s --receipt FILE\n"
	    "Until then status and due tell of it. No receipt covers backups that the vault's "
	    "provider made.\n",
	    e->name, e->retiring, s->path, e->name, id, s->path, e->name);
	return 0;
}

/* A witness holds no copy: nothing is there to be destroyed, and nobody to sign that. */
static int leave(const struct store *s, const struct vault_entry *e, struct cof_diag *diag)
{
	int r = record(s, e, "retiring", NULL, NULL, diag);

	if (r == 0)
		r = record(s, e, "retired", NULL, NULL, diag);
	if (r == 0)
		r = vault_entry_remove(s, e->name, diag);
	if (r == 0)
		printf("Witness %s is left, which is on record: it holds no copy, and nothing more is asked of it.\n", e->name);
	return r;
}

static int check(const struct store *s, const struct vault_entry *e,
		 const struct vault_receipt *receipt, struct cof_diag *diag)
{
	if (memcmp(receipt->id, s->conf.id, 16) != 0)
		return cof_fail(diag, -EXDEV, "the receipt is about another archive");
	if (!cof_equal(receipt->vkey.public_key, e->vkey.public_key, 32))
		return cof_fail(diag, -EKEYREJECTED,
				"the receipt is another vault's: its key is not that of %s",
				e->name);
	if (receipt->size < e->size)
		return cof_fail(diag, -ESTALE,
				"the receipt is for %" PRIu64 " frames, and %s confirmed %" PRIu64
				" of them: it is older, and something is left there",
				receipt->size, e->name, e->size);
	return 0;
}

static int finish(const struct store *s, struct vault_entry *e, const char *path,
		  struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct vault_receipt receipt = {.size = 0};
	char kept[80], size[32];
	int r = file_load(path, VAULT_RECEIPT_MAX, &text, diag);

	if (r == 0 && (!text.len || memchr(text.data, 0, text.len)))
		r = cof_fail(diag, -EUCLEAN, "%s is no receipt of a vault", path);
	if (r == 0)
		r = vault_receipt_read((const char *)text.data, &receipt, diag);
	if (r == 0)
		r = check(s, e, &receipt, diag);
	if (r == 0)
		r = record(s, e, "retired", &receipt, (const char *)text.data, diag);
	snprintf(kept, sizeof(kept), "vaults/%s.receipt", e->name);
	if (r == 0)
		r = vaults_write(s, kept, text.data, text.len, diag);
	if (r == 0)
		r = vault_entry_remove(s, e->name, diag);
	if (r < 0)
		return r;
	cof_size_text(receipt.bytes, size);
	printf("Vault %s is retired: it signed that it overwrote and removed %s in %" PRIu64
	       " files%s. The receipt is on record, and in %s/%s.\n",
	       e->name, size, receipt.files,
	       receipt.asked ? "" : ", without having the archive's word for it", s->path, kept);
	return 0;
}

int vault_retire(const struct store *s, const char *name, const char *receipt,
		 struct cof_diag *diag)
{
	struct vault_entry e = {.time = 0};
	int r = vault_entry_load(s, name, &e, diag);

	if (r < 0)
		return r;
	if (witness_is_url(e.url))
		r = receipt ? cof_fail(diag, -ENOTSUP, "%s is a witness: it holds no copy, and signs no receipt", name) : leave(s, &e, diag);
	else
		r = receipt ? finish(s, &e, receipt, diag) : begin(s, &e, diag);
	vault_entry_done(&e);
	return r;
}
