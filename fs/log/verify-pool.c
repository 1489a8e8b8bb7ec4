/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers of verification: each takes a whole window, and hashes the payloads in it and the tiles of the
 * tree that go with it. Windows come back to the walker in the order in which it gave them away.
 */
#include "fs/log/verify.h"

/* The note of a CHECKPOINT frame carries the log's signature and says what the header says. */
static bool note_holds(const struct verify *v, const struct cof_frame *f, const uint8_t *payload)
{
	struct cof_checkpoint cp;
	struct cof_field note;
	size_t n;
	const uint8_t *fields = cof_verify_fields(f, payload, &n);

	return cof_field_find(fields, n, COF_T_NOTE, &note) == 0 &&
	       cof_checkpoint_open(note.value, note.len, &v->out.conf.vkey, &cp) == 0 &&
	       cp.size == f->position;
}

/* The walker decoded the header before, and saw that all of the frame is in the window. */
static uint8_t judge(const struct verify *v, const uint8_t *raw)
{
	struct cof_frame f;

	cof_frame_fields(raw, &f);
	if (cof_payload_check(&f, raw + COF_FRAME_HEADER) < 0)
		return FRAME_PAYLOAD;
	if (f.type == COF_CHECKPOINT && !note_holds(v, &f, raw + COF_FRAME_HEADER))
		return FRAME_NOTE;
	return FRAME_RIGHT;
}

static void judge_window(struct verify *v, struct window *w)
{
	cof_tree_tiles(v, w);
	for (uint32_t i = 0; i < w->n; i++)
		w->judged[i] = judge(v, w->data + w->at[i]);
}

/* lock held, but not meanwhile. The next one that nobody has begun with. */
static void judge_next(struct verify *v)
{
	struct pool *p = &v->pool;
	struct window *w = &p->window[p->started++ % p->count];

	pthread_mutex_unlock(&p->lock);
	judge_window(v, w);
	pthread_mutex_lock(&p->lock);
	w->done = true;
	pthread_cond_signal(&p->finished);
}

static void *worker(void *arg)
{
	struct verify *v = arg;
	struct pool *p = &v->pool;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->started == p->submitted && !p->stop)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->started == p->submitted)
			break;
		judge_next(v);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int make_windows(struct verify *v)
{
	struct pool *p = &v->pool;
	size_t frames;

	p->size = (size_t)COF_MIN(v->out.conf.segment_size, VERIFY_WINDOW);
	p->count = 2 * p->threads + 4;
	frames = p->size / COF_FRAME_HEADER + 1;
	p->window = calloc(p->count, sizeof(*p->window));
	if (!p->window)
		return -ENOMEM;
	for (unsigned i = 0; i < p->count; i++) {
		struct window *w = &p->window[i];

		w->data = malloc(p->size);
		w->at = calloc(frames, sizeof(*w->at));
		w->judged = calloc(frames, 1);
		if (!w->data || !w->at || !w->judged)
			return -ENOMEM;
	}
	return 0;
}

int cof_pool_start(struct verify *v)
{
	struct pool *p = &v->pool;
	unsigned want = v->p->threads;
	int r;

	if (!want) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);

		want = cores > 0 ? (unsigned)COF_MIN(cores, (long)VERIFY_THREADS) : 1;
	}
	p->threads = COF_MIN(want, VERIFY_THREADS) - 1; /* the walker is one more, and helps them */
	r = make_windows(v);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < p->threads; i++) {
		if (pthread_create(&p->thread[i], NULL, worker, v)) {
			p->threads = i; /* fewer do it too, none as well */
			break;
		}
	}
	return 0;
}

/* A later DESTROY frame ended it. That the frame is permitted is for who judges what people signed. */
static bool erased(struct verify *v, const struct cof_frame *f)
{
	if (f->type != COF_APPEND)
		return false;
	if (!v->ended && !v->ended_error)
		v->ended_error = cof_erased_find(v->p->io, &v->out.conf, &v->ended);
	if (!cof_erased_covers(v->ended, f))
		return false;
	v->out.erased++;
	return true;
}

static void report(struct verify *v, const struct window *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		struct cof_frame f;
		struct place place = {.segment = w->segment, .offset = w->base + w->at[i]};

		if (w->judged[i] == FRAME_RIGHT ||
		    cof_frame_decode(w->data + w->at[i], &f, NULL) < 0)
			continue;
		place.sequence = (int64_t)f.sequence;
		place.object = f.object;
		if (w->judged[i] == FRAME_PAYLOAD && erased(v, &f))
			continue;
		if (w->judged[i] == FRAME_PAYLOAD) {
			cof_verify_say(v, cof_verify_weigh(v, f.sequence), place,
				       "the payload of this %s frame (%u bytes) is not the one "
				       "whose hash is in its header",
				       cof_frame_type_name(f.type), f.stored);
			if (f.sequence >= v->covered)
				v->torn = true;
		} else {
			cof_verify_say(v, COF_TAMPERED, place,
				       "the checkpoint in this frame does not carry the log's "
				       "signature, or is for another size");
		}
	}
}

/* Until that window is done. While there are others to begin with, the walker has nothing better to do:
 * it may have been ahead of the workers by all windows. */
static void await(struct verify *v, const struct window *w)
{
	struct pool *p = &v->pool;

	pthread_mutex_lock(&p->lock);
	while (!w->done) {
		if (p->started < p->submitted)
			judge_next(v);
		else
			pthread_cond_wait(&p->finished, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

/* Waits for the oldest window that is away. */
static void reap(struct verify *v)
{
	struct pool *p = &v->pool;
	struct window *w = &p->window[p->reaped++ % p->count];

	await(v, w);
	report(v, w);
}

struct window *cof_pool_take(struct verify *v)
{
	struct pool *p = &v->pool;
	struct window *w;

	while (p->taken - p->reaped >= p->count)
		reap(v);
	w = &p->window[p->taken++ % p->count];
	w->n = 0;
	w->len = 0;
	w->done = false;
	return w;
}

void cof_pool_wait(struct verify *v, uint64_t n)
{
	struct pool *p = &v->pool;

	if (n > p->reaped)
		await(v, &p->window[(n - 1) % p->count]);
}

void cof_pool_submit(struct verify *v, struct window *w)
{
	struct pool *p = &v->pool;

	cof_tree_share(v, w, p->submitted + 1); /* we alone change it */
	pthread_mutex_lock(&p->lock);
	p->submitted++;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void cof_pool_drain(struct verify *v)
{
	while (v->pool.reaped < v->pool.taken)
		reap(v);
}

void cof_pool_stop(struct verify *v)
{
	struct pool *p = &v->pool;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	for (unsigned i = 0; p->window && i < p->count; i++) {
		free(p->window[i].data);
		free(p->window[i].at);
		free(p->window[i].judged);
	}
	free(p->window);
	p->window = NULL;
}
