/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault is given R (docs/format.md 7.12): with the first one, files get keys that no envelope has, from the next inode
 * number on. What the vault gets lies in STORE/vaults/NAME.keys, sealed to it, until it has it. Only then the record.
 */
#include "crypto/age.h"
#include "fs/archive/people.h"
#include "fs/archive/vaults.h"

#include <stdio.h>

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

/* What waited before leads to what was destroyed since: its bytes are overwritten once its name is another's. */
static int replace(struct cof_archive *a, const char *path, const struct cof_buf *with)
{
	cof_autofile struct cof_file *before = NULL;
	cof_autofree uint8_t *zeros = NULL;
	uint64_t size = 0;
	int r = cof_io_open(a->io, path, COF_IO_RDWR, &before);

	if (r == 0)
		r = cof_io_size(before, &size);
	if (r < 0 && r != -ENOENT)
		return r;
	size = COF_MIN(size, (uint64_t)2 * COF_AGE_FILE_MAX); /* what is larger is none */
	zeros = calloc(1, size ? size : 1);
	r = zeros ? cof_io_replace(a->io, path, with->data, with->len) : -ENOMEM;
	if (r == 0 && size)
		r = cof_io_write(before, zeros, size, 0);
	return r == 0 && size ? cof_io_sync(before) : r;
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

static int give(struct cof_archive *a, const uint8_t recipient[COF_AGE_KEY], struct cof_json *record, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf sealed = {0};
	char path[96], hex[2 * COF_HASH + 1];
	struct cof_json *counted = cof_json_array();
	uint8_t digest[COF_HASH];
	int r = path_of(record, path, diag);

	cof_json_set(record, "counted", counted);
	if (r == 0)
		r = enroll(a, diag);
	if (r < 0)
		return r;
	r = seal_part(a, recipient, &sealed);
	if (r == 0)
		r = replace(a, path, &sealed);
	if (r < 0)
		return cof_fail(diag, r, "%s/%s cannot be made: %s", cof_io_where(a->io), path, strerror(-r));
	cof_sha256(sealed.data, sealed.len, digest);
	cof_hex(digest, COF_HASH, hex);
	cof_json_set_str(record, "sha256", hex);
	cof_json_append(counted, cof_json_new_uint(cof_keys_enrolled(a->keys)));
	return 0;
}

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
	cof_people_lock(a); /* what is destroyed changes the same trees, under the same lock */
	r = give(a, key, record, diag);
	cof_people_unlock(a);
	return r < 0 ? r : cof_archive_vault_record(a, who, record, NULL, diag);
}
