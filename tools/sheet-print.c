/* SPDX-License-Identifier: Apache-2.0 */
/* Sheets made in a process of their own, and where wanted through weasyprint. */
#include "tools/sheet-print.h"
#include "tools/coffer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NO_PROGRAM 127
#define SAID_MAX 400

/* ---- the process that makes the document ---- */

static int no_core(void)
{
	const struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

static int lock_up(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (geteuid() == 0)
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || no_core() < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return -EPERM;
	return 0;
}

static int make(const struct sheet_job *j, int in, int out)
{
	char *words = calloc(j->n, COF_SLIP39_TEXT);
	struct cof_sheet *sheets = calloc(j->n, sizeof(*sheets));
	struct cof_buf html = {0};
	size_t n = 0;
	int r = !words || !sheets ? -ENOMEM : lock_up();

	if (r == 0)
		r = cof_read_all(in, words, j->n * COF_SLIP39_TEXT, &n);
	if (r == 0 && n != j->n * COF_SLIP39_TEXT)
		r = -EIO;
	for (size_t i = 0; r == 0 && i < j->n; i++) {
		sheets[i] = j->sheets[i];
		sheets[i].words = words + i * COF_SLIP39_TEXT;
	}
	if (r == 0)
		r = cof_sheet_html(j->epoch, sheets, j->n, j->language, &html);
	if (r == 0)
		r = cof_write_all(out, html.data, html.len);
	cof_buf_wipe(&html);
	if (words)
		explicit_bzero(words, j->n * COF_SLIP39_TEXT);
	free(words);
	free(sheets);
	return r;
}

/* Its exit code is an errno. */
_Noreturn static void maker(const struct sheet_job *j, int in, int out)
{
	int r = 0;

	/* the pipes' other ends, above all: the words end when nobody can write any more */
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) < 0)
		r = -errno;
	if (r == 0)
		r = make(j, STDIN_FILENO, STDOUT_FILENO);
	_exit(r < 0 ? (-r < NO_PROGRAM ? -r : EIO) : 0);
}

/* ---- weasyprint ---- */

_Noreturn static void printer(int in, int out, int said)
{
	if (no_core() == 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(said, STDERR_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execlp("weasyprint", "weasyprint", "-q", "-e", "utf-8", "-", "-", (char *)NULL);
	_exit(NO_PROGRAM);
}

/* ---- both ---- */

struct pipes { /* -1: not open */
	int words[2], html[2], said[2];
};

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int exit_code(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EIO;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* What went wrong in the renderer, in its last line; the rest is a report for programmers. */
static void last_line(int fd, char out[SAID_MAX])
{
	cof_autobuf struct cof_buf all = {0};
	char part[512], *line;
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0)
		if (all.len < (64u << 10))
			cof_buf_add(&all, part, (size_t)n);
	out[0] = 0;
	if (!all.len || all.failed)
		return;
	while (all.len && all.data[all.len - 1] == '\n')
		all.data[--all.len] = 0;
	line = strrchr((char *)all.data, '\n');
	snprintf(out, SAID_MAX, "%s", line ? line + 1 : (char *)all.data);
}

static int send_words(const struct sheet_job *j, int fd)
{
	cof_autosecret char *all = cof_secret_alloc(j->n * COF_SLIP39_TEXT);
	int r = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < j->n && r == 0; i++) {
		if (strlen(j->sheets[i].words) >= COF_SLIP39_TEXT)
			r = -EINVAL;
		else
			strcpy(all + i * COF_SLIP39_TEXT, j->sheets[i].words);
	}
	return r == 0 ? cof_write_all(fd, all, j->n * COF_SLIP39_TEXT) : r;
}

static int start(const struct sheet_job *j, struct pipes *p, pid_t *ret_maker, pid_t *ret_printer)
{
	if (pipe2(p->words, O_CLOEXEC) < 0 || (!j->html && (pipe2(p->html, O_CLOEXEC) < 0 || pipe2(p->said, O_CLOEXEC) < 0)))
		return -errno;
	*ret_maker = fork();
	if (*ret_maker == 0)
		maker(j, p->words[0], j->html ? j->fd : p->html[1]);
	if (*ret_maker < 0)
		return -errno;
	shut(&p->words[0]);
	shut(&p->html[1]);
	if (j->html)
		return 0;
	*ret_printer = fork();
	if (*ret_printer == 0)
		printer(p->html[0], j->fd, p->said[1]);
	shut(&p->html[0]);
	shut(&p->said[1]);
	return *ret_printer < 0 ? -errno : 0;
}

static int told(int maker_code, int printer_code, const char *said, struct cof_diag *diag)
{
	if (printer_code == NO_PROGRAM)
		return cof_fail(diag, -ENOENT, "weasyprint is not installed: install it, or take --format html, which a browser prints");
	if (maker_code == EPERM)
		return cof_fail(diag, -EPERM, "the memory in which the sheet would be made cannot be locked: raise the limit (ulimit -l), or be root");
	if (printer_code)
		return cof_fail(diag, -EIO, "weasyprint failed: %s", *said ? said : "it said nothing");
	return maker_code ? cof_fail(diag, -maker_code, "the sheet was not written: %s", strerror(maker_code)) : 0;
}

int sheet_print(const struct sheet_job *j, struct cof_diag *diag)
{
	struct pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
	pid_t making = -1, printing = -1;
	char said[SAID_MAX] = "";
	int r, codes[2] = {0, 0};

	fflush(stdout);
	r = start(j, &p, &making, &printing);
	if (r == 0)
		r = send_words(j, p.words[1]);
	if (r == -EPIPE) /* it ended, and its code says why */
		r = 0;
	shut(&p.words[1]);
	shut(&p.words[0]);
	shut(&p.html[1]);
	shut(&p.html[0]);
	shut(&p.said[1]);
	if (p.said[0] >= 0)
		last_line(p.said[0], said);
	shut(&p.said[0]);
	if (making > 0)
		codes[0] = exit_code(making);
	if (printing > 0)
		codes[1] = exit_code(printing);
	if (r < 0)
		return cof_fail(diag, r, "the sheet cannot be made: %s", strerror(-r));
	return told(codes[0], codes[1], said, diag);
}

/* ---- where to ---- */

int sheet_fd_check(int fd, const char *what, struct cof_diag *diag)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cof_fail(diag, -EINVAL, "%s is not open", what);
	if (isatty(fd))
		return cof_fail(diag, -EINVAL, "%s is a terminal, which would show the words and keep them: pipe it to a printer, as in | lp",
				what);
	if (S_ISREG(st.st_mode))
		return cof_fail(diag, -EINVAL, "%s is a file: the words would stay on that disk. Pipe it to a printer, or ask for a file with "
				"--output, which is made for its owner only", what);
	return 0;
}

void sheet_warn_swap(void)
{
	cof_autoclose int fd = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
	char text[2048];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	const char *second;

	if (n <= 0)
		return;
	text[n] = 0;
	second = strchr(text, '\n');
	if (second && second[1])
		fprintf(stderr, "Swap is on: weasyprint's memory, and with it the words, may reach that disk. swapoff -a first.\n");
}
