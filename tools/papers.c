/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/papers.h"

int receipt_parse(const char *text, size_t n, struct cof_json **ret)
{
	int64_t format = 0;
	int r = cof_json_parse(text, n, ret);

	if (r < 0)
		return r;
	if (cof_json_int(*ret, "format", &format) == 0 && format == 1 && cof_json_str(*ret, "note") &&
	    cof_json_str(*ret, "archive"))
		return 0;
	cof_json_free(*ret);
	*ret = NULL;
	return -EUCLEAN;
}

static int line_of(const char **at, const char *key, char *out, size_t cap)
{
	size_t n = strlen(key), len;

	if (strncmp(*at, key, n) != 0 || (*at)[n] != ' ')
		return -EUCLEAN;
	*at += n + 1;
	len = strcspn(*at, "\n");
	if ((*at)[len] != '\n' || len >= cap)
		return -EUCLEAN;
	memcpy(out, *at, len);
	out[len] = 0;
	*at += len + 1;
	return 0;
}

int handover_parse(const char *text, struct handover_said *ret)
{
	const char *at = text + strlen(HANDOVER_FIRST);

	if (strncmp(text, HANDOVER_FIRST, strlen(HANDOVER_FIRST)) != 0 ||
	    line_of(&at, "archive", ret->archive, sizeof(ret->archive)) < 0 ||
	    line_of(&at, "size", ret->size, sizeof(ret->size)) < 0 || line_of(&at, "root", ret->root, sizeof(ret->root)) < 0 ||
	    line_of(&at, "envelope", ret->envelope, sizeof(ret->envelope)) < 0 ||
	    line_of(&at, "time", ret->time, sizeof(ret->time)) < 0 || line_of(&at, "to", ret->to, sizeof(ret->to)) < 0 ||
	    *at++ != '\n')
		return -EUCLEAN;
	ret->note = at;
	return 0;
}
