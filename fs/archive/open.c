/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an archive. The order of opening is what makes it safe: the lock, the
 * identity, the keys, the log's recovery; then the MOUNT frame is durable, then the epoch moves on,
 * and only then anything is acknowledged. The index is asked last, since it is derived: whatever is
 * wrong with it, it is built anew.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "fs/archive/certs.h"
#include "fs/archive/destroy.h"
#include "fs/archive/import.h"
#include "fs/archive/internal.h"
#include "fs/archive/people.h"
#include "fs/archive/keys-nv.h"
#include "fs/archive/keys-seal.h"
#include "fs/archive/leak.h"
#include "fs/archive/note.h"
#include "fs/archive/opener-event.h"

#define RING_KEYS 256 /* about 2 KiB of the locked pool each */

/* Retention goes on from the log; what passed since the last MOUNT counts within one boot. */
static void start_clock(struct cof_archive *a)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t boot_id[16], reading[COF_TPM_CLOCK_SIZE];
	struct cof_clock_start s = {.last_retention = a->opened.recovered.last_retention};
	struct cof_tpm_clock then, now;
	struct cof_diag why = {""};
	struct cof_frame f = {0};
	int r;

	if (cof_last_mount(a, &f, &fields) == 0 &&
	    cof_field_bytes(fields.data, fields.len, COF_T_BOOT_ID, boot_id, 16) == 0 &&
	    cof_field_i64(fields.data, fields.len, COF_T_BOOT_TIME, &s.mount_boottime) == 0)
		s.mount_boot_id = boot_id;
	s.mount_retention = f.retention_time;
	if (cof_field_bytes(fields.data, fields.len, COF_T_TPM_CLOCK, reading, sizeof(reading)) == 0) {
		cof_tpm_clock_decode(reading, &then);
		s.mount_tpm = &then;
	}
	r = a->log ? cof_clock_tpm(a, &now, &why) : -ENOTSUP;
	s.by_tpm = r != -ENOTSUP;
	s.tpm = r == 0 ? &now : NULL;
	cof_clock_start(&a->clock, &s);
	if (r < 0 && s.by_tpm)
		(void)cof_clock_take(&a->clock, NULL, &why);
}

/* ---- the parts, in order ---- */

/* Tampering: whatever is left can be read, and nothing may be added that could hide it. */
static void read_only(struct cof_archive *a, const struct cof_diag *why)
{
	a->opened.read_only = true;
	atomic_store(&a->failed, -EROFS);
	snprintf(a->opened.text, sizeof(a->opened.text), "Mounted read-only. %.480s", why->text);
}

static int take_lock(struct cof_archive *a, struct cof_diag *diag)
{
	struct utsname host;
	char holder[128];
	int r;

	if (uname(&host) < 0)
		snprintf(host.nodename, sizeof(host.nodename), "this host");
	snprintf(holder, sizeof(holder), "pid %ld on %.64s", (long)getpid(), host.nodename);
	r = cof_io_lock(a->io, holder, diag);
	if (r != -EROFS)
		return r;
	if (!a->p.read_only)
		return cof_fail(diag, r,
				"%s lies on a read-only filesystem: mount it with -o ro to read it",
				cof_io_where(a->io));
	a->passive = true;
	return cof_io_lock_shared(a->io, diag);
}

/*
 * The seal goes on from what the TPM holds, whichever opener was used. When it is not there any more, what
 * the log says can be read and nothing added; when the TPM does not answer, that is for whoever mounts to
 * say (-o ro), since it may be back in a moment.
 */
static int fetch_epoch(struct cof_archive *a, struct cof_diag *diag)
{
	struct cof_diag why = {""}, said = {""};
	bool lost = false;
	int r = 0;

	if (cof_keys_nv_here(a->keys))
		r = cof_tpm_link_new(a->p.secret->tpm, &a->tpm);
	if (r == 0 && !a->passive)
		r = cof_keys_fetch_epoch(a->keys, a->io, a->tpm, &lost, &why);
	if (r == 0 || r == -ENOMEM)
		return r;
	if (!lost && !a->p.read_only)
		return cof_fail(diag, r,
				"%s is written to only with its TPM, which holds the seal's secret, whichever "
				"opener is used: %.500s. Read it with -o ro; if that TPM is gone for good: "
				"coffer seal new-lineage STORE --without-tpm",
				cof_io_where(a->io), why.text);
	cof_fail(&said, 0,
		 "%.280s. Find out why; then begin the seal anew, which is put on record: coffer seal "
		 "new-lineage STORE",
		 why.text);
	a->passive = true;
	read_only(a, &said);
	return 0;
}

