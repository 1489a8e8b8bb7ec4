/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What frames that nobody permitted took out of a restored archive: a file that was removed or destroyed so is missing among what was
 * copied, and is named. One that a permitted destruction ended as well is missing as it should be.
 */
#include "tools/restore.h"

#include <inttypes.h>
#include <stdio.h>

void restore_taken_add(struct restored *s, uint64_t sequence, const char *type)
{
	if (!strcmp(type, "remove") || !strcmp(type, "destroy"))
		cof_buf_add(&s->taken, &sequence, sizeof(sequence));
}

static int add_ended(void *user, uint64_t inode, uint64_t sequence COF_UNUSED, const uint8_t request[32] COF_UNUSED)
{
	struct restored *s = user;

	cof_buf_add(&s->ended, &inode, sizeof(inode));
	return s->ended.failed ? -ENOMEM : 0;
}

int restore_taken_judged(void *user, struct cof_judge *j)
{
	struct restored *s = user;

	return s->taken.failed ? -ENOMEM : s->taken.len ? cof_judge_destroyed(j, add_ended, s) : 0;
}

struct taken {
	const struct restored *s;
	const struct restore_wanted *w;
	uint64_t files;
};

static bool is_ended(const struct restored *s, uint64_t ino)
{
	uint64_t one;

	for (size_t at = 0; at < s->ended.len; at += sizeof(one)) {
		memcpy(&one, s->ended.data + at, sizeof(one));
		if (one == ino)
			return true;
	}
	return false;
}

static bool is_below(const char *path, const char *const *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(list[i]);

		while (len && list[i][len - 1] == '/')
			len--;
		if (!strncmp(path, list[i], len) && (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

/* What lies nowhere any more may be anything. */
static bool is_wanted(const struct restore_wanted *w, const char *path)
{
	return (!w->n_shelves && !w->n_files) || !*path || is_below(path, w->shelf, w->n_shelves) || is_below(path, w->file, w->n_files);
}

/* Where it lay: of a file that was removed where its directory is, and the name that it had. */
static void path_of(struct cof_archive *a, const struct cof_json *frame, uint64_t ino, struct cof_buf *ret)
{
	const char *name = cof_json_str(frame, "name");
	uint64_t parent;

	if (name && cof_json_value_uint(cof_json_get(frame, "parent"), &parent) == 0) {
		if (parent != COF_ROOT_INO && (cof_archive_path(a, parent, ret) < 0 || !ret->len))
			return;
		ret->len -= ret->len && !ret->data[ret->len - 1];
		cof_buf_printf(ret, "%s%s", ret->len ? "/" : "", name);
	} else {
		(void)cof_archive_path(a, ino, ret);
	}
	cof_buf_add(ret, "", 1);
}

static int one(void *user, struct cof_json *frame)
{
	struct taken *t = user;
	cof_autobuf struct cof_buf path = {0};
	cof_autofree char *shown = NULL;
	uint64_t ino = 0, sequence = 0;
	const char *type = cof_json_str(frame, "type");

	(void)cof_json_value_uint(cof_json_get(frame, "object"), &ino);
	(void)cof_json_value_uint(cof_json_get(frame, "sequence"), &sequence);
	if (is_ended(t->s, ino))
		return 1;
	path_of(t->s->archive, frame, ino, &path);
	if (path.failed)
		return -ENOMEM;
	if (!is_wanted(t->w, path.len ? (char *)path.data : ""))
		return 1;
	shown = escaped(path.len ? (char *)path.data : "");
	complain("%s%sinode %" PRIu64 " is missing: %s frame %" PRIu64 ", which nobody permitted, took it out", shown ? shown : "",
		 shown && *shown ? ", " : "", ino, type ? type : "a", sequence);
	t->files++;
	return 1;
}

int restore_taken(const struct restored *s, const struct restore_wanted *w, struct cof_diag *diag)
{
	struct taken t = {.s = s, .w = w};
	uint64_t sequence, next;
	int err = 0;

	for (size_t at = 0; err == 0 && at < s->taken.len; at += sizeof(sequence)) {
		memcpy(&sequence, s->taken.data + at, sizeof(sequence));
		if (sequence < w->size)
			err = cof_archive_show_log(s->archive, sequence, one, &t, &next);
	}
	if (err < 0)
		return cof_fail(diag, err, "what nobody permitted to be taken out cannot be named: %s", strerror(-err));
	return t.files ? cof_fail(diag, -EPERM,
				  "%" PRIu64 " file%s missing that nobody permitted to be taken out; all else was %s%s. What was taken out so "
				  "comes with --to, --size and the number of frames before it",
				  t.files, t.files == 1 ? " is" : "s are", w->to ? "copied to " : "compared", w->to ? w->to : "")
		       : 0;
}
