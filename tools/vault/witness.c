/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A witness (C2SP tlog-witness): cosigns checkpoints of logs that it knows, each only where it is proven to extend the one
 * before, and keeps no log. A log is known when the vault has a copy of it, or when DIR/logs names its key. What was signed
 * last of each is in DIR/witness, durable before the answer leaves; where the vault has a copy too, the larger of both counts.
 *
 * Beside it one request of HTTP/1.1 over a pair of descriptors: whatever ends TLS (stunnel, nginx) starts us for each.
 */
#include <stdio.h>
#include <time.h>

#include "tools/vault/internal.h"

#define BODY_MAX (COF_NOTE_MAX + 8192u)
#define HEAD_MAX 8192u
#define LOGS_MAX 65536u

struct witnessing {
	const struct vault_place *v;
	struct vault_answer *a;
	char origin[COF_NOTE_NAME], state[96];
	struct cof_vkey log;
	struct cof_checkpoint before, head; /* before: size 0: none */
	uint64_t before_time, old;
	uint8_t hash[COF_PROOF_MAX][COF_HASH];
	size_t n;
	const char *note;
	size_t note_len;
};

static int answer(struct vault_answer *a, unsigned status, const char *text)
{
	a->status = status;
	a->type = "text/plain; charset=utf-8";
	a->body.len = 0;
	cof_buf_printf(&a->body, "%s\n", text);
	return a->body.failed ? -ENOMEM : 1;
}

/* ---- which log ---- */

static int of_copy(void *user, const uint8_t id[16])
{
	struct witnessing *w = user;
	cof_autofree uint8_t *note = NULL;
	struct cof_io *io = NULL;
	struct cof_conf conf;
	size_t n = 0;
	struct cof_note signed_by;

	if (vault_place_archive(w->v, id, &io, NULL) < 0)
		return 0;
	if (cof_conf_load(io, &conf, NULL) == 0 && !strcmp(conf.vkey.name, w->origin)) {
		w->log = conf.vkey;
		if (cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0 &&
		    cof_checkpoint_open(note, n, &conf.vkey, &w->before) == 0 &&
		    cof_note_open(note, n, &w->v->vkey, 1, &signed_by) == 0)
			w->before_time = signed_by.time[0];
	}
	cof_io_free(io);
	return 0;
}

static void of_list(struct witnessing *w)
{
	cof_autofree uint8_t *text = NULL;
	char *rest, *line;
	struct cof_vkey key;
	size_t n = 0;

	if (cof_io_load(w->v->io, "logs", LOGS_MAX, &text, &n) < 0)
		return;
	rest = (char *)text;
	while ((line = strsep(&rest, "\n")))
		if (cof_vkey_parse(line, &key) == 0 && key.algorithm == COF_NOTE_ED25519 &&
		    !strcmp(key.name, w->origin))
			w->log = key;
}

/* What was signed last, of this origin, here or of the copy. */
static int load_before(struct witnessing *w)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_vkey keys[2] = {w->log, w->v->vkey};
	struct cof_checkpoint there = {.size = 0};
	struct cof_note n = {.text = NULL};
	size_t len = 0;
	int r = cof_io_load(w->v->io, w->state, COF_NOTE_MAX, &note, &len);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = cof_note_open(note, len, keys, 2, &n);
	if (r == 0)
		r = n.verified == 3 ? cof_checkpoint_parse(n.text, n.text_len, &there) : -EBADMSG;
	if (r < 0)
		return r; /* what was signed is not known any more: nothing can be signed */
	if (there.size >= w->before.size)
		w->before = there;
	w->before_time = COF_MAX(w->before_time, n.time[1]);
	return 0;
}

/* ---- the request ---- */

static int take_proof(struct witnessing *w, const char **at)
{
	for (;;) {
		size_t len = strcspn(*at, "\n"), n = 0;

		if ((*at)[len] != '\n')
			return -EUCLEAN;
		if (!len)
			break;
		if (w->n == 63 || cof_unbase64(*at, len, w->hash[w->n], COF_HASH, &n) < 0 || n != COF_HASH)
			return -EUCLEAN;
		w->n++;
		*at += len + 1;
	}
	++*at;
	return 0;
}

