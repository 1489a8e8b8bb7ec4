/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.conf, the identity of an archive (docs/format.md section 2).
 *
 * There is exactly one text for an identity: its bytes are in the chain. So the reader takes no
 * freedom: it steps through the keys in their order, and then writes the text again and compares.
 */
#include <stdio.h>

#include "fs/log/log.h"

#define CONF_MAX 4096
#define SEGMENT_MIN 65536u
#define SEGMENT_MAX (1u << 30)
#define FLAGS (COF_ARCHIVE_TRIAL | COF_ARCHIVE_TEST_CLOCK)
#define VALUE COF_VKEY_MAX /* longest value, terminator included */

static bool plausible(const struct cof_conf *c)
{
	return c->vkey.algorithm == COF_NOTE_ED25519 && c->segment_size >= SEGMENT_MIN &&
	       c->segment_size <= SEGMENT_MAX && c->segment_size % 4096 == 0 &&
	       !(c->flags & ~(uint32_t)FLAGS);
}

int cof_conf_text(const struct cof_conf *conf, struct cof_buf *ret)
{
	char id[33], vkey[COF_VKEY_MAX], created[32];

	if (!plausible(conf) || !memchr(conf->vkey.name, 0, sizeof(conf->vkey.name)))
		return -EINVAL;
	cof_hex(conf->id, sizeof(conf->id), id);
	cof_vkey_text(&conf->vkey, vkey);
	cof_time_text(conf->created, created);
	cof_buf_printf(ret,
		       "[archive]\nformat = 1\nid = %s\norigin = %s\nvkey = %s\n"
		       "segment_size = %llu\ncreated = %s\nflags = %u\n",
		       id, conf->vkey.name, vkey, (unsigned long long)conf->segment_size, created,
		       conf->flags);
	return ret->failed ? -ENOMEM : 0;
}

struct text {
	const char *p, *end;
	struct cof_diag *diag;
};

static bool step(struct text *t, const char *literal)
{
	size_t n = strlen(literal);

	if ((size_t)(t->end - t->p) < n || memcmp(t->p, literal, n) != 0)
		return false;
	t->p += n;
	return true;
}

/* The value of the key that comes next, which has to be this one. */
static int value(struct text *t, const char *key, char out[VALUE])
{
	const char *line = t->p, *nl;
	size_t n;

	if (!step(t, key) || !step(t, " = "))
		return cof_fail(t->diag, -EUCLEAN,
				"archive.conf: the line \"%s = …\" is not where it belongs", key);
	nl = memchr(t->p, '\n', (size_t)(t->end - t->p));
	n = nl ? (size_t)(nl - t->p) : 0;
	if (!n || n >= VALUE) {
		t->p = line;
		return cof_fail(t->diag, -EUCLEAN, "archive.conf: %s has no proper value", key);
	}
	memcpy(out, t->p, n);
	out[n] = '\0';
	t->p = nl + 1;
	return 0;
}

/* Decimal, as printed: no sign, no leading zero. */
static int number(struct text *t, const char *key, uint64_t max, uint64_t *ret)
{
	char v[VALUE] = "";
	uint64_t n = 0;
	int r = value(t, key, v);

	if (r < 0)
		return r;
	for (const char *c = v; *c; c++) {
		if (*c < '0' || *c > '9' || (c > v && v[0] == '0') ||
		    n > (max - (uint64_t)(*c - '0')) / 10)
			return cof_fail(t->diag, -EUCLEAN, "archive.conf: %s is out of range", key);
		n = 10 * n + (uint64_t)(*c - '0');
	}
	*ret = n;
	return 0;
}

