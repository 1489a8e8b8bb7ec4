/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/seal-clean.h"

#include "tools/coffer.h"
#include "tools/output.h"

#include <stdio.h>

static int parse(char **indices, uint32_t *ret, size_t max, size_t *ret_n, struct cof_diag *diag)
{
	for (*ret_n = 0; indices[*ret_n]; (*ret_n)++) {
		const char *text = indices[*ret_n];
		unsigned long v;
		char *end;

		errno = 0;
		v = strtoul(text, &end, 0);
		if (errno || end == text || *end || v > UINT32_MAX || *ret_n == max)
			return cof_fail(diag, -EINVAL, "'%s' is no NV index: coffer seal clean STORE names them, as in 0x01800001",
					text);
		ret[*ret_n] = (uint32_t)v;
	}
	return 0;
}

static void say(const struct store *s, const struct cof_json *all)
{
	size_t left = 0;

	for (size_t i = 0; i < cof_json_count(all); i++) {
		const struct cof_json *o = cof_json_at(all, i);
		const char *used = cof_json_str(o, "used");

		printf("%s: %s, %s%s\n", cof_json_str(o, "index"), cof_json_str(o, "kind"), used ? "used by " : "named by nothing",
		       used ? used : "");
		left += !used;
	}
	if (!left)
		printf("Nothing is left in the TPM that this archive does not use.\n");
	else
		printf("What nothing names: coffer seal clean %s INDEX removes it. Make sure that no other archive on this "
		       "host uses it\n(coffer seal show, coffer status).\n",
		       s->path);
}

int seal_clean(struct store *s, struct opener *opener, char **indices, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = cof_json_array();
	uint32_t remove[COF_TPM_INDEX_RANGE];
	size_t n = 0;
	int r = parse(indices, remove, COF_COUNT(remove), &n, diag);

	if (r == 0)
		r = cof_store_seal_clean(s->io, &opener->secret, remove, n, all, diag);
	if (r < 0)
		return r;
	if (json)
		return print_json(all, true);
	if (!n)
		say(s, all);
	for (size_t i = 0; i < n; i++)
		printf("Removed NV index 0x%08x.\n", remove[i]);
	return 0;
}
