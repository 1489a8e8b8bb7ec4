/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sync-screen.h"
#include "tools/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536u

static bool drawn; /* there is a line below */

bool sync_screen_is(void)
{
	return isatty(STDERR_FILENO);
}

/* ---- one round ---- */

static void close_pair(int fd[2])
{
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

int sync_round_open(struct sync_round *r, int ret_child[2])
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, e = 0;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(err[0], F_SETFL, O_NONBLOCK) < 0)
		e = -errno;
	if (e < 0) {
		close_pair(out);
		close_pair(err);
		return e;
	}
	*r = (struct sync_round){.fd = {out[0], err[0]}, .open = true};
	ret_child[0] = out[1];
	ret_child[1] = err[1];
	return 0;
}

void sync_round_become(const int child[2])
{
	if (isatty(STDOUT_FILENO)) /* what goes to a file goes there as it is */
		(void)dup2(child[0], STDOUT_FILENO);
	(void)dup2(child[1], STDERR_FILENO);
	(void)setenv(PROGRESS_TOLD_ENV, "1", 1);
}

static void told(struct sync_round *r, const char *text)
{
	unsigned long long done = 0, total = 0;
	long long elapsed = 0;

	if (sscanf(text, "%llu %llu %lld", &done, &total, &elapsed) != 3)
		done = total = 0;
	r->began = cof_now(CLOCK_MONOTONIC) - elapsed;
	r->done = done;
	r->total = total;
}

static void print(int which, const void *p, size_t n)
{
	FILE *to = which ? stderr : stdout;

	sync_screen_draw("");
	(void)fwrite(p, 1, n, to);
	fflush(to);
}

/* Lines that are whole; with `all` what is left as well. */
static void take(struct sync_round *r, int which, bool all)
{
	struct cof_buf *b = &r->got[which];
	size_t at = 0;

	while (b->data && at < b->len) {
		const uint8_t *end = memchr(b->data + at, '\n', b->len - at);
		size_t n = end ? (size_t)(end - b->data) + 1 - at : b->len - at;

		if (!end && !all && n < LINE_MAX_BYTES)
			break;
		if (which && end && b->data[at] == PROGRESS_TOLD) {
			b->data[at + n - 1] = 0;
			told(r, (const char *)b->data + at + 1);
		} else {
			print(which, b->data + at, n);
		}
		at += n;
	}
	if (at)
		memmove(b->data, b->data + at, b->len - at);
	b->len -= at;
}

void sync_round_read(struct sync_round *r)
{
	char buf[4096];

	for (int i = 0; i < 2 && r->open; i++) {
		ssize_t n = 1;

		while (r->fd[i] >= 0 && n > 0) {
			n = read(r->fd[i], buf, sizeof(buf));
			if (n > 0)
				cof_buf_add(&r->got[i], buf, (size_t)n);
			if (n == 0) {
				close(r->fd[i]);
				r->fd[i] = -1;
			}
			take(r, i, false);
		}
	}
}

void sync_round_close(struct sync_round *r)
{
	if (!r->open)
		return;
	sync_round_read(r);
	for (int i = 0; i < 2; i++) {
		take(r, i, true);
		cof_buf_done(&r->got[i]);
	}
	close_pair(r->fd);
	*r = (struct sync_round){.open = false};
}

/* ---- the line below ---- */

static void of_one(const char *name, const struct sync_round *r, int64_t now, int width, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s ", name);

	if (n > 0 && (size_t)n < cap)
		progress_line(r->done, r->total, now - r->began, width - n, out + n, cap - (size_t)n);
}

void sync_screen_line(const char *const *name, const struct sync_round *const *round, size_t n, int64_t now, int width, char *out, size_t cap)
{
	size_t shown = 0, last = 0, len = 0;
	double rate = 0;
	char speed[24];

	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		if (round[i]->total) {
			last = i;
			shown++;
			rate += now > round[i]->began ? (double)round[i]->done * COF_NSEC / (double)(now - round[i]->began) : 0;
		}
	if (shown == 1)
		of_one(name[last], round[last], now, width, out, cap);
	if (shown < 2)
		return;
	for (size_t i = 0; i < n && len < cap; i++)
		if (round[i]->total)
			len += (size_t)snprintf(out + len, cap - len, "%s %d %%  ", name[i],
						(int)(COF_MIN((double)round[i]->done / (double)round[i]->total, 1.0) * 100));
	cof_size_text((uint64_t)rate, speed);
	if (len < cap)
		(void)snprintf(out + len, cap - len, "%s/s", speed);
	if (width > 1 && strlen(out) >= (size_t)width) /* one line, whatever there is */
		out[width - 1] = 0;
}

void sync_screen_draw(const char *line)
{
	if (*line)
		fprintf(stderr, "\r%s\x1b[K", line);
	else if (drawn)
		fputs("\r\x1b[K", stderr);
	fflush(stderr);
	drawn = *line != 0;
}
