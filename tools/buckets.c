/* SPDX-License-Identifier: Apache-2.0 */
/* Which buckets an archive has, and what its store notes of them. */
#include "tools/buckets.h"
#include "tools/vaults.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define NOTE_MAX (512u << 20)

static void path_of(const char *name, const char *what, char out[96])
{
	snprintf(out, 96, "vaults/%s.%s", name, what);
}

bool bucket_exists(const struct store *s, const char *name)
{
	char path[96];

	path_of(name, "bucket", path);
	return vault_name_ok(name) && cof_io_exists(s->io, path) == 1;
}

/* ---- the entry ---- */

static int take_number(const char *value, int64_t least, int64_t most, int64_t *ret)
{
	char *end = NULL;
	long long v;

	errno = 0;
	v = strtoll(value, &end, 10);
	if (errno || end == value || *end || v < least || v > most)
		return -EUCLEAN;
	*ret = v;
	return 0;
}

static int take_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct bucket *b = user;
	struct s3_target *t = &b->target;
	struct {
		const char *key;
		char *to;
		size_t cap;
	} text[] = {{"url", b->url, sizeof(b->url)},
		    {"place", b->place, sizeof(b->place)},
		    {"jurisdiction", b->jurisdiction, sizeof(b->jurisdiction)},
		    {"basis", b->basis, sizeof(b->basis)},
		    {"endpoint", t->endpoint, sizeof(t->endpoint)},
		    {"region", t->region, sizeof(t->region)},
		    {"credentials", t->credentials, sizeof(t->credentials)},
		    {"ca", t->ca, sizeof(t->ca)},
		    {"abilities", b->abilities, sizeof(b->abilities)},
		    {"retiring", b->retiring, sizeof(b->retiring)}};
	int64_t v;

	(void)line;
	if (strcmp(section, "bucket"))
		return 0;
	for (size_t i = 0; i < COF_COUNT(text); i++)
		if (!strcmp(key, text[i].key))
			return snprintf(text[i].to, text[i].cap, "%s", value) < (int)text[i].cap
				   ? 0
				   : -EUCLEAN;
	if (!strcmp(key, "insecure_http"))
		t->insecure_http = !strcmp(value, "yes");
	if (!strcmp(key, "part") && take_number(value, S3_PART_MIN, S3_PART_MAX, &v) == 0)
		t->part = (uint64_t)v;
	if (!strcmp(key, "lock") &&
	    take_number(value, S3_BASE_LEAST / COF_NSEC, S3_FOREVER / COF_NSEC, &v) == 0)
		b->base = v * COF_NSEC;
	return !strcmp(key, "probed") ? cof_time_parse(value, &b->probed) : 0;
}

int bucket_load(const struct store *s, const char *name, struct bucket *ret, struct cof_diag *diag)
{
	struct bucket b = {.base = 0};
	cof_autofree uint8_t *text = NULL;
	char path[96];
	size_t n = 0;
	int r = vault_name_ok(name) ? 0 : -ENOENT;

	path_of(name, "bucket", path);
	if (r == 0)
		r = cof_io_load(s->io, path, 8192, &text, &n);
	if (r == -ENOENT)
		return cof_fail(diag, r,
				"%s has no copy in a bucket of the name '%s': coffer vault list %s",
				s->path, name, s->path);
	snprintf(b.name, sizeof(b.name), "%s", name);
	if (r == 0)
		r = cof_ini_parse((const char *)text, n, take_key, &b, NULL);
	if (r == 0 && (s3_url_parse(b.url, &b.target, NULL) < 0 ||
		       s3_endpoint_check(&b.target, NULL) < 0 || !b.target.part || !b.base))
		r = -EUCLEAN;
	if (r < 0)
		return cof_fail(
		    diag, r, "%s/%s is damaged or cannot be read; coffer vault add makes it anew",
		    s->path, path);
	*ret = b;
	return 0;
}

