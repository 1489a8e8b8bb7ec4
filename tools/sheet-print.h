/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sheets go to a descriptor, as HTML or as PDF (by the program weasyprint). The words are handed to a process that locks its
 * memory, makes the document, writes it into a pipe or that descriptor, and ends: no copy of them stays anywhere here.
 * weasyprint is a program of its own: it makes no core dump, and its memory is not locked.
 */
#ifndef COFFER_SHEET_PRINT_H
#define COFFER_SHEET_PRINT_H

#include "escrow/sheet.h"

#define SHEET_LANGUAGES "en|zh-Hant|ko"

struct sheet_job {
	const struct cof_epoch *epoch;
	const struct cof_sheet *sheets; /* words in secure memory */
	size_t n;
	enum cof_language language;
	bool html; /* else PDF */
	int fd;	   /* where to */
};
/* -EPERM: memory cannot be locked · -ENOENT: there is no weasyprint · -EINVAL: where it goes is a terminal, or a file that
 * this program did not make · -EIO: it was not written as a whole. */
int sheet_print(const struct sheet_job *j, struct cof_diag *diag);
/* A descriptor for secrets in clear: no terminal, no regular file. 0 or -EINVAL, said. */
int sheet_fd_check(int fd, const char *what, struct cof_diag *diag);
/* On which disk the memory of a program may land; says so on standard error. */
void sheet_warn_swap(void);

#endif
