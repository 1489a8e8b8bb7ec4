/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges, at the host: ranges of whole frames are asked for, and the same is computed from the log here, each frame of which is
 * compared with the stored hashes on the way. What differs is asked for again, frame by frame, and once more after it was looked anew for
 * what was destroyed: of such a frame only what stays is asked for (docs/format.md 4.4), so it does not matter who destroyed it first.
 */
#include "tools/vault/internal.h"

#define AT_ONCE (16u << 20) /* bytes in one message */
#define RANGE (1u << 20)    /* frames that follow each other, up to so much */
#define LAST 16u	    /* frames that a sample always has */

struct range {
	uint64_t address, sequence; /* of its first frame */
	uint32_t length;
	uint8_t hash[COF_HASH];
	bool unlike, missing;
};
struct ranges {
	struct range at[VAULT_UNLIKE_MAX];
	unsigned n;
};
struct asking {
	struct vault_wire *w;
	struct vault_source *s;
	const struct vault_challenging *p;
	struct vault_challenged *ret;
	struct cof_diag *diag;
	const struct cof_conf *conf;
	struct cof_reader *reader, *own; /* that plans, and that reads what was planned */
	struct cof_sha256 *h;
	uint8_t *room; /* FRAME_MAX bytes */
	struct cof_erased *ended; /* NULL: not looked for yet */
	struct range range[VAULT_RANGES]; /* of the next message */
	unsigned n, messages;
	uint64_t bytes;
	bool again;	       /* not the first round */
	bool final;	       /* what the log here does not say is damage of it */
	struct ranges *unlike; /* of this round */
};

static int damaged(struct asking *a, uint64_t sequence)
{
	return cof_fail(a->diag, -EUCLEAN, "frame %llu here is not what was signed: this archive is damaged itself, and coffer verify tells what; "
					   "the vault may have it",
			(unsigned long long)sequence);
}

static int look_for_destroyed(struct asking *a)
{
	int r;

	cof_erased_free(a->ended);
	a->ended = NULL;
	r = cof_erased_find(a->p->io, a->conf, &a->ended);
	return r < 0 ? cof_fail(a->diag, r, "%s/log cannot be read: %s", cof_io_where(a->p->io), strerror(-r)) : 0;
}

/* Of a frame whose content was destroyed, what was not. */
static uint32_t length_of(const struct asking *a, const struct cof_frame *f)
{
	return COF_FRAME_HEADER + (cof_erased_covers(a->ended, f) ? f->public_length : f->stored);
}

/* ---- what is here ---- */

/* The frame at this address, and that it is the one that was signed: its bytes are in a->room. -EAGAIN: its payload is not what its
 * header says, which a destruction makes right. */
static int own_frame(struct asking *a, uint64_t sequence, uint64_t address, struct cof_frame *f)
{
	uint8_t previous[COF_HASH] = {0}, leaf[COF_HASH], is[COF_HASH];
	uint8_t *payload = a->room + COF_FRAME_HEADER;
	int r = cof_reader_header(a->own, address, f, a->room, NULL);

	if (r < 0 || f->sequence != sequence)
		return damaged(a, sequence);
	r = sequence ? vault_source_leaf(a->s, sequence - 1, previous, a->diag) : 0;
	if (r == 0)
		r = vault_source_leaf(a->s, sequence, is, a->diag);
	if (r < 0)
		return r;
	cof_frame_leaf(a->room, previous, leaf);
	if (!cof_equal(leaf, is, COF_HASH) || cof_reader_payload(a->own, address, f, 0, payload, f->stored) < 0)
		return damaged(a, sequence);
	if (cof_erased_covers(a->ended, f) || cof_payload_check(f, payload) == 0)
		return 0;
	return f->type == COF_APPEND && !a->final ? -EAGAIN : damaged(a, sequence);
}

