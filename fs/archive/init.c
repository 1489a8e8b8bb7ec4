/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an archive: an empty directory becomes a store that has been mounted once, holds its shelves and
 * was cleanly unmounted. Whatever goes wrong, what was made is removed again: a store that is half made
 * could be taken for one that was damaged.
 */
#include <stdio.h>

#include "fs/archive/auditor.h"
#include "fs/archive/envelope.h"
#include "fs/archive/internal.h"
#include "fs/archive/keys-nv.h"

#define SEGMENT_DEFAULT ((uint64_t)64 << 20)
#define SEGMENT_MIN ((uint64_t)65536)
#define SEGMENT_MAX ((uint64_t)1 << 30)
#define MSEC 1000000 /* archive.conf tells the time in milliseconds */

struct making {
	struct cof_io *io;
	const struct cof_init_params *p;
	struct cof_diag *diag;
	struct cof_conf conf;
	struct cof_clock clock;
	struct cof_keys *keys;
	struct cof_tpm_link *tpm; /* NULL: not sealed by one */
	struct cof_log *log;
	struct cof_aead *aead; /* metadata of mount 1 */
	uint32_t mount;
	uint8_t salt[32];
	struct cof_mixing mixing; /* key: secure memory */
	bool ours; /* the directory was empty when the lock was held: what is in it now was made here */
};

/* ---- what is asked for ---- */

static int check_shelf(const struct cof_init_params *p, size_t i, struct cof_diag *diag)
{
	const char *name = p->shelves[i].name;
	size_t n = name ? strlen(name) : 0;

	if (!n || n > COF_NAME_MAX || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ||
	    !strcmp(name, COF_VIRTUAL_DIR_NAME))
		return cof_fail(diag, -EINVAL,
				"'%.64s' cannot be the name of a shelf: 1 to 255 bytes, no '/', not "
				"\".\" or \"..\"",
				name ? name : "");
	for (size_t k = 0; k < i; k++)
		if (!strcmp(name, p->shelves[k].name))
			return cof_fail(diag, -EINVAL, "the shelf '%.64s' is named twice", name);
	return 0;
}

static int check_params(struct making *m)
{
	const struct cof_init_params *p = m->p;
	uint64_t size = p->segment_size ? p->segment_size : SEGMENT_DEFAULT;

	if (!p->n_shelves)
		return cof_fail(m->diag, -EINVAL,
				"an archive has at least one shelf: name one with --shelf");
	for (size_t i = 0; i < p->n_shelves; i++) {
		int r = check_shelf(p, i, m->diag);

		if (r < 0)
			return r;
	}
	if (size < SEGMENT_MIN || size > SEGMENT_MAX || size % 4096)
		return cof_fail(m->diag, -EINVAL,
				"a segment has 64 KiB to 1 GiB, in steps of 4 KiB; %llu bytes are none",
				(unsigned long long)size);
	m->conf.segment_size = size;
	m->conf.flags = p->flags;
	if (cof_clock_check(&m->conf, &m->clock, m->diag) < 0)
		return -EOPNOTSUPP;
	if (cof_time_namespace(m->diag) < 0)
		return -EPERM;
	m->conf.created = cof_now(CLOCK_REALTIME) / MSEC * MSEC;
	cof_random(m->conf.id, sizeof(m->conf.id));
	return 0;
}

static int not_lock(void *user COF_UNUSED, const char *name)
{
	return strcmp(name, "lock") ? -EEXIST : 0;
}

static int nothing(void *user COF_UNUSED, const char *name COF_UNUSED)
{
	return -EEXIST;
}

static int check_empty(struct making *m, cof_io_list_fn fn)
{
	int r = cof_io_list(m->io, "", fn, NULL);

	if (r == -EEXIST)
		return cof_fail(m->diag, r,
				"%s is not empty: an archive is made in an empty directory",
				cof_io_where(m->io));
	return r < 0 ? cof_fail(m->diag, r, "%s cannot be read: %s", cof_io_where(m->io),
				strerror(-r))
		     : 0;
}

/* ---- removing what was made ---- */

struct names {
	struct cof_buf text; /* NUL-separated */
};

static int collect(void *user, const char *name)
{
	struct names *n = user;

	cof_buf_add(&n->text, name, strlen(name) + 1);
	return n->text.failed ? -ENOMEM : 0;
}

static void keep_first(int *sum, int r)
{
	if (!*sum && r < 0 && r != -ENOENT)
		*sum = r;
}

static void remove_dir(struct cof_io *io, const char *dir, int *sum)
{
	struct names n = {0};
	int r = cof_io_list(io, dir, collect, &n);

	if (r == 0) {
		for (size_t at = 0; at < n.text.len; at += strlen((char *)n.text.data + at) + 1) {
			char path[300];

			snprintf(path, sizeof(path), "%s/%s", dir, (char *)n.text.data + at);
			keep_first(sum, cof_io_unlink(io, path));
		}
		r = cof_io_rmdir(io, dir);
	}
	keep_first(sum, r);
	cof_buf_done(&n.text);
}

