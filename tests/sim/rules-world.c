/* SPDX-License-Identifier: Apache-2.0 */
/* The archive beside the model: making, opening, crashing, comparing. */
#include "tests/sim/rules-world.h"

#include <stdio.h>

#include "fs/archive/keys.h"
#include "fs/archive/people.h"
#include "tests/sim/audit.h"
#include "tests/sim/clocks.h"
#include "tests/sim/rules-sign.h"

char rules_doing[256];

/* ---- comparing ---- */

struct differing {
	struct rules_world *w;
	const struct rm *m;
	char text[1024];
	unsigned shelves;
};

#define DIFFERS(d, ...) ((void)snprintf((d)->text, sizeof((d)->text), __VA_ARGS__), true)

static unsigned bits(unsigned v)
{
	return (unsigned)__builtin_popcount(v);
}

/* What was destroyed is read by nobody, and no tree leads to its key; what was not reads as it was written. */
static bool content_differs(struct differing *d, unsigned i)
{
	const struct rm_node *n = &d->m->node[i];
	struct cof_archive *a = d->w->archive;
	bool gone = cof_keys_destroyed(a->keys, n->ino);
	uint8_t got[64];
	size_t len = 0;
	int r = 0;

	if (gone != n->destroyed)
		return DIFFERS(d, "of node %u %s tree leads to the key", i, gone ? "no" : "a");
	if (n->content && !n->removed)
		r = cof_archive_read(a, COF_INDEX_NOW, n->ino, got, sizeof(got), 0, &len);
	if (r != (n->destroyed && n->content && !n->removed ? -ENODATA : 0))
		return DIFFERS(d, "node %u, %s: reading it gives %s", i, n->destroyed ? "destroyed" : "whole", strerror(-r));
	for (size_t k = 0; r == 0 && k < len; k++)
		if (got[k] != 'x')
			return DIFFERS(d, "node %u holds other bytes", i);
	return r == 0 && n->content && !n->removed && !len && DIFFERS(d, "node %u is empty", i);
}

static bool file_differs(struct differing *d, unsigned i, const struct cof_object *o)
{
	const struct rm_node *n = &d->m->node[i];
	bool gone = o->state == COF_STATE_DESTROYED, fixed = gone || o->state == COF_STATE_COMMITTED || o->state == COF_STATE_EXPIRED;

	if (gone != n->destroyed)
		return DIFFERS(d, "node %u is %s", i, gone ? "destroyed" : "not destroyed");
	if (fixed != n->committed)
		return DIFFERS(d, "node %u is %s", i, fixed ? "committed" : "open");
	if ((o->size != 0) != n->content)
		return DIFFERS(d, "node %u has %llu bytes", i, (unsigned long long)o->size);
	if (!fixed)
		return false;
	if (o->retain_until != n->until || o->event_due != n->waits)
		return DIFFERS(d, "node %u is kept until %lld (%s), not %lld (%s)", i, (long long)o->retain_until,
			       o->event_due ? "waits" : "counts", (long long)n->until, n->waits ? "waits" : "counts");
	if ((o->mode_kept == COF_GOVERNANCE) != n->governance ||
	    (o->binds_from > 0 ? o->binds_from : RM_NONE) != n->binds)
		return DIFFERS(d, "node %u was bound otherwise", i);
	return false;
}

static int view_of(struct cof_archive *a, uint64_t ino, struct cof_object *ret)
{
	struct cof_obj *o;
	int r;

	cof_gate_enter(a);
	r = cof_obj_get(a, ino, &o);
	if (r == 0) {
		cof_obj_rule_view(a, o, ret);
		cof_obj_put(a, o);
	}
	cof_gate_leave(a);
	return r;
}

