/* SPDX-License-Identifier: Apache-2.0 */
/* Paragraphs wrapped to a width, for help. */
#include "tools/output.h"

static void spaces(struct cof_buf *b, int n)
{
	cof_buf_printf(b, "%*s", n, "");
}

/* One paragraph, up to the newline or the end; returns what is behind it. */
static const char *paragraph(struct cof_buf *b, const char *text, int indent, int width,
			     int *column)
{
	size_t n;

	for (; *text && *text != '\n'; text += n) {
		if (*text == ' ') {
			n = 1;
			continue;
		}
		n = strcspn(text, " \n");
		if (*column > indent && *column + 1 + (int)n > width) {
			cof_buf_add(b, "\n", 1);
			*column = 0;
		}
		if (*column < indent) {
			spaces(b, indent - *column);
			*column = indent;
		} else if (*column > indent) {
			cof_buf_add(b, " ", 1);
			*column += 1;
		}
		cof_buf_add(b, text, n);
		*column += (int)n;
	}
	return text;
}

void wrap(struct cof_buf *b, const char *text, int column, int indent, int width)
{
	while (*text) {
		if (*text == ' ' && !column) { /* an indented line is kept as it is */
			size_t n = strcspn(text, "\n");

			spaces(b, indent);
			cof_buf_add(b, text, n);
			text += n;
		} else {
			text = paragraph(b, text, indent, width, &column);
		}
		cof_buf_add(b, "\n", 1);
		column = 0;
		text += *text == '\n';
	}
}
