/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Custodians who are late, wrong, malicious, there twice, or revoked in the middle of a recovery, over schemes by lot, and
 * people who approve too little, too late, the wrong thing, or the right one twice. After each step the session of shares,
 * the judge of the chain and the verbs' ledger are compared with a model: one share less never gives the secret, a wrong one
 * is named, surplus ones change nothing, of who was revoked no share of a newer epoch counts, and what recovers a key
 * was approved, for it and its recipient, and is done once.
 */
#include <stdio.h>

#include "tests/sim/custodians.h"
#include "tests/sim/seeds.h"
#include "tools/coffer.h"

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 60
#else
#define SEEDS 200
#endif
#define SEEDS_LONG 5000
#define TRIES 400 /* shares that come to one session */

/* What the verbs' library leaves to its program. */
void complain(const char *fmt, ...)
{
	ck_abort_msg("%s", fmt);
}

int misuse(const char *fmt, ...)
{
	ck_abort_msg("%s", fmt);
	return 2;
}

/* ---- the model of a session ---- */

struct table {
	struct cw *w;
	struct cw_epoch *e;
	struct cof_epoch_session *session;
	unsigned have[8];
	bool given[COF_CUSTODIANS_MAX];
	char *words; /* of what comes next */
};

static bool is_ready(const struct table *t)
{
	unsigned complete = 0;

	for (unsigned g = 0; g < t->e->groups; g++)
		complete += t->have[g] == t->e->need[g];
	return complete >= t->e->threshold;
}

/* Whether they that are not shut out could. */
static bool can_be(const struct cw_epoch *e)
{
	unsigned count[8] = {0}, complete = 0;

	for (unsigned i = 0; i < e->holders; i++)
		count[e->group[i]] += !e->out[i];
	for (unsigned g = 0; g < e->groups; g++)
		complete += count[g] >= e->need[g];
	return complete >= e->threshold;
}

static void check_missing(const struct table *t)
{
	cof_autobuf struct cof_buf b = {0};

	cof_epoch_session_missing(t->session, &b);
	cof_buf_add(&b, "", 1);
	ck_assert_int_eq(b.len == 1, is_ready(t));
	for (unsigned i = 0; i < t->e->holders; i++) {
		bool told, wanted = !is_ready(t) && t->have[t->e->group[i]] < t->e->need[t->e->group[i]] && !t->given[i] && !t->e->out[i];
		char name[8];

		cw_name(t->e->who[i], name);
		told = strstr((char *)b.data, name) != NULL;
		ck_assert_msg(told == wanted, "%s is %s: %s", name, told ? "asked for" : "not asked for", (char *)b.data);
	}
}

/* After each share: what the session shows, and that it does not give the secret yet. */
static void check_table(struct table *t)
{
	cof_autosecret uint8_t *secret = cof_secret_alloc(COF_AGE_KEY);
	struct cof_epoch_progress p;

	cof_epoch_session_progress(t->session, &p);
	ck_assert_int_eq(p.ready, is_ready(t));
	for (unsigned g = 0; g < t->e->groups; g++)
		ck_assert_uint_eq(p.have[g], t->have[g]);
	for (unsigned i = 0; i < t->e->holders; i++)
		ck_assert_int_eq(p.given[i], t->given[i]);
	check_missing(t);
	if (!is_ready(t))
		ck_assert_int_eq(cof_epoch_session_secret(t->session, t->e->passphrase, secret, NULL), -EAGAIN);
}

/* ---- shares that come ---- */

static void read_share(const struct cw_epoch *e, unsigned holder, struct cof_slip39_share *ret)
{
	const char *words = cof_epoch_words(e->shares, holder);

	ck_assert_int_eq(cof_slip39_read(words, strlen(words), ret, NULL), 0);
}

static void write_share(struct table *t, const struct cof_slip39_share *share)
{
	ck_assert_int_eq(cof_slip39_write(share, t->words), 0);
}

