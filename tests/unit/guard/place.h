/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of a test's own: a store in it, and beside that a file which a confined process has no business with. What is
 * tried there gives 0 (it worked) or the errno: for the exit code of a child.
 */
#ifndef COF_TEST_GUARD_PLACE_H
#define COF_TEST_GUARD_PLACE_H

#include <check.h>

#include "fs/guard/internal.h"

enum { DONE = 0 };

extern char dir[], inside[64], outside[64];
extern int abi; /* of Landlock: a confined child cannot ask any more */

void place_make(void);
void place_remove(void);

int failed(long r); /* of a system call */
int try_read_outside(void);
int try_write_outside(void);
int try_make_outside(void);
int try_tcp_connect(void); /* to a port where nobody listens */

#endif
