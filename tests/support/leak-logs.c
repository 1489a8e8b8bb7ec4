/* SPDX-License-Identifier: Apache-2.0 */
#include "leak-logs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

uint64_t logs_random(struct logs *l)
{
	uint64_t z = l->state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

unsigned logs_below(struct logs *l, unsigned n)
{
	return (unsigned)(logs_random(l) >> 33) % n;
}

void logs_chars(struct logs *l, const char *alphabet, char *out, size_t n)
{
	size_t count = strlen(alphabet);

	while (n > 0) {
		uint64_t r = logs_random(l);

		for (unsigned i = 0; i < 8 && n > 0; i++, n--, r >>= 8)
			*out++ = alphabet[(r & 0xff) * count >> 8];
	}
}

void logs_init(struct logs *l, uint64_t seed)
{
	*l = (struct logs){.state = seed};
	for (unsigned i = 0; i < COUNT(l->host); i++)
		snprintf(l->host[i], sizeof(l->host[i]), "node%02u", logs_below(l, 100));
}

/* ---- a line under way ---- */

struct line {
	struct logs *l;
	char *out;
	size_t n;
};

static void put(struct line *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->out + t->n, LOGS_LINE - t->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->n += (size_t)n < LOGS_LINE - t->n ? (size_t)n : LOGS_LINE - t->n - 1;
}

static void chars(struct line *t, const char *alphabet, size_t n)
{
	n = n < LOGS_LINE - t->n ? n : LOGS_LINE - t->n;
	logs_chars(t->l, alphabet, t->out + t->n, n);
	t->n += n;
}

static unsigned below(struct line *t, unsigned n)
{
	return logs_below(t->l, n);
}

#define PICK(t, a) ((a)[below(t, COUNT(a))])

static void uuid(struct line *t)
{
	chars(t, LOGS_HEX, 8);
	for (int i = 0; i < 3; i++) {
		put(t, "-");
		chars(t, LOGS_HEX, 4);
	}
	put(t, "-");
	chars(t, LOGS_HEX, 12);
}

static void ip(struct line *t)
{
	put(t, "10.%u.%u.%u", below(t, 256), below(t, 256), below(t, 256));
}

static void stamp(struct line *t)
{
	put(t, "2026-%02u-%02uT%02u:%02u:%02u.%06uZ", 1 + below(t, 12), 1 + below(t, 28), below(t, 24),
	    below(t, 60), below(t, 60), below(t, 1000000));
}

static void syslog_head(struct line *t, const char *program)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Nov", "Dec"};

	put(t, "%s %2u %02u:%02u:%02u %s %s[%u]: ", PICK(t, months), 1 + below(t, 28), below(t, 24),
	    below(t, 60), below(t, 60), PICK(t, t->l->host), program, 300 + below(t, 60000));
}

/* ---- prose: of listed and unlisted words, as people write ---- */

static const char *const nouns[] = {
    "account", "action", "address", "answer", "area",	"army",	   "balance", "basket", "bridge", "budget",
    "century", "child",	 "choice",  "city",   "client", "company", "country", "course", "design", "doctor",
    "engine",  "family", "field",   "forest", "friend", "garden",  "history", "hotel",	"industry", "island",
    "kitchen", "letter", "library", "market", "member", "moment",  "morning", "museum", "network", "office",
    "order",   "page",	 "people",  "phone",  "planet", "program", "project", "report", "river",   "school",
    "season",  "secret", "security", "server", "stage", "station", "story",   "student", "system", "table",
    "teacher", "thing",	 "ticket",  "town",   "train",	"tree",	   "village", "water",	"window", "world"};
static const char *const verbs[] = {
    "opened", "closed", "found", "described", "answered", "reached", "built", "visited", "remembered",
    "carried", "followed", "left", "returned to", "wrote about", "paid for", "watched", "made", "kept"};
static const char *const others[] = {
    "the", "a", "of the", "in the", "and the", "to the", "with a", "from the", "that", "which was",
    "every", "an old", "one", "it as a", "this", "no", "is at the", "on the", "by the", "up to a", "so", "if we"};

static void prose(struct line *t, unsigned sentences)
{
	while (sentences--) {
		unsigned clauses = 2 + below(t, 4);

		put(t, "The %s", PICK(t, nouns));
		while (clauses--)
			put(t, " %s %s %s", PICK(t, verbs), PICK(t, others), PICK(t, nouns));
		put(t, below(t, 8) ? ". " : "; ");
	}
	put(t, "\n");
}

static void letter(struct line *t)
{
	prose(t, 1 + below(t, 5));
}

