/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cosignatures of vaults: each is judged (the vault is one of STORE/vaults, both signatures hold, the root is this log's,
 * the vault did not say something newer before), chained as a COSIGN frame, and bounds the two clocks. What it covers is
 * archived where the vault stands in another place (R10). Retention time catches up to what vaults of two
 * administrations say that agree within the policy's deviation, never beyond the wall clock: vaults that the people in
 * force name, since who rules the host can add others, and set their clocks as its own.
 */
#include "fs/archive/internal.h"

#include "fs/archive/people.h"
#include "fs/archive/vaults.h"

#include <stdio.h>

#define QUORUM 2	       /* administrations */
#define AGAIN (3600 * COF_NSEC) /* a cosignature of what was covered before is chained this often */
#define WORTH COF_NSEC	       /* less is not worth a frame */

struct cosigning {
	struct cof_vault_known vault;
	struct cof_cosign c;
	const void *note;
	size_t note_len;
	int64_t began;
};

/* ---- judging ---- */

static int open_note(struct cof_archive *a, struct cosigning *w, struct cof_diag *diag)
{
	struct cof_vkey keys[2] = {a->conf.vkey, w->vault.vkey};
	struct cof_checkpoint head;
	struct cof_note n;
	int r = w->note_len <= COF_NOTE_MAX ? cof_note_open(w->note, w->note_len, keys, 2, &n) : -EUCLEAN;

	if (r < 0 || n.verified != 3 || cof_checkpoint_parse(n.text, n.text_len, &head) < 0 ||
	    n.time[1] > (uint64_t)INT64_MAX / COF_NSEC)
		return cof_fail(diag, -EKEYREJECTED, "this is no cosignature of vault %s over a checkpoint of this archive: a signature does not "
						     "hold, or is missing",
				w->vault.name);
	w->c = (struct cof_cosign){.vkey = w->vault.vkey, .size = head.size, .time = (int64_t)n.time[1] * COF_NSEC};
	memcpy(w->c.root, head.root, COF_HASH);
	memcpy(w->c.place, w->vault.place, sizeof(w->c.place));
	memcpy(w->c.jurisdiction, w->vault.jurisdiction, sizeof(w->c.jurisdiction));
	memcpy(w->c.administration, w->vault.administration, sizeof(w->c.administration));
	return 0;
}

static int check_root(struct cof_archive *a, const struct cof_cosign *c, struct cof_diag *diag)
{
	uint8_t root[COF_HASH];
	int r = c->size > cof_archive_frames(a) ? -EXDEV : cof_tree_head(a->io, c->size, root);

	if (r == -ENOENT) {
		r = cof_archive_checkpoint(a);
		if (r == 0)
			r = cof_tree_head(a->io, c->size, root);
	}
	if (r == -EXDEV || (r == 0 && !cof_equal(root, c->root, COF_HASH)))
		return cof_fail(diag, -EXDEV, "the vault signed a tree of %llu frames that is not this log's: another history was sent to it "
					      "(coffer sync tells of a fork)",
				(unsigned long long)c->size);
	return r < 0 ? cof_fail(diag, r, "the root of %llu frames cannot be looked up: %s", (unsigned long long)c->size, strerror(-r))
		     : 0;
}

static struct cof_cosigner *before_of(struct cof_archive *a, const struct cof_cosign *c)
{
	for (unsigned i = 0; i < a->cosigners.n; i++)
		if (cof_equal(a->cosigners.of[i].key, c->vkey.public_key, 32))
			return &a->cosigners.of[i];
	return NULL;
}

/* Whether anything is new in it. -ESTALE */
static int check_order(struct cof_archive *a, const struct cof_cosign *c, struct cof_diag *diag)
{
	const struct cof_cosigner *b = before_of(a, c);
	char mine[32], there[32];

	if (!b)
		return 1;
	if (c->time < b->time || c->size < b->size) {
		cof_time_text(c->time, mine);
		cof_time_text(b->time, there);
		return cof_fail(diag, -ESTALE, "it is older than what this vault said before: %llu frames at %s, and %llu at %s are chained "
					       "(frame %llu)",
				(unsigned long long)c->size, mine, (unsigned long long)b->size, there, (unsigned long long)b->sequence);
	}
	if (c->time - b->time >= AGAIN)
		return 1;
	/* Frames that only tell of checkpoints and cosignatures would go to and fro for ever. */
	return c->size > b->size && cof_log_significant(a->log) > b->size;
}

