/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host notes of a copy: STORE/vaults/NAME.objects, lines of words. Derived: what is lost
 * of it is found again by asking the bucket for each object before it is sent, and by reading the
 * log's rules from the beginning.
 *
 *   coffer-s3 1
 *   head SIZE END ROOT TIME        the newest head that is there
 *   scan SIZE END NOW LAG LATEST LONGEST   how far the log's rules were read
 *   check TIME FINDINGS
 *   h HOLD FIRST LAST              inodes under a hold
 *   n NUMBER LENGTH FIRST LAST UNTIL FOLLOW COMMIT WAIT HOLD   what a segment has to stay for
 *   o KIND PAST NUMBER OFFSET LENGTH FRAMES SHA256 ETAG LOCKED HOLD VERSION   an object
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/items.h"

#define NEEDS_MAX (1u << 20)
#define HELD_MAX (1u << 20)

int s3_copy_new(const struct s3_target *t, const struct cof_conf *conf, struct s3_copy **ret)
{
	struct s3_copy *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->target = *t;
	c->conf = *conf;
	c->latest = INT64_MIN;
	s3_root(t, conf->id, c->root);
	*ret = c;
	return 0;
}

static void empty(struct s3_copy *c)
{
	struct s3_copy fresh = {.target = c->target, .conf = c->conf, .latest = INT64_MIN};

	memcpy(fresh.root, c->root, sizeof(c->root));
	for (size_t i = 0; i < c->items; i++)
		free(c->item[i].version);
	free(c->item);
	free(c->need);
	free(c->held);
	*c = fresh;
}

void s3_copy_free(struct s3_copy *c)
{
	if (!c)
		return;
	empty(c);
	free(c);
}

static int room(void **p, size_t n, size_t *have, size_t each, size_t most)
{
	size_t want = *have ? *have * 2 : 64;
	void *grown;

	if (n < *have)
		return 0;
	if (n >= most)
		return -E2BIG;
	grown = realloc(*p, want * each);
	if (!grown)
		return -ENOMEM;
	*p = grown;
	*have = want;
	return 0;
}

int s3_copy_add(struct s3_copy *c, const struct s3_item *i, const char *version)
{
	char *kept = strdup(version);
	int r = kept ? room((void **)&c->item, c->items, &c->item_room, sizeof(*c->item), S3_ITEMS_MAX)
		     : -ENOMEM;

	if (r < 0) {
		free(kept);
		return r;
	}
	c->item[c->items] = *i;
	c->item[c->items++].version = kept;
	return 0;
}

void s3_need_clear(struct s3_need *n)
{
	*n = (struct s3_need){
	    .until = INT64_MIN, .follow = INT64_MIN, .commit = INT64_MIN, .wait = INT64_MIN};
}

struct s3_need *s3_copy_need(struct s3_copy *c, uint64_t segment)
{
	while (c->needs <= segment) {
		if (segment > UINT32_MAX || room((void **)&c->need, c->needs, &c->need_room,
						 sizeof(*c->need), NEEDS_MAX) < 0)
			return NULL;
		s3_need_clear(&c->need[c->needs++]);
	}
	return &c->need[segment];
}

void s3_copy_state(const struct s3_copy *c, struct s3_copy_state *ret)
{
	struct s3_copy_state s = {
	    .size = c->size, .time = c->time, .checked = c->checked, .findings = c->findings};

	for (size_t i = 0; i < c->items; i++) {
		const struct s3_item *o = &c->item[i];

		s.objects++;
		s.bytes += o->length;
		s.held += o->hold;
		if (o->past)
			continue;
		s.least = s.least ? COF_MIN(s.least, o->locked) : o->locked;
		s.most = COF_MAX(s.most, o->locked);
	}
	*ret = s;
}

/* ---- text ---- */

int s3_copy_text(const struct s3_copy *c, struct cof_buf *b)
{
	char hex[65];

	cof_hex(c->root_hash, COF_HASH, hex);
	cof_buf_printf(b, "coffer-s3 1\nhead %" PRIu64 " %" PRIu64 " %s %" PRId64 "\n", c->size,
		       c->end, hex, c->time);
	cof_buf_printf(
	    b, "scan %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
	    c->scanned, c->scanned_end, c->now, c->lag, c->latest, c->longest);
	cof_buf_printf(b, "check %" PRId64 " %" PRIu64 "\n", c->checked, c->findings);
	for (size_t i = 0; i < c->helds; i++)
		cof_buf_printf(b, "h %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", c->held[i].hold,
			       c->held[i].first, c->held[i].last);
	for (size_t i = 0; i < c->needs; i++) {
		const struct s3_need *n = &c->need[i];

		cof_buf_printf(b,
			       "n %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64
			       " %" PRId64 " %" PRId64 " %d\n",
			       i, n->length, n->first, n->last, n->until, n->follow, n->commit,
			       n->wait, n->hold);
	}
	for (size_t i = 0; i < c->items; i++) {
		const struct s3_item *o = &c->item[i];

		cof_hex(o->sha256, COF_HASH, hex);
		cof_buf_printf(b,
			       "o %c %d %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64
			       " %s %s %" PRId64 " %d %s\n",
			       o->kind, o->past, o->number, o->offset, o->length, o->frames, hex,
			       *o->etag ? o->etag : "-", o->locked, o->hold, o->version);
	}
	return b->failed ? -ENOMEM : 0;
}

