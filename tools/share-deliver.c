/* SPDX-License-Identifier: Apache-2.0 */
/* What a quorum came together for: one age file opened, and written in clear or for other recipients. */
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/share-gather.h"

int share_deliver(const struct share_delivery *d, const uint8_t (*identity)[COF_AGE_KEY], bool *ret_canary, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0}, again = {0};
	uint8_t digest[COF_HASH];
	void *plain = NULL;
	size_t n = 0;
	int r = file_load(d->input, COF_AGE_FILE_MAX, &file, diag);

	if (r < 0)
		return r;
	cof_sha256(file.data, file.len, digest);
	if (d->digest && !cof_equal(digest, d->digest, COF_HASH)) /* it may have been exchanged while custodians typed */
		return cof_fail(diag, -EPERM, "%s is not the file that was agreed to", d->input);
	r = cof_age_decrypt(identity, 1, file.data, file.len, &plain, &n);
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", d->input,
				r == -EKEYREJECTED ? "it was not encrypted to this epoch"
				: r == -EBADMSG	   ? "it was altered or cut off"
						   : "it is no age file that can be read");
	if (d->n_to)
		r = cof_age_encrypt(d->to, d->n_to, plain, n, NULL, &again);
	if (r == 0)
		r = secret_file_write(d->output, "result", d->n_to ? again.data : plain, d->n_to ? again.len : n, diag);
	*ret_canary = r == 0 && n >= sizeof(COF_CANARY) - 1 && !memcmp(plain, COF_CANARY, sizeof(COF_CANARY) - 1);
	cof_secret_free(plain);
	return r;
}
