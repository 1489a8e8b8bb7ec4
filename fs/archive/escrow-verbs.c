/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of escrow. Keys come as ciphertexts, judged and encrypted by whoever took them in (tools/): no key is ever here.
 * Whoever makes a record gives its fields; what needs an approved request is refused here, and done by act-escrow.c.
 */
#include "fs/archive/escrow.h"
#include "fs/archive/note.h"

#include <stdio.h>

#define FILE_MAX 180000 /* bytes: in base64 it fits into a request of the control socket */
#define NAMES_MAX 1000	/* files of one name, told apart by a number */

/* ---- the shelf ---- */

static int get_shelf(struct cof_archive *a, const struct cof_json *args, uint64_t *ret, struct cof_diag *diag)
{
	const char *name = cof_json_str(args, "shelf");
	cof_autobuf struct cof_buf policy = {0};
	int r = name && *name && !strchr(name, '/') ? cof_archive_resolve(a, name, ret) : -EINVAL;

	if (r == 0)
		COF_GATED(a, r, cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, *ret, "policy", &policy)));
	return r < 0 ? cof_fail(diag, r, "\"%.64s\" is no shelf of this archive", name ? name : "") : 0;
}

static int make_shelf(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		      struct cof_diag *diag)
{
	const char *policy = cof_json_str(args, "policy");
	struct cof_op op = {.kind = COF_OP_SHELF_ADD, .ino = COF_ROOT_INO, .parent = COF_ROOT_INO, .name = cof_json_str(args, "shelf"),
			    .data = policy, .length = policy ? strlen(policy) : 0};
	struct cof_reply reply = {.wrote = false};
	uint64_t ino = 0;
	int r;

	if (get_shelf(a, args, &ino, NULL) < 0) {
		r = op.name && policy ? cof_archive_do(a, who, &op, &reply) : -EINVAL;
		if (r == 0)
			r = cof_log_sync(a->log, reply.sequence);
		if (r < 0)
			return cof_fail(diag, r, "the shelf %.64s cannot be made: %s", op.name ? op.name : "?", strerror(-r));
		cof_json_set_bool(into, "made", true);
		ino = reply.attr.ino;
	}
	cof_json_set_uint(into, "ino", ino);
	return 0;
}

/* ---- records ---- */

static int record_fields(const struct cof_json *args, uint64_t shelf, struct cof_buf *public_part, struct cof_buf *private_part,
			 const char *digest, struct cof_diag *diag)
{
	struct cof_json *record = cof_json_get(args, "record");
	const char *what = cof_json_str(record, "what");
	char id[33] = "";

	if (!record)
		return cof_fail(diag, -EINVAL, "\"record\" is an object with the fields of the record");
	cof_json_set_uint(record, "shelf", shelf);
	if (digest)
		cof_json_set_str(record, "sha256", digest);
	if (digest && what && !strcmp(what, cof_escrow_name(COF_ESC_KEY))) {
		memcpy(id, digest, 32);
		cof_json_set_str(record, "key", id);
	}
	return cof_escrow_fields(record, public_part, private_part, diag);
}

static void tell_refusal(struct cof_archive *a, const struct cof_who *who, const char *rule, const char *clause, const char *reason,
			 const char *path)
{
	cof_autofree char *detail = NULL;
	int n = asprintf(&detail, "%s%s%s%s", reason, *clause ? " [" : "", clause, *clause ? "]" : "");

	cof_gate_enter(a);
	(void)cof_event_emit(a, &(struct cof_event){.type = COF_EV_ESCROW_REFUSED, .who = who, .reason = rule, .path = path,
						    .detail = n < 0 ? rule : detail},
			     NULL);
	cof_gate_leave(a);
}

static int refused(struct cof_archive *a, const struct cof_who *who, struct cof_diag *diag)
{
	struct cof_diag why = *diag;

	tell_refusal(a, who, "record", "", why.text, NULL);
	return cof_fail(diag, -EPERM, "%s", why.text);
}

