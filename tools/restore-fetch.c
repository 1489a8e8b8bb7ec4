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

static void progressed(void *user, uint64_t done, uint64_t total)
{
	struct restoring *r = user;

	progress_update(&r->progress, done, total);
}

static int keep_envelope(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	return restore_keep_envelope(((struct restoring *)user)->io, p, n, diag);
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

static int take_conf(const struct restoring *r, struct restore_source *s, struct cof_diag *diag)
{
	cof_autofree char *text = NULL;
	int err = vault_ask_identity(&s->line.wire, r->id, &text, diag);

	if (err == 0)
		err = cof_conf_parse(text, strlen(text), &s->conf, diag);
	if (err == 0 && r->log_given && !cof_equal(s->conf.vkey.public_key, r->log.public_key, 32))
		err = cof_fail(diag, -EKEYREJECTED,
			       "the archive at the vault has another key than --log-vkey says");
	return err;
}

/* The key of whoever showed a head that is signed with it first, where none was given. */
static int take_key(struct restoring *r, struct restore_source *s, struct cof_diag *diag)
{
	if (cof_checkpoint_open(s->note, strlen(s->note), &s->conf.vkey, &s->head) < 0)
		return cof_fail(diag, -EBADMSG, "the newest head there is not signed with the archive's key");
	if (r->log_known && !cof_equal(s->conf.vkey.public_key, r->log.public_key, 32))
		return cof_fail(diag, -EXDEV,
				"two archives say that they have this id: their keys differ, and --log-vkey tells which is yours");
	r->log = s->conf.vkey;
	r->log_known = true;
	return 0;
}

static int ask(struct restoring *r, struct restore_source *s, struct cof_diag *diag)
{
	int err = vault_line_open(s->url, &s->line, diag);

	if (err == 0)
		err = take_conf(r, s, diag);
	if (err == 0)
		err = vault_ask_head(&s->line.wire, &s->said, &s->note, diag);
	if (err == 0)
		err = signers_of(r, s) < 0 ? not_signed(diag) : take_key(r, s, diag);
	if (err < 0) {
		vault_line_close(&s->line);
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
	for (unsigned i = 1; i < r->n_sources; i++) /* nobody waits for whom nothing is asked */
		vault_line_close(&r->source[i].line);
	return 0;
}

/* ---- one session ---- */

/* Where nothing is here yet it goes on where the vault was asked for its head. */
static bool goes_on(const struct restoring *r, const struct restore_source *s)
{
	struct vault_copy_state has;

	vault_copy_state(r->copy, &has);
	return s->line.pid > 0 && !has.head.size && !has.address;
}

static int begin_anew(struct restoring *r, struct restore_source *s, struct cof_diag *diag)
{
	int err;

	vault_line_close(&s->line);
	err = vault_line_open(s->url, &s->line, diag);
	if (err == 0)
		err = take_conf(r, s, diag);
	if (err == 0 && !vault_conf_alike(&s->conf, &r->conf))
		err = cof_fail(diag, -EXDEV, "it says now that it is another archive than it said before");
	return err;
}

static int judge_conf(void *user, const struct vault_copy_state *s, struct cof_diag *diag)
{
	(void)s;
	return vault_copy_judge_conf(((struct restoring *)user)->copy, diag);
}

static int fetch_from(struct restoring *r, struct restore_source *s, struct cof_diag *diag)
{
	struct vault_taking t = {.io = r->io,
				 .judge = judge_conf,
				 .sign = judge_note,
				 .envelope = keep_envelope,
				 .user = r,
				 .progress = {progressed, r}};
	int err = 0;

	if (goes_on(r, s))
		t.head = &s->said;
	else
		err = begin_anew(r, s, diag);
	if (err == 0)
		err = vault_take_log(&s->line.wire, r->copy, &t, diag);
	progress_clear(&r->progress);
	vault_line_hang_up(&s->line); /* its end is waited for when it is asked again, or when all is done */
	return err;
}

/* Nothing that another source could do better. */
static bool ours(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -ENOMEM || err == -EROFS || err == -EFBIG;
}

static bool further(const struct vault_copy_state *s, const struct vault_copy_state *than)
{
	return s->head.size > than->head.size || s->size > than->size || s->address > than->address;
}

/* *ret_more: something came, or went that was wrong. */
static int one_round(struct restoring *r, bool *ret_more, struct cof_diag *diag)
{
	struct vault_copy_state before, s;
	int err = 0;

	*ret_more = false;
	for (unsigned i = 0; i < r->n_sources; i++) {
		struct restore_source *from = &r->source[i];

		vault_copy_state(r->copy, &before);
		if (before.head.size >= r->newest)
			return 0;
		/* one that is behind what is here already would have it dropped */
		if (!from->note || !vault_conf_alike(&from->conf, &r->conf) || from->head.size <= before.head.size ||
		    from->head.size < before.size)
			continue;
		diag->text[0] = 0;
		err = fetch_from(r, from, diag);
		vault_copy_state(r->copy, &s);
		*ret_more |= further(&s, &before) || further(&before, &s);
		if (err < 0 && r->n_sources > 1)
			told(from, diag);
		if (ours(err))
			return err;
	}
	return err;
}

/* What is wrong and could not be known as it came is dropped at the end, and asked of the next one; where that leads no
 * further so often as there are sources, nobody has it. */
static int rounds(struct restoring *r, struct cof_diag *diag)
{
	struct vault_copy_state began, s;
	unsigned in_vain = 0;
	bool more = true;
	int err = 0;

	while (more && !ours(err)) {
		vault_copy_state(r->copy, &began);
		err = one_round(r, &more, diag);
		vault_copy_state(r->copy, &s);
		if (s.head.size >= r->newest)
			return 0;
		more &= further(&s, &began) || ++in_vain <= r->n_sources;
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
		 r->newest, s.size, s.head.size);
	return 1;
}

/* By what this source says of the archive, and of all that say the same. */
static int fetch_by(struct restoring *r, const struct restore_source *s, struct cof_diag *diag)
{
	int err;

	r->conf = s->conf;
	r->newest = s->head.size; /* they are in order */
	vault_copy_free(r->copy);
	r->copy = NULL;
	err = vault_copy_begin(r->io, &r->conf, &r->copy, diag);
	return err == 0 ? rounds(r, diag) : err;
}

/* Said by a source before this one. */
static bool said_before(const struct restoring *r, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (r->source[k].note && vault_conf_alike(&r->source[k].conf, &r->source[i].conf))
			return true;
	return false;
}

int restore_fetch(struct restoring *r, struct cof_diag *diag)
{
	int err, last = 0;

	if (r->from_bucket)
		return restore_fetch_bucket(r, diag);
	err = ask_all(r, diag);
	if (err == 0)
		err = restore_place(r->dir, r->id, &r->io, diag);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < r->n_sources; i++) {
		if (!r->source[i].note || said_before(r, i))
			continue;
		if (last < 0) {
			cof_autofree char *why = escaped(diag->text);

			complain("%s; another vault says otherwise what the log is read by, and is asked for all of it", why ? why : "?");
		}
		last = fetch_by(r, &r->source[i], diag);
		if (last >= 0 || ours(last))
			break;
	}
	return last;
}

void restore_done(struct restoring *r)
{
	vault_copy_free(r->copy);
	cof_io_free(r->io);
	for (unsigned i = 0; i < r->n_sources; i++) {
		vault_line_close(&r->source[i].line);
		cof_buf_done(&r->source[i].said);
		free(r->source[i].note);
	}
	for (unsigned i = 0; i < r->n_heads; i++)
		free(r->head[i].note);
}
