/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order, which is all there is to it: a CHECKPOINT frame names the value that the counter is going to
 * have; that frame is durable; the counter is raised. So the chain is never behind the counter, and at most
 * one ahead. Between two raises checkpoints repeat the value that is.
 */
#include "fs/archive/anchor.h"

#include <pthread.h>
#include <stdio.h>

#include "fs/archive/internal.h"

#define RETRY (10 * COF_NSEC)
#define NOT_YET INT64_MIN

struct cof_anchor {
	struct cof_archive *a;
	uint32_t index;
	int64_t interval;
	struct cof_anchored mount; /* what the MOUNT frame says: the chain's, as it was found */
	bool unproven;
	uint64_t missing; /* of unproven */

	pthread_mutex_t lock; /* leaf: guards what follows */
	pthread_cond_t wake;
	struct cof_anchored now; /* the counter as it is, and the TPM's resets */
	uint64_t target;	 /* a frame names it, or is about to; 0: none */
	uint64_t sequence;	 /* of that frame; 0: not appended yet */
	int64_t raised_at, failed_at; /* monotonic; NOT_YET */
	int err;		 /* of the last raise */
	struct cof_diag why;	 /* where err is set */
	enum cof_tpm_cause cause;
	uint64_t raises;	 /* since mount */
	bool closing, stop;
	bool owed;		 /* the newest checkpoint repeats a value, or names one that is passed */

	pthread_t thread;
	bool runs;
};

int cof_anchor_new(struct cof_archive *a, struct cof_anchor **ret)
{
	struct cof_anchor *n;
	pthread_condattr_t attr;

	*ret = NULL;
	if (!a->keys->nv.here || a->passive)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->a = a;
	n->index = a->keys->nv.anchor;
	n->interval = a->p.anchor_interval ? a->p.anchor_interval : COF_ANCHOR_INTERVAL;
	n->now.value = a->keys->nv.anchor_base;
	cof_put_le32(n->now.counter, n->index);
	memcpy(n->now.counter + 4, a->keys->nv.anchor_id, 8);
	n->raised_at = n->failed_at = NOT_YET;
	pthread_mutex_init(&n->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&n->wake, &attr);
	pthread_condattr_destroy(&attr);
	*ret = n;
	return 0;
}

void cof_anchor_free(struct cof_anchor *n)
{
	if (!n)
		return;
	pthread_mutex_destroy(&n->lock);
	pthread_cond_destroy(&n->wake);
	free(n);
}

/* ---- asking the TPM ---- */

struct ask {
	uint32_t index;
	uint64_t value, target; /* target 0: only read */
	struct cof_tpm_clock clock;
};

static int ask_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct ask *q = arg;
	int r = cof_tpm_clock_read(t, &q->clock, diag);

	if (r < 0)
		return r;
	return q->target ? cof_tpm_counter_raise(t, q->index, COF_TPM_ORDERLY, q->target, &q->value, diag)
			 : cof_tpm_counter_read(t, q->index, COF_TPM_ORDERLY, &q->value, diag);
}

/* ---- at mount ---- */

static int chain_value(struct cof_anchor *n, uint64_t mount, struct cof_anchored *ret)
{
	struct cof_archive *a = n->a;
	int r = 0;

	*ret = a->opened.recovered.anchored;
	if (!ret->there && mount)
		r = cof_anchored_find(a->reader, &a->conf, mount, a->opened.recovered.end_address, ret);
	/* Another counter's value says nothing of this one, which began with the base that keys/top has. */
	if (r == 0 && ret->there && memcmp(ret->counter, n->now.counter, sizeof(ret->counter)) != 0)
		ret->there = false;
	if (r == 0 && !ret->there)
		ret->value = n->now.value;
	return r;
}

