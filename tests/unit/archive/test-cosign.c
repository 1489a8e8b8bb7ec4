/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cosignatures in the chain: which are taken and which are refused, what they bound, when retention time catches up, and
 * what verify and the judge say of frames that the daemon would not have written.
 */
#include <stdio.h>
#include <time.h>

#include "fs/archive/keys-box.h"
#include "fs/archive/people.h"
#include "signed.h"
#include "support.h"

#define DAY (INT64_C(86400) * COF_NSEC)
#define T0 INT64_C(1893456000) /* seconds: 2030 */

int64_t __real_cof_now(clockid_t clock);
int64_t __wrap_cof_now(clockid_t clock);

static int64_t wall; /* ns; 0: as it is */
static struct store s;
static struct cof_diag diag;
static const struct vault {
	const char *name, *administration, *place;
	uint8_t seed[32];
} vault_b = {"b", "north", "22.62,120.30,Kaohsiung", {1}}, vault_c = {"c", "south", "24.14,120.68,Taichung", {2}},
  vault_d = {"d", "south", "25.03,121.56,Taipei", {3}};

int64_t __wrap_cof_now(clockid_t clock)
{
	return clock == CLOCK_REALTIME && wall ? wall : __real_cof_now(clock);
}

static struct cof_vkey key_of(const struct vault *v)
{
	struct cof_vkey vkey;
	uint8_t pub[32];
	char name[32];

	snprintf(name, sizeof(name), "vault.example/%s", v->name);
	ck_assert_int_eq(cof_ed25519_public(v->seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make(name, COF_NOTE_COSIG, pub, &vkey), 0);
	return vkey;
}

static void add(const struct vault *v)
{
	struct cof_vkey vkey = key_of(v);
	char text[COF_VKEY_MAX], path[64], conf[512];

	cof_vkey_text(&vkey, text);
	snprintf(path, sizeof(path), "vaults/%s.conf", v->name);
	snprintf(conf, sizeof(conf), "[vault]\nurl = ssh://vault.example/x\nvkey = %s\nplace = %s\njurisdiction = TW\nadministration = %s\n",
		 text, v->place, v->administration);
	ck_assert_int_eq(cof_io_replace(s.io, path, conf, strlen(conf)), 0);
}

static void setup(void)
{
	static const char host[] = "[host]\nplace = 25.03,121.56,Taipei\njurisdiction = TW\n";

	wall = 0;
	store_make(&s, STORE_SIM);
	ck_assert_int_eq(cof_io_mkdir(s.io, "vaults"), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/host", host, sizeof(host) - 1), 0);
	add(&vault_b);
	add(&vault_c);
	add(&vault_d);
}

static void teardown(void)
{
	store_done(&s);
}

/* ---- people, whose signatures are taken for good ---- */

static int good(void *user, const struct cof_signature *signature, struct cof_diag *why)
{
	(void)user;
	(void)signature;
	(void)why;
	return 0;
}

static void put(uint8_t type, uint64_t position, const struct cof_buf *fields);

/* Two officers, and these vaults, run by who is named behind the "@". */
static void enroll(const struct vault *const vaults[], size_t n)
{
	static const uint8_t first[32] = {101}, second[32] = {102}, zero[32] = {0};
	cof_autobuf struct cof_buf people = {0}, doc = {0}, fields = {0};
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *head = cof_json_object();
	int64_t now = __real_cof_now(CLOCK_REALTIME);
	uint8_t root[COF_HASH];

	put_person(&people, "alice", first, "officer");
	put_person(&people, "bob", second, "officer");
	for (size_t i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s@%s", vaults[i]->name, vaults[i]->administration);
		put_person(&people, name, key_of(vaults[i]).public_key, "vault");
	}
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_tree_head(s.io, 1, root), 0);
	cof_json_set_str(o, "action", "people-first");
	set_hex(o, "archive", s.archive->conf.id, 16);
	cof_json_set_str(o, "author", "alice");
	cof_json_set_time(o, "created", now - now % COF_NSEC);
	cof_json_set_time(o, "expires", now - now % COF_NSEC + DAY);
	set_hex(head, "root", root, sizeof(root));
	cof_json_set_uint(head, "size", 1);
	cof_json_set(o, "head", head);
	set_hex(o, "nonce", zero, 16);
	cof_json_set_str(o, "people", (char *)people.data);
	set_hex(o, "sheet", zero, 32);
	cof_json_set_int(o, "version", 1);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_field_put(&fields, COF_T_PEOPLE, people.data, people.len);
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	put_signature(&fields, "alice", first, COF_SIGN_PEOPLE);
	put_signature(&fields, "bob", second, COF_SIGN_PEOPLE);
	put(COF_PEOPLE, 0, &fields);
	store_close(&s);
	store_open(&s); /* and the judge of the archive knows them */
}
static const struct vault *const all_vaults[] = {&vault_b, &vault_c, &vault_d};

/* The newest checkpoint as this vault signs it at a time. */
static void sign(const struct vault *v, int64_t seconds, struct cof_buf *note)
{
	struct cof_vkey vkey = key_of(v);
	uint8_t *data = NULL;
	size_t n = 0;

	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_io_load(s.io, "checkpoint", COF_NOTE_MAX, &data, &n), 0);
	cof_buf_add(note, data, n);
	free(data);
	ck_assert_int_eq(cof_note_cosign(note, &vkey, v->seed, (uint64_t)seconds), 0);
}

