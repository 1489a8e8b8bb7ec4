/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the TPM itself is told to enforce, computed once more from the specification (TPM 2.0 Part 3): whoever has the blob and
 * programs of his own is held by that and not by what Coffer looks at first. And what somebody hears who sits on the line to
 * the TPM: sessions salted to its key, no secret and no PIN's value. Skipped (77) where swtpm or tpm2-tools is missing.
 */
#include "test-crypto.h"

#include <string.h>

#include "../../support/swtpm.h"
#include "../../support/tpm-proxy.h"
#include "crypto/seal.h"

static struct swtpm sw;
static struct tpm_proxy proxy;
static struct cof_tpm *tpm;
static struct cof_diag diag;
static uint32_t index_;
static uint64_t value;
static uint8_t secret[COF_TPM_SECRET], pin[COF_TPM_AUTH];
static uint8_t heard[1 << 19];

static void must_be(int r, int expected)
{
	if (r != expected)
		ck_abort_msg("%d, not %d: %s", r, expected, diag.text);
}

static void setup(void)
{
	static const uint8_t seed[16] = {0x21, 0x22, 0x33, 0x44};

	must_be(cof_crypto_init(1 << 20, &diag), 0);
	for (size_t i = 0; i < sizeof(secret); i++) {
		secret[i] = (uint8_t)(0x80 + i);
		pin[i] = (uint8_t)(3 * i + 1);
	}
	swtpm_new(&sw);
	tpm_proxy_start(&proxy, sw.socket);
	proxy.heard = heard;
	proxy.heard_max = sizeof(heard);
	must_be(cof_tpm_open(proxy.socket, &tpm, &diag), 0);
	must_be(cof_tpm_index_free(tpm, seed, &index_, &diag), 0);
	must_be(cof_tpm_counter_define(tpm, index_, COF_TPM_NORMAL, &value, &diag), 0);
}

static void teardown(void)
{
	cof_tpm_free(tpm);
	tpm_proxy_stop(&proxy);
	swtpm_remove(&sw);
}

static void seal(bool with_pin, struct cof_tpm_pcrs *now, struct cof_tpm_sealed *ret)
{
	struct cof_tpm_seal_params p = {.index = index_, .value = value, .auth = with_pin ? pin : NULL, .branches = now, .n_branches = 1};

	must_be(cof_tpm_pcrs_read(tpm, 1u << 7 | 1u << 11, now, &diag), 0);
	must_be(cof_tpm_seal(tpm, &p, secret, ret, &diag), 0);
}

/* ---- the policy ---- */

static void extend(uint8_t policy[32], const void *more, size_t n)
{
	uint8_t text[256];

	memcpy(text, policy, 32);
	memcpy(text + 32, more, n);
	cof_sha256(text, 32 + n, policy);
}

static void policy_pcr(uint8_t policy[32], const struct cof_tpm_pcrs *now)
{
	/* TPM_CC_PolicyPCR, one selection: SHA-256, three bytes with PCR 7 and 11, the digest of both values */
	uint8_t more[46] = {0, 0, 0x01, 0x7f, 0, 0, 0, 1, 0, 0x0b, 3, 0x80, 0x08, 0}, both[64];

	memcpy(both, now->value[7], 32);
	memcpy(both + 32, now->value[11], 32);
	cof_sha256(both, sizeof(both), more + 14);
	extend(policy, more, sizeof(more));
}

/* The counter's value equal to what is sealed for: operation 0, at offset 0. And the name of a counter that is *normal*. */
static void policy_nv(uint8_t policy[32])
{
	uint8_t operand[12] = {0}, public_area[14] = {0}, more[4 + 32 + 34] = {0, 0, 0x01, 0x49};
	/* written, no_da, authread, ownerread, counter, authwrite, ownerwrite */
	const uint32_t attributes = 1u << 29 | 1u << 25 | 1u << 18 | 1u << 17 | 1u << 4 | 1u << 2 | 1u << 1;

	cof_put_be64(operand, value);
	cof_sha256(operand, sizeof(operand), more + 4);
	for (int i = 0; i < 4; i++) {
		public_area[i] = (uint8_t)(index_ >> (24 - 8 * i));
		public_area[6 + i] = (uint8_t)(attributes >> (24 - 8 * i));
	}
	public_area[5] = 0x0b;
	public_area[13] = 8;
	more[36 + 1] = 0x0b;
	cof_sha256(public_area, sizeof(public_area), more + 38);
	extend(policy, more, sizeof(more));
}