static int open_keys(struct cof_archive *a, struct cof_diag *diag)
{
	int r = cof_conf_load(a->io, &a->conf, diag);

	if (r == 0)
		r = cof_clock_check(&a->conf, &a->clock, diag);
	if (r < 0)
		return r;
	r = a->passive ? cof_keys_open(a->io, a->conf.id, a->p.secret, &a->keys, diag)
		       : cof_keys_open_settled(a->io, a->conf.id, a->p.secret, &a->keys, diag);
	return r < 0 ? r : fetch_epoch(a, diag);
}

static int open_log(struct cof_archive *a, struct cof_diag *diag)
{
	struct cof_log_params lp = {
	    .io = a->io,
	    .conf = &a->conf,
	    .times = {cof_clock_now, &a->clock},
	    .anchor = cof_anchor_fields,
	    .anchored = cof_anchor_written,
	    .failed = cof_log_stopped,
	    .user = a,
	};
	cof_autosecret struct cof_log_secrets *s = cof_secret_alloc(sizeof(*s));
	struct cof_diag why = {""};
	int r;

	if (!s)
		return cof_fail(diag, -ENOMEM, "no memory left that can be locked");
	if (a->passive) {
		a->covered = cof_signed_size(a);
		return cof_reader_new(a->io, &a->conf, &a->reader);
	}
	cof_keys_log_secrets(a->keys, s);
	r = cof_log_open(&lp, s, &a->log, &a->opened.recovered, &why);
	if (r == -EUCLEAN) {
		a->log = NULL;
		read_only(a, &why);
	} else if (r < 0) {
		return cof_fail(diag, r, "%s",
				why.text[0] ? why.text : "the log cannot be opened: out of memory");
	}
	return cof_reader_new(a->io, &a->conf, &a->reader);
}

/*
 * The next epoch is one ahead of the last MOUNT frame's, or at the same epoch if nothing follows that
 * frame. Anything else: one of the two is an old copy, or frames are gone. A MOUNT frame written
 * now would make a mistake with a backup look like tampering for ever.
 */
static void check_epoch(struct cof_archive *a)
{
	const char *where = cof_io_where(a->io);
	const char *kept = a->tpm ? "the TPM's NV" : "keys/epoch", *copy = a->tpm ? "the TPM's state" : "keys/";
	cof_autobuf struct cof_buf fields = {0};
	uint64_t here = cof_keys_epoch(a->keys), mixed = cof_keys_mixed_at(a->keys), there = 0;
	struct cof_diag why = {""};
	struct cof_frame f = {0};

	if (cof_last_mount(a, &f, &fields) < 0 ||
	    cof_field_u64(fields.data, fields.len, COF_T_EPOCH, &there) < 0)
		cof_fail(&why, 0, "%s/log: the last MOUNT frame (mount %u) cannot be read", where,
			 a->opened.recovered.last_mount);
	else if (here == there + 1 || (here == there && a->opened.recovered.size == f.sequence + 1)) {
		if (mixed == COF_NOT_MIXED || mixed < a->opened.recovered.size)
			return;
		cof_fail(&why, 0,
			 "%s: %s was mixed at frame %llu of mount %u, and the log ends with frame %llu: later frames are "
			 "missing, or an old copy of the log was put back",
			 where, kept, (unsigned long long)mixed, f.mount,
			 (unsigned long long)a->opened.recovered.size - 1);
		a->behind = true;
	}
	else if (here <= there)
		cof_fail(&why, 0,
			 "%s: %s is at epoch %llu, mount %u in the log was at %llu: an old copy of "
			 "%s was put back; the newest one belongs there",
			 where, kept, (unsigned long long)here, f.mount, (unsigned long long)there, copy);
	else
		cof_fail(
		    &why, 0,
		    "%s: %s is at epoch %llu, mount %u, the last in the log, was at %llu: "
		    "later frames are missing, or an old copy of the log was put back",
		    where, kept, (unsigned long long)here, f.mount, (unsigned long long)there);
	a->behind |= here > there;
	cof_log_abandon(a->log);
	a->log = NULL;
	read_only(a, &why);
}

