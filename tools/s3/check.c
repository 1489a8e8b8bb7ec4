/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the bucket, against what the host noted when it put it there: every version is listed,
 * what counts is asked for its lock, and bytes are read back and compared with the log's. Object
 * Lock is no stronger than its server's root: what is gone shows here, and only here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/s3/items.h"

#define SAMPLES 16u
#define SAMPLE 65536u
#define TOLD_MAX 1000u /* sentences; what is more is counted */

struct check {
	struct s3 *s;
	struct s3_copy *c;
	const struct s3_checking *p;
	struct s3_checked *ret;
	size_t *order; /* items by version */
	bool *seen, *bad;
	struct cof_diag *diag;
};

static void tell(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct check *k, const char *fmt, ...)
{
	char text[S3_FOUND_MAX + 400];
	va_list ap;

	if (++k->ret->findings > TOLD_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->p->finding(k->p->user, text);
}

/* ---- the list ---- */

static int by_version(const void *a, const void *b, void *user)
{
	const struct s3_copy *c = user;

	return strcmp(c->item[*(const size_t *)a].version, c->item[*(const size_t *)b].version);
}

static size_t find(const struct check *k, const char *version)
{
	size_t low = 0, high = k->c->items;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(k->c->item[k->order[mid]].version, version) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < k->c->items && !strcmp(k->c->item[k->order[low]].version, version)
		   ? k->order[low]
		   : SIZE_MAX;
}

static bool same_etag(const char *listed, const char *noted)
{
	size_t n = strlen(listed);

	if (!*noted)
		return true;
	if (n >= 2 && listed[0] == '"' && listed[n - 1] == '"')
		return strlen(noted) == n - 2 && !strncmp(listed + 1, noted, n - 2);
	return !strcmp(listed, noted);
}

static int one(void *user, const struct s3_listed *v)
{
	struct check *k = user;
	size_t root = strlen(k->c->root), i = find(k, v->version);
	struct s3_item named;
	char key[S3_KEY_MAX + 1] = "";

	if (strncmp(v->key, k->c->root, root))
		return 0;
	k->ret->objects++;
	if (i != SIZE_MAX)
		s3_item_key(k->c->root, &k->c->item[i], key);
	if (i != SIZE_MAX && !v->marker && !strcmp(key, v->key)) {
		k->seen[i] = true;
		if (v->size != k->c->item[i].length || !same_etag(v->etag, k->c->item[i].etag)) {
			k->bad[i] = true;
			tell(k,
			     "%s is not what was put there: %" PRIu64 " bytes of %" PRIu64
			     ", ETag %.60s",
			     v->key, v->size, k->c->item[i].length, v->etag);
		}
		return 0;
	}
	if (v->marker) {
		k->ret->markers++;
		tell(k,
		     "a delete marker lies over %s: who asks for it is told that it is not there. "
		     "Somebody with rights to delete put it "
		     "there; what is under it stays, and coffer restore finds it",
		     v->key);
	} else if (s3_item_parse(v->key + root, &named) < 0 || named.kind != S3_PROBE) {
		k->ret->foreign++;
		tell(k,
		     "version %.60s of %s is not noted here: another host or somebody else put it "
		     "there, or the note of it was lost",
		     v->version, v->key);
	}
	return 0;
}

/* What nothing needs any more may be removed once its lock is over: by a rule of the bucket (docs/s3.md 1). */
static bool may_go(const struct s3_item *i, int64_t now)
{
	return i->past && (i->kind == S3_PIECE || i->kind == S3_HEAD) && !i->hold && i->locked <= now;
}

/* Gone is what was noted and is not listed. It is not noted any more then, so that the next push
 * puts it there. */
static void look_for_gone(struct check *k)
{
	int64_t now = cof_now(CLOCK_REALTIME);
	size_t n = 0;

	for (size_t i = 0; i < k->c->items; i++) {
		struct s3_item *o = &k->c->item[i];
		char key[S3_KEY_MAX + 1], until[32];

		if (k->seen[i] && !k->bad[i]) {
			k->c->item[n++] = *o;
			continue;
		}
		s3_item_key(k->c->root, o, key);
		cof_time_text(o->locked, until);
		if (!k->seen[i] && !may_go(o, now)) {
			k->ret->gone++;
			tell(k,
			     "%s is gone, though it was locked until %s%s: only who rules the "
			     "server itself can do that. The next sync puts "
			     "it there again",
			     key, until, o->hold ? " and under a legal hold" : "");
		}
		free(o->version);
	}
	k->c->items = n;
}

/* ---- locks ---- */

static int look_at_lock(struct check *k, struct s3_item *i)
{
	char key[S3_KEY_MAX + 1], until[32];
	struct s3_object o;
	int r;

	s3_item_key(k->c->root, i, key);
	r = s3_head(k->s, key, i->version, &o, NULL, k->diag);
	if (r == -ENOENT) {
		tell(k, "%s is listed and cannot be read", key);
		return 0;
	}
	if (r < 0)
		return r;
	cof_time_text(i->locked, until);
	if (o.lock.until < i->locked || o.lock.governance) {
		k->ret->unlocked++;
		tell(k, "the lock of %s until %s is %s: the next sync says it again", key, until,
		     o.lock.governance ? "one that can be lifted"
		     : o.lock.until    ? "shorter"
				       : "gone");
		i->locked = 0;
	}
	if (i->hold && !o.lock.hold) {
		k->ret->unlocked++;
		tell(k, "the legal hold of %s is lifted: the next sync says it again", key);
		i->hold = false;
	}
	return 0;
}

static int look_at_locks(struct check *k)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < k->c->items; i++) {
		if (k->p->progress)
			k->p->progress(k->p->user, i, k->c->items);
		if (!k->c->item[i].past)
			r = look_at_lock(k, &k->c->item[i]);
	}
	return r;
}

