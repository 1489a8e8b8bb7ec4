/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge, with signatures that ssh-keygen makes and judges: each thing that must not count, by its name, and
 * what must. Time is the frames' own. Also the process that judges for the daemon.
 */
#include "crypto/crypto.h"
#include "fs/sshsig/sshsig.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define DAY (86400 * COF_NSEC)
#define NOW (INT64_C(1900000000) * COF_NSEC) /* 2030-03-17 */
enum { COMMIT = 10, REMOVE = 13, EVENT = 15, SHELF = 29, PEOPLE = 19, REQUEST = 20, APPROVAL = 21 };

static char dir[64];
static struct cof_judge *judge;
static uint64_t sequence;
static cof_verify_signature verify = cof_sshsig_verify;
static void *verify_user;

static void run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0) { /* also outside of tests, where check's asserts may not be */
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static void slurp(const char *name, struct cof_buf *ret)
{
	char path[128], data[20000];
	size_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_read_all(fd, data, sizeof(data), &n), 0);
	close(fd);
	ret->len = 0;
	cof_buf_add(ret, data, n);
}

static void store(const char *name, const void *p, size_t n)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_write_all(fd, p, n), 0);
	close(fd);
}

/* "alice" → her public key, type and base64. */
static const char *pub(const char *who)
{
	static char text[16][1024];
	static unsigned next;
	cof_autobuf struct cof_buf b = {0};
	char name[64], *out = text[next++ % 16];

	snprintf(name, sizeof(name), "%s.pub", who);
	slurp(name, &b);
	snprintf(out, sizeof(text[0]), "%.*s", (int)strcspn((char *)b.data, "\n"), (char *)b.data);
	return out;
}

static void sign(struct cof_buf *fields, const char *name, const char *key, const char *purpose, const struct cof_buf *doc)
{
	cof_autobuf struct cof_buf armored = {0}, value = {0};

	store("doc", doc->data, doc->len);
	run("ssh-keygen -q -Y sign -n %s -f %s/%s < %s/doc > %s/sig 2> /dev/null", purpose, dir, key, dir, dir);
	slurp("sig", &armored);
	cof_buf_add(&value, name, strlen(name) + 1);
	cof_buf_add(&value, armored.data, armored.len);
	cof_field_put(fields, COF_T_SIGNATURE, value.data, value.len);
}

static int head(void *user COF_UNUSED, uint64_t size, uint8_t ret[32])
{
	memset(ret, 7, 32);
	return size <= sequence ? 0 : -ENOENT;
}

static int take(unsigned type, uint64_t object, int64_t at, const struct cof_buf *fields, struct cof_judgement *w)
{
	struct cof_judge_frame f = {.type = type,
				    .sequence = sequence++,
				    .object = object,
				    .record_time = at,
				    .retention_time = at - DAY,
				    .proven_from = INT64_MIN,
				    .fields = fields->data,
				    .n = fields->len};
	struct cof_judgement asked;
	int r = cof_judge_ask(judge, &f, &asked), took = cof_judge_take(judge, &f, w);

	ck_assert_int_eq(r, took);
	return took;
}

#define REFUSED(r, w, what)                                                                                       \
	do {                                                                                                      \
		ck_assert_int_eq(r, -EPERM);                                                                      \
		ck_assert_msg(!strcmp((w).rule, what), "%s (%s), not %s", (w).rule, (w).reason, what);             \
	} while (0)
#define PERMITTED(r, w) ck_assert_msg((r) == 0, "%d %s: %s", r, (w).rule ? (w).rule : "", (w).reason)

struct spec { /* of a document; zero: as it should be */
	const char *action, *author, *people, *revoked, *policy;
	uint8_t archive, root;
	uint64_t size, ino; /* ino: of a file that it is about */
	int64_t created, expires;
	uint8_t before[32];
	bool has_before;
};

static void hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n)
{
	char text[65];

	cof_hex(p, n, text);
	cof_json_set_str(o, key, text);
}

