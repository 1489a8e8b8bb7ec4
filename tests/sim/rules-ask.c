/* SPDX-License-Identifier: Apache-2.0 */
/* One step each: what it is, to the archive and to the model. */
#include <stdio.h>

#include "crypto/crypto.h"
#include "fs/archive/hold.h"
#include "tests/sim/rules-sign.h"
#include "tests/sim/rules-world.h"

const char *const rules_shelf[RM_SHELVES] = {"strict", "free", "cooling", "event"};
static const char *const event_name[] = {"closed", "other"};
static const struct cof_who root = {0, 0, 0, false};

/* ---- texts ---- */

void rules_policy_text(const struct rm_policy *p, char out[256])
{
	int n = snprintf(out, 256, "mode = %s\nretention = %dd\napprove_remove = %u auditor\n",
			 p->governance ? "governance" : "compliance", p->kept, p->persons);

	if (p->cooling)
		n += snprintf(out + n, 256 - (size_t)n, "cooling_off = %dd\n", p->cooling);
	if (p->event)
		(void)snprintf(out + n, 256 - (size_t)n, "retain_event = closed\n");
}

void rules_people_text(const struct rm_people *p, struct cof_buf *people, struct cof_buf *revoked)
{
	static const struct {
		unsigned role;
		const char *name;
	} role[] = {{RM_AUDITOR, "auditor"}, {RM_CUSTODIAN, "custodian"}, {RM_OFFICER, "officer"}, {RM_OPERATOR, "operator"}};
	char key[128];

	for (unsigned i = 0; i < RM_PERSONS; i++) {
		sign_public(i, key);
		for (size_t k = 0; k < COF_COUNT(role) && p->present & (1u << i); k++)
			if (rm_roles[i] == role[k].role)
				cof_buf_printf(people, "%s %s roles=%s\n", sign_name[i], key, role[k].name);
		if (p->revoked & (1u << i))
			cof_buf_printf(revoked, "%s\n", key);
	}
	ck_assert(!people->failed && !revoked->failed);
}

void rules_path(const struct rm *m, unsigned node, char out[256])
{
	char above[256];

	if (node < RM_SHELVES) {
		(void)snprintf(out, 256, "%s", rules_shelf[node]);
		return;
	}
	rules_path(m, m->node[node].parent, above);
	(void)snprintf(out, 256, "%.200s/n%u", above, node);
}

/* A time as a request writes it, and what the request then means. */
static int64_t time_text(int64_t t, char out[32])
{
	cof_time_text(t, out);
	ck_assert_int_eq(cof_time_parse(out, &t), 0);
	return t;
}

/* ---- operations of the mount ---- */

static void do_op(struct rules_world *w, const struct rm *next, int want, const struct cof_op *op, struct cof_reply *reply)
{
	char what[64];
	int r;

	(void)snprintf(what, sizeof(what), "%s of inode %llu", cof_op_name(op->kind), (unsigned long long)op->ino);
	rules_begin(w, next, want);
	r = cof_archive_do(w->archive, &root, op, reply);
	if (r == 0 && reply->wrote)
		w->last = reply->sequence;
	if (r == 0 && op->kind == COF_OP_CREATE) {
		struct rm named = *next;

		named.node[named.nodes - 1].ino = reply->attr.ino;
		w->state[w->states - 1] = named;
		rules_end(w, what, &named, want, r, true, false);
		return;
	}
	rules_end(w, what, next, want, r, r == 0 && reply->wrote, false);
}

void rules_create(struct rules_world *w, unsigned dir, bool is_dir)
{
	struct rm next = w->m;
	int want = rm_create(&next, dir, is_dir);
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .node_kind = is_dir ? COF_KIND_DIR : COF_KIND_FILE,
			    .mode = is_dir ? 0755 : 0644,
			    .parent = w->m.node[dir].ino};
	struct cof_reply reply = {0};
	char name[16];

	(void)snprintf(name, sizeof(name), "n%u", w->m.nodes);
	op.name = name;
	do_op(w, &next, want, &op, &reply);
}

void rules_write(struct rules_world *w, unsigned node)
{
	struct rm next = w->m;
	int want = rm_write(&next, node);
	struct cof_op op = {.kind = COF_OP_WRITE, .ino = w->m.node[node].ino, .data = "x", .length = 1};
	struct cof_attr attr;
	struct cof_reply reply = {0};

	if (cof_archive_getattr(w->archive, COF_INDEX_NOW, op.ino, &attr) == 0)
		op.offset = attr.size;
	do_op(w, &next, want, &op, &reply);
}