static void tell_state(struct cof_anchor_found *f, uint64_t chain, uint64_t counter)
{
	unsigned long long n = f->n;

	if (f->state == COF_ANCHOR_UNPROVEN)
		cof_fail(&f->text, 0,
			 "The TPM lost power since, and its counter went on by %llu: unclean, %llu checkpoints "
			 "unproven, which is what a power cut leaves, and would hide a tail cut off in it.",
			 n, n);
	else if (f->state == COF_ANCHOR_TRUNCATED)
		cof_fail(&f->text, 0,
			 "Truncated: the TPM's counter is at %llu, the log at %llu: at least %llu later checkpoints "
			 "are missing, with all they covered. The newest copy of the log belongs there; if there "
			 "is none: coffer seal new-lineage STORE",
			 (unsigned long long)counter, (unsigned long long)chain, n);
	else if (f->state == COF_ANCHOR_WENT_BACK)
		cof_fail(&f->text, 0,
			 "The TPM's counter is at %llu, the log was at %llu already: an old state of a virtual TPM "
			 "was put back, or it is another TPM. If nobody can say why, treat the host as compromised; "
			 "then: coffer seal new-lineage STORE",
			 (unsigned long long)counter, (unsigned long long)chain);
	f->read_only = f->state == COF_ANCHOR_TRUNCATED || f->state == COF_ANCHOR_WENT_BACK;
}

int cof_anchor_open(struct cof_anchor *n, uint64_t mount, struct cof_anchor_found *ret,
		    struct cof_diag *diag)
{
	struct ask q = {.index = n->index};
	enum cof_tpm_cause cause = COF_TPM_OK;
	struct cof_anchored chain = {0};
	struct cof_diag why = {""};
	int r = chain_value(n, mount, &chain);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return cof_fail(diag, r, "the log cannot be read: %s", strerror(-r));
	r = cof_tpm_link_use(n->a->tpm, ask_use, &q, &cause, &why);
	if (cause == COF_TPM_NO_INDEX || cause == COF_TPM_FOREIGN) {
		ret->read_only = true;
		cof_fail(&ret->text, 0,
			 "%.280s. Find out why; then begin the seal anew, which is put on record: coffer seal "
			 "new-lineage STORE",
			 why.text);
		return 0;
	}
	if (r < 0)
		return cof_fail(diag, r, "%s", why.text);
	ret->state = cof_anchor_judge(chain.value, q.value, !chain.there || chain.resets != q.clock.resets, &ret->n);
	tell_state(ret, chain.value, q.value);
	if (ret->read_only)
		return 0;
	if (ret->state == COF_ANCHOR_NEXT) {
		q.target = chain.value;
		r = cof_tpm_link_use(n->a->tpm, ask_use, &q, NULL, diag);
		if (r < 0)
			return r;
	}
	n->unproven = ret->state == COF_ANCHOR_UNPROVEN;
	n->missing = ret->n;
	n->now.value = q.value;
	n->now.resets = q.clock.resets;
	n->now.restarts = q.clock.restarts;
	/* Not accepted before RECOVERY is durable: until then the next mount has to find what this one did. */
	n->mount = n->unproven ? chain : n->now;
	return 0;
}

void cof_anchor_mount_fields(struct cof_anchor *n, struct cof_buf *fields)
{
	if (n && (n->mount.there || !n->unproven))
		cof_anchor_put(fields, &n->mount);
}

bool cof_anchor_unproven(const struct cof_anchor *n)
{
	return n && n->unproven;
}

void cof_anchor_recovery_fields(struct cof_anchor *n, struct cof_buf *fields)
{
	if (!n)
		return;
	cof_anchor_put(fields, &n->now);
	cof_field_put_u64(fields, COF_T_UNPROVEN, n->unproven ? n->missing : 0);
}

/* ---- checkpoints ---- */

static bool due(int64_t at, int64_t interval)
{
	return at == NOT_YET || cof_now(CLOCK_MONOTONIC) - at >= interval;
}

void cof_anchor_fields(void *archive, struct cof_buf *fields)
{
	struct cof_anchor *n = ((struct cof_archive *)archive)->anchor;
	struct cof_anchored said;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->owed = true;
	if (!n->target && (n->closing || due(n->raised_at, n->interval))) {
		n->target = n->now.value + 1;
		n->owed = false;
	}
	said = n->now;
	if (n->target)
		said.value = n->target;
	pthread_mutex_unlock(&n->lock);
	cof_anchor_put(fields, &said);
}

