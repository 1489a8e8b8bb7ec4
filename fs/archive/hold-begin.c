/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning a hold: its first frame names what is held and is in force at once; then the tree below is walked
 * and each object in it listed by further frames, COF_HOLD_BATCH at a time, so that a verifier without keys
 * knows what is covered. A directory is listed before what lies in it is read, so that what is made meanwhile
 * is covered by its own CREATE frame. What memory the walk takes grows with the depth of the tree alone. A
 * walk that a crash interrupts is begun again by the next mount.
 */
#include "fs/archive/hold.h"

#define FEED_EVERY 32 /* frames, so that what waits for the index stays small */
#define DEPTH_MAX 4096
#define TEXT_MAX 60000

/* ---- one frame ---- */

static void put_ranges(struct cof_buf *fields, struct cof_obj **many, size_t n)
{
	cof_autobuf struct cof_buf ranges = {0};
	uint8_t range[16];

	for (size_t i = 0; i < n;) {
		size_t k = i + 1;

		while (k < n && many[k]->node.ino == many[k - 1]->node.ino + 1)
			k++;
		cof_put_le64(range, many[i]->node.ino);
		cof_put_le64(range + 8, k - i);
		cof_buf_add(&ranges, range, sizeof(range));
		i = k;
	}
	if (n)
		cof_field_put(fields, COF_T_INODES, ranges.data, ranges.len);
	fields->failed |= ranges.failed;
}

int cof_hold_put(struct cof_archive *a, const struct cof_who *who, const struct cof_hold_frame *f,
		 struct cof_obj **many, size_t n, uint64_t *ret_sequence)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_applied on = {.many = many, .n_many = n};
	struct cof_draft d = {.type = COF_HOLD, .plain = f->text, .length = (uint32_t)f->text_len};
	struct cof_append done;
	int r;

	cof_field_put_u8(&fields, COF_T_HOLD_WHAT, f->what);
	if (f->what != COF_HOLD_BEGIN)
		cof_field_put_u64(&fields, COF_T_HOLD_ID, f->id);
	put_ranges(&fields, many, n);
	if (f->what == COF_HOLD_LAID) {
		cof_field_put_u64(&fields, COF_T_PROCESSED, f->processed);
		cof_field_put_u64(&fields, COF_T_SKIPPED, f->skipped);
		cof_field_put_u64(&fields, COF_T_FAILED, f->failed);
	}
	if (f->request)
		cof_field_put(&fields, COF_T_REQUEST, f->request, 32);
	if (fields.failed)
		return -ENOMEM;
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	r = cof_actor_use(a, who, false, &d.actor);
	if (r == 0)
		r = cof_archive_put(a, &d, &on, &done);
	if (r == 0)
		*ret_sequence = done.ret_sequence;
	return r;
}

/* ---- objects, several at a time ---- */

struct batch { /* all locked, in ascending order, under the exclusive tree lock */
	struct cof_obj *many[COF_HOLD_BATCH];
	size_t n;
};

static int by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static void batch_put(struct cof_archive *a, struct batch *b)
{
	while (b->n)
		cof_obj_put(a, b->many[--b->n]);
}

/* What is gone is left out. ino: sorted, and without what comes twice, when it returns. */
static int batch_get(struct cof_archive *a, uint64_t *ino, size_t n, struct batch *b)
{
	b->n = 0;
	qsort(ino, n, sizeof(*ino), by_number);
	for (size_t i = 0; i < n; i++) {
		struct cof_obj *o;
		int r = 0;

		if (i && ino[i] == ino[i - 1])
			continue;
		r = cof_obj_get(a, ino[i], &o);
		if (r == 0 && o->node.state == COF_STATE_REMOVED)
			cof_obj_put(a, o);
		else if (r == 0)
			b->many[b->n++] = o;
		if (r < 0 && r != -ENOENT) {
			batch_put(a, b);
			return r;
		}
	}
	return 0;
}

/* ---- the walk ---- */

struct laying {
	struct cof_archive *a;
	const struct cof_who *who;
	cof_hold_progress fn;
	void *user;
	uint64_t id, processed, skipped, frames, sequence;
	uint64_t ino[COF_HOLD_BATCH];
	size_t n;
};

