/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drills of escrow that are overdue by the policy, and a new epoch that is owed since a key was recovered, are alarms while the
 * archive is mounted: found soon after a mount, then again each day. coffer due tells the same at any time.
 */
#include "fs/archive/escrow.h"
#include "fs/archive/note.h"

#include <stdio.h>

#define DAY (86400 * COF_NSEC)
#define HOUR (3600 * COF_NSEC)

struct watched_epoch {
	uint64_t shelf;
	uint32_t number;
	uint8_t key[32];
	int64_t valid, full, recovered; /* recovered: 0: no key of it was */
	bool revoked, old;		/* old: a later one is in force on its shelf */
};
struct watched_share {
	size_t epoch;
	char name[32];
	int64_t last;
	bool gone; /* destroyed, or its custodian was revoked */
};
struct watching {
	struct cof_archive *archive;
	struct watched_epoch *epoch;
	struct watched_share *share;
	size_t n_epochs, n_shares;
	struct cof_escrow_passed passed; /* what does not count */
};

/* Room for one more, all zero. NULL: there is none. */
static void *more(void *array /* of pointers to the elements */, size_t *n, size_t size)
{
	void **at = array, *q = *at;

	if (!(*n & (*n + 1))) { /* one less than a power of two, as the room is */
		q = realloc(*at, 2 * (*n + 1) * size);
		if (!q)
			return NULL;
		*at = q;
	}
	q = (char *)q + *n * size;
	memset(q, 0, size);
	(*n)++;
	return q;
}

static struct watched_epoch *epoch_of(const struct watching *w, const struct cof_escrow_facts *f)
{
	for (size_t i = w->n_epochs; f->has_epoch && i-- > 0;)
		if (w->epoch[i].shelf == f->shelf && w->epoch[i].number == f->epoch && !memcmp(w->epoch[i].key, f->epoch_key, 32))
			return &w->epoch[i];
	return NULL;
}

static void get_name(const struct cof_escrow_record *r, char ret[32])
{
	struct cof_field f;

	ret[0] = '\0';
	if (cof_field_find(r->private_part.data, r->private_part.len, COF_T_ESCROW_NAME, &f) == 0 && f.len < 32)
		snprintf(ret, 32, "%.*s", (int)f.len, (const char *)f.value);
}

/* ---- what the records say ---- */

static int add_shares(struct watching *w, size_t epoch, const struct cof_escrow_record *r)
{
	cof_autojson struct cof_json *detail = NULL;
	struct watched_share *s;
	struct cof_field f;
	struct cof_json *names;

	if (cof_field_find(r->private_part.data, r->private_part.len, COF_T_ESCROW_DETAIL, &f) < 0 ||
	    cof_json_parse((const char *)f.value, f.len, &detail) < 0)
		return 0;
	names = cof_json_get(detail, "custodians");
	for (size_t i = 0; i < cof_json_count(names); i++) {
		const char *name = cof_json_value_str(cof_json_at(names, i));

		if (!name || strlen(name) >= sizeof(s->name))
			continue;
		s = more(&w->share, &w->n_shares, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->epoch = epoch;
		snprintf(s->name, sizeof(s->name), "%s", name);
	}
	return 0;
}

static int add_epoch(struct watching *w, const struct cof_escrow_facts *f, const struct cof_escrow_record *r)
{
	struct watched_epoch *e;

	if (!f->has_epoch || f->rehearsal || epoch_of(w, f))
		return 0;
	for (size_t i = 0; i < w->n_epochs; i++)
		w->epoch[i].old |= w->epoch[i].shelf == f->shelf;
	e = more(&w->epoch, &w->n_epochs, sizeof(*e));
	if (!e)
		return -ENOMEM;
	*e = (struct watched_epoch){.shelf = f->shelf, .number = f->epoch, .valid = r->time};
	memcpy(e->key, f->epoch_key, sizeof(e->key));
	return add_shares(w, w->n_epochs - 1, r);
}

static void about_share(struct watching *w, const struct cof_escrow_facts *f, const struct cof_escrow_record *r)
{
	struct watched_epoch *e = epoch_of(w, f);
	char name[32];

	get_name(r, name);
	if (e && f->what == COF_ESC_DRILL && f->has_of && f->outcome == 1 && !*name)
		e->full = r->time;
	for (size_t i = 0; *name && i < w->n_shares; i++) {
		struct watched_share *s = &w->share[i];

		if (strcmp(s->name, name) != 0)
			continue;
		if (f->what == COF_ESC_CUSTODIAN_REVOKED || f->what == COF_ESC_CUSTODIAN)
			s->gone = w->epoch[s->epoch].shelf == f->shelf ? f->what == COF_ESC_CUSTODIAN_REVOKED : s->gone;
		else if (e == &w->epoch[s->epoch] && f->what == COF_ESC_SHARE_DESTROYED)
			s->gone = true;
		else if (e == &w->epoch[s->epoch] && f->what == COF_ESC_DRILL && f->has_of && f->outcome == 1)
			s->last = r->time;
	}
}

static int look(void *user, const struct cof_escrow_record *r)
{
	struct watching *w = user;
	struct cof_escrow_facts f;
	struct watched_epoch *e;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.what == COF_ESC_EPOCH_VALID)
		return add_epoch(w, &f, r);
	e = epoch_of(w, &f);
	if (e && f.what == COF_ESC_RECOVERED)
		e->recovered = r->time;
	else if (e && f.what == COF_ESC_REVOKED && !f.has_key)
		e->revoked = true;
	else if (f.what == COF_ESC_DRILL || f.what == COF_ESC_SHARE_DESTROYED || f.what == COF_ESC_CUSTODIAN || f.what == COF_ESC_CUSTODIAN_REVOKED)
		about_share(w, &f, r);
	return 0;
}