void cof_anchor_written(void *archive, uint64_t sequence)
{
	struct cof_anchor *n = ((struct cof_archive *)archive)->anchor;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	if (n->target && !n->sequence) {
		n->sequence = sequence;
		pthread_cond_signal(&n->wake);
	}
	pthread_mutex_unlock(&n->lock);
}

bool cof_anchor_owes(struct cof_anchor *n)
{
	bool owes;

	if (!n)
		return false;
	pthread_mutex_lock(&n->lock);
	owes = n->owed && !n->target && due(n->raised_at, n->interval);
	pthread_mutex_unlock(&n->lock);
	return owes;
}

/* ---- raising ---- */

/* Somebody else raised it, or the TPM lost power beside us. We have all of the log: it goes on from there. */
static void went_on(struct cof_anchor *n, const struct ask *q, bool reset)
{
	if (reset)
		cof_fault(n->a, "The TPM was reset while the archive was mounted, and its counter went on by itself, "
				"to %llu. The anchor goes on from there.",
			  (unsigned long long)q->value);
	else
		cof_fault(n->a, "Somebody else raised the anchor's counter 0x%08x in the TPM, to %llu; no program but "
				"this one does. The anchor goes on from there; find out who has root here.",
			  n->index, (unsigned long long)q->value);
}

/* Said once for each kind of failure, and again after it was over. */
static void not_raised(struct cof_anchor *n, int before, enum cof_tpm_cause kind, const struct cof_diag *why)
{
	if (!before || n->cause != kind)
		cof_fault(n->a, "The anchor cannot be raised, and what is written from now on is not proven by it: "
				"%.600s",
			  why->text);
}

static void finish(struct cof_anchor *n, const struct ask *q, int r, enum cof_tpm_cause cause,
		   const struct cof_diag *why)
{
	int64_t now = cof_now(CLOCK_MONOTONIC);
	bool ahead = r == -ESTALE && q->value > q->target, reset;
	int before;

	pthread_mutex_lock(&n->lock);
	before = n->err;
	reset = q->clock.resets != n->now.resets;
	n->err = r == 0 || ahead ? 0 : r;
	n->why = *why;
	if (n->err == 0) {
		n->now.value = q->value;
		n->now.resets = q->clock.resets;
		n->now.restarts = q->clock.restarts;
		n->target = n->sequence = 0;
		n->raised_at = ahead ? NOT_YET : now; /* the chain has to name the new value soon */
		n->owed |= ahead;
		n->failed_at = NOT_YET;
		n->raises++;
	} else {
		n->failed_at = now;
	}
	pthread_mutex_unlock(&n->lock);
	if (ahead)
		went_on(n, q, reset);
	else if (r < 0)
		not_raised(n, before, cause, why);
	n->cause = cause;
}

static void raise_to(struct cof_anchor *n, uint64_t target)
{
	struct ask q = {.index = n->index, .target = target};
	enum cof_tpm_cause cause = COF_TPM_OK;
	struct cof_diag why = {""};
	int r = cof_tpm_link_use(n->a->tpm, ask_use, &q, &cause, &why);

	finish(n, &q, r, cause, &why);
}

/* What is to be raised by now; 0: nothing. */
static uint64_t pending(struct cof_anchor *n, uint64_t *ret_sequence)
{
	if (!n->target || !n->sequence || !due(n->failed_at, COF_MIN(n->interval, RETRY)))
		return 0;
	*ret_sequence = n->sequence;
	return n->target;
}

void cof_anchor_step(struct cof_anchor *n)
{
	uint64_t target, sequence = 0;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	target = pending(n, &sequence);
	pthread_mutex_unlock(&n->lock);
	if (target && (!n->a->log || cof_log_sync(n->a->log, sequence) == 0))
		raise_to(n, target);
}

