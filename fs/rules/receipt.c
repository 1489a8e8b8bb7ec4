/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   coffer-vault-destroyed/1
 *   archive ID, vault VKEY, request ID, size N, root HEX, first N, last N, objects FIRST+COUNT …, from N, leaves N,
 *   frames N, bytes N, key none|file|tpm2, method zeros-read-back, begun TIME, ended TIME: a line each
 *   signature BASE64         Ed25519 by the vault's key over all lines before
 *
 * What is read has to be what would be written: no text but one says the same.
 */
#include "fs/rules/receipt.h"

#include <stdio.h>

#define FIRST "coffer-vault-destroyed/1\n"
#define METHOD "zeros-read-back"
#define INODES (UINT64_C(1) << 48)

static const char *const key_names[] = {"none", "file", "tpm2"};

void cof_receipt_done(struct cof_receipt *r)
{
	free(r->range);
	r->range = NULL;
	r->n = 0;
}

int cof_receipt_add(struct cof_receipt *r, uint64_t inode)
{
	struct cof_inode_range *last = r->n ? &r->range[r->n - 1] : NULL, *more;

	if (last && inode == last->first + last->count) {
		last->count++;
		return 0;
	}
	if (last && inode < last->first + last->count)
		return -EINVAL;
	if (r->n == COF_RECEIPT_RANGES)
		return -E2BIG;
	more = realloc(r->range, (r->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->range = more;
	more[r->n++] = (struct cof_inode_range){inode, 1};
	return 0;
}

uint64_t cof_receipt_objects(const struct cof_receipt *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->range[i].count;
	return n;
}

bool cof_receipt_names(const struct cof_receipt *r, uint64_t inode)
{
	for (size_t i = 0; i < r->n; i++)
		if (inode >= r->range[i].first && inode - r->range[i].first < r->range[i].count)
			return true;
	return false;
}

/* ---- writing ---- */

static void put_text(const struct cof_receipt *r, struct cof_buf *b)
{
	char archive[33], request[65], root[2 * COF_HASH + 1], vkey[COF_VKEY_MAX], begun[32], ended[32];

	cof_hex(r->archive, 16, archive);
	cof_hex(r->request, 32, request);
	cof_hex(r->root, COF_HASH, root);
	cof_vkey_text(&r->vkey, vkey);
	cof_time_text(r->begun, begun);
	cof_time_text(r->ended, ended);
	cof_buf_printf(b, FIRST "archive %s\nvault %s\nrequest %s\nsize %llu\nroot %s\nfirst %llu\nlast %llu\nobjects", archive, vkey, request,
		       (unsigned long long)r->size, root, (unsigned long long)r->first, (unsigned long long)r->last);
	for (size_t i = 0; i < r->n; i++)
		cof_buf_printf(b, " %llu+%llu", (unsigned long long)r->range[i].first, (unsigned long long)r->range[i].count);
	cof_buf_printf(b, "\nfrom %llu\nleaves %llu\nframes %llu\nbytes %llu\nkey %s\nmethod " METHOD "\nbegun %s\nended %s\n",
		       (unsigned long long)r->from, (unsigned long long)r->leaves, (unsigned long long)r->frames, (unsigned long long)r->bytes,
		       key_names[r->key], begun, ended);
}

static void put_signature(const uint8_t signature[64], struct cof_buf *b)
{
	char text[96];

	cof_base64(signature, 64, text);
	cof_buf_printf(b, "signature %s\n", text);
}

int cof_receipt_sign(const struct cof_receipt *r, const uint8_t seed[32], struct cof_buf *ret)
{
	uint8_t signature[64];
	size_t at = ret->len;
	int err;

	put_text(r, ret);
	if (ret->failed)
		return -ENOMEM;
	err = cof_ed25519_sign(seed, ret->data + at, ret->len - at, signature);
	if (err < 0)
		return err;
	put_signature(signature, ret);
	return ret->failed ? -ENOMEM : ret->len - at > COF_RECEIPT_MAX ? -E2BIG : 0;
}

/* ---- reading ---- */

static int number(const char *text, char **end, uint64_t *ret)
{
	if (*text < '0' || *text > '9')
		return -EUCLEAN;
	errno = 0;
	*ret = strtoull(text, end, 10);
	return errno ? -EUCLEAN : 0;
}

static int whole_number(const char *text, uint64_t *ret)
{
	char *end = NULL;
	int r = number(text, &end, ret);

	return r < 0 || *end ? -EUCLEAN : 0;
}

static int objects(const char *text, struct cof_receipt *r)
{
	uint64_t end_before = 0;

	for (;;) {
		struct cof_inode_range one, *more;
		char *end = NULL;

		if (number(text, &end, &one.first) < 0 || *end != '+' || number(end + 1, &end, &one.count) < 0 || !one.first || !one.count ||
		    one.first >= INODES || one.count > INODES - one.first || one.first < end_before || r->n == COF_RECEIPT_RANGES)
			return -EUCLEAN;
		end_before = one.first + one.count + 1; /* what touches is one range */
		more = realloc(r->range, (r->n + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->range = more;
		more[r->n++] = one;
		if (!*end)
			return 0;
		if (*end != ' ')
			return -EUCLEAN;
		text = end + 1;
	}
}

static int key_of(const char *text, enum cof_receipt_key *ret)
{
	for (size_t i = 0; i < COF_COUNT(key_names); i++)
		if (!strcmp(text, key_names[i])) {
			*ret = (enum cof_receipt_key)i;
			return 0;
		}
	return -EUCLEAN;
}

static int take(struct cof_receipt *r, const char *key, const char *value)
{
	const struct {
		const char *key;
		uint64_t *to;
	} numbers[] = {{"size", &r->size},     {"first", &r->first},   {"last", &r->last},   {"from", &r->from},
		       {"leaves", &r->leaves}, {"frames", &r->frames}, {"bytes", &r->bytes}};
	const struct {
		const char *key;
		uint8_t *to;
		size_t n;
	} digests[] = {{"archive", r->archive, 16}, {"request", r->request, 32}, {"root", r->root, COF_HASH}};

	for (size_t i = 0; i < COF_COUNT(numbers); i++)
		if (!strcmp(key, numbers[i].key))
			return whole_number(value, numbers[i].to);
	for (size_t i = 0; i < COF_COUNT(digests); i++)
		if (!strcmp(key, digests[i].key))
			return strlen(value) == 2 * digests[i].n ? cof_unhex(value, 2 * digests[i].n, digests[i].to) : -EUCLEAN;
	if (!strcmp(key, "vault"))
		return cof_vkey_parse(value, &r->vkey);
	if (!strcmp(key, "objects"))
		return objects(value, r);
	if (!strcmp(key, "key"))
		return key_of(value, &r->key);
	if (!strcmp(key, "begun") || !strcmp(key, "ended"))
		return cof_time_parse(value, *key == 'b' ? &r->begun : &r->ended);
	return !strcmp(key, "method") ? 0 : -EUCLEAN;
}

/* Lines of a key and a value, in whatever order: that it is the right one is seen when it is written once more. */
static int take_lines(char *text, struct cof_receipt *r, uint8_t signature[64])
{
	size_t n = 0, lines = 0;
	char *line, *rest = text + strlen(FIRST);

	while (lines++ < 20 && (line = strsep(&rest, "\n")) && rest) {
		char *value = strchr(line, ' ');
		int err;

		if (!value)
			return -EUCLEAN;
		*value++ = 0;
		if (!strcmp(line, "objects") && r->n)
			return -EUCLEAN;
		if (!strcmp(line, "signature"))
			return strlen(value) < 96 && cof_unbase64(value, strlen(value), signature, 64, &n) == 0 && n == 64 && !*rest ? 0 : -EUCLEAN;
		err = take(r, line, value);
		if (err < 0)
			return err == -ENOMEM ? err : -EUCLEAN;
	}
	return -EUCLEAN;
}

static int parse(const void *text, size_t n, struct cof_receipt *r, uint8_t signature[64], size_t *ret_signed)
{
	cof_autofree char *copy = NULL;
	cof_autobuf struct cof_buf again = {0};
	int err;

	if (n > COF_RECEIPT_MAX || n < strlen(FIRST) || memcmp(text, FIRST, strlen(FIRST)) != 0 || memchr(text, 0, n))
		return -EUCLEAN;
	copy = strndup(text, n);
	err = copy ? take_lines(copy, r, signature) : -ENOMEM;
	if (err == 0 && (r->vkey.algorithm != COF_NOTE_COSIG || !r->n || r->first > r->last || r->last >= r->size))
		err = -EUCLEAN;
	if (err < 0)
		return err;
	put_text(r, &again);
	*ret_signed = again.len;
	put_signature(signature, &again);
	if (again.failed)
		return -ENOMEM;
	return again.len == n && !memcmp(again.data, text, n) ? 0 : -EUCLEAN;
}

int cof_receipt_read(const void *text, size_t n, struct cof_receipt *ret, struct cof_diag *diag)
{
	struct cof_receipt r = {.size = 0};
	uint8_t signature[64];
	size_t signed_n = 0;
	int err = parse(text, n, &r, signature, &signed_n);

	if (err == 0 && cof_ed25519_verify(r.vkey.public_key, text, signed_n, signature) < 0)
		err = -EKEYREJECTED;
	if (err < 0) {
		cof_receipt_done(&r);
		return cof_fail(diag, err, "%s",
				err == -EKEYREJECTED ? "the receipt is not signed with the key that it names: it was altered"
				: err == -EUCLEAN    ? "this is no receipt of a vault that destroyed something, or it was cut"
						     : "out of memory");
	}
	*ret = r;
	return 0;
}