static void document(const struct spec *s, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *h = cof_json_object(), *shelves = cof_json_array();
	uint8_t archive[16], root[32], nonce[16], sheet[32] = {0};

	memset(archive, s->archive ? s->archive : 1, 16);
	memset(root, s->root ? s->root : 7, 32);
	cof_random(nonce, sizeof(nonce));
	cof_json_set_str(o, "action", s->action ? s->action : "shelf-set");
	hex(o, "archive", archive, 16);
	cof_json_set_str(o, "author", s->author ? s->author : "alice");
	cof_json_set_time(o, "created", s->created ? s->created : NOW);
	cof_json_set_time(o, "expires", s->expires ? s->expires : NOW + DAY);
	hex(h, "root", root, 32);
	cof_json_set_uint(h, "size", s->size ? s->size : 1);
	cof_json_set(o, "head", h);
	hex(o, "nonce", nonce, 16);
	hex(o, "sheet", sheet, 32);
	cof_json_set_int(o, "version", 1);
	if (s->people)
		cof_json_set_str(o, "people", s->people);
	if (s->revoked)
		cof_json_set_str(o, "revoked", s->revoked);
	if (s->has_before)
		hex(o, "before", s->before, 32);
	if (s->policy) {
		cof_json_set_str(o, "policy", s->policy);
		cof_json_append(shelves, cof_json_new_uint(2));
		cof_json_set(o, "shelves", shelves);
	} else {
		cof_json_free(shelves);
	}
	if (s->ino) {
		struct cof_json *all = cof_json_array(), *one = cof_json_array();

		cof_json_append(one, cof_json_new_uint(s->ino));
		cof_json_append(one, cof_json_new_uint(1));
		cof_json_append(all, one);
		cof_json_set(o, "objects", all);
	}
	ret->len = 0;
	ck_assert_int_eq(cof_json_canonical(o, ret), 0);
}

static int first_people(const char *text, const char *revoked, const char *const signers[], struct cof_judgement *w)
{
	cof_autobuf struct cof_buf doc = {0}, fields = {0};
	struct spec s = {.action = "people-first", .people = text, .revoked = revoked};

	document(&s, &doc);
	cof_field_put_str(&fields, COF_T_PEOPLE, text);
	if (revoked)
		cof_field_put_str(&fields, COF_T_REVOKED, revoked);
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	for (size_t i = 0; signers[i]; i++)
		sign(&fields, signers[i], signers[i], COF_SIGN_PEOPLE, &doc);
	return take(PEOPLE, 0, NOW, &fields, w);
}

static char policy_text[] = "retention = 10d\n", weaker_text[] = "retention = 5d\n";

static void policy_is(const char *text)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement w;
	int r;

	cof_field_put_str(&fields, 27, text);
	r = take(SHELF, 2, NOW, &fields, &w);
	PERMITTED(r, w);
}

static void set_up(void)
{
	struct cof_judge_params p = {.verify = verify, .verify_user = verify_user, .head = head};
	static const char *const officers[] = {"alice", "bob", NULL};
	cof_autofree char *text = NULL;
	struct cof_judgement w;
	int r;

	memset(p.archive_id, 1, 16);
	sequence = 1;
	ck_assert_int_eq(cof_judge_new(&p, &judge), 0);
	policy_is(policy_text);
	ck_assert_int_gt(asprintf(&text,
				  "alice %s roles=officer\nbob %s roles=officer\n"
				  "carol %s roles=auditor\n"
				  "dan valid-before=\"20200101Z\" %s roles=operator\n"
				  "erin cert-authority %s roles=operator\nfrank cert-authority %s roles=operator\n"
				  "gina %s roles=operator\n",
				  pub("alice"), pub("bob"), pub("carol"), pub("dan"), pub("ca"), pub("ca"), pub("gina")),
			 0);
	r = first_people(text, pub("gina"), officers, &w);
	PERMITTED(r, w);
}

static void tear_down(void)
{
	cof_judge_free(judge);
	judge = NULL;
}

static int request(const struct spec *s, const char *name, const char *key, const char *purpose, struct cof_buf *doc,
		   int64_t at, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	struct spec full = *s;

	if (!full.action) {
		full.policy = full.policy ? full.policy : weaker_text;
		if (!full.has_before)
			cof_sha256(policy_text, strlen(policy_text), full.before);
		full.has_before = true;
	}
	document(&full, doc);
	cof_field_put(&fields, COF_T_DOCUMENT, doc->data, doc->len);
	sign(&fields, name, key, purpose, doc);
	return take(REQUEST, 0, at, &fields, w);
}