void rules_commit(struct rules_world *w, unsigned node, int64_t asked)
{
	struct rm next = w->m;
	int want = rm_commit(&next, node, asked);
	struct cof_op op = {.kind = COF_OP_COMMIT, .ino = w->m.node[node].ino, .retain = asked};
	struct cof_reply reply = {0};

	do_op(w, &next, want, &op, &reply);
}

void rules_extend(struct rules_world *w, unsigned node, int64_t until)
{
	struct rm next = w->m;
	int want = rm_extend(&next, node, until);
	struct cof_op op = {.kind = COF_OP_RETAIN, .ino = w->m.node[node].ino, .retain = until};
	struct cof_reply reply = {0};

	do_op(w, &next, want, &op, &reply);
}

void rules_wait(struct rules_world *w, unsigned node, uint8_t event)
{
	struct rm next = w->m;
	int want = rm_wait(&next, node, event);
	struct cof_op op = {.kind = COF_OP_RETAIN_EVENT, .ino = w->m.node[node].ino, .name = event_name[event]};
	struct cof_reply reply = {0};

	do_op(w, &next, want, &op, &reply);
}

static void name_of(const struct rules_world *w, unsigned node, char out[16])
{
	(void)w;
	(void)snprintf(out, 16, "n%u", node);
}

void rules_unlink(struct rules_world *w, unsigned node)
{
	struct rm next = w->m;
	int want = rm_unlink(&next, node);
	struct cof_op op = {.kind = COF_OP_UNLINK, .ino = w->m.node[node].ino, .parent = w->m.node[w->m.node[node].parent].ino};
	struct cof_reply reply = {0};
	char name[16];

	name_of(w, node, name);
	op.name = name;
	do_op(w, &next, want, &op, &reply);
}

void rules_rename(struct rules_world *w, unsigned node, unsigned dir)
{
	struct rm next = w->m;
	int want = rm_rename(&next, node, dir);
	struct cof_op op = {.kind = COF_OP_RENAME,
			    .ino = w->m.node[node].ino,
			    .parent = w->m.node[w->m.node[node].parent].ino,
			    .new_parent = w->m.node[dir].ino};
	struct cof_reply reply = {0};
	char name[16];

	name_of(w, node, name);
	op.name = op.new_name = name;
	do_op(w, &next, want, &op, &reply);
}

void rules_set_policy(struct rules_world *w, unsigned shelf, const struct rm_policy *p)
{
	struct rm next = w->m;
	int want = rm_set_policy(&next, shelf, p);
	struct cof_op op = {.kind = COF_OP_SHELF_SET, .ino = w->m.node[shelf].ino};
	struct cof_reply reply = {0};
	char text[256];

	rules_policy_text(p, text);
	op.data = text;
	op.length = strlen(text);
	do_op(w, &next, want, &op, &reply);
}

void rules_hold(struct rules_world *w, const uint8_t *nodes, unsigned n)
{
	struct rm next = w->m;
	char name[16], path[RM_OBJECTS][256];
	const char *paths[RM_OBJECTS];
	struct cof_hold_params p = {.name = name, .paths = paths, .n_paths = n, .reason = "a suit"};
	struct cof_hold_begun begun;
	struct cof_diag diag = {""};
	int want, r;

	(void)snprintf(name, sizeof(name), "case-%u", w->m.n_holds);
	for (unsigned i = 0; i < n; i++) {
		rules_path(&w->m, nodes[i], path[i]);
		paths[i] = path[i];
	}
	want = rm_hold(&next, nodes, n);
	rules_begin(w, &next, want);
	r = cof_archive_hold_begin(w->archive, &root, &p, &begun, &diag);
	if (r == 0)
		w->last = begun.sequence;
	rules_end(w, "hold begin", &next, want, r, r == 0, false);
}

/* ---- people's verbs ---- */

static void set_base64(struct cof_json *into, const char *key, const struct cof_buf *b)
{
	cof_autofree char *text = malloc(cof_base64_len(b->len) + 1);

	ck_assert_ptr_nonnull(text);
	cof_base64(b->data, b->len, text);
	cof_json_set_str(into, key, text);
}

static void take_base64(const struct cof_json *from, const char *key, struct cof_buf *ret)
{
	const char *text = cof_json_str(from, key);
	size_t n = 0;

	ck_assert_ptr_nonnull(text);
	ret->len = 0;
	cof_buf_add(ret, text, strlen(text));
	ck_assert_int_eq(cof_unbase64(text, strlen(text), ret->data, ret->len, &n), 0);
	ret->len = n;
}

