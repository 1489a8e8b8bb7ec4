/* SPDX-License-Identifier: Apache-2.0 */
/* The lock on an archive's own door: counting, locking, lifting. */
#include <stdio.h>
#include <time.h>

#include "fs/archive/door.h"

#define MINUTE (60 * COF_NSEC)
#define WAIT_FIRST (15 * MINUTE)
#define WAIT_MOST (24 * 60 * MINUTE)

/* Where nothing can be written a lock still holds; nothing more can be done. */
static bool unwritable(int err)
{
	return err == -EROFS || err == -ENOSPC || err == -EDQUOT || err == -EACCES || err == -EPERM;
}

/* Doubles with each locking that the right passphrase did not end. */
static int64_t wait_of(const struct cof_door *d)
{
	int64_t wait = WAIT_FIRST;

	for (uint32_t i = 1; i < d->lockings && wait < WAIT_MOST; i++)
		wait *= 2;
	return COF_MIN(wait, WAIT_MOST);
}

/* What is left of it. A wall clock that was set back makes it as long as it was, never longer. */
static int64_t left_of(const struct cof_door *d)
{
	int64_t wait = wait_of(d), now = cof_now(CLOCK_REALTIME), passed = now - d->locked;

	return now < d->locked ? wait : passed >= wait ? 0 : wait - passed;
}

static void lock(struct cof_door *d)
{
	struct cof_opener_event e = cof_opener_event_now(COF_OPENER_LOCKED);

	d->locked = e.first;
	if (d->lockings < UINT32_MAX)
		d->lockings++;
	e.kind = d->attempt.kind;
	cof_opener_events_add(&d->events, &e);
}

/* The try that is noted was wrong, or ended without a word. */
static void failed(struct cof_door *d, enum cof_opener_how how)
{
	d->trying = false;
	d->attempt.how = (uint8_t)how;
	cof_opener_events_add(&d->events, &d->attempt);
	if (d->failures < UINT32_MAX)
		d->failures++;
	if (d->locked || d->failures >= COF_DOOR_TRIES)
		lock(d);
}

static int refuse(struct cof_door *d, enum cof_opener_kind kind, bool waited, struct cof_diag *diag)
{
	struct cof_opener_event e = cof_opener_event_now(COF_OPENER_REFUSED);
	int64_t left = left_of(d), minutes = (left + MINUTE - 1) / MINUTE;
	const char *store = cof_io_where(d->io);
	char since[32], again[96];

	e.kind = (uint8_t)kind;
	cof_opener_events_add(&d->events, &e);
	(void)cof_door_write(d); /* that it is locked matters more than that somebody tried */
	cof_time_text(d->locked, since);
	if (!left)
		snprintf(again, sizeof(again), "or with the right one");
	else
		snprintf(again, sizeof(again), "or with the right one in %lld minute%s", (long long)minutes,
			 minutes == 1 ? "" : "s");
	return cof_fail(diag, -EACCES,
			"%s is locked for passphrases and PINs since %s, after %u wrong ones in a row%s: coffer "
			"unlock %s, with a key file, a TPM without PIN or an identity of the recovery envelope, %s",
			store, since, d->failures, waited ? "" : "; what is typed is not looked at", store, again);
}

int cof_door_begin(struct cof_io *io, const uint8_t archive_id[16], enum cof_opener_kind kind, bool waited,
		   struct cof_door *ret, struct cof_diag *diag)
{
	struct cof_door d = {.guard = -1};
	int guard = -1, err = cof_io_guard(io, "seal", &guard);

