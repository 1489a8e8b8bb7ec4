/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes over the line of a vault: everything that a sender says to a receiver, and the other way round. The first
 * byte says which side reads the rest, of mending and of challenges both sides too. Whatever it is, nothing but the true log is ever finished,
 * and nothing but what was confirmed is mended.
 */
#include "fuzz.h"

#include <sys/mman.h>

#include "fs/io/sim.h"
#include "tools/vault/vault.h"

const unsigned fuzz_runs = 1500;

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

/* The line: what comes from it, and where what is sent to it goes. */
static struct vault_wire line_of(const uint8_t *data, size_t n, int out)
{
	struct vault_wire w = {.in = memfd_create("in", MFD_CLOEXEC), .out = out, .timeout_ms = 1000};

	fuzz_check(w.in >= 0 && cof_write_all(w.in, data, n) == 0 && lseek(w.in, 0, SEEK_SET) == 0);
	return w;
}

static void receiver(const uint8_t *data, size_t n, int out)
{
	struct vault_wire w = line_of(data, n, out);
	struct cof_sim *sim = cof_sim_new(2);
	struct cof_io *io = NULL;
	struct vault_taking t = {.quota = 1u << 20};
	struct vault_copy_state s;
	struct vault_copy *c = NULL;
	struct cof_diag diag = {""};
	int r;

	fuzz_check(sim && cof_sim_open(sim, &io) == 0);
	fuzz_check(vault_copy_create(io, conf_text.data, conf_text.len, NULL) == 0 && vault_copy_open(io, &c, NULL) == 0);
	t.io = io;
	r = vault_take_log(&w, c, &t, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	vault_copy_free(c);
	fuzz_check(vault_copy_open(io, &c, NULL) == 0);
	vault_copy_state(c, &s);
	fuzz_check(s.head.size == 0 || s.head.size == frames);
	fuzz_check(r < 0 || s.head.size == frames);
	vault_copy_free(c);
	cof_io_free(io);
	cof_sim_free(sim);
	close(w.in);
}

static int sender(const uint8_t *data, size_t n, int out)
{
	struct vault_wire w = line_of(data, n, out);
	struct vault_sending p = {.envelope = "envelope", .envelope_len = 8};
	struct vault_source *s = NULL;
	struct vault_sent sent;
	struct cof_diag diag = {""};
	int r;

	fuzz_check(vault_source_open(host, &s, NULL) == 0);
	r = vault_send_log(&w, s, &p, &sent, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	vault_sent_done(&sent);
	vault_source_free(s);
	close(w.in);
	return r;
}

/* A host that mends: DAMAGE and what follows come from the line. */
static int mender(const uint8_t *data, size_t n, int out)
{
	struct vault_wire w = line_of(data, n, out);
	struct vault_source *s = NULL;
	struct cof_diag diag = {""};
	unsigned segments = 0;
	uint64_t bytes = 0;
	int r;

	fuzz_check(vault_source_open(host, &s, NULL) == 0);
	r = vault_send_mending(&w, s, &segments, &bytes, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	fuzz_check(segments <= VAULT_MEND_MAX);
	vault_source_free(s);
	close(w.in);
	return r;
}

/* A vault whose only segment is damaged: what comes is put in its place only where it is what was confirmed. */
static void mended(const uint8_t *data, size_t n, int out)
{
	struct vault_wire w = line_of(data, n, out);
	struct vault_damage damage = {.segment = {0}, .n = 1};
	const uint8_t *here, *there;
	struct cof_sim *sim = cof_sim_clone(disk);
	struct cof_io *io = NULL;
	struct cof_diag diag = {""};
	size_t len = 0, is = 0;
	unsigned count = 0;
	int r;

	fuzz_check(sim && cof_sim_open(sim, &io) == 0);
	fuzz_check(cof_sim_flip(sim, "log/00000000.seg", 300, 2) == 0 && vault_damage_save(io, &damage) == 0);
	r = vault_take_mending(&w, io, &count, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	fuzz_check(count <= 1 && cof_sim_peek(disk, "log/00000000.seg", &here, &len) == 0);
	fuzz_check(cof_sim_peek(sim, "log/00000000.seg", &there, &is) == 0);
	fuzz_check(!count || (is <= len && is > 0 && !memcmp(here, there, is)));
	cof_io_free(io);
	cof_sim_free(sim);
	close(w.in);
}

/* A vault that is asked for ranges of its log. */
static int challenged(const uint8_t *data, size_t n, int out)
{
	struct vault_wire w = line_of(data, n, out);
	struct cof_diag diag = {""};
	int r = vault_take_challenges(&w, host, "", &diag);

	fuzz_check(r == 0 || diag.text[0]);
	close(w.in);
	return r;
}

static int same_line(void *user, struct vault_wire **ret, struct cof_diag *diag)
{
	(void)diag;
	*ret = user;
	return 0;
}

/* A host that asks: whatever is answered without the nonce, it is not taken for the bytes. */
static int challenger(const uint8_t *data, size_t n, int out)
{
	static struct vault_challenged c;
	struct vault_wire w = line_of(data, n, out);
	struct vault_challenging p = {.io = host, .confirmed = frames, .line = same_line, .user = &w};
	struct vault_source *s = NULL;
	struct cof_diag diag = {""};
	int r;

	fuzz_check(vault_source_open(host, &s, NULL) == 0);
	r = vault_send_challenges(s, &p, &c, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	fuzz_check(r < 0 || c.n_unlike == frames);
	vault_source_free(s);
	close(w.in);
	return r;
}

static void hello(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf body = {0};
	struct cof_diag diag = {""};
	struct vault_hello h;
	unsigned code;
	int r;

	cof_buf_add(&body, data, n);
	r = vault_hello_read(&body, &h, &code, &diag);
	fuzz_check(r == 0 || diag.text[0]);
	fuzz_check(r < 0 || (h.conf >= (char *)body.data && h.conf + h.conf_len <= (char *)body.data + n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int out = memfd_create("out", MFD_CLOEXEC);

	make_host();
	fuzz_check(out >= 0);
	switch (n ? data[0] % 7 : 9) {
	case 0:
		receiver(data + 1, n - 1, out);
		break;
	case 1:
		(void)sender(data + 1, n - 1, out);
		break;
	case 2:
		hello(data + 1, n - 1);
		break;
	case 3:
		(void)mender(data + 1, n - 1, out);
		break;
	case 4:
		mended(data + 1, n - 1, out);
		break;
	case 5:
		(void)challenged(data + 1, n - 1, out);
		break;
	case 6:
		(void)challenger(data + 1, n - 1, out);
		break;
	default:
		break;
	}
	close(out);
	return 0;
}

static void message(struct cof_buf *b, uint8_t type, const void *p, size_t n)
{
	uint8_t head[8] = {0};

	cof_put_le32(head, (uint32_t)n);
	head[4] = type;
	cof_buf_add(b, head, 8);
	cof_buf_add(b, p, n);
}

/* What asks for two ranges, and for one that is too long; what answers three rounds, none of it right. */
static void challenge_seeds(int out)
{
	uint8_t ask[32 + 2 * 12] = {1}, state[8 + 8 + 8 + 32 + 2] = {0}, answers[16 * 33] = {0};
	cof_autobuf struct cof_buf b = {0};

	ask[32 + 8] = 200;
	ask[44] = 128;
	ask[44 + 8] = 1;
	cof_buf_add(&b, "\5", 1);
	message(&b, VAULT_CHALLENGE, ask, sizeof(ask));
	message(&b, VAULT_END, "", 0);
	fuzz_check(challenged(b.data + 1, b.len - 1, out) == 0);
	fuzz_seed(b.data, b.len);
	b.len = 0;
	ask[44 + 10] = 9;
	cof_buf_add(&b, "\5", 1);
	message(&b, VAULT_CHALLENGE, ask, sizeof(ask));
	fuzz_check(challenged(b.data + 1, b.len - 1, out) == -EPROTO);
	fuzz_seed(b.data, b.len);
	b.len = 0;
	cof_put_le64(state, frames);
	memset(answers, 1, sizeof(answers));
	cof_buf_add(&b, "\6", 1);
	for (unsigned i = 0; i < 3; i++) {
		message(&b, VAULT_STATE, state, sizeof(state));
		message(&b, VAULT_ANSWER, answers, (i ? frames : 1) * 33); /* first all in one range */
	}
	fuzz_check(frames <= 16 && challenger(b.data + 1, b.len - 1, out) == 0);
	fuzz_seed(b.data, b.len);
}

/* A whole session: what an empty receiver says, and what the sender answers to it. */
void fuzz_seeds(void)
{
	static uint8_t state[8 + 8 + 8 + 32 + 2], resume[16], recorded[65536];
	cof_autobuf struct cof_buf b = {0}, r = {0};
	int out = memfd_create("seed", MFD_CLOEXEC);
	ssize_t n;

	make_host();
	cof_buf_add(&b, "\1", 1);
	message(&b, VAULT_STATE, state, sizeof(state));
	message(&b, VAULT_RESUME, resume, sizeof(resume));
	message(&b, VAULT_DONE, "a note", 6);
	fuzz_check(sender(b.data + 1, b.len - 1, out) == 0);
	fuzz_seed(b.data, b.len);
	n = pread(out, recorded, sizeof(recorded), 0);
	fuzz_check(n > 1000);
	cof_buf_add(&r, "\0", 1);
	cof_buf_add(&r, recorded, (size_t)n);
	fuzz_seed(r.data, r.len);
	b.len = 0;
	cof_buf_add(&b, "\1", 1);
	message(&b, VAULT_STATE, state, sizeof(state));
	message(&b, VAULT_RESUME, resume, sizeof(resume));
	message(&b, VAULT_NOTICE, "a line\nanother\n", 15);
	message(&b, VAULT_DONE, "a note", 6);
	fuzz_check(sender(b.data + 1, b.len - 1, out) == 0);
	fuzz_seed(b.data, b.len);
	b.len = 0;
	cof_buf_add(&b, "\1", 1);
	message(&b, VAULT_STATE, state, sizeof(state));
	message(&b, VAULT_RESUME, resume, sizeof(resume));
	message(&b, VAULT_RECEIPT_IS, "signed\n", 7);
	message(&b, VAULT_RECEIPT_IS, "also\n", 5);
	message(&b, VAULT_DONE, "a note", 6);
	fuzz_check(sender(b.data + 1, b.len - 1, out) == 0);
	fuzz_seed(b.data, b.len);
	b.len = r.len = 0;
	cof_buf_add(&b, "\3", 1);
	message(&b, VAULT_DAMAGE, state, 8); /* segment 0 */
	message(&b, VAULT_DONE, "a note", 6);
	fuzz_check(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0);
	fuzz_check(mender(b.data + 1, b.len - 1, out) == 0);
	fuzz_seed(b.data, b.len);
	n = pread(out, recorded, sizeof(recorded), 0);
	fuzz_check(n > 500);
	cof_buf_add(&r, "\4", 1);
	cof_buf_add(&r, recorded, (size_t)n);
	fuzz_seed(r.data, r.len);
	challenge_seeds(out);
	close(out);
	b.len = 0;
	cof_buf_add(&b, "\2COFVAULT\1\0\0\0\1\0\0\0", 17);
	cof_buf_add(&b, conf.id, 16);
	cof_buf_add(&b, conf.id, 16);
	cof_buf_add(&b, conf_text.data, conf_text.len);
	fuzz_seed(b.data, b.len);
}