static int parse(struct witnessing *w, const char *body, size_t n)
{
	const char *at = body;
	char *end;
	size_t len;

	if (memchr(body, 0, n) || strncmp(at, "old ", 4) != 0 || at[4] < '0' || at[4] > '9' ||
	    (at[4] == '0' && at[5] != '\n'))
		return -EUCLEAN;
	errno = 0;
	w->old = strtoull(at + 4, &end, 10);
	if (errno || *end != '\n')
		return -EUCLEAN;
	at = end + 1;
	if (take_proof(w, &at) < 0)
		return -EUCLEAN;
	w->note = at;
	w->note_len = n - (size_t)(at - body);
	len = strcspn(at, "\n");
	if (!len || len >= sizeof(w->origin) || at[len] != '\n')
		return -EUCLEAN;
	memcpy(w->origin, at, len);
	return 0;
}

static int stale(struct witnessing *w)
{
	char size[32];

	snprintf(size, sizeof(size), "%llu", (unsigned long long)w->before.size);
	answer(w->a, 409, size);
	w->a->type = "text/x.tlog.size";
	return 1;
}

/* 1: answered. */
static int judge(struct witnessing *w)
{
	if (cof_checkpoint_open(w->note, w->note_len, &w->log, &w->head) < 0)
		return answer(w->a, 403, "the checkpoint has no signature of that log that holds");
	if (w->old > w->head.size)
		return answer(w->a, 400, "the old size is above the checkpoint's");
	if (w->old != w->before.size)
		return stale(w);
	if (w->old == w->head.size && w->old)
		return cof_equal(w->before.root, w->head.root, COF_HASH) ? 0 : stale(w);
	if (!w->old ? w->n != 0
		    : cof_merkle_verify_consistency(w->old, w->head.size, (const uint8_t(*)[COF_HASH])w->hash, w->n,
						    w->before.root, w->head.root) < 0)
		return answer(w->a, 422, "the consistency proof does not hold");
	return 0;
}

static int sign(struct witnessing *w)
{
	cof_autobuf struct cof_buf note = {0};
	uint64_t now = (uint64_t)(cof_now(CLOCK_REALTIME) / COF_NSEC);
	struct cof_buf *b = &w->a->body;
	size_t before;
	int r;

	cof_buf_add(&note, w->note, w->note_len);
	before = note.len;
	r = note.failed ? -ENOMEM : cof_note_cosign(&note, &w->v->vkey, w->v->seed, COF_MAX(now, w->before_time));
	if (r == 0)
		r = cof_io_replace(w->v->io, w->state, note.data, note.len);
	if (r < 0)
		return r;
	b->len = 0;
	cof_buf_add(b, note.data + before, note.len - before);
	w->a->status = 200;
	w->a->type = "text/plain; charset=utf-8";
	return b->failed ? -ENOMEM : 0;
}

static int witness(struct witnessing *w, const char *body, size_t n)
{
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];
	int r = parse(w, body, n);

	if (r < 0)
		return answer(w->a, 400, "this is no request of add-checkpoint (c2sp.org/tlog-witness)");
	(void)vault_place_list(w->v, of_copy, w);
	of_list(w);
	if (!*w->log.name)
		return answer(w->a, 404, "this log is not known here");
	cof_sha256(w->origin, strlen(w->origin), digest);
	cof_hex(digest, sizeof(digest), hex);
	snprintf(w->state, sizeof(w->state), "witness/%s", hex);
	r = load_before(w);
	if (r == 0)
		r = judge(w);
	return r ? r : sign(w);
}

