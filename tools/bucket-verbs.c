/* SPDX-License-Identifier: Apache-2.0 */
/* coffer vault add, sync and check, where it is a bucket. */
#include "tools/buckets.h"
#include "tools/placement.h"

#include "fs/rules/rules.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

enum {
	OPT_ENDPOINT,
	OPT_REGION,
	OPT_CREDENTIALS,
	OPT_CA,
	OPT_INSECURE,
	OPT_PART,
	OPT_LOCK,
	OPT_PLACE,
	OPT_COUNTRY
};

#define WAY_OPTIONS                                                                                \
	[OPT_ENDPOINT] = {"endpoint", "URL",                                                       \
			  "of a bucket: where its server is, https://HOST[:PORT]"},                \
	[OPT_REGION] = {"region", "NAME", "of a bucket: us-east-1 if not said"},                   \
	[OPT_CREDENTIALS] = {"credentials", "FILE",                                                \
			     "of a bucket: aws_access_key_id and aws_secret_access_key, in a "     \
			     "file that only its owner may "                                       \
			     "read; else of the environment",                                      \
			     .files = true},                                                       \
	[OPT_CA] = {"ca", "FILE",                                                                  \
		    "of a bucket: certificates that its server's has to lead to, instead of the "  \
		    "system's",                                                                    \
		    .files = true},                                                                \
	[OPT_INSECURE] = {"insecure-http", NULL,                                                   \
			  "of a bucket: plain HTTP may be used to another host; status shows it"}

const struct tool_option bucket_way_options[] = {WAY_OPTIONS, {0}};
const struct tool_option bucket_options[] = {
    WAY_OPTIONS,
    [OPT_PART] =
	{"part", "SIZE",
	 "of a bucket: longer objects go up in parts of this size, 5M to 1G; 16M if not said"},
    [OPT_LOCK] = {"lock", "SPAN",
		  "of a bucket: what no retention locks longer is locked for so long from each "
		  "sync on; 30d if not said"},
    [OPT_PLACE] = {"place", "PLACE", "of a bucket: where it stands, LAT,LON,NAME in degrees"},
    [OPT_COUNTRY] = {"jurisdiction", "XX",
		     "of a bucket: whose law holds there, as ISO 3166 has it"},
    {0},
};

int bucket_take(struct bucket_args *a, int option)
{
	const char **to[] = {[OPT_ENDPOINT] = &a->endpoint,
			     [OPT_REGION] = &a->region,
			     [OPT_CREDENTIALS] = &a->credentials,
			     [OPT_CA] = &a->ca,
			     [OPT_PART] = &a->part,
			     [OPT_LOCK] = &a->lock,
			     [OPT_PLACE] = &a->place,
			     [OPT_COUNTRY] = &a->jurisdiction};

	if (option == OPT_INSECURE)
		a->insecure_http = true;
	else
		*to[option] = optarg;
	return EXIT_OK;
}

/* ---- add ---- */

static int copy_text(const char *from, char *to, size_t cap, const char *what,
		     struct cof_diag *diag)
{
	if (from && (strlen(from) >= cap || strpbrk(from, "\n\r;#\"")))
		return cof_fail(diag, -EINVAL,
				"%s is too long, or holds a character that cannot be noted", what);
	snprintf(to, cap, "%s", from ? from : "");
	return 0;
}

/* A file is found again from wherever the next command is run. */
static int copy_path(const char *from, char *to, size_t cap, const char *what,
		     struct cof_diag *diag)
{
	char full[PATH_MAX];

	if (from && !realpath(from, full))
		return cof_fail(diag, -errno, "%s: %s", from, strerror(errno));
	return copy_text(from ? full : NULL, to, cap, what, diag);
}

int bucket_target(const struct bucket_args *a, const char *url, struct s3_target *ret,
		  struct cof_diag *diag)
{
	struct s3_target t = {.part = S3_PART_DEFAULT, .insecure_http = a->insecure_http};
	uint64_t part = t.part;
	size_t n;
	int r = s3_url_parse(url, &t, diag);