static int vote(const struct cof_buf *doc, const char *name, const char *key, const char *purpose, uint8_t verdict, int64_t at,
		struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_sha256(doc->data, doc->len, id);
	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, verdict);
	if (name)
		sign(&fields, name, key, purpose, doc);
	return take(APPROVAL, 0, at, &fields, w);
}
#define APPROVE(doc, who, at, w) vote(doc, who, who, COF_SIGN_APPROVE, COF_VERDICT_APPROVE, at, w)

static int act(const struct cof_buf *doc, const char *policy, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t id[32];

	cof_field_put_str(&fields, 27, policy);
	if (doc) {
		cof_sha256(doc->data, doc->len, id);
		cof_field_put(&fields, COF_T_REQUEST, id, 32);
	}
	return take(SHELF, 2, NOW, &fields, w);
}

START_TEST(request_and_approval_once)
{
	cof_autobuf struct cof_buf doc = {0}, again = {0};
	struct cof_judgement w;
	int r = act(NULL, weaker_text, &w);

	REFUSED(r, w, "not-approved");
	r = request(&(struct spec){0}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	PERMITTED(r, w);
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "not-approved");
	r = APPROVE(&doc, "alice", NOW, &w);
	REFUSED(r, w, "author");
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
	r = APPROVE(&doc, "carol", NOW, &w);
	REFUSED(r, w, "finished");
	r = act(&doc, "retention = 1d\n", &w);
	REFUSED(r, w, "wrong-document");
	r = act(&doc, weaker_text, &w);
	PERMITTED(r, w);
	r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_DONE, NOW, &w);
	PERMITTED(r, w);
	r = act(&doc, weaker_text, &w);
	REFUSED(r, w, "finished");
	r = vote(&doc, NULL, NULL, NULL, COF_VERDICT_DONE, NOW, &w);
	REFUSED(r, w, "not-approved");
	cof_field_put(&again, COF_T_DOCUMENT, doc.data, doc.len);
	sign(&again, "alice", "alice", COF_SIGN_REQUEST, &doc);
	r = take(REQUEST, 0, NOW, &again, &w);
	REFUSED(r, w, "replay");
}
END_TEST

START_TEST(requests_that_do_not_count)
{
	static const struct {
		struct spec spec;
		const char *name, *key, *purpose, *rule;
		int64_t at;
	} rows[] = {
	    {{.archive = 9}, "alice", "alice", COF_SIGN_REQUEST, "wrong-archive", NOW},
	    {{.root = 9}, "alice", "alice", COF_SIGN_REQUEST, "wrong-head", NOW},
	    {{.size = 1000}, "alice", "alice", COF_SIGN_REQUEST, "wrong-head", NOW},
	    {{0}, "alice", "alice", COF_SIGN_REQUEST, "expired", NOW + DAY},
	    {{.action = "fly"}, "alice", "alice", COF_SIGN_REQUEST, "unknown-action", NOW},
	    {{0}, "bob", "bob", COF_SIGN_REQUEST, "author", NOW},
	    {{0}, "alice", "bob", COF_SIGN_REQUEST, "wrong-key", NOW},
	    {{0}, "alice", "alice", COF_SIGN_APPROVE, "wrong-purpose", NOW},
	    {{.author = "nobody"}, "nobody", "alice", COF_SIGN_REQUEST, "unknown-person", NOW},
	    {{.author = "dan"}, "dan", "dan", COF_SIGN_REQUEST, "key-interval", NOW},
	    {{.author = "gina"}, "gina", "gina", COF_SIGN_REQUEST, "revoked", NOW},
	    {{.has_before = true}, "alice", "alice", COF_SIGN_REQUEST, "changed-object", NOW},
	};

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		cof_autobuf struct cof_buf doc = {0};
		struct cof_judgement w;
		int r = request(&rows[i].spec, rows[i].name, rows[i].key, rows[i].purpose, &doc, rows[i].at, &w);

		REFUSED(r, w, rows[i].rule);
	}
}
END_TEST

