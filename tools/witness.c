/* SPDX-License-Identifier: Apache-2.0 */
/*
 * add-checkpoint: the size that the witness signed last, a proof from there, and the newest checkpoint. It answers with its
 * cosignature, or with the size that it really has (409), from which it is asked once more.
 */
#include "tools/witness.h"
#include "tools/http.h"

#include <inttypes.h>
#include <stdio.h>

#define ANSWER_MAX 16384u

bool witness_is_url(const char *url)
{
	return http_is_url(url);
}

static bool is_here(const char *host)
{
	static const char *const here[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < COF_COUNT(here); i++) {
		size_t n = strlen(here[i]);

		if (!strncmp(host, here[i], n) && (!host[n] || host[n] == ':' || host[n] == '/'))
			return true;
	}
	return false;
}

int witness_url_check(const char *url, struct cof_diag *diag)
{
	if (!strncmp(url, "https://", 8) && url[8] && !strpbrk(url, " \t@"))
		return 0;
	if (!strncmp(url, "http://", 7) && is_here(url + 7))
		return 0;
	return cof_fail(diag, -EINVAL,
			"a witness is asked over https://; http:// would let anybody on the way answer for it");
}

/* ---- one question ---- */

struct asking {
	const struct store *s;
	struct vault_entry *e;
	struct vault_source *source;
	const char *note;
	struct cof_checkpoint head;
	struct cof_buf answer;
	long status;
};

static int make_body(struct asking *a, uint64_t old, struct cof_buf *b, struct cof_diag *diag)
{
	uint8_t hash[COF_PROOF_MAX][COF_HASH];
	struct vault_proof proof = {.hash = hash};
	char text[64];
	int r = vault_source_proof(a->source, old, &proof, diag);

	if (r < 0)
		return r;
	cof_buf_printf(b, "old %" PRIu64 "\n", old);
	for (size_t i = 0; old != a->head.size && i < proof.n; i++) {
		cof_base64(hash[i], COF_HASH, text);
		cof_buf_printf(b, "%s\n", text);
	}
	cof_buf_printf(b, "\n%s", a->note);
	return b->failed ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
}

static int ask(struct asking *a, uint64_t old, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf body = {0};
	char url[600];
	size_t n = strlen(a->e->url);
	struct http_post p = {.url = url, .type = "text/plain", .answer_type = "*/*", .most = ANSWER_MAX,
			      .ca = *a->e->ca ? a->e->ca : NULL, .direct = !strncmp(a->e->url, "http://", 7), .ret_status = &a->status};
	int r = make_body(a, old, &body, diag);

	snprintf(url, sizeof(url), "%s%sadd-checkpoint", a->e->url, n && a->e->url[n - 1] == '/' ? "" : "/");
	p.body = body.data;
	p.len = body.len;
	a->answer.len = 0;
	if (r == 0)
		r = http_post(&p, &a->answer, diag);
	cof_buf_add(&a->answer, "", 1);
	return r == 0 && a->answer.failed ? cof_fail(diag, -ENOMEM, "out of memory") : r;
}

/* What 409 says. */
static int size_of(const struct asking *a, uint64_t *ret)
{
	const char *text = (const char *)a->answer.data;
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || errno || (*end && strcmp(end, "\n") != 0) ? -EPROTO : 0;
}

static int refused(const struct asking *a, struct cof_diag *diag)
{
	return cof_fail(diag, -ECONNABORTED, "the witness refused with status %ld: %.300s", a->status,
			(const char *)a->answer.data);
}

static int fork_told(struct vault_sent *ret, struct cof_diag *diag)
{
	ret->refusal = VAULT_R_FORK;
	return cof_fail(diag, -ENOTUNIQ,
			"FORK: the witness signed another history of this archive than the one that is here");
}

static int judge_size(struct asking *a, uint64_t there, uint64_t asked, struct vault_sent *ret, struct cof_diag *diag)
{
	if (there > a->head.size) {
		ret->refusal = VAULT_R_STALE;
		return cof_fail(diag, -ESTALE,
				"this archive has %" PRIu64 " frames, and the witness has seen %" PRIu64
				": it was put back to an older state",
				a->head.size, there);
	}
	return there == asked ? fork_told(ret, diag) : 0;
}

static int ask_twice(struct asking *a, struct vault_sent *ret, struct cof_diag *diag)
{
	uint64_t old = a->e->size, there = 0;
	int r = 0;

	if (old > a->head.size)
		return judge_size(a, old, 0, ret, diag);
	for (unsigned i = 0; i < 2; i++) {
		r = ask(a, old, diag);
		if (r < 0 || a->status != 409)
			break;
		if (size_of(a, &there) < 0)
			return refused(a, diag);
		r = judge_size(a, there, old, ret, diag);
		if (r < 0)
			return r;
		ret->frames = a->head.size - there;
		old = there;
	}
	ret->about = strdup("");
	if (r == 0 && a->status == 422)
		return fork_told(ret, diag);
	return r == 0 && a->status != 200 ? refused(a, diag) : r;
}

int witness_ask(const struct store *s, struct vault_entry *e, struct vault_sent *ret, struct cof_diag *diag)
{
	struct asking a = {.s = s, .e = e};
	cof_autobuf struct cof_buf note = {0};
	int r = vault_source_open(s->io, &a.source, diag);

	*ret = (struct vault_sent){.size = 0};
	if (r == 0) {
		a.note = vault_source_note(a.source, &a.head);
		ret->size = a.head.size;
		r = ask_twice(&a, ret, diag);
	}
	if (r == 0) {
		cof_buf_printf(&note, "%s%s", a.note, (const char *)a.answer.data);
		r = note.failed ? cof_fail(diag, -ENOMEM, "out of memory")
				: vault_entry_note(s, e, (const char *)note.data, diag);
	}
	vault_source_free(a.source);
	cof_buf_done(&a.answer);
	return r;
}
