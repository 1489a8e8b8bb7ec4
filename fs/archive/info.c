/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one object, for people and programs: the same for coffer, the extended attributes
 * and the control socket. And which shelves there are, with what each promises and holds.
 */
#include "fs/archive/show.h"

#define READ_AT_ONCE (256u << 10)

void cof_until_text(int64_t until, char out[32])
{
	if (until == COF_RETAIN_INFINITE)
		strcpy(out, "infinite");
	else if (until == COF_RETAIN_NONE)
		strcpy(out, "none");
	else
		cof_time_text(until, out);
}

const char *cof_state_name(uint8_t state)
{
	static const char *const names[] = {"open", "committed", "expired", "destroyed", "removed"};

	return state < COF_COUNT(names) ? names[state] : "unknown";
}

static const char *kind_name(uint8_t kind)
{
	static const char *const names[] = {"", "file", "directory", "symlink"};

	return kind < COF_COUNT(names) ? names[kind] : "";
}

/* ---- one object ---- */

/* Of an open file the last frame is known only while it is in memory: then its making bounds from below. */
static int span_of(struct cof_archive *a, struct cof_facts *f)
{
	uint64_t sequence = f->node.commit_sequence ? f->node.commit_sequence : f->last_sequence;
	int r = cof_proof_span(a, sequence ? sequence : f->node.created_sequence, &f->span);

	if (!sequence)
		f->span.to = INT64_MAX;
	return r;
}

int cof_facts_get(struct cof_archive *a, uint64_t ino, struct cof_facts *ret)
{
	struct cof_object view;
	struct cof_ruling due;
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r;
	*ret = (struct cof_facts){
	    .node = o->node,
	    .size = o->size,
	    .mtime = o->mtime,
	    .ctime = o->ctime,
	    .last_sequence = o->last_sequence,
	    .state = cof_obj_state(a, o),
	};
	/* Committed for being idle, the frame to be written yet: what it will say. */
	cof_obj_rule_view(a, o, &view);
	if (o->node.state == COF_STATE_OPEN &&
	    cof_rule_autocommit(cof_obj_policy(o), &view, cof_clock_retention(&a->clock), &due)) {
		ret->node.retain_until = due.retain_until;
		ret->node.asked_until = due.asked_until;
		view.retain_until = due.retain_until;
		view.mode_kept = due.mode;
		view.binds_from = due.binds_from;
		view.event_due = due.event != NULL;
		if (due.event)
			memcpy(view.event, due.event, strlen(due.event) + 1);
	}
	/* What is told as the end is what has to pass: also what an event or a certificate asks for. */
	if (ret->state != COF_STATE_OPEN && ret->node.retain_until != COF_RETAIN_NONE)
		ret->node.retain_until = cof_rule_end(&view);
	ret->view = view;
	cof_obj_put(a, o);
	ret->archived = INT64_MAX;
	if (ret->node.commit_sequence)
		r = cof_archived_at(a, ret->node.commit_sequence, &ret->archived);
	return r < 0 ? r : span_of(a, ret);
}

static void set_time(struct cof_json *into, const struct cof_facts *f)
{
	int64_t record = cof_facts_time(f), shown = cof_span_time(&f->span, record);

	cof_json_set_time(into, "time", shown);
	if (shown != record) /* what the host's clock said, which proofs contradict */
		cof_json_set_time(into, "clock_said", record);
	if (f->span.from != INT64_MIN)
		cof_json_set_time(into, "not_before", f->span.from);
	if (f->span.to != INT64_MAX)
		cof_json_set_time(into, "not_after", f->span.to);
}

/* What it is held by, and what may end its retention. */
static void set_binding(const struct cof_facts *f, struct cof_json *into)
{
	const struct cof_object *v = &f->view;

	cof_json_set_uint(into, "holds", v->holds);
	if (f->state == COF_STATE_OPEN)
		return;
	if (v->event_due)
		cof_json_set_str(into, "event", v->event);
	cof_json_set_str(into, "mode", v->mode_kept == COF_GOVERNANCE ? "governance" : "compliance");
	if (v->binds_from > 0)
		cof_json_set_time(into, "binds_from", v->binds_from);
}

