/* SPDX-License-Identifier: Apache-2.0 */
/* The command that mounts an archive. */
#include "tools/mount-say.h"

#include <stdio.h>

#include "tools/output.h"

char *mount_point_of(const char *store)
{
	const char *slash = strrchr(store, '/');
	char *out = NULL;

	if (asprintf(&out, "/mnt/%s", slash && slash[1] ? slash + 1 : "archive") < 0)
		return NULL;
	return out;
}

int mount_option(const struct opener_args *a, bool tpm2, const char *key, char **ret)
{
	const char *tpm = !tpm2 ? NULL : a->tpm ? a->tpm : secure_getenv("COFFER_TPM");
	char *out = NULL;
	int n = asprintf(&out, "%s%s%s%s%s%s", tpm ? "tpm=" : "", tpm ? tpm : "",
			 tpm && a->credential ? "," : "", tpm2 && a->credential ? "seal=tpm2," : "",
			 a->credential ? "credential=" : "", a->credential ? a->credential : "");

	if (n < 0)
		return -ENOMEM;
	if (!*out && key) {
		free(out);
		n = asprintf(&out, "key-file=%s", key);
		if (n < 0)
			return -ENOMEM;
	}
	*ret = out;
	return 0;
}

char *mount_command(const struct opener_args *a, const char *store)
{
	const char *key = a->new_key_file ? a->new_key_file : a->key_file;
	cof_autofree char *real = key ? realpath(key, NULL) : NULL, *point = mount_point_of(store), *option = NULL;
	cof_autofree char *store_word = shell_word(store), *point_word = point ? shell_word(point) : NULL;
	cof_autofree char *option_word = NULL;
	char *out = NULL;

	if (mount_option(a, opener_is_tpm2(a), real, &option) < 0)
		return NULL;
	option_word = shell_word(option);
	if (!store_word || !point_word || !option_word ||
	    asprintf(&out, "mount -t coffer %s %s%s%s", store_word, point_word, *option ? " -o " : "",
		     *option ? option_word : "") < 0)
		return NULL;
	return out;
}
