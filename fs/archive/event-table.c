/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of refusals: kinds and their counts, names that were seen, and the budget of bytes.
 * Fixed in size, whoever attacks it: what finds no place among the exact kinds is counted by
 * account and rule, what finds none there by rule, and what finds none there in one place. Hashes
 * are seeded, so that nobody can choose names that displace each other.
 */
#include <stdio.h>

#include "fs/archive/event.h"

#define KNOWN_NS (3600 * COF_NSEC)

static const struct {
	unsigned first, n;
} scopes[COF_SCOPES] = {
    [COF_SCOPE_EXACT] = {0, COF_KINDS_EXACT},
    [COF_SCOPE_UID] = {COF_KINDS_EXACT, COF_KINDS_UID},
    [COF_SCOPE_RULE] = {COF_KINDS_EXACT + COF_KINDS_UID, COF_KINDS_RULE},
    [COF_SCOPE_ALL] = {COF_KINDS_EXACT + COF_KINDS_UID + COF_KINDS_RULE, 1},
};

void cof_tally_add(struct cof_tally *t, uint64_t n, int64_t first, int64_t last)
{
	if (!n)
		return;
	if (!t->n || first < t->first)
		t->first = first;
	if (!t->n || last > t->last)
		t->last = last;
	t->n += n;
}

/* ---- hashes ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static uint64_t mix_text(uint64_t h, const char *s)
{
	for (; s && *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return mix(h, 0x100);
}

static unsigned bucket_of(const struct cof_events *e, const struct cof_key *k)
{
	uint64_t h = mix(e->seed, (uint64_t)k->actor << 32 | k->uid);

	h = mix_text(mix_text(mix(h, k->scope), k->operation), k->rule);
	return (unsigned)(h >> 32) % COF_COUNT(e->heads);
}

bool cof_op_by_name(enum cof_op_kind kind)
{
	switch (kind) {
	case COF_OP_CREATE:
	case COF_OP_UNLINK:
	case COF_OP_RMDIR:
	case COF_OP_RENAME:
	case COF_OP_LINK:
	case COF_OP_MKNOD:
		return true;
	default:
		return false;
	}
}

/* What a refusal was about, as the path on record tells it, under one rule. Never 0. */
uint64_t cof_name_hash(const struct cof_events *e, const struct cof_op *op, const char *rule)
{
	uint64_t h = mix_text(mix(mix(e->seed, op->kind), op->ino), rule);

	if (cof_op_by_name(op->kind))
		h = mix_text(mix(h, op->parent), op->name);
	if (op->kind == COF_OP_RENAME)
		h = mix_text(mix(h, op->new_parent), op->new_name);
	return h ? h : 1;
}

bool cof_name_new(struct cof_events *e, uint64_t hash, int64_t now)
{
	unsigned set = (unsigned)(hash >> 40) % COF_KNOWN_SETS;

	if (now - e->known_since > KNOWN_NS) {
		memset(e->known, 0, sizeof(e->known));
		e->known_since = now;
	}
	for (unsigned i = 0; i < COF_KNOWN_WAYS; i++)
		if (e->known[set][i] == hash)
			return false;
	e->known[set][e->known_next[set] % COF_KNOWN_WAYS] = hash;
	e->known_next[set]++;
	return true;
}

/* ---- the budget ---- */

bool cof_budget_take(struct cof_events *e, int64_t bytes, int64_t floor)
{
	int64_t now = cof_now(CLOCK_BOOTTIME);
	int64_t more = (now - e->refilled_at) / COF_NSEC * COF_BUDGET_SECOND;

	if (more > 0) {
		e->budget = COF_MIN(e->budget + more, COF_BUDGET);
		e->refilled_at = now;
	}
	if (e->budget - bytes < floor)
		return false;
	e->budget -= bytes;
	return true;
}

/* ---- kinds ---- */

uint16_t cof_kind_number(const struct cof_events *e, const struct cof_refused *k)
{
	return (uint16_t)(k - e->kind);
}

static bool same(const struct cof_key *a, const struct cof_key *b)
{
	return a->scope == b->scope && a->actor == b->actor && a->uid == b->uid &&
	       !strcmp(a->operation, b->operation) && !strcmp(a->rule, b->rule);
}

static struct cof_refused *find(struct cof_events *e, const struct cof_key *key)
{
	for (uint16_t i = e->heads[bucket_of(e, key)]; i != COF_KIND_NONE; i = e->kind[i].next)
		if (same(&e->kind[i].key, key))
			return &e->kind[i];
	return NULL;
}

