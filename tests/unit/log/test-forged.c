/* SPDX-License-Identifier: Apache-2.0 */
/* Verification against somebody who has the signing key: what breaks a rule, and what only the seal
 * shows. */
#include "forge.h"

static const uint8_t auditor[32] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
				    5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

/* One segment, one mount, closed. */
static void make_small(struct world *w)
{
	ck_assert_int_eq(world_begin(w, 12), 0);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(world_seal(w, 10 + i, 100 + i, NULL), 0);
		w->clock += COF_NSEC;
	}
	world_close(w);
}

static void as_it_was(struct forged *g, void *user)
{
	(void)g;
	(void)user;
}

static void drop_one(struct forged *g, void *user)
{
	if (g->f.sequence == 9)
		g->drop = true;
	else if (g->f.sequence > 9)
		g->f.sequence--;
	(void)user;
}

static void retention_back(struct forged *g, void *user)
{
	(void)user;
	if (g->f.sequence == 9)
		g->f.retention_time -= 5 * COF_NSEC;
}

static void counter_again(struct forged *g, void *user)
{
	(void)user;
	if (g->f.sequence == 9)
		g->f.counter--;
}

static void mount_jumps(struct forged *g, void *user)
{
	(void)user;
	if (g->f.sequence == 9)
		g->f.mount = 2;
}

static void epoch_jumps(struct forged *g, void *user)
{
	static uint8_t pub[64];
	struct cof_buf b COF_CLEANUP(cof_buf_done) = {0};
	uint8_t salt[32] = {8};

	(void)user;
	if (g->f.sequence != 1)
		return;
	cof_field_put(&b, COF_T_SALT, salt, 32);
	cof_field_put_u64(&b, COF_T_EPOCH, 3);
	memcpy(pub, b.data, b.len);
	g->payload = pub;
	g->f.public_length = g->f.stored = (uint32_t)b.len;
}

static void another_identity(struct forged *g, void *user)
{
	(void)user;
	if (g->f.sequence == 0) {
		uint8_t *c = (uint8_t *)strstr((char *)g->payload, "created = 2023");

		ck_assert_ptr_nonnull(c);
		c[13] = '1';
	}
}

struct forgery {
	forge_fn fn;
	bool public_sees; /* without the auditor's secret */
	int64_t sequence;
};

static const struct forgery forgeries[] = {
    {as_it_was, false, -1},       {drop_one, false, 9},   {retention_back, true, 9},
    {counter_again, true, 9},     {mount_jumps, true, 9}, {epoch_jumps, true, 1},
    {another_identity, true, -1},
};

START_TEST(a_forgery_breaks_a_rule_or_the_seal)
{
	const struct forgery *f = &forgeries[_i];
	struct world w;

	make_small(&w);
	forge(&w, f->fn, NULL, FORGE_ALL);
	ck_assert_int_eq(world_verify(&w, NULL), f->public_sees ? COF_TAMPERED : COF_INTACT);
	if (f->public_sees && f->sequence >= 0)
		ck_assert_int_eq(w.worst.sequence, f->sequence);
	ck_assert_int_eq(world_verify(&w, auditor), f->fn == as_it_was ? COF_INTACT : COF_TAMPERED);
	if (f->fn != as_it_was)
		ck_assert_uint_ge(w.found.seal_since, 1);
	world_end(&w);
}
END_TEST

START_TEST(a_chained_checkpoint_is_signed)
{
	struct world w;

	make_small(&w);
	forge(&w, as_it_was, NULL, FORGE_ALL | FORGE_BAD_NOTE);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
	ck_assert_int_eq(w.worst.sequence, 23); /* 0, MOUNT, 20, UNMOUNT */
	world_end(&w);
}
END_TEST

/* Without the signing key even that shows. */
START_TEST(a_rewritten_chain_lacks_the_signature)
{
	struct world w;

	make_small(&w);
	forge(&w, drop_one, NULL, FORGE_TILES);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
	world_end(&w);
	make_small(&w);
	forge(&w, retention_back, NULL, 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log forged");
	TCase *t = tcase_create("forged");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_forgery_breaks_a_rule_or_the_seal, 0, (int)COF_COUNT(forgeries));
	tcase_add_test(t, a_chained_checkpoint_is_signed);
	tcase_add_test(t, a_rewritten_chain_lacks_the_signature);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
