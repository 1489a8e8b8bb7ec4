/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault has to destroy, and what it has destroyed, as lists in its copy (docs/vault-protocol.md 8):
 *
 *   destroying   SIZE ROOT REQUEST SEQUENCE INODE, a line for each DESTROY frame that this vault permitted, durable before the
 *                head of that size and root is signed; it is carried out once that head is signed, again after a crash
 *   destroyed    FIRST+COUNT, a line for each range of inodes: whatever tree R comes later is punctured by it
 */
#include <stdio.h>

#include "tools/vault/internal.h"

#define DESTROYING "destroying"
#define DESTROYED "destroyed"
#define LIST_MAX (256u << 20)

void vault_ending_done(struct vault_ending *e)
{
	free(e->at);
	*e = (struct vault_ending){.n = 0};
}

int vault_ending_add(struct vault_ending *e, const struct vault_ended *one)
{
	struct vault_ended *more = e->at;

	if ((e->n & (e->n - 1)) == 0) { /* at each power of two room for the next */
		more = realloc(more, (e->n ? 2 * e->n : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
	}
	e->at = more;
	more[e->n++] = *one;
	return 0;
}

static int take_line(const char *line, struct vault_ended *ret)
{
	char root[2 * COF_HASH + 1], request[65];
	unsigned long long size, sequence, inode;
	int used = -1;

	if (sscanf(line, "%llu %64[0-9a-f] %64[0-9a-f] %llu %llu%n", &size, root, request, &sequence, &inode, &used) != 5 || used < 0 ||
	    line[used] || strlen(root) != (size_t)2 * COF_HASH || strlen(request) != 64 || cof_unhex(root, (size_t)2 * COF_HASH, ret->root) < 0 ||
	    cof_unhex(request, 64, ret->request) < 0 || !inode)
		return -EUCLEAN;
	ret->size = size;
	ret->sequence = sequence;
	ret->inode = inode;
	return 0;
}

int vault_ending_load(struct cof_io *io, struct vault_ending *ret)
{
	cof_autofree uint8_t *text = NULL;
	char *line, *rest;
	size_t n = 0;
	int r = cof_io_load(io, DESTROYING, LIST_MAX, &text, &n);

	*ret = (struct vault_ending){.n = 0};
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (rest = (char *)text; r == 0 && (line = strsep(&rest, "\n")) && rest;) {
		struct vault_ended one = {.size = 0};

		r = take_line(line, &one);
		if (r == 0)
			r = vault_ending_add(ret, &one);
	}
	if (r < 0)
		vault_ending_done(ret);
	return r;
}

int vault_ending_save(struct cof_io *io, const struct vault_ending *e)
{
	cof_autobuf struct cof_buf b = {0};
	char root[2 * COF_HASH + 1], request[65];
	int r;

	if (!e->n) {
		r = cof_io_unlink(io, DESTROYING);
		return r == -ENOENT ? 0 : r;
	}
	for (size_t i = 0; i < e->n; i++) {
		cof_hex(e->at[i].root, COF_HASH, root);
		cof_hex(e->at[i].request, 32, request);
		cof_buf_printf(&b, "%llu %s %s %llu %llu\n", (unsigned long long)e->at[i].size, root, request,
			       (unsigned long long)e->at[i].sequence, (unsigned long long)e->at[i].inode);
	}
	return b.failed ? -ENOMEM : cof_io_replace(io, DESTROYING, b.data, b.len);
}

/* ---- ranges ---- */

static int by_first(const void *x, const void *y)
{
	const struct cof_inode_range *a = x, *b = y;

	return a->first < b->first ? -1 : a->first > b->first;
}

int vault_range_add(struct vault_ranges *r, uint64_t first, uint64_t count)
{
	struct cof_inode_range *more = realloc(r->at, (r->n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	r->at = more;
	more[r->n++] = (struct cof_inode_range){first, count};
	return 0;
}

static void merge(struct vault_ranges *r)
{
	size_t n = 0;

	if (r->n)
		qsort(r->at, r->n, sizeof(*r->at), by_first);
	for (size_t i = 0; i < r->n; i++) {
		struct cof_inode_range *last = n ? &r->at[n - 1] : NULL;

		if (last && r->at[i].first <= last->first + last->count)
			last->count = COF_MAX(last->count, r->at[i].first + r->at[i].count - last->first);
		else
			r->at[n++] = r->at[i];
	}
	r->n = n;
}

void vault_ranges_done(struct vault_ranges *r)
{
	free(r->at);
	*r = (struct vault_ranges){.n = 0};
}

bool vault_ranges_has(const struct vault_ranges *r, uint64_t inode)
{
	size_t from = 0, to = r->n;

	while (from < to) {
		size_t i = from + (to - from) / 2;

		if (inode < r->at[i].first)
			to = i;
		else if (inode - r->at[i].first < r->at[i].count)
			return true;
		else
			from = i + 1;
	}
	return false;
}

int vault_destroyed_load(struct cof_io *io, struct vault_ranges *ret)
{
	cof_autofree uint8_t *text = NULL;
	char *line, *rest;
	size_t n = 0;
	int r = cof_io_load(io, DESTROYED, LIST_MAX, &text, &n);

	*ret = (struct vault_ranges){.n = 0};
	if (r < 0)
		return r;
	for (rest = (char *)text; r == 0 && (line = strsep(&rest, "\n")) && rest;) {
		unsigned long long first, count;
		int used = -1;

		if (sscanf(line, "%llu+%llu%n", &first, &count, &used) != 2 || used < 0 || line[used] || !first || !count ||
		    first >= UINT64_C(1) << 48 || count > (UINT64_C(1) << 48) - first)
			r = -EUCLEAN;
		else
			r = vault_range_add(ret, first, count);
	}
	if (r < 0)
		vault_ranges_done(ret);
	return r;
}

int vault_destroyed_add(struct cof_io *io, const struct vault_ending *e)
{
	cof_autobuf struct cof_buf b = {0};
	struct vault_ranges all;
	int r = vault_destroyed_load(io, &all);

	if (r == -ENOENT)
		r = 0;
	for (size_t i = 0; r == 0 && i < e->n; i++)
		r = vault_range_add(&all, e->at[i].inode, 1);
	merge(&all);
	for (size_t i = 0; i < all.n; i++)
		cof_buf_printf(&b, "%llu+%llu\n", (unsigned long long)all.at[i].first, (unsigned long long)all.at[i].count);
	vault_ranges_done(&all);
	if (r == 0)
		r = b.failed ? -ENOMEM : cof_io_replace(io, DESTROYED, b.data, b.len);
	return r;
}

bool vault_destroyed_any(struct cof_io *io)
{
	return cof_io_exists(io, DESTROYED) > 0;
}
