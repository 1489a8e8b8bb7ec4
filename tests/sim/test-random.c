/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations beside the model, round after round on one disk: full disks, writes and syncs
 * that fail, power cuts at any operation, and an index that is kept, put back from an earlier time,
 * deleted or has a bit flipped. A failure names its seed: COFFER_SEED=N runs that one alone.
 * COFFER_LONG=1 runs many more.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "world.h"

struct play {
	struct world w;
	uint64_t random, seed;
	unsigned names;
	char dir[64], index[96], old[96];
	bool has_old;
};

static uint64_t dice(struct play *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (p->random >> 8) % n;
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
	else if (n && n->until != COF_RETAIN_NONE && n->until != COF_RETAIN_INFINITE)
		world_extend(&p->w, n->path, dice(p, 5) ? later(p, n->until) : COF_RETAIN_INFINITE);
}

static void operate(struct play *p)
{
	uint64_t what = dice(p, 100);
	struct node *n;

	if (what < 18)
		make_something(p);
	else if (what < 55 && (n = some(p, OPEN_FILE)))
		grow_file(p, n);
	else if (what < 62)
		rename_something(p);
	else if (what < 67)
		remove_something(p);
	else if (what < 70 && (n = some(p, OPEN_FILE)) && n->size)
		world_commit(&p->w, n->path);
	else if (what < 74)
		promise_something(p);
	else if (what < 78)
		world_fsync(&p->w, (n = some(p, ANY_FILE)) && dice(p, 2) ? n->path : NULL);
	else if (what < 81 && (n = some(p, ANY_FILE)) && n->size)
		world_overwrite(&p->w, n->path);
	else if (what < 85)
		world_tick(&p->w);
	else if ((n = some(p, ANY_FILE)))
		world_read(&p->w, n->path, dice(p, n->size + 10), 1 + dice(p, 9000));
}

/* ---- the index between two openings ---- */

static void shell(const char *command)
{
	int r = system(command);

	ck_assert_msg(WIFEXITED(r) && !WEXITSTATUS(r), "%s", command);
}

static void keep_copy(struct play *p)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s; cp -a %s %s", p->old, p->index, p->old);
	shell(command);
	p->has_old = true;
}

static void put_back(struct play *p)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s; cp -a %s %s", p->index, p->old, p->index);
	shell(command);
}

static void delete_index(struct play *p)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf %s", p->index);
	shell(command);
	p->has_old = false;
}

static void flip(struct play *p, const char *path)
{
	FILE *f = fopen(path, "r+b");
	long size, at;
	int c;

	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	if (size > 0) {
		at = (long)dice(p, (uint64_t)size);
		fseek(f, at, SEEK_SET);
		c = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(c ^ (1 << dice(p, 8)), f);
	}
	fclose(f);
}

static void flip_index(struct play *p)
{
	DIR *d = opendir(p->index);
	struct dirent *e;
	char path[400];

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", p->index, e->d_name);
			flip(p, path);
		}
	closedir(d);
}

static const char *treat_index(struct play *p)
{
	switch (dice(p, 8)) {
	case 0:
		delete_index(p);
		return "index deleted";
	case 1:
		if (!p->has_old)
			break;
		put_back(p);
		return "index put back";
	case 2:
		flip_index(p);
		return "index damaged";
	case 3:
		keep_copy(p);
		break;
	default:
		break;
	}
	return "index kept";
}

/* ---- rounds ---- */

static const char *const fault_name[] = {"no fault", "crash", "EIO", "full disk"};
static const char *const loss_name[] = {"kept", "lost", "torn"};

/* What goes wrong in this round. */
static unsigned plan(struct play *p)
{
	unsigned fault = (unsigned)dice(p, 4);
	uint64_t at = cof_sim_ops(p->w.sim) + 1 + dice(p, 150);

	if (fault == 1)
		cof_sim_plan(p->w.sim, COF_SIM_CRASH, at);
	if (fault == 2)
		cof_sim_plan(p->w.sim, COF_SIM_EIO, at);
	if (fault == 3) {
		cof_sim_limit(p->w.sim, 300000 + dice(p, 2000000));
		p->w.full_disk = true;
	}
	for (int i = 0; i < 5; i++)
		cof_sim_plan(p->w.sim, COF_SIM_SHORT, cof_sim_ops(p->w.sim) + 1 + dice(p, 200));
	return fault;
}

static void finish_round(struct play *p, unsigned round, unsigned fault)
{
	enum cof_sim_loss loss = (enum cof_sim_loss)dice(p, 3), least = loss;
	bool closed = false;
	const char *index;

	if (!p->w.down && dice(p, 2)) {
		if (dice(p, 2))
			cof_sim_limit(p->w.sim, 0);
		closed = world_close(&p->w) == 0;
	}
	/* After a failed sync nobody knows what of the rest reached the disk. */
	if (fault == 2 && !closed)
		least = COF_SIM_LOSE;
	world_crash(&p->w, loss);
	cof_sim_limit(p->w.sim, 0);
	p->w.full_disk = false;
	index = treat_index(p);
	snprintf(world_doing, sizeof(world_doing), "seed %llu, round %u: %s, %s, %s, %s",
		 (unsigned long long)p->seed, round, fault_name[fault],
		 closed ? "closed" : "not closed", loss_name[loss], index);
	world_verify(&p->w, !closed);
	world_reopen(&p->w, least);
	ck_assert_msg(!closed || p->w.opened.recovered.clean, "%s: not clean", world_doing);
}

static void play(uint64_t seed, unsigned rounds)
{
	struct play *p = calloc(1, sizeof(*p));

	p->seed = seed;
	p->random = seed * 0x9e3779b97f4a7c15ull + 1;
	strcpy(p->dir, "/tmp/coffer-sim-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->index, sizeof(p->index), "%s/index", p->dir);
	snprintf(p->old, sizeof(p->old), "%s/old", p->dir);
	snprintf(world_doing, sizeof(world_doing), "seed %llu", (unsigned long long)seed);
	world_new(&p->w, seed, p->index);
	ck_assert_int_eq(world_init(&p->w), 0);
	ck_assert_int_eq(world_open(&p->w), 0);
	for (unsigned round = 0; round < rounds; round++) {
		unsigned fault = plan(p), n = 10 + (unsigned)dice(p, 80);

		snprintf(world_doing, sizeof(world_doing), "seed %llu, round %u: %s",
			 (unsigned long long)seed, round, fault_name[fault]);
		for (unsigned i = 0; i < n && !p->w.down; i++)
			operate(p);
		finish_round(p, round, fault);
	}
	ck_assert_int_eq(world_close(&p->w), 0);
	world_verify(&p->w, false);
	world_free(&p->w);
	delete_index(p);
	snprintf(p->old, sizeof(p->old), "rm -rf %s", p->dir);
	shell(p->old);
	free(p);
}

static uint64_t first_seed = 1, seeds = 60;

START_TEST(random_rounds)
{
	/* a test each, so that a failure does not hide the others */
	play(first_seed + (uint64_t)_i, 8);
}
END_TEST

int main(void)
{
	const char *one = getenv("COFFER_SEED"), *many = getenv("COFFER_LONG");
	Suite *suite = suite_create("sim-random");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("random");
	int failed;

	if (many && !strcmp(many, "1"))
		seeds = 3000;
	if (one) {
		first_seed = strtoull(one, NULL, 10);
		seeds = 1;
	}
	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, random_rounds, 0, (int)seeds);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
