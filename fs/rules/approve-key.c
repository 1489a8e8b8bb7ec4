/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys, certificates and signatures of OpenSSH, as far as it takes to say whether two of them are of one
 * secret. Whether a signature holds is not judged here.
 *
 * What identifies a key is what it is made of (kind, point or modulus), not its bytes as they come: the same
 * RSA modulus can be written with more zeros in front, the same Ed25519 point as a key of hardware and of
 * software, the same sk- key for two applications.
 */
#include "fs/rules/approve-private.h"

#include "crypto/crypto.h"

#define CERT "-cert-v01@openssh.com"

int ssh_take_u32(struct ssh_bytes *b, uint32_t *ret)
{
	if (b->n < 4)
		return -EUCLEAN;
	*ret = cof_get_be32(b->p);
	b->p += 4;
	b->n -= 4;
	return 0;
}

int ssh_take(struct ssh_bytes *b, struct ssh_bytes *ret)
{
	uint32_t n;

	if (ssh_take_u32(b, &n) < 0 || n > b->n)
		return -EUCLEAN;
	*ret = (struct ssh_bytes){b->p, n};
	b->p += n;
	b->n -= n;
	return 0;
}

bool ssh_is(const struct ssh_bytes *b, const char *text)
{
	return b->n == strlen(text) && !memcmp(b->p, text, b->n);
}

/* ---- kinds of keys ---- */

enum material { ED25519, ECDSA, RSA };
static const struct kind {
	const char *plain, *certificate;
	enum material material;
	bool hardware;
} kinds[] = {
    {"ssh-ed25519", "ssh-ed25519" CERT, ED25519, false},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519" CERT, ED25519, true},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" CERT, ECDSA, false},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" CERT, ECDSA, false},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" CERT, ECDSA, false},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256" CERT, ECDSA, true},
    {"ssh-rsa", "ssh-rsa" CERT, RSA, false},
};

bool ssh_key_type_known(const char *type, size_t n)
{
	for (size_t i = 0; i < COF_COUNT(kinds); i++)
		if (strlen(kinds[i].plain) == n && !memcmp(kinds[i].plain, type, n))
			return true;
	return false;
}

static void digest(const char *kind, const struct ssh_bytes *a, const struct ssh_bytes *b, uint8_t ret[32])
{
	struct iovec iov[] = {{(void *)(uintptr_t)kind, strlen(kind) + 1},
			      {(void *)(uintptr_t)a->p, a->n},
			      {(void *)(uintptr_t)b->p, b->n}};

	cof_sha256v(iov, 3, ret);
}

static void trim(struct ssh_bytes *number)
{
	while (number->n && !number->p[0]) {
		number->p++;
		number->n--;
	}
}

/* The fields that make the key, as they stand in keys and certificates alike. */
static int take_material(const struct kind *k, struct ssh_bytes *b, uint8_t ret[32])
{
	struct ssh_bytes one, two = {(const uint8_t *)"", 0}, application;

	if (ssh_take(b, &one) < 0 || (k->material != ED25519 && ssh_take(b, &two) < 0) ||
	    (k->hardware && ssh_take(b, &application) < 0))
		return -EUCLEAN;
	switch (k->material) {
	case ED25519:
		if (one.n != 32)
			return -EUCLEAN;
		digest("ed25519", &one, &two, ret);
		return 0;
	case ECDSA: /* curve, point: of the three curves the lengths differ */
		if (two.n < 65 || two.p[0] != 4)
			return -EUCLEAN;
		digest("ecdsa", &two, &(struct ssh_bytes){(const uint8_t *)"", 0}, ret);
		return 0;
	case RSA: /* exponent, modulus: who knows its factors signs with any exponent */
		trim(&two);
		if (two.n < 256)
			return -EUCLEAN;
		digest("rsa", &two, &(struct ssh_bytes){(const uint8_t *)"", 0}, ret);
		return 0;
	}
	return -EUCLEAN;
}

void ssh_ed25519_digest(const uint8_t point[32], uint8_t ret[32])
{
	struct ssh_bytes one = {point, 32}, none = {(const uint8_t *)"", 0};

	digest("ed25519", &one, &none, ret);
}

/* What follows a certificate's key: serial, kind, id, principals, from, to, options, extensions, reserved, authority,
 * signature. */
static int take_authority(struct ssh_bytes *b, uint8_t ret[32])
{
	struct ssh_bytes skip, authority;
	struct ssh_key key;
	uint32_t kind;
	int r = b->n < 8 ? -EUCLEAN : 0;

	if (r == 0) {
		b->p += 8;
		b->n -= 8;
		r = ssh_take_u32(b, &kind);
	}
	for (int i = 0; i < 2 && r == 0; i++)
		r = ssh_take(b, &skip);
	if (r == 0 && b->n < 16)
		r = -EUCLEAN;
	if (r < 0)
		return r;
	b->p += 16;
	b->n -= 16;
	for (int i = 0; i < 3 && r == 0; i++)
		r = ssh_take(b, &skip);
	if (r == 0)
		r = ssh_take(b, &authority);
	if (r == 0)
		r = ssh_take(b, &skip);
	if (r == 0)
		r = ssh_key_read(authority.p, authority.n, NULL, &key);
	if (r < 0 || key.certificate)
		return -EUCLEAN; /* an authority's authority is not a thing */
	memcpy(ret, key.key, sizeof(key.key));
	return 0;
}

