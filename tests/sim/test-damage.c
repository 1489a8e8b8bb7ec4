/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One flipped bit in every byte of a small store, in each file of the format: verify does not call
 * it intact and names the file; a mount gives the right bytes or an error, never others, and never
 * a crash. COFFER_LONG=1 flips all eight bits of each byte, and mounts every time; the short run
 * flips one bit of the seed's choice, and mounts at every 23rd byte. COFFER_BYTES=N-M: only the Nth to
 * the Mth byte of the log, and of everything else, so that the long run can be made in pieces.
 */
#include <stdio.h>

#include "world.h"

#define FILES 64
#define MOUNT_EVERY 23
#ifdef __SANITIZE_ADDRESS__
#define STEP 7
#else
#define STEP 1
#endif

struct target {
	char path[64];
	size_t size, used; /* used: up to its last byte that is not zero */
};

struct targets {
	struct cof_sim *sim;
	struct cof_io *io;
	const char *dir;
	struct target file[FILES];
	size_t n;
};

static bool is_long(void)
{
	const char *v = getenv("COFFER_LONG");

	return v && !strcmp(v, "1");
}

/* A store with something of everything, in two mounts, closed. */
static void make(struct world *w)
{
	world_new(w, 77, "");
	ck_assert_int_eq(world_init(w), 0);
	ck_assert_int_eq(world_open(w), 0);
	world_create(w, "audit/lines", COF_KIND_FILE);
	for (int i = 0; i < 20; i++)
		world_append(w, "audit/lines", 90);
	world_create(w, "keys/k", COF_KIND_FILE);
	world_append(w, "keys/k", 700);
	world_commit(w, "keys/k");
	world_overwrite(w, "keys/k");
	ck_assert_int_eq(world_close(w), 0);
	ck_assert_int_eq(world_open(w), 0);
	world_create(w, "audit/dir", COF_KIND_DIR);
	world_create(w, "audit/dir/large", COF_KIND_FILE);
	world_append(w, "audit/dir/large", 2000);
	world_hole(w, "audit/dir/large", 3000);
	world_append(w, "audit/dir/large", 5000);
	world_append(w, "audit/lines", 90);
	ck_assert_int_eq(world_close(w), 0);
	ck_assert(!w->down);
}

static int add(void *user, const char *name)
{
	struct targets *t = user;
	struct target *f = &t->file[t->n];
	struct cof_file *file;
	const uint8_t *bytes;
	uint64_t size;
	size_t n;

	snprintf(f->path, sizeof(f->path), "%s%s%s", t->dir, t->dir[0] ? "/" : "", name);
	if (cof_io_open(t->io, f->path, COF_IO_RDONLY, &file) < 0)
		return 0; /* a directory */
	ck_assert_int_eq(cof_io_size(file, &size), 0);
	cof_io_close(file);
	f->size = size;
	ck_assert_int_eq(cof_sim_peek(t->sim, f->path, &bytes, &n), 0);
	while (n && !bytes[n - 1])
		n--;
	f->used = n;
	ck_assert_uint_lt(++t->n, FILES);
	return 0;
}

static void find_targets(struct world *w, struct targets *t)
{
	static const char *const dirs[] = {"log", "tile", "keys", "seal"};

	memset(t, 0, sizeof(*t));
	t->sim = w->sim;
	t->io = w->io;
	for (size_t i = 0; i < COF_COUNT(dirs); i++) {
		t->dir = dirs[i];
		ck_assert_int_eq(cof_io_list(w->io, dirs[i], add, t), 0);
	}
	t->dir = "";
	add(t, "checkpoint");
	add(t, "archive.conf");
	ck_assert_uint_gt(t->n, 6);
}

/* ---- verify ---- */

struct named {
	const char *path;
	bool seen, other;
};

static void on_finding(void *user, const struct cof_finding *f)
{
	struct named *n = user;

	if (f->verdict == COF_INTACT)
		return;
	if (!strcmp(f->file, n->path))
		n->seen = true;
	else
		n->other = true;
}

static bool is_secret(const char *path)
{
	return !strncmp(path, "keys/", 5) || !strncmp(path, "seal/", 5);
}

static void check_verify(struct world *w, struct cof_io *io, const char *path)
{
	struct named named = {.path = path};
	struct cof_verify_params p = {.io = io,
				      .auditor_secret = w->auditor,
				      .auditor_archive_id = w->archive_id,
				      .threads = 1,
				      .finding = on_finding,
				      .user = &named};
	struct cof_verified v = {0};
	struct cof_diag diag = {""};
	int r = cof_log_verify(&p, &v, &diag);

	if (is_secret(path)) { /* which verify has no key to look into */
		ck_assert_msg(r == 0 && v.verdict == COF_INTACT, "%s: %s", world_doing, diag.text);
		return;
	}
	ck_assert_msg(r < 0 || v.verdict != COF_INTACT, "%s: verify calls it intact", world_doing);
	ck_assert_msg(r < 0 || named.seen || !named.other || strncmp(path, "log/", 4) ||
			  v.verdict == COF_TAMPERED || v.verdict == COF_TRUNCATED,
		      "%s: verify names another file: %s", world_doing, diag.text);
}

/* ---- mount ---- */

