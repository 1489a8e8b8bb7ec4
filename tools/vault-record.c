/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault signed goes on record: through the daemon of a mounted archive; else by whoever opens it next, which is
 * the next mount, or this program where a key was given.
 */
#include "tools/vault-record.h"
#include "tools/output.h"
#include "tools/vault-pending.h"

#include <time.h>

#define PENDING "vaults/pending"

static int by_daemon(const struct vault_recording *r, const struct vault_entry *e, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();

	cof_json_set_str(request, "verb", "cosign");
	cof_json_set_str(request, "vault", e->name);
	cof_json_set_str(request, "note", e->note);
	if (r->began >= 0) /* of what was carried by hand it is not known */
		cof_json_set_int(request, "began", r->began);
	return store_ask(r->store, request, store_keep_last, ret, diag);
}

static void on_alarm(void *user COF_UNUSED, const char *text)
{
	cof_autofree char *shown = escaped(text);

	complain("%s", shown ? shown : "?");
}

static int open_here(struct vault_recording *r, struct cof_diag *diag)
{
	struct cof_archive_params p = {.io = r->store->io, .alarm = on_alarm, .no_threads = true};
	struct opener opener = {0};
	int err = opener_find(r->opener, r->store->io, r->store->path, &opener, diag);

	if (err == 0) {
		p.secret = &opener.secret;
		err = cof_archive_open(&p, &r->archive, NULL, diag);
	}
	opener_done(&opener);
	return err;
}

static bool has_key(const struct opener_args *o)
{
	return o && (o->key_file || o->credential || o->passphrase_fd >= 0 || o->seal || o->tpm);
}

int vault_record(struct vault_recording *r, const struct vault_entry *e, struct cof_json **ret, struct cof_diag *diag)
{
	struct cof_cosigned done;
	int err = r->archive ? -ENOTCONN : by_daemon(r, e, ret, diag);

	if (err != -ENOTCONN)
		return err;
	diag->text[0] = 0;
	if (!r->archive && !has_key(r->opener))
		return 0;
	err = r->archive ? 0 : open_here(r, diag);
	if (err == 0)
		err = cof_archive_cosign(r->archive, e->name, e->note, strlen(e->note), r->began, &done, diag);
	if (err < 0)
		return err;
	*ret = cof_json_object();
	cof_cosigned_json(&done, *ret);
	return *ret ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

int vault_told(struct vault_recording *r, const char *type, const char *vault, const char *detail, struct cof_diag *diag)
{
	struct cof_who who = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getpid()};
	cof_autojson struct cof_json *request = cof_json_object(), *answer = NULL;
	int err;

	if (r->archive)
		return cof_archive_vault_told(r->archive, &who, type, vault, detail, diag);
	cof_json_set_str(request, "verb", "vault-told");
	cof_json_set_str(request, "type", type);
	cof_json_set_str(request, "vault", vault);
	cof_json_set_bytes(request, "detail", detail, strnlen(detail, 900));
	err = store_ask(r->store, request, store_keep_last, &answer, diag);
	if (err != -ENOTCONN)
		return err;
	diag->text[0] = 0;
	if (!has_key(r->opener))
		return 0;
	err = open_here(r, diag);
	return err < 0 ? err : cof_archive_vault_told(r->archive, &who, type, vault, detail, diag);
}

/* The time is then when it happened, not when it goes on record. The guard of vaults/ is held. */
static int add_pending(const struct vault_recording *r, struct cof_json *record, struct cof_diag *diag)
{
	cof_autofree uint8_t *there = NULL;
	cof_autobuf struct cof_buf all = {0};
	size_t n = 0;
	int err = cof_io_load(r->store->io, PENDING, PENDING_MAX, &there, &n);

	if (err < 0 && err != -ENOENT)
		return cof_fail(diag, err, "%s/" PENDING " cannot be read: %s", r->store->path, strerror(-err));
	cof_json_set_time(record, "claimed_time", cof_now(CLOCK_REALTIME));
	err = pending_join(there, n, record, &all);
	switch (err) {
	case 0:
		return vaults_write(r->store, PENDING, all.data, all.len, diag);
	case 1: /* sent once more, since it is not on record yet */
		return 0;
	case -ENOBUFS:
		return cof_fail(diag, err, "no more of what vaults signed is kept in %s/" PENDING ": it comes again once the archive was mounted",
				r->store->path);
	case -EDQUOT:
		return cof_fail(diag, err, "too much that happened with vaults waits in %s/" PENDING " to be put on record: mount the archive",
				r->store->path);
	default:
		return cof_fail(diag, err, "out of memory");
	}
}

/* One at a time: the rounds of --watch end side by side, and each reads the file and puts another in its place. */
static int leave_pending(const struct vault_recording *r, struct cof_json *record, struct cof_diag *diag)
{
	int guard = -1, err = cof_io_guard(r->store->io, "vaults", &guard);

	if (err < 0 && err != -ENOENT) /* then it is made */
		return cof_fail(diag, err, "%s/vaults cannot be locked: %s", r->store->path, strerror(-err));
	err = add_pending(r, record, diag);
	cof_io_unguard(guard);
	return err;
}

int vault_recorded(struct vault_recording *r, struct cof_json *record, struct cof_diag *diag)
{
	struct cof_who who = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getpid()};
	cof_autojson struct cof_json *request = cof_json_object(), *answer = NULL;
	int err = -ENOTCONN;

	if (!r->archive) {
		cof_json_set_str(request, "verb", "vault-record");
		cof_json_set(request, "record", cof_json_ref(record));
		err = store_ask(r->store, request, store_keep_last, &answer, diag);
	}
	if (err != -ENOTCONN)
		return err;
	diag->text[0] = 0;
	if (!r->archive && !has_key(r->opener))
		return leave_pending(r, record, diag);
	err = r->archive ? 0 : open_here(r, diag);
	return err < 0 ? err : cof_archive_vault_record(r->archive, &who, record, NULL, diag);
}

int vault_record_done(struct vault_recording *r, struct cof_diag *diag)
{
	int err = 0;

	if (r->archive) {
		cof_archive_tick(r->archive); /* what waits in vaults/ */
		err = cof_archive_close(r->archive, diag);
	}

	r->archive = NULL;
	return err;
}
