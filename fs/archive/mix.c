/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a mixing: a CHECKPOINT frame that names the mixing before it; that frame is durable; what lies in
 * the TPM or in keys/epoch is replaced. So the log may be one mixing ahead, which verification allows for;
 * never behind.
 */
#include "fs/archive/mix.h"

#include <pthread.h>

#include "fs/archive/internal.h"
#include "fs/archive/keys-nv.h"

#define RETRY (60 * COF_NSEC)

struct cof_mix {
	struct cof_archive *a;
	int64_t interval;
	struct cof_mixing m; /* the one under way; key: secure memory */
	uint64_t at;	     /* the last frame that it was mixed at, as far as is known */
	uint64_t covered;    /* frames below need no mixing any more */
	int64_t due;	     /* monotonic */

	pthread_mutex_t lock; /* leaf: guards what follows */
	int64_t when;	      /* of the last: wall clock */
	uint64_t mixed, writes;
	int err;
	enum cof_tpm_cause cause;
	struct cof_diag why; /* where err is set */
};

int cof_mix_new(struct cof_archive *a, struct cof_mix **ret)
{
	struct cof_mix *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->m.key = cof_secret_alloc(COF_KEY);
	if (!x->m.key) {
		free(x);
		return -ENOMEM;
	}
	x->a = a;
	x->interval = a->p.seal_interval ? a->p.seal_interval : COF_SEAL_INTERVAL;
	x->at = COF_NOT_MIXED;
	x->m.sequence = COF_NOT_MIXED;
	pthread_mutex_init(&x->lock, NULL);
	*ret = x;
	return 0;
}

void cof_mix_free(struct cof_mix *x)
{
	if (!x)
		return;
	pthread_mutex_destroy(&x->lock);
	cof_secret_free(x->m.key);
	free(x);
}

/* An interval of for ever stays one. */
static void set_due(struct cof_mix *x, int64_t interval)
{
	int64_t now = cof_now(CLOCK_MONOTONIC);

	x->due = interval > INT64_MAX - now ? INT64_MAX : now + interval;
}

void cof_mix_begun(struct cof_mix *x, uint64_t sequence)
{
	if (!x)
		return;
	x->at = sequence;
	x->covered = sequence + 1;
	set_due(x, x->interval);
	pthread_mutex_lock(&x->lock);
	x->when = cof_now(CLOCK_REALTIME);
	x->writes = x->a->keys->next.writes;
	pthread_mutex_unlock(&x->lock);
}

/* Said once for each kind of failure, and again after it was over. */
static void not_mixed(struct cof_mix *x, int err, enum cof_tpm_cause cause, const struct cof_diag *why)
{
	bool said = x->err && x->cause == cause;

	pthread_mutex_lock(&x->lock);
	x->err = err;
	x->cause = cause;
	x->why = *why;
	pthread_mutex_unlock(&x->lock);
	if (!said)
		cof_fault(x->a, "The seal cannot be mixed, so that what was written since frame %llu can be cut off by who takes "
				"the host: %.600s",
			  (unsigned long long)x->at, why->text[0] ? why->text : strerror(-err));
}

static void mixed(struct cof_mix *x)
{
	x->at = x->m.sequence;
	x->covered = x->m.sequence + 1;
	pthread_mutex_lock(&x->lock);
	x->when = cof_now(CLOCK_REALTIME);
	x->mixed++;
	x->writes = x->a->keys->next.writes;
	x->err = 0;
	pthread_mutex_unlock(&x->lock);
}

/* Its frame is durable. */
static int replace(struct cof_mix *x)
{
	enum cof_tpm_cause cause = COF_TPM_OK;
	struct cof_archive *a = x->a;
	struct cof_diag why = {""};
	uint64_t found = x->at;
	int r = cof_keys_mix(a->keys, a->io, a->tpm, &x->m, &found, &cause, &why);

	if ((r == -ENOSPC || r == -EDQUOT) && cof_io_unlink(a->io, "reserve") == 0)
		r = cof_keys_mix(a->keys, a->io, a->tpm, &x->m, &found, &cause, &why);

	cof_wipe(x->m.key, COF_KEY);
	if (r == 0) {
		mixed(x);
	} else {
		not_mixed(x, r, cause, &why);
		if (r == -ESTALE) /* an answer that came too late to be heard, or somebody else: from there on */
			x->at = found;
	}
	set_due(x, r == 0 ? x->interval : COF_MIN(x->interval, RETRY));
	return r;
}

void cof_mix_step(struct cof_mix *x)
{
	struct cof_log *log = x ? x->a->log : NULL;
	int r;

	if (!log || atomic_load(&x->a->failed) || cof_now(CLOCK_MONOTONIC) < x->due ||
	    cof_log_significant(log) <= x->covered)
		return;
	x->m.on = x->at;
	r = cof_log_mix(log, &x->m);
	if (r == 0)
		r = cof_log_sync(log, x->m.sequence);
	if (r == 0) {
		(void)replace(x); /* said, and tried again */
	} else { /* a log that cannot be written says so itself; a full disk may have room again */
		cof_wipe(x->m.key, COF_KEY);
		x->due = cof_now(CLOCK_MONOTONIC) + COF_MIN(x->interval, RETRY);
	}
}

void cof_mix_closing(struct cof_mix *x)
{
	if (!x)
		return;
	x->m.on = x->at;
	cof_log_mix_last(x->a->log, &x->m);
}

int cof_mix_closed(struct cof_mix *x, struct cof_diag *diag)
{
	int r = x && x->m.sequence != COF_NOT_MIXED ? replace(x) : 0;

	return r < 0 && !x->a->tpm ? cof_fail(diag, r, "%s", x->why.text) : 0;
}

/* ---- status ---- */

uint64_t cof_mix_writes(struct cof_mix *x)
{
	uint64_t n;

	if (!x)
		return 0;
	pthread_mutex_lock(&x->lock);
	n = x->writes;
	pthread_mutex_unlock(&x->lock);
	return n;
}

void cof_mix_status(struct cof_mix *x, struct cof_json *into)
{
	struct cof_json *o;

	if (!x)
		return;
	o = cof_json_object();
	pthread_mutex_lock(&x->lock);
	cof_json_set_time(o, "time", x->when);
	cof_json_set_uint(o, "mixings", x->mixed);
	cof_json_set_uint(o, "interval_ms", (uint64_t)(x->interval / 1000000));
	if (x->err)
		cof_json_set_str(o, "error", x->why.text[0] ? x->why.text : strerror(-x->err));
	pthread_mutex_unlock(&x->lock);
	cof_json_set(into, "mixed", o);
}
