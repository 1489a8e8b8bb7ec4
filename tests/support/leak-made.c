/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Written from the formats' own texts and not from the detectors: what is coded here is encoded, there decoded.
 */
#include "leak-made.h"

#include <stdio.h>
#include <string.h>

#include "crypto/age.h"

extern const char *const cof_leak_lists[];

struct maker {
	struct logs *l;
	struct made *m;
	unsigned v;
};

#define PICK(k, a) ((a)[logs_below((k)->l, COF_COUNT(a))])

static void add(struct maker *k, const char *text)
{
	cof_buf_add(&k->m->text, text, strlen(text));
}

static void begin(struct maker *k)
{
	k->m->at = k->m->text.len;
}

static void end(struct maker *k)
{
	k->m->len = k->m->text.len - k->m->at;
}

static void chars(struct maker *k, const char *alphabet, size_t n)
{
	char text[1024];

	logs_chars(k->l, alphabet, text, n);
	cof_buf_add(&k->m->text, text, n);
}

static void random_bytes(struct maker *k, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(logs_random(k->l) >> 40);
}

static unsigned form(struct maker *k, unsigned n, const char *const *names)
{
	k->m->how = names[k->v % n];
	return k->v % n;
}

/* ---- DER ---- */

static void der_head(struct cof_buf *b, uint8_t tag, size_t len)
{
	uint8_t head[4] = {tag, (uint8_t)len};
	size_t n = 2;

	if (len >= 0x100) {
		head[1] = 0x82;
		head[2] = (uint8_t)(len >> 8);
		head[3] = (uint8_t)len;
		n = 4;
	} else if (len >= 0x80) {
		head[1] = 0x81;
		head[2] = (uint8_t)len;
		n = 3;
	}
	cof_buf_add(b, head, n);
}

static void der_random(struct maker *k, struct cof_buf *b, uint8_t tag, size_t n)
{
	uint8_t bytes[1024] = {0};

	random_bytes(k, bytes, n);
	bytes[0] = (bytes[0] & 0x7f) | 1;
	der_head(b, tag, n);
	cof_buf_add(b, bytes, n);
}

static void der_wrap(struct cof_buf *b, uint8_t tag)
{
	struct cof_buf inner = *b;

	*b = (struct cof_buf){0};
	der_head(b, tag, inner.len);
	cof_buf_add(b, inner.data, inner.len);
	cof_buf_done(&inner);
}

static void der_rsa(struct maker *k, struct cof_buf *b, size_t bits)
{
	cof_buf_add(b, "\x02\x01\x00", 3);
	der_random(k, b, 2, bits / 8);
	cof_buf_add(b, "\x02\x03\x01\x00\x01", 5);
	der_random(k, b, 2, bits / 8);
	for (int i = 0; i < 5; i++)
		der_random(k, b, 2, bits / 16);
	der_wrap(b, 0x30);
}

