/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the two clocks (design 9), and what bounds them.
 *
 * Retention time only goes forward: within a boot by the least of the boot-time clock and, where an
 * opener of the archive is a TPM, the TPM's clock; across boots by nothing. Record time is the wall
 * clock as it is.
 */
#ifndef COF_ARCHIVE_CLOCK_H
#define COF_ARCHIVE_CLOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/archive/archive.h"

/* ---- how far a TPM lets retention go (clock-tpm.c): arithmetic alone, no I/O ---- */

/* Either clock may run ahead of the other for a while (a reading has jitter); what is saved up so is
 * bounded, so that a clock that was set forward gives no more than this later. */
#define COF_PACE_CREDIT (2 * COF_NSEC)

struct cof_pace {
	bool seen; /* last and last_boot hold a reading */
	struct cof_tpm_clock last;
	int64_t last_boot;		/* the boot-time clock at that reading */
	int64_t boot_credit, tpm_credit; /* passed on one clock, and not yet on the other */
};

enum cof_pace_event { /* what a reading shows beside the time */
	COF_PACE_GOES_ON,
	COF_PACE_RESET,	  /* it was reset (a power cut, or somebody's command): the time since the last reading is lost */
	COF_PACE_ANEW,	  /* its clock went back, or it is another one, which is proven apart: likewise */
	COF_PACE_FORWARD, /* its clock was set forward: of no effect */
};
/* What passed between two readings in ns: the least of its settable clock and its time since reset.
 * 0 when it was reset between them. */
int64_t cof_pace_passed(const struct cof_tpm_clock *from, const struct cof_tpm_clock *to,
			enum cof_pace_event *ret_event);
/* Takes a reading made at `boot`; by how much retention goes on. */
int64_t cof_pace_take(struct cof_pace *p, const struct cof_tpm_clock *now, int64_t boot,
		      enum cof_pace_event *ret_event);

/* A reading as it stands in a MOUNT frame (docs/format.md section 4). */
#define COF_TPM_CLOCK_SIZE 25
void cof_tpm_clock_encode(const struct cof_tpm_clock *c, uint8_t out[COF_TPM_CLOCK_SIZE]);
void cof_tpm_clock_decode(const uint8_t in[COF_TPM_CLOCK_SIZE], struct cof_tpm_clock *ret);

/* ---- the clocks of an open archive (clock.c) ---- */

struct cof_clock {
	int64_t base_retention, base_boottime; /* fixed once open */
	int64_t base_offset;		       /* realtime - boottime then */
	int64_t offset;			       /* the same at the last step of the wall clock (tick) */
	uint8_t boot_id[16];
	bool by_tpm;			 /* an opener is a TPM: see reached */
	atomic_int_fast64_t caught_up;	 /* not by_tpm: by how much people let it go on */
	atomic_int_fast64_t reached;	 /* by_tpm: retention time as of the newest reading */
	pthread_mutex_t lock;		 /* a leaf: guards what follows */
	struct cof_pace pace;
	bool proven;		    /* a proof tells what realtime - boottime is: from low to high */
	int64_t low, high;
	int64_t floor;		    /* the wall clock is not before it, by the newest proof; INT64_MIN: none */
	int deviates;		    /* keeper only: the fault was raised; 1 ahead, -1 behind */
	unsigned silent;	    /* readings that failed since the last one that did not */
	struct cof_diag why;	    /* the last failure's sentence */
	int64_t proven_tpm;	    /* the thread that reads the TPM's clock only: monotonic, of the last proof that it is the archive's TPM */
	bool other;		    /* that thread only: it was not, which was said */
	bool testing;		    /* an archive made with a test clock, and a build that has one */
	atomic_int_fast64_t test_ns; /* what is added to the boot-time clock then; never less */
	uint8_t test_boot;	     /* and another boot than 0, by this number */
};
/* What the last MOUNT frame says, and the last frame. */
struct cof_clock_start {
	int64_t last_retention;	      /* of the log's last frame */
	int64_t mount_retention, mount_boottime;
	const uint8_t *mount_boot_id; /* NULL: there is no such frame */
	const struct cof_tpm_clock *mount_tpm; /* NULL: it has no reading */
	bool by_tpm;
	const struct cof_tpm_clock *tpm; /* of now; NULL: it did not answer */
};

/* The boot-time clock that retention goes by: that of the system, but in tests. */
int64_t cof_clock_boottime(const struct cof_clock *c);
/* -EOPNOTSUPP: an archive made with a test clock, which this build does not have. */
int cof_clock_check(const struct cof_conf *conf, struct cof_clock *c, struct cof_diag *diag);
void cof_clock_look(struct cof_clock *c); /* reads the test clock's file again; else nothing */
int cof_boot_id(uint8_t ret[16]);
void cof_clock_start(struct cof_clock *c, const struct cof_clock_start *s);
/* For a log that is being made: retention starts at the wall clock. */
void cof_clock_start_new(struct cof_clock *c);
void cof_clock_now(void *clock, int64_t *ret_record, int64_t *ret_retention); /* cof_log_times.now */
int64_t cof_clock_retention(const struct cof_clock *c);
void cof_clock_catch_up(struct cof_clock *c, int64_t to); /* an approved request: forward only */
/* A reading of the TPM's clock, or that there was none (NULL, why). */
enum cof_pace_event cof_clock_take(struct cof_clock *c, const struct cof_tpm_clock *now,
				   const struct cof_diag *why);
/* True when the wall clock moved by more than a second against the boot-time clock since the last
 * time that this said so. */
bool cof_clock_stepped(struct cof_clock *c, int64_t *ret_before, int64_t *ret_after);

/* A proof that is dated not before `from` and not after `to`, made between two readings of the
 * boot-time clock, both of this boot; began INT64_MIN: it is not known when. */
void cof_clock_proven(struct cof_clock *c, int64_t from, int64_t to, int64_t began, int64_t ended);
/* By how much the wall clock is ahead (or, below 0, behind) of what is known, by the newest proof and
 * the boot-time clock, or by that clock alone since the mount. */
int64_t cof_clock_deviation(struct cof_clock *c);
bool cof_clock_by_proof(struct cof_clock *c); /* what it deviates from */

#define COF_DEVIATION (5 * COF_NSEC) /* cof_archive_params.deviation, unless it says otherwise */

/* Reads the TPM's clock, records steps of the wall clock, raises faults (clock-watch.c): with each tick. */
int cof_clock_tpm(struct cof_archive *a, struct cof_tpm_clock *ret, struct cof_diag *diag);
void cof_clock_watch_tpm(struct cof_archive *a); /* without any lock: a TPM takes its time */
void cof_clock_watch(struct cof_archive *a);	 /* inside the gate */

/* -EPERM: this process is in a time namespace of its own, where CLOCK_BOOTTIME is what its maker
 * wants (timens.c). */
int cof_time_namespace(struct cof_diag *diag);

#endif