static void policy_auth_value(uint8_t policy[32])
{
	extend(policy, (const uint8_t[]){0, 0, 0x01, 0x6b}, 4);
}

START_TEST(as_specified)
{
	/* sealed data, SHA-256, fixedTPM and fixedParent; neither userWithAuth nor adminWithPolicy; noDA where there is no PIN */
	uint8_t head[8] = {0, 0x08, 0, 0x0b, 0, 0, _i ? 0 : 0x04, 0x12}, policy[32] = {0};
	struct cof_tpm_sealed s;
	struct cof_tpm_pcrs now;

	seal(_i, &now, &s);
	policy_pcr(policy, &now);
	policy_nv(policy);
	if (_i)
		policy_auth_value(policy);
	must(s.public_len > 44);
	must(memcmp(s.public_area + 2, head, sizeof(head)) == 0);
	must(s.public_area[10] == 0 && s.public_area[11] == 32);
	must(memcmp(s.public_area + 12, policy, 32) == 0);
}
END_TEST

/* ---- the line ---- */

static bool was_heard(const uint8_t *what, size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8)
		if (memmem(heard, proxy.heard_n, what + i, 8))
			return true;
	return false;
}

/* Each StartAuthSession has a key that its salt is encrypted to. How many there were. */
static unsigned salted_sessions(void)
{
	static const uint8_t start[4] = {0, 0, 0x01, 0x76}, none[4] = {0x40, 0, 0, 0x07};
	unsigned n = 0;

	for (size_t i = 0; i + 14 <= proxy.heard_n; i++) {
		if (memcmp(heard + i, "\x80\x01", 2) != 0 || memcmp(heard + i + 6, start, 4) != 0)
			continue;
		must(memcmp(heard + i + 10, none, 4) != 0);
		n++;
	}
	return n;
}

START_TEST(heard_on_the_line)
{
	static const uint8_t content[COF_TPM_AUTH] = {0xc0, 0xff, 0xee, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99};
	uint8_t got[COF_TPM_SECRET], back[COF_TPM_AUTH], auth[COF_TPM_AUTH];
	struct cof_tpm_sealed s;
	struct cof_tpm_pcrs now;

	for (size_t i = 0; i < sizeof(auth); i++)
		auth[i] = (uint8_t)(7 * i + 5);
	seal(_i, &now, &s);
	must_be(cof_tpm_unseal(tpm, &s, _i ? pin : NULL, got, &diag), 0);
	must(memcmp(got, secret, sizeof(secret)) == 0);
	must_be(cof_tpm_store_define(tpm, index_ + 1, auth, sizeof(content), &diag), 0);
	must_be(cof_tpm_store_write(tpm, index_ + 1, auth, content, sizeof(content), &diag), 0);
	must_be(cof_tpm_store_read(tpm, index_ + 1, auth, back, sizeof(back), &diag), 0);
	must(memcmp(back, content, sizeof(content)) == 0);
	must(proxy.heard_n > 2000 && proxy.heard_n < sizeof(heard) - 8192);
	must(memmem(heard, proxy.heard_n, s.public_area, s.public_len) != NULL); /* it hears */
	must(!was_heard(secret, sizeof(secret)));
	must(!was_heard(pin, sizeof(pin)));
	must(!was_heard(auth, sizeof(auth)));
	must(!was_heard(content, 8));
	must(salted_sessions() >= 4);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("tpm-policy");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, as_specified, 0, 2);
	tcase_add_loop_test(c, heard_on_the_line, 0, 2);
	return swtpm_main("tpm-policy", c);
}