static void *run(void *anchor)
{
	struct cof_anchor *n = anchor;
	uint64_t sequence;

	pthread_mutex_lock(&n->lock);
	while (!n->stop) {
		int64_t until = cof_now(CLOCK_MONOTONIC) + COF_NSEC;
		struct timespec ts = {.tv_sec = until / COF_NSEC, .tv_nsec = until % COF_NSEC};

		if (!pending(n, &sequence)) {
			if (n->target && n->sequence) /* to be tried again */
				pthread_cond_timedwait(&n->wake, &n->lock, &ts);
			else
				pthread_cond_wait(&n->wake, &n->lock);
			continue;
		}
		pthread_mutex_unlock(&n->lock);
		cof_anchor_step(n);
		pthread_mutex_lock(&n->lock);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

int cof_anchor_start(struct cof_anchor *n)
{
	int r;

	if (!n)
		return 0;
	r = pthread_create(&n->thread, NULL, run, n);
	n->runs = r == 0;
	return -r;
}

void cof_anchor_abandon(struct cof_anchor *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = n->closing = true;
	n->failed_at = NOT_YET;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	if (n->runs)
		pthread_join(n->thread, NULL);
	n->runs = false;
}

void cof_anchor_closing(struct cof_anchor *n)
{
	cof_anchor_abandon(n);
	cof_anchor_step(n); /* the last checkpoint names a value of its own */
}

void cof_anchor_closed(struct cof_anchor *n)
{
	cof_anchor_step(n);
}

/* ---- status ---- */

#define FLASH_WRITES 500000u /* of one cell, as a data sheet has it; others say less */
#define DAY (86400 * COF_NSEC)

/* One write for each mount, for each mixing of the seal, and for each block of the counter; how long it goes on like this. */
static void set_wear(struct cof_anchor *n, uint64_t value, struct cof_json *o)
{
	const struct cof_keys *k = n->a->keys;
	uint64_t writes = cof_mix_writes(n->a->mix) + (value - COF_MIN(value, k->nv.anchor_base)) / 256;
	int64_t age = COF_MAX(cof_now(CLOCK_REALTIME) - n->a->conf.created, DAY);
	double yearly = (double)writes / ((double)age / (365.25 * (double)DAY));
	double years = yearly > 0 ? (FLASH_WRITES - (double)COF_MIN(writes, FLASH_WRITES)) / yearly : 1000;

	cof_json_set_uint(o, "nv_writes", writes);
	cof_json_set_uint(o, "nv_years", (uint64_t)COF_MIN(years, 1000.0));
}

void cof_anchor_status(struct cof_anchor *n, struct cof_json *into)
{
	struct cof_json *o;
	struct cof_diag said = {""};
	char index[16];
	uint64_t value;

	if (!n)
		return;
	o = cof_json_object();
	snprintf(index, sizeof(index), "0x%08x", n->index);
	cof_json_set_str(o, "index", index);
	pthread_mutex_lock(&n->lock);
	value = n->now.value;
	cof_json_set_uint(o, "value", value);
	cof_json_set_uint(o, "raises", n->raises);
	cof_json_set_bool(o, "pending", n->target != 0);
	cof_json_set_uint(o, "interval_ms", (uint64_t)(n->interval / 1000000));
	if (n->err)
		cof_json_set_str(o, "error", n->why.text[0] ? n->why.text : strerror(-n->err));
	pthread_mutex_unlock(&n->lock);
	snprintf(index, sizeof(index), "0x%08x", n->a->keys->nv.seal);
	cof_json_set_str(o, "seal_index", index);
	cof_json_set_uint(o, "epoch", n->a->keys->next.epoch);
	cof_json_set_uint(o, "lineage", n->a->keys->next.lineage);
	cof_json_set_str(o, "tpm", cof_tpm_link_where(n->a->tpm));
	set_wear(n, value, o);
	if (cof_tpm_link_said(n->a->tpm, &said) < 0)
		cof_json_set_str(o, "tpm_error", said.text);
	cof_json_set(into, "anchor", o);
}