struct paper {
	struct cof_buf doc, sheet;
};

static int take_paper(void *user, struct cof_json *entry)
{
	struct paper *p = user;

	if (p && cof_json_str(entry, "document")) {
		take_base64(entry, "document", &p->doc);
		take_base64(entry, "sheet", &p->sheet);
	}
	return 0;
}

static int ask(struct rules_world *w, const char *verb, const struct cof_json *args, struct paper *p, struct cof_diag *diag)
{
	return cof_archive_people(w->archive, &root, verb, args, take_paper, p, diag);
}

void rules_first_people(struct rules_world *w)
{
	cof_autobuf struct cof_buf people = {0}, revoked = {0};
	cof_autojson struct cof_json *args = cof_json_object(), *more = cof_json_object();
	struct cof_json *all = cof_json_array();
	struct paper p = {0};
	struct cof_diag diag = {""};

	w->m.people.present = 0x7f;
	rules_people_text(&w->m.people, &people, &revoked);
	cof_json_set_bytes(args, "people", people.data, people.len);
	ck_assert_msg(ask(w, "people-set", args, &p, &diag) == 0, "%s", diag.text);
	set_base64(more, "document", &p.doc);
	for (unsigned i = 0; i < RM_PERSONS; i++) {
		cof_autobuf struct cof_buf armored = {0};
		struct cof_json *one;

		if (!(rm_roles[i] & RM_OFFICER))
			continue;
		one = cof_json_object();
		sign_document(i, COF_SIGN_PEOPLE, p.doc.data, p.doc.len, true, &armored);
		set_base64(one, "signature", &armored);
		cof_json_set_str(one, "principal", sign_name[i]);
		cof_json_append(all, one);
	}
	cof_json_set(more, "signatures", all);
	ck_assert_msg(ask(w, "people-first", more, NULL, &diag) == 0, "%s", diag.text);
	cof_buf_done(&p.doc);
	cof_buf_done(&p.sheet);
}

static void add_word(struct cof_json *words, const char *word)
{
	cof_json_append(words, cof_json_new_str(word));
}

static const char *words_of(struct rules_world *w, struct rm_request *q, struct cof_json *words)
{
	static const char *const names[RM_ACTS] = {"hold-end",  "remove",	   "destroy",	 "retention-end",
						    "event-declare", "shelf-set", "people-set", "clock-catch-up"};
	cof_autobuf struct cof_buf people = {0}, revoked = {0};
	char text[256];

	switch (q->act) {
	case RM_HOLD_END:
		(void)snprintf(text, sizeof(text), "case-%u", q->object[0]);
		add_word(words, text);
		break;
	case RM_POLICY:
		add_word(words, rules_shelf[q->object[0]]);
		rules_policy_text(&q->policy, text);
		add_word(words, text);
		break;
	case RM_PEOPLE:
		rules_people_text(&q->people, &people, &revoked);
		cof_buf_add(&people, "", 1);
		cof_buf_add(&revoked, "", 1);
		add_word(words, (const char *)people.data);
		add_word(words, (const char *)revoked.data);
		break;
	case RM_EVENT:
		add_word(words, event_name[q->event]);
		__attribute__((fallthrough));
	case RM_CATCH_UP:
	case RM_RETENTION_END:
		q->time = time_text(q->time, text);
		add_word(words, text);
		break;
	default:
		break;
	}
	for (unsigned i = 0; q->act != RM_HOLD_END && q->act != RM_POLICY && i < q->n; i++) {
		if (w->m.node[q->object[i]].removed) /* nothing else is left of it */
			(void)snprintf(text, sizeof(text), "inode:%llu", (unsigned long long)w->m.node[q->object[i]].ino);
		else
			rules_path(&w->m, q->object[i], text);
		add_word(words, text);
	}
	return names[q->act];
}

/* Another archive's id in the place of this one's. */
static void move_elsewhere(struct cof_buf *doc)
{
	char *at = memmem(doc->data, doc->len, "\"archive\":\"", 11);

	ck_assert_ptr_nonnull(at);
	at[11] = at[11] == '0' ? '1' : '0';
}

static int64_t expiry_of(const struct cof_buf *doc)
{
	struct cof_json *o;
	int64_t t;

	ck_assert_int_eq(cof_json_parse((const char *)doc->data, doc->len - 1, &o), 0);
	ck_assert_int_eq(cof_time_parse(cof_json_str(o, "expires"), &t), 0);
	cof_json_free(o);
	return t;
}

