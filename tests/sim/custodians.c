/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/custodians.h"

#include <stdio.h>

enum { PEOPLE = 19, REQUEST = 20, APPROVAL = 21, SHELF = 29, T_POLICY = 27 };
enum { OFFICER = 1, AUDITOR = 2, CUSTODIAN = 4, OPERATOR = 8 };
static const unsigned role_of[SIGN_PERSONS] = {OFFICER, OFFICER, AUDITOR, CUSTODIAN, CUSTODIAN, OFFICER, OPERATOR};
static const char *const role_name[SIGN_PERSONS] = {"officer", "officer", "auditor", "custodian", "custodian", "officer", "operator"};

/* ---- chance; put in the place of the system's by the linker ---- */

static uint64_t seeded, drawn;

void __wrap_cof_random(void *p, size_t n);
int __wrap_cof_pbkdf2(const void *pass, size_t pass_len, const void *salt, size_t salt_len, uint32_t steps, void *out, size_t n);
int __real_cof_pbkdf2(const void *pass, size_t pass_len, const void *salt, size_t salt_len, uint32_t steps, void *out, size_t n);

void __wrap_cof_random(void *p, size_t n)
{
	uint8_t *out = p, block[COF_HASH], state[16];

	for (size_t done = 0; done < n; done += COF_MIN(n - done, sizeof(block))) {
		cof_put_le64(state, seeded);
		cof_put_le64(state + 8, drawn++);
		cof_sha256(state, sizeof(state), block);
		memcpy(out + done, block, COF_MIN(n - done, sizeof(block)));
	}
}

/* The steps make a guess dear; what is tried here costs two hundred times as many. The official vectors take them all. */
int __wrap_cof_pbkdf2(const void *pass, size_t pass_len, const void *salt, size_t salt_len, uint32_t steps, void *out, size_t n)
{
	return __real_cof_pbkdf2(pass, pass_len, salt, salt_len, 1 + steps / 1000, out, n);
}

uint64_t cw_dice(struct cw *w, uint64_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 8) % n;
}

/* ---- the chain ---- */

static int take(struct cw *w, unsigned type, uint64_t object, const struct cof_buf *fields, struct cof_judgement *ret)
{
	struct cof_judge_frame f = {.type = type, .sequence = w->sequence, .object = object, .record_time = w->now,
				    .retention_time = w->now - CW_DAY, .proven_from = INT64_MIN, .fields = fields->data, .n = fields->len};
	struct cof_judgement asked;
	int r = cof_judge_ask(w->judge, &f, &asked), took = cof_judge_take(w->judge, &f, ret);

	ck_assert_int_eq(r, took);
	ck_assert(took == 0 || took == -EPERM);
	w->sequence++;
	w->now += (1 + (int64_t)cw_dice(w, 600)) * COF_NSEC;
	return took;
}

static void compare(const char *what, int r, bool permitted, const struct cof_judgement *said)
{
	ck_assert_msg((r == 0) == permitted, "%s: the judge %s it, the model does not: %s %s", what, r == 0 ? "permits" : "refuses",
		      said->rule ? said->rule : "", said->reason);
}

static int head(void *user COF_UNUSED, uint64_t size COF_UNUSED, uint8_t ret[32])
{
	memset(ret, 7, 32);
	return 0;
}

static void put_hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n)
{
	char text[65];

	cof_hex(p, n, text);
	cof_json_set_str(o, key, text);
}

static struct cof_json *document(struct cw *w, const char *action, const char *author, int64_t life)
{
	struct cof_json *o = cof_json_object(), *h = cof_json_object();
	uint8_t some[32];

	memset(some, 1, sizeof(some));
	put_hex(o, "archive", some, 16);
	put_hex(o, "sheet", some, 32);
	memset(some, 7, sizeof(some));
	put_hex(h, "root", some, 32);
	cof_json_set_uint(h, "size", 1);
	cof_json_set(o, "head", h);
	cof_random(some, 16);
	put_hex(o, "nonce", some, 16);
	cof_json_set_str(o, "action", action);
	cof_json_set_str(o, "author", author);
	cof_json_set_time(o, "created", w->now);
	cof_json_set_time(o, "expires", w->now + life);
	cof_json_set_int(o, "version", 1);
	return o;
}

