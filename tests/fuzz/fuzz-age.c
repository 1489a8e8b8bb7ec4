/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of age, as a disk gives them, and keys and identity files as people give them. What was altered
 * does not open; a header that is taken is written the same way again.
 */
#include "fuzz.h"

#include "crypto/age-private.h"

const unsigned fuzz_runs = 20000;

static const char plain[] = "what is sealed";
static uint8_t (*identity)[COF_AGE_KEY];
static uint8_t recipient[1][COF_AGE_KEY];
static struct cof_buf made;

static void init(void)
{
	if (identity)
		return;
	fuzz_check(cof_crypto_init(8u << 20, NULL) == 0);
	identity = cof_secret_alloc(COF_AGE_KEY);
	fuzz_check(identity);
	memset(identity[0], 5, COF_AGE_KEY);
	fuzz_check(cof_x25519_public(identity[0], recipient[0]) == 0);
}

static int again(void *user, const struct cof_age_stanza *s)
{
	cof_age_stanza_put(user, s);
	return 0;
}

static void header(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_age_header h;
	int err = cof_age_header_parse(data, n, &h, again, &b);

	fuzz_check(err == 0 || err == -EUCLEAN);
	if (err)
		return;
	fuzz_check(h.recipients + h.others > 0 && h.mac_input + 45 == h.len && h.len <= n);
	if (!h.others) /* all of it is known: there is one way to write it */
		fuzz_check(b.len + 22 + 3 == h.mac_input && !memcmp(b.data, data + 22, b.len));
}

static void open_file(const uint8_t *data, size_t n)
{
	void *got = NULL;
	size_t len = 77;
	int err = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])identity, 1, data, n, &got, &len);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -EKEYREJECTED || err == -EBADMSG || err == -EFBIG);
	fuzz_check(err == 0 || (!got && len == 77));
	if (!err && made.len)
		fuzz_check(n == made.len && !memcmp(data, made.data, n) && len == sizeof(plain) &&
			   !memcmp(got, plain, len));
	cof_secret_free(got);
}

static void texts(const char *text, size_t n)
{
	cof_autosecret uint8_t(*keys)[COF_AGE_KEY] = cof_secret_alloc(4 * COF_AGE_KEY);
	char back[COF_AGE_IDENTITY];
	size_t count = 0;
	int err = cof_age_identities_parse(text, n, keys, 4, &count);

	fuzz_check(err == 0 || err == -EINVAL || err == -E2BIG);
	fuzz_check(err || (count >= 1 && count <= 4));
	if (cof_age_recipient_parse(text, n, keys[0]) == 0) {
		cof_age_recipient_text(keys[0], back);
		fuzz_check(strlen(back) == n && !memcmp(back, text, n));
	}
	if (cof_age_identity_parse(text, n, keys[0]) == 0) {
		cof_age_identity_text(keys[0], back);
		fuzz_check(strlen(back) == n && !memcmp(back, text, n));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	init();
	header(data, n);
	open_file(data, n);
	texts((const char *)data, n);
	return 0;
}

void fuzz_seeds(void)
{
	cof_autobuf struct cof_buf b = {0};
	char text[COF_AGE_IDENTITY];

	init();
	fuzz_check(cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, plain, sizeof(plain), NULL,
				   &made) == 0);
	fuzz_seed(made.data, made.len);
	cof_buf_printf(&b, "age-encryption.org/v1\n-> other a\nAAAA\n%s", (char *)made.data + 22);
	fuzz_seed(b.data, b.len);
	cof_age_recipient_text(recipient[0], text);
	fuzz_seed_text(text);
	cof_age_identity_text(identity[0], text);
	fuzz_seed_text(text);
}
