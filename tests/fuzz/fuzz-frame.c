/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from bytes that anybody may have written: headers, payloads, fields, notes; then the whole
 * of the input as a segment, through the reader and through verification. Nothing may crash, read
 * beyond its input or allocate without bound, and what decodes must encode to the same bytes.
 */
#include "fs/io/sim.h"
#include "fs/log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
