/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that are given to somebody. An EVENT says to whom, on what basis and which files, and is durable before any
 * key of theirs leaves; another one names the bundle by its manifest, and is durable before that is complete.
 */
#include "fs/archive/evidence.h"
#include "fs/archive/people.h"

#include <stdio.h>

#define BEGUN "disclosure-begun"
#define FORM_MAX 60000 /* bytes: a field has no more than 65535 */
#define TEXT_MAX 1000  /* of to and basis */
#define INCIDENT_DIGITS 8

static const char *text_of(const struct cof_json *args, const char *key)
{
	const char *text = cof_json_str(args, key);

	return text && *text ? text : NULL;
}

/* ---- which files ---- */

struct listing {
	struct cof_archive *a;
	cof_show_fn fn;
	void *user;
	struct cof_buf dirs; /* that are yet to be listed: u64 each */
	uint64_t files;
	bool below; /* a directory was named */
	uint64_t *told; /* ascending: what several paths lead to is told once */
	size_t n_told;
};

/* 1: it is new · 0: it was told */
static int is_new(struct listing *l, uint64_t ino)
{
	size_t low = 0, high = l->n_told;
	uint64_t *grown;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->told[mid] == ino)
			return 0;
		if (l->told[mid] < ino)
			low = mid + 1;
		else
			high = mid;
	}
	grown = l->n_told & (l->n_told - 1) ? l->told : reallocarray(l->told, 2 * l->n_told + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->told = grown;
	memmove(grown + low + 1, grown + low, (l->n_told++ - low) * sizeof(*grown));
	grown[low] = ino;
	return 1;
}

static int tell_file(struct listing *l, uint64_t ino)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf path = {0};
	struct cof_facts f;
	int r;

	COF_GATED(l->a, r, cof_facts_get(l->a, ino, &f));
	if (r == 0 && f.state == COF_STATE_DESTROYED)
		return l->below ? 0 : -ENODATA; /* of a directory the rest */
	if (r == 0)
		r = cof_archive_path(l->a, ino, &path);
	if (r < 0)
		return r;
	cof_json_set_uint(o, "ino", ino);
	cof_json_set_bytes(o, "path", path.data, path.len);
	cof_json_set_uint(o, "size", f.size);
	cof_json_set_str(o, "state", cof_state_name(f.state));
	cof_json_set_uint(o, "created", f.node.created_sequence);
	cof_json_set_uint(o, "committed", f.node.commit_sequence);
	l->files++;
	return l->fn(l->user, o);
}

static int on_entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED, size_t len COF_UNUSED, uint64_t ino,
		    uint8_t kind)
{
	struct listing *l = user;
	uint8_t number[8];

	if (kind == COF_KIND_FILE) {
		int r = is_new(l, ino);

		return r > 0 ? tell_file(l, ino) : r;
	}
	if (kind == COF_KIND_DIR) {
		cof_put_le64(number, ino);
		cof_buf_add(&l->dirs, number, sizeof(number));
	}
	return l->dirs.failed ? -ENOMEM : 0;
}

static int list_path(struct listing *l, const char *path, struct cof_diag *diag)
{
	struct cof_attr attr = {.ino = 0};
	uint64_t ino = 0;
	int r = path ? cof_archive_resolve(l->a, path, &ino) : -EINVAL;

	if (r == 0)
		r = cof_archive_getattr(l->a, COF_INDEX_NOW, ino, &attr);
	if (r == 0 && attr.kind == COF_KIND_SYMLINK)
		return cof_fail(diag, -EINVAL, "%.300s is a symbolic link: name what it leads to", path);
	l->below = attr.kind == COF_KIND_DIR;
	if (r == 0)
		r = on_entry(l, 0, "", 0, ino, attr.kind);
	while (r == 0 && l->dirs.len) {
		l->dirs.len -= 8;
		r = cof_archive_readdir(l->a, COF_INDEX_NOW, cof_get_le64(l->dirs.data + l->dirs.len), 0, on_entry, l);
	}
	l->dirs.len = 0;
	if (r == -ENODATA)
		return cof_fail(diag, r, "%.300s: its content was destroyed", path);
	return r < 0 ? cof_fail(diag, r == -ENOENT ? -ESRCH : r, "%.300s: %s", path ? path : "a path that is no text", strerror(-r)) : 0;
}

