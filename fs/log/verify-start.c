/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before the walk: who the archive says it is, under which key it is to be checked, what its newest
 * checkpoint covers, and which segments there are.
 */
#include <stdio.h>

#include "fs/log/verify.h"

#define CONF_MAX 4096u

struct identity {
	struct cof_conf conf;
	int err; /* of reading or parsing it */
	struct cof_diag diag;
};

static void from_file(struct verify *v, struct identity *ret)
{
	ret->err =
	    cof_io_load(v->p->io, "archive.conf", CONF_MAX, &v->archive_conf, &v->archive_conf_len);
	if (ret->err < 0)
		cof_fail(&ret->diag, 0, "%s", strerror(-ret->err));
	else
		ret->err = cof_conf_parse((const char *)v->archive_conf, v->archive_conf_len,
					  &ret->conf, &ret->diag);
}

/* Frame 0 repeats it, and is in the chain. */
static void from_frame(struct verify *v, struct identity *ret)
{
	cof_autofree uint8_t *buf = malloc(COF_FRAME_HEADER + CONF_MAX);
	cof_autofile struct cof_file *f = NULL;
	struct cof_frame frame;
	size_t n = 0;

	ret->err = buf ? cof_io_open(v->p->io, "log/00000000.seg", COF_IO_VITAL, &f) : -ENOMEM;
	if (!ret->err)
		ret->err = cof_io_read(f, buf, COF_FRAME_HEADER + CONF_MAX, 0, &n);
	if (ret->err < 0)
		return;
	ret->err = -EUCLEAN;
	if (n < COF_FRAME_HEADER || cof_frame_decode(buf, &frame, NULL) < 0 ||
	    frame.type != COF_ARCHIVE || frame.sequence || frame.length ||
	    frame.stored > n - COF_FRAME_HEADER ||
	    cof_payload_check(&frame, buf + COF_FRAME_HEADER) < 0)
		return;
	ret->err =
	    cof_conf_parse((const char *)buf + COF_FRAME_HEADER, frame.stored, &ret->conf, NULL);
}

static bool same_key(const struct cof_vkey *a, const struct cof_vkey *b)
{
	return strncmp(a->name, b->name, sizeof(a->name)) == 0 && a->algorithm == b->algorithm &&
	       memcmp(a->public_key, b->public_key, sizeof(a->public_key)) == 0;
}

/* Which of the two is the archive's: frame 0's, unless it is broken or only the file fits the key.
 */
static int choose(struct verify *v, const struct identity *file, const struct identity *frame)
{
	const struct cof_vkey *key = v->p->vkey;
	bool use_file = frame->err < 0 || (key && !file->err && !same_key(key, &frame->conf.vkey) &&
					   same_key(key, &file->conf.vkey));

	if (file->err == -ENOMEM || frame->err == -ENOMEM)
		return -ENOMEM;
	if (file->err == -EOPNOTSUPP)
		return cof_fail(v->diag, -EOPNOTSUPP, "%s: %s", cof_io_where(v->p->io),
				file->diag.text);
	if (file->err < 0 && frame->err < 0) {
		if (file->err == -EACCES || file->err == -EIO || file->err == -EPERM)
			return cof_fail(v->diag, file->err, "%s/archive.conf cannot be read: %s",
					cof_io_where(v->p->io), file->diag.text);
		cof_verify_say(v, COF_NOT_AN_ARCHIVE, NOWHERE("archive.conf"),
			       "no archive is described here: %s", file->diag.text);
		return 1;
	}
	v->out.conf = use_file ? file->conf : frame->conf;
	if (file->err == -ENOENT)
		cof_verify_say(v, COF_INCOMPLETE, NOWHERE("archive.conf"),
			       "is missing; frame 0 has its text");
	else if (file->err < 0) {
		cof_verify_say(v, COF_TAMPERED, NOWHERE("archive.conf"), "%s", file->diag.text);
		free(v->archive_conf); /* not compared once more with frame 0 */
		v->archive_conf = NULL;
	}
	return 0;
}

