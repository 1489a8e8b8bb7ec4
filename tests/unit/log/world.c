/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>

static void now(void *user, int64_t *record, int64_t *retention)
{
	const struct world *w = user;

	*record = w->clock;
	*retention = w->clock;
}

static void failed(void *user, int err, const char *what)
{
	struct world *w = user;

	(void)what;
	w->failed = err;
}

struct cof_log_params world_params(struct world *w)
{
	return (struct cof_log_params){
	    .io = w->io, .conf = &w->conf, .times = {now, w}, .failed = failed, .user = w};
}

int world_mount(struct world *w)
{
	uint8_t salt[32], next[32], key[32];
	struct cof_mixing m = {.key = key};
	struct cof_buf b COF_CLEANUP(cof_buf_done) = {0};
	int r;

	memset(salt, (int)(w->secrets.epoch * 7 + 1), sizeof(salt));
	cof_field_put(&b, COF_T_SALT, salt, 32);
	cof_field_put(&b, COF_T_COMMITMENT, salt, 32);
	cof_field_put(&b, COF_T_BOOT_ID, salt, 16);
	cof_field_put_i64(&b, COF_T_BOOT_TIME, 1);
	cof_field_put_u64(&b, COF_T_EPOCH, w->secrets.epoch);
	cof_field_put_u32(&b, COF_T_LINEAGE, 1);
	cof_field_put_str(&b, COF_T_SOFTWARE, "test");
	if (w->mixed_at != COF_NOT_MIXED) {
		uint8_t field[COF_MIX_FIELD];

		cof_put_le64(field, w->mixed_at);
		cof_seal_mix_proof(w->mix, w->conf.id, salt, w->mixed_at, field + 8);
		cof_field_put(&b, COF_T_MIXING, field, sizeof(field));
	}
	r = cof_log_mount(w->log, salt, b.data, (uint32_t)b.len, &w->mount, &m);
	if (r)
		return r;
	ck_assert_int_eq(cof_seal_mix_start(m.key, w->mix), 0);
	w->mixed_at = m.sequence;
	ck_assert_int_eq(cof_seal_epoch_next(w->secrets.epoch_secret, next), 0);
	memcpy(w->secrets.epoch_secret, next, 32);
	w->secrets.epoch++;
	return 0;
}

int world_begin(struct world *w, uint64_t seed)
{
	return world_begin_as(w, seed, 9, 3);
}

