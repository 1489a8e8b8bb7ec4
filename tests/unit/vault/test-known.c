/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a log is gone on from and never believed against the log: forged, stale, torn, of another archive it is
 * as if it was not there. And of a copy whose hashes and log are both damaged no hash is lost.
 */
#include "pair.h"

#include <signal.h>
#include <stdio.h>

static struct world w;

static uint64_t newest(void)
{
	struct cof_log_status s;

	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	cof_log_status(w.log, &s);
	return s.checkpoint_size;
}

static void put_policy(const char *text)
{
	struct cof_append a = {.frame = {.type = COF_POLICY, .version = 1}};
	cof_autobuf struct cof_buf fields = {0};
	uint8_t out[4096];

	cof_field_put_str(&fields, COF_T_POLICY, text);
	ck_assert_int_eq(cof_payload_seal(&a.frame, NULL, w.conf.id, fields.data, (uint32_t)fields.len, NULL, out), 0);
	a.stored = out;
	ck_assert_int_eq(cof_log_append(w.log, &a), 0);
}

static void put_some(unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(world_put(&w, from + i, 3000, false, NULL), 0);
}

static unsigned places(void)
{
	struct cof_profile p;

	ck_assert_int_eq(cof_store_policy(w.io, &w.conf, &p), 0);
	return p.places;
}

static struct cof_known look(uint64_t size)
{
	struct cof_known k;

	ck_assert_int_eq(cof_known_up_to(w.io, &w.conf, size, &k), 0);
	ck_assert_uint_eq(k.size, size);
	return k;
}

START_TEST(policies)
{
	struct cof_known k, again;
	struct cof_frame f;
	struct cof_reader *r = NULL;

	ck_assert_int_eq(world_begin(&w, 3), 0);
	put_some(1, 50); /* more than one segment */
	ck_assert_int_eq(cof_known_load(w.io, &w.conf, &k), -ENOENT);
	k = look(newest());
	ck_assert_uint_eq(k.policy, COF_KNOWN_NONE);
	ck_assert_int_eq(cof_known_save(w.io, &k), 0);
	ck_assert_uint_eq(places(), 0);

	/* behind what is known, and in it */
	put_policy("[archive]\nplaces = 3\n");
	put_some(100, 40);
	(void)newest();
	ck_assert_uint_eq(places(), 3);
	again = look(newest());
	ck_assert_uint_ne(again.policy, COF_KNOWN_NONE);
	ck_assert_int_eq(cof_known_save(w.io, &again), 0);
	ck_assert_uint_eq(places(), 3);
	ck_assert_int_eq(cof_reader_new(w.io, &w.conf, &r), 0);
	ck_assert_int_eq(cof_reader_header(r, again.last, &f, NULL, NULL), 0);
	ck_assert_uint_eq(f.sequence, again.size - 1);
	cof_reader_free(r);

	/* the newer one counts; the older known one is gone on from */
	put_policy("[archive]\nplaces = 5\n");
	(void)newest();
	ck_assert_uint_eq(places(), 5);
	ck_assert_int_eq(cof_known_save(w.io, &k), 0);
	ck_assert_uint_eq(places(), 5);

	/* a policy that is not where it is said to be is looked for in all of the log */
	again = look(newest());
	again.policy -= 1;
	ck_assert_int_eq(cof_known_save(w.io, &again), 0);
	ck_assert_uint_eq(places(), 5);
	world_end(&w);
}
END_TEST

START_TEST(not_believed)
{
	struct cof_known k, forged, got;
	const uint8_t *p;
	size_t n;

	ck_assert_int_eq(world_begin(&w, 4), 0);
	put_some(1, 20);
	k = look(newest());
	ck_assert_int_eq(cof_known_save(w.io, &k), 0);
	ck_assert_int_eq(cof_known_load(w.io, &w.conf, &got), 0);
	forged = k;
	forged.header[5] ^= 1;
	ck_assert_int_eq(cof_known_save(w.io, &forged), 0);
	ck_assert_int_eq(cof_known_load(w.io, &w.conf, &got), -ENOENT);
	forged = k;
	forged.size--;
	ck_assert_int_eq(cof_known_save(w.io, &forged), 0);
	ck_assert_int_eq(cof_known_load(w.io, &w.conf, &got), -ENOENT);
	forged = k;
	forged.last += 4096;
	ck_assert_int_eq(cof_known_save(w.io, &forged), 0);
	ck_assert_int_lt(cof_known_load(w.io, &w.conf, &got), 0);
	(void)look(k.size); /* goes through all of it then */
	for (unsigned bit = 0; bit < 8; bit += 3) {
		ck_assert_int_eq(cof_known_save(w.io, &k), 0);
		ck_assert_int_eq(cof_sim_peek(w.sim, "known", &p, &n), 0);
		ck_assert_int_eq(cof_sim_flip(w.sim, "known", n / 2 + bit, bit), 0);
		ck_assert_int_eq(cof_known_load(w.io, &w.conf, &got), -ENOENT);
	}
	ck_assert_int_eq(cof_known_up_to(w.io, &w.conf, k.size + 100, &got), -ENODATA);
	world_end(&w);
}
END_TEST

