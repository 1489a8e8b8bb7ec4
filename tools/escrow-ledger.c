/* SPDX-License-Identifier: Apache-2.0 */
/* The records of escrow, one after the other, into what is so now. */
#include "tools/escrow-ledger.h"

#include "crypto/crypto.h"

#include <stdio.h>

const char *ledger_text(const struct cof_json *o, const char *key)
{
	const char *s = cof_json_str(o, key);

	return s ? s : "";
}

int64_t ledger_number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	return cof_json_int(o, key, &v) < 0 ? 0 : v;
}

/* An event of an archive says it with a word before. */
const char *ledger_what(const struct cof_json *o)
{
	const char *event = ledger_text(o, "event");

	return strncmp(event, "escrow-", 7) ? ledger_text(o, "what") : event + 7;
}

/* An event has the shelf's name under that key, where it has a path. */
uint64_t ledger_shelf(const struct cof_json *o)
{
	return (uint64_t)ledger_number(o, cof_json_get(o, "shelf_ino") ? "shelf_ino" : "shelf");
}

static int64_t time_of(const struct cof_json *o)
{
	int64_t ns = 0;

	return cof_time_parse(ledger_text(o, "time"), &ns) < 0 ? 0 : ns;
}

/* ---- keys by their numbers, which are digests ---- */

static size_t place_of(const struct ledger *l, const char *id)
{
	uint8_t head[8] = {0};

	(void)cof_unhex(id, COF_MIN(strlen(id), (size_t)16) & ~(size_t)1, head);
	return (size_t)cof_get_le64(head) & (l->places - 1);
}

static struct ledger_key *key_of(const struct ledger *l, const char *id)
{
	if (!l->places)
		return NULL;
	for (size_t at = place_of(l, id); l->by_id[at]; at = (at + 1) & (l->places - 1))
		if (!strcmp(l->key[l->by_id[at] - 1].id, id))
			return &l->key[l->by_id[at] - 1];
	return NULL;
}

static void place(struct ledger *l, size_t i)
{
	size_t at = place_of(l, l->key[i].id);

	while (l->by_id[at])
		at = (at + 1) & (l->places - 1);
	l->by_id[at] = (uint32_t)i + 1;
}

/* At most half of the places are taken. */
static int room(struct ledger *l)
{
	size_t places = l->places ? 2 * l->places : 64;
	struct ledger_key *q;
	uint32_t *t;

	if (l->n_keys < l->places / 2)
		return 0;
	q = realloc(l->key, places / 2 * sizeof(*q));
	if (!q)
		return -ENOMEM;
	l->key = q;
	t = calloc(places, sizeof(*t));
	if (!t)
		return -ENOMEM;
	free(l->by_id);
	l->by_id = t;
	l->places = places;
	for (size_t i = 0; i < l->n_keys; i++)
		place(l, i);
	return 0;
}

/* ---- epochs ---- */

static struct ledger_epoch *epoch_of(const struct ledger *l, uint64_t shelf, uint32_t number, const char *epoch_key)
{
	for (size_t i = l->n_epochs; i-- > 0;)
		if (l->epoch[i].shelf == shelf && l->epoch[i].number == number && !strcmp(l->epoch[i].epoch_key, epoch_key))
			return &l->epoch[i];
	return NULL;
}

struct ledger_epoch *escrow_ledger_epoch_of(const struct ledger *l, const struct ledger_key *k)
{
	return epoch_of(l, k->shelf, k->epoch, k->epoch_key);
}

static struct ledger_epoch *epoch_named(const struct ledger *l, const struct cof_json *o)
{
	return epoch_of(l, ledger_shelf(o), (uint32_t)ledger_number(o, "epoch"), ledger_text(o, "epoch_key"));
}

/* Of one that is in force the document is what was approved: whoever puts another one here changes nothing. */
static int begin_epoch(struct ledger *l, struct cof_json *o)
{
	struct ledger_epoch *e = epoch_named(l, o), *q;

	if (e && e->valid)
		return 0;
	if (!e) {
		q = realloc(l->epoch, (l->n_epochs + 1) * sizeof(*q));
		if (!q)
			return -ENOMEM;
		l->epoch = q;
		e = &q[l->n_epochs++];
		*e = (struct ledger_epoch){.shelf = ledger_shelf(o), .number = (uint32_t)ledger_number(o, "epoch"), .begun = time_of(o)};
		snprintf(e->epoch_key, sizeof(e->epoch_key), "%s", ledger_text(o, "epoch_key"));
	}
	e->rehearsal = cof_json_bool(o, "rehearsal");
	e->sequence = (uint64_t)ledger_number(o, "sequence"); /* the document of before lacks what this one has */
	e->o = o;
	return 0;
}

