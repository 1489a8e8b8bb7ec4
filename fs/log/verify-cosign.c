/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cosignatures of vaults in the chain: both signatures under the note, the root against what the frames give, and that
 * no vault goes back, in time or in size: one that did has said two things, or the frame is older than it claims. Whose
 * keys count is for whoever verifies to say; without that they are what the archive itself says of its vaults.
 */
#include "fs/log/verify.h"

/* NULL: more vaults than are remembered, which are then not compared. */
static struct cosigner *of(struct verify *v, const uint8_t key[32])
{
	for (unsigned i = 0; i < v->cosigners; i++)
		if (cof_equal(v->cosigner[i].key, key, 32))
			return &v->cosigner[i];
	if (v->cosigners == VERIFY_VAULTS)
		return NULL;
	memcpy(v->cosigner[v->cosigners].key, key, 32);
	v->cosigner[v->cosigners].time = INT64_MIN;
	v->cosigner[v->cosigners].size = 0;
	return &v->cosigner[v->cosigners++];
}

static bool goes_on(struct verify *v, const struct cof_cosign *c, struct place place)
{
	struct cosigner *s = of(v, c->vkey.public_key);

	if (s && (c->time < s->time || c->size < s->size)) {
		cof_verify_say(v, cof_verify_weigh(v, v->sequence - 1), place,
			       "this cosignature of vault %s is older than one that is chained before it: an old one was sent again",
			       c->vkey.name);
		return false;
	}
	if (s) {
		s->time = c->time;
		s->size = c->size;
	}
	return true;
}

void cof_verify_cosign(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place)
{
	struct cof_diag why = {""};
	struct cof_cosign c = {.size = 0};
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);
	int r = f->position > f->sequence ? cof_fail(&why, -EUCLEAN, "it is for more frames than there were")
					  : cof_cosign_read(fields, n, f->position, &v->out.conf.vkey, &c, &why);

	if (r < 0) {
		cof_verify_say(v, cof_verify_weigh(v, v->sequence - 1), place, "this cosignature does not hold: %s", why.text);
		return;
	}
	if (!cof_verify_stamped(v, c.size, c.root, "cosignature", place) || !goes_on(v, &c, place))
		return;
	v->out.cosigns++;
	if (!v->p->cosign || !v->p->cosign(v->p->user, &c))
		return;
	v->out.cosigns_proven++;
	cof_verify_proven(v, c.size, c.time - COF_COSIGN_ACCURACY, c.time + COF_COSIGN_ACCURACY);
}
