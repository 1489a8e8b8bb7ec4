/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are named on the command line. */
#ifndef COFFER_FILE_H
#define COFFER_FILE_H

#include "base/base.h"

/* All of it, at most so many bytes, behind what is in ret. -EFBIG and the like, said in diag. */
int file_load(const char *path, size_t most, struct cof_buf *ret, struct cof_diag *diag);

#endif
