/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates, CRLs, requests and chains, PEM and DER: what anybody who may write to a certificate shelf can
 * have the daemon read. The corpus has one of each kind, of openssl and of another library.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "crypto/cms.h"

const unsigned fuzz_runs = 4000;

struct seen {
	unsigned n;
	int64_t not_after;
};

static int check_one(void *user, const struct cof_cert *c)
{
	struct seen *s = user;

	s->n++;
	fuzz_check(c->kind >= COF_CERT_CERTIFICATE && c->kind <= COF_CERT_REQUEST);
	fuzz_check(!(c->flags & ~COF_CERT_FLAGS) && c->serial_len <= sizeof(c->serial));
	fuzz_check(memchr(c->subject, 0, sizeof(c->subject)) && memchr(c->issuer, 0, sizeof(c->issuer)));
	fuzz_check(c->not_after == COF_CERT_NO_TIME || (c->not_after >= 0 && c->not_after < INT64_MAX));
	fuzz_check(c->not_after != COF_CERT_NO_TIME || c->kind != COF_CERT_CERTIFICATE);
	if (c->not_after != COF_CERT_NO_TIME && c->not_after > s->not_after)
		s->not_after = c->not_after;
	return 0;
}

/* What something would be released to. */
static void as_recipient(const uint8_t *data, size_t n)
{
	struct cof_cms_recipient to;
	struct cof_diag diag = {""};
	int r = cof_cms_recipient_read(data, n, INT64_C(1800000000) * COF_NSEC, &to, &diag);

	fuzz_check(r == 0 || (r < 0 && diag.text[0]));
	fuzz_check(r < 0 || (cof_cms_name_ok(to.name) && (to.curve ? to.point.len == 1 + to.curve / 4 : to.modulus.len != 0) && to.issuer.len && to.der.len));
	cof_cms_recipient_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct seen s = {0, COF_CERT_NO_TIME};
	struct cof_cert_sum sum = {0};
	struct cof_diag diag = {""};
	int r = cof_cert_read(data, n, check_one, &s, &sum, &diag);

	fuzz_check(r == 0 || r == -ENODATA || r == -EUCLEAN || r == -EFBIG);
	fuzz_check(r == 0 || diag.text[0]);
	fuzz_check(sum.items == s.n && sum.items <= COF_CERT_ITEMS_MAX);
	fuzz_check((r == 0) == (sum.items > 0) || r == -EFBIG);
	fuzz_check(sum.not_after == s.not_after && sum.longest >= 0);
	as_recipient(data, n);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
	fuzz_seed("\x30\x80\x00\x00", 4);
}