/* holder: who has to be named; UINT32_MAX: nobody. */
static void comes(struct table *t, int expected, enum cof_slip39_added how, unsigned holder)
{
	enum cof_slip39_added added = COF_SLIP39_TAKEN;
	unsigned who = UINT32_MAX;
	struct cof_diag diag = {""};
	char name[8];
	int r = cof_epoch_session_add(t->session, t->words, strlen(t->words), &added, &who, &diag);

	ck_assert_msg(r == expected, "%d, not %d: %s", r, expected, diag.text);
	ck_assert_uint_eq(who, holder);
	if (r == 0)
		ck_assert_int_eq(added, how);
	if (r == -EKEYREJECTED || r == -EKEYREVOKED) {
		cw_name(t->e->who[holder], name);
		ck_assert_msg(strstr(diag.text, name) != NULL, "%s is not named: %s", name, diag.text);
	}
	check_table(t);
}

static void genuine(struct table *t, unsigned i)
{
	unsigned g = t->e->group[i];
	enum cof_slip39_added how = COF_SLIP39_TAKEN;

	strcpy(t->words, cof_epoch_words(t->e->shares, i));
	if (t->e->out[i]) {
		comes(t, -EKEYREVOKED, how, i);
		return;
	}
	if (t->given[i])
		how = COF_SLIP39_DUPLICATE;
	else if (is_ready(t) || t->have[g] == t->e->need[g])
		how = COF_SLIP39_SURPLUS;
	if (how == COF_SLIP39_TAKEN) {
		t->given[i] = true;
		t->have[g]++;
	}
	comes(t, 0, how, i);
}

