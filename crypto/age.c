/* SPDX-License-Identifier: Apache-2.0 */
/*
 * age v1: sealing and opening. The file key is drawn for each file; a recipient's wrap key comes from
 * an ephemeral key of its own. Everything secret lies in secure memory.
 */
#include "crypto/age-private.h"
#include "crypto/private.h"

#define CHUNK (64u << 10)
#define NONCE 16 /* of the payload */

struct secrets { /* secure memory */
	uint8_t file_key[COF_AGE_FILE_KEY];
	uint8_t ephemeral[COF_AGE_KEY], shared[COF_AGE_KEY];
	uint8_t key[COF_KEY];
};

static const uint8_t zero_nonce[COF_NONCE];

/* s->key from s->shared. */
static int wrap_key(struct secrets *s, const uint8_t ephemeral[COF_AGE_KEY],
		    const uint8_t recipient[COF_AGE_KEY])
{
	static const char label[] = "age-encryption.org/v1/X25519";
	uint8_t salt[2 * COF_AGE_KEY];

	memcpy(salt, ephemeral, COF_AGE_KEY);
	memcpy(salt + COF_AGE_KEY, recipient, COF_AGE_KEY);
	return cof_hkdf(salt, sizeof(salt), s->shared, COF_AGE_KEY, label, sizeof(label) - 1, s->key,
			COF_KEY);
}

static int header_mac(struct secrets *s, const void *header, size_t n, uint8_t out[COF_HASH])
{
	const struct iovec v = {(void *)header, n};
	int err = cof_hkdf(NULL, 0, s->file_key, COF_AGE_FILE_KEY, "header", 6, s->key, COF_KEY);

	if (!err)
		cof_hmac(s->key, COF_KEY, &v, 1, out);
	return err;
}

static int payload_key(struct secrets *s, const uint8_t nonce[NONCE])
{
	return cof_hkdf(nonce, NONCE, s->file_key, COF_AGE_FILE_KEY, "payload", 7, s->key, COF_KEY);
}

static void chunk_nonce(uint64_t counter, bool last, uint8_t out[COF_NONCE])
{
	memset(out, 0, COF_NONCE);
	cof_put_be64(out + 3, counter);
	out[11] = last;
}

/* ---- making ---- */

static int put_recipient(struct secrets *s, const uint8_t recipient[COF_AGE_KEY], struct cof_buf *b)
{
	struct cof_age_stanza stanza;
	int err;

	cof_random(s->ephemeral, COF_AGE_KEY);
	err = cof_x25519_public(s->ephemeral, stanza.ephemeral);
	if (!err)
		err = cof_x25519(s->ephemeral, recipient, s->shared);
	if (err == -EBADMSG)
		err = -EINVAL;
	if (!err)
		err = wrap_key(s, stanza.ephemeral, recipient);
	if (!err)
		err = cof_chacha_seal(s->key, zero_nonce, s->file_key, COF_AGE_FILE_KEY, stanza.wrapped);
	if (!err)
		cof_age_stanza_put(b, &stanza);
	return err;
}

static int put_payload(struct secrets *s, const uint8_t *plain, size_t len, struct cof_buf *b)
{
	cof_autofree uint8_t *sealed = malloc(CHUNK + COF_TAG);
	uint8_t nonce[NONCE], n12[COF_NONCE];
	size_t at = 0, n;
	int err;

	if (!sealed)
		return -ENOMEM;
	cof_random(nonce, sizeof(nonce));
	cof_buf_add(b, nonce, sizeof(nonce));
	err = payload_key(s, nonce);
	for (uint64_t i = 0; !err; i++) {
		n = COF_MIN(len - at, (size_t)CHUNK);
		chunk_nonce(i, at + n == len, n12);
		err = cof_chacha_seal(s->key, n12, plain + at, n, sealed);
		if (!err)
			cof_buf_add(b, sealed, n + COF_TAG);
		at += n;
		if (at == len)
			break;
	}
	return err;
}

