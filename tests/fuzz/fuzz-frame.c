/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from bytes that anybody may have written: headers, payloads, fields, notes; then the whole
 * of the input as a segment, through the reader and through verification. Nothing may crash, read
 * beyond its input or allocate without bound, and what decodes must encode to the same bytes.
 */
#include "fuzz.h"

#include "fs/io/sim.h"
#include "fs/log/log.h"

const unsigned fuzz_runs = 1500;

#define SEGMENT 65536u

static void trap_if(bool wrong)
{
	if (wrong)
		__builtin_trap();
}

static void fields(const uint8_t *p, size_t n)
{
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(p, n, &off, &f) == 1)
		trap_if(f.value < p || f.value + f.len > p + n);
}

static void one_frame(const uint8_t *data, size_t size)
{
	uint8_t again[COF_FRAME_HEADER];
	struct cof_checkpoint cp;
	struct cof_frame f;
	struct cof_diag d;

	if (size < COF_FRAME_HEADER || cof_frame_decode(data, &f, &d) < 0)
		return;
	cof_frame_encode(&f, again);
	trap_if(memcmp(again, data, COF_FRAME_HEADER) != 0);
	trap_if(f.stored > 2 * COF_FRAME_LENGTH_MAX + 16 * COF_TAG);
	if (f.stored > size - COF_FRAME_HEADER)
		return;
	(void)cof_payload_check(&f, data + COF_FRAME_HEADER);
	fields(data + COF_FRAME_HEADER, f.public_length);
	(void)cof_checkpoint_parse((const char *)data + COF_FRAME_HEADER, f.public_length, &cp);
}

static void put(struct cof_io *io, const char *path, const void *p, size_t n)
{
	struct cof_file *f;

	if (cof_io_create(io, path, &f) < 0)
		return;
	if (n)
		(void)cof_io_write(f, p, n, 0);
	cof_io_close(f);
}

/* An identity of which everything is fixed, so that the corpus stays valid. */
static void identity(struct cof_conf *conf, struct cof_buf *text)
{
	static const uint8_t seed[32] = {3, 1, 4, 1, 5};
	uint8_t pub[32];

	memset(conf, 0, sizeof(*conf));
	conf->segment_size = SEGMENT;
	trap_if(cof_ed25519_public(seed, pub) < 0);
	trap_if(cof_vkey_make("fuzz", COF_NOTE_ED25519, pub, &conf->vkey) < 0);
	trap_if(cof_conf_text(conf, text) < 0);
}

static void read_through(struct cof_io *io, const struct cof_conf *conf)
{
	uint64_t at = 0, next, found;
	struct cof_reader *r;
	struct cof_frame f;

	if (cof_reader_new(io, conf, &r) < 0)
		return;
	for (unsigned i = 0; i < 2000 && cof_reader_header(r, at, &f, NULL, NULL) == 0; i++) {
		(void)cof_reader_find(r, f.sequence + (i & 1), &found, NULL);
		if (cof_reader_next(r, at, &f, &next) < 0)
			break;
		trap_if(next <= at);
		at = next;
	}
	cof_reader_free(r);
}

static void finding(void *user, const struct cof_finding *f)
{
	unsigned *n = user;

	trap_if(++*n > 1001 || !f->text[0]);
}

/* Makes the headers' magic, version and check right, so that what they say is looked at. */
static void mend(uint8_t *p, size_t n)
{
	for (size_t at = 0; n - at >= COF_FRAME_HEADER;) {
		uint32_t stored = cof_get_le32(p + at + 36);

		cof_put_le32(p + at, COF_FRAME_MAGIC);
		p[at + 5] = 1;
		cof_put_le32(p + at + 124, cof_crc32c(0, p + at, 124));
		if (stored > n - at - COF_FRAME_HEADER)
			break;
		at += COF_FRAME_HEADER + stored;
	}
}

/* The input is cut over segments, tile/0 and the checkpoint by its first bytes. */
static void whole_store(const uint8_t *input, size_t size)
{
	static const uint8_t secret[32], no_id[16];
	struct cof_buf text COF_CLEANUP(cof_buf_done) = {0};
	struct cof_verified v;
	struct cof_sim *sim = cof_sim_new(1);
	cof_autofree uint8_t *data = malloc(size + 1);
	struct cof_io *io = NULL;
	struct cof_conf conf;
	unsigned n = 0;
	size_t first;

	if (!sim || !data || size < 4 || cof_sim_open(sim, &io) < 0) {
		cof_sim_free(sim);
		return;
	}
	memcpy(data, input, size);
	identity(&conf, &text);
	first = COF_MIN((size_t)cof_get_le16(data), size - 4);
	if (data[3] & 4) {
		mend(data + 4, first);
		mend(data + 4 + first, size - 4 - first);
	}
	(void)cof_io_mkdir(io, "log");
	(void)cof_io_mkdir(io, "tile");
	put(io, "archive.conf", text.data, text.len);
	put(io, "log/00000000.seg", data + 4, first);
	put(io, "log/00000001.seg", data + 4 + first, size - 4 - first);
	put(io, "tile/0", data + 4, data[2] & 1 ? first : 0);
	put(io, "checkpoint", data + 4, data[2] & 2 ? COF_MIN(first, 400) : 0);
	read_through(io, &conf);

	struct cof_verify_params p = {.io = io,
				      .threads = 1,
				      .finding = finding,
				      .user = &n,
				      .live = data[3] & 2,
				      .auditor_secret = data[3] & 1 ? secret : NULL,
				      .auditor_archive_id = no_id};

	(void)cof_log_verify(&p, &v, NULL);
	cof_io_free(io);
	cof_sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;

	if (!ready && cof_crypto_init(1 << 20, NULL) < 0)
		return 0;
	ready = true;
	if (size > 2 * SEGMENT)
		return 0;
	one_frame(data, size);
	whole_store(data, size);
	return 0;
}

