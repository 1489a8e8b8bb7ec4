/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals on record. The first of a kind (actor, operation, rule) is written at once, with its
 * path. Further ones of the kind are counted; the sum is written ten seconds later, then after
 * twenty, and so on up to every ten minutes while it goes on, and at the end. A name that is new
 * under its rule is listed with the next frame of its kind, many in one. What waits for a frame
 * survives a kill in the ledger.
 *
 * A flood costs bounded memory and bounded log (event-table.c); the sum of all counts on record,
 * and of those that still wait, is the number of refusals.
 */
#include <stdio.h>

#include "fs/archive/event.h"
#include "fs/archive/show.h"

#define ACTOR_COST 320
#define NAME_COST 24
#define WINDOW_NS (10 * COF_NSEC)
#define RATE 100  /* refusals in a window that raise an alarm; then ten times as many, and so on */
#define ALARMS 20 /* alarms of first refusals in a window */

int cof_events_new(struct cof_events **ret)
{
	struct cof_events *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	memset(e->heads, 0xff, sizeof(e->heads));
	cof_random(&e->seed, sizeof(e->seed));
	e->budget = COF_BUDGET;
	e->refilled_at = e->known_since = cof_now(CLOCK_BOOTTIME);
	pthread_mutex_init(&e->flush_lock, NULL);
	pthread_mutex_init(&e->lock, NULL);
	*ret = e;
	return 0;
}

void cof_events_free(struct cof_events *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < COF_KINDS; i++)
		free(e->kind[i].path);
	cof_names_free(e->names, e->n_names);
	cof_ledger_close(e->ledger);
	pthread_mutex_destroy(&e->flush_lock);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* ---- what a refusal was about ---- */

/* "audit/a.log", for a rename "audit/a.log -> audit/b.log"; NULL when it cannot be said. */
static char *name_of(struct cof_archive *a, const struct cof_op *op)
{
	cof_autobuf struct cof_buf text = {0}, to = {0};
	uint64_t dir = cof_op_by_name(op->kind) ? op->parent : op->ino;
	int r = 0;

	if (cof_virtual(dir))
		cof_buf_printf(&text, dir == COF_VIRTUAL_DIR ? COF_VIRTUAL_DIR_NAME
							     : COF_VIRTUAL_DIR_NAME "/" COF_VIRTUAL_EVENTS_NAME);
	else
		r = cof_show_index_path(a->ix, COF_INDEX_NOW, dir, &text);

	if (r == 0 && cof_op_by_name(op->kind) && op->name)
		cof_buf_printf(&text, "%s%s", text.len ? "/" : "", op->name);
	if (r == 0 && op->kind == COF_OP_RENAME && op->new_name) {
		r = cof_virtual(op->new_parent) ? -ENOENT
						: cof_show_index_path(a->ix, COF_INDEX_NOW, op->new_parent, &to);
		if (r == 0)
			cof_buf_printf(&text, " -> %s%s%s", to.len ? (char *)to.data : "",
				       to.len ? "/" : "", op->new_name);
		r = 0;
	}
	if (r < 0 || text.failed)
		return NULL;
	return text.len ? strndup((char *)text.data, COF_REFUSED_NAME) : strdup("/");
}

/* An actor that is not known yet gets a frame only while there is room to tell it apart. */
static uint32_t actor_of(struct cof_archive *a, const struct cof_who *who)
{
	struct cof_events *e = a->events;
	uint32_t actor = 0;
	bool room;

	if (!a->log || cof_actor_known(a, who, &actor) == 0)
		return actor;
	pthread_mutex_lock(&e->lock);
	room = e->used[COF_SCOPE_EXACT] < COF_KINDS_EXACT &&
	       cof_budget_take(e, ACTOR_COST, COF_BUDGET_KINDS);
	pthread_mutex_unlock(&e->lock);
	if (!room || !cof_events_room(a) || cof_actor_use(a, who, true, &actor) < 0)
		return 0;
	return actor;
}

