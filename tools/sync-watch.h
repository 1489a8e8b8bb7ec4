/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer sync --watch: vaults and copies are kept up to date until a signal ends it. Each is served by a process of its own, so
 * that one that does not answer keeps nobody waiting.
 */
#ifndef COFFER_SYNC_WATCH_H
#define COFFER_SYNC_WATCH_H

#include "tools/store.h"

#define SYNC_IDLE (3600 * COF_NSEC)	   /* at the latest, though nothing is new: a vault that hears nothing takes the host for silent */
#define SYNC_RETRY_MAX (900 * COF_NSEC)	   /* the longest wait after failures; each is twice the one before */
#define SYNC_BUCKET_EVERY (900 * COF_NSEC) /* each round leaves an object that stays for years */

/* When the next round is due. Pure; times are CLOCK_BOOTTIME. */
struct sync_due {
	int64_t began;	   /* the last round; COF_RETAIN_NONE: there was none yet */
	unsigned failures; /* in a row */
	bool is_new;	   /* a checkpoint came since */
};
int64_t sync_next(const struct sync_due *d, int64_t every);

/* What coffer sync ends with, besides 0 to 2. */
enum { SYNC_BEHIND = 3, SYNC_FORK = 4, SYNC_ALARM = 5 };

struct sync_watch {
	const struct store *store;
	char *const *name; /* of those that are wanted; n 0: all, also those that come later */
	int n;
	const char *limit; /* as it was given, or NULL */
	bool json;
	int64_t every; /* ns between rounds of one vault, at least; 0: a minute, and SYNC_BUCKET_EVERY of a copy in a bucket */
};
/* Rounds are coffer sync itself, with one name. Until SIGINT, SIGTERM or SIGHUP: 0. -ENOENT: there is nothing to be kept up to date. */
int sync_watch(const struct sync_watch *w, struct cof_diag *diag);

#endif