/* What the TPM's counter says of the log's end. */
static int check_anchor(struct cof_archive *a, struct cof_diag *diag)
{
	struct cof_anchor_found found;
	int r = cof_anchor_new(a, &a->anchor);

	if (r < 0 || !a->anchor)
		return r;
	r = cof_anchor_open(a->anchor, a->opened.recovered.last_mount_address, &found, diag);
	if (r < 0)
		return r;
	a->opened.unproven = found.state == COF_ANCHOR_UNPROVEN ? found.n : 0;
	if (!found.read_only)
		return 0;
	a->behind = found.state == COF_ANCHOR_TRUNCATED;
	cof_log_abandon(a->log);
	a->log = NULL;
	read_only(a, &found.text);
	return 0;
}

/* What vaults have shown of this archive's log. */
static void check_vaults(struct cof_archive *a)
{
	struct cof_diag why = {""};

	if (!cof_newer_found(a, &why))
		return;
	a->behind = true;
	cof_log_abandon(a->log);
	a->log = NULL;
	read_only(a, &why);
}

static int index_durable(void *user, uint64_t size)
{
	struct cof_archive *a = user;

	/* The index never knows of a frame that a power cut could still take away. */
	return a->log && size ? cof_log_sync(a->log, size - 1) : 0;
}

static int open_index_in(struct cof_archive *a, const char *dir, struct cof_diag *diag)
{
	struct cof_index_params ip = {
	    .key = cof_keys_index(a->keys),
	    .archive_id = a->conf.id,
	    .durable = index_durable,
	    .user = a,
	};
	char path[4096];
	struct stat st;
	bool fresh = false;
	int r;

	ip.dir = dir;
	if (!ip.dir) {
		snprintf(path, sizeof(path), "%s/index", cof_io_where(a->io));
		if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			return cof_fail(diag, -ELOOP,
					"%s is a symbolic link, and is not followed: remove it, or "
					"name the directory with -o index=DIR",
					path);
		ip.dir = path;
	}
	r = cof_index_open(&ip, &a->ix, &fresh, diag);
	if (r < 0)
		return r;
	if (a->log && (cof_index_fed(a->ix) > a->opened.recovered.size ||
		       cof_incomplete_marked(a))) {
		/* It tells of frames that this log does not have: another copy's, or an older
		 * one's. Or it was built over gaps: perhaps they are closed. */
		r = cof_index_reset(a->ix);
		if (r < 0)
			return cof_fail(diag, r, "the index cannot be emptied: %s", strerror(-r));
		fresh = true;
	}
	if (cof_incomplete_marked(a))
		atomic_store(&a->incomplete, true);
	a->fresh_index = fresh;
	/* The first mount after init has nothing to build anew. */
	a->opened.index_rebuilt = fresh && a->opened.recovered.last_mount > 1;
	return 0;
}

