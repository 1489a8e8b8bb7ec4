/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sender of a session: says what its newest checkpoint is, proves that it extends what the receiver has, sends what
 * is missing, and a proof whenever the receiver has taken so much that it could not believe more.
 */
#include <stdio.h>

#include "fs/rules/receipt.h"
#include "tools/vault/internal.h"

#define PROVE_EVERY (16u << 20) /* bytes: far below VAULT_UNPROVEN */

struct sending {
	struct vault_wire *w;
	struct vault_source *s;
	const struct vault_sending *p;
	struct vault_sent *ret;
	struct cof_diag *diag;
	struct cof_checkpoint head;
	uint64_t have, address, head_size; /* of the receiver: frames, next byte, finished head */
	uint8_t head_root[COF_HASH];
	uint8_t hashes[2][COF_PROOF_MAX][COF_HASH];
};

void vault_sent_done(struct vault_sent *s)
{
	free(s->note);
	free(s->about);
	free(s->notices);
	for (size_t i = 0; i < s->n_receipts; i++)
		free(s->receipt[i]);
	free(s->receipt);
	s->receipt = NULL;
	s->n_receipts = 0;
	s->note = s->about = s->notices = NULL;
}

static int told(struct sending *t, enum vault_message type, struct cof_buf *body)
{
	return vault_expect(t->w, type, body, &t->ret->refusal, t->diag);
}

static int gone(struct sending *t, int r)
{
	cof_autobuf struct cof_buf body = {0};

	if (r != -EPIPE)
		return cof_fail(t->diag, r, "sending to the other side: %s", strerror(-r));
	/* it may have said why before it went */
	if (told(t, VAULT_REFUSED, &body) == -ECONNABORTED)
		return -ECONNABORTED;
	if (body.len > 2) {
		t->ret->refusal = cof_get_le16(body.data);
		return vault_was_refused(&body, t->diag);
	}
	return cof_fail(t->diag, -EPIPE, "the other side ended: the connection was cut");
}

int vault_state_about(const struct cof_buf *state, char **ret)
{
	size_t n = state->len < VAULT_STATE_FIXED ? SIZE_MAX : cof_get_le16(state->data + VAULT_STATE_FIXED - 2);

	if (n > VAULT_ABOUT_MAX || state->len < VAULT_STATE_FIXED + n || memchr(state->data + VAULT_STATE_FIXED, 0, n))
		return -EPROTO;
	*ret = strndup((const char *)state->data + VAULT_STATE_FIXED, n);
	return *ret ? 0 : -ENOMEM;
}

static int get_state(struct sending *t)
{
	cof_autobuf struct cof_buf body = {0};
	size_t used;
	int r = told(t, VAULT_STATE, &body);

	if (r < 0)
		return r;
	r = vault_state_about(&body, &t->ret->about);
	if (r < 0)
		return cof_fail(t->diag, r, "STATE is malformed");
	used = VAULT_STATE_FIXED + strlen(t->ret->about);
	t->head_size = cof_get_le64(body.data);
	t->have = cof_get_le64(body.data + 8);
	t->address = cof_get_le64(body.data + 16);
	memcpy(t->head_root, body.data + 24, COF_HASH);
	t->ret->note = strndup((const char *)body.data + used, body.len - used);
	return t->ret->note ? 0 : cof_fail(t->diag, -ENOMEM, "out of memory");
}

/* Behind what the receiver has: this store was put back to an older state. Whether it was written to since, the receiver's tree
 * tells: then it refuses the head as a fork, and keeps it. */
static int behind(struct sending *t)
{
	cof_autobuf struct cof_buf body = {0};
	int r = told(t, VAULT_RESUME, &body);

	if (r == 0)
		return cof_fail(t->diag, -EPROTO, "the other side goes on from a head that is behind its own");
	if (r != -ECONNABORTED || t->ret->refusal != VAULT_R_STALE)
		return r;
	return cof_fail(t->diag, -ESTALE, "this archive has %llu frames, and the vault has seen %llu: it was put back to an "
					  "older state. Take what is missing from the vault (coffer restore) before anything "
					  "is written; what was written since is another history",
			(unsigned long long)t->head.size, (unsigned long long)t->head_size);
}