/* ---- alarms ---- */

/* Lock held. What has to be said about how many there are: 0, or their number in this window. */
static uint64_t rate(struct cof_events *e, int64_t now)
{
	if (now - e->window >= WINDOW_NS) {
		if (e->in_window < RATE || now - e->window >= 2 * WINDOW_NS)
			e->said = 0; /* it was over: the next time is said again */
		e->window = now;
		e->in_window = 0;
		e->alarms = 0;
	}
	e->in_window++;
	if (e->in_window < RATE || e->in_window < 10 * e->said)
		return 0;
	e->said = e->in_window;
	return e->in_window;
}

static void alarm_rate(struct cof_archive *a, const struct cof_who *who, uint64_t n)
{
	struct cof_alarm_info info = {.event = "refusal-rate", .who = who};

	cof_alarm_event(a, &info,
			"%llu refusals within ten seconds, the last by uid %u (thread %u).",
			(unsigned long long)n, who->uid, who->pid);
}

static void alarm_first(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
			const struct cof_ruling *rl, enum cof_scope scope, const char *path)
{
	struct cof_events *e = a->events;
	struct cof_alarm_info info = {.event = "refused",
				      .operation = cof_op_name(op->kind),
				      .path = path,
				      .rule = rl->rule,
				      .who = who};
	unsigned kept_back = 0;
	bool say;

	pthread_mutex_lock(&e->lock);
	say = e->alarms < ALARMS;
	e->alarms++;
	if (say)
		kept_back = e->alarms_kept_back;
	e->alarms_kept_back = say ? 0 : e->alarms_kept_back + 1;
	pthread_mutex_unlock(&e->lock);
	if (!say)
		return;
	if (kept_back)
		cof_alarm_event(a, &info, "%u first refusals were recorded without an alarm each.",
				kept_back);
	if (scope != COF_SCOPE_EXACT)
		cof_alarm_event(
		    a, &info,
		    "Very many refusals (uid %u, thread %u, rule %s): from here on they are "
		    "counted together.",
		    who->uid, who->pid, rl->rule ? rl->rule : "");
	else
		cof_alarm_event(a, &info, "%s: %s of %s by uid %u (thread %u). %s",
				rl->error ? "Refused" : "Leak", cof_op_name(op->kind), path ? path : "a file", who->uid, who->pid,
				rl->reason ? rl->reason : "");
}

/* ---- recording ---- */

struct refusal {
	const struct cof_who *who;
	const struct cof_op *op;
	const struct cof_ruling *rl;
	int64_t now; /* record time */
	uint64_t hash, rate;
	bool first, new_name, listed;
};

/* Lock held. A kind whose refusals are about several names has none of its own. */
static void about(struct cof_refused *k, const struct refusal *f)
{
	if (!k->count.n && !k->flight.n && !k->path) {
		k->object = f->op->ino;
		k->name = f->hash;
	} else if (k->name != f->hash) {
		free(k->path);
		k->path = NULL;
		k->object = k->name = 0;
	}
}

/* Lock held: counts it where there is room. The kind stays where it is until its pin is taken off.
 */
static struct cof_refused *count(struct cof_archive *a, uint32_t actor, struct refusal *f)
{
	struct cof_events *e = a->events;
	int64_t now = cof_now(CLOCK_BOOTTIME);
	struct cof_refused *k = cof_kind_place(a, actor, f->who, f->op, f->rl, &f->first);
	unsigned set;