/* ---- the frame ---- */

/* By the daemon itself, whoever brought it: what counts is who signed. */
static int put(struct cof_archive *a, struct cof_draft *d, const struct cof_buf *fields, struct cof_append *ret)
{
	static const struct cof_applied nothing;
	int r = fields->failed ? -ENOMEM : 0;

	d->system = true;
	d->public_part = fields->data;
	d->public_len = (uint32_t)fields->len;
	cof_gate_enter(a);
	if (r == 0)
		r = cof_archive_put(a, d, &nothing, ret);
	cof_gate_leave(a);
	return r;
}

static void keep(struct cof_archive *a, const struct cof_cosign *c, uint64_t sequence, int64_t retention)
{
	struct cof_cosigner *b = before_of(a, c);

	if (!b && a->cosigners.n < COF_VAULTS_KNOWN)
		b = &a->cosigners.of[a->cosigners.n++];
	if (!b) /* more than that: the first makes room */
		b = &a->cosigners.of[0];
	memcpy(b->key, c->vkey.public_key, sizeof(b->key));
	memcpy(b->administration, c->administration, sizeof(b->administration));
	b->time = c->time;
	b->size = c->size;
	b->retention = retention;
	b->sequence = sequence;
}

/* ---- retention time ---- */

/* What a vault's clock says at least by now: retention time is never faster than time. */
static int64_t says(const struct cof_cosigner *b, int64_t retention)
{
	int64_t passed, sum;

	if (__builtin_sub_overflow(retention, b->retention, &passed) || __builtin_add_overflow(b->time, COF_MAX(passed, 0), &sum))
		return b->time;
	return sum;
}

/* The latest time that two administrations agree on: the lesser of the two. Which cosignatures those were. People lock held. */
static bool agreed(struct cof_archive *a, int64_t retention, int64_t deviation, int64_t *ret, uint64_t ret_by[QUORUM])
{
	const struct cof_cosigners *all = &a->cosigners;
	bool found = false;

	for (unsigned i = 0; i < all->n; i++)
		for (unsigned k = i + 1; k < all->n; k++) {
			int64_t x = says(&all->of[i], retention), y = says(&all->of[k], retention), least = COF_MIN(x, y);
			const char *one = cof_people_vault_of(a, all->of[i].key), *two = cof_people_vault_of(a, all->of[k].key);

			if (!one || !two || !strcmp(one, two) || COF_MAX(x, y) - least > deviation || (found && least <= *ret))
				continue;
			found = true;
			*ret = least;
			ret_by[0] = COF_MIN(all->of[i].sequence, all->of[k].sequence);
			ret_by[1] = COF_MAX(all->of[i].sequence, all->of[k].sequence);
		}
	return found;
}

static int catch_up(struct cof_archive *a, int64_t deviation, int64_t *ret)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_CLOCK};
	uint8_t by[QUORUM * 8];
	uint64_t sequence[QUORUM];
	struct cof_append done;
	int64_t wall, before, to = INT64_MIN;
	int r;

	*ret = 0;
	cof_clock_now(&a->clock, &wall, &before);
	if (!agreed(a, before, deviation, &to, sequence))
		return 0;
	to = COF_MIN(to, wall);
	if (to < before || to - before < WORTH)
		return 0;
	for (unsigned i = 0; i < QUORUM; i++)
		cof_put_le64(by + (size_t)8 * i, sequence[i]);
	cof_field_put(&fields, COF_T_COSIGNED, by, sizeof(by));
	cof_field_put_i64(&fields, COF_T_RETENTION_BEFORE, before);
	cof_field_put_i64(&fields, COF_T_RETENTION_AFTER, to);
	r = put(a, &d, &fields, &done);
	if (r < 0)
		return r;
	cof_clock_catch_up(&a->clock, to);
	*ret = to - before;
	return 0;
}

