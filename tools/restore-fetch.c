/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive's log comes from vaults. Each is asked for its newest head first; then one after the
 * other gives what is missing, from the byte on where the one before stopped: what is damaged at
 * one comes from another. The copy that grows believes nobody (tools/vault/copy.c), so it does not
 * matter who gave what.
 */
#include "tools/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

static void progressed(void *user, uint64_t done, uint64_t total)
{
	struct restoring *r = user;

	progress_update(&r->progress, done, total);
}

static int keep_envelope(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	struct restoring *r = user;
	int err = cof_io_mkdir(r->io, "seal");

	if (err == 0)
		err = cof_io_sync_dir(r->io, "");
	if (err == 0 || err == -EEXIST)
		err = cof_io_replace(r->io, "seal/recovery.age", p, n);
	r->envelope = err == 0;
	return err < 0
		   ? cof_fail(diag, err, "seal/recovery.age cannot be written: %s", strerror(-err))
		   : 0;
}

static int signers_of(const struct restoring *r, struct restore_source *s)
{
	struct cof_note n;

	s->signers = 0;
	s->time = 0;
	if (!r->n_vkeys)
		return 0;
	if (cof_note_open(s->note, strlen(s->note), r->vkey, r->n_vkeys, &n) < 0)
		return -EBADMSG;
	s->signers = n.verified;
	for (unsigned i = 0; i < r->n_vkeys; i++)
		if (n.verified & (1u << i))
			s->time = COF_MAX(s->time, n.time[i]);
	return s->signers ? 0 : -EBADMSG;
}

static int not_signed(struct cof_diag *diag)
{
	return cof_fail(diag, -EBADMSG,
			"the newest head is not signed with the vault's key that was given");
}

/* Before anything counts as restored: the vault says so itself, where its key was given. */
static int judge_note(void *user, struct cof_buf *note, struct cof_diag *diag)
{
	struct restore_source s = {.note = (char *)note->data};

	return signers_of(user, &s) < 0 ? not_signed(diag) : 0;
}

/* ---- the heads that there are ---- */

static int take_conf(struct restoring *r, char *conf, struct cof_diag *diag)
{
	struct cof_conf c;
	int err = cof_conf_parse(conf, strlen(conf), &c, diag);

	if (err == 0 && r->log_given && !cof_equal(c.vkey.public_key, r->log.public_key, 32))
		err = cof_fail(diag, -EKEYREJECTED,
			       "the archive at the vault has another key than --log-vkey says");
	if (err == 0 && r->conf && strcmp(r->conf, conf) != 0)
		err = cof_fail(diag, -EXDEV,
			       "two archives say that they have this id: their archive.conf "
			       "differ, and --log-vkey tells which is yours");
	if (err == 0 && !r->conf) {
		r->conf = conf;
		r->log = c.vkey;
		return 0;
	}
	free(conf);
	return err;
}

static int ask(struct restoring *r, struct restore_source *s, struct cof_diag *diag)
{
	struct vault_line line = {.pid = 0};
	char *conf = NULL;
	int err = vault_line_open(s->url, &line, diag);

	if (err == 0)
		err = vault_ask_identity(&line.wire, r->id, &conf, diag);
	if (err == 0)
		err = take_conf(r, conf, diag);
	if (err == 0)
		err = vault_ask_head(&line.wire, &s->note, diag);
	vault_line_close(&line);
	if (err == 0 && cof_checkpoint_open(s->note, strlen(s->note), &r->log, &s->head) < 0)
		err = cof_fail(diag, -EBADMSG,
			       "the newest head there is not signed with the archive's key");
	if (err == 0 && signers_of(r, s) < 0)
		err = not_signed(diag);
	if (err < 0) {
		free(s->note);
		s->note = NULL;
	}
	return err;
}

static void told(const struct restore_source *s, const struct cof_diag *diag)
{
	cof_autofree char *url = escaped(s->url), *text = escaped(diag->text);

	complain("%s: %s", url ? url : "?", text ? text : "?");
}

/* The newest head comes first. */
static int by_size(const void *a, const void *b)
{
	const struct restore_source *x = a, *y = b;

	return x->head.size < y->head.size ? 1 : x->head.size > y->head.size ? -1 : 0;
}

static int ask_all(struct restoring *r, struct cof_diag *diag)
{
	unsigned answered = 0;
	int err = 0;

	for (unsigned i = 0; i < r->n_sources; i++) {
		struct cof_diag why = {""};
		int e = ask(r, &r->source[i], &why);

		answered += e == 0;
		if (e < 0) {
			err = e;
			*diag = why;
			if (r->n_sources > 1)
				told(&r->source[i], &why);
		}
	}
	if (!answered)
		return err;
	qsort(r->source, r->n_sources, sizeof(r->source[0]), by_size);
	return 0;
}

