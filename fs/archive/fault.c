/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STORE/faults: what went wrong here and nobody has said yet that they know: a line each, the time
 * and a sentence. A remount does not forget it, an acknowledgement does, which is an EVENT in the
 * chain before the file goes. No part of the format: what was lost, cut or refused is on record by
 * itself, this is the reminder. Where the disk takes no file any more it is in memory only.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fs/archive/note.h"
#include "fs/archive/show.h"

#define FILE_NAME "faults"
#define KEPT 16
#define TEXT 1024
#define FILE_MAX (KEPT * (TEXT + 64))

struct cof_faults {
	pthread_mutex_t lock; /* a leaf */
	struct fault {
		int64_t time;
		char *text;
	} fault[KEPT];
	size_t n;
	uint64_t more; /* for which there was no place */
	bool unwritten;
};

/* ---- the table ---- */

/* Printable, in one line; what is cut is cut between characters. */
static char *one_line(const char *text, size_t n)
{
	char *line;

	if (n > TEXT)
		for (n = TEXT; n && ((uint8_t)text[n] & 0xc0) == 0x80;)
			n--;
	line = strndup(text, n);
	for (char *c = line; c && *c; c++)
		if ((uint8_t)*c < ' ' || *c == 127)
			*c = ' ';
	return line;
}

static void add(struct cof_faults *f, int64_t time, const char *text, size_t n)
{
	char *line;

	for (size_t i = 0; i < f->n; i++)
		if (!strncmp(f->fault[i].text, text, n) && !f->fault[i].text[n])
			return; /* the first time of it counts */
	line = f->n < KEPT ? one_line(text, n) : NULL;
	if (line)
		f->fault[f->n++] = (struct fault){time, line};
	else
		f->more++;
}

/* Takes out the first n. */
static void drop(struct cof_faults *f, size_t n, uint64_t more)
{
	for (size_t i = 0; i < n; i++)
		free(f->fault[i].text);
	memmove(f->fault, f->fault + n, (f->n - n) * sizeof(f->fault[0]));
	f->n -= n;
	f->more -= more;
}

static void print(const struct cof_faults *f, struct cof_buf *out)
{
	for (size_t i = 0; i < f->n; i++) {
		char time[32];

		cof_time_text(f->fault[i].time, time);
		cof_buf_printf(out, "%s %s\n", time, f->fault[i].text);
	}
	if (f->more)
		cof_buf_printf(out, "more %llu\n", (unsigned long long)f->more);
}

/* A line that is none of ours is kept as it is: it may be what is left of one. */
static void parse_line(struct cof_faults *f, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);
	char time[40];
	int64_t ns = 0;

	if (!space || (size_t)(space - line) >= sizeof(time))
		return n ? add(f, 0, line, n) : (void)0;
	memcpy(time, line, (size_t)(space - line));
	time[space - line] = '\0';
	if (!strcmp(time, "more"))
		f->more += strtoull(space + 1, NULL, 10);
	else if (cof_time_parse(time, &ns) == 0)
		add(f, ns, space + 1, n - (size_t)(space + 1 - line));
	else
		add(f, 0, line, n);
}

static void load(struct cof_faults *f, struct cof_io *io)
{
	cof_autofree uint8_t *data = NULL;
	size_t n = 0;
	int r = cof_io_load(io, FILE_NAME, FILE_MAX, &data, &n);

	if (r < 0 && r != -ENOENT) {
		static const char text[] = "STORE/faults cannot be read: what was not acknowledged "
					   "before is not known. Run coffer log --events.";

		add(f, cof_now(CLOCK_REALTIME), text, sizeof(text) - 1);
	}
	for (size_t at = 0; r == 0 && at < n;) {
		const char *line = (const char *)data + at, *end = memchr(line, '\n', n - at);
		size_t len = end ? (size_t)(end - line) : n - at;

		parse_line(f, line, len);
		at += len + 1;
	}
}

int cof_faults_new(struct cof_io *io, struct cof_faults **ret)
{
	struct cof_faults *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	load(f, io);
	*ret = f;
	return 0;
}

