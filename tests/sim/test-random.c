/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations of many clients beside the model, round after round on one disk: full disks,
 * writes or syncs that fail, power cuts at any operation, clocks that jump, remounts, copies of the
 * store, bits that flip, and an index that is kept, put back from an earlier time, deleted or has a
 * bit flipped. Time and chance come from the seed alone: a failure names the command that repeats
 * it. COFFER_SEED=N runs that one seed, COFFER_SEEDS=N-M those, COFFER_LONG=1 many more.
 */
#include <stdio.h>

#include "tests/sim/audit.h"
#include "tests/sim/clocks.h"
#include "tests/sim/seeds.h"
#include "tests/sim/stale-index.h"
#include "tests/sim/world.h"

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 40
#else
#define SEEDS 200
#endif
#define SEEDS_LONG 10000
#define HOUR (3600 * COF_NSEC)

struct play {
	struct world w;
	uint64_t random, seed;
	unsigned names, shelves;
	struct stale_index index;
	bool mixable; /* nothing of what the older copy held was lost since */
};

static uint64_t dice(struct play *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (p->random >> 8) % n;
}

static uint64_t dice_for_index(void *user, uint64_t n)
{
	return dice(user, n);
}

/* ---- choosing ---- */

static bool is_empty_dir(struct world *w, const struct node *n)
{
	size_t len = strlen(n->path);

	for (size_t i = 0; i < w->nodes; i++)
		if (!strncmp(w->node[i].path, n->path, len) && w->node[i].path[len] == '/')
			return false;
	return true;
}

static bool is_shelf(const struct node *n)
{
	return !strchr(n->path, '/');
}

enum want { OPEN_FILE, ANY_FILE, EMPTY_FILE, DIRECTORY, EMPTY_DIRECTORY };

static bool fits(struct world *w, const struct node *n, enum want want)
{
	switch (want) {
	case OPEN_FILE:
		return n->kind == COF_KIND_FILE && !n->committed;
	case ANY_FILE:
		return n->kind == COF_KIND_FILE;
	case EMPTY_FILE:
		return n->kind == COF_KIND_FILE && !n->committed && !n->size;
	case DIRECTORY:
		return n->kind == COF_KIND_DIR;
	default:
		return n->kind == COF_KIND_DIR && !is_shelf(n) && is_empty_dir(w, n);
	}
}

static struct node *some(struct play *p, enum want want)
{
	struct world *w = &p->w;
	size_t from = w->nodes ? dice(p, w->nodes) : 0;

	for (size_t i = 0; i < w->nodes; i++) {
		struct node *n = &w->node[(from + i) % w->nodes];

		if (fits(w, n, want))
			return n;
	}
	return NULL;
}

/* A name that was never used, in some directory that is not `not`. */
static bool fresh_path(struct play *p, const struct node * not, char out[WORLD_PATH])
{
	struct node *dir = some(p, DIRECTORY);

	if (!dir || dir == not || strlen(dir->path) > WORLD_PATH - 16)
		return false;
	snprintf(out, WORLD_PATH, "%.100s/n%u", dir->path, p->names++);
	return true;
}

/* ---- one random operation ---- */

static void grow_file(struct play *p, struct node *n)
{
	switch (dice(p, 10)) {
	case 0:
		world_append(&p->w, n->path, 1 + dice(p, 70000));
		break;
	case 1:
		world_hole(&p->w, n->path, n->size + 1 + dice(p, 5000));
		break;
	case 2:
		world_write_far(&p->w, n->path, 1 + dice(p, 3000), 1 + dice(p, 3000));
		break;
	default:
		world_append(&p->w, n->path, 1 + dice(p, 400));
	}
}

static bool same_shelf(const char *a, const char *b)
{
	size_t n = strcspn(a, "/");

	return n == strcspn(b, "/") && !strncmp(a, b, n);
}

