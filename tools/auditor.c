/* SPDX-License-Identifier: Apache-2.0 */
/* The auditor secret's file, written by init and read by verify. */
#include "tools/auditor.h"

#include <fcntl.h>

#define MAGIC "coffer-auditor-secret-1 "
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define ID_AT MAGIC_LEN
#define SECRET_AT (ID_AT + 33)

_Static_assert(AUDITOR_LINE == SECRET_AT + 2 * COF_KEY + 1, "the line's length");

/* Not cof_hex: it ends with a NUL, and nothing of a secret may pass through other memory. */
static void put_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
}

void auditor_line(const uint8_t archive_id[16], const uint8_t secret[COF_KEY], char *out)
{
	memcpy(out, MAGIC, MAGIC_LEN);
	put_hex(archive_id, 16, out + ID_AT);
	out[SECRET_AT - 1] = ' ';
	put_hex(secret, COF_KEY, out + SECRET_AT);
	out[AUDITOR_LINE - 1] = '\n';
}

int auditor_parse(const char *line, size_t n, uint8_t ret_archive_id[16],
		  uint8_t ret_secret[COF_KEY])
{
	uint8_t id[16];

	if (n && line[n - 1] == '\n')
		n--;
	if (n != AUDITOR_LINE - 1 || memcmp(line, MAGIC, MAGIC_LEN) || line[SECRET_AT - 1] != ' ')
		return -EUCLEAN;
	if (cof_unhex(line + ID_AT, 32, id) < 0 ||
	    cof_unhex(line + SECRET_AT, 2 * COF_KEY, ret_secret) < 0)
		return -EUCLEAN;
	memcpy(ret_archive_id, id, sizeof(id));
	return 0;
}

int auditor_load(const char *path, uint8_t ret_archive_id[16], uint8_t ret_secret[COF_KEY],
		 struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	cof_autosecret char *line = cof_secret_alloc(AUDITOR_LINE + 1);
	size_t n = 0;
	int r;

	if (!line)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the auditor secret");
	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the auditor secret %s: %s", path,
				strerror(errno));
	r = cof_read_all(fd, line, AUDITOR_LINE, &n);
	if (r < 0 && r != -EFBIG)
		return cof_fail(diag, r, "cannot read the auditor secret %s: %s", path,
				strerror(-r));
	if (r == -EFBIG || auditor_parse(line, n, ret_archive_id, ret_secret) < 0)
		return cof_fail(
		    diag, -EUCLEAN,
		    "%s is no auditor secret: one line as coffer init --auditor-secret wrote "
		    "it",
		    path);
	return 0;
}