/* Eleven listed words and no more: names of things, one behind the other. */
static void listing(struct line *t)
{
	put(t, "tags:");
	for (unsigned i = 0, n = 3 + below(t, 9); i < n; i++)
		put(t, " %s", PICK(t, nouns));
	put(t, " of %u\n", below(t, 100));
}

static void korean(struct line *t)
{
	static const char *const words[] = {"가격", "사용자", "로그인", "서버에서", "연결이", "기록을",
					    "관리자", "시스템", "오류가", "확인", "거래소", "인증서"};

	stamp(t);
	for (unsigned i = 0, n = 4 + below(t, 8); i < n; i++)
		put(t, " %s", PICK(t, words));
	put(t, " (%u)\n", below(t, 10000));
}

/* ---- the system's own ---- */

static void sshd(struct line *t)
{
	syslog_head(t, "sshd");
	switch (below(t, 4)) {
	case 0:
		put(t, "Accepted publickey for deploy from ");
		ip(t);
		put(t, " port %u ssh2: ED25519 SHA256:", 1024 + below(t, 60000));
		chars(t, LOGS_BASE64, 43);
		break;
	case 1:
		put(t, "Failed password for invalid user admin from ");
		ip(t);
		put(t, " port %u ssh2", 1024 + below(t, 60000));
		break;
	case 2:
		put(t, "pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)");
		break;
	default:
		put(t, "Connection closed by authenticating user root ");
		ip(t);
		put(t, " port %u [preauth]", 1024 + below(t, 60000));
	}
	put(t, "\n");
}

static void daemons(struct line *t)
{
	static const char *const said[] = {
	    "Started Session %u of User root.", "Reloading configuration, generation %u.",
	    "loaded private key from /etc/ssl/private/server-%u.key",
	    "secret store unsealed, %u keys loaded", "no passphrase given for key slot %u",
	    "(root) CMD (run-parts --report /etc/cron.hourly) %u", "rotated signing key, key id %u",
	    "oom-killer: gfp_mask=0x%x, order=0", "authorized key list has %u entries",
	    "-----BEGIN and -----END lines expected in file %u", "token bucket refilled: %u",
	    "PEM header \"-----BEGIN PRIVATE KEY-----\" missing in upload %u"};
	static const char *const programs[] = {"systemd", "cron", "vault", "kernel", "dockerd", "stepca"};

	syslog_head(t, PICK(t, programs));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	put(t, PICK(t, said), below(t, 100000));
#pragma GCC diagnostic pop
	put(t, "\n");
}

static void audit(struct line *t)
{
	put(t, "type=%s msg=audit(%u.%03u:%u): ", below(t, 2) ? "SYSCALL" : "PROCTITLE",
	    1700000000u + below(t, 90000000), below(t, 1000), below(t, 1000000));
	if (below(t, 3)) {
		put(t, "arch=c000003e syscall=%u success=yes exit=0 a0=", below(t, 330));
		chars(t, LOGS_HEX, 12);
		put(t, " a1=7ffe");
		chars(t, LOGS_HEX, 8);
		put(t, " a2=0 a3=0 items=2 ppid=%u pid=%u auid=1000 uid=0 gid=0 tty=pts0 ses=%u "
		       "comm=\"cat\" exe=\"/usr/bin/cat\" key=\"secrets\"\n",
		    below(t, 9999), below(t, 9999), below(t, 99));
	} else {
		put(t, "proctitle=");
		chars(t, "0123456789ABCDEF", 2 * (10 + below(t, 60)));
		put(t, "\n");
	}
}

/* ---- the web's ---- */

static void web(struct line *t)
{
	static const char *const paths[] = {"/api/v1/orders/", "/static/js/app.", "/accounts/keys/",
					    "/wallets/", "/sessions/", "/download/"};

	ip(t);
	put(t, " - - [25/Nov/2026:%02u:%02u:%02u +0000] \"%s %s", below(t, 24), below(t, 60),
	    below(t, 60), below(t, 4) ? "GET" : "POST", PICK(t, paths));
	uuid(t);
	if (!t->l->plain && below(t, 2)) {
		put(t, "?sid=");
		chars(t, LOGS_BASE64URL, 43);
	}
	put(t, " HTTP/1.1\" %u %u \"https://www.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) "
	       "Gecko/20100101 Firefox/153.0\"", 200 + below(t, 300), below(t, 100000));
	if (!t->l->plain && below(t, 3) == 0) {
		put(t, " cookie=session=");
		chars(t, LOGS_BASE64, 43);
		put(t, "=");
	}
	put(t, "\n");
}

