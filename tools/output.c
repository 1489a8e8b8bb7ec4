/* SPDX-License-Identifier: Apache-2.0 */
/* Escaped text, JSON and colours on standard output. */
#include "tools/output.h"
#include "tools/coffer.h"

#include <poll.h>
#include <stdio.h>

/* ---- escaping ---- */

/* The code point at s and its bytes; 0 bytes when it is no UTF-8. */
static size_t code_point(const uint8_t *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
	uint32_t c = s[0];

	if (!len || s[0] > 0xf4)
		return 0;
	if (len > 1)
		c &= 0xffu >> (len + 1);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the terminating NUL too */
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

/* What moves, hides or reorders text on a terminal. */
static bool steers(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff);
}

static void escape_into(struct cof_buf *b, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t c = 0;

	while (*p) {
		size_t len = code_point(p, &c);

		if (!len)
			cof_buf_printf(b, "\\x%02x", *p);
		else if (c == '\\')
			cof_buf_add(b, "\\\\", 2);
		else if (c == '\n' || c == '\t')
			cof_buf_add(b, c == '\n' ? "\\n" : "\\t", 2);
		else if (steers(c))
			cof_buf_printf(b, c < 0x80 ? "\\x%02x" : "\\u{%x}", c);
		else
			cof_buf_add(b, p, len);
		p += COF_MAX(len, (size_t)1);
	}
}

static char *text_of(struct cof_buf *b)
{
	if (!b->failed && !b->len)
		cof_buf_add(b, "", 0);
	if (b->failed) {
		cof_buf_done(b);
		return NULL;
	}
	return (char *)b->data;
}

/* Line ends and backslashes stay: what was escaped before is printed as it is. */
static void disarm_into(struct cof_buf *b, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t c = 0;

	while (*p) {
		size_t len = code_point(p, &c);

		if (!len || (steers(c) && c != '\n' && c != '\t' && c < 0x80))
			cof_buf_printf(b, "\\x%02x", *p);
		else if (steers(c) && c >= 0x80)
			cof_buf_printf(b, "\\u{%x}", c);
		else
			cof_buf_add(b, p, len);
		p += COF_MAX(len, (size_t)1);
	}
}

void print_disarmed(FILE *to, const char *fmt, va_list ap)
{
	cof_autobuf struct cof_buf b = {0};
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		fputs("out of memory", to);
		return;
	}
	disarm_into(&b, text);
	free(text);
	if (b.failed)
		fputs("out of memory", to);
	else
		fwrite(b.data, 1, b.len, to);
}

char *escaped(const char *s)
{
	struct cof_buf b = {0};

	escape_into(&b, s);
	return text_of(&b);
}

char *escaped_word(const char *s)
{
	struct cof_buf b = {0};

	if (*s && !strpbrk(s, " \"")) {
		escape_into(&b, s);
		return text_of(&b);
	}
	cof_buf_add(&b, "\"", 1);
	for (size_t n; *s; s += n) {
		cof_autofree char *part = NULL;

		n = strcspn(s, "\"");
		part = strndup(s, n);
		if (!part)
			b.failed = true;
		else
			escape_into(&b, part);
		if (s[n]) {
			cof_buf_add(&b, "\\\"", 2);
			n++;
		}
	}
	cof_buf_add(&b, "\"", 1);
	return text_of(&b);
}

char *shell_word(const char *s)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789/._-+=:,@%";
	struct cof_buf b = {0};

	if (*s && !s[strspn(s, harmless)]) {
		cof_buf_add(&b, s, strlen(s));
		return text_of(&b);
	}
	cof_buf_add(&b, "'", 1);
	for (; *s; s++) {
		if (*s == '\'')
			cof_buf_add(&b, "'\\''", 4);
		else
			cof_buf_add(&b, s, 1);
	}
	cof_buf_add(&b, "'", 1);
	return text_of(&b);
}

char *fstab_word(const char *s)
{
	struct cof_buf b = {0};

	for (; *s; s++) {
		if (strchr(" \t\n\\#", *s))
			cof_buf_printf(&b, "\\%03o", (unsigned char)*s);
		else
			cof_buf_add(&b, s, 1);
	}
	return text_of(&b);
}

/* ---- JSON ---- */

/* json-c escapes what JSON demands. The rest that could steer a terminal can only stand inside
 * strings, and is valid there in its \u form too. */
static void json_safe(struct cof_buf *b, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	uint32_t c = 0;

	while (*p) {
		size_t len = code_point(p, &c);

		if (!len) {
			b->failed = true; /* cannot be: base/json.c made it UTF-8 */
			return;
		}
		if (c == '\n' || !steers(c))
			cof_buf_add(b, p, len);
		else if (c < 0x10000)
			cof_buf_printf(b, "\\u%04x", c);
		else
			cof_buf_printf(b, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10),
				       0xdc00 + (c & 0x3ff));
		p += len;
	}
}

int print_json(struct cof_json *j, bool pretty)
{
	cof_autobuf struct cof_buf b = {0};
	const char *text = cof_json_text(j, pretty);

	if (text)
		json_safe(&b, text);
	cof_buf_add(&b, "\n", 1);
	if (!text || b.failed)
		return -ENOMEM;
	return fwrite(b.data, 1, b.len, stdout) == b.len ? 0 : -EIO;
}

/* ---- terminal ---- */

const char *colour(enum colour c)
{
	static const char *const codes[] = {
	    [PLAIN] = "\x1b[0m", [BOLD] = "\x1b[1m",   [DIM] = "\x1b[2m",
	    [RED] = "\x1b[31m",  [GREEN] = "\x1b[32m", [YELLOW] = "\x1b[33m",
	};
	static int wanted = -1;

	if (wanted < 0) {
		const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

		wanted = isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb");
	}
	return wanted ? codes[c] : "";
}

bool output_broken(void)
{
	return ferror(stdout) != 0;
}

/* A pipe or socket whose reader went away. */
static bool reader_left(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

int output_finish(void)
{
	bool failed = output_broken();
	int err = EIO;

	if (fflush(stdout) == EOF) {
		failed = true;
		err = errno;
	}
	if (!failed || err == EPIPE || reader_left())
		return 0;
	complain("cannot write everything to standard output: %s", strerror(err));
	return -err;
}
