/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for certificates: by serial number and fingerprint through the index's terms, by all else through all
 * items, which are looked at as bytes and taken apart only when they match.
 */
#include "fs/archive/certs.h"
#include "fs/archive/show.h"

struct finding {
	struct cof_archive *a;
	const struct cof_cert_query *q;
	cof_show_fn fn;
	void *user;
	struct cof_buf subject, issuer; /* in lower case; empty: any */
	struct cof_buf hits;		/* sequence u64, length u16, item: what is to be shown outside all locks */
	struct cof_cert c;
};

static void finding_done(struct finding *f)
{
	cof_buf_done(&f->subject);
	cof_buf_done(&f->issuer);
	cof_buf_done(&f->hits);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static void set_lower(struct cof_buf *b, const char *text)
{
	for (; text && *text; text++) {
		char c = lower(*text);

		cof_buf_add(b, &c, 1);
	}
}

/* Names are short, and few get here: the plain way. */
static bool has(const char *name, const struct cof_buf *part)
{
	if (!part->len)
		return true;
	for (; *name; name++) {
		size_t i = 0;

		while (i < part->len && lower(name[i]) == (char)part->data[i])
			i++;
		if (i == part->len)
			return true;
	}
	return false;
}

static bool same_serial(const struct cof_cert *c, const struct cof_cert_query *q)
{
	const uint8_t *one = c->serial, *other = q->serial;
	size_t n = c->serial_len, m = q->serial_len;

	while (n && !*one)
		one++, n--;
	while (m && !*other)
		other++, m--;
	return c->serial_len && n == m && !memcmp(one, other, n);
}

static bool matches(struct finding *f, const struct cof_cert *c)
{
	const struct cof_cert_query *q = f->q;

	if ((q->kinds && !(q->kinds >> c->kind & 1)) || (q->serial && !same_serial(c, q)) ||
	    (q->fingerprint && memcmp(c->fingerprint, q->fingerprint, COF_HASH) != 0))
		return false;
	if (q->ends_before != INT64_MAX || q->ends_from != INT64_MIN)
		if (c->not_after == COF_CERT_NO_TIME || c->not_after >= q->ends_before ||
		    c->not_after < q->ends_from)
			return false;
	return has(c->subject, &f->subject) && has(c->issuer, &f->issuer);
}

static int look(void *user, const struct cof_index_item *item)
{
	struct finding *f = user;
	uint8_t head[10];

	if (item->n < 8 || cof_cert_get((const uint8_t *)item->p + 8, item->n - 8, &f->c) < 0)
		return -EBADMSG;
	if (!matches(f, &f->c))
		return 0;
	cof_put_le64(head, item->sequence);
	cof_put_le16(head + 8, (uint16_t)item->n);
	cof_buf_add(&f->hits, head, sizeof(head));
	cof_buf_add(&f->hits, item->p, item->n);
	return f->hits.failed ? -ENOMEM : 0;
}

static int search(struct finding *f)
{
	const struct cof_cert_query *q = f->q;
	struct cof_index_term term = {0};
	size_t skip = 0;

	f->hits.len = 0;
	if (q->fingerprint) {
		term = (struct cof_index_term){COF_CERT_TERM_FINGERPRINT, q->fingerprint, COF_HASH};
	} else if (q->serial) {
		while (skip < q->serial_len && !q->serial[skip])
			skip++;
		term = (struct cof_index_term){COF_CERT_TERM_SERIAL, q->serial + skip, q->serial_len - skip};
	}
	return cof_ix(f->a, term.kind ? cof_index_items_with(f->a->ix, q->at, &term, look, f)
				      : cof_index_items(f->a->ix, q->at, look, f));
}

/* 1: it lies there, 0: it does not. */
static int lies_below(struct finding *f, uint64_t ino)
{
	struct cof_node n;

	while (f->q->below && ino != f->q->below) {
		int r = ino == COF_ROOT_INO ? 0 : cof_ix(f->a, cof_index_get_node(f->a->ix, f->q->at, ino, &n));

		if (r < 0 || ino == COF_ROOT_INO)
			return r == -ENOENT ? 0 : r;
		ino = n.parent;
	}
	return 1;
}

static int state_of(struct finding *f, uint64_t ino, uint8_t *ret)
{
	struct cof_attr attr;
	int r;

	if (f->q->at != COF_INDEX_NOW) {
		r = cof_node_attr_at(f->a, f->q->at, ino, &attr);
	} else {
		struct cof_obj *o;

		r = cof_obj_get(f->a, ino, &o);
		if (r == 0)
			attr.state = cof_obj_state(f->a, o);
		if (r == 0)
			cof_obj_put(f->a, o);
	}
	if (r == 0)
		*ret = attr.state;
	return r;
}

/* NULL in *ret: it is not there any more, or lies elsewhere. */
static int describe(struct finding *f, uint64_t sequence, const uint8_t *item, size_t n, struct cof_json **ret)
{
	uint64_t ino = cof_get_le64(item);
	cof_autobuf struct cof_buf path = {0};
	uint8_t state = COF_STATE_REMOVED;
	int r = state_of(f, ino, &state);

	if (r == -ENOENT || state == COF_STATE_REMOVED)
		return r == -ENOENT ? 0 : r;
	if (r == 0)
		r = lies_below(f, ino);
	if (r > 0)
		r = cof_ix(f->a, cof_show_index_path(f->a->ix, f->q->at, ino, &path)) ?: 1;
	if (r <= 0 || cof_cert_get(item + 8, n - 8, &f->c) < 0)
		return r;
	*ret = cof_json_object();
	if (!*ret)
		return -ENOMEM;
	cof_json_set_bytes(*ret, "path", path.data ? (char *)path.data : "", path.len);
	cof_json_set_uint(*ret, "ino", ino);
	cof_json_set_str(*ret, "state", cof_state_name(state));
	cof_json_set_uint(*ret, "index", sequence);
	cof_cert_json(&f->c, *ret);
	return 0;
}

static int show_hits(struct finding *f)
{
	int r = 0;

	for (size_t off = 0; r == 0 && off < f->hits.len;) {
		cof_autojson struct cof_json *o = NULL;
		const uint8_t *at = f->hits.data + off;
		size_t n = cof_get_le16(at + 8);

		COF_GATED(f->a, r, describe(f, cof_get_le64(at), at + 10, n, &o));
		if (r == 0 && o)
			r = f->fn(f->user, o);
		off += 10 + n;
	}
	return r;
}

int cof_archive_find_certs(struct cof_archive *a, const struct cof_cert_query *q, cof_show_fn fn, void *user)
{
	struct finding f COF_CLEANUP(finding_done) = {.a = a, .q = q, .fn = fn, .user = user};
	int r;

	set_lower(&f.subject, q->subject);
	set_lower(&f.issuer, q->issuer);
	if (f.subject.failed || f.issuer.failed)
		return -ENOMEM;
	COF_GATED(a, r, search(&f));
	return r < 0 ? r : show_hits(&f);
}
