/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's end of the control socket: one thread that accepts, one for each client, at most
 * CLIENTS of them. A connection carries one request.
 *
 * No client can hold a thread for good: a request has to be there in REQUEST_MS, each line of an
 * answer has to be taken in LINE_MS, and those who follow the log get at most FOLLOWERS threads.
 *
 * Locks: `lock` guards the slots and the count of followers. A slot's descriptor is closed by its
 * own thread, under the lock, so that stop never shuts down a descriptor that is somebody else's.
 * The archive is never called under the lock.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "fs/control/control.h"
#include "fs/control/verbs.h"
#include "fs/control/wire.h"

#define CLIENTS 8
#define FOLLOWERS 4 /* leaves threads for status and stop */
#define REQUEST_MS 5000
#define LINE_MS 20000
#define LINES_AT_ONCE (32u << 10)
#define LINES_WAIT_NS (COF_NSEC / 50)
#define FOLLOW_MS 250
#define GRACE_MS 1000 /* for answers that are under way when the server stops */
#define FULL_MS 2000  /* how long a client waits for a free thread */

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_ENDED };

struct slot {
	struct cof_control *control;
	enum slot_state state;
	pthread_t thread;
	int fd;
};

struct cof_control {
	struct cof_control_params p;
	int listener;
	int wake; /* eventfd: readable for ever once stopping */
	pthread_t acceptor;
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a slot was given back */
	struct slot slots[CLIENTS];
	unsigned followers;
};

/* Who connected, as the kernel knows it. */
static bool peer_of(int fd, struct cof_who *ret)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || len != sizeof(peer))
		return false;
	*ret = (struct cof_who){
	    .uid = peer.uid, .gid = peer.gid, .pid = peer.pid > 0 ? (uint32_t)peer.pid : 0};
	return true;
}

/* ---- one request ---- */

struct answer {
	struct cof_control *control;
	int fd;
	struct cof_buf lines; /* not sent yet */
	int64_t since;	      /* CLOCK_MONOTONIC, ns: of the first of them */
};

static int flush(struct answer *to)
{
	int r = to->lines.failed ? -ENOMEM : to->lines.len ? cof_control_send_lines(to->fd, &to->lines, LINE_MS) : 0;

	to->lines.len = 0;
	return r;
}

/* Several lines at once: each of its own wakes the client, and a list of thousands takes twice as long. */
static int send_entry(void *user, struct cof_json *entry)
{
	struct answer *to = user;
	int r;

	if (atomic_load(&to->control->stopping))
		return -ESHUTDOWN;
	if (!to->lines.len)
		to->since = cof_now(CLOCK_MONOTONIC);
	r = cof_control_add_line(&to->lines, entry);
	if (r < 0 || (to->lines.len < LINES_AT_ONCE && cof_now(CLOCK_MONOTONIC) - to->since < LINES_WAIT_NS))
		return r;
	return flush(to);
}

static int answer_status(struct cof_control *c, int fd)
{
	cof_autojson struct cof_json *status = cof_json_object();
	int err;

	if (!status)
		return -ENOMEM;
	err = cof_archive_status(c->p.archive, status);
	if (err)
		return err;
	if (c->p.extra)
		c->p.extra(c->p.user, status);
	return cof_control_send(fd, status, LINE_MS);
}

/* 0: time for another look; 1: the client is gone or the server stops. */
static int wait_to_follow(struct cof_control *c, int fd)
{
	struct pollfd p[2] = {{.fd = fd, .events = 0}, {.fd = c->wake, .events = POLLIN}};
	int n = poll(p, COF_COUNT(p), FOLLOW_MS);

	if (n < 0)
		return errno == EINTR ? 0 : 1;
	return n > 0;
}

static int answer_log(struct answer *to, const struct cof_control_request *r)
{
	struct cof_events_query q = r->events;
	uint64_t next = r->from;
	int err;

	do {
		if (r->verb == COF_VERB_EVENTS)
			err = cof_archive_events(to->control->p.archive, &q, send_entry, to, &q.from);
		else
			err = cof_archive_show_log(to->control->p.archive, next, send_entry, to, &next);
		if (!err && r->follow)
			err = flush(to);
	} while (!err && r->follow && !wait_to_follow(to->control, to->fd));
	return err == -ESHUTDOWN ? 0 : err;
}