/* With a file key that is drawn for it. */
static int put_header(struct secrets *s, const uint8_t (*recipients)[COF_AGE_KEY], size_t n, struct cof_buf *b)
{
	uint8_t mac[COF_HASH];
	char text[45];
	int err = 0;

	if (!n || n > COF_AGE_RECIPIENTS)
		return -EINVAL;
	cof_random(s->file_key, COF_AGE_FILE_KEY);
	cof_buf_printf(b, "age-encryption.org/v1\n");
	for (size_t i = 0; i < n && !err; i++)
		err = put_recipient(s, recipients[i], b);
	cof_buf_add(b, "---", 3);
	if (!err && b->failed)
		err = -ENOMEM;
	if (!err)
		err = header_mac(s, b->data, b->len, mac);
	if (err)
		return err;
	cof_age_base64(mac, text);
	cof_buf_printf(b, " %s\n", text);
	return b->failed ? -ENOMEM : 0;
}

int cof_age_encrypt(const uint8_t (*recipients)[COF_AGE_KEY], size_t n, const void *plain, size_t len,
		    uint8_t *ret_file_key, struct cof_buf *ret)
{
	cof_autosecret struct secrets *s = cof_secret_alloc(sizeof(*s));
	cof_autobuf struct cof_buf b = {0};
	int err;

	if (!s)
		return -ENOMEM;
	if (len > COF_AGE_PLAIN_MAX)
		return -EFBIG;
	err = put_header(s, recipients, n, &b);
	if (!err)
		err = put_payload(s, len ? plain : "", len, &b);
	if (!err && b.failed)
		err = -ENOMEM;
	if (err)
		return err;
	if (ret_file_key)
		memcpy(ret_file_key, s->file_key, COF_AGE_FILE_KEY);
	*ret = b;
	b = (struct cof_buf){0};
	return 0;
}

/* ---- making, a piece at a time ---- */

struct cof_age_stream {
	struct secrets *s;
	int (*put)(void *user, const void *p, size_t n);
	void *user;
	uint64_t chunks;
	size_t n; /* bytes of the chunk that is gathered */
	uint8_t plain[CHUNK], sealed[CHUNK + COF_TAG];
};

int cof_age_stream_new(const uint8_t (*recipients)[COF_AGE_KEY], size_t n, int (*put)(void *user, const void *p, size_t n), void *user,
		       struct cof_age_stream **ret)
{
	struct cof_age_stream *a = calloc(1, sizeof(*a));
	cof_autobuf struct cof_buf b = {0};
	uint8_t nonce[NONCE];
	int err;

	if (!a)
		return -ENOMEM;
	a->put = put;
	a->user = user;
	a->s = cof_secret_alloc(sizeof(*a->s));
	err = a->s ? put_header(a->s, recipients, n, &b) : -ENOMEM;
	cof_random(nonce, sizeof(nonce));
	cof_buf_add(&b, nonce, sizeof(nonce));
	if (!err)
		err = b.failed ? -ENOMEM : payload_key(a->s, nonce);
	if (!err)
		err = put(user, b.data, b.len);
	if (err) {
		cof_age_stream_free(a);
		return err;
	}
	*ret = a;
	return 0;
}

static int seal_gathered(struct cof_age_stream *a, bool last)
{
	uint8_t nonce[COF_NONCE];
	size_t n = a->n;
	int err;

	chunk_nonce(a->chunks++, last, nonce);
	err = cof_chacha_seal(a->s->key, nonce, a->plain, n, a->sealed);
	a->n = 0;
	return err ? err : a->put(a->user, a->sealed, n + COF_TAG);
}

int cof_age_stream_write(struct cof_age_stream *a, const void *p, size_t n)
{
	const uint8_t *from = p;
	int err = 0;

	while (!err && n) {
		size_t k;

		if (a->n == CHUNK) /* more comes, so it is not the last */
			err = seal_gathered(a, false);
		k = COF_MIN(n, CHUNK - a->n);
		memcpy(a->plain + a->n, from, k);
		a->n += k;
		from += k;
		n -= k;
	}
	return err;
}

int cof_age_stream_end(struct cof_age_stream *a)
{
	return seal_gathered(a, true);
}

void cof_age_stream_free(struct cof_age_stream *a)
{
	if (!a)
		return;
	cof_secret_free(a->s);
	explicit_bzero(a->plain, sizeof(a->plain));
	free(a);
}

/* ---- opening ---- */

struct opening {
	struct secrets *s;
	const uint8_t (*identities)[COF_AGE_KEY];
	size_t n;
	bool found;
};

