/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .coffer/events: all events as one text, a JSON object a line, read at any offset. What an event looks like does
 * not change, so where each of them begins is the same at each reading: some of these places are kept, and
 * reading goes on from the nearest one before. When their table is full every other one goes.
 *
 * Nobody changes it, or makes anything of its name: such attempts are refused, and on record, as any.
 */
#include <fcntl.h>

#include "fs/archive/events.h"

#define PLACES 4096
#define EACH 64		 /* events between two places, to begin with */
#define LOOK_FURTHER 4096 /* events that asking for the length looks at */

struct place {
	uint64_t offset, sequence; /* the line at offset is of the first event from that frame on */
};

struct cof_events_file {
	pthread_mutex_t lock; /* before the gate */
	struct place place[PLACES]; /* ascending; the first is 0, 0 */
	size_t n;
	unsigned each, since; /* lines from one place to the next; lines behind the last one */
	struct place end;     /* what was looked at */
	int64_t changed;      /* record time when the end moved last */
};

struct reading {
	struct cof_events_file *file;
	uint8_t *buf;
	uint64_t off, at; /* at: where the next line begins */
	size_t size, done;
	size_t lines; /* left to look at; of reading by size: no limit */
};

static void thin_out(struct cof_events_file *f)
{
	for (size_t i = 0; i < PLACES / 2; i++)
		f->place[i] = f->place[2 * i];
	f->n = PLACES / 2;
	f->each *= 2;
}

static void extend(struct cof_events_file *f, uint64_t offset, uint64_t sequence)
{
	if (sequence < f->end.sequence || offset <= f->end.offset)
		return;
	f->end = (struct place){offset, sequence + 1};
	f->changed = cof_now(CLOCK_REALTIME);
	if (++f->since < f->each)
		return;
	if (f->n == PLACES)
		thin_out(f);
	f->place[f->n++] = f->end;
	f->since = 0;
}

static int take_line(void *user, struct cof_json *event)
{
	const char *text = cof_json_text(event, false);
	struct reading *r = user;
	size_t n = text ? strlen(text) + 1 : 0, skip;
	int64_t sequence = 0;

	if (!text)
		return -ENOMEM;
	(void)cof_json_int(event, "sequence", &sequence);
	if (r->at + n > r->off) {
		skip = r->off > r->at ? (size_t)(r->off - r->at) : 0;
		for (size_t i = skip; i < n && r->done < r->size; i++)
			r->buf[r->done++] = i + 1 < n ? (uint8_t)text[i] : '\n';
	}
	r->at += n;
	extend(r->file, r->at, (uint64_t)sequence);
	return r->size ? r->done == r->size : --r->lines == 0;
}

static struct place nearest(const struct cof_events_file *f, uint64_t off)
{
	size_t lo = 0, hi = f->n;

	if (off >= f->end.offset)
		return f->end;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->place[mid].offset <= off)
			lo = mid;
		else
			hi = mid;
	}
	return f->place[lo];
}

/* Lock held. */
static int read_from(struct cof_archive *a, struct place from, struct reading *r)
{
	struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .from = from.sequence};
	uint64_t next;
	int err;

	r->at = from.offset;
	err = cof_archive_events(a, &q, take_line, r, &next);
	return err < 0 ? err : 0;
}

int cof_archive_events_read(struct cof_archive *a, void *buf, size_t n, uint64_t off, size_t *ret_n)
{
	struct cof_events_file *f = a->events_file;
	struct reading r = {.file = f, .buf = buf, .off = off, .size = n};
	int err = 0;

	pthread_mutex_lock(&f->lock);
	if (n)
		err = read_from(a, nearest(f, off), &r);
	pthread_mutex_unlock(&f->lock);
	if (err == 0)
		*ret_n = r.done;
	return err;
}

int cof_archive_events_size(struct cof_archive *a, uint64_t *ret_size, int64_t *ret_changed)
{
	struct cof_events_file *f = a->events_file;
	struct reading r = {.file = f, .off = UINT64_MAX, .lines = LOOK_FURTHER};
	int err;

	pthread_mutex_lock(&f->lock);
	err = read_from(a, f->end, &r);
	if (err == 0) {
		*ret_size = f->end.offset;
		*ret_changed = f->changed;
	}
	pthread_mutex_unlock(&f->lock);
	return err;
}

int cof_events_file_new(struct cof_events_file **ret)
{
	struct cof_events_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->n = 1;
	f->each = EACH;
	f->changed = cof_now(CLOCK_REALTIME);
	pthread_mutex_init(&f->lock, NULL);
	*ret = f;
	return 0;
}

void cof_events_file_free(struct cof_events_file *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- what is refused ---- */

static bool is_name(uint64_t dir, const char *name)
{
	return dir == COF_ROOT_INO && name && !strcmp(name, COF_VIRTUAL_DIR_NAME);
}

bool cof_virtual_reads(const struct cof_op *op)
{
	return op->kind == COF_OP_OPEN && op->ino == COF_VIRTUAL_EVENTS && (op->flags & O_ACCMODE) == O_RDONLY &&
	       !(op->flags & O_TRUNC);
}

bool cof_virtual_refuses(const struct cof_op *op, struct cof_ruling *ret)
{
	if (!cof_virtual(op->ino) && !cof_virtual(op->parent) && !cof_virtual(op->new_parent) &&
	    !is_name(op->parent, op->name) && !is_name(op->new_parent, op->new_name))
		return false;
	*ret = (struct cof_ruling){.error = -EPERM,
				   .record = true,
				   .rule = "virtual",
				   .reason = ".coffer is Coffer's own: what is in it is made while it is read, "
					     "and changes by no hand."};
	return true;
}