/* 0: not by this hold, 1: covered, 2: named. */
static int covered(struct laying *l, const struct cof_obj *o)
{
	cof_autobuf struct cof_buf list = {0};
	struct cof_archive *a = l->a;
	int r;

	if (!o->node.held)
		return 0;
	r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, o->node.ino, "holds", &list));
	for (size_t i = 0; r == 0 && i + 8 <= list.len; i += 8) {
		uint64_t id = cof_get_le64(list.data + i);

		if ((id & ~COF_HOLD_NAMED) == l->id)
			return id & COF_HOLD_NAMED ? 2 : 1;
	}
	return r;
}

/* Keeps of the batch what is to be listed, and counts files. */
static int sift(struct laying *l, struct batch *b, uint64_t *files, uint64_t *skipped)
{
	size_t kept = 0;
	int r = 0;

	*files = *skipped = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct cof_obj *o = b->many[i];
		bool file = o->node.kind != COF_KIND_DIR;
		int c = r < 0 ? r : covered(l, o);

		if (c == 2)
			*skipped += file;
		else
			*files += file;
		if (c == 0)
			b->many[kept++] = o;
		else
			cof_obj_put(l->a, o);
		r = c < 0 ? c : r;
	}
	b->n = kept;
	return r;
}

static int list_batch(struct laying *l)
{
	struct cof_hold_frame f = {.what = COF_HOLD_ADD, .id = l->id};
	uint64_t files = 0, skipped = 0, in_batch = l->n;
	struct cof_archive *a = l->a;
	struct batch b;
	int r;

	pthread_rwlock_wrlock(&a->tree);
	r = batch_get(a, l->ino, l->n, &b);
	if (r == 0) {
		in_batch -= b.n; /* gone */
		r = sift(l, &b, &files, &skipped);
		if (r == 0 && b.n)
			r = cof_hold_put(a, l->who, &f, b.many, b.n, &l->sequence);
		batch_put(a, &b);
	}
	pthread_rwlock_unlock(&a->tree);
	if (r == 0) {
		l->processed += files;
		l->skipped += skipped + in_batch;
		l->frames++;
	}
	return r;
}

static int flush(struct laying *l)
{
	int r = 0;

	if (!l->n)
		return 0;
	COF_GATED(l->a, r, list_batch(l));
	l->n = 0;
	if (r == 0 && l->frames % FEED_EVERY == 0)
		r = cof_archive_feed(l->a);
	return r < 0 ? r : l->fn ? l->fn(l->user, l->processed) : 0;
}

static int take_entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED, size_t len COF_UNUSED,
		      uint64_t ino, uint8_t kind COF_UNUSED)
{
	struct laying *l = user;

	l->ino[l->n++] = ino;
	return l->n == COF_HOLD_BATCH ? flush(l) : 0;
}

/* All that lies in a directory, which is covered itself. */
static int list_dir(struct laying *l, uint64_t dir)
{
	int r = cof_archive_readdir(l->a, COF_INDEX_NOW, dir, 0, take_entry, l);

	return r < 0 ? r : flush(l);
}

struct next_dir {
	uint64_t ino, cookie;
};

static int is_dir(void *user, uint64_t cookie, const char *name COF_UNUSED, size_t len COF_UNUSED,
		  uint64_t ino, uint8_t kind)
{
	struct next_dir *d = user;

	d->cookie = cookie;
	if (kind != COF_KIND_DIR)
		return 0;
	d->ino = ino;
	return 1;
}

/* Depth first: a place on the stack for each directory on the way. */
static int walk(struct laying *l, uint64_t top)
{
	cof_autofree struct next_dir *stack = malloc(DEPTH_MAX * sizeof(*stack));
	size_t depth = 1;
	int r = stack ? list_dir(l, top) : -ENOMEM;

	if (stack)
		stack[0] = (struct next_dir){top, 0};
	while (r == 0 && depth) {
		struct next_dir found = {0, stack[depth - 1].cookie};

		r = cof_archive_readdir(l->a, COF_INDEX_NOW, stack[depth - 1].ino, found.cookie, is_dir,
					&found);
		if (r == -ENOENT) /* an empty one that is gone again */
			r = 0;
		stack[depth - 1].cookie = found.cookie;
		if (r < 0)
			break;
		r = 0;
		if (!found.ino) {
			depth--;
			continue;
		}
		if (depth == DEPTH_MAX)
			return -ELOOP;
		r = list_dir(l, found.ino);
		if (r == -ENOENT)
			r = 0;
		stack[depth++] = (struct next_dir){found.ino, 0};
	}
	return r;
}

