/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back. All versions are listed, delete markers passed over: what lies under them is read
 * by its version id. An object that is not what its name says is passed over for another of its
 * versions; a head whose log is not all there for an older one. What comes is checked frame by
 * frame, and counts once the root is the one that was signed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/items.h"
#include "tools/vault/vault.h"

#define FOUND_MAX (4u << 20)
#define CONF_MAX 4096u
#define HEADS_TRIED 8u

struct fetch {
	struct s3 *s;
	const struct s3_fetching *p;
	struct s3_fetched *ret;
	char root[S3_KEY_MAX];
	struct s3_item *item;
	size_t n, room;
	struct cof_conf conf;
	struct vault_copy *copy;
	unsigned tried; /* heads that are signed */
	uint64_t begun; /* bytes that were there from an earlier run */
	struct cof_diag *diag;
};

static void tell(struct fetch *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct fetch *f, const char *fmt, ...)
{
	char text[S3_KEY_MAX + 800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (f->p->told)
		f->p->told(f->p->user, text);
}

static int one(void *user, const struct s3_listed *v)
{
	struct fetch *f = user;
	size_t root = strlen(f->root);
	struct s3_item i;

	if (v->marker)
		f->ret->markers++;
	if (v->marker || strncmp(v->key, f->root, root) || s3_item_parse(v->key + root, &i) < 0 ||
	    i.kind == S3_PROBE || (i.kind == S3_PIECE && i.length != v->size))
		return 0;
	if (f->n == f->room) {
		size_t want = f->room ? f->room * 2 : 256;
		void *grown = want > FOUND_MAX ? NULL : realloc(f->item, want * sizeof(*f->item));

		if (!grown)
			return -ENOMEM;
		f->item = grown;
		f->room = want;
	}
	i.length = v->size;
	i.modified = v->modified;
	i.version = strdup(v->version);
	if (!i.version)
		return -ENOMEM;
	f->item[f->n++] = i;
	return 0;
}

static int into_buf(void *user, const void *p, size_t n)
{
	struct cof_buf *b = user;

	cof_buf_add(b, p, n);
	return b->failed ? -ENOMEM : 0;
}

/* A small object that is what its name says. -EBADMSG: it is not. */
static int load(struct fetch *f, const struct s3_item *i, size_t most, struct cof_buf *ret)
{
	char key[S3_KEY_MAX + 1];
	uint8_t hash[COF_HASH];
	int r;

	s3_item_key(f->root, i, key);
	ret->len = 0;
	if (i->length > most)
		return cof_fail(f->diag, -EBADMSG, "%s is too long for what it should be", key);
	r = s3_get(f->s, key, i->version, 0, i->length, into_buf, ret, f->diag);
	if (r < 0)
		return r;
	cof_sha256(ret->data, ret->len, hash);
	return cof_equal(hash, i->sha256, COF_HASH)
		   ? 0
		   : cof_fail(f->diag, -EBADMSG, "%s is not what its name says", key);
}

/* May be had of another version, or done without. */
static bool passable(int r)
{
	return r == -EBADMSG || r == -ENOENT || r == -EPROTO || r == -EACCES;
}

/* ---- identity ---- */

static int make(struct fetch *f, const struct cof_buf *text)
{
	struct cof_conf conf;
	int r = cof_conf_parse((const char *)text->data, text->len, &conf, f->diag);

	if (r < 0 || memcmp(conf.id, f->p->id, 16))
		return -EBADMSG;
	if (f->p->vkey && !cof_equal(conf.vkey.public_key, f->p->vkey->public_key, 32))
		return -EKEYREJECTED;
	f->conf = conf;
	return 0;
}

/* archive.conf: one that is of this archive and, where its key was given, has that key. */
static int find_conf(struct fetch *f)
{
	cof_autobuf struct cof_buf text = {0}, kept = {0};
	unsigned others = 0;
	int r = 0;

	for (size_t i = 0; i < f->n && r == 0; i++) {
		if (f->item[i].kind != S3_CONF)
			continue;
		r = load(f, &f->item[i], CONF_MAX, &text);
		if (r == 0)
			r = make(f, &text);
		others += r == -EKEYREJECTED;
		if (r == 0 && kept.len &&
		    (kept.len != text.len || memcmp(kept.data, text.data, text.len)))
			return cof_fail(f->diag, -EKEYREJECTED,
					"the bucket names two keys for this archive, so somebody "
					"else wrote there: "
					"--log-vkey says which is right");
		if (r == 0 && !kept.len)
			cof_buf_add(&kept, text.data, text.len);
		r = r == -EKEYREJECTED || passable(r) ? 0 : r;
	}
	if (r < 0)
		return r;
	if (kept.failed)
		return cof_fail(f->diag, -ENOMEM, "out of memory");
	if (!kept.len && others)
		return cof_fail(f->diag, -EKEYREJECTED,
				"the archive in the bucket has another key than --log-vkey says");
	if (!kept.len)
		return cof_fail(f->diag, -ENOENT, "there is nothing of this archive at %s",
				f->root);
	r = make(f, &kept);
	if (r == 0 && cof_io_exists(f->p->io, "archive.conf") != 1)
		r = vault_copy_create(f->p->io, kept.data, kept.len, f->diag);
	return r;
}

/* ---- the log ---- */

struct feeding {
	struct fetch *f;
	uint64_t address, end;
	struct cof_sha256 *hash; /* NULL: only a part of it is read */
	int err;
	struct cof_diag *diag;
};

static int feed(void *user, const void *p, size_t n)
{
	struct feeding *d = user;
	uint64_t take = COF_MIN((uint64_t)n, d->end - d->address);
	int r = 0;

	if (d->hash)
		cof_sha256_update(d->hash, p, n);
	if (take)
		r = vault_copy_feed(d->f->copy, d->address, p, (size_t)take, d->diag);
	d->address += take;
	d->f->ret->bytes += n;
	if (r == 0 && d->f->p->progress)
		d->f->p->progress(d->f->p->user, d->address - d->f->begun, d->end - d->f->begun);
	d->err = r;
	return r;
}

/* Bytes of the log out of one object, from where the copy goes on, up to the head's end. */
static int feed_object(struct fetch *f, const struct s3_item *i, uint64_t end)
{
	uint64_t base = (uint64_t)i->number * f->conf.segment_size + i->offset;
	struct vault_copy_state st;
	struct feeding d = {.f = f, .end = end, .diag = f->diag};
	uint8_t hash[COF_HASH];
	char key[S3_KEY_MAX + 1];
	uint64_t from;
	int r;

	vault_copy_state(f->copy, &st);
	from = st.address > base ? st.address - base : 0;
	d.address = base + from;
	if (!from) {
		d.hash = cof_sha256_new();
		if (!d.hash)
			return cof_fail(f->diag, -ENOMEM, "out of memory");
	}
	s3_item_key(f->root, i, key);
	r = s3_get(f->s, key, i->version, from, i->length - from, feed, &d, f->diag);
	if (r == 0 && d.hash) {
		cof_sha256_final(d.hash, hash);
		if (!cof_equal(hash, i->sha256, COF_HASH))
			r = cof_fail(f->diag, -EBADMSG, "%s is not what its name says", key);
	}
	cof_sha256_free(d.hash);
	if (r == 0)
		return vault_copy_keep(f->copy, f->diag);
	if (r == -EUCLEAN && d.err == -EUCLEAN)
		r = -EBADMSG; /* no log: as wrong as another digest */
	return r;
}

/* Does this object go on where the copy is? Rank: whole segments before pieces, and those that go
 * furthest. */
static bool goes_on(const struct fetch *f, const struct s3_item *i, uint64_t at, uint64_t *ret_rank)
{
	uint64_t base = (uint64_t)i->number * f->conf.segment_size + i->offset;

	if (i->kind != S3_SEGMENT && i->kind != S3_PIECE)
		return false;
	if (i->past || i->offset + i->length > f->conf.segment_size || at < base ||
	    at - base >= i->length)
		return false;
	*ret_rank = i->length - (at - base) + (i->kind == S3_SEGMENT ? UINT64_C(1) << 32 : 0);
	return true;
}

/* Where the objects of a kind and segment begin. */
static size_t first_of(const struct fetch *f, enum s3_kind kind, uint64_t number)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct s3_item *i = &f->item[mid];

		if (i->kind < kind || (i->kind == kind && i->number < number))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* *ret: the best that is left; past: tried in vain. */
static bool next_object(const struct fetch *f, uint64_t at, size_t *ret)
{
	static const enum s3_kind kind[] = {S3_SEGMENT, S3_PIECE};
	uint64_t best = 0, rank, number = at / f->conf.segment_size;

	for (unsigned k = 0; k < COF_COUNT(kind); k++) {
		for (size_t i = first_of(f, kind[k], number);
		     i < f->n && f->item[i].kind == kind[k] && f->item[i].number == number; i++)
			if (goes_on(f, &f->item[i], at, &rank) && rank > best) {
				best = rank;
				*ret = i;
			}
	}
	return best > 0;
}

static int feed_log(struct fetch *f, const struct s3_item *head)
{
	struct vault_copy_state st;
	int r = 0;

	for (;;) {
		uint64_t size = f->conf.segment_size, at, begins;
		size_t i = 0;

		vault_copy_state(f->copy, &st);
		if (st.size == head->frames && st.address == head->offset)
			return 0;
		at = begins = st.address;
		if (!next_object(f, at,
				 &i)) { /* the next frame did not fit where the one before ended */
			at = at - at % size + size;
			if (begins % size == 0 || at >= head->offset || !next_object(f, at, &i))
				return cof_fail(f->diag, -ENODATA,
						"what follows byte %" PRIu64
						" of the log is not in the bucket",
						begins);
		}
		r = feed_object(f, &f->item[i], head->offset);
		if (r == 0)
			continue;
		if (!passable(r))
			return r;
		tell(f, "passed over: %s", f->diag->text);
		f->item[i].past = true;
		r = vault_copy_drop(f->copy, f->diag);
		if (r < 0)
			return r;
	}
}

/* ---- heads ---- */

static int finish(struct fetch *f, const struct cof_buf *note)
{
	static const struct vault_proof none;
	int r = vault_copy_prove(f->copy, &none, f->diag);

	if (r == 0)
		r = vault_copy_sync(f->copy, f->diag);
	if (r == 0)
		r = vault_copy_finish(f->copy, note->data, note->len, NULL, f->diag);
	return r;
}

static int try_head(struct fetch *f, const struct s3_item *head)
{
	static const struct vault_proof none;
	cof_autobuf struct cof_buf note = {0};
	struct cof_checkpoint c;
	struct vault_copy_state st;
	int r = load(f, head, COF_NOTE_MAX, &note);

	if (r < 0)
		return r;
	if (cof_checkpoint_open(note.data, note.len, &f->conf.vkey, &c) == 0 &&
	    c.size == head->frames)
		f->tried++;
	else
		return cof_fail(f->diag, -EBADMSG,
				"a head of %" PRIu64 " frames is not signed by this archive",
				head->frames);
	for (size_t i = 0; i < f->n; i++)
		f->item[i].past = false;
	vault_copy_blind(f->copy);
	vault_copy_state(f->copy, &st);
	if (st.head.size)
		return cof_fail(f->diag, -EEXIST,
				"%s was restored already, up to %" PRIu64 " frames",
				cof_io_where(f->p->io), st.head.size);
	r = vault_copy_head(f->copy, note.data, note.len, &none, &none, f->diag);
	vault_copy_state(f->copy, &st);
	f->begun = st.address;
	if (r == 0)
		r = feed_log(f, head);
	if (r == 0)
		r = finish(f, &note);
	if (r == 0) {
		f->ret->size = c.size;
		f->ret->time = head->modified;
	}
	return r == -ENODATA ? -EBADMSG : r;
}

/* From the newest on: the first whose log is all there. */
static int find_head(struct fetch *f)
{
	int r = cof_fail(f->diag, -ENOENT, "there is no head of this archive at %s", f->root);

	for (size_t i = f->n; i-- > 0 && f->tried < HEADS_TRIED;) {
		if (f->item[i].kind != S3_HEAD)
			continue;
		r = try_head(f, &f->item[i]);
		if (r == 0 || !passable(r))
			return r;
		tell(f, "a head of %" PRIu64 " frames cannot be restored: %s", f->item[i].frames,
		     f->diag->text);
	}
	return f->tried
		   ? cof_fail(
			 f->diag, -EBADMSG,
			 "none of %u head%s in the bucket can be restored; the last reason: %.500s",
			 f->tried, f->tried == 1 ? "" : "s", f->diag->text)
		   : r;
}

/* ---- envelopes ---- */

static int by_age(const void *a, const void *b)
{
	const struct s3_item *x = *(const struct s3_item *const *)a,
			     *y = *(const struct s3_item *const *)b;

	return x->modified < y->modified ? -1 : x->modified > y->modified;
}

/* The newest, as far as the server's times tell. */
static int find_envelope(struct fetch *f)
{
	cof_autobuf struct cof_buf b = {0};
	cof_autofree const struct s3_item **list = calloc(f->n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return cof_fail(f->diag, -ENOMEM, "out of memory");
	for (size_t i = 0; i < f->n && f->p->envelope; i++)
		if (f->item[i].kind == S3_ENVELOPE)
			list[n++] = &f->item[i];
	qsort(list, n, sizeof(*list), by_age);
	while (n--) {
		int r = load(f, list[n], VAULT_ENVELOPE_MAX, &b);

		if (r == 0)
			return f->p->envelope(f->p->user, b.data, b.len, f->diag);
		if (!passable(r))
			return r;
		tell(f, "passed over: %s", f->diag->text);
	}
	return 0;
}

static int fetch(struct fetch *f)
{
	int r = s3_list(f->s, f->root, NULL, one, f, f->diag);

	if (r == -ENOMEM)
		cof_fail(f->diag, r, "out of memory, or too many objects");
	if (r < 0)
		return r;
	qsort(f->item, f->n, sizeof(*f->item), s3_item_order);
	r = find_conf(f);
	if (r == 0)
		r = find_envelope(f);
	if (r == 0)
		r = vault_copy_open(f->p->io, &f->copy, f->diag);
	return r == 0 ? find_head(f) : r;
}

int s3_fetch(struct s3 *s, const struct s3_fetching *p, struct s3_fetched *ret,
	     struct cof_diag *diag)
{
	struct s3_fetched fetched = {.size = 0};
	struct cof_diag own = {""};
	struct fetch f = {.s = s, .p = p, .ret = &fetched, .diag = diag ? diag : &own};
	int r;

	s3_root(s3_target_of(s), p->id, f.root);
	r = fetch(&f);
	vault_copy_free(f.copy);
	for (size_t i = 0; i < f.n; i++)
		free(f.item[i].version);
	free(f.item);
	*ret = fetched;
	return r;
}
