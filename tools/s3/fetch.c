/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back. All versions are listed, delete markers passed over: what lies under them is read
 * by its version id. An object that is not what its name says is passed over for another of its
 * versions; a head whose log is not all there for an older one. What comes is checked frame by
 * frame, and counts once the root is the one that was signed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/fetch.h"

#define FOUND_MAX (4u << 20)
#define CONF_MAX 4096u
#define CONFS_TRIED 8u
#define UNSIGNED_TOLD 16u
#define ENVELOPES_TOLD 8u

void fetch_tell(struct fetch *f, const char *fmt, ...)
{
	char text[S3_KEY_MAX + 800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (f->p->told)
		f->p->told(f->p->user, text);
}

bool fetch_passable(int r)
{
	return r == -EBADMSG || r == -ENOENT || r == -EPROTO || r == -EACCES;
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
			return want > FOUND_MAX ? -E2BIG : -ENOMEM;
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

/* The items of a kind, in an order; *ret is the caller's. */
static int all_of(struct fetch *f, enum s3_kind kind, int (*order)(const void *, const void *), struct s3_item ***ret, size_t *ret_n)
{
	struct s3_item **list = calloc(f->n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return cof_fail(f->diag, -ENOMEM, "out of memory");
	for (size_t i = 0; i < f->n; i++)
		if (f->item[i].kind == kind)
			list[n++] = &f->item[i];
	qsort(list, n, sizeof(*list), order);
	*ret = list;
	*ret_n = n;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct s3_item *x = *(struct s3_item *const *)a, *y = *(struct s3_item *const *)b;

	return x->modified != y->modified ? (x->modified < y->modified ? -1 : 1) : x < y ? 1 : x > y ? -1 : 0;
}

/* ---- identity ---- */

struct confs { /* that differ in what the log is read by, from the oldest on */
	struct cof_conf conf[CONFS_TRIED];
	unsigned n;
	bool others; /* with another key than the one that is known */
};

static int take_conf(struct fetch *f, struct confs *all, const struct cof_buf *text)
{
	struct cof_conf conf;

	if (cof_conf_parse((const char *)text->data, text->len, &conf, f->diag) < 0 || memcmp(conf.id, f->p->id, 16))
		return 0;
	if (f->p->vkey && !cof_equal(conf.vkey.public_key, f->p->vkey->public_key, 32)) {
		all->others = true;
		return 0;
	}
	if (all->n && !cof_equal(conf.vkey.public_key, all->conf[0].vkey.public_key, 32))
		return cof_fail(f->diag, -EKEYREJECTED,
				"the bucket names two keys for this archive, so somebody else wrote there: --log-vkey says which is right");
	for (unsigned i = 0; i < all->n; i++)
		if (vault_conf_alike(&conf, &all->conf[i]))
			return 0;
	if (all->n < CONFS_TRIED)
		all->conf[all->n++] = conf;
	return 0;
}

/* archive.conf: those that are of this archive and, where its key was given, have that key. What else they say is compared with the
 * log's own first frame (vault_copy_judge_conf). */
static int find_confs(struct fetch *f, struct confs *all)
{
	cof_autofree struct s3_item **list = NULL;
	cof_autobuf struct cof_buf text = {0};
	size_t n = 0;
	int r = all_of(f, S3_CONF, by_age, &list, &n);

	for (size_t i = 0; i < n && r == 0; i++) {
		r = load(f, list[i], CONF_MAX, &text);
		if (r == 0)
			r = take_conf(f, all, &text);
		r = fetch_passable(r) ? 0 : r;
	}
	if (r < 0)
		return r;
	if (!all->n && all->others)
		return cof_fail(f->diag, -EKEYREJECTED, "the archive in the bucket has another key than --log-vkey says");
	return all->n ? 0 : cof_fail(f->diag, -ENOENT, "there is nothing of this archive at %s", f->root);
}

static int make_copy(struct fetch *f, const struct cof_conf *conf)
{
	struct vault_copy_state st;
	int r = vault_copy_begin(f->p->io, conf, &f->copy, f->diag);

	f->conf = *conf;
	if (r < 0)
		return r;
	vault_copy_state(f->copy, &st);
	return st.head.size ? cof_fail(f->diag, -EEXIST, "%s was restored already, up to %" PRIu64 " frames", cof_io_where(f->p->io),
				       st.head.size)
			    : 0;
}

/* ---- heads ---- */

static int finish(struct fetch *f, const struct cof_buf *note)
{
	static const struct vault_proof none;
	int r = vault_copy_prove(f->copy, &none, f->diag);

	if (r == 0)
		r = vault_copy_sync(f->copy, f->diag);
	if (r == 0)
		r = vault_copy_judge_conf(f->copy, f->diag);
	if (r == 0)
		r = vault_copy_finish(f->copy, note->data, note->len, NULL, f->diag);
	return r;
}

/* Payloads that are wrong are found once all headers are there: what is before them stays, and they are had from elsewhere. */
static int fetch_all(struct fetch *f, const struct cof_checkpoint *c, uint64_t end, const struct cof_buf *note)
{
	struct vault_copy_state st;
	unsigned wrong;
	int r;

	do {
		wrong = f->wrong;
		r = fetch_log(f, c, end);
		if (r < 0)
			return r;
		r = finish(f, note);
		vault_copy_state(f->copy, &st);
		f->wrong += r == -EBADMSG;
	} while (r == -EBADMSG && st.size < c->size && f->wrong > wrong);
	return r;
}

static bool is_tried(const struct fetch *f, const struct cof_checkpoint *c)
{
	for (unsigned i = 0; i < f->n_tried; i++)
		if (f->tried[i].size == c->size && cof_equal(f->tried[i].root, c->root, COF_HASH))
			return true;
	return false;
}

/* *ret_signed: it is a head of this archive, and was tried. */
static int try_head(struct fetch *f, const struct s3_item *head, bool *ret_signed)
{
	static const struct vault_proof none;
	cof_autobuf struct cof_buf note = {0};
	struct cof_checkpoint c;
	struct vault_copy_state st;
	int r = load(f, head, COF_NOTE_MAX, &note);

	if (r < 0)
		return r;
	if (cof_checkpoint_open(note.data, note.len, &f->conf.vkey, &c) < 0 || c.size != head->frames)
		return cof_fail(f->diag, -EBADMSG, "a head of %" PRIu64 " frames is not signed by this archive", head->frames);
	if (is_tried(f, &c))
		return cof_fail(f->diag, -EBADMSG, "a head of %" PRIu64 " frames is there once more", head->frames);
	*ret_signed = true;
	f->tried[f->n_tried++] = c;
	vault_copy_blind(f->copy);
	r = vault_copy_head(f->copy, note.data, note.len, &none, &none, f->diag);
	vault_copy_state(f->copy, &st);
	f->begun = st.address;
	if (r == 0)
		r = fetch_all(f, &c, head->offset, &note);
	if (r == 0) {
		f->ret->size = c.size;
		f->ret->time = head->modified;
	}
	return r;
}

/* What is newest first; of the same, what was there first. */
static int by_size(const void *a, const void *b)
{
	const struct s3_item *x = *(struct s3_item *const *)a, *y = *(struct s3_item *const *)b;

	return x->frames != y->frames ? (x->frames > y->frames ? -1 : 1) : by_age(a, b);
}

/* From the newest on: the first whose log is all there. Anybody may have put there what is not signed: it counts for nothing. */
static int find_head(struct fetch *f)
{
	cof_autofree struct s3_item **list = NULL;
	struct cof_diag why = {""};
	size_t n = 0, not_signed = 0;
	int r = all_of(f, S3_HEAD, by_size, &list, &n);

	if (r < 0)
		return r;
	f->n_tried = 0;
	r = cof_fail(f->diag, -ENOENT, "there is no head of this archive at %s", f->root);
	for (size_t i = 0; i < n && f->n_tried < FETCH_HEADS; i++) {
		bool is_signed = false;

		r = try_head(f, list[i], &is_signed);
		if (r == 0 || !fetch_passable(r))
			break;
		if (is_signed)
			why = *f->diag;
		if (is_signed || not_signed++ < UNSIGNED_TOLD)
			fetch_tell(f, "a head of %" PRIu64 " frames cannot be restored: %s", list[i]->frames, f->diag->text);
	}
	if (not_signed > UNSIGNED_TOLD)
		fetch_tell(f, "and %zu more", not_signed - UNSIGNED_TOLD);
	if (r == 0 || !fetch_passable(r))
		return r;
	return f->n_tried ? cof_fail(f->diag, -EBADMSG, "none of %u head%s in the bucket can be restored; the last reason: %.500s",
				     f->n_tried, f->n_tried == 1 ? "" : "s", why.text)
			  : r;
}

/* ---- envelopes ---- */

/* Each is as old as the oldest of its versions: nobody makes one new by putting it there again. They are in order of their names. */
static void date_envelopes(struct s3_item *i, size_t n)
{
	for (size_t from = 0, to; from < n; from = to) {
		int64_t first = i[from].modified;

		for (to = from + 1; to < n && cof_equal(i[to].sha256, i[from].sha256, COF_HASH); to++)
			first = COF_MIN(first, i[to].modified);
		for (size_t k = from; k < to; k++)
			i[k].modified = first;
	}
}

/* Only who has its key can judge one, and nothing in the log names it. */
static void tell_others(struct fetch *f, struct s3_item *const *list, size_t n, const struct s3_item *kept)
{
	const struct s3_item *last = kept;
	char key[S3_KEY_MAX + 1], when[32];
	unsigned others = 0;

	while (n--) {
		if (cof_equal(list[n]->sha256, last->sha256, COF_HASH) || cof_equal(list[n]->sha256, kept->sha256, COF_HASH))
			continue;
		last = list[n];
		if (!others++) {
			s3_item_key(f->root, kept, key);
			fetch_tell(f, "the bucket has several recovery envelopes. The one that was put there last is used: %s. Whoever may write "
				      "there may have put it there; if it does not open, have one of these by any S3 client, and give it with --envelope:",
				   key);
		}
		s3_item_key(f->root, last, key);
		cof_time_text(last->modified, when);
		if (others <= ENVELOPES_TOLD)
			fetch_tell(f, "  %s version %s, put there at %s", key, last->version, when);
	}
	if (others > ENVELOPES_TOLD)
		fetch_tell(f, "  and %u that are older", others - ENVELOPES_TOLD);
}

/* The one that came to be there last, as far as the server's times tell. */
static int find_envelope(struct fetch *f)
{
	cof_autofree struct s3_item **list = NULL;
	cof_autobuf struct cof_buf b = {0};
	size_t first = 0, n = 0, all;
	int r;

	if (!f->p->envelope)
		return 0;
	while (first < f->n && f->item[first].kind < S3_ENVELOPE)
		first++;
	while (first + n < f->n && f->item[first + n].kind == S3_ENVELOPE)
		n++;
	date_envelopes(f->item + first, n);
	r = all_of(f, S3_ENVELOPE, by_age, &list, &all);
	if (r < 0)
		return r;
	for (n = all; n--;) {
		r = load(f, list[n], VAULT_ENVELOPE_MAX, &b);
		if (r == 0) {
			tell_others(f, list, all, list[n]);
			return f->p->envelope(f->p->user, b.data, b.len, f->diag);
		}
		if (!fetch_passable(r))
			return r;
		fetch_tell(f, "passed over: %s", f->diag->text);
	}
	return 0;
}

static int fetch(struct fetch *f)
{
	struct confs confs = {.n = 0};
	int r = s3_list(f->s, f->root, NULL, one, f, f->diag);

	if (r == -ENOMEM)
		cof_fail(f->diag, r, "out of memory");
	if (r == -E2BIG)
		cof_fail(f->diag, r, "there are more than %u objects with names of this archive's below %s: who rules the bucket has to remove "
			 "pieces and heads whose locks are over, and what is not of the archive", FOUND_MAX, f->root);
	if (r < 0)
		return r;
	qsort(f->item, f->n, sizeof(*f->item), s3_item_order);
	r = find_confs(f, &confs);
	if (r == 0)
		r = find_envelope(f);
	if (r == 0)
		r = make_copy(f, &confs.conf[0]);
	if (r == 0)
		r = find_head(f);
	for (unsigned i = 1; (r == -ENOENT || fetch_passable(r)) && i < confs.n; i++) {
		fetch_tell(f, "what the first archive.conf says leads to no log: %s", f->diag->text);
		vault_copy_free(f->copy);
		f->copy = NULL;
		r = make_copy(f, &confs.conf[i]);
		if (r == 0)
			r = find_head(f);
	}
	return r;
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
	free(f.turn);
	*ret = fetched;
	return r;
}
