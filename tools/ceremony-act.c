/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the steps of a ceremony do, by the functions of coffer escrow and coffer share. Each begins by removing what an attempt before
 * left that did not come to its end, and ends with the line that makes it count.
 */
#include "tools/ceremony.h"
#include "tools/escrow-epoch.h"
#include "tools/file.h"
#include "tools/output.h"

#include <stdio.h>

#define SCHEME_MAX (128u << 10)

static void set_hex(struct cof_json *o, const char *key, const uint8_t digest[32])
{
	char hex[65];

	cof_hex(digest, 32, hex);
	cof_json_set_str(o, key, hex);
}

/* ---- attempts ---- */

static int failed(struct ceremony_session *s, const char *reason, struct cof_diag *diag)
{
	struct cof_json *own = cof_json_object();

	cof_json_set_str(own, "reason", reason);
	return ceremony_line(s->w, COF_CER_FAILED, own, diag);
}

/* What it left is gone before it is on record that it failed; so it is looked for until then. */
static int undo(struct ceremony_session *s, const char *reason, struct cof_diag *diag)
{
	const struct cof_ceremony *c = &s->w->c;
	bool makes = cof_ceremony_step(c->kind, c->steps_done) == COF_STEP_MAKE;
	cof_autofree char *path = makes ? ceremony_path(s->w, "kit-%u", c->attempt) : ceremony_path(s->w, "delivered-%u.age", c->attempt);
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && makes)
		r = ceremony_remove(path, diag);
	else if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	else if (r == 0)
		r = ceremony_sync(path);
	if (r < 0 && !*diag->text)
		return cof_fail(diag, r, "%s is of an attempt that did not come to its end, and cannot be removed: %s", path ? path : "what was made", strerror(-r));
	return r == 0 ? failed(s, reason, diag) : r;
}

static int begin(struct ceremony_session *s, struct cof_diag *diag)
{
	struct cof_json *own;
	int r = 0;

	if (s->w->c.open) { /* of a session before */
		ceremony_tell(s, CT_TRY, "-");
		r = undo(s, "stopped", diag);
	}
	if (r < 0)
		return r;
	own = cof_json_object();
	cof_json_set_uint(own, "attempt", s->w->c.attempt + 1);
	return ceremony_line(s->w, COF_CER_BEGUN, own, diag);
}

/* An attempt failed by r: on record, and -EAGAIN; -EINTR as it is. */
static int broke(struct ceremony_session *s, int r, const struct cof_diag *why, struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(*why->text ? why->text : strerror(-r));
	int err = undo(s, r == -EINTR || r == -ETIMEDOUT ? "stopped" : "refused", diag);

	if (err < 0)
		return err;
	ceremony_tell(s, CT_TRY, shown ? shown : "?");
	return r == -EINTR ? -ECANCELED : -EAGAIN;
}

/* ---- the files it is about ---- */

/* What lies there is what the first line named. */
static int same_file(struct ceremony_session *s, const char *name, const char *key, size_t most, char **ret, struct cof_diag *diag)
{
	const char *said = cof_json_str(s->w->c.line[0].o, key);
	uint8_t digest[COF_HASH];
	char hex[65];
	int r;

	*ret = ceremony_path(s->w, "%s", name);
	r = *ret ? ceremony_digest(*ret, most, digest, diag) : -ENOMEM;
	if (r < 0)
		return r;
	cof_hex(digest, sizeof(digest), hex);
	return said && !strcmp(said, hex) ? 0 : cof_fail(diag, -EPERM, "%s was altered since the ceremony was begun", *ret);
}

/* As it was read, not as it lies there by now. */
static int load_document(struct ceremony_session *s, struct cof_epoch *ret, struct cof_diag *diag)
{
	cof_autofree char *path = ceremony_path(s->w, "document.json");
	cof_autobuf struct cof_buf text = {0};
	uint8_t digest[COF_HASH], said[COF_HASH];
	int r = path ? ceremony_epoch(path, ret, diag) : -ENOMEM;

	if (r == 0)
		r = cof_epoch_write(ret, &text);
	if (r < 0)
		return r;
	cof_sha256(text.data, text.len, digest);
	if (cof_unhex(cof_json_str(s->w->c.line[0].o, "document"), 64, said) < 0 || !cof_equal(digest, said, COF_HASH))
		return cof_fail(diag, -EPERM, "%s was altered since the ceremony was begun", path);
	return 0;
}