static void remove_all(struct making *m)
{
	static const char *const dirs[] = {"log", "aside", "tile", "keys", "seal"};
	static const char *const files[] = {"archive.conf", "archive.conf.new", "checkpoint",
					    "checkpoint.new", "reserve", "reserve.new", "lock"};
	int sum = 0;

	for (size_t i = 0; i < COF_COUNT(dirs); i++)
		remove_dir(m->io, dirs[i], &sum);
	for (size_t i = 0; i < COF_COUNT(files); i++)
		keep_first(&sum, cof_io_unlink(m->io, files[i]));
	keep_first(&sum, cof_io_sync_dir(m->io, ""));
	if (sum < 0 && m->diag)
		cof_fail(m->diag, sum, "%s (what was made in %s could not all be removed: %s)",
			 m->diag->text, cof_io_where(m->io), strerror(-sum));
}

/* ---- keys, log, mount ---- */

static int make_keys(struct making *m, uint8_t *auditor)
{
	static const char *const dirs[] = {"keys", "seal"};
	uint8_t public_key[32];
	int r;

	for (size_t i = 0; i < COF_COUNT(dirs); i++) {
		r = cof_io_mkdir(m->io, dirs[i]);
		if (r < 0)
			return cof_fail(m->diag, r, "%s/%s cannot be made: %s", cof_io_where(m->io),
					dirs[i], strerror(-r));
	}
	r = cof_keys_make(m->io, m->conf.id, m->p->secret, m->p->cost, m->p->pcrs, auditor, public_key,
			  &m->keys, m->diag);
	if (r == 0 && m->p->secret->kind == COF_OPENER_TPM2)
		r = cof_tpm_link_new(m->p->secret->tpm, &m->tpm);
	if (r < 0)
		return r;
	r = cof_auditors_set(m->keys, m->p->auditors, m->p->n_auditors);
	if (r == 0 && m->p->n_auditors)
		r = cof_keys_write_top(m->keys, m->io, false, m->diag);
	if (r == 0)
		r = cof_auditor_write(m->keys, m->io, 1, auditor, m->diag);
	if (r < 0)
		return r;
	r = m->p->origin ? cof_vkey_make(m->p->origin, COF_NOTE_ED25519, public_key, &m->conf.vkey)
			 : -EINVAL;
	if (r < 0)
		return cof_fail(m->diag, r,
				"'%.64s' cannot be an archive's origin: a name like "
				"logs.example.org/audit, without spaces and plus signs",
				m->p->origin ? m->p->origin : "");
	return 0;
}

static int make_log(struct making *m)
{
	struct cof_log_params lp = {
	    .io = m->io,
	    .conf = &m->conf,
	    .times = {cof_clock_now, &m->clock},
	};
	cof_autosecret struct cof_log_secrets *s = cof_secret_alloc(sizeof(*s));

	if (!s)
		return cof_fail(m->diag, -ENOMEM, "no secure memory left for the log's keys");
	cof_clock_start_new(&m->clock);
	cof_keys_log_secrets(m->keys, s);
	return cof_log_create(&lp, s, &m->log, m->diag);
}

static int mount_once(struct making *m)
{
	cof_autobuf struct cof_buf fields = {0};
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	int r;

	m->mixing.key = cof_secret_alloc(COF_KEY);
	if (!key || !m->mixing.key)
		return -ENOMEM;
	cof_random(m->salt, sizeof(m->salt));
	r = cof_mount_fields(&fields, m->keys, m->conf.id, 1, m->salt, &m->clock);
	cof_actor_fields(NULL, &fields);
	if (r == 0 && fields.failed)
		r = -ENOMEM;
	if (r == 0)
		r = cof_log_mount(m->log, m->salt, fields.data, (uint32_t)fields.len, &m->mount, &m->mixing);
	if (r == 0)
		r = cof_keys_advance(m->keys, m->io, m->tpm, &m->mixing, m->diag);
	m->mixing.on = m->mixing.sequence;
	if (r == 0)
		r = cof_keys_payload(m->keys, 0, m->mount, m->salt, key);
	return r < 0 ? r : cof_aead_new(key, &m->aead);
}

/* ---- shelves ---- */

static int put(struct making *m, uint8_t type, uint64_t object, const struct cof_buf *public_part,
	       const struct cof_buf *private_part)
{
	uint32_t n = (uint32_t)private_part->len, public_len = 0;
	cof_autofree uint8_t *stored = NULL;
	struct cof_append ap = {0};
	int r;

	if (private_part->failed || (public_part && public_part->failed))
		return -ENOMEM;
	if (public_part)
		public_len = (uint32_t)public_part->len;
	stored = malloc((size_t)public_len + n + COF_TAG * cof_frame_chunks(n) + 1);
	if (!stored)
		return -ENOMEM;
	ap.frame = (struct cof_frame){
	    .type = type, .version = 1, .object = object, .length = n, .mount = m->mount};
	ap.frame.counter = cof_log_counter(m->log, cof_frame_chunks(n));
	r = cof_payload_seal(&ap.frame, m->aead, m->conf.id,
			     public_part ? public_part->data : NULL, public_len, private_part->data,
			     stored);
	ap.stored = stored;
	return r < 0 ? r : cof_log_append(m->log, &ap);
}

