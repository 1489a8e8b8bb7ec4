/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle as one side of a session: a vault takes it, or whoever restores does. */
#include "tools/vault/bundle.h"
#include "tools/vault/internal.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

struct feeding {
	struct bundle_in *b;
	int fd;
	struct cof_diag diag;
	char *note, *notices, *refused;
	struct cof_json *receipts; /* an array, the caller's */
};

static void add_receipt(struct feeding *f, const struct cof_buf *body)
{
	cof_autofree char *text = strndup((const char *)body->data, body->len);

	if (text)
		cof_json_append(f->receipts, cof_json_new_str(text));
}

/* What the vault answers; it is read while the bundle is fed. */
static void *listen_to(void *arg)
{
	struct feeding *f = arg;
	struct vault_wire w = {.in = f->fd, .out = -1, .timeout_ms = -1};
	cof_autobuf struct cof_buf body = {0};
	uint8_t type = 0;

	while (vault_receive(&w, &type, &body, NULL) == 0) {
		const char *text = (const char *)body.data;

		if (type == VAULT_DONE && !f->note)
			f->note = strndup(text, body.len);
		else if (type == VAULT_NOTICE && !f->notices)
			f->notices = strndup(text, body.len);
		else if (type == VAULT_RECEIPT_IS && cof_json_count(f->receipts) < VAULT_RECEIPTS)
			add_receipt(f, &body);
		else if (type == VAULT_REFUSED && body.len > 2 && !f->refused)
			f->refused = strndup(text + 2, body.len - 2);
	}
	return NULL;
}

static void *feed(void *arg)
{
	struct feeding *f = arg;
	uint8_t buf[65536];
	ssize_t n;

	while ((n = bundle_read(f->b, buf, sizeof(buf), &f->diag)) > 0)
		if (cof_write_all(f->fd, buf, (size_t)n) < 0)
			break; /* the vault says why it went */
	shutdown(f->fd, SHUT_WR);
	return NULL;
}

/* What the vault has of this archive, and whether the bundle goes on there. */
static int check_state(const struct vault_place *v, const struct bundle_about *a, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint head = {.size = 0};
	struct cof_io *io = NULL;
	struct cof_conf conf;
	char vkey[COF_VKEY_MAX];
	size_t n = 0;
	int r;

	cof_vkey_text(&v->vkey, vkey);
	if (*a->vault && strcmp(a->vault, vkey))
		return cof_fail(diag, -EXDEV, "this bundle is for the vault %.200s, and this one is %.200s", a->vault, vkey);
	r = vault_place_archive(v, a->archive, &io, NULL);
	if (r == 0 && cof_conf_load(io, &conf, NULL) == 0 && cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0)
		(void)cof_checkpoint_open(note, n, &conf.vkey, &head);
	cof_io_free(io);
	if (head.size == a->from)
		return 0;
	if (head.size > a->from)
		return cof_fail(diag, -ESTALE,
				"this bundle is stale: it goes on behind frame %llu, and this vault has %llu frames. Give the newest receipt to "
				"the host (coffer sync --receipt; coffer-vault receive --again writes it once more), and let it make another",
				(unsigned long long)a->from, (unsigned long long)head.size);
	return cof_fail(diag, -ESTALE, "this bundle goes on behind frame %llu, and this vault has only %llu frames: a bundle before it is missing",
			(unsigned long long)a->from, (unsigned long long)head.size);
}

static int run(const struct vault_place *v, const struct vault_serve *p, struct feeding *f, struct cof_diag *diag)
{
	int fd[2], r;
	pthread_t in, out;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return cof_fail(diag, -errno, "no pair of sockets: %s", strerror(errno));
	f->fd = fd[0];
	r = -pthread_create(&in, NULL, feed, f);
	if (r == 0) {
		r = -pthread_create(&out, NULL, listen_to, f);
		if (r == 0) {
			struct vault_wire w = {.in = fd[1], .out = fd[1], .timeout_ms = -1};

			r = vault_serve(v, &w, p, diag);
			shutdown(fd[1], SHUT_RDWR);
			(void)pthread_join(out, NULL);
		}
		shutdown(fd[1], SHUT_RDWR);
		(void)pthread_join(in, NULL);
	}
	close(fd[0]);
	close(fd[1]);
	return r;
}

int vault_signed_last(const struct vault_place *v, const uint8_t archive[16], char **ret_note, struct cof_json *receipts,
		      struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_io *io = NULL;
	uint8_t *note = NULL;
	size_t n = 0;
	int r = vault_place_archive(v, archive, &io, diag);

	if (r < 0)
		return r;
	r = cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r < 0)
		r = cof_fail(diag, r, "%s: of this archive nothing was signed yet: %s", cof_io_where(io), strerror(-r));
	for (size_t i = 0; r == 0 && i < VAULT_RECEIPTS && vault_receipt_untold(io, i, &text) == 0; i++) {
		cof_autofree char *one = strndup((const char *)text.data, text.len);

		if (one)
			cof_json_append(receipts, cof_json_new_str(one));
		else
			r = cof_fail(diag, -ENOMEM, "out of memory");
		text.len = 0;
	}
	cof_io_free(io);
	if (r == 0)
		*ret_note = (char *)note; /* ends with a NUL */
	else
		free(note);
	return r;
}