static struct share_gathering gathering(const struct ceremony_session *s, const struct cof_epoch *e)
{
	return (struct share_gathering){.epoch = e,
					.title = ceremony_kind_text(s->language, s->w->c.kind),
					.fds = s->fds,
					.n_fds = s->n_fds,
					.passphrase_fd = s->passphrase_fd,
					.idle = s->idle};
}

/* ---- make ---- */

static int make_it(struct ceremony_session *s, const char *scheme, const char *kit, struct cof_json *o, struct cof_diag *diag)
{
	const struct cof_ceremony *c = &s->w->c;
	struct epoch_asked a = {.scheme = scheme, .dir = kit, .number = c->epoch, .rehearsal = c->rehearsal, .sheets_fd = s->sheets_fd,
				.language = s->language, .html = s->html};
	struct cof_epoch old = {0};
	struct share_gathering g;
	int r;

	if (c->kind == COF_CEREMONY_CREATION)
		return escrow_epoch_make(&a, o, diag);
	r = load_document(s, &old, diag);
	if (r == 0) {
		g = gathering(s, &old);
		r = escrow_epoch_reshare(&a, &g, o, diag);
	}
	cof_epoch_done(&old);
	return r;
}

/* The challenges go beside the document: those who confirm later are asked by them. */
static int keep(struct ceremony_session *s, const char *kit, const struct cof_json *o, struct cof_diag *diag)
{
	cof_autofree char *path = NULL, *document = NULL;
	cof_autobuf struct cof_buf text = {0};
	struct cof_json *own = cof_json_object();
	uint8_t digest[COF_HASH], key[COF_AGE_KEY];
	const char *recipient = cof_json_str(o, "recipient");
	int r = cof_json_canonical(cof_json_get(o, "challenges"), &text);

	if (r == 0 && (asprintf(&path, "%s/challenges.json", kit) < 0 || asprintf(&document, "%s/epoch.json", kit) < 0))
		r = -ENOMEM;
	if (r == 0)
		r = ceremony_put(path, text.data, text.len, diag);
	if (r == 0)
		r = ceremony_digest(document, COF_EPOCH_MAX, digest, diag);
	if (r == 0)
		r = cof_age_recipient_parse(recipient, strlen(recipient), key);
	if (r < 0) {
		cof_json_free(own);
		return r;
	}
	set_hex(own, "document", digest);
	set_hex(own, "epoch_key", key);
	return ceremony_line(s->w, COF_CER_MADE, own, diag);
}

int ceremony_make(struct ceremony_session *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autofree char *scheme = NULL, *kit = NULL;
	struct cof_diag why = {""};
	int r = same_file(s, "scheme.ini", "scheme", SCHEME_MAX, &scheme, diag);

	if (r == 0)
		r = begin(s, diag);
	if (r < 0)
		return r;
	kit = ceremony_path(s->w, "kit-%u", s->w->c.attempt);
	r = kit ? make_it(s, scheme, kit, o, &why) : -ENOMEM;
	if (r < 0)
		return broke(s, r, &why, diag);
	r = keep(s, kit, o, diag);
	if (r == 0)
		ceremony_tell(s, CT_MADE, s->w->c.epoch, kit);
	return r;
}

/* ---- challenges, and what answers them ---- */

static int load_json(const char *path, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r = file_load(path, COF_EPOCH_MAX, &text, diag);

	if (r == 0)
		r = cof_json_parse(text.data ? (char *)text.data : "", text.len, ret);
	return r < 0 ? cof_fail(diag, r, "%s: %s", path, strerror(-r)) : 0;
}

