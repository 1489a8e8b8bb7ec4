/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy is brought up to date: what others put there is looked at first; then segments that are
 * full, then what is new of the tail, then locks and holds of what was there before, and at the
 * very end the head. So a head that is there covers nothing that is not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/s3/items.h"
#include "tools/vault/vault.h"

#define SAVE_EVERY 64u /* objects */
#define HEADS_LOOKED_AT 16u /* that are signed */
#define HEADS_KEPT 4096u    /* of those of most frames, the signed ones among them */

struct push {
	struct s3 *s;
	struct s3_copy *c;
	const struct s3_pushing *p;
	struct s3_pushed *ret;
	struct vault_source *source;
	struct cof_checkpoint head;
	uint64_t end, done, total;
	unsigned unsaved;
	struct cof_diag *diag;
};

static int save(struct push *u)
{
	cof_autobuf struct cof_buf b = {0};

	u->unsaved = 0;
	if (s3_copy_text(u->c, &b) < 0)
		return cof_fail(u->diag, -ENOMEM, "out of memory");
	return u->p->save(u->p->user, &b, u->diag);
}

static void progressed(void *user, uint64_t done)
{
	struct push *u = user;

	if (u->p->progress)
		u->p->progress(u->p->user, u->done + done, u->total);
}

/* ---- heads that are there and were not put there by this host ---- */

struct heads {
	struct s3_copy *c;
	struct s3_item *item;
	char (*version)[S3_VERSION_MAX];
	uint64_t n;
	const struct s3_item *own; /* the newest that this host put there, or NULL */
	bool own_seen;
};

static bool is_known(const struct s3_copy *c, const char *version)
{
	for (size_t i = c->items; i-- > 0;)
		if (!strcmp(c->item[i].version, version))
			return true;
	return false;
}

static int see_head(void *user, const struct s3_listed *v)
{
	struct heads *h = user;
	size_t n = strlen(h->c->root);
	struct s3_item i;

	h->own_seen |= h->own && !v->marker && !strcmp(v->version, h->own->version);
	if (v->marker || v->size > COF_NOTE_MAX || strncmp(v->key, h->c->root, n) ||
	    s3_item_parse(v->key + n, &i) < 0 || i.kind != S3_HEAD || is_known(h->c, v->version))
		return 0;
	i.length = v->size;
	h->item[h->n % HEADS_KEPT] = i;
	snprintf(h->version[h->n++ % HEADS_KEPT], S3_VERSION_MAX, "%s", v->version);
	return 0;
}

static int into_buf(void *user, const void *p, size_t n)
{
	struct cof_buf *b = user;

	cof_buf_add(b, p, n);
	return b->failed ? -ENOMEM : 0;
}

/* 1: it is signed by this archive, and of this history. One that cannot be read, as the encryption of whoever put it there can make
 * it, says as little as one that is not signed; unless these credentials may not read at all. */
static int judge_head(struct push *u, const struct s3_item *i, const char *version, const struct s3_item *own)
{
	cof_autobuf struct cof_buf note = {0};
	struct cof_checkpoint there;
	uint8_t root[COF_HASH];
	char key[S3_KEY_MAX + 1];
	int r;

	s3_item_key(u->c->root, i, key);
	r = s3_get(u->s, key, version, 0, i->length, into_buf, &note, u->diag);
	if (r == -EACCES && own) {
		s3_item_key(u->c->root, own, key);
		note.len = 0;
		r = s3_get(u->s, key, own->version, 0, own->length, into_buf, &note, u->diag);
		return r == -ENOENT ? 0 : r;
	}
	if (r < 0)
		return r == -ENOENT || r == -EPROTO ? 0 : r;
	if (cof_checkpoint_open(note.data, note.len, &u->c->conf.vkey, &there) < 0)
		return 0; /* not signed by this archive: a check tells of it */
	if (there.size > u->head.size && u->p->newer) {
		u->p->newer->len = 0;
		cof_buf_add(u->p->newer, note.data, note.len);
		cof_buf_add(u->p->newer, "", 1);
	}
	if (there.size > u->head.size)
		return cof_fail(u->diag, -ESTALE,
				"the bucket has %" PRIu64
				" frames of this archive and this store %" PRIu64
				": it was put back to an older state, or another host writes there "
				"too. Nothing was sent",
				there.size, u->head.size);
	r = vault_source_root(u->source, there.size, root, u->diag);
	if (r == 0 && !cof_equal(root, there.root, COF_HASH))
		r = cof_fail(u->diag, -ENOTUNIQ,
			     "a head of %" PRIu64
			     " frames in the bucket is of another history than this store: two "
			     "histories of one archive. Nothing was sent, and what is there stays",
			     there.size);
	return r == 0 ? 1 : r;
}