/* ---- one cosignature ---- */

static int chain(struct cof_archive *a, struct cosigning *w, struct cof_cosigned *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_COSIGN, .position = w->c.size};
	struct cof_append done;
	struct cof_profile policy;
	int64_t now = cof_now(CLOCK_BOOTTIME);
	int r = cof_archive_policy(a, &policy);

	if (r < 0)
		return cof_fail(diag, r, "the archive's policy cannot be read: %s", strerror(-r));
	w->c.elsewhere = cof_vault_elsewhere(a->io, &w->vault, policy.distance, &w->c.distance);
	(void)cof_cosign_fields(&w->c, w->note, w->note_len, &fields);
	r = put(a, &d, &fields, &done);
	if (r < 0)
		return cof_fail(diag, r, "the cosignature cannot be recorded: %s", strerror(-r));
	keep(a, &w->c, done.ret_sequence, done.ret_retention_time);
	ret->sequence = done.ret_sequence;
	ret->elsewhere = w->c.elsewhere;
	if (w->began > now)
		w->began = INT64_MIN;
	cof_clock_proven(&a->clock, w->c.time - COF_COSIGN_ACCURACY, w->c.time + COF_COSIGN_ACCURACY, w->began, now);
	r = catch_up(a, policy.deviation, &ret->caught_up);
	if (r == 0)
		r = cof_log_sync(a->log, done.ret_sequence);
	return r < 0 ? cof_fail(diag, r, "what the vaults agree on cannot be recorded: %s", strerror(-r)) : 0;
}

static int take(struct cof_archive *a, struct cosigning *w, struct cof_cosigned *ret, struct cof_diag *diag)
{
	int r = open_note(a, w, diag);

	if (r == 0)
		r = check_root(a, &w->c, diag);
	if (r == 0)
		r = check_order(a, &w->c, diag);
	if (r < 0)
		return r;
	ret->covers = w->c.size;
	ret->time = w->c.time;
	return r ? chain(a, w, ret, diag) : 0;
}

int cof_archive_cosign(struct cof_archive *a, const char *vault, const void *note, size_t n,
		       int64_t began, struct cof_cosigned *ret, struct cof_diag *diag)
{
	struct cosigning w = {.note = note, .note_len = n, .began = began};
	struct cof_cosigned done = {.sequence = 0};
	int r;

	if (!a->log || atomic_load(&a->failed) || !a->mount)
		return cof_fail(diag, -EROFS, "nothing can be recorded in this archive as it is: find out what is wrong (coffer status, "
					      "coffer verify), then mount it again");
	if (cof_vault_load(a->io, vault, &w.vault) < 0)
		return cof_fail(diag, -ENOENT, "this archive has no vault '%.60s' (coffer vault list): what it signed counts for nothing", vault);
	cof_people_lock(a); /* the outermost */
	pthread_mutex_lock(&a->stamp_lock);
	r = take(a, &w, &done, diag);
	pthread_mutex_unlock(&a->stamp_lock);
	cof_people_unlock(a);
	if (r == 0)
		*ret = done;
	return r;
}

void cof_cosigned_json(const struct cof_cosigned *c, struct cof_json *into)
{
	cof_json_set_bool(into, "chained", c->sequence != 0);
	if (c->sequence)
		cof_json_set_uint(into, "sequence", c->sequence);
	cof_json_set_uint(into, "covers", c->covers);
	cof_json_set_time(into, "time", c->time);
	cof_json_set_bool(into, "elsewhere", c->elsewhere);
	cof_json_set_int(into, "caught_up_ms", c->caught_up / 1000000);
}

/* ---- what is there when the archive is opened ---- */

