/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and files of the auditor secrets. A line has always the same length, so that it never passes
 * through memory that grows:
 *
 *   coffer-auditor-secret-1 <archive id, hex> <secret, hex>                          lineage 1, epoch 1
 *   coffer-auditor-secret-2 <archive id, hex> <lineage, 8 hex> <epoch, 16 hex> <secret, hex>
 */
#include "fs/archive/auditor.h"

#include <stdio.h>

#include "crypto/age.h"

#define MAGIC "coffer-auditor-secret-"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define ID_AT (MAGIC_LEN + 2)
#define REST_AT (ID_AT + 33)
#define LINE_1 (REST_AT + 64 + 1)
#define LINE_2 (REST_AT + 9 + 17 + 64 + 1)

_Static_assert(LINE_2 == COF_AUDITOR_LINE, "the longer line");

/* Not cof_hex: it ends with a NUL, and nothing of a secret may pass through other memory. */
static char *put_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	return out;
}

static char *put_number(uint64_t v, size_t bytes, char *out)
{
	uint8_t big[8];

	cof_put_be64(big, v);
	out = put_hex(big + 8 - bytes, bytes, out);
	*out = ' ';
	return out + 1;
}

size_t cof_auditor_line(const uint8_t archive_id[16], const struct cof_auditor *a, char out[COF_AUDITOR_LINE])
{
	bool first = a->lineage == 1 && a->epoch == 1;
	char *at = out;

	memcpy(at, MAGIC, MAGIC_LEN);
	at += MAGIC_LEN;
	*at++ = first ? '1' : '2';
	*at++ = ' ';
	at = put_hex(archive_id, 16, at);
	*at++ = ' ';
	if (!first) {
		at = put_number(a->lineage, 4, at);
		at = put_number(a->epoch, 8, at);
	}
	at = put_hex(a->secret, COF_KEY, at);
	*at++ = '\n';
	return (size_t)(at - out);
}

static int take_number(const char *text, size_t bytes, uint64_t *ret)
{
	uint8_t big[8] = {0};

	if (cof_unhex(text, 2 * bytes, big + 8 - bytes) < 0 || text[2 * bytes] != ' ')
		return -EUCLEAN;
	*ret = cof_get_be64(big);
	return 0;
}

int cof_auditor_parse(const char *line, size_t n, uint8_t ret_archive_id[16], struct cof_auditor *ret)
{
	uint64_t lineage = 1, epoch = 1;
	uint8_t id[16];
	size_t at = REST_AT;

	if (n && line[n - 1] == '\n')
		n--;
	if ((n != LINE_1 - 1 && n != LINE_2 - 1) || memcmp(line, MAGIC, MAGIC_LEN) != 0 ||
	    line[MAGIC_LEN] != (n == LINE_1 - 1 ? '1' : '2') || line[ID_AT - 1] != ' ' || line[REST_AT - 1] != ' ' ||
	    cof_unhex(line + ID_AT, 32, id) < 0)
		return -EUCLEAN;
	if (n == LINE_2 - 1) {
		if (take_number(line + at, 4, &lineage) < 0 || take_number(line + at + 9, 8, &epoch) < 0)
			return -EUCLEAN;
		at += 9 + 17;
	}
	if (!lineage || !epoch || cof_unhex(line + at, 2 * COF_KEY, ret->secret) < 0)
		return -EUCLEAN;
	ret->lineage = (uint32_t)lineage;
	ret->epoch = epoch;
	memcpy(ret_archive_id, id, sizeof(id));
	return 0;
}

/* ---- files ---- */

void cof_auditor_path(uint32_t lineage, char out[64])
{
	if (lineage == 1)
		snprintf(out, 64, "seal/auditor.age");
	else
		snprintf(out, 64, "seal/auditor-%u.age", lineage);
}

/* 0: no such name. */
static uint32_t lineage_of(const char *name)
{
	char again[64];
	unsigned n = 1;

	if (!strcmp(name, "auditor.age"))
		return 1;
	if (sscanf(name, "auditor-%u.age", &n) != 1 || n < 2)
		return 0;
	cof_auditor_path(n, again);
	return strcmp(again + 5, name) ? 0 : n;
}

int cof_auditors_set(struct cof_keys *k, const uint8_t (*recipients)[COF_KEY], size_t n)
{
	uint8_t(*copy)[COF_KEY] = n ? calloc(n, COF_KEY) : NULL;

	if (n && !copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		memcpy(copy[i], recipients[i], COF_KEY);
	free(k->auditors);
	k->auditors = copy;
	k->n_auditors = n;
	return 0;
}

static int try_file(struct cof_io *io, const char *path, const uint8_t *file_key, const char *line, size_t n)
{
	cof_autofree uint8_t *file = NULL;
	cof_autosecret void *plain = NULL;
	void *opened = NULL;
	size_t len = 0, got = 0;
	int r = cof_io_load(io, path, COF_AGE_FILE_MAX, &file, &len);

	if (r == 0)
		r = cof_age_decrypt_by_key(file_key, file, len, &opened, &got);
	plain = opened;
	return r < 0 ? r : got == n && cof_equal(plain, line, n) ? 0 : -EBADMSG;
}

int cof_auditor_put(const struct cof_keys *k, struct cof_io *io, const char *path, const struct cof_auditor *a,
		    struct cof_diag *diag)
{
	cof_autosecret char *line = cof_secret_alloc(COF_AUDITOR_LINE + COF_AGE_FILE_KEY);
	uint8_t *file_key = (uint8_t *)line + COF_AUDITOR_LINE;
	cof_autobuf struct cof_buf b = {0};
	size_t n = 0;
	int r = line ? 0 : -ENOMEM;

	if (r == 0) {
		n = cof_auditor_line(k->archive_id, a, line);
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])k->auditors, k->n_auditors, line, n, file_key, &b);
	}
	if (r == 0)
		r = cof_io_replace(io, path, b.data, b.len);
	if (r == 0)
		r = try_file(io, path, file_key, line, n);
	return r < 0 ? cof_fail(diag, r, "%s/%s cannot be made: %s", cof_io_where(io), path, strerror(-r)) : 0;
}