static int send_head(struct sending *t)
{
	uint8_t fixed[12];
	struct vault_proof from_head = {.hash = t->hashes[0]}, from_here = {.hash = t->hashes[1]};
	const char *note = vault_source_note(t->s, &t->head);
	int r;

	r = t->head_size > t->head.size ? 0 : vault_source_proof(t->s, t->head_size, &from_head, t->diag);
	if (r == 0 && t->head_size <= t->head.size && t->have <= t->head.size)
		r = vault_source_proof(t->s, t->have, &from_here, t->diag);
	if (r < 0)
		return r;
	cof_put_le64(fixed, vault_source_end(t->s));
	cof_put_le16(fixed + 8, (uint16_t)from_head.n);
	cof_put_le16(fixed + 10, (uint16_t)from_here.n);
	r = vault_send(t->w, VAULT_HEAD,
		       (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)},
					{.iov_base = from_head.hash, .iov_len = from_head.n * COF_HASH},
					{.iov_base = from_here.hash, .iov_len = from_here.n * COF_HASH},
					{.iov_base = (void *)(uintptr_t)note, .iov_len = strlen(note)}},
		       4);
	if (r < 0)
		return gone(t, r);
	return t->head_size > t->head.size ? behind(t) : 0;
}

static int get_resume(struct sending *t)
{
	cof_autobuf struct cof_buf body = {0};
	int r = told(t, VAULT_RESUME, &body);

	if (r < 0)
		return r;
	if (body.len != 16)
		return cof_fail(t->diag, -EPROTO, "RESUME is malformed");
	t->have = cof_get_le64(body.data);
	t->address = cof_get_le64(body.data + 8);
	t->ret->from = t->have;
	return vault_source_seek(t->s, t->have, t->address, t->diag);
}

static int send_proof(struct sending *t, uint64_t size)
{
	struct vault_proof proof = {.hash = t->hashes[0]};
	uint8_t fixed[8];
	int r = vault_source_proof(t->s, size, &proof, t->diag);

	if (r < 0)
		return r;
	cof_put_le64(fixed, size);
	r = vault_send(t->w, VAULT_PROOF,
		       (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)},
					{.iov_base = proof.hash, .iov_len = proof.n * COF_HASH}},
		       2);
	return r < 0 ? gone(t, r) : 0;
}

static int send_bytes(struct sending *t)
{
	cof_autofree uint8_t *buf = malloc(VAULT_DATA);
	uint64_t end = vault_source_end(t->s), from = t->address, unproven = 0;
	struct vault_piece piece = {.whole = t->have};
	uint8_t fixed[8];
	int r = buf ? 0 : -ENOMEM;

	while (r == 0) {
		r = vault_source_read(t->s, buf, VAULT_DATA, &piece, t->diag);
		if (r < 0 || !piece.n)
			break;
		cof_put_le64(fixed, piece.address);
		r = vault_send(t->w, VAULT_DATA_IS,
			       (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)},
						{.iov_base = buf, .iov_len = piece.n}},
			       2);
		if (r < 0)
			return gone(t, r);
		t->ret->bytes += piece.n;
		unproven += piece.n;
		if (t->p->progress.fn)
			t->p->progress.fn(t->p->progress.user, piece.address + piece.n - from, end - from);
		if (unproven >= PROVE_EVERY) {
			r = send_proof(t, piece.whole);
			unproven = 0;
		}
	}
	if (r == -ENOMEM)
		return cof_fail(t->diag, r, "out of memory");
	t->ret->frames = piece.whole - t->have;
	return r < 0 || !unproven ? r : send_proof(t, t->head.size);
}

