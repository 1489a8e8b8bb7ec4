/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault signed of content that it destroyed goes on record, as a RECEIPT frame (docs/format.md 4.5): the receipt in clear,
 * so that whoever has the chain can judge it.
 */
#include "fs/archive/destroy.h"
#include "fs/archive/vaults.h"
#include "fs/rules/receipt.h"

#include <stdio.h>

/* ---- showing ---- */

bool cof_vault_receipt_show(struct cof_json *o, const struct cof_field *f)
{
	struct cof_receipt r;
	char ended[32], text[512], keys[128] = "it had no keys of them";

	cof_json_set_bytes(o, "document", f->value, f->len);
	if (cof_receipt_read(f->value, f->len, &r, NULL) < 0)
		return false;
	cof_time_text(r.ended, ended);
	if (r.from)
		snprintf(keys, sizeof(keys), "what leads to the keys of %llu taken out of its tree R", (unsigned long long)r.leaves);
	snprintf(text, sizeof(text), "%llu files, destroyed there at %s: %s; %llu frames, %llu bytes overwritten and read back",
		 (unsigned long long)cof_receipt_objects(&r), ended, keys, (unsigned long long)r.frames, (unsigned long long)r.bytes);
	cof_json_set_str(o, "detail", text);
	cof_json_set_time(o, "claimed_time", r.ended);
	cof_receipt_done(&r);
	return true;
}

/* ---- taking ---- */

static int check_object(struct cof_archive *a, const struct cof_receipt *r, uint64_t ino, uint64_t *first, uint64_t *last,
			struct cof_diag *diag)
{
	uint8_t by[32];
	uint64_t at = 0;
	int e;

	COF_GATED(a, e, cof_destroyed_by(a, ino, by));
	if (e == 0)
		COF_GATED(a, e, cof_destroyed_at(a, ino, &at));
	if (e == -ENOENT || (e == 0 && (memcmp(by, r->request, sizeof(by)) != 0 || at >= r->size)))
		return cof_fail(diag, -EINVAL, "no frame below %llu of this archive destroyed inode %llu by the request that the receipt names",
				(unsigned long long)r->size, (unsigned long long)ino);
	*first = COF_MIN(*first, at);
	*last = COF_MAX(*last, at);
	return e;
}

/* What the judge of this daemon does not follow, and that of everybody else does: one that lies would be in the chain for ever. */
static int check_objects(struct cof_archive *a, const struct cof_receipt *r, struct cof_diag *diag)
{
	uint64_t first = UINT64_MAX, last = 0;
	int e = 0;

	for (size_t i = 0; e == 0 && i < r->n; i++)
		for (uint64_t k = 0; e == 0 && k < r->range[i].count; k++)
			e = check_object(a, r, r->range[i].first + k, &first, &last, diag);
	if (e == 0 && (first != r->first || last != r->last))
		e = cof_fail(diag, -EINVAL, "the receipt names frames %llu to %llu, and these files ended in %llu to %llu",
			     (unsigned long long)r->first, (unsigned long long)r->last, (unsigned long long)first, (unsigned long long)last);
	return e < 0 && !*diag->text ? cof_fail(diag, e, "the index cannot be read: %s", strerror(-e)) : e;
}

/* A COSIGN frame of it is there: whoever brings a receipt brought the vault's note before. */
static int check_vault(struct cof_archive *a, const struct cof_receipt *r, struct cof_diag *diag)
{
	return cof_cosigner_is(a, r->vkey.public_key)
		   ? 0
		   : cof_fail(diag, -EINVAL, "the receipt is of a vault that has not signed this log, as far as is on record: sync with it first");
}

struct given {
	const char *name;
	uint64_t from; /* the furthest behind */
};

static int one_given(void *user, struct cof_json *entry)
{
	struct given *g = user;
	const char *name = cof_json_str(entry, "name");
	uint64_t from;

	if (name && !strcmp(name, g->name) && cof_json_value_uint(cof_json_at(cof_json_get(entry, "counted"), 0), &from) == 0)
		g->from = COF_MAX(g->from, from);
	return 0;
}

/* Where R begins that vaults were given: by the keys (a recovery without vaults moves it up), and by the records of this one, since
 * keys that were recovered from an envelope of before know of none. Who says that it has R from behind that on says of files between
 * that it has no keys, and may have them. */
static int check_from(struct cof_archive *a, const char *name, const struct cof_receipt *r, struct cof_diag *diag)
{
	const struct cof_events_query q = {.type = "vault-enrolled", .until = INT64_MAX, .since = INT64_MIN};
	struct given g = {.name = name, .from = cof_keys_enrolled(a->keys)};
	uint64_t next;
	int e = r->from > g.from ? cof_archive_events(a, &q, one_given, &g, &next) : 0;

	if (e < 0)
		return cof_fail(diag, e, "what vaults were given cannot be read: %s", strerror(-e));
	return r->from <= g.from
		   ? 0
		   : cof_fail(diag, -EINVAL, "the receipt says that the vault has the tree R from inode %llu on, and vaults were given it from inode %llu on: "
					     "what leads to the keys of files between is not said to be gone", (unsigned long long)r->from,
			      (unsigned long long)g.from);
}

/* One that is on record is no second one: the answer to it may have been lost. */
static int put(struct cof_archive *a, const struct cof_who *who, const char *name, const struct cof_buf *fields, const struct cof_receipt *r,
	       bool *ret_new, uint64_t *ret_sequence, struct cof_diag *diag)
{
	static const struct cof_who daemon = {.daemon = true};
	struct cof_judgement said = {.rule = NULL};
	int e = cof_people_ask(a, COF_RECEIPT, fields, &said, diag);

	*ret_new = e == 0;
	if (e == -EPERM && !strcmp(said.rule, "replay"))
		return 0;
	if (e == 0)
		e = check_vault(a, r, diag);
	if (e == 0)
		e = check_objects(a, r, diag);
	if (e == 0)
		e = check_from(a, name, r, diag);
	if (e == 0)
		e = cof_people_put(a, who ? who : &daemon, COF_RECEIPT, fields, NULL, &said, ret_sequence, diag);
	return e == -EPERM ? -EINVAL : e;
}

int cof_vault_receipt_put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *record, uint64_t *ret_sequence,
			  struct cof_diag *diag)
{
	const char *text = cof_json_str(record, "document"), *name = cof_json_str(record, "name"), *vault = cof_json_str(record, "vault");
	cof_autobuf struct cof_buf fields = {0};
	struct cof_receipt r = {.size = 0};
	bool is_new = false;
	int e;

	if (!text || !name || !*name || strlen(name) > 63 || !vault)
		return cof_fail(diag, -EINVAL, "a receipt is recorded with \"name\" and \"vault\", whose it is, and \"document\"");
	e = cof_receipt_read(text, strlen(text), &r, diag);
	if (e < 0)
		return e == -ENOMEM ? e : -EINVAL;
	cof_field_put_str(&fields, COF_T_RECORD_NAME, name);
	cof_field_put_str(&fields, COF_T_VAULT, vault);
	cof_field_put(&fields, COF_T_REQUEST, r.request, sizeof(r.request));
	cof_field_put_str(&fields, COF_T_RECEIPT, text);
	cof_people_lock(a);
	e = put(a, who, name, &fields, &r, &is_new, ret_sequence, diag);
	cof_people_unlock(a);
	cof_receipt_done(&r);
	if (e == 0 && !is_new)
		*diag->text = 0;
	return e < 0 ? e : is_new;
}
