/* SPDX-License-Identifier: Apache-2.0 */
/* What is carried by hand to a host: a bundle's receipt, a vault's receipt of what it destroyed, a statement of what is handed
 * over; and the COSIGN frames that came of it. The first byte says which. */
#include "fuzz.h"

#include "fs/log/log.h"
#include "tools/papers.h"
#include "tools/vault/vault.h"

static struct cof_vkey log_key, vault_key;
static uint8_t log_seed[32] = {3}, vault_seed[32] = {4};

static void init(void)
{
	uint8_t pub[32];

	if (*log_key.name)
		return;
	fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	fuzz_check(cof_ed25519_public(log_seed, pub) == 0);
	fuzz_check(cof_vkey_make("fuzz.example/log", COF_NOTE_ED25519, pub, &log_key) == 0);
	fuzz_check(cof_ed25519_public(vault_seed, pub) == 0);
	fuzz_check(cof_vkey_make("vault.example/b", COF_NOTE_COSIG, pub, &vault_key) == 0);
}

static void receipt(const char *text, size_t n)
{
	cof_autojson struct cof_json *o = NULL;
	int r = receipt_parse(text, n, &o);

	fuzz_check(r < 0 ? !o : cof_json_str(o, "note") && cof_json_str(o, "archive"));
}

static void destroyed(const char *text)
{
	struct vault_receipt v;
	struct cof_diag diag = {""};
	int r = vault_receipt_read(text, &v, &diag);

	fuzz_check(r == 0 || diag.text[0]);
	fuzz_check(r < 0 || v.vkey.algorithm == COF_NOTE_COSIG);
}

static void handover(const char *text)
{
	struct handover_said s;
	int r = handover_parse(text, &s);

	fuzz_check(r < 0 || (s.note > text && s.note <= text + strlen(text)));
}

static void cosign(const uint8_t *data, size_t n)
{
	struct cof_cosign c;
	struct cof_diag diag = {""};
	int r = cof_cosign_read(data, n, 8, &log_key, &c, &diag);

	fuzz_check(r == 0 || ((r == -EUCLEAN || r == -EBADMSG) && diag.text[0]));
	fuzz_check(r < 0 || (c.vkey.algorithm == COF_NOTE_COSIG && !memchr(c.vkey.name, 0, 1)));
	fuzz_check(r < 0 || strlen(c.administration) < sizeof(c.administration));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autofree char *text = n ? malloc(n) : NULL;

	init();
	if (!n)
		return 0;
	memcpy(text, data + 1, n - 1);
	text[n - 1] = 0;
	switch (data[0] % 4) {
	case 0:
		receipt(text, n - 1);
		break;
	case 1:
		destroyed(text);
		break;
	case 2:
		handover(text);
		break;
	default:
		cosign(data + 1, n - 1);
	}
	return 0;
}

#define HEAD "fuzz.example/log\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
#define ROOT "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"

static void destroyed_seed(void)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t signature[64];
	char vkey[COF_VKEY_MAX], base64[96];

	cof_vkey_text(&vault_key, vkey);
	cof_buf_printf(&b, "coffer-vault-receipt/1\narchive %032d\norigin fuzz.example/log\nvault %s\nsize 8\nroot " ROOT
			   "\nbytes 4096\nfiles 12\nasked yes\nbegun 2026-11-25T10:00:00.000Z\nended 2026-11-25T10:00:01.000Z\n", 9, vkey);
	fuzz_check(cof_ed25519_sign(vault_seed, b.data, b.len, signature) == 0);
	cof_base64(signature, sizeof(signature), base64);
	cof_buf_printf(&b, "signature %s\n", base64);
	{
		struct vault_receipt v;
		struct cof_diag diag = {""};
		cof_autobuf struct cof_buf seed = {0};

		fuzz_check(vault_receipt_read((const char *)b.data, &v, &diag) == 0);
		cof_buf_add(&seed, "\1", 1);
		cof_buf_add(&seed, b.data, b.len);
		fuzz_seed(seed.data, seed.len);
	}
}

void fuzz_seeds(void)
{
	cof_autobuf struct cof_buf note = {0}, fields = {0}, seed = {0};
	struct cof_cosign c = {.time = 1700000000 * COF_NSEC, .distance = 300, .administration = "north"}, back;

	init();
	c.vkey = vault_key;
	fuzz_check(cof_note_sign(HEAD, strlen(HEAD), &log_key, log_seed, &note) == 0);
	fuzz_check(cof_note_cosign(&note, &vault_key, vault_seed, 1700000000) == 0);
	fuzz_check(cof_cosign_fields(&c, note.data, note.len, &fields) == 0);
	fuzz_check(cof_cosign_read(fields.data, fields.len, 8, &log_key, &back, NULL) == 0);
	cof_buf_add(&seed, "\3", 1);
	cof_buf_add(&seed, fields.data, fields.len);
	fuzz_seed(seed.data, seed.len);
	seed.len = 0;
	cof_buf_printf(&seed, "\2" HANDOVER_FIRST "archive %032d\nsize 8\nroot " ROOT "\nenvelope none\ntime 2026-11-25T10:00:00.000Z\n"
			      "to the successor\n\n%s", 9, (const char *)note.data);
	{
		struct handover_said s;

		fuzz_check(handover_parse((const char *)seed.data + 1, &s) == 0 && !strcmp(s.to, "the successor"));
	}
	fuzz_seed(seed.data, seed.len);
	fuzz_seed("\0{\"format\":1,\"archive\":\"0f\",\"note\":\"a\\nb\",\"notices\":\"one\"}", 55);
	destroyed_seed();
}
