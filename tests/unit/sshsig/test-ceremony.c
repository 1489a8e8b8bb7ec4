/* SPDX-License-Identifier: Apache-2.0 */
/* Transcripts of ceremonies: what may stand where, that each changed byte shows, and the judge. Signatures are ssh-keygen's. */
#include "fs/rules/ceremony.h"
#include "tests/unit/sshsig/judged.h"

#include <stdio.h>

enum { CEREMONY = 32 };

struct held { /* zero: as it should be */
	enum cof_ceremony_kind kind;
	bool rehearsal, none, abandoned;
	uint8_t archive;
	const char *purpose;	      /* of each signature */
	const char *key[2]; /* who signs with whose key */
	const char *who;	      /* nobody else answers the roll call; ' ' between */
	const char *agree;
	bool roll_only; /* what is signed behind the roll call is none: it is refused before */
};

static void add(struct cof_ceremony *c, enum cof_ceremony_what what, struct cof_json *own, struct cof_buf *text)
{
	cof_autobuf struct cof_buf line = {0};
	struct cof_diag why = {""};
	int r = cof_ceremony_add(c, what, own, NOW, &line, &why);

	ck_assert_msg(r == 0, "%s: %s", cof_ceremony_what_name(what), why.text);
	cof_buf_add(text, line.data, line.len);
}

static void signed_by(struct cof_ceremony *c, enum cof_ceremony_what what, const char *name, const struct held *h, struct cof_buf *text)
{
	cof_autobuf struct cof_buf statement = {0}, armored = {0};
	struct cof_json *o = cof_json_object();
	const char *key = h->key[0] && !strcmp(name, h->key[0]) ? h->key[1] : name;

	ck_assert_int_eq(cof_ceremony_statement(c, what, name, &statement), 0);
	store("doc", statement.data, statement.len);
	if (!h->roll_only || what == COF_CER_PRESENT)
		run("ssh-keygen -q -Y sign -n %s -f %s/%s < %s/doc > %s/sig 2> /dev/null", h->purpose ? h->purpose : cof_ceremony_purpose(c), dir, key, dir,
	    dir);
	slurp("sig", &armored);
	cof_json_set_str(o, "by", name);
	cof_json_set_bytes(o, "signature", armored.data, armored.len);
	add(c, what, o, text);
}

static void by_all(struct cof_ceremony *c, enum cof_ceremony_what what, const char *names, const struct held *h, struct cof_buf *text)
{
	char room[128], *at, *name;

	snprintf(room, sizeof(room), "%s", names);
	for (name = strtok_r(room, " ", &at); name; name = strtok_r(NULL, " ", &at))
		signed_by(c, what, name, h, text);
}

static struct cof_json *number(const char *key, uint64_t v)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_uint(o, key, v);
	return o;
}

static struct cof_json *word(const char *key, const char *v)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, key, v);
	return o;
}

static struct cof_json *hexed(const char *key, uint8_t v)
{
	struct cof_json *o = cof_json_object();
	uint8_t bytes[32];

	memset(bytes, v, sizeof(bytes));
	hex(o, key, bytes, 32);
	return o;
}

static struct cof_json *opened(const struct held *h, enum cof_ceremony_kind kind, const char *who)
{
	struct cof_json *o = hexed("people", 3), *roll = cof_json_array();
	uint8_t bytes[32];
	char room[128], *at, *name;