static void der_ec(struct maker *k, struct cof_buf *b)
{
	cof_buf_add(b, "\x02\x01\x01", 3);
	der_random(k, b, 4, 32);
	cof_buf_add(b, "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 12);
	der_wrap(b, 0x30);
}

static void der_pkcs8(struct maker *k, struct cof_buf *b, bool rsa)
{
	struct cof_buf key = {0};

	if (rsa)
		der_rsa(k, &key, 1024 << logs_below(k->l, 2));
	else
		der_random(k, &key, 4, 32);
	cof_buf_add(b, "\x02\x01\x00", 3);
	if (rsa)
		cof_buf_add(b, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15);
	else
		cof_buf_add(b, "\x30\x05\x06\x03\x2b\x65\x70", 7);
	der_head(b, 4, key.len);
	cof_buf_add(b, key.data, key.len);
	der_wrap(b, 0x30);
	cof_buf_done(&key);
}

static void der_encrypted(struct maker *k, struct cof_buf *b)
{
	der_random(k, b, 4, 80);
	der_wrap(b, 0x30);
	cof_buf_done(b);
	cof_buf_add(b, "\x30\x57\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d\x30\x4a", 15);
	for (int i = 0; i < 0x4a; i++)
		cof_buf_add(b, "\x31", 1);
	der_random(k, b, 4, 0x90);
	der_wrap(b, 0x30);
}

static void make_der(struct maker *k)
{
	static const char *const names[] = {"pkcs8 rsa", "pkcs8 ed25519", "pkcs1", "sec1"};
	struct cof_buf b = {0};

	switch (form(k, 4, names)) {
	case 0:
		der_pkcs8(k, &b, true);
		break;
	case 1:
		der_pkcs8(k, &b, false);
		break;
	case 2:
		der_rsa(k, &b, 2048);
		break;
	default:
		der_ec(k, &b);
	}
	add(k, logs_below(k->l, 2) ? "attachment: " : "");
	begin(k);
	cof_buf_add(&k->m->text, b.data, b.len);
	end(k);
	add(k, "\n");
	cof_buf_done(&b);
}

/* ---- armor ---- */

/* Base64 in lines of 64 characters, each behind `head`, ended by eol. */
static void lines(struct maker *k, const struct cof_buf *b, const char *head, const char *eol)
{
	char *text = malloc(cof_base64_len(b->len) + 1);
	size_t n = cof_base64_len(b->len);

	cof_base64(b->data, b->len, text);
	for (size_t at = 0; at < n; at += 64) {
		add(k, head);
		cof_buf_add(&k->m->text, text + at, COF_MIN(n - at, 64));
		add(k, eol);
	}
	free(text);
}

static void armor(struct maker *k, const struct cof_buf *b, const char *label, const char *extra)
{
	static const char *const heads[] = {"", "", "Nov 25 01:02:03 node07 app[311]: ", "    "};
	static const char *const eols[] = {"\n", "\r\n", "\n", "\\n", "\\r\\n"};
	const char *eol = PICK(k, eols), *head = eol[0] == '\\' ? "" : PICK(k, heads);

	add(k, eol[0] == '\\' ? "{\"key\":\"" : "key follows\n");
	add(k, head);
	begin(k);
	cof_buf_printf(&k->m->text, "-----BEGIN %s-----%s", label, eol);
	if (extra)
		cof_buf_printf(&k->m->text, "%s%s%s", extra, eol, eol);
	lines(k, b, head, eol);
	cof_buf_printf(&k->m->text, "%s-----END %s-----", head, label);
	end(k);
	add(k, eol[0] == '\\' ? "\\n\"}\n" : "\n");
}

static void make_pem(struct maker *k)
{
	static const char *const names[] = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"};
	struct cof_buf b = {0};
	unsigned f = form(k, 3, names);

	if (f == 0)
		der_pkcs8(k, &b, logs_below(k->l, 2));
	else if (f == 1)
		der_rsa(k, &b, 1024 << logs_below(k->l, 2));
	else
		der_ec(k, &b);
	armor(k, &b, names[f], NULL);
	cof_buf_done(&b);
}

static void make_pem_encrypted(struct maker *k)
{
	static const char *const names[] = {"ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY"};
	struct cof_buf b = {0};

	if (form(k, 2, names) == 0) {
		der_encrypted(k, &b);
		armor(k, &b, names[0], NULL);
	} else {
		der_random(k, &b, 0x80, 700);
		armor(k, &b, names[1], "Proc-Type: 4,ENCRYPTED");
	}
	cof_buf_done(&b);
}

static void make_openssh(struct maker *k)
{
	struct cof_buf b = {0};

	cof_buf_add(&b, "openssh-key-v1", 15);
	der_random(k, &b, 0, 200);
	armor(k, &b, "OPENSSH PRIVATE KEY", NULL);
	cof_buf_done(&b);
}

static void make_pgp(struct maker *k)
{
	static const uint8_t tags[] = {0x94, 0x95, 0xc5};
	uint8_t tag = PICK(k, tags);
	struct cof_buf b = {0};

	cof_buf_add(&b, &tag, 1);
	der_random(k, &b, 3, 400);
	armor(k, &b, "PGP PRIVATE KEY BLOCK", logs_below(k->l, 2) ? "Comment: of a test" : "");
	cof_buf_done(&b);
}

static void make_gcp(struct maker *k)
{
	struct cof_buf b = {0};

	der_pkcs8(k, &b, true);
	add(k, "{\"type\": \"service_account\", \"project_id\": \"p\", \"private_key_id\": \"");
	chars(k, LOGS_HEX, 40);
	add(k, "\", \"private_key\": \"");
	begin(k);
	add(k, "-----BEGIN PRIVATE KEY-----\\n");
	lines(k, &b, "", "\\n");
	add(k, "-----END PRIVATE KEY-----");
	end(k);
	add(k, "\\n\", \"client_email\": \"x@p.iam.gserviceaccount.com\"}\n");
	cof_buf_done(&b);
}

/* ---- words ---- */

static const char *const places[][2] = {
    {"wallet restored from: ", ""}, {"mnemonic=\"", "\" ok"}, {"{\"seed\":\"", "\"}"},
    {"The recovery phrase is ", "."}, {"", ""}, {"2026-11-25T01:02:03Z info phrase: ", " saved"},
};

static void word(struct maker *k, unsigned list, unsigned index, bool big)
{
	const char *w = cof_leak_lists[list];
	size_t n;

	while (index--)
		w = strchr(w, '\n') + 1;
	n = (size_t)(strchr(w, '\n') - w);
	for (size_t i = 0; i < n; i++) {
		char c = big && w[i] >= 'a' && w[i] <= 'z' ? (char)(w[i] - 'a' + 'A') : w[i];

		cof_buf_add(&k->m->text, &c, 1);
	}
}

static void words(struct maker *k, unsigned list, const uint16_t *index, unsigned n)
{
	static const char *const between[] = {" ", " ", " ", "\n", ", ", "\",\"", "  ", "-"};
	const char *gap = PICK(k, between), *const *place = PICK(k, places);
	bool big = logs_below(k->l, 6) == 0, numbered = logs_below(k->l, 8) == 0;

	add(k, place[0]);
	for (unsigned i = 0; i < n; i++) {
		if (numbered)
			cof_buf_printf(&k->m->text, "%s%u. ", i ? " " : "", i + 1);
		else if (i)
			add(k, gap);
		if (i == 0)
			begin(k);
		word(k, list, index[i], big);
	}
	end(k);
	add(k, place[1]);
	add(k, "\n");
}

static void make_bip39(struct maker *k)
{
	static const char *const names[] = {"english",	     "chinese simplified", "chinese traditional",
					    "czech",	     "french",		   "italian",
					    "japanese",	     "korean",		   "portuguese",
					    "spanish",	     "english",		   "english"};
	static const uint8_t sizes[] = {12, 24, 12, 15, 18, 21, 24};
	unsigned n = PICK(k, sizes), bytes = n * 4 / 3, list = form(k, 12, names);
	uint8_t all[33], sum[COF_HASH];
	uint16_t index[24] = {0};

	random_bytes(k, all, bytes);
	cof_sha256(all, bytes, sum);
	all[bytes] = sum[0];
	for (unsigned bit = 0; bit < n * 11; bit++)
		index[bit / 11] = (uint16_t)(index[bit / 11] << 1 | (all[bit / 8] >> (7 - bit % 8) & 1));
	words(k, list > 9 ? 1 : list + 1, index, n);
}

static uint32_t rs1024_step(uint32_t chk, uint32_t v)
{
	static const uint32_t gen[10] = {0x00e0e040, 0x01c1c080, 0x03838100, 0x07070200, 0x0e0e0009,
					 0x1c0c2412, 0x38086c24, 0x3090fc48, 0x21b1f890, 0x03f3f120};
	uint32_t b = chk >> 20;

	chk = (chk & 0xfffff) << 10 ^ v;
	for (int i = 0; i < 10; i++)
		if (b >> i & 1)
			chk ^= gen[i];
	return chk;
}

static void make_slip39(struct maker *k)
{
	static const char *const names[] = {"shamir", "shamir_extendable"};
	unsigned n = logs_below(k->l, 2) ? 20 : 33, f = form(k, 2, names);
	uint16_t index[33];
	uint32_t chk = 1;

	for (unsigned i = 0; i < n - 3; i++)
		index[i] = (uint16_t)logs_below(k->l, 1024);
	index[1] = (uint16_t)((index[1] & ~0x10u) | (f ? 0x10 : 0));
	for (const char *c = names[f]; *c; c++)
		chk = rs1024_step(chk, (uint8_t)*c);
	for (unsigned i = 0; i < n; i++)
		chk = rs1024_step(chk, i < n - 3 ? index[i] : 0);
	chk ^= 1;
	for (unsigned i = 0; i < 3; i++)
		index[n - 3 + i] = chk >> (10 * (2 - i)) & 1023;
	words(k, 0, index, n);
}

/* ---- Base58Check ---- */

static const char *const labels[] = {"imported ", "key=", "\"wif\":\"", "export: ", "a\\n", "("};

static void base58check(struct maker *k, uint8_t *bytes, size_t n)
{
	static const char digits[] = LOGS_BASE58;
	uint8_t sum[COF_HASH];
	char out[128];
	size_t at = sizeof(out);

	cof_sha256(bytes, n, sum);
	cof_sha256(sum, sizeof(sum), sum);
	memcpy(bytes + n, sum, 4);
	for (;;) { /* divide by 58 until nothing is left */
		unsigned rest = 0, any = 0;

		for (size_t i = 0; i < n + 4; i++) {
			unsigned cur = rest << 8 | bytes[i];

			bytes[i] = (uint8_t)(cur / 58);
			any |= bytes[i];
			rest = cur % 58;
		}
		out[--at] = digits[rest];
		if (!any)
			break;
	}
	add(k, PICK(k, labels));
	begin(k);
	cof_buf_add(&k->m->text, out + at, sizeof(out) - at);
	end(k);
	add(k, logs_below(k->l, 2) ? "\"\n" : "\n");
}

static void make_bip32(struct maker *k)
{
	static const char *const names[] = {"xprv", "yprv", "zprv", "tprv"};
	static const uint32_t versions[] = {0x0488ade4, 0x049d7878, 0x04b2430c, 0x04358394};
	uint8_t key[78 + 4];

	random_bytes(k, key, sizeof(key));
	cof_put_be32(key, versions[form(k, 4, names)]);
	key[4] = (uint8_t)logs_below(k->l, 6);
	key[45] = 0;
	base58check(k, key, 78);
}

static void make_wif(struct maker *k)
{
	static const char *const names[] = {"plain", "compressed", "test", "test compressed"};
	unsigned f = form(k, 4, names);
	uint8_t key[34 + 4];

	random_bytes(k, key, sizeof(key));
	key[0] = f < 2 ? 0x80 : 0xef;
	key[33] = 1;
	base58check(k, key, f & 1 ? 34 : 33);
}

static void make_age(struct maker *k)
{
	char text[COF_AGE_IDENTITY];
	uint8_t key[COF_AGE_KEY];

	random_bytes(k, key, sizeof(key));
	cof_age_identity_text(key, text);
	add(k, PICK(k, labels));
	begin(k);
	add(k, text);
	end(k);
	add(k, "\n");
}

/* ---- 32 bytes beside a word ---- */

static void make_raw(struct maker *k)
{
	static const char *const names[] = {"hex", "0x", "HEX", "base64", "base64url"};
	static const char *const tells[] = {
	    "private key: ",	 "PRIVATE_KEY=",  "\"secretKey\":\"", "seed = ",     "master secret is ",
	    "privateKeyHex: ",	 "passphrase '",  "wallet seed (hex) ", "api.secret=", "mnemonic entropy: ",
	    "signing_key_base64=", "priv=",	  "key ",	    "--password=", "HMAC_SECRET: "};
	uint8_t key[32];
	char text[66];
	unsigned f = form(k, 5, names);

	random_bytes(k, key, sizeof(key));
	add(k, "2026-11-25T01:02:03Z app ");
	add(k, PICK(k, tells));
	if (f == 1)
		add(k, "0x");
	begin(k);
	if (f < 3)
		cof_hex(key, 32, text);
	else
		cof_base64(key, 32, text);
	for (char *c = text; *c; c++) {
		if (f == 2 && *c >= 'a')
			*c = (char)(*c - 'a' + 'A');
		if (f == 4)
			*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	}
	if (f == 4)
		text[43] = '\0';
	add(k, text);
	end(k);
	add(k, logs_below(k->l, 2) ? " loaded\n" : "\n");
}

/* ---- tokens ---- */

static void make_aws(struct maker *k)
{
	static const char *const names[] = {"id and secret", "secret by its name", "camel case"};
	unsigned f = form(k, 3, names);

	if (f == 0) {
		add(k, "aws_access_key_id = ");
		begin(k);
		add(k, logs_below(k->l, 2) ? "AKIA" : "ASIA");
		chars(k, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16);
		add(k, logs_below(k->l, 2) ? ", secret: " : "\naws_secret_access_key = ");
	} else {
		add(k, f == 1 ? "AWS_" : "\"");
		begin(k);
		add(k, f == 1 ? "SECRET_ACCESS_KEY=" : "SecretAccessKey\": \"");
	}
	chars(k, LOGS_BASE64, 40);
	end(k);
	add(k, f == 2 ? "\"\n" : "\n");
}

static void prefixed(struct maker *k, const char *prefix, const char *alphabet, size_t n)
{
	static const char *const before[] = {"token=", "Authorization: Bearer ", "https://x:", "\"", "a\\n"};

	add(k, PICK(k, before));
	begin(k);
	add(k, prefix);
	chars(k, alphabet, n);
}

static void make_github(struct maker *k)
{
	static const char *const names[] = {"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"};
	unsigned f = form(k, 6, names);

	prefixed(k, names[f], LOGS_ALNUM, f < 5 ? 36 : 22);
	if (f == 5) {
		add(k, "_");
		chars(k, LOGS_ALNUM, 59);
	}
	end(k);
	add(k, "@github.com\n");
}

static void make_gitlab(struct maker *k)
{
	prefixed(k, "glpat-", LOGS_BASE64URL, 20);
	end(k);
	add(k, "\n");
}

static void make_slack(struct maker *k)
{
	static const char *const names[] = {"xoxb-", "xoxp-", "hook"};
	unsigned f = form(k, 3, names);

	if (f == 2) {
		add(k, "POST https://");
		begin(k);
		add(k, "hooks.slack.com/services/T");
		chars(k, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 8);
		add(k, "/B");
		chars(k, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 10);
		add(k, "/");
		chars(k, LOGS_ALNUM, 24);
	} else {
		prefixed(k, names[f], "0123456789", 12);
		for (unsigned i = 0; i <= f; i++) {
			add(k, "-");
			chars(k, "0123456789", 12);
		}
		add(k, "-");
		chars(k, LOGS_ALNUM, f ? 32 : 24);
	}
	end(k);
	add(k, " 200\n");
}

static void make_stripe(struct maker *k)
{
	static const char *const names[] = {"sk_live_", "rk_live_"};

	prefixed(k, names[form(k, 2, names)], LOGS_ALNUM, 24 + 75 * logs_below(k->l, 2));
	end(k);
	add(k, "\n");
}

static void make_telegram(struct maker *k)
{
	add(k, "GET https://api.telegram.org/bot");
	begin(k);
	chars(k, "123456789", 8 + logs_below(k->l, 3));
	add(k, ":AA");
	chars(k, LOGS_BASE64URL, 33);
	end(k);
	add(k, "/getMe\n");
}

static void make_discord(struct maker *k)
{
	char id[20], text[32];

	id[0] = (char)('1' + logs_below(k->l, 9));
	logs_chars(k->l, "0123456789", id + 1, 18);
	cof_base64(id, 18 + logs_below(k->l, 2), text);
	text[strcspn(text, "=")] = '\0';
	prefixed(k, text, LOGS_BASE64URL, 0);
	add(k, ".G");
	chars(k, LOGS_BASE64URL, 5);
	add(k, ".");
	chars(k, LOGS_BASE64URL, logs_below(k->l, 2) ? 27 : 38);
	end(k);
	add(k, "\n");
}

static void base64url(struct maker *k, const char *text)
{
	char out[512];

	cof_base64(text, strlen(text), out);
	out[strcspn(out, "=")] = '\0';
	add(k, out);
}

static void make_jwt(struct maker *k)
{
	static const char *const names[] = {"HS256", "RS256", "ES256", "EdDSA"};
	static const unsigned lengths[] = {43, 342, 86, 86};
	unsigned f = form(k, 4, names);
	char text[200];

	add(k, logs_below(k->l, 2) ? "Authorization: Bearer " : "{\"token\":\"");
	begin(k);
	snprintf(text, sizeof(text), "{\"alg\":\"%s\",\"typ\":\"JWT\"}", names[f]);
	base64url(k, text);
	add(k, ".");
	snprintf(text, sizeof(text), "{\"sub\":\"u%u\",\"iss\":\"https://id.example.com\",\"exp\":1800000000}",
		 logs_below(k->l, 100000));
	base64url(k, text);
	add(k, ".");
	chars(k, LOGS_BASE64URL, lengths[f]);
	end(k);
	add(k, logs_below(k->l, 2) ? "\"}\n" : "\n");
}

void made_leak(struct logs *l, enum cof_leak_kind kind, unsigned variant, struct made *ret)
{
	static void (*const makers[COF_LEAK_KINDS])(struct maker *k) = {
	    [COF_LEAK_PEM] = make_pem,	       [COF_LEAK_PEM_ENCRYPTED] = make_pem_encrypted,
	    [COF_LEAK_OPENSSH] = make_openssh, [COF_LEAK_PGP] = make_pgp,
	    [COF_LEAK_GCP] = make_gcp,	       [COF_LEAK_DER] = make_der,
	    [COF_LEAK_BIP39] = make_bip39,     [COF_LEAK_SLIP39] = make_slip39,
	    [COF_LEAK_BIP32] = make_bip32,     [COF_LEAK_WIF] = make_wif,
	    [COF_LEAK_AGE] = make_age,	       [COF_LEAK_RAW] = make_raw,
	    [COF_LEAK_AWS] = make_aws,	       [COF_LEAK_GITHUB] = make_github,
	    [COF_LEAK_GITLAB] = make_gitlab,   [COF_LEAK_SLACK] = make_slack,
	    [COF_LEAK_STRIPE] = make_stripe,   [COF_LEAK_TELEGRAM] = make_telegram,
	    [COF_LEAK_DISCORD] = make_discord, [COF_LEAK_JWT] = make_jwt,
	};
	struct maker k = {l, ret, variant};

	*ret = (struct made){.how = ""};
	makers[kind](&k);
}

void made_done(struct made *m)
{
	cof_buf_done(&m->text);
}