	f->rate = rate(e, now);
	about(k, f);
	f->new_name = cof_name_new(e, f->hash, now);
	if (f->first) {
		k->wait = COF_WAIT_FIRST;
		k->due = now + COF_WAIT_FIRST;
	}
	if (f->first && k->key.scope == COF_SCOPE_EXACT) {
		cof_tally_add(&k->flight, 1, f->now, f->now);
		k->flight_from = atomic_load(&a->size);
		k->busy = true;
	} else {
		cof_tally_add(&k->count, 1, f->now, f->now);
		/* What it takes beside its name, which is not looked for in vain. */
		f->listed = f->new_name && cof_budget_take(e, NAME_COST, COF_BUDGET_NAMES);
		k->unlisted += f->new_name && !f->listed;
	}
	cof_ledger_kind(a, cof_kind_number(e, k));
	if (f->new_name) {
		set = (unsigned)(f->hash >> 40) % COF_KNOWN_SETS;
		cof_ledger_known(a, set, (unsigned)(e->known_next[set] - 1) % COF_KNOWN_WAYS);
		cof_ledger_head(a);
	}
	k->pins += k->busy || f->listed;
	return k;
}

/* Takes path. */
static void record_first(struct cof_archive *a, struct cof_refused *k, const struct refusal *f,
			 char *path)
{
	struct cof_events *e = a->events;
	struct cof_refused copy;
	size_t at = 0;
	int err;

	pthread_mutex_lock(&e->lock);
	copy = cof_kind_copy(k);
	free(copy.path);
	copy.path = path;
	copy.object = f->op->ino;
	if (k->name == f->hash && !k->path && path)
		k->path = strdup(path);
	pthread_mutex_unlock(&e->lock);
	err = cof_kind_write(a, &copy, true, 0, NULL, 0, &at);
	pthread_mutex_lock(&e->lock);
	cof_kind_settle(a, k, err);
	k->pins--;
	pthread_mutex_unlock(&e->lock);
	free(path);
}

/* Lock held. */
static bool wait_for_frame(struct cof_archive *a, struct cof_refused *k, const struct refusal *f,
			   char *path)
{
	struct cof_events *e = a->events;
	size_t at = e->names_bytes;

	if (!cof_name_wait(e, k, f->op->ino, f->now, path))
		return false;
	cof_ledger_name(a, e->half, at, &e->names[e->n_names - 1]);
	return true;
}

/* Takes path. It waits in memory and ledger; who finds no room writes what waits. */
static void list_name(struct cof_archive *a, struct cof_refused *k, const struct refusal *f,
		      char *path)
{
	struct cof_events *e = a->events;
	bool pays, waits;

	pthread_mutex_lock(&e->lock);
	pays = path && cof_budget_take(e, cof_name_cost(e, k, path), COF_BUDGET_NAMES);
	waits = pays && wait_for_frame(a, k, f, path);
	if (pays && !waits) {
		pthread_mutex_unlock(&e->lock);
		cof_events_write(a, true);
		pthread_mutex_lock(&e->lock);
		waits = wait_for_frame(a, k, f, path);
	}
	k->unlisted += !waits;
	k->pins--;
	pthread_mutex_unlock(&e->lock);
	if (!waits)
		free(path);
}

void cof_event_refused(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		       const struct cof_ruling *rl)
{
	struct cof_events *e = a->events;
	struct refusal f = {.who = who, .op = op, .rl = rl, .now = cof_now(CLOCK_REALTIME)};
	uint32_t actor = actor_of(a, who);
	enum cof_scope scope;
	struct cof_refused *k;
	char *path;

	f.hash = cof_name_hash(e, op, rl->rule);
	if (rl->error)
		atomic_fetch_add(&a->refused, 1);
	pthread_mutex_lock(&e->lock);
	k = count(a, actor, &f);
	scope = (enum cof_scope)k->key.scope;
	pthread_mutex_unlock(&e->lock);
	if (f.first || f.listed) {
		path = name_of(a, op); /* outside the lock: it asks the index */
		if (f.first)
			alarm_first(a, who, op, rl, scope, path);
		if (f.first && scope == COF_SCOPE_EXACT)
			record_first(a, k, &f, path);
		else if (f.listed)
			list_name(a, k, &f, path);
		else
			free(path);
	}
	if (f.rate)
		alarm_rate(a, who, f.rate);
}