/* Another word in the place of one, or two of them exchanged. */
static void wrong_word(struct table *t, unsigned i)
{
	char *word[COF_SLIP39_WORDS], copy[COF_SLIP39_TEXT];
	unsigned n = 0, at, other;
	size_t len = 0;

	strcpy(copy, cof_epoch_words(t->e->shares, i));
	for (char *save = NULL, *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		word[n++] = s;
	at = (unsigned)cw_dice(t->w, n);
	other = (unsigned)cw_dice(t->w, COF_SLIP39_LIST);
	if (!strcmp(word[at], cof_slip39_word(other)))
		other = (other + 1) % COF_SLIP39_LIST;
	word[at] = (char *)(uintptr_t)cof_slip39_word(other);
	for (unsigned k = 0; k < n; k++)
		len += (size_t)sprintf(t->words + len, "%s ", word[k]);
	comes(t, -EUCLEAN, 0, UINT32_MAX);
	strcpy(t->words, cof_epoch_words(t->e->shares, i)); /* the last word is missing */
	*strrchr(t->words, ' ') = '\0';
	comes(t, -EUCLEAN, 0, UINT32_MAX);
}

/* It fits in its numbers and its checksum, and is another one. */
static void forged(struct table *t, unsigned i)
{
	cof_autosecret struct cof_slip39_share *s = cof_secret_alloc(sizeof(*s));

	read_share(t->e, i, s);
	s->value[cw_dice(t->w, s->length)] ^= (uint8_t)(1 + cw_dice(t->w, 255));
	write_share(t, s);
	comes(t, -EKEYREJECTED, 0, i);
}

/* The holder's own share under another one's numbers: the other one is whose it is not. */
static void borrowed_number(struct table *t, unsigned i)
{
	cof_autosecret struct cof_slip39_share *s = cof_secret_alloc(sizeof(*s));
	unsigned other = (unsigned)cw_dice(t->w, t->e->holders), first = other;

	if (other == i)
		return;
	while (first && t->e->group[first - 1] == t->e->group[other])
		first--;
	read_share(t->e, i, s);
	s->group = (uint8_t)t->e->group[other];
	s->member = (uint8_t)(other - first);
	write_share(t, s);
	comes(t, -EKEYREJECTED, 0, other);
}

/* Of another epoch: as it is, and with this one's number written into it. */
static void of_another(struct table *t, const struct cw_epoch *from)
{
	cof_autosecret struct cof_slip39_share *s = cof_secret_alloc(sizeof(*s));
	unsigned i = (unsigned)cw_dice(t->w, from->holders);

	read_share(from, i, s);
	for (unsigned turn = 0; turn < 2; turn++) {
		bool fits = s->id == t->e->doc.set && s->group < t->e->groups && s->member < t->e->members[s->group];
		unsigned holder = s->member;

		for (unsigned k = 0; fits && k < s->group; k++)
			holder += t->e->members[k];
		write_share(t, s);
		comes(t, fits ? -EKEYREJECTED : -EINVAL, 0, fits ? holder : UINT32_MAX);
		s->id = t->e->doc.set;
	}
}

/* ---- one share less ---- */

/* Somebody without the document, who does not compare commitments: all shares but one, and a made one. */
static void one_less(struct table *t)
{
	cof_autosecret struct cof_slip39_share *s = cof_secret_alloc(sizeof(*s));
	cof_autosecret uint8_t *secret = cof_secret_alloc(COF_SLIP39_SECRET_MAX);
	struct cof_slip39_session *raw = NULL;
	unsigned have[8] = {0}, complete = 0, last = 0;
	enum cof_slip39_added added;
	uint8_t public_key[COF_AGE_KEY];
	char recipient[COF_AGE_RECIPIENT];
	size_t n = 0;

	ck_assert_int_eq(cof_slip39_session_new(&raw), 0);
	for (unsigned i = 0; i < t->e->holders; i++) { /* the last one that would make it ready */
		unsigned g = t->e->group[i];

		if (have[g] == t->e->need[g] || complete == t->e->threshold)
			continue;
		complete += ++have[g] == t->e->need[g];
		last = i;
	}
	memset(have, 0, sizeof(have));
	for (unsigned i = 0; i <= last; i++) {
		unsigned g = t->e->group[i];

		if (have[g] == t->e->need[g])
			continue;
		have[g]++;
		read_share(t->e, i, s);
		if (i == last)
			ck_assert_int_eq(cof_slip39_session_recover(raw, "", secret, &n, NULL), -EAGAIN);
		if (i == last)
			cof_random(s->value, s->length);
		ck_assert_int_eq(cof_slip39_session_add(raw, s, &added, NULL), 0);
	}
	if (cof_slip39_session_recover(raw, t->e->passphrase ? t->e->passphrase : "", secret, &n, NULL) == 0) {
		ck_assert_int_eq(cof_x25519_public(secret, public_key), 0);
		cof_age_recipient_text(public_key, recipient);
		ck_assert_str_ne(recipient, t->e->doc.recipient);
	}
	cof_slip39_session_free(raw);
}

/* ---- the end of a session ---- */

static void open_key(struct table *t, const struct cw_key *k)
{
	cof_autosecret uint8_t *secret = cof_secret_alloc(COF_AGE_KEY);
	void *plain = NULL;
	size_t n = 0;
	int r;

	if (t->e->passphrase)
		ck_assert_int_eq(cof_epoch_session_secret(t->session, "another one", secret, NULL), -EKEYREJECTED);
	ck_assert_int_eq(cof_epoch_session_secret(t->session, t->e->passphrase, secret, NULL), 0);
	r = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])(void *)secret, 1, k->file.data, k->file.len, &plain, &n);
	if (&t->w->epoch[k->epoch] == t->e) {
		ck_assert_int_eq(r, 0);
		ck_assert_uint_eq(n, sizeof(k->plain));
		ck_assert_mem_eq(plain, k->plain, n);
	} else {
		ck_assert_int_lt(r, 0);
	}
	cof_secret_free(plain);
	/* Nothing is left of the shares. */
	ck_assert_int_eq(cof_epoch_session_secret(t->session, t->e->passphrase, secret, NULL), -EAGAIN);
}

/* In the middle: somebody of this epoch is revoked, or another epoch comes into force. Shares of this one stay what they are. */
static void meanwhile(struct table *t)
{
	struct cw *w = t->w;
	struct cw_epoch *e;

	if (cw_dice(w, 2)) {
		(void)cw_revoke(w, t->e->who[cw_dice(w, t->e->holders)], true);
	} else if ((e = cw_make_epoch(w)) != NULL) {
		cw_put_in_force(w, e);
	}
}

