/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads that were destroyed at the host before they came (docs/format.md 4.4). Of frames under a finished head the log that is
 * here says whether they were; of those that come, the DESTROY frame comes behind them, and before the head is confirmed each
 * of them has to have one.
 */
#include "tools/vault/internal.h"

int copy_judge_payload(struct vault_copy *c, const struct cof_frame *f, const uint8_t *payload)
{
	int r = cof_payload_check(f, payload);

	if (r != -EBADMSG || f->type != COF_APPEND)
		return r;
	if (f->sequence >= c->head.size && f->sequence < c->judged && !cof_erased_covers(c->coming_ended, f))
		return -EBADMSG;
	if (f->sequence >= c->head.size) {
		c->erased = true;
		return 0;
	}
	r = c->ended ? 0 : cof_erased_find(c->io, &c->conf, &c->ended);
	return r < 0 ? r : cof_erased_covers(c->ended, f) ? 0 : -EBADMSG;
}

/* What is before that frame stays, and who is asked next may have it: what is wrong behind it is known when it comes again. */
static int drop_from(struct vault_copy *c, uint64_t sequence, uint64_t address, struct cof_erased **ended)
{
	cof_erased_free(c->coming_ended);
	c->coming_ended = *ended;
	*ended = NULL;
	c->judged = c->tree.frontier.size;
	return copy_back_to(c, sequence, address);
}

/* The frames behind the head, once all of them are here. */
static int judge_all(struct vault_copy *c, struct cof_erased **ended, struct cof_diag *diag)
{
	uint8_t *payload = c->part + COF_FRAME_HEADER; /* nothing is there in part */
	uint64_t at = c->head_end, sequence = c->head.size;
	struct cof_frame f;
	int r = 0;

	while (r == 0 && sequence < c->tree.frontier.size) {
		r = cof_reader_header(c->reader, at, &f, NULL, diag);
		if ((r == -ENODATA || r == -EUCLEAN) && at % c->conf.segment_size) {
			at = (at / c->conf.segment_size + 1) * c->conf.segment_size;
			r = cof_reader_header(c->reader, at, &f, NULL, diag);
		}
		if (r == 0 && f.type == COF_APPEND)
			r = cof_reader_payload(c->reader, at, &f, 0, payload, f.stored);
		if (r == 0 && f.type == COF_APPEND && cof_payload_check(&f, payload) < 0 && !cof_erased_covers(*ended, &f)) {
			r = drop_from(c, sequence, at, ended);
			return cof_fail(diag, r < 0 ? r : -EBADMSG,
					"the payload of frame %llu is not what its header says, and no frame behind it says that it was "
					"destroyed",
					(unsigned long long)f.sequence);
		}
		if (r == 0)
			at += COF_FRAME_HEADER + f.stored;
		sequence++;
	}
	return r < 0 ? cof_fail(diag, r, "%s/log cannot be read: %s", cof_io_where(c->io), strerror(-r)) : 0;
}

int copy_judge_erased(struct vault_copy *c, struct cof_diag *diag)
{
	COF_CLEANUP(cof_erased_freep) struct cof_erased *ended = NULL;
	int r;

	if (!c->erased)
		return 0;
	cof_reader_free(c->reader); /* it may know of bytes that were there before */
	c->reader = NULL;
	r = cof_reader_new(c->io, &c->conf, &c->reader);
	if (r == 0)
		r = cof_erased_find(c->io, &c->conf, &ended);
	return r < 0 ? cof_fail(diag, r, "%s/log cannot be read: %s", cof_io_where(c->io), strerror(-r)) : judge_all(c, &ended, diag);
}
