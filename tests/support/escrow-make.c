/* SPDX-License-Identifier: Apache-2.0 */
/*
 * escrow-make SCHEME DIR [PASSPHRASE]: a new epoch for tests, in DIR: epoch.json, NAME.words for each custodian on
 * paper, NAME.age for the others, and NAME.forged: a share with the same numbers that fits together, and is another.
 */
#include "crypto/crypto.h"
#include "escrow/epoch.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

static int put(const char *dir, const char *name, const char *kind, const void *p, size_t n)
{
	cof_autoclose int fd = -1;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.%s", dir, name, kind);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : cof_write_all(fd, p, n);
}

static int forge(const char *dir, const char *name, const char *words)
{
	struct cof_slip39_share share;
	char text[COF_SLIP39_TEXT];
	int r = cof_slip39_read(words, strlen(words), &share, NULL);

	share.value[0] ^= 1;
	if (r == 0)
		r = cof_slip39_write(&share, text);
	return r < 0 ? r : put(dir, name, "forged", text, strlen(text));
}

static int hand_out(const struct cof_epoch *e, const struct cof_epoch_shares *shares, unsigned i, const char *dir)
{
	const char *words = cof_epoch_words(shares, i), *name = e->scheme.custodian[i].name;
	cof_autobuf struct cof_buf sealed = {0};
	int r = cof_epoch_seal_share(e, shares, i, &sealed);

	if (r == -ENOENT)
		r = put(dir, name, "words", words, strlen(words));
	else if (r == 0)
		r = put(dir, name, "age", sealed.data, sealed.len);
	return r < 0 ? r : forge(dir, name, words);
}

int main(int argc, char **argv)
{
	struct cof_epoch_order order = {.number = 1, .created = cof_now(CLOCK_REALTIME), .exponent = 0, .passphrase = argv[3]};
	struct cof_epoch_shares *shares = NULL;
	struct cof_epoch e;
	struct cof_diag diag = {""};
	cof_autobuf struct cof_buf doc = {0};
	static char scheme[65536];
	size_t n = 0;
	cof_autoclose int fd = argc > 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int r;

	if (fd < 0 || cof_read_all(fd, scheme, sizeof(scheme), &n) < 0 || cof_crypto_init(1u << 20, &diag) < 0)
		return 2;
	r = cof_epoch_make(scheme, n, &order, &e, &shares, &diag);
	if (r < 0) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	for (unsigned i = 0; r == 0 && i < e.scheme.n_custodians; i++)
		r = hand_out(&e, shares, i, argv[2]);
	if (r == 0)
		r = cof_epoch_write(&e, &doc);
	if (r == 0)
		r = put(argv[2], "epoch", "json", doc.data, doc.len);
	cof_epoch_shares_free(shares);
	cof_epoch_done(&e);
	return r < 0;
}
