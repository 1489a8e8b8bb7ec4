/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a record of escrow may be written, by those that are there: what it names has to be there, and in force. */
#include "fs/archive/escrow.h"

void cof_escrow_facts(const void *p, size_t n, struct cof_escrow_facts *ret)
{
	uint8_t facts[8] = {0};

	*ret = (struct cof_escrow_facts){.what = 0};
	(void)cof_field_u8(p, n, COF_T_ESCROW, &ret->what);
	(void)cof_field_u64(p, n, COF_T_ESCROW_SHELF, &ret->shelf);
	(void)cof_field_u8(p, n, COF_T_ESCROW_OUTCOME, &ret->outcome);
	(void)cof_field_bytes(p, n, COF_T_ESCROW_FACTS, facts, sizeof(facts));
	ret->rehearsal = facts[4] & 2;
	ret->wrapped = facts[4] & 4;
	ret->persons = facts[5];
	ret->has_of = cof_field_u64(p, n, COF_T_ESCROW_OF, &ret->of) == 0;
	ret->has_epoch = cof_field_u32(p, n, COF_T_ESCROW_EPOCH, &ret->epoch) == 0 &&
			 cof_field_bytes(p, n, COF_T_ESCROW_EPOCH_KEY, ret->epoch_key, 32) == 0;
	ret->has_key = cof_field_bytes(p, n, COF_T_ESCROW_KEY, ret->key, 16) == 0;
}

struct fitting {
	const struct cof_escrow_facts *want;
	const struct cof_buf *fields; /* of it: the public part */
	bool epoch_valid, epoch_revoked, begun;		   /* of records about no key */
	bool key_there, key_rehearsal, key_revoked, released, recovered, same_to; /* about this key */
	uint8_t public_key[32], twin[16];		   /* of another key that is the same */
	bool twins;
	uint8_t document[32]; /* that the file of a record is to be */
	bool other_in_force;  /* of that epoch another one is */
};

/* ---- epochs ---- */

static void digest_of(const struct cof_buf *public_part, uint8_t ret[32])
{
	memset(ret, 0, 32);
	(void)cof_field_bytes(public_part->data, public_part->len, COF_T_ESCROW_SHA256, ret, 32);
}

static bool is_other(const struct fitting *w, const struct cof_escrow_record *r)
{
	uint8_t have[32];

	digest_of(&r->public_part, have);
	return memcmp(have, w->document, sizeof(have)) != 0;
}

static int look_at_epochs(void *user, const struct cof_escrow_record *r)
{
	struct fitting *w = user;
	struct cof_escrow_facts f;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.shelf != w->want->shelf || f.has_key || !f.has_epoch || !w->want->has_epoch || f.epoch != w->want->epoch ||
	    memcmp(f.epoch_key, w->want->epoch_key, sizeof(f.epoch_key)) != 0)
		return 0;
	w->epoch_valid |= f.what == COF_ESC_EPOCH_VALID && f.rehearsal == w->want->rehearsal;
	w->other_in_force |= f.what == COF_ESC_EPOCH_VALID && !f.rehearsal && is_other(w, r);
	w->epoch_revoked |= f.what == COF_ESC_REVOKED;
	w->begun |= f.what == COF_ESC_EPOCH && r->sequence == w->want->of && f.rehearsal;
	return 0;
}

/* ---- one key ---- */

/* Who has it now is who it was released to. */
static bool same_to(const struct cof_buf *a, const struct cof_buf *b)
{
	struct cof_field x, y;

	return cof_field_find(a->data, a->len, COF_T_ESCROW_TO, &x) == 0 && cof_field_find(b->data, b->len, COF_T_ESCROW_TO, &y) == 0 &&
	       x.len == y.len && !memcmp(x.value, y.value, x.len);
}

static int look_at_key(void *user, const struct cof_escrow_record *r)
{
	struct fitting *w = user;
	struct cof_escrow_facts f;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.shelf != w->want->shelf || !f.has_key || memcmp(f.key, w->want->key, sizeof(f.key)) != 0)
		return 0;
	if (f.what == COF_ESC_KEY && !w->key_there) /* a second one does not count */
		w->key_rehearsal = f.rehearsal;
	w->key_there |= f.what == COF_ESC_KEY;
	w->key_revoked |= f.what == COF_ESC_REVOKED;
	if (f.what == COF_ESC_RELEASE && r->sequence == w->want->of) {
		w->released = true;
		w->same_to = w->fields && same_to(&r->public_part, w->fields);
	}
	w->recovered |= f.what == COF_ESC_RECOVERED && f.of == w->want->of;
	return 0;
}