/* ---- whether a key is encrypted to an epoch still ---- */

struct keeping {
	const struct watched_epoch *epoch;
	struct cof_archive *archive;
	const struct cof_escrow_passed *passed;
	uint8_t key[16];
	bool here;
};

static int look_at_key(void *user, const struct cof_escrow_record *r)
{
	struct keeping *k = user;
	struct cof_escrow_facts f;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.shelf != k->epoch->shelf || !f.has_key || memcmp(f.key, k->key, sizeof(f.key)) != 0 ||
	    cof_escrow_passed_over(k->passed, r->sequence))
		return 0;
	if (f.what == COF_ESC_KEY || f.what == COF_ESC_ROTATED)
		k->here = !memcmp(f.epoch_key, k->epoch->key, sizeof(f.epoch_key));
	k->here &= f.what != COF_ESC_REVOKED;
	return 0;
}

static int look_for_key(void *user, const struct cof_escrow_record *r)
{
	struct keeping *k = user;
	struct cof_escrow_facts f;
	int e;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.shelf != k->epoch->shelf || !f.has_key || f.rehearsal || (f.what != COF_ESC_KEY && f.what != COF_ESC_ROTATED) ||
	    memcmp(f.epoch_key, k->epoch->key, sizeof(f.epoch_key)) != 0 || cof_escrow_passed_over(k->passed, r->sequence))
		return 0;
	memcpy(k->key, f.key, sizeof(f.key));
	e = cof_escrow_each(k->archive, cof_escrow_list(COF_ESCROW_OF_KEY, f.key, sizeof(f.key)), 0, look_at_key, k);
	return e < 0 ? e : k->here;
}

static bool has_key(const struct watching *w, const struct watched_epoch *e)
{
	struct keeping k = {.epoch = e, .archive = w->archive, .passed = &w->passed};

	return cof_escrow_each(w->archive, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, look_for_key, &k) == 0 && k.here;
}

/* ---- what is overdue ---- */

static bool over(int64_t last, int64_t each, int64_t now)
{
	return each && now - last > each;
}

/* Of several shelves with epochs, also which. */
static void say(const struct watching *w, struct cof_buf *b, const struct watched_epoch *e, const char *who, const char *what)
{
	cof_autobuf struct cof_buf shelf = {0};
	bool several = false;

	for (size_t i = 0; i < w->n_epochs; i++)
		several |= w->epoch[i].shelf != e->shelf;
	if (several)
		(void)cof_archive_path(w->archive, e->shelf, &shelf);
	cof_buf_printf(b, "%sepoch %u%s%.*s: %s%s", b->len ? "; " : "", e->number, shelf.len ? " of " : "", (int)shelf.len,
		       shelf.len ? (const char *)shelf.data : "", who, what);
}

static void judge(const struct watching *w, const struct cof_profile *p, int64_t now, struct cof_buf *ret)
{
	for (size_t i = 0; i < w->n_epochs; i++) {
		const struct watched_epoch *e = &w->epoch[i];

		if (e->recovered && has_key(w, e))
			say(w, ret, e, "", "a key was recovered, and its keys are to go to a new one");
		if (e->revoked || (e->old && !has_key(w, e)))
			continue;
		for (size_t s = 0; s < w->n_shares; s++)
			if (w->share[s].epoch == i && !w->share[s].gone && over(COF_MAX(w->share[s].last, e->valid), p->escrow_drill, now))
				say(w, ret, e, w->share[s].name, " is to show the share");
		if (over(COF_MAX(e->full, e->valid), p->escrow_full_drill, now))
			say(w, ret, e, "", "a recovery is to be tried");
	}
}

/* Not more often than a day, but at once after a mount; the records are read not more often than it can matter. */
void cof_escrow_watch(struct cof_archive *a, int64_t now)
{
	struct watching w = {.archive = a};
	cof_autobuf struct cof_buf text = {0};
	struct cof_profile p;
	int64_t span;
	int r;

	if (a->p.no_threads || cof_archive_policy(a, &p) < 0)
		return;
	span = p.escrow_drill && p.escrow_full_drill ? COF_MIN(p.escrow_drill, p.escrow_full_drill) : COF_MAX(p.escrow_drill, p.escrow_full_drill);
	if (a->escrow.next > now && a->escrow.span == span)
		return;
	a->escrow.span = span;
	a->escrow.next = now + (span ? COF_MAX(COF_MIN(span / 24, HOUR), COF_NSEC) : HOUR);
	r = cof_escrow_each_counted(a, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), look, &w, &w.passed);
	if (r == 0)
		judge(&w, &p, cof_now(CLOCK_REALTIME), &text);
	free(w.epoch);
	free(w.share);
	cof_escrow_passed_done(&w.passed);
	if (r < 0 || !text.len || text.failed || (a->escrow.told && now - a->escrow.told < DAY))
		return;
	a->escrow.told = now;
	cof_gate_enter(a);
	(void)cof_event_emit(a, &(struct cof_event){.type = COF_EV_ESCROW_OVERDUE, .detail = (const char *)text.data}, NULL);
	cof_gate_leave(a);
}
