/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile says when it says nothing, and questions to it. */
#include "fs/rules/approve.h"
#include "fs/rules/profile-private.h"

#include <stdio.h>

#define SET(field, text) snprintf((field), sizeof(field), "%s", (text))

void cof_profile_default(struct cof_profile *ret)
{
	memset(ret, 0, sizeof(*ret));
	SET(ret->approve_redact, "2 auditor");
	SET(ret->approve_clock, "2 officer");
	SET(ret->exclusive, COF_EXCLUSIVE_DEFAULT);
	SET(ret->approve_people, "2");
	SET(ret->approve_profile, "2");
	SET(ret->approve_destroy, "2 auditor");
	SET(ret->openers, "tpm2 passphrase file");
	ret->deviation = 5 * COF_NSEC;
	ret->escrow_answer = 30 * 86400 * COF_NSEC;
	ret->persons = 2;
	ret->key_persons = 2;
	ret->lockout = 3;
	ret->aes_bits = 256;
	ret->rsa_bits = 2048;
	ret->ecc_bits = 256;
	ret->hash_bits = 256;
	ret->tls = 12;
	ret->subscriber_backup = true;
	ret->plaintext_keys = true;
	ret->network = true;
	ret->remote_access = true;
	ret->incident_least = 1;
	ret->alarm_within = COF_NSEC;
}

bool cof_profile_has(const char *list, const char *word)
{
	return *word && cof_profile_word(list, word, strlen(word));
}

bool cof_profile_excludes(const struct cof_profile *p, const char *role, const char *other)
{
	char pair[2 * 64 + 2];
	int n = snprintf(pair, sizeof(pair), "%s+%s", role, other);

	if (n < 0 || (size_t)n >= sizeof(pair))
		return false;
	if (cof_profile_word(p->exclusive, pair, (size_t)n))
		return true;
	snprintf(pair, sizeof(pair), "%s+%s", other, role);
	return cof_profile_word(p->exclusive, pair, (size_t)n);
}

/* ---- keys one by one ---- */

size_t cof_profile_keys(void)
{
	return profile_n_keys;
}

const char *cof_profile_key(size_t i)
{
	return profile_keys[i].name;
}

const char *cof_profile_key_rule(size_t i)
{
	return profile_keys[i].rule;
}

int cof_profile_value(const struct cof_profile *p, const char *key, struct cof_buf *ret)
{
	for (size_t i = 0; i < profile_n_keys; i++) {
		if (strcmp(profile_keys[i].name, key))
			continue;
		profile_write(&profile_keys[i], p, ret);
		return ret->failed ? -ENOMEM : 0;
	}
	return -ENOENT;
}

static const char *text(const struct cof_buf *b)
{
	return b->data ? (const char *)b->data : "";
}

int cof_profile_compare(const struct cof_profile *old, const struct cof_profile *new_one,
			int (*fn)(void *user, const struct cof_profile_change *change), void *user)
{
	for (size_t i = 0; i < profile_n_keys; i++) {
		const struct profile_key *k = &profile_keys[i];
		cof_autobuf struct cof_buf a = {0}, b = {0};
		struct cof_profile_change change = {.key = k->name, .rule = k->rule};
		int r;

		profile_write(k, old, &a);
		profile_write(k, new_one, &b);
		if (a.failed || b.failed)
			return -ENOMEM;
		if (!strcmp(text(&a), text(&b)))
			continue;
		change.old_value = text(&a);
		change.new_value = text(&b);
		change.weaker = profile_is_weaker(k, old, new_one);
		r = fn(user, &change);
		if (r < 0)
			return r;
	}
	return 0;
}

bool cof_profile_is_stronger(const struct cof_profile *old, const struct cof_profile *new_one,
			     const char **ret_key)
{
	for (size_t i = 0; i < profile_n_keys; i++) {
		if (!profile_is_weaker(&profile_keys[i], old, new_one))
			continue;
		if (ret_key)
			*ret_key = profile_keys[i].name;
		return false;
	}
	return true;
}
