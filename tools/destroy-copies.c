/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies and openers, as coffer destroy plan and certificate list them. PASS is what is proven or signed; what nobody here
 * can know is UNKNOWN, and open as long as somebody could still answer for it.
 */
#include "tools/destroy-copies.h"
#include "tools/buckets.h"
#include "tools/vaults.h"

#include "fs/rules/receipt.h"

#include <stdio.h>

static void add(struct destruction *d, const char *kind, const char *name, const char *verdict, bool open, const char *why)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "kind", kind);
	cof_json_set_str(o, "name", name);
	cof_json_set_str(o, "verdict", verdict);
	cof_json_set_bool(o, "open", open);
	cof_json_set_str(o, "why", why);
	cof_json_append(d->copies, o);
}

/* ---- the archive's events ---- */

static bool is(const struct cof_json *e, const char *type)
{
	return !strcmp(ledger_text(e, "event"), type);
}

static bool ours(const struct destruction *d, const struct cof_json *e)
{
	return d->request && !strcmp(ledger_text(e, "request"), d->request);
}

static int take_event(void *user, struct cof_json *e)
{
	struct destruction *d = user;

	if (!strncmp(ledger_text(e, "event"), "escrow-", 7))
		return escrow_ledger_add(&d->ledger, e);
	if (is(e, "destroyed") && ours(d, e)) {
		cof_json_free(d->done);
		d->done = cof_json_ref(e);
		d->sequence = (uint64_t)ledger_number(e, "sequence");
	} else if (is(e, "destruction-certificate") && ours(d, e)) {
		d->certified = (uint64_t)ledger_number(e, "sequence");
	} else if (is(e, "vault-punctured") || is(e, "vault-retired") || is(e, "vault-enrolled") || is(e, "vault-released")) {
		cof_json_append(d->vaults, cof_json_ref(e));
	} else if (is(e, "envelope-renewed")) {
		d->envelope_renewed = (uint64_t)ledger_number(e, "sequence");
	} else if (is(e, "disclosure-begun")) { /* behind it the daemon gave keys, whatever became of the bundle */
		cof_json_append(d->disclosures, cof_json_ref(e));
	}
	return 0;
}

int destruction_look(struct destruction *d, struct cof_diag *diag)
{
	const struct cof_events_query all = {.since = INT64_MIN, .until = INT64_MAX};
	int r;

	d->vaults = cof_json_array();
	d->copies = cof_json_array();
	d->disclosures = cof_json_array();
	r = people_events(&d->ask, &all, take_event, d, diag);
	return r < 0 && diag && !diag->text[0] ? cof_fail(diag, r, "the archive's events cannot be read: %s", strerror(-r)) : r;
}