/* ---- a whole hold ---- */

static int end_laying(struct laying *l, uint64_t failed)
{
	struct cof_hold_frame f = {.what = COF_HOLD_LAID,
				   .id = l->id,
				   .processed = l->processed,
				   .skipped = l->skipped,
				   .failed = failed};

	return cof_hold_put(l->a, l->who, &f, NULL, 0, &l->sequence);
}

static int lay(struct laying *l, const uint64_t *top, size_t n, uint64_t failed)
{
	struct cof_attr attr;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = cof_archive_getattr(l->a, COF_INDEX_NOW, top[i], &attr);
		if (r == 0 && attr.kind == COF_KIND_DIR)
			r = walk(l, top[i]);
		else if (r == 0)
			l->processed++;
		if (r == -ENOENT) {
			l->skipped++;
			r = 0;
		}
	}
	if (r == 0)
		COF_GATED(l->a, r, end_laying(l, failed));
	return r;
}

struct beginning {
	struct cof_archive *a;
	const struct cof_who *who;
	const struct cof_hold_params *p;
	struct cof_hold_begun *ret;
	struct cof_diag *diag;
	uint64_t top[COF_HOLD_PATHS];
	size_t n;
};

static int check(const struct cof_hold_params *p, struct cof_diag *diag)
{
	size_t n = p->name ? strlen(p->name) : 0, text = p->reason ? strlen(p->reason) : 0;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p->name[i] < ' ' || p->name[i] == 0x7f)
			n = 0;
	if (!n || n > COF_HOLD_CASE)
		return cof_fail(diag, -EINVAL, "a case has a name of 1 to %d bytes on one line", COF_HOLD_CASE);
	for (size_t i = 0; i < p->n_paths; i++)
		text += strlen(p->paths[i]) + 3;
	if (!p->n_paths || p->n_paths > COF_HOLD_PATHS || text > TEXT_MAX)
		return cof_fail(diag, -E2BIG, "a hold names 1 to %d files and directories at a time; begin several",
				COF_HOLD_PATHS);
	return 0;
}

/* What cannot be held is counted and told, and hinders nothing else. */
static int resolve(struct beginning *b)
{
	int r = 0;

	for (size_t i = 0; i < b->p->n_paths; i++) {
		struct cof_op op = {COF_OP_HOLD_BEGIN};
		struct cof_ruling rl = {0};
		const char *why = NULL;

		r = cof_archive_resolve(b->a, b->p->paths[i], &op.ino);
		if (r == 0)
			r = cof_archive_explain(b->a, b->who, &op, &rl, NULL);
		if (r == 0 && rl.error) {
			r = rl.error;
			why = rl.reason;
		}
		if (r == 0) {
			b->top[b->n++] = op.ino;
			continue;
		}
		b->ret->failed++;
		if (b->p->failed)
			b->p->failed(b->p->user, b->p->paths[i], why ? why : strerror(-r));
	}
	return b->n ? 0 : cof_fail(b->diag, r, "nothing of it can be held: %s", strerror(-r));
}

static void text_of(const struct cof_hold_params *p, struct cof_buf *ret)
{
	cof_field_put_str(ret, COF_T_CASE, p->name);
	for (size_t i = 0; i < p->n_paths; i++)
		cof_field_put_str(ret, COF_T_PATH, p->paths[i]);
	if (p->reason && *p->reason)
		cof_field_put_str(ret, COF_T_REASON, p->reason);
}

/* The case's name is free, and there is room for one more. Tree lock held. */
static int check_free(struct beginning *b)
{
	cof_autobuf struct cof_buf ids = {0};
	struct cof_archive *a = b->a;
	uint64_t there;
	int r = cof_hold_find(a, b->p->name, &there);

	if (r == 0)
		return cof_fail(b->diag, -EEXIST,
				"the case has a hold already, number %llu: name this one otherwise",
				(unsigned long long)there);
	if (r == -ENOENT)
		r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, COF_ROOT_INO, "holds", &ids));
	if (r == 0 && ids.len / 8 >= COF_HOLDS_MAX)
		return cof_fail(b->diag, -ENOSPC, "%d holds are in force, which is the most at once", COF_HOLDS_MAX);
	return r == -ENOENT ? 0 : r;
}

