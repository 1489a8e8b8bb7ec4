/* SPDX-License-Identifier: Apache-2.0 */
/* coffer vault check of a vault: whether it still has what it confirmed, by hashes that only who has the bytes can give. */
#include "tools/coffer.h"
#include "tools/bundles.h"
#include "tools/output.h"
#include "tools/vault-record.h"
#include "tools/witness.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMED 16u /* frames that are named one by one */

struct checking {
	const struct store *store;
	const struct vault_entry *e;
	struct vault_line line;
	bool open;
	struct progress progress;
};

static int line(void *user, struct vault_wire **ret, struct cof_diag *diag)
{
	struct checking *k = user;
	int r;

	if (k->open)
		vault_line_close(&k->line);
	k->line = (struct vault_line){.pid = 0};
	r = vault_hello_to(k->store, VAULT_CHALLENGES, k->e->url, &k->line, diag);
	k->open = r == 0;
	*ret = &k->line.wire;
	return r;
}

static int meet(void *user, const char *about, struct cof_diag *diag)
{
	const struct vault_entry *e = ((const struct checking *)user)->e;
	struct vault_entry is = {.time = 0};

	if (vault_about_read(about, &is) == 0 && cof_equal(is.vkey.public_key, e->vkey.public_key, 32) && !strcmp(is.vkey.name, e->vkey.name))
		return 0;
	return cof_fail(diag, -EKEYREJECTED, "another vault answers there than the one that was added: its key is not the same. Nothing was asked");
}

static void progressed(void *user, uint64_t done, uint64_t total)
{
	progress_update(&((struct checking *)user)->progress, done, total);
}

/* On record where somebody has the archive open, as what sync meets is. */
static void tell(const struct checking *k, const char *type, const char *what)
{
	struct vault_recording to = {.store = k->store};
	struct cof_diag diag = {""};

	if (vault_told(&to, type, k->e->name, what, &diag) < 0)
		complain("that could not be recorded: %s", diag.text);
}

static void say_unlike(const struct checking *k, const struct vault_unlike *u, char *ret, size_t cap)
{
	uint64_t size = k->store->conf.segment_size;

	snprintf(ret, cap, "frame %" PRIu64 " (segment %08" PRIx64 ", offset %" PRIu64 ") %s", u->sequence, u->address / size, u->address % size,
		 u->missing ? "is not there whole" : "is not what was confirmed");
}

static void tell_unlike(const struct checking *k, const struct vault_challenged *c)
{
	char one[160], what[400];

	say_unlike(k, &c->unlike[0], one, sizeof(one));
	snprintf(what, sizeof(what), "asked for what it confirmed, %u frame%s%s not there: %s%s. coffer-vault scrub there, then coffer sync mends it",
		 c->n_unlike, plural(c->n_unlike), c->ended ? " and more are" : c->n_unlike == 1 ? " is" : " are", one,
		 c->n_unlike > 1 ? " is the first" : "");
	tell(k, "vault-alarm", what);
}

static void say_json(const struct checking *k, const struct vault_challenged *c, bool all)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *list = cof_json_array();

	cof_json_set_str(o, "vault", k->e->name);
	cof_json_set_uint(o, "confirmed", k->e->size);
	cof_json_set_bool(o, "all", all);
	cof_json_set_uint(o, "frames", c->frames);
	cof_json_set_uint(o, "bytes", c->bytes);
	cof_json_set_bool(o, "ended", c->ended);
	for (unsigned i = 0; i < c->n_unlike; i++) {
		struct cof_json *one = cof_json_object();

		cof_json_set_uint(one, "frame", c->unlike[i].sequence);
		cof_json_set_uint(one, "segment", c->unlike[i].address / k->store->conf.segment_size);
		cof_json_set_uint(one, "offset", c->unlike[i].address % k->store->conf.segment_size);
		cof_json_set_bool(one, "missing", c->unlike[i].missing);
		cof_json_append(list, one);
	}
	cof_json_set(o, "findings", list);
	print_json(o, true);
}

static void say(const struct checking *k, const struct vault_challenged *c, bool all)
{
	char size[24], one[160];

	cof_size_text(c->bytes, size);
	if (!c->n_unlike) {
		printf("%s has what it was asked for: %" PRIu64 " of the %" PRIu64 " frames that it confirmed (%s), read there now.\n", k->e->name,
		       c->frames, k->e->size, size);
		if (!all && c->frames < k->e->size)
			printf("For all of them: coffer vault check %s %s --all\n", k->store->path, k->e->name);
		return;
	}
	for (unsigned i = 0; i < c->n_unlike && i < NAMED; i++) {
		say_unlike(k, &c->unlike[i], one, sizeof(one));
		printf("%s: %s\n", k->e->name, one);
	}
	printf("%s: %u frame%s of %" PRIu64 " that were asked for%s. Next:\n  coffer-vault scrub DIR       # there: it finds what else is damaged\n"
	       "  coffer sync %s %s   # mends it from here\n",
	       k->e->name, c->n_unlike, plural(c->n_unlike), c->frames, c->ended ? ", and more: the rest was not asked for" : "", k->store->path,
	       k->e->name);
}

static int check(struct checking *k, uint64_t sample, struct vault_challenged *c, struct cof_diag *diag)
{
	struct vault_source *source = NULL;
	struct vault_challenging p = {.io = k->store->io, .confirmed = k->e->size, .sample = sample, .line = line, .meet = meet, .user = k,
				      .progress = {progressed, k}};
	int r = vault_source_open(k->store->io, &source, diag);

	if (r == 0)
		r = vault_send_challenges(source, &p, c, diag);
	progress_clear(&k->progress);
	if (k->open)
		vault_line_close(&k->line);
	vault_source_free(source);
	return r;
}

/* Which of what went wrong is about the vault: that the log here is damaged, or the program there older, is not. */
static void tell_failure(const struct checking *k, const struct vault_challenged *c, int r, const struct cof_diag *diag)
{
	if (r == -EUCLEAN || r == -ESTALE || r == -EPROTONOSUPPORT || r == -ENOMEM)
		return;
	tell(k, c->met || r == -EKEYREJECTED ? "vault-alarm" : "vault-unreachable", diag->text);
}

static int may_ask(const struct store *s, const struct vault_entry *e, struct cof_diag *diag)
{
	if (witness_is_url(e->url))
		return cof_fail(diag, -ENOTSUP, "%s is a witness, which holds no copy", e->name);
	if (!strcmp(e->url, BUNDLE_URL))
		return cof_fail(diag, -ENOTSUP, "%s is reached by hand, and no line leads there to ask it: coffer-vault scrub DIR, there", e->name);
	if (!e->time)
		return cof_fail(diag, -ENOENT, "%s confirmed nothing yet: coffer sync %s %s", e->name, s->path, e->name);
	return 0;
}

int vault_check(const struct store *s, const struct vault_entry *e, uint64_t sample, bool json, uint64_t *ret_findings, struct cof_diag *diag)
{
	struct checking k = {.store = s, .e = e, .progress = PROGRESS_INIT};
	struct vault_challenged c = {.frames = 0};
	int r = may_ask(s, e, diag);

	if (r < 0)
		return r;
	r = check(&k, sample, &c, diag);
	if (r < 0) {
		tell_failure(&k, &c, r, diag);
		return r;
	}
	*ret_findings = c.n_unlike;
	if (c.n_unlike)
		tell_unlike(&k, &c);
	if (json)
		say_json(&k, &c, !sample);
	else
		say(&k, &c, !sample);
	return 0;
}
