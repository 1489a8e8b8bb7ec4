/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault is given R (docs/format.md 7.12): with the first one, files get keys that no envelope has, from the next inode
 * number on. What the vault gets lies in STORE/vaults/NAME.keys, sealed to it, until it has it. Only then the record.
 * NAME.waits, before that, says to whom and what the record is made of: where content is destroyed while it waits, what waits is
 * made anew from the trees as they are then.
 */
#include "crypto/age.h"
#include "fs/archive/people.h"
#include "fs/archive/vaults.h"

#include <stdio.h>

#define VAULTS "vaults"
#define WAITS_MAX 8192u

static int path_of(const struct cof_json *record, char path[96], struct cof_diag *diag)
{
	const char *name = cof_json_str(record, "name");

	if (!name || !*name || strlen(name) > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
		return cof_fail(diag, -EINVAL, "\"name\" has to be that of a vault");
	snprintf(path, 96, "vaults/%s.keys", name);
	return 0;
}

static int seal_part(struct cof_archive *a, const uint8_t recipient[COF_AGE_KEY], struct cof_buf *ret)
{
	cof_autosecret void *plain = NULL;
	void *made = NULL;
	size_t n = 0;
	int r = cof_keys_vault_plain(a->keys, &made, &n);

	plain = made;
	return r < 0 ? r : cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, plain, n, NULL, ret);
}

/* No file is made between the number that the next one would get and the one that it gets then. */
static int enroll(struct cof_archive *a, struct cof_diag *diag)
{
	int r;

	pthread_rwlock_wrlock(&a->tree);
	r = cof_keys_enroll(a->keys, a->io, atomic_load(&a->next_ino), diag);
	if (r == 0 && atomic_load(&a->next_ino) < cof_keys_enrolled(a->keys))
		atomic_store(&a->next_ino, cof_keys_enrolled(a->keys));
	pthread_rwlock_unlock(&a->tree);
	return r;
}

/* R as it is now, and what the record says of it. */
static int seal_now(struct cof_archive *a, const uint8_t recipient[COF_AGE_KEY], struct cof_json *record, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf sealed = {0};
	char path[96], hex[2 * COF_HASH + 1];
	struct cof_json *counted = cof_json_array();
	uint8_t digest[COF_HASH];
	int r = path_of(record, path, diag);

	cof_json_set(record, "counted", counted);
	if (r < 0)
		return r;
	r = seal_part(a, recipient, &sealed);
	if (r == 0)
		r = cof_vault_waiting_put(a->io, cof_json_str(record, "name"), sealed.data, sealed.len);
	if (r < 0)
		return cof_fail(diag, r, "%s/%s cannot be made: %s", cof_io_where(a->io), path, strerror(-r));
	cof_sha256(sealed.data, sealed.len, digest);
	cof_hex(digest, COF_HASH, hex);
	cof_json_set_str(record, "sha256", hex);
	cof_json_append(counted, cof_json_new_uint(cof_keys_enrolled(a->keys)));
	return 0;
}

static int note_waiting(struct cof_archive *a, const struct cof_json *about, const char *recipient, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *text;
	char path[96];
	int r = path_of(about, path, diag);

	if (r < 0)
		return r;
	memcpy(strrchr(path, '.'), COF_VAULT_WAITS, sizeof(COF_VAULT_WAITS));
	cof_json_set_str(o, "recipient", recipient);
	cof_json_set(o, "record", cof_json_ref((struct cof_json *)(uintptr_t)about));
	text = cof_json_text(o, false);
	r = text ? cof_io_replace(a->io, path, text, strlen(text)) : -ENOMEM;
	return r < 0 ? cof_fail(diag, r, "%s/%s cannot be written: %s", cof_io_where(a->io), path, strerror(-r)) : 0;
}

static int give(struct cof_archive *a, const uint8_t recipient[COF_AGE_KEY], struct cof_json *record, struct cof_diag *diag)
{
	int r = enroll(a, diag);

	return r == 0 ? seal_now(a, recipient, record, diag) : r;
}

/* ---- what waits while content is destroyed ---- */

struct waiting {
	struct cof_buf names; /* of vaults, NUL-separated */
};

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), end = strlen(with);

	return n > end && n - end < 64 && !strcmp(name + n - end, with);
}

static bool is_named(const struct cof_buf *names, const char *name, size_t n)
{
	for (size_t at = 0; at < names->len; at += strlen((char *)names->data + at) + 1)
		if (strlen((char *)names->data + at) == n && !memcmp(names->data + at, name, n))
			return true;
	return false;
}

/* Also where only what was there before is left, by whoever was cut off. */
static int one_name(void *user, const char *name)
{
	static const char *const with[] = {".keys", ".keys" COF_VAULT_BEFORE, ".keys.new"};
	struct waiting *w = user;

	for (size_t i = 0; i < COF_COUNT(with); i++) {
		size_t n = strlen(name) - COF_MIN(strlen(name), strlen(with[i]));

		if (!ends(name, with[i]) || is_named(&w->names, name, n))
			continue;
		cof_buf_add(&w->names, name, n);
		cof_buf_add(&w->names, "", 1);
	}
	return w->names.failed ? -ENOMEM : 0;
}