/* What was put here of that epoch, under that number; NULL: nothing was. */
static struct cof_json *begun_as(const struct ledger *l, const struct ledger_epoch *e, uint64_t sequence)
{
	for (size_t i = l->n_records; sequence && i-- > 0;)
		if ((uint64_t)ledger_number(l->record[i], "sequence") == sequence)
			return !strcmp(ledger_what(l->record[i]), "epoch") && epoch_named(l, l->record[i]) == e ? l->record[i] : NULL;
	return NULL;
}

/* Nobody approves what is to practise with: it takes no document that is not so, and keeps nothing that was approved away. */
static void in_force(struct ledger *l, struct ledger_epoch *e, const struct cof_json *o)
{
	struct cof_json *accepted = begun_as(l, e, (uint64_t)ledger_number(o, "of"));
	bool rehearsal = cof_json_bool(o, "rehearsal");

	if (!accepted || cof_json_bool(accepted, "rehearsal") != rehearsal || (e->valid && (!e->rehearsal || rehearsal)))
		return;
	e->rehearsal = rehearsal;
	e->sequence = (uint64_t)ledger_number(accepted, "sequence");
	e->o = accepted;
	snprintf(e->document, sizeof(e->document), "%s", ledger_text(accepted, "sha256"));
	e->valid = time_of(o);
	e->valid_at = (uint64_t)ledger_number(o, "sequence");
}

/* ---- keys ---- */

static void encrypted_to(struct ledger *l, struct ledger_key *k, const struct cof_json *o)
{
	struct ledger_epoch *e = k->epoch ? escrow_ledger_epoch_of(l, k) : NULL;

	if (e)
		e->keys--;
	k->file = (uint64_t)ledger_number(o, "sequence");
	k->epoch = (uint32_t)ledger_number(o, "epoch");
	snprintf(k->epoch_key, sizeof(k->epoch_key), "%s", ledger_text(o, "epoch_key"));
	e = escrow_ledger_epoch_of(l, k);
	if (e)
		e->keys++;
}

static int add_key(struct ledger *l, struct cof_json *o)
{
	struct ledger_key *k;
	int r = room(l);

	if (r < 0 || key_of(l, ledger_text(o, "key")))
		return r;
	k = &l->key[l->n_keys];
	*k = (struct ledger_key){.shelf = ledger_shelf(o), .sequence = (uint64_t)ledger_number(o, "sequence"), .o = o,
				 .created = time_of(o)};
	snprintf(k->id, sizeof(k->id), "%s", ledger_text(o, "key"));
	encrypted_to(l, k, o);
	place(l, l->n_keys++);
	return 0;
}

static int add_release(struct ledger *l, struct ledger_key *k, const struct cof_json *o)
{
	struct ledger_release *q = l->release;

	if (!(l->n_releases & (l->n_releases + 1))) {
		q = realloc(l->release, 2 * (l->n_releases + 1) * sizeof(*q));
		if (!q)
			return -ENOMEM;
		l->release = q;
	}
	q[l->n_releases++] =
	    (struct ledger_release){.sequence = (uint64_t)ledger_number(o, "sequence"), .to = ledger_text(o, "to"), .before = k->released};
	k->released = l->n_releases;
	return 0;
}

/* That one and no other: each is for one recovery. */
static void use_release(struct ledger *l, struct ledger_key *k, uint64_t sequence)
{
	for (size_t *at = &k->released; *at; at = &l->release[*at - 1].before)
		if (l->release[*at - 1].sequence == sequence) {
			*at = l->release[*at - 1].before;
			return;
		}
}

static void recovered(struct ledger *l, struct ledger_key *k, const struct cof_json *o)
{
	struct ledger_epoch *e = escrow_ledger_epoch_of(l, k);

	k->recoveries++;
	k->recovered = time_of(o);
	use_release(l, k, (uint64_t)ledger_number(o, "of"));
	if (e && strcmp(ledger_text(o, "detail"), LEDGER_BY_TPM) != 0) { /* the epoch's secret was nowhere */
		e->recovered = k->recovered;
		e->recovered_at = (uint64_t)ledger_number(o, "sequence");
	}
}