static int give(const char *as, const struct cof_buf *note, struct cof_cosigned *ret)
{
	diag.text[0] = 0;
	return cof_archive_cosign(s.archive, as, note->data, note->len, INT64_MIN, ret, &diag);
}

static void cosign(const struct vault *v, int64_t seconds, struct cof_cosigned *ret)
{
	cof_autobuf struct cof_buf note = {0};

	sign(v, seconds, &note);
	ck_assert_msg(give(v->name, &note, ret) == 0, "%s", diag.text);
	ck_assert_uint_ne(ret->sequence, 0);
}

static uint64_t file(const char *name)
{
	uint64_t ino = must_create(&s, AUDIT, name, COF_KIND_FILE);

	must_write(&s, ino, 0, "text", 4);
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	return ino;
}

static void archived_is(uint64_t ino, int64_t seconds)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *at;
	char text[32];

	ck_assert_int_eq(cof_archive_info(s.archive, ino, o), 0);
	at = cof_json_str(o, "archived_at");
	cof_time_text(seconds * COF_NSEC, text);
	if (seconds)
		ck_assert_str_eq(at, text);
	else
		ck_assert_ptr_null(at);
}

static int64_t waiting(void)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int64_t n = -1;

	ck_assert_int_eq(cof_archive_status(s.archive, o), 0);
	ck_assert_int_eq(cof_json_int(cof_json_get(o, "archived"), "waiting", &n), 0);
	return n;
}

/* The first vault elsewhere that covers a file says since when it is archived, over remounts and a lost index too. */
START_TEST(archived)
{
	struct cof_cosigned done;
	uint64_t one = file("one"), two;

	archived_is(one, 0);
	cosign(&vault_d, T0, &done); /* in the host's own town */
	ck_assert(!done.elsewhere);
	archived_is(one, 0);
	ck_assert_int_gt(waiting(), 0);
	cosign(&vault_b, T0 + 10, &done);
	ck_assert(done.elsewhere);
	ck_assert_int_eq(waiting(), 0);
	two = file("two");
	archived_is(two, 0);
	cosign(&vault_c, T0 + 20, &done);
	cosign(&vault_b, T0 + 30, &done);
	for (int again = 0; again < 3; again++) {
		archived_is(one, T0 + 10);
		archived_is(two, T0 + 20);
		store_close(&s);
		store_open(&s);
	}
}
END_TEST

static void refused(const char *as, const struct cof_buf *note, int err, const char *why)
{
	struct cof_cosigned done;

	ck_assert_int_eq(give(as, note, &done), err);
	ck_assert_msg(strstr(diag.text, why) != NULL, "%s", diag.text);
}

