/* SPDX-License-Identifier: Apache-2.0 */
/* The writer half of fs/log over the simulated store: append, group commit, rollover, recovery. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>

#include "fs/io/sim.h"
#include "fs/log/log.h"

#define SEGMENT 65536u

struct world {
	struct cof_sim *sim;
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_log_secrets secrets;
	struct cof_log *log;
	struct cof_recovered rec;
	uint32_t mount;
	int failed;
};

static void now(void *user, int64_t *record, int64_t *retention)
{
	(void)user;
	*record = 1700000000 * COF_NSEC;
	*retention = 1700000000 * COF_NSEC;
}

static void failed(void *user, int err, const char *what)
{
	struct world *w = user;

	(void)what;
	w->failed = err;
}

static struct cof_log_params params(struct world *w)
{
	return (struct cof_log_params){.io = w->io,
				       .conf = &w->conf,
				       .times = {now, NULL},
				       .failed = failed,
				       .user = w};
}

static int mount(struct world *w)
{
	uint8_t salt[32];
	struct cof_buf b COF_CLEANUP(cof_buf_done) = {0};
	int r;

	memset(salt, (int)(w->secrets.epoch * 7 + 1), sizeof(salt));
	cof_field_put(&b, COF_T_SALT, salt, 32);
	cof_field_put(&b, COF_T_COMMITMENT, salt, 32);
	cof_field_put(&b, COF_T_BOOT_ID, salt, 16);
	cof_field_put_i64(&b, COF_T_BOOT_TIME, 1);
	cof_field_put_u64(&b, COF_T_EPOCH, w->secrets.epoch);
	cof_field_put_u32(&b, COF_T_LINEAGE, 0);
	cof_field_put_str(&b, COF_T_SOFTWARE, "test");
	r = cof_log_mount(w->log, salt, b.data, (uint32_t)b.len, &w->mount);
	if (!r) {
		uint8_t next[32];

		ck_assert_int_eq(cof_seal_epoch_next(w->secrets.epoch_secret, next), 0);
		memcpy(w->secrets.epoch_secret, next, 32);
		w->secrets.epoch++;
	}
	return r;
}

static int begin(struct world *w, uint64_t seed)
{
	struct cof_log_params p;
	struct cof_vkey key;
	uint8_t pub[32];
	int r;

	memset(w, 0, sizeof(*w));
	w->sim = cof_sim_new(seed);
	ck_assert_ptr_nonnull(w->sim);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	memset(w->secrets.signing_seed, 3, 32);
	memset(w->secrets.epoch_secret, 5, 32);
	w->secrets.epoch = 1;
	memset(w->conf.id, 9, 16);
	ck_assert_int_eq(cof_ed25519_public(w->secrets.signing_seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("test.example/log", COF_NOTE_ED25519, pub, &key), 0);
	w->conf.vkey = key;
	w->conf.segment_size = SEGMENT;
	w->conf.created = 1700000000 * COF_NSEC;
	p = params(w);
	r = cof_log_create(&p, &w->secrets, &w->log, NULL);
	return r < 0 ? r : mount(w);
}

static int reopen(struct world *w)
{
	struct cof_log_params p;
	int r;

	if (w->io)
		cof_io_free(w->io);
	ck_assert_int_eq(cof_sim_open(w->sim, &w->io), 0);
	p = params(w);
	w->failed = 0;
	r = cof_log_open(&p, &w->secrets, &w->log, &w->rec, NULL);
	return r;
}

static void end(struct world *w)
{
	cof_log_abandon(w->log);
	cof_io_free(w->io);
	cof_sim_free(w->sim);
}

/* A public-only frame with `n` bytes that follow from tag. */
static int put(struct world *w, uint64_t tag, uint32_t n, bool system, uint64_t *ret_sequence)
{
	struct cof_append a = {.system = system};
	uint8_t *plain = malloc(n + 1), *out = malloc(n + 1);
	int r;

	for (uint32_t i = 0; i < n; i++)
		plain[i] = (uint8_t)(tag * 131 + i);
	a.frame.type = COF_PAD;
	a.frame.version = 1;
	a.frame.object = tag;
	ck_assert_int_eq(cof_payload_seal(&a.frame, NULL, w->conf.id, plain, n, NULL, out), 0);
	a.stored = out;
	r = cof_log_append(w->log, &a);
	if (!r && ret_sequence)
		*ret_sequence = a.ret_sequence;
	free(plain);
	free(out);
	return r;
}

static void note_finding(void *user, const struct cof_finding *f)
{
	(void)user;
	if (getenv("COF_SHOW"))
		printf("finding %d seg %lld off %llu seq %lld: %s\n", (int)f->verdict,
		       (long long)f->segment, (unsigned long long)f->offset, (long long)f->sequence,
		       f->text);
}

