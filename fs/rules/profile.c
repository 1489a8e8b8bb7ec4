/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile says when it says nothing, and questions to it. */
#include "fs/rules/profile.h"

#include <stdio.h>

#define SET(field, text) snprintf((field), sizeof(field), "%s", (text))

void cof_profile_default(struct cof_profile *ret)
{
	memset(ret, 0, sizeof(*ret));
	SET(ret->approve_redact, "2 auditor");
	SET(ret->approve_clock, "2");
	SET(ret->approve_people, "2");
	SET(ret->approve_profile, "2");
	SET(ret->approve_destroy, "2 auditor");
	SET(ret->openers, "tpm2 passphrase file");
	ret->deviation = 5 * COF_NSEC;
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

static bool has(const char *list, const char *word, size_t n)
{
	for (const char *at = list; *at;) {
		size_t len = strcspn(at, " ");

		if (len == n && !memcmp(at, word, n))
			return true;
		at += len + (at[len] == ' ');
	}
	return false;
}

bool cof_profile_has(const char *list, const char *word)
{
	return *word && has(list, word, strlen(word));
}

bool cof_profile_excludes(const struct cof_profile *p, const char *role, const char *other)
{
	char pair[2 * 64 + 2];
	int n = snprintf(pair, sizeof(pair), "%s+%s", role, other);

	if (n < 0 || (size_t)n >= sizeof(pair))
		return false;
	if (has(p->exclusive, pair, (size_t)n))
		return true;
	snprintf(pair, sizeof(pair), "%s+%s", other, role);
	return has(p->exclusive, pair, (size_t)n);
}
