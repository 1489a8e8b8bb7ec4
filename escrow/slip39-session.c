/* SPDX-License-Identifier: Apache-2.0 */
/* Shares come one by one; what they say is compared with those that are there; then they are brought together. */
#include "escrow/slip39-private.h"

#include "crypto/crypto.h"

#include <stdio.h>

#define SUBSETS_MAX 20000 /* of a group's shares that are tried to find a wrong one */

struct cof_slip39_session { /* secure memory */
	struct cof_slip39_share share[COF_SLIP39_GROUPS * COF_SLIP39_MEMBERS];
	size_t n;
};

int cof_slip39_session_new(struct cof_slip39_session **ret)
{
	struct cof_slip39_session *s = cof_secret_alloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

void cof_slip39_session_free(struct cof_slip39_session *s)
{
	cof_secret_free(s);
}

/* ---- taking one ---- */

/* What of a share is not as in the first one; NULL: nothing. */
static const char *differs(const struct cof_slip39_share *a, const struct cof_slip39_share *b)
{
	if (a->id != b->id)
		return "its identifier";
	if (a->extendable != b->extendable || a->exponent != b->exponent)
		return "how the secret is encrypted";
	if (a->group_threshold != b->group_threshold || a->groups != b->groups)
		return "its groups";
	return a->length != b->length ? "its length" : NULL;
}

int cof_slip39_session_add(struct cof_slip39_session *s, const struct cof_slip39_share *share,
			   enum cof_slip39_added *ret, struct cof_diag *diag)
{
	const char *what = s->n ? differs(&s->share[0], share) : NULL;
	unsigned have = 0;

	if (what)
		return cof_fail(diag, -EINVAL, "this share is of another set than the first: %s is another one", what);
	for (size_t i = 0; i < s->n; i++) {
		const struct cof_slip39_share *o = &s->share[i];

		if (o->group != share->group)
			continue;
		have++;
		if (o->member_threshold != share->member_threshold)
			return cof_fail(diag, -EINVAL, "group %u: this share says that %u suffice, another one said %u", share->group + 1,
					share->member_threshold, o->member_threshold);
		if (o->member != share->member)
			continue;
		if (!cof_equal(o->value, share->value, share->length))
			return cof_fail(diag, -EINVAL, "group %u, member %u: there is a share of that number already, with other words",
					share->group + 1, share->member + 1);
		*ret = COF_SLIP39_DUPLICATE;
		return 0;
	}
	if (s->n == COF_COUNT(s->share))
		return cof_fail(diag, -ENOSPC, "more shares than any set has");
	s->share[s->n++] = *share;
	*ret = have >= share->member_threshold ? COF_SLIP39_SURPLUS : COF_SLIP39_TAKEN;
	return 0;
}

void cof_slip39_session_progress(const struct cof_slip39_session *s, struct cof_slip39_progress *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!s->n)
		return;
	ret->group_threshold = s->share[0].group_threshold;
	ret->groups = s->share[0].groups;
	for (size_t i = 0; i < s->n; i++) {
		unsigned g = s->share[i].group;

		ret->group[g].threshold = s->share[i].member_threshold;
		if (++ret->group[g].have == ret->group[g].threshold)
			ret->complete++;
	}
	ret->ready = ret->complete >= ret->group_threshold;
}

/* ---- bringing together ---- */

struct gathered { /* the shares of one group */
	const struct cof_slip39_share *of[COF_SLIP39_MEMBERS];
	unsigned n, threshold;
	size_t length;
};

static struct gathered gather(const struct cof_slip39_session *s, unsigned group)
{
	struct gathered g = {.length = s->share[0].length};

	for (size_t i = 0; i < s->n; i++) {
		if (s->share[i].group != group)
			continue;
		g.of[g.n++] = &s->share[i];
		g.threshold = s->share[i].member_threshold;
	}
	return g;
}

/* The shares whose bits are set in `set`. */
static int try_set(const struct gathered *g, uint32_t set, uint8_t *ret)
{
	struct cof_slip39_point p[COF_SLIP39_MEMBERS];
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		if (set >> i & 1)
			p[n++] = (struct cof_slip39_point){g->of[i]->member, g->of[i]->value};
	return cof_slip39_bring_together(g->threshold, p, g->length, ret);
}

/* The next number with as many bits set. */
static uint32_t next_set(uint32_t set)
{
	uint32_t low = set & -set, up = set + low;

	if (!low)
		return UINT32_MAX;
	return up | ((set ^ up) / low >> 2);
}

