/* SPDX-License-Identifier: Apache-2.0 */
/* Events, shelves, policy, people and certificates of an archive, and its status. */
#include "tools/facts.h"

#include <stdio.h>

static int64_t time_of(const struct cof_json *e, const char *key)
{
	const char *text = cof_json_str(e, key);
	int64_t ns;

	return text && cof_time_parse(text, &ns) == 0 ? ns : INT64_MIN;
}

/* ---- what each thing says ---- */

static struct done *done_of(struct facts *f, const char *type, int *ret)
{
	struct done *grown;

	*ret = 0;
	if (!type)
		return NULL;
	for (size_t i = 0; i < f->n_done; i++)
		if (!strcmp(f->done[i].type, type))
			return &f->done[i];
	if (f->n_done == DONE_MAX || strlen(type) >= sizeof(grown->type))
		return NULL;
	grown = reallocarray(f->done, f->n_done + 1, sizeof(*grown));
	if (!grown) {
		*ret = -ENOMEM;
		return NULL;
	}
	f->done = grown;
	grown += f->n_done++;
	memset(grown, 0, sizeof(*grown));
	memcpy(grown->type, type, strlen(type) + 1);
	return grown;
}

/*
 * A self-check that found something was not passed. What a log that is imported says is its program's word: that
 * something was done counts by a person's signature, or by Coffer itself.
 */
static bool is_done(const struct cof_json *e)
{
	const char *outcome = cof_json_str(e, "outcome"), *type = cof_json_str(e, "event"), *source = cof_json_str(e, "source");

	enum cof_review kind;

	if (!type || (source && strcmp(source, "coffer") != 0 && strcmp(source, "person") != 0))
		return false;
	/* One that does not say what was looked at reviewed nothing. */
	if (cof_review_find(type, &kind) == 0 && !cof_json_get(e, "reviewed_to"))
		return false;
	return (strcmp(type, "self-check") != 0 && strcmp(type, "disclosure-checked") != 0) || !outcome || !strcmp(outcome, "success");
}

/* Of a making, that came to its end and was none to practise: of which epoch, and what came of it. */
static void add_ceremony(struct facts *f, const struct cof_json *e)
{
	const char *key = cof_json_str(e, "epoch_key"), *source = cof_json_str(e, "source"), *document = cof_json_str(e, "document");
	char name[FACTS_MADE];
	int64_t number = 0;

	if (!key || !document || !source || strcmp(source, "coffer") != 0 || cof_json_bool(e, "rehearsal") ||
	    cof_json_int(e, "epoch", &number) < 0)
		return;
	if (!f->ceremonies)
		f->ceremonies = cof_json_array();
	facts_made_name((uint32_t)number, key, document, name);
	cof_json_append(f->ceremonies, cof_json_string(name));
}

void facts_made_name(uint32_t number, const char *epoch_key, const char *document, char ret[FACTS_MADE])
{
	snprintf(ret, FACTS_MADE, "%u %s %s", number, epoch_key, document);
}

