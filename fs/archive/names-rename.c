/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming: within a shelf, onto what is empty, and once for who committed. Under the exclusive tree lock. */
#include "fs/archive/names.h"

static bool is_held(struct cof_archive *a, struct cof_obj *o)
{
	struct cof_object view;

	cof_obj_rule_view(a, o, &view);
	return view.holds != 0;
}

/* Out of a tree that is held it takes the holds along, and into one it gets them: all that it is not listed
 * under already. */
static int rename_holds(struct naming *n, const struct cof_applied *on)
{
	cof_autobuf struct cof_buf listed = {0}, all = {0}, fresh = {0};
	struct cof_archive *a = n->a;
	uint8_t id[8];
	int r = 0;

	if (!cof_holds_any(a))
		return 0;
	if (on->o->node.held)
		r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, on->o->node.ino, "holds", &listed));
	for (size_t i = 0; r == 0 && i + 8 <= listed.len; i += 8) {
		cof_put_le64(id, cof_get_le64(listed.data + i) & ~COF_HOLD_NAMED);
		cof_buf_add(&all, id, sizeof(id));
	}
	if (r == 0)
		r = cof_naming_inherit_holds(n, on->o, &all);
	if (r == 0)
		r = cof_naming_inherit_holds(n, on->new_dir, &all);
	if (r == 0 && all.len > listed.len)
		cof_buf_add(&fresh, all.data + listed.len, all.len - listed.len);
	fresh.failed |= all.failed;
	cof_naming_put_holds(n, &fresh);
	return r;
}

static int rename_view(struct naming *n, const struct cof_applied *on, struct cof_object *view)
{
	int r;

	cof_obj_rule_view(n->a, on->o, view);
	r = cof_obj_is_empty(n->a, on->o, &view->empty_dir);
	view->new_parent_is_root = n->op.new_parent == COF_ROOT_INO;
	view->target_exists = n->op.target_ino != 0;
	view->other_shelf = on->new_dir->shelf != on->o->shelf;
	if (r == 0 && on->target) {
		view->target_kind = on->target->node.kind;
		view->target_state = on->target->node.state;
		r = cof_obj_is_empty(n->a, on->target, &view->target_empty);
		view->target_held = is_held(n->a, on->target);
	}
	if (on->o->node.state == COF_STATE_COMMITTED)
		view->rename_once = cof_recent_may(n->a, n->op.ino, n->who);
	return r;
}

static int rename_found(struct naming *n, const struct cof_applied *on)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_object view;
	int r = rename_view(n, on, &view);

	if (r == 0)
		r = cof_judge(n->a, on->o, &view, &n->op, n->who, n->reply, n->rl);
	if (r == 0)
		r = rename_holds(n, on);
	if (r < 0)
		return r;
	cof_field_put_u64(&fields, COF_T_PARENT, n->op.parent);
	cof_field_put_str(&fields, COF_T_NAME, n->op.name);
	cof_field_put_u64(&fields, COF_T_NEW_PARENT, n->op.new_parent);
	cof_field_put_str(&fields, COF_T_NEW_NAME, n->op.new_name);
	r = cof_naming_put(n, COF_RENAME, n->op.ino, &fields, on);
	if (r == 0) {
		cof_recent_used(n->a, n->op.ino);
		cof_reply_fill(n->a, on->o, &n->op, n->reply);
	}
	return r;
}

/* Directories are held; what the two names stand for is fetched. */
static int rename_between(struct naming *n, struct cof_applied *on)
{
	struct cof_archive *a = n->a;
	struct cof_op *op = &n->op;
	int r = cof_naming_lookup(a, op->parent, op->name, &op->ino);

	if (r == 0)
		r = cof_naming_lookup(a, op->new_parent, op->new_name, &op->target_ino);
	else
		return r;
	if (r == -ENOENT)
		op->target_ino = r = 0;
	if (r < 0)
		return r;
	if (op->ino == op->new_parent) /* into itself */
		return -EINVAL;
	if (op->target_ino == op->parent) /* what holds the old name is not empty */
		return op->flags ? -EINVAL : -ENOTEMPTY;
	r = cof_naming_named(a, op->parent, op->name, op->ino, &on->o);
	if (r < 0)
		return r;
	if (op->ino == op->target_ino && !op->flags) { /* the same name: nothing to do */
		cof_reply_fill(a, on->o, op, n->reply);
	} else {
		if (op->target_ino && op->target_ino != op->ino)
			r = cof_naming_named(a, op->new_parent, op->new_name, op->target_ino, &on->target);
		if (r == 0)
			r = rename_found(n, on);
		cof_obj_put(a, on->target);
	}
	cof_obj_put(a, on->o);
	return r;
}

int cof_do_rename(struct naming *n)
{
	struct cof_applied on = {0};
	int r = cof_naming_check(n->op.new_name);

	if (r == 0)
		r = cof_naming_dir(n->a, n->op.parent, &on.dir);
	if (r < 0)
		return r;
	if (n->op.new_parent == n->op.parent)
		on.new_dir = on.dir;
	else
		r = cof_naming_dir(n->a, n->op.new_parent, &on.new_dir);
	if (r == 0) {
		r = rename_between(n, &on);
		if (on.new_dir != on.dir)
			cof_obj_put(n->a, on.new_dir);
	}
	cof_obj_put(n->a, on.dir);
	return r;
}