int bundle_receive(const struct vault_place *v, const struct vault_serve *p, struct bundle_in *b, char **ret_note,
		   char **ret_notices, struct cof_json *receipts, struct cof_diag *diag)
{
	struct feeding f = {.b = b, .receipts = receipts};
	int r = check_state(v, bundle_about(b), diag);

	if (r == 0)
		r = run(v, p, &f, diag);
	if (r == 0 && !f.note)
		r = cof_fail(diag, -EBADMSG, "the bundle ends before its session does");
	if (r < 0 && *f.diag.text && diag)
		*diag = f.diag;
	else if (r < 0 && f.refused)
		r = cof_fail(diag, r, "%s", f.refused);
	if (r == 0) {
		*ret_note = f.note;
		*ret_notices = f.notices;
		f.note = f.notices = NULL;
	}
	free(f.note);
	free(f.notices);
	free(f.refused);
	return r;
}

/* ---- to whoever restores ---- */

struct giving {
	struct bundle_in *b;
	struct vault_wire *w;
	struct cof_diag *diag;
	uint64_t frames, address; /* that the other side has */
};

static int take_bytes(struct giving *g, void *buf, size_t n)
{
	uint8_t *at = buf;

	while (n) {
		ssize_t got = bundle_read(g->b, at, n, g->diag);

		if (got <= 0)
			return got < 0 ? (int)got : cof_fail(g->diag, -EBADMSG, "the bundle ends within a message");
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int next_message(struct giving *g, uint8_t *ret_type, struct cof_buf *body)
{
	uint8_t head[8];
	uint32_t n;
	int r = take_bytes(g, head, sizeof(head));

	if (r < 0)
		return r;
	n = cof_get_le32(head);
	if (n > VAULT_BODY_MAX)
		return cof_fail(g->diag, -EBADMSG, "the bundle has a message that is none");
	body->len = 0;
	while (body->len < n) {
		uint8_t some[65536];
		size_t len = COF_MIN(sizeof(some), n - body->len);

		r = take_bytes(g, some, len);
		if (r < 0)
			return r;
		cof_buf_add(body, some, len);
		if (body->failed)
			return cof_fail(g->diag, -ENOMEM, "out of memory");
	}
	*ret_type = head[4];
	return 0;
}

static int pass_on(struct giving *g, uint8_t type, const struct cof_buf *body, size_t skip, uint64_t address)
{
	uint8_t fixed[8];

	cof_put_le64(fixed, address);
	if (type == VAULT_DATA_IS)
		return vault_send(g->w, type,
				  (struct iovec[]){{.iov_base = fixed, .iov_len = 8},
						   {.iov_base = body->data + 8 + skip, .iov_len = body->len - 8 - skip}},
				  2);
	return vault_send(g->w, type, &(struct iovec){.iov_base = body->data, .iov_len = body->len}, 1);
}

/* What the other side has already is left out. */
static int pass(struct giving *g, uint8_t type, const struct cof_buf *body)
{
	uint64_t at = body->len >= 8 ? cof_get_le64(body->data) : 0, skip = 0;

	if (type == VAULT_KEYS) /* sealed to the vault that it was made for */
		return 0;
	if (type == VAULT_DATA_IS && body->len > 8) {
		if (at + body->len - 8 <= g->address)
			return 0;
		skip = at < g->address ? g->address - at : 0;
	}
	if (type == VAULT_PROOF && at <= g->frames)
		return 0;
	return pass_on(g, type, body, (size_t)skip, at + skip);
}

static int answered(struct giving *g, uint8_t sent, struct cof_buf *body)
{
	int r = 0;

	if (sent == VAULT_HELLO)
		r = vault_expect(g->w, VAULT_STATE, body, NULL, g->diag);
	else if (sent == VAULT_HEAD)
		r = vault_expect(g->w, VAULT_RESUME, body, NULL, g->diag);
	else if (sent == VAULT_END)
		return vault_expect(g->w, VAULT_DONE, body, NULL, g->diag);
	if (r == 0 && sent == VAULT_HEAD && body->len == 16) {
		g->frames = cof_get_le64(body->data);
		g->address = cof_get_le64(body->data + 8);
	}
	return r;
}

int bundle_give(struct bundle_in *b, struct vault_wire *w, struct cof_diag *diag)
{
	struct giving g = {.b = b, .w = w, .diag = diag};
	cof_autobuf struct cof_buf body = {0};
	const struct bundle_about *a = bundle_about(b);
	struct vault_hello hello;
	unsigned code = VAULT_R_MALFORMED;
	uint8_t type = 0;
	int r = vault_expect(w, VAULT_HELLO, &body, NULL, diag);

	if (r == 0)
		r = vault_hello_read(&body, &hello, &code, diag);
	if (r == 0 && (hello.role != VAULT_FETCHES || memcmp(hello.id, a->archive, 16)))
		r = cof_fail(diag, -EXDEV, "this bundle is of another archive");
	if (r == 0 && a->from)
		r = cof_fail(diag, -ESTALE, "this bundle begins behind frame %llu: an archive comes back from one that has all of it",
			     (unsigned long long)a->from);
	if (r < 0) {
		(void)vault_refuse(w, VAULT_R_UNKNOWN, diag->text);
		return r;
	}
	while (r == 0 && type != VAULT_END) {
		r = next_message(&g, &type, &body);
		if (r == 0)
			r = pass(&g, type, &body);
		if (r == 0)
			r = answered(&g, type, &body);
	}
	return r;
}
