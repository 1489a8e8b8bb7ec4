/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM, against a software TPM that each test starts for itself: what opens, what must not open
 * any more, and that each cause is told apart. Skipped (77) where swtpm or tpm2-tools is missing.
 */
#include "test-crypto.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../support/swtpm.h"
#include "crypto/seal.h"

static struct swtpm sw;
static struct cof_tpm *tpm;
static struct cof_diag diag;
static uint32_t index_;
static uint64_t value;
static uint8_t secret[COF_TPM_SECRET], pin[COF_TPM_AUTH];
static const uint8_t seed[16] = {0x11, 0x22, 0x33, 0x44};

static void must_be(int r, int expected)
{
	if (r != expected)
		ck_abort_msg("%d, not %d: %s", r, expected, diag.text);
}

static void setup(void)
{
	memset(&diag, 0, sizeof(diag));
	must_be(cof_crypto_init(1 << 20, &diag), 0);
	for (size_t i = 0; i < sizeof(secret); i++) {
		secret[i] = (uint8_t)(0x80 + i);
		pin[i] = (uint8_t)(3 * i + 1);
	}
	swtpm_new(&sw);
	must_be(cof_tpm_open(sw.socket, &tpm, &diag), 0);
	must_be(cof_tpm_index_free(tpm, seed, &index_, &diag), 0);
	must_be(cof_tpm_counter_define(tpm, index_, COF_TPM_NORMAL, &value, &diag), 0);
}

static void teardown(void)
{
	cof_tpm_free(tpm);
	tpm = NULL;
	swtpm_remove(&sw);
}

static struct cof_tpm_sealed seal(const char *pcrs, uint64_t at, bool with_pin)
{
	struct cof_tpm_pcrs now;
	struct cof_tpm_seal_params p = {.index = index_,
					.value = at,
					.auth = with_pin ? pin : NULL,
					.branches = &now,
					.n_branches = 1};
	struct cof_tpm_sealed s;
	uint32_t mask = 0;

	must_be(cof_tpm_pcrs_parse(pcrs, &mask, &diag), 0);
	must_be(cof_tpm_pcrs_read(tpm, mask, &now, &diag), 0);
	must_be(cof_tpm_seal(tpm, &p, secret, &s, &diag), 0);
	return s;
}

static int unseal(const struct cof_tpm_sealed *s, const uint8_t *auth)
{
	uint8_t got[COF_TPM_SECRET] = {0};
	int r;

	diag.text[0] = '\0';
	r = cof_tpm_unseal(tpm, s, auth, got, &diag);
	if (r == 0)
		must(memcmp(got, secret, sizeof(secret)) == 0);
	else
		must(got[0] == 0 && diag.text[0]);
	return r;
}

static void must_say(enum cof_tpm_cause cause, const char *word)
{
	if (cof_tpm_cause(tpm) != cause || !strstr(diag.text, word))
		ck_abort_msg("cause %d, not %d; '%s' is not in: %s", cof_tpm_cause(tpm), cause, word,
			     diag.text);
}

/* A second connection would wait for the first to end: swtpm serves one at a time. */
static void tool(const char *command)
{
	cof_tpm_free(tpm);
	tpm = NULL;
	swtpm_tool(&sw, command);
	must_be(cof_tpm_open(sw.socket, &tpm, &diag), 0);
}

START_TEST(opens)
{
	struct cof_tpm_sealed s = seal("0,2,4-7", value, false), again;
	cof_autobuf struct cof_buf bytes = {0};

	must_be(unseal(&s, NULL), 0);
	must_be(cof_tpm_sealed_store(&s, &bytes), 0);
	must_be(cof_tpm_sealed_load(bytes.data, bytes.len, &again), 0);
	must(memcmp(&s, &again, sizeof(s)) == 0);
	must_be(unseal(&again, NULL), 0);
	for (size_t cut = 0; cut < bytes.len; cut++)
		must(cof_tpm_sealed_load(bytes.data, cut, &again) == -EUCLEAN);
}
END_TEST

