/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the tests of fs/io. The cases of the conformance suite run once for each kind of store
 * (loop tests: the test's number is the kind), in a directory of their own.
 */
#ifndef TEST_IO_H
#define TEST_IO_H

#include <check.h>

#include "fs/io/io.h"
#include "fs/io/sim.h"

enum kind { PLAIN, SIM, KINDS };

struct place { /* an empty store */
	enum kind kind;
	char dir[256];	     /* of the host's kinds */
	struct cof_sim *sim; /* of the simulated one */
	struct cof_io *io;
};
void place_begin(struct place *p, enum kind kind);
void place_end(struct place *p); /* removes it */
struct cof_io *place_open(const struct place *p); /* one more store over the same place */

/* As ck_assert, which costs a system call each time: for what is asserted a million times. */
#define must(x) ((x) ? (void)0 : ck_abort_msg("%s", #x))
#define ok(call) ck_assert_int_eq(call, 0)

uint64_t draw(uint64_t *state); /* the next of a fixed series of numbers */
void put_file(struct cof_io *io, const char *path, const char *text); /* and syncs it */
/* The file's content is this text; NULL: there is no such file. */
bool holds(struct cof_io *io, const char *path, const char *text);

/* Directories left by a failed test go when the case ends. */
TCase *io_case(const char *name);

TCase *files_case(void);
TCase *map_case(void);
TCase *names_case(void);
TCase *replace_case(void);
TCase *lock_case(void);
TCase *host_case(void);
TCase *sim_case(void);
TCase *crash_case(void);

#endif
