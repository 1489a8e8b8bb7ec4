/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges, at the vault: hashes over a nonce and bytes of the log, which nobody can give who does not have the bytes. They are read
 * from the segments as they are then; what was known of them before does not count.
 */
#include "tools/vault/internal.h"

#define PIECE (256u << 10)
#define TIMES 4u /* the log, in one session: all of it, and what differs again */

struct answering {
	struct vault_wire *w;
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_diag *diag;
	struct cof_sha256 *h;
	uint8_t *room; /* PIECE bytes */
	uint64_t left; /* bytes that this session may still read */
	struct cof_file *file; /* of `segment`; NULL: none is open */
	uint64_t segment;
};

void challenge_begin(struct cof_sha256 *h, const uint8_t nonce[CHALLENGE_NONCE], uint64_t address, uint32_t length)
{
	uint8_t range[CHALLENGE_RANGE];

	cof_put_le64(range, address);
	cof_put_le32(range + 8, length);
	cof_sha256_reset(h);
	cof_sha256_update(h, nonce, CHALLENGE_NONCE);
	cof_sha256_update(h, range, sizeof(range));
}

static int count_one(void *user, const char *name)
{
	(void)name;
	++*(uint64_t *)user;
	return 0;
}

static int say(struct answering *a, enum vault_message type, const struct iovec *iov, int count)
{
	int r = vault_send(a->w, type, iov, count);

	return r < 0 ? cof_fail(a->diag, r, "sending to the host: %s", strerror(-r)) : 0;
}

static int say_state(struct answering *a, const char *about)
{
	uint8_t fixed[VAULT_STATE_FIXED] = {0};
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint head = {.size = 0};
	size_t n = 0;
	int r = cof_io_load(a->io, "checkpoint", COF_NOTE_MAX, &note, &n);

	if (r == 0)
		r = cof_checkpoint_open(note, n, &a->conf.vkey, &head);
	if (r < 0)
		return cof_fail(a->diag, r, "the head of the copy cannot be read: %s", strerror(-r));
	cof_put_le64(fixed, head.size);
	cof_put_le64(fixed + 8, head.size);
	memcpy(fixed + 24, head.root, COF_HASH);
	cof_put_le16(fixed + VAULT_STATE_FIXED - 2, (uint16_t)strlen(about));
	return say(a, VAULT_STATE,
		   (struct iovec[]){{.iov_base = fixed, .iov_len = sizeof(fixed)},
				    {.iov_base = (void *)(uintptr_t)about, .iov_len = strlen(about)},
				    {.iov_base = note, .iov_len = n}},
		   3);
}

/* What the system has cached of it is no proof that the disk has it. */
static int open_segment(struct answering *a, uint64_t number)
{
	char path[32];
	int r;

	if (a->file && a->segment == number)
		return 0;
	cof_io_close(a->file);
	a->file = NULL;
	copy_segment_path(number, path);
	r = cof_io_open(a->io, path, COF_IO_RDONLY, &a->file);
	if (r == 0)
		cof_io_forget(a->file, 0, 0);
	a->segment = number;
	return r;
}

/* -ENODATA: it is not there whole · -EPROTO: so much is not read in one session. */
static int hash_range(struct answering *a, const uint8_t *nonce, uint64_t address, uint32_t length, uint8_t ret[COF_HASH])
{
	uint64_t at = address % a->conf.segment_size;
	int r = open_segment(a, address / a->conf.segment_size);

	challenge_begin(a->h, nonce, address, length);
	while (r == 0 && length) {
		size_t want = length < PIECE ? length : PIECE, n = 0;

		r = cof_io_read(a->file, a->room, want, at, &n);
		if (r == 0 && n > a->left)
			return -EPROTO;
		a->left -= r == 0 ? n : 0;
		if (r == 0 && n != want)
			r = -ENODATA;
		if (r == 0)
			cof_sha256_update(a->h, a->room, n);
		at += want;
		length -= (uint32_t)want;
	}
	if (r == 0)
		cof_sha256_final(a->h, ret);
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : r < 0 ? -ENODATA : 0;
}