static int parse_names(struct text *t, struct cof_conf *c)
{
	char v[VALUE], origin[VALUE];
	int r = value(t, "id", v);

	if (r < 0)
		return r;
	if (strlen(v) != 32 || cof_unhex(v, 32, c->id) < 0)
		return cof_fail(t->diag, -EUCLEAN, "archive.conf: id is not 32 hex digits");
	r = value(t, "origin", origin);
	if (!r)
		r = value(t, "vkey", v);
	if (r < 0)
		return r;
	if (cof_vkey_parse(v, &c->vkey) < 0 || c->vkey.algorithm != COF_NOTE_ED25519)
		return cof_fail(t->diag, -EUCLEAN,
				"archive.conf: vkey is not an Ed25519 verifier key");
	if (strcmp(c->vkey.name, origin) != 0)
		return cof_fail(t->diag, -EUCLEAN, "archive.conf: origin is not the vkey's name");
	return 0;
}

static int parse_rest(struct text *t, struct cof_conf *c)
{
	uint64_t flags;
	char v[VALUE];
	int r = number(t, "segment_size", SEGMENT_MAX, &c->segment_size);

	if (!r)
		r = value(t, "created", v);
	if (r < 0)
		return r;
	if (cof_time_parse(v, &c->created) < 0)
		return cof_fail(t->diag, -EUCLEAN, "archive.conf: created is no RFC 3339 time");
	r = number(t, "flags", UINT32_MAX, &flags);
	if (r < 0)
		return r;
	c->flags = (uint32_t)flags;
	if (!plausible(c))
		return cof_fail(t->diag, -EUCLEAN,
				"archive.conf: segment_size or flags are out of range");
	return 0;
}

int cof_conf_parse(const char *text, size_t n, struct cof_conf *ret, struct cof_diag *diag)
{
	struct text t = {text, text + n, diag};
	struct cof_buf again COF_CLEANUP(cof_buf_done) = {0};
	struct cof_conf c = {0};
	uint64_t format = 0;
	int r;

	if (n > CONF_MAX)
		return cof_fail(diag, -EUCLEAN, "archive.conf is longer than %d bytes", CONF_MAX);
	if (n && memchr(text, '\0', n))
		return cof_fail(diag, -EUCLEAN, "archive.conf has a zero byte in it");
	if (!step(&t, "[archive]\n"))
		return cof_fail(diag, -EUCLEAN, "archive.conf does not begin with [archive]");
	r = number(&t, "format", UINT32_MAX, &format);
	if (r < 0)
		return r;
	if (format != 1)
		return cof_fail(diag, -EOPNOTSUPP,
				"archive.conf: format %llu; this Coffer knows format 1",
				(unsigned long long)format);
	r = parse_names(&t, &c);
	if (!r)
		r = parse_rest(&t, &c);
	if (!r)
		r = cof_conf_text(&c, &again);
	if (r < 0)
		return r;
	if (again.len != n || memcmp(again.data, text, n) != 0)
		return cof_fail(diag, -EUCLEAN, "archive.conf is not in its one proper form");
	*ret = c;
	return 0;
}

int cof_conf_load(struct cof_io *io, struct cof_conf *ret, struct cof_diag *diag)
{
	cof_autofree uint8_t *text = NULL;
	size_t n;
	int r = cof_io_load(io, "archive.conf", CONF_MAX, &text, &n);

	if (r == -ENOENT)
		return cof_fail(diag, r, "%s is not an archive: it has no archive.conf",
				cof_io_where(io));
	if (r == -EFBIG)
		return cof_fail(diag, -EUCLEAN, "%s/archive.conf is longer than %d bytes",
				cof_io_where(io), CONF_MAX);
	if (r == -ELOOP || r == -EINVAL || r == -EISDIR || r == -ENXIO)
		return cof_fail(diag, -EUCLEAN,
				"%s/archive.conf is no regular file (a link, a pipe, a directory): put "
				"the archive's own back",
				cof_io_where(io));
	if (r < 0)
		return cof_fail(diag, r, "%s/archive.conf cannot be read: %s", cof_io_where(io),
				strerror(-r));
	return cof_conf_parse((const char *)text, n, ret, diag);
}
