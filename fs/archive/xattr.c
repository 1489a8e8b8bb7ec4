/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: those that the archive tells of its own (user.coffer.*), and those that people set on
 * what is open (other names under user.).
 *
 * In the index an attribute is a value of its inode under "xattr:" and its name; one byte stands before it,
 * since the index takes an empty value for a removed one. The names are one more value, each with a NUL.
 */
#include <sys/xattr.h>

#include "fs/archive/internal.h"

#define KEY_PREFIX "xattr:"
#define KEY_NAMES "xattrs"
#define VALUE_MAX 65535u /* of a field */
#define NAMES_MAX 65536u /* of all names: what listxattr can give */

struct key {
	char text[sizeof(KEY_PREFIX) + COF_NAME_MAX];
};

static int key_of(const char *name, size_t len, struct key *ret)
{
	if (!len || len > COF_NAME_MAX)
		return -ERANGE;
	memcpy(ret->text, KEY_PREFIX, sizeof(KEY_PREFIX) - 1);
	memcpy(ret->text + sizeof(KEY_PREFIX) - 1, name, len);
	ret->text[sizeof(KEY_PREFIX) - 1 + len] = 0;
	return 0;
}

static int get_value(struct cof_archive *a, uint64_t ino, const char *key, struct cof_buf *ret)
{
	ret->len = 0;
	return cof_ix(a, cof_index_get_value(a->ix, a->load_at, ino, key, ret));
}

/* ---- frames ---- */

/* The offset of a name in the list, or its length. */
static size_t find_name(const struct cof_buf *names, const char *name, size_t len)
{
	size_t at = 0;

	while (at < names->len) {
		size_t n = strnlen((const char *)names->data + at, names->len - at);

		if (n == len && !memcmp(names->data + at, name, len))
			return at;
		at += n + 1;
	}
	return names->len;
}

static int put_names(struct cof_archive *a, uint64_t sequence, uint64_t ino, const char *name,
		     size_t len, bool there)
{
	cof_autobuf struct cof_buf names = {0};
	size_t at;
	int r = get_value(a, ino, KEY_NAMES, &names);

	if (r < 0 && r != -ENOENT)
		return r;
	at = find_name(&names, name, len);
	if ((at < names.len) == there)
		return 0;
	if (there) {
		cof_buf_add(&names, name, len);
		cof_buf_add(&names, "", 1);
	} else {
		memmove(names.data + at, names.data + at + len + 1, names.len - at - len - 1);
		names.len -= len + 1;
	}
	if (names.failed)
		return -ENOMEM;
	return cof_index_put_value(a->ix, sequence, ino, KEY_NAMES, names.data, names.len);
}

int cof_xattr_apply(struct cof_archive *a, uint64_t sequence, uint64_t ino,
		    const struct cof_field *name, const struct cof_field *value)
{
	cof_autobuf struct cof_buf stored = {0};
	struct key key;
	int r;

	if (memchr(name->value, 0, name->len) ||
	    key_of((const char *)name->value, name->len, &key) < 0)
		return -EUCLEAN;
	if (value) {
		cof_buf_add(&stored, "=", 1);
		cof_buf_add(&stored, value->value, value->len);
	}
	if (stored.failed)
		return -ENOMEM;
	r = cof_index_put_value(a->ix, sequence, ino, key.text, stored.data, stored.len);
	return r < 0 ? r
		     : put_names(a, sequence, ino, (const char *)name->value, name->len,
				 value != NULL);
}

/* ---- changing ---- */

int cof_xattr_check(struct cof_archive *a, const struct cof_op *op)
{
	size_t len = strlen(op->name);
	cof_autobuf struct cof_buf now = {0}, names = {0};
	struct key key;
	int there, r = key_of(op->name, len, &key);

	if (r == 0)
		r = get_value(a, op->ino, key.text, &now);
	if (r < 0 && r != -ENOENT)
		return r;
	there = r == 0;
	if (op->kind == COF_OP_REMOVEXATTR)
		return there ? 0 : -ENODATA;
	/* In an archive of small segments a frame holds less. */
	if (op->length > VALUE_MAX || op->length + 2 * COF_NAME_MAX > cof_log_max_length(a->log))
		return -E2BIG;
	if (there)
		return op->flags & XATTR_CREATE ? -EEXIST : 0;
	if (op->flags & XATTR_REPLACE)
		return -ENODATA;
	r = get_value(a, op->ino, KEY_NAMES, &names);
	if (r < 0 && r != -ENOENT)
		return r;
	return names.len + len + 1 > NAMES_MAX ? -ENOSPC : 0;
}

void cof_xattr_fields(const struct cof_op *op, struct cof_buf *fields)
{
	cof_field_put_str(fields, COF_T_XATTR_NAME, op->name);
	if (op->kind == COF_OP_SETXATTR)
		cof_field_put(fields, COF_T_XATTR_VALUE, op->data, op->length);
}

/* ---- those of the archive's own ---- */

static void put_text(struct cof_buf *b, const char *text)
{
	cof_buf_add(b, text, strlen(text));
}

static void put_time(struct cof_buf *b, int64_t ns)
{
	char text[32];

	cof_time_text(ns, text);
	put_text(b, text);
}

static int put_state(const struct cof_facts *f, struct cof_buf *b)
{
	put_text(b, cof_state_name(f->state));
	return 0;
}

static int put_created(const struct cof_facts *f, struct cof_buf *b)
{
	put_time(b, f->node.created);
	return 0;
}

static int put_index(const struct cof_facts *f, struct cof_buf *b)
{
	cof_buf_printf(b, "%llu", (unsigned long long)cof_facts_leaf(f));
	return 0;
}

