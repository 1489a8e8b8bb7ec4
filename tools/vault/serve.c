/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session at a vault. Who may come is decided before, by the transport (for SSH: which key may start which
 * command); what may happen is decided here. A cosignature says that at this time this is the largest tree seen, and is
 * in the copy and in the list of what was received before it leaves.
 */
#include <stdio.h>
#include <time.h>

#include "tools/vault/internal.h"

#define KEPT 64u /* envelopes, and heads of forks, of one archive */

struct serving {
	const struct vault_place *v;
	struct vault_wire *w;
	const struct vault_serve *p;
	struct cof_diag *diag;
	struct vault_hello hello;
	struct cof_io *io;
	char id[33];
	struct cof_file *received; /* the list, once it says what is signed; durable before the note is kept */
	struct cof_diag undone; /* why what was destroyed is not gone yet; "": it is */
};

static void tell(const struct serving *s, const char *what)
{
	char line[1024];

	if (!s->p->told)
		return;
	snprintf(line, sizeof(line), "archive %s: %s", s->id, what);
	s->p->told(s->p->user, line);
}

/* ---- cosigning ---- */

/* Appends to received: when, how much, which root. It is made durable with the note that has the cosignature, before that note has its
 * name: what nobody can see yet was not signed. */
static int remember(struct serving *s, uint64_t time, const struct cof_checkpoint *head)
{
	struct cof_file *f = NULL;
	char hex[2 * COF_HASH + 1], when[32], line[256];
	uint64_t at = 0;
	size_t got = 0;
	char last = '\n'; /* else the line before was torn, and ends here */
	int r = cof_io_open(s->io, "received", COF_IO_RDWR, &f), n;

	if (r == -ENOENT) {
		r = cof_io_create(s->io, "received", &f);
		if (r == 0)
			r = cof_io_sync_dir(s->io, "");
	}
	if (r == 0)
		r = cof_io_size(f, &at);
	if (r == 0 && at)
		r = cof_io_read(f, &last, 1, at - 1, &got);
	cof_hex(head->root, COF_HASH, hex);
	cof_time_text((int64_t)time * COF_NSEC, when);
	n = snprintf(line, sizeof(line), "%s{\"time\":\"%s\",\"size\":%llu,\"root\":\"%s\"}\n", last == '\n' ? "" : "\n", when,
		     (unsigned long long)head->size, hex);
	if (r == 0)
		r = cof_io_write(f, line, (size_t)n, at);
	s->received = f;
	return r;
}

