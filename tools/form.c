/* SPDX-License-Identifier: Apache-2.0 */
/* Forms that people sign: made, written, brought. */
#include "tools/form.h"
#include "fs/rules/catalogue.h"
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/when.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

void form_set(struct cof_json *o, const char *key, const char *value)
{
	if (value)
		cof_json_set_str(o, key, value);
}

static void set_random(struct cof_json *o, const char *key)
{
	uint8_t bytes[16];
	char hex[33];

	cof_random(bytes, sizeof(bytes));
	cof_hex(bytes, sizeof(bytes), hex);
	cof_json_set_str(o, key, hex);
}

static void set_second(struct cof_json *o, const char *key, int64_t time)
{
	cof_json_set_time(o, key, time - time % COF_NSEC);
}

struct cof_json *form_new(const struct forming *f, const char *event, const char *outcome, int64_t time)
{
	struct cof_json *o = cof_json_object();
	char hex[33];

	cof_hex(f->ask.store.conf.id, sizeof(f->ask.store.conf.id), hex);
	cof_json_set_str(o, "archive", hex);
	cof_json_set_str(o, "event", event);
	cof_json_set_str(o, "outcome", outcome);
	cof_json_set_str(o, "signer", f->as);
	set_second(o, "time", time);
	set_second(o, "created", cof_now(CLOCK_REALTIME));
	set_random(o, "nonce");
	cof_json_set_int(o, "version", 1);
	return o;
}

static int text_of(const struct cof_json *o, struct cof_buf *ret)
{
	int r = cof_json_canonical(o, ret);

	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}

static int save(const char *dir, const char *id, const char *end, const struct cof_buf *b, char **ret, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	int r;

	if (asprintf(ret, "%s/%.16s.%s", dir, id, end) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	fd = open(*ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
	r = fd < 0 ? -errno : cof_write_all(fd, b->data, b->len);
	return r < 0 ? cof_fail(diag, r, "cannot write %s: %s", *ret, strerror(-r)) : 0;
}

int form_write(const struct forming *f, struct cof_json *form, struct cof_json *sheet, char **ret_path, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, beside = {0};
	cof_autofree char *sheet_path = NULL;
	uint8_t digest[COF_HASH];
	char hex[65];
	int r;

	set_random(sheet, "salt");
	r = text_of(sheet, &beside);
	if (r == 0) {
		cof_sha256(beside.data, beside.len, digest);
		cof_hex(digest, sizeof(digest), hex);
		cof_json_set_str(form, "sheet", hex);
		r = text_of(form, &text);
	}
	if (r < 0)
		return cof_fail(diag, r, "the form cannot be made: %s", strerror(-r));
	if (text.len > FORM_MAX || beside.len > FORM_SHEET_MAX)
		return cof_fail(diag, -E2BIG, "that is too much text: %d bytes at most", FORM_SHEET_MAX);
	cof_sha256(text.data, text.len, digest);
	cof_hex(digest, sizeof(digest), hex);
	r = save(f->dir, hex, f->end, &text, ret_path, diag);
	return r == 0 ? save(f->dir, hex, "sheet", &beside, &sheet_path, diag) : r;
}

void form_say_next(const struct forming *f, const char *path)
{
	printf("%s is written, with its sheet. %s signs:\n"
	       "  ssh-keygen -Y sign -n %s -f KEY %s\n"
	       "Then: coffer %s STORE %s\n",
	       path, f->as, f->purpose, path, f->verb, path);
}

/* ---- bringing it ---- */

/* "…/ID.event" has its sheet beside it, as "…/ID.sheet". */
static char *sheet_of(const struct forming *f, const char *form)
{
	size_t n = strlen(form), tail = strlen(f->end) + 1;
	char *path;

	if (n > tail && form[n - tail] == '.' && !strcmp(form + n - tail + 1, f->end))
		n -= tail;
	return asprintf(&path, "%.*s.sheet", (int)n, form) < 0 ? NULL : path;
}

static int get_signature(const struct forming *f, const char *form, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autofree char *beside = NULL;

	if (f->key)
		return people_sign(form, f->purpose, f->key, ret, diag);
	if (!f->signature && asprintf(&beside, "%s.sig", form) < 0)
		return -ENOMEM;
	return file_load(f->signature ? f->signature : beside, COF_SIGNATURE_MAX, ret, diag);
}

/* The answer has sequence, event and signer. */
static int say_done(struct cof_json *answer, bool json)
{
	const char *event = cof_json_str(answer, "event"), *signer = cof_json_str(answer, "signer");
	int64_t sequence = -1;

	if (json)
		return print_json(answer, false) == -ENOMEM ? -ENOMEM : 0;
	(void)cof_json_int(answer, "sequence", &sequence);
	printf("%s is on record, signed by %s, as frame %" PRId64 "\n", event ? event : "?", signer ? signer : "?", sequence);
	return 0;
}

int form_submit(struct forming *f, const char *path, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *answer = NULL;
	cof_autobuf struct cof_buf text = {0}, sheet = {0}, signature = {0};
	cof_autofree char *beside = sheet_of(f, path);
	int r = beside ? file_load(path, FORM_MAX, &text, diag) : -ENOMEM;

	if (r == 0)
		r = file_load(beside, FORM_SHEET_MAX, &sheet, diag);
	if (r == 0)
		r = get_signature(f, path, &signature, diag);
	if (r < 0)
		return r;
	people_set_bytes(args, "document", &text);
	people_set_bytes(args, "sheet", &sheet);
	people_set_bytes(args, "signature", &signature);
	r = people_ask_one(&f->ask, "event-put", args, &answer, diag);
	return r < 0 ? r : say_done(answer, json);
}

int form_made(struct forming *f, const char *path, bool json, struct cof_diag *diag)
{
	if (f->key)
		return form_submit(f, path, json, diag);
	form_say_next(f, path);
	return 0;
}

/* ---- options ---- */

void form_words(struct forming *f, const char *as, const char *dir, const char *signature, const char *key)
{
	f->as = as;
	f->dir = dir ? dir : ".";
	f->signature = signature;
	f->key = key;
}

int form_take_time(const char *option, const char *text, int64_t *ret)
{
	return when_parse(text, ret) < 0 ? misuse("--%s takes a time such as 2031-01-02T03:04:05Z", option) : EXIT_OK;
}

int form_take_catalogue(const char *id)
{
	return cof_catalogue_find(id) ? EXIT_OK : misuse("'%s' is no kind of the catalogue: A.1.1 to A.17.12", id);
}