struct asking { /* custodians for proofs */
	struct ceremony_session *s;
	struct cof_epoch *e;
	const struct cof_json *challenges;
	int (*answer)(struct asking *q, unsigned holder, const char *challenge, const char *proof, struct cof_diag *diag);
	const char *document;
};

static bool is_wanted(const struct asking *q, unsigned holder)
{
	const struct cof_json *which = cof_json_get(q->s->w->c.line[0].o, "which");
	uint64_t v;

	for (size_t i = 0; i < cof_json_count(which); i++)
		if (cof_json_value_uint(cof_json_at(which, i), &v) == 0 && v == holder)
			return !q->s->w->c.holder[holder];
	return !which && !q->s->w->c.holder[holder];
}

static unsigned tell_missing(const struct asking *q)
{
	unsigned n = 0;

	for (unsigned i = 0; i < q->e->scheme.n_custodians; i++)
		if (is_wanted(q, i)) {
			const char *name = q->e->scheme.custodian[i].name, *challenge = cof_json_str(q->challenges, name);

			ceremony_tell(q->s, CT_PROVE, name, challenge ? challenge : "?");
			n++;
		}
	return n;
}

static int take_answer(struct asking *q, char *line, struct cof_diag *diag)
{
	struct cof_diag why = {""};
	char *proof = strchr(line, ' ');
	const char *challenge;
	int holder, r;

	if (proof)
		*proof++ = 0;
	holder = cof_epoch_find(q->e, line);
	challenge = cof_json_str(q->challenges, line);
	if (!proof || holder < 0 || !challenge || !is_wanted(q, (unsigned)holder)) {
		ceremony_tell(q->s, CT_WHAT);
		return 0;
	}
	r = q->answer(q, (unsigned)holder, challenge, proof, &why);
	if (r == -EBADMSG || r == -EINVAL) {
		cof_autofree char *shown = escaped(why.text);

		ceremony_tell(q->s, CT_WRONG, line, *why.text && shown ? shown : strerror(-r));
		return 0;
	}
	return r < 0 && r != -ECANCELED && *why.text ? cof_fail(diag, r, "%s", why.text) : r;
}

/* Until the last is there. */
static int ask_all(struct asking *q, struct cof_diag *diag)
{
	unsigned number = q->s->w->c.steps_done;
	char line[4096];
	bool tell = true;
	int r;

	while (q->s->w->c.steps_done == number && (!tell || tell_missing(q))) {
		ceremony_tell(q->s, CT_PROOFS);
		r = ceremony_ask(q->s, line, sizeof(line), diag);
		tell = r == -ENODATA || !*line;
		if (r == 0 && *line)
			r = take_answer(q, line, diag);
		if (r < 0 && r != -ENODATA)
			return r;
		if (r == 0 && !tell) { /* done with the last */
			unsigned left = 0;

			for (unsigned i = 0; i < q->e->scheme.n_custodians; i++)
				left += is_wanted(q, i);
			if (!left)
				return 0;
		}
	}
	return 0;
}

/* ---- confirm ---- */

static int confirmed(struct ceremony_session *s, unsigned holder, struct cof_diag *diag)
{
	struct cof_json *own = cof_json_object();

	cof_json_set_uint(own, "holder", holder);
	return ceremony_line(s->w, COF_CER_CONFIRMED, own, diag);
}

static int confirm_one(struct asking *q, unsigned holder, const char *challenge, const char *proof, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *name = q->e->scheme.custodian[holder].name;
	int r = escrow_epoch_confirm(q->document, name, challenge, proof, o, diag);

	if (r == 0)
		r = confirmed(q->s, holder, diag);
	if (r == 0)
		ceremony_tell(q->s, CT_PROVED, name);
	return r;
}

