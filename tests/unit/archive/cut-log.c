/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody can do who has root on a host, with its TPM, while or after a mount that did not end: cuts off the
 * newest mount's end, and writes another mount in its place, with the secret that the TPM has for it, up to
 * the value that the anchor has.
 *
 *   cut-log STORE KEYFILE SEQUENCE COUNTER [FRAME]     frames from SEQUENCE on are cut; the log is one segment.
 *                                                      FRAME: where the seal is said to have been mixed last
 */
#include <fcntl.h>
#include <stdio.h>

#include "fs/archive/internal.h"
#include "fs/archive/keys-nv.h"

static struct cof_conf conf;
static struct cof_keys *keys;
static struct cof_anchored anchored; /* the next to be named */
static uint64_t counter;

static void need(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "cut-log: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* The log up to a frame, and the last checkpoint that is repeated there. */
static void cut(struct cof_io *io, uint64_t sequence)
{
	cof_autofree uint8_t *log = NULL;
	struct cof_field note = {0};
	struct cof_frame f = {0};
	char path[16];
	size_t n = 0, at = 0;

	need(cof_io_load(io, "log/00000000.seg", conf.segment_size, &log, &n), "the log");
	while (at + COF_FRAME_HEADER <= n && cof_frame_decode(log + at, &f, NULL) == 0 && f.sequence < sequence) {
		uint8_t *payload = log + at + COF_FRAME_HEADER;

		if (f.type == COF_CHECKPOINT)
			need(cof_field_find(payload, f.public_length, COF_T_NOTE, &note), "a note");
		at += COF_FRAME_HEADER + f.stored;
	}
	need(f.sequence == sequence ? 0 : -ENOENT, "the frame");
	need(cof_io_replace(io, "log/00000000.seg", log, at), "the log");
	need(cof_io_replace(io, "checkpoint", note.value, note.len), "the checkpoint");
	for (unsigned l = 0; l < 8; l++) {
		snprintf(path, sizeof(path), "tile/%u", l);
		(void)cof_io_unlink(io, path);
	}
}

static void now(void *user, int64_t *record, int64_t *retention)
{
	(void)user;
	*record = *retention = cof_now(CLOCK_REALTIME);
}

static void anchor(void *user, struct cof_buf *fields)
{
	(void)user;
	if (anchored.value < counter)
		anchored.value++;
	cof_anchor_put(fields, &anchored);
}

static void write_on(struct cof_io *io)
{
	struct cof_log_params p = {.io = io, .conf = &conf, .times = {now, NULL}, .anchor = anchor};
	struct cof_log_secrets *s = cof_secret_alloc(sizeof(*s));
	cof_autobuf struct cof_buf fields = {0};
	struct cof_recovered found;
	struct cof_clock clock = {0};
	struct cof_log *log = NULL;
	uint8_t salt[32];
	uint32_t mount;

	need(s ? 0 : -ENOMEM, "memory");
	cof_keys_log_secrets(keys, s);
	need(cof_log_open(&p, s, &log, &found, NULL), "opening the log");
	cof_random(salt, sizeof(salt));
	need(cof_mount_fields(&fields, keys, conf.id, found.last_mount + 1, salt, &clock), "MOUNT");
	need(cof_anchored_last(io, &conf, &anchored), "the anchor");
	cof_anchor_put(&fields, &anchored);
	need(cof_log_mount(log, salt, fields.data, (uint32_t)fields.len, &mount, NULL), "MOUNT");
	do {
		struct cof_append a = {.frame = {.type = COF_HEARTBEAT, .version = 1}, .system = true};
		uint8_t nothing;

		need(cof_payload_seal(&a.frame, NULL, conf.id, NULL, 0, NULL, &nothing), "a frame");
		a.stored = &nothing;
		need(cof_log_append(log, &a), "a frame");
		need(cof_log_checkpoint(log), "a checkpoint");
	} while (anchored.value < counter);
	need(cof_log_close(log, NULL), "closing");
	cof_secret_free(s);
}

int main(int argc, char **argv)
{
	struct cof_opener_secret secret = {.kind = COF_OPENER_FILE, .tpm = getenv("COFFER_TPM")};
	struct cof_diag diag = {""};
	struct cof_tpm *tpm = NULL;
	struct cof_io *io = NULL;
	char *key;
	int fd;

	if (argc != 5 && argc != 6)
		return 2;
	need(cof_crypto_init(1u << 20, &diag), "start");
	key = cof_secret_alloc(4096);
	fd = open(argv[2], O_RDONLY);
	need(fd < 0 || !key ? -ENOENT : cof_read_all(fd, key, 4096, &secret.len), "the key file");
	secret.data = key;
	need(cof_io_plain(argv[1], &io, &diag), "the store");
	need(cof_conf_load(io, &conf, &diag), "the archive");
	need(cof_keys_open(io, conf.id, &secret, &keys, &diag), diag.text);
	need(cof_tpm_open(secret.tpm, &tpm, &diag), diag.text);
	need(cof_nv_read(keys, tpm, &diag), diag.text);
	counter = strtoull(argv[4], NULL, 10);
	if (argc == 6)
		keys->next.mixed_at = strtoull(argv[5], NULL, 10);
	cut(io, strtoull(argv[3], NULL, 10));
	write_on(io);
	cof_tpm_free(tpm);
	cof_keys_free(keys);
	cof_secret_free(key);
	cof_io_free(io);
	return 0;
}