int destruction_add_ino(struct destruction *d, uint64_t ino)
{
	uint64_t *more = d->ino;

	if ((d->n & (d->n - 1)) == 0)
		more = realloc(d->ino, (d->n ? 2 * d->n : 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	d->ino = more;
	more[d->n++] = ino;
	return 0;
}

void destruction_done(struct destruction *d)
{
	escrow_ledger_done(&d->ledger);
	cof_json_free(d->done);
	cof_json_free(d->vaults);
	cof_json_free(d->copies);
	cof_json_free(d->listed);
	cof_json_free(d->disclosures);
	free(d->ino);
}

/* ---- openers of the root key ---- */

static void list_openers(struct destruction *d, const struct cof_json *openers)
{
	for (size_t i = 0; i < cof_json_count(openers); i++) {
		const struct cof_json *o = cof_json_at(openers, i);
		bool tpm = !strcmp(ledger_text(o, "kind"), "tpm2");

		if (cof_json_bool(o, "pending"))
			continue;
		if (tpm && d->tpm_physical)
			add(d, "opener", ledger_text(o, "name"), d->request ? "PASS" : "UNKNOWN", false,
			    "a physical TPM, as was said: its counter was raised, and no older copy of keys/ and seal/ opens on it");
		else
			add(d, "opener", ledger_text(o, "name"), "UNKNOWN", false,
			    tpm ? "its counter was raised: no older copy of keys/ and seal/ opens on it, if it is a physical TPM "
				  "(--tpm-physical says so); a virtual one can be put back"
				: "who kept an older copy of keys/ and seal/ opens it with this: none is known of, and none can be ruled out");
	}
}

static void list_envelope(struct destruction *d)
{
	if (cof_io_exists(d->ask.store.io, "seal/recovery.age") <= 0)
		return;
	if (d->request && d->envelope_renewed > d->sequence)
		add(d, "envelope", "seal/recovery.age", "PASS", false,
		    "it was renewed since, and does not lead to these files; older copies of it do, for a quorum");
	else
		add(d, "envelope", "seal/recovery.age", "UNKNOWN", true,
		    "it is of a time before: a quorum of its recipients has the keys with it, and with a copy of the log the content (coffer "
		    "seal recovery-renew; older copies of it stay)");
}

/* ---- elsewhere ---- */

/* Ever. */
static bool was(const struct destruction *d, const char *event, const char *name)
{
	for (size_t i = 0; i < cof_json_count(d->vaults); i++)
		if (is(cof_json_at(d->vaults, i), event) && !strcmp(ledger_text(cof_json_at(d->vaults, i), "name"), name))
			return true;
	return false;
}

static bool enrolled(const struct destruction *d, const char *name)
{
	return was(d, "vault-enrolled", name);
}

static bool retired(const struct destruction *d, const char *name)
{
	return was(d, "vault-retired", name);
}

/* It was given R, from this inode or one before on, before these files were destroyed: a later one leads to none of them. A vault that
 * was enrolled before and after a recovery of the keys has more than one. */
static bool had_key(const struct destruction *d, const char *name, uint64_t ino)
{
	for (size_t i = 0; i < cof_json_count(d->vaults); i++) {
		const struct cof_json *e = cof_json_at(d->vaults, i);
		uint64_t from = 0; /* not on record: any */

		if (!is(e, "vault-enrolled") || strcmp(ledger_text(e, "name"), name) != 0 || (uint64_t)ledger_number(e, "sequence") >= d->sequence)
			continue;
		(void)cof_json_value_uint(cof_json_at(cof_json_get(e, "counted"), 0), &from);
		if (from <= ino)
			return true;
	}
	return false;
}

static bool said(const struct destruction *d, const char *event, const char *name)
{
	for (size_t i = 0; i < cof_json_count(d->vaults); i++) {
		const struct cof_json *e = cof_json_at(d->vaults, i);
		const char *request = cof_json_str(e, "request");

		if (is(e, event) && !strcmp(ledger_text(e, "name"), name) && (uint64_t)ledger_number(e, "sequence") > d->sequence &&
		    (!request || !d->request || !strcmp(request, d->request)))
			return true;
	}
	return false;
}

/* What a vault's receipts say of these files. */
struct signed_of {
	uint8_t *file; /* of d->ino each: SIGNED, WITH_KEYS */
	size_t files;  /* that are signed, each once: a vault signs again what it tried again */
	size_t keyless; /* of them: of which it said that it had no R, or R from behind them on, and was given it */
	int64_t ended;
	bool keys, tpm; /* it had R, guarded by a TPM */
};
enum { SIGNED = 1, WITH_KEYS = 2 };

static bool is_of(const struct destruction *d, const struct cof_receipt *r, const struct vault_entry *e)
{
	char request[65];

	cof_hex(r->request, 32, request);
	return !strcmp(request, d->request) && cof_equal(r->vkey.public_key, e->vkey.public_key, 32) && !strcmp(r->vkey.name, e->vkey.name);
}

static void add_signed(const struct destruction *d, const struct cof_json *e, const struct vault_entry *of, struct signed_of *ret)
{
	const char *text = ledger_text(e, "document");
	struct cof_receipt r = {.size = 0};

	if (cof_receipt_read(text, strlen(text), &r, NULL) < 0)
		return;
	if (is_of(d, &r, of)) {
		bool keys = r.from && r.key != COF_RECEIPT_NONE;

		for (size_t i = 0; i < d->n; i++)
			if (cof_receipt_names(&r, d->ino[i]))
				ret->file[i] |= keys && r.from <= d->ino[i] ? SIGNED | WITH_KEYS : SIGNED;
		ret->ended = COF_MAX(ret->ended, r.ended);
		ret->keys |= keys;
		ret->tpm |= r.key == COF_RECEIPT_TPM2;
	}
	cof_receipt_done(&r);
}

static int look_signed(const struct destruction *d, const struct vault_entry *e, struct signed_of *ret)
{
	*ret = (struct signed_of){.ended = INT64_MIN, .file = calloc(d->n ? d->n : 1, 1)};
	if (!ret->file)
		return -ENOMEM;
	for (size_t i = 0; d->request && i < cof_json_count(d->vaults); i++)
		if (is(cof_json_at(d->vaults, i), "vault-punctured") && ours(d, cof_json_at(d->vaults, i)))
			add_signed(d, cof_json_at(d->vaults, i), e, ret);
	for (size_t i = 0; i < d->n; i++) {
		ret->files += ret->file[i] != 0;
		ret->keyless += ret->file[i] == SIGNED && had_key(d, e->name, d->ino[i]);
	}
	free(ret->file);
	ret->file = NULL;
	return 0;
}

/* To whom, as the vault signed it; the reason stays in the archive. */
static void list_release(struct destruction *d, const struct cof_json *e)
{
	const char *text = ledger_text(e, "document"), *line = strchr(text, '\n'), *end = line ? strchr(line + 1, '\n') : NULL;
	cof_autojson struct cof_json *said = NULL;
	char name[96], why[320];

	if (end)
		(void)cof_json_parse(line + 1, (size_t)(end - line - 1), &said);
	snprintf(name, sizeof(name), "vault %.63s", ledger_text(e, "name"));
	snprintf(why, sizeof(why), "it gave out the tree R at %.32s, to %.100s: with that and a copy of the log, whoever has it reads these files",
		 *ledger_text(e, "claimed_time") ? ledger_text(e, "claimed_time") : "a time that is not known",
		 said && *ledger_text(said, "to") ? ledger_text(said, "to") : "(not said)");
	add(d, "release", name, "UNKNOWN", true, why);
}

/* Of one vault, by its own clock: what it gave out before `until` leads to these files. */
static void list_releases(struct destruction *d, const char *name, int64_t until)
{
	for (size_t i = 0; i < cof_json_count(d->vaults); i++) {
		const struct cof_json *e = cof_json_at(d->vaults, i);
		int64_t time = INT64_MIN;

		if (!is(e, "vault-released") || strcmp(ledger_text(e, "name"), name) != 0)
			continue;
		if (cof_time_parse(ledger_text(e, "claimed_time"), &time) < 0 || time <= until)
			list_release(d, e);
	}
}

/* 1: there are some. */
static int has_receipts(struct destruction *d, const struct vault_entry *e)
{
	struct signed_of s;
	char when[32], why[320];
	int r = look_signed(d, e, &s);

	if (r < 0)
		return r;
	list_releases(d, e->name, d->n && s.files == d->n && !s.keyless ? s.ended : INT64_MAX);
	if (!s.files)
		return 0;
	cof_time_text(s.ended, when);
	if (s.files < d->n) {
		snprintf(why, sizeof(why), "it signed at %s that it destroyed %zu of these %zu files, and nothing of the rest", when, s.files, d->n);
		add(d, "vault", e->name, "UNKNOWN", true, why);
		return 1;
	}
	if (s.keyless) {
		snprintf(why, sizeof(why), "it signed at %s that the bytes are overwritten, and of %zu of these %zu files that it had no keys: the log has "
			 "that it was given them before", when, s.keyless, d->n);
		add(d, "vault", e->name, "UNKNOWN", true, why);
		return 1;
	}
	snprintf(why, sizeof(why), "destroyed there at %s, as it signed: the bytes overwritten and read back%s%s", when,
		 s.keys ? ", what leads to the keys taken out of its tree R" : "; it had no keys",
		 !s.keys ? "" : s.tpm ? ", which its TPM guards" : "; its key is a file: older copies of its disk are its operator's to answer for");
	add(d, "vault", e->name, "PASS", false, why);
	return 1;
}

static int one_vault(void *user, struct vault_entry *e)
{
	struct destruction *d = user;
	int r;

	if (!strncmp(e->url, "http", 4)) /* a witness has heads alone */
		return 0;
	cof_json_append(d->listed, cof_json_new_str(e->name));
	r = has_receipts(d, e);
	if (r)
		return r < 0 ? r : 0;
	if (d->request && said(d, "vault-retired", e->name))
		add(d, "vault", e->name, "PASS", false, "it signed that it destroyed all that it had; what its provider backed up is covered by nothing");
	else
		add(d, "vault", e->name, "UNKNOWN", true,
		    enrolled(d, e->name) ? "it holds the sealed bytes and what leads to keys, as far as it was in step, and has signed no receipt (coffer sync)"
					 : "it holds the sealed bytes as far as it was in step, and has signed no receipt (coffer sync)");
	return 0;
}

static bool is_listed(const struct destruction *d, const char *name)
{
	for (size_t i = 0; i < cof_json_count(d->listed); i++)
		if (!strcmp(cof_json_value_str(cof_json_at(d->listed, i)), name))
			return true;
	return false;
}

/* Who was given R, and is none of the store's vaults any more. */
static void list_gone_vaults(struct destruction *d)
{
	for (size_t i = 0; i < cof_json_count(d->vaults); i++) {
		const struct cof_json *e = cof_json_at(d->vaults, i);
		const char *name = ledger_text(e, "name");

		if ((!is(e, "vault-enrolled") && !is(e, "vault-released")) || is_listed(d, name))
			continue;
		cof_json_append(d->listed, cof_json_new_str(name));
		list_releases(d, name, INT64_MAX);
		if (enrolled(d, name) && !retired(d, name))
			add(d, "vault", name, "UNKNOWN", true,
			    d->request && said(d, "vault-punctured", name)
				? "it was given what leads to keys, and is no longer in STORE/vaults: whether a receipt under that name is its own is not known"
				: "it was given what leads to keys, is no longer in STORE/vaults, and has signed no receipt");
	}
}

static int one_bucket(void *user, const struct bucket *b)
{
	add(user, "bucket", b->name, "UNKNOWN", true,
	    "it keeps the sealed bytes until its locks are over, under COMPLIANCE whoever asks, and cannot judge or sign: no key leads to them "
	    "where the rest of this list says so");
	return 0;
}

/* ---- escrowed keys ---- */

static bool has(const struct destruction *d, uint64_t ino)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->ino[i] == ino)
			return true;
	return false;
}

