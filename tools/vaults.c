/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/vaults.h"
#include "tools/owner.h"

#include "fs/rules/place.h"

#include <inttypes.h>
#include <stdio.h>

bool vault_name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n && !name[n] && n < 48 && name[0] != '-';
}

void vault_entry_done(struct vault_entry *e)
{
	free(e->note);
	e->note = NULL;
}

static int take_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct vault_entry *e = user;
	struct {
		const char *key;
		char *to;
		size_t cap;
	} text[] = {{"url", e->url, sizeof(e->url)},
		    {"place", e->place, sizeof(e->place)},
		    {"jurisdiction", e->jurisdiction, sizeof(e->jurisdiction)},
		    {"administration", e->administration, sizeof(e->administration)},
		    {"basis", e->basis, sizeof(e->basis)},
		    {"ca", e->ca, sizeof(e->ca)},
		    {"retiring", e->retiring, sizeof(e->retiring)}};

	(void)line;
	if (strcmp(section, "vault") && strcmp(section, "host"))
		return 0;
	if (!strcmp(key, "vkey"))
		return cof_vkey_parse(value, &e->vkey);
	for (size_t i = 0; i < COF_COUNT(text); i++)
		if (!strcmp(key, text[i].key))
			return snprintf(text[i].to, text[i].cap, "%s", value) < (int)text[i].cap ? 0 : -EUCLEAN;
	return 0;
}

static void path_of(const char *name, const char *what, char out[80])
{
	snprintf(out, 80, "vaults/%s.%s", name, what);
}

static int read_note(const struct store *s, struct vault_entry *e)
{
	struct cof_vkey keys[2] = {s->conf.vkey, e->vkey};
	struct cof_checkpoint head;
	struct cof_note n;

	if (cof_note_open(e->note, strlen(e->note), keys, 2, &n) < 0 || n.verified != 3 ||
	    cof_checkpoint_parse(n.text, n.text_len, &head) < 0)
		return -EBADMSG;
	e->size = head.size;
	e->time = n.time[1];
	return 0;
}

static int take_says(void *user, const char *section, const char *key, const char *value, int line)
{
	(void)line;
	return strcmp(section, "says") ? 0 : vault_take_said(user, key, value);
}

/* What is damaged says nothing: the next session brings it anew. */
static void load_said(const struct store *s, struct vault_entry *e)
{
	cof_autofree uint8_t *text = NULL;
	char path[80];
	size_t n = 0;

	path_of(e->name, "says", path);
	if (cof_io_load(s->io, path, 4096, &text, &n) == 0 && cof_ini_parse((const char *)text, n, take_says, e, NULL) == 0)
		return;
	e->grade = 0;
	e->scrubbed[0] = 0;
}

static int no_vault(const struct store *s, const char *name, struct cof_diag *diag)
{
	return cof_fail(diag, -ENOENT, "%s has no vault '%s': coffer vault list %s shows them", s->path, name, s->path);
}

int vault_entry_there(const struct store *s, const char *name, struct cof_diag *diag)
{
	char path[80];

	path_of(name, "conf", path);
	return vault_name_ok(name) && cof_io_exists(s->io, path) == 1 ? 0 : no_vault(s, name, diag);
}

int vault_entry_load(const struct store *s, const char *name, struct vault_entry *ret, struct cof_diag *diag)
{
	struct vault_entry e = {.time = 0};
	cof_autofree uint8_t *text = NULL, *note = NULL;
	char path[80];
	size_t n = 0;
	int r = vault_name_ok(name) ? 0 : -ENOENT;

	path_of(name, "conf", path);
	if (r == 0)
		r = cof_io_load(s->io, path, 4096, &text, &n);
	if (r == -ENOENT)
		return no_vault(s, name, diag);
	snprintf(e.name, sizeof(e.name), "%s", name);
	if (r == 0)
		r = cof_ini_parse((const char *)text, n, take_key, &e, NULL);
	if (r == 0 && (!*e.url || e.vkey.algorithm != COF_NOTE_COSIG))
		r = -EUCLEAN;
	if (r < 0)
		return cof_fail(diag, r, "%s/%s is damaged or cannot be read; coffer vault add makes it anew", s->path, path);
	load_said(s, &e);
	path_of(name, "note", path);
	r = cof_io_load(s->io, path, COF_NOTE_MAX, &note, &n);
	if (r == 0) {
		e.note = (char *)note;
		note = NULL;
		if (read_note(s, &e) < 0) { /* of no weight: the next session brings one */
			free(e.note);
			e.note = NULL;
		}
	}
	*ret = e;
	return 0;
}

