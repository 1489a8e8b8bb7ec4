/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry of the log as an event, and whether that is one that somebody looks for. Frames of other types
 * are events of the types that the table has for them: nothing is written twice. Pure.
 */
#include <stdio.h>

#include "fs/archive/events.h"
#include "fs/archive/people.h"
#include "fs/rules/catalogue.h"

/* What is taken over as it is. */
static const char *const kept[] = {"sequence", "mount", "object", "path", "operation", "errno", "reason", "detail",
				   "count", "first_time", "last_time", "names", "signer", "place", "claimed_time",
				   "signature", "form", "about", "read", "counts", "due", "reviewed_to", "change", "request", "case", "hold", "what", "key", "epoch",
				   "epoch_key", "name", "vault", "from", "bytes", "basis", "counted", "document", "sha256", "release_at", "took_ns", "promised_ns",
				   "vault_place", "jurisdiction", "administration", "distance_km", "purpose", "certificate", "rehearsal", "ceremony", "ceremony_kind", "abandoned", "of", "to", "actor", "opaque",
				   "damaged", "malformed"};

static const char *hold_type(const struct cof_json *entry)
{
	const char *what = cof_json_str(entry, "what");

	if (what && !strcmp(what, "begin"))
		return "hold-begin";
	return what && !strcmp(what, "end") ? "hold-end" : NULL; /* lists of what it covers are none */
}

/* Each kind of record is a type of its own, in the table. */
static const char *escrow_type(const struct cof_json *entry)
{
	const char *what = cof_json_str(entry, "what");
	const struct cof_event_type *t;
	char name[40];

	snprintf(name, sizeof(name), "escrow-%.24s", what ? what : "?");
	t = cof_event_type(name);
	return t ? t->name : NULL;
}

/* Likewise what happened with vaults and copies. */
static const char *vault_type(const struct cof_json *entry)
{
	const char *what = cof_json_str(entry, "what");
	const struct cof_event_type *t;
	char name[40];

	snprintf(name, sizeof(name), "vault-%.24s", what ? what : "?");
	t = cof_event_type(name);
	return t ? t->name : NULL;
}

static const char *approval_type(const struct cof_json *entry)
{
	const char *verdict = cof_json_str(entry, "verdict");

	if (!verdict)
		return NULL;
	if (!strcmp(verdict, "approve"))
		return "approved";
	return !strcmp(verdict, "refuse") ? "declined" : NULL; /* outcomes are events of their own */
}

static const char *type_of(const struct cof_json *entry)
{
	static const struct {
		const char *frame, *event;
	} same[] = {{"mount", "mount"},	      {"unmount", "unmount"}, {"recovery", "recovery"}, {"clock", "clock-reset"},
		    {"stamp", "stamp"},	      {"receipt", "vault-punctured"}, {"shelf", "shelf"},     {"people", "people-set"}, {"request", "requested"}};
	const char *type = cof_json_str(entry, "type"), *event = cof_json_str(entry, "event");

	if (!type)
		return NULL;
	if (!strcmp(type, "event"))
		return event ? event : "unknown"; /* damaged, or without keys */
	if (!strcmp(type, "hold"))
		return hold_type(entry);
	if (!strcmp(type, "escrow"))
		return escrow_type(entry);
	if (!strcmp(type, "ceremony"))
		return cof_json_bool(entry, "rehearsal") ? "ceremony-rehearsal" : "ceremony";
	if (!strcmp(type, "vault"))
		return vault_type(entry);
	if (!strcmp(type, "approval"))
		return approval_type(entry);
	for (size_t i = 0; i < COF_COUNT(same); i++)
		if (!strcmp(type, same[i].frame))
			return same[i].event;
	return NULL;
}

/* Of frames that say it in fields of their own. */
static void set_detail(const struct cof_json *entry, const char *type, struct cof_json *o)
{
	const char *a = NULL, *b = NULL;
	char text[256];

	if (!strcmp(type, "clock-reset")) {
		a = cof_json_str(entry, "wall_before");
		b = cof_json_str(entry, "wall_after");
		snprintf(text, sizeof(text), "from %s to %s", a ? a : "?", b ? b : "?");
		a = text;
	} else if (!strcmp(type, "shelf")) {
		a = cof_json_str(entry, "policy");
	} else if (!strcmp(type, "stamp")) {
		a = cof_json_str(entry, "authority");
	} else if (!strcmp(type, "mount")) {
		a = cof_json_str(entry, "software");
	} else if (!strcmp(type, "requested")) {
		a = cof_json_str(entry, "document");
	}
	if (!strcmp(type, "vault-transfer")) {
		int64_t from = 0, to = 0, bytes = 0;

		(void)cof_json_int(entry, "from", &from);
		(void)cof_json_int(entry, "to", &to);
		(void)cof_json_int(entry, "bytes", &bytes);
		snprintf(text, sizeof(text), "frames from %lld to %lld, %lld bytes", (long long)from, (long long)to, (long long)bytes);
		a = text;
	}
	if (a && !cof_json_get(o, "detail"))
		cof_json_set_str(o, "detail", a);
	if (!strncmp(type, "vault-", 6) && cof_json_get(entry, "name")) /* as in events that are told of vaults */
		cof_json_set_str(o, "path", cof_json_str(entry, "name"));
	a = cof_json_str(entry, "principal");
	if (a)
		cof_json_set_str(o, "signer", a);
}

/* A request for other people is an attempt to set roles. */
static bool is_about_roles(const struct cof_json *entry)
{
	const char *document = cof_json_str(entry, "document");

	return document && cof_people_about_roles(document, strlen(document));
}

