/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the words of one share. */
#include "tools/share-read.h"
#include "tools/coffer.h"
#include "tools/screen.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>

/* No share that can be read at all: why, or 0. */
static int try_words(const char *words, struct cof_diag *diag)
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));

	return share ? cof_slip39_read(words, strlen(words), share, diag) : cof_fail(diag, -ENOMEM, "no secure memory is left");
}

static int from_fd(int fd, char *words, struct cof_diag *diag)
{
	size_t n = 0;
	int r = cof_read_all(fd, words, COF_PASSPHRASE_MAX, &n);

	if (r < 0)
		return cof_fail(diag, r, "the words of the share cannot be read from descriptor %d: %s", fd,
				r == -EFBIG ? "that is longer than any share" : strerror(-r));
	words[n] = 0;
	if (memchr(words, 0, n))
		return cof_fail(diag, -EUCLEAN, "descriptor %d has bytes that are no text", fd);
	return try_words(words, diag);
}

/* ---- typed ---- */

struct typed {
	char *words;
	unsigned n;
};

static void take_back(struct typed *t)
{
	char *blank = strrchr(t->words, ' ');

	if (!t->n)
		return;
	t->n--;
	cof_wipe(blank ? blank : t->words, strlen(blank ? blank : t->words));
}

/* What is near tells something of the share: only where it does not stay to be read. */
static void say_unknown(const char *word, size_t n, unsigned number)
{
	unsigned near[4];
	size_t count = screen_hides() ? cof_slip39_near(word, n, near, COF_COUNT(near)) : 0;

	screen_say("word %u is not of the list%s", number, count ? "; near to it are" : "");
	for (size_t i = 0; i < count; i++)
		screen_say("%s %s", i ? "," : "", cof_slip39_word(near[i]));
	screen_say(". Type it again, and what follows it.\n");
}

/* Words up to the first that is none. */
static void take_line(struct typed *t, const char *line, size_t n)
{
	for (size_t at = 0, len; at < n; at += len) {
		const char *word;
		int index;

		for (len = 0; at + len < n && isalpha((unsigned char)line[at + len]); len++)
			;
		if (!len) {
			len = 1; /* a number, a dot, a blank */
			continue;
		}
		index = cof_slip39_index(line + at, len);
		if (index < 0) {
			say_unknown(line + at, len, t->n + 1);
			return;
		}
		if (t->n == COF_SLIP39_WORDS)
			return; /* which is not read as a share either */
		word = cof_slip39_word((unsigned)index);
		strcat(t->words, t->n++ ? " " : "");
		strcat(t->words, word);
	}
}

static int from_terminal(const char *prompt, unsigned idle, char *words, struct cof_diag *diag)
{
	cof_autosecret char *line = cof_secret_alloc(COF_PASSPHRASE_ROOM);
	struct typed t = {.words = words};
	struct cof_diag why = {""};
	char ask[96];
	int r = 0;

	words[0] = 0;
	if (!line)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	while (r == 0) {
		size_t n = 0;

		snprintf(ask, sizeof(ask), "%s, word %u", prompt, t.n + 1);
		r = cof_line_ask(ask, idle, line, &n, diag);
		if (r < 0)
			break;
		if (!n && !t.n)
			return -ECANCELED;
		if (n == 1 && *line == '-')
			take_back(&t);
		else
			take_line(&t, line, n);
		cof_wipe(line, COF_PASSPHRASE_ROOM);
		if (try_words(words, &why) == 0)
			return 0;
		if (!n || t.n == COF_SLIP39_WORDS)
			return cof_fail(diag, -EUCLEAN, "%s", why.text);
	}
	return r;
}

int share_read(int fd, const char *prompt, unsigned idle, char *words, struct cof_diag *diag)
{
	int r;

	if (fd >= 0) {
		r = from_fd(fd, words, diag);
	} else {
		screen_enter();
		r = from_terminal(prompt, idle, words, diag);
		screen_leave();
	}
	if (r < 0)
		cof_wipe(words, SHARE_ROOM);
	return r;
}

int share_take_idle(unsigned *ret)
{
	char *end;
	unsigned long v = strtoul(optarg, &end, 10);

	if (*optarg < '0' || *optarg > '9' || *end || v > 86400)
		return misuse("--idle is a number of seconds, at most a day");
	*ret = (unsigned)v;
	return EXIT_OK;
}
