/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI text through inih, which is included here only. inih is fed line by line, so that we know the
 * line a handler is called for, and that a line too long for it is an error rather than cut in two.
 */
#include "base/base.h"

#include <ini.h>
#include <pthread.h>

#define LINE_MAX_CHARS 4096

struct reading {
	const char *text;
	size_t n, off;
	int line;      /* of what the reader gave last */
	bool too_long; /* that line */
	cof_ini_fn fn;
	void *user;
	int err; /* from fn */
};

/* inih's settings are process-wide; these never change once set. Heap, since its buffer on the
 * stack is of 200 characters whatever is asked for, and a verifier key line may be longer. */
static void settings(void)
{
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_max_line = LINE_MAX_CHARS + 3;
	ini_initial_alloc = LINE_MAX_CHARS + 3;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_no_value = false;
	ini_stop_on_first_error = true;
}

static char *next_line(char *out, int cap, void *user)
{
	struct reading *r = user;
	size_t left = r->n - r->off, n;
	const char *start = r->text + r->off, *end;

	if (!left || cap < 2)
		return NULL;
	r->line++;
	end = memchr(start, '\n', left);
	n = end ? (size_t)(end - start) : left;
	if (n > LINE_MAX_CHARS || n + 1 > (size_t)cap - 1) {
		r->too_long = true;
		return NULL;
	}
	n += end != NULL;
	memcpy(out, start, n);
	out[n] = '\0';
	r->off += n;
	return out;
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;

	r->err = r->fn(r->user, section, key, value, r->line);
	return r->err == 0;
}

int cof_ini_parse(const char *text, size_t n, cof_ini_fn fn, void *user, struct cof_diag *diag)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct reading r = {.text = text, .n = n, .fn = fn, .user = user};
	int bad;

	if (n && memchr(text, '\0', n))
		return cof_fail(diag, -EUCLEAN, "a zero byte in what should be text");
	if (pthread_once(&once, settings))
		return cof_fail(diag, -ENOMEM, "cannot set up the INI reader");
	bad = ini_parse_stream(next_line, &r, handle, &r);
	if (r.err)
		return r.err;
	if (bad == -2)
		return cof_fail(diag, -ENOMEM, "out of memory while reading INI text");
	if (r.too_long)
		return cof_fail(diag, -EUCLEAN, "line %d is longer than %d characters", r.line,
				LINE_MAX_CHARS);
	if (bad)
		return cof_fail(diag, -EUCLEAN, "line %d is neither [section] nor key = value",
				bad > 0 ? bad : r.line);
	return 0;
}
