/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bundles.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/papers.h"
#include "tools/placement.h"
#include "tools/vault/bundle.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define RECEIPT_MAX (8u << 20)

static int record(const struct bundling *p, const struct vault_entry *e, const char *what, const struct vault_sent *sent,
		  const char *path, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", what);
	vault_entry_record(p->store, e, o);
	cof_json_set_uint(o, "from", sent->from);
	cof_json_set_uint(o, "to", sent->size);
	if (sent->bytes)
		cof_json_set_uint(o, "bytes", sent->bytes);
	if (path)
		cof_json_set_str(o, "detail", path);
	return vault_recorded(p->recording, o, diag);
}

int bundles_write(const struct bundling *p, const struct vault_entry *e, const char *path, struct cof_diag *diag)
{
	struct vault_sending sending = {.envelope = p->envelope, .envelope_len = p->envelope_len, .progress = p->progress};
	cof_autofree uint8_t *keys = NULL;
	struct bundle_about about = {.from = e->size};
	struct placed c = placed_vault(e);
	struct vault_sent sent = {.size = 0};
	cof_autofree char *shown = escaped(path);
	char size[32];
	unsigned parts = 0;
	int r = placement_may_leave(p->store, &c, diag);

	if (r == 0) {
		r = vault_entry_keys(p->store, e, &keys, &sending.keys_len, diag);
		r = r == -ENOENT ? 0 : r;
	}
	sending.keys = keys;
	memcpy(about.archive, p->store->conf.id, sizeof(about.archive));
	cof_vkey_text(&e->vkey, about.vault);
	if (r == 0)
		r = bundle_write(p->store->io, path, p->split, &about, &sending, &parts, &sent, diag);
	if (r == 0)
		r = record(p, e, "bundled", &sent, path, diag);
	if (r == 0) {
		cof_size_text(sent.bytes, size);
		printf("%s: for %s, frames %" PRIu64 " to %" PRIu64 " (%s)", shown, e->name, about.from, sent.size, size);
		printf(parts > 1 || p->split ? ", in %u part%s.\n" : ".\n", parts, plural(parts));
		printf("There: coffer-vault receive DIR %s --receipt RECEIPT\nBack here: coffer sync %s --receipt RECEIPT\n", shown, p->store->path);
	}
	vault_sent_done(&sent);
	return r;
}

/* ---- what comes back ---- */

struct finding {
	const struct bundling *p;
	const char *note;
	struct vault_entry found;
	bool is;
	struct cof_checkpoint head;
	uint64_t time;
};

static int is_of(void *user, struct vault_entry *e)
{
	struct finding *f = user;
	struct cof_vkey keys[2] = {f->p->store->conf.vkey, e->vkey};
	struct cof_note n;

	if (f->is || cof_note_open(f->note, strlen(f->note), keys, 2, &n) < 0 || n.verified != 3 ||
	    cof_checkpoint_parse(n.text, n.text_len, &f->head) < 0)
		return 0;
	f->is = true;
	f->time = n.time[1];
	f->found = *e;
	f->found.note = NULL; /* stays the other one's */
	return 0;
}

static int read_receipt(const char *path, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r = file_load(path, RECEIPT_MAX, &text, diag);

	if (r < 0)
		return r;
	if (receipt_parse((const char *)text.data, text.len, ret) < 0)
		return cof_fail(diag, -EUCLEAN, "%s is no receipt of coffer-vault receive", path);
	return 0;
}

static int check(const struct bundling *p, const struct cof_json *receipt, struct finding *f, struct cof_diag *diag)
{
	char id[33];
	int r;

	cof_hex(p->store->conf.id, 16, id);
	if (strcmp(id, cof_json_str(receipt, "archive")))
		return cof_fail(diag, -EXDEV, "this receipt is for the archive %.40s, and this is %s", cof_json_str(receipt, "archive"), id);
	r = vault_entries(p->store, is_of, f, diag);
	if (r < 0)
		return r;
	if (!f->is)
		return cof_fail(diag, -ENOENT, "this receipt is not signed by the archive and by one of its vaults (coffer vault list)");
	if (f->head.size < f->found.size || (f->head.size == f->found.size && f->time <= f->found.time))
		return cof_fail(diag, -ESTALE, "this receipt is stale: vault %s has said already that it has %" PRIu64 " frames", f->found.name,
				f->found.size);
	return 0;
}

