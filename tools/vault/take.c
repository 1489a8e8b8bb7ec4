/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver of a session: says what it has, believes nothing before it is proven, finishes a head once all of it is durable. */
#include <stdio.h>

#include "tools/vault/internal.h"

struct taking {
	struct vault_wire *w;
	struct vault_copy *c;
	const struct vault_taking *p;
	struct cof_diag *diag;
	struct cof_buf body, note;
	uint64_t from, end;
	uint8_t hashes[2][COF_PROOF_MAX][COF_HASH];
};

static enum vault_refusal code_of(int r)
{
	switch (r) {
	case -ESTALE:
		return VAULT_R_STALE;
	case -ENOTUNIQ:
		return VAULT_R_FORK;
	case -EBADMSG:
		return VAULT_R_DATA;
	case -EACCES:
		return VAULT_R_RULES;
	case -EDQUOT:
		return VAULT_R_QUOTA;
	case -EUCLEAN:
	case -EPROTO:
		return VAULT_R_MALFORMED;
	default:
		return VAULT_R_FAILED;
	}
}

/* The other side is told why, as far as it is still there. */
static int refuse(struct taking *t, int r)
{
	enum vault_refusal code = code_of(r);

	if (r == -ENOTCONN || r == -EPIPE || r == -ETIMEDOUT || r == -ECONNABORTED)
		return r;
	if ((code == VAULT_R_STALE || code == VAULT_R_FORK || code == VAULT_R_RULES) && t->p->refused)
		t->p->refused(t->p->user, code, t->note.data, t->note.len);
	if (vault_refuse(t->w, code, t->diag->text) < 0)
		return r; /* it is gone, and r says what was wrong before */
	return r;
}

static int send_state(struct taking *t)
{
	struct vault_copy_state s;
	uint8_t fixed[VAULT_STATE_FIXED];
	const char *note = vault_copy_note(t->c), *about = t->p->about ? t->p->about : "";

	vault_copy_state(t->c, &s);
	cof_put_le64(fixed, s.head.size);
	cof_put_le64(fixed + 8, s.size);
	cof_put_le64(fixed + 16, s.address);
	memcpy(fixed + 24, s.head.root, COF_HASH);
	cof_put_le16(fixed + VAULT_STATE_FIXED - 2, (uint16_t)strlen(about));
	t->from = s.address;
	return vault_send(t->w, VAULT_STATE,
			  (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)},
					   {.iov_base = (void *)(uintptr_t)about, .iov_len = strlen(about)},
					   {.iov_base = (void *)(uintptr_t)note, .iov_len = strlen(note)}},
			  3);
}

static int malformed(struct taking *t, const char *what)
{
	return cof_fail(t->diag, -EPROTO, "%s is malformed", what);
}

static int take_hashes(struct vault_proof *proof, uint8_t (*room)[COF_HASH], const uint8_t *p, size_t n)
{
	if (n > COF_PROOF_MAX)
		return -EPROTO;
	memcpy(room, p, n * COF_HASH);
	proof->hash = room;
	proof->n = n;
	return 0;
}

static int take_head(struct taking *t)
{
	struct vault_proof from_head, from_here;
	struct vault_copy_state s;
	const uint8_t *p = t->body.data;
	size_t n1, n2, used;
	int r;

	if (t->body.len < 12)
		return malformed(t, "HEAD");
	t->end = cof_get_le64(p);
	n1 = cof_get_le16(p + 8);
	n2 = cof_get_le16(p + 10);
	used = 12 + (n1 + n2) * COF_HASH;
	if (used >= t->body.len || t->body.len - used > COF_NOTE_MAX ||
	    take_hashes(&from_head, t->hashes[0], p + 12, n1) < 0 ||
	    take_hashes(&from_here, t->hashes[1], p + 12 + n1 * COF_HASH, n2) < 0)
		return malformed(t, "HEAD");
	t->note.len = 0;
	cof_buf_add(&t->note, p + used, t->body.len - used);
	if (t->note.failed)
		return cof_fail(t->diag, -ENOMEM, "out of memory");
	if (t->p->quota && t->end > t->p->quota)
		return cof_fail(t->diag, -EDQUOT, "the log has %llu bytes, and this vault takes %llu of this archive",
				(unsigned long long)t->end, (unsigned long long)t->p->quota);
	r = vault_copy_head(t->c, t->note.data, t->note.len, &from_head, &from_here, t->diag);
	if (r < 0)
		return r;
	vault_copy_state(t->c, &s);
	{
		uint8_t fixed[16];

		cof_put_le64(fixed, s.size);
		cof_put_le64(fixed + 8, s.address);
		t->from = s.address;
		return vault_send(t->w, VAULT_RESUME, &(struct iovec){.iov_base = fixed, .iov_len = 16}, 1);
	}
}

static int take_data(struct taking *t)
{
	uint64_t address;

	if (t->body.len <= 8 || t->body.len > 8 + VAULT_DATA)
		return malformed(t, "DATA");
	address = cof_get_le64(t->body.data);
	if (address + (t->body.len - 8) > t->end)
		return cof_fail(t->diag, -EPROTO, "bytes came from behind the end of the head");
	if (t->p->progress.fn)
		t->p->progress.fn(t->p->progress.user, address + t->body.len - 8 - t->from, t->end - t->from);
	return vault_copy_feed(t->c, address, t->body.data + 8, t->body.len - 8, t->diag);
}