static void sign(struct cof_buf *fields, unsigned who, const char *purpose, const struct cof_buf *doc, bool good)
{
	cof_autobuf struct cof_buf armored = {0}, value = {0};

	sign_document(who, purpose, doc->data, doc->len, good, &armored);
	cof_buf_add(&value, sign_name[who], strlen(sign_name[who]) + 1);
	cof_buf_add(&value, armored.data, armored.len);
	cof_field_put(fields, COF_T_SIGNATURE, value.data, value.len);
}

static void first_people(struct cw *w)
{
	cof_autobuf struct cof_buf text = {0}, doc = {0}, fields = {0};
	cof_autojson struct cof_json *o = document(w, "people-first", "alice", CW_DAY);
	struct cof_judgement said;
	char key[128];

	for (unsigned i = 0; i < SIGN_PERSONS; i++) {
		sign_public(i, key);
		cof_buf_printf(&text, "%s %s roles=%s\n", sign_name[i], key, role_name[i]);
	}
	cof_json_set_str(o, "people", (char *)text.data);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_field_put_str(&fields, COF_T_PEOPLE, (char *)text.data);
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	for (unsigned i = 0; i < SIGN_PERSONS; i++)
		if (role_of[i] == OFFICER)
			sign(&fields, i, COF_SIGN_PEOPLE, &doc, true);
	compare("first people", take(w, PEOPLE, 0, &fields, &said), true, &said);
}

static void shelf(struct cw *w)
{
	static const struct {
		const char *text;
		unsigned persons, roles;
	} rules[] = {{"retention = 10d\n", 2, 0},
		     {"approve_escrow = 3\n", 3, 0},
		     {"approve_escrow = 2 custodian\n", 2, CUSTODIAN},
		     {"approve_escrow = 3 auditor officer\n", 3, AUDITOR | OFFICER}};
	size_t i = cw_dice(w, COF_COUNT(rules));
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement said;

	cof_field_put_str(&fields, T_POLICY, rules[i].text);
	compare("the shelf", take(w, SHELF, CW_SHELF, &fields, &said), true, &said);
	w->persons = rules[i].persons;
	w->roles = rules[i].roles;
}

void cw_start(struct cw *w, uint64_t seed)
{
	struct cof_judge_params p = {.verify = sign_verify, .head = head};

	memset(w, 0, sizeof(*w));
	seeded = seed;
	drawn = 0;
	w->random = seed * 0x9e3779b97f4a7c15u | 1;
	w->sequence = 1;
	w->now = INT64_C(1900000000) * COF_NSEC;
	memset(p.archive_id, 1, sizeof(p.archive_id));
	ck_assert_int_eq(cof_judge_new(&p, &w->judge), 0);
	shelf(w);
	first_people(w);
}

void cw_end(struct cw *w)
{
	for (unsigned i = 0; i < w->epochs; i++) {
		cof_epoch_done(&w->epoch[i].doc);
		cof_epoch_shares_free(w->epoch[i].shares);
	}
	for (unsigned i = 0; i < w->keys; i++)
		cof_buf_done(&w->key[i].file);
	for (unsigned i = 0; i < w->requests; i++)
		cof_buf_done(&w->request[i].doc);
	escrow_ledger_done(&w->ledger);
	cof_judge_free(w->judge);
}

const char *cw_to(unsigned i)
{
	static const char *const to[] = {"age1first", "age1second", "age1thief"};

	return to[i];
}

void cw_name(unsigned who, char out[8])
{
	(void)snprintf(out, 8, "c%02u", who % 100);
}

/* ---- records ---- */

