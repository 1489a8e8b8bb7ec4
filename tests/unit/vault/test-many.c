/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fifty hosts and one vault at once: their sessions go on message by message, whose turn it is a seeded draw. Some come twice
 * with the same store, one has more than its quota, some lines are cut at a drawn message. COFFER_SEED names another draw;
 * COFFER_LONG takes a hundred of them.
 */
#include "pair.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define HOSTS 50u
#define TWICE 3u /* of them come twice at once */
#define SESSIONS (HOSTS + TWICE)
#define GREEDY 7u /* has more than its quota */
#define QUOTA 30000u
#define WAIT_MS 60000

static struct world host[HOSTS];
static char dir[64];

/* ---- the draw ---- */

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

/* ---- a session ---- */

struct session {
	unsigned of; /* host */
	int host_fd, vault_fd; /* the threads' ends */
	struct end {
		int fd;
		bool open;
	} end[2]; /* ours: to the host, to the vault */
	unsigned cut; /* after so many messages; 0: never */
	unsigned messages;
	pthread_t threads[2];
	struct vault_sent sent;
	int err;
	struct cof_diag diag;
};

static void *host_side(void *arg)
{
	struct session *s = arg;
	struct world *w = &host[s->of];
	struct vault_wire wire = {.in = s->host_fd, .out = s->host_fd, .timeout_ms = WAIT_MS};
	struct vault_source *source = NULL;
	uint8_t id[16];

	s->err = vault_source_open(w->io, &source, &s->diag);
	if (s->err == 0)
		s->err = vault_hello_send(&wire, VAULT_SENDS, w->conf.id, vault_source_conf_text(source), id);
	if (s->err == 0)
		s->err = vault_send_log(&wire, source, &(struct vault_sending){.envelope = NULL}, &s->sent, &s->diag);
	vault_source_free(source);
	close(s->host_fd);
	return NULL;
}

static void *vault_side(void *arg)
{
	struct session *s = arg;
	struct vault_wire wire = {.in = s->vault_fd, .out = s->vault_fd, .timeout_ms = WAIT_MS};
	struct vault_serve p = {.quota = s->of == GREEDY ? QUOTA : 0, .only = host[s->of].conf.id};
	struct cof_diag d = {""};
	struct vault_place v;

	ck_assert_msg(vault_place_open(dir, &v, &d) == 0, "%s", d.text);
	(void)vault_serve(&v, &wire, &p, &d);
	vault_place_close(&v);
	close(s->vault_fd);
	return NULL;
}

static void begin(struct session *s, unsigned of)
{
	int a[2], b[2];

	memset(s, 0, sizeof(*s));
	s->of = of;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	s->host_fd = a[0];
	s->vault_fd = b[0];
	s->end[0] = (struct end){a[1], true};
	s->end[1] = (struct end){b[1], true};
	ck_assert_int_eq(pthread_create(&s->threads[0], NULL, host_side, s), 0);
	ck_assert_int_eq(pthread_create(&s->threads[1], NULL, vault_side, s), 0);
}

/* One message more, from whoever of the two says something; false: both ended. */
static bool step(struct session *s)
{
	static uint8_t body[VAULT_BODY_MAX];
	struct pollfd p[2];
	uint8_t head[8];
	unsigned from;
	size_t n;

	if (!s->end[0].open && !s->end[1].open)
		return false;
	for (unsigned i = 0; i < 2; i++)
		p[i] = (struct pollfd){.fd = s->end[i].open ? s->end[i].fd : -1, .events = POLLIN};
	ck_assert_int_gt(poll(p, 2, WAIT_MS), 0);
	from = p[0].revents ? 0 : 1;
	s->messages++;
	if ((s->cut && s->messages > s->cut) || recv(s->end[from].fd, head, 8, MSG_WAITALL) != 8) {
		s->end[from].open = false;
		if (s->cut && s->messages > s->cut)
			s->end[!from].open = false;
		for (unsigned i = 0; i < 2; i++)
			if (!s->end[0].open || !s->end[1].open)
				shutdown(s->end[i].fd, s->end[i].open ? SHUT_WR : SHUT_RDWR);
		return true;
	}
	n = cof_get_le32(head);
	ck_assert_uint_le(n, sizeof(body));
	ck_assert(!n || recv(s->end[from].fd, body, n, MSG_WAITALL) == (ssize_t)n);
	if (cof_write_all(s->end[!from].fd, head, 8) == 0 && n)
		(void)cof_write_all(s->end[!from].fd, body, n);
	return true;
}

