/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a bundle: the sender of a session speaks to somebody who only writes down what it says. */
#include "tools/vault/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#define PIECE (4u << 20)  /* bytes of the stream in an entry */
#define OVERHEAD 65536u	  /* of a part: what is no stream */

struct bundle_out {
	char *path;
	uint64_t split, used; /* used: of this part */
	struct bundle_about about;
	char id[33];
	struct archive *tar;
	int fd;
	unsigned part, piece;
	uint8_t *buf;
	size_t fill, cap;
	struct cof_sha256 *sha;
	bool finished;
};

static void part_path(const struct bundle_out *b, unsigned part, char *out, size_t cap)
{
	if (b->split)
		snprintf(out, cap, "%s.%03u", b->path, part);
	else
		snprintf(out, cap, "%s", b->path);
}

static int tar_failed(struct bundle_out *b, struct cof_diag *diag)
{
	int e = archive_errno(b->tar);

	return cof_fail(diag, e > 0 ? -e : -EIO, "%s cannot be written: %s", b->path, archive_error_string(b->tar));
}

static int put_entry(struct bundle_out *b, const char *name, const void *p, size_t n, struct cof_diag *diag)
{
	struct archive_entry *e = archive_entry_new();
	int r = 0;

	if (!e)
		return cof_fail(diag, -ENOMEM, "out of memory");
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (int64_t)n);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	if (archive_write_header(b->tar, e) != ARCHIVE_OK || archive_write_data(b->tar, p, n) != (la_ssize_t)n)
		r = tar_failed(b, diag);
	archive_entry_free(e);
	b->used += n + 1024;
	return r;
}

static int put_json(struct bundle_out *b, const char *name, struct cof_json *o, struct cof_diag *diag)
{
	const char *text = cof_json_text(o, true);

	return text ? put_entry(b, name, text, strlen(text), diag) : cof_fail(diag, -ENOMEM, "out of memory");
}

static int begin_part(struct bundle_out *b, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	char path[4096], hex[33];

	b->part++;
	b->used = 0;
	if (b->part >= BUNDLE_PARTS)
		return cof_fail(diag, -EFBIG, "a bundle of more than %u parts: choose larger ones", BUNDLE_PARTS - 1);
	part_path(b, b->part, path, sizeof(path));
	b->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (b->fd < 0) {
		b->part--; /* not ours to remove */
		return cof_fail(diag, -errno, "%s cannot be made: %s", path, strerror(errno));
	}
	b->tar = archive_write_new();
	if (!b->tar || archive_write_set_format_ustar(b->tar) != ARCHIVE_OK || archive_write_open_fd(b->tar, b->fd) != ARCHIVE_OK)
		return b->tar ? tar_failed(b, diag) : cof_fail(diag, -ENOMEM, "out of memory");
	cof_sha256_reset(b->sha);
	cof_hex(b->about.archive, 16, hex);
	cof_json_set_uint(o, "format", 1);
	cof_json_set_str(o, "bundle", b->id);
	cof_json_set_uint(o, "part", b->part);
	cof_json_set_str(o, "archive", hex);
	cof_json_set_uint(o, "from", b->about.from);
	cof_json_set_uint(o, "to", b->about.to);
	cof_json_set_str(o, "vault", b->about.vault);
	return put_json(b, "bundle.json", o, diag);
}

static int flush_piece(struct bundle_out *b, struct cof_diag *diag)
{
	char name[32];
	int r;

	if (!b->fill)
		return 0;
	snprintf(name, sizeof(name), "stream/%08u", ++b->piece);
	cof_sha256_update(b->sha, b->buf, b->fill);
	r = put_entry(b, name, b->buf, b->fill, diag);
	b->fill = 0;
	return r;
}

