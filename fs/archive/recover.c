/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer recover: keys/ and seal/ made anew from the recovery envelope (docs/format.md 7.8). The log is
 * read and not touched, but for what people destroyed (recover-erase.c).
 *
 * Nothing that is there is changed before all of the new is durable beside it, under names that end in
 * ".recovered". keys/recovered brings it into force: until that file is there an interrupted recovery
 * has not happened; from then on whoever opens the archive to write finishes it. The new top comes last,
 * so its staged file tells that something is left to do. keys/recovered itself stays until the next mount
 * has put the recovery on record; it names its top, so that what another recovery stages meanwhile is not in force.
 */
#include <stdio.h>

#include "crypto/age.h"
#include "fs/archive/auditor.h"
#include "fs/archive/destroy.h"
#include "fs/archive/door.h"
#include "fs/archive/envelope.h"
#include "fs/archive/internal.h"
#include "fs/archive/keys-nv.h"
#include "fs/archive/keys-seal.h"
#include "fs/archive/note.h"

#define KEYS_DIR "keys"

/* ---- bringing it into force ---- */

static int drop(struct cof_io *io, const char *dir, const char *name)
{
	char path[320];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	err = cof_io_unlink(io, path);
	return err == -ENOENT ? 0 : err;
}

static bool ends(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && !strcmp(name + n - k, end);
}

struct listed {
	struct cof_buf text; /* NUL-separated */
};

static int list_one(void *user, const char *name)
{
	struct listed *l = user;

	cof_buf_add(&l->text, name, strlen(name) + 1);
	return l->text.failed ? -ENOMEM : 0;
}

/* Every name of dir for which old says that a recovery ends it. */
static int drop_all(struct cof_io *io, const char *dir, bool (*old)(const char *name))
{
	struct listed l = {0};
	int err = cof_io_list(io, dir, list_one, &l);

	for (size_t at = 0; !err && at < l.text.len; at += strlen((char *)l.text.data + at) + 1)
		if (old((char *)l.text.data + at))
			err = drop(io, dir, (char *)l.text.data + at);
	cof_buf_done(&l.text);
	return err;
}

/* Pages, and what an unfinished renewal left: of the lost root key, all of it. */
static bool old_key(const char *name)
{
	if (ends(name, COF_KEYS_STAGED))
		return false;
	return !strcmp(name, "top.next") || !strncmp(name, "h-", 2) || !strncmp(name, "r-", 2);
}

static bool old_opener(const char *name)
{
	struct cof_seal_file f;

	return cof_seal_name(name, &f);
}

static bool staged(const char *name)
{
	return ends(name, COF_KEYS_STAGED);
}

/* -ENOENT is success: it was done before. */
static int into_force(struct cof_io *io, const char *path)
{
	char from[96];
	int err;

	snprintf(from, sizeof(from), "%s" COF_KEYS_STAGED, path);
	err = cof_io_rename(io, from, path);
	return err == -ENOENT ? 0 : err;
}

/* The staged opener, without its ending. -ENOENT: it is in its place already. */
static int find_staged(struct cof_io *io, char out[64])
{
	struct listed l = {0};
	struct cof_seal_file f;
	int err = cof_io_list(io, COF_SEAL_DIR, list_one, &l);

	if (!err)
		err = -ENOENT;
	for (size_t at = 0; err == -ENOENT && at < l.text.len; at += strlen((char *)l.text.data + at) + 1) {
		char name[64];

		if (!staged((char *)l.text.data + at))
			continue;
		snprintf(name, sizeof(name), "%.*s",
			 (int)(strlen((char *)l.text.data + at) - strlen(COF_KEYS_STAGED)),
			 (char *)l.text.data + at);
		if (!cof_seal_name(name, &f) || f.next)
			continue;
		cof_seal_path(&f, out);
		err = 0;
	}
	cof_buf_done(&l.text);
	return err;
}

/* Which top is staged: its nonce, drawn with it, in hexadecimal. 1 · 0: none */
static int staged_top(struct cof_io *io, char out[2 * COF_NONCE + 1])
{
	cof_autofile struct cof_file *f = NULL;
	uint8_t nonce[COF_NONCE];
	size_t n = 0;
	int err = cof_io_open(io, COF_KEYS_TOP COF_KEYS_STAGED, COF_IO_RDONLY, &f);

	if (!err)
		err = cof_io_read(f, nonce, sizeof(nonce), 48, &n);
	if (err || n < sizeof(nonce))
		return err == -ENOENT ? 0 : err ? err : -EUCLEAN;
	cof_hex(nonce, sizeof(nonce), out);
	return 1;
}