/* The ledger's answer, which the verbs give to the session, beside the model's. */
static bool is_out(struct cw *w, const struct cw_epoch *e, unsigned holder)
{
	const struct ledger_epoch *l = NULL;
	struct ledger_shut_out ask = {.ledger = &w->ledger};
	char name[8];
	bool out;

	for (size_t i = 0; i < w->ledger.n_epochs; i++)
		if (w->ledger.epoch[i].number == e->doc.number)
			l = &w->ledger.epoch[i];
	ck_assert_ptr_nonnull(l);
	ck_assert_uint_eq(l->valid_at, e->valid);
	ask.epoch = l;
	cw_name(e->who[holder], name);
	out = escrow_ledger_shuts_out(&ask, name);
	ck_assert_msg(out == e->out[holder], "%s of epoch %u: shut out %d", name, e->doc.number, out);
	return out;
}

static void shut_out(struct table *t)
{
	for (unsigned i = 0; i < t->e->holders; i++)
		if (is_out(t->w, t->e, i))
			cof_epoch_session_shut_out(t->session, i);
}

static void next_share(struct table *t)
{
	unsigned i = (unsigned)cw_dice(t->w, t->e->holders);

	switch (cw_dice(t->w, 9)) {
	case 0:
		wrong_word(t, i);
		break;
	case 1:
		forged(t, i);
		break;
	case 2:
		borrowed_number(t, i);
		break;
	case 3:
		if (t->w->epochs > 1) {
			const struct cw_epoch *from = &t->w->epoch[cw_dice(t->w, t->w->epochs)];

			if (from != t->e)
				of_another(t, from);
		}
		break;
	case 4:
		if (!cw_dice(t->w, 6))
			meanwhile(t);
		break;
	default:
		genuine(t, i);
	}
}

/* True: it gave the secret. */
static bool sit_down(struct cw *w, struct cw_epoch *e, const struct cw_key *k)
{
	cof_autosecret char *words = cof_secret_alloc(COF_SLIP39_TEXT + 16);
	struct table t = {.w = w, .e = e, .words = words};
	bool ready;

	ck_assert_int_eq(cof_epoch_session_new(&e->doc, &t.session), 0);
	shut_out(&t);
	one_less(&t);
	for (unsigned i = 0; i < TRIES && !is_ready(&t); i++)
		next_share(&t);
	ready = is_ready(&t);
	ck_assert_msg(ready == can_be(e), "epoch %u: %s", e->doc.number, ready ? "opened by too few" : "all came, and it is not open");
	for (unsigned i = 0; ready && i < 3; i++) /* late */
		next_share(&t);
	if (ready)
		open_key(&t, k);
	cof_epoch_session_free(t.session);
	return ready;
}

/* ---- the chain ---- */

static void vote_somehow(struct cw *w, struct cw_request *q)
{
	unsigned n = (unsigned)cw_dice(w, 5);

	for (unsigned i = 0; i < n; i++)
		cw_vote(w, q, (unsigned)cw_dice(w, SIGN_PERSONS), cw_dice(w, 10) != 0, cw_dice(w, 6) != 0);
	if (!cw_dice(w, 12))
		w->now += 2 * CW_DAY; /* too late for the rest */
	if (cw_dice(w, 4))
		cw_approve(w, q);
}

/* What a host that lies would write: another key, recipient, shelf, kind, of a request that is not approved, or twice. */
static void release_somehow(struct cw *w, struct cw_request *q)
{
	const struct cw_key *other = &w->key[cw_dice(w, w->keys)], *k = &w->key[q->key];
	bool good = q->state == CW_MET && !q->used;
	uint64_t sequence;

	(void)cw_put(w, &(struct cw_record){.what = CW_RELEASE, .key = other, .to = cw_to(q->to), .request = q}, good && other == k);
	if (good && other == k) {
		q->used = true;
		w->release[w->releases++] = (struct cw_release){.sequence = w->sequence - 1, .key = q->key, .to = q->to};
	}
	(void)cw_put(w, &(struct cw_record){.what = CW_RELEASE, .key = k, .to = cw_to(2), .request = q}, false);
	(void)cw_put(w, &(struct cw_record){.what = CW_RELEASE, .key = k, .to = cw_to(q->to), .request = q, .shelf = 3}, false);
	(void)cw_put(w, &(struct cw_record){.what = CW_RELEASE, .key = k, .to = cw_to(q->to)}, false);
	(void)cw_put(w, &(struct cw_record){.what = CW_EPOCH_VALID, .key = k, .of = 1, .request = q}, false);
	good = q->state == CW_MET && !q->used;
	sequence = cw_put(w, &(struct cw_record){.what = CW_RELEASE, .key = k, .to = cw_to(q->to), .request = q}, good);
	if (good) {
		q->used = true;
		w->release[w->releases++] = (struct cw_release){.sequence = sequence, .key = q->key, .to = q->to};
	}
	if (cw_dice(w, 2)) {
		cw_outcome(w, q);
		(void)cw_put(w, &(struct cw_record){.what = CW_RELEASE, .key = k, .to = cw_to(q->to), .request = q}, false);
	}
}