static int own_range(struct asking *a, const uint8_t *nonce, struct range *g)
{
	uint64_t at = g->address, sequence = g->sequence;
	struct cof_frame f;

	challenge_begin(a->h, nonce, g->address, g->length);
	while (at < g->address + g->length) {
		uint32_t n;
		int r = own_frame(a, sequence, at, &f);

		if (r == -EAGAIN) { /* nothing is like it */
			g->unlike = true;
			return 0;
		}
		if (r < 0)
			return r;
		n = COF_MIN(COF_FRAME_HEADER + f.stored, (uint32_t)(g->address + g->length - at));
		cof_sha256_update(a->h, a->room, n);
		at += n;
		sequence++;
	}
	cof_sha256_final(a->h, g->hash);
	a->ret->frames += a->again ? 0 : sequence - g->sequence;
	a->ret->bytes += a->again ? 0 : g->length;
	return 0;
}

/* ---- one message, and its answer ---- */

static int send_ranges(struct asking *a, uint8_t nonce[CHALLENGE_NONCE])
{
	uint8_t body[VAULT_RANGES * CHALLENGE_RANGE];
	int r;

	cof_random(nonce, CHALLENGE_NONCE);
	for (unsigned i = 0; i < a->n; i++) {
		cof_put_le64(body + i * CHALLENGE_RANGE, a->range[i].address);
		cof_put_le32(body + i * CHALLENGE_RANGE + 8, a->range[i].length);
	}
	if (++a->messages > VAULT_CHALLENGES_MAX)
		return cof_fail(a->diag, -EFBIG, "the log is too large to be asked for in one session: --sample");
	r = vault_send(a->w, VAULT_CHALLENGE,
		       (struct iovec[]){{.iov_base = nonce, .iov_len = CHALLENGE_NONCE},
					{.iov_base = body, .iov_len = (size_t)a->n * CHALLENGE_RANGE}},
		       2);
	return r < 0 && r != -EPIPE ? cof_fail(a->diag, r, "sending to the other side: %s", strerror(-r)) : 0; /* it may have said why */
}

static int compare(struct asking *a, const struct cof_buf *answer)
{
	if (answer->len != (size_t)a->n * ANSWER_ONE)
		return cof_fail(a->diag, -EPROTO, "ANSWER is malformed");
	for (unsigned i = 0; i < a->n; i++) {
		const uint8_t *one = answer->data + (size_t)i * ANSWER_ONE;
		struct range *g = &a->range[i];

		if (one[0] > 1)
			return cof_fail(a->diag, -EPROTO, "ANSWER is malformed");
		g->missing = !one[0];
		if (g->unlike || g->missing || !cof_equal(one + 1, g->hash, COF_HASH)) {
			if (a->unlike->n == VAULT_UNLIKE_MAX)
				a->ret->ended = true;
			else
				a->unlike->at[a->unlike->n++] = *g;
		}
	}
	return 0;
}

/* Both sides read at the same time. */
static int ask(struct asking *a)
{
	cof_autobuf struct cof_buf body = {0};
	uint8_t nonce[CHALLENGE_NONCE];
	int r = a->n ? send_ranges(a, nonce) : 0;

	if (!a->n || r < 0)
		return r;
	for (unsigned i = 0; r == 0 && i < a->n; i++)
		r = own_range(a, nonce, &a->range[i]);
	if (r == 0)
		r = vault_expect(a->w, VAULT_ANSWER, &body, &a->ret->refusal, a->diag);
	if (r == 0)
		r = compare(a, &body);
	a->n = 0;
	a->bytes = 0;
	return r;
}

/* apart: as a range of its own. */
static int add_frame(struct asking *a, uint64_t address, const struct cof_frame *f, bool apart)
{
	uint32_t length = length_of(a, f);
	struct range *g = a->n ? &a->range[a->n - 1] : NULL;
	bool whole = length == COF_FRAME_HEADER + f->stored;
	int r;

	if (g && !apart && whole && g->address + g->length == address && address % a->conf->segment_size && g->length + length <= RANGE) {
		g->length += length;
		a->bytes += length;
		return 0;
	}
	if (a->n == VAULT_RANGES || (a->n && a->bytes + length > AT_ONCE)) {
		r = ask(a);
		if (r < 0)
			return r;
	}
	a->range[a->n++] = (struct range){.address = address, .sequence = f->sequence, .length = length};
	a->bytes += length;
	return 0;
}