/* 1: a recovery is to be finished · 0, also while the mark is that of one before · -errno */
static int unfinished(struct cof_io *io)
{
	cof_autofree uint8_t *mark = NULL;
	char top[2 * COF_NONCE + 1];
	size_t n = 0;
	int err = cof_io_load(io, COF_KEYS_RECOVERED, 256, &mark, &n);

	if (err)
		return err == -ENOENT || err == -EFBIG ? 0 : err;
	err = staged_top(io, top);
	return err <= 0 ? err : memmem(mark, n, top, sizeof(top) - 1) != NULL;
}

static int go_forward(struct cof_io *io)
{
	char opener[64];
	int err = find_staged(io, opener);

	/* The old openers only while the new one is not in its place: it may have the same name. */
	if (!err)
		err = drop_all(io, COF_SEAL_DIR, old_opener);
	if (!err)
		err = cof_io_sync_dir(io, COF_SEAL_DIR); /* or a crash could bring them back */
	if (!err)
		err = into_force(io, opener);
	if (err == -ENOENT)
		err = 0;
	if (!err)
		err = cof_io_sync_dir(io, COF_SEAL_DIR);
	if (!err)
		err = drop_all(io, KEYS_DIR, old_key);
	if (!err)
		err = into_force(io, COF_KEYS_EPOCH);
	if (!err)
		err = cof_io_sync_dir(io, KEYS_DIR);
	if (!err)
		err = into_force(io, COF_KEYS_TOP);
	if (!err)
		err = cof_io_sync_dir(io, KEYS_DIR);
	/* Last, by a name that is read too: what is dropped above would be these, after a crash. */
	return err ? err : cof_keys_pages_forward(io, COF_KEYS_STAGED);
}

/* Pages are staged behind the top, and go before it: without it they are in force. */
static int finish_pages(struct cof_io *io)
{
	int r = cof_io_exists(io, COF_KEYS_TOP COF_KEYS_STAGED);

	return r ? COF_MIN(r, 0) : cof_keys_pages_forward(io, COF_KEYS_STAGED);
}

int cof_keys_recovered_check(struct cof_io *io, struct cof_diag *diag)
{
	int r = unfinished(io);

	return r > 0 ? cof_fail(diag, -EAGAIN,
				"a recovery of %s was not finished: mount it to be written to, which finishes it (mount "
				"-t coffer %s DIR, without -o ro), or run coffer recover %s again",
				cof_io_where(io), cof_io_where(io), cof_io_where(io))
		     : r;
}

int cof_keys_recovered_finish(struct cof_io *io, struct cof_diag *diag)
{
	int r = unfinished(io);

	r = r > 0 ? go_forward(io) : r == 0 ? finish_pages(io) : r;
	return r < 0 ? cof_fail(diag, r, "the recovery of %s could not be finished: %s", cof_io_where(io),
				strerror(-r))
		     : 0;
}

/* ---- making the new ---- */

struct recovering {
	struct cof_io *io;
	const struct cof_recover_params *p;
	struct cof_conf conf;
	struct cof_keys *keys;
	struct cof_keys_checked log;
	struct cof_diag *diag;
};

static int make_dirs(struct recovering *r)
{
	static const char *const dirs[] = {KEYS_DIR, COF_SEAL_DIR};
	int err = 0;

	for (size_t i = 0; i < COF_COUNT(dirs) && !err; i++) {
		err = cof_io_mkdir(r->io, dirs[i]);
		if (err == -EEXIST)
			err = 0;
	}
	return err ? err : cof_io_sync_dir(r->io, "");
}

/* What a recovery before this one staged: a TPM's counter first, which only that file names. */
static int clear_staged(struct recovering *r)
{
	struct cof_seal_file f = {.kind = COF_OPENER_TPM2, .n = 1, .staged = true};
	cof_autofree struct cof_tpm_sealed *s = calloc(1, sizeof(*s));
	cof_autotpm struct cof_tpm *t = NULL;
	uint64_t generation;
	int err;

	if (s && cof_seal_tpm2_load(r->io, r->conf.id, &f, s, &generation) == 0 &&
	    cof_tpm_open(r->p->secret->tpm, &t, NULL) == 0)
		(void)cof_tpm_undefine(t, s->index, NULL);
	err = drop_all(r->io, COF_SEAL_DIR, staged);
	return err ? err : drop_all(r->io, KEYS_DIR, staged);
}

