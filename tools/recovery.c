/* SPDX-License-Identifier: Apache-2.0 */
/* Options about the recovery envelope: recipients, and identity files. */
#include "tools/recovery.h"
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"

#include <fcntl.h>
#include <stdio.h>

#define FILE_MAX (64u << 10)

int recovery_add(struct recovery *r, const char *option, const char *text)
{
	cof_autofree char *shown = escaped(text);

	if (!strncmp(text, "AGE-SECRET-KEY-", 15))
		return misuse("%s takes a recipient (age1...), not an identity: that one is now in the list of "
			      "processes and perhaps in your shell's history",
			      option);
	if (r->n == COF_AGE_RECIPIENTS)
		return misuse("at most %d recipients can open one file", COF_AGE_RECIPIENTS);
	if (cof_age_recipient_parse(text, strlen(text), r->recipients[r->n]) < 0)
		return misuse("'%s' is no age recipient: age1 and 58 characters, as age-keygen -y prints it",
			      shown ? shown : "?");
	for (size_t i = 0; i < r->n; i++)
		if (!memcmp(r->recipients[i], r->recipients[r->n], COF_AGE_KEY))
			return misuse("the recipient %s is named twice", shown ? shown : "?");
	r->n++;
	return EXIT_OK;
}

const char *recovery_conflict(const struct recovery *r, bool none)
{
	if (r->n && none)
		return "--recovery and --no-recovery contradict each other";
	if (r->test && !r->n)
		return "--recovery-test goes with --recovery";
	return "";
}

int identities_load(const char *path, const char *store, uint8_t (**ret)[COF_AGE_KEY], size_t *ret_n,
		    struct cof_diag *diag)
{
	cof_autosecret char *text = cof_secret_alloc(FILE_MAX);
	cof_autosecret uint8_t(*keys)[COF_AGE_KEY] = cof_secret_alloc(IDENTITIES_MAX * COF_AGE_KEY);
	cof_autoclose int fd = -1;
	size_t n = 0;
	int r = store ? path_inside(path, store) : 0;

	if (!text || !keys)
		return cof_fail(diag, -ENOMEM, "no locked memory left for an identity");
	if (r > 0)
		return cof_fail(diag, -EINVAL,
				"the identity file %s may not lie in the store: whoever takes the store would "
				"have both",
				path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the identity file %s: %s", path, strerror(errno));
	r = cof_read_all(fd, text, FILE_MAX, &n);
	if (r < 0)
		return cof_fail(diag, r, "cannot read the identity file %s: %s", path,
				r == -EFBIG ? "it is too long" : strerror(-r));
	r = cof_age_identities_parse(text, n, keys, IDENTITIES_MAX, ret_n);
	if (r < 0)
		return cof_fail(diag, r,
				r == -E2BIG ? "%s holds more identities than are tried at once"
					    : "%s is no identity file: a line AGE-SECRET-KEY-1..., as age-keygen "
					      "writes it (one that is locked by a passphrase is opened by age -d)",
				path);
	*ret = keys;
	keys = NULL;
	return 0;
}

int recovery_load_test(struct recovery *r, const char *store, struct cof_diag *diag)
{
	return r->test ? identities_load(r->test, store, &r->identities, &r->n_identities, diag) : 0;
}

struct cof_recovery recovery_params(const struct recovery *r)
{
	return (struct cof_recovery){
	    .recipients = (const uint8_t(*)[COF_AGE_KEY])r->recipients,
	    .n_recipients = r->n,
	    .identities = (const uint8_t(*)[COF_AGE_KEY])r->identities,
	    .n_identities = r->n_identities,
	};
}

void recovery_done(struct recovery *r)
{
	cof_secret_free(r->identities);
	memset(r, 0, sizeof(*r));
}

void recovery_said(const struct cof_json *o, char out[RECOVERY_SAID])
{
	int64_t n = 0;

	if (!o)
		snprintf(out, RECOVERY_SAID, "none: with every opener lost, all is lost");
	else if (cof_json_str(o, "error") || cof_json_int(o, "recipients", &n) < 0 || n < 1)
		snprintf(out, RECOVERY_SAID, "seal/recovery.age is damaged: coffer seal recovery-renew");
	else if (n == 1)
		snprintf(out, RECOVERY_SAID, "one person opens the envelope");
	else
		snprintf(out, RECOVERY_SAID, "one person opens the envelope, any of %lld", (long long)n);
}