static void list_share(struct destruction *d, const struct ledger_epoch *e, const char *custodian)
{
	bool gone = escrow_ledger_destroyed(&d->ledger, e, custodian);
	char name[192];

	snprintf(name, sizeof(name), "%.120s, epoch %u", custodian, e->number);
	add(d, "share", name, gone ? "PASS" : "UNKNOWN", !gone,
	    gone ? "it is on record that it was destroyed, as was said"
		 : "opens, with others, every copy of the age file, such as those of exported kits (coffer escrow destroyed)");
}

static void list_epoch(struct destruction *d, const struct ledger_epoch *e)
{
	cof_autojson struct cof_json *detail = NULL;
	const char *text = ledger_text(e->o, "detail");
	const struct cof_json *names;

	if (cof_json_parse(text, strlen(text), &detail) < 0)
		detail = cof_json_object();
	names = cof_json_get(detail, "custodians");
	for (size_t i = 0; i < cof_json_count(names); i++)
		if (cof_json_value_str(cof_json_at(names, i)))
			list_share(d, e, cof_json_value_str(cof_json_at(names, i)));
	if (!cof_json_count(names))
		add(d, "share", "all shares of an epoch whose custodians are not known", "UNKNOWN", true,
		    "the epoch's record does not say who has its shares");
}