static void recover_somehow(struct cw *w)
{
	struct cw_release *v = &w->release[cw_dice(w, w->releases)];
	struct cw_key *k = &w->key[v->key];
	const struct cw_key *other = &w->key[cw_dice(w, w->keys)];
	bool good = !v->recovered;
	struct cw_record r = {.what = CW_ATTEMPT, .of = v->sequence, .key = k, .epoch = &w->epoch[k->epoch]};

	if (other != k) {
		r.key = other;
		(void)cw_put(w, &r, false);
		r.key = k;
	}
	r.of = v->sequence + 1000000;
	(void)cw_put(w, &r, false);
	r.of = v->sequence;
	r.shelf = 3;
	(void)cw_put(w, &r, false);
	r.shelf = 0;
	(void)cw_put(w, &r, good);
	if (!good || !sit_down(w, &w->epoch[k->epoch], k)) {
		r.what = CW_FAILED;
		(void)cw_put(w, &r, true);
		return;
	}
	r.what = CW_RECOVERED;
	r.to = cw_to((v->to + 1) % 3);
	(void)cw_put(w, &r, false);
	r.to = cw_to(v->to);
	(void)cw_put(w, &r, true);
	v->recovered = true;
	(void)cw_put(w, &r, false);
}

static unsigned epoch_in_force(struct cw *w)
{
	unsigned at = (unsigned)cw_dice(w, w->epochs);

	while (!w->epoch[at].valid)
		at = (at + 1) % w->epochs;
	return at;
}

static void revoke_or_enroll(struct cw *w)
{
	unsigned who = (unsigned)cw_dice(w, CW_NAMES), first = who;
	bool revoke = cw_dice(w, 2);

	while (w->revoked[who] == revoke && (who = (who + 1) % CW_NAMES) != first)
		;
	(void)cw_revoke(w, who, revoke);
}

static void step(struct cw *w)
{
	struct cw_request *q = NULL;
	struct cw_epoch *e;

	switch (cw_dice(w, 6)) {
	case 0:
		e = cw_make_epoch(w);
		if (e)
			cw_put_in_force(w, e);
		break;
	case 1:
		(void)cw_make_key(w, epoch_in_force(w));
		break;
	case 2: /* revoked, or enrolled anew */
		revoke_or_enroll(w);
		break;
	case 3:
		q = cw_ask(w, &(struct cw_request){.key = (unsigned)cw_dice(w, w->keys), .to = (unsigned)cw_dice(w, 2),
						   .author = (unsigned)cw_dice(w, SIGN_PERSONS)}, CW_DAY);
		if (q)
			vote_somehow(w, q);
		if (q)
			release_somehow(w, q);
		break;
	default:
		if (w->releases)
			recover_somehow(w);
	}
	for (unsigned i = 0; i < w->epochs; i++)
		for (unsigned k = 0; w->epoch[i].valid && k < w->epoch[i].holders; k++)
			(void)is_out(w, &w->epoch[i], k);
}

static void play(uint64_t seed)
{
	struct cw w;

	cw_start(&w, seed);
	cw_put_in_force(&w, cw_make_epoch(&w));
	(void)cw_make_key(&w, 0);
	for (unsigned i = 0; i < 16; i++)
		step(&w);
	cw_end(&w);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	return seeds_main(&(struct seeds){.name = "custodians", .play = play, .few = SEEDS, .many = SEEDS_LONG}, argv);
}
