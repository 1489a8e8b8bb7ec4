/* SPDX-License-Identifier: Apache-2.0 */
/* EVENT frames of one shape, and who is told of them. */
#include "fs/archive/note.h"

#define TAG_REQUEST 112 /* public: the request id */

struct meaning { /* of an event, with what its type adds */
	const char *catalogue, *outcome, *severity;
	const struct cof_event_type *type; /* NULL: of nobody's table */
};

static struct meaning meaning_of(const struct cof_event *e)
{
	struct meaning m = {e->catalogue, e->outcome, e->severity, cof_event_type(e->type)};

	if (!m.catalogue && m.type)
		m.catalogue = m.type->catalogue;
	if (!m.outcome)
		m.outcome = m.type ? m.type->outcome : "success";
	if (!m.severity)
		m.severity = m.type ? m.type->severity : "notice";
	return m;
}

static void put_str(struct cof_buf *fields, uint8_t tag, const char *text)
{
	if (text)
		cof_field_put_str(fields, tag, text);
}

static void put_meaning(struct cof_buf *fields, const struct meaning *m)
{
	put_str(fields, COF_T_CATALOGUE, m->catalogue);
	put_str(fields, COF_T_EVENT_OUTCOME, m->outcome);
	put_str(fields, COF_T_SEVERITY, m->severity);
}

void cof_event_put_meaning(struct cof_buf *fields, const char *type)
{
	struct meaning m = meaning_of(&(struct cof_event){.type = type});

	put_meaning(fields, &m);
}

static void put_fields(struct cof_buf *fields, const struct cof_event *e, const struct meaning *m)
{
	cof_field_put_str(fields, COF_T_EVENT, e->type);
	put_str(fields, COF_T_OPERATION, e->operation);
	put_str(fields, COF_T_PATH, e->path);
	put_str(fields, COF_T_REASON, e->reason);
	if (e->count) {
		cof_field_put_u64(fields, COF_T_COUNT, e->count);
		cof_field_put_i64(fields, COF_T_FIRST, e->first);
		cof_field_put_i64(fields, COF_T_LAST, e->last);
	}
	put_str(fields, COF_T_DETAIL, e->detail);
	put_meaning(fields, m);
	put_str(fields, COF_T_SOURCE, e->source);
	put_str(fields, COF_T_SIGNER, e->actor_name);
	put_str(fields, COF_T_PLACE, e->place);
	if (e->time)
		cof_field_put_i64(fields, COF_T_CLAIMED_TIME, e->time);
	if (e->fields_len)
		cof_buf_add(fields, e->fields, e->fields_len);
}

static int write_frame(struct cof_archive *a, const struct cof_event *e, const struct meaning *m,
		       uint64_t *ret_sequence)
{
	cof_autobuf struct cof_buf fields = {0}, public_part = {0};
	struct cof_draft d = {.type = COF_EVENT, .object = e->object, .system = !e->ordinary};
	static const struct cof_applied nothing;
	struct cof_append done;
	int r = 0;

	if (!a->log || atomic_load(&a->failed))
		return -EROFS;
	put_fields(&fields, e, m);
	if (e->request)
		cof_field_put(&public_part, TAG_REQUEST, e->request, COF_HASH);
	if (e->public_len)
		cof_buf_add(&public_part, e->public_fields, e->public_len);
	if (fields.failed || public_part.failed)
		return -ENOMEM;
	d.plain = fields.data;
	d.length = (uint32_t)fields.len;
	d.public_part = public_part.data;
	d.public_len = (uint32_t)public_part.len;
	if (e->who)
		r = cof_actor_use(a, e->who, d.system, &d.actor);
	if (r == 0)
		r = cof_events_room(a) ? cof_archive_put(a, &d, &nothing, &done) : -ENOSPC;
	if (r == 0)
		*ret_sequence = done.ret_sequence;
	if (r == 0 && e->done)
		*e->done = done;
	return r;
}

static void tell(struct cof_archive *a, const struct cof_event *e, const struct meaning *m,
		 uint64_t sequence, int err)
{
	const struct cof_alarm_info info = {.event = e->type,
					    .operation = e->operation,
					    .path = e->path,
					    .who = e->who,
					    .catalogue = m->catalogue,
					    .outcome = m->outcome,
					    .severity = m->severity,
					    .source = e->source,
					    .signer = e->actor_name,
					    .detail = e->detail,
					    .object = e->object,
					    .sequence = sequence};
	const char *text = e->detail ? e->detail : e->reason ? e->reason : "";

	cof_alarm_event(a, &info, "%s%s%s%s%s%s%s%s", m->type ? m->type->text : e->type,
			e->path ? ": " : "", e->path ? e->path : "", *text ? ": " : "", text,
			err < 0 ? " (which could not be recorded: " : "",
			err < 0 ? strerror(-err) : "", err < 0 ? ")" : "");
}

int cof_event_emit(struct cof_archive *a, const struct cof_event *e, uint64_t *ret_sequence)
{
	struct meaning m = meaning_of(e);
	uint64_t sequence = 0;
	int r = write_frame(a, e, &m, &sequence);

	if (!e->quiet && (e->alarm || (m.type && cof_event_alarms(m.type, m.outcome))))
		tell(a, e, &m, sequence, r);
	if (r == 0 && ret_sequence)
		*ret_sequence = sequence;
	return r;
}

void cof_event_told(struct cof_archive *a, const struct cof_event *e, uint64_t sequence)
{
	struct meaning m = meaning_of(e);

	if (m.type && cof_event_alarms(m.type, m.outcome))
		tell(a, e, &m, sequence, 0);
}
