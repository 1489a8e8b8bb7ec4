/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the frames of an archive, and its status. */
#include "tools/facts.h"
#include "fs/rules/approve.h"

#include <stdio.h>

/* ---- frames ---- */

static int take_event(struct facts *f, const struct cof_json *e, int64_t time, uint64_t sequence)
{
	const char *type = cof_json_str(e, "event");
	struct done *d = NULL, *grown;
	enum cof_review kind;

	f->events++;
	f->events_without_outcome += !cof_json_str(e, "outcome");
	if (!type || strlen(type) >= sizeof(d->type))
		return 0;
	/* One that does not say what was looked at reviewed nothing. */
	if (cof_review_find(type, &kind) == 0 && !cof_json_get(e, "reviewed_to"))
		return 0;
	for (size_t i = 0; i < f->n_done && !d; i++)
		d = strcmp(f->done[i].type, type) ? NULL : &f->done[i];
	if (!d) {
		grown = realloc(f->done, (f->n_done + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		f->done = grown;
		d = &grown[f->n_done++];
		memset(d, 0, sizeof(*d));
		snprintf(d->type, sizeof(d->type), "%s", type);
	}
	d->time = time;
	d->sequence = sequence;
	d->count++;
	return 0;
}

static int take_shelf(struct facts *f, const struct cof_json *e)
{
	const char *text = cof_json_str(e, "policy"), *path = cof_json_str(e, "path");
	struct facts_shelf *s = NULL, *grown;
	int64_t ino;

	if (!text || cof_json_int(e, "object", &ino) < 0)
		return 0;
	for (size_t i = 0; i < f->n_shelves && !s; i++)
		s = f->shelves[i].ino == ino ? &f->shelves[i] : NULL;
	if (!s) {
		grown = realloc(f->shelves, (f->n_shelves + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		f->shelves = grown;
		s = &grown[f->n_shelves++];
		memset(s, 0, sizeof(*s));
		s->ino = ino;
		cof_policy_default(&s->policy);
	}
	if (path)
		snprintf(s->name, sizeof(s->name), "%s", path);
	/* What a later version wrote is left as it was known. */
	return cof_policy_parse(text, strlen(text), &s->policy, NULL) == -ENOMEM ? -ENOMEM : 0;
}

static int take_policy(struct facts *f, const struct cof_json *e, uint64_t sequence)
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

static int take_people(struct facts *f, const struct cof_json *e)
{
	const char *text = cof_json_str(e, "people");

	f->people_frames++;
	if (!text)
		return 0;
	free(f->people);
	f->people = strdup(text);
	return f->people ? 0 : -ENOMEM;
}

static int64_t time_of(const struct cof_json *e, const char *key)
{
	const char *text = cof_json_str(e, key);
	int64_t ns;

	return text && cof_time_parse(text, &ns) == 0 ? ns : INT64_MIN;
}

static int take_mount(struct facts *f, struct cof_json *e)
{
	struct cof_json *measured = cof_json_get(e, "measured");
	const char *text = measured ? cof_json_text(measured, false) : NULL;

	f->mounts++;
	cof_buf_done(&f->measured);
	if (text)
		cof_buf_printf(&f->measured, "%s", text);
	return f->measured.failed ? -ENOMEM : 0;
}

static int take_frame(void *user, struct cof_json *e)
{
	struct facts *f = user;
	const char *type = cof_json_str(e, "type");
	int64_t time = time_of(e, "record_time"), sequence = 0, elsewhere = 0;

	f->frames++;
	if (!type)
		return 0;
	(void)cof_json_int(e, "sequence", &sequence);
	if (!strcmp(type, "event"))
		return take_event(f, e, time, (uint64_t)sequence);
	if (!strcmp(type, "shelf"))
		return take_shelf(f, e);
	if (!strcmp(type, "policy"))
		return take_policy(f, e, (uint64_t)sequence);
	if (!strcmp(type, "people"))
		return take_people(f, e);
	if (!strcmp(type, "mount"))
		return take_mount(f, e);
	f->unmounts += !strcmp(type, "unmount");
	f->heartbeats += !strcmp(type, "heartbeat");
	f->clock_steps += !strcmp(type, "clock");
	f->requests += !strcmp(type, "request");
	f->approvals += !strcmp(type, "approval");
	if (!strcmp(type, "cosign") && cof_json_int(e, "elsewhere", &elsewhere) == 0 && elsewhere)
		f->last_offsite = time_of(e, "proof_time");
	return 0;
}

/* ---- where they come from ---- */

static int keep_status(void *user, struct cof_json *entry)
{
	struct facts *f = user;
	const char *text = cof_json_text(entry, false);

	cof_json_free(f->status);
	f->status = NULL;
	return text ? cof_json_parse(text, strlen(text), &f->status) : -ENOMEM;
}

static int keep_clock(void *user, struct cof_json *entry)
{
	struct facts *f = user;

	f->last_proof = time_of(cof_json_get(entry, "proof"), "time");
	f->deviation_limit_ms = 0;
	(void)cof_json_int(entry, "deviation_limit_ms", &f->deviation_limit_ms);
	(void)cof_json_int(entry, "deviation_ms", &f->deviation_ms);
	return 0;
}

static int from_daemon(struct facts *f, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object(), *clock = cof_json_object();
	int r;

	cof_json_set_str(clock, "verb", "clock");
	r = store_ask(&f->store, clock, keep_clock, f, diag);
	if (r < 0)
		return r;
	cof_json_set_str(request, "verb", "log");
	cof_json_set_uint(request, "from", 0);
	return store_ask(&f->store, request, take_frame, f, diag);
}

static int from_store(struct facts *f, struct opener_args *args, struct cof_diag *diag)
{
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
	opener_done(&opener);
	return r;
}

int facts_gather(const char *arg, struct opener_args *opener, struct facts *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	int r = store_open(arg, &ret->store, diag);

	cof_profile_default(&ret->policy);
	ret->last_proof = ret->last_offsite = INT64_MIN;
	if (r < 0)
		return r;
	cof_json_set_str(request, "verb", "status");
	r = store_ask(&ret->store, request, keep_status, ret, diag);
	ret->mounted = r == 0;
	if (r == 0)
		r = from_daemon(ret, diag);
	else if (r == -ENOTCONN)
		r = from_store(ret, opener, diag);
	ret->created = ret->store.conf.created;
	return r;
}

void facts_done(struct facts *f)
{
	store_close(&f->store);
	cof_json_free(f->status);
	cof_buf_done(&f->measured);
	free(f->done);
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
