/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at for the rules about recording, R1 to R8. */
#include "tools/compliance.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define EVENTS "coffer events STORE"
#define SAY compliance_says
#define not_built compliance_not_built

void check_events(struct looked *l)
{
	if (!l->f->events)
		SAY(l, MANUAL, EVENTS, "no event is in the chain yet: make one (rm of a committed file) and look at its fields");
	else
		SAY(l, PASS, EVENTS, "all %llu events carry type, time, actor and outcome", (unsigned long long)l->f->events);
}

void check_coverage(struct looked *l)
{
	struct cof_people people = {0};
	bool any = facts_people(l->f, &people);
	const struct coverage_terms t = {.policy = l->p, .people = any ? &people : NULL, .now = l->now};
	cof_autofree struct covered *k = calloc(COVERAGE_KINDS, sizeof(*k));
	cof_autobuf struct cof_buf without = {0};
	size_t n = k && l->p->coverage ? coverage_kinds(l->f->coverage, l->p->coverage, &t, k) : 0, missing = 0;

	for (size_t i = 0; i < n; i++) {
		if (is_covered(k[i].state))
			continue;
		missing++;
		cof_buf_printf(&without, " %s", k[i].id);
	}
	if (any)
		cof_people_done(&people);
	if (!l->p->coverage)
		SAY(l, NOT_APPLICABLE, NULL, "the policy names no level of table 5-1");
	else if (missing)
		SAY(l, FAIL, "coffer coverage STORE", "%zu of %zu kinds have no live, tested source and no person:%.350s", missing, n,
		    (char *)without.data);
	else if (!l->f->mounted || !n)
		SAY(l, MANUAL, "coffer coverage STORE", "not mounted: whether sources are live is asked of the daemon");
	else
		SAY(l, PASS, "coffer coverage STORE", "each of %zu kinds of level %u has a live, tested source or a person", n,
		    l->p->coverage);
}

/* The text of a file in a directory. */
static bool any_has(const char *dir, const char *text)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		static char buf[65536];
		cof_autofree char *path = NULL;
		cof_autoclose int fd = -1;
		size_t n = 0;

		if (asprintf(&path, "%s/%s", dir, e->d_name) < 0) {
			path = NULL;
			break;
		}
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && cof_read_all(fd, buf, sizeof(buf) - 1, &n) == 0) {
			buf[n] = '\0';
			found = strstr(buf, text) != NULL;
		}
	}
	if (d)
		closedir(d);
	return found;
}

void check_attempts(struct looked *l)
{
	const struct done *d = facts_last(l->f, "refused");

	if (!any_has("/etc/audit/rules.d", "coffer-refused"))
		SAY(l, FAIL, "coffer init --profile prints the rules",
		    "refusals that reach Coffer: %llu on record; but no audit rule in /etc/audit/rules.d catches what the kernel "
		    "refuses first",
		    (unsigned long long)(d ? d->count : 0));
	else if (!d)
		SAY(l, MANUAL, EVENTS, "the audit rule is there; no attempt is on record yet: try rm of a committed file");
	else
		SAY(l, PASS, EVENTS, "%llu refusals on record, and the audit rule is there for what the kernel refuses",
		    (unsigned long long)d->count);
}

struct gap_count {
	uint64_t lost, unmounted;
};

static int count_gap(void *user, const struct cof_gap *gap)
{
	struct gap_count *c = user;

	c->unmounted += gap->kind == COF_GAP_UNMOUNTED;
	c->lost += gap->kind != COF_GAP_UNMOUNTED;
	return 0;
}

void check_gaps(struct looked *l)
{
	struct gap_count c = {0};
	struct cof_diag why = {""};

	if (cof_store_gaps(l->f->store.io, count_gap, &c, &why) < 0)
		SAY(l, FAIL, "coffer gaps STORE", "the log could not be gone through: %.300s", why.text);
	else if (c.lost)
		SAY(l, MANUAL, "coffer gaps STORE", "%llu times a daemon ended without an unmount, or gave no sign of life: look when",
		    (unsigned long long)c.lost);
	else if (!l->p->heartbeat)
		SAY(l, MANUAL, "coffer gaps STORE", "no gap inside a mount, but the policy asks for no sign of life");
	else
		SAY(l, PASS, "coffer gaps STORE", "from the first mount on no gap but %llu between an unmount and the next mount",
		    (unsigned long long)c.unmounted);
}

void check_reads(struct looked *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->f->n_shelves; i++)
		n += l->f->shelves[i].policy.read_events;
	if (!n)
		SAY(l, FAIL, "coffer shelf list STORE", "no shelf has read_events = yes");
	else if (!facts_last(l->f, "read"))
		SAY(l, MANUAL, EVENTS, "%zu shelves ask for it, no reading is on record: read a file there and look", n);
	else
		SAY(l, PASS, EVENTS, "%zu shelves ask for it, %llu readings on record", n,
		    (unsigned long long)facts_last(l->f, "read")->count);
}

void check_changes(struct looked *l)
{
	const struct done *asked = facts_last(l->f, "change-requested");
	size_t late = 0;

	for (size_t i = 0; l->p->change_open && i < l->f->changes.n; i++) {
		const struct change *c = &l->f->changes.change[i];

		late += change_is_owed(c, l->p->change_signers) && c->requested != INT64_MIN && l->now - c->requested > l->p->change_open;
	}
	if (!l->p->changes)
		SAY(l, NOT_APPLICABLE, NULL, "the policy asks for none");
	else if (late)
		SAY(l, FAIL, "coffer due STORE", "%zu changes are open for longer than change_open allows", late);
	else if (asked)
		SAY(l, MANUAL, "coffer change list STORE", "%llu changes were asked for; whether all that changed is among them is a person's to say",
		    (unsigned long long)asked->count);
	else
		SAY(l, MANUAL, "coffer change list STORE", "no change is on record; whether there was one is a person's to say");
}

void check_leaks(struct looked *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->f->n_shelves; i++)
		n += l->f->shelves[i].policy.leak_guard != 0;
	SAY(l, FAIL, "coffer shelf list STORE", "%zu of %zu shelves have a leak guard; but a key that slipped in cannot be redacted in "
						"this version",
	    n, l->f->n_shelves);
}

void check_clock(struct looked *l)
{
	bool late = l->p->proof && (l->f->last_proof == INT64_MIN || l->now - l->f->last_proof > l->p->proof);
	char text[32];

	if (late)
		SAY(l, FAIL, "coffer clock STORE", "a proof of time is wanted at least so often, and the newest is %s",
		    l->f->last_proof == INT64_MIN ? "none at all" : "older");
	else if (!l->f->mounted)
		SAY(l, MANUAL, "coffer clock STORE", "not mounted: the deviation of the clock is not known");
	else if (l->f->deviation_ms > l->f->deviation_limit_ms || -l->f->deviation_ms > l->f->deviation_limit_ms)
		SAY(l, FAIL, "coffer clock STORE", "the wall clock is off by %lld ms, allowed are %lld",
		    (long long)l->f->deviation_ms, (long long)l->f->deviation_limit_ms);
	else {
		cof_span_text(l->p->deviation, text);
		SAY(l, PASS, "coffer clock STORE", "off by %lld ms of %s allowed; %llu steps of the clock on record",
		    (long long)l->f->deviation_ms, text, (unsigned long long)facts_count(l->f, "clock-reset"));
	}
}