static bool node_differs(struct differing *d, unsigned i)
{
	const struct rm_node *n = &d->m->node[i];
	cof_autobuf struct cof_buf path = {0};
	struct cof_archive *a = d->w->archive;
	struct cof_object o = {0};
	uint64_t ino = n->ino, other;
	char want[256];
	int r;

	rules_path(d->m, i, want);
	if (!ino && n->removed)
		return false;
	r = ino ? 0 : cof_archive_resolve(a, want, &ino);
	if (r == 0 && !n->removed)
		r = cof_archive_path(a, ino, &path);
	if (n->removed) /* one that a crash took back, and one that never was, has no such inode */
		return cof_archive_resolve(a, want, &other) == 0   ? DIFFERS(d, "%s is there and was removed", want)
		       : view_of(a, ino, &o) < 0 || o.state != COF_STATE_REMOVED ? DIFFERS(d, "%s was never removed", want)
										  : false;
	if (r < 0)
		return DIFFERS(d, "%s: %s", want, strerror(-r));
	if (strcmp((const char *)path.data, want) != 0)
		return DIFFERS(d, "%s is %s", want, (const char *)path.data);
	r = view_of(a, ino, &o);
	if (r < 0)
		return DIFFERS(d, "%s: %s", want, strerror(-r));
	if (o.holds != bits(n->holds) || o.held_by_name != (n->named != 0))
		return DIFFERS(d, "%s has %u holds%s, not %u%s", want, o.holds, o.held_by_name ? " by name" : "",
			       bits(n->holds), n->named ? " by name" : "");
	return !n->dir && file_differs(d, i, &o);
}

static const enum cof_request_state states[] = {
    [RM_OPEN] = COF_REQUEST_OPEN, [RM_DONE] = COF_REQUEST_DONE, [RM_FAILED] = COF_REQUEST_FAILED, [RM_REFUSED] = COF_REQUEST_REFUSED};

static bool requests_differ(struct differing *d)
{
	struct cof_judge *judge = cof_people_judge(d->w->archive);
	struct cof_request_view v;
	size_t n = 0;

	for (; cof_judge_request_at(judge, n, &v) == 0 && n < d->m->n_requests; n++) {
		const struct rm_request *q = &d->m->request[n];
		enum cof_request_state s = v.state == COF_REQUEST_EXPIRED ? COF_REQUEST_OPEN : v.state;

		if (memcmp(q->id, v.request->id, 32) != 0 || s != states[q->state] || v.n_signers != bits(q->signers))
			return DIFFERS(d, "request %zu is %s with %zu signers, not %s with %u: %s", n,
				       cof_request_state_name(v.state), v.n_signers,
				       cof_request_state_name(states[q->state]), bits(q->signers), v.outcome);
	}
	if (n < d->m->n_requests || cof_judge_request_at(judge, n, &v) == 0)
		return DIFFERS(d, "not %u requests", d->m->n_requests);
	return false;
}

static bool people_differ(struct differing *d)
{
	const struct cof_people *p = cof_judge_people(cof_people_judge(d->w->archive));
	cof_autobuf struct cof_buf text = {0}, revoked = {0};

	rules_people_text(&d->m->people, &text, &revoked);
	if (!p || p->text_len != text.len || memcmp(p->text, text.data, text.len) != 0 || p->revoked_len != revoked.len ||
	    (revoked.len && memcmp(p->revoked, revoked.data, revoked.len) != 0))
		return DIFFERS(d, "other people are in force");
	return false;
}

static int shelf_differs(void *user, struct cof_json *entry)
{
	const char *name = cof_json_str(entry, "name"), *text = cof_json_str(entry, "policy");
	struct cof_policy want, got;
	cof_autobuf struct cof_buf one = {0}, other = {0};
	struct differing *d = user;
	char policy[256];

	for (unsigned i = 0; i < RM_SHELVES; i++) {
		if (strcmp(name, rules_shelf[i]) != 0)
			continue;
		d->shelves++;
		rules_policy_text(&d->m->policy[i], policy);
		if (cof_policy_parse(policy, strlen(policy), &want, NULL) < 0 ||
		    cof_policy_parse(text, strlen(text), &got, NULL) < 0 || cof_policy_text(&want, &one) < 0 ||
		    cof_policy_text(&got, &other) < 0 || one.len != other.len || memcmp(one.data, other.data, one.len) != 0)
			(void)DIFFERS(d, "shelf %s has the policy %s", name, text);
	}
	return 0;
}