/* Of each epoch that a file of the key was encrypted to, once. */
static void list_epochs(struct destruction *d)
{
	for (size_t i = 0; i < d->ledger.n_epochs; i++) {
		const struct ledger_epoch *e = &d->ledger.epoch[i];
		bool used = false;

		for (size_t k = 0; k < d->ledger.n_records && !used; k++) {
			const struct cof_json *o = d->ledger.record[k];

			used = (!strcmp(ledger_what(o), "key") || !strcmp(ledger_what(o), "rotated")) &&
			       !strcmp(ledger_text(o, "epoch_key"), e->epoch_key) && has(d, (uint64_t)ledger_number(o, "object"));
		}
		if (used)
			list_epoch(d, e);
	}
}

/* Files of a key that are not among what is destroyed, and who was given it. */
static void list_keys(struct destruction *d)
{
	for (size_t i = 0; i < d->ledger.n_records; i++) {
		const struct cof_json *o = d->ledger.record[i];
		const char *what = ledger_what(o);
		struct ledger_key *key = NULL;
		bool file = !strcmp(what, "key") || !strcmp(what, "rotated");

		if (!file || !has(d, (uint64_t)ledger_number(o, "object")))
			continue;
		d->keys += !strcmp(what, "key");
		if (escrow_ledger_find(&d->ledger, ledger_text(o, "key"), &key, NULL) < 0)
			continue;
		for (size_t k = 0; k < d->ledger.n_records; k++) {
			const struct cof_json *other = d->ledger.record[k];
			uint64_t ino = (uint64_t)ledger_number(other, "object");
			char name[64];

			what = ledger_what(other);
			if (strcmp(ledger_text(other, "key"), key->id) != 0)
				continue;
			snprintf(name, sizeof(name), "inode %llu", (unsigned long long)ino);
			if ((!strcmp(what, "key") || !strcmp(what, "rotated")) && ino && !has(d, ino))
				add(d, "file", name, "FAILED", true, "another file of the same key, which is not destroyed by this request");
		}
		if (key->recoveries)
			add(d, "release", key->id, "UNKNOWN", true, "the key was recovered and delivered: what became of that copy nobody can see here");
	}
}