int world_begin_as(struct world *w, uint64_t seed, uint8_t id, uint8_t key)
{
	struct cof_log_params p;
	uint8_t pub[32];
	int r;

	memset(w, 0, sizeof(*w));
	w->clock = 1700000000 * COF_NSEC;
	w->sim = cof_sim_new(seed);
	ck_assert_ptr_nonnull(w->sim);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	w->mixed_at = COF_NOT_MIXED;
	memset(w->secrets.signing_seed, key, 32);
	memset(w->secrets.epoch_secret, 5, 32);
	w->secrets.epoch = 1;
	memset(w->conf.id, id, 16);
	ck_assert_int_eq(cof_ed25519_public(w->secrets.signing_seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("test.example/log", COF_NOTE_ED25519, pub, &w->conf.vkey),
			 0);
	w->conf.segment_size = WORLD_SEGMENT;
	w->conf.created = 1700000000 * COF_NSEC;
	p = world_params(w);
	r = cof_log_create(&p, &w->secrets, &w->log, NULL);
	return r < 0 ? r : world_mount(w);
}

int world_reopen(struct world *w)
{
	struct cof_log_params p;

	cof_io_free(w->io);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	p = world_params(w);
	w->failed = 0;
	return cof_log_open(&p, &w->secrets, &w->log, &w->rec, NULL);
}

void world_mix(struct world *w)
{
	uint8_t key[32], mixed[32];
	struct cof_mixing m = {.on = w->mixed_at, .key = key};

	ck_assert_int_eq(cof_log_mix(w->log, &m), 0);
	ck_assert_int_eq(cof_seal_mix(key, w->mix, mixed), 0);
	memcpy(w->mix, mixed, sizeof(mixed));
	w->mixed_at = m.sequence;
}

void world_close(struct world *w)
{
	struct cof_diag d = {{0}};
	int r = cof_log_close(w->log, &d);

	w->log = NULL;
	ck_assert_msg(r == 0, "%s", d.text);
}

void world_end(struct world *w)
{
	cof_log_abandon(w->log);
	cof_io_free(w->io);
	cof_sim_free(w->sim);
}

static int append(struct world *w, struct cof_append *a, uint64_t *ret_sequence)
{
	int r = cof_log_append(w->log, a);

	if (!r && ret_sequence)
		*ret_sequence = a->ret_sequence;
	return r;
}

int world_put(struct world *w, uint64_t tag, uint32_t n, bool system, uint64_t *ret_sequence)
{
	struct cof_append a = {.system = system};
	cof_autofree uint8_t *plain = malloc(n + 1), *out = malloc(n + 1);

	for (uint32_t i = 0; i < n; i++)
		plain[i] = (uint8_t)(tag * 131 + i);
	a.frame.type = COF_PAD;
	a.frame.version = 1;
	a.frame.object = tag;
	ck_assert_int_eq(cof_payload_seal(&a.frame, NULL, w->conf.id, plain, n, NULL, out), 0);
	a.stored = out;
	return append(w, &a, ret_sequence);
}

int world_seal(struct world *w, uint64_t tag, uint32_t n, uint64_t *ret_sequence)
{
	cof_autofree uint8_t *plain = malloc(n + 1), *out = malloc(n + 40 * COF_TAG);
	struct cof_append a = {0};
	cof_autoaead struct cof_aead *aead = NULL;
	uint8_t key[32];

	memset(key, (int)tag, sizeof(key));
	memset(plain, (int)tag, n + 1);
	ck_assert_int_eq(cof_aead_new(key, &aead), 0);
	a.frame.type = COF_APPEND;
	a.frame.version = 1;
	a.frame.object = tag;
	a.frame.mount = w->mount;
	a.frame.length = n;
	a.frame.counter = n ? cof_log_counter(w->log, cof_frame_chunks(n)) : 0;
	ck_assert_int_eq(cof_payload_seal(&a.frame, aead, w->conf.id, NULL, 0, plain, out), 0);
	a.stored = out;
	return append(w, &a, ret_sequence);
}

static void finding(void *user, const struct cof_finding *f)
{
	struct world *w = user;

	w->findings++;
	if (f->verdict > w->worst.verdict)
		w->worst = *f;
	if (getenv("COF_SHOW"))
		printf("%d %s segment %lld offset %llu sequence %lld: %s\n", (int)f->verdict,
		       f->file, (long long)f->segment, (unsigned long long)f->offset,
		       (long long)f->sequence, f->text);
}

enum cof_verdict world_verify_with(struct world *w, const struct cof_verify_params *given)
{
	struct cof_verify_params p = *given;
	struct cof_diag d = {{0}};
	int r;

	w->findings = 0;
	memset(&w->worst, 0, sizeof(w->worst));
	memset(&w->found, 0, sizeof(w->found));
	p.io = w->io;
	p.finding = finding;
	p.user = w;
	r = cof_log_verify(&p, &w->found, &d);
	ck_assert_msg(r == 0, "%d %s", r, d.text);
	return w->found.verdict;
}

enum cof_verdict world_verify(struct world *w, const uint8_t *auditor)
{
	struct cof_verify_params p = {.threads = 2, .auditor_secret = auditor};

	if (auditor)
		p.auditor_archive_id = w->conf.id;
	return world_verify_with(w, &p);
}

void world_replace(struct world *w, const char *path, const void *p, size_t n)
{
	struct cof_file *f;
	int r = cof_io_unlink(w->io, path);

	ck_assert(r == 0 || r == -ENOENT);
	if (!p)
		return;
	ck_assert_int_eq(cof_io_create(w->io, path, &f), 0);
	if (n)
		ck_assert_int_eq(cof_io_write(f, p, n, 0), 0);
	cof_io_close(f);
}
