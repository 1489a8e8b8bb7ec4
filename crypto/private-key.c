/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys by GnuTLS, but for OpenSSH's own form, which it does not read (private-key-ssh.c). How many steps
 * a passphrase takes is the file's to say: it is looked at before anything is computed.
 */
#include "crypto/private-key-ssh.h"

#include <gnutls/pkcs12.h>
#include <gnutls/x509.h>

#define CODE_OF(r) ((r) == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EUCLEAN)

const char *cof_key_form_name(enum cof_key_form form)
{
	static const char *const names[] = {[COF_FORM_PKCS8] = "PKCS#8",   [COF_FORM_PKCS8_ENCRYPTED] = "PKCS#8, encrypted",
					    [COF_FORM_PKCS1] = "PKCS#1",   [COF_FORM_SEC1] = "SEC1",
					    [COF_FORM_OPENSSH] = "OpenSSH", [COF_FORM_PKCS12] = "PKCS#12"};

	return (unsigned)form < COF_COUNT(names) && names[form] ? names[form] : "?";
}

/* ---- what it is ---- */

static void judge_strength(int algorithm, unsigned bits, struct cof_private_key *ret)
{
	bool curve = true;

	switch (algorithm) {
	case GNUTLS_PK_RSA:
		curve = false;
		ret->weak = bits < 2048;
		break;
	case GNUTLS_PK_RSA_PSS:
		curve = false;
		ret->weak = bits < 2048;
		ret->use = COF_USE_SIGN;
		break;
	case GNUTLS_PK_EDDSA_ED25519:
	case GNUTLS_PK_EDDSA_ED448:
		ret->use = COF_USE_SIGN;
		break;
	case GNUTLS_PK_ECDH_X25519:
	case GNUTLS_PK_ECDH_X448:
		ret->use = COF_USE_ENCRYPT;
		break;
	case GNUTLS_PK_ECDSA:
		break;
	default:
		ret->weak = true;
		curve = false;
	}
	if (curve)
		ret->weak = bits < 255;
}

static int describe(gnutls_x509_privkey_t key, struct cof_private_key *ret, struct cof_diag *diag)
{
	size_t n = sizeof(ret->public_id);
	int algorithm = gnutls_x509_privkey_get_pk_algorithm2(key, &ret->bits), r;
	const char *name = algorithm < 0 ? NULL : gnutls_pk_get_name((gnutls_pk_algorithm_t)algorithm);

	if (!name)
		return cof_fail(diag, -EOPNOTSUPP, "its algorithm is not known here");
	strncpy(ret->algorithm, name, sizeof(ret->algorithm) - 1);
	judge_strength(algorithm, ret->bits, ret);
	r = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ret->public_id, &n);
	return r < 0 || n != COF_HASH ? cof_fail(diag, -EUCLEAN, "no public key can be derived from it: %s", gnutls_strerror(r)) : 0;
}

static int give_pkcs8(gnutls_x509_privkey_t key, uint8_t *pkcs8, size_t *ret_n, struct cof_diag *diag)
{
	gnutls_datum_t out = {NULL, 0};
	int r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_DER, NULL, GNUTLS_PKCS_PLAIN, &out);

	if (r < 0)
		return cof_fail(diag, CODE_OF(r), "it cannot be written as PKCS#8: %s", gnutls_strerror(r));
	if (out.size <= COF_PRIVATE_KEY_MAX) {
		memcpy(pkcs8, out.data, out.size);
		*ret_n = out.size;
	}
	r = out.size <= COF_PRIVATE_KEY_MAX ? 0 : cof_fail(diag, -E2BIG, "the key is too large");
	cof_wipe(out.data, out.size);
	gnutls_free(out.data);
	return r;
}

/* ---- PKCS#8 ---- */

static int too_many(unsigned steps, struct cof_diag *diag)
{
	return steps <= COF_PRIVATE_KEY_STEPS ? 0
					      : cof_fail(diag, -E2BIG, "its passphrase takes %u steps; at most %d are done here", steps,
							 COF_PRIVATE_KEY_STEPS);
}

static int import_encrypted(gnutls_x509_privkey_t key, const gnutls_datum_t *d, gnutls_x509_crt_fmt_t fmt, const char *pass,
			    struct cof_diag *diag)
{
	unsigned schema, cipher, salt_n, steps = 0;
	unsigned char salt[64];
	int r;

	salt_n = sizeof(salt);
	r = gnutls_pkcs8_info(d, fmt, &schema, &cipher, salt, &salt_n, &steps, NULL);
	if (r < 0 && r != GNUTLS_E_SHORT_MEMORY_BUFFER)
		return r == GNUTLS_E_UNKNOWN_CIPHER_TYPE ? cof_fail(diag, -EOPNOTSUPP, "it is encrypted in a way that is not read here")
							 : cof_fail(diag, CODE_OF(r), "no PKCS#8: %s", gnutls_strerror(r));
	r = too_many(steps, diag);
	if (r < 0)
		return r;
	if (!pass)
		return cof_fail(diag, -ENOKEY, "it is encrypted: its passphrase is needed");
	r = gnutls_x509_privkey_import_pkcs8(key, d, fmt, pass, 0);
	return r < 0 ? cof_fail(diag, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EKEYREJECTED, "the passphrase does not open it: %s",
				gnutls_strerror(r))
		     : 0;
}

