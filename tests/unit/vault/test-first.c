/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First sessions of one archive at once, and others that only ask: the copy is made and removed under its lock, whoever comes
 * between begins again, and what a session was told is there. A copy that was destroyed is not made anew by who came before.
 */
#include "pair.h"

#include "crypto/age.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define ROUNDS 80u
#define SYNCS 2u
#define ASKS 3u
#define WAIT_MS 60000

static struct world world;
static struct cof_buf conf; /* its archive.conf */
static char dir[64], copy[128];

static struct vault_sending sent_along;

struct session {
	bool asks; /* hears STATE, and goes */
	int host_fd, vault_fd, err, vault_err;
	pthread_t threads[2];
	struct vault_sent sent;
	struct cof_diag diag;
};

/* An end of its own for each: two first sessions read their stores at the same time. */
static void *host_side(void *arg)
{
	struct session *s = arg;
	struct vault_wire wire = {.in = s->host_fd, .out = s->host_fd, .timeout_ms = WAIT_MS};
	cof_autobuf struct cof_buf body = {0};
	struct vault_source *source = NULL;
	uint8_t id[16];

	s->err = vault_hello_send(&wire, VAULT_SENDS, world.conf.id, (const char *)conf.data, id);
	if (s->err == 0 && s->asks) {
		s->err = vault_expect(&wire, VAULT_STATE, &body, &s->sent.refusal, &s->diag);
	} else if (s->err == 0) {
		s->err = vault_source_open(world.io, &source, &s->diag);
		if (s->err == 0)
			s->err = vault_send_log(&wire, source, &sent_along, &s->sent, &s->diag);
	}
	vault_source_free(source);
	close(s->host_fd);
	return NULL;
}

static void *vault_side(void *arg)
{
	struct session *s = arg;
	struct vault_wire wire = {.in = s->vault_fd, .out = s->vault_fd, .timeout_ms = WAIT_MS};
	struct vault_serve p = {.quota = 0};
	struct cof_diag d = {""};
	struct vault_place v;

	s->vault_err = vault_place_open(dir, &v, &d);
	if (s->vault_err == 0) {
		s->vault_err = vault_serve(&v, &wire, &p, &d);
		vault_place_close(&v);
	}
	close(s->vault_fd);
	return NULL;
}

static void begin(struct session *s, bool asks)
{
	int fd[2];

	memset(s, 0, sizeof(*s));
	s->asks = asks;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	s->host_fd = fd[0];
	s->vault_fd = fd[1];
	ck_assert_int_eq(pthread_create(&s->threads[0], NULL, vault_side, s), 0);
	ck_assert_int_eq(pthread_create(&s->threads[1], NULL, host_side, s), 0);
}

static void end(struct session *s)
{
	for (unsigned i = 0; i < 2; i++)
		pthread_join(s->threads[i], NULL);
}

static bool there(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", copy, name);
	return access(path, F_OK) == 0;
}

static void remove_copy(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", copy);
	ck_assert_int_eq(system(command), 0);
}

static void sync_once(void)
{
	struct session s;

	begin(&s, false);
	end(&s);
	ck_assert_msg(s.err == 0, "%s", s.diag.text);
	vault_sent_done(&s.sent);
	ck_assert(there("archive.conf") && there("log") && there("tile") && there("checkpoint"));
}

/* Told: nothing, that it is confirmed, or that another has the lock: no other reason there is. */
static void one_round(void)
{
	struct session s[SYNCS + ASKS];
	bool confirmed = false;

	for (unsigned i = 0; i < SYNCS + ASKS; i++)
		begin(&s[i], i >= SYNCS);
	for (unsigned i = 0; i < SYNCS + ASKS; i++)
		end(&s[i]);
	for (unsigned i = 0; i < SYNCS + ASKS; i++) {
		ck_assert_msg(s[i].err == 0 || s[i].sent.refusal == VAULT_R_BUSY, "session %u: %s", i, s[i].diag.text);
		confirmed |= s[i].err == 0 && !s[i].asks;
		vault_sent_done(&s[i].sent);
	}
	ck_assert(confirmed || !there("archive.conf") || (there("log") && there("tile")));
	ck_assert(!confirmed || there("checkpoint"));
	sync_once();
	remove_copy();
}

START_TEST(first_sessions_at_once)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		one_round();
}
END_TEST