static int open_envelope(struct recovering *r)
{
	cof_autofree uint8_t *file = NULL;
	const char *where = r->p->envelope_name;
	char path[512];
	size_t len = r->p->envelope_len;
	int err;

	if (where)
		return cof_envelope_open(&r->conf, where, r->p->envelope, len, r->p->identities,
					 r->p->n_identities, &r->keys, r->diag);
	snprintf(path, sizeof(path), "%s/" COF_ENVELOPE_FILE, cof_io_where(r->io));
	err = cof_io_load(r->io, COF_ENVELOPE_FILE, COF_AGE_FILE_MAX, &file, &len);
	if (err == -ENOENT)
		return cof_fail(r->diag, err,
				"%s is not there: this archive has no recovery envelope, or it lies elsewhere "
				"(--envelope FILE)",
				path);
	if (err == -EFBIG)
		return cof_fail(r->diag, err, "%s is larger than an envelope can be: it is another file", path);
	if (err)
		return cof_fail(r->diag, err, "%s cannot be read: %s", path, strerror(-err));
	return cof_envelope_open(&r->conf, path, file, len, r->p->identities, r->p->n_identities, &r->keys,
				 r->diag);
}

/* What a vault released, opened, becomes R from where the envelope has none. */
static int take_vault_keys(struct recovering *r)
{
	const struct cof_recover_params *p = r->p;
	cof_autosecret void *plain = NULL;
	void *opened = NULL;
	size_t n = 0;
	int err = cof_age_decrypt(p->identities, p->n_identities, p->vault_keys, p->vault_keys_len, &opened, &n);

	if (err == -EKEYREJECTED && p->n_vault_identities)
		err = cof_age_decrypt(p->vault_identities, p->n_vault_identities, p->vault_keys, p->vault_keys_len, &opened, &n);
	if (err == -EKEYREJECTED)
		return cof_fail(r->diag, err, "what the vault released is not sealed to an identity that is here: --vault-identity FILE");
	if (err)
		return cof_fail(r->diag, err, "what the vault released cannot be opened: %s", err == -EUCLEAN || err == -EBADMSG ? "it is damaged"
											   : strerror(-err));
	plain = opened;
	err = cof_keys_vault_take(r->keys, plain, n);
	if (err == -EXDEV)
		return cof_fail(r->diag, err, "what the vault released is the tree R of another archive");
	if (err == -ERANGE)
		return cof_fail(r->diag, err, "the envelope and what the vault released do not belong together: they begin elsewhere");
	return err ? cof_fail(r->diag, err, "what the vault released is no tree R: %s", strerror(-err)) : 0;
}

/* R of what was written since vaults have it. */
static int open_vault_part(struct recovering *r)
{
	if (r->p->vault_keys)
		return take_vault_keys(r);
	if (!r->keys->enrolled || r->p->without_vaults)
		return 0;
	return cof_fail(r->diag, -ENOKEY,
			"what was written since the first vault was enrolled needs the tree R, which the vaults have: coffer-vault release at one of "
			"them, then --vault-keys FILE. If no vault is left, --without-vaults gives back what is older, and the rest is lost");
}

/* Nobody has R of these files any more; new ones get keys again. */
static int go_without(struct recovering *r)
{
	uint64_t next = (r->log.last_inode + COF_KEYTREE_CUT) / COF_KEYTREE_CUT * COF_KEYTREE_CUT;
	int err;

	if (!r->keys->enrolled || r->p->vault_keys)
		return 0;
	err = cof_keytree_cut(r->keys->tree[1], r->keys->enrolled);
	if (!err)
		err = cof_keytree_fresh(r->keys->tree[1], COF_MAX(next, r->keys->enrolled));
	if (!err)
		r->keys->enrolled = COF_MAX(next, r->keys->enrolled);
	return err ? cof_fail(r->diag, err, "the tree R cannot be made: %s", strerror(-err)) : 0;
}

/* Everything that the envelope does not hold is drawn anew: the seal is another lineage from here on. */
static void draw_rest(struct recovering *r)
{
	struct cof_keys *k = r->keys;
	uint64_t generation = 0;

	if (cof_keys_top_generation(r->io, false, &generation) < 0 || generation > UINT32_MAX)
		generation = 0;
	k->generation = generation + 1;
	cof_keys_draw_epoch(k, r->log.epoch + 1, r->log.lineage + 1);
	k->staged = true;
	cof_random(k->root, sizeof(k->root));
	cof_random(k->index, sizeof(k->index));
	cof_random(k->state, sizeof(k->state));
}