static bool no_space(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

/* Where there is no room for it: in memory, for this time. */
static int open_index(struct cof_archive *a, struct cof_diag *diag)
{
	int r = open_index_in(a, a->passive ? "" : a->p.index_dir, diag);

	return no_space(r) ? open_index_in(a, "", diag) : r;
}

static int replay_all(struct cof_archive *a, struct cof_diag *diag)
{
	int r = cof_replay(a);

	if (!no_space(r))
		return r;
	cof_obj_clear(a);
	cof_index_close(a->ix);
	a->ix = NULL;
	r = open_index_in(a, "", diag);
	return r < 0 ? r : cof_replay(a);
}

static int fill_index(struct cof_archive *a, struct cof_diag *diag)
{
	int r = replay_all(a, diag);

	if (cof_ix(a, r) == -COF_EINDEX) {
		a->opened.index_rebuilt = true;
		atomic_store(&a->incomplete, false);
		r = cof_index_reset(a->ix);
		if (r == 0)
			r = cof_replay(a);
	}
	atomic_store(&a->damaged, false);
	atomic_store(&a->stale, false);
	atomic_store(&a->stale_from, UINT64_MAX);
	if (r < 0)
		return cof_fail(diag, r, "the index of %s cannot be brought up to date: %s",
				cof_io_where(a->io), strerror(-r));
	if (a->damage.text[0] && !a->opened.read_only)
		read_only(a, &a->damage);
	cof_incomplete_settle(a);
	if (atomic_load(&a->next_ino) <= cof_index_last_ino(a->ix))
		atomic_store(&a->next_ino, cof_index_last_ino(a->ix) + 1);
	if (atomic_load(&a->next_ino) < cof_keys_enrolled(a->keys))
		atomic_store(&a->next_ino, cof_keys_enrolled(a->keys));
	if (atomic_load(&a->size) < cof_index_fed(a->ix)) /* read-only: the log did not say */
		atomic_store(&a->size, cof_index_fed(a->ix));
	return 0;
}

static void tell(struct cof_archive *a)
{
	const struct cof_recovered *rec = &a->opened.recovered;
	char *text = a->opened.text;
	size_t cap = sizeof(a->opened.text), n = strlen(text);

	if (a->log && rec->checkpoint != COF_CHECKPOINT_THERE)
		n += (size_t)snprintf(
		    text + n, cap - n,
		    "The file checkpoint %s; the newest one that the log repeats counts (%llu "
		    "frames, all there) and was written again.",
		    rec->checkpoint == COF_CHECKPOINT_MISSING ? "was missing"
							      : "was an old copy",
		    (unsigned long long)rec->checkpoint_size);
	else if (a->log && !rec->clean && rec->torn_segments)
		n += (size_t)snprintf(
		    text + n, cap - n,
		    "The archive was not closed cleanly: %llu frames behind the last "
		    "checkpoint are there, %llu bytes that are no frame were set aside in "
		    "aside/ (log/%08x.seg from offset %llu).",
		    (unsigned long long)rec->kept, (unsigned long long)rec->bytes, rec->segment,
		    (unsigned long long)rec->offset);
	else if (a->log && !rec->clean)
		n += (size_t)snprintf(
		    text + n, cap - n,
		    "The archive was not closed cleanly: %llu frames behind the last "
		    "checkpoint are there.",
		    (unsigned long long)rec->kept);
	if (a->log && a->opened.unproven && n < cap)
		n += (size_t)snprintf(text + n, cap - n,
				      "%sThe TPM lost power since, and its counter went on by %llu: unclean, %llu "
				      "checkpoints unproven.",
				      n ? " " : "", (unsigned long long)a->opened.unproven,
				      (unsigned long long)a->opened.unproven);
	if (a->opened.index_rebuilt && n < cap)
		snprintf(text + n, cap - n, "%sThe index was built anew from the log.",
			 n ? " " : "");
	if (a->opened.read_only)
		cof_alarm(a, "%s", text);
}

/* An end that was none is shown until somebody says that they know. */
static void note_recovery(struct cof_archive *a)
{
	cof_autobuf struct cof_buf text = {0};

	if (a->log && a->keys_recovered) {
		cof_fault_note(a, "The keys of this archive were recovered from its envelope: whoever opened "
				  "that has them. Make a new envelope (coffer seal recovery-renew), and find "
				  "out what became of the old opener.");
		cof_faults_write(a);
	}
	if (a->log && a->seal_anew) {
		cof_fault_note(a, "The seal of this archive was begun anew (coffer seal new-lineage): what the TPM "
				  "or keys/epoch held for it is not needed any more to write. If nobody can say "
				  "why, treat the host as compromised.");
		cof_faults_write(a);
	}
	if (a->log && a->opened.recovered.clean && a->opened.unproven)
		cof_fault_note(a, a->opened.text);
	if (!a->log || a->opened.recovered.clean) {
		cof_faults_write(a);
		return;
	}
	cof_buf_printf(&text,
		       "%s What was synced is there. Find out why it ended (the system's journal "
		       "says), and whether writers that had no answer have to write again.",
		       a->opened.text);
	if (!text.failed)
		cof_fault_note(a, (const char *)text.data);
	cof_faults_write(a);
}

/* ---- all of it ---- */

static int open_parts(struct cof_archive *a, struct cof_diag *diag)
{
	int r = open_keys(a, diag);

	if (r == 0)
		r = open_log(a, diag);
	if (r < 0)
		return r;
	if (a->log)
		check_epoch(a);
	if (a->log)
		r = check_anchor(a, diag);
	if (r == 0 && a->log)
		check_vaults(a);
	if (r == 0 && a->log)
		r = cof_mix_new(a, &a->mix);
	if (r == 0)
		r = cof_ring_new(a->keys, a->conf.id, RING_KEYS, cof_archive_salt, a, &a->ring);
	if (r == 0)
		r = cof_cache_init(a, a->p.cache_objects);
	if (r == 0)
		r = cof_actors_new(&a->actors);
	if (r == 0)
		r = cof_writers_new(&a->writers);
	if (r == 0)
		r = cof_places_new(&a->places);
	if (r == 0)
		r = cof_chunks_new(&a->chunks);
	if (r == 0)
		r = cof_leaks_new(&a->leaks);
	if (r == 0)
		r = cof_events_new(&a->events);
	if (r == 0)
		r = cof_events_file_new(&a->events_file);
	if (r == 0)
		r = cof_faults_new(a->io, &a->faults);
	if (r == 0)
		r = cof_imports_new(&a->imports);
	if (r < 0)
		return r;
	start_clock(a);
	return open_index(a, diag);
}

/* A daemon has the keys from here on. */
static int key_loaded(struct cof_archive *a)
{
	const char *opener = a->p.secret ? cof_opener_name(a->p.secret->kind) : NULL;

	return cof_event_emit(a, &(struct cof_event){.type = COF_EV_KEY_LOADED, .detail = opener}, NULL);
}

/* A log in which filling the index met damage is read only from then on. */
static bool recording(struct cof_archive *a)
{
	return a->log && !atomic_load(&a->failed);
}

static int go_on(struct cof_archive *a, struct cof_diag *diag)
{
	int r = a->log ? cof_lineage_begin(a, diag) : 0;

	if (r == 0 && a->log)
		r = cof_mount_put(a, diag);
	if (r == 0 && a->log)
		r = cof_recovery_put(a, diag);
	if (r == 0 && a->log)
		r = cof_recovered_record(a, diag);
	if (r == 0 && a->log)
		r = cof_self_compare(a);
	if (r == 0 && a->log)
		r = cof_opener_events_record(a, diag);
	if (r == 0)
		r = fill_index(a, diag);
	if (r == 0)
		r = cof_proofs_load(a);
	if (r == 0)
		r = cof_cosigners_load(a);
	if (r == 0)
		r = cof_certs_load(a);
	if (r == 0)
		r = cof_profile_load(a);
	if (r == 0)
		r = cof_people_load(a);
	if (r == 0)
		r = cof_events_resume(a);
	if (r == 0 && recording(a))
		r = cof_policies_record(a);
	if (r == 0 && recording(a) && a->p.self_len)
		r = key_loaded(a);
	if (r == 0 && recording(a))
		r = cof_ended_record(a, diag);
	if (r == 0 && recording(a))
		r = cof_people_resume(a);
	a->holds.before = atomic_load(&a->size);
	if (r == 0 && a->log && !a->p.no_threads)
		r = cof_log_start(a->log);
	if (r == 0 && a->log && !a->p.no_threads)
		r = cof_anchor_start(a->anchor);
	if (r == 0 && a->log && !a->p.no_threads)
		r = cof_leaves_new((unsigned)COF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L), &a->leaves);
	if (r == 0)
		r = cof_keeper_start(a);
	return r;
}

