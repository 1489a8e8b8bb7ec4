/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/policy-rows.h"

#include "fs/rules/profile.h"

/* The value of a key in a policy's text, a line each: its length, or 0. */
static size_t value_of(const char *text, const char *key, size_t key_len, const char **ret)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		if (!strncmp(text, key, key_len) && !strncmp(text + key_len, " = ", 3)) {
			*ret = text + key_len + 3;
			return strcspn(*ret, "\n");
		}
	}
	*ret = "";
	return 0;
}

struct comparing {
	policy_row_fn *row;
	void *user;
	const char *why; /* how it is weaker, beginning with the key, or "" */
	bool told;	 /* of that key */
	bool changed;
};

/* A row for each key of `text` that differs; missing: only those that `other` does not have. */
static int rows_of(struct comparing *c, const char *text, const char *other, bool missing)
{
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		size_t n = strcspn(at, " \n"), here_len, there_len;
		const char *here, *there;
		cof_autofree char *key = strndup(at, n), *a = NULL, *b = NULL;
		bool weaker;

		here_len = value_of(text, at, n, &here);
		there_len = value_of(other, at, n, &there);
		if (!here_len || (missing ? there_len != 0 : here_len == there_len && !memcmp(here, there, here_len)))
			continue;
		a = strndup(there, there_len);
		b = strndup(here, here_len);
		if (!key || !a || !b)
			return -ENOMEM;
		weaker = !strncmp(c->why, key, n) && (c->why[n] == ' ' || !c->why[n]);
		c->told |= weaker;
		c->changed = true;
		c->row(c->user, key, missing ? b : a, missing ? a : b, weaker);
	}
	return 0;
}

static int both_ways(struct comparing *c, const char *old, const char *then)
{
	int r = rows_of(c, then, old, false);

	return r == 0 ? rows_of(c, old, then, true) : r;
}

int policy_rows_shelf(const char *old, const char *then, policy_row_fn *row, void *user, bool *ret_changed, bool *ret_weaker)
{
	struct comparing c = {.row = row, .user = user, .why = ""};
	cof_autobuf struct cof_buf before = {0}, after = {0};
	struct cof_policy was, is;
	const char *why = "";
	int r = cof_policy_parse(old, strlen(old), &was, NULL);

	if (r == 0)
		r = cof_policy_parse(then, strlen(then), &is, NULL);
	if (r == 0)
		r = cof_policy_text(&was, &before);
	if (r == 0)
		r = cof_policy_text(&is, &after);
	if (r == -ENOMEM)
		return r;
	*ret_weaker = r == 0 && !cof_policy_is_stronger(&was, &is, &why);
	c.why = *ret_weaker ? why : "";
	r = r < 0 ? both_ways(&c, old, then)
		  : both_ways(&c, before.data ? (const char *)before.data : "", after.data ? (const char *)after.data : "");
	if (r == 0 && *ret_weaker && !c.told)
		row(user, why, "", "", true);
	*ret_changed = c.changed || *ret_weaker;
	return r;
}

static int one_change(void *user, const struct cof_profile_change *change)
{
	const struct comparing *c = user;

	c->row(c->user, change->key, change->old_value, change->new_value, change->weaker);
	return 0;
}

int policy_rows_archive(const char *old, const char *then, policy_row_fn *row, void *user)
{
	struct comparing c = {.row = row, .user = user, .why = ""};
	struct cof_profile_file was = {.shelves = NULL}, is = {.shelves = NULL};
	int r = old ? cof_profile_parse(old, strlen(old), &was, NULL) : 0;

	if (!old)
		cof_profile_default(&was.archive);
	if (r == 0)
		r = cof_profile_parse(then, strlen(then), &is, NULL);
	if (r == 0)
		r = cof_profile_compare(&was.archive, &is.archive, one_change, &c);
	else if (r != -ENOMEM)
		r = both_ways(&c, old ? old : "", then);
	cof_profile_file_done(&was);
	cof_profile_file_done(&is);
	return r;
}
