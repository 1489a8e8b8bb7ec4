/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The passphrase from the terminal. It goes from there into locked memory and on into a pipe, whose
 * reading end the daemon inherits: never an argument, never the environment.
 */
#include "crypto/crypto.h"
#include "fs/mount-helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>

#define PASSPHRASE_MAX 1024
#define SECURE_BYTES 65536

static volatile sig_atomic_t given_up;

static void on_signal(int sig)
{
	(void)sig;
	given_up = 1;
}

struct signals { /* as they were */
	struct sigaction interrupt, terminate;
	sigset_t mask;
};

/* They come through while the terminal is waited for and at no other moment: one that came just
 * before a read would not end it. Who was interrupted gets the terminal's echo back. */
static void catch_signals(struct signals *old)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, &old->mask);
	sigemptyset(&act.sa_mask);
	(void)sigaction(SIGINT, &act, &old->interrupt);
	(void)sigaction(SIGTERM, &act, &old->terminate);
}

static void restore_signals(const struct signals *old)
{
	(void)sigaction(SIGINT, &old->interrupt, NULL);
	(void)sigaction(SIGTERM, &old->terminate, NULL);
	(void)sigprocmask(SIG_SETMASK, &old->mask, NULL);
}

static void wait_for_line(int tty)
{
	struct pollfd p = {.fd = tty, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	(void)ppoll(&p, 1, NULL, &none); /* whatever ends it, the read and given_up tell */
}

/* One line, its newline left out. A terminal in canonical mode gives a line at a time. */
static int read_line(int tty, char *out, size_t *ret_n, struct cof_diag *diag)
{
	size_t n = 0;

	for (;;) {
		ssize_t r;

		wait_for_line(tty);
		if (given_up)
			return cof_fail(diag, -EINTR, "interrupted");
		r = read(tty, out + n, PASSPHRASE_MAX + 1 - n);
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

static int ask(int tty, const char *store, char *out, size_t *ret_n, struct cof_diag *diag)
{
	struct signals signals;
	struct termios old, silent;
	int err;

	if (tcgetattr(tty, &old) < 0)
		return cof_fail(diag, -ENOTTY, "/dev/tty is no terminal");
	silent = old;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	silent.c_lflag |= ICANON | ISIG | ECHONL;
	catch_signals(&signals);
	if (tcsetattr(tty, TCSAFLUSH, &silent) < 0) {
		err = cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
	} else {
		/* not before: the flush would take away what answers it */
		dprintf(tty, "Passphrase for %s: ", store);
		err = read_line(tty, out, ret_n, diag);
	}
	if (tcsetattr(tty, TCSAFLUSH, &old) < 0 && err == 0)
		err = cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
	restore_signals(&signals);
	return err;
}

int cof_helper_passphrase(const char *store, int *ret_fd, struct cof_diag *diag)
{
	cof_autoclose int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	cof_autosecret char *text = NULL;
	int fds[2], err;
	size_t n = 0;

	if (tty < 0)
		return cof_fail(diag, -ENOTTY,
				"there is no terminal to ask for the passphrase: use keyfile=FILE, "
				"credential=NAME or passfd=N");
	err = cof_crypto_init(SECURE_BYTES, diag);
	if (err < 0)
		return err;
	text = cof_secret_alloc(PASSPHRASE_MAX + 1);
	if (!text)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the passphrase");
	err = ask(tty, store, text, &n, diag);
	if (err < 0)
		return err;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cof_fail(diag, -errno, "no pipe: %s", strerror(errno));
	err = cof_write_all(fds[1], text, n); /* fits the pipe: does not wait */
	close(fds[1]);
	if (err < 0) {
		close(fds[0]);
		return cof_fail(diag, err, "the passphrase's pipe: %s", strerror(-err));
	}
	*ret_fd = fds[0];
	return 0;
}
