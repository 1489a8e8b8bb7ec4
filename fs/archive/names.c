/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: making, removing, renaming. All of it under the exclusive tree lock, so that what a name stands
 * for, and whether a directory is empty, stays true from the verdict to the frame.
 */
#include <fcntl.h>
#include <limits.h>

#include "fs/archive/names.h"
#include "fs/rules/approve.h"

#define INO_END ((uint64_t)1 << 48) /* inode numbers are below it */
#define SETGID 02000u

/* ---- what is there ---- */

int cof_naming_check(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (!n || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return n > COF_NAME_MAX ? -ENAMETOOLONG : 0;
}

int cof_naming_lookup(struct cof_archive *a, uint64_t dir, const char *name, uint64_t *ret)
{
	return cof_ix(a, cof_index_lookup(a->ix, COF_INDEX_NOW, dir, name, strlen(name), ret));
}

int cof_naming_dir(struct cof_archive *a, uint64_t ino, struct cof_obj **ret)
{
	struct cof_obj *dir;
	int r = cof_obj_get(a, ino, &dir);

	if (r < 0)
		return r;
	if (dir->node.kind != COF_KIND_DIR)
		r = -ENOTDIR;
	else if (dir->node.state == COF_STATE_REMOVED)
		r = -ENOENT;
	if (r < 0)
		cof_obj_put(a, dir);
	else
		*ret = dir;
	return r;
}

/* What a name stands for. An index that names what is not there, or has another name, is wrong. */
int cof_naming_named(struct cof_archive *a, uint64_t dir, const char *name, uint64_t ino,
		     struct cof_obj **ret)
{
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r == -ENOENT ? -COF_EINDEX : r;
	if (o->node.parent != dir || strcmp(o->node.name, name) ||
	    o->node.state == COF_STATE_REMOVED) {
		cof_obj_put(a, o);
		(void)cof_ix(a, -EUCLEAN);
		return -COF_EINDEX;
	}
	*ret = o;
	return 0;
}

static int first_entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED,
		       size_t len COF_UNUSED, uint64_t ino COF_UNUSED, uint8_t kind COF_UNUSED)
{
	*(bool *)user = false;
	return 1;
}

int cof_obj_is_empty(struct cof_archive *a, const struct cof_obj *o, bool *ret)
{
	int r = 0;

	*ret = o->node.kind == COF_KIND_FILE && o->size == 0;
	if (o->node.kind == COF_KIND_DIR) {
		*ret = true;
		r = cof_ix(a, cof_index_readdir(a->ix, COF_INDEX_NOW, o->node.ino, 0, first_entry,
						ret));
	}
	return r < 0 ? r : 0;
}

/* ---- one frame ---- */

int cof_naming_put(struct naming *n, uint8_t type, uint64_t object, const struct cof_buf *fields,
	       const struct cof_applied *on)
{
	struct cof_draft d = {
	    .type = type,
	    .object = object,
	    .plain = fields->data,
	    .length = (uint32_t)fields->len,
	    .public_part = n->public_part.data,
	    .public_len = (uint32_t)n->public_part.len,
	};
	struct cof_append done = {0};
	int r = fields->failed || n->public_part.failed
		    ? -ENOMEM
		    : cof_actor_use(n->a, n->who, false, &d.actor);

	if (r == 0)
		r = cof_archive_put(n->a, &d, on, &done);
	if (r < 0)
		return r;
	cof_reply_wrote(n->reply, &done);
	if (type != COF_REMOVE)
		cof_sum_name(n->a, type == COF_RENAME, done.ret_sequence);
	return 0;
}

/* The holds of a directory go with what comes into it; without those that o has listed already (NULL: none). */
int cof_naming_inherit_holds(struct naming *n, struct cof_obj *from, struct cof_buf *ids)
{
	struct cof_hold_set *set;
	uint8_t id[8];
	int r;

	if (!cof_holds_any(n->a))
		return 0;
	set = malloc(sizeof(*set));
	r = set ? cof_holds_of(n->a, from, set) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < set->n; i++) {
		bool known = false;

		cof_put_le64(id, set->id[i]);
		for (size_t k = 0; k + 8 <= ids->len; k += 8)
			known |= !memcmp(ids->data + k, id, 8);
		if (!known)
			cof_buf_add(ids, id, sizeof(id));
	}
	free(set);
	return r;
}