/* Which of them is not on the polynomial of a set that belongs together. */
static int name_wrong(const struct gathered *g, uint32_t set, struct cof_diag *diag)
{
	struct cof_slip39_point p[COF_SLIP39_MEMBERS];
	uint8_t *y = cof_secret_alloc(g->length);
	char names[128] = "";
	unsigned n = 0;

	if (!y)
		return -ENOMEM;
	for (unsigned i = 0; i < g->n; i++)
		if (set >> i & 1)
			p[n++] = (struct cof_slip39_point){g->of[i]->member, g->of[i]->value};
	for (unsigned i = 0; i < g->n; i++) {
		cof_slip39_interpolate(p, n, g->of[i]->member, g->length, y);
		if (!cof_equal(y, g->of[i]->value, g->length))
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%u", *names ? ", " : "", g->of[i]->member + 1);
	}
	cof_secret_free(y);
	return cof_fail(diag, -EBADMSG, "group %u: the share of member %s is wrong; leave it out, the others belong together",
			g->of[0]->group + 1, names);
}

/* ret: the group's part. Only as many shares as it takes are used; a set that fails has others tried. */
static int bring_group(const struct gathered *g, uint8_t *ret, struct cof_diag *diag)
{
	uint32_t first = (1u << g->threshold) - 1, end = 1u << g->n, set = first;
	int r = try_set(g, set, ret);

	for (unsigned tries = 0; r == -EBADMSG && g->n > g->threshold && tries < SUBSETS_MAX; tries++) {
		set = next_set(set);
		if (set >= end)
			break;
		r = try_set(g, set, ret);
		if (r == 0)
			return name_wrong(g, set, diag);
	}
	if (r == -EBADMSG)
		return cof_fail(diag, r, "group %u: its shares do not belong together: one of them is wrong, and which does not show. "
					 "Bring a further share of that group", g->of[0]->group + 1);
	return r < 0 ? cof_fail(diag, r, "no secure memory is left") : 0;
}

static int combine(struct cof_slip39_session *s, const char *passphrase, uint8_t *parts, uint8_t *ret, size_t *ret_n,
		   struct cof_diag *diag)
{
	const struct cof_slip39_share *first = &s->share[0];
	struct cof_slip39_point p[COF_SLIP39_GROUPS];
	unsigned n = 0;
	size_t len = first->length;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < COF_SLIP39_GROUPS && n < first->group_threshold; i++) {
		struct gathered g = gather(s, i);

		if (!g.n || g.n < g.threshold)
			continue;
		r = bring_group(&g, parts + n * len, diag);
		p[n] = (struct cof_slip39_point){(uint8_t)i, parts + n * len};
		n++;
	}
	if (r < 0)
		return r;
	r = cof_slip39_bring_together(first->group_threshold, p, len, ret);
	if (r == -EBADMSG)
		return cof_fail(diag, r, "the groups do not belong together: one of them is of another splitting");
	if (r == 0)
		r = cof_slip39_decrypt(first, passphrase, ret, len);
	*ret_n = len;
	return r < 0 ? cof_fail(diag, r, r == -EINVAL ? "the passphrase may hold printable ASCII only" : "no secure memory is left") : 0;
}

int cof_slip39_session_recover(struct cof_slip39_session *s, const char *passphrase, uint8_t *ret, size_t *ret_n,
			       struct cof_diag *diag)
{
	cof_autosecret uint8_t *parts = cof_secret_alloc(COF_SLIP39_GROUPS * COF_SLIP39_SECRET_MAX);
	struct cof_slip39_progress p;
	int r;

	if (!parts)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	cof_slip39_session_progress(s, &p);
	if (!p.ready)
		return cof_fail(diag, -EAGAIN, "%u of %u groups are complete", p.complete, p.group_threshold);
	r = combine(s, passphrase, parts, ret, ret_n, diag);
	if (r < 0)
		cof_wipe(ret, COF_SLIP39_SECRET_MAX);
	return r;
}

int cof_slip39_share_seed(const struct cof_slip39_share *share, uint8_t ret[32])
{
	char *text = cof_secret_alloc(COF_SLIP39_TEXT);
	int r = text ? cof_slip39_write(share, text) : -ENOMEM;

	if (r == 0)
		r = cof_hkdf(NULL, 0, text, strlen(text), "coffer/1 share", 14, ret, 32);
	cof_secret_free(text);
	return r;
}

int cof_slip39_commitment(const struct cof_slip39_share *share, uint8_t ret[32])
{
	cof_autosecret uint8_t *seed = cof_secret_alloc(32);
	int r = seed ? cof_slip39_share_seed(share, seed) : -ENOMEM;

	return r == 0 ? cof_ed25519_public(seed, ret) : r;
}