START_TEST(approvals_that_do_not_count)
{
	cof_autobuf struct cof_buf doc = {0}, other = {0}, fields = {0};
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	policy_is("retention = 10d\napprove_policy = 3\n");
	r = request(&(struct spec){.has_before = true}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
	REFUSED(r, w, "changed-object");
	strcpy(policy_text, "retention = 10d\n");
	{
		struct spec s = {.has_before = true};

		cof_sha256("retention = 10d\napprove_policy = 3\n", 35, s.before);
		r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
		r = request(&s, "alice", "alice", COF_SIGN_REQUEST, &other, NOW, &w);
		PERMITTED(r, w);
	}
	r = APPROVE(&doc, "bob", NOW + DAY, &w);
	REFUSED(r, w, "expired");
	/* a signature over the other request */
	cof_sha256(doc.data, doc.len, id);
	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, COF_VERDICT_APPROVE);
	sign(&fields, "bob", "bob", COF_SIGN_APPROVE, &other);
	r = take(APPROVAL, 0, NOW, &fields, &w);
	REFUSED(r, w, "wrong-signature");
	r = vote(&doc, "bob", "bob", COF_SIGN_REFUSE, COF_VERDICT_APPROVE, NOW, &w);
	REFUSED(r, w, "wrong-purpose");
	/* one key, certified for two names by one authority */
	r = vote(&doc, "erin", "both", COF_SIGN_APPROVE, COF_VERDICT_APPROVE, NOW, &w);
	PERMITTED(r, w);
	ck_assert(!w.met);
	r = vote(&doc, "frank", "both", COF_SIGN_APPROVE, COF_VERDICT_APPROVE, NOW, &w);
	REFUSED(r, w, "same-key");
	r = vote(&doc, "erin", "both", COF_SIGN_APPROVE, COF_VERDICT_APPROVE, NOW, &w);
	REFUSED(r, w, "same-person");
	r = APPROVE(&doc, "bob", NOW, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
	/* and refused, by one */
	r = vote(&other, "carol", "carol", COF_SIGN_REFUSE, COF_VERDICT_REFUSE, NOW, &w);
	PERMITTED(r, w);
	r = APPROVE(&other, "bob", NOW, &w);
	REFUSED(r, w, "finished");
}
END_TEST

START_TEST(people_files)
{
	static const char *const bad[] = {
	    "alice,bob KEY roles=officer\n", "a* KEY roles=officer\n", "alice KEY\n", "alice KEY roles=king\n",
	    "alice KEY roles=officer,auditor\n", "alice KEY roles=vault,officer\n", "alice KEY roles=officer",
	    "alice KEY roles=officer\nbob KEY roles=officer\n", "alice foo=\"x\" KEY roles=officer\n",
	    "\"alice\" KEY roles=officer\n", " alice KEY roles=officer\n", "alice KEY roles=officer verify-required\n", "",
	    "alice ssh-ed25519 AAAA roles=officer\n", "-alice KEY roles=officer\n", "alice KEY roles=officer roles=auditor\n",
	    "alice\tKEY roles=officer\n", "alice KEY roles=officer \xff\n",
	};

	for (size_t i = 0; i < COF_COUNT(bad); i++) {
		cof_autobuf struct cof_buf text = {0};
		struct cof_people p;
		struct cof_diag diag = {""};

		for (const char *at = bad[i]; *at;) {
			const char *key = strstr(at, "KEY");

			cof_buf_add(&text, at, key ? (size_t)(key - at) : strlen(at));
			if (key)
				cof_buf_printf(&text, "%s", pub("alice"));
			at = key ? key + 3 : at + strlen(at);
		}
		ck_assert_msg(cof_people_parse(text.data ? (char *)text.data : "", text.len, NULL, 0, NULL, &p, &diag) == -EUCLEAN,
			      "%s was taken", bad[i]);
		ck_assert_str_ne(diag.text, "");
	}
}
END_TEST

START_TEST(by_the_process_of_its_own)
{
	struct cof_sshsig *s;
	struct cof_diag diag = {""};

	ck_assert_int_eq(cof_sshsig_start(NULL, NULL, &s, &diag), 0);
	tear_down();
	verify = cof_sshsig_ask;
	verify_user = s;
	set_up();
	{
		cof_autobuf struct cof_buf doc = {0};
		struct cof_judgement w;
		int r = request(&(struct spec){.author = "gina"}, "gina", "gina", COF_SIGN_REQUEST, &doc, NOW, &w);

		REFUSED(r, w, "revoked");
		r = request(&(struct spec){0}, "alice", "alice", COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
	}
	cof_sshsig_end(s);
	verify = cof_sshsig_verify;
	verify_user = NULL;
}
END_TEST

static void commit(uint64_t ino, int64_t at, int64_t until, const struct cof_buf *more)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement w;
	int r;

	cof_field_put_i64(&fields, 24, until);
	cof_field_put_u64(&fields, COF_T_SHELF_INO, 2);
	cof_buf_add(&fields, more->data, more->len);
	r = take(COMMIT, ino, at, &fields, &w);
	PERMITTED(r, w);
}

/* What a file is kept for is known without keys: what its own certificates ask, and what those of others do. */
START_TEST(removal_before_certificates_end)
{
	cof_autobuf struct cof_buf doc = {0}, none = {0}, least = {0}, certs = {0}, follows = {0}, removal = {0};
	struct cof_judge_frame f = {.type = REMOVE};
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	for (f.object = 5; f.object <= 7; f.object++)
		ck_assert_int_eq(cof_judge_watch(judge, &f), 0);
	cof_field_put_i64(&least, 103, NOW + 20 * DAY);
	cof_field_put_i64(&follows, 163, DAY);
	cof_field_put_i64(&certs, 161, NOW + 30 * DAY);
	cof_field_put_i64(&certs, 162, 50 * DAY);
	commit(5, NOW, NOW + DAY, &none);
	commit(6, NOW, NOW + DAY, &least);
	commit(7, NOW, NOW + DAY, &follows);
	for (uint64_t ino = 5; ino <= 7; ino++) {
		static const int64_t ends[] = {1, 20, 49}; /* days; of the last 50 from its commit, a day before NOW */

		doc.len = removal.len = 0;
		if (ino == 7) /* they come later, in another file's frame */
			commit(9, NOW + 2 * DAY, NOW + 90 * DAY, &certs);
		r = request(&(struct spec){.action = "remove", .ino = ino, .size = sequence, .expires = NOW + 80 * DAY}, "alice", "alice",
			    COF_SIGN_REQUEST, &doc, NOW, &w);
		PERMITTED(r, w);
		r = APPROVE(&doc, "carol", NOW, &w);
		PERMITTED(r, w);
		cof_sha256(doc.data, doc.len, id);
		cof_field_put(&removal, COF_T_REQUEST, id, 32);
		/* retention time is a day less than the time that is given */
		r = take(REMOVE, ino, NOW + (ends[ino - 5] + 1) * DAY - 1, &removal, &w);
		REFUSED(r, w, "retained");
		r = take(REMOVE, ino, NOW + (ends[ino - 5] + 1) * DAY, &removal, &w);
		PERMITTED(r, w);
	}
}
END_TEST

/* ---- reviews ---- */

struct review { /* zero: as it should be */
	const char *signer, *key, *purpose, *type;
	uint64_t from, to, field, size; /* to is as given */
	uint8_t root;
	bool no_range, no_field;
};

static int review(const struct review *v, struct cof_judgement *w)
{
	cof_autobuf struct cof_buf doc = {0}, armored = {0}, fields = {0};
	cof_autojson struct cof_json *o = cof_json_object();
	const char *signer = v->signer ? v->signer : "carol", *key = v->key ? v->key : signer;
	struct cof_json *h = cof_json_object();
	uint8_t archive[16], root[32], nonce[16];

	memset(archive, 1, 16);
	memset(root, v->root ? v->root : 7, 32);
	cof_random(nonce, sizeof(nonce));
	hex(o, "archive", archive, 16);
	hex(o, "nonce", nonce, 16);
	cof_json_set_str(o, "event", v->type ? v->type : "review");
	cof_json_set_str(o, "signer", signer);
	hex(h, "root", root, 32);
	cof_json_set_uint(h, "size", v->size ? v->size : v->to + 1);
	cof_json_set(o, "head", h);
	if (!v->no_range) {
		cof_json_set_uint(o, "from", v->from);
		cof_json_set_uint(o, "to", v->to);
	}
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	store("doc", doc.data, doc.len);
	run("ssh-keygen -q -Y sign -n %s -f %s/%s < %s/doc > %s/sig 2> /dev/null", v->purpose ? v->purpose : COF_SIGN_REVIEW, dir,
	    key, dir, dir);
	slurp("sig", &armored);
	cof_field_put(&fields, 148, doc.data, doc.len);
	cof_field_put(&fields, 147, armored.data, armored.len);
	if (!v->no_field)
		cof_field_put_u64(&fields, 149, v->field ? v->field : v->to);
	return take(EVENT, 0, NOW, &fields, w);
}

START_TEST(reviews_one_behind_the_other)
{
	static const struct {
		struct review v;
		const char *rule; /* NULL: it counts */
	} rows[] = {
	    {{.from = 1, .to = 40}, "range"}, /* skips */
	    {{.signer = "erin", .key = "both", .to = 40}, "role"},
	    {{.key = "alice", .to = 40}, "wrong-key"},
	    {{.purpose = COF_SIGN_EVENT, .to = 40}, "wrong-purpose"},
	    {{.root = 9, .to = 40}, "wrong-head"},
	    {{.size = 42, .to = 40}, "range"},
	    {{.field = 41, .to = 40}, "form"},
	    {{.no_field = true, .to = 40}, "form"},
	    {{.no_range = true, .purpose = COF_SIGN_EVENT, .to = 40}, "form"}, /* the field alone */
	    {{.type = "audit", .to = 40}, "form"},
	    {{.from = 41, .to = 40}, "form"},
	    {{.to = 1000}, "range"}, /* of what is not there */
	    {{.no_range = true, .no_field = true, .purpose = COF_SIGN_EVENT}, NULL}, /* an event of that name, which reviews nothing */
	    {{.to = 40}, NULL},
	    {{.to = 40}, "range"},		/* twice */
	    {{.from = 40, .to = 50}, "range"},	/* a frame twice */
	    {{.from = 42, .to = 50}, "range"},	/* a frame never */
	    {{.from = 41, .to = 50, .type = "failed-logins"}, "range"}, /* each kind for itself */
	    {{.to = 30, .type = "failed-logins"}, NULL},
	    {{.from = 41, .to = 50, .signer = "bob"}, NULL},
	    {{.from = 31, .to = 60, .type = "failed-logins", .signer = "alice"}, NULL},
	};
	uint64_t to = 0, at = 0;

	sequence = 100;
	ck_assert_int_eq(cof_judge_reviewed(judge, COF_REVIEW_EVENTS, &to, &at), -ENOENT);
	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		struct cof_judgement w;
		int r = review(&rows[i].v, &w);

		if (rows[i].rule)
			REFUSED(r, w, rows[i].rule);
		else
			PERMITTED(r, w);
	}
	ck_assert_int_eq(cof_judge_reviewed(judge, COF_REVIEW_EVENTS, &to, &at), 0);
	ck_assert_uint_eq(to, 50);
	ck_assert_uint_eq(at, sequence - 2);
	ck_assert_int_eq(cof_judge_reviewed(judge, COF_REVIEW_LOGINS, &to, &at), 0);
	ck_assert_uint_eq(to, 60);
}
END_TEST