static int take_proof(struct taking *t)
{
	struct vault_copy_state s;
	struct vault_proof proof;
	size_t n = t->body.len < 8 ? 0 : (t->body.len - 8) / COF_HASH;

	if (t->body.len < 8 || (t->body.len - 8) % COF_HASH || take_hashes(&proof, t->hashes[0], t->body.data + 8, n) < 0)
		return malformed(t, "PROOF");
	vault_copy_state(t->c, &s);
	if (cof_get_le64(t->body.data) != s.size)
		return cof_fail(t->diag, -EBADMSG, "a proof for %llu frames came where %llu are there",
				(unsigned long long)cof_get_le64(t->body.data), (unsigned long long)s.size);
	return vault_copy_prove(t->c, &proof, t->diag);
}

static int receipts(struct taking *t)
{
	cof_autobuf struct cof_buf text = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && t->p->receipt && i < VAULT_RECEIPTS; i++) {
		int e;

		text.len = 0;
		e = t->p->receipt(t->p->user, i, &text);
		if (e == -ENOENT)
			break;
		if (e == 0) /* one that cannot be read keeps no other back */
			r = vault_send(t->w, VAULT_RECEIPT_IS, &(struct iovec){.iov_base = text.data, .iov_len = text.len}, 1);
	}
	return r;
}

static int notice(struct taking *t)
{
	cof_autobuf struct cof_buf lines = {0};

	if (t->p->notice)
		t->p->notice(t->p->user, &lines);
	if (!lines.len || lines.failed)
		return 0;
	return vault_send(t->w, VAULT_NOTICE, &(struct iovec){.iov_base = lines.data, .iov_len = COF_MIN(lines.len, VAULT_NOTICE_MAX)}, 1);
}

static int take_end(struct taking *t)
{
	struct vault_copy_state s;
	int r = vault_copy_sync(t->c, t->diag);

	if (r == 0 && t->p->judge) {
		vault_copy_state(t->c, &s);
		r = t->p->judge(t->p->user, &s, t->diag);
	}
	if (r == 0 && t->p->sign)
		r = t->p->sign(t->p->user, &t->note, t->diag);
	if (r == 0 && t->note.failed)
		r = cof_fail(t->diag, -ENOMEM, "out of memory");
	if (r == 0)
		r = vault_copy_finish(t->c, t->note.data, t->note.len, t->p->list ? *t->p->list : NULL, t->diag);
	if (r < 0)
		return r;
	if (t->p->finished)
		t->p->finished(t->p->user, (const uint8_t(*)[COF_HASH])t->c->told.data, t->c->told.failed ? 0 : t->c->told.len / COF_HASH);
	r = receipts(t);
	if (r < 0)
		return r;
	r = notice(t);
	if (r < 0)
		return r;
	return vault_send(t->w, VAULT_DONE, &(struct iovec){.iov_base = t->note.data, .iov_len = t->note.len}, 1);
}

static int loop(struct taking *t)
{
	bool ended = false;
	int r = 0;

	while (r == 0 && !ended) {
		uint8_t type = 0;

		r = vault_receive(t->w, &type, &t->body, t->diag);
		if (r == -EPIPE && type == VAULT_DATA_IS && t->body.len > 8) {
			struct cof_diag none = *t->diag;

			(void)take_data(t); /* what came of it need not come again; that the line was cut is what is told */
			*t->diag = none;
		}
		if (r < 0)
			break;
		switch (type) {
		case VAULT_DATA_IS:
			r = take_data(t);
			break;
		case VAULT_PROOF:
			r = take_proof(t);
			break;
		case VAULT_ENVELOPE:
			if (t->body.len > VAULT_ENVELOPE_MAX)
				r = malformed(t, "ENVELOPE");
			else if (t->p->envelope)
				r = t->p->envelope(t->p->user, t->body.data, t->body.len, t->diag);
			break;
		case VAULT_KEYS:
			if (t->body.len > VAULT_ENVELOPE_MAX || !t->p->keys)
				r = malformed(t, "KEYS");
			else
				r = t->p->keys(t->p->user, t->body.data, t->body.len, t->diag);
			break;
		case VAULT_REFUSED: /* a vault that cannot give more says why */
			r = t->body.len >= 2 ? vault_was_refused(&t->body, t->diag) : malformed(t, "REFUSED");
			break;
		case VAULT_END:
			r = take_end(t);
			ended = true;
			break;
		default:
			r = cof_fail(t->diag, -EPROTO, "message %u does not belong here", type);
		}
	}
	return r;
}

int vault_take_log(struct vault_wire *w, struct vault_copy *c, const struct vault_taking *p, struct cof_diag *diag)
{
	struct cof_diag own = {""};
	struct taking t = {.w = w, .c = c, .p = p, .diag = diag ? diag : &own};
	int r = p->head ? 0 : send_state(&t);

	if (r < 0)
		r = cof_fail(t.diag, r, "sending to the other side: %s", strerror(-r));
	if (p->head)
		cof_buf_add(&t.body, p->head->data, p->head->len);
	else if (r == 0)
		r = vault_expect(w, VAULT_HEAD, &t.body, NULL, t.diag);
	if (t.body.failed)
		r = cof_fail(t.diag, -ENOMEM, "out of memory");
	if (r == -ENOTCONN) { /* whoever only asked who is here */
		cof_buf_done(&t.body);
		return r;
	}
	if (r == 0)
		r = take_head(&t);
	if (r == 0)
		r = loop(&t);
	if (r < 0)
		r = refuse(&t, r);
	cof_buf_done(&t.body);
	cof_buf_done(&t.note);
	return r;
}
