/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leak guard: finds private keys and other secrets in what is appended to a file (docs/leak.md says
 * which, what is verified of each, and what is not found). Knows bytes only: no file, no policy.
 *
 * A database is made once and then only read: any number of threads may scan with it. A stream is one
 * file's; calls on it are serialised by whoever owns it (the file's lock). It keeps the last bytes
 * of the file, so that what lies across two writes is found, in one allocation of COF_LEAK_STREAM
 * bytes that may be dropped at any time: what lies across that point is then missed, unless the file's
 * last COF_LEAK_TAIL bytes are handed to the next stream.
 *
 * What is found is said by kind and place. The secret itself is in no result; copies of content in a
 * stream or on the stack are wiped when no longer needed.
 */
#ifndef COF_LEAK_H
#define COF_LEAK_H

#include "base/base.h"

#define COF_LEAK_STREAM 4096 /* bytes of a stream, all told */
#define COF_LEAK_TAIL 1600   /* bytes before an append that may matter to it */

enum cof_leak_kind {
	COF_LEAK_PEM,		/* PKCS#8, PKCS#1, SEC1, DSA private key in PEM */
	COF_LEAK_PEM_ENCRYPTED, /* the same under a passphrase */
	COF_LEAK_OPENSSH,	/* OpenSSH private key, with or without a passphrase */
	COF_LEAK_PGP,		/* armored OpenPGP secret key */
	COF_LEAK_GCP,		/* "private_key" of a service account's JSON */
	COF_LEAK_DER,		/* PKCS#8, PKCS#1 or SEC1 private key, binary */
	COF_LEAK_BIP39,
	COF_LEAK_SLIP39,
	COF_LEAK_BIP32, /* extended private key: xprv, yprv, zprv, tprv and kin */
	COF_LEAK_WIF,
	COF_LEAK_AGE,
	COF_LEAK_RAW, /* 32 bytes in hex or base64 behind a telling word */
	COF_LEAK_AWS,
	COF_LEAK_GITHUB,
	COF_LEAK_GITLAB,
	COF_LEAK_SLACK,
	COF_LEAK_STRIPE,
	COF_LEAK_TELEGRAM,
	COF_LEAK_DISCORD,
	COF_LEAK_JWT,
	COF_LEAK_KINDS
};

/* "bip39": of a-z, 0-9 and "-", for events and policies. */
const char *cof_leak_name(enum cof_leak_kind kind);
/* Whether a checksum inside the secret was verified, so that chance is ruled out. */
bool cof_leak_checksummed(enum cof_leak_kind kind);

struct cof_leak {
	enum cof_leak_kind kind;
	uint64_t offset; /* in the file, of the first byte of the secret */
	uint32_t len;
	bool open_ended; /* it reaches the end of what was scanned and may go on behind it */
};

/* Called during a scan, in order of discovery, which need not be that of the offsets. */
typedef void (*cof_leak_fn)(void *user, const struct cof_leak *leak);

/* ---- database: word lists and tables, shared, immutable; about 1 MiB ---- */

struct cof_leak_db;

int cof_leak_db_new(struct cof_leak_db **ret); /* cof_crypto_init was called; -ENOMEM */
void cof_leak_db_free(struct cof_leak_db *db);

/* ---- stream: one file's appends ---- */

struct cof_leak_stream;

/* offset: the size of the file so far. tail: its last bytes, or NULL and 0: as many as COF_LEAK_TAIL
 * are used. Nothing is reported of them, but a secret that begins in them and ends later is. -ENOMEM */
int cof_leak_stream_new(const struct cof_leak_db *db, uint64_t offset, const void *tail, size_t n,
			struct cof_leak_stream **ret);
void cof_leak_stream_free(struct cof_leak_stream *s); /* wipes; NULL is fine */

/*
 * Scans n bytes that are about to be appended. Returns how many secrets end (or can first be told) in
 * them, each given to fn once; fn may be NULL. Never fails. The stream does not move: whoever refuses the
 * bytes or could not write them just goes on; whoever wrote them calls cof_leak_accept with the
 * same bytes before the next scan.
 */
unsigned cof_leak_scan(const struct cof_leak_db *db, struct cof_leak_stream *s, const void *p, size_t n,
		       cof_leak_fn fn, void *user);
void cof_leak_accept(struct cof_leak_stream *s, const void *p, size_t n);

#endif
