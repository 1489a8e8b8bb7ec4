/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of approval as text, "N [role...]": at least two persons, each role once, in alphabetic
 * order. Removal always has the auditor among them.
 */
#include "fs/rules/internal.h"

#include <stdio.h>

const char *const cof_role_names[] = {"auditor", "custodian", "officer", "operator", NULL};
#define AUDITOR 1u /* its bit */
#define PERSONS_MAX 16

static const char *const defaults[COF_APPROVE_COUNT_] = {
    [COF_APPROVE_HOLD_END] = "2",
    [COF_APPROVE_REMOVE] = "2 auditor",
    [COF_APPROVE_RETENTION_END] = "2",
    [COF_APPROVE_POLICY] = "2",
    [COF_APPROVE_ESCROW] = "2",
};

static bool role(const char *text, size_t n, unsigned *ret_bit)
{
	for (unsigned i = 0; cof_role_names[i]; i++)
		if (strlen(cof_role_names[i]) == n && !memcmp(cof_role_names[i], text, n)) {
			*ret_bit = 1u << i;
			return true;
		}
	return false;
}

int cof_approve_parse(const char *text, unsigned *ret_persons, unsigned *ret_roles)
{
	unsigned persons = 0, roles = 0, bit;
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 2 || text[0] == '0')
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		persons = persons * 10 + (unsigned)(text[i] - '0');
	if (persons < 2 || persons > PERSONS_MAX)
		return -EINVAL;
	for (text += digits; *text;) {
		size_t space = strspn(text, " "), n = strcspn(text + space, " ");

		if (!space || !role(text + space, n, &bit) || (roles & bit))
			return -EINVAL;
		roles |= bit;
		text += space + n;
	}
	*ret_persons = persons;
	*ret_roles = roles;
	return 0;
}

const char *cof_policy_approve(const struct cof_policy *p, enum cof_approve what)
{
	return p->approve[what][0] ? p->approve[what] : defaults[what];
}

bool rule_approve_read(struct cof_policy *p, enum cof_approve what, const char *value)
{
	char text[COF_APPROVE_TEXT];
	unsigned persons, roles;
	size_t n;

	if (cof_approve_parse(value, &persons, &roles) < 0 ||
	    (what == COF_APPROVE_REMOVE && !(roles & AUDITOR)))
		return false;
	n = (size_t)snprintf(text, sizeof(text), "%u", persons);
	for (unsigned i = 0; cof_role_names[i]; i++)
		if (roles >> i & 1)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", cof_role_names[i]);
	memset(p->approve[what], 0, sizeof(p->approve[what]));
	if (strcmp(text, defaults[what]) != 0)
		memcpy(p->approve[what], text, n + 1);
	return true;
}

bool rule_approve_weaker(const struct cof_policy *a, const struct cof_policy *b,
			 enum cof_approve what)
{
	unsigned old_persons, old_roles, persons, roles;

	/* A policy that is in memory was read: what cannot be parsed is none, and never stronger.
	 */
	if (cof_approve_parse(cof_policy_approve(a, what), &old_persons, &old_roles) < 0)
		return false;
	if (cof_approve_parse(cof_policy_approve(b, what), &persons, &roles) < 0)
		return true;
	return persons < old_persons || (old_roles & ~roles);
}