void cof_naming_put_holds(struct naming *n, const struct cof_buf *ids)
{
	n->public_part.len = 0;
	n->public_part.failed |= ids->failed;
	if (ids->len)
		cof_field_put(&n->public_part, COF_T_HOLDS, ids->data, ids->len);
}

/* ---- create ---- */

/* What it is made with: the group, and the bit that hands it on, come from a directory that has the bit. */
static void inherit(const struct cof_obj *dir, struct cof_op *op)
{
	op->mode &= 07777;
	if (!(dir->node.mode & SETGID))
		return;
	op->gid = dir->node.gid;
	if (op->node_kind == COF_KIND_DIR)
		op->mode |= SETGID;
}

static void create_fields(const struct cof_op *op, struct cof_buf *b)
{
	cof_field_put_u64(b, COF_T_PARENT, op->parent);
	cof_field_put_str(b, COF_T_NAME, op->name);
	cof_field_put_u8(b, COF_T_KIND, op->node_kind);
	cof_field_put_u32(b, COF_T_MODE, op->mode);
	cof_field_put_u32(b, COF_T_UID, op->uid);
	cof_field_put_u32(b, COF_T_GID, op->gid);
	if (op->node_kind == COF_KIND_SYMLINK)
		cof_field_put_str(b, COF_T_TARGET, op->target);
}

/* The frame is accepted but the index missed it: the reply has to be right all the same. */
static void fill_created(struct cof_archive *a, struct cof_obj *o, struct cof_obj *dir, const struct cof_op *op,
			 struct cof_reply *ret)
{
	int64_t now = cof_now(CLOCK_REALTIME);

	if (o->loaded == 1) {
		cof_reply_fill(a, o, op, ret);
		return;
	}
	cof_reply_fill(a, dir, op, ret); /* durable: the directory's policy is the new one's */
	ret->attr = (struct cof_attr){
	    .ino = o->node.ino,
	    .kind = op->node_kind,
	    .size = op->node_kind == COF_KIND_SYMLINK ? strlen(op->target) : 0,
	    .mode = op->mode,
	    .uid = op->uid,
	    .gid = op->gid,
	    .nlink = 1,
	    .mtime = now,
	    .ctime = now,
	    .atime = now,
	    .created = now,
	};
}

static int create_in(struct naming *n, struct cof_obj *dir)
{
	cof_autobuf struct cof_buf fields = {0}, held = {0};
	struct cof_applied on = {.dir = dir};
	uint64_t ino = atomic_load(&n->a->next_ino);
	int r;

	if (ino >= INO_END)
		return -ENOSPC;
	r = cof_naming_inherit_holds(n, dir, &held);
	if (r < 0)
		return r;
	cof_naming_put_holds(n, &held);
	inherit(dir, &n->op);
	create_fields(&n->op, &fields);
	r = cof_obj_new(n->a, ino, &on.o);
	if (r < 0)
		return r;
	r = cof_naming_put(n, COF_CREATE, ino, &fields, &on);
	if (r == 0) {
		atomic_store(&n->a->next_ino, ino + 1);
		fill_created(n->a, on.o, dir, &n->op, n->reply);
		if (n->op.node_kind == COF_KIND_FILE && (n->op.flags & O_ACCMODE) != O_RDONLY)
			cof_writers_opened(n->a->writers, ino);
	}
	cof_obj_put(n->a, on.o);
	return r;
}