	memset(bytes, h->archive ? h->archive : 1, sizeof(bytes));
	hex(o, "archive", bytes, 16);
	if (h->none)
		cof_json_set_str(o, "archive", "none");
	cof_json_set_str(o, "format", "coffer-ceremony/1");
	cof_json_set_str(o, "kind", cof_ceremony_kind_name(kind));
	cof_random(bytes, 16);
	hex(o, "nonce", bytes, 16);
	cof_json_set_bool(o, "rehearsal", h->rehearsal);
	hex(o, "sheet", bytes, 32);
	snprintf(room, sizeof(room), "%s", who);
	for (name = strtok_r(room, " ", &at); name; name = strtok_r(NULL, " ", &at))
		cof_json_append(roll, cof_json_new_str(name));
	cof_json_set(o, "roll", roll);
	cof_json_set_uint(o, "epoch", 2);
	cof_json_set_uint(o, "holders", 2);
	hex(o, kind == COF_CEREMONY_DESTRUCTION ? "document" : "scheme", bytes, 32);
	if (kind == COF_CEREMONY_DESTRUCTION) {
		struct cof_json *which = cof_json_array();

		cof_json_append(which, cof_json_new_uint(1));
		cof_json_set(o, "which", which);
		hex(o, "epoch_key", bytes, 32);
	}
	return o;
}

static void step(struct cof_ceremony *c, const char *name, const struct held *h, struct cof_buf *text)
{
	add(c, COF_CER_TOLD, word("step", name), text);
	by_all(c, COF_CER_AGREED, h->agree ? h->agree : "alice bob", h, text);
}

/* Its transcript, whole. */
static void hold(const struct held *h, struct cof_ceremony *c, struct cof_buf *text)
{
	const char *who = h->who ? h->who : "alice bob carol";
	enum cof_ceremony_kind kind = h->kind ? h->kind : COF_CEREMONY_CREATION;
	struct cof_json *o;

	memset(c, 0, sizeof(*c));
	add(c, COF_CER_OPENED, opened(h, kind, who), text);
	by_all(c, COF_CER_PRESENT, who, h, text);
	step(c, "plan", h, text);
	if (h->abandoned) {
		add(c, COF_CER_CLOSING, word("outcome", "abandoned"), text);
	} else if (kind == COF_CEREMONY_CREATION) {
		step(c, "make", h, text);
		add(c, COF_CER_BEGUN, number("attempt", 1), text);
		add(c, COF_CER_FAILED, word("reason", "stopped"), text);
		add(c, COF_CER_BEGUN, number("attempt", 2), text);
		o = hexed("document", 4);
		cof_json_set_str(o, "epoch_key", "0505050505050505050505050505050505050505050505050505050505050505");
		add(c, COF_CER_MADE, o, text);
		step(c, "confirm", h, text);
		add(c, COF_CER_CONFIRMED, number("holder", 1), text);
		add(c, COF_CER_CONFIRMED, number("holder", 0), text);
		add(c, COF_CER_VALID, hexed("document", 6), text);
	} else {
		uint8_t seed[32] = {9}, key[32], signature[64];
		char proof[89];
		char challenge[COF_CEREMONY_CHALLENGE] = "destroy-aaaa-bbbb-cccc-dddd-eeee-ffff", message[128];

		step(c, "destroy", h, text);
		if (!h->key[0] || strcmp(h->key[0], "drawn") != 0) /* of a version before */
			ck_assert_int_eq(cof_ceremony_challenge(c, h->key[0] && !strcmp(h->key[0], "holder") ? 0 : 1, challenge), 0);
		snprintf(message, sizeof(message), "coffer/1 share proof\n%s\n", challenge);
		ck_assert_int_eq(cof_ed25519_public(seed, key), 0);
		ck_assert_int_eq(cof_ed25519_sign(seed, message, strlen(message), signature), 0);
		signature[0] ^= h->key[0] && !strcmp(h->key[0], "proof");
		cof_base64(signature, sizeof(signature), proof);
		o = number("holder", 1);
		cof_json_set_str(o, "challenge", challenge);
		cof_json_set_str(o, "proof", proof);
		hex(o, "commitment", key, 32);
		add(c, COF_CER_DESTROYED, o, text);
	}
	if (!h->abandoned)
		add(c, COF_CER_CLOSING, word("outcome", "done"), text);
	by_all(c, COF_CER_SIGNED, who, h, text);
	ck_assert(c->complete);
}

