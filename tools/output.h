/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to standard output and to the terminal: escaped text, JSON, colours, progress. */
#ifndef COFFER_OUTPUT_H
#define COFFER_OUTPUT_H

#include "base/json.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

/* A copy in which nothing can steer a terminal: control characters, C1 controls, direction marks
 * and bytes that are no UTF-8 are escaped, backslashes doubled. NULL when out of memory. */
char *escaped(const char *s);
/* A message of which parts may be a peer's: what steers a terminal is shown as \xNN or \u{N}, all else stays, line ends too. */
void print_disarmed(FILE *to, const char *fmt, va_list ap);
/* As escaped, in quotes where it is empty or holds a blank or a quote: one word of a line. */
char *escaped_word(const char *s);
/* A path as a shell takes it, and as fstab does. NULL when out of memory. */
char *shell_word(const char *s);
char *fstab_word(const char *s);

/* "" for one, "s" for any other number. */
static inline const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Adds text wrapped to width, each line indented; column: where the first line already is. A line
 * that begins with a blank is kept as it is. */
void wrap(struct cof_buf *b, const char *text, int column, int indent, int width);

/* One JSON value on a line of its own, or indented. 0 or -errno. */
int print_json(struct cof_json *j, bool pretty);

enum colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW };
const char *colour(enum colour c); /* "" unless standard output is a terminal that wants it */

/* Flushes; says so on standard error when something could not be written (a reader that closed the
 * pipe is no error). 0 or -errno. Called once, at the end. */
int output_finish(void);
bool output_broken(void); /* writing failed already: go no further */

/* ---- progress on standard error: only on a terminal, only after a second ---- */

struct progress { /* zero to begin with; calls may come from several threads */
	pthread_mutex_t lock;
	int64_t started, drawn;
	bool off, visible;
	bool told; /* another process draws it */
};
#define PROGRESS_INIT                                                                              \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                  \
	}
void progress_update(struct progress *p, uint64_t done, uint64_t total); /* bytes */
void progress_clear(struct progress *p); /* before another line is printed, and at the end */
/* A process whose progress another one draws (sync-screen.h) has this in its environment: it says "\001DONE TOTAL NANOSECONDS", a line
 * each, on standard error, and "\001" when it is over. No message begins so, what others say being escaped. */
#define PROGRESS_TOLD_ENV "COFFER_PROGRESS_TOLD"
#define PROGRESS_TOLD 1
int terminal_width(void); /* of standard error */
/* The line that is drawn: pure, for tests. width: columns of the terminal. */
void progress_line(uint64_t done, uint64_t total, int64_t elapsed_ns, int width, char *out,
		   size_t cap);

#endif
