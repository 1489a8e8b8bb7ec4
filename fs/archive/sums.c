/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens too often for an event each: files that were made or renamed (A.14.13), certificates and CRLs that came
 * into the archive (A.14.14). Each has a frame of its own with its actor; an EVENT says how many there were, between
 * which frames: the first within a second, then at most one a minute, and what is left at the unmount. Only where the
 * policy's level of the catalogue asks for these kinds.
 */
#include "fs/archive/note.h"

#include <stdio.h>

#define LEVEL 3 /* of table 5-1, from which on it has them */
#define EACH (60 * COF_NSEC)

static void add(struct cof_sums *s, enum cof_sum_kind kind, unsigned which, uint64_t n, uint64_t sequence)
{
	struct cof_sum *sum = &s->of[kind];
	int64_t now = cof_now(CLOCK_REALTIME);

	pthread_mutex_lock(&s->lock);
	if (!sum->n[0] && !sum->n[1]) {
		sum->first = now;
		sum->from = sequence;
	}
	sum->n[which] += n;
	sum->last = now;
	sum->to = sequence;
	pthread_mutex_unlock(&s->lock);
}

void cof_sum_name(struct cof_archive *a, bool renamed, uint64_t sequence)
{
	add(&a->sums, COF_SUM_NAMES, renamed, 1, sequence);
}

void cof_sum_certificates(struct cof_archive *a, uint64_t n, uint64_t sequence)
{
	if (n)
		add(&a->sums, COF_SUM_CERTIFICATES, 0, n, sequence);
}

/* What is due, taken out. */
static bool take(struct cof_sums *s, enum cof_sum_kind kind, bool all, struct cof_sum *ret)
{
	struct cof_sum *sum = &s->of[kind];
	int64_t now = cof_now(CLOCK_BOOTTIME);
	bool due;

	pthread_mutex_lock(&s->lock);
	due = (sum->n[0] || sum->n[1]) && (all || !sum->told || now - sum->told >= EACH);
	*ret = *sum;
	if (due)
		*sum = (struct cof_sum){.told = now};
	pthread_mutex_unlock(&s->lock);
	return due;
}

static void tell(struct cof_archive *a, enum cof_sum_kind kind, const struct cof_sum *sum)
{
	char text[160];
	const struct cof_event e = {.type = kind == COF_SUM_NAMES ? COF_EV_FILES_NAMED : COF_EV_CERT_KEPT,
				    .detail = text,
				    .ordinary = true,
				    .count = sum->n[0] + sum->n[1],
				    .first = sum->first,
				    .last = sum->last};

	if (kind == COF_SUM_NAMES)
		snprintf(text, sizeof(text), "%llu made, %llu renamed or moved: frames %llu to %llu", (unsigned long long)sum->n[0],
			 (unsigned long long)sum->n[1], (unsigned long long)sum->from, (unsigned long long)sum->to);
	else
		snprintf(text, sizeof(text), "%llu certificates, CRLs and requests: frames %llu to %llu", (unsigned long long)sum->n[0],
			 (unsigned long long)sum->from, (unsigned long long)sum->to);
	(void)cof_event_emit(a, &e, NULL); /* each has its frame */
}

void cof_sums_tell(struct cof_archive *a, bool all)
{
	struct cof_profile policy;
	struct cof_sum sum;

	if (cof_archive_policy(a, &policy) < 0 || policy.coverage < LEVEL)
		return;
	for (enum cof_sum_kind kind = 0; kind < COF_SUMS; kind++)
		if (take(&a->sums, kind, all, &sum))
			tell(a, kind, &sum);
}