/* ---- bytes ---- */

struct comparing {
	struct cof_file *file;
	uint64_t at;
	bool differs;
	uint8_t *buf;
};

static int compare(void *user, const void *p, size_t n)
{
	struct comparing *m = user;
	const uint8_t *q = p;

	while (n) {
		size_t k = COF_MIN(n, (size_t)SAMPLE), got = 0;
		int r = cof_io_read(m->file, m->buf, k, m->at, &got);

		if (r < 0)
			return r;
		if (got < k || memcmp(m->buf, q, k)) {
			m->differs = true;
			return -ECANCELED;
		}
		q += k;
		n -= k;
		m->at += k;
	}
	return 0;
}

static int hash_some(void *user, const void *p, size_t n)
{
	cof_sha256_update(user, p, n);
	return 0;
}

/*
 * Where the log has other bytes: is the object what was put there? Then the log changed, by a destruction, of which the zeros
 * never reach a locked object, or by whoever verify tells of; neither is the bucket's.
 */
static int is_as_put(struct check *k, const struct s3_item *i, const char *key, bool *ret)
{
	struct cof_sha256 *h = cof_sha256_new();
	uint8_t digest[COF_HASH];
	int r;

	if (!h)
		return cof_fail(k->diag, -ENOMEM, "out of memory");
	r = s3_get(k->s, key, i->version, 0, i->length, hash_some, h, k->diag);
	cof_sha256_final(h, digest);
	cof_sha256_free(h);
	*ret = r == 0 && cof_equal(digest, i->sha256, COF_HASH);
	return r == -ENOENT ? 0 : r;
}