int bucket_save(const struct store *s, const struct bucket *b, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf t = {0};
	char path[96], when[32];

	cof_time_text(b->probed, when);
	path_of(b->name, "bucket", path);
	cof_buf_printf(&t,
		       "[bucket]\nurl = %s\nendpoint = %s\nregion = %s\ncredentials = %s\nca = "
		       "%s\ninsecure_http = %s\n",
		       b->url, b->target.endpoint, b->target.region, b->target.credentials,
		       b->target.ca, b->target.insecure_http ? "yes" : "no");
	cof_buf_printf(&t,
		       "part = %" PRIu64 "\nlock = %" PRId64
		       "\nplace = %s\njurisdiction = %s\nbasis = %s\nabilities = %s\nprobed = %s\n",
		       b->target.part, (int64_t)(b->base / COF_NSEC), b->place, b->jurisdiction, b->basis,
		       b->abilities, when);
	if (*b->retiring)
		cof_buf_printf(&t, "retiring = %s\n", b->retiring);
	return t.failed ? cof_fail(diag, -ENOMEM, "out of memory")
			: vaults_write(s, path, t.data, t.len, diag);
}

/* ---- all of them ---- */

struct names {
	char (*name)[64];
	size_t n;
};

static int one_name(void *user, const char *file)
{
	struct names *l = user;
	size_t n = strlen(file);
	void *grown;

	if (n < 8 || n > 60 || strcmp(file + n - 7, ".bucket"))
		return 0;
	grown = realloc(l->name, (l->n + 1) * sizeof(*l->name));
	if (!grown)
		return -ENOMEM;
	l->name = grown;
	snprintf(l->name[l->n++], sizeof(*l->name), "%.*s", (int)(n - 7), file);
	return 0;
}

int bucket_entries(const struct store *s, int (*fn)(void *user, const struct bucket *b), void *user,
		   struct cof_diag *diag)
{
	struct names l = {.n = 0};
	int r = cof_io_list(s->io, "vaults", one_name, &l);

	if (r == -ENOENT)
		r = 0;
	else if (r < 0)
		cof_fail(diag, r, "%s/vaults cannot be read: %s", s->path, strerror(-r));
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		struct bucket b;

		r = bucket_load(s, l.name[i], &b, diag);
		if (r == 0)
			r = fn(user, &b);
	}
	free(l.name);
	return r;
}

/* ---- its note ---- */