void cof_faults_free(struct cof_faults *f)
{
	if (!f)
		return;
	drop(f, f->n, f->more);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- noting and showing ---- */

void cof_fault_note(struct cof_archive *a, const char *text)
{
	struct cof_faults *f = a->faults;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	add(f, cof_now(CLOCK_REALTIME), text, strlen(text));
	f->unwritten = true;
	pthread_mutex_unlock(&f->lock);
}

void cof_fault(struct cof_archive *a, const char *fmt, ...)
{
	char text[TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cof_alarm(a, "%s", text);
	cof_fault_note(a, text);
}

/* What cannot be written stays in memory, and is tried again after the next fault. */
void cof_faults_write(struct cof_archive *a)
{
	struct cof_faults *f = a->faults;
	cof_autobuf struct cof_buf text = {0};
	bool wanted;

	if (!f || !a->log || a->passive)
		return;
	pthread_mutex_lock(&f->lock);
	wanted = f->unwritten;
	f->unwritten = false;
	print(f, &text);
	pthread_mutex_unlock(&f->lock);
	if (wanted && !text.failed)
		(void)cof_io_replace(a->io, FILE_NAME, text.data ? text.data : (uint8_t *)"",
				     text.len);
}

static void set_json(struct cof_faults *f, struct cof_json *into)
{
	struct cof_json *list = cof_json_array();

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; list && i < f->n; i++) {
		struct cof_json *o = cof_json_object();

		if (f->fault[i].time)
			cof_json_set_time(o, "time", f->fault[i].time);
		cof_json_set_str(o, "text", f->fault[i].text);
		cof_json_append(list, o);
	}
	if (f->more)
		cof_json_set_uint(into, "more_faults", f->more);
	pthread_mutex_unlock(&f->lock);
	if (list)
		cof_json_set(into, "faults", list);
}

void cof_faults_status(struct cof_archive *a, struct cof_json *into)
{
	if (a->faults)
		set_json(a->faults, into);
}

int cof_status_faults(struct cof_io *io, struct cof_json *into)
{
	struct cof_faults *f;
	int r = cof_faults_new(io, &f);

	if (r < 0)
		return r;
	set_json(f, into);
	cof_faults_free(f);
	return 0;
}

/* ---- acknowledging ---- */

static int record(struct cof_archive *a, const struct cof_who *who, struct cof_buf *detail,
		  uint64_t *ret_sequence)
{
	struct cof_event e = {.type = "acknowledged", .who = who};
	int r;

	if (detail->failed)
		return -ENOMEM;
	if (detail->len && detail->data[detail->len - 1] == '\n') /* lines in a file end so; a text does not */
		detail->data[detail->len - 1] = 0;
	e.detail = (const char *)detail->data;
	cof_gate_enter(a);
	r = cof_event_emit(a, &e, ret_sequence);
	cof_gate_leave(a);
	return r;
}

int cof_archive_acknowledge(struct cof_archive *a, const struct cof_who *who, uint64_t *ret_faults,
			    struct cof_diag *diag)
{
	struct cof_faults *f = a->faults;
	cof_autobuf struct cof_buf text = {0};
	uint64_t sequence = 0, more;
	size_t n;
	int r;

	if (!f || !a->log || atomic_load(&a->failed))
		return cof_fail(diag, -EROFS,
				"nothing can be recorded in this archive as it is, so nothing can be "
				"acknowledged: find out what is wrong (coffer status, coffer verify), "
				"mount it again, then acknowledge");
	pthread_mutex_lock(&f->lock);
	n = f->n;
	more = f->more;
	print(f, &text);
	pthread_mutex_unlock(&f->lock);
	*ret_faults = n + more;
	if (!n && !more)
		return 0;
	r = record(a, who, &text, &sequence);
	if (r == 0)
		r = cof_log_sync(a->log, sequence);
	if (r < 0)
		return cof_fail(diag, r, "the acknowledgement cannot be recorded: %s",
				strerror(-r));
	pthread_mutex_lock(&f->lock);
	drop(f, COF_MIN(n, f->n), COF_MIN(more, f->more));
	f->unwritten = true;
	pthread_mutex_unlock(&f->lock);
	cof_faults_write(a);
	return 0;
}