START_TEST(refusals)
{
	struct cof_buf old = {0}, newer = {0}, plain = {0}, other = {0};
	struct cof_cosigned done;
	uint64_t before;

	file("one");
	sign(&vault_b, T0, &old);
	file("two");
	sign(&vault_b, T0 + 5, &newer);
	refused("nobody", &newer, -ENOENT, "has no vault");
	refused("../b", &newer, -ENOENT, "has no vault");
	refused("c", &newer, -EKEYREJECTED, "signature does not hold");
	cof_buf_add(&plain, newer.data, newer.len);
	plain.data[plain.len - 8] ^= 1; /* in the last signature */
	refused("b", &plain, -EKEYREJECTED, "signature does not hold");
	ck_assert_int_eq(give("b", &newer, &done), 0);
	before = done.sequence;
	refused("b", &old, -ESTALE, "older than what this vault said");
	/* nothing new: only what told of the one before */
	other.len = 0;
	sign(&vault_b, T0 + 6, &other);
	ck_assert_int_eq(give("b", &other, &done), 0);
	ck_assert_uint_eq(done.sequence, 0);
	store_close(&s);
	store_open(&s);
	refused("b", &old, -ESTALE, "older than what this vault said"); /* also after a mount */
	ck_assert_uint_gt(before, 0);
	cof_buf_done(&old);
	cof_buf_done(&newer);
	cof_buf_done(&plain);
	cof_buf_done(&other);
}
END_TEST

/* A checkpoint that covers the frame of the one before it, as the anchor and the mixing ask for while nobody writes: the log's
 * last frame is none that the archive wrote. */
START_TEST(own_frames)
{
	struct cof_cosigned done = {.sequence = 0};
	cof_autobuf struct cof_buf note = {0};
	uint64_t seen;

	file("one");
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	seen = atomic_load(&s.archive->size);
	ck_assert_int_eq(cof_log_checkpoint_again(s.archive->log), 0);
	ck_assert_uint_eq(atomic_load(&s.archive->size), seen); /* the case that is meant */
	sign(&vault_b, T0, &note);
	ck_assert_msg(give("b", &note, &done) == 0, "%s", diag.text);
	ck_assert_uint_eq(done.covers, seen + 1);
}
END_TEST

/* Signed by the archive's own key, and by the vault, for another history. */
START_TEST(forked)
{
	cof_autobuf struct cof_buf text = {0}, note = {0};
	struct cof_vkey vkey = key_of(&vault_b);
	struct cof_checkpoint head;
	uint8_t *data = NULL;
	size_t n = 0;

	file("one");
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	ck_assert_int_eq(cof_io_load(s.io, "checkpoint", COF_NOTE_MAX, &data, &n), 0);
	ck_assert_int_eq(cof_checkpoint_open(data, n, &s.archive->conf.vkey, &head), 0);
	free(data);
	head.root[0] ^= 1;
	ck_assert_int_eq(cof_checkpoint_sign(&head, &s.archive->conf.vkey, s.archive->keys->signing, &note), 0);
	ck_assert_int_eq(cof_note_cosign(&note, &vkey, vault_b.seed, T0), 0);
	refused("b", &note, -EXDEV, "not this log's");
}
END_TEST

static int64_t retention(void)
{
	return cof_clock_retention(&s.archive->clock);
}

/* Two administrations that agree; one is not enough, nor two vaults of one, nor two that differ; never beyond the wall. */
START_TEST(catches_up)
{
	struct cof_cosigned done;
	int64_t before;

	enroll(all_vaults, 3);
	before = retention();
	wall = (T0 + 100) * COF_NSEC;
	file("one");
	cosign(&vault_c, T0, &done);
	ck_assert_int_eq(done.caught_up, 0);
	cosign(&vault_d, T0 + 1, &done); /* of the same administration */
	ck_assert_int_eq(done.caught_up, 0);
	file("two");
	cosign(&vault_b, T0 + 20, &done); /* they differ by more than 5 s */
	ck_assert_int_eq(done.caught_up, 0);
	ck_assert_int_lt(retention() - before, DAY);
	file("three");
	cosign(&vault_c, T0 + 22, &done);
	ck_assert_int_gt(done.caught_up, DAY);
	ck_assert_int_ge(retention(), (T0 + 20) * COF_NSEC);
	ck_assert_int_le(retention(), (T0 + 22) * COF_NSEC);
	file("four");
	cosign(&vault_b, T0 + 200, &done);
	cosign(&vault_c, T0 + 201, &done);
	ck_assert_int_ge(retention(), (T0 + 100) * COF_NSEC); /* the wall clock, not what both say */
	ck_assert_int_le(retention(), (T0 + 110) * COF_NSEC);
	before = retention();
	store_close(&s);
	store_open(&s);
	ck_assert_int_ge(retention(), before);
}
END_TEST

