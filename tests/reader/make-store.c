/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a store with something of everything in it, for tests/second_reader.py: several mounts, one
 * of them killed; files that grow, are committed, renamed, removed; links, holes, refusals; and as
 * many lines of log as asked for. DIR/key, DIR/auditor and DIR/expected say what a reader must
 * find.
 *
 *   make-store DIR LINES
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/archive/archive.h"

#define FILES 40
#define BIG (3u << 20)

static const uint8_t key_bytes[48] = "an opener of kind file, of forty-eight bytes....";
static const struct cof_who alice = {.uid = 1000, .gid = 1000};

struct maker {
	struct cof_io *io;
	struct cof_archive *a;
	struct cof_opener_secret secret;
	uint64_t shelf, other, sub;
	FILE *expected;
	uint8_t *big;
};

static void fail(const char *what, int r, const char *text)
{
	fprintf(stderr, "make-store: %s: %s %s\n", what, strerror(-r), text);
	exit(1);
}

static void must(const char *what, int r)
{
	if (r < 0)
		fail(what, r, "");
}

static void open_store(struct maker *m)
{
	struct cof_archive_params p = {
	    .io = m->io, .secret = &m->secret, .index_dir = "", .no_threads = true};
	struct cof_opened opened;
	struct cof_diag diag = {0};
	int r = cof_archive_open(&p, &m->a, &opened, &diag);
	if (r < 0)
		fail("open", r, diag.text);
}

static void close_store(struct maker *m)
{
	struct cof_diag diag = {0};
	int r = cof_archive_close(m->a, &diag);
	if (r < 0)
		fail("close", r, diag.text);
}

static int act(struct maker *m, struct cof_op op, uint64_t *ret_ino)
{
	struct cof_reply reply = {0};
	int r = cof_archive_do(m->a, &alice, &op, &reply);
	if (!r && ret_ino)
		*ret_ino = reply.attr.ino;
	return r;
}

static uint64_t create(struct maker *m, uint64_t parent, const char *name, uint8_t kind)
{
	uint64_t ino = 0;
	must(name, act(m,
		       (struct cof_op){.kind = COF_OP_CREATE,
				       .uid = alice.uid,
				       .gid = alice.gid,
				       .parent = parent,
				       .name = name,
				       .node_kind = kind,
				       .mode = kind == COF_KIND_DIR ? 0750 : 0640,
				       .target = kind == COF_KIND_SYMLINK ? "../else/where" : NULL},
		       &ino));
	return ino;
}

static void append(struct maker *m, uint64_t ino, uint64_t at, const void *p, size_t n)
{
	must("write",
	     act(m,
		 (struct cof_op){
		     .kind = COF_OP_WRITE, .ino = ino, .offset = at, .length = n, .data = p},
		 NULL));
}

static void expect(struct maker *m, const void *p, size_t n, const char *path)
{
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];
	cof_sha256(p, n, digest);
	cof_hex(digest, COF_HASH, hex);
	fprintf(m->expected, "%s  %zu  %s\n", hex, n, path);
}

/* ---- what is done in one mount each ---- */

static void small_files(struct maker *m)
{
	char name[64], path[96];
	m->sub = create(m, m->shelf, "sub", COF_KIND_DIR);
	create(m, m->sub, "link", COF_KIND_SYMLINK);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%02u", i);
		uint64_t ino = create(m, i % 2 ? m->sub : m->shelf, name, COF_KIND_FILE);
		for (unsigned k = 0; k < i; k++)
			append(m, ino, k * 100, m->big + k * 100, 100);
		if (i % 3 == 0)
			must("commit",
			     act(m, (struct cof_op){.kind = COF_OP_COMMIT, .ino = ino}, NULL));
		snprintf(path, sizeof(path), "audit/%s%s", i % 2 ? "sub/" : "", name);
		expect(m, m->big, (size_t)i * 100, path);
	}
}

static void large_file(struct maker *m)
{
	uint64_t ino = create(m, m->other, "large", COF_KIND_FILE);
	append(m, ino, 0, m->big, BIG / 3);
	/* A hole, and what follows it. */
	must("hole",
	     act(m, (struct cof_op){.kind = COF_OP_TRUNCATE, .ino = ino, .length = BIG / 2}, NULL));
	append(m, ino, BIG / 2, m->big + BIG / 2, BIG / 2);
	cof_autofree uint8_t *want = malloc(BIG);
	if (!want)
		fail("memory", -ENOMEM, "");
	memcpy(want, m->big, BIG);
	memset(want + BIG / 3, 0, BIG / 2 - BIG / 3);
	expect(m, want, BIG, "keys/large");
	must("commit", act(m, (struct cof_op){.kind = COF_OP_COMMIT, .ino = ino}, NULL));
}