int vault_witness(const struct vault_place *v, const char *body, size_t n, struct vault_answer *ret)
{
	cof_autofree struct witnessing *w = calloc(1, sizeof(*w));
	int guard = -1, r = w ? cof_io_mkdir(v->io, "witness") : -ENOMEM;

	if (r == 0)
		r = cof_io_sync_dir(v->io, "");
	if (r == -EEXIST)
		r = 0;
	if (r == 0)
		r = cof_io_guard(v->io, "witness", &guard);
	if (r == 0) {
		w->v = v;
		w->a = ret;
		r = witness(w, body, n);
	}
	cof_io_unguard(guard);
	return r < 0 ? answer(ret, 500, "this witness cannot sign now") : 0;
}

/* ---- one request of HTTP ---- */

/* *ret_n of the head, its empty line included; what came behind it is in buf too. */
static int read_head(int in, char *buf, size_t cap, size_t *ret_have, size_t *ret_n)
{
	size_t have = 0;

	for (;;) {
		ssize_t k = read(in, buf + have, cap - 1 - have);
		const char *end;

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -EPIPE;
		have += (size_t)k;
		buf[have] = 0;
		end = strstr(buf, "\r\n\r\n");
		if (end || have == cap - 1) {
			*ret_have = have;
			*ret_n = end ? (size_t)(end - buf) + 4 : 0;
			return end ? 0 : -EMSGSIZE;
		}
	}
}

static int read_body(int in, char *body, size_t have, size_t n)
{
	while (have < n) {
		ssize_t k = read(in, body + have, n - have);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -EPIPE;
		have += (size_t)k;
	}
	body[n] = 0;
	return 0;
}

static int respond(int out, const struct vault_answer *a)
{
	static const struct {
		unsigned status;
		const char *text;
	} known[] = {{200, "OK"}, {400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
		     {409, "Conflict"}, {413, "Content Too Large"}, {422, "Unprocessable Content"}};
	cof_autobuf struct cof_buf b = {0};
	const char *text = "Internal Server Error";
	size_t done = 0;

	for (size_t i = 0; i < COF_COUNT(known); i++)
		if (known[i].status == a->status)
			text = known[i].text;
	cof_buf_printf(&b, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", a->status,
		       text, a->type, a->body.len);
	cof_buf_add(&b, a->body.data, a->body.len);
	while (!b.failed && done < b.len) {
		ssize_t k = write(out, b.data + done, b.len - done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		done += (size_t)k;
	}
	return b.failed ? -ENOMEM : 0;
}

static int length_of(const char *head, size_t *ret)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");
	char *end;

	if (!at)
		return -EUCLEAN;
	at += 17;
	at += strspn(at, " \t");
	errno = 0;
	*ret = strtoul(at, &end, 10);
	return *at < '0' || *at > '9' || errno || *end != '\r' ? -EUCLEAN : 0;
}

int vault_witness_http(const struct vault_place *v, int in, int out)
{
	cof_autofree char *buf = malloc(HEAD_MAX + BODY_MAX + 2);
	struct vault_answer a = {.status = 0};
	size_t have = 0, head = 0, n = 0;
	char *body;
	int r = buf ? read_head(in, buf, HEAD_MAX, &have, &head) : -ENOMEM;

	if (r == -EPIPE || r == -ENOMEM)
		return r;
	if (r < 0 || length_of(buf, &n) < 0) {
		answer(&a, 400, "the request is malformed, or does not say how long it is");
	} else if (strncmp(buf, "POST ", 5) != 0) {
		answer(&a, 405, "POST is what a witness takes");
	} else if (!memmem(buf, strcspn(buf, "\r"), "/add-checkpoint HTTP/1.", 23)) {
		answer(&a, 404, "a witness has add-checkpoint");
	} else if (n > BODY_MAX) {
		answer(&a, 413, "that is no checkpoint");
	} else {
		body = buf + head;
		if (strcasestr(buf, "\r\nexpect: 100-continue") && write(out, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25)
			return -EPIPE;
		if (read_body(in, body, have - head, n) < 0)
			return -EPIPE;
		(void)vault_witness(v, body, n, &a);
	}
	r = respond(out, &a);
	cof_buf_done(&a.body);
	return r;
}
