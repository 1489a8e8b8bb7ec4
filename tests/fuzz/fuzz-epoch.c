/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of epochs: what is accepted is written again byte for byte; a session of it takes any words without harm. */
#include "fuzz.h"

#include "crypto/crypto.h"
#include "escrow/epoch.h"

#include <stdio.h>

const unsigned fuzz_runs = 8000;

static const char scheme[] = "[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a b\n"
			     "[custodian a]\nperson = A\nplace = p\nmedium = paper\nrecipient = paper\n"
			     "[custodian b]\nperson = B\nplace = q\nmedium = paper\nrecipient = paper\n";

static void ready(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	done = true;
}

static void session(const struct cof_epoch *e, const uint8_t *data, size_t n)
{
	struct cof_epoch_session *s = NULL;
	enum cof_slip39_added added;
	cof_autobuf struct cof_buf missing = {0};
	struct cof_diag d = {""};

	fuzz_check(cof_epoch_session_new(e, &s) == 0);
	fuzz_check(cof_epoch_session_add(s, (const char *)data, n, &added, NULL, &d) < 0 && d.text[0]);
	cof_epoch_session_missing(s, &missing);
	fuzz_check(missing.len > 0);
	cof_epoch_session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_epoch e;
	cof_autobuf struct cof_buf again = {0};
	struct cof_diag d = {""};
	int r;

	ready();
	r = cof_epoch_parse(data, n, &e, &d);
	fuzz_check(r == 0 || (r == -EUCLEAN && d.text[0]));
	if (r < 0)
		return 0;
	fuzz_check(cof_epoch_write(&e, &again) == 0);
	fuzz_check(again.len == n && memcmp(again.data, data, n) == 0);
	session(&e, data, n);
	cof_epoch_done(&e);
	return 0;
}

/* One with a confirmation. The keys are new each time: a document with fixed ones would have to be kept as a file. */
void fuzz_seeds(void)
{
	struct cof_epoch_order order = {.number = 1};
	struct cof_epoch_shares *shares = NULL;
	struct cof_slip39_share share;
	char challenge[COF_PROOF_CHALLENGE], proof[COF_PROOF_TEXT];
	cof_autobuf struct cof_buf text = {0}, confirmed = {0};
	struct cof_epoch e;
	const char *words;

	ready();
	fuzz_check(cof_epoch_make(scheme, sizeof(scheme) - 1, &order, &e, &shares, NULL) == 0);
	fuzz_check(cof_epoch_write(&e, &text) == 0);
	fuzz_seed(text.data, text.len);
	words = cof_epoch_words(shares, 0);
	fuzz_check(cof_slip39_read(words, strlen(words), &share, NULL) == 0);
	cof_proof_challenge(COF_PROOF_CONFIRM, challenge);
	fuzz_check(cof_proof_make(&share, challenge, proof) == 0);
	fuzz_check(cof_epoch_confirm(&e, 0, challenge, proof, NULL) == 0);
	fuzz_check(cof_epoch_write(&e, &confirmed) == 0);
	fuzz_seed(confirmed.data, confirmed.len);
	cof_epoch_done(&e);
	cof_epoch_shares_free(shares);
}
