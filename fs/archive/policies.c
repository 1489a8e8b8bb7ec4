/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies in force as a daemon's mount begins, by digest: with the MOUNT frame's own fields that is what the
 * mount works by. An EVENT behind it, since they are known only when the index is there.
 */
#include <stdio.h>

#include "fs/archive/note.h"

#define KEY "policies" /* of the root, in the index: the digest that was recorded last */
#define LINES_MAX 16 /* of shelves named one by one */

struct one {
	uint64_t ino;
	uint8_t digest[COF_HASH];
	char name[COF_NAME_MAX + 1];
};

struct all {
	struct cof_archive *archive;
	struct one *shelf; /* COF_SHELVES_MAX */
	size_t n;
};

/* The text as its SHELF frame has it; a shelf whose frame a crash hindered has none yet. */
static int take(void *user, uint64_t cookie COF_UNUSED, const char *name, size_t len, uint64_t ino,
		uint8_t kind COF_UNUSED)
{
	cof_autobuf struct cof_buf text = {0};
	struct all *all = user;
	struct one *s;
	int r = cof_ix(all->archive,
		       cof_index_get_value(all->archive->ix, COF_INDEX_NOW, ino, "policy", &text));

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (all->n == COF_SHELVES_MAX)
		return -E2BIG;
	s = &all->shelf[all->n++];
	s->ino = ino;
	cof_sha256(text.data, text.len, s->digest);
	snprintf(s->name, sizeof(s->name), "%.*s", (int)len, name);
	return 0;
}

static int by_ino(const void *a, const void *b)
{
	const struct one *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int digest_of(const struct all *all, uint8_t ret[COF_HASH])
{
	cof_autobuf struct cof_buf b = {0};

	for (size_t i = 0; i < all->n; i++) {
		uint8_t ino[8];

		cof_put_le64(ino, all->shelf[i].ino);
		cof_buf_add(&b, ino, sizeof(ino));
		cof_buf_add(&b, all->shelf[i].digest, COF_HASH);
	}
	if (!b.failed)
		cof_sha256(b.data ? b.data : (const uint8_t *)"", b.len, ret);
	return b.failed ? -ENOMEM : 0;
}

static void detail_of(const struct all *all, struct cof_buf *ret)
{
	char hex[2 * COF_HASH + 1];

	for (size_t i = 0; i < all->n && i < LINES_MAX; i++) {
		cof_hex(all->shelf[i].digest, COF_HASH, hex);
		cof_buf_printf(ret, "%s%s: SHA-256 %s", i ? "\n" : "", all->shelf[i].name, hex);
	}
	if (all->n > LINES_MAX)
		cof_buf_printf(ret, "\nand %zu more", all->n - LINES_MAX);
}

static bool is_known(struct cof_archive *a, const uint8_t digest[COF_HASH])
{
	cof_autobuf struct cof_buf last = {0};
	int r = cof_index_get_value(a->ix, COF_INDEX_NOW, COF_ROOT_INO, KEY, &last);

	return r == 0 && last.len == COF_HASH && memcmp(last.data, digest, COF_HASH) == 0;
}

/* unread: why they are not known. */
static int put(struct cof_archive *a, const struct all *all, int unread)
{
	cof_autobuf struct cof_buf fields = {0}, detail = {0};
	struct cof_event e = {.type = "policies"};
	uint8_t digest[COF_HASH] = {0};
	uint64_t sequence = 0;
	int r = unread ? 0 : digest_of(all, digest);

	if (r < 0 || (!unread && is_known(a, digest)))
		return r;
	if (unread) {
		cof_buf_printf(&detail, "cannot be read: %s", strerror(-unread));
	} else {
		cof_field_put(&fields, COF_T_POLICIES, digest, sizeof(digest));
		detail_of(all, &detail);
	}
	e.outcome = unread ? "failure" : NULL;
	e.severity = unread ? "warning" : NULL;
	e.detail = (const char *)detail.data;
	e.fields = fields.data;
	e.fields_len = fields.len;
	r = fields.failed || detail.failed ? -ENOMEM : cof_event_emit(a, &e, &sequence);
	/* An index that is built anew has it not, and then it is recorded once more. */
	return r < 0 || unread ? r
			       : cof_index_put_value(a->ix, sequence, COF_ROOT_INO, KEY, digest, COF_HASH);
}

int cof_policies_record(struct cof_archive *a)
{
	struct all all = {.archive = a};
	int r;

	if (!a->p.self_len)
		return 0;
	all.shelf = calloc(COF_SHELVES_MAX, sizeof(*all.shelf));
	if (!all.shelf)
		return -ENOMEM;
	r = cof_archive_readdir(a, COF_INDEX_NOW, COF_ROOT_INO, 0, take, &all);
	qsort(all.shelf, all.n, sizeof(*all.shelf), by_ino);
	r = put(a, &all, r);
	free(all.shelf);
	return r;
}