	if (err == -EBUSY)
		return cof_fail(diag, err, "somebody else is trying to open %s: wait, and try again",
				cof_io_where(io));
	if (!err)
		err = cof_door_read(io, archive_id, &d);
	if (err && err != -ENOENT) {
		cof_io_unguard(guard);
		return cof_fail(diag, err, "%s/" COF_DOOR_FILE " cannot be read: %s", cof_io_where(io),
				strerror(-err));
	}
	d.guard = guard;
	if (d.trying) /* nobody else is in here: whoever it was is gone */
		failed(&d, COF_HOW_UNJUDGED);
	if (d.locked && !(waited && !left_of(&d))) {
		err = refuse(&d, kind, waited, diag);
		cof_door_release(&d);
		return err;
	}
	d.trying = d.counts = true;
	d.attempt = cof_opener_event_now(COF_OPENER_FAILED);
	d.attempt.kind = (uint8_t)kind;
	err = cof_door_write(&d);
	if (err && !unwritable(err)) {
		cof_door_release(&d);
		return cof_fail(diag, err, "%s/" COF_DOOR_FILE " cannot be written, and nothing is tried that is "
					   "not counted: %s",
				cof_io_where(io), strerror(-err));
	}
	d.counts = !err;
	*ret = d;
	return 0;
}

static void say_left(const struct cof_door *d, struct cof_diag *said)
{
	size_t n = strlen(said->text);

	if (!d->counts || n >= sizeof(said->text))
		return;
	if (d->locked)
		snprintf(said->text + n, sizeof(said->text) - n,
			 "; that was %u in a row, and the archive is locked for passphrases and PINs now: coffer "
			 "unlock %s",
			 d->failures, cof_io_where(d->io));
	else
		snprintf(said->text + n, sizeof(said->text) - n,
			 "; after %u more wrong one%s in a row the archive is locked",
			 COF_DOOR_TRIES - d->failures, COF_DOOR_TRIES - d->failures == 1 ? "" : "s");
}

void cof_door_end(struct cof_door *d, enum cof_door_result result, struct cof_diag *said)
{
	switch (result) {
	case COF_DOOR_WRONG:
		failed(d, COF_HOW_PLAIN);
		if (said)
			say_left(d, said);
		break;
	case COF_DOOR_OPENED:
		d->trying = false;
		if (!d->locked) /* else it is for coffer unlock to say how */
			d->failures = d->lockings = 0;
		break;
	default:
		d->trying = false;
	}
	/* If this fails the try stays noted, and counts: the safe side, and the next right one ends it. */
	if (d->counts)
		(void)cof_door_write(d);
	cof_door_release(d);
}

int cof_door_lift(struct cof_io *io, const uint8_t archive_id[16], enum cof_opener_how how,
		  enum cof_opener_kind kind, struct cof_diag *diag)
{
	struct cof_opener_event e = cof_opener_event_now(COF_OPENER_UNLOCKED);
	struct cof_door d;
	bool locked;
	int err = cof_door_hold(io, archive_id, &d);

	if (err == -ENOENT)
		return 0;
	if (err)
		return cof_fail(diag, err, "%s/" COF_DOOR_FILE " cannot be read: %s", cof_io_where(io),
				strerror(-err));
	e.how = (uint8_t)how;
	e.kind = (uint8_t)kind;
	if (d.trying)
		failed(&d, COF_HOW_UNJUDGED);
	locked = d.locked;
	d.failures = d.lockings = 0;
	d.locked = 0;
	if (locked)
		cof_opener_events_add(&d.events, &e);
	err = cof_door_write(&d);
	cof_door_release(&d);
	return err ? cof_fail(diag, err, "%s/" COF_DOOR_FILE " cannot be written: %s", cof_io_where(io),
			      strerror(-err))
		   : locked;
}

int cof_door_status(struct cof_io *io, const uint8_t archive_id[16], struct cof_json *into)
{
	struct cof_json *o;
	struct cof_door d;
	int err = cof_door_read(io, archive_id, &d);

	if (err && err != -ENOENT)
		return err;
	o = cof_json_object();
	cof_json_set_uint(o, "failures", d.failures);
	cof_json_set_uint(o, "max", COF_DOOR_TRIES);
	cof_json_set_bool(o, "locked", d.locked);
	if (d.locked) {
		cof_json_set_time(o, "since", d.locked);
		cof_json_set_time(o, "until", cof_now(CLOCK_REALTIME) + left_of(&d));
		cof_json_set_uint(o, "wait_s", (uint64_t)(left_of(&d) / COF_NSEC));
	}
	cof_json_set(into, "lockout", o);
	return 0;
}
