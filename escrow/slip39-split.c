/* SPDX-License-Identifier: Apache-2.0 */
/* A secret becomes shares: encrypted under the passphrase, split among groups, each part among its members. */
#include "escrow/slip39-private.h"

#include "crypto/crypto.h"

int cof_slip39_scheme_check(const struct cof_slip39_scheme *s, struct cof_diag *diag)
{
	if (!s->n_groups || s->n_groups > COF_SLIP39_GROUPS)
		return cof_fail(diag, -EINVAL, "%u groups: there are 1 to %d", s->n_groups, COF_SLIP39_GROUPS);
	if (!s->threshold || s->threshold > s->n_groups)
		return cof_fail(diag, -EINVAL, "%u of %u groups are to suffice: that cannot be", s->threshold, s->n_groups);
	if (s->exponent > COF_SLIP39_EXPONENT_MAX)
		return cof_fail(diag, -EINVAL, "exponent %u: it is 0 to %d", s->exponent, COF_SLIP39_EXPONENT_MAX);
	for (unsigned i = 0; i < s->n_groups; i++) {
		const struct cof_slip39_group *g = &s->group[i];

		if (!g->members || g->members > COF_SLIP39_MEMBERS || !g->threshold || g->threshold > g->members)
			return cof_fail(diag, -EINVAL, "group %u: %u of %u members are to suffice: that cannot be", i + 1,
					g->threshold, g->members);
		if (g->threshold == 1 && g->members > 1)
			return cof_fail(diag, -EINVAL, "group %u: 1 of %u would give each the whole; make it 1 of 1, and copies "
						       "of that share", i + 1, g->members);
	}
	return 0;
}

size_t cof_slip39_count(const struct cof_slip39_scheme *s)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->n_groups; i++)
		n += s->group[i].members;
	return n;
}

/* One group's part among its members. */
static int share_group(const struct cof_slip39_scheme *s, unsigned group, const struct cof_slip39_share *common,
		       const uint8_t *part, struct cof_slip39_share *ret)
{
	const struct cof_slip39_group *g = &s->group[group];
	size_t n = common->length;
	cof_autosecret uint8_t *values = cof_secret_alloc(g->members * n);
	int r = values ? cof_slip39_share_out(g->threshold, g->members, part, n, values) : -ENOMEM;

	if (r < 0)
		return r;
	for (unsigned i = 0; i < g->members; i++) {
		ret[i] = *common;
		ret[i].group = (uint8_t)group;
		ret[i].member = (uint8_t)i;
		ret[i].member_threshold = g->threshold;
		memcpy(ret[i].value, values + i * n, n);
	}
	return 0;
}

int cof_slip39_split(const struct cof_slip39_scheme *s, const uint8_t *secret, size_t n, const char *passphrase,
		     struct cof_slip39_share *ret, struct cof_diag *diag)
{
	struct cof_slip39_share common = {.extendable = true, .exponent = s->exponent, .groups = s->n_groups,
					  .group_threshold = s->threshold, .length = (uint8_t)n};
	cof_autosecret uint8_t *work = NULL;
	uint8_t *parts;
	size_t at = 0;
	int r = cof_slip39_scheme_check(s, diag);

	if (r < 0)
		return r;
	if (n < COF_SLIP39_SECRET_MIN || n > COF_SLIP39_SECRET_MAX || n % 2)
		return cof_fail(diag, -EINVAL, "a secret of %zu bytes: it has %d to %d, an even number", n,
				COF_SLIP39_SECRET_MIN, COF_SLIP39_SECRET_MAX);
	work = cof_secret_alloc(n + s->n_groups * n);
	if (!work)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	parts = work + n;
	cof_random(&common.id, sizeof(common.id));
	common.id &= 0x7fff;
	memcpy(work, secret, n);
	r = cof_slip39_encrypt(&common, passphrase, work, n);
	if (r == -EINVAL)
		return cof_fail(diag, r, "the passphrase may hold printable ASCII only, at most 256 characters");
	if (r == 0)
		r = cof_slip39_share_out(s->threshold, s->n_groups, work, n, parts);
	for (unsigned i = 0; r == 0 && i < s->n_groups; i++) {
		r = share_group(s, i, &common, parts + i * n, ret + at);
		at += s->group[i].members;
	}
	if (r < 0)
		cof_wipe(ret, cof_slip39_count(s) * sizeof(*ret));
	return r < 0 ? cof_fail(diag, r, "the secret could not be split: %s", strerror(-r)) : 0;
}