static int first_frame(struct beginning *b)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_hold_frame f = {.what = COF_HOLD_BEGIN};
	struct batch many;
	int r;

	text_of(b->p, &text);
	if (text.failed)
		return -ENOMEM;
	f.text = text.data;
	f.text_len = text.len;
	pthread_rwlock_wrlock(&b->a->tree);
	r = check_free(b);
	if (r == 0)
		r = batch_get(b->a, b->top, b->n, &many);
	if (r == 0) {
		/* Sorted, and each once: what else there was, is gone. */
		for (size_t i = 0; i < many.n; i++)
			b->top[i] = many.many[i]->node.ino;
		b->n = many.n;
		r = many.n ? cof_hold_put(b->a, b->who, &f, many.many, many.n, &b->ret->id) : -ENOENT;
		batch_put(b->a, &many);
	}
	pthread_rwlock_unlock(&b->a->tree);
	return r;
}

int cof_archive_hold_begin(struct cof_archive *a, const struct cof_who *who,
			   const struct cof_hold_params *p, struct cof_hold_begun *ret,
			   struct cof_diag *diag)
{
	struct beginning b = {.a = a, .who = who, .p = p, .ret = ret, .diag = diag};
	struct laying l = {.a = a, .who = who, .fn = p->progress, .user = p->user};
	int r;

	*ret = (struct cof_hold_begun){0};
	if (!a->log || atomic_load(&a->failed))
		return -EROFS;
	r = check(p, diag);
	if (r == 0)
		r = resolve(&b);
	if (r == 0)
		COF_GATED(a, r, first_frame(&b));
	if (r < 0)
		return r;
	l.id = l.sequence = ret->id;
	r = lay(&l, b.top, b.n, ret->failed);
	ret->processed = l.processed;
	ret->skipped = l.skipped;
	ret->sequence = l.sequence;
	if (r < 0)
		cof_fail(diag, r, "the hold is in force, number %llu, but not all that it covers is listed yet (%s): "
			 "the next mount goes on with that",
			 (unsigned long long)ret->id, strerror(-r));
	return r;
}

/* ---- what a crash interrupted ---- */

static int unfinished(struct cof_archive *a, uint64_t *ret_id)
{
	bool laying;

	*ret_id = 0;
	if (!cof_holds_any(a))
		return 0;
	pthread_mutex_lock(&a->holds.lock);
	laying = a->holds.laying != 0;
	for (size_t i = 0; laying && i < a->holds.n; i++)
		if (a->holds.at[i].laying && a->holds.at[i].id < a->holds.before)
			*ret_id = a->holds.at[i].id;
	pthread_mutex_unlock(&a->holds.lock);
	return 0;
}

static int tops_of(struct cof_archive *a, uint64_t id, uint64_t top[COF_HOLD_PATHS], size_t *ret_n)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	struct cof_field named = {0};
	size_t n = 0;
	int r = cof_hold_get(a, id, &b, &h);

	if (r == 0)
		r = cof_ix(a, cof_field_find(h.text, h.text_len, COF_T_INODES, &named));
	for (size_t i = 0; r == 0 && i + 16 <= named.len; i += 16)
		for (uint64_t k = 0; k < cof_get_le64(named.value + i + 8) && n < COF_HOLD_PATHS; k++)
			top[n++] = cof_get_le64(named.value + i) + k;
	*ret_n = n;
	return r;
}

int cof_holds_resume(struct cof_archive *a)
{
	static const struct cof_who daemon = {.daemon = true};
	struct laying l = {.a = a, .who = &daemon};
	uint64_t top[COF_HOLD_PATHS];
	size_t n = 0;
	int r;

	if (!a->log || atomic_load(&a->failed))
		return 0;
	do {
		COF_GATED(a, r, unfinished(a, &l.id));
		if (r < 0 || !l.id)
			return r;
		l.processed = l.skipped = 0;
		COF_GATED(a, r, tops_of(a, l.id, top, &n));
		if (r == 0)
			r = lay(&l, top, n, 0);
	} while (r == 0);
	return r;
}
