/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody, or time, does to a store that nobody has open: put back as it once was, in whole or
 * in part; copied and used twice; a bit that flips.
 */
#include "tests/sim/world-private.h"

/* A world over a copy of a disk. */
static void begin(const struct world *w, struct cof_sim *sim, struct world *copy)
{
	ck_assert_ptr_nonnull(sim);
	memset(copy, 0, sizeof(*copy));
	copy->sim = sim;
	copy->index_dir = "";
	copy->key = cof_secret_alloc(48);
	memcpy(copy->key, w->key, 48);
	memcpy(copy->auditor, w->auditor, sizeof(copy->auditor));
	memcpy(copy->archive_id, w->archive_id, sizeof(copy->archive_id));
	ck_assert_int_eq(cof_sim_open(copy->sim, &copy->io), 0);
}

void world_keep_older(struct world *w)
{
	cof_sim_free(w->older);
	free(w->older_text);
	w->older = cof_sim_clone(w->sim);
	w->older_text = world_model_text(w);
}

static void use(const struct world *w, struct cof_sim *sim, const char *text, const char *what)
{
	struct cof_diag diag = {""};
	struct world copy;
	char *found;
	int r;

	begin(w, sim, &copy);
	r = world_try_open(&copy, &diag);
	ck_assert_msg(r == 0 && !copy.opened.read_only, "%s: %s does not open: %s: %s %s",
		      world_doing, what, strerror(-r), diag.text, copy.opened.text);
	found = world_text(&copy);
	ck_assert_msg(!strcmp(found, text), "%s: %s is not what it was:\n%s--- it was:\n%s",
		      world_doing, what, found, text);
	free(found);
	world_push(&copy, NULL);
	ck_assert_int_eq(world_create(&copy, "keys/from-copy", COF_KIND_FILE), 0);
	ck_assert_int_eq(world_append(&copy, "keys/from-copy", 3000), 0);
	ck_assert_int_eq(world_fsync(&copy, NULL), 0);
	copy.ret_durable = copy.ret_acked;
	ck_assert_int_eq(world_close(&copy), 0);
	world_verify(&copy, false);
	world_free(&copy);
}

void world_restore_older(const struct world *w)
{
	if (w->older)
		use(w, cof_sim_clone(w->older), w->older_text, "an older copy");
}

void world_clone(const struct world *w)
{
	struct world *model = (struct world *)(uintptr_t)w; /* sorts a copy, changes nothing */
	char *text = world_model_text(model);

	use(w, cof_sim_clone(w->sim), text, "a clone");
	use(w, cof_sim_clone(w->sim), text, "a second clone");
	free(text);
}

/* ---- right bytes or an error ---- */

/* whole: an end that comes too early has to be an error. */
static void check_file(struct cof_archive *a, const struct node *n, bool whole)
{
	cof_autofree uint8_t *buf = malloc(n->size + 1);
	struct cof_attr attr;
	size_t got = 0, more;

	if (n->kind != COF_KIND_FILE || cof_archive_getattr(a, COF_INDEX_NOW, n->ino, &attr) < 0 ||
	    cof_archive_read(a, COF_INDEX_NOW, n->ino, buf, n->size + 1, 0, &got) < 0)
		return;
	ck_assert_msg(got <= n->size && !memcmp(buf, n->data, got), "%s: wrong bytes in %s",
		      world_doing, n->path);
	if (whole && got < n->size)
		ck_assert_msg(cof_archive_read(a, COF_INDEX_NOW, n->ino, buf, 1, got, &more) < 0,
			      "%s: %s ends after %zu bytes of %zu without an error", world_doing,
			      n->path, got, n->size);
}

static void open_hurt(const struct world *w, struct world *copy, bool whole)
{
	struct cof_diag diag = {""};
	int r = world_try_open(copy, &diag);

	copy->archive = r < 0 ? NULL : copy->archive;
	ck_assert_msg(r == 0 || diag.text[0], "%s: %s without a sentence", world_doing,
		      strerror(-r));
	for (size_t i = 0; r == 0 && i < w->nodes; i++)
		check_file(copy->archive, &w->node[i], whole);
}

