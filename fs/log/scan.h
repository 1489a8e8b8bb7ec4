/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/log: walking the frames from a known place on, as recovery does.
 */
#ifndef COF_LOG_SCAN_H
#define COF_LOG_SCAN_H

#include "fs/log/internal.h"

struct scan {
	struct cof_log *log;
	uint64_t address;   /* where the next frame is expected */
	uint64_t sequence;  /* and its number */
	uint8_t previous[COF_HASH];
	uint32_t mount;	    /* of the last frame */
	int64_t retention, record;
	uint8_t significant; /* type of the last frame that is no CHECKPOINT or COSIGN; 0: none seen */
	uint64_t unsure; /* address from which on bytes may never have reached the disk */
	uint64_t newer;	     /* address of a CHECKPOINT frame of more than checkpoint_size frames; 0: none */
	struct cof_anchored anchored; /* the newest that was met */
	bool torn;	     /* something that is no frame lies at address */
	uint8_t *payload;    /* scratch */
	struct cof_diag why; /* what is wrong at address */
};

#define COF_SCAN_PAYLOAD (2 * COF_FRAME_LENGTH_MAX + 17 * COF_TAG)

/*
 * Reads, checks and links frames until none follows or sequence reaches `limit`; each leaf goes into
 * the tree. 0 at the end (torn tells how), or -errno when the disk cannot be read.
 */
int cof_scan_run(struct scan *s, uint64_t limit);
/* 0: the payload is what its header says, or was destroyed · -EBADMSG · -errno: that could not be found out */
int cof_scan_payload(struct cof_log *log, const struct cof_frame *f, const void *payload);
/* Bytes from address to the last one of its segment that is not zero; 0 when all are. */
int cof_scan_rest(struct cof_log *log, uint64_t address, uint64_t *ret_bytes);
/* Where MOUNT frame `ordinal` is, looking no further than the segment that holds `address`. */
int cof_scan_find_mount(struct cof_log *log, uint32_t ordinal, uint32_t last_segment,
			uint64_t *ret_address);

#endif
