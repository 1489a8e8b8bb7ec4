/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with the TPM and its custodians: what they sign is written down, their signatures come as files. And the custodian's side:
 * a statement is not believed, what it says to be signed is put together once more and compared.
 */
#include "tools/tpm-road.h"
#include "tools/coffer.h"
#include "tools/escrow-tpm.h"
#include "tools/file.h"
#include "tools/output.h"

#include "base/json.h"

#include <fcntl.h>
#include <stdio.h>

#define FORMAT "coffer-tpm-statement/1"

static int write_new(const char *path, const void *p, size_t n, struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : cof_write_all(fd, p, n);

	return r < 0 ? cof_fail(diag, r, "%s cannot be written: %s", path, strerror(-r)) : 0;
}

static void set_hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n)
{
	char text[2 * COF_QUORUM_MESSAGE + 1];

	cof_hex(p, n, text);
	cof_json_set_str(o, key, text);
}

/* ---- asking ---- */

struct session {
	const struct tpm_road *road;
	const struct tpm_road_asking *ask;
};

static void fill(const struct session *s, const struct cof_quorum_call *c, struct cof_json *o)
{
	const struct cof_quorum *q = &s->road->quorum;
	struct cof_json *persons = cof_json_array();

	for (unsigned i = 0; i < q->n_persons; i++)
		cof_json_append(persons, cof_json_new_str(q->person[i].name));
	cof_json_set_str(o, "format", FORMAT);
	cof_json_set_str(o, "key", s->road->key);
	cof_json_set_str(o, "recipient", s->road->recipient);
	cof_json_set_str(o, "to", s->ask->to);
	cof_json_set_uint(o, "release", s->ask->release);
	cof_json_set_uint(o, "seconds", s->ask->seconds);
	cof_json_set(o, "persons", persons);
	set_hex(o, "nonce", c->message, COF_HASH);
	set_hex(o, "object", q->object.public_area + 2, q->object.public_len - 2u);
	set_hex(o, "message", c->message, sizeof(c->message));
}

static int write_statement(const struct session *s, const struct cof_quorum_call *c, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autofree char *statement = NULL, *message = NULL;
	cof_autobuf struct cof_buf text = {0};
	int r;

	fill(s, c, o);
	r = cof_json_canonical(o, &text);
	if (r < 0 || asprintf(&statement, "%s/statement.json", s->ask->dir) < 0 || asprintf(&message, "%s/message", s->ask->dir) < 0)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = write_new(message, c->message, sizeof(c->message), diag);
	return r == 0 ? write_new(statement, text.data, text.len, diag) : r;
}

/* Those that are there now. A wrong one is named, and is no hindrance. */
static void take_signatures(const struct session *s, struct cof_quorum_call *c)
{
	const struct cof_quorum *q = &s->road->quorum;

	for (unsigned i = 0; i < q->n_persons; i++) {
		cof_autobuf struct cof_buf der = {0};
		cof_autofree char *path = NULL;
		uint8_t sig[COF_P256_SIGNATURE];

		if (c->has[i] || asprintf(&path, "%s/%s.sig", s->ask->dir, q->person[i].name) < 0 || access(path, F_OK) < 0)
			continue;
		if (!escrow_tpm_counts(s->ask->ledger, &q->person[i]))
			complain("%s does not count: the key of %s for a TPM is not enrolled, or was revoked", path, q->person[i].name);
		else if (file_load(path, 128, &der, NULL) < 0 || cof_p256_signature(der.data, der.len, sig) < 0)
			complain("%s is no signature as openssl dgst -sha256 -sign makes it", path);
		else if (cof_quorum_take(c, i, sig) < 0)
			complain("%s is not a signature of %s over this session's message", path, q->person[i].name);
		else
			fprintf(stderr, "%s has signed\n", q->person[i].name);
	}
}

static int collect(void *user, struct cof_quorum_call *c, struct cof_diag *diag)
{
	const struct session *s = user;
	char line[64];
	int r = write_statement(s, c, diag);

	if (r < 0)
		return r;
	fprintf(stderr,
		"%s/statement.json says what is to be signed, %s/message is it; each custodian reads and signs it on a device of their own:\n"
		"  coffer escrow statement statement.json --output message && openssl dgst -sha256 -sign KEY -out NAME.sig message\n"
		"Their NAME.sig go into %s within %u seconds. Then, and whenever one came: the return key.\n",
		s->ask->dir, s->ask->dir, s->ask->dir, s->ask->seconds);
	while (cof_quorum_ready(c) < 0) {
		if (!fgets(line, sizeof(line), stdin))
			return cof_fail(diag, -EAGAIN, "not enough have signed");
		take_signatures(s, c);
	}
	return 0;
}