static void set_meaning(const struct cof_json *entry, const char *type, struct cof_json *o)
{
	const struct cof_event_type *t = cof_event_type(type);
	const char *catalogue = cof_json_str(entry, "catalogue"), *outcome = cof_json_str(entry, "outcome");
	const char *severity = cof_json_str(entry, "severity"), *source = cof_json_str(entry, "source");

	/* An EVENT frame has none, or is of before there were these fields; other types of frames never say it. */
	if (!catalogue && t && (!outcome || strcmp(cof_json_str(entry, "type"), "event") != 0))
		catalogue = t->catalogue;
	if (!strcmp(type, "requested") && is_about_roles(entry))
		catalogue = "A.2.1";
	if (catalogue)
		cof_json_set_str(o, "catalogue", catalogue);
	cof_json_set_str(o, "outcome", outcome ? outcome : t ? t->outcome : "success");
	cof_json_set_str(o, "severity", severity ? severity : t ? t->severity : "notice");
	cof_json_set_str(o, "source", source ? source : "coffer");
}

/* Of records of escrow: who is meant, and times of drills. The shelf by its number, which each of them has; its name, as of
 * other events, only those have that are about a file. */
static void set_escrow(const struct cof_json *entry, struct cof_json *o)
{
	static const char *const keys[] = {"name", "took_ns", "promised_ns"};

	if (cof_json_get(entry, "shelf"))
		cof_json_set(o, "shelf_ino", cof_json_ref(cof_json_get(entry, "shelf")));
	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (cof_json_get(entry, keys[i]))
			cof_json_set(o, keys[i], cof_json_ref(cof_json_get(entry, keys[i])));
}

static void set_shelf(struct cof_json *o)
{
	const char *path = cof_json_str(o, "path");
	size_t n = path ? strcspn(path, "/") : 0;

	if (n)
		cof_json_set_bytes(o, "shelf", path, n);
}

int cof_event_view(const struct cof_json *entry, struct cof_json **ret)
{
	const char *type = type_of(entry), *time = cof_json_str(entry, "record_time");
	cof_autojson struct cof_json *o = NULL;

	*ret = NULL;
	if (!type)
		return 0;
	o = cof_json_object();
	if (!o)
		return -ENOMEM;
	cof_json_set_str(o, "event", type);
	set_meaning(entry, type, o);
	if (time)
		cof_json_set_str(o, "time", time);
	for (size_t i = 0; i < COF_COUNT(kept); i++) {
		struct cof_json *value = cof_json_get(entry, kept[i]);

		if (value)
			cof_json_set(o, kept[i], cof_json_ref(value));
	}
	set_detail(entry, type, o);
	if (!strncmp(type, "escrow-", 7))
		set_escrow(entry, o);
	set_shelf(o);
	*ret = o;
	o = NULL;
	return 0;
}

/* ---- looking for some ---- */

bool cof_event_may_match(const struct cof_events_query *q, const struct cof_frame *f)
{
	return f->record_time >= q->since && f->record_time < q->until;
}

/* "A.2" has A.2.1 to A.2.5, not A.20. */
static bool of_kind(const char *want, const char *catalogue)
{
	size_t n = strlen(want);

	return catalogue && !strncmp(catalogue, want, n) && (!catalogue[n] || catalogue[n] == '.');
}

static bool below(const char *want, const char *path)
{
	size_t n = strlen(want);

	while (n && want[n - 1] == '/')
		n--;
	return path && !strncmp(path, want, n) && (!path[n] || path[n] == '/' || path[n] == ' ');
}

static bool is_about(const char *want, const struct cof_json *event)
{
	const struct cof_json *names = cof_json_get(event, "names");

	if (below(want, cof_json_str(event, "path")))
		return true;
	for (size_t i = 0; names && i < cof_json_count(names); i++)
		if (below(want, cof_json_str(cof_json_at(names, i), "path")))
			return true;
	return false;
}

static bool same_number(const char *want, const struct cof_json *actor, const char *key)
{
	char text[24];
	int64_t n;

	if (cof_json_int(actor, key, &n) < 0)
		return false;
	snprintf(text, sizeof(text), "%lld", (long long)n);
	return !strcmp(want, text);
}

static bool is_by(const char *want, const struct cof_json *event)
{
	const struct cof_json *actor = cof_json_get(event, "actor");
	const char *signer = cof_json_str(event, "signer"), *command = actor ? cof_json_str(actor, "command") : NULL;

	return (signer && !strcmp(signer, want)) || (command && !strcmp(command, want)) ||
	       (actor && (same_number(want, actor, "uid") || same_number(want, actor, "login_uid")));
}

static bool same(const char *want, const struct cof_json *event, const char *key)
{
	const char *value = cof_json_str(event, key);

	return !want || (value && !strcmp(value, want));
}

bool cof_event_matches(const struct cof_events_query *q, const struct cof_json *event)
{
	const char *severity = cof_json_str(event, "severity");
	int level = severity ? cof_severity(severity) : -1;

	return same(q->type, event, "event") && same(q->outcome, event, "outcome") &&
	       same(q->source, event, "source") &&
	       (!q->catalogue || of_kind(q->catalogue, cof_json_str(event, "catalogue"))) &&
	       (!q->severity || (level >= 0 && level <= cof_severity(q->severity))) &&
	       (!q->path || is_about(q->path, event)) && (!q->actor || is_by(q->actor, event));
}