START_TEST(who_only_asks_leaves_nothing)
{
	struct session s[ASKS];

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < ASKS; i++)
			begin(&s[i], true);
		for (unsigned i = 0; i < ASKS; i++) {
			end(&s[i]);
			ck_assert_msg(s[i].err == 0 || s[i].sent.refusal == VAULT_R_BUSY, "%s", s[i].diag.text);
		}
		ck_assert_int_ne(access(copy, F_OK), 0);
	}
}
END_TEST

/* As a version before this one left it, or a power cut. */
START_TEST(half_a_copy_is_made_whole)
{
	char path[200];
	FILE *f;

	ck_assert_int_eq(mkdir(copy, 0700), 0);
	snprintf(path, sizeof(path), "%s/archive.conf", copy);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert(fwrite(conf.data, 1, conf.len, f) == conf.len && fclose(f) == 0);
	sync_once();
	remove_copy();
}
END_TEST

/* ---- the tree R, as large as a host makes it ---- */

#define SEEDS 16000u /* COF_KEYS_SEEDS_MAX */

/* docs/format.md 7.12: an entry for each inode number. */
static void make_keys(struct cof_buf *ret)
{
	static uint8_t plain[32 + SEEDS * 44] = "COFVAUR1";
	uint8_t to[1][COF_AGE_KEY];
	cof_autobuf struct cof_buf line = {0};
	struct vault_place v;

	cof_put_le64(plain + 8, 65536);
	memcpy(plain + 16, world.conf.id, 16);
	for (unsigned i = 0; i < SEEDS; i++) {
		uint8_t *at = plain + 32 + (size_t)44 * i;

		at[0] = 2;
		at[1] = 41;
		at[3] = 12;
		cof_put_le64(at + 4, 65536 + 2 * i);
		memset(at + 12, 7, COF_KEY);
	}
	ck_assert_int_eq(vault_place_open(dir, &v, NULL), 0);
	ck_assert_int_eq(vault_recipient_line(&v, &line), 0);
	vault_place_close(&v);
	ck_assert_int_eq(cof_age_recipient_parse((const char *)line.data, VAULT_RECIPIENT - 1, to[0]), 0);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])to, 1, plain, sizeof(plain), NULL, ret), 0);
}

static struct session with_keys(const void *p, size_t n)
{
	struct session s;

	sent_along = (struct vault_sending){.keys = p, .keys_len = n};
	begin(&s, false);
	end(&s);
	vault_sent_done(&s.sent);
	sent_along = (struct vault_sending){.keys = NULL};
	return s;
}

START_TEST(the_largest_tree_comes)
{
	cof_autobuf struct cof_buf keys = {0};
	cof_autofree uint8_t *larger = calloc(1, VAULT_ENVELOPE_MAX + 1);
	struct session s;

	make_keys(&keys);
	ck_assert_uint_gt(keys.len, VAULT_ENVELOPE_OLD);
	s = with_keys(keys.data, keys.len);
	ck_assert_msg(s.err == 0, "%s", s.diag.text);
	ck_assert(there("keys/newest"));
	/* what a vault does not take is said, and not left out */
	s = with_keys(larger, VAULT_ENVELOPE_MAX + 1);
	ck_assert_int_eq(s.err, -EMSGSIZE);
	ck_assert_ptr_nonnull(strstr(s.diag.text, "tree R is larger"));
	remove_copy();
}
END_TEST

/* What a vault says of itself reaches its hosts' terminals. */
START_TEST(a_place_steers_nothing)
{
	ck_assert_int_eq(vault_place_check("22.62,120.30,Kaohsiung \xe9\xab\x98\xe9\x9b\x84", NULL), 0);
	ck_assert_int_eq(vault_place_check("22.62,120.30,\x1b[2J", NULL), -EINVAL);
	ck_assert_int_eq(vault_place_check("22.62,120.30,a\xc2\x9b" "2J", NULL), -EINVAL);
	ck_assert_int_eq(vault_place_check("22.62,120.30,a\x7f", NULL), -EINVAL);
}
END_TEST

/* ---- what was destroyed ---- */

/* Descriptors of this process that are the copy's lock. */
static unsigned locks_open(void)
{
	char name[64], to[256], lock[160];
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	snprintf(lock, sizeof(lock), "%s/lock", copy);
	while ((e = readdir(d)) != NULL) {
		ssize_t len;

		snprintf(name, sizeof(name), "/proc/self/fd/%.20s", e->d_name);
		len = readlink(name, to, sizeof(to) - 1);
		to[len < 0 ? 0 : len] = 0;
		n += !strcmp(to, lock);
	}
	closedir(d);
	return n;
}