int tpm_road_open(const struct tpm_road *r, const struct tpm_road_asking *a, uint8_t identity[COF_AGE_KEY], struct cof_diag *diag)
{
	struct session s = {r, a};
	cof_autotpm struct cof_tpm *t = NULL;
	int e = cof_tpm_open(a->where, &t, diag);

	return e == 0 ? cof_quorum_open(t, &r->quorum, a->seconds, collect, &s, identity, diag) : e;
}

/* ---- the custodian ---- */

struct statement {
	const char *key, *recipient, *to;
	int64_t release, seconds;
	uint8_t message[COF_QUORUM_MESSAGE];
};

static int take_hex(const struct cof_json *o, const char *key, uint8_t *ret, size_t cap, size_t *ret_n)
{
	const char *text = cof_json_str(o, key);
	size_t n = text ? strlen(text) : 1;

	if (n % 2 || n / 2 > cap || cof_unhex(text, n, ret) < 0)
		return -EUCLEAN;
	*ret_n = n / 2;
	return 0;
}

/* The message that these facts make, once more. */
static int check(const struct cof_json *o, struct statement *ret)
{
	static struct cof_quorum q;
	uint8_t nonce[COF_HASH], message[COF_QUORUM_MESSAGE], cphash[COF_HASH];
	char text[256];
	size_t n = 0, object = 0, m = 0;

	ret->key = cof_json_str(o, "key");
	ret->recipient = cof_json_str(o, "recipient");
	ret->to = cof_json_str(o, "to");
	if (!ret->key || !ret->recipient || !ret->to || strlen(ret->key) > 64 || strlen(ret->recipient) > 100 || !cof_json_str(o, "format") ||
	    strcmp(cof_json_str(o, "format"), FORMAT) != 0 || cof_json_int(o, "release", &ret->release) < 0 ||
	    cof_json_int(o, "seconds", &ret->seconds) < 0 || ret->seconds < 1 || ret->seconds > COF_QUORUM_SECONDS ||
	    take_hex(o, "nonce", nonce, sizeof(nonce), &n) < 0 || n != COF_HASH ||
	    take_hex(o, "object", q.object.public_area + 2, sizeof(q.object.public_area) - 2, &object) < 0 ||
	    take_hex(o, "message", message, sizeof(message), &m) < 0 || m != sizeof(message))
		return -EUCLEAN;
	q.object.public_len = (uint16_t)(object + 2);
	(void)snprintf(text, sizeof(text), "coffer/1 tpm key\n%s\n%s\n", ret->key, ret->recipient);
	cof_sha256(text, strlen(text), q.ref);
	if (cof_quorum_cphash(&q, cphash) < 0)
		return -EUCLEAN;
	cof_quorum_message(nonce, (uint32_t)ret->seconds, cphash, q.ref, ret->message);
	return memcmp(ret->message, message, sizeof(message)) ? -EBADMSG : 0;
}

static void say(const struct statement *s, const char *output)
{
	cof_autofree char *to = escaped(s->to), *key = escaped(s->key), *recipient = escaped(s->recipient);
	char hex[2 * COF_QUORUM_MESSAGE + 1];

	cof_hex(s->message, COF_QUORUM_MESSAGE, hex);
	printf("What is signed lets a TPM give out one key, once, to a machine that asks it now:\n"
	       "  the key          %s, by way of %s\n"
	       "  the session      %.64s\n"
	       "  and no longer than %lld seconds after the session began\n"
	       "  the object       %.64s (hash of the one command on it)\n"
	       "Nothing else: what follows is said by the machine that asks, and held by the archive, not by the TPM. Compare it with the\n"
	       "request that was approved (coffer requests show):\n"
	       "  for              %s\n"
	       "  by the release   %lld\n"
	       "%s has the 100 bytes. To sign them: openssl dgst -sha256 -sign KEY -out NAME.sig %s\n",
	       key ? key : "?", recipient ? recipient : "?", hex, (long long)s->seconds, hex + 72, to ? to : "?", (long long)s->release, output,
	       output);
}

int tpm_road_show(const char *path, const char *output, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	cof_autojson struct cof_json *o = NULL;
	struct statement s;
	int r = file_load(path, 65536, &text, diag);

	if (r < 0)
		return r;
	r = cof_json_parse(text.data ? (char *)text.data : "", text.len, &o);
	if (r == 0)
		r = check(o, &s);
	if (r == -EBADMSG)
		return cof_fail(diag, r, "%s says to be about one thing, and its message is about another one: do not sign it", path);
	if (r < 0)
		return cof_fail(diag, -EUCLEAN, "%s is no statement of a session with a TPM", path);
	r = write_new(output, s.message, sizeof(s.message), diag);
	if (r == 0)
		say(&s, output);
	return r;
}