/* What looks most like a secret and is none. */
static void lookalike(struct line *t)
{
	static const struct {
		const char *before, *alphabet;
		unsigned n;
		const char *after;
	} like[] = {
	    {"pulled image sha256:", LOGS_HEX, 64, " in 3.2 s"},
	    {"commit ", LOGS_HEX, 40, " by ci"},
	    {"public key: ", LOGS_HEX, 64, ""},
	    {"key fingerprint is SHA256:", LOGS_BASE64, 43, " root@node"},
	    {"cache key ", LOGS_HEX, 64, " hit"},
	    {"object key=blobs/", LOGS_HEX, 64, " stored"},
	    {"etag=\"", LOGS_HEX, 64, "\""},
	    {"X-Request-Id: ", LOGS_BASE64URL, 22, ""},
	    {"digest: SHA-256=", LOGS_BASE64, 43, "="},
	    {"Authorization: Basic ", LOGS_BASE64, 40, ""},
	    {"txid ", LOGS_HEX, 64, " confirmed"},
	    {"deposit to 1", LOGS_BASE58, 33, ""},
	    {"deposit to bc1q", "023456789acdefghjklmnpqrstuvwxyz", 38, ""},
	    {"account xpub", LOGS_BASE58, 107, ""},
	    {"address 0x", LOGS_HEX, 40, ""},
	    {"accessKeyId=AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, " userAgent=aws-cli/2.9"},
	    {"x-amz-id-2: ", LOGS_BASE64, 75, "="},
	    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", LOGS_BASE64, 43, " backup@node"},
	    {"signature ", LOGS_BASE64, 86, "=="},
	    {"csrf ", LOGS_ALNUM, 51, ""},
	    {"nonce ", LOGS_BASE58, 52, ""},
	    {"block 5", LOGS_BASE58, 50, ""},
	    {"ref K", LOGS_BASE58, 51, ""},
	    {"password hash $6$", LOGS_ALNUM, 86, ""},
	    {"secret version sha256:", LOGS_HEX, 64, ""},
	    {"idempotency-key: ", LOGS_HEX, 64, ""},
	    {"build eyJ", LOGS_BASE64URL, 60, ""},
	    {"merkle root ", LOGS_HEX, 64, ""},
	    {"seed: ", "0123456789", 19, ""},
	    {"key AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, " (sum wrong)"},
	    {"dead xprv", LOGS_BASE58, 107, " (sum wrong)"},
	};
	unsigned i = below(t, COUNT(like));

	stamp(t);
	put(t, " level=info msg=%s", like[i].before);
	chars(t, like[i].alphabet, like[i].n);
	put(t, "%s\n", like[i].after);
}

static void json(struct line *t)
{
	put(t, "{\"ts\":\"");
	stamp(t);
	put(t, "\",\"level\":\"info\",\"trace_id\":\"");
	chars(t, LOGS_HEX, 32);
	put(t, "\",\"user\":\"u%u\",\"msg\":\"%s %s %s\",\"etag\":\"", below(t, 99999), PICK(t, nouns),
	    PICK(t, verbs), PICK(t, nouns));
	chars(t, LOGS_HEX, 64);
	put(t, "\",\"cursor\":\"");
	chars(t, LOGS_BASE64, 43);
	put(t, "=\"}\n");
}

static void certificate(struct line *t)
{
	if (t->l->left == 0) {
		t->l->left = 20;
		put(t, "-----BEGIN CERTIFICATE-----\nMIIDazCCAlOgAwIBAgIU");
		chars(t, LOGS_BASE64, 44);
	} else if (--t->l->left == 0) {
		chars(t, LOGS_BASE64, 22);
		put(t, "==\n-----END CERTIFICATE-----");
	} else {
		chars(t, LOGS_BASE64, 64);
	}
	put(t, "\n");
}

static void dump(struct line *t)
{
	put(t, "%08x ", below(t, 1u << 30));
	for (unsigned i = 0; i < 16; i++) {
		put(t, " ");
		chars(t, LOGS_HEX, 2);
	}
	put(t, "  |");
	chars(t, LOGS_ALNUM ".....", 16);
	put(t, "|\n");
}

size_t logs_line(struct logs *l, char out[LOGS_LINE])
{
	static void (*const kinds[])(struct line *t) = {sshd, sshd, daemons, daemons, audit, audit,
							audit, web, web, web, web, lookalike,
							lookalike, json, json, certificate, dump,
							letter, letter, listing, korean};
	static void (*const plain[])(struct line *t) = {sshd, daemons, audit, web};
	struct line t = {l, out, 0};

	if (l->plain)
		PICK(&t, plain)(&t);
	else if (l->left)
		certificate(&t);
	else
		PICK(&t, kinds)(&t);
	return t.n;
}

void logs_fill(struct logs *l, char *out, size_t n)
{
	char line[LOGS_LINE];

	while (n > 0) {
		size_t len = logs_line(l, line);

		len = len < n ? len : n;
		memcpy(out, line, len);
		out += len;
		n -= len;
	}
}