struct held {
	const char *of_case, *incident;
	struct cof_json *paths;
	size_t holds;
};

/* A hold is of an incident when its case names it by the first digits of its id. */
static int take_hold(void *user, struct cof_json *hold)
{
	const char *name = cof_json_str(hold, "case");
	const struct cof_json *paths = cof_json_get(hold, "paths");
	struct held *h = user;
	char digits[INCIDENT_DIGITS + 1];

	snprintf(digits, sizeof(digits), "%s", h->incident ? h->incident : "");
	if (!name || !((h->of_case && !strcmp(name, h->of_case)) || (*digits && strstr(name, digits))))
		return 0;
	h->holds++;
	for (size_t i = 0; i < cof_json_count(paths); i++)
		cof_json_append(h->paths, cof_json_ref(cof_json_at(paths, i)));
	return 0;
}

static int list_held(struct listing *l, const struct cof_json *args, bool named, struct cof_diag *diag)
{
	cof_autojson struct cof_json *paths = cof_json_array();
	struct held h = {.of_case = text_of(args, "case"), .incident = named ? NULL : text_of(args, "incident"), .paths = paths};
	int r = h.of_case || h.incident ? cof_archive_holds(l->a, true, take_hold, &h) : 0;

	if (r == 0 && !h.holds && h.of_case)
		return cof_fail(diag, -ESRCH, "no hold has the case %.200s: coffer hold list tells those there are", h.of_case);
	if (r == 0 && !h.holds && h.incident)
		return cof_fail(diag, -ESRCH, "no hold is of this incident (its case would have %.8s in it): coffer hold begin, or name the "
					      "files", h.incident);
	for (size_t i = 0; r == 0 && i < cof_json_count(paths); i++)
		r = list_path(l, cof_json_value_str(cof_json_at(paths, i)), diag);
	return r;
}

static int list(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	const struct cof_json *paths = cof_json_get(args, "paths");
	struct listing l = {.a = a, .fn = fn, .user = user};
	int r = 0;

	for (size_t i = 0; r == 0 && i < cof_json_count(paths); i++)
		r = list_path(&l, cof_json_value_str(cof_json_at(paths, i)), diag);
	if (r == 0)
		r = list_held(&l, args, cof_json_count(paths) || text_of(args, "case"), diag);
	cof_buf_done(&l.dirs);
	free(l.told);
	return r == 0 && !l.files ? cof_fail(diag, -ESRCH, "there is no file at what was named") : r;
}

/* ---- the record ---- */

static int refuse(struct cof_archive *a, const struct cof_who *who, const char *rule, const char *why, struct cof_diag *diag)
{
	cof_gate_enter(a);
	(void)cof_event_emit(a, &(struct cof_event){.type = "disclosure-refused", .who = who, .reason = rule, .detail = why}, NULL);
	cof_gate_leave(a);
	return cof_fail(diag, -EPERM, "%s", why);
}

static int check(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_diag *diag)
{
	const char *to = text_of(args, "to"), *basis = text_of(args, "basis");
	struct cof_profile policy;

	(void)cof_archive_policy(a, &policy);
	if ((to && strlen(to) > TEXT_MAX) || (basis && strlen(basis) > TEXT_MAX))
		return cof_fail(diag, -EINVAL, "recipient and basis have at most %d bytes each", TEXT_MAX);
	if (policy.disclosure_basis && !to)
		return refuse(a, who, "recipient", "the policy (disclosure_basis) wants to know to whom the records go: --to", diag);
	if (policy.disclosure_basis && !basis)
		return refuse(a, who, "basis",
			      "the policy (disclosure_basis) wants to know on what basis, consent or law, the records go: --basis", diag);
	return 0;
}

