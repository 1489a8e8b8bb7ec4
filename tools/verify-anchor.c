/* SPDX-License-Identifier: Apache-2.0 */
/* coffer verify --tpm: what the TPM's counter says of the log's end. */
#include "tools/verify-anchor.h"

#include "crypto/tpm.h"

#include <stdio.h>

void anchor_ask(struct anchor_asked *a, struct cof_io *io)
{
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_tpm_clock clock = {0};
	struct cof_diag why = {""};
	struct cof_conf conf;
	int r;

	if (!a->tpm)
		return;
	r = cof_conf_load(io, &conf, &why);
	if (r == 0)
		r = cof_anchored_last(io, &conf, &a->before);
	if (r == 0 && !a->before.there) {
		cof_fail(&why, 0, "the log names no anchor: no opener of it was a TPM, or it was never mounted since");
		r = -ENODATA;
	}
	if (r == 0)
		r = cof_tpm_open(*a->tpm ? a->tpm : NULL, &t, &why);
	if (r == 0)
		r = cof_tpm_clock_read(t, &clock, &why);
	if (r == 0)
		r = cof_tpm_counter_read(t, cof_get_le32(a->before.counter), COF_TPM_ORDERLY, &a->value, &why);
	a->resets = clock.resets;
	a->err = r;
	if (r < 0)
		cof_fail(&a->text, r, "%s", why.text[0] ? why.text : strerror(-r));
}

static void say(struct anchor_asked *a, enum cof_verdict verdict, const char *text)
{
	a->told = true;
	a->verdict = verdict;
	cof_fail(&a->text, 0, "%s", text);
}

void anchor_judge(struct anchor_asked *a, struct cof_verified *v)
{
	struct cof_anchored chain = v->anchored;
	char text[512];
	uint64_t n = 0;

	if (!a->tpm || v->verdict == COF_NOT_AN_ARCHIVE || v->verdict == COF_WRONG_KEY)
		return;
	a->told = true;
	if (a->err) { /* that the index is gone is what an attacker would leave */
		a->verdict = a->err == -ENOENT || a->err == -EUCLEAN ? COF_TAMPERED : COF_INCOMPLETE;
	} else {
		/* a daemon writes: what it said last may lie behind what was verified */
		if (!chain.there || a->before.sequence > chain.sequence)
			chain = a->before;
		switch (cof_anchor_judge(chain.value, a->value, chain.resets != a->resets, &n)) {
		case COF_ANCHOR_EQUAL:
		case COF_ANCHOR_NEXT:
			snprintf(text, sizeof(text),
				 "the TPM's counter is at %llu, and so is the log: no checkpoint up to the anchor is "
				 "missing (frame %llu), unless somebody with the host's keys wrote the log on",
				 (unsigned long long)a->value, (unsigned long long)chain.sequence);
			say(a, COF_INTACT, text);
			break;
		case COF_ANCHOR_UNPROVEN:
			snprintf(text, sizeof(text),
				 "unclean, %llu unproven: the TPM lost power since frame %llu, and its counter went "
				 "on by itself to %llu; it allows for so many checkpoints more than are here",
				 (unsigned long long)n, (unsigned long long)chain.sequence,
				 (unsigned long long)a->value);
			say(a, COF_UNSEALED, text);
			break;
		case COF_ANCHOR_TRUNCATED:
			snprintf(text, sizeof(text),
				 "the TPM's counter is at %llu, the log at %llu (frame %llu): behind that at least "
				 "%llu checkpoints are missing, and as many frames at the least, up to the anchor; "
				 "what came after it is unproven",
				 (unsigned long long)a->value, (unsigned long long)chain.value,
				 (unsigned long long)chain.sequence, (unsigned long long)n);
			say(a, COF_TRUNCATED, text);
			break;
		case COF_ANCHOR_WENT_BACK:
			snprintf(text, sizeof(text),
				 "the TPM's counter is at %llu, the log was at %llu already: an old state of a "
				 "virtual TPM was put back, or it is another TPM",
				 (unsigned long long)a->value, (unsigned long long)chain.value);
			say(a, COF_TAMPERED, text);
			break;
		}
	}
	a->decides = a->verdict > v->verdict;
	if (a->decides)
		v->verdict = a->verdict;
}