static enum cof_verdict verify(struct world *w, const uint8_t *auditor)
{
	struct cof_verify_params p = {.io = w->io, .finding = note_finding, .threads = 1};
	struct cof_verified v;
	struct cof_diag d = {{0}};

	if (auditor) {
		p.auditor_secret = auditor;
		p.auditor_archive_id = w->conf.id;
	}
	ck_assert_int_eq(cof_log_verify(&p, &v, &d), 0);
	return v.verdict;
}

START_TEST(closes_cleanly_and_opens)
{
	struct world w;
	uint8_t first[32];
	uint64_t s;

	memset(first, 5, 32);
	ck_assert_int_eq(begin(&w, 1), 0);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(put(&w, i, (uint32_t)(i * 37 % 3000), false, &s), 0);
	ck_assert_uint_eq(s, 101);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(verify(&w, first), COF_INTACT);
	ck_assert_int_eq(reopen(&w), 0);
	ck_assert(w.rec.clean);
	ck_assert(!w.rec.tiles_rebuilt);
	ck_assert_uint_eq(w.rec.size, 104); /* 0, MOUNT, 100, UNMOUNT, CHECKPOINT */
	ck_assert_uint_eq(w.rec.last_mount, 1);
	ck_assert_uint_ne(w.rec.last_mount_address, 0);
	ck_assert_int_eq(mount(&w), 0);
	ck_assert_uint_eq(w.mount, 2);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(verify(&w, first), COF_INTACT);
	w.log = NULL;
	end(&w);
}
END_TEST

struct appender {
	struct world *w;
	uint64_t base;
	pthread_t thread;
};

static void *append_many(void *arg)
{
	struct appender *a = arg;
	uint64_t last = 0, s;

	for (uint64_t i = 0; i < 400; i++) {
		ck_assert_int_eq(put(a->w, a->base + i, 100, false, &s), 0);
		ck_assert(!i || s > last);
		last = s;
		if (i % 16 == 0)
			ck_assert_int_eq(cof_log_sync(a->w->log, s), 0);
	}
	return NULL;
}