static int read_back(struct check *k, const struct s3_item *i, uint64_t from, uint64_t n)
{
	char key[S3_KEY_MAX + 1], path[32];
	cof_autofile struct cof_file *file = NULL;
	cof_autofree uint8_t *buf = malloc(SAMPLE);
	struct comparing m = {.at = i->offset + from, .buf = buf};
	int r;

	snprintf(path, sizeof(path), "log/%08x.seg", i->number);
	r = buf ? cof_io_open(k->p->io, path, COF_IO_RDONLY, &file) : -ENOMEM;
	if (r < 0)
		return cof_fail(k->diag, r, "%s/%s cannot be read: %s", cof_io_where(k->p->io),
				path, strerror(-r));
	m.file = file;
	s3_item_key(k->c->root, i, key);
	r = s3_get(k->s, key, i->version, from, n, compare, &m, k->diag);
	if (m.differs) {
		bool same = false;

		r = is_as_put(k, i, key, &same);
		k->ret->read += r == 0 && same ? n : 0;
		if (r < 0 || same)
			return r;
		r = -ENOENT;
	}
	if (r == -ENOENT) {
		tell(k, "%s has other bytes than the log, from %" PRIu64 " on", key,
		     m.at - i->offset);
		return 0;
	}
	k->ret->read += r == 0 ? n : 0;
	return r;
}

static bool of_log(const struct s3_item *i)
{
	return i->length && !i->past && (i->kind == S3_SEGMENT || i->kind == S3_PIECE);
}

static int read_all(struct check *k)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < k->c->items; i++) {
		if (k->p->progress)
			k->p->progress(k->p->user, i, k->c->items);
		if (of_log(&k->c->item[i]))
			r = read_back(k, &k->c->item[i], 0, k->c->item[i].length);
	}
	return r;
}

/* Of the bytes of the log that are there, each as likely as any other. */
static const struct s3_item *item_at(const struct check *k, uint64_t *at)
{
	for (size_t i = 0; i < k->c->items; i++) {
		const struct s3_item *o = &k->c->item[i];

		if (!of_log(o))
			continue;
		if (*at < o->length)
			return o;
		*at -= o->length;
	}
	return NULL;
}

static int read_some(struct check *k)
{
	uint64_t all = 0;
	int r = 0;

	for (size_t i = 0; i < k->c->items; i++)
		all += of_log(&k->c->item[i]) ? k->c->item[i].length : 0;
	for (unsigned n = 0; r == 0 && n < SAMPLES && all; n++) {
		const struct s3_item *i;
		uint64_t at;

		cof_random(&at, sizeof(at));
		at %= all;
		i = item_at(k, &at);
		if (i)
			r = read_back(k, i, at, COF_MIN((uint64_t)SAMPLE, i->length - at));
	}
	return r;
}

/* ---- all of it ---- */

static int check(struct check *k)
{
	int r;

	for (size_t i = 0; i < k->c->items; i++)
		k->order[i] = i;
	qsort_r(k->order, k->c->items, sizeof(*k->order), by_version, k->c);
	r = s3_list(k->s, k->c->root, NULL, one, k, k->diag);
	if (r < 0)
		return r;
	look_for_gone(k);
	r = look_at_locks(k);
	if (r == 0)
		r = k->p->all ? read_all(k) : read_some(k);
	if (r == 0 && k->ret->findings > TOLD_MAX) {
		char more[64];

		snprintf(more, sizeof(more), "and %" PRIu64 " more", k->ret->findings - TOLD_MAX);
		k->p->finding(k->p->user, more);
	}
	if (r == 0) {
		k->c->checked = cof_now(CLOCK_REALTIME);
		k->c->findings = k->ret->findings;
	}
	return r;
}

int s3_check(struct s3 *s, struct s3_copy *c, const struct s3_checking *p, struct s3_checked *ret,
	     struct cof_diag *diag)
{
	struct s3_checked checked = {.objects = 0};
	struct check k = {.s = s, .c = c, .p = p, .ret = &checked, .diag = diag};
	int r = -ENOMEM;

	k.order = calloc(c->items + 1, sizeof(*k.order));
	k.seen = calloc(c->items + 1, 1);
	k.bad = calloc(c->items + 1, 1);
	r = k.order && k.seen && k.bad ? check(&k) : cof_fail(diag, r, "out of memory");
	free(k.order);
	free(k.seen);
	free(k.bad);
	*ret = checked;
	return r;
}