static const char *const name_of[] = {[CW_EPOCH] = "epoch", [CW_EPOCH_VALID] = "epoch-valid", [CW_CUSTODIAN] = "custodian",
				      [CW_CUSTODIAN_REVOKED] = "custodian-revoked", [CW_KEY] = "key", [CW_RELEASE] = "release",
				      [CW_ATTEMPT] = "attempt", [CW_RECOVERED] = "recovered", [CW_FAILED] = "failed",
				      [CW_PROPOSED] = "proposed"};

static void public_part(const struct cw_record *r, struct cof_buf *b)
{
	uint8_t facts[8] = {0}, recipient[COF_AGE_KEY], digest[COF_HASH];

	cof_field_put_u8(b, 190, r->what);
	cof_field_put_u64(b, 191, r->shelf ? r->shelf : CW_SHELF);
	if (r->epoch) {
		cof_field_put_u32(b, 192, r->epoch->doc.number);
		ck_assert_int_eq(cof_age_recipient_parse(r->epoch->doc.recipient, strlen(r->epoch->doc.recipient), recipient), 0);
		cof_field_put(b, 193, recipient, sizeof(recipient));
	}
	if (r->key)
		cof_field_put(b, 194, r->key->id, 16);
	if (r->what == CW_KEY) {
		cof_sha256(r->key->file.data, r->key->file.len, digest);
		cof_field_put(b, 195, digest, sizeof(digest));
	}
	cof_field_put(b, 197, facts, sizeof(facts));
	if (r->of)
		cof_field_put_u64(b, 199, r->of);
	if (r->to)
		cof_field_put_str(b, 204, r->to);
	if (r->proposes)
		cof_field_put_u8(b, 205, r->proposes);
	if (r->request)
		cof_field_put(b, COF_T_REQUEST, r->request->id, 32);
}

static void set_key(const struct cw_epoch *e, struct cof_json *o)
{
	uint8_t recipient[COF_AGE_KEY];

	ck_assert_int_eq(cof_age_recipient_parse(e->doc.recipient, strlen(e->doc.recipient), recipient), 0);
	put_hex(o, "epoch_key", recipient, sizeof(recipient));
	cof_json_set_uint(o, "epoch", e->doc.number);
}

/* As the verbs see it (fs/archive/escrow-verbs.c). */
static void to_ledger(struct cw *w, const struct cw_record *r, uint64_t sequence, int64_t time)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", name_of[r->what]);
	cof_json_set_uint(o, "sequence", sequence);
	cof_json_set_time(o, "time", time);
	cof_json_set_uint(o, "shelf", r->shelf ? r->shelf : CW_SHELF);
	if (r->epoch)
		set_key(r->epoch, o);
	if (r->key)
		put_hex(o, "key", r->key->id, 16);
	if (r->of)
		cof_json_set_uint(o, "of", r->of);
	if (r->to)
		cof_json_set_str(o, "to", r->to);
	if (r->name)
		cof_json_set_str(o, "name", r->name);
	ck_assert_int_eq(escrow_ledger_add(&w->ledger, o), 0);
}

uint64_t cw_put(struct cw *w, const struct cw_record *r, bool permitted)
{
	cof_autobuf struct cof_buf fields = {0};
	uint64_t sequence = w->sequence;
	int64_t time = w->now;
	struct cof_judgement said;
	int got;

	public_part(r, &fields);
	got = take(w, CW_ESCROW, r->what == CW_KEY ? 9 : 0, &fields, &said); /* a key comes with its file */
	compare(name_of[r->what], got, permitted, &said);
	if (got == 0)
		to_ledger(w, r, sequence, time);
	return sequence;
}

/* ---- epochs and keys ---- */