/* [first, count] ranges, ascending; *ret_n: how many inodes they are, *ret_first the first of them. */
static int put_inodes(struct cof_json *form, const struct cof_json *inodes, uint64_t *ret_n, uint64_t *ret_first, struct cof_diag *diag)
{
	uint64_t end = 0;

	for (size_t i = 0; i < cof_json_count(inodes); i++) {
		const struct cof_json *range = cof_json_at(inodes, i);
		uint64_t first = 0, count = 0;

		if (cof_json_count(range) != 2 || cof_json_value_uint(cof_json_at(range, 0), &first) < 0 || first <= end ||
		    cof_json_value_uint(cof_json_at(range, 1), &count) < 0 || !count || first + count >= COF_VIRTUAL_DIR)
			return cof_fail(diag, -EINVAL, "\"inodes\" are ranges of first and count, ascending");
		if (!i)
			*ret_first = first;
		end = first + count - 1;
		*ret_n += count;
	}
	if (!*ret_n)
		return cof_fail(diag, -EINVAL, "no inodes are named");
	cof_json_set(form, "inodes", cof_json_ref((struct cof_json *)inodes));
	return 0;
}

static void copy_text(struct cof_json *into, const struct cof_json *from, const char *key)
{
	const char *text = text_of(from, key);

	if (text)
		cof_json_set_str(into, key, text);
}

/* Writes it, durably. */
static int put(struct cof_archive *a, struct cof_event *e, const struct cof_json *form, uint64_t *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, fields = {0};
	int r = cof_json_canonical(form, &text);

	if (r == 0 && text.len > FORM_MAX)
		return cof_fail(diag, -EFBIG, "these are too many files that lie too far apart for one bundle: make several");
	if (r == 0)
		cof_field_put(&fields, COF_T_FORM, text.data, text.len);
	if (r < 0 || fields.failed)
		return r < 0 ? r : -ENOMEM;
	e->fields = fields.data;
	e->fields_len = fields.len;
	cof_gate_enter(a);
	r = cof_event_emit(a, e, ret);
	cof_gate_leave(a);
	if (r == 0)
		r = cof_log_sync(a->log, *ret);
	return r < 0 ? cof_fail(diag, r, "it cannot be put on record: %s", strerror(-r)) : 0;
}

static int begin(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		 struct cof_diag *diag)
{
	static const char *const texts[] = {"to", "basis", "case", "incident"};
	cof_autojson struct cof_json *form = cof_json_object();
	cof_autobuf struct cof_buf path = {0}, detail = {0};
	const char *to = text_of(args, "to"), *basis = text_of(args, "basis");
	struct cof_event e = {.type = BEGUN, .who = who};
	uint64_t sequence = 0, n = 0, first = 0;
	int64_t at = 0;
	int r = check(a, who, args, diag);

	if (r == 0 && (cof_json_int(args, "at", &at) < 0 || at < 1))
		r = cof_fail(diag, -EINVAL, "\"at\" is the size of a tree");
	if (r == 0)
		r = put_inodes(form, cof_json_get(args, "inodes"), &n, &first, diag);
	if (r < 0)
		return r;
	for (size_t i = 0; i < COF_COUNT(texts); i++)
		copy_text(form, args, texts[i]);
	cof_json_set_int(form, "at", at);
	cof_json_set_uint(form, "files", n);
	if (cof_json_bool(args, "rehearsal"))
		cof_json_set_bool(form, "rehearsal", true);
	if (cof_archive_path(a, first, &path) == 0)
		e.path = (const char *)path.data;
	e.object = n == 1 ? first : 0;
	cof_buf_printf(&detail, "%s%s to %s; basis: %s", n == 1 ? "a file" : "files", cof_json_bool(args, "rehearsal") ? ", to practise," : "",
		       to ? to : "(not said)", basis ? basis : "(not said)");
	e.detail = (const char *)detail.data;
	r = detail.failed ? -ENOMEM : put(a, &e, form, &sequence, diag);
	cof_json_set_uint(into, "disclosure", sequence);
	return r;
}