static void tell_fields(struct cof_json *o, const struct cof_buf *part)
{
	struct cof_field f;
	uint8_t request[32];
	char hex[65];
	size_t off = 0;

	while (cof_field_next(part->data, part->len, &off, &f) > 0)
		if (cof_escrow_tag(f.tag))
			(void)cof_escrow_show(o, &f);
	if (cof_field_bytes(part->data, part->len, COF_T_REQUEST, request, sizeof(request)) == 0) {
		cof_hex(request, sizeof(request), hex);
		cof_json_set_str(o, "request", hex);
	}
}

/* Of the certificate the request has its name only, and not each request was made here: who delivers brings it once more. */
static int may_have(struct cof_archive *a, const struct cof_json *args, const struct cof_buf *public_part, struct cof_diag *diag)
{
	cof_autofree char *to = NULL;
	struct cof_escrow_record release;
	struct cof_escrow_facts facts;
	struct cof_field f;
	int r;

	cof_escrow_facts(public_part->data, public_part->len, &facts);
	if (facts.what != COF_ESC_ATTEMPT && facts.what != COF_ESC_RECOVERED)
		return 0;
	r = cof_escrow_get(a, facts.of, &release);
	if (r == 0 && cof_field_find(release.public_part.data, release.public_part.len, COF_T_ESCROW_TO, &f) == 0)
		to = strndup((const char *)f.value, f.len);
	cof_escrow_record_done(&release);
	return r < 0 ? cof_fail(diag, r, "the release cannot be read: %s", strerror(-r))
		     : cof_escrow_recipient(a, to, cof_json_str(args, "certificate"), NULL, diag);
}

static int put_record(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		      struct cof_diag *diag)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	uint64_t shelf, sequence = 0;
	int r = get_shelf(a, args, &shelf, diag);

	if (r == 0)
		r = record_fields(args, shelf, &public_part, &private_part, NULL, diag);
	if (r == 0)
		r = cof_escrow_fit(a, &public_part, &private_part, false, diag);
	if (r == 0)
		r = may_have(a, args, &public_part, diag);
	if (r == -EPERM)
		return refused(a, who, diag);
	if (r == 0)
		r = cof_escrow_put(a, who, 0, &public_part, &private_part, NULL, &sequence, diag);
	cof_json_set_uint(into, "sequence", sequence);
	tell_fields(into, &public_part);
	return r;
}

/* ---- a file and its record ---- */

/* NAME.EXT, or NAME.N.EXT where there is one already. */
static int create(struct cof_archive *a, const struct cof_who *who, uint64_t shelf, const char *name, const char *ext,
		  struct cof_reply *ret)
{
	struct cof_op op = {.kind = COF_OP_CREATE, .parent = shelf, .node_kind = COF_KIND_FILE, .mode = 0440};
	char text[COF_NAME_MAX + 1];
	int r = -EEXIST;

	for (unsigned i = 1; r == -EEXIST && i <= NAMES_MAX; i++) {
		if (i == 1)
			snprintf(text, sizeof(text), "%s.%s", name, ext);
		else
			snprintf(text, sizeof(text), "%s.%u.%s", name, i, ext);
		op.name = text;
		r = cof_archive_do(a, who, &op, ret);
	}
	return r;
}

static int put_file(struct cof_archive *a, const struct cof_who *who, uint64_t shelf, const char *name, const char *ext,
		    const struct cof_buf *data, uint64_t *ret_ino, struct cof_diag *diag)
{
	struct cof_op write = {.kind = COF_OP_WRITE, .data = data->data, .length = data->len};
	struct cof_op commit = {.kind = COF_OP_COMMIT, .retain = COF_RETAIN_NONE};
	struct cof_reply reply = {.wrote = false}, last = {.wrote = false};
	int r = create(a, who, shelf, name, ext, &reply);

	if (r == 0) {
		*ret_ino = write.ino = commit.ino = reply.attr.ino;
		r = cof_archive_do(a, who, &write, &last);
		if (r == 0 && last.length != data->len)
			r = -ENOSPC;
		cof_archive_release(a, reply.attr.ino);
	}
	if (r == 0)
		r = cof_archive_do(a, who, &commit, &last);
	if (r == 0)
		r = cof_log_sync(a->log, last.sequence);
	if (a->p.changed)
		a->p.changed(a->p.user, shelf);
	return r < 0 ? cof_fail(diag, r, "%.64s.%s cannot be written to the shelf: %s", name, ext, strerror(-r)) : 0;
}

