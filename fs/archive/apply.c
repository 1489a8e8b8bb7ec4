/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a frame means for the objects it touches and for the index. One function for frames just written and
 * for frames read back from the log, so that a rebuilt index cannot differ from one that was fed. All of it
 * is idempotent: a frame applied twice to the state before it leaves the same state.
 */
#include "fs/archive/asked.h"
#include "fs/archive/certs.h"
#include "fs/archive/destroy.h"
#include "fs/archive/escrow.h"
#include "fs/archive/people.h"

/* ---- fields ---- */

static int get_name(const struct cof_parts *p, uint8_t tag, const uint8_t **ret, uint16_t *ret_len)
{
	struct cof_field field;
	int r = cof_field_find(p->private_part, p->private_len, tag, &field);

	if (r < 0)
		return -EUCLEAN;
	if (!field.len || field.len > COF_NAME_MAX || memchr(field.value, 0, field.len) ||
	    memchr(field.value, '/', field.len))
		return -EUCLEAN;
	*ret = field.value;
	*ret_len = field.len;
	return 0;
}

static void set_name(struct cof_node *n, const uint8_t *name, uint16_t len)
{
	memcpy(n->name, name, len);
	n->name[len] = 0;
	n->name_len = len;
}

static int optional(int r) /* a field that need not be there */
{
	return r == -ENOENT ? 0 : r;
}

/* ---- rows ---- */

static int put_row(const struct cof_parts *p, struct cof_obj *o)
{
	return cof_index_put_node(p->a->ix, p->f->sequence, &o->node);
}

static void touched(const struct cof_parts *p, struct cof_obj *o)
{
	o->last_sequence = p->f->sequence;
}

/* A directory's times follow its names; a row a second is enough, or its history would grow with each name. */
static int touch_dir(const struct cof_parts *p, struct cof_obj *dir)
{
	int64_t now = p->f->record_time;

	if (!dir)
		return 0;
	dir->mtime = dir->ctime = now;
	touched(p, dir);
	if (dir->node.ino == COF_ROOT_INO)
		return 0;
	if (!dir->node.mtime_claimed && now >= dir->put_mtime && now - dir->put_mtime < COF_NSEC)
		return 0;
	dir->node.mtime = dir->node.ctime = dir->put_mtime = now;
	dir->node.mtime_claimed = false;
	return put_row(p, dir);
}

/* ---- one function for each type ---- */

