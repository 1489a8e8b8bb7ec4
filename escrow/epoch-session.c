/* SPDX-License-Identifier: Apache-2.0 */
/* The shares of an epoch come one by one; each is compared with its commitment before it counts. */
#include "escrow/epoch.h"

#include "crypto/crypto.h"

struct cof_epoch_session {
	const struct cof_epoch *epoch;
	struct cof_slip39_session *shares; /* only those that are needed */
	struct cof_epoch_progress now;
	bool shut_out[COF_CUSTODIANS_MAX];
};

int cof_epoch_session_new(const struct cof_epoch *e, struct cof_epoch_session **ret)
{
	struct cof_epoch_session *s = calloc(1, sizeof(*s));
	int r = s ? cof_slip39_session_new(&s->shares) : -ENOMEM;

	if (r < 0) {
		free(s);
		return r;
	}
	s->epoch = e;
	*ret = s;
	return 0;
}

void cof_epoch_session_free(struct cof_epoch_session *s)
{
	if (s)
		cof_slip39_session_free(s->shares);
	free(s);
}

void cof_epoch_session_shut_out(struct cof_epoch_session *s, unsigned holder)
{
	if (holder < COF_CUSTODIANS_MAX)
		s->shut_out[holder] = true;
}

void cof_epoch_session_progress(const struct cof_epoch_session *s, struct cof_epoch_progress *ret)
{
	*ret = s->now;
}

/* ---- taking one ---- */

/* Whose it is: by its numbers, then by its commitment. */
static int identify(const struct cof_epoch *e, const struct cof_slip39_share *share, unsigned *ret, struct cof_diag *diag)
{
	uint8_t commitment[32];
	int holder, r;

	if (share->id != e->set)
		return cof_fail(diag, -EINVAL, "this share is of another set: its words say set %u, those of epoch %u are of set %u", share->id,
				e->number, e->set);
	holder = cof_epoch_holder_of(e, share->group, share->member);
	if (holder < 0)
		return cof_fail(diag, -EINVAL, "this share is of another set: epoch %u has no member %u of group %u", e->number,
				share->member + 1, share->group + 1);
	*ret = (unsigned)holder;
	r = cof_slip39_commitment(share, commitment);
	if (r < 0)
		return cof_fail(diag, r, "no secure memory is left");
	if (!cof_equal(commitment, e->holder[holder].commitment, sizeof(commitment)))
		return cof_fail(diag, -EKEYREJECTED, "this is not the share that %s was given (group %s, member %u): its words fit together, "
						     "but it was made otherwise; it is left out", e->scheme.custodian[holder].name,
				e->scheme.group[share->group].name, share->member + 1);
	return 0;
}

static int take(struct cof_epoch_session *s, const struct cof_slip39_share *share, unsigned holder, enum cof_slip39_added *ret,
		struct cof_diag *diag)
{
	const struct cof_scheme *scheme = &s->epoch->scheme;
	unsigned g = share->group;
	int r;

	if (s->now.given[holder]) {
		*ret = COF_SLIP39_DUPLICATE;
		return 0;
	}
	if (s->now.ready || s->now.have[g] == scheme->group[g].threshold) {
		*ret = COF_SLIP39_SURPLUS;
		return 0;
	}
	r = cof_slip39_session_add(s->shares, share, ret, diag);
	if (r < 0)
		return r;
	s->now.given[holder] = true;
	if (++s->now.have[g] == scheme->group[g].threshold)
		s->now.groups_complete++;
	s->now.ready = s->now.groups_complete >= scheme->threshold;
	return 0;
}

int cof_epoch_session_add(struct cof_epoch_session *s, const char *words, size_t n, enum cof_slip39_added *ret,
			  unsigned *ret_holder, struct cof_diag *diag)
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	unsigned holder = UINT32_MAX;
	int r;

	if (!share)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	r = cof_slip39_read(words, n, share, diag);
	if (r == 0)
		r = identify(s->epoch, share, &holder, diag);
	if (r == 0 && s->shut_out[holder])
		r = cof_fail(diag, -EKEYREVOKED, "%s was revoked before epoch %u came into force: the share is left out",
			     s->epoch->scheme.custodian[holder].name, s->epoch->number);
	if (r == 0)
		r = take(s, share, holder, ret, diag);
	if (ret_holder && (r == 0 || r == -EKEYREJECTED || r == -EKEYREVOKED))
		*ret_holder = holder;
	return r;
}

/* ---- what is missing ---- */

static void missing_of(const struct cof_epoch_session *s, unsigned g, struct cof_buf *ret)
{
	const struct cof_scheme *scheme = &s->epoch->scheme;
	unsigned more = scheme->group[g].threshold - s->now.have[g];
	const char *between = "";

	cof_buf_printf(ret, "%sgroup %s needs %u more: of ", ret->len ? "; " : "", scheme->group[g].name, more);
	for (unsigned i = 0; i < scheme->n_custodians; i++) {
		if (scheme->custodian[i].group != g || s->now.given[i] || s->shut_out[i])
			continue;
		cof_buf_printf(ret, "%s%s", between, scheme->custodian[i].name);
		between = ", ";
	}
}

void cof_epoch_session_missing(const struct cof_epoch_session *s, struct cof_buf *ret)
{
	const struct cof_scheme *scheme = &s->epoch->scheme;

	for (unsigned g = 0; !s->now.ready && g < scheme->n_groups; g++)
		if (s->now.have[g] < scheme->group[g].threshold)
			missing_of(s, g, ret);
}

/* ---- the secret ---- */

int cof_epoch_session_secret(struct cof_epoch_session *s, const char *passphrase, uint8_t ret[COF_AGE_KEY],
			     struct cof_diag *diag)
{
	cof_autosecret uint8_t *secret = cof_secret_alloc(COF_SLIP39_SECRET_MAX);
	uint8_t public_key[COF_AGE_KEY];
	char recipient[COF_AGE_RECIPIENT];
	size_t n = 0;
	int r;

	if (!secret)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	if (!s->now.ready)
		return cof_fail(diag, -EAGAIN, "%u of %u groups are complete", s->now.groups_complete, s->epoch->scheme.threshold);
	r = cof_slip39_session_recover(s->shares, passphrase ? passphrase : "", secret, &n, diag);
	if (r == 0 && n == COF_AGE_KEY)
		r = cof_x25519_public(secret, public_key);
	if (r < 0)
		return r;
	if (n == COF_AGE_KEY)
		cof_age_recipient_text(public_key, recipient);
	if (n != COF_AGE_KEY || strcmp(recipient, s->epoch->recipient) != 0)
		return cof_fail(diag, -EKEYREJECTED, "%s", s->epoch->passphrase ? "the passphrase is another one: every share is right, and the key "
										  "that comes out is not that of the epoch"
										: "the shares are right, and this epoch was made without a passphrase: "
										  "give none");
	memcpy(ret, secret, COF_AGE_KEY);
	cof_slip39_session_free(s->shares);
	s->shares = NULL;
	memset(&s->now, 0, sizeof(s->now));
	return 0;
}
