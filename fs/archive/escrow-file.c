/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of which key a file of escrow is. What a key's newest record says is what a release of it gives out, and who approves sees the
 * key's own record only: so the file of one key must never be said to be another's.
 */
#include "fs/archive/escrow.h"

struct filed {
	const struct cof_escrow_facts *want;
	uint8_t digest[COF_HASH];
	bool there;
	uint8_t key[16];
};

static int look(void *user, const struct cof_escrow_record *r)
{
	struct filed *w = user;
	struct cof_escrow_facts f;
	uint8_t digest[COF_HASH];

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if ((f.what != COF_ESC_KEY && f.what != COF_ESC_ROTATED) || !f.has_key ||
	    cof_field_bytes(r->public_part.data, r->public_part.len, COF_T_ESCROW_SHA256, digest, sizeof(digest)) < 0 ||
	    memcmp(digest, w->digest, sizeof(digest)) != 0)
		return 0;
	if (f.shelf != w->want->shelf && !memcmp(f.key, w->want->key, sizeof(f.key))) /* the same key, kept twice */
		return 0;
	memcpy(w->key, f.key, sizeof(f.key));
	w->there = true;
	return 1;
}

int cof_escrow_fit_file(struct cof_archive *a, const struct cof_escrow_facts *want, const struct cof_buf *public_part, bool with_file,
			struct cof_diag *diag)
{
	struct filed w = {.want = want};
	char hex[33];
	int r;

	if (want->what != COF_ESC_KEY && want->what != COF_ESC_ROTATED)
		return 0;
	if (!with_file || cof_field_bytes(public_part->data, public_part->len, COF_T_ESCROW_SHA256, w.digest, sizeof(w.digest)) < 0)
		return cof_fail(diag, -EINVAL, "a record of a key comes with its file");
	r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_OF_FILE, w.digest, sizeof(w.digest)), 0, look, &w);
	if (r < 0 || !w.there)
		return r;
	cof_hex(w.key, sizeof(w.key), hex);
	return cof_fail(diag, -EEXIST, "that file is on record already, as one of the key %s", hex);
}
