/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of the coffer command's pure parts. */
#ifndef TEST_TOOLS_H
#define TEST_TOOLS_H

#include <check.h>

TCase *about_case(void);
TCase *auditor_case(void);
TCase *coverage_case(void);
TCase *entry_case(void);
TCase *event_line_case(void);
TCase *ledger_case(void);
TCase *mountinfo_case(void);
TCase *opener_case(void);
TCase *options_case(void);
TCase *output_case(void);
TCase *pending_case(void);
TCase *progress_case(void);
TCase *when_case(void);

/* What was complained last, and of which verb help was printed: this program's ends of
 * tools/coffer.h. */
extern char last_complaint[512];
extern const char *helped;

#endif
