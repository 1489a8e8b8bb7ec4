/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An incident as a STIX 2.1 bundle (OASIS, 10 June 2021): STIX leaves its fields open, so what the forms say is an
 * extension of it; each signed step is an observed-data of one observable, a note of what was put on record; a report
 * holds them together. Identifiers come from the incident's own, so that two exports are the same objects.
 */
#include "tools/incident.h"
#include "tools/output.h"

#include "crypto/crypto.h"

#include <stdio.h>

#define NAMESPACE "coffer incident "

/* "type--uuid": a UUID of version 8 (RFC 9562) by the hash of what it is of. */
static void set_id(struct cof_json *o, const char *type, const char *of, char ret[80])
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t h[COF_HASH];
	char hex[33];

	cof_buf_printf(&b, NAMESPACE "%s %s", type, of);
	cof_sha256(b.data ? b.data : (const uint8_t *)"", b.len, h);
	h[6] = (h[6] & 0x0f) | 0x80;
	h[8] = (h[8] & 0x3f) | 0x80;
	cof_hex(h, 16, hex);
	snprintf(ret, 80, "%s--%.8s-%.4s-%.4s-%.4s-%.12s", type, hex, hex + 8, hex + 12, hex + 16, hex + 20);
	cof_json_set_str(o, "id", ret);
}

static struct cof_json *new_object(struct incident_stix *s, const char *type, const char *of, const char *time, char ret_id[80])
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "type", type);
	cof_json_set_str(o, "spec_version", "2.1");
	set_id(o, type, of, ret_id);
	if (time) {
		cof_json_set_str(o, "created", time);
		cof_json_set_str(o, "modified", time);
	}
	cof_json_append(s->objects, o);
	return o;
}

/* Times of STIX have Z and a fraction at most; ours have both. */
static void keep_time(char ret[40], const char *time)
{
	snprintf(ret, 40, "%s", time && *time ? time : "1970-01-01T00:00:00Z");
}

void incident_stix_begin(struct incident_stix *s, const struct cof_incident *i)
{
	char id[80];

	*s = (struct incident_stix){.bundle = cof_json_object(), .objects = cof_json_array(), .refs = cof_json_array(), .incident = i};
	cof_json_set_str(s->bundle, "type", "bundle");
	set_id(s->bundle, "bundle", i->id, id);
	cof_json_set(s->bundle, "objects", s->objects);
}

/* What the form says, without what only Coffer needs. */
static struct cof_json *extension(const struct cof_json *event)
{
	static const char *const keys[] = {"event", "signer", "outcome", "kind", "found", "incident", "recipient"};
	static const char *const numbers[] = {"confidentiality", "integrity", "availability"};
	const char *text = cof_json_str(event, "form"), *detail = cof_json_str(event, "detail");
	cof_autojson struct cof_json *form = NULL;
	struct cof_json *o = cof_json_object();
	int64_t v;

	cof_json_set_str(o, "extension_type", "property-extension");
	if (text && cof_json_parse(text, strlen(text), &form) == 0) {
		for (size_t k = 0; k < COF_COUNT(keys); k++) {
			const char *value = cof_json_str(form, keys[k]);

			if (value)
				cof_json_set_str(o, keys[k], value);
		}
		for (size_t k = 0; k < COF_COUNT(numbers); k++)
			if (cof_json_int(form, numbers[k], &v) == 0)
				cof_json_set_int(o, numbers[k], v);
		if (cof_json_bool(form, "cross_sector"))
			cof_json_set_bool(o, "cross_sector", true);
	}
	if (detail)
		cof_json_set_str(o, "text", detail);
	if (cof_json_int(event, "sequence", &v) == 0)
		cof_json_set_int(o, "sequence", v);
	return o;
}

static void extend(struct cof_json *o, struct cof_json *with)
{
	struct cof_json *all = cof_json_object(), *none = cof_json_object();
	char id[80];

	set_id(none, "extension-definition", "1", id);
	cof_json_free(none);
	cof_json_set(all, id, with);
	cof_json_set(o, "extensions", all);
}

static void refer(struct incident_stix *s, const char *id)
{
	cof_json_append(s->refs, cof_json_new_str(id));
}