static int about_key(struct ledger *l, const char *what, struct cof_json *o)
{
	struct ledger_key *k = key_of(l, ledger_text(o, "key"));

	if (!k)
		return 0;
	if (!strcmp(what, "rotated")) {
		encrypted_to(l, k, o);
		k->rotated = time_of(o);
	} else if (!strcmp(what, "release")) {
		return add_release(l, k, o);
	} else if (!strcmp(what, "attempt")) {
		k->opened++;
	} else if (!strcmp(what, "recovered")) {
		recovered(l, k, o);
	} else if (!strcmp(what, "revoked")) {
		struct ledger_epoch *e = k->revoked ? NULL : escrow_ledger_epoch_of(l, k);

		k->revoked = true;
		if (e)
			e->keys--;
	}
	return 0;
}

/* ---- all of them ---- */

int escrow_ledger_add(struct ledger *l, struct cof_json *record)
{
	struct cof_json **q = l->record;
	const char *what = ledger_what(record);
	struct ledger_epoch *e;

	if (!(l->n_records & (l->n_records + 1))) { /* one less than a power of two, as the room is */
		q = realloc(l->record, 2 * (l->n_records + 1) * sizeof(struct cof_json *));
		if (!q)
			return -ENOMEM;
		l->record = q;
	}
	record = cof_json_ref(record);
	q[l->n_records++] = record;
	if (!strcmp(what, "key"))
		return add_key(l, record);
	if (!strcmp(what, "epoch"))
		return begin_epoch(l, record);
	if (!strcmp(what, "scheme"))
		l->scheme = (uint64_t)ledger_number(record, "sequence");
	e = epoch_named(l, record);
	if (!strcmp(what, "epoch-valid") && e)
		in_force(l, e, record);
	if (!strcmp(what, "revoked") && !cof_json_get(record, "key") && e)
		e->revoked = true;
	return about_key(l, what, record);
}

static int add(void *user, struct cof_json *record)
{
	return escrow_ledger_add(user, record);
}

int escrow_ledger_load(struct escrow_shelf *s, bool info, struct ledger *ret, struct cof_diag *diag)
{
	*ret = (struct ledger){.n_records = 0};
	return escrow_records(s, info, add, ret, diag);
}

int escrow_ledger_load_few(struct escrow_shelf *s, struct ledger *ret, struct cof_diag *diag)
{
	*ret = (struct ledger){.n_records = 0};
	return escrow_records_few(s, add, ret, diag);
}

void escrow_ledger_done(struct ledger *l)
{
	for (size_t i = 0; i < l->n_records; i++)
		cof_json_free(l->record[i]);
	free(l->record);
	free(l->key);
	free(l->release);
	free(l->epoch);
	free(l->by_id);
	*l = (struct ledger){.n_records = 0};
}

/* ---- asking ---- */

int escrow_ledger_find(const struct ledger *l, const char *id, struct ledger_key **ret, struct cof_diag *diag)
{
	size_t n = strlen(id), found = 0;

	for (size_t i = 0; i < l->n_keys; i++)
		if (n && n < ESCROW_ID && !strncmp(l->key[i].id, id, n)) {
			*ret = &l->key[i];
			found++;
		}
	if (!found)
		return cof_fail(diag, -ENOENT, "no key here has the number %.40s: coffer escrow list has them", id);
	return found > 1 ? cof_fail(diag, -ENOTUNIQ, "%zu keys have numbers that begin with %.40s: give more of it", found, id) : 0;
}

const struct ledger_release *escrow_ledger_release_before(const struct ledger *l, const struct ledger_release *r)
{
	return r->before ? &l->release[r->before - 1] : NULL;
}

const struct ledger_release *escrow_ledger_release(const struct ledger *l, const struct ledger_key *k, const char *to)
{
	const struct ledger_release *r = k->released ? &l->release[k->released - 1] : NULL;

	while (r && to && strcmp(r->to, to) != 0)
		r = escrow_ledger_release_before(l, r);
	return r;
}

struct ledger_epoch *escrow_ledger_current_on(const struct ledger *l, uint64_t shelf, bool rehearsal)
{
	struct ledger_epoch *best = NULL;

	for (size_t i = 0; i < l->n_epochs; i++) {
		struct ledger_epoch *e = &l->epoch[i];

		if (e->valid && !e->revoked && e->rehearsal == rehearsal && (!shelf || e->shelf == shelf) && (!best || e->valid_at > best->valid_at))
			best = e;
	}
	return best;
}

struct ledger_epoch *escrow_ledger_current(const struct ledger *l, bool rehearsal)
{
	return escrow_ledger_current_on(l, 0, rehearsal);
}

bool escrow_ledger_is_document(const struct ledger_epoch *e, const void *data, size_t n)
{
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];

	cof_sha256(data, n, digest);
	cof_hex(digest, sizeof(digest), hex);
	return !e->valid || !strcmp(hex, e->document);
}