static void rename_something(struct play *p)
{
	struct node *n = some(p, dice(p, 3) ? OPEN_FILE : EMPTY_DIRECTORY), *to;
	char from[WORLD_PATH], path[WORLD_PATH];

	if (!n)
		return;
	snprintf(from, sizeof(from), "%s", n->path);
	if (n->kind == COF_KIND_FILE && dice(p, 4) == 0) {
		to = some(p, EMPTY_FILE);
		if (!to || to == n || !same_shelf(to->path, from))
			return;
		snprintf(path, sizeof(path), "%s", to->path);
		world_rename_over(&p->w, from, path);
	} else if (fresh_path(p, n, path) && same_shelf(path, from)) {
		world_rename(&p->w, from, path);
	}
}

static void make_something(struct play *p)
{
	char path[WORLD_PATH];

	if (p->w.nodes < WORLD_NODES - 2 && fresh_path(p, NULL, path))
		world_create(&p->w, path, dice(p, 5) ? COF_KIND_FILE : COF_KIND_DIR);
}

static void remove_something(struct play *p)
{
	struct node *n = some(p, dice(p, 2) ? EMPTY_FILE : EMPTY_DIRECTORY);
	char path[WORLD_PATH];

	if (!n)
		return;
	snprintf(path, sizeof(path), "%s", n->path);
	world_remove(&p->w, path);
}

/* Some end in this century, later than any that the file has. */
static int64_t later(struct play *p, int64_t than)
{
	int64_t base = than == COF_RETAIN_NONE ? 4000000000000000000 : than;

	return base + 1 + (int64_t)dice(p, 1000000000000);
}

static void promise_something(struct play *p)
{
	struct node *n = some(p, ANY_FILE);

	if (dice(p, 4) == 0)
		world_raise_quota(&p->w);
	else if (n && !n->committed)
		world_ask(&p->w, n->path, later(p, n->asked));
	else if (n && strncmp(n->path, "idle/", 5) && n->until != COF_RETAIN_NONE &&
		 n->until != COF_RETAIN_INFINITE)
		world_extend(&p->w, n->path, dice(p, 5) ? later(p, n->until) : COF_RETAIN_INFINITE);
}

static void refuse_something(struct play *p)
{
	unsigned from = (unsigned)dice(p, WORLD_REFUSALS);

	for (unsigned i = 0; i < WORLD_REFUSALS; i++)
		if (world_refuse(&p->w, (from + i) % WORLD_REFUSALS, dice(p, WORLD_NODES)))
			return;
}

static void add_shelf(struct play *p)
{
	char name[32];

	if (p->w.nodes >= WORLD_NODES - 2 || p->shelves >= 3)
		return;
	snprintf(name, sizeof(name), "shelf%u", p->shelves++);
	world_shelf_add(&p->w, name, 64);
}

/* Some time passes, mostly little; now and then a clock is set. */
static void let_time_pass(struct play *p)
{
	static const int64_t year = 365 * 24 * HOUR;

	world_pass(&p->w, (int64_t)dice(p, dice(p, 20) ? 2 * COF_NSEC : 3 * HOUR));
	if (dice(p, 40) == 0)
		clocks_step(dice(p, 2) ? (int64_t)dice(p, 30 * year) : -(int64_t)dice(p, 30 * year));
	if (!p->w.tpm)
		return;
	switch (dice(p, 60)) {
	case 0:
		clocks_tpm_forward((int64_t)dice(p, 30 * year));
		break;
	case 1:
		clocks_tpm_reset();
		break;
	case 2:
		clocks_tpm_clear();
		break;
	case 3:
	case 4:
		clocks_tpm_silent(dice(p, 2));
		break;
	case 5:
		clocks_boot_lies((int64_t)dice(p, 30 * year));
		break;
	default:
		break;
	}
}

static void remount(struct play *p)
{
	if (world_close(&p->w) == 0)
		world_open(&p->w);
}

