/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vaults that confirmed nothing for longer than the policy allows (backup_offsite, R40): told once, and again only where one
 * confirmed something since. What each confirmed last is in STORE/vaults/NAME.note.
 */
#include "fs/archive/internal.h"
#include "fs/archive/note.h"

#include <stdio.h>

#define EACH (60 * COF_NSEC) /* so often they are looked at; a clock that jumped is noticed at once */

struct cof_vault_due {
	char name[64];
	int64_t seen; /* by this mount, first: from then on one that confirmed nothing at all is waited for */
	bool told;
};

struct looking {
	struct cof_archive *a;
	int64_t now, within;
	struct cof_vault_due *due;
	size_t n;
};

/* What it signed last, or INT64_MIN. */
static int64_t confirmed(struct cof_archive *a, const struct cof_vault_known *v)
{
	struct cof_vkey keys[2] = {a->conf.vkey, v->vkey};
	cof_autofree uint8_t *note = NULL;
	struct cof_note n;
	char path[96];
	size_t len = 0;

	snprintf(path, sizeof(path), "vaults/%.60s.note", v->name);
	if (cof_io_load(a->io, path, COF_NOTE_MAX, &note, &len) < 0 || cof_note_open((const char *)note, len, keys, 2, &n) < 0 ||
	    n.verified != 3)
		return INT64_MIN;
	return (int64_t)COF_MIN(n.time[1], (uint64_t)(INT64_MAX / COF_NSEC)) * COF_NSEC;
}

static void tell(struct cof_archive *a, const struct cof_vault_known *v, int64_t last, int64_t within)
{
	char span[32], when[32] = "never";

	cof_duration_text(within, span);
	if (last != INT64_MIN)
		cof_time_text(last, when);
	cof_fault(a, "Vault %s is overdue: it confirmed nothing for longer than %s, which is as long as the policy allows (backup_offsite, R40); "
		     "last: %s. Run coffer sync, and find out what keeps the vault away.",
		  v->name, span, when);
}

static int look_at(void *user, const char *file)
{
	struct looking *l = user;
	const struct cof_cosigners *before = &l->a->cosigners;
	struct cof_vault_due one = {.seen = l->now}, *more;
	struct cof_vault_known v;
	size_t n = strlen(file);
	int64_t last;
	bool late;

	if (n < 6 || n >= sizeof(one.name) || strcmp(file + n - 5, ".conf") != 0)
		return 0;
	snprintf(one.name, sizeof(one.name), "%.*s", (int)(n - 5), file);
	if (cof_vault_load(l->a->io, one.name, &v) < 0 || v.retiring || !strncmp(v.url, "http", 4)) /* a witness holds no copy */
		return 0;
	for (size_t i = 0; i < before->n_due; i++)
		if (!strcmp(before->due[i].name, one.name))
			one = before->due[i];
	last = confirmed(l->a, &v);
	late = l->now - (last == INT64_MIN ? one.seen : last) > l->within;
	if (late && !one.told)
		tell(l->a, &v, last, l->within);
	one.told = late;
	more = realloc(l->due, (l->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->due = more;
	more[l->n++] = one;
	return 0;
}

void cof_overdue_tick(struct cof_archive *a)
{
	struct cof_cosigners *c = &a->cosigners;
	struct looking l = {.a = a, .now = cof_now(CLOCK_REALTIME)};
	int r;

	if (c->due_at && l.now >= c->due_at && l.now - c->due_at < EACH)
		return;
	c->due_at = l.now;
	pthread_mutex_lock(&a->profile_lock);
	l.within = a->profile.backup_offsite;
	pthread_mutex_unlock(&a->profile_lock);
	r = l.within ? cof_io_list(a->io, "vaults", look_at, &l) : 0; /* none: there is no vault */
	if (r < 0 && r != -ENOENT) { /* the next look tries again, and what was told before stays told */
		free(l.due);
		return;
	}
	free(c->due);
	c->due = l.due;
	c->n_due = l.n;
}

void cof_overdue_free(struct cof_archive *a)
{
	free(a->cosigners.due);
	a->cosigners.due = NULL;
	a->cosigners.n_due = 0;
}
