/* SPDX-License-Identifier: Apache-2.0 */
/* A new ceremony: what it is about is looked at, copied beside its first line, and the directory appears whole. */
#include "tools/ceremony.h"
#include "tools/file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define SCHEME_MAX (128u << 10)

struct beginning {
	const struct ceremony_asked *a;
	struct cof_json *opened, *sheet;
	struct cof_buf people, scheme, document, input;
	struct cof_people persons;
	struct cof_scheme s;
	struct cof_epoch e;
	bool has_scheme, has_epoch, has_persons;
};

static void done(struct beginning *b)
{
	cof_json_free(b->opened);
	cof_json_free(b->sheet);
	cof_buf_done(&b->people);
	cof_buf_done(&b->scheme);
	cof_buf_done(&b->document);
	cof_buf_done(&b->input);
	if (b->has_persons)
		cof_people_done(&b->persons);
	if (b->has_scheme)
		cof_scheme_done(&b->s);
	if (b->has_epoch)
		cof_epoch_done(&b->e);
}

static void set_hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n)
{
	char hex[65];

	cof_hex(p, n, hex);
	cof_json_set_str(o, key, hex);
}

static void set_digest(struct cof_json *o, const char *key, const struct cof_buf *b)
{
	uint8_t digest[COF_HASH];

	cof_sha256(b->data ? b->data : (uint8_t *)"", b->len, digest);
	set_hex(o, key, digest, sizeof(digest));
}

static void set_random(struct cof_json *o, const char *key)
{
	uint8_t bytes[16];

	cof_random(bytes, sizeof(bytes));
	set_hex(o, key, bytes, sizeof(bytes));
}

/* ---- what it is about ---- */

static int take_scheme(struct beginning *b, struct cof_diag *diag)
{
	struct cof_json *names = cof_json_array();
	int r = file_load(b->a->scheme, SCHEME_MAX, &b->scheme, diag);

	if (r == 0)
		r = cof_scheme_parse(b->scheme.data ? (char *)b->scheme.data : "", b->scheme.len, &b->s, diag);
	b->has_scheme = r == 0;
	for (unsigned i = 0; r == 0 && i < b->s.n_custodians; i++)
		cof_json_append(names, cof_json_string(b->s.custodian[i].name));
	cof_json_set(b->sheet, "custodians", names);
	if (r < 0)
		return r;
	set_digest(b->opened, "scheme", &b->scheme);
	cof_json_set_uint(b->opened, "epoch", b->a->number);
	cof_json_set_uint(b->opened, "holders", b->s.n_custodians);
	return 0;
}

static int take_document(struct beginning *b, struct cof_diag *diag)
{
	uint8_t key[COF_AGE_KEY];
	int r = file_load(b->a->document, COF_EPOCH_MAX, &b->document, diag);

	if (r == 0)
		r = cof_epoch_parse(b->document.data ? (char *)b->document.data : "", b->document.len, &b->e, diag);
	b->has_epoch = r == 0;
	if (r == 0)
		r = cof_age_recipient_parse(b->e.recipient, strlen(b->e.recipient), key);
	if (r < 0)
		return r;
	if (b->e.rehearsal != b->a->rehearsal)
		return cof_fail(diag, -EPERM, b->e.rehearsal ? "epoch %u is a rehearsal: so is each ceremony about it (--rehearsal)"
							     : "epoch %u is none of a rehearsal: nothing is rehearsed with it",
				b->e.number);
	set_digest(b->opened, "document", &b->document);
	set_hex(b->opened, "epoch_key", key, sizeof(key));
	if (b->a->kind == COF_CEREMONY_RESHARING)
		cof_json_set_uint(b->opened, "old", b->e.number);
	else
		cof_json_set_uint(b->opened, "epoch", b->e.number);
	if (b->a->kind == COF_CEREMONY_RESHARING && b->a->number <= b->e.number)
		return cof_fail(diag, -EINVAL, "the new shares' epoch has a number of its own, beyond %u: --number N", b->e.number);
	return 0;
}

static int take_custodians(struct beginning *b, struct cof_diag *diag)
{
	struct cof_json *which = cof_json_array(), *names = cof_json_array();
	bool wanted[COF_CUSTODIANS_MAX] = {false};
	int r = 0, i;

	for (unsigned k = 0; r == 0 && k < b->a->n_custodians; k++) {
		i = cof_epoch_find(&b->e, b->a->custodian[k]);
		if (i < 0)
			r = cof_fail(diag, -ENOENT, "no custodian of epoch %u is called %.64s", b->e.number, b->a->custodian[k]);
		else
			wanted[i] = true;
	}
	for (unsigned k = 0; k < b->e.scheme.n_custodians; k++) {
		cof_json_append(names, cof_json_string(b->e.scheme.custodian[k].name));
		if (wanted[k] || !b->a->n_custodians)
			cof_json_append(which, cof_json_new_uint(k));
	}
	cof_json_set(b->opened, "which", which);
	cof_json_set(b->sheet, "custodians", names);
	cof_json_set_uint(b->opened, "holders", b->e.scheme.n_custodians);
	return r;
}

static int take_what(struct beginning *b, struct cof_diag *diag)
{
	const struct ceremony_asked *a = b->a;
	int r = a->document ? take_document(b, diag) : 0;

	if (r == 0 && a->scheme)
		r = take_scheme(b, diag);
	if (r == 0 && a->kind == COF_CEREMONY_DESTRUCTION)
		r = take_custodians(b, diag);
	if (r == 0 && a->input) {
		r = file_load(a->input, COF_AGE_FILE_MAX, &b->input, diag);
		set_digest(b->opened, "input", &b->input);
		cof_json_set_str(b->opened, "to", a->to);
	}
	return r;
}

/* ---- who ---- */