static void operate(struct play *p)
{
	uint64_t what = dice(p, 100);
	struct node *n;

	p->w.client = (uint32_t)dice(p, 20);
	let_time_pass(p);
	if (what < 18)
		make_something(p);
	else if (what < 53 && (n = some(p, OPEN_FILE)))
		grow_file(p, n);
	else if (what < 60)
		rename_something(p);
	else if (what < 65)
		remove_something(p);
	else if (what < 68 && (n = some(p, OPEN_FILE)) && n->size)
		world_commit(&p->w, n->path);
	else if (what < 72)
		promise_something(p);
	else if (what < 76)
		world_fsync(&p->w, (n = some(p, ANY_FILE)) && dice(p, 2) ? n->path : NULL);
	else if (what < 82)
		refuse_something(p);
	else if (what < 85)
		world_tick(&p->w);
	else if (what < 86)
		world_checkpoint(&p->w);
	else if (what < 87)
		add_shelf(p);
	else if (what < 88)
		remount(p);
	else if ((n = some(p, ANY_FILE)))
		world_read(&p->w, n->path, dice(p, n->size + 10), 1 + dice(p, 9000));
}

/* ---- rounds ---- */

enum fault { NOTHING, CRASH, EIO_ANYWHERE, FULL, EIO_WRITE, EIO_SYNC, FAULTS };
static const char *const fault_name[] = {"no fault",  "crash",	      "EIO",
					 "full disk", "EIO on write", "EIO on sync"};
static const char *const loss_name[] = {"kept", "lost", "torn"};

/* What goes wrong in this round. */
static enum fault plan(struct play *p)
{
	static const enum cof_sim_fault planned[] = {
	    [CRASH] = COF_SIM_CRASH, [EIO_ANYWHERE] = COF_SIM_EIO, [EIO_WRITE] = COF_SIM_EIO_WRITE,
	    [EIO_SYNC] = COF_SIM_EIO_SYNC};
	enum fault fault = (enum fault)dice(p, FAULTS + 1) % FAULTS; /* twice: nothing */
	uint64_t at = cof_sim_ops(p->w.sim) + 1 + dice(p, 150);

	if (fault == FULL) {
		cof_sim_limit(p->w.sim, 300000 + dice(p, 2000000));
		p->w.full_disk = true;
	} else if (fault != NOTHING) {
		cof_sim_plan(p->w.sim, planned[fault], at);
	}
	for (int i = 0; i < 5; i++)
		cof_sim_plan(p->w.sim, COF_SIM_SHORT, cof_sim_ops(p->w.sim) + 1 + dice(p, 200));
	return fault;
}

/* The store lies there, and nobody has it open. */
static void treat_copies(struct play *p)
{
	static const char *const part[] = {"keys", "checkpoint", "log", "seal", "tile", "archive.conf"};

	switch (dice(p, 6)) {
	case 0:
		world_rot(&p->w, ((uint64_t)dice(p, UINT32_MAX) << 32) ^ dice(p, UINT64_MAX));
		break;
	case 1:
		world_restore_older(&p->w);
		break;
	case 2:
		if (p->mixable)
			world_mix_older(&p->w, part[dice(p, COF_COUNT(part))]);
		break;
	case 3:
		world_clone(&p->w);
		break;
	default:
		break;
	}
}

static void finish_round(struct play *p, unsigned round, enum fault fault)
{
	enum cof_sim_loss loss = (enum cof_sim_loss)dice(p, 3), least = loss;
	bool closed = false, failed = fault == EIO_ANYWHERE || fault == EIO_WRITE || fault == EIO_SYNC;
	const char *index;

	if (!p->w.down && dice(p, 2)) {
		if (dice(p, 2))
			cof_sim_limit(p->w.sim, 0);
		closed = world_close(&p->w) == 0;
	}
	/* After a failed sync nobody knows what of the rest reached the disk. */
	if (failed && !closed)
		least = COF_SIM_LOSE;
	world_crash(&p->w, loss);
	cof_sim_limit(p->w.sim, 0);
	p->w.full_disk = false;
	index = stale_index_treat(&p->index);
	snprintf(world_doing, sizeof(world_doing), "seed %llu, round %u: %s, %s, %s, %s",
		 (unsigned long long)p->seed, round, fault_name[fault],
		 closed ? "closed" : "not closed", loss_name[loss], index);
	if (dice(p, 3) == 0)
		world_pass(&p->w, (int64_t)dice(p, 48 * HOUR));
	world_verify(&p->w, !closed);
	world_reopen(&p->w, least);
	ck_assert_msg(!closed || p->w.opened.recovered.clean, "%s: not clean", world_doing);
	p->mixable &= closed || least == COF_SIM_KEEP;
	if (dice(p, 3) == 0) {
		world_keep_older(&p->w);
		p->mixable = true;
	}
}