/* Words of a line; each has to be there and be what it is. */
struct words {
	char *next;
	bool bad;
};

static const char *word(struct words *w)
{
	char *p = w->next ? strsep(&w->next, " ") : NULL;

	if (!p || !*p)
		w->bad = true;
	return p ? p : "";
}

static uint64_t u64(struct words *w)
{
	const char *p = word(w);
	char *end = NULL;
	uint64_t v;

	errno = 0;
	v = strtoull(p, &end, 10);
	if (errno || end == p || *end || *p == '-' || *p == '+')
		w->bad = true;
	return v;
}

static int64_t i64(struct words *w)
{
	const char *p = word(w);
	char *end = NULL;
	int64_t v;

	errno = 0;
	v = strtoll(p, &end, 10);
	if (errno || end == p || *end || *p == '+')
		w->bad = true;
	return v;
}

static void digest(struct words *w, uint8_t ret[COF_HASH])
{
	const char *p = word(w);

	if (strlen(p) != 64 || cof_unhex(p, 64, ret) < 0)
		w->bad = true;
}

static int take_object(struct s3_copy *c, struct words *w)
{
	struct s3_item o = {.kind = S3_CONF};
	const char *kind = word(w), *version, *etag;
	uint64_t number;

	if (strlen(kind) != 1 || !strchr("csphex", *kind))
		return -EUCLEAN;
	o.kind = (enum s3_kind) * kind;
	o.past = u64(w) == 1;
	number = u64(w);
	o.number = (uint32_t)number;
	o.offset = u64(w);
	o.length = u64(w);
	o.frames = u64(w);
	digest(w, o.sha256);
	etag = word(w);
	o.locked = i64(w);
	o.hold = u64(w) == 1;
	version = word(w);
	if (w->bad || w->next || number > UINT32_MAX || strlen(etag) >= sizeof(o.etag) ||
	    strlen(version) >= S3_VERSION_MAX)
		return -EUCLEAN;
	if (strcmp(etag, "-"))
		memcpy(o.etag, etag, strlen(etag) + 1);
	return s3_copy_add(c, &o, version);
}

static int take_need(struct s3_copy *c, struct words *w)
{
	uint64_t number = u64(w);
	struct s3_need n = {.length = u64(w)}, *to;

	n.first = u64(w);
	n.last = u64(w);
	n.until = i64(w);
	n.follow = i64(w);
	n.commit = i64(w);
	n.wait = i64(w);
	n.hold = u64(w) == 1;
	if (w->bad || w->next || number != c->needs || n.length > c->conf.segment_size)
		return -EUCLEAN;
	to = s3_copy_need(c, number);
	if (!to)
		return -ENOMEM;
	*to = n;
	return 0;
}

static int take_held(struct s3_copy *c, struct words *w)
{
	struct s3_held h = {.hold = u64(w)};
	int r = room((void **)&c->held, c->helds, &c->held_room, sizeof(*c->held), HELD_MAX);

	h.first = u64(w);
	h.last = u64(w);
	if (r == 0 && (w->bad || w->next || h.last < h.first))
		r = -EUCLEAN;
	if (r == 0)
		c->held[c->helds++] = h;
	return r;
}

static int take_line(struct s3_copy *c, char *line)
{
	struct words w = {.next = line};
	const char *what = word(&w);

	if (!strcmp(what, "o"))
		return take_object(c, &w);
	if (!strcmp(what, "n"))
		return take_need(c, &w);
	if (!strcmp(what, "h"))
		return take_held(c, &w);
	if (!strcmp(what, "head")) {
		c->size = u64(&w);
		c->end = u64(&w);
		digest(&w, c->root_hash);
		c->time = i64(&w);
	} else if (!strcmp(what, "scan")) {
		c->scanned = u64(&w);
		c->scanned_end = u64(&w);
		c->now = i64(&w);
		c->lag = i64(&w);
		c->latest = i64(&w);
		c->longest = i64(&w);
	} else if (!strcmp(what, "check")) {
		c->checked = i64(&w);
		c->findings = u64(&w);
	} else {
		return -EUCLEAN;
	}
	return w.bad || w.next ? -EUCLEAN : 0;
}

/* What others rely on: of each segment whose rules were read there is something, and of each object
 * its segment. */
static bool fits(const struct s3_copy *c)
{
	if (c->scanned && c->needs <= (c->scanned_end - 1) / c->conf.segment_size)
		return false;
	for (size_t i = 0; i < c->needs; i++)
		if (!c->need[i].length)
			return false;
	for (size_t i = 0; i < c->items; i++)
		if ((c->item[i].kind == S3_SEGMENT || c->item[i].kind == S3_PIECE) &&
		    c->item[i].number >= c->needs)
			return false;
	return c->size <= c->scanned;
}

int s3_copy_load(struct s3_copy *c, const void *text, size_t n)
{
	char *copy = memchr(text, 0, n) ? NULL : strndup(text, n), *next = copy, *line;
	int r = copy ? 0 : -EUCLEAN;

	empty(c);
	line = r == 0 ? strsep(&next, "\n") : NULL;
	if (r == 0 && (!line || strcmp(line, "coffer-s3 1")))
		r = -EUCLEAN;
	while (r == 0 && next && (line = strsep(&next, "\n")) && (*line || next))
		r = *line ? take_line(c, line) : -EUCLEAN;
	free(copy);
	if (r == 0 && !fits(c))
		r = -EUCLEAN;
	if (r < 0)
		empty(c);
	return r;
}