struct cof_refused *cof_kind_put(struct cof_events *e, uint16_t at, const struct cof_key *key)
{
	struct cof_refused *k = &e->kind[at];
	uint16_t *head = &e->heads[bucket_of(e, key)];

	*k = (struct cof_refused){.used = true, .key = *key, .next = *head};
	*head = at;
	e->used[key->scope]++;
	return k;
}

void cof_kind_free(struct cof_events *e, struct cof_refused *k)
{
	uint16_t *at = &e->heads[bucket_of(e, &k->key)];

	while (*at != cof_kind_number(e, k))
		at = &e->kind[*at].next;
	*at = k->next;
	e->used[k->key.scope]--;
	free(k->path);
	*k = (struct cof_refused){.used = false};
}

static struct cof_refused *take(struct cof_archive *a, const struct cof_key *key)
{
	struct cof_events *e = a->events;
	unsigned first = scopes[key->scope].first, n = scopes[key->scope].n, of_uid = 0;
	struct cof_refused *place = NULL;

	if (e->used[key->scope] == n)
		return NULL;
	for (unsigned i = first; i < first + n; i++) {
		if (!e->kind[i].used && !place)
			place = &e->kind[i];
		of_uid += e->kind[i].used && e->kind[i].key.uid == key->uid;
	}
	if (!place)
		return NULL;
	/* The frame of its first, and of its sum. */
	if (key->scope == COF_SCOPE_EXACT &&
	    (of_uid >= COF_KINDS_OF_UID || !cof_budget_take(e, 400, COF_BUDGET_KINDS)))
		return NULL;
	place = cof_kind_put(e, cof_kind_number(e, place), key);
	place->mount = a->mount;
	return place;
}

static struct cof_key key_of(enum cof_scope scope, uint32_t actor, const struct cof_who *who,
			     const struct cof_op *op, const struct cof_ruling *rl)
{
	struct cof_key k = {.scope = (uint8_t)scope};

	if (scope == COF_SCOPE_ALL)
		return k;
	snprintf(k.rule, sizeof(k.rule), "%s", rl->rule ? rl->rule : "");
	if (scope == COF_SCOPE_RULE)
		return k;
	k.uid = who->uid;
	if (scope == COF_SCOPE_UID)
		return k;
	k.actor = actor;
	snprintf(k.operation, sizeof(k.operation), "%s", cof_op_name(op->kind));
	return k;
}

struct cof_refused *cof_kind_place(struct cof_archive *a, uint32_t actor, const struct cof_who *who,
				   const struct cof_op *op, const struct cof_ruling *rl,
				   bool *ret_new)
{
	for (enum cof_scope scope = COF_SCOPE_EXACT; scope < COF_SCOPES; scope++) {
		struct cof_key key = key_of(scope, actor, who, op, rl);
		struct cof_refused *k = find(a->events, &key);

		*ret_new = !k;
		if (!k)
			k = take(a, &key);
		if (!k)
			continue;
		if (*ret_new) {
			k->error = rl->error;
			k->reason = scope == COF_SCOPE_ALL ? NULL : rl->reason;
		}
		return k;
	}
	return NULL; /* not reached: the last scope has one place, and one key */
}

/* ---- names ---- */

int64_t cof_name_cost(const struct cof_events *e, const struct cof_refused *k, const char *path)
{
	const char *before = k->last ? e->names[k->last - 1].path : "";
	size_t shared = 0;

	while (before[shared] && before[shared] == path[shared])
		shared++;
	return (int64_t)strlen(path + shared);
}

bool cof_name_wait(struct cof_events *e, struct cof_refused *k, uint64_t object, int64_t time,
		   char *path)
{
	struct cof_name n = {cof_kind_number(e, k), object, time, path};
	size_t bytes = cof_ledger_name_bytes(&n);

	if (e->names_bytes + bytes > COF_NAMES_BYTES - 2)
		return false;
	if (e->n_names == e->max_names) {
		size_t max = e->max_names ? 2 * e->max_names : 64;
		struct cof_name *more = realloc(e->names, max * sizeof(*more));

		if (!more)
			return false;
		e->names = more;
		e->max_names = max;
	}
	if (!e->n_names)
		e->names_since = cof_now(CLOCK_BOOTTIME);
	e->names[e->n_names++] = n;
	e->names_bytes += bytes;
	k->waiting++;
	k->last = (uint32_t)e->n_names;
	return true;
}