static int mark(struct recovering *r)
{
	char text[128], top[2 * COF_NONCE + 1] = "";
	int err = cof_err(staged_top(r->io, top));
	int n = snprintf(text, sizeof(text), "lineage %u from epoch %llu on, top %s, not on record yet\n",
			 r->keys->next.lineage, (unsigned long long)r->keys->next.epoch, top);

	if (!err)
		err = cof_io_replace(r->io, COF_KEYS_RECOVERED, text, (size_t)n);

	return err ? cof_fail(r->diag, err, "%s/" COF_KEYS_RECOVERED " cannot be written: %s",
			      cof_io_where(r->io), strerror(-err))
		   : 0;
}

/* Before the keys are in force: from then on a mount may come first. */
static int due(struct recovering *r)
{
	int err = cof_ended_due(r->io);

	return err ? cof_fail(r->diag, err, "%s/" COF_KEYS_ENDED " cannot be written: %s", cof_io_where(r->io), strerror(-err)) : 0;
}

static int make_new(struct recovering *r)
{
	const struct cof_recover_params *p = r->p;
	struct cof_keys *k = r->keys;
	int err = make_dirs(r);

	if (!err)
		err = clear_staged(r);
	if (err)
		return cof_fail(r->diag, err, "%s cannot be written to: %s", cof_io_where(r->io), strerror(-err));
	draw_rest(r);
	err = cof_auditors_set(k, p->auditors, p->n_auditors);
	if (!err)
		err = cof_auditor_write(k, r->io, k->next.epoch, k->next.secret, r->diag);
	if (!err)
		err = cof_keys_add_opener(k, r->io, p->secret, p->cost, p->pcrs, NULL, r->diag);
	if (!err && !k->nv.here)
		err = cof_keys_write_epoch(k, r->io, &k->next, r->diag);
	for (int t = 0; t < 2; t++)
		for (size_t i = 0; !err && i < k->n_pages[t]; i++)
			err = cof_keys_write_page(k, r->io, t, &k->pages[t][i], false, r->diag);
	if (!err && (r->log.n_destroyed || r->log.damaged))
		err = due(r);
	if (!err)
		err = mark(r);
	return err ? err : cof_keys_recovered_finish(r->io, r->diag);
}

/* The new opener opens the new keys, and they are the ones. */
static int prove(struct recovering *r)
{
	COF_CLEANUP(cof_keys_freep) struct cof_keys *k = NULL;
	int err = cof_keys_open(r->io, r->conf.id, r->p->secret, &k, r->diag);

	return err ? err : cof_keys_check(k, r->io, &r->conf, true, NULL, r->diag);
}