static int new_node(const struct cof_parts *p, const struct cof_obj *dir, struct cof_node *n)
{
	const uint8_t *b = p->private_part, *name;
	size_t len = p->private_len;
	uint16_t name_len;
	int r;

	memset(n, 0, sizeof(*n));
	n->ino = p->f->object;
	n->state = COF_STATE_OPEN;
	n->created = n->mtime = n->ctime = p->f->record_time;
	n->created_sequence = p->f->sequence;
	n->retain_until = n->asked_until = n->binds_from = n->least_until = n->follow_from = INT64_MIN;
	if ((r = cof_field_u64(b, len, COF_T_PARENT, &n->parent)) < 0 ||
	    (r = cof_field_u8(b, len, COF_T_KIND, &n->kind)) < 0 ||
	    (r = cof_field_u32(b, len, COF_T_MODE, &n->mode)) < 0 ||
	    (r = cof_field_u32(b, len, COF_T_UID, &n->uid)) < 0 ||
	    (r = cof_field_u32(b, len, COF_T_GID, &n->gid)) < 0 ||
	    (r = get_name(p, COF_T_NAME, &name, &name_len)) < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	r = cof_field_i64(b, len, COF_T_MTIME, &n->mtime);
	n->mtime_claimed = r == 0;
	if (optional(r) < 0 || n->kind < COF_KIND_FILE || n->kind > COF_KIND_SYMLINK ||
	    n->mode > 07777 || n->ino <= COF_ROOT_INO || n->parent == n->ino ||
	    (dir && n->parent != dir->node.ino))
		return -EUCLEAN;
	set_name(n, name, name_len);
	if (n->parent == COF_ROOT_INO)
		n->shelf = n->ino;
	else if (dir)
		n->shelf = dir->node.shelf;
	return 0;
}

static int link_new(const struct cof_parts *p, struct cof_obj *o, const struct cof_node *n)
{
	int r = cof_index_link(p->a->ix, p->f->sequence, n->parent, n->name, n->name_len, n->ino,
			       n->kind);

	if (r < 0)
		return r;
	o->node = *n;
	o->size = n->size;
	o->mtime = o->put_mtime = n->mtime;
	o->ctime = n->ctime;
	o->written = INT64_MIN;
	o->loaded = 1;
	touched(p, o);
	return put_row(p, o);
}

static int apply_create(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_node n;
	struct cof_field target = {0};
	int r = new_node(p, on->dir, &n);

	if (r < 0)
		return r;
	r = cof_field_find(p->private_part, p->private_len, COF_T_TARGET, &target);
	if (optional(r) < 0 || (n.kind == COF_KIND_SYMLINK) != (r == 0))
		return -EUCLEAN;
	n.size = target.len;
	r = cof_apply_held(p, &n);
	if (r < 0)
		return r;
	if (n.kind == COF_KIND_SYMLINK)
		r = cof_index_put_value(p->a->ix, p->f->sequence, n.ino, "target", target.value,
					target.len);
	else
		r = 0;
	if (r == 0)
		r = n.shelf == n.ino ? cof_shelf_new(p->a, n.ino, &on->o->shelf)
				     : cof_shelf_get(p->a, n.shelf, &on->o->shelf);
	if (r == 0)
		r = link_new(p, on->o, &n);
	if (r == 0)
		r = touch_dir(p, on->dir);
	if (r == 0 && n.shelf != n.ino)
		cof_shelf_count(on->o->shelf, p->f->sequence, 0, 1, 0);
	return r;
}

/* Follows the CREATE frame of the shelf's directory, and comes again when the policy becomes stronger. */
static int apply_shelf(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_field policy;
	struct cof_policy parsed;
	int r = cof_field_find(p->public_part, p->public_len, COF_T_POLICY, &policy);

	if (r < 0 || !on->o->shelf || on->o->node.parent != COF_ROOT_INO)
		return -EUCLEAN;
	r = cof_policy_parse((const char *)policy.value, policy.len, &parsed, NULL);
	if (r == 0)
		r = cof_shelf_set_policy(on->o->shelf, &parsed);
	if (r < 0)
		return r;
	touched(p, on->o);
	return cof_index_put_value(p->a->ix, p->f->sequence, p->f->object, "policy", policy.value,
				   policy.len);
}

static void count_bytes(const struct cof_parts *p, struct cof_obj *o, uint64_t n)
{
	uint64_t reserved = COF_MIN(o->reserved, n);

	cof_shelf_count(o->shelf, p->f->sequence, (int64_t)n, 0, reserved);
	o->reserved -= reserved;
}

static int apply_bytes(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_obj *o = on->o;
	struct cof_stretch s = {
	    .position = p->f->position,
	    .length = p->f->length,
	    .address = p->address,
	    .sequence = p->f->sequence,
	    .hole = p->f->type == COF_HOLE,
	};
	int r;

	if (s.hole) {
		if (p->public_len != 8)
			return -EUCLEAN;
		s.length = cof_get_le64(p->public_part);
	}
	if (!s.length || s.position != o->size || s.length > INT64_MAX - s.position ||
	    o->node.kind != COF_KIND_FILE || o->node.state != COF_STATE_OPEN)
		return -EUCLEAN;
	o->size += s.length;
	o->mtime = o->ctime = p->f->record_time;
	o->written = p->f->retention_time;
	touched(p, o);
	count_bytes(p, o, s.length);
	cof_idle_note(p->a, o);
	r = cof_index_add_stretch(p->a->ix, o->node.ino, &s);
	if (r == 0 && o->node.mtime_claimed) {
		/* The claim ends with the next byte, as on any filesystem. */
		o->node.mtime_claimed = false;
		o->node.mtime = o->node.ctime = p->f->record_time;
		r = put_row(p, o);
	}
	return r;
}

/* Sets the two fields of ret; what a frame does not say was not asked for and is not kept. */
static int get_retention(const struct cof_parts *p, struct cof_node *ret)
{
	const uint8_t *b = p->public_part;
	int r;

	ret->retain_until = ret->asked_until = COF_RETAIN_NONE;
	r = optional(cof_field_i64(b, p->public_len, COF_T_RETAIN_UNTIL, &ret->retain_until));
	if (r == 0)
		r = optional(cof_field_i64(b, p->public_len, COF_T_ASKED_UNTIL, &ret->asked_until));
	return r;
}

static int apply_commit(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_obj *o = on->o;
	uint32_t mode = o->node.mode;
	struct cof_node until;
	int r = cof_field_u32(p->private_part, p->private_len, COF_T_MODE, &mode);

	if (get_retention(p, &until) < 0 || optional(r) < 0 || mode > 07777 || o->node.kind != COF_KIND_FILE ||
	    p->f->position != o->size)
		return -EUCLEAN;
	o->node.mode = mode;
	o->node.state = COF_STATE_COMMITTED;
	o->node.retain_until = until.retain_until;
	o->node.asked_until = until.asked_until;
	r = cof_apply_binding(p, &o->node);
	if (r == 0)
		r = cof_apply_certs(p, &o->node);
	if (r < 0)
		return r;
	o->node.committed = p->f->record_time;
	o->node.commit_sequence = p->f->sequence;
	o->node.size = o->size;
	o->node.mtime = o->mtime;
	o->node.ctime = o->ctime = p->f->record_time;
	touched(p, o);
	return put_row(p, o);
}

/* Only a later end counts: what a frame once promised no other takes back, but for one that carries
 * an approved request. */
static int apply_extend(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_obj *o = on->o;
	struct cof_node until;
	int r;

	if (get_retention(p, &until) < 0 || o->node.state != COF_STATE_COMMITTED)
		return -EUCLEAN;
	if (cof_is_ended(p))
		cof_apply_end(&o->node, until.retain_until);
	else if (until.retain_until > o->node.retain_until ||
		 o->node.retain_until == COF_RETAIN_NONE)
		o->node.retain_until = until.retain_until;
	r = cof_apply_event(p, &o->node);
	if (r < 0)
		return r;
	o->node.asked_until = until.asked_until;
	touched(p, o);
	return put_row(p, o);
}

static int apply_attr(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_node n = on->o->node;
	const uint8_t *b = p->private_part;
	size_t len = p->private_len;
	struct cof_field name, value;
	int r;

	r = cof_field_find(b, len, COF_T_XATTR_NAME, &name);
	if (r == 0) {
		r = cof_field_find(b, len, COF_T_XATTR_VALUE, &value);
		if (optional(r) == 0)
			r = cof_xattr_apply(p->a, p->f->sequence, n.ino, &name, r < 0 ? NULL : &value);
	}
	if (optional(r) < 0)
		return r;
	if (optional(cof_field_u32(b, len, COF_T_MODE, &n.mode)) < 0 ||
	    optional(cof_field_u32(b, len, COF_T_UID, &n.uid)) < 0 ||
	    optional(cof_field_u32(b, len, COF_T_GID, &n.gid)) < 0 || n.mode > 07777 ||
	    optional(cof_field_i64(b, len, COF_T_ASKED_UNTIL, &n.asked_until)) < 0)
		return -EUCLEAN;
	r = cof_field_i64(b, len, COF_T_MTIME, &n.mtime);
	if (optional(r) < 0)
		return -EUCLEAN;
	if (r == 0)
		n.mtime_claimed = true;
	else
		n.mtime = on->o->mtime;
	n.ctime = p->f->record_time;
	on->o->node = n;
	on->o->mtime = on->o->put_mtime = n.mtime;
	on->o->ctime = n.ctime;
	touched(p, on->o);
	return put_row(p, on->o);
}

static uint64_t file_size(const struct cof_obj *o)
{
	return o->node.kind == COF_KIND_FILE ? o->size : 0;
}

/* A name goes: the directory entry, and the inode with it, whose number is never used again. */
static int remove_node(const struct cof_parts *p, struct cof_obj *o, uint64_t parent, const void *name,
		       uint16_t len)
{
	int r = cof_index_unlink(p->a->ix, p->f->sequence, parent, name, len);

	if (r < 0)
		return r;
	if (o->node.state != COF_STATE_REMOVED && o->node.shelf != o->node.ino)
		cof_shelf_count(o->shelf, p->f->sequence, -(int64_t)file_size(o), -1, 0);
	o->node.state = COF_STATE_REMOVED;
	o->node.ctime = o->ctime = p->f->record_time;
	touched(p, o);
	return put_row(p, o);
}

static int apply_remove(const struct cof_parts *p, const struct cof_applied *on)
{
	const uint8_t *name;
	uint64_t parent;
	uint16_t len;
	int r;

	if (cof_field_u64(p->private_part, p->private_len, COF_T_PARENT, &parent) < 0 ||
	    get_name(p, COF_T_NAME, &name, &len) < 0)
		return -EUCLEAN;
	r = remove_node(p, on->o, parent, name, len);
	return r < 0 ? r : touch_dir(p, on->dir);
}

/* Of what was removed nothing else changes; else the name stays, with nothing behind it. */
static int apply_destroy(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_obj *o = on->o;
	uint8_t request[32];
	int r = cof_field_bytes(p->public_part, p->public_len, COF_T_REQUEST, request, sizeof(request));

	if (r < 0 || o->node.kind != COF_KIND_FILE || o->node.state == COF_STATE_OPEN)
		return -EUCLEAN;
	r = cof_index_put_value(p->a->ix, p->f->sequence, o->node.ino, COF_VALUE_DESTROYED, request, sizeof(request));
	if (r < 0)
		return r;
	if (o->node.state != COF_STATE_REMOVED && o->node.state != COF_STATE_DESTROYED) {
		cof_shelf_count(o->shelf, p->f->sequence, -(int64_t)file_size(o), 0, 0);
		o->node.state = COF_STATE_DESTROYED;
	}
	o->node.ctime = o->ctime = p->f->record_time;
	touched(p, o);
	return put_row(p, o);
}

/* What stood at the new name, an empty file or directory, is gone with the same frame. */
static int apply_rename(const struct cof_parts *p, const struct cof_applied *on)
{
	struct cof_index *ix = p->a->ix;
	struct cof_node *n = &on->o->node;
	const uint8_t *name, *new_name, *b = p->private_part;
	uint64_t parent, new_parent;
	uint16_t len, new_len;
	int r = 0;

	if (cof_field_u64(b, p->private_len, COF_T_PARENT, &parent) < 0 ||
	    cof_field_u64(b, p->private_len, COF_T_NEW_PARENT, &new_parent) < 0 ||
	    get_name(p, COF_T_NAME, &name, &len) < 0 ||
	    get_name(p, COF_T_NEW_NAME, &new_name, &new_len) < 0 || new_parent == n->ino)
		return -EUCLEAN;
	if (on->target)
		r = remove_node(p, on->target, new_parent, new_name, new_len);
	if (r == 0)
		r = cof_index_unlink(ix, p->f->sequence, parent, (const char *)name, len);
	if (r == 0)
		r = cof_index_link(ix, p->f->sequence, new_parent, (const char *)new_name, new_len,
				   n->ino, n->kind);
	if (r < 0)
		return r;
	r = cof_apply_held(p, n);
	if (r < 0)
		return r;
	set_name(n, new_name, new_len);
	n->parent = new_parent;
	if (on->new_dir && on->new_dir->node.shelf != n->shelf) {
		int64_t size = (int64_t)file_size(on->o);

		cof_shelf_count(on->o->shelf, p->f->sequence, -size, -1, 0);
		n->shelf = on->new_dir->node.shelf;
		on->o->shelf = on->new_dir->shelf;
		cof_shelf_count(on->o->shelf, p->f->sequence, size, 1, 0);
	}
	if (n->state == COF_STATE_OPEN)
		n->mtime = on->o->mtime;
	n->ctime = on->o->ctime = p->f->record_time;
	touched(p, on->o);
	r = put_row(p, on->o);
	if (r == 0)
		r = touch_dir(p, on->dir);
	if (r == 0 && on->new_dir != on->dir)
		r = touch_dir(p, on->new_dir);
	return r;
}

static int apply_mount(const struct cof_parts *p)
{
	struct cof_index_mount m = {.sequence = p->f->sequence, .address = p->address};

	if (cof_field_bytes(p->public_part, p->public_len, COF_T_SALT, m.salt, sizeof(m.salt)) < 0)
		return -EUCLEAN;
	return cof_index_put_mount(p->a->ix, p->f->mount, &m);
}

static int apply_stamp(const struct cof_parts *p)
{
	struct cof_proof proof;
	int r = cof_proof_read(p->f, p->address, p->public_part, p->public_len, &proof);

	return r < 0 ? r : cof_proof_apply(p->a, &proof);
}

int cof_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address,
	      const void *public_part, size_t public_len, const void *private_part,
	      size_t private_len, const struct cof_applied *on)
{
	struct cof_parts p = {.a = a,
			  .f = f,
			  .address = address,
			  .public_part = public_part,
			  .private_part = private_part,
			  .public_len = public_len,
			  .private_len = private_len};

	switch (f->type) {
	case COF_MOUNT:
		return apply_mount(&p);
	case COF_ACTOR:
		if (!f->position || f->position > UINT32_MAX)
			return -EUCLEAN;
		return cof_index_put_actor(a->ix, f->sequence, f->mount, (uint32_t)f->position,
					   address);
	case COF_CREATE:
		return apply_create(&p, on);
	case COF_SHELF: {
		int r = apply_shelf(&p, on);

		return r < 0 ? r : cof_people_apply(a, f, address, public_part, public_len);
	}
	case COF_EVENT:
		return cof_people_judged_event(public_part, public_len)
			       ? cof_people_apply(a, f, address, public_part, public_len)
			       : cof_asked_apply(a, f, address, public_part, public_len);
	case COF_PEOPLE:
	case COF_REQUEST:
	case COF_APPROVAL:
	case COF_CEREMONY:
	case COF_RECEIPT:
		return cof_people_apply(a, f, address, public_part, public_len);
	case COF_POLICY: {
		int r = cof_profile_apply(a, f, public_part, public_len);

		return r < 0 ? r : cof_people_apply(a, f, address, public_part, public_len);
	}
	case COF_APPEND:
	case COF_HOLE:
		return apply_bytes(&p, on);
	case COF_COMMIT:
		return apply_commit(&p, on);
	case COF_EXTEND:
		return apply_extend(&p, on);
	case COF_ATTR:
		return apply_attr(&p, on);
	case COF_REMOVE:
		return apply_remove(&p, on);
	case COF_DESTROY:
		return apply_destroy(&p, on);
	case COF_RENAME:
		return apply_rename(&p, on);
	case COF_STAMP:
	case COF_COSIGN:
		return apply_stamp(&p);
	case COF_HOLD:
		return cof_apply_hold(&p, on);
	case COF_ESCROW:
		return cof_escrow_apply(a, f, address, public_part, public_len);
	default:
		return 0;
	}
}
