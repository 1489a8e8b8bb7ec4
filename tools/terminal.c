/* SPDX-License-Identifier: Apache-2.0 */
/* A passphrase from the terminal, without echo; twice where a new one is chosen. */
#include "tools/opener.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>

#define ROOM (PASSPHRASE_MAX + 2)

static volatile sig_atomic_t given_up;

static void on_signal(int sig)
{
	(void)sig;
	given_up = 1;
}

/* Without SA_RESTART: the read ends, and the terminal gets its echo back. */
static void catch_signals(struct sigaction old[2])
{
	struct sigaction act = {.sa_handler = on_signal};

	sigemptyset(&act.sa_mask);
	(void)sigaction(SIGINT, &act, &old[0]);
	(void)sigaction(SIGTERM, &act, &old[1]);
}

static void restore_signals(const struct sigaction old[2])
{
	(void)sigaction(SIGINT, &old[0], NULL);
	(void)sigaction(SIGTERM, &old[1], NULL);
}

/* One line, its newline left out. */
static int read_line(int tty, char *out, size_t *ret_n, struct cof_diag *diag)
{
	size_t n = 0;

	for (;;) {
		ssize_t r = read(tty, out + n, PASSPHRASE_MAX + 1 - n);

		if (given_up)
			return cof_fail(diag, -EINTR, "interrupted");
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
		n += (size_t)r;
		if (r == 0 || out[n - 1] == '\n')
			break;
		if (n > PASSPHRASE_MAX)
			return cof_fail(diag, -E2BIG, "a passphrase has at most %d bytes",
					PASSPHRASE_MAX);
	}
	if (n > 0 && out[n - 1] == '\n')
		n--;
	if (n == 0)
		return cof_fail(diag, -EINVAL, "no passphrase was given");
	*ret_n = n;
	return 0;
}

static int prompt(int tty, const char *what, const char *store, char *out, size_t *ret_n,
		  struct cof_diag *diag)
{
	dprintf(tty, "%s %s: ", what, store);
	return read_line(tty, out, ret_n, diag);
}

static int ask(int tty, const char *store, bool twice, char *out, size_t *ret_n,
	       struct cof_diag *diag)
{
	cof_autosecret char *again = NULL;
	size_t n = 0, m = 0;
	int r;

	if (!twice)
		return prompt(tty, "Passphrase for", store, out, ret_n, diag);
	again = cof_secret_alloc(ROOM);
	if (!again)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the passphrase");
	r = prompt(tty, "New passphrase for", store, out, &n, diag);
	if (r == 0)
		r = prompt(tty, "The same once more, for", store, again, &m, diag);
	if (r < 0)
		return r;
	if (n != m || !cof_equal(out, again, n))
		return cof_fail(diag, -EINVAL, "the two passphrases differ; nothing was made");
	*ret_n = n;
	return 0;
}

int passphrase_ask(const char *store, bool twice, char *out, size_t *ret_n, struct cof_diag *diag)
{
	cof_autoclose int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct sigaction signals[2];
	struct termios old, silent;
	int r;

	if (tty < 0 || tcgetattr(tty, &old) < 0)
		return cof_fail(diag, -ENOTTY, "there is no terminal to ask for the passphrase");
	silent = old;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	silent.c_lflag |= ICANON | ISIG | ECHONL;
	given_up = 0;
	catch_signals(signals);
	if (tcsetattr(tty, TCSAFLUSH, &silent) < 0)
		r = cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
	else
		r = ask(tty, store, twice, out, ret_n, diag);
	if (tcsetattr(tty, TCSAFLUSH, &old) < 0 && r == 0)
		r = cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
	restore_signals(signals);
	return r;
}
