/* SPDX-License-Identifier: Apache-2.0 */
/* A drill, from the first byte to the record of it: how long it took, and what was promised. */
#include "tools/buckets.h"
#include "tools/output.h"
#include "tools/restore.h"
#include "tools/vault-record.h"

#include <inttypes.h>
#include <stdio.h>

struct trying {
	struct restoring *r;
	struct store live;
	char *mount;
	char from[64]; /* which vault, as the record has it */
	int64_t began, took, promised;
	struct restore_drilled d;
	struct vault_copy_state came;
	struct cof_diag why; /* of a failure */
};

/* ---- the live archive ---- */

static int find_mount(struct trying *t, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object(), *status = NULL;
	const char *point;
	int err = 0;

	cof_json_set_str(request, "verb", "status");
	err = store_ask(&t->live, request, store_keep_last, &status, diag);
	point = status ? cof_json_str(status, "mountpoint") : NULL;
	if (err == -ENOTCONN || (err == 0 && !point))
		return cof_fail(diag, -ENOTCONN,
				"%s is not mounted: a drill compares with what the live archive "
				"gives, and goes on record there",
				t->live.path);
	t->mount = err == 0 ? strdup(point) : NULL;
	return err < 0 ? err : t->mount ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

/* A name of one of its copies stands for the way to it, too. */
static int name_bucket(struct trying *t, char url[512], struct cof_diag *diag)
{
	struct restoring *r = t->r;
	struct bucket b;
	int err;

	if (r->n_sources > 1)
		return cof_fail(diag, -EINVAL, "a bucket is tried by itself: it signs nothing, and gives what it has");
	err = bucket_load(&t->live, r->source[0].url, &b, diag);
	if (err < 0)
		return err;
	snprintf(t->from, sizeof(t->from), "%s", b.name);
	memcpy(url, b.url, sizeof(b.url));
	r->source[0].url = url;
	r->bucket = b.target;
	r->from_bucket = true;
	return 0;
}

/* A name of one of its vaults stands for the way to it and its key. */
static int name_sources(struct trying *t, char urls[][512], struct cof_diag *diag)
{
	struct restoring *r = t->r;
	int err = 0;

	for (unsigned i = 0; err == 0 && i < r->n_sources; i++) {
		struct vault_entry e = {.time = 0};

		if (!vault_name_ok(r->source[i].url))
			continue;
		if (bucket_exists(&t->live, r->source[i].url)) {
			err = name_bucket(t, urls[i], diag);
			continue;
		}
		err = vault_entry_load(&t->live, r->source[i].url, &e, diag);
		if (err == 0) {
			memcpy(urls[i], e.url, sizeof(e.url));
			if (!i)
				snprintf(t->from, sizeof(t->from), "%s", e.name);
			r->source[i].url = urls[i];
			if (r->n_vkeys < RESTORE_KEYS)
				r->vkey[r->n_vkeys++] = e.vkey;
		}
		vault_entry_done(&e);
	}
	if (!*t->from)
		snprintf(t->from, sizeof(t->from), "%.60s", r->source[0].url);
	return err;
}

static int prepare(struct trying *t, const char *live, char urls[][512], struct cof_diag *diag)
{
	struct cof_profile policy;
	int err = store_open(live, &t->live, diag);

	if (err < 0)
		return err;
	memcpy(t->r->id, t->live.conf.id, sizeof(t->r->id));
	t->r->log = t->live.conf.vkey;
	t->r->log_given = true;
	if (cof_store_policy(t->live.io, &t->live.conf, &policy) == 0)
		t->promised = policy.restore_time;
	err = find_mount(t, diag);
	return err == 0 ? name_sources(t, urls, diag) : err;
}

/* ---- trying ---- */

static int try_it(struct trying *t, struct restore_keys *k, struct cof_diag *diag)
{
	struct restored s = {.path = NULL};
	struct restore_freshness fresh;
	int err = restore_fetch(t->r, diag);

	if (err >= 0) {
		vault_copy_state(t->r->copy, &t->came);
		err = restore_heads(t->r, &fresh, diag);
	}
	if (err == 0)
		err = restore_open(t->r, k, &s, diag);
	if (err == 0)
		err = restore_compare(t->r, &s, t->live.io, t->mount, &t->d, diag);
	t->took = cof_now(CLOCK_BOOTTIME) - t->began;
	restore_close(&s);
	if (err == 0 && t->d.differ)
		err = cof_fail(diag, -EBADMSG, "%" PRIu64 " file%s differ: %s", t->d.differ,
			       plural(t->d.differ), t->d.first);
	return err;
}

/* Beside the event, which coffer due looks for: the numbers. */
static int record_vault(const struct trying *t, struct vault_recording *to, bool failed,
			const char *detail, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", "drill");
	cof_json_set_str(o, "name", t->from);
	cof_json_set_uint(o, "from", 0);
	cof_json_set_uint(o, "to", t->came.head.size);
	cof_json_set_uint(o, "bytes", t->d.bytes);
	cof_json_set_str(o, "outcome", failed ? "failure" : "success");
	cof_json_set_uint(o, "took_ns", (uint64_t)t->took);
	cof_json_set_uint(o, "promised_ns", (uint64_t)t->promised);
	cof_json_set_str(o, "detail", detail);
	return vault_recorded(to, o, diag);
}

static int record(struct trying *t, bool failed, struct cof_diag *diag)
{
	struct opener_args none = OPENER_ARGS_INIT;
	struct vault_recording to = {.store = &t->live, .opener = &none};
	char detail[900], size[32], took[32], promised[32] = "no time";
	cof_autofree char *shown = NULL;

	cof_size_text(t->d.bytes, size);
	cof_duration_text(t->took, took);
	if (t->promised)
		cof_duration_text(t->promised, promised);
	if (failed)
		snprintf(detail, sizeof(detail), "%.700s; took %s, %s was promised", t->why.text,
			 took, promised);
	else
		snprintf(detail, sizeof(detail),
			 "%" PRIu64 " frames came back and are the live archive's; %" PRIu64 " files (%s) are the same, %" PRIu64
			 " were moved or removed since, the content of %" PRIu64 " is destroyed here and there; took %s, %s was promised; the "
			 "scratch place is destroyed",
			 t->came.head.size, t->d.files, size, t->d.elsewhere, t->d.destroyed, took, promised);
	shown = escaped(detail); /* a vault that refused says why in its own words */
	printf("Drill with %s: %s.\n", t->from, shown ? shown : "?");
	if (record_vault(t, &to, failed, detail, diag) < 0)
		return -EIO;
	return vault_told(&to, failed ? "restore-drill-failed" : "restore-drill", t->from, detail,
			  diag);
}

int restore_try(struct restoring *r, struct restore_keys *k, const char *live,
		struct cof_diag *diag)
{
	char urls[RESTORE_SOURCES][512];
	struct trying t = {.r = r, .began = cof_now(CLOCK_BOOTTIME)};
	struct cof_diag unsaid = {""};
	bool late;
	int err = prepare(&t, live, urls, diag), told;

	if (err == 0 && access(r->dir, F_OK) == 0)
		err = cof_fail(
		    diag, -EEXIST,
		    "%s is there already: a drill makes its scratch place, and destroys it",
		    r->dir);
	if (err < 0)
		goto end;
	k->epoch_of = t.live.io;
	err = try_it(&t, k, &t.why);
	vault_copy_free(r->copy);
	r->copy = NULL;
	if (access(r->dir, F_OK) == 0 && restore_destroy(r->dir, &unsaid) < 0 && err == 0) {
		t.why = unsaid;
		err = -EIO;
	}
	told = record(&t, err < 0, &unsaid);
	late = t.promised && t.took > t.promised;
	if (err < 0)
		*diag = t.why;
	else if (told < 0)
		err = cof_fail(diag, told, "the drill went well, and is not on record: %s",
			       unsaid.text);
	else
		err = late;
end:
	free(t.mount);
	store_close(&t.live);
	return err;
}
