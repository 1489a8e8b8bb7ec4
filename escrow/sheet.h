/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A custodian's sheet: one page with the words of a share, numbered, the same as a QR code, the share's
 * fingerprint, what to do and whom to call. A document is HTML without anything from elsewhere; each sheet
 * is a page of A4 in print.
 *
 * The code is of the words in upper case, with a blank between: a scanner gives what coffer share reads.
 *
 * The document holds the shares in clear, in ordinary memory, and so does what the QR library leaves behind:
 * make it in a process that locked its memory, writes it away and ends (tools/sheet-print.c).
 *
 * Thread-safety: one document at a time in a process.
 */
#ifndef COF_SHEET_H
#define COF_SHEET_H

#include "escrow/epoch.h"

enum cof_language { COF_ENGLISH, COF_ZH_HANT, COF_KOREAN, COF_LANGUAGES };

const char *cof_language_code(enum cof_language l); /* "en", "zh-Hant", "ko" */
int cof_language_find(const char *code);	    /* -EINVAL */

struct cof_sheet {
	unsigned holder;
	const char *words;     /* as cof_slip39_write gives them */
	const char *challenge; /* to confirm with; NULL: the share was confirmed, or the question comes later */
};
/* -EINVAL: the words fit into no code · -ENOMEM. ret: to be wiped. */
int cof_sheet_html(const struct cof_epoch *e, const struct cof_sheet *sheets, size_t n, enum cof_language l,
		   struct cof_buf *ret);

#endif
