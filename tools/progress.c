/* SPDX-License-Identifier: Apache-2.0 */
/* One line on the terminal that says how far it is, how fast, and how long still. */
#include "tools/output.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#define QUIET_NS COF_NSEC /* nothing is drawn before this */
#define REDRAW_NS (COF_NSEC / 5)

static void time_left(double seconds, char *out, size_t cap)
{
	if (seconds < 60)
		snprintf(out, cap, "%.0f s left", seconds);
	else if (seconds < 3600)
		snprintf(out, cap, "%.0f min left", seconds / 60);
	else if (seconds < 100 * 3600.0)
		snprintf(out, cap, "%.1f h left", seconds / 3600);
	else
		snprintf(out, cap, "%.0f days left", COF_MIN(seconds / 86400, 9999.0));
}

void progress_line(uint64_t done, uint64_t total, int64_t elapsed_ns, int width, char *out,
		   size_t cap)
{
	double part = total ? COF_MIN((double)done / (double)total, 1.0) : 0;
	double rate = elapsed_ns > 0 ? (double)done * COF_NSEC / (double)elapsed_ns : 0;
	char bar[41], speed[24], of[24], left[32] = "", tail[128];
	int columns, filled;

	cof_size_text((uint64_t)rate, speed);
	cof_size_text(total, of);
	if (rate > 0 && done < total)
		time_left((double)(total - done) / rate, left, sizeof(left));
	snprintf(tail, sizeof(tail), "%3d %% of %s  %s/s  %s", (int)(part * 100), of, speed, left);
	columns = COF_MIN(width - (int)strlen(tail) - 4, 40);
	if (columns < 8) {
		snprintf(out, cap, "%.*s", COF_MAX(width - 1, 0), tail);
		return;
	}
	filled = (int)(part * columns);
	memset(bar, '.', sizeof(bar));
	memset(bar, '#', (size_t)filled);
	bar[columns] = '\0';
	snprintf(out, cap, "[%s] %s", bar, tail);
}

int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
		return 80;
	return size.ws_col;
}

void progress_update(struct progress *p, uint64_t done, uint64_t total)
{
	int64_t now = cof_now(CLOCK_MONOTONIC);
	char line[192];

	pthread_mutex_lock(&p->lock);
	if (!p->started) {
		p->started = now;
		p->told = getenv(PROGRESS_TOLD_ENV) != NULL;
		p->off = p->off || !(p->told || isatty(STDERR_FILENO));
	}
	if (!p->off && now - p->started >= QUIET_NS && now - p->drawn >= REDRAW_NS) {
		p->drawn = now;
		p->visible = true;
		if (p->told)
			snprintf(line, sizeof(line), "%c%llu %llu %lld\n", PROGRESS_TOLD, (unsigned long long)done, (unsigned long long)total,
				 (long long)(now - p->started));
		else
			progress_line(done, total, now - p->started, terminal_width(), line, sizeof(line));
		fprintf(stderr, p->told ? "%s" : "\r%s\x1b[K", line);
		fflush(stderr);
	}
	pthread_mutex_unlock(&p->lock);
}

void progress_clear(struct progress *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->visible) {
		fputs(p->told ? (const char[]){PROGRESS_TOLD, '\n', 0} : "\r\x1b[K", stderr);
		fflush(stderr);
	}
	p->visible = false;
	pthread_mutex_unlock(&p->lock);
}
