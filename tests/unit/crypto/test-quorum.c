/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TPM gives to a quorum only: opened by each set with signatures of plain openssl; and what it refuses by itself, whatever
 * the program that asks believes: too few, others, signatures of a session before, of two sessions together, for another object,
 * with another expiry, too late, of an epoch that was ended. The policy is computed once more, from the specification
 * (TPM 2.0 Part 3). Skipped (77) where swtpm or tpm2-tools is missing.
 */
#include "test-crypto.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "../../support/swtpm.h"
#include "crypto/quorum.h"

enum { ALICE, BOB, CAROL, MALLORY, KEYS };
static const char *const names[KEYS] = {"alice", "bob", "carol", "mallory"};

static struct swtpm sw;
static struct cof_tpm *tpm;
static struct cof_diag diag;
static uint32_t index_;
static uint64_t value;
static uint8_t point[KEYS][COF_P256_POINT], secret[COF_TPM_SECRET], got[COF_TPM_SECRET];
static char dir[64];

static void must_be(int r, int expected)
{
	if (r != expected)
		ck_abort_msg("%d, not %d: %s", r, expected, diag.text);
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static size_t slurp(const char *name, void *out, size_t cap)
{
	char path[128];
	size_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_read_all(fd, out, cap, &n), 0);
	close(fd);
	return n;
}

static void setup(void)
{
	static const uint8_t seed[16] = {0x31, 0x22, 0x33, 0x44};
	char pem[1024], file[32];

	must_be(cof_crypto_init(1 << 20, &diag), 0);
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(0x60 + i);
	strcpy(dir, "/tmp/test-quorum.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (unsigned i = 0; i < KEYS; i++) {
		run("cd %s && openssl ecparam -name prime256v1 -genkey -noout -out %s && openssl pkey -in %s -pubout -out %s.pub", dir, names[i],
		    names[i], names[i]);
		snprintf(file, sizeof(file), "%s.pub", names[i]);
		must_be(cof_p256_public(pem, slurp(file, pem, sizeof(pem)), point[i], &diag), 0);
		must(cof_p256_on_curve(point[i]));
	}
	swtpm_new(&sw);
	must_be(cof_tpm_open(sw.socket, &tpm, &diag), 0);
	must_be(cof_tpm_index_free(tpm, seed, &index_, &diag), 0);
	must_be(cof_tpm_counter_define(tpm, index_, COF_TPM_NORMAL, &value, &diag), 0);
}

static void teardown(void)
{
	cof_tpm_free(tpm);
	swtpm_remove(&sw);
	run("rm -r %s", dir);
}

/* Two of alice, bob and carol: three sets, or the first of them alone. */
static struct cof_quorum quorum(unsigned sets, uint8_t ref)
{
	struct cof_quorum q = {.object = {.index = index_, .value = value}, .n_persons = 3, .n_sets = sets, .set = {3, 5, 6}};

	memset(q.ref, ref, sizeof(q.ref));
	for (unsigned i = 0; i < 3; i++) {
		strcpy(q.person[i].name, names[i]);
		memcpy(q.person[i].point, point[i], COF_P256_POINT);
	}
	must_be(cof_quorum_seal(tpm, &q, secret, &diag), 0);
	return q;
}

static void sign(unsigned who, const uint8_t message[COF_QUORUM_MESSAGE], uint8_t sig[COF_P256_SIGNATURE])
{
	uint8_t der[128];
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/message", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_write_all(fd, message, COF_QUORUM_MESSAGE), 0);
	close(fd);
	run("cd %s && openssl dgst -sha256 -sign %s -out sig message", dir, names[who]);
	must_be(cof_p256_signature(der, slurp("sig", der, sizeof(der)), sig), 0);
}

/* ---- who signs in a session ---- */

struct signing {
	unsigned who[2];     /* the bits of q's persons, and whose key */
	bool forced;	     /* into the call, as a program would that does not look */
	const uint8_t *message; /* signed instead of the session's */
	bool kept;	     /* signatures of before, out of `old` */
	bool other_cphash;   /* which the TPM is given too */
	bool late, reset;
	unsigned called;
	uint8_t old[2][COF_P256_SIGNATURE], seen[COF_QUORUM_MESSAGE];
};
static uint8_t cphash_of_other[COF_HASH];

