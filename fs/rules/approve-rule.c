/* SPDX-License-Identifier: Apache-2.0 */
/* Roles, and rules of so many persons with these roles among them, as text and bits. */
#include "fs/rules/approve-private.h"

#include <stdio.h>

static const char *const names[] = {"auditor", "custodian", "officer", "operator", "vault"};

unsigned approve_role(const char *text, size_t n)
{
	for (unsigned i = 0; i < COF_COUNT(names); i++)
		if (strlen(names[i]) == n && !memcmp(names[i], text, n))
			return 1u << i;
	return 0;
}

static void join(unsigned roles, const char *between, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < COF_COUNT(names); i++)
		if (roles >> i & 1)
			n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? between : "", names[i]);
}

void cof_roles_text(unsigned roles, char out[64])
{
	join(roles, ",", out, 64);
}

int cof_approval_rule_parse(const char *text, struct cof_approval_rule *ret)
{
	struct cof_approval_rule r;

	if (cof_approve_parse(text, &r.persons, &r.roles) < 0)
		return -EINVAL;
	*ret = r;
	return 0;
}

bool cof_policy_keeps_mode(const struct cof_policy *old, const struct cof_policy *then)
{
	return old->mode != COF_COMPLIANCE || (then->mode == COF_COMPLIANCE && then->cooling_off <= old->cooling_off);
}

void cof_approval_rule_text(const struct cof_approval_rule *r, char out[64])
{
	int n = snprintf(out, 64, "%u%s", r->persons, r->roles ? " " : "");

	if (r->roles && n > 0 && n < 64)
		join(r->roles, " ", out + n, 64 - (size_t)n);
}

void cof_approval_rule_merge(struct cof_approval_rule *r, const struct cof_approval_rule *other)
{
	r->persons = COF_MAX(r->persons, other->persons);
	r->roles |= other->roles;
}