START_TEST(many_threads_one_chain)
{
	struct appender a[8];
	struct world w;
	struct cof_log_status st;

	ck_assert_int_eq(begin(&w, 2), 0);
	ck_assert_int_eq(cof_log_start(w.log), 0);
	for (int i = 0; i < 8; i++) {
		a[i].w = &w;
		a[i].base = 1000u * (unsigned)(i + 1);
		ck_assert_int_eq(pthread_create(&a[i].thread, NULL, append_many, &a[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(a[i].thread, NULL);
	cof_log_status(w.log, &st);
	ck_assert_uint_ge(st.size, 3202);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(verify(&w, NULL), COF_INTACT);
	w.log = NULL;
	end(&w);
}
END_TEST

/* A workload whose promises can be checked: returns how many frames were durable. */
static void workload(struct world *w, uint64_t *durable, uint64_t *accepted)
{
	uint64_t s;

	for (uint64_t i = 0; i < 40; i++) {
		if (put(w, i, 3000, false, &s) < 0)
			return;
		*accepted = s + 1;
		if (i % 5 == 4) {
			if (cof_log_sync(w->log, s) < 0)
				return;
			*durable = s + 1;
		}
		if (i % 13 == 12 && cof_log_checkpoint(w->log) < 0)
			return;
	}
	if (cof_log_close(w->log, NULL) == 0) {
		*durable = *accepted + 1;
		*accepted = *durable;
	}
	w->log = NULL;
}

static bool crash_at(uint64_t op, enum cof_sim_loss loss)
{
	uint64_t durable = 0, accepted = 0, sequence;
	struct world w;
	enum cof_verdict v;
	bool finished;

	ck_assert_int_eq(begin(&w, op), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	cof_sim_plan(w.sim, COF_SIM_CRASH, cof_sim_ops(w.sim) + op);
	workload(&w, &durable, &accepted);
	finished = durable && durable == accepted && !w.log;
	cof_log_abandon(w.log);
	w.log = NULL;
	cof_io_free(w.io);
	w.io = NULL;
	cof_sim_reboot(w.sim, loss);
	ck_assert_int_eq(reopen(&w), 0);
	ck_assert_uint_ge(w.rec.size, durable);
	if (loss == COF_SIM_KEEP)
		ck_assert_uint_ge(w.rec.size, accepted);
	if (finished)
		ck_assert(w.rec.clean);
	ck_assert_int_eq(mount(&w), 0);
	ck_assert_int_eq(put(&w, 7777, 5000, false, &sequence), 0);
	ck_assert_uint_eq(sequence, w.rec.size + 1);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	w.log = NULL;
	v = verify(&w, NULL);
	ck_assert_msg(v == COF_INTACT, "crash at %llu, loss %d: %s", (unsigned long long)op, loss,
		      cof_verdict_name(v));
	end(&w);
	return finished;
}

START_TEST(a_crash_at_every_operation)
{
	for (uint64_t op = 1; !crash_at(op, (enum cof_sim_loss)_i); op++)
		ck_assert_uint_lt(op, 2000);
}
END_TEST

START_TEST(a_full_disk_refuses_and_goes_on)
{
	struct cof_log_status st;
	struct world w;
	uint64_t s, n = 0;
	int r;

	ck_assert_int_eq(begin(&w, 4), 0);
	cof_sim_limit(w.sim, 300000);
	while ((r = put(&w, n, 2000, false, &s)) == 0)
		ck_assert_uint_lt(n++, 1000);
	ck_assert_int_eq(r, -ENOSPC);
	cof_log_status(w.log, &st);
	ck_assert_uint_eq(st.size, s + 1); /* nothing was chained for the refused one */
	ck_assert(st.out_of_space);
	ck_assert_int_eq(put(&w, n, 2000, true, &s), 0); /* the reserve */
	ck_assert_int_eq(put(&w, n, 2000, false, NULL), -ENOSPC);
	ck_assert_int_eq(w.failed, 0);
	cof_sim_limit(w.sim, 0);
	while ((r = put(&w, n, 2000, false, &s)) == -ENOSPC) /* it is not asked at every append */
		;
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(verify(&w, NULL), COF_INTACT);
	w.log = NULL;
	end(&w);
}
END_TEST

START_TEST(a_full_disk_closes_cleanly)
{
	struct world w;
	uint64_t n = 0;

	ck_assert_int_eq(begin(&w, 5), 0);
	cof_sim_limit(w.sim, 300000);
	while (put(&w, n++, 2000, false, NULL) == 0)
		;
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(reopen(&w), 0);
	ck_assert(w.rec.clean);
	end(&w);
}
END_TEST

START_TEST(the_first_error_is_final)
{
	struct world w;
	uint64_t s;

	ck_assert_int_eq(begin(&w, 6), 0);
	ck_assert_int_eq(put(&w, 1, 100, false, &s), 0);
	cof_sim_plan(w.sim, COF_SIM_EIO, cof_sim_ops(w.sim) + 1);
	ck_assert_int_eq(cof_log_sync(w.log, s), -EIO);
	ck_assert_int_eq(w.failed, -EIO);
	ck_assert_int_eq(cof_log_sync(w.log, s), -EIO); /* no retry that lies */
	ck_assert_int_eq(put(&w, 2, 100, false, &s), -EROFS);
	ck_assert_int_lt(cof_log_close(w.log, NULL), 0);
	w.log = NULL;
	end(&w);
}
END_TEST

START_TEST(a_failed_write_is_final)
{
	struct world w;
	uint64_t s;

	ck_assert_int_eq(begin(&w, 7), 0);
	cof_sim_plan(w.sim, COF_SIM_EIO, cof_sim_ops(w.sim) + 1);
	ck_assert_int_eq(put(&w, 1, 100, false, &s), -EIO);
	ck_assert_int_eq(put(&w, 2, 100, false, &s), -EROFS);
	end(&w);
}
END_TEST

START_TEST(a_missing_covered_frame_is_tampering)
{
	struct cof_diag d = {{0}};
	struct cof_log_params p;
	struct world w;

	ck_assert_int_eq(begin(&w, 8), 0);
	for (uint64_t i = 0; i < 20; i++)
		ck_assert_int_eq(put(&w, i, 1000, false, NULL), 0);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	w.log = NULL;
	/* the last covered frame is UNMOUNT; break its payload's neighbour: its own header */
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 3000, 2), 0);
	cof_io_free(w.io);
	ck_assert_int_eq(cof_sim_open(w.sim, &w.io), 0);
	p = params(&w);
	ck_assert_int_eq(cof_sim_flip(w.sim, "tile/0", 40, 2), 0); /* forces the walk */
	ck_assert_int_eq(cof_log_open(&p, &w.secrets, &w.log, &w.rec, &d), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(d.text, "log/00000000.seg"));
	ck_assert_ptr_nonnull(strstr(d.text, "coffer verify"));
	end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log writer");
	TCase *t = tcase_create("writer");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 300);
	tcase_add_test(t, closes_cleanly_and_opens);
	tcase_add_test(t, many_threads_one_chain);
	tcase_add_loop_test(t, a_crash_at_every_operation, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(t, a_full_disk_refuses_and_goes_on);
	tcase_add_test(t, a_full_disk_closes_cleanly);
	tcase_add_test(t, the_first_error_is_final);
	tcase_add_test(t, a_failed_write_is_final);
	tcase_add_test(t, a_missing_covered_frame_is_tampering);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