/* After a power cut, with another object's state, and on a persistent storage key. */
START_TEST(opens_after_restart)
{
	struct cof_tpm_sealed s = seal("7", value, false), kept;

	swtpm_stop(&sw);
	must_be(unseal(&s, NULL), -ENODEV);
	must_say(COF_TPM_GONE, "coffer recover");
	swtpm_start(&sw);
	must_be(unseal(&s, NULL), 0);
	tool("createprimary -Q -C o -G ecc -c srk.ctx");
	tool("evictcontrol -Q -C o -c srk.ctx 0x81000001");
	tool("flushcontext -Q -t");
	must_be(unseal(&s, NULL), 0);
	kept = seal("7", value, false);
	must(kept.parent == 0x81000001 && s.parent == 0);
	must_be(unseal(&kept, NULL), 0);
	tool("evictcontrol -Q -C o -c 0x81000001");
	/* of another template than ours: it cannot be made again, and the seal says so */
	must_be(unseal(&kept, NULL), -ENOKEY);
	must_say(COF_TPM_CLEARED, "0x81000001");
}
END_TEST

START_TEST(dropped_and_reset)
{
	struct cof_tpm_sealed s = seal("7", value, false), with_pin = seal("7", value, true);
	uint64_t now = 0;

	swtpm_stop(&sw);
	swtpm_start(&sw); /* the socket of this connection is dead: the command connects anew */
	must_be(unseal(&s, NULL), 0);
	swtpm_reset(&sw);
	must_be(unseal(&s, NULL), 0);
	swtpm_reset(&sw);
	must_be(cof_tpm_counter_raise(tpm, index_, COF_TPM_NORMAL, value + 1, &now, &diag), 0);
	must(now == value + 1);
	must_be(unseal(&s, NULL), -ESTALE);
	with_pin = seal("7", value + 1, true);
	must_be(unseal(&with_pin, pin), 0);
}
END_TEST

/* ---- a line that breaks at a chosen command ---- */

struct line {
	char socket[96];
	int listener;
	pid_t pid;
	struct line_state {
		_Atomic int count; /* commands so far */
		_Atomic int fault; /* at this one, 0: never */
		_Atomic bool resets; /* the TPM is reset before it, else its answer is lost */
	} *state;
};

static bool pass(int from, int to)
{
	uint8_t block[4096];
	ssize_t n = read(from, block, sizeof(block));

	return n > 0 && write(to, block, (size_t)n) == n;
}

