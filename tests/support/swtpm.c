/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and ends swtpm; its control channel is spoken directly (four bytes of command, big endian). */
#include "swtpm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "swtpm: %s\n", what);
	abort();
}

bool swtpm_installed(void)
{
	return access("/usr/bin/swtpm", X_OK) == 0 && access("/usr/bin/tpm2", X_OK) == 0;
}

int swtpm_main(const char *name, TCase *c)
{
	Suite *suite = suite_create(name);
	SRunner *r;
	int failed;

	suite_add_tcase(suite, c);
	r = srunner_create(suite);
	if (!swtpm_installed()) {
		srunner_free(r);
		puts("swtpm and tpm2-tools are not installed");
		return 77;
	}
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void shell(const char *command)
{
	need(system(command) == 0, command);
}

/* A listening socket: whoever connects before the program accepts waits for it. */
static int listener(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	need(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0,
	     "no socket");
	return fd;
}

static void become_swtpm(const struct swtpm *s, int server, int control)
{
	char state[96], data[64], ctrl[64], log[96];
	int null = open("/dev/null", O_RDWR), out;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
	snprintf(state, sizeof(state), "dir=%s", s->dir);
	snprintf(data, sizeof(data), "type=unixio,fd=%d", server);
	snprintf(ctrl, sizeof(ctrl), "type=unixio,fd=%d", control);
	snprintf(log, sizeof(log), "%s/log", s->dir);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", data, "--ctrl",
	       ctrl, "--flags", "not-need-init,startup-clear", NULL);
	_exit(127);
}

void swtpm_start(struct swtpm *s)
{
	char control[112];
	int fds[2];

	snprintf(control, sizeof(control), "%s.ctrl", s->socket);
	fds[0] = listener(s->socket);
	fds[1] = listener(control);
	s->pid = fork();
	need(s->pid >= 0, "cannot fork");
	if (s->pid == 0)
		become_swtpm(s, fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

void swtpm_new(struct swtpm *s)
{
	memset(s, 0, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "%s/swtpm.XXXXXX", P_tmpdir);
	need(mkdtemp(s->dir) != NULL, "no directory");
	snprintf(s->socket, sizeof(s->socket), "%s/sock", s->dir);
	swtpm_start(s);
}

void swtpm_stop(struct swtpm *s)
{
	char path[128];

	if (!s->pid)
		return;
	need(kill(s->pid, SIGKILL) == 0 && waitpid(s->pid, NULL, 0) == s->pid, "does not end");
	s->pid = 0;
	unlink(s->socket);
	snprintf(path, sizeof(path), "%s.ctrl", s->socket);
	unlink(path);
}

void swtpm_reset(struct swtpm *s)
{
	static const unsigned char init[8] = {0, 0, 0, 2}; /* CMD_INIT, no flags */
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	unsigned char answer[4] = {1};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s.ctrl", s->socket);
	need(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "no control channel");
	need(write(fd, init, sizeof(init)) == sizeof(init) && read(fd, answer, 4) == 4 &&
		 !(answer[0] | answer[1] | answer[2] | answer[3]),
	     "cannot be reset");
	close(fd);
}

void swtpm_remove(struct swtpm *s)
{
	char command[128];

	swtpm_stop(s);
	snprintf(command, sizeof(command), "rm -r %s", s->dir);
	shell(command);
}

void swtpm_tool(struct swtpm *s, const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line),
		 "cd %s && export TPM2TOOLS_TCTI=swtpm:path=%s && (tpm2_%s) > %s/tool.log 2>&1 || "
		 "{ cat %s/tool.log >&2; exit 1; }",
		 s->dir, s->socket, command, s->dir, s->dir);
	shell(line);
}