static int put(const struct cof_ceremony *c, const struct cof_buf *text, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};

	ck_assert_int_eq(cof_ceremony_fields(c, text->data, text->len, &fields), 0);
	return take(CEREMONY, 0, NOW, &fields, w);
}

START_TEST(judged_by_the_archive)
{
	static const struct {
		struct held h;
		const char *rule; /* NULL: it counts */
	} rows[] = {
	    {{.archive = 2, .roll_only = true}, "wrong-archive"},
	    {{.purpose = COF_SIGN_REHEARSAL, .roll_only = true}, "wrong-purpose"},
	    {{.rehearsal = true, .purpose = COF_SIGN_CEREMONY, .roll_only = true}, "wrong-purpose"},
	    {{.key = {"bob", "alice"}, .roll_only = true}, "wrong-key"},
	    {{.who = "alice bob gina", .roll_only = true}, "revoked"},
	    {{.who = "alice bob dan carol", .roll_only = true}, "key-interval"},
	    {{.who = "alice bob dora carol", .key = {"dora", "alice"}, .roll_only = true}, "unknown-person"},
	    {{.who = "alice carol erin frank", .key = {"erin", "both"}, .agree = "alice erin", .roll_only = true}, "wrong-key"}, /* frank's name, which has no key here */
	    {{.who = "alice bob erin", .key = {"erin", "both"}, .roll_only = true}, "no-auditor"},
	    {{.who = "alice carol hana", .agree = "alice carol", .roll_only = true}, "too-few"},
	    {{.agree = "alice carol"}, "role"},
	    {{.kind = COF_CEREMONY_DESTRUCTION, .key = {"proof", ""}}, "wrong-proof"},
	    {{.none = true}, NULL},
	    {{.rehearsal = true, .abandoned = true}, NULL},
	    {{.kind = COF_CEREMONY_DESTRUCTION, .key = {"holder", ""}}, "wrong-proof"},
	    {{.kind = COF_CEREMONY_DESTRUCTION, .key = {"drawn", ""}}, NULL},
	    {{.kind = COF_CEREMONY_DESTRUCTION}, NULL},
	};

	run("cp %s/alice %s/frank", dir, dir);
	run("cp %s/alice.pub %s/frank.pub", dir, dir);
	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		cof_autobuf struct cof_buf text = {0};
		struct cof_ceremony c;
		struct cof_judgement w;
		int r;

		hold(&rows[i].h, &c, &text);
		r = put(&c, &text, &w);
		if (rows[i].rule)
			REFUSED(r, w, rows[i].rule);
		else
			PERMITTED(r, w);
		if (!rows[i].rule) { /* once */
			r = put(&c, &text, &w);
			REFUSED(r, w, "replay");
		}
		cof_ceremony_done(&c);
	}
}
END_TEST

START_TEST(where_nobody_is_enrolled)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_ceremony c;
	struct cof_judgement w;
	int r;

	hold(&(struct held){.kind = 0}, &c, &text);
	without_people();
	r = put(&c, &text, &w);
	REFUSED(r, w, "no-people");
	cof_ceremony_done(&c);
}
END_TEST

/* ---- what an epoch of escrow needs ---- */

enum { ESCROW = 30, POLICY = 18, EPOCH_VALID = 3, KEY = 6, RELEASE = 7, ROTATED = 11 };

struct of_epoch {
	uint8_t what, epoch_key, document, rehearsal;
	uint32_t number;
};