static void check_node(struct cof_archive *a, const struct node *n, const char *said)
{
	cof_autofree uint8_t *buf = malloc(n->size + 1);
	struct cof_attr attr;
	size_t got = 0;
	int r;

	if (n->kind != COF_KIND_FILE)
		return;
	r = cof_archive_getattr(a, COF_INDEX_NOW, n->ino, &attr);
	if (r < 0)
		return; /* an error is an answer */
	r = cof_archive_read(a, COF_INDEX_NOW, n->ino, buf, n->size + 1, 0, &got);
	if (r < 0) {
		/* A range that is not hurt can still be read or is refused; it is never wrong. */
		for (size_t off = 0; off < n->size; off += 4096) {
			size_t len = COF_MIN((size_t)4096, n->size - off);

			if (!cof_archive_read(a, COF_INDEX_NOW, n->ino, buf, len, off, &got))
				ck_assert_msg(!memcmp(buf, n->data + off, got),
					      "%s: wrong bytes in %s", world_doing, n->path);
		}
		return;
	}
	if (got < n->size) { /* what is lost reads as an error, not as the end */
		size_t more = 0;

		r = cof_archive_read(a, COF_INDEX_NOW, n->ino, buf + got, 1, got, &more);
		ck_assert_msg(r < 0, "%s: %s ends after %zu bytes of %zu without an error; at mount: %s",
			      world_doing, n->path, got, n->size, said);
	}
	ck_assert_uint_le(got, n->size);
	ck_assert_msg(!memcmp(buf, n->data, got), "%s: wrong bytes in %s", world_doing, n->path);
}

static void check_mount(struct world *w, struct cof_io *io)
{
	struct cof_opener_secret secret = {
	    .kind = COF_OPENER_FILE, .data = w->key, .len = 48};
	struct cof_archive_params p = {
	    .io = io, .secret = &secret, .index_dir = "", .no_threads = true};
	struct cof_opened opened = {0};
	struct cof_archive *a;
	struct cof_diag diag = {""};
	int r = cof_archive_open(&p, &a, &opened, &diag);

	if (r < 0) {
		ck_assert_msg(diag.text[0], "%s: no sentence for %s", world_doing, strerror(-r));
		return;
	}
	for (size_t i = 0; i < w->nodes; i++)
		check_node(a, &w->node[i], opened.text);
	cof_archive_abandon(a);
}

/* ---- the flips ---- */

static void flip(struct world *w, const struct target *f, size_t at, unsigned bit, bool mount)
{
	struct cof_sim *sim = cof_sim_clone(w->sim);
	struct cof_io *io;

	snprintf(world_doing, sizeof(world_doing), "%s, byte %zu, bit %u", f->path, at, bit);
	ck_assert_ptr_nonnull(sim);
	ck_assert_int_eq(cof_sim_flip(sim, f->path, at, bit), 0);
	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	check_verify(w, io, f->path);
	if (mount)
		check_mount(w, io);
	cof_io_free(io);
	cof_sim_free(sim);
}

/* Whether this run is about the nth byte. */
static bool is_asked(size_t n)
{
	const char *range = getenv("COFFER_BYTES");
	char *end;
	size_t from;

	if (!range)
		return true;
	from = strtoull(range, &end, 10);
	return n >= from && *end == '-' && n <= strtoull(end + 1, NULL, 10);
}

/* The one bit that is set in this byte; -1: none, or several. */
static int only_bit(struct world *w, const struct target *f, size_t at)
{
	const uint8_t *bytes;
	size_t n;

	ck_assert_int_eq(cof_sim_peek(w->sim, f->path, &bytes, &n), 0);
	if (at >= n || !bytes[at] || bytes[at] & (bytes[at] - 1))
		return -1;
	return __builtin_ctz(bytes[at]);
}

static void flip_all(bool (*wanted)(const char *path))
{
	struct world w;
	struct targets t;
	size_t done = 0;
	unsigned seed = 12345;

	make(&w);
	find_targets(&w, &t);
	for (size_t i = 0; i < t.n; i++) {
		if (!wanted(t.file[i].path))
			continue;
		for (size_t at = 0; at < t.file[i].size; at++, done++) {
			seed = seed * 1103515245u + 12345u;
			if (!is_asked(done))
				continue;
			if (!is_long() && (at % STEP || (at > t.file[i].used && at % 16)))
				continue;
			if (!is_long()) {
				flip(&w, &t.file[i], at, seed >> 16 & 7, done % MOUNT_EVERY == 0);
				/* To zero, which could be a write that was cut, where a flip can do it. */
				if (!strncmp(t.file[i].path, "tile/", 5) && only_bit(&w, &t.file[i], at) >= 0)
					flip(&w, &t.file[i], at, (unsigned)only_bit(&w, &t.file[i], at), false);
				continue;
			}
			for (unsigned bit = 0; bit < 8; bit++)
				flip(&w, &t.file[i], at, bit, true);
		}
	}
	ck_assert_uint_gt(done, 0);
	if (getenv("COFFER_BYTES"))
		printf("of %zu bytes\n", done);
	world_free(&w);
}

static bool in_log(const char *path)
{
	return !strncmp(path, "log/", 4);
}

static bool elsewhere(const char *path)
{
	return !in_log(path);
}

START_TEST(every_byte_of_the_log)
{
	flip_all(in_log);
}
END_TEST

START_TEST(every_byte_of_everything_else)
{
	flip_all(elsewhere);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("damage");
	TCase *tc = tcase_create("flips");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, is_long() ? 36000 : 600);
	tcase_add_test(tc, every_byte_of_everything_else);
	tcase_add_test(tc, every_byte_of_the_log);
	suite_add_tcase(s, tc);
	if (cof_crypto_init(4u << 20, NULL) < 0)
		return 1;
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
