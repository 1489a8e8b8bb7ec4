/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the leak guard in the write path (docs/leak.md). What is about to be appended to a
 * file of a shelf with leak_guard = report or refuse is scanned, beside its sealing where it is large; refused
 * before anything of it is chained, or told once it is on record.
 *
 * State across writes: the last bytes of a file wait in a table of bounded size. Who is not in it, after a
 * remount, an eviction or a write while the guard was off, has them read from the file again.
 */
#ifndef COF_ARCHIVE_LEAK_H
#define COF_ARCHIVE_LEAK_H

#include "crypto/leaves.h"
#include "fs/archive/internal.h"
#include "fs/leak/leak.h"

#define COF_LEAKS_TOLD 8 /* of one request; further ones are counted */

struct cof_leaks_said { /* by the scan of one request */
	unsigned n;	/* all of them */
	unsigned counted; /* of which first has some */
	struct cof_leak first[COF_LEAKS_TOLD];
};

struct cof_guarded { /* a request's bytes, on the stack of whoever writes them; its object locked */
	struct cof_leaks *leaks;
	enum cof_leak_guard mode; /* COF_LEAK_OFF: the rest says nothing */
	bool refuse_rofs; /* of the shelf */
	bool moved;	  /* the stream stands behind a hole that the file may not have */
	bool scanned, refused;
	struct cof_leak_stream *stream;
	uint64_t ino, size, end; /* the file, its size before and after */
	const void *data;
	size_t n;
	struct cof_beside beside; /* scans */
	struct cof_leaks_said said;
};

int cof_leaks_new(struct cof_leaks **ret);
void cof_leaks_free(struct cof_leaks *l); /* wipes; NULL is fine */
void cof_leaks_status(struct cof_leaks *l, struct cof_json *into);

/* A hole, then n bytes, are about to be appended to o. -ENOMEM, -COF_EINDEX. */
int cof_guard_begin(struct cof_archive *a, struct cof_obj *o, uint64_t hole, const void *data, size_t n,
		    struct cof_guarded *g);
/* Once it was scanned, which it does if nobody has: -EPERM, or -EROFS where the shelf says so, if it is refused. */
int cof_guard_judge(struct cof_guarded *g);
/* What came of it: the file is as it is now. Still locked. */
void cof_guard_end(struct cof_guarded *g, const struct cof_obj *o, int err, struct cof_ruling *rl);
/* The events. Without object and tree locks, inside the gate. */
void cof_guard_tell(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		    const struct cof_guarded *g);

#endif