/* A session that has seen no receipt waits for the lock; meanwhile one is written, and the copy goes. */
START_TEST(what_was_destroyed_is_not_made_anew)
{
	struct cof_io *held = NULL;
	struct cof_diag d = {""};
	char path[200], id[33];
	struct session s;

	ck_assert_int_eq(mkdir(copy, 0700), 0);
	ck_assert_int_eq(cof_io_plain(copy, &held, &d), 0);
	ck_assert_int_eq(cof_io_lock(held, "coffer-vault destroy", &d), 0);
	begin(&s, false);
	while (locks_open() < 2)
		sched_yield();
	cof_hex(world.conf.id, 16, id);
	snprintf(path, sizeof(path), "%s/retired", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/retired/%s.receipt", dir, id);
	fclose(fopen(path, "w"));
	snprintf(path, sizeof(path), "%s/lock", copy);
	ck_assert(unlink(path) == 0 && rmdir(copy) == 0);
	cof_io_free(held);
	end(&s);
	ck_assert_msg(s.err < 0 && strstr(s.diag.text, "destroyed"), "%d %s", s.err, s.diag.text);
	ck_assert_int_ne(access(copy, F_OK), 0);
	vault_sent_done(&s.sent);
	snprintf(path, sizeof(path), "rm -rf %s/retired", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

/* The same, the directory still there: nothing is written into it, and it goes. */
START_TEST(what_is_being_destroyed_is_not_written_to)
{
	struct cof_io *held = NULL;
	struct cof_diag d = {""};
	char path[200], id[33];
	struct session s;

	ck_assert_int_eq(mkdir(copy, 0700), 0);
	ck_assert_int_eq(cof_io_plain(copy, &held, &d), 0);
	ck_assert_int_eq(cof_io_lock(held, "coffer-vault destroy", &d), 0);
	begin(&s, false);
	while (locks_open() < 2)
		sched_yield();
	cof_hex(world.conf.id, 16, id);
	snprintf(path, sizeof(path), "%s/retired", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/retired/%s.begun", dir, id);
	fclose(fopen(path, "w"));
	cof_io_free(held);
	end(&s);
	ck_assert_msg(s.err < 0 && strstr(s.diag.text, "destroyed"), "%d %s", s.err, s.diag.text);
	ck_assert_int_ne(access(copy, F_OK), 0);
	vault_sent_done(&s.sent);
	snprintf(path, sizeof(path), "rm -rf %s/retired", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

static void set_up(void)
{
	struct cof_diag d = {""};
	char id[33];

	snprintf(dir, sizeof(dir), "%s/coffer-first.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_msg(vault_place_init(dir, "vault.example/first", "", "", 0, NULL, &d) == 0, "%s", d.text);
	ck_assert_int_eq(world_begin_as(&world, 3, 10, 100), 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(world_put(&world, i, 500, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(world.log), 0);
	ck_assert_int_eq(cof_conf_text(&world.conf, &conf), 0);
	cof_buf_add(&conf, "", 1);
	conf.len--;
	cof_hex(world.conf.id, 16, id);
	snprintf(copy, sizeof(copy), "%s/archives/%s", dir, id);
}

static void tear_down(void)
{
	char command[80];

	world_end(&world);
	cof_buf_done(&conf);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

int main(void)
{
	Suite *s = suite_create("first");
	TCase *t = tcase_create("first");
	SRunner *runner = srunner_create(s);
	struct cof_diag d = {""};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (cof_crypto_init(4u << 20, &d) < 0) {
		fprintf(stderr, "%s\n", d.text);
		return 1;
	}
	tcase_set_timeout(t, 0);
	tcase_add_unchecked_fixture(t, set_up, tear_down);
	tcase_add_test(t, first_sessions_at_once);
	tcase_add_test(t, who_only_asks_leaves_nothing);
	tcase_add_test(t, half_a_copy_is_made_whole);
	tcase_add_test(t, the_largest_tree_comes);
	tcase_add_test(t, a_place_steers_nothing);
	tcase_add_test(t, what_was_destroyed_is_not_made_anew);
	tcase_add_test(t, what_is_being_destroyed_is_not_written_to);
	suite_add_tcase(s, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
