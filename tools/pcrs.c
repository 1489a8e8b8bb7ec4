/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/pcrs.h"

#include <stdio.h>

static int next_line(char *line, struct cof_tpm_pcrs *ret)
{
	char *end;
	unsigned long pcr;

	line[strcspn(line, "\n")] = '\0';
	if (!*line || *line == '#')
		return 0;
	errno = 0;
	pcr = strtoul(line, &end, 10);
	if (errno || end == line || *end != ' ' || pcr >= COF_TPM_PCRS || strlen(end + 1) != 2 * COF_HASH ||
	    ret->mask & 1u << pcr)
		return -EUCLEAN;
	ret->mask |= 1u << pcr;
	return cof_unhex(end + 1, 2 * COF_HASH, ret->value[pcr]);
}

int pcrs_load(const char *path, struct cof_tpm_pcrs *ret, struct cof_diag *diag)
{
	FILE *f = fopen(path, "re");
	char line[128];
	int r = 0;

	if (!f)
		return cof_fail(diag, -errno, "%s: %s", path, strerror(errno));
	while (r == 0 && fgets(line, sizeof(line), f))
		r = next_line(line, ret);
	fclose(f);
	if (r == 0 && !ret->mask)
		r = -EUCLEAN;
	return r < 0 ? cof_fail(diag, r,
				"%s: lines of a PCR's number, a space and 64 hexadecimal digits are wanted, "
				"each PCR once",
				path)
		     : 0;
}