static void put_incident(struct incident_stix *s, const struct cof_json *event)
{
	const char *detail = cof_json_str(event, "detail");
	struct cof_json *o;
	char id[80], name[80];

	o = new_object(s, "incident", s->incident->id, s->time, id);
	snprintf(name, sizeof(name), "%s %.16s", s->incident->kind, s->incident->id);
	cof_json_set_str(o, "name", name);
	if (detail)
		cof_json_set_str(o, "description", detail);
	extend(o, extension(event));
	refer(s, id);
}

static void set_payload(struct cof_json *o, const char *text)
{
	cof_autofree char *encoded = text ? malloc(cof_base64_len(strlen(text)) + 1) : NULL;

	if (encoded)
		cof_base64(text, strlen(text), encoded);
	cof_json_set_str(o, "payload_bin", encoded ? encoded : "");
}

int incident_stix_add(struct incident_stix *s, const struct cof_json *event)
{
	cof_autobuf struct cof_buf of = {0};
	const char *time = cof_json_str(event, "time");
	struct cof_json *o, *refs = cof_json_array();
	int64_t sequence = 0;
	char id[80], seen[80];

	(void)cof_json_int(event, "sequence", &sequence);
	cof_buf_printf(&of, "%s %lld", s->incident->id, (long long)sequence);
	if (of.failed)
		return -ENOMEM;
	keep_time(s->last, time);
	if (!*s->time) {
		keep_time(s->time, time);
		put_incident(s, event);
	}
	o = new_object(s, "artifact", (const char *)of.data, NULL, seen); /* an observable has no times */
	cof_json_set_str(o, "mime_type", "application/json");
	set_payload(o, cof_json_str(event, "form"));
	o = new_object(s, "observed-data", (const char *)of.data, s->last, id);
	cof_json_set_str(o, "first_observed", s->last);
	cof_json_set_str(o, "last_observed", s->last);
	cof_json_set_int(o, "number_observed", 1);
	cof_json_append(refs, cof_json_new_str(seen));
	cof_json_set(o, "object_refs", refs);
	extend(o, extension(event));
	refer(s, id);
	refer(s, seen);
	return 0;
}

static void put_definition(struct incident_stix *s)
{
	struct cof_json *o, *types = cof_json_array();
	char who[80], id[80];

	o = new_object(s, "identity", "coffer", s->time, who);
	cof_json_set_str(o, "name", "Coffer");
	cof_json_set_str(o, "identity_class", "system");
	o = new_object(s, "extension-definition", "1", s->time, id);
	cof_json_set_str(o, "created_by_ref", who);
	cof_json_set_str(o, "name", "steps of an incident that people signed");
	cof_json_set_str(o, "schema", "docs/format.md 4.1");
	cof_json_set_str(o, "version", "1.0");
	cof_json_append(types, cof_json_new_str("property-extension"));
	cof_json_set(o, "extension_types", types);
}

/* Text where into is not NULL, else printed. */
static int finish(struct incident_stix *s, int r, struct cof_buf *into)
{
	struct cof_json *o;
	const char *text;
	char id[80], name[80];

	if (r == 0) {
		put_definition(s);
		o = new_object(s, "report", s->incident->id, s->last, id);
		snprintf(name, sizeof(name), "incident %.16s", s->incident->id);
		cof_json_set_str(o, "name", name);
		cof_json_set_str(o, "published", s->last);
		cof_json_set(o, "object_refs", s->refs);
		s->refs = NULL;
		text = into ? cof_json_text(s->bundle, true) : NULL;
		if (text)
			cof_buf_printf(into, "%s\n", text);
		r = into ? (text && !into->failed ? 0 : -ENOMEM) : print_json(s->bundle, true) == -ENOMEM ? -ENOMEM : 0;
	}
	cof_json_free(s->refs);
	cof_json_free(s->bundle);
	return r;
}

int incident_stix_end(struct incident_stix *s, int r)
{
	return finish(s, r, NULL);
}

int incident_stix_text(struct incident_stix *s, int r, struct cof_buf *ret)
{
	return finish(s, r, ret);
}
