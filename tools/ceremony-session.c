/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of a ceremony: what the transcript lacks is asked for, one thing after the other. Whatever kills it, the next one
 * begins with what the transcript says; nothing is remembered elsewhere.
 */
#include "tools/ceremony.h"
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/people.h"

#include <signal.h>
#include <stdio.h>

static void say_diag(const struct ceremony_session *s, enum ceremony_text t, const char *name, const struct cof_diag *why)
{
	cof_autofree char *shown = escaped(why->text);

	ceremony_tell(s, t, name, shown ? shown : "?");
}

/* ---- what is typed ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int sig COF_UNUSED)
{
	interrupted = 1;
}

static bool read_line(char *line, size_t n)
{
	size_t len;

	if (interrupted || !fgets(line, (int)n, stdin))
		return false;
	len = strcspn(line, "\r\n");
	if (!line[len] && !feof(stdin)) /* longer than anything that is asked for */
		while (fgets(line, (int)n, stdin) && !strchr(line, '\n'))
			;
	line[len] = 0;
	return true;
}

/* Typed twice: it is the end of the ceremony, and on record. */
static int abandon(struct ceremony_session *s, struct cof_diag *diag)
{
	struct cof_json *own;
	char line[64];

	if (s->w->c.closing || (!s->w->c.told && !s->w->c.steps_done)) {
		ceremony_tell(s, CT_WHAT);
		return 0;
	}
	ceremony_tell(s, CT_SURE);
	if (!read_line(line, sizeof(line)) || strcmp(line, "abandon") != 0)
		return 0;
	own = cof_json_object();
	cof_json_set_str(own, "outcome", "abandoned");
	return ceremony_line(s->w, COF_CER_CLOSING, own, diag);
}

int ceremony_ask(struct ceremony_session *s, char *line, size_t n, struct cof_diag *diag)
{
	int r;

	line[0] = 0;
	if (!read_line(line, n) || !strcmp(line, "stop"))
		return -ECANCELED;
	if (strcmp(line, "abandon") != 0)
		return 0;
	r = abandon(s, diag);
	return r < 0 ? r : s->w->c.closing ? -EPIPE : -ENODATA;
}

/* ---- signatures ---- */

static bool is_auditor(const struct ceremony *w, unsigned person)
{
	const struct cof_person *p = cof_people_find(&w->people, w->c.roll[person]);

	return p && (p->roles & COF_ROLE_AUDITOR);
}

/* Whose signature is asked for now, and is not there. */
static bool is_asked(const struct ceremony *w, enum cof_ceremony_what what, unsigned i)
{
	if (what == COF_CER_PRESENT)
		return !w->c.present[i];
	if (what == COF_CER_AGREED)
		return w->c.present[i] && !w->c.agreed[i] && !is_auditor(w, i);
	return w->c.present[i] && !w->c.has_signed[i];
}

static bool has_all(const struct ceremony *w, enum cof_ceremony_what what)
{
	if (what == COF_CER_AGREED)
		return w->c.n_agreed >= 2;
	if (what == COF_CER_SIGNED)
		return w->c.complete;
	for (unsigned i = 0; i < w->c.n_roll; i++)
		if (!w->c.present[i])
			return false;
	return true;
}

/* What is to be signed by that person now: sign/NN-NAME, written anew where it is not as it has to be. */
static int statement(const struct ceremony_session *s, enum cof_ceremony_what what, unsigned person, char **ret, struct cof_diag *diag)
{
	const struct cof_ceremony *c = &s->w->c;
	cof_autobuf struct cof_buf text = {0}, have = {0};
	size_t about = c->n_lines - 1;
	int r = cof_ceremony_statement(c, what, c->roll[person], &text);

	while (about && c->line[about].what != COF_CER_TOLD && c->line[about].what != COF_CER_CLOSING)
		about--;
	*ret = ceremony_path(s->w, "sign/%02zu-%s", about, c->roll[person]);
	if (r < 0 || !*ret)
		return r < 0 ? r : -ENOMEM;
	if (access(*ret, F_OK) == 0 && file_load(*ret, COF_CEREMONY_STATEMENT_MAX, &have, diag) == 0 && have.len == text.len &&
	    !memcmp(have.data, text.data, text.len))
		return 0;
	return ceremony_put(*ret, text.data, text.len, diag);
}

static int take(struct ceremony_session *s, enum cof_ceremony_what what, unsigned person, const struct cof_buf *armored,
		struct cof_diag *diag)
{
	struct cof_diag why = {""};
	int r = ceremony_sign(s->w, what, person, armored, &why);

	if (r == -EKEYREJECTED) {
		say_diag(s, CT_WRONG, s->w->c.roll[person], &why);
		return 0;
	}
	if (r < 0)
		return cof_fail(diag, r, "%s", why.text);
	ceremony_tell(s, CT_TAKEN, s->w->c.roll[person]);
	return 0;
}

