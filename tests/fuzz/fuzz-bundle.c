/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle that was carried by hand: a tar with JSON before and behind, and a session in it. The whole of it is read before it
 * is used; what it then says to a vault is the line's business (fuzz-vault). It is also given to who restores.
 */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>

#include "fs/io/sim.h"
#include "tools/vault/bundle.h"
#include "tools/vault/vault.h"

const unsigned fuzz_runs = 2500;

static struct cof_sim *disk; /* a host's store with a few frames */
static struct cof_io *host;
static struct cof_conf conf;
static struct cof_buf conf_text;
static uint64_t frames;

static void now(void *user, int64_t *record, int64_t *retention)
{
	(void)user;
	*record = *retention = 1700000000 * COF_NSEC;
}

static void append(struct cof_log *log, unsigned i)
{
	struct cof_append a = {.frame = {.type = COF_PAD, .version = 1, .object = i}};
	uint8_t plain[600], out[600];

	memset(plain, (int)i, sizeof(plain));
	fuzz_check(cof_payload_seal(&a.frame, NULL, conf.id, plain, 100 * i, NULL, out) == 0);
	a.stored = out;
	fuzz_check(cof_log_append(log, &a) == 0);
}

static void make_host(void)
{
	struct cof_log_secrets s = {.signing_seed = {3}, .epoch = 1, .epoch_secret = {5}};
	struct cof_log_params p = {.conf = &conf, .times = {now, NULL}};
	struct cof_log_status status;
	struct cof_log *log = NULL;
	cof_autobuf struct cof_buf b = {0};
	uint8_t pub[32], salt[32] = {1};
	uint32_t mount;

	if (disk)
		return;
	fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	disk = cof_sim_new(1);
	fuzz_check(disk && cof_sim_open(disk, &host) == 0);
	memset(conf.id, 9, 16);
	fuzz_check(cof_ed25519_public(s.signing_seed, pub) == 0);
	fuzz_check(cof_vkey_make("fuzz.example/log", COF_NOTE_ED25519, pub, &conf.vkey) == 0);
	conf.segment_size = 65536;
	p.io = host;
	fuzz_check(cof_log_create(&p, &s, &log, NULL) == 0);
	cof_field_put(&b, COF_T_SALT, salt, 32);
	fuzz_check(cof_log_mount(log, salt, b.data, (uint32_t)b.len, &mount, NULL) == 0);
	for (unsigned i = 1; i < 6; i++)
		append(log, i);
	fuzz_check(cof_log_checkpoint(log) == 0);
	cof_log_status(log, &status);
	frames = status.checkpoint_size;
	cof_log_abandon(log);
	fuzz_check(cof_conf_text(&conf, &conf_text) == 0);
}

/* By descriptor: no file is left behind. */
static void file_of(const uint8_t *data, size_t n, int *ret_fd, char ret_path[40])
{
	*ret_fd = memfd_create("bundle", MFD_CLOEXEC);
	fuzz_check(*ret_fd >= 0 && cof_write_all(*ret_fd, data, n) == 0);
	snprintf(ret_path, 40, "/proc/self/fd/%d", *ret_fd);
}

static void read_all(struct bundle_in *b)
{
	const struct bundle_about *about = bundle_about(b);
	static uint8_t buf[70000];
	struct cof_diag diag = {""};
	ssize_t n;

	fuzz_check(about->from <= about->to && strlen(about->vault) < sizeof(about->vault));
	while ((n = bundle_read(b, buf, sizeof(buf), &diag)) > 0)
		fuzz_check((size_t)n <= sizeof(buf));
	fuzz_check(n == 0 || diag.text[0]);
}

static void give(struct bundle_in *b)
{
	/* what an empty receiver says: HELLO that fetches, STATE, RESUME */
	static uint8_t said[8 + 48 + 8 + 58 + 8 + 16];
	struct vault_wire w = {.in = memfd_create("in", MFD_CLOEXEC), .out = memfd_create("out", MFD_CLOEXEC), .timeout_ms = 1000};
	struct cof_diag diag = {""};
	int r;

	said[0] = 48;
	said[4] = VAULT_HELLO;
	memcpy(said + 8, "COFVAULT\1\0\0\0\2", 13);
	memcpy(said + 8 + 16, conf.id, 16);
	said[56] = 58;
	said[60] = VAULT_STATE;
	said[122] = 16;
	said[126] = VAULT_RESUME;
	fuzz_check(w.in >= 0 && w.out >= 0 && cof_write_all(w.in, said, sizeof(said)) == 0 && lseek(w.in, 0, SEEK_SET) == 0);
	r = bundle_give(b, &w, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	close(w.in);
	close(w.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_diag diag = {""};
	struct bundle_in *b = NULL;
	char path[40];
	const char *paths[] = {path};
	int fd, r;

	make_host();
	for (unsigned way = 0; way < 2; way++) {
		file_of(data, n, &fd, path);
		r = bundle_open(paths, 1, &b, &diag);
		fuzz_check(r == 0 || diag.text[0]);
		if (r == 0 && way)
			give(b);
		else if (r == 0)
			read_all(b);
		if (r == 0)
			bundle_close(b);
		close(fd);
	}
	return 0;
}

void fuzz_seeds(void)
{
	struct bundle_about about = {.from = 0, .vault = "vault.example/b+00000000+AAAA"};
	struct vault_sending sending = {.envelope = "envelope", .envelope_len = 8};
	char dir[] = "/tmp/coffer-fuzz.XXXXXX", path[64];
	static uint8_t bytes[200000];
	struct vault_sent sent;
	unsigned parts = 0;

	make_host();
	memcpy(about.archive, conf.id, 16);
	fuzz_check(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/one", dir);
	for (unsigned from = 0; from < 2; from++) { /* all of it; behind some frames */
		FILE *f;
		size_t n;

		about.from = 3 * from;
		fuzz_check(bundle_write(host, path, 0, &about, &sending, &parts, &sent, NULL) == 0);
		vault_sent_done(&sent);
		f = fopen(path, "re");
		fuzz_check(f);
		n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		fuzz_seed(bytes, n);
		fuzz_check(unlink(path) == 0);
	}
	fuzz_check(rmdir(dir) == 0);
}
