/* SPDX-License-Identifier: Apache-2.0 */
/* age-open FILE IDENTITY…: opens an age file as the recovery envelope is opened, and says in a word what became of it:
 * "opened HASH" (SHA-256 of the plaintext), "form", "no match", "altered", "too large". */
#include "crypto/age.h"

#include <fcntl.h>
#include <stdio.h>

#define MOST (2u << 20)

int main(int argc, char **argv)
{
	uint8_t(*identities)[COF_AGE_KEY] = NULL;
	uint8_t *file = malloc(MOST), hash[COF_HASH];
	char hex[2 * COF_HASH + 1];
	void *plain = NULL;
	size_t n = 0, len = 0;
	int fd, r;

	if (argc < 3 || !file || cof_crypto_init(8u << 20, NULL) < 0)
		return 2;
	identities = cof_secret_alloc((size_t)(argc - 2) * COF_AGE_KEY);
	for (int i = 2; identities && i < argc; i++)
		if (cof_age_identity_parse(argv[i], strlen(argv[i]), identities[i - 2]) < 0)
			return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (!identities || fd < 0 || cof_read_all(fd, file, MOST, &n) < 0)
		return 2;
	close(fd);
	r = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])identities, (size_t)(argc - 2), file, n, &plain, &len);
	if (r == 0) {
		cof_sha256(plain, len, hash);
		cof_hex(hash, sizeof(hash), hex);
		printf("opened %s\n", hex);
	} else {
		puts(r == -EUCLEAN	 ? "form"
		     : r == -EKEYREJECTED ? "no match"
		     : r == -EBADMSG	 ? "altered"
		     : r == -EFBIG	 ? "too large"
					 : "failed");
	}
	cof_secret_free(plain);
	cof_secret_free(identities);
	free(file);
	return 0;
}
