/* SPDX-License-Identifier: Apache-2.0 */
/* Scans standard input in pieces of so many bytes; prints kind, offset and length of what is found. */
#include <stdio.h>

#include "crypto/crypto.h"
#include "fs/leak/leak.h"

static void print(void *user, const struct cof_leak *leak)
{
	(void)user;
	printf("%s %llu %u\n", cof_leak_name(leak->kind), (unsigned long long)leak->offset, leak->len);
}

int main(int argc, char **argv)
{
	size_t piece = argc == 2 ? strtoul(argv[1], NULL, 10) : 0, n;
	struct cof_leak_db *db = NULL;
	struct cof_leak_stream *s = NULL;
	char *buf = malloc(piece + 1);

	if (!piece || !buf || cof_crypto_init(1u << 20, NULL) || cof_leak_db_new(&db) ||
	    cof_leak_stream_new(db, 0, NULL, 0, &s))
		return 2;
	while ((n = fread(buf, 1, piece, stdin)) > 0) {
		cof_leak_scan(db, s, buf, n, print, NULL);
		cof_leak_accept(s, buf, n);
	}
	cof_leak_stream_free(s);
	cof_leak_db_free(db);
	free(buf);
	return ferror(stdin) ? 2 : 0;
}
