/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle in one pass, entry by entry: what an entry is hashed to goes into the manifest, which waits in a temporary file
 * until all of them are there. The frames are read where they lie, checked, and never believed before.
 */
#include "tools/evidence/maker.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define OUT_BUFFER (256u << 10)

/* ---- bytes out ---- */

static int flush(struct evidence_maker *m)
{
	int r = m->out_len ? cof_write_all(m->fd, m->out, m->out_len) : 0;

	m->out_len = 0;
	return r;
}

static int put_raw(void *user, const void *p, size_t n)
{
	struct evidence_maker *m = user;
	const uint8_t *from = p;
	int r = 0;

	while (r == 0 && n) {
		size_t k = COF_MIN(n, OUT_BUFFER - m->out_len);

		memcpy(m->out + m->out_len, from, k);
		m->out_len += k;
		m->written += k;
		from += k;
		n -= k;
		if (m->out_len == OUT_BUFFER)
			r = flush(m);
	}
	return r;
}

static int put(struct evidence_maker *m, const void *p, size_t n)
{
	m->tar += n;
	return m->age ? cof_age_stream_write(m->age, p, n) : put_raw(m, p, n);
}

int evidence_maker_encrypt(struct evidence_maker *m, const uint8_t (*recipients)[32], size_t n)
{
	return cof_age_stream_new(recipients, n, put_raw, m, &m->age);
}

/* ---- entries ---- */

int maker_entry(struct evidence_maker *m, const char *name, uint64_t size)
{
	struct tar_entry e = {.size = size, .mtime = m->mtime};
	uint8_t block[TAR_BLOCK];
	int n = snprintf(e.name, sizeof(e.name), BAG "%s", name);
	int r = n < 0 || n >= (int)sizeof(e.name) ? -ENAMETOOLONG : tar_encode(&e, block);

	m->left = m->entry_size = size;
	snprintf(m->name, sizeof(m->name), "%s", name);
	cof_sha256_reset(m->hash);
	return r < 0 ? r : put(m, block, sizeof(block));
}

int maker_bytes(struct evidence_maker *m, const void *p, size_t n)
{
	if (n > m->left)
		return -EUCLEAN;
	m->left -= n;
	cof_sha256_update(m->hash, p, n);
	return put(m, p, n);
}

/* The entry is complete: its line goes into the manifest, or that of the tags. */
int maker_entry_end(struct evidence_maker *m)
{
	static const uint8_t zeros[TAR_BLOCK];
	cof_autobuf struct cof_buf line = {0};
	uint8_t digest[COF_HASH];
	bool payload = !strncmp(m->name, "data/", 5);
	int r = m->left ? -EUCLEAN : put(m, zeros, (size_t)(tar_padded(m->entry_size) - m->entry_size));

	cof_sha256_final(m->hash, digest);
	if (r < 0)
		return r;
	if (!payload) {
		evidence_line(digest, m->name, &m->tags);
		return m->tags.failed ? -ENOMEM : 0;
	}
	evidence_line(digest, m->name, &line);
	if (line.failed)
		return -ENOMEM;
	cof_sha256_update(m->manifest_hash, line.data, line.len);
	m->manifest_len += line.len;
	m->octets += m->entry_size;
	m->count++;
	return fwrite(line.data, 1, line.len, m->manifest) == line.len ? 0 : -EIO;
}

int maker_text(struct evidence_maker *m, const char *name, const void *p, size_t n)
{
	int r = maker_entry(m, name, n);

	if (r == 0)
		r = maker_bytes(m, p, n);
	return r == 0 ? maker_entry_end(m) : r;
}

/* ---- from the beginning to the end ---- */