static void scheme_text(struct cw *w, struct cw_epoch *e, struct cof_buf *ret)
{
	bool taken[CW_NAMES] = {false};
	char name[8];

	e->groups = 1 + (unsigned)cw_dice(w, 4);
	e->threshold = 1 + (unsigned)cw_dice(w, e->groups);
	cof_buf_printf(ret, "[scheme]\nname = drawn\ngroups = %u\n", e->threshold);
	for (unsigned g = 0; g < e->groups; g++) {
		e->members[g] = 1 + (unsigned)cw_dice(w, 4);
		e->need[g] = e->members[g] == 1 ? 1 : 2 + (unsigned)cw_dice(w, e->members[g] - 1);
		if (e->threshold == 1 && e->need[g] == 1) /* one person would do */
			e->need[g] = e->members[g] = 2;
		cof_buf_printf(ret, "[group g%u]\nthreshold = %u\nmembers =", g, e->need[g]);
		for (unsigned i = 0; i < e->members[g]; i++, e->holders++) {
			unsigned who = (unsigned)cw_dice(w, CW_NAMES);

			while (taken[who])
				who = (who + 1) % CW_NAMES;
			taken[who] = true;
			e->who[e->holders] = who;
			e->group[e->holders] = g;
			cw_name(who, name);
			cof_buf_printf(ret, " %s", name);
		}
		cof_buf_printf(ret, "\n");
	}
	for (unsigned i = 0; i < e->holders; i++) {
		cw_name(e->who[i], name);
		cof_buf_printf(ret, "[custodian %s]\nperson = %s\nplace = p\nmedium = m\nrecipient = paper\n", name, name);
	}
}

struct cw_epoch *cw_make_epoch(struct cw *w)
{
	struct cw_epoch *e = &w->epoch[w->epochs];
	struct cof_epoch_order order = {.number = w->epochs + 1, .created = w->now};
	cof_autobuf struct cof_buf text = {0};
	struct cof_diag diag = {""};

	if (w->epochs == CW_EPOCHS)
		return NULL;
	scheme_text(w, e, &text);
	e->passphrase = cw_dice(w, 4) ? NULL : "three words more";
	order.passphrase = e->passphrase;
	ck_assert_msg(cof_epoch_make((char *)text.data, text.len, &order, &e->doc, &e->shares, &diag) == 0, "%s\n%s", diag.text, text.data);
	ck_assert_uint_eq(e->doc.scheme.n_custodians, e->holders);
	w->epochs++;
	e->record = cw_put(w, &(struct cw_record){.what = CW_EPOCH, .epoch = e}, true);
	return e;
}

struct cw_key *cw_make_key(struct cw *w, unsigned epoch)
{
	struct cw_key *k = &w->key[w->keys];
	uint8_t recipient[1][COF_AGE_KEY], digest[32];
	const char *to = w->epoch[epoch].doc.recipient;

	if (w->keys == CW_KEYS)
		return NULL;
	cof_random(k->plain, sizeof(k->plain));
	ck_assert_int_eq(cof_age_recipient_parse(to, strlen(to), recipient[0]), 0);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, k->plain, sizeof(k->plain), NULL, &k->file), 0);
	cof_sha256(k->file.data, k->file.len, digest);
	memcpy(k->id, digest, 16);
	k->epoch = epoch;
	w->keys++;
	(void)cw_put(w, &(struct cw_record){.what = CW_KEY, .epoch = &w->epoch[epoch], .key = k}, true);
	return k;
}

/* ---- requests ---- */

struct cw_request *cw_ask(struct cw *w, const struct cw_request *like, int64_t life)
{
	struct cw_request *q = &w->request[w->requests];
	cof_autojson struct cof_json *o = document(w, like->accept ? "escrow-accept" : "escrow-release", sign_name[like->author], life);
	struct cof_json *shelves = cof_json_array();
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement said;

