/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs while building: the tables of data/ as C, on standard output. A line has tab-separated columns,
 * the first line their names, the last four an x where that level has to have it.
 *
 *	make-catalogue event-catalogue.tsv archive-records.tsv
 */
#include <stdio.h>
#include <string.h>

#define COLUMNS 8

static int split(char *line, char *column[COLUMNS])
{
	int n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (char *at = line; at && n < COLUMNS; n++)
		column[n] = strsep(&at, "\t");
	return n;
}

static void put_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

/* own: columns before those of the levels. */
static int put_table(const char *path, int own)
{
	char line[1024], *column[COLUMNS];
	FILE *f = fopen(path, "r");
	int err = 0, number = 0;

	if (!f)
		return -1;
	while (!err && fgets(line, sizeof(line), f)) {
		if (number++ == 0)
			continue;
		if (split(line, column) != own + 4) {
			fprintf(stderr, "%s, line %d: %d columns are wanted\n", path, number, own + 4);
			err = -1;
			continue;
		}
		fputs("\t{", stdout);
		for (int i = 0; i < own; i++) {
			put_text(column[i]);
			fputs(", ", stdout);
		}
		fputs("{", stdout);
		for (int i = 0; i < 4; i++)
			printf("%d%s", !strcmp(column[own + i], "x"), i < 3 ? ", " : "");
		puts("}},");
	}
	err = ferror(f) ? -1 : err;
	fclose(f);
	return err;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	puts("#include \"fs/rules/catalogue-data.h\"\n"
	     "const struct cof_catalogue_kind cof_catalogue_data[] = {");
	if (put_table(argv[1], 2) < 0) {
		perror(argv[1]);
		return 1;
	}
	puts("};\nconst size_t cof_catalogue_n = COF_COUNT(cof_catalogue_data);\n"
	     "const struct cof_record_kind cof_records_data[] = {");
	if (put_table(argv[2], 1) < 0) {
		perror(argv[2]);
		return 1;
	}
	puts("};\nconst size_t cof_records_n = COF_COUNT(cof_records_data);");
	return fflush(stdout) == 0 ? 0 : 1;
}
