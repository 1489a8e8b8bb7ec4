/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the daemon, or reads the store itself: an index in memory is built from the log for that. */
#include "tools/source.h"

#include <fcntl.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)

int source_open(struct source *s, const char *arg, struct cof_diag *diag)
{
	int r = cof_crypto_init(SECURE_BYTES, diag);

	return r == 0 ? store_open(arg, &s->store, diag) : r;
}

void source_close(struct source *s)
{
	if (s->archive)
		(void)cof_archive_close(s->archive, NULL); /* nothing was written that could be lost */
	s->archive = NULL;
	store_close(&s->store);
}

static int open_here(struct source *s, struct cof_diag *diag)
{
	struct cof_archive_params p = {.io = s->store.io, .read_only = true, .no_threads = true};
	struct opener opener = {0};
	int r = opener_find_as_owner(&s->opener, s->store.io, s->store.path, &opener, diag);

	p.secret = &opener.secret;
	if (r == 0)
		r = cof_archive_open(&p, &s->archive, NULL, diag);
	opener_done(&opener);
	return r;
}

/* 0: the daemon answered. 1: s->archive is open. */
static int ask(struct source *s, struct cof_json *request, const char *verb, cof_show_fn fn, void *user,
	       struct cof_diag *diag)
{
	int r = -ENOTCONN;

	cof_json_set_str(request, "verb", verb);
	if (!s->archive)
		r = store_ask(&s->store, request, fn, user, diag);
	if (r != -ENOTCONN)
		return r;
	r = s->archive ? 0 : open_here(s, diag);
	return r < 0 ? r : 1;
}

static int told(int r, struct cof_diag *diag)
{
	return r < 0 && !diag->text[0] ? cof_fail(diag, r, "%s", strerror(-r)) : r;
}

int source_certs(struct source *s, struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	int r = ask(s, args, "certificates", fn, user, diag);

	return told(r > 0 ? cof_archive_certs(s->archive, args, fn, user, diag) : r, diag);
}

int source_shelves(struct source *s, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	int r = ask(s, request, "shelves", fn, user, diag);

	return told(r > 0 ? cof_archive_shelves(s->archive, fn, user) : r, diag);
}

static int take_policy(const struct cof_json *o, struct cof_profile *ret, bool *ret_set, struct cof_diag *diag)
{
	const char *text = cof_json_str(o, "policy");
	struct cof_profile_file file;
	int r = text ? cof_profile_parse(text, strlen(text), &file, diag) : -EUCLEAN;

	if (r < 0)
		return r;
	*ret = file.archive;
	*ret_set = cof_json_bool(o, "set");
	cof_profile_file_done(&file);
	return 0;
}

int source_policy(struct source *s, struct cof_profile *ret, bool *ret_set, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object(), *answer = NULL;
	int r = ask(s, request, "policy", store_keep_last, &answer, diag);

	if (r > 0)
		r = cof_archive_people(s->archive, &(struct cof_who){.daemon = true}, "policy", request, store_keep_last,
				       &answer, diag);
	return told(r < 0 ? r : take_policy(answer, ret, ret_set, diag), diag);
}

/* ---- content ---- */

static int keep_mount(void *user, struct cof_json *status)
{
	const char *point = cof_json_str(status, "mountpoint");
	char **ret = user;

	free(*ret);
	*ret = point ? strdup(point) : NULL;
	return 0;
}

static int read_mounted(struct source *s, const char *path, void *buf, size_t cap, size_t *ret_n)
{
	cof_autojson struct cof_json *request = cof_json_object();
	cof_autofree char *whole = NULL;
	cof_autoclose int fd = -1;
	int r = 0;

	cof_json_set_str(request, "verb", "status");
	if (!s->store.mount)
		r = store_ask(&s->store, request, keep_mount, &s->store.mount, NULL);
	if (r < 0 || !s->store.mount)
		return r < 0 ? r : -ENOENT;
	if (asprintf(&whole, "%s/%s", s->store.mount, path) < 0) {
		whole = NULL;
		return -ENOMEM;
	}
	fd = open(whole, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : cof_read_all(fd, buf, cap, ret_n);
}

int source_content(struct source *s, uint64_t ino, const char *path, void *buf, size_t cap, size_t *ret_n)
{
	struct cof_attr attr;
	int r;

	if (!s->archive)
		return read_mounted(s, path, buf, cap, ret_n);
	r = cof_archive_getattr(s->archive, COF_INDEX_NOW, ino, &attr);
	if (r < 0 || attr.size > cap)
		return r < 0 ? r : -EFBIG;
	return cof_archive_read(s->archive, COF_INDEX_NOW, ino, buf, cap, 0, ret_n);
}

/* ---- every object ---- */

struct listing {
	struct source *source;
	cof_show_fn fn;
	void *user;
	struct cof_buf below; /* directories that are yet to be listed: u64 each */
};

static int on_entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED, size_t len COF_UNUSED,
		    uint64_t ino, uint8_t kind)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct listing *l = user;
	uint8_t number[8];
	int r = o ? cof_archive_info(l->source->archive, ino, o) : -ENOMEM;

	if (r < 0)
		return r;
	if (kind == COF_KIND_DIR) {
		cof_put_le64(number, ino);
		cof_buf_add(&l->below, number, sizeof(number));
	}
	return l->below.failed ? -ENOMEM : l->fn(l->user, o);
}

static int list_here(struct listing *l)
{
	uint64_t dir = COF_ROOT_INO;
	int r;

	for (;;) {
		r = cof_archive_readdir(l->source->archive, COF_INDEX_NOW, dir, 0, on_entry, l);
		if (r < 0 || !l->below.len)
			break;
		l->below.len -= 8;
		dir = cof_get_le64(l->below.data + l->below.len);
	}
	cof_buf_done(&l->below);
	return r;
}

int source_objects(struct source *s, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct listing l = {.source = s, .fn = fn, .user = user};
	int r;

	cof_json_set_bool(request, "recursive", true);
	r = ask(s, request, "ls", fn, user, diag);
	return told(r > 0 ? list_here(&l) : r, diag);
}