int evidence_maker_new(const struct evidence_source *source, int fd, struct evidence_maker **ret, struct cof_diag *diag)
{
	struct evidence_maker *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return cof_fail(diag, -ENOMEM, "out of memory");
	m->fd = fd;
	m->mtime = cof_now(CLOCK_REALTIME) / COF_NSEC;
	m->out = malloc(OUT_BUFFER);
	m->plain = malloc(COF_CHUNK);
	m->stored = malloc(2 * COF_FRAME_LENGTH_MAX + COF_CHUNK);
	m->body = malloc(2 * COF_FRAME_LENGTH_MAX + COF_CHUNK);
	m->hash = cof_sha256_new();
	m->manifest_hash = cof_sha256_new();
	m->manifest = tmpfile();
	r = m->out && m->plain && m->stored && m->body && m->hash && m->manifest_hash ? 0 : -ENOMEM;
	if (r == 0 && !m->manifest)
		r = -errno;
	if (r < 0)
		cof_fail(diag, r, "no place for what is being made: %s", strerror(-r));
	if (r == 0)
		r = maker_source(m, source, diag);
	if (r < 0) {
		evidence_maker_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void evidence_maker_free(struct evidence_maker *m)
{
	if (!m)
		return;
	cof_age_stream_free(m->age);
	vault_source_free(m->source);
	cof_reader_free(m->reader);
	cof_sha256_free(m->hash);
	cof_sha256_free(m->manifest_hash);
	cof_buf_done(&m->tags);
	cof_buf_done(&m->note);
	cof_json_free(m->about);
	if (m->manifest)
		fclose(m->manifest);
	if (m->plain)
		explicit_bzero(m->plain, COF_CHUNK);
	free(m->out);
	free(m->plain);
	free(m->stored);
	free(m->body);
	free(m);
}

uint64_t evidence_maker_tree(const struct evidence_maker *m)
{
	return m->tree;
}

bool evidence_maker_cosigned(const struct evidence_maker *m)
{
	return m->n_vaults > 0;
}

/* Keys as this host has them: whoever gets the bundle has to know them from somewhere else. */
static void put_claims(struct evidence_maker *m, struct cof_json *about)
{
	const struct cof_conf *conf = vault_source_conf(m->source);
	struct cof_json *vaults = cof_json_array();
	char text[COF_VKEY_MAX], hex[33];

	cof_hex(conf->id, sizeof(conf->id), hex);
	cof_json_set_str(about, "format", EVIDENCE_FORMAT);
	cof_json_set_str(about, "archive", hex);
	cof_json_set_str(about, "origin", conf->vkey.name);
	cof_json_set_time(about, "created", m->mtime * COF_NSEC);
	cof_json_set_uint(about, "tree", m->tree);
	cof_vkey_text(&conf->vkey, text);
	cof_json_set_str(about, "log", text);
	for (size_t i = 0; i < m->n_vaults; i++) {
		cof_vkey_text(&m->vault[i], text);
		cof_json_append(vaults, cof_json_new_str(text));
	}
	cof_json_set(about, "vaults", vaults);
}

int evidence_maker_begin(struct evidence_maker *m, struct cof_json *about, const char *stix, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf readme = {0}, text = {0};
	int r;

	put_claims(m, about);
	m->about = cof_json_ref(about);
	r = cof_json_canonical(about, &text);
	if (r == 0)
		r = evidence_readme(about, &readme);
	if (r == 0)
		r = maker_text(m, "bagit.txt", BAG_TEXT, strlen(BAG_TEXT));
	if (r == 0)
		r = maker_text(m, "data/README.txt", readme.data, readme.len);
	if (r == 0)
		r = maker_text(m, "data/bundle.json", text.data, text.len);
	if (r == 0)
		r = maker_text(m, "data/checkpoint", m->note.data, m->note.len);
	if (r == 0 && stix)
		r = maker_text(m, "data/stix.json", stix, strlen(stix));
	return r < 0 ? cof_fail(diag, r, "the bundle cannot be written: %s", strerror(-r)) : 0;
}

int evidence_maker_manifest(struct evidence_maker *m, uint8_t ret[COF_HASH], struct cof_diag *diag)
{
	if (fflush(m->manifest))
		return cof_fail(diag, -EIO, "the manifest cannot be kept: %s", strerror(errno));
	cof_sha256_final(m->manifest_hash, ret);
	return 0;
}

static int put_manifest(struct evidence_maker *m)
{
	uint8_t buf[8192];
	size_t n;
	int r = maker_entry(m, "manifest-sha256.txt", m->manifest_len);

	if (r == 0 && fseek(m->manifest, 0, SEEK_SET) < 0)
		r = -errno;
	while (r == 0 && (n = fread(buf, 1, sizeof(buf), m->manifest)) > 0)
		r = maker_bytes(m, buf, n);
	return r == 0 ? maker_entry_end(m) : r;
}

static int put_end(struct evidence_maker *m)
{
	static const uint8_t zeros[TAR_BLOCK];
	int r = 0;

	for (uint64_t end = (m->tar + 2 * TAR_BLOCK + TAR_RECORD - 1) / TAR_RECORD * TAR_RECORD; r == 0 && m->tar < end;)
		r = put(m, zeros, sizeof(zeros));
	if (r == 0 && m->age)
		r = cof_age_stream_end(m->age);
	if (r == 0)
		r = flush(m);
	return r == 0 && fsync(m->fd) < 0 ? -errno : r;
}

int evidence_maker_end(struct evidence_maker *m, uint64_t *ret_bytes, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf info = {0}, tags = {0};
	int r = put_manifest(m);

	if (r == 0)
		r = evidence_bag_info(m->about, m->octets, m->count, &info);
	if (r == 0)
		r = maker_text(m, "bag-info.txt", info.data, info.len);
	if (r == 0) {
		cof_buf_add(&tags, m->tags.data, m->tags.len);
		r = tags.failed ? -ENOMEM : maker_text(m, "tagmanifest-sha256.txt", tags.data, tags.len);
	}
	if (r == 0)
		r = put_end(m);
	*ret_bytes = m->written;
	return r < 0 ? cof_fail(diag, r, "the bundle cannot be written: %s", strerror(-r)) : 0;
}
