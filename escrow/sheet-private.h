/* SPDX-License-Identifier: Apache-2.0 */
/* Private to escrow's sheet files. */
#ifndef COF_SHEET_PRIVATE_H
#define COF_SHEET_PRIVATE_H

#include "escrow/sheet.h"

#define COF_SHEET_STEPS 8

struct cof_sheet_text { /* of one language; %s and %u in the order that is said */
	const char *code, *title, *secret, *rehearsal;
	const char *epoch, *custodian, *person, *place, *group, *made, *fingerprint, *words, *code_says;
	const char *groups;	   /* group, its threshold, its members, groups needed, groups */
	const char *todo, *call, *call_nobody, *passphrase;
	const char *confirm;	   /* challenge: "" where there is none */
	const char *step[COF_SHEET_STEPS]; /* NULL ends them */
};
extern const struct cof_sheet_text cof_sheet_texts[COF_LANGUAGES];

/* The text as a picture (SVG): -EINVAL: more than a code can hold. */
int cof_sheet_qr(const char *text, struct cof_buf *ret);

#endif