static int of_key(struct cof_archive *a, struct fitting *w)
{
	return cof_escrow_each(a, cof_escrow_list(COF_ESCROW_OF_KEY, w->want->key, sizeof(w->want->key)), 0, look_at_key, w);
}

/* ---- the same key a second time ---- */

struct twins {
	struct cof_archive *archive;
	struct fitting *fitting;
};

static int look_at_twin(void *user, const struct cof_escrow_record *r)
{
	const struct twins *t = user;
	struct cof_escrow_facts f;
	struct fitting of = {.want = &f};
	uint8_t have[32];
	int e;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.shelf != t->fitting->want->shelf || !f.has_key ||
	    cof_field_bytes(r->public_part.data, r->public_part.len, COF_T_ESCROW_PUBLIC_KEY, have, sizeof(have)) < 0 ||
	    memcmp(have, t->fitting->public_key, sizeof(have)) != 0)
		return 0;
	e = of_key(t->archive, &of);
	if (e < 0 || of.key_revoked)
		return e;
	t->fitting->twins = true;
	memcpy(t->fitting->twin, f.key, sizeof(f.key));
	return 1;
}

static int is_kept(const uint8_t key[16], struct cof_diag *diag)
{
	char hex[33];

	cof_hex(key, 16, hex);
	return cof_fail(diag, -EEXIST, "this key is kept already, as %s", hex);
}

/* The same file is the same key, whatever its record says of it; the same public key in another file is, too. */
static int fits_key(struct cof_archive *a, struct fitting *w, const struct cof_buf *fields, struct cof_diag *diag)
{
	struct twins t = {.archive = a, .fitting = w};
	int r;

	if (w->key_there)
		return is_kept(w->want->key, diag);
	if (cof_field_bytes(fields->data, fields->len, COF_T_ESCROW_PUBLIC_KEY, w->public_key, sizeof(w->public_key)) < 0)
		return 0;
	r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_OF_PUBLIC_KEY, w->public_key, sizeof(w->public_key)), 0, look_at_twin, &t);
	return r < 0 || !w->twins ? r : is_kept(w->twin, diag);
}

/* ---- all of it ---- */

static int fits_recovery(struct cof_archive *a, const struct fitting *w, struct cof_diag *diag)
{
	int64_t until = w->released ? COF_RETAIN_NONE : cof_release_until(a, w->want->shelf, w->want->key);
	char text[32];

	if (until != COF_RETAIN_NONE) {
		cof_time_text(until, text);
		return cof_fail(diag, -EPERM, "the release of this key was approved, and waits until %s (retention time) for a veto: coffer requests",
				text);
	}
	if (!w->released)
		return cof_fail(diag, -EPERM, "nobody has released this key: coffer request escrow-release, and its approvals, come first");
	if (w->recovered && w->want->what != COF_ESC_FAILED)
		return cof_fail(diag, -EPERM, "this release was used already: it is for one recovery");
	if (w->want->what == COF_ESC_RECOVERED && !w->same_to)
		return cof_fail(diag, -EPERM, "the release is for somebody else than who is said to have the key (\"to\")");
	return w->key_revoked ? cof_fail(diag, -EPERM, "the key was revoked") : 0;
}