static int escrow_record(const struct of_epoch *v, const struct cof_buf *doc, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t bytes[32], facts[8] = {0}, key[16];

	cof_field_put_u8(&fields, 190, v->what);
	cof_field_put_u64(&fields, 191, 2);
	cof_field_put_u32(&fields, 192, v->number);
	memset(bytes, v->epoch_key, sizeof(bytes));
	cof_field_put(&fields, 193, bytes, sizeof(bytes));
	ck_assert_int_eq(cof_unhex(ESCROW_KEY, 32, key), 0);
	if (v->what != EPOCH_VALID)
		cof_field_put(&fields, 194, key, sizeof(key));
	memset(bytes, v->document ? v->document : (int)(100 + v->number), sizeof(bytes));
	cof_field_put(&fields, 195, bytes, sizeof(bytes));
	facts[4] = v->rehearsal ? 2 : 0;
	cof_field_put(&fields, 197, facts, sizeof(facts));
	if (v->what == EPOCH_VALID)
		cof_field_put_u64(&fields, 199, 77);
	if (v->what == RELEASE)
		cof_field_put_str(&fields, 204, ESCROW_TO);
	if (doc && v->what != RELEASE)
		proposed_escrow(&fields);
	if (doc) {
		cof_sha256(doc->data, doc->len, bytes);
		cof_field_put(&fields, COF_T_REQUEST, bytes, 32);
	}
	return take(ESCROW, v->what == KEY || v->what == ROTATED ? 9 : 0, NOW, &fields, w);
}

static void brings(const struct held *h)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_ceremony c;
	struct cof_judgement w;
	int r;

	hold(h, &c, &text);
	r = put(&c, &text, &w);
	PERMITTED(r, w);
	cof_ceremony_done(&c);
}

static int accept_epoch(const struct of_epoch *v, struct cof_judgement *w)
{
	static struct cof_buf doc; /* of the last request, which stays open where it was refused */
	struct of_epoch valid = *v;
	int r;

	valid.what = EPOCH_VALID;
	if (!doc.len)
		approved_escrow("escrow-accept", "epoch-valid", &doc);
	r = escrow_record(&valid, &doc, w);
	if (r == 0)
		cof_buf_done(&doc);
	return r;
}

static int release(struct cof_judgement *w)
{
	cof_autobuf struct cof_buf doc = {0};

	approved_escrow("escrow-release", NULL, &doc);
	return escrow_record(&(struct of_epoch){.what = RELEASE}, &doc, w);
}

/* Where the policy asks for it: the very epoch, by number, key and document, of a ceremony that came to its end. */
START_TEST(epochs_that_ceremonies_made)
{
	static const struct of_epoch plain = {.number = 1, .epoch_key = 9, .document = 9}, made = {.number = 2, .epoch_key = 5, .document = 6};
	static const struct {
		struct of_epoch e;
		const char *rule; /* NULL: it counts */
	} rows[] = {
	    {{.number = 3, .epoch_key = 5, .document = 6}, "other-document"},
	    {{.number = 2, .epoch_key = 5, .document = 4}, "other-document"},
	    {{.number = 2, .epoch_key = 9, .document = 6}, "no-ceremony"},
	    {{.number = 2, .epoch_key = 5, .document = 6}, NULL},
	};
	cof_autobuf struct cof_buf policy = {0};
	struct cof_judgement w;
	int r = accept_epoch(&plain, &w);

	PERMITTED(r, w);
	r = escrow_record(&(struct of_epoch){.what = KEY, .number = 1, .epoch_key = 9}, NULL, &w);
	PERMITTED(r, w);
	cof_field_put_str(&policy, 27, "[archive]\nescrow_ceremony = yes\n");
	r = take(POLICY, 0, NOW, &policy, &w);
	PERMITTED(r, w);
	r = release(&w);
	REFUSED(r, w, "no-ceremony");
	r = accept_epoch(&made, &w);
	REFUSED(r, w, "no-ceremony");
	r = escrow_record(&(struct of_epoch){.what = EPOCH_VALID, .number = 2, .epoch_key = 5, .rehearsal = 1}, NULL, &w);
	PERMITTED(r, w);
	for (uint8_t what = KEY; what <= ROTATED; what += ROTATED - KEY) { /* it does not become one of a rehearsal, which needs none */
		r = escrow_record(&(struct of_epoch){.what = what, .number = 2, .epoch_key = 5, .rehearsal = 1}, NULL, &w);
		REFUSED(r, w, what == KEY ? "repeated" : "rehearsal");
		r = release(&w);
		REFUSED(r, w, "no-ceremony");
	}
	brings(&(struct held){.abandoned = true});
	r = accept_epoch(&made, &w);
	REFUSED(r, w, "no-ceremony");
	brings(&(struct held){.rehearsal = true});
	r = accept_epoch(&made, &w);
	REFUSED(r, w, "rehearsal");
	brings(&(struct held){.none = true});
	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		r = accept_epoch(&rows[i].e, &w);
		if (rows[i].rule)
			REFUSED(r, w, rows[i].rule);
		else
			PERMITTED(r, w);
	}
	r = escrow_record(&(struct of_epoch){.what = ROTATED, .number = 2, .epoch_key = 5}, NULL, &w);
	PERMITTED(r, w);
	r = release(&w);
	PERMITTED(r, w);
}
END_TEST