static bool differs(struct differing *d)
{
	for (unsigned i = 0; i < d->m->nodes; i++)
		if (node_differs(d, i) || (d->w->look && !d->m->node[i].dir && d->m->node[i].ino && content_differs(d, i)))
			return true;
	if (requests_differ(d) || people_differ(d))
		return true;
	ck_assert_int_eq(cof_archive_shelves(d->w->archive, shelf_differs, d), 0);
	return d->text[0] || (d->shelves != RM_SHELVES && DIFFERS(d, "%u shelves", d->shelves));
}

static void check_same(struct rules_world *w, const char *what)
{
	struct differing d = {.w = w, .m = &w->m};

	w->look |= w->looks++ % 16 == 0;
	if (differs(&d))
		ck_abort_msg("%s: behind %s: %s", rules_doing, what, d.text);
	w->look = false;
}

/* ---- steps ---- */

static void push(struct rules_world *w, const struct rm *m)
{
	if (w->states == w->room) {
		w->room = w->room ? 2 * w->room : 64;
		w->state = realloc(w->state, w->room * sizeof(*w->state));
		ck_assert_ptr_nonnull(w->state);
	}
	w->state[w->states++] = *m;
}

void rules_begin(struct rules_world *w, const struct rm *next, int want)
{
	if (want == 0)
		push(w, next);
}

static bool crashed(const struct rules_world *w, int r)
{
	return w->crash_at && cof_sim_ops(w->sim) >= w->crash_at &&
	       (r == -ESHUTDOWN || r == -EIO || r == -EROFS || r == -EPERM);
}

static void check_clock(struct rules_world *w, const char *what)
{
	int64_t now = cof_clock_retention(&w->archive->clock);

	ck_assert_msg(now == w->m.now, "%s: behind %s: the retention time is %lld, not %lld", rules_doing, what, (long long)now,
		      (long long)w->m.now);
}

void rules_end(struct rules_world *w, const char *what, const struct rm *next, int want, int r, bool wrote, bool durable)
{
	if (r != want && crashed(w, r)) {
		w->down = true;
		return;
	}
	ck_assert_msg(r == want, "%s: %s: %s, and the model says %s", rules_doing, what, strerror(-r), strerror(-want));
	w->refused += r == -EPERM;
	if (r == 0) {
		w->m = *next;
		w->acked = w->states - 1;
	}
	if (r == 0 && wrote)
		w->ret_acked = w->m.now;
	if (r == 0 && durable) {
		w->durable = w->acked;
		w->ret_durable = w->ret_acked = w->m.now;
	}
	if (w->crash_at && cof_sim_ops(w->sim) >= w->crash_at) {
		w->down = true; /* nothing more is to be had from it */
		return;
	}
	check_clock(w, what);
	check_same(w, what);
}

void rules_pass(struct rules_world *w, int64_t ns)
{
	clocks_pass(ns);
	w->m.now += ns;
	w->m.wall = cof_now(CLOCK_REALTIME);
}

static void unblock(void *user, int err)
{
	*(int *)user = err;
}

void rules_sync(struct rules_world *w)
{
	int err = -EINPROGRESS;

	cof_archive_sync_async(w->archive, w->last, unblock, &err); /* no threads: answered at once */
	if (crashed(w, err)) {
		w->down = true;
		return;
	}
	ck_assert_msg(err == 0, "%s: sync: %s", rules_doing, strerror(-err));
	w->durable = w->acked;
	w->ret_durable = w->ret_acked;
}

/* ---- making, opening, crashing ---- */

static int try_open(struct rules_world *w, struct cof_diag *diag)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key, 48};
	struct cof_archive_params p = {.io = w->io,
				       .secret = &secret,
				       .index_dir = "",
				       .seal_interval = INT64_MAX,
				       .heartbeat = -1,
				       .verify_signature = sign_verify,
				       .no_threads = true};

	return cof_archive_open(&p, &w->archive, &w->opened, diag);
}