/* Both are damaged: what the hashes say of the frames that are lost is what they are mended by. */
START_TEST(no_hash_is_lost)
{
	struct far far;
	struct vault_sent sent;
	struct vault_copy *c = NULL;
	struct cof_diag d = {""};
	cof_autofree uint8_t *before = NULL;
	const uint8_t *p;
	size_t n, m;

	ck_assert_int_eq(world_begin(&w, 6), 0);
	put_some(1, 60);
	(void)newest();
	far_begin(&far, &w);
	ck_assert_int_eq(far_sync(&far, w.io, NULL, &sent, &d), 0);
	vault_sent_done(&sent);
	ck_assert_int_eq(cof_sim_flip(far.sim, "tile/0", 7 * COF_HASH, 1), 0);
	ck_assert_int_eq(cof_sim_flip(far.sim, "log/00000001.seg", 20000, 3), 0);
	ck_assert_int_eq(cof_sim_peek(far.sim, "tile/0", &p, &n), 0);
	before = malloc(n);
	memcpy(before, p, n);
	ck_assert_int_eq(vault_copy_open(far.io, &c, &d), -EUCLEAN);
	ck_assert_int_eq(cof_sim_peek(far.sim, "tile/0", &p, &m), 0);
	ck_assert_uint_eq(m, n);
	ck_assert_mem_eq(p, before, n);

	/* the frame comes back: then the log gives all of them */
	ck_assert_int_eq(cof_sim_flip(far.sim, "log/00000001.seg", 20000, 3), 0);
	ck_assert_uint_eq(far_head(&far), sent.size);
	ck_assert_int_eq(far_verify(&far, NULL), COF_INTACT);
	far_end(&far);
	world_end(&w);
}
END_TEST

/* A session with nothing to send leaves no more than the cosignature: no sync of what was durable before. */
START_TEST(nothing_to_send)
{
	struct far far;
	struct vault_sent sent;
	struct cof_diag d = {""};
	uint64_t ops;

	ck_assert_int_eq(world_begin(&w, 7), 0);
	put_some(1, 60);
	(void)newest();
	far_begin(&far, &w);
	for (unsigned i = 0; i < 2; i++) {
		ops = cof_sim_ops(far.sim);
		ck_assert_int_eq(far_sync(&far, w.io, NULL, &sent, &d), 0);
		vault_sent_done(&sent);
		ops = cof_sim_ops(far.sim) - ops;
	}
	ck_assert(sent.nothing);
	ck_assert_uint_le(ops, 6);
	far_end(&far);
	world_end(&w);
}
END_TEST

/* What is known of a copy as its frames came is what its log says, over sessions with a policy, without one and with nothing. */
START_TEST(found_on_the_way)
{
	struct far far;
	struct vault_sent sent;
	struct cof_diag d = {""};

	ck_assert_int_eq(world_begin(&w, 8), 0);
	far_begin(&far, &w);
	far.looks = true;
	for (unsigned i = 0; i < 5; i++) {
		if (i == 1 || i == 3)
			put_policy(i == 1 ? "[archive]\nplaces = 3\n" : "[archive]\nplaces = 5\n");
		if (i != 4)
			put_some(1 + 20 * i, 20);
		(void)newest();
		ck_assert_int_eq(far_sync(&far, w.io, NULL, &sent, &d), 0);
		vault_sent_done(&sent);
		ck_assert_uint_gt(far.known.size, 0);
		ck_assert_uint_eq(far.known.size, far.found.size);
		ck_assert_uint_eq(far.known.last, far.found.last);
		ck_assert_uint_eq(far.known.policy, far.found.policy);
		ck_assert_mem_eq(far.known.header, far.found.header, COF_HASH);
		ck_assert_int_eq(cof_known_save(far.io, &far.known), 0);
	}
	ck_assert_uint_ne(far.known.policy, COF_KNOWN_NONE);
	far_end(&far);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("known");
	TCase *t = tcase_create("known");
	SRunner *runner = srunner_create(s);
	struct cof_diag d = {""};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (cof_crypto_init(1u << 20, &d) < 0) {
		fprintf(stderr, "%s\n", d.text);
		return 1;
	}
	tcase_add_test(t, policies);
	tcase_add_test(t, not_believed);
	tcase_add_test(t, no_hash_is_lost);
	tcase_add_test(t, nothing_to_send);
	tcase_add_test(t, found_on_the_way);
	suite_add_tcase(s, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
