/* SPDX-License-Identifier: Apache-2.0 */
/* Request documents: only the one canonical text of each is taken, so that what is signed has one reading. */
#include "fs/rules/approve-private.h"

#include "crypto/crypto.h"

static int bad(struct cof_diag *diag, const char *what)
{
	return cof_fail(diag, -EUCLEAN, "the request document %s", what);
}

static int get_hex(const struct cof_json *o, const char *key, void *ret, size_t n)
{
	const char *s = cof_json_str(o, key);

	if (!s || strlen(s) != 2 * n || strspn(s, "0123456789abcdef") != 2 * n)
		return -EUCLEAN;
	return cof_unhex(s, 2 * n, ret);
}

static int get_word(const struct cof_json *o, const char *key, char *ret, size_t cap, const char *more)
{
	const char *s = cof_json_str(o, key);
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if ((s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9') && !strchr(more, s[i]))
			return -EUCLEAN;
	if (!n || n >= cap)
		return -EUCLEAN;
	memcpy(ret, s, n + 1);
	return 0;
}

static int get_time(const struct cof_json *o, const char *key, int64_t *ret)
{
	const char *s = cof_json_str(o, key);

	return s && cof_time_parse(s, ret) == 0 ? 0 : -EUCLEAN;
}

static int check_canonical(const struct cof_json *doc, const void *text, size_t n, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf again = {0};
	int r = cof_json_canonical(doc, &again);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || again.len != n || memcmp(again.data, text, n) != 0)
		return bad(diag, "is not in canonical form (one line, keys in order, no blanks, a newline behind): sign "
				 "the file as coffer wrote it");
	return 0;
}

int cof_request_range(const struct cof_json *doc, size_t i, uint64_t *ret_first, uint64_t *ret_count)
{
	const struct cof_json *all = cof_json_get(doc, "objects"), *one;
	uint64_t first, count;

	if (!all || i >= cof_json_count(all))
		return -ENOENT;
	one = cof_json_at(all, i);
	if (!one || cof_json_count(one) != 2 || cof_json_value_uint(cof_json_at(one, 0), &first) < 0 ||
	    cof_json_value_uint(cof_json_at(one, 1), &count) < 0 || !first || !count || first >= UINT64_C(1) << 48 ||
	    count > (UINT64_C(1) << 48) - first)
		return -EUCLEAN;
	*ret_first = first;
	*ret_count = count;
	return 0;
}

int cof_request_shelf(const struct cof_json *doc, size_t i, uint64_t *ret_ino)
{
	const struct cof_json *all = cof_json_get(doc, "shelves");

	if (!all || i >= cof_json_count(all))
		return -ENOENT;
	return cof_json_value_uint(cof_json_at(all, i), ret_ino) < 0 || !*ret_ino ? -EUCLEAN : 0;
}

static int check_lists(const struct cof_json *doc)
{
	const struct cof_json *objects = cof_json_get(doc, "objects"), *shelves = cof_json_get(doc, "shelves");
	uint64_t first, count, all = 0, end = 0, shelf, last = 0;
	int r;

	if ((objects && !cof_json_is_array(objects)) || (shelves && !cof_json_is_array(shelves)))
		return -EUCLEAN;
	for (size_t i = 0; (r = cof_request_range(doc, i, &first, &count)) == 0; i++) {
		if (first < end || count > COF_REQUEST_OBJECTS || (all += count) > COF_REQUEST_OBJECTS)
			return -EUCLEAN;
		end = first + count;
	}
	if (r != -ENOENT)
		return r;
	for (size_t i = 0; (r = cof_request_shelf(doc, i, &shelf)) == 0; i++) {
		if (shelf <= last)
			return -EUCLEAN;
		last = shelf;
	}
	return r == -ENOENT ? 0 : r;
}

static int read_all(struct cof_request *q, struct cof_diag *diag)
{
	const struct cof_json *head = cof_json_get(q->doc, "head");
	int64_t version, size;

	if (cof_json_has_null(q->doc))
		return bad(diag, "has a null");
	if (cof_json_int(q->doc, "version", &version) < 0 || version != 1)
		return bad(diag, "is of another version");
	if (get_word(q->doc, "action", q->action, sizeof(q->action), "-") < 0 ||
	    get_hex(q->doc, "archive", q->archive, sizeof(q->archive)) < 0 ||
	    get_hex(q->doc, "nonce", q->nonce, sizeof(q->nonce)) < 0 ||
	    get_hex(q->doc, "sheet", q->sheet, sizeof(q->sheet)) < 0)
		return bad(diag, "lacks action, archive, nonce or sheet");
	if (get_word(q->doc, "author", q->author, sizeof(q->author), "ABCDEFGHIJKLMNOPQRSTUVWXYZ._@+-") < 0)
		return bad(diag, "names no author");
	if (get_time(q->doc, "created", &q->created) < 0 || get_time(q->doc, "expires", &q->expires) < 0 ||
	    q->expires <= q->created || q->created < 0 || q->expires - q->created > COF_REQUEST_LIFE)
		return bad(diag, "lacks created and expires, not more than 90 days from each other");
	if (!head || cof_json_int(head, "size", &size) < 0 || size <= 0 ||
	    get_hex(head, "root", q->root, sizeof(q->root)) < 0)
		return bad(diag, "lacks the head of the log");
	q->head = (uint64_t)size;
	q->has_before = cof_json_get(q->doc, "before") != NULL;
	if (q->has_before && get_hex(q->doc, "before", q->before, sizeof(q->before)) < 0)
		return bad(diag, "has a `before` that is no digest");
	return check_lists(q->doc) < 0 ? bad(diag, "lists objects or shelves out of order, or more than 100,000 objects") : 0;
}

int cof_request_parse(const void *text, size_t n, struct cof_request *ret, struct cof_diag *diag)
{
	struct cof_request q = {0};
	int r;

	if (n > COF_REQUEST_MAX)
		return bad(diag, "is too long");
	if (!n || cof_json_parse(text, n, &q.doc) < 0)
		return bad(diag, "is not JSON");
	r = check_canonical(q.doc, text, n, diag);
	if (r == 0)
		r = read_all(&q, diag);
	if (r < 0) {
		cof_json_free(q.doc);
		return r;
	}
	cof_sha256(text, n, q.id);
	*ret = q;
	return 0;
}

void cof_request_done(struct cof_request *r)
{
	cof_json_free(r->doc);
	*r = (struct cof_request){0};
}