/* ---- seeds: the segment of a small archive of this identity ---- */

static void now(void *user, int64_t *record, int64_t *retention)
{
	int64_t *clock = user;

	*record = *retention = *clock += COF_NSEC;
}

static void mount(struct cof_log *log)
{
	struct cof_buf b COF_CLEANUP(cof_buf_done) = {0};
	uint8_t salt[32] = {7};
	uint32_t ordinal;

	cof_field_put(&b, COF_T_SALT, salt, 32);
	cof_field_put(&b, COF_T_COMMITMENT, salt, 32);
	cof_field_put(&b, COF_T_BOOT_ID, salt, 16);
	cof_field_put_i64(&b, COF_T_BOOT_TIME, 1);
	cof_field_put_u64(&b, COF_T_EPOCH, 1);
	cof_field_put_u32(&b, COF_T_LINEAGE, 1);
	cof_field_put_str(&b, COF_T_SOFTWARE, "fuzz");
	fuzz_check(cof_log_mount(log, salt, b.data, (uint32_t)b.len, &ordinal, NULL) == 0);
}

/* Sealed frames of several chunks or none, for a file that grows. */
static void append(struct cof_log *log, const struct cof_conf *conf)
{
	static const uint32_t lengths[] = {1, 100, 3000};
	static const uint8_t key[COF_KEY] = {1}, plain[3000] = {2};
	static uint8_t stored[3000 + 64];
	cof_autoaead struct cof_aead *aead = NULL;
	struct cof_append a = {.frame = {.type = COF_APPEND, .version = 1, .object = 5}};

	fuzz_check(cof_aead_new(key, &aead) == 0);
	for (size_t i = 0; i < COF_COUNT(lengths); i++) {
		a.frame.length = lengths[i];
		a.frame.counter = cof_log_counter(log, 1);
		a.frame.mount = 1;
		fuzz_check(cof_payload_seal(&a.frame, aead, conf->id, NULL, 0, plain, stored) == 0);
		a.stored = stored;
		fuzz_check(cof_log_append(log, &a) == 0);
		a.frame.position += lengths[i];
	}
}

static void add_segment(const uint8_t *segment, size_t n, size_t first, uint8_t how)
{
	struct cof_buf b COF_CLEANUP(cof_buf_done) = {0};
	uint8_t head[4] = {0, 0, 3, how};

	cof_put_le16(head, (uint16_t)first);
	cof_buf_add(&b, head, sizeof(head));
	cof_buf_add(&b, segment, n);
	fuzz_check(!b.failed);
	fuzz_seed(b.data, b.len);
}

void fuzz_seeds(void)
{
	struct cof_log_secrets secrets = {.signing_seed = {3, 1, 4, 1, 5}, .epoch = 1};
	struct cof_buf text COF_CLEANUP(cof_buf_done) = {0};
	struct cof_conf conf;
	struct cof_sim *sim = cof_sim_new(1);
	struct cof_io *io = NULL;
	struct cof_log *log = NULL;
	int64_t clock = 1700000000 * COF_NSEC;
	const uint8_t *p;
	size_t n;

	fuzz_check(cof_crypto_init(1 << 20, NULL) == 0);
	identity(&conf, &text);
	fuzz_check(sim && cof_sim_open(sim, &io) == 0);

	struct cof_log_params params = {.io = io, .conf = &conf, .times = {now, &clock}};

	fuzz_check(cof_log_create(&params, &secrets, &log, NULL) == 0);
	mount(log);
	append(log, &conf);
	fuzz_check(cof_log_checkpoint(log) == 0);
	append(log, &conf);
	fuzz_check(cof_log_close(log, NULL) == 0);
	fuzz_check(cof_sim_peek(sim, "log/00000000.seg", &p, &n) == 0);
	while (n && !p[n - 1]) /* preallocated */
		n--;
	fuzz_seed(p, n); /* a frame by itself */
	for (uint8_t how = 0; how < 8; how++)
		add_segment(p, n, n, how);
	add_segment(p, n, COF_FRAME_HEADER, 4);
	cof_io_free(io);
	cof_sim_free(sim);
}