static const struct s3_item *own_head(const struct s3_copy *c)
{
	for (size_t i = c->items; i-- > 0;)
		if (c->item[i].kind == S3_HEAD && !c->item[i].past && c->item[i].frames == c->size)
			return &c->item[i];
	return NULL;
}

/* Those of most frames first. Others may have put any number there that nobody signed: they hide none that is signed. */
static int judge_heads(struct push *u, const struct heads *h)
{
	unsigned found = 0;

	for (uint64_t k = h->n; k > 0 && found < HEADS_LOOKED_AT; k--) {
		int r;

		if (h->n - k == HEADS_KEPT)
			return cof_fail(u->diag, -EEXIST,
					"%shead/ has more than %u heads with more frames than were sent that this archive did not sign: nothing is "
					"sent, since they may hide one that it did; who rules the bucket has to remove them (coffer vault check names them)",
					u->c->root, HEADS_KEPT - HEADS_LOOKED_AT);
		r = judge_head(u, &h->item[(k - 1) % HEADS_KEPT], h->version[(k - 1) % HEADS_KEPT], h->own);
		if (r < 0)
			return r;
		found += r > 0;
	}
	return 0;
}

/* In one request; that what was put there last is still there is seen by it too. */
static int look_at_heads(struct push *u)
{
	cof_autofree struct s3_item *item = calloc(HEADS_KEPT, sizeof(*item));
	cof_autofree char(*version)[S3_VERSION_MAX] = calloc(HEADS_KEPT, sizeof(*version));
	struct heads h = {.c = u->c, .own = own_head(u->c), .item = item, .version = version};
	char prefix[S3_KEY_MAX + 8], after[S3_KEY_MAX + 32];
	int r;

	if (!item || !version)
		return cof_fail(u->diag, -ENOMEM, "out of memory");
	snprintf(prefix, sizeof(prefix), "%shead/", u->c->root);
	snprintf(after, sizeof(after), "%shead/%016" PRIx64, u->c->root, u->c->size);
	r = s3_list(u->s, prefix, u->c->size ? after : NULL, see_head, &h, u->diag);
	if (r == 0)
		r = judge_heads(u, &h);
	if (r == 0 && h.own && !h.own_seen)
		r = cof_fail(u->diag, -ENOENT,
			     "the head of %" PRIu64
			     " frames that was put there is no longer there: coffer vault check tells of all that is gone, and "
			     "the next sync puts it there again",
			     u->c->size);
	return r;
}

/* ---- objects ---- */

struct segment_body {
	struct cof_file *file;
	uint64_t from;
};

static int read_segment(void *user, uint64_t offset, void *buf, size_t n)
{
	const struct segment_body *b = user;
	size_t got = 0;
	int r = cof_io_read(b->file, buf, n, b->from + offset, &got);

	return r == 0 && got < n ? -EUCLEAN : r;
}