static int load_one(void *user, const struct cof_proof *p)
{
	struct cof_archive *a = user;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_cosign c;
	struct cof_frame f;
	int r = p->vault ? cof_reader_header(a->reader, p->address, &f, NULL, NULL) : -ENOENT;

	if (r == 0)
		r = cof_frame_read(a->reader, NULL, a->conf.id, p->address, &f, &fields, NULL);
	if (r == 0)
		r = cof_cosign_read(fields.data, fields.len, f.position, &a->conf.vkey, &c, NULL);
	if (r == 0 && !before_of(a, &c) && a->cosigners.n < COF_VAULTS_KNOWN)
		keep(a, &c, f.sequence, f.retention_time);
	return r == -ENOMEM ? r : 0; /* what is damaged there is found by verify */
}

int cof_cosigners_load(struct cof_archive *a)
{
	return cof_proofs_newest(a, load_one, a);
}

bool cof_cosigner_is(struct cof_archive *a, const uint8_t key[32])
{
	bool is = false;

	pthread_mutex_lock(&a->stamp_lock);
	for (unsigned i = 0; i < a->cosigners.n && !is; i++)
		is = cof_equal(a->cosigners.of[i].key, key, 32);
	pthread_mutex_unlock(&a->stamp_lock);
	return is;
}

static void chain_pending(struct cof_archive *a, const char *vault)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_cosigned done;
	struct cof_diag why = {""};
	char path[96];
	size_t n = 0;

	snprintf(path, sizeof(path), "vaults/%.60s.note", vault);
	if (cof_io_load(a->io, path, COF_NOTE_MAX, &note, &n) < 0)
		return;
	if (cof_archive_cosign(a, vault, note, n, INT64_MIN, &done, &why) < 0)
		cof_alarm(a, "What vault %s sent while this archive was not mounted cannot be put on record: %.400s", vault, why.text);
}

static int pending_one(void *user, const char *file)
{
	struct cof_archive *a = user;
	size_t n = strlen(file);
	char vault[64];

	if (n < 6 || n >= sizeof(vault) || strcmp(file + n - 5, ".note") != 0)
		return 0;
	snprintf(vault, sizeof(vault), "%.*s", (int)(n - 5), file);
	chain_pending(a, vault);
	return 0;
}

void cof_cosign_pending(struct cof_archive *a)
{
	if (a->cosigners.pending_done || !a->log || atomic_load(&a->failed) || !a->mount)
		return;
	a->cosigners.pending_done = true;
	(void)cof_io_list(a->io, "vaults", pending_one, a); /* none: there is no vault */
	cof_vault_records_pending(a);
}

/* ---- what is not archived yet ---- */

static uint64_t waiting(struct cof_archive *a, struct cof_proof *ret)
{
	uint64_t end = a->log ? cof_log_significant(a->log) : 0;

	pthread_mutex_lock(&a->proofs.lock);
	*ret = a->proofs.elsewhere;
	pthread_mutex_unlock(&a->proofs.lock);
	return end > ret->covers ? end - ret->covers : 0;
}

void cof_cosign_tick(struct cof_archive *a)
{
	int64_t within, since;
	struct cof_proof p;
	char text[32];
	bool late;

	pthread_mutex_lock(&a->profile_lock);
	within = a->profile.archived_within;
	pthread_mutex_unlock(&a->profile_lock);
	since = waiting(a, &p) ? p.sequence ? p.time : a->conf.created : INT64_MAX;
	late = within && since != INT64_MAX && cof_now(CLOCK_REALTIME) - since > within;
	if (late && !a->cosigners.waiting_told) {
		cof_duration_text(within, text);
		cof_fault(a, "Frames wait for longer than %s to be archived, which is as long as the policy allows (archived_within): no "
			     "vault in another place has confirmed them. Run coffer sync, and find out what keeps the vaults away.",
			  text);
	}
	a->cosigners.waiting_told = late;
}

void cof_cosign_status(struct cof_archive *a, struct cof_json *into)
{
	struct cof_json *o = cof_json_object();
	struct cof_proof p;

	cof_json_set_uint(o, "waiting", waiting(a, &p));
	cof_json_set_uint(o, "frames", p.covers);
	if (p.sequence) {
		cof_json_set_time(o, "confirmed", p.time);
		cof_json_set_str(o, "vault", p.authority);
	}
	cof_json_set(into, "archived", o);
}