/* Signatures that were brought: beside the statements. tell: what is still missing is said. */
static int look(struct ceremony_session *s, enum cof_ceremony_what what, bool tell, struct cof_diag *diag)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->w->c.n_roll && !has_all(s->w, what); i++) {
		cof_autofree char *path = NULL, *beside = NULL;
		cof_autobuf struct cof_buf armored = {0};

		if (!is_asked(s->w, what, i))
			continue;
		r = statement(s, what, i, &path, diag);
		if (r == 0 && asprintf(&beside, "%s.sig", path) < 0) {
			beside = NULL;
			r = -ENOMEM;
		}
		if (r == 0 && access(beside, F_OK) == 0) {
			r = file_load(beside, COF_SIGNATURE_MAX, &armored, diag);
			if (r == 0)
				r = take(s, what, i, &armored, diag);
		} else if (r == 0 && tell) {
			ceremony_tell(s, CT_SIGN, s->w->c.roll[i], cof_ceremony_purpose(&s->w->c), path);
		}
	}
	return r;
}

/* "anna /media/stick/anna": signed here, with a key that lies there. */
static int sign_here(struct ceremony_session *s, enum cof_ceremony_what what, char *line, struct cof_diag *diag)
{
	char *key = strchr(line, ' ');
	unsigned person = 0;

	if (key)
		*key++ = 0;
	while (person < s->w->c.n_roll && strcmp(s->w->c.roll[person], line) != 0)
		person++;
	if (!key || !*key || person == s->w->c.n_roll || !is_asked(s->w, what, person)) {
		ceremony_tell(s, CT_WHAT);
		return 0;
	}
	{
		cof_autofree char *path = NULL;
		cof_autobuf struct cof_buf armored = {0};
		struct cof_diag why = {""};
		int r = statement(s, what, person, &path, diag);

		if (r < 0)
			return r;
		r = people_sign(path, cof_ceremony_purpose(&s->w->c), key, &armored, &why);
		if (r < 0) {
			say_diag(s, CT_WRONG, s->w->c.roll[person], &why);
			return 0;
		}
		return take(s, what, person, &armored, diag);
	}
}

static bool enough(const struct ceremony *w)
{
	unsigned auditors = 0, others = 0;

	for (unsigned i = 0; i < w->c.n_roll; i++) {
		auditors += w->c.present[i] && is_auditor(w, i);
		others += w->c.present[i] && !is_auditor(w, i);
	}
	return auditors && others >= 2;
}

/* Until those who are asked have signed. */
static int gather(struct ceremony_session *s, enum cof_ceremony_what what, struct cof_diag *diag)
{
	bool tell = true;
	char line[4096];
	int r;

	for (;;) {
		r = look(s, what, tell, diag);
		if (r < 0 || has_all(s->w, what))
			return r;
		ceremony_tell(s, what == COF_CER_PRESENT ? CT_SIGN_ROLL : CT_SIGN_ASK);
		r = ceremony_ask(s, line, sizeof(line), diag);
		tell = r == -ENODATA || (r == 0 && !*line);
		if (r == -EPIPE && what == COF_CER_AGREED)
			return 0; /* it is closing */
		if (r < 0 && r != -ENODATA)
			return r;
		if (what == COF_CER_PRESENT && !strcmp(line, "go")) {
			if (enough(s->w))
				return 0;
			ceremony_tell(s, CT_FEW);
		} else if (r == 0 && *line) {
			r = sign_here(s, what, line, diag);
			if (r < 0)
				return r;
		}
	}
}

/* ---- steps ---- */

/* Keys of the first line that only chain it, and of the sheet that only hide it. */
static void tell_one(void *user COF_UNUSED, const char *key, const char *text)
{
	static const char *const passed[] = {"format", "kind", "n", "nonce", "people", "previous", "rehearsal", "salt", "sheet", "time", "what"};
	cof_autofree char *shown = text ? escaped(text) : NULL;

	for (size_t i = 0; i < COF_COUNT(passed); i++)
		if (!strcmp(passed[i], key))
			return;
	if (shown)
		printf("  %s: %s\n", key, shown);
}

/* What is to happen, in the particulars that the first line and the sheet fix. */
static int tell_plan(struct ceremony_session *s, struct cof_diag *diag)
{
	cof_autofree char *path = ceremony_path(s->w, "sheet.json");
	cof_autobuf struct cof_buf text = {0};
	cof_autojson struct cof_json *sheet = NULL;
	const struct cof_json *names, *which = cof_json_get(s->w->c.line[0].o, "which");
	uint8_t digest[COF_HASH];
	uint64_t at;
	int r = path ? file_load(path, 60000, &text, diag) : -ENOMEM;

	if (r < 0)
		return r;
	cof_sha256(text.data ? text.data : (uint8_t *)"", text.len, digest);
	if (memcmp(digest, s->w->c.sheet, sizeof(digest)) != 0 || cof_json_parse((char *)text.data, text.len, &sheet) < 0)
		return cof_fail(diag, -EPERM, "%s was altered since the ceremony was begun", path);
	cof_json_each(s->w->c.line[0].o, tell_one, NULL);
	cof_json_each(sheet, tell_one, NULL);
	names = cof_json_get(sheet, "custodians");
	if (!cof_json_count(names))
		return 0;
	printf("  custodians:");
	for (size_t i = 0; i < (which ? cof_json_count(which) : cof_json_count(names)); i++) {
		const char *name = !which				      ? cof_json_value_str(cof_json_at(names, i))
				   : cof_json_value_uint(cof_json_at(which, i), &at) == 0 ? cof_json_value_str(cof_json_at(names, (size_t)at))
										  : NULL;
		cof_autofree char *shown = name ? escaped(name) : NULL;

		printf(" %s", shown ? shown : "?");
	}
	printf("\n");
	return 0;
}

