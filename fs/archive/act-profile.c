/* SPDX-License-Identifier: Apache-2.0 */
/* The action profile-set: another policy of the whole archive, one that may promise less. */
#include "fs/archive/people.h"

#include <stdio.h>

static int now_text(struct cof_archive *a, struct cof_buf *ret)
{
	struct cof_profile p;
	int r = cof_archive_policy(a, &p);

	return r < 0 ? r : cof_profile_text(&p, ret);
}

/* The text in force. Where no POLICY frame says one it is that of the defaults, which frames do not know. */
static int state(struct cof_archive *a, const struct cof_json *doc COF_UNUSED, uint8_t ret[32], struct cof_diag *diag)
{
	cof_autobuf struct cof_buf now = {0};
	int r = now_text(a, &now);

	if (r < 0)
		return cof_fail(diag, r, "the policy in force cannot be told: %s", strerror(-r));
	cof_sha256(now.data, now.len, ret);
	return 0;
}

static int line(void *user, const struct cof_profile_change *c)
{
	cof_buf_printf(user, "%s: was '%s', would be '%s'%s\n", c->key, c->old_value, c->new_value,
		       c->weaker ? " (less than before)" : "");
	return 0;
}

static int fill(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		struct cof_diag *diag)
{
	const char *text = cof_action_word(args, 0);
	cof_autobuf struct cof_buf canonical = {0};
	struct cof_profile_file f;
	struct cof_profile now;
	uint8_t digest[32];
	char hex[65];
	int r;

	if (!text)
		return cof_fail(diag, -EINVAL, "the profile is wanted: @FILE");
	r = cof_profile_parse(text, strlen(text), &f, diag);
	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	r = cof_archive_policy(a, &now);
	if (r == 0)
		r = cof_profile_text(&f.archive, &canonical);
	cof_buf_printf(sheet, "the policy of the archive (shelves are requests of their own):\n");
	if (r == 0)
		r = cof_profile_compare(&now, &f.archive, line, sheet);
	cof_profile_file_done(&f);
	if (r == 0)
		r = state(a, doc, digest, diag);
	if (r < 0)
		return r;
	cof_json_set_str(doc, "profile", (const char *)canonical.data);
	cof_hex(digest, sizeof(digest), hex);
	cof_json_set_str(doc, "before", hex);
	return sheet->failed ? -ENOMEM : 0;
}

static int check(struct cof_archive *a COF_UNUSED, const struct cof_json *doc, struct cof_diag *diag)
{
	const char *text = cof_json_str(doc, "profile");
	cof_autobuf struct cof_buf canonical = {0};
	struct cof_profile_file f;
	int r;

	if (!text)
		return cof_fail(diag, -EINVAL, "the request has no profile in it");
	r = cof_profile_parse(text, strlen(text), &f, diag);
	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	r = cof_profile_text(&f.archive, &canonical);
	cof_profile_file_done(&f);
	if (r == 0 && strcmp((const char *)canonical.data, text) != 0)
		r = cof_fail(diag, -EINVAL, "the request's profile is not in its canonical form");
	return r;
}

static int apply(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	const char *text = cof_json_str(doc, "profile");

	/* What is in force already is not written again. */
	return text ? cof_profile_put(a, g->who, text, g->request, diag)
		    : cof_fail(diag, -EUCLEAN, "the request has no profile in it");
}

const struct cof_action cof_act_profile_set = {
    .name = "profile-set", .fill = fill, .state = state, .check = check, .apply = apply};
