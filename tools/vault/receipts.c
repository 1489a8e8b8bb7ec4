/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault has signed, in its copy's receipts/, each by its SHA-256 and never removed; and which of that the host has
 * not on record yet (docs/vault-protocol.md 8): those are sent with every session, until the host's own log has them.
 */
#include <stdio.h>

#include "fs/rules/receipt.h"
#include "tools/vault/internal.h"

#define DIR_NAME "receipts"
#define UNTOLD DIR_NAME "/untold" /* a digest a line */
#define LINE (2 * COF_HASH + 1)
#define UNTOLD_MAX (16u << 20) /* a quarter of a million of them */
#define TIMES "\nbegun "	 /* behind it two receipts of the same may differ */
#define PATH (2 * COF_HASH + 32)

static void digest_line(const uint8_t digest[COF_HASH], char out[LINE + 1])
{
	cof_hex(digest, COF_HASH, out);
	memcpy(out + LINE - 1, "\n", 2);
}

static int load(struct cof_io *io, struct cof_buf *ret)
{
	cof_autofree uint8_t *text = NULL;
	size_t n = 0;
	int r = cof_io_load(io, UNTOLD, UNTOLD_MAX, &text, &n);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && n % LINE)
		r = -EUCLEAN;
	if (r == 0 && n)
		cof_buf_add(ret, text, n);
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}

static bool has(const struct cof_buf *lines, const char *line)
{
	for (size_t at = 0; at < lines->len; at += LINE)
		if (!memcmp(lines->data + at, line, LINE))
			return true;
	return false;
}

static void path_of(const void *line, char ret[PATH])
{
	snprintf(ret, PATH, DIR_NAME "/%.*s.receipt", (int)LINE - 1, (const char *)line);
}

/* A cut between the line and its text leaves a line of nothing, which was the last. */
static int drop_empty(struct cof_io *io, struct cof_buf *lines)
{
	char path[PATH];
	int r;

	if (!lines->len)
		return 0;
	path_of(lines->data + lines->len - LINE, path);
	r = cof_io_exists(io, path);
	if (r == 0)
		lines->len -= LINE;
	return r < 0 ? r : 0;
}

/* The line before the text: what is kept is in there, or the host has it on record. */
int vault_receipt_keep(struct cof_io *io, const void *text, size_t n, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf lines = {0};
	uint8_t digest[COF_HASH];
	char line[LINE + 1], path[PATH];
	int r = cof_io_mkdir(io, DIR_NAME);

	if (r == 0)
		r = cof_io_sync_dir(io, "");
	cof_sha256(text, n, digest);
	digest_line(digest, line);
	path_of(line, path);
	if (r == 0 || r == -EEXIST)
		r = load(io, &lines);
	if (r == 0)
		r = drop_empty(io, &lines);
	if (r == 0 && !has(&lines, line)) {
		cof_buf_add(&lines, line, LINE);
		r = lines.failed ? -ENOMEM : cof_io_replace(io, UNTOLD, lines.data, lines.len);
	}
	if (r == 0)
		r = cof_io_replace(io, path, text, n);
	return r < 0 ? cof_fail(diag, r, "%s/" DIR_NAME " cannot be written: %s", cof_io_where(io), strerror(-r)) : 0;
}

int vault_receipts_told(struct cof_io *io, const uint8_t (*digest)[COF_HASH], size_t n)
{
	cof_autobuf struct cof_buf lines = {0}, told = {0}, left = {0};
	char line[LINE + 1];
	int r = n ? load(io, &lines) : 0;

	if (r < 0 || !lines.len)
		return r;
	for (size_t i = 0; i < n; i++) {
		digest_line(digest[i], line);
		cof_buf_add(&told, line, LINE);
	}
	for (size_t at = 0; at < lines.len; at += LINE)
		if (!has(&told, (const char *)lines.data + at))
			cof_buf_add(&left, lines.data + at, LINE);
	if (told.failed || left.failed)
		return -ENOMEM;
	return left.len == lines.len ? 0 : left.len ? cof_io_replace(io, UNTOLD, left.data, left.len) : cof_io_unlink(io, UNTOLD);
}

int vault_receipts_turn(struct cof_io *io)
{
	const size_t sent = (size_t)VAULT_RECEIPTS * LINE;
	cof_autobuf struct cof_buf lines = {0}, turned = {0};
	int r = load(io, &lines);

	if (r == 0)
		r = drop_empty(io, &lines);
	if (r < 0 || lines.len <= sent)
		return r;
	cof_buf_add(&turned, lines.data + sent, lines.len - sent);
	cof_buf_add(&turned, lines.data, sent);
	return turned.failed ? -ENOMEM : cof_io_replace(io, UNTOLD, turned.data, turned.len);
}

int vault_receipt_untold(struct cof_io *io, size_t i, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf lines = {0};
	cof_autofree uint8_t *text = NULL;
	char path[PATH];
	size_t n = 0;
	int r = load(io, &lines);

	if (r == 0)
		r = drop_empty(io, &lines);
	if (r < 0)
		return r;
	if (i >= lines.len / LINE)
		return -ENOENT;
	path_of(lines.data + i * LINE, path);
	r = cof_io_load(io, path, COF_RECEIPT_MAX, &text, &n);
	if (r < 0 || !n)
		return r == -ENOENT || r == 0 ? -EUCLEAN : r;
	cof_buf_add(ret, text, n);
	return ret->failed ? -ENOMEM : 0;
}

/* ---- the same once more ---- */

/* False: it is of no destruction. */
static bool without_times(const void *text, size_t n, uint8_t ret[COF_HASH])
{
	const char *times = n ? memmem(text, n, TIMES, strlen(TIMES)) : NULL;

	if (!times)
		return false;
	cof_sha256(text, (size_t)(times - (const char *)text), ret);
	return true;
}

struct looking {
	struct cof_io *io;
	struct cof_buf *ret;
};

static int look_one(void *user, const char *name)
{
	struct looking *l = user;
	cof_autofree uint8_t *text = NULL;
	uint8_t digest[COF_HASH];
	char path[PATH];
	size_t n = 0;
	int r;

	if (strlen(name) != LINE - 1 + strlen(".receipt") || strcmp(name + LINE - 1, ".receipt") != 0)
		return 0;
	path_of(name, path);
	r = cof_io_load(l->io, path, COF_RECEIPT_MAX, &text, &n);
	if (r == 0 && without_times(text, n, digest))
		cof_buf_add(l->ret, digest, sizeof(digest));
	return r == -ENOMEM || l->ret->failed ? -ENOMEM : 0; /* one that cannot be read is signed again */
}

int vault_receipts_signed(struct cof_io *io, struct cof_buf *ret)
{
	int r = cof_io_list(io, DIR_NAME, look_one, &(struct looking){io, ret});

	return r == -ENOENT ? 0 : r;
}

bool vault_receipt_is_signed(const struct cof_buf *signed_ones, const void *text, size_t n)
{
	uint8_t digest[COF_HASH];

	if (!without_times(text, n, digest))
		return false;
	for (size_t at = 0; at < signed_ones->len; at += COF_HASH)
		if (!memcmp(signed_ones->data + at, digest, COF_HASH))
			return true;
	return false;
}
