/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request to coffer-vault witness: whatever it is, it is answered, and nothing but the true log's next head is cosigned. */
#include "fuzz.h"

#include <sys/mman.h>

#include "fs/io/sim.h"
#include "tools/vault/vault.h"

const unsigned fuzz_runs = 3000;

#define EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
static struct cof_vkey log_key, vault_key;
static uint8_t log_seed[32] = {3}, vault_seed[32] = {4};
static struct cof_buf head; /* that the log signed */

static void init(void)
{
	static const char text[] = "fuzz.example/log\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
	uint8_t pub[32];

	if (head.len)
		return;
	fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	fuzz_check(cof_ed25519_public(log_seed, pub) == 0);
	fuzz_check(cof_vkey_make("fuzz.example/log", COF_NOTE_ED25519, pub, &log_key) == 0);
	fuzz_check(cof_ed25519_public(vault_seed, pub) == 0);
	fuzz_check(cof_vkey_make("vault.example/b", COF_NOTE_COSIG, pub, &vault_key) == 0);
	fuzz_check(cof_note_sign(text, sizeof(text) - 1, &log_key, log_seed, &head) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_sim *sim = cof_sim_new(1);
	struct vault_place v = {.seed = vault_seed};
	char vkey[COF_VKEY_MAX + 1], answer[65536];
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC), r;
	ssize_t got;

	init();
	v.vkey = vault_key;
	fuzz_check(in >= 0 && out >= 0 && sim && cof_sim_open(sim, &v.io) == 0);
	cof_vkey_text(&log_key, vkey);
	strcat(vkey, "\n");
	fuzz_check(cof_io_mkdir(v.io, "archives") == 0 && cof_io_replace(v.io, "logs", vkey, strlen(vkey)) == 0);
	fuzz_check(cof_write_all(in, data, n) == 0 && lseek(in, 0, SEEK_SET) == 0);
	r = vault_witness_http(&v, in, out);
	got = pread(out, answer, sizeof(answer) - 1, 0);
	answer[COF_MAX(got, 0)] = 0;
	fuzz_check(r < 0 || !strncmp(answer, "HTTP/1.1 ", 9));
	if (strstr(answer, "HTTP/1.1 200")) /* only what the log signed, which no mutation can */
		fuzz_check(memmem(data, n, head.data, head.len) && strstr(answer, "vault.example/b"));
	cof_io_free(v.io);
	cof_sim_free(sim);
	close(in);
	close(out);
	return 0;
}

static void seed(const char *old, const char *proof)
{
	cof_autobuf struct cof_buf body = {0}, all = {0};

	cof_buf_printf(&body, "old %s\n%s\n%s", old, proof, (const char *)head.data);
	cof_buf_printf(&all, "POST /add-checkpoint HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", body.len,
		       (const char *)body.data);
	fuzz_seed(all.data, all.len);
}

void fuzz_seeds(void)
{
	init();
	seed("0", "");
	seed("4", EMPTY "\n" EMPTY "\n");
	fuzz_seed_text("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
	fuzz_seed_text("POST /add-checkpoint HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
}