static void until_late(void)
{
	struct timespec from, now, step = {.tv_nsec = 20000000};

	clock_gettime(CLOCK_MONOTONIC, &from);
	do { /* what is waited for is that the TPM's second is over */
		nanosleep(&step, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 1300);
}

static int collect(void *user, struct cof_quorum_call *c, struct cof_diag *d)
{
	struct signing *s = user;
	int r = 0;

	s->called++;
	memcpy(s->seen, c->message, sizeof(s->seen));
	if (s->other_cphash)
		memcpy(c->message + 36, cphash_of_other, COF_HASH);
	for (unsigned i = 0; r == 0 && i < 2; i++) {
		unsigned person = s->who[i] == MALLORY ? (unsigned)BOB : s->who[i];

		if (!s->kept)
			sign(s->who[i], s->message ? s->message : c->message, s->old[i]);
		if (s->forced) {
			memcpy(c->signature[person], s->old[i], COF_P256_SIGNATURE);
			c->has[person] = true;
		} else {
			r = cof_quorum_take(c, person, s->old[i]);
		}
	}
	if (s->late)
		until_late();
	if (s->reset)
		swtpm_reset(&sw);
	return r < 0 ? cof_fail(d, r, "%s", strerror(-r)) : 0;
}

static int open_it(const struct cof_quorum *q, struct signing *s)
{
	memset(got, 0, sizeof(got));
	diag.text[0] = '\0';
	return cof_quorum_open(tpm, q, s->late ? 1 : 600, collect, s, got, &diag);
}

static void opens(const struct cof_quorum *q, struct signing *s)
{
	must_be(open_it(q, s), 0);
	must(memcmp(got, secret, sizeof(secret)) == 0);
}

/* Not a byte comes out. */
static void refused(const struct cof_quorum *q, struct signing s, int code)
{
	static const uint8_t nothing[COF_TPM_SECRET];

	must_be(open_it(q, &s), code);
	must(memcmp(got, nothing, sizeof(got)) == 0);
}

/* ---- the policy, once more ---- */

static void hash2(uint8_t policy[32], const void *more, size_t n)
{
	uint8_t text[512];

	memcpy(text, policy, 32);
	memcpy(text + 32, more, n);
	cof_sha256(text, 32 + n, policy);
}

/* An ECC key for signing, SHA-256, userWithAuth, noDA, sign; no symmetric cipher, scheme and KDF; NIST P-256. */
static void policy_signed(uint8_t policy[32], const uint8_t p[64], const uint8_t ref[32])
{
	uint8_t area[88] = {0, 0x23, 0, 0x0b, 0, 0x04, 0x04, 0x40, 0, 0, 0, 0x10, 0, 0x10, 0, 0x03, 0, 0x10, 0, 32};
	uint8_t more[38] = {0, 0, 0x01, 0x60, 0, 0x0b};

	memcpy(area + 20, p, 32);
	area[53] = 32;
	memcpy(area + 54, p + 32, 32);
	cof_sha256(area, 86, more + 6);
	hash2(policy, more, sizeof(more));
	hash2(policy, ref, 32);
}

static void policy_nv(uint8_t policy[32])
{
	uint8_t operand[12] = {0}, area[14] = {0}, more[4 + 32 + 34] = {0, 0, 0x01, 0x49};
	/* written, no_da, authread, ownerread, counter, authwrite, ownerwrite */
	const uint32_t attributes = 1u << 29 | 1u << 25 | 1u << 18 | 1u << 17 | 1u << 4 | 1u << 2 | 1u << 1;

	cof_put_be64(operand, value);
	cof_sha256(operand, sizeof(operand), more + 4);
	cof_put_be32(area, index_);
	area[5] = 0x0b;
	cof_put_be32(area + 6, attributes);
	area[13] = 8;
	more[37] = 0x0b;
	cof_sha256(area, sizeof(area), more + 38);
	hash2(policy, more, sizeof(more));
}

START_TEST(as_specified)
{
	/* sealed data, SHA-256, fixedTPM, fixedParent, noDA; neither userWithAuth nor adminWithPolicy */
	static const uint8_t head[8] = {0, 0x08, 0, 0x0b, 0, 0, 0x04, 0x12};
	static const unsigned sets[3][2] = {{ALICE, BOB}, {ALICE, CAROL}, {BOB, CAROL}};
	struct cof_quorum q = quorum(_i ? 3 : 1, 9);
	uint8_t policy[32] = {0}, branches[4 + 3 * 32] = {0, 0, 0x01, 0x71}, cphash[32], text[38] = {0, 0, 0x01, 0x5e, 0, 0x0b}, want[32];

	for (unsigned i = 0; i < (_i ? 3u : 1u); i++) {
		memset(policy, 0, 32);
		for (unsigned k = 0; k < 2; k++)
			policy_signed(policy, point[sets[i][k]], q.ref);
		memcpy(branches + 4 + 32 * i, policy, 32);
	}
	if (_i) {
		memset(policy, 0, 32);
		hash2(policy, branches, sizeof(branches));
	}
	policy_nv(policy);
	must(memcmp(q.object.public_area + 2, head, sizeof(head)) == 0);
	must(q.object.public_area[10] == 0 && q.object.public_area[11] == 32);
	must(memcmp(q.object.public_area + 12, policy, 32) == 0);
	must_be(cof_quorum_cphash(&q, cphash), 0);
	cof_sha256(q.object.public_area + 2, q.object.public_len - 2u, text + 6);
	cof_sha256(text, sizeof(text), want);
	must(memcmp(cphash, want, 32) == 0);
}
END_TEST

START_TEST(each_set_opens)
{
	struct cof_quorum q = quorum(3, 9), again;
	cof_autobuf struct cof_buf b = {0};
	struct signing s = {.who = {ALICE, BOB}};
	uint8_t nonce[32];

	opens(&q, &s);
	memcpy(nonce, s.seen, 32);
	s.who[1] = CAROL;
	opens(&q, &s);
	must(memcmp(nonce, s.seen, 32) != 0);
	must_be(cof_quorum_store(&q, &b), 0);
	must_be(cof_quorum_load(b.data, b.len, &again), 0);
	s.who[0] = BOB;
	opens(&again, &s);
	for (size_t n = 0, whole = 0; n <= b.len; n++) { /* cut behind a set it is a file, of which the TPM thinks otherwise (wrong_quorum) */
		whole += cof_quorum_load(b.data, n, &again) == 0;
		must(whole == (n < b.len - 14 ? 0u : n < b.len - 7 ? 1u : n < b.len ? 2u : 3u));
	}
	s.reset = true;
	ck_assert_int_lt(open_it(&q, &s), 0);
	s.reset = false;
	opens(&q, &s);
	q = quorum(1, 9); /* one set, and no other one */
	s = (struct signing){.who = {ALICE, BOB}};
	opens(&q, &s);
	refused(&q, (struct signing){.who = {ALICE, CAROL}}, -EAGAIN);
	q.set[0] = 5; /* as whoever has the file would write it */
	refused(&q, (struct signing){.who = {ALICE, CAROL}}, -EKEYREJECTED);
}
END_TEST

START_TEST(wrong_quorum)
{
	struct cof_quorum q = quorum(3, 9), other = q;

	refused(&q, (struct signing){.who = {ALICE, ALICE}}, -EAGAIN);
	refused(&q, (struct signing){.who = {ALICE, MALLORY}}, -EBADMSG);
	refused(&q, (struct signing){.who = {ALICE, MALLORY}, .forced = true}, -EKEYREJECTED);
	memcpy(other.person[BOB].point, point[MALLORY], COF_P256_POINT); /* in bob's place, in the file */
	refused(&other, (struct signing){.who = {ALICE, MALLORY}}, -EKEYREJECTED);
	other = q;
	other.set[0] = 1; /* alice alone */
	refused(&other, (struct signing){.who = {ALICE, ALICE}}, -EUCLEAN);
	other = q;
	other.n_sets = 1;
	refused(&other, (struct signing){.who = {ALICE, BOB}}, -EKEYREJECTED);
}
END_TEST

/* Signatures of one session are of no use in another one, all of them or one of them. */
START_TEST(replay_and_added_up)
{
	struct cof_quorum q = quorum(3, 9);
	struct signing first = {.who = {ALICE, BOB}}, second = {.who = {ALICE, BOB}}, mixed;

	opens(&q, &first);
	mixed = first;
	mixed.kept = true;
	refused(&q, mixed, -EBADMSG);
	mixed.forced = true;
	refused(&q, mixed, -EKEYREJECTED);
	/* alice approved one request, bob the next one: never both in one session */
	must_be(open_it(&q, &second), 0);
	memcpy(mixed.old[0], first.old[0], COF_P256_SIGNATURE);
	memcpy(mixed.old[1], second.old[1], COF_P256_SIGNATURE);
	refused(&q, mixed, -EKEYREJECTED);
	mixed.forced = false;
	refused(&q, mixed, -EBADMSG);
}
END_TEST

START_TEST(other_object)
{
	struct cof_quorum a = quorum(3, 9), b = quorum(3, 9), c = quorum(3, 8);
	struct signing s = {.who = {ALICE, BOB}};
	uint8_t message[COF_QUORUM_MESSAGE];

	/* What was approved is a, and b is asked for: even with the same reference the TPM compares the object. */
	must_be(cof_quorum_cphash(&a, cphash_of_other), 0);
	opens(&a, &s);
	refused(&b, (struct signing){.who = {ALICE, BOB}, .other_cphash = true}, -EKEYREJECTED);
	/* By its reference, which is part of the policy. */
	memcpy(message, s.seen, sizeof(message));
	refused(&c, (struct signing){.who = {ALICE, BOB}, .message = message, .forced = true}, -EKEYREJECTED);
	memcpy(c.ref, a.ref, sizeof(c.ref));
	refused(&c, (struct signing){.who = {ALICE, BOB}}, -EKEYREJECTED);
}
END_TEST

START_TEST(expired)
{
	struct cof_quorum q = quorum(3, 9);
	uint8_t message[COF_QUORUM_MESSAGE], cphash[32], nonce[32] = {0};

	refused(&q, (struct signing){.who = {ALICE, BOB}, .late = true}, -ETIME);
	must_be(cof_quorum_cphash(&q, cphash), 0);
	cof_quorum_message(nonce, 1, cphash, q.ref, message); /* for a second, without a nonce: given for ten minutes */
	refused(&q, (struct signing){.who = {ALICE, BOB}, .message = message, .forced = true}, -EKEYREJECTED);
	must_be(cof_quorum_open(tpm, &q, 0, collect, NULL, got, &diag), -EINVAL);
}
END_TEST

START_TEST(old_epoch)
{
	struct cof_quorum old = quorum(3, 9), new;
	struct signing s = {.who = {ALICE, BOB}};
	uint8_t epoch[COF_HASH], other[COF_HASH];
	uint64_t now = 0;
	bool before;

	opens(&old, &s);
	memset(epoch, 0, sizeof(epoch));
	cof_quorum_epoch(&old, epoch);
	for (unsigned i = 0; i < 2; i++) { /* a second time does nothing more */
		must_be(cof_quorum_end(tpm, &old, &before, &diag), 0);
		must(before == (i > 0));
		must_be(cof_tpm_counter_read(tpm, index_, COF_TPM_NORMAL, &now, &diag), 0);
		must(now == value + 1);
	}
	value = now;
	s.called = 0;
	must_be(open_it(&old, &s), -ESTALE);
	must(s.called == 0); /* nobody is asked */
	old.object.value = value; /* as whoever has the file would write it */
	refused(&old, (struct signing){.who = {ALICE, BOB}}, -EKEYREJECTED);
	new = quorum(3, 9);
	cof_quorum_epoch(&new, other);
	must(memcmp(epoch, other, sizeof(epoch)) != 0); /* what ended is named by another name than what is made now */
	opens(&new, &s);
	new.object.parent_name[5] ^= 1; /* of another TPM */
	must(cof_quorum_end(tpm, &new, &before, &diag) < 0);
	must_be(cof_tpm_counter_read(tpm, index_, COF_TPM_NORMAL, &now, &diag), 0);
	must(now == value);
}
END_TEST

START_TEST(who_may_be_one)
{
	struct cof_quorum q = quorum(3, 9), other = q;

	other.set[1] = 7; /* holds another set */
	must_be(cof_quorum_check(&other, &diag), -EINVAL);
	other.set[1] = 9; /* somebody who is not there */
	must_be(cof_quorum_check(&other, &diag), -EINVAL);
	other.set[1] = 3;
	must_be(cof_quorum_check(&other, &diag), -EINVAL);
	other = q;
	other.n_sets = 1;
	other.set[0] = 1; /* one alone */
	must_be(cof_quorum_check(&other, &diag), -EINVAL);
	other = q;
	memcpy(other.person[1].point, other.person[0].point, COF_P256_POINT);
	must_be(cof_quorum_check(&other, &diag), -EINVAL);
	other = q;
	other.person[1].point[63] ^= 1; /* no point of the curve */
	must_be(cof_quorum_seal(tpm, &other, secret, &diag), -EINVAL);
	must_be(cof_p256_public("-----BEGIN PUBLIC KEY-----\n", 27, other.person[0].point, &diag), -EUCLEAN);
	must_be(cof_p256_signature("\x30\x06\x02\x01\x80\x02\x01\x01", 8, other.person[0].point), -EUCLEAN); /* negative */
	must_be(cof_p256_signature("\x30\x07\x02\x02\x00\x01\x02\x01\x01", 9, other.person[0].point), -EUCLEAN); /* not the shortest */
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("tpm-quorum");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, as_specified, 0, 2);
	tcase_add_test(c, each_set_opens);
	tcase_add_test(c, wrong_quorum);
	tcase_add_test(c, replay_and_added_up);
	tcase_add_test(c, other_object);
	tcase_add_test(c, expired);
	tcase_add_test(c, old_epoch);
	tcase_add_test(c, who_may_be_one);
	return swtpm_main("tpm-quorum", c);
}
