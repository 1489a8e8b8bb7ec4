/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time stamps (RFC 3161): answers and tokens from the network, and what a token says, which is read before
 * its signature is looked at. The corpus has an authority's answer, its token, a refusal and the content.
 */
#include "fuzz.h"

#include <time.h>

#include "crypto/stamp-private.h"

const unsigned fuzz_runs = 4000;

static void read_parts(const uint8_t *data, size_t n)
{
	struct cof_signing_certificate named;
	struct cof_stamp s = {0};
	struct cof_diag diag = {""};
	size_t whole = 0;
	int r = cof_tst_info(data, n, &s, &diag);

	fuzz_check(r == 0 || r == -EUCLEAN || r == -EOPNOTSUPP);
	fuzz_check(r == 0 || diag.text[0]);
	if (r == 0) {
		fuzz_check(s.serial_len <= sizeof(s.serial) && s.nonce_len <= sizeof(s.nonce));
		fuzz_check(s.accuracy >= 0 && s.accuracy <= 86402 * COF_NSEC && !s.trusted);
	}
	for (int v2 = 0; v2 < 2; v2++) {
		r = cof_signing_certificate(data, n, v2, &named);
		fuzz_check(r == 0 || r == -EUCLEAN || r == -EOPNOTSUPP || r == -ENOENT);
	}
	fuzz_check(!cof_der_sequence(data, n, &whole) || (whole >= 2 && whole <= n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *token = NULL;
	struct cof_stamp s = {.time = 4711};
	struct cof_diag diag = {""};
	size_t len = 0;
	int r = cof_stamp_token(data, n, &token, &len, &diag);

	fuzz_check(r == 0 || r == -EUCLEAN || r == -EPERM || r == -EFBIG);
	fuzz_check(r < 0 || (token >= data && len <= n && token + len <= data + n));
	if (r == 0) {
		r = cof_stamp_open(token, len, NULL, 0, &s, &diag);
		fuzz_check(r == 0 || r == -EUCLEAN || r == -EBADMSG || r == -EKEYREJECTED ||
			   r == -EOPNOTSUPP || r == -EFBIG);
		fuzz_check(!s.trusted);
	}
	fuzz_check(r == 0 || (diag.text[0] && s.time == 4711));
	read_parts(data, n);
	return 0;
}

void fuzz_seeds(void)
{
	static const uint8_t imprint[COF_HASH] = {1}, nonce[COF_STAMP_NONCE] = {2};
	struct cof_buf query = {0};

	fuzz_check(cof_stamp_query(imprint, nonce, &query) == 0);
	fuzz_seed(query.data, query.len);
	cof_buf_done(&query);
}
