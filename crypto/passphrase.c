/* SPDX-License-Identifier: Apache-2.0 */
/* A passphrase from the terminal, without echo; twice where a new one is chosen. */
#include "crypto/passphrase.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>

static volatile sig_atomic_t given_up;
static sigset_t while_waiting; /* what stays blocked then: not what is caught */
static unsigned patience;      /* seconds for a line; 0: for ever */

static void on_signal(int sig)
{
	(void)sig;
	given_up = 1;
}

static const int caught[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};

struct signals { /* as they were */
	struct sigaction action[COF_COUNT(caught)];
	sigset_t mask;
};

/* They come through while the terminal is waited for and at no other moment: one that came just
 * before a read would not end it. Who was interrupted gets the terminal's echo back. */
static void catch_signals(struct signals *old)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t set;

	given_up = 0;
	sigemptyset(&set);
	for (size_t i = 0; i < COF_COUNT(caught); i++)
		sigaddset(&set, caught[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &old->mask);
	while_waiting = old->mask;
	for (size_t i = 0; i < COF_COUNT(caught); i++)
		sigdelset(&while_waiting, caught[i]);
	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < COF_COUNT(caught); i++)
		(void)sigaction(caught[i], &act, &old->action[i]);
}

static void restore_signals(const struct signals *old)
{
	for (size_t i = 0; i < COF_COUNT(caught); i++)
		(void)sigaction(caught[i], &old->action[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &old->mask, NULL);
}

/* False: nothing came in time. Whatever else ends it, the read and given_up tell. */
static bool wait_for_line(int tty)
{
	struct pollfd p = {.fd = tty, .events = POLLIN};
	const struct timespec limit = {.tv_sec = patience};

	return ppoll(&p, 1, patience ? &limit : NULL, &while_waiting) != 0;
}

/* One line, its newline left out. */
static int read_line(int tty, char *out, size_t *ret_n, struct cof_diag *diag)
{
	size_t n = 0;

	for (;;) {
		bool came = wait_for_line(tty);
		ssize_t r;

		if (given_up)
			return cof_fail(diag, -EINTR, "interrupted");
		if (!came)
			return cof_fail(diag, -ETIMEDOUT, "nobody typed for %u seconds", patience);
		r = read(tty, out + n, COF_PASSPHRASE_MAX + 1 - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
		n += (size_t)r;
		if (r == 0 || out[n - 1] == '\n')
			break;
		if (n > COF_PASSPHRASE_MAX)
			return cof_fail(diag, -E2BIG, "a passphrase has at most %d bytes",
					COF_PASSPHRASE_MAX);
	}
	if (n > 0 && out[n - 1] == '\n')
		n--;
	*ret_n = n;
	return 0;
}

/* store NULL: a line that may be empty. */
static int prompt(int tty, const char *what, const char *store, char *out, size_t *ret_n,
		  struct cof_diag *diag)
{
	size_t n = 0;
	int r;

	dprintf(tty, "%s%s%s: ", what, store ? " " : "", store ? store : "");
	r = read_line(tty, out, &n, diag);
	if (r == 0 && !n && store)
		return cof_fail(diag, -EINVAL, "no passphrase was given");
	if (r == 0)
		*ret_n = n;
	return r;
}

static int ask(int tty, const char *what, const char *store, bool twice, char *out, size_t *ret_n,
	       struct cof_diag *diag)
{
	cof_autosecret char *again = NULL;
	size_t n = 0, m = 0;
	char first[32];
	int r;

	if (!twice)
		return prompt(tty, what, store, out, ret_n, diag);
	again = cof_secret_alloc(COF_PASSPHRASE_ROOM);
	if (!again)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the passphrase");
	snprintf(first, sizeof(first), "New %c%s", *what == 'P' && what[1] == 'a' ? 'p' : *what, what + 1);
	r = prompt(tty, first, store, out, &n, diag);
	if (r == 0)
		r = prompt(tty, "The same once more, for", store, again, &m, diag);
	if (r < 0)
		return r;
	if (n != m || !cof_equal(out, again, n))
		return cof_fail(diag, -EINVAL, "the two differ; nothing was made");
	*ret_n = n;
	return 0;
}

static int ask_for(const char *what, const char *it, const char *store, bool twice, char *out, size_t *ret_n,
		   struct cof_diag *diag)
{
	cof_autoclose int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct signals signals;
	struct termios old, silent;
	int r;

	if (tty < 0 || tcgetattr(tty, &old) < 0)
		return cof_fail(diag, -ENOTTY, "there is no terminal to ask for %s", it);
	silent = old;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	silent.c_lflag |= ICANON | ISIG | ECHONL;
	catch_signals(&signals);
	if (tcsetattr(tty, TCSAFLUSH, &silent) < 0)
		r = cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
	else
		r = ask(tty, what, store, twice, out, ret_n, diag);
	if (tcsetattr(tty, TCSAFLUSH, &old) < 0 && r == 0)
		r = cof_fail(diag, -errno, "the terminal: %s", strerror(errno));
	restore_signals(&signals);
	return r;
}

int cof_passphrase_ask(const char *store, bool twice, char *out, size_t *ret_n,
		       struct cof_diag *diag)
{
	return ask_for("Passphrase for", "the passphrase", store, twice, out, ret_n, diag);
}

int cof_pin_ask(const char *store, bool twice, char *out, size_t *ret_n, struct cof_diag *diag)
{
	return ask_for("PIN of the TPM's seal of", "the PIN", store, twice, out, ret_n, diag);
}

int cof_line_ask(const char *what, unsigned seconds, char *out, size_t *ret_n, struct cof_diag *diag)
{
	int r;

	patience = seconds;
	r = ask_for(what, "it", NULL, false, out, ret_n, diag);
	patience = 0;
	return r;
}
