/* SPDX-License-Identifier: Apache-2.0 */
/* What cof_stamp_open says of a token in a file: run with another configuration of GnuTLS, which is read once. */
#include <stdio.h>

#include "crypto/stamp.h"

int main(int argc, char **argv)
{
	static uint8_t token[COF_STAMP_TOKEN_MAX];
	struct cof_diag diag = {""};
	struct cof_stamp s;
	FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
	size_t n = f ? fread(token, 1, sizeof(token), f) : 0;

	if (!n || cof_crypto_init(1 << 20, &diag) < 0)
		return 2;
	fclose(f);
	printf("%d %s\n", cof_stamp_open(token, n, NULL, 0, &s, &diag), diag.text);
	return 0;
}
