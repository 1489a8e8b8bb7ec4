/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's other screen. */
#include "tools/screen.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

static struct {
	unsigned depth;
	int tty; /* -1: none */
	bool other;
	sigset_t mask;
} screen = {.tty = -1};

static void put(const char *text)
{
	if (screen.tty >= 0)
		(void)cof_write_all(screen.tty, text, strlen(text)); /* a terminal that went away shows at the next question */
}

static bool has_other_screen(void)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") != 0 && strcmp(term, "unknown") != 0;
}

void screen_enter(void)
{
	static const int held[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP};
	sigset_t set;

	if (screen.depth++)
		return;
	sigemptyset(&set);
	for (size_t i = 0; i < COF_COUNT(held); i++)
		sigaddset(&set, held[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &screen.mask);
	screen.tty = open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	screen.other = screen.tty >= 0 && has_other_screen();
	if (screen.other)
		put("\033[?1049h\033[H\033[2J");
}

void screen_leave(void)
{
	if (!screen.depth || --screen.depth)
		return;
	if (screen.other)
		put("\033[H\033[2J\033[?1049l");
	if (screen.tty >= 0)
		close(screen.tty);
	screen.tty = -1;
	screen.other = false;
	(void)sigprocmask(SIG_SETMASK, &screen.mask, NULL);
}

bool screen_hides(void)
{
	return screen.other;
}

void screen_clear(void)
{
	if (screen.other)
		put("\033[H\033[2J");
}

void screen_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (screen.tty >= 0)
		vdprintf(screen.tty, fmt, ap);
	else
		vfprintf(stderr, fmt, ap);
	va_end(ap);
}