static bool is_name(const char *s)
{
	return s && *s && strlen(s) < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static int put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
	       struct cof_diag *diag)
{
	cof_autobuf struct cof_buf data = {0}, public_part = {0}, private_part = {0}, path = {0};
	const char *name = cof_json_str(args, "file"), *ext = cof_json_str(args, "ext");
	uint64_t shelf, ino = 0, sequence = 0;
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1], id[33];
	int r = get_shelf(a, args, &shelf, diag);

	if (r == 0)
		r = cof_people_bytes(args, "data", FILE_MAX, &data, diag);
	if (r < 0)
		return r;
	cof_sha256(data.data, data.len, digest);
	cof_hex(digest, COF_HASH, hex);
	memcpy(id, hex, 32);
	id[32] = '\0';
	if (!name) /* a new key is called by its number */
		name = id;
	if (!is_name(name) || !is_name(ext))
		return cof_fail(diag, -EINVAL, "\"file\" and \"ext\" are of a-z, 0-9 and -");
	r = record_fields(args, shelf, &public_part, &private_part, hex, diag);
	if (r == 0)
		r = cof_escrow_fit(a, &public_part, &private_part, true, diag);
	if (r == -EPERM)
		return refused(a, who, diag);
	if (r == 0)
		r = put_file(a, who, shelf, name, ext, &data, &ino, diag);
	if (r == 0)
		r = cof_escrow_put(a, who, ino, &public_part, &private_part, NULL, &sequence, diag);
	if (r < 0)
		return r;
	(void)cof_archive_path(a, ino, &path);
	cof_json_set_uint(into, "sequence", sequence);
	cof_json_set_uint(into, "ino", ino);
	cof_json_set_str(into, "sha256", hex);
	if (cof_json_str(cof_json_get(args, "record"), "key"))
		cof_json_set_str(into, "key", cof_json_str(cof_json_get(args, "record"), "key"));
	cof_json_set_bytes(into, "path", path.data, path.len);
	return 0;
}

/* ---- reading ---- */

struct telling {
	struct cof_archive *archive;
	uint64_t shelf, from; /* shelf 0: all */
	bool info;
	cof_show_fn fn;
	void *user;
};

/* Until when its file is kept. */
static void tell_end(struct cof_archive *a, uint64_t ino, struct cof_json *o)
{
	cof_autojson struct cof_json *info = cof_json_object();

	if (cof_archive_info(a, ino, info) == 0 && cof_json_str(info, "retain_until"))
		cof_json_set_str(o, "retain_until", cof_json_str(info, "retain_until"));
}

static int tell_record(void *user, const struct cof_escrow_record *r)
{
	const struct telling *t = user;
	cof_autojson struct cof_json *o = NULL;
	uint64_t shelf = 0;

	(void)cof_field_u64(r->public_part.data, r->public_part.len, COF_T_ESCROW_SHELF, &shelf);
	if ((t->shelf && shelf != t->shelf) || r->sequence < t->from)
		return 0;
	o = cof_json_object();
	if (!o)
		return -ENOMEM;
	cof_json_set_uint(o, "sequence", r->sequence);
	cof_json_set_time(o, "time", r->time);
	if (r->object)
		cof_json_set_uint(o, "ino", r->object);
	if (r->object && t->info)
		tell_end(t->archive, r->object, o);
	tell_fields(o, &r->public_part);
	tell_fields(o, &r->private_part);
	return t->fn(t->user, o);
}

