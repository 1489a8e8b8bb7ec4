/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sync-watch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "tools/buckets.h"
#include "tools/bundles.h"
#include "tools/output.h"
#include "tools/sync-screen.h"
#include "tools/vaults.h"

#define MINUTE (60 * COF_NSEC)

struct watched {
	char name[64];
	struct sync_due due;
	int64_t every;
	pid_t pid; /* 0: no round is under way */
	bool listed;
	struct sync_round says; /* on a terminal */
};

struct watching {
	const struct sync_watch *p;
	struct watched *of;
	size_t n;
	int signals, changes;
	int store, vaults; /* watched directories */
	bool ending, listed;
	bool failed; /* no memory for one */
	bool screen; /* there is a terminal that all of them write to */
	sigset_t before;
};

/* ---- which there are ---- */

static bool wanted(const struct sync_watch *p, const char *name)
{
	for (int i = 0; i < p->n; i++)
		if (!strcmp(p->name[i], name))
			return true;
	return !p->n;
}

static void list(struct watching *w, const char *name, int64_t every)
{
	struct watched *more;

	if (!wanted(w->p, name))
		return;
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->of[i].name, name)) {
			w->of[i].listed = true;
			return;
		}
	more = realloc(w->of, (w->n + 1) * sizeof(*more));
	if (!more) {
		w->failed = true;
		return;
	}
	w->of = more;
	more[w->n] = (struct watched){.every = w->p->every ? w->p->every : every, .due.began = COF_RETAIN_NONE, .listed = true};
	snprintf(more[w->n++].name, sizeof(more->name), "%s", name);
}

static int list_vault(void *user, struct vault_entry *e)
{
	if (!*e->retiring && strcmp(e->url, BUNDLE_URL) != 0)
		list(user, e->name, MINUTE);
	return 0;
}

static int list_bucket(void *user, const struct bucket *b)
{
	if (!*b->retiring)
		list(user, b->name, SYNC_BUCKET_EVERY);
	return 0;
}

/* As they are now: one may have been added, or removed. */
static int look(struct watching *w, struct cof_diag *diag)
{
	size_t n = 0;
	int r;

	if (w->listed)
		return 0;
	for (size_t i = 0; i < w->n; i++)
		w->of[i].listed = w->of[i].pid > 0;
	r = vault_entries(w->p->store, list_vault, w, diag);
	if (r == 0)
		r = bucket_entries(w->p->store, list_bucket, w, diag);
	if (r == 0 && w->failed)
		r = cof_fail(diag, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < w->n; i++)
		if (w->of[i].listed)
			w->of[n++] = w->of[i];
	if (r == 0) {
		w->n = n;
		w->listed = true;
	}
	return r;
}

/* ---- rounds ---- */

static void become(const struct watching *w, const char *name)
{
	const char *words[10] = {"coffer", "sync", w->p->store->path, name};
	size_t n = 4;

	if (w->p->limit) {
		words[n++] = "--limit";
		words[n++] = w->p->limit;
	}
	if (w->p->json)
		words[n++] = "--json";
	(void)sigprocmask(SIG_SETMASK, &w->before, NULL);
	execv("/proc/self/exe", (char *const *)(uintptr_t)words);
	complain("a round with %s cannot be begun: %s", name, strerror(errno));
	_exit(1);
}

static int begin(struct watching *w, struct watched *v, int64_t now, struct cof_diag *diag)
{
	int child[2] = {-1, -1}, r = w->screen ? sync_round_open(&v->says, child) : 0;
	pid_t pid = r < 0 ? -1 : fork();

	if (pid == 0) {
		if (w->screen)
			sync_round_become(child);
		become(w, v->name);
	}
	r = pid < 0 && r == 0 ? -errno : r;
	for (int i = 0; i < 2; i++)
		if (child[i] >= 0)
			close(child[i]);
	if (r < 0) {
		sync_round_close(&v->says);
		return cof_fail(diag, r, "cannot begin a round with %s: %s", v->name, strerror(-r));
	}
	v->pid = pid;
	v->due.began = now;
	v->due.is_new = false;
	return 0;
}

static void ended(struct watching *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < w->n; i++) {
			struct watched *v = &w->of[i];

			if (v->pid != pid)
				continue;
			v->pid = 0;
			sync_round_close(&v->says);
			/* what a vault tells is no reason to come later */
			if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SYNC_ALARM))
				v->due.failures = 0;
			else
				v->due.failures++;
		}
}

static bool names_one(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && (!strcmp(end, ".conf") || !strcmp(end, ".bucket"));
}

/* A new checkpoint, or a vault or copy that was added, moved or removed. */
static void changed(struct watching *w)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(w->changes, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buf + at);
			bool lost = (e->mask & IN_Q_OVERFLOW) != 0;

			at += (ssize_t)(sizeof(*e) + e->len);
			if (lost || (e->wd == w->vaults && e->len && names_one(e->name)))
				w->listed = false;
			if (lost || (e->wd == w->store && e->len && !strcmp(e->name, "checkpoint")))
				for (size_t i = 0; i < w->n; i++)
					w->of[i].due.is_new = true;
		}
}