static void end(struct session *s)
{
	for (unsigned i = 0; i < 2; i++)
		pthread_join(s->threads[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		close(s->end[i].fd);
}

/* All of them, each a message at a time. */
static void run(struct session *all, unsigned n)
{
	unsigned live[SESSIONS], left = n;

	for (unsigned i = 0; i < n; i++)
		live[i] = i;
	while (left) {
		unsigned k = (unsigned)draw(left);

		if (!step(&all[live[k]]))
			live[k] = live[--left];
	}
	for (unsigned i = 0; i < n; i++)
		end(&all[i]);
}

/* ---- what has to hold ---- */

static uint64_t newest(struct world *w)
{
	struct cof_log_status s;

	cof_log_status(w->log, &s);
	return s.checkpoint_size;
}

static void found(void *user, const struct cof_finding *f)
{
	(void)user;
	(void)f;
}

/* The copy is of this host, whole up to a head, and no byte is another's. Gives that head's size. */
static uint64_t check_copy(unsigned of)
{
	struct world *w = &host[of];
	struct cof_verify_params p = {.threads = 1, .finding = found};
	struct cof_verified v = {.verdict = COF_TAMPERED};
	struct vault_copy *c = NULL;
	struct vault_copy_state s;
	struct cof_diag d = {""};
	char path[160], id[33];

	cof_hex(w->conf.id, 16, id);
	snprintf(path, sizeof(path), "%s/archives/%s", dir, id);
	if (access(path, F_OK) < 0)
		return 0;
	ck_assert_int_eq(cof_io_plain(path, &p.io, &d), 0);
	ck_assert_msg(vault_copy_open(p.io, &c, &d) == 0, "host %u: %s", of, d.text);
	vault_copy_state(c, &s);
	vault_copy_free(c);
	ck_assert_mem_eq(s.conf.id, w->conf.id, 16);
	if (s.head.size) {
		ck_assert_int_ge(cof_log_verify(&p, &v, &d), 0);
		ck_assert_msg(v.verdict <= COF_INCOMPLETE, "host %u: %s", of, cof_verdict_name(v.verdict));
	}
	for (unsigned i = 0; i < 8; i++) {
		cof_autofree uint8_t *there = NULL;
		const uint8_t *here;
		size_t n = 0, m = 0;

		snprintf(path, sizeof(path), "log/%08x.seg", i);
		if (cof_io_load(p.io, path, WORLD_SEGMENT, &there, &m) < 0)
			break;
		ck_assert_int_eq(cof_sim_peek(w->sim, path, &here, &n), 0);
		ck_assert_uint_le(m, n);
		ck_assert_mem_eq(here, there, m);
	}
	cof_io_free(p.io);
	return s.head.size;
}

static long resident(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static void put_some(unsigned of, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(world_put(&host[of], 1000u * of + i + draw(7), (uint32_t)(200 + draw(9000)), false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(host[of].log), 0);
}

static void once(void)
{
	struct session all[SESSIONS];
	unsigned confirmed = 0, busy = 0, again = 0;
	long before = resident();

	for (unsigned i = 0; i < SESSIONS; i++) {
		begin(&all[i], i % HOSTS);
		all[i].cut = i < HOSTS && draw(6) == 0 ? 1 + (unsigned)draw(6) : 0;
	}
	run(all, SESSIONS);
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct session *s = &all[i];
		uint64_t has = check_copy(s->of);

		if (s->err == 0) {
			confirmed++;
			ck_assert_uint_eq(has, newest(&host[s->of])); /* what was confirmed is there */
		}
		busy += s->err < 0 && s->sent.refusal == VAULT_R_BUSY;
		if (s->of == GREEDY) {
			ck_assert_uint_eq(has, 0);
			ck_assert(s->cut || s->sent.refusal == VAULT_R_QUOTA);
		} else {
			ck_assert_msg(s->err == 0 || s->cut || s->sent.refusal == VAULT_R_BUSY, "host %u: %s", s->of, s->diag.text);
		}
		vault_sent_done(&s->sent);
	}
	ck_assert_uint_gt(confirmed, HOSTS / 2);
	ck_assert_uint_gt(busy, 0); /* one writer for each archive */
	ck_assert_msg(resident() - before < 128l * 1024, "%ld KiB more", resident() - before);

	/* whoever was cut off goes on, and all but one are there */
	for (unsigned i = 0; i < HOSTS; i++)
		begin(&all[i], i);
	run(all, HOSTS);
	for (unsigned i = 0; i < HOSTS; i++) {
		again += all[i].err == 0;
		ck_assert_uint_eq(check_copy(i), i == GREEDY ? 0 : newest(&host[i]));
		vault_sent_done(&all[i].sent);
	}
	ck_assert_uint_eq(again, HOSTS - 1);
}

START_TEST(fifty_hosts)
{
	const char *longer = getenv("COFFER_LONG"), *seed = getenv("COFFER_SEED");
	unsigned rounds = longer && *longer ? 100 : 2;
	struct cof_diag d = {""};
	char path[80];

	snprintf(dir, sizeof(dir), "%s/coffer-many.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_msg(vault_place_init(dir, "vault.example/many", "", "", 0, NULL, &d) == 0, "%s", d.text);
	for (unsigned i = 0; i < HOSTS; i++)
		ck_assert_int_eq(world_begin_as(&host[i], 100 + i, (uint8_t)(10 + i), (uint8_t)(100 + i)), 0);
	for (unsigned round = 0; round < rounds; round++) {
		state = seed ? strtoull(seed, NULL, 0) : 2026 + round;
		for (unsigned i = 0; i < HOSTS; i++)
			put_some(i, i == GREEDY ? 20 : 3 + (unsigned)draw(6));
		once();
	}
	for (unsigned i = 0; i < HOSTS; i++)
		world_end(&host[i]);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("many");
	TCase *t = tcase_create("many");
	SRunner *runner = srunner_create(s);
	struct cof_diag d = {""};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (cof_crypto_init(4u << 20, &d) < 0) {
		fprintf(stderr, "%s\n", d.text);
		return 1;
	}
	tcase_set_timeout(t, 0);
	tcase_add_test(t, fifty_hosts);
	suite_add_tcase(s, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