static int end_part(struct bundle_out *b, bool last, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];
	int r = flush_piece(b, diag);

	if (r < 0)
		return r;
	cof_sha256_final(b->sha, digest);
	cof_hex(digest, COF_HASH, hex);
	cof_json_set_str(o, "sha256", hex);
	cof_json_set_bool(o, "last", last);
	r = put_json(b, "end.json", o, diag);
	if (r == 0 && archive_write_close(b->tar) != ARCHIVE_OK)
		r = tar_failed(b, diag);
	archive_write_free(b->tar);
	b->tar = NULL;
	if (r == 0 && fsync(b->fd) < 0)
		r = cof_fail(diag, -errno, "%s cannot be written: %s", b->path, strerror(errno));
	close(b->fd);
	b->fd = -1;
	return r;
}

int bundle_create(const char *path, uint64_t split, const struct bundle_about *about, struct bundle_out **ret, struct cof_diag *diag)
{
	struct bundle_out *b;
	uint8_t id[16];
	int r;

	if (split && split < BUNDLE_SPLIT_MIN)
		return cof_fail(diag, -EINVAL, "parts of a bundle have at least 1 MiB");
	b = calloc(1, sizeof(*b));
	if (!b)
		return cof_fail(diag, -ENOMEM, "out of memory");
	b->fd = -1;
	b->split = split;
	b->about = *about;
	b->cap = split ? COF_MIN(PIECE, split / 4) : PIECE;
	b->path = strdup(path);
	b->buf = malloc(b->cap);
	cof_random(id, sizeof(id));
	cof_hex(id, sizeof(id), b->id);
	b->sha = cof_sha256_new();
	r = b->path && b->buf && b->sha ? begin_part(b, diag) : cof_fail(diag, -ENOMEM, "out of memory");
	if (r < 0) {
		bundle_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

int bundle_add(struct bundle_out *b, const void *p, size_t n, struct cof_diag *diag)
{
	const uint8_t *at = p;
	int r = 0;

	while (r == 0 && n) {
		size_t some = COF_MIN(n, b->cap - b->fill);

		memcpy(b->buf + b->fill, at, some);
		b->fill += some;
		at += some;
		n -= some;
		if (b->fill < b->cap)
			continue;
		r = flush_piece(b, diag);
		if (r == 0 && b->split && b->used + b->cap + OVERHEAD > b->split) {
			r = end_part(b, false, diag);
			if (r == 0)
				r = begin_part(b, diag);
		}
	}
	return r;
}

int bundle_finish(struct bundle_out *b, unsigned *ret_parts, struct cof_diag *diag)
{
	int r = end_part(b, true, diag);

	b->finished = r == 0;
	if (ret_parts)
		*ret_parts = b->part;
	return r;
}

void bundle_free(struct bundle_out *b)
{
	char path[4096];

	if (!b)
		return;
	if (b->tar)
		archive_write_free(b->tar);
	if (b->fd >= 0)
		close(b->fd);
	for (unsigned i = 1; !b->finished && b->path && i <= b->part; i++) {
		part_path(b, i, path, sizeof(path));
		(void)unlink(path);
	}
	cof_sha256_free(b->sha);
	free(b->buf);
	free(b->path);
	free(b);
}

/* ---- a session that is written down ---- */

struct recording {
	struct bundle_out *b;
	int fd;
	uint64_t from, address;
	const uint8_t *root;
	const char *note;
	int err;
	struct cof_diag diag;
};

static int send_state(struct recording *k, struct vault_wire *w)
{
	uint8_t fixed[8 + 8 + 8 + COF_HASH + 2];

	cof_put_le64(fixed, k->from);
	cof_put_le64(fixed + 8, k->from);
	cof_put_le64(fixed + 16, k->address);
	memcpy(fixed + 24, k->root, COF_HASH);
	cof_put_le16(fixed + 24 + COF_HASH, 0);
	return vault_send(w, VAULT_STATE,
			  (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)},
					   {.iov_base = (void *)(uintptr_t)k->note, .iov_len = strlen(k->note)}},
			  2);
}

static int send_resume(const struct recording *k, struct vault_wire *w)
{
	uint8_t fixed[16];

	cof_put_le64(fixed, k->from);
	cof_put_le64(fixed + 8, k->address);
	return vault_send(w, VAULT_RESUME, &(struct iovec){.iov_base = fixed, .iov_len = sizeof(fixed)}, 1);
}