/* Vaults that the people do not name move no clock: root adds two of its own, and sets their clocks with the host's. */
START_TEST(not_enrolled)
{
	struct cof_cosigned done;
	int64_t before;

	if (_i)
		enroll(all_vaults, 1); /* b alone */
	before = retention();
	wall = (T0 + 100) * COF_NSEC;
	file("one");
	cosign(&vault_b, T0, &done);
	cosign(&vault_c, T0 + 1, &done);
	ck_assert_int_eq(done.caught_up, 0);
	ck_assert_int_lt(retention() - before, DAY);
}
END_TEST

/* ---- what is on disk, and how it is judged ---- */

static char found[2048];
static unsigned not_permitted;

static void on_finding(void *user, const struct cof_finding *f)
{
	(void)user;
	snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s: %s\n", cof_verdict_name(f->verdict), f->text);
}

static bool on_cosign(void *user, const struct cof_cosign *c)
{
	return !user || !strcmp(c->vkey.name, user);
}

static void verify(const char *known, struct cof_verified *ret)
{
	struct cof_verify_params p = {
	    .io = s.io, .finding = on_finding, .cosign = on_cosign, .user = (void *)(uintptr_t)known};

	found[0] = 0;
	ck_assert_msg(cof_log_verify(&p, ret, &diag) == 0, "%s", diag.text);
}

static void on_judged(void *user, uint64_t sequence, const char *type, const char *rule, const char *reason)
{
	(void)user;
	(void)sequence;
	snprintf(found, sizeof(found), "%s %s: %s", type, rule, reason);
	not_permitted++;
}

static void judge(void)
{
	struct cof_judge_store p = {.finding = on_judged, .verify = good};
	struct cof_judged ret;

	not_permitted = 0;
	found[0] = 0;
	ck_assert_msg(cof_store_judge(s.io, &p, &ret, &diag) == 0, "%s", diag.text);
}

static void put(uint8_t type, uint64_t position, const struct cof_buf *fields)
{
	struct cof_draft d = {
	    .type = type, .position = position, .system = true, .public_part = fields->data, .public_len = (uint32_t)fields->len};

	cof_gate_enter(s.archive);
	ck_assert_int_eq(cof_archive_put(s.archive, &d, NULL, NULL), 0);
	cof_gate_leave(s.archive);
}

START_TEST(verified)
{
	struct cof_cosigned done;
	struct cof_verified v;

	enroll(all_vaults, 3);
	wall = (T0 + 100) * COF_NSEC;
	file("one");
	cosign(&vault_b, T0 + 20, &done);
	cosign(&vault_c, T0 + 22, &done);
	ck_assert_int_gt(done.caught_up, DAY);
	store_close(&s);
	verify(NULL, &v);
	ck_assert_msg(v.verdict == COF_INTACT, "%s", found);
	ck_assert_uint_eq(v.cosigns, 2);
	ck_assert_uint_eq(v.cosigns_proven, 2);
	ck_assert_int_eq(v.proven_from, (T0 + 21) * COF_NSEC);
	verify("vault.example/b", &v);
	ck_assert_uint_eq(v.cosigns_proven, 1);
	ck_assert_int_eq(v.proven_from, (T0 + 19) * COF_NSEC);
	verify("nobody", &v);
	ck_assert_uint_eq(v.cosigns_proven, 0);
	judge();
	ck_assert_msg(!not_permitted, "%s", found);
	store_open(&s);
}
END_TEST