/* passive: why nothing may be written; NULL for a mount as usual. */
static int try_open(const struct cof_archive_params *p, const char *passive,
		    struct cof_archive **ret, struct cof_diag *diag)
{
	struct cof_archive *a = cof_archive_new(p);
	struct cof_diag why = {""};
	int r;

	if (!a)
		return cof_fail(diag, -ENOMEM, "out of memory");
	a->passive = passive;
	r = passive ? 0 : cof_time_namespace(diag);
	if (r == 0)
		r = take_lock(a, diag);
	if (r < 0) {
		cof_archive_free(a);
		return r;
	}
	a->locked = true;
	if (a->passive) {
		cof_fail(&why, 0, "%s",
			 passive ? passive : "The store lies on a read-only filesystem.");
		read_only(a, &why);
		why.text[0] = 0;
	}
	r = open_parts(a, &why);
	if (r == 0)
		r = go_on(a, &why);
	if (r < 0) {
		cof_anchor_abandon(a->anchor);
		if (a->log && a->mount)
			(void)cof_log_close(a->log, NULL); /* a mount that ends as it should; why it
							      failed matters more */
		else
			cof_log_abandon(a->log);
		cof_archive_free(a);
		if (why.text[0])
			return cof_fail(diag, r, "%s", why.text);
		return cof_fail(diag, r, "the archive cannot be opened: %s", strerror(-r));
	}
	*ret = a;
	return 0;
}

int cof_archive_open(const struct cof_archive_params *p, struct cof_archive **ret,
		     struct cof_opened *ret_opened, struct cof_diag *diag)
{
	struct cof_diag why = {""}, full = {""};
	int r = try_open(p, p->passive, ret, &why);

	if (no_space(r)) { /* what is there can be read all the same */
		cof_fail(&full, 0,
			 "The disk is full (%.300s): make room on it, and mount the archive again.",
			 why.text);
		r = try_open(p, full.text, ret, &why);
	}
	if (r < 0)
		return cof_fail(diag, r, "%s", why.text);
	tell(*ret);
	note_recovery(*ret);
	if (ret_opened)
		*ret_opened = (*ret)->opened;
	return 0;
}