int vaults_write(const struct store *s, const char *path, const void *p, size_t n, struct cof_diag *diag)
{
	int r = owner_take(s->path, diag);

	if (r < 0)
		return r;
	r = cof_io_mkdir(s->io, "vaults");
	if (r == 0)
		r = cof_io_sync_dir(s->io, "");
	if (r == 0 || r == -EEXIST)
		r = cof_io_replace(s->io, path, p, n);
	if (r < 0)
		cof_fail(diag, r, "%s/%s cannot be written: %s", s->path, path, strerror(-r));
	if (owner_leave() < 0 && r == 0)
		r = cof_fail(diag, -EPERM, "this is no longer root's process");
	return r;
}

int vault_entry_save(const struct store *s, const struct vault_entry *e, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};
	char vkey[COF_VKEY_MAX], path[80];

	cof_vkey_text(&e->vkey, vkey);
	path_of(e->name, "conf", path);
	cof_buf_printf(&b, "[vault]\nurl = %s\nvkey = %s\nplace = %s\njurisdiction = %s\nadministration = %s\nbasis = %s\n", e->url, vkey, e->place,
		       e->jurisdiction, e->administration, e->basis);
	if (*e->ca)
		cof_buf_printf(&b, "ca = %s\n", e->ca);
	if (*e->retiring)
		cof_buf_printf(&b, "retiring = %s\n", e->retiring);
	return b.failed ? cof_fail(diag, -ENOMEM, "out of memory") : vaults_write(s, path, b.data, b.len, diag);
}

int vault_entry_says(const struct store *s, struct vault_entry *e, const struct vault_entry *says, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};
	char path[80];

	if (e->grade == says->grade && !strcmp(e->scrubbed, says->scrubbed))
		return 0;
	e->grade = says->grade;
	memcpy(e->scrubbed, says->scrubbed, sizeof(e->scrubbed));
	cof_buf_printf(&b, "[says]\n");
	if (e->grade)
		cof_buf_printf(&b, "grade = %u\n", e->grade);
	if (*e->scrubbed)
		cof_buf_printf(&b, "scrubbed = %s\n", e->scrubbed);
	path_of(e->name, "says", path);
	return b.failed ? cof_fail(diag, -ENOMEM, "out of memory") : vaults_write(s, path, b.data, b.len, diag);
}

/* -ENOENT: none waits. */
static int drop_keys(const struct store *s, const char *name, struct cof_diag *diag)
{
	int r = cof_vault_waiting_drop(s->io, name);

	return r < 0 && r != -ENOENT ? cof_fail(diag, r, "%s/vaults/%s.keys cannot be overwritten and removed: %s", s->path, name, strerror(-r))
				     : r;
}

int vault_entry_remove(const struct store *s, const char *name, struct cof_diag *diag)
{
	char path[80];
	int r = owner_take(s->path, diag);

	if (r < 0)
		return r;
	r = drop_keys(s, name, diag); /* for a vault that is none any more */
	if (r == 0 || r == -ENOENT) {
		path_of(name, "note", path);
		r = cof_io_unlink(s->io, path);
		path_of(name, "says", path);
		if (r == 0 || r == -ENOENT)
			r = cof_io_unlink(s->io, path);
		path_of(name, "conf", path);
		if (r == 0 || r == -ENOENT)
			r = cof_io_unlink(s->io, path);
		if (r == 0)
			r = cof_io_sync_dir(s->io, "vaults");
		if (r < 0)
			cof_fail(diag, r, "%s/%s cannot be removed: %s", s->path, path, strerror(-r));
	}
	if (owner_leave() < 0 && r == 0)
		r = cof_fail(diag, -EPERM, "this is no longer root's process");
	return r;
}

int vault_entry_keys(const struct store *s, const struct vault_entry *e, uint8_t **ret, size_t *ret_n, struct cof_diag *diag)
{
	char path[80];
	int r;

	path_of(e->name, "keys", path);
	r = cof_io_load(s->io, path, VAULT_ENVELOPE_MAX, ret, ret_n);
	if (r == -EFBIG)
		return cof_fail(diag, r, "the tree R that waits in %s/%s is larger than a vault takes (%u bytes): it was not given", s->path, path,
				VAULT_ENVELOPE_MAX);
	return r < 0 && r != -ENOENT ? cof_fail(diag, r, "the tree R that waits in %s/%s cannot be read, and was not given: %s", s->path, path,
						strerror(-r))
				     : r;
}

