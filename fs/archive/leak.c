/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leak guard in the write path: streams of files, kept or made anew, and what becomes of what
 * they find. Nothing here holds or says a byte of a secret but the streams, which are wiped.
 */
#include <stdio.h>

#include "fs/archive/note.h"
#include "fs/archive/leak.h"
#include "fs/archive/show.h"

#define SETS 256 /* files by their number; in each the newest few */
#define WAYS 4

/* Findings that get an event of their own: so many at once, and one each PAUSE. What is beyond is counted as
 * refusals are (event.c). */
#define BURST 256
#define PAUSE (10 * COF_NSEC)

struct place {
	uint64_t ino, end; /* the stream is that of a file of this size */
	struct cof_leak_stream *stream; /* NULL: free */
};

struct cof_leaks {
	pthread_mutex_t lock; /* guards what follows but for the counters and texts; a leaf */
	struct cof_leak_db *db; /* made with the first guarded write */
	struct place place[SETS][WAYS]; /* the newest first */
	int64_t burst_at; /* boot time: when a burst is whole again */
	_Atomic uint64_t found, refused;
	char rule[COF_LEAK_KINDS][40], reason[COF_LEAK_KINDS][160], told[COF_LEAK_KINDS][160];
};

static const uint8_t zeros[COF_LEAK_TAIL];

int cof_leaks_new(struct cof_leaks **ret)
{
	struct cof_leaks *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	for (int k = 0; k < COF_LEAK_KINDS; k++) {
		const char *name = cof_leak_name((enum cof_leak_kind)k);

		snprintf(l->rule[k], sizeof(l->rule[k]), "leak-guard %s", name);
		snprintf(l->reason[k], sizeof(l->reason[k]),
			 "The shelf's leak guard found a secret (%s) in what was to be appended. Take it out, "
			 "and write again.", name);
		snprintf(l->told[k], sizeof(l->told[k]),
			 "The shelf's leak guard found a secret (%s) in what was appended.", name);
	}
	*ret = l;
	return 0;
}

void cof_leaks_free(struct cof_leaks *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < SETS; i++)
		for (unsigned w = 0; w < WAYS; w++)
			cof_leak_stream_free(l->place[i][w].stream);
	cof_leak_db_free(l->db);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void cof_leaks_status(struct cof_leaks *l, struct cof_json *into)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_uint(o, "found", atomic_load(&l->found));
	cof_json_set_uint(o, "refused", atomic_load(&l->refused));
	cof_json_set(into, "leak_guard", o);
}

/* ---- streams ---- */

/* The file's, out of the table; NULL when it has none, or one that the file has left behind. */
static struct cof_leak_stream *take(struct cof_leaks *l, uint64_t ino, uint64_t size)
{
	struct place *set = l->place[ino % SETS], found = {0};

	pthread_mutex_lock(&l->lock);
	for (unsigned w = 0; w < WAYS; w++)
		if (set[w].stream && set[w].ino == ino) {
			found = set[w];
			memmove(set + w, set + w + 1, (WAYS - 1 - w) * sizeof(*set));
			set[WAYS - 1] = (struct place){0};
			break;
		}
	pthread_mutex_unlock(&l->lock);
	if (found.end == size)
		return found.stream;
	cof_leak_stream_free(found.stream);
	return NULL;
}

static void give(struct cof_leaks *l, uint64_t ino, uint64_t end, struct cof_leak_stream *stream)
{
	struct place *set = l->place[ino % SETS];
	struct cof_leak_stream *evicted;

	pthread_mutex_lock(&l->lock);
	evicted = set[WAYS - 1].stream;
	memmove(set + 1, set, (WAYS - 1) * sizeof(*set));
	set[0] = (struct place){ino, end, stream};
	pthread_mutex_unlock(&l->lock);
	cof_leak_stream_free(evicted);
}