static void names(struct maker *m)
{
	uint64_t ino = create(m, m->shelf, "before", COF_KIND_FILE);
	append(m, ino, 0, "renamed", 7);
	uint64_t there = create(m, m->sub, "after", COF_KIND_FILE); /* empty: replaced */
	must("rename", act(m,
			   (struct cof_op){.kind = COF_OP_RENAME,
					   .ino = ino,
					   .parent = m->shelf,
					   .name = "before",
					   .new_parent = m->sub,
					   .new_name = "after",
					   .target_ino = there},
			   NULL));
	expect(m, "renamed", 7, "audit/sub/after");
	ino = create(m, m->shelf, "empty", COF_KIND_FILE);
	must("unlink",
	     act(m,
		 (struct cof_op){
		     .kind = COF_OP_UNLINK, .ino = ino, .parent = m->shelf, .name = "empty"},
		 NULL));
	ino = create(m, m->shelf, "n\xc3\xa4me of \xff bytes", COF_KIND_FILE);
	append(m, ino, 0, "x", 1);
	must("chmod",
	     act(m, (struct cof_op){.kind = COF_OP_CHMOD, .ino = ino, .mode = 0600}, NULL));
	must("utimes", act(m,
			   (struct cof_op){.kind = COF_OP_UTIMES,
					   .ino = ino,
					   .valid = COF_SET_MTIME,
					   .mtime = 1234567890 * COF_NSEC},
			   NULL));
	/* Refused, and on record. */
	if (act(m, (struct cof_op){.kind = COF_OP_TRUNCATE, .ino = ino, .length = 0}, NULL) == 0)
		fail("truncating", -EINVAL, "was accepted");
}

static void lines(struct maker *m, unsigned long n)
{
	char line[128];
	cof_autobuf struct cof_buf all = {0};
	uint64_t ino = create(m, m->shelf, "lines.log", COF_KIND_FILE), at = 0;
	for (unsigned long i = 0; i < n; i++) {
		int len =
		    snprintf(line, sizeof(line),
			     "2026-01-01T00:00:00Z host program[%lu]: a line as they are in logs, "
			     "number %lu\n",
			     i % 977, i);
		append(m, ino, at, line, (size_t)len);
		at += (size_t)len;
		cof_buf_add(&all, line, (size_t)len);
		if (i % 20000 == 19999)
			cof_archive_tick(m->a);
	}
	expect(m, all.data ? all.data : (uint8_t *)"", all.len, "audit/lines.log");
}

/* ---- the whole ---- */

static void write_file(const char *dir, const char *name, const void *p, size_t n)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(path, -errno, "");
	must(path, cof_write_all(fd, p, n));
	close(fd);
}

static void init(struct maker *m, const char *dir)
{
	struct cof_shelf_spec shelves[2] = {{.name = "audit"}, {.name = "keys"}};
	uint8_t auditor[COF_KEY], id[16];
	char line[160] = "coffer-auditor-secret-1 ";
	struct cof_init_params p = {.origin = "test.example/second-reader",
				    .segment_size = 2 << 20,
				    .secret = &m->secret,
				    .shelves = shelves,
				    .n_shelves = 2,
				    .ret_auditor_secret = auditor,
				    .ret_archive_id = id};
	struct cof_diag diag = {0};
	cof_policy_default(&shelves[0].policy);
	cof_policy_default(&shelves[1].policy);
	int r = cof_archive_init(m->io, &p, &diag);
	if (r < 0)
		fail("init", r, diag.text);
	cof_hex(id, sizeof(id), line + strlen(line));
	strcat(line, " ");
	cof_hex(auditor, sizeof(auditor), line + strlen(line));
	strcat(line, "\n");
	write_file(dir, "auditor", line, strlen(line));
	write_file(dir, "key", key_bytes, sizeof(key_bytes));
}

int main(int argc, char **argv)
{
	struct maker m = {0};
	struct cof_diag diag = {0};
	char path[512];
	if (argc != 3) {
		fprintf(stderr, "usage: make-store DIR LINES\n");
		return 2;
	}
	must("crypto", cof_crypto_init(4u << 20, &diag));
	uint8_t *key = cof_secret_alloc(sizeof(key_bytes));
	m.big = malloc(BIG);
	if (!key || !m.big)
		fail("memory", -ENOMEM, "");
	memcpy(key, key_bytes, sizeof(key_bytes));
	m.secret = (struct cof_opener_secret){COF_OPENER_FILE, key, sizeof(key_bytes)};
	for (size_t i = 0; i < BIG; i++)
		m.big[i] = (uint8_t)(i * 2654435761u >> 13);
	snprintf(path, sizeof(path), "%s/expected", argv[1]);
	m.expected = fopen(path, "we");
	snprintf(path, sizeof(path), "%s/store", argv[1]);
	if (!m.expected || mkdir(path, 0700) < 0)
		fail(path, -errno, "");
	must("store", cof_io_plain(path, &m.io, &diag));
	init(&m, argv[1]);

	open_store(&m);
	must("shelf", cof_archive_resolve(m.a, "audit", &m.shelf));
	must("shelf", cof_archive_resolve(m.a, "keys", &m.other));
	small_files(&m);
	close_store(&m);
	open_store(&m);
	large_file(&m);
	cof_archive_abandon(m.a); /* as if killed */
	open_store(&m);
	names(&m);
	lines(&m, strtoul(argv[2], NULL, 10));
	close_store(&m);

	cof_io_free(m.io);
	cof_secret_free(key);
	free(m.big);
	return fclose(m.expected) ? 1 : 0;
}
