/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a bundle: what people read in it, what bagging software does, and proofs. */
#include "tools/evidence/internal.h"

#include <ctype.h>
#include <stdio.h>

#define LABEL_MAX 60

static bool label_char(char c)
{
	return isascii(c) && (isalnum(c) || strchr("._-", c));
}

void evidence_label(const char *path, char out[64])
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t n = 0;

	if (*base == '.' || !*base)
		out[n++] = '_';
	for (; *base && n < LABEL_MAX; base++)
		out[n++] = label_char(*base) ? *base : '_';
	out[n] = 0;
}

bool evidence_label_ok(const char *label)
{
	size_t n = strlen(label);

	if (!n || n > LABEL_MAX || *label == '.')
		return false;
	while (*label)
		if (!label_char(*label++))
			return false;
	return true;
}

static const char *said(const struct cof_json *about, const char *key)
{
	const char *text = cof_json_str(about, key);

	return text ? text : "(not said)";
}

int evidence_readme(const struct cof_json *about, struct cof_buf *ret)
{
	int64_t files = 0, disclosure = 0, tree = 0;

	(void)cof_json_int(about, "files", &files);
	(void)cof_json_int(about, "disclosure", &disclosure);
	(void)cof_json_int(about, "tree", &tree);
	cof_buf_printf(ret,
		       "Evidence from an archive%s\n\n"
		       "%lld file%s of the archive %s (%s),\n"
		       "given to: %s\nbasis:    %s\nmade at:  %s\non record there as entry %lld.\n\n",
		       cof_json_bool(about, "rehearsal") ? " (made to practise, no disclosure)" : "", (long long)files,
		       files == 1 ? "" : "s", said(about, "origin"), said(about, "archive"), said(about, "to"), said(about, "basis"),
		       said(about, "created"), (long long)disclosure);
	cof_buf_printf(ret,
		       "files/1/content/NAME is the first file as it was written. Beside it are the entries of the\n"
		       "archive's log that it was written by (*.frames), the proof for each that it is entry N of a log of\n"
		       "%lld entries (*.tlog-proof), and the keys that open these entries and no others (file.json).\n"
		       "checkpoint is the head of that log, with the signatures under it.\n\n"
		       "How to check it, without the archive and without a network:\n"
		       "  coffer evidence check FILE.tar --log-key KEY --vault-key KEY\n"
		       "or verify.html of the same program in a browser. Get that page, and the keys, from somewhere else than\n"
		       "this bundle: from the archive's published documents, a regulator, or whoever runs its vaults. The keys\n"
		       "named in bundle.json are only what the maker of this bundle says they are.\n\n"
		       "What it then shows: these bytes, whole and in this order, were in the log when a vault signed its head.\n"
		       "What it does not: that what somebody wrote there is true. Names of files and who wrote them\n"
		       "(file.json) are said by the host and proven by nothing in here. Without a vault's signature the host\n"
		       "itself could have rewritten all of it before it signed.\n",
		       (long long)tree);
	return ret->failed ? -ENOMEM : 0;
}

static bool one_line(const char *text)
{
	return text && *text && !strpbrk(text, "\n\r");
}

int evidence_bag_info(const struct cof_json *about, uint64_t octets, uint64_t count, struct cof_buf *ret)
{
	const char *created = cof_json_str(about, "created"), *archive = cof_json_str(about, "archive");
	const char *origin = cof_json_str(about, "origin");
	int64_t disclosure = 0;

	if (!created || strlen(created) < 10 || !one_line(created) || !one_line(archive) || !one_line(origin) ||
	    cof_json_int(about, "disclosure", &disclosure) < 0)
		return -EUCLEAN;
	cof_buf_printf(ret,
		       "Bagging-Date: %.10s\nBag-Software-Agent: coffer\nExternal-Identifier: coffer:%s:%lld\n"
		       "Payload-Oxum: %llu.%llu\nSource-Organization: %s\n",
		       created, archive, (long long)disclosure, (unsigned long long)octets, (unsigned long long)count, origin);
	return ret->failed ? -ENOMEM : 0;
}

void evidence_line(const uint8_t digest[COF_HASH], const char *name, struct cof_buf *ret)
{
	char hex[2 * COF_HASH + 1];

	cof_hex(digest, COF_HASH, hex);
	cof_buf_printf(ret, "%s  %s\n", hex, name);
}

/* ---- proofs ---- */

int evidence_proof_text(uint64_t index, const uint8_t (*proof)[COF_HASH], size_t n, const char *note, struct cof_buf *ret)
{
	char text[64];

	cof_buf_printf(ret, TLOG_PROOF "index %llu\n", (unsigned long long)index);
	for (size_t i = 0; i < n; i++) {
		cof_base64(proof[i], COF_HASH, text);
		cof_buf_printf(ret, "%s\n", text);
	}
	cof_buf_printf(ret, "\n%s", note);
	return ret->failed ? -ENOMEM : 0;
}

static int parse_index(const char **at, const char *end, uint64_t *ret)
{
	const char *p = *at;
	uint64_t v = 0;
	size_t n = 0;

	while (p + n < end && p[n] >= '0' && p[n] <= '9' && n < 19)
		v = v * 10 + (uint64_t)(p[n++] - '0');
	if (!n || (n > 1 && *p == '0') || p + n == end || p[n] != '\n')
		return -EUCLEAN;
	*at = p + n + 1;
	*ret = v;
	return 0;
}

int evidence_proof_parse(const char *text, size_t n, struct evidence_proof *ret)
{
	const char *at = text, *end = text + n;
	size_t head = strlen(TLOG_PROOF "index "), line = 44;

	ret->n = 0;
	if (n < head || memcmp(text, TLOG_PROOF "index ", head) != 0)
		return -EUCLEAN;
	at += head;
	if (parse_index(&at, end, &ret->index) < 0)
		return -EUCLEAN;
	while (at < end && *at != '\n') {
		size_t got = 0;

		if (ret->n == COF_PROOF_MAX || (size_t)(end - at) <= line || at[line] != '\n' ||
		    cof_unbase64(at, line, ret->hash[ret->n], COF_HASH, &got) < 0 || got != COF_HASH)
			return -EUCLEAN;
		ret->n++;
		at += line + 1;
	}
	if (at == end)
		return -EUCLEAN;
	ret->note = at + 1;
	ret->note_len = (size_t)(end - at - 1);
	return 0;
}