/* The rest of the header is read even when the key was found: it has to be well-formed. */
static int try_stanza(void *user, const struct cof_age_stanza *stanza)
{
	struct opening *o = user;

	for (size_t i = 0; i < o->n && !o->found; i++) {
		uint8_t recipient[COF_AGE_KEY];
		int err = cof_x25519_public(o->identities[i], recipient);

		if (!err)
			err = cof_x25519(o->identities[i], stanza->ephemeral, o->s->shared);
		if (err == -EBADMSG) /* a point of low order: everybody would know the shared secret */
			return -EUCLEAN;
		if (!err)
			err = wrap_key(o->s, stanza->ephemeral, recipient);
		if (!err)
			err = cof_chacha_open(o->s->key, zero_nonce, stanza->wrapped, COF_AGE_FILE_KEY,
					      o->s->file_key);
		if (err && err != -EBADMSG)
			return err;
		o->found = !err;
	}
	return 0;
}

/* Which chunk is the last follows from the length; that it was meant to be is in its nonce. */
static int open_payload(struct secrets *s, const uint8_t *at, size_t left, void **ret_plain, size_t *ret_n)
{
	size_t len = left - NONCE, chunks = (len + CHUNK + COF_TAG - 1) / (CHUNK + COF_TAG), done = 0;
	cof_autosecret uint8_t *plain = NULL;
	int err;

	/* what is left for the last chunk: its tag, and, unless it is the only one, a byte */
	if (!chunks || len - (chunks - 1) * (CHUNK + COF_TAG) < COF_TAG + (chunks > 1))
		return -EBADMSG;
	if (len - chunks * COF_TAG > COF_AGE_PLAIN_MAX)
		return -EFBIG;
	plain = cof_secret_alloc(COF_MAX(len - chunks * COF_TAG, (size_t)1));
	if (!plain)
		return -ENOMEM;
	err = payload_key(s, at);
	at += NONCE;
	for (uint64_t i = 0; i < chunks && !err; i++) {
		size_t n = COF_MIN(len, (size_t)CHUNK + COF_TAG) - COF_TAG;
		uint8_t nonce[COF_NONCE];

		chunk_nonce(i, i == chunks - 1, nonce);
		err = cof_chacha_open(s->key, nonce, at, n, plain + done);
		at += n + COF_TAG;
		len -= n + COF_TAG;
		done += n;
	}
	if (err)
		return err;
	*ret_plain = plain;
	*ret_n = done;
	plain = NULL;
	return 0;
}

static int open_by_file_key(struct secrets *s, const struct cof_age_header *h, size_t len, void **ret_plain,
			    size_t *ret_n)
{
	uint8_t mac[COF_HASH];
	int err = header_mac(s, h->at, h->mac_input, mac);

	if (err)
		return err;
	if (!cof_equal(mac, h->mac, sizeof(mac)) || len - h->len < NONCE)
		return -EBADMSG;
	return open_payload(s, h->at + h->len, len - h->len, ret_plain, ret_n);
}

int cof_age_decrypt(const uint8_t (*identities)[COF_AGE_KEY], size_t n, const void *file, size_t len,
		    void **ret_plain, size_t *ret_n)
{
	cof_autosecret struct secrets *s = cof_secret_alloc(sizeof(*s));
	struct opening o = {.s = s, .identities = identities, .n = n};
	struct cof_age_header h;
	int err;

	if (!s)
		return -ENOMEM;
	if (len > COF_AGE_FILE_MAX)
		return -EFBIG;
	err = cof_age_header_parse(file, len, &h, try_stanza, &o);
	if (err)
		return err;
	return o.found ? open_by_file_key(s, &h, len, ret_plain, ret_n) : -EKEYREJECTED;
}

int cof_age_decrypt_by_key(const uint8_t file_key[COF_AGE_FILE_KEY], const void *file, size_t len,
			   void **ret_plain, size_t *ret_n)
{
	cof_autosecret struct secrets *s = cof_secret_alloc(sizeof(*s));
	struct cof_age_header h;
	int err;

	if (!s)
		return -ENOMEM;
	if (len > COF_AGE_FILE_MAX)
		return -EFBIG;
	err = cof_age_header_parse(file, len, &h, NULL, NULL);
	if (err)
		return err;
	memcpy(s->file_key, file_key, COF_AGE_FILE_KEY);
	return open_by_file_key(s, &h, len, ret_plain, ret_n);
}