static void between_rounds(struct play *p)
{
	if (world_close(&p->w) < 0)
		return;
	treat_copies(p);
	world_open(&p->w);
}

static void play(uint64_t seed, unsigned rounds)
{
	struct play *p = calloc(1, sizeof(*p));

	p->seed = seed;
	p->random = seed * 0x9e3779b97f4a7c15ull + 1;
	p->index.dice = dice_for_index;
	p->index.user = p;
	stale_index_new(&p->index);
	snprintf(world_doing, sizeof(world_doing), "seed %llu", (unsigned long long)seed);
	world_new(&p->w, seed, p->index.index);
	p->w.tpm = seed & 1;
	ck_assert_int_eq(world_init(&p->w), 0);
	ck_assert_int_eq(world_open(&p->w), 0);
	for (unsigned round = 0; round < rounds; round++) {
		enum fault fault = plan(p);
		unsigned n = 10 + (unsigned)dice(p, 80);

		snprintf(world_doing, sizeof(world_doing), "seed %llu, round %u: %s",
			 (unsigned long long)seed, round, fault_name[fault]);
		for (unsigned i = 0; i < n && !p->w.down; i++)
			operate(p);
		finish_round(p, round, fault);
		between_rounds(p);
	}
	ck_assert_int_eq(world_close(&p->w), 0);
	world_verify(&p->w, false);
	if (getenv("COF_SHOW"))
		fprintf(stderr, "seed %llu: %llu operations of the store, %llu messages sealed\n",
			(unsigned long long)seed, (unsigned long long)cof_sim_ops(p->w.sim),
			(unsigned long long)audit_sealed());
	world_free(&p->w);
	stale_index_free(&p->index);
	free(p);
}

/* What would see a nonce that is used twice does see one. */
START_TEST(audit_sees)
{
	static const uint8_t key[COF_KEY] = {1}, other[COF_KEY] = {2}, nonce[COF_NONCE] = {3};
	uint8_t out[16 + COF_TAG] = {0};
	struct cof_aead *a, *b;

	ck_assert_int_eq(cof_crypto_init(4u << 20, NULL), 0);
	ck_assert_int_eq(cof_aead_new(key, &a), 0);
	ck_assert_int_eq(cof_aead_new(other, &b), 0);
	ck_assert_int_eq(cof_aead_seal(a, nonce, NULL, 0, key, 16, out), 0);
	ck_assert_int_eq(cof_aead_seal(b, nonce, NULL, 0, key, 16, out), 0);
	ck_assert_uint_eq(audit_repeated(), 0);
	cof_aead_free(a);
	ck_assert_int_eq(cof_aead_new(key, &a), 0); /* the same key, in another place */
	ck_assert_int_eq(cof_aead_seal(a, nonce, NULL, 0, other, 16, out), 0);
	ck_assert_uint_eq(audit_repeated(), 1);
	cof_aead_free(a);
	cof_aead_free(b);
}
END_TEST

static void play_seed(uint64_t seed)
{
	play(seed, 8);
}

int main(int argc COF_UNUSED, char **argv)
{
	/* audit_sees is the last: it leaves a repeat */
	return seeds_main(&(struct seeds){"sim-random", play_seed, SEEDS, SEEDS_LONG, audit_sees}, argv);
}