/* The document is the one that was made, but for what custodians have confirmed since. */
static int check_document(const struct ceremony *w, const struct cof_epoch *e, const char *path, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_epoch_holder *then = calloc(e->scheme.n_custodians, sizeof(*then));
	struct cof_epoch as_made = *e;
	const char *said = NULL;
	uint8_t digest[COF_HASH];
	char hex[65];
	int r = then ? 0 : -ENOMEM;

	for (size_t i = 0; i < w->c.n_lines; i++)
		if (w->c.line[i].what == COF_CER_MADE)
			said = cof_json_str(w->c.line[i].o, "document");
	for (unsigned i = 0; r == 0 && i < e->scheme.n_custodians; i++)
		memcpy(then[i].commitment, e->holder[i].commitment, sizeof(then[i].commitment));
	as_made.holder = then;
	if (r == 0)
		r = cof_epoch_write(&as_made, &text);
	free(then);
	if (r < 0)
		return r;
	cof_sha256(text.data, text.len, digest);
	cof_hex(digest, sizeof(digest), hex);
	return said && !strcmp(said, hex) ? 0 : cof_fail(diag, -EPERM, "%s is not the document that was made", path);
}

static int put_valid(struct ceremony_session *s, const char *path, struct cof_diag *diag)
{
	struct cof_json *own;
	struct cof_epoch e = {0};
	uint8_t digest[COF_HASH];
	int r = ceremony_epoch(path, &e, diag);

	if (r == 0 && !cof_epoch_valid(&e))
		r = cof_fail(diag, -EPERM, "%s is not valid", path);
	cof_epoch_done(&e);
	if (r == 0)
		r = ceremony_digest(path, COF_EPOCH_MAX, digest, diag);
	if (r < 0)
		return r;
	own = cof_json_object();
	set_hex(own, "document", digest);
	return ceremony_line(s->w, COF_CER_VALID, own, diag);
}

static unsigned made_attempt(const struct cof_ceremony *c)
{
	for (size_t i = 0; i < c->n_lines; i++)
		if (c->line[i].what == COF_CER_MADE)
			return c->line[i].number;
	return 0;
}

int ceremony_confirm(struct ceremony_session *s, struct cof_diag *diag)
{
	unsigned attempt = made_attempt(&s->w->c);
	cof_autofree char *path = ceremony_path(s->w, "kit-%u/epoch.json", attempt), *asked = ceremony_path(s->w, "kit-%u/challenges.json", attempt);
	cof_autojson struct cof_json *challenges = NULL;
	struct cof_epoch e = {0};
	struct asking q = {.s = s, .e = &e, .answer = confirm_one, .document = path};
	int r = path && asked ? ceremony_epoch(path, &e, diag) : -ENOMEM;

	if (r == 0)
		r = check_document(s->w, &e, path, diag);
	if (r == 0)
		r = load_json(asked, &challenges, diag);
	q.challenges = challenges;
	for (unsigned i = 0; r == 0 && i < e.scheme.n_custodians; i++)
		if (e.holder[i].challenge[0] && !s->w->c.holder[i]) /* the session ended between the two */
			r = confirmed(s, i, diag);
	if (r == 0)
		r = ask_all(&q, diag);
	cof_epoch_done(&e);
	return r == 0 ? put_valid(s, path, diag) : r;
}

/* ---- deliver ---- */

static int deliver_it(struct ceremony_session *s, const char *output, struct cof_diag *diag)
{
	cof_autosecret uint8_t(*identity)[COF_AGE_KEY] = cof_secret_alloc(sizeof(*identity));
	const char *to = cof_json_str(s->w->c.line[0].o, "to");
	uint8_t recipient[1][COF_AGE_KEY];
	cof_autofree char *input = NULL;
	struct share_delivery d = {.output = output, .to = (const uint8_t(*)[COF_AGE_KEY])recipient, .n_to = 1};
	uint8_t digest[COF_HASH];
	struct share_gathering g;
	struct cof_epoch e = {0};
	bool canary = false;
	int r = identity ? same_file(s, "input.age", "input", COF_AGE_FILE_MAX, &input, diag) : -ENOMEM;

	d.input = input;
	d.digest = digest;
	if (r == 0)
		r = cof_unhex(cof_json_str(s->w->c.line[0].o, "input"), 64, digest);
	if (r == 0)
		r = cof_age_recipient_parse(to, strlen(to), recipient[0]);
	if (r == 0)
		r = load_document(s, &e, diag);
	if (r == 0) {
		g = gathering(s, &e);
		r = share_gather(&g, *identity, diag);
	}
	if (r == 0)
		r = share_deliver(&d, (const uint8_t(*)[COF_AGE_KEY])identity, &canary, diag);
	cof_epoch_done(&e);
	return r;
}