static void forget_states(struct rules_world *w)
{
	w->states = 0;
	push(w, &w->m);
	w->acked = w->durable = 0;
}

void rules_new(struct rules_world *w, uint64_t seed)
{
	static const struct rm_policy policy[RM_SHELVES] = {
	    {.kept = 20, .persons = 2}, {.governance = true, .kept = 20, .persons = 2},
	    {.kept = 20, .cooling = 5, .persons = 2}, {.kept = 5, .event = true, .persons = 2}};
	struct cof_shelf_spec shelf[RM_SHELVES];
	struct cof_diag diag = {""};
	struct cof_init_params p = {.origin = "test.example/rules", .segment_size = 65536, .shelves = shelf, .n_shelves = RM_SHELVES};
	struct cof_opener_secret secret;
	char text[256];

	memset(w, 0, sizeof(*w));
	clocks_start(seed);
	audit_start();
	ck_assert_int_eq(cof_crypto_init(4u << 20, &diag), 0);
	w->key = cof_secret_alloc(48);
	memset(w->key, 42, 48);
	w->sim = cof_sim_new(seed);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	secret = (struct cof_opener_secret){COF_OPENER_FILE, w->key, 48};
	p.secret = &secret;
	w->m.now = w->m.wall = cof_now(CLOCK_REALTIME);
	for (unsigned i = 0; i < RM_SHELVES; i++) {
		w->m.policy[i] = policy[i];
		rules_policy_text(&policy[i], text);
		shelf[i].name = rules_shelf[i];
		ck_assert_int_eq(cof_policy_parse(text, strlen(text), &shelf[i].policy, &diag), 0);
		w->m.node[w->m.nodes++] = (struct rm_node){.dir = true, .shelf = (uint8_t)i, .parent = (uint8_t)i};
	}
	ck_assert_msg(cof_archive_init(w->io, &p, &diag) == 0, "%s", diag.text);
	ck_assert_msg(try_open(w, &diag) == 0, "%s", diag.text);
	w->m.now = cof_clock_retention(&w->archive->clock);
	for (unsigned i = 0; i < RM_SHELVES; i++)
		ck_assert_int_eq(cof_archive_resolve(w->archive, rules_shelf[i], &w->m.node[i].ino), 0);
	rules_first_people(w);
	w->ret_acked = w->ret_durable = w->m.now;
	forget_states(w);
	check_same(w, "making it");
}

void rules_free(struct rules_world *w)
{
	for (unsigned i = 0; i < w->drafts; i++) {
		cof_buf_done(&w->draft[i].doc);
		cof_buf_done(&w->draft[i].sheet);
	}
	free(w->state);
	cof_io_free(w->io);
	cof_sim_free(w->sim);
	cof_secret_free(w->key);
	ck_assert_uint_eq(audit_repeated(), 0);
}

void rules_close(struct rules_world *w)
{
	int r = cof_archive_close(w->archive, NULL);

	w->archive = NULL;
	if (r < 0 && w->crash_at && cof_sim_ops(w->sim) >= w->crash_at) {
		w->down = true;
		return;
	}
	ck_assert_int_eq(r, 0);
	w->durable = w->acked;
	w->ret_durable = w->ret_acked = w->m.now;
}

void rules_crash(struct rules_world *w, enum cof_sim_loss loss)
{
	if (w->archive)
		cof_archive_abandon(w->archive);
	w->archive = NULL;
	cof_io_free(w->io);
	cof_sim_reboot(w->sim, loss);
	w->crash_at = 0;
	w->down = false;
	if (loss != COF_SIM_KEEP) {
		clocks_boot();
		w->rebooted = true;
	}
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	rules_judge(w, false);
}