/* A frame that no daemon would write: 0 another vault's signature, 1 a time that is not the note's, 2 an old one again. */
START_TEST(forged)
{
	cof_autobuf struct cof_buf note = {0}, fields = {0};
	static const char *const said[] = {"not signed by both", "another time", "an old one was sent again"};
	struct cof_cosign c = {.vkey = key_of(_i ? &vault_b : &vault_c), .time = T0 * COF_NSEC, .distance = -1};
	struct cof_checkpoint head;
	struct cof_cosigned done;
	struct cof_verified v;

	file("one");
	sign(&vault_b, T0, &note);
	ck_assert_int_eq(cof_checkpoint_open(note.data, note.len, &s.archive->conf.vkey, &head), 0);
	if (_i == 1)
		c.time += COF_NSEC;
	if (_i == 2) {
		file("two");
		cosign(&vault_b, T0 + 50, &done);
	}
	ck_assert_int_eq(cof_cosign_fields(&c, note.data, note.len, &fields), 0);
	put(COF_COSIGN, head.size, &fields);
	file("three");
	store_close(&s);
	verify(NULL, &v);
	ck_assert_int_eq(v.verdict, COF_TAMPERED);
	ck_assert_msg(strstr(found, said[_i]) != NULL, "%s", found);
	store_open(&s);
}
END_TEST

/* Retention time that goes on by nobody's leave, by one vault twice, by two of one administration, by two that say other times,
 * by what a vault said before, by a frame that is no vault's, by too much. */
START_TEST(clock_forged)
{
	static const struct {
		bool names, enrolled;
		const struct vault *other;
		int64_t after;
		const char *rule;
		int64_t apart; /* seconds that the other one says later, beside one */
		bool older, none; /* what is named is not the newest of its vault; is no cosignature */
	} how[] = {{false, true, &vault_b, 0, "not-approved"}, {true, true, &vault_c, 1, "quorum"}, {true, true, &vault_b, 3, "ahead"},
		   {true, true, &vault_b, 0, NULL}, {true, false, &vault_b, 0, "not-enrolled"},
		   {true, true, &vault_b, 0, NULL, .apart = 4}, {true, true, &vault_b, 0, "disagree", .apart = 10},
		   {true, true, &vault_b, 0, "disagree", .apart = -10}, {true, true, &vault_b, 0, "unknown-vault", .older = true},
		   {true, true, &vault_b, 0, "unknown-vault", .none = true}};
	cof_autobuf struct cof_buf fields = {0};
	struct cof_cosigned one, two;
	int64_t before;
	uint8_t by[16];

	if (how[_i].enrolled)
		enroll(all_vaults, 3);
	wall = __real_cof_now(CLOCK_REALTIME); /* so that the daemon itself has no reason to go on */
	file("one");
	cosign(&vault_d, T0, &one);
	cosign(how[_i].other, T0 + 1 + how[_i].apart, &two);
	if (how[_i].older) {
		struct cof_cosigned newer;

		file("two");
		cosign(how[_i].other, T0 + 2, &newer);
	}
	if (how[_i].none)
		two.sequence += 1000;
	before = retention();
	cof_put_le64(by, one.sequence);
	cof_put_le64(by + 8, two.sequence);
	if (how[_i].names)
		cof_field_put(&fields, COF_T_COSIGNED, by, sizeof(by));
	cof_field_put_i64(&fields, COF_T_RETENTION_BEFORE, before);
	cof_field_put_i64(&fields, COF_T_RETENTION_AFTER, (T0 + how[_i].after) * COF_NSEC);
	put(COF_CLOCK, 0, &fields);
	store_close(&s);
	judge();
	ck_assert_uint_eq(not_permitted, how[_i].rule != NULL);
	if (how[_i].rule)
		ck_assert_msg(strstr(found, how[_i].rule) != NULL, "%s", found);
	store_open(&s);
}
END_TEST