int vault_entry_has_keys(const struct store *s, const struct vault_entry *e, struct cof_diag *diag)
{
	int r = owner_take(s->path, diag);

	if (r < 0)
		return r;
	r = drop_keys(s, e->name, diag);
	if (r == -ENOENT) /* enrolled again, and brought by another sync meanwhile */
		r = 0;
	if (owner_leave() < 0 && r == 0)
		r = cof_fail(diag, -EPERM, "this is no longer root's process");
	return r;
}

int vault_newer_keep(const struct store *s, const char *name, const char *note, struct cof_diag *diag)
{
	char path[80];

	path_of(name, "newer", path);
	return vaults_write(s, path, note, strlen(note), diag);
}

int vault_newer_drop(const struct store *s, const char *name, struct cof_diag *diag)
{
	char path[80];
	int r;

	path_of(name, "newer", path);
	if (cof_io_exists(s->io, path) == 0)
		return 0;
	r = owner_take(s->path, diag);
	if (r < 0)
		return r;
	r = cof_io_unlink(s->io, path);
	if (r == 0)
		r = cof_io_sync_dir(s->io, "vaults");
	if (r < 0)
		cof_fail(diag, r, "%s/%s cannot be removed: %s", s->path, path, strerror(-r));
	if (owner_leave() < 0 && r == 0)
		r = cof_fail(diag, -EPERM, "this is no longer root's process");
	return r;
}

static void set_text(struct cof_json *o, const char *key, const char *text)
{
	if (*text)
		cof_json_set_str(o, key, text);
}

void vault_entry_record(const struct store *s, const struct vault_entry *e, struct cof_json *record)
{
	struct cof_place here, there;
	struct vault_host host;
	char vkey[COF_VKEY_MAX];

	cof_json_set_str(record, "name", e->name);
	if (e->vkey.algorithm) { /* a copy in a bucket has none */
		cof_vkey_text(&e->vkey, vkey);
		cof_json_set_str(record, "vault", vkey);
	}
	set_text(record, "vault_place", e->place);
	set_text(record, "jurisdiction", e->jurisdiction);
	set_text(record, "administration", e->administration);
	set_text(record, "basis", e->basis);
	if (vault_host_load(s, &host, NULL) == 0 && cof_place_parse(host.place, &here, NULL) == 0 &&
	    cof_place_parse(e->place, &there, NULL) == 0)
		cof_json_set_uint(record, "distance_km", (uint64_t)cof_place_distance(&here, &there));
}

static bool can_be_noted(const char *text, size_t max)
{
	return *text && strlen(text) <= max && !strpbrk(text, "\n\r;#\"");
}

bool vault_administration_ok(const char *name)
{
	return can_be_noted(name, 59);
}

bool vault_basis_ok(const char *text)
{
	return can_be_noted(text, 255);
}

int vault_host_load(const struct store *s, struct vault_host *ret, struct cof_diag *diag)
{
	cof_autofree uint8_t *text = NULL;
	struct vault_entry e = {.time = 0};
	size_t n = 0;
	int r = cof_io_load(s->io, "vaults/host", 4096, &text, &n);

	*ret = (struct vault_host){.place = ""};
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = cof_ini_parse((const char *)text, n, take_key, &e, NULL);
	if (r < 0)
		return cof_fail(diag, r, "%s/vaults/host is damaged or cannot be read; coffer vault place makes it anew", s->path);
	memcpy(ret->place, e.place, sizeof(ret->place));
	memcpy(ret->jurisdiction, e.jurisdiction, sizeof(ret->jurisdiction));
	return 0;
}

int vault_host_save(const struct store *s, const struct vault_host *h, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};

	cof_buf_printf(&b, "[host]\nplace = %s\njurisdiction = %s\n", h->place, h->jurisdiction);
	return b.failed ? cof_fail(diag, -ENOMEM, "out of memory") : vaults_write(s, "vaults/host", b.data, b.len, diag);
}

int vault_entry_note(const struct store *s, struct vault_entry *e, const char *note, struct cof_diag *diag)
{
	char path[80];
	int r;

	free(e->note);
	e->note = strdup(note);
	if (!e->note)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (read_note(s, e) < 0)
		return cof_fail(diag, -EBADMSG, "what vault %s sent back is not signed with the key that was seen when it was "
						"added: is it another vault?",
				e->name);
	path_of(e->name, "note", path);
	r = vaults_write(s, path, note, strlen(note), diag);
	return r < 0 ? r : vault_newer_drop(s, e->name, diag); /* it has what is here, and no more */
}

struct names {
	char (*name)[64];
	size_t n;
};