static void make_keys(void)
{
	static const char *const names[] = {"alice", "bob", "carol", "dan", "gina", "ca", "both"};

	strcpy(dir, "/tmp/test-approve.XXXXXX");
	if (!mkdtemp(dir))
		exit(1);
	for (size_t i = 0; i < COF_COUNT(names); i++)
		run("ssh-keygen -q -t ed25519 -N '' -C '' -f %s/%s", dir, names[i]);
	run("cd %s && ssh-keygen -q -s ca -I both -n erin,frank -V 20200101:20400101 both.pub", dir);
	run("cd %s && mv both-cert.pub both.pub", dir); /* ssh-keygen signs with the certificate then */
}

int main(void)
{
	Suite *s = suite_create("approve");
	TCase *t = tcase_create("judge");
	SRunner *runner;
	int failed;

	if (access("/usr/bin/ssh-keygen", X_OK) < 0)
		return 77;
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	make_keys();
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, request_and_approval_once);
	tcase_add_test(t, requests_that_do_not_count);
	tcase_add_test(t, approvals_that_do_not_count);
	tcase_add_test(t, people_files);
	tcase_add_test(t, removal_before_certificates_end);
	tcase_add_test(t, reviews_one_behind_the_other);
	tcase_add_test(t, by_the_process_of_its_own);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	run("rm -r %s", dir);
	return failed ? 1 : 0;
}