static int answer_follow(struct answer *to, const struct cof_control_request *r, struct cof_diag *diag)
{
	struct cof_control *c = to->control;
	bool room;
	int err;

	pthread_mutex_lock(&c->lock);
	room = c->followers < FOLLOWERS;
	c->followers += room;
	pthread_mutex_unlock(&c->lock);
	if (!room)
		return cof_fail(diag, -EBUSY, "%d clients follow the log already: no more at once",
				FOLLOWERS);
	err = answer_log(to, r);
	pthread_mutex_lock(&c->lock);
	c->followers--;
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* What reads as an opened file does. */
static int record_query(struct cof_control *c, int fd, const struct cof_control_request *r, struct cof_diag *diag)
{
	struct cof_who who;
	int err;

	if (r->verb != COF_VERB_LOG && r->verb != COF_VERB_EVENTS && r->verb != COF_VERB_BLAME && r->verb != COF_VERB_CERTIFICATES)
		return 0;
	if (!peer_of(fd, &who))
		return -EACCES;
	err = cof_archive_queried(c->p.archive, &who, cof_control_verb_name(r->verb));
	return err ? cof_fail(diag, err, "that this was asked for could not be recorded: %s", strerror(-err)) : 0;
}

static int answer_verb(struct answer *to, struct cof_control_request *r, struct cof_diag *diag)
{
	struct cof_control *c = to->control;
	struct cof_who who;
	int fd = to->fd, err = record_query(c, fd, r, diag);

	if (err)
		return err;
	switch (r->verb) {
	case COF_VERB_STATUS:
		return answer_status(c, fd);
	case COF_VERB_LOG:
	case COF_VERB_EVENTS:
		return r->follow ? answer_follow(to, r, diag) : answer_log(to, r);
	case COF_VERB_BLAME:
		return cof_archive_blame(c->p.archive, r->ino, send_entry, to);
	case COF_VERB_CHECKPOINT:
		return cof_archive_checkpoint(c->p.archive);
	case COF_VERB_COMMIT:
	case COF_VERB_RETAIN:
	case COF_VERB_SHELF_ADD:
	case COF_VERB_SHELF_SET:
	case COF_VERB_RETAIN_EVENT:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_act(c->p.archive, &who, r, send_entry, to, diag);
	case COF_VERB_ACKNOWLEDGE:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_acknowledge(c->p.archive, &who, send_entry, to, diag);
	case COF_VERB_CLOCK:
		return cof_verb_clock(c->p.archive, send_entry, to);
	case COF_VERB_STAMP_QUERY:
		return cof_verb_stamp_query(c->p.archive, send_entry, to, diag);
	case COF_VERB_STAMP:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_stamp(c->p.archive, &who, r, send_entry, to, diag);
	case COF_VERB_COSIGN:
		return cof_verb_cosign(c->p.archive, r, send_entry, to, diag);
	case COF_VERB_VAULT_TOLD:
		return peer_of(fd, &who) ? cof_archive_vault_told(c->p.archive, &who, r->type, r->vault, r->note, diag) : -EACCES;
	case COF_VERB_VAULT_NEWER:
		return cof_archive_newer(c->p.archive, r->vault, r->note, strlen(r->note), diag);
	case COF_VERB_VAULT_RECORD:
		if (cof_json_get(r->json, "recipient"))
			return peer_of(fd, &who) ? cof_archive_vault_enroll(c->p.archive, &who, cof_json_get(r->json, "record"),
									    cof_json_str(r->json, "recipient"), diag)
						 : -EACCES;
		return peer_of(fd, &who) ? cof_archive_vault_record(c->p.archive, &who, cof_json_get(r->json, "record"), NULL, diag) : -EACCES;
	case COF_VERB_PEOPLE:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_archive_people(c->p.archive, &who, r->people, r->json, send_entry, to, diag);
	case COF_VERB_HOLD_BEGIN:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_hold_begin(c->p.archive, &who, r, send_entry, to, diag);
	case COF_VERB_HOLD_END:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_hold_end(c->p.archive, &who, r, diag);
	case COF_VERB_HOLDS:
		return cof_archive_holds(c->p.archive, r->all, send_entry, to);
	case COF_VERB_EXPLAIN:
		return cof_verb_explain(c->p.archive, r, send_entry, to, diag);
	case COF_VERB_SHELVES:
		return cof_archive_shelves(c->p.archive, send_entry, to);
	case COF_VERB_CERTIFICATES:
		return cof_archive_certs(c->p.archive, r->json, send_entry, to, diag);
	case COF_VERB_IMPORT:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_import(c->p.archive, &who, r, send_entry, to, diag);
	case COF_VERB_NOTE:
		if (!peer_of(fd, &who))
			return -EACCES;
		return cof_verb_note(c->p.archive, &who, r, send_entry, to, diag);
	case COF_VERB_IMPORT_STATE:
		return cof_verb_import_state(c->p.archive, r, send_entry, to, diag);
	case COF_VERB_LS:
		return cof_verb_ls(c->p.archive, r, send_entry, to, diag);
	case COF_VERB_STOP:
		return 0; /* after the answer, which would not come through later */
	}
	return -EOPNOTSUPP;
}

static int answer(struct cof_control *c, int fd, struct cof_control_request *r, struct cof_diag *diag)
{
	struct answer to = {.control = c, .fd = fd};
	int err = answer_verb(&to, r, diag), sent = flush(&to); /* what was said before an error, too */

	cof_buf_done(&to.lines);
	return err ? err : sent;
}

static bool peer_allowed(int fd)
{
	struct cof_who who;

	return peer_of(fd, &who) && (who.uid == 0 || who.uid == geteuid());
}

static void serve(struct cof_control *c, int fd)
{
	cof_autofree char *line = malloc(COF_CONTROL_REQUEST_MAX + 1);
	struct cof_control_request r;
	struct cof_diag diag = {""};
	size_t n = 0;
	int err, sent;

	if (!line)
		return;
	err = cof_control_read_line(fd, line, COF_CONTROL_REQUEST_MAX + 1, REQUEST_MS, &n);
	if (err == -EMSGSIZE)
		cof_fail(&diag, err, "a request has at most %d bytes", COF_CONTROL_REQUEST_MAX);
	else if (err == -ETIMEDOUT)
		cof_fail(&diag, err, "no request came within %d seconds", REQUEST_MS / 1000);
	else if (err)
		return; /* gone */
	if (!err)
		err = cof_control_parse(line, n, &r, &diag);
	if (err) {
		(void)cof_control_send_end(fd, err, diag.text, LINE_MS);
		return;
	}
	err = answer(c, fd, &r, &diag);
	sent = cof_control_send_end(fd, err, diag.text, LINE_MS);
	/* Whether or not the client is still there to hear it: the request was understood. */
	(void)sent;
	if (r.verb == COF_VERB_STOP && c->p.stop)
		c->p.stop(c->p.user);
	cof_control_request_done(&r);
}

static void *client_main(void *arg)
{
	struct slot *s = arg;
	struct cof_control *c = s->control;

	serve(c, s->fd);
	pthread_mutex_lock(&c->lock);
	close(s->fd);
	s->fd = -1;
	s->state = SLOT_ENDED;
	pthread_cond_broadcast(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- accepting ---- */

static void deadline_in(int ms, struct timespec *ret)
{
	int64_t at = cof_now(CLOCK_MONOTONIC) + (int64_t)ms * 1000000;

	ret->tv_sec = at / COF_NSEC;
	ret->tv_nsec = at % COF_NSEC;
}

/* Joins a thread that has ended: at once, since it holds nothing and waits for nothing. */
static void reap(struct slot *s)
{
	if (s->state == SLOT_ENDED) {
		pthread_join(s->thread, NULL);
		s->state = SLOT_FREE;
	}
}

/* Under the lock; waits a little when all are busy. NULL: still none, or stopping. */
static struct slot *free_slot(struct cof_control *c)
{
	struct timespec until;
	int err = 0;

	deadline_in(FULL_MS, &until);
	while (!atomic_load(&c->stopping)) {
		for (int i = 0; i < CLIENTS; i++) {
			reap(&c->slots[i]);
			if (c->slots[i].state == SLOT_FREE)
				return &c->slots[i];
		}
		if (err)
			break;
		err = pthread_cond_timedwait(&c->ended, &c->lock, &until);
	}
	return NULL;
}

static int start_thread(pthread_t *ret, void *(*main)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	/* Signals are for the daemon's own thread, but for those that tell of a thread's own doing. */
	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(ret, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

static void admit(struct cof_control *c, int fd)
{
	struct slot *s;
	int err = -EBUSY;

	if (!peer_allowed(fd)) {
		(void)cof_control_send_end(fd, -EACCES, "only root and the daemon's own user may ask",
					   0);
		close(fd);
		return;
	}
	pthread_mutex_lock(&c->lock);
	s = free_slot(c);
	if (s) {
		s->fd = fd;
		s->state = SLOT_RUNNING;
		err = start_thread(&s->thread, client_main, s);
		if (err) {
			s->state = SLOT_FREE;
			s->fd = -1;
		}
	}
	pthread_mutex_unlock(&c->lock);
	if (err) {
		(void)cof_control_send_end(fd, err,
					   "the daemon is busy with other requests: try again", 0);
		close(fd);
	}
}

static void *acceptor_main(void *arg)
{
	struct cof_control *c = arg;

	while (!atomic_load(&c->stopping)) {
		struct pollfd p[2] = {{.fd = c->listener, .events = POLLIN},
				      {.fd = c->wake, .events = POLLIN}};
		int fd;

		if (poll(p, COF_COUNT(p), -1) < 0 && errno != EINTR)
			return NULL;
		if (!(p[0].revents & POLLIN))
			continue;
		fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			admit(c, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			poll(&p[1], 1, FOLLOW_MS); /* the client stays queued; do not spin */
	}
	return NULL;
}

/* ---- start and end ---- */

static void control_free(struct cof_control *c)
{
	close(c->listener);
	if (c->wake >= 0)
		close(c->wake);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct cof_control *control_new(const struct cof_control_params *p)
{
	struct cof_control *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	c->p = *p;
	c->listener = p->listener;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < CLIENTS; i++) {
		c->slots[i].control = c;
		c->slots[i].fd = -1;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->ended, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

int cof_control_start(const struct cof_control_params *p, struct cof_control **ret,
		      struct cof_diag *diag)
{
	struct cof_control *c = control_new(p);
	int err;

	if (!c) {
		close(p->listener);
		return cof_fail(diag, -ENOMEM, "no memory for the control socket");
	}
	err = c->wake < 0 ? -EMFILE : start_thread(&c->acceptor, acceptor_main, c);
	if (err) {
		control_free(c);
		return cof_fail(diag, err, "no thread or descriptor for the control socket: %s",
				strerror(-err));
	}
	*ret = c;
	return 0;
}

static unsigned running(const struct cof_control *c)
{
	unsigned n = 0;

	for (int i = 0; i < CLIENTS; i++)
		n += c->slots[i].state == SLOT_RUNNING;
	return n;
}

void cof_control_stop(struct cof_control *c)
{
	struct timespec until;
	uint64_t one = 1;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	atomic_store(&c->stopping, true);
	pthread_cond_broadcast(&c->ended);
	pthread_mutex_unlock(&c->lock);
	while (write(c->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(c->acceptor, NULL);

	deadline_in(GRACE_MS, &until);
	pthread_mutex_lock(&c->lock);
	while (running(c) && !pthread_cond_timedwait(&c->ended, &c->lock, &until))
		;
	for (int i = 0; i < CLIENTS; i++) {
		if (c->slots[i].fd >= 0)
			shutdown(c->slots[i].fd, SHUT_RDWR);
	}
	while (running(c))
		pthread_cond_wait(&c->ended, &c->lock);
	for (int i = 0; i < CLIENTS; i++)
		reap(&c->slots[i]);
	pthread_mutex_unlock(&c->lock);
	control_free(c);
}