void rules_make(struct rules_world *w, struct rm_request *q, int64_t life, bool elsewhere)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct cof_json *words = cof_json_array();
	struct draft *d = &w->draft[w->drafts];
	struct cof_diag diag = {""};
	struct paper p = {0};
	char what[64];
	int want, r;

	w->m.wall = cof_now(CLOCK_REALTIME);
	cof_json_set_str(args, "action", words_of(w, q, words));
	(void)snprintf(what, sizeof(what), "a request for %s", cof_json_str(args, "action"));
	cof_json_set_str(args, "author", sign_name[q->author]);
	cof_json_set_int(args, "expires", life);
	cof_json_set(args, "words", words);
	want = !(w->m.people.present & (1u << q->author)) ? -EINVAL : rm_possible(&w->m, q);
	if (q->act == RM_HOLD_END && want < 0)
		want = -EINVAL; /* it is not among those that are looked for */
	rules_begin(w, &w->m, want);
	r = ask(w, "request-make", args, &p, &diag);
	if (getenv("COF_SHOW") && r < 0)
		fprintf(stderr, "%s: %s: %s\n", rules_doing, what, diag.text);
	rules_end(w, what, &w->m, want, r, false, false);
	if (r == 0) {
		if (elsewhere)
			move_elsewhere(&p.doc);
		rm_remember(&w->m, q);
		cof_sha256(p.doc.data, p.doc.len, q->id);
		q->expires = expiry_of(&p.doc);
		*d = (struct draft){.q = *q, .doc = p.doc, .sheet = p.sheet, .elsewhere = elsewhere};
		w->drafts++;
		return;
	}
	cof_buf_done(&p.doc);
	cof_buf_done(&p.sheet);
}

void rules_submit(struct rules_world *w, unsigned draft, unsigned signer, bool good)
{
	cof_autojson struct cof_json *args = cof_json_object();
	cof_autobuf struct cof_buf armored = {0};
	struct draft *d = &w->draft[draft];
	struct rm next = w->m;
	struct cof_diag diag = {""};
	int want, r;

	next.wall = cof_now(CLOCK_REALTIME);
	want = rm_submit(&next, &d->q, signer, good && !d->elsewhere);
	sign_document(signer, COF_SIGN_REQUEST, d->doc.data, d->doc.len, good, &armored);
	set_base64(args, "document", &d->doc);
	set_base64(args, "sheet", &d->sheet);
	set_base64(args, "signature", &armored);
	cof_json_set_str(args, "principal", sign_name[signer]);
	rules_begin(w, &next, want);
	r = ask(w, "request", args, NULL, &diag);
	if (getenv("COF_SHOW"))
		fprintf(stderr, "%s: request by %s: %s\n", rules_doing, sign_name[signer], r ? diag.text : "in");
	rules_end(w, "handing in a request", &next, want, r, r == 0, r == 0);
}

static unsigned place_of(const struct rm *m, const uint8_t id[32])
{
	for (unsigned i = 0; i < m->n_requests; i++)
		if (!memcmp(m->request[i].id, id, 32))
			return i;
	return RM_REQUESTS;
}

void rules_vote(struct rules_world *w, unsigned draft, unsigned signer, bool approves, bool good, bool other_purpose)
{
	cof_autojson struct cof_json *args = cof_json_object();
	cof_autobuf struct cof_buf armored = {0};
	struct draft *d = &w->draft[draft];
	struct rm next = w->m;
	struct cof_diag diag = {""};
	unsigned at = place_of(&next, d->q.id);
	const char *purpose = approves != other_purpose ? COF_SIGN_APPROVE : COF_SIGN_REFUSE;
	int want, r;

	next.wall = cof_now(CLOCK_REALTIME);
	want = rm_vote(&next, at, signer, approves, good && !other_purpose);
	sign_document(signer, purpose, d->doc.data, d->doc.len, good, &armored);
	set_base64(args, "document", &d->doc);
	set_base64(args, "signature", &armored);
	cof_json_set_str(args, "verdict", approves ? "approve" : "refuse");
	cof_json_set_str(args, "principal", sign_name[signer]);
	rules_begin(w, &next, want);
	r = ask(w, "approve", args, NULL, &diag);
	if (getenv("COF_SHOW"))
		fprintf(stderr, "%s: vote on %u by %s: %s\n", rules_doing, at, sign_name[signer], r ? diag.text : "counts");
	w->look = d->q.act == RM_DESTROY;
	rules_end(w, "a vote", &next, want, r, r == 0, r == 0);
	if (r == 0 && at < RM_REQUESTS && next.request[at].state == RM_DONE)
		w->done[d->q.act]++;
}
