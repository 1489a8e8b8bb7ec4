/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the frames lie that people's rules are about, so that they are found again without all headers: as a verification
 * met them, or kept from one judging to the next.
 */
#include "fs/archive/judge.h"

#define PACKED 33 /* bytes before the steps */

static bool is_judged(unsigned type)
{
	switch (type) {
	case COF_CREATE:
	case COF_RENAME:
	case COF_COMMIT:
	case COF_EXTEND:
	case COF_REMOVE:
	case COF_DESTROY:
	case COF_POLICY:
	case COF_PEOPLE:
	case COF_REQUEST:
	case COF_APPROVAL:
	case COF_HOLD:
	case COF_ESCROW:
	case COF_CEREMONY:
	case COF_VAULT_RECORD:
	case COF_RECEIPT:
	case COF_CLOCK:
	case COF_SHELF:
	case COF_EVENT:
		return true;
	default:
		return false;
	}
}

#define PLACES_MAX (32u << 20) /* bytes: some ten million of them; with more all headers are read again */

int cof_judge_places_new(struct cof_judge_places **ret)
{
	struct cof_judge_places *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->complete = true;
	*ret = p;
	return 0;
}

void cof_judge_places_free(struct cof_judge_places *p)
{
	if (!p)
		return;
	cof_buf_done(&p->steps);
	cof_inodes_done(&p->committed);
	free(p);
}

bool cof_judge_matters(const struct cof_frame *f)
{
	/* A removal or destruction that names no request has nothing in clear, and is the one that needs looking at. */
	bool plain = f->type == COF_REMOVE || f->type == COF_DESTROY;

	return (is_judged(f->type) || f->type == COF_STAMP || f->type == COF_COSIGN) && (f->public_length || plain);
}

bool cof_judge_grows(const struct cof_frame *f)
{
	return f->type == COF_APPEND || f->type == COF_HOLE;
}

/* Whether the frame is to be found again. */
static bool is_wanted(struct cof_judge_places *p, const struct cof_frame *f)
{
	if (f->type == COF_COMMIT && cof_inodes_add(&p->committed, f->object, SIZE_MAX) < 0)
		p->too_many = true;
	return cof_judge_matters(f) || (cof_judge_grows(f) && cof_inodes_has(&p->committed, f->object));
}

void cof_judge_places_add(struct cof_judge_places *p, const struct cof_frame *f, uint64_t address)
{
	uint8_t step[10];

	p->any = true;
	p->end = address;
	p->last.stored = f->stored;
	if (p->too_many || !is_wanted(p, f) || p->too_many)
		return;
	if (address < p->at || p->steps.failed || p->steps.len > PLACES_MAX) {
		p->too_many = true;
		cof_buf_done(&p->steps);
		return;
	}
	cof_buf_add(&p->steps, step, cof_varint_put(step, address - p->at));
	p->at = address;
}

bool cof_judge_places_all(const struct cof_judge_places *p)
{
	return p && p->any && !p->too_many && !p->steps.failed;
}

/* ---- from one judging to the next ---- */

int cof_judge_places_each(const struct cof_judge_places *p, struct cof_reader *reader, cof_judge_place_fn fn, void *user)
{
	uint64_t at = 0, step;
	struct cof_frame f;
	int r = 0, n;

	for (size_t i = 0; r == 0 && i < p->steps.len; i += (size_t)n) {
		n = cof_varint_get(p->steps.data + i, p->steps.len - i, &step);
		if (n <= 0)
			return -EUCLEAN;
		at += step;
		r = cof_reader_header(reader, at, &f, NULL, NULL);
		if (r == 0)
			r = fn(user, &f, at);
		else if (r != -ENOMEM)
			r = fn(user, NULL, at);
	}
	return r;
}

static int meet(void *user, const struct cof_frame *f, uint64_t address COF_UNUSED)
{
	struct cof_judge_places *p = user;

	return f && f->type == COF_COMMIT ? cof_inodes_add(&p->committed, f->object, SIZE_MAX) : 0;
}

/* Which inodes are committed, by the frames that are known. */
static int meet_again(struct cof_judge_places *p, struct cof_reader *reader)
{
	int r = cof_judge_places_each(p, reader, meet, p);

	p->complete = r == 0;
	return r;
}

int cof_judge_places_follow(struct cof_io *io, struct cof_judge_places *p, struct cof_diag *diag)
{
	struct cof_reader *reader = NULL;
	struct cof_conf conf;
	struct cof_frame f;
	uint64_t at = 0, next = 0;
	int r = cof_conf_load(io, &conf, diag);

	if (r == 0)
		r = cof_reader_new(io, &conf, &reader);
	if (r < 0)
		return r;
	cof_reader_walk(reader, true);
	if (!p->complete && !p->too_many)
		r = meet_again(p, reader);
	if (r == 0 && p->any && cof_reader_header(reader, p->end, &f, NULL, NULL) == 0)
		next = f.sequence + 1;
	if (r == 0 && p->any)
		r = cof_reader_next(reader, p->end, &p->last, &at);
	while (r == 0 && (r = cof_reader_header(reader, at, &f, NULL, NULL)) == 0) {
		if (f.sequence >= next) { /* else it stands where another belongs */
			cof_judge_places_add(p, &f, at);
			next = f.sequence + 1;
		}
		r = cof_reader_next(reader, at, &f, &at);
	}
	cof_reader_free(reader);
	return r == -ENODATA || r == -EUCLEAN ? 0 : r;
}

int cof_judge_places_pack(const struct cof_judge_places *p, struct cof_buf *ret)
{
	uint8_t head[PACKED];

	cof_put_le64(head, p->at);
	cof_put_le64(head + 8, p->end);
	cof_put_le64(head + 16, p->last.stored);
	cof_put_le64(head + 24, p->steps.len);
	head[32] = (uint8_t)(p->any | p->too_many << 1);
	cof_buf_add(ret, head, sizeof(head));
	if (p->steps.len)
		cof_buf_add(ret, p->steps.data, p->steps.len);
	return ret->failed || p->steps.failed ? -ENOMEM : 0;
}

int cof_judge_places_unpack(const void *data, size_t n, struct cof_judge_places **ret)
{
	const uint8_t *raw = data;
	struct cof_judge_places *p;
	int r;

	if (n < PACKED || cof_get_le64(raw + 24) != n - PACKED || raw[32] > 3 || cof_get_le64(raw + 16) > UINT32_MAX)
		return -EUCLEAN;
	r = cof_judge_places_new(&p);
	if (r < 0)
		return r;
	p->at = cof_get_le64(raw);
	p->end = cof_get_le64(raw + 8);
	p->last.stored = (uint32_t)cof_get_le64(raw + 16);
	p->complete = false;
	p->any = raw[32] & 1;
	p->too_many = raw[32] & 2;
	if (n > PACKED)
		cof_buf_add(&p->steps, raw + PACKED, n - PACKED);
	if (p->steps.failed) {
		cof_judge_places_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}