static int take_people(struct beginning *b, struct cof_diag *diag)
{
	const struct ceremony_asked *a = b->a;
	struct cof_json *roll = cof_json_array();
	unsigned auditors = 0, others = 0;
	int r = file_load(a->people, COF_PEOPLE_MAX, &b->people, diag);

	if (r == 0)
		r = cof_people_parse(b->people.data ? (char *)b->people.data : "", b->people.len, NULL, 0, NULL, &b->persons, diag);
	b->has_persons = r == 0;
	for (size_t i = 0; r == 0 && i < (a->n_with ? a->n_with : b->persons.n_persons); i++) {
		const struct cof_person *p = a->n_with ? cof_people_find(&b->persons, a->with[i]) : &b->persons.person[i];

		if (!p) {
			r = cof_fail(diag, -ENOENT, "%.64s is not in the people file", a->with[i]);
		} else if (p->roles != COF_ROLE_VAULT) {
			cof_json_append(roll, cof_json_string(p->name));
			auditors += (p->roles & COF_ROLE_AUDITOR) != 0;
			others += !(p->roles & COF_ROLE_AUDITOR);
		}
	}
	if (r == 0 && (!auditors || others < 2))
		r = cof_fail(diag, -EPERM, "it takes an auditor who watches, and two others who confirm each step");
	if (r == 0 && cof_json_count(roll) > COF_CEREMONY_ROLL)
		r = cof_fail(diag, -E2BIG, "at most %d persons hold a ceremony: name them (--with NAME)", COF_CEREMONY_ROLL);
	cof_json_set(b->opened, "roll", roll);
	set_digest(b->opened, "people", &b->people);
	return r;
}

/* ---- the directory ---- */

static int put_in(const char *dir, const char *name, const struct cof_buf *b, struct cof_diag *diag)
{
	cof_autofree char *path = NULL;

	if (!b->len)
		return 0;
	return asprintf(&path, "%s/%s", dir, name) < 0 ? -ENOMEM : ceremony_put(path, b->data, b->len, diag);
}

static int put_first(struct beginning *b, const char *dir, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf sheet = {0}, line = {0};
	struct cof_ceremony c = {.n_lines = 0};
	int r = cof_json_canonical(b->sheet, &sheet);

	if (r == 0)
		r = put_in(dir, "sheet.json", &sheet, diag);
	set_digest(b->opened, "sheet", &sheet);
	if (r == 0)
		r = cof_ceremony_add(&c, COF_CER_OPENED, cof_json_ref(b->opened), cof_now(CLOCK_REALTIME), &line, diag);
	cof_ceremony_done(&c);
	return r == 0 ? put_in(dir, "transcript", &line, diag) : r;
}

static int put_all(struct beginning *b, const char *dir, struct cof_diag *diag)
{
	cof_autofree char *sign = NULL;
	int r = asprintf(&sign, "%s/sign", dir) < 0 ? -ENOMEM : mkdir(sign, 0755) < 0 ? -errno : 0;

	if (r < 0)
		return cof_fail(diag, r, "%s cannot be made: %s", dir, strerror(-r));
	r = put_in(dir, "people", &b->people, diag);
	if (r == 0)
		r = put_in(dir, "scheme.ini", &b->scheme, diag);
	if (r == 0)
		r = put_in(dir, "document.json", &b->document, diag);
	if (r == 0)
		r = put_in(dir, "input.age", &b->input, diag);
	return r == 0 ? put_first(b, dir, diag) : r;
}

static int sync_parent(const char *dir)
{
	const char *slash = strrchr(dir, '/');
	cof_autofree char *above = slash ? strndup(dir, (size_t)(slash - dir) + (slash == dir)) : strdup(".");
	cof_autoclose int fd = above ? open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* What a kill leaves is a directory under another name, which nothing looks at. */
static int put_dir(struct beginning *b, struct cof_diag *diag)
{
	cof_autofree char *part = NULL;
	int r;

	if (access(b->a->dir, F_OK) == 0)
		return cof_fail(diag, -EEXIST, "%s is there already: coffer ceremony continue %s goes on with it", b->a->dir, b->a->dir);
	if (asprintf(&part, "%s.XXXXXX", b->a->dir) < 0)
		return -ENOMEM;
	if (!mkdtemp(part))
		return cof_fail(diag, -errno, "%s cannot be made: %s", b->a->dir, strerror(errno));
	r = put_all(b, part, diag);
	if (r == 0 && renameat2(AT_FDCWD, part, AT_FDCWD, b->a->dir, RENAME_NOREPLACE) < 0)
		r = cof_fail(diag, -errno, "%s cannot be made: %s", b->a->dir, strerror(errno));
	if (r == 0)
		r = sync_parent(b->a->dir);
	return r;
}

int ceremony_new(const struct ceremony_asked *a, struct cof_diag *diag)
{
	struct beginning b = {.a = a, .opened = cof_json_object(), .sheet = cof_json_object()};
	int r;

	cof_json_set_str(b.opened, "archive", a->archive);
	cof_json_set_str(b.opened, "format", "coffer-ceremony/1");
	cof_json_set_str(b.opened, "kind", cof_ceremony_kind_name(a->kind));
	set_random(b.opened, "nonce");
	cof_json_set_bool(b.opened, "rehearsal", a->rehearsal);
	if (a->reason)
		cof_json_set_str(b.sheet, "reason", a->reason);
	if (a->place)
		cof_json_set_str(b.sheet, "place", a->place);
	set_random(b.sheet, "salt");
	cof_json_set_str(b.sheet, "what", cof_ceremony_kind_name(a->kind));
	r = take_people(&b, diag);
	if (r == 0)
		r = take_what(&b, diag);
	if (r == 0)
		r = put_dir(&b, diag);
	done(&b);
	return r;
}
