/* SPDX-License-Identifier: Apache-2.0 */
/* coffer verify --tpm: what the TPM's counter says of the log's end. */
#include "tools/verify-anchor.h"

#include "crypto/tpm.h"
#include "fs/archive/archive.h"

#include <stdio.h>

static bool has_tpm_opener(struct cof_io *io)
{
	cof_autojson struct cof_json *list = cof_json_array();
	struct cof_diag quiet;
	bool yes = false;

	if (!list || cof_store_seal_show(io, list, &quiet) < 0)
		return true; /* not known: it is asked, and judged */
	for (size_t i = 0; i < cof_json_count(list); i++) {
		const char *kind = cof_json_str(cof_json_at(list, i), "kind");

		yes |= kind && !strcmp(kind, "tpm2");
	}
	return yes;
}

int anchor_ask(struct anchor_asked *a, struct cof_io *io, struct cof_diag *diag)
{
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_tpm_clock clock = {0};
	struct cof_diag why = {""};
	struct cof_conf conf;
	int r;

	if (!a->tpm)
		return 0;
	r = cof_conf_load(io, &conf, &why);
	if (r == 0)
		r = cof_anchored_last(io, &conf, &a->before);
	if (r == 0 && !a->before.there && !has_tpm_opener(io))
		return cof_fail(diag, -ENODATA,
				"%s has no opener that is a TPM, and its log names no anchor, so that there is nothing "
				"to ask a TPM: verify it without --tpm. If it had one, the log was cut off before it, or "
				"it is another archive's: compare with a checkpoint from elsewhere (--since)",
				cof_io_where(io));
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
	return 0;
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