/* The last bytes of a file may be unreadable: then what lies across is missed, and logging goes on. */
static int make(struct cof_archive *a, uint64_t ino, uint64_t size, struct cof_leak_stream **ret)
{
	uint8_t tail[COF_LEAK_TAIL];
	size_t n = (size_t)COF_MIN(size, (uint64_t)COF_LEAK_TAIL);
	int r = n ? cof_read_range(a, COF_INDEX_NOW, ino, size - n, tail, n) : 0;

	if (r == -COF_EINDEX || r == -ENOMEM)
		return r;
	r = cof_leak_stream_new(a->leaks->db, size, tail, r < 0 ? 0 : n, ret);
	explicit_bzero(tail, sizeof(tail));
	return r;
}

static int ready(struct cof_leaks *l)
{
	int r = 0;

	pthread_mutex_lock(&l->lock);
	if (!l->db)
		r = cof_leak_db_new(&l->db);
	pthread_mutex_unlock(&l->lock);
	return r;
}

/* ---- one request ---- */

static void note(void *user, const struct cof_leak *leak)
{
	struct cof_leaks_said *said = user;

	if (said->counted < COF_LEAKS_TOLD)
		said->first[said->counted++] = *leak;
	said->n++;
}

static void scan(void *user)
{
	struct cof_guarded *g = user;

	cof_leak_scan(g->leaks->db, g->stream, g->data, g->n, note, &g->said);
	g->scanned = true;
}

/* Zeros: a few end whatever was open, and many are all that the file ends with. */
static int pass_hole(struct cof_guarded *g, uint64_t hole)
{
	size_t n = (size_t)COF_MIN(hole, (uint64_t)COF_LEAK_TAIL);

	cof_leak_scan(g->leaks->db, g->stream, zeros, n, note, &g->said);
	if (n == hole) {
		cof_leak_accept(g->stream, zeros, n);
		return 0;
	}
	cof_leak_stream_free(g->stream);
	g->stream = NULL;
	return cof_leak_stream_new(g->leaks->db, g->size + hole, zeros, n, &g->stream);
}

int cof_guard_begin(struct cof_archive *a, struct cof_obj *o, uint64_t hole, const void *data, size_t n,
		    struct cof_guarded *g)
{
	const struct cof_policy *policy = cof_obj_policy(o);
	int r;

	g->mode = policy->leak_guard;
	if (g->mode == COF_LEAK_OFF)
		return 0;
	*g = (struct cof_guarded){.leaks = a->leaks,
				  .mode = policy->leak_guard,
				  .refuse_rofs = policy->refuse_rofs,
				  .ino = o->node.ino,
				  .size = o->size,
				  .moved = hole > 0,
				  .data = data,
				  .n = n,
				  .scanned = n == 0,
				  .beside = {scan, g}};
	r = ready(g->leaks);
	if (r < 0)
		return r;
	g->stream = take(g->leaks, g->ino, g->size);
	if (!g->stream)
		r = make(a, g->ino, g->size, &g->stream);
	if (r == 0 && hole)
		r = pass_hole(g, hole);
	return r;
}

int cof_guard_judge(struct cof_guarded *g)
{
	if (!g->scanned)
		scan(g);
	g->refused = g->said.n && g->mode == COF_LEAK_REFUSE;
	return !g->refused ? 0 : g->refuse_rofs ? -EROFS : -EPERM;
}

void cof_guard_end(struct cof_guarded *g, const struct cof_obj *o, int err, struct cof_ruling *rl)
{
	bool kept = false;

	if (g->mode == COF_LEAK_OFF)
		return;
	if (g->refused) {
		enum cof_leak_kind kind = g->said.first[0].kind;

		*rl = (struct cof_ruling){.error = err,
					  .record = true,
					  .rule = g->leaks->rule[kind],
					  .reason = g->leaks->reason[kind],
					  .retain_until = COF_RETAIN_NONE,
					  .asked_until = COF_RETAIN_NONE};
		kept = !g->moved; /* a scan does not move it */
		atomic_fetch_add_explicit(&g->leaks->refused, 1, memory_order_relaxed);
	} else if (err == 0 && g->scanned && o->size == g->size + g->n && !g->moved) {
		cof_leak_accept(g->stream, g->data, g->n);
		kept = true;
	}
	if (kept)
		give(g->leaks, g->ino, o->size, g->stream);
	else
		cof_leak_stream_free(g->stream);
	g->stream = NULL;
	g->data = NULL;
	g->end = o->size;
}

/* ---- telling ---- */