/* A note that two have read is written over by the one that is done last, and what the other put there is known to nobody. */
int bucket_lock(const struct store *s, const char *name, struct cof_diag *diag)
{
	cof_autofree char *path = NULL;
	int fd, r = 0;

	if (asprintf(&path, "%s/vaults/%s.bucket", s->path, name) < 0) {
		path = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return r == -EWOULDBLOCK
		   ? cof_fail(diag, -EBUSY, "another coffer sync or coffer vault check is at work on the copy %s: once that is done, the same command",
			      name)
		   : cof_fail(diag, r, "%s cannot be locked: %s", path, strerror(-r));
}

int bucket_copy_load(const struct store *s, const struct bucket *b, struct s3_copy **ret,
		     struct cof_diag *diag)
{
	cof_autofree uint8_t *text = NULL;
	struct s3_copy *c = NULL;
	char path[96];
	size_t n = 0;
	int r = s3_copy_new(&b->target, &s->conf, &c);

	if (r < 0)
		return cof_fail(diag, r, "out of memory");
	path_of(b->name, "objects", path);
	r = cof_io_load(s->io, path, NOTE_MAX, &text, &n);
	if (r == 0 && s3_copy_load(c, text, n) == -ENOMEM)
		r = -ENOMEM;
	if (r < 0 && r != -ENOENT) {
		s3_copy_free(c);
		return cof_fail(diag, r, "%s/%s cannot be read: %s", s->path, path, strerror(-r));
	}
	*ret = c;
	return 0;
}

int bucket_copy_save(const struct store *s, const char *name, const struct cof_buf *text,
		     struct cof_diag *diag)
{
	char path[96];

	path_of(name, "objects", path);
	return vaults_write(s, path, text->data, text->len, diag);
}

/* ---- what is told ---- */

int bucket_sent(const struct store *s, const struct bucket *b, int64_t *ret, struct cof_diag *diag)
{
	struct s3_copy_state st;
	struct s3_copy *c = NULL;
	int r = bucket_copy_load(s, b, &c, diag);

	if (r == 0) {
		s3_copy_state(c, &st);
		*ret = st.size ? st.time : INT64_MIN;
	}
	s3_copy_free(c);
	return r;
}

struct adding {
	const struct store *store;
	struct cof_json *array;
	uint64_t newest;
	struct cof_diag *diag;
};

static void set_time(struct cof_json *o, const char *key, int64_t ns)
{
	char when[32];

	if (!ns)
		return;
	cof_time_text(ns, when);
	cof_json_set_str(o, key, when);
}

static int add_json(void *user, const struct bucket *b)
{
	struct adding *a = user;
	struct cof_json *o;
	struct s3_copy_state st;
	struct s3_copy *c = NULL;
	int r = bucket_copy_load(a->store, b, &c, a->diag);

	if (r < 0)
		return r;
	s3_copy_state(c, &st);
	s3_copy_free(c);
	o = cof_json_object();
	cof_json_set_str(o, "bucket", b->name);
	cof_json_set_str(o, "url", b->url);
	cof_json_set_str(o, "endpoint", b->target.endpoint);
	cof_json_set_str(o, "place", b->place);
	cof_json_set_str(o, "jurisdiction", b->jurisdiction);
	cof_json_set_uint(o, "size", st.size);
	cof_json_set_uint(o, "behind", a->newest > st.size ? a->newest - st.size : 0);
	set_time(o, "sent", st.time);
	cof_json_set_uint(o, "objects", st.objects);
	cof_json_set_uint(o, "bytes", st.bytes);
	cof_json_set_uint(o, "held", st.held);
	set_time(o, "locked_until", st.least);
	cof_json_set_str(o, "abilities", b->abilities);
	cof_json_set_bool(o, "bare", s3_is_bare(&b->target));
	set_time(o, "checked", st.checked);
	cof_json_set_uint(o, "findings", st.findings);
	if (*b->retiring)
		cof_json_set_str(o, "retiring", b->retiring);
	cof_json_append(a->array, o);
	return 0;
}

int bucket_entries_json(const struct store *s, struct cof_json *array, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	struct adding a = {.store = s, .array = array, .diag = diag};
	struct cof_checkpoint head;
	size_t n = 0;

	if (cof_io_load(s->io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0 &&
	    cof_checkpoint_open(note, n, &s->conf.vkey, &head) == 0)
		a.newest = head.size;
	return bucket_entries(s, add_json, &a, diag);
}

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	return cof_json_int(o, key, &v) == 0 && v > 0 ? (uint64_t)v : 0;
}

static void say_one(const struct cof_json *o)
{
	const char *sent = cof_json_str(o, "sent"), *place = cof_json_str(o, "place"),
		   *checked = cof_json_str(o, "checked"), *until = cof_json_str(o, "locked_until");
	cof_autofree char *shown = escaped(place ? place : "");
	uint64_t findings = number(o, "findings");

	printf("%-12s %s%s%s: ", "Copy", cof_json_str(o, "bucket"), shown && *shown ? " at " : "",
	       shown ? shown : "");
	if (cof_json_str(o, "retiring"))
		printf("left since %s, and nothing proves that what is there is gone; ", cof_json_str(o, "retiring"));
	if (!sent) {
		printf("in %s, nothing sent yet (coffer sync)\n", cof_json_str(o, "url"));
		return;
	}
	printf("%" PRIu64 " frames sent at %s, %" PRIu64 " behind; locked at least until %s\n",
	       number(o, "size"), sent, number(o, "behind"), until ? until : "?");
	if (!checked)
		printf("%-12s never checked: coffer vault check\n", "");
	else if (findings)
		printf("%-12s %scheck at %s found %" PRIu64
		       " thing%s wrong: coffer vault check%s\n",
		       "", colour(RED), checked, findings, plural(findings), colour(PLAIN));
	else
		printf("%-12s as it was put there at %s\n", "", checked);
}

void bucket_say(const struct cof_json *array)
{
	for (size_t i = 0; i < cof_json_count(array); i++) {
		const struct cof_json *o = cof_json_at(array, i);

		say_one(o);
		if (cof_json_bool(o, "bare"))
			printf("%sWarning: what goes to %s travels over plain HTTP%s\n",
			       colour(YELLOW), cof_json_str(o, "bucket"), colour(PLAIN));
	}
}
