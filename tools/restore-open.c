/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came back is verified once more as a whole, as coffer verify does it, and then opened. The
 * keys of the envelope go into a scratch place within NEWSTORE that shares the log's files with it,
 * sealed under a key that is in memory only: what is left of it after a power cut opens nothing.
 * NEWSTORE itself stays a store without keys.
 */
#include "tools/restore.h"
#include "tools/file.h"
#include "tools/share-gather.h"

#include "crypto/age.h"
#include "fs/sshsig/sshsig.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define SCRATCH "scratch"

/* ---- removing ---- */

static int remove_below(int dir, const char *name)
{
	cof_autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int err = 0, below = fd;

	if (!d)
		return errno == ENOENT ? 0
		       : errno == ENOTDIR || errno == ELOOP
			   ? (unlinkat(dir, name, 0) < 0 ? -errno : 0)
			   : -errno;
	fd = -1; /* is d's */
	while (err == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = remove_below(below, e->d_name);
	closedir(d);
	return err == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : err;
}

int restore_destroy(const char *dir, struct cof_diag *diag)
{
	static const char *const made[] = {SCRATCH,      "log",          "tile", "seal",
					   "checkpoint", "archive.conf", "lock", COF_RESTORED};
	cof_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	for (size_t i = 0; fd >= 0 && err == 0 && i < COF_COUNT(made); i++)
		err = remove_below(fd, made[i]);
	if (err == 0 && rmdir(dir) < 0 && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
		err = -errno;
	return err < 0 ? cof_fail(diag, err, "%s cannot be removed: %s", dir, strerror(-err)) : 0;
}

/* ---- judging ---- */

struct judging {
	struct restoring *r;
	uint64_t findings, cosignatures;
	char first[512];
};

static void on_finding(void *user, const struct cof_finding *f)
{
	struct judging *j = user;

	if (f->verdict != COF_INTACT && !j->findings++)
		snprintf(j->first, sizeof(j->first), "%s", f->text);
}

static bool on_cosign(void *user, const struct cof_cosign *c)
{
	struct judging *j = user;

	j->cosignatures++;
	for (unsigned i = 0; i < j->r->n_vkeys; i++)
		if (cof_equal(j->r->vkey[i].public_key, c->vkey.public_key, 32))
			return true;
	return false;
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
	struct judging *j = user;

	progress_update(&j->r->progress, done, total);
}

static void on_not_permitted(void *user, uint64_t sequence, const char *type,
			     const char *rule, const char *reason)
{
	cof_autofree char *shown = escaped(reason);

	restore_taken_add(user, sequence, type);
	if (strcmp(type, "request") != 0 && strcmp(type, "approval") != 0)
		complain("%s frame %" PRIu64 " does what nobody permitted (%s): %s", type, sequence,
			 rule, shown ? shown : "?");
}

static int judge(struct restoring *r, const struct restore_keys *k, struct restored *ret,
		 struct cof_diag *diag)
{
	struct judging j = {.r = r};
	struct cof_verify_params p = {.io = r->io,
				      .vkey = &r->log,
				      .finding = on_finding,
				      .cosign = on_cosign,
				      .progress = on_progress,
				      .user = &j};
	struct cof_judge_store people = {.verify = cof_sshsig_verify, .finding = on_not_permitted, .user = ret, .behind = restore_taken_judged};
	struct cof_judged judged;
	struct cof_verified found = {.verdict = COF_NOT_AN_ARCHIVE};
	struct auditors auditors = {0};
	int err = k->auditor ? auditors_load(k->auditor, NULL, r->io, &auditors, diag) : 0;

	p.auditors = auditors.secret;
	p.n_auditors = auditors.n;
	p.auditor_archive_id = auditors.has_id ? auditors.archive_id : NULL;
	if (err == 0)
		err = cof_log_verify(&p, &found, diag);
	progress_clear(&r->progress);
	auditors_done(&auditors);
	if (err < 0)
		return err;
	if (found.verdict != COF_INTACT)
		return cof_fail(diag, -EBADMSG,
				"what came back is %s, and nothing of it was given out: %.400s "
				"(coffer verify %s tells all)",
				cof_verdict_name(found.verdict), j.first, r->dir);
	ret->seals = k->auditor;
	ret->cosignatures = j.cosignatures;
	return cof_store_judge(r->io, &people, &judged, diag);
}

/* ---- the scratch place ---- */

struct linking {
	int from, to;
};

static int link_one(void *user, const char *name)
{
	const struct linking *l = user;

	return linkat(l->from, name, l->to, name, 0) < 0 ? -errno : 0;
}

static int link_all(struct restoring *r, const char *scratch, const char *dir)
{
	cof_autofree char *from = NULL, *to = NULL;
	struct linking l = {-1, -1};
	int err = -ENOMEM;

	if (asprintf(&from, "%s/%s", r->dir, dir) < 0)
		from = NULL;
	if (asprintf(&to, "%s/%s", scratch, dir) < 0)
		to = NULL;
	if (!from || !to)
		return err;
	err = mkdir(to, 0700) < 0 ? -errno : 0;
	l.from = err ? -1 : open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l.to = err ? -1 : open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (err == 0 && (l.from < 0 || l.to < 0))
		err = -errno;
	if (err == 0)
		err = cof_io_list(r->io, dir, link_one, &l);
	if (l.from >= 0)
		close(l.from);
	if (l.to >= 0)
		close(l.to);
	return err;
}

static int copy_file(struct cof_io *from, struct cof_io *to, const char *path, size_t most)
{
	cof_autofree uint8_t *p = NULL;
	size_t n = 0;
	int err = cof_io_load(from, path, most, &p, &n);

	return err == 0 ? cof_io_replace(to, path, p, n) : err;
}

static int make_scratch(struct restoring *r, struct restored *s, struct cof_diag *diag)
{
	cof_autoclose int dir = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = dir >= 0 ? remove_below(dir, SCRATCH) : -errno; /* of one that was cut off */

	if (err == 0 && asprintf(&s->path, "%s/" SCRATCH, r->dir) < 0) {
		s->path = NULL;
		err = -ENOMEM;
	}
	if (err == 0 && mkdirat(dir, SCRATCH, 0700) < 0)
		err = -errno;
	if (err == 0)
		err = link_all(r, s->path, "log");
	if (err == 0)
		err = link_all(r, s->path, "tile");
	if (err < 0)
		return cof_fail(diag, err, "%s/" SCRATCH " cannot be made: %s", r->dir,
				strerror(-err));
	err = cof_io_plain(s->path, &s->io, diag);
	if (err < 0)
		return err;
	err = copy_file(r->io, s->io, "archive.conf", 65536);
	if (err == 0)
		err = copy_file(r->io, s->io, "checkpoint", COF_NOTE_MAX);
	if (err == 0)
		err = cof_io_mkdir(s->io, "seal");
	if (err == 0)
		err = copy_file(r->io, s->io, "seal/recovery.age", COF_AGE_FILE_MAX);
	if (err == -ENOENT)
		err = 0; /* no envelope came along */
	return err < 0 ? cof_fail(diag, err, "%s cannot be written: %s", s->path, strerror(-err))
		       : 0;
}

/* ---- keys ---- */

static int find_epoch(const struct restore_keys *k, struct cof_epoch *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int err;

	if (!k->epoch)
		return recovery_find_epoch(k->epoch_of, ret, diag);
	err = file_load(k->epoch, COF_EPOCH_MAX, &text, diag);
	return err == 0 ? cof_epoch_parse(text.data ? (char *)text.data : "", text.len, ret, diag) : err;
}

/* One identity, of a quorum's shares. */
static int gather(const struct restored *s, const struct restore_keys *k, uint8_t (**ret)[COF_AGE_KEY], size_t *ret_n,
		  struct cof_diag *diag)
{
	cof_autofree char *place = escaped(s->path);
	struct cof_epoch epoch = {0};
	char title[300];
	struct share_gathering g = {.epoch = &epoch, .title = title, .fds = k->fds, .n_fds = k->n_fds, .passphrase_fd = -1, .idle = k->idle};
	int err = find_epoch(k, &epoch, diag);

	snprintf(title, sizeof(title), "To read what was restored, in %.240s", place ? place : "?");
	*ret = cof_secret_alloc(COF_AGE_KEY);
	if (err == 0 && !*ret)
		err = cof_fail(diag, -ENOMEM, "no secure memory is left");
	if (err == 0)
		err = share_gather(&g, (*ret)[0], diag);
	cof_epoch_done(&epoch);
	*ret_n = 1;
	return err;
}

static int recover(struct restored *s, struct restore_keys *k,
		   const struct cof_opener_secret *secret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf envelope = {0};
	struct cof_recover_params p = {.secret = secret, .verify = cof_sshsig_verify};
	uint8_t(*identities)[COF_AGE_KEY] = NULL;
	int err = 0;

	if (k->envelope) {
		err = file_load(k->envelope, COF_AGE_FILE_MAX, &envelope, diag);
		p.envelope = envelope.data;
		p.envelope_len = envelope.len;
		p.envelope_name = k->envelope;
	}
	if (err == 0)
		err = released_load(&k->released, s->path, &p, diag);
	if (err == 0)
		err = k->identity ? identities_load(k->identity, s->path, &identities, &p.n_identities, diag)
				  : gather(s, k, &identities, &p.n_identities, diag);
	p.identities = (const uint8_t(*)[COF_AGE_KEY])identities;
	if (err == 0)
		err = cof_store_recover(s->io, &p, &s->keys, diag);
	if (err == 0)
		recovery_say_unlike(&s->keys, &k->released, NULL); /* it was verified just now */
	released_done(&k->released);
	cof_secret_free(identities);
	return err;
}

static int open_it(struct restored *s, struct restore_keys *k, struct cof_diag *diag)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	struct cof_opener_secret secret = {.kind = COF_OPENER_FILE, .data = key, .len = COF_KEY};
	struct cof_archive_params p = {.io = s->io,
				       .secret = &secret,
				       .no_threads = true,
				       .passive = "It was restored to be read."};
	int err;

	if (!key)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	cof_random(key, COF_KEY);
	err = recover(s, k, &secret, diag);
	return err == 0 ? cof_archive_open(&p, &s->archive, NULL, diag) : err;
}

int restore_open(struct restoring *r, struct restore_keys *k, struct restored *ret,
		 struct cof_diag *diag)
{
	int err = judge(r, k, ret, diag);

	if (err == 0)
		err = make_scratch(r, ret, diag);
	return err == 0 ? open_it(ret, k, diag) : err;
}

void restore_close(struct restored *s)
{
	if (s->archive)
		(void)cof_archive_close(s->archive,
					NULL); /* nothing was written that could be lost */
	cof_io_free(s->io);
	if (s->path)
		(void)remove_below(AT_FDCWD, s->path);
	free(s->path);
	cof_buf_done(&s->taken);
	cof_buf_done(&s->ended);
	*s = (struct restored){.path = NULL};
}
