/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many certificates out of one: many-certs TEMPLATE.der COUNT DIR
 *
 * The template's serial number (eight bytes of 7e), the digits of its subject user-0000000 and its end 300101000000Z are
 * replaced, its signature stays and so does not hold, which nobody looks at. Each file gets mode 0444 when it is
 * written; a thousand to a directory. tests/support/certs.py makes the template.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t der[4096];
static size_t len;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint8_t *place(const char *mark, size_t n)
{
	uint8_t *p = memmem(der, len, mark, n);

	if (!p)
		die("the template lacks what is to be replaced");
	return p;
}

static void write_one(const char *dir, unsigned i)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%u", dir, i / 1000);
	if (i % 1000 == 0 && mkdir(path, 0755) < 0)
		die(path);
	snprintf(path, sizeof(path), "%s/%u/%u.der", dir, i / 1000, i);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
	if (fd < 0 || write(fd, der, len) != (ssize_t)len || fchmod(fd, 0444) < 0)
		die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	uint8_t *serial, *user, *end;
	char text[16];
	FILE *f;

	if (argc != 4 || !(f = fopen(argv[1], "re"))) {
		fprintf(stderr, "usage: many-certs TEMPLATE.der COUNT DIR\n");
		return 2;
	}
	len = fread(der, 1, sizeof(der), f);
	fclose(f);
	serial = place("\x7e\x7e\x7e\x7e\x7e\x7e\x7e\x7e", 8);
	user = place("user-0000000", 12);
	end = place("300101000000Z", 13);
	for (unsigned i = 0; i < (unsigned)atoi(argv[2]); i++) {
		for (int b = 0; b < 4; b++)
			serial[4 + b] = (uint8_t)(i >> 8 * (3 - b));
		snprintf(text, sizeof(text), "%07u", i % 10000000);
		memcpy(user + 5, text, 7);
		snprintf(text, sizeof(text), "%02u%02u%02u", 27 + i % 20, 1 + i / 20 % 12, 1 + i / 240 % 28);
		memcpy(end, text, 6);
		write_one(argv[3], i);
	}
	return 0;
}