static int check_target(const struct cof_op *op)
{
	size_t len = op->target ? strlen(op->target) : 0;

	if (op->node_kind != COF_KIND_SYMLINK)
		return 0;
	return !len ? -ENOENT : len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int do_create(struct naming *n)
{
	struct cof_object view = {.in_root = n->op.parent == COF_ROOT_INO};
	struct cof_obj *dir;
	uint64_t there;
	int r = cof_naming_dir(n->a, n->op.parent, &dir);

	if (r < 0)
		return r;
	r = cof_naming_lookup(n->a, n->op.parent, n->op.name, &there);
	if (r == 0)
		r = -EEXIST;
	else if (r == -ENOENT)
		r = check_target(&n->op);
	if (r == 0) {
		cof_shelf_use(dir->shelf, &view.shelf_bytes, &view.shelf_files);
		r = cof_judge(n->a, dir, &view, &n->op, n->who, n->reply, n->rl);
	}
	if (r == 0)
		r = create_in(n, dir);
	cof_obj_put(n->a, dir);
	return r;
}

/* ---- unlink, rmdir ---- */

static int remove_from(struct naming *n, struct cof_obj *dir, struct cof_obj *o)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_applied on = {.o = o, .dir = dir};
	struct cof_object view;
	int r;

	cof_obj_rule_view(n->a, o, &view);
	r = cof_obj_is_empty(n->a, o, &view.empty_dir);
	if (r == 0)
		r = cof_judge(n->a, o, &view, &n->op, n->who, n->reply, n->rl);
	if (r < 0)
		return r;
	cof_field_put_u64(&fields, COF_T_PARENT, n->op.parent);
	cof_field_put_str(&fields, COF_T_NAME, n->op.name);
	r = cof_naming_put(n, COF_REMOVE, o->node.ino, &fields, &on);
	if (r == 0)
		cof_reply_fill(n->a, o, &n->op, n->reply);
	return r;
}

static int do_remove(struct naming *n)
{
	struct cof_obj *dir, *o;
	int r = cof_naming_dir(n->a, n->op.parent, &dir);

	if (r < 0)
		return r;
	r = cof_naming_lookup(n->a, n->op.parent, n->op.name, &n->op.ino);
	if (r == 0)
		r = cof_naming_named(n->a, n->op.parent, n->op.name, n->op.ino, &o);
	if (r == 0) {
		r = remove_from(n, dir, o);
		cof_obj_put(n->a, o);
	}
	cof_obj_put(n->a, dir);
	return r;
}

/* ---- a new shelf ---- */

static int count_entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED,
		       size_t len COF_UNUSED, uint64_t ino COF_UNUSED, uint8_t kind COF_UNUSED)
{
	return ++*(unsigned *)user >= COF_SHELVES_MAX;
}

static int room_for_shelf(struct naming *n)
{
	unsigned shelves = 0;
	int r = cof_ix(n->a, cof_index_readdir(n->a->ix, COF_INDEX_NOW, COF_ROOT_INO, 0,
					       count_entry, &shelves));

	return r < 0 ? r : shelves < COF_SHELVES_MAX ? 0 : -ENOSPC;
}

/* One whose SHELF frame was lost to a crash has a directory but no policy yet. */
static int has_policy(struct naming *n, uint64_t ino, bool *ret)
{
	cof_autobuf struct cof_buf policy = {0};
	int r = cof_ix(n->a, cof_index_get_value(n->a->ix, COF_INDEX_NOW, ino, "policy", &policy));

	*ret = r == 0;
	return r == -ENOENT ? 0 : r;
}

static int shelf_in(struct naming *n, struct cof_obj *root, uint64_t there)
{
	struct cof_op op = n->op;
	struct cof_obj *o;
	int r = there ? 0 : room_for_shelf(n);

	n->op.node_kind = COF_KIND_DIR;
	n->op.mode = COF_SHELF_MODE;
	n->op.uid = n->who->uid;
	n->op.gid = n->who->gid;
	if (r == 0 && !there) {
		r = create_in(n, root);
		there = n->reply->attr.ino;
	}
	if (r == 0)
		r = cof_naming_named(n->a, COF_ROOT_INO, op.name, there, &o);
	if (r < 0)
		return r;
	r = cof_shelf_frame(n->a, o, n->who, &op, NULL, n->reply);
	if (r == 0)
		cof_reply_fill(n->a, o, &op, n->reply);
	cof_obj_put(n->a, o);
	return r;
}