int ceremony_deliver(struct ceremony_session *s, struct cof_diag *diag)
{
	cof_autofree char *output = NULL;
	struct cof_diag why = {""};
	struct cof_json *own;
	uint8_t digest[COF_HASH];
	int r = begin(s, diag);

	if (r < 0)
		return r;
	output = ceremony_path(s->w, "delivered-%u.age", s->w->c.attempt);
	r = output ? deliver_it(s, output, &why) : -ENOMEM;
	if (r == 0)
		r = ceremony_digest(output, 2 * COF_AGE_FILE_MAX, digest, &why);
	if (r < 0)
		return broke(s, r, &why, diag);
	own = cof_json_object();
	set_hex(own, "output", digest);
	r = ceremony_line(s->w, COF_CER_DELIVERED, own, diag);
	if (r == 0)
		ceremony_tell(s, CT_DELIVERED, output);
	return r;
}

/* ---- destroy ---- */

static int destroy_one(struct asking *q, unsigned holder, const char *challenge, const char *proof, struct cof_diag *diag)
{
	const char *name = q->e->scheme.custodian[holder].name;
	struct cof_json *own;
	char line[4096];
	int r = cof_proof_verify(q->e->holder[holder].commitment, challenge, proof);

	if (r < 0)
		return cof_fail(diag, r, "the proof was not made with the share of %s for this challenge", name);
	ceremony_tell(q->s, CT_PROVED, name);
	ceremony_tell(q->s, CT_DESTROY_NOW, name);
	r = ceremony_ask(q->s, line, sizeof(line), diag);
	if (r < 0)
		return r;
	if (strcmp(line, name) != 0) {
		ceremony_tell(q->s, CT_WHAT);
		return 0;
	}
	own = cof_json_object();
	cof_json_set_str(own, "challenge", challenge);
	set_hex(own, "commitment", q->e->holder[holder].commitment);
	cof_json_set_uint(own, "holder", holder);
	cof_json_set_str(own, "proof", proof);
	return ceremony_line(q->s->w, COF_CER_DESTROYED, own, diag);
}

/* The one that is of this ceremony; one that a version before drew stays, since its custodian may have taken it home. */
static int choose(const struct ceremony_session *s, unsigned holder, const char *name, const struct cof_json *there, struct cof_json *ret)
{
	const char *drawn = there ? cof_json_str(there, name) : NULL;
	char challenge[COF_CEREMONY_CHALLENGE];
	int r = cof_ceremony_challenge(&s->w->c, holder, challenge);

	if (r == 0)
		cof_json_set_str(ret, name, drawn && cof_proof_challenge_ok(drawn, "destroy") ? drawn : challenge);
	return r;
}

static int get_challenges(struct ceremony_session *s, const struct cof_epoch *e, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autofree char *path = ceremony_path(s->w, "challenges.json");
	cof_autojson struct cof_json *there = NULL;
	cof_autobuf struct cof_buf text = {0};
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && access(path, F_OK) == 0)
		r = load_json(path, &there, diag);
	*ret = cof_json_object();
	for (unsigned i = 0; r == 0 && i < e->scheme.n_custodians; i++)
		r = choose(s, i, e->scheme.custodian[i].name, there, *ret);
	if (r < 0 || there)
		return r;
	r = cof_json_canonical(*ret, &text);
	return r == 0 ? ceremony_put(path, text.data, text.len, diag) : r;
}

int ceremony_destroy(struct ceremony_session *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *challenges = NULL;
	struct cof_epoch e = {0};
	struct asking q = {.s = s, .e = &e, .answer = destroy_one};
	int r = load_document(s, &e, diag);

	if (r == 0)
		r = get_challenges(s, &e, &challenges, diag);
	q.challenges = challenges;
	if (r == 0)
		r = ask_all(&q, diag);
	cof_epoch_done(&e);
	return r;
}