/* ---- PKCS#12 ---- */

static int key_of_bag(gnutls_pkcs12_bag_t bag, const char *pass, gnutls_x509_privkey_t key, unsigned *found, struct cof_diag *diag)
{
	int count = gnutls_pkcs12_bag_get_count(bag), r = 0;

	for (int i = 0; i < count && r == 0; i++) {
		int type = gnutls_pkcs12_bag_get_type(bag, (unsigned)i);
		gnutls_datum_t d = {NULL, 0};

		if (type != GNUTLS_BAG_PKCS8_KEY && type != GNUTLS_BAG_PKCS8_ENCRYPTED_KEY)
			continue;
		if (++*found > 1)
			return cof_fail(diag, -EOPNOTSUPP, "it holds several keys: give them one by one");
		r = gnutls_pkcs12_bag_get_data(bag, (unsigned)i, &d);
		if (r >= 0 && type == GNUTLS_BAG_PKCS8_ENCRYPTED_KEY)
			r = import_encrypted(key, &d, GNUTLS_X509_FMT_DER, pass, diag);
		else if (r >= 0)
			r = gnutls_x509_privkey_import_pkcs8(key, &d, GNUTLS_X509_FMT_DER, NULL, GNUTLS_PKCS_PLAIN) < 0 ? -EUCLEAN : 0;
		else
			r = -EUCLEAN;
	}
	return r;
}

static int open_bag(gnutls_pkcs12_t p12, int i, const char *pass, gnutls_x509_privkey_t key, unsigned *found, bool *ret_end,
		    struct cof_diag *diag)
{
	unsigned schema, cipher, salt_n, steps = 0;
	unsigned char salt[64];
	gnutls_pkcs12_bag_t bag;
	int r = gnutls_pkcs12_bag_init(&bag);

	salt_n = sizeof(salt);
	if (r < 0)
		return -ENOMEM;
	r = gnutls_pkcs12_get_bag(p12, i, bag);
	*ret_end = r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
	if (r < 0) {
		gnutls_pkcs12_bag_deinit(bag);
		return *ret_end ? 0 : cof_fail(diag, CODE_OF(r), "a bag cannot be read: %s", gnutls_strerror(r));
	}
	if (gnutls_pkcs12_bag_get_type(bag, 0) == GNUTLS_BAG_ENCRYPTED) {
		r = gnutls_pkcs12_bag_enc_info(bag, &schema, &cipher, salt, &salt_n, &steps, NULL);
		r = r < 0 && r != GNUTLS_E_SHORT_MEMORY_BUFFER ? cof_fail(diag, -EOPNOTSUPP, "a bag is encrypted in a way that is not read here")
							       : too_many(steps, diag);
		if (r == 0 && gnutls_pkcs12_bag_decrypt(bag, pass) < 0)
			r = cof_fail(diag, -EKEYREJECTED, "the passphrase does not open a bag");
	}
	if (r >= 0)
		r = key_of_bag(bag, pass, key, found, diag);
	gnutls_pkcs12_bag_deinit(bag);
	return r;
}

static int check_mac(gnutls_pkcs12_t p12, const char *pass, struct cof_diag *diag)
{
	unsigned mac, salt_n, steps = 0;
	unsigned char salt[64];
	int r;

	salt_n = sizeof(salt);
	r = gnutls_pkcs12_mac_info(p12, &mac, salt, &salt_n, &steps, NULL);
	if (r < 0 && r != GNUTLS_E_SHORT_MEMORY_BUFFER)
		return cof_fail(diag, -EOPNOTSUPP, "its MAC is none that is read here: whether it is whole cannot be told");
	r = too_many(steps, diag);
	if (r == 0 && !pass)
		r = cof_fail(diag, -ENOKEY, "its passphrase is needed");
	if (r == 0 && gnutls_pkcs12_verify_mac(p12, pass) < 0)
		r = cof_fail(diag, -EKEYREJECTED, "the passphrase is a wrong one, or it was altered");
	return r;
}

static int import_pkcs12(gnutls_pkcs12_t p12, const char *pass, gnutls_x509_privkey_t key, struct cof_diag *diag)
{
	unsigned found = 0;
	bool end = false;
	int r = check_mac(p12, pass, diag);

	for (int i = 0; r == 0 && !end && i < 64; i++)
		r = open_bag(p12, i, pass, key, &found, &end, diag);
	return r == 0 && !found ? cof_fail(diag, -EUCLEAN, "there is no private key in it") : r;
}

/* ---- which form ---- */

static bool has(const void *p, size_t n, const char *text)
{
	return memmem(p, n, text, strlen(text)) != NULL;
}

static int import_pem(gnutls_x509_privkey_t key, const gnutls_datum_t *d, const char *pass, struct cof_private_key *ret,
		      struct cof_diag *diag)
{
	int r;

