/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that asks no rules, for tests/e2e/judges.py: writes frames as they are given, chained, sealed and signed as
 * any, into an archive that nobody has mounted.
 *
 *   plant STORE KEYFILE    lines on standard input: TYPE OBJECT PUBLIC PRIVATE, the last two in hexadecimal or -
 *                          for none, OBJECT:POSITION where that is not 0; prints the sequence of each frame
 */
#include <fcntl.h>
#include <stdio.h>

#include "fs/archive/internal.h"

#define LINE_MAX (1u << 19)

static void need(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "plant: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void *bytes(const char *hex, size_t *ret_n)
{
	uint8_t *p = malloc(strlen(hex) + 1);

	*ret_n = strcmp(hex, "-") ? strlen(hex) / 2 : 0;
	need(p ? 0 : -ENOMEM, "memory");
	need(*ret_n ? cof_unhex(hex, 2 * *ret_n, p) : 0, "hexadecimal digits");
	return p;
}

static void plant(struct cof_archive *a, char *line)
{
	char *type = strtok(line, " \n"), *object = strtok(NULL, " \n"), *in_clear = strtok(NULL, " \n"),
	     *sealed = strtok(NULL, " \n");
	struct cof_draft d = {0};
	struct cof_append done;
	size_t n, m;
	void *public_part, *plain;
	int r;

	need(sealed ? 0 : -EINVAL, "a line of four words");
	d.type = (uint8_t)strtoul(type, NULL, 10);
	d.object = strtoull(object, &object, 10);
	d.position = *object == ':' ? strtoull(object + 1, NULL, 10) : 0;
	d.public_part = public_part = bytes(in_clear, &n);
	d.plain = plain = bytes(sealed, &m);
	d.public_len = (uint32_t)n;
	d.length = (uint32_t)m;
	d.commitment = d.type == COF_APPEND; /* the first of this mount */
	COF_GATED(a, r, cof_archive_put(a, &d, NULL, &done));
	need(r, "a frame");
	printf("%llu\n", (unsigned long long)done.ret_sequence);
	free(public_part);
	free(plain);
}

int main(int argc, char **argv)
{
	struct cof_opener_secret secret = {.kind = COF_OPENER_FILE};
	struct cof_archive_params p = {.secret = &secret, .index_dir = "", .no_threads = true};
	struct cof_diag diag = {""};
	struct cof_opened opened;
	struct cof_archive *a;
	char *key, *line;
	int fd;

	if (argc != 3)
		return 2;
	need(cof_crypto_init(1u << 20, &diag), "start");
	key = cof_secret_alloc(4096);
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	need(fd < 0 || !key ? -ENOENT : cof_read_all(fd, key, 4096, &secret.len), "the key file");
	close(fd);
	secret.data = key;
	need(cof_io_plain(argv[1], &p.io, &diag), "the store");
	need(cof_archive_open(&p, &a, &opened, &diag), diag.text);
	line = malloc(LINE_MAX);
	while (line && fgets(line, LINE_MAX, stdin))
		plant(a, line);
	free(line);
	need(cof_archive_close(a, &diag), diag.text);
	cof_io_free(p.io);
	cof_secret_free(key);
	return 0;
}
