/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies would lock: each open file is judged by the same function that a commit asks, each
 * committed one by what follows certificates. Nothing is changed, and nothing of it is on record.
 */
#include "tools/plan.h"

#include "crypto/cert.h"

#include <stdio.h>

/* ---- shelves ---- */

struct planned *plan_shelf(struct plan *p, const char *name, bool add)
{
	struct planned *s;

	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->shelf[i].name, name))
			return &p->shelf[i];
	if (!add)
		return NULL;
	s = reallocarray(p->shelf, p->n + 1, sizeof(*s));
	if (!s)
		return NULL;
	p->shelf = s;
	s += p->n++;
	*s = (struct planned){.open = {.from = INT64_MAX, .to = INT64_MIN},
			      .committed = {.from = INT64_MAX, .to = INT64_MIN},
			      .longer_to = INT64_MIN};
	snprintf(s->name, sizeof(s->name), "%s", name);
	cof_policy_default(&s->policy);
	return s;
}

static int take_shelf(void *user, struct cof_json *o)
{
	const char *name = cof_json_str(o, "name"), *text = cof_json_str(o, "policy");
	struct planned *s = plan_shelf(user, name ? name : "", true);
	int r;

	if (!s)
		return -ENOMEM;
	s->exists = true;
	r = text ? cof_policy_parse(text, strlen(text), &s->policy, NULL) : -EUCLEAN;
	s->old = s->policy;
	return r;
}

int plan_shelves(struct plan *p, struct cof_diag *diag)
{
	return source_shelves(&p->source, take_shelf, p, diag);
}

void plan_done(struct plan *p)
{
	source_close(&p->source);
	free(p->shelf);
}

/* ---- certificates ---- */

static int take_certificate(void *user, struct cof_json *o)
{
	const char *kind = cof_json_str(o, "kind"), *from = cof_json_str(o, "not_before"),
		   *to = cof_json_str(o, "not_after");
	struct plan *p = user;
	int64_t begin, end;

	if (!to || cof_time_parse(to, &end) < 0)
		return 0;
	p->latest = COF_MAX(p->latest, end);
	if (kind && !strcmp(kind, "certificate") && from && cof_time_parse(from, &begin) == 0 &&
	    end > begin)
		p->longest = COF_MAX(p->longest, end - begin);
	return 0;
}

static int64_t later(int64_t end, int64_t margin)
{
	int64_t sum;

	if (end == COF_CERT_NO_TIME)
		return COF_RETAIN_NONE;
	return __builtin_add_overflow(end, margin, &sum) || sum == COF_RETAIN_INFINITE
		   ? COF_RETAIN_INFINITE - 1
		   : sum;
}

static int keep_none(void *user COF_UNUSED, const struct cof_cert *c COF_UNUSED)
{
	return 0;
}

/* What the certificates in an open file ask for. */
static int content_least(struct plan *p, struct planned *s, const struct cof_json *o, int64_t *ret)
{
	struct cof_cert_sum sum = {.not_after = COF_CERT_NO_TIME};
	cof_autofree uint8_t *buf = malloc(COF_CERT_FILE_MAX);
	const char *path = cof_json_str(o, "path");
	int64_t ino = 0;
	size_t n = 0;
	int r;

	*ret = COF_RETAIN_NONE;
	if (!buf)
		return -ENOMEM;
	if (s->old.read_events && !p->source.archive) { /* a look would be on record */
		s->unread++;
		return 0;
	}
	(void)cof_json_int(o, "ino", &ino);
	r = source_content(&p->source, (uint64_t)ino, path ? path : "", buf, COF_CERT_FILE_MAX, &n);
	if (r == 0)
		r = cof_cert_read(buf, n, keep_none, NULL, &sum, NULL);
	explicit_bzero(buf, n);
	if (r == -ENOMEM)
		return r;
	s->unread += r < 0 && r != -ENODATA && r != -EUCLEAN;
	if (r == 0)
		*ret = later(sum.not_after, s->policy.retain_margin);
	return 0;
}

/* ---- files ---- */

static void add_end(struct range *g, int64_t size, int64_t until, bool waiting)
{
	g->files++;
	g->bytes += (uint64_t)size;
	if (waiting)
		g->waiting++;
	else if (until == COF_RETAIN_NONE || until == COF_RETAIN_INFINITE)
		g->for_ever++;
	else {
		g->from = COF_MIN(g->from, until);
		g->to = COF_MAX(g->to, until);
	}
}

static int64_t end_text(const struct cof_json *o, const char *key)
{
	const char *text = cof_json_str(o, key);
	int64_t t;

	return text && cof_retain_parse(text, strlen(text), &t) == 0 ? t : COF_RETAIN_NONE;
}

static int take_open(struct plan *p, struct planned *s, const struct cof_json *o, int64_t size)
{
	struct cof_object view = {
	    .kind = COF_KIND_FILE, .state = COF_STATE_OPEN, .size = (uint64_t)size};
	const struct cof_op op = {.kind = COF_OP_COMMIT, .retain = COF_RETAIN_NONE};
	const char *path = cof_json_str(o, "path");
	struct cof_ruling rl;
	int64_t least;
	int r = 0;

	view.retain_until = COF_RETAIN_NONE;
	view.asked_until = end_text(o, "asked_until");
	view.least_until = COF_RETAIN_NONE;
	if (s->policy.retain_certificates)
		view.least_until =
		    cof_rule_follow(p->latest, p->longest, p->at, s->policy.retain_margin);
	cof_rule(&s->policy, &view, &op, &(struct cof_who){.uid = 0}, p->at, &rl);
	if (rl.error) {
		s->refused++;
	} else if (s->policy.certificates && size) {
		r = content_least(p, s, o, &least);
		if (r == 0)
			cof_rule_least(least, &rl);
	}
	if (r == 0 && !rl.error)
		add_end(&s->open, size, rl.retain_until, rl.event != NULL);
	return r == 0 && p->file ? p->file(p->user, path ? path : "?", &rl) : r;
}

static void take_committed(struct plan *p, struct planned *s, const struct cof_json *o,
			   int64_t size)
{
	int64_t until = end_text(o, "retain_until"), from = end_text(o, "committed_at"), follow;

	add_end(&s->committed, size, until, cof_json_str(o, "event") != NULL);
	if (!s->policy.retain_certificates || until == COF_RETAIN_NONE)
		return;
	follow = cof_rule_follow(p->latest, p->longest, from, s->policy.retain_margin);
	if (follow <= until)
		return;
	s->longer++;
	s->longer_to = COF_MAX(s->longer_to, follow);
}

static int take_object(void *user, struct cof_json *o)
{
	const char *shelf = cof_json_str(o, "shelf"), *state = cof_json_str(o, "state");
	struct plan *p = user;
	struct planned *s = shelf ? plan_shelf(p, shelf, false) : NULL;
	int64_t size = 0;

	if (!s || !state)
		return 0;
	(void)cof_json_int(o, "size", &size);
	if (!strcmp(state, "open"))
		return take_open(p, s, o, size);
	if (!strcmp(state, "committed"))
		take_committed(p, s, o, size);
	s->expired += !strcmp(state, "expired");
	return 0;
}

int plan_files(struct plan *p, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	bool follows = false;
	int r = 0;

	p->latest = COF_RETAIN_NONE;
	p->longest = 0;
	for (size_t i = 0; i < p->n; i++)
		follows |= p->shelf[i].policy.retain_certificates;
	if (follows)
		r = source_certs(&p->source, args, take_certificate, p, diag);
	return r < 0 ? r : source_objects(&p->source, take_object, p, diag);
}