static int keep_receipt(struct sending *t, const struct cof_buf *body)
{
	char **more, *text;

	if (!body->len || body->len > COF_RECEIPT_MAX || memchr(body->data, 0, body->len) || t->ret->n_receipts == VAULT_RECEIPTS)
		return cof_fail(t->diag, -EPROTO, "RECEIPT is malformed");
	text = strndup((const char *)body->data, body->len);
	more = text ? realloc(t->ret->receipt, (t->ret->n_receipts + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(text);
		return cof_fail(t->diag, -ENOMEM, "out of memory");
	}
	t->ret->receipt = more;
	more[t->ret->n_receipts++] = text;
	return 0;
}

/* RECEIPTs, then NOTICE, where there is one, then DONE. */
static int answer(struct sending *t, struct cof_buf *body)
{
	uint8_t type = 0;
	int r = vault_receive(t->w, &type, body, t->diag);

	while (r == 0 && type == VAULT_RECEIPT_IS) {
		r = keep_receipt(t, body);
		if (r == 0)
			r = vault_receive(t->w, &type, body, t->diag);
	}

	if (r == 0 && type == VAULT_NOTICE && body->len <= VAULT_NOTICE_MAX && !memchr(body->data, 0, body->len)) {
		t->ret->notices = strndup((const char *)body->data, body->len);
		return t->ret->notices ? told(t, VAULT_DONE, body) : cof_fail(t->diag, -ENOMEM, "out of memory");
	}
	if (r < 0 || type == VAULT_DONE)
		return r;
	if (type == VAULT_REFUSED && body->len >= 2) {
		t->ret->refusal = cof_get_le16(body->data);
		return vault_was_refused(body, t->diag);
	}
	return cof_fail(t->diag, -EPROTO, "message %u came where DONE belongs: is the vault's program a newer one? (coffer version here, "
					  "coffer-vault --version there)", type);
}

/* p NULL: there is none. What is too large ends the session: nothing is left out without a word. */
static int send_whole(struct sending *t, enum vault_message type, const char *what, const void *p, size_t n)
{
	int r;

	if (!p)
		return 0;
	if (n > VAULT_ENVELOPE_MAX)
		return cof_fail(t->diag, -EMSGSIZE, "the %s is larger than a vault takes: %zu bytes, and %u may be sent", what, n, VAULT_ENVELOPE_MAX);
	r = vault_send(t->w, type, &(struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = n}, 1);
	return r < 0 ? gone(t, r) : 0;
}

/* An older vault says of what is larger than it takes only that it is malformed. */
static int too_old(struct sending *t, int r)
{
	struct cof_diag said = *t->diag;

	if (t->ret->refusal != VAULT_R_MALFORMED || (t->p->keys_len <= VAULT_ENVELOPE_OLD && t->p->envelope_len <= VAULT_ENVELOPE_OLD))
		return r;
	return cof_fail(t->diag, r, "%.300s: the %s has more than %u bytes, which the vault's coffer-vault may be too old for (coffer version here, "
				    "coffer-vault --version there)",
			said.text, t->p->keys_len > VAULT_ENVELOPE_OLD ? "tree R" : "recovery envelope", VAULT_ENVELOPE_OLD);
}

static int finish(struct sending *t)
{
	cof_autobuf struct cof_buf body = {0};
	int r = send_whole(t, VAULT_ENVELOPE, "recovery envelope", t->p->envelope, t->p->envelope_len);

	if (r == 0)
		r = send_whole(t, VAULT_KEYS, "tree R", t->p->keys, t->p->keys_len);
	if (r == 0) {
		r = vault_send(t->w, VAULT_END, NULL, 0);
		if (r < 0)
			r = gone(t, r);
	}
	if (r == 0)
		r = answer(t, &body);
	if (r < 0)
		return too_old(t, r);
	free(t->ret->note);
	t->ret->note = strndup(body.len ? (const char *)body.data : "", body.len); /* "": of a bundle, which nobody signed yet */
	return t->ret->note ? 0 : cof_fail(t->diag, -ENOMEM, "out of memory");
}

int vault_send_log(struct vault_wire *w, struct vault_source *s, const struct vault_sending *p, struct vault_sent *ret,
		   struct cof_diag *diag)
{
	struct sending t = {.w = w, .s = s, .p = p, .ret = ret, .diag = diag};
	int r;

	memset(ret, 0, sizeof(*ret));
	vault_source_note(s, &t.head);
	ret->size = t.head.size;
	r = get_state(&t);
	ret->nothing = r == 0 && t.head_size == t.head.size;
	if (r == 0 && p->meet)
		r = p->meet(p->user, ret->about, diag);
	if (r == 0)
		r = send_head(&t);
	if (r == 0)
		r = get_resume(&t);
	if (r == 0) {
		ret->nothing = t.have == t.head.size;
		r = send_bytes(&t);
	}
	if (r == 0)
		r = finish(&t);
	return r;
}