static int tell_step(struct ceremony_session *s, enum cof_ceremony_step step, struct cof_diag *diag)
{
	struct cof_json *own;
	int r;

	ceremony_tell(s, CT_STEP, ceremony_step_text(s->language, s->w->c.kind, step));
	r = step == COF_STEP_PLAN ? tell_plan(s, diag) : 0;
	if (r < 0)
		return r;
	if (s->w->c.told && cof_ceremony_step(s->w->c.kind, s->w->c.steps_done) == (int)step)
		return 0; /* before it was stopped */
	own = cof_json_object();
	cof_json_set_str(own, "step", cof_ceremony_step_name(step));
	return ceremony_line(s->w, COF_CER_TOLD, own, diag);
}

static int do_step(struct ceremony_session *s, enum cof_ceremony_step step, struct cof_diag *diag)
{
	static int (*const acts[COF_CEREMONY_STEPS])(struct ceremony_session *, struct cof_diag *) = {
	    [COF_STEP_MAKE] = ceremony_make, [COF_STEP_CONFIRM] = ceremony_confirm, [COF_STEP_DELIVER] = ceremony_deliver,
	    [COF_STEP_DESTROY] = ceremony_destroy};
	char line[4096];
	int r;

	while ((r = acts[step](s, diag)) == -EAGAIN) { /* what went wrong was told */
		ceremony_tell(s, CT_AGAIN);
		r = ceremony_ask(s, line, sizeof(line), diag);
		if (r < 0 && r != -ENODATA)
			return r == -EPIPE ? 0 : r;
	}
	return r == -EPIPE ? 0 : r;
}

static int one_step(struct ceremony_session *s, unsigned number, enum cof_ceremony_step step, struct cof_diag *diag)
{
	int r = tell_step(s, step, diag);

	if (r == 0 && s->w->c.n_agreed < 2) {
		ceremony_tell(s, CT_AGREE);
		r = gather(s, COF_CER_AGREED, diag);
	}
	if (r == 0 && !s->w->c.closing && step != COF_STEP_PLAN && s->w->c.steps_done == number)
		r = do_step(s, step, diag);
	return r;
}

static int steps(struct ceremony_session *s, struct cof_diag *diag)
{
	struct ceremony *w = s->w;
	struct cof_json *own;
	int step, r = 0;

	for (unsigned i = w->c.steps_done; r == 0 && !w->c.closing && (step = cof_ceremony_step(w->c.kind, i)) >= 0; i++)
		r = one_step(s, i, (enum cof_ceremony_step)step, diag);
	if (r < 0 || w->c.closing)
		return r;
	own = cof_json_object();
	cof_json_set_str(own, "outcome", "done");
	return ceremony_line(w, COF_CER_CLOSING, own, diag);
}

static int all(struct ceremony_session *s, struct cof_diag *diag)
{
	struct ceremony *w = s->w;
	char hex[65];
	int r = 0;

	cof_hex(w->c.id, 32, hex);
	ceremony_tell(s, CT_HEAD, hex, ceremony_kind_text(s->language, w->c.kind));
	if (w->c.rehearsal)
		ceremony_tell(s, CT_REHEARSAL);
	if (!w->c.told && !w->c.steps_done && !w->c.closing) {
		ceremony_tell(s, CT_ROLL);
		r = gather(s, COF_CER_PRESENT, diag);
	}
	if (r == 0 && !w->c.closing)
		r = steps(s, diag);
	if (r == 0 && !w->c.complete) {
		ceremony_tell(s, CT_CLOSE, w->c.abandoned ? ceremony_say(s->language, CT_ABANDON) : "OK");
		r = gather(s, COF_CER_SIGNED, diag);
	}
	if (r == 0)
		ceremony_tell(s, CT_COMPLETE, w->dir);
	return r;
}

int ceremony_run(struct ceremony_session *s, struct cof_diag *diag)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction sa = {.sa_handler = on_signal}; /* without SA_RESTART: a question ends */
	int r;

	for (size_t i = 0; i < COF_COUNT(caught); i++)
		(void)sigaction(caught[i], &sa, NULL);
	r = all(s, diag);
	if (r == -ECANCELED || r == -EINTR) {
		ceremony_tell(s, CT_STOPPED, s->w->dir);
		return -ECANCELED;
	}
	return r;
}