/* ---- a part of an older copy ---- */

struct names {
	char name[64][64];
	size_t n;
};

static int note(void *user, const char *name)
{
	struct names *names = user;

	if (names->n < COF_COUNT(names->name))
		snprintf(names->name[names->n++], 64, "%s", name);
	return 0;
}

static void put_back(struct cof_io *from, struct cof_io *to, const char *path)
{
	cof_autofree uint8_t *data = NULL;
	size_t n;

	if (cof_io_load(from, path, 16u << 20, &data, &n) == 0)
		ck_assert_int_eq(cof_io_replace(to, path, data, n), 0);
}

void world_mix_older(const struct world *w, const char *what)
{
	struct cof_sim *sim;
	struct cof_io *from;
	struct names names = {.n = 0};
	struct world copy;
	char path[160];

	if (!w->older)
		return;
	sim = cof_sim_clone(w->older);
	ck_assert_int_eq(cof_sim_open(sim, &from), 0);
	begin(w, cof_sim_clone(w->sim), &copy);
	if (cof_io_list(from, what, note, &names) < 0)
		put_back(from, copy.io, what);
	for (size_t i = 0; i < names.n; i++) {
		snprintf(path, sizeof(path), "%s/%s", what, names.name[i]);
		put_back(from, copy.io, path);
	}
	cof_io_free(from);
	cof_sim_free(sim);
	open_hurt(w, &copy, false);
	world_free(&copy);
}

/* ---- a bit that flips ---- */

static bool named; /* the file that was hurt */

static void on_finding(void *user, const struct cof_finding *f)
{
	if (f->verdict != COF_INTACT && !strcmp(f->file, user))
		named = true;
}

static void verify_hurt(struct world *copy, char *path)
{
	struct cof_verify_params p = {.io = copy->io,
				      .auditor_secret = copy->auditor,
				      .auditor_archive_id = copy->archive_id,
				      .threads = 1,
				      .finding = on_finding,
				      .user = path};
	struct cof_verified v = {0};
	int r;

	named = false;
	r = cof_log_verify(&p, &v, NULL);
	ck_assert_msg(r < 0 || v.verdict != COF_INTACT, "%s: verify calls it intact", world_doing);
	ck_assert_msg(r < 0 || named || v.verdict >= COF_TRUNCATED,
		      "%s: verify does not name the file", world_doing);
}

void world_rot(const struct world *w, uint64_t random)
{
	static const char *const dirs[] = {"log", "tile", "keys", "seal"};
	const char *dir = dirs[random % 8 % COF_COUNT(dirs)];
	struct names names = {.n = 0};
	struct world copy;
	const uint8_t *data;
	char path[160], was[256];
	size_t n, at;

	begin(w, cof_sim_clone(w->sim), &copy);
	ck_assert_int_eq(cof_io_list(copy.io, dir, note, &names), 0);
	ck_assert_uint_gt(names.n, 0);
	snprintf(path, sizeof(path), "%s/%s", dir, names.name[(random >> 8) % names.n]);
	ck_assert_int_eq(cof_sim_peek(copy.sim, path, &data, &n), 0);
	while (n && !data[n - 1]) /* behind what is written nothing counts */
		n--;
	at = n ? (random >> 16) % n : 0;
	if (n && cof_sim_flip(copy.sim, path, at, random >> 60 & 7) == 0) {
		snprintf(was, sizeof(was), "%s", world_doing);
		snprintf(world_doing, sizeof(world_doing), "%.150s; a bit of %.60s, byte %zu", was,
			 path, at);
		if (strcmp(dir, "keys") && strcmp(dir, "seal"))
			verify_hurt(&copy, path);
		open_hurt(w, &copy, true);
		snprintf(world_doing, sizeof(world_doing), "%s", was);
	}
	world_free(&copy);
}
