/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <ftw.h>
#include <stdio.h>

const struct cof_who root_user = {0, 0, 0, false};
const struct cof_who alice = {1000, 1000, 0, false};
const struct cof_who bob = {1001, 1001, 0, false};

void store_new(struct store *s, enum store_kind kind)
{
	struct cof_diag diag = {""};

	memset(s, 0, sizeof(*s));
	s->kind = kind;
	ck_assert_int_eq(cof_crypto_init(4u << 20, &diag), 0);
	s->key = cof_secret_alloc(48);
	ck_assert_ptr_nonnull(s->key);
	for (int i = 0; i < 48; i++)
		s->key[i] = (uint8_t)(i * 7 + 1);
	s->secret = (struct cof_opener_secret){COF_OPENER_FILE, s->key, 48};
	if (kind == STORE_SIM) {
		s->sim = cof_sim_new(4711);
		ck_assert_ptr_nonnull(s->sim);
		ck_assert_int_eq(cof_sim_open(s->sim, &s->io), 0);
		return;
	}
	strcpy(s->dir, "/tmp/coffer-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	ck_assert_int_eq(cof_io_plain(s->dir, &s->io, &diag), 0);
}

int store_init(struct store *s, struct cof_diag *diag)
{
	struct cof_shelf_spec shelves[2] = {{.name = "audit"}, {.name = "keys"}};
	struct cof_init_params p = {
	    .origin = "test.example/archive",
	    .segment_size = s->segment_size ? s->segment_size : 1 << 20,
	    .secret = &s->secret,
	    .shelves = shelves,
	    .n_shelves = 2,
	    .recovery = s->recovery,
	    .pcrs = s->pcrs,
	    .ret_auditor_secret = s->auditor,
	    .ret_archive_id = s->archive_id,
	};

	cof_policy_default(&shelves[0].policy);
	cof_policy_default(&shelves[1].policy);
	shelves[1].policy.durability = COF_DURABLE_ON_WRITE;
	return cof_archive_init(s->io, &p, diag);
}

static void on_alarm(void *user, const char *text)
{
	struct store *s = user;
	size_t n = strlen(s->alarm);

	snprintf(s->alarm + n, sizeof(s->alarm) - n, "%s\n", text);
}

void store_open(struct store *s)
{
	struct cof_archive_params p = {
	    .io = s->io,
	    .secret = &s->secret,
	    .index_dir = "",
	    .alarm = on_alarm,
	    .user = s,
	    .no_threads = true,
	};
	struct cof_diag diag = {""};
	int r = cof_archive_open(&p, &s->archive, &s->opened, &diag);

	ck_assert_msg(r == 0, "open: %s: %s", strerror(-r), diag.text);
}

void store_close(struct store *s)
{
	struct cof_diag diag = {""};
	int r = cof_archive_close(s->archive, &diag);

	s->archive = NULL;
	ck_assert_msg(r == 0, "close: %s: %s", strerror(-r), diag.text);
}

void store_make(struct store *s, enum store_kind kind)
{
	struct cof_diag diag = {""};
	int r;

	store_new(s, kind);
	r = store_init(s, &diag);
	ck_assert_msg(r == 0, "init: %s: %s", strerror(-r), diag.text);
	store_open(s);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void store_done(struct store *s)
{
	if (s->archive)
		store_close(s);
	cof_io_free(s->io);
	cof_sim_free(s->sim);
	cof_secret_free(s->key);
	if (s->dir[0])
		ck_assert_int_eq(nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int do_op(struct store *s, const struct cof_who *who, struct cof_op op)
{
	struct cof_reply reply = {0};

	return cof_archive_do(s->archive, who, &op, &reply);
}

int do_create(struct store *s, uint64_t dir, const char *name, uint8_t kind, uint64_t *ret)
{
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = dir,
			    .name = name,
			    .node_kind = kind,
			    .mode = kind == COF_KIND_DIR ? 0755 : 0644,
			    .target = kind == COF_KIND_SYMLINK ? "some/where" : NULL};
	struct cof_reply reply = {0};
	int r = cof_archive_do(s->archive, &root_user, &op, &reply);

	if (r == 0)
		*ret = reply.attr.ino;
	return r;
}

int do_write(struct store *s, uint64_t ino, uint64_t off, const void *p, size_t n)
{
	return do_op(s, &root_user,
		     (struct cof_op){.kind = COF_OP_WRITE,
				     .ino = ino,
				     .offset = off,
				     .length = n,
				     .data = p});
}

int do_chmod(struct store *s, uint64_t ino, uint32_t mode)
{
	return do_op(s, &root_user,
		     (struct cof_op){.kind = COF_OP_CHMOD, .ino = ino, .mode = mode});
}

int do_rename(struct store *s, uint64_t dir, const char *name, uint64_t new_dir,
	      const char *new_name)
{
	return do_op(s, &root_user,
		     (struct cof_op){.kind = COF_OP_RENAME,
				     .parent = dir,
				     .name = name,
				     .new_parent = new_dir,
				     .new_name = new_name});
}

int do_unlink(struct store *s, uint64_t dir, const char *name)
{
	return do_op(s, &root_user,
		     (struct cof_op){.kind = COF_OP_UNLINK, .parent = dir, .name = name});
}

int do_rmdir(struct store *s, uint64_t dir, const char *name)
{
	return do_op(s, &root_user,
		     (struct cof_op){.kind = COF_OP_RMDIR, .parent = dir, .name = name});
}

uint64_t must_create(struct store *s, uint64_t dir, const char *name, uint8_t kind)
{
	uint64_t ino = 0;

	ck_assert_int_eq(do_create(s, dir, name, kind, &ino), 0);
	ck_assert_uint_gt(ino, KEYS);
	return ino;
}

void must_write(struct store *s, uint64_t ino, uint64_t off, const void *p, size_t n)
{
	ck_assert_int_eq(do_write(s, ino, off, p, n), 0);
}

void must_hold(struct store *s, uint64_t ino, const void *p, size_t n)
{
	struct cof_attr attr;
	uint8_t *buf = malloc(n + 1);
	size_t got = 99;

	ck_assert_int_eq(cof_archive_getattr(s->archive, COF_INDEX_NOW, ino, &attr), 0);
	ck_assert_uint_eq(attr.size, n);
	ck_assert_int_eq(cof_archive_read(s->archive, COF_INDEX_NOW, ino, buf, n + 1, 0, &got), 0);
	ck_assert_uint_eq(got, n);
	if (n)
		ck_assert_mem_eq(buf, p, n);
	free(buf);
}
