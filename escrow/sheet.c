/* SPDX-License-Identifier: Apache-2.0 */
/* Sheets as HTML. What comes from the scheme is anybody's text, and escaped. */
#include "escrow/sheet-private.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#define COLUMNS 3

static const char style[] =
    "@page{size:A4;margin:14mm 15mm}"
    "body{font-family:\"Noto Sans CJK TC\",\"Noto Sans CJK KR\",\"WenQuanYi Zen Hei\",\"DejaVu Sans\",sans-serif;"
    "font-size:9.5pt;line-height:1.35;margin:0;color:#000}"
    ".sheet{page-break-after:always}.sheet:last-child{page-break-after:auto}"
    "h1{font-size:17pt;margin:0 0 1mm}h2{font-size:11pt;margin:4mm 0 1mm}"
    ".secret{border:.7mm solid #000;padding:1.5mm 3mm;font-weight:bold;margin:0 0 3mm}"
    ".rehearsal{background:#000;color:#fff;padding:1.5mm 3mm;font-weight:bold;margin:0 0 3mm}"
    "table{border-collapse:collapse}.facts td{padding:.2mm 5mm .2mm 0;vertical-align:top}"
    ".facts td:first-child{font-weight:bold;white-space:nowrap}"
    ".words td{font-family:\"DejaVu Sans Mono\",monospace;font-size:11pt;padding:.7mm 6mm .7mm 0;white-space:nowrap}"
    ".number{color:#555;font-size:8.5pt}.mono{font-family:\"DejaVu Sans Mono\",monospace;font-size:8.5pt}"
    ".code{width:58mm;height:58mm}.side{vertical-align:top;padding:0}.said{font-size:8pt;width:58mm}"
    "li .mono{white-space:nowrap}ol{margin:0;padding-left:6mm}li{margin-bottom:.7mm}.call{font-size:12pt;font-weight:bold}";

const char *cof_language_code(enum cof_language l)
{
	return cof_sheet_texts[l].code;
}

int cof_language_find(const char *code)
{
	for (int l = 0; l < COF_LANGUAGES; l++)
		if (!strcmp(code, cof_sheet_texts[l].code))
			return l;
	return -EINVAL;
}

static void put(struct cof_buf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '&' || *text == '<' || *text == '>' || *text == '"')
			cof_buf_printf(b, "&#%d;", *text);
		else if ((unsigned char)*text >= 0x20)
			cof_buf_add(b, text, 1);
	}
}

static void row(struct cof_buf *b, const char *name, const char *value)
{
	cof_buf_printf(b, "<tr><td>%s</td><td>", name);
	put(b, value);
	cof_buf_printf(b, "</td></tr>");
}

/* ---- the parts ---- */

