/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy from a file and from options that say single keys. */
#include "tools/shelf-policy.h"

#include <fcntl.h>
#include <stdio.h>

#define POLICY_MAX 65536

const char *const policy_keys[KEY_COUNT] = {
    [KEY_RETENTION] = "retention",
    [KEY_RETENTION_MIN] = "retention_min",
    [KEY_RETENTION_MAX] = "retention_max",
    [KEY_STRICT] = "strict",
    [KEY_AUTOCOMMIT] = "autocommit",
    [KEY_DURABILITY] = "durability",
    [KEY_REFUSE] = "refuse",
    [KEY_QUOTA] = "quota",
    [KEY_QUOTA_FILES] = "quota_files",
    [KEY_STAGING] = "staging",
    [KEY_RECORD_KIND] = "record_kind",
    [KEY_MODE] = "mode",
    [KEY_COOLING_OFF] = "cooling_off",
    [KEY_RETAIN_EVENT] = "retain_event",
    [KEY_RETAIN_FOLLOWS] = "retain_follows",
    [KEY_CERTIFICATES] = "certificates",
    [KEY_RETAIN_MARGIN] = "retain_margin",
    [KEY_READ_EVENTS] = "read_events",
    [KEY_SILENCE] = "silence",
    [KEY_LEAK_GUARD] = "leak_guard",
    [KEY_APPROVE_HOLD_END] = "approve_hold_end",
    [KEY_APPROVE_REMOVE] = "approve_remove",
    [KEY_APPROVE_RETENTION_END] = "approve_retention_end",
    [KEY_APPROVE_POLICY] = "approve_policy",
    [KEY_APPROVE_ESCROW] = "approve_escrow",
    [KEY_REMOVE] = "remove",
    [KEY_RELEASE_DELAY] = "release_delay",
};

int policy_load(const char *file, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	cof_autofree char *text = malloc(POLICY_MAX);
	size_t n = 0;
	int r;

	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the policy %s: %s", file,
				strerror(errno));
	r = text ? cof_read_all(fd, text, POLICY_MAX, &n) : -ENOMEM;
	if (r < 0)
		return cof_fail(diag, r, "cannot read the policy %s: %s", file, strerror(-r));
	cof_buf_add(ret, text, n);
	return ret->failed ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
}

/* Whether this line of canonical text says a key that an option says too. */
static bool replaced(const struct policy_args *a, const char *line)
{
	size_t n = strcspn(line, " =\n");

	for (int k = 0; k < KEY_COUNT; k++) {
		if (a->value[k] && strlen(policy_keys[k]) == n && !memcmp(policy_keys[k], line, n))
			return true;
	}
	return false;
}

static int start(const struct policy_args *a, const char *base, struct cof_policy *ret,
		 struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_diag why = {""};
	int r = 0;

	cof_policy_default(ret);
	if (a->file) {
		r = policy_load(a->file, &text, diag);
		if (r < 0)
			return r;
		r = cof_policy_parse((const char *)text.data, text.len, ret, &why);
	} else if (base) {
		r = cof_policy_parse(base, strlen(base), ret, &why);
	}
	return r < 0
		   ? cof_fail(diag, r, "%s: %s", a->file ? a->file : "the shelf's policy", why.text)
		   : 0;
}

int policy_make(const struct policy_args *a, const char *base, struct cof_buf *ret,
		struct cof_diag *diag)
{
	cof_autobuf struct cof_buf from = {0}, text = {0};
	struct cof_policy policy;
	int r = start(a, base, &policy, diag);

	if (r == 0)
		r = cof_policy_text(&policy, &from);
	if (r < 0)
		return r;
	for (const char *line = from.data ? (const char *)from.data : ""; *line;) {
		size_t n = strcspn(line, "\n");

		if (!replaced(a, line))
			cof_buf_printf(&text, "%.*s\n", (int)n, line);
		line += n + (line[n] != '\0');
	}
	for (int k = 0; k < KEY_COUNT; k++) {
		if (a->value[k])
			cof_buf_printf(&text, "%s = %s\n", policy_keys[k], a->value[k]);
	}
	if (text.failed)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = cof_policy_parse(text.data ? (const char *)text.data : "", text.len, &policy, diag);
	if (r == 0)
		r = cof_policy_text(&policy, ret);
	return r;
}
