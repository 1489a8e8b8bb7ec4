/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy as text: a readable INI without sections, one key a line. */
#include "fs/rules/rules.h"

struct choice {
	const char *key, *value;
	int field, set;
};
enum { FIELD_DURABILITY, FIELD_REFUSE };

static const struct choice choices[] = {
    {"durability", "sync", FIELD_DURABILITY, COF_DURABLE_ON_SYNC},
    {"durability", "write", FIELD_DURABILITY, COF_DURABLE_ON_WRITE},
    {"refuse", "perm", FIELD_REFUSE, 0},
    {"refuse", "rofs", FIELD_REFUSE, 1},
};

void cof_policy_default(struct cof_policy *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->durability = COF_DURABLE_ON_SYNC;
}

struct parsing {
	struct cof_policy policy;
	unsigned seen; /* bit per field */
	struct cof_diag *diag;
};

static int one_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct parsing *p = user;
	bool known = false;

	if (section && section[0])
		return cof_fail(p->diag, -EUCLEAN, "policy, line %d: sections are not used here",
				line);
	for (size_t i = 0; i < COF_COUNT(choices); i++) {
		const struct choice *c = &choices[i];
		if (strcmp(key, c->key))
			continue;
		known = true;
		if (strcmp(value, c->value))
			continue;
		if (p->seen & 1u << c->field)
			return cof_fail(p->diag, -EUCLEAN, "policy, line %d: %s is given twice",
					line, key);
		p->seen |= 1u << c->field;
		if (c->field == FIELD_DURABILITY)
			p->policy.durability = (enum cof_durability)c->set;
		else
			p->policy.refuse_rofs = c->set;
		return 0;
	}
	if (!known)
		return cof_fail(p->diag, -EUCLEAN,
				"policy, line %d: no key '%s'; known are durability and refuse",
				line, key);
	return cof_fail(p->diag, -EUCLEAN, "policy, line %d: '%s' is no value of %s; it takes %s",
			line, value, key, strcmp(key, "refuse") ? "sync or write" : "perm or rofs");
}

int cof_policy_parse(const char *text, size_t n, struct cof_policy *ret, struct cof_diag *diag)
{
	struct parsing p = {.diag = diag};
	int r;

	cof_policy_default(&p.policy);
	r = cof_ini_parse(text, n, one_key, &p, diag);
	if (r < 0)
		return r;
	*ret = p.policy;
	return 0;
}

int cof_policy_text(const struct cof_policy *p, struct cof_buf *ret)
{
	cof_buf_printf(ret, "durability = %s\nrefuse = %s\n",
		       p->durability == COF_DURABLE_ON_WRITE ? "write" : "sync",
		       p->refuse_rofs ? "rofs" : "perm");
	return ret->failed ? -ENOMEM : 0;
}