/* What vaults sent while nobody had the archive open is chained by whoever opens it, once. */
START_TEST(pending)
{
	cof_autobuf struct cof_buf note = {0};
	uint64_t one = file("one"), size;

	sign(&vault_b, T0, &note);
	store_close(&s);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/b.note", note.data, note.len), 0);
	store_open(&s);
	archived_is(one, 0);
	cof_archive_tick(s.archive);
	archived_is(one, T0);
	cof_archive_tick(s.archive);
	size = atomic_load(&s.archive->size);
	store_close(&s);
	store_open(&s);
	cof_archive_tick(s.archive);
	cof_archive_tick(s.archive);
	archived_is(one, T0);
	ck_assert_uint_le(atomic_load(&s.archive->size), size + 8); /* no COSIGN frame again, whose note is as long as 8 frames */
}
END_TEST

/* ---- overdue ---- */

static unsigned overdue(const char *text)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const struct cof_json *list;
	unsigned n = 0;

	ck_assert_int_eq(cof_archive_status(s.archive, o), 0);
	list = cof_json_get(o, "faults");
	for (size_t i = 0; i < cof_json_count(list); i++)
		n += strstr(cof_json_str(cof_json_at(list, i), "text"), text) != NULL;
	return n;
}

/* Days behind T0; what was told so far is acknowledged behind that. */
static void at_day(int day, unsigned b, unsigned c, unsigned d)
{
	uint64_t n;

	wall = T0 * COF_NSEC + day * DAY;
	for (int i = 0; i < 3; i++) {
		cof_archive_tick(s.archive);
		wall += 3600 * COF_NSEC;
	}
	ck_assert_msg(overdue("Vault b is overdue: it confirmed nothing for longer than 30 d") == b, "b on day %d: %u", day, overdue("Vault b"));
	ck_assert_msg(overdue("Vault c is overdue") == c, "c on day %d", day);
	ck_assert_msg(overdue("Vault d is overdue") == d, "d on day %d", day);
	ck_assert_int_eq(cof_archive_acknowledge(s.archive, NULL, &n, &diag), 0);
}

/* A vault that confirmed nothing for longer than the policy has it is told of, once; again only once it did and that is too long ago. */
START_TEST(overdue_vaults)
{
	static const char retiring[] = "retiring = 2030-03-01T00:00:00.000Z\n";
	cof_autobuf struct cof_buf note = {0}, conf = {0};
	cof_autofree uint8_t *text = NULL;
	size_t n = 0;

	(void)file("one");
	sign(&vault_b, T0, &note);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/b.note", note.data, note.len), 0);
	at_day(60, 0, 0, 0); /* the policy asks for nothing */
	s.archive->profile.backup_offsite = 30 * DAY;
	at_day(29, 0, 0, 0);
	at_day(31, 1, 0, 0);
	at_day(32, 0, 0, 0); /* of the same period */
	ck_assert_int_eq(cof_io_load(s.io, "vaults/d.conf", 4096, &text, &n), 0);
	cof_buf_add(&conf, text, n);
	cof_buf_add(&conf, retiring, sizeof(retiring) - 1);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/d.conf", conf.data, conf.len), 0);
	at_day(61, 0, 1, 0); /* c never confirmed anything, and was seen first on day 29; d is being left */
	at_day(62, 0, 0, 0);
	note.len = 0;
	sign(&vault_b, T0 + INT64_C(62) * 86400, &note);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/b.note", note.data, note.len), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/c.note", note.data, note.len), 0); /* which c did not sign: nothing is confirmed */
	at_day(91, 0, 0, 0);
	at_day(93, 1, 0, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("cosign");
	TCase *t = tcase_create("cosign");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, archived);
	tcase_add_test(t, refusals);
	tcase_add_test(t, own_frames);
	tcase_add_test(t, forked);
	tcase_add_test(t, catches_up);
	tcase_add_loop_test(t, not_enrolled, 0, 2);
	tcase_add_test(t, verified);
	tcase_add_loop_test(t, forged, 0, 3);
	tcase_add_loop_test(t, clock_forged, 0, 10);
	tcase_add_test(t, pending);
	tcase_add_test(t, overdue_vaults);
	suite_add_tcase(all, t);
	return all;
}

int main(void)
{
	struct cof_diag why;
	SRunner *r;
	int failed;

	if (cof_crypto_init(1u << 20, &why) < 0)
		return 1;
	r = srunner_create(suite());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
