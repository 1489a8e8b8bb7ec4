/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The action shelf-set: another policy for a shelf, one that may promise less. What compliance promised is not
 * among what can be approved away: nobody ends a retention there, so nobody makes it a governance shelf.
 */
#include "fs/archive/people.h"

#include <stdio.h>

static int policy_text(struct cof_archive *a, uint64_t shelf, struct cof_buf *ret)
{
	int r;

	ret->len = 0;
	COF_GATED(a, r, cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, shelf, "policy", ret)));
	return r;
}

static int shelf_of(const struct cof_json *doc, uint64_t *ret)
{
	return cof_request_shelf(doc, 0, ret) < 0 ? -EUCLEAN : 0;
}

/* The words KEY=VALUE over the lines of the present policy; KEY= leaves the key out. A word with a line end is a
 * whole policy. */
static void merge(const char *old, const struct cof_json *args, struct cof_buf *ret)
{
	const char *word;

	for (const char *line = old; *line;) {
		size_t len = strcspn(line, "\n"), key = strcspn(line, " =");
		bool replaced = false;

		for (size_t i = 1; (word = cof_action_word(args, i)) != NULL; i++)
			replaced |= strcspn(word, "=") == key && !memcmp(word, line, key);
		if (!replaced)
			cof_buf_printf(ret, "%.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	for (size_t i = 1; (word = cof_action_word(args, i)) != NULL; i++)
		if (strchr(word, '=') && strchr(word, '=')[1])
			cof_buf_printf(ret, "%s\n", word);
}

static int new_policy(const char *old, const struct cof_json *args, struct cof_buf *ret, struct cof_diag *diag)
{
	const char *word = cof_action_word(args, 1);
	cof_autobuf struct cof_buf text = {0};
	struct cof_policy p;
	int r;

	if (!word)
		return cof_fail(diag, -EINVAL, "what is to change? Keys of the policy as KEY=VALUE, or @FILE with all of it");
	if (strchr(word, '\n'))
		cof_buf_printf(&text, "%s", word);
	else
		merge(old, args, &text);
	if (text.failed)
		return -ENOMEM;
	r = cof_policy_parse(text.data ? (const char *)text.data : "", text.len, &p, diag);
	return r < 0 ? -EINVAL : cof_policy_text(&p, ret);
}

static int fill(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		struct cof_diag *diag)
{
	cof_autobuf struct cof_buf old = {0}, text = {0};
	struct cof_json *shelves = cof_json_array();
	const char *name = cof_action_word(args, 0);
	uint8_t digest[32];
	uint64_t ino;
	char hex[65];
	int r = name ? cof_archive_resolve(a, name, &ino) : -EINVAL;

	if (r == 0)
		r = policy_text(a, ino, &old);
	if (r == 0)
		cof_json_append(shelves, cof_json_new_uint(ino));
	cof_json_set(doc, "shelves", shelves);
	if (r < 0)
		return cof_fail(diag, r == -ENOENT ? -EINVAL : r, "%s: no shelf of this archive", name ? name : "the first word");
	r = new_policy(old.data ? (const char *)old.data : "", args, &text, diag);
	if (r < 0)
		return r;
	cof_json_set_str(doc, "policy", text.data ? (const char *)text.data : "");
	cof_sha256(old.data ? old.data : (const uint8_t *)"", old.len, digest);
	cof_hex(digest, sizeof(digest), hex);
	cof_json_set_str(doc, "before", hex);
	cof_buf_printf(sheet, "shelf %s (inode %llu)\n\nits policy now:\n%s\nits policy then:\n%s", name, (unsigned long long)ino,
		       old.data ? (const char *)old.data : "", text.data ? (const char *)text.data : "");
	return sheet->failed ? -ENOMEM : 0;
}

static int state(struct cof_archive *a, const struct cof_json *doc, uint8_t ret[32], struct cof_diag *diag)
{
	cof_autobuf struct cof_buf old = {0};
	uint64_t ino;
	int r = shelf_of(doc, &ino);

	if (r == 0)
		r = policy_text(a, ino, &old);
	if (r < 0)
		return cof_fail(diag, r, "the shelf of the request is not there");
	cof_sha256(old.data ? old.data : (const uint8_t *)"", old.len, ret);
	return 0;
}

static int check(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	const char *text = cof_json_str(doc, "policy");
	cof_autobuf struct cof_buf now = {0};
	struct cof_policy old, then;
	uint64_t ino;

	if (!text || shelf_of(doc, &ino) < 0 || cof_policy_parse(text, strlen(text), &then, diag) < 0)
		return cof_fail(diag, -EINVAL, "the request has no shelf or no policy in it");
	if (policy_text(a, ino, &now) < 0 || cof_policy_parse((const char *)now.data, now.len, &old, diag) < 0)
		return cof_fail(diag, -EIO, "the shelf's present policy cannot be read");
	if (!cof_policy_keeps_mode(&old, &then))
		return cof_fail(diag, -EPERM, "a shelf of compliance stays one, with no longer time to cool off: no approval changes that");
	return 0;
}

/* As every judge asks of the frame: another policy may have come since the approval, where it could not be carried out at once. */
static int is_before(struct cof_archive *a, uint64_t shelf, const struct cof_json *doc)
{
	const char *before = cof_json_str(doc, "before");
	cof_autobuf struct cof_buf now = {0};
	uint8_t digest[32];
	char hex[65];
	int r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, shelf, "policy", &now));

	if (r < 0)
		return r;
	cof_sha256(now.data ? now.data : (const uint8_t *)"", now.len, digest);
	cof_hex(digest, sizeof(digest), hex);
	return before && !strcmp(before, hex) ? 0 : -ECANCELED; /* -ESTALE says that the index is damaged */
}

static int apply(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	const char *text = cof_json_str(doc, "policy");
	cof_autobuf struct cof_buf now = {0};
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_SHELF_SET, .data = text, .length = text ? strlen(text) : 0};
	struct cof_obj *o;
	uint64_t ino = 0;
	int r = text ? shelf_of(doc, &ino) : -EUCLEAN;

	if (r == 0)
		r = policy_text(a, ino, &now);
	if (r == 0 && now.len == op.length && !memcmp(now.data, text, now.len))
		return 0; /* before a crash */
	op.ino = ino;
	cof_gate_enter(a);
	if (r == 0)
		r = cof_obj_get(a, ino, &o);
	if (r == 0) {
		r = is_before(a, ino, doc);
		if (r == 0)
			r = cof_shelf_frame(a, o, g->who, &op, g->request, &reply);
		cof_obj_put(a, o);
	}
	cof_gate_leave(a);
	if (r == -COF_EINDEX) /* the next mount looks at one that was repaired */
		r = -EIO;
	if (r == -ECANCELED)
		return cof_fail(diag, r, "the shelf's policy is no longer as it was when the request was made: make a new one");
	return r < 0 ? cof_fail(diag, r, "the shelf's policy could not be set: %s", strerror(-r)) : 0;
}

const struct cof_action cof_act_shelf_set = {
    .name = "shelf-set", .fill = fill, .state = state, .check = check, .apply = apply};