static int reach(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	must(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	return fd;
}

/* One client after the other, one command after the other; a command comes in one piece. */
static void relay(struct line *l)
{
	for (;;) {
		int client = accept(l->listener, NULL, NULL), there;

		if (client < 0)
			_exit(1);
		there = reach(sw.socket);
		for (;;) {
			uint8_t command[4096];
			ssize_t n = read(client, command, sizeof(command));
			bool now;

			if (n <= 0)
				break;
			now = ++l->state->count == l->state->fault;
			if (now && l->state->resets)
				swtpm_reset(&sw);
			if (write(there, command, (size_t)n) != n)
				break;
			if (now && !l->state->resets) {
				if (read(there, command, sizeof(command)) <= 0)
					_exit(1);
				break;
			}
			if (!pass(there, client))
				break;
		}
		close(client);
		close(there);
	}
}

static void line_start(struct line *l)
{
	char from[128], to[128];
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	cof_tpm_free(tpm);
	tpm = NULL;
	snprintf(l->socket, sizeof(l->socket), "%s/line", sw.dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", l->socket);
	l->state = mmap(NULL, sizeof(*l->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(l->state != MAP_FAILED && bind(l->listener, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	     listen(l->listener, 8) == 0);
	snprintf(from, sizeof(from), "%s.ctrl", sw.socket);
	snprintf(to, sizeof(to), "%s.ctrl", l->socket);
	must(symlink(from, to) == 0);
	l->pid = fork();
	must(l->pid >= 0);
	if (l->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		relay(l);
	}
	must_be(cof_tpm_open(l->socket, &tpm, &diag), 0);
}

static void line_stop(struct line *l)
{
	must(kill(l->pid, SIGKILL) == 0 && waitpid(l->pid, NULL, 0) == l->pid);
	close(l->listener);
	munmap(l->state, sizeof(*l->state));
}

static void must_survive(struct line *l, const struct cof_tpm_sealed *s, const uint8_t *auth, bool resets)
{
	for (int at = 1;; at++) {
		int r, before = l->state->count;

		l->state->resets = resets;
		l->state->fault = before + at;
		r = unseal(s, auth);
		if (l->state->count < before + at) { /* it needs no more commands than that */
			must_be(r, 0);
			must(at > 8);
			break;
		}
		l->state->fault = 0;
		if (auth && r != 0) /* a try that may have counted is not repeated unasked */
			must(r == -EPIPE || r == -EAGAIN);
		else
			must_be(r, 0);
		must_be(unseal(s, auth), 0);
	}
	l->state->fault = 0;
}

START_TEST(line_breaks_at_each_command)
{
	struct cof_tpm_sealed s = seal("7", value, false), with_pin = seal("7", value, true);
	struct line l;
	uint64_t now = 0;

	line_start(&l);
	must_survive(&l, &s, NULL, false);
	must_survive(&l, &s, NULL, true);
	must_survive(&l, &with_pin, pin, false);
	for (int at = 1, end = 0; !end; at++) { /* raised once, whether the answer was lost or not */
		int before = l.state->count;

		l.state->resets = false;
		l.state->fault = before + at;
		must_be(cof_tpm_counter_raise(tpm, index_, COF_TPM_NORMAL, ++value, &now, &diag), 0);
		must(now == value);
		end = l.state->count < before + at;
	}
	line_stop(&l);
}
END_TEST

START_TEST(counter_kills)
{
	struct cof_tpm_sealed now = seal("7", value, false), next = seal("7", value + 1, false);
	uint64_t is = 0;

	must_be(unseal(&next, NULL), -ESTALE);
	must_say(COF_TPM_COUNTER, "not finished");
	must_be(unseal(&now, NULL), 0);
	must_be(cof_tpm_counter_raise(tpm, index_, COF_TPM_NORMAL, value + 1, &is, &diag), 0);
	must_be(cof_tpm_counter_raise(tpm, index_, COF_TPM_NORMAL, value + 1, &is, &diag), 0);
	must(is == value + 1);
	must_be(cof_tpm_counter_raise(tpm, index_, COF_TPM_NORMAL, value + 3, &is, &diag), -ESTALE);
	must_be(unseal(&now, NULL), -ESTALE);
	must_be(unseal(&next, NULL), 0);
	/* the number that is noted is no guard, only a reason: with it forged the TPM still refuses */
	now.value = value + 1;
	must_be(unseal(&now, NULL), -EBADMSG);
	/* a hostile root */
	char command[64];
	snprintf(command, sizeof(command), "nvincrement 0x%08x", index_);
	tool(command);
	must_be(unseal(&next, NULL), -ESTALE);
	must_say(COF_TPM_COUNTER, "coffer recover");
}
END_TEST

START_TEST(redefined_stays_dead)
{
	struct cof_tpm_sealed s = seal("7", value, false);
	uint64_t anew = 0;
	char command[128];

	must_be(cof_tpm_undefine(tpm, index_, &diag), 0);
	must_be(unseal(&s, NULL), -ENOENT);
	must_say(COF_TPM_NO_INDEX, "removed");
	must_be(cof_tpm_counter_define(tpm, index_, COF_TPM_NORMAL, &anew, &diag), 0);
	must(anew > value);
	must_be(unseal(&s, NULL), -ESTALE);
	/* an ordinary index that holds the right number is no counter */
	must_be(cof_tpm_undefine(tpm, index_, &diag), 0);
	snprintf(command, sizeof(command), "nvdefine -Q -C o -s 8 0x%08x", index_);
	tool(command);
	must_be(unseal(&s, NULL), -EUCLEAN);
	must_say(COF_TPM_FOREIGN, "compromised");
}
END_TEST

START_TEST(pcr_changes)
{
	struct cof_tpm_sealed s = seal("4,7,11", value, false), either;
	struct cof_tpm_pcrs two[2];
	struct cof_tpm_seal_params p = {
	    .index = index_, .value = value, .branches = two, .n_branches = 2};

	tool("pcrextend 11:sha256=1111111111111111111111111111111111111111111111111111111111111111");
	must_be(unseal(&s, NULL), -EKEYREJECTED);
	must_say(COF_TPM_CHANGED, "PCR 11 changed");
	must(cof_tpm_changed(tpm) == 1u << 11);
	/* now or next: both open, a third does not */
	must_be(cof_tpm_pcrs_read(tpm, 1u << 7 | 1u << 11, &two[0], &diag), 0);
	two[1] = two[0];
	uint8_t both[2 * COF_HASH];
	memcpy(both, two[0].value[11], COF_HASH);
	memset(both + COF_HASH, 0x22, COF_HASH);
	cof_sha256(both, sizeof(both), two[1].value[11]);
	must_be(cof_tpm_seal(tpm, &p, secret, &either, &diag), 0);
	must_be(unseal(&either, NULL), 0);
	tool("pcrextend 11:sha256=2222222222222222222222222222222222222222222222222222222222222222");
	must_be(unseal(&either, NULL), 0);
	tool("pcrextend 11:sha256=2222222222222222222222222222222222222222222222222222222222222222");
	must_be(unseal(&either, NULL), -EKEYREJECTED);
	must_say(COF_TPM_CHANGED, "PCR 11 changed");
	/* PCR values that are noted wrongly are no guard either */
	must_be(cof_tpm_pcrs_read(tpm, s.branch[0].mask, &s.branch[0], &diag), 0);
	must_be(unseal(&s, NULL), -EBADMSG);
}
END_TEST

static void write_area(const char *name, const uint8_t *p, size_t n)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", sw.dir, name);
	f = fopen(path, "we");
	must(f && fwrite(p, n, 1, f) == 1 && fclose(f) == 0);
}

/* Whoever has the file and root, but not the policy: an empty password opens nothing. */
START_TEST(empty_password_opens_nothing)
{
	struct cof_tpm_sealed s;

	tool("createprimary -Q -C o -G ecc -c srk.ctx");
	tool("evictcontrol -Q -C o -c srk.ctx 0x81000001");
	tool("flushcontext -Q -t");
	s = seal("7", value, false);
	write_area("pub", s.public_area, s.public_len);
	write_area("priv", s.private_area, s.private_len);
	tool("load -Q -C 0x81000001 -u pub -r priv -c o.ctx");
	tool("flushcontext -Q -t && { tpm2_unseal -c o.ctx 2> err && exit 1 || grep -qi 0x12f err; }"); /* AUTH_UNAVAILABLE */
	tool("flushcontext -Q -t");
	must_be(unseal(&s, NULL), 0);
}
END_TEST

START_TEST(wrong_pin_until_locked)
{
	struct cof_tpm_sealed s = seal("7", value, true), free_ = seal("7", value, false);
	struct cof_tpm_lockout l;
	uint8_t wrong[COF_TPM_AUTH] = {1};
	unsigned tries = 0;
	int r;

	must_be(unseal(&s, pin), 0);
	must_be(unseal(&s, NULL), -EINVAL);
	must_be(cof_tpm_lockout_read(tpm, &l, &diag), 0);
	must(l.failures == 0 && !l.locked && l.max >= 3);
	while ((r = unseal(&s, wrong)) == -EKEYREJECTED && tries < 10) {
		must_say(COF_TPM_PIN, "wrong PIN");
		must_be(cof_tpm_lockout_read(tpm, &l, &diag), 0);
		must(l.failures == ++tries);
	}
	must_be(r, -EACCES);
	must_say(COF_TPM_LOCKED, "seconds");
	must(tries == l.max); /* the one that locks was looked at too */
	must_be(unseal(&s, pin), -EACCES); /* the right one too */
	must_say(COF_TPM_LOCKED, "tpm2_dictionarylockout");
	must_be(unseal(&free_, NULL), 0); /* what has no PIN is not concerned */
	tool("dictionarylockout -c");
	must_be(unseal(&s, pin), 0);
	must_be(cof_tpm_lockout_read(tpm, &l, &diag), 0);
	must(!l.locked);
}
END_TEST

START_TEST(cleared_and_exchanged)
{
	struct cof_tpm_sealed s = seal("7", value, false);
	struct swtpm other, first = sw;

	tool("clear");
	must_be(unseal(&s, NULL), -ENOKEY);
	must_say(COF_TPM_CLEARED, "cleared");
	cof_tpm_free(tpm);
	swtpm_new(&other);
	must_be(cof_tpm_open(other.socket, &tpm, &diag), 0);
	must_be(unseal(&s, NULL), -EXDEV);
	must_say(COF_TPM_EXCHANGED, "not the one");
	sw = first;
	swtpm_remove(&other);
}
END_TEST

START_TEST(altered)
{
	struct cof_tpm_sealed s = seal("7", value, false), bad = s;

	bad.private_area[bad.private_len - 5] ^= 1;
	must_be(unseal(&bad, NULL), -EBADMSG);
	must_say(COF_TPM_ALTERED, "altered");
	bad = s;
	bad.public_area[bad.public_len - 3] ^= 1;
	must_be(unseal(&bad, NULL), -EBADMSG);
	bad = s;
	bad.parent_name[5] ^= 1;
	must_be(unseal(&bad, NULL), -ENOKEY);
	must_be(unseal(&s, NULL), 0);
}
END_TEST

START_TEST(orderly_counter)
{
	uint32_t at = index_ + 1;
	uint64_t first = 0, now = 0;

	must_be(cof_tpm_counter_define(tpm, at, COF_TPM_ORDERLY, &first, &diag), 0);
	for (uint64_t i = 1; i <= 5; i++)
		must_be(cof_tpm_counter_raise(tpm, at, COF_TPM_ORDERLY, first + i, &now, &diag), 0);
	must(now == first + 5);
	must_be(cof_tpm_counter_read(tpm, at, COF_TPM_NORMAL, &now, &diag), -EUCLEAN);
	swtpm_stop(&sw);
	swtpm_start(&sw);
	must_be(cof_tpm_counter_read(tpm, at, COF_TPM_ORDERLY, &now, &diag), 0);
	must(now >= first + 5 && now <= first + 5 + 256);
}
END_TEST

START_TEST(store)
{
	static const uint8_t auth[COF_TPM_AUTH] = {7, 7, 7}, wrong[COF_TPM_AUTH] = {7, 7, 8};
	uint8_t in[40], out[40] = {0};
	uint32_t at = index_ + 2;
	struct cof_tpm_lockout l;
	char command[128];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 5);
	must_be(cof_tpm_store_define(tpm, at, auth, sizeof(in), &diag), 0);
	must_be(cof_tpm_store_read(tpm, at, auth, out, sizeof(out), &diag), -ENODATA);
	must_be(cof_tpm_store_write(tpm, at, auth, in, sizeof(in), &diag), 0);
	must_be(cof_tpm_store_read(tpm, at, auth, out, sizeof(out), &diag), 0);
	must(memcmp(in, out, sizeof(in)) == 0);
	must_be(cof_tpm_store_read(tpm, at, wrong, out, sizeof(out), &diag), -EUCLEAN);
	must_say(COF_TPM_FOREIGN, "compromised");
	must_be(cof_tpm_store_write(tpm, at, wrong, in, sizeof(in), &diag), -EUCLEAN);
	must_be(cof_tpm_lockout_read(tpm, &l, &diag), 0);
	must(l.failures == 0);
	/* the owner reads nothing, and what the owner puts in its place is not taken for it */
	snprintf(command, sizeof(command), "nvread -C o 0x%08x && exit 1 || true", at);
	tool(command);
	snprintf(command, sizeof(command), "nvundefine -Q -C o 0x%08x", at);
	tool(command);
	must_be(cof_tpm_store_read(tpm, at, auth, out, sizeof(out), &diag), -ENOENT);
	snprintf(command, sizeof(command), "nvdefine -Q -C o -s 40 -a 'authread|authwrite|no_da' 0x%08x",
		 at);
	tool(command);
	must_be(cof_tpm_store_write(tpm, at, auth, in, sizeof(in), &diag), -EUCLEAN);
}
END_TEST

/* The opener's file: it opens, and with any byte of it flipped it does not. */
START_TEST(opener)
{
	static const uint8_t archive[16] = {9, 8, 7}, other[16] = {9, 8, 6};
	struct cof_tpm_pcrs now;
	struct cof_tpm_seal_params p = {
	    .index = index_, .value = value, .branches = &now, .n_branches = 1};
	cof_autobuf struct cof_buf blob = {0};
	struct cof_tpm_sealed s;
	uint8_t root[COF_KEY] = {3, 1, 4}, got[COF_KEY];
	uint64_t generation = 0;

	must_be(cof_tpm_pcrs_read(tpm, 1u << 7, &now, &diag), 0);
	must_be(cof_seal_tpm2_make(tpm, &p, archive, root, 5, &blob, &diag), 0);
	must_be(cof_seal_tpm2_open(tpm, NULL, archive, blob.data, blob.len, got, &generation, &diag), 0);
	must(memcmp(got, root, COF_KEY) == 0 && generation == 5);
	must_be(cof_seal_tpm2_open(tpm, NULL, other, blob.data, blob.len, got, &generation, &diag), -EXDEV);
	/* every byte of the head, and some of what the TPM is given: it takes a moment for each */
	for (size_t i = 0; i < blob.len; i += i < COF_SEAL_SIZE ? 7 : 41) {
		blob.data[i] ^= 0x10;
		generation = 77;
		must(cof_seal_tpm2_open(tpm, NULL, archive, blob.data, blob.len, got, &generation, &diag) < 0);
		must(generation == 77 && diag.text[0]);
		blob.data[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < blob.len; cut++)
		must(cof_seal_tpm2_read(archive, blob.data, cut, &s, &generation) == -EUCLEAN);
}
END_TEST

START_TEST(clock_)
{
	struct cof_tpm_clock a, b;

	must_be(cof_tpm_clock_read(tpm, &a, &diag), 0);
	tool("setclock 1000000000");
	must_be(cof_tpm_clock_read(tpm, &b, &diag), 0);
	must(a.safe && b.clock_ms >= 1000000000 && b.resets == a.resets);
	swtpm_stop(&sw);
	swtpm_start(&sw);
	must_be(cof_tpm_clock_read(tpm, &b, &diag), 0);
	must(!b.safe && b.resets == a.resets + 1);
}
END_TEST

START_TEST(names)
{
	uint32_t mask = 0;
	char text[80];
	static const char *const bad[] = {"", ",", "24", "7,", "7,,8", "-1", "9-7", "16", "0-23", "7a",
					  "0x7", "7 ", "1-"};
	struct cof_tpm *none = NULL;

	must_be(cof_tpm_pcrs_parse("0,2,4-7", &mask, &diag), 0);
	cof_tpm_pcrs_text(mask, text);
	ck_assert_str_eq(text, "0,2,4,5,6,7");
	for (size_t i = 0; i < COF_COUNT(bad); i++)
		must_be(cof_tpm_pcrs_parse(bad[i], &mask, &diag), -EINVAL);
	must(mask == 0xf5);
	must_be(cof_tpm_open("libevil.so", &none, &diag), -EINVAL);
	must_be(cof_tpm_open("device:/dev/no-such-tpm", &none, &diag), -ENODEV);
	must(strstr(diag.text, "/dev/no-such-tpm") && !none);
}
END_TEST

/* How often these bytes, each inverted, lie in writable memory of this process elsewhere than here and there. */
static unsigned copies(const uint8_t inverted[COF_TPM_SECRET], const void *here, const void *there)
{
	static uint8_t block[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from, to;
	unsigned found = 0;
	char line[256];

	must(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw"))
			continue;
		if (to - from >= 1ul << 32) /* AddressSanitizer's own, which holds no content */
			continue;
		for (; from < to; from += sizeof(block) - COF_TPM_SECRET) {
			ssize_t n = pread(mem, block, COF_MIN(sizeof(block), to - from), (off_t)from);

			for (ssize_t i = 0; i + COF_TPM_SECRET <= n; i++) {
				unsigned long at = from + (unsigned long)i;
				int k = 0;

				if ((at >= (unsigned long)block && at < (unsigned long)block + sizeof(block)) ||
				    at == (unsigned long)here || at == (unsigned long)there)
					continue;
				while (k < COF_TPM_SECRET && (block[i + k] ^ inverted[k]) == 0xff)
					k++;
				found += k == COF_TPM_SECRET;
			}
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

/* What was unsealed lies nowhere in this process but where it was asked for. */
START_TEST(leaves_no_copy)
{
	uint8_t inverted[COF_TPM_SECRET];
	cof_autosecret uint8_t *out = cof_secret_alloc(COF_TPM_SECRET);
	cof_autosecret uint8_t *in = cof_secret_alloc(COF_TPM_SECRET);
	struct cof_tpm_pcrs now;
	struct cof_tpm_seal_params p = {
	    .index = index_, .value = value, .branches = &now, .n_branches = 1};
	struct cof_tpm_sealed s;

	cof_random(in, COF_TPM_SECRET);
	for (size_t i = 0; i < COF_TPM_SECRET; i++)
		inverted[i] = in[i] ^ 0xff;
	must_be(cof_tpm_pcrs_read(tpm, 1u << 7, &now, &diag), 0);
	must_be(cof_tpm_seal(tpm, &p, in, &s, &diag), 0);
	ck_assert_uint_eq(copies(inverted, in, out), 0);
	must_be(cof_tpm_unseal(tpm, &s, NULL, out, &diag), 0);
	must(memcmp(in, out, COF_TPM_SECRET) == 0);
	ck_assert_uint_eq(copies(inverted, in, out), 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("tpm");
	TCase *c = tcase_create("tpm");

	if (!swtpm_installed()) {
		puts("swtpm and tpm2-tools are not installed");
		exit(77);
	}
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 200);
	tcase_add_test(c, opens);
	tcase_add_test(c, opens_after_restart);
	tcase_add_test(c, dropped_and_reset);
	tcase_add_test(c, line_breaks_at_each_command);
	tcase_add_test(c, counter_kills);
	tcase_add_test(c, redefined_stays_dead);
	tcase_add_test(c, pcr_changes);
	tcase_add_test(c, empty_password_opens_nothing);
	tcase_add_test(c, wrong_pin_until_locked);
	tcase_add_test(c, cleared_and_exchanged);
	tcase_add_test(c, altered);
	tcase_add_test(c, orderly_counter);
	tcase_add_test(c, store);
	tcase_add_test(c, opener);
	tcase_add_test(c, clock_);
	tcase_add_test(c, names);
	tcase_add_test(c, leaves_no_copy);
	suite_add_tcase(s, c);
	return s;
}