int cof_evidence_record(struct cof_archive *a, const struct cof_json *args, uint64_t *ret_sequence, struct cof_json **ret,
			struct cof_diag *diag)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_field type, form;
	uint64_t address = 0;
	int64_t sequence = 0;
	struct cof_frame f;
	int r = cof_json_int(args, "disclosure", &sequence) < 0 || sequence < 1 ? -EINVAL : 0;

	if (r == 0)
		r = cof_reader_find(a->reader, (uint64_t)sequence, &address, NULL);
	if (r == 0)
		r = cof_reader_header(a->reader, address, &f, NULL, NULL);
	if (r == 0 && (f.type != COF_EVENT || f.mount != a->mount))
		r = -ENOENT;
	if (r == 0)
		r = cof_frame_read(a->reader, a->ring, a->conf.id, address, &f, NULL, &fields);
	if (r == 0)
		r = cof_field_find(fields.data, fields.len, COF_T_EVENT, &type);
	if (r == 0 && (type.len != strlen(BEGUN) || memcmp(type.value, BEGUN, type.len) != 0))
		r = -ENOENT;
	if (r == 0)
		r = cof_field_find(fields.data, fields.len, COF_T_FORM, &form);
	if (r == 0)
		r = cof_json_parse((const char *)form.value, form.len, ret);
	if (r < 0)
		return cof_fail(diag, r == -ENOENT ? -ESRCH : r, "frame %lld is no record of a disclosure that this mount began",
				(long long)sequence);
	*ret_sequence = (uint64_t)sequence;
	return 0;
}

/* What comes after the making: the bundle by its manifest, or what was found when it was read back. */
static int follow(struct cof_archive *a, const struct cof_who *who, const char *type, const struct cof_json *args,
		  struct cof_json *into, struct cof_diag *diag)
{
	static const char *const texts[] = {"to", "basis", "case", "incident"}, *const added[] = {"manifest", "verdict"};
	cof_autojson struct cof_json *begun = NULL, *form = cof_json_object();
	const char *manifest = cof_json_str(args, "manifest"), *verdict = cof_json_str(args, "verdict");
	cof_autobuf struct cof_buf detail = {0};
	struct cof_event e = {.type = type, .who = who, .outcome = text_of(args, "outcome")};
	uint64_t sequence = 0, of = 0;
	int64_t n = 0;
	int r = cof_evidence_record(a, args, &of, &begun, diag);

	if (r == 0 && ((manifest && strspn(manifest, "0123456789abcdef") != 64) || (verdict && strlen(verdict) > 100) ||
		       (!manifest && !verdict) || (e.outcome && !cof_outcome_valid(e.outcome))))
		r = cof_fail(diag, -EINVAL, "neither a manifest nor a verdict is given, or none that can be");
	if (r < 0)
		return r;
	for (size_t i = 0; i < COF_COUNT(texts); i++)
		copy_text(form, begun, texts[i]);
	for (size_t i = 0; i < COF_COUNT(added); i++)
		copy_text(form, args, added[i]);
	cof_json_set_uint(form, "disclosure", of);
	if (cof_json_bool(begun, "rehearsal"))
		cof_json_set_bool(form, "rehearsal", true);
	if (cof_json_int(begun, "files", &n) == 0)
		cof_json_set_int(form, "files", n);
	cof_buf_printf(&detail, "%lld file%s to %s; basis: %s; %s%s", (long long)n, n == 1 ? "" : "s",
		       text_of(begun, "to") ? text_of(begun, "to") : "(not said)",
		       text_of(begun, "basis") ? text_of(begun, "basis") : "(not said)", manifest ? "manifest SHA-256 " : "found: ",
		       manifest ? manifest : verdict);
	e.detail = (const char *)detail.data;
	r = detail.failed ? -ENOMEM : put(a, &e, form, &sequence, diag);
	cof_json_set_uint(into, "sequence", sequence);
	return r;
}

/* ---- all of them ---- */

bool cof_evidence_verb(const char *verb)
{
	return !strncmp(verb, "evidence-", 9) && (!strcmp(verb + 9, "list") || !strcmp(verb + 9, "begin") || !strcmp(verb + 9, "file") ||
						  !strcmp(verb + 9, "done") || !strcmp(verb + 9, "checked"));
}

int cof_evidence_act(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		     cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *what = verb + 9;
	int r;

	if (!strcmp(what, "list"))
		return list(a, args, fn, user, diag);
	r = cof_people_writable(a, diag);
	if (r < 0)
		return r;
	if (!strcmp(what, "file"))
		return cof_evidence_file(a, args, fn, user, diag);
	r = !strcmp(what, "begin") ? begin(a, who, args, o, diag)
	    : !strcmp(what, "done") ? follow(a, who, "disclosed", args, o, diag)
				    : follow(a, who, "disclosure-checked", args, o, diag);
	return r < 0 ? r : fn(user, o);
}