static int one_name(void *user, const char *file)
{
	struct names *l = user;
	size_t n = strlen(file);
	void *grown;

	if (n < 6 || n > 60 || strcmp(file + n - 5, ".conf"))
		return 0;
	grown = realloc(l->name, (l->n + 1) * sizeof(*l->name));
	if (!grown)
		return -ENOMEM;
	l->name = grown;
	snprintf(l->name[l->n++], sizeof(*l->name), "%.*s", (int)(n - 5), file);
	return 0;
}

int vault_entries(const struct store *s, int (*fn)(void *user, struct vault_entry *e), void *user, struct cof_diag *diag)
{
	struct names l = {.n = 0};
	int r = cof_io_list(s->io, "vaults", one_name, &l);

	if (r == -ENOENT)
		r = 0;
	else if (r < 0)
		cof_fail(diag, r, "%s/vaults cannot be read: %s", s->path, strerror(-r));
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		struct vault_entry e;

		r = vault_entry_load(s, l.name[i], &e, diag);
		if (r == 0) {
			r = fn(user, &e);
			vault_entry_done(&e);
		}
	}
	free(l.name);
	return r;
}

struct adding {
	struct cof_json *array;
	uint64_t newest;
};

static int add_json(void *user, struct vault_entry *e)
{
	struct adding *a = user;
	struct cof_json *o = cof_json_object();
	char when[32];

	cof_json_set_str(o, "vault", e->name);
	cof_json_set_str(o, "url", e->url);
	cof_json_set_str(o, "place", e->place);
	cof_json_set_str(o, "jurisdiction", e->jurisdiction);
	if (*e->administration)
		cof_json_set_str(o, "administration", e->administration);
	if (*e->retiring)
		cof_json_set_str(o, "retiring", e->retiring);
	if (e->grade)
		cof_json_set_uint(o, "grade", e->grade);
	if (*e->scrubbed)
		cof_json_set_str(o, "scrubbed", e->scrubbed);
	cof_json_set_uint(o, "size", e->size);
	cof_json_set_uint(o, "behind", a->newest > e->size ? a->newest - e->size : 0);
	if (e->time) {
		cof_time_text((int64_t)e->time * COF_NSEC, when);
		cof_json_set_str(o, "confirmed", when);
	}
	cof_json_append(a->array, o);
	return 0;
}

int vault_entries_json(const struct store *s, struct cof_json *array, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	struct adding a = {.array = array};
	struct cof_checkpoint head;
	size_t n = 0;

	if (cof_io_load(s->io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0 &&
	    cof_checkpoint_open(note, n, &s->conf.vkey, &head) == 0)
		a.newest = head.size;
	return vault_entries(s, add_json, &a, diag);
}

void vault_say_more(const struct cof_json *v)
{
	const char *scrubbed = cof_json_str(v, "scrubbed");
	int64_t grade = 0;

	if (cof_json_int(v, "grade", &grade) == 0)
		printf("; grade %" PRId64, grade);
	if (scrubbed)
		printf("; last scrub %s", scrubbed);
	printf("\n");
}

void vaults_look(const struct store *s)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_known known = {.size = 0};
	struct cof_checkpoint head;
	size_t n = 0;

	if (cof_io_load(s->io, "checkpoint", COF_NOTE_MAX, &note, &n) < 0 ||
	    cof_checkpoint_open(note, n, &s->conf.vkey, &head) < 0 ||
	    (cof_known_load(s->io, &s->conf, &known) == 0 && known.size == head.size) ||
	    cof_known_up_to(s->io, &s->conf, head.size, &known) < 0)
		return;
	if (owner_take(s->path, NULL) == 0)
		(void)cof_known_save(s->io, &known);
	(void)owner_leave(); /* who cannot come back fails at the next file that is root's */
}

int vault_hello_to(const struct store *s, enum vault_role role, const char *url, struct vault_line *line, struct cof_diag *diag)
{
	cof_autofree uint8_t *conf = NULL;
	uint8_t session[16];
	size_t n = 0;
	int r = cof_io_load(s->io, "archive.conf", 65536, &conf, &n);

	if (r < 0)
		return cof_fail(diag, r, "%s/archive.conf cannot be read: %s", s->path, strerror(-r));
	if (line->pid <= 0)
		r = vault_line_open(url, line, diag);
	if (r < 0)
		return r;
	r = vault_hello_send(&line->wire, role, s->conf.id, role == VAULT_SENDS ? (const char *)conf : "", session);
	if (r < 0) {
		vault_line_close(line);
		return cof_fail(diag, r, "%s does not answer: the other side ended, and its program, or ssh, said on standard error why", url);
	}
	return 0;
}