	if (has(d->data, d->size, "-----BEGIN OPENSSH PRIVATE KEY-----")) {
		ret->form = COF_FORM_OPENSSH;
		return cof_private_key_ssh(d->data, d->size, key, diag);
	}
	if (has(d->data, d->size, "-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
		ret->form = COF_FORM_PKCS8_ENCRYPTED;
		return import_encrypted(key, d, GNUTLS_X509_FMT_PEM, pass, diag);
	}
	if (has(d->data, d->size, "Proc-Type: 4,ENCRYPTED"))
		return cof_fail(diag, -EOPNOTSUPP, "it is encrypted in the way of old OpenSSL, which guards little: make PKCS#8 of it (openssl "
						   "pkcs8 -topk8)");
	ret->form = has(d->data, d->size, "-----BEGIN RSA PRIVATE KEY-----")  ? COF_FORM_PKCS1
		    : has(d->data, d->size, "-----BEGIN EC PRIVATE KEY-----") ? COF_FORM_SEC1
									      : COF_FORM_PKCS8;
	if (ret->form == COF_FORM_PKCS8 && !has(d->data, d->size, "-----BEGIN PRIVATE KEY-----"))
		return cof_fail(diag, -EUCLEAN, "there is no private key in it that is read here: PKCS#8, PKCS#1, SEC1, OpenSSH, PKCS#12");
	r = ret->form == COF_FORM_PKCS8 ? gnutls_x509_privkey_import_pkcs8(key, d, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN)
					: gnutls_x509_privkey_import(key, d, GNUTLS_X509_FMT_PEM);
	return r < 0 ? cof_fail(diag, CODE_OF(r), "its key cannot be read: %s", gnutls_strerror(r)) : 0;
}

/* Each form is tried on a fresh key: what a failed try leaves in one is not said anywhere. */
static int import_der(gnutls_x509_privkey_t *key, const gnutls_datum_t *d, const char *pass, struct cof_private_key *ret,
		      struct cof_diag *diag)
{
	unsigned schema, cipher, salt_n, steps;
	unsigned char salt[64];
	gnutls_pkcs12_t p12;
	int r;

	salt_n = sizeof(salt);
	if (gnutls_x509_privkey_import_pkcs8(*key, d, GNUTLS_X509_FMT_DER, NULL, GNUTLS_PKCS_PLAIN) >= 0) {
		ret->form = COF_FORM_PKCS8;
		return 0;
	}
	gnutls_x509_privkey_deinit(*key);
	*key = NULL;
	if (gnutls_x509_privkey_init(key) < 0)
		return -ENOMEM;
	r = gnutls_pkcs8_info(d, GNUTLS_X509_FMT_DER, &schema, &cipher, salt, &salt_n, &steps, NULL);
	if (r >= 0 || r == GNUTLS_E_SHORT_MEMORY_BUFFER) {
		ret->form = COF_FORM_PKCS8_ENCRYPTED;
		return import_encrypted(*key, d, GNUTLS_X509_FMT_DER, pass, diag);
	}
	if (gnutls_pkcs12_init(&p12) < 0)
		return -ENOMEM;
	r = gnutls_pkcs12_import(p12, d, GNUTLS_X509_FMT_DER, 0);
	if (r >= 0) {
		ret->form = COF_FORM_PKCS12;
		r = import_pkcs12(p12, pass, *key, diag);
		gnutls_pkcs12_deinit(p12);
		return r;
	}
	gnutls_pkcs12_deinit(p12);
	r = gnutls_x509_privkey_import(*key, d, GNUTLS_X509_FMT_DER);
	if (r < 0)
		return cof_fail(diag, CODE_OF(r), "it is no private key that is read here: PKCS#8, PKCS#1, SEC1, OpenSSH, PKCS#12");
	r = gnutls_x509_privkey_get_pk_algorithm2(*key, NULL);
	ret->form = r == GNUTLS_PK_RSA ? COF_FORM_PKCS1 : COF_FORM_SEC1;
	return 0;
}

int cof_private_key_read(const void *p, size_t n, const char *passphrase, struct cof_private_key *ret, uint8_t *pkcs8,
			 size_t *ret_n, struct cof_diag *diag)
{
	gnutls_datum_t d = {(void *)p, (unsigned)n};
	struct cof_private_key k = {.form = 0};
	gnutls_x509_privkey_t key;
	int r;

	if (!n || n > COF_PRIVATE_KEY_MAX)
		return cof_fail(diag, n ? -E2BIG : -EUCLEAN, n ? "it is larger than any key" : "it is empty");
	if (gnutls_x509_privkey_init(&key) < 0)
		return -ENOMEM;
	r = has(p, n, "-----BEGIN ") ? import_pem(key, &d, passphrase, &k, diag) : import_der(&key, &d, passphrase, &k, diag);
	if (r == 0)
		r = describe(key, &k, diag);
	if (r == 0 && pkcs8)
		r = give_pkcs8(key, pkcs8, ret_n, diag);
	if (r == 0)
		*ret = k;
	else if (diag && !*diag->text)
		(void)cof_fail(diag, r, "it cannot be read: %s", strerror(-r));
	if (key)
		gnutls_x509_privkey_deinit(key);
	return r;
}