/* Over a boot retention time goes on by nothing, and never back behind what is on record. */
static void take_clock(struct rules_world *w, int64_t least)
{
	int64_t now = cof_clock_retention(&w->archive->clock), most = w->m.now;

	for (size_t i = w->acked; i < w->states; i++) /* what was caught up when it crashed */
		most = COF_MAX(most, w->state[i].now);
	ck_assert_msg(now >= least && now <= most, "%s: the retention time is %lld, not in %lld to %lld", rules_doing,
		      (long long)now, (long long)least, (long long)most);
	w->m.now = now;
	w->m.wall = cof_now(CLOCK_REALTIME);
	w->ret_acked = w->ret_durable = COF_MIN(now, COF_MAX(least, w->ret_durable));
	w->rebooted = false;
}

void rules_open(struct rules_world *w)
{
	struct cof_diag diag = {""};
	int r = try_open(w, &diag);

	if (r < 0 && w->crash_at && cof_sim_ops(w->sim) >= w->crash_at) {
		w->archive = NULL;
		w->down = true;
		return;
	}
	ck_assert_msg(r == 0, "%s: %s", rules_doing, diag.text);
	check_clock(w, "a remount");
	w->look = true;
	check_same(w, "a remount");
	forget_states(w);
}

static void settle(struct rules_world *w, size_t least)
{
	struct differing d = {.w = w};
	int64_t now = w->m.now, wall = w->m.wall;
	size_t k = w->states;

	w->look = true;
	while (k > least) {
		d.m = &w->state[--k];
		d.text[0] = '\0';
		d.shelves = 0;
		if (differs(&d))
			continue;
		w->look = false;
		w->m = w->state[k];
		w->m.now = now;
		w->m.wall = wall;
		for (unsigned i = 0; i < w->m.nodes; i++) {
			char path[256];

			rules_path(&w->m, i, path);
			if (!w->m.node[i].ino && !w->m.node[i].removed)
				ck_assert_int_eq(cof_archive_resolve(w->archive, path, &w->m.node[i].ino), 0);
		}
		return;
	}
	ck_abort_msg("%s: not a state from %zu to %zu; of the oldest: %s", rules_doing, least, w->states - 1, d.text);
}

void rules_reopen(struct rules_world *w, enum cof_sim_loss loss, uint64_t again)
{
	struct cof_diag diag = {""};
	int r;

	if (again) {
		w->crash_at = cof_sim_ops(w->sim) + again;
		cof_sim_plan(w->sim, COF_SIM_CRASH, w->crash_at);
		r = try_open(w, &diag);
		if (r < 0)
			w->archive = NULL;
		if (r == 0 && cof_sim_ops(w->sim) < w->crash_at)
			again = 0; /* it got through */
		else
			rules_crash(w, loss);
	}
	if (!again || !w->archive) {
		if (!w->archive)
			r = try_open(w, &diag);
		else
			r = 0;
		ck_assert_msg(r == 0, "%s: open: %s", rules_doing, diag.text);
	}
	ck_assert_msg(!w->opened.read_only, "%s: %s", rules_doing, w->opened.text);
	take_clock(w, loss == COF_SIM_KEEP ? w->ret_acked : w->ret_durable);
	settle(w, loss == COF_SIM_KEEP ? w->acked : w->durable);
	forget_states(w);
	w->last = 0; /* what it was may be gone; what is there is durable */
}

/* ---- the judge ---- */

static void on_finding(void *user COF_UNUSED, uint64_t sequence, const char *type, const char *rule, const char *reason)
{
	ck_abort_msg("%s: the judge does not permit frame %llu, %s: %s: %s", rules_doing, (unsigned long long)sequence, type, rule,
		     reason);
}

void rules_judge(struct rules_world *w, bool clean)
{
	struct cof_judge_store p = {.verify = sign_verify, .finding = on_finding};
	struct cof_judged judged;
	struct cof_diag diag = {""};
	int r = cof_store_judge(w->io, &p, &judged, &diag);

	ck_assert_msg(r == 0, "%s: %s", rules_doing, diag.text);
	ck_assert_msg(judged.people && (!clean || judged.requests == w->m.n_requests) && !judged.not_permitted,
		      "%s: the judge saw %llu requests, of %u", rules_doing, (unsigned long long)judged.requests, w->m.n_requests);
}