static void facts(struct cof_buf *b, const struct cof_epoch *e, unsigned holder, const struct cof_sheet_text *t)
{
	const struct cof_custodian *c = &e->scheme.custodian[holder];
	const struct cof_scheme_group *g = &e->scheme.group[c->group];
	const time_t made = (time_t)(e->created / COF_NSEC);
	char text[256], hex[65], day[16] = "";
	struct tm tm;

	cof_buf_printf(b, "<table class=\"facts\">");
	snprintf(text, sizeof(text), "%u (%s)", e->number, e->scheme.name);
	row(b, t->epoch, text);
	row(b, t->custodian, c->name);
	row(b, t->person, c->person);
	row(b, t->place, c->place);
	snprintf(text, sizeof(text), t->groups, g->name, g->threshold, g->members, e->scheme.threshold, e->scheme.n_groups);
	row(b, t->group, text);
	if (gmtime_r(&made, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	row(b, t->made, day);
	cof_hex(e->holder[holder].commitment, 32, hex);
	cof_buf_printf(b, "<tr><td>%s</td><td class=\"mono\">", t->fingerprint);
	for (int i = 0; i < 64; i += 4)
		cof_buf_printf(b, "%s%.4s", i ? " " : "", hex + i);
	cof_buf_printf(b, "</td></tr></table>");
}

/* Down the first column, then the next. */
static void words_table(struct cof_buf *b, const char *words)
{
	const char *word[COF_SLIP39_WORDS];
	unsigned n = 0, rows;

	for (const char *at = words; *at && n < COF_SLIP39_WORDS; n++) {
		word[n] = at;
		at += strcspn(at, " ");
		at += *at == ' ';
	}
	rows = (n + COLUMNS - 1) / COLUMNS;
	cof_buf_printf(b, "<table class=\"words\">");
	for (unsigned y = 0; y < rows; y++) {
		cof_buf_printf(b, "<tr>");
		for (unsigned i = y; i < n; i += rows)
			cof_buf_printf(b, "<td><span class=\"number\">%u.</span> %.*s</td>", i + 1, (int)strcspn(word[i], " "), word[i]);
		cof_buf_printf(b, "</tr>");
	}
	cof_buf_printf(b, "</table>");
}

static int code(struct cof_buf *b, const char *words)
{
	char upper[COF_SLIP39_TEXT];
	size_t n = strlen(words);
	int r;

	if (n >= sizeof(upper))
		return -EINVAL;
	for (size_t i = 0; i <= n; i++)
		upper[i] = (char)toupper((unsigned char)words[i]);
	r = cof_sheet_qr(upper, b);
	explicit_bzero(upper, sizeof(upper));
	return r;
}

static void instructions(struct cof_buf *b, const struct cof_epoch *e, const struct cof_sheet *s, const struct cof_sheet_text *t)
{
	cof_buf_printf(b, "<h2>%s</h2><ol>", t->todo);
	for (int i = 0; i < COF_SHEET_STEPS && t->step[i]; i++) {
		cof_buf_printf(b, "<li>%s</li>", t->step[i]);
		if (i || !s->challenge)
			continue;
		cof_buf_printf(b, "<li>%s <span class=\"mono\">coffer share prove --nonce ", t->confirm);
		put(b, s->challenge);
		cof_buf_printf(b, "</span></li>");
	}
	if (e->passphrase)
		cof_buf_printf(b, "<li>%s</li>", t->passphrase);
	cof_buf_printf(b, "</ol><h2>%s</h2><div class=\"call\">", t->call);
	put(b, *e->scheme.call ? e->scheme.call : t->call_nobody);
	cof_buf_printf(b, "</div>");
}

static int page(struct cof_buf *b, const struct cof_epoch *e, const struct cof_sheet *s, const struct cof_sheet_text *t)
{
	int r;

	cof_buf_printf(b, "<div class=\"sheet\"><h1>%s</h1>", t->title);
	if (e->rehearsal)
		cof_buf_printf(b, "<div class=\"rehearsal\">%s</div>", t->rehearsal);
	cof_buf_printf(b, "<div class=\"secret\">%s</div>", t->secret);
	facts(b, e, s->holder, t);
	cof_buf_printf(b, "<h2>%s</h2><table><tr><td class=\"side\">", t->words);
	words_table(b, s->words);
	cof_buf_printf(b, "</td><td class=\"side\">");
	r = code(b, s->words);
	cof_buf_printf(b, "<div class=\"said\">%s</div></td></tr></table>", t->code_says);
	instructions(b, e, s, t);
	cof_buf_printf(b, "</div>");
	return r;
}

int cof_sheet_html(const struct cof_epoch *e, const struct cof_sheet *sheets, size_t n, enum cof_language l, struct cof_buf *ret)
{
	const struct cof_sheet_text *t = &cof_sheet_texts[l];
	int r = 0;

	cof_buf_printf(ret, "<!DOCTYPE html><html lang=\"%s\"><head><meta charset=\"utf-8\"><title>%s</title><style>%s</style></head><body>",
		       t->code, t->title, style);
	for (size_t i = 0; i < n && r == 0; i++)
		r = page(ret, e, &sheets[i], t);
	cof_buf_printf(ret, "</body></html>\n");
	return r == 0 && ret->failed ? -ENOMEM : r;
}