/* Of a vault or copy that is left: open until a receipt comes, for ever if none does. */
static int take_retirement(struct facts *f, const struct cof_json *e, bool open)
{
	const char *name = cof_json_str(e, "name");
	struct retirement *of = NULL, *grown;

	for (size_t i = 0; name && i < f->n_retirements; i++)
		if (!strcmp(f->retirements[i].name, name))
			of = &f->retirements[i];
	if (!name || (!of && !open))
		return 0;
	if (!of) {
		grown = reallocarray(f->retirements, f->n_retirements + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		f->retirements = grown;
		of = &grown[f->n_retirements++];
		*of = (struct retirement){.since = time_of(e, "time")};
		snprintf(of->name, sizeof(of->name), "%s", name);
	}
	of->open = open;
	return 0;
}

/* A hold whose case names an incident by the first digits of its id, or a bundle that was made of it (docs/evidence.md 2). */
static int take_kept(struct facts *f, const struct cof_json *e, bool hold)
{
	const char *text = cof_json_str(e, hold ? "case" : "form"), *of = text;
	cof_autojson struct cof_json *form = NULL;
	uint8_t *grown = reallocarray(f->kept, f->incidents.n + 1, 1);

	if (!grown)
		return -ENOMEM;
	memset(grown + f->n_kept, 0, f->incidents.n + 1 - f->n_kept);
	f->kept = grown;
	f->n_kept = f->incidents.n;
	if (!hold && text && cof_json_parse(text, strlen(text), &form) == 0)
		of = cof_json_bool(form, "rehearsal") ? NULL : cof_json_str(form, "incident");
	for (size_t i = 0; of && i < f->n_kept; i++) {
		char digits[9];

		snprintf(digits, sizeof(digits), "%.8s", f->incidents.incident[i].id);
		if (strstr(of, hold ? digits : f->incidents.incident[i].id))
			f->kept[i] |= hold ? KEPT_HOLD : KEPT_BUNDLE;
	}
	return 0;
}

/* A certificate that is made again replaces the one before. */
static void take_destruction_certificate(struct destroyed *d, const struct cof_json *e)
{
	const char *text = cof_json_str(e, "form");
	cof_autojson struct cof_json *form = NULL;
	const struct cof_json *open;
	size_t used = 0;

	if (!text || cof_json_parse(text, strlen(text), &form) < 0)
		return;
	d->certified = true;
	d->agreement = cof_json_bool(form, "agreement");
	d->keys = d->unknown = d->failed = 0;
	(void)cof_json_int(form, "escrowed_keys", &d->keys);
	(void)cof_json_int(form, "unknown", &d->unknown);
	(void)cof_json_int(form, "failed", &d->failed);
	open = cof_json_get(form, "open");
	d->open = cof_json_count(open);
	d->names[0] = '\0';
	for (size_t i = 0; i < d->open && used < sizeof(d->names); i++) {
		const char *name = cof_json_value_str(cof_json_at(open, i));
		int n = snprintf(d->names + used, sizeof(d->names) - used, "%s%s", i ? ", " : "", name ? name : "?");

		used += n > 0 ? (size_t)n : 0;
	}
}

static int take_destroyed(struct facts *f, const struct cof_json *e, bool certificate)
{
	const char *request = cof_json_str(e, "request"), *source = cof_json_str(e, "source");
	struct destroyed *d = NULL, *grown;

	if (!request || strlen(request) != 64 || (source && strcmp(source, "coffer") != 0))
		return 0;
	for (size_t i = 0; i < f->n_destructions; i++)
		if (!strcmp(f->destructions[i].request, request))
			d = &f->destructions[i];
	if (!d && !certificate) {
		grown = reallocarray(f->destructions, f->n_destructions + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		f->destructions = grown;
		d = &grown[f->n_destructions++];
		*d = (struct destroyed){.since = time_of(e, "time")};
		memcpy(d->request, request, 65);
	}
	if (d && certificate)
		take_destruction_certificate(d, e);
	return 0;
}

static int take_event(void *user, struct cof_json *e)
{
	const char *type = cof_json_str(e, "event");
	struct facts *f = user;
	int64_t sequence = 0, bytes = 0;
	struct done *d;
	int r = 0;

	f->events++;
	coverage_take(f->coverage, e);
	if (type && !strncmp(type, "change-", 7))
		r = changes_add(&f->changes, e);
	if (r < 0)
		return r;
	if (type && !strncmp(type, "escrow-", 7))
		r = escrow_ledger_add(&f->escrow, e);
	if (r == 0)
		r = releases_add(&f->releases, e);
	if (type && !strcmp(type, "ceremony"))
		add_ceremony(f, e);
	if (type && !strcmp(type, "vault-drill")) {
		(void)cof_json_int(e, "took_ns", &f->restore_took);
		(void)cof_json_int(e, "promised_ns", &f->restore_promised);
		if (cof_json_int(e, "bytes", &bytes) == 0 && bytes > 0)
			f->restore_bytes = (uint64_t)bytes;
	}
	if (type && !strcmp(type, "vault-enrolled") && !f->first_enrolled) {
		(void)cof_json_int(e, "sequence", &sequence);
		f->first_enrolled = (uint64_t)sequence;
		f->enrolled_at = time_of(e, "time");
	}
	if (type && (!strcmp(type, "vault-retiring") || !strcmp(type, "vault-retired")))
		r = take_retirement(f, e, strcmp(type, "vault-retired") != 0);
	if (r == 0 && type && (!strcmp(type, "destroyed") || !strcmp(type, "destruction-certificate")))
		r = take_destroyed(f, e, type[6] == 'c');
	if (r == 0)
		r = cof_incidents_add(&f->incidents, e);
	if (r == 0 && type && (!strcmp(type, "hold-begin") || !strcmp(type, "disclosed")))
		r = take_kept(f, e, *type == 'h');
	if (r < 0)
		return r;
	if (type && !strcmp(type, "escrow-drill") && f->escrow.n_epochs) /* by proofs of shares (escrow-drills.h), not by anybody's word */
		return 0;
	d = is_done(e) ? done_of(f, type, &r) : NULL;
	if (!d)
		return r;
	(void)cof_json_int(e, "sequence", &sequence);
	d->time = time_of(e, "time");
	d->sequence = (uint64_t)sequence;
	d->count++;
	return 0;
}

static int take_shelf(void *user, struct cof_json *e)
{
	const char *text = cof_json_str(e, "policy"), *path = cof_json_str(e, "path");
	struct facts_shelf *s = NULL, *grown;
	struct facts *f = user;
	int64_t ino;

	if (!text || (cof_json_int(e, "ino", &ino) < 0 && cof_json_int(e, "object", &ino) < 0))
		return 0;
	for (size_t i = 0; i < f->n_shelves && !s; i++)
		s = f->shelves[i].ino == ino ? &f->shelves[i] : NULL;
	if (!s) {
		grown = reallocarray(f->shelves, f->n_shelves + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		f->shelves = grown;
		s = &grown[f->n_shelves++];
		memset(s, 0, sizeof(*s));
		s->ino = ino;
		s->files = -1;
		cof_policy_default(&s->policy);
	}
	if (!path)
		path = cof_json_str(e, "name");
	if (path)
		snprintf(s->name, sizeof(s->name), "%s", path);
	(void)cof_json_int(e, "files", &s->files);
	/* What a later version wrote is left as it was known. */
	return cof_policy_parse(text, strlen(text), &s->policy, NULL) == -ENOMEM ? -ENOMEM : 0;
}

static int set_policy(struct facts *f, const struct cof_json *e, uint64_t sequence)
{
	const char *text = cof_json_str(e, "policy");
	struct cof_profile_file file;
	int r = text ? cof_profile_parse(text, strlen(text), &file, NULL) : -EUCLEAN;

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	f->policy = file.archive;
	f->policy_sequence = sequence;
	cof_profile_file_done(&file);
	return 0;
}

static int take_people(void *user, struct cof_json *e)
{
	const char *text = cof_json_str(e, "people");
	struct facts *f = user;

	if (!text)
		return 0;
	free(f->people);
	f->people = strdup(text);
	return f->people ? 0 : -ENOMEM;
}

static int take_measured(struct facts *f, const struct cof_json *e)
{
	struct cof_json *measured = cof_json_get(e, "measured");
	const char *text = measured ? cof_json_text(measured, false) : NULL;

	cof_buf_done(&f->measured);
	if (text)
		cof_buf_printf(&f->measured, "%s", text);
	return f->measured.failed ? -ENOMEM : 0;
}

static int take_certificate(void *user, struct cof_json *certificate)
{
	struct facts *f = user;

	return cas_take(&f->cas, certificate);
}

static int keep_clock(void *user, struct cof_json *entry)
{
	struct facts *f = user;

	f->last_proof = time_of(cof_json_get(entry, "proof"), "time");
	f->deviation_limit_ms = 0;
	(void)cof_json_int(entry, "deviation_limit_ms", &f->deviation_limit_ms);
	(void)cof_json_int(entry, "deviation_ms", &f->deviation_ms);
	if (time_of(entry, "retention_time") != INT64_MIN)
		f->lag = time_of(entry, "wall_clock") - time_of(entry, "retention_time");
	return 0;
}

/* ---- through the daemon ---- */

static int take_policy(void *user, struct cof_json *e)
{
	int64_t sequence = 0;

	if (!cof_json_bool(e, "set"))
		return 0;
	(void)cof_json_int(e, "sequence", &sequence);
	return set_policy(user, e, (uint64_t)sequence);
}

static int ask(struct facts *f, const char *verb, cof_show_fn fn, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();

	cof_json_set_str(request, "verb", verb);
	return store_ask(&f->store, request, fn, f, diag);
}

static int from_daemon(struct facts *f, struct cof_diag *diag)
{
	struct cof_diag none = {""};
	int64_t frames = 0;
	int r = ask(f, "clock", keep_clock, diag);

	(void)cof_json_int(f->status, "frames", &frames);
	f->frames = (uint64_t)frames;
	if (r == 0)
		r = take_measured(f, f->status);
	if (r == 0)
		r = ask(f, "events", take_event, diag);
	if (r == 0)
		r = ask(f, "shelves", take_shelf, diag);
	if (r == 0)
		r = ask(f, "policy", take_policy, diag);
	if (r == 0)
		r = ask(f, "certificates", take_certificate, diag);
	if (r < 0)
		return r;
	r = ask(f, "people", take_people, &none);
	return r == -ENOENT ? 0 : r < 0 ? cof_fail(diag, r, "%s", none.text) : 0;
}

/* ---- of a store that nobody has open ---- */

static int take_certificates(struct facts *f, const struct cof_json *e)
{
	const struct cof_json *all = cof_json_get(e, "certificates");
	int r = 0;

	for (size_t i = 0; all && i < cof_json_count(all) && r == 0; i++)
		r = cas_take(&f->cas, cof_json_at(all, i));
	return r;
}

static int take_frame(void *user, struct cof_json *e)
{
	const char *type = cof_json_str(e, "type");
	struct facts *f = user;
	int64_t sequence = 0;

	f->frames++;
	if (!type)
		return 0;
	(void)cof_json_int(e, "sequence", &sequence);
	if (!strcmp(type, "shelf"))
		return take_shelf(f, e);
	if (!strcmp(type, "policy"))
		return set_policy(f, e, (uint64_t)sequence);
	if (!strcmp(type, "people"))
		return take_people(f, e);
	if (!strcmp(type, "commit"))
		return take_certificates(f, e);
	return strcmp(type, "mount") ? 0 : take_measured(f, e);
}

static int from_store(struct facts *f, struct opener_args *args, struct cof_diag *diag)
{
	const struct cof_events_query all = {.since = INT64_MIN, .until = INT64_MAX};
	cof_autojson struct cof_json *clock = cof_json_object();
	struct opener opener = {0};
	uint64_t next;
	int r;

	f->status = cof_json_object();
	r = cof_store_status(f->store.io, f->status, diag);
	if (r == 0)
		r = cof_store_clock(f->store.io, clock, diag);
	if (r == 0)
		r = keep_clock(f, clock);
	if (r == 0)
		r = opener_find_as_owner(args, f->store.io, f->store.path, &opener, diag);
	if (r == 0)
		r = cof_store_show_log(f->store.io, &opener.secret, 0, take_frame, f, &next, diag);
	if (r == 0)
		r = cof_store_events(f->store.io, &opener.secret, &all, take_event, f, &next, diag);
	opener_done(&opener);
	return r;
}

int facts_gather(const char *arg, struct opener_args *opener, struct facts *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	int r = store_open(arg, &ret->store, diag);

	cof_profile_default(&ret->policy);
	ret->last_proof = ret->last_offsite = INT64_MIN;
	ret->coverage = coverage_new();
	if (r == 0 && !ret->coverage)
		r = cof_fail(diag, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	cof_json_set_str(request, "verb", "status");
	r = store_ask(&ret->store, request, store_keep_last, &ret->status, diag);
	ret->mounted = r == 0;
	if (r == 0)
		r = from_daemon(ret, diag);
	else if (r == -ENOTCONN)
		r = from_store(ret, opener, diag);
	if (r == 0)
		ret->last_offsite = time_of(cof_json_get(ret->status, "archived"), "confirmed");
	ret->created = ret->store.conf.created;
	cas_judge(&ret->cas, &ret->policy);
	return r;
}

void facts_done(struct facts *f)
{
	store_close(&f->store);
	escrow_ledger_done(&f->escrow);
	releases_done(&f->releases);
	cof_json_free(f->ceremonies);
	free(f->kept);
	cof_incidents_done(&f->incidents);
	cof_json_free(f->status);
	cof_buf_done(&f->measured);
	coverage_free(f->coverage);
	cas_done(&f->cas);
	free(f->done);
	free(f->retirements);
	free(f->destructions);
	changes_done(&f->changes);
	free(f->shelves);
	free(f->people);
}

const struct done *facts_last(const struct facts *f, const char *type)
{
	for (size_t i = 0; i < f->n_done; i++)
		if (!strcmp(f->done[i].type, type))
			return &f->done[i];
	return NULL;
}

uint64_t facts_count(const struct facts *f, const char *type)
{
	const struct done *d = facts_last(f, type);

	return d ? d->count : 0;
}

const char *facts_shelf_name(const struct facts *f, uint64_t ino)
{
	for (size_t i = 0; i < f->n_shelves; i++)
		if (f->shelves[i].ino == (int64_t)ino)
			return f->shelves[i].name;
	return "?";
}

void facts_epoch_name(const struct facts *f, const struct ledger_epoch *e, char *ret, size_t room)
{
	bool several = false;

	for (size_t i = 0; i < f->escrow.n_epochs; i++)
		several |= f->escrow.epoch[i].shelf != e->shelf;
	(void)snprintf(ret, room, "epoch %u%s%.64s", e->number, several ? " of " : "", several ? facts_shelf_name(f, e->shelf) : "");
}

bool facts_people(const struct facts *f, struct cof_people *ret)
{
	return f->people && cof_people_parse(f->people, strlen(f->people), NULL, 0, NULL, ret, NULL) == 0;
}
