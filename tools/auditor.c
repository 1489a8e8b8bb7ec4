/* SPDX-License-Identifier: Apache-2.0 */
/* The auditor secrets as files of their own, and as what a store holds for an auditor's age identity. */
#include "tools/auditor.h"
#include "tools/recovery.h"

#include <fcntl.h>

#define FILE_MAX (COF_AUDITORS_MAX * COF_AUDITOR_LINE)
#define MAGIC "coffer-auditor-secret-"

static int not_one(const char *path, struct cof_diag *diag)
{
	return cof_fail(diag, -EUCLEAN,
			"%s is no auditor secret: a line as coffer init --auditor-secret wrote it, or lines as "
			"age -d gives them",
			path);
}

/* A line for each lineage, all of one archive. */
static int parse_lines(const char *path, const char *text, size_t n, struct auditors *ret, struct cof_diag *diag)
{
	size_t at = 0;

	while (at < n) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end ? (size_t)(end + 1 - (text + at)) : n - at;
		uint8_t id[16];

		if (ret->n == COF_AUDITORS_MAX ||
		    cof_auditor_parse(text + at, len, id, &ret->secret[ret->n]) < 0 ||
		    (ret->n && memcmp(id, ret->archive_id, sizeof(id)) != 0))
			return not_one(path, diag);
		memcpy(ret->archive_id, id, sizeof(id));
		ret->has_id = true;
		ret->n++;
		at += len;
	}
	return ret->n ? 0 : not_one(path, diag);
}

static int from_store(const char *path, const char *store, struct cof_io *io, struct auditors *ret,
		      struct cof_diag *diag)
{
	uint8_t(*keys)[COF_AGE_KEY] = NULL;
	size_t n = 0;
	int r = identities_load(path, store, &keys, &n, diag);

	if (r == 0)
		r = cof_store_auditors(io, (const uint8_t(*)[COF_AGE_KEY])keys, n, ret->secret, &ret->n, diag);
	cof_secret_free(keys);
	return r;
}

int auditors_load(const char *path, const char *store, struct cof_io *io, struct auditors *ret,
		  struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	cof_autosecret char *text = cof_secret_alloc(FILE_MAX);
	size_t n = 0;
	int r;

	ret->n = 0;
	if (!ret->secret)
		ret->secret = cof_secret_alloc(COF_AUDITORS_MAX * sizeof(*ret->secret));
	if (!text || !ret->secret)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the auditor secret");
	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the auditor secret %s: %s", path, strerror(errno));
	r = cof_read_all(fd, text, FILE_MAX, &n);
	if (r < 0 && r != -EFBIG)
		return cof_fail(diag, r, "cannot read the auditor secret %s: %s", path, strerror(-r));
	if (store && r == 0 && (n < sizeof(MAGIC) - 1 || memcmp(text, MAGIC, sizeof(MAGIC) - 1) != 0))
		return from_store(path, store, io, ret, diag);
	return r == -EFBIG ? not_one(path, diag) : parse_lines(path, text, n, ret, diag);
}

void auditors_done(struct auditors *a)
{
	cof_secret_free(a->secret);
	a->secret = NULL;
}
