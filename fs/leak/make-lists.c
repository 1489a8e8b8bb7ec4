/* SPDX-License-Identifier: Apache-2.0 */
/* Runs while building: the word lists of lists/ as one C file, on standard output. */
#include <stdio.h>

static int put_list(const char *path)
{
	FILE *f = fopen(path, "rb");
	int c, err;

	if (!f)
		return -1;
	fputs("\t\"", stdout);
	while ((c = getc(f)) != EOF)
		if (c == '\n')
			fputs("\\n\"\n\t\"", stdout);
		else if (c < 0x80)
			putchar(c);
		else
			printf("\\%o", (unsigned)c); /* three digits: no digit that follows joins it */
	fputs("\",\n", stdout);
	err = ferror(f);
	fclose(f);
	return err ? -1 : 0;
}

int main(int argc, char **argv)
{
	puts("extern const char *const cof_leak_lists[];\nconst char *const cof_leak_lists[] = {");
	for (int i = 1; i < argc; i++)
		if (put_list(argv[i]) < 0) {
			perror(argv[i]);
			return 1;
		}
	puts("};");
	return fflush(stdout) == 0 ? 0 : 1;
}
