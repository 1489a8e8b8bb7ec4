/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on RECEIPT frames: what a vault signed of content that it destroyed counts only of a vault that the archive has
 * on record, for a head of this log, for files that a request destroyed under that head, and once.
 */
#include "fs/rules/approve-judge.h"
#include "fs/rules/receipt.h"

#include "crypto/crypto.h"

enum { T_VAULT = 210, T_RECEIPT = 245 };

static bool is_known(const struct cof_judge *j, const uint8_t key[32])
{
	for (size_t i = 0; i < j->n_vaults; i++)
		if (!memcmp(j->vault[i], key, 32))
			return true;
	for (unsigned i = 0; i < j->n_cosigns; i++)
		if (!memcmp(j->cosign[i].said.key, key, 32))
			return true;
	return j->p.partial; /* whoever writes it looks himself */
}

/* What the frame says in fields of its own is what the receipt says. */
static int same_fields(const struct cof_judge_frame *f, const struct cof_receipt *r, struct cof_judgement *ret)
{
	char vkey[COF_VKEY_MAX];
	struct cof_field vault;
	uint8_t request[32];

	cof_vkey_text(&r->vkey, vkey);
	if (cof_field_find(f->fields, f->n, T_VAULT, &vault) < 0 || vault.len != strlen(vkey) || memcmp(vault.value, vkey, vault.len) != 0)
		return judge_no(ret, "wrong-vault", "the receipt is another vault's than its record names");
	if (cof_field_bytes(f->fields, f->n, COF_T_REQUEST, request, sizeof(request)) < 0 || memcmp(request, r->request, 32) != 0)
		return judge_no(ret, "wrong-document", "the receipt is for another request than its record names");
	return 0;
}

static int check_request(const struct judged_request *q, struct cof_judgement *ret)
{
	if (!q)
		return judge_no(ret, "unknown-request", "the request that the receipt names is not in the chain");
	if (strcmp(q->q.action, "destroy") != 0)
		return judge_no(ret, "wrong-action", "the request that the receipt names is for %s", q->q.action);
	/* One that failed for one of its files may have ended others: which, their frames say. */
	if (q->state != COF_REQUEST_MET && q->state != COF_REQUEST_DONE && q->state != COF_REQUEST_FAILED)
		return judge_no(ret, "not-approved", "the request that the receipt names is %s", cof_request_state_name(q->state));
	return 0;
}

struct seen {
	uint64_t first, last; /* DESTROY frames of what is watched */
	bool all;	      /* everything is */
};

static int check_object(const struct cof_judge *j, const struct judged_request *q, const struct cof_receipt *r, uint64_t ino,
			struct seen *seen, struct cof_judgement *ret)
{
	const struct judged_object *o = judge_object(j, ino);

	if (!judge_names_object(q, ino))
		return judge_no(ret, "wrong-document", "the request does not name inode %llu", (unsigned long long)ino);
	if (j->p.partial || (!o && q->state != COF_REQUEST_FAILED)) { /* whoever writes it looks himself */
		seen->all = false;
		return 0;
	}
	if (!o || !o->destroyed || o->by != q || o->ended >= r->size)
		return judge_no(ret, "not-destroyed", "no frame below %llu destroyed inode %llu by this request", (unsigned long long)r->size,
				(unsigned long long)ino);
	seen->first = COF_MIN(seen->first, o->ended);
	seen->last = COF_MAX(seen->last, o->ended);
	return 0;
}

static int check_objects(const struct cof_judge *j, const struct judged_request *q, const struct cof_receipt *r, struct cof_judgement *ret)
{
	struct seen seen = {.first = UINT64_MAX, .all = true};
	uint64_t leaves = 0;
	int e = 0;

	if (cof_receipt_objects(r) > COF_WATCHED_MAX)
		return judge_no(ret, "wrong-document", "the receipt names more inodes than any request");
	for (size_t i = 0; e == 0 && i < r->n; i++)
		for (uint64_t k = 0; e == 0 && k < r->range[i].count; k++) {
			leaves += r->from && r->range[i].first + k >= r->from;
			e = check_object(j, q, r, r->range[i].first + k, &seen, ret);
		}
	if (e == 0 && seen.all && (seen.first != r->first || seen.last != r->last))
		e = judge_no(ret, "wrong-frames", "the receipt names frames %llu to %llu, and these files ended in %llu to %llu",
			     (unsigned long long)r->first, (unsigned long long)r->last, (unsigned long long)seen.first,
			     (unsigned long long)seen.last);
	if (e == 0 && leaves != r->leaves)
		e = judge_no(ret, "keys-left", "the vault has keys of %llu of these files, and says of %llu that they lead nowhere",
			     (unsigned long long)leaves, (unsigned long long)r->leaves);
	return e;
}

static int judge(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_receipt *r, struct cof_judgement *ret)
{
	const struct judged_request *q = judge_find(j, r->request);
	int e = same_fields(f, r, ret);

	if (e < 0)
		return e;
	if (memcmp(r->archive, j->p.archive_id, sizeof(r->archive)) != 0)
		return judge_no(ret, "wrong-archive", "the receipt is for another archive");
	if (!is_known(j, r->vkey.public_key))
		return judge_no(ret, "unknown-vault", "the receipt is of a vault that no record before it names");
	e = check_request(q, ret);
	if (e == 0)
		e = judge_head(j, f, r->size, r->root, ret);
	return e < 0 ? e : check_objects(j, q, r, ret);
}

static int keep(struct cof_judge *j, const uint8_t digest[32])
{
	uint8_t(*more)[32] = realloc(j->receipt, (j->n_receipts + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	j->receipt = more;
	memcpy(more[j->n_receipts++], digest, 32);
	return 0;
}

int judge_receipt(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct cof_receipt r = {.size = 0};
	struct cof_diag why = {""};
	struct cof_field text;
	uint8_t digest[32];
	int e;

	if (cof_field_find(f->fields, f->n, T_RECEIPT, &text) < 0)
		return judge_no(ret, "malformed", "a receipt's frame without a receipt");
	cof_sha256(text.value, text.len, digest);
	for (size_t i = 0; i < j->n_receipts; i++)
		if (!memcmp(j->receipt[i], digest, 32))
			return judge_no(ret, "replay", "this receipt is in the chain already");
	e = cof_receipt_read(text.value, text.len, &r, &why);
	if (e == -ENOMEM)
		return e;
	e = e < 0 ? judge_no(ret, e == -EKEYREJECTED ? "wrong-signature" : "malformed", "%s", why.text) : judge(j, f, &r, ret);
	cof_receipt_done(&r);
	return e == 0 && apply ? keep(j, digest) : e;
}