/* ---- a session ---- */

static int get_state(struct asking *a)
{
	cof_autobuf struct cof_buf body = {0};
	cof_autofree char *about = NULL;
	struct cof_diag said;
	int r = vault_expect(a->w, VAULT_STATE, &body, &a->ret->refusal, a->diag);

	if (r == -ECONNABORTED && a->ret->refusal == VAULT_R_MALFORMED) {
		said = *a->diag;
		return cof_fail(a->diag, -EPROTONOSUPPORT, "the vault's coffer-vault is older than this program, and cannot be asked what it still has "
							   "(it says: %.100s; coffer version here, coffer-vault --version there). coffer-vault "
							   "scrub, there, reads all of it", said.text);
	}
	if (r == 0)
		r = vault_state_about(&body, &about);
	if (r == -EPROTO)
		return cof_fail(a->diag, r, "STATE is malformed");
	if (r == 0 && a->p->meet)
		r = a->p->meet(a->p->user, about, a->diag);
	if (r < 0)
		return r;
	a->ret->met = true;
	a->ret->size = cof_get_le64(body.data);
	if (a->ret->size < a->p->confirmed)
		return cof_fail(a->diag, -ENODATA, "the vault shows %llu frames, and signed %llu: it was put back to an older state, or lost them",
				(unsigned long long)a->ret->size, (unsigned long long)a->p->confirmed);
	return 0;
}

static int open_line(struct asking *a)
{
	int r = a->p->line(a->p->user, &a->w, a->diag);

	a->messages = 0;
	return r < 0 ? r : get_state(a);
}

/* ---- which frames ---- */

static int add_at(struct asking *a, uint64_t sequence, uint64_t address, bool apart, struct cof_frame *f)
{
	if (cof_reader_header(a->reader, address, f, NULL, NULL) < 0 || f->sequence != sequence)
		return damaged(a, sequence);
	return add_frame(a, address, f, apart);
}

static int add_all(struct asking *a)
{
	uint64_t address = 0, sequence = 0;
	struct cof_frame f;
	int r = 0;

	while (r == 0 && sequence < a->p->confirmed && !a->ret->ended) {
		r = add_at(a, sequence, address, false, &f);
		if (r == 0 && ++sequence < a->p->confirmed && cof_reader_next(a->reader, address, &f, &address) < 0)
			return damaged(a, sequence);
		if (a->p->progress.fn)
			a->p->progress.fn(a->p->progress.user, address, vault_source_end(a->s));
	}
	return r;
}