/* 1 · 0: what was to come there first was cut off, and is gone by now. */
static int is_waiting(struct cof_archive *a, const char *name)
{
	char path[96];
	int r;

	snprintf(path, sizeof(path), VAULTS "/%s.keys", name);
	r = cof_io_exists(a->io, path);
	if (r == 0) {
		snprintf(path, sizeof(path), VAULTS "/%s.keys" COF_VAULT_BEFORE, name);
		r = cof_io_exists(a->io, path);
	}
	if (r)
		return r;
	snprintf(path, sizeof(path), VAULTS "/%s.keys.new", name);
	r = cof_io_wipe(a->io, path);
	return r == -ENOENT ? 0 : r;
}

/* What goes on record of it, as it would be written. */
static int check_record(const struct cof_json *record, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	uint64_t position;

	return cof_vault_fields(record, &public_part, &private_part, &position, diag);
}

/* -EUCLEAN: it is not there, or says nothing that can be put on record; it was made by a version before, or is another file. */
static int load_waiting(struct cof_archive *a, const char *name, struct cof_json **ret, uint8_t recipient[COF_AGE_KEY])
{
	cof_autojson struct cof_json *o = NULL;
	cof_autofree uint8_t *text = NULL;
	const struct cof_json *record;
	const char *to, *of;
	char path[96];
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), VAULTS "/%s" COF_VAULT_WAITS, name);
	r = cof_io_load(a->io, path, WAITS_MAX, &text, &n);
	if (r == 0 && cof_json_parse((const char *)text, n, &o) < 0)
		r = -EUCLEAN;
	if (r < 0)
		return r == -ENOENT || r == -EFBIG ? -EUCLEAN : r;
	record = cof_json_get(o, "record");
	to = cof_json_str(o, "recipient");
	of = record ? cof_json_str(record, "name") : NULL;
	if (!to || !of || strcmp(of, name) != 0 || path_of(record, path, NULL) < 0 || cof_age_recipient_parse(to, strlen(to), recipient) < 0)
		return -EUCLEAN;
	cof_json_set_str((struct cof_json *)(uintptr_t)record, "what", cof_vault_what_name(COF_VR_ENROLLED));
	r = check_record(record, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EUCLEAN;
	*ret = cof_json_ref((struct cof_json *)(uintptr_t)record);
	return 0;
}

/* Rather none than one that leads to what is destroyed: its vault is enrolled once more by whoever runs this. */
static int drop_waiting(struct cof_archive *a, const char *name, const char *why)
{
	int r = cof_vault_waiting_drop(a->io, name);

	if (r == 0)
		cof_fault(a, "The tree R that waited for vault %s led to what was destroyed, and %s: it is removed, and vault %s has none. "
			     "coffer vault enroll STORE %s, then coffer sync", name, why, name, name);
	return r == -ENOENT ? 0 : r; /* a sync has brought it meanwhile */
}

static int make_anew(struct cof_archive *a, const struct cof_who *who, const char *name, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = NULL;
	uint8_t recipient[COF_AGE_KEY];
	int r = is_waiting(a, name);

	if (r <= 0)
		return r;
	r = cof_keys_enrolled(a->keys) ? load_waiting(a, name, &record, recipient) : -ENODATA;
	if (r == -ENODATA) /* the keys were recovered since, from an envelope that knows of no vault */
		return drop_waiting(a, name, "the keys that were recovered since have none for vaults");
	if (r == -EUCLEAN)
		return drop_waiting(a, name, "to whom it is sealed is not known");
	if (r < 0)
		return r;
	r = seal_now(a, recipient, record, diag);
	return r < 0 ? r : cof_archive_vault_record(a, who, record, NULL, diag);
}

int cof_vault_waiting_anew(struct cof_archive *a, const struct cof_who *who, struct cof_diag *diag)
{
	struct waiting w = {.names = {0}};
	int r = cof_io_list(a->io, VAULTS, one_name, &w);

	for (size_t at = 0; r == 0 && at < w.names.len; at += strlen((char *)w.names.data + at) + 1)
		r = make_anew(a, who, (char *)w.names.data + at, diag);
	cof_buf_done(&w.names);
	if (r == -ENOENT) /* it has no vaults */
		return 0;
	return r < 0 && !*diag->text ? cof_fail(diag, r, "the tree R that waits for vaults cannot be made anew: %s", strerror(-r)) : r;
}

/* ---- the verb ---- */

int cof_archive_vault_enroll(struct cof_archive *a, const struct cof_who *who, const struct cof_json *about, const char *recipient,
			     struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = NULL;
	uint8_t key[COF_AGE_KEY];
	const char *text = cof_json_text((struct cof_json *)about, false);
	int r = text ? cof_json_parse(text, strlen(text), &record) : -ENOMEM;

	if (r < 0)
		return cof_fail(diag, r, "the record cannot be made: %s", strerror(-r));
	if (!recipient || cof_age_recipient_parse(recipient, strlen(recipient), key) < 0)
		return cof_fail(diag, -EINVAL, "\"recipient\" is no age recipient");
	if (!a->log || atomic_load(&a->failed) || !a->mount)
		return cof_fail(diag, -EROFS, "nothing can be changed in this archive as it is");
	cof_json_set_str(record, "what", cof_vault_what_name(COF_VR_ENROLLED));
	r = check_record(record, diag); /* what waits has to be made anew, and on record, whenever content is destroyed */
	if (r < 0)
		return r;
	r = note_waiting(a, about, recipient, diag);
	if (r < 0)
		return r;
	cof_people_lock(a); /* what is destroyed changes the same trees, under the same lock */
	r = give(a, key, record, diag);
	cof_people_unlock(a);
	return r < 0 ? r : cof_archive_vault_record(a, who, record, NULL, diag);
}