static size_t line_at(const struct cof_buf *text, size_t n)
{
	size_t at = 0;

	while (n--)
		at = (size_t)((uint8_t *)memchr(text->data + at, '\n', text->len - at) - text->data) + 1;
	return at;
}

START_TEST(nothing_cut_changed_or_left_out)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_ceremony c, again;
	struct cof_judgement w;
	struct cof_diag why;
	size_t lines;
	int r;

	hold(&(struct held){.kind = 0}, &c, &text);
	lines = c.n_lines;
	for (size_t n = 1; n < text.len; n += 17) { /* cut off anywhere: no end, or incomplete */
		r = cof_ceremony_parse(text.data, n, &again, &why);
		ck_assert_int_eq(r, text.data[n - 1] == '\n' ? 0 : -EUCLEAN);
		ck_assert(!again.complete);
		cof_ceremony_done(&again);
	}
	for (size_t at = 0; at < text.len; at += 5) { /* bytes of each line */
		bool last = at >= line_at(&text, lines - 1);

		text.data[at] ^= 1;
		r = cof_ceremony_parse(text.data, text.len, &again, &why);
		ck_assert_msg(r == -EUCLEAN || (r == 0 && last), "byte %zu: %d", at, r);
		if (r == 0 && at % 200 == 0) {
			r = put(&again, &text, &w);
			ck_assert_int_eq(r, -EPERM);
		}
		text.data[at] ^= 1;
		cof_ceremony_done(&again);
	}
	for (size_t i = 0; i + 1 < lines; i++) { /* each line left out, and each put in once more */
		size_t a = line_at(&text, i), b = line_at(&text, i + 1);
		cof_autobuf struct cof_buf less = {0}, more = {0};

		cof_buf_add(&less, text.data, a);
		cof_buf_add(&less, text.data + b, text.len - b);
		cof_buf_add(&more, text.data, b);
		cof_buf_add(&more, text.data + a, text.len - a);
		ck_assert_int_eq(cof_ceremony_parse(less.data, less.len, &again, &why), -EUCLEAN);
		cof_ceremony_done(&again);
		ck_assert_int_eq(cof_ceremony_parse(more.data, more.len, &again, &why), -EUCLEAN);
		cof_ceremony_done(&again);
	}
	for (size_t i = 1; i < lines; i += 9) { /* whole lines cut off: what is missing is said */
		struct cof_buf part = {.data = text.data, .len = line_at(&text, i)};

		ck_assert_int_eq(cof_ceremony_parse(part.data, part.len, &again, &why), 0);
		r = put(&again, &part, &w);
		REFUSED(r, w, "incomplete");
		cof_ceremony_done(&again);
	}
	cof_ceremony_done(&c);
}
END_TEST