static int check_keys(struct verify *v)
{
	char given[COF_VKEY_MAX], own[COF_VKEY_MAX];

	cof_vkey_text(&v->out.conf.vkey, own);
	if (v->p->vkey && !same_key(v->p->vkey, &v->out.conf.vkey)) {
		cof_vkey_text(v->p->vkey, given);
		cof_verify_say(v, COF_WRONG_KEY, NOWHERE("archive.conf"),
			       "the archive's key is %s, the one to check it with is %s", own,
			       given);
		return 1;
	}
	if (v->p->auditor_archive_id &&
	    memcmp(v->p->auditor_archive_id, v->out.conf.id, sizeof(v->out.conf.id)) != 0) {
		cof_verify_say(v, COF_WRONG_KEY, NOWHERE("archive.conf"),
			       "the auditor's secret belongs to another archive");
		return 1;
	}
	return 0;
}

static int load_checkpoint(struct verify *v)
{
	struct place place = NOWHERE("checkpoint");
	cof_autofree uint8_t *note = NULL;
	size_t n;
	int r = cof_io_load(v->p->io, "checkpoint", COF_NOTE_MAX, &note, &n);

	if (r == -ENOMEM)
		return r;
	if (r == -ENOENT) {
		cof_verify_say(v, COF_INCOMPLETE, place, "is missing");
		return 0;
	}
	if (r == -ELOOP || r == -EINVAL || r == -EISDIR || r == -ENXIO) {
		cof_verify_say(v, COF_TAMPERED, place, "is no regular file");
		return 0;
	}
	if (r < 0) {
		cof_verify_say(v, r == -EFBIG ? COF_TAMPERED : COF_INCOMPLETE, place,
			       "cannot be read: %s", strerror(-r));
		return 0;
	}
	r = cof_checkpoint_open(note, n, &v->out.conf.vkey, &v->checkpoint);
	if (!r && v->checkpoint.size) {
		v->covered = v->checkpoint.size;
		return 0;
	}
	memset(&v->checkpoint, 0, sizeof(v->checkpoint));
	cof_verify_say(v, COF_TAMPERED, place, "%s",
		       r == -ENOKEY    ? "is not signed by the log's key"
		       : r == -EBADMSG ? "carries a signature of the log that does not hold"
				       : "is not a checkpoint");
	return 0;
}

/* Eight lower-case hex digits and ".seg". */
static bool segment_number(const char *name, uint32_t *ret)
{
	uint8_t n[4];

	if (strlen(name) != 12 || strcmp(name + 8, ".seg") != 0)
		return false;
	for (int i = 0; i < 8; i++) {
		if (!strchr("0123456789abcdef", name[i]))
			return false;
	}
	if (cof_unhex(name, 8, n) < 0)
		return false;
	*ret = cof_get_be32(n);
	return true;
}

static int add_segment(struct verify *v, uint32_t number)
{
	if (v->segments == v->segments_cap) {
		size_t cap = v->segments_cap ? 2 * v->segments_cap : 256;
		uint32_t *more = realloc(v->segment, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		v->segment = more;
		v->segments_cap = cap;
	}
	v->segment[v->segments++] = number; /* names come in ascending order */
	return 0;
}

static int list_one(void *user, const char *name)
{
	struct verify *v = user;
	struct cof_file *f;
	uint64_t bytes = 0;
	char path[32];
	uint32_t n;

	if (!segment_number(name, &n)) {
		char file[64];

		snprintf(file, sizeof(file), "log/%.40s", name);
		cof_verify_say(v, COF_INTACT, NOWHERE(file), "is no part of the log");
		return 0;
	}
	snprintf(path, sizeof(path), "log/%08x.seg", n);
	if (cof_io_open(v->p->io, path, COF_IO_VITAL, &f) == 0) {
		if (cof_io_size(f, &bytes) == 0)
			v->bytes_total += COF_MIN(bytes, v->out.conf.segment_size);
		cof_io_close(f);
	}
	return add_segment(v, n);
}

int cof_verify_start(struct verify *v)
{
	struct identity file = {.err = 0}, frame = {.err = 0};
	int r;

	from_file(v, &file);
	from_frame(v, &frame);
	r = choose(v, &file, &frame);
	if (!r)
		r = check_keys(v);
	if (!r)
		r = load_checkpoint(v); /* before the list: what it covers is in it */
	if (r)
		return r;
	r = cof_io_list(v->p->io, "log", list_one, v);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0; /* nothing there: the end says so */
	if (r < 0 && r != -ENOMEM)
		return cof_fail(v->diag, r, "%s/log cannot be read: %s", cof_io_where(v->p->io),
				strerror(-r));
	return r;
}