/* The frames of a range, each for itself. */
static int add_apart(struct asking *a, const struct range *g)
{
	uint64_t address = g->address, sequence = g->sequence;
	struct cof_frame f;
	int r = 0;

	while (r == 0 && address < g->address + g->length && !a->ret->ended) {
		r = add_at(a, sequence++, address, true, &f);
		address += COF_FRAME_HEADER + f.stored;
	}
	return r;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* In the order of the log, and none twice. */
static int add_sample(struct asking *a)
{
	uint64_t size = a->p->confirmed, n = a->p->sample, before = UINT64_MAX;
	cof_autofree uint64_t *all = calloc(n + LAST, sizeof(*all));
	int r = 0;

	if (!all)
		return cof_fail(a->diag, -ENOMEM, "out of memory");
	for (uint64_t i = 0; i < n + LAST; i++) {
		cof_random(&all[i], sizeof(*all));
		all[i] = i < n ? all[i] % size : size - 1 - (i - n);
	}
	qsort(all, n + LAST, sizeof(*all), by_value);
	for (uint64_t i = 0; r == 0 && i < n + LAST && !a->ret->ended; i++) {
		struct cof_frame f;
		uint64_t address = 0;

		if (all[i] == before)
			continue;
		before = all[i];
		r = vault_source_address(a->s, all[i], &address, a->diag);
		if (r == 0)
			r = add_at(a, all[i], address, false, &f);
	}
	return r;
}

/* ---- rounds ---- */

/* Looking for what was destroyed takes as long as the log is: the vault waits for nobody meanwhile. */
static int first_round(struct asking *a)
{
	bool all = !a->p->sample || a->p->confirmed <= a->p->sample + LAST;
	int r = all ? look_for_destroyed(a) : 0;

	if (r == 0)
		r = open_line(a);
	if (r == 0)
		r = all ? add_all(a) : add_sample(a);
	return r == 0 ? ask(a) : r;
}

/* What differed in the round before, by what is destroyed now. */
static int again(struct asking *a, const struct ranges *before)
{
	int r;

	if (!before->n)
		return 0;
	a->again = true;
	a->ret->ended = false;
	(void)vault_send(a->w, VAULT_END, NULL, 0); /* all was answered */
	r = look_for_destroyed(a);
	if (r == 0)
		r = open_line(a);
	for (unsigned i = 0; r == 0 && i < before->n; i++)
		r = add_apart(a, &before->at[i]);
	return r == 0 ? ask(a) : r;
}

static int rounds(struct asking *a)
{
	struct ranges *all = calloc(3, sizeof(*all));
	bool ended;
	int r = all ? 0 : cof_fail(a->diag, -ENOMEM, "out of memory");

	a->unlike = &all[0];
	if (r == 0)
		r = first_round(a);
	ended = a->ret->ended;
	for (unsigned i = 1; r == 0 && i < 3; i++) {
		a->unlike = &all[i];
		a->final = i == 2;
		r = again(a, &all[i - 1]);
		ended |= a->ret->ended;
	}
	a->ret->ended = ended;
	for (unsigned i = 0; r == 0 && i < all[2].n; i++)
		a->ret->unlike[a->ret->n_unlike++] = (struct vault_unlike){
		    .sequence = all[2].at[i].sequence, .address = all[2].at[i].address, .missing = all[2].at[i].missing};
	free(all);
	return r;
}

static int begin(struct asking *a)
{
	struct cof_checkpoint head;

	vault_source_note(a->s, &head);
	if (!a->p->confirmed)
		return cof_fail(a->diag, -EINVAL, "nothing was confirmed yet");
	if (a->p->confirmed > head.size)
		return cof_fail(a->diag, -ESTALE, "this archive has %llu frames, and the vault signed %llu: it was put back to an older state; "
						  "coffer sync says what to do",
				(unsigned long long)head.size, (unsigned long long)a->p->confirmed);
	a->room = malloc(FRAME_MAX);
	a->h = cof_sha256_new();
	if (!a->room || !a->h || cof_reader_new(a->p->io, a->conf, &a->reader) < 0 || cof_reader_new(a->p->io, a->conf, &a->own) < 0)
		return cof_fail(a->diag, -ENOMEM, "out of memory");
	cof_reader_walk(a->reader, true);
	cof_reader_walk(a->own, true);
	return 0;
}

int vault_send_challenges(struct vault_source *s, const struct vault_challenging *p, struct vault_challenged *ret, struct cof_diag *diag)
{
	struct asking a = {.s = s, .p = p, .ret = ret, .diag = diag, .conf = vault_source_conf(s)};
	int r;

	memset(ret, 0, sizeof(*ret));
	r = begin(&a);
	if (r == 0)
		r = rounds(&a);
	if (r == 0)
		(void)vault_send(a.w, VAULT_END, NULL, 0);
	cof_erased_free(a.ended);
	cof_reader_free(a.reader);
	cof_reader_free(a.own);
	cof_sha256_free(a.h);
	free(a.room);
	return r;
}