static int put_shelf(struct making *m, uint64_t ino, const struct cof_shelf_spec *shelf)
{
	cof_autobuf struct cof_buf create = {0}, policy = {0}, public_part = {0}, name = {0};
	int r = cof_policy_text(&shelf->policy, &policy);

	if (r < 0)
		return r;
	cof_field_put_u64(&create, COF_T_PARENT, COF_ROOT_INO);
	cof_field_put_str(&create, COF_T_NAME, shelf->name);
	cof_field_put_u8(&create, COF_T_KIND, COF_KIND_DIR);
	cof_field_put_u32(&create, COF_T_MODE, COF_SHELF_MODE);
	cof_field_put_u32(&create, COF_T_UID, geteuid());
	cof_field_put_u32(&create, COF_T_GID, getegid());
	r = put(m, COF_CREATE, ino, NULL, &create);
	if (r < 0)
		return r;
	cof_field_put(&public_part, COF_T_POLICY, policy.data, policy.len);
	cof_field_put_str(&name, COF_T_NAME, shelf->name);
	return put(m, COF_SHELF, ino, &public_part, &name);
}

static int put_profile(struct making *m)
{
	cof_autobuf struct cof_buf text = {0}, fields = {0};
	static const struct cof_buf nothing;
	uint8_t digest[COF_HASH];
	int r = cof_profile_text(m->p->profile, &text);

	if (r < 0)
		return r;
	cof_sha256(text.data, text.len, digest);
	cof_field_put(&fields, COF_T_POLICY, text.data, text.len);
	cof_field_put(&fields, COF_T_PROFILE_DIGEST, digest, sizeof(digest));
	return put(m, COF_POLICY, 0, &fields, &nothing);
}

static int put_shelves(struct making *m)
{
	int r = m->p->profile ? put_profile(m) : 0;

	for (size_t i = 0; i < m->p->n_shelves && r == 0; i++)
		r = put_shelf(m, COF_ROOT_INO + 1 + i, &m->p->shelves[i]);
	return r;
}

/* ---- all of it ---- */

static int write_log(struct making *m)
{
	enum cof_tpm_cause cause;
	uint64_t found;
	int r = mount_once(m);

	if (r == 0)
		r = put_shelves(m);
	if (r < 0) {
		cof_log_abandon(m->log);
		m->log = NULL;
		return cof_fail(m->diag, r, "the first frames cannot be written in %s: %s",
				cof_io_where(m->io), strerror(-r));
	}
	cof_log_mix_last(m->log, &m->mixing);
	r = cof_log_close(m->log, m->diag); /* frees in any case */
	m->log = NULL;
	return r < 0 ? r : cof_keys_mix(m->keys, m->io, m->tpm, &m->mixing, &found, &cause, m->diag);
}

static int make_all(struct making *m, uint8_t *auditor)
{
	int r = check_empty(m, not_lock);

	if (r < 0)
		return r;
	m->ours = true;
	r = make_keys(m, auditor);
	if (r == 0)
		r = make_log(m);
	if (r == 0)
		r = write_log(m);
	if (r == 0 && m->p->recovery)
		r = cof_envelope_make(m->keys, m->io, &m->conf, m->p->recovery, m->diag);
	if (r == 0 && m->p->recovery)
		r = cof_envelope_use(m->io, m->diag);
	cof_aead_free(m->aead);
	cof_secret_free(m->mixing.key);
	cof_tpm_link_free(m->tpm);
	return r;
}

int cof_archive_init(struct cof_io *io, const struct cof_init_params *p, struct cof_diag *diag)
{
	struct making m = {.io = io, .p = p, .diag = diag};
	cof_autosecret uint8_t *auditor = cof_secret_alloc(COF_KEY);
	char holder[64];
	int r;

	if (!auditor)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the keys");
	r = check_params(&m);
	if (r == 0)
		r = check_empty(&m, nothing);
	if (r < 0)
		return r;
	snprintf(holder, sizeof(holder), "coffer init, pid %ld", (long)getpid());
	r = cof_io_lock(io, holder, diag); /* against a second init in the same moment */
	if (r < 0)
		return r;
	r = make_all(&m, auditor);
	if (r < 0 && m.ours) {
		if (m.keys)
			cof_keys_unmake(m.keys, io, p->secret);
		remove_all(&m);
	}
	cof_keys_free(m.keys);
	cof_io_unlock(io);
	if (r < 0)
		return r;
	if (p->ret_auditor_secret)
		memcpy(p->ret_auditor_secret, auditor, COF_KEY);
	if (p->ret_archive_id)
		memcpy(p->ret_archive_id, m.conf.id, sizeof(m.conf.id));
	return 0;
}