/* By what was read of epochs and of the key. */
static int judge(struct cof_archive *a, const struct fitting *w, bool with_file, struct cof_diag *diag)
{
	uint8_t what = w->want->what;

	if (what == COF_ESC_EPOCH && w->other_in_force)
		return cof_fail(diag, -EPERM, "epoch %u is in force with another document, which two had approved: it keeps that", w->want->epoch);
	if (what == COF_ESC_EPOCH_VALID && !w->begun)
		return cof_fail(diag, -EPERM, "no such epoch, to practise with, was begun on this shelf");
	if ((what == COF_ESC_KEY || what == COF_ESC_ROTATED || (what == COF_ESC_DRILL && with_file)) && (!w->epoch_valid || w->epoch_revoked))
		return cof_fail(diag, -EPERM, "that epoch is %s on this shelf: a key goes to one that was approved and is in force",
				w->epoch_revoked ? "revoked" : "not valid");
	if (what == COF_ESC_DRILL && !w->epoch_valid)
		return cof_fail(diag, -EPERM, "that epoch is not in force on this shelf: nothing of it can be practised");
	if (what == COF_ESC_ROTATED && (!w->key_there || w->key_revoked))
		return cof_fail(diag, -EPERM, "the key is not kept on this shelf, or was revoked");
	if (what == COF_ESC_ROTATED && w->want->rehearsal != w->key_rehearsal)
		return cof_fail(diag, -EPERM, "the key is %s of a rehearsal, and goes to no epoch that is %s", w->key_rehearsal ? "one" : "none",
				w->key_rehearsal ? "none" : "of one");
	return what == COF_ESC_ATTEMPT || what == COF_ESC_RECOVERED || what == COF_ESC_FAILED ? fits_recovery(a, w, diag) : 0;
}

static int fits_thing(const struct cof_buf *private_part, struct cof_diag *diag)
{
	struct cof_field f;

	if (cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_NAME, &f) < 0 ||
	    cof_field_find(private_part->data, private_part->len, COF_T_ESCROW_DETAIL, &f) < 0)
		return cof_fail(diag, -EINVAL, "a record of a medium or a token has its name, and what is said of it");
	return 0;
}

/* R22, R23. It is the host's word: who verifies without keys does not look at it. */
static int fits_policy(struct cof_archive *a, const struct cof_escrow_facts *want, struct cof_diag *diag)
{
	struct cof_profile policy;
	int r = cof_archive_policy(a, &policy);

	if (r < 0 || (want->what != COF_ESC_KEY && want->what != COF_ESC_EPOCH))
		return r;
	if (want->what == COF_ESC_KEY && !want->wrapped && !policy.plaintext_keys)
		return cof_fail(diag, -EPERM, "the archive's policy takes no key in plaintext (plaintext_keys): give it as its module wraps it");
	if (want->persons && want->persons < policy.key_persons)
		return cof_fail(diag, -EPERM, "%u person%s would suffice to open %s, and the archive's policy asks for %u (key_persons)",
				want->persons, want->persons == 1 ? "" : "s", want->what == COF_ESC_KEY ? "it" : "its keys", policy.key_persons);
	return 0;
}

int cof_escrow_fit(struct cof_archive *a, struct cof_buf *public_part, const struct cof_buf *private_part, bool with_file,
		   struct cof_diag *diag)
{
	struct cof_escrow_facts want;
	struct fitting w = {.want = &want, .fields = public_part};
	int r = 0;

	cof_escrow_facts(public_part->data, public_part->len, &want);
	digest_of(public_part, w.document);
	if (cof_escrow_needs_request(want.what) && !(want.what == COF_ESC_EPOCH_VALID && want.rehearsal))
		return cof_fail(diag, -EPERM, "that needs an approved request: coffer request escrow-accept or escrow-release");
	if (want.has_epoch)
		r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_NO_KEY, NULL, 0), 0, look_at_epochs, &w);
	if (r == 0 && want.has_key)
		r = of_key(a, &w);
	if (r == 0)
		r = judge(a, &w, with_file, diag);
	if (r == 0)
		r = fits_policy(a, &want, diag);
	if (r == 0 && want.what == COF_ESC_KEY)
		r = fits_key(a, &w, public_part, diag);
	if (r == 0)
		r = cof_escrow_fit_file(a, &want, public_part, with_file, diag);
	if (r == 0 && (want.what == COF_ESC_MEDIUM || want.what == COF_ESC_TOKEN))
		r = fits_thing(private_part, diag);
	if (r == 0)
		r = cof_escrow_fit_tpm(a, &want, public_part, private_part, diag);
	if (r == 0 && want.what == COF_ESC_DRILL)
		r = cof_escrow_fit_drill(a, &want, public_part, private_part, with_file, diag);
	return r < 0 && !*diag->text ? cof_fail(diag, r, "the records of escrow cannot be read: %s", strerror(-r)) : r;
}