/* Whether there is room for an event of its own. */
static bool may_tell(struct cof_leaks *l)
{
	int64_t now = cof_now(CLOCK_BOOTTIME);
	bool may;

	pthread_mutex_lock(&l->lock);
	l->burst_at = COF_MAX(l->burst_at, now - BURST * PAUSE);
	may = l->burst_at <= now;
	if (may)
		l->burst_at += PAUSE;
	pthread_mutex_unlock(&l->lock);
	return may;
}

/* before: bytes of it that were in the file already. */
static void describe(const struct cof_guarded *g, const struct cof_leak *leak, uint64_t before,
		     struct cof_buf *text, struct cof_buf *fields)
{
	cof_buf_printf(text, "%s, %u bytes at offset %llu", cof_leak_name(leak->kind), leak->len,
		       (unsigned long long)leak->offset);
	if (leak->open_ended && !g->refused)
		cof_buf_printf(text, " so far");
	if (g->refused)
		cof_buf_printf(text, ", of which %llu were appended before the rest was refused",
			       (unsigned long long)before);
	if (g->said.n > g->said.counted && leak == &g->said.first[g->said.counted - 1])
		cof_buf_printf(text, "; %u more in the same request", g->said.n - g->said.counted);
	cof_field_put_str(fields, COF_T_LEAK_KIND, cof_leak_name(leak->kind));
	cof_field_put_u64(fields, COF_T_LEAK_OFFSET, leak->offset);
	cof_field_put_u64(fields, COF_T_LEAK_LENGTH, leak->len);
	if (before)
		cof_field_put_u64(fields, COF_T_LEAK_BEFORE, before);
}

static void tell(struct cof_archive *a, const struct cof_who *who, const struct cof_guarded *g,
		 const struct cof_leak *leak, uint64_t before)
{
	cof_autobuf struct cof_buf path = {0}, text = {0}, fields = {0};
	struct cof_alarm_info info = {.event = "leak", .operation = "write", .rule = "leak-guard", .who = who};
	uint32_t actor = 0;
	int r;

	if (cof_show_index_path(a->ix, COF_INDEX_NOW, g->ino, &path) == 0 && path.len && !path.failed)
		info.path = (char *)path.data;
	cof_field_put_str(&fields, COF_T_EVENT, "leak");
	cof_event_put_meaning(&fields, "leak");
	cof_field_put_str(&fields, COF_T_OPERATION, "write");
	if (info.path)
		cof_field_put_str(&fields, COF_T_PATH, info.path);
	describe(g, leak, before, &text, &fields);
	if (text.failed)
		return cof_alarm(a, "A leak could not be recorded: out of memory.");
	cof_field_put_str(&fields, COF_T_DETAIL, (char *)text.data);
	(void)cof_actor_known(a, who, &actor); /* who wrote has one; else it stays with nobody */
	r = cof_event_put_fields(a, g->ino, actor, &fields);
	cof_alarm_event(a, &info, "Leak guard: %s of %s by uid %u (thread %u)%s.", (char *)text.data,
			info.path ? info.path : "a file", who->uid, who->pid,
			r < 0 ? "; it could not be recorded" : "");
}

static void count(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		  const struct cof_leaks *l, enum cof_leak_kind kind)
{
	struct cof_ruling rl = {.rule = l->rule[kind], .reason = l->told[kind], .record = true};

	cof_event_refused(a, who, op, &rl);
}

void cof_guard_tell(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		    const struct cof_guarded *g)
{
	if (g->mode == COF_LEAK_OFF || !g->said.n)
		return;
	atomic_fetch_add_explicit(&g->leaks->found, g->said.n, memory_order_relaxed);
	for (unsigned i = 0; i < g->said.counted; i++) {
		const struct cof_leak *leak = &g->said.first[i];
		uint64_t before = leak->offset < g->size ? g->size - leak->offset : 0;

		/* Of what was refused there is a refusal on record; of what was not written, nothing. */
		if (g->refused ? !before : leak->offset >= g->end)
			continue;
		if (may_tell(g->leaks))
			tell(a, who, g, leak, before);
		else
			count(a, who, op, g->leaks, leak->kind);
	}
}
