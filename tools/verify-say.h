/* SPDX-License-Identifier: Apache-2.0 */
/* Private to verify: what it found out, and telling that. */
#ifndef COFFER_VERIFY_SAY_H
#define COFFER_VERIFY_SAY_H

#include "tools/auditor.h"
#include "tools/output.h"
#include "tools/store.h"
#include "tools/verify-anchor.h"

struct verifying {
	struct store store;
	struct cof_vkey vkey;
	bool vkey_given;
	struct auditors auditors;
	bool by_key; /* they may be an age identity */
	struct anchor_asked anchor;
	struct cof_judge_places *places; /* NULL: not all frames are gone through */
	struct cof_judged judged; /* what people signed, and what was done by it */
	char holder[256];        /* who has the store mounted, or "" */
	bool live;
	void *since; /* the note, or NULL */
	size_t since_len;
	struct cof_buf tsa_ca;
	struct progress progress;
	struct cof_json *findings;
	struct cof_verified result;
};

void verify_tell_json(struct verifying *v);
void verify_tell_text(const struct verifying *v);

#endif