/* Lines that nothing asked for, at each place of a ceremony, change nothing. */
START_TEST(order)
{
	cof_autobuf struct cof_buf text = {0}, line = {0};
	struct cof_ceremony c = {.kind = 0};
	struct held h = {.kind = 0};
	struct cof_diag why;
	struct cof_json *o;

#define NOT(what, own)                                                                                             \
	do {                                                                                                      \
		size_t before = c.n_lines;                                                                        \
		line.len = 0;                                                                                      \
		ck_assert_int_eq(cof_ceremony_add(&c, what, own, NOW, &line, &why), -EUCLEAN);                      \
		ck_assert_uint_eq(c.n_lines, before);                                                              \
	} while (0)
	NOT(COF_CER_TOLD, word("step", "plan"));
	add(&c, COF_CER_OPENED, opened(&h, COF_CEREMONY_CREATION, "alice bob carol"), &text);
	NOT(COF_CER_OPENED, opened(&h, COF_CEREMONY_CREATION, "alice bob carol"));
	NOT(COF_CER_TOLD, word("step", "plan")); /* nobody is there */
	by_all(&c, COF_CER_PRESENT, "alice bob", &h, &text);
	NOT(COF_CER_TOLD, word("step", "plan"));
	NOT(COF_CER_CLOSING, word("outcome", "abandoned"));
	signed_by(&c, COF_CER_PRESENT, "carol", &h, &text);
	NOT(COF_CER_TOLD, word("step", "make"));
	add(&c, COF_CER_TOLD, word("step", "plan"), &text);
	NOT(COF_CER_TOLD, word("step", "make")); /* nobody confirmed */
	signed_by(&c, COF_CER_AGREED, "alice", &h, &text);
	NOT(COF_CER_TOLD, word("step", "make")); /* one did */
	signed_by(&c, COF_CER_AGREED, "bob", &h, &text);
	NOT(COF_CER_BEGUN, number("attempt", 1));
	add(&c, COF_CER_TOLD, word("step", "make"), &text);
	NOT(COF_CER_BEGUN, number("attempt", 1)); /* what was confirmed for the plan is not for this */
	signed_by(&c, COF_CER_AGREED, "alice", &h, &text);
	NOT(COF_CER_BEGUN, number("attempt", 1)); /* one confirmed */
	signed_by(&c, COF_CER_AGREED, "bob", &h, &text);
	NOT(COF_CER_BEGUN, number("attempt", 2));
	NOT(COF_CER_FAILED, word("reason", "stopped"));
	o = hexed("document", 4);
	cof_json_set_str(o, "epoch_key", "0505050505050505050505050505050505050505050505050505050505050505");
	NOT(COF_CER_MADE, o); /* not begun */
	add(&c, COF_CER_BEGUN, number("attempt", 1), &text);
	NOT(COF_CER_DELIVERED, hexed("output", 1));
	NOT(COF_CER_FAILED, word("reason", "because alice said abandon abandon academic"));
	o = hexed("document", 4);
	cof_json_set_str(o, "epoch_key", "0505050505050505050505050505050505050505050505050505050505050505");
	cof_json_set_str(o, "note", "a word of a share");
	NOT(COF_CER_MADE, o);
	o = hexed("document", 4);
	cof_json_set_str(o, "epoch_key", "0505050505050505050505050505050505050505050505050505050505050505");
	add(&c, COF_CER_MADE, o, &text);
	NOT(COF_CER_CONFIRMED, number("holder", 0));
	add(&c, COF_CER_TOLD, word("step", "confirm"), &text);
	by_all(&c, COF_CER_AGREED, "alice bob", &h, &text);
	add(&c, COF_CER_CONFIRMED, number("holder", 0), &text);
	NOT(COF_CER_CONFIRMED, number("holder", 0));
	NOT(COF_CER_CONFIRMED, number("holder", 2));
	NOT(COF_CER_VALID, hexed("document", 4));
	NOT(COF_CER_CLOSING, word("outcome", "done"));
	add(&c, COF_CER_CONFIRMED, number("holder", 1), &text);
	add(&c, COF_CER_VALID, hexed("document", 4), &text);
	add(&c, COF_CER_CLOSING, word("outcome", "done"), &text);
	NOT(COF_CER_CLOSING, word("outcome", "done"));
	NOT(COF_CER_TOLD, word("step", "make"));
	cof_ceremony_done(&c);
#undef NOT
}
END_TEST

