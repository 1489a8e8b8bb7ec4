/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of fs/io; places for stores. */
#include "test-io.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char base[128];

static void make_base(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(base, sizeof(base), "%.80s/coffer-io-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(base));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_base(void)
{
	ck_assert_int_eq(nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TCase *io_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_unchecked_fixture(t, make_base, remove_base);
	tcase_set_timeout(t, 120);
	return t;
}

struct cof_io *place_open(const struct place *p)
{
	struct cof_diag d = {""};
	struct cof_io *io = NULL;

	if (p->kind == SIM)
		ok(cof_sim_open(p->sim, &io));
	else
		ck_assert_msg(cof_io_plain(p->dir, &io, &d) == 0, "%s", d.text);
	return io;
}

void place_begin(struct place *p, enum kind kind)
{
	memset(p, 0, sizeof(*p));
	p->kind = kind;
	if (kind == SIM) {
		p->sim = cof_sim_new(42);
		ck_assert_ptr_nonnull(p->sim);
	} else {
		snprintf(p->dir, sizeof(p->dir), "%s/XXXXXX", base);
		ck_assert_ptr_nonnull(mkdtemp(p->dir));
	}
	p->io = place_open(p);
}

void place_end(struct place *p)
{
	cof_io_free(p->io);
	cof_sim_free(p->sim);
	if (p->kind != SIM)
		ok(nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS));
}

uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void put_file(struct cof_io *io, const char *path, const char *text)
{
	cof_autofile struct cof_file *f = NULL;

	ok(cof_io_create(io, path, &f));
	ok(cof_io_write(f, text, strlen(text), 0));
	ok(cof_io_sync(f));
}

bool holds(struct cof_io *io, const char *path, const char *text)
{
	cof_autofree uint8_t *data = NULL;
	size_t n = 0;
	int err = cof_io_load(io, path, 1 << 20, &data, &n);

	if (!text)
		return err == -ENOENT;
	return err == 0 && n == strlen(text) && !memcmp(data, text, n);
}

int main(void)
{
	Suite *s = suite_create("io");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, files_case());
	suite_add_tcase(s, names_case());
	suite_add_tcase(s, replace_case());
	suite_add_tcase(s, lock_case());
	suite_add_tcase(s, host_case());
	suite_add_tcase(s, map_case());
	suite_add_tcase(s, sim_case());
	suite_add_tcase(s, crash_case());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