/* Puts it, and notes it. The item has all but what the server says. */
static int put(struct push *u, struct s3_item *i, const struct s3_body *body,
	       const struct s3_need *need)
{
	char key[S3_KEY_MAX + 1];
	struct s3_object o;
	struct s3_lock lock = {.hold = need->hold};
	int64_t least;
	int r;

	if (u->c->items >= S3_ITEMS_MAX)
		return cof_fail(u->diag, -E2BIG,
				"%u objects in the bucket are noted, and no more can be: let a lifecycle rule of the bucket remove what is "
				"below %spiece/ and %shead/ once its lock is over, and then coffer vault check forget it; or begin another copy "
				"with coffer vault add, in another bucket or below another prefix",
				S3_ITEMS_MAX, u->c->root, u->c->root);
	memcpy(i->sha256, body->sha256, COF_HASH);
	i->length = body->size;
	s3_lock_of(u->c, need, u->p->base, cof_now(CLOCK_REALTIME), &least, &lock.until);
	s3_item_key(u->c->root, i, key);
	r = s3_put(u->s, key, body, &lock, &o, progressed, u, u->diag);
	if (r < 0)
		return r;
	snprintf(i->etag, sizeof(i->etag), "%.43s", o.etag);
	i->locked = o.lock.until;
	i->hold = o.lock.hold;
	r = s3_copy_add(u->c, i, o.version);
	if (r < 0)
		return cof_fail(u->diag, r, "out of memory");
	u->done += body->size;
	u->ret->bytes += body->size;
	u->ret->objects++;
	return ++u->unsaved >= SAVE_EVERY ? save(u) : 0;
}

static int put_memory(struct push *u, struct s3_item *i, const void *p, size_t n,
		      const struct s3_need *need)
{
	struct s3_memory m;
	struct s3_body body = s3_memory_body(&m, p, n);

	for (size_t k = 0; k < u->c->items; k++) {
		struct s3_item *o = &u->c->item[k];

		if (o->kind == i->kind && cof_equal(o->sha256, body.sha256, COF_HASH)) {
			o->past = false;
			return 0; /* is there */
		}
	}
	for (size_t k = 0; k < u->c->items; k++)
		if (u->c->item[k].kind == i->kind)
			u->c->item[k].past = true;
	return put(u, i, &body, need);
}

/* Bytes of a segment of the log, from an offset to an end in it. */
static int put_bytes(struct push *u, enum s3_kind kind, uint64_t number, uint64_t from, uint64_t to)
{
	struct s3_item i = {
	    .kind = kind, .number = (uint32_t)number, .offset = kind == S3_PIECE ? from : 0};
	struct segment_body from_file = {.from = from};
	cof_autofile struct cof_file *file = NULL;
	struct s3_body body = {.read = read_segment, .user = &from_file, .size = to - from};
	struct s3_digest d;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "log/%08x.seg", (unsigned)number);
	r = cof_io_open(u->p->io, path, COF_IO_RDONLY, &file);
	from_file.file = file;
	if (r == 0)
		r = s3_digest(&body, 0, body.size, &d);
	if (r < 0)
		return cof_fail(u->diag, r, "%s/%s cannot be read: %s", cof_io_where(u->p->io),
				path, strerror(-r));
	memcpy(body.sha256, d.sha256, COF_HASH);
	return put(u, &i, &body, &u->c->need[number]);
}

/* What is there of each segment: 1 whole, else bytes in pieces that lie back to back from 0 on. */
struct there {
	bool whole;
	uint64_t pieces;
};

static int see_there(const struct push *u, struct there *t, size_t n)
{
	bool more = true;

	for (size_t k = 0; k < u->c->items; k++)
		if (u->c->item[k].kind == S3_SEGMENT && u->c->item[k].number < n)
			t[u->c->item[k].number].whole = true;
	while (more) { /* few segments have pieces that count, and those come in order */
		more = false;
		for (size_t k = 0; k < u->c->items; k++) {
			const struct s3_item *i = &u->c->item[k];

			if (i->kind == S3_PIECE && !i->past && i->number < n &&
			    i->offset == t[i->number].pieces) {
				t[i->number].pieces += i->length;
				more = true;
			}
		}
	}
	return 0;
}

static void merged(struct push *u, uint64_t number)
{
	for (size_t k = 0; k < u->c->items; k++)
		if (u->c->item[k].kind == S3_PIECE && u->c->item[k].number == number)
			u->c->item[k].past = true;
}