/* Those that count: who recovers, rotates or lists by them takes nothing that nobody permitted. */
static int tell_records(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	struct telling t = {.archive = a, .info = cof_json_bool(args, "info"), .fn = fn, .user = user};
	int64_t from = 0;
	int r = 0;

	if (cof_json_get(args, "shelf"))
		r = get_shelf(a, args, &t.shelf, diag);
	if (r == 0 && cof_json_get(args, "from") && (cof_json_int(args, "from", &from) < 0 || from < 0))
		r = cof_fail(diag, -EINVAL, "\"from\" is a sequence");
	t.from = (uint64_t)from;
	return r == 0 ? cof_escrow_each_counted(a, cof_escrow_list(cof_json_bool(args, "no_key") ? COF_ESCROW_NO_KEY : COF_ESCROW_ALL, NULL, 0),
						tell_record, &t, NULL)
		      : r;
}

/* The file of a record: ciphertext, or a document that is public. */
static int read_file(struct cof_archive *a, const struct cof_json *args, struct cof_json *into, struct cof_diag *diag)
{
	struct cof_escrow_record record = {.sequence = 0};
	cof_autofree uint8_t *data = malloc(FILE_MAX);
	cof_autofree char *text = malloc(cof_base64_len(FILE_MAX) + 1);
	uint8_t digest[COF_HASH], said[COF_HASH];
	int64_t sequence = 0;
	size_t n = 0;
	int r = data && text ? 0 : -ENOMEM;

	if (r == 0 && (cof_json_int(args, "record", &sequence) < 0 || sequence <= 0))
		r = cof_fail(diag, -EINVAL, "\"record\" is the sequence of a record");
	if (r == 0)
		r = cof_escrow_get(a, (uint64_t)sequence, &record);
	if (r == 0 && !record.object)
		r = -ENOENT;
	if (r == 0)
		r = cof_archive_read(a, COF_INDEX_NOW, record.object, data, FILE_MAX, 0, &n);
	if (r == 0 && cof_field_bytes(record.public_part.data, record.public_part.len, COF_T_ESCROW_SHA256, said, sizeof(said)) == 0) {
		cof_sha256(data, n, digest);
		r = memcmp(digest, said, sizeof(said)) != 0 ? -EBADMSG : 0;
	}
	cof_escrow_record_done(&record);
	if (r < 0)
		return *diag->text ? r : cof_fail(diag, r, "the file of record %lld cannot be read: %s", (long long)sequence, strerror(-r));
	cof_base64(data, n, text);
	cof_json_set_str(into, "data", text);
	return 0;
}

/* ---- a key that was not taken in ---- */

static const char *text_of(const struct cof_json *args, const char *key)
{
	const char *s = cof_json_str(args, key);

	return s ? s : "";
}

static int put_refusal(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_diag *diag)
{
	if (!*text_of(args, "rule") || strlen(text_of(args, "reason")) > 512 || strlen(text_of(args, "clause")) > 128)
		return cof_fail(diag, -EINVAL, "\"rule\", \"clause\" and \"reason\" say what was refused");
	tell_refusal(a, who, text_of(args, "rule"), text_of(args, "clause"), text_of(args, "reason"), cof_json_str(args, "path"));
	return 0;
}

/* ---- all of them ---- */

static const char *const verbs[] = {"escrow-records", "escrow-read", "escrow-init", "escrow-put", "escrow-record", "escrow-refused"};

bool cof_escrow_verb(const char *verb)
{
	for (size_t i = 0; i < COF_COUNT(verbs); i++)
		if (!strcmp(verbs[i], verb))
			return true;
	return false;
}

bool cof_escrow_reads(const char *verb)
{
	return !strcmp(verb, verbs[0]) || !strcmp(verb, verbs[1]);
}

int cof_escrow_act(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		   cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int r;

	if (!strcmp(verb, "escrow-records"))
		return tell_records(a, args, fn, user, diag);
	if (!strcmp(verb, "escrow-read")) {
		r = read_file(a, args, o, diag);
		return r < 0 ? r : fn(user, o);
	}
	r = cof_people_writable(a, diag);
	if (r < 0)
		return r;
	cof_release_due(a);
	r = !strcmp(verb, "escrow-init")     ? make_shelf(a, who, args, o, diag)
	    : !strcmp(verb, "escrow-put")    ? put(a, who, args, o, diag)
	    : !strcmp(verb, "escrow-record") ? put_record(a, who, args, o, diag)
					     : put_refusal(a, who, args, diag);
	return r < 0 ? r : fn(user, o);
}