/* ---- evidence bundles (docs/evidence.md 2) ---- */

static bool names_one(const struct destruction *d, const struct cof_json *ranges)
{
	for (size_t i = 0; i < cof_json_count(ranges); i++) {
		uint64_t first = 0, count = 0;

		if (cof_json_value_uint(cof_json_at(cof_json_at(ranges, i), 0), &first) < 0 ||
		    cof_json_value_uint(cof_json_at(cof_json_at(ranges, i), 1), &count) < 0)
			continue;
		for (size_t k = 0; k < d->n; k++)
			if (d->ino[k] >= first && d->ino[k] - first < count)
				return true;
	}
	return false;
}

static void list_bundles(struct destruction *d)
{
	for (size_t i = 0; i < cof_json_count(d->disclosures); i++) {
		const struct cof_json *e = cof_json_at(d->disclosures, i);
		const char *text = ledger_text(e, "form");
		cof_autojson struct cof_json *form = NULL;
		char name[128];

		if (cof_json_parse(text, strlen(text), &form) < 0 || !names_one(d, cof_json_get(form, "inodes")))
			continue;
		snprintf(name, sizeof(name), "bundle %llu to %.90s", (unsigned long long)ledger_number(e, "sequence"),
			 *ledger_text(form, "to") ? ledger_text(form, "to") : "(not said)");
		add(d, "evidence", name, "UNKNOWN", true, "payload keys of these files were given away in it: who has it reads them");
	}
}

int destruction_list(struct destruction *d, struct cof_diag *diag)
{
	cof_autojson struct cof_json *openers = cof_json_array();
	int r = cof_store_seal_show(d->ask.store.io, openers, diag);

	if (r < 0)
		return r;
	list_openers(d, openers);
	list_envelope(d);
	d->listed = cof_json_array();
	r = vault_entries(&d->ask.store, one_vault, d, diag);
	if (r == 0)
		list_gone_vaults(d);
	if (r == 0)
		r = bucket_entries(&d->ask.store, one_bucket, d, diag);
	if (r < 0)
		return r;
	list_keys(d);
	list_epochs(d);
	list_bundles(d);
	add(d, "memory", "memory images and hypervisor snapshots", "UNKNOWN", false, "nothing here can know of them");
	return 0;
}
