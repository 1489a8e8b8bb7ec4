/* SPDX-License-Identifier: Apache-2.0 */
/* What a vault signed, and sent along with an answer, goes on record: receipts of what it destroyed, and that it gave out R. */
#include "tools/vault-record.h"
#include "tools/output.h"

#include "fs/rules/receipt.h"

#include <inttypes.h>
#include <stdio.h>

/* The daemon judges it once more, by its own log. */
static int destroyed(struct vault_recording *r, const struct vault_entry *e, const char *text, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object();
	struct cof_receipt said = {.size = 0};
	uint64_t files;
	int err = cof_receipt_read(text, strlen(text), &said, diag);

	if (err == 0 && memcmp(said.archive, r->store->conf.id, sizeof(said.archive)) != 0)
		err = cof_fail(diag, -EXDEV, "the receipt is for another archive");
	if (err == 0 && (!cof_equal(said.vkey.public_key, e->vkey.public_key, 32) || strcmp(said.vkey.name, e->vkey.name) != 0))
		err = cof_fail(diag, -EKEYREJECTED, "the receipt is another vault's, by its key");
	files = cof_receipt_objects(&said);
	cof_receipt_done(&said);
	if (err < 0)
		return err;
	cof_json_set_str(record, "what", "punctured");
	vault_entry_record(r->store, e, record);
	cof_json_set_str(record, "document", text);
	err = vault_recorded(r, record, diag);
	if (err == 0 && !r->quiet)
		printf("%s signed that it destroyed %" PRIu64 " file%s that people destroyed here.\n", e->name, files, plural(files));
	return err;
}

static int released(struct vault_recording *r, const struct vault_entry *e, const char *text, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object(), *said = NULL;
	cof_autofree char *shown = NULL;
	char detail[256];
	int err = vault_released_read(text, r->store->conf.id, &e->vkey, &said, diag);

	if (err < 0)
		return err;
	cof_json_set_str(record, "what", "released");
	vault_entry_record(r->store, e, record);
	cof_json_set_str(record, "document", text);
	cof_json_set_str(record, "request", cof_json_str(said, "request"));
	if (cof_json_str(said, "time"))
		cof_json_set_str(record, "claimed_time", cof_json_str(said, "time"));
	snprintf(detail, sizeof(detail), "to %.70s: %.150s", cof_json_str(said, "to"), cof_json_str(said, "reason"));
	cof_json_set_str(record, "detail", detail);
	err = vault_recorded(r, record, diag);
	shown = escaped(detail); /* who asked wrote the reason, and the vault signed whatever it is */
	if (err == 0)
		complain("vault %s gave out the tree R, %s", e->name, shown ? shown : "?");
	return err;
}

int vault_receipt_take(struct vault_recording *r, const struct vault_entry *e, const char *text, struct cof_diag *diag)
{
	int err = vault_released_is(text) ? released(r, e, text, diag) : destroyed(r, e, text, diag);

	if (err != -ENOBUFS)
		return err;
	if (!r->full)
		complain("vault %s: %s", e->name, diag->text);
	r->full = true;
	diag->text[0] = 0;
	return 0; /* the vault sends it until it is on record */
}