static void signalled(struct watching *w)
{
	struct signalfd_siginfo s;

	while (read(w->signals, &s, sizeof(s)) == (ssize_t)sizeof(s))
		if (s.ssi_signo != SIGCHLD && !w->ending) {
			w->ending = true;
			for (size_t i = 0; i < w->n; i++)
				if (w->of[i].pid > 0)
					(void)kill(w->of[i].pid, SIGTERM); /* a session that is cut goes on at the byte */
		}
}

static bool busy(const struct watching *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].pid > 0)
			return true;
	return false;
}

/* Until something is due; *ret: when that is. */
static int begin_due(struct watching *w, int64_t *ret, struct cof_diag *diag)
{
	int64_t now = cof_now(CLOCK_BOOTTIME);
	int r = 0;

	*ret = now + SYNC_IDLE;
	for (size_t i = 0; r == 0 && i < w->n && !w->ending; i++) {
		struct watched *v = &w->of[i];

		if (v->pid > 0)
			continue;
		if (sync_next(&v->due, v->every) <= now)
			r = begin(w, v, now, diag);
		else
			*ret = COF_MIN(*ret, sync_next(&v->due, v->every));
	}
	return r;
}

/* What rounds say, and how far they are. */
static void show(struct watching *w)
{
	cof_autofree const struct sync_round **round = calloc(w->n + 1, sizeof(*round));
	cof_autofree const char **name = calloc(w->n + 1, sizeof(*name));
	char line[512];

	if (!w->screen || !round || !name)
		return;
	for (size_t i = 0; i < w->n; i++) {
		sync_round_read(&w->of[i].says);
		name[i] = w->of[i].name;
		round[i] = &w->of[i].says;
	}
	sync_screen_line(name, round, w->n, cof_now(CLOCK_MONOTONIC), terminal_width(), line, sizeof(line));
	sync_screen_draw(line);
}

/* Until something comes, or the time is over. */
static int wait_a_while(struct watching *w, int ms, struct cof_diag *diag)
{
	cof_autofree struct pollfd *fd = calloc(2 + 2 * w->n, sizeof(*fd));
	nfds_t n = 2;

	if (!fd)
		return cof_fail(diag, -ENOMEM, "out of memory");
	fd[0] = (struct pollfd){.fd = w->signals, .events = POLLIN};
	fd[1] = (struct pollfd){.fd = w->changes, .events = POLLIN};
	for (size_t i = 0; i < w->n; i++)
		for (int k = 0; k < 2 && w->of[i].says.open; k++)
			fd[n++] = (struct pollfd){.fd = w->of[i].says.fd[k], .events = POLLIN}; /* -1: it is passed over */
	if (poll(fd, n, ms) < 0 && errno != EINTR)
		return cof_fail(diag, -errno, "cannot wait: %s", strerror(errno));
	return 0;
}

static int follow(struct watching *w, struct cof_diag *diag)
{
	int64_t due, left;
	int r = look(w, diag);

	if (r == 0 && !w->n)
		return cof_fail(diag, -ENOENT, "there is nothing here that a line leads to: coffer vault add %s NAME URL", w->p->store->path);
	while (r == 0 && (!w->ending || busy(w))) {
		r = begin_due(w, &due, diag);
		if (r < 0)
			break;
		left = (due - cof_now(CLOCK_BOOTTIME)) / 1000000 + 1;
		r = wait_a_while(w, (int)COF_MIN(COF_MAX(left, 0), 3600000), diag);
		if (r < 0)
			break;
		signalled(w);
		changed(w);
		ended(w);
		show(w);
		if (!w->ending)
			r = look(w, diag);
	}
	return r;
}

static int wait_for(struct watching *w, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf vaults = {0};
	const char *store = w->p->store->path;

	cof_buf_printf(&vaults, "%s/vaults", store);
	if (vaults.failed)
		return cof_fail(diag, -ENOMEM, "out of memory");
	w->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	w->store = w->changes < 0 ? -1 : inotify_add_watch(w->changes, store, IN_MOVED_TO | IN_ONLYDIR);
	w->vaults = w->changes < 0 ? -1 : inotify_add_watch(w->changes, (const char *)vaults.data, IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
	if (w->signals < 0 || w->store < 0 || (w->vaults < 0 && errno != ENOENT)) /* ENOENT: there are no vaults, which is said next */
		return cof_fail(diag, -errno, "cannot wait for what comes to %s: %s", store, strerror(errno));
	return 0;
}

int sync_watch(const struct sync_watch *p, struct cof_diag *diag)
{
	struct watching w = {.p = p, .signals = -1, .changes = -1, .screen = sync_screen_is()};
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&set, (const int[]){SIGINT, SIGTERM, SIGHUP, SIGCHLD}[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &w.before);
	w.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = wait_for(&w, diag);
	if (r == 0)
		r = follow(&w, diag);
	if (w.signals >= 0)
		close(w.signals);
	if (w.changes >= 0)
		close(w.changes);
	(void)sigprocmask(SIG_SETMASK, &w.before, NULL);
	for (size_t i = 0; i < w.n; i++)
		sync_round_close(&w.of[i].says);
	if (w.screen)
		sync_screen_draw("");
	free(w.of);
	return r;
}
