/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shelves of an archive. Mounted: its daemon answers and acts. Not mounted: they are read out
 * of the log, with the key and without writing anything; who changes one opens the archive as a
 * mount would, under its lock.
 */
#include "tools/shelves.h"
#include "tools/owner.h"

#include <stdio.h>

/* ---- opening ---- */

static int get_secret(struct shelves *s, const struct opener_args *a, struct cof_diag *diag)
{
	struct opener_args chosen = *a;
	int r = opener_choose(&chosen, s->store.io, diag);

	return r < 0 ? r : opener_get(&chosen, s->store.path, false, &s->opener, diag);
}

static int open_archive(struct shelves *s, struct cof_diag *diag)
{
	const struct cof_archive_params p = {.io = s->store.io, .secret = &s->opener.secret};
	struct cof_opened opened = {.index_rebuilt = false};
	int r = cof_archive_open(&p, &s->archive, &opened, diag);

	if (r == 0 && opened.read_only)
		return cof_fail(diag, -EROFS, "the archive can only be read: %s", opened.text);
	return r;
}

static int no_entry(void *user COF_UNUSED, struct cof_json *entry COF_UNUSED)
{
	return 0;
}

static int ask(struct shelves *s, struct cof_json *request, cof_show_fn fn, struct cof_diag *diag)
{
	return store_ask(&s->store, request, fn, s, diag);
}

int shelves_open(struct shelves *s, const char *arg, const struct opener_args *a, bool changes,
		 struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	int r = store_open(arg, &s->store, diag);

	if (r < 0)
		return r;
	cof_json_set_str(request, "verb", "status");
	r = ask(s, request, no_entry, diag);
	s->direct = r == -ENOTCONN;
	if (!s->direct)
		return r;
	r = get_secret(s, a, diag);
	if (r == 0) /* tries of a passphrase are counted in the store, also where nothing changes */
		r = owner_take(s->store.path, diag);
	return r == 0 && changes ? open_archive(s, diag) : r;
}

int shelves_close(struct shelves *s, int r, struct cof_diag *diag)
{
	int closed = s->archive ? cof_archive_close(s->archive, r < 0 ? NULL : diag) : 0;

	opener_done(&s->opener);
	store_close(&s->store);
	cof_json_free(s->all);
	s->archive = NULL;
	s->all = NULL;
	return r < 0 ? r : closed;
}

/* ---- which there are ---- */

static int keep(void *user, struct cof_json *entry)
{
	struct shelves *s = user;
	const char *text = cof_json_text(entry, false);
	struct cof_json *copy = NULL;
	int r = text ? cof_json_parse(text, strlen(text), &copy) : -ENOMEM;

	if (r == 0)
		cof_json_append(s->all, copy);
	return r;
}

static struct cof_json *by_ino(const struct shelves *s, int64_t ino)
{
	int64_t have;

	for (size_t i = 0; i < cof_json_count(s->all); i++) {
		struct cof_json *shelf = cof_json_at(s->all, i);

		if (cof_json_int(shelf, "ino", &have) == 0 && have == ino)
			return shelf;
	}
	return NULL;
}

/* The last SHELF frame of each says its policy. */
static int from_frame(void *user, struct cof_json *entry)
{
	const char *type = cof_json_str(entry, "type"), *path = cof_json_str(entry, "path");
	const char *policy = cof_json_str(entry, "policy");
	struct shelves *s = user;
	struct cof_json *shelf;
	int64_t ino;

	if (!type || strcmp(type, "shelf") || !policy || cof_json_int(entry, "object", &ino) < 0)
		return 0;
	shelf = by_ino(s, ino);
	if (!shelf) {
		shelf = cof_json_object();
		cof_json_set_str(shelf, "name", path ? path : "?");
		cof_json_set_int(shelf, "ino", ino);
		cof_json_append(s->all, shelf);
	}
	cof_json_set_str(shelf, "policy", policy);
	return 0;
}