int ssh_key_read(const uint8_t *p, size_t n, const char *type, struct ssh_key *ret)
{
	struct ssh_bytes b = {p, n}, name, nonce;
	struct ssh_key key = {0};
	const struct kind *k = NULL;

	if (ssh_take(&b, &name) < 0 || (type && !ssh_is(&name, type)))
		return -EUCLEAN;
	for (size_t i = 0; i < COF_COUNT(kinds) && !k; i++) {
		key.certificate = ssh_is(&name, kinds[i].certificate);
		if (key.certificate || ssh_is(&name, kinds[i].plain))
			k = &kinds[i];
	}
	if (!k)
		return -EOPNOTSUPP;
	key.hardware = k->hardware;
	if ((key.certificate && ssh_take(&b, &nonce) < 0) || take_material(k, &b, key.key) < 0 ||
	    (key.certificate && take_authority(&b, key.authority) < 0) || b.n)
		return -EUCLEAN;
	*ret = key;
	return 0;
}

/* ---- signatures ---- */

static int unarmor(const char *text, size_t n, struct cof_buf *ret)
{
	static const char begin[] = "-----BEGIN SSH SIGNATURE-----", end[] = "-----END SSH SIGNATURE-----";
	cof_autofree char *plain = NULL;
	const char *stop;
	size_t len = 0, got = 0;

	if (n > COF_SIGNATURE_MAX || n < sizeof(begin) || memcmp(text, begin, sizeof(begin) - 1) != 0)
		return -EUCLEAN;
	text += sizeof(begin) - 1;
	n -= sizeof(begin) - 1;
	stop = memmem(text, n, end, sizeof(end) - 1);
	plain = malloc(n + 1);
	if (!stop || !plain)
		return stop ? -ENOMEM : -EUCLEAN;
	for (const char *c = text; c < stop; c++)
		if (*c != '\n' && *c != '\r')
			plain[len++] = *c;
	for (const char *c = stop + sizeof(end) - 1; c < text + n; c++)
		if (*c != '\n' && *c != '\r')
			return -EUCLEAN;
	ret->data = malloc(len + 1);
	if (!ret->data)
		return -ENOMEM;
	ret->cap = len + 1;
	if (cof_unbase64(plain, len, ret->data, len, &got) < 0)
		return -EUCLEAN;
	ret->len = got;
	return 0;
}

static int read_blob(struct ssh_bytes b, struct cof_signature_info *ret)
{
	struct ssh_bytes key, purpose, reserved, hash, signature, kind, raw;
	struct ssh_key k;
	uint32_t version;
	int r;

	if (b.n < 6 || memcmp(b.p, "SSHSIG", 6) != 0)
		return -EUCLEAN;
	b.p += 6;
	b.n -= 6;
	if (ssh_take_u32(&b, &version) < 0 || version != 1 || ssh_take(&b, &key) < 0 || ssh_take(&b, &purpose) < 0 ||
	    ssh_take(&b, &reserved) < 0 || ssh_take(&b, &hash) < 0 || ssh_take(&b, &signature) < 0 || b.n ||
	    !purpose.n || purpose.n >= sizeof(ret->purpose) || memchr(purpose.p, 0, purpose.n) ||
	    ssh_take(&signature, &kind) < 0 || ssh_take(&signature, &raw) < 0)
		return -EUCLEAN;
	r = ssh_key_read(key.p, key.n, NULL, &k);
	if (r < 0)
		return r;
	if (k.hardware && signature.n != 5) /* flags, counter */
		return -EUCLEAN;
	*ret = (struct cof_signature_info){.hardware = k.hardware,
					   .certificate = k.certificate,
					   .present = k.hardware && (signature.p[0] & 1),
					   .verified = k.hardware && (signature.p[0] & 4)};
	memcpy(ret->purpose, purpose.p, purpose.n);
	memcpy(ret->key, k.key, sizeof(ret->key));
	memcpy(ret->authority, k.authority, sizeof(ret->authority));
	return 0;
}

int cof_signature_read(const char *armored, size_t n, struct cof_signature_info *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf blob = {0};
	int r = unarmor(armored, n, &blob);

	if (r == 0)
		r = read_blob((struct ssh_bytes){blob.data, blob.len}, ret);
	if (r == -EOPNOTSUPP)
		return cof_fail(diag, -EUCLEAN, "signed by a kind of key that is not taken: use ed25519, ecdsa, rsa of 2048 "
						"bits or more, or a hardware key of those");
	return r == -EUCLEAN ? cof_fail(diag, r, "this is no SSH signature: make one with ssh-keygen -Y sign") : r;
}
