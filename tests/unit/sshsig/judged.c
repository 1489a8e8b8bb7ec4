/* SPDX-License-Identifier: Apache-2.0 */
/* The people of the tests, their keys, and a judge that knows them. */
#include "tests/unit/sshsig/judged.h"

#include <fcntl.h>
#include <stdio.h>

char dir[64];
struct cof_judge *judge;
uint64_t sequence;
cof_verify_signature verify = cof_sshsig_verify;
void *verify_user;

void run(const char *fmt, ...)
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

void slurp(const char *name, struct cof_buf *ret)
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

void store(const char *name, const void *p, size_t n)
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
const char *pub(const char *who)
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

void sign(struct cof_buf *fields, const char *name, const char *key, const char *purpose, const struct cof_buf *doc)
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
	memset(ret, HEAD, 32);
	return size <= sequence ? 0 : -ENOENT;
}

int take(unsigned type, uint64_t object, int64_t at, const struct cof_buf *fields, struct cof_judgement *w)
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

void hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n)
{
	char text[65];

	cof_hex(p, n, text);
	cof_json_set_str(o, key, text);
}

void document(const struct spec *s, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *h = cof_json_object(), *shelves = cof_json_array();
	uint8_t archive[16], root[32], nonce[16], sheet[32] = {0};

	memset(archive, s->archive ? s->archive : 1, 16);
	memset(root, s->root ? s->root : HEAD, 32);
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
	if (s->hold)
		cof_json_set_uint(o, "hold", s->hold);
	if (s->until)
		cof_json_set_time(o, "until", s->until);
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
		cof_json_append(one, cof_json_new_uint(s->count ? s->count : 1));
		cof_json_append(all, one);
		cof_json_set(o, "objects", all);
	}
	ret->len = 0;
	ck_assert_int_eq(cof_json_canonical(o, ret), 0);
}

void approved_escrow(const char *action, const char *what, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf plain = {0}, fields = {0}, vote = {0};
	cof_autojson struct cof_json *o = NULL;
	struct cof_json *shelves = cof_json_array();
	struct cof_judgement w;
	uint8_t id[32];
	int r;

	document(&(struct spec){.action = action}, &plain);
	ck_assert_int_eq(cof_json_parse((const char *)plain.data, plain.len, &o), 0);
	cof_json_append(shelves, cof_json_new_uint(2));
	cof_json_set(o, "shelves", shelves);
	if (what) {
		cof_json_set_uint(o, "record", 77);
		cof_json_set_str(o, "what", what);
	} else {
		cof_json_set_str(o, "key", ESCROW_KEY);
		cof_json_set_str(o, "recipient", ESCROW_TO);
	}
	ck_assert_int_eq(cof_json_canonical(o, ret), 0);
	cof_field_put(&fields, COF_T_DOCUMENT, ret->data, ret->len);
	sign(&fields, "alice", "alice", COF_SIGN_REQUEST, ret);
	r = take(REQUEST, 0, NOW, &fields, &w);
	PERMITTED(r, w);
	cof_sha256(ret->data, ret->len, id);
	cof_field_put(&vote, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&vote, COF_T_VERDICT, COF_VERDICT_APPROVE);
	sign(&vote, "bob", "bob", COF_SIGN_APPROVE, ret);
	r = take(APPROVAL, 0, NOW, &vote, &w);
	PERMITTED(r, w);
	ck_assert(w.met);
}

void proposed_escrow(const struct cof_buf *fields)
{
	enum { T_WHAT = 190, T_OF = 199, T_PROPOSES = 205, EPOCH = 2, EPOCH_VALID = 3, PROPOSED = 18, ESCROW = 30 };
	cof_autobuf struct cof_buf of = {0};
	uint64_t then = sequence;
	struct cof_judgement w;
	struct cof_field f;
	size_t off = 0;
	uint8_t what;
	int r;

	ck_assert_int_eq(cof_field_u8(fields->data, fields->len, T_WHAT, &what), 0);
	cof_field_put_u8(&of, T_WHAT, what == EPOCH_VALID ? EPOCH : PROPOSED);
	if (what != EPOCH_VALID)
		cof_field_put_u8(&of, T_PROPOSES, what);
	while (cof_field_next(fields->data, fields->len, &off, &f) > 0)
		if (f.tag > T_WHAT && f.tag != T_OF)
			cof_field_put(&of, f.tag, f.value, f.len);
	sequence = 77;
	r = take(ESCROW, 0, NOW, &of, &w);
	PERMITTED(r, w);
	sequence = then;
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

char policy_text[] = "retention = 10d\n", weaker_text[] = "retention = 5d\n";

void policy_is(const char *text)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement w;
	int r;

	cof_field_put_str(&fields, 27, text);
	r = take(SHELF, 2, NOW, &fields, &w);
	PERMITTED(r, w);
}

void set_up(void)
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
				  "carol %s roles=auditor\nhana %s roles=auditor\n"
				  "dan valid-before=\"20200101Z\" %s roles=operator\n"
				  "erin cert-authority %s roles=operator\nfrank cert-authority %s roles=operator\n"
				  "gina %s roles=operator\n",
				  pub("alice"), pub("bob"), pub("carol"), pub("hana"), pub("dan"), pub("ca"), pub("ca"), pub("gina")),
			 0);
	r = first_people(text, pub("gina"), officers, &w);
	PERMITTED(r, w);
}

void without_people(void)
{
	struct cof_judge_params p = {.verify = verify, .verify_user = verify_user, .head = head};

	tear_down();
	memset(p.archive_id, 1, 16);
	sequence = 1;
	ck_assert_int_eq(cof_judge_new(&p, &judge), 0);
	policy_is(policy_text);
}

void tear_down(void)
{
	cof_judge_free(judge);
	judge = NULL;
}

void make_keys(void)
{
	static const char *const names[] = {"alice", "bob", "carol", "dan", "gina", "hana", "ca", "both"};

	strcpy(dir, "/tmp/test-approve.XXXXXX");
	if (!mkdtemp(dir))
		exit(1);
	for (size_t i = 0; i < COF_COUNT(names); i++)
		run("ssh-keygen -q -t ed25519 -N '' -C '' -f %s/%s", dir, names[i]);
	run("cd %s && ssh-keygen -q -s ca -I both -n erin,frank -V 20200101:20400101 both.pub", dir);
	run("cd %s && mv both-cert.pub both.pub", dir); /* ssh-keygen signs with the certificate then */
}

void remove_keys(void)
{
	run("rm -r %s", dir);
}