/* *ret_n: ranges. All of them are looked at before anything is read. */
static int judge(struct answering *a, const struct cof_buf *body, size_t *ret_n)
{
	size_t n = body->len < CHALLENGE_NONCE ? 0 : (body->len - CHALLENGE_NONCE) / CHALLENGE_RANGE;
	uint64_t bytes = 0;

	if (!n || n > VAULT_RANGES || body->len != CHALLENGE_NONCE + n * CHALLENGE_RANGE)
		return cof_fail(a->diag, -EPROTO, "CHALLENGE is malformed");
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = body->data + CHALLENGE_NONCE + i * CHALLENGE_RANGE;
		uint64_t address = cof_get_le64(p), size = a->conf.segment_size;
		uint32_t length = cof_get_le32(p + 8);

		if (!length || length > size || address % size > size - length || address / size > UINT32_MAX)
			return cof_fail(a->diag, -EPROTO, "CHALLENGE is malformed");
		bytes += length;
	}
	if (bytes > VAULT_RANGES_BYTES)
		return cof_fail(a->diag, -EPROTO, "more bytes were asked for than one challenge may");
	*ret_n = n;
	return 0;
}

static int answer(struct answering *a, const struct cof_buf *body)
{
	uint8_t all[VAULT_RANGES * ANSWER_ONE] = {0};
	size_t n = 0;
	int r = judge(a, body, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const uint8_t *p = body->data + CHALLENGE_NONCE + i * CHALLENGE_RANGE;
		uint8_t *one = all + i * ANSWER_ONE;

		r = hash_range(a, body->data, cof_get_le64(p), cof_get_le32(p + 8), one + 1);
		one[0] = r == 0;
		if (r == -ENODATA)
			r = 0;
		else if (r == -EPROTO)
			return cof_fail(a->diag, r, "more bytes were asked for than one session may");
		else if (r < 0)
			return cof_fail(a->diag, r, "the log cannot be read: %s", strerror(-r));
	}
	/* the next message reads anew, also where it begins with the same segment */
	cof_io_close(a->file);
	a->file = NULL;
	return r < 0 ? r : say(a, VAULT_ANSWER, &(struct iovec){.iov_base = all, .iov_len = n * ANSWER_ONE}, 1);
}

static int answer_all(struct answering *a)
{
	cof_autobuf struct cof_buf body = {0};
	uint8_t type = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i <= VAULT_CHALLENGES_MAX; i++) {
		r = vault_receive(a->w, &type, &body, a->diag);
		if (r < 0 || type == VAULT_END)
			return r;
		r = type == VAULT_CHALLENGE ? answer(a, &body) : cof_fail(a->diag, -EPROTO, "message %u does not belong here", type);
	}
	return r < 0 ? r : cof_fail(a->diag, -EPROTO, "more challenges came than one session may have");
}

static int begin(struct answering *a)
{
	uint64_t segments = 0;
	int r = cof_conf_load(a->io, &a->conf, a->diag);

	if (r < 0)
		return r;
	if (cof_io_exists(a->io, "checkpoint") == 0)
		return cof_fail(a->diag, -ENOENT, "this vault has nothing of this archive that it ever confirmed");
	r = cof_io_list(a->io, "log", count_one, &segments);
	if (r < 0)
		return cof_fail(a->diag, r, "the log of the copy cannot be read: %s", strerror(-r));
	a->left = segments > UINT32_MAX ? UINT64_MAX : VAULT_RANGES_BYTES + TIMES * segments * a->conf.segment_size;
	a->h = cof_sha256_new();
	a->room = malloc(PIECE);
	return a->h && a->room ? 0 : cof_fail(a->diag, -ENOMEM, "out of memory");
}

int vault_take_challenges(struct vault_wire *w, struct cof_io *io, const char *about, struct cof_diag *diag)
{
	struct answering a = {.w = w, .io = io, .diag = diag};
	int r = begin(&a);

	if (r == 0)
		r = say_state(&a, about);
	if (r == 0)
		r = answer_all(&a);
	cof_io_close(a.file);
	cof_sha256_free(a.h);
	free(a.room);
	if (r < 0 && r != -ENOTCONN && r != -EPIPE && r != -ETIMEDOUT)
		(void)vault_refuse(w, r == -EPROTO ? VAULT_R_MALFORMED : r == -ENOENT ? VAULT_R_UNKNOWN : VAULT_R_FAILED, diag->text);
	return r;
}
