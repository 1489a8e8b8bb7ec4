/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the design cannot leave out of a write, and nothing else: the rule is asked under the file's lock, who
 * writes is read, the bytes are sealed and hashed, the frame is chained and tagged under one lock, copied to the
 * kernel, and counts once those before it are there too; where it lies is remembered; each second, and when somebody
 * waits for it (one sync for all who do), all is synced; each second its leaves are put into the tree. No names, no
 * events, no index on a disk, no refusals on record, no checkpoint signed, nothing for a full disk or a failed one.
 * nullfs with this is the ceiling of a filesystem that seals and chains each write; what stands between is what
 * Coffer adds.
 */
#ifndef COF_BENCH_BARE_H
#define COF_BENCH_BARE_H

#include <stddef.h>
#include <stdint.h>

int bare_open(const char *dir, uint64_t bytes); /* of the log, which begins anew behind them */
/* Everything kept so far, on the disk. 0 or a negative errno. */
int bare_sync(void);
/* May be called by several threads. tid: of who writes. 0 or an errno. */
int bare_keep(uint64_t object, uint64_t position, const void *p, size_t n, uint32_t tid);
/* Bytes that were kept: read from the log at once, and each chunk opened. */
int bare_fetch(uint64_t object, uint64_t position, void *p, size_t n);

#endif
