/* SPDX-License-Identifier: Apache-2.0 */
/* Private to verify: what it found out, and telling that. */
#ifndef COFFER_VERIFY_SAY_H
#define COFFER_VERIFY_SAY_H

#include "tools/auditor.h"
#include "tools/output.h"
#include "tools/store.h"
#include "tools/verify-anchor.h"

#define VAULT_KEYS 16u
struct verify_vault { /* what a vault said last, as chained */
	struct cof_cosign newest;
	uint64_t count;
	bool known; /* by --vault-key */
};

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
	struct cof_vkey vault_key[VAULT_KEYS]; /* that count as proof */
	unsigned n_vault_keys;
	struct verify_vault vault[VAULT_KEYS];
	unsigned n_vaults;
	struct progress progress;
	struct cof_json *findings;
	struct cof_verified result;
};

void verify_tell_json(struct verifying *v);
void verify_tell_text(const struct verifying *v);

#endif
