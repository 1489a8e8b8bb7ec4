/* SPDX-License-Identifier: Apache-2.0 */
/* Escrow in an archive: the verbs of fs/archive/escrow-verbs.c, asked for. */
#include "tools/escrow-archive.h"

#include <stdio.h>

#define FILE_MAX (256u << 10)

/* ---- which archive, which shelf ---- */

static bool is_dir_with(const char *dir, const char *name)
{
	cof_autofree char *path = NULL;

	return asprintf(&path, "%s/%s", dir, name) >= 0 && access(path, F_OK) == 0;
}

/* "…/STORE/SHELF" as two: a store's shelves are not to be seen in it while it is not mounted. */
static int split(const char *arg, char **ret_store, char *shelf, size_t room)
{
	const char *slash;
	size_t n = strlen(arg);

	while (n > 1 && arg[n - 1] == '/')
		n--;
	slash = memrchr(arg, '/', n);
	if (slash == arg || (slash && (size_t)(arg + n - slash) > room) || (!slash && n >= room))
		return -EINVAL;
	*ret_store = slash ? strndup(arg, (size_t)(slash - arg)) : strdup(".");
	snprintf(shelf, room, "%.*s", slash ? (int)(arg + n - slash - 1) : (int)n, slash ? slash + 1 : arg);
	return *ret_store ? 0 : -ENOMEM;
}

/* On a mounted archive: the first part of what is named in it. */
static int on_mount(struct escrow_shelf *s, const char *arg, struct cof_diag *diag)
{
	struct mount_line m = {0};
	cof_autofree char *within = NULL;
	int r = mount_of(arg, &m, NULL, NULL);

	if (r == 0)
		r = mount_within(&m, arg, &within, diag);
	mount_line_done(&m);
	if (r == -ENOENT) /* a store, and not a mount */
		return 0;
	if (r == 0)
		snprintf(s->name, sizeof(s->name), "%.*s", (int)COF_MIN(strcspn(within, "/"), sizeof(s->name) - 1), within);
	if (!strcmp(s->name, "."))
		s->name[0] = '\0';
	return r;
}

int escrow_open(struct escrow_shelf *s, const char *arg, bool named, struct cof_diag *diag)
{
	cof_autofree char *store = NULL;
	struct mount_line m = {0};
	bool there = access(arg, F_OK) == 0 && (mount_of(arg, &m, NULL, NULL) == 0 || is_dir_with(arg, "archive.conf"));
	int r;

	mount_line_done(&m);
	if (there) {
		r = on_mount(s, arg, diag);
		if (r == 0)
			r = people_open(&s->ask, arg, diag);
	} else {
		r = split(arg, &store, s->name, sizeof(s->name));
		r = r < 0 ? cof_fail(diag, r, "%s is no shelf of an archive", arg) : people_open(&s->ask, store, diag);
	}
	if (r == 0 && named && !s->name[0])
		r = cof_fail(diag, -EINVAL, "which shelf? Name it behind the store or the mount point: %s/SHELF", arg);
	return r;
}

int escrow_close(struct escrow_shelf *s, int r, struct cof_diag *diag)
{
	return people_close(&s->ask, r, diag);
}

/* ---- asking ---- */

static struct cof_json *args_of(const struct escrow_shelf *s)
{
	struct cof_json *args = cof_json_object();

	if (s->name[0])
		cof_json_set_str(args, "shelf", s->name);
	return args;
}

int escrow_record_told(struct escrow_shelf *s, struct cof_json *record, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = args_of(s);

	cof_json_set(args, "record", cof_json_ref(record));
	return people_ask_one(&s->ask, "escrow-record", args, ret, diag);
}

int escrow_record_to(struct escrow_shelf *s, struct cof_json *record, const struct cof_buf *der, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = args_of(s), *o = NULL;
	cof_autofree char *text = calloc(1, cof_base64_len(der->len) + 1);

	if (!text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	cof_json_set(args, "record", cof_json_ref(record));
	if (der->len)
		cof_base64(der->data, der->len, text);
	if (der->len)
		cof_json_set_str(args, "certificate", text);
	return people_ask_one(&s->ask, "escrow-record", args, &o, diag);
}

int escrow_record(struct escrow_shelf *s, struct cof_json *record, uint64_t *ret_sequence, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	int64_t sequence = 0;
	int r = escrow_record_told(s, record, &o, diag);

	if (r == 0 && ret_sequence && cof_json_int(o, "sequence", &sequence) == 0)
		*ret_sequence = (uint64_t)sequence;
	return r;
}

int escrow_put(struct escrow_shelf *s, const char *file, const char *ext, const void *data, size_t n, struct cof_json *record,
	       struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = args_of(s);
	cof_autobuf struct cof_buf bytes = {0};

	cof_buf_add(&bytes, data, n);
	if (bytes.failed)
		return -ENOMEM;
	people_set_bytes(args, "data", &bytes);
	if (file)
		cof_json_set_str(args, "file", file);
	cof_json_set_str(args, "ext", ext);
	cof_json_set(args, "record", cof_json_ref(record));
	return people_ask_one(&s->ask, "escrow-put", args, ret, diag);
}

int escrow_records(struct escrow_shelf *s, bool info, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = args_of(s);

	if (info)
		cof_json_set_bool(args, "info", true);

	return people_ask(&s->ask, "escrow-records", args, fn, user, diag);
}

int escrow_records_few(struct escrow_shelf *s, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = args_of(s);

	cof_json_set_bool(args, "no_key", true);
	return people_ask(&s->ask, "escrow-records", args, fn, user, diag);
}

static int take_bytes(const char *text, struct cof_buf *ret, struct cof_diag *diag)
{
	size_t len = text ? strlen(text) : 0, n = 0;

	if (!text || len > cof_base64_len(FILE_MAX))
		return cof_fail(diag, -EPROTO, "the daemon gave no file");
	cof_buf_add(ret, text, len); /* room: the text is longer than its bytes */
	if (ret->failed)
		return -ENOMEM;
	if (len && cof_unbase64(text, len, ret->data, len, &n) < 0)
		return cof_fail(diag, -EPROTO, "what the daemon gave is no base64");
	ret->len = n;
	return 0;
}

int escrow_read(struct escrow_shelf *s, uint64_t sequence, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	int r;

	cof_json_set_uint(args, "record", sequence);
	r = people_ask_one(&s->ask, "escrow-read", args, &o, diag);
	return r == 0 ? take_bytes(cof_json_str(o, "data"), ret, diag) : r;
}

int escrow_refused(struct escrow_shelf *s, const char *rule, const char *clause, const char *reason, const char *path,
		   struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = args_of(s), *o = NULL;

	cof_json_set_str(args, "rule", rule);
	cof_json_set_str(args, "clause", clause);
	cof_json_set_str(args, "reason", reason);
	if (path)
		cof_json_set_str(args, "path", path);
	return people_ask_one(&s->ask, "escrow-refused", args, &o, diag);
}
