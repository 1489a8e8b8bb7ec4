/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to happen without anybody asking: events are flushed, the index is fed, the clocks are
 * watched; the TPM's by a thread of its own, since a TPM answers when it likes. And what happens once the
 * log has failed. The log has a keeper of its own for checkpoints.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fs/archive/escrow.h"
#include "fs/archive/incident.h"
#include "fs/archive/internal.h"
#include "fs/archive/people.h"

#define FLUSH_NS (10 * COF_NSEC)
#define LOOK_NS (COF_NSEC / 2) /* what nobody tells the daemon of is an alarm within a second (R60) */

void cof_alarm(struct cof_archive *a, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!a->p.alarm)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a->p.alarm(a->p.user, text);
}

void cof_alarm_event(struct cof_archive *a, const struct cof_alarm_info *info, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (a->p.alarm_event)
		a->p.alarm_event(a->p.user, text, info);
	else if (a->p.alarm)
		a->p.alarm(a->p.user, text);
}

void cof_log_stopped(void *archive, int err, const char *what)
{
	struct cof_archive *a = archive;
	int none = 0;

	/* Final: a retry could report as written what was lost. */
	atomic_compare_exchange_strong(&a->failed, &none, err ? err : -EIO);
	cof_fault(a,
		  "%s failed (%s): the archive is read-only from now on. What was acknowledged as "
		  "durable is "
		  "safe; mount again once the disk is well.",
		  what, strerror(-err));
}

static void feed(struct cof_archive *a)
{
	int r = cof_archive_feed(a);

	/* Said once for each kind of failure, and again after it was over. */
	if (r < 0 && r != a->feed_error)
		cof_alarm(a, "The index cannot be fed: %s. It is tried again.",
			  strerror(-r));
	a->feed_error = r;
}

void cof_archive_tick(struct cof_archive *a)
{
	int64_t now = cof_now(CLOCK_BOOTTIME);

	cof_clock_look(&a->clock);
	if (a->p.no_threads)
		cof_clock_watch_tpm(a);
	cof_gate_enter(a);
	if (a->log && !atomic_load(&a->failed)) {
		cof_clock_watch(a);
		if (a->p.no_threads) {
			cof_events_flush(a);
		} else if (now - a->flushed_at >= FLUSH_NS) {
			cof_events_due(a);
			a->flushed_at = now;
		}
		cof_idle_tick(a);
		cof_heartbeat_tick(a, now);
		cof_cosign_tick(a);
		cof_overdue_tick(a);
		cof_sums_tell(a, false);
		feed(a);
		if (a->p.no_threads)
			(void)cof_log_checkpoint(a->log); /* what failed is found by the next one */
	}
	cof_gate_leave(a);
	if (a->log && !atomic_load(&a->failed) && cof_anchor_owes(a->anchor))
		(void)cof_log_checkpoint_again(a->log); /* what failed is tried by the next tick */
	cof_cosign_pending(a);
	if (a->log)
		cof_incident_tick(a);
	if (a->log && !atomic_load(&a->failed))
		cof_escrow_watch(a, now);
	if (a->log && !atomic_load(&a->failed))
		cof_release_tick(a);
	if (a->holds.before && cof_holds_resume(a) == 0)
		a->holds.before = 0;
	if (a->p.no_threads && a->log)
		cof_anchor_step(a->anchor);
	if (a->p.no_threads && a->log)
		cof_mix_step(a->mix);
	cof_faults_write(a);
}

/* each: again after each pause, until the archive is closed. */
static void *run(struct cof_archive *a, void (*each)(struct cof_archive *a), int64_t pause)
{
	pthread_mutex_lock(&a->keeper_lock);
	while (!a->stop) {
		int64_t until = cof_now(CLOCK_MONOTONIC) + pause;
		struct timespec ts = {.tv_sec = until / COF_NSEC, .tv_nsec = until % COF_NSEC};

		while (!a->stop && cof_now(CLOCK_MONOTONIC) < until)
			pthread_cond_timedwait(&a->keeper_cond, &a->keeper_lock, &ts);
		if (a->stop)
			break;
		pthread_mutex_unlock(&a->keeper_lock);
		each(a);
		pthread_mutex_lock(&a->keeper_lock);
	}
	pthread_mutex_unlock(&a->keeper_lock);
	return NULL;
}

static void *keeper(void *archive)
{
	return run(archive, cof_archive_tick, LOOK_NS);
}

static void *tpm_watch(void *archive)
{
	return run(archive, cof_clock_watch_tpm, COF_NSEC);
}

static void mix(struct cof_archive *a)
{
	cof_mix_step(a->mix);
}

static void *mixer(void *archive)
{
	return run(archive, mix, COF_NSEC);
}

int cof_keeper_start(struct cof_archive *a)
{
	int r;

	a->flushed_at = cof_now(CLOCK_BOOTTIME);
	if (a->p.no_threads)
		return 0;
	a->beat.ticked = a->flushed_at; /* who is stopped before the first look was away since here */
	r = pthread_create(&a->keeper, NULL, keeper, a);
	a->keeper_runs = r == 0;
	if (r == 0 && a->log && a->clock.by_tpm) {
		r = pthread_create(&a->tpm_watch, NULL, tpm_watch, a);
		a->tpm_watch_runs = r == 0;
	}
	if (r == 0 && a->log) {
		r = pthread_create(&a->mixer, NULL, mixer, a);
		a->mixer_runs = r == 0;
	}
	if (r)
		cof_keeper_stop(a);
	return -r;
}

void cof_keeper_stop(struct cof_archive *a)
{
	if (!a->keeper_runs)
		return;
	pthread_mutex_lock(&a->keeper_lock);
	a->stop = true;
	pthread_cond_broadcast(&a->keeper_cond);
	pthread_mutex_unlock(&a->keeper_lock);
	cof_tpm_link_closing(a->tpm);
	pthread_join(a->keeper, NULL);
	a->keeper_runs = false;
	if (a->tpm_watch_runs)
		pthread_join(a->tpm_watch, NULL);
	a->tpm_watch_runs = false;
	if (a->mixer_runs)
		pthread_join(a->mixer, NULL);
	a->mixer_runs = false;
}