	cof_json_append(shelves, cof_json_new_uint(CW_SHELF));
	cof_json_set(o, "shelves", shelves);
	if (w->requests == CW_REQUESTS)
		return NULL;
	*q = *like;
	q->doc = (struct cof_buf){0};
	q->expires = w->now + life - (w->now + life) % COF_NSEC;
	q->signers = 1u << q->author;
	if (q->accept) {
		cof_json_set_uint(o, "record", q->record);
		cof_json_set_str(o, "what", name_of[q->what]);
	} else {
		put_hex(o, "key", w->key[q->key].id, 16);
		cof_json_set_str(o, "recipient", cw_to(q->to));
	}
	ck_assert_int_eq(cof_json_canonical(o, &q->doc), 0);
	cof_sha256(q->doc.data, q->doc.len, q->id);
	cof_field_put(&fields, COF_T_DOCUMENT, q->doc.data, q->doc.len);
	sign(&fields, q->author, COF_SIGN_REQUEST, &q->doc, true);
	w->requests++;
	compare("a request", take(w, REQUEST, 0, &fields, &said), true, &said);
	return q;
}

void cw_vote(struct cw *w, struct cw_request *q, unsigned who, bool approves, bool good)
{
	bool counts = good && q->state == CW_OPEN && w->now < q->expires && !(approves && q->signers & 1u << who);
	unsigned roles = 0;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement said;
	int r;

	cof_field_put(&fields, COF_T_REQUEST, q->id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, approves ? COF_VERDICT_APPROVE : COF_VERDICT_REFUSE);
	sign(&fields, who, approves ? COF_SIGN_APPROVE : COF_SIGN_REFUSE, &q->doc, good);
	r = take(w, APPROVAL, 0, &fields, &said);
	compare("a vote", r, counts, &said);
	if (r < 0)
		return;
	if (!approves) {
		q->state = CW_REFUSED;
		return;
	}
	q->signers |= 1u << who;
	for (unsigned i = 0; i < SIGN_PERSONS; i++)
		roles |= q->signers & 1u << i ? role_of[i] : 0;
	if ((unsigned)__builtin_popcount(q->signers) >= w->persons && !(w->roles & ~roles))
		q->state = CW_MET;
	ck_assert_int_eq(said.met, q->state == CW_MET);
}

void cw_outcome(struct cw *w, struct cw_request *q)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement said;

	cof_field_put(&fields, COF_T_REQUEST, q->id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, COF_VERDICT_DONE);
	compare("an outcome", take(w, APPROVAL, 0, &fields, &said), q->state == CW_MET, &said);
	if (q->state == CW_MET)
		q->state = CW_DONE;
}

void cw_approve(struct cw *w, struct cw_request *q)
{
	for (unsigned i = 0; i < SIGN_PERSONS && q->state == CW_OPEN && w->now < q->expires; i++)
		if (!(q->signers & 1u << i))
			cw_vote(w, q, i, true, true);
}

bool cw_revoke(struct cw *w, unsigned who, bool revoke)
{
	uint8_t what = revoke ? CW_CUSTODIAN_REVOKED : CW_CUSTODIAN;
	struct cw_request *q;
	uint64_t record;
	char name[8];

	cw_name(who, name);
	if (w->requests == CW_REQUESTS)
		return false;
	record = cw_put(w, &(struct cw_record){.what = CW_PROPOSED, .proposes = what, .name = name}, true);
	q = cw_ask(w, &(struct cw_request){.accept = true, .what = what, .record = record, .author = 0}, CW_DAY);
	cw_approve(w, q);
	(void)cw_put(w, &(struct cw_record){.what = what, .of = record, .name = name, .request = q}, q->state == CW_MET);
	q->used = true;
	cw_outcome(w, q);
	w->revoked[who] = revoke;
	return true;
}

void cw_put_in_force(struct cw *w, struct cw_epoch *e)
{
	struct cw_request *q =
	    cw_ask(w, &(struct cw_request){.accept = true, .what = CW_EPOCH_VALID, .record = e->record, .author = 1}, CW_DAY);

	if (!q)
		return;
	cw_approve(w, q);
	e->valid = cw_put(w, &(struct cw_record){.what = CW_EPOCH_VALID, .of = e->record, .epoch = e, .request = q}, true);
	q->used = true;
	for (unsigned i = 0; i < e->holders; i++)
		e->out[i] = w->revoked[e->who[i]];
	if (cw_dice(w, 3))
		cw_outcome(w, q);
}
