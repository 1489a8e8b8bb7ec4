/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive says of itself: who it is, how far it is, what it lacks. The part about identity and openers
 * is the same with and without a daemon (store.c).
 */
#include "fs/archive/auditor.h"
#include "fs/archive/door.h"
#include "fs/archive/envelope.h"
#include "fs/archive/leak.h"
#include "fs/archive/show.h"

void cof_status_identity(const struct cof_conf *conf, struct cof_json *into)
{
	char id[33], vkey[COF_VKEY_MAX];

	cof_hex(conf->id, sizeof(conf->id), id);
	cof_vkey_text(&conf->vkey, vkey);
	cof_json_set_str(into, "archive_id", id);
	cof_json_set_str(into, "origin", conf->vkey.name);
	cof_json_set_str(into, "vkey", vkey);
	cof_json_set_time(into, "created", conf->created);
	cof_json_set_uint(into, "segment_size", conf->segment_size);
	cof_json_set_bool(into, "trial", conf->flags & COF_ARCHIVE_TRIAL);
	cof_json_set_bool(into, "test_clock", conf->flags & COF_ARCHIVE_TEST_CLOCK);
}

int cof_status_openers(struct cof_io *io, struct cof_json *into)
{
	struct cof_json *array = cof_json_array();
	bool weak = false;
	int r = array ? cof_keys_openers(io, array) : -ENOMEM;

	if (r < 0 && r != -ENOENT) {
		cof_json_free(array);
		return r;
	}
	for (size_t i = 0; i < cof_json_count(array); i++) {
		const char *text = cof_json_text(cof_json_at(array, i), false);

		weak |= text && strstr(text, "(weak)");
	}
	cof_json_set(into, "openers", array);
	cof_json_set_bool(into, "weak_opener", weak);
	cof_json_set_bool(into, "seal_in_tpm", cof_io_exists(io, COF_KEYS_EPOCH) == 0);
	r = cof_auditor_status(io, into);
	return r < 0 ? r : cof_envelope_status(io, into);
}

/* The newest checkpoint, as far as its signature holds. */
void cof_status_checkpoint(const struct cof_conf *conf, const void *note, size_t n,
			   struct cof_json *into)
{
	struct cof_json *o = cof_json_object();
	struct cof_checkpoint cp;
	char root[48];

	if (cof_checkpoint_open(note, n, &conf->vkey, &cp) < 0) {
		cof_json_set_bool(o, "signed", false);
	} else {
		cof_base64(cp.root, sizeof(cp.root), root);
		cof_json_set_bool(o, "signed", true);
		cof_json_set_uint(o, "size", cp.size);
		cof_json_set_str(o, "root", root);
	}
	cof_json_set_bytes(o, "note", note, n);
	cof_json_set(into, "checkpoint", o);
}

int cof_store_covered(struct cof_io *io, const struct cof_conf *conf, uint64_t *ret)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint cp;
	size_t n;
	int r = cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n);

	*ret = r == 0 && cof_checkpoint_open(note, n, &conf->vkey, &cp) == 0 ? cp.size : 0;
	return r == -ENOMEM ? r : 0;
}

static void set_log(struct cof_archive *a, struct cof_json *into)
{
	struct cof_log_status st;

	cof_json_set_uint(into, "frames", atomic_load(&a->size));
	if (!a->log)
		return;
	cof_log_status(a->log, &st);
	cof_json_set_uint(into, "frames", st.size);
	cof_json_set_uint(into, "durable", st.durable);
	cof_json_set_uint(into, "bytes", st.bytes);
	cof_json_set_uint(into, "segments", st.segments);
	cof_json_set_uint(into, "mount", st.mount);
	cof_json_set_bool(into, "out_of_space", st.out_of_space);
	if (st.checkpoint[0])
		cof_status_checkpoint(&a->conf, st.checkpoint, strlen(st.checkpoint), into);
}

static void set_health(struct cof_archive *a, struct cof_json *into)
{
	int failed = atomic_load(&a->failed);

	cof_json_set_bool(into, "read_only", !a->log || failed);
	if (failed && a->log)
		cof_json_set_str(into, "failure", strerror(-failed));
	if (a->opened.text[0])
		cof_json_set_str(into, "opened", a->opened.text);
	cof_json_set_bool(into, "clean", a->opened.recovered.clean);
	cof_json_set_uint(into, "refused", atomic_load(&a->refused));
	cof_json_set_uint(into, "damaged_reads", (unsigned)atomic_load(&a->alarmed_read));
	cof_leaks_status(a->leaks, into);
	cof_faults_status(a, into);
}

static void set_index(struct cof_archive *a, struct cof_json *into)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_uint(o, "fed", cof_index_fed(a->ix));
	cof_json_set_uint(o, "pending", cof_index_pending(a->ix));
	cof_json_set_uint(o, "rebuilds", atomic_load(&a->rebuilds));
	cof_json_set_bool(o, "damaged", atomic_load(&a->damaged));
	cof_json_set(into, "index", o);
}

static int fill(struct cof_archive *a, struct cof_json *into)
{
	struct cof_usage usage;
	int r;

	cof_status_identity(&a->conf, into);
	r = cof_status_openers(a->io, into);
	if (r == 0)
		r = cof_door_status(a->io, a->conf.id, into);
	if (r < 0)
		return r;
	cof_json_set_bool(into, "mounted", true);
	set_log(a, into);
	set_health(a, into);
	set_index(a, into);
	cof_holds_status(a, into);
	cof_cosign_status(a, into);
	cof_anchor_status(a->anchor, into);
	cof_mix_status(a->mix, into);
	cof_json_set_time(into, "record_time", cof_now(CLOCK_REALTIME));
	cof_json_set_time(into, "retention_time", cof_clock_retention(&a->clock));
	cof_json_set_str(into, "io", cof_io_name(a->io));
	if (cof_archive_usage(a, &usage) == 0) { /* else the disk itself says nothing */
		cof_json_set_uint(into, "inodes", usage.files);
		cof_json_set_uint(into, "free_bytes", usage.free_bytes);
		cof_json_set_uint(into, "total_bytes", usage.total_bytes);
	}
	return 0;
}

int cof_archive_status(struct cof_archive *a, struct cof_json *into)
{
	int r;

	cof_gate_enter(a); /* the index is not rebuilt meanwhile */
	r = fill(a, into);
	if (r == 0 && cof_keys_envelope_behind(a->keys) && cof_json_get(into, "recovery"))
		cof_json_set_bool(cof_json_get(into, "recovery"), "before_vaults", true);
	cof_gate_leave(a);
	return r;
}