/* One text for one thing: a challenge is what custodians are asked, a time has milliseconds. */
START_TEST(forms)
{
	static const char *const wrong[] = {"destroy-", "destroy-aaaa-bbbb-cccc-dddd-eeee", "destroy-aaaa-bbbb-cccc-dddd-eeee-fff", "destroy-aaaa-bbbb-cccc-dddd-eeee-fffl",
					     "destroy-aaaa-bbbb-cccc-dddd-eeee-fff0", "destroy-aaaa-bbbb-cccc-dddd-eeee-ffff-gggg", "drill-aaaa-bbbb-cccc-dddd-eeee-ffff",
					     "destroy-the-share-of-alice-is-here", "erase-aaaa-bbbb-cccc-dddd-eeee-fff", "eras-aaaa-bbbb-cccc-dddd-eeee-ffff", "e"};
	static const char *const times[] = {"2031-01-02T03:04:05Z", "2031-01-02T03:04:05.5Z", "2031-01-02T03:04:05.500000Z"};
	uint8_t bytes[32] = {1};
	char proof[89] = "";
	cof_autobuf struct cof_buf text = {0}, line = {0};
	struct cof_ceremony c = {.kind = 0};
	struct held h = {.kind = 0};
	struct cof_diag why;

	memset(proof, 'A', 86);
	strcpy(proof + 86, "==");
	add(&c, COF_CER_OPENED, opened(&h, COF_CEREMONY_DESTRUCTION, "alice bob carol"), &text);
	by_all(&c, COF_CER_PRESENT, "alice bob carol", &h, &text);
	step(&c, "plan", &h, &text);
	step(&c, "destroy", &h, &text);
	for (size_t i = 0; i <= COF_COUNT(wrong); i++) {
		struct cof_json *o = number("holder", 1);

		cof_json_set_str(o, "challenge", i < COF_COUNT(wrong) ? wrong[i] : "destroy-aaaa-bbbb-cccc-dddd-eeee-ffff");
		cof_json_set_str(o, "proof", proof);
		hex(o, "commitment", bytes, 32);
		line.len = 0;
		ck_assert_int_eq(cof_ceremony_add(&c, COF_CER_DESTROYED, o, NOW, &line, &why), i < COF_COUNT(wrong) ? -EUCLEAN : 0);
	}
	cof_ceremony_done(&c);
	for (size_t i = 0; i < COF_COUNT(times); i++) {
		cof_autojson struct cof_json *o = opened(&h, COF_CEREMONY_CREATION, "alice bob carol");

		cof_json_set_uint(o, "n", 0);
		cof_json_set_str(o, "previous", "0000000000000000000000000000000000000000000000000000000000000000");
		cof_json_set_str(o, "what", "opened");
		cof_json_set_str(o, "time", times[i]);
		line.len = 0;
		ck_assert_int_eq(cof_json_canonical(o, &line), 0);
		if (line.data[line.len - 1] != '\n')
			cof_buf_add(&line, "\n", 1);
		ck_assert_int_eq(cof_ceremony_parse(line.data, line.len, &c, &why), -EUCLEAN);
		ck_assert_ptr_nonnull(strstr(why.text, "time"));
		cof_ceremony_done(&c);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ceremony");
	TCase *t = tcase_create("judge");
	SRunner *runner;
	int failed;

	if (access("/usr/bin/ssh-keygen", X_OK) < 0)
		return 77;
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	make_keys();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, judged_by_the_archive);
	tcase_add_test(t, where_nobody_is_enrolled);
	tcase_add_test(t, nothing_cut_changed_or_left_out);
	tcase_add_test(t, order);
	tcase_add_test(t, forms);
	tcase_add_test(t, epochs_that_ceremonies_made);
	tcase_set_timeout(t, 150);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_keys();
	return failed ? 1 : 0;
}