static int by_number(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

/* The envelope is of a time before, and leads to what was destroyed since: not what comes out of it. But what nobody permitted to be
 * destroyed does come: an altered daemon's frame takes nothing out of the copies far away. */
static int destroy_again(struct recovering *r)
{
	struct cof_ended_params p = {.io = r->io, .keys = r->keys, .verify = r->p->verify, .verify_user = r->p->verify_user};
	cof_autofree uint64_t *inodes = NULL;
	size_t n = 0;
	int err = r->log.n_destroyed ? cof_ended_counted(&p, &inodes, &n, r->diag) : 0;

	if (err)
		return err;
	if (n)
		qsort(inodes, n, sizeof(*inodes), by_number);
	err = cof_keys_puncture(r->keys, inodes, n);
	if (!err)
		err = cof_keys_list_pages(r->keys);
	return err ? cof_fail(r->diag, err, "what was destroyed cannot be taken out of the keys again: %s", strerror(-err)) : 0;
}

/* Nor do its bytes stay: the log may be a copy's that was behind. */
static int overwrite_again(struct recovering *r, struct cof_ended_again *ret)
{
	struct cof_diag why = {""};
	struct cof_ended_params p = {.io = r->io, .keys = r->keys, .verify = r->p->verify, .verify_user = r->p->verify_user};
	int err = cof_ended_carry_out(&p, ret, &why);

	return err ? cof_fail(r->diag, err, "the keys of %s are recovered, and %.300s. The next mount goes on with that, or coffer recover "
			      "once more", cof_io_where(r->io), why.text)
		   : 0;
}

static int recover(struct recovering *r, struct cof_recovered_keys *ret)
{
	struct cof_ended_again ended = {.files = 0};
	uint64_t lost;
	int err = cof_keys_recovered_finish(r->io, r->diag); /* of one before */

	if (!err)
		err = open_envelope(r);
	if (!err)
		err = open_vault_part(r);
	lost = !err && r->keys->enrolled && !r->p->vault_keys ? r->keys->enrolled : 0;
	if (!err)
		err = cof_keys_check(r->keys, r->io, &r->conf, false, &r->log, r->diag);
	if (!err && (r->log.epoch == UINT64_MAX || r->log.lineage == UINT32_MAX))
		err = cof_fail(r->diag, -EUCLEAN, "the log's last MOUNT frame is at an epoch that cannot be");
	if (!err)
		err = go_without(r);
	if (!err)
		err = destroy_again(r);
	if (!err)
		err = make_new(r);
	if (!err)
		err = cof_err(cof_door_lift(r->io, r->conf.id, COF_HOW_RECOVERED, 0, r->diag));
	if (!err)
		err = prove(r);
	if (!err)
		err = overwrite_again(r, &ended);
	if (!err)
		*ret = (struct cof_recovered_keys){.mounts = r->log.mounts,
						   .files = r->log.files,
						   .unlike = r->log.unlike,
						   .lineage = r->keys->next.lineage,
						   .lost_from = lost,
						   .ended = ended};
	return err;
}

int cof_store_recover(struct cof_io *io, const struct cof_recover_params *p,
		      struct cof_recovered_keys *ret, struct cof_diag *diag)
{
	struct recovering r = {.io = io, .p = p, .diag = diag};
	char holder[64];
	int err = cof_conf_load(io, &r.conf, diag);

	if (err)
		return err;
	snprintf(holder, sizeof(holder), "coffer recover, pid %ld", (long)getpid());
	err = cof_io_lock(io, holder, diag);
	if (err)
		return err;
	err = recover(&r, ret);
	cof_keys_free(r.keys);
	free(r.log.destroyed);
	cof_io_unlock(io);
	return err;
}

/* ---- on record ---- */

/* One frame, durable. */
static int record(struct cof_archive *a, const char *reason)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_RECOVERY, .system = true};
	int r;

	cof_field_put_u64(&fields, COF_T_BYTES, 0);
	cof_field_put_u64(&fields, COF_T_COUNT, 0);
	cof_field_put_str(&fields, COF_T_REASON, reason);
	cof_field_put_u32(&fields, COF_T_LINEAGE, cof_keys_lineage(a->keys));
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	r = fields.failed ? -ENOMEM : cof_archive_put(a, &d, NULL, NULL);
	return r < 0 ? r : cof_log_sync(a->log, atomic_load(&a->size) - 1);
}

/* Where the log came from too, if it was fetched (coffer restore): a line of that store. */
static int tell_restored(struct cof_archive *a)
{
	cof_autofree uint8_t *text = NULL;
	cof_autobuf struct cof_buf detail = {0};
	size_t n = 0;
	int r = cof_io_load(a->io, COF_RESTORED, COF_RESTORED_MAX, &text, &n);

	if (r < 0 && r != -ENOENT)
		return r;
	cof_buf_printf(&detail, "keys from the recovery envelope");
	if (r == 0)
		cof_buf_printf(&detail, ", the log from %.*s", (int)strnlen((char *)text, n), (char *)text);
	r = detail.failed ? -ENOMEM
			  : cof_event_emit(a, &(struct cof_event){.type = COF_EV_RESTORE, .detail = (char *)detail.data}, NULL);
	if (r == 0 && text)
		r = cof_io_unlink(a->io, COF_RESTORED);
	return r;
}

static int record_recovery(struct cof_archive *a)
{
	int r = cof_io_exists(a->io, COF_KEYS_RECOVERED);

	if (r <= 0)
		return r;
	r = record(a, "keys recovered from the recovery envelope");
	if (r == 0)
		r = tell_restored(a);
	/* Last: after a crash in between it is on record twice, which harms nobody. */
	if (r == 0)
		r = cof_io_unlink(a->io, COF_KEYS_RECOVERED);
	if (r == 0)
		r = cof_io_sync_dir(a->io, KEYS_DIR);
	a->keys_recovered = r == 0;
	return r;
}

static int record_lineage(struct cof_archive *a)
{
	int r = cof_lineage_due(a->io, cof_keys_lineage(a->keys));

	if (r > 0) {
		r = record(a, "the seal was begun anew by an opener: coffer seal new-lineage");
		a->seal_anew = r == 0;
	}
	return r < 0 ? r : cof_lineage_done(a->io);
}

int cof_recovered_record(struct cof_archive *a, struct cof_diag *diag)
{
	int r = record_recovery(a);

	if (r == 0)
		r = record_lineage(a);
	return r < 0 ? cof_fail(diag, r, "%s: the recovery of the keys cannot be recorded: %s",
				cof_io_where(a->io), strerror(-r))
		     : 0;
}