static int put_log(struct push *u)
{
	uint64_t size = u->c->conf.segment_size, last = (u->end - 1) / size;
	struct there *t = calloc(u->c->needs, sizeof(*t));
	int r = 0;

	if (!t)
		return cof_fail(u->diag, -ENOMEM, "out of memory");

	if (r == 0 && u->c->needs <= last)
		r = cof_fail(u->diag, -EUCLEAN, "the log ends elsewhere than its head");
	if (r == 0)
		r = see_there(u, t, u->c->needs);
	for (uint64_t n = 0; r == 0 && n < last; n++)
		u->total += t[n].whole ? 0 : u->c->need[n].length;
	for (uint64_t n = 0; r == 0 && n < last; n++) {
		if (t[n].whole)
			continue;
		r = put_bytes(u, S3_SEGMENT, n, 0, u->c->need[n].length);
		if (r == 0)
			merged(u, n);
	}
	if (r == 0 && t[last].pieces < u->c->need[last].length) {
		u->total += u->c->need[last].length - t[last].pieces;
		r = put_bytes(u, S3_PIECE, last, t[last].pieces, u->c->need[last].length);
	}
	free(t);
	return r;
}

/* ---- locks and holds of what is there ---- */

/* What all of a copy depends on stays as long as anything in it. */
static struct s3_need all_of(const struct s3_copy *c)
{
	struct s3_need all;

	s3_need_clear(&all);
	for (size_t i = 0; i < c->needs; i++) {
		all.until = COF_MAX(all.until, c->need[i].until);
		all.follow = COF_MAX(all.follow, c->need[i].follow);
		all.commit = COF_MAX(all.commit, c->need[i].commit);
		all.wait = COF_MAX(all.wait, c->need[i].wait);
		all.hold = all.hold || c->need[i].hold;
	}
	return all;
}

static int renew(struct push *u, struct s3_item *i, const struct s3_need *need)
{
	int64_t least, want;
	char key[S3_KEY_MAX + 1];
	int r = 0;

	s3_lock_of(u->c, need, u->p->base, cof_now(CLOCK_REALTIME), &least, &want);
	s3_item_key(u->c->root, i, key);
	if (i->locked < least) {
		r = s3_extend(u->s, key, i->version, want, u->diag);
		if (r == 0) {
			i->locked = want;
			u->ret->extended++;
			u->unsaved++;
		}
	}
	if (r == 0 && i->hold != need->hold) {
		r = s3_set_hold(u->s, key, i->version, need->hold ? S3_HOLD_ON : S3_HOLD_OFF,
				u->diag);
		if (r == 0) {
			i->hold = need->hold;
			u->ret->held += need->hold;
			u->ret->released += !need->hold;
			u->unsaved++;
		}
	}
	if (r == -ENOENT)
		return cof_fail(u->diag, -ENOENT,
				"%s is no longer there, though it was locked: coffer vault check "
				"tells of all that "
				"is gone, and the next sync puts it there again",
				key);
	return r == 0 && u->unsaved >= SAVE_EVERY ? save(u) : r;
}

/* Of one object, which says nothing of the others. */
static bool of_one(int r)
{
	return r == -ENOENT || r == -EACCES || r == -EPERM;
}

/* The first failure; what it says of one object keeps no other from being renewed. */
static int renew_all(struct push *u)
{
	struct s3_need all = all_of(u->c);
	struct cof_diag *diag = u->diag, other = {""};
	int r = 0;

	for (size_t k = 0; (r == 0 || of_one(r)) && k < u->c->items; k++) {
		struct s3_item *i = &u->c->item[k];
		int e;

		if (i->past || i->kind == S3_PROBE)
			continue;
		u->diag = r == 0 ? diag : &other;
		e = renew(u, i,
			  i->kind == S3_SEGMENT || i->kind == S3_PIECE ? &u->c->need[i->number]
								       : &all);
		if (r == 0 || (e < 0 && !of_one(e)))
			r = e;
		if (u->diag == &other && e < 0 && !of_one(e))
			*diag = other;
	}
	u->diag = diag;
	return r;
}

/* Also where nothing more can be sent: a bucket that is full is no reason for what is there to run out. */
static int renew_also(struct push *u, int sent)
{
	struct cof_diag second = {""}, *diag = u->diag;
	int r;

	if (sent == 0)
		return renew_all(u);
	u->diag = &second;
	r = renew_all(u);
	u->diag = diag;
	return r == 0 ? sent
		      : cof_fail(diag, sent, "%.500s; and locks and holds of what is there are not renewed: %.300s",
				 strdupa(diag->text), second.text);
}

