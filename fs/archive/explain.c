/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would happen: the same rules asked about the same object, without an effect and without an
 * event.
 */
#include "fs/archive/certs.h"
#include "fs/archive/destroy.h"
#include "fs/archive/escrow.h"
#include "fs/archive/show.h"

/* ---- explaining ---- */

struct asking {
	struct cof_archive *a;
	const struct cof_who *who;
	struct cof_op op; /* with what a name stands for filled in */
	struct cof_object view;
	struct cof_ruling rl;
	bool escrow; /* DESTROY: a record of escrow is about it */
};

static bool names_entry(enum cof_op_kind kind)
{
	return kind == COF_OP_UNLINK || kind == COF_OP_RMDIR || kind == COF_OP_RENAME;
}

static int look_up(struct cof_archive *a, uint64_t dir, const char *name, uint64_t *ret)
{
	size_t n = name ? strlen(name) : 0;

	if (!dir || !n)
		return -ENOENT;
	return n > COF_NAME_MAX ? -ENAMETOOLONG
				: cof_ix(a, cof_index_lookup(a->ix, COF_INDEX_NOW, dir, name, n, ret));
}

/* What stands at the new name, and in which shelf that is. */
static int fill_target(struct asking *q, const struct cof_obj *o)
{
	struct cof_op *op = &q->op;
	struct cof_obj *dir, *target;
	struct cof_object view;
	int r = cof_obj_get(q->a, op->new_parent, &dir);

	if (r < 0)
		return r;
	q->view.other_shelf = dir->shelf != o->shelf;
	q->view.new_parent_is_root = op->new_parent == COF_ROOT_INO;
	cof_obj_put(q->a, dir);
	r = look_up(q->a, op->new_parent, op->new_name, &op->target_ino);
	if (r < 0 || op->target_ino == op->ino)
		return r == -ENOENT ? 0 : r;
	r = cof_obj_get(q->a, op->target_ino, &target);
	if (r < 0)
		return r;
	q->view.target_exists = true;
	q->view.target_kind = target->node.kind;
	q->view.target_state = cof_obj_state(q->a, target);
	r = cof_obj_is_empty(q->a, target, &q->view.target_empty);
	cof_obj_rule_view(q->a, target, &view);
	q->view.target_held = view.holds != 0;
	cof_obj_put(q->a, target);
	return r;
}

/* A copy of what the rules need is taken, since two objects are held together under the tree lock only. */
/* What the commit would find in it. */
static int look_into(struct asking *q, struct cof_obj *o)
{
	cof_autocerts struct cof_certs certs = {0};
	int r = cof_certs_look(q->a, o, &certs);

	if (r == 0)
		cof_rule_least(certs.least, &q->rl);
	return r;
}

static int ask_about(struct asking *q)
{
	struct cof_archive *a = q->a;
	struct cof_obj *o;
	uint8_t by[32];
	int r = cof_obj_get(a, q->op.kind == COF_OP_CREATE || q->op.kind == COF_OP_MKNOD
				   ? q->op.parent
				   : q->op.ino,
			    &o);

	if (r < 0)
		return r;
	cof_obj_rule_view(a, o, &q->view);
	if (q->op.kind == COF_OP_DESTROY) {
		q->view.escrow = q->escrow;
		q->view.destroyed = o->node.state == COF_STATE_REMOVED && cof_destroyed_by(a, q->op.ino, by) == 0;
	}
	r = cof_obj_is_empty(a, o, &q->view.empty_dir);
	if (names_entry(q->op.kind) && !q->op.parent)
		q->op.parent = o->node.parent;
	if (q->op.kind == COF_OP_CREATE) {
		struct cof_object dir = q->view;

		q->view = (struct cof_object){.in_root = q->op.parent == COF_ROOT_INO,
					      .shelf_bytes = dir.shelf_bytes,
					      .shelf_files = dir.shelf_files};
	}
	if (q->op.kind == COF_OP_RENAME && r == 0) {
		q->view.rename_once = o->node.state == COF_STATE_COMMITTED &&
				      cof_recent_may(a, q->op.ino, q->who);
		r = fill_target(q, o);
	}
	if (q->op.kind == COF_OP_SHELF_ADD && r == 0) {
		r = look_up(a, COF_ROOT_INO, q->op.name, &q->op.target_ino);
		q->view.target_exists = r == 0;
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		(void)cof_judge(a, o, &q->view, &q->op, q->who, NULL, &q->rl);
	if (r == 0 && q->rl.effect == COF_EFFECT_COMMIT)
		r = look_into(q, o);
	q->view.state = cof_obj_state(a, o);
	cof_obj_put(a, o);
	return r;
}

static int explain(struct asking *q)
{
	int r = 0;

	/* Against a change between the names and what they stand for. */
	pthread_rwlock_wrlock(&q->a->tree);
	if (q->op.kind == COF_OP_SHELF_ADD)
		q->op.ino = q->op.parent = COF_ROOT_INO;
	else if (names_entry(q->op.kind) && !q->op.ino)
		r = look_up(q->a, q->op.parent, q->op.name, &q->op.ino);
	if (r == 0)
		r = ask_about(q);
	pthread_rwlock_unlock(&q->a->tree);
	return r;
}

static int one_record(void *user, const struct cof_escrow_record *r)
{
	struct asking *q = user;

	q->escrow |= r->object == q->op.ino;
	return q->escrow;
}

int cof_archive_explain(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
			struct cof_ruling *ret, struct cof_object *ret_view)
{
	struct asking q = {.a = a, .who = who};
	int r;

	cof_clock_look(&a->clock);
	q.op = *op;
	r = op->kind == COF_OP_DESTROY ? cof_escrow_each(a, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, one_record, &q) : 0;
	if (r == 0)
		COF_GATED(a, r, explain(&q));
	if (r < 0)
		return r;
	*ret = q.rl;
	if (ret_view)
		*ret_view = q.view;
	return 0;
}
