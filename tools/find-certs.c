/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that were found, as lines. */
#include "tools/find-certs.h"
#include "tools/output.h"

#include <stdio.h>

/* "2031-01-02T03:04:05.000Z" as far as its day, or the whole second. */
static void put_day(struct cof_buf *b, const char *before, const char *time)
{
	if (time)
		cof_buf_printf(b, "%s%.10s", before, time);
}

static void put_text(struct cof_buf *b, const char *before, const char *text)
{
	cof_autofree char *shown = text && *text ? escaped(text) : NULL;

	if (text && *text && !shown)
		b->failed = true;
	if (shown)
		cof_buf_printf(b, "%s%s", before, shown);
}

/* certs/alice.pem: certificate 4a11, CN=alice, 2025-01-02 to 2027-01-02, by CN=ca */
static int put_line(const struct cert_finding *f, const struct cof_json *o)
{
	cof_autobuf struct cof_buf path = {0}, b = {0};
	const char *kind = cof_json_str(o, "kind");

	if (f->source.store.mount)
		cof_buf_printf(&path, "%s/", f->source.store.mount);
	cof_buf_printf(&path, "%s", cof_json_str(o, "path"));
	if (path.failed)
		return -ENOMEM;
	if (f->zero) {
		fwrite(path.data, 1, path.len + 1, stdout);
		return output_broken();
	}
	put_text(&b, "", (char *)path.data);
	cof_buf_printf(&b, ": %s", kind && !strcmp(kind, "crl") ? "CRL" : kind);
	put_text(&b, " ", cof_json_str(o, "serial"));
	put_text(&b, ", ", cof_json_str(o, "subject"));
	put_day(&b, ", ", cof_json_str(o, "not_before"));
	put_day(&b, " to ", cof_json_str(o, "not_after"));
	put_text(&b, ", by ", cof_json_str(o, "issuer"));
	if (b.failed)
		return -ENOMEM;
	puts((char *)b.data);
	return output_broken();
}

static int show(void *user, struct cof_json *o)
{
	struct cert_finding *f = user;
	int r;

	f->found++;
	if (!f->json)
		return put_line(f, o);
	r = print_json(o, false);
	return r == -ENOMEM ? r : output_broken();
}

int find_certs(struct cert_finding *f, const char *path, struct cof_diag *diag)
{
	struct mount_line m = {0};
	uint64_t ino = 0;
	int r = source_open(&f->source, path, diag);

	if (r < 0)
		return r;
	if (f->source.store.mount && mount_of(path, &m, &ino, NULL) == 0 && ino > 1)
		cof_json_set_uint(f->args, "below", ino);
	mount_line_done(&m);
	return source_certs(&f->source, f->args, show, f, diag);
}