/* ---- all of it ---- */

static int put_head(struct push *u)
{
	const char *note = vault_source_note(u->source, NULL);
	struct s3_item i = {.kind = S3_HEAD, .frames = u->head.size, .offset = u->end};
	struct s3_need all = all_of(u->c);
	int r = put_memory(u, &i, note, strlen(note), &all);

	if (r < 0)
		return r;
	u->c->size = u->head.size;
	u->c->end = u->end;
	memcpy(u->c->root_hash, u->head.root, COF_HASH);
	u->c->time = cof_now(CLOCK_REALTIME);
	return save(u);
}

static int put_first(struct push *u)
{
	const char *conf = vault_source_conf_text(u->source);
	struct s3_item c = {.kind = S3_CONF}, e = {.kind = S3_ENVELOPE};
	struct s3_need all = all_of(u->c);
	int r = put_memory(u, &c, conf, strlen(conf), &all);

	if (r == 0 && u->p->envelope_len)
		r = put_memory(u, &e, u->p->envelope, u->p->envelope_len, &all);
	return r;
}

/* The same history as when it was sent last? */
static int judge_past(struct push *u)
{
	uint8_t root[COF_HASH];
	int r;

	if (!u->c->size)
		return 0;
	if (u->c->size > u->head.size)
		return cof_fail(u->diag, -ESTALE,
				"%" PRIu64
				" frames were sent to the bucket, and this store has %" PRIu64
				": it was put back to an older state. Nothing was sent",
				u->c->size, u->head.size);
	r = vault_source_root(u->source, u->c->size, root, u->diag);
	if (r == 0 && !cof_equal(root, u->c->root_hash, COF_HASH))
		r = cof_fail(u->diag, -ENOTUNIQ,
			     "what was sent to the bucket is of another history than this store: "
			     "two histories of one "
			     "archive. Nothing was sent, and what is there stays");
	return r;
}

static int push(struct push *u)
{
	uint64_t before = u->c->size;
	int r = vault_source_open(u->p->io, &u->source, u->diag), gone = 0;

	if (r < 0)
		return r;
	(void)vault_source_note(u->source, &u->head);
	u->end = vault_source_end(u->source);
	r = judge_past(u);
	if (r == 0)
		r = look_at_heads(u);
	if (r == -ENOENT || r == -EEXIST) { /* of heads: what else is there is kept all the same */
		gone = r;
		r = 0;
	}
	if (r == 0)
		r = s3_scan(u->c, u->p->io, u->head.size, u->end, u->diag);
	if (r < 0 || gone < 0)
		return r < 0 ? r : renew_also(u, gone);
	u->ret->size = u->head.size;
	u->ret->from = before;
	u->ret->frames = u->head.size - before;
	if (u->p->may_leave && u->ret->frames)
		r = u->p->may_leave(u->p->user, u->diag);
	if (r == 0)
		r = put_first(u);
	if (r == 0)
		r = put_log(u);
	r = renew_also(u, r);
	if (r == 0)
		r = put_head(u);
	u->ret->nothing = r == 0 && !u->ret->objects;
	return r;
}

int s3_push(struct s3 *s, struct s3_copy *c, const struct s3_pushing *p, struct s3_pushed *ret,
	    struct cof_diag *diag)
{
	struct s3_pushed pushed = {.size = 0};
	struct cof_diag own = {""}, second = {""};
	struct push u = {.s = s, .c = c, .p = p, .ret = &pushed, .diag = diag ? diag : &own};
	int r = push(&u);

	if (r < 0 && u.unsaved) { /* what is up is not to be asked for again */
		u.diag = &second;
		if (save(&u) < 0 && diag)
			cof_fail(diag, r, "%.500s; and what is up could not be noted: %.200s",
				 diag->text, second.text);
	}
	vault_source_free(u.source);
	*ret = pushed;
	return r;
}