int cof_auditor_write(const struct cof_keys *k, struct cof_io *io, uint64_t epoch,
		      const uint8_t secret[COF_KEY], struct cof_diag *diag)
{
	cof_autosecret struct cof_auditor *a = NULL;
	char path[64];

	if (!k->n_auditors)
		return 0;
	a = cof_secret_alloc(sizeof(*a));
	if (!a)
		return cof_fail(diag, -ENOMEM, "no secure memory left for the auditor secret");
	a->lineage = k->next.lineage;
	a->epoch = epoch;
	memcpy(a->secret, secret, COF_KEY);
	cof_auditor_path(k->next.lineage, path);
	return cof_auditor_put(k, io, path, a, diag);
}

/* ---- opening ---- */

static int find_one(void *user, const char *name)
{
	struct cof_auditor_files *f = user;
	uint32_t lineage = lineage_of(name);

	if (lineage && f->n < COF_AUDITORS_MAX)
		f->lineage[f->n++] = lineage;
	return 0;
}

int cof_auditor_list(struct cof_io *io, struct cof_auditor_files *ret)
{
	ret->n = 0;
	return cof_io_list(io, "seal", find_one, ret);
}

/* A line from a file of this archive; an age file says nothing of who made it, so that is all there is. */
int cof_auditor_open(struct cof_io *io, const uint8_t id[16], const char *path,
		     const uint8_t (*identities)[32], size_t n, struct cof_auditor *ret, struct cof_diag *diag)
{
	cof_autofree uint8_t *file = NULL;
	cof_autosecret void *plain = NULL;
	void *opened = NULL;
	uint8_t whose[16];
	size_t len = 0, got = 0;
	int r = cof_io_load(io, path, COF_AGE_FILE_MAX, &file, &len);

	if (r == 0)
		r = cof_age_decrypt(identities, n, file, len, &opened, &got);
	plain = opened;
	if (r == 0)
		r = cof_auditor_parse(plain, got, whose, ret);
	if (r == 0 && memcmp(whose, id, 16) != 0)
		r = -EXDEV;
	if (r == -EKEYREJECTED)
		return cof_fail(diag, r, "%s/%s is not sealed to this identity", cof_io_where(io), path);
	if (r == -EXDEV)
		return cof_fail(diag, r, "%s/%s holds the secret of another archive", cof_io_where(io), path);
	return r < 0 ? cof_fail(diag, r, "%s/%s does not open: %s", cof_io_where(io), path, strerror(-r)) : 0;
}

int cof_store_auditors(struct cof_io *io, const uint8_t (*identities)[32], size_t n,
		       struct cof_auditor *ret, size_t *ret_n, struct cof_diag *diag)
{
	struct cof_conf conf;
	struct cof_auditor_files f;
	size_t count = 0;
	int r = cof_conf_load(io, &conf, diag);

	if (r < 0)
		return r;
	r = cof_auditor_list(io, &f);
	if (r == 0 && !f.n)
		r = -ENOENT;
	if (r < 0)
		return cof_fail(diag, r,
				"%s/seal/auditor.age is not there: this archive was made without --auditor, or "
				"somebody removed it (then put a copy there)",
				cof_io_where(io));
	for (size_t i = 0; i < f.n; i++) {
		char path[64];

		cof_auditor_path(f.lineage[i], path);
		/* of another lineage's recipients: what it would lead to stays unchecked, and verify says so */
		r = cof_auditor_open(io, conf.id, path, identities, n, &ret[count], diag);
		count += r == 0;
	}
	if (!count)
		return r;
	*ret_n = count;
	return 0;
}

int cof_auditor_status(struct cof_io *io, struct cof_json *into)
{
	cof_autofree uint8_t *file = NULL;
	struct cof_auditor_files f;
	uint32_t newest = 0;
	size_t len = 0, n = 0;
	struct cof_json *o;
	char path[64];
	int r = cof_auditor_list(io, &f);

	if (r == -ENOENT || (r == 0 && !f.n))
		return 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < f.n; i++)
		newest = COF_MAX(newest, f.lineage[i]);
	cof_auditor_path(newest, path);
	r = cof_io_load(io, path, COF_AGE_FILE_MAX, &file, &len);
	if (r == 0)
		r = cof_age_recipients(file, len, &n, NULL);
	o = cof_json_object();
	cof_json_set_uint(o, "lineage", newest);
	cof_json_set_uint(o, "recipients", n);
	if (r < 0)
		cof_json_set_str(o, "error", "damaged");
	cof_json_set(into, "auditor", o);
	return 0;
}