int shelves_load(struct shelves *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	uint64_t next;

	cof_json_free(s->all);
	s->all = cof_json_array();
	if (!s->all)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (s->archive)
		return cof_archive_show_log(s->archive, 0, from_frame, s, &next);
	if (s->direct)
		return cof_store_show_log(s->store.io, &s->opener.secret, 0, from_frame, s, &next,
					  diag);
	cof_json_set_str(request, "verb", "shelves");
	return ask(s, request, keep, diag);
}

struct cof_json *shelves_find(const struct shelves *s, const char *name)
{
	for (size_t i = 0; i < cof_json_count(s->all); i++) {
		struct cof_json *shelf = cof_json_at(s->all, i);
		const char *have = cof_json_str(shelf, "name");

		if (have && !strcmp(have, name))
			return shelf;
	}
	return NULL;
}

/* ---- changing ---- */

/* What the rules say of it, in the archive that was opened for this. */
static int do_directly(struct shelves *s, const struct cof_op *op, struct cof_diag *diag)
{
	const struct cof_who who = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getpid()};
	struct cof_reply reply = {.wrote = false};
	int r = cof_archive_do(s->archive, &who, op, &reply);

	if (r == -EPERM || r == -EROFS)
		return cof_fail(diag, r,
				"refused: only root changes shelves, and a policy only becomes "
				"stronger (the reason is on record: coffer log --events)");
	return r < 0 ? cof_fail(diag, r, "%s", strerror(-r)) : 0;
}

int shelves_add(struct shelves *s, const char *name, const char *policy, struct cof_diag *diag)
{
	const struct cof_op op = {.kind = COF_OP_SHELF_ADD,
				  .ino = COF_ROOT_INO,
				  .parent = COF_ROOT_INO,
				  .name = name,
				  .data = policy,
				  .length = strlen(policy)};
	cof_autojson struct cof_json *request = cof_json_object();

	if (s->archive)
		return do_directly(s, &op, diag);
	cof_json_set_str(request, "verb", "shelf-add");
	cof_json_set_str(request, "name", name);
	cof_json_set_str(request, "policy", policy);
	return ask(s, request, no_entry, diag);
}

/* Before it is asked, so that what would become weaker can be named. */
static int check_stronger(const char *now, const char *policy, struct cof_diag *diag)
{
	struct cof_policy old, new_one;
	const char *why = "";

	cof_policy_default(&old);
	if ((now && cof_policy_parse(now, strlen(now), &old, NULL) < 0) ||
	    cof_policy_parse(policy, strlen(policy), &new_one, NULL) < 0)
		return 0; /* the archive judges it itself */
	if (cof_policy_is_stronger(&old, &new_one, &why))
		return 0;
	return cof_fail(diag, -EPERM, "a policy only becomes stronger, but %s", why);
}

int shelves_set(struct shelves *s, const char *name, const char *policy, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_json *shelf = shelves_find(s, name);
	struct cof_op op = {
	    .kind = COF_OP_SHELF_SET, .data = policy, .length = strlen(policy), .name = name};
	struct cof_diag weaker = {""};
	int64_t ino = 0;
	int r;

	if (!shelf || cof_json_int(shelf, "ino", &ino) < 0)
		return cof_fail(diag, -ENOENT, "there is no shelf '%s'", name);
	/* asked all the same: the attempt belongs on record */
	(void)check_stronger(cof_json_str(shelf, "policy"), policy, &weaker);
	op.ino = (uint64_t)ino;
	if (s->archive) {
		r = do_directly(s, &op, diag);
	} else {
		cof_json_set_str(request, "verb", "shelf-set");
		cof_json_set_int(request, "ino", ino);
		cof_json_set_str(request, "policy", policy);
		r = ask(s, request, no_entry, diag);
	}
	return r < 0 && weaker.text[0] ? cof_fail(diag, r, "%s", weaker.text) : r;
}
