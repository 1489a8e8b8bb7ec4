/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in XML: read by libexpat, which is included here alone, within bounds, and without
 * document types, so without entities of their own. */
#include <expat.h>
#include <stdio.h>

#include "tools/s3/internal.h"

struct reading {
	XML_Parser parser;
	s3_xml_fn fn;
	void *user;
	char path[256];
	unsigned depth;
	size_t ends[S3_XML_DEPTH + 1]; /* of the path, before each level */
	char text[S3_XML_TEXT + 1];
	size_t text_len;
	bool leaf; /* nothing ended within the element that is open */
	int r;
};

static void stop(struct reading *x, int r)
{
	if (x->r == 0)
		x->r = r;
	XML_StopParser(x->parser, XML_FALSE);
}

static void XMLCALL begins(void *user, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *x = user;
	const char *colon = strrchr(name, ':');
	size_t at = strlen(x->path);

	(void)attributes;
	name = colon ? colon + 1 : name;
	if (x->depth == S3_XML_DEPTH || at + strlen(name) + 2 > sizeof(x->path)) {
		stop(x, -EBADMSG);
		return;
	}
	x->ends[x->depth++] = at;
	snprintf(x->path + at, sizeof(x->path) - at, "%s%s", at ? "/" : "", name);
	x->text_len = 0;
	x->leaf = true;
}

static void XMLCALL ends(void *user, const XML_Char *name)
{
	struct reading *x = user;
	char *text = x->text;
	int r;

	(void)name;
	if (x->r)
		return;
	if (!x->leaf)
		x->text_len = 0;
	while (x->text_len && strchr(" \t\r\n", x->text[x->text_len - 1]))
		x->text_len--;
	x->text[x->text_len] = 0;
	text += strspn(text, " \t\r\n");
	r = x->fn(x->user, x->path, text);
	if (r) {
		stop(x, r);
		return;
	}
	x->path[x->ends[--x->depth]] = 0;
	x->text_len = 0;
	x->leaf = false;
}

static void XMLCALL text(void *user, const XML_Char *s, int n)
{
	struct reading *x = user;

	if (!x->leaf || n < 0)
		return;
	if ((size_t)n > S3_XML_TEXT - x->text_len) {
		stop(x, -EBADMSG);
		return;
	}
	memcpy(x->text + x->text_len, s, (size_t)n);
	x->text_len += (size_t)n;
}

static void XMLCALL doctype(void *user, const XML_Char *name, const XML_Char *system,
			    const XML_Char *public, int has)
{
	(void)name, (void)system, (void)public, (void)has;
	stop(user, -EBADMSG);
}

int s3_xml_parse(const void *p, size_t n, s3_xml_fn fn, void *user)
{
	struct reading *x = calloc(1, sizeof(*x));
	int r = -ENOMEM;

	if (!x || n > S3_ANSWER_MAX) {
		free(x);
		return n > S3_ANSWER_MAX ? -EBADMSG : -ENOMEM;
	}
	x->fn = fn;
	x->user = user;
	x->parser = XML_ParserCreate("UTF-8");
	if (x->parser) {
		XML_SetUserData(x->parser, x);
		XML_SetElementHandler(x->parser, begins, ends);
		XML_SetCharacterDataHandler(x->parser, text);
		XML_SetStartDoctypeDeclHandler(x->parser, doctype);
		r = XML_Parse(x->parser, p, (int)n, 1) == XML_STATUS_OK && !x->r ? 0
		    : x->r                                                       ? x->r
										 : -EBADMSG;
		XML_ParserFree(x->parser);
	}
	free(x);
	return r;
}

/* ---- what is looked for in it ---- */

struct finding {
	const char *path;
	char *out;
	size_t cap;
	bool found;
};

static int find(void *user, const char *path, const char *value)
{
	struct finding *f = user;

	if (f->found || strcmp(path, f->path))
		return 0;
	f->found = true;
	snprintf(f->out, f->cap, "%s", value);
	return 0;
}