/* Never before the cosignature before: a clock that was set back shows as times that stand still. */
static uint64_t time_now(struct serving *s)
{
	cof_autofree uint8_t *note = NULL;
	uint64_t now = (uint64_t)(cof_now(CLOCK_REALTIME) / COF_NSEC);
	struct cof_note before;
	size_t n;

	if (cof_io_load(s->io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0 &&
	    cof_note_open(note, n, &s->v->vkey, 1, &before) == 0 && before.time[0] > now) {
		tell(s, "the clock of this vault is behind its last cosignature");
		return before.time[0];
	}
	return now;
}

static int sign(void *user, struct cof_buf *note, struct cof_diag *diag)
{
	struct serving *s = user;
	struct cof_checkpoint head;
	struct cof_conf conf;
	uint64_t now = time_now(s);
	int r = cof_conf_load(s->io, &conf, diag);

	if (r == 0)
		r = cof_checkpoint_open(note->data, note->len, &conf.vkey, &head);
	if (r == 0)
		r = remember(s, now, &head);
	if (r == 0)
		r = cof_note_cosign(note, &s->v->vkey, s->v->seed, now);
	return r < 0 ? cof_fail(diag, r, "this vault cannot cosign: %s", strerror(-r)) : 0;
}

/* ---- what is kept beside the log ---- */

static int count_one(void *user, const char *name)
{
	(void)name;
	++*(unsigned *)user;
	return 0;
}

/* A file in a directory of the copy that may hold so many; one that is there stays. */
static int keep(struct serving *s, const char *dir, const char *name, const void *p, size_t n)
{
	unsigned count = 0;
	char path[160];
	int r = cof_io_mkdir(s->io, dir);

	if (r == 0)
		r = cof_io_sync_dir(s->io, "");
	if (r < 0 && r != -EEXIST)
		return r;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = cof_io_exists(s->io, path);
	if (r)
		return r < 0 ? r : 0;
	r = cof_io_list(s->io, dir, count_one, &count);
	if (r == 0 && count >= KEPT)
		return -EDQUOT;
	return r < 0 ? r : cof_io_replace(s->io, path, p, n);
}

/* By its digest, and never replaced: a host that was taken over cannot spoil the one before. */
static int envelope(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	struct serving *s = user;
	uint8_t digest[COF_HASH];
	char name[2 * COF_HASH + 8];
	int r;

	cof_sha256(p, n, digest);
	cof_hex(digest, COF_HASH, name);
	strcpy(name + (size_t)2 * COF_HASH, ".age");
	r = keep(s, "recovery", name, p, n);
	if (r == 0)
		r = cof_io_replace(s->io, "recovery/newest", name, strlen(name));
	if (r == -EDQUOT) {
		tell(s, "too many recovery envelopes came: the newest was not kept");
		return 0;
	}
	return r < 0 ? cof_fail(diag, r, "the recovery envelope cannot be kept: %s", strerror(-r)) : 0;
}

static int keys(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	struct serving *s = user;
	int r = vault_keys_take(s->v, s->io, s->hello.id, p, n, diag);

	tell(s, r == 0 ? "the tree R came, and is kept" : diag->text);
	return r;
}

static void refused(void *user, unsigned code, const void *note, size_t n)
{
	struct serving *s = user;
	uint8_t digest[COF_HASH];
	char name[2 * COF_HASH + 8];

	if (code == VAULT_R_STALE) {
		tell(s, "a host came that is behind what this vault has: it was put back to an older state");
		return;
	}
	cof_sha256(note, n, digest);
	cof_hex(digest, COF_HASH, name);
	strcpy(name + (size_t)2 * COF_HASH, ".note");
	if (code == VAULT_R_RULES) {
		tell(s, s->diag->text);
		if (keep(s, "refused", name, note, n) < 0)
			tell(s, "the head that was refused could not be written");
		return;
	}
	tell(s, "FORK: a head came that is signed by the archive's key and does not extend what this vault has; both are kept");
	if (keep(s, "forks", name, note, n) < 0)
		tell(s, "the head of the fork could not be written");
}

/* ---- what the operator of the host should know ---- */

/* Before a head is signed, where it brings frames that may take away what was promised. */
static int judge(void *user, const struct vault_copy_state *state, struct cof_diag *diag)
{
	struct serving *s = user;
	struct vault_judged j;
	bool asked = state->weakening || vault_unjudged(s->io);
	int r = asked ? vault_judge_coming(s->io, state, &j, diag) : 0;

	if (r < 0 || !asked || !j.refused)
		return r;
	return cof_fail(diag, -EACCES,
			"%s; %llu of that kind. What came is kept, and not signed: what this vault has signed before stays its word. Where "
			"that is right, its operator says so there: coffer-vault follow",
			j.first, (unsigned long long)j.refused);
}

/* A head is signed: what it destroys goes here too, and the answer waits for it. What fails is tried again with the next one. */
static void finished(void *user, const uint8_t (*told)[COF_HASH], size_t n)
{
	struct serving *s = user;
	unsigned receipts = 0;
	char line[96];

	if (vault_receipts_told(s->io, told, n) < 0 || vault_receipts_turn(s->io) < 0)
		tell(s, "which receipts the host has on record could not be noted");
	if (vault_carry_out(s->v, s->io, &receipts, &s->undone) < 0)
		tell(s, s->undone.text);
	snprintf(line, sizeof(line), "what people destroyed is gone here too: %u receipts", receipts);
	if (receipts)
		tell(s, line);
}

static int receipt(void *user, size_t i, struct cof_buf *ret)
{
	struct serving *s = user;
	int r = vault_receipt_untold(s->io, i, ret);

	if (r < 0 && r != -ENOENT)
		tell(s, "a receipt cannot be read");
	return r;
}

static void notice(void *user, struct cof_buf *lines)
{
	struct serving *s = user;
	struct vault_judged j;

	if (*s->undone.text)
		cof_buf_printf(lines, "%s\n", s->undone.text);
	if (vault_judged_load(s->io, &j) < 0 || !j.not_permitted)
		return;
	tell(s, j.first);
	cof_buf_printf(lines, "%s; %llu of that kind\n", j.first, (unsigned long long)j.not_permitted);
}

/* ---- sessions ---- */

static int say_no(struct serving *s, enum vault_refusal code, int r)
{
	if (vault_refuse(s->w, code, s->diag->text) < 0)
		return r;
	return r;
}

static int same_conf(struct serving *s)
{
	cof_autofree uint8_t *conf = NULL;
	size_t n = 0;
	int r = cof_io_load(s->io, "archive.conf", 65536, &conf, &n);

	if (r < 0)
		return cof_fail(s->diag, r, "archive.conf of the copy cannot be read: %s", strerror(-r));
	if (n != s->hello.conf_len || memcmp(conf, s->hello.conf, n))
		return cof_fail(s->diag, -EXDEV, "another archive with this id is known here: its archive.conf differs");
	return 0;
}

struct emptying {
	struct cof_io *io;
	const char *dir;
};

static int unlink_one(void *user, const char *name)
{
	const struct emptying *e = user;
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", e->dir, name);
	return cof_io_unlink(e->io, path);
}

/* Whoever only asked which vault this is leaves no copy behind. The copy's lock is held, and goes with the directory. archive.conf last:
 * without it the next session makes all of it. */
static void forget_empty(struct serving *s, const struct vault_copy *c)
{
	struct emptying e = {s->io, "tile"};
	struct vault_copy_state state;

	vault_copy_state(c, &state);
	if (state.head.size || state.size || state.address || cof_io_exists(s->io, "checkpoint") != 0)
		return;
	(void)cof_io_list(s->io, e.dir, unlink_one, &e);
	(void)cof_io_rmdir(s->io, "tile");
	(void)cof_io_rmdir(s->io, "log");
	(void)cof_io_unlink(s->io, "archive.conf");
	vault_place_forget(s->v, s->hello.id, s->io);
}

/* So that the next session and status need not: the other side has its answer already. */
static void look_again(struct serving *s, struct vault_copy *c)
{
	struct cof_known known = {.size = 0}, is;
	struct vault_copy_state state;

	vault_copy_state(c, &state);
	if (cof_known_load(s->io, &state.conf, &known) == 0 && known.size == state.head.size)
		return;
	if (vault_copy_known(c, &is) || cof_known_up_to(s->io, &state.conf, state.head.size, &is) == 0)
		(void)cof_known_save(s->io, &is);
}

/* A copy that is new, or was cut off while it was made or removed. */
static int make_copy(struct serving *s)
{
	return s->p->no_new && cof_io_exists(s->io, "archive.conf") != 1 ? 0 : vault_copy_create(s->io, s->hello.conf, s->hello.conf_len, s->diag);
}

static int take_into(struct serving *s)
{
	cof_autobuf struct cof_buf about = {0};
	struct vault_taking t = {.io = s->io, .quota = s->p->quota, .sign = sign, .list = &s->received, .envelope = envelope, .keys = keys,
				 .judge = judge, .refused = refused, .finished = finished,
				 .receipt = s->hello.receipts ? receipt : NULL, .notice = notice, .user = s};
	struct vault_copy *c = NULL;
	int r = vault_copy_open(s->io, &c, s->diag);

	vault_place_about(s->v, &about);
	if (s->hello.more)
		vault_place_about_more(s->v, s->io, &about);
	if (r < 0) {
		tell(s, s->diag->text);
		return say_no(s, VAULT_R_FAILED, r);
	}
	t.about = (const char *)about.data;
	r = vault_take_log(s->w, c, &t, s->diag);
	if (r == 0)
		look_again(s, c);
	else
		forget_empty(s, c);
	vault_copy_free(c);
	return r;
}

static int take(struct serving *s)
{
	struct vault_damage damage;
	int r = make_copy(s);

	if (r < 0)
		return say_no(s, VAULT_R_FAILED, r);
	r = same_conf(s);
	if (r < 0)
		return say_no(s, VAULT_R_UNKNOWN, r);
	if (vault_damage_load(s->io, &damage) == 0 && damage.n) {
		cof_fail(s->diag, -EUCLEAN, "%u segments of this copy are damaged and have to be mended first", damage.n);
		return say_no(s, VAULT_R_DAMAGED, -EUCLEAN);
	}
	return take_into(s);
}

static int mend(struct serving *s)
{
	unsigned mended = 0;
	char line[64];
	int r = vault_take_mending(s->w, s->io, &mended, s->diag);

	snprintf(line, sizeof(line), "%u damaged segments were mended from the host", mended);
	if (mended)
		tell(s, line);
	if (r < 0)
		tell(s, s->diag->text);
	return r;
}

/* The one that came last; the others stay for who has to take one by hand. */
static void load_envelope(struct serving *s, uint8_t **ret, size_t *ret_n)
{
	cof_autofree uint8_t *name = NULL;
	char path[2 * COF_HASH + 32];
	size_t n = 0;

	if (cof_io_load(s->io, "recovery/newest", (size_t)2 * COF_HASH + 8, &name, &n) < 0)
		return;
	snprintf(path, sizeof(path), "recovery/%s", (const char *)name);
	if (cof_io_load(s->io, path, VAULT_ENVELOPE_MAX, ret, ret_n) < 0)
		tell(s, "the recovery envelope cannot be read");
}

/* Stored hashes come from the log: where they are damaged and it is not, they are made anew, as a session would. */
static int mend_hashes(struct serving *s)
{
	struct cof_diag why = {""};
	int r = cof_io_lock(s->io, "coffer-vault", &why);

	if (r < 0)
		return r;
	r = vault_copy_mend_hashes(s->io, &why);
	cof_io_unlock(s->io);
	if (r == 0)
		tell(s, "stored hashes were damaged, and made anew from the log");
	return r;
}

static int give(struct serving *s)
{
	struct vault_source *source = NULL;
	struct vault_sent sent = {0};
	struct vault_sending sending = {.envelope = NULL};
	cof_autofree uint8_t *age = NULL;
	uint8_t session[16];
	int r = vault_source_open(s->io, &source, s->diag);

	if (r == -EUCLEAN && mend_hashes(s) == 0)
		r = vault_source_open(s->io, &source, s->diag);
	if (r == -ENOENT)
		return say_no(s, VAULT_R_UNKNOWN, cof_fail(s->diag, r, "this vault has no copy of archive %s yet: nothing of it was "
									 "ever confirmed",
						      s->id));
	if (r < 0)
		return say_no(s, VAULT_R_FAILED, r);
	load_envelope(s, &age, &sending.envelope_len);
	sending.envelope = age;
	r = vault_hello_send(s->w, VAULT_SENDS, s->hello.id, vault_source_conf_text(source), session);
	if (r == 0)
		r = vault_send_log(s->w, source, &sending, &sent, s->diag);
	vault_sent_done(&sent);
	vault_source_free(source);
	if (r == 0)
		tell(s, "all of it was given to who restores it");
	if (r == -EUCLEAN || r == -EIO || r == -ERANGE) { /* what whoever restores can do something about: ask another vault */
		tell(s, s->diag->text);
		return say_no(s, VAULT_R_FAILED, r);
	}
	return r;
}

/* Whether what was confirmed is still here. Nothing is written, so no lock is held and nobody waits. */
static int answer(struct serving *s)
{
	cof_autobuf struct cof_buf about = {0};

	vault_place_about(s->v, &about);
	return about.failed ? -ENOMEM : vault_take_challenges(s->w, s->io, (const char *)about.data, s->diag);
}

static int attend(struct serving *s)
{
	switch (s->hello.role) {
	case VAULT_SENDS:
		return take(s);
	case VAULT_MENDS:
		return mend(s);
	case VAULT_CHALLENGES:
		return answer(s);
	default:
		return give(s);
	}
}

/* To the copy; whoever writes has its lock. */
static int enter(struct serving *s)
{
	if (s->hello.role != VAULT_FETCHES && s->hello.role != VAULT_CHALLENGES)
		return vault_place_lock(s->v, s->hello.id, s->hello.role == VAULT_SENDS && !s->p->no_new, "coffer-vault", &s->io, s->diag);
	if (vault_retired(s->v, s->hello.id) != 0)
		return cof_fail(s->diag, -ENOENT, "this vault destroyed what it had of archive %s: DIR/retired has the receipt", s->id);
	return vault_place_archive(s->v, s->hello.id, &s->io, s->diag);
}

int vault_serve(const struct vault_place *v, struct vault_wire *w, const struct vault_serve *p, struct cof_diag *diag)
{
	struct cof_diag own = {""};
	struct serving s = {.v = v, .w = w, .p = p, .diag = diag ? diag : &own};
	cof_autobuf struct cof_buf body = {0};
	unsigned code = VAULT_R_MALFORMED;
	struct cof_conf conf;
	int r = vault_expect(w, VAULT_HELLO, &body, NULL, s.diag);

	if (r == 0)
		r = vault_hello_read(&body, &s.hello, &code, s.diag);
	if (r == 0 && s.hello.role == VAULT_SENDS) {
		r = cof_conf_parse(s.hello.conf, s.hello.conf_len, &conf, s.diag);
		if (r == 0 && memcmp(conf.id, s.hello.id, 16))
			r = cof_fail(s.diag, -EPROTO, "HELLO names another archive than its archive.conf");
	}
	if (r == -ENOTCONN || r == -EPIPE)
		return -EPIPE; /* nobody is there, or nobody who speaks this */
	if (r < 0)
		return say_no(&s, code, r);
	cof_hex(s.hello.id, 16, s.id);
	if (p->only && memcmp(p->only, s.hello.id, 16)) {
		tell(&s, "was asked for over a connection that is another archive's");
		return say_no(&s, VAULT_R_UNKNOWN, cof_fail(s.diag, -EACCES, "this connection is for another archive than %s", s.id));
	}
	r = enter(&s);
	if (r < 0)
		return say_no(&s, r == -EBUSY ? VAULT_R_BUSY : r == -ENOENT || r == -EOWNERDEAD ? VAULT_R_UNKNOWN : VAULT_R_FAILED, r);
	r = attend(&s);
	cof_io_close(s.received);
	cof_io_free(s.io); /* and with it the lock */
	return r;
}
