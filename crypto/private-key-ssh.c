/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssh-key-v1, without a passphrase: "openssh-key-v1" NUL · cipher, KDF, its options (strings) · number of keys
 * u32 · public key (string) · private part (string): check u32 twice · kind (string) · the kind's numbers · comment ·
 * padding 1, 2, 3 … A string is a length u32, big endian, and so many bytes.
 */
#include "crypto/private-key-ssh.h"

static const char magic[] = "openssh-key-v1";

struct span { /* what is left to read */
	const uint8_t *p;
	size_t n;
	bool short_;
};

static uint32_t take_u32(struct span *s)
{
	uint32_t v;

	if (s->short_ || s->n < 4) {
		s->short_ = true;
		return 0;
	}
	v = cof_get_be32(s->p);
	s->p += 4;
	s->n -= 4;
	return v;
}

static gnutls_datum_t take(struct span *s)
{
	uint32_t n = take_u32(s);
	gnutls_datum_t d = {(void *)s->p, n};

	if (s->short_ || n > s->n) {
		s->short_ = true;
		return (gnutls_datum_t){NULL, 0};
	}
	s->p += n;
	s->n -= n;
	return d;
}

static bool is(const gnutls_datum_t *d, const char *text)
{
	return d->size == strlen(text) && !memcmp(d->data, text, d->size);
}

static int import_rsa(struct span *s, gnutls_x509_privkey_t key)
{
	gnutls_datum_t m = take(s), e = take(s), d = take(s), u = take(s), p = take(s), q = take(s);

	/* q⁻¹ mod p and the CRT exponents are computed anew: what the file says of them proves nothing. */
	(void)u;
	return s->short_ ? GNUTLS_E_ASN1_DER_ERROR : gnutls_x509_privkey_import_rsa_raw2(key, &m, &e, &d, &p, &q, NULL, NULL, NULL);
}

static int import_ecdsa(struct span *s, gnutls_x509_privkey_t key)
{
	gnutls_datum_t curve = take(s), point = take(s), k = take(s), x, y;
	gnutls_ecc_curve_t id = is(&curve, "nistp256")	 ? GNUTLS_ECC_CURVE_SECP256R1
				: is(&curve, "nistp384") ? GNUTLS_ECC_CURVE_SECP384R1
				: is(&curve, "nistp521") ? GNUTLS_ECC_CURVE_SECP521R1
							 : GNUTLS_ECC_CURVE_INVALID;

	if (s->short_ || id == GNUTLS_ECC_CURVE_INVALID || point.size < 3 || point.size % 2 == 0 || point.data[0] != 4)
		return GNUTLS_E_ASN1_DER_ERROR;
	x = (gnutls_datum_t){point.data + 1, point.size / 2};
	y = (gnutls_datum_t){point.data + 1 + point.size / 2, point.size / 2};
	return gnutls_x509_privkey_import_ecc_raw(key, id, &x, &y, &k);
}

static int import_ed25519(struct span *s, gnutls_x509_privkey_t key)
{
	gnutls_datum_t public = take(s), both = take(s), seed;

	if (s->short_ || public.size != 32 || both.size != 64 || memcmp(both.data + 32, public.data, 32) != 0)
		return GNUTLS_E_ASN1_DER_ERROR;
	seed = (gnutls_datum_t){both.data, 32};
	return gnutls_x509_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &public, NULL, &seed);
}

static int import_private(struct span *s, gnutls_x509_privkey_t key, struct cof_diag *diag)
{
	uint32_t check = take_u32(s), again = take_u32(s);
	gnutls_datum_t kind = take(s);
	int r;

	if (s->short_ || check != again)
		return cof_fail(diag, -EUCLEAN, "its private part is damaged");
	if (is(&kind, "ssh-rsa"))
		r = import_rsa(s, key);
	else if (is(&kind, "ssh-ed25519"))
		r = import_ed25519(s, key);
	else if (kind.size > 11 && !memcmp(kind.data, "ecdsa-sha2-", 11))
		r = import_ecdsa(s, key);
	else
		return cof_fail(diag, -EOPNOTSUPP, "this kind of OpenSSH key is not read here");
	return r < 0 ? cof_fail(diag, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EUCLEAN, "its numbers are no key: %s", gnutls_strerror(r)) : 0;
}

static int import_blob(const gnutls_datum_t *blob, gnutls_x509_privkey_t key, struct cof_diag *diag)
{
	struct span s = {blob->data, blob->size, false}, inner;
	gnutls_datum_t cipher, private_part;

	if (s.n < sizeof(magic) || memcmp(s.p, magic, sizeof(magic)) != 0)
		return cof_fail(diag, -EUCLEAN, "it is no openssh-key-v1");
	s.p += sizeof(magic);
	s.n -= sizeof(magic);
	cipher = take(&s);
	(void)take(&s);
	(void)take(&s);
	if (take_u32(&s) != 1 && !s.short_)
		return cof_fail(diag, -EOPNOTSUPP, "it holds several keys: give them one by one");
	(void)take(&s);
	private_part = take(&s);
	if (s.short_)
		return cof_fail(diag, -EUCLEAN, "it ends too early");
	if (!is(&cipher, "none"))
		return cof_fail(diag, -EOPNOTSUPP, "an OpenSSH key with a passphrase is not read here: take it off (ssh-keygen -p -N '') where "
						   "no disk keeps it, or make PKCS#8 of it (ssh-keygen -p -m PKCS8)");
	inner = (struct span){private_part.data, private_part.size, false};
	return import_private(&inner, key, diag);
}

int cof_private_key_ssh(const void *p, size_t n, gnutls_x509_privkey_t key, struct cof_diag *diag)
{
	gnutls_datum_t text = {(void *)p, (unsigned)n}, blob = {NULL, 0};
	int r = gnutls_pem_base64_decode2("OPENSSH PRIVATE KEY", &text, &blob);

	if (r < 0)
		return cof_fail(diag, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EUCLEAN, "it is no PEM: %s", gnutls_strerror(r));
	r = import_blob(&blob, key, diag);
	cof_wipe(blob.data, blob.size);
	gnutls_free(blob.data);
	return r;
}