/* ---- one session ---- */

static int fetch_from(struct restoring *r, const struct restore_source *s, struct cof_diag *diag)
{
	struct vault_taking t = {.io = r->io,
				 .sign = judge_note,
				 .envelope = keep_envelope,
				 .user = r,
				 .progress = {progressed, r}};
	struct vault_line line = {.pid = 0};
	char *conf = NULL;
	int err = vault_line_open(s->url, &line, diag);

	if (err == 0)
		err = vault_ask_identity(&line.wire, r->id, &conf, diag);
	if (err == 0)
		err = take_conf(r, conf, diag);
	if (err == 0)
		err = vault_take_log(&line.wire, r->copy, &t, diag);
	progress_clear(&r->progress);
	vault_line_close(&line);
	return err;
}

/* Nothing that another source could do better. */
static bool ours(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -ENOMEM || err == -EROFS || err == -EFBIG;
}

/* *ret_more: something came. */
static int one_round(struct restoring *r, bool *ret_more, struct cof_diag *diag)
{
	struct vault_copy_state before, s;
	int err = 0;

	*ret_more = false;
	for (unsigned i = 0; i < r->n_sources; i++) {
		const struct restore_source *from = &r->source[i];

		vault_copy_state(r->copy, &before);
		if (before.head.size >= r->source[0].head.size)
			return 0;
		/* one that is behind what is here already would have it dropped */
		if (!from->note || from->head.size <= before.head.size ||
		    from->head.size < before.size)
			continue;
		diag->text[0] = 0;
		err = fetch_from(r, from, diag);
		vault_copy_state(r->copy, &s);
		*ret_more |= s.head.size > before.head.size || s.size > before.size ||
			     s.address > before.address;
		if (err < 0 && r->n_sources > 1)
			told(from, diag);
		if (ours(err))
			return err;
	}
	return err;
}

static int rounds(struct restoring *r, struct cof_diag *diag)
{
	struct vault_copy_state s;
	bool more = true;
	int err = 0;

	while (more && !ours(err)) {
		err = one_round(r, &more, diag);
		vault_copy_state(r->copy, &s);
		if (s.head.size >= r->source[0].head.size)
			return 0;
	}
	if (ours(err) || (err < 0 && !s.head.size && r->n_sources == 1))
		return err;
	if (!s.head.size)
		return cof_fail(
		    diag, -EBADMSG,
		    "frame %" PRIu64 " and what is behind it cannot be had whole from any of these "
				     "vaults; what came "
		    "before it stays, and another vault may be asked with the same command",
		    s.size);
	complain("of the newest head, of %" PRIu64 " frames, frame %" PRIu64
		 " cannot be had whole from any of these vaults; an older head, of "
		 "%" PRIu64 " frames, is",
		 r->source[0].head.size, s.size, s.head.size);
	return 1;
}

/* ---- the place ---- */

/* Empty, or where this very restoring was cut off: a log without keys, of this archive. */
static int is_ours(struct restoring *r, struct cof_diag *diag)
{
	struct cof_conf conf;
	int err = cof_io_exists(r->io, "archive.conf");

	if (err != 1)
		return err;
	err = cof_conf_load(r->io, &conf, diag);
	if (err < 0)
		return err;
	if (memcmp(conf.id, r->id, 16) != 0 || cof_io_exists(r->io, "keys") != 0)
		return cof_fail(diag, -EEXIST,
				"%s is an archive already, and not one whose restoring was cut off",
				r->dir);
	return 1;
}

int restore_fetch(struct restoring *r, struct cof_diag *diag)
{
	int err = ask_all(r, diag), there;

	if (err < 0)
		return err;
	if (mkdir(r->dir, 0700) < 0 && errno != EEXIST)
		return cof_fail(diag, -errno, "cannot make %s: %s", r->dir, strerror(errno));
	err = cof_io_plain(r->dir, &r->io, diag);
	if (err < 0)
		return err;
	there = is_ours(r, diag);
	err = there == 0 ? vault_copy_create(r->io, r->conf, strlen(r->conf), diag)
			 : COF_MIN(there, 0);
	if (err == 0)
		err = vault_copy_open(r->io, &r->copy, diag);
	return err == 0 ? rounds(r, diag) : err;
}

void restore_done(struct restoring *r)
{
	vault_copy_free(r->copy);
	cof_io_free(r->io);
	free(r->conf);
	for (unsigned i = 0; i < r->n_sources; i++)
		free(r->source[i].note);
	for (unsigned i = 0; i < r->n_heads; i++)
		free(r->head[i].note);
}
