/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a vault: ssh, or a vault on this host's own disks, each as a process that speaks on its standard input
 * and output. No shell comes near it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "tools/vault/internal.h"

#define WORDS 32
#define IDLE_MS 120000
#define END_MS 20000 /* of a program whose input ended; a vault may be in the middle of a sync */
#define TERM_MS 5000
#define PIPE (1 << 20) /* bytes on the way: fewer turns between the two processes; as the kernel allows */

struct words {
	char *word[WORDS + 1];
	size_t n;
	bool failed;
};

static void add(struct words *w, const char *word)
{
	if (w->n == WORDS || !(w->word[w->n] = strdup(word)))
		w->failed = true;
	else
		w->n++;
}

static void words_done(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->word[i]);
}

/* The program beside this one, as it is when it was not installed; else by its name. */
static void add_program(struct words *w)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	char *slash;

	if (n > 0) {
		path[n] = 0;
		slash = strrchr(path, '/');
		if (slash) {
			strcpy(slash + 1, "coffer-vault");
			if (access(path, X_OK) == 0) {
				add(w, path);
				return;
			}
		}
	}
	add(w, "coffer-vault");
}

/* ssh as an operator has it; COFFER_SSH: another program and its options, with blanks between. */
static void add_ssh(struct words *w)
{
	const char *own = getenv("COFFER_SSH");
	cof_autofree char *copy = strdup(own && *own ? own : "ssh");
	char *rest = copy, *word;

	while (copy && (word = strsep(&rest, " ")))
		if (*word)
			add(w, word);
	if (!copy)
		w->failed = true;
	add(w, "-T");
	add(w, "-o");
	add(w, "BatchMode=yes");
}

/* A path as the remote user's shell takes it: in single quotes. */
static void add_quoted(struct words *w, const char *before, const char *path)
{
	cof_autobuf struct cof_buf b = {0};

	cof_buf_printf(&b, "%s'", before);
	for (; *path; path++)
		cof_buf_printf(&b, *path == '\'' ? "'\\''" : "%c", *path);
	cof_buf_add(&b, "'", 1);
	if (b.failed)
		w->failed = true;
	else
		add(w, (const char *)b.data);
}

static int bad_url(const char *url, struct cof_diag *diag)
{
	return cof_fail(diag, -EINVAL, "'%s' is no way to a vault: ssh://[USER@]HOST[:PORT]/DIR or dir:/DIR", url);
}

static int ssh_words(struct words *w, const char *url, struct cof_diag *diag)
{
	const char *host = url + 6, *path = strchr(host, '/');
	cof_autofree char *name = path ? strndup(host, (size_t)(path - host)) : NULL;
	char *port = name ? strrchr(name, ':') : NULL;

	if (!name || !*name || *name == '-' || !path[1] || strchr(name, '\''))
		return bad_url(url, diag);
	if (port && port[1] && port[strspn(port + 1, "0123456789") + 1] == 0 && port[-1 + (port == name)] != ':')
		*port++ = 0;
	else
		port = NULL;
	add_ssh(w);
	if (port) {
		add(w, "-p");
		add(w, port);
	}
	add(w, "--");
	add(w, name);
	add_quoted(w, "coffer-vault serve ", path);
	return 0;
}

static int words_for(struct words *w, const char *url, struct cof_diag *diag)
{
	if (!strncmp(url, "ssh://", 6)) {
		int r = ssh_words(w, url, diag);

		if (r < 0)
			return r;
	} else if (!strncmp(url, "dir:/", 5)) {
		add_program(w);
		add(w, "serve");
		add(w, "--");
		add(w, url + 4);
	} else if (!strncmp(url, "bundle:", 7) && url[7]) {
		add_program(w);
		add(w, "give");
		add(w, "--");
		add(w, url + 7);
	} else {
		return bad_url(url, diag);
	}
	return w->failed ? cof_fail(diag, -E2BIG, "the way to the vault has too many words") : 0;
}

int vault_url_check(const char *url, struct cof_diag *diag)
{
	struct words w = {.n = 0};
	int r = words_for(&w, url, diag);

	words_done(&w);
	return r;
}

/* The program with these words, the first its name, and with these as its standard input and output. */
static int start(const char *program, char *const *words, int in, int out, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t usual;
	int r = -posix_spawn_file_actions_init(&files);

	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r == 0) {
		sigemptyset(&usual);
		sigaddset(&usual, SIGPIPE);
		r = -posix_spawnattr_setsigdefault(&attr, &usual);
		if (r == 0)
			r = -posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&files, in, 0);
		if (r == 0)
			r = -posix_spawn_file_actions_adddup2(&files, out, 1);
		if (r == 0)
			r = program ? -posix_spawnp(ret, program, &files, &attr, words, environ) : -EINVAL;
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return r;
}

static void shut(const int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
}

void vault_wire_prepare(struct vault_wire *w)
{
	int flags = fcntl(w->out, F_GETFL);

	(void)fcntl(w->in, F_SETPIPE_SZ, PIPE);
	(void)fcntl(w->out, F_SETPIPE_SZ, PIPE);
	if (flags >= 0)
		(void)fcntl(w->out, F_SETFL, flags | O_NONBLOCK);
}

int vault_line_open(const char *url, struct vault_line *ret, struct cof_diag *diag)
{
	struct words w = {.n = 0};
	int down[2] = {-1, -1}, up[2] = {-1, -1}, r = words_for(&w, url, diag);
	pid_t pid = -1;

	if (r == 0) {
		r = pipe2(down, O_CLOEXEC) < 0 || pipe2(up, O_CLOEXEC) < 0 ? -errno : start(w.word[0], w.word, down[0], up[1], &pid);
		if (r < 0)
			cof_fail(diag, r, "%s cannot be started: %s", w.word[0], strerror(-r));
	}
	words_done(&w);
	if (r < 0) {
		shut(down);
		shut(up);
		return r;
	}
	close(down[0]);
	close(up[1]);
	*ret = (struct vault_line){.pid = pid, .wire = {.in = up[0], .out = down[1], .timeout_ms = IDLE_MS}};
	vault_wire_prepare(&ret->wire);
	return 0;
}

void vault_line_hang_up(struct vault_line *l)
{
	if (l->pid <= 0 || l->wire.out < 0)
		return;
	close(l->wire.out);
	close(l->wire.in);
	l->wire.out = l->wire.in = -1;
}

void vault_line_drop(struct vault_line *l)
{
	if (l->pid > 0)
		(void)kill(l->pid, SIGTERM);
	(void)vault_line_close(l);
}

/* Whether the process ended within that time, and how. Where the kernel tells nobody of an end it is waited for. */
static bool ended(pid_t pid, int fd, int ms, int *ret_status)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = fd < 0 ? 1 : poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return false;
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return true;
}

/* A vault whose disk stands still, or that means ill, does not end by itself, and ssh only when it does. */
int vault_line_close(struct vault_line *l)
{
	int status = 0, most = l->wire.timeout_ms, fd;

	if (l->pid <= 0)
		return 0;
	vault_line_hang_up(l);
	fd = pidfd_open(l->pid, 0);
	if (!ended(l->pid, fd, COF_MIN(END_MS, most), &status)) {
		(void)kill(l->pid, SIGTERM);
		if (!ended(l->pid, fd, COF_MIN(TERM_MS, most), &status)) {
			(void)kill(l->pid, SIGKILL);
			(void)ended(l->pid, -1, 0, &status);
		}
	}
	if (fd >= 0)
		close(fd);
	l->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