	if (r == 0 && !a->endpoint)
		return cof_fail(diag, -EINVAL,
				"a bucket's server is named by --endpoint https://HOST");
	if (r == 0)
		r = copy_text(a->endpoint, t.endpoint, sizeof(t.endpoint), "--endpoint", diag);
	n = strlen(t.endpoint);
	if (n && t.endpoint[n - 1] == '/')
		t.endpoint[n - 1] = 0;
	if (r == 0)
		r = s3_endpoint_check(&t, diag);
	if (r == 0)
		r = copy_text(a->region ? a->region : "us-east-1", t.region, sizeof(t.region),
			      "--region", diag);
	if (r == 0 &&
	    t.region[strspn(t.region,
			    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")])
		return cof_fail(diag, -EINVAL, "--region is letters, digits, - and _");
	if (r == 0)
		r = copy_path(a->credentials, t.credentials, sizeof(t.credentials), "--credentials",
			      diag);
	if (r == 0)
		r = copy_path(a->ca, t.ca, sizeof(t.ca), "--ca", diag);
	if (r == 0 && a->part &&
	    (cof_size_parse(a->part, &part) < 0 || part < S3_PART_MIN || part > S3_PART_MAX))
		return cof_fail(diag, -EINVAL, "--part is a size between 5M and 1G");
	t.part = part;
	if (r == 0)
		*ret = t;
	return r;
}

/* Of a record in the chain: which copy it is about. */
static void set_copy(const struct store *s, const struct bucket *b, const char *what, struct cof_json *record)
{
	struct vault_entry e = {.time = 0};

	memcpy(e.name, b->name, sizeof(e.name));
	memcpy(e.place, b->place, sizeof(e.place));
	memcpy(e.jurisdiction, b->jurisdiction, sizeof(e.jurisdiction));
	memcpy(e.basis, b->basis, sizeof(e.basis));
	cof_json_set_str(record, "what", what);
	vault_entry_record(s, &e, record);
}

static int fill(struct bucket *b, const char *name, const char *url, const struct bucket_args *a,
		struct cof_diag *diag)
{
	int r = bucket_target(a, url, &b->target, diag);

	if (r == 0)
		r = copy_text(url, b->url, sizeof(b->url), "the bucket's address", diag);
	if (r == 0)
		r = copy_text(a->place, b->place, sizeof(b->place), "--place", diag);
	if (r == 0)
		r = vault_place_check(b->place, diag);
	if (r == 0)
		r = copy_text(a->basis, b->basis, sizeof(b->basis), "--basis", diag);
	if (r == 0 && a->jurisdiction &&
	    (strlen(a->jurisdiction) < 2 || strlen(a->jurisdiction) > 6 ||
	     a->jurisdiction[strspn(a->jurisdiction, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")]))
		return cof_fail(diag, -EINVAL, "--jurisdiction is letters of ISO 3166, such as TW");
	snprintf(b->name, sizeof(b->name), "%s", name);
	snprintf(b->jurisdiction, sizeof(b->jurisdiction), "%s",
		 a->jurisdiction ? a->jurisdiction : "");
	b->base = S3_BASE_DEFAULT;
	if (r == 0 && a->lock &&
	    (cof_span_parse(a->lock, &b->base) < 0 || b->base < S3_BASE_LEAST ||
	     b->base > S3_FOREVER))
		return cof_fail(diag, -EINVAL, "--lock is a span between 1min and 30y");
	return r;
}

/* What the bucket can do is tried, in a name of its own each time. */
static int probe(const struct store *s, struct bucket *b, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct s3_abilities can;
	struct s3 *server = NULL;
	uint8_t random[16];
	char key[512], id[33], hex[33];
	int r = s3_open(&b->target, &server, diag);

	cof_random(random, 16);
	cof_hex(random, 16, hex);
	cof_hex(s->conf.id, 16, id);
	snprintf(key, sizeof(key), "%s%s%s/probe/%s", b->target.prefix,
		 *b->target.prefix ? "/" : "", id, hex);
	if (r == 0)
		r = s3_probe(server, key, &can, diag);
	s3_close(server);
	if (r < 0)
		return r;
	s3_abilities_text(&can, &text);
	b->probed = cof_now(CLOCK_REALTIME);
	snprintf(b->abilities, sizeof(b->abilities), "%s",
		 text.data ? (const char *)text.data : "");
	return 0;
}

static int record_added(const struct store *s, const struct bucket *b, struct cof_diag *diag)
{
	struct vault_recording recording = {.store = s};
	cof_autojson struct cof_json *o = cof_json_object();
	char text[1200];

	snprintf(text, sizeof(text), "%s of %s; %s", b->url, b->target.endpoint, b->abilities);
	set_copy(s, b, "bucket", o);
	cof_json_set_str(o, "detail", text);
	return vault_recorded(&recording, o, diag);
}

int bucket_add(const struct store *s, const char *name, const char *url,
	       const struct bucket_args *a, struct cof_diag *diag)
{
	struct bucket b = {.base = 0}, there;
	struct vault_entry vault;
	char span[32];
	int r = fill(&b, name, url, a, diag);

	if (r < 0)
		return r;
	if (vault_entry_load(s, name, &vault, NULL) == 0) {
		vault_entry_done(&vault);
		return cof_fail(diag, -EEXIST, "%s has a vault '%s': choose another name", s->path,
				name);
	}
	if (bucket_load(s, name, &there, NULL) == 0 &&
	    (strcmp(there.url, b.url) || strcmp(there.target.endpoint, b.target.endpoint)))
		return cof_fail(diag, -EEXIST,
				"%s has a copy '%s' at %s of %s: choose another name", s->path,
				name, there.url, there.target.endpoint);
	if (bucket_load(s, name, &there, NULL) == 0 && *there.retiring)
		return cof_fail(diag, -EEXIST, "the copy %s is left: choose another name", name);
	r = probe(s, &b, diag);
	if (r == 0)
		r = bucket_save(s, &b, diag);
	if (r == 0)
		r = record_added(s, &b, diag);
	if (r < 0)
		return r;
	cof_span_text(b.base, span);
	printf("Copy %s is added. Tried there: %s.\n", b.name, b.abilities);
	printf("It locks what is put there for %s and longer, as retention says; it judges and "
	       "signs nothing, and whoever rules its "
	       "server can still delete.\nNext: coffer sync %s %s\n",
	       span, s->path, b.name);
	return 0;
}

/* ---- sync ---- */

struct pushing {
	const struct bucket_sync *p;
	const struct bucket *b;
};

static int save(void *user, const struct cof_buf *note, struct cof_diag *diag)
{
	const struct pushing *u = user;

	return bucket_copy_save(u->p->store, u->b->name, note, diag);
}

static int may_leave(void *user, struct cof_diag *diag)
{
	const struct pushing *u = user;
	struct placed c = placed_bucket(u->b);

	return placement_may_leave(u->p->store, &c, diag);
}

static void progressed(void *user, uint64_t done, uint64_t total)
{
	const struct pushing *u = user;

	progress_update(u->p->progress, done, total);
}

static void say(const struct bucket_sync *p, const struct bucket *b, const struct s3_pushed *r)
{
	char size[24];

	if (p->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "bucket", b->name);
		cof_json_set_uint(o, "size", r->size);
		cof_json_set_uint(o, "frames", r->frames);
		cof_json_set_uint(o, "bytes", r->bytes);
		cof_json_set_uint(o, "objects", r->objects);
		cof_json_set_uint(o, "extended", r->extended);
		cof_json_set_uint(o, "held", r->held);
		cof_json_set_uint(o, "released", r->released);
		print_json(o, false);
		return;
	}
	cof_size_text(r->bytes, size);
	if (r->nothing)
		printf("%s has all %" PRIu64 " frames", b->name, r->size);
	else
		printf("%s took %" PRIu64 " frames (%s in %" PRIu64 " object%s) and has %" PRIu64,
		       b->name, r->frames, size, r->objects, plural(r->objects), r->size);
	if (r->extended)
		printf("; %" PRIu64 " lock%s made longer", r->extended, plural(r->extended));
	if (r->held || r->released)
		printf("; %" PRIu64 " legal hold%s set, %" PRIu64 " lifted", r->held,
		       plural(r->held), r->released);
	printf(".\n");
}

static int record_transfer(const struct bucket_sync *p, const struct bucket *b,
			   const struct s3_pushed *sent, const char *failure, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();

	if (!sent->bytes || !sent->frames)
		return 0;
	set_copy(p->store, b, "transfer", o);
	cof_json_set_uint(o, "from", sent->from);
	cof_json_set_uint(o, "to", sent->size);
	cof_json_set_uint(o, "bytes", sent->bytes);
	cof_json_set_str(o, "outcome", failure ? "failure" : "success");
	if (failure)
		cof_json_set_str(o, "detail", failure);
	return vault_recorded(p->recording, o, diag);
}

int bucket_push(const struct bucket_sync *p, const struct bucket *b, struct cof_diag *diag)
{
	struct pushing u = {.p = p, .b = b};
	struct s3_pushing push = {.io = p->store->io,
				  .newer = p->newer,
				  .envelope = p->envelope,
				  .envelope_len = p->envelope_len,
				  .base = b->base,
				  .may_leave = may_leave,
				  .save = save,
				  .progress = progressed,
				  .user = &u};
	struct s3_pushed pushed = {.size = 0};
	struct cof_diag why = {""};
	struct s3_copy *copy = NULL;
	struct s3 *server = NULL;
	cof_autoclose int lock = bucket_lock(p->store, b->name, diag);
	int r = lock < 0 ? lock : s3_open(&b->target, &server, diag);

	if (r == 0)
		r = bucket_copy_load(p->store, b, &copy, diag);
	if (r == 0) {
		s3_limit(server, p->limit);
		r = s3_push(server, copy, &push, &pushed, diag);
		progress_clear(p->progress);
	}
	if (r == 0)
		say(p, b, &pushed);
	if (record_transfer(p, b, &pushed, r < 0 ? diag->text : NULL, &why) < 0 && r == 0)
		r = cof_fail(diag, -EIO, "%s", why.text);
	s3_copy_free(copy);
	s3_close(server);
	return r;
}

/* ---- retire ---- */

int bucket_retire(const struct store *s, const char *name, struct cof_diag *diag)
{
	struct vault_recording recording = {.store = s};
	cof_autojson struct cof_json *o = cof_json_object();
	struct bucket b;
	int r = bucket_load(s, name, &b, diag);

	if (r == 0 && !*b.retiring) {
		set_copy(s, &b, "retiring", o);
		cof_json_set_str(o, "detail", b.url);
		cof_time_text(cof_now(CLOCK_REALTIME), b.retiring);
		r = vault_recorded(&recording, o, diag);
		if (r == 0)
			r = bucket_save(s, &b, diag);
	}
	if (r == 0)
		printf("Copy %s is left since %s: coffer sync sends nothing there unless it is named. What lies there is locked, ends with its "
		       "locks, and goes when its owner removes it then; nobody signs that, so status and due tell of it for ever.\n",
		       b.name, b.retiring);
	return r;
}

/* ---- check ---- */

struct checking {
	struct cof_json *findings;
	struct progress progress;
	bool json;
};

static void found(void *user, const char *text)
{
	struct checking *k = user;
	cof_autofree char *shown = NULL;

	progress_clear(&k->progress);
	if (k->json) {
		cof_json_append(k->findings, cof_json_string(text));
		return;
	}
	shown = escaped(text);
	printf("%s\n", shown ? shown : "?");
}

static void looked(void *user, uint64_t done, uint64_t total)
{
	struct checking *k = user;

	progress_update(&k->progress, done, total);
}

static void say_check(const struct bucket *b, struct checking *k, const struct s3_checked *c)
{
	char size[24];

	if (k->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "bucket", b->name);
		cof_json_set_uint(o, "objects", c->objects);
		cof_json_set_uint(o, "gone", c->gone);
		cof_json_set_uint(o, "markers", c->markers);
		cof_json_set_uint(o, "foreign", c->foreign);
		cof_json_set_uint(o, "unlocked", c->unlocked);
		cof_json_set_uint(o, "read", c->read);
		cof_json_set(o, "findings", k->findings);
		k->findings = NULL;
		print_json(o, true);
		return;
	}
	cof_size_text(c->read, size);
	if (c->findings)
		printf("%s: %" PRIu64 " thing%s not as they were put there, of %" PRIu64
		       " versions.\n",
		       b->name, c->findings, plural(c->findings), c->objects);
	else
		printf("%s is as it was put there: %" PRIu64
		       " versions, locks and holds; %s read back and equal.\n",
		       b->name, c->objects, size);
}

static int record_check(const struct store *s, const struct bucket *b, const struct s3_checked *c, struct cof_diag *diag)
{
	const uint64_t counted[] = {c->objects, c->gone, c->markers, c->foreign, c->unlocked, c->findings, c->read};
	struct vault_recording recording = {.store = s};
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *list = cof_json_array();

	set_copy(s, b, "checked", o);
	for (size_t i = 0; i < COF_COUNT(counted); i++)
		cof_json_append(list, cof_json_new_uint(counted[i]));
	cof_json_set(o, "counted", list);
	cof_json_set_str(o, "outcome", c->findings ? "failure" : "success");
	return vault_recorded(&recording, o, diag);
}

int bucket_check(const struct store *s, const char *name, bool all, bool json,
		 uint64_t *ret_findings, struct cof_diag *diag)
{
	struct checking k = {.progress = PROGRESS_INIT, .json = json};
	struct s3_checking p = {
	    .io = s->io, .all = all, .finding = found, .progress = looked, .user = &k};
	cof_autobuf struct cof_buf text = {0};
	struct s3_checked checked = {.findings = 0};
	struct s3_copy *copy = NULL;
	struct s3 *server = NULL;
	struct bucket b;
	int r = bucket_load(s, name, &b, diag);
	cof_autoclose int lock = r == 0 ? bucket_lock(s, name, diag) : -1;

	if (r == 0 && lock < 0)
		r = lock;
	if (r == 0)
		r = s3_open(&b.target, &server, diag);
	if (r == 0)
		r = bucket_copy_load(s, &b, &copy, diag);
	k.findings = cof_json_array();
	if (r == 0)
		r = s3_check(server, copy, &p, &checked, diag);
	progress_clear(&k.progress);
	if (r == 0 && s3_copy_text(copy, &text) < 0)
		r = cof_fail(diag, -ENOMEM, "out of memory");
	if (r == 0)
		r = bucket_copy_save(s, name, &text, diag);
	if (r == 0)
		say_check(&b, &k, &checked);
	if (r == 0)
		r = record_check(s, &b, &checked, diag);
	cof_json_free(k.findings);
	s3_copy_free(copy);
	s3_close(server);
	*ret_findings = checked.findings;
	return r;
}
