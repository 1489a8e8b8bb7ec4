/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of events, and events found by it. Position n of the object COF_EVENTS_INO is the n-th event;
 * who appends one holds events_lock from before the frame gets its number until it is in the index, so that
 * positions, sequences and addresses rise together.
 */
#include "fs/archive/events.h"
#include "fs/rules/catalogue.h"

#define BATCH 256

bool cof_event_frame(unsigned type)
{
	switch (type) {
	case COF_EVENT:
	case COF_MOUNT:
	case COF_UNMOUNT:
	case COF_RECOVERY:
	case COF_CLOCK:
	case COF_STAMP:
	case COF_SHELF:
	case COF_PEOPLE:
	case COF_REQUEST:
	case COF_APPROVAL:
	case COF_HOLD:
	case COF_ESCROW:
	case COF_CEREMONY:
	case COF_VAULT_RECORD:
	case COF_RECEIPT:
		return true;
	default:
		return false;
	}
}

int cof_events_begin(struct cof_archive *a, uint64_t from)
{
	uint64_t n = 0;
	int r = cof_index_end(a->ix, from, COF_EVENTS_INO, &n);

	if (r == 0)
		a->n_events = n;
	return r;
}

int cof_events_index(struct cof_archive *a, const struct cof_frame *f, uint64_t address)
{
	/* Counted even if it fails: what comes behind must not take its place before the repair. */
	const struct cof_stretch s = {
	    .position = a->n_events++, .length = 1, .address = address, .sequence = f->sequence};

	return cof_index_add_stretch(a->ix, COF_EVENTS_INO, &s);
}

/* ---- finding ---- */

struct finding {
	struct cof_archive *archive;
	struct cof_show *show;
	const struct cof_events_query *query;
	uint64_t position, end; /* of the events; frames below end */
	size_t n;
	struct cof_stretch stretch[BATCH];
	struct cof_json *found;
};

static int first_position(struct finding *f)
{
	struct cof_archive *a = f->archive;

	return cof_ix(a, cof_index_end(a->ix, f->query->from, COF_EVENTS_INO, &f->position));
}

static int load_batch(struct finding *f)
{
	struct cof_archive *a = f->archive;

	return cof_ix(a, cof_index_stretches(a->ix, f->end, COF_EVENTS_INO, f->position, f->stretch, BATCH,
					     &f->n));
}

static int look_at(struct finding *f, const struct cof_stretch *s)
{
	struct cof_archive *a = f->archive;
	cof_autojson struct cof_json *entry = NULL, *event = NULL;
	struct cof_frame frame;
	int r = cof_reader_header(a->reader, s->address, &frame, NULL, NULL);

	/* The index says where to look, the frame what is true. */
	if (r == -ENODATA || r == -EUCLEAN ||
	    (r == 0 && (frame.sequence != s->sequence || !cof_event_frame(frame.type))))
		return -COF_EINDEX;
	if (r < 0 || !cof_event_may_match(f->query, &frame))
		return r;
	r = cof_show_frame(f->show, s->address, &frame, &entry);
	if (r == 0)
		r = cof_event_view(entry, &event);
	if (r == 0 && event && cof_event_matches(f->query, event)) {
		f->found = event;
		event = NULL;
	}
	return r;
}

static int one(struct finding *f, const struct cof_stretch *s, cof_show_fn fn, void *user)
{
	int r;

	COF_GATED(f->archive, r, look_at(f, s));
	if (r < 0 || !f->found)
		return r;
	r = fn(user, f->found);
	cof_json_free(f->found);
	f->found = NULL;
	return r;
}

static int find_all(struct finding *f, cof_show_fn fn, void *user, uint64_t *next)
{
	int r;

	COF_GATED(f->archive, r, first_position(f));
	while (r == 0) {
		COF_GATED(f->archive, r, load_batch(f));
		if (r < 0 || !f->n)
			return r;
		for (size_t i = 0; i < f->n && r == 0; i++) {
			r = one(f, &f->stretch[i], fn, user);
			f->position++;
			*next = f->stretch[i].sequence + 1;
		}
	}
	return r;
}

int cof_archive_events(struct cof_archive *a, const struct cof_events_query *q, cof_show_fn fn, void *user,
		       uint64_t *ret_next)
{
	cof_autofree struct finding *f = calloc(1, sizeof(*f));
	struct cof_log_status st = {.size = atomic_load(&a->size)};
	uint64_t next = q->from;
	int r;

	if (q->severity && cof_severity(q->severity) < 0)
		return -EINVAL;
	if (!f)
		return -ENOMEM;
	f->show = cof_show_new(a);
	if (!f->show)
		return -ENOMEM;
	if (a->log)
		cof_log_status(a->log, &st); /* what can be read: handed to the kernel */
	f->archive = a;
	f->query = q;
	f->end = st.size;
	r = q->from < f->end ? find_all(f, fn, user, &next) : 0;
	cof_show_freep(&f->show);
	if (r < 0)
		return r;
	*ret_next = next;
	return r;
}