static int answer(struct recording *k, struct vault_wire *w, uint8_t type)
{
	switch (type) {
	case VAULT_HELLO:
		return send_state(k, w);
	case VAULT_HEAD:
		return send_resume(k, w);
	case VAULT_END:
		return vault_send(w, VAULT_DONE, NULL, 0);
	default:
		return 0;
	}
}

static void *write_down(void *arg)
{
	struct recording *k = arg;
	struct vault_wire w = {.in = k->fd, .out = k->fd, .timeout_ms = -1};
	cof_autobuf struct cof_buf body = {0};
	uint8_t type = 0, head[8] = {0};

	while (k->err == 0 && type != VAULT_END) {
		k->err = vault_receive(&w, &type, &body, &k->diag);
		if (k->err < 0)
			break;
		cof_put_le32(head, (uint32_t)body.len);
		head[4] = type;
		k->err = bundle_add(k->b, head, sizeof(head), &k->diag);
		if (k->err == 0)
			k->err = bundle_add(k->b, body.data, body.len, &k->diag);
		if (k->err == 0)
			k->err = answer(k, &w, type);
	}
	shutdown(k->fd, SHUT_RDWR);
	return NULL;
}

static int speak(struct vault_source *s, int fd, const struct bundle_about *about, const struct vault_sending *sending,
		 struct vault_sent *ret, struct cof_diag *diag)
{
	struct vault_wire w = {.in = fd, .out = fd, .timeout_ms = -1};
	uint8_t session[16];
	int r = vault_hello_send(&w, VAULT_SENDS, about->archive, vault_source_conf_text(s), session);

	return r < 0 ? r : vault_send_log(&w, s, sending, ret, diag);
}

static int converse(struct recording *k, struct vault_source *s, const struct bundle_about *about,
		    const struct vault_sending *sending, struct vault_sent *ret, struct cof_diag *diag)
{
	pthread_t writer;
	int fd[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return cof_fail(diag, -errno, "no pair of sockets: %s", strerror(errno));
	k->fd = fd[1];
	r = pthread_create(&writer, NULL, write_down, k);
	if (r == 0) {
		r = speak(s, fd[0], about, sending, ret, diag);
		shutdown(fd[0], SHUT_RDWR);
		(void)pthread_join(writer, NULL);
		if (k->err < 0 && *k->diag.text && k->err != -ENOTCONN) { /* why the other one stopped */
			r = k->err;
			if (diag)
				*diag = k->diag;
		}
	} else {
		r = cof_fail(diag, -r, "no thread: %s", strerror(r));
	}
	close(fd[0]);
	close(fd[1]);
	return r;
}

int bundle_write(struct cof_io *store, const char *path, uint64_t split, const struct bundle_about *about,
		 const struct vault_sending *sending, unsigned *ret_parts, struct vault_sent *ret, struct cof_diag *diag)
{
	struct recording k = {.from = about->from, .note = ""};
	struct bundle_about is = *about;
	struct vault_source *s = NULL;
	struct cof_checkpoint head;
	uint8_t root[COF_HASH] = {0};
	int r = vault_source_open(store, &s, diag);

	*ret = (struct vault_sent){.size = 0};
	if (r < 0)
		return r;
	(void)vault_source_note(s, &head);
	is.to = head.size;
	if (is.from > head.size)
		r = cof_fail(diag, -ESTALE, "this archive has %llu frames, and the vault has seen %llu: it was put back to an older state",
			     (unsigned long long)head.size, (unsigned long long)is.from);
	if (r == 0 && is.from)
		r = vault_source_root(s, is.from, root, diag);
	if (r == 0)
		r = vault_source_address(s, is.from, &k.address, diag);
	k.root = root;
	if (r == 0)
		r = bundle_create(path, split, &is, &k.b, diag);
	if (r == 0)
		r = converse(&k, s, &is, sending, ret, diag);
	if (r == 0)
		r = bundle_finish(k.b, ret_parts, diag);
	bundle_free(k.b);
	vault_source_free(s);
	return r;
}