/* The vault signs which tree R it has: what waits here for it and is that goes. */
static int end_waiting(const struct bundling *p, const struct vault_entry *e, const struct cof_json *receipt, struct cof_diag *diag)
{
	const char *line = cof_json_str(receipt, "keys");
	cof_autofree uint8_t *keys = NULL;
	char there[2 * COF_HASH + 1], here[2 * COF_HASH + 1];
	uint8_t digest[COF_HASH];
	size_t n = 0;
	int r;

	if (!line)
		return 0;
	if (vault_keys_line_read(line, p->store->conf.id, &e->vkey, there) < 0)
		return cof_fail(diag, -EKEYREJECTED, "what the receipt says of the tree R is not signed by vault %s", e->name);
	r = vault_entry_keys(p->store, e, &keys, &n, diag);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	cof_sha256(keys, n, digest);
	cof_hex(digest, sizeof(digest), here);
	return strcmp(here, there) ? 0 : vault_entry_has_keys(p->store, e, diag);
}

int bundles_recipient(const struct store *s, const struct vault_entry *e, const char *path, char ret[VAULT_RECIPIENT], struct cof_diag *diag)
{
	cof_autojson struct cof_json *receipt = NULL;
	const char *line;
	int r = read_receipt(path, &receipt, diag);

	if (r < 0)
		return r;
	line = cof_json_str(receipt, "recipient");
	if (!line)
		return cof_fail(diag, -ENOTSUP, "%s does not say to whom keys are sealed: the vault's coffer-vault is older than this program", path);
	r = vault_recipient_read(line, &e->vkey, ret);
	return r < 0 ? cof_fail(diag, -EKEYREJECTED, "%s is not of vault %s: who may have the tree R is not signed with its key (archive %s)", path,
				e->name, s->path)
		     : 0;
}

static void say_notices(const struct vault_entry *e, const struct cof_json *receipt, struct vault_recording *r)
{
	const char *notices = cof_json_str(receipt, "notices");
	cof_autofree char *shown = notices ? escaped(notices) : NULL;
	struct cof_diag diag = {""};

	if (!notices || !*notices)
		return;
	complain("vault %s: %s", e->name, shown ? shown : "out of memory");
	if (vault_told(r, "vault-alarm", e->name, notices, &diag) < 0)
		complain("that could not be recorded: %s", diag.text);
}

/* What the vault signed of content that it destroyed, and of releases. One that is not taken is an alarm, and the others are taken. */
static bool take_signed(const struct bundling *p, const struct vault_entry *e, const struct cof_json *receipt)
{
	const struct cof_json *list = cof_json_get(receipt, "receipts");
	bool alarm = false;

	for (size_t i = 0; i < cof_json_count(list) && i < VAULT_RECEIPTS; i++) {
		const char *text = cof_json_value_str(cof_json_at(list, i));
		cof_autofree char *shown = NULL;
		struct cof_diag why = {""}, diag = {""};

		if ((text ? vault_receipt_take(p->recording, e, text, &why) : cof_fail(&why, -EUCLEAN, "a receipt in it is no text")) == 0)
			continue;
		alarm = true;
		shown = escaped(why.text);
		complain("vault %s: %s", e->name, shown ? shown : "out of memory");
		if (vault_told(p->recording, "vault-alarm", e->name, why.text, &diag) < 0)
			complain("that could not be recorded: %s", diag.text);
	}
	return alarm;
}

int bundles_receipt(const struct bundling *p, const char *path, bool *ret_alarm, struct cof_diag *diag)
{
	cof_autojson struct cof_json *receipt = NULL, *chained = NULL;
	struct finding f = {.p = p};
	struct vault_sent sent = {.size = 0};
	char when[32];
	int r = read_receipt(path, &receipt, diag);

	if (r == 0) {
		f.note = cof_json_str(receipt, "note");
		r = check(p, receipt, &f, diag);
	}
	if (r < 0)
		return r;
	sent.from = f.found.size;
	sent.size = f.head.size;
	r = end_waiting(p, &f.found, receipt, diag); /* before the note, which makes this receipt a stale one */
	if (r == 0)
		r = vault_entry_note(p->store, &f.found, f.note, diag);
	if (r == 0) {
		p->recording->began = INT64_MIN; /* when the vault was asked is not known */
		r = vault_record(p->recording, &f.found, &chained, diag);
	}
	if (r == 0) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "what", "transfer");
		vault_entry_record(p->store, &f.found, o);
		cof_json_set_uint(o, "from", sent.from);
		cof_json_set_uint(o, "to", sent.size);
		cof_json_set_uint(o, "bytes", 0); /* the bundle's record has them */
		cof_json_set_str(o, "outcome", "success");
		r = vault_recorded(p->recording, o, diag);
	}
	if (r == 0) {
		cof_time_text((int64_t)f.found.time * COF_NSEC, when);
		printf("%s has %" PRIu64 " frames; confirmed at %s%s.\n", f.found.name, f.found.size, when,
		       chained ? ", on record" : "; goes on record at the next mount");
		say_notices(&f.found, receipt, p->recording);
		*ret_alarm = take_signed(p, &f.found, receipt);
	}
	vault_entry_done(&f.found);
	return r;
}
