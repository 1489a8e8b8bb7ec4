/* SPDX-License-Identifier: Apache-2.0 */
/* Runs while building: the word list, one a line, as an array in C on standard output. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
	char word[64];
	unsigned n = 0;

	if (!f) {
		fputs("slip39-make: a word list is to be named\n", stderr);
		return 1;
	}
	puts("extern const char *const cof_slip39_list[];\nconst char *const cof_slip39_list[] = {");
	for (; fgets(word, sizeof(word), f); n++) {
		word[strcspn(word, "\n")] = 0;
		printf("\t\"%s\",\n", word);
	}
	puts("};");
	if (ferror(f))
		n = 0;
	fclose(f);
	return n == 1024 && fflush(stdout) == 0 ? 0 : 1;
}