int s3_xml_find(const void *p, size_t n, const char *path, char *out, size_t cap)
{
	struct finding f = {.path = path, .out = out, .cap = cap};

	*out = 0;
	return s3_xml_parse(p, n, find, &f);
}

#define LIST "ListVersionsResult/"

struct paging {
	s3_list_fn fn;
	void *user;
	struct s3_page page;
	char key[S3_FOUND_MAX + 1], version[S3_VERSION_MAX], etag[S3_ETAG_MAX];
	uint64_t size;
	int64_t modified;
	bool latest, whole;
};

/* A key as encoding-type=url gives it. */
static int decode(const char *in, char *out, size_t cap)
{
	size_t n = 0;

	for (; *in; in++) {
		uint8_t c = (uint8_t)*in;

		if (c == '%') {
			if (!in[1] || !in[2] || cof_unhex(in + 1, 2, &c) < 0 || !c)
				return -EBADMSG;
			in += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (n + 1 >= cap)
			return -EBADMSG;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return 0;
}

static int copy(const char *in, char *out, size_t cap)
{
	return snprintf(out, cap, "%s", in) < (int)cap ? 0 : -EBADMSG;
}

static int number(const char *in, uint64_t *ret)
{
	char *end = NULL;

	errno = 0;
	*ret = strtoull(in, &end, 10);
	return errno || end == in || *end || *in == '-' ? -EBADMSG : 0;
}

static int entry(struct paging *g, bool marker)
{
	struct s3_listed v = {.key = g->key,
			      .version = g->version,
			      .etag = g->etag,
			      .size = g->size,
			      .modified = g->modified,
			      .marker = marker,
			      .latest = g->latest};
	int r = *g->key && *g->version ? g->fn(g->user, &v) : -EBADMSG;

	g->key[0] = g->version[0] = g->etag[0] = 0;
	g->size = 0;
	g->modified = 0;
	g->latest = false;
	return r;
}

static int one(void *user, const char *path, const char *value)
{
	struct paging *g = user;
	bool marker;

	if (!strcmp(path, "ListVersionsResult"))
		g->whole = true;
	if (strncmp(path, LIST, strlen(LIST)))
		return 0;
	path += strlen(LIST);
	if (!strcmp(path, "IsTruncated"))
		g->page.more = !strcmp(value, "true");
	else if (!strcmp(path, "NextKeyMarker"))
		return decode(value, g->page.key, sizeof(g->page.key));
	else if (!strcmp(path, "NextVersionIdMarker"))
		return copy(value, g->page.version, sizeof(g->page.version));
	marker = !strncmp(path, "DeleteMarker", 12);
	if (!marker && strncmp(path, "Version", 7))
		return 0;
	path += marker ? 12 : 7;
	if (!*path)
		return entry(g, marker);
	if (!strcmp(path, "/Key"))
		return decode(value, g->key, sizeof(g->key));
	if (!strcmp(path, "/VersionId"))
		return copy(value, g->version, sizeof(g->version));
	if (!strcmp(path, "/ETag"))
		return copy(value, g->etag, sizeof(g->etag));
	if (!strcmp(path, "/Size"))
		return number(value, &g->size);
	if (!strcmp(path, "/LastModified") && cof_time_parse(value, &g->modified) < 0)
		g->modified = 0;
	if (!strcmp(path, "/IsLatest"))
		g->latest = !strcmp(value, "true");
	return 0;
}

int s3_page_parse(const void *p, size_t n, s3_list_fn fn, void *user, struct s3_page *ret)
{
	struct paging g = {.fn = fn, .user = user};
	int r = s3_xml_parse(p, n, one, &g);

	if (r == 0 && (!g.whole || (g.page.more && !*g.page.key)))
		r = -EBADMSG;
	if (r == 0)
		*ret = g.page;
	return r;
}