static int do_shelf_add(struct naming *n)
{
	struct cof_object view;
	struct cof_obj *root;
	uint64_t there = 0;
	int r = cof_naming_dir(n->a, COF_ROOT_INO, &root);

	if (r < 0)
		return r;
	n->op.parent = COF_ROOT_INO;
	cof_obj_rule_view(n->a, root, &view);
	r = cof_naming_lookup(n->a, COF_ROOT_INO, n->op.name, &there);
	if (r == 0)
		r = has_policy(n, there, &view.target_exists);
	else if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = cof_judge(n->a, root, &view, &n->op, n->who, n->reply, n->rl);
	if (r == 0)
		r = shelf_in(n, root, there);
	cof_obj_put(n->a, root);
	return r;
}

/* ---- what never exists here ---- */

static int do_refused(struct naming *n)
{
	struct cof_obj *o;
	int r = cof_obj_get(n->a, n->op.kind == COF_OP_LINK ? n->op.ino : n->op.parent, &o);

	if (r < 0)
		return r;
	r = cof_judge(n->a, o, NULL, &n->op, n->who, n->reply, n->rl);
	cof_obj_put(n->a, o);
	return r < 0 ? r : -EPERM;
}

int cof_do_name(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		struct cof_reply *ret, struct cof_ruling *rl)
{
	struct naming n = {.a = a, .who = who, .op = *op, .reply = ret, .rl = rl};
	int r = cof_naming_check(op->name);

	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&a->tree);
	switch (op->kind) {
	case COF_OP_CREATE:
		r = do_create(&n);
		break;
	case COF_OP_UNLINK:
	case COF_OP_RMDIR:
		r = do_remove(&n);
		break;
	case COF_OP_RENAME:
		r = cof_do_rename(&n);
		break;
	case COF_OP_SHELF_ADD:
		r = do_shelf_add(&n);
		break;
	default:
		r = do_refused(&n);
		break;
	}
	pthread_rwlock_unlock(&a->tree);
	cof_buf_done(&n.public_part);
	return r;
}

/* By approval: what has expired, wherever it lies by now. name: room for it while n is used. */
static int remove_approved(struct naming *n, const uint8_t request[32], char name[COF_NAME_MAX + 1])
{
	struct cof_obj *dir, *o;
	struct cof_attr attr;
	int r = cof_obj_get(n->a, n->op.ino, &o);

	if (r < 0)
		return r;
	cof_obj_attr(n->a, o, &attr);
	memcpy(name, o->node.name, COF_NAME_MAX + 1);
	n->op.parent = o->node.parent;
	n->op.name = name;
	cof_obj_put(n->a, o);
	if (attr.state == COF_STATE_REMOVED)
		return -ENOENT;
	r = cof_naming_dir(n->a, n->op.parent, &dir);
	if (r < 0)
		return r;
	cof_field_put(&n->public_part, COF_T_REQUEST, request, 32);
	r = cof_naming_named(n->a, n->op.parent, name, n->op.ino, &o);
	if (r == 0) {
		r = remove_from(n, dir, o);
		cof_obj_put(n->a, o);
	}
	cof_obj_put(n->a, dir);
	return r;
}

int cof_name_remove(struct cof_archive *a, const struct cof_who *who, uint64_t ino,
		    const uint8_t request[32], struct cof_reply *ret, struct cof_ruling *rl,
		    uint64_t *ret_parent, char ret_name[COF_NAME_MAX + 1])
{
	struct naming n = {.a = a, .who = who, .reply = ret, .rl = rl};
	struct cof_obj *o;
	int r;

	n.op = (struct cof_op){COF_OP_REMOVE, .ino = ino, .approved = true};
	pthread_rwlock_wrlock(&a->tree);
	r = cof_obj_get(a, ino, &o);
	if (r == 0) {
		*ret_parent = o->node.parent;
		memcpy(ret_name, o->node.name, COF_NAME_MAX + 1);
		cof_obj_put(a, o);
		r = remove_approved(&n, request, ret_name);
	}
	pthread_rwlock_unlock(&a->tree);
	cof_buf_done(&n.public_part);
	return r;
}