/* When it took its final form; an open file has none yet. */
static int put_committed(const struct cof_facts *f, struct cof_buf *b)
{
	if (!f->node.committed)
		return -ENODATA;
	put_time(b, f->node.committed);
	return 0;
}

/* When a vault in another place first confirmed that. */
static int put_archived(const struct cof_facts *f, struct cof_buf *b)
{
	if (f->archived == INT64_MAX)
		return -ENODATA;
	put_time(b, f->archived);
	return 0;
}

static void put_bound(struct cof_buf *b, int64_t ns)
{
	if (ns == INT64_MIN || ns == INT64_MAX)
		put_text(b, "..");
	else
		put_time(b, ns);
}

/* With what proofs bound it by: "TIME [FROM/TO]", ".." where none does. */
static int put_last_time(const struct cof_facts *f, struct cof_buf *b)
{
	put_time(b, cof_span_time(&f->span, cof_facts_time(f)));
	put_text(b, " [");
	put_bound(b, f->span.from);
	put_text(b, "/");
	put_bound(b, f->span.to);
	put_text(b, "]");
	return 0;
}

static int put_retain(const struct cof_facts *f, struct cof_buf *b)
{
	char text[32];

	cof_until_text(f->state == COF_STATE_OPEN ? COF_RETAIN_NONE : f->node.retain_until, text);
	put_text(b, text);
	return 0;
}

static int put_asked(const struct cof_facts *f, struct cof_buf *b)
{
	char text[32];

	cof_until_text(f->node.asked_until, text);
	put_text(b, text);
	return 0;
}

/* As backup programs write it: a date and a time in UTC, nothing where nothing is kept. */
static int put_immutable(const struct cof_facts *f, struct cof_buf *b)
{
	char text[32];

	if (f->state == COF_STATE_OPEN || f->node.retain_until == COF_RETAIN_NONE)
		return -ENODATA;
	cof_until_text(f->node.retain_until, text);
	if (text[0] != 'i') {
		text[10] = ' ';
		text[19] = 0;
	}
	put_text(b, text);
	return 0;
}

static int put_holds(const struct cof_facts *f, struct cof_buf *b)
{
	cof_buf_printf(b, "%u", f->view.holds);
	return 0;
}

static const struct {
	const char *name;
	int (*put)(const struct cof_facts *f, struct cof_buf *b);
} own[] = {
    {"user.coffer.state", put_state},
    {"user.coffer.created", put_created},
    {"user.coffer.index", put_index},
    {"user.coffer.committed_at", put_committed},
    {"user.coffer.archived_at", put_archived},
    {"user.coffer.time", put_last_time},
    {"user.coffer.retain_until", put_retain},
    {"user.coffer.asked_until", put_asked},
    {"user.coffer.holds", put_holds},
    {"system.coffer.retain_until", put_retain},
    {"user.immutable.until", put_immutable},
};

/* ---- telling ---- */

static int own_value(struct cof_archive *a, uint64_t ino, size_t which, struct cof_buf *ret)
{
	struct cof_facts f;
	int r = cof_facts_get(a, ino, &f);

	if (r < 0)
		return r;
	if (f.node.kind != COF_KIND_FILE)
		return -ENODATA;
	ret->len = 0;
	r = own[which].put(&f, ret);
	return r == 0 && ret->failed ? -ENOMEM : r;
}

static int put_digest(struct cof_archive *a, uint64_t ino, struct cof_buf *ret)
{
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];
	int r = cof_archive_digest(a, ino, digest);

	if (r < 0)
		return r;
	cof_hex(digest, sizeof(digest), hex);
	ret->len = 0;
	put_text(ret, hex);
	return ret->failed ? -ENOMEM : 0;
}

static int other_value(struct cof_archive *a, uint64_t ino, const char *name, struct cof_buf *ret)
{
	struct key key;
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r;
	r = key_of(name, strlen(name), &key);
	if (r == 0)
		r = get_value(a, ino, key.text, ret);
	cof_obj_put(a, o);
	if (r == -ENOENT)
		return -ENODATA;
	if (r == 0 && !ret->len)
		return cof_ix(a, -EUCLEAN);
	if (r == 0)
		memmove(ret->data, ret->data + 1, --ret->len);
	return r;
}

static int value_of(struct cof_archive *a, uint64_t ino, const char *name, struct cof_buf *ret)
{
	for (size_t i = 0; i < COF_COUNT(own); i++)
		if (!strcmp(name, own[i].name))
			return own_value(a, ino, i, ret);
	return other_value(a, ino, name, ret);
}

int cof_archive_getxattr(struct cof_archive *a, uint64_t ino, const char *name, struct cof_buf *ret)
{
	int r;

	if (!strcmp(name, "user.coffer.digest"))
		return put_digest(a, ino, ret);
	COF_GATED(a, r, value_of(a, ino, name, ret));
	return r;
}

/* The archive's own can be asked for but are not listed: tools that copy what is listed (rsync -X, cp -a)
 * would try to set or remove them on every copy, and each attempt is a refusal on record. */
static int list(struct cof_archive *a, uint64_t ino, struct cof_buf *ret)
{
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r;
	r = get_value(a, ino, KEY_NAMES, ret);
	if (r == -ENOENT)
		ret->len = r = 0;
	cof_obj_put(a, o);
	return r == 0 && ret->failed ? -ENOMEM : r;
}

int cof_archive_listxattr(struct cof_archive *a, uint64_t ino, struct cof_buf *ret)
{
	int r;

	COF_GATED(a, r, list(a, ino, ret));
	return r;
}