int escrow_ledger_document_of(struct escrow_shelf *s, const struct ledger_epoch *e, struct cof_epoch *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	uint8_t recipient[COF_AGE_KEY];
	char hex[2 * COF_AGE_KEY + 1] = "";
	int r = escrow_read(s, e->sequence, &text, diag);

	if (r == 0 && !escrow_ledger_is_document(e, text.data ? (char *)text.data : "", text.len))
		r = cof_fail(diag, -EBADMSG, "the document of epoch %u on the shelf is not the one that was put in force", e->number);
	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, ret, diag);
	if (r < 0)
		return r;
	if (cof_age_recipient_parse(ret->recipient, strlen(ret->recipient), recipient) == 0)
		cof_hex(recipient, sizeof(recipient), hex);
	if (!strcmp(hex, e->epoch_key) && ret->number == e->number)
		return 0;
	cof_epoch_done(ret);
	return cof_fail(diag, -EBADMSG, "the document of epoch %u on the shelf is not the one that its record names", e->number);
}

/* Nobody approves what is to practise with, whatever key it says it is of: what was approved comes before it. */
static int rank(const struct ledger_epoch *e)
{
	return !e->valid ? 0 : e->rehearsal ? 1 : e->revoked ? 2 : 3;
}

struct ledger_epoch *escrow_ledger_epoch_with(const struct ledger *l, const char *epoch_key)
{
	struct ledger_epoch *best = NULL;

	for (size_t i = 0; i < l->n_epochs; i++)
		if (!strcmp(l->epoch[i].epoch_key, epoch_key) && (!best || rank(&l->epoch[i]) >= rank(best)))
			best = &l->epoch[i];
	return best;
}

struct ledger_epoch *escrow_ledger_epoch_numbered(const struct ledger *l, uint32_t number)
{
	struct ledger_epoch *best = NULL;

	for (size_t i = 0; i < l->n_epochs; i++)
		if (l->epoch[i].number == number && (!best || rank(&l->epoch[i]) >= rank(best)))
			best = &l->epoch[i];
	return best;
}

int escrow_ledger_document(struct escrow_shelf *s, const struct ledger *l, const char *epoch_key, struct cof_epoch *ret,
			   struct cof_diag *diag)
{
	const struct ledger_epoch *e = escrow_ledger_epoch_with(l, epoch_key);

	return e ? escrow_ledger_document_of(s, e, ret, diag) : cof_fail(diag, -ENOENT, "the epoch's document is not on this shelf");
}

unsigned escrow_ledger_keys(const struct ledger *l, const char *epoch_key)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n_epochs; i++)
		n += strcmp(l->epoch[i].epoch_key, epoch_key) ? 0 : l->epoch[i].keys;
	return n;
}

bool escrow_ledger_destroyed(const struct ledger *l, const struct ledger_epoch *e, const char *custodian)
{
	for (size_t i = 0; i < l->n_records; i++)
		if (!strcmp(ledger_what(l->record[i]), "share-destroyed") && epoch_named(l, l->record[i]) == e &&
		    !strcmp(ledger_text(l->record[i], "name"), custodian))
			return true;
	return false;
}

/* By the records before `end`: another shelf has a scheme of its own, and people of its own in it. */
static bool revoked_by(const struct ledger *l, uint64_t shelf, const char *custodian, uint64_t end)
{
	bool revoked = false;

	for (size_t i = 0; i < l->n_records; i++) {
		const char *what = ledger_what(l->record[i]);

		if (strcmp(ledger_text(l->record[i], "name"), custodian) != 0 || (shelf && ledger_shelf(l->record[i]) != shelf))
			continue;
		if ((uint64_t)ledger_number(l->record[i], "sequence") >= end)
			break;
		if (!strcmp(what, "custodian"))
			revoked = false;
		if (!strcmp(what, "custodian-revoked"))
			revoked = true;
	}
	return revoked;
}

bool escrow_ledger_revoked(const struct ledger *l, uint64_t shelf, const char *custodian)
{
	return revoked_by(l, shelf, custodian, UINT64_MAX);
}

bool escrow_ledger_shut_out(const struct ledger *l, const struct ledger_epoch *e, const char *custodian)
{
	return revoked_by(l, e->shelf, custodian, e->valid_at ? e->valid_at : UINT64_MAX);
}

bool escrow_ledger_shuts_out(void *user, const char *custodian)
{
	const struct ledger_shut_out *w = user;

	return w->epoch && escrow_ledger_shut_out(w->ledger, w->epoch, custodian);
}
