/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.conf of a copy that comes from who need not be believed. What the log is read by, its key, origin and the size of its
 * segments, has to be known before; all of it is what the log's first frame repeats, once a root that was signed covers that.
 */
#include "tools/vault/internal.h"

#define CONF_MAX 4096u /* bytes of archive.conf (docs/format.md 2) */

bool vault_conf_alike(const struct cof_conf *a, const struct cof_conf *b)
{
	return cof_equal(a->vkey.public_key, b->vkey.public_key, 32) && !strcmp(a->vkey.name, b->vkey.name) &&
	       a->segment_size == b->segment_size;
}

/* What another reading of the log left there, and finished nothing by, goes. */
static int begin_anew(struct cof_io *io, const struct cof_buf *text, struct vault_copy **copy, struct cof_diag *diag)
{
	int r = vault_copy_back(*copy, 0, 0, diag);

	vault_copy_free(*copy);
	*copy = NULL;
	if (r < 0)
		return r;
	r = cof_io_replace(io, "archive.conf", text->data, text->len);
	return r < 0 ? cof_fail(diag, r, "%s/archive.conf cannot be written: %s", cof_io_where(io), strerror(-r))
		     : vault_copy_open(io, copy, diag);
}

int vault_copy_begin(struct cof_io *io, const struct cof_conf *conf, struct vault_copy **ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct vault_copy *c = NULL;
	int r = cof_conf_text(conf, &text);

	if (r < 0)
		return cof_fail(diag, r, "out of memory");
	if (cof_io_exists(io, "archive.conf") != 1)
		r = vault_copy_create(io, text.data, text.len, diag);
	if (r == 0)
		r = vault_copy_open(io, &c, diag);
	if (r == 0 && !vault_conf_alike(&c->conf, conf))
		r = c->head.size ? cof_fail(diag, -EEXIST, "%s was restored already, by another archive.conf", cof_io_where(io))
				 : begin_anew(io, &text, &c, diag);
	if (r < 0) {
		vault_copy_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int vault_copy_judge_conf(struct vault_copy *c, struct cof_diag *diag)
{
	cof_autofree uint8_t *first = malloc(COF_FRAME_HEADER + CONF_MAX);
	cof_autofile struct cof_file *file = NULL;
	struct cof_conf conf;
	struct cof_frame f;
	size_t n = 0;
	int r = first ? cof_io_open(c->io, "log/00000000.seg", COF_IO_RDONLY, &file) : -ENOMEM;

	if (r == 0)
		r = cof_io_read(file, first, COF_FRAME_HEADER + CONF_MAX, 0, &n);
	if (r < 0)
		return cof_fail(diag, r, "%s/log/00000000.seg cannot be read: %s", cof_io_where(c->io), strerror(-r));
	if (n < COF_FRAME_HEADER || cof_frame_decode(first, &f, NULL) < 0 || f.type != COF_ARCHIVE ||
	    f.public_length > n - COF_FRAME_HEADER ||
	    cof_conf_parse((const char *)first + COF_FRAME_HEADER, f.public_length, &conf, NULL) < 0 ||
	    memcmp(conf.id, c->conf.id, 16) || !cof_equal(conf.vkey.public_key, c->conf.vkey.public_key, 32) ||
	    (conf.segment_size != c->conf.segment_size && c->boundary > COF_MIN(conf.segment_size, c->conf.segment_size)))
		return cof_fail(diag, -EBADMSG, "archive.conf is not what the log's first frame says");
	r = cof_io_replace(c->io, "archive.conf", first + COF_FRAME_HEADER, f.public_length);
	return r < 0 ? cof_fail(diag, r, "%s/archive.conf cannot be written: %s", cof_io_where(c->io), strerror(-r)) : 0;
}