static int fill_info(struct cof_archive *a, uint64_t ino, struct cof_json *into)
{
	cof_autobuf struct cof_buf path = {0}, shelf = {0};
	struct cof_facts f;
	const struct cof_node *n = &f.node;
	char until[32];
	int r = cof_facts_get(a, ino, &f);

	if (r == 0)
		r = cof_ix(a, cof_show_index_path(a->ix, COF_INDEX_NOW, ino, &path));
	if (r == 0 && n->shelf)
		r = cof_ix(a, cof_show_index_path(a->ix, COF_INDEX_NOW, n->shelf, &shelf));
	if (r < 0)
		return r;
	cof_json_set_uint(into, "ino", ino);
	cof_json_set_bytes(into, "path", path.data ? (char *)path.data : "", path.len);
	cof_json_set_bytes(into, "shelf", shelf.data ? (char *)shelf.data : "", shelf.len);
	cof_json_set_str(into, "kind", kind_name(n->kind));
	cof_json_set_uint(into, "mode", n->mode);
	cof_json_set_uint(into, "uid", n->uid);
	cof_json_set_uint(into, "gid", n->gid);
	cof_json_set_uint(into, "size", f.size);
	cof_json_set_time(into, "created", n->created);
	cof_json_set_time(into, "mtime", f.mtime);
	set_time(into, &f);
	cof_json_set_uint(into, "index", cof_facts_leaf(&f));
	if (n->kind != COF_KIND_FILE)
		return 0;
	cof_json_set_str(into, "state", cof_state_name(f.state));
	if (n->committed)
		cof_json_set_time(into, "committed_at", n->committed);
	if (f.archived != INT64_MAX)
		cof_json_set_time(into, "archived_at", f.archived);
	cof_until_text(f.state == COF_STATE_OPEN ? COF_RETAIN_NONE : n->retain_until, until);
	cof_json_set_str(into, "retain_until", until);
	cof_until_text(n->asked_until, until);
	cof_json_set_str(into, "asked_until", until);
	set_binding(&f, into);
	return 0;
}

int cof_archive_info(struct cof_archive *a, uint64_t ino, struct cof_json *into)
{
	int r;

	COF_GATED(a, r, fill_info(a, ino, into));
	return r;
}

/* Not inside the gate: each piece is read for itself, and what is committed does not change. */
int cof_archive_digest(struct cof_archive *a, uint64_t ino, uint8_t ret[COF_HASH])
{
	cof_autofree uint8_t *buf = NULL;
	struct cof_sha256 *h;
	struct cof_attr attr;
	uint64_t off = 0;
	size_t n = 1;
	int r = cof_archive_getattr(a, COF_INDEX_NOW, ino, &attr);

	if (r < 0)
		return r;
	if (attr.kind != COF_KIND_FILE || attr.state == COF_STATE_OPEN)
		return -ENODATA;
	buf = malloc(READ_AT_ONCE);
	if (!buf)
		return -ENOMEM;
	h = cof_sha256_new();
	r = h ? 0 : -ENOMEM;
	while (r == 0 && n) {
		r = cof_archive_read(a, COF_INDEX_NOW, ino, buf, READ_AT_ONCE, off, &n);
		if (r == 0)
			cof_sha256_update(h, buf, n);
		off += n;
	}
	if (r == 0)
		cof_sha256_final(h, ret);
	cof_sha256_free(h);
	return r;
}

/* ---- shelves ---- */

static int one_shelf(struct cof_archive *a, uint64_t ino, struct cof_json *into)
{
	cof_autobuf struct cof_buf text = {0};
	const struct cof_policy *p;
	uint64_t bytes, files;
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r;
	p = cof_obj_policy(o);
	cof_shelf_use(o->shelf, &bytes, &files);
	r = cof_policy_text(p, &text);
	cof_json_set_uint(into, "ino", ino);
	cof_json_set_str(into, "name", o->node.name);
	cof_json_set_bytes(into, "policy", text.data ? (char *)text.data : "", text.len);
	cof_json_set_uint(into, "bytes", bytes);
	cof_json_set_uint(into, "files", files);
	if (p->quota_bytes)
		cof_json_set_uint(into, "quota_bytes", p->quota_bytes);
	if (p->quota_files)
		cof_json_set_uint(into, "quota_files", p->quota_files);
	cof_json_set_time(into, "created", o->node.created);
	cof_obj_put(a, o);
	return r;
}

struct shelf_list {
	struct cof_archive *archive;
	cof_show_fn fn;
	void *user;
};

static int on_shelf(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED,
		    size_t len COF_UNUSED, uint64_t ino, uint8_t kind COF_UNUSED)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct shelf_list *l = user;
	int r;

	if (!o)
		return -ENOMEM;
	COF_GATED(l->archive, r, one_shelf(l->archive, ino, o));
	return r < 0 ? r : l->fn(l->user, o);
}

int cof_archive_shelves(struct cof_archive *a, cof_show_fn fn, void *user)
{
	struct shelf_list l = {a, fn, user};

	return cof_archive_readdir(a, COF_INDEX_NOW, COF_ROOT_INO, 0, on_shelf, &l);
}
